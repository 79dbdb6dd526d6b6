"""``Report`` on certificate files -> text below the verdict: findings, then each chain, element by element.

The leaf stands at the top and its issuers below it, down to the root. It is the certificate that was asked about, most
faults are its own, and what an administrator wants to know next is who signed it, and who signed that: one reads down.
It is also the order in which certutil and openssl number and print a chain. One line leads down, without indentation,
so that the tenth element has as much room for its URLs as the first.

Contract: pure. The printer judges nothing: marks follow from the faults, and from what is known of a revocation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from netdiag.model import (
    CertificateSummary,
    ChainFault,
    ChainObservation,
    ChainProfile,
    KeyObservation,
    Observation,
    PathEnd,
    Report,
    RetrievalObservation,
    Severity,
    UrlPurpose,
)
from netdiag.report import certificate_facts as told
from netdiag.report import certutil, sections, units
from netdiag.report.candidates import candidates
from netdiag.report.page import Page
from netdiag.report.phrases import common_name, some
from netdiag.report.retrievals import urls
from netdiag.report.styled import Text

if TYPE_CHECKING:  # a report on a file has no ladder, and need not load it
    from netdiag.report.ladder import Mark

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

_MARKS: dict[Severity, Mark] = {Severity.ERROR: "failed", Severity.WARNING: "warning", Severity.INFO: "ok"}
_REVOCATION = frozenset({"revoked", "revocation-offline", "revocation-unknown"})
_RULES = {
    "windows": "by the rules of Windows",
    "rfc5280": "by RFC 5280",
    "webpki": "by the rules of the public web (CA/Browser Forum)",
    "clients": "by what any of today's clients refuses",
}
_REFUSERS: dict[ChainProfile, str] = {
    "windows": "Windows",
    "rfc5280": "RFC 5280",
    "webpki": "the rules of public authorities",
    "clients": "today's clients",
}
_PURPOSES = {"server": "as a server", "client": "as a client", "any": "for any purpose"}
#: Two moments that lie so near are one.
_NOW_S = 3600.0


def body(page: Page, report: Report) -> None:
    """Everything below the verdict."""
    verbose = page.layout.verbose
    sections.findings(page, report, None if verbose else _EVIDENCE)
    chains = sorted(_all(report, ChainObservation), key=lambda chain: _worst(chain.faults).rank)
    full = chains if verbose else chains[:_IN_FULL]
    for chain in full:
        _Chain(page, report, chain, several=len(chains) > 1).write()
    _in_a_line(page, chains[len(full) :])
    known = {chain.id for chain in chains}
    for key in _all(report, KeyObservation):
        if key.parent not in known:
            _key(page, report, key)
    if report.not_run:
        page.heading("Not done")
        for entry in report.not_run:
            page.paragraph(entry.reason, first="  ")
    kinds = (ChainObservation, RetrievalObservation, KeyObservation)
    shown = {o.id for o in report.observations if isinstance(o, kinds) and (o.id in known or o.parent in known)}
    shown |= {key.id for key in _all(report, KeyObservation)}
    if any(o.id not in shown for o in report.observations):
        sections.observed(page, report, shown, _OTHERS)
    sections.bugs(page, report)


def _all(report: Report, kind: type[_Kind]) -> list[_Kind]:
    return [observation for observation in report.observations if isinstance(observation, kind)]


def _worst(faults: Iterable[ChainFault]) -> Severity:
    """The gravest; "info" for none."""
    return min((fault.severity for fault in faults), key=lambda severity: severity.rank, default=Severity.INFO)


def _in_a_line(page: Page, chains: Sequence[ChainObservation]) -> None:
    """The chains that there is no room for."""
    if not chains:
        return
    page.heading(f"{units.counted(len(chains), 'more chain')} (--verbose tells all of them in full)")
    for chain in chains[:_IN_A_LINE]:
        symbol, style = sections.sign(page, sections.MARKS[_MARKS[_worst(chain.faults)]])
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
        self._end: PathEnd | None = chain.paths[0].end if chain.paths else None

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
        page.paragraph((self._question(), "dim"), first="  ")
        page.blank()

    def _question(self) -> str:
        """What was asked of the chain."""
        chain = self._chain
        name = f" named {chain.host}" if chain.host else ", no name compared (--hostname)"
        then = abs(chain.at - self._report.started) > _NOW_S
        roots = units.counted(chain.store_size, "root")
        parts = [
            f"{_PURPOSES[chain.purpose]}{name}",
            _RULES[chain.profile],
            f"at {units.moment(chain.at)}, not now" if then else "",
            f"with {roots} ({'; '.join(chain.stores)})" if chain.stores else f"with {roots}",
            "" if chain.revocation else "revocation not looked at",
        ]
        return ", ".join(filter(None, parts))

    def _element(self, index: int, element: CertificateSummary) -> None:
        page = self._page
        faults = [fault for fault in self._chain.faults if fault.element == index]
        symbol, style = sections.sign(page, sections.MARKS[_MARKS[_worst(faults)]])
        stem = self._stem(onward=index < self._last or self._end == "dead-end")
        lead = page.text("  ", (symbol, style), f" {index:<2} ")
        page.block(lead, page.text((told.short_name(element), "bold"), f": {self._role(index, element)}"), stem)
        at = self._chain.at or self._chain.started
        about = (told.lifetime(element, at), element.key, element.signature_algorithm)
        page.paragraph(", ".join(filter(None, about)), first=stem, rest=stem)
        self._names(stem, index, element)
        if page.layout.verbose:
            for line in _identity(element):
                page.paragraph((line, "dim"), first=stem, rest=stem)
        self._faults(stem, index, faults)
        self._revocation(stem, index, faults)
        here = [o for o in self._retrievals if o.element == index]
        urls(page, stem, here, self._excused(index))
        if stem.strip():
            page.line(Text.of(stem))

    def _stem(self, *, onward: bool) -> str:
        """What stands before every line of an element: the way to its issuer, where there is one."""
        return f"  {('│' if self._page.layout.unicode else '|') if onward else ' '}    "

    def _role(self, index: int, element: CertificateSummary) -> str:
        """What it is in this chain, and where it came from."""
        origin = ""
        if self._chain.paths and index < len(self._chain.paths[0].sources):
            origin = self._origin(self._chain.paths[0].sources[index])
        if index == self._last and self._end == "anchor":
            root = "root" if element.self_signed else "trust anchor, not self-signed,"
            return f"{root} in the trust store" if index else "the certificate, itself in the trust store"
        if not index:
            return "the certificate, self-signed" if element.self_signed else "the certificate"
        if element.self_signed:
            return f"root, not in the trust store{origin}"
        return f"intermediate{origin}"

    def _origin(self, source: str) -> str:
        if source == "given":
            return ", from the files"
        if source == "store":
            return ", from the trust store"
        place = source if self._page.layout.verbose else source.partition("://")[2].partition("/")[0]
        return f", fetched from {place or 'a directory (LDAP)'}"

    def _names(self, stem: str, index: int, element: CertificateSummary) -> None:
        if index or not element.names or element.names == (told.short_name(element),):
            return
        most = len(element.names) if self._page.layout.verbose else _NAMES
        self._page.paragraph(f"names {some(element.names, most)}", first=stem, rest=f"{stem}  ")

    def _faults(self, stem: str, index: int, faults: Sequence[ChainFault]) -> None:
        page = self._page
        shown = sorted(faults, key=lambda fault: fault.severity.rank)
        for fault in shown if page.layout.verbose else shown[:_FAULTS]:
            self._fault(stem, fault)
        if len(shown) > _FAULTS and not page.layout.verbose:
            page.paragraph(
                f"and {units.counted(len(shown) - _FAULTS, 'more fault')} (--verbose)", first=stem, rest=stem
            )
        told_below = {"revocation-unknown"} if self._chain.revocation else set()
        notes = [note for note in self._chain.notes if note.element == index and note.kind not in told_below]
        if notes and not page.layout.verbose:
            count = units.counted(len(notes), "remark")
            page.paragraph(
                (f"i {count}: others may refuse what these rules accept (--verbose)", "dim"),
                first=stem,
                rest=f"{stem}  ",
            )
            return
        for note in notes:
            who = (
                f": refused by {', '.join(_REFUSERS[profile] for profile in note.refused_by)}"
                if note.refused_by
                else ""
            )
            said = f"i {note.detail} ({note.finding}){who}"
            page.paragraph((said, "dim"), first=stem, rest=f"{stem}  ")

    def _fault(self, stem: str, fault: ChainFault) -> None:
        """A fault by its id, in words, and by the names that Windows has for it."""
        page = self._page
        symbol, style = sections.sign(page, sections.MARKS[_MARKS[fault.severity]])
        flag = f"{fault.status_flag} 0x{fault.status:X}" if fault.status_flag else ""
        windows = ", ".join(filter(None, (flag, fault.hresult)))
        where = f" ({common_name(fault.subject)})" if fault.element > self._last and fault.subject else ""
        words = (fault.finding, "bold"), f"{where}: {fault.detail}", (f" ({windows})" if windows else "", "dim")
        page.block(page.text(stem, (symbol, style), " "), page.text(*words), f"{stem}  ")

    def _revocation(self, stem: str, index: int, faults: Sequence[ChainFault]) -> None:
        """What is known of its revocation, where no fault has told it already."""
        page = self._page
        for found in self._chain.revocation:
            if found.element != index or any(fault.kind in _REVOCATION for fault in faults):
                continue
            mark: Mark = {"good": "ok", "revoked": "failed"}.get(found.state, "not-run")  # type: ignore[assignment]
            symbol, style = sections.sign(page, sections.MARKS[mark])
            page.block(page.text(stem, (symbol, style), " "), page.text(told.revocation(found)), f"{stem}  ")

    def _excused(self, index: int) -> frozenset[UrlPurpose]:
        """The purposes that are served all the same, so that a URL that fails is no matter."""
        served: set[UrlPurpose] = set()
        if index < self._last or self._end == "anchor":
            served.add("aia")
        if all(found.state == "good" for found in self._chain.revocation if found.element == index):
            served |= {"cdp", "delta", "ocsp"}
        return frozenset(served)

    def _missing(self) -> None:
        """The issuer that would have to stand there."""
        if self._end != "dead-end":
            return
        page = self._page
        symbol, style = sections.sign(page, sections.MARKS["not-run"])
        issuer = common_name(self._chain.elements[-1].issuer) or "its issuer"
        page.block(page.text("  ", (symbol, style), " ?  "), page.text((issuer, "bold"), ": not found"), " " * 7)


def _identity(element: CertificateSummary) -> list[str]:
    """What tells a certificate from every other, and what it may be used for."""
    lines = [
        f"subject {element.subject or '(empty)'}",
        f"issuer {element.issuer or '(empty)'}",
        f"serial {element.serial}, version {element.version}",
        f"from {units.moment(element.not_before)} to {units.moment(element.not_after)}",
        f"SHA-256 {element.sha256}",
        f"SHA-1 {element.sha1}",
    ]
    length = "" if element.path_length is None else f", path length {element.path_length}"
    lists = {
        "authority": (f"yes{length}",) if element.is_ca else (),
        "key usage": element.key_usage,
        "extended key usage": element.extended_key_usage,
        "policies": element.policies,
        "key identifier": (element.subject_key_id,) if element.subject_key_id else (),
        "issuer's key identifier": (element.authority_key_id,) if element.authority_key_id else (),
    }
    return lines + [f"{label} {', '.join(values)}" for label, values in lists.items() if values]


def _key(page: Page, report: Report, key: KeyObservation) -> None:
    """A private key, or its absence where there should be one: not in a plain certificate file."""
    about = [finding for finding in report.findings if key.id in finding.evidence]
    worst = min((finding.severity for finding in about), key=lambda severity: severity.rank, default=Severity.INFO)
    if not key.present and key.format != "pkcs12" and worst is Severity.INFO:
        return
    mark = _MARKS[worst] if key.present or worst is not Severity.INFO else "not-run"
    page.heading(f"Key in {key.path}")
    symbol, style = sections.sign(page, sections.MARKS[mark])
    ids = f"  {', '.join(finding.id for finding in about)}" if about else ""
    page.block(page.text("  ", (symbol, style), " "), page.text((told.belonging(key), "bold"), ids), "    ")
    for label, value in told.key_details(key):
        page.paragraph(value, first=f"    {label:<10}")
