"""A report as its templates take it: the verdict in words, the sections, the note for the network team.

Contract: as __init__.py.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from markupsafe import Markup

from netdiag.model import Finding, Report, Status
from netdiag.report import phrases, ticket, units, verdicts
from netdiag.report.html import markup
from netdiag.report.html.section import Context, Section, sections

#: The verdict on a case of several reports.
CASE: dict[Status, str] = {
    "healthy": "all is well",
    "impaired": "trouble found",
    "failed": "something does not work",
    "inconclusive": "cannot be told",
}


class View(msgspec.Struct, frozen=True, kw_only=True):
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
        status_words=verdicts.words(report),
        summary=said.summary,
        root=root,
        blame=phrases.BLAME[root.blame] if root else "",
        culprit=phrases.culprit(root.culprit) if root else "",
        made=f"netdiag {report.tool.version}, {units.moment(report.started)}, {report.took_s:.1f} s",
        sections=sections(report, context) if whole else (),
        whole=whole,
        ticket=markup.preformatted(ticket.ticket(report)),
    )


def needs(views: Iterable[View]) -> tuple[str, ...]:
    """What the sections of these need of assets/."""
    return tuple(dict.fromkeys(name for one in views for section in one.sections for name in section.needs))
