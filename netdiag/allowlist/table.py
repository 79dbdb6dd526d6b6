"""Rules in rows and columns: CSV with any delimiter, and JSON objects with the same columns (as PowerShell writes).

Contract: columns are found by their names, in the spellings of the firewalls that export them. A row that means
something unknown is told, and decides nothing. Rows are asked in the order of the file, or of a column for priority;
what none fits is denied. A table of Windows rules has Windows' logic: what denies goes first.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from netdiag.allowlist import words
from netdiag.allowlist.addresses import Addresses, Intervals, parse_address, prefix_length, union
from netdiag.allowlist.entries import Action, Entry, Firewall, Unread, closing, ordered
from netdiag.allowlist.source import Asked
from netdiag.allowlist.windows import LOCAL_WORDS, windows_firewall

#: What a column is for -> its names, without anything but letters and digits.
_COLUMNS: dict[str, frozenset[str]] = {
    "destination": words.word_set(
        "destination dest dst to destinationaddress destaddress dstaddress destinationaddresses destip "
        "destinationip destinationipaddress destipaddress dstip dstaddr destaddr daddr "
        "destinationaddressprefix destinationaddressprefixes destinationprefix destinationnetwork "
        "destinationcidr destinationrange destinationhost destinationfqdn destinationfqdns destinationname "
        "destinations remoteip remoteaddress remoteaddresses remotehost address addresses ip ips ipaddress "
        "ipaddresses cidr prefix prefixes ipprefix addressprefix addressprefixes network networks subnet "
        "subnets iprange ipranges range host hosts hostname fqdn fqdns url urls domain domains endpoint "
        "server target ziel zieladresse"
    ),
    "mask": words.word_set("mask netmask subnetmask wildcard destinationmask dstmask prefixlength masklength length"),
    "port": words.word_set(
        "port ports destinationport destinationports destport destports dstport dstports dport dports "
        "destinationportrange destinationportranges remoteport remoteports tcpport tcpports service services "
        "zielport portrange"
    ),
    "protocol": frozenset(["protocol", "protocols", "proto", "ipprotocol", "transport", "protokoll"]),
    "action": words.word_set(
        "action actions access verdict permission decision disposition effect allowdeny permitdeny ruleaction aktion"
    ),
    "direction": frozenset(["direction", "dir", "flow", "trafficdirection", "richtung"]),
    "enabled": frozenset(["enabled", "enable", "active", "isenabled", "status", "state", "aktiviert"]),
    "disabled": frozenset(("disabled", "disable", "isdisabled")),
    "priority": words.word_set("priority order sequence seq seqno sequencenumber position prio"),
    "source": words.word_set(
        "source src from sourceaddress sourceaddresses sourceip sourceipaddress srcip srcaddr saddr "
        "sourceaddressprefix sourceaddressprefixes sourcenetwork localip localaddress quelle"
    ),
    "name": words.word_set("name rule rulename displayname title id policy policyname regelname"),
    "program": frozenset(("program", "application", "applicationname")),
}
_DELIMITERS = ",;\t|"
#: Lines looked at for a header; exports begin with a title at times.
_HEADER_LINES = 10
_MANY = re.compile(r"[\s,;|]+")
_WINDOWS = frozenset({"remoteip", "remoteaddress", "remoteaddresses"})
#: Statuses that say nothing of whether a rule is switched on.
_NEUTRAL = frozenset(("ok", "inplace", "nosetting", "installed"))

Row = Mapping[str, Sequence[str]]


def columns(names: Iterable[str]) -> dict[int, str]:
    """Which columns these names stand for, by position; the first of a kind counts."""
    found: dict[int, str] = {}
    for n, name in enumerate(names):
        plain = re.sub(r"[^a-z0-9]", "", name.lower())
        kind = next((kind for kind, spellings in _COLUMNS.items() if plain in spellings), "")
        if kind and kind not in found.values():
            found[n] = kind
    return found


def header(lines: Sequence[str]) -> tuple[int, str] | None:
    """Where a CSV's header is and its delimiter; None when the text is no table of destinations."""
    for number, line in enumerate(lines[:_HEADER_LINES]):
        if line.lstrip().startswith("#"):
            continue
        for delimiter in _DELIMITERS:
            names = next(csv.reader([line.replace("\0", "")], delimiter=delimiter), [])
            found = columns(names)
            if "destination" in found.values() and len(found) > 1:
                return number, delimiter
    return None


def read_csv(lines: Sequence[str], asked: Asked) -> Firewall:
    """The firewall of a CSV file that has a ``header``."""
    where = header(lines)
    assert where is not None
    start, delimiter = where
    reader = csv.reader(io.StringIO("\n".join(lines[start:])), delimiter=delimiter)
    names = next(reader)
    kinds = columns(names)
    table = _Table(asked=asked, windows=_is_windows(names))
    try:
        for cells in reader:
            if cells and not cells[0].lstrip().startswith("#") and any(cell.strip() for cell in cells):
                row = {kind: (cells[n],) for n, kind in kinds.items() if n < len(cells)}
                table.add(row, f"line {start + reader.line_num}", delimiter.join(cells))
    except csv.Error as error:
        table.unread.append(Unread(place=f"line {start + reader.line_num}", text="", why=f"not CSV: {error}"))
    return table.firewall("a table of rules (CSV)")


def read_objects(objects: Sequence[Mapping[str, object]], asked: Asked) -> Firewall:
    """The firewall of JSON objects that have columns: one rule each."""
    names = [name for name in objects[0] if isinstance(name, str)]
    table = _Table(asked=asked, windows=_is_windows(names))
    for number, each in enumerate(objects, 1):
        kinds = columns(each)
        row = {kind: _texts(value) for kind, value in zip(kinds.values(), _picked(each, kinds), strict=True)}
        table.add(row, f"object {number}", ", ".join(f"{key}={value}" for key, value in list(each.items())[:6]))
    return table.firewall("a table of rules (JSON)")


def _picked(each: Mapping[str, object], kinds: Mapping[int, str]) -> list[object]:
    values = list(each.values())
    return [values[n] for n in kinds]


def _is_windows(names: Iterable[str]) -> bool:
    return any(re.sub(r"[^a-z0-9]", "", name.lower()) in _WINDOWS for name in names)


def _texts(value: object) -> tuple[str, ...]:
    """A JSON value as cells: PowerShell writes a set as a list, or as an object with a member ``value``."""
    if isinstance(value, dict):
        return _texts(value.get("value", value.get("Value")))
    if isinstance(value, list):
        return tuple(text for each in value for text in _texts(each))
    return () if value is None else (str(value),)


@dataclass(kw_only=True)
class _Table:
    """Rows on their way to a firewall."""

    asked: Asked
    windows: bool
    entries: list[tuple[float, int, Entry]] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    rules: int = 0
    elsewhere: int = 0

    def add(self, row: Row, place: str, text: str) -> None:
        """Take a row, or note why it cannot be taken."""
        self.rules += 1
        name = _one(row, "name")
        place = f"{place} ({name})" if name else place
        try:
            entries = list(self._entries(row, place))
        except _StrangeError as error:
            does = words.action(_one(row, "action")) if "action" in row else "allow"
            self.unread.append(Unread(place=place, text=text, why=str(error), may=does or "either"))
            return
        self.elsewhere += not entries
        priority = _one(row, "priority")
        order = float(priority) if re.fullmatch(r"\d{1,9}", priority) else float("inf")
        self.entries += [(order, len(self.entries) + n, entry) for n, entry in enumerate(entries)]

    def _entries(self, row: Row, place: str) -> Iterator[Entry]:
        does = self._action(row)
        applies = (
            _known(row, "direction", words.outbound, True),
            _known(row, "protocol", words.tcp, True),
            _switched_on(row),
        )
        ports = words.ports(_split(row.get("port", ("any",)), "any"))
        if ports is None:
            raise _StrangeError(f"the port {_one(row, 'port')!r} is not known")
        if not all(applies) or not ports:
            return
        sources = self.asked.judge(_split(row.get("source", ()), "any"))
        if sources is None:
            return
        only = sources
        program = _one(row, "program").lower()
        if program not in words.ANY | {"", "system"} and self.windows:
            only = (*only, f"for the program {_one(row, 'program')}")
        yield from self._destinations(row, place, does, ports, only)

    def _destinations(
        self, row: Row, place: str, does: Action, ports: Intervals, only: tuple[str, ...]
    ) -> Iterator[Entry]:
        texts = _split(row.get("destination", ()), "")
        mask = _one(row, "mask")
        if not texts and not self.windows:
            raise _StrangeError("it names no destination")
        if mask and len(texts) == 1:
            texts = (_with_mask(texts[0], mask),)
        sets: list[Addresses] = []
        names: list[str] = []
        for text in texts or ("any",):
            if self.windows and text.lower() in LOCAL_WORDS:
                continue
            found = words.destination(text, self.asked.tags)
            if found is None:
                raise _StrangeError(f"the destination {text[:60]!r} is neither an address nor a name")
            if found.ports is not None or found.tag:
                yield Entry(
                    place=place,
                    action=does,
                    to=found.to,
                    names=(found.name,) if found.name else (),
                    tag=found.tag,
                    ports=found.ports or ports,
                    only=only,
                )
            elif found.name:
                names.append(found.name)
            else:
                sets.append(found.to)
        if sets or names:
            yield Entry(place=place, action=does, to=union(sets), names=tuple(names), ports=ports, only=only)

    def _action(self, row: Row) -> Action:
        if "action" not in row or not _one(row, "action"):
            return "allow"
        text = _one(row, "action")
        if self.windows and text in ("2", "4"):  # NetSecurity's enumeration: NotConfigured 0, Allow 2, Block 4
            return "allow" if text == "2" else "deny"
        found = words.action(text)
        if found is None:
            raise _StrangeError(f"the action {text[:40]!r} is not known")
        return found

    def firewall(self, what: str) -> Firewall:
        """All rows together."""
        if any(order != float("inf") for order, _, _ in self.entries):
            self.entries.sort(key=lambda entry: entry[:2])
        entries = [entry for _, _, entry in self.entries]
        if self.windows:
            return windows_firewall(
                entries, self.asked, words=what, rules=self.rules, elsewhere=self.elsewhere, unread=tuple(self.unread)
            )
        return Firewall(
            kind="table",
            words=what,
            layers=ordered(closing(entries, "the end of the rules")),
            rules=self.rules,
            elsewhere=self.elsewhere,
            unread=tuple(self.unread),
        )


class _StrangeError(Exception):
    """A row that means something unknown, in words."""


def _one(row: Row, kind: str) -> str:
    return " ".join(cell.strip() for cell in row.get(kind, ())).strip()


def _split(cells: Iterable[str], empty: str) -> tuple[str, ...]:
    """The values in cells: several are separated by commas, semicolons, bars, blanks or line breaks."""
    found = tuple(
        part for cell in cells for part in _MANY.split(re.sub(r"\s+[-–]\s+", "-", cell.strip("\"' []{}"))) if part
    )
    return found or ((empty,) if empty else ())


def _known(row: Row, kind: str, meaning: Callable[[str], bool | None], absent: bool) -> bool:
    text = _one(row, kind)
    if not text:
        return absent
    found = meaning(text)
    if found is None:
        raise _StrangeError(f"the {kind} {text[:40]!r} is not known")
    return found


def _switched_on(row: Row) -> bool:
    if _one(row, "disabled"):
        return not _known(row, "disabled", words.enabled, False)
    if re.sub(r"[^a-z]", "", _one(row, "enabled").lower()) in _NEUTRAL:
        return True
    return _known(row, "enabled", words.enabled, True)


def _with_mask(text: str, mask: str) -> str:
    address = parse_address(text)
    length = prefix_length(mask.removeprefix("/"), address[0]) if address else None
    return text if length is None else f"{text}/{length}"
