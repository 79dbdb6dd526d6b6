"""nftables: what ``nft list ruleset`` prints.

Contract: every base chain of the hook that is judged is a layer of its own, since a packet has to pass all of them; a
table of one family says nothing about the other. The hook is forward where a chain of it filters anything, else output.
A rule with a statement that is not known is not understood, and decides nothing. nft(8) defines the language.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from netdiag.allowlist import words
from netdiag.allowlist.addresses import (
    EVERYTHING,
    EVERYTHING_V4,
    EVERYTHING_V6,
    Addresses,
    Intervals,
    difference,
    intersection,
    union,
)
from netdiag.allowlist.chains import Chain, Link, Verdict, flattened, reached
from netdiag.allowlist.entries import ALL_PORTS, Action, Entry, Firewall, Layer, Unread
from netdiag.allowlist.source import Asked

_TOKEN = re.compile(r'"[^"]*"|[{};,\n]|[^\s{};,"]+|#[^\n]*')
_FAMILIES = {"ip": EVERYTHING_V4, "ip6": EVERYTHING_V6, "inet": EVERYTHING}
_VERDICTS: dict[str, Verdict] = {
    "accept": "accept", "drop": "drop", "reject": "drop", "return": "return", "jump": "jump", "goto": "goto",
}  # fmt: skip
#: Tokens of one file; a large ruleset has some hundred thousand.
_MAX_TOKENS = 3_000_000

#: What begins a block in a table.
_IN_TABLES = words.word_set("chain set map counter quota limit ct flowtable secmark synproxy")
#: A packet that is passed on meets the chains of these hooks, too, and so does one that this machine sends. Of the
#: hooks beside the main one only chains that filter are judged.
_BESIDE = {"forward": ("prerouting", "postrouting"), "output": ("postrouting",)}
#: A part of an expression over TCP flags: ``& (fin | syn | rst | ack) != syn``, ``syn / fin,syn,rst,ack``.
_FLAG = r"[()]*(?:fin|syn|rst|psh|ack|urg|ecn|cwr|0x[0-9a-f]+)[()]*"
_FLAGS = re.compile(rf"[()&|=!/,]+|{_FLAG}(?:\|{_FLAG})*")

Tokens = list[str]


@dataclass
class _Table:
    """One table, with its chains and sets."""

    family: str
    name: str
    chains: dict[str, Chain] = field(default_factory=dict)
    #: Base chains by hook, with the place of each in the file.
    hooks: list[tuple[str, str]] = field(default_factory=list)
    sets: dict[str, list[Tokens]] = field(default_factory=dict)
    #: Its chains are not hooked (flags dormant).
    dormant: bool = False


class _StrangeError(Exception):
    """A statement that is not known."""


def looks_like_nft(lines: Sequence[str]) -> bool:
    """Whether it is a ruleset."""
    return any(re.match(r"\s*table\s+(?:(?:ip|ip6|inet|arp|bridge|netdev)\s+)?\S+\s*\{", line) for line in lines)


def read_nft(text: str, asked: Asked, what: str) -> Firewall:
    """The firewall; ``what`` stands for the file in messages."""
    reader = _Reader(asked)
    reader.read(text)
    hook, names = _hook(reader, asked)
    words_ = f"nftables, {names}" if names else "nftables without a chain that filters"
    return Firewall(
        kind="nftables",
        words=words_,
        layers=lambda port: _layers(reader.tables, hook, asked, port, what),
        rules=reader.rules,
        elsewhere=reader.elsewhere,
        unread=tuple(_unread(reader, hook, asked)),
        remarks=tuple(reader.remarks),
    )


def _chosen(table: _Table, hook: str, asked: Asked) -> Iterator[Chain]:
    """The base chains of a table that are judged."""
    if table.family not in _FAMILIES or table.dormant:
        return
    for at, name in table.hooks:
        chain = table.chains[name]
        beside = at in _BESIDE[hook] and chain.filters
        if name == asked.chain or (not asked.chain and (at == hook or beside)):
            yield chain
    if asked.chain and asked.chain in table.chains and all(name != asked.chain for _, name in table.hooks):
        yield table.chains[asked.chain]


def _hook(reader: _Reader, asked: Asked) -> tuple[str, str]:
    """The hook that is judged, and the names of its chains."""
    tables = reader.tables
    filtering = {
        at for table in tables if table.family in _FAMILIES for at, name in table.hooks if table.chains[name].filters
    }
    hook = "forward" if "forward" in filtering else "output"
    if asked.chain and not any(asked.chain in table.chains for table in tables):
        reader.remarks[f"there is no chain {asked.chain} in it"] = None
    if any(table.family not in _FAMILIES and any(c.filters for c in table.chains.values()) for table in tables):
        reader.remarks["tables of the families bridge, arp and netdev are not judged"] = None
    if {"forward", "output"} <= filtering and not asked.chain:
        reader.remarks["chains of the hook output filter too, what this machine itself sends (--chain judges one)"] = (
            None
        )
    chosen = [f"{table.family} {table.name} {c.name}" for table in tables for c in _chosen(table, hook, asked)]
    return hook, f"chain {', '.join(chosen)}" if chosen else ""


def _unread(reader: _Reader, hook: str, asked: Asked) -> Iterator[Unread]:
    """What was not understood, outside chains and in those that are judged."""
    yield from reader.unread
    for table in reader.tables:
        chains = {each.name: each for chain in _chosen(table, hook, asked) for each in reached(table.chains, chain)}
        for chain in chains.values():
            yield from chain.unread


def _layers(tables: Sequence[_Table], hook: str, asked: Asked, port: int, what: str) -> tuple[Layer, ...]:
    found: list[Layer] = []
    for table in tables:
        for chain in _chosen(table, hook, asked):
            within = _FAMILIES[table.family]
            rest = Entry(place="the other family", action="allow", to=EVERYTHING - within)
            found.append((*flattened(table.chains, chain, port, what, within), rest))
    return tuple(found) or ((Entry(place="no chain filters", action="allow", to=EVERYTHING),),)


@dataclass
class _Reader:
    """Reads a ruleset: tables, in them sets and chains, in them rules."""

    asked: Asked
    tables: list[_Table] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    remarks: dict[str, None] = field(default_factory=dict)
    rules: int = 0
    elsewhere: int = 0
    _tokens: list[tuple[str, int]] = field(default_factory=list)
    _at: int = 0

    def read(self, text: str) -> None:
        """The whole file."""
        line = 1
        for match in _TOKEN.finditer(text):
            word = match[0]
            if not word.startswith("#"):
                self._tokens.append((word, line))
            line += word.count("\n")
            if len(self._tokens) > _MAX_TOKENS:
                self.unread.append(Unread(place=f"line {line}", text="", why="the rest is too long to be read"))
                break
        while (start := self._statement(frozenset(("table",)))) is not None:
            head, number = start
            if head[0] == "table" and self._opens():
                self._table(head[1:])
            elif self._opens():
                self._skip_block()
                self._note(head, number, "a block that is not known")
            elif head[:2] not in (["flush", "ruleset"],):
                self._note(head, number, "a line outside any table")

    def _note(self, tokens: Tokens, number: int, why: str) -> None:
        self.unread.append(Unread(place=f"line {number}", text=" ".join(tokens), why=why))

    def _statement(self, blocks: frozenset[str] = frozenset()) -> tuple[Tokens, int] | None:
        """The words up to the end of a statement, or to a block; None at the end of the file or of a block.

        ``blocks``: the words that begin a block where this statement stands. Any other brace belongs to a set.
        """
        while self._at < len(self._tokens) and self._tokens[self._at][0] in ("\n", ";"):
            self._at += 1
        if self._at >= len(self._tokens) or self._tokens[self._at][0] == "}":
            self._at += 1
            return None
        number = self._tokens[self._at][1]
        found: Tokens = []
        while self._at < len(self._tokens):
            word = self._tokens[self._at][0]
            if word in ("\n", ";", "}") or (word == "{" and not found):
                break
            if word == "{" and found[0] in blocks:
                break
            if word == "{":
                found += self._braces()
                continue
            found.append(word)
            self._at += 1
        if not found:  # a brace that belongs to nothing
            self._skip_block()
            return ["{"], number
        return found, number

    def _opens(self) -> bool:
        return self._at < len(self._tokens) and self._tokens[self._at][0] == "{"

    def _braces(self) -> Tokens:
        """The tokens of a set in a rule, with both braces, without line breaks."""
        found: Tokens = []
        depth = 0
        while self._at < len(self._tokens):
            word = self._tokens[self._at][0]
            depth += (word == "{") - (word == "}")
            self._at += 1
            if word != "\n":
                found.append(word)
            if not depth:
                break
        return found

    def _skip_block(self) -> None:
        if self._opens():
            self._braces()
        else:
            self._at += 1

    def _table(self, head: Tokens) -> None:
        family = head[0] if len(head) > 1 else "ip"
        table = _Table(family, head[-1] if head else "")
        self.tables.append(table)
        self._at += 1  # the brace
        while (start := self._statement(_IN_TABLES)) is not None:
            words_, number = start
            if not self._opens():
                table.dormant |= words_[0] == "flags" and "dormant" in words_
                if words_[0] not in ("comment", "flags"):
                    self._note(words_, number, "a line that is not known in a table")
            elif words_[0] == "chain":
                self._chain(table, words_[1] if len(words_) > 1 else "")
            elif words_[0] == "set":
                self._set(table, words_[1] if len(words_) > 1 else "")
            else:
                self._skip_block()  # a map, a counter: rules that use one are told

    def _set(self, table: _Table, name: str) -> None:
        self._at += 1
        while (start := self._statement()) is not None:
            words_, _ = start
            if words_[:2] == ["elements", "="]:
                table.sets[name] = list(_members(words_[2:]))
            if self._opens():
                self._skip_block()
        table.sets.setdefault(name, [])

    def _chain(self, table: _Table, name: str) -> None:
        chain = Chain(name=name)
        table.chains[name] = chain
        self._at += 1
        while (start := self._statement()) is not None:
            words_, number = start
            if self._opens():
                self._skip_block()
            if words_[0] == "type":
                self._base(table, name, words_)
            elif words_[0] == "policy":
                said: Action = "deny" if words_[1:2] == ["drop"] else "allow"
                chain.policy = self.asked.default or said
            elif words_[0] not in ("comment", "flags", "devices"):
                self._rule(table, chain, words_, number)

    @staticmethod
    def _base(table: _Table, name: str, words_: Tokens) -> None:
        hook = words_[words_.index("hook") + 1] if "hook" in words_[:-1] else ""
        if words_[1:2] == ["filter"]:
            table.hooks.append((hook, name))

    def _rule(self, table: _Table, chain: Chain, tokens: Tokens, number: int) -> None:
        self.rules += 1
        try:
            links = _Rule(table, self.asked, f"line {number}").read(tokens)
        except _StrangeError as error:
            ends = [word for word in tokens if word in ("accept", "drop", "reject")]
            may: Action | None = words.action(ends[-1]) if ends else None
            why = f"it says {error}, which is not known"
            unread = Unread(place=f"line {number}", text=" ".join(tokens), why=why, may=may or "either")
            chain.unread.append(unread)
            return
        self.elsewhere += not links
        chain.rules += links


def _members(tokens: Tokens) -> Iterator[Tokens]:
    """What stands between the commas of a set, without the outer braces."""
    inner = tokens[1:-1] if tokens[:1] == ["{"] and tokens[-1:] == ["}"] else tokens
    member: Tokens = []
    for word in inner:
        if word == ",":
            yield member
            member = []
        else:
            member.append(word)
    if member:
        yield member


def _address(text: str) -> Addresses:
    found = words.destination(text)
    if found is None or found.name or found.ports is not None:
        raise _StrangeError(f"the address {text[:60]!r}")
    return found.to


def _ports(texts: Sequence[str]) -> Intervals:
    found = words.ports(texts)
    if found is None:
        raise _StrangeError(f"the port {', '.join(texts)[:40]!r}")
    return found


#: Statements that change nothing about whether a packet passes -> the words that they may be followed by.
_TRAILING = {
    "counter": ("packets", "bytes", "name"),
    "log": ("prefix", "level", "group", "snaplen", "queue-threshold", "flags"),
    "comment": (),
    "notrack": (),
}


class _Rule:
    """One rule: its matches, then what is done."""

    def __init__(self, table: _Table, asked: Asked, place: str) -> None:
        self._table = table
        self._asked = asked
        self._place = place
        self._to = _FAMILIES.get(table.family, EVERYTHING)
        self._ports = ALL_PORTS
        self._only: list[str] = []
        self._other = False
        #: Pairs of addresses and ports, of a set that joins both.
        self._pairs: list[tuple[Addresses, Intervals]] = []
        #: Verdicts by address or port (vmap).
        self._map: list[tuple[Addresses, Intervals, Tokens]] = []

    def read(self, tokens: Tokens) -> list[Link]:
        """The rule as links: none where it is for other connections, several where it holds several verdicts."""
        rest = list(tokens)
        while rest:
            word = rest.pop(0)
            if word in _VERDICTS:
                return self._links(_VERDICTS[word], rest[0].strip('"') if rest and word in ("jump", "goto") else "")
            if word in ("continue",):
                return []
            self._statement(word, rest)
        return self._mapped()

    def _links(self, verdict: Verdict, target: str) -> list[Link]:
        if self._other or not self._to or not self._ports:
            return []
        parts = self._pairs or [(self._to, self._ports)]
        return [
            Link(
                place=self._place, verdict=verdict, target=target, to=to & self._to, ports=ports, only=tuple(self._only)
            )
            for to, ports in parts
            if to & self._to
        ]

    def _mapped(self) -> list[Link]:
        found: list[Link] = []
        to, own = self._to, self._ports
        for addresses, ports, verdict in self._map:
            self._to, self._ports = to & addresses, intersection(own, ports)
            found += self._links(_VERDICTS[verdict[0]], verdict[1].strip('"') if len(verdict) > 1 else "")
        return found

    def _statement(self, word: str, rest: Tokens) -> None:
        if word in _TRAILING:
            if word == "comment":
                del rest[:1]
            while len(rest) > 1 and rest[0] in _TRAILING[word]:
                del rest[:2]
        elif word in ("ip", "ip6") and rest:
            self._header(word, rest)
        elif word in ("tcp", "th") and rest:
            self._transport(rest)
        elif word in ("udp", "icmp", "icmpv6", "sctp", "udplite", "dccp", "esp", "ah", "igmp"):
            self._other = True
            _operand(rest[1:] if rest else rest)
            rest.clear()
            rest.append("continue")
        elif word == "meta" and rest:
            self._meta(rest.pop(0), rest)
        elif word in ("iif", "iifname", "oif", "oifname", "mark", "skuid", "skgid", "time", "day", "hour", "l4proto",
                      "nfproto", "cgroup", "pkttype", "iifgroup", "oifgroup"):  # fmt: skip
            self._meta(word, rest)
        elif word == "ct" and rest:
            self._conntrack(rest)
        elif word == "limit":
            self._only.append(f"at a limited rate ({_rate(rest)})")
        elif word == "fib":
            self._fib(rest)
        else:
            raise _StrangeError(repr(f"{word} {' '.join(rest[:3])}"[:60].strip()))

    def _header(self, family: str, rest: Tokens) -> None:
        """A field of the IP header."""
        name = rest.pop(0)
        within = _FAMILIES[family]
        if rest[:1] == ["."]:
            self._joined([f"{family} {name}"], rest)
            return
        if name == "daddr":
            if rest[:1] == ["vmap"]:
                rest.pop(0)
                self._map += [(_address(key), ALL_PORTS, to) for key, to in _verdicts(_braced(rest))]
                return
            negated, members = self._operand(rest)
            to = union(_address(member[0]) for member in members if member)
            self._to = self._to & within & (EVERYTHING - to if negated else to)
        elif name == "saddr":
            negated, members = self._operand(rest)
            texts = [member[0] for member in members if member]
            self._to = self._to & within
            conditions = (f"from others than {texts[:1]}",) if negated else self._asked.judge(texts)
            if conditions is None:
                self._other = True
            else:
                self._only += conditions
        elif name in ("protocol", "nexthdr"):
            self._to = self._to & within
            self._protocol(rest)
        else:
            negated, members = self._operand(rest)
            self._only.append(f"with {family} {name} {' '.join(members[0]) if members else ''}"[:60])

    def _transport(self, rest: Tokens) -> None:
        name = rest.pop(0)
        if name == "dport" and rest[:1] == ["vmap"]:
            rest.pop(0)
            self._map += [(EVERYTHING, _ports([key]), to) for key, to in _verdicts(_braced(rest))]
            return
        if name == "flags":
            self._flags(rest)
            return
        if name == "option" and "set" in rest:  # it changes an option of the packet
            rest[:] = ["continue"]
            return
        if rest[:1] == ["."]:
            self._joined([f"tcp {name}"], rest)
            return
        negated, members = self._operand(rest)
        ports = _ports([member[0] for member in members if member])
        if name == "dport":
            self._ports = difference(ALL_PORTS, ports) if negated else ports
        elif name == "sport":
            if difference(((49152, 65535),), ports):
                self._only.append("from other ports than the system chooses")
        else:
            raise _StrangeError(f"tcp {name}")

    def _fib(self, rest: Tokens) -> None:
        """Where the routes lead: a server elsewhere is none of the types local, broadcast, multicast."""
        if "oif" in rest and "missing" in rest[rest.index("oif") :][:2]:  # no route back: a reverse path filter
            del rest[: rest.index("missing") + 1]
            self._only.append("without a route back")
            return
        while rest and rest[0] != "type":
            if rest.pop(0) not in ("daddr", ".", "iif", "oif", "mark"):
                raise _StrangeError("fib")
        del rest[:1]
        negated, members = self._operand(rest)
        near = {word for member in members for word in member} <= {"local", "broadcast", "multicast", "anycast"}
        if not near:
            raise _StrangeError("fib")
        self._other |= not negated

    def _flags(self, rest: Tokens) -> None:
        """What opens a connection has the flag SYN and no other."""
        if rest[:1] == ["{"]:
            self._other |= ["syn"] not in list(_members(_braced(rest)))
            return
        said: Tokens = []
        while rest and _FLAGS.fullmatch(rest[0]):
            said.append(rest.pop(0))
        plain = [word.strip("()") for word in said]
        if not said or plain.count("/") > 1:
            raise _StrangeError("tcp flags")
        if "/" in plain:  # value / mask
            value, mask = "".join(plain[: plain.index("/")]), plain[plain.index("/") + 1 :]
            fits = value.lstrip("=!") == "syn" and "syn" in mask
        elif "&" in plain:  # mask, then the value
            fits = plain[-1] == "syn"
        else:  # any of these flags
            fits = "syn" in plain
        self._other |= fits == bool({"!=", "!"} & set(plain))

    def _joined(self, fields: list[str], rest: Tokens) -> None:
        """Several fields at once: ``ip daddr . tcp dport { 192.0.2.1 . 443 }``."""
        while rest[:1] == ["."]:
            fields.append(" ".join(rest[1:3]))
            del rest[:3]
        if rest[:1] == ["!="] or not set(fields) <= {"ip daddr", "ip6 daddr", "tcp dport", "th dport"}:
            raise _StrangeError(" . ".join(fields))
        _, members = self._operand(rest)
        for member in members:
            values = [word for word in member if word != "."][: len(fields)]
            if len(values) < len(fields):
                raise _StrangeError(" ".join(member))
            pair = dict(zip((field.split()[1] for field in fields), values, strict=True))
            to = _address(pair["daddr"]) if "daddr" in pair else EVERYTHING
            self._pairs.append((to, _ports([pair["dport"]]) if "dport" in pair else ALL_PORTS))
        self._other |= not members

    def _meta(self, name: str, rest: Tokens) -> None:
        if name in ("l4proto", "protocol"):
            if name == "l4proto":
                self._protocol(rest)
                return
            negated, members = self._operand(rest)
            said = {word for member in members for word in member}
            self._to = self._to & (
                EVERYTHING_V6 if said == {"ip6"} else EVERYTHING_V4 if said == {"ip"} else EVERYTHING
            )
        elif name == "nfproto":
            negated, members = self._operand(rest)
            self._to = self._to & (EVERYTHING_V6 if (members[:1] == [["ipv6"]]) != negated else EVERYTHING_V4)
        elif rest[:1] == ["set"]:
            del rest[:2]
        else:
            negated, members = self._operand(rest)
            names = [" ".join(member).strip('"') for member in members]
            if name in ("oif", "oifname", "iif", "iifname") and names == ["lo"]:
                self._other |= not negated  # what this machine sends to itself
            else:
                self._only.append(f"with {name} {'other than ' if negated else ''}{', '.join(names)}"[:60])

    def _protocol(self, rest: Tokens) -> None:
        negated, members = self._operand(rest)
        said = words.tcp(",".join(word for member in members for word in member))
        if said is None:
            raise _StrangeError(f"the protocol {members[:3]}")
        self._other |= said == negated

    def _conntrack(self, rest: Tokens) -> None:
        name = rest.pop(0)
        if name == "state" and rest[:1] == ["vmap"]:
            rest.pop(0)
            verdicts = dict(_verdicts(_braced(rest)))
            self._other |= "new" not in verdicts
            if "new" in verdicts:
                self._map.append((EVERYTHING, ALL_PORTS, verdicts["new"]))
        elif name == "state":
            negated, members = self._operand(rest)
            self._other |= ("new" in {word for member in members for word in member}) == negated
        elif rest[:1] == ["set"]:
            del rest[:2]
        else:
            negated, members = self._operand(rest)
            self._only.append(f"with ct {name} {' '.join(members[0]) if members else ''}"[:60])

    def _operand(self, rest: Tokens) -> tuple[bool, list[Tokens]]:
        """What is compared with: a value, values with commas, a set in braces, a named set; and whether it is not."""
        negated, members = _operand(rest)
        if len(members) == 1 and members[0][0].startswith("@"):
            name = members[0][0][1:]
            if name not in self._table.sets:
                raise _StrangeError(f"the set {name}")
            members = self._table.sets[name]
        return negated, members


def _operand(rest: Tokens) -> tuple[bool, list[Tokens]]:
    negated = rest[:1] == ["!="]
    if rest[:1] in (["!="], ["=="]):
        rest.pop(0)
    if rest[:1] == ["{"]:
        return negated, list(_members(_braced(rest)))
    if not rest:
        raise _StrangeError("a comparison with nothing")
    members = [[rest.pop(0)]]
    while rest[:1] == ["."] and len(rest) > 1:
        members[0] += [rest.pop(0), rest.pop(0)]
    while rest[:1] == [","] and len(rest) > 1:  # ct state established,related
        del rest[:1]
        members.append([rest.pop(0)])
    return negated, members


def _braced(rest: Tokens) -> Tokens:
    """The tokens from a brace to the one that closes it, taken out of ``rest``."""
    depth = 0
    for n, word in enumerate(rest):
        depth += (word == "{") - (word == "}")
        if not depth:
            found = rest[: n + 1]
            del rest[: n + 1]
            return found
    raise _StrangeError("a brace that is not closed")


def _verdicts(tokens: Tokens) -> Iterator[tuple[str, Tokens]]:
    """The members of a verdict map: ``443 : accept``."""
    for member in _members(tokens):
        if ":" not in member:
            raise _StrangeError(f"the verdict map {' '.join(member)[:40]!r}")
        colon = member.index(":")
        verdict = member[colon + 1 :]
        if not verdict or verdict[0] not in _VERDICTS or colon == 0:
            raise _StrangeError(f"the verdict {' '.join(verdict)[:40]!r}")
        yield member[0], verdict


def _rate(rest: Tokens) -> str:
    """The words of a limit, taken out of ``rest``: ``rate over 10 mbytes/second burst 5 packets``."""
    found: Tokens = []
    while rest and (rest[0] in ("rate", "over", "burst", "packets", "bytes", "name") or rest[0][:1].isdigit()
                    or re.fullmatch(r"[km]?bytes(?:/\w+)?", rest[0])):  # fmt: skip
        found.append(rest.pop(0))
    if not found:
        raise _StrangeError("a limit")
    return " ".join(found)[:40]
