"""Everything that was seen, one entry each, with its details on demand; what a finding's evidence leads to.

Contract: as section.py.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from netdiag.model import CaptureObservation, Observation, Report
from netdiag.report import facts
from netdiag.report.html import markup
from netdiag.report.html.section import Context, Section, drawn
from netdiag.report.ladder import Mark
from netdiag.report.sections import MARKS, ROUTES, observation_mark


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One observation, ready for its template."""

    anchor: str
    observation: Observation
    mark: Mark
    fact: str
    details: tuple[str, ...]
    #: Where it stands in a drawing; empty for nowhere.
    drawn: str


def sections(report: Report, context: Context) -> Iterator[Section]:
    """All observations; then what was left out of a capture, and what netdiag itself failed at."""
    if report.observations:
        places = drawn(report, context)
        entries = tuple(
            _entry(report, context.entry(n), observation, places.get(observation.id, ""))
            for n, observation in enumerate(report.observations)
        )
        body = markup.render("evidence", entries=entries, marks=MARKS, routes=ROUTES)
        yield Section(anchor=context.anchor("evidence"), title="Everything that was seen", body=body)
    if report.not_run and any(isinstance(o, CaptureObservation) for o in report.observations):
        body = markup.render("lines", lines=tuple(entry.reason for entry in report.not_run))
        yield Section(anchor=context.anchor("not-done"), title="Not done", body=body)
    if report.internal_errors:
        lines = tuple(line for error in report.internal_errors for line in error.splitlines())
        body = markup.render("lines", lines=lines)
        title = "netdiag itself failed: this is a bug to report"
        yield Section(anchor=context.anchor("bugs"), title=title, body=body)


def _entry(report: Report, anchor: str, observation: Observation, place: str) -> Entry:
    return Entry(
        anchor=anchor,
        observation=observation,
        mark=observation_mark(observation),
        fact=facts.describe(observation, report.target.host),
        details=facts.details(observation),
        drawn=place,
    )
