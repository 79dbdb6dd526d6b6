"""Port reuse: where, within one batch, a SYN begins another connection of the same ends (see ``connections.py``)."""

from __future__ import annotations

import numpy as np

from netdiag.capture.columns import ACK, LOOSE, SYN
from netdiag.capture.packets import Bools, Ints
from netdiag.capture.sorting import Sorted
from netdiag.capture.table import Rows, by_run


def divided(batch: Sorted, rows: Rows) -> Sorted:
    """The batch with a connection of its own for each incarnation; the same one where no port is reused."""
    suspects = _suspects(batch, rows)
    if not suspects.any():
        return batch
    s = batch.all
    places = np.flatnonzero(suspects[s.run >> 1])
    places = places[np.lexsort((s.index[places], s.run[places] >> 1))]  # in file order within each connection
    epochs = np.zeros(batch.n, np.int64)
    epochs[places] = _epochs(batch, places, rows)
    return batch.divided(epochs) if epochs.any() else batch


def _suspects(batch: Sorted, rows: Rows) -> Bools:
    """Which connections have a SYN that may not be their own, found without looking at each packet in turn."""
    s = batch.all
    at = s.syns
    run = s.run[at]
    connection = run >> 1
    based = by_run(rows, "has_base")[run]
    first = batch.first[connection]
    begun = (s.seq[at] == s.seq[first]) & (run == s.run[first])  # by a SYN of the same side and number, or by this one
    begun &= (s.flags[first] & SYN) != 0
    own = np.where(based, by_run(rows, "base")[run] == s.seq[at], begun)
    if batch.odd is not None:
        own &= (batch.odd[at] == 0) & (batch.odd[first] == 0)
    if len(s.syn_acks):
        moving = np.zeros(len(rows), bool)
        moving[_moving(batch, rows)] = True
        own &= ~moving[connection]
    own |= (at == first) & ~based  # what begins a connection cannot reuse it
    suspects = np.zeros(len(rows), bool)
    suspects[connection.compress(~own)] = True
    return suspects


def _moving(batch: Sorted, rows: Rows) -> Ints:
    """Connections with a SYN-ACK that may move a base: it is neither the known one, nor what its run begins with."""
    s = batch.all
    at = s.syn_acks
    run = s.run[at]
    start = s.bounds[run]
    told = s.first_ack[run ^ 1]  # by the other side, if that comes earlier
    begins = (s.seq[at] == s.seq[start]) & ((s.flags[start] & SYN) != 0) & ((told < 0) | (s.index[told] > s.index[at]))
    if batch.odd is not None:
        begins &= batch.odd[start] == 0
    based = by_run(rows, "has_base")[run]
    found: Ints = run.compress(~np.where(based, by_run(rows, "base")[run] == s.seq[at], begins)) >> 1
    return found


def _epochs(batch: Sorted, places: Ints, rows: Rows) -> list[int]:
    """How many incarnations began before, or with, each of the segments ``places``, packet by packet."""
    s = batch.all
    loose = np.zeros(len(places), bool) if batch.odd is None else (batch.odd[places] & LOOSE) != 0
    columns = (column[places].tolist() for column in (s.run, s.flags, s.seq, s.ack))
    connection, epoch = -1, 0
    base: list[int | None] = []
    epochs = []
    for run, flags, seq, ack, sets_none in zip(*columns, loose.tolist(), strict=True):
        if run >> 1 != connection:
            connection, epoch, row = run >> 1, 0, rows[run >> 1]
            known = zip(row["base"].tolist(), row["has_base"].tolist(), strict=True)
            base = [number if has else None for number, has in known]
        side = run & 1
        if flags & (SYN | ACK) == SYN and base[side] is not None and base[side] != seq:
            epoch += 1
            base = [None, None]
        epochs.append(epoch)
        if flags & (SYN | ACK) == SYN | ACK and base[side] is not None:
            base[side] = seq
        if sets_none:
            continue
        if base[side] is None:
            base[side] = seq if flags & SYN else (seq - 1) & 0xFFFF_FFFF
        if flags & ACK and base[1 - side] is None:
            base[1 - side] = (ack - 1) & 0xFFFF_FFFF
    return epochs
