"""The ladder as a waterfall: each rung's answer, and when each of its probes ran; both ways side by side.

Contract: as section.py. Times count from the first probe; a probe that took no measurable time still has a mark.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from netdiag.model import Observation, Report, Route, Rung
from netdiag.report import facts, units
from netdiag.report.html import markup
from netdiag.report.html.section import Context, Section
from netdiag.report.ladder import Row, ladder, rung_of
from netdiag.report.sections import MARKS, ROUTES

#: Narrower bars cannot be seen.
_LEAST = 0.004
#: Bars of one rung; of a name with very many addresses the first ones tell enough.
_MOST_BARS = 60
#: Labels on the axis, at most.
_TICKS = 4


@dataclass(frozen=True, kw_only=True)
class Bar:
    """One probe: where it begins and how long it is, as shares of the whole."""

    start: float
    width: float
    outcome: str
    title: str
    href: str


@dataclass(frozen=True, kw_only=True)
class Step:
    """One rung of one way."""

    row: Row
    bars: tuple[Bar, ...]


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way's waterfall."""

    title: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The time axis that all ways share: its first moment, its length in seconds, and (share of the width, label)."""

    start: float
    span: float
    ticks: tuple[tuple[float, str], ...]


def sections(report: Report, context: Context) -> Iterator[Section]:
    """The waterfall, and what was not tested to its end."""
    rungs = ladder(report)
    if report.target.scheme == "file" or not rungs.rows:
        return
    scale = _scale(report.observations)
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
    told = {(row.rung, row.route) for row in rungs.rows if row.mark == "not-run"}
    body = markup.render(
        "waterfall",
        ways=ways,
        machine=rungs.row("machine", "direct"),
        scale=scale,
        marks=MARKS,
        rest=[entry for entry in report.not_run if (entry.rung, entry.route) not in told],
        routes=ROUTES,
        level=context.level,
    )
    yield Section(anchor=context.anchor("ladder"), title="Step by step", body=body)


def _title(route: Route, used: Route) -> str:
    words = ROUTES[route]
    return f"{words[:1].upper()}{words[1:]}{' (in use)' if route == used else ''}"


def _scale(observations: Sequence[Observation]) -> Scale:
    timed = [o for o in observations if o.started > 0 and o.source == "probe"]
    start = min((o.started for o in timed), default=0.0)
    span = max((o.started + o.took_s for o in timed), default=start) - start
    span = max(span, 0.001)
    step = round_step(span, _TICKS)
    count = int(span / step)
    ticks = tuple((n * step / span, _label(n * step)) for n in range(count + 1))
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


def _bars(report: Report, context: Context, rung: Rung, route: Route, scale: Scale) -> Iterator[Bar]:
    here = (
        o
        for o in report.observations
        if o.route == route and o.started > 0 and o.source == "probe" and rung_of(o, report.target.host) == rung
    )
    for n, observation in enumerate(here):
        if n == _MOST_BARS:
            return
        begins = (observation.started - scale.start) / scale.span
        took = units.milliseconds(observation.took_s)
        yield Bar(
            start=min(begins, 1 - _LEAST),
            width=max(observation.took_s / scale.span, _LEAST),
            outcome=observation.outcome,
            title=f"{observation.id}: {facts.describe(observation, report.target.host)} ({took})",
            href=context.evidence(report, observation.id),
        )
