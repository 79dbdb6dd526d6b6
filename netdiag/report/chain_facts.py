"""A chain -> what is told of each element: its part, where it came from, what it is marked with, what others refuse.

Contract: as facts.py. Shared by every printer that draws a chain: the text (certificate.py) and the page
(html/certificates.py). A mark follows from the faults, and from what is known of a revocation; nothing is judged here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from netdiag.model import (
    CertificatePath,
    CertificateSummary,
    ChainFault,
    ChainObservation,
    ChainProfile,
    ElementRevocation,
    Finding,
    KeyObservation,
    PathEnd,
    RejectedIssuer,
    RetrievalObservation,
    Severity,
    UrlPurpose,
)
from netdiag.report import units
from netdiag.report.phrases import common_name

if TYPE_CHECKING:  # a report on a file has no ladder, and need not load it
    from netdiag.report.ladder import Mark

MARKS: dict[Severity, Mark] = {Severity.ERROR: "failed", Severity.WARNING: "warning", Severity.INFO: "ok"}

_RULES: dict[ChainProfile, str] = {
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
_REVOCATION = frozenset({"revoked", "revocation-offline", "revocation-unknown"})
_NO_ANCHOR = frozenset({"untrusted-root", "root-missing-locally", "incomplete"})
#: Two moments that lie so near are one.
_NOW_S = 3600.0


def worst(faults: Iterable[ChainFault]) -> Severity:
    """The gravest; "info" for none."""
    return min((fault.severity for fault in faults), key=lambda severity: severity.rank, default=Severity.INFO)


def of_element(faults: Iterable[ChainFault], index: int) -> list[ChainFault]:
    """The faults of one element, the gravest first."""
    return sorted((fault for fault in faults if fault.element == index), key=lambda fault: fault.severity.rank)


def is_now(at: float, started: float) -> bool:
    """Whether a chain that was judged at ``at`` was judged for the moment of the run."""
    return abs(at - started) <= _NOW_S


def question(chain: ChainObservation, started: float) -> str:
    """What was asked of the chain in a run that began at ``started``."""
    name = f" named {chain.host}" if chain.host else ", no name compared (--hostname)"
    roots = units.counted(chain.store_size, "root")
    parts = [
        f"{_PURPOSES[chain.purpose]}{name}",
        _RULES[chain.profile],
        "" if is_now(chain.at, started) else f"at {units.moment(chain.at)}, not now",
        f"with {roots} ({'; '.join(chain.stores)})" if chain.stores else f"with {roots}",
        "" if chain.revocation else "revocation not looked at",
    ]
    return ", ".join(filter(None, parts))


def best(chain: ChainObservation, sent: Collection[str] | None = None) -> CertificatePath:
    """The path that the chain's elements make, where they came from, and how it ends.

    A run that asked for the best path only tells neither: ``sent`` are then the SHA-256 of what the server sent, None
    where nobody knows; a source of which nothing is known is empty.
    """
    if chain.paths:  # whose elements are the chain's, unless somebody changed a saved report
        return msgspec.structs.replace(chain.paths[0], elements=chain.elements)
    finish = _end(chain)
    sources = ["given" if sent is not None and element.sha256 in sent else "" for element in chain.elements]
    if finish == "anchor":
        sources[-1:] = ["store"]
    return CertificatePath(
        elements=chain.elements, sources=tuple(sources), end=finish, faults=chain.faults, trusted=chain.outcome == "ok"
    )


def _end(chain: ChainObservation) -> PathEnd:
    last = len(chain.elements) - 1
    if last < 0:
        return "dead-end"
    if not any(fault.element == last and fault.kind in _NO_ANCHOR for fault in chain.faults):
        return "anchor"
    return "self-signed" if chain.elements[last].self_signed else "dead-end"


def role(chain: ChainObservation, path: CertificatePath, index: int, *, whole: bool = False) -> str:
    """What an element of one of the chain's paths is, and where it came from; with ``whole`` the URL in full."""
    element = path.elements[index]
    if index == len(path.elements) - 1 and path.end == "anchor":
        root = "root" if element.self_signed else "trust anchor, not self-signed,"
        return f"{root} in the trust store" if index else "the certificate, itself in the trust store"
    if not index:
        return "the certificate, self-signed" if element.self_signed else "the certificate"
    origin = _origin(chain, path.sources[index] if index < len(path.sources) else "", whole=whole)
    return f"root, not in the trust store{origin}" if element.self_signed else f"intermediate{origin}"


def _origin(chain: ChainObservation, source: str, *, whole: bool) -> str:
    if source == "given":
        return ", from the files" if chain.source == "file" else ", sent by the server"
    if source == "store":
        return ", from the trust store"
    if not source:
        return ""
    place = source if whole else source.partition("://")[2].partition("/")[0]
    return f", fetched from {place or 'a directory (LDAP)'}"


def missing(path: CertificatePath) -> str:
    """The name of the issuer that would have to stand above a path that ends without one; empty for another path."""
    if path.end != "dead-end" or not path.elements:
        return ""
    return common_name(path.elements[-1].issuer) or "its issuer"


def in_windows(fault: ChainFault) -> str:
    """The names that .NET and Windows have for a fault: ``NotTimeValid 0x1, 0x800B0101``."""
    flag = f"{fault.status_flag} 0x{fault.status:X}" if fault.status else fault.status_flag
    return ", ".join(filter(None, (flag, fault.hresult)))


def whose(fault: ChainFault, elements: int) -> str:
    """`` (NAME)`` for a fault of what is no element of the path, which has so many; else empty."""
    return f" ({common_name(fault.subject)})" if fault.element >= elements and fault.subject else ""


def notes(chain: ChainObservation, index: int) -> list[ChainFault]:
    """What others refuse at an element. What the revocation tells already is no note."""
    told_below = {"revocation-unknown"} if chain.revocation else set()
    return [note for note in chain.notes if note.element == index and note.kind not in told_below]


def refused_by(note: ChainFault) -> str:
    """``refused by RFC 5280, Windows``; empty where nobody does."""
    return f"refused by {', '.join(_REFUSERS[profile] for profile in note.refused_by)}" if note.refused_by else ""


def revocations(chain: ChainObservation, index: int) -> list[ElementRevocation]:
    """What is known of an element's revocation, where no fault tells it."""
    if any(fault.element == index and fault.kind in _REVOCATION for fault in chain.faults):
        return []
    return [found for found in chain.revocation if found.element == index]


def revocation_mark(found: ElementRevocation) -> Mark:
    """Not known is no fault here: where it is one, there is a fault that says so."""
    return "ok" if found.state == "good" else "failed" if found.state == "revoked" else "not-run"


def excused(chain: ChainObservation, path: CertificatePath, index: int) -> frozenset[UrlPurpose]:
    """The purposes that are served all the same, so that a URL that fails is no matter."""
    served: set[UrlPurpose] = set()
    if index < len(path.elements) - 1 or path.end == "anchor":
        served.add("aia")
    if all(found.state == "good" for found in chain.revocation if found.element == index):
        served |= {"cdp", "delta", "ocsp"}
    return frozenset(served)


def url_mark(observation: RetrievalObservation, served: Collection[UrlPurpose]) -> Mark:
    """Whether a URL did what it is for; ``served`` as ``excused`` tells."""
    if observation.status in ("verified", "revoked"):
        return "ok" if observation.status == "verified" else "failed"
    if observation.status == "unsupported":
        return "not-run"
    return "warning" if observation.purpose in served else "failed"


def chosen_urls(retrievals: Sequence[RetrievalObservation], most: int) -> list[RetrievalObservation]:
    """The first few, those that are not fine before the others; in their order."""
    ranked = sorted(range(len(retrievals)), key=lambda n: retrievals[n].status == "verified")
    return [retrievals[n] for n in sorted(ranked[:most])]


def identity(element: CertificateSummary) -> list[tuple[str, tuple[str, ...]]]:
    """What tells a certificate from every other, and what it may be used for: labels and values, the empty left out."""
    length = "" if element.path_length is None else f", path length {element.path_length}"
    rows = [
        ("subject", (element.subject or "(empty)",)),
        ("issuer", (element.issuer or "(empty)",)),
        ("serial", (f"{element.serial}, version {element.version}",)),
        ("valid", (f"from {units.moment(element.not_before)} to {units.moment(element.not_after)}",)),
        ("SHA-256", (element.sha256,)),
        ("SHA-1", (element.sha1,)),
        ("authority", (f"yes{length}",) if element.is_ca else ()),
        ("key usage", element.key_usage),
        ("extended key usage", element.extended_key_usage),
        ("policies", element.policies),
        ("key identifier", (element.subject_key_id,)),
        ("issuer's key identifier", (element.authority_key_id,)),
    ]
    return [(label, values) for label, values in rows if any(values)]


def rejected(entry: RejectedIssuer, *, whole: bool) -> str:
    """A certificate that bears an issuer's name and was not taken for it."""
    digest = entry.sha256 if whole else entry.sha256[:8]
    return f"{common_name(entry.subject)} (SHA-256 {digest}) above {common_name(entry.child)}: {entry.reason}"


def key_mark(findings: Sequence[Finding], key: KeyObservation) -> Mark | None:
    """The mark of a key with these findings; None where there is nothing to tell.

    A plain certificate file has no private key, and need not.
    """
    gravest = min((finding.severity for finding in findings), key=lambda s: s.rank, default=Severity.INFO)
    if key.present or gravest is not Severity.INFO:
        return MARKS[gravest]
    return "not-run" if key.format == "pkcs12" else None
