"""``Report`` -> text for a person: what is wrong, who is to blame, what to do; then the ladder; then the evidence.

Contract: pure. Without colour no line is wider than the layout (80 columns when it is a pipe or a file).
Several reports give one line each, a count, and one full report for each root cause.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.text import Text

from netdiag.model import Blame, Culprit, Finding, Report, Route, Severity, Status
from netdiag.report import facts
from netdiag.report.escape import LIMIT, escape
from netdiag.report.ladder import Ladder, Mark, Row, ladder
from netdiag.report.layout import Layout
from netdiag.report.page import Page

_BLAME: dict[Blame, str] = {
    "this-machine": "this machine",
    "dns": "DNS",
    "local-network": "the local network",
    "path-device": "a device on the path",
    "proxy": "the proxy",
    "tls-interceptor": "a device that intercepts TLS",
    "server": "the server",
    "certificate-authority": "the certificate authority",
    "azure-service": "the Azure service",
    "unknown": "not known",
}
_ROUTES: dict[Route, str] = {"direct": "direct", "proxy": "through the proxy"}

#: Symbol with and without UTF-8, and style.
_MARKS: dict[Mark, tuple[str, str, str]] = {
    "ok": ("✓", "+", "green"),
    "warning": ("⚠", "!", "yellow"),
    "failed": ("✗", "x", "red"),
    "not-run": ("–", "-", "dim"),
}
_STATUS: dict[Status, tuple[str, str, str]] = {
    "healthy": ("✓", "+", "bold green"),
    "impaired": ("⚠", "!", "bold yellow"),
    "failed": ("✗", "x", "bold red"),
    "inconclusive": ("?", "?", "bold magenta"),
}
_SEVERITY: dict[Severity, Mark] = {Severity.ERROR: "failed", Severity.WARNING: "warning", Severity.INFO: "ok"}
_SEVERITY_INFO = ("i", "i", "cyan")

_WORST_FIRST: tuple[Status, ...] = ("failed", "impaired", "inconclusive", "healthy")

#: Two columns need room for a time and some words each.
_SIDE_BY_SIDE_WIDTH = 64
#: A page of HTML is bounded in the report already; a header line is not worth more than this.
_DETAIL_LIMIT = 4 * LIMIT
#: The address column of the table of several targets, at most.
_COLUMN = 42


def one(report: Report, layout: Layout) -> str:
    """The full text of one report, or its verdict only when the layout is quiet."""
    page = Page(layout)
    _verdict(page, report)
    if not layout.quiet:
        _body(page, report)
        _closing(page, [report])
    return page.finish()


def several(reports: Sequence[Report], layout: Layout) -> str:
    """A line for each report, then what ``tail`` says."""
    column = column_width([report.target.authority for report in reports], layout)
    return "".join(compact(report, layout, column) for report in reports) + tail(reports, layout)


def column_width(authorities: Sequence[str], layout: Layout) -> int:
    """How wide the table's address column must be, as far as there is room beside it."""
    room = max(_COLUMN - max(80 - layout.width, 0), 10)
    return min(room, max((len(escape(authority)) for authority in authorities), default=0))


def compact(report: Report, layout: Layout, column: int) -> str:
    """One report in one line of the table."""
    page = Page(layout)
    symbol, style = _symbol(page, _STATUS[report.verdict.status])
    name = page.crop(page.text(report.target.authority), column)
    name.pad_right(max(0, column - name.cell_len))
    took = f" {facts.milliseconds(report.took_s):>8}  "
    what = report.verdict.finding or report.verdict.status
    page.line(page.text((symbol, style), " ") + name + page.text((took, "dim"), what))
    return page.finish()


def tail(reports: Sequence[Report], layout: Layout) -> str:
    """The count, and a full report for each root cause (for each target that is not healthy with ``verbose``)."""
    page = Page(layout)
    counts = {status: sum(report.verdict.status == status for report in reports) for status in _WORST_FIRST}
    worst: Status = next((status for status in _WORST_FIRST if counts[status]), "inconclusive")
    symbol, _ = _symbol(page, _STATUS[worst])
    said = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    count = f"{len(reports)} target{'' if len(reports) == 1 else 's'}: {said or 'nothing tested'}"
    page.paragraph((count, "bold"), first=f"{symbol} ")
    if layout.quiet:
        return "\n" + page.finish()
    for group in _groups(reports, each=layout.verbose):
        page.heading("─" * page.width if layout.unicode else "-" * page.width)
        _verdict(page, group[0])
        if len(group) > 1:
            names = ", ".join(escape(report.target.authority) for report in group[1:])
            page.paragraph(names, first=f"  The same for {len(group) - 1} more: ", rest="    ", limit=_DETAIL_LIMIT)
        _body(page, group[0])
    _closing(page, reports)
    return "\n" + page.finish()


def _groups(reports: Sequence[Report], *, each: bool) -> list[list[Report]]:
    """Reports that are not healthy, the worst first, those with the same root cause together.

    A target of which nothing was seen (interrupted) has its line in the table and nothing more to tell.
    """
    groups: dict[object, list[Report]] = {}
    for n, report in enumerate(reports):
        verdict = report.verdict
        if verdict.status != "healthy" and (report.observations or report.findings or report.internal_errors):
            key = n if each else (verdict.status, verdict.finding, verdict.blame)
            groups.setdefault(key, []).append(report)
    return sorted(groups.values(), key=lambda group: _WORST_FIRST.index(group[0].verdict.status))


def _symbol(page: Page, mark: tuple[str, str, str]) -> tuple[str, str]:
    symbol, plain, style = mark
    return (symbol if page.layout.unicode else plain), style


def _verdict(page: Page, report: Report) -> None:
    """The two lines that matter."""
    verdict = report.verdict
    symbol, style = _symbol(page, _STATUS[verdict.status])
    named = report.target.host in verdict.summary
    summary = verdict.summary if named else f"{report.target.authority}: {verdict.summary}"
    page.block(page.text((symbol, style), " "), page.text((summary, "bold")), "  ")
    root = next((finding for finding in report.findings if finding.id == verdict.finding), None)
    if root is not None:
        _to_do(page, root, "  ")
    elif verdict.status == "healthy":
        page.paragraph("Nobody is to blame, and there is nothing to do.", first="  ")
    elif verdict.status == "inconclusive":
        page.paragraph("Nothing was proved either way; below stands what was not tested, and why.", first="  ")
    if report.target.purpose:
        page.paragraph(("Needed for: ", "bold"), report.target.purpose, first="  ")


def _culprit(culprit: Culprit | None) -> str:
    if culprit is None:
        return ""
    hop = f"hop {culprit.hop}" if culprit.hop is not None else ""
    address = "" if culprit.address in culprit.name else culprit.address
    parts = [part for part in (culprit.name, address, hop) if part]
    return f" ({', '.join(parts)})" if parts else ""


def _body(page: Page, report: Report) -> None:
    page.blank()
    _ladder(page, ladder(report))
    _not_tested(page, report)
    _findings(page, report)
    _observed(page, report)
    if report.internal_errors:
        page.heading("netdiag itself failed: this is a bug to report")
        for error in report.internal_errors:
            for line in error.splitlines():
                page.paragraph(line, first="  ", rest="    ")


def _ladder(page: Page, rungs: Ladder) -> None:
    if len(rungs.routes) > 1 and page.width >= _SIDE_BY_SIDE_WIDTH:
        _side_by_side(page, rungs)
        return
    for route in rungs.routes:
        if len(rungs.routes) > 1:
            page.paragraph((_route_title(route, rungs), "bold"), first="  ")
        for row in rungs.rows:
            if row.route == route:
                symbol, style = _symbol(page, _MARKS[row.mark])
                lead = page.text("  ", (symbol, style), f" {row.rung:<7} ", (f"{_time(row):>8}  ", "dim"))
                page.block(lead, page.text((row.fact, _fact_style(row))), " " * lead.cell_len)


def _route_title(route: Route, rungs: Ladder) -> str:
    return _ROUTES[route] + (" (in use)" if route == rungs.used else "")


def _side_by_side(page: Page, rungs: Ladder) -> None:
    separator = " │ " if page.layout.unicode else " | "
    width = (page.width - 10 - len(separator)) // 2
    widths = [width, width]
    machine = rungs.row("machine", "direct")
    if machine is not None:
        page.cells(page.text("  machine "), [_cell(page, machine, page.width - 10, timed=False)], [0], separator)
        page.blank()
    titles = [[page.text((_route_title(route, rungs), "bold"))] for route in rungs.routes]
    page.cells(Text(" " * 10), titles, widths, separator)
    for rung in dict.fromkeys(row.rung for row in rungs.rows if row.rung != "machine"):
        found = [rungs.row(rung, route) for route in rungs.routes]
        columns = [_cell(page, row, width) if row else [Text()] for row in found]
        page.cells(page.text(f"  {rung:<7} "), columns, widths, separator)


def _cell(page: Page, row: Row, width: int, *, timed: bool = True) -> list[Text]:
    """A mark, a time and a fact, in lines of ``width`` cells."""
    symbol, style = _symbol(page, _MARKS[row.mark])
    took = f"{_time(row):>7} " if timed and row.took_s is not None else ""
    lead = page.text((symbol, style), " ", (took, "dim"))
    return page.hang(lead, page.text((row.fact, _fact_style(row))), width, indent=2)


def _time(row: Row) -> str:
    return "" if row.took_s is None else facts.milliseconds(row.took_s)


def _fact_style(row: Row) -> str:
    return "dim" if row.mark == "not-run" else ""


def _not_tested(page: Page, report: Report) -> None:
    """What the ladder has no row for: a rung that was begun and not finished."""
    shown = {(row.rung, row.route) for row in ladder(report).rows if row.mark == "not-run"}
    rest = [entry for entry in report.not_run if (entry.rung, entry.route) not in shown]
    if rest:
        page.heading("Not tested to the end")
        for entry in rest:
            page.paragraph(f"{entry.rung} ({_ROUTES[entry.route]}): {entry.reason}", first="  ", rest="    ")


def _findings(page: Page, report: Report) -> None:
    if not report.findings:
        return
    page.heading("Findings")
    observations = {observation.id: observation for observation in report.observations}
    for n, finding in enumerate(report.findings):
        mark = _SEVERITY_INFO if finding.severity is Severity.INFO else _MARKS[_SEVERITY[finding.severity]]
        symbol, style = _symbol(page, mark)
        is_root = n == 0 and finding.id == report.verdict.finding
        severity = f"  {finding.severity}{', the root cause, see above' if is_root else ''}"
        page.block(page.text("  ", (symbol, style), " "), page.text((finding.id, "bold"), severity), "    ")
        if not is_root:
            _advice(page, finding)
        if finding.folded:
            page.paragraph(f"explains {', '.join(finding.folded)} too", first="    ")
        for identifier in finding.evidence:
            seen = observations.get(identifier)
            said = f"  {facts.describe(seen, report.target.host)}" if seen else ""
            page.paragraph((identifier, "cyan"), said, first="    ", rest="      ", limit=_DETAIL_LIMIT)


def _advice(page: Page, finding: Finding) -> None:
    page.paragraph(finding.summary, first="    ")
    _to_do(page, finding, "    ")


def _to_do(page: Page, finding: Finding, indent: str) -> None:
    blamed = (_BLAME[finding.blame], _culprit(finding.culprit), ". ")
    page.paragraph(("To blame: ", "bold"), *blamed, ("To do: ", "bold"), finding.remedy, first=indent)


def _observed(page: Page, report: Report) -> None:
    """Every observation: the rest in a line each, or all of them in full with ``verbose``."""
    told = {identifier for finding in report.findings for identifier in finding.evidence}
    rest = [o for o in report.observations if page.layout.verbose or o.id not in told]
    if not rest:
        return
    page.heading("Evidence" if page.layout.verbose or not told else "Other evidence")
    for observation in rest:
        # A name without an IPv6 address is the usual case, not a failure to alarm anybody with.
        usual = observation.failure is not None and observation.failure.kind == "no-answer"
        mark: Mark = "not-run" if usual else observation.outcome
        symbol, style = _symbol(page, _MARKS[mark])
        lead = page.text("  ", (symbol, style), " ")
        said = facts.describe(observation, report.target.host)
        if not page.layout.verbose:
            page.cropped("  ", (symbol, style), " ", (observation.id, "cyan"), f"  {said}")
            continue
        took = f" ({facts.milliseconds(observation.took_s)})" if observation.took_s else ""
        page.block(lead, page.text((observation.id, "cyan"), f"  {said}{took}", limit=_DETAIL_LIMIT), "      ")
        for line in facts.details(observation):
            page.paragraph((line, "dim"), first="      ", rest="        ", limit=_DETAIL_LIMIT)


def _closing(page: Page, reports: Sequence[Report]) -> None:
    ids = list(dict.fromkeys(report.verdict.finding for report in reports if report.verdict.finding))
    if ids or len(reports) == 1:
        page.blank()
    if ids:
        what = ids[0] if len(ids) == 1 else "ID"
        page.paragraph((f"netdiag explain {what}", "bold"), " says more.")
    if len(reports) == 1:
        report = reports[0]
        page.paragraph((f"netdiag {report.tool.version}, {_moment(report.started)}, {report.took_s:.1f} s", "dim"))


def _moment(started: float) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(started))
    except (OverflowError, ValueError, OSError):
        return f"{started:.0f}"
