"""The lab's certificates: the same bytes in every run, so that recordings differ only where behaviour does.

Keys come from names, serial numbers from names, dates are fixed, and ECDSA is deterministic (RFC 6979). The exception
is the certificate that ends within a day of now, which the clock scenarios need.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
START = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
END = datetime.datetime(2049, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True)
class Identity:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The key, not encrypted."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def authority(common_name: str, organization: str, issuer: Identity | None = None) -> Identity:
    """A certificate authority; without ``issuer`` a root."""
    key = _key(common_name)
    builder = _builder(common_name, organization, key, issuer, START, END)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    usage = _usage(key_cert_sign=True, crl_sign=True)
    return _signed(builder.add_extension(usage, critical=True), key, issuer)


def leaf(
    names: tuple[str, ...],
    issuer: Identity,
    *,
    start: datetime.datetime = START,
    end: datetime.datetime = END,
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
) -> Identity:
    """A server's certificate (or, by ``usage``, a client's)."""
    key = _key(names[0] + issuer.certificate.subject.rfc4514_string() + str(end))
    builder = _builder(names[0], "Contoso Ltd", key, issuer, start, end)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(_usage(digital_signature=True), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(n) for n in names]), critical=False)
    where = x509.UniformResourceIdentifier("http://pki.contoso.test/intermediate.crt")
    access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, where)
    return _signed(builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False), key, issuer)


def write(folder: Path, name: str, identity: Identity, *above: Identity) -> None:
    """``name.pem`` (the certificate, then those above it) and ``name.key``."""
    (folder / f"{name}.pem").write_bytes(b"".join(i.pem for i in (identity, *above)))
    (folder / f"{name}.key").write_bytes(identity.key_pem)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _key(seed: str) -> ec.EllipticCurvePrivateKey:
    number = int.from_bytes(hashlib.sha256(b"netdiag lab " + seed.encode()).digest(), "big")
    return ec.derive_private_key(number % (_P256_ORDER - 1) + 1, ec.SECP256R1())


def _name(common_name: str, organization: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _builder(
    common_name: str,
    organization: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: Identity | None,
    start: datetime.datetime,
    end: datetime.datetime,
) -> x509.CertificateBuilder:
    subject = _name(common_name, organization)
    above = issuer.certificate.subject if issuer else subject
    above_key = (issuer.key if issuer else key).public_key()
    serial = hashlib.sha256(f"{above.rfc4514_string()} {common_name} {start} {end}".encode()).digest()[:12]
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(above)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(serial, "big") | 1)
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(above_key), critical=False)
    )


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _signed(builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey, issuer: Identity | None) -> Identity:
    signer = issuer.key if issuer else key
    return Identity(builder.sign(signer, hashes.SHA256(), ecdsa_deterministic=True), key)
