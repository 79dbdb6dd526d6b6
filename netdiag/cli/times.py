"""``--time FROM..TO`` -> two moments and what they count from; ``--at TIME`` -> a moment. Pure.

Contract: either end may be left out. Both are of one kind: ISO 8601 (UTC unless it says otherwise), a time of day (UTC,
of the capture's day), or seconds after the first packet (+3.5). A single moment is ISO 8601 or seconds since 1970.
"""

from __future__ import annotations

import argparse
import re
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Literal

import msgspec

from netdiag.model import UsageError

Kind = Literal["moment", "of-day", "relative"]

_SECOND = 10**9
_DAY = 86_400 * _SECOND
#: Captures count nanoseconds in 64 bits.
_FIRST_YEAR, _LAST_YEAR = 1970, 2261
#: What the times of certificates reach from and to (RFC 5280 §4.1.2.5).
_FIRST_CERTIFICATE = datetime(1950, 1, 1, tzinfo=UTC).timestamp()
_LAST_CERTIFICATE = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()
#: No capture takes longer, in seconds.
_LONGEST = 10**9


class Range(msgspec.Struct, frozen=True, kw_only=True):
    """Two moments in nanoseconds, both inclusive, None for an open end."""

    kind: Kind
    since: int | None
    until: int | None


def parse_range(text: str) -> Range:
    """FROM..TO. Raises ``UsageError`` with one line."""
    try:
        first, dots, last = text.partition("..")
        if not dots:
            raise ValueError("it is not FROM..TO")
        ends = [_parse(end.strip(), last=n == 1) for n, end in enumerate((first, last)) if end.strip()]
        if not ends:
            raise ValueError("both ends are open")
        if len({kind for kind, _ in ends}) > 1:
            raise ValueError("the two ends are of different kinds")
        since = ends[0][1] if first.strip() else None
        until = ends[-1][1] if last.strip() else None
        if since is not None and until is not None and since > until and ends[0][0] != "of-day":
            raise ValueError("it ends before it begins")
    except ValueError as error:
        raise UsageError(
            f"--time {text[:100]!r}: {error} (ISO times, 15:06:40..15:07, or +3.5..+10 after the first packet)"
        ) from None
    return Range(kind=ends[0][0], since=since, until=until)


def parse_moment(text: str) -> float:
    """A moment in seconds since the epoch, for argparse. A date is its beginning; of digits alone, eight are a date."""
    text = text.strip()
    if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", text) and not re.fullmatch(r"[0-9]{8}", text):
        seconds = float(text)
    else:
        try:
            moment = datetime.fromisoformat(text)
            seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError):
            raise argparse.ArgumentTypeError(
                f"{text[:40]!r} is no time (2026-11-28, 2026-11-28T17:00, or seconds since 1970)"
            ) from None
    if not _FIRST_CERTIFICATE <= seconds <= _LAST_CERTIFICATE:
        raise argparse.ArgumentTypeError(f"{text[:40]!r}: no certificate is of that time (1950 to 9999)")
    return seconds


def _parse(text: str, *, last: bool) -> tuple[Kind, int]:
    if match := re.fullmatch(r"\+([0-9]{1,12}(?:\.[0-9]*)?|\.[0-9]+)s?", text):
        seconds = Decimal(match[1])
        if seconds > _LONGEST:
            raise ValueError(f"{text[:40]!r} is longer than any capture")
        return "relative", int(seconds * _SECOND)
    if re.fullmatch(r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?", text):
        return "of-day", _of_day(text)
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):  # as an end, the whole day
        day = datetime.combine(date.fromisoformat(text), time(), UTC)
        return "moment", _since_epoch(day) + (_DAY - 1 if last else 0)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text[:40]!r} is no time") from None
    return "moment", _since_epoch(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _of_day(text: str) -> int:
    hours, minutes, seconds = (*text.split(":"), "0")[:3]
    if int(hours) > 23 or int(minutes) > 59 or Decimal(seconds) >= 60:
        raise ValueError(f"{text[:40]!r} is no time of day")
    return (int(hours) * 3600 + int(minutes) * 60) * _SECOND + int(Decimal(seconds) * _SECOND)


def _since_epoch(moment: datetime) -> int:
    if not _FIRST_YEAR < moment.year < _LAST_YEAR:
        raise ValueError(f"no capture is of the year {moment.year}")
    whole = round(moment.replace(microsecond=0).timestamp())  # with microseconds, a float would have to round
    return whole * _SECOND + moment.microsecond * 1000
