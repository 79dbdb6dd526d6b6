"""Whether the names in the certificates of one path are names, and whether the authorities above allow them.

Contract: as checks.py, which asks these. Whether the leaf is for a host is the business of names.py.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from cryptography import x509

from netdiag.model import ChainFault
from netdiag.pki.constraints import violations
from netdiag.pki.context import Context
from netdiag.pki.names import written_otherwise
from netdiag.pki.profiles import LINT, RFC5280, WEBPKI


def alternative_names(context: Context) -> Iterator[ChainFault]:
    """RFC 5280 §4.2.1.6, BR §7.1.2.7.12 and §7.1.4.3."""
    leaf = context.elements[0]
    present, critical = leaf.has(x509.SubjectAlternativeName), leaf.critical(x509.SubjectAlternativeName)
    if not leaf.subject and not critical:
        detail = "it has no subject, so its alternative names have to be critical (RFC 5280 §4.2.1.6)"
        yield context.fault("malformed", 0, detail, "InvalidExtension", LINT)
    if leaf.subject and critical:
        detail = "its alternative names are critical although it has a subject (BR §7.1.2.7.12)"
        yield context.fault("malformed", 0, detail, "InvalidExtension", WEBPKI)
    if not present and context.purpose == "server":
        yield context.fault("malformed", 0, "it has no alternative names (BR §7.1.2.7.12)", "InvalidExtension", WEBPKI)
    for index, element in enumerate(context.elements):
        if context.is_anchor(index) and index:
            break
        for name in element.alternative_names:
            problem = _malformed_name(name)
            if problem:
                detail = f"its alternative name {str(name.value)[:100]!r} {problem} (RFC 5280 §4.2.1.6)"
                yield context.fault("malformed", index, detail, "InvalidExtension", LINT)
                break
    for title in leaf.common_names[:1] if present else ():
        problem = written_otherwise(title, leaf.dns_names, leaf.addresses)
        if problem:
            detail = f"its common name {title} {problem} (BR §7.1.4.3)"
            yield context.fault("malformed", 0, detail, "InvalidExtension", WEBPKI)


def _malformed_name(name: x509.GeneralName) -> str:
    match name:
        case x509.DNSName():
            return malformed_dns_name(name.value.removeprefix("*."))
        case x509.RFC822Name() if name.value.count("@") != 1 or not name.value.isascii():
            return "is no e-mail address"
        case _:
            return ""


def malformed_dns_name(name: str) -> str:
    """Why this is no name of the preferred syntax (RFC 1034 §3.5); empty when it is."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        pass
    else:
        return "is an address, written as a DNS name"
    labels = name.split(".")
    if any(not label for label in labels):
        return "has an empty label"
    if not name.isascii() or not all(label.replace("-", "").isalnum() for label in labels):
        return "holds a character that a host name cannot have"
    return ""


def constraints(context: Context, index: int) -> Iterator[ChainFault]:
    """RFC 5280 §4.2.1.10 and §6.1.3 (b) and (c)."""
    element = context.elements[index]
    if not element.has(x509.NameConstraints):
        return
    constraints = element.extension(x509.NameConstraints)
    if not index and not element.is_ca:
        detail = "it has name constraints, and is no authority (RFC 5280 §4.2.1.10)"
        yield context.fault("name-constraint", 0, detail, "InvalidNameConstraints", LINT)
    if not element.critical(x509.NameConstraints):
        detail = "its name constraints are not critical (RFC 5280 §4.2.1.10)"
        yield context.fault("name-constraint", index, detail, "InvalidNameConstraints", RFC5280)
    for base in (
        (*(constraints.permitted_subtrees or ()), *(constraints.excluded_subtrees or ())) if constraints else ()
    ):
        if problem := _malformed_base(base):
            detail = f"its name constraint {str(base.value)[:100]!r} {problem} (RFC 5280 §4.2.1.10)"
            yield context.fault("name-constraint", index, detail, "InvalidNameConstraints", LINT)
            break
    for violation in violations(context.elements, index):
        yield context.fault("name-constraint", violation.below, violation.detail, violation.flag)


def _malformed_base(base: x509.GeneralName) -> str:
    match base:
        case x509.DNSName() if base.value:
            return malformed_dns_name(base.value)
        case x509.RFC822Name() if base.value.count("@") > 1:
            return "is no e-mail address, host or domain"
        case _:
            return ""
