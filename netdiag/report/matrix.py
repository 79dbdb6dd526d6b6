"""``Report`` on who reaches whom -> text below the verdict: a table of words where they fit, else of marks; failures.

Contract: as text.py. Every word of a table comes from netdiag; names of nodes are cropped to their column.
"""

from __future__ import annotations

from netdiag.model import MatrixObservation, Reach, Report
from netdiag.report import sections, units
from netdiag.report.ladder import Mark
from netdiag.report.node_facts import STATES
from netdiag.report.page import Page
from netdiag.report.styled import Text

#: A column of words: a mark, a blank and the longest word; and the space between columns.
_WORDS = 2 + max(map(len, STATES.values()))
_GAP = 1
#: Above the names at the left, which get what the columns leave.
_CORNER = "from \\ to"
#: A column of marks has the number of its node above it.
_MARK = 4
#: Failures told in a line each, without --verbose.
_LISTED = 24


def body(page: Page, report: Report) -> None:
    """Everything below the verdict."""
    matrix = next(o for o in report.observations if isinstance(o, MatrixObservation))
    page.blank()
    _table(page, matrix)
    _failures(page, matrix)
    if report.not_run:
        page.heading("Not tested")
        for entry in report.not_run:
            page.paragraph(entry.reason, first="  ", rest="    ")
    sections.findings(page, report)
    if page.layout.verbose:
        sections.observed(page, report)
    sections.bugs(page, report)


def _table(page: Page, matrix: MatrixObservation) -> None:
    """Rows are the nodes that connect, columns those that they connect to."""
    nodes = matrix.nodes
    widest = max(len(_CORNER), *(page.text(name).cells for name in nodes))
    for words, column, more in ((True, _WORDS, 0), (False, _MARK, 3)):
        room = page.width - 2 - (_GAP + column) * len(nodes)
        if room >= len(_CORNER) + more:
            heads = list(nodes) if words else [str(number) for number in range(1, len(nodes) + 1)]
            _grid(page, matrix, min(widest + more, room), column, heads, words=words)
            return
    good = sum(reach.state == "reached" for reach in matrix.reaches)
    page.paragraph(f"{len(nodes)} nodes; {good} of {len(matrix.reaches)} directions work.", first="  ")


def _grid(page: Page, matrix: MatrixObservation, lead: int, column: int, heads: list[str], *, words: bool) -> None:
    gap = " " * _GAP
    title = page.text((_CORNER, "dim")).pad(lead)
    line = Text.of("  ") + title
    for head in heads:
        line += Text.of(gap) + page.crop(page.text((head, "bold")), column).pad(column)
    page.line(line.rstrip())
    for number, source in enumerate(matrix.nodes, 1):
        name = source if words else f"{number:>2} {source}"
        line = Text.of("  ") + page.crop(page.text((name, "bold")), lead).pad(lead)
        for target in matrix.nodes:
            line += Text.of(gap) + page.crop(_cell(page, matrix, source, target, words=words), column).pad(column)
        page.line(line.rstrip())


def _cell(page: Page, matrix: MatrixObservation, source: str, target: str, *, words: bool) -> Text:
    if source == target:
        return page.text(("·" if page.layout.unicode else ".", "dim"))
    reach = matrix.reach(source, target)
    if reach is None:
        return page.text(("? no report" if words else "?", "dim"))
    sign = sections.sign(page, sections.MARKS[mark(reach)])
    return page.text(sign, f" {STATES[reach.state]}") if words else page.text(sign)


def mark(reach: Reach) -> Mark:
    """How a direction is marked."""
    if reach.state == "untested":
        return "not-run"
    if reach.state != "reached":
        return "failed"
    return "warning" if reach.finding else "ok"


def _failures(page: Page, matrix: MatrixObservation) -> None:
    """Every direction that does not work, or works with a warning, with what the report says."""
    told = [reach for reach in matrix.reaches if mark(reach) != "ok"]
    if not told:
        return
    page.heading("What each node reported")
    for reach in told if page.layout.verbose else told[:_LISTED]:
        symbol, style = sections.sign(page, sections.MARKS[mark(reach)])
        arrow = "→" if page.layout.unicode else "->"
        finding = f" ({reach.finding})" if reach.finding else ""
        lead = page.text("  ", (symbol, style), " ")
        words = f": {reach.summary}{finding}, {units.moment(reach.at)}, {reach.file}"
        page.block(lead, page.text((f"{reach.source} {arrow} {reach.target}", "bold"), words), "    ")
    if len(told) > _LISTED and not page.layout.verbose:
        page.paragraph(f"and {len(told) - _LISTED:,} more (--verbose lists them)", first="  ")
