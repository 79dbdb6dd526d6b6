"""The conversations that matter, packet by packet: the sequence drawing of each, and the plots of its bytes over time.

Contract: as section.py. Which they are: those asked for, then the worst; of a live test those that were reset. They are
bounded by number and by packets, so that the page stays small; the first is open.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from netdiag.model import CaptureObservation, Connection, ConnectionObservation, Report, ResetObservation, authority
from netdiag.report import capture_facts, packets, units
from netdiag.report.html import markup, plot, sequence
from netdiag.report.html.section import Context, Section
from netdiag.report.ladder import Mark
from netdiag.report.sections import MARKS
from netdiag.report.worst import Worst, every, in_turn

#: Conversations and packets that a page holds: a packet takes some 700 bytes of it, and a page should stay small.
_MOST, _MOST_PACKETS = 24, 1_000
#: The first drawing may be as long as what the report holds of one that was asked for (2,000 first, 32 last).
_LONGEST = 2_032
#: Where nothing went wrong, so many are drawn to show how it should be.
_HEALTHY = 1

_NEEDS = ("drawings.css", "plot.js")


class Drawing(msgspec.Struct, frozen=True, kw_only=True):
    """One conversation, ready for its template."""

    anchor: str
    mark: Mark
    title: str
    name: str
    client: str
    server: str
    #: What did not go as it should, and the finding that rests on it.
    trouble: str
    finding: str
    facts: str
    rows: tuple[sequence.Row, ...]
    plots: tuple[plot.Plot, ...]


def sections(report: Report, context: Context) -> Iterator[Section]:
    """All drawings."""
    drawn, left = chosen(report, context)
    if not drawn:
        return
    worst = Worst(report)
    of_capture = bool(every(report, CaptureObservation))
    body = markup.render(
        "drawings",
        drawings=[_drawing(o, worst, context) for o in drawn],
        prefix=context.prefix,
        marks=MARKS,
        left=left,
        of_capture=of_capture,
    )
    title = "Packets" if not of_capture else "The conversation, packet by packet"
    if of_capture and len(drawn) > 1:
        title = f"The worst {len(drawn)} conversations, packet by packet"
    yield Section(anchor=context.anchor("packets"), title=title, body=body, needs=_NEEDS)


def chosen(report: Report, context: Context) -> tuple[list[ConnectionObservation], int]:
    """The conversations to draw, in order; and how many with trouble are left out."""
    if every(report, CaptureObservation):
        worst = Worst(report)
        ordered = [o for o in in_turn(worst, worst.sorted(every(report, ConnectionObservation))) if o.segments]
        asked = [o for n in context.conversations for o in ordered if o.connection.number == n]
        bad = [o for o in ordered if worst.mark(o) != "ok"]
        wanted = list({o.id: o for o in (*asked, *(bad or ordered[:_HEALTHY]))}.values())
    else:
        wanted = packets.reset_connections(report)
    room = _MOST_PACKETS
    drawn: list[ConnectionObservation] = []
    for observation in wanted[:_MOST]:
        if len(observation.segments) > (room if drawn else _LONGEST):
            break
        drawn.append(observation)
        room -= len(observation.segments)
    return drawn, len(wanted) - len(drawn)


def anchors(report: Report, context: Context) -> dict[int, str]:
    """The anchors of what is drawn, by the number of the connection."""
    return {o.connection.number: _anchor(o, context) for o in chosen(report, context)[0]}


def drawn(report: Report, context: Context) -> dict[str, str]:
    """Where observations stand here: what is about a connection at its drawing, a reset at its packet; id -> anchor."""
    found = {o.id: _anchor(o, context) for o in chosen(report, context)[0]}
    frames = {o.id: {segment.frame for segment in o.segments} for o in every(report, ConnectionObservation)}
    for o in report.observations:  # parents come before their children
        if o.parent in found and not o.id.startswith("other-"):  # those are about another capture's packets
            found.setdefault(o.id, found[o.parent])
        if isinstance(o, ResetObservation) and o.id in found:
            first = next((s for s in o.resets if s.frame in frames.get(o.parent or "", ())), None)
            found[o.id] = context.anchor(f"p{first.frame}") if first else found[o.id]
    return found


def _anchor(observation: ConnectionObservation, context: Context) -> str:
    return context.anchor(f"conversation-{observation.connection.number}")


def _drawing(observation: ConnectionObservation, worst: Worst, context: Context) -> Drawing:
    c = observation.connection
    return Drawing(
        anchor=_anchor(observation, context),
        mark=worst.mark(observation),
        title=f"{c.number}: {capture_facts.ends(c)}",
        name=c.name,
        client=authority(c.client, c.client_port),
        server=authority(c.server, c.server_port),
        trouble=", ".join(capture_facts.trouble(c)) or "nothing unusual",
        finding=worst.id_of(observation),
        facts=_facts(observation, c),
        rows=sequence.rows(observation),
        plots=plot.plots(observation),
    )


def _facts(observation: ConnectionObservation, c: Connection) -> str:
    began = f"began {units.moment(c.started, 3)}" if c.started else ""
    parts = [began, f"owned by {c.process}" if c.process else "", observation.protocol, observation.exchange]
    return ", ".join(part for part in parts if part)
