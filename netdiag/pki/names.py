"""Is this certificate for that host? RFC 9525, the successor of RFC 6125.

Contract: pure. Names are compared as ASCII (A-labels); nothing is looked up.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Callable, Sequence
from typing import Any

#: Names quoted in a message; a certificate of a content network holds hundreds.
_QUOTED = 8


def host_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that ``host`` is, without brackets and zone; None for a name."""
    try:
        return ipaddress.ip_address(host.strip("[]").split("%", 1)[0])
    except ValueError:
        return None


def ascii_host(host: str) -> str:
    """A host name as certificates hold it: internationalised labels as A-labels (RFC 5891 §4), else unchanged."""
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return host


def dns_name_matches(pattern: str, host: str, *, public: bool = False) -> bool:
    """Whether a dNSName covers a host name (RFC 9525 §6.3): label by label, without regard to case.

    A wildcard must be the whole left-most label, stands for exactly one label, and must be followed by two labels or
    more: "*.com" is refused by OpenSSL, Windows and browsers alike, although the RFC leaves it to them. With ``public``
    it must not stand for all that others may register below a public suffix (BR §3.2.2.6).
    """
    wanted = host.removesuffix(".").lower().split(".")
    given = pattern.lower().split(".")
    if not (pattern.isascii() and host.isascii()) or "" in wanted or "" in given:
        return False
    if given[0] == "*" and len(given) > 2:
        matches = len(given) == len(wanted) and given[1:] == wanted[1:]
        return matches and not (public and is_public_suffix(".".join(given[1:])))
    return "*" not in pattern and given == wanted


@functools.lru_cache(maxsize=1)
def _suffixes() -> Callable[[str], bool]:
    """Mozilla's list, its private section included, as publicsuffixlist carries it. Reading it takes 30 ms."""
    from publicsuffixlist import PublicSuffixList

    known: Any = PublicSuffixList(accept_unknown=False)
    return lambda name: bool(known.is_public(name))


@functools.lru_cache(maxsize=1024)
def is_public_suffix(name: str) -> bool:
    """Whether others may register names directly below this one ("co.uk", "s3.amazonaws.com")."""
    return _suffixes()(name)


def name_problem(
    host: str,
    dns_names: Sequence[str],
    addresses: Sequence[str],
    common_names: Sequence[str],
    mailboxes: Sequence[str] = (),
    *,
    public: bool = False,
) -> str:
    """Why a certificate with these names is not for ``host``; empty when it is.

    ``addresses`` are the iPAddress entries in text form. ``host`` may be a mailbox, for certificates of people. A
    common name never counts (RFC 9525 §6.2 note), but the message says when it alone would have matched, since old
    software still accepts that.
    """
    host = ascii_host(host)
    address = host_address(host)
    if address is not None:
        if str(address) in addresses:
            return ""
    elif "@" in host:
        if any(_same_mailbox(host, mailbox) for mailbox in mailboxes):
            return ""
    elif any(dns_name_matches(pattern, host, public=public) for pattern in dns_names):
        return ""
    names = (*dns_names, *addresses, *mailboxes)
    if not names and any(_legacy_match(name, host) for name in common_names):
        return f"{host} stands in the common name only, which is not looked at any more (RFC 9525)"
    if address is not None and host in dns_names:
        return f"{host} is listed as a DNS name, where an address is not looked for (RFC 9525 §6.5)"
    if not names:
        legacy = f"; its common name is {', '.join(common_names[:_QUOTED])}" if common_names else ""
        return f"the certificate holds no subject alternative name{legacy}"
    more = f" and {len(names) - _QUOTED} more" if len(names) > _QUOTED else ""
    return f"the certificate is for {', '.join(names[:_QUOTED])}{more}, not for {host}"


def written_otherwise(common_name: str, dns_names: Sequence[str], addresses: Sequence[str]) -> str:
    """What is wrong with a common name that is to be one of the alternative names, letter by letter (BR §7.1.4.3).

    Empty for one of them, and for a name that has nothing to do with them, which is a title rather than a host.
    """
    if common_name in dns_names or common_name in addresses:
        return ""
    folded = common_name.lower()
    if any(folded == name.lower() for name in dns_names) or (_loose_address(common_name) or "none") in addresses:
        return "is an alternative name, written otherwise"
    if not common_name.isascii() or "xn--" in folded:
        return "is internationalised and no alternative name"
    if any(folded.endswith(f".{name}") for name in dns_names) and " " not in folded:
        return "is a host below an alternative name, and none itself"
    return ""


def _loose_address(text: str) -> str:
    """An address in any notation that a C library takes ("0xC0A80101", "192.168.001.001"), in the usual one."""
    if address := host_address(text):
        return str(address)
    try:
        parts = [int(part, 16) if part.lower().startswith("0x") else int(part, 10) for part in text.split(".")]
        if len(parts) == 4 and all(0 <= part < 256 for part in parts):
            return str(ipaddress.IPv4Address(bytes(parts)))
        return str(ipaddress.IPv4Address(parts[0])) if len(parts) == 1 and len(text) < 12 else ""
    except ValueError:
        return ""


def _same_mailbox(one: str, other: str) -> bool:
    """The local part letter by letter, the host without regard to case (RFC 5280 §7.5)."""
    (local, _, host), (other_local, _, other_host) = one.rpartition("@"), other.rpartition("@")
    return local == other_local and host.lower() == other_host.lower()


def _legacy_match(common_name: str, host: str) -> bool:
    return common_name == host or dns_name_matches(common_name, host)
