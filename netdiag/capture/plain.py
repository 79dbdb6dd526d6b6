"""The usual packet: TCP in IP without options, fragments or extension headers, right behind its link layer.

``plain`` reads what ``peeling`` would read of nearly every packet, at a quarter of the cost: one gather, one change
of byte order, shifts on contiguous words, and columns that are written once. What is not exactly so it leaves to the
other.
"""

from __future__ import annotations

from copy import copy

import numpy as np
import numpy.typing as npt

from netdiag.capture.columns import SHIFT, U32, U64, V6, Array, Segments, mix, words
from netdiag.capture.packets import Batch, Bools, Ints

Lengths = npt.NDArray[np.int32]

_TCP = 6
#: EtherType, version, and 20 bytes of header where IPv4 tells that.
_IP4, _IP6 = 0x0800_45, 0x86DD_6


def plain(batch: Batch, index: Ints, start: Ints, header: int) -> tuple[Segments, Ints]:
    """The segments of usual packets that begin at ``start`` with a link ``header``, which ends in an EtherType.

    Also returns the positions of the other packets.
    """
    frames = _Frames(batch, index, start, header)
    found, count = Segments.empty(len(start)), 0
    left = np.ones(len(start), bool)
    kind = words(batch.data, frames.ip - 2, 1)[0]
    for chosen, read in ((kind >> 8 == _IP4, frames.read4), (kind >> 12 == _IP6, frames.read6)):
        usual = read(np.flatnonzero(chosen), found, count)
        count += len(usual)
        left[usual] = False
    return found.part(0, count), np.flatnonzero(left)


class _Frames:
    """Some packets of a batch. ``ip``: where their network layer begins; its bytes on the wire, and those captured."""

    def __init__(self, batch: Batch, index: Ints, start: Ints, header: int) -> None:
        self.data, self.index = batch.data, index
        self.ip = start + header
        self.wire = (batch.length[index] - header).astype(np.int32)
        self.captured = (batch.caplen[index] - header).astype(np.int32)

    def read4(self, at: Ints, out: Segments, count: int) -> Ints:
        """Write the segments of the usual ones among ``at`` to ``out``, from ``count`` on; which they are."""
        ip = self.ip.take(at)
        word = words(self.data, ip, 9)
        part = _Part(at, ip, 4, 20, word[0] & 0xFFFF, word[8], self.captured.take(at))
        usual = part.fits(self.wire.take(at))
        usual &= word[1] & 0x3FFF == 0
        usual &= word[2] >> 16 & 0xFF == _TCP
        if not usual.all():
            part, word = part.only(usual), word.compress(usual, axis=1)
        out = out.part(count, count + len(part.at))
        ports = word[5].astype(np.uint64)
        a, b = (address.astype(np.uint64) << np.uint64(16) for address in word[3:5])
        a |= ports >> np.uint64(16)
        b |= ports & np.uint64(0xFFFF)
        part.write(out, self.index, (a, b), word[6:9])
        out.ttl[:] = word[2] >> 24
        out.ip_id[:] = word[1] >> 16
        np.not_equal(word[1] & 0x4000, 0, out=out.df)
        return part.at

    def read6(self, at: Ints, out: Segments, count: int) -> Ints:
        """The same for IPv6."""
        ip = self.ip.take(at)
        word = words(self.data, ip, 14)
        part = _Part(at, ip, 6, 40, (word[1] >> 16) + 40, word[13], self.captured.take(at))
        usual = part.fits(self.wire.take(at))
        usual &= word[1] >> 8 & 0xFF == _TCP
        if not usual.all():
            part, word = part.only(usual), word.compress(usual, axis=1)
        out = out.part(count, count + len(part.at))
        wide = word[2:10].astype(np.uint64)
        halves = wide[0::2] << SHIFT | wide[1::2]
        ports = word[10].astype(np.uint64)
        a = mix(mix(halves[0], halves[1]), ports >> np.uint64(16)) | V6
        b = mix(mix(halves[2], halves[3]), ports & np.uint64(0xFFFF)) | V6
        part.write(out, self.index, (a, b), word[11:14])
        out.ttl[:] = word[1] & 0xFF
        out.ip_id[:] = 0
        out.df[:] = False
        return part.at


class _Part:
    """Packets of one IP version, whose header has ``size`` bytes. Lengths are of the whole: ``total`` as IP tells it.

    ``offset``: the word of the TCP header with its length.
    """

    def __init__(self, at: Ints, ip: Ints, version: int, size: int, total: U32, offset: U32, captured: Lengths) -> None:
        self.at, self.ip, self.version, self.size = at, ip, version, size
        self.total: Lengths = total.view(np.int32)
        self.header: Lengths = (offset >> 28 << 2).view(np.int32)
        self.captured = captured

    def fits(self, wire: Lengths) -> Bools:
        """Whether 20 bytes of TCP were captured behind the IP header, and all lengths fit into each other."""
        fits: Bools = self.header >= 20
        fits &= self.total >= self.header + self.size
        fits &= self.total <= wire
        fits &= self.captured >= self.size + 20
        return fits

    def only(self, mask: Bools) -> _Part:
        """Some of them."""
        part = copy(self)
        part.at, part.ip, part.captured = self.at.compress(mask), self.ip.compress(mask), self.captured.compress(mask)
        part.total, part.header = self.total.compress(mask), self.header.compress(mask)
        return part

    def write(self, out: Segments, index: Ints, ends: tuple[U64, U64], tcp: Array) -> None:
        """All but what the IP header tells. ``tcp``: the words of the header behind the ports."""
        a, b = ends
        out.index[:] = index.take(self.at)
        np.minimum(a, b, out=out.low)
        np.maximum(a, b, out=out.high)
        np.greater(a, b, out=out.side.view(bool))
        out.seq[:], out.ack[:], out.window[:] = tcp[0], tcp[1], tcp[2]
        out.flags[:] = tcp[2] >> 16
        out.header[:] = self.header
        out.length[:] = self.total - (self.header + self.size)
        out.ip[:] = self.ip
        np.add(self.ip, self.size, out=out.tcp)
        np.add(self.ip, np.minimum(self.total, self.captured), out=out.end)
        out.version[:] = self.version
        out.odd[:] = 0
