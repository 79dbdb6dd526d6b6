"""Is this certificate for that host? RFC 9525, the successor of RFC 6125.

Contract: pure. Names are compared as ASCII (A-labels); nothing is looked up or decoded.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

#: Names quoted in a message; a certificate of a content network holds hundreds.
_QUOTED = 8


def host_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address that ``host`` is, without brackets and zone; None for a name."""
    try:
        return ipaddress.ip_address(host.strip("[]").split("%", 1)[0])
    except ValueError:
        return None


def dns_name_matches(pattern: str, host: str) -> bool:
    """Whether a dNSName covers a host name (RFC 9525 §6.3): label by label, without regard to case.

    A wildcard must be the whole left-most label, stands for exactly one label, and must be followed by two labels or
    more: "*.com" is refused by OpenSSL, Windows and browsers alike, although the RFC leaves it to them.
    """
    wanted = host.removesuffix(".").lower().split(".")
    given = pattern.lower().split(".")
    if not (pattern.isascii() and host.isascii()) or "" in wanted or "" in given:
        return False
    if given[0] == "*" and len(given) > 2:
        return len(given) == len(wanted) and given[1:] == wanted[1:]
    return "*" not in pattern and given == wanted


def name_problem(host: str, dns_names: Sequence[str], addresses: Sequence[str], common_names: Sequence[str]) -> str:
    """Why a certificate with these names is not for ``host``; empty when it is.

    ``addresses`` are the iPAddress entries in text form. A common name never counts (RFC 9525 §6.2 note), but the
    message says when it alone would have matched, since old software still accepts that.
    """
    address = host_address(host)
    if address is not None:
        if str(address) in addresses:
            return ""
    elif any(dns_name_matches(pattern, host) for pattern in dns_names):
        return ""
    names = (*dns_names, *addresses)
    if not names and any(_legacy_match(name, host) for name in common_names):
        return f"{host} stands in the common name only, which is not looked at any more (RFC 9525)"
    if address is not None and host in dns_names:
        return f"{host} is listed as a DNS name, where an address is not looked for (RFC 9525 §6.5)"
    if not names:
        legacy = f"; its common name is {', '.join(common_names[:_QUOTED])}" if common_names else ""
        return f"the certificate holds no subject alternative name{legacy}"
    more = f" and {len(names) - _QUOTED} more" if len(names) > _QUOTED else ""
    return f"the certificate is for {', '.join(names[:_QUOTED])}{more}, not for {host}"


def _legacy_match(common_name: str, host: str) -> bool:
    return common_name == host or dns_name_matches(common_name, host)
