"""One conversation, drawn: a line down for each end, an arrow for each packet, notes below it.

Contract: like the other sections: lines no wider than the page. What stands on them is sequence.py's; times count from
the conversation's first packet.
"""

from __future__ import annotations

from collections.abc import Sequence

from netdiag.model import ConnectionObservation, authority
from netdiag.report import sequence
from netdiag.report.page import Page
from netdiag.report.sequence import Arrow, Gap, Heading, Weight
from netdiag.report.styled import Text

_STYLES: dict[Weight, str] = {"reset": "red", "odd": "yellow", "": ""}


def draw(page: Page, observation: ConnectionObservation, *, whole: bool) -> None:
    """Draw it: ``whole``, or folded to about a screen."""
    sheet = _Sheet(page, observation)
    sheet.ends()
    for line in sequence.lines(observation, whole=whole):
        match line:
            case Heading():
                sheet.label(line.words)
            case Gap():
                sheet.gap(line.words)
            case Arrow():
                sheet.arrow(line)


class _Sheet:
    """The lines of one drawing: number and time at the left, then the space between the two ends."""

    def __init__(self, page: Page, observation: ConnectionObservation) -> None:
        self._page = page
        self._connection = observation.connection
        self._start, self._digits = sequence.clock(observation.segments)
        highest = max((segment.frame for segment in observation.segments), default=0)
        longest = max((segment.at for segment in observation.segments), default=0.0) - self._start
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

    def arrow(self, arrow: Arrow) -> None:
        """One packet, and what is to be said of it."""
        segment = arrow.segment
        seconds = f"{segment.at - self._start:.{self._digits}f}"
        lead = self._page.text((f"  {segment.frame:>{self._frame}} {seconds:>{self._time}}  ", "dim"))
        label = self._page.crop(self._page.text(arrow.label), max(self._room - 8, 4))
        style = _STYLES[arrow.weight]
        fill = self._dash * max(self._room - label.cells - 5, 1)
        if segment.sender == "client":
            pieces = Text.of(self._dash * 2 + " ", style) + label + Text.of(f" {fill}{self._right}", style)
        else:
            pieces = Text.of(f"{self._left}{self._dash} ", style) + label + Text.of(f" {fill}{self._dash}", style)
        self._between(lead, pieces)
        self._notes(arrow.notes, style or "bold")

    def _notes(self, notes: Sequence[str], style: str) -> None:
        for note in notes:
            for line in self._page.wrap(self._page.text((note, style)), self._room - 4):
                self._between(None, Text.of("   ") + line)

    def label(self, words: str) -> None:
        """A heading between the ends."""
        self._between(None, self._page.text((f"{self._dots * 2} {words} ".ljust(self._room, self._dots), "dim")))

    def gap(self, words: str) -> None:
        """Packets that are not drawn."""
        self._between(None, self._page.text((f"   … {words}", "dim")))

    def _between(self, lead: Text | None, inside: Text) -> None:
        bar = Text.of(self._line)
        indent = 2 + self._frame + 1 + self._time + 2
        self._page.line(
            (lead or Text.of(" " * indent)) + bar + self._page.crop(inside, self._room).pad(self._room) + bar
        )
