"""Windows event traces built from nothing, for tests: buffers of several processors, NDIS and PktMon packets.

Written from the format's description, apart from the reader: bytes are put together here and taken apart there.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from tests.netmon import le, utf16

#: 2026-03-01 12:00:00 UTC, as ns since 1970 and as FILETIME.
START_NS = 1_772_366_400 * 10**9
START_FILETIME = START_NS // 100 + 116_444_736_000_000_000
#: The performance counter at that moment, and its ticks a second.
START_TICKS = 5_000_000_000
FREQUENCY = 10_000_000

NDIS = uuid.UUID("{2ED6006E-4729-4609-B423-3EE7BCD678EF}").bytes_le
PKTMON = uuid.UUID("{4D4F80D9-C8BD-4D73-BB5B-19C90402C5AC}").bytes_le
RAS = uuid.UUID("{D84521F7-2235-4237-A7C0-14E3A9676286}").bytes_le

ETHERNET, WWAN, WIFI = 0x1, 0x200, 0x10000
FIRST, LAST, SEND, RECEIVE = 0x40000000, 0x80000000, 0x100000000, 0x200000000
BOTH = FIRST | LAST

QPC, SYSTEM_TIME, CYCLES = 1, 2, 3


@dataclass
class Event:
    provider: bytes
    id: int
    user: bytes
    #: Seconds after the trace's start.
    at: float = 0.0
    keyword: int = 0
    pid: int = 4
    tid: int = 8
    processor: int = 0
    extended: tuple[bytes, ...] = ()
    kind: int = 0x13


def ndis(
    data: bytes, at: float = 0.0, keyword: int = ETHERNET | BOTH | RECEIVE, interface: int = 7, **rest: object
) -> Event:
    """NDIS-PacketCapture 1001."""
    user = le(interface, 4) + le(interface, 4) + le(len(data), 4) + data
    return Event(NDIS, 1001, user, at, keyword, **rest)  # type: ignore[arg-type]


def vm_switch(
    data: bytes, at: float = 0.0, keyword: int = ETHERNET | BOTH | SEND, destinations: int = 0, **rest: object
) -> Event:
    """NDIS-PacketCapture 1003."""
    user = le(9, 4) + le(11, 4) + le(3, 4) + utf16("port") + utf16("vm-nic") + utf16("Synthetic") + le(destinations, 4)
    for number in range(destinations):
        user += le(number, 4) + utf16("to") + utf16(f"nic-{number}") + utf16("External")
    user += le(len(data), 4) + data + le(8, 4) + bytes(8)
    return Event(NDIS, 1003, user, at, keyword, **rest)  # type: ignore[arg-type]


def remote_access(data: bytes, at: float = 0.0, sent: bool = True) -> Event:
    user = utf16("{00000000-0000-0000-0000-000000000000}") + utf16("somebody") + le(len(data), 4) + data
    return Event(RAS, 5001 if sent else 5002, user, at)


def pktmon(
    data: bytes,
    at: float = 0.0,
    group: int = 1,
    number: int = 1,
    appearance: int = 1,
    tag: int = 3,
    kind: int = 1,
    component: int = 5,
    drop: int | None = None,
    location: int = 0xE0004500,
    length: int | None = None,
    **rest: object,
) -> Event:
    """PktMon 160, or 170 with a drop reason."""
    user = le(group, 8)
    for field in (number, appearance, tag, kind, component, 1, 1):
        user += le(field, 2)
    user += le(drop or 0, 4) + le(location if drop is not None else 0, 4)
    user += le(len(data) if length is None else length, 2) + le(len(data), 2) + data
    return Event(PKTMON, 160 if drop is None else 170, user, at, 0x10, **rest)  # type: ignore[arg-type]


def component(number: int, name: str, description: str, at: float = 0.0) -> Event:
    return Event(PKTMON, 20, le(number, 2) + le(2, 2) + utf16(name) + utf16(description), at, 0x2)


def ticks_of(at: float, clock: int) -> int:
    if clock == SYSTEM_TIME:
        return START_FILETIME + round(at * 10_000_000)
    return START_TICKS + round(at * FREQUENCY)


def record(event: Event, clock: int = QPC) -> bytes:
    """One EVENT_HEADER record, its length a multiple of 8."""
    extended = b""
    for index, item in enumerate(event.extended):
        more = index + 1 < len(event.extended)
        piece = le(0, 2) + le(11, 2) + le(more, 2) + le(len(item), 2) + item
        extended += piece + bytes(-len(piece) % 8)
    size = 80 + len(extended) + len(event.user)
    head = le(size, 2) + bytes([event.kind, 0xC0]) + le(0x40 | bool(extended), 2) + le(0, 2)
    head += le(event.tid, 4) + le(event.pid, 4) + le(ticks_of(event.at, clock), 8) + event.provider
    head += le(event.id, 2) + bytes([0, 16, 4, 0]) + le(0, 2) + le(event.keyword, 8) + bytes(8) + bytes(16)
    assert len(head) == 80
    return head + extended + event.user + bytes(-size % 8)


def system_record(
    ticks: int = START_TICKS, group: int = 5, kind: int = 36, body: bytes = bytes(16), marker: int = 2
) -> bytes:
    """A record of the kernel's own kind; marker 2 is 64-bit with processor times, 4 compact, 0x11 PerfInfo."""
    head = le(2, 2) + bytes([marker, 0xC0])
    rest = le(ticks, 8) if marker in (0x10, 0x11) else le(8, 4) + le(4, 4) + le(ticks, 8)
    if marker in (1, 2):
        rest += bytes(8)
    size = 8 + len(rest) + len(body)
    return head + le(size, 2) + bytes([kind, group]) + rest + body + bytes(-size % 8)


def buffer(
    records: bytes, size: int = 4096, processor: int = 0, kind: int = 0, flags: int = 0x20, sequence: int = 0
) -> bytes:
    used = 72 + len(records)
    assert used <= size, "records do not fit the buffer"
    head = le(size, 4) + le(used, 4) + le(used, 4) + le(0, 4) + le(0, 8) + le(sequence, 8) + le(0, 8)
    head += le(processor, 2) + le(1, 2) + le(0, 4) + le(used, 4) + le(flags, 2) + le(kind, 2) + bytes(16)
    assert len(head) == 72
    return (head + records).ljust(size, b"\xff")


def header_record(
    size: int = 4096,
    clock: int = QPC,
    events_lost: int = 0,
    buffers_lost: int = 0,
    build: int = 19041,
    pointer: int = 8,
    frequency: int = FREQUENCY,
    megahertz: int = 10,
    marker: int = 2,
) -> bytes:
    """The record that every trace begins with."""
    body = le(size, 4) + bytes([10, 0, 1, 5]) + le(build, 4) + le(4, 4) + le(0, 8)
    for field in (156250, 250, 2, 3, 1, pointer, events_lost, megahertz):
        body += le(field, 4)
    body += bytes(2 * pointer)  # names
    body += bytes(172) + bytes(4)  # time zone
    body += le(START_FILETIME - 10**9, 8) + le(frequency, 8) + le(START_FILETIME, 8) + le(clock, 4)
    body += le(buffers_lost, 4) + utf16("NetTrace") + utf16("C:\\trace.etl")
    return system_record(ticks_of(0, clock), group=0, kind=0, body=body, marker=marker)


def build(events: Sequence[Event], size: int = 4096, clock: int = QPC, per_buffer: int = 0, **header: int) -> bytes:
    """A trace of ``events``, each in its processor's buffers, in the order given.

    ``per_buffer``: at most so many events in one buffer; 0: as many as fit.
    """
    data = buffer(header_record(size, clock, **header), size, kind=4, flags=0)
    open_buffers: dict[int, list[bytes]] = {}
    for event in events:
        whole = record(event, clock)
        held = open_buffers.setdefault(event.processor, [])
        if 72 + sum(map(len, held)) + len(whole) > size or (per_buffer and len(held) == per_buffer):
            data += buffer(b"".join(held), size, event.processor)
            held.clear()
        held.append(whole)
    for processor, held in open_buffers.items():
        data += buffer(b"".join(held), size, processor)
    return data
