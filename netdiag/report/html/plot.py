"""The time-sequence plot of one side's bytes, as W. R. Stevens and tcptrace draw it.

It shows where each segment stands over time, how far the other side has acknowledged, and how much more it would take.

Contract: pure. Two coordinate systems: lines are in units of the field, whose origin is its upper left corner and which
stretches with the page (``viewBox`` without an aspect ratio, strokes that do not scale); signs and ticks are placed at
shares of it, so that they keep their form. assets/plot.js shows a part of the field. Browsers count in single
precision: units are chosen so that a field has some 10^6 of them at most, and a part of a thousandth is still sharp.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence

import msgspec

from netdiag.model import ConnectionObservation, Segment
from netdiag.report import sequence, units
from netdiag.report.sequence import OTHER, Side

#: Units of a field in each direction, at most about.
_UNITS = 1_000_000
#: The least unit of time: captures seldom tell more.
_LEAST_S = 1e-6
#: Moments beyond are none: the year 5138.
_END = 1e11
#: Room around the lines, as a share of what they take.
_PAD_X, _PAD_Y = 0.02, 0.06
#: A window line that would make the picture more than this much higher runs out of it.
_WINDOW_ROOM = 0.6
#: Ticks of the whole, at most; on a phone more would not fit.
X_TICKS, Y_TICKS = 4, 5
#: Windows are scaled by at most 2^14 (RFC 7323 §2.3).
_MOST_SCALED = 14
#: Frames that the description in words names.
_NAMED = 6


class Stroke(msgspec.Struct, frozen=True, kw_only=True):
    """A segment: from its first byte up to its last, at one moment."""

    frame: int
    x: int
    y: int
    height: int
    tone: str


class Sign(msgspec.Struct, frozen=True, kw_only=True):
    """What stands beside a line: a letter and its place in the field."""

    frame: int
    x: int
    y: int
    letter: str
    tone: str


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the legend."""

    symbol: str
    tone: str
    words: str


class Plot(msgspec.Struct, frozen=True, kw_only=True):
    """One side's plot. ``width``, ``height``: of the field in its units; ``unit_s``, ``unit_bytes``: what one is.

    ``left`` is the time at its left border in seconds, ``top`` the sequence number at its upper one.
    """

    sender: Side
    width: int
    height: int
    unit_s: float
    unit_bytes: int
    left: float
    top: int
    strokes: tuple[Stroke, ...]
    acks: str
    window: str
    #: The stretch of time whose packets are not in the report, in units: (x, width); and how many they are.
    left_out: tuple[int, int] | None
    signs: tuple[Sign, ...]
    legend: tuple[Key, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    words: str

    def share_x(self, x: float) -> float:
        """Where in the whole field that is, from 0 to 1."""
        return x / self.width

    def share_y(self, y: float) -> float:
        """The same from the top down."""
        return y / self.height


def plots(observation: ConnectionObservation) -> tuple[Plot, ...]:
    """The plots of both sides, the one with more bytes first; a side that sent next to nothing has none."""
    sides: list[Side] = ["client", "server"]
    c = observation.connection
    found = [_Side(observation, side) for side in sides if _worth_it(observation.segments, side)]
    if c.bytes_server > c.bytes_client:
        found.reverse()
    return tuple(side.plot() for side in found)


def _worth_it(segments: Sequence[Segment], side: Side) -> bool:
    """Two segments with data, or one that was sent again, make a picture; without times there is none."""
    if not all(0 < segment.at < _END for segment in segments):
        return False
    taking = [s for s in segments if s.sender == side and (s.length or "SYN" in s.flags)]
    return sum(s.length > 0 for s in taking) > 1 or any("retransmission" in mark for s in taking for mark in s.marks)


class _Placed(msgspec.Struct, frozen=True, kw_only=True):
    """One packet: what it took if the side sent it, from ``first`` to ``last``; else how far all was acknowledged."""

    segment: Segment
    mine: bool
    #: It is the other side's, and acknowledges.
    acks: bool
    first: int
    last: int


def _placed(segments: Sequence[Segment], side: Side) -> Iterator[_Placed]:
    """The packets of a conversation in the numbers of one side, from its initial one on, beyond 2^32 too."""
    base = sequence.initial_numbers(segments).get(side)
    highest = acked = 0
    for segment in segments:
        flags = segment.flags.split(",")
        mine = segment.sender == side
        acks = not mine and "ACK" in flags and "RST" not in flags
        if mine:
            first = sequence.unwrapped(sequence.relative(segment.seq, base), highest)
            last = first + segment.length + ("SYN" in flags) + ("FIN" in flags)
            highest = max(highest, last)
            yield _Placed(segment=segment, mine=True, acks=False, first=first, last=last)
            continue
        if acks:
            acked = sequence.unwrapped(sequence.relative(segment.ack, base), highest)
        yield _Placed(segment=segment, mine=False, acks=acks, first=acked, last=acked)


class _Side:
    """What one side sent, in its relative numbers, on its way into a field."""

    def __init__(self, observation: ConnectionObservation, side: Side) -> None:
        self._observation = observation
        self._segments = observation.segments
        self._side = side
        self._start, _ = sequence.clock(self._segments)
        self._scale = _scale(self._segments, OTHER[side])
        self._all = list(_placed(self._segments, side))
        self._sent = [p for p in self._all if p.mine]
        self._acks = [p for p in self._all if p.acks]
        numbers = [number for p in (*self._sent, *self._acks) for number in (p.first, p.last)]
        low, high = min(numbers), max(numbers)
        windows = [edge for _, edge in self._edges()]
        if windows and max(windows) - high <= _WINDOW_ROOM * (high - low):
            high = max(high, *windows)
        self._frame(low, max(high, low + 1))

    def _frame(self, low: int, high: int) -> None:
        """Choose units and borders."""
        span = max(max((s.at for s in self._segments), default=0.0) - self._start, _LEAST_S)
        self._unit_s = max(_LEAST_S, 10.0 ** math.ceil(math.log10(span / _UNITS)))
        self._unit_bytes = int(10 ** max(0, math.ceil(math.log10((high - low) / _UNITS))))
        self._pad = math.ceil(_PAD_X * span / self._unit_s)
        self._width = math.ceil(span / self._unit_s) + 2 * self._pad
        pad_y = max(math.ceil(_PAD_Y * (high - low) / self._unit_bytes), 1)
        self._top = high + pad_y * self._unit_bytes
        self._height = math.ceil((self._top - low) / self._unit_bytes) + pad_y

    def _x(self, segment: Segment) -> int:
        return round((segment.at - self._start) / self._unit_s) + self._pad

    def _y(self, number: int) -> int:
        return round((self._top - number) / self._unit_bytes)

    def _edges(self) -> Iterator[tuple[Segment, int]]:
        """How far the other side would take bytes, where that is known."""
        for p in self._acks:
            if "summary" in p.segment.marks:
                continue
            if "SYN" in p.segment.flags:  # RFC 7323 §2.2: the window of a SYN is never scaled
                yield p.segment, p.last + p.segment.window
            elif self._scale is not None:
                yield p.segment, p.last + (p.segment.window << self._scale)

    def plot(self) -> Plot:
        """All of it."""
        strokes = tuple(self._strokes())
        signs = tuple(self._signs())
        acks = _steps([(self._x(p.segment), self._y(p.last)) for p in self._acks], self._width)
        window = _steps([(self._x(s), self._y(edge)) for s, edge in self._edges()], self._width)
        left = -self._pad * self._unit_s
        bottom = self._top - self._height * self._unit_bytes
        return Plot(
            sender=self._side,
            width=self._width,
            height=self._height,
            unit_s=self._unit_s,
            unit_bytes=self._unit_bytes,
            left=left,
            top=self._top,
            strokes=strokes,
            acks=acks,
            window=window,
            left_out=self._left_out(),
            signs=signs,
            legend=tuple(self._legend(strokes, signs, acks, window)),
            x_ticks=tuple(_x_ticks(left, self._width * self._unit_s)),
            y_ticks=tuple(_y_ticks(self._top, bottom)),
            words=self._words(),
        )

    def _strokes(self) -> Iterator[Stroke]:
        for p in self._sent:
            if p.last > p.first and "RST" not in p.segment.flags:
                height = round((p.last - p.first) / self._unit_bytes)
                x, y, tone = self._x(p.segment), self._y(p.last), _tone(p.segment)
                yield Stroke(frame=p.segment.frame, x=x, y=y, height=height, tone=tone)

    def _signs(self) -> Iterator[Sign]:
        for p in self._all:
            for letter, tone in _letters(p.segment, p.mine):
                x, y = self._x(p.segment), self._y(p.last)
                yield Sign(frame=p.segment.frame, x=x, y=y, letter=letter, tone=tone)

    def _left_out(self) -> tuple[int, int] | None:
        o = self._observation
        if not o.omitted or not 0 < o.omitted_after < len(o.segments):
            return None
        start, end = self._x(o.segments[o.omitted_after - 1]), self._x(o.segments[o.omitted_after])
        return (start, end - start) if end > start else None

    def _legend(self, strokes: Sequence[Stroke], signs: Sequence[Sign], acks: str, window: str) -> Iterator[Key]:
        other = OTHER[self._side]
        if strokes:
            yield Key(symbol="stroke", tone="", words=f"sent by the {self._side}")
        if acks:
            yield Key(symbol="line", tone="acks", words=f"acknowledged by the {other}")
        if window:
            above = all(edge > self._top for _, edge in self._edges())
            words = f"what the {other} would take (its window{', above the picture' if above else ''})"
            yield Key(symbol="line", tone="window", words=words)
        elif self._acks and self._scale is None:
            yield Key(symbol="", tone="", words="no window line: its scale was told before the capture began")
        for letter, tone in dict.fromkeys((sign.letter, sign.tone) for sign in signs):
            yield Key(symbol=letter, tone=tone, words=_LETTERS[letter])
        if self._left_out():
            yield Key(symbol="band", tone="", words=f"{units.counted(self._observation.omitted, 'packet')} left out")

    def _words(self) -> str:
        """What the picture shows, for those who do not see it."""
        data = [p.segment.length for p in self._sent if p.segment.length]
        seconds = max(s.at for s in self._segments) - self._start
        total = units.counted(sum(data), "byte")
        parts = [f"{total} from the {self._side} in {units.counted(len(data), 'segment')} within {seconds:.6g} s"]
        again = [p.segment.frame for p in self._sent if any("retransmission" in mark for mark in p.segment.marks)]
        if again:
            more = f" and {len(again) - _NAMED} more" if len(again) > _NAMED else ""
            parts.append(f"{len(again)} sent again, in frame {', '.join(map(str, again[:_NAMED]))}{more}")
        if self._acks:
            parts.append(f"the {OTHER[self._side]} acknowledged up to byte {max(p.last for p in self._acks):,}")
        closed = sum("zero-window" in p.segment.marks for p in self._acks)
        if closed:
            parts.append(f"and closed its window {units.counted(closed, 'time')}")
        reset = next((s for s in self._segments if "RST" in s.flags), None)
        if reset is not None:
            parts.append(f"a reset with the {reset.sender}'s address at {reset.at - self._start:.6g} s")
        return "; ".join(parts)


_LETTERS = {
    "S": "SYN",
    "F": "FIN",
    "R": "sent again",
    "O": "out of order",
    "✗": "reset",
    "Z": "window closed",
    "–": "duplicate ACK",
}


def _letters(segment: Segment, mine: bool) -> Iterator[tuple[str, str]]:
    """The signs of one packet in the plot of its sender's bytes, or of the other side's."""
    flags = segment.flags.split(",")
    if "RST" in flags:
        yield "✗", "bad"
    elif mine:
        if any("retransmission" in mark for mark in segment.marks):
            yield "R", "bad"
        elif "out-of-order" in segment.marks:
            yield "O", "odd"
        elif "SYN" in flags:
            yield "S", ""
        elif "FIN" in flags:
            yield "F", ""
    elif "zero-window" in segment.marks:
        yield "Z", "bad"
    elif "duplicate-ack" in segment.marks:
        yield "–", "odd"


def _tone(segment: Segment) -> str:
    if any("retransmission" in mark for mark in segment.marks):
        return "bad"
    return "odd" if "out-of-order" in segment.marks else ""


def _scale(segments: Sequence[Segment], side: Side) -> int | None:
    """By how many bits a side's windows are shifted; None where its SYN or its options are not known.

    Both sides must have told a scale in their SYN, else neither is used (RFC 7323 §2.2).
    """
    told: dict[str, int | None] = {}
    for segment in segments:
        if "SYN" in segment.flags.split(",") and "summary" not in segment.marks:
            found = re.search(r"wscale (\d{1,3})", segment.options)
            told.setdefault(segment.sender, int(found[1]) if found else None)
    if len(told) < 2:
        return None
    scale = told[side]
    return 0 if None in told.values() or scale is None else min(scale, _MOST_SCALED)


def _steps(points: Sequence[tuple[int, int]], width: int) -> str:
    """A line that holds each value until the next, as SVG path data; to the right border."""
    if not points:
        return ""
    parts = [f"M{points[0][0]} {points[0][1]}"]
    at = points[0][1]
    for x, y in points[1:]:
        if y != at:
            parts.append(f"H{x}V{y}")
            at = y
    return "".join([*parts, f"H{width}"])


def round_step(span: float, most: int) -> float:
    """The smallest of 1, 2, 5 times a power of ten that cuts ``span`` into at most ``most`` pieces."""
    power = 10.0 ** math.floor(math.log10(span / most))
    return next(power * factor for factor in (1, 2, 5, 10, 20) if span <= power * factor * most * (1 + 1e-9))


def _x_ticks(left: float, span: float) -> Iterator[tuple[float, str]]:
    step = round_step(span, X_TICKS)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    for n in range(math.ceil((left + span) / step)):
        yield (n * step - left) / span, f"{n * step:.{digits}f}"


def _y_ticks(top: int, bottom: int) -> Iterator[tuple[float, str]]:
    step = max(round(round_step(top - bottom, Y_TICKS)), 1)
    for number in range(math.ceil(bottom / step) * step, top + 1, step):
        yield (top - number) / (top - bottom), f"{number:,}"
