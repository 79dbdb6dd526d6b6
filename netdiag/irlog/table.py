"""CSV -> entries: Event Viewer's export (in any language, by the order of its columns) and PowerShell's Export-Csv.

Contract: a stream in bounded memory; a row that is broken costs itself.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netdiag.irlog.entry import MAX_ENTRY, Entry, hinted
from netdiag.irlog.source import Source
from netdiag.irlog.times import TIME, Clock, level_of

_DELIMITERS = ",;\t|"
#: What columns are called, where the name is English (Event Viewer, Get-WinEvent, Get-EventLog, CustomLogEvent).
_NAMES = {
    "level": ("level", "leveldisplayname", "entrytype", "severity"),
    "time": ("date and time", "timecreated", "timegenerated", "time", "timestamp", "timewritten"),
    "provider": ("source", "providername", "provider"),
    "event": ("event id", "eventid", "id", "instanceid"),
    "node": ("computer", "machinename", "computername", "node", "nodename"),
    "activity": ("activityid", "correlationid", "activity id"),
    "message": ("message", "description", "text", "error", "errormessage", "details", "task category"),
}
#: Event Viewer's own: level, date and time, source, event id, task category, and the text without a heading.
_OF_EVENT_VIEWER = 5


@dataclass(frozen=True)
class _Columns:
    level: int | None = None
    time: int | None = None
    provider: int | None = None
    event: int | None = None
    node: int | None = None
    activity: int | None = None
    message: int | None = None


@dataclass(frozen=True)
class Table:
    """How a table is written, as its beginning shows."""

    delimiter: str
    columns: _Columns


def recognise(head: str) -> Table | None:
    """The table that begins like that, or None for what is no table of events."""
    lines = [line for line in head.splitlines() if line.strip() and not line.startswith("#TYPE")][:2]
    if not lines:
        return None
    delimiter = max(_DELIMITERS, key=lines[0].count)
    if lines[0].count(delimiter) < 2:
        return None
    first, *second = (next(csv.reader([line[:4_000]], delimiter=delimiter), []) for line in lines)
    columns = _named(first)
    if columns.message is not None and (columns.time is not None or columns.level is not None):
        return Table(delimiter, columns)
    if len(first) == _OF_EVENT_VIEWER and second and _like_event_viewer(second[0]):
        return Table(delimiter, _Columns(level=0, time=1, provider=2, event=3, message=5))
    return None


def _named(header: Sequence[str]) -> _Columns:
    names = [name.strip().strip('"').lstrip("\ufeff").casefold() for name in header]
    found = {
        field: next((names.index(name) for name in known if name in names), None) for field, known in _NAMES.items()
    }
    if names[-1:] == ["task category"]:  # the text has no heading
        found["message"] = len(names)
    return _Columns(**found)


def _like_event_viewer(row: Sequence[str]) -> bool:
    return len(row) > 3 and TIME.search(row[1]) is not None and row[3].strip().isdigit()


def table_entries(source: Source, table: Table) -> Iterator[Entry]:
    """The rows in which there is some word of trouble; the others are counted."""
    tally, columns, clock = source.tally, table.columns, Clock()
    rows = csv.reader(_lines(source), delimiter=table.delimiter)
    header = True
    while True:
        try:
            row = next(rows, None)
        except csv.Error:  # a field longer than 128 kB: a quote that is never closed
            tally.damaged(f"{source.name}: a row is longer than any can be, or a quote in it is not closed")
            continue
        if row is None:
            return
        if header or not row:
            header = header and (not row or row[0].startswith("#TYPE"))
            continue
        tally.entries += 1
        found = clock.read(_cell(row, columns.time))
        tally.saw(found[0] if found else None, utc=bool(found and found[1]))
        level = level_of(_cell(row, columns.level))
        text = _text(row, columns)
        if level not in ("critical", "error") and not hinted(text):
            continue
        number = re.match(r"\d{1,7}", _cell(row, columns.event))
        yield Entry(
            text=text[:MAX_ENTRY],
            time=found[0] if found else None,
            utc=bool(found and found[1]),
            level=level,
            provider=_cell(row, columns.provider),
            event_id=int(number[0]) if number else None,
            node=_cell(row, columns.node),
            activity_id=_cell(row, columns.activity),
            number=tally.entries,
        )


def _cell(row: Sequence[str], at: int | None) -> str:
    return row[at].strip() if at is not None and at < len(row) else ""


def _text(row: Sequence[str], columns: _Columns) -> str:
    """The message, or, where that column is empty or cut, the longest one."""
    return _cell(row, columns.message) or max((cell.strip() for cell in row), key=len, default="")


def _lines(source: Source) -> Iterator[str]:
    """Lines with their ends; one without an end is cut, so that none fills the memory."""
    rest = ""
    for piece in source.text():
        *whole, rest = (rest + piece.replace("\x00", "")).split("\n")
        for line in whole:
            yield line + "\n"
        if len(rest) > MAX_ENTRY:
            yield rest + "\n"
            rest = ""
    if rest:
        yield rest
