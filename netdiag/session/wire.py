"""What a run's own packets show besides what its probes saw: who answered how, from how far away, in which frame.

Contract: pure. ``evidence`` reads the packets, which takes numpy and the capture engine, only if a probe failed or a
trace was made. Observations are tied to packets by their flow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from netdiag.model import (
    AnyObservation,
    Connection,
    ConnectionObservation,
    DnsObservation,
    Flow,
    HttpsObservation,
    IcmpError,
    NodeObservation,
    ProxyObservation,
    ResetObservation,
    TcpObservation,
    TlsObservation,
    TraceObservation,
    TraceReply,
    WireObservation,
    authority,
)
from netdiag.probes.tap import Packets
from netdiag.probes.trace_probes import TIME_EXCEEDED

if TYPE_CHECKING:
    from netdiag.capture.engine import Analysis
    from netdiag.capture.exhibits import IcmpSeen

#: Failed connections that a report shows with their packets: a run makes one for each address and some for TLS.
MAX_SHOWN = 40
#: A probe's times and its packets' are of one clock; as a number of floating point they are a quarter of 1 µs off.
_ROUNDING_NS = 1_000

_OF_CONNECTIONS = (TcpObservation, ProxyObservation, NodeObservation, TlsObservation, HttpsObservation)
_OF_FLOWS = (DnsObservation, *_OF_CONNECTIONS)

#: The unspecified addresses, which systems take for this machine itself (RFC 1122 §3.2.1.3, RFC 4291 §2.5.2).
_ANY = ("0.0.0.0", "::")  # noqa: S104 - nothing is bound to them
_UDP = 17


def evidence(
    packets: Packets, wire: WireObservation, observations: Sequence[AnyObservation]
) -> tuple[AnyObservation, ...]:
    """``wire``, the observations, and what the packets show of those that failed; replies of traces with their TTL."""
    failed = {o.flow: o for o in observations if isinstance(o, _OF_FLOWS) and o.failure and o.flow}
    traces = [o for o in observations if isinstance(o, TraceObservation)]
    unseen = () if packets.dropped else _unseen(packets, failed)
    wire = msgspec.structs.replace(wire, unseen=unseen)
    shown = [o for flow, o in failed.items() if isinstance(o, _OF_CONNECTIONS) and flow not in unseen]
    if not packets.each or not (shown or traces):
        return (wire, *observations)
    found = _Found.of(packets)
    replaced = {o.id: _traced(o, found) for o in traces}
    return (
        wire,
        *(replaced.get(o.id, o) if isinstance(o, TraceObservation) else o for o in observations),
        *_connections(found, wire.id, shown[:MAX_SHOWN], observations),
    )


def _bare(flow: Flow) -> Flow:
    """The flow as packets show it: zones are not on the wire (RFC 4007 §11)."""
    if "%" not in flow.client + flow.server:
        return flow
    return msgspec.structs.replace(flow, client=flow.client.partition("%")[0], server=flow.server.partition("%")[0])


def _unseen(packets: Packets, failed: Iterable[Flow]) -> tuple[Flow, ...]:
    """The flows of which this machine sent nothing. What goes to "any address" has another one in its packets."""
    sent = set(packets.flows()) if failed else ()
    return tuple(flow for flow in failed if _bare(flow) not in sent and flow.server not in _ANY)


# -- what the engine makes of the packets


@dataclass(frozen=True)
class _Found:
    """The engine's output, by the ends of connections."""

    analyse: Callable[[tuple[int, ...]], Analysis]
    analysis: Analysis
    rows: Mapping[Flow, list[Connection]]
    icmp: Mapping[Flow, list[IcmpSeen]]

    @staticmethod
    def of(packets: Packets) -> _Found:
        """Read the packets."""
        from netdiag.capture.engine import analyze
        from netdiag.capture.formats.live import Live
        from netdiag.capture.options import CaptureOptions

        def analyse(numbers: tuple[int, ...]) -> Analysis:
            live = Live(packets.each, packets.links, dropped=packets.dropped)
            return analyze(live, CaptureOptions(conversations=numbers))

        analysis = analyse(())
        rows: dict[Flow, list[Connection]] = {}
        for row in analysis.connections.rows():
            rows.setdefault(_flow(row), []).append(row)
        icmp: dict[Flow, list[IcmpSeen]] = {}
        for seen in analysis.capture.icmp:
            icmp.setdefault(_quoted(seen), []).append(seen)
        return _Found(analyse, analysis, rows, icmp)

    def row(self, flow: Flow, ended: float = math.inf) -> Connection | None:
        """The connection with these ends that began last before ``ended``: ports are used again."""
        rows = self.rows.get(_bare(flow), ())
        return next((row for row in reversed(rows) if row.started <= ended), None)


def _flow(row: Connection) -> Flow:
    return Flow(client=row.client, client_port=row.client_port, server=row.server, server_port=row.server_port)


def _quoted(seen: IcmpSeen) -> Flow:
    return Flow(
        protocol="udp" if seen.quoted_protocol == _UDP else "tcp",
        client=seen.quoted_source,
        client_port=seen.quoted_source_port,
        server=seen.quoted_destination,
        server_port=seen.quoted_destination_port,
    )


# -- connections of probes that failed


def _connections(
    found: _Found, parent: str, failed: Sequence[AnyObservation], every: Sequence[AnyObservation]
) -> Iterator[AnyObservation]:
    """The connection of each failed probe, with its packets and its resets."""
    from netdiag.capture.exhibits import Capture
    from netdiag.capture.observe import observe
    from netdiag.capture.resets import resets, ttls_elsewhere, with_alike

    probe_of: dict[int, AnyObservation] = {}
    for o in failed:
        row = found.row(o.flow, o.started + o.took_s) if o.flow else None
        if row is not None:
            probe_of.setdefault(row.number, o)
    analysis = found.analysis
    kept = {exhibit.connection.number for exhibit in analysis.capture.exhibits}
    if not probe_of.keys() <= kept:  # other programs' connections to the same servers have taken the room
        analysis = found.analyse(tuple(probe_of))
    exhibits = [exhibit for exhibit in analysis.capture.exhibits if exhibit.connection.number in probe_of]
    shown = observe(Capture(exhibits, analysis.capture.icmp, []), ended=analysis.summary.last, names=analysis.names())
    of_number = {o.connection.number: o for o in shown if isinstance(o, ConnectionObservation)}
    asked_for: dict[Flow | None, str] = {
        o.flow: o.server_name for o in every if isinstance(o, TlsObservation) and o.flow
    }
    elsewhere = ttls_elsewhere(analysis.services())
    seen: list[ResetObservation] = []
    for exhibit in exhibits:
        probe = probe_of[exhibit.connection.number]
        connection = msgspec.structs.replace(of_number[exhibit.connection.number], flow=probe.flow)
        name = asked_for.get(connection.flow, connection.connection.name)
        connection = msgspec.structs.replace(
            connection,
            id=f"wire.{connection.id}",
            parent=parent,
            route=probe.route,
            connection=msgspec.structs.replace(connection.connection, name=name),
        )
        yield connection
        seen += [
            msgspec.structs.replace(reset, id=f"wire.{reset.id}", route=probe.route, flow=probe.flow)
            for reset in resets(exhibit, parent=connection.id, server_name=name, ttls_elsewhere=elsewhere)
        ]
    yield from with_alike(seen)


# -- replies of traces


def _traced(trace: TraceObservation, found: _Found) -> TraceObservation:
    """The trace with what its packets tell of each reply."""
    hops = tuple(
        msgspec.structs.replace(hop, replies=tuple(_reply(reply, found) for reply in hop.replies)) for hop in trace.hops
    )
    return msgspec.structs.replace(trace, hops=hops)


def _reply(reply: TraceReply, found: _Found) -> TraceReply:
    """The TTL that the answer arrived with; of an ICMP error that the socket could not ascribe, its sender too."""
    if reply.flow is None:
        return reply
    by_icmp = _icmp_error(reply, found.icmp.get(_bare(reply.flow), ()))
    if by_icmp is not None:
        error = reply.icmp or IcmpError(
            version=6 if by_icmp.version == 6 else 4, type=by_icmp.type, code=by_icmp.code, offender=by_icmp.source
        )
        return msgspec.structs.replace(reply, address=by_icmp.source, icmp=error, ttl=by_icmp.ttl)
    row = found.row(reply.flow)
    ttl = _answer_ttl(reply, row) if row else None
    return reply if ttl is None else msgspec.structs.replace(reply, ttl=ttl)


def _icmp_error(reply: TraceReply, errors: Iterable[IcmpSeen]) -> IcmpSeen | None:
    """The ICMP error that is this reply."""
    if reply.answer not in ("hop", "unreachable", "prohibited", "refused"):
        return None
    for seen in errors:
        died = (seen.type, seen.code) == TIME_EXCEEDED.get(seen.version)
        if died == (reply.answer == "hop") and reply.address in ("", seen.source):
            return seen
    return None


def _answer_ttl(reply: TraceReply, row: Connection) -> int | None:
    if reply.answer == "open":
        return row.ttl_syn_ack
    if reply.answer in ("refused", "reset"):
        return row.ttl_rst_server
    if reply.answer in ("closed", "data") and row.ttl_server and len(set(row.ttl_server)) == 1:
        return row.ttl_server[0]
    return None


# -- comments


def comments(packets: Packets, observations: Iterable[AnyObservation]) -> dict[int, tuple[str, ...]]:
    """What each probe's first packet is for, and what came of it, by frame number."""
    frames: dict[Flow, list[int]] = {}
    for frame, flow in enumerate(packets.flows(), 1):
        if flow is not None:
            frames.setdefault(flow, []).append(frame)
    written: dict[int, dict[str, None]] = {}
    for flow, started, words in _remarks(observations):
        since_ns = int(started * 1e9) - _ROUNDING_NS
        sent = frames.get(_bare(flow), ())
        first = next((frame for frame in sent if packets.each[frame - 1].time_ns >= since_ns), None)
        if first is not None:
            written.setdefault(first, {})[f"netdiag: {words}"] = None
    return {frame: tuple(words) for frame, words in written.items()}


def _remarks(observations: Iterable[AnyObservation]) -> Iterator[tuple[Flow, float, str]]:
    """The flow of each probe, when it began, and what it did in words."""
    for o in observations:
        if isinstance(o, _OF_FLOWS) and o.flow:
            yield o.flow, o.started, f"{o.id}, {_what(o)}: {_outcome(o)}"
        elif isinstance(o, TraceObservation):
            for hop in o.hops:
                for reply in hop.replies:
                    if reply.flow:
                        yield reply.flow, o.started, f"{o.id}, TTL {hop.ttl}: {reply.answer}"


def _what(
    o: DnsObservation | TcpObservation | ProxyObservation | NodeObservation | TlsObservation | HttpsObservation,
) -> str:
    if isinstance(o, DnsObservation):
        return f"{o.qtype} of {o.name}"
    if isinstance(o, TcpObservation):
        return f"connection to {authority(o.address, o.port)}"
    if isinstance(o, ProxyObservation):
        return f"tunnel through {o.proxy}"
    if isinstance(o, NodeObservation):
        if o.asked == "http":
            return "HEAD request"
        return "end of the net.tcp preamble" if o.asked == "end" else f"net.tcp preamble ({o.upgrade or 'no upgrade'})"
    if isinstance(o, TlsObservation):
        return f"TLS handshake with {o.server_name or 'no name'}"
    return f"GET {o.url.partition('?')[0]}"


def _outcome(o: AnyObservation) -> str:
    return f"{o.failure.kind if o.failure else o.outcome} after {o.took_s:.1f} s"
