"""A TCP server on loopback whose behaviour is one function."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from netdiag.probes.net import Address


class Listener:
    """Calls ``handler`` in a thread of its own for each connection, which it then closes.

    Closing the listener ends every connection and every thread.
    """

    def __init__(self, handler: Callable[[socket.socket], None], *, port: int = 0) -> None:
        self._handler = handler
        self._sock = socket.create_server(("127.0.0.1", port))
        self._closing = threading.Event()
        self._connections: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self.address = Address(*self._sock.getsockname()[:2])
        self._threads[0].start()

    @property
    def connections(self) -> int:
        """How many there were."""
        return len(self._connections)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._closing.set()
        with contextlib.suppress(OSError):
            socket.create_connection(self.address).close()  # wakes accept(), on every platform
        self._threads[0].join()
        self._sock.close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            connection, _ = self._sock.accept()
            if self._closing.is_set():
                connection.close()
                return
            self._connections.append(connection)
            self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
            self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            self._handler(connection)
