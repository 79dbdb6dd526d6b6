"""Port reuse: where, within one batch, a SYN begins another connection of the same ends (see ``connections.py``)."""

from __future__ import annotations

import numpy as np

from netdiag.capture.columns import ACK, LOOSE, SYN
from netdiag.capture.packets import Ints
from netdiag.capture.sorting import Sorted
from netdiag.capture.table import Rows


def divided(batch: Sorted, rows: Rows) -> Sorted:
    """The batch with a connection of its own for each incarnation; the same one where no port is reused."""
    epochs = np.zeros(batch.n, np.int64)  # of each segment: how many incarnations of its ends began before
    for connection in _suspects(batch, rows):
        places = batch.all.in_file_order(connection)
        begins = np.zeros(len(places), bool)
        begins[_splits(batch, places, rows[connection], connection)] = True
        epochs[batch.order[places]] = np.cumsum(begins)
    return Sorted(batch.columns, epochs) if epochs.any() else batch


def _suspects(batch: Sorted, rows: Rows) -> list[int]:
    """Connections with a SYN that may not be their own, found without looking at each packet in turn."""
    s = batch.all
    at = s.syns
    run = s.run[at]
    connection = run >> 1
    based = rows["has_base"].reshape(-1)[run]
    first = batch.first[connection]
    begun = (s.seq[at] == s.seq[first]) & (run == s.run[first])  # by a SYN of the same side and number, or by this one
    begun &= (s.flags[first] & SYN) != 0
    own = np.where(based, rows["base"].reshape(-1)[run] == s.seq[at], begun)
    if batch.odd is not None:
        own &= (batch.odd[at] == 0) & (batch.odd[first] == 0)
    if len(s.syn_acks):
        moving = np.zeros(len(rows), bool)
        moving[_moving(batch, rows)] = True
        own &= ~moving[connection]
    own |= (at == first) & ~based  # what begins a connection cannot reuse it
    return sorted(set(connection[~own].tolist()))


def _moving(batch: Sorted, rows: Rows) -> Ints:
    """Connections with a SYN-ACK that may move a base: it is neither the known one, nor what its run begins with."""
    s = batch.all
    at = s.syn_acks
    run = s.run[at]
    start = s.bounds[run]
    told = s.first_since(s.acks, run ^ 1, s.bounds[run ^ 1])  # by the other side, if that comes earlier
    begins = (s.seq[at] == s.seq[start]) & ((s.flags[start] & SYN) != 0) & ((told < 0) | (s.index[told] > s.index[at]))
    if batch.odd is not None:
        begins &= batch.odd[start] == 0
    based = rows["has_base"].reshape(-1)[run]
    found: Ints = run[~np.where(based, rows["base"].reshape(-1)[run] == s.seq[at], begins)] >> 1
    return found


def _splits(batch: Sorted, places: Ints, row: np.void, connection: int) -> list[int]:
    """Where new incarnations begin within one connection, packet by packet."""
    s = batch.all
    base: list[int | None] = [int(row["base"][side]) if row["has_base"][side] else None for side in (0, 1)]
    odd = [0] * len(places) if batch.odd is None else batch.odd[places].tolist()
    sides = (s.run[places] - 2 * connection).tolist()
    columns = (column[places].tolist() for column in (s.flags, s.seq, s.ack))
    splits = []
    for n, (side, flag, seq, ack) in enumerate(zip(sides, *columns, strict=True)):
        if flag & (SYN | ACK) == SYN and base[side] is not None and base[side] != seq:
            splits.append(n)
            base = [None, None]
        if flag & (SYN | ACK) == SYN | ACK and base[side] is not None:
            base[side] = seq
        if odd[n] & LOOSE:
            continue
        if base[side] is None:
            base[side] = seq if flag & SYN else (seq - 1) & 0xFFFF_FFFF
        if flag & ACK and base[1 - side] is None:
            base[1 - side] = (ack - 1) & 0xFFFF_FFFF
    return splits
