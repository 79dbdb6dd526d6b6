"""One chain, element by element from the leaf to the root, ready for its template: faults, URLs, what it could be else.

Contract: as section.py. The words and marks are those of chain_facts.py and certificate_facts.py, the order is the
text's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import msgspec

from netdiag.model import (
    CertificatePath,
    CertificateSummary,
    ChainFault,
    ChainObservation,
    ElementRevocation,
    Finding,
    KeyObservation,
    Report,
    RetrievalObservation,
    RevocationState,
    UrlPurpose,
)
from netdiag.report import certificate_facts as told
from netdiag.report import certutil, chain_facts, units
from netdiag.report.html.chain_values import Element, Fault, Key, Ladder, Other, Sent, Url, View
from netdiag.report.html.particulars import by_digest, particulars, pem, period
from netdiag.report.html.section import Context
from netdiag.report.ladder import Mark
from netdiag.report.phrases import some

#: URLs of one element that are listed at once, and its faults; the others are folded.
URLS = 8
FAULTS = 8
#: Names beside the element; all of them stand in its particulars.
_NAMES = 4

#: Certificates that a server sent, in the list of those that are not simply the chain.
_SENT = 40

#: What is known of a revocation, in a word or two, where a fault has told it in full.
_STATES: dict[RevocationState, str] = {
    "good": "not revoked",
    "revoked": "revoked",
    "unknown": "not known",
    "offline": "its services cannot be reached",
    "no-service": "it names no service",
    "not-checked": "not checked",
}


class Desk(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One chain's observation, and all that it needs of the report. ``sent``: what the server sent, None in a file."""

    report: Report
    context: Context
    chain: ChainObservation
    place: int
    sent: tuple[bytes, ...] | None = None
    #: The operating system's own verification accepted the chain.
    vouched: bool = False
    #: The place of every observation that stands in this chain's drawing.
    retrievals: tuple[tuple[int, RetrievalObservation], ...] = ()
    keys: tuple[tuple[int, KeyObservation], ...] = ()
    findings: Mapping[str, str] = msgspec.field(default_factory=dict)

    @cached_property
    def path(self) -> CertificatePath:
        """The best path; where the system vouches for one that ends without an issuer, that gap."""
        path = chain_facts.best(self.chain, None if self.sent is None else set(self.ders))
        if self.vouched and path.end == "anchor" and path.elements and not path.elements[-1].self_signed:
            sources = [("given" if element.sha256 in self.ders else "") for element in path.elements]
            return msgspec.structs.replace(path, sources=tuple(sources), end="dead-end")
        return path

    @cached_property
    def ders(self) -> dict[str, bytes]:
        """The certificates themselves, as far as the report holds them."""
        return by_digest(self.sent or ())

    @property
    def anchor(self) -> str:
        """The id of the chain on the page."""
        return self.context.anchor(f"chain{self.place}")

    @property
    def at(self) -> float:
        """The moment that validity was judged at."""
        return self.chain.at or self.chain.started

    def element_anchor(self, index: int) -> str:
        """The id of an element of the best path."""
        return f"{self.anchor}-{index}"

    def url_anchor(self, place: int) -> str:
        """The id of a URL, by its observation's place in the report."""
        return self.context.anchor(f"url{place}")

    def entry(self, place: int) -> str:
        """The id of an observation's entry."""
        return self.context.entry(place)


def view(desk: Desk) -> View:
    """The whole of one chain."""
    chain = desk.chain
    in_file = chain.source == "file"
    words, sent = _sent(desk)
    return View(
        anchor=desk.anchor,
        id=chain.id,
        evidence=desk.entry(desk.place),
        name=name(chain),
        mark=mark(chain),
        tally=tally(chain),
        question=chain_facts.question(chain, desk.report.started),
        stores=() if in_file else told.roots(chain),
        ladder=_ladder(desk, desk.path),
        loose=tuple(_fault(desk, fault) for fault in chain.faults if fault.element >= len(chain.elements)),
        sent_words=words,
        sent=sent,
        chosen=chain.chosen,
        others=tuple(_other(desk, n, path) for n, path in enumerate(chain.paths[1:], 1)),
        exhausted=chain.exhausted,
        rejected=tuple(chain_facts.rejected(entry, whole=True) for entry in chain.rejected),
        keys=tuple(keys(desk.report, desk.context, desk.keys, desk.findings)),
        certutil=tuple(certutil.lines(chain)) if in_file else (),
        caveat=certutil.caveat(chain),
    )


def name(chain: ChainObservation) -> str:
    """What the chain is called."""
    return told.short_name(chain.elements[0]) if chain.elements else "a certificate that cannot be read"


def mark(chain: ChainObservation) -> Mark:
    """The mark of the chain as a whole."""
    return chain_facts.MARKS[chain_facts.worst(chain.faults)]


def tally(chain: ChainObservation) -> str:
    """How much is wrong with it."""
    return told.tally(chain.faults) or "nothing wrong"


def _ladder(desk: Desk, path: CertificatePath, prefix: str = "") -> Ladder:
    """``prefix`` tells a path that was not chosen from the best one, which has it empty."""
    missing = chain_facts.missing(path)
    last = len(path.elements) - 1
    elements = tuple(
        _element(desk, path, index, prefix, "gap" if index == last and missing else "line" if index < last else "")
        for index in range(len(path.elements))
    )
    return Ladder(elements=elements, missing=missing, vouched=desk.vouched and not prefix)


def _element(desk: Desk, path: CertificatePath, index: int, prefix: str, onward: str) -> Element:
    """An element of a path that was not chosen has no URLs: only those of the best one were asked."""
    chain, element = desk.chain, path.elements[index]
    faults = chain_facts.of_element(path.faults if prefix else chain.faults, index)
    anchor = f"{desk.anchor}-{prefix}{index}"
    known = bool(prefix) and any(element.sha256 == other.sha256 for other in chain.elements)
    urls = [] if prefix else [(place, o) for place, o in desk.retrievals if o.element == index]
    first = {id(o) for o in chain_facts.chosen_urls([o for _, o in urls], URLS)}
    served = chain_facts.excused(chain, path, index)
    return Element(
        anchor=anchor,
        number=index,
        mark=chain_facts.MARKS[chain_facts.worst(faults)],
        name=told.short_name(element),
        role=chain_facts.role(chain, path, index, whole=True),
        lifetime=told.lifetime(element, desk.at),
        period=None if prefix else period(element, desk.at, now=chain_facts.is_now(desk.at, desk.report.started)),
        about=tuple(_about(index, element)),
        faults=tuple(_fault(desk, fault) for fault in faults),
        notes=() if prefix else tuple(_fault(desk, note) for note in chain_facts.notes(chain, index)),
        state=None if prefix else _state(chain, index),
        urls=tuple(_url(desk, place, o, served) for place, o in urls if id(o) in first),
        more=tuple(_url(desk, place, o, served) for place, o in urls if id(o) not in first),
        particulars=None if known else particulars(element, desk.ders, f"{anchor}-pem"),
        onward=onward,
    )


def _about(index: int, element: CertificateSummary) -> Iterator[tuple[str, str]]:
    if element.key:
        yield "key", element.key
    if element.signature_algorithm:
        yield "signed with", element.signature_algorithm
    if not index and element.names and element.names != (told.short_name(element),):
        yield "names", some(element.names, _NAMES)


def _fault(desk: Desk, fault: ChainFault) -> Fault:
    where = chain_facts.whose(fault, len(desk.chain.elements)).strip()
    return Fault(
        mark=chain_facts.MARKS[fault.severity],
        severity=fault.severity,
        finding=fault.finding,
        href=desk.findings.get(fault.finding, ""),
        words=f"{where} {fault.detail}".strip(),
        windows=chain_facts.in_windows(fault),
        refused_by=chain_facts.refused_by(fault),
    )


def _state(chain: ChainObservation, index: int) -> tuple[Mark, str] | None:
    """The revocation of an element; in short where a fault of the element tells it."""
    found: ElementRevocation | None = next((entry for entry in chain.revocation if entry.element == index), None)
    if found is None:
        return None
    if found in chain_facts.revocations(chain, index):
        return chain_facts.revocation_mark(found), told.revocation(found)
    return "failed" if found.state == "revoked" else "warning", _STATES[found.state]


def _url(desk: Desk, place: int, o: RetrievalObservation, served: frozenset[UrlPurpose]) -> Url:
    sign = chain_facts.url_mark(o, served)
    return Url(
        anchor=desk.url_anchor(place),
        href=desk.entry(place),
        mark=sign,
        purpose=told.PURPOSES[o.purpose],
        status=told.STATUS[o.status],
        took="from the cache" if o.cached else units.milliseconds(o.took_s) if o.took_s else "",
        came=units.size(o.bytes) if o.bytes else "",
        url=o.url,
        why=told.reason(o),
        excuse=_excuse(desk.chain, o) if sign == "warning" else "",
        more=told.retrieval_details(o),
    )


def _excuse(chain: ChainObservation, o: RetrievalObservation) -> str:
    if o.purpose == "aia":
        return "no matter: the issuer is known"
    asked = any(entry.element == o.element for entry in chain.revocation)
    return "no matter: the revocation is known from elsewhere" if asked else "no matter: nobody needs it"


def _other(desk: Desk, number: int, path: CertificatePath) -> Other:
    return Other(
        mark="ok" if path.trusted else "failed",
        words=told.other_path(path),
        ladder=_ladder(desk, path, f"p{number}-"),
    )


def _sent(desk: Desk) -> tuple[str, tuple[Sent, ...]]:
    """What the server sent: a sentence where it is the beginning of the path, else a list."""
    if not desk.sent:
        return "", ()
    digests = [next(iter(by_digest((der,)))) for der in desk.sent]
    path = [element.sha256 for element in desk.chain.elements]
    if digests == path[: len(digests)]:
        if len(digests) == 1:
            return f"The server sent {'this certificate' if len(path) == 1 else 'the first of these'} alone.", ()
        return f"The server sent the first {len(digests)} of these certificates, in this order.", ()
    listed = []
    for n, (digest, der) in enumerate(zip(digests[:_SENT], desk.sent, strict=False)):
        within = path.index(digest) if digest in path else None
        note = "" if within is None else f"{told.short_name(desk.chain.elements[within])}, number {within} of the chain"
        again = "sent before" if digest in digests[:n] else ""
        listed.append(
            Sent(
                place=units.ordinal(n + 1),
                href="" if within is None else desk.element_anchor(within),
                note=", ".join(filter(None, (note or "not part of the chain", again))),
                sha256=digest,
                pem="" if within is not None or again else pem(der),
                anchor=f"{desk.anchor}-sent{n}",
            )
        )
    begin = f"; the first {_SENT}" if len(digests) > _SENT else ""
    return f"The server sent {units.counted(len(digests), 'certificate')}, not simply this chain{begin}:", tuple(listed)


def keys(
    report: Report, context: Context, found: Sequence[tuple[int, KeyObservation]], findings: Mapping[str, str]
) -> Iterator[Key]:
    """The private keys that there is something to tell about."""
    for place, key in found:
        judged = about(report, key)
        sign = chain_facts.key_mark(judged, key)
        if sign is not None:
            yield Key(
                anchor=context.anchor(f"key{place}"),
                href=context.entry(place),
                path=key.path,
                mark=sign,
                words=told.belonging(key),
                findings=tuple((finding.id, findings.get(finding.id, "")) for finding in judged),
                rows=tuple(told.key_details(key)),
            )


def about(report: Report, key: KeyObservation) -> list[Finding]:
    """The findings that rest on a key."""
    return [finding for finding in report.findings if key.id in finding.evidence]
