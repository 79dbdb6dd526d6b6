"""The ladder as a waterfall: each rung's answer, and when each of its probes ran; both ways side by side.

Contract: as section.py. Times count from the first probe; a probe that took no measurable time still has a mark.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from netdiag.model import Report, Route, Rung
from netdiag.report import facts, timeline, units
from netdiag.report.html import markup
from netdiag.report.html.section import Context, Section
from netdiag.report.ladder import Mark, Row, ladder, rung_of, untold
from netdiag.report.sections import MARKS, ROUTES, observation_mark
from netdiag.report.timeline import Scale

#: Narrower bars cannot be seen.
_LEAST = 0.004
#: Bars of one rung; of a name with very many addresses the first ones tell enough.
_MOST_BARS = 60


class Bar(msgspec.Struct, frozen=True, kw_only=True):
    """One probe: where it begins and how long it is, as shares of the whole."""

    start: float
    width: float
    mark: Mark
    title: str
    href: str


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One rung of one way."""

    row: Row
    bars: tuple[Bar, ...]


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """One way's waterfall."""

    title: str
    steps: tuple[Step, ...]


def sections(report: Report, context: Context) -> Iterator[Section]:
    """The waterfall, and what was not tested to its end."""
    rungs = ladder(report)
    rest = untold(report, rungs)
    if report.target.scheme == "file" or not (rungs.rows or rest):
        return
    scale = timeline.scale(report.observations)
    ways = tuple(
        Way(
            title=_title(route, rungs.used) if len(rungs.routes) > 1 else "",
            steps=tuple(
                Step(row=row, bars=tuple(_bars(report, context, row.rung, route, scale)))
                for row in rungs.rows
                if row.route == route and row.rung != "machine"
            ),
        )
        for route in rungs.routes
    )
    body = markup.render(
        "waterfall",
        ways=tuple(way for way in ways if way.steps),
        machine=rungs.row("machine", "direct"),
        scale=scale,
        marks=MARKS,
        rest=rest,
        routes=ROUTES,
        level=context.level,
    )
    yield Section(anchor=context.anchor("ladder"), title="Step by step", body=body)


def _title(route: Route, used: Route) -> str:
    words = ROUTES[route]
    return f"{words[:1].upper()}{words[1:]}{' (in use)' if route == used else ''}"


def _bars(report: Report, context: Context, rung: Rung, route: Route, scale: Scale) -> Iterator[Bar]:
    here = (
        o for o in timeline.timed(report.observations) if o.route == route and rung_of(o, report.target.host) == rung
    )
    for n, observation in enumerate(here):
        if n == _MOST_BARS:
            return
        begins = scale.share(observation.started)
        took = units.milliseconds(observation.took_s)
        yield Bar(
            start=min(begins, 1 - _LEAST),
            width=max(observation.took_s / scale.span, _LEAST),
            mark=observation_mark(observation),
            title=f"{observation.id}: {facts.describe(observation, report.target.host)} ({took})",
            href=context.evidence(report, observation.id),
        )
