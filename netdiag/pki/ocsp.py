"""OCSP: the request for one certificate, and what a response is worth for it (RFC 6960, RFC 9919, RFC 9654).

Contract: pure. Never raises for hostile input. ``at`` is seconds since the epoch.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import itertools
import urllib.parse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from netdiag.pki import structure
from netdiag.pki.answers import ALL_REASONS, Answer, Directory, Refusal, date_text
from netdiag.pki.facts import Facts, signed_by
from netdiag.pki.ocsp_facts import MAX_CERTIFICATES, NONCE, OcspResponse, Single, read_response

__all__ = ["OcspResponse", "get_url", "judge_response", "ocsp_request", "read_response"]

#: A response without nextUpdate is about the moment (RFC 6960 §4.2.2.1); netdiag still takes it for a day.
MAX_AGE_S = 86_400.0
#: Responses are made when they are asked for, by a clock that may be ahead; ``openssl ocsp`` allows as much.
CLOCK_SKEW_S = 300.0
#: The longest URL for GET, everything included (RFC 5019 §5, kept in RFC 9919).
MAX_GET_CHARACTERS = 255

_NO_CHECK = "1.3.6.1.5.5.7.48.1.5"


@asn1.sequence
class _Algorithm:
    """AlgorithmIdentifier of a hash."""

    oid: x509.ObjectIdentifier
    parameters: asn1.Null


@asn1.sequence
class _CertId:
    """CertID (RFC 6960 §4.1.1)."""

    algorithm: _Algorithm
    name_hash: bytes
    key_hash: bytes
    serial: int


@asn1.sequence
class _Asked:
    """Request (RFC 6960 §4.1.1) without extensions."""

    certificate: _CertId


@asn1.sequence
class _Body:
    """TBSRequest (RFC 6960 §4.1.1) without the requestor's name."""

    requests: list[_Asked]
    extensions: Annotated[list[structure.Extension] | None, asn1.Explicit(2)]


@asn1.sequence
class _Request:
    """OCSPRequest (RFC 6960 §4.1.1), unsigned."""

    body: _Body


@asn1.sequence
class _PublicKeyInfo:
    """SubjectPublicKeyInfo (RFC 5280 §4.1)."""

    algorithm: asn1.TLV
    key: asn1.BitString


def ocsp_request(subject: Facts, issuer: Facts, nonce: bytes | None = None) -> bytes:
    """An OCSPRequest (RFC 6960 §4.1.1) in DER for ``subject``; ``nonce`` has 1 to 128 octets (RFC 9654 §2.1).

    The CertID is made with SHA-1, where nothing depends on collisions: many responders keep prepared responses, and
    know them by that hash alone. RFC 9919 recommends SHA-256, which they answer with "unauthorized".
    """
    name_hash, key_hash = _hashes(subject, issuer, "sha1")
    identifier = _CertId(
        algorithm=_Algorithm(oid=x509.ObjectIdentifier("1.3.14.3.2.26"), parameters=asn1.Null()),
        name_hash=name_hash,
        key_hash=key_hash,
        serial=subject.serial,
    )
    extensions = None
    if nonce is not None:
        inner = b"\x04" + structure.sequence(nonce)[1:]
        extensions = [structure.Extension(oid=x509.ObjectIdentifier(NONCE), critical=False, value=inner)]
    return asn1.encode_der(_Request(body=_Body(requests=[_Asked(certificate=identifier)], extensions=extensions)))


def get_url(url: str, request: bytes) -> str | None:
    """The URL for asking with GET (RFC 6960 appendix A.1), which caches can answer; None where POST is to be used."""
    if not url.lower().startswith(("http://", "https://")) or "?" in url or "#" in url:
        return None
    whole = f"{url.removesuffix('/')}/{urllib.parse.quote(base64.b64encode(request), safe='')}"
    return whole if len(whole) <= MAX_GET_CHARACTERS else None


def judge_response(
    response: OcspResponse,
    subject: Facts,
    issuer: Facts,
    directory: Directory,
    at: float,
    *,
    nonce: bytes | None = None,
) -> Answer:
    """What ``response`` says of ``subject``, which ``issuer`` issued (the six rules of RFC 6960 §3.2).

    ``nonce`` is the request's: a response with another one is refused, one without is as good as any prepared one.
    """
    if response.error:
        return Answer(status="refused", detail=f"the responder answered {response.error}", source="OCSP")
    if response.unusable:
        return Answer(status="unusable", detail=response.unusable, source="OCSP")
    found = _single(response.singles, subject, issuer, at)
    if isinstance(found, Refusal):
        return Answer(status=found.status, detail=found.detail, source="OCSP")
    answer = Answer(status="verified", source="OCSP", this_update=found.this_update, next_update=found.next_update)
    signer = _signer(response, issuer, directory, at)
    refusal = signer if isinstance(signer, Refusal) else _foreign(response, nonce) or _untimely(found, at)
    if refusal:
        return replace(answer, status=refusal.status, detail=refusal.detail)
    assert isinstance(signer, Facts)
    return _verdict(answer, found, "; ".join(_notes(response, signer, issuer, nonce)))


def _verdict(answer: Answer, found: Single, notes: str) -> Answer:
    if found.status is ocsp.OCSPCertStatus.GOOD:
        return replace(answer, detail=notes, state="good", covers=ALL_REASONS)
    if found.status is ocsp.OCSPCertStatus.REVOKED:
        detail = f"revoked since {date_text(found.revoked_at)}: {found.reason}"
        return replace(
            answer,
            status="revoked",
            detail=detail,
            state="revoked",
            reason=found.reason,
            revoked_at=found.revoked_at,
        )
    return replace(answer, status="unknown", detail="the responder does not know the certificate")


def _single(singles: Sequence[Single], subject: Facts, issuer: Facts, at: float) -> Single | Refusal:
    """The single response about ``subject`` (rule 1); of several a current revocation counts, else the newest."""
    same = [single for single in singles if single.serial == subject.serial]
    fitting = [
        single for single in same if (single.name_hash, single.key_hash) == _hashes(subject, issuer, single.digest)
    ]
    if not fitting:
        if same:
            return Refusal("wrong-issuer", "it is about the same serial number of another issuer")
        return Refusal("wrong-scope", "it is about other certificates")
    current = [single for single in fitting if not _untimely(single, at)]
    return max(
        current or fitting,
        key=lambda single: (single.status is ocsp.OCSPCertStatus.REVOKED, single.this_update),
    )


@functools.lru_cache(maxsize=1024)
def _hashes(subject: Facts, issuer: Facts, digest: str | None) -> tuple[bytes, bytes]:
    """IssuerNameHash and issuerKeyHash of a CertID (RFC 6960 §4.1.1)."""
    if digest is None:
        return b"", b""
    name = hashlib.new(digest, structure.sequence(subject.issuer_der), usedforsecurity=False)
    key = hashlib.new(digest, _key_bits(issuer), usedforsecurity=False)
    return name.digest(), key.digest()


@functools.lru_cache(maxsize=1024)
def _key_bits(certificate: Facts) -> bytes:
    """The subject public key without tag, length and unused bits; empty where it cannot be read."""
    try:
        return structure.decode(_PublicKeyInfo, structure.sequence(certificate.public_key)).key.as_bytes()
    except ValueError:
        return b""


def _signer(response: OcspResponse, issuer: Facts, directory: Directory, at: float) -> Facts | Refusal:
    """Who signed the response and may do so (rules 2 to 4, §4.2.2.2), or why nobody did."""
    elsewhere = directory.named(response.responder) if response.responder is not None else ()
    known = dict.fromkeys([issuer, *response.certificates, *itertools.islice(elsewhere, MAX_CERTIFICATES)])
    named = [candidate for candidate in known if _is_responder(candidate, response)]
    if not named:
        return Refusal("wrong-issuer", "it does not hold the certificate of the responder that it names")
    refusal = Refusal("bad-signature", "its signature does not hold")
    for candidate in named:
        if response.signed is None or not response.signed.made_by(candidate):
            continue
        fault = _delegation_fault(candidate, issuer, at)
        if not fault:
            return candidate
        refusal = Refusal("wrong-issuer", f"its signer is no responder of the certificate's issuer: {fault}")
    return refusal


def _is_responder(candidate: Facts, response: OcspResponse) -> bool:
    if response.responder is not None:
        return candidate.subject == response.responder
    digest = hashlib.sha1(_key_bits(candidate), usedforsecurity=False)  # as KeyHash is defined (RFC 6960 §4.2.1)
    return digest.digest() == response.responder_key


def _delegation_fault(signer: Facts, issuer: Facts, at: float) -> str:
    """Why ``signer`` may not sign for ``issuer``; empty when it may (RFC 6960 §4.2.2.2)."""
    if (signer.subject, signer.public_key) == (issuer.subject, issuer.public_key):
        return ""
    if not signed_by(signer, issuer):
        return "its certificate was not issued by that issuer"
    purposes = signer.extension(x509.ExtendedKeyUsage)
    if purposes is None or ExtendedKeyUsageOID.OCSP_SIGNING not in purposes:
        return "its certificate lacks the extended key usage OCSPSigning"
    usage = signer.extension(x509.KeyUsage)
    if usage is not None and not (usage.digital_signature or usage.content_commitment):  # RFC 5280 §4.2.1.12
        return "its certificate's key usage lacks digitalSignature"
    if not signer.not_before <= at <= signer.not_after:
        return f"its certificate is valid from {date_text(signer.not_before)} until {date_text(signer.not_after)}"
    unknown = [oid for oid in signer.unknown_critical if oid != _NO_CHECK]
    return f"its certificate's critical extension {unknown[0]} is unknown" if unknown else ""


def _foreign(response: OcspResponse, nonce: bytes | None) -> Refusal | None:
    if nonce is not None and response.nonce is not None and response.nonce != nonce:
        return Refusal("unusable", "its nonce is not the request's: it was made for another request (RFC 9654)")
    return None


def _untimely(found: Single, at: float) -> Refusal | None:
    """Rules 5 and 6."""
    if found.this_update > at + CLOCK_SKEW_S:
        return Refusal("not-yet-valid", f"it is about {date_text(found.this_update)}, which is in the future")
    if found.next_update is not None and found.next_update < at:
        return Refusal("expired", f"a newer one was due at {date_text(found.next_update)}")
    if found.next_update is None and found.this_update < at - MAX_AGE_S:
        return Refusal("expired", f"it is about {date_text(found.this_update)}, and does not say for how long it holds")
    return None


def _notes(response: OcspResponse, signer: Facts, issuer: Facts, nonce: bytes | None) -> Iterator[str]:
    if nonce is not None and response.nonce is None:
        yield "it has no nonce: it was prepared in advance"
    if signer.public_key != issuer.public_key and _NO_CHECK not in signer.extensions:
        yield "whether the responder's own certificate is revoked is unknown: it has no id-pkix-ocsp-nocheck"
    if response.archive_cutoff is not None:
        yield f"the responder remembers certificates that expired since {date_text(response.archive_cutoff)}"
