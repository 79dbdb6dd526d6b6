"""A node of an integration runtime for tests: net.tcp (MC-NMF) read strictly, by a parser of its own.

    python -m tests.node_server HOST PORT MODE [CERTIFICATE KEY [AUTHORITIES]]

MODE is what it does:
    tls               takes the upgrade to TLS, and acknowledges the end of the preamble inside it
    mutual            the same, and insists on a client certificate (AUTHORITIES)
    negotiate, plain  takes the upgrade to Windows security, or none at all, and answers others with UpgradeInvalid
    ignores           takes no upgrade, and is silent to those who ask for one (as Mono's WCF is)
    fault:NAME        answers every preamble with this fault; inside:NAME the end of it, inside TLS
    silent, close, reset            after the preamble
    tls-silent, tls-close, tls-reset  after the upgrade was agreed to, when the ClientHello has come
    end-silent, end-close, end-reset  after the TLS handshake
    says:TEXT         says the text, whatever comes
    waits             an HTTP server that is silent until a whole request has come
    echo              sends everything back
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import sys
import threading
from dataclasses import dataclass, field
from types import TracebackType

FAULTS = "http://schemas.microsoft.com/ws/2006/05/framing/faults/"
TLS, NEGOTIATE = "application/ssl-tls", "application/negotiate"
_LINGER_RESET = struct.pack("ii", 1, 0)
#: A client that has gone must not keep a thread for ever.
_IDLE_S = 20.0


class Wrong(Exception):  # noqa: N818 - what the client did, not an error of this program
    """The client broke the protocol."""


@dataclass
class Seen:
    """What one client sent."""

    via: str = ""
    upgrade: str = ""
    #: Its preamble was ended, and it took leave with an End record.
    ended: bool = False
    left: bool = False
    sni: str | None = None
    alpn: str | None = None


@dataclass
class NodeServer:
    """Serves until it is left. ``complaints`` are the breaches of the protocol, which tests want to be none."""

    mode: str
    context: ssl.SSLContext | None = None
    host: str = "127.0.0.1"
    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    _closed: bool = False

    def __enter__(self) -> NodeServer:
        self.open()
        return self

    def open(self) -> None:
        """Begin to listen."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._listener = socket.create_server((self.host, self.port), family=family, backlog=64)
        self.port = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def wait(self) -> None:
        """Serve for ever."""
        self._acceptor.join()

    def _accept(self) -> None:
        while not self._closed:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(_IDLE_S)
        with contextlib.suppress(OSError), connection:
            try:
                self._talk(connection)
            except EOFError:
                pass
            except Wrong as wrong:
                self.complaints.append(str(wrong))

    def _talk(self, connection: socket.socket) -> None:
        mode, _, argument = self.mode.partition(":")
        if mode == "says":
            connection.sendall(argument.encode())
            _drain(connection)
            return
        if mode == "echo":
            while data := connection.recv(65536):
                connection.sendall(data)
            return
        if mode == "waits":
            _wait_for_request(connection)
            return
        if connection.recv(1, socket.MSG_PEEK) != b"\x00":  # one of netdiag's other questions
            return
        seen = Seen()
        read_preamble(connection, seen)
        self.seen.append(seen)
        if mode in ("silent", "close", "reset"):
            _end(connection, mode)
        elif mode == "fault":
            _fault(connection, argument)
        elif mode in ("negotiate", "plain", "ignores"):
            self._without_tls(connection, seen, mode)
        elif seen.upgrade != TLS:
            _fault(connection, "UpgradeInvalid")
        else:
            connection.sendall(b"\x0a")
            self._secured(connection, seen, mode, argument)

    def _without_tls(self, connection: socket.socket, seen: Seen, mode: str) -> None:
        if mode == "negotiate" and seen.upgrade == NEGOTIATE:
            connection.sendall(b"\x0a")
            if connection.recv(1):
                raise Wrong("something was sent after the upgrade to Windows security")
        elif mode == "negotiate" or (seen.upgrade and mode == "plain"):
            _fault(connection, "UpgradeInvalid")
        elif seen.upgrade:
            _end(connection, "silent")
        else:
            connection.sendall(b"\x0b")
            seen.left = connection.recv(1) == b"\x07"

    def _secured(self, connection: socket.socket, seen: Seen, mode: str, argument: str) -> None:
        if mode.startswith("tls-"):
            connection.recv(65536)
            _end(connection, mode.removeprefix("tls-"))
            return
        assert self.context is not None
        self.context.sni_callback = lambda _socket, name, _context: setattr(seen, "sni", name)
        with self.context.wrap_socket(connection, server_side=True) as secured:
            seen.alpn = secured.selected_alpn_protocol()
            if _exactly(secured, 1) != b"\x0c":
                raise Wrong("the preamble was not ended inside TLS")
            seen.ended = True
            if mode.startswith("end-"):
                _end(secured, mode.removeprefix("end-"))
            elif mode == "inside":
                _fault(secured, argument)
            else:
                secured.sendall(b"\x0b")
                seen.left = secured.recv(1) == b"\x07"


def read_preamble(connection: socket.socket, seen: Seen) -> None:
    """The records of MC-NMF §2.2.6, in their order and as NetTcpBinding writes them. Raises ``Wrong``, ``EOFError``."""
    if (version := _exactly(connection, 3)) != b"\x00\x01\x00":
        raise Wrong(f"version record {version.hex()}")
    if (mode := _exactly(connection, 2)) != b"\x01\x02":
        raise Wrong(f"mode record {mode.hex()}")
    if (kind := _exactly(connection, 1)) != b"\x02":
        raise Wrong(f"via record begins with {kind.hex()}")
    seen.via = _text(connection)
    if (encoding := _exactly(connection, 2)) != b"\x03\x08":
        raise Wrong(f"encoding record {encoding.hex()}")
    last = _exactly(connection, 1)
    if last == b"\x09":
        seen.upgrade = _text(connection)
    elif last != b"\x0c":
        raise Wrong(f"the preamble ends with {last.hex()}")


def _text(connection: socket.socket) -> str:
    size = shift = 0
    while True:
        byte = _exactly(connection, 1)[0]
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return _exactly(connection, size).decode()


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _fault(connection: socket.socket, name: str) -> None:
    text = (FAULTS + name).encode()
    connection.sendall(b"\x08" + bytes([len(text)]) + text)
    _drain(connection)


def _end(connection: socket.socket, how: str) -> None:
    if how == "silent":
        while connection.recv(65536):
            pass
    elif how == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)


def _drain(connection: socket.socket) -> None:
    """Close so that the other side gets what was sent: with data unread, closing would send a reset."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass


def _wait_for_request(connection: socket.socket) -> None:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return
        data += more
    connection.sendall(b"HTTP/1.0 200 OK\r\nServer: SimpleHTTP\r\n\r\n")
    _drain(connection)


def tls_context(certificate: str, key: str, authorities: str = "") -> ssl.SSLContext:
    """What a node presents; with ``authorities`` it insists on a client certificate of theirs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # .NET Framework's
    context.load_cert_chain(certificate, key)
    if authorities:
        context.load_verify_locations(authorities)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


if __name__ == "__main__":
    address, number, what, *files = sys.argv[1:]
    server = NodeServer(what, tls_context(*files) if files else None, address, int(number))
    server.open()
    print("ready", flush=True)
    server.wait()
