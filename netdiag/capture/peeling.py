"""Packets -> columns, layer by layer: tags, tunnels, IP with options, fragments and extension headers, TCP.

Contract: vectorised over the whole batch. Every step works on three arrays: which packets (indices into the batch), at
what offset of the batch's data the layer begins, and where the packet ends, on the wire and in the capture. What was
not captured is not read. Tags and tunnels are peeled up to ``MAX_DEPTH`` layers, and the innermost IP header counts.
"""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from netdiag.capture.columns import (
    LOOSE,
    STUMP,
    U64,
    V6,
    Array,
    Columns,
    Datagrams,
    Segments,
    gather,
    hash6,
    mix,
)
from netdiag.capture.fragments import Fragments
from netdiag.capture.packets import SLACK, Batch, Bools, Bytes, Ints

#: Tags, labels and tunnels around one segment.
MAX_DEPTH = 8
#: Extension headers of one IPv6 packet.
MAX_EXTENSIONS = 8

#: Up to the window field: as much of a TCP header as must be there.
_TCP_NEEDED = 16

_IPV4 = np.dtype(
    [("vihl", "u1"), ("tos", "u1"), ("length", ">u2"), ("id", ">u2"), ("fragment", ">u2"), ("ttl", "u1"),
     ("protocol", "u1"), ("checksum", ">u2"), ("source", ">u4"), ("destination", ">u4")]
)  # fmt: skip
_IPV6 = np.dtype(
    [("flow", ">u4"), ("length", ">u2"), ("next", "u1"), ("hops", "u1"), ("source", ">u8", 2),
     ("destination", ">u8", 2)]
)  # fmt: skip
_TCP = np.dtype(
    [("ports", ">u2", 2), ("seq", ">u4"), ("ack", ">u4"), ("offset", "u1"), ("flags", "u1"), ("window", ">u2"),
     ("checksum", ">u2"), ("urgent", ">u2")]
)  # fmt: skip
_JUMBO = np.dtype([("type", "u1"), ("size", "u1"), ("length", ">u4")])
_UDP = np.dtype([("source", ">u2"), ("destination", ">u2"), ("length", ">u2"), ("checksum", ">u2")])

IP4, IP6 = 0x0800, 0x86DD
_VLAN = (0x8100, 0x88A8, 0x9100, 0x9200)
_MPLS = (0x8847, 0x8848)
_PPPOE = 0x8864
_FABRIC_PATH = 0x8903  # Cisco's: a tag of 2 bytes, then the frame itself
_BRIDGED = 0x6558  # Ethernet in GRE or Geneve (RFC 7637, RFC 8926)
_ERSPAN = 0x88BE  # type II; without the GRE sequence bit type I, which has no header of its own
_PPP_IP = {0x21: IP4, 0x57: IP6, 0x281: 0x8847, 0x283: 0x8848}
#: Address unicast and multicast, control 0: Cisco's HDLC where PPP was expected.
_CISCO_HDLC = (0x0F00, 0x8F00)

_ICMP, _TCP_PROTOCOL, _UDP_PROTOCOL, _GRE, _ICMP6 = 1, 6, 17, 47, 58
_IP_IN_IP, _IP6_IN_IP = 4, 41
_VXLAN_PORT, _GENEVE_PORT, _GTP_PORT, _L2TP_PORT = 4789, 6081, 2152, 1701
#: Hop-by-hop, routing, destination options: length in units of 8 bytes, not counting the first (RFC 8200 §4).
_EXTENSIONS = (0, 43, 60)
_FRAGMENT, _AUTHENTICATION = 44, 51
_SNAP = np.dtype([("llc", ">u2"), ("control", "u1"), ("oui", "u1", 3), ("type", ">u2")])
_PAIR = np.dtype([("value", ">u2")])


def u16(data: Bytes, offsets: Ints) -> Ints:
    """The big-endian 16-bit number at each offset."""
    return gather(data, offsets, _PAIR)["value"].astype(np.int64)


class Part(msgspec.Struct):
    """One layer of some packets: which, where it begins, where they end on the wire and in the capture, how deep."""

    index: Ints
    offset: Ints
    #: Offsets of the packets' ends: on the wire, and of what was captured.
    wire: Ints
    end: Ints
    depth: int = 0

    def take(self, which: Array, skip: int | Ints = 0) -> Part:
        """Some of the packets, ``skip`` bytes further in."""
        return Part(self.index[which], self.offset[which] + skip, self.wire[which], self.end[which], self.depth)

    def deeper(self) -> Part:
        """The same, one tunnel further in."""
        return Part(self.index, self.offset, self.wire, self.end, self.depth + 1)


class Meta(msgspec.Struct):
    """What the IP header says. Arrays, except ``version``."""

    ip: Ints
    version: int
    ttl: npt.NDArray[np.uint8]
    ip_id: npt.NDArray[np.uint16]
    df: Bools
    source: U64
    destination: U64
    #: A first fragment of IPv4 that stands for its datagram, because it was cut by the capture.
    partial: Bools

    def take(self, which: Array) -> Meta:
        """Some of the packets."""
        return Meta(
            self.ip[which],
            self.version,
            self.ttl[which],
            self.ip_id[which],
            self.df[which],
            self.source[which],
            self.destination[which],
            self.partial[which],
        )


def _with_data(batch: Batch, data: Bytes) -> Batch:
    return Batch(
        data,
        batch.start,
        batch.caplen,
        batch.length,
        batch.time_ns,
        batch.first_frame,
        batch.interface,
        batch.direction,
    )


class Peeling:
    """The peeling of one batch. Each method takes one layer off and hands the rest on."""

    def __init__(self, batch: Batch, fragments: Fragments) -> None:
        self.batch = batch
        self.data = batch.data
        self.result = Columns(batch, Segments.empty(0))
        self._fragments = fragments
        #: Fragments of this batch: packet, version, and where header, payload and end lie in ``data``.
        self._pieces: list[tuple[int, int, int, int, int]] = []
        self.chunks: list[Segments] = []

    def finish(self) -> Columns:
        """The segments of all chunks."""
        while self._pieces:
            self._reassemble()
        self.result.snapped = int(np.count_nonzero(self.batch.caplen < self.batch.length))
        chunks = [chunk for chunk in self.chunks if len(chunk)]
        if len(chunks) == 1:
            self.result.segments = chunks[0]
        elif chunks:
            names = Segments.__struct_fields__
            joined = {name: np.concatenate([getattr(chunk, name) for chunk in chunks]) for name in names}
            self.result.segments = Segments(**joined)
        if self.data is not self.batch.data:
            self.result.batch = _with_data(self.batch, self.data)
        return self.result

    # Link layers

    def link(self, index: Ints, offset: Ints) -> Part:
        """The whole packets, from the offset on."""
        start, caplen = self.batch.start[index], self.batch.caplen[index]
        # What was captured was there, whatever length the record tells.
        return Part(index, offset, start + np.maximum(self.batch.length[index], caplen), start + caplen)

    def ether_type(self, part: Part, types: Ints) -> None:
        """Hand on by EtherType: ``types`` of ``part``, whose offsets lie behind it."""
        for _ in range(MAX_DEPTH):
            four, six = types == IP4, types == IP6
            for chosen, method in ((four, self.ipv4), (six, self.ipv6)):
                if chosen.all():
                    method(part)
                    return
                if chosen.any():
                    method(part.take(np.flatnonzero(chosen)))
            rest = np.flatnonzero(~(four | six))
            if not len(rest):
                return
            part, types = part.take(rest), types[rest]
            self._other_types(part, types)
            tagged = np.isin(types, _VLAN)
            part = part.take(tagged, 4)
            if not len(part.index):
                return
            types = self._within(part, u16(self.data, part.offset - 2), part.offset)

    def _other_types(self, part: Part, types: Ints) -> None:
        labelled = np.isin(types, _MPLS)
        if labelled.any():
            self._mpls(part.take(labelled))
        for value, skip, method in (
            (_PPPOE, 0, self._pppoe),
            (_BRIDGED, 0, self.ethernet_inside),
            (_FABRIC_PATH, 2, self.ethernet_inside),
        ):
            chosen = types == value
            if chosen.any():
                method(part.take(chosen, skip))
        small = (types <= 1500) & (types >= 0)
        if small.any():
            self._llc(part.take(small))

    def _within(self, part: Part, values: Ints, needed: Ints) -> Ints:
        """``values`` where the capture holds everything up to ``needed``, -1 elsewhere."""
        return np.where(needed <= part.end, values, -1)

    def _llc(self, part: Part) -> None:
        """IEEE 802.2 with a SNAP header of OUI 0 (RFC 1042)."""
        head = gather(self.data, part.offset, _SNAP)
        snap = (head["llc"] == 0xAAAA) & (head["control"] == 3) & (head["oui"] == 0).all(axis=1)
        if snap.any():
            inner = part.take(snap, 8)
            self.ether_type(inner, self._within(inner, head["type"][snap].astype(np.int64), inner.offset))

    def _mpls(self, part: Part) -> None:
        for _ in range(MAX_DEPTH):
            bottom = (self.data[part.offset + 2] & 1) == 1
            fits = part.offset + 4 <= part.end
            inner = part.take(bottom & fits, 4)
            self.raw_ip(inner)
            part = part.take(~bottom & fits, 4)
            if not len(part.index):
                return

    def _pppoe(self, part: Part) -> None:
        self.ppp(part.take(np.ones(len(part.index), bool), 6))

    def ppp(self, part: Part) -> None:
        """PPP, with or without the HDLC address and a compressed protocol field (RFC 1661, RFC 1662)."""
        first = u16(self.data, part.offset)
        cisco = np.isin(first, _CISCO_HDLC)
        if cisco.any():
            inner = part.take(cisco, 4)
            self.ether_type(inner, self._within(inner, u16(self.data, inner.offset - 2), inner.offset))
            part, first = part.take(~cisco), first[~cisco]
        hdlc = first == 0xFF03
        part.offset = part.offset + np.where(hdlc, 2, 0)
        short = (self.data[part.offset] & 1) == 1
        protocol = np.where(short, self.data[part.offset], u16(self.data, part.offset))
        part.offset = part.offset + np.where(short, 1, 2)
        types = np.full(len(part.index), -1, np.int64)
        for value, ether_type in _PPP_IP.items():
            types[protocol == value] = ether_type
        self.ether_type(part, self._within(part, types, part.offset))

    def ethernet_inside(self, part: Part) -> None:
        """An Ethernet frame within a tunnel."""
        if part.depth < MAX_DEPTH:
            inner = part.take(part.offset + 14 <= part.end, 14).deeper()
            self.ether_type(inner, u16(self.data, inner.offset - 2))

    def raw_ip(self, part: Part) -> None:
        """IP, the version told by its first half byte."""
        fits = part.offset < part.end
        version = np.where(fits, self.data[part.offset] >> 4, 0)
        for value, method in ((4, self.ipv4), (6, self.ipv6)):
            chosen = version == value
            if chosen.all() and len(chosen):
                method(part)
            elif chosen.any():
                method(part.take(chosen))

    # IP

    def ipv4(self, part: Part) -> None:
        """RFC 791. A total length of 0 is what segmentation offload leaves: the packet's own length then counts."""
        head = gather(self.data, part.offset, _IPV4)
        vihl = head["vihl"]
        size = (vihl & 15).astype(np.int64) * 4
        total = head["length"].astype(np.int64)
        usable = (part.offset + size <= part.end) & (vihl >= 0x45) & (vihl <= 0x4F) & ((total >= size) | (total == 0))
        if not usable.all():
            part, head, size, total = part.take(usable), head[usable], size[usable], total[usable]
        announced = np.where(total == 0, part.wire, part.offset + total)
        wire = np.minimum(announced, part.wire)
        inner = Part(part.index, part.offset + size, wire, np.minimum(part.end, wire), part.depth)
        meta = Meta(
            ip=part.offset,
            version=4,
            ttl=head["ttl"],
            ip_id=head["id"].astype(np.uint16),
            df=(head["fragment"] & 0x4000) != 0,
            source=head["source"].astype(np.uint64),
            destination=head["destination"].astype(np.uint64),
            partial=np.zeros(len(head), bool),
        )
        protocol = head["protocol"]
        fragment = (head["fragment"] & 0x3FFF) != 0
        if fragment.any():
            inner, meta, protocol = self._without_fragments(inner, meta, protocol, fragment, head, announced)
        self._transport(inner, meta, protocol)

    def _without_fragments(
        self,
        part: Part,
        meta: Meta,
        protocol: Array,
        fragment: Bools,
        head: npt.NDArray[np.void],
        announced: Ints,
    ) -> tuple[Part, Meta, Array]:
        """Keep the fragments for reassembly; a first one that was cut by the capture is read as it stands."""
        cut = part.end < announced
        first = (head["fragment"] & 0x1FFF) == 0
        self.result.fragments += int(np.count_nonzero(fragment))
        self._put_aside(part, meta, fragment & ~cut)
        meta.partial = fragment
        keep = ~fragment | (cut & first)
        return part.take(keep), meta.take(keep), protocol[keep]

    def _put_aside(self, part: Part, meta: Meta, fragment: Bools) -> None:
        columns = (part.index, meta.ip, part.offset, part.end)
        for index, ip, offset, end in zip(*(column[fragment].tolist() for column in columns), strict=True):
            self._pieces.append((index, meta.version, ip, offset, end))

    def _reassemble(self) -> None:
        """Add this batch's fragments in file order; read the datagrams that are whole now behind the batch's data."""
        for packet, version, ip, payload, end in sorted(self._pieces):
            add = self._fragments.add4 if version == 4 else self._fragments.add6
            add(self.data, packet, ip, payload, end)
        self._pieces = []
        whole = self._fragments.complete
        self._fragments.complete = []
        if not whole:
            return
        sizes = np.array([len(datagram) for _, datagram in whole], np.int64)
        offset = len(self.data) + np.cumsum(sizes) - sizes
        blob = np.frombuffer(b"".join(datagram for _, datagram in whole) + bytes(SLACK), np.uint8)
        self.data = np.concatenate((self.data, blob))
        index = np.array([packet for packet, _ in whole], np.int64)
        self.raw_ip(Part(index, offset, offset + sizes, offset + sizes))

    def ipv6(self, part: Part) -> None:
        """RFC 8200. A payload length of 0 is that of a jumbogram, or the packet is empty, as for Wireshark."""
        head = gather(self.data, part.offset, _IPV6)
        usable = (part.offset + 40 <= part.end) & ((head["flow"] >> 28) == 6)
        if not usable.all():
            part, head = part.take(usable), head[usable]
        length = head["length"].astype(np.int64)
        if not length.all():
            length = np.where(length == 0, self._jumbo(part, head["next"]), length)
        wire = np.minimum(part.offset + 40 + length, part.wire)
        inner = Part(part.index, part.offset + 40, wire, np.minimum(part.end, wire), part.depth)
        meta = Meta(
            ip=part.offset,
            version=6,
            ttl=head["hops"],
            ip_id=np.zeros(len(head), np.uint16),
            df=np.zeros(len(head), bool),
            source=hash6(head["source"]),
            destination=hash6(head["destination"]),
            partial=np.zeros(len(head), bool),
        )
        self._extensions(inner, meta, head["next"].copy())

    def _jumbo(self, part: Part, following: Array) -> Ints:
        """The payload lengths of jumbograms (RFC 2675), 0 for others. Linux sends such to itself (BIG TCP)."""
        option = gather(self.data, part.offset + 42, _JUMBO)
        told = (following == 0) & (option["type"] == 0xC2) & (option["size"] == 4) & (part.offset + 48 <= part.end)
        told &= option["length"] > 0xFFFF
        return np.where(told, option["length"].astype(np.int64), 0)

    def _extensions(self, part: Part, meta: Meta, following: Array) -> None:
        alive = np.ones(len(part.index), bool)
        for _ in range(MAX_EXTENSIONS):
            header = alive & np.isin(following, (*_EXTENSIONS, _FRAGMENT, _AUTHENTICATION))
            if not header.any():
                break
            header &= part.offset + 8 <= part.end
            alive &= ~np.isin(following, (*_EXTENSIONS, _FRAGMENT, _AUTHENTICATION)) | header
            kind, length = following, self.data[part.offset + 1].astype(np.int64)
            fragment = header & (kind == _FRAGMENT)
            if fragment.any():
                alive &= ~self._keep_fragments6(part, meta, fragment)
            step = np.where(kind == _FRAGMENT, 8, np.where(kind == _AUTHENTICATION, (length + 2) * 4, (length + 1) * 8))
            following = np.where(header, self.data[part.offset], following)
            part.offset = np.where(header, np.minimum(part.offset + step, part.end), part.offset)
        if alive.all():
            self._transport(part, meta, following)
        else:
            self._transport(part.take(alive), meta.take(alive), following[alive])

    def _keep_fragments6(self, part: Part, meta: Meta, fragment: Bools) -> Bools:
        """Those that are only a part of a datagram (an atomic fragment is whole: RFC 6946), kept for reassembly."""
        partial: Bools = fragment & ((u16(self.data, part.offset + 2) & 0xFFF9) != 0)
        self.result.fragments += int(np.count_nonzero(partial))
        self._put_aside(part, meta, partial & (part.end >= part.wire))
        return partial

    # Transport

    def _transport(self, part: Part, meta: Meta, protocol: Array) -> None:
        tcp = protocol == _TCP_PROTOCOL
        if tcp.all():
            self._tcp(part, meta)
            return
        if tcp.any():
            self._tcp(part.take(tcp), meta.take(tcp))
        udp = protocol == _UDP_PROTOCOL
        if udp.any():
            self._udp(part.take(udp), meta.take(udp))
        icmp = protocol == (_ICMP if meta.version == 4 else _ICMP6)
        if icmp.any():
            self.result.icmp_packets += int(np.count_nonzero(icmp))
            self.result.icmp.append(self._datagrams(part.take(icmp), meta.take(icmp)))
        if part.depth < MAX_DEPTH:
            for value, method in ((_GRE, self._gre), (_IP_IN_IP, self.ipv4), (_IP6_IN_IP, self.ipv6)):
                chosen = protocol == value
                if chosen.any():
                    method(part.take(chosen).deeper())

    def _datagrams(self, part: Part, meta: Meta) -> Datagrams:
        version = np.full(len(part.index), meta.version, np.uint8)
        return Datagrams(part.index, self.batch.time_ns[part.index], meta.ip, version, part.offset, part.end)

    def _gre(self, part: Part) -> None:
        """RFC 2784 and 2890, version 0, without source routes."""
        flags = u16(self.data, part.offset)
        types = u16(self.data, part.offset + 2)
        step = 4 + sum(np.where(flags & bit, 4, 0) for bit in (0x8000, 0x2000, 0x1000))
        types = np.where((flags & 0x4007) == 0, types, -1)
        part.offset = part.offset + step
        spanned = types == _ERSPAN
        if spanned.any():
            self.ethernet_inside(part.take(spanned, np.where(flags[spanned] & 0x1000, 8, 0)))
        self.ether_type(part, self._within(part, types, part.offset))

    def _udp(self, part: Part, meta: Meta) -> None:
        self.result.udp_packets += len(part.index)  # minus those that turn out to be tunnels
        fits = part.offset + 8 <= part.end
        if not fits.all():
            part, meta = part.take(fits), meta.take(fits)
        head = gather(self.data, part.offset, _UDP)
        dns = (head["source"] == 53) | (head["destination"] == 53)
        if dns.any():
            self.result.dns.append(self._datagrams(part.take(dns), meta.take(dns)))
        if part.depth >= MAX_DEPTH:
            return
        vxlan = (head["destination"] == _VXLAN_PORT) & (part.offset + 16 <= part.end)
        self.result.udp_packets -= int(np.count_nonzero(vxlan))
        if vxlan.any():
            self.ethernet_inside(part.take(vxlan, 16))
        geneve = (head["destination"] == _GENEVE_PORT) & (part.offset + 16 <= part.end)
        self.result.udp_packets -= int(np.count_nonzero(geneve))
        if geneve.any():
            self._geneve(part.take(geneve, 8))
        # A datagram is one tunnel's only, or one packet would be two segments.
        rest = ~vxlan & ~geneve & (part.offset + 16 <= part.end)
        gtp = ((head["destination"] == _GTP_PORT) | (head["source"] == _GTP_PORT)) & rest
        if gtp.any():
            self._gtp(part.take(gtp, 8))
        l2tp = ((head["destination"] == _L2TP_PORT) | (head["source"] == _L2TP_PORT)) & rest & ~gtp
        if l2tp.any():
            self._l2tp(part.take(l2tp, 8))

    def _gtp(self, part: Part) -> None:
        """GTP-U version 1 (3GPP TS 29.281 §5.1), a user's packet, with or without the optional fields."""
        flags, kind = self.data[part.offset], self.data[part.offset + 1]
        whole = ((flags >> 4) == 3) & (kind == 255) & ((flags & 4) == 0)  # version 1; no extension headers
        optional = (flags & 3) != 0
        self.result.udp_packets -= int(np.count_nonzero(whole))
        part.offset = np.minimum(part.offset + 8 + np.where(optional, 4, 0), part.end)
        self.raw_ip(part.take(whole).deeper())

    def _l2tp(self, part: Part) -> None:
        """L2TP version 2, data messages (RFC 2661 §3.1), which hold PPP."""
        flags = u16(self.data, part.offset)
        data = (flags & 0x800F) == 2
        self.result.udp_packets -= int(np.count_nonzero(data))
        part, flags = part.take(data, 6), flags[data]
        part.offset = part.offset + np.where(flags & 0x4000, 2, 0) + np.where(flags & 0x0800, 4, 0)
        padded = (flags & 0x0200) != 0
        padding = np.where(padded, u16(self.data, part.offset) + 2, 0)
        part.offset = np.minimum(part.offset + padding, part.end)
        self.ppp(part.deeper())

    def _geneve(self, part: Part) -> None:
        """RFC 8926: options are counted in units of 4 bytes."""
        types = u16(self.data, part.offset + 2)
        options = (self.data[part.offset] & 0x3F).astype(np.int64) * 4
        part.offset = np.minimum(part.offset + 8 + options, part.end)
        self.ether_type(part.deeper(), self._within(part, types, part.offset))

    def _tcp(self, part: Part, meta: Meta) -> None:
        head = gather(self.data, part.offset, _TCP)
        header = (head["offset"] >> 4).astype(np.int64) * 4
        usable = part.offset + _TCP_NEEDED <= part.end
        if not usable.all():
            part, meta, head, header = part.take(usable), meta.take(usable), head[usable], header[usable]
        ports = head["ports"].astype(np.uint64)
        if meta.version == 4:
            a = meta.source << np.uint64(16) | ports[:, 0]
            b = meta.destination << np.uint64(16) | ports[:, 1]
        else:
            a = mix(meta.source, ports[:, 0]) | V6
            b = mix(meta.destination, ports[:, 1]) | V6
        payload = part.offset + header
        stump = header < 20
        odd = stump.view(np.uint8) * STUMP | ((payload > part.wire) | meta.partial).view(np.uint8) * LOOSE
        self.chunks.append(
            Segments(
                index=part.index,
                low=np.minimum(a, b),
                high=np.maximum(a, b),
                side=(a > b).view(np.uint8),
                seq=head["seq"].astype(np.uint32),
                ack=head["ack"].astype(np.uint32),
                flags=head["flags"].copy(),
                window=head["window"].astype(np.uint16),
                length=np.where(stump | meta.partial, 0, np.maximum(part.wire - payload, 0)),
                ttl=meta.ttl.copy(),
                ip_id=meta.ip_id,
                df=meta.df,
                ip=meta.ip.astype(np.int32),
                version=np.full(len(header), meta.version, np.uint8),
                tcp=part.offset.astype(np.int32),
                header=header.astype(np.uint8),
                end=part.end.astype(np.int32),
                odd=odd,
            )
        )
