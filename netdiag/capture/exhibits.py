"""What the engine keeps of single packets: the connections that matter, ICMP errors, DNS messages.

Everything here is bounded by the named limits, the worst and the first before the rest.
"""

from __future__ import annotations

import msgspec

from netdiag.model import Connection, Segment

#: Connections whose packets are kept: of each kind of fault, and some without for comparison.
MAX_RESET, MAX_REOPENED, MAX_STALLED, MAX_LOSSY, MAX_HEALTHY = 48, 32, 16, 16, 24
#: Connections that nobody has answered yet, whose first SYN is kept until it shows whether that is a fault.
MAX_UNANSWERED = 1024
#: Packets kept of one connection: the first, and the last. --conversation raises both.
FIRST_PACKETS = 64
LAST_PACKETS = 32
#: Bytes of payload kept over all.
MAX_PAYLOAD = 32 * 1024 * 1024
MAX_ICMP = 2_000
MAX_DNS = 4_000


class Exhibit(msgspec.Struct):
    """One connection with its packets. ``payloads[i]`` is what was captured of the payload of ``segments[i]``."""

    connection: Connection
    segments: list[Segment] = msgspec.field(default_factory=list)
    payloads: list[bytes] = msgspec.field(default_factory=list)
    #: Packets left out, between ``segments[omitted_after - 1]`` and ``segments[omitted_after]``.
    omitted: int = 0
    omitted_after: int = 0


class IcmpSeen(msgspec.Struct, frozen=True):
    """An ICMP or ICMPv6 error and the packet that it quotes."""

    frame: int
    #: Seconds since the Unix epoch.
    at: float
    version: int
    type: int
    code: int
    #: Who sent it, to whom.
    source: str
    destination: str
    ttl: int
    #: Next-hop MTU of "fragmentation needed" and "packet too big" (RFC 1191, RFC 8201); 0 for none.
    mtu: int
    #: The quoted packet: IP protocol number, addresses and ports as it carried them, its TTL when it died.
    quoted_protocol: int
    quoted_source: str
    quoted_source_port: int
    quoted_destination: str
    quoted_destination_port: int
    quoted_ttl: int
    #: The number of the connection quoted, None where the capture has none.
    connection: int | None = None


class DnsSeen(msgspec.Struct, frozen=True):
    """One packet to or from port 53 over UDP (or one message of TCP port 53, without its length prefix)."""

    frame: int
    at: float
    source: str
    source_port: int
    destination: str
    destination_port: int
    payload: bytes
    tcp: bool = False


class Capture(msgspec.Struct):
    """One capture, analysed: the engine's whole output, except the connection table (``engine.Connections``)."""

    exhibits: list[Exhibit]
    icmp: list[IcmpSeen]
    dns: list[DnsSeen]
