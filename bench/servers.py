"""A DNS server and an HTTPS server that answer after a fixed delay, in a process of their own.

    python -m bench.servers SETTINGS.json

Both are asyncio in one thread: waiting costs no processor time, which the two cores share with what is measured. For
the same reason DNS answers are put together from bytes: a library for all of DNS takes longer than two TLS handshakes.
The process prints "ready" and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import ssl
import struct
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

from netdiag.wire import dns


@dataclass(frozen=True, kw_only=True)
class Settings:
    """``zone`` and every name below it have ``addresses``. Without ``dns_servers`` there is no DNS server."""

    delay_s: float
    certificate: str
    listen: str
    port: int
    zone: str = ""
    addresses: tuple[str, ...] = ()
    dns_servers: tuple[str, ...] = ()

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)))


class DelayedDns(asyncio.DatagramProtocol):
    """Answers each question ``delay_s`` after it came; questions wait side by side."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        reply = answer(data, self.settings)
        asyncio.get_running_loop().call_later(self.settings.delay_s, self.transport.sendto, reply, addr)


def answer(query: bytes, settings: Settings) -> bytes:
    """The reply to a query: its question, the addresses or NXDOMAIN, and its EDNS (RFC 1035 §4.1, RFC 6891 §6.1.1)."""
    asked = dns.parse(query)
    assert asked
    rest = dns.HEADER + len(dns.question(asked.name, asked.qtype))
    known = asked.name.lower().endswith(settings.zone)
    version, number = {"A": (4, 1), "AAAA": (6, 28)}.get(asked.qtype, (0, 0))
    records = [
        struct.pack("!3HIH", 0xC000 | dns.HEADER, number, 1, 60, len(address.packed)) + address.packed
        for address in map(ipaddress.ip_address, settings.addresses)
        if known and address.version == version
    ]
    flags = 0x8180 if known else 0x8183
    counts = struct.pack("!4H", 1, len(records), 0, 1 if query[rest:] else 0)
    return query[:2] + flags.to_bytes(2, "big") + counts + query[dns.HEADER : rest] + b"".join(records) + query[rest:]


class DelayedTls(asyncio.Protocol):
    """Leaves the ClientHello unread for ``delay_s``, then hands the connection over to TLS and ``DelayedHttp``."""

    def __init__(self, settings: Settings, context: ssl.SSLContext) -> None:
        self.settings = settings
        self.context = context

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.pause_reading()
        loop = asyncio.get_running_loop()
        loop.call_later(self.settings.delay_s, lambda: loop.create_task(self._upgrade(transport)))

    async def _upgrade(self, transport: asyncio.Transport) -> None:
        http = DelayedHttp(self.settings)
        try:
            secure = await asyncio.get_running_loop().start_tls(transport, http, self.context, server_side=True)
        except (OSError, ssl.SSLError):
            transport.close()
            return
        if secure is not None:
            http.start(secure)


class DelayedHttp(asyncio.Protocol):
    """Answers each request head with a short page after ``delay_s``."""

    PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.head = b""

    def start(self, transport: asyncio.Transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.head += data
        if b"\r\n\r\n" in self.head:
            self.head = b""
            asyncio.get_running_loop().call_later(self.settings.delay_s, self._reply)

    def _reply(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(self.PAGE)
            self.transport.close()


async def serve(settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(settings.certificate)
    for server in settings.dns_servers:
        await loop.create_datagram_endpoint(lambda: DelayedDns(settings), local_addr=(server, 53))
    await loop.create_server(
        lambda: DelayedTls(settings, context), settings.listen, settings.port, backlog=4096, reuse_address=True
    )
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    values = json.loads(Path(sys.argv[1]).read_text())
    asyncio.run(serve(Settings(**values)))
