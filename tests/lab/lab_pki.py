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
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from netdiag.world.certificates import ca_usage, distinguished_name, key_pem, key_usage, pem

_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
START = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
END = datetime.datetime(2049, 1, 1, tzinfo=datetime.UTC)

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_NOWHERE = (
    x509.AuthorityInformationAccess(
        [
            x509.AccessDescription(
                AuthorityInformationAccessOID.CA_ISSUERS,
                x509.UniformResourceIdentifier("http://pki.contoso.test/intermediate.crt"),
            )
        ]
    ),
)


@dataclass(frozen=True)
class Identity:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> bytes:
        """The certificate."""
        return pem(self.certificate)

    @property
    def key_pem(self) -> bytes:
        """The key, not encrypted."""
        return key_pem(self.key)


def authority(
    common_name: str, organization: str, issuer: Identity | None = None, urls: tuple[x509.ExtensionType, ...] = ()
) -> Identity:
    """A certificate authority; without ``issuer`` a root. ``urls`` are extensions that name some."""
    key = _key(common_name)
    builder = _builder(common_name, organization, key, issuer, START, END)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(ca_usage(), critical=True)
    for extension in urls:
        builder = builder.add_extension(extension, critical=False)
    return _signed(builder, key, issuer)


def leaf(
    names: tuple[str, ...],
    issuer: Identity,
    *,
    start: datetime.datetime = START,
    end: datetime.datetime = END,
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
    urls: tuple[x509.ExtensionType, ...] | None = None,
    key: Key | None = None,
) -> Identity:
    """A server's certificate (or, by ``usage``, a client's). ``urls`` replace its one URL, which leads nowhere.

    With a ``key`` of its own, an RSA key say, it is another one in every run.
    """
    key = key or _key(names[0] + issuer.certificate.subject.rfc4514_string() + str(end))
    uses = ("digital_signature", "key_encipherment") if isinstance(key, rsa.RSAPrivateKey) else ("digital_signature",)
    builder = _builder(names[0], "Contoso Ltd", key, issuer, start, end)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(key_usage(*uses), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(n) for n in names]), critical=False)
    for extension in _NOWHERE if urls is None else urls:
        builder = builder.add_extension(extension, critical=False)
    return _signed(builder, key, issuer)


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


def _builder(
    common_name: str,
    organization: str,
    key: Key,
    issuer: Identity | None,
    start: datetime.datetime,
    end: datetime.datetime,
) -> x509.CertificateBuilder:
    subject = distinguished_name(organization, common_name)
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


def _signed(builder: x509.CertificateBuilder, key: Key, issuer: Identity | None) -> Identity:
    signer = issuer.key if issuer else key
    deterministic = True if isinstance(signer, ec.EllipticCurvePrivateKey) else None
    return Identity(builder.sign(signer, hashes.SHA256(), ecdsa_deterministic=deterministic), key)
