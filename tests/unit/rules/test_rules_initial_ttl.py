"""The arithmetic of TTLs, with the guide's own numbers."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netdiag.rules import CATALOGUE
from netdiag.rules.initial_ttl import (
    INITIAL_TTLS,
    SYSTEMS,
    doubt,
    hop_number,
    initial_ttl,
    is_undecremented,
    ordinal,
    possible_initials,
    routers_crossed,
    sum_of,
)


@pytest.mark.parametrize(
    ("ttl", "initial", "routers", "hop"),
    [
        (61, 64, 3, 4),  # the guide: check the fourth hop
        (107, 128, 21, 22),  # the guide: 21 hops from the data factory
        (64, 64, 0, 1),
        (65, 128, 63, 64),
        (128, 128, 0, 1),
        (129, 255, 126, 127),
        (255, 255, 0, 1),
        (250, 255, 5, 6),
        (32, 32, 0, 1),
        (33, 64, 31, 32),
        (1, 32, 31, 32),
        (0, 32, 32, 33),
    ],
)
def test_distance(ttl: int, initial: int, routers: int, hop: int) -> None:
    assert (initial_ttl(ttl), routers_crossed(ttl), hop_number(ttl)) == (initial, routers, hop)
    assert sum_of(ttl) == f"{ttl} = {initial} - {routers}"
    assert is_undecremented(ttl) == (routers == 0)


@pytest.mark.parametrize(
    ("ttl", "possible", "said"),
    [
        (61, (64,), ""),
        (30, (32, 64), "64 - 34"),
        (107, (128,), ""),
        (10, (32,), ""),
        (70, (), "58 routers"),
        (200, (), "55 routers"),
        (220, (255,), ""),
    ],
)
def test_doubt(ttl: int, possible: tuple[int, ...], said: str) -> None:
    assert possible_initials(ttl) == possible
    assert said in doubt(ttl)
    assert bool(doubt(ttl)) == bool(said)


@given(st.integers(-10, 400))
def test_any_number_a_report_may_hold(ttl: int) -> None:
    assert initial_ttl(ttl) in INITIAL_TTLS
    assert hop_number(ttl) >= 1
    assert isinstance(doubt(ttl), str)


@pytest.mark.parametrize(
    ("number", "word"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (13, "13th"), (21, "21st"),
     (22, "22nd"), (111, "111th")],
)  # fmt: skip
def test_ordinal(number: int, word: str) -> None:
    assert ordinal(number) == word


def test_the_table_names_a_source_for_each_row_and_explain_shows_it() -> None:
    explained = CATALOGUE["tcp.reset-by-path-device"].explanation
    rows = dict(re.findall(r"^    (\d+) +(.+(?:\n {6,}.+)*)", explained, re.MULTILINE))
    assert set(rows) == {str(value) for value in INITIAL_TTLS} == {str(system.initial) for system in SYSTEMS}
    assert all(system.source for system in SYSTEMS)
    for initial, words in (("255", "Linux 2.4"), ("64", "4.10"), ("64", "macOS"), ("128", "Server 2019")):
        assert words in rows[initial]
