"""Microsoft Network Monitor captures (.cap): 1.x, and 2.0 to 2.3 of Network Monitor 3 and Message Analyzer.

Layout (Network Monitor 3.4's help; Wireshark's wiretap/netmon.c): a header of 128 bytes; records; a table of the
records' offsets, which alone says their order: there are holes between records, and the first may be the last. When
the file ends before its table does, the records left are read as they lie.

Times. A record tells its distance from the header's start time, which is the capturing machine's local time without
its zone; since 2.3 a record's trailer tells UTC. Frames are numbered as Wireshark does: events, filters and adapter
lists count, reassembled copies do not.
"""

from __future__ import annotations

import datetime
import itertools
import struct
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import numpy as np

from netdiag.capture.formats.netmon_media import link_layer
from netdiag.capture.formats.netmon_tables import adapters, capture_filter, comments, net_event, processes
from netdiag.capture.formats.trace_events import PacketEvents
from netdiag.capture.formats.windows import (
    Interfaces,
    Packet,
    RandomAccess,
    RandomSource,
    Window,
    batched,
    clamp_ns,
    filetime_ns,
    note_process,
)
from netdiag.capture.packets import MAX_NOTES, MAX_PACKET, Batch, Comment, Damage, FileInfo, Interface
from netdiag.model import UsageError

_MAGIC_1, _MAGIC_2 = b"RTSS", b"GMBU"
_HEADER_SIZE = 128
#: Minor, major, network; year, month, day of week, day, hour, minute, second, millisecond; then offsets and lengths
#: of the frame table, the user data and the comments, offset and count of the processes.
_HEADER = struct.Struct("<4xBBHHH2xHHHHHII8xIIII")

#: A record's header by major version: distance in time, length on the wire, length captured.
_RECORD = {1: struct.Struct("<IHH"), 2: struct.Struct("<QII")}
#: Bytes of a record's trailer by minor version of 2.x: media; process; UTC and zone.
_TRAILER = {0: 0, 1: 2, 2: 6}
_TRAILER_SINCE_3 = 15

_NET_EVENT, _ADAPTERS, _FILTER = 0xFFE0, 0xFFFB, 0xFFFF
#: Reassembled copies of other frames, adapter lists of old, names: Wireshark gives them no number.
_UNNUMBERED = (0xFFFC, 0xFFFD, 0xFFFE)

#: A frame that is no packet makes a gap in the numbers, and each gap a new batch; beyond these, none is made.
MAX_GAPS = 2_000
#: Entries of the frame table read at once.
_TABLE_CHUNK = 16_384
_MASK64 = 2**64 - 1
_SIGN64 = 2**63


class _Header(msgspec.Struct, frozen=True):
    major: int
    minor: int
    network: int
    #: None when the header's date is none.
    start_ns: int | None
    table_offset: int
    table_length: int
    comments: tuple[int, int]
    processes: tuple[int, int]


class _Record(NamedTuple):
    offset: int
    end: int
    time_ns: int
    #: The time is the capturing machine's local one.
    local: bool
    length: int
    data: bytes
    media: int
    process: int | None


class _BadRecordError(Exception):
    """A record that cannot be; the message says why."""


def matches(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is Network Monitor's."""
    return head[:4] in (_MAGIC_1, _MAGIC_2)


def batches(source: RandomSource, info: FileInfo) -> Iterator[Batch]:
    """The packets in the order of the frame table. ``UsageError`` without a header of a known version."""
    access = source.random_access()
    header = _read_header(access.read_at(0, _HEADER_SIZE), info)
    info.format = f"netmon {header.major}.{header.minor}"
    info.bytes = access.size
    reader = _Reader(access, info, header)
    yield from batched(reader.packets())
    reader.finish()


def _read_header(data: bytes, info: FileInfo) -> _Header:
    if len(data) < _HEADER_SIZE:
        raise UsageError(f"{info.path}: a Network Monitor capture that ends within its header")
    minor, major, network, *date, table, table_length, notes, notes_length, owners, owner_count = _HEADER.unpack_from(
        data
    )
    if major not in (1, 2):
        raise UsageError(f"{info.path}: a Network Monitor capture of version {major}.{minor}, which is not known")
    start_ns = None
    year, month, day, hour, minute, second, millisecond = date
    try:
        start = datetime.datetime(year, month, day, hour, minute, second, tzinfo=datetime.UTC)
        start_ns = int(start.timestamp()) * 1_000_000_000 + millisecond * 1_000_000
    except ValueError:
        pass
    if (major, minor) < (2, 2):  # these fields hold anything
        notes = notes_length = owners = owner_count = 0
    return _Header(major, minor, network, start_ns, table, table_length, (notes, notes_length), (owners, owner_count))


class _Reader:
    """Gives the packets of one file, numbered, and notes what else is there."""

    def __init__(self, access: RandomAccess, info: FileInfo, header: _Header) -> None:
        self._access = access
        self._window = Window(access)
        self._info = info
        self._header = header
        self._trailer = 0 if header.major == 1 else _TRAILER.get(header.minor, _TRAILER_SINCE_3)
        self._interfaces = Interfaces(info)
        self._events = PacketEvents(info, self._interfaces)
        self._comments = comments(self._window, *header.comments) if header.comments[1] else {}
        if header.processes[0] and header.processes[1]:
            info.processes += processes(self._window, *header.processes)
        self._owners = len(info.processes)
        self._adapters: list[tuple[str, str]] = []
        self._frame = 0
        self._gaps = 0
        self._unread: Counter[int] = Counter()
        self._local_times = False
        self._walked = False
        self._bad = 0
        self._first_bad: tuple[int, int, str] | None = None

    # Records -> packets

    def packets(self) -> Iterator[tuple[int, Packet]]:
        in_gap = False
        for record in self._records():
            if record.media in _UNNUMBERED:
                self._info.skipped += 1
                continue
            self._frame += 1
            words = self._comments.pop(record.offset, "")
            if words:
                self._info.comments.append(Comment(self._frame, words))
            packet = self._packet(record)
            if packet is not None:
                in_gap = False
                self._local_times |= record.local
                yield self._frame, packet
                continue
            self._gaps += not in_gap
            in_gap = True
            if self._gaps > MAX_GAPS:
                self._frame -= 1

    def _packet(self, record: _Record) -> Packet | None:
        if record.media == _NET_EVENT:
            event = net_event(record.data, record.time_ns)
            packet = self._events.packet(event, self._frame) if event is not None else None
            self._info.skipped += packet is None
            return packet
        if record.media == _ADAPTERS:
            computer, self._adapters = adapters(record.data)
            names = ", ".join(name for name, _description in self._adapters)
            self._note(f"captured on {computer or 'an unnamed computer'}, adapters: {names or 'none named'}")
            self._info.skipped += 1
            return None
        if record.media == _FILTER:
            self._info.application, text = capture_filter(record.data)
            if text:
                self._note(f"filter: {text}")
            self._info.skipped += 1
            return None
        link = link_layer(record.media, record.data, record.length)
        if link is None:
            self._unread[record.media] += 1
            self._info.skipped += 1
            return None
        linktype, data, length = link
        if record.process is not None and record.process < self._owners:
            note_process(self._info, self._frame, record.process)
        return data, length, record.time_ns, self._interfaces.number("media", linktype), 0

    def _note(self, words: str) -> None:
        if len(self._info.comments) < MAX_NOTES:
            self._info.comments.append(Comment(0, words))

    # The file -> records

    def _records(self) -> Iterator[_Record]:
        """Each record once. Together they are no longer than the file: overlapping ones end the reading."""
        header, size = self._header, self._window.size
        head = _RECORD[header.major].size
        entries = header.table_length // 4
        present = min(entries, (size - header.table_offset) // 4) if _HEADER_SIZE <= header.table_offset < size else 0
        records_end = header.table_offset if _HEADER_SIZE <= header.table_offset <= size else size
        position = _HEADER_SIZE
        read = 0
        for offset, following in itertools.pairwise(itertools.chain(self._offsets(present), [0])):
            read += head
            try:
                limit = min((end for end in (following, records_end) if end > offset), default=size)
                record = self._record(offset, limit)
            except _BadRecordError as bad:
                self._note_bad(offset, str(bad))
            else:
                read += len(record.data)
                position = record.end
                self._forgive()
                yield record
            if read > size:
                self._info.damage = Damage(self._frame, offset, "the records overlap each other")
                return
        self._walked = present < entries or not entries
        while self._walked and position + head <= records_end:
            try:
                record = self._record(position, records_end)
            except _BadRecordError as bad:
                self._info.damage = Damage(self._frame, position, str(bad))
                return
            position = record.end
            yield record

    def _offsets(self, count: int) -> Iterator[int]:
        for start in range(0, count, _TABLE_CHUNK):
            chunk = self._access.read_at(self._header.table_offset + 4 * start, 4 * min(_TABLE_CHUNK, count - start))
            yield from np.frombuffer(chunk[: len(chunk) // 4 * 4], "<u4").tolist()

    def _record(self, offset: int, limit: int) -> _Record:
        """The record at ``offset``; ``limit``: where the next thing begins."""
        header = self._header
        fields = _RECORD[header.major]
        head = self._window.read(offset, fields.size)
        if offset < _HEADER_SIZE:
            raise _BadRecordError("a record lies within the file's header")
        if len(head) < fields.size:
            raise _BadRecordError("a record lies beyond the end of the file")
        delta, length, captured = fields.unpack(head)
        if captured > MAX_PACKET:
            raise _BadRecordError(f"a record claims {captured} bytes")
        end = offset + fields.size + captured
        # Some files have trailers of 0 or 1 bytes, whatever their version (SQLNA).
        trailing = min(self._trailer, max(limit - end, 0))
        data = self._window.read(offset + fields.size, captured + trailing)
        if len(data) < captured:
            raise _BadRecordError("the file ends within a record")
        data, trailer = data[:captured], data[captured:]
        media = int.from_bytes(trailer[:2], "little") if len(trailer) >= 2 else header.network
        process = int.from_bytes(trailer[2:6], "little") if len(trailer) >= 6 else None
        time_ns = filetime_ns(int.from_bytes(trailer[6:14], "little")) if len(trailer) >= 14 else 0
        local = not time_ns
        time_ns = time_ns or self._time(delta)
        return _Record(offset, end + len(trailer), time_ns, local, max(length, captured), data, media, process)

    def _time(self, delta: int) -> int:
        if self._header.start_ns is None:
            return 0
        if self._header.major == 1:
            return clamp_ns(self._header.start_ns + delta * 1_000_000)
        # Microseconds; before the start they are negative once multiplied by ten in 64 bits.
        delta = delta * 10 & _MASK64
        return clamp_ns(self._header.start_ns + (delta - 2**64 if delta >= _SIGN64 else delta) * 100)

    def _note_bad(self, offset: int, reason: str) -> None:
        self._bad += 1
        self._first_bad = self._first_bad or (self._frame, offset, reason)

    def _forgive(self) -> None:
        """A good record follows bad ones: reading did not end there."""
        if self._first_bad is not None:
            _frame, offset, reason = self._first_bad
            self._remark(f"after frame {self._frame} some records cannot be read (byte {offset}: {reason})")
            self._first_bad = None

    def _remark(self, words: str) -> None:
        if len(self._info.remarks) < 100:
            self._info.remarks.append(words)

    def finish(self) -> None:
        """The notes that need the whole file."""
        info = self._info
        self._events.finish()
        for words in self._comments.values():
            self._note(words)
        if self._adapters and len(self._adapters) == 1 and len(info.interfaces) == 1:
            info.interfaces[0] = Interface(info.interfaces[0].linktype, *self._adapters[0])
        for media, count in self._unread.most_common(5):
            info.remarks.append(
                f"{count} frames are of media type {media} (0x{media:04X}), which netdiag does not read"
            )
        if self._gaps > MAX_GAPS:
            info.remarks.append(f"after {MAX_GAPS} gaps, frames that are no packets are not counted in frame numbers")
        if self._header.start_ns is None:
            info.remarks.append("the header's start time is no date: times may be missing")
        elif self._local_times:
            info.remarks.append("times are local time of the capturing machine, which does not tell its zone")
        if info.damage is None and self._first_bad is not None:
            frame, offset, reason = self._first_bad
            info.damage = Damage(frame, offset, reason)
        if not self._header.table_length:
            if self._frame:
                info.remarks.append("the file has no table of frames (a capture that was not ended): read as it lies")
        elif self._walked and info.damage is None:
            reason = "the file ends before its table of frames does: the rest was read as it lies"
            info.damage = Damage(self._frame, self._window.size, reason)
