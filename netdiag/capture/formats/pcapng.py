"""pcapng (draft-ietf-opsawg-pcapng): sections, interfaces, packets, and what tools say of them in options.

Contract: see ``formats``. A batch's ``data`` is valid until the next one is asked for: the buffer is used again.

Packets' options are read column by column too: the first option of every packet that has one, then the second, so that
a capture whose packets all carry flags costs little more than one without. Frames are numbered as Wireshark does: the
custom blocks, system events and journal entries that it lists count as frames. As in Wireshark and libpcap, a block
whose two lengths differ ends reading: nothing after it can be trusted.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from netdiag.capture.formats.pcapng_blocks import (
    DSB,
    EPB,
    IDB,
    ISB,
    MAGIC,
    NRB,
    NUMBERED,
    PB,
    SHB,
    SPB,
    Sections,
    Ticks,
    byte_order,
)
from netdiag.capture.formats.pcapng_options import Notes
from netdiag.capture.formats.records import BUFFER, Buffer, Guess, Shape, pieces, search, starts
from netdiag.capture.packets import MAX_PACKET, SLACK, Batch, Bools, Damage, FileInfo, Ints
from netdiag.capture.source import Source
from netdiag.model import UsageError

#: A frame that is no packet makes a gap in the numbers, and each gap a new batch; beyond these, none is made.
MAX_GAPS = 2_000
#: Sections may differ in byte order, but what changes it more often than this was not recorded.
MAX_TURNS = 100

#: A section's first bytes: its type, which reads alike in both byte orders.
_BEGINNING = struct.pack("<I", SHB)
#: Bytes of a block around its body, and of a packet block before and after the packet.
_FRAME, _PACKET, _SIMPLE = 12, 28, 12
_TRAILER = 4
_UNKNOWN_DROPS = 0xFFFF

Words = npt.NDArray[np.uint32]


def matches(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is one."""
    return head[:4] == _BEGINNING and (len(head) < 12 or bool(byte_order(head[8:12])))


def batches(source: Source, info: FileInfo) -> Iterator[Batch]:
    """The packets; ``UsageError`` when not even the first section's header is there."""
    if len(source.head) < 28:
        raise UsageError(f"{info.path}: a pcapng file that ends within its header")
    info.format = "pcapng"
    return _Reader(source, info).batches(byte_order(source.head[8:12]))


class _Blocks(msgspec.Struct, frozen=True):
    """Whole blocks: where they start and end, their type, their first seven words, and why the next is none."""

    start: Ints
    end: Ints
    kind: Words
    words: Words
    reason: str = ""


class _Place(NamedTuple):
    """From ``block`` on: the section's first interface, how many it has, and what the first keeps of a packet."""

    block: int
    base: int
    described: int
    limit: int


class _Reader:
    def __init__(self, source: Source, info: FileInfo) -> None:
        self._info = info
        self._notes = Notes(info)
        self._sections = Sections(info, self._notes)
        self._buffer = Buffer(source)
        self._order = "<"
        self._frame = 1
        self._gaps = 0
        self._turns = 0

    def batches(self, order: str) -> Iterator[Batch]:
        """The packets of the whole file."""
        self._order = order
        buffer, info = self._buffer, self._info
        while True:
            more = buffer.fill()
            blocks = self._blocks()
            batch, breaks, end, reason = self._packets(blocks)
            reason = reason or blocks.reason
            skip, turned = 0, False
            if not reason and end < buffer.filled:
                reason, skip, turned = self._next(end, more)
            info.bytes = buffer.offset + buffer.filled
            info.dropped = max(self._sections.dropped(), self._notes.dropped)
            damage = Damage(self._frame - 1, buffer.offset + end, reason)
            buffer.cut(end)
            yield from pieces(batch, breaks)
            if skip and not buffer.skip(skip):
                damage = msgspec.structs.replace(damage, reason="the file is cut in the middle of a block")
            if damage.reason:
                info.damage = damage
                return
            if not (more or skip or turned):
                return

    def _blocks(self) -> _Blocks:
        buffer, order = self._buffer, self._order
        start = starts(buffer, Shape(4, order, align=4, least=_FRAME), _guesser(buffer, order))
        start = start[: np.searchsorted(start, buffer.filled - _FRAME, "right")]
        seven = np.ndarray((buffer.filled // 4 + 1,), f"V{_PACKET}", buffer.bytes, 0, (4,))
        words = seven[start >> 2].view(order + "u4").astype(np.uint32, copy=False).reshape(-1, 7)
        count = len(start)
        end = np.append(start[1:], start[-1:] + _padded(words[-1:, 1]))
        if count and (words[-1, 1] < _FRAME or end[-1] > buffer.filled):
            count -= 1
        sections = np.flatnonzero(words[:count, 0] == SHB)
        turned = sections[words[sections, 2] != MAGIC]
        count = int(turned[0]) if len(turned) else count
        again = np.frombuffer(buffer.bytes, order + "u4")[(end[:count] >> 2) - 1]
        reason = ""
        if (again != words[:count, 1]).any():  # some writers forget the padding, in one of them or both
            alike = _padded(again) == _padded(words[:count, 1])
            if not alike.all():
                count = _until(alike)
                reason = f"a block's two lengths differ: {words[count, 1]} and {again[count]}"
        return _Blocks(start[:count], end[:count], words[:count, 0], words[:count], reason)

    def _next(self, at: int, more: bool) -> tuple[str, int, bool]:
        """What stands at ``at``, where no whole block is: why that ends reading, bytes to skip, a turned byte order."""
        cut = "" if more else "the file is cut in the middle of a block"
        buffer = self._buffer
        if buffer.filled - at < _FRAME:
            return cut, 0, False
        kind, length = struct.unpack_from(self._order + "II", buffer.bytes, at)
        if kind == SHB:
            order = byte_order(bytes(buffer.bytes[at + 8 : at + 12]))
            if not order:
                return "a section's byte-order magic is none", 0, False
            if order != self._order:
                self._order = order
                self._turns += 1
                return "" if self._turns <= MAX_TURNS else "too many sections in turned byte order", 0, True
        if length < _FRAME:
            return f"a block claims {length} bytes; it takes {_FRAME} at least", 0, False
        if length > BUFFER:
            if kind in (SHB, IDB, EPB, PB, SPB):
                return f"a block claims {length} bytes; no packet is so long", 0, False
            return "", length + 3 & ~3, False
        return cut, 0, False

    def _packets(self, blocks: _Blocks) -> tuple[Batch, list[tuple[int, int]], int, str]:
        """The packets, breaks in their numbers, where the last block that makes sense ends, why the next makes none."""
        kind = blocks.kind
        index = np.arange(len(kind))
        if (kind != EPB).any():
            index = np.flatnonzero((kind == EPB) | (kind == PB) | (kind == SPB))
        stop, reason, places = self._interfaces(blocks)
        found = self._columns(blocks, index[: np.searchsorted(index, stop)], places)
        sensible = found.sensible()
        if not sensible.all():
            count = _until(sensible)
            stop, reason = int(index[count]), found.reason(count)
            found = found.first(count)
        gaps = self._others(blocks, stop) if stop > len(found.start) else np.zeros(0, np.int64)

        def frames(packets: Ints) -> Ints:
            return first + packets + np.searchsorted(gaps, packets, "right")

        first = self._frame
        self._frame += len(found.start) + len(gaps)
        direction = self._notes.of_packets(self._buffer, self._order, found.options, found.end - _TRAILER, frames)
        end = int(blocks.end[stop - 1]) if stop else 0
        interface = found.interface + found.base
        time_ns = self._sections.time_ns(found.ticks, interface)
        time_ns[found.simple] = 0
        batch = Batch(
            data=self._buffer.data[: end + SLACK],
            start=found.start,
            caplen=found.caplen,
            length=found.length,
            time_ns=time_ns,
            first_frame=first,
            interface=interface.astype(np.uint16) if interface.any() else None,
            direction=direction,
        )
        after = np.unique(gaps)
        return batch, list(zip(after.tolist(), frames(after).tolist(), strict=True)), end, reason

    def _interfaces(self, blocks: _Blocks) -> tuple[int, str, list[_Place]]:
        """Read sections and interfaces. At which block reading must stop, why, and what interfaces there are."""
        places = [self._place(0)]
        for number in np.flatnonzero((blocks.kind == SHB) | (blocks.kind == IDB)).tolist():
            if reason := self._read(blocks, number):
                return number, reason, places
            places.append(self._place(number))
        return len(blocks.start), "", places

    def _place(self, block: int) -> _Place:
        base, interfaces = self._sections.base, self._info.interfaces
        snaplen = interfaces[base].snaplen if base < len(interfaces) else 0
        return _Place(block, base, len(interfaces) - base, snaplen or MAX_PACKET + 1)

    def _read(self, blocks: _Blocks, number: int) -> str:
        body = bytes(self._buffer.bytes[int(blocks.start[number]) + 8 : int(blocks.end[number]) - _TRAILER])
        return self._sections.read(int(blocks.kind[number]), body, self._order)

    def _others(self, blocks: _Blocks, stop: int) -> Ints:
        """Read names, statistics and secrets. Before which packets there are frames that are none, one entry each."""
        kind = blocks.kind[:stop]
        for number in np.flatnonzero((kind == NRB) | (kind == ISB) | (kind == DSB)).tolist():
            self._read(blocks, number)
        packets = np.flatnonzero((kind == EPB) | (kind == PB) | (kind == SPB))
        gaps = np.searchsorted(packets, np.flatnonzero(np.isin(kind, NUMBERED)))
        self._info.skipped += len(gaps)
        if self._gaps + len(gaps) > MAX_GAPS:
            self._notes.remark("frame numbers are lower than Wireshark's: there are too many blocks without a packet")
        gaps = gaps[: MAX_GAPS - self._gaps]
        self._gaps += len(gaps)
        return gaps

    def _columns(self, blocks: _Blocks, index: Ints, places: list[_Place]) -> _Columns:
        start, end, kind, words = blocks.start, blocks.end, blocks.kind, blocks.words
        if len(index) < len(start):
            start, end, kind, words = start[index], end[index], kind[index], words[index]
        start = start + _PACKET
        interface, caplen, length = (words[:, column].astype(np.int64) for column in (2, 5, 6))
        ticks = (words[:, 3].astype(np.uint64) << np.uint64(32)) + words[:, 4]
        base = np.broadcast_to(np.int64(places[0].base), len(index))
        count = np.broadcast_to(np.int64(places[0].described), len(index))
        limit = np.broadcast_to(np.int64(places[0].limit), len(index))
        if len(places) > 1:
            place = np.searchsorted([place.block for place in places], index, "right") - 1
            base, count, limit = np.array(places)[place, 1:].T
        simple = kind == SPB
        options = start + _padded(caplen)
        if (kind != EPB).any():
            old = kind == PB
            lower, upper = (0, 16) if self._order == "<" else (16, 0)
            drops = words[old, 2] >> upper & 0xFFFF
            self._notes.dropped += int(drops[drops != _UNKNOWN_DROPS].sum())
            interface[old] = words[old, 2] >> lower & 0xFFFF
            interface[simple] = 0
            length[simple] = words[simple, 2]
            caplen[simple] = np.minimum(length, limit)[simple]
            start[simple] += _SIMPLE - _PACKET
            options = start + _padded(caplen)
            # What is left of a simple packet's block is no option, but must not be negative.
            options[simple] = np.maximum(options, end - _TRAILER)[simple]
        return _Columns(start, end, caplen, length, ticks, options, interface, base, count, simple)


class _Columns(msgspec.Struct, frozen=True):
    """What packet blocks say. Interfaces are numbered within a section, which has ``count``, from ``base`` on."""

    start: Ints
    #: Where the block ends.
    end: Ints
    caplen: Ints
    length: Ints
    ticks: Ticks
    #: Where the options start.
    options: Ints
    interface: Ints
    base: Ints
    count: Ints
    #: Of simple packet blocks, which have no time, no interface and no options.
    simple: Bools

    def sensible(self) -> Bools:
        """Whether the packet is within its block, not too long, and of an interface."""
        within = self.options <= self.end - _TRAILER
        return within & (self.caplen <= MAX_PACKET) & (self.interface < self.count)

    def reason(self, number: int) -> str:
        """Why a packet is not sensible."""
        if self.interface[number] >= self.count[number]:
            return f"a packet is of interface {self.interface[number]}; the section describes {self.count[number]}"
        return f"a packet of {self.caplen[number]} captured bytes does not fit its block"

    def first(self, count: int) -> _Columns:
        """Only the first packets."""
        return _Columns(*(getattr(self, name)[:count] for name in self.__struct_fields__))


def _guesser(buffer: Buffer, order: str) -> Guess:
    """Where an enhanced packet block seems to start: its type, and two lengths that agree."""
    words = np.ndarray((buffer.filled // 4 + 3,), order + "u4", buffer.bytes)

    def starts_there(at: Ints) -> Bools:
        aligned = at & 3 == 0
        size = words[at + 4 >> 2]
        last = np.minimum(at + _padded(size) - _TRAILER, buffer.filled)
        likely: Bools = aligned & (size > _PACKET) & (size < 2 * MAX_PACKET)
        likely &= (last >= buffer.filled) | (words[last >> 2] == size)
        return likely

    return lambda places, end: search(buffer, places, end, struct.pack(order + "I", EPB), starts_there)


def _padded(size: npt.NDArray[np.integer]) -> Ints:
    return size.astype(np.int64) + 3 & -4


def _until(truths: Bools) -> int:
    """How many are true before the first that is not."""
    return len(truths) if truths.all() else int(truths.argmin())
