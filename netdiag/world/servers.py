"""HTTPS front ends, and servers that go wrong.

Contract: each function answers one accepted connection and may raise ``OSError`` or ``EOFError``; the loop closes it.
"""

from __future__ import annotations

import contextlib
import email.utils
import selectors
import socket
import ssl
import struct
import sys
from collections.abc import Callable

from netdiag.world.authority import Authority
from netdiag.world.loop import IDLE_S
from netdiag.world.setting import Answer, Banner, HelloFilter, Web

#: A request head larger than this is not one of netdiag's.
HEAD_BYTES = 16384

#: A TLS record's header, and where it holds the length (RFC 8446 §5.1).
RECORD_HEADER_BYTES = 5
RECORD_HANDSHAKE = 0x16

RELAY_BYTES = 65536

#: How long a server that has spoken waits for its client to hang up.
LINGER_S = 2.0


def serve_web(connection: socket.socket, web: Web, authority: Authority) -> None:
    """One request, one answer."""
    if web.leaf is None:
        _respond(connection, web.answer)
        linger(connection)
        return
    context = authority.context(web.leaf, web.handshake)
    with context.wrap_socket(connection, server_side=True) as secure:
        _respond(secure, web.answer)
        secure.settimeout(LINGER_S)
        with contextlib.suppress(OSError):
            secure.unwrap()


def serve_filter(connection: socket.socket, device: HelloFilter, dial: Callable[[], socket.socket]) -> None:
    """Look for a forbidden name in the ClientHello, which carries it in the clear (RFC 6066 §3)."""
    hello = _first_record(connection)
    if device.behind is not None and not any(name.encode() in hello for name in device.names):
        with dial() as upstream:
            upstream.sendall(hello)
            relay(connection, upstream)
    elif device.how == "reset":
        reset(connection)


def serve_banner(connection: socket.socket, banner: Banner) -> None:
    """Say the line, whatever the client wants."""
    connection.sendall(banner.text.encode())
    linger(connection)


def reset(connection: socket.socket) -> None:
    """Close with a reset: lingering for zero seconds discards the connection (RFC 9293 §3.6, SO_LINGER)."""
    seconds = struct.pack("HH" if sys.platform == "win32" else "ii", 1, 0)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, seconds)
    connection.close()


def relay(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until either side ends."""
    with selectors.DefaultSelector() as selector:
        selector.register(one, selectors.EVENT_READ, other)
        selector.register(other, selectors.EVENT_READ, one)
        while ready := selector.select(IDLE_S):
            for key, _ in ready:
                assert isinstance(key.fileobj, socket.socket)
                data = key.fileobj.recv(RELAY_BYTES)
                if not data:
                    return
                key.data.sendall(data)


def read_head(connection: socket.socket) -> tuple[str, dict[str, str]]:
    """The request line and the headers (names in lower case). Raises ``EOFError`` for anything but an HTTP head."""
    data = b""
    while b"\r\n\r\n" not in data:
        if len(data) > HEAD_BYTES or (data and not data[:1].isalpha()):
            raise EOFError("not an HTTP request")
        piece = connection.recv(4096)
        if not piece:
            raise EOFError("no whole request")
        data += piece
    first, *lines = data.split(b"\r\n\r\n", 1)[0].decode("latin-1").split("\r\n")
    headers = dict(line.split(":", 1) for line in lines if ":" in line)
    return first, {name.lower(): value.strip() for name, value in headers.items()}


def send_answer(connection: socket.socket, answer: Answer) -> None:
    """The answer, with the date and the length added."""
    body = answer.body.encode()
    headers = (
        *answer.headers,
        ("Date", email.utils.formatdate(usegmt=True)),
        ("Content-Length", str(len(body))),
        ("Connection", "close"),
    )
    head = f"HTTP/1.1 {answer.status} {answer.reason}\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers)
    connection.sendall(head.encode("latin-1") + b"\r\n" + body)


#: What a plain HTTP server says to a ClientHello.
_BAD_REQUEST = Answer(
    status=400,
    reason="Bad Request",
    headers=(("Server", "nginx"), ("Content-Type", "text/html")),
    body="<html><head><title>400 Bad Request</title></head><body><h1>400 Bad Request</h1></body></html>",
)


def _respond(connection: socket.socket | ssl.SSLSocket, answer: Answer | None) -> None:
    try:
        read_head(connection)
    except EOFError as error:
        if isinstance(connection, ssl.SSLSocket) or "not an HTTP" not in str(error):
            raise
        answer = _BAD_REQUEST
    if answer is None:
        connection.recv(1)  # until the client gives up
        return
    send_answer(connection, answer)


def _first_record(connection: socket.socket) -> bytes:
    """The first TLS record, whole. Raises ``EOFError`` when the client speaks something else."""
    data = b""
    wanted = RECORD_HEADER_BYTES
    while len(data) < wanted:
        piece = connection.recv(wanted - len(data))
        if not piece:
            raise EOFError("no ClientHello")
        data += piece
        if data[0] != RECORD_HANDSHAKE:
            raise EOFError("not TLS")
        if wanted == RECORD_HEADER_BYTES == len(data):
            wanted += int.from_bytes(data[3:5], "big")
    return data


def linger(connection: socket.socket) -> None:
    """Say that this was all and wait for the client, since closing with data unread would send a reset."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(LINGER_S)
        while connection.recv(RELAY_BYTES):
            pass
