"""Listening sockets on loopback: one thread accepts, a bounded pool of threads answers.

Contract: ``stop`` ends every connection and every thread. A handler may raise ``OSError`` or ``EOFError`` when its
client goes away; anything else is a bug, kept in ``bugs`` for whoever owns the loop.
"""

from __future__ import annotations

import contextlib
import queue
import selectors
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from netdiag.probes.net import Address

LOOPBACK = "127.0.0.1"

#: Connections answered at once. A scene has about a dozen open; the demonstration runs a few scenes side by side.
WORKERS = 64

#: How long a server waits for its client. Longer than any scene lasts, so that no server gives up first.
IDLE_S = 20.0

#: The largest DNS message over UDP (RFC 1035 §2.3.4, RFC 6891 §6.2.3) is far below this.
DATAGRAM_BYTES = 65535

#: Attempts to get one port number for TCP and for UDP.
PORT_ATTEMPTS = 20

Handler = Callable[[socket.socket], None]
Answer = Callable[[bytes], bytes | None]


class Loop:
    """Serves listeners until ``stop``."""

    def __init__(self) -> None:
        self.bugs: list[str] = []
        self._selector = selectors.DefaultSelector()
        self._wake, self._waker = socket.socketpair()
        self._wake.setblocking(False)
        self._selector.register(self._wake, selectors.EVENT_READ, None)
        self._new: queue.SimpleQueue[tuple[socket.socket, Callable[[socket.socket], None]]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._stopping = False
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="world")
        self._thread = threading.Thread(target=self._run, name="world-loop", daemon=True)
        self._thread.start()

    def tcp(self, handler: Handler) -> Address:
        """A new listener whose connections ``handler`` answers, and the address it got."""
        listener = _bound(socket.SOCK_STREAM)
        self._listen(listener, handler)
        return _address(listener)

    def tcp_and_udp(self, handler: Handler, answer: Answer) -> Address:
        """The same, with ``answer`` for datagrams on the same port number; None sends nothing back."""
        listener, receiver = _pair()
        self._listen(listener, handler)
        self._add(receiver, lambda sock: _reply(sock, answer))
        return _address(listener)

    def closed(self) -> Address:
        """An address where connections are refused: its port is taken, and nothing listens there."""
        holder = _bound(socket.SOCK_STREAM)
        with self._lock:
            self._open.add(holder)
        return _address(holder)

    def stop(self) -> None:
        """End every connection, listener and thread."""
        self._stopping = True
        self._waker.send(b"x")
        self._thread.join()
        with self._lock:
            open_now = tuple(self._open)
        for sock in open_now:
            _end(sock)
        self._pool.shutdown(wait=True)
        for sock in (*open_now, self._wake, self._waker):
            sock.close()
        self._selector.close()

    def _listen(self, listener: socket.socket, handler: Handler) -> None:
        listener.listen(128)
        self._add(listener, lambda sock: self._accept(sock, handler))

    def _add(self, sock: socket.socket, ready: Callable[[socket.socket], None]) -> None:
        sock.setblocking(False)
        with self._lock:
            self._open.add(sock)
        self._new.put((sock, ready))
        self._waker.send(b"x")

    def _run(self) -> None:
        while not self._stopping:
            for key, _ in self._selector.select():
                if key.data is None:
                    self._register()
                else:
                    key.data(key.fileobj)

    def _register(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._wake.recv(4096)
        while not self._new.empty():
            sock, ready = self._new.get()
            self._selector.register(sock, selectors.EVENT_READ, ready)

    def _accept(self, listener: socket.socket, handler: Handler) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:  # the client has gone again
            return
        connection.settimeout(IDLE_S)
        handle = connection.dup()  # outlives the wrapping of the connection in TLS, so that stop() can end it
        with self._lock:
            self._open.add(handle)
        self._pool.submit(self._serve, connection, handle, handler)

    def _serve(self, connection: socket.socket, handle: socket.socket, handler: Handler) -> None:
        try:
            handler(connection)
        except (OSError, EOFError):
            pass  # the client left, or the scene is over
        except Exception as error:  # noqa: BLE001 - a bug in a server must show, and must not hang the client
            self.bugs.append(f"{type(error).__name__}: {error}")
        finally:
            with self._lock:
                self._open.discard(handle)
            connection.close()
            handle.close()


def _reply(receiver: socket.socket, answer: Answer) -> None:
    with contextlib.suppress(OSError):
        question, client = receiver.recvfrom(DATAGRAM_BYTES)
        reply = answer(question)
        if reply is not None:
            receiver.sendto(reply, client)


def _bound(kind: socket.SocketKind, port: int = 0) -> socket.socket:
    sock = socket.socket(socket.AF_INET, kind)
    try:
        sock.bind((LOOPBACK, port))
    except OSError:
        sock.close()
        raise
    return sock


def _pair() -> tuple[socket.socket, socket.socket]:
    """A TCP and a UDP socket with one port number."""
    for _ in range(PORT_ATTEMPTS):
        listener = _bound(socket.SOCK_STREAM)
        try:
            return listener, _bound(socket.SOCK_DGRAM, listener.getsockname()[1])
        except OSError:  # another program has that number for UDP
            listener.close()
    raise OSError("found no port number that is free for both TCP and UDP")


def _address(sock: socket.socket) -> Address:
    host, port = sock.getsockname()[:2]
    return Address(str(host), int(port))


def _end(sock: socket.socket) -> None:
    """Wake whoever waits on it."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)
