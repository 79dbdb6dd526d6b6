"""One conversation, drawn: a line down for each end, an arrow for each packet, notes below it.

Contract: like the other sections: lines no wider than the page. Sequence numbers count from the sender's initial one,
which is 0; times from the conversation's first packet. A long conversation is folded: what is unremarkable in the
middle becomes one line that says how much it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

from netdiag.model import Connection, ConnectionObservation, Segment, authority
from netdiag.report import capture_facts
from netdiag.report.page import Page
from netdiag.report.styled import Text
from netdiag.report.units import counted, size

#: Arrows of a drawing that nobody asked for: with its notes it should still fit on one screen.
_FEW = 24
#: Packets that always stand at the beginning and at the end.
_FIRST, _LAST = 6, 3

_Side = Literal["client", "server"]
_OTHER: dict[_Side, _Side] = {"client": "server", "server": "client"}

_NOTES = {
    "retransmission": "sent again",
    "out-of-order": "out of order",
    "duplicate-ack": "duplicate ACK",
    "keep-alive": "keep-alive",
    "zero-window": "window closed: takes no more data for now",
    "previous-lost": "something before it is missing from the capture",
    "acked-unseen": "acknowledges data that is missing from the capture",
    "captured-twice": "captured twice",
}
#: Marks that are counted along.
_COUNTED = frozenset({"retransmission", "duplicate-ack", "keep-alive"})


def draw(page: Page, observation: ConnectionObservation, *, whole: bool) -> None:
    """Draw it: ``whole``, or folded to about a screen."""
    segments = observation.segments
    shown = range(len(segments)) if whole else _remarkable(segments, _FEW)
    sheet = _Sheet(page, observation)
    sheet.ends()
    notes = _Notes(observation.connection)
    phase = ""
    before = -1
    for n in range(len(segments)):
        said = notes.on(segments[n])
        if n not in shown:
            continue
        sheet.gap(_left_out(observation, before, n))
        if phase != (phase := notes.phase):
            sheet.label(phase)
        sheet.arrow(segments[n], said)
        before = n
    sheet.gap(_left_out(observation, before, len(segments)))


def _remarkable(segments: Sequence[Segment], most: int) -> frozenset[int]:
    """Which packets to show: the first, the last, and those between that open, close, reset or bear a mark."""
    last = len(segments) - _LAST
    chosen = [
        n
        for n, segment in enumerate(segments)
        if n < _FIRST or n >= last or segment.marks or not {"SYN", "FIN", "RST"}.isdisjoint(segment.flags.split(","))
    ]
    if len(chosen) > most:
        end = most // 3
        chosen = chosen[: most - end] + chosen[-end:]
    # A single packet takes no more room than the line that would say that it was left out.
    single = {n + 1 for n, after in pairwise(chosen) if after == n + 2}
    return frozenset(chosen) | single


def _left_out(observation: ConnectionObservation, before: int, after: int) -> str:
    """What stood between two arrows."""
    between = observation.segments[before + 1 : after]
    missing = observation.omitted if before < observation.omitted_after <= after else 0
    if not between and not missing:
        return ""
    if missing:
        return f"{counted(len(between) + missing, 'packet')} left out"
    sides: Counter[str] = Counter()
    for segment in between:
        sides[segment.sender] += segment.length
    data = [f"{size(length)} from the {side}" for side, length in sorted(sides.items()) if length]
    return ", ".join([counted(len(between), "packet"), *data])


class _Notes:
    """What there is to say about each packet, which depends on those before it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._counts: Counter[tuple[str, str]] = Counter()
        self._opened = connection.opening == "mid-stream"
        #: The heading under which the last packet belongs.
        self.phase = ""

    def on(self, segment: Segment) -> list[str]:
        """The notes below one packet."""
        flags = segment.flags.split(",")
        self._move(segment, flags)
        said = list(self._marks(segment, flags))
        if "RST" in flags:
            said += self._reset(segment)
        return said

    def _move(self, segment: Segment, flags: Sequence[str]) -> None:
        if "SYN" in flags:
            ways = "3-way opening" if self._connection.opening == "complete" else "opening"
            self.phase = "" if self._opened else ways
        elif "RST" in flags:
            self.phase = "reset"
        elif "FIN" in flags and self.phase != "reset":
            self.phase = "4-way closing" if self._connection.closing == "fin" else "closing"
        elif self._opened and self.phase.endswith("opening"):
            self.phase = "data"
        self._opened = self._opened or (segment.sender == "client" and "ACK" in flags)

    def _marks(self, segment: Segment, flags: Sequence[str]) -> Iterator[str]:
        for mark in segment.marks:
            if mark == "syn-retransmission" or (mark == "retransmission" and "SYN" in flags):
                kind = "SYN-ACK" if "ACK" in flags else "SYN"
                netmon = " (SynReTransmit)" if kind == "SYN" else ""  # Network Monitor's word for it
                yield f"{kind} retransmission #{self._count(segment, kind)}{netmon}"
            elif mark in _COUNTED:
                yield f"{_NOTES[mark]} (#{self._count(segment, mark)} of the {segment.sender})"
            else:
                yield _NOTES.get(mark, mark)

    def _count(self, segment: Segment, kind: str) -> int:
        self._counts[segment.sender, kind] += 1
        return self._counts[segment.sender, kind]

    def _reset(self, segment: Segment) -> Iterator[str]:
        """Where it came from by its TTL, and where the other packets of that address did."""
        c = self._connection
        opener = (c.ttl_syn, "its SYN") if segment.sender == "client" else (c.ttl_syn_ack, "its SYN-ACK")
        others = c.ttl_client if segment.sender == "client" else c.ttl_server
        usual, what = opener if opener[0] is not None else (others[0] if others else None, "its other packets")
        if usual == segment.ttl:
            yield f"TTL {segment.ttl}, as {what}: {capture_facts.hops(segment.ttl)}"
            return
        yield f"TTL {segment.ttl}: {capture_facts.hops(segment.ttl)}"
        if usual is not None:
            yield f"but {what} had TTL {usual}: {capture_facts.hops(usual)}"


class _Sheet:
    """The lines of one drawing: number and time at the left, then the space between the two ends."""

    def __init__(self, page: Page, observation: ConnectionObservation) -> None:
        self._page = page
        self._connection = observation.connection
        self._start = min((segment.at for segment in observation.segments), default=0.0)
        self._base = _initial_numbers(observation.segments)
        highest = max((segment.frame for segment in observation.segments), default=0)
        longest = max((segment.at for segment in observation.segments), default=0.0) - self._start
        self._digits = 6 if longest < 100 else 3
        self._frame = max(len(str(highest)), 5)
        self._time = max(len(f"{longest:.{self._digits}f}"), 8)
        self._room = page.width - (2 + self._frame + 1 + self._time + 2) - 2
        unicode = page.layout.unicode
        self._line, self._dash, self._dots, self._right, self._left = "│─┄→←" if unicode else "|-.><"

    def ends(self) -> None:
        """Who stands where."""
        c = self._connection
        client, server = authority(c.client, c.client_port), authority(c.server, c.server_port)
        lead = self._page.text((f"  {'frame':>{self._frame}} {'seconds':>{self._time}}  ", "dim"))
        half = self._room // 2
        left = self._page.crop(self._page.text((client, "bold")), half)
        right = self._page.crop(self._page.text((server, "bold")), half)
        blanks = " " * (self._room + 2 - left.cells - right.cells)
        self._page.line(lead + left + Text.of(blanks) + right)

    def arrow(self, segment: Segment, notes: Sequence[str]) -> None:
        """One packet, and what is to be said of it."""
        seconds = f"{segment.at - self._start:.{self._digits}f}"
        lead = self._page.text((f"  {segment.frame:>{self._frame}} {seconds:>{self._time}}  ", "dim"))
        label = self._page.crop(self._page.text(self._label(segment)), max(self._room - 8, 4))
        style = self._style(segment)
        fill = self._dash * max(self._room - label.cells - 5, 1)
        if segment.sender == "client":
            pieces = Text.of(self._dash * 2 + " ", style) + label + Text.of(f" {fill}{self._right}", style)
        else:
            pieces = Text.of(f"{self._left}{self._dash} ", style) + label + Text.of(f" {fill}{self._dash}", style)
        self._between(lead, pieces)
        for note in notes:
            for line in self._page.wrap(self._page.text((note, style or "bold")), self._room - 4):
                self._between(None, Text.of("   ") + line)

    def label(self, words: str) -> None:
        """A heading between the ends."""
        if words:
            self._between(None, self._page.text((f"{self._dots * 2} {words} ".ljust(self._room, self._dots), "dim")))

    def gap(self, words: str) -> None:
        """Packets that are not drawn."""
        if words:
            self._between(None, self._page.text((f"   … {words}", "dim")))

    def _between(self, lead: Text | None, inside: Text) -> None:
        bar = Text.of(self._line)
        indent = 2 + self._frame + 1 + self._time + 2
        self._page.line(
            (lead or Text.of(" " * indent)) + bar + self._page.crop(inside, self._room).pad(self._room) + bar
        )

    def _label(self, segment: Segment) -> str:
        seq = _relative(segment.seq, self._base.get(segment.sender))
        parts = [segment.flags or "no flags", f"seq {seq}"]
        if "ACK" in segment.flags.split(","):
            parts.append(f"ack {_relative(segment.ack, self._base.get(_OTHER[segment.sender]))}")
        if segment.length:
            parts.append(f"len {segment.length}")
        if "RST" not in segment.flags:
            parts.append(f"win {segment.window}")
        return " ".join(parts)

    def _style(self, segment: Segment) -> str:
        if "RST" in segment.flags:
            return "red"
        return "yellow" if segment.marks else ""


def _initial_numbers(segments: Sequence[Segment]) -> dict[_Side, int]:
    """The number that each side's data counts from: its SYN's, or one less than the first that is seen."""
    base: dict[_Side, int] = {}
    for segment in segments:
        flags = segment.flags.split(",")
        base.setdefault(segment.sender, segment.seq if "SYN" in flags else segment.seq - 1)
        if "ACK" in flags:
            base.setdefault(_OTHER[segment.sender], segment.ack - 1)
    return base


def _relative(number: int, base: int | None) -> int:
    """The distance from ``base`` in serial arithmetic (RFC 1982), negative for what lies before it."""
    distance = (number - (base or 0)) & 0xFFFFFFFF
    return distance - (1 << 32) if distance >= 1 << 31 else distance
