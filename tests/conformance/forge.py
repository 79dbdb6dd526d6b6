"""Certificates and revocation lists written byte by byte, so that any part of one can be wrong.

cryptography's builders refuse to make most of what a verifier has to refuse. The defaults make valid certificates of
RFC 5280 §4.1 and lists of §5.1, with P-256 keys.
"""

from __future__ import annotations

import datetime
import functools
import hashlib
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from netdiag.world.certificates import key_usage

HOST = "example.com"
#: The moment that cases are judged at.
NOW = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
YEAR = datetime.timedelta(days=365)
SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH

#: ecdsa-with-SHA1, ecdsa-with-SHA256, sha256WithRSAEncryption, dsa-with-sha256 (RFC 3279, RFC 4055, RFC 5758).
ECDSA_SHA1, ECDSA_SHA256 = "1.2.840.10045.4.1", "1.2.840.10045.4.3.2"
RSA_SHA256, DSA_SHA256 = "1.2.840.113549.1.1.11", "2.16.840.1.101.3.4.3.2"
#: id-ml-dsa-44, -65 and -87 (RFC 9881 §2), by the size of the public key.
ML_DSA = {1312: "2.16.840.1.101.3.4.3.17", 1952: "2.16.840.1.101.3.4.3.18", 2592: "2.16.840.1.101.3.4.3.19"}

_serials = itertools.count(1000)


def tlv(tag: int, *parts: bytes) -> bytes:
    """One DER value (X.690 §8.1)."""
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def sequence(*parts: bytes) -> bytes:
    return tlv(0x30, *parts)


def integer(value: int) -> bytes:
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    content = b""
    for arc in (40 * first + second, *rest):
        digits = [arc & 0x7F]
        while arc := arc >> 7:
            digits.append(0x80 | arc & 0x7F)
        content += bytes(reversed(digits))
    return tlv(0x06, content)


def bit_string(content: bytes) -> bytes:
    return tlv(0x03, b"\x00", content)


def moment(when: datetime.datetime) -> bytes:
    """UTCTime through 2049, GeneralizedTime from 2050 on (RFC 5280 §4.1.2.5)."""
    if when.year < 2050:
        return tlv(0x17, when.strftime("%y%m%d%H%M%SZ").encode())
    return tlv(0x18, when.strftime("%Y%m%d%H%M%SZ").encode())


def name(common_name: str = "", *more: tuple[x509.ObjectIdentifier, str]) -> bytes:
    """A distinguished name; empty without a common name."""
    attributes = [x509.NameAttribute(kind, value) for kind, value in more]
    if common_name:
        attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    return x509.Name(attributes).public_bytes()


@dataclass(frozen=True)
class Extension:
    """An extension with any value, right or wrong."""

    oid: str
    value: bytes
    critical: bool = False

    @property
    def der(self) -> bytes:
        return sequence(oid(self.oid), tlv(0x01, b"\xff") if self.critical else b"", tlv(0x04, self.value))


def extension(value: x509.ExtensionType, *, critical: bool = False) -> Extension:
    return Extension(value.oid.dotted_string, value.public_bytes(), critical)


def dns(*names: str) -> list[x509.GeneralName]:
    """DNS names, as they stand: nothing is checked or encoded."""
    return [x509.DNSName._init_without_validation(entry) for entry in names]


def alternative(names: Iterable[x509.GeneralName], *, critical: bool = False) -> Extension:
    return extension(x509.SubjectAlternativeName(names), critical=critical)


def raw_alternative(*names: bytes, critical: bool = False) -> Extension:
    """A subject alternative name of GeneralNames that are DER already."""
    return Extension("2.5.29.17", sequence(*names), critical)


def constraints(
    permitted: Sequence[x509.GeneralName] | None = None,
    excluded: Sequence[x509.GeneralName] | None = None,
    *,
    critical: bool = True,
) -> Extension:
    return extension(x509.NameConstraints(permitted, excluded), critical=critical)


def raw_constraints(permitted: Sequence[bytes] | None = None, excluded: Sequence[bytes] | None = None) -> Extension:
    """Critical name constraints of GeneralNames that are DER already; None leaves the field out."""
    fields = [
        tlv(tag, *(sequence(base) for base in bases))
        for tag, bases in ((0xA0, permitted), (0xA1, excluded))
        if bases is not None
    ]
    return Extension("2.5.29.30", sequence(*fields), critical=True)


def usage(*names: str, critical: bool = False) -> Extension:
    return extension(key_usage(*names), critical=critical)


def basic(ca: bool, path_length: int | None = None, *, critical: bool = True) -> Extension:
    return extension(x509.BasicConstraints(ca, path_length), critical=critical)


def purposes(*oids: x509.ObjectIdentifier, critical: bool = False) -> Extension:
    return extension(x509.ExtendedKeyUsage(oids), critical=critical)


@functools.cache
def key(label: str) -> ec.EllipticCurvePrivateKey:
    """The P-256 key of this label; it is another one in each run."""
    return ec.generate_private_key(ec.SECP256R1())


@functools.cache
def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def public_info(private: Any) -> bytes:
    """SubjectPublicKeyInfo."""
    info: bytes = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return info


def algorithm_of(private: Any) -> str:
    """The usual signature algorithm of a private key."""
    match private:
        case rsa.RSAPrivateKey():
            return RSA_SHA256
        case ec.EllipticCurvePrivateKey():
            return ECDSA_SHA256
        case dsa.DSAPrivateKey():
            return DSA_SHA256
    return ML_DSA[len(private.public_key().public_bytes_raw())]


def algorithm(dotted: str) -> bytes:
    """AlgorithmIdentifier; RSA has NULL for parameters (RFC 4055 §5)."""
    return sequence(oid(dotted), b"\x05\x00" if dotted == RSA_SHA256 else b"")


def sign(private: Any, data: bytes, dotted: str) -> bytes:
    digest = hashes.SHA1() if dotted == ECDSA_SHA1 else hashes.SHA256()
    match private:
        case rsa.RSAPrivateKey():
            return private.sign(data, padding.PKCS1v15(), digest)
        case ec.EllipticCurvePrivateKey():
            return private.sign(data, ec.ECDSA(digest))
        case dsa.DSAPrivateKey():
            return private.sign(data, digest)
    signature: bytes = private.sign(data)
    return signature


@dataclass(frozen=True)
class Made:
    """A certificate, its key, and what its children need of it."""

    der: bytes
    key: Any
    subject: bytes
    key_id: bytes
    serial: int


def key_identifier(info: bytes) -> bytes:
    """A key identifier of RFC 7093 §2."""
    return hashlib.sha256(info).digest()[:20]


def make(
    subject: str | bytes,
    issuer: Made | None,
    *extensions: Extension,
    without: Sequence[type[x509.ExtensionType]] = (),
    again: Sequence[Extension] = (),
    private: Any = None,
    info: bytes | None = None,
    signer: Any = None,
    issuer_name: bytes | None = None,
    authority_key_id: bytes | None = None,
    serial: int | None = None,
    starts: datetime.datetime = NOW - 10 * YEAR,
    ends: datetime.datetime = NOW + 100 * YEAR,
    version: int = 3,
    bare: bool = False,
    signed_with: str | None = None,
    inner: bytes | None = None,
    outer: bytes | None = None,
    signature: bytes | None = None,
) -> Made:
    """A certificate with these extensions; of several with one identifier the last counts, ``again`` is added as is.

    Key identifiers are made, unless ``without`` names them; ``bare`` leaves all out. The rest overrides one part each.
    """
    subject = name(subject) if isinstance(subject, str) else subject
    own = private or key(subject.hex())
    info = info or public_info(own)
    signing = signer or (issuer.key if issuer else own)
    key_id = key_identifier(info)
    automatic = [extension(x509.SubjectKeyIdentifier(key_id))]
    above = authority_key_id or (issuer.key_id if issuer else None)
    if above:
        automatic.append(extension(x509.AuthorityKeyIdentifier(above, None, None)))
    left_out = {kind.oid.dotted_string for kind in without}
    chosen = {entry.oid: entry for entry in (*automatic, *extensions)}
    values = [*(entry.der for entry in chosen.values() if entry.oid not in left_out), *(entry.der for entry in again)]
    number = next(_serials) if serial is None else serial
    dotted = signed_with or algorithm_of(signing)
    parent = issuer_name if issuer_name is not None else (issuer.subject if issuer else subject)
    to_be_signed = sequence(
        tlv(0xA0, integer(version - 1)) if version > 1 else b"",
        integer(number),
        inner or algorithm(dotted),
        parent,
        sequence(moment(starts), moment(ends)),
        subject,
        info,
        tlv(0xA3, sequence(*values)) if values and not bare else b"",
    )
    proof = sign(signing, to_be_signed, dotted) if signature is None else signature
    der = sequence(to_be_signed, outer or algorithm(dotted), bit_string(proof))
    return Made(der, own, subject, key_id, number)


def authority(
    subject: str | bytes, issuer: Made | None, *extensions: Extension, path_length: int | None = None, **other: Any
) -> Made:
    """A certificate authority. It has an alternative name too, which name constraints above it reach."""
    defaults = (basic(True, path_length), usage("key_cert_sign", "crl_sign"), alternative(dns(HOST)))
    return make(subject, issuer, *defaults, *extensions, **other)


def root(*extensions: Extension, subject: str | bytes = "Root", **other: Any) -> Made:
    """A self-signed authority."""
    return authority(subject, None, *extensions, **other)


def leaf(issuer: Made, *extensions: Extension, subject: str | bytes = HOST, **other: Any) -> Made:
    """A server's certificate for ``HOST``."""
    defaults = (usage("digital_signature"), purposes(SERVER_AUTH), alternative(dns(HOST)))
    return make(subject, issuer, *defaults, *extensions, **other)


@dataclass(frozen=True)
class Entry:
    """One revoked certificate (RFC 5280 §5.3)."""

    serial: int
    date: datetime.datetime = NOW - YEAR
    extensions: tuple[Extension, ...] = field(default=())

    @property
    def der(self) -> bytes:
        more = sequence(*(entry.der for entry in self.extensions)) if self.extensions else b""
        return sequence(integer(self.serial), moment(self.date), more)


def revocation_list(
    issuer: Made,
    *entries: Entry,
    extensions: Sequence[Extension] = (),
    without: Sequence[type[x509.ExtensionType]] = (),
    signer: Any = None,
    issued: datetime.datetime = NOW - YEAR,
    expires: datetime.datetime | None = NOW + YEAR,
    version: int = 2,
) -> bytes:
    """A CRL with its number and its issuer's key identifier."""
    automatic = [extension(x509.CRLNumber(1)), extension(x509.AuthorityKeyIdentifier(issuer.key_id, None, None))]
    left_out = {kind.oid.dotted_string for kind in without}
    chosen = {entry.oid: entry for entry in (*automatic, *extensions)}
    values = [entry.der for entry in chosen.values() if entry.oid not in left_out]
    signing = signer or issuer.key
    dotted = algorithm_of(signing)
    to_be_signed = sequence(
        integer(version - 1) if version > 1 else b"",
        algorithm(dotted),
        issuer.subject,
        moment(issued),
        moment(expires) if expires else b"",
        sequence(*(entry.der for entry in entries)) if entries else b"",
        tlv(0xA0, sequence(*values)) if values else b"",
    )
    return sequence(to_be_signed, algorithm(dotted), bit_string(sign(signing, to_be_signed, dotted)))
