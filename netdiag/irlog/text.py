"""Text files and pasted text -> entries. Lines that belong to the entry before (stacks, wrapped text) stay with it.

Contract: a stream of any size in bounded memory. What has no word of trouble in it (entry.HINTS) is counted, not
decoded: a log of gigabytes is mostly that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from netdiag.irlog.entry import FOREIGN_HINTS, HINTS, MAX_ENTRY, Entry
from netdiag.irlog.source import PIECE, Source, decoded, encoding_of
from netdiag.irlog.times import Clock, level_of

#: Text up to this size without times was pasted: its entries are what blank lines separate. Above, each line is one.
MAX_PASTED = 128_000
#: Lines that are looked back at for where the last entry begins; a stack has a hundred.
_LOOK_BACK = 2_000
#: Lines that begin with a time by which a text is a log although its first line does not.
_STARTS = 3

_DATE = rb"(?:\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}([/.-])\d{1,2}\1\d{4})(?:[T ,-]|, |\s+)\d{1,2}:\d{2}"
_LEVEL = (
    rb"(?:TRACE|DEBUG|INFO|INFORMATION|WARN|WARNING|ERROR|FATAL|CRITICAL"
    rb"|Trace|Debug|Info|Information|Warn|Warning|Error|Fatal|Critical)"
)
#: The first line of "Copy details as text" in Event Viewer, by language.
_DETAILS = (
    "Log Name|Protokollname|Nom du journal|Nombre de registro|Nome registro|Nome do Log|Logboeknaam|Nazwa dziennika|"
    "Имя журнала|ログの名前|日志名称|記錄檔名稱"
)
_HEADED = re.compile(
    rb"[\[<(]?(?:"
    + _LEVEL
    + rb"[\]>):|, \t]+[\[<(]?)?"
    + _DATE
    + rb"|\[\d+\]\s?[0-9A-Fa-f]+\.[0-9A-Fa-f]+::"
    + rb"|\[?\d{2}:\d{2}:\d{2}[.,:]\d{3}"
    + rb"|(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d \d{2}:\d{2}:\d{2} "
    + rb"|\[?"
    + _LEVEL
    + rb"[\]:|\t]\s"
    + rb"|MSI \([cs]\) "
    + rb"|(?:"
    + _DETAILS.encode()
    + rb")\s?:"
)
#: Without times, a line that is not indented, and is no frame of a stack, begins an entry.
_PLAIN = re.compile(rb"(?![ \t\r\n]|at |--- )[^\n]")
_HINTS = tuple(hint.encode() for hint in HINTS)
_FOREIGN_HINTS = tuple(hint.encode() for hint in FOREIGN_HINTS)
_DETAIL = re.compile(r"^([^\n:：]{2,40})\s?[:：][ \t]*(.*)$", re.MULTILINE)
_SINGLE = re.compile(r"ErrorCode=|[A-Z][\w.]+Exception: ")


def text_entries(source: Source) -> Iterator[Entry]:
    """The entries of a text in which there is some word of trouble; the others are counted."""
    headed = _headed(source.head)
    if not headed and source.buffered(MAX_PASTED):
        yield from _pasted(source, decoded(b"".join(source.utf8())))
        return
    yield from _Stream(source, _HEADED if headed else _PLAIN).entries()


def _headed(head: bytes) -> bool:
    """Whether entries begin with a time (or what else begins one), as far as the beginning of the file tells."""
    encoding, mark = encoding_of(head)
    text = head[mark:] if encoding == "utf-8" else head[mark:].decode(encoding, "replace").encode("utf-8", "replace")
    lines = [line for line in text.split(b"\n")[:_LOOK_BACK] if line.strip()]
    starts = [_HEADED.match(line) is not None for line in lines]
    # Wrapped text may have a line that happens to begin with a time.
    return starts[:1] == [True] or (sum(starts) >= _STARTS and sum(starts) * 20 >= len(lines))


class _Stream:
    """A log that is cut at the beginnings of its entries."""

    def __init__(self, source: Source, start: re.Pattern[bytes]) -> None:
        self._source = source
        self._start = start
        self._clock = Clock()
        self._line = 1

    def entries(self) -> Iterator[Entry]:
        carry = b""
        for piece in self._source.utf8():
            data = carry + piece
            cut = self._last_start(data)
            yield from self._of(data[:cut])
            carry = data[cut:]
        yield from self._of(carry, final=True)

    def _last_start(self, data: bytes) -> int:
        """Where the last entry begins; the last line, where that is not to be found."""
        at = len(data)
        for _ in range(_LOOK_BACK):
            at = data.rfind(b"\n", 0, at)
            if at < 0:
                break
            if self._start.match(data, at + 1):
                return at + 1
        if len(data) < PIECE + MAX_ENTRY:
            return 0
        return data.rfind(b"\n") + 1 or len(data)

    def _of(self, body: bytes, *, final: bool = False) -> Iterator[Entry]:
        if not body:
            return
        tally = self._source.tally
        end, counted, line = 0, 0, self._line
        for spot in _spots(body):
            if spot < end:
                continue
            begin = self._begin(body, spot, end)
            end = self._end(body, spot)
            line += body.count(b"\n", counted, begin)
            counted = begin
            yield self._entry(body[begin:end], line)
        lines = body.count(b"\n")
        self._line += lines
        tally.entries += lines + (final and not body.endswith(b"\n"))
        self._edges(body)

    def _begin(self, body: bytes, spot: int, floor: int) -> int:
        """Where the entry around ``spot`` begins, not before ``floor``."""
        at = spot
        for _ in range(_LOOK_BACK):
            at = body.rfind(b"\n", floor, at)
            if at < 0:
                return floor
            if self._start.match(body, at + 1):
                return at + 1
        return body.rfind(b"\n", floor, spot) + 1 or floor

    def _end(self, body: bytes, spot: int) -> int:
        at = spot
        while (at := body.find(b"\n", at)) >= 0:
            at += 1
            if self._start.match(body, at):
                return at
            if at - spot > MAX_ENTRY:
                return at
        return len(body)

    def _edges(self, body: bytes) -> None:
        """The times at both ends of what was read."""
        last = body.rfind(b"\n", 0, len(body) - 1) + 1
        for at in (0, last):
            found = self._clock.read(decoded(body[at : at + 200]).lstrip())
            if found:
                self._source.tally.saw(found[0], utc=found[1])

    def _entry(self, data: bytes, line: int) -> Entry:
        text = decoded(data[:MAX_ENTRY]).replace("\r\n", "\n").strip("\n")
        entry = _details(text, self._clock) or _header(text, self._clock)
        entry.number = line
        self._source.tally.saw(entry.time, utc=entry.utc)
        return entry


def _spots(body: bytes) -> list[int]:
    """Where words of trouble are, in order."""
    lowered = body.lower()
    found: list[int] = []
    for hint in _HINTS if lowered.isascii() else (*_HINTS, *_FOREIGN_HINTS):
        at = lowered.find(hint)
        while at >= 0:
            found.append(at)
            at = lowered.find(hint, lowered.find(b"\n", at) + 1 or len(lowered))
    found.sort()
    return found


#: One field of a line's beginning: a level, or what stands in brackets (a thread, a level, a component).
_FIELD = re.compile(r"[\s|:,-]*(?:\[([^\[\]\n]{1,60})\]|\(([^()\n]{1,30})\)|([^\W\d]{3,12})(?=[\s:|,\t]))[\s|:,-]*")
_TRACE = re.compile(r"\[\d+\]\s?[0-9A-Fa-f]+\.[0-9A-Fa-f]+::\S*\s*")
#: Fields before the message, and characters before the time.
_FIELDS, _BEFORE = 5, 48


def _header(text: str, clock: Clock) -> Entry:
    """An entry whose first line begins with a time, a level, a thread, a component, as far as it does."""
    found = clock.read(text)
    if found and (found[2] > _BEFORE or "\n" in text[: found[2]]):
        found = None
    entry = Entry(text=text, time=found[0] if found else None, utc=bool(found and found[1]))
    trace = _TRACE.match(text)
    at = trace.end() if trace else found[2] if found else 0
    if found and not text[:1].isdigit():  # "ERROR 2024-05-21 ..."
        entry.level = next((level for word in re.split(r"[\s\[\]():|]+", text[:24]) if (level := level_of(word))), "")
    for _ in range(_FIELDS):
        field = _FIELD.match(text, at)
        if field is None:
            break
        bracketed = field[1] or field[2] or ""
        level = level_of(bracketed or field[3])
        if not level and (not bracketed or (not at and not bracketed.isdigit())):
            break
        entry.level = entry.level or level
        if bracketed and not level and not bracketed.isdigit():
            entry.provider = bracketed
        at = field.end()
    entry.text = text[at:].lstrip(" \t:|-,")
    return entry


def _details(text: str, clock: Clock) -> Entry | None:
    """An event as Event Viewer copies it: ten labelled lines in an order that is the same in every language."""
    if not re.match(rf"(?:{_DETAILS})\s?[:：]", text):
        return None
    rows = list(_DETAIL.finditer(text[:4_000]))[:10]
    values = [match[2].strip() for match in rows]
    if len(values) < 9:
        return Entry(text=text)
    found = clock.read(values[2])
    number = re.match(r"\d{1,6}", values[3])
    return Entry(
        text=text[rows[9].end(1) + 1 :].strip() if len(rows) > 9 else text[rows[8].end() :].strip(),
        time=found[0] if found else None,
        utc=bool(found and found[1]),
        level=level_of(values[5]),
        provider=values[1],
        event_id=int(number[0]) if number else None,
        node=values[8],
    )


def _pasted(source: Source, text: str) -> Iterator[Entry]:
    """What blank lines separate. Of one paragraph, lines that begin alike are entries of their own."""
    clock = Clock()
    line = 1
    source.tally.entries += text.count("\n") + (not text.endswith("\n"))
    for part in re.split(r"(\n[ \t\r]*\n)", text.replace("\r\n", "\n")):
        for piece in _alike(part):
            if piece.strip():
                entry = _header(piece.strip("\n"), clock)
                entry.number = line
                source.tally.saw(entry.time, utc=entry.utc)
                yield entry
            line += piece.count("\n")


def _alike(paragraph: str) -> Iterator[str]:
    """A paragraph, cut before lines that begin as the first one does, where that is how an error begins."""
    begins = _SINGLE.match(paragraph)
    if begins is None or paragraph.count("\n" + begins[0]) == 0:
        yield paragraph
        return
    parts = paragraph.split("\n" + begins[0])
    yield parts[0] + "\n"
    for n, part in enumerate(parts[1:], 1):
        yield begins[0] + part + ("\n" if n < len(parts) - 1 else "")
