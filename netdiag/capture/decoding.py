"""A batch of packets -> columns, by link type.

Link types: ``LINK_LAYERS``; packets of others are counted.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from netdiag.capture.columns import Columns, gather
from netdiag.capture.fragments import Fragments
from netdiag.capture.packets import Batch, Interface, Ints
from netdiag.capture.peeling import IP4, IP6, Peeling, u16
from netdiag.capture.plain import plain


class Decoder:
    """Turns batches into columns, one after the other; keeps the fragments that wait for their rest.

    ``interfaces`` is the reader's list, which may grow while it reads.
    """

    def __init__(self, interfaces: list[Interface]) -> None:
        self._interfaces = interfaces
        self._fragments = Fragments()

    def columns(self, batch: Batch) -> Columns:
        """The columns of one batch. Batches must come in file order."""
        peeling = Peeling(batch, self._fragments)
        for linktype, index in self._by_link(batch):
            layer = LINK_LAYERS.get(linktype)
            if layer is None:
                peeling.result.unknown_links[linktype] = len(index)
            else:
                layer(peeling, index, batch.start[index])
        return peeling.finish()

    def _by_link(self, batch: Batch) -> list[tuple[int, Ints]]:
        """The packets of each link type."""
        everything = np.arange(len(batch))
        if batch.interface is None or len(self._interfaces) == 1:
            return [(self._interfaces[0].linktype, everything)] if self._interfaces else []
        types = np.array([interface.linktype for interface in self._interfaces], np.int64)[batch.interface]
        return [(int(linktype), everything[types == linktype]) for linktype in np.unique(types)]


_FAMILY = np.dtype([("value", "<u4")])
#: AF_INET6 of NetBSD and Windows, FreeBSD, macOS (tcpdump.org/linktypes/LINKTYPE_NULL.html).
_FAMILIES_6 = (24, 28, 30)
_JUNIPER = 0x4D4743

# Link layers by LINKTYPE_ value (tcpdump.org/linktypes.html)


def _protocol_at(field_offset: int, header: int) -> LinkLayer:
    """A header of fixed length with an EtherType in it."""

    def layer(peeling: Peeling, index: Ints, start: Ints) -> None:
        if field_offset == header - 2:
            found, rest = plain(peeling.batch, index, start, header)
            peeling.chunks.append(found)
            index, start = index[rest], start[rest]
        if len(index):
            part = peeling.link(index, start + header)
            types = u16(peeling.data, start + field_offset)
            peeling.ether_type(part, np.where(part.offset <= part.end, types, -1))

    return layer


def _raw(peeling: Peeling, index: Ints, start: Ints) -> None:
    peeling.raw_ip(peeling.link(index, start))


def _family(peeling: Peeling, index: Ints, start: Ints) -> None:
    """BSD loopback: four bytes of address family, in the byte order of whoever captured."""
    family = gather(peeling.data, start, _FAMILY)["value"].astype(np.int64)
    family = np.where(family > 0xFFFF, family.astype(np.uint32).byteswap().astype(np.int64), family)
    types = np.select([family == 2, np.isin(family, _FAMILIES_6), family > 1500], [IP4, IP6, family], -1)
    part = peeling.link(index, start + 4)
    peeling.ether_type(part, np.where(part.offset <= part.end, types, -1))


def _ppp(peeling: Peeling, index: Ints, start: Ints) -> None:
    peeling.ppp(peeling.link(index, start))


def _pppoe(peeling: Peeling, index: Ints, start: Ints) -> None:
    peeling.ppp(peeling.link(index, start + 6))


def _encapsulated(peeling: Peeling, index: Ints, start: Ints) -> None:
    """OpenBSD's enc: address family, SPI, flags, then IP."""
    peeling.raw_ip(peeling.link(index, start + 12))


def _pflog(peeling: Peeling, index: Ints, start: Ints) -> None:
    """OpenBSD's pflog: a header whose first byte is its length without padding to a multiple of 4, then IP."""
    size = (peeling.data[start].astype(np.int64) + 3) & ~3
    part = peeling.link(index, start)
    part.offset = np.minimum(start + size, part.end)
    peeling.raw_ip(part)


def _juniper_ethernet(peeling: Peeling, index: Ints, start: Ints) -> None:
    """Juniper's header, with extensions or without, before Ethernet; frames without their link layer are not read."""
    magic = u16(peeling.data, start) << 8 | peeling.data[start + 2]
    flags = peeling.data[start + 3]
    known = (magic == _JUNIPER) & ((flags & 2) == 0)
    index, start, extended = index[known], start[known], (flags[known] & 0x80) != 0
    part = peeling.link(index, start)
    part.offset = np.minimum(start + 4 + np.where(extended, u16(peeling.data, start + 4) + 2, 0), part.end)
    peeling.ethernet_inside(part)


LinkLayer = Callable[[Peeling, Ints, Ints], None]

LINK_LAYERS: dict[int, LinkLayer] = {
    0: _family,  # NULL
    1: _protocol_at(12, 14),  # Ethernet
    9: _ppp,
    12: _raw,  # DLT_RAW on most systems
    14: _raw,  # DLT_RAW on OpenBSD
    50: _ppp,  # PPP_HDLC
    51: _pppoe,
    101: _raw,
    104: _protocol_at(2, 4),  # Cisco HDLC
    108: _family,  # LOOP
    109: _encapsulated,
    113: _protocol_at(14, 16),  # Linux cooked v1
    117: _pflog,
    178: _juniper_ethernet,
    228: _raw,
    229: _raw,
    242: _protocol_at(40, 44),  # IP over InfiniBand
    276: _protocol_at(0, 20),  # Linux cooked v2
}
