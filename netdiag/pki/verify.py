"""Verification of a presented chain: the best path, and everything that is wrong with it.

Contract: never raises for what a server sent; no clock (``at`` is seconds since the epoch) and no network (``fetch``
answers the path builder's requests, see ``pki/path.py``). Revocation is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from netdiag.model import CertificateSummary, ChainFault, Failure, name_part
from netdiag.pki.checks import element_faults, fault
from netdiag.pki.facts import Facts, Unreadable
from netdiag.pki.names import name_problem
from netdiag.pki.path import Built, Path, anchored, build, drive, read_presented
from netdiag.pki.trust import TrustStore

#: SHA-256 of DigiCert Global Root G2 (digicert.com/kb/digicert-root-certificates.htm), which signs the service.
DIGICERT_G2_SHA256 = "cb3ccbb76031e5e0138f8dd39a23f9de47ffc35e43c1144cea27d46a5ab1cb5f"

#: What the chosen path reaches: the store in use, only the public roots, or neither.
Anchor = Literal["store", "public", "none"]


@dataclass(frozen=True, kw_only=True)
class Verification:
    """The judgement on one chain for one host.

    ``elements`` is the best path, leaf first, with its anchor where one was found; ``faults`` is complete for it.
    ``publicly_trusted``: some path of authorities reaches a public root, whatever the validity times and the host.
    ``fetched`` maps the SHA-256 of an element that the server did not send to the URL it came from.
    """

    elements: tuple[CertificateSummary, ...]
    faults: tuple[ChainFault, ...]
    anchor: Anchor
    publicly_trusted: bool
    has_digicert_g2: bool
    fetched: dict[str, str] = field(default_factory=dict)


def verify_chain(
    presented: Sequence[bytes],
    host: str,
    store: TrustStore,
    *,
    public: TrustStore,
    at: float,
    fetch: Callable[[str], bytes | Failure] | None = None,
) -> Verification:
    """Judge the certificates that a server sent (DER, leaf first) for a TLS connection to ``host``."""
    certificates = read_presented(presented)
    unreadable = [
        ChainFault(kind="malformed", element=index, subject="", detail=entry.reason)
        for index, entry in enumerate(certificates)
        if isinstance(entry, Unreadable)
    ]
    if not certificates:
        unreadable = [ChainFault(kind="malformed", element=0, subject="", detail="the server sent no certificate")]
    has_g2 = store.has_sha256(DIGICERT_G2_SHA256)
    readable = [entry for entry in certificates if isinstance(entry, Facts)]
    if not certificates or not isinstance(certificates[0], Facts):
        return Verification(
            elements=tuple(entry.summary for entry in readable),
            faults=tuple(unreadable),
            anchor="none",
            publicly_trusted=False,
            has_digicert_g2=has_g2,
        )
    leaf = certificates[0]
    built = drive(build(leaf, readable[1:], store, public), fetch)
    judged = [_judge(path, reach, built, at, public=public, sent=readable) for path, reach in _candidates(built)]
    best = min(judged, key=lambda entry: entry.rank)  # the first of equals: found earlier
    problem = name_problem(host, leaf.dns_names, leaf.addresses, leaf.common_names)
    names = [] if not problem or leaf.extension_error else [fault("name-mismatch", 0, leaf, problem)]
    return Verification(
        elements=tuple(element.summary for element in best.path.elements),
        faults=(*unreadable, *names, *best.faults),
        anchor=best.reach,
        publicly_trusted=any(_authentic(path, at) for path in built.public_paths),
        has_digicert_g2=has_g2,
        fetched={e.sha256: built.fetched[e.sha256] for e in best.path.elements if e.sha256 in built.fetched},
    )


@dataclass(frozen=True)
class _Judged:
    path: Path
    reach: Anchor
    faults: tuple[ChainFault, ...]

    @property
    def rank(self) -> tuple[int, int, int]:
        """Lower is better: where it ends, then how many faults it has, then how long it is.

        Among paths that reach no anchor the longest tells most.
        """
        length = len(self.path.elements)
        return (
            {"store": 0, "public": 1, "none": 2}[self.reach],
            len(self.faults),
            -length if self.reach == "none" else 0,
        )


def _candidates(built: Built) -> list[tuple[Path, Anchor]]:
    """Every path with what it reaches; the public roots count only where no path reaches the store in use."""
    own: list[tuple[Path, Anchor]] = [(path, "store" if path.trusted else "none") for path in built.paths]
    if any(reach == "store" for _, reach in own):
        return own
    return own + [(path, "public") for path in built.public_paths if path.trusted]


def _judge(path: Path, reach: Anchor, built: Built, at: float, *, public: TrustStore, sent: list[Facts]) -> _Judged:
    elements = path.elements
    found = [
        fault(
            "bad-signature", i, elements[i], f"{elements[i + 1].summary.subject} did not sign it", "NotSignatureValid"
        )
        for i in sorted(path.bad_links)
    ]
    found += _unsent(path, built)
    found += _trust(path, reach, built, public=public, sent=sent)
    found += element_faults(elements, at, anchored=path.end == "anchor")
    return _Judged(path, reach, tuple(found))


def _authentic(path: Path, at: float) -> bool:
    """Only authorities signed, up to a public root. Without this, any public server certificate could sign others."""
    usurped = ("not-a-ca", "path-length-exceeded", "key-usage", "name-constraint")
    return path.trusted and not any(
        f.kind in usurped and (f.element or f.kind == "name-constraint")
        for f in element_faults(path.elements, at, anchored=True)
    )


def _unsent(path: Path, built: Built) -> list[ChainFault]:
    """The first gap in what the server sent that a fetched intermediate had to fill."""
    for index, element in enumerate(path.elements[1:]):
        url = built.fetched.get(element.sha256)
        if url is not None and not element.self_signed:
            before = path.elements[index]
            detail = f"the server does not send {element.summary.subject}, which is available at {url}"
            return [fault("incomplete", index, before, detail, "PartialChain")]
    return []


def _trust(path: Path, reach: Anchor, built: Built, *, public: TrustStore, sent: list[Facts]) -> list[ChainFault]:
    """Why the path does not end at a root of the store in use, where it does not.

    A server normally sends everything but the root. So when at least one authority came along, what is missing above
    it is a root that is not trusted; when only the leaf came, what is missing is an intermediate.
    """
    last, top = len(path.elements) - 1, path.elements[-1]
    subject, issuer = top.summary.subject, top.summary.issuer
    if reach == "public" or (reach == "none" and path.end == "self-signed" and anchored(top, public)):
        detail = f"{subject} is a public root, and not in the trust store"
        return [fault("root-missing-locally", last, top, detail, "UntrustedRoot" if top in sent else "PartialChain")]
    if path.end == "anchor":
        return []  # trusted, or reached over a bad signature, which is said
    if path.end == "self-signed":
        detail = "it is self-signed, and not in the trust store" if not last else f"{subject} is not in the trust store"
        return [fault("untrusted-root", last, top, detail, "UntrustedRoot")]
    if (len(sent) >= 2 and top.summary.is_ca) or _names_a_root(name_part(issuer, "CN")):
        detail = f"its issuer {issuer} is not in the trust store"
        return [fault("untrusted-root", last, top, detail, "PartialChain")]
    detail = f"its issuer {issuer} is neither sent by the server nor in the trust store"
    failed = [(url, built.failures[url]) for url in top.summary.aia if url in built.failures]
    if failed:
        url, failure = failed[0]
        detail += f"; {url} did not give it ({failure.detail or failure.kind})"
    return [fault("incomplete", last, top, detail, "PartialChain")]


def _names_a_root(name: str) -> bool:
    """Whether an authority calls itself a root, and not what a root's name merely starts ("X Root - Issuing CA 1")."""
    words = set(re.findall(r"[a-z]+", name.lower()))
    return "root" in words and not words & {"issuing", "intermediate", "sub", "subordinate", "server", "tls"}
