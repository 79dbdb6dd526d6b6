"""Lists in the sentences of findings. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def few(items: Sequence[str], most: int = 3) -> str:
    """The first few, and how many more."""
    shown = ", ".join(items[:most])
    return f"{shown} and {len(items) - most} more" if len(items) > most else shown


def counted(number: int, noun: str) -> str:
    """``1 connection``, ``71,412 connections``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
