"""One IP packet's headers, as far as a trace needs them: TCP, UDP, and ICMP errors with the packet that they quote.

Contract: bytes in, a value or None out; never raises. None is whatever is none of these, or is cut off too early.
"""

from __future__ import annotations

import socket
import struct
from typing import Literal, NamedTuple

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
FIN, SYN, RST, ACK = 1, 2, 4, 16

#: IPv6 extension headers whose length is in units of 8 octets beyond the first (RFC 8200 §4.3, §4.4, §4.6).
_OPTIONS = frozenset({0, 43, 60})
_FRAGMENT = 44
#: ... and the one that counts in units of 4, beyond the first two (RFC 4302 §2.2).
_AUTHENTICATION = 51
#: More of them than there are kinds are sent to confuse.
_MAX_EXTENSIONS = 8

#: ICMP errors that may quote a probe: unreachable, time exceeded, parameter problem; for IPv6 also packet too big.
_ERRORS = {4: frozenset({3, 11, 12}), 6: frozenset({1, 2, 3, 4})}


class Segment(NamedTuple):
    """A TCP segment or UDP datagram, or what an ICMP error quotes of one: its first 8 bytes are sure (RFC 792)."""

    version: Literal[4, 6]
    source: str
    target: str
    ttl: int
    protocol: int
    source_port: int
    target_port: int
    #: What nobody beside the path can guess: TCP's sequence number; UDP's IPv4 identification or IPv6 checksum.
    number: int
    ack: int
    flags: int
    #: TCP's sequence numbers that it takes up: bytes of data, and one each for SYN and FIN.
    size: int
    #: Bytes of data.
    data: int


class Error(NamedTuple):
    """An ICMP or ICMPv6 error, and the packet that it is about."""

    version: Literal[4, 6]
    offender: str
    ttl: int
    type: int
    code: int
    about: Segment


class _Ip(NamedTuple):
    version: Literal[4, 6]
    source: str
    target: str
    ttl: int
    identification: int
    protocol: int
    #: What follows, and how long it was before anybody cut it off.
    rest: bytes
    length: int


def read(packet: bytes) -> Segment | Error | None:
    """What an IP packet, from its first byte on, is."""
    try:
        ip = _ip(packet)
        if ip is None:
            return None
        if ip.protocol != (ICMP if ip.version == 4 else ICMPV6):
            return _segment(ip)
        about = _quoted(ip)
        if about is None:
            return None
        return Error(ip.version, ip.source, ip.ttl, ip.rest[0], ip.rest[1], about)
    except (struct.error, IndexError, ValueError):
        return None


def _quoted(ip: _Ip) -> Segment | None:
    if ip.rest[0] not in _ERRORS[ip.version]:
        return None
    quote = _ip(ip.rest[8:])
    return _segment(quote) if quote and quote.version == ip.version else None


def _ip(packet: bytes) -> _Ip | None:
    version = packet[0] >> 4
    if version == 4:
        length, identification, fragment, ttl, protocol = struct.unpack_from("!2xHHHBB", packet)
        start = (packet[0] & 15) * 4
        if start < 20 or fragment & 0x1FFF:  # only a first fragment has ports
            return None
        source, target = (socket.inet_ntop(socket.AF_INET, packet[at : at + 4]) for at in (12, 16))
        return _Ip(4, source, target, ttl, identification, protocol, packet[start:], length - start)
    return _ip6(packet) if version == 6 else None


def _ip6(packet: bytes) -> _Ip | None:
    length, protocol, ttl = struct.unpack_from("!4xHBB", packet)
    source, target = (socket.inet_ntop(socket.AF_INET6, packet[at : at + 16]) for at in (8, 24))
    at = 40
    for _ in range(_MAX_EXTENSIONS):
        if protocol in _OPTIONS:
            size = (packet[at + 1] + 1) * 8
        elif protocol == _AUTHENTICATION:
            size = (packet[at + 1] + 2) * 4
        elif protocol == _FRAGMENT:
            if struct.unpack_from("!H", packet, at + 2)[0] >> 3:
                return None
            size = 8
        else:
            return _Ip(6, source, target, ttl, 0, protocol, packet[at:], length - (at - 40))
        protocol, at = packet[at], at + size
    return None


def _segment(ip: _Ip) -> Segment | None:
    source_port, target_port = struct.unpack_from("!HH", ip.rest)
    number = ack = flags = size = data = 0
    if ip.protocol == TCP:
        number = struct.unpack_from("!I", ip.rest, 4)[0]
        if len(ip.rest) >= 14:  # a quote may end before
            ack, offset, flags = struct.unpack_from("!IBB", ip.rest, 8)
            data = max(0, ip.length - (offset >> 4) * 4)
            size = data + bool(flags & SYN) + bool(flags & FIN)
    elif ip.protocol == UDP:
        length, checksum = struct.unpack_from("!HH", ip.rest, 4)
        number = ip.identification if ip.version == 4 else checksum
        data = max(0, length - 8)
    else:
        return None
    return Segment(
        version=ip.version,
        source=ip.source,
        target=ip.target,
        ttl=ip.ttl,
        protocol=ip.protocol,
        source_port=source_port,
        target_port=target_port,
        number=number,
        ack=ack,
        flags=flags,
        size=size,
        data=data,
    )
