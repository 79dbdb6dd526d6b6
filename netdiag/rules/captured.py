"""What rules ask of one service of a capture: how many of its connections, at which moments, with which answers.

Contract: pure. Every function here says nothing (0, empty, False) about observations that probes made, unless the run
captured its own packets: then ``connections`` are those of probes that failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from netdiag.model import (
    CaptureObservation,
    Connection,
    ConnectionObservation,
    Flow,
    NodeObservation,
    Opening,
    Segment,
    ServiceObservation,
    TcpObservation,
    TlsObservation,
)
from netdiag.rules.node_words import as_an_application
from netdiag.rules.seen import Seen
from netdiag.rules.syn_timing import classify
from netdiag.rules.words import counted

#: An unanswered SYN proves nothing when the capture ends before the sender would have repeated it: after 1 s
#: (RFC 6298 §2), on older Windows after 3 s (RFC 1122 §4.2.3.1).
REPEAT_S = 3.0
#: Moments listed in a sentence.
_MOMENTS = 7


def service(seen: Seen) -> ServiceObservation | None:
    """The service that the observations are about."""
    return next(iter(seen.of(ServiceObservation)), None)


def server_name(seen: Seen) -> str:
    """The service as a reader knows it: its name, and its address where that says more."""
    found = service(seen)
    shown = seen.target.authority
    return f"{shown} ({found.address})" if found and found.address not in ("", seen.target.host) else shown


def connections(seen: Seen) -> tuple[ConnectionObservation, ...]:
    """The service's connections whose packets were kept; of a run's own, those that an application would make too."""
    if seen.capture:
        return seen.of(ConnectionObservation)
    compared = seen.derived(compared_flows)
    return tuple(o for o in seen.effective(ConnectionObservation) if o.flow not in compared)


def compared_flows(seen: Seen) -> frozenset[Flow]:
    """The connections that were made for comparison only: no application makes such."""
    shakes = [o.flow for o in seen.of(TlsObservation) if o.flow and o.purpose not in ("main", "proxy")]
    nodes = [o.flow for o in seen.of(NodeObservation) if o.flow and not as_an_application(o)]
    return frozenset((*shakes, *nodes))


def total(seen: Seen) -> int:
    """How many connections of the service the capture shows."""
    tried = sum(o.connections for o in seen.of(TcpObservation) if o.outcome != "not-run")
    found = service(seen)
    return max(tried, found.connections if found else 0, len(connections(seen)))


def succeeded(seen: Seen) -> bool:
    """Whether any connection to the service came about."""
    found = service(seen)
    return found is not None and found.complete + found.mid_stream > 0


def share(seen: Seen, affected: int) -> str:
    """``3 of 120 connections``, or ``all 12 connections``; of a run's own, which shows the failed ones, how many."""
    if seen.capture is None:
        return counted(affected, "connection")
    every = total(seen)
    if affected < every:
        return f"{affected:,} of {every:,} connections"
    return "the only connection" if affected == 1 else f"all {affected:,} connections"


def captured_side(capture: CaptureObservation) -> Literal["", "clients", "servers"]:
    """Whose packets alone are in the capture, where it is one side's only: openings of one kind, ACKs for the other."""
    if not capture.acked_unseen or bool(capture.syn) == bool(capture.syn_ack):
        return ""
    return "clients" if capture.syn else "servers"


def without_packets(seen: Seen, opening: Opening, known: int = 0) -> int:
    """How many of the service's connections that began so are known by their number only: their packets went.

    ``known`` is the number of those that are known otherwise.
    """
    found = service(seen)
    kept = sum(c.connection.opening == opening for c in connections(seen))
    return max(0, opened(found, opening) - max(kept, known)) if found else 0


def opened(service: ServiceObservation, opening: Opening) -> int:
    """How many of its connections began so."""
    counts: dict[Opening, int] = {
        "complete": service.complete,
        "unfinished": service.unfinished,
        "unanswered": service.unanswered,
        "refused": service.refused,
        "mid-stream": service.mid_stream,
    }
    return counts[opening]


def one_direction(seen: Seen) -> bool:
    """Whether the capture that this is about holds only what one side sent, so that silence proves nothing."""
    return seen.capture is not None and captured_side(seen.capture) != ""


def near_the_end(seen: Seen, moment: float) -> bool:
    """Whether the capture ends so soon after ``moment`` that a missing answer proves nothing."""
    return seen.capture is not None and seen.capture.last > 0 and moment > seen.capture.last - REPEAT_S


def began_near_the_end(seen: Seen, attempt: TcpObservation) -> bool:
    """Whether the attempt, never repeated, was made when the capture ended."""
    repeated = attempt.info is not None and bool(attempt.info.retransmits)
    return attempt.connections == 1 and not repeated and near_the_end(seen, attempt.started)


def moments(segments: Sequence[Segment]) -> str:
    """The seconds from the first of some segments to each further one: ``3.0 s and 9.0 s``."""
    after = [f"{segment.at - segments[0].at:.1f}" for segment in segments[1:]]
    shown = after[:_MOMENTS]
    more = f" and {len(after) - _MOMENTS} more" if len(after) > _MOMENTS else ""
    return f"{', '.join(shown)} s{more}"


def syns(connection: ConnectionObservation) -> tuple[Segment, ...]:
    """The client's SYNs, the repeated ones too."""
    return tuple(s for s in connection.segments if s.sender == "client" and flags(s) >= {"SYN"} and not acks(s))


def flags(segment: Segment) -> frozenset[str]:
    """The flags as a set."""
    return frozenset(segment.flags.split(","))


def acks(segment: Segment) -> bool:
    """Whether the acknowledgement number counts."""
    return "ACK" in flags(segment)


def after(seq: int, other: int) -> int:
    """How far ``seq`` lies behind ``other``, negative when before it: serial arithmetic (RFC 1982)."""
    return ((seq - other + 2**31) & 0xFFFFFFFF) - 2**31


def has_copies(observation: ConnectionObservation) -> bool:
    """Whether packets of the connection were captured at two places: equal ones, with the same IP identification."""
    marked = [(s.sender, s.flags, s.seq, s.ack, s.length, s.ip_id) for s in observation.segments if s.ip_id]
    return observation.connection.captured_twice > 0 or len(set(marked)) < len(marked)


def too_big(connection: Connection) -> bool:
    """Whether the capture shows the ICMP error that tells the sender to make smaller packets."""
    words = connection.icmp.lower()
    return "fragmentation needed" in words or "too big" in words


def place(connection: Connection) -> str:
    """Both ends, as a person finds them in the capture: ``10.0.0.5:50123 (conversation 7)``."""
    host = f"[{connection.client}]" if ":" in connection.client else connection.client
    return f"{host}:{connection.client_port} (conversation {connection.number})"


def syn_series(seen: Seen) -> str:
    """When the longest unanswered series of SYNs was repeated, and who repeats so, as a clause; empty without one."""
    unanswered = [c for c in connections(seen) if c.connection.opening == "unanswered"]
    longest = max((syns(c) for c in unanswered), key=len, default=())
    if len(longest) < 2:
        return ""
    began = seen.capture.first if seen.capture else None
    return f"; {classify([s.at for s in longest], ttl=longest[0].ttl, began=began).words}"
