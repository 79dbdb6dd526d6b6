"""``--time FROM..TO``."""

from __future__ import annotations

import pytest

from netdiag.cli.times import Range, parse_range
from netdiag.model import UsageError

SECOND = 10**9
AT = 1_750_000_000 * SECOND  # 2025-06-15T15:06:40Z


@pytest.mark.parametrize(
    ("text", "kind", "since", "until"),
    [
        ("2025-06-15T15:06:40Z..2025-06-15T15:06:41Z", "moment", AT, AT + SECOND),
        ("2025-06-15 15:06:40..", "moment", AT, None),
        ("..2025-06-15T17:06:40+02:00", "moment", None, AT),
        ("2025-06-15T15:06:40.000001..", "moment", AT + 1000, None),
        ("2025-06-15T15:06..", "moment", AT - 40 * SECOND, None),
        ("2025-06-15..2025-06-15", "moment", 20254 * 86_400 * SECOND, 20255 * 86_400 * SECOND - 1),
        ("15:06:40..15:07", "of-day", 54_400 * SECOND, 54_420 * SECOND),
        ("23:00..01:00", "of-day", 82_800 * SECOND, 3600 * SECOND),
        ("9:00:00.123456789..", "of-day", 32_400 * SECOND + 123_456_789, None),
        ("+3.5..+10", "relative", 3_500_000_000, 10 * SECOND),
        ("+.25..", "relative", 250_000_000, None),
        ("+0.000000001..+1s", "relative", 1, SECOND),
        ("..+10", "relative", None, 10 * SECOND),
        (" +1 .. +2 ", "relative", SECOND, 2 * SECOND),
    ],
)
def test_a_range(text, kind, since, until):
    assert parse_range(text) == Range(kind=kind, since=since, until=until)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "it is not FROM..TO"),
        ("15:00", "it is not FROM..TO"),
        ("..", "both ends are open"),
        ("+3..15:00", "the two ends are of different kinds"),
        ("2025-06-15..+3", "the two ends are of different kinds"),
        ("+10..+3", "it ends before it begins"),
        ("2025-06-15..2025-06-14", "it ends before it begins"),
        ("noon..", "'noon' is no time"),
        ("-3..", "'-3' is no time"),
        ("3..", "'3' is no time"),
        ("+1e9..", "'+1e9' is no time"),
        ("+99999999999..", "is longer than any capture"),
        ("24:00..", "'24:00' is no time of day"),
        ("15:60..", "'15:60' is no time of day"),
        ("15:00:60..", "'15:00:60' is no time of day"),
        ("2025-02-30..", "day is out of range"),
        ("2025-13-01T00:00..", "is no time"),
        ("0001-01-01..", "no capture is of the year 1"),
        ("0001-01-01T00:00:00+23:59..", "no capture is of the year 1"),
        ("9999-12-31T23:59:59-23:59..", "no capture is of the year 9999"),
        ("\x1b[2J..", "is no time"),
        ("x" * 10_000, "it is not FROM..TO"),
    ],
)
def test_no_range(text, complaint):
    with pytest.raises(UsageError) as raised:
        parse_range(text)
    assert complaint in str(raised.value)
    assert len(str(raised.value)) < 300
