"""Lists in the sentences of findings. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime


def few(items: Sequence[str], most: int = 3) -> str:
    """The first few, and how many more."""
    shown = ", ".join(items[:most])
    return f"{shown} and {len(items) - most} more" if len(items) > most else shown


def counted(number: int, noun: str, many: str = "") -> str:
    """``1 connection``, ``71,412 connections``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {many or f'{noun}s'}"


def upper(words: str) -> str:
    """With a capital letter first."""
    return words[:1].upper() + words[1:]


def utc(moment: float) -> str:
    """As logs show it. A capture may claim any time."""
    try:
        return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return "the time of the reset"
