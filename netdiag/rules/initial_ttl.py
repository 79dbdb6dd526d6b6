"""Initial TTLs: which value a packet started with, how many routers it crossed, what kind of system sends it so.

Contract: pure. A router decrements the TTL (IPv6: the hop limit) by one (RFC 1812 §5.3.1), and senders start with one
of four usual values, so the distance is the next of these above minus what arrived (p0f's guess_dist). A packet that
crossed 3 routers was sent by the 4th hop: traceroute counts the sender, the TTL only those in between.
"""

from __future__ import annotations

from typing import NamedTuple

#: What senders start with. 255 is the field's maximum.
INITIAL_TTLS = (32, 64, 128, 255)

#: No path of today has more routers (p0f: MAX_DIST).
MAX_ROUTERS = 35

#: Two packets of one sender may differ by this much, because paths change (p0f: SMALL_TTL_CHG).
PATH_CHANGE = 2


class System(NamedTuple):
    """One row of the table: who starts with which TTL, and who says so."""

    initial: int
    name: str
    source: str


#: The guide's own table is every row that names packetpushers.net ("IP Time to Live (TTL) and Hop Limit Basics").
SYSTEMS: tuple[System, ...] = (
    System(32, "Windows 95, 98 and NT 3.51", "SWITCH, Default TTL Values in TCP/IP"),
    System(64, "the value that standards recommend", "RFC 1700, IP Time to Live Parameter"),
    System(64, "Linux kernel 4.10 (2015)", "packetpushers.net"),
    System(64, "Linux since 2.6, Android", "kernel ip-sysctl: ip_default_ttl; p0f.fp"),
    System(64, "macOS (2001)", "packetpushers.net"),
    System(64, "macOS, iOS, FreeBSD, OpenBSD", "p0f.fp"),
    System(64, "firewalls built on Linux or BSD", "kernel nf_reject_ipv4.c takes the route's default"),
    System(128, "Windows XP (2001)", "packetpushers.net"),
    System(128, "Windows 10 (2015)", "packetpushers.net"),
    System(128, "Windows Server 2008", "packetpushers.net"),
    System(128, "Windows Server 2019 (2018)", "packetpushers.net"),
    System(128, "Windows since NT 4.0", "Microsoft, DefaultTTL; p0f.fp"),
    System(255, "Linux kernel 2.4 (circa 2001)", "packetpushers.net"),
    System(255, "Solaris, many routers and firewalls", "SWITCH, Default TTL Values in TCP/IP; p0f.fp"),
)

#: The table in a few words each, for sentences.
_FAMILIES = {
    32: "Windows 95 and 98",
    64: "Linux, macOS, BSD and the firewalls built on them",
    128: "Windows",
    255: "routers, other network devices and Solaris",
}


def initial_ttl(ttl: int) -> int:
    """What the packet most likely started with: the next usual value."""
    return next((value for value in INITIAL_TTLS if ttl <= value), 255)


def possible_initials(ttl: int) -> tuple[int, ...]:
    """Every usual value that is not impossibly far, the nearest first; empty if even that one is."""
    return tuple(value for value in INITIAL_TTLS if 0 <= value - ttl <= MAX_ROUTERS)


def routers_crossed(ttl: int) -> int:
    """How many routers decremented it, if it started with ``initial_ttl``."""
    return max(0, initial_ttl(ttl) - ttl)


def hop_number(ttl: int) -> int:
    """Which hop the sender is, as traceroute counts from where the packet was seen: 1 is the next machine."""
    return routers_crossed(ttl) + 1


def is_undecremented(ttl: int) -> bool:
    """No router was crossed: seen at its sender, or on the sender's own network."""
    return ttl in INITIAL_TTLS


def family(initial: int) -> str:
    """Who starts with this value, in words."""
    return _FAMILIES.get(initial, "no usual system")


def sum_of(ttl: int) -> str:
    """The arithmetic alone: "61 = 64 - 3"."""
    return f"{ttl} = {initial_ttl(ttl)} - {routers_crossed(ttl)}"


def doubt(ttl: int) -> str:
    """Why the arithmetic may be wrong for this value; empty if nothing speaks against it."""
    possible = possible_initials(ttl)
    if len(possible) > 1:
        others = " or ".join(f"{value} - {value - ttl}" for value in possible[1:])
        return f"{ttl} may also be {others}"
    if not possible:
        return f"{routers_crossed(ttl)} routers are more than any path has: the sender chose a TTL of its own"
    return ""


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 21st."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def counted(number: int, noun: str) -> str:
    """A number with its noun: 1 router, 3 routers."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
