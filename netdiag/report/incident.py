"""``Incident`` -> text: what is wrong, who is to blame, what to do; who saw what; what differs; each report in a line.

Contract: as text.py: pure, and without colour no line is wider than the layout.
"""

from __future__ import annotations

from collections.abc import Sequence

from netdiag.model import (
    Changes,
    Comparison,
    Difference,
    Finding,
    Incident,
    IncidentFinding,
    LabelledReport,
    Severity,
)
from netdiag.report import facts, sections, units
from netdiag.report.escape import escape
from netdiag.report.layout import Layout
from netdiag.report.page import Page
from netdiag.report.styled import Text, cell_len

#: Findings beside the root cause, pieces of evidence of each source, reports in the table, without --verbose.
_FINDINGS = 12
_EVIDENCE = 3
_REPORTS = 24
#: The column of what is compared, and the narrowest column of values that is still read.
_WHAT = 20
_VALUE = 18
#: Labels of reports that show the same, in a list, without --verbose.
_LABELS = 6
#: The column of labels, at most.
_LABEL = 24


def text(incident: Incident, layout: Layout) -> str:
    """The full text, or its verdict only when the layout is quiet."""
    page = Page(layout)
    _verdict(page, incident)
    if not layout.quiet:
        _since(page, incident)
        _reasoning(page, incident)
        _reports(page, incident)
        _findings(page, incident)
        for comparison in incident.comparisons:
            _comparison(page, comparison, incident)
        for change in incident.changes:
            _change(page, change, incident)
        _remarks(page, incident)
        if layout.verbose:
            _whole(page, incident)
        _closing(page, incident)
    return page.finish()


def _verdict(page: Page, incident: Incident) -> None:
    said = incident.verdict
    symbol, style = sections.sign(page, sections.STATUS[said.status])
    page.block(page.text((symbol, style), " "), page.text((said.summary, "bold")), "  ")
    if said.finding is not None and incident.findings:
        sections.to_do(page, incident.findings[0], "  ")
    elif said.status == "healthy":
        page.paragraph("Nobody is to blame, and there is nothing to do.", first="  ")
    else:
        page.paragraph("Nothing was proved either way; the reports say what was not tested, and why.", first="  ")


def _since(page: Page, incident: Incident) -> None:
    """What changed since it worked: what a reader wants to know first."""
    if incident.verdict.finding is None:
        return
    for change in incident.changes:
        made = next((one.report.seen_at for one in incident.baseline if one.label == change.baseline), None)
        when = f", {units.moment(made)}" if made is not None else ""
        page.heading(f"What changed for {change.report} since it worked ({change.baseline}{when})")
        for line in change.conclusions:
            page.paragraph(line, first="  ", rest="    ")


def _told_in_since(incident: Incident) -> frozenset[str]:
    if incident.verdict.finding is None:
        return frozenset()
    return frozenset(f"Since {c.baseline}, {c.report}: {line}" for c in incident.changes for line in c.conclusions)


def _reasoning(page: Page, incident: Incident) -> None:
    told = _told_in_since(incident)
    lines = [line for line in incident.reasoning if line not in told]
    if lines:
        page.heading("What the reports say together")
        for line in lines:
            page.paragraph(line, first="  ", rest="    ")


def _reports(page: Page, incident: Incident) -> None:
    """Who saw what: each report in a line."""
    page.heading("Reports")
    shown = incident.reports if page.layout.verbose else incident.reports[:_REPORTS]
    width = min(_LABEL, max(cell_len(escape(one.label)) for one in shown))
    same = len({_asked(one) for one in incident.reports}) == 1 < len(incident.reports)
    if same:
        page.paragraph((f"each of them: {_asked(incident.reports[0])}", "dim"), first="  ")
    for one in shown:
        _report(page, one, width, "" if same else _asked(one))
    if len(shown) < len(incident.reports):
        page.paragraph(f"and {len(incident.reports) - len(shown):,} more (--verbose lists them)", first="  ")


def _asked(one: LabelledReport) -> str:
    return f"{one.report.command} {one.report.target.authority}"


def _report(page: Page, one: LabelledReport, width: int, asked: str) -> None:
    report = one.report
    symbol, style = sections.sign(page, sections.STATUS[report.verdict.status])
    label = page.crop(page.text(one.label), width).pad(width)
    found = report.verdict.finding or report.verdict.status
    made = units.moment(report.seen_at)
    page.line(page.text("  ", (symbol, style), " ") + label + page.text(f"  {made}  ", (found, "bold")))
    if asked:
        page.paragraph((asked, "dim"), first=" " * (width + 6))
    if page.layout.verbose and report.machine is not None:
        machine = report.machine
        zone = "" if machine.utc_offset_s is None else f", {_zone(machine.utc_offset_s)}"
        page.paragraph((f"on {machine.name}, {machine.system}{zone}", "dim"), first=" " * (width + 6))
    if one.rejudged is not None:
        then = one.rejudged.verdict
        was = then.finding or then.status
        page.paragraph((f"judged anew: it was {was} when it was made", "dim"), first=" " * (width + 6))


def _zone(offset_s: int) -> str:
    """``UTC+02:00``."""
    minutes = abs(offset_s) // 60
    return f"UTC{'-' if offset_s < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}"


def _findings(page: Page, incident: Incident) -> None:
    if not incident.findings:
        return
    page.heading("Findings")
    by_label = {one.label: one for one in incident.reports}
    shown = incident.findings if page.layout.verbose else incident.findings[: _FINDINGS + 1]
    for n, finding in enumerate(shown):
        _finding(page, finding, by_label, is_root=n == 0 and finding.id == incident.verdict.finding)
    rest = incident.findings[len(shown) :]
    if rest:
        ids = ", ".join(dict.fromkeys(finding.id for finding in rest))
        more = f"and {len(rest):,} more: {ids} (--verbose lists them)"
        page.paragraph(more, first="  ", rest="    ", limit=sections.DETAIL_LIMIT)


def _finding(page: Page, finding: IncidentFinding, by_label: dict[str, LabelledReport], *, is_root: bool) -> None:
    symbol, style = sections.sign(page, sections.finding_mark(finding))
    severity = f"  {finding.severity}{', the root cause, see above' if is_root else ''}"
    page.block(page.text("  ", (symbol, style), " "), page.text((finding.id, "bold"), severity), "    ")
    if not is_root:
        page.paragraph(finding.summary, first="    ")
        sections.to_do(page, finding, "    ")
    sections.details(page, finding)
    for n, source in enumerate(finding.sources):
        said = "" if source.summary == finding.summary or (is_root and n == 0) else f": {source.summary}"
        page.paragraph((source.report, "cyan"), f" has it{said}", first="    ", rest="      ")
        _evidence(page, source.evidence, by_label.get(source.report))
    for one in finding.explains:
        words = f" saw {one.finding.id}: {one.finding.summary}"
        page.paragraph("explains: ", (one.report, "cyan"), words, first="    ", rest="      ")
        page.paragraph((one.because, "dim"), first="      ", rest="      ")
    others = sorted({*finding.folded} - {one.finding.id for one in finding.explains})
    if others:
        page.paragraph(f"explains {', '.join(others)} too", first="    ")


def _evidence(page: Page, evidence: Sequence[str], one: LabelledReport | None) -> None:
    if one is None:
        return
    known = {observation.id: observation for observation in one.report.observations}
    shown = evidence if page.layout.verbose else evidence[:_EVIDENCE]
    for identifier in shown:
        seen = known.get(identifier)
        said = f"  {facts.describe(seen, one.report.target.host)}" if seen else ""
        if page.layout.verbose:
            page.paragraph((identifier, "cyan"), said, first="      ", rest="        ", limit=sections.DETAIL_LIMIT)
        else:
            page.cropped("      ", (identifier, "cyan"), said)
    if len(shown) < len(evidence):
        page.paragraph(f"and {len(evidence) - len(shown):,} more (--verbose lists them)", first="      ")


def _comparison(page: Page, comparison: Comparison, incident: Incident) -> None:
    told = {*incident.reasoning}
    page.heading(f"{comparison.target} compared")
    for line in comparison.conclusions:
        if line not in told:
            page.paragraph(line, first="  ", rest="    ")
    columns = [label for label in comparison.reports if any(label in _labels(d) for d in comparison.differences)]
    _table(page, comparison.differences, columns)


def _change(page: Page, change: Changes, incident: Incident) -> None:
    if not (change.differences or change.new or incident.verdict.finding is None):
        return
    page.heading(f"{change.report} beside {change.baseline}, when it worked")
    if incident.verdict.finding is None:  # else they lead the text
        for line in change.conclusions:
            page.paragraph(line, first="  ", rest="    ")
    _table(page, change.differences, [change.baseline, change.report])
    for finding in change.new:
        _new(page, finding)


def _new(page: Page, finding: Finding) -> None:
    if finding.severity is not Severity.INFO or page.layout.verbose:
        page.paragraph(("new: ", "bold"), f"{finding.id}: {finding.summary}", first="  ", rest="    ")


def _labels(difference: Difference) -> set[str]:
    return {seen.report for seen in difference.values}


def _table(page: Page, differences: Sequence[Difference], columns: Sequence[str]) -> None:
    """A column for each report, where there is room; else a line for each value."""
    if not differences:
        return
    page.blank()
    separator = " │ " if page.layout.unicode else " | "
    what = min(_WHAT, max(len(difference.what) for difference in differences))
    room = page.width - 2 - what - len(separator) * len(columns)
    width = room // max(len(columns), 1)
    if width < _VALUE:
        _list(page, differences)
        return
    widths = [what, *([width] * len(columns))]
    lead = Text.of("  ")
    titles = [[page.crop(page.text((label, "bold")), width)] for label in columns]
    page.cells(lead, [[Text()], *titles], widths, separator)
    for difference in differences:
        values = {seen.report: seen.value for seen in difference.values}
        cells = [page.wrap(page.text(values.get(label, "–")), width) for label in columns]
        page.cells(lead, [page.wrap(page.text(difference.what), what), *cells], widths, separator)


def _list(page: Page, differences: Sequence[Difference]) -> None:
    for difference in differences:
        page.paragraph((difference.what, "bold"), first="  ")
        groups: dict[str, list[str]] = {}
        for seen in difference.values:
            groups.setdefault(seen.value, []).append(seen.report)
        for value, labels in groups.items():
            page.paragraph((f"{_named(page, labels)}: ", "cyan"), value, first="    ", rest="      ")


def _named(page: Page, labels: Sequence[str]) -> str:
    shown = labels if page.layout.verbose or len(labels) <= _LABELS else labels[: _LABELS - 1]
    more = len(labels) - len(shown)
    return f"{', '.join(shown)}{f' and {more:,} others' if more else ''}"


def _remarks(page: Page, incident: Incident) -> None:
    if incident.remarks:
        page.blank()
        for remark in incident.remarks:
            page.paragraph((remark, "dim"), first="  i ")


def _whole(page: Page, incident: Incident) -> None:
    """Every report, as it is printed alone."""
    from netdiag.report import text as reports

    for one in (*incident.reports, *incident.baseline):
        page.heading("─" * page.width if page.layout.unicode else "-" * page.width)
        page.paragraph((one.label, "bold"), f"  {one.file}" if one.file else "")
        page.blank()
        reports.whole(page, one.report)


def _closing(page: Page, incident: Incident) -> None:
    page.blank()
    if incident.verdict.finding:
        page.paragraph((f"netdiag explain {incident.verdict.finding}", "bold"), " says more.")
    count = units.counted(len(incident.reports), "report")
    page.paragraph((f"netdiag {incident.tool.version}, {count} from {units.moment(incident.started)} on", "dim"))
