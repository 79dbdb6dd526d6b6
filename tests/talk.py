"""Conversations of a capture, packet by packet, for the tests of what resets look like."""

from __future__ import annotations

from typing import Any, Literal

from netdiag.capture.exhibits import Exhibit
from netdiag.capture.resets import resets
from netdiag.model import Connection, Opening, ResetObservation, Segment

CLIENT, SERVER = "10.0.0.5", "203.0.113.9"
START = 1_700_000_000.0

Side = Literal["client", "server"]


class Talk:
    """A connection as it is captured. Numbers go on by themselves; ``changes`` of a packet are taken as they are."""

    def __init__(self, client_ttl: int = 128, server_ttl: int = 107, rtt_ms: float = 40.0, v6: bool = False) -> None:
        self.segments: list[Segment] = []
        self.ttl = {"client": client_ttl, "server": server_ttl}
        self.next = {"client": 1_000, "server": 5_000}
        self.ip_id = {"client": 100, "server": 20_000}
        self.rtt_ms = rtt_ms
        self.v6 = v6

    def send(self, at_ms: float, side: Side, flags: str, length: int = 0, **changes: Any) -> Talk:
        other: Side = "server" if side == "client" else "client"
        named = flags.split(",")
        self.ip_id[side] += 1
        made = Segment(
            frame=len(self.segments) + 1,
            at=START + at_ms / 1000,
            sender=side,
            flags=flags,
            seq=self.next[side],
            ack=self.next[other] if "ACK" in named else 0,
            length=length,
            window=0 if "RST" in named else 1024,
            ttl=self.ttl[side],
            ip_id=None if self.v6 else self.ip_id[side],
            df=not self.v6,
        )
        self.segments.append(Segment(**{f: changes.get(f, getattr(made, f)) for f in Segment.__struct_fields__}))
        if "RST" not in named:
            self.next[side] += length + ("SYN" in named) + ("FIN" in named)
        return self

    def open(self) -> Talk:
        self.send(0, "client", "SYN")
        self.send(self.rtt_ms, "server", "SYN,ACK")
        return self.send(self.rtt_ms + 0.1, "client", "ACK")

    def hello(self) -> Talk:
        """Open, and the client's first data."""
        return self.open().send(self.rtt_ms + 1, "client", "PSH,ACK", 517)

    def answered(self) -> Talk:
        """Data both ways, the last of the client's at 200 ms."""
        self.hello()
        self.send(90, "server", "PSH,ACK", 1400)
        self.send(91, "server", "PSH,ACK", 800)
        return self.send(200, "client", "PSH,ACK", 300)

    def exhibit(self, number: int = 7, opening: Opening = "complete", **changes: Any) -> Exhibit:
        first, last = self.segments[0], self.segments[-1]
        fields: dict[str, Any] = {
            "number": number,
            "client": CLIENT,
            "client_port": 50_000 + number,
            "server": SERVER,
            "server_port": 443,
            "started": first.at,
            "duration_s": last.at - first.at,
            "first_frame": first.frame,
            "last_frame": last.frame,
            "opening": opening,
            "closing": "reset",
            "completeness": 0,
            "syn_rtt_ms": self.rtt_ms if any(s.flags == "SYN,ACK" for s in self.segments) else None,
            "ack_rtt_ms": 0.1,
            "bytes_client": sum(s.length for s in self.segments if s.sender == "client"),
            "bytes_server": sum(s.length for s in self.segments if s.sender == "server"),
        }
        return Exhibit(Connection(**{**fields, **changes}), list(self.segments), [b""] * len(self.segments))

    def facts(self, server: str = SERVER, **arguments: Any) -> ResetObservation:
        """The facts about the first reset."""
        return resets(self.exhibit(server=server), **arguments)[0]


def guide() -> Talk:
    """The guide's: a server behind 21 routers, and a reset from the fourth hop right after the ClientHello."""
    return Talk().hello().send(42.5, "server", "RST", ttl=61, ip_id=0)
