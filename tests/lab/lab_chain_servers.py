"""The servers of the chain, as threads: their sockets belong to the namespace that the caller is in.

Each function that starts one returns what stops it.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from tests.lab.lab_sites import http_conf

_LINGER_RESET = struct.pack("ii", 1, 0)  # close() sends RST (tcp(7), SO_LINGER)

Handler = Callable[[socket.socket], None]
Stop = Callable[[], object]


def _abort_unread(connection: socket.socket) -> None:
    """Closed with data unread, which makes the kernel send a reset (RFC 2525 §2.17)."""
    connection.recv(1, socket.MSG_PEEK)


def _abort(connection: socket.socket) -> None:
    """Reads what the client has to say, and aborts."""
    connection.recv(65536)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)


def _abort_at_once(connection: socket.socket) -> None:
    """Accepts, and aborts."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)


def _abort_request(context: ssl.SSLContext) -> Handler:
    """Completes the TLS handshake, reads the request, and aborts."""

    def handle(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(65536)
            secured.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)

    return handle


def _close_at_once(connection: socket.socket) -> None:
    """Accepts, and closes: whatever comes then is reset."""


ABORT_UNREAD, ABORT, ABORT_AT_ONCE, ABORT_REQUEST, CLOSE_AT_ONCE = range(8441, 8446)


def start(folder: Path) -> list[Stop]:
    """Every server that aborts; ``folder`` has its certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    handlers: dict[int, Handler] = {
        ABORT_UNREAD: _abort_unread,
        ABORT: _abort,
        ABORT_AT_ONCE: _abort_at_once,
        ABORT_REQUEST: _abort_request(context),
        CLOSE_AT_ONCE: _close_at_once,
    }
    return [_serve(port, handler) for port, handler in handlers.items()]


def _serve(port: int, handle: Handler) -> Stop:
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)

    def answer(connection: socket.socket) -> None:
        connection.settimeout(10)
        with contextlib.suppress(OSError), connection:
            handle(connection)

    def accept() -> None:
        with contextlib.suppress(OSError), listener:
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return lambda: listener.shutdown(socket.SHUT_RDWR)


def accepts(address: str, port: int) -> bool:
    """Whether a connection to it comes about."""
    try:
        socket.create_connection((address, port), timeout=1).close()
    except OSError:
        return False
    return True


def nginx_conf(folder: Path, port: int, small: str) -> str:
    """A web server for every name, and one with the small certificate."""
    servers = "\n".join(
        f"server {{ listen {port} ssl; listen [::]:{port} ssl; server_name {name}; {_tls(folder, file)} }}"
        for name, file in (("_", "server"), (small, "small"))
    )
    return http_conf(folder, "chain", servers)


def _tls(folder: Path, file: str) -> str:
    keys = f"ssl_certificate {folder}/{file}.pem; ssl_certificate_key {folder}/{file}.key;"
    return f'{keys} large_client_header_buffers 4 32k; location / {{ return 200 "hello\\n"; }}'


# --- names ----------------------------------------------------------------------------------------------------------

Zone = Mapping[tuple[str, str], str]


def reverse(address: str) -> str:
    """The name under which the name of an address is kept (RFC 1035 §3.5, RFC 3596 §2.5)."""
    return ipaddress.ip_address(address).reverse_pointer


def start_names(zone: Zone, address: str) -> Stop:
    """A name server over UDP, which knows one value for a name and type."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, 53))
    known = {name for name, _ in zone}

    def answer() -> None:
        with contextlib.suppress(OSError), sock:
            while True:
                question, sender = sock.recvfrom(4096)
                if not question:
                    return
                with contextlib.suppress(dns.exception.DNSException, IndexError):
                    sock.sendto(_answer(zone, known, question), sender)

    threading.Thread(target=answer, daemon=True).start()
    return lambda: sock.shutdown(socket.SHUT_RDWR)


def _answer(zone: Zone, known: set[str], question: bytes) -> bytes:
    query = dns.message.from_wire(question)
    response = dns.message.make_response(query, recursion_available=True)
    asked = query.question[0]
    name, kind = asked.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(asked.rdtype)
    if (name, kind) in zone:
        response.answer.append(dns.rrset.from_text(asked.name, 300, "IN", kind, zone[name, kind]))
    elif name not in known:
        response.set_rcode(dns.rcode.NXDOMAIN)
    return response.to_wire()
