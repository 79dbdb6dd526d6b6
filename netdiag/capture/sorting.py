"""The segments of one batch by connection and side: all of the tracker's work that needs no earlier batch.

A *run* is what one side of one connection sent, in file order: run ``2 * connection + side``, the other side's is
``run ^ 1``. Within a run the packet before is the neighbour, so that whole columns are compared with themselves moved
by one; what the other side had sent until then, ``Runs.since`` finds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from netdiag.capture.columns import ACK, FIN, RST, STUMP, SYN, U64, Columns, Segments, mix
from netdiag.capture.packets import Bools, Ints

_INDEX_BITS = 18  # of packets.BATCH_PACKETS
#: Bits of a hash that the sort leaves out at first.
_LEFT_OUT = np.uint64(33)

_COLUMNS = ("seq", "ack", "window", "flags", "length", "ttl", "ip_id", "index")


class Runs:
    """Columns of segments, run by run. ``bounds``: run r is ``bounds[r]:bounds[r + 1]``, which may be empty.

    ``index``: the packet in the batch. ``run``: of each segment. ``held``: the runs that are not empty; ``starts`` and
    ``lasts``: their first and last segments.
    """

    def __init__(self, bounds: Ints, columns: dict[str, Any]) -> None:
        self.bounds = bounds
        self._columns = columns
        self.seq, self.ack, self.window = columns["seq"], columns["ack"], columns["window"]
        self.flags, self.length, self.ttl = columns["flags"], columns["length"], columns["ttl"]
        self.ip_id, self.index, self.time = columns["ip_id"], columns["index"], columns["time"]
        sizes = np.diff(bounds)
        self.run: Ints = np.repeat(np.arange(len(sizes)), sizes)
        self.held: Ints = np.flatnonzero(sizes)
        self.sizes: Ints = sizes[self.held]
        self.starts: Ints = bounds[self.held]
        self.lasts: Ints = self.starts + self.sizes - 1
        self._keys = self.run << _INDEX_BITS
        self._keys |= self.index
        kind = self.flags & (SYN | ACK)
        #: Where segments with some flags are, ascending; SYNs without and with ACK.
        self.syns: Ints = np.flatnonzero(kind == SYN)
        self.syn_acks: Ints = np.flatnonzero(kind == SYN | ACK)
        self.acks: Ints = np.flatnonzero((self.flags & ACK) == ACK)
        self.fins: Ints = np.flatnonzero((self.flags & FIN) == FIN)
        self.resets: Ints = np.flatnonzero((self.flags & RST) == RST)

    def __len__(self) -> int:
        return len(self.run)

    def since(self, runs: Ints, index: Ints) -> Ints:
        """Where in each of ``runs`` the segments begin that do not come before packet ``index`` of the batch."""
        found: Ints = np.searchsorted(self._keys, runs << _INDEX_BITS | index)
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
        places = np.arange(self.bounds[2 * connection], self.bounds[2 * connection + 2])
        ordered: Ints = places[np.argsort(self.index[places])]
        return ordered

    def only(self, mask: Bools) -> Runs:
        """The same without the segments that ``mask`` leaves out."""
        kept = np.concatenate(([0], np.cumsum(mask)))
        return Runs(kept[self.bounds], {name: column[mask] for name, column in self._columns.items()})


class Sorted:
    """One batch, sorted. ``hashes``: of each connection; ``order``: where each segment stands in ``columns.segments``.

    ``all``: the segments, with the flags as they came. ``whole``: those whose header is none that calls itself too
    short (``STUMP``). ``odd``: as in ``Segments``, None when nothing is. ``first``: each connection's first segment.
    ``reused``: which connections begin by port reuse.

    ``epochs``: of each segment in ``columns``, which incarnation of its ends it belongs to.
    """

    def __init__(self, columns: Columns, epochs: Ints | None = None) -> None:
        s: Segments = columns.segments
        self.columns = columns
        self.n = len(s)
        if not self.n:
            return
        ends = identity = mix(s.low, s.high)
        if epochs is not None:  # later incarnations are sorted as if they had ends of their own
            identity = np.where(epochs > 0, mix(ends, epochs.view(np.uint64)), ends)
        order = self.order = _order(identity, s)
        taken: dict[str, Any] = {name: getattr(s, name).take(order) for name in _COLUMNS}
        taken["time"] = columns.batch.time_ns.take(taken["index"])
        self.all = Runs(_bounds(identity.take(order), s.side.take(order)), taken)
        self.odd = s.odd.take(order) if s.odd.any() else None
        self.is_whole: Bools | None = None if self.odd is None else (self.odd & STUMP) == 0
        self.whole = self.all if self.is_whole is None else self.all.only(self.is_whole)
        self.first = self.all.by_connection(self.all.begins())
        self.hashes = ends[order[self.first]]
        self.reused = np.zeros(len(self.first), bool) if epochs is None else epochs[order[self.first]] > 0


def _order(identity: U64, s: Segments) -> Ints:
    """By connection, side and packet.

    Two numbers of 16 bits hold half of the hash, and the side. numpy sorts such numbers by counting, in less than half
    the time that longer ones take, and leaves equals in their order: that of the packets.
    """
    keys = (identity >> _LEFT_OUT).astype(np.uint32)
    keys <<= np.uint32(1)
    keys |= s.side
    order = np.lexsort((keys.astype(np.uint16), (keys >> np.uint32(16)).astype(np.uint16)))
    keys, ordered, index = keys.take(order), identity.take(order), s.index.take(order)
    # Connections that differ only in the bits left out are mixed now, and what was peeled comes behind what is plain.
    mixed = (ordered[1:] != ordered[:-1]) | (index[1:] < index[:-1])
    mixed &= keys[1:] == keys[:-1]
    return np.lexsort((s.index, s.side, identity)) if mixed.any() else order


def _bounds(identity: U64, side: npt.NDArray[np.uint8]) -> Ints:
    """Where the runs begin and end in sorted columns: two a connection, also where only one side was seen."""
    starts = np.concatenate(([0], np.flatnonzero((identity[1:] != identity[:-1]) | (side[1:] != side[:-1])) + 1))
    heads = identity[starts]
    connection = np.cumsum(np.concatenate(([False], heads[1:] != heads[:-1])))
    ends = np.zeros(2 * int(connection[-1]) + 3, np.int64)
    ends[2 * connection + side[starts] + 1] = np.append(starts[1:], len(identity))
    bounds: Ints = np.maximum.accumulate(ends)  # an empty run ends where it begins
    return bounds
