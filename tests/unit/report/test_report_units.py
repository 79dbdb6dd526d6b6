"""Numbers in words."""

from __future__ import annotations

import pytest

from netdiag.report import units


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0, "<1 ms"), (0.00099, "<1 ms"), (0.001, "1 ms"), (0.0312, "31 ms"), (9.9994, "9999 ms"), (12.34, "12.3 s")],
)
def test_milliseconds(seconds, shown):
    assert units.milliseconds(seconds) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.0312, "31 ms"),
        (1.0, "1.0 s"),
        (99.94, "99.9 s"),
        (100, "1 min 40 s"),
        (7325.4, "2 h 2 min"),
        (-0.5, "-500 ms"),
    ],
)
def test_duration(seconds, shown):
    assert units.duration(seconds) == shown


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (9949, "9.9 kB"),
        (9950, "10 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (10**18, "1000 PB"),
    ],
)
def test_size(count, shown):
    assert units.size(count) == shown


@pytest.mark.parametrize(
    ("at", "digits", "shown"),
    [
        (1_750_000_000.0, 0, "2025-06-15 15:06:40 UTC"),
        (1_750_000_000.1234, 3, "2025-06-15 15:06:40.123 UTC"),
        (1_750_000_000.9999, 3, "2025-06-15 15:06:41.000 UTC"),
        (-0.25, 3, "1969-12-31 23:59:59.750 UTC"),
    ],
)
def test_moment(at, digits, shown):
    assert units.moment(at, digits) == shown


def test_a_moment_that_no_calendar_holds_is_a_number():
    assert units.day(1e300).isdigit()
    assert units.moment(1e300).isdigit()
    assert units.moment(float("inf"), 3) == "inf"
    assert units.moment(float("nan"), 3) == "nan"


@pytest.mark.parametrize(
    ("number", "shown"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (22, "22nd"), (113, "113th")]
)
def test_ordinal(number, shown):
    assert units.ordinal(number) == shown


def test_counted():
    assert [units.counted(n, "packet") for n in (0, 1, 1234)] == ["0 packets", "1 packet", "1,234 packets"]
    assert units.counted(2, "SYN-ACK", "SYN-ACKs") == "2 SYN-ACKs"
