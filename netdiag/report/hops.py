"""The traces to one address, joined into one column of hops, and where on it each of them ended.

Contract: pure. Nothing is judged: the device to blame is the one that a finding names. What only the traces tell is
put as carefully as they allow: a router checks the TTL before it filters, so a probe that is answered from TTL 5 on by
something nearer than the server passed hop 4, and what answered it is hop 4 itself or stands right behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from netdiag.model import Finding, Report, Severity, TraceAnswer, TraceMode, TraceObservation, TraceReply

#: What each mode counts as an answer of the host itself, as it should be.
_GOOD: dict[TraceMode, tuple[TraceAnswer, ...]] = {"syn": ("open",), "data": ("data",), "udp": ("refused",)}
_MODES: tuple[TraceMode, ...] = ("syn", "data", "udp")
#: Answers that bear the host's address, whoever sent them.
_SIGNED: tuple[TraceAnswer, ...] = ("reset", "refused", "closed")
#: ICMP errors other than that the TTL ended.
_ERRORS: tuple[TraceAnswer, ...] = ("unreachable", "prohibited")


#: The field has eight bits (RFC 791 §3.1, RFC 8200 §3); a saved report may claim anything.
_MAX_TTL = 255
#: Traces side by side in one drawing, so that there is room for an address beside them on a narrow page.
_MAX_TRACES = 6


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One distance. 0 is this machine; ``ttl`` is None for a peer whose distance is not known."""

    ttl: int | None
    #: Who answered there, and the best round trip to each; several where packets take several ways (ECMP).
    addresses: tuple[tuple[str, float | None], ...] = ()
    #: Something answered, though perhaps the system does not tell who.
    answered: bool = False
    peer: bool = False


class End(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one trace: its line goes down to the row with this index."""

    trace: TraceObservation
    row: int
    #: The host itself answered as it should.
    good: bool
    #: The finding that names this row's device.
    finding: Finding | None = None


class Path(msgspec.Struct, frozen=True, kw_only=True):
    """The way to one address. The first row is this machine, the last the peer."""

    address: str
    port: int
    #: "the server", "the proxy".
    whom: str
    rows: tuple[Row, ...]
    ends: tuple[End, ...]
    names: dict[str, str]
    #: This machine's address, as far as a trace tells.
    client: str

    def at(self, ttl: int | None) -> str:
        """The addresses at that distance, in words; empty where none is known."""
        found = [address for row in self.rows if row.ttl == ttl for address, _ in row.addresses]
        return " or ".join(found)

    @property
    def blamed(self) -> End | None:
        """The first trace that ended at a device which a finding names."""
        return next((end for end in self.ends if end.finding is not None), None)


def paths(report: Report) -> tuple[Path, ...]:
    """One for each address that was traced, in the report's order; more for one with very many traces."""
    groups: dict[str, list[TraceObservation]] = {}
    for observation in report.observations:
        if isinstance(observation, TraceObservation) and observation.outcome != "not-run":
            groups.setdefault(observation.address, []).append(observation)
    ordered = (sorted(group, key=lambda t: _MODES.index(t.mode)) for group in groups.values())
    return tuple(
        _path(report, group[n : n + _MAX_TRACES]) for group in ordered for n in range(0, len(group), _MAX_TRACES)
    )


def _path(report: Report, traces: Sequence[TraceObservation]) -> Path:
    first = next((t for t in traces if t.mode != "udp"), traces[0])
    finding = _finding(report, traces)
    distance = _distance(traces, finding)
    rows = _rows(traces, distance, finding)
    blamed = _blamed_row(rows, finding, first.address)
    replies = [reply for t in traces for hop in t.hops for reply in hop.replies]
    flows = [t.flow for t in traces] + [reply.flow for reply in replies]
    flows += [o.flow for o in report.observations if o.flow is not None and o.flow.server == first.address]
    return Path(
        address=first.address,
        port=first.port,
        whom="the proxy" if first.peer == "proxy" else "the server",
        rows=rows,
        ends=tuple(_end(t, rows, distance, blamed, finding) for t in traces),
        names={address: name for t in traces for address, name in t.names},
        client=next((flow.client for flow in flows if flow is not None), ""),
    )


def _distance(traces: Sequence[TraceObservation], finding: Finding | None) -> int | None:
    """How many hops away the host is. A refusal tells it, if nothing better does and no device is blamed for it."""
    far = [t for t in traces if t.distance is not None and 0 < t.distance <= _MAX_TTL]
    reached = [t.distance for t in far if t.answer in _GOOD[t.mode]]
    other = finding is not None and finding.culprit is not None and finding.culprit.address != traces[0].address
    refused = [t.distance for t in far if t.mode == "syn" and t.answer == "refused" and not other]
    return next(iter(reached + refused), None)


def _finding(report: Report, traces: Sequence[TraceObservation]) -> Finding | None:
    """The finding that names a device on this path: the root cause, or the first other."""
    address = traces[0].address
    concerned = {
        o.id
        for o in report.observations
        if getattr(o, "address", "") == address or (o.flow is not None and o.flow.server == address)
    }
    ordered = sorted(report.findings, key=lambda f: f.id != report.verdict.finding)
    for finding in ordered:
        named = finding.culprit is not None and (finding.culprit.hop is not None or finding.culprit.address)
        if named and finding.severity is not Severity.INFO and not concerned.isdisjoint(finding.evidence):
            return finding
    return None


def _rows(traces: Sequence[TraceObservation], distance: int | None, finding: Finding | None) -> tuple[Row, ...]:
    replies: dict[int, list[TraceReply]] = {}
    for trace in traces:
        for hop in trace.hops:
            replies.setdefault(hop.ttl, []).extend(hop.replies)
    culprit = finding.culprit if finding else None
    if culprit is not None and culprit.hop is not None:
        replies.setdefault(culprit.hop, [])
    rows = [Row(ttl=0)]
    met: set[str] = set()
    for ttl in sorted(replies):
        if not 0 < ttl <= _MAX_TTL or (distance is not None and ttl >= distance):
            continue
        # A router that forbids lets the TTL run out first, so its refusal comes from TTLs beyond its own hop.
        here = [r for r in replies[ttl] if r.answer == "hop" or (r.answer in _ERRORS and r.address not in met)]
        found = _best(here)
        met.update(dict(found))
        named = culprit.address if culprit is not None and culprit.hop == ttl else ""
        if named and named not in dict(found):
            found = ((named, None), *found)
        if here or not replies[ttl] or any(r.answer == "none" for r in replies[ttl]):
            rows.append(Row(ttl=ttl, addresses=found, answered=bool(here)))
    peer = traces[0].address
    answers = [r.rtt_ms for r in replies.get(distance or 0, []) if r.answer not in ("hop", "none") and r.rtt_ms]
    best = min(answers, default=None)
    rows.append(Row(ttl=distance, addresses=((peer, best),), answered=distance is not None, peer=True))
    return tuple(rows)


def _best(replies: Iterable[TraceReply]) -> tuple[tuple[str, float | None], ...]:
    """Each address once, with its shortest round trip."""
    found: dict[str, float | None] = {}
    for reply in replies:
        if reply.address:
            times = [t for t in (found.get(reply.address), reply.rtt_ms) if t is not None]
            found[reply.address] = min(times, default=None)
    return tuple(found.items())


def _blamed_row(rows: Sequence[Row], finding: Finding | None, peer: str) -> int | None:
    """Where the device stands that the finding names."""
    culprit = finding.culprit if finding else None
    if culprit is None:
        return None
    if culprit.address == peer:
        return len(rows) - 1
    by_hop = (n for n, row in enumerate(rows) if culprit.hop is not None and row.ttl == culprit.hop)
    return next(by_hop, None) or _row_of(rows, culprit.address)


def _row_of(rows: Sequence[Row], address: str) -> int | None:
    return next((n for n, row in enumerate(rows) if address and address in dict(row.addresses)), None)


def _end(
    trace: TraceObservation, rows: Sequence[Row], distance: int | None, blamed: int | None, finding: Finding | None
) -> End:
    peer = len(rows) - 1
    if trace.answer in _GOOD[trace.mode]:
        return End(trace=trace, row=peer, good=True)
    if trace.mode != "udp" and blamed is not None:  # that UDP is not answered is usual, and blames nobody
        return End(trace=trace, row=blamed, good=False, finding=finding)
    return End(trace=trace, row=_last(trace, rows, distance), good=False)


def _last(trace: TraceObservation, rows: Sequence[Row], distance: int | None) -> int:
    """The index of the last row that the probes are known to have come to."""
    peer = len(rows) - 1
    passed = max((hop.ttl for hop in trace.hops if hop.answer == "hop"), default=0)
    if trace.answer in _SIGNED and trace.distance is not None:
        if distance is not None and trace.distance >= distance:
            return peer
        passed = trace.distance - 1
    elif trace.answer in _ERRORS:
        senders = (r.icmp.offender if r.icmp else r.address for h in trace.hops for r in h.replies if r.answer != "hop")
        known = next((n for sender in senders if (n := _row_of(rows, sender)) is not None), None)
        if known is not None:
            return known
        passed = trace.distance or passed
    return max((n for n, row in enumerate(rows) if row.ttl is not None and row.ttl <= passed), default=0)
