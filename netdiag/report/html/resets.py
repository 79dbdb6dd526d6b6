"""The resets of a capture: how far each came from by its TTL, beside how far the packets came whose address it bears.

Contract: as section.py. Distances are from where the capture was made; hop 4 is the fourth device, behind 3 routers.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from markupsafe import Markup

from netdiag.model import CaptureObservation, Report, ResetEntry, ResetObservation
from netdiag.report import capture_facts, units
from netdiag.report.html import drawings, markup, table
from netdiag.report.html.section import Context, Section
from netdiag.report.html.table import Column
from netdiag.report.ladder import Mark
from netdiag.report.sections import MARKS
from netdiag.report.worst import Worst, every

#: Resets that are shown at once; the others are folded; and all that a page tells of in full.
_FEW, _MOST = 3, 40
#: No packet comes from farther away; a saved report may say anything.
_MOST_HOPS = 256


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A point on the line of hops: its distance in hops, its share of the line, and what it is in words."""

    hop: int
    share: float
    words: str


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One reset, ready for its template; ``peer`` is None where nothing else of that address was captured."""

    mark: Mark
    title: str
    href: str
    finding: str
    lines: tuple[str, ...]
    reset: Place | None
    peer: Place | None
    hops: tuple[float, ...]


def sections(report: Report, context: Context) -> Iterator[Section]:
    """Those whose packets were kept; and every one, where the report lists them."""
    if not every(report, CaptureObservation):
        return
    worst = Worst(report)
    resets = worst.sorted(every(report, ResetObservation))
    if not resets and not report.resets:
        return
    places = drawings.drawn(report, context)
    entries = [_entry(report, o, worst, places.get(o.id, "")) for o in resets[:_MOST]]
    seen = sum(capture.rst for capture in every(report, CaptureObservation)[:1])
    listed = _listed(report, context) if report.resets else None
    body = markup.render(
        "resets",
        entries=entries[:_FEW],
        more=entries[_FEW:],
        marks=MARKS,
        level=context.level,
        listed=listed,
        left=len(resets) - len(entries),
        unlisted=report.more_resets,
    )
    needs = ("resets.css", *(table.NEEDS if listed else ()))
    yield Section(
        anchor=context.anchor("resets"), title=f"Resets: {units.counted(seen, 'packet')}", body=body, needs=needs
    )


def _entry(report: Report, o: ResetObservation, worst: Worst, href: str) -> Entry:
    there = "in the other capture: " if o.id.startswith("other-") else ""
    parent = next((c for c in report.observations if c.id == o.parent), None)
    where = f"{parent.id.replace('connection-', 'conversation ')}, " if parent and not there else ""
    name = f" ({o.server_name})" if o.server_name else ""
    reset, peer = places(o)
    last = max((place.hop for place in (reset, peer) if place), default=0)
    return Entry(
        mark=worst.mark(o),
        title=f"{there}{where}{capture_facts.place(o)}{name}",
        href=href,
        finding=worst.id_of(o),
        lines=tuple(capture_facts.reset_lines(o)),
        reset=reset,
        peer=peer,
        hops=tuple(hop / last for hop in range(1, last)) if last <= _MOST_HOPS else (),
    )


def places(o: ResetObservation) -> tuple[Place | None, Place | None]:
    """Where the reset came from, and where the other packets of its address did, on one line from here (0) to 1."""
    first = next(iter(o.resets), None)
    if first is None:
        return None, None
    own = o.opening.ttl if o.opening else _usual(o.ttls) or _usual(o.ttls_elsewhere)
    hops = [capture_facts.crossed(ttl)[1] + 1 for ttl in (first.ttl, own) if ttl is not None]
    last = max(hops)
    reset = Place(hop=hops[0], share=hops[0] / last, words=f"the reset: {_sum(first.ttl)}")
    if own is None:
        return reset, None
    return reset, Place(hop=hops[1], share=hops[1] / last, words=f"the {o.claimed}: {_sum(own)}")


def _usual(ttls: tuple[tuple[int, int], ...]) -> int | None:
    return max(ttls, key=lambda pair: pair[1])[0] if ttls else None


def _sum(ttl: int) -> str:
    initial, routers = capture_facts.crossed(ttl)
    return f"hop {routers + 1}, TTL {ttl} = {initial} − {routers}"


def _listed(report: Report, context: Context) -> Markup:
    """The table of every reset."""
    entries = report.resets
    columns = [
        Column(title="Conversation", kind="number", plain=True, values=[e.connection for e in entries]),
        Column(title="Client and server", values=[capture_facts.flow_ends(e.flow) for e in entries], searched=True),
        Column(title="Name", values=[e.name for e in entries], searched=True),
        Column(title="Bears the address of", values=[e.claimed for e in entries]),
        Column(title="Resets", kind="number", values=[e.count for e in entries]),
        Column(title="Sent by", values=[e.origin for e in entries], choice=True, tones={"path-device": "bad"}),
        Column(title="Sure, %", kind="number", values=[round(100 * e.confidence) for e in entries]),
        Column(title="TTL", kind="number", values=[e.ttl for e in entries]),
        Column(title="Hop", kind="number", values=[capture_facts.crossed(e.ttl)[1] + 1 for e in entries]),
        Column(title="Time (UTC)", kind="moment", values=[_moment(e) for e in entries]),
        Column(title="Frame", kind="number", plain=True, values=[e.frame for e in entries]),
    ]
    places = drawings.anchors(report, context)
    links = {n: f"#{places[e.connection]}" for n, e in enumerate(entries) if e.connection in places}
    return table.render(context.anchor("every-reset"), "Every reset", columns, hint="address or name", links=links)


def _moment(entry: ResetEntry) -> float:
    return entry.at or entry.started
