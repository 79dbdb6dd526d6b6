"""What changed since it worked: each report beside the one of the baseline that it belongs to. Pure.

Contract: a report of the baseline that was made of the same target on the same machine by the same command comes first,
then by the same target, by the same host, by the same command. What matches by the command only is compared in what
does not depend on the target.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from netdiag.incident.differences import differences, worth_telling
from netdiag.incident.folding import place
from netdiag.model import Changes, Difference, Finding, LabelledReport, Severity
from netdiag.rules.lookups import canonical
from netdiag.rules.words import few

#: Differences told in sentences.
_TOLD = 4

Match = Literal["target", "host", "command"]
_MATCHES: tuple[Match, ...] = ("target", "host", "command")


def changes(reports: Sequence[LabelledReport], baseline: Sequence[LabelledReport]) -> tuple[Changes, ...]:
    """For each report that has a match in the baseline, what is different."""
    found = ((one, _match(one, baseline)) for one in reports)
    return tuple(_changes(one, *match) for one, match in found if match is not None)


def _match(one: LabelledReport, baseline: Sequence[LabelledReport]) -> tuple[LabelledReport, Match] | None:
    ranked = [(rank, n) for n, other in enumerate(baseline) if (rank := _rank(one, other)) is not None]
    if not ranked:
        return None
    rank, n = min(ranked)
    return baseline[n], _MATCHES[rank[0]]


def _rank(one: LabelledReport, other: LabelledReport) -> tuple[int, bool, bool, float] | None:
    """How well a report of the baseline fits; the least is best, the latest of equals."""
    new, old = one.report, other.report
    if (new.target.scheme == "file") != (old.target.scheme == "file"):
        return None
    same_command = new.command == old.command
    if new.target.scheme == "file":
        level = 0 if same_command and new.target.path == old.target.path else 2
    elif canonical(new.target.host) == canonical(old.target.host):
        level = 0 if new.target.port == old.target.port else 1
    else:
        level = 2
    if level == 2 and not same_command:
        return None
    machines = {m.name if (m := report.machine) else "" for report in (new, old)}
    return level, not same_command, len(machines) > 1, -old.seen_at


def _changes(one: LabelledReport, base: LabelledReport, matched: Match) -> Changes:
    known = {finding.id for finding in base.report.findings}
    now = {finding.id for finding in one.report.findings}
    unrelated = matched == "command" and one.report.target.scheme != "file"
    found = tuple(
        msgspec.structs.replace(difference, sentence=_then_and_now(difference), telling=True)
        for difference in differences((base, one), of_machine=unrelated)
    )
    new = sorted(
        (finding for finding in one.report.findings if finding.id not in known),
        key=lambda finding: (finding.severity.rank, place(finding.id)),
    )
    vanished = tuple(sorted(known - now))
    return Changes(
        target=one.report.target.authority,
        report=one.label,
        baseline=base.label,
        matched=matched,
        differences=found,
        new=tuple(new),
        vanished=vanished,
        conclusions=tuple(_conclusions(new, vanished, found, base)),
    )


def _conclusions(
    new: Sequence[Finding], vanished: Sequence[str], found: Sequence[Difference], base: LabelledReport
) -> Iterator[str]:
    told = [difference.sentence for difference in list(worth_telling(found))[:_TOLD]]
    yield from told
    grave = [finding.id for finding in new if finding.severity is not Severity.INFO]
    if grave:
        yield f"New since then: {few(grave)}."
    if vanished:
        yield f"Gone since then: {few(vanished)}."
    if not (told or grave or vanished):
        yield f"Nothing that matters changed since {base.label} was made."


def _then_and_now(difference: Difference) -> str:
    """``issuer of the chain: was DigiCert, is Zscaler.``"""
    then, now = (seen.value for seen in difference.values)
    return f"{difference.what}: was {then}; is {now}."
