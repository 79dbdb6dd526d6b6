"""The parts of certificates that the world's authorities, and those of tests and benches, have in common."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

#: The bits of RFC 5280 §4.2.1.3, as cryptography spells them.
_USES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def distinguished_name(organisation: str, common_name: str) -> x509.Name:
    """A name as public authorities write it: country, organisation, common name."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def key_usage(*uses: str) -> x509.KeyUsage:
    """The extension that allows these uses and no other."""
    return x509.KeyUsage(**{use: use in uses for use in _USES})


def ca_usage() -> x509.KeyUsage:
    """What an authority's key does."""
    return key_usage("key_cert_sign", "crl_sign")


def pem(certificate: x509.Certificate) -> bytes:
    """The certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    """The private key as PEM, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
