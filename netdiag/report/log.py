"""``Report`` on logs -> text below the verdict: what to run next, findings, when each error occurred, its numbers.

Contract: pure. Nothing here judges; which command comes next was decided by the rules.
"""

from __future__ import annotations

from netdiag.model import LogFileObservation, LogObservation, Report
from netdiag.report import log_facts, sections, units
from netdiag.report.page import Page

#: Evidence of one finding, errors and codes that are listed without --verbose.
_EVIDENCE = 3
_LISTED = 20
_CODES = 12
#: Columns of the histogram, and what they are drawn with.
_COLUMNS = 12
_BARS, _PLAIN_BARS = " ▁▂▃▄▅▆▇█", " .:-=+*#@"


def body(page: Page, report: Report) -> None:
    """Everything below the verdict."""
    _next(page, report)
    sections.findings(page, report, None if page.layout.verbose else _EVIDENCE)
    logs = [o for o in report.observations if isinstance(o, LogFileObservation)]
    errors = [o for o in report.observations if isinstance(o, LogObservation)]
    for log in logs:
        _read(page, log)
    _timeline(page, logs, errors)
    _codes(page, report)
    if page.layout.verbose:
        sections.observed(page, report)
    sections.bugs(page, report)


def _next(page: Page, report: Report) -> None:
    """The commands to run, the root cause's first."""
    commands = log_facts.commands(report)
    if not commands:
        return
    page.heading("Run next (netdiag log --run does it)")
    for command in commands[: None if page.layout.verbose else 8]:
        page.paragraph((command, "cyan"), first="  ", limit=sections.DETAIL_LIMIT)


def _read(page: Page, log: LogFileObservation) -> None:
    page.heading(f"The log: {log_facts.summary(log)}")
    for line in log_facts.summary_details(log):
        page.paragraph(line, first="  ", rest="    ")


def _timeline(page: Page, logs: list[LogFileObservation], errors: list[LogObservation]) -> None:
    """Each error: since when, how often, how spread over the time of the log."""
    if not errors:
        return
    page.heading("Errors, the earliest first" if any(o.started for o in errors) else "Errors")
    utc = any(log.utc for log in logs)
    begin = min((o.started for o in errors if o.started), default=0.0)
    end = max((o.last for o in errors), default=0.0)
    timed = bool(begin and end > begin)
    several = any(len(log.paths) > 1 for log in logs)
    shown = log_facts.most_frequent(errors, None if page.layout.verbose else _LISTED)
    for observation in shown:
        time = log_facts.when(observation.started, utc=False) if observation.started else ""
        lead = f"  {time:<19} " if begin else "  "
        bars = f" {_bars(page, observation, begin, end)}" if timed else ""
        said = f" {log_facts.place_in_log(observation) if several else ''}{log_facts.words(observation)}"
        page.cropped(lead, (f"{observation.count:>6,}x", "bold"), (bars, "cyan"), said)
    if len(shown) < len(errors):
        page.paragraph(f"and {len(errors) - len(shown):,} more (--verbose lists them)", first="  ")
    for log in logs:
        if log.more_count:
            more = units.counted(log.more_errors, "different error")
            page.paragraph(f"and {more} that there was no room for, {log.more_count:,} in all", first="  ")
    if timed:
        zone = " UTC" if utc else ""
        span = f"{log_facts.when(begin, utc=False)} to {log_facts.when(end, utc=False)}{zone}"
        page.paragraph((f"The bars show {span}.", "dim"), first="  ")


def _bars(page: Page, observation: LogObservation, begin: float, end: float) -> str:
    """How often it occurred, over the time of all errors."""
    signs = _BARS if page.layout.unicode else _PLAIN_BARS
    counts = log_facts.histogram(observation, begin, end, _COLUMNS)
    most = max(counts) or 1
    return "".join(signs[-(-count * (len(signs) - 1) // most)] for count in counts)


def _codes(page: Page, report: Report) -> None:
    listed = log_facts.codes(report)
    if not listed:
        return
    page.heading("Numbers")
    for code in listed if page.layout.verbose else listed[:_CODES]:
        source = f" [{code.source}]" if page.layout.verbose and code.source else ""
        page.paragraph(f"{log_facts.number(code)}{source}", first="  ", rest="    ")
    if len(listed) > _CODES and not page.layout.verbose:
        page.paragraph(f"and {len(listed) - _CODES} more (--verbose lists them)", first="  ")
