"""Packets as a tap hands them over: TCP conversations on a Linux cooked link, with chosen moments and TTLs."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field

from netdiag.model import Failure, Flow, TcpObservation, TlsObservation
from netdiag.probes.tap import Packets
from netdiag.wire.packets import INBOUND, OUTBOUND, SLL2, Link, Packet, sll2
from tests.frames import ACK, PSH, RST, SYN, Segment, Way, icmp_error, ip, tcp, udp

CLIENT, SERVER, ROUTER = "10.0.0.5", "192.0.2.9", "10.0.0.1"
#: The moment of the first packet.
START = 1_780_272_000.0


def cooked(packet: bytes, *, sent: bool) -> bytes:
    protocol = 0x86DD if packet[0] >> 4 == 6 else 0x0800
    return sll2(protocol, 2, 1, 4 if sent else 0, b"\2\0\0\0\0\1") + packet


def packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


@dataclass
class Wire:
    """What a tap saw, packet by packet, a millisecond apart unless ``at`` says when."""

    each: list[Packet] = field(default_factory=list)
    links: Sequence[Link] = (Link(SLL2, "eth0"),)
    dropped: int = 0

    def add(self, packet: bytes, *, sent: bool, at: float | None = None) -> None:
        moment = START + len(self.each) / 1000 if at is None else START + at
        data = cooked(packet, sent=sent)
        self.each.append(Packet(data, len(data), round(moment * 1e9), 0, OUTBOUND if sent else INBOUND))

    def tcp(
        self, port: int, segment: Segment, *, sent: bool, ttl: int = 64, at: float | None = None, server: str = SERVER
    ) -> None:
        """One segment between port ``port`` of the client and port 443 of the server."""
        ends = (packed(CLIENT), packed(server), port, 443) if sent else (packed(server), packed(CLIENT), 443, port)
        way = Way(*ends, ttl=ttl, ip_id=len(self.each) + 1)
        self.add(ip(way, 6, tcp(way, segment)), sent=sent, at=at)

    def open(self, port: int, *, ttl: int = 107) -> None:
        """SYN, SYN-ACK, ACK."""
        self.tcp(port, Segment(100, flags=SYN), sent=True)
        self.tcp(port, Segment(500, 101, SYN | ACK), sent=False, ttl=ttl)
        self.tcp(port, Segment(101, 501, ACK), sent=True)

    def reset(self, port: int, *, ttl: int = 61, seq: int = 501) -> None:
        self.tcp(port, Segment(seq, 0, RST, 0), sent=False, ttl=ttl)

    def ask(self, port: int, payload: bytes = b"\x16\x03\x01hello") -> None:
        self.tcp(port, Segment(101, 501, PSH | ACK, payload=payload), sent=True)

    def died(self, port: int, *, ttl: int = 255, code: int = 0, kind: int = 11, router: str = ROUTER) -> None:
        """An ICMP error about the client's last segment from ``port``."""
        way = Way(packed(CLIENT), packed(SERVER), port, 443, ttl=1)
        quoted = ip(way, 6, tcp(way, Segment(101, 501, PSH | ACK)))[:28]
        outer = Way(packed(router), packed(CLIENT), 0, 0, ttl=ttl)
        self.add(ip(outer, 1, icmp_error(quoted, kind, code)), sent=False)

    def dns(self, port: int, payload: bytes = bytes(12), *, server: str = "10.0.0.53") -> None:
        way = Way(packed(CLIENT), packed(server), port, 53)
        self.add(ip(way, 17, udp(port, 53, payload)), sent=True)

    @property
    def packets(self) -> Packets:
        return Packets(tuple(self.each), tuple(self.links), self.dropped)


def resetting() -> Wire:
    wire = Wire()
    wire.open(50001)
    wire.ask(50001)
    wire.reset(50001)
    return wire


# -- probes

RESET = Failure(kind="reset", step="handshake", detail="Connection reset by peer")
TIMEOUT = Failure(kind="timeout", step="connect", detail="no answer in 2.0 s")


def flow(port: int, server: str = SERVER, server_port: int = 443, protocol: str = "tcp") -> Flow:
    return Flow(protocol=protocol, client=CLIENT, client_port=port, server=server, server_port=server_port)


def tcp_probe(port: int, failure: Failure | None = None, **more) -> TcpObservation:
    more = {"outcome": "failed" if failure else "ok", "failure": failure, "started": START, "took_s": 1.0, **more}
    return TcpObservation(id=f"tcp.direct.{port}", flow=flow(port), address=SERVER, port=443, **more)


def tls_probe(port: int, failure: Failure | None = RESET, name: str = "db.contoso.test", **more) -> TlsObservation:
    more = {"outcome": "failed" if failure else "ok", "failure": failure, "started": START, "took_s": 1.0, **more}
    return TlsObservation(id=f"tls.direct.{port}", flow=flow(port), address=SERVER, port=443, server_name=name, **more)
