"""What a capture shows of lost packets on the way to one service, for ``tcp.retransmissions``."""

from __future__ import annotations

from collections.abc import Iterator

from netdiag.model import ConnectionObservation, Segment, ServiceObservation, Severity, TcpObservation
from netdiag.rules.captured import acks, after, connections, flags, has_copies, server_name, service, succeeded, too_big
from netdiag.rules.registry import Hit
from netdiag.rules.seen import Seen
from netdiag.rules.words import counted

#: From this share of packets sent again on, loss is felt: at 2 % and a round trip of 50 ms, TCP cannot carry more than
#: about 2 Mbit/s (Mathis, Semke, Mahdavi, Ott 1997: MSS/RTT * 1.22/sqrt(p)). Ordinary Internet paths stay near or
#: below it: 2.5 % of the segments to users all over the world (Flach et al., SIGCOMM 2013).
FELT = 0.02
#: A single lost packet is nothing, however small the capture.
FEW = 2
#: A SYN is repeated after a second at the soonest (RFC 6298 §2); what comes sooner is another program's or a copy.
_RTO_S = 0.9
#: One direction lost this share of what was lost.
_MOSTLY = 0.8
#: Connections named as evidence.
_EVIDENCE = 8


def captured_retransmissions(seen: Seen) -> Iterator[Hit]:
    """One hit when more of the service's packets were sent again than ``FELT``."""
    found = service(seen)
    if found is None or not succeeded(seen):
        return
    again = found.retransmissions - sum(_excused(c) for c in connections(seen))
    if again < FEW or again < FELT * found.packets:
        return
    lossy = sorted((c for c in connections(seen) if _lost(c) > 0), key=lambda c: -_lost(c))
    took = _round_trip(seen, found)
    rtt = "" if took is None else f"; a round trip takes {f'{took:.0f} ms' if took >= 1 else 'less than 1 ms'}"
    yield Hit(
        summary=f"Packets to or from {server_name(seen)} are lost: {again:,} of {found.packets:,} "
        f"({100 * again / found.packets:.1f} %) were sent again{_direction(lossy)}{rtt}{_late(seen)}",
        blame="unknown",
        remedy="Capture at the other end, or at the firewall, at the same time: packets are lost after the last place "
        "that sees them. Look there for a full link, a bad cable or WLAN, or a policer.",
        evidence=(found, *lossy[:_EVIDENCE]),
        severity=Severity.WARNING,
    )


def _round_trip(seen: Seen, found: ServiceObservation) -> float | None:
    """From SYN to ACK: the whole way and back, wherever on it the capture was taken; the median."""
    rows = (o.connection for o in connections(seen))
    times = [c.syn_rtt_ms + c.ack_rtt_ms for c in rows if c.syn_rtt_ms is not None and c.ack_rtt_ms is not None]
    return _median(times) if times else found.rtt_ms


def _median(values: list[float]) -> float:
    """What the module statistics does, which takes longer to load than all rules take to judge."""
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _excused(observation: ConnectionObservation) -> int:
    """What a connection sent again for other reasons than loss on the way; other findings tell of them."""
    row = observation.connection
    # Copies of packets that bear no identification cannot be told from repeats. And a sender that learns of a smaller
    # MTU has to send again what was too large (RFC 1191 §6.4).
    if row.opening not in ("complete", "mid-stream") or has_copies(observation) or too_big(row):
        return row.retransmissions_client + row.retransmissions_server
    late = row.syn_rtt_ms is not None and any(s.at - observation.segments[0].at >= _RTO_S for s in _syns(observation))
    again = [s for s in observation.segments if "retransmission" in s.marks or "syn-retransmission" in s.marks]
    return sum(not late if "SYN" in flags(s) else not _arrived(observation, s) for s in again)


def _syns(observation: ConnectionObservation) -> list[Segment]:
    return [s for s in observation.segments if "SYN" in flags(s)]


def _arrived(observation: ConnectionObservation, segment: Segment) -> bool:
    """Whether it was acknowledged in the end. What never is, is no loss by chance: something stops it."""
    others = (s for s in observation.segments if s.sender != segment.sender and acks(s))
    return observation.omitted > 0 or any(after(s.ack, segment.seq) > 0 for s in others)


def _lost(observation: ConnectionObservation) -> int:
    row = observation.connection
    return row.retransmissions_client + row.retransmissions_server - _excused(observation)


def _late(seen: Seen) -> str:
    """Connections that came about only after a SYN had been repeated, which an application waits for."""
    late = [o for o in seen.of(TcpObservation) if o.outcome == "ok" and o.info and o.info.retransmits]
    late = [o for o in late if o.took_s >= _RTO_S]
    if not late:
        return ""
    return f"; {counted(len(late), 'connection')} began up to {max(o.took_s for o in late):.1f} s late for a lost SYN"


def _direction(lossy: list[ConnectionObservation]) -> str:
    """Whose packets are lost, where it is mostly one side's."""
    client = sum(c.connection.retransmissions_client for c in lossy)
    server = sum(c.connection.retransmissions_server for c in lossy)
    if client + server == 0 or max(client, server) < _MOSTLY * (client + server):
        return ""
    return ", nearly all by the server" if server > client else ", nearly all by the client"
