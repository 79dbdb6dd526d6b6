"""What a report on logs has besides: what to run next, what was read, when each error occurred, its numbers.

Contract: as body.py. The words are log_facts.py's.
"""

from __future__ import annotations

from netdiag.model import LogFileObservation, LogObservation, Report
from netdiag.report import log_facts
from netdiag.report.markdown import body
from netdiag.report.markdown.document import Document
from netdiag.report.worst import every

#: Errors and numbers without --verbose.
_ERRORS = 40
_CODES = 20


def rest(document: Document, report: Report) -> None:
    """Everything below the verdict."""
    if commands := log_facts.commands(report):
        document.heading(3, "Run next")
        document.items([document.code(command) for command in commands])
    body.findings(document, report)
    for log in every(report, LogFileObservation):
        document.heading(3, f"The log: {log_facts.summary(log)}")
        document.items(list(log_facts.summary_details(log)))
    _errors(document, report)
    _codes(document, report)
    if document.layout.verbose:
        body.observed(document, report)
    body.bugs(document, report)


def _errors(document: Document, report: Report) -> None:
    errors = log_facts.most_frequent(every(report, LogObservation), None if document.layout.verbose else _ERRORS)
    if not errors:
        return
    document.heading(3, "Errors")
    rows = [
        (
            log_facts.when(o.started, utc=False) if o.started else "",
            log_facts.when(o.last, utc=False) if o.last else "",
            f"{o.count:,}",
            log_facts.place_in_log(o).strip(),
            log_facts.words(o),
        )
        for o in errors
    ]
    document.table(("First", "Last", "Times", "Where", "What"), rows, numbers=(2,))
    document.more(len(every(report, LogObservation)) - len(errors), "error", "--verbose lists them")


def _codes(document: Document, report: Report) -> None:
    codes = log_facts.codes(report)
    if not codes:
        return
    document.heading(3, "Numbers")
    shown = codes if document.layout.verbose else codes[:_CODES]
    document.items([log_facts.number(code) for code in shown])
    document.more(len(codes) - len(shown), "number", "--verbose lists them")
