"""``Report`` -> Markdown for tickets and chat: CommonMark with the tables of GitHub (GFM), and no HTML.

inline.py                   untrusted text -> text, code spans and blocks that nothing is read into
document.py                 headings, lists, tables, drawings
body.py                     the parts that every report has: verdict, steps, path, findings, what was seen
capture.py, certificate.py  what reports on files have besides
incident.py                 several reports that are one case

Contract: pure. Every string of a report shows as itself, whatever it holds, in any renderer. Drawings are those of text
reports, in blocks of 80 columns. Lists are bounded, so that a report fits into a ticket; what was left out is counted.
"""

from __future__ import annotations

from collections.abc import Sequence

from netdiag.model import Report
from netdiag.report import phrases, sections, units, verdicts
from netdiag.report.layout import Layout
from netdiag.report.markdown import body
from netdiag.report.markdown.document import Document
from netdiag.report.markdown.incident import incident

#: Targets that are named beside the one that stands for them all, and lines of the table.
_ALIKE = 40
_ROWS = 200

__all__ = ["incident", "one", "several"]


def one(report: Report, layout: Layout) -> str:
    """One report, or its verdict only when the layout is quiet."""
    document = Document(layout)
    body.verdict(document, report)
    if not layout.quiet:
        body.rest(document, report)
        body.closing(document, report)
    return document.finish()


def several(reports: Sequence[Report], layout: Layout) -> str:
    """A table of them, the worst first; then one section for each root cause (for each target with ``verbose``)."""
    document = Document(layout)
    document.heading(2, document.sign(sections.STATUS[verdicts.worst(reports)]), verdicts.tally(reports))
    ordered = sorted(reports, key=lambda report: verdicts.WORST_FIRST.index(report.verdict.status))
    titles = ("", "Target", "Verdict", "To blame", "Took")
    document.table(titles, [_row(document, report) for report in ordered[:_ROWS]], numbers=(4,))
    document.more(len(ordered) - _ROWS, "target")
    if layout.quiet:
        return document.finish()
    for group in verdicts.groups(ordered, each=layout.verbose):
        body.verdict(document, group[0])
        others = [document.code(report.target.authority) for report in group[1:]]
        if others:
            document.paragraph(f"The same for {units.counted(len(others), 'other target')}:", *others[:_ALIKE])
            document.more(len(others) - _ALIKE, "target", "in the table above")
        body.rest(document, group[0])
        body.closing(document, group[0])
    return document.finish()


def _row(document: Document, report: Report) -> tuple[str, ...]:
    said = report.verdict
    return (
        document.sign(sections.STATUS[said.status]),
        document.code(report.target.authority),
        document.code(said.finding) if said.finding else verdicts.words(report),
        phrases.BLAME[said.blame] if said.blame else "",
        units.milliseconds(report.took_s),
    )
