"""The time-sequence plot of one conversation for text: where each byte of one side stands over time (W. R. Stevens).

A transfer that runs is a slope, a pause is a gap, what was sent again stands below what came before, and a window that
is closed is a step. Contract: as sections.py. Data are dots of Braille patterns, eight to a cell, or stars in ASCII;
what is worth a look has a letter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netdiag.model import ConnectionObservation, Segment
from netdiag.report import sequence, timeline, units
from netdiag.report.page import Page
from netdiag.report.sequence import OTHER, Side
from netdiag.report.styled import Text

#: Rows of the field.
_ROWS = 12
#: Cells that the labels on the left take.
_LABEL = 8
#: Fewer segments with data are read faster in the drawing above.
_LEAST = 4

#: The dots of a cell from its upper left one: bits of the code point (Unicode §21.1, Braille Patterns).
_BRAILLE = 0x2800
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))

#: Sign, what it means, style; the first that a cell has is shown.
_SIGNS = {
    "X": ("reset", "red"),
    "R": ("sent again", "yellow"),
    "Z": ("window closed", "red"),
    "O": ("out of order", "yellow"),
    "F": ("FIN", ""),
    "S": ("SYN", ""),
}

_Cell = tuple[int, int]


def draw(page: Page, observation: ConnectionObservation) -> None:
    """The bytes of the side that sent more; nothing for a conversation with next to no data."""
    c = observation.connection
    side: Side = "server" if c.bytes_server > c.bytes_client else "client"
    data = [s for s in observation.segments if s.sender == side and s.length]
    if len(data) < _LEAST or len({s.at for s in data}) < 2:
        return
    field = _Field(page, observation, side)
    page.blank()
    page.paragraph((f"Bytes of the {side} over time", "bold"), first="  ")
    field.draw()


class _Field:
    """Cells, each with dots of data, an acknowledgement, or a sign."""

    def __init__(self, page: Page, observation: ConnectionObservation, side: Side) -> None:
        self._page = page
        self._observation = observation
        self._side = side
        self._room = page.width - 2 - _LABEL - 2
        segments = observation.segments
        self._start, _ = sequence.clock(segments)
        self._span = max(max(s.at for s in segments) - self._start, 1e-6)
        placed = list(_placed(segments, side))
        self._low = min(first for _, first, _ in placed)
        self._high = max(max(last for _, _, last in placed), self._low + 1)
        self._dots: dict[_Cell, int] = {}
        self._acks: set[_Cell] = set()
        self._signs: dict[_Cell, str] = {}
        for segment, first, last in placed:
            self._put(segment, first, last)

    def _put(self, segment: Segment, first: int, last: int) -> None:
        mine = segment.sender == self._side
        x, low, high = self._x(segment), self._y(first), self._y(last)
        if not mine:
            self._acks.add((x // 2, low // 4))
        elif segment.length:
            for y in range(low, high + 1):
                cell = (x // 2, y // 4)
                self._dots[cell] = self._dots.get(cell, 0) | _DOTS[3 - y % 4][x % 2]
        for sign in _signs(segment, mine):
            cell = (x // 2, high // 4)
            order = list(_SIGNS)
            self._signs[cell] = min(sign, self._signs.get(cell, sign), key=order.index)

    def _x(self, segment: Segment) -> int:
        return round((segment.at - self._start) / self._span * (2 * self._room - 1))

    def _y(self, number: int) -> int:
        return round((number - self._low) / (self._high - self._low) * (4 * _ROWS - 1))

    def draw(self) -> None:
        """The rows from the top, the axis, what the signs mean."""
        unicode = self._page.layout.unicode
        edge = "│" if unicode else "|"
        for row in reversed(range(_ROWS)):
            label = units.size(self._high) if row == _ROWS - 1 else units.size(max(self._low, 0)) if not row else ""
            lead = self._page.text((f"  {label:>{_LABEL}} {edge}", "dim"))
            self._page.line(sum((self._cell((column, row)) for column in range(self._room)), lead))
        axis = timeline.labels(timeline.axis(0.0, self._span), self._room, edge)
        self._page.line(self._page.text((" " * (3 + _LABEL) + axis, "dim")))
        self._page.paragraph((", ".join(self._legend()), "dim"), first="  ")

    def _cell(self, cell: _Cell) -> Text:
        unicode = self._page.layout.unicode
        if sign := self._signs.get(cell):
            return Text.of("✗" if sign == "X" and unicode else sign, _SIGNS[sign][1])
        if dots := self._dots.get(cell):
            return Text.of(chr(_BRAILLE + dots) if unicode else "*")
        return Text.of("·" if unicode else ".", "dim") if cell in self._acks else Text.of(" ")

    def _legend(self) -> Iterator[str]:
        unicode = self._page.layout.unicode
        yield f"{'⠿' if unicode else '*'} data"
        if self._acks:
            yield f"{'·' if unicode else '.'} acknowledged by the {OTHER[self._side]}"
        for sign, (words, _) in _SIGNS.items():
            if sign in self._signs.values():
                yield f"{'✗' if sign == 'X' and unicode else sign} {words}"
        if self._observation.omitted:
            yield f"{units.counted(self._observation.omitted, 'packet')} in the middle left out"


def _placed(segments: Sequence[Segment], side: Side) -> Iterator[tuple[Segment, int, int]]:
    """The segments that have a place: what the side sent, from its first byte to its last, and what acknowledges it.

    Numbers count from its first, beyond 2^32 too.
    """
    base = sequence.initial_numbers(segments).get(side)
    highest = acked = 0
    for segment in segments:
        flags = segment.flags.split(",")
        if segment.sender == side:
            first = sequence.unwrapped(sequence.relative(segment.seq, base), highest)
            last = first + segment.length
            highest = max(highest, last)
            yield segment, first, last
        elif "ACK" in flags and "RST" not in flags:
            acked = sequence.unwrapped(sequence.relative(segment.ack, base), highest)
            yield segment, acked, acked
        elif "RST" in flags:
            yield segment, acked, acked


def _signs(segment: Segment, mine: bool) -> Iterator[str]:
    flags = segment.flags.split(",")
    if "RST" in flags:
        yield "X"
    elif mine:
        if any("retransmission" in mark for mark in segment.marks):
            yield "R"
        if "out-of-order" in segment.marks:
            yield "O"
        if "FIN" in flags:
            yield "F"
        if "SYN" in flags:
            yield "S"
    elif "zero-window" in segment.marks:
        yield "Z"
