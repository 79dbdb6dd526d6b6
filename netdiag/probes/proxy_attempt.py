"""What all ways of asking a proxy share: the connection, and what the observation will say of it."""

from __future__ import annotations

from collections.abc import Callable

from netdiag.model import Flow
from netdiag.probes.failure import FailedError
from netdiag.probes.net import Deadline, Stream
from netdiag.probes.proxy_selection import ProxyServer

#: A shorter password is not searched for in what the proxy sends back: it would blank out half of the page.
MIN_ECHO = 4

Dial = Callable[[], Stream]


class RefusedError(FailedError):
    """The proxy's no."""


class Attempt:
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
        #: What went out as a login.
        self.sent: set[str] = set()

    @property
    def secret(self) -> tuple[str, str] | None:
        """User name and password, when there are any."""
        return (self.proxy.user, self.proxy.password) if self.proxy.user or self.proxy.password else None

    def run(self) -> None:
        """Ask the proxy. Raises ``RefusedError``, ``NotHttpError``, ``NotSocksError``, ``OSError`` or ``EOFError``."""
        raise NotImplementedError

    def clean(self, text: str) -> str:
        """What the proxy said, without the secrets that it may have been sent and echo."""
        echoes = {value for value in self.sent if value}
        if len(self.proxy.password) >= MIN_ECHO:
            echoes.add(self.proxy.password)
        for echo in sorted(echoes, key=len, reverse=True):
            text = text.replace(echo, "***")
        return text

    def connect(self) -> Stream:
        """The connection in use, or a new one."""
        if self.stream is None:
            self.stream = self._dial()
            self.flow = self.stream.flow
            self.buffer = b""
        return self.stream

    def hang_up(self) -> None:
        """Close the connection, and forget what came over it."""
        if self.stream is not None:
            self.stream.close()
        self.stream, self.buffer = None, b""

    def more(self, deadline: Deadline | None = None) -> bool:
        """Receive into the buffer; False when the proxy has closed."""
        assert self.stream is not None
        data = self.stream.receive(deadline or self.deadline)
        self.buffer += data
        return bool(data)
