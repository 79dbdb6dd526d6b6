"""Who reaches whom, as text: a table of words, a table of marks, a list; every word escaped, no line too wide."""

from __future__ import annotations

import pytest

from netdiag.model import MatrixObservation, Reach, ReachState
from netdiag.report import render
from netdiag.report.layout import Layout
from netdiag.session.judgement import judge_matrix

BAD: dict[tuple[int, int], ReachState] = {(0, 2): "refused", (1, 0): "name-unknown", (2, 0): "certificate"}


def matrix(names: tuple[str, ...], bad: dict[tuple[int, int], ReachState] | None = None) -> MatrixObservation:
    bad = BAD if bad is None else bad
    reaches = [
        Reach(
            source=one,
            target=other,
            state=(state := bad.get((i, j), "reached")),
            finding="" if state == "reached" else "tcp.refused",
            summary="" if state == "reached" else f"{other} cannot be used",
            remedy="Mend it.",
            at=1_780_000_000.0,
            file="a.json",
        )
        for i, one in enumerate(names)
        for j, other in enumerate(names)
        if i != j and (i, j) != (2, 1)
    ]
    return MatrixObservation(
        id="matrix", source="file", started=1_780_000_000.0, nodes=names, reaches=tuple(reaches), reporters=names
    )


def shown(names: tuple[str, ...], **layout: object) -> list[str]:
    report = judge_matrix(matrix(names), started=1_780_000_000.0)
    return render(report, "text", Layout(**layout)).splitlines()  # type: ignore[arg-type] # of a Layout


def test_the_table_of_words():
    lines = shown(("node-a", "node-b", "node-c", "node-d"))
    start = next(n for n, line in enumerate(lines) if line.startswith("  from \\ to"))
    assert lines[start : start + 5] == [
        "  from \\ to node-a         node-b         node-c         node-d",
        "  node-a    ·              ✓ reached      ✗ refused      ✓ reached",
        "  node-b    ✗ name unknown ·              ✓ reached      ✓ reached",
        "  node-c    ✗ certificate  ? no report    ·              ✓ reached",
        "  node-d    ✓ reached      ✓ reached      ✓ reached      ·",
    ]
    assert "  ✗ node-a → node-c: node-c cannot be used (tcp.refused), 2026-05-28 20:26:40" in "\n".join(lines)
    assert "  node-c did not test node-b" in lines


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 12, 13, 40])
@pytest.mark.parametrize("width", [80, 60, 40])
def test_no_line_is_too_wide(count, width):
    names = tuple(f"production-integration-node-{number}.contoso.test" for number in range(count))
    for layout in ({}, {"unicode": False}, {"verbose": True}):
        assert max(map(len, shown(names, width=width, **layout))) <= width


def test_more_than_four_nodes_are_numbered():
    lines = shown(tuple(f"n{number}" for number in range(7)))
    start = next(n for n, line in enumerate(lines) if line.startswith("  from \\ to"))
    assert lines[start].split() == ["from", "\\", "to", *"1234567"]
    assert lines[start + 1].split() == ["1", "n0", "·", "✓", "✗", "✓", "✓", "✓", "✓"]
    assert lines[start + 3].split() == ["3", "n2", "✗", "?", "·", "✓", "✓", "✓", "✓"]


def test_many_are_counted():
    lines = shown(tuple(f"n{number}" for number in range(30)))
    assert "  30 nodes; 866 of 869 directions work." in lines


def test_names_are_escaped():
    text = "\n".join(shown(("node\x1b[31m", "b\nc", "d")))
    assert "\x1b" not in text
    assert "b\nc" not in text


def test_plain_ascii_and_quiet():
    assert all(line.isascii() for line in shown(("a", "b", "c"), unicode=False))
    assert len(shown(("a", "b", "c"), quiet=True)) <= 3


def test_the_page_has_the_table():
    names = ("node-a", "b<script>", "c")
    text = render(judge_matrix(matrix(names), started=1_780_000_000.0), "html")
    table = text.partition('<table class="differences">')[2].partition("</table>")[0]
    assert table.count("<tr>") == 4
    assert "refused" in table
    assert "no report" in table
    assert "b&lt;script&gt;" in table
    assert "<script>" not in table
    assert "c did not test b" in text


def test_markdown_has_the_table():
    text = render(judge_matrix(matrix(("node-a", "b|c", "d")), started=1_780_000_000.0), "markdown")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 5
    assert "refused" in lines[2]
    assert "no report" in lines[4]
    assert "- d did not test `b`&#124;`c`" in text
