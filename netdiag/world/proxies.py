"""HTTP proxies of every mood.

Contract: like ``servers.py``. A proxy finds targets through ``Around``, so that it lives in the scene's network.
"""

from __future__ import annotations

import base64
import socket
from typing import Protocol

from netdiag.world.authority import Authority, Leaf
from netdiag.world.servers import linger, read_head, relay, send_answer, serve_web
from netdiag.world.setting import Answer, Proxy, Web


class Around(Protocol):
    """The network as the proxy sees it."""

    def web(self, host: str, port: int) -> Web | None:
        """The web server that stands behind a name."""

    def dial(self, host: str, port: int) -> socket.socket:
        """A connection to it. Raises ``LookupError`` for an unknown name, ``OSError`` for an address without answer."""


def serve_proxy(connection: socket.socket, proxy: Proxy, authority: Authority, around: Around) -> None:
    """Answer one CONNECT (RFC 9110 §9.3.6)."""
    first, headers = read_head(connection)
    method, _, rest = first.partition(" ")
    host, _, port = rest.split(" ")[0].rpartition(":")
    host = host.strip("[]")
    if method != "CONNECT" or not port.isdigit():
        _refuse(connection, _NOT_A_TUNNEL)
    elif proxy.account and headers.get("proxy-authorization") != _basic(*proxy.account):
        _refuse(connection, _ASKS_BASIC)
    elif proxy.answer:
        _refuse(connection, proxy.answer)
    elif proxy.inspects and (web := around.web(host, int(port))):
        connection.sendall(_ESTABLISHED)
        forged = Leaf(names=(host,), issuer=proxy.inspects)
        serve_web(connection, Web(answer=web.answer, leaf=forged), authority)
    else:
        _tunnel(connection, host, int(port), around)


def _tunnel(connection: socket.socket, host: str, port: int, around: Around) -> None:
    try:
        upstream = around.dial(host, port)
    except LookupError:
        _refuse(connection, _NAME_UNKNOWN)
    except OSError:
        _refuse(connection, _NO_ANSWER)
    else:
        with upstream:
            connection.sendall(_ESTABLISHED)
            relay(connection, upstream)


def _refuse(connection: socket.socket, answer: Answer) -> None:
    send_answer(connection, answer)
    linger(connection)


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"

_SQUID = ("Server", "squid/6.10")

_ASKS_BASIC = Answer(
    status=407,
    reason="Proxy Authentication Required",
    headers=(_SQUID, ("Proxy-Authenticate", 'Basic realm="Contoso"')),
)
_NOT_A_TUNNEL = Answer(status=405, reason="Method Not Allowed", headers=(_SQUID, ("Allow", "CONNECT")))
_NAME_UNKNOWN = Answer(status=503, reason="Service Unavailable", headers=(_SQUID, ("X-Squid-Error", "ERR_DNS_FAIL 0")))
_NO_ANSWER = Answer(
    status=503, reason="Service Unavailable", headers=(_SQUID, ("X-Squid-Error", "ERR_CONNECT_FAIL 110"))
)
