"""The resets of a service that deserve a finding: those alike together, and how much harm each did.

Contract: pure. A reset after both sides had said what they had to say harms nobody, and is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from netdiag.model import (
    Flow,
    HttpsObservation,
    NodeObservation,
    Observation,
    ProxyObservation,
    ResetObservation,
    Severity,
    TcpObservation,
    TlsObservation,
)
from netdiag.rules.alignment import aligned_with, moment, placed, told_already
from netdiag.rules.captured import compared_flows, flags
from netdiag.rules.reset_evidence import Attribution, Origin, own
from netdiag.rules.reset_trace import traced
from netdiag.rules.seen import Seen

#: Data longer ago belongs to an exchange that has ended.
UNDER_WAY_S = 5.0


class Case(msgspec.Struct, frozen=True):
    """Resets that are alike. The first one speaks for all."""

    resets: tuple[ResetObservation, ...]
    judged: Attribution
    severity: Severity
    evidence: tuple[Observation, ...]

    @property
    def first(self) -> ResetObservation:
        """The one that speaks for all."""
        return self.resets[0]

    @property
    def name(self) -> str:
        """The name that all of them asked for; empty where they asked for several, or for none."""
        names = {o.server_name for o in self.resets}
        return names.pop() if len(names) == 1 else ""

    @property
    def connections(self) -> int:
        """Those whose packets were kept, or more if the facts know of more."""
        return max(len(self.resets), self.first.alike)


def cases(seen: Seen, origin: Origin) -> Iterator[Case]:
    """Those that the evidence ascribes to ``origin``, the gravest and most frequent first."""
    yield from (case for case in seen.derived(_all_cases) if case.judged.origin == origin)


def _all_cases(seen: Seen) -> tuple[Case, ...]:
    """Every harmful or noteworthy reset, those alike together, the most frequent first."""
    every = [o for o in seen.effective(ResetObservation) if o.resets and not _recovers(o) and not told_already(seen, o)]
    at = {o.id: moment(seen, o) for o in every}
    first_of: dict[object, float] = {}
    for o in every:
        key = _connection(seen, o)
        first_of[key] = min(first_of.get(key, at[o.id]), at[o.id])
    groups: dict[object, list[tuple[ResetObservation, Attribution, Severity]]] = {}
    for o in every:
        if at[o.id] > first_of[_connection(seen, o)]:
            continue  # the other side's: it answers packets of a connection that the first reset had ended
        judged = placed(seen, o, traced(seen, o))
        severity = _harm(o, judged.origin, seen)
        if severity is not None:
            server = (o.flow.server, o.flow.server_port) if o.flow else None
            name = "" if own(o) else o.server_name  # a run asks for other names to compare
            alike = (server, o.claimed, judged.origin, judged.hop, o.stage, name, severity)
            groups.setdefault(alike, []).append((o, judged, severity))
    cases = [_case(seen, group) for group in groups.values() if _matters(seen, group)]
    return tuple(sorted(cases, key=lambda case: (case.severity.rank, -case.connections)))


def _matters(seen: Seen, group: list[tuple[ResetObservation, Attribution, Severity]]) -> bool:
    """Whether an application would meet it, too: some probes are made for comparison only."""
    return seen.capture is not None or any(o.flow not in seen.derived(compared_flows) for o, _, _ in group)


def _case(seen: Seen, group: list[tuple[ResetObservation, Attribution, Severity]]) -> Case:
    """The reset that tells most speaks for the others; of a run's own, one that an application would meet."""
    compared = frozenset() if seen.capture else seen.derived(compared_flows)
    group = sorted(group, key=lambda entry: (entry[0].flow in compared, -entry[1].confidence))
    resets = tuple(o for o, _, _ in group)
    return Case(resets, group[0][1], group[0][2], tuple(_evidence(seen, resets)))


def _connection(seen: Seen, o: ResetObservation) -> Flow | str:
    aligned = aligned_with(seen, o)
    return aligned.id if aligned else o.parent or o.flow or o.id


def _evidence(seen: Seen, resets: Iterable[ResetObservation]) -> Iterator[Observation]:
    """Each reset, its connection, and what failed in it."""
    by_flow = seen.derived(_failed_by_flow)
    known = set()
    for o in resets:
        parent = seen.get(o.parent) if o.parent else None
        failed = by_flow.get(o.flow, ()) if o.flow else ()
        ended = (x for x in failed if x.failure is not None and x.failure.kind in ("reset", "refused"))
        for item in (o, parent, aligned_with(seen, o), *ended):
            if item is not None and item.id not in known:
                known.add(item.id)
                yield item


def _failed_by_flow(seen: Seen) -> dict[Flow, tuple[Observation, ...]]:
    """What failed in each connection; with another failure than a reset, the reset was not the reason."""
    found: dict[Flow, tuple[Observation, ...]] = {}
    for kind in (TcpObservation, NodeObservation, TlsObservation, ProxyObservation, HttpsObservation):
        for o in seen.of(kind):
            if o.flow is not None and o.failure is not None:
                found[o.flow] = (*found.get(o.flow, ()), o)
    return found


def _harm(o: ResetObservation, origin: Origin, seen: Seen) -> Severity | None:
    """How bad it is; None where it is usual and harmless, or where something else is the reason."""
    if o.fins:
        return None
    every = seen.derived(_failed_by_flow).get(o.flow, ()) if o.flow else ()
    if own(o) and not any(x.failure is not None and x.failure.kind in ("reset", "refused") for x in every):
        return None  # the probe had met another end before: an alert, its own patience
    if own(o) and o.route == "proxy" and origin != "path-device":
        return None  # a proxy passes on what happens behind it, so its own reset tells nothing of the reason
    failed = [x for x in every if not isinstance(x, TcpObservation)]
    if any(x.failure is not None and x.failure.kind == "reset" for x in failed):
        return Severity.ERROR
    if origin == "client":
        return None if failed else Severity.WARNING if _unanswered(o) else Severity.INFO
    if o.stage == "post_syn":
        # A host that refuses is tcp.refused; only another sender is news.
        return Severity.ERROR if origin == "path-device" else None
    if o.claimed == "client" and origin == "unknown":
        return Severity.WARNING if _unanswered(o) else Severity.INFO
    return Severity.ERROR if o.stage != "later_in_flow" or _under_way(o) else Severity.WARNING


def _recovers(o: ResetObservation) -> bool:
    """Whether it clears away an old connection with the same ports, which the server answered the SYN for.

    A SYN that meets such a one is answered by an ACK of its own numbers, and that by a reset (RFC 9293 §3.5.1).
    """
    answer, reset = o.answers, o.resets[0]
    stale = answer is not None and "ACK" in flags(answer) and "SYN" not in flags(answer) and reset.seq == answer.ack
    return o.claimed == "client" and o.stage == "post_syn" and stale


def _unanswered(o: ResetObservation) -> bool:
    """The client had asked, and no answer had begun."""
    return o.stage == "post_psh"


def _under_way(o: ResetObservation) -> bool:
    """Data was being sent, or the other side's last data was not followed by anything of the claimed sender's."""
    sent = [p.at for p in (o.before, o.answers, o.provoked_by) if p is not None and p.length]
    if sent and o.resets[0].at - max(sent) < UNDER_WAY_S:
        return True
    return o.provoked_by is not None and (o.before is None or o.provoked_by.at >= o.before.at)
