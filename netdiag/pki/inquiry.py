"""Asking about revocation: which URLs of a path are to be asked, what came, and what it means for each certificate.

Contract: ``inquiry`` is a generator like the path builder: it yields requests and is sent answers. Pure otherwise.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from netdiag.model import ChainFault, ElementRevocation, Failure, Severity, UrlPurpose, UrlStatus
from netdiag.pki.answers import Answer
from netdiag.pki.checks import path_faults
from netdiag.pki.context import Context, fault, utc
from netdiag.pki.crl_facts import Crl, read_crl
from netdiag.pki.distinguished import NameKey
from netdiag.pki.facts import Facts, Unreadable, signed_by
from netdiag.pki.judging import Question, errors
from netdiag.pki.ocsp import ocsp_request
from netdiag.pki.ocsp_facts import OcspResponse, read_response
from netdiag.pki.path import ISSUER_SCHEMES, UNANSWERED, Answers, Asking, Built, Fetch, Path, issuers_in, roots, search
from netdiag.pki.policies import ANYTHING
from netdiag.pki.profiles import LINT
from netdiag.pki.revocation import Revocation, revocation
from netdiag.pki.trust import TrustStore

#: URLs asked for one path: five certificates with a few each. A hostile certificate may name hundreds.
MAX_URLS = 64
#: Delta CRLs asked for after their bases came.
MAX_DELTAS = 16


@dataclass(frozen=True, kw_only=True)
class Retrieval:
    """One URL of one element of the best path, and what became of it. Times are seconds since the epoch."""

    fetch: Fetch
    element: int
    subject: str
    status: UrlStatus
    detail: str = ""
    object: str = ""
    this_update: float | None = None
    next_update: float | None = None


@dataclass(kw_only=True)
class Evidence:
    """Everything that was given or came, read once, with the request that brought it."""

    crls: dict[Fetch | int, Crl | Unreadable] = field(default_factory=dict)
    responses: dict[Fetch | int, OcspResponse | Unreadable] = field(default_factory=dict)
    answers: dict[Fetch, bytes | Failure] = field(default_factory=dict)

    def give(self, crls: Sequence[bytes], responses: Sequence[bytes]) -> None:
        """Take what the user has."""
        self.crls |= {number: read_crl(data) for number, data in enumerate(crls)}
        self.responses |= {number: read_response(data) for number, data in enumerate(responses)}

    def take(self, requests: Iterable[Fetch], came: Answers) -> None:
        """Take what was fetched."""
        for request in requests:
            answer = self.answers[request] = came.get(request, UNANSWERED)
            if isinstance(answer, Failure):
                continue
            if request.purpose == "ocsp":
                self.responses[request] = read_response(answer)
            else:
                self.crls[request] = read_crl(answer)

    @property
    def given(self) -> bool:
        """The user gave some, and so wants to know."""
        return any(isinstance(key, int) for key in (*self.crls, *self.responses))


def inquiry(path: Path, evidence: Evidence, nonce: bytes | None) -> Asking[None]:
    """Fetch every CRL and OCSP answer that the elements of ``path`` name, then the deltas that the CRLs name."""
    wanted = tuple(dict.fromkeys(request for _, request in _named(path, nonce)))[:MAX_URLS]
    if wanted:
        evidence.take(wanted, (yield wanted))
    deltas = tuple(dict.fromkeys(request for _, request in _deltas(path, evidence)))
    new = tuple(request for request in deltas if request not in evidence.answers)[:MAX_DELTAS]
    if new:
        evidence.take(new, (yield new))


def _named(path: Path, nonce: bytes | None) -> Iterator[tuple[int, Fetch]]:
    """The CRL and OCSP requests of each element that has an issuer on the path."""
    for index, (element, issuer) in enumerate(itertools.pairwise(path.elements)):
        for url in element.summary.cdp:
            yield index, Fetch(url, "cdp")
        for url in element.summary.freshest_crl:
            yield index, Fetch(url, "delta")
        if element.summary.ocsp:
            request = ocsp_request(element, issuer, nonce)
            yield from ((index, Fetch(url, "ocsp", request)) for url in element.summary.ocsp)


def _deltas(path: Path, evidence: Evidence) -> Iterator[tuple[int, Fetch]]:
    """The deltas that fetched CRLs name (RFC 5280 §5.2.6), with the element that named the CRL."""
    for index, element in enumerate(path.elements[:-1]):
        for url in element.summary.cdp:
            crl = evidence.crls.get(Fetch(url, "cdp"))
            if isinstance(crl, Crl):
                yield from ((index, Fetch(delta, "delta")) for delta in crl.freshest_urls)


@dataclass(kw_only=True)
class Inquirer:
    """Says what the evidence means for the elements of any path; what it found out once, it remembers."""

    evidence: Evidence
    built: Built
    store: TrustStore
    question: Question
    #: Whether retrieval was allowed: who has no service then is not suspicious.
    asked: bool
    _known: dict[tuple[Facts, Facts, Facts], Revocation] = field(default_factory=dict)
    _vouched: dict[tuple[Facts, Facts], bool] = field(default_factory=dict)

    def states(self, path: Path) -> tuple[ElementRevocation, ...]:
        """What is known of each element below the last."""
        elements = path.elements
        return tuple(
            self._state(index, element, self.of(element, issuer, elements[-1]))
            for index, (element, issuer) in enumerate(itertools.pairwise(elements))
        )

    def of(self, subject: Facts, issuer: Facts, anchor: Facts) -> Revocation:
        """What all evidence says together of ``subject``."""
        key = (subject, issuer, anchor)
        if key not in self._known:
            self._known[key] = Revocation(state="good")  # for a question about itself on the way
            self._known[key] = revocation(
                subject,
                issuer,
                tuple(self.evidence.crls.values()),
                tuple(self.evidence.responses.values()),
                _Directory(self, anchor, (issuer, subject)),
                self.question.at,
                nonce=self.question.nonce,
                strict=self.question.profile in LINT,
            )
        return self._known[key]

    def vouches(self, certificate: Facts, anchor: Facts) -> bool:
        """Whether a signer of CRLs or OCSP answers has a path to ``anchor`` without an error or a revocation."""
        key = (certificate, anchor)
        if key not in self._vouched:
            self._vouched[key] = True  # a CRL that tells of its own signer, see ``Directory.vouches``
            self._vouched[key] = any(
                self._holds(path)
                for path in search(certificate, self.built.pool, self.store, self.question.at).anchored
                if path.trusted and path.elements[-1] == anchor
            )
        return self._vouched[key]

    def _holds(self, path: Path) -> bool:
        context = Context(path.elements, True, self.question.at, "windows", "any")
        if errors(path_faults(context, ANYTHING)):
            return False
        pairs = itertools.pairwise(path.elements)
        return all(self.of(element, issuer, path.elements[-1]).state != "revoked" for element, issuer in pairs)

    def _state(self, index: int, element: Facts, found: Revocation) -> ElementRevocation:
        summary = element.summary
        if found.state != "unknown":
            return ElementRevocation(
                element=index,
                subject=summary.subject,
                state=found.state,
                source=found.source,
                reason=found.reason,
                revoked_at=found.revoked_at,
                next_update=found.next_update,
                detail=found.detail,
            )
        urls = {*summary.cdp, *summary.ocsp}
        failures = [a for request, a in self.evidence.answers.items() if request.url in urls and isinstance(a, Failure)]
        came = any(request.url in urls for request, a in self.evidence.answers.items() if not isinstance(a, Failure))
        if self.asked and not urls and not self.evidence.given:
            return ElementRevocation(
                element=index,
                subject=summary.subject,
                state="no-service",
                detail="it names no CRL and no OCSP responder",
            )
        if index and not self.asked and not self._about(element):
            detail = "no CRL and no OCSP answer about it was given"
            return ElementRevocation(element=index, subject=summary.subject, state="not-checked", detail=detail)
        if (
            failures and not came and any(map(_not_asked, failures))
        ):  # nothing follows from a silence that was cut short
            detail = "its revocation services were not asked to the end"
            return ElementRevocation(element=index, subject=summary.subject, state="not-checked", detail=detail)
        if failures and not came:
            detail = "; ".join(dict.fromkeys(failure.detail or failure.kind for failure in failures))
            return ElementRevocation(element=index, subject=summary.subject, state="offline", detail=detail)
        detail = found.detail or "no CRL and no OCSP answer is about it"
        return ElementRevocation(element=index, subject=summary.subject, state="unknown", detail=detail)

    def _about(self, element: Facts) -> bool:
        """Whether the user gave something that may be about an authority: any CRL, or an answer on its serial number.

        OCSP answers alone are what servers staple, and those are about their own certificate.
        """
        given = [response for key, response in self.evidence.responses.items() if isinstance(key, int)]
        numbers = {
            single.serial for response in given if isinstance(response, OcspResponse) for single in response.singles
        }
        unreadable = any(isinstance(response, Unreadable) for response in given)
        return unreadable or element.serial in numbers or any(isinstance(key, int) for key in self.evidence.crls)


def _not_asked(failure: Failure) -> bool:
    """Nobody asked, or the user ended it before an answer could come."""
    return failure == UNANSWERED or failure.kind == "cancelled"


@dataclass(frozen=True)
class _Directory:
    """Where signers are looked for; the certificates in ``known`` are being verified themselves."""

    inquirer: Inquirer
    anchor: Facts
    known: tuple[Facts, ...]

    def named(self, name: NameKey) -> Iterable[Facts]:
        here = [certificate for certificate in (self.anchor, *self.inquirer.built.pool) if certificate.subject == name]
        return dict.fromkeys([*here, *roots(name, self.inquirer.store)])

    def vouches(self, certificate: Facts) -> bool:
        return certificate == self.anchor or self.inquirer.vouches(certificate, self.anchor)


def revocation_faults(path: Path, states: Sequence[ElementRevocation]) -> list[ChainFault]:
    """The faults that the states amount to. A certificate that names no service is a note: nobody can check it."""
    found: list[ChainFault] = []
    for state in states:
        element = path.elements[state.element]
        if state.state == "revoked":
            when = f" at {utc(state.revoked_at)}" if state.revoked_at is not None else ""
            why = f" ({state.reason})" if state.reason else ""
            detail = f"it was revoked{when}{why}, says {state.source}"
            found.append(fault("revoked", state.element, element, detail, "Revoked"))
        elif state.state == "offline":
            detail = f"its revocation services cannot be reached: {state.detail}"
            found.append(fault("revocation-offline", state.element, element, detail, "OfflineRevocation"))
        elif state.state in ("unknown", "no-service", "not-checked"):
            severity = Severity.ERROR if state.state == "unknown" else Severity.INFO
            detail = f"whether it is revoked is not known: {state.detail}"
            found.append(
                fault("revocation-unknown", state.element, element, detail, "RevocationStatusUnknown", severity)
            )
    return found


def retrievals(path: Path, inquirer: Inquirer, nonce: bytes | None) -> tuple[Retrieval, ...]:
    """Every URL that the elements of the best path name, in their order, and what became of it."""
    evidence, built, at = inquirer.evidence, inquirer.built, inquirer.question.at
    found: list[Retrieval] = []
    for index, element in enumerate(path.elements):
        found += [_issuer_retrieval(Fetch(url), index, element, built.answers, at) for url in element.summary.aia]
    for index, request in (*_named(path, nonce), *_deltas(path, evidence)):
        element, issuer = path.elements[index], path.elements[index + 1]
        answer = _answer_to(request, evidence, inquirer.of(element, issuer, path.elements[-1]))
        found.append(_list_retrieval(request, index, element, evidence.answers, answer))
    return tuple(dict.fromkeys(sorted(found, key=lambda entry: (entry.element, _ORDER[entry.fetch.purpose]))))


_ORDER: dict[UrlPurpose, int] = {"aia": 0, "cdp": 1, "delta": 2, "ocsp": 3}


def _answer_to(request: Fetch, evidence: Evidence, found: Revocation) -> Answer | None:
    """The judgement on what this request brought."""
    kept, answers = (evidence.responses, found.responses) if request.purpose == "ocsp" else (evidence.crls, found.crls)
    return dict(zip(kept, answers, strict=False)).get(request)


def _list_retrieval(
    request: Fetch, index: int, element: Facts, answers: Mapping[Fetch, bytes | Failure], answer: Answer | None
) -> Retrieval:
    """A CRL's or an OCSP responder's URL."""
    subject = element.summary.subject
    came = answers.get(request, UNANSWERED)
    if isinstance(came, Failure) or answer is None:
        detail = (came.detail or came.kind) if isinstance(came, Failure) else ""
        status = _failed(came) if isinstance(came, Failure) else "failed"
        return Retrieval(fetch=request, element=index, subject=subject, status=status, detail=detail)
    status = "revoked" if answer.state == "revoked" else answer.status
    return Retrieval(
        fetch=request,
        element=index,
        subject=subject,
        status=status,
        detail=answer.detail,
        object=answer.source,
        this_update=answer.this_update,
        next_update=answer.next_update,
    )


def _failed(failure: Failure) -> UrlStatus:
    """A URL that nobody retrieves from here says nothing about the network."""
    return "unsupported" if failure.step == "scheme" else "failed"


def _issuer_retrieval(
    request: Fetch, index: int, element: Facts, answers: Mapping[Fetch, bytes | Failure], at: float
) -> Retrieval:
    """A caIssuers URL."""

    def result(status: UrlStatus, detail: str = "", name: str = "") -> Retrieval:
        subject = element.summary.subject
        return Retrieval(fetch=request, element=index, subject=subject, status=status, detail=detail, object=name)

    if not request.url.lower().startswith(ISSUER_SCHEMES):
        return result("unsupported", "an issuer's certificate is fetched over http: or ldap: only (RFC 5280 §4.2.2.1)")
    answer = answers.get(request, UNANSWERED)
    if isinstance(answer, Failure):
        return result(_failed(answer), answer.detail or answer.kind)
    came = issuers_in(answer)
    if not came:
        return result("unusable", _not_certificates(answer))
    for issuer in came:
        if signed_by(element, issuer):
            late = at > issuer.not_after
            return result(
                "expired" if late else "verified", utc(issuer.not_after) if late else "", issuer.summary.subject
            )
    name = came[0].summary.subject
    return result("wrong-issuer", f"it is the certificate of {name}, which did not sign this one", name)


def _not_certificates(data: bytes) -> str:
    """What came instead of a certificate, as far as its beginning tells."""
    start = data[:64].lstrip().lower()
    if start.startswith((b"<!doctype", b"<html")):
        return "an HTML page came instead of a certificate"
    return "what came is no certificate" if data else "nothing came: the answer is empty"
