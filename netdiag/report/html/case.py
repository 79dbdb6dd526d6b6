"""``Incident`` -> one page: the root cause, what changed, who sees what, the merged findings, then each report.

Contract: as page.py. Findings of an incident name observations of several reports, so their evidence leads into the
report that it is from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import msgspec
from markupsafe import Markup

from netdiag.model import (
    Changes,
    Comparison,
    Difference,
    ExplainedFinding,
    FindingSource,
    Incident,
    IncidentFinding,
    LabelledReport,
    Report,
)
from netdiag.report import phrases, ticket, units
from netdiag.report.html import markup
from netdiag.report.html.findings import Evidence, evidence, explanation
from netdiag.report.html.section import Context, Section, drawn
from netdiag.report.html.views import CASE, needs, view
from netdiag.report.sections import ROUTES


class Place(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A report of the incident on the page."""

    label: str
    href: str
    context: Context
    report: Report

    @cached_property
    def drawn(self) -> dict[str, str]:
        """Where its observations stand in drawings."""
        return drawn(self.report, self.context)

    def evidence(self, identifiers: Sequence[str]) -> tuple[Evidence, ...]:
        """Observations of this report."""
        return evidence(self.report, self.context, identifiers, self.drawn)


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """What one report says of a finding; ``place`` is None for a label that no report has."""

    source: FindingSource
    place: Place | None
    evidence: tuple[Evidence, ...]


class Symptom(msgspec.Struct, frozen=True, kw_only=True):
    """A finding of one report that another finding explains."""

    explained: ExplainedFinding
    place: Place | None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One merged finding, ready for its template."""

    finding: IncidentFinding
    root: bool
    blame: str
    sources: tuple[Source, ...]
    symptoms: tuple[Symptom, ...]
    explanation: Markup


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Differences side by side: a column for each label, a row for each thing."""

    labels: tuple[str, ...]
    #: (rung and thing, whether it is telling, a cell for each label).
    rows: tuple[tuple[str, bool, tuple[str, ...]], ...]


def body(incident: Incident) -> tuple[Markup, tuple[str, ...]]:
    """Everything on the page, and the files of assets/ that it needs."""
    taken = [(one, f"r{n}-") for n, one in enumerate(incident.reports)]
    taken += [(one, f"b{n}-") for n, one in enumerate(incident.baseline)]
    views = {prefix: view(one.report, Context(prefix=prefix, level=5)) for one, prefix in taken}
    places = {one.label: _place(one, prefix) for one, prefix in taken}
    root = next((finding for finding in incident.findings if finding.id == incident.verdict.finding), None)
    page = markup.render(
        "incident",
        incident=incident,
        status_words=CASE[incident.verdict.status],
        root=root,
        blame=phrases.blamed(root) if root else "",
        note=markup.preformatted(ticket.of_incident(incident)) if root else "",
        sections=tuple(_sections(incident, places)),
        reports=tuple((one, views[prefix]) for one, prefix in taken if prefix.startswith("r")),
        baseline=tuple((one, views[prefix]) for one, prefix in taken if prefix.startswith("b")),
        made=f"netdiag {incident.tool.version}, {units.counted(len(incident.reports), 'report')}, the first of "
        f"{units.moment(incident.started)}",
    )
    return page, needs(views.values())


def _place(one: LabelledReport, prefix: str) -> Place:
    return Place(label=one.label, href=f"{prefix}report", context=Context(prefix=prefix), report=one.report)


def _sections(incident: Incident, places: Mapping[str, Place]) -> list[Section]:
    found = []
    if incident.changes:
        tables = [(change, _changes(change)) for change in incident.changes]
        found.append(_section("changes", "What changed since it worked", "changes", changes=tables, places=places))
    if incident.comparisons:
        compared = [(comparison, _compared(comparison)) for comparison in incident.comparisons]
        found.append(_section("comparison", "Who sees what", "comparison", comparisons=compared, places=places))
    if incident.findings:
        entries = tuple(_entry(incident, places, n, finding) for n, finding in enumerate(incident.findings))
        found.append(_section("findings", "Findings", "incident_findings", entries=entries))
    return found


def _section(anchor: str, title: str, template: str, **values: object) -> Section:
    return Section(anchor=anchor, title=title, body=markup.render(template, **values))


def _entry(incident: Incident, places: Mapping[str, Place], n: int, finding: IncidentFinding) -> Entry:
    return Entry(
        finding=finding,
        root=n == 0 and finding.id == incident.verdict.finding,
        blame=phrases.blamed(finding),
        sources=tuple(_source(source, places.get(source.report)) for source in finding.sources),
        symptoms=tuple(Symptom(explained=one, place=places.get(one.report)) for one in finding.explains),
        explanation=explanation(finding.id),
    )


def _source(source: FindingSource, place: Place | None) -> Source:
    return Source(source=source, place=place, evidence=place.evidence(source.evidence) if place else ())


def _compared(comparison: Comparison) -> Table:
    return _table(comparison.reports, comparison.differences)


def _changes(changes: Changes) -> Table:
    return _table((changes.baseline, changes.report), changes.differences)


def _table(labels: tuple[str, ...], differences: Sequence[Difference]) -> Table:
    rows = []
    for difference in differences:
        values = {seen.report: seen.value for seen in difference.values}
        way = f" ({ROUTES[difference.route]})" if difference.route == "proxy" else ""
        name = f"{difference.rung}: {difference.what}{way}"
        rows.append((name, difference.telling, tuple(values.get(label, "") for label in labels)))
    return Table(labels=labels, rows=tuple(rows))
