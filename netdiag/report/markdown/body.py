"""What every report in Markdown has: the verdict, the steps, the path, the findings, everything seen, what made it.

Contract: as __init__.py. Each function writes its part to a ``Document``, and nothing when there is nothing to say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import partial

from netdiag.model import (
    CaptureObservation,
    Finding,
    LogFileObservation,
    MatrixObservation,
    Observation,
    Report,
    Route,
    ServiceTagsObservation,
    TraceObservation,
    WireObservation,
    authority,
)
from netdiag.report import facts, packets, path, phrases, sections, timeline, units, verdicts
from netdiag.report.drawing import draw
from netdiag.report.hops import paths
from netdiag.report.ladder import Ladder, Row, ladder, untold
from netdiag.report.markdown.document import Document, Item, Marked
from netdiag.report.page import Page

#: Pieces of evidence of one finding that are told with their facts; of the others the ids, and how many more.
_EVIDENCE = 8
_IDS = 40
#: Signs of one finding, without --verbose: a finding that rests on 200 servers names each.
_DETAILS = 20
#: What else was seen, without --verbose.
_OTHERS = 40


def verdict(document: Document, report: Report) -> None:
    """What is wrong, who is to blame, what to do."""
    said = report.verdict
    mark = document.sign(sections.STATUS[said.status])
    named, words = document.code(report.target.authority), document.text(verdicts.words(report))
    document.heading(2, mark, Marked(f"{named}: {words}" if report.target.scheme == "file" else f"{named} {words}"))
    document.paragraph(said.summary)
    root = next((finding for finding in report.findings if finding.id == said.finding), None)
    if root is None:
        document.paragraph(verdicts.REMARKS.get(said.status, ""))
    purpose = [Marked(f"{document.strong('Needed for:')} {document.text(report.target.purpose)}")]
    document.items([*(to_do(document, root) if root else ()), *(purpose if report.target.purpose else ())])


def rest(document: Document, report: Report) -> None:
    """Everything below the verdict."""
    if any(isinstance(observation, CaptureObservation) for observation in report.observations):
        from netdiag.report.markdown import capture

        capture.rest(document, report)
    elif any(isinstance(observation, ServiceTagsObservation) for observation in report.observations):
        _rules_and_tags(document, report)
    elif any(isinstance(observation, LogFileObservation) for observation in report.observations):
        from netdiag.report.markdown import log

        log.rest(document, report)
    elif any(isinstance(observation, MatrixObservation) for observation in report.observations):
        from netdiag.report.markdown import matrix

        matrix.rest(document, report)
    elif report.target.scheme == "file":
        from netdiag.report.markdown import certificate

        certificate.rest(document, report)
    else:
        _tested(document, report)


def _rules_and_tags(document: Document, report: Report) -> None:
    """Firewall rules: what text reports say of them, in a block, from which prefixes can be copied."""
    from netdiag.report import allowlist

    findings(document, report)
    document.drawing(lambda page: allowlist.particulars(page, report))
    observed(document, report, allowlist.shown(report))
    bugs(document, report)


def _tested(document: Document, report: Report) -> None:
    """A target on the network."""
    rungs = ladder(report)
    _ladder(document, rungs)
    if left := untold(report, rungs):
        document.heading(3, "Not tested to the end")
        document.items([f"{entry.rung} ({sections.ROUTES[entry.route]}): {entry.reason}" for entry in left])
    if document.layout.verbose and timeline.timed(report.observations):
        document.heading(3, "When each probe ran")
        document.drawing(partial(timeline.draw, report=report))
    _path(document, report)
    _packets(document, report)
    findings(document, report)
    observed(document, report)
    bugs(document, report)


def _ladder(document: Document, rungs: Ladder) -> None:
    """A row for each rung; direct and through the proxy side by side."""
    if not rungs.rows:
        return
    document.heading(3, "Step by step")
    if len(rungs.routes) == 1:
        rows = [(_mark(document, row), row.rung, _took(row), row.fact) for row in rungs.rows]
        document.table(("", "Step", "Took", "What came of it"), rows, numbers=(2,))
        return
    machine = rungs.row("machine", "direct")
    if machine is not None:
        document.paragraph(_mark(document, machine), "machine:", machine.fact)
    found = dict.fromkeys(row.rung for row in rungs.rows if row.rung != "machine")
    titles = ("Step", *(_route_title(route, rungs) for route in rungs.routes))
    document.table(
        titles, [(rung, *(_cell(document, rungs.row(rung, route)) for route in rungs.routes)) for rung in found]
    )


def _route_title(route: Route, rungs: Ladder) -> str:
    return sections.ROUTES[route] + (" (in use)" if route == rungs.used else "")


def _cell(document: Document, row: Row | None) -> str:
    return document.text(_mark(document, row), _took(row), row.fact) if row else ""


def _mark(document: Document, row: Row) -> Marked:
    return document.sign(sections.MARKS[row.mark])


def _took(row: Row) -> str:
    return "" if row.took_s is None else units.milliseconds(row.took_s)


def _path(document: Document, report: Report) -> None:
    """Each path that was traced, drawn, and what could not be observed."""
    found = paths(report)
    for each in found:
        document.heading(3, "Path to", document.code(authority(each.address, each.port)))
        document.drawing(partial(path.draw, report=report, path=each))
    seen = (o for o in report.observations if isinstance(o, TraceObservation | WireObservation))
    if found:
        document.items(tuple(dict.fromkeys(limit for o in seen for limit in o.limits)))


def _packets(document: Document, report: Report) -> None:
    """The packets of connections that were reset, from a run's own capture."""
    found = packets.reset_connections(report)
    shown = packets.shown(found, verbose=document.layout.verbose)
    for observation in shown:
        document.heading(3, packets.title(observation))
        document.paragraph(packets.about(observation))
        document.drawing(partial(draw, observation=observation, whole=document.layout.verbose))
    document.more(len(found) - len(shown), "reset connection", "--verbose draws them")


def findings(document: Document, report: Report) -> None:
    """What is wrong, in the report's order."""
    if report.findings:
        document.heading(3, "Findings")
    observations = {observation.id: observation for observation in report.observations}
    for n, finding in enumerate(report.findings):
        root = n == 0 and finding.id == report.verdict.finding
        _finding(document, report, finding, observations, root=root)


def _finding(
    document: Document, report: Report, finding: Finding, observations: Mapping[str, Observation], *, root: bool
) -> None:
    mark = document.sign(sections.finding_mark(finding))
    severity = f"({finding.severity}{', the root cause, see above' if root else ''})"
    document.heading(4, mark, document.code(finding.id), severity)
    if not root or finding.summary != report.verdict.summary:
        document.paragraph(finding.summary)
    most = None if document.layout.verbose else _DETAILS
    lines: list[Item] = [] if root else [*to_do(document, finding)]
    lines += finding.details[:most]
    if most is not None and len(finding.details) > most:
        lines.append(f"and {units.counted(len(finding.details) - most, 'more sign')} (--verbose lists them)")
    if finding.folded:
        lines.append(document.text("Explains too:", *map(document.code, finding.folded)))
    if finding.evidence:
        lines.append((document.text("Evidence:"), list(_evidence(document, report, finding, observations))))
    if finding.reference:
        lines.append(f"See {finding.reference}")
    document.items(lines, limit=sections.DETAIL_LIMIT)


def _evidence(
    document: Document, report: Report, finding: Finding, observations: Mapping[str, Observation]
) -> Iterator[str]:
    shown = finding.evidence if document.layout.verbose else finding.evidence[:_EVIDENCE]
    for identifier in shown:
        seen = observations.get(identifier)
        yield named(document, identifier, facts.describe(seen, report.target.host) if seen else "")
    others = finding.evidence[len(shown) :]
    if others:
        left = f"and {len(others) - _IDS:,} more (--verbose lists them)" if len(others) > _IDS else ""
        yield document.text("also", *map(document.code, others[:_IDS]), left)


def named(document: Document, identifier: str, words: str) -> Marked:
    """An observation: its id and what it shows."""
    said = document.text(words, limit=sections.DETAIL_LIMIT)
    return Marked(f"{document.code(identifier)}: {said}") if said else document.code(identifier)


def to_do(document: Document, finding: Finding) -> Iterator[Marked]:
    """Who is to blame, and what they have to do."""
    blamed = document.text(phrases.blamed(finding))
    yield Marked(f"{document.strong('To blame:')} {blamed}")
    todo = document.text(finding.remedy, limit=sections.DETAIL_LIMIT)  # a command that is cut would be worse than none
    yield Marked(f"{document.strong('To do:')} {todo}")


def observed(document: Document, report: Report, shown: Collection[str] = ()) -> None:
    """What was seen besides, a line each; all of it with its details with ``verbose``.

    ``shown``: ids that the reader has met above.
    """
    verbose = document.layout.verbose
    told = {identifier for finding in report.findings for identifier in finding.evidence}
    others = [o for o in report.observations if verbose or (o.id not in told and o.id not in shown)]
    if not others:
        return
    document.heading(3, "Evidence" if verbose or not told else "Other evidence")
    lines: list[Item] = []
    for observation in others if verbose else others[:_OTHERS]:
        said = named(document, observation.id, facts.describe(observation, report.target.host))
        took = f"({units.milliseconds(observation.took_s)})" if verbose and observation.took_s else ""
        line = document.text(document.sign(sections.MARKS[sections.observation_mark(observation)]), said, took)
        lines.append((line, facts.details(observation) if verbose else ()))
    document.items(lines, limit=sections.DETAIL_LIMIT)
    if not verbose:
        document.more(len(others) - _OTHERS, "observation", "--verbose lists them")


def not_done(document: Document, report: Report) -> None:
    """What was left out of a file, and why."""
    if report.not_run:
        document.heading(3, "Not done")
        document.items([entry.reason for entry in report.not_run])


def bugs(document: Document, report: Report) -> None:
    """What went wrong in netdiag itself."""
    if report.internal_errors:
        document.heading(3, "netdiag itself failed: this is a bug to report")
        document.drawing(lambda page: _lines(page, report.internal_errors))


def _lines(page: Page, errors: tuple[str, ...]) -> None:
    for error in errors:
        for line in error.splitlines():
            page.paragraph(line, rest="  ")


def closing(document: Document, report: Report) -> None:
    """Where to read on, and what made this."""
    asked = report.verdict.finding
    explain = (document.code(f"netdiag explain {asked}"), "says more.") if asked else ()
    document.paragraph(
        *explain, f"Made by netdiag {report.tool.version}, {units.moment(report.started)}, {report.took_s:.1f} s."
    )
