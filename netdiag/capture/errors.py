"""Single packets beside TCP: ICMP errors with the packet that each quotes (RFC 792, RFC 4443 §3), DNS over UDP."""

from __future__ import annotations

import socket
import struct

from netdiag.capture.columns import Beside, Datagrams
from netdiag.capture.exhibits import DnsSeen, IcmpSeen

#: Destination unreachable, source quench, time exceeded, parameter problem; their ICMPv6 kin and packet too big.
_ERRORS = {4: frozenset({3, 4, 11, 12}), 6: frozenset({1, 2, 3, 4})}
_TOO_BIG = {4: (3, 4), 6: (2, 0)}
_LAYERS = frozenset({0, 43, 60})  # IPv6 extension headers that may stand before the quoted transport header


def seen(beside: Beside, messages: Datagrams, at: int) -> IcmpSeen | None:
    """The error of one ICMP message; None where it is none, or what it quotes was not captured."""
    data = beside.data
    start, end, ip = int(messages.start[at]), int(messages.end[at]), int(messages.ip[at])
    version = int(messages.version[at])
    message = data[start:end].tobytes()
    if len(message) < 8 or message[0] not in _ERRORS[version]:
        return None
    quoted = _quoted(message[8:])
    if quoted is None:
        return None
    header = data[ip : ip + 40].tobytes()
    source, destination, ttl = _ends(header, version)
    kind, code = message[0], message[1]
    mtu = 0
    if (kind, code) == _TOO_BIG[version]:
        mtu = struct.unpack_from(">H" if version == 4 else ">I", message, 6 if version == 4 else 4)[0]
    return IcmpSeen(
        frame=beside.first_frame + int(messages.index[at]),
        at=int(messages.time_ns[at]) / 1e9,
        version=version,
        type=kind,
        code=code,
        source=source,
        destination=destination,
        ttl=ttl,
        mtu=mtu,
        quoted_protocol=quoted[0],
        quoted_source=quoted[1],
        quoted_source_port=quoted[2],
        quoted_destination=quoted[3],
        quoted_destination_port=quoted[4],
        quoted_ttl=quoted[5],
    )


def datagram(beside: Beside, messages: Datagrams, at: int) -> DnsSeen:
    """One UDP datagram to or from a name server."""
    data = beside.data
    start, ip = int(messages.start[at]), int(messages.ip[at])
    source, destination, _ = _ends(data[ip : ip + 40].tobytes(), int(messages.version[at]))
    source_port, destination_port = struct.unpack(">HH", data[start : start + 4].tobytes())
    return DnsSeen(
        frame=beside.first_frame + int(messages.index[at]),
        at=int(messages.time_ns[at]) / 1e9,
        source=source,
        source_port=source_port,
        destination=destination,
        destination_port=destination_port,
        payload=data[start + 8 : int(messages.end[at])].tobytes(),
    )


def _ends(header: bytes, version: int) -> tuple[str, str, int]:
    if version == 4:
        return socket.inet_ntoa(header[12:16]), socket.inet_ntoa(header[16:20]), header[8]
    family = socket.AF_INET6
    return socket.inet_ntop(family, header[8:24]), socket.inet_ntop(family, header[24:40]), header[7]


def _quoted(packet: bytes) -> tuple[int, str, int, str, int, int] | None:
    """Protocol, source, its port, destination, its port, TTL of a quoted packet; ports only of TCP and UDP."""
    if len(packet) < 20:
        return None
    version = packet[0] >> 4
    if version == 4:
        size, protocol = (packet[0] & 15) * 4, packet[9]
        if size < 20 or struct.unpack_from(">H", packet, 6)[0] & 0x1FFF:
            return None
    elif version == 6 and len(packet) >= 40:
        size, protocol = 40, packet[6]
        while protocol in _LAYERS and size + 2 <= len(packet):
            protocol, size = packet[size], size + (packet[size + 1] + 1) * 8
    else:
        return None
    source, destination, ttl = _ends(packet, version)
    ports = (0, 0)
    if protocol in (6, 17) and len(packet) >= size + 4:
        ports = struct.unpack_from(">HH", packet, size)
    return protocol, source, ports[0], destination, ports[1], ttl
