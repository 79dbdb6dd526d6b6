"""A list of addresses and names, as plain text or as a JSON array of strings: everything in it is allowed.

Contract: a line counts only when all of it is understood, so that no address is taken out of a line that means
something else ("deny 10.0.0.0/8"). Comments begin with #, ; or //.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from netdiag.allowlist.addresses import Addresses, Intervals, parse_address, parse_prefix, prefix_length
from netdiag.allowlist.entries import ALL_PORTS, Entry, Firewall, Unread, closing, ordered
from netdiag.allowlist.tags import TagFile
from netdiag.allowlist.words import Destination, destination, ports

_COMMENT = re.compile(r"(?:^|\s)(?:#|//|;\s).*|^;.*")
#: A range with spaces, and the signs that stand around the members of a list.
_SPACED_RANGE = re.compile(r"(?<=[0-9A-Fa-f:])\s+[-–]\s+(?=[0-9A-Fa-f:])")
_ORNAMENT = re.compile(r"^[\s\[{(\"']+(?![0-9A-Fa-f:]*\])|[\s\"',;)}]+$")
_SEPARATOR = re.compile(r"[\s,;|]+")


def read_list(lines: Sequence[str], tags: TagFile | None) -> Firewall:
    """The firewall that lets through what the lines name."""
    entries: list[Entry] = []
    unread: list[Unread] = []
    for number, line in enumerate(lines, 1):
        text = _COMMENT.sub("", line).strip()
        if not text or text in ("[", "]", "{", "}", "],", "},"):
            continue
        place = f"line {number}"
        found = _understood(text, place, tags)
        if found is None:
            unread.append(Unread(place=place, text=text, why="neither addresses nor a name"))
        else:
            entries += found
    return Firewall(
        kind="list",
        words="a list of what is allowed",
        layers=ordered(closing(entries, "the end of the list")),
        rules=len(entries),
        unread=tuple(unread),
    )


def _understood(text: str, place: str, tags: TagFile | None) -> list[Entry] | None:
    """The entries of one line; None when a part of it means nothing here."""
    whole = destination(text, tags)
    if whole is not None:  # by far the usual case
        return [_entry(place, whole)]
    text = _ORNAMENT.sub("", _SPACED_RANGE.sub("-", text))
    words = [word.strip("\"'") for word in _SEPARATOR.split(text) if word.strip("\"'")]
    masked = _masked(words)
    if masked is not None:
        return [Entry(place=place, action="allow", to=masked)]
    found = list(_destinations(words, place, tags))
    return [entry for entry in found if entry] if all(found) and found else None


def _destinations(words: Sequence[str], place: str, tags: TagFile | None) -> Iterator[Entry | None]:
    """One entry a word; a port after the only destination belongs to it. None for what is not understood."""
    first = destination(words[0], tags) if words else None
    if first is not None and first.ports is None and len(words) in (2, 3):
        rest = [word for word in words[1:] if word.lower() not in ("tcp", "port")]
        wanted = ports(rest) if rest else None
        if wanted and all(parse_address(word) is None for word in rest):
            yield _entry(place, first, wanted)
            return
    for word in words:
        found = destination(word, tags)
        yield None if found is None else _entry(place, found)


def _entry(place: str, found: Destination, wanted: Intervals | None = None) -> Entry:
    return Entry(
        place=place,
        action="allow",
        to=found.to,
        names=(found.name,) if found.name else (),
        tag=found.tag,
        ports=wanted or found.ports or ALL_PORTS,
    )


def _masked(words: Sequence[str]) -> Addresses | None:
    """``address mask``, as routers write it."""
    if len(words) != 2 or parse_address(words[0]) is None or "." not in words[1]:
        return None
    length = prefix_length(words[1], 4)
    looks_like_a_mask = words[1].startswith(("255.", "0.")) or length in (0, 32)
    return parse_prefix(f"{words[0]}/{length}") if length is not None and looks_like_a_mask else None
