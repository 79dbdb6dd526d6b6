"""``Incident`` -> Markdown: the root cause, what changed, who sees what, the merged findings, each report in a line.

Contract: as __init__.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netdiag.model import Difference, FindingSource, Incident, IncidentFinding, LabelledReport
from netdiag.report import facts, sections, units, verdicts
from netdiag.report.layout import Layout
from netdiag.report.markdown import body
from netdiag.report.markdown.document import Document, Item, Marked

#: Findings, and pieces of evidence of each of their sources, without --verbose.
_FINDINGS = 20
_EVIDENCE = 3
#: Labels of reports in one list.
_LABELS = 12


def incident(found: Incident, layout: Layout) -> str:
    """The case, or its verdict only when the layout is quiet."""
    document = Document(layout)
    _verdict(document, found)
    if layout.quiet:
        return document.finish()
    for change in found.changes:
        document.heading(3, f"What changed for {change.report} since it worked ({change.baseline})")
        lines: list[Item] = [*change.conclusions]
        lines += [document.text(document.code(finding.id), finding.summary) for finding in change.new]
        lines += [document.text(document.code(identifier), "is gone") for identifier in change.vanished]
        document.items(lines)
        _differences(document, (change.baseline, change.report), change.differences)
    if found.reasoning:
        document.heading(3, "What the reports say together")
        document.items(found.reasoning)
    document.heading(3, "Reports")
    titles = ("", "Report", "What was asked", "When", "Verdict")
    document.table(titles, [_report(document, one) for one in (*found.reports, *found.baseline)])
    _findings(document, found)
    for comparison in found.comparisons:
        document.heading(3, f"Who sees what of {comparison.target}")
        document.items(comparison.conclusions)
        _differences(document, comparison.reports, comparison.differences)
    if found.remarks:
        document.heading(3, "Remarks")
        document.items(found.remarks)
    count = units.counted(len(found.reports), "report")
    document.paragraph(f"Made by netdiag {found.tool.version} of {count}, the first of {units.moment(found.started)}.")
    return document.finish()


def _verdict(document: Document, found: Incident) -> None:
    said = found.verdict
    document.heading(2, document.sign(sections.STATUS[said.status]), said.summary)
    root = next((finding for finding in found.findings if finding.id == said.finding), None)
    if root is None:
        document.paragraph(verdicts.REMARKS.get(said.status, ""))
    else:
        document.items([*body.to_do(document, root)])


def _report(document: Document, one: LabelledReport) -> tuple[str, ...]:
    report = one.report
    said = report.verdict
    anew = (
        f"(judged anew: it was {one.rejudged.verdict.finding or one.rejudged.verdict.status})" if one.rejudged else ""
    )
    return (
        document.sign(sections.STATUS[said.status]),
        document.code(one.label),
        document.text(report.command, document.code(report.target.authority)),
        units.moment(report.seen_at),
        document.text(document.code(said.finding) if said.finding else verdicts.words(report), anew),
    )


def _differences(document: Document, labels: Sequence[str], differences: Sequence[Difference]) -> None:
    """A column for each report, a row for each thing."""
    rows = []
    for difference in differences:
        values = {seen.report: seen.value for seen in difference.values}
        way = f" ({sections.ROUTES[difference.route]})" if difference.route == "proxy" else ""
        what = document.text(f"{difference.rung}: {difference.what}{way}")
        telling = document.strong("telling") if difference.telling else Marked()
        rows.append((document.text(what, telling), *(values.get(label, "") for label in labels)))
    document.table(("", *map(document.code, labels)), rows)


def _findings(document: Document, found: Incident) -> None:
    shown = found.findings if document.layout.verbose else found.findings[:_FINDINGS]
    if shown:
        document.heading(3, "Findings")
    for n, finding in enumerate(shown):
        root = n == 0 and finding.id == found.verdict.finding
        mark = document.sign(sections.finding_mark(finding))
        severity = f"({finding.severity}{', the root cause, see above' if root else ''})"
        document.heading(4, mark, document.code(finding.id), severity)
        if not root or finding.summary != found.verdict.summary:
            document.paragraph(finding.summary)
        document.items([*(() if root else body.to_do(document, finding)), *_about(document, found, finding)])
    document.more(len(found.findings) - len(shown), "finding", "--verbose lists them")


def _about(document: Document, found: Incident, finding: IncidentFinding) -> Iterator[Item]:
    """Its targets, its reasons, who saw it and on what evidence, what it explains."""
    if finding.targets:
        yield document.text("About:", *map(document.code, finding.targets[:_LABELS]))
    yield from finding.details
    reports = {one.label: one for one in (*found.reports, *found.baseline)}
    for source in finding.sources:
        said = "" if source.summary == finding.summary else source.summary
        head = document.text("Seen by", document.code(source.report), f"({source.severity})", said)
        yield head, list(_evidence(document, source, reports.get(source.report)))
    for one in finding.explains:
        yield document.text("Explains", document.code(one.finding.id), "of", document.code(one.report), one.because)
    if finding.reference:
        yield f"See {finding.reference}"


def _evidence(document: Document, source: FindingSource, one: LabelledReport | None) -> Iterator[str]:
    yield from source.details if document.layout.verbose else ()
    seen = {o.id: o for o in one.report.observations} if one else {}
    shown = source.evidence if document.layout.verbose else source.evidence[:_EVIDENCE]
    for identifier in shown:
        observation = seen.get(identifier)
        words = facts.describe(observation, one.report.target.host) if observation and one else ""
        yield body.named(document, identifier, words)
    if len(shown) < len(source.evidence):
        yield f"and {len(source.evidence) - len(shown):,} more (--verbose lists them)"
