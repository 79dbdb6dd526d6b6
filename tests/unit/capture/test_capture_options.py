"""What of a capture is looked at: the time range, resolved against the first packet."""

from __future__ import annotations

import pytest

from netdiag.capture.options import CaptureOptions

SECOND = 10**9
HOUR, DAY = 3600 * SECOND, 86_400 * SECOND
NINE = 20_000 * DAY + 9 * HOUR
LATE = 20_000 * DAY + 23 * HOUR + HOUR // 2


@pytest.mark.parametrize(
    ("first", "options", "window"),
    [
        (NINE, {}, (None, None)),
        (NINE, {"since_ns": 5}, (5, None)),
        (NINE, {"until_ns": 5}, (None, 5)),
        (NINE, {"since_ns": 5, "until_ns": 7, "relative": True}, (NINE + 5, NINE + 7)),
        (NINE, {"until_ns": 0, "relative": True}, (None, NINE)),
        (NINE, {"since_ns": 8 * HOUR, "until_ns": 10 * HOUR, "of_day": True}, (NINE - HOUR, NINE + HOUR)),
        (NINE, {"since_ns": 8 * HOUR, "of_day": True}, (NINE - HOUR, None)),
        (NINE, {"until_ns": 10 * HOUR, "of_day": True}, (None, NINE + HOUR)),
        (NINE, {"since_ns": 9 * HOUR, "until_ns": 9 * HOUR, "of_day": True}, (NINE, NINE)),
        # Over midnight, and wholly after it.
        (LATE, {"since_ns": 23 * HOUR, "until_ns": HOUR, "of_day": True}, (LATE - HOUR // 2, LATE + 3 * HOUR // 2)),
        (
            LATE,
            {"since_ns": HOUR, "until_ns": 2 * HOUR, "of_day": True},
            (20_001 * DAY + HOUR, 20_001 * DAY + 2 * HOUR),
        ),
        (LATE, {"until_ns": HOUR, "of_day": True}, (None, 20_001 * DAY + HOUR)),
    ],
)
def test_window(first, options, window):
    assert CaptureOptions(**options).window(first) == window
