"""``Report`` on a target that was tested -> text below the verdict: the ladder, one way or two side by side; evidence.

Contract: as text.py.
"""

from __future__ import annotations

from netdiag.model import (
    ChainObservation,
    ConnectionObservation,
    Report,
    ResetObservation,
    Route,
    TraceObservation,
    WireObservation,
)
from netdiag.report import sections, units
from netdiag.report.ladder import Ladder, Row, ladder, untold
from netdiag.report.page import Page
from netdiag.report.styled import Text

#: Pieces of evidence of one finding; a run's own capture brings one for each connection.
_EVIDENCE = 8
#: Two columns need room for a time and some words each.
_SIDE_BY_SIDE_WIDTH = 64


def body(page: Page, report: Report) -> None:
    """Everything below the verdict."""
    page.blank()
    rungs = ladder(report)
    _ladder(page, rungs)
    _not_tested(page, report, rungs)
    if page.layout.verbose:
        from netdiag.report import timeline

        timeline.section(page, report)
    shown = _packets_and_hops(page, report)
    if _chain_matters(page, report):
        from netdiag.report import certificate

        shown |= certificate.chains(page, report)
    sections.findings(page, report, None if page.layout.verbose else _EVIDENCE)
    sections.observed(page, report, shown)
    sections.bugs(page, report)


def _chain_matters(page: Page, report: Report) -> bool:
    """Whether a chain was looked at as closely as ``netdiag cert`` does, and there is something to see."""
    thorough = [o for o in report.observations if isinstance(o, ChainObservation) and o.paths]
    return bool(thorough) and (page.layout.verbose or any(chain.faults for chain in thorough))


def _packets_and_hops(page: Page, report: Report) -> set[str]:
    """The path and the packets, where a run saw any; the ids of what stands there."""
    drawn = {o.id for o in report.observations if isinstance(o, TraceObservation) and o.outcome != "not-run"}
    captured = any(isinstance(o, ResetObservation) for o in report.observations)
    if drawn:  # most reports have neither, and need not load the modules
        from netdiag.report import path

        path.section(page, report)
    if captured:
        from netdiag.report import packets

        packets.section(page, report)
        drawn |= {
            o.id
            for o in report.observations
            if isinstance(o, ResetObservation) or (isinstance(o, ConnectionObservation) and o.segments)
        }
    limited = (TraceObservation, WireObservation)
    limits = dict.fromkeys(limit for o in report.observations if isinstance(o, limited) for limit in o.limits)
    if drawn and limits:
        page.blank()
        for limit in limits:
            page.paragraph((limit, "dim"), first="  i ")
        drawn |= {o.id for o in report.observations if isinstance(o, WireObservation) and o.outcome == "not-run"}
    return drawn


def _ladder(page: Page, rungs: Ladder) -> None:
    if len(rungs.routes) > 1 and page.width >= _SIDE_BY_SIDE_WIDTH:
        _side_by_side(page, rungs)
        return
    for route in rungs.routes:
        if len(rungs.routes) > 1:
            page.paragraph((_route_title(route, rungs), "bold"), first="  ")
        for row in rungs.rows:
            if row.route == route:
                symbol, style = sections.sign(page, sections.MARKS[row.mark])
                lead = page.text("  ", (symbol, style), f" {row.rung:<7} ", (f"{_time(row):>8}  ", "dim"))
                page.block(lead, page.text((row.fact, _fact_style(row))), " " * lead.cells)


def _route_title(route: Route, rungs: Ladder) -> str:
    return sections.ROUTES[route] + (" (in use)" if route == rungs.used else "")


def _side_by_side(page: Page, rungs: Ladder) -> None:
    separator = " │ " if page.layout.unicode else " | "
    width = (page.width - 10 - len(separator)) // 2
    widths = [width, width]
    machine = rungs.row("machine", "direct")
    if machine is not None:
        page.cells(page.text("  machine "), [_cell(page, machine, page.width - 10, timed=False)], [0], separator)
        page.blank()
    titles = [[page.text((_route_title(route, rungs), "bold"))] for route in rungs.routes]
    page.cells(Text.of(" " * 10), titles, widths, separator)
    for rung in dict.fromkeys(row.rung for row in rungs.rows if row.rung != "machine"):
        found = [rungs.row(rung, route) for route in rungs.routes]
        columns = [_cell(page, row, width) if row else [Text()] for row in found]
        page.cells(page.text(f"  {rung:<7} "), columns, widths, separator)


def _cell(page: Page, row: Row, width: int, *, timed: bool = True) -> list[Text]:
    """A mark, a time and a fact, in lines of ``width`` cells."""
    symbol, style = sections.sign(page, sections.MARKS[row.mark])
    took = f"{_time(row):>7} " if timed and row.took_s is not None else ""
    lead = page.text((symbol, style), " ", (took, "dim"))
    return page.hang(lead, page.text((row.fact, _fact_style(row))), width, indent=2)


def _time(row: Row) -> str:
    return "" if row.took_s is None else units.milliseconds(row.took_s)


def _fact_style(row: Row) -> str:
    return "dim" if row.mark == "not-run" else ""


def _not_tested(page: Page, report: Report, rungs: Ladder) -> None:
    """What the ladder has no row for."""
    rest = untold(report, rungs)
    if rest:
        page.heading("Not tested to the end")
        for entry in rest:
            page.paragraph(f"{entry.rung} ({sections.ROUTES[entry.route]}): {entry.reason}", first="  ", rest="    ")
