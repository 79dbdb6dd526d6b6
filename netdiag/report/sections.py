"""The sections that every text report has: the verdict, the findings, the evidence, the last lines.

Contract: each function writes its section to a ``Page``, and nothing when there is nothing to say.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from netdiag.model import Finding, Observation, Report, Route, Severity, Status
from netdiag.report import facts, phrases, units, verdicts
from netdiag.report.escape import LIMIT
from netdiag.report.page import Page

if TYPE_CHECKING:  # a report on a file has no ladder, and need not load it
    from netdiag.report.ladder import Mark

ROUTES: dict[Route, str] = {"direct": "direct", "proxy": "through the proxy"}

#: Symbol with and without UTF-8, and style.
MARKS: dict[Mark, tuple[str, str, str]] = {
    "ok": ("✓", "+", "green"),
    "warning": ("⚠", "!", "yellow"),
    "failed": ("✗", "x", "red"),
    "not-run": ("–", "-", "dim"),
}
STATUS: dict[Status, tuple[str, str, str]] = {
    "healthy": ("✓", "+", "bold green"),
    "impaired": ("⚠", "!", "bold yellow"),
    "failed": ("✗", "x", "bold red"),
    "inconclusive": ("?", "?", "bold magenta"),
}
_SEVERITY: dict[Severity, Mark] = {Severity.ERROR: "failed", Severity.WARNING: "warning", Severity.INFO: "ok"}
_SEVERITY_INFO = ("i", "i", "cyan")

#: Steps of the reasoning behind a finding that are told without --verbose: the answer and the arithmetic.
_DETAILS = 4

#: A page of HTML is bounded in the report already; a header line is not worth more than this.
DETAIL_LIMIT = 4 * LIMIT


def sign(page: Page, mark: tuple[str, str, str]) -> tuple[str, str]:
    """The symbol that the layout can show, and its style."""
    symbol, plain, style = mark
    return (symbol if page.layout.unicode else plain), style


def finding_mark(finding: Finding) -> tuple[str, str, str]:
    """The mark of a finding, by its severity."""
    return _SEVERITY_INFO if finding.severity is Severity.INFO else MARKS[_SEVERITY[finding.severity]]


def observation_mark(observation: Observation) -> Mark:
    """A name without an IPv6 address is the usual case, not a failure to alarm anybody with."""
    usual = observation.failure is not None and observation.failure.kind == "no-answer"
    return "not-run" if usual else observation.outcome


def verdict(page: Page, report: Report) -> None:
    """The two lines that matter."""
    said = report.verdict
    symbol, style = sign(page, STATUS[said.status])
    named = report.target.host in said.summary
    summary = said.summary if named else f"{report.target.authority}: {said.summary}"
    page.block(page.text((symbol, style), " "), page.text((summary, "bold")), "  ")
    root = next((finding for finding in report.findings if finding.id == said.finding), None)
    if root is not None:
        to_do(page, root, "  ")
    elif said.status in verdicts.REMARKS:
        page.paragraph(verdicts.REMARKS[said.status], first="  ")
    if report.target.purpose:
        page.paragraph(("Needed for: ", "bold"), report.target.purpose, first="  ")


def findings(page: Page, report: Report, most: int | None = None) -> None:
    """What is wrong, in the report's order, with at most ``most`` pieces of evidence each."""
    if not report.findings:
        return
    page.heading("Findings")
    observations = {observation.id: observation for observation in report.observations}
    for n, finding in enumerate(report.findings):
        symbol, style = sign(page, finding_mark(finding))
        is_root = n == 0 and finding.id == report.verdict.finding
        severity = f"  {finding.severity}{', the root cause, see above' if is_root else ''}"
        page.block(page.text("  ", (symbol, style), " "), page.text((finding.id, "bold"), severity), "    ")
        if not is_root:
            _advice(page, finding)
        elif finding.summary != report.verdict.summary:
            page.paragraph(finding.summary, first="    ")
        details(page, finding)
        if finding.folded:
            page.paragraph(f"explains {', '.join(finding.folded)} too", first="    ")
        for identifier in finding.evidence[:most]:
            seen = observations.get(identifier)
            said = f"  {facts.describe(seen, report.target.host)}" if seen else ""
            page.paragraph((identifier, "cyan"), said, first="    ", rest="      ", limit=DETAIL_LIMIT)
        if most is not None and len(finding.evidence) > most:
            page.paragraph(f"and {len(finding.evidence) - most:,} more (--verbose lists them)", first="    ")


def details(page: Page, finding: Finding) -> None:
    """The steps of the reasoning."""
    shown = finding.details[: None if page.layout.verbose else _DETAILS]
    for detail in shown:
        page.paragraph(f"{detail}.", first="    ", rest="      ")
    if len(shown) < len(finding.details):
        more = len(finding.details) - len(shown)
        page.paragraph(f"and {units.counted(more, 'more sign')} (--verbose lists them)", first="    ")


def _advice(page: Page, finding: Finding) -> None:
    page.paragraph(finding.summary, first="    ")
    to_do(page, finding, "    ")


def to_do(page: Page, finding: Finding, indent: str) -> None:
    """Who is to blame, and what they must do."""
    parts = (("To blame: ", "bold"), f"{phrases.blamed(finding)}. ", ("To do: ", "bold"), finding.remedy)
    page.paragraph(*parts, first=indent, limit=DETAIL_LIMIT)  # a command that is cut would be worse than none


def observed(page: Page, report: Report, shown: Collection[str] = (), most: int | None = None) -> None:
    """Every observation: the rest in a line each, or all of them in full with ``verbose``.

    ``shown``: ids that the reader has met above; of the others at most ``most`` are listed.
    """
    told = {identifier for finding in report.findings for identifier in finding.evidence}
    rest = [o for o in report.observations if page.layout.verbose or (o.id not in told and o.id not in shown)]
    if not rest:
        return
    page.heading("Evidence" if page.layout.verbose or not told else "Other evidence")
    for observation in rest if page.layout.verbose else rest[:most]:
        symbol, style = sign(page, MARKS[observation_mark(observation)])
        lead = page.text("  ", (symbol, style), " ")
        said = facts.describe(observation, report.target.host)
        if not page.layout.verbose:
            page.cropped("  ", (symbol, style), " ", (observation.id, "cyan"), f"  {said}")
            continue
        took = f" ({units.milliseconds(observation.took_s)})" if observation.took_s else ""
        page.block(lead, page.text((observation.id, "cyan"), f"  {said}{took}", limit=DETAIL_LIMIT), "      ")
        for line in facts.details(observation):
            page.paragraph((line, "dim"), first="      ", rest="        ", limit=DETAIL_LIMIT)
    if most is not None and len(rest) > most and not page.layout.verbose:
        page.paragraph(f"and {len(rest) - most:,} more (--verbose lists them)", first="  ")


def bugs(page: Page, report: Report) -> None:
    """What went wrong in netdiag itself."""
    if report.internal_errors:
        page.heading("netdiag itself failed: this is a bug to report")
        for error in report.internal_errors:
            for line in error.splitlines():
                page.paragraph(line, first="  ", rest="    ")


def closing(page: Page, reports: Sequence[Report]) -> None:
    """Where to read on, and what made this."""
    ids = list(dict.fromkeys(report.verdict.finding for report in reports if report.verdict.finding))
    if ids or len(reports) == 1:
        page.blank()
    if ids:
        what = ids[0] if len(ids) == 1 else "ID"
        page.paragraph((f"netdiag explain {what}", "bold"), " says more.")
    if len(reports) == 1:
        report = reports[0]
        page.paragraph((f"netdiag {report.tool.version}, {units.moment(report.started)}, {report.took_s:.1f} s", "dim"))
