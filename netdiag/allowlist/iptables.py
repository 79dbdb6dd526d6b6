"""iptables and ip6tables: what iptables-save, ``iptables -S`` and ``iptables -L -n`` print, and commands in a script.

Contract: the filter table counts; of the others it is only told that they drop. FORWARD is judged where it filters
anything, since a firewall stands between others; else OUTPUT. A rule with an option that is not known is not
understood, and decides nothing. iptables(8) and iptables-extensions(8) define the options.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from netdiag.allowlist import words
from netdiag.allowlist.addresses import (
    EVERYTHING,
    Addresses,
    Family,
    Intervals,
    difference,
    everything,
    parse_destination,
    union,
)
from netdiag.allowlist.chains import Chain, Link, Verdict, flattened, reached
from netdiag.allowlist.entries import ALL_PORTS, Action, Entry, Firewall, Layer, Unread
from netdiag.allowlist.source import Asked

_CHAIN_LINE = re.compile(r":(\S+)\s+(\S+)(?:\s+\[\d+:\d+\])?")
_COMMAND = re.compile(
    r"(?:(?:sudo\s+)?(?:\S*/)?(ip6?tables)\S*\s+)?(?:\[\d+:\d+\]\s+)?(?:(?:-t|--table)\s+(\S+)\s+)?"
    r"(-[APNI]|--append|--policy|--new-chain|--insert)\s"
)
_LISTED = re.compile(r"Chain (\S+) \((?:policy (\w+)|\d+ references?)[^)]*\)")
_GENERATED = re.compile(r"#.*\b(ip6?tables)-(?:nft-|legacy-)?save\b")
_IPSET = re.compile(r"(create|add) (\S+) (\S+)(.*)")

_VERDICTS: dict[str, Verdict] = {"ACCEPT": "accept", "DROP": "drop", "REJECT": "drop", "RETURN": "return"}
#: Targets after which the next rule is asked.
_PASSING = words.word_set(
    "LOG NFLOG ULOG MARK CONNMARK TCPMSS DSCP TOS CLASSIFY TRACE AUDIT SECMARK CONNSECMARK SET CT NOTRACK "
    "TTL HL CHECKSUM TEE IDLETIMER LED RATEEST ECN"
)
#: Options that restrict nothing that matters here -> how many words follow.
_IGNORED = {
    **dict.fromkeys(("-m", "--match", "--comment", "--set-counters", "--ctdir"), 1),
    **dict.fromkeys(("-4", "-6", "--ipv4", "--ipv6", "-w", "--wait", "-v", "-n"), 0),
}
#: Options that make a rule depend on what netdiag cannot test -> how many words follow.
_CONDITIONS = {
    **dict.fromkeys(
        words.word_set(
            "--limit --limit-burst --mark --uid-owner --gid-owner --cgroup --path --seconds "
            "--hitcount --name --datestart --datestop --timestart --timestop --weekdays --monthdays --mac-source "
            "--hashlimit --hashlimit-upto --hashlimit-above --hashlimit-mode --hashlimit-name --hashlimit-burst "
            "--connlimit-upto --connlimit-above --connlimit-mask --probability --every --packet --mode --dscp "
            "--dscp-class --tos --ttl-eq --ttl-lt --ttl-gt --hl-eq --physdev-in --physdev-out --src-type --length "
            "--connbytes --connbytes-dir --connbytes-mode --quota --mss --src-cc --dst-cc --source-country "
            "--destination-country --string --algo --helper --cpu --pkt-type --realm --u32 --bytecode "
            "--hex-string --from --to --rttl --rsource --ctstatus --ctexpire --ctproto --dir --pol --mode-ipsec"
        ),
        1,
    ),
    **dict.fromkeys(
        words.word_set(
            "--set --rcheck --update --remove --socket-exists --physdev-is-bridged --physdev-is-in "
            "--physdev-is-out --kerneltz --contiguous --fragment -f --transparent --nowildcard --rdest"
        ),
        0,
    ),
}


@dataclass
class _Table:
    """The filter table of one family."""

    family: Family
    chains: dict[str, Chain] = field(default_factory=dict)

    def chain(self, name: str) -> Chain:
        return self.chains.setdefault(name, Chain(name=name))


@dataclass
class _Reading:
    """A listing on its way to a firewall."""

    asked: Asked
    sets: dict[str, Addresses]
    tables: list[_Table] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    remarks: dict[str, None] = field(default_factory=dict)
    rules: int = 0
    elsewhere: int = 0

    def add(self, table: _Table, chain: str, rule: _Rule, place: str, text: str) -> None:
        """Take a rule, or note why it cannot be taken."""
        self.rules += 1
        if rule.strange:
            does = words.action(rule.target)
            unread = Unread(place=place, text=text, why=rule.strange, may=does or "either")
            table.chain(chain).unread.append(unread)
            return
        link = rule.link(place, self.asked)
        if link is None:
            self.elsewhere += 1
        else:
            table.chain(chain).rules.append(link)


def looks_like_iptables(lines: Sequence[str]) -> bool:
    """Whether it is one of the listings."""
    for line in lines:
        if line.startswith("*") and line[1:].strip() in ("filter", "nat", "mangle", "raw", "security"):
            return True
        if _LISTED.match(line) or _COMMAND.match(line.strip()):
            return True
    return False


def read_iptables(lines: Sequence[str], asked: Asked, what: str) -> Firewall:
    """The firewall; ``what`` stands for the file in messages."""
    reading = _Reading(asked, _ipsets(lines))
    if any(_LISTED.match(line) for line in lines):
        _read_listing(lines, reading)
    else:
        _read_commands(lines, reading)
    _note_undefined(reading)
    start, words_ = _start(reading, asked)
    if start not in ("FORWARD", "OUTPUT"):
        reading.remarks[f"chain {start} is judged, as --chain says"] = None

    def layers(port: int) -> tuple[Layer, ...]:
        entries: list[Entry] = []
        for table in reading.tables:
            chain = table.chains.get(start)
            if chain is not None:
                entries += flattened(table.chains, chain, port, what, everything(table.family))
        return (tuple(entries),)

    starts = [(table.chains, table.chains[start]) for table in reading.tables if start in table.chains]
    unread = [each for chains, first in starts for chain in reached(chains, first) for each in chain.unread]
    return Firewall(
        kind="iptables",
        words=words_,
        layers=layers,
        rules=reading.rules,
        elsewhere=reading.elsewhere,
        unread=(*reading.unread, *unread),
        remarks=tuple(reading.remarks),
    )


def _note_undefined(reading: _Reading) -> None:
    """Targets that are neither known nor a chain of the file: modules of the kernel."""
    for table in reading.tables:
        for chain in table.chains.values():
            for rule in chain.rules:
                if rule.verdict in ("jump", "goto") and rule.target not in table.chains:
                    why = f"the target {rule.target} is neither known nor a chain of the file"
                    chain.unread.append(Unread(place=rule.place, text=rule.target, why=why))


def _start(reading: _Reading, asked: Asked) -> tuple[str, str]:
    """The chain that is judged, and how it is called."""
    known = {name for table in reading.tables for name in table.chains}
    if asked.chain and asked.chain in known:
        return asked.chain, f"iptables, chain {asked.chain}"
    if asked.chain:
        reading.remarks[f"there is no chain {asked.chain} in it"] = None
    filtering = [
        name
        for name in ("FORWARD", "OUTPUT")
        if any(name in table.chains and table.chains[name].filters for table in reading.tables)
    ]
    start = filtering[0] if filtering else ("FORWARD" if "FORWARD" in known else "OUTPUT")
    if len(filtering) > 1:
        reading.remarks["chain OUTPUT filters too, what this machine itself sends (--chain OUTPUT judges that)"] = None
    names = " and ".join("ip6tables" if table.family == 6 else "iptables" for table in reading.tables)
    return start, f"{names or 'iptables'}, chain {start}"


def _ipsets(lines: Sequence[str]) -> dict[str, Addresses]:
    """The sets of ``ipset save``, where that was put into the same file. Only sets of addresses alone are known."""
    kinds: dict[str, str] = {}
    members: dict[str, list[Addresses]] = {}
    for line in lines:
        match = _IPSET.match(line)
        if match is None:
            continue
        if match[1] == "create":
            kinds[match[2]] = match[3]
            members.setdefault(match[2], [])
        elif kinds.get(match[2]) in ("hash:ip", "hash:net", "bitmap:ip"):
            found = parse_destination(match[3])
            if found is not None and "nomatch" not in match[4]:
                members[match[2]].append(found)
            else:
                kinds[match[2]] = "strange"
    return {name: union(members[name]) for name, kind in kinds.items() if kind in ("hash:ip", "hash:net", "bitmap:ip")}


def _read_commands(lines: Sequence[str], reading: _Reading) -> None:
    """iptables-save, iptables -S, and scripts of iptables commands."""
    family: Family = 4
    told = False
    name = "filter"
    table: _Table | None = None
    for number, raw in enumerate(lines, 1):
        line = raw.strip()
        place = f"line {number}"
        if generated := _GENERATED.match(line):
            family, told, table = (6 if generated[1] == "ip6tables" else 4), True, None
        elif line.startswith("*"):
            name, table = line[1:].strip(), None
        elif line in ("", "COMMIT") or line.startswith("#") or _IPSET.match(line):
            continue
        elif match := _CHAIN_LINE.fullmatch(line):
            table = table or _new_table(reading, family if told else _family_of(lines, number))
            if name == "filter":
                _declare(table, match[1], match[2], reading.asked)
        elif command := _COMMAND.match(line):
            if command[1]:
                family, told = (6 if command[1] == "ip6tables" else 4), True
                table = next((each for each in reading.tables if each.family == family), None)
            table = table or _new_table(reading, family if told else _family_of(lines, number))
            _take(line[command.start(3) :], place, command[2] or name, table, reading)
        else:
            reading.unread.append(Unread(place=place, text=line, why="no line of iptables-save or iptables -S"))


def _new_table(reading: _Reading, family: Family) -> _Table:
    """The table of a family: of what comes in blocks, the same one."""
    found = next((table for table in reading.tables if table.family == family), None)
    if found is None:
        found = _Table(family)
        reading.tables.append(found)
    return found


def _family_of(lines: Sequence[str], start: int) -> Family:
    """The family of a block that does not say it: IPv6 where an address of it is in there."""
    for line in lines[start - 1 :]:
        if line.strip() == "COMMIT":
            break
        if (
            re.search(r"(?:^|\s)(?:-s|-d|--source|--destination)\s+\S*:", line)
            or "icmp6" in line
            or "ipv6-icmp" in line
        ):
            return 6
    return 4


def _declare(table: _Table, chain: str, policy: str, asked: Asked) -> None:
    found = table.chain(chain)
    said: Action | None = {"ACCEPT": "allow", "DROP": "deny"}.get(policy.upper())  # type: ignore[assignment]
    found.policy = (asked.default or said) if said else None


def _take(line: str, place: str, name: str, table: _Table, reading: _Reading) -> None:
    """One -A, -I, -P or -N."""
    try:
        parts = shlex.split(line) if '"' in line or "'" in line or "\\" in line else line.split()
    except ValueError as error:
        reading.unread.append(Unread(place=place, text=line, why=f"its quotes do not match: {error}"))
        return
    command, chain, rest = parts[0], parts[1] if len(parts) > 1 else "", parts[2:]
    if name != "filter":
        reading.elsewhere += 1
        reading.rules += 1
        if any(word in ("DROP", "REJECT") for word in rest):
            reading.remarks[f"table {name} has rules that drop, which are not judged"] = None
        return
    if command in ("-P", "--policy"):
        _declare(table, chain, rest[0] if rest else "", reading.asked)
    elif command in ("-N", "--new-chain"):
        table.chain(chain)
    else:
        at_the_top = command in ("-I", "--insert")
        if at_the_top and rest and rest[0].isdigit():
            rest = rest[1:]
        rule = _rule(rest, table.family, reading)
        before = len(table.chain(chain).rules)
        reading.add(table, chain, rule, place, line)
        if at_the_top and len(table.chain(chain).rules) > before:
            table.chain(chain).rules.insert(0, table.chain(chain).rules.pop())


@dataclass
class _Rule:
    """The matches of one rule, as they are read."""

    family: Family
    to: Addresses = EVERYTHING
    ports: Intervals = ALL_PORTS
    sources: list[str] = field(default_factory=list)
    only: list[str] = field(default_factory=list)
    target: str = ""
    goes: bool = False
    #: It is for other connections than new ones of TCP that leave.
    other: bool = False
    strange: str = ""

    def link(self, place: str, asked: Asked) -> Link | None:
        """The rule as chains have it; None where it says nothing here."""
        sources = asked.judge(self.sources)
        if self.other or sources is None or not self.target or self.target in _PASSING or not self.ports:
            return None
        verdict = _VERDICTS.get(self.target, "goto" if self.goes else "jump")
        return Link(
            place=place,
            verdict=verdict,
            target=self.target,
            to=self.to & everything(self.family),
            ports=self.ports,
            only=(*sources, *self.only),
        )

    def destinations(self, text: str, negated: bool) -> None:
        found = [words.destination(part) for part in text.split(",")]
        if not all(each is not None and not each.name for each in found):
            self.strange = f"the destination {text[:60]!r} is no address (iptables -n prints addresses)"
            return
        to = union(each.to for each in found if each)
        self.to = self.to & (EVERYTHING - to if negated else to)

    def destination_ports(self, text: str, negated: bool) -> None:
        found = words.ports(text.replace(":", "-").split(","))
        if found is None:
            self.strange = f"the port {text[:40]!r} is not known (iptables -n prints numbers)"
        else:
            self.ports = difference(ALL_PORTS, found) if negated else found

    def source_ports(self, text: str) -> None:
        """The system chooses the port that a connection leaves from, from 32768 or 49152 on."""
        found = words.ports(text.replace(":", "-").split(","))
        if found is None or difference(((49152, 65535),), found):
            self.only.append(f"from the ports {text[:40]}")

    def state(self, text: str, negated: bool) -> None:
        new = "NEW" in text.upper().split(",")
        self.other |= new == negated

    def protocol(self, text: str, negated: bool) -> None:
        found = words.tcp(text)
        if found is None:
            self.strange = f"the protocol {text[:40]!r} is not known"
        elif found == negated:
            self.other = True

    def set_of(self, name: str, flags: str, negated: bool, sets: dict[str, Addresses]) -> None:
        if flags == "src":
            self.only.append(f"from the set {name}")
        elif flags == "dst" and name in sets:
            self.to = self.to & (EVERYTHING - sets[name] if negated else sets[name])
        else:
            self.strange = f"the set {name} is not in the file (put the output of ipset save before the rules)"


def _rule(parts: Sequence[str], family: Family, reading: _Reading) -> _Rule:
    """The options of one rule."""
    rule = _Rule(family)
    negated = False
    words_left = iter(parts)
    for option in words_left:
        if option == "!":
            negated = True
            continue
        if not _option(rule, option, negated, words_left, reading):
            rule.strange = rule.strange or f"the option {option[:40]!r} is not known"
        if rule.strange or rule.target:
            break  # what follows the target are its own options
        negated = False
    rule.target = rule.target or next((to for key, to in pairwise(parts) if key == "-j"), "")
    return rule


def _option(rule: _Rule, option: str, negated: bool, rest: Iterator[str], reading: _Reading) -> bool:
    """One option with its words; whether it is known."""

    def value() -> str:
        return next(rest, "")

    with_value: dict[str, Callable[[str], None]] = {
        **dict.fromkeys(("-d", "--destination", "--dst"), lambda text: rule.destinations(text, negated)),
        **dict.fromkeys(("--dst-range",), lambda text: rule.destinations(text, negated)),
        **dict.fromkeys(
            ("--dport", "--dports", "--destination-port", "--destination-ports"),
            lambda text: rule.destination_ports(text, negated),
        ),
        **dict.fromkeys(("--sport", "--sports", "--source-port", "--source-ports"), rule.source_ports),
        **dict.fromkeys(("--state", "--ctstate"), lambda text: rule.state(text, negated)),
        **dict.fromkeys(("-p", "--protocol", "--proto"), lambda text: rule.protocol(text, negated)),
    }
    if option in with_value:
        with_value[option](value())
    elif option in ("-s", "--source", "--src", "--src-range"):
        text = value()
        if negated:
            rule.only.append(f"from others than {text[:60]}")
        else:
            rule.sources = text.split(",")
    elif option in ("-o", "--out-interface", "-i", "--in-interface"):
        name, way = value(), "through" if "o" in option.strip("-")[:1] else "coming in on"
        if name == "lo":  # what this machine sends to itself
            rule.other |= not negated
        else:
            rule.only.append(f"{way} {'any interface but ' if negated else ''}{name}")
    elif option in ("-j", "--jump", "-g", "--goto"):
        rule.target, rule.goes = value(), option in ("-g", "--goto")
        rule.strange = rule.strange or _strange_target(rule.target)
    elif option == "--match-set":
        rule.set_of(value(), value(), negated, reading.sets)
    elif option == "--dst-type":  # to this machine, to all, to a group: never to a server elsewhere
        rule.other |= value() in ("LOCAL", "BROADCAST", "MULTICAST", "ANYCAST") and not negated
    elif option == "--syn":
        rule.other |= negated
    elif option == "--tcp-flags":
        rule.other |= _fits_syn(value(), value()) == negated
    elif option in ("--icmp-type", "--icmpv6-type"):
        rule.other = True
        value()
    elif option in _IGNORED:
        _skip(rest, _IGNORED[option])
    elif option in _CONDITIONS:
        said = " ".join([option.lstrip("-"), *_skip(rest, _CONDITIONS[option])])
        rule.only.append(f"{'not ' if negated else ''}with {said[:60]}")
    else:
        return False
    return True


def _fits_syn(mask: str, flags: str) -> bool:
    """Whether what opens a connection, the flag SYN alone, fits: of the flags in the mask exactly these are set."""
    looked_at = set(mask.upper().split(","))
    return ({"SYN"} if looked_at & {"SYN", "ALL"} else {"NONE"}) == set(flags.upper().split(","))


def _skip(rest: Iterator[str], count: int) -> list[str]:
    return [next(rest, "") for _ in range(count)]


def _strange_target(target: str) -> str:
    """What is wrong with a target that is neither a verdict nor passes on; chains of users are as they are called."""
    known_to_stop = ("QUEUE", "NFQUEUE", "TARPIT", "SYNPROXY", "DNAT", "SNAT", "REDIRECT", "MASQUERADE", "TPROXY")
    return f"the target {target} is not followed" if target in known_to_stop else ""


def _read_listing(lines: Sequence[str], reading: _Reading) -> None:
    """Iptables -L, with or without -n, -v and --line-numbers."""
    six = any(re.search(r"\s::/0(?:\s|$)|\s[0-9a-f]+:[0-9a-f:]*/\d+", line) for line in lines)
    table = _new_table(reading, 6 if six else 4)
    chain = ""
    heads: list[str] = []
    for number, raw in enumerate(lines, 1):
        line = raw.strip()
        if match := _LISTED.match(line):
            chain = match[1]
            _declare(table, chain, match[2] or "-", reading.asked)
        elif line.split()[-2:] == ["source", "destination"] and "prot" in line:
            heads = line.split()
        elif line and chain and heads and not _IPSET.match(line):
            rule = _listed_rule(line.split(), heads, reading, table.family)
            reading.add(table, chain, rule, f"line {number}", line)
        elif line and not _IPSET.match(line) and not line.startswith("#"):
            reading.unread.append(Unread(place=f"line {number}", text=line, why="no line of iptables -L"))


def _listed_rule(parts: list[str], heads: Sequence[str], reading: _Reading, family: Family) -> _Rule:
    """A row of the listing. IPv6 rows leave the column "opt" empty; a rule without a target, that of "target"."""
    rule = _Rule(family)
    columns = [head for head in heads if head != "opt"]
    fragments = next((n for n, part in enumerate(parts[: len(heads)]) if part in ("--", "-f", "!f")), None)
    if fragments is not None:
        del parts[fragments]
    if words.tcp(parts[columns.index("prot")] if len(parts) > columns.index("prot") else "?") is None:
        columns = [column for column in columns if column != "target"]
    if len(parts) < len(columns):
        rule.strange = "it has too few columns"
        return rule
    row = dict(zip(columns, parts, strict=False))
    rule.target = row.get("target", "")
    rule.strange = _strange_target(rule.target)
    rule.protocol(row["prot"].removeprefix("!"), row["prot"].startswith("!"))
    for column, option in (("out", "-o"), ("in", "-i")):
        if row.get(column, "*") not in ("*", "any"):
            _option(rule, option, False, iter([row[column]]), reading)
    if row["source"] not in ("anywhere", "0.0.0.0/0", "::/0"):
        _option(rule, "-s", row["source"].startswith("!"), iter([row["source"].removeprefix("!")]), reading)
    if row["destination"] != "anywhere":
        rule.destinations(row["destination"].removeprefix("!"), row["destination"].startswith("!"))
    _extra(rule, re.sub(r"/\*.*?\*/", " ", " ".join(parts[len(columns) :])), reading)
    return rule


#: SYN in the flags of TCP (RFC 9293 §3.1).
_SYN = 0x02
#: What the last column says -> the option that was given.
_EXTRAS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), option)
    for pattern, option in (
        (r"(?:tcp |udp )?dpts?:(!?)(\S+)", "--dport"),
        (r"(?:tcp |udp )?spts?:(!?)(\S+)", "--sport"),
        (r"multiport dports (!? ?)(\S+)", "--dports"),
        (r"multiport sports (!? ?)(\S+)", "--sports"),
        (r"(!? ?)(?:ct)?state (\S+)", "--ctstate"),
        (r"destination IP range (!? ?)(\S+)", "--dst-range"),
        (r"source IP range (!? ?)(\S+)", "--src-range"),
        (r"(!? ?)match-set (\S+ \S+)", "--match-set"),
        (r"ADDRTYPE match dst-type (!? ?)(\S+)", "--dst-type"),
        (r"(\[)(goto)\]", "goto"),
        (r"(?:tcp )?flags:(!?)(\S+)", "flags"),
        (r"(reject)-with (\S+)", ""),
        (r"(LOG|NFLOG) (.*)", ""),
        (r"(tcp|udp|/\*|\*/)()(?=\s|$)", ""),
    )
)


def _extra(rule: _Rule, text: str, reading: _Reading) -> None:
    """The last column. What is not known of it is a condition: the kernel's matches are many."""
    text = text.strip()
    while text and not rule.strange:
        found = next(((match, option) for pattern, option in _EXTRAS if (match := pattern.match(text))), None)
        if found is None:
            rule.only.append(f"with {text[:60]}")
            return
        match, option = found
        text = text[match.end() :].strip()
        if option == "goto":
            rule.goes = True
        elif option == "flags":
            mask, _, flags = match[2].partition("/")
            try:
                fits = int(mask, 16) & _SYN == int(flags, 16)
            except ValueError:  # listed without -n: by their names
                fits = _fits_syn(mask, flags)
            rule.other |= fits == bool(match[1])
        elif option:
            target, rule.target = rule.target, ""
            _option(rule, option, "!" in match[1], iter(match[2].split()), reading)
            rule.target = target
