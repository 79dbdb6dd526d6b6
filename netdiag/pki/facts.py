"""DER -> ``Facts``: what path building and verification need to know of one certificate, read once.

Contract: never raises for hostile input: ``read`` returns ``Unreadable`` with the reason, and an extension that cannot
be read leaves its certificate with ``extension_error``. Results are cached by content, so that hundreds of targets that
present the same intermediates parse them once.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from netdiag.model import CertificateSummary
from netdiag.pki.load import UNREADABLE, quiet

#: Certificates with hundreds of names stay below 32 KiB; OpenSSL takes at most 100 KiB for a whole chain by default.
MAX_CERTIFICATE_BYTES = 256 * 1024
#: Names and texts kept for the report.
MAX_NAMES = 250
MAX_TEXT = 500
MAX_AIA = 8

#: Extensions that this engine processes, by dotted OID; any other critical one is unknown (RFC 5280 §4.2).
PROCESSED = frozenset(
    {
        "2.5.29.14",  # subjectKeyIdentifier
        "2.5.29.15",  # keyUsage
        "2.5.29.17",  # subjectAltName
        "2.5.29.19",  # basicConstraints
        "2.5.29.30",  # nameConstraints
        "2.5.29.32",  # certificatePolicies: no policy is asked for, so that any will do
        "2.5.29.33",  # policyMappings
        "2.5.29.35",  # authorityKeyIdentifier
        "2.5.29.36",  # policyConstraints
        "2.5.29.37",  # extKeyUsage
        "2.5.29.54",  # inhibitAnyPolicy
        "2.5.29.31",  # cRLDistributionPoints
        "1.3.6.1.5.5.7.1.1",  # authorityInfoAccess
    }
)

E = TypeVar("E", bound=x509.ExtensionType)


@dataclass(frozen=True)
class Unreadable:
    """Bytes that are no certificate, and why."""

    reason: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Facts:
    """One certificate. Equal to another exactly when their SHA-256 is.

    ``subject``, ``issuer`` and ``public_key`` (SubjectPublicKeyInfo) are DER; times are seconds since the epoch.
    ``extensions`` is empty when ``extension_error`` says that they cannot be read.
    """

    certificate: x509.Certificate
    sha256: str
    subject: bytes
    issuer: bytes
    public_key: bytes
    key: CertificatePublicKeyTypes | None
    signature_hash: str
    extensions: x509.Extensions
    extension_error: str
    common_names: tuple[str, ...]
    dns_names: tuple[str, ...]
    addresses: tuple[str, ...]
    summary: CertificateSummary = field(repr=False)

    def __hash__(self) -> int:
        return hash(self.sha256)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Facts) and other.sha256 == self.sha256

    def extension(self, kind: type[E]) -> E | None:
        """The value of an extension, None when it is absent."""
        for entry in self.extensions:
            if isinstance(entry.value, kind):
                return entry.value
        return None

    @property
    def self_issued(self) -> bool:
        """Subject and issuer are one name (RFC 5280 §3.2)."""
        return self.subject == self.issuer

    @property
    def self_signed(self) -> bool:
        """Self-issued, and signed with its own key."""
        return self.summary.self_signed

    @property
    def subject_key_id(self) -> bytes | None:
        """The subject key identifier (RFC 5280 §4.2.1.2)."""
        found = self.extension(x509.SubjectKeyIdentifier)
        return found.digest if found else None

    @property
    def authority_key_id(self) -> bytes | None:
        """The key identifier of the issuer (RFC 5280 §4.2.1.1)."""
        found = self.extension(x509.AuthorityKeyIdentifier)
        return found.key_identifier if found else None

    @property
    def unknown_critical(self) -> tuple[str, ...]:
        """Dotted OIDs of critical extensions that this engine does not process."""
        return tuple(
            e.oid.dotted_string for e in self.extensions if e.critical and e.oid.dotted_string not in PROCESSED
        )


@functools.lru_cache(maxsize=512)
def read(der: bytes) -> Facts | Unreadable:
    """The facts of the certificate in ``der``."""
    if len(der) > MAX_CERTIFICATE_BYTES:
        return Unreadable(f"larger than {MAX_CERTIFICATE_BYTES // 1024} KiB")
    try:
        with quiet():
            return _facts(der)
    except UNREADABLE as error:
        return Unreadable(f"not a readable certificate: {_text(str(error))}")


def read_root(certificate: x509.Certificate) -> Facts | Unreadable:
    """The facts of a certificate that is already parsed."""
    return read(certificate.public_bytes(serialization.Encoding.DER))


@functools.lru_cache(maxsize=1024)
def signed_by(child: Facts, issuer: Facts) -> bool:
    """Whether ``issuer``'s key made ``child``'s signature. An algorithm that cannot be checked counts as no."""
    if child.issuer != issuer.subject or issuer.key is None:
        return False
    with quiet():
        return _signed(child.certificate, issuer.certificate)


def _facts(der: bytes) -> Facts:
    certificate = x509.load_der_x509_certificate(der)
    if not der.endswith(b"\x00" + certificate.signature):  # X.690 §8.6.2.2; cryptography lets such bits pass
        raise ValueError("its signature claims unused bits")
    try:
        extensions, extension_error = certificate.extensions, ""
    except (*UNREADABLE, x509.UnsupportedGeneralNameType) as error:
        extensions, extension_error = x509.Extensions([]), _text(str(error)) or type(error).__name__
    names = _first(extensions, x509.SubjectAlternativeName)
    dns_names = tuple(names.get_values_for_type(x509.DNSName)) if names else ()
    addresses = tuple(str(a) for a in names.get_values_for_type(x509.IPAddress)) if names else ()
    subject, issuer = certificate.subject.public_bytes(), certificate.issuer.public_bytes()
    key = _or_none(certificate.public_key)
    algorithm = _or_none(lambda: certificate.signature_hash_algorithm)
    digest = hashlib.sha256(der).hexdigest()
    summary = CertificateSummary(
        subject=_text(certificate.subject.rfc4514_string()),
        issuer=_text(certificate.issuer.rfc4514_string()),
        serial=f"{certificate.serial_number:x}",
        not_before=certificate.not_valid_before_utc.timestamp(),
        not_after=certificate.not_valid_after_utc.timestamp(),
        sha256=digest,
        sha1=hashlib.sha1(der).hexdigest(),  # noqa: S324 - a name that people search for, not a proof
        key=_key_text(key),
        signature_algorithm=_algorithm_text(certificate),
        names=tuple(_text(name) for name in (*dns_names, *addresses)[:MAX_NAMES]),
        is_ca=bool((basic := _first(extensions, x509.BasicConstraints)) and basic.ca),
        self_signed=subject == issuer and _signed(certificate, certificate),
        aia=_issuer_urls(extensions),
    )
    return Facts(
        certificate=certificate,
        sha256=digest,
        subject=subject,
        issuer=issuer,
        public_key=_public_key_info(certificate),
        key=key,
        signature_hash=algorithm.name if algorithm else "",
        extensions=extensions,
        extension_error=extension_error,
        common_names=tuple(
            _text(str(a.value)) for a in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        ),
        dns_names=dns_names,
        addresses=addresses,
        summary=summary,
    )


def _first(extensions: x509.Extensions, kind: type[E]) -> E | None:
    return next((entry.value for entry in extensions if isinstance(entry.value, kind)), None)


R = TypeVar("R")


def _or_none(get: Callable[[], R]) -> R | None:
    try:
        return get()
    except UNREADABLE:
        return None


def _signed(child: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        algorithm = child.signature_hash_algorithm
        if isinstance(algorithm, (hashes.MD5, hashes.SHA1)):
            _verify_weak(child, issuer.public_key(), algorithm)
        else:
            child.verify_directly_issued_by(issuer)
    except (InvalidSignature, *UNREADABLE):
        return False
    return True


def _verify_weak(child: x509.Certificate, key: CertificatePublicKeyTypes, algorithm: hashes.HashAlgorithm) -> None:
    """What ``verify_directly_issued_by`` refuses to look at: weak is a fault of its own, and not wrong."""
    match key:
        case rsa.RSAPublicKey():
            key.verify(child.signature, child.tbs_certificate_bytes, padding.PKCS1v15(), algorithm)
        case ec.EllipticCurvePublicKey():
            key.verify(child.signature, child.tbs_certificate_bytes, ec.ECDSA(algorithm))
        case dsa.DSAPublicKey():
            key.verify(child.signature, child.tbs_certificate_bytes, algorithm)
        case _:
            raise UnsupportedAlgorithm("a key that signs with no hash of its own")


def _public_key_info(certificate: x509.Certificate) -> bytes:
    """The SubjectPublicKeyInfo, or the SHA-256 of the certificate when its key is of an unknown kind."""
    try:
        return certificate.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    except UNREADABLE:
        return hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).digest()


def _key_text(key: CertificatePublicKeyTypes | None) -> str:
    """The kind of key, a space and its size in bits: "RSA 2048", "EC 256"; "Ed25519", "Ed448" have one size only."""
    match key:
        case rsa.RSAPublicKey():
            return f"RSA {key.key_size}"
        case ec.EllipticCurvePublicKey():
            return f"EC {key.key_size}"
        case dsa.DSAPublicKey():
            return f"DSA {key.key_size}"
        case ed25519.Ed25519PublicKey():
            return "Ed25519"
        case ed448.Ed448PublicKey():
            return "Ed448"
        case _:
            return ""


def _algorithm_text(certificate: x509.Certificate) -> str:
    oid = certificate.signature_algorithm_oid
    name: str = oid._name  # cryptography's only table of names
    return oid.dotted_string if name == "Unknown OID" else name


def _issuer_urls(extensions: x509.Extensions) -> tuple[str, ...]:
    access = _first(extensions, x509.AuthorityInformationAccess)
    if access is None:
        return ()
    urls = [
        _text(entry.access_location.value)
        for entry in access
        if entry.access_method == AuthorityInformationAccessOID.CA_ISSUERS
        and isinstance(entry.access_location, x509.UniformResourceIdentifier)
    ]
    return tuple(urls[:MAX_AIA])


def _text(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
