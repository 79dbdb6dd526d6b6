"""Bytes -> ``OcspResponse``: what judging needs to know of one OCSP response (RFC 6960 §4.2), read once.

Contract: never raises for hostile input: ``read_response`` returns ``Unreadable`` with the reason. Times are seconds
since the epoch. Results are cached by content.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat import asn1
from cryptography.x509 import ocsp

from netdiag.pki.distinguished import NameKey, name_key
from netdiag.pki.facts import Facts, Unreadable, read
from netdiag.pki.load import UNREADABLE, quiet
from netdiag.pki.signed import Element, Signed, children, element, read_signed
from netdiag.pki.summary import decoder_words

#: A response for one certificate with its responder's has one or two KiB.
MAX_RESPONSE_BYTES = 256 * 1024
#: Single responses that are looked at; responders send one, or what they have at hand of one issuer.
MAX_SINGLES = 256
#: Certificates of a response that are looked at; one is usual, a chain to the root the most.
MAX_CERTIFICATES = 8

NONCE = "1.3.6.1.5.5.7.48.1.2"
_ARCHIVE_CUTOFF = "1.3.6.1.5.5.7.48.1.6"
#: Extensions of a single response that may be critical: none of them changes what it says.
_PROCESSED_IN_SINGLES = frozenset(
    {
        _ARCHIVE_CUTOFF,
        "1.3.6.1.5.5.7.48.1.3",  # CRL references (RFC 6960 §4.4.2)
        "2.5.29.21",  # reasonCode, as in an entry of a CRL (RFC 6960 §4.4.5)
        "2.5.29.24",  # invalidityDate
    }
)

#: OCSPResponseStatus by its names in RFC 6960 §4.2.1.
_STATUSES = {
    ocsp.OCSPResponseStatus.SUCCESSFUL: "successful",
    ocsp.OCSPResponseStatus.MALFORMED_REQUEST: "malformedRequest",
    ocsp.OCSPResponseStatus.INTERNAL_ERROR: "internalError",
    ocsp.OCSPResponseStatus.TRY_LATER: "tryLater",
    ocsp.OCSPResponseStatus.SIG_REQUIRED: "sigRequired",
    ocsp.OCSPResponseStatus.UNAUTHORIZED: "unauthorized",
}


@dataclass(frozen=True)
class Single:
    """One SingleResponse (RFC 6960 §4.2.1): ``digest`` is the hash of its CertID, None for one that is unknown."""

    digest: str | None
    name_hash: bytes
    key_hash: bytes
    serial: int
    status: ocsp.OCSPCertStatus
    this_update: float
    next_update: float | None
    reason: str
    revoked_at: float | None


@dataclass(frozen=True, kw_only=True, eq=False)
class OcspResponse:
    """One response. The responder is named by either ``responder`` or ``responder_key``, the SHA-1 of its key.

    ``error`` is the name of an error status (RFC 6960 §2.3), which comes unsigned and alone.
    """

    error: str = ""
    responder: NameKey | None = None
    responder_key: bytes | None = None
    singles: tuple[Single, ...] = ()
    certificates: tuple[Facts, ...] = ()
    nonce: bytes | None = None
    archive_cutoff: float | None = None
    #: Why it tells nothing about any certificate; empty for a response that can be used.
    unusable: str = ""
    signed: Signed | None = field(default=None, repr=False)


@functools.lru_cache(maxsize=1024)
def read_response(data: bytes) -> OcspResponse | Unreadable:
    """The OCSPResponse in ``data`` (DER)."""
    if len(data) > MAX_RESPONSE_BYTES:
        return Unreadable(f"larger than {MAX_RESPONSE_BYTES // 1024} KiB")
    try:
        with quiet():
            return _response(data)
    except (*UNREADABLE, IndexError) as error:
        return Unreadable(f"not a readable OCSP response: {decoder_words(error)}")


def _response(der: bytes) -> OcspResponse:
    response = ocsp.load_der_ocsp_response(der)
    if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        return OcspResponse(error=_STATUSES[response.response_status])
    signed = _signed(der)
    name = response.responder_name
    nonce, critical = _response_extensions(response)
    cutoff, critical_of_single = _single_extensions(response)
    unknown = [*critical, *critical_of_single]
    return OcspResponse(
        responder=None if name is None else name_key(name),
        responder_key=response.responder_key_hash,
        singles=tuple(map(_single, itertools.islice(response.responses, MAX_SINGLES))),
        certificates=_certificates(der, signed.rest),
        nonce=nonce,
        archive_cutoff=cutoff,
        unusable=f"its critical extension {unknown[0]} is unknown" if unknown else "",
        signed=signed,
    )


def _signed(der: bytes) -> Signed:
    """The BasicOCSPResponse: OCSPResponse { status, [0] { SEQUENCE { type, OCTET STRING } } } (RFC 6960 §4.2.1)."""
    inner = element(der, 0, len(der))
    for index in (1, 0, 1):
        inner = children(der, inner)[index]
    return read_signed(der, inner.content, inner.end)


def _certificates(der: bytes, rest: tuple[Element, ...]) -> tuple[Facts, ...]:
    """The certificates after the signature; one that cannot be read is no responder's."""
    parts = [part for explicit in rest[:1] for listed in children(der, explicit) for part in children(der, listed)]
    found = (read(der[part.start : part.end]) for part in parts[:MAX_CERTIFICATES])
    return tuple(facts for facts in found if isinstance(facts, Facts))


def _single(found: ocsp.OCSPSingleResponse) -> Single:
    try:
        digest = found.hash_algorithm.name
    except UnsupportedAlgorithm:
        digest = None
    following, revoked = found.next_update_utc, found.revocation_time_utc
    reason = ""
    if revoked:
        reason = (found.revocation_reason or x509.ReasonFlags.unspecified).value
    return Single(
        digest=digest,
        name_hash=found.issuer_name_hash,
        key_hash=found.issuer_key_hash,
        serial=found.serial_number,
        status=found.certificate_status,
        this_update=found.this_update_utc.timestamp(),
        next_update=following.timestamp() if following else None,
        reason=reason,
        revoked_at=revoked.timestamp() if revoked else None,
    )


def _response_extensions(response: ocsp.OCSPResponse) -> tuple[bytes | None, list[str]]:
    """The nonce, and the critical extensions that are unknown."""
    nonce = None
    unknown = []
    for extension in response.extensions:
        if isinstance(extension.value, x509.OCSPNonce):
            nonce = extension.value.nonce
        elif extension.critical:
            unknown.append(extension.oid.dotted_string)
    return nonce, unknown


def _single_extensions(response: ocsp.OCSPResponse) -> tuple[float | None, list[str]]:
    """The archive cutoff (RFC 6960 §4.4.4), and the unknown critical extensions, of a response about one certificate.

    cryptography shows them for such a response only; in others they are not looked at.
    """
    cutoff = None
    unknown = []
    if len(list(itertools.islice(response.responses, 2))) == 1:
        for extension in response.single_extensions:
            oid = extension.oid.dotted_string
            if oid == _ARCHIVE_CUTOFF:
                cutoff = _moment(extension.value)
            elif extension.critical and oid not in _PROCESSED_IN_SINGLES:
                unknown.append(oid)
    return cutoff, unknown


def _moment(value: x509.ExtensionType) -> float | None:
    try:
        moment = asn1.decode_der(asn1.GeneralizedTime, value.public_bytes()).as_datetime()
    except (ValueError, NotImplementedError):
        return None
    return moment.timestamp()
