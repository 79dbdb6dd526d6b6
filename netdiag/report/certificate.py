"""``Report`` on certificate files -> text below the verdict: findings, then each chain, element by element.

The leaf stands at the top and its issuers below it, down to the root. It is the certificate that was asked about, most
faults are its own, and what an administrator wants to know next is who signed it, and who signed that: one reads down.
It is also the order in which certutil and openssl number and print a chain. One line leads down, without indentation,
so that the tenth element has as much room for its URLs as the first.

Contract: pure. The printer judges nothing: marks follow from the faults, and from what is known of a revocation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from netdiag.model import (
    CertificateSummary,
    ChainFault,
    ChainObservation,
    KeyObservation,
    Observation,
    Report,
    RetrievalObservation,
)
from netdiag.report import certificate_facts as told
from netdiag.report import certutil, chain_facts, sections, units
from netdiag.report.candidates import candidates
from netdiag.report.page import Page
from netdiag.report.phrases import some
from netdiag.report.retrievals import urls
from netdiag.report.styled import Text

_Kind = TypeVar("_Kind", bound=Observation)

#: Pieces of evidence listed below a finding, and other observations at the end, without --verbose.
_EVIDENCE = 4
_OTHERS = 12
#: Chains told in full without --verbose, the worst first, and those with a line each: a file may hold a whole store.
_IN_FULL = 3
_IN_A_LINE = 40
#: Faults and names of one element that are told without --verbose.
_FAULTS = 8
_NAMES = 4


def body(page: Page, report: Report) -> None:
    """Everything below the verdict."""
    verbose = page.layout.verbose
    sections.findings(page, report, None if verbose else _EVIDENCE)
    shown = chains(page, report)
    known = {chain.id for chain in _all(report, ChainObservation)}
    for key in _all(report, KeyObservation):
        if key.parent not in known:
            _key(page, report, key)
    if report.not_run:
        page.heading("Not done")
        for entry in report.not_run:
            page.paragraph(entry.reason, first="  ")
    shown |= {key.id for key in _all(report, KeyObservation)}
    if any(o.id not in shown for o in report.observations):
        sections.observed(page, report, shown, _OTHERS)
    sections.bugs(page, report)


def chains(page: Page, report: Report) -> set[str]:
    """The chains, the worst first, with what they name and their keys; the ids of all that stands there."""
    verbose = page.layout.verbose
    every = sorted(_all(report, ChainObservation), key=lambda chain: chain_facts.worst(chain.faults).rank)
    full = every if verbose else every[:_IN_FULL]
    for chain in full:
        _Chain(page, report, chain, several=len(every) > 1).write()
    _in_a_line(page, every[len(full) :])
    known = {chain.id for chain in every}
    kinds = (ChainObservation, RetrievalObservation, KeyObservation)
    return {o.id for o in report.observations if isinstance(o, kinds) and (o.id in known or o.parent in known)}


def _all(report: Report, kind: type[_Kind]) -> list[_Kind]:
    return [observation for observation in report.observations if isinstance(observation, kind)]


def _in_a_line(page: Page, chains: Sequence[ChainObservation]) -> None:
    """The chains that there is no room for."""
    if not chains:
        return
    page.heading(f"{units.counted(len(chains), 'more chain')} (--verbose tells all of them in full)")
    for chain in chains[:_IN_A_LINE]:
        symbol, style = sections.sign(page, sections.MARKS[chain_facts.MARKS[chain_facts.worst(chain.faults)]])
        page.cropped("  ", (symbol, style), f" {told.chain(chain)}")
    if len(chains) > _IN_A_LINE:
        page.paragraph(f"and {len(chains) - _IN_A_LINE:,} more", first="  ")


class _Chain:
    """One chain on the page."""

    def __init__(self, page: Page, report: Report, chain: ChainObservation, *, several: bool) -> None:
        self._page = page
        self._report = report
        self._chain = chain
        self._several = several
        self._last = len(chain.elements) - 1
        self._retrievals = [o for o in _all(report, RetrievalObservation) if o.parent == chain.id]
        self._path = chain_facts.best(chain)

    def write(self) -> None:
        """The question, the elements, what else there was to choose, the keys, certutil's words."""
        page, chain = self._page, self._chain
        self._title()
        for index, element in enumerate(chain.elements):
            self._element(index, element)
        self._missing()
        for fault in chain.faults:
            if fault.element > self._last:
                self._fault("  ", fault)
        candidates(page, chain)
        for key in _all(self._report, KeyObservation):
            if key.parent == chain.id:
                _key(page, self._report, key)
        certutil.summary(page, chain, f" ({chain.id})" if self._several else "")

    def _title(self) -> None:
        page, chain = self._page, self._chain
        name = told.short_name(chain.elements[0]) if chain.elements else "a certificate that cannot be read"
        number = f" ({chain.id})" if self._several else ""
        page.heading(f"Chain of {name}{number}: {told.tally(chain.faults) or 'nothing wrong'}")
        page.paragraph((chain_facts.question(chain, self._report.started), "dim"), first="  ")
        page.blank()

    def _element(self, index: int, element: CertificateSummary) -> None:
        page = self._page
        faults = chain_facts.of_element(self._chain.faults, index)
        symbol, style = sections.sign(page, sections.MARKS[chain_facts.MARKS[chain_facts.worst(faults)]])
        stem = self._stem(onward=index < self._last or bool(chain_facts.missing(self._path)))
        lead = page.text("  ", (symbol, style), f" {index:<2} ")
        role = chain_facts.role(self._chain, self._path, index, whole=page.layout.verbose)
        page.block(lead, page.text((told.short_name(element), "bold"), f": {role}"), stem)
        at = self._chain.at or self._chain.started
        about = (told.lifetime(element, at), element.key, element.signature_algorithm)
        page.paragraph(", ".join(filter(None, about)), first=stem, rest=stem)
        self._names(stem, index, element)
        if page.layout.verbose:
            for label, values in chain_facts.identity(element):
                page.paragraph((f"{label} {', '.join(values)}", "dim"), first=stem, rest=stem)
        self._faults(stem, index, faults)
        self._revocation(stem, index)
        here = [o for o in self._retrievals if o.element == index]
        urls(page, stem, here, chain_facts.excused(self._chain, self._path, index))
        if stem.strip():
            page.line(Text.of(stem))

    def _stem(self, *, onward: bool) -> str:
        """What stands before every line of an element: the way to its issuer, where there is one."""
        return f"  {('│' if self._page.layout.unicode else '|') if onward else ' '}    "

    def _names(self, stem: str, index: int, element: CertificateSummary) -> None:
        if index or not element.names or element.names == (told.short_name(element),):
            return
        most = len(element.names) if self._page.layout.verbose else _NAMES
        self._page.paragraph(f"names {some(element.names, most)}", first=stem, rest=f"{stem}  ")

    def _faults(self, stem: str, index: int, faults: Sequence[ChainFault]) -> None:
        page = self._page
        for fault in faults if page.layout.verbose else faults[:_FAULTS]:
            self._fault(stem, fault)
        if len(faults) > _FAULTS and not page.layout.verbose:
            page.paragraph(
                f"and {units.counted(len(faults) - _FAULTS, 'more fault')} (--verbose)", first=stem, rest=stem
            )
        notes = chain_facts.notes(self._chain, index)
        if notes and not page.layout.verbose:
            count = units.counted(len(notes), "remark")
            page.paragraph(
                (f"i {count}: others may refuse what these rules accept (--verbose)", "dim"),
                first=stem,
                rest=f"{stem}  ",
            )
            return
        for note in notes:
            said = filter(None, (f"i {note.detail} ({note.finding})", chain_facts.refused_by(note)))
            page.paragraph((": ".join(said), "dim"), first=stem, rest=f"{stem}  ")

    def _fault(self, stem: str, fault: ChainFault) -> None:
        """A fault by its id, in words, and by the names that Windows has for it."""
        page = self._page
        symbol, style = sections.sign(page, sections.MARKS[chain_facts.MARKS[fault.severity]])
        windows = chain_facts.in_windows(fault)
        where = chain_facts.whose(fault, len(self._chain.elements))
        words = (fault.finding, "bold"), f"{where}: {fault.detail}", (f" ({windows})" if windows else "", "dim")
        page.block(page.text(stem, (symbol, style), " "), page.text(*words), f"{stem}  ")

    def _revocation(self, stem: str, index: int) -> None:
        """What is known of its revocation, where no fault has told it already."""
        page = self._page
        for found in chain_facts.revocations(self._chain, index):
            symbol, style = sections.sign(page, sections.MARKS[chain_facts.revocation_mark(found)])
            page.block(page.text(stem, (symbol, style), " "), page.text(told.revocation(found)), f"{stem}  ")

    def _missing(self) -> None:
        """The issuer that would have to stand there."""
        issuer = chain_facts.missing(self._path)
        if not issuer:
            return
        page = self._page
        symbol, style = sections.sign(page, sections.MARKS["not-run"])
        page.block(page.text("  ", (symbol, style), " ?  "), page.text((issuer, "bold"), ": not found"), " " * 7)


def _key(page: Page, report: Report, key: KeyObservation) -> None:
    """A private key, or its absence where there should be one."""
    about = [finding for finding in report.findings if key.id in finding.evidence]
    mark = chain_facts.key_mark(about, key)
    if mark is None:
        return
    page.heading(f"Key in {key.path}")
    symbol, style = sections.sign(page, sections.MARKS[mark])
    ids = f"  {', '.join(finding.id for finding in about)}" if about else ""
    page.block(page.text("  ", (symbol, style), " "), page.text((told.belonging(key), "bold"), ids), "    ")
    for label, value in told.key_details(key):
        page.paragraph(value, first=f"    {label:<10}")
