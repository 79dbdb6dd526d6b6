"""Escaping: what may reach a terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netdiag.report.escape import LIMIT, escape, to_ascii


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, with: punctuation [x]", "plain text, with: punctuation [x]"),
        ("\x1b[2J", "\\x1b[2J"),
        ("\x9b31m", "\\x9b31m"),
        ("a\nb\r\tc\0", "a\\nb\\r\\tc\\x00"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("a\u200bb\ufeff", "a\\u200bb\\ufeff"),
        ("\u2028", "\\u2028"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("\ue000", "\\ue000"),
        ("müller 漢字 ✓", "müller 漢字 ✓"),
        ("a\u0301\u0302", "a\u0301\u0302"),
        ("a\u0301\u0302\u0303", "a\u0301\u0302\\u0303"),
        ("non\u00a0breaking", "non breaking"),
        ("", ""),
    ],
)
def test_escape(text, shown):
    assert escape(text) == shown


def test_a_long_text_is_cut_and_its_length_told():
    assert escape("x" * (LIMIT + 5)) == "x" * LIMIT + "…(+5 characters)"
    assert escape("abc", limit=2) == "ab…(+1 characters)"


@given(st.text())
def test_no_hidden_character_is_left(text):
    shown = escape(text)
    assert not {unicodedata.category(c) for c in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(st.text())
def test_escaping_twice_changes_nothing_more(text):
    assert escape(escape(text, 10_000), 10_000) == escape(text, 10_000)


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a — b…", "a - b..."), ("“x” ≥ 1 → 2", '"x" >= 1 -> 2'), ("müller", "m\\xfcller"), ("漢", "\\u6f22")],
)
def test_to_ascii(text, shown):
    assert to_ascii(text) == shown
