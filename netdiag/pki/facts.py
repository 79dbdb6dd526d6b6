"""DER -> ``Facts``: what path building and verification need to know of one certificate, read once.

Contract: never raises for hostile input: ``read`` returns ``Unreadable`` with the reason. Extensions are read one by
one where they cannot be read together, so that a broken one hides only itself. Results are cached by content, so that
hundreds of targets that present the same intermediates parse them once.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID

from netdiag.model import CertificateSummary
from netdiag.pki import structure
from netdiag.pki.distinguished import NameKey, name_key, unreadable_key
from netdiag.pki.lazy import lazy
from netdiag.pki.load import UNREADABLE, quiet
from netdiag.pki.signatures import signature_holds
from netdiag.pki.summary import clipped, decoder_words, summarize

#: Certificates with hundreds of names stay below 32 KiB; OpenSSL takes at most 100 KiB for a whole chain by default.
MAX_CERTIFICATE_BYTES = 256 * 1024
#: Extensions of one certificate that are read one by one; real ones have about ten.
MAX_EXTENSIONS = 64

#: Extensions that this engine processes, by dotted OID; any other critical one is unknown (RFC 5280 §4.2).
PROCESSED = frozenset(
    {
        "2.5.29.14",  # subjectKeyIdentifier
        "2.5.29.15",  # keyUsage
        "2.5.29.17",  # subjectAltName
        "2.5.29.19",  # basicConstraints
        "2.5.29.30",  # nameConstraints
        "2.5.29.31",  # cRLDistributionPoints
        "2.5.29.32",  # certificatePolicies
        "2.5.29.33",  # policyMappings
        "2.5.29.35",  # authorityKeyIdentifier
        "2.5.29.36",  # policyConstraints
        "2.5.29.37",  # extKeyUsage
        "2.5.29.46",  # freshestCRL
        "2.5.29.54",  # inhibitAnyPolicy
        "1.3.6.1.5.5.7.1.1",  # authorityInfoAccess
    }
)
POLICY_MAPPINGS = "2.5.29.33"
#: id-dsa (RFC 3279 §2.3.2).
_DSA = "1.2.840.10040.4.1"

E = TypeVar("E", bound=x509.ExtensionType)
R = TypeVar("R")


@dataclass(frozen=True)
class Unreadable:
    """Bytes that are not what they should be, and why."""

    reason: str


@dataclass(frozen=True)
class Extension:
    """One extension: its value, or why that cannot be read. ``unsupported``: it is well-formed, and beyond us."""

    oid: str
    critical: bool
    value: x509.ExtensionType | structure.PolicyMappings | None
    error: str = ""
    unsupported: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Facts:
    """One certificate. Equal to another exactly when their SHA-256 is.

    ``subject_der``, ``issuer_der`` and ``public_key`` (SubjectPublicKeyInfo) are the DER inside their SEQUENCE, as it
    stands in the certificate, and ``signed`` is what the signature is over; ``subject`` and ``issuer`` compare as RFC
    5280 §7.1 wants. Times are seconds since the epoch. ``extensions`` maps dotted identifiers; of one that occurs twice
    the first counts, and ``repeated`` names it. ``certificate`` stands for one whose key cryptography cannot read too:
    ask it for nothing that is here.
    """

    certificate: x509.Certificate
    der: bytes = field(repr=False)
    sha256: str
    subject: NameKey
    issuer: NameKey
    subject_der: bytes = field(repr=False)
    issuer_der: bytes = field(repr=False)
    public_key: bytes = field(repr=False)
    key: CertificatePublicKeyTypes | None
    signed: bytes = field(repr=False)
    extensions: Mapping[str, Extension] = field(repr=False)
    repeated: tuple[str, ...]
    structure: structure.Certificate = field(repr=False)

    def __hash__(self) -> int:
        return hash(self.sha256)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Facts) and other.sha256 == self.sha256

    def extension(self, kind: type[E]) -> E | None:
        """The value of an extension; None when it is absent or cannot be read."""
        found = self.extensions.get(kind.oid.dotted_string)
        return found.value if found and isinstance(found.value, kind) else None

    def has(self, kind: type[x509.ExtensionType]) -> bool:
        """Whether the extension is there, readable or not."""
        return kind.oid.dotted_string in self.extensions

    def critical(self, kind: type[x509.ExtensionType]) -> bool:
        """Whether the extension is there and marked critical."""
        found = self.extensions.get(kind.oid.dotted_string)
        return found is not None and found.critical

    @property
    def broken(self) -> tuple[Extension, ...]:
        """The extensions that cannot be read."""
        return tuple(entry for entry in self.extensions.values() if entry.error)

    @property
    def inherits_parameters(self) -> bool:
        """Its key is a DSA key without parameters."""
        return self.key is None and _inherits_parameters(self.public_key)

    @property
    def spells_out_curve(self) -> bool:
        """Its key brings all numbers of an elliptic curve along, in place of the curve's name."""
        if not isinstance(self.key, ec.EllipticCurvePublicKey):
            return False
        info = structure.sequence(self.public_key)
        return _or_none(lambda: structure.decode(structure.NamedCurveKey, info)) is None

    @property
    def self_issued(self) -> bool:
        """Subject and issuer are one name (RFC 5280 §3.2)."""
        return self.subject == self.issuer

    @lazy
    def self_signed(self) -> bool:
        """Self-issued, and signed with its own key."""
        return self.self_issued and signed_by(self, self)

    @property
    def version(self) -> int:
        """1, 2 or 3, and whatever else it claims."""
        return self.structure.tbs.version + 1

    @property
    def serial(self) -> int:
        """The serial number; RFC 5280 §4.1.2.2 wants it positive, and not everybody heeds that."""
        return self.structure.tbs.serial

    @lazy
    def not_before(self) -> float:
        """The first moment of validity."""
        return _or_none(lambda: self.certificate.not_valid_before_utc.timestamp()) or 0.0

    @lazy
    def not_after(self) -> float:
        """The last moment of validity."""
        return _or_none(lambda: self.certificate.not_valid_after_utc.timestamp()) or 0.0

    @lazy
    def signature_hash(self) -> str:
        """The name of the signature's hash ("sha256"); empty where it has none, or an unknown one."""
        algorithm = _or_none(lambda: self.certificate.signature_hash_algorithm)
        return algorithm.name if algorithm else ""

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
    def is_ca(self) -> bool:
        """Its basic constraints say that it is an authority."""
        basic = self.extension(x509.BasicConstraints)
        return basic is not None and basic.ca

    @property
    def unknown_critical(self) -> tuple[str, ...]:
        """Dotted OIDs of critical extensions that this engine does not process."""
        return tuple(e.oid for e in self.extensions.values() if e.critical and e.oid not in PROCESSED)

    @lazy
    def subject_name(self) -> x509.Name | None:
        """The subject; None when it cannot be read."""
        with quiet():
            return _or_none(lambda: self.certificate.subject)

    @lazy
    def issuer_name(self) -> x509.Name | None:
        """The issuer; None when it cannot be read."""
        with quiet():
            return _or_none(lambda: self.certificate.issuer)

    @lazy
    def alternative_names(self) -> tuple[x509.GeneralName, ...]:
        """Every entry of the subject alternative name, in order."""
        return tuple(self.extension(x509.SubjectAlternativeName) or ())

    @lazy
    def dns_names(self) -> tuple[str, ...]:
        """The dNSName entries."""
        return tuple(name.value for name in self.alternative_names if isinstance(name, x509.DNSName))

    @lazy
    def addresses(self) -> tuple[str, ...]:
        """The iPAddress entries in text form."""
        return tuple(str(name.value) for name in self.alternative_names if isinstance(name, x509.IPAddress))

    @lazy
    def mailboxes(self) -> tuple[str, ...]:
        """The rfc822Name entries."""
        return tuple(name.value for name in self.alternative_names if isinstance(name, x509.RFC822Name))

    @lazy
    def common_names(self) -> tuple[str, ...]:
        """The common names of the subject."""
        return tuple(map(clipped, _attributes(self.subject_name, NameOID.COMMON_NAME)))

    @lazy
    def emails(self) -> tuple[str, ...]:
        """The e-mail addresses of the subject (the old place for them, which constraints still reach)."""
        return _attributes(self.subject_name, NameOID.EMAIL_ADDRESS)

    @lazy
    def policy_mappings(self) -> tuple[tuple[str, str], ...]:
        """Pairs of issuer's and subject's domain policy (RFC 5280 §4.2.1.5), dotted."""
        found = self.extensions.get(POLICY_MAPPINGS)
        return found.value.pairs if found and isinstance(found.value, structure.PolicyMappings) else ()

    @lazy
    def summary(self) -> CertificateSummary:
        """What a report shows of it."""
        with quiet():
            return summarize(self)


@functools.lru_cache(maxsize=2048)
def read(der: bytes) -> Facts | Unreadable:
    """The facts of the certificate in ``der``."""
    if len(der) > MAX_CERTIFICATE_BYTES:
        return Unreadable(f"larger than {MAX_CERTIFICATE_BYTES // 1024} KiB")
    try:
        with quiet():
            return _facts(der)
    except UNREADABLE as error:
        return Unreadable(f"not a readable certificate: {decoder_words(error)}")


def read_root(certificate: x509.Certificate) -> Facts | Unreadable:
    """The facts of a certificate that is already parsed."""
    return read(certificate.public_bytes(serialization.Encoding.DER))


def inheriting(facts: Facts, issuer_key: CertificatePublicKeyTypes | None) -> Facts:
    """A certificate whose DSA key has no parameters of its own, with those of its issuer's key (RFC 3279 §2.3.2)."""
    if facts.key is not None or not isinstance(issuer_key, dsa.DSAPublicKey) or not facts.inherits_parameters:
        return facts
    alone = structure.decode(structure.PublicKeyAlone, structure.sequence(facts.public_key))
    size = structure.integer(alone.key.as_bytes())
    parameters = issuer_key.public_numbers().parameter_numbers
    key = _or_none(lambda: dsa.DSAPublicNumbers(size, parameters).public_key())
    return dataclasses.replace(facts, key=key)


@functools.lru_cache(maxsize=4096)
def signed_by(child: Facts, issuer: Facts) -> bool:
    """Whether ``issuer``'s key made ``child``'s signature. An algorithm that cannot be checked counts as no."""
    if child.issuer != issuer.subject or issuer.key is None:
        return False
    certificate = child.certificate
    with quiet():
        try:
            algorithm, parameters = certificate.signature_hash_algorithm, certificate.signature_algorithm_parameters
        except UNREADABLE:
            return False
        return signature_holds(issuer.key, certificate.signature, child.signed, algorithm, parameters)


def _facts(der: bytes) -> Facts:
    raw = structure.decode(structure.Certificate, der)
    signed = structure.signed_part(raw)
    try:
        certificate = x509.load_der_x509_certificate(der)
        key = _or_none(certificate.public_key)
    except ValueError:
        if not _inherits_parameters(bytes(raw.tbs.public_key.data)):
            raise
        certificate, key = x509.load_der_x509_certificate(structure.with_readable_key(raw)), None
    if not der.endswith(b"\x00" + certificate.signature):  # X.690 §8.6.2.2; cryptography lets such bits pass
        raise ValueError("its signature claims unused bits")
    extensions, repeated = _extensions(certificate, raw)
    subject, issuer = bytes(raw.tbs.subject.data), bytes(raw.tbs.issuer.data)
    return Facts(
        certificate=certificate,
        der=der,
        sha256=hashlib.sha256(der).hexdigest(),
        subject=_key_of(lambda: certificate.subject, subject),
        issuer=_key_of(lambda: certificate.issuer, issuer),
        subject_der=subject,
        issuer_der=issuer,
        public_key=bytes(raw.tbs.public_key.data),
        key=key,
        signed=signed,
        extensions=extensions,
        repeated=repeated,
        structure=raw,
    )


def _inherits_parameters(public_key: bytes) -> bool:
    alone = _or_none(lambda: structure.decode(structure.PublicKeyAlone, structure.sequence(public_key)))
    return alone is not None and alone.algorithm.oid.dotted_string == _DSA


#: Names repeat: each issuer's is some subject's.
_name_keys: dict[bytes, NameKey] = {}
_MAX_NAME_KEYS = 8192


def _key_of(name: Callable[[], x509.Name], der: bytes) -> NameKey:
    found = _name_keys.get(der)
    if found is None:
        if len(_name_keys) >= _MAX_NAME_KEYS:
            _name_keys.clear()
        found = _name_keys[der] = _or_none(lambda: name_key(name())) or (unreadable_key(der) if der else ())
    return found


def _extensions(
    certificate: x509.Certificate, raw: structure.Certificate
) -> tuple[dict[str, Extension], tuple[str, ...]]:
    """The extensions by dotted identifier, and the identifiers that occur more than once."""
    try:
        together = certificate.extensions
    except (*UNREADABLE, x509.UnsupportedGeneralNameType):
        return _one_by_one(raw)
    found = {}
    for entry in together:
        oid, value = entry.oid.dotted_string, entry.value
        found[oid] = (
            _mappings(oid, entry.critical, value) if oid == POLICY_MAPPINGS else Extension(oid, entry.critical, value)
        )
    return found, ()


def _one_by_one(raw: structure.Certificate) -> tuple[dict[str, Extension], tuple[str, ...]]:
    found: dict[str, Extension] = {}
    repeated: dict[str, None] = {}
    entries = raw.tbs.extensions or []
    if len(entries) > MAX_EXTENSIONS:  # one that is not looked at may forbid what is being done
        raise ValueError(f"more than {MAX_EXTENSIONS} extensions, not all of them readable")
    for entry in entries:
        oid = entry.oid.dotted_string
        if oid in found:
            repeated[oid] = None
            continue
        found[oid] = _alone(raw, entry)
    return found, tuple(repeated)


def _alone(raw: structure.Certificate, entry: structure.Extension) -> Extension:
    """One extension, read by itself."""
    oid, critical = entry.oid.dotted_string, entry.critical
    try:
        (alone,) = x509.load_der_x509_certificate(structure.certificate_with(raw, entry)).extensions
    except x509.UnsupportedGeneralNameType as error:
        return Extension(oid, critical, None, decoder_words(error), unsupported=True)
    except UNREADABLE as error:
        reason = decoder_words(error) or type(error).__name__
        value = _or_none(lambda: _loose(entry)) if oid == x509.BasicConstraints.oid.dotted_string else None
        return Extension(oid, critical, value, reason)
    return _mappings(oid, critical, alone.value) if oid == POLICY_MAPPINGS else Extension(oid, critical, alone.value)


def _loose(entry: structure.Extension) -> x509.BasicConstraints:
    """Basic constraints that mean something although they are not DER, or say too much."""
    found = structure.decode(structure.BasicConstraints, entry.value)
    return x509.BasicConstraints(bool(found.ca), found.path_length if found.ca else None)


def _mappings(oid: str, critical: bool, value: x509.ExtensionType) -> Extension:
    """The policy mappings, which cryptography leaves undecoded."""
    assert isinstance(value, x509.UnrecognizedExtension)
    try:
        return Extension(oid, critical, structure.policy_mappings(value.value))
    except ValueError as error:
        return Extension(oid, critical, None, decoder_words(error))


def _or_none(get: Callable[[], R]) -> R | None:
    try:
        return get()
    except UNREADABLE:
        return None


def _attributes(name: x509.Name | None, oid: x509.ObjectIdentifier) -> tuple[str, ...]:
    found = name.get_attributes_for_oid(oid) if name is not None else ()
    return tuple(str(attribute.value) for attribute in found)
