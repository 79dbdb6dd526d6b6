"""pcap, the format of libpcap's savefiles (draft-ietf-opsawg-pcap), with every variant that Wireshark reads.

Contract: see ``formats``. A batch's ``data`` is valid until the next one is asked for: the buffer is used again.

The variants are those of Wireshark's wiretap/libpcap.c, and told apart as there: by the magic number; by the version,
where captured and original length changed places; and, since some devices wrote other record headers under the usual
magic number, by which header makes most sense of the first records.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import numpy as np

from netdiag.capture.formats.records import Buffer, Guess, Shape, pieces, search, starts
from netdiag.capture.packets import MAX_PACKET, SLACK, Batch, Bools, Damage, FileInfo, Interface, Ints
from netdiag.capture.source import Source
from netdiag.model import UsageError


class _Magic(NamedTuple):
    #: Nanoseconds a unit of the time's second half stands for.
    unit: int
    #: Bytes of a record's header, the likeliest first.
    records: tuple[int, ...]
    #: Bytes of the file's header.
    header: int = 24


#: A record's header, and what others append to it: interface, protocol, packet type of Kuznetsov's patches (1999) to
#: libpcap, the later of which also has two numbers of processors; four unknown bytes of Nokia's firewalls.
_PLAIN, _PATCHED, _PATCHED_SMP, _NOKIA = 16, 24, 28, 20

_MAGICS = {
    0xA1B2C3D4: _Magic(1_000, (_PLAIN, _PATCHED, _NOKIA)),
    0xA1B23C4D: _Magic(1, (_PLAIN,)),
    0xA1B2CD34: _Magic(1_000, (_PATCHED, _PATCHED_SMP)),
    # Ixia's, by hardware and by software: the file's header ends with the size of all records.
    0x1C0001AC: _Magic(1, (_PLAIN,), 28),
    0x1C0001AB: _Magic(1_000, (_PLAIN,), 28),
}

#: AIX writes version 2.2, nanoseconds, and ifType values (RFC 1573) for link types: Ethernet, token ring, FDDI and
#: loopback.
_AIX_LINKTYPES = {6: 1, 9: 6, 15: 10, 24: 0}

#: Of the field with the link type: the number itself, with the reserved bits that must be 0; the upper bits say how
#: long the frame check sequence is.
_LINKTYPE_BITS = 0x03FF_FFFF

#: How many records are looked at to tell variants apart, and the longest packet on the wire that is believed then.
_TRIED = 3
_MAX_LENGTH = 134_217_728


class _Header(msgspec.Struct, frozen=True):
    order: str
    unit: int
    #: Bytes of the file's header, and of each record's.
    size: int
    record: int
    snaplen: int
    linktype: int
    #: Captured and original length have changed places.
    swapped: bool


def matches(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is one."""
    return any(int.from_bytes(head[:4], order) in _MAGICS for order in ("little", "big"))


def batches(source: Source, info: FileInfo) -> Iterator[Batch]:
    """The packets; ``UsageError`` when the file's header is not complete or of an unknown version."""
    header = _read_header(source.head, info)
    info.format = "pcap"
    info.interfaces.append(Interface(header.linktype, snaplen=header.snaplen))
    source.skip(header.size)
    buffer = Buffer(source)
    buffer.offset = info.bytes = header.size
    shape = Shape(12 if header.swapped else 8, header.order, header.record)
    frame = 1
    more = True
    while more:
        more = buffer.fill()
        batch, end, reason = _read(buffer, header, starts(buffer, shape, _guesser(buffer, header)), frame)
        if not reason and not more and end < buffer.filled:
            what = "packet" if buffer.filled - end >= header.record else "record's header"
            reason = f"the file is cut in the middle of a {what}"
        frame += len(batch)
        info.bytes = buffer.offset + buffer.filled
        if reason:
            info.damage = Damage(frame - 1, buffer.offset + end, reason)
            more = False
        buffer.cut(end)
        yield from pieces(batch)


def _read(buffer: Buffer, header: _Header, start: Ints, frame: int) -> tuple[Batch, int, str]:
    """The whole records, where they end, and why what follows is no record."""
    start = start[: np.searchsorted(start, buffer.filled - header.record, "right")]
    records = np.ndarray((buffer.filled + 1,), f"V{_PLAIN}", buffer.bytes, 0, (1,))
    fields = records[start].view(header.order + "u4").reshape(-1, 4)
    start = start + header.record
    caplen = fields[:, 3 if header.swapped else 2].astype(np.int64)
    whole = (caplen <= MAX_PACKET) & (start + caplen <= buffer.filled)
    count = len(start) if whole.all() else int(whole.argmin())
    reason = ""
    if count < len(start) and caplen[count] > MAX_PACKET:
        reason = f"a record claims {caplen[count]} captured bytes; {MAX_PACKET} is the limit"
    start, caplen, fields = start[:count], caplen[:count], fields[:count]
    end = int(start[-1] + caplen[-1]) if count else 0
    time_ns = fields[:, 0].astype(np.int64) * 1_000_000_000
    time_ns += fields[:, 1].astype(np.int64) * header.unit
    length = fields[:, 2 if header.swapped else 3].astype(np.int64)
    return Batch(buffer.data[: end + SLACK], start, caplen, length, time_ns, frame), end, reason


def _guesser(buffer: Buffer, header: _Header) -> Guess:
    """Where a record seems to start: where the time is within 18 hours of the first record's, and the rest plausible.

    The upper half of the seconds is what the search looks for.
    """
    upper = 2 if header.order == "<" else 0
    filled = buffer.filled
    records = np.ndarray((filled + 1,), f"V{_PLAIN}", buffer.bytes, 0, (1,))
    day = np.ndarray((filled + 1,), "u2", buffer.bytes, upper, (1,))
    second = 1_000_000_000 // header.unit

    def starts_there(at: Ints) -> Bools:
        at = at - upper
        _, fraction, captured, length = records[at].view(header.order + "u4").reshape(-1, 4).T
        following = np.minimum(at + header.record + (length if header.swapped else captured), filled)
        plausible: Bools = (fraction < second) & (captured <= length) & (length <= MAX_PACKET)
        plausible &= (following + upper + 2 > filled) | (day[following] == day[0])
        return plausible

    def guess(places: Ints, end: Ints) -> Ints:
        at = search(buffer, places + upper, end, day[:1].tobytes(), starts_there)
        return np.where(at < 0, at, at - upper)

    return guess


def _read_header(head: bytes, info: FileInfo) -> _Header:
    order = "<" if int.from_bytes(head[:4], "little") in _MAGICS else ">"
    magic = _MAGICS[struct.unpack_from(order + "I", head)[0]]
    if len(head) < magic.header:
        raise UsageError(f"{info.path}: a pcap file that ends within its header")
    number, major, minor, snaplen, network = struct.unpack_from(order + "IHH8xII", head)
    if major < 2:
        raise UsageError(f"{info.path}: a pcap file of version {major}.{minor}, which is not known")
    aix = number == 0xA1B2C3D4 and (major, minor) == (2, 2) and network in _AIX_LINKTYPES
    header = _Header(
        order=order,
        unit=1 if aix else magic.unit,
        size=magic.header,
        record=magic.records[0],
        snaplen=snaplen,
        linktype=_AIX_LINKTYPES[network] if aix else network & _LINKTYPE_BITS,
        swapped=(2, 0) <= (major, minor) < (2, 3) or major == 543,
    )
    if (major, minor) == (2, 3):  # some wrote this version with the lengths as before it
        return msgspec.structs.replace(
            header, swapped=any(record.captured > record.length for record in _first_records(head, header))
        )
    if (major, minor) < (2, 3) or major == 543:
        return header
    variants = [msgspec.structs.replace(header, record=size) for size in magic.records]
    return min(variants, key=lambda variant: _faults(head, variant))  # of equals, the first


class _Record(NamedTuple):
    """One record's header, without the seconds; ``rest``: what variants append; ``cut``: the file ends within it."""

    fraction: int
    captured: int
    length: int
    rest: bytes
    cut: bool


def _first_records(head: bytes, header: _Header) -> Iterator[_Record]:
    at = header.size
    for _ in range(_TRIED):
        following = at + header.record
        if following > len(head):
            return
        fraction, captured, length = struct.unpack_from(header.order + "4xIII", head, at)
        at = following + captured
        yield _Record(fraction, captured, length, head[following - header.record + _PLAIN : following], len(head) < at)


def _faults(head: bytes, header: _Header) -> int:
    """What does not make sense in the first records, counted; Wireshark's list."""
    faults = 0
    for record in _first_records(head, header):
        faults += (record.captured > header.snaplen) + (record.captured > record.length) + record.cut
        faults += (record.captured > MAX_PACKET) + (record.length > _MAX_LENGTH)
        faults += record.fraction * header.unit >= 1_000_000_000
        if header.record == _NOKIA:
            faults += not _of_nokia(struct.unpack(header.order + "I", record.rest)[0])
        elif header.record > _PLAIN:
            interface, protocol, kind = struct.unpack_from(header.order + "IHB", record.rest)
            faults += (interface > 10_000) + (kind > 4)  # PACKET_HOST to PACKET_OUTGOING
            faults += not (protocol >= 0x0600 or protocol <= 0x0017 or protocol in (0x0060, 0x0200, 0x0400))
    return faults


def _of_nokia(word: int) -> bool:
    """What has been seen in Nokia's own field."""
    return word & 0x0FFF00F0 == 0x0FBF0000 and all(
        (
            word >> 28 in (0x9, 0xB),
            word >> 12 & 0xF in (0xB, 0xD),
            word >> 8 & 0xF in (0x6, 0x9),
            word & 0xF in (1, 2),
        )
    )
