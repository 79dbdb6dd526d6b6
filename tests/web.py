"""HTTP servers and proxies on loopback whose answers are one function, and the machine that finds them by name."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Mapping
from typing import NamedTuple

from netdiag.probes.machine import Machine
from netdiag.probes.net import Address, Net
from tests.listener import Listener


class Asked(NamedTuple):
    """A request; the names of its fields are in lower case."""

    line: str
    fields: dict[str, str]
    body: bytes


def read_request(sock: socket.socket) -> Asked | None:
    """The next request; None when the client is gone."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = sock.recv(65536)
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    line, *rest = head.decode().split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in rest)}
    while len(body) < int(fields.get("content-length", "0")):
        body += sock.recv(65536)
    return Asked(line, fields, body)


def answer(body: bytes = b"", status: str = "200 OK", *fields: str) -> bytes:
    """An answer as it is sent."""
    return "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *fields, "", ""]).encode() + body


class Web(Listener):
    """Answers each request with what ``react`` makes of it; closes when the client asked for that."""

    def __init__(self, react: Callable[[Asked], bytes]) -> None:
        self.log: list[Asked] = []

        def handle(sock: socket.socket) -> None:
            while asked := read_request(sock):
                self.log.append(asked)
                sock.sendall(react(asked))
                if asked.fields.get("connection") == "close":
                    break
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_WR)

        super().__init__(handle)

    @property
    def lines(self) -> list[str]:
        """The first line of every request."""
        return [asked.line for asked in self.log]


def machine(servers: Mapping[str, Listener | None], **environment: str) -> Machine:
    """A machine for which "crl.test:80" is a listener (None: a black hole), and that knows no other name."""
    places = [(*name.rsplit(":", 1), listener) for name, listener in servers.items()]
    names = {host: f"192.0.2.{number}" for number, host in enumerate(dict.fromkeys(p[0] for p in places), 1)}
    actual = {Address(names[h], int(port)): listener.address if listener else None for h, port, listener in places}

    def lookup(name: str) -> tuple[str, ...]:
        if name not in names:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return (names[name],)

    return Machine(net=Net(actual.__getitem__, lookup), environment=environment, system_settings=False)
