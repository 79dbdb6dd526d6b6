"""JSON -> entries: activity runs of a data factory, its error messages, exported events, whatever the nesting.

Contract: a document is read whole, so it is bounded; a larger one, and one that is no valid JSON, is read as text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from netdiag.irlog.entry import MAX_ENTRY, Entry
from netdiag.irlog.source import Source, decoded
from netdiag.irlog.text import text_entries
from netdiag.irlog.times import Clock, level_of

#: Bytes of one document. Exports of activity runs have some megabytes.
MAX_DOCUMENT = 64_000_000
_MAX_DEPTH = 40

_TEXTS = ("message", "errormessage", "error", "description", "exception", "details", "output")
_TIMES = ("activityrunend", "timecreated", "time", "timestamp", "timegenerated", "runend", "end", "systemtime")
_NODES = ("integrationruntimenode", "node", "nodename", "computer", "machinename", "effectiveintegrationruntime")
_ACTIVITIES = ("activityrunid", "activityid", "correlationid", "activity_id")
_CODE = ("errorcode", "code")


def document_entries(source: Source) -> Iterator[Entry]:
    """The errors in a document; of text that is no JSON after all, the entries of that."""
    try:
        if not source.buffered(MAX_DOCUMENT):
            raise ValueError("too large")
        value = json.loads(decoded(b"".join(source.utf8())), strict=False)
    except (ValueError, RecursionError):
        source.done = 0
        yield from text_entries(source)
        return
    source.tally.entries += len(value) if isinstance(value, list) else 1
    yield from _errors(value, Entry(text=""), Clock(), 0)


def _errors(value: Any, context: Entry, clock: Clock, depth: int) -> Iterator[Entry]:
    """Objects with a message, each with the times and names of the objects around it."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, list):
        for item in value:
            yield from _errors(item, context, clock, depth + 1)
        return
    if not isinstance(value, dict):
        return
    named = {str(key).casefold(): item for key, item in value.items()}
    inner = _context(named, context, clock)
    if any(isinstance(named.get(key), str) and named[key] for key in _TEXTS[:2]):
        # An error with everything in it: nested ones are taken apart where its text is.
        code = next((str(named[key]) for key in _CODE if isinstance(named.get(key), str | int) and named[key]), "")
        text = json.dumps(value, ensure_ascii=False)[:MAX_ENTRY]
        yield Entry(
            text=text,
            time=inner.time,
            utc=inner.utc,
            level=inner.level or ("error" if code else ""),
            node=inner.node,
            activity_id=inner.activity_id,
            number=depth,
        )
        return
    for item in named.values():
        yield from _errors(item, inner, clock, depth + 1)


def _context(named: dict[str, Any], outer: Entry, clock: Clock) -> Entry:
    def first(keys: tuple[str, ...]) -> str:
        return next((named[key] for key in keys if isinstance(named.get(key), str) and named[key]), "")

    found = clock.read(first(_TIMES))
    return Entry(
        text="",
        time=found[0] if found else outer.time,
        utc=found[1] if found else outer.utc,
        level=level_of(first(("level", "severity", "leveldisplayname"))) or outer.level,
        node=first(_NODES)[:255] or outer.node,
        activity_id=first(_ACTIVITIES)[:64] or outer.activity_id,
    )
