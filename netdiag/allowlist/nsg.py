"""Azure network security groups, as JSON: ARM resources, what the az command prints, PowerShell's ConvertTo-Json.

Contract: rules are asked by priority, the lowest number first; Azure's own outbound rules (65000 and up) are part of
every group, and are added where the file lacks them (learn.microsoft.com/azure/virtual-network/
network-security-groups-overview). Each group is a firewall of its own. Names of members are taken in any case.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from netdiag.allowlist import words
from netdiag.allowlist.addresses import Addresses, union
from netdiag.allowlist.entries import Action, Entry, Firewall, Unread, ordered
from netdiag.allowlist.source import Asked

#: Priorities of users' rules end at 4096.
_DEFAULTS: tuple[tuple[int, str, str, Action], ...] = (
    (65000, "AllowVnetOutBound", "VirtualNetwork", "allow"),
    (65001, "AllowInternetOutBound", "Internet", "allow"),
    (65500, "DenyAllOutBound", "*", "deny"),
)
#: Groups and templates lie in each other a few levels deep.
_DEPTH = 8
#: A subscription has some dozens of groups; each makes a section of the report.
MAX_GROUPS = 50

Members = Mapping[str, object]


def groups(value: object, depth: int = 0) -> Iterator[tuple[str, list[Members]]]:
    """Every group in a JSON document: its name and its rules. Bare rules are a group without a name."""
    if depth > _DEPTH:
        return
    if isinstance(value, list):
        rules = [members for each in value if (members := _rule(each)) is not None]
        if rules:
            yield "", rules
            return
        for each in value:
            yield from groups(each, depth + 1)
    elif isinstance(value, dict):
        yield from _group(value, depth)


def _group(value: dict[str, object], depth: int) -> Iterator[tuple[str, list[Members]]]:
    rule = _rule(value)
    if rule is not None:
        yield "", [rule]
        return
    members = _lowered(value)
    inner = _lowered(members.get("properties"))
    own = members.get("securityrules", inner.get("securityrules"))
    effective = members.get("effectivesecurityrules")
    if isinstance(own, list) or isinstance(effective, list):
        defaults = members.get("defaultsecurityrules", inner.get("defaultsecurityrules"))
        lists = [each for each in (own, defaults, effective) if isinstance(each, list)]
        found = [rule for each in lists for entry in each if (rule := _rule(entry)) is not None]
        yield _name(members), found
        return
    for key in ("value", "resources", "networksecuritygroups", "networksecuritygroup"):
        if isinstance(members.get(key), (list, dict)):
            yield from groups(members[key], depth + 1)


def _name(members: Members) -> str:
    """The group's name; of effective rules, that in the group's id."""
    name = members.get("name")
    group = _lowered(members.get("networksecuritygroup"))
    return str(name or str(group.get("id") or "").rpartition("/")[2])


def _rule(value: object) -> Members | None:
    """The members of a security rule, those under ``properties`` raised to the others; None for anything else."""
    members = _lowered(value)
    members = {**members, **_lowered(members.get("properties"))}
    return members if "access" in members and "direction" in members else None


def _lowered(value: object) -> dict[str, object]:
    return {str(key).lower(): member for key, member in value.items()} if isinstance(value, dict) else {}


def read_group(name: str, rules: Sequence[Members], asked: Asked) -> Firewall:
    """The firewall that one group is, in the outbound direction."""
    found: list[tuple[int, Entry]] = []
    unread: list[Unread] = []
    elsewhere = 0
    last = 0
    for members in rules:
        priority = members.get("priority")
        number = priority if isinstance(priority, int) else 0
        title = str(members.get("name") or "a rule without a name")
        place = f"{title} (priority {number})" if number else title
        try:
            entries = _entries(members, place, asked)
        except ValueError as error:
            does = words.action(str(members.get("access")))
            unread.append(Unread(place=place, text=title, why=str(error), may=does or "either"))
            continue
        elsewhere += not entries
        last = max(last, number if entries else 0)
        found += [(number, entry) for entry in entries]
    if last < _DEFAULTS[-1][0]:
        found += [(number, _default(number, name_, text, does)) for number, name_, text, does in _DEFAULTS]
    found.sort(key=lambda each: each[0])
    return Firewall(
        kind="nsg",
        words=f"network security group {name}".rstrip(),
        layers=ordered([entry for _, entry in found]),
        rules=len(rules),
        elsewhere=elsewhere,
        unread=tuple(unread),
    )


def _default(number: int, name: str, text: str, does: Action) -> Entry:
    destination = words.destination(text)
    assert destination is not None
    return Entry(place=f"{name} (priority {number})", action=does, to=destination.to, tag=destination.tag)


def _entries(members: Members, place: str, asked: Asked) -> list[Entry]:
    """The rule's entries; none where it is for other connections. Raises ``ValueError`` for what is unknown."""
    out = words.outbound(_text(members, "direction"))
    does = words.action(_text(members, "access"))
    tcp = words.tcp(_text(members, "protocol") or "*")
    if out is None or does is None or tcp is None:
        raise ValueError("its direction, access or protocol is not known")
    ports = words.ports(_texts(members, "destinationportrange") or ["*"])
    if ports is None:
        raise ValueError(f"its ports are not known ({', '.join(_texts(members, 'destinationportrange'))[:60]})")
    targets = _texts(members, "destinationaddressprefix")
    groups_only = bool(members.get("destinationapplicationsecuritygroups")) and not targets
    sources = asked.judge(_texts(members, "sourceaddressprefix") or ["*"])
    if not out or not tcp or not ports or sources is None or groups_only:  # such groups are of machines of the network
        return []
    only = list(sources)
    if members.get("sourceapplicationsecuritygroups"):
        only.append("from its application security groups")
    source_ports = _texts(members, "sourceportrange")
    if source_ports and (words.ports(source_ports) or ()) != words.ports(["any"]):
        only.append(f"from the ports {', '.join(source_ports)[:60]}")
    return _to(targets, Entry(place=place, action=does, ports=ports, only=tuple(only)), asked)


def _to(targets: Sequence[str], like: Entry, asked: Asked) -> list[Entry]:
    """One entry for all plain addresses, and one for each service tag."""
    sets: list[Addresses] = []
    entries: list[Entry] = []
    for text in targets:
        found = words.destination(text, asked.tags)
        if found is None or found.name:
            known = "" if asked.tags else " (no service tags were given)"
            raise ValueError(
                f"its destination {text[:60]!r} is neither an address nor a service tag of the file{known}"
            )
        if found.tag:
            entries.append(_copy(like, found.to, found.tag))
        else:
            sets.append(found.to)
    if sets:
        entries.append(_copy(like, union(sets), ""))
    if not entries:
        raise ValueError("it names no destination")
    return entries


def _copy(like: Entry, to: Addresses, tag: str) -> Entry:
    return Entry(place=like.place, action=like.action, to=to, tag=tag, ports=like.ports, only=like.only)


def _text(members: Members, key: str) -> str:
    return str(members.get(key) or "")


def _texts(members: Members, key: str) -> list[str]:
    """A member and its plural: Azure fills one of them, PowerShell writes a list under the singular."""
    found: list[str] = []
    for name in (key, f"{key}es" if key.endswith("prefix") else f"{key}s"):
        value = members.get(name)
        found += [str(each) for each in value] if isinstance(value, list) else [str(value)] if value else []
    return list(dict.fromkeys(text for text in found if text))
