"""One certificate in words: its summary for reports, and the names of keys, usages and purposes.

Contract: pure; every text and list is bounded, since they come from hostile certificates.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import AuthorityInformationAccessOID

from netdiag.model import CertificateSummary

if TYPE_CHECKING:  # which asks here for its summary
    from netdiag.pki.facts import Facts

#: Names and texts kept for the report.
MAX_NAMES = 250
MAX_TEXT = 500
#: What cryptography's decoder says at the end of the data, and where the first thing is no such thing at all.
_SHORT = re.compile(r"ShortData \{ needed: (\d+) \}")
_OTHER = "error parsing asn1 value: ParseError { kind: UnexpectedTag"
#: URLs of one kind that one certificate may name; real ones have one to three.
MAX_URLS = 8
#: The attribute of cryptography's KeyUsage, and the name of the bit (RFC 5280 §4.2.1.3).
_KEY_USAGES = (
    ("digital_signature", "digitalSignature"),
    ("content_commitment", "nonRepudiation"),
    ("key_encipherment", "keyEncipherment"),
    ("data_encipherment", "dataEncipherment"),
    ("key_agreement", "keyAgreement"),
    ("key_cert_sign", "keyCertSign"),
    ("crl_sign", "cRLSign"),
)


def summarize(facts: Facts) -> CertificateSummary:
    """What a report shows of a certificate."""
    certificate = facts.certificate
    basic = facts.extension(x509.BasicConstraints)
    policies = facts.extension(x509.CertificatePolicies)
    names = [written(name) for name in facts.alternative_names[:MAX_NAMES]]
    return CertificateSummary(
        subject=_name_text(facts.subject_name),
        issuer=_name_text(facts.issuer_name),
        serial=f"{facts.serial:x}",
        not_before=facts.not_before,
        not_after=facts.not_after,
        sha256=facts.sha256,
        sha1=hashlib.sha1(facts.der).hexdigest(),  # noqa: S324 - a name that people search for, not a proof
        version=facts.version,
        key=key_text(facts.key),
        signature_algorithm=_algorithm_text(certificate),
        names=tuple(clipped(name) for name in names),
        is_ca=facts.is_ca,
        path_length=basic.path_length if basic else None,
        self_signed=facts.self_signed,
        key_usage=usages(facts.extension(x509.KeyUsage)),
        extended_key_usage=tuple(
            purpose_name(oid) for oid in list(facts.extension(x509.ExtendedKeyUsage) or ())[:MAX_NAMES]
        ),
        policies=tuple(entry.policy_identifier.dotted_string for entry in list(policies or ())[:MAX_NAMES]),
        subject_key_id=(facts.subject_key_id or b"").hex()[:MAX_TEXT],
        authority_key_id=(facts.authority_key_id or b"").hex()[:MAX_TEXT],
        aia=_access_urls(facts, AuthorityInformationAccessOID.CA_ISSUERS),
        ocsp=_access_urls(facts, AuthorityInformationAccessOID.OCSP),
        cdp=crl_urls(facts.extension(x509.CRLDistributionPoints)),
        freshest_crl=crl_urls(facts.extension(x509.FreshestCRL)),
    )


def clipped(text: str) -> str:
    """``text``, at most ``MAX_TEXT`` characters of it."""
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


def decoder_words(error: Exception) -> str:
    """What a decoder complains about, in words for people where it met the end too early or something else."""
    text = str(error)
    if short := _SHORT.search(text):
        return f"it is cut off, {short[1]} bytes or more are missing"
    if text.startswith(_OTHER):
        return "its structure is that of something else"
    return clipped(text)


def key_text(key: CertificatePublicKeyTypes | None) -> str:
    """The kind of key, a space and its size in bits: "RSA 2048", "EC 256"; others have one size only: "Ed25519"."""
    match key:
        case rsa.RSAPublicKey():
            return f"RSA {key.key_size}"
        case ec.EllipticCurvePublicKey():
            return f"EC {key.key_size}"
        case dsa.DSAPublicKey():
            return f"DSA {key.key_size}"
        case None:
            return ""
        case _:
            return type(key).__name__.removesuffix("PublicKey")


def purpose_name(oid: x509.ObjectIdentifier) -> str:
    """An extended key usage by its name where cryptography knows it, else dotted."""
    return oid.dotted_string if oid._name == "Unknown OID" else oid._name


def usages(usage: x509.KeyUsage | None) -> tuple[str, ...]:
    """The bits of a key usage by their names in RFC 5280."""
    if usage is None:
        return ()
    found = [name for attribute, name in _KEY_USAGES if getattr(usage, attribute)]
    if usage.key_agreement:
        found += [
            name for name, bit in (("encipherOnly", usage.encipher_only), ("decipherOnly", usage.decipher_only)) if bit
        ]
    return tuple(found)


def _name_text(name: x509.Name | None) -> str:
    return clipped(name.rfc4514_string()) if name is not None else "(a name that cannot be read)"


def written(name: x509.GeneralName) -> str:
    """A general name for a reader: names and addresses bare, others with their kind before them."""
    match name:
        case x509.DNSName() | x509.IPAddress():
            return str(name.value)
        case x509.DirectoryName():
            return f"directory name {name.value.rfc4514_string()}"
        case x509.RFC822Name():
            return f"e-mail {name.value}"
        case x509.UniformResourceIdentifier():
            return f"URI {name.value}"
        case x509.RegisteredID():
            return f"OID {name.value.dotted_string}"
        case x509.OtherName():
            return f"other name {name.type_id.dotted_string}"
        case _:
            return type(name).__name__


def _algorithm_text(certificate: x509.Certificate) -> str:
    oid = certificate.signature_algorithm_oid
    name: str = oid._name  # cryptography's only table of names
    return oid.dotted_string if name == "Unknown OID" else name


def _access_urls(facts: Facts, method: x509.ObjectIdentifier) -> tuple[str, ...]:
    access = facts.extension(x509.AuthorityInformationAccess)
    return _urls(entry.access_location for entry in access or () if entry.access_method == method)


def crl_urls(points: x509.CRLDistributionPoints | x509.FreshestCRL | None) -> tuple[str, ...]:
    """The URLs of distribution points, in order."""
    return _urls(name for point in points or () for name in point.full_name or ())


def _urls(names: Iterable[x509.GeneralName]) -> tuple[str, ...]:
    found = (clipped(name.value) for name in names if isinstance(name, x509.UniformResourceIdentifier))
    return tuple(itertools.islice(dict.fromkeys(found), MAX_URLS))
