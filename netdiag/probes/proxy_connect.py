"""CONNECT to an HTTP proxy (RFC 9110 §9.3.6), with the login that it asks for.

Credentials are sent only when the proxy asked for a scheme that carries them, and are blanked out in what it echoes.
"""

from __future__ import annotations

from dataclasses import dataclass

from netdiag.model import authority
from netdiag.probes.net import Deadline
from netdiag.probes.proxy_attempt import Attempt, Dial, RefusedError
from netdiag.probes.proxy_auth import PREFERENCE, Challenge, Login, UnusableError, login, parse_challenges
from netdiag.probes.proxy_selection import ProxyServer
from netdiag.wire.http import Body, NotHttpError, ResponseHead, body_text, parse_head, printable, request_head

#: Characters of the proxy's own page that are kept.
MAX_EXCERPT = 4096
#: Bytes of the page behind a refusal that are read, so that the connection can be used again. Real ones have a few KiB.
MAX_DISCARD = 256 * 1024
#: Seconds to wait for the rest of such a page; beyond that a new connection is cheaper.
BODY_PATIENCE_S = 2.0
#: Requests in one login: NTLM needs two, Negotiate with mutual authentication three.
MAX_LEGS = 6
#: Interim answers (RFC 9110 §15.2) before the final one.
MAX_INTERIM = 5
#: Fields of the answer, and characters of each, that go into a report.
MAX_HEADERS, MAX_VALUE = 50, 500

#: What a web server says to CONNECT, having never heard of tunnels.
_WEB_SERVER_STATUS = frozenset({400, 404, 405, 501})
#: Fields that only a proxy sends; with one of them such a status is a proxy's own.
_PROXY_FIELDS = ("x-squid-error", "proxy-authenticate", "proxy-agent", "proxy-connection", "proxy-status")


@dataclass(frozen=True)
class _Answer:
    head: ResponseHead
    challenges: tuple[Challenge, ...]


class ConnectAttempt(Attempt):
    """CONNECT to an HTTP proxy, with the login that it asks for."""

    def __init__(self, dial: Dial, proxy: ProxyServer, host: str, port: int, deadline: Deadline) -> None:
        super().__init__(dial, proxy, host, port, deadline)
        self._authority = authority(host, port)
        self._notes: list[str] = []

    def run(self) -> None:
        """Ask, log in when the proxy asks for that, and ask again."""
        answer = self._ask(None)
        if answer.head.status == 407:
            self.offered = tuple(dict.fromkeys(self.clean(challenge.scheme) for challenge in answer.challenges))
            answer = self._authenticate(answer)
        head = answer.head
        if 200 <= head.status < 300:
            return
        said = f"{head.status} {self.reason}".strip()
        if head.status == 407:
            raise RefusedError(
                "proxy-authentication", "CONNECT", "; ".join([f"the proxy answered {said}", *self._notes])
            )
        is_proxy = bool(self.offered) or any(head.all(name) for name in _PROXY_FIELDS)
        if head.status in _WEB_SERVER_STATUS and not is_proxy:
            raise RefusedError("not-a-proxy", "CONNECT", f"a web server's answer to CONNECT: {said}")
        raise RefusedError("proxy-status", "CONNECT", f"the proxy answered {said}")

    def _authenticate(self, answer: _Answer) -> _Answer:
        """Answer the challenge, strongest scheme first; the next when one cannot be used here. The last answer."""
        first = answer
        schemes = [scheme for scheme in PREFERENCE if scheme in self.offered]
        self.credentials = bool(schemes) and self.secret is not None
        for scheme in schemes:
            if self.tried:
                self.hang_up()  # a connection that refused one login may have forgotten how to begin another
            try:
                session = login(
                    scheme,
                    self.secret,
                    authority=self._authority,
                    proxy_host=self.proxy.host,
                    deadline=self.deadline,
                )
                value = session.answer(_begin(scheme, answer.challenges) or _begin(scheme, first.challenges))
            except UnusableError as error:
                self._notes.append(f"{scheme} could not be tried: {self.clean(str(error))}")
                continue
            if value is None:
                continue
            self.credentials, self.tried = True, scheme
            answer = self._converse(session, value)
            if answer.head.status != 407 or session.spent:
                return answer
            self._notes.append(f"{scheme} was refused")
        return answer

    def _converse(self, session: Login, value: str) -> _Answer:
        """Send ``value`` and what the session says to each further challenge."""
        answer = self._ask(value)
        for _ in range(MAX_LEGS):
            if answer.head.status != 407:
                return answer
            try:
                following = session.answer(answer.challenges)
            except UnusableError as error:
                self._notes.append(f"{self.tried} broke off: {self.clean(str(error))}")
                return answer
            if following is None:
                return answer
            if session.bound and self.stream is None:
                self._notes.append(f"the proxy closed the connection in the middle of {self.tried}")
                return answer
            try:
                answer = self._ask(following, replace=not session.bound)
            except (ConnectionError, EOFError):
                if not session.bound:
                    raise
                self._notes.append(f"the proxy closed the connection in the middle of {self.tried}")
                return answer  # still 407, which says more than the closing does
        return answer

    def _ask(self, authorization: str | None, *, replace: bool = True) -> _Answer:
        """One CONNECT and its answer. With ``replace``, a kept connection that turns out to be closed is replaced."""
        kept = replace and self.stream is not None
        try:
            return self._exchange(authorization)
        except (ConnectionError, EOFError):
            if not kept or self.buffer:
                raise
            self.hang_up()
            return self._exchange(authorization)

    def _exchange(self, authorization: str | None) -> _Answer:
        # curl sends Proxy-Connection too: an HTTP/1.0 proxy closes after its challenge without it.
        fields = [("Host", self._authority), ("User-Agent", "netdiag"), ("Proxy-Connection", "keep-alive")]
        if authorization is not None:
            fields.append(("Proxy-Authorization", authorization))
            self.sent.add(authorization.partition(" ")[2])
        try:
            request = request_head("CONNECT", self._authority, fields)
        except ValueError as error:
            raise RefusedError("unknown", "CONNECT", str(error)) from error
        self.step = "connect"
        stream = self.connect()
        self.step = "CONNECT"
        stream.send(request, self.deadline)
        head = self._head()
        self._record(head)
        if not 200 <= head.status < 300:
            self._finish(head)
        return _Answer(head, parse_challenges(head.all("proxy-authenticate")) if head.status == 407 else ())

    def _head(self) -> ResponseHead:
        """The final answer's head, taken out of the buffer."""
        interim = 0
        while True:
            parsed = parse_head(self.buffer)
            if parsed is None:
                if not self.more():
                    raise EOFError(self._closing())
                continue
            head, length = parsed
            self.buffer = self.buffer[length:]
            if head.status >= 200:
                return head
            interim += 1
            if interim > MAX_INTERIM:
                raise NotHttpError("an endless row of interim answers")

    def _closing(self) -> str:
        if self.buffer:
            said = self.clean(printable(self.buffer))
            return f"the proxy closed the connection in the middle of its answer ({said})"
        return "the proxy closed the connection without an answer"

    def _record(self, head: ResponseHead) -> None:
        self.status, self.reason = head.status, self.clean(head.reason)[:MAX_VALUE]
        fields = head.headers[:MAX_HEADERS]
        self.headers = tuple((self.clean(name)[:MAX_VALUE], self.clean(value)[:MAX_VALUE]) for name, value in fields)
        self.body = ""

    def _finish(self, head: ResponseHead) -> None:
        """Read the page behind a refusal, and hang up unless the connection can carry another request."""
        body = Body(head, "CONNECT", MAX_EXCERPT * 4)  # four bytes of UTF-8 a character
        patience = self.deadline.within(BODY_PATIENCE_S)
        reusable = head.persistent
        try:
            self.buffer = body.feed(self.buffer)
            while not body.complete and body.size < MAX_DISCARD:
                if not self.more(patience):
                    body.end()
                    reusable = False
                    break
                self.buffer = body.feed(self.buffer)
        except (OSError, NotHttpError):  # the head has said what matters; the page only adds to it
            reusable = False
        self.body = self.clean(body_text(head, body.kept, MAX_EXCERPT))
        if not (reusable and body.complete) or body.until_close:
            self.hang_up()


def _begin(scheme: str, challenges: tuple[Challenge, ...]) -> tuple[Challenge, ...]:
    """The opening challenges of a scheme; for NTLM and Negotiate bare, whatever an earlier exchange left in them."""
    if scheme in ("NTLM", "Negotiate"):
        return (Challenge(scheme, "", {}),)
    return tuple(challenge for challenge in challenges if challenge.scheme == scheme)
