"""Numbers in words: durations, moments, sizes, counts. Pure."""

from __future__ import annotations

import time


def milliseconds(seconds: float) -> str:
    """``31 ms``; from 10 s on in seconds, so that the column keeps its width."""
    if seconds >= 10:
        return f"{seconds:.1f} s"
    return "<1 ms" if 0 <= seconds < 0.001 else f"{seconds * 1000:.0f} ms"


def day(moment: float) -> str:
    """``2025-05-12`` in UTC; a moment that no calendar holds stays a number."""
    try:
        return time.strftime("%Y-%m-%d", time.gmtime(moment))
    except (OverflowError, ValueError, OSError):
        return f"{moment:.0f}"


def moment(at: float, digits: int = 0) -> str:
    """``2025-06-15 15:06:40 UTC``, with ``digits`` decimals; what no calendar holds stays a number."""
    try:
        if digits:
            at = round(at, digits)  # first, so that .9999 becomes the next second
        shown = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at))
    except (OverflowError, ValueError, OSError):
        return f"{at:.0f}"
    fraction = f"{at % 1:.{digits}f}"[1:] if digits else ""
    return f"{shown}{fraction} UTC"


def duration(seconds: float) -> str:
    """``8 ms``, ``3.2 s``, ``4 min 10 s``, ``2 h 5 min``."""
    if abs(seconds) < 1:
        return milliseconds(seconds)
    if seconds < 100:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 6000:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60} min"


def size(count: int) -> str:
    """``517 B``, ``1.2 kB``, ``35 MB``: at most seven characters up to a petabyte."""
    if count < 1000:
        return f"{count} B"
    value = float(count)
    for unit in ("kB", "MB", "GB", "TB", "PB"):
        value /= 1000
        if value < 999.5 or unit == "PB":
            return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"
    raise AssertionError


def counted(number: int, one: str, many: str = "") -> str:
    """``1 packet``, ``1,234 packets``."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def ordinal(number: int) -> str:
    """``1st``, ``4th``, ``22nd``."""
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"
