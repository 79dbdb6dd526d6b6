"""Windows events -> entries: Event Viewer's XML (one event, <Events>, or many after each other) and .evtx files.

Contract: a stream in bounded memory. Each event is cut out by its own end tag and parsed alone, so that no document
type, and therefore no entity, ever reaches the parser, and one broken event costs itself only.
"""

from __future__ import annotations

import contextlib
import html
import os
import re
import tempfile
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import datetime
from typing import IO

from netdiag.irlog.entry import MAX_ENTRY, Entry, Tally, hinted
from netdiag.irlog.source import PIECE, Source, decoded
from netdiag.irlog.times import LEVEL_NUMBERS, level_of
from netdiag.model import UsageError

#: Bytes of one event; Windows limits the payload to 64 kB, which XML may write as six times that.
MAX_EVENT = 1_000_000

_BEGIN = re.compile(rb"<Event(?=[\s>])")
_END = b"</Event>"
_TIME = re.compile(r"SystemTime=[\"']([^\"']{10,40})[\"']")
_LEVEL = re.compile(r"<Level>([0-9])</Level>")
_COMPUTER = re.compile(r"<Computer>([^<]{1,255})</Computer>")
_TAG = re.compile(r"<[^>]{0,400}>")
#: Levels at which Windows reports trouble (critical, error, warning).
_TROUBLE = frozenset("123")


def xml_entries(source: Source) -> Iterator[Entry]:
    """The events in which there is some trouble; the others are counted."""
    buffer = b""
    for piece in source.utf8():
        buffer += piece
        done = 0
        while (end := buffer.find(_END, done)) >= 0:
            begin = _BEGIN.search(buffer, done, end)
            done = end + len(_END)
            if begin:
                yield from _event(decoded(buffer[begin.start() : done]), source.tally)
        buffer = buffer[done:]
        if len(buffer) > MAX_EVENT + PIECE:
            source.tally.damaged(f"{source.name}: something longer than an event can be was left out")
            buffer = buffer[-len(_END) :]
    if _BEGIN.search(buffer):
        source.tally.damaged(f"{source.name}: it ends in the middle of an event")
        yield from _event(decoded(buffer), source.tally)


def _event(text: str, tally: Tally) -> Iterator[Entry]:
    """One event, unless it says nothing of interest."""
    tally.entries += 1
    when = _TIME.search(text)
    time = _seconds(when[1]) if when else None
    tally.saw(time, utc=True)
    level = _LEVEL.search(text)
    if not (level and level[1] in _TROUBLE) and not hinted(text):
        computer = _COMPUTER.search(text)
        if computer and len(tally.nodes) < 100:  # a list of names, not of everything
            tally.nodes[computer[1]] = None
        return
    try:
        entry = _parsed(ET.fromstring(text))  # noqa: S314 - no document type can be in it
    except (ET.ParseError, ValueError, RecursionError):
        tally.damaged("an event is not valid XML, and was read without its structure")
        bare = html.unescape(_TAG.sub(" ", text[:MAX_ENTRY]))
        entry = Entry(text=bare, level=LEVEL_NUMBERS.get(int(level[1]), "") if level else "")
    entry.time, entry.utc, entry.number = time, True, tally.entries
    yield entry


def _parsed(event: ET.Element) -> Entry:
    """What an event says; the message as Event Viewer shows it, or else the strings that would stand in it."""
    entry = Entry(text="")
    for part in event:
        name = _local(part)
        if name == "System":
            _system(part, entry)
        elif name == "RenderingInfo":
            entry.text = next((child.text or "" for child in part if _local(child) == "Message"), "") or entry.text
    if not entry.text:
        data = [t for part in event if _local(part) in ("EventData", "UserData") for t in part.itertext() if t.strip()]
        entry.text = "\n".join(data)[:MAX_ENTRY]
    return entry


def _system(system: ET.Element, entry: Entry) -> None:
    for part in system:
        name, value = _local(part), (part.text or "").strip()
        if name == "Provider":
            entry.provider = part.get("Name") or part.get("EventSourceName") or ""
        elif name == "EventID" and value.isdecimal() and len(value) < 8:
            entry.event_id = int(value)
        elif name == "Level":
            entry.level = level_of(value)
        elif name == "Computer":
            entry.node = value
        elif name == "Correlation":
            entry.activity_id = (part.get("ActivityID") or "").strip("{}")


def _local(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _seconds(text: str) -> float | None:
    """ISO 8601 as Windows writes it: with up to nine digits, in UTC."""
    shortened = re.sub(r"(\.\d{6})\d+", r"\1", text.strip().replace("Z", "+00:00"))
    with contextlib.suppress(ValueError, OverflowError, OSError):
        moment = datetime.fromisoformat(shortened)
        return (moment if moment.tzinfo else moment.replace(tzinfo=_UTC)).timestamp()
    return None


_UTC = datetime.fromisoformat("2000-01-01T00:00:00+00:00").tzinfo


def evtx_entries(source: Source) -> Iterator[Entry]:
    """The events of a Windows event log. Raises ``UsageError`` for a file that is damaged from its beginning."""
    with contextlib.ExitStack() as stack:
        file = source.file
        if not file.seekable():
            file = stack.enter_context(tempfile.TemporaryFile())
            for piece in source.pieces():
                file.write(piece)
        file.seek(0, os.SEEK_SET)
        for number, record in enumerate(_records(file, source)):
            if number % 256 == 0:
                if source.cancelled():
                    return
                source.done = min(number * _RECORD, source.total or number * _RECORD)
                source.tell()
            yield from _event(record, source.tally)
        source.done = source.total or source.done


#: Bytes of a record on average: enough for a bar that moves.
_RECORD = 700


def _records(file: IO[bytes], source: Source) -> Iterator[str]:
    """The XML of each record. The parser is Rust's: what it cannot read it skips, and even its panics end here."""
    from evtx import PyEvtxParser

    # With skip_errors it warns of each record that it skips.
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            # One thread is as fast as Python takes the records.
            records = iter(PyEvtxParser(file, number_of_threads=1, skip_errors=True).records())
        except Exception as error:  # noqa: BLE001 - OSError, RuntimeError, ValueError: whatever the format breaks
            raise UsageError(f"{source.name}: a Windows event log that cannot be read: {_first_line(error)}") from None
        while True:
            try:
                record = next(records, None)
            except BaseException as error:  # a panic is none of Python's exceptions
                if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                    raise  # Ctrl-C
                source.tally.damaged(f"{source.name}: part of it is damaged: {_first_line(error)}")
                return
            if told:
                told.clear()
                source.tally.damaged(f"{source.name}: events in it are damaged, and were skipped")
            if record is None:
                return
            yield str(record["data"])


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
