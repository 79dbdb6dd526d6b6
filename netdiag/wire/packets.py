"""Single packets of a live capture, shared by the tap that takes them, the file that keeps them and the engine.

Contract: pure. ``flow_of`` never raises for what is in a packet. Link layers are LINKTYPE_ values
(tcpdump.org/linktypes.html).
"""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from netdiag.model import Flow

SLL2 = 276
ETHERNET = 1

#: LINKTYPE_ value -> (where its EtherType stands, bytes of header). The raw ones have no EtherType.
_ETHER_TYPE_AT = {ETHERNET: 12, SLL2: 0}
_HEADERS = {0: 4, ETHERNET: 14, 12: 0, 101: 0, 108: 4, 228: 0, 229: 0, SLL2: 20}
_IP = frozenset({0x0800, 0x86DD})

#: tcpdump.org/linktypes/LINKTYPE_LINUX_SLL2.html: protocol, reserved, interface index, ARPHRD_ type, packet type,
#: bytes of address, address.
_SLL2 = struct.Struct("!HHIHBB8s")

_TCP, _UDP = 6, 17
#: IPv6 extension headers that may stand before TCP, of 8 octets and as many again as their second octet says
#: (RFC 8200 §4): hop-by-hop, routing, destination options.
_EXTENSIONS = frozenset({0, 43, 60})
_MAX_EXTENSIONS = 8

INBOUND, OUTBOUND = 1, 2


class Link(NamedTuple):
    """Where packets were captured."""

    linktype: int
    name: str


class Packet(NamedTuple):
    """One captured packet, in the order that ``capture.packets.batch_of`` wants it."""

    #: From its link layer, as far as it was captured.
    data: bytes
    #: Bytes that it had on the wire, its link layer among them.
    length: int
    #: Since the Unix epoch.
    time_ns: int
    #: Index into the links.
    link: int
    #: 0 unknown, 1 inbound, 2 outbound.
    direction: int


def sll2(protocol: int, interface: int, hardware: int, kind: int, address: bytes) -> bytes:
    """The header of Linux cooked captures, version 2, of the parts of a packet socket's address (packet(7))."""
    return _SLL2.pack(protocol, 0, interface, hardware, kind, min(len(address), 8), address[:8])


def flow_of(data: bytes, linktype: int) -> Flow | None:
    """The ends of a TCP or UDP packet, its sender as the client; None for others, and what is cut short or not read."""
    header = _HEADERS.get(linktype)
    at = _ETHER_TYPE_AT.get(linktype)
    if header is None or (at is not None and int.from_bytes(data[at : at + 2]) not in _IP):
        return None
    try:
        return _six(data, header) if data[header] >> 4 == 6 else _four(data, header)
    except (IndexError, struct.error, ValueError):
        return None


def _four(data: bytes, at: int) -> Flow | None:
    if data[at] >> 4 != 4 or int.from_bytes(data[at + 6 : at + 8]) & 0x1FFF:  # a later fragment has no ports
        return None
    words = 4 * (data[at] & 15)
    source, destination = (socket.inet_ntop(socket.AF_INET, data[at + o : at + o + 4]) for o in (12, 16))
    return _ports(data, at + words, data[at + 9], source, destination)


def _six(data: bytes, at: int) -> Flow | None:
    kind, after = data[at + 6], at + 40
    for _ in range(_MAX_EXTENSIONS):
        if kind not in _EXTENSIONS:
            break
        kind, after = data[after], after + 8 + 8 * data[after + 1]
    source, destination = (socket.inet_ntop(socket.AF_INET6, data[at + o : at + o + 16]) for o in (8, 24))
    return _ports(data, after, kind, source, destination)


def _ports(data: bytes, at: int, protocol: int, source: str, destination: str) -> Flow | None:
    if protocol not in (_TCP, _UDP):
        return None
    source_port, destination_port = struct.unpack_from("!HH", data, at)
    return Flow(
        protocol="tcp" if protocol == _TCP else "udp",
        client=source,
        client_port=source_port,
        server=destination,
        server_port=destination_port,
    )
