"""When each probe ran: the time axis that drawings share, and the drawing for text.

Contract: pure. Times count from the first probe; shares are of the whole axis, from 0 to 1. A probe that took no
measurable time still has a mark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from netdiag.model import Observation, Report
from netdiag.report import sections, units
from netdiag.report.page import Page
from netdiag.report.styled import Text

#: Labels on the axis, at most.
_TICKS = 4
#: No run takes longer, in seconds; a saved report may claim anything.
_LONGEST = 1e9
#: The shortest axis that makes sense, in seconds.
_SHORTEST = 0.001
#: Probes that are drawn; of a name with very many addresses the first ones tell enough.
_MOST = 60
#: Cells that names take, at most, and those of a time.
_NAME, _TIME = 32, 8


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """A time axis: its first moment, its length in seconds, and (share of the width, label)."""

    start: float
    span: float
    ticks: tuple[tuple[float, str], ...]

    def share(self, at: float) -> float:
        """Where a moment stands."""
        return (at - self.start) / self.span


def timed(observations: Sequence[Observation]) -> list[Observation]:
    """The probes of a run of which it is known when they began."""
    return [o for o in observations if o.started > 0 and o.source == "probe" and o.outcome != "not-run"]


def scale(observations: Sequence[Observation]) -> Scale:
    """The axis of all probes."""
    found = timed(observations)
    start = min((o.started for o in found), default=0.0)
    span = max((o.started + o.took_s for o in found), default=start) - start
    return axis(start, max(span, _SHORTEST))


def axis(start: float, span: float) -> Scale:
    """An axis of ``span`` seconds."""
    span = min(span, _LONGEST)
    step = round_step(span, _TICKS)
    ticks = tuple((n * step / span, _label(n * step)) for n in range(int(span / step) + 1))
    return Scale(start=start, span=span, ticks=ticks)


def round_step(span: float, most: int) -> float:
    """The smallest of 1, 2, 5, 10, ... times a power of ten that cuts ``span`` into at most ``most`` pieces."""
    step = 1e-6
    while True:
        for factor in (1, 2, 5):
            if span <= step * factor * most:
                return step * factor
        step *= 10


def _label(seconds: float) -> str:
    return "0" if seconds == 0 else f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1000:g} ms"


def section(page: Page, report: Report) -> None:
    """The drawing, with its title; nothing where no times are known."""
    if timed(report.observations):
        page.heading("When each probe ran")
        draw(page, report)


def draw(page: Page, report: Report) -> None:
    """A line for each probe, in the order of their beginnings, and the axis below."""
    found = sorted(timed(report.observations), key=lambda o: o.started)
    shown = found[:_MOST]
    whole = scale(found)
    names = [page.crop(page.text(o.id), _NAME) for o in shown]
    column = max((name.cells for name in names), default=0)
    room = page.width - 4 - column - 2 - _TIME
    full, edge = ("█", "│") if page.layout.unicode else ("#", "|")
    for observation, name in zip(shown, names, strict=True):
        mark = sections.MARKS[sections.observation_mark(observation)]
        start, end = _cells(whole, observation, room)
        bar = Text.of(" " * start) + Text.of(full * (end - start), mark[2])
        took = page.text((f"{units.milliseconds(observation.took_s):>{_TIME}}", "dim"))
        lead = page.text("  ", sections.sign(page, mark), " ") + name.pad(column) + Text.of(" ")
        page.line(lead + page.text((edge, "dim")) + bar.pad(room) + took)
    page.line(Text.of(" " * (4 + column + 1)) + page.text((labels(whole, room, edge, beyond=_TIME), "dim")))
    if len(found) > _MOST:
        page.paragraph(f"and {units.counted(len(found) - _MOST, 'more probe')}", first="  ")


def _cells(whole: Scale, observation: Observation, room: int) -> tuple[int, int]:
    """The first cell of a bar, and that after its last."""
    begin = whole.share(observation.started)
    end = min(whole.share(observation.started + observation.took_s), 1.0)
    start = min(max(int(begin * room), 0), room - 1)
    return start, max(math.ceil(end * room), start + 1)


def labels(whole: Scale, room: int, edge: str, *, beyond: int = 0) -> str:
    """The labels, each beginning below its moment, as far as they end within ``room`` and ``beyond`` cells more."""
    line = ""
    for share, label in whole.ticks:
        at = round(share * room)
        if at >= len(line) and at + 1 + len(label) <= room + beyond:
            line = f"{line:<{at}}{edge}{label} "
    return line.rstrip()
