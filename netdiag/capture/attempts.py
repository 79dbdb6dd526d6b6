"""How a connection came about, or why it did not: the ``TcpObservation`` of an exhibit, as a probe would make it.

Contract: pure. What a packet cannot tell is "not-run": a connection whose beginning is not in the capture and from
which only one side is seen, a SYN right before the capture's end.
"""

from __future__ import annotations

from netdiag.capture.dialogue import TELLING_SILENCE_S, Dialogue
from netdiag.capture.exhibits import IcmpSeen
from netdiag.model import Failure, FailureKind, IcmpError, Outcome, Route, TcpInfo, TcpObservation
from netdiag.wire import icmp as icmp_wire

_STEP = "connect"


def tcp_observation(dialogue: Dialogue, route: Route = "direct") -> TcpObservation:
    """The attempt that this connection began with. ``route`` "proxy": its server turned out to be one."""
    row = dialogue.connection
    outcome, failure, icmp, took_s = _result(dialogue)
    syns = len(_syns(dialogue))
    return TcpObservation(
        id=f"tcp-{row.number}",
        parent=f"connection-{row.number}",
        source="capture",
        route=route,
        started=row.started,
        took_s=took_s,
        outcome=outcome,
        failure=failure,
        flow=dialogue.flow,
        address=row.server,
        port=row.server_port,
        peer="proxy" if route == "proxy" else "target",
        info=TcpInfo(rtt_ms=row.syn_rtt_ms, retransmits=syns - 1 if syns else None, mss=row.mss_server),
        icmp=icmp_error(icmp) if icmp else None,
    )


Result = tuple[Outcome, Failure | None, IcmpSeen | None, float]


def _result(dialogue: Dialogue) -> Result:
    row = dialogue.connection
    if row.opening == "complete":
        return "ok", None, None, _until(dialogue, "SYN,ACK", "server")
    if row.opening == "mid-stream":
        return ("ok" if row.packets_client and row.packets_server else "not-run"), None, None, 0.0
    if row.opening == "refused":
        return _failed("refused", "a reset answers the SYN", _until(dialogue, "RST", "server"))
    if row.opening == "unfinished":
        return _unfinished(dialogue)
    return _unanswered(dialogue)


def _failed(kind: FailureKind, detail: str, took_s: float, icmp: IcmpSeen | None = None) -> Result:
    return "failed", Failure(kind=kind, step=_STEP, detail=detail), icmp, took_s


def _until(dialogue: Dialogue, flags: str, sender: str) -> float:
    """Seconds to the first packet with these flags, 0 where it was not kept."""
    started = dialogue.connection.started
    for segment in dialogue.exhibit.segments:
        if segment.sender == sender and segment.flags.startswith(flags):
            return max(0.0, segment.at - started)
    return 0.0


def _unfinished(dialogue: Dialogue) -> Result:
    """SYN and SYN-ACK, and no ACK: a client that answers with a reset did not mean to connect, which is no fault."""
    row = dialogue.connection
    watched = dialogue.ending.at - row.started
    repeated = len(_syns(dialogue)) > 1 or row.syn_ack > 1
    if row.rst_client or (not repeated and watched < TELLING_SILENCE_S):
        return "not-run", None, None, max(0.0, watched)
    took_s = dialogue.exhibit.segments[-1].at - row.started if dialogue.exhibit.segments else 0.0
    return _failed("timeout", "a SYN-ACK came, and no ACK after it", max(0.0, took_s))


def _unanswered(dialogue: Dialogue) -> Result:
    row = dialogue.connection
    for icmp in dialogue.icmp:
        kind = icmp_wire.failure_kind(icmp.version, icmp.type, icmp.code)
        if kind and icmp.quoted_source == row.client:
            words = icmp_wire.words(icmp.version, icmp.type, icmp.code)
            return _failed(kind, f"{words}, says {icmp.source}", max(0.0, icmp.at - row.started), icmp)
    syns = _syns(dialogue)
    watched = max(0.0, min(_next_due(syns), dialogue.ending.at) - row.started)
    if len(syns) < 2 and watched < TELLING_SILENCE_S:
        return "not-run", None, None, watched
    return _failed("timeout", f"no answer in {watched:.1f} s", watched)


def _syns(dialogue: Dialogue) -> list[float]:
    """When the client sent its SYNs; a mirror port's copies are none."""
    segments = dialogue.exhibit.segments
    mine = (s for s in segments if s.sender == "client" and s.flags.startswith("SYN") and "ACK" not in s.flags)
    return [s.at for s in mine if "captured-twice" not in s.marks]


def _next_due(syns: list[float]) -> float:
    """When the next SYN would have come: the wait doubles each time (RFC 6298 §5.5).

    That is when Windows gives up (3 + 6 + 12 s) and Linux (1 + 2 + ... + 64 s), which the capture cannot show.
    """
    if len(syns) < 2:
        return (syns[0] if syns else 0.0) + TELLING_SILENCE_S
    return syns[-1] + 2 * (syns[-1] - syns[-2])


def icmp_error(seen: IcmpSeen) -> IcmpError:
    """The error as a probe reports it."""
    return IcmpError(version=4 if seen.version == 4 else 6, type=seen.type, code=seen.code, offender=seen.source)
