"""Windows' own firewall: what ``netsh advfirewall firewall show rule name=all`` prints, in any of its languages.

Contract: a record is what stands between two lines of dashes. Its fields come in a fixed order whatever the language;
the words in them are known in English and in part in others, and a record with unknown ones is told as not understood.
A rule that blocks goes before those that allow, and the profile decides the rest (learn.microsoft.com/windows/security,
"Windows Firewall rules").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from netdiag.allowlist import words
from netdiag.allowlist.addresses import EVERYTHING, union
from netdiag.allowlist.entries import Action, Entry, Firewall, Unread, ordered
from netdiag.allowlist.source import Asked

#: Windows' words for addresses near it, none of which is a public service's.
LOCAL_WORDS = words.word_set(
    "localsubnet localsubnet4 localsubnet6 dns dhcp wins defaultgateway intranet rmtintranet ply2renders "
    "playtodevice captiveportal lokalessubnetz"
)
_DASHES = re.compile(r"\s*-{20,}\s*")
_FIELD = re.compile(r"([^\s:][^:]{0,60}?)\s*:\s?(.*)")
#: "Firewall Policy    BlockInbound,AllowOutbound" of ``netsh advfirewall show allprofiles``: not translated.
_POLICY = re.compile(r"\b(?:Block|Allow)Inbound(?:Always)?,(Block|Allow)Outbound\b", re.IGNORECASE)

#: English names of fields, and others that netsh uses, without anything but letters. What is not here is told by its
#: place in the record.
_NAMES = {
    "enabled": "enabled",
    "aktiviert": "enabled",
    "direction": "direction",
    "richtung": "direction",
    "profiles": "profiles",
    "profile": "profiles",
    "localip": "local",
    "lokalesip": "local",
    "lokaleip": "local",
    "remoteip": "remote",
    "protocol": "protocol",
    "protokoll": "protocol",
    "localport": "local port",
    "lokalerport": "local port",
    "remoteport": "remote port",
    "action": "action",
    "aktion": "action",
    "program": "program",
    "programm": "program",
    "service": "service",
    "interfacetypes": "interfaces",
    "security": "security",
}
#: The fields that every record begins with, in their order.
_ORDER = ("enabled", "direction", "profiles", "grouping", "local", "remote", "protocol")
#: The programs of an integration runtime.
_OUR_PROGRAMS = ("diahost.exe", "diawp.exe")


def windows_firewall(
    entries: Sequence[Entry],
    asked: Asked,
    *,
    words: str,
    rules: int,
    elsewhere: int,
    unread: tuple[Unread, ...],
    said: Action | None = None,
) -> Firewall:
    """Rules of Windows in its order. ``said``: what the listing itself says of connections that no rule fits.

    Where it says nothing, Windows' own setting counts, which is to allow them.
    """
    default = asked.default or said
    denying = [entry for entry in entries if entry.action == "deny"]
    allowing = [entry for entry in entries if entry.action == "allow"]
    last = Entry(place="the outbound default", action=default or "allow", to=EVERYTHING)
    remark = (
        "the listing does not tell what becomes of connections that no rule fits; Windows' own setting, to allow them, "
        "is assumed (--default deny if your policy blocks them)"
    )
    return Firewall(
        kind="windows",
        words=words,
        layers=ordered([*denying, *allowing, last]),
        rules=rules,
        elsewhere=elsewhere,
        unread=unread,
        remarks=() if default else (remark,),
    )


def looks_like_netsh(lines: Sequence[str]) -> bool:
    """Whether there is a record: a field, dashes, a field."""
    for before, line, after in zip(lines, lines[1:], lines[2:], strict=False):
        if _DASHES.fullmatch(line) and _FIELD.match(before.strip()) and _FIELD.match(after.strip()):
            return True
    return any(re.match(r"Rule Name:\s", line) for line in lines)


def read_netsh(lines: Sequence[str], asked: Asked) -> Firewall:
    """The rules in netsh's listing, and the policy where that is in it, too."""
    entries: list[Entry] = []
    unread: list[Unread] = []
    rules = elsewhere = 0
    for record in _records(lines):
        rules += 1
        try:
            entry = _entry(record, asked)
        except ValueError as error:
            unread.append(Unread(place=record.place, text=record.name, why=str(error), may=record.may))
            continue
        if entry is None:
            elsewhere += 1
        else:
            entries.append(entry)
    policies = {match[1].lower() for line in lines for match in _POLICY.finditer(line)}
    said: Action | None = None
    if policies:
        said = "deny" if "block" in policies else "allow"
    return windows_firewall(
        entries,
        asked,
        words="the rules of Windows' own firewall",
        rules=rules,
        elsewhere=elsewhere,
        unread=tuple(unread),
        said=said,
    )


@dataclass
class _Record:
    place: str
    name: str
    fields: dict[str, str] = field(default_factory=dict)
    #: All fields in their order, by the names that they have there.
    all: list[tuple[str, str]] = field(default_factory=list)

    def get(self, kind: str) -> str:
        return self.fields.get(kind, "").strip()

    @property
    def may(self) -> Action:
        """What it might do; a rule of which nothing is known might as well block."""
        return words.action(self.get("action")) or "deny"


def _records(lines: Sequence[str]) -> Iterator[_Record]:
    record: _Record | None = None
    before = ("", 0)
    for number, line in enumerate(lines, 1):
        text = line.strip().removeprefix("[*]").strip()
        match = _FIELD.match(text)
        begins = number < len(lines) and _DASHES.fullmatch(lines[number]) is not None and match is not None
        if begins or text.startswith("Rule Name:"):
            if record is not None:
                yield _complete(record)
            name = match[2].strip() if match else text
            record = _Record(place=f"line {number} ({name})", name=name)
        elif record is not None and match and not line.startswith((" ", "\t")):
            record.all.append((match[1], match[2].strip()))
            before = (match[1], number)
        elif record is not None and text and before[1] == number - 1 and record.all and line.startswith((" ", "\t")):
            name, value = record.all[-1]
            record.all[-1] = (name, f"{value},{text}" if value.endswith(",") else f"{value} {text}")
            before = (name, number)
    if record is not None:
        yield _complete(record)


def _complete(record: _Record) -> _Record:
    """Name the fields: by what they are called where that is known, else by their place."""
    known = [(_NAMES.get(re.sub(r"[^a-zäöü]", "", name.lower()), ""), value) for name, value in record.all]
    record.fields = {kind: value for kind, value in reversed(known) if kind}
    if {"enabled", "direction", "remote", "action"} <= record.fields.keys():
        return record
    values = [value for _, value in record.all]
    if values and words.enabled(values[0]) is None and len(values) > 1:  # "verbose" puts a description before it
        values = values[1:]
    for kind, value in zip(_ORDER, values, strict=False):
        record.fields.setdefault(kind, value)
    if values:
        record.fields.setdefault("action", values[-1])
    if words.tcp(record.get("protocol")) and record.get("protocol").lower() in ("tcp", "6") and len(values) > 8:
        record.fields.setdefault("local port", values[7])
        record.fields.setdefault("remote port", values[8])
    return record


def _entry(record: _Record, asked: Asked) -> Entry | None:
    """The rule; None where it is for other connections. Raises ``ValueError`` for what is not understood."""
    for kind, meaning in (("enabled", words.enabled), ("direction", words.outbound), ("protocol", words.tcp)):
        found = meaning(record.get(kind)) if record.get(kind) else None
        if found is None:
            raise ValueError(f"the field for {kind} says {record.get(kind)[:40]!r}")
        if not found:
            return None
    does = words.action(record.get("action"))
    if does is None:
        raise ValueError(f"the field for the action says {record.get('action')[:40]!r}")
    ports = words.ports(_members(record.get("remote port")) or ["any"])
    if ports is None:
        raise ValueError(f"the remote port {record.get('remote port')[:40]!r} is not known")
    sets = []
    for text in _members(record.get("remote")) or ["any"]:
        if text.lower() in LOCAL_WORDS:
            continue
        destination = words.destination(text)
        if destination is None or destination.name:
            raise ValueError(f"the remote address {text[:60]!r} is none")
        sets.append(destination.to)
    sources = asked.judge(_members(record.get("local")) or ["any"])
    if not ports or not sets or sources is None:
        return None
    return Entry(place=record.place, action=does, to=union(sets), ports=ports, only=(*sources, *_conditions(record)))


def _members(text: str) -> list[str]:
    return [part for part in re.split(r"[,\s]+", text) if part]


def _conditions(record: _Record) -> Iterator[str]:
    """What the rule depends on besides addresses and ports."""
    program = record.get("program")
    if program.lower() not in words.ANY | {"", "system"} and not program.lower().endswith(_OUR_PROGRAMS):
        yield f"for the program {program}"
    service = record.get("service")
    if service.lower() not in words.ANY | {""} and "diahostservice" not in service.lower():
        yield f"for the service {service}"
    profiles = [part for part in _members(record.get("profiles")) if part.lower() not in words.ANY]
    if 0 < len(profiles) < 3:
        yield f"in the profile {' or '.join(profiles)}"
    interfaces = record.get("interfaces")
    if interfaces.lower() not in words.ANY | {""}:
        yield f"on interfaces of the type {interfaces}"
