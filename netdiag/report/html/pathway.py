"""The path to each address that was traced: client, hops, the device that did it, the server, a line for each trace.

Contract: as section.py. What stands where is hops.py's and path.py's; this only lays it out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import msgspec

from netdiag.model import Report, TraceObservation, WireObservation, authority
from netdiag.report import arithmetic, path, trace_facts
from netdiag.report.hops import End, Path, paths
from netdiag.report.html import markup
from netdiag.report.html.section import Context, Section

#: Width of one trace's line, in pixels.
LANE = 22

Symbol = Literal["line", "start", "ok", "failed", "not-run", ""]


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """One trace beside one row: where its line stands in pixels, whether it goes on below, and what marks the row."""

    x: int
    above: bool
    below: bool
    symbol: Symbol


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One hop, or several with nothing to say."""

    number: str
    lanes: tuple[Lane, ...]
    #: (address, what is known of it, round trip); one for each router at this distance.
    places: tuple[tuple[str, str, str], ...]
    #: What ended here: the words and whether that is good.
    notes: tuple[tuple[str, bool], ...]
    blamed: bool
    peer: bool
    quiet: bool


class Drawing(msgspec.Struct, frozen=True, kw_only=True):
    """One path."""

    title: str
    traces: tuple[str, ...]
    width: int
    rows: tuple[Row, ...]
    arithmetic: tuple[str, ...]


def sections(report: Report, context: Context) -> Iterator[Section]:
    """Every path, and what could not be observed."""
    drawings = tuple(_drawing(report, found) for found in paths(report))
    seen = (o for o in report.observations if isinstance(o, TraceObservation | WireObservation))
    limits = tuple(dict.fromkeys(limit for o in seen for limit in o.limits))
    if drawings:
        body = markup.render("pathway", drawings=drawings, limits=limits, level=context.level)
        yield Section(anchor=context.anchor("path"), title="The path", body=body)


def _drawing(report: Report, found: Path) -> Drawing:
    rows = tuple(_row(found, start, stop) for start, stop in path.runs(found, folded=report.command != "trace"))
    return Drawing(
        title=authority(found.address, found.port),
        traces=tuple(trace_facts.title(end.trace) for end in found.ends),
        width=LANE * len(found.ends),
        rows=rows,
        arithmetic=arithmetic.lines(report, found),
    )


def _row(found: Path, start: int, stop: int) -> Row:
    here = found.rows[start:stop]
    single = len(here) == 1
    ended = [end for end in found.ends if end.row == start]
    return Row(
        number=path.span(here[0], here[-1]),
        lanes=tuple(_lane(end, n, start) for n, end in enumerate(found.ends)),
        places=tuple(path.places(found, start)) if single else (("", path.run_words(here), ""),),
        notes=tuple((path.note(end, start, found), end.good) for end in ended),
        blamed=any(end.finding for end in ended),
        peer=here[0].peer,
        quiet=not single or not (here[0].addresses or start == 0),
    )


def _lane(end: End, n: int, row: int) -> Lane:
    going = row < end.row
    symbol: Symbol = "line" if going else ""
    if row == end.row:
        symbol = "ok" if end.good else "not-run" if end.trace.mode == "udp" else "failed"
    elif row == 0:
        symbol = "start"
    return Lane(x=LANE * n + LANE // 2, above=0 < row <= end.row, below=going, symbol=symbol)
