"""Which connection of one capture is which of another: by their ends, or through NAT by what it leaves alone.

Contract: linear in the size of both captures and bounded in memory: the connections whose packets were kept are looked
for in the rows of the whole other capture. A match is unique on both sides, or it is none. Ways to match, the surest
first: the same ends and the same initial sequence numbers; the same ends; the same initial sequence numbers of both
sides; of the client; the same timestamp in the SYN, or the same first data. What is not sure by itself is for
``pairing`` to confirm, packet by packet.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator

import msgspec
import numpy as np

from netdiag.capture.columns import mix
from netdiag.capture.engine import Analysis
from netdiag.capture.exhibits import Exhibit
from netdiag.capture.rows import client_side, of
from netdiag.capture.table import Rows

#: Rows of one capture that are looked at for the sake of those kept of the other.
MAX_CANDIDATES = 4_096
#: The first data of a client that is compared: shorter data is too often alike.
MIN_DATA = 32


class Entry(msgspec.Struct, frozen=True):
    """What a connection is recognised by. Initial sequence numbers are None where their SYN is not in the capture."""

    number: int
    ends: int
    client_isn: int | None
    server_isn: int | None


class Match(msgspec.Struct, frozen=True):
    """The numbers of one connection in both captures. ``sure`` when nothing needs to confirm it."""

    here: int
    there: int
    sure: bool


def match(here: Analysis, there: Analysis) -> tuple[Match, ...]:
    """The connections that both captures hold, of those whose packets one of them kept."""
    kept_here = {e.connection.number: e for e in here.capture.exhibits}
    kept_there = {e.connection.number: e for e in there.capture.exhibits}
    first, second = _entries(here, kept_here), _entries(there, kept_there)
    ours = {**_candidates(here, second.values()), **first}
    theirs = {**_candidates(there, first.values()), **second}
    found: list[Match] = []
    for key, sure in _KEYS:
        _join(ours, theirs, key, found, sure=sure)
    left = {n: kept_here[n] for n in ours if n in kept_here}, {n: kept_there[n] for n in theirs if n in kept_there}
    for signature in (_syn_signature, _first_data):
        _join_exhibits(*left, signature, found, ours, theirs)
    return tuple(found)


def _both_known(entry: Entry) -> Hashable | None:
    return None if entry.client_isn is None or entry.server_isn is None else (entry.client_isn, entry.server_isn)


#: Key of an entry (None: has none), and whether it is proof enough.
_KEYS: tuple[tuple[Callable[[Entry], Hashable | None], bool], ...] = (
    (lambda entry: (entry.ends, isns) if (isns := _both_known(entry)) else None, True),
    (lambda entry: None if entry.client_isn is None else (entry.ends, entry.client_isn), True),
    (lambda entry: None if entry.server_isn is None else (entry.ends, entry.server_isn), True),
    (lambda entry: entry.ends, False),
    (_both_known, True),
    (lambda entry: entry.client_isn, False),
)


def _join(
    ours: dict[int, Entry],
    theirs: dict[int, Entry],
    key: Callable[[Entry], Hashable | None],
    found: list[Match],
    *,
    sure: bool,
) -> None:
    """Match what has the same key, which nothing else has; take it out of both."""
    left, right = _unique(ours.values(), key), _unique(theirs.values(), key)
    for value, entry in left.items():
        other = right.get(value)
        if entry is not None and other is not None:
            found.append(Match(entry.number, other.number, sure))
            del ours[entry.number], theirs[other.number]


def _unique(entries: Iterable[Entry], key: Callable[[Entry], Hashable | None]) -> dict[Hashable, Entry | None]:
    """By key; None where several have it."""
    found: dict[Hashable, Entry | None] = {}
    for entry in entries:
        value = key(entry)
        if value is not None:
            found[value] = None if value in found else entry
    return found


def _join_exhibits(
    ours: dict[int, Exhibit],
    theirs: dict[int, Exhibit],
    signature: Callable[[Exhibit], Hashable | None],
    found: list[Match],
    *entries: dict[int, Entry],
) -> None:
    """The same for what only packets show."""
    sides: list[dict[Hashable, int | None]] = []
    for exhibits, open_ in zip((ours, theirs), entries, strict=True):
        side: dict[Hashable, int | None] = {}
        for number, exhibit in exhibits.items():
            value = signature(exhibit) if number in open_ else None
            if value is not None:
                side[value] = None if value in side else number
        sides.append(side)
    for value, one in sides[0].items():
        other = sides[1].get(value)
        if one is not None and other is not None:
            found.append(Match(one, other, sure=False))
            del entries[0][one], entries[1][other]


def _syn_signature(exhibit: Exhibit) -> Hashable | None:
    """A SYN's timestamp is a number out of 2^32, which firewalls that change sequence numbers leave alone."""
    for segment in exhibit.segments:
        if segment.sender == "client" and "SYN" in segment.flags:
            return None if segment.ts_val is None else (segment.ts_val, segment.window)
    return None


def _first_data(exhibit: Exhibit) -> Hashable | None:
    """The client's first data, if it is more than a greeting (a TLS ClientHello holds 32 random bytes)."""
    for segment, payload in zip(exhibit.segments, exhibit.payloads, strict=True):
        if segment.sender == "client" and segment.length:
            return payload[:1024] if len(payload) >= MIN_DATA else None
    return None


def _entries(analysis: Analysis, numbers: Collection[int]) -> dict[int, Entry]:
    """The rows with these numbers."""
    wanted = np.array(sorted(numbers), np.int64)
    found: dict[int, Entry] = {}
    for rows in analysis.connections.table():
        chosen = rows[np.isin(rows["number"], wanted)]
        found |= {entry.number: entry for entry in _read(chosen)}
    return found


def _candidates(analysis: Analysis, wanted: Iterable[Entry]) -> dict[int, Entry]:
    """The rows that have the ends or an initial sequence number of one that is wanted."""
    entries = tuple(wanted)
    ends = np.array([entry.ends for entry in entries], np.uint64)
    isns = np.array([entry.client_isn for entry in entries if entry.client_isn is not None], np.int64)
    found: dict[int, Entry] = {}
    for rows in analysis.connections.table():
        client = client_side(rows)
        alike = np.isin(_ends(rows), ends)
        alike |= np.isin(of(rows, "base", client), isns) & (of(rows, "syn", client) > 0)
        for entry in _read(rows[alike]):
            found[entry.number] = entry
        if len(found) > MAX_CANDIDATES:
            break
    return found


def _ends(rows: Rows) -> np.ndarray:
    return mix(rows["low"], rows["high"])


def _read(rows: Rows) -> Iterator[Entry]:
    client = client_side(rows)
    columns: tuple[np.ndarray, ...] = (
        rows["number"],
        _ends(rows),
        of(rows, "base", client),
        of(rows, "syn", client) > 0,
        of(rows, "base", 1 - client),
        of(rows, "syn_ack", 1 - client) > 0,
    )
    for number, ends, first, opened, second, answered in zip(*(c.tolist() for c in columns), strict=True):
        yield Entry(number, ends, first if opened else None, second if answered else None)
