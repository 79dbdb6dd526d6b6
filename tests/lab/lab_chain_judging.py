"""A report of the chain against what was expected of it: for the tests exactly, for the bench in a word."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import Literal

from netdiag.model import Finding, Report, Severity
from tests.lab.lab_chain_expect import Expect

Mark = Literal["right", "cannot be told", "missed", "WRONG"]


@dataclass(frozen=True)
class Found:
    """What a report says: the root cause and its culprit, and every blame of an error or a warning."""

    finding: str | None
    blame: str | None
    hop: int | None
    address: str
    exit_status: int
    summary: str
    accused: frozenset[str]
    #: Findings of errors and warnings that are there more than once: one fault is one finding.
    repeated: frozenset[str]
    internal_errors: tuple[str, ...]
    #: "almost certainly, 93 %", where the finding says how sure it is.
    confidence: str

    @property
    def culprit(self) -> str:
        """Who is to blame, in a table's cell."""
        where = " ".join([*([f"hop {self.hop}"] if self.hop else []), *([self.address] if self.address else [])])
        return f"{self.blame}{f' ({where})' if where else ''}" if self.blame else "nobody"


def found(report: Report, exit_status: int) -> Found:
    """The facts of a report that matter here."""
    cause = next((f for f in report.findings if f.id == report.verdict.finding), None)
    culprit = cause.culprit if cause else None
    ids = [f.id for f in report.findings if f.severity is not Severity.INFO]
    return Found(
        finding=report.verdict.finding,
        blame=report.verdict.blame,
        hop=culprit.hop if culprit else None,
        address=culprit.address if culprit else "",
        exit_status=exit_status,
        summary=cause.summary if cause else "",
        accused=frozenset(f.blame for f in report.findings if f.severity is not Severity.INFO) - {"unknown"},
        repeated=frozenset(identifier for identifier, count in Counter(ids).items() if count > 1),
        internal_errors=report.internal_errors,
        confidence=_confidence(cause),
    )


def _confidence(cause: Finding | None) -> str:
    words = " ".join((cause.summary, *cause.details)) if cause else ""
    adverb = re.search(r"almost certainly|probably|perhaps", words, re.IGNORECASE)
    percent = re.search(r"confidence (\d+)\s?%", words)
    return ", ".join([*([adverb[0].lower()] if adverb else []), *([f"{percent[1]} %"] if percent else [])])


def differences(allowed: tuple[Expect, ...], got: Found) -> list[str]:
    """What is not as expected, a line each; empty when all is. Of several right verdicts the nearest counts."""
    return min((_from(expect, got) for expect in allowed), key=len)


def _from(expect: Expect, got: Found) -> list[str]:
    wanted_blames = {expect.blame, "unknown"} if expect.blame else {"unknown"}
    lines = [f"internal error: {error}" for error in got.internal_errors]
    lines += [f"more than one {identifier}" for identifier in sorted(got.repeated)]
    lines += [f"{blame} is accused" for blame in sorted(got.accused - wanted_blames)]
    if got.exit_status != expect.exit_status:
        lines.append(f"exit status {got.exit_status}, not {expect.exit_status}")
    if expect.finding is None:  # a warning may tell of lost packets, without anybody to blame
        return lines + ([f"{got.blame} is blamed ({got.finding})"] if got.blame not in (None, "unknown") else [])
    for what, has, wanted in (
        ("finding", got.finding, expect.finding),
        ("blame", got.blame, expect.blame),
        *((("address", got.address, expect.address),) if len(expect.hops) == 1 or expect.blame == "server" else ()),
    ):
        if has != wanted:
            lines.append(f"{what} {has!r}, not {wanted!r}")
    if got.hop not in expect.hops:
        lines.append(f"hop {got.hop}, not {' or '.join(map(str, expect.hops))}")
    if expect.says not in got.summary:
        lines.append(f"{expect.says} is not in the summary: {got.summary}")
    return lines


def mark(allowed: tuple[Expect, ...], got: Found) -> Mark:
    """In a word. "missed": not as it should be, but no innocent is accused. To say it twice is no mistake here."""
    if not differences(allowed, replace(got, repeated=frozenset())):
        return "cannot be told" if got.blame == "unknown" else "right"
    innocent = got.accused - {expect.blame for expect in allowed}
    hops = {hop for expect in allowed if expect.blame == got.blame for hop in expect.hops}
    another_hop = got.blame != "unknown" and got.hop is not None and got.hop not in hops
    return "WRONG" if innocent or another_hop else "missed"
