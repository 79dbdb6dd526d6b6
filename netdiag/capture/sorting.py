"""The segments of one batch by connection and side: all of the tracker's work that needs no earlier batch.

A *run* is what one side of one connection sent, in file order: run ``2 * connection + side``, the other side's is
``run ^ 1``. Within a run the packet before is the neighbour, so that whole columns are compared with themselves moved
by one; what the other side had sent until then, ``Runs.since`` finds.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from netdiag.capture.columns import ACK, FIN, RST, STUMP, SYN, U32, U64, Beside, Segments, mix
from netdiag.capture.packets import Bools, Ints, Small

#: Bits of a hash that the sort leaves out at first.
_LEFT_OUT = np.uint64(32)

#: Columns of ``Segments`` that ``Runs`` have too. What else these tell is the same in all of a connection.
_COLUMNS = (
    "index", "seq", "ack", "flags", "window", "length", "ttl", "ip_id", "df", "ip", "tcp", "header", "end", "odd"
)  # fmt: skip

#: Segments by their flags: which to look at, and what these are.
_FLAGS = {
    "syns": (SYN | ACK, SYN),
    "syn_acks": (SYN | ACK, SYN | ACK),
    "acks": (ACK, ACK),
    "fins": (FIN, FIN),
    "resets": (RST, RST),
}
_FIRST = {"first_syn": "syns", "first_syn_ack": "syn_acks", "first_ack": "acks"}
_ALL_COLUMNS = frozenset((*_COLUMNS, "time"))


class Runs:
    """Segments, run by run. ``bounds``: run r is ``bounds[r]:bounds[r + 1]``, which may be empty.

    ``before``: how many segments the other side had sent before each. ``time``: when it was captured; the other columns
    are those of ``Segments``; ``index`` tells the order in the file. ``of_few`` gives one for some segments alone.

    Where segments with some flags are, ascending: ``syns`` and ``syn_acks`` (SYN without and with ACK), ``acks``,
    ``fins``, ``resets``; ``first_syn``, ``first_syn_ack``, ``first_ack``: the first of them in each run, -1 for none.
    These, the columns, and what follows, are looked up when they are first asked for, by whoever tracks connections:
    what need not be handed over costs nothing on the way.
    """

    index: Ints
    time: Ints
    seq: U32
    ack: U32
    flags: npt.NDArray[np.uint8]
    window: npt.NDArray[np.uint16]
    length: Ints
    ttl: npt.NDArray[np.uint8]
    ip_id: npt.NDArray[np.uint16]
    odd: npt.NDArray[np.uint8]
    syns: Ints
    syn_acks: Ints
    acks: Ints
    fins: Ints
    resets: Ints
    first_syn: Ints
    first_syn_ack: Ints
    first_ack: Ints

    def __init__(self, arranged: _Arranged, columns: dict[str, npt.NDArray[Any]], order: Ints) -> None:
        """``order``: where each stands in ``columns``."""
        self.bounds, self.before = arranged.bounds, arranged.before
        self._columns, self._order = columns, order

    def __getattr__(self, name: str) -> Any:
        if name in _ALL_COLUMNS:
            found = self._columns[name].take(self._order)
        elif name in _FLAGS:
            mask, flags = _FLAGS[name]
            found = np.flatnonzero((self.flags & mask) == flags)
        elif name in _FIRST:
            found = self.first(getattr(self, _FIRST[name]))
        else:
            raise AttributeError(name)
        setattr(self, name, found)
        return found

    @cached_property
    def run(self) -> Ints:
        """The run of each."""
        return np.repeat(np.arange(len(self.bounds) - 1), np.diff(self.bounds))

    @cached_property
    def held(self) -> Ints:
        """The runs that are not empty."""
        return np.flatnonzero(np.diff(self.bounds))

    @cached_property
    def sizes(self) -> Ints:
        """How many segments each of these has."""
        return np.diff(self.bounds)[self.held]

    @cached_property
    def starts(self) -> Ints:
        """Their first segments."""
        return self.bounds[self.held]

    @cached_property
    def lasts(self) -> Ints:
        """Their last segments."""
        return self.bounds[self.held + 1] - 1

    def __len__(self) -> int:
        return len(self._order)

    def of_few(self, name: str, at: Ints) -> npt.NDArray[Any]:
        """A column of those at some places."""
        return self._columns[name].take(self._order.take(at))

    def since(self, at: Ints) -> Ints:
        """Where in the other side's run the segments begin that come after each of ``at``."""
        found: Ints = self.bounds[self.run[at] ^ 1] + self.before[at]
        return found

    def first(self, at: Ints) -> Ints:
        """The first of the ascending positions ``at`` in each run, -1 where there is none."""
        found = np.full(len(self.bounds) - 1, -1)
        found[self.run[at[::-1]]] = at[::-1]  # of several assignments the last stays, here the first position
        return found

    def first_since(self, at: Ints, runs: Ints, places: Ints) -> Ints:
        """The first of the ascending positions ``at`` in each of ``runs`` from ``places`` on, or -1."""
        at = np.append(at, len(self))
        found: Ints = at[np.searchsorted(at, places)]
        return np.where(found < self.bounds[runs + 1], found, -1)

    def by_connection(self, first: Ints) -> Ints:
        """Of one position in each run, or -1, the one of each connection that comes first in the file."""
        low, high = first[0::2], first[1::2]
        if not len(self):
            return low
        high_first = (high >= 0) & ((low < 0) | (self.index[high] < self.index[low]))
        return np.where(high_first, high, low)

    def begins(self) -> Ints:
        """Where each run begins, -1 for an empty one."""
        begins = np.full(len(self.bounds) - 1, -1)
        begins[self.held] = self.starts
        return begins

    def in_file_order(self, connection: int) -> Ints:
        """Where the segments of one connection stand."""
        begin, end = self.bounds[2 * connection], self.bounds[2 * connection + 2]
        place: Ints = begin + np.argsort(self.index[begin:end], kind="stable")
        return place

    def filed(self) -> Ints:
        """Where the segments of each connection stand, in file order, one connection after the other."""
        return np.lexsort((self.index, self.run >> 1))

    def only(self, mask: Bools) -> Runs:
        """The same without the segments that ``mask`` leaves out."""
        kept = np.concatenate(([0], np.cumsum(mask)))
        filed = self.filed()
        filed = filed[mask[filed]]
        arranged = _arrange(kept[self.bounds[0::2]], (self.run[filed] & 1).astype(np.uint8))
        return Runs(arranged, self._columns, self._order.compress(mask))


class Sorted:
    """One batch, sorted.

    ``all``: the segments, with the flags as they came. ``whole``: those whose header is none that calls itself too
    short (``STUMP``). ``odd``: as in ``Segments``, None when nothing is. ``columns``: of the segments in another order;
    ``order``: where each of ``all`` stands there.

    Of each connection: ``first``, where its first segment stands; ``low``, ``high`` and ``version`` (as in
    ``Segments``); ``hashes`` of its ends; ``reused``, whether it begins by port reuse.
    """

    def __init__(self, beside: Beside, segments: Segments, time: Ints, epochs: Ints | None = None) -> None:
        """``segments``: those of one connection in file order, captured at ``time``.

        ``epochs``: which incarnation of its ends each belongs to.
        """
        self.beside = beside
        s, self.n = segments, len(segments)
        if not self.n:
            return
        ends = identity = mix(s.low, s.high)
        if epochs is not None:  # later incarnations are sorted as if they had ends of their own
            identity = np.where(epochs > 0, mix(ends, epochs.view(np.uint64)), ends)
        filed, identity = _order(identity, s)
        edges = np.concatenate(([0], np.flatnonzero(identity[1:] != identity[:-1]) + 1, [self.n]))
        arranged = _arrange(edges, s.side.take(filed))
        order = np.empty(self.n, np.int64)
        order[arranged.filed] = filed
        self.columns: dict[str, npt.NDArray[Any]] = {name: getattr(s, name) for name in _COLUMNS} | {"time": time}
        self.order = order
        self.all = Runs(arranged, self.columns, order)
        self.odd = self.all.odd if s.odd.any() else None
        self.is_whole: Bools | None = None if self.odd is None else (self.odd & STUMP) == 0
        self.whole = self.all if self.is_whole is None else self.all.only(self.is_whole)
        self.first, begin = arranged.filed[edges[:-1]], filed[edges[:-1]]
        self.low, self.high, self.version = s.low[begin], s.high[begin], s.version[begin]
        self.hashes = ends[begin]
        self.reused = np.zeros(len(begin), bool) if epochs is None else epochs[begin] > 0

    def divided(self, epochs: Ints) -> Sorted:
        """With a connection of its own for each incarnation. ``epochs``: of each segment."""
        s = self.all
        filed = s.filed()
        connection = s.run[filed] >> 1
        columns = {name: s.of_few(name, filed) for name in _COLUMNS}
        columns |= {name: getattr(self, name)[connection] for name in ("low", "high", "version")}
        side = (s.run[filed] & 1).astype(np.uint8)
        return Sorted(self.beside, Segments(**columns, side=side), s.time[filed], epochs[filed])


def _order(identity: U64, s: Segments) -> tuple[Ints, U64]:
    """By connection and packet, and ``identity`` so ordered.

    Two numbers of 16 bits hold half of the hash. numpy sorts such numbers by counting, in less than half the time that
    longer ones take, and leaves equals in their order: that of the packets.
    """
    keys = (identity >> _LEFT_OUT).astype(np.uint32)
    order = np.lexsort((keys.astype(np.uint16), (keys >> np.uint32(16)).astype(np.uint16)))
    keys, ordered, index = keys.take(order), identity.take(order), s.index.take(order)
    # Connections that differ only in the bits left out are mixed now, and what was peeled comes behind what is plain.
    mixed = (ordered[1:] != ordered[:-1]) | (index[1:] < index[:-1])
    mixed &= keys[1:] == keys[:-1]
    if mixed.any():
        order = np.lexsort((s.index, identity))
        ordered = identity.take(order)
    return order, ordered


class _Arranged(NamedTuple):
    """Of segments by connection and packet, what ``Runs`` needs to have them run by run."""

    bounds: Ints
    filed: Ints
    before: Small


def _arrange(edges: Ints, side: npt.NDArray[np.uint8]) -> _Arranged:
    """Where segments go whose connections begin and end at ``edges``; ``side``: of each, in file order."""
    edges, sizes = edges.astype(np.int32), np.diff(edges)
    high = np.zeros(len(side) + 1, np.int32)  # how many of the high ends come before
    np.cumsum(side, out=high[1:])
    begin = np.repeat(edges[:-1], sizes)
    highs = high[:-1] - np.repeat(high[edges[:-1]], sizes)
    lows = np.arange(len(side), dtype=np.int32) - begin - highs
    middle = edges[1:] - np.diff(high[edges])
    bounds = np.empty(2 * len(edges) - 1, np.int64)
    bounds[0::2], bounds[1::2] = edges, middle
    of_high = side == 1
    filed = np.where(of_high, np.repeat(middle, sizes) + highs, begin + lows).astype(np.int64)
    before = np.empty(len(side), np.int32)
    before[filed] = np.where(of_high, lows, highs)
    return _Arranged(bounds, filed, before)
