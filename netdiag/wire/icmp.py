"""ICMP and ICMPv6 errors: what type and code mean for the connection attempt that they quote.

Contract: pure. The kinds are those that a socket's user would get from the operating system: Linux' icmp_err_convert
(net/ipv4/icmp.c, net/ipv6/icmp.c), and "prohibited" where a filter says so (RFC 1812 §5.2.7.1, RFC 4443 §3.1).
"""

from __future__ import annotations

from netdiag.model import FailureKind

# Types (RFC 792; RFC 4443 §2.1).
UNREACHABLE = {4: 3, 6: 1}
TIME_EXCEEDED = {4: 11, 6: 3}

#: Destination unreachable, by IP version and code (RFC 792, RFC 1812 §5.2.7.1, RFC 4443 §3.1 and RFC 8883).
_UNREACHABLE_WORDS: dict[int, dict[int, str]] = {
    4: {
        0: "network unreachable",
        1: "host unreachable",
        2: "protocol unreachable",
        3: "port unreachable",
        4: "fragmentation needed",
        5: "source route failed",
        6: "network unknown",
        7: "host unknown",
        8: "source host isolated",
        9: "network administratively prohibited",
        10: "host administratively prohibited",
        11: "network unreachable for this type of service",
        12: "host unreachable for this type of service",
        13: "communication administratively prohibited",
        14: "host precedence violation",
        15: "precedence cutoff",
    },
    6: {
        0: "no route to the destination",
        1: "communication administratively prohibited",
        2: "beyond the scope of the source address",
        3: "address unreachable",
        4: "port unreachable",
        5: "source address failed the ingress or egress policy",
        6: "route rejected",
        7: "error in the source routing header",
    },
}
_PROHIBITED = {4: frozenset({9, 10, 13}), 6: frozenset({1, 5, 6})}
_PORT = {4: 3, 6: 4}
#: "Fragmentation needed" asks for smaller packets; it ends nothing.
_FRAGMENTATION_NEEDED = 4


def words(version: int, kind: int, code: int) -> str:
    """The error in words: "port unreachable", "time exceeded in transit"."""
    if kind == UNREACHABLE.get(version):
        return _UNREACHABLE_WORDS[version].get(code, f"unreachable (code {code})")
    if kind == TIME_EXCEEDED.get(version):
        return "time exceeded in transit" if code == 0 else "fragment reassembly time exceeded"
    if (version, kind) == (6, 2):
        return "packet too big"
    if (version, kind) in ((4, 12), (6, 4)):
        return "parameter problem"
    return f"ICMP type {kind} code {code}" if version == 4 else f"ICMPv6 type {kind} code {code}"


def failure_kind(version: int, kind: int, code: int) -> FailureKind | None:
    """How the error ends an attempt that it quotes; None for one that ends none (an MTU, a redirect)."""
    if kind == TIME_EXCEEDED.get(version):
        return "unreachable"
    if kind != UNREACHABLE.get(version) or (version == 4 and code == _FRAGMENTATION_NEEDED):
        return None
    if code in _PROHIBITED[version]:
        return "prohibited"
    return "refused" if code == _PORT[version] else "unreachable"
