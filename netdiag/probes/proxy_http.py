"""One request to an HTTP proxy, with the login that it asks for: CONNECT, or a URL that the proxy is to ask for.

Credentials are sent only when the proxy asked for a scheme that carries them, and are blanked out in what it echoes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from netdiag.probes.net import Deadline
from netdiag.probes.proxy_attempt import Attempt, Dial, RefusedError
from netdiag.probes.proxy_auth import PREFERENCE, Challenge, Login, UnusableError, login, parse_challenges
from netdiag.probes.proxy_selection import ProxyServer
from netdiag.wire.http import Body, NotHttpError, ResponseHead, body_text, parse_final_head, printable, request_head

#: Characters of the proxy's own page that are kept.
MAX_EXCERPT = 4096
#: Bytes of the page behind a refusal that are read, so that the connection can be used again. Real ones have a few KiB.
MAX_DISCARD = 256 * 1024
#: Seconds to wait for the rest of such a page; beyond that a new connection is cheaper.
BODY_PATIENCE_S = 2.0
#: Requests in one login: NTLM needs two, Negotiate with mutual authentication three.
MAX_LEGS = 6
#: Fields of the answer, and characters of each, that go into a report.
MAX_HEADERS, MAX_VALUE = 50, 500


class Asked(NamedTuple):
    """A request: ``uri`` is what its first line names (RFC 9112 §3.2), ``fields`` are all but the proxy's own."""

    method: str
    uri: str
    fields: tuple[tuple[str, str], ...]
    content: bytes = b""


@dataclass(frozen=True)
class _Answer:
    head: ResponseHead
    challenges: tuple[Challenge, ...]


class HttpAttempt(Attempt):
    """A request to an HTTP proxy, with the login that it asks for."""

    #: The step that a failure of the exchange names.
    exchange_step = "fetch"

    def __init__(self, dial: Dial, proxy: ProxyServer, host: str, port: int, deadline: Deadline, asked: Asked) -> None:
        super().__init__(dial, proxy, host, port, deadline)
        self._asked = asked
        self._notes: list[str] = []

    def keeps(self, head: ResponseHead) -> bool:
        """Whether what follows ``head`` is the caller's: it stays in the stream and the buffer, unread."""
        raise NotImplementedError

    @property
    def said(self) -> str:
        """Status and reason of the last answer."""
        return f"{self.status} {self.reason}".strip()

    def ask(self) -> ResponseHead:
        """Ask, log in when the proxy asks for that, and ask again. Raises ``RefusedError`` when no login succeeds."""
        answer = self._ask(None)
        if answer.head.status == 407:
            self.offered = tuple(dict.fromkeys(self.clean(challenge.scheme) for challenge in answer.challenges))
            answer = self._authenticate(answer)
        if answer.head.status == 407:
            detail = "; ".join([f"the proxy answered {self.said}", *self._notes])
            raise RefusedError("proxy-authentication", self.exchange_step, detail)
        return answer.head

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
                    uri=self._asked.uri,
                    method=self._asked.method,
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
        """One request and its answer. With ``replace``, a kept connection that turns out to be closed is replaced."""
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
        fields = [*self._asked.fields, ("Proxy-Connection", "keep-alive")]
        if authorization is not None:
            fields.append(("Proxy-Authorization", authorization))
            self.sent.add(authorization.partition(" ")[2])
        try:
            request = request_head(self._asked.method, self._asked.uri, fields) + self._asked.content
        except ValueError as error:
            raise RefusedError("unknown", self.exchange_step, str(error)) from error
        self.step = "connect"
        stream = self.connect()
        self.step = self.exchange_step
        stream.send(request, self.deadline)
        head = self._head()
        self._record(head)
        if not self.keeps(head):
            self._finish(head)
        return _Answer(head, parse_challenges(head.all("proxy-authenticate")) if head.status == 407 else ())

    def _head(self) -> ResponseHead:
        """The final answer's head, taken out of the buffer."""
        while (parsed := parse_final_head(self.buffer)) is None:
            if not self.more():
                raise EOFError(self._closing())
        head, length = parsed
        self.buffer = self.buffer[length:]
        return head

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
        body = Body(head, self._asked.method, MAX_EXCERPT * 4)  # four bytes of UTF-8 a character
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
