"""CONNECT to an HTTP proxy (RFC 9110 §9.3.6)."""

from __future__ import annotations

from netdiag.model import authority
from netdiag.probes.net import Deadline
from netdiag.probes.proxy_attempt import Dial, RefusedError
from netdiag.probes.proxy_http import Asked, HttpAttempt
from netdiag.probes.proxy_selection import ProxyServer
from netdiag.wire.http import ResponseHead

#: What a web server says to CONNECT, having never heard of tunnels.
_WEB_SERVER_STATUS = frozenset({400, 404, 405, 501})
#: Fields that only a proxy sends; with one of them such a status is a proxy's own.
_PROXY_FIELDS = ("x-squid-error", "proxy-authenticate", "proxy-agent", "proxy-connection", "proxy-status")


class ConnectAttempt(HttpAttempt):
    """CONNECT to an HTTP proxy, with the login that it asks for."""

    exchange_step = "CONNECT"

    def __init__(self, dial: Dial, proxy: ProxyServer, host: str, port: int, deadline: Deadline) -> None:
        target = authority(host, port)
        asked = Asked("CONNECT", target, (("Host", target), ("User-Agent", "netdiag")))
        super().__init__(dial, proxy, host, port, deadline, asked)

    def keeps(self, head: ResponseHead) -> bool:
        """A tunnel begins behind a 2xx answer."""
        return 200 <= head.status < 300

    def run(self) -> None:
        """Ask for the tunnel."""
        head = self.ask()
        if self.keeps(head):
            return
        is_proxy = bool(self.offered) or any(head.all(name) for name in _PROXY_FIELDS)
        if head.status in _WEB_SERVER_STATUS and not is_proxy:
            raise RefusedError("not-a-proxy", self.step, f"a web server's answer to CONNECT: {self.said}")
        raise RefusedError("proxy-status", self.step, f"the proxy answered {self.said}")
