"""CRLs and OCSP responses made for tests, with any one thing wrong; and a directory of signers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from netdiag.pki import structure
from netdiag.pki.crl import Crl, read_crl
from netdiag.pki.distinguished import NameKey
from netdiag.pki.facts import Facts, read
from netdiag.pki.ocsp import OcspResponse, read_response
from netdiag.pki.signed import children, element, read_signed
from tests.certs import DAY, NOW, Issued, Key, make

DER = serialization.Encoding.DER
GOOD, REVOKED, UNKNOWN = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED, ocsp.OCSPCertStatus.UNKNOWN
BY_NAME, BY_KEY = ocsp.OCSPResponderEncoding.NAME, ocsp.OCSPResponderEncoding.HASH
Extensions = Sequence[tuple[x509.ExtensionType, bool]]


def facts(issued: Issued) -> Facts:
    found = read(issued.der)
    assert isinstance(found, Facts)
    return found


@dataclass
class Known:
    """A directory of certificates, all or none of which are vouched for."""

    certificates: Sequence[Issued] = ()
    vouched: bool = True

    def named(self, name: NameKey) -> Iterable[Facts]:
        return [found for found in map(facts, self.certificates) if found.subject == name]

    def vouches(self, certificate: Facts) -> bool:
        return self.vouched


def entry(certificate: Issued | int, reason: str | None = "keyCompromise", extra: Extensions = ()) -> Any:
    serial = certificate if isinstance(certificate, int) else certificate.cert.serial_number
    builder = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW - 2 * DAY)
    if reason:
        builder = builder.add_extension(x509.CRLReason(x509.ReasonFlags(reason)), False)
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical)
    return builder.build()


def crl_der(
    issuer: Issued,
    entries: Sequence[Any] = (),
    *,
    number: int | None = 10,
    base: int | None = None,
    starts: float = -1,
    ends: float = 7,
    signer: Key | None = None,
    issuer_name: x509.Name | None = None,
    scope: dict[str, Any] | None = None,
    key_id: bool = True,
    extra: Extensions = (),
) -> bytes:
    """A list of ``issuer``. ``entries`` are certificates, serial numbers, or what ``entry`` makes."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer_name or issuer.cert.subject)
        .last_update(NOW + starts * DAY)
        .next_update(NOW + ends * DAY)
    )
    for one in entries:
        builder = builder.add_revoked_certificate(entry(one) if isinstance(one, (Issued, int)) else one)
    extensions = [*extra]
    if key_id:
        extensions.append((x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), False))
    if number is not None:
        extensions.append((x509.CRLNumber(number), False))
    if base is not None:
        extensions.append((x509.DeltaCRLIndicator(base), True))
    if scope is not None:
        extensions.append((issuing_point(**scope), True))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(signer or issuer.key, hashes.SHA256()).public_bytes(DER)


def crl(issuer: Issued, entries: Sequence[Any] = (), **options: Any) -> Crl:
    return crl_of(crl_der(issuer, entries, **options))


def crl_of(data: bytes | x509.CertificateRevocationList) -> Crl:
    found = read_crl(data)
    assert isinstance(found, Crl), found
    return found


def issuing_point(**options: Any) -> x509.IssuingDistributionPoint:
    fields = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return x509.IssuingDistributionPoint(**{**fields, **options})


def uri(text: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(text)


def point(**options: Any) -> x509.DistributionPoint:
    fields = {"full_name": None, "relative_name": None, "reasons": None, "crl_issuer": None}
    return x509.DistributionPoint(**{**fields, **options})


def points(*listed: x509.DistributionPoint) -> Extensions:
    return [(x509.CRLDistributionPoints(listed), False)]


def reasons(*names: str) -> frozenset[x509.ReasonFlags]:
    return frozenset(map(x509.ReasonFlags, names))


def crl_without(der: bytes, key: Key, *, tags: Sequence[int] = (), last: int | None = None) -> bytes:
    """The list without the fields that have these tags (of ``last``, the last one with it), signed again."""
    fields = children(der, read_signed(der).body)
    kept = [field for field in fields if field.tag not in tags]
    if last is not None:
        del kept[max(index for index, field in enumerate(kept) if field.tag == last)]
    return signed_again(der, b"".join(der[field.start : field.end] for field in kept), key)


def signed_again(der: bytes, body: bytes, key: Key, start: int = 0) -> bytes:
    """A signed structure with another body's content, and a signature that fits."""
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    whole = structure.sequence(body)
    bits = b"\0" + key.sign(whole, ec.ECDSA(hashes.SHA256()))
    parts = read_signed(der, start)
    rest = b"".join(der[part.start : part.end] for part in parts.rest)
    return structure.sequence(whole + parts.algorithm + b"\x03" + structure.sequence(bits)[1:] + rest)


def responder(issuer: Issued, common_name: str = "Responder", *, nocheck: bool = True, **options: Any) -> Issued:
    extra = [*options.pop("extra", ()), *([(x509.OCSPNoCheck(), False)] if nocheck else [])]
    return make(common_name, issuer, **{"purposes": [ExtendedKeyUsageOID.OCSP_SIGNING], "extra": extra, **options})


def response_der(
    subject: Issued,
    issuer: Issued,
    status: ocsp.OCSPCertStatus = GOOD,
    *,
    signer: Issued | None = None,
    named: Issued | None = None,
    encoding: ocsp.OCSPResponderEncoding = BY_NAME,
    starts: float = -1,
    ends: float | None = 7,
    digest: hashes.HashAlgorithm | None = None,
    certificates: Sequence[Issued] | None = None,
    nonce: bytes | None = None,
    extra: Extensions = (),
    key: Key | None = None,
    reason: str | None = "keyCompromise",
) -> bytes:
    """A response of ``signer`` (the issuer, if none is given), which calls itself ``named``."""
    by = signer or issuer
    revoked = status is REVOKED
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=subject.cert,
        issuer=issuer.cert,
        algorithm=digest or hashes.SHA1(),
        cert_status=status,
        this_update=NOW + starts * DAY,
        next_update=None if ends is None else NOW + ends * DAY,
        revocation_time=NOW - 2 * DAY if revoked else None,
        revocation_reason=x509.ReasonFlags(reason) if revoked and reason else None,
    )
    builder = builder.responder_id(encoding, (named or by).cert)
    included = certificates if certificates is not None else ([signer] if signer else [])
    if included:
        builder = builder.certificates([one.cert for one in included])
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), False)
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical)
    der = builder.sign((named or by).key, hashes.SHA256()).public_bytes(DER)
    return _with_singles(der, _singles(der), key or by.key) if key or named else der


def response(subject: Issued, issuer: Issued, status: ocsp.OCSPCertStatus = GOOD, **options: Any) -> OcspResponse:
    return response_of(response_der(subject, issuer, status, **options))


def response_of(der: bytes) -> OcspResponse:
    found = read_response(der)
    assert isinstance(found, OcspResponse), found
    return found


def together(first: bytes, *others: bytes, key: Key) -> bytes:
    """One response with the single responses of several."""
    return _with_singles(first, b"".join(map(_singles, (first, *others))), key)


def with_single_extension(der: bytes, extension: structure.Extension, key: Key) -> bytes:
    """A response whose one single response has this extension, too."""
    from cryptography.hazmat import asn1

    singles = _singles(der)
    single = element(singles, 0, len(singles))
    explicit = b"\xa1" + structure.sequence(structure.sequence(asn1.encode_der(extension)))[1:]
    return _with_singles(der, structure.sequence(singles[single.content :] + explicit), key)


def _basic_start(der: bytes) -> int:
    inner = element(der, 0, len(der))
    for index in (1, 0, 1):
        inner = children(der, inner)[index]
    return inner.content


def _singles(der: bytes) -> bytes:
    fields = children(der, read_signed(der, _basic_start(der)).body)
    (listed,) = [field for field in fields if field.tag == 0x30]
    return der[listed.content : listed.end]


def _with_singles(der: bytes, singles: bytes, key: Key) -> bytes:
    start = _basic_start(der)
    fields = children(der, read_signed(der, start).body)
    body = b"".join(
        structure.sequence(singles) if field.tag == 0x30 else der[field.start : field.end] for field in fields
    )
    basic = signed_again(der, body, key, start)
    kind = bytes.fromhex("06092b0601050507300101")
    inner = structure.sequence(kind + b"\x04" + structure.sequence(basic)[1:])
    return structure.sequence(bytes.fromhex("0a0100") + b"\xa0" + structure.sequence(inner)[1:])
