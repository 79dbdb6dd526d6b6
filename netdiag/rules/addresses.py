"""Addresses as rules compare them: private, local, the same, near each other.

Contract: pure functions of text; what is no address is none of these things, and never an exception.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable, Sequence

#: RFC 1918, RFC 6598 (carrier-grade NAT), RFC 3927 and RFC 4291 (link-local), RFC 4193.
_PRIVATE = tuple(
    ipaddress.ip_network(network)
    for network in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "fc00::/7",
        "fe80::/10",
    )
)
#: Addresses that never leave this machine: filters answer with them for names that they block (RFC 1122 §3.2.1.3).
_HERE = tuple(ipaddress.ip_network(network) for network in ("127.0.0.0/8", "0.0.0.0/8", "::1/128", "::/128"))

#: Public addresses this close belong to one operator's rotation; private ones this close to one pool of servers.
_NEAR_PUBLIC = {4: 16, 6: 32}
_NEAR_PRIVATE = {4: 24, 6: 64}


@functools.lru_cache(maxsize=1024)
def is_private(address: str) -> bool:
    """Whether ``address`` is reachable only inside some private network."""
    return _within(address, _PRIVATE)


@functools.lru_cache(maxsize=1024)
def is_here(address: str) -> bool:
    """Whether ``address`` is loopback or unspecified, so that a connection never leaves this machine."""
    return _within(address, _HERE)


def _within(address: str, networks: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    parsed = parse_address(address)
    return parsed is not None and any(parsed in network for network in networks)


@functools.lru_cache(maxsize=1024)
def parse_address(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address as a value, an IPv4-mapped one as IPv4; None for what is none."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return parsed.ipv4_mapped or parsed if isinstance(parsed, ipaddress.IPv6Address) else parsed


def comparable(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    """Whether both have addresses of one family: a missing family is no contradiction."""
    return bool({":" in address for address in ours} & {":" in address for address in theirs})


def near(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    """Whether two answers look like one operator's rotation."""
    return bool(set(map(_network, ours)) & set(map(_network, theirs)))


def _network(address: str) -> str:
    parsed = parse_address(address)
    if parsed is None:
        return address
    bits = (_NEAR_PRIVATE if is_private(address) else _NEAR_PUBLIC)[parsed.version]
    return f"{int(parsed) >> (parsed.max_prefixlen - bits):x}/{bits}.{parsed.version}"


def meet(ours: Sequence[str], theirs: Sequence[str]) -> bool:
    """Whether two answers share an address, however it is written."""
    return not {parse_address(a) or a for a in ours}.isdisjoint(parse_address(a) or a for a in theirs)
