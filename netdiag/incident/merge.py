"""``merge_reports``: reports -> one incident. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from netdiag import __version__
from netdiag.incident import concluding
from netdiag.incident.baseline import changes
from netdiag.incident.comparing import comparisons
from netdiag.incident.folding import fold
from netdiag.incident.labels import as_baseline, in_order, labelled
from netdiag.model import Changes, Incident, LabelledReport, Report, Tool, UsageError
from netdiag.rules.certificates import span
from netdiag.rules.words import counted

#: Reports of one incident: a service's addresses on a dozen machines. More would be a monitoring system's work.
MAX_REPORTS = 2_000
#: Within an hour, nobody changes much; what is further apart may tell of different states.
_FAR_APART_S = 3600.0
#: The clocks of two machines that are off by less need no word.
_FUTURE_S = 300.0

Given = Report | LabelledReport


def merge_reports(
    reports: Sequence[Given], *, labels: Sequence[str] | None = None, baseline: Given | Sequence[Given] = ()
) -> Incident:
    """One incident of several reports: of several machines, kinds (capture, certificate, log), or times.

    ``labels`` name the reports, one each; without them, their machines, files and targets do. ``baseline`` is what was
    seen when it worked: its findings are not the incident's. Reports are taken as they are judged; ``rejudge`` judges a
    saved one by today's rules. A report that is given twice counts once.

    Raises ``UsageError`` for no report, for more than ``MAX_REPORTS``, and for a number of labels that is not theirs.
    """
    if labels is not None and len(labels) != len(reports):
        raise UsageError(f"{len(labels)} labels for {len(reports)} reports")
    if not reports:
        raise UsageError("an incident needs at least one report")
    base = [baseline] if isinstance(baseline, Report | LabelledReport) else list(baseline)
    if len(reports) + len(base) > MAX_REPORTS:
        raise UsageError(f"{len(reports) + len(base):,} reports are more than an incident holds ({MAX_REPORTS:,})")
    wrapped = [_wrapped(one, labels[n] if labels else "") for n, one in enumerate(reports)]
    mine = labelled(_distinct(in_order(wrapped)))
    before = labelled(
        _distinct(in_order([as_baseline(_wrapped(one, "")) for one in base])), taken=[one.label for one in mine]
    )
    compared = comparisons(mine)
    changed = changes(mine, before)
    findings = concluding.ordered(concluding.corrected(fold(mine), mine, compared), mine)
    verdict = concluding.concluded(findings, mine)
    return Incident(
        tool=Tool(version=__version__),
        started=mine[0].report.seen_at,
        verdict=verdict,
        reasoning=tuple(concluding.reasoning(findings, mine, compared, changed, verdict)),
        findings=findings,
        reports=tuple(mine),
        comparisons=compared,
        baseline=tuple(before),
        changes=changed,
        remarks=tuple(_remarks(mine, before, changed, len(reports) - len(mine))),
    )


def _wrapped(given: Given, label: str) -> LabelledReport:
    one = given if isinstance(given, LabelledReport) else LabelledReport(label="", report=given)
    return msgspec.structs.replace(one, label=label) if label else one


def _distinct(reports: Sequence[LabelledReport]) -> list[LabelledReport]:
    """Each report once, under the first of its labels. Equal ones stand side by side, by their order."""
    kept: list[LabelledReport] = []
    for one in reports:
        if not kept or kept[-1].report != one.report:
            kept.append(one)
    return kept


def _remarks(
    reports: Sequence[LabelledReport], baseline: Sequence[LabelledReport], changed: Sequence[Changes], again: int
) -> Iterator[str]:
    if again:
        yield f"{counted(again, 'report')} given more than once counted only once."
    first, last = reports[0], reports[-1]  # by time
    apart = last.report.seen_at - first.report.seen_at
    if apart > _FAR_APART_S:
        yield (
            f"The reports tell of moments up to {span(apart)} apart ({first.label} the first, {last.label} the last): "
            "what they show may have changed in between."
        )
    for one in baseline:
        status = one.report.verdict.status
        if status not in ("healthy", "impaired"):
            yield f"The baseline {one.label} was not made when all was well: its verdict is {status}."
        if one.report.seen_at > last.report.seen_at + _FUTURE_S:
            yield f"The baseline {one.label} was made after the reports."
    matched = {change.report for change in changed}
    alone = [one.label for one in reports if one.label not in matched]
    if baseline and alone:
        more = f" and {len(alone) - 3} more" if len(alone) > 3 else ""
        yield f"No report of the baseline belongs to {', '.join(alone[:3])}{more}."
    loose = [change for change in changed if change.matched == "command" and "." in change.target]
    for change in loose[:1]:
        yield f"{change.baseline} is about another target than {change.report}: only what does not depend on it counts."
