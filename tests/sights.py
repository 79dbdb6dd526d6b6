"""One connection, seen at two places: packets by hand, what the way does to them, and the capture files of it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tests import frames
from tests.frames import ACK, PSH, RST, SYN

START = 1_700_000_000.0
CLIENT, SERVER = (b"\x0a\x00\x00\x05", 50_000), (b"\xc0\x00\x02\x0a", 443)
ROUTERS, DELAY_S = 3, 0.004

Side = Literal["client", "server"]
End = tuple[bytes, int]


@dataclass(frozen=True)
class Sight:
    """One packet, at one place."""

    at: float
    sender: Side
    flags: int
    seq: int
    ack: int = 0
    payload: bytes = b""
    options: bytes = b""
    window: int = 64_240
    ttl: int = 64
    ip_id: int = 0
    client: End = CLIENT
    server: End = SERVER

    def frame(self, number: int) -> frames.Frame:
        first, second = (self.client, self.server) if self.sender == "client" else (self.server, self.client)
        way = frames.Way(first[0], second[0], first[1], second[1], ttl=self.ttl, ip_id=self.ip_id)
        segment = frames.Segment(self.seq, self.ack, self.flags, self.window, self.payload, self.options)
        packet = frames.ethernet(frames.plain(frames.ip(way, 6, frames.tcp(way, segment))))
        return number, round((START + self.at) * 1e9), 1, packet, len(packet)


def stamps(value: int, echo: int = 0) -> bytes:
    return struct.pack("!BBBBII", 1, 1, 8, 10, value, echo)


SYN_OPTIONS = frames.mss(1460) + b"\x04\x02" + b"\x01\x03\x03\x07"


def request(at: float = 0.0, isn: int = 1_000, port: int = 50_000, *, answers: int = 4) -> list[Sight]:
    """An opening, a request and an answer in ``answers`` segments, as seen at the client; each with its own IP id."""
    host = (CLIENT[0], port)
    server = isn + 2**31
    asked = bytes(range(192)) + struct.pack("!Q", isn)
    told, answered = isn * 7, isn * 11  # their clocks' timestamps
    packets = [
        Sight(at, "client", SYN, isn, options=SYN_OPTIONS + stamps(told), client=host),
        Sight(
            at + 0.02,
            "server",
            SYN | ACK,
            server,
            isn + 1,
            options=SYN_OPTIONS + stamps(answered),
            ttl=108,
            client=host,
        ),
        Sight(at + 0.0201, "client", ACK, isn + 1, server + 1, options=stamps(told + 21, answered), client=host),
        Sight(at + 0.0202, "client", PSH | ACK, isn + 1, server + 1, asked, stamps(told + 22, answered), client=host),
    ]
    for n in range(answers):
        seq, late = server + 1 + n * 1000, at + 0.041 + n * 0.001
        payload, stamp = struct.pack("!I", n) * 250, answered + 30 + n
        packets += [
            Sight(late, "server", ACK, seq, isn + 201, payload, stamps(stamp, told + 22), ttl=108, client=host),
            Sight(late + 0.0005, "client", ACK, isn + 201, seq + 1000, b"", stamps(told + 40 + n, stamp), client=host),
        ]
    return [replace(packet, ip_id=isn % 5000 + 100 + n) for n, packet in enumerate(packets)]


def reset(after: Sight, *, sender: Side = "server", ttl: int = 61) -> Sight:
    """A reset in answer to a packet, from nearby."""
    seq = after.ack if sender != after.sender else after.seq + len(after.payload)
    return replace(after, at=after.at + 0.0005, sender=sender, flags=RST, seq=seq, ack=0, payload=b"", ttl=ttl, ip_id=0,
                   options=b"")  # fmt: skip


def beyond(
    packets: Iterable[Sight], change: Callable[[Sight], Sight | None] = lambda packet: packet, *, clock: float = 0.0
) -> list[Sight]:
    """The same packets at a place nearer to the server, whose clock is ahead by ``clock``; ``None``: does not pass."""
    seen = []
    for packet in packets:
        passed = change(packet)
        if passed is not None:
            forth = passed.sender == "client"
            seen.append(
                replace(
                    passed,
                    at=passed.at + clock + (DELAY_S if forth else -DELAY_S),
                    ttl=passed.ttl - ROUTERS if forth else passed.ttl + ROUTERS,
                )
            )
    return sorted(seen, key=lambda packet: packet.at)


def write(path: Path, packets: Iterable[Sight]) -> str:
    """A pcap file of them, in the order of time."""
    ordered = sorted(packets, key=lambda packet: packet.at)
    return str(frames.write_pcap(path, [packet.frame(n) for n, packet in enumerate(ordered, 1)]))
