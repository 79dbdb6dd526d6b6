"""The findings: what is wrong, who is to blame, what to do, the reasoning, the evidence, and the explanation.

Contract: as section.py. The explanation is the rule's own, as ``netdiag explain ID`` prints it; a saved report may name
a finding that this netdiag does not know, which then has none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec
from markupsafe import Markup

from netdiag.model import Finding, Report
from netdiag.report import facts, phrases
from netdiag.report.html import markup
from netdiag.report.html.section import Context, Section, drawn

#: Pieces of evidence that are listed at once; the others are folded.
_FEW = 8


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One observation that a finding rests on; ``href`` is empty for one that the report does not hold."""

    id: str
    href: str
    fact: str
    #: Where it stands in a drawing; empty for nowhere.
    drawn: str


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One finding, ready for its template."""

    anchor: str
    finding: Finding
    root: bool
    blame: str
    evidence: tuple[Evidence, ...]
    more: tuple[Evidence, ...]
    explanation: Markup


def sections(report: Report, context: Context) -> Iterator[Section]:
    """All findings, in the report's order: the root cause first."""
    if report.findings:
        places = drawn(report, context)
        entries = tuple(_entry(report, context, n, finding, places) for n, finding in enumerate(report.findings))
        body = markup.render("findings", entries=entries, prefix=context.prefix)
        yield Section(anchor=context.anchor("findings"), title="Findings", body=body)


def _entry(report: Report, context: Context, n: int, finding: Finding, places: Mapping[str, str]) -> Entry:
    found = evidence(report, context, finding.evidence, places)
    return Entry(
        anchor=context.finding(n),
        finding=finding,
        root=n == 0 and finding.id == report.verdict.finding,
        blame=phrases.blamed(finding),
        evidence=found[:_FEW],
        more=found[_FEW:],
        explanation=explanation(finding.id),
    )


def evidence(
    report: Report, context: Context, identifiers: Sequence[str], places: Mapping[str, str]
) -> tuple[Evidence, ...]:
    """Observations of a report that a finding names; ``places`` is what ``drawn`` tells of that report."""
    seen = {observation.id: observation for observation in report.observations}
    return tuple(
        Evidence(
            id=identifier,
            href=context.evidence(report, identifier),
            fact=facts.describe(seen[identifier], report.target.host) if identifier in seen else "",
            drawn=places.get(identifier, ""),
        )
        for identifier in identifiers
    )


def explanation(identifier: str) -> Markup:
    """The rule's explanation; empty for an id that this netdiag does not know."""
    from netdiag.rules import CATALOGUE

    rule = CATALOGUE.get(identifier)
    return paragraphs(rule.explanation) if rule else Markup()


def paragraphs(text: str) -> Markup:
    """Text whose paragraphs are parted by blank lines; a list or an indented block keeps its lines."""
    found = []
    for block in text.split("\n\n"):
        kept = any(line.startswith((" ", "-", "*")) for line in block.splitlines())
        found.append((kept, markup.preformatted(block) if kept else " ".join(block.splitlines())))
    return markup.render("paragraphs", blocks=found)
