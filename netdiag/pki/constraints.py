"""Name constraints (RFC 5280 §4.2.1.10): whether names lie in the subtrees that an authority may issue for.

Contract: pure. Forms that this engine does not compare (otherName, registeredID, x400Address, ediPartyName) are
reported where a constraint of that form meets a name of that form; nothing is silently passed over.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from cryptography import x509

from netdiag.pki.distinguished import name_key
from netdiag.pki.facts import Facts
from netdiag.pki.summary import written

#: Subtrees compared with names for one element; a product above this is an attack, as Go's crypto/x509 says.
MAX_COMPARISONS = 250_000
_COMPARED = (x509.DNSName, x509.IPAddress, x509.DirectoryName, x509.RFC822Name, x509.UniformResourceIdentifier)


@dataclass(frozen=True)
class Violation:
    """A name of the element ``below`` that an authority above it does not allow. ``flag`` is .NET's name."""

    below: int
    flag: str
    detail: str


def violations(elements: Sequence[Facts], index: int) -> Iterator[Violation]:
    """Names below ``elements[index]`` that its name constraints do not allow; leaf first, at most one an element.

    Self-issued intermediates are exempt (§6.1.3 (b)); the leaf never is.
    """
    constraints = elements[index].extension(x509.NameConstraints)
    if constraints is None:
        return
    permitted, excluded = list(constraints.permitted_subtrees or ()), list(constraints.excluded_subtrees or ())
    who = elements[index].summary.subject
    for below, element in enumerate(elements[:index]):
        if below and element.self_issued:
            continue
        names = constrained_names(element)
        if len(names) * (len(permitted) + len(excluded)) > MAX_COMPARISONS:
            yield Violation(index, "InvalidNameConstraints", "too many names to compare")
            return
        for name in names:
            found = _violation(name, permitted, excluded)
            if found:
                flag, verb = found
                yield Violation(below, flag, f"the authority {who} {verb} the name {written(name)[:200]}")
                break


def constrained_names(element: Facts) -> list[x509.GeneralName]:
    """The names of a certificate that constraints reach: its subject, its alternative names, and old e-mail attributes.

    §4.2.1.10: a constraint on e-mail addresses applies to the subject's emailAddress attributes when the subject
    alternative name holds no such address.
    """
    names = list(element.alternative_names)
    if not any(isinstance(name, x509.RFC822Name) for name in names):
        names += _mailboxes(element.emails)
    if element.subject and element.subject_name is not None:
        names.append(x509.DirectoryName(element.subject_name))
    return names


def _mailboxes(addresses: Sequence[str]) -> Iterator[x509.RFC822Name]:
    for address in addresses:
        with contextlib.suppress(ValueError):  # not an address, and so not constrained as one
            yield x509.RFC822Name(address)


def _violation(
    name: x509.GeneralName, permitted: Sequence[x509.GeneralName], excluded: Sequence[x509.GeneralName]
) -> tuple[str, str] | None:
    """The flag, and a verb that says what the authority does with the name."""
    same_form = [subtree for subtree in permitted if type(subtree) is type(name)]
    forbidden = [subtree for subtree in excluded if type(subtree) is type(name)]
    if not isinstance(name, _COMPARED):
        if same_form or forbidden:
            return "HasNotSupportedNameConstraint", "constrains a form that is not compared, and so perhaps"
        return None
    if any(within(name, subtree, excluding=True) for subtree in forbidden):
        return "HasExcludedNameConstraint", "excludes"
    if same_form and not any(within(name, subtree) for subtree in same_form):
        return "HasNotPermittedNameConstraint", "does not permit"
    return None


def within(name: x509.GeneralName, subtree: x509.GeneralName, *, excluding: bool = False) -> bool:
    """Whether a name lies in a subtree of its own form. A name that cannot be read counts as what is worse."""
    match name, subtree:
        case x509.DNSName(), x509.DNSName():
            return _dns_within(name.value, subtree.value, excluding=excluding)
        case x509.IPAddress(), x509.IPAddress():
            return _address_within(name.value, subtree.value)
        case x509.DirectoryName(), x509.DirectoryName():
            base = name_key(subtree.value)
            return name_key(name.value)[: len(base)] == base
        case x509.RFC822Name(), x509.RFC822Name():
            return _mailbox_within(name.value, subtree.value, excluding=excluding)
        case x509.UniformResourceIdentifier(), x509.UniformResourceIdentifier():
            return _uri_within(name.value, subtree.value, excluding=excluding)
        case _:
            return False


def _dns_within(name: str, base: str, *, excluding: bool) -> bool:
    """Below a name is what ends in it, label by label, and itself; everything is below the empty name.

    A wildcard stands for every name that it may become: one of them within an excluded subtree is enough.
    """
    value, wanted = name.lower().removesuffix("."), base.lower().removesuffix(".")
    if not wanted:
        return True
    if wanted.startswith("."):  # not a name of RFC 5280; OpenSSL, NSS and Go read it as "below"
        return value.endswith(wanted)
    if value == wanted or value.endswith(f".{wanted}"):
        return True
    return excluding and value.startswith("*.") and wanted.partition(".")[2] == value[2:]


def _address_within(address: object, network: object) -> bool:
    match address, network:
        case ipaddress.IPv4Address(), ipaddress.IPv4Network():
            return address in network
        case ipaddress.IPv6Address(), ipaddress.IPv6Network():
            return address in network
        case _:
            return False


def _mailbox_within(mailbox: str, base: str, *, excluding: bool) -> bool:
    """A base is a mailbox, a host, or with a leading dot every host below a domain."""
    local, at, host = mailbox.rpartition("@")
    if not at or not local:
        return excluding
    base_local, base_at, base_host = base.rpartition("@")
    if base_at:
        return local == base_local and host.lower() == base_host.lower()
    return _host_within(host, base)


def _uri_within(uri: str, base: str, *, excluding: bool) -> bool:
    """The host of a URI; one without a host, or with an address for it, lies in no permitted subtree."""
    try:
        host = urlsplit(uri).hostname or ""
    except ValueError:
        host = ""
    if not host or re.fullmatch(r"[0-9.]+|.*:.*", host):
        return excluding
    return _host_within(host, base)


def _host_within(host: str, base: str) -> bool:
    host, base = host.lower(), base.lower()
    return host.endswith(base) if base.startswith(".") else not base or host == base
