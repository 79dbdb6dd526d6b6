"""Windows event trace logs (.etl) of ``netsh trace`` and ``pktmon``.

Layout (geoffchappell.com's study of WMI_BUFFER_HEADER and TRACE_LOGFILE_HEADER; airbus-cert/etl-parser): buffers, one
after the other, each of one processor: a header of 72 bytes, then records at multiples of 8 bytes. The first record of
the first buffer describes the trace. There is no magic: that first record must look right.

Order. Each processor's events lie in order of time, its buffers too, except in a circular file that has wrapped. So
each processor's buffers are sorted by their first event, and the processors' events are merged.
"""

from __future__ import annotations

import heapq
import struct
from array import array
from collections.abc import Iterator
from operator import attrgetter

import msgspec
import numpy as np
import numpy.typing as npt

from netdiag.capture.formats.trace_events import PacketEvents, TraceEvent
from netdiag.capture.formats.windows import (
    Interfaces,
    Packet,
    RandomAccess,
    RandomSource,
    Window,
    batched,
    clamp_ns,
    filetime_ns,
)
from netdiag.capture.packets import Batch, Damage, FileInfo
from netdiag.model import UsageError

#: Buffer size, end of its data, processor, flags, type.
_BUFFER = struct.Struct("<II32xH10xHH16x")
assert _BUFFER.size == 72
#: ETW's own limits (1 KiB to 16 MiB), with room above.
_MIN_BUFFER, _MAX_BUFFER = 1024, 64 * 1024 * 1024
_PROCESSOR_INDEX, _COMPRESSED = 0x20, 0x40
_HEADER_BUFFER, _MARKER_BUFFERS = 4, (6, 7)

#: Processors merged; Windows has at most 2,048, and those beyond share a stream. Each stream holds one window.
MAX_STREAMS = 512

#: Record types (byte 2 of the marker): those with their size at byte 4, and EVENT_HEADER records.
_SIZE_AT_4 = frozenset({0x01, 0x02, 0x03, 0x04, 0x10, 0x11})
_SYSTEM = {0x01: 32, 0x02: 32, 0x03: 24, 0x04: 24}
_EVENTS = (0x12, 0x13)
#: Flags, thread, process, time, provider, id, keyword.
_EVENT = struct.Struct("<4xH2xIIQ16sH6xQ")
_EVENT_HEADER = 80
_EXTENDED = 1
_MAX_EXTENDED = 64
_MAX_RECORD = 0x1_0000

#: Buffer size, version, build, processors, end; timer, size, mode, buffers, start buffers, pointer size, lost, MHz.
_LOG_FILE = struct.Struct("<IIIIQIIIIIIII")
#: Where the rest begins, by pointer size: boot time, frequency, start, clock type, buffers lost.
_CLOCK_AT = {8: 248, 4: 240}
_CLOCK = struct.Struct("<QQQII")
_QPC, _SYSTEM_TIME, _CYCLES = 1, 2, 3
_HEAD = 72 + 32 + 248 + _CLOCK.size


class _Trace(msgspec.Struct, frozen=True):
    """What the first record says. A moment in ns is ``start_ns + (ticks - first) * 10^9 / frequency``."""

    os: str
    build: int
    events_lost: int
    buffers_lost: int
    start_ns: int
    first: int
    frequency: int
    #: 0 when the header names no clock that could be used: its times are taken for FILETIME.
    clock: int

    def time_ns(self, ticks: int) -> int:
        if self.clock in (_QPC, _CYCLES):
            return clamp_ns(self.start_ns + (ticks - self.first) * 1_000_000_000 // self.frequency)
        return filetime_ns(ticks)


class _Found(msgspec.Struct):
    """What the walk over the buffers found: where each begins, whose it is, and its first event's time."""

    offsets: array[int]
    streams: array[int]
    times: array[int]
    compressed: int = 0
    first_compressed: int = 0
    stop: Damage | None = None


def matches(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is a trace: a header buffer whose first record is a trace's header."""
    if len(head) < _BUFFER.size + 24:
        return False
    size, end, _processor, _flags, kind = _BUFFER.unpack_from(head)
    marker = head[_BUFFER.size :]
    return (
        _MIN_BUFFER <= size <= _MAX_BUFFER
        and _BUFFER.size < end <= size
        and kind == _HEADER_BUFFER
        and marker[3] == 0xC0
        and marker[2] in _SYSTEM
        and marker[6:8] == b"\0\0"
    )


def batches(source: RandomSource, info: FileInfo) -> Iterator[Batch]:
    """The trace's packets in order of time. ``UsageError`` when not even its header is there."""
    access = source.random_access()
    trace = _read_trace(access, info)
    info.format = "etl"
    info.bytes = access.size
    info.os = trace.os
    info.dropped = trace.events_lost + trace.buffers_lost
    if info.dropped:
        info.remarks.append(f"Windows lost {trace.events_lost} events and {trace.buffers_lost} buffers of events")
    if not trace.clock:
        info.remarks.append("the trace names no known clock: its times may be wrong")
    packets = PacketEvents(info, Interfaces(info), trace.build)
    reader = _Reader(access, info, trace, packets, _walk(access))
    yield from batched(reader.packets())
    reader.finish()


def _read_trace(access: RandomAccess, info: FileInfo) -> _Trace:
    head = access.read_at(0, _HEAD)
    cut = UsageError(f"{info.path}: an event trace that ends within its header")
    if not matches(head):
        raise cut
    record = _BUFFER.size
    (first,) = struct.unpack_from("<Q", head, record + 16)
    at = record + _SYSTEM[head[record + 2]]
    try:
        fields = _LOG_FILE.unpack_from(head, at)
        version, build, pointer, events_lost, megahertz = fields[1], fields[2], fields[10], fields[11], fields[12]
        _boot, frequency, start, clock, buffers_lost = _CLOCK.unpack_from(head, at + _CLOCK_AT.get(pointer, 248))
    except struct.error:
        raise cut from None
    if clock == _CYCLES:
        frequency = megahertz * 1_000_000
    if clock not in (_QPC, _SYSTEM_TIME, _CYCLES) or (clock != _SYSTEM_TIME and not frequency):
        clock = 0
    os = f"Windows {version & 0xFF}.{version >> 8 & 0xFF} build {build}"
    return _Trace(os, build, events_lost, buffers_lost, filetime_ns(start), first, frequency, clock)


def _walk(access: RandomAccess) -> _Found:
    """From buffer to buffer, to the end of the file or to where no buffer is."""
    found = _Found(array("Q"), array("H"), array("Q"))
    offset = 0
    while offset < access.size:
        head = access.read_at(offset, _BUFFER.size + 24)
        if len(head) < _BUFFER.size:
            found.stop = Damage(0, offset, "the file ends within a buffer's header")
            break
        size, _end, processor, flags, kind = _BUFFER.unpack_from(head)
        if not any(head[: _BUFFER.size]):
            break  # space that the trace reserved and did not use
        if not _MIN_BUFFER <= size <= _MAX_BUFFER:
            found.stop = Damage(0, offset, f"a buffer claims to be {size} bytes long")
            break
        if flags & _COMPRESSED:
            found.first_compressed = found.first_compressed or offset
            found.compressed += 1
        elif kind not in _MARKER_BUFFERS:
            found.offsets.append(offset)
            found.streams.append((processor if flags & _PROCESSOR_INDEX else processor & 0xFF) % MAX_STREAMS)
            found.times.append(_first_time(head[_BUFFER.size :]))
        offset += size
    if offset > access.size and found.stop is None:
        found.stop = Damage(0, access.size, "the file ends within a buffer")
    return found


def _first_time(record: bytes) -> int:
    """The time of a buffer's first record; 0 when it has none."""
    if len(record) < 24 or record[3] & 0xC0 != 0xC0:
        return 0
    at = 8 if record[2] in (0x10, 0x11) else 16
    return int.from_bytes(record[at : at + 8], "little")


class _Reader:
    """Merges the processors' events and gives their packets, numbered."""

    def __init__(
        self, access: RandomAccess, info: FileInfo, trace: _Trace, packets: PacketEvents, found: _Found
    ) -> None:
        self._access = access
        self._info = info
        self._trace = trace
        self._events = packets
        self._found = found
        self._frame = 0
        self._records = 0
        #: Buffers with a record that cannot be, and where the first such record is.
        self._broken = 0
        self._first_broken = 0

    def packets(self) -> Iterator[tuple[int, Packet]]:
        streams = np.frombuffer(self._found.streams, np.uint16)
        times = np.frombuffer(self._found.times, np.uint64)
        merged = heapq.merge(
            *(self._stream(np.flatnonzero(streams == stream), times) for stream in np.unique(streams)),
            key=attrgetter("time_ns"),
        )
        for event in merged:
            packet = self._events.packet(event, self._frame + 1)
            if packet is not None:
                self._frame += 1
                yield self._frame, packet

    def finish(self) -> None:
        self._events.finish()
        found, info = self._found, self._info
        if self._broken:
            info.remarks.append(
                f"{self._broken} buffers hold a record that cannot be (the first at byte {self._first_broken}): "
                "the rest of each was left out"
            )
        if found.compressed:
            info.damage = Damage(
                self._frame,
                found.first_compressed,
                f"{found.compressed} or more buffers are compressed, which netdiag cannot read: "
                "convert the trace on Windows, with etl2pcapng or pktmon etl2pcap",
            )
        elif found.stop is not None:
            info.damage = Damage(self._frame, found.stop.byte, found.stop.reason)
        if not self._frame:
            info.remarks.append(
                f"the trace holds {self._records} records and no packet: netsh trace needs capture=yes, "
                "pktmon start needs --capture"
            )

    def _stream(self, buffers: npt.NDArray[np.intp], times: npt.NDArray[np.uint64]) -> Iterator[TraceEvent]:
        """The events of one processor, whose ``buffers`` these are."""
        window = Window(self._access)
        for buffer in buffers[np.argsort(times[buffers], kind="stable")]:
            yield from self._buffer(window, self._found.offsets[buffer])

    def _buffer(self, window: Window, offset: int) -> Iterator[TraceEvent]:
        head = window.read(offset, 8)
        size, saved = int.from_bytes(head[:4], "little"), int.from_bytes(head[4:], "little")
        stop = min(offset + (saved if _BUFFER.size <= saved <= size else size), window.size)
        at = offset + _BUFFER.size
        while at + 8 <= stop:
            marker = window.read(at, 8)
            if len(marker) < 8:
                return
            length = _record_length(marker)
            if not length and not any(marker):
                return  # unused space
            if length < 8 or at + length > stop:
                if at + length <= window.size:
                    self._first_broken = self._first_broken or at
                    self._broken += 1
                return
            self._records += 1
            if marker[3] == 0xC0 and marker[2] in _EVENTS and length >= _EVENT_HEADER:
                event = self._event(window.read(at, length).ljust(_EVENT_HEADER, b"\0"))
                if event is not None:
                    yield event
            at += (length + 7) & ~7

    def _event(self, record: bytes) -> TraceEvent | None:
        flags, tid, pid, ticks, provider, event_id, keyword = _EVENT.unpack_from(record)
        if not self._events.knows(provider, event_id):
            return None
        at = _EVENT_HEADER
        if flags & _EXTENDED:
            for _ in range(_MAX_EXTENDED):
                if at + 8 > len(record):
                    break
                _reserved, _kind, linkage, size = struct.unpack_from("<HHHH", record, at)
                at += (8 + size + 7) & ~7
                if not linkage & 1:
                    break
        return TraceEvent(provider, event_id, keyword, pid, tid, self._trace.time_ns(ticks), record[at:])


def _record_length(marker: bytes) -> int:
    """The length that a record's first 8 bytes tell; 0 when they are no record's."""
    if marker[3] & 0xC0 == 0xC0:
        at = 4 if marker[2] in _SIZE_AT_4 else 0
    elif marker[3] & 0x90 == 0x90:  # a software trace message (TRACE_MESSAGE)
        at = 0
    else:
        return 0
    return int.from_bytes(marker[at : at + 2], "little")
