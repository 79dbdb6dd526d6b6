"""All TCP connections of a capture in one table: the rows that the report lists, else those that it holds in full.

Contract: as section.py. Those with a fault come first. A connection that is drawn on the page links to its drawing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netdiag.model import CaptureObservation, Connection, ConnectionObservation, ConversationRow, Report
from netdiag.report import capture_facts, units
from netdiag.report.html import drawings, markup, table
from netdiag.report.html.section import Context, Section
from netdiag.report.html.table import Column
from netdiag.report.worst import Worst, every

#: A browser sorts as many at once.
_MOST = 100_000

#: The words of capture_facts.outcome with a sign, and how they are coloured.
_SIGNED = {
    "closed by both sides": ("✓", "good"),
    "closed by one side only": ("–", ""),
    "without an end in the capture": ("–", ""),
    "reset": ("✗", "bad"),
    "refused": ("✗", "bad"),
    "never answered": ("✗", "bad"),
    "answered but never opened": ("✗", "bad"),
}
_TONES = {f"{sign} {words}": tone for words, (sign, tone) in _SIGNED.items()}


def sections(report: Report, context: Context) -> Iterator[Section]:
    """The table, if there are connections."""
    rows = _rows(report)[:_MOST]
    if not rows:
        return
    anchor = context.anchor("conversations")
    places = drawings.anchors(report, context)
    links = {n: f"#{places[row.number]}" for n, row in enumerate(rows) if row.number in places}
    counted = sum(o.connections for o in every(report, CaptureObservation)[:1])
    total = max(len(rows) + report.more_conversations, counted)
    body = markup.render(
        "conversations",
        table=table.render(anchor, "All conversations", _columns(rows), hint="address, name or port", links=links),
        left_out=total - len(rows),
        linked=bool(links),
    )
    title = f"Conversations: {units.counted(total, 'connection')}"
    yield Section(anchor=anchor, title=title, body=body, needs=table.NEEDS)


def _rows(report: Report) -> Sequence[ConversationRow]:
    if report.conversations:
        return report.conversations
    if not every(report, CaptureObservation):
        return ()
    return [_row(o.connection) for o in Worst(report).sorted(every(report, ConnectionObservation))]


def _row(c: Connection) -> ConversationRow:
    """A connection in short."""
    shared = {name: getattr(c, name) for name in ConversationRow.__struct_fields__ if hasattr(c, name)}
    return ConversationRow(
        **shared, retransmissions=c.retransmissions_client + c.retransmissions_server, rtt_ms=c.syn_rtt_ms
    )


def _columns(rows: Sequence[ConversationRow]) -> list[Column]:
    outcomes = [capture_facts.outcome(row.opening, row.closing) for row in rows]
    counts = (("Resent", "retransmissions"), ("RST client", "rst_client"), ("RST server", "rst_server"))
    sizes = (
        ("Packets sent", "packets_client"),
        ("Packets received", "packets_server"),
        ("Bytes sent", "bytes_client"),
        ("Bytes received", "bytes_server"),
    )
    return [
        Column(title="No.", kind="number", plain=True, values=[row.number for row in rows]),
        Column(title="Outcome", values=[f"{_SIGNED[o][0]} {o}" for o in outcomes], choice=True, tones=_TONES),
        Column(title="Client", values=[row.client for row in rows], searched=True, order=table.by_address),
        Column(title="Client port", kind="number", plain=True, values=[row.client_port for row in rows], searched=True),
        Column(title="Server", values=[row.server for row in rows], searched=True, order=table.by_address),
        Column(title="Server port", kind="number", plain=True, values=[row.server_port for row in rows], searched=True),
        Column(title="Name", values=[row.name for row in rows], searched=True),
        Column(title="Began (UTC)", kind="moment", values=[row.started for row in rows]),
        Column(title="Seconds", kind="number", digits=3, values=[row.duration_s for row in rows]),
        *(Column(title=title, kind="number", values=[getattr(r, name) for r in rows]) for title, name in sizes),
        *(
            Column(title=title, kind="number", values=[getattr(r, name) or None for r in rows])
            for title, name in counts
        ),
        Column(title="RTT, ms", kind="number", digits=1, values=[row.rtt_ms for row in rows]),
        Column(title="Program", values=[row.process for row in rows], searched=True),
        Column(title="First frame", kind="number", values=[row.first_frame for row in rows]),
    ]
