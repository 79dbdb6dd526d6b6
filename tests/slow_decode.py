"""From a frame to its TCP header, one packet at a time: the slow engine's decoder, written to be read, not to be fast.

Contract: ``Decoder.decode`` gives the innermost TCP header of a frame as ``Tcp``, or None. Read are: Ethernet (802.1Q,
802.1ad and 9100 tags, 802.3 with LLC or SNAP), Linux cooked 1 and 2, raw IP, null and loop headers in both byte orders,
PPP, Cisco HDLC, PPPoE, MPLS (IP, or Ethernet as a pseudowire), IPv4 with options, IPv6 with its extension headers,
fragments of both, GRE with any of its fields (also PPTP and ERSPAN), IP in IP, VXLAN on UDP port 4789, and Geneve on
6081.

Not read: 802.11, Frame Relay, ATM and other link layers, GTP, L2TP, Teredo, WireGuard, MPLS in UDP, PPP's compressed or
multilink headers, ESP, and what an ICMP error quotes.

A frame is never read further than ``MAX_LAYERS`` headers. Everything is judged by two lengths: how many bytes were
captured (``data``) and how many there were on the wire (``length``).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

MAX_LAYERS = 32

#: What a step needs to go on reading. The first says which table the number belongs to.
Kind = tuple[str, int]
Step = tuple[Kind, bytes, int]

ETHERNET: Kind = ("link", 1)
NOTHING: Kind = ("nothing", 0)
IPV4: Kind = ("ethertype", 0x0800)
IPV6: Kind = ("ethertype", 0x86DD)

_PPP_TO_ETHERTYPE = {0x0021: 0x0800, 0x0057: 0x86DD, 0x0281: 0x8847, 0x0283: 0x8848}
_AF_INET, _AF_INET6 = 2, (24, 28, 30)


@dataclass(frozen=True)
class Tcp:
    """One TCP header in its IP header."""

    source: bytes
    source_port: int
    destination: bytes
    destination_port: int
    seq: int
    ack: int
    flags: int
    window: int
    #: In bytes, as the header says: less than 20 is nonsense.
    header: int
    options: bytes
    #: Payload on the wire.
    length: int
    ttl: int
    ip_id: int | None
    df: bool
    #: The segment's length is known: it is no lone first fragment, and its header fits into it.
    sized: bool


@dataclass
class _Ip:
    """The innermost IP header so far."""

    source: bytes = b""
    destination: bytes = b""
    ttl: int = 0
    ip_id: int | None = None
    df: bool = False
    version: int = 4
    #: Read from a first fragment whose rest cannot be joined to it.
    fragment: bool = False
    #: IPv6: bytes of payload that its headers announce, less the extension headers read.
    left: int = 0


@dataclass
class _Fragments:
    """Fragments of one datagram: (offset, bytes), and the length that the first last fragment told."""

    parts: list[tuple[int, bytes]] = field(default_factory=list)
    total: int | None = None

    def add(self, offset: int, data: bytes, more: bool) -> bytes | None:
        """The datagram, if this completes it. What came first wins where they overlap and begin alike."""
        self.parts.append((offset, data))
        if not more and self.total is None:
            self.total = offset + len(data)
        if self.total is None:
            return None
        joined = b""
        for start, part in sorted(self.parts, key=lambda item: item[0]):
            if start <= len(joined) < start + len(part):
                joined += part[len(joined) - start :]
        return joined[: self.total] if len(joined) >= self.total else None


class Decoder:
    """Keeps fragments between frames, and counts what is not TCP."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[object, ...], _Fragments] = {}
        self._ip = _Ip()
        #: UDP headers other than a tunnel's, and ICMP messages, read so far.
        self.udp = 0
        self.icmp = 0

    def decode(self, linktype: int, data: bytes, length: int) -> Tcp | None:
        """The TCP header of one frame; None for none."""
        self._ip = _Ip()
        kind: Kind = ("link", linktype)
        length = max(length, len(data))  # what was captured was there
        try:
            for _ in range(MAX_LAYERS):
                self.udp += kind == ("ip", 17)
                self.icmp += kind == (("ip", 1) if self._ip.version == 4 else ("ip", 58))
                if kind == ("ip", 6):
                    return self._tcp(data, length)
                step = self._step(kind)
                if step is None:
                    return None
                kind, data, length = step(data, length)
                data = data[: max(length, 0)]
        except (struct.error, IndexError):
            pass
        return None

    def _step(self, kind: Kind) -> Callable[[bytes, int], Step] | None:
        table, number = kind
        match table:
            case "link":
                return self._link(number)
            case "ethertype":
                return self._ethertype(number)
            case "ip":
                return self._protocol(number)
            case "ppp":
                known = _PPP_TO_ETHERTYPE.get(number)
                return self._ethertype(known) if known else None
        return None

    def _link(self, linktype: int) -> Callable[[bytes, int], Step] | None:
        return {
            1: self._ethernet,
            0: self._null,
            108: self._null,
            113: lambda data, length: self._cooked(data, length, hardware=2, protocol=14, header=16),
            276: lambda data, length: self._cooked(data, length, hardware=8, protocol=0, header=20),
            9: self._ppp,
            50: self._ppp,
            51: self._pppoe,
            104: self._cisco_hdlc,
            12: self._raw,
            14: self._raw,
            101: self._raw,
            228: lambda data, length: (IPV4, data, length),
            229: lambda data, length: (IPV6, data, length),
        }.get(linktype)

    def _ethertype(self, ethertype: int) -> Callable[[bytes, int], Step] | None:
        return {
            0x0800: self._ipv4,
            0x86DD: self._ipv6,
            0x8100: self._tag,
            0x88A8: self._tag,
            0x9100: self._tag,
            0x8847: self._mpls,
            0x8848: self._mpls,
            0x8864: self._pppoe,
            0x8863: self._pppoe,
        }.get(ethertype)

    def _protocol(self, protocol: int) -> Callable[[bytes, int], Step] | None:
        if protocol in (0, 60, 43, 44, 135) and self._ip.version == 6:
            return {43: self._routing, 44: self._fragment_header}.get(protocol, self._options_header)
        return {
            4: lambda data, length: (IPV4, data, length),
            41: lambda data, length: (IPV6, data, length),
            47: self._gre,
            51: self._authentication,
            137: self._mpls,
            17: self._udp,
        }.get(protocol)

    # Link layers

    def _ethernet(self, data: bytes, length: int) -> Step:
        return self._type_or_length(data[12:], length - 12)

    def _type_or_length(self, data: bytes, length: int) -> Step:
        (number,) = struct.unpack_from("!H", data)
        data, length = data[2:], length - 2
        if number >= 1536:
            return ("ethertype", number), data, length
        if number > 1500 or number == 0:
            return NOTHING, data, length
        return self._llc(data, min(length, number))

    def _llc(self, data: bytes, length: int) -> Step:
        """IEEE 802.2: SNAP with the OUI of Ethernet, or the SAP of IP."""
        if data[:3] == b"\xaa\xaa\x03" and data[3:6] in (b"\x00\x00\x00", b"\x00\x00\xf8"):
            return ("ethertype", struct.unpack_from("!H", data, 6)[0]), data[8:], length - 8
        if data[0] == 0x06 and data[2] == 0x03:
            return IPV4, data[3:], length - 3
        return NOTHING, data, length

    def _tag(self, data: bytes, length: int) -> Step:
        return self._type_or_length(data[2:], length - 2)

    def _cooked(self, data: bytes, length: int, *, hardware: int, protocol: int, header: int) -> Step:
        (number,) = struct.unpack_from("!H", data, protocol)
        if struct.unpack_from("!H", data, hardware)[0] == 824:  # netlink: no network protocol
            return NOTHING, data, length
        if number == 4:
            return self._llc(data[header:], length - header)
        return (("ethertype", number) if number > 1536 else NOTHING), data[header:], length - header

    def _null(self, data: bytes, length: int) -> Step:
        if data[:2] == b"\xff\x03":
            return self._ppp(data, length)
        for family in (*struct.unpack_from("<I", data), *struct.unpack_from(">I", data)):
            if family == _AF_INET:
                return IPV4, data[4:], length - 4
            if family in _AF_INET6:
                return IPV6, data[4:], length - 4
            if family in (0x0800, 0x86DD):
                return ("ethertype", family), data[4:], length - 4
        return NOTHING, data, length

    def _raw(self, data: bytes, length: int) -> Step:
        version = data[0] >> 4
        return {4: IPV4, 6: IPV6}.get(version, NOTHING), data, length

    def _ppp(self, data: bytes, length: int) -> Step:
        """RFC 1661, in the framing of RFC 1662 or without; the protocol may be one byte long."""
        if data[0] in (0x0F, 0x8F):
            return self._cisco_hdlc(data, length)
        if data[0] == 0xFF:
            data, length = data[2:], length - 2
        if data[0] & 1:
            return ("ppp", data[0]), data[1:], length - 1
        return ("ppp", struct.unpack_from("!H", data)[0]), data[2:], length - 2

    def _cisco_hdlc(self, data: bytes, length: int) -> Step:
        return ("ethertype", struct.unpack_from("!H", data, 2)[0]), data[4:], length - 4

    def _pppoe(self, data: bytes, length: int) -> Step:
        if data[1] != 0:  # a session's data has code 0
            return NOTHING, data, length
        return self._ppp(data[6:], length - 6)

    def _mpls(self, data: bytes, length: int) -> Step:
        while True:
            (entry,) = struct.unpack_from("!I", data)
            data, length = data[4:], length - 4
            if entry & 0x100:
                break
        first = data[0] >> 4
        if first in (4, 6):
            return (IPV4 if first == 4 else IPV6), data, length
        if first == 0:  # a pseudowire: Ethernet after a control word, or without one
            for skip in (4, 0):
                if struct.unpack_from("!H", data, skip + 12)[0] in (0x0800, 0x86DD, 0x8100, 0x8847):
                    return ETHERNET, data[skip:], length - skip
        return NOTHING, data, length

    # IP

    def _ipv4(self, data: bytes, length: int) -> Step:
        version, header = data[0] >> 4, (data[0] & 15) * 4
        if version == 6:
            return self._ipv6(data, length)
        if version != 4 or header < 20:
            return NOTHING, data, length
        total, ip_id, offset, ttl, protocol = struct.unpack_from("!HHHBB", data, 2)
        if 0 < total < header:
            return NOTHING, data, length
        length = min(total or length, length)  # 0: the card will divide it (TSO)
        source, destination = data[12:16], data[16:20]
        if len(destination) < 4:
            return NOTHING, data, length
        destination = _routed(data[20:header]) or destination
        self._ip = _Ip(source, destination, ttl, ip_id, bool(offset & 0x4000), 4)
        more, offset = bool(offset & 0x2000), (offset & 0x1FFF) * 8
        data, length = data[header:], length - header
        if more or offset:
            announced = (total or length + header) - header
            if announced > 0 and len(data) >= announced:
                return self._join((source, destination, protocol, ip_id), offset, data[:announced], more, protocol)
            if offset:
                return NOTHING, data, length
            self._ip.fragment = True
        return ("ip", protocol), data, length

    def _join(self, key: tuple[object, ...], offset: int, data: bytes, more: bool, protocol: int) -> Step:
        whole = self._waiting.setdefault(key, _Fragments()).add(offset, data, more)
        if whole is None:
            return NOTHING, data, len(data)
        del self._waiting[key]
        self._ip.left = 0
        return ("ip", protocol), whole, len(whole)

    def _ipv6(self, data: bytes, length: int) -> Step:
        if data[0] >> 4 != 6:
            return NOTHING, data, length
        payload, following, ttl = struct.unpack_from("!HBB", data, 4)
        if len(data) < 40:
            return NOTHING, data, length
        if payload == 0 and following == 0:
            payload = _jumbo(data[40:])
        self._ip = _Ip(data[8:24], data[24:40], ttl, None, True, 6, left=payload)
        return ("ip", following), data[40:], min(length - 40, payload)

    def _extension(self, data: bytes, length: int, size: int) -> Step:
        self._ip.left -= size
        return ("ip", data[0]), data[size:], length - size

    def _options_header(self, data: bytes, length: int) -> Step:
        return self._extension(data, length, (data[1] + 1) * 8)

    def _routing(self, data: bytes, length: int) -> Step:
        size, kind, left = (data[1] + 1) * 8, data[2], data[3]
        addresses = (size - 8) // 16
        if kind == 0 and left and addresses and len(data) >= size:  # the last address is where it goes to
            self._ip.destination = data[8 + 16 * (addresses - 1) :][:16]
        return self._extension(data, length, size)

    def _fragment_header(self, data: bytes, length: int) -> Step:
        following, _, offset, ident = struct.unpack_from("!BBHI", data)
        more, offset = bool(offset & 1), offset & 0xFFF8
        announced = self._ip.left - 8
        if (more or offset) and self._ip.left > 0:
            data = data[8:]
            if len(data) < announced:
                return NOTHING, data, length - 8
            return self._join((self._ip.source, self._ip.destination, ident), offset, data[:announced], more, following)
        return self._extension(data, length, 8)

    def _authentication(self, data: bytes, length: int) -> Step:
        return self._extension(data, length, (data[1] + 2) * 4)

    # Tunnels

    def _gre(self, data: bytes, length: int) -> Step:
        """RFC 2784, RFC 2890, RFC 1701; version 1 is PPTP's (RFC 2637)."""
        flags, protocol = struct.unpack_from("!HH", data)
        at = 4
        if flags & 0xC000:  # checksum or routing: both words are there
            at += 4
        at += 4 * bool(flags & 0x2000) + 4 * bool(flags & 0x1000)  # key, sequence number
        if flags & 0x0007 == 1 and flags & 0x0080:  # acknowledgement number
            at += 4
        if flags & 0x4000:
            while True:
                family, _, size = struct.unpack_from("!HBB", data, at)
                at += 4 + size
                if not family and not size:
                    break
        if not flags & 0x1000 and length <= at:
            return NOTHING, data, length
        inner, rest = data[at:], length - at
        match protocol:
            case 0x6558:
                return ETHERNET, inner, rest
            case 0x880B:
                return self._ppp(inner, rest)
            case 0x88BE:
                skip = 8 if flags & 0x1000 else 0  # ERSPAN type II has a header and a sequence number, type I neither
                return ETHERNET, inner[skip:], rest - skip
            case 0x22EB:
                skip = 20 if inner[11] & 1 else 12
                return ETHERNET, inner[skip:], rest - skip
            case 0x0800 | 0x86DD | 0x8847 | 0x8848:
                return ("ethertype", protocol), inner, rest
        return NOTHING, inner, rest

    def _udp(self, data: bytes, length: int) -> Step:
        (port,) = struct.unpack_from("!H", data, 2)
        if port not in (4789, 6081) or len(data) < 16:
            return NOTHING, data, length
        self.udp -= 1  # a tunnel
        if port == 4789:
            return ETHERNET, data[16:], length - 16
        (protocol,) = struct.unpack_from("!H", data, 10)
        skip = 16 + (data[8] & 0x3F) * 4  # RFC 8926
        if protocol == 0x6558:
            return ETHERNET, data[skip:], length - skip
        return ("ethertype", protocol), data[skip:], length - skip

    def _tcp(self, data: bytes, length: int) -> Tcp:
        ports_to_window = struct.unpack_from("!HHIIBBH", data)
        source_port, destination_port, seq, ack, offset, flags, window = ports_to_window
        header = (offset >> 4) * 4
        ip = self._ip
        sized = not ip.fragment and length >= header
        return Tcp(
            source=ip.source,
            source_port=source_port,
            destination=ip.destination,
            destination_port=destination_port,
            seq=seq,
            ack=ack,
            flags=flags,
            window=window,
            header=header,
            options=data[20:header],
            length=length - header if sized and header >= 20 else 0,
            ttl=ip.ttl,
            ip_id=ip.ip_id,
            df=ip.df,
            sized=sized,
        )


def _routed(options: bytes) -> bytes | None:
    """The last address of a source route, which is the destination (RFC 791 §3.1)."""
    at = 0
    while at < len(options) and options[at] != 0:
        if options[at] == 1:
            at += 1
            continue
        size = options[at + 1] if at + 1 < len(options) else 0
        if size < 2 or at + size > len(options):
            return None
        if options[at] in (131, 137):
            pointer = options[at + 2]
            if pointer < 4 or pointer & 3 or pointer > size:
                return None
            return options[at + size - 4 : at + size]
        at += size
    return None


def _jumbo(data: bytes) -> int:
    """The length in a jumbo payload option (RFC 2675) that begins a hop-by-hop header; 0 for none."""
    at, end = 2, (data[1] + 1) * 8
    while at + 1 < min(end, len(data)):
        if data[at] == 0:
            at += 1
            continue
        if data[at] == 0xC2 and data[at + 1] == 4:
            told = int(struct.unpack_from("!I", data, at + 2)[0])
            return told if told > 0xFFFF else 0
        at += 2 + data[at + 1]
    return 0
