"""Connections summed up by server and port.

Contract: at most ``MAX_COUNTED`` servers are told apart (a scan has more than anybody reads); of these the
``MAX_SERVICES`` with the most trouble, then the most connections, become observations.
"""

from __future__ import annotations

import itertools
import socket
from collections.abc import Sequence
from typing import Any, cast

import msgspec
import numpy as np
import numpy.typing as npt

from netdiag.capture.grouping import grouped
from netdiag.capture.packets import Ints
from netdiag.capture.rows import OPENINGS, of
from netdiag.capture.table import NEVER, U64, Rows, Scalar, both
from netdiag.model import ServiceObservation

MAX_COUNTED = 100_000
MAX_SERVICES = 200
#: Names and TTLs of one server that are told, times of which the median is taken.
MAX_NAMES, _MAX_TTLS = 8, 8
_MAX_TIMED, _MAX_PARTS = 262_144, 8

_SUMS = (
    "connections", "complete", "unfinished", "unanswered", "refused", "mid_stream", "reset_early", "reset_late",
    "packets", "bytes_client", "bytes_server", "retransmissions", "zero_windows_client", "zero_windows_server",
)  # fmt: skip
_TROUBLE = ("unfinished", "unanswered", "refused", "reset_early")


class _Tally(msgspec.Struct):
    """How often each value occurs with each server: columns of equal length."""

    keys: U64
    values: Ints
    counts: Ints


class _Part(msgspec.Struct):
    """The servers of some connections. ``sums``: a row for each of ``_SUMS``; ``times``: round trips in ms by key."""

    keys: U64
    ends: npt.NDArray[np.void]
    sums: npt.NDArray[np.float64]
    times: tuple[U64, npt.NDArray[np.float64]]
    ttls: _Tally
    names: _Tally


class Services:
    """Sums by server. A server's key is its end's in the table: equal for equal addresses and ports."""

    def __init__(self) -> None:
        self._parts: list[_Part] = []
        self._told: Sequence[str] = ("",)

    def add(self, rows: Rows, client: Ints, opening: Ints, closing: Ints) -> None:
        """More connections."""
        if not len(rows):
            return
        server = 1 - client
        keys = np.where(server == 0, rows["low"], rows["high"])
        unique, first, inverse, _ = grouped(keys)
        begun, answered = of(rows, "syn_time", client), of(rows, "syn_ack_time", server)
        timed = np.flatnonzero((begun != NEVER) & (answered != NEVER))[:_MAX_TIMED]
        ttl, name = of(rows, "ttl_syn_ack", server), rows["name"]
        self._parts.append(
            _Part(
                unique,
                _ends(rows, first, server[first]),
                _summed(rows, client, opening, closing, inverse, len(unique)),
                (keys[timed], (answered[timed] - begun[timed]) / 1e6),
                _tally(unique, inverse[ttl > 0], ttl[ttl > 0]),
                _tally(unique, inverse[name > 0], name[name > 0]),
            )
        )
        if len(self._parts) > _MAX_PARTS:
            self._parts = [_joined(self._parts)]

    def name(self, names: Sequence[str]) -> None:
        """What the numbers in the rows' ``name`` stand for."""
        self._told = names

    def observations(self) -> list[ServiceObservation]:
        """The servers, worst first."""
        if not self._parts:
            return []
        whole = _joined(self._parts)
        chosen = _worst_first(whole.sums)[:MAX_SERVICES]
        wanted = whole.keys[chosen]
        times = _by_key(wanted, *whole.times)
        ttls, names = (
            _by_key(wanted, tally.keys, np.stack((tally.values, tally.counts), axis=1))
            for tally in (whole.ttls, whole.names)
        )
        found = []
        for n, at in enumerate(chosen.tolist()):
            address, port = _end(int(whole.keys[at]), whole.ends[at])
            found.append(
                ServiceObservation(
                    id=f"service-{n + 1}",
                    source="capture",
                    address=address,
                    port=port,
                    names=tuple(self._told[number] for number, _ in _most_frequent(names[n])[:MAX_NAMES]),
                    rtt_ms=_median(times[n]) if len(times[n]) else None,
                    ttls_syn_ack=tuple(_most_frequent(ttls[n])[:_MAX_TTLS]),
                    **cast("dict[str, Any]", dict(zip(_SUMS, map(int, whole.sums[:, at].tolist()), strict=True))),
                )
            )
        return found


#: What the key of an IPv6 server hides.
_END = np.dtype([("address", "u1", 16), ("port", "u2"), ("version", "u1")])


def _ends(rows: Rows, at: Ints, side: Ints) -> npt.NDArray[np.void]:
    ends = np.zeros(len(at), _END)
    ends["version"] = rows["version"][at]
    six = np.flatnonzero(ends["version"] == 6)
    ends["address"][six] = rows["addresses"][at[six], side[six]]
    ends["port"][six] = rows["ports"][at[six], side[six]]
    return ends


def _end(key: int, end: np.void) -> tuple[str, int]:
    if end["version"] == 4:
        return socket.inet_ntop(socket.AF_INET, (key >> 16).to_bytes(4, "big")), key & 0xFFFF
    return socket.inet_ntop(socket.AF_INET6, end["address"].tobytes()), int(end["port"])


def _summed(
    rows: Rows, client: Ints, opening: Ints, closing: Ints, inverse: Ints, count: int
) -> npt.NDArray[np.float64]:
    server = 1 - client
    sent = of(rows, "rst_bytes", server)
    reset = (closing == 2) & (opening != 3)
    flags = (reset & (sent == 0), reset & (sent > 0))
    amounts = (
        both(rows, "packets"),
        of(rows, "bytes", client),
        of(rows, "bytes", server),
        both(rows, "retransmissions"),
        of(rows, "zero_windows", client),
        of(rows, "zero_windows", server),
    )
    sums = np.empty((len(_SUMS), count))
    kinds = len(OPENINGS)
    by_opening = np.bincount(inverse * kinds + opening, minlength=count * kinds).reshape(count, kinds)
    sums[0], sums[1 : 1 + kinds] = by_opening.sum(axis=1), by_opening.T
    for column, flag in zip(sums[1 + kinds :], flags, strict=False):
        column[:] = np.bincount(inverse[np.flatnonzero(flag)], minlength=count)
    for column, amount in zip(sums[1 + kinds + len(flags) :], amounts, strict=True):
        column[:] = np.bincount(inverse, amount, count)
    return sums


def _joined(parts: Sequence[_Part]) -> _Part:
    """One part of several; of too many servers, those with the most trouble."""
    if len(parts) == 1:
        return parts[0]
    keys, first, inverse, _ = grouped(np.concatenate([part.keys for part in parts]))
    sums = np.empty((len(_SUMS), len(keys)))
    for n, column in enumerate(sums):
        column[:] = np.bincount(inverse, np.concatenate([part.sums[n] for part in parts]), len(keys))
    ends = np.concatenate([part.ends for part in parts])[first]
    if len(keys) > MAX_COUNTED:
        kept = np.sort(_worst_first(sums)[:MAX_COUNTED])
        keys, sums, ends = keys[kept], sums[:, kept], ends[kept]
    timed = (np.concatenate([part.times[n] for part in parts])[-_MAX_TIMED:] for n in (0, 1))
    return _Part(
        keys,
        ends,
        sums,
        (next(timed), next(timed)),
        _merged([part.ttls for part in parts], keys),
        _merged([part.names for part in parts], keys),
    )


def _worst_first(sums: npt.NDArray[np.float64]) -> Ints:
    trouble = sums[[_SUMS.index(name) for name in _TROUBLE]].sum(axis=0)
    return np.lexsort((-sums[0], -trouble))


def _tally(keys: U64, server: Ints, values: npt.NDArray[np.integer]) -> _Tally:
    """Of pairs of a server (its position in ``keys``) and a value."""
    pairs, counts = _pairs(server, values)
    return _Tally(keys[pairs >> 32], pairs & 0xFFFF_FFFF, counts)


def _merged(tallies: Sequence[_Tally], keys: U64) -> _Tally:
    """One tally of several, of the servers ``keys`` (ascending) only."""
    every = np.concatenate([tally.keys for tally in tallies])
    place = np.minimum(np.searchsorted(keys, every), len(keys) - 1)
    here = np.flatnonzero(keys[place] == every)
    values = np.concatenate([tally.values for tally in tallies])[here]
    counts = np.concatenate([tally.counts for tally in tallies])[here]
    pairs, sums = _pairs(place[here], values, counts)
    return _Tally(keys[pairs >> 32], pairs & 0xFFFF_FFFF, sums)


def _pairs(server: Ints, values: npt.NDArray[np.integer], counts: Ints | None = None) -> tuple[Ints, Ints]:
    """The different pairs as ``server << 32 | value``, and how often each occurs: the sum of its ``counts``."""
    groups = grouped((server << 32 | values).view(np.uint64))
    pairs = groups.values.view(np.int64)
    if counts is None:
        return pairs, groups.counts
    return pairs, np.bincount(groups.which, counts, len(pairs)).astype(np.int64)


def _median(values: npt.NDArray[np.float64]) -> float:
    """What numpy's own does, which loads masked arrays, at the price of some 10,000 packets."""
    ordered, middle = np.sort(values), len(values) // 2
    return float(ordered[middle] if len(values) % 2 else (ordered[middle - 1] + ordered[middle]) / 2)


def _most_frequent(pairs: Ints) -> list[tuple[int, int]]:
    """(value, count), the most frequent first."""
    return sorted(((value, count) for value, count in pairs.tolist()), key=lambda pair: -pair[1])


def _by_key(wanted: U64, keys: U64, values: npt.NDArray[Scalar]) -> list[npt.NDArray[Scalar]]:
    """For each wanted key, its values in their order."""
    order = np.argsort(wanted)
    place = np.minimum(np.searchsorted(wanted[order], keys), len(wanted) - 1)
    of_wanted = order[place]
    here = np.flatnonzero(wanted[of_wanted] == keys)
    here = here[np.argsort(of_wanted[here], kind="stable")]
    edges = np.searchsorted(of_wanted[here], np.arange(len(wanted) + 1))
    return [values[here[a:b]] for a, b in itertools.pairwise(edges.tolist())]
