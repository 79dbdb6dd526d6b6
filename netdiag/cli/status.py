"""Reports -> exit status. Pure.

Of several targets the first that applies: 2 (some input was not usable, or netdiag failed: the run was not the one that
was meant), 1 (a definite fault), 3 (something could not be told), 0. A script that only asks "is it broken?" tests
for 1; one that asks "is it known to be fine?" tests for 0.
"""

from __future__ import annotations

from collections.abc import Iterable

from netdiag.model import Incident, Report, Severity

OK, FINDINGS, UNUSABLE, INCONCLUSIVE = 0, 1, 2, 3

#: --fail-on -> the severities that count.
FAIL_ON: dict[str, frozenset[Severity]] = {
    "error": frozenset({Severity.ERROR}),
    "warning": frozenset({Severity.ERROR, Severity.WARNING}),
    "never": frozenset(),
}


def exit_status(
    reports: Iterable[Report | Incident], fail_on: str = "error", *, unusable: bool = False, interrupted: bool = False
) -> int:
    """The exit status of a run. ``unusable``: some input was not; ``interrupted``: some targets were not finished."""
    severities = FAIL_ON[fail_on]
    found = {_of(report, severities) for report in reports}
    if unusable:
        found.add(UNUSABLE)
    if interrupted:
        found.add(INCONCLUSIVE)
    return next((status for status in (UNUSABLE, FINDINGS, INCONCLUSIVE) if status in found), OK)


def _of(report: Report | Incident, severities: frozenset[Severity]) -> int:
    members = [one.report for one in report.reports] if isinstance(report, Incident) else [report]
    if any(member.internal_errors for member in members):
        return UNUSABLE
    if any(finding.severity in severities for finding in report.findings):
        return FINDINGS
    return INCONCLUSIVE if report.verdict.status == "inconclusive" else OK
