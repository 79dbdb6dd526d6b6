"""The findings of several reports -> those of the incident: equal ones become one, symptoms go to their causes.

Contract: pure. Every finding of every report ends up in exactly one place: among the ``sources`` of one incident
finding, or among the ``explains`` of one. The order of reports does not matter.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Iterator, Sequence

import msgspec

from netdiag.incident.about import STRENGTHS, About, Strength, Tie, about, ties
from netdiag.model import (
    Blame,
    Culprit,
    ExplainedFinding,
    Finding,
    FindingSource,
    IncidentFinding,
    LabelledReport,
    Severity,
)
from netdiag.rules import CATALOGUE

#: What stands in the way of many: failures through the same one are one fault, whatever the target.
_MIDDLE: frozenset[Blame] = frozenset({"path-device", "local-network", "dns", "proxy", "tls-interceptor"})

_HANDSHAKE = ("tls.handshake-failed", "tls.interrupted")
#: What a finding of one report explains in another, beside what its rule folds on the same evidence: the one who has
#: the packets, the file or the answer tells the other who only saw that it failed.
_ACROSS: dict[str, tuple[str, ...]] = {
    "tcp.reset-by-path-device": ("tcp.reset-origin-unknown", "tls.handshake-failed"),
    "tcp.reset-by-server": ("tcp.reset-origin-unknown", "tls.handshake-failed"),
    "tcp.reset-by-client": ("tcp.reset-origin-unknown", "tls.handshake-failed"),
    "tcp.reset-origin-unknown": ("tls.handshake-failed",),
    "tcp.prohibited": ("tcp.no-reply", "tcp.unreachable"),
    "tcp.unreachable": ("tcp.no-reply",),
    "tls.sni-filtered": ("tls.handshake-failed", "proxy.no-answer", "https.no-answer"),
    "tls.version-unsupported": ("https.no-answer",),
    "chain.root-missing-locally": ("chain.untrusted-root",),
    "chain.incomplete": ("chain.untrusted-root",),
    "key.missing": (*_HANDSHAKE, "node.fault"),
    "key.mismatch": (*_HANDSHAKE, "node.fault"),
    "key.provider-ksp": (*_HANDSHAKE, "node.fault"),
    "key.not-for-exchange": (*_HANDSHAKE, "node.fault"),
}
#: Who climbs the same ladder sees the same things. What one of them found and another did not is another state, not an
#: explanation, unless the other could tell no more than that it failed.
_LADDER = frozenset({"endpoint", "dns", "tcp", "tls", "https", "node"})
_VAGUE = frozenset(
    {"tcp.no-reply", "tcp.reset-origin-unknown", "tls.interrupted", "proxy.no-answer", "https.no-answer"}
)
#: A fault of the network at a place explains what a log complains of there.
_EXPLAIN_LOGS = frozenset({"dns", "tcp", "proxy", "tls", "chain", "https", "node", "key"})


class Member(msgspec.Struct, frozen=True):
    """One finding of one report."""

    label: str
    command: str
    finding: Finding
    target: str
    about: About


def fold(reports: Sequence[LabelledReport]) -> tuple[IncidentFinding, ...]:
    """The findings of the incident, not yet in the order of their importance."""
    members = [
        Member(one.label, one.report.command, finding, one.report.target.authority, about(finding, one.report))
        for one in reports
        for finding in one.report.findings
    ]
    causes = _causes(members)
    explained: dict[int, list[ExplainedFinding]] = {}
    group_of = _groups(members)
    for n in causes:
        root, bond = _root(n, causes)
        explained.setdefault(group_of[root], []).append(_explained(members[n], members[root], bond))
    groups: dict[int, list[Member]] = {}
    for n, member in enumerate(members):
        if n not in causes:
            groups.setdefault(group_of[n], []).append(member)
    return tuple(_merged(group, explained.get(number, [])) for number, group in groups.items())


@functools.cache
def explains(cause: str, symptom: str) -> bool:
    """Whether a finding with the id ``cause`` may be the reason for one with the id ``symptom`` in another report."""
    if cause == symptom:
        return False
    stem = cause.partition(".")[0]
    if symptom.startswith("log."):
        return stem in _EXPLAIN_LOGS
    rule = CATALOGUE.get(cause)
    if (rule is not None and symptom in rule.folds) or symptom in _ACROSS.get(cause, ()):
        return True
    return stem == "chain" and symptom in _HANDSHAKE


def _causes(members: Sequence[Member]) -> dict[int, tuple[int, Tie]]:
    """For each member that another report explains, which finding does, and what ties them."""
    by_key: dict[object, list[int]] = {}
    for n, member in enumerate(members):
        for key in member.about.loose_keys:
            by_key.setdefault(key, []).append(n)
    found: dict[int, tuple[int, Tie]] = {}
    for n, symptom in enumerate(members):
        near = {m for key in symptom.about.loose_keys for m in by_key[key]}
        bonds = [(m, bond) for m in sorted(near) if (bond := _bond(members[m], symptom)) is not None]
        if bonds:
            found[n] = min(bonds, key=lambda one: (one[1].rank, *_rank(members[one[0]])))
    return found


def _bond(cause: Member, symptom: Member) -> Tie | None:
    """What makes ``cause`` the reason for ``symptom``; None where it is not.

    A remark explains a fault away only where both saw the very same connection.
    """
    if cause.label == symptom.label or not explains(cause.finding.id, symptom.finding.id):
        return None
    if {cause.command, symptom.command} <= _LADDER and symptom.finding.id not in _VAGUE:
        return None
    lesser = cause.finding.severity is Severity.INFO and symptom.finding.severity is not Severity.INFO
    enough = frozenset({"connection"}) if lesser else _enough(cause.finding.id, symptom.finding.id)
    return next((bond for bond in ties(cause.about, symptom.about) if bond.strength in enough), None)


def _enough(cause: str, symptom: str) -> Collection[Strength]:
    """Which ties make the one the reason for the other.

    A proxy that cannot be reached explains what happens at the proxy, not all that happens to a target behind it.
    """
    behind = cause.startswith("proxy.") and not symptom.startswith("log.")
    return ("connection", "server") if behind else STRENGTHS


def _root(n: int, causes: dict[int, tuple[int, Tie]]) -> tuple[int, Tie]:
    """The finding that in the end explains ``n``, and the first tie on the way. No id explains itself in the end."""
    cause, bond = causes[n]
    while cause in causes:
        cause = causes[cause][0]
    return cause, bond


def _explained(symptom: Member, cause: Member, bond: Tie) -> ExplainedFinding:
    because = f"The reason is {cause.finding.id} of {cause.label}, for both are about {bond.words}."
    return ExplainedFinding(report=symptom.label, finding=symptom.finding, because=because)


def _groups(members: Sequence[Member]) -> list[int]:
    """For each member the number of the group of those that say the same."""
    parent = list(range(len(members)))

    def find(n: int) -> int:
        while parent[n] != n:
            parent[n] = parent[parent[n]]
            n = parent[n]
        return n

    by_id: dict[str, list[int]] = {}
    for n, member in enumerate(members):
        by_id.setdefault(member.finding.id, []).append(n)
    for alike in by_id.values():
        for one, other in _alike(alike, members):
            first, second = sorted((find(one), find(other)))
            parent[second] = first
    return [find(n) for n in range(len(members))]


def _alike(alike: Sequence[int], members: Sequence[Member]) -> Iterator[tuple[int, int]]:
    """Pairs of findings with one id that say the same: of the same culprit in the middle, or about the same thing.

    About one thing, those that name nobody go with the only one that is named there, if it is the only one.
    """
    by_culprit: dict[object, list[int]] = {}
    by_key: dict[object, list[int]] = {}
    for n in alike:
        finding, subject = members[n].finding, members[n].about
        if (named := _culprit(finding.culprit)) and finding.blame in _MIDDLE:
            by_culprit.setdefault(named, []).append(n)
        for key in [*subject.keys] or [members[n].target]:  # without any: about the machine, or the file, as a whole
            by_key.setdefault(key, []).append(n)
    for same in by_culprit.values():
        yield from ((same[0], n) for n in same[1:])
    for near in by_key.values():
        parties: dict[str, list[int]] = {}
        for n in near:
            parties.setdefault(_culprit(members[n].finding.culprit), []).append(n)
        one_party = len(parties.keys() - {""}) <= 1
        for same in [near] if one_party else parties.values():
            yield from ((same[0], n) for n in same[1:])


def _culprit(culprit: Culprit | None) -> str:
    """Who it is, as another report would call it too: hops are counted from another place there."""
    if culprit is None:
        return ""
    return culprit.address or culprit.name


def _merged(group: Sequence[Member], explained: Iterable[ExplainedFinding]) -> IncidentFinding:
    """One finding in the words of the report that knows most."""
    ranked = sorted(group, key=_informed)
    best = ranked[0].finding
    symptoms = sorted(explained, key=lambda one: (one.report, one.finding.id, one.finding.summary))
    severities = [m.finding.severity for m in ranked] + [one.finding.severity for one in symptoms]
    folded = {identifier for m in ranked for identifier in m.finding.folded}
    folded |= {identifier for one in symptoms for identifier in (one.finding.id, *one.finding.folded)}
    values = {field: getattr(best, field) for field in Finding.__struct_fields__}
    values |= {
        "severity": min(severities, key=lambda severity: severity.rank),
        "evidence": (),
        "folded": tuple(sorted(folded - {best.id})),
        "targets": tuple(sorted({m.target for m in ranked})),
        "sources": tuple(_source(m) for m in ranked),
        "explains": tuple(symptoms),
    }
    return IncidentFinding(**values)


def _source(member: Member) -> FindingSource:
    finding = member.finding
    return FindingSource(
        report=member.label,
        severity=finding.severity,
        summary=finding.summary,
        evidence=finding.evidence,
        details=finding.details,
    )


def _informed(member: Member) -> tuple[object, ...]:
    """The best informed first: gravest, culprit with its address, most reasoning, most evidence."""
    finding = member.finding
    culprit = finding.culprit or Culprit()
    return (
        finding.severity.rank,
        -sum((bool(culprit.address), culprit.hop is not None, bool(culprit.name))),
        -len(finding.details),
        -len(finding.evidence),
        *_rank(member),
    )


def _rank(member: Member) -> tuple[object, ...]:
    """The catalogue's order, which puts causes before symptoms; the rest has no meaning, and is always the same."""
    finding = member.finding
    return place(finding.id), finding.severity.rank, member.label, finding.summary, finding.evidence, finding.remedy


def place(identifier: str) -> int:
    """Where the catalogue has a finding; an id that it does not know comes last."""
    return _places().get(identifier, len(CATALOGUE))


@functools.cache
def _places() -> dict[str, int]:
    return {identifier: n for n, identifier in enumerate(CATALOGUE)}
