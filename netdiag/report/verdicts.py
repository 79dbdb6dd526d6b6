"""Several reports together: how many of each kind, the worst first, those with one root cause in one group. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from netdiag.model import Report, Status
from netdiag.report.units import counted

WORST_FIRST: tuple[Status, ...] = ("failed", "impaired", "inconclusive", "healthy")

#: What a status says of a target.
_WORDS: dict[Status, str] = {
    "healthy": "works",
    "impaired": "works, with trouble",
    "failed": "does not work",
    "inconclusive": "could not be tested",
}


#: The same of a file, which was read and not tried.
_FILE_WORDS: dict[Status, str] = {
    "healthy": "nothing wrong",
    "impaired": "trouble found",
    "failed": "faults found",
    "inconclusive": "cannot be told",
}

#: What there is to say where no finding tells whom to turn to.
REMARKS: dict[Status, str] = {
    "healthy": "Nobody is to blame, and there is nothing to do.",
    "inconclusive": "Nothing was proved either way; below stands what was not tested, and why.",
}


def words(report: Report) -> str:
    """What a report's status says of its target."""
    return (_FILE_WORDS if report.target.scheme == "file" else _WORDS)[report.verdict.status]


def worst(reports: Sequence[Report]) -> Status:
    """The worst status; that of nothing is "inconclusive"."""
    found = {report.verdict.status for report in reports}
    return next((status for status in WORST_FIRST if status in found), "inconclusive")


def tally(reports: Sequence[Report]) -> str:
    """``3 targets: 2 failed, 1 healthy``."""
    counts = {status: sum(report.verdict.status == status for report in reports) for status in WORST_FIRST}
    said = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    return f"{counted(len(reports), 'target')}: {said or 'nothing tested'}"


def cause(report: Report) -> object:
    """What reports share that fail alike."""
    return report.verdict.status, report.verdict.finding, report.verdict.blame


def groups(reports: Sequence[Report], *, each: bool = False) -> list[list[Report]]:
    """Reports that are not healthy, the worst first, those with the same root cause together, or ``each`` alone.

    A target of which nothing was seen (interrupted) has its line in the table and nothing more to tell.
    """
    found: dict[object, list[Report]] = {}
    for n, report in enumerate(reports):
        told = report.observations or report.findings or report.internal_errors
        if report.verdict.status != "healthy" and told:
            found.setdefault(n if each else cause(report), []).append(report)
    return sorted(found.values(), key=lambda group: WORST_FIRST.index(group[0].verdict.status))
