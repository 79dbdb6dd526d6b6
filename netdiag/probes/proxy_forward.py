"""A plain http URL that an HTTP proxy is to ask for: the absolute form of a request (RFC 9112 §3.2.2)."""

from __future__ import annotations

from netdiag.probes.net import Deadline
from netdiag.probes.proxy_attempt import Dial
from netdiag.probes.proxy_http import Asked, HttpAttempt
from netdiag.probes.proxy_selection import ProxyServer
from netdiag.wire.http import ResponseHead


class ForwardAttempt(HttpAttempt):
    """After ``run``, ``head`` is the answer's, and its body begins with ``buffer`` and goes on in ``stream``."""

    head: ResponseHead

    def __init__(self, dial: Dial, proxy: ProxyServer, deadline: Deadline, asked: Asked) -> None:
        super().__init__(dial, proxy, "", 0, deadline, asked)

    def keeps(self, head: ResponseHead) -> bool:
        """Only 407 is surely the proxy's own answer (RFC 9110 §15.5.8)."""
        return head.status != 407

    def run(self) -> None:
        """Ask for the URL. Raises ``RefusedError`` only for the login."""
        self.head = self.ask()
