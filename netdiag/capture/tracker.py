"""Columns -> connections: the definitions of ``connections.py``, applied to a whole batch at a time.

Contract: a batch comes sorted into runs (``sorting.py``); the rows of its connections are taken from the table, carried
on (``judging.py``, ``counting.py``), and put back. Loops over single packets happen only where ports are reused
(``incarnations.py``) or sequence numbers leap.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np

from netdiag.capture.columns import LOOSE, SYN, U64, gather
from netdiag.capture.counting import count
from netdiag.capture.hellos import server_names
from netdiag.capture.incarnations import divided
from netdiag.capture.judging import Marks
from netdiag.capture.packets import Bools, Ints
from netdiag.capture.sorting import Sorted
from netdiag.capture.table import NEVER, ROW, Rows, Table, by_run, pick, store

#: Names of servers that are told apart.
MAX_NAMES = 100_000
#: A ClientHello with one cipher suite and no extensions, in its record; the type of such a record (RFC 8446 §5.1).
_SHORTEST_HELLO, _HANDSHAKE = 50, 0x16

#: What an IPv6 header and a TCP header tell of both ends.
_ADDRESSES, _PORTS = np.dtype("V32"), np.dtype("V4")

#: A row of a connection that has shown nothing.
_FRESH = np.zeros(1, ROW)
for _name in ("syn_side", "syn_ack_side", "exhibit"):
    _FRESH[_name] = -1
for _name in ("syn_time", "syn_ack_time", "ack_time"):
    _FRESH[_name] = NEVER
_FRESH["ttl_min"] = 255
_FRESH["selected"] = True


class Tracked(msgspec.Struct):
    """A batch, the rows of its connections as they now are, and the marks of ``batch.all``."""

    batch: Sorted
    rows: Rows
    marks: Marks


class Tracker:
    """What is carried from batch to batch: connections, the next number, servers' names by a row's ``name``.

    ``select`` says which new connections count; ``choose`` may set the rows' ``exhibit``.
    """

    def __init__(
        self,
        limit: int,
        select: Callable[[Rows], Bools] | None = None,
        choose: Callable[[Rows], None] | None = None,
    ) -> None:
        self.table = Table(limit)
        self.names = [""]
        self._numbers = 0
        self._number_of_name: dict[bytes, int] = {}
        self._select = select
        self._choose = choose

    def track(self, batch: Sorted) -> Tracked | None:
        """Carry the connections on from where earlier batches left them; None when there is no segment."""
        if not batch.n:
            return None
        table = self.table
        table.room()
        ends, places, rows = self._rows(batch.hashes)
        batch = divided(batch, rows)
        if batch.reused.any():
            ends, places, rows = self._rows(batch.hashes)
            places[batch.reused] = -1
            store(rows, batch.reused, _FRESH)
        new = np.flatnonzero(places < 0)
        new = new[np.argsort(batch.all.index[batch.first[new]])]  # numbers follow the order of first packets
        _set_base(rows, batch)
        self._describe(rows, batch, new)
        marks = count(rows, batch, places < 0)
        self._name(rows, batch)
        if self._choose is not None:
            self._choose(rows)
        places[new] = table.place(ends[new])
        table.put(places, rows)
        return Tracked(batch, rows, marks)

    def _rows(self, hashes: U64) -> tuple[Ints, Ints, Rows]:
        """The numbers of the connections' ends, where their rows are in the table, -1 for new ones, and copies."""
        ends = self.table.number(hashes)
        places = self.table.find(ends)
        rows = self.table.take(places)
        store(rows, np.flatnonzero(places < 0), _FRESH)
        return ends, places, rows

    def _describe(self, rows: Rows, batch: Sorted, new: Ints) -> None:
        """What a connection is, from its first packet."""
        if not len(new):
            return
        at, data = batch.first[new], batch.beside.data
        for name in ("low", "high", "version"):
            rows[name][new] = getattr(batch, name)[new]
        rows["first_time"][new] = batch.all.time[at]
        rows["first_frame"][new] = batch.beside.first_frame + batch.all.index[at]
        rows["first_side"][new] = side = batch.all.run[at] & 1
        rows["number"][new] = self._numbers + np.arange(len(new))
        self._numbers += len(new)
        six = np.flatnonzero(batch.version[new] == 6)
        if len(six):
            at, side, six = at[six], side[six], new[six]
            ip, tcp = (batch.all.of_few(name, at) for name in ("ip", "tcp"))
            both = gather(data, ip + 8, _ADDRESSES).view(np.uint8).reshape(-1, 2, 16)
            ports = gather(data, tcp, _PORTS).view(np.uint8).reshape(-1, 2, 2)
            flipped = side == 1  # the source is the high end
            both[flipped], ports[flipped] = both[flipped][:, ::-1], ports[flipped][:, ::-1]
            rows["addresses"][six] = both
            rows["ports"][six] = ports[..., 0].astype(np.uint16) << 8 | ports[..., 1]
        if self._select is not None:
            rows["selected"][new] = self._select(pick(rows, new))

    def _name(self, rows: Rows, batch: Sorted) -> None:
        """The server's name in each connection's first ClientHello."""
        data, tcp, header, end = batch.beside.data, *(batch.columns[name] for name in ("tcp", "header", "end"))
        payload = tcp + header
        at = np.flatnonzero(end - payload >= _SHORTEST_HELLO)
        at = at.compress(data[payload[at]] == _HANDSHAKE)
        if not len(at):
            return
        place = np.empty(batch.n, np.int64)
        place[batch.order] = np.arange(batch.n)
        connection = batch.all.run[place[at]] >> 1
        unnamed = rows["name"][connection] == 0
        at, connection = at.compress(unnamed), connection.compress(unnamed)
        in_order = np.argsort(batch.columns["index"][at])
        at, connection = at[in_order], connection[in_order]
        offsets, lengths = server_names(data, payload[at], end[at])
        found = np.flatnonzero(lengths)
        names: dict[int, int] = {}
        for n, offset, length in zip(
            *(column[found].tolist() for column in (connection, offsets, lengths)), strict=True
        ):
            if n not in names:
                names[n] = self._number(data[offset : offset + length].tobytes())
        rows["name"][list(names)] = list(names.values())

    def _number(self, name: bytes) -> int:
        """The number of a server's name; 0 when there are too many."""
        number = self._number_of_name.get(name)
        if number is None:
            if len(self.names) > MAX_NAMES:
                return 0
            number = self._number_of_name[name] = len(self.names)
            self.names.append(name.decode("ascii", "backslashreplace").lower())
        return number


def _set_base(rows: Rows, batch: Sorted) -> None:
    """From a side's own first packet, or from the other side's first acknowledgement if that comes earlier."""
    s = batch.all
    unset = np.flatnonzero(~by_run(rows, "has_base"))
    if len(unset):
        own, told = s.begins(), s.first_ack
        if batch.odd is not None:
            tight = (batch.odd & LOOSE) == 0
            own, told = s.first(np.flatnonzero(tight)), s.first(s.acks[tight[s.acks]])
        own, told = own[unset], told[unset ^ 1]
        by_own = (own >= 0) & ((told < 0) | (s.index[own] < s.index[told]))
        base = np.where(by_own, s.seq[own] - ((s.flags[own] & SYN) == 0), s.ack[told] - np.uint32(1))
        there = by_own | (told >= 0)
        run = unset.compress(there)
        rows["base"][run >> 1, run & 1] = base.compress(there)
        rows["has_base"][run >> 1, run & 1] = True
    run = s.run[s.syn_acks]
    rows["base"][run >> 1, run & 1] = s.seq[s.syn_acks]  # the last of a side stays
