"""A private key in a file: what may be said about it, which is never the key itself.

Contract: pure. The private half is dropped as soon as the public one is known; nothing here keeps it or prints it. A
key that cannot be read is a ``HeldKey`` too, with nothing but what stands beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

from netdiag.model import KeyProviderKind
from netdiag.pki import ber
from netdiag.pki.facts import Facts
from netdiag.pki.load import UNREADABLE, quiet
from netdiag.pki.summary import key_text

#: An RSA key of 16,384 bits takes 9 KiB; post-quantum ones less than 8.
MAX_KEY_BYTES = 64 * 1024

#: Kinds of keys whose public half is read or cheaply computed. DSA's and Diffie-Hellman's is one exponentiation with
#: numbers of the file's choice, which can take hours; no TLS certificate has such a key any more.
_KINDS = frozenset(
    {
        "1.2.840.113549.1.1.1",  # RSA
        "1.2.840.113549.1.1.10",  # RSASSA-PSS
        "1.2.840.10045.2.1",  # elliptic curves
        "1.3.101.110",  # X25519
        "1.3.101.111",  # X448
        "1.3.101.112",  # Ed25519
        "1.3.101.113",  # Ed448
        "2.16.840.1.101.3.4.3.17",  # ML-DSA-44
        "2.16.840.1.101.3.4.3.18",  # ML-DSA-65
        "2.16.840.1.101.3.4.3.19",  # ML-DSA-87
    }
)
_DSA_LABEL = b"-----BEGIN DSA PRIVATE KEY-----"

KeySpec = Literal["", "exchange", "signature"]

#: The X.509 key usage as an attribute of a private key: how CryptoAPI and OpenSSL (-keyex, -keysig) write its KeySpec.
_KEY_USAGE = "2.5.29.15"
#: digitalSignature is AT_SIGNATURE (0x80); keyEncipherment or dataEncipherment, AT_KEYEXCHANGE (Windows writes 0x10).
_EXCHANGE, _SIGNATURE = 0x30, 0x80

#: Words in the names of providers, in lower case. A KSP may be called a "Crypto Provider" too, so that it comes first.
_KSP_WORDS = ("key storage provider", "platform crypto provider", "passport")
_CSP_WORDS = (
    "cryptographic provider",
    "cryptographic service",
    "smart card crypto provider",
    "schannel",
    "aes provider",
)


@dataclass(frozen=True, kw_only=True)
class HeldKey:
    """The public half of a private key (the inside of its SubjectPublicKeyInfo), and what the file says about it.

    ``public_key`` and ``key`` ("RSA 2048") are empty for a key that could not be opened. ``friendly_name`` is the
    certificate's where a PKCS#12 file has one, else the key's.
    """

    public_key: bytes = field(default=b"", repr=False)
    key: str = ""
    key_spec: KeySpec = ""
    provider: str = ""
    provider_kind: KeyProviderKind = ""
    machine_keyset: bool = False
    friendly_name: str = ""
    local_key_id: bytes = b""


def held_key(der: bytes) -> HeldKey:
    """The key in a PKCS#8, PKCS#1 or SEC 1 structure that is not encrypted."""
    if not _is_cheap(der):
        return HeldKey(key_spec=_key_spec(der))
    try:
        with quiet():
            # The numbers are not put to the test: primality takes for ever where somebody wants it to.
            key = serialization.load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)
            public = key.public_key()
    except UNREADABLE:
        return HeldKey(key_spec=_key_spec(der))
    return HeldKey(public_key=public_half(public), key=key_text(public), key_spec=_key_spec(der))  # type: ignore[arg-type]


def held_pem_key(block: bytes, password: bytes | None) -> HeldKey:
    """The key in a PEM block of the traditional kind with encryption (RFC 1421 §4.6.1.1), which has one round.

    Raises ``ValueError`` for a wrong password, ``TypeError`` for none, ``UnsupportedAlgorithm`` for an unknown cipher.
    """
    if len(block) > 2 * MAX_KEY_BYTES or block.startswith(_DSA_LABEL):
        return HeldKey()
    with quiet():
        key = serialization.load_pem_private_key(block, password, unsafe_skip_rsa_key_validation=True)
        public = key.public_key()
    return HeldKey(public_key=public_half(public), key=key_text(public))  # type: ignore[arg-type]


def public_half(key: PublicKeyTypes) -> bytes:
    """The inside of the key's SubjectPublicKeyInfo, in the form that cryptography gives all keys."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return ber.element(der).content


def public_half_of(certificate: Facts) -> bytes:
    """A certificate's public key in the same form: RSA keys alone are written in three (RFC 4055 §1.2)."""
    return public_half(certificate.key) if certificate.key is not None else certificate.public_key


def provider_kind(name: str) -> KeyProviderKind:
    """Whether a provider of this name is an old one (CSP) or one of CNG (KSP); empty where the name does not tell.

    By its words, which Microsoft's own and the makers of hardware keep to (learn.microsoft.com, "Microsoft
    Cryptographic Service Providers" and "Key Storage and Retrieval").
    """
    lower = name.lower()
    if any(word in lower for word in _KSP_WORDS) or "ksp" in lower.split():
        return "ksp"
    return "csp" if any(word in lower for word in _CSP_WORDS) or "csp" in lower.split() else ""


def _is_cheap(der: bytes) -> bool:
    """Whether the key's public half can be had in bounded time."""
    if len(der) > MAX_KEY_BYTES:
        return False
    try:
        _, *rest = ber.element(der).children
        # PKCS#8 names its algorithm; of the traditional structures, only DSA's has six integers.
        return rest[0].children[0].oid in _KINDS if rest[0].tag == ber.SEQUENCE else len(rest) != 5
    except (ValueError, IndexError):
        return False


def _key_spec(der: bytes) -> KeySpec:
    """What the attributes of a PrivateKeyInfo (RFC 5958 §2) say that the key is for."""
    try:
        attributes = [child for child in ber.element(der).children[3:] if child.tag == 0xA0]
        for attribute in attributes[0].children if attributes else ():
            kind, values = attribute.children
            if kind.oid == _KEY_USAGE:
                bits = values.only.content[1]
                return "exchange" if bits & _EXCHANGE else "signature" if bits & _SIGNATURE else ""
    except (ValueError, IndexError):
        pass
    return ""
