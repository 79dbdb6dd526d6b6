"""What each element of one path may be used for: purposes, authorities, path lengths, the leaf (RFC 5280 §4.2.1).

Contract: as checks.py, which asks these.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from netdiag.model import ChainFault, ChainPurpose
from netdiag.pki.context import Context
from netdiag.pki.facts import Facts
from netdiag.pki.profiles import ALL, LINT, RFC5280, WEBPKI
from netdiag.pki.summary import key_text, purpose_name, usages

_PURPOSES: dict[ChainPurpose, tuple[x509.ObjectIdentifier, str]] = {
    "server": (ExtendedKeyUsageOID.SERVER_AUTH, "serverAuth"),
    "client": (ExtendedKeyUsageOID.CLIENT_AUTH, "clientAuth"),
}
#: What a public server certificate may not be for besides (BR §7.1.2.7.10).
_NOT_BESIDE_SERVER = (
    ExtendedKeyUsageOID.CODE_SIGNING,
    ExtendedKeyUsageOID.EMAIL_PROTECTION,
    ExtendedKeyUsageOID.TIME_STAMPING,
    ExtendedKeyUsageOID.OCSP_SIGNING,
    x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.4"),  # precertificate signing (RFC 6962 §3.1)
)


def purpose(context: Context, index: int) -> Iterator[ChainFault]:
    """An authority with an extended key usage is limited to it; Windows, OpenSSL and browsers all say so."""
    element, wanted = context.elements[index], _PURPOSES.get(context.purpose)
    usage = list(element.extension(x509.ExtendedKeyUsage) or ())
    every = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE in usage
    if wanted and usage and not every and wanted[0] not in usage:
        purposes = ", ".join(purpose_name(oid) for oid in usage[:8])
        yield context.fault("purpose-mismatch", index, f"it is for {purposes}, not for {wanted[1]}", "NotValidForUsage")
    if context.is_anchor(index) and index and usage:
        yield context.fault(
            "purpose-mismatch", index, "a root with an extended key usage (BR §7.1.2.1.2)", "NotValidForUsage", WEBPKI
        )
    if index or context.purpose != "server":
        return
    beside = [purpose_name(oid) for oid in _NOT_BESIDE_SERVER if oid in usage]
    for problem, found in (
        ("it has no extended key usage", not usage and not element.has(x509.ExtendedKeyUsage)),
        ("it is for any purpose (anyExtendedKeyUsage)", every),
        ("its extended key usage is critical", element.critical(x509.ExtendedKeyUsage)),
        (f"it is for {', '.join(beside)} besides", bool(beside)),
    ):
        if found:
            yield context.fault("purpose-mismatch", 0, f"{problem} (BR §7.1.2.7)", "NotValidForUsage", WEBPKI)


def authority(context: Context, index: int) -> Iterator[ChainFault]:
    """RFC 5280 §6.1.4 (k) and (n). A version 1 root has no extensions, and is an anchor all the same."""
    element, anchor = context.elements[index], context.is_anchor(index)
    if anchor and element.version < 3:
        return
    basic = element.extension(x509.BasicConstraints)
    if basic is None and element.has(x509.BasicConstraints):
        pass  # said already: they cannot be read
    elif basic is None or not basic.ca:
        why = "it has no basic constraints" if basic is None else "its basic constraints say that it is no CA"
        yield context.fault("not-a-ca", index, why, "InvalidBasicConstraints")
    elif not element.critical(x509.BasicConstraints):  # NIST's PKITS 4.6.4 accepts such an intermediate
        detail = "its basic constraints are not critical (RFC 5280 §4.2.1.9)"
        yield context.fault("malformed", index, detail, "InvalidExtension", LINT if anchor else WEBPKI)
    usage = element.extension(x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        yield context.fault("key-usage", index, "its key usage does not allow keyCertSign", "NotValidForUsage")


def path_length(context: Context, index: int) -> Iterator[ChainFault]:
    """RFC 5280 §4.2.1.9: how many intermediates that are not self-issued may follow."""
    basic = context.elements[index].extension(x509.BasicConstraints)
    below = intermediates(context.elements[:index])
    if basic is not None and basic.path_length is not None and below > basic.path_length:
        detail = f"it allows {basic.path_length} authorities below it, and {below} follow"
        yield context.fault("path-length-exceeded", index, detail, "InvalidBasicConstraints")


def intermediates(elements: Sequence[Facts]) -> int:
    """How many of them are intermediates and not self-issued; the first is the leaf."""
    return sum(1 for element in elements[1:] if not element.self_issued)


def leaf(context: Context) -> Iterator[ChainFault]:
    """What the first certificate must not be."""
    first = context.elements[0]
    usage = first.extension(x509.KeyUsage)
    if first.is_ca:
        yield context.fault("purpose-mismatch", 0, "it is an authority's (BR §7.1.2.7.8)", "NotValidForUsage", WEBPKI)
    elif usage is not None and usage.key_cert_sign:
        detail = "its key usage allows keyCertSign, and it is no authority (RFC 5280 §4.2.1.9)"
        yield context.fault("key-usage", 0, detail, "NotValidForUsage", LINT)
    encrypts = usage is not None and (usage.key_encipherment or usage.data_encipherment or usage.key_agreement)
    if encrypts and key_text(first.key).startswith("MLDSA"):
        detail = "its key usage is encryption, which an ML-DSA key cannot do (RFC 9881 §5)"
        yield context.fault("key-usage", 0, detail, "NotValidForUsage", LINT)


def leaf_usage(context: Context) -> Iterator[ChainFault]:
    """What the first certificate must be able to do."""
    usage = context.elements[0].extension(x509.KeyUsage)
    if (
        context.purpose != "any"
        and usage
        and not (usage.digital_signature or usage.key_encipherment or usage.key_agreement)
    ):
        # RFC 5280 §4.2.1.3: "at least one of the bits MUST be set to 1"; which ones, it leaves to applications.
        detail, who = "its key usage allows neither signing nor key exchange", ALL - RFC5280 if usages(usage) else ALL
        yield context.fault("key-usage", 0, detail, "NotValidForUsage", who)
