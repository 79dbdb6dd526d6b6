"""Reports on one target -> what they show differently, and what follows: which machine is it that differs, and in what?

Contract: pure. A target that only one report is about is not compared, nor are captures and files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netdiag.incident.differences import differences, names, worth_telling
from netdiag.model import Comparison, Difference, LabelledReport, authority
from netdiag.rules.lookups import canonical
from netdiag.rules.words import few, upper

#: Differences told in sentences; the table has them all.
_TOLD = 4
#: Ways to fail told in one sentence.
_CAUSES = 4


def comparisons(reports: Sequence[LabelledReport]) -> tuple[Comparison, ...]:
    """One for each target that several reports are about, in the order of the reports."""
    by_target: dict[str, list[LabelledReport]] = {}
    for one in reports:
        target = one.report.target
        if target.scheme != "file":
            by_target.setdefault(authority(canonical(target.host), target.port), []).append(one)
    return tuple(_compared(target, group) for target, group in by_target.items() if len(group) > 1)


def _compared(target: str, group: Sequence[LabelledReport]) -> Comparison:
    working = [one for one in group if one.report.verdict.status in ("healthy", "impaired")]
    failing = [one for one in group if one.report.verdict.status == "failed"]
    rest = [one for one in group if one not in working and one not in failing]
    ordered = [*working, *failing, *rest]
    good, bad = [[one.label for one in part] for part in (working, failing)]
    found = differences(ordered, good, bad)
    return Comparison(
        target=target,
        reports=tuple(one.label for one in ordered),
        working=tuple(good),
        failing=tuple(bad),
        differences=found,
        conclusions=tuple(_conclusions(working, failing, rest, found)),
    )


def _conclusions(
    working: Sequence[LabelledReport],
    failing: Sequence[LabelledReport],
    rest: Sequence[LabelledReport],
    found: Sequence[Difference],
) -> Iterator[str]:
    everybody = [one.label for one in (*working, *failing, *rest)]
    if working and failing:
        yield f"{upper(_works(working))}; {_fails(failing)}."
        telling = [difference for difference in found if difference.telling]
        yield from (difference.sentence for difference in list(worth_telling(telling))[:_TOLD])
        if not telling:
            yield "Nothing else that they show tells those that work from those that do not."
        return
    if failing and not rest:
        roots = {one.report.verdict.finding for one in failing}
        if len(roots) == 1:
            machines = {one.report.machine.name for one in failing if one.report.machine}
            beyond = ": it is not the matter of one machine" if len(machines) > 1 else ""
            yield f"{names(everybody)} fail alike ({roots.pop() or 'no cause known'}){beyond}."
        else:
            yield f"{names(everybody)} fail differently: {_fails(failing)}."
    elif working and not rest:
        yield f"It works for {names(everybody)}."
    else:
        parts = (_works(working), _fails(failing), _open(rest))
        yield f"{upper('; '.join(part for part in parts if part))}."
    told = list(worth_telling(found))[:_TOLD]
    yield from (difference.sentence for difference in told)
    if not told:
        yield "They show no difference."


def _works(reports: Sequence[LabelledReport]) -> str:
    return f"it works for {names([one.label for one in reports])}" if reports else ""


def _fails(reports: Sequence[LabelledReport]) -> str:
    """``it fails for node-b (tls.intercepted), for node-c and node-d (tcp.no-reply)``."""
    if not reports:
        return ""
    causes: dict[str, list[str]] = {}
    for one in reports:
        causes.setdefault(one.report.verdict.finding or "no cause known", []).append(one.label)
    said = [f"for {names(labels)} ({cause})" for cause, labels in causes.items()]
    return f"it fails {few(said, _CAUSES)}"


def _open(reports: Sequence[LabelledReport]) -> str:
    return f"it could not be tested for {names([one.label for one in reports])}" if reports else ""
