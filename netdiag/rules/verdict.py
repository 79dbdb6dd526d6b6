"""Findings -> the one verdict. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from netdiag.model import Finding, NotRun, Severity, Status, Target, Verdict


def conclude(
    target: Target,
    findings: Sequence[Finding],
    *,
    tested: bool,
    healthy_summary: str = "",
    not_run: Sequence[NotRun] = (),
) -> Verdict:
    """The verdict over findings that are already ordered, root cause first.

    ``tested`` is False when the last rung that was asked for gave no answer, good or bad; without an error to explain
    it, the verdict is then inconclusive.
    """
    worst = findings[0] if findings else None
    if worst is not None and worst.severity is Severity.ERROR:
        return _caused("failed", worst)
    if not tested:
        why = not_run[0].reason if not_run else "the test did not reach its end"
        return Verdict(
            status="inconclusive", finding=None, blame=None, summary=f"{target.authority} could not be tested: {why}"
        )
    if worst is not None and worst.severity is Severity.WARNING:
        return _caused("impaired", worst)
    return Verdict(
        status="healthy", finding=None, blame=None, summary=healthy_summary or f"{target.authority} can be used"
    )


def _caused(status: Status, cause: Finding) -> Verdict:
    return Verdict(status=status, finding=cause.id, blame=cause.blame, summary=cause.summary)
