"""What RFC 5280 §6 and today's minimum strengths ask of each element of one path. Pure; all faults, not the first.

The order of the faults is the order of the functions below, leaf before issuers. Not done here: policies, revocation,
and name constraints on forms other than DNS names, addresses and directory names.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Iterator, Sequence

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from netdiag.model import ChainFault, FaultKind
from netdiag.pki.facts import Facts

#: Below this, public authorities may not issue (CA/Browser Forum BR §6.1.5), and OpenSSL's level 2 refuses.
MIN_RSA_BITS = 2048
#: P-224 is as strong as RSA 2048 (NIST SP 800-57 part 1, table 2).
MIN_EC_BITS = 224
WEAK_HASHES = frozenset({"md2", "md4", "md5", "sha1"})
#: dotted OIDs of signatures whose hash cryptography does not name: md2WithRSA, md4WithRSA.
_WEAK_OIDS = frozenset({"1.2.840.113549.1.1.2", "1.2.840.113549.1.1.3"})
#: Subtrees compared with names for one element; a product above this is an attack, as Go's crypto/x509 says.
MAX_CONSTRAINT_COMPARISONS = 250_000

_SERVER_PURPOSES = frozenset({ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE})


def element_faults(elements: Sequence[Facts], at: float, *, anchored: bool) -> list[ChainFault]:
    """Every fault of the elements, leaf first. ``anchored``: the last one is a trust anchor."""
    last = len(elements) - 1
    found: list[ChainFault] = []
    for index, element in enumerate(elements):
        anchor = anchored and index == last
        found += _readable(element, index)
        found += _time(element, index, at)
        found += _strength(element, index)
        found += _purpose(element, index)
        if index:
            found += _authority(element, index, anchor=anchor)
            found += _path_length(elements, index)
            found += _constraints(elements, index)
        else:
            found += _leaf_usage(element)
    return found


def fault(kind: FaultKind, index: int, element: Facts, detail: str, status_flag: str = "") -> ChainFault:
    """A fault of one element."""
    return ChainFault(kind=kind, element=index, subject=element.summary.subject, detail=detail, status_flag=status_flag)


def utc(seconds: float) -> str:
    """A moment for a reader: "2026-11-23 15:09 UTC"; certificates reach the year 9999 (RFC 5280 §4.1.2.5)."""
    try:
        return f"{datetime.datetime.fromtimestamp(seconds, datetime.UTC):%Y-%m-%d %H:%M} UTC"
    except (OverflowError, ValueError, OSError):
        return f"{seconds:.0f} s after 1970"


def _readable(element: Facts, index: int) -> Iterator[ChainFault]:
    if element.extension_error:
        yield fault(
            "malformed", index, element, f"its extensions cannot be read: {element.extension_error}", "InvalidExtension"
        )
    if element.key is None:
        yield fault("malformed", index, element, "its public key is of no known kind", "NotSignatureValid")
    # RFC 5280 §4.2: "A certificate-using system MUST reject the certificate if it encounters a critical extension it
    # does not recognize".
    for oid in element.unknown_critical:
        yield fault(
            "malformed",
            index,
            element,
            f"its critical extension {oid} is unknown",
            "HasNotSupportedCriticalExtension",
        )


def _time(element: Facts, index: int, at: float) -> Iterator[ChainFault]:
    summary = element.summary
    if at > summary.not_after:
        yield fault("expired", index, element, f"valid until {utc(summary.not_after)}", "NotTimeValid")
    elif at < summary.not_before:
        yield fault("not-yet-valid", index, element, f"valid from {utc(summary.not_before)}", "NotTimeValid")


def _strength(element: Facts, index: int) -> Iterator[ChainFault]:
    key = element.key
    too_small = (
        (isinstance(key, rsa.RSAPublicKey) and key.key_size < MIN_RSA_BITS)
        or (isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < MIN_EC_BITS)
        or isinstance(key, dsa.DSAPublicKey)
    )
    if too_small:
        yield fault("weak-key", index, element, f"its key is {element.summary.key}", "HasWeakSignature")
    oid = element.certificate.signature_algorithm_oid.dotted_string
    # Nobody relies on the signature of a self-signed certificate: it is trusted, or not, as it stands.
    if not element.self_signed and (element.signature_hash in WEAK_HASHES or oid in _WEAK_OIDS):
        yield fault(
            "weak-signature",
            index,
            element,
            f"it is signed with {element.summary.signature_algorithm}",
            "HasWeakSignature",
        )


def _purpose(element: Facts, index: int) -> Iterator[ChainFault]:
    """An authority with an extended key usage is limited to it; Windows, OpenSSL and browsers all say so."""
    usage = element.extension(x509.ExtendedKeyUsage)
    if usage is not None and not _SERVER_PURPOSES & set(usage):
        purposes = ", ".join(_purpose_name(oid) for oid in list(usage)[:8])
        yield fault("purpose-mismatch", index, element, f"it is for {purposes}, not for serverAuth", "NotValidForUsage")


def _purpose_name(oid: x509.ObjectIdentifier) -> str:
    return oid.dotted_string if oid._name == "Unknown OID" else oid._name


def _leaf_usage(leaf: Facts) -> Iterator[ChainFault]:
    usage = leaf.extension(x509.KeyUsage)
    if usage and not (usage.digital_signature or usage.key_encipherment or usage.key_agreement):
        yield fault("key-usage", 0, leaf, "its key usage allows neither signing nor key exchange", "NotValidForUsage")


def _authority(element: Facts, index: int, *, anchor: bool) -> Iterator[ChainFault]:
    """RFC 5280 §6.1.4 (k) and (n). A version 1 root has no extensions, and is an anchor all the same."""
    if anchor and element.certificate.version is x509.Version.v1:
        return
    if element.extension_error:
        return  # said already
    basic = element.extension(x509.BasicConstraints)
    if basic is None or not basic.ca:
        why = "it has no basic constraints" if basic is None else "its basic constraints say that it is no CA"
        yield fault("not-a-ca", index, element, why, "InvalidBasicConstraints")
    usage = element.extension(x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        yield fault("key-usage", index, element, "its key usage does not allow keyCertSign", "NotValidForUsage")


def _path_length(elements: Sequence[Facts], index: int) -> Iterator[ChainFault]:
    """RFC 5280 §4.2.1.9: how many intermediates that are not self-issued may follow."""
    basic = elements[index].extension(x509.BasicConstraints)
    below = sum(1 for element in elements[1:index] if not element.self_issued)
    if basic is not None and basic.path_length is not None and below > basic.path_length:
        yield fault(
            "path-length-exceeded",
            index,
            elements[index],
            f"it allows {basic.path_length} authorities below it, and {below} follow",
            "InvalidBasicConstraints",
        )


def _constraints(elements: Sequence[Facts], index: int) -> Iterator[ChainFault]:
    """RFC 5280 §6.1.3 (b) and (c): names of everything below, except self-issued intermediates."""
    constraints = elements[index].extension(x509.NameConstraints)
    if constraints is None:
        return
    permitted = list(constraints.permitted_subtrees or ())
    excluded = list(constraints.excluded_subtrees or ())
    for below, element in enumerate(elements[:index]):
        if below and element.self_issued:
            continue
        names = _names(element)
        if len(names) * (len(permitted) + len(excluded)) > MAX_CONSTRAINT_COMPARISONS:
            yield fault(
                "name-constraint", index, elements[index], "too many names to compare", "InvalidNameConstraints"
            )
            return
        for name in names:
            if any(_within(name, subtree) for subtree in excluded):
                yield _constrained(elements, below, index, name, "HasExcludedNameConstraint", "excludes")
                break
            same_form = [subtree for subtree in permitted if type(subtree) is type(name)]
            if same_form and not any(_within(name, subtree) for subtree in same_form):
                yield _constrained(elements, below, index, name, "HasNotPermittedNameConstraint", "does not permit")
                break


def _constrained(
    elements: Sequence[Facts], below: int, index: int, name: x509.GeneralName, status_flag: str, verb: str
) -> ChainFault:
    text = name.value.rfc4514_string() if isinstance(name, x509.DirectoryName) else str(name.value)
    detail = f"the authority {elements[index].summary.subject} {verb} the name {text[:200]}"
    return fault("name-constraint", below, elements[below], detail, status_flag)


def _names(element: Facts) -> list[x509.GeneralName]:
    alternative = element.extension(x509.SubjectAlternativeName)
    names: list[x509.GeneralName] = list(alternative or ())
    subject = element.certificate.subject
    return [*names, x509.DirectoryName(subject)] if subject.rdns else names


def _within(name: x509.GeneralName, subtree: x509.GeneralName) -> bool:
    """Whether a name lies in a subtree of its own form (RFC 5280 §4.2.1.10)."""
    if isinstance(name, x509.DNSName) and isinstance(subtree, x509.DNSName):
        base = subtree.value.lower().removeprefix(".")
        value = name.value.lower()
        return not base or value == base or value.endswith(f".{base}")
    if isinstance(name, x509.IPAddress) and isinstance(subtree, x509.IPAddress):
        address, network = name.value, subtree.value
        if isinstance(address, ipaddress.IPv4Address) and isinstance(network, ipaddress.IPv4Network):
            return address in network
        if isinstance(address, ipaddress.IPv6Address) and isinstance(network, ipaddress.IPv6Network):
            return address in network
        return False
    if isinstance(name, x509.DirectoryName) and isinstance(subtree, x509.DirectoryName):
        return name.value.rdns[: len(subtree.value.rdns)] == subtree.value.rdns
    return False
