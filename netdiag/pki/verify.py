"""Verification of a chain: every candidate path with everything that is wrong with it, and the best of them.

Contract: never raises for what a server sent or a file holds; no clock (``at`` is seconds since the epoch) and no
network: ``verifying`` is a generator that yields what is to be fetched, and is sent what came.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from netdiag.model import (
    CertificatePath,
    CertificateSummary,
    ChainFault,
    ChainObservation,
    ElementRevocation,
    Failure,
    RejectedIssuer,
    Severity,
)
from netdiag.pki.context import fault
from netdiag.pki.facts import Facts, Unreadable, read
from netdiag.pki.judging import Anchor, Judged, Question, authentic, flawless, judge_all, rank, why_chosen
from netdiag.pki.lazy import lazy
from netdiag.pki.path import MAX_GIVEN, Asking, Built, Fetch, Rejected, build, drive, read_all
from netdiag.pki.trust import TrustStore

if TYPE_CHECKING:
    from netdiag.pki.inquiry import Retrieval

#: SHA-256 of DigiCert Global Root G2 (digicert.com/kb/digicert-root-certificates.htm), which signs the service.
DIGICERT_G2_SHA256 = "cb3ccbb76031e5e0138f8dd39a23f9de47ffc35e43c1144cea27d46a5ab1cb5f"


@dataclass(frozen=True, kw_only=True)
class Verification:
    """The judgement on one certificate.

    ``faults`` are those of the best path, and of what could not be read. ``revocation`` is about the best path,
    ``retrievals`` about the URLs that its elements name. ``exhausted``: a limit ended the search for paths.
    ``publicly_trusted``: some path of authorities reaches a public root, whatever the validity times and the host.
    """

    trusted: bool
    faults: tuple[ChainFault, ...]
    exhausted: bool = False
    revocation: tuple[ElementRevocation, ...] = ()
    retrievals: tuple[Retrieval, ...] = ()
    anchor: Anchor = "none"
    publicly_trusted: bool = False
    has_digicert_g2: bool = False
    #: What the properties below are made of when somebody asks: most callers want yes or no.
    _judged: tuple[Judged, ...] = field(default=(), repr=False)
    _built: Built | None = field(default=None, repr=False)
    _store: TrustStore | None = field(default=None, repr=False)

    @lazy
    def paths(self) -> tuple[CertificatePath, ...]:
        """All candidates, the best first; none where the certificate itself cannot be read."""
        if self._built is None or self._store is None:
            return ()
        return tuple(_candidate(entry, self._built, self._store) for entry in self._judged)

    @property
    def chosen(self) -> str:
        """Why the first path is the best, in a sentence."""
        return why_chosen(self._judged) if self._judged else ""

    @property
    def rejected(self) -> tuple[RejectedIssuer, ...]:
        """Certificates that bear an issuer's name and were not taken for it."""
        return tuple(map(_rejected, self._built.rejected)) if self._built else ()

    @property
    def elements(self) -> tuple[CertificateSummary, ...]:
        """The best path, leaf first, with its anchor where one was found."""
        return self.paths[0].elements if self.paths else ()

    @property
    def serious(self) -> tuple[ChainFault, ...]:
        """The errors and warnings."""
        return tuple(fault for fault in self.faults if fault.severity is not Severity.INFO)

    @property
    def notes(self) -> tuple[ChainFault, ...]:
        """What is only good to know: others would refuse it."""
        return tuple(fault for fault in self.faults if fault.severity is Severity.INFO)


def verifying(
    leaf: bytes,
    given: Iterable[bytes],
    store: TrustStore,
    question: Question,
    *,
    public: TrustStore | None = None,
    crls: Sequence[bytes] = (),
    responses: Sequence[bytes] = (),
    every_url: bool = False,
) -> Asking[Verification]:
    """Judge ``leaf`` (DER) with the help of the certificates in ``given``.

    Issuers are asked for where they are missing; ``every_url`` asks for all that the certificates name, and so for
    their revocation, for which ``crls`` and ``responses`` (OCSP) may be given too. ``public`` tells public roots from
    private ones.
    """
    question = _whole_seconds(question)
    others = read_all(given)[:MAX_GIVEN]
    has_g2 = store.has_sha256(DIGICERT_G2_SHA256)
    first = read(leaf)
    readable = [entry for entry in others if isinstance(entry, Facts)]
    unreadable = tuple(
        fault("malformed", index, None, entry.reason, "InvalidExtension")
        for index, entry in enumerate((first, *others))
        if isinstance(entry, Unreadable) and (question.sent or not index)
    )
    if isinstance(first, Unreadable):
        return Verification(trusted=False, faults=unreadable, has_digicert_g2=has_g2)
    built = yield from build(
        first, readable, store, public, question.at, every_url=every_url, flawless=flawless(question)
    )
    judged = judge_all(built, question, public, [first, *readable])
    checked = _Checked(judged)
    if every_url or crls or responses:
        checked = yield from _revocation(judged, built, store, question, crls, responses, every_url=every_url)
    best = checked.judged[0]
    return Verification(
        trusted=best.trusted and not unreadable,
        faults=(*unreadable, *best.faults),
        exhausted=built.exhausted,
        revocation=checked.states,
        retrievals=checked.retrievals,
        anchor=best.reach,
        publicly_trusted=any(authentic(path, question) for path in built.public_paths),
        has_digicert_g2=has_g2,
        _judged=tuple(checked.judged),
        _built=built,
        _store=store,
    )


@dataclass(frozen=True)
class _Checked:
    """The paths, the best first, after a look at revocation: what is known of the best one's, and its URLs."""

    judged: list[Judged]
    states: tuple[ElementRevocation, ...] = ()
    retrievals: tuple[Retrieval, ...] = ()


def _revocation(
    judged: list[Judged],
    built: Built,
    store: TrustStore,
    question: Question,
    crls: Sequence[bytes],
    responses: Sequence[bytes],
    *,
    every_url: bool,
) -> Asking[_Checked]:
    # Not loaded for a chain whose revocation nobody asks about: that is most of them, and it takes a while.
    from netdiag.pki.inquiry import Evidence, Inquirer, inquiry, retrievals, revocation_faults

    evidence = Evidence()
    evidence.give(crls, responses)
    if every_url:
        yield from inquiry(judged[0].path, evidence, question.nonce)
    inquirer = Inquirer(evidence=evidence, built=built, store=store, question=question, asked=every_url)
    checked = [
        replace(entry, faults=(*entry.faults, *revocation_faults(entry.path, inquirer.states(entry.path))))
        for entry in judged
    ]
    checked.sort(key=rank)  # stable: found earlier, better
    path = checked[0].path
    return _Checked(checked, inquirer.states(path), retrievals(path, inquirer, question.nonce) if every_url else ())


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
    question = of_server(host, at)
    if not presented:
        nothing = fault("malformed", 0, None, "the server sent no certificate", "InvalidExtension")
        return Verification(trusted=False, faults=(nothing,))
    leaf, *others = presented

    def answer(requests: tuple[Fetch, ...]) -> dict[Fetch, bytes | Failure]:
        return {request: fetch(request.url) for request in requests} if fetch else {}

    return drive(verifying(leaf, others, store, question, public=public), answer)


def of_server(host: str, at: float) -> Question:
    """What is asked of the certificates that a server sends: to please every client."""
    return Question(hostname=host, at=at, profile="clients", sent=True)


def observed(found: Verification, question: Question, store: TrustStore) -> ChainObservation:
    """What was found out as an observation, the best path only; whoever asked adds who it was, when, and where."""
    refused = "; ".join(fault.detail for fault in found.serious if fault.severity is Severity.ERROR)
    return ChainObservation(
        id="",
        outcome="ok" if found.trusted else "failed",
        failure=None if found.trusted else Failure(kind="certificate", step="verify", detail=refused),
        host=question.hostname or "",
        elements=found.elements,
        faults=found.serious,
        notes=found.notes,
        stores=store.names,
        store_size=len(store.roots),
        store_vouched=store.vouched,
        publicly_trusted=found.publicly_trusted,
        has_digicert_g2=found.has_digicert_g2,
        at=question.at,
        profile=question.profile,
        purpose=question.purpose,
    )


def _whole_seconds(question: Question) -> Question:
    """The question with its time in whole seconds: a certificate that ends at :59 holds until :59.999."""
    return replace(question, at=float(math.floor(question.at)))


def _candidate(judged: Judged, built: Built, store: TrustStore) -> CertificatePath:
    return CertificatePath(
        elements=tuple(element.summary for element in judged.path.elements),
        sources=tuple(_source(element, built, store) for element in judged.path.elements),
        end=judged.path.end,
        faults=judged.faults,
        trusted=judged.trusted,
    )


def _source(element: Facts, built: Built, store: TrustStore) -> str:
    if element.sha256 in built.fetched:
        return built.fetched[element.sha256]
    return "store" if store.has_sha256(element.sha256) else "given"


def _rejected(entry: Rejected) -> RejectedIssuer:
    return RejectedIssuer(
        child=entry.child.summary.subject,
        subject=entry.candidate.summary.subject,
        sha256=entry.candidate.sha256,
        reason=entry.reason,
    )
