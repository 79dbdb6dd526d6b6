"""The servers that no package offers, as one program: ``python lab_servers.py ROLE...``, standard library only.

ROLE is ``name,host,port[,argument...]``:
    slow        an HTTP backend; /SECONDS/... is answered after so many seconds
    mute        accepts, reads, never answers
    hangup      accepts, reads once, closes (FIN)
    endless     reads once, then answers HTTP with a body that never ends
    mutual      TLS that insists on a client certificate: certificate, key, CA follow
    sni-filter  what a firewall redirects connections to: resets a ClientHello that contains the name that follows,
                relays any other to where it was going
    ready       not a server: connects to host:port until it accepts, at most 15 s; exits when all did
    listens     as ready, without connecting: for a server that a connection without a request blocks for ever
"""

from __future__ import annotations

import contextlib
import http.server
import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

_SO_ORIGINAL_DST = 80  # linux/netfilter_ipv4.h, and the same number for IPv6
_LINGER_RESET = struct.pack("ii", 1, 0)  # close() sends RST (tcp(7), SO_LINGER)


class _Slow(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        time.sleep(float(self.path.split("/")[1]))
        body = b"here at last\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Quiet."""


def _slow(host: str, port: int) -> None:
    http.server.ThreadingHTTPServer((host, port), _Slow).serve_forever()


def _serve(host: str, port: int, handle: Callable[[socket.socket], None]) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, backlog=64) as listener:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_guarded, args=(handle, connection), daemon=True).start()


def _guarded(handle: Callable[[socket.socket], None], connection: socket.socket) -> None:
    with contextlib.suppress(OSError), connection:
        handle(connection)


def _mute(connection: socket.socket) -> None:
    while connection.recv(65536):
        pass


def _hangup(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.shutdown(socket.SHUT_WR)
    _mute(connection)


def _endless(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/pkix-crl\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    while True:
        connection.sendall(chunk)


def _mutual(certificate: str, key: str, authorities: str) -> Callable[[socket.socket], None]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(authorities)
    context.verify_mode = ssl.CERT_REQUIRED

    def handle(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(65536)
            secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    return handle


def _sni_filter(name: str) -> Callable[[socket.socket], None]:
    def handle(connection: socket.socket) -> None:
        hello = _record(connection)
        if name.encode() in hello:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
            return
        with socket.create_connection(_original(connection)) as onward:
            onward.sendall(hello)
            back = threading.Thread(target=_pump, args=(onward, connection), daemon=True)
            back.start()
            _pump(connection, onward)
            back.join()

    return handle


def _record(connection: socket.socket) -> bytes:
    """The first TLS record, whole (RFC 8446 §5.1): a hybrid key share makes a ClientHello longer than one segment."""
    data = b""
    while len(data) < 5 or len(data) < 5 + int.from_bytes(data[3:5], "big"):
        more = connection.recv(65536)
        if not more:
            return data
        data += more
    return data


def _original(connection: socket.socket) -> tuple[str, int]:
    if connection.family == socket.AF_INET6:
        raw = connection.getsockopt(socket.IPPROTO_IPV6, _SO_ORIGINAL_DST, 28)
        return socket.inet_ntop(socket.AF_INET6, raw[8:24]), int.from_bytes(raw[2:4], "big")
    raw = connection.getsockopt(socket.IPPROTO_IP, _SO_ORIGINAL_DST, 16)
    return socket.inet_ntop(socket.AF_INET, raw[4:8]), int.from_bytes(raw[2:4], "big")


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def _wait(host: str, port: int) -> None:
    end = time.monotonic() + 15
    while True:
        try:
            socket.create_connection((host, port), timeout=1).close()
            return
        except OSError as error:
            if time.monotonic() > end:
                sys.exit(f"{host} port {port}: {error}")
            time.sleep(0.02)


def _wait_for_listener(port: int) -> None:
    """Until somebody in this network namespace listens on the port: state 0A of proc_net_tcp."""
    end = time.monotonic() + 15
    wanted = f":{port:04X}"
    while True:
        for table in ("/proc/self/net/tcp", "/proc/self/net/tcp6"):
            for line in Path(table).read_text().splitlines()[1:]:
                _, local, _, state, *_ = line.split()
                if local.endswith(wanted) and state == "0A":
                    return
        if time.monotonic() > end:
            sys.exit(f"nobody listens on port {port}")
        time.sleep(0.02)


def _server(kind: str, host: str, port: int, rest: list[str]) -> Callable[[], None]:
    if kind == "slow":
        return lambda: _slow(host, port)
    handlers: dict[str, Callable[..., Callable[[socket.socket], None]]] = {
        "mute": lambda: _mute,
        "hangup": lambda: _hangup,
        "endless": lambda: _endless,
        "mutual": _mutual,
        "sni-filter": _sni_filter,
    }
    handle = handlers[kind](*rest)
    return lambda: _serve(host, port, handle)


def main(roles: list[str]) -> None:
    threads = []
    for role in roles:
        kind, host, number, *rest = role.split(",")
        port = int(number)
        if kind == "ready":
            _wait(host, port)
            continue
        if kind == "listens":
            _wait_for_listener(port)
            continue
        threads.append(threading.Thread(target=_server(kind, host, port, rest), daemon=True))
        threads[-1].start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main(sys.argv[1:])
