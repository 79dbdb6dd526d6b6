"""What a log says: what was read, when each error occurred, the numbers that it names.

Contract: as section.py. The words are log_facts.py's; what occurs when is drawn as bars over the time of all errors.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from netdiag.model import LogFileObservation, LogObservation, Report
from netdiag.report import log_facts
from netdiag.report.html import markup
from netdiag.report.html.section import Context, Section

#: Columns of a histogram.
_COLUMNS = 48


class Error(msgspec.Struct, frozen=True, kw_only=True):
    """One error of the log, as often as it occurred."""

    href: str
    observation: LogObservation
    first: str
    last: str
    place: str
    words: str
    #: Of each column with something in it: where it begins, how high it is, both as shares.
    bars: tuple[tuple[float, float], ...]


def sections(report: Report, context: Context) -> Iterator[Section]:
    """The log itself, its errors by time, its numbers."""
    logs = [o for o in report.observations if isinstance(o, LogFileObservation)]
    if not logs:
        return
    errors = [o for o in report.observations if isinstance(o, LogObservation)]
    begin = min((o.started for o in errors if o.started), default=0.0)
    end = max((o.last for o in errors), default=0.0)
    body = markup.render(
        "log",
        logs=[(log_facts.summary(log), tuple(log_facts.summary_details(log)), log) for log in logs],
        errors=[_error(report, context, o, begin, end) for o in errors],
        columns=_COLUMNS,
        zone="UTC" if any(log.utc for log in logs) else "the clock of the machine that wrote it",
        codes=[log_facts.number(code) for code in log_facts.codes(report)],
        level=context.level,
    )
    yield Section(anchor=context.anchor("log"), title="The log", body=body)


def _error(report: Report, context: Context, observation: LogObservation, begin: float, end: float) -> Error:
    counts = log_facts.histogram(observation, begin, end, _COLUMNS)
    most = max(counts) or 1
    return Error(
        href=context.evidence(report, observation.id),
        observation=observation,
        first=log_facts.when(observation.started, utc=False) if observation.started else "",
        last=log_facts.when(observation.last, utc=False) if observation.last else "",
        place=log_facts.place_in_log(observation).strip(),
        words=log_facts.words(observation),
        bars=tuple((n / _COLUMNS, count / most) for n, count in enumerate(counts) if count),
    )
