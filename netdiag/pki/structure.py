"""The ASN.1 of RFC 5280 that cryptography's x509 classes do not show: raw fields, and extensions one by one.

Contract: pure, strict DER (X.690). ``decode`` raises ``ValueError`` for anything else. cryptography's declarative
decoder does the reading; only what somebody here asks for is declared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeVar

from cryptography import x509
from cryptography.hazmat import asn1

T = TypeVar("T")


@asn1.sequence
class Extension:
    """Extension (§4.1): ``value`` is the DER inside the OCTET STRING."""

    oid: x509.ObjectIdentifier
    critical: Annotated[bool, asn1.Default(False)]
    value: bytes


@asn1.sequence
class TbsCertificate:
    """TBSCertificate (§4.1)."""

    version: Annotated[int, asn1.Explicit(0), asn1.Default(0)]
    serial: int
    signature: asn1.TLV
    issuer: asn1.TLV
    validity: asn1.TLV
    subject: asn1.TLV
    public_key: asn1.TLV
    issuer_unique_id: Annotated[asn1.BitString | None, asn1.Implicit(1)]
    subject_unique_id: Annotated[asn1.BitString | None, asn1.Implicit(2)]
    extensions: Annotated[list[Extension] | None, asn1.Explicit(3)]


@asn1.sequence
class Certificate:
    """Certificate (§4.1)."""

    tbs: TbsCertificate
    algorithm: asn1.TLV
    signature: asn1.BitString


@asn1.sequence
class BasicConstraints:
    """BasicConstraints (§4.2.1.9) as some write it: with the default spelled out, or a path length beside cA FALSE."""

    ca: bool | None
    path_length: int | None


@asn1.sequence
class AlgorithmAlone:
    """AlgorithmIdentifier (§4.1.1.2) without parameters."""

    oid: x509.ObjectIdentifier


@asn1.sequence
class PublicKeyAlone:
    """SubjectPublicKeyInfo (§4.1) without parameters: those of the issuer's key count (RFC 3279 §2.3.2)."""

    algorithm: AlgorithmAlone
    key: asn1.BitString


@asn1.sequence
class NamedCurve:
    """AlgorithmIdentifier of an elliptic curve key, whose parameters are the curve's name (RFC 5480 §2.1.1)."""

    oid: x509.ObjectIdentifier
    curve: x509.ObjectIdentifier


@asn1.sequence
class NamedCurveKey:
    """SubjectPublicKeyInfo (§4.1) of an elliptic curve key."""

    algorithm: NamedCurve
    key: asn1.BitString


@asn1.sequence
class PolicyMapping:
    """One pair of PolicyMappings (§4.2.1.5)."""

    issuer_domain: x509.ObjectIdentifier
    subject_domain: x509.ObjectIdentifier


@asn1.sequence
class _PolicyMappings:
    """PolicyMappings in a SEQUENCE of its own: a SEQUENCE OF can be decoded as a field only."""

    pairs: list[PolicyMapping]


@asn1.sequence
class _One:
    value: asn1.TLV


#: SubjectPublicKeyInfo of an Ed25519 key of zeros (RFC 8410 §4), in a SEQUENCE.
_DONOR = bytes.fromhex("302c302a300506032b6570032100") + bytes(32)


@dataclass(frozen=True)
class PolicyMappings:
    """Pairs of dotted identifiers: a policy of the issuer's domain, and the one it becomes below (§4.2.1.5)."""

    pairs: tuple[tuple[str, str], ...]


def policy_mappings(der: bytes) -> PolicyMappings:
    """The value of a policyMappings extension. Raises ``ValueError``."""
    found = decode(_PolicyMappings, sequence(der)).pairs
    return PolicyMappings(tuple((p.issuer_domain.dotted_string, p.subject_domain.dotted_string) for p in found))


@asn1.sequence
class _Integer:
    value: int


def integer(der: bytes) -> int:
    """A DER INTEGER. Raises ``ValueError``."""
    return decode(_Integer, sequence(der)).value


def sequence(content: bytes) -> bytes:
    """``content`` as a DER SEQUENCE (X.690 §8.1.3)."""
    size = len(content)
    if size < 0x80:
        return bytes([0x30, size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([0x30, 0x80 | len(octets)]) + octets + content


def decode(kind: type[T], der: bytes) -> T:
    """``der`` as one of the structures here. Raises ``ValueError``."""
    try:
        return asn1.decode_der(kind, der)
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(str(error) or type(error).__name__) from None


def with_readable_key(whole: Certificate) -> bytes:
    """The certificate with another key: cryptography refuses a whole certificate for a key without parameters."""
    tbs = whole.tbs
    return asn1.encode_der(
        Certificate(
            tbs=TbsCertificate(
                version=tbs.version,
                serial=tbs.serial,
                signature=tbs.signature,
                issuer=tbs.issuer,
                validity=tbs.validity,
                subject=tbs.subject,
                public_key=decode(_One, _DONOR).value,
                issuer_unique_id=tbs.issuer_unique_id,
                subject_unique_id=tbs.subject_unique_id,
                extensions=tbs.extensions,
            ),
            algorithm=whole.algorithm,
            signature=whole.signature,
        )
    )


def signed_part(whole: Certificate) -> bytes:
    """The DER of TBSCertificate, which the signature is over."""
    return asn1.encode_der(whole.tbs)


def certificate_with(whole: Certificate, extension: Extension) -> bytes:
    """The certificate with this one extension only: how cryptography, which reads all or none, is made to read one.

    The signature does not fit any more, which nobody asks for.
    """
    tbs = whole.tbs
    return asn1.encode_der(
        Certificate(
            tbs=TbsCertificate(
                version=2,
                serial=1,
                signature=tbs.signature,
                issuer=tbs.issuer,
                validity=tbs.validity,
                subject=tbs.subject,
                public_key=tbs.public_key,
                issuer_unique_id=None,
                subject_unique_id=None,
                extensions=[extension],
            ),
            algorithm=whole.algorithm,
            signature=whole.signature,
        )
    )
