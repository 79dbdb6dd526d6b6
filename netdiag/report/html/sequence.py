"""The sequence drawing of one conversation: a line down for each end, an arrow for each packet, notes below it.

Contract: pure. What stands on the lines is report/sequence.py's; this says where each line leads and how it is marked.
Every packet has an anchor by its frame, also those that are folded away.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec
from markupsafe import Markup

from netdiag.model import ConnectionObservation
from netdiag.report import sequence
from netdiag.report.escape import escape
from netdiag.report.sequence import Arrow, Gap, Heading, Line, Side


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the drawing: a heading, a packet, or packets that are folded away (``rows``)."""

    kind: Literal["heading", "packet", "gap"]
    words: str | Markup
    frame: int = 0
    seconds: str = ""
    sender: Side = "client"
    #: "reset", "again", "odd" or nothing.
    tone: str = ""
    notes: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()


def rows(observation: ConnectionObservation) -> tuple[Row, ...]:
    """The lines from top to bottom."""
    start, digits = sequence.clock(observation.segments)
    return tuple(_rows(sequence.lines(observation, whole=False), start, digits))


def _rows(lines: Iterable[Line], start: float, digits: int) -> Iterator[Row]:
    for line in lines:
        match line:
            case Heading():
                yield Row(kind="heading", words=line.words)
            case Gap():
                yield Row(kind="gap", words=line.words, rows=tuple(_rows(line.arrows, start, digits)))
            case Arrow():
                segment = line.segment
                yield Row(
                    kind="packet",
                    words=_tight(line.parts),
                    frame=segment.frame,
                    seconds=f"{segment.at - start:.{digits}f}",
                    sender=segment.sender,
                    tone=_tone(line),
                    notes=line.notes,
                )


def _tight(parts: Sequence[str]) -> Markup:
    """The parts in a line that breaks only between them."""
    return Markup(" ").join(Markup("&nbsp;").join(escape(part).split(" ")) for part in parts)


def _tone(arrow: Arrow) -> str:
    if any("retransmission" in mark for mark in arrow.segment.marks):
        return "again"
    return arrow.weight
