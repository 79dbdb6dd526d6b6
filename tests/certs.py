"""Certificates made for tests: authorities and leaves with any one thing wrong. EC P-256, for speed."""

from __future__ import annotations

import datetime
import functools
import ipaddress
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from netdiag.pki.trust import TrustStore
from netdiag.world.certificates import key_pem, key_usage, pem

#: The moment that tests judge at: 2026-06-01 12:00 UTC.
NOW = datetime.datetime(2026, 6, 1, 12, tzinfo=datetime.UTC)
AT = NOW.timestamp()
DAY = datetime.timedelta(days=1)
HOST = "wu2.frontend.clouddatahub.net"

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT_AUTH = ExtendedKeyUsageOID.CLIENT_AUTH


@dataclass(frozen=True)
class Issued:
    """A certificate and its key."""

    cert: x509.Certificate
    key: Key

    @property
    def der(self) -> bytes:
        return self.cert.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        return pem(self.cert)

    @property
    def key_pem(self) -> bytes:
        return key_pem(self.key)


@functools.cache
def key(number: int) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@functools.cache
def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def name(common_name: str, organisation: str = "Contoso") -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def make(
    common_name: str,
    issuer: Issued | None = None,
    *,
    ca: bool | None = False,
    path_length: int | None = None,
    private_key: Key | None = None,
    signer: Key | None = None,
    issuer_name: str | None = None,
    starts: float = -30,
    ends: float = 60,
    hosts: Sequence[str] = (),
    addresses: Sequence[str] = (),
    purposes: Sequence[x509.ObjectIdentifier] | None = None,
    cert_sign: bool | None = None,
    server_usage: bool = True,
    constraints: x509.NameConstraints | None = None,
    aia: Sequence[str] = (),
    hash_algorithm: hashes.SHA1 | hashes.MD5 | None = None,
    key_ids: bool = True,
    extra: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> Issued:
    """Issue a certificate. ``ca=None`` leaves basic constraints out; ``cert_sign`` overrides keyCertSign.

    ``hash_algorithm`` makes a weak signature, with an RSA key.
    """
    own = private_key or key(zlib.crc32(common_name.encode()))
    signing = signer or (issuer.key if issuer else own)
    parent = name(issuer_name) if issuer_name else (issuer.cert.subject if issuer else name(common_name))
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(common_name))
        .issuer_name(parent)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + starts * DAY)
        .not_valid_after(NOW + ends * DAY)
    )
    extensions: list[tuple[x509.ExtensionType, bool]] = []
    if ca is not None:
        extensions.append((x509.BasicConstraints(ca=ca, path_length=path_length), True))
    extensions.append((_usage(bool(ca) if cert_sign is None else cert_sign, server_usage and not ca), True))
    alternative: list[x509.GeneralName] = [x509.DNSName(host) for host in hosts]
    alternative += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
    if alternative:
        extensions.append((x509.SubjectAlternativeName(alternative), False))
    if purposes is None and not ca:
        purposes = (SERVER_AUTH,)
    if purposes:
        extensions.append((x509.ExtendedKeyUsage(purposes), False))
    if constraints:
        extensions.append((constraints, True))
    if aia:
        access = [
            x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(url))
            for url in aia
        ]
        extensions.append((x509.AuthorityInformationAccess(access), False))
    if key_ids:
        extensions.append((x509.SubjectKeyIdentifier.from_public_key(own.public_key()), False))
        # The issuer's real key identifier, so that a wrong signer shows as a wrong signature.
        authority = issuer.key if issuer else signing
        extensions.append((x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key()), False))
    for extension, critical in (*extensions, *extra):
        builder = builder.add_extension(extension, critical)
    cert = builder.sign(signing, hashes.SHA256())
    if hash_algorithm:
        assert isinstance(signing, rsa.RSAPrivateKey)
        cert = _signed_again(cert, signing, hash_algorithm)
    return Issued(cert, own)


def _signed_again(
    cert: x509.Certificate, signing: rsa.RSAPrivateKey, algorithm: hashes.HashAlgorithm
) -> x509.Certificate:
    """The certificate with a weak signature, which the builder refuses to make: sha256WithRSAEncryption replaced."""
    pkcs1 = bytes.fromhex("2a864886f70d0101")
    last = {"sha1": b"\x05", "md5": b"\x04"}[algorithm.name]
    der = cert.public_bytes(serialization.Encoding.DER).replace(pkcs1 + b"\x0b", pkcs1 + last)
    signature = signing.sign(x509.load_der_x509_certificate(der).tbs_certificate_bytes, padding.PKCS1v15(), algorithm)
    return x509.load_der_x509_certificate(der[: -len(signature)] + signature)


def authority(common_name: str, issuer: Issued | None = None, **options: Any) -> Issued:
    return make(common_name, issuer, **{"ca": True, **options})


def store(*roots: Issued, vouched: bool = False) -> TrustStore:
    return TrustStore(names=("test",), roots=tuple(root.cert for root in roots), vouched=vouched)


def _usage(cert_sign: bool, server: bool) -> x509.KeyUsage:
    uses = [*(["key_cert_sign", "crl_sign"] if cert_sign else []), *(["digital_signature"] if server else [])]
    return key_usage(*uses or ["content_commitment"])
