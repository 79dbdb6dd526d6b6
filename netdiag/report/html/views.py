"""A report as its templates take it: the verdict in words, the sections, the note for the network team.

Contract: as __init__.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from netdiag.model import Finding, Report, Status
from netdiag.report import phrases, ticket, units
from netdiag.report.html import markup
from netdiag.report.html.section import Context, Section, sections

#: The verdict on something that was tested, on something that was read, and on a case of several reports.
_TESTED: dict[Status, str] = {
    "healthy": "works",
    "impaired": "works, with trouble",
    "failed": "does not work",
    "inconclusive": "could not be tested",
}
_READ: dict[Status, str] = {
    "healthy": "nothing wrong",
    "impaired": "trouble found",
    "failed": "faults found",
    "inconclusive": "cannot be told",
}
CASE: dict[Status, str] = {
    "healthy": "all is well",
    "impaired": "trouble found",
    "failed": "something does not work",
    "inconclusive": "cannot be told",
}


@dataclass(frozen=True, kw_only=True)
class View:
    """One report, ready for its template."""

    report: Report
    prefix: str
    title: str
    status_words: str
    summary: str
    root: Finding | None
    blame: str
    culprit: str
    made: str
    sections: tuple[Section, ...]
    #: Whether it has all its sections.
    whole: bool
    ticket: Markup


def view(report: Report, context: Context, *, whole: bool = True) -> View:
    """``report`` for a page on which its ids begin with the context's prefix."""
    said = report.verdict
    root = next((finding for finding in report.findings if finding.id == said.finding), None)
    return View(
        report=report,
        prefix=context.prefix,
        title=report.target.authority,
        status_words=status_words(report),
        summary=said.summary,
        root=root,
        blame=phrases.BLAME[root.blame] if root else "",
        culprit=phrases.culprit(root.culprit) if root else "",
        made=f"netdiag {report.tool.version}, {units.moment(report.started)}, {report.took_s:.1f} s",
        sections=sections(report, context) if whole else (),
        whole=whole,
        ticket=markup.preformatted(ticket.ticket(report)),
    )


def status_words(report: Report) -> str:
    """The verdict's status in a few words."""
    return (_READ if report.target.scheme == "file" else _TESTED)[report.verdict.status]
