"""Requests for a tunnel overheard: CONNECT to an HTTP proxy, SOCKS5; and where the tunnel begins in the two streams.

Contract: pure. Of credentials nothing is kept: what a proxy echoes of them is blanked out.
"""

from __future__ import annotations

import msgspec

from netdiag.capture.dialogue import Dialogue
from netdiag.model import Failure, FailureKind, ProxyObservation, authority
from netdiag.wire import overheard, socks
from netdiag.wire.http import Body, NotHttpError, ResponseHead, body_text, parse_head

#: Characters of the proxy's own page, fields of its answer and characters of each, as the probes keep.
MAX_EXCERPT = 4096
MAX_HEADERS, MAX_VALUE = 50, 500
#: Requests on one connection: NTLM needs three.
MAX_REQUESTS = 8
#: Interim answers before a final one (RFC 9110 §15.2).
MAX_INTERIM = 5
#: An echo shorter than this is a word that happens to be the same.
MIN_ECHO = 6

#: What a web server says to CONNECT, having never heard of tunnels; and fields that only a proxy sends.
_WEB_SERVER_STATUS = frozenset({400, 404, 405, 501})
_PROXY_FIELDS = ("x-squid-error", "proxy-authenticate", "proxy-agent", "proxy-connection", "proxy-status")


class Tunnel(msgspec.Struct, frozen=True):
    """The request for a tunnel; when it was opened, ``client`` and ``server`` are where it begins in the streams."""

    observation: ProxyObservation
    host: str
    port: int
    client: int = 0
    server: int = 0

    @property
    def exchange(self) -> str:
        """Request and answer, for the reader."""
        seen = self.observation
        asked = f"CONNECT {authority(self.host, self.port)}"
        if seen.status is None:
            return asked
        said = f"{seen.status} {seen.reason}".strip()
        return f"{asked} → {said}" if seen.proxy.startswith("http") else f"SOCKS5 {asked} → {said}"


class _Notes(msgspec.Struct):
    """What was said so far."""

    host: str = ""
    port: int = 0
    status: int | None = None
    reason: str = ""
    offered: tuple[str, ...] = ()
    tried: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    failure: Failure | None = None
    #: Where the next bytes of each side are.
    client: int = 0
    server: int = 0
    open: bool = False
    secrets: set[str] = msgspec.field(default_factory=set)

    def clean(self, text: str) -> str:
        """What the proxy said, without the secrets that it was sent."""
        for secret in self.secrets:
            if len(secret) >= MIN_ECHO:
                text = text.replace(secret, "***")
        return text


def begins_socks(client: bytes, server: bytes) -> bool:
    """Whether a greeting of SOCKS5 was sent, and answered as one or not at all."""
    if not client.startswith(b"\5") or not b"\5".startswith(server[:1]):
        return False
    try:
        greeting = overheard.parse_greeting(client)
    except socks.NotSocksError:
        return False
    return greeting is not None and greeting[1] == 2 + client[1] and (bool(server) or len(client) == greeting[1])


def http_tunnel(dialogue: Dialogue) -> Tunnel | None:
    """The CONNECT in a dialogue; None where its target cannot be read."""
    notes = _Notes()
    try:
        _connect(dialogue, notes)
    except NotHttpError as error:
        notes.failure = Failure(kind="not-a-proxy", step="CONNECT", detail=notes.clean(str(error)))
    return _tunnel(dialogue, notes, "http", "CONNECT")


def _connect(dialogue: Dialogue, notes: _Notes) -> None:
    """Follow request and answer until a tunnel is open or nothing more was said. Raises ``NotHttpError``."""
    client, server = dialogue.client.data, dialogue.server.data
    for _ in range(MAX_REQUESTS):
        asked = overheard.parse_request(client[notes.client :])
        if asked is None:
            return
        request, length = asked
        if request.method != "CONNECT":
            return
        notes.client += length
        notes.host, notes.port = overheard.split_authority(request.target)
        if request.scheme:
            notes.tried = request.scheme
            notes.secrets.add(request.secret)
        notes.status, notes.failure = None, None
        head = _answer(server, notes, cut=dialogue.server.cut)
        if head is None:
            return
        _record(head, notes)
        if 200 <= head.status < 300:
            notes.open, notes.failure = True, None
            return
        body = Body(head, "CONNECT", MAX_EXCERPT * 4)
        rest = body.feed(server[notes.server :])
        notes.body = notes.clean(body_text(head, body.kept, MAX_EXCERPT))
        notes.server = len(server) - len(rest)
        if not body.complete:
            return


def _answer(server: bytes, notes: _Notes, *, cut: bool) -> ResponseHead | None:
    """The final answer's head; of a capture that holds only its beginning, the status line."""
    for _ in range(MAX_INTERIM):
        said = server[notes.server :]
        parsed = parse_head(said)
        if parsed is None and cut and b"\n" in said:
            parsed = parse_head(said[: said.index(b"\n") + 1] + b"\n")
        if parsed is None:
            return None
        head, length = parsed
        notes.server += length
        if head.status >= 200:
            return head
    return None


def _record(head: ResponseHead, notes: _Notes) -> None:
    notes.status, notes.reason = head.status, notes.clean(head.reason)[:MAX_VALUE]
    fields = head.headers[:MAX_HEADERS]
    notes.headers = tuple((notes.clean(name)[:MAX_VALUE], notes.clean(value)[:MAX_VALUE]) for name, value in fields)
    notes.body = ""
    schemes = overheard.challenge_schemes(head.all("proxy-authenticate"))
    if head.status == 407 and not notes.offered:
        notes.offered = tuple(dict.fromkeys(notes.clean(scheme) for scheme in schemes))
    said = f"{head.status} {notes.reason}".strip()
    kind: FailureKind = "proxy-authentication" if head.status == 407 else "proxy-status"
    is_proxy = bool(notes.offered) or any(head.all(name) for name in _PROXY_FIELDS)
    if head.status in _WEB_SERVER_STATUS and not is_proxy:
        kind = "not-a-proxy"
    whose = "a web server's answer to CONNECT:" if kind == "not-a-proxy" else "the proxy answered"
    notes.failure = Failure(kind=kind, step="CONNECT", detail=f"{whose} {said}")


def socks_tunnel(dialogue: Dialogue) -> Tunnel | None:
    """The SOCKS5 conversation in a dialogue; None where its target cannot be read."""
    notes = _Notes()
    try:
        _socks(dialogue.client.data, dialogue.server.data, notes)
    except socks.NotSocksError as error:
        notes.failure = Failure(kind="not-a-proxy", step="socks-connect", detail=str(error))
    return _tunnel(dialogue, notes, "socks5", "socks-connect")


def _socks(client: bytes, server: bytes, notes: _Notes) -> None:
    """RFC 1928 §3, RFC 1929, RFC 1928 §4 to §6. Raises ``NotSocksError``."""
    greeting = overheard.parse_greeting(client)
    choice = socks.parse_choice(server)
    if greeting is None or choice is None:
        return
    methods, at = greeting
    method, notes.server = choice
    if method == socks.NO_ACCEPTABLE_METHODS:
        detail = "the proxy accepts none of the client's ways to log in"
        notes.failure = Failure(kind="proxy-authentication", step="socks-greeting", detail=detail)
        return
    if method not in methods:
        raise socks.NotSocksError(f"a choice of method {method}, which was not offered")
    if method == socks.USERNAME_PASSWORD:
        notes.tried = socks.METHODS[method]
        notes.offered = (notes.tried,)
        length = overheard.password_request_length(client[at:])
        reply = socks.parse_password_reply(server[notes.server :])
        if length is None or reply is None:
            return
        at, notes.server = at + length, notes.server + reply[1]
        if not reply[0]:
            detail = "the proxy refused the user name or password"
            notes.failure = Failure(kind="proxy-authentication", step="socks-password", detail=detail)
            return
    elif method != socks.NO_AUTHENTICATION:
        return  # GSSAPI wraps what follows (RFC 1961)
    asked = overheard.parse_connect(client[at:])
    if asked is None:
        return
    (notes.host, notes.port), length = asked
    notes.client = at + length
    _socks_reply(server, notes)


def _socks_reply(server: bytes, notes: _Notes) -> None:
    answered = socks.parse_reply(server[notes.server :])
    reply = answered[0] if answered else socks.refusal(server[notes.server :])
    if reply is None:
        return
    notes.status, notes.reason = reply.code, reply.name
    if reply.code:
        detail = f"the proxy replied {reply.code}: {reply.name}"
        notes.failure = Failure(kind="proxy-status", step="socks-connect", detail=detail)
    elif answered:
        notes.open = True
        notes.server += answered[1]


def _tunnel(dialogue: Dialogue, notes: _Notes, scheme: str, step: str) -> Tunnel | None:
    if not notes.host and not notes.failure:
        return None
    row = dialogue.connection
    failure = notes.failure
    if not notes.open and failure is None and not dialogue.server.cut:
        failure = dialogue.broken_off(step, dialogue.client.at(notes.client))
    started = dialogue.client.at(1)
    ended = dialogue.server.at(notes.server) if notes.status is not None else dialogue.ending.at
    observation = ProxyObservation(
        id=f"proxy-{row.number}",
        parent=f"tcp-{row.number}",
        source="capture",
        route="proxy",
        started=started,
        took_s=max(0.0, ended - started),
        outcome="ok" if notes.open else "failed" if failure else "not-run",
        failure=failure,
        flow=dialogue.flow,
        proxy=f"{scheme}://{authority(row.server, row.server_port)}",
        status=notes.status,
        reason=notes.reason,
        offered=notes.offered,
        tried=notes.tried,
        credentials=bool(notes.tried),
        headers=notes.headers,
        body=notes.body,
    )
    return Tunnel(observation, notes.host, notes.port, notes.client, notes.server)
