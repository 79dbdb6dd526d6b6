"""The packets of connections that were reset, from the capture that a run made of itself.

Contract: as sections.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from netdiag.model import ConnectionObservation, Report, ResetObservation
from netdiag.report import capture_facts, units
from netdiag.report.drawing import draw
from netdiag.report.page import Page

#: Connections that are drawn, without --verbose and with it.
_FEW, _MANY = 1, 8


def reset_connections(report: Report) -> list[ConnectionObservation]:
    """Those with a reset whose packets are there; those that findings rest on first."""
    parents = [o.parent for o in report.observations if isinstance(o, ResetObservation)]
    found = [o for o in report.observations if isinstance(o, ConnectionObservation) and o.segments and o.id in parents]
    told = {identifier for finding in report.findings for identifier in finding.evidence}
    children = {o.parent: o.id for o in report.observations if isinstance(o, ResetObservation)}
    return sorted(found, key=lambda o: told.isdisjoint({o.id, children.get(o.id, "")}))


def shown(found: Sequence[ConnectionObservation], *, verbose: bool) -> Sequence[ConnectionObservation]:
    """Those of them that are drawn."""
    return found[: _MANY if verbose else _FEW]


def title(observation: ConnectionObservation) -> str:
    """Whose packets they are."""
    c = observation.connection
    return f"Packets of {capture_facts.ends(c)}{f' ({c.name})' if c.name else ''}"


def about(observation: ConnectionObservation) -> str:
    """When it began, and what went wrong."""
    c = observation.connection
    began = f"began {units.moment(c.started, 3)}, " if c.started else ""
    return f"{began}{', '.join(capture_facts.trouble(c))}"


def section(page: Page, report: Report) -> None:
    """The sequence of each, with frames, times, flags, and how far its reset came."""
    found = reset_connections(report)
    drawn = shown(found, verbose=page.layout.verbose)
    for observation in drawn:
        page.heading(title(observation))
        page.paragraph((about(observation), "dim"), first="  ")
        draw(page, observation, whole=page.layout.verbose)
    if len(drawn) < len(found):
        more = units.counted(len(found) - len(drawn), "more connection")
        hint = "" if page.layout.verbose else " (--verbose draws them)"
        page.paragraph(f"{more} reset{hint}", first="  ")
