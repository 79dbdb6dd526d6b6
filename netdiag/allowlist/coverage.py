"""One firewall against what is needed: what is let through, by what kind of rule, what is missing, what is stale.

Contract: pure. Every list of prefixes is the smallest one. A family that the rules say nothing about is left out, and
that is told; nothing is judged by what was not understood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from netdiag.allowlist.addresses import (
    EVERYTHING,
    FAMILIES,
    NOTHING,
    Addresses,
    Family,
    Interval,
    everything,
    merged,
    parse_prefix,
    parted,
    union,
)
from netdiag.allowlist.entries import Decisions, Entry, Firewall, Layer, conditions, decide, name_decided
from netdiag.allowlist.services import SERVICES
from netdiag.allowlist.words import VIRTUAL_NETWORK
from netdiag.model import AddressCoverage, AllowedBy, AllowlistObservation, PrefixList, TagCoverage, UnreadRule

#: Prefixes of one list in a report: AzureCloud, the largest tag, has some ten thousand.
MAX_PREFIXES = 50_000
#: Of these a person looks at the first; the others are counted.
MAX_STALE = 200
MAX_UNREAD = 50
MAX_TEXT = 200
MAX_LISTED = 100

#: Tags that stand for whole networks, not for a service.
_NETWORKS = frozenset(("Internet", "VirtualNetwork"))


@dataclass(frozen=True, kw_only=True)
class Need:
    """Addresses that are needed on a port; ``tag`` is empty where none is known for ``hosts``.

    ``samples``: names by which a rule by name is tried where no host was given.
    """

    tag: str
    port: int = 443
    hosts: tuple[str, ...] = ()
    samples: tuple[str, ...] = ()
    addresses: Addresses = field(default=NOTHING, repr=False)
    added: Addresses = field(default=NOTHING, repr=False)


@dataclass(frozen=True, kw_only=True)
class Now:
    """An address that a host has now."""

    host: str
    port: int
    address: str


@dataclass(frozen=True)
class _Gate:
    """A firewall for one port: what it lets through, and by what kind of rule."""

    layers: tuple[Layer, ...]
    decided: tuple[Decisions, ...]
    allowed: Addresses
    #: What would be let through without the rules that name addresses; and without those that name tags, either.
    followed: Addresses
    open: Addresses
    #: The rules that allow addresses because they are written in them, and those that allow a service tag.
    written: tuple[Entry, ...]
    tagged: tuple[Entry, ...]

    @property
    def denied(self) -> Addresses:
        """What one of the layers keeps back."""
        return union(each.of("deny") for each in self.decided)

    def allowing(self) -> Iterator[Entry]:
        """The entries that may let something through."""
        return (entry for layer in self.layers for entry in layer if entry.action == "allow")

    def rule_for(self, addresses: Addresses) -> str:
        """Where the rule stands that decides about them: the first that denies in any layer, else one that allows."""
        for action in ("deny", "allow"):
            for each in self.decided:
                for entry, part in each.by:
                    if entry.action == action and part & addresses:
                        return entry.place
        return ""

    def named(self, host: str) -> bool:
        """A rule by name lets the host through."""
        found = [name_decided(layer, host) for layer in self.layers]
        return any(entry is not None and entry.action == "allow" for entry in found)

    @property
    def unrestricted(self) -> bool:
        """Nothing public is held back, in the families that the rules speak of at all."""
        return bool(self.allowed) and not (self.denied - VIRTUAL_NETWORK)


def _gate(layers: tuple[Layer, ...]) -> _Gate:
    decided = tuple(map(decide, layers))
    allowing = [entry for layer in layers for entry in layer if entry.action == "allow"]
    tagged = tuple(entry for entry in allowing if entry.tag and entry.tag not in _NETWORKS)
    written = tuple(entry for entry in allowing if entry.to and not entry.tag and not is_open(entry))
    allowed = _passing(decided)
    followed = _without(layers, written) if written else allowed
    opened = _without(layers, (*written, *tagged)) if tagged else followed
    return _Gate(layers, decided, allowed, followed, opened, written, tagged)


def _without(layers: tuple[Layer, ...], rules: Iterable[Entry]) -> Addresses:
    """What would be let through without these rules."""
    left_out = set(map(id, rules))
    return _passing(decide(tuple(entry for entry in layer if id(entry) not in left_out)) for layer in layers)


def _passing(decided: Iterable[Decisions]) -> Addresses:
    """What every layer lets through."""
    found = EVERYTHING
    for each in decided:
        found = found & each.of("allow")
    return found


def is_open(entry: Entry) -> bool:
    """Whether a rule is for every address of a family."""
    whole = any(entry.to.of(family) == everything(family).of(family) for family in FAMILIES)
    return whole or entry.tag in _NETWORKS


def prefix_list(addresses: Addresses, most: int = MAX_PREFIXES) -> PrefixList:
    """As a report holds it."""
    prefixes = addresses.prefixes()
    shown = tuple(islice(prefixes, most))
    return PrefixList(total=len(shown) + sum(1 for _ in prefixes), prefixes=shown)


def compare(
    firewall: Firewall,
    needs: Sequence[Need],
    now: Sequence[Now] = (),
    *,
    known: Callable[[], Addresses] | None = None,
    gone: Addresses = NOTHING,
    tags_with: Callable[[str, Addresses], tuple[str, ...]] = lambda tag, addresses: (),  # noqa: ARG005
    families: tuple[Family, ...] = (),
) -> AllowlistObservation:
    """The observation about one firewall; its id, path and parent are the caller's.

    ``gone``: addresses that the needed tags had earlier. ``known`` gives everything that is in any tag; without it and
    ``gone`` nothing is called stale. ``tags_with`` tells which tags of a tag's service hold addresses. ``families``:
    those that are judged; empty for those that the rules speak of.
    """
    ports = {need.port for need in needs} | {each.port for each in now}
    by_port = {port: _gate(firewall.layers(port)) for port in sorted(ports)}
    coverage = tuple(_coverage(by_port[need.port], need, families) for need in needs)
    entries = [entry for gate in by_port.values() for layer in gate.layers for entry in layer]
    wanted = union(need.addresses for need in needs)
    assumed = tuple(
        dict.fromkeys(conditions(entry for entry in entries if entry.only and (entry.to & wanted or entry.names)))
    )
    allowing = [entry for entry in entries if entry.action == "allow"]
    used = union((wanted, *(_alone(each.address) for each in now)))
    stale = _stale(by_port.values(), used, known, gone)
    return AllowlistObservation(
        id="allowlist",
        source="file",
        path="",
        kind=firewall.kind,
        what=firewall.words,
        rules=firewall.rules,
        elsewhere=firewall.elsewhere,
        scenario=2 if firewall.kind == "nsg" else 1,
        unrestricted=bool(by_port) and all(gate.unrestricted for gate in by_port.values()),
        coverage=coverage,
        addresses=tuple(_address(by_port[each.port], each, needs, tags_with) for each in now),
        stale=prefix_list(stale, MAX_STALE),
        stale_since=bool(gone),
        names=_some(name for entry in allowing for name in entry.names),
        tags=_some(entry.tag for entry in allowing if entry.tag and entry.tag not in _NETWORKS),
        unread=tuple(
            UnreadRule(place=each.place, text=each.text[:MAX_TEXT], why=each.why, may=each.may)
            for each in firewall.unread[:MAX_UNREAD]
        ),
        unread_total=len(firewall.unread),
        assumed=assumed[:MAX_LISTED],
        assumed_total=len(assumed),
        remarks=firewall.remarks,
    )


def _some(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(islice(dict.fromkeys(texts), MAX_LISTED))


def _coverage(gate: _Gate, need: Need, families: tuple[Family, ...]) -> TagCoverage:
    names = need.hosts or need.samples
    unnamed = tuple(host for host in names if not gate.named(host))
    by_name = len(unnamed) < len(names) and not (need.hosts and unnamed)
    judged = families or _judged(gate, need)
    wanted = union(need.addresses.only(family) for family in judged)
    missing = NOTHING if by_name else wanted - gate.allowed
    written = (wanted & gate.allowed) - gate.followed
    shadowed = union(entry.to for entry in (*gate.written, *gate.tagged)) & missing if missing else NOTHING
    by: AllowedBy
    if not need.tag:
        by = "open" if gate.unrestricted else "names" if by_name else "not-known"
    elif wanted and not wanted - gate.open:
        by = "open"
    elif by_name:
        by = "names"
    elif missing:
        by = "partly" if wanted & gate.allowed else "nothing"
    else:
        by = "addresses" if written else "tags"
    return TagCoverage(
        tag=need.tag,
        port=need.port,
        by=by,
        by_addresses=prefix_list(written) if by in ("addresses", "partly") else PrefixList(),
        missing=prefix_list(missing),
        kept_back_by=gate.rule_for(missing) if missing else "",
        shadowed=prefix_list(shadowed),
        shadowed_by=gate.rule_for(shadowed) if shadowed else "",
        missing_is_new=bool(missing) and not (missing - need.added),
        left_out=() if by_name else tuple(f for f in FAMILIES if need.addresses.of(f) and f not in judged),
        other_tags=_siblings(gate, need.tag),
        unnamed=unnamed if need.hosts and any(entry.names for entry in gate.allowing()) else (),
    )


def _judged(gate: _Gate, need: Need) -> tuple[Family, ...]:
    """The families that the rules speak of: those of which they allow what is needed, or name anything at all.

    With no such family it is the first that they decide about, and else the first that is needed.
    """
    needed = tuple(family for family in FAMILIES if need.addresses.of(family))
    told = tuple(f for f in needed if ((gate.denied | gate.allowed) & need.addresses).of(f))
    named = {family for family in told if any(entry.to.of(family) for entry in gate.written)}
    speaking = tuple(f for f in told if f in named or (gate.allowed & need.addresses).of(f))
    return speaking or told[:1] or needed[:1]


def _siblings(gate: _Gate, tag: str) -> tuple[str, ...]:
    """Tags of the same service that are allowed: the wrong region, say, or the wrong part of the service."""
    stem = next((s.tag.lower() for s in SERVICES if tag.lower().startswith(s.tag.lower())), None)
    if stem is None:
        return ()
    found = (entry.tag for entry in gate.tagged if entry.tag.lower().startswith(stem))
    return _some(name for name in found if name.lower() != tag.lower())


def _alone(address: str) -> Addresses:
    """The set of one address."""
    return parse_prefix(address.partition("%")[0]) or NOTHING


def _address(
    gate: _Gate, now: Now, needs: Sequence[Need], tags_with: Callable[[str, Addresses], tuple[str, ...]]
) -> AddressCoverage:
    only = _alone(now.address)
    named = gate.named(now.host)
    itself = now.host == now.address
    tags = [n for n in needs if n.tag and (now.host in n.hosts or (itself and n.addresses & only))]
    in_tag = any(need.addresses & only for need in tags)
    return AddressCoverage(
        host=now.host,
        address=now.address,
        port=now.port,
        allowed=named or not (only - gate.allowed) or not (only & gate.denied),
        rule="a rule for its name" if named else gate.rule_for(only),
        in_tag=in_tag if tags else None,
        other_tags=() if in_tag or not tags else tags_with(tags[0].tag, only),
    )


def _stale(
    gates: Iterable[_Gate], used: Addresses, known: Callable[[], Addresses] | None, gone: Addresses
) -> Addresses:
    """Public addresses that are written down as allowed, range by range, and serve nothing.

    A range of which a part is used, or is in some tag, was meant for that, and is not looked at any closer.
    """
    entries = {id(entry): entry for gate in gates for entry in gate.written}.values()
    unused: dict[Family, list[Interval]] = {}
    for family in FAMILIES:
        ranges = {part for entry in entries for part in entry.to.of(family)}
        unused[family] = parted(ranges, (used | VIRTUAL_NETWORK).of(family))[1]
    if gone:
        return _both({family: parted(unused[family], gone.of(family))[0] for family in FAMILIES})
    if known is None or not any(unused.values()):
        return NOTHING
    tagged = known()
    return _both({family: parted(unused[family], tagged.of(family))[1] for family in FAMILIES})


def _both(intervals: Mapping[Family, Iterable[Interval]]) -> Addresses:
    return Addresses(merged(intervals[4]), merged(intervals[6]))
