"""Connections summed up by server and port, in two passes over the rows: which servers matter, then what they did.

Contract: at most ``MAX_COUNTED`` servers are told apart (a scan has more than anybody reads); of these the
``MAX_SERVICES`` with the most trouble, then the most connections, become observations.
"""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from netdiag.capture.grouping import grouped
from netdiag.capture.packets import Bools, Ints
from netdiag.capture.rows import CLOSINGS, OPENINGS, client_side, closings, of, openings
from netdiag.capture.table import NEVER, U64, Rows, both, pick
from netdiag.model import ServiceObservation

MAX_COUNTED = 100_000
MAX_SERVICES = 200
#: Names and TTLs of one server that are told, and times in all of which medians are taken.
MAX_NAMES, _MAX_TTLS = 8, 8
_MAX_TIMED, _MAX_PARTS = 262_144, 8

_COUNTS = ("reset_early", "reset_late")
_AMOUNTS = ("packets", "bytes_client", "bytes_server", "retransmissions", "zero_windows_client", "zero_windows_server")
_TROUBLE = np.isin(OPENINGS, ("unfinished", "unanswered", "refused"))
_REFUSED, _RESET = OPENINGS.index("refused"), CLOSINGS.index("reset")


#: Two bytes that tell most keys apart.
Digests = npt.NDArray[np.uint16]
_DIGEST_BITS, _MULTIPLIER = 16, np.uint64(0x9E37_79B9_7F4A_7C15)


class _Part(msgspec.Struct):
    """The servers of some connections, by key, and how many of these each has: all, and those in trouble."""

    keys: U64
    connections: Ints
    troubled: Ints


class Census:
    """Counts the connections of each server. A server's key is its end's in the table, equal for equal ends.

    ``digests``: of the keys of all connections, as they were added; by them those of a few servers are found again.
    """

    def __init__(self) -> None:
        self._parts: list[_Part] = []
        self.digests: list[Digests] = []

    def add(self, rows: Rows, client: Ints, opening: Ints, closing: Ints) -> None:
        """More connections."""
        keys = _keys(rows, client)
        self.digests.append(_digests(keys))
        if not len(rows):
            return
        servers = grouped(keys)
        early, _ = _resets(rows, client, opening, closing)
        troubled = servers.which[np.flatnonzero(_TROUBLE.take(opening) | early)]
        count = len(servers.values)
        self._parts.append(_Part(servers.values, servers.counts, np.bincount(troubled, minlength=count)))
        if len(self._parts) > _MAX_PARTS:
            self._parts = [_joined(self._parts)]

    def worst(self) -> U64:
        """The keys of the servers that matter, the one with most trouble first."""
        if not self._parts:
            return np.empty(0, np.uint64)
        whole = _joined(self._parts)
        return whole.keys[_worst_first(whole)[:MAX_SERVICES]]


def _joined(parts: Sequence[_Part]) -> _Part:
    """One part of several; of too many servers, those with the most trouble."""
    if len(parts) == 1:
        return parts[0]
    servers = grouped(np.concatenate([part.keys for part in parts]))
    connections, troubled = (
        np.bincount(servers.which, np.concatenate(counts)).astype(np.int64)
        for counts in ([part.connections for part in parts], [part.troubled for part in parts])
    )
    whole = _Part(servers.values, connections, troubled)
    if len(whole.keys) <= MAX_COUNTED:
        return whole
    kept = np.sort(_worst_first(whole)[:MAX_COUNTED])
    return _Part(whole.keys[kept], connections[kept], troubled[kept])


def _worst_first(part: _Part) -> Ints:
    return np.lexsort((-part.connections, -part.troubled))


class Services:
    """Sums of the servers ``keys``; others are left out. Asked for observations, it gives them in that order."""

    def __init__(self, keys: U64) -> None:
        self._wanted = np.zeros(1 << _DIGEST_BITS, bool)
        self._wanted[_digests(keys)] = True
        self._order = np.argsort(keys)
        self._keys = keys[self._order]  # ascending; sums are in the order that was given
        count = self._count = len(keys)
        self._ends = np.zeros(count, _END)
        self._openings = np.zeros((count, len(OPENINGS)), np.int64)
        self._counts = np.zeros((len(_COUNTS), count), np.int64)
        self._amounts = np.zeros((len(_AMOUNTS), count))
        self._ttls = np.zeros((count, 256), np.int64)
        #: Of each connection: its server and the round trip in ms; ``_room``: how many more of each server are wanted.
        self._times: list[tuple[Ints, npt.NDArray[np.float64]]] = []
        self._room = np.full(count, _MAX_TIMED // max(count, 1))
        #: ``server << 32 | name``, and how many connections have it.
        self._names: list[tuple[Ints, Ints]] = []

    def add(self, rows: Rows, digests: Digests) -> None:
        """More connections, as they were counted; only rows of these servers, and a few others, are looked at."""
        rows = pick(rows, np.flatnonzero(self._wanted.take(digests)))
        if not len(rows):
            return
        client = client_side(rows)
        keys = _keys(rows, client)
        place = np.minimum(np.searchsorted(self._keys, keys), self._count - 1)
        here = np.flatnonzero(self._keys.take(place) == keys)
        rows, client, at = pick(rows, here), client.take(here), self._order.take(place.take(here))
        server = 1 - client
        self._ends["version"][at] = rows["version"]
        six = np.flatnonzero(rows["version"] == 6)
        self._ends["address"][at[six]] = rows["addresses"][six, server[six]]
        self._ends["port"][at[six]] = rows["ports"][six, server[six]]
        opening, closing = openings(rows, client), closings(rows)
        self._openings += _by_two(at, opening, self._openings)
        for count, flag in zip(self._counts, _resets(rows, client, opening, closing), strict=True):
            count += np.bincount(at[np.flatnonzero(flag)], minlength=self._count)
        amounts = (
            both(rows, "packets"),
            of(rows, "bytes", client),
            of(rows, "bytes", server),
            both(rows, "retransmissions"),
            of(rows, "zero_windows", client),
            of(rows, "zero_windows", server),
        )
        for total, amount in zip(self._amounts, amounts, strict=True):
            total += np.bincount(at, amount, self._count)
        self._ttls += _by_two(at, of(rows, "ttl_syn_ack", server), self._ttls)
        begun, answered = of(rows, "syn_time", client), of(rows, "syn_ack_time", server)
        timed = np.flatnonzero((begun != NEVER) & (answered != NEVER))
        timed = timed[_among_first(at[timed], self._room)]
        self._room -= np.bincount(at[timed], minlength=self._count)
        self._times.append((at[timed], (answered[timed] - begun[timed]) / 1e6))
        named = np.flatnonzero(rows["name"])
        self._names.append(_tally((at[named] << 32) | rows["name"][named]))
        if len(self._names) > _MAX_PARTS:
            self._names = [_tally(*map(np.concatenate, zip(*self._names, strict=True)))]

    def observations(self, told: Sequence[str]) -> list[ServiceObservation]:
        """The servers. ``told``: what the numbers in the rows' ``name`` stand for."""
        if not self._count:
            return []
        self._ttls[:, 0] = 0  # of those that sent no SYN-ACK
        found = []
        parts = zip(self._told_ends(), self._medians(), self._most_frequent_names(), self._ttls, strict=True)
        for n, ((address, port), rtt_ms, names, ttls) in enumerate(parts):
            opened = self._openings[n].tolist()
            seen = np.flatnonzero(ttls)
            counts: dict[str, Any] = dict(zip((name.replace("-", "_") for name in OPENINGS), opened, strict=True))
            counts |= zip(_COUNTS, self._counts[:, n].tolist(), strict=True)
            counts |= zip(_AMOUNTS, map(int, self._amounts[:, n].tolist()), strict=True)
            found.append(
                ServiceObservation(
                    id=f"service-{n + 1}",
                    source="capture",
                    address=address,
                    port=port,
                    names=tuple(told[number] for number in names[:MAX_NAMES]),
                    rtt_ms=rtt_ms,
                    ttls_syn_ack=tuple(_most_frequent(seen.tolist(), ttls[seen].tolist())[:_MAX_TTLS]),
                    connections=sum(opened),
                    **counts,
                )
            )
        return found

    def _told_ends(self) -> Iterator[tuple[str, int]]:
        """The address and port of each."""
        keys = np.empty_like(self._keys)
        keys[self._order] = self._keys
        for key, (address, port, version) in zip(keys.tolist(), self._ends.tolist(), strict=True):
            if version == 4:
                yield socket.inet_ntop(socket.AF_INET, (key >> 16).to_bytes(4, "big")), key & 0xFFFF
            else:
                yield socket.inet_ntop(socket.AF_INET6, bytes(address)), port

    def _medians(self) -> Iterator[float | None]:
        """The median of each one's times. numpy's own loads masked arrays, at the price of some 10,000 packets."""
        server, times = map(np.concatenate, zip(*self._times, strict=True))
        times = times[np.lexsort((times, server))]
        edges = np.cumsum(np.bincount(server, minlength=self._count)).tolist()
        for begin, end in itertools.pairwise((0, *edges)):
            middle = times[(begin + end - 1) // 2 : (begin + end) // 2 + 1]
            yield float(middle.sum() / len(middle)) if begin < end else None

    def _most_frequent_names(self) -> Iterator[list[int]]:
        """The numbers of each one's names, the most frequent first."""
        pairs, counts = _tally(*map(np.concatenate, zip(*self._names, strict=True)))
        edges = np.searchsorted(pairs >> 32, np.arange(self._count + 1)).tolist()
        names = (pairs & 0xFFFF_FFFF).tolist()
        for begin, end in itertools.pairwise(edges):
            yield [name for name, _ in _most_frequent(names[begin:end], counts[begin:end].tolist())]


#: What the key of an IPv6 server hides.
_END = np.dtype([("address", "u1", 16), ("port", "u2"), ("version", "u1")])


def _keys(rows: Rows, client: Ints) -> U64:
    """The keys of the servers."""
    return np.where(client == 1, rows["low"], rows["high"])


def _digests(keys: U64) -> Digests:
    """Some bits that depend on all of each key (Knuth's multiplicative hashing)."""
    return (keys * _MULTIPLIER >> np.uint64(64 - _DIGEST_BITS)).astype(np.uint16)


def _resets(rows: Rows, client: Ints, opening: Ints, closing: Ints) -> tuple[Bools, Bools]:
    """Which connections were reset before their server had sent anything, and which later."""
    silent = of(rows, "rst_bytes", 1 - client) == 0
    reset = (closing == _RESET) & (opening != _REFUSED)
    return reset & silent, reset & ~silent


def _by_two(server: Ints, value: npt.NDArray[np.integer], shape: Ints) -> Ints:
    """How often each value occurs with each server, in a table of that shape."""
    return np.bincount(server * shape.shape[1] + value, minlength=shape.size).reshape(shape.shape)


def _among_first(server: Ints, room: Ints) -> Ints:
    """Which are among the first ``room[n]`` of server n."""
    order = np.argsort(server, kind="stable")
    counts = np.bincount(server, minlength=len(room))
    place = np.arange(len(server)) - np.repeat(np.cumsum(counts) - counts, counts)
    return order[place < room[server[order]]]


def _tally(pairs: Ints, counts: Ints | None = None) -> tuple[Ints, Ints]:
    """The different pairs, ascending, and how often each occurs: the sum of its ``counts``."""
    groups = grouped(pairs.view(np.uint64))
    sums = groups.counts if counts is None else np.bincount(groups.which, counts, len(groups.values)).astype(np.int64)
    return groups.values.view(np.int64), sums


def _most_frequent(values: Sequence[int], counts: Sequence[int]) -> list[tuple[int, int]]:
    """(value, count), the most frequent first."""
    return sorted(zip(values, counts, strict=True), key=lambda pair: -pair[1])
