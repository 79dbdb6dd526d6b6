"""pcap and pcapng files, byte by byte, and slow readers that say what is in them.

The slow readers take one record after the other, as the formats' drafts describe them, and stop where Wireshark stops;
the fast ones in netdiag/capture/formats must give the same packets and the same end.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from netdiag.capture.packets import MAX_PACKET, SLACK, Batch

SHB, IDB, PB, SPB, NRB, ISB, EPB, DSB = 0x0A0D0D0A, 1, 2, 3, 4, 5, 6, 10
#: 2023-11-14 22:13:20 UTC.
START = 1_700_000_000


@dataclass(frozen=True)
class Packet:
    """A packet as a reader gives it: number, time in ns, bytes captured, length on the wire."""

    frame: int
    time_ns: int
    data: bytes
    length: int
    interface: int = 0
    direction: int = 0


def listed(batches: Iterable[Batch]) -> list[Packet]:
    """Every packet of the batches."""
    found = []
    for batch in batches:
        assert len(batch)
        assert (batch.start + batch.caplen).max() + SLACK <= len(batch.data)
        assert not batch.data[-SLACK:].any()
        for number in range(len(batch)):
            assert len(batch.packet(number)) == batch.caplen[number]
            found.append(
                Packet(
                    frame=batch.first_frame + number,
                    time_ns=int(batch.time_ns[number]),
                    data=batch.packet(number),
                    length=int(batch.length[number]),
                    interface=0 if batch.interface is None else int(batch.interface[number]),
                    direction=0 if batch.direction is None else int(batch.direction[number]),
                )
            )
    return found


def pcap_header(
    order: str = "<",
    magic: int = 0xA1B2C3D4,
    version: tuple[int, int] = (2, 4),
    snaplen: int = 65_535,
    network: int = 1,
    rest: bytes = b"",
) -> bytes:
    """A pcap file's header; ``rest``: what Ixia appends."""
    return struct.pack(order + "IHHiIII", magic, *version, 0, 0, snaplen, network) + rest


def record(
    data: bytes,
    *,
    order: str = "<",
    at: tuple[int, int] = (START, 0),
    caplen: int | None = None,
    length: int | None = None,
    rest: bytes = b"",
    swapped: bool = False,
) -> bytes:
    """One pcap record; ``rest``: what variants append to its header; ``swapped``: the lengths have changed places."""
    caplen = len(data) if caplen is None else caplen
    length = len(data) if length is None else length
    lengths = (length, caplen) if swapped else (caplen, length)
    return struct.pack(order + "4I", *at, *lengths) + rest + data


def block(kind: int, body: bytes, *, order: str = "<", total: int | None = None, trailer: int | None = None) -> bytes:
    """A pcapng block, padded."""
    body += bytes(-len(body) % 4)
    total = len(body) + 12 if total is None else total
    trailer = total if trailer is None else trailer
    return struct.pack(order + "II", kind, total) + body + struct.pack(order + "I", trailer)


def option(code: int, value: bytes, *, order: str = "<", length: int | None = None) -> bytes:
    """One option, padded."""
    length = len(value) if length is None else length
    return struct.pack(order + "HH", code, length) + value + bytes(-len(value) % 4)


def shb(options: bytes = b"", *, order: str = "<", version: tuple[int, int] = (1, 0), magic: int = 0x1A2B3C4D) -> bytes:
    """A section header."""
    return block(SHB, struct.pack(order + "IHHq", magic, *version, -1) + options, order=order)


def idb(options: bytes = b"", *, order: str = "<", linktype: int = 1, snaplen: int = 0) -> bytes:
    """An interface description."""
    return block(IDB, struct.pack(order + "HHI", linktype, 0, snaplen) + options, order=order)


def epb(
    data: bytes,
    options: bytes = b"",
    *,
    order: str = "<",
    ticks: int = START * 10**6,
    interface: int = 0,
    caplen: int | None = None,
    length: int | None = None,
    total: int | None = None,
    trailer: int | None = None,
) -> bytes:
    """An enhanced packet block."""
    caplen = len(data) if caplen is None else caplen
    length = len(data) if length is None else length
    fixed = struct.pack(order + "5I", interface, ticks >> 32, ticks & 0xFFFFFFFF, caplen, length)
    return block(EPB, fixed + data + bytes(-len(data) % 4) + options, order=order, total=total, trailer=trailer)


def pb(
    data: bytes,
    options: bytes = b"",
    *,
    order: str = "<",
    ticks: int = START * 10**6,
    interface: int = 0,
    drops: int = 0xFFFF,
) -> bytes:
    """A packet block, the old one."""
    fixed = struct.pack(order + "HH4I", interface, drops, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
    return block(PB, fixed + data + bytes(-len(data) % 4) + options, order=order)


def spb(data: bytes, *, order: str = "<", length: int | None = None) -> bytes:
    """A simple packet block."""
    return block(SPB, struct.pack(order + "I", len(data) if length is None else length) + data, order=order)


def slow_pcap(data: bytes) -> tuple[list[Packet], int | None]:
    """The packets of a plain pcap file, and where reading ends early; None: it does not."""
    order = "<" if data[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    unit = 1 if data[:4] in (b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d") else 1_000
    found: list[Packet] = []
    at = 24
    while at < len(data):
        if at + 16 > len(data):
            return found, at
        second, fraction, caplen, length = struct.unpack_from(order + "4I", data, at)
        if caplen > MAX_PACKET or at + 16 + caplen > len(data):
            return found, at
        time = second * 10**9 + fraction * unit
        found.append(Packet(len(found) + 1, time, data[at + 16 : at + 16 + caplen], length))
        at += 16 + caplen
    return found, None


def slow_pcapng(data: bytes) -> tuple[list[Packet], int | None]:
    """The packets of a pcapng file whose clocks count microseconds, and where reading ends early."""
    found: list[Packet] = []
    at = frame = base = interfaces = 0
    snaplens: list[int] = []
    order = "<"
    while at < len(data):
        if at + 12 > len(data):
            return found, at
        if data[at : at + 4] == b"\n\r\r\n":
            magic = data[at + 8 : at + 12]
            if magic not in (b"\x4d\x3c\x2b\x1a", b"\x1a\x2b\x3c\x4d"):
                return found, at
            order = "<" if magic[0] == 0x4D else ">"
        kind, total = struct.unpack_from(order + "II", data, at)
        size = total + 3 & ~3
        if total < 12 or at + size > len(data):
            return found, at
        if struct.unpack_from(order + "I", data, at + size - 4)[0] + 3 & ~3 != size:
            return found, at
        body = data[at + 8 : at + size - 4]
        if kind == SHB:
            if len(body) < 16 or struct.unpack_from(order + "H", body, 4)[0] != 1:
                return found, at
            base, interfaces = base + interfaces, 0
        elif kind == IDB:
            if len(body) < 8:
                return found, at
            snaplens.append(struct.unpack_from(order + "I", body, 4)[0])
            interfaces += 1
        elif kind in (9, 0x204, 0x216, 0x221, 0xBAD, 0x40000BAD):
            frame += 1
        elif kind in (EPB, PB, SPB):
            packet = _slow_packet(kind, body, order, snaplens[base] if interfaces else 0)
            if packet is None or packet.interface >= interfaces:
                return found, at
            frame += 1
            found.append(Packet(frame, packet.time_ns, packet.data, packet.length, base + packet.interface))
        at += size
    return found, None


def _slow_packet(kind: int, body: bytes, order: str, snaplen: int) -> Packet | None:
    if kind == SPB:
        if len(body) < 4:
            return None
        (length,) = struct.unpack_from(order + "I", body)
        caplen = min(length, snaplen or length)
        interface = ticks = 0
        at = 4
    else:
        if len(body) < 20:
            return None
        interface, high, low, caplen, length = struct.unpack_from(order + "5I", body)
        if kind == PB:
            (interface,) = struct.unpack_from(order + "H", body)
        ticks = high << 32 | low
        at = 20
    if caplen > MAX_PACKET or at + (caplen + 3 & ~3) > len(body):
        return None
    return Packet(0, min(ticks * 1_000, (2**63 - 1) // 1_000 * 1_000), body[at : at + caplen], length, interface)
