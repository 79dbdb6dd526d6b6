"""The rule about packets that are too large for the path, and vanish on it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from netdiag.model import (
    SMALL_SEGMENT,
    ConnectionObservation,
    HttpsObservation,
    Segment,
    Severity,
    TcpObservation,
)
from netdiag.rules.captured import acks, after, connections, flags, place, server_name, share, too_big
from netdiag.rules.registry import Hit, rule
from netdiag.rules.seen import Seen
from netdiag.rules.tls_handshakes import control, mains, ok, present
from netdiag.rules.tls_handshakes import place as place_of

#: Every IPv4 path carries 576 bytes in fact, every IPv6 path 1280 (RFC 8200 §5); links that are too narrow for 1500
#: are tunnels, which take 20 to 120 bytes off it. A smaller segment that vanishes was not too large.
LARGE = 1000
#: A SACK block, which tcpdump prints as "sack 1 {100:200}"; not the permission to send such ("sackOK").
_SACK = re.compile(r"\bsack\b")
#: How often a segment must have been sent in vain: a second copy may be lost by chance as well.
COPIES = 3
_EVIDENCE = 8

#: What shows that the path itself is alive. "smaller": the same bytes arrived once they were cut into smaller segments.
#: "others": smaller segments of the same side, or packets of the other side, went on passing.
_Proof = Literal["smaller", "others", "icmp"]


class _Hole(msgspec.Struct, frozen=True):
    """Large segments of one side that vanish in one connection."""

    observation: ConnectionObservation
    sender: Literal["client", "server"]
    size: int
    #: How often the capture shows it sent; 0 when it is missing from the capture altogether.
    copies: int
    proof: _Proof


@rule(
    "tcp.mtu-black-hole",
    "Large packets vanish on the path",
    Severity.ERROR,
    folds=("tls.interrupted", "tls.handshake-failed", "proxy.no-answer", "https.no-answer", "tcp.retransmissions"),
    reference="RFC 2923 §2.1, RFC 8899",
)
def mtu_black_hole(seen: Seen) -> Iterator[Hit]:
    """Small packets of a connection pass, and large ones vanish without a word, however often sent.

    Some link on the path, most often a VPN or another tunnel, carries less than the usual 1500 bytes. A
    router in front of it has to drop larger packets that may not be fragmented, and to say so by ICMP
    ("fragmentation needed", RFC 1191, or "packet too big", RFC 8201), so that the sender makes smaller
    ones. When a firewall drops that ICMP message, the sender repeats the same large packet until it
    gives up (RFC 2923 §2.1). It is treacherous because everything small works: the connection opens, a
    ping answers, and then the TLS handshake, which brings the first large packets, or the first long
    answer, hangs.

    In a capture: a large segment is sent again and again and never acknowledged, while smaller ones
    are, or while the other side's packets still come. Where the capture was made behind the narrow
    link, the large segments are missing from it, and what follows them arrives. A probe finds it when a
    TLS handshake gets no answer, and the same with segments of at most 536 bytes does.

    Let ICMP type 3 code 4 and ICMPv6 type 2 through every firewall on the path. Until then, make the
    packets small: on the tunnel's end, clamp the MSS (iptables TCPMSS --clamp-mss-to-pmtu; "ip tcp
    adjust-mss" on routers), or lower the MTU of the sending machine's interface.
    """
    holes = [hole for c in connections(seen) if (hole := _hole(c))]
    proven = tuple(_by_small_segments(seen, holes))
    if proven:
        yield from proven
        return
    for sender in ("client", "server"):
        group = [hole for hole in holes if hole.sender == sender]
        if group:
            yield _hit(seen, group)


def _by_small_segments(seen: Seen, holes: Sequence[_Hole]) -> Iterator[Hit]:
    """A handshake that met silence, while the same with small segments, made by the side of it, completed."""
    for main in mains(seen):
        small, repeat = control(seen, main, "small-segments"), control(seen, main, "repeat")
        if main.failure is None or main.failure.kind != "timeout" or not ok(small) or ok(repeat):
            continue
        yield Hit(
            summary=f"Large packets from or to {place_of(seen, main)} vanish on the path: the TLS handshake gets no "
            f"answer within {main.took_s:.0f} s, and completes when its segments are limited to {SMALL_SEGMENT} bytes",
            blame="path-device",
            remedy=_REMEDY,
            evidence=(
                *present(main, small, repeat),
                *(hole.observation for hole in holes[:_EVIDENCE]),
                *(o for o in seen.effective(HttpsObservation) if o.failure and o.failure.kind == "timeout"),
            ),
        )


def _hole(observation: ConnectionObservation) -> _Hole | None:
    row = observation.connection
    if not (
        row.retransmissions_client + row.retransmissions_server + row.previous_lost_client + row.previous_lost_server
    ):
        return None
    sides: tuple[Literal["client", "server"], ...] = ("client", "server")
    return next((hole for side in sides if (hole := _stuck(observation, side) or _missing(observation, side))), None)


def _stuck(observation: ConnectionObservation, side: Literal["client", "server"]) -> _Hole | None:
    """A large segment that is sent ``COPIES`` times and never acknowledged as a whole, on a path that is alive."""
    ours = [s for s in observation.segments if s.sender == side and s.length and not flags(s) & {"SYN", "RST"}]
    theirs = [s for s in observation.segments if s.sender != side and acks(s) and "RST" not in flags(s)]
    by_start: dict[int, list[Segment]] = {}
    for segment in ours:
        if segment.length >= LARGE and _whole(segment):
            by_start.setdefault(segment.seq, []).append(segment)
    for start, copies in by_start.items():
        if len(copies) < COPIES:
            continue
        since = copies[-1].frame
        first = copies[0]
        if any(after(s.ack, start) > 0 for s in theirs if s.frame < since):
            continue  # acknowledged in the meantime: one of the copies is late, not lost
        reached = [s for s in theirs if after(s.ack, start) > 0]
        smaller = [s for s in ours if s.seq == start and s.frame > first.frame and s.length < first.length]
        if reached and smaller:
            return _Hole(observation, side, first.length, len(copies), "smaller")
        if reached:
            continue
        if too_big(observation.connection):
            return _Hole(observation, side, first.length, len(copies), "icmp")
        if any(s.frame > copies[1].frame or _beyond_a_hole(s, first) for s in theirs):
            return _Hole(observation, side, first.length, len(copies), "others")
    return None


def _beyond_a_hole(ack: Segment, first: Segment) -> bool:
    """The receiver has something that came after the segment, and not that itself (RFC 5681 §2, RFC 2018)."""
    told = "duplicate-ack" in ack.marks or bool(_SACK.search(ack.options))
    return told and ack.frame > first.frame and after(ack.ack, first.seq) <= 0


def _whole(segment: Segment) -> bool:
    """Routers may not cut it: "don't fragment" is set, or it is IPv6 (RFC 8200 §4.5)."""
    return segment.df or segment.ip_id is None


def _missing(observation: ConnectionObservation, side: Literal["client", "server"]) -> _Hole | None:
    """A large gap that is never filled, in front of a smaller segment that arrived: captured behind the narrow link."""
    ours = [s for s in observation.segments if s.sender == side and s.length and "RST" not in flags(s)]
    theirs = [s for s in observation.segments if s.sender != side and acks(s)]
    jumps = [s for s in ours if "previous-lost" in s.marks]
    largest = max((s.length for s in ours), default=0)
    mss = observation.connection.mss_client if side == "server" else observation.connection.mss_server
    if not jumps or observation.omitted or mss is None or largest >= mss - _OPTIONS:
        return None
    beyond = jumps[0]
    stopped = [s for s in theirs if s.frame > beyond.frame]
    if len(stopped) < 2 or len({s.ack for s in stopped}) > 1:
        return None
    gap = after(beyond.seq, stopped[0].ack)
    if gap < LARGE or any(after(s.seq, beyond.seq) < 0 for s in ours if s.frame > beyond.frame):
        return None
    return _Hole(observation, side, min(gap, mss), 0, "others")


#: Timestamps take 12 bytes of every full segment (RFC 7323 §3.2), SACK blocks more.
_OPTIONS = 40


def _hit(seen: Seen, group: Sequence[_Hole]) -> Hit:
    worst = max(group, key=lambda hole: hole.copies)
    connection = worst.observation.connection
    direction = "to" if worst.sender == "client" else "from"
    if worst.copies:
        what = f"{worst.size} bytes, sent {worst.copies} times without an answer"
    else:
        what = f"{worst.size} bytes or more, missing from this capture while what follows them arrives"
    told = any(hole.proof == "icmp" for hole in group)
    recovered = all(hole.proof == "smaller" for hole in group)
    if told:
        ending = f"; the ICMP error is in the capture ({connection.icmp}), and the sender goes on"
        remedy = "Find out why the sender does not heed the ICMP error: a firewall on the sending machine drops it, or "
        remedy += "path MTU discovery is turned off there."
    elif recovered:
        ending = "; the sender found out by itself and made them smaller, which takes seconds each time"
        remedy = _REMEDY
    else:
        ending = "; no ICMP error says so"
        remedy = _REMEDY
    works = recovered or _others_carry(seen, group)
    failures = tuple(o for o in seen.of(TcpObservation) if o.outcome == "failed" and o.icmp is not None)
    return Hit(
        summary=f"Large packets {direction} {server_name(seen)} vanish on the path: {what}, while small ones pass"
        f"{ending} ({share(seen, len(group))}, {place(connection)})",
        blame=("this-machine" if worst.sender == "client" else "server") if told else "path-device",
        remedy=remedy,
        evidence=(*(hole.observation for hole in group[:_EVIDENCE]), *(failures if told else ())),
        severity=Severity.WARNING if works else None,
    )


_REMEDY = (
    "Have ICMP type 3 code 4 and ICMPv6 type 2 let through by every firewall on the path; until then clamp the MSS on "
    "the tunnel or VPN, or lower the MTU of the sending machine's interface and try again."
)


def _others_carry(seen: Seen, group: Sequence[_Hole]) -> bool:
    """Whether other connections carried segments as large, in the same direction, and were answered."""
    affected = {hole.observation.id for hole in group}
    size, sender = min(hole.size for hole in group), group[0].sender
    return any(
        s.length >= size and any(o.sender != sender and acks(o) and after(o.ack, s.seq) > 0 for o in c.segments)
        for c in connections(seen)
        if c.id not in affected
        for s in c.segments
        if s.sender == sender
    )
