"""What stands below the verdict on who reaches whom, in Markdown: the table, what is missing, the findings.

Contract: as __init__.py.
"""

from __future__ import annotations

from netdiag.model import MatrixObservation, Report
from netdiag.report import sections
from netdiag.report.markdown import body
from netdiag.report.markdown.document import Document, Marked
from netdiag.report.matrix import mark
from netdiag.report.node_facts import STATES

#: Above the nodes that connect; a backslash before a blank is one (CommonMark §2.4).
_CORNER = Marked("from \\ to")


def rest(document: Document, report: Report) -> None:
    """Everything below the verdict."""
    for matrix in (o for o in report.observations if isinstance(o, MatrixObservation)):
        document.heading(3, "Who reaches whom")
        rows = [
            (source, *(_cell(document, matrix, source, target) for target in matrix.nodes)) for source in matrix.nodes
        ]
        document.table((_CORNER, *matrix.nodes), rows)
    if report.not_run:
        document.heading(3, "Not tested")
        document.items([entry.reason for entry in report.not_run])
    body.findings(document, report)
    body.observed(document, report)
    body.bugs(document, report)


def _cell(document: Document, matrix: MatrixObservation, source: str, target: str) -> str:
    reach = matrix.reach(source, target)
    if source == target:
        return ""
    if reach is None:
        return "no report"
    return document.text(document.sign(sections.MARKS[mark(reach)]), STATES[reach.state])
