"""What every kind of rule file is turned into: a firewall with rules in an order, of which the first that fits decides.

Contract: pure. Where a firewall's own logic is another one (deny wins, several chains), its reader puts the rules into
this form. A condition that netdiag cannot test (an interface, a user, a time) is kept in ``only``: a rule that allows
under such a condition counts as one that allows, a rule that denies does not count, and both are told.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from netdiag.allowlist.addresses import (
    EVERYTHING,
    FAMILIES,
    Addresses,
    Family,
    Intervals,
    everything,
    merged,
    union,
)

Action = Literal["allow", "deny"]
Kind = Literal["list", "table", "nsg", "iptables", "nftables", "windows"]

#: Every port, and every protocol, of a rule that names none.
ALL_PORTS: Intervals = ((0, 65535),)

#: A name with at least one dot whose last part is no number; "*." or a dot before it stands for anything below.
_NAME = re.compile(r"(?:\*?\.)?(?:[a-z0-9_*](?:[a-z0-9_*-]{0,61}[a-z0-9_*])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
_MAX_NAME = 255


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One rule. It fits a destination that is in ``to``, or whose name matches one of ``names``.

    ``place`` says where it stands ("line 12", "AllowDataFactory (200)"). ``tag``: it was written as that service tag.
    """

    place: str
    action: Action
    to: Addresses = field(default_factory=Addresses)
    names: tuple[str, ...] = ()
    tag: str = ""
    ports: Intervals = ALL_PORTS
    only: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Unread:
    """A part of the file that was not understood. ``may``: what it might do if it were, as far as that is known."""

    place: str
    text: str
    why: str
    may: Literal["allow", "deny", "either"] = "either"


#: Rules that are asked one after the other; what none fits is not decided by them.
Layer = tuple[Entry, ...]


@dataclass(frozen=True, kw_only=True)
class Firewall:
    """One set of rules that traffic has to pass: every one of its layers.

    ``layers`` gives them for a port. ``rules`` counts all rules, ``elsewhere`` those for other directions, protocols
    or tables. ``words`` says what it is ("network security group nsg-ir"). ``remarks``: what the answer rests on.
    """

    kind: Kind
    words: str
    layers: Callable[[int], tuple[Layer, ...]] = field(repr=False)
    rules: int
    elsewhere: int = 0
    unread: tuple[Unread, ...] = ()
    remarks: tuple[str, ...] = ()


def ordered(entries: Sequence[Entry]) -> Callable[[int], tuple[Layer, ...]]:
    """The layers of a firewall with one list of rules."""
    return lambda port: (tuple(entry for entry in entries if has_port(entry.ports, port)),)


def has_port(ports: Intervals, port: int) -> bool:
    """Whether a set of ports holds one."""
    return any(low <= port <= high for low, high in ports)


def closing(entries: Iterable[Entry], place: str, action: Action = "deny") -> list[Entry]:
    """The entries, and what happens to the rest: of the families that they speak of, else of IPv4."""
    entries = list(entries)
    spoken = [family for family in FAMILIES if any(_names_some(entry.to.of(family), family) for entry in entries)]
    rest = union(everything(family) for family in spoken or FAMILIES[:1])
    return [*entries, Entry(place=place, action=action, to=rest)]


def _names_some(intervals: Intervals, family: Family) -> bool:
    return bool(intervals) and intervals != everything(family).of(family)


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """Who decides what, by the first entry that fits."""

    by: tuple[tuple[Entry, Addresses], ...]

    def of(self, action: Action) -> Addresses:
        """What the entries with this action decide."""
        return union(addresses for entry, addresses in self.by if entry.action == action)


def decide(layer: Layer) -> Decisions:
    """Who decides about each address. Entries that deny under a condition are passed over."""
    counting = [entry for entry in layer if entry.to and not (entry.action == "deny" and entry.only)]
    v4 = _first_fit([entry.to.v4 for entry in counting])
    v6 = _first_fit([entry.to.v6 for entry in counting])
    none: Intervals = ()
    return Decisions(
        by=tuple(
            (entry, Addresses(v4.get(n, none), v6.get(n, none)))
            for n, entry in enumerate(counting)
            if n in v4 or n in v6
        )
    )


def _first_fit(sets: Sequence[Intervals]) -> dict[int, Intervals]:
    """What each set holds that none before it holds: one sweep over the ends of all intervals."""
    starts = sorted((low, n, high) for n, intervals in enumerate(sets) for low, high in intervals)
    bounds = sorted({low for low, _, _ in starts} | {high + 1 for _, _, high in starts})
    active: list[tuple[int, int]] = []  # (set, last address), the first set at the top
    found: dict[int, list[tuple[int, int]]] = {}
    next_start = 0
    for here, after in pairwise(bounds):
        while next_start < len(starts) and starts[next_start][0] == here:
            _, n, high = starts[next_start]
            heapq.heappush(active, (n, high))
            next_start += 1
        while active and active[0][1] < here:
            heapq.heappop(active)
        if active:
            found.setdefault(active[0][0], []).append((here, after - 1))
    return {n: tuple(parts) if len(parts) == 1 else merged(parts) for n, parts in found.items()}


def is_name(text: str) -> bool:
    """Whether ``text``, in lower case, is a name or a pattern of names that firewalls take."""
    return len(text) <= _MAX_NAME and _NAME.fullmatch(text) is not None


def name_fits(pattern: str, host: str) -> bool:
    """Whether a pattern covers a name. "*" stands for any characters; ".example.com" is also the name itself."""
    if "*" not in pattern:
        return host.endswith(pattern) or host == pattern[1:] if pattern.startswith(".") else host == pattern
    parts = pattern.split("*")
    if len(host) < len(pattern) - len(parts) + 1 or not host.startswith(parts[0]) or not host.endswith(parts[-1]):
        return False
    at, end = len(parts[0]), len(host) - len(parts[-1])
    for part in parts[1:-1]:
        found = host.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True


def name_decided(layer: Layer, host: str) -> Entry | None:
    """The rule that decides by the name: the first that names it, unless one before it is for every address."""
    for entry in layer:
        if entry.action == "deny" and entry.only:
            continue
        if any(name_fits(pattern, host) for pattern in entry.names):
            return entry
        if entry.to == EVERYTHING or entry.to.v4 == EVERYTHING.v4:
            return None
    return None


def conditions(entries: Iterable[Entry]) -> Iterator[str]:
    """What was assumed of entries with conditions, a line each."""
    for entry in entries:
        if entry.only:
            verb = "allows" if entry.action == "allow" else "denies"
            taken = "counted as if that were so" if entry.action == "allow" else "not counted"
            yield f"{entry.place} {verb} only {' and '.join(entry.only)}: {taken}"
