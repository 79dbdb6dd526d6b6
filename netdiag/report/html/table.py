"""A table that sorts by every column, filters and pages, fluent at 100,000 rows; without scripts, its first rows.

Contract: pure. A column is given whole, as text, numbers or moments. Its values go into a block of JSON once, from
which assets/table.js shows one page at a time: each text once in ``words``, in the order that it sorts by, with a place
in them for each row; numbers in units of their last decimal; moments in milliseconds after the first.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any, Literal

import msgspec
from markupsafe import Markup

from netdiag.report.escape import escape
from netdiag.report.html import markup

#: What ``Section.needs`` for a table.
NEEDS = ("table.css", "table.js")

#: Rows that are there without scripts.
STATIC = 100
#: So many are read faster than filtered.
_NO_FILTER = 10
#: Characters of one cell: a name that is longer is no name.
_LONGEST = 120
_DAY_MS = 86_400_000

Value = str | float | None


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One column. A text or number that is not known is None (or empty)."""

    title: str
    values: Sequence[Any]
    kind: Literal["text", "number", "moment"] = "text"
    #: Decimals of numbers.
    digits: int = 0
    #: A number that names something, without commas.
    plain: bool = False
    #: The filter looks at it: at text for a part, at text and numbers for the whole.
    searched: bool = False
    #: Offered as a choice beside the filter.
    choice: bool = False
    #: How texts sort; otherwise by their characters.
    order: Callable[[str], Any] | None = None
    #: Classes of some texts: "bad", "good".
    tones: Mapping[str, str] = msgspec.field(default_factory=dict)


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """A column's heading, as the template prints it."""

    title: str
    numeric: bool


def render(
    anchor: str, caption: str, columns: Sequence[Column], *, hint: str = "", links: Mapping[int, str] | None = None
) -> Markup:
    """The table; columns without any value are left out. ``links``: of the first column's cells, by row.

    ``hint`` says what the filter is for; without one, or with few rows, there is none.
    """
    used = [column for column in columns if any(value not in (None, "") for value in column.values)]
    links = links or {}
    blocks = [_block(column) for column in used]
    count = len(columns[0].values)
    shown = [_texts(column, block) for column, block in zip(used, blocks, strict=True)]
    return markup.render(
        "table",
        anchor=anchor,
        caption=caption,
        hint=hint if count > _NO_FILTER else "",
        heads=[Head(title=column.title, numeric=column.kind != "text") for column in used],
        rows=list(zip(*shown, strict=True)),
        links=links,
        count=count,
        data=markup.data(markup.compact({"rows": count, "columns": blocks, "links": links})),
        choices=[(column.title, n) for n, column in enumerate(used) if column.choice and count > _NO_FILTER],
    )


def by_address(text: str) -> tuple[int, int, str]:
    """Addresses by their numbers, IPv4 first; then everything else."""
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return 9, 0, text
    return parsed.version, int(parsed), ""


def _block(column: Column) -> dict[str, Any]:
    block: dict[str, Any] = {"kind": column.kind}
    if column.searched:
        block["searched"] = True
    if column.kind == "number":
        scale = 10**column.digits
        block["digits"] = column.digits
        if column.plain:
            block["plain"] = True
        block["at"] = [None if value is None else _whole(value * scale) for value in column.values]
    elif column.kind == "moment":
        moments = [_whole(value * 1000) if value else None for value in column.values]
        base = min((moment for moment in moments if moment is not None), default=0)
        block["base"] = base
        block["date"] = len({moment // _DAY_MS for moment in moments if moment is not None}) > 1
        block["at"] = [None if moment is None else moment - base for moment in moments]
    else:
        words = sorted(set(column.values), key=column.order)
        places = {word: n for n, word in enumerate(words)}
        block["words"] = [escape(word, _LONGEST) for word in words]
        block["at"] = [places[value] for value in column.values]
        if column.tones:
            block["tones"] = [column.tones.get(word, "") for word in words]
    return block


def _whole(value: float) -> int | None:
    """The nearest whole number; a saved report may hold numbers that have none."""
    return round(value) if math.isfinite(value) else None


def _texts(column: Column, block: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The first rows' cells and their classes, as table.js writes them."""
    return [_text(column, block, place) for place in islice(block["at"], STATIC)]


def _text(column: Column, block: Mapping[str, Any], place: int | None) -> tuple[str, str]:
    if place is None:
        return "", "number"
    if column.plain:
        return str(place), "number"
    if column.kind == "number":
        return f"{place / 10**column.digits:,.{column.digits}f}", "number"
    if column.kind == "moment":
        return clock(block["base"] + place, date=block["date"]), "number"
    return block["words"][place], block["tones"][place] if column.tones else ""


def clock(at_ms: int, *, date: bool) -> str:
    """``15:06:40.123`` in UTC, with the day before it if that is wanted; what no calendar holds stays a number."""
    try:
        parts = time.gmtime(at_ms // 1000)
    except (OverflowError, ValueError, OSError):
        return str(at_ms)
    return time.strftime("%Y-%m-%d %H:%M:%S" if date else "%H:%M:%S", parts) + f".{at_ms % 1000:03d}"
