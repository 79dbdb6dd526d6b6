"""Log files -> observations: one of all that was read, one of each different error. The kind is found out by content.

Contract: raises ``UsageError`` for a file that cannot be opened, or is no log; what else is wrong with it is told in
the observation. Memory is bounded, whatever the size.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence

from netdiag.irlog import documents, events, table
from netdiag.irlog.entry import Entry, Progress, Tally
from netdiag.irlog.grouping import Gatherer, Known
from netdiag.irlog.source import Source, decoded, encoding_of, open_source
from netdiag.irlog.text import text_entries
from netdiag.model import LogFileObservation, LogObservation

#: Nodes that are told.
_MAX_NODES = 100


def read(
    files: Sequence[str],
    *,
    known: Known,
    progress: Progress | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> tuple[LogFileObservation, tuple[LogObservation, ...]]:
    """Read all ``files`` ("-" is standard input). ``known`` tells which known issues an error is; these are kept first.

    When ``cancelled`` says so, what was read until then is returned.
    """
    tally, gatherer = Tally(), Gatherer(known=known)
    formats: list[str] = []
    before = 0
    with contextlib.ExitStack() as stack:
        sources = [stack.enter_context(open_source(name, tally)) for name in files]
        total = _sum([source.total for source in sources])
        for source in sources:
            source.cancelled = cancelled
            source.progress = _shifted(progress, before, total)
            form, entries = _recognised(source)
            formats.append(form)
            for entry in entries:
                gatherer.add(entry, source.name)
            before += source.done
    errors = gatherer.observations()
    called = [place.host for error in errors for place in error.places if place.scheme == "net.tcp"]
    summary = LogFileObservation(
        id="log",
        source="log",
        started=tally.first or 0.0,
        last=tally.last or 0.0,
        utc=tally.utc,
        paths=tuple(source.name for source in sources),
        formats=tuple(formats),
        bytes=before,
        entries=tally.entries,
        errors=gatherer.errors,
        warnings=gatherer.warnings,
        suspicious=gatherer.suspicious,
        nodes=tuple(dict.fromkeys((*gatherer.nodes, *tally.nodes, *called)))[:_MAX_NODES],
        activity_ids=tuple(gatherer.activities),
        more_activity_ids=gatherer.more_activities,
        report_ids=tuple(gatherer.reports),
        more_errors=gatherer.more_errors,
        more_count=gatherer.more_count,
        more_codes=tuple(gatherer.more_codes.values()),
        damage=tuple(tally.damage),
        interrupted=cancelled(),
    )
    return summary, errors


def _sum(sizes: Sequence[int | None]) -> int | None:
    total = 0
    for size in sizes:
        if size is None:
            return None
        total += size
    return total


def _shifted(progress: Progress | None, before: int, total: int | None) -> Progress | None:
    """What is told of one file, as part of all."""
    if progress is None:
        return None
    return lambda done, _total, entries: progress(before + done, total, entries)


def _recognised(source: Source) -> tuple[str, Iterator[Entry]]:
    """The kind of a file, and its entries."""
    if source.is_evtx:
        return "evtx", events.evtx_entries(source)
    encoding, mark = encoding_of(source.head)
    raw = source.head[mark:]
    head = decoded(raw) if encoding == "utf-8" else raw.decode(encoding, "replace")
    start = head.lstrip("\ufeff \t\r\n")
    if start.startswith("<") and ("<Event " in start or "<Event>" in start or "<Events>" in start):
        return "event-xml", events.xml_entries(source)
    if start[:1] in ("{", "[") and start[1:].lstrip()[:1] in ('"', "{", "["):
        return "json", documents.document_entries(source)
    known = table.recognise(head)
    if known:
        return "csv", table.table_entries(source, known)
    return "text", text_entries(source)
