"""Open a tunnel to the target through a proxy: CONNECT (RFC 9110 §9.3.6) or SOCKS5.

Contract: one ``ProxyObservation`` out, and the tunnel when it opened; network trouble is a ``Failure`` in it.
Credentials are sent only when the proxy asked for a scheme that carries them, and appear in no observation. Every
answer is bounded in size and every wait in time. Nothing is judged beyond what the bytes prove.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from netdiag.model import Failure, FailureKind, Flow, ProxyObservation
from netdiag.probes.failure import from_exception
from netdiag.probes.net import Deadline, Step, Stopwatch, Stream
from netdiag.probes.proxy_auth import PREFERENCE, Challenge, Login, UnusableError, login, parse_challenges
from netdiag.probes.proxy_selection import ProxyServer
from netdiag.wire import socks
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
#: A shorter password is not searched for in what the proxy sends back: it would blank out half of the page.
MIN_ECHO = 4

#: What a web server says to CONNECT, having never heard of tunnels.
_WEB_SERVER_STATUS = frozenset({400, 404, 405, 501})
#: Fields that only a proxy sends; with one of them such a status is a proxy's own.
_PROXY_FIELDS = ("x-squid-error", "proxy-authenticate", "proxy-agent", "proxy-connection", "proxy-status")

Dial = Callable[[], Stream]
T = TypeVar("T")


class _RefusedError(Exception):
    """The proxy's no, as a failure."""

    def __init__(self, kind: FailureKind, step: str, detail: str) -> None:
        super().__init__(detail)
        self.failure = Failure(kind=kind, step=step, detail=detail)


def tunnel(
    dial: Dial, proxy: ProxyServer, target_host: str, target_port: int, deadline: Deadline, step: Step
) -> tuple[ProxyObservation, Stream | None]:
    """Ask ``proxy`` for a tunnel to the target, logging in when it asks for that.

    ``dial`` connects to the proxy anew and may raise ``OSError``; it is called again when the proxy closes after a
    challenge. The stream is positioned at the first byte behind the proxy's answer. It is closed when there is no
    tunnel.
    """
    watch = Stopwatch()
    kind = _Socks if proxy.scheme == "socks5" else _Connect
    attempt = kind(dial, proxy, target_host, target_port, deadline)
    failure: Failure | None = None
    try:
        attempt.run()
    except _RefusedError as refused:
        failure = refused.failure
    except (NotHttpError, socks.NotSocksError) as error:
        detail = f"unexpected answer: {error}"
        if attempt.buffer[:1] in (b"\x15", b"\x16") and attempt.buffer[1:2] == b"\x03":
            detail = "the port answers in TLS"  # a record header: alert or handshake, version 3.x (RFC 8446 §5.1)
        failure = Failure(kind="not-a-proxy", step=attempt.step, detail=detail)
    except (OSError, EOFError) as error:
        failure = from_exception(error, attempt.step)
    stream = attempt.stream
    observation = ProxyObservation(
        **step._asdict(),
        started=watch.started,
        took_s=watch.took_s,
        outcome="failed" if failure else "ok",
        failure=failure,
        flow=attempt.flow,
        proxy=proxy.url,
        status=attempt.status,
        reason=attempt.reason,
        offered=attempt.offered,
        tried=attempt.tried,
        credentials=attempt.credentials,
        headers=attempt.headers,
        body=attempt.body,
    )
    if failure is not None or stream is None:
        attempt.hang_up()
        return observation, None
    return observation, _Resumed(stream, attempt.buffer) if attempt.buffer else stream


class _Resumed:
    """A stream of which some bytes have been received already."""

    def __init__(self, stream: Stream, received: bytes) -> None:
        self._stream, self._received = stream, received

    @property
    def flow(self) -> Flow | None:
        return self._stream.flow

    def send(self, data: bytes, deadline: Deadline) -> None:
        self._stream.send(data, deadline)

    def receive(self, deadline: Deadline, limit: int = 65536) -> bytes:
        if self._received:
            data, self._received = self._received[:limit], self._received[limit:]
            return data
        return self._stream.receive(deadline, limit)

    def close(self) -> None:
        self._received = b""
        self._stream.close()


class _Attempt:
    """The connection to the proxy, and what the observation will say of it."""

    def __init__(self, dial: Dial, proxy: ProxyServer, host: str, port: int, deadline: Deadline) -> None:
        self._dial, self.proxy, self.host, self.port, self.deadline = dial, proxy, host, port, deadline
        self.stream: Stream | None = None
        self.flow: Flow | None = None
        self.buffer = b""
        self.step = "connect"
        self.status: int | None = None
        self.reason = ""
        self.offered: tuple[str, ...] = ()
        self.tried = ""
        self.credentials = False
        self.headers: tuple[tuple[str, str], ...] = ()
        self.body = ""

    @property
    def secret(self) -> tuple[str, str] | None:
        return (self.proxy.user, self.proxy.password) if self.proxy.user or self.proxy.password else None

    def run(self) -> None:
        raise NotImplementedError

    def connect(self) -> Stream:
        """The connection in use, or a new one."""
        if self.stream is None:
            self.stream = self._dial()
            self.flow = self.stream.flow
            self.buffer = b""
        return self.stream

    def hang_up(self) -> None:
        if self.stream is not None:
            self.stream.close()
        self.stream, self.buffer = None, b""

    def more(self, deadline: Deadline | None = None) -> bool:
        """Receive into the buffer; False when the proxy has closed."""
        assert self.stream is not None
        data = self.stream.receive(deadline or self.deadline)
        self.buffer += data
        return bool(data)


@dataclass(frozen=True)
class _Answer:
    head: ResponseHead
    challenges: tuple[Challenge, ...]


class _Connect(_Attempt):
    """CONNECT to an HTTP proxy, with the login that it asks for."""

    def __init__(self, dial: Dial, proxy: ProxyServer, host: str, port: int, deadline: Deadline) -> None:
        super().__init__(dial, proxy, host, port, deadline)
        self._authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._sent: set[str] = set()
        self._notes: list[str] = []

    def run(self) -> None:
        answer = self._ask(None)
        if answer.head.status == 407:
            self.offered = tuple(dict.fromkeys(challenge.scheme for challenge in answer.challenges))
            answer = self._authenticate(answer)
        head = answer.head
        if 200 <= head.status < 300:
            return
        said = f"{head.status} {self.reason}".strip()
        if head.status == 407:
            raise _RefusedError(
                "proxy-authentication", "CONNECT", "; ".join([f"the proxy answered {said}", *self._notes])
            )
        is_proxy = bool(self.offered) or any(head.all(name) for name in _PROXY_FIELDS)
        if head.status in _WEB_SERVER_STATUS and not is_proxy:
            raise _RefusedError("not-a-proxy", "CONNECT", f"a web server's answer to CONNECT: {said}")
        raise _RefusedError("proxy-status", "CONNECT", f"the proxy answered {said}")

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
                self._notes.append(f"{scheme} could not be tried: {self._clean(str(error))}")
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
                self._notes.append(f"{self.tried} broke off: {self._clean(str(error))}")
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
            self._sent.add(authorization.partition(" ")[2])
        try:
            request = request_head("CONNECT", self._authority, fields)
        except ValueError as error:
            raise _RefusedError("unknown", "CONNECT", str(error)) from error
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
            return f"the proxy closed the connection in the middle of its answer ({printable(self.buffer)})"
        return "the proxy closed the connection without an answer"

    def _record(self, head: ResponseHead) -> None:
        self.status, self.reason = head.status, self._clean(head.reason)[:MAX_VALUE]
        fields = head.headers[:MAX_HEADERS]
        self.headers = tuple((name[:MAX_VALUE], self._clean(value)[:MAX_VALUE]) for name, value in fields)
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
        self.body = self._clean(body_text(head, body.kept, MAX_EXCERPT))
        if not (reusable and body.complete) or body.until_close:
            self.hang_up()

    def _clean(self, text: str) -> str:
        """What the proxy said, without the secrets that it may have been sent and echo."""
        echoes = {value for value in self._sent if value}
        if len(self.proxy.password) >= MIN_ECHO:
            echoes.add(self.proxy.password)
        for echo in sorted(echoes, key=len, reverse=True):
            text = text.replace(echo, "***")
        return text


def _begin(scheme: str, challenges: tuple[Challenge, ...]) -> tuple[Challenge, ...]:
    """The opening challenges of a scheme; for NTLM and Negotiate bare, whatever an earlier exchange left in them."""
    if scheme in ("NTLM", "Negotiate"):
        return (Challenge(scheme, "", {}),)
    return tuple(challenge for challenge in challenges if challenge.scheme == scheme)


class _Socks(_Attempt):
    """CONNECT to a SOCKS5 proxy, which resolves the target's name."""

    def run(self) -> None:
        secret = self.secret
        methods = (socks.NO_AUTHENTICATION, socks.USERNAME_PASSWORD) if secret else (socks.NO_AUTHENTICATION,)
        stream = self.connect()
        self.step = "socks-greeting"
        stream.send(socks.greeting(*methods), self.deadline)
        method = self._read(socks.parse_choice)
        if method == socks.USERNAME_PASSWORD and secret:
            self._log_in(stream, secret)
        elif method == socks.NO_ACCEPTABLE_METHODS:
            self.credentials = secret is not None
            how = "with a user name and password" if secret else "without authentication"
            raise _RefusedError("proxy-authentication", self.step, f"the proxy does not accept a client {how}")
        elif method not in methods:
            raise socks.NotSocksError(f"a choice of method {method}, which was not offered")
        self.step = "socks-connect"
        try:
            request = socks.connect_request(self.host, self.port)
        except ValueError as error:
            raise _RefusedError("unknown", self.step, str(error)) from error
        stream.send(request, self.deadline)
        reply = self._reply()
        self.status, self.reason = reply.code, reply.name
        if reply.code:
            raise _RefusedError("proxy-status", self.step, f"the proxy replied {reply.code}: {reply.name}")

    def _log_in(self, stream: Stream, secret: tuple[str, str]) -> None:
        self.step = "socks-password"
        self.offered = (socks.METHODS[socks.USERNAME_PASSWORD],)
        try:
            request = socks.password_request(*secret)
        except ValueError as error:
            raise _RefusedError("proxy-authentication", self.step, str(error)) from error
        self.tried, self.credentials = self.offered[0], True
        stream.send(request, self.deadline)
        if not self._read(socks.parse_password_reply):
            raise _RefusedError("proxy-authentication", self.step, "the proxy refused the user name or password")

    def _read(self, parse: Callable[[bytes], tuple[T, int] | None]) -> T:
        """The next message, taken out of the buffer."""
        while (parsed := parse(self.buffer)) is None:
            if not self.more():
                raise EOFError("the proxy closed the connection without an answer")
        value, length = parsed
        self.buffer = self.buffer[length:]
        return value

    def _reply(self) -> socks.Reply:
        """The reply to the request, also a refusal that the proxy cuts short by closing."""
        try:
            return self._read(socks.parse_reply)
        except (OSError, EOFError):
            if (reply := socks.refusal(self.buffer)) is None:
                raise
            return reply
