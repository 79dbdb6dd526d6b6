"""Styled text: as wide and broken as rich would have it, without rich."""

from __future__ import annotations

import io

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from rich.cells import cell_len as rich_cell_len
from rich.console import Console
from rich.text import Text as RichText

from netdiag.report import styled
from netdiag.report.escape import escape
from netdiag.report.styled import Text, cell_len

STYLES = ["", "bold", "dim", "red", "bold green"]


def words():
    pieces = st.one_of(
        st.text("ab c-/", max_size=12), st.text(max_size=6), st.sampled_from(["漢字", " ", "→", "x" * 30])
    )
    return st.lists(pieces, max_size=8).map("".join).map(escape)


def styled_texts():
    return st.lists(st.tuples(words().filter(bool), st.sampled_from(STYLES)), max_size=4).map(lambda r: Text(tuple(r)))


def test_what_counts_as_narrow_is_narrow():
    assert {rich_cell_len(character) for character in styled._NARROW} == {1}


@given(words())
def test_width(text):
    assert cell_len(text) == rich_cell_len(text)


@given(words(), st.integers(8, 40))
def test_wrapped_as_rich_wraps(text, width):
    text = text.rstrip()  # rich gives blanks at the end a line of their own, and those after a word that it breaks
    assume(all(cell_len(word) <= width for word in text.split()))
    rich = RichText(text).wrap(Console(width=width, file=io.StringIO()), width, overflow="fold")
    assert [line.plain for line in Text.of(text).wrap(width)] == ([line.plain.rstrip() for line in rich] or [""])


@given(styled_texts(), st.integers(2, 40))
def test_wrapping_loses_nothing_but_blanks_and_keeps_the_width(text, width):
    lines = text.wrap(width)
    assert "".join(line.plain for line in lines).replace(" ", "") == text.plain.replace(" ", "")
    assert all(line.cells <= width for line in lines)
    styles = {(character, style) for run, style in text.runs for character in run}
    assert {(character, style) for line in lines for run, style in line.runs for character in run} <= styles


@given(styled_texts(), st.integers(0, 30))
def test_cropped_and_padded(text, width):
    cropped = text.crop(width)
    assert cropped.cells <= width
    assert text.plain.startswith(cropped.plain)
    assert cropped.pad(width).cells == width


@given(styled_texts(), st.integers(0, 30), st.integers(0, 30))
def test_cut(text, start, end):
    assert text.cut(start, end).plain == text.plain[start:end]


@given(styled_texts())
def test_stripped(text):
    assert (text.rstrip().plain, text.lstrip().plain) == (text.plain.rstrip(), text.plain.lstrip())


@pytest.mark.parametrize(
    ("style", "sequence"), [("bold", "\x1b[1m"), ("dim", "\x1b[2m"), ("bold red", "\x1b[1;31m"), ("cyan", "\x1b[36m")]
)
def test_ansi(style, sequence):
    assert Text.of("a").ansi() == "a"
    assert (Text.of("a") + Text.of("b", style)).ansi() == f"a{sequence}b\x1b[0m"
