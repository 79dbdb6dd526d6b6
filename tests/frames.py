"""Builders of real packets: TCP, UDP and ICMP in IPv4 and IPv6, fragments, tunnels, link layers, and pcap files.

Contract: every function gives bytes that a receiver accepts, with right lengths and checksums, unless it is asked for
something else. Addresses are bytes of 4 or 16.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32

#: (number from 1, time in ns since the epoch, LINKTYPE, captured bytes, length on the wire).
Frame = tuple[int, int, int, bytes, int]


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    data += bytes(len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


@dataclass(frozen=True)
class Segment:
    """What one TCP header says. ``header``: its data offset in bytes, where it is to be wrong."""

    seq: int
    ack: int = 0
    flags: int = ACK
    window: int = 65535
    payload: bytes = b""
    options: bytes = b""
    header: int | None = None


@dataclass(frozen=True)
class Way:
    """The IP header around it."""

    source: bytes
    destination: bytes
    source_port: int
    destination_port: int
    ttl: int = 64
    ip_id: int = 1
    df: bool = True
    options: bytes = b""


def mss(value: int) -> bytes:
    return struct.pack("!BBH", 2, 4, value)


def padded(options: bytes) -> bytes:
    """TCP or IPv4 options, filled up with ends-of-list to a multiple of four."""
    return options + bytes(-len(options) % 4)


def tcp(way: Way, segment: Segment) -> bytes:
    """The TCP header and payload, with a checksum."""
    options = padded(segment.options)
    header = 20 + len(options) if segment.header is None else segment.header
    fixed = struct.pack(
        "!HHIIBBHHH",
        way.source_port,
        way.destination_port,
        segment.seq % 2**32,
        segment.ack % 2**32,
        header // 4 << 4,
        segment.flags,
        segment.window,
        0,
        0,
    )
    whole = fixed + options + segment.payload
    pseudo = way.source + way.destination + struct.pack("!II", len(whole), 6)
    return whole[:16] + struct.pack("!H", checksum(pseudo + whole)) + whole[18:]


def udp(source_port: int, destination_port: int, payload: bytes) -> bytes:
    """A UDP header without a checksum."""
    return struct.pack("!HHHH", source_port, destination_port, 8 + len(payload), 0) + payload


def icmp_error(quoted: bytes, kind: int = 3, code: int = 13) -> bytes:
    """An ICMP error that quotes ``quoted``."""
    body = struct.pack("!BBHI", kind, code, 0, 0) + quoted
    return body[:2] + struct.pack("!H", checksum(body)) + body[4:]


def ip(way: Way, protocol: int, payload: bytes, offset: int = 0, more: bool = False, total: int | None = None) -> bytes:
    """An IPv4 or IPv6 packet; ``offset`` and ``more`` make it a fragment; ``total``: a wrong length in the header."""
    if len(way.source) == 16:
        if offset or more:
            payload = struct.pack("!BBHI", protocol, 0, offset | more, way.ip_id) + payload
            protocol = 44
        length = len(payload) if total is None else total
        return struct.pack("!IHBB", 6 << 28, length, protocol, way.ttl) + way.source + way.destination + payload
    options = padded(way.options)
    header = 20 + len(options)
    fragment = offset >> 3 | more << 13 | (way.df and not (offset or more)) << 14
    length = header + len(payload) if total is None else total
    fixed = struct.pack("!BBHHHBBH", 0x40 | header // 4, 0, length, way.ip_id, fragment, way.ttl, protocol, 0)
    whole = fixed + way.source + way.destination + options
    return whole[:10] + struct.pack("!H", checksum(whole)) + whole[12:] + payload


def fragments(way: Way, protocol: int, payload: bytes, cuts: Sequence[int]) -> list[bytes]:
    """The packet in fragments that begin at 0 and at ``cuts`` (multiples of 8)."""
    borders = [0, *sorted({cut for cut in cuts if 0 < cut < len(payload) and cut % 8 == 0}), len(payload)]
    return [ip(way, protocol, payload[a:b], a, b < len(payload)) for a, b in itertools.pairwise(borders)]


def extended(packet: bytes, headers: Sequence[int]) -> bytes:
    """An IPv6 packet with hop-by-hop (0), destination (60), routing (43) or authentication (51) headers added."""
    fixed, rest, following = packet[:40], packet[40:], packet[6]
    for kind in reversed(headers):
        if kind == 51:
            rest = struct.pack("!BBHIII", following, 2, 0, 1, 1, 0) + rest
        elif kind == 43:  # type 0 without addresses: changes nothing
            rest = struct.pack("!BBBBI", following, 0, 0, 0, 0) + rest
        else:
            rest = struct.pack("!BBBBI", following, 0, 1, 4, 0) + rest
        following = kind
    return fixed[:4] + struct.pack("!HB", len(rest), following) + fixed[7:] + rest


# Around a packet: tunnels and tags on the inside of an Ethernet header. Each takes and gives (ethertype, payload).

Layer = tuple[int, bytes]
_OUTER = Way(b"\xc0\x00\x02\x01", b"\xc0\x00\x02\x02", 51111, 4789, ttl=250, ip_id=0)


def plain(packet: bytes) -> Layer:
    return (0x86DD if packet[0] >> 4 == 6 else 0x0800), packet


def tagged(layer: Layer, vlan: int, kind: int = 0x8100) -> Layer:
    return kind, struct.pack("!HH", vlan, layer[0]) + layer[1]


def labelled(layer: Layer, labels: int = 2) -> Layer:
    """MPLS: ``labels`` labels before an IP packet."""
    stack = b"".join(struct.pack("!I", (100 + i) << 12 | (i == labels - 1) << 8 | 63) for i in range(labels))
    return 0x8847, stack + layer[1]


def pppoe(layer: Layer) -> Layer:
    body = struct.pack("!H", 0x0057 if layer[0] == 0x86DD else 0x0021) + layer[1]
    return 0x8864, struct.pack("!BBHH", 0x11, 0, 7, len(body)) + body


def gre(layer: Layer, flags: int = 0) -> Layer:
    """GRE in IPv4. ``flags``: 0x8000 checksum, 0x2000 key, 0x1000 sequence number."""
    fields = 4 * sum(bool(flags & bit) for bit in (0x8000, 0x2000, 0x1000))
    return plain(ip(_OUTER, 47, struct.pack("!HH", flags, layer[0]) + bytes(fields) + layer[1]))


def ip_in_ip(layer: Layer) -> Layer:
    return plain(ip(_OUTER, 41 if layer[0] == 0x86DD else 4, layer[1]))


def vxlan(layer: Layer) -> Layer:
    return plain(ip(_OUTER, 17, udp(51111, 4789, struct.pack("!II", 0x08000000, 77 << 8) + ethernet(layer))))


def ethernet(layer: Layer, pad: bool = False) -> bytes:
    """An Ethernet frame; ``pad``: to the minimum of 60 bytes, as on the wire."""
    frame = b"\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02" + struct.pack("!H", layer[0]) + layer[1]
    return frame + bytes(max(60 - len(frame), 0)) if pad else frame


def _snap(layer: Layer) -> bytes:
    body = b"\xaa\xaa\x03\x00\x00\x00" + struct.pack("!H", layer[0]) + layer[1]
    if len(body) > 1500:
        return ethernet(layer)
    return ethernet((len(body), body))


def _family(layer: Layer, order: str, inet6: int) -> bytes:
    return struct.pack(order + "I", inet6 if layer[0] == 0x86DD else 2) + layer[1]


def _ppp(layer: Layer, before: bytes) -> bytes:
    protocol = {0x0800: 0x0021, 0x86DD: 0x0057, 0x8847: 0x0281}[layer[0]]
    return before + struct.pack("!H", protocol) + layer[1]


def _cooked(layer: Layer) -> bytes:
    return struct.pack("!HHH8sH", 4, 1, 6, b"\x02\x00\x00\x00\x00\x01", layer[0]) + layer[1]


def _cooked2(layer: Layer) -> bytes:
    return struct.pack("!HHIHBB8s", layer[0], 0, 2, 1, 4, 6, b"\x02\x00\x00\x00\x00\x01") + layer[1]


#: Name -> (LINKTYPE, a function that puts the link layer before a network layer, whether it can carry any ethertype).
LINKS: dict[str, tuple[int, Callable[[Layer], bytes], bool]] = {
    "ethernet": (1, ethernet, True),
    "snap": (1, _snap, True),
    "cooked": (113, _cooked, True),
    "cooked-2": (276, _cooked2, True),
    "raw": (101, lambda layer: layer[1], False),
    "raw-12": (12, lambda layer: layer[1], False),
    "null-little": (0, lambda layer: _family(layer, "<", 30), False),
    "null-big": (0, lambda layer: _family(layer, ">", 24), False),
    "loop": (108, lambda layer: _family(layer, ">", 28), False),
    "ppp": (9, lambda layer: _ppp(layer, b"\xff\x03"), False),
    "ppp-bare": (50, lambda layer: _ppp(layer, b""), False),
}


def write_pcap(path: Path, frames: Iterable[Frame], *, nanoseconds: bool = True) -> Path:
    """A pcap file of frames that share one link type."""
    frames = list(frames)
    magic, unit = (0xA1B23C4D, 1) if nanoseconds else (0xA1B2C3D4, 1000)
    parts = [struct.pack("<IHHiIII", magic, 2, 4, 0, 0, 262_144, frames[0][2] if frames else 1)]
    for _, time_ns, _, data, length in frames:
        seconds, rest = divmod(time_ns, 10**9)
        parts += [struct.pack("<IIII", seconds, rest // unit, len(data), length), data]
    path.write_bytes(b"".join(parts))
    return path
