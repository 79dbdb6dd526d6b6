"""Certification authorities, the certificates they issue, and TLS contexts that present them.

Contract: everything is made anew for each world and means nothing outside of it. Keys are EC P-256, which cost
well under a millisecond. Times are relative to the world's start.
"""

from __future__ import annotations

import ssl
import threading
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from netdiag.pki.trust import TrustStore
from netdiag.world.certificates import ca_usage, distinguished_name, key_pem, key_usage, pem

DAY_S = 86400.0

#: public: known to every machine. private: a company's own. inspection: of a proxy that opens TLS.
Issuer = Literal["public", "private", "inspection"]

#: Organisation and common name of each root and of the authority below it that issues. The public ones are named after
#: Azure's, and say what they are; the inspecting one after a product, as such authorities are.
_NAMES: dict[Issuer, tuple[tuple[str, str], tuple[str, str]]] = {
    "public": (
        ("DigiCert Inc", "DigiCert Global Root G2 (demo)"),
        ("Microsoft Corporation", "Microsoft Azure ECC TLS Issuing CA 01 (demo)"),
    ),
    "private": (("Contoso Ltd", "Contoso Corporate Root CA"), ("Contoso Ltd", "Contoso Server CA 1")),
    "inspection": (
        ("Zscaler Inc.", "Zscaler Root CA for Contoso"),
        ("Zscaler Inc.", "Contoso TLS Inspection CA by Zscaler"),
    ),
}


@dataclass(frozen=True, kw_only=True)
class Leaf:
    """A server certificate to issue. Validity is in seconds from the world's start."""

    names: tuple[str, ...]
    issuer: Issuer = "public"
    starts_s: float = -30 * DAY_S
    ends_s: float = 60 * DAY_S
    #: Whether the server presents the intermediate too.
    with_intermediate: bool = True
    #: What is wrong with it otherwise: made for clients only, changed after it was signed, signed by a server's key.
    flaw: Literal["", "for-clients", "tampered", "issuer-is-no-ca"] = ""


@dataclass(frozen=True, kw_only=True)
class Handshake:
    """How a server shakes hands."""

    newest: Literal["TLSv1", "TLSv1.2", "TLSv1.3"] = "TLSv1.3"
    client_certificate: bool = False


class _Ca:
    """A root, and the intermediate that it signed."""

    def __init__(self, root: tuple[str, str], issuing: tuple[str, str], now: datetime) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.root = _ca_certificate(distinguished_name(*root), self.key, None, now)
        self.intermediate_key = ec.generate_private_key(ec.SECP256R1())
        above = (self.root, self.key)
        self.intermediate = _ca_certificate(distinguished_name(*issuing), self.intermediate_key, above, now)
        #: The same name and key in a certificate whose basic constraints do not allow to issue.
        self.no_ca = _ca_certificate(distinguished_name(*issuing), self.intermediate_key, above, now, ca=False)


class Authority:
    """Every certification authority of one world. ``folder`` takes the key files that ``ssl`` insists on."""

    def __init__(self, folder: Path, now: float) -> None:
        self._folder = folder
        self._now = datetime.fromtimestamp(now, UTC)
        self._cas = {issuer: _Ca(*names, self._now) for issuer, names in _NAMES.items()}
        self._contexts: dict[tuple[Leaf, Handshake], ssl.SSLContext] = {}
        self._lock = threading.Lock()

    def root(self, issuer: Issuer) -> x509.Certificate:
        """A root's certificate."""
        return self._cas[issuer].root

    def store(self, *issuers: Issuer, vouched: bool = False) -> TrustStore:
        """The trust store of a machine that believes in these roots."""
        roots = tuple(self.root(issuer) for issuer in issuers)
        return TrustStore(names=("the world's " + ", ".join(issuers),), roots=roots, vouched=vouched)

    def context(self, leaf: Leaf, handshake: Handshake = Handshake()) -> ssl.SSLContext:
        """The server context that presents ``leaf``; made once."""
        with self._lock:
            key = (leaf, handshake)
            if key not in self._contexts:
                self._contexts[key] = self._new_context(leaf, handshake)
            return self._contexts[key]

    def issue(self, leaf: Leaf) -> tuple[x509.Certificate, ...]:
        """The chain that a server presents for ``leaf``, leaf first. The key is the same for all leaves."""
        ca = self._cas[leaf.issuer]
        purpose = ExtendedKeyUsageOID.CLIENT_AUTH if leaf.flaw == "for-clients" else ExtendedKeyUsageOID.SERVER_AUTH
        organisation = "Contoso Ltd" if leaf.issuer == "private" else "Microsoft Corporation"
        certificate = (
            _builder(
                distinguished_name(organisation, leaf.names[0]),
                ca.intermediate.subject,
                self._leaf_key.public_key(),
                self._now + timedelta(seconds=leaf.starts_s),
                self._now + timedelta(seconds=leaf.ends_s),
            )
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in leaf.names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(key_usage("digital_signature"), critical=True)
            .add_extension(_issued_by(ca.intermediate_key), critical=False)
            .sign(ca.intermediate_key, hashes.SHA256())
        )
        if leaf.flaw == "tampered":
            certificate = _tampered(certificate)
        middle = ca.no_ca if leaf.flaw == "issuer-is-no-ca" else ca.intermediate
        return (certificate, middle) if leaf.with_intermediate else (certificate,)

    @cached_property
    def _leaf_key(self) -> ec.EllipticCurvePrivateKey:
        return ec.generate_private_key(ec.SECP256R1())

    def write(self, leaf: Leaf, path: Path) -> None:
        """The key, and the chain that a server presents for ``leaf``, in one PEM file."""
        path.write_bytes(key_pem(self._leaf_key) + b"".join(pem(entry) for entry in self.issue(leaf)))

    def _new_context(self, leaf: Leaf, handshake: Handshake) -> ssl.SSLContext:
        path = self._folder / f"server-{len(self._contexts)}.pem"
        self.write(leaf, path)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        context.num_tickets = 0  # a ticket after the handshake would race with the client's close
        if handshake.newest == "TLSv1":
            _age(context)
        elif handshake.newest == "TLSv1.2":
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        if handshake.client_certificate:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(cadata=pem(self.root("private")).decode())
        return context


def _age(context: ssl.SSLContext) -> None:
    """TLS 1.0 only. OpenSSL 3 signs its key exchange with SHA-1 at security level 0 alone (SSL_CTX_set_security_level).

    Python deprecates the version, which is the point of the scene.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _ca_certificate(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None,
    now: datetime,
    *,
    ca: bool = True,
) -> x509.Certificate:
    """A root when ``issuer`` is None. Ten years, so that a scene's wrong clock never leaves them."""
    issuer_name, signer = (issuer[0].subject, issuer[1]) if issuer else (subject, key)
    span = timedelta(days=3650)
    return (
        _builder(subject, issuer_name, key.public_key(), now - span, now + span)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=0 if issuer and ca else None), critical=True)
        .add_extension(ca_usage(), critical=True)
        .add_extension(_issued_by(signer), critical=False)
        .sign(signer, hashes.SHA256())
    )


def _tampered(certificate: x509.Certificate) -> x509.Certificate:
    """The certificate with one bit of its serial number turned over, so that the signature does not fit any more."""
    der = bytearray(certificate.public_bytes(serialization.Encoding.DER))
    serial = certificate.serial_number.to_bytes((certificate.serial_number.bit_length() + 7) // 8, "big")
    der[der.index(serial) + len(serial) - 1] ^= 1
    return x509.load_der_x509_certificate(bytes(der))


def _issued_by(key: ec.EllipticCurvePrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
