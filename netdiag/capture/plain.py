"""The usual packet: TCP in IP without options, fragments or extension headers, right behind its link layer.

``plain`` reads what ``peeling`` would read of nearly every packet, at a third of the cost: one gather, one change of
byte order, shifts on contiguous words. Whatever is not exactly so it leaves to the other.
"""

from __future__ import annotations

import numpy as np

from netdiag.capture.columns import SHIFT, U32, U64, V6, Segments, mix, words
from netdiag.capture.packets import Batch, Ints

_IP4, _IP6, _TCP = 0x0800, 0x86DD, 6
#: EtherType, IPv6 header, TCP header.
_WORDS = 1 + 10 + 5


def plain(batch: Batch, index: Ints, start: Ints, header: int) -> tuple[list[Segments], Ints]:
    """The segments of usual packets that begin at ``start`` with a link ``header``, which ends in an EtherType.

    Also returns the positions of the other packets.
    """
    if not len(start):
        return [], start
    word = words(batch.data, start + (header - 4), _WORDS)
    types, captured, length = word[0] & 0xFFFF, batch.caplen[index] - header, batch.length[index] - header
    four = (types == _IP4) & (word[1] >> 24 == 0x45) & (word[3] >> 16 & 0xFF == _TCP)
    four &= (word[2] & 0x3FFF == 0) & (captured >= 40)
    size = word[9] >> 28
    total = word[1] & 0xFFFF
    four &= (size >= 5) & (total >= 20 + size * 4) & (total <= length)
    six = (types == _IP6) & (word[1] >> 28 == 6) & (word[2] >> 8 & 0xFF == _TCP) & (captured >= 60)
    size = word[14] >> 28
    total = word[2] >> 16
    six &= (size >= 5) & (total >= size * 4) & (total + 40 <= length)
    found = []
    for mask, read in ((four, _plain4), (six, _plain6)):
        if mask.all():
            return [read(batch, index, start + header, word)], start[:0]
        if mask.any():
            chosen = np.flatnonzero(mask)
            found.append(read(batch, index[chosen], start[chosen] + header, word[:, chosen]))
    return found, np.flatnonzero(~(four | six))


def _plain4(batch: Batch, index: Ints, ip: Ints, word: U32) -> Segments:
    ports = word[6].astype(np.uint64)
    a = word[4].astype(np.uint64) << np.uint64(16) | ports >> np.uint64(16)
    b = word[5].astype(np.uint64) << np.uint64(16) | ports & np.uint64(0xFFFF)
    segments = _segments(batch, index, (ip, ip + 20, ip + (word[1] & 0xFFFF)), (a, b), word[7:10], 4)
    segments.ttl = (word[3] >> 24).astype(np.uint8)
    segments.ip_id = (word[2] >> 16).astype(np.uint16)
    segments.df = (word[2] & 0x4000) != 0
    return segments


def _plain6(batch: Batch, index: Ints, ip: Ints, word: U32) -> Segments:
    wide = word[3:11].astype(np.uint64)
    halves = wide[0::2] << SHIFT | wide[1::2]
    ports = word[11].astype(np.uint64)
    a = mix(mix(halves[0], halves[1]), ports >> np.uint64(16)) | V6
    b = mix(mix(halves[2], halves[3]), ports & np.uint64(0xFFFF)) | V6
    segments = _segments(batch, index, (ip, ip + 40, ip + 40 + (word[2] >> 16)), (a, b), word[12:15], 6)
    segments.ttl = (word[2] & 0xFF).astype(np.uint8)
    return segments


def _segments(
    batch: Batch, index: Ints, offsets: tuple[Ints, Ints, Ints], ends: tuple[U64, U64], tcp: U32, version: int
) -> Segments:
    """All but what the IP header tells. ``offsets``: of IP, of TCP, of the end on the wire; ``tcp``: its words."""
    (ip, start, wire), (a, b) = offsets, ends
    n = len(index)
    header = tcp[2] >> 28 << 2
    return Segments(
        index=index,
        low=np.minimum(a, b),
        high=np.maximum(a, b),
        side=(a > b).view(np.uint8),
        seq=tcp[0],
        ack=tcp[1],
        flags=(tcp[2] >> 16).astype(np.uint8),
        window=tcp[2].astype(np.uint16),
        length=wire - start - header,
        ttl=np.empty(0, np.uint8),
        ip_id=np.zeros(n, np.uint16),
        df=np.zeros(n, bool),
        ip=ip,
        version=np.full(n, version, np.uint8),
        tcp=start,
        header=header.astype(np.uint8),
        end=np.minimum(wire, batch.start[index] + batch.caplen[index]),
        odd=np.zeros(n, np.uint8),
    )
