"""Who reaches whom, as a table: a row for each node that connects, a column for each that it connects to.

Contract: as section.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from netdiag.model import MatrixObservation, Report
from netdiag.report.html import markup
from netdiag.report.html.section import Context, Section
from netdiag.report.ladder import Mark
from netdiag.report.matrix import mark
from netdiag.report.node_facts import STATES
from netdiag.report.sections import MARKS


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One direction: its mark, the word for it, and what the report says."""

    mark: Mark = "not-run"
    words: str = ""
    says: str = ""


def sections(report: Report, context: Context) -> Iterator[Section]:
    """The matrix, where the report has one."""
    for matrix in (o for o in report.observations if isinstance(o, MatrixObservation)):
        rows = [(source, [_cell(matrix, source, target) for target in matrix.nodes]) for source in matrix.nodes]
        body = markup.render("matrix", nodes=matrix.nodes, rows=rows, marks=MARKS, missing=report.not_run)
        yield Section(anchor=context.anchor("matrix"), title="Who reaches whom", body=body)


def _cell(matrix: MatrixObservation, source: str, target: str) -> Cell:
    reach = matrix.reach(source, target)
    if source == target:
        return Cell()
    if reach is None:
        return Cell(words="no report")
    return Cell(mark=mark(reach), words=STATES[reach.state], says=reach.summary)
