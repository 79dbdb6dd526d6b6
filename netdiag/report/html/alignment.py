"""Two captures of the same traffic: clocks, distance, and the conversations in question packet by packet.

Contract: as section.py. Where it is known which capture is nearer to the client, the drawing has four lines (client,
the two places, server) and an arrow goes as far as its packet was seen; what is in one capture only ends between
the two.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from netdiag.model import AlignedObservation, AlignedPacket, AlignmentObservation, Report, ResetObservation
from netdiag.report import comparison
from netdiag.report.html import markup
from netdiag.report.html.section import Context, Section
from netdiag.report.worst import every

#: Conversations that are drawn, and packets of each.
_MOST, _MOST_PACKETS = 8, 200
#: Where the lines stand, in percent: client, nearer place, farther place, server; and the middle between the places.
LINES = (0, 34, 66, 100)
_BETWEEN = 50


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One packet: the arrow's ends in percent, the frames in the nearer capture and in the farther one."""

    start: int
    end: int
    #: It was lost between the places, or made there.
    cut: bool
    frames: tuple[str, str]
    seconds: str
    words: str
    note: str
    missing: bool
    changes: tuple[str, ...]
    rightward: bool


class Drawing(msgspec.Struct, frozen=True, kw_only=True):
    """One conversation in both captures."""

    anchor: str
    title: str
    #: The captures in the order of the columns: the one nearer to the client first, if that is known.
    names: tuple[str, str]
    placed: bool
    rows: tuple[Row, ...]
    left: int


def sections(report: Report, context: Context) -> Iterator[Section]:
    """What two captures say together; nothing for one."""
    alignment = next(iter(every(report, AlignmentObservation)), None)
    if alignment is None:
        return
    chosen = _chosen(report, context)
    body = markup.render(
        "alignment",
        facts=tuple(comparison.facts(alignment)),
        drawings=[_drawing(o, context.anchor(f"both{n}")) for n, o in enumerate(chosen[:_MOST])],
        left=len(chosen) - _MOST,
        lines=LINES,
    )
    title = f"Two captures: {comparison.name(alignment.path)} and {comparison.name(alignment.other)}"
    yield Section(anchor=context.anchor("alignment"), title=title, body=body, needs=("alignment.css",))


def drawn(report: Report, context: Context) -> dict[str, str]:
    """Where observations stand here: a connection that both captures hold, and its resets in the other one."""
    found = {o.id: context.anchor(f"both{n}") for n, o in enumerate(_chosen(report, context)[:_MOST])}
    return found | {o.id: found[o.parent] for o in every(report, ResetObservation) if o.parent in found}


def _chosen(report: Report, context: Context) -> list[AlignedObservation]:
    """Those asked for, then those that differ, the worst first; at least one."""
    ordered = comparison.worst_first(report, [o for o in every(report, AlignedObservation) if o.packets])
    asked = [o for o in ordered if o.connection in context.conversations]
    differing = [o for o in ordered if o.only_here or o.only_there or o.changes]
    return list({o.id: o for o in (*asked, *(differing or ordered[:1]))}.values())


def _drawing(o: AlignedObservation, anchor: str) -> Drawing:
    names = (comparison.name(o.path), comparison.name(o.other))
    swapped = o.nearer_client == "other"
    packets = o.packets if len(o.packets) <= _MOST_PACKETS else comparison.few(o.packets)
    began = min(p.at for p in o.packets)
    return Drawing(
        anchor=anchor,
        title=f"{comparison.title(o)}: {comparison.ends(o)}",
        names=(names[1], names[0]) if swapped else names,
        placed=bool(o.nearer_client),
        rows=tuple(_row(p, o, began, swapped) for p in packets),
        left=o.omitted + len(o.packets) - len(packets),
    )


def _row(p: AlignedPacket, o: AlignedObservation, began: float, swapped: bool) -> Row:
    pair = (p.other_frame, p.frame) if swapped else (p.frame, p.other_frame)
    start, end, cut = _span(p, pair)
    note = ""
    if p.frame is None or p.other_frame is None:
        where = comparison.name(o.path if p.frame is not None else o.other)
        note = f"only in {where}" if p.missing else f"in {where}; the other capture does not tell"
    return Row(
        start=start,
        end=end,
        cut=cut,
        frames=(_number(pair[0]), _number(pair[1])),
        seconds=f"{p.at - began:.6f}",
        words=comparison.packet_words(p),
        note=note,
        missing=p.missing,
        changes=p.changes,
        rightward=p.sender == "client",
    )


def _number(frame: int | None) -> str:
    return "–" if frame is None else f"{frame:,}"


def _span(p: AlignedPacket, frames: tuple[int | None, int | None]) -> tuple[int, int, bool]:
    """From where to where the packet was on its way, as far as the captures tell."""
    near, far = (frame is not None for frame in frames)
    start, end = (LINES[0], LINES[3]) if p.sender == "client" else (LINES[3], LINES[0])
    if near and far:
        return start, end, False
    stop = _BETWEEN if p.missing else LINES[1] if near else LINES[2]
    # Seen on its sender's side only, it went no further; seen on the other side only, it began there.
    return (start, stop, p.missing) if near == (p.sender == "client") else (stop, end, p.missing)
