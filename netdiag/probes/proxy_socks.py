"""CONNECT to a SOCKS5 proxy (RFC 1928), with a user name and password where it wants them (RFC 1929)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from netdiag.probes.net import Stream
from netdiag.probes.proxy_attempt import Attempt, RefusedError
from netdiag.wire import socks

T = TypeVar("T")


class SocksAttempt(Attempt):
    """CONNECT to a SOCKS5 proxy, which resolves the target's name."""

    def run(self) -> None:
        """Agree on a method, log in when it is the password, ask for the target."""
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
            raise RefusedError("proxy-authentication", self.step, f"the proxy does not accept a client {how}")
        elif method not in methods:
            raise socks.NotSocksError(f"a choice of method {method}, which was not offered")
        self.step = "socks-connect"
        try:
            request = socks.connect_request(self.host, self.port)
        except ValueError as error:
            raise RefusedError("unknown", self.step, str(error)) from error
        stream.send(request, self.deadline)
        reply = self._reply()
        self.status, self.reason = reply.code, reply.name
        if reply.code:
            raise RefusedError("proxy-status", self.step, f"the proxy replied {reply.code}: {reply.name}")

    def _log_in(self, stream: Stream, secret: tuple[str, str]) -> None:
        self.step = "socks-password"
        self.offered = (socks.METHODS[socks.USERNAME_PASSWORD],)
        try:
            request = socks.password_request(*secret)
        except ValueError as error:
            raise RefusedError("proxy-authentication", self.step, str(error)) from error
        self.tried, self.credentials = self.offered[0], True
        stream.send(request, self.deadline)
        if not self._read(socks.parse_password_reply):
            raise RefusedError("proxy-authentication", self.step, "the proxy refused the user name or password")

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
