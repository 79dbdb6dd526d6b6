"""What a report on certificate files has besides: each chain element by element, its URLs, the private keys.

Contract: as body.py. The words, and what is marked how, are chain_facts.py's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from netdiag.model import CertificatePath, ChainFault, ChainObservation, KeyObservation, Report, RetrievalObservation
from netdiag.report import certificate_facts as told
from netdiag.report import certutil, chain_facts, sections, units
from netdiag.report.candidates import candidates
from netdiag.report.ladder import Mark
from netdiag.report.markdown import body
from netdiag.report.markdown.document import Document, Item, Marked
from netdiag.report.phrases import some
from netdiag.report.worst import every

#: Chains told in full without --verbose, the worst first, and those with a line each: a file may hold a whole store.
_IN_FULL = 3
_IN_A_LINE = 40
#: Names, faults and URLs without --verbose; a hostile certificate may have hundreds.
_NAMES = 4
_FAULTS = 8
_URLS = 20


def rest(document: Document, report: Report) -> None:
    """Everything below the verdict."""
    body.findings(document, report)
    chains = sorted(every(report, ChainObservation), key=lambda chain: chain_facts.worst(chain.faults).rank)
    full = chains if document.layout.verbose else chains[:_IN_FULL]
    for chain in full:
        _chain(document, report, chain, several=len(chains) > 1)
    _in_a_line(document, chains[len(full) :])
    for key in every(report, KeyObservation):
        _key(document, report, key)
    kinds = (ChainObservation, RetrievalObservation, KeyObservation)
    body.observed(document, report, {o.id for o in report.observations if isinstance(o, kinds)})
    body.not_done(document, report)
    body.bugs(document, report)


def _in_a_line(document: Document, chains: Sequence[ChainObservation]) -> None:
    """The chains that there is no room for."""
    if not chains:
        return
    document.heading(3, f"{units.counted(len(chains), 'more chain')} (--verbose tells all of them in full)")
    lines = [
        document.text(_sign(document, chain_facts.MARKS[chain_facts.worst(chain.faults)]), told.chain(chain))
        for chain in chains[:_IN_A_LINE]
    ]
    document.items(lines)
    document.more(len(chains) - _IN_A_LINE, "chain")


def _sign(document: Document, mark: Mark) -> Marked:
    return document.sign(sections.MARKS[mark])


def _chain(document: Document, report: Report, chain: ChainObservation, *, several: bool) -> None:
    """The question, the elements, the URLs, what else there was to choose, certutil's words."""
    number = f" ({chain.id})" if several else ""
    name = told.short_name(chain.elements[0]) if chain.elements else "a certificate that cannot be read"
    document.heading(3, f"Chain of {name}{number}: {told.tally(chain.faults) or 'nothing wrong'}")
    document.paragraph(chain_facts.question(chain, report.started))
    path = chain_facts.best(chain)
    lines: list[Item] = [
        (_element(document, chain, path, index), list(_about(document, chain, index)))
        for index in range(len(chain.elements))
    ]
    if issuer := chain_facts.missing(path):
        lines.append(document.text(_sign(document, "not-run"), f"{issuer}: not found"))
    beyond = [fault for fault in chain.faults if fault.element >= len(chain.elements)]
    document.items(lines + [_fault(document, chain, fault) for fault in beyond], limit=sections.DETAIL_LIMIT)
    _urls(document, report, chain, path)
    document.drawing(partial(candidates, chain=chain))
    document.drawing(partial(certutil.summary, chain=chain, number=number))


def _element(document: Document, chain: ChainObservation, path: CertificatePath, index: int) -> Marked:
    element = chain.elements[index]
    faults = chain_facts.of_element(chain.faults, index)
    role = chain_facts.role(chain, path, index, whole=document.layout.verbose)
    at = chain.at or chain.started
    about = ", ".join(filter(None, (told.lifetime(element, at), element.key, element.signature_algorithm)))
    mark = _sign(document, chain_facts.MARKS[chain_facts.worst(faults)])
    return document.text(mark, str(index), f"{told.short_name(element)}: {role}; {about}")


def _about(document: Document, chain: ChainObservation, index: int) -> Iterator[str]:
    """What is told of one element: its names, faults, revocation; who it is in full with ``verbose``."""
    element, verbose = chain.elements[index], document.layout.verbose
    if not index and element.names and element.names != (told.short_name(element),):
        yield f"names {some(element.names, len(element.names) if verbose else _NAMES)}"
    if verbose:
        yield from (f"{label} {', '.join(values)}" for label, values in chain_facts.identity(element))
    faults = chain_facts.of_element(chain.faults, index)
    shown = faults if verbose else faults[:_FAULTS]
    yield from (_fault(document, chain, fault) for fault in shown)
    if len(shown) < len(faults):
        yield f"and {units.counted(len(faults) - len(shown), 'more fault')} (--verbose lists them)"
    notes = chain_facts.notes(chain, index)
    if notes and not verbose:
        yield f"{units.counted(len(notes), 'remark')}: others may refuse what these rules accept (--verbose)"
    for note in notes if verbose else ():
        yield ": ".join(filter(None, (f"{note.detail} ({note.finding})", chain_facts.refused_by(note))))
    for found in chain_facts.revocations(chain, index):
        yield document.text(_sign(document, chain_facts.revocation_mark(found)), told.revocation(found))


def _fault(document: Document, chain: ChainObservation, fault: ChainFault) -> Marked:
    windows = chain_facts.in_windows(fault)
    said = f"{fault.detail}{f' ({windows})' if windows else ''}"
    named = f"{document.code(fault.finding)}{document.text(chain_facts.whose(fault, len(chain.elements)))}:"
    return document.text(_sign(document, chain_facts.MARKS[fault.severity]), Marked(named), said)


def _urls(document: Document, report: Report, chain: ChainObservation, path: CertificatePath) -> None:
    """Every URL and what became of it, whole."""
    found = [o for o in every(report, RetrievalObservation) if o.parent == chain.id]
    shown = found if document.layout.verbose else chain_facts.chosen_urls(found, _URLS)
    rows = [
        (
            _sign(document, chain_facts.url_mark(o, chain_facts.excused(chain, path, o.element))),
            str(o.element),
            told.PURPOSES[o.purpose],
            told.STATUS[o.status],
            "cached" if o.cached else units.milliseconds(o.took_s) if o.took_s else "",
            units.size(o.bytes) if o.bytes else "",
            document.code(o.url, limit=sections.DETAIL_LIMIT),
            document.text(told.reason(o), told.retrieval_details(o) if document.layout.verbose else ""),
        )
        for o in shown
    ]
    titles = ("", "of", "for", "what became of it", "took", "size", "URL", "why")
    document.table(titles, rows, numbers=(1, 4, 5))
    document.more(len(found) - len(shown), "URL", "--verbose lists them")


def _key(document: Document, report: Report, key: KeyObservation) -> None:
    """A private key, or its absence where there should be one."""
    about = [finding for finding in report.findings if key.id in finding.evidence]
    mark = chain_facts.key_mark(about, key)
    if mark is None:
        return
    document.heading(3, "Key in", document.code(key.path))
    ids = [document.code(finding.id) for finding in about]
    document.paragraph(_sign(document, mark), told.belonging(key), *ids)
    document.items([f"{label}: {value}" for label, value in told.key_details(key)])
