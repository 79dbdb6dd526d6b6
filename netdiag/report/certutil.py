"""A chain in the words of ``certutil -verify -urlfetch``, in its order, for those who know them by heart.

Contract: as certificate.py. Names of bits are those of wincrypt.h, results and their texts those of winerror.h; the
shape is that of outputs that administrators have published (learn.microsoft.com/answers/questions/1003508). Only what
is an error counts: certutil knows no warnings.
"""

from __future__ import annotations

from collections.abc import Iterable

from netdiag.model import ChainFault, ChainObservation, Severity
from netdiag.report import certificate_facts as told
from netdiag.report.page import Page

#: CERT_TRUST_* error bits (learn.microsoft.com/windows/win32/api/wincrypt/ns-wincrypt-cert_trust_status).
_BITS = {
    0x1: "IS_NOT_TIME_VALID",
    0x4: "IS_REVOKED",
    0x8: "IS_NOT_SIGNATURE_VALID",
    0x10: "IS_NOT_VALID_FOR_USAGE",
    0x20: "IS_UNTRUSTED_ROOT",
    0x40: "REVOCATION_STATUS_UNKNOWN",
    0x80: "IS_CYCLIC",
    0x100: "INVALID_EXTENSION",
    0x200: "INVALID_POLICY_CONSTRAINTS",
    0x400: "INVALID_BASIC_CONSTRAINTS",
    0x800: "INVALID_NAME_CONSTRAINTS",
    0x1000: "HAS_NOT_SUPPORTED_NAME_CONSTRAINT",
    0x2000: "HAS_NOT_DEFINED_NAME_CONSTRAINT",
    0x4000: "HAS_NOT_PERMITTED_NAME_CONSTRAINT",
    0x8000: "HAS_EXCLUDED_NAME_CONSTRAINT",
    0x10000: "IS_PARTIAL_CHAIN",
    0x100000: "HAS_WEAK_SIGNATURE",
    0x1000000: "IS_OFFLINE_REVOCATION",
    0x2000000: "NO_ISSUANCE_CHAIN_POLICY",
    0x4000000: "IS_EXPLICIT_DISTRUST",
    0x8000000: "HAS_NOT_SUPPORTED_CRITICAL_EXT",
}
_REVOKED, _UNTRUSTED_ROOT, _UNKNOWN, _PARTIAL, _OFFLINE = 0x4, 0x20, 0x40, 0x10000, 0x1000000

#: Results that a fault leads to: name and text, in the order in which one is reported before others: what breaks the
#: chain, then what is wrong with an element, then what is not known of its revocation.
_RESULTS = {
    0x80096004: ("TRUST_E_CERT_SIGNATURE", "The signature of the certificate cannot be verified."),
    0x800B0109: (
        "CERT_E_UNTRUSTEDROOT",
        (
            "A certificate chain processed, but terminated in a root certificate which is not trusted by the trust "
            "provider."
        ),
    ),
    0x800B010A: ("CERT_E_CHAINING", "A certificate chain could not be built to a trusted root authority."),
    0x80092010: ("CRYPT_E_REVOKED", "The certificate is revoked."),
    0x800B0101: (
        "CERT_E_EXPIRED",
        (
            "A required certificate is not within its validity period when verifying against the current system clock "
            "or the timestamp in the signed file."
        ),
    ),
    0x800B0110: ("CERT_E_WRONG_USAGE", "The certificate is not valid for the requested usage."),
    0x80096019: ("TRUST_E_BASIC_CONSTRAINTS", "A certificate's basic constraint extension has not been observed."),
    0x800B0105: ("CERT_E_CRITICAL", "A certificate contains an unknown extension that is marked 'critical'."),
    0x800B0113: ("CERT_E_INVALID_POLICY", "The certificate has invalid policy."),
    0x800B0114: (
        "CERT_E_INVALID_NAME",
        (
            "The certificate has an invalid name. The name is not included in the permitted list or is explicitly "
            "excluded."
        ),
    ),
    0x800B0108: (
        "CERT_E_MALFORMED",
        "A certificate is missing or has an empty value for an important field, such as a subject or issuer name.",
    ),
    0x800B010F: ("CERT_E_CN_NO_MATCH", "The certificate's CN name does not match the passed value."),
    0x80092012: (
        "CRYPT_E_NO_REVOCATION_CHECK",
        "The revocation function was unable to check revocation for the certificate.",
    ),
    0x80092013: (
        "CRYPT_E_REVOCATION_OFFLINE",
        "The revocation function was unable to check revocation because the revocation server was offline.",
    ),
}
_RANK = {number: n for n, number in enumerate(_RESULTS)}

#: CRLReason of RFC 5280 §5.3.1, by the names there.
_REASONS = {
    "keyCompromise": 1,
    "cACompromise": 2,
    "affiliationChanged": 3,
    "superseded": 4,
    "cessationOfOperation": 5,
    "certificateHold": 6,
    "removeFromCRL": 8,
    "privilegeWithdrawn": 9,
    "aACompromise": 10,
}
_RULE = "-" * 36

TITLE = "In certutil's words"


def summary(page: Page, chain: ChainObservation, number: str) -> None:
    """``number`` tells the chain from others, in the heading."""
    if not chain.elements:
        return
    page.heading(f"{TITLE}{number}")
    if said := caveat(chain):
        page.paragraph((said, "dim"), first="  ")
    for line in lines(chain):
        page.paragraph(line, first="  ", rest="    ")


def caveat(chain: ChainObservation) -> str:
    """Why certutil would say something else; empty where it would not."""
    if chain.profile == "windows":
        return ""
    return f"certutil knows the rules of Windows only; these errors are by those of {chain.profile}."


def lines(chain: ChainObservation) -> list[str]:
    """The status of the chain and of its elements, then the conclusion; a chain without elements has neither."""
    if not chain.elements:
        return []
    errors = [fault for fault in chain.faults if fault.severity is Severity.ERROR]
    return [*_status(chain, errors), *_conclusion(chain, errors)]


def _bits(faults: Iterable[ChainFault]) -> int:
    """The error status that these faults amount to; what is offline is unknown too (dwErrorStatus=1000040)."""
    status = 0
    for fault in faults:
        status |= fault.status
    return status | (_UNKNOWN if status & _OFFLINE else 0)


def _named(status: int) -> list[str]:
    names = [f"CERT_TRUST_{name} (0x{bit:x})" for bit, name in _BITS.items() if status & bit]
    return names or ["CERT_TRUST_NO_ERROR (0x0)"]


def _status(chain: ChainObservation, errors: list[ChainFault]) -> list[str]:
    """The bits of the whole chain by name, and of each element as a number."""
    lines = [f"ChainContext.dwErrorStatus = {name}" for name in _named(_bits(errors))]
    for index, element in enumerate(chain.elements):
        status = _bits(fault for fault in errors if fault.element == index)
        lines.append(f"CertContext[0][{index}]: dwErrorStatus={status:x}  {told.short_name(element)}")
        lines += [f"  Element.dwErrorStatus = {name}" for name in _named(status) if status]
    return lines


def _conclusion(chain: ChainObservation, errors: list[ChainFault]) -> list[str]:
    """What stands at the end of certutil's output."""
    lines: list[str] = []
    status = _bits(errors)
    known = sorted(filter(None, (_result(fault) for fault in errors)), key=lambda number: _RANK.get(number, len(_RANK)))
    if known:
        lines.append(_in_words(known[0]))
    lines.append(_RULE)
    if status & _PARTIAL:
        lines += ["Incomplete certificate chain", "Cannot find certificate:", f"    {chain.elements[-1].issuer}"]
    if status & _UNTRUSTED_ROOT:
        lines.append("Verifies against UNTRUSTED root")
    if status & _REVOKED:
        lines.append("Certificate is REVOKED")
    if status & _OFFLINE:
        lines.append("Revocation check skipped -- server offline")
    lines.append(f"Cert is {'a CA' if chain.elements[0].is_ca else 'an End Entity'} certificate")
    return [*lines, *_leaf(chain, errors)]


def _leaf(chain: ChainObservation, errors: list[ChainFault]) -> list[str]:
    """The last line: the revocation of the leaf."""
    found = next((entry for entry in chain.revocation if entry.element == 0), None)
    if found is None or found.state == "not-checked":
        return ["(the revocation of the leaf was not looked at)"]
    if found.state == "good":
        return ["Leaf certificate revocation check passed"]
    if found.state == "revoked":
        return [f"Leaf certificate is REVOKED (Reason={_REASONS.get(found.reason, 0)})"]
    results = [_result(f) for f in errors if not f.element and f.kind in ("revocation-offline", "revocation-unknown")]
    number = next(filter(None, results), 0x80092012)
    return [f"ERROR: Verifying leaf certificate revocation status returned {_in_words(number)}"]


def _result(fault: ChainFault) -> int:
    try:
        return int(fault.hresult, 16)
    except ValueError:
        return 0


def _in_words(number: int) -> str:
    """A result as certutil prints it: text, hexadecimal, signed decimal and name."""
    name, text = _RESULTS.get(number, ("", ""))
    signed = number - (1 << 32) if number >= 1 << 31 else number
    return f"{text} 0x{number:08x} ({f'{signed} {name}'.strip()})".lstrip()
