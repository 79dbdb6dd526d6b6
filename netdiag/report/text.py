"""``Report`` -> text for a person: what is wrong, who is to blame, what to do; then the ladder; then the evidence.

What stands below the verdict is in rungs.py for a target that was tested, in capture.py for a capture, in log.py for
logs, in allowlist.py for firewall rules, in matrix.py for what nodes reported of each other, and in certificate.py for
certificate files.

Contract: pure. Without colour no line is wider than the layout (80 columns when it is a pipe or a file).
Several reports give one line each, a count, and one full report for each root cause.
"""

from __future__ import annotations

from collections.abc import Sequence

from netdiag.model import CaptureObservation, LogFileObservation, MatrixObservation, Report, ServiceTagsObservation
from netdiag.report import sections, units, verdicts
from netdiag.report.escape import escape
from netdiag.report.layout import Layout
from netdiag.report.page import Page

#: The address column of the table of several targets, at most.
_COLUMN = 42


def one(report: Report, layout: Layout) -> str:
    """The full text of one report, or its verdict only when the layout is quiet."""
    page = Page(layout)
    sections.verdict(page, report)
    if not layout.quiet:
        _body(page, report)
        sections.closing(page, [report])
    return page.finish()


def whole(page: Page, report: Report) -> None:
    """One report as a part of a page."""
    sections.verdict(page, report)
    _body(page, report)


def several(reports: Sequence[Report], layout: Layout) -> str:
    """A line for each report, then what ``tail`` says."""
    column = column_width([report.target.authority for report in reports], layout)
    return "".join(compact(report, layout, column) for report in reports) + tail(reports, layout)


def column_width(authorities: Sequence[str], layout: Layout) -> int:
    """How wide the table's address column must be, as far as there is room beside it."""
    room = max(_COLUMN - max(80 - layout.width, 0), 10)
    return min(room, max((len(escape(authority)) for authority in authorities), default=0))


def compact(report: Report, layout: Layout, column: int) -> str:
    """One report in one line of the table."""
    page = Page(layout)
    symbol, style = sections.sign(page, sections.STATUS[report.verdict.status])
    name = page.crop(page.text(report.target.authority), column).pad(column)
    took = f" {units.milliseconds(report.took_s):>8}  "
    what = report.verdict.finding or report.verdict.status
    page.line(page.text((symbol, style), " ") + name + page.text((took, "dim"), what))
    return page.finish()


def tail(reports: Sequence[Report], layout: Layout) -> str:
    """The count, and a full report for each root cause (for each target that is not healthy with ``verbose``)."""
    page = Page(layout)
    symbol, _ = sections.sign(page, sections.STATUS[verdicts.worst(reports)])
    page.paragraph((verdicts.tally(reports), "bold"), first=f"{symbol} ")
    if layout.quiet:
        return "\n" + page.finish()
    for group in verdicts.groups(reports, each=layout.verbose):
        page.heading("─" * page.width if layout.unicode else "-" * page.width)
        sections.verdict(page, group[0])
        if len(group) > 1:
            names = ", ".join(escape(report.target.authority) for report in group[1:])
            page.paragraph(
                names, first=f"  The same for {len(group) - 1} more: ", rest="    ", limit=sections.DETAIL_LIMIT
            )
        _body(page, group[0])
    sections.closing(page, reports)
    return "\n" + page.finish()


def _body(page: Page, report: Report) -> None:
    if any(isinstance(observation, CaptureObservation) for observation in report.observations):
        from netdiag.report import capture

        capture.body(page, report)
    elif any(isinstance(observation, ServiceTagsObservation) for observation in report.observations):
        from netdiag.report import allowlist

        allowlist.body(page, report)
    elif any(isinstance(observation, LogFileObservation) for observation in report.observations):
        from netdiag.report import log

        log.body(page, report)
    elif any(isinstance(observation, MatrixObservation) for observation in report.observations):
        from netdiag.report import matrix

        matrix.body(page, report)
    elif report.target.scheme == "file":
        from netdiag.report import certificate

        certificate.body(page, report)
    else:
        from netdiag.report import rungs

        rungs.body(page, report)
