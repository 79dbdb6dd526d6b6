"""The findings and comparisons of an incident -> the one root cause, the verdict and the reasoning. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from netdiag.incident.differences import names
from netdiag.incident.folding import place
from netdiag.model import (
    Blame,
    ChainObservation,
    Changes,
    Comparison,
    IncidentFinding,
    LabelledReport,
    Report,
    Severity,
    Status,
    TcpObservation,
    Verdict,
    authority,
)
from netdiag.rules.lookups import canonical
from netdiag.rules.words import counted

#: What blames the server, or nobody, when one machine alone has seen it.
_AT_THE_FAR_END: frozenset[Blame] = frozenset({"server", "azure-service", "unknown"})
_CUT_OFF = frozenset(
    {
        "tcp.no-reply",
        "tcp.refused",
        "tcp.unreachable",
        "tcp.reset-origin-unknown",
        "tcp.reset-by-server",
        "tls.interrupted",
    }
)
#: A server that answers one machine now may have been down for another an hour ago.
_AT_ONCE_S = 3600.0
#: Sentences of the comparison and of the baseline that belong to the reasoning.
_TOLD = 3
_SYMPTOMS = 3


def ordered(findings: Sequence[IncidentFinding], reports: Sequence[LabelledReport]) -> tuple[IncidentFinding, ...]:
    """The root cause first.

    That is the gravest; of these one about what was asked for; then what concerns most reports; then the first of the
    catalogue.
    """
    asked = {one.label for one in reports if one.report.target.scheme != "file"}

    def key(finding: IncidentFinding) -> tuple[object, ...]:
        concerned = _concerned(finding)
        first = finding.sources[0]
        return (
            finding.severity.rank,
            bool(asked) and not concerned & asked,
            -len(concerned),
            place(finding.id),
            finding.targets,
            first.report,
            first.summary,
            first.evidence,
        )

    return tuple(sorted(findings, key=key))


def _concerned(finding: IncidentFinding) -> set[str]:
    return {source.report for source in finding.sources} | {one.report for one in finding.explains}


def corrected(
    findings: Sequence[IncidentFinding], reports: Sequence[LabelledReport], compared: Sequence[Comparison]
) -> tuple[IncidentFinding, ...]:
    """The findings; those that blame a server which answers another machine at the same time do so no longer."""
    by_label = {one.label: one for one in reports}
    return tuple(_corrected(finding, by_label, compared) for finding in findings)


def _corrected(
    finding: IncidentFinding, by_label: dict[str, LabelledReport], compared: Sequence[Comparison]
) -> IncidentFinding:
    if finding.id not in _CUT_OFF or finding.blame not in _AT_THE_FAR_END:
        return finding
    mine = {source.report for source in finding.sources}
    for comparison in compared:
        failing = [label for label in comparison.failing if label in mine]
        if not failing or not mine <= {*failing}:
            continue
        for label in comparison.working:
            served = _served(by_label[label].report, [by_label[one].report for one in failing])
            if served:
                return _between(finding, served, label, failing)
    return finding


def _served(good: Report, bad: Sequence[Report]) -> str:
    """The address that answers one machine, and not the others, at about the same time; empty without one."""
    if any(abs(good.seen_at - report.seen_at) > _AT_ONCE_S or report.route != good.route for report in bad):
        return ""
    reached = {(o.address, o.port) for o in _attempts(good) if o.outcome == "ok"}
    tried = [{(o.address, o.port) for o in _attempts(report)} for report in bad]
    common = sorted(reached.intersection(*tried))
    return authority(*common[0]) if common else ""


def _attempts(report: Report) -> Iterator[TcpObservation]:
    """The connections to the target itself."""
    for o in report.observations:
        if isinstance(o, TcpObservation) and o.source == "probe" and o.peer == "target" and o.route == report.route:
            yield o


def _between(finding: IncidentFinding, served: str, good: str, failing: Sequence[str]) -> IncidentFinding:
    whom = names(failing)
    reason = (
        f"{served} serves {good} at the same time, so the server is up and listens: what stops {whom} tells "
        "clients apart"
    )
    remedy = (
        f"Compare the rules for {whom} and for {good}: on the firewalls between {whom} and {served}, and in the "
        "server's own firewall, which may know clients by their addresses."
    )
    return msgspec.structs.replace(
        finding,
        blame="path-device",
        remedy=remedy,
        summary=f"{finding.summary}; but {served} serves {good}, so something on the way stops {whom}",
        details=(reason, *finding.details),
    )


def concluded(findings: Sequence[IncidentFinding], reports: Sequence[LabelledReport]) -> Verdict:
    """The verdict. An error anywhere is a failure; without one, what could not be tested leaves it open."""
    root = findings[0] if findings and findings[0].severity is not Severity.INFO else None
    if root is not None and root.severity is Severity.ERROR:
        return _caused("failed", root, reports)
    untested = [one for one in reports if one.report.verdict.status == "inconclusive"]
    if untested:
        summary = f"{untested[0].label}: {untested[0].report.verdict.summary}"
        return Verdict(status="inconclusive", finding=None, blame=None, summary=summary)
    if root is not None:
        return _caused("impaired", root, reports)
    if len(reports) == 1:
        return Verdict(status="healthy", finding=None, blame=None, summary=reports[0].report.verdict.summary)
    return Verdict(
        status="healthy",
        finding=None,
        blame=None,
        summary=f"{counted(len(reports), 'report')}, and all of them healthy",
    )


def _caused(status: Status, root: IncidentFinding, reports: Sequence[LabelledReport]) -> Verdict:
    """With the name of the machine that it is about, where others have it not."""
    mine = [one for one in reports if one.label in _concerned(root) and one.report.target.scheme != "file"]
    others = [one for one in reports if one not in mine and one.report.target.scheme != "file"]
    sources = [one.label for one in reports if one.label in {source.report for source in root.sources}]
    told = f"{names(sources)}: {root.summary}" if mine and others else root.summary
    return Verdict(status=status, finding=root.id, blame=root.blame, summary=told)


def reasoning(
    findings: Sequence[IncidentFinding],
    reports: Sequence[LabelledReport],
    compared: Sequence[Comparison],
    changed: Sequence[Changes],
    verdict: Verdict,
) -> Iterator[str]:
    """How the reports together lead to the verdict, a sentence each."""
    root = findings[0] if verdict.finding is not None else None
    if root is not None:
        yield from _of_root(root)
        yield from _same_certificate(root, reports)
    targets = _targets(root, reports) if root is not None else set()
    for comparison in compared:
        if root is None or comparison.target in targets:
            yield from comparison.conclusions[:_TOLD]
    for change in changed:
        if root is None or change.report in _concerned(root):
            yield from (f"Since {change.baseline}, {change.report}: {words}" for words in change.conclusions[:_TOLD])


def _of_root(root: IncidentFinding) -> Iterator[str]:
    have = [source.report for source in root.sources]
    if len(have) > 1:
        yield f"{names(have)} have {root.id}."
    for one in root.explains[:_SYMPTOMS]:
        yield f"{one.report} saw {one.finding.id}. {one.because}"
    if len(root.explains) > _SYMPTOMS:
        yield f"It explains {counted(len(root.explains) - _SYMPTOMS, 'more finding')} too."


def _same_certificate(root: IncidentFinding, reports: Sequence[LabelledReport]) -> Iterator[str]:
    """A certificate that one report refuses, and another finds valid: then it is not the certificate itself."""
    if not root.id.startswith("chain."):
        return
    concerned = _concerned(root)
    refused = {leaf for one in reports if one.label in concerned for leaf in _leaves(one.report)}
    for one in reports:
        fine = one.report.verdict.status in ("healthy", "impaired")
        if one.report.command == "cert" and fine and one.label not in concerned and refused & _leaves(one.report):
            yield (
                f"{one.label} finds the same certificate valid, so the fault lies in what the server sends with it, or "
                "in the trust store."
            )


def _leaves(report: Report) -> set[str]:
    return {o.elements[0].sha256 for o in report.observations if isinstance(o, ChainObservation) and o.elements}


def _targets(root: IncidentFinding, reports: Sequence[LabelledReport]) -> set[str]:
    concerned = _concerned(root)
    return {
        authority(canonical(one.report.target.host), one.report.target.port)
        for one in reports
        if one.label in concerned and one.report.target.scheme != "file"
    }
