"""Lists in the sentences of findings. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def few(items: Sequence[str], most: int = 3) -> str:
    """The first few, and how many more."""
    shown = ", ".join(items[:most])
    return f"{shown} and {len(items) - most} more" if len(items) > most else shown
