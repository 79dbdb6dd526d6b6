"""The servers of a capture, the worst first: what became of the connections to each.

Contract: as section.py. One server may stand for all that the report has no room for; it is the last line.
"""

from __future__ import annotations

from collections.abc import Iterator

from netdiag.model import CaptureObservation, Report, ServiceObservation
from netdiag.report import units
from netdiag.report.html import table
from netdiag.report.html.section import Context, Section
from netdiag.report.html.table import Column
from netdiag.report.ladder import Mark
from netdiag.report.worst import Worst, every

_SIGNS: dict[Mark, tuple[str, str]] = {
    "ok": ("✓ fine", "good"),
    "warning": ("⚠ trouble", "warn"),
    "failed": ("✗ fails", "bad"),
    "not-run": ("–", ""),
}


def sections(report: Report, context: Context) -> Iterator[Section]:
    """The table, if there are any."""
    services = every(report, ServiceObservation)
    if not services or not every(report, CaptureObservation):
        return
    worst = Worst(report)
    ordered = [o for o in worst.sorted(services) if o.address] + [o for o in services if not o.address]
    counts = (
        ("Connections", [o.connections for o in ordered]),
        ("No answer", [o.unanswered + o.unfinished or None for o in ordered]),
        ("Refused", [o.refused or None for o in ordered]),
        ("Reset", [o.reset_early + o.reset_late or None for o in ordered]),
        ("Resent", [o.retransmissions or None for o in ordered]),
        ("Windows closed", [o.zero_windows_client + o.zero_windows_server or None for o in ordered]),
    )
    columns = [
        Column(
            title="State",
            values=[_SIGNS[worst.mark(o)][0] if o.address else "" for o in ordered],
            tones=dict(_SIGNS.values()),
        ),
        Column(title="Server", values=[o.address or "all others" for o in ordered], order=table.by_address),
        Column(title="Port", kind="number", plain=True, values=[o.port or None for o in ordered]),
        Column(title="Name", values=[", ".join(o.names[:2]) for o in ordered]),
        *(Column(title=title, kind="number", values=values) for title, values in counts),
        Column(title="RTT, ms", kind="number", digits=1, values=[o.rtt_ms for o in ordered]),
    ]
    anchor = context.anchor("servers")
    known = units.counted(sum(bool(o.address) for o in services), "server")
    body = table.render(anchor, "Servers", columns)
    yield Section(anchor=anchor, title=f"Servers: {known}", body=body, needs=table.NEEDS)
