"""Columns -> connections: the definitions of ``connections.py``, applied to a whole batch at a time.

Contract: a batch's segments are sorted by connection, in file order within each, by one sort of ``hash | position``.
Every question about "what this side had shown before" is then a running maximum along that order; rows of the
connection table carry the answers from batch to batch. Loops over single packets happen only where ports are reused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from netdiag.capture.columns import ACK, FIN, LOOSE, RST, STUMP, SYN, U64, Bools, Columns, Segments, mix
from netdiag.capture.hellos import server_names
from netdiag.capture.packets import Bytes, Ints
from netdiag.capture.table import (
    NEVER,
    ROW,
    SENT,
    SENT_ACK,
    SENT_NO_RESET,
    SENT_TALK,
    Rows,
    Table,
    pick,
    store,
)

#: Sooner than this after the newest data, an old segment was overtaken on the way, not sent again. Wireshark's limit.
REORDERED_NS = 3_000_000

#: Room between the running values of neighbouring connections, and "nothing yet" below every value of its own.
_SPACE = 34
_NONE = -(1 << 33)
_KNOWN = -(1 << 32)

#: Names of servers that are told apart.
MAX_NAMES = 100_000
#: A ClientHello with one cipher suite and no extensions, in its record.
_SHORTEST_HELLO = 50

#: Bytes of options in a TCP header.
_MOST_OPTIONS = 40

_POSITION_BITS = np.uint64(18)
_POSITION = np.uint64((1 << 18) - 1)

#: What the flags of a packet add to Wireshark's completeness; 4 becomes 8 where there is payload.
_COMPLETENESS = np.zeros(256, np.uint8)
for _flags in range(256):
    _COMPLETENESS[_flags] = (
        {SYN | ACK: 2, ACK: 4}.get(_flags & (SYN | ACK), 0)
        | (16 if _flags & (FIN | ACK) == FIN | ACK else 0)
        | (32 if _flags & RST else 0)
    )

_SENT = np.zeros(256, np.uint8)
for _flags in range(256):
    _SENT[_flags] = (
        SENT
        | (0 if _flags & RST else SENT_NO_RESET)
        | (0 if _flags & RST or _flags & (SYN | ACK) == SYN else SENT_TALK)
        | (SENT_ACK if _flags & (ACK | SYN | RST) == ACK else 0)
    )

#: Marks of a segment, as bits.
MARKS = (
    "retransmissions",
    "out_of_order",
    "duplicate_acks",
    "zero_windows",
    "keep_alives",
    "previous_lost",
    "acked_unseen",
)
_RETRANSMISSION, _OUT_OF_ORDER, _DUPLICATE_ACK, _ZERO_WINDOW, _KEEP_ALIVE, _PREVIOUS_LOST, _ACKED_UNSEEN = (
    1 << bit for bit in range(len(MARKS))
)
CAPTURED_TWICE = 1 << len(MARKS)
#: Numbers further apart than this have no order that holds for all of a connection (RFC 1982 §3.2).
_FAR = 1 << 30


@dataclass(slots=True)
class Grouped:
    """The segments of one batch in connection order. ``order``: their positions in ``Segments``.

    ``starts``: where each connection begins; ``group``: its number in this batch, a segment; ``places``: its row.
    """

    order: Ints
    starts: Ints
    group: Ints
    places: Ints
    rows: Rows
    side: npt.NDArray[np.uint8]
    length: Ints
    time: Ints
    marks: npt.NDArray[np.uint8]

    def span(self, group: int) -> slice:
        """Where the segments of one connection stand."""
        end = self.starts[group + 1] if group + 1 < len(self.starts) else len(self.order)
        return slice(int(self.starts[group]), int(end))


class Tracker:
    """What is carried from batch to batch: connections, the next number, servers' names by a row's ``name``."""

    def __init__(self, limit: int) -> None:
        self.table = Table(limit)
        self.numbers = 0
        self.names = [""]
        self._number_of_name: dict[bytes, int] = {}

    def name(self, raw: bytes) -> int:
        """The number of a server's name; 0 when there are too many."""
        number = self._number_of_name.get(raw)
        if number is None:
            if len(self.names) > MAX_NAMES:
                return 0
            number = self._number_of_name[raw] = len(self.names)
            self.names.append(raw.decode("ascii", "backslashreplace").lower())
        return number


def _grouped(hashes: U64, index: Ints) -> tuple[Ints, Ints]:
    """The order by connection, in file order within each; and where each begins in it."""
    keyed = (hashes & ~_POSITION) | index.view(np.uint64)
    keyed.sort()
    place = np.empty(int(index.max()) + 1, np.int64)
    place[index] = np.arange(len(index))
    order = place[(keyed & _POSITION).view(np.int64)]
    ordered = hashes[order]
    new = ordered[1:] != ordered[:-1]
    keyed >>= _POSITION_BITS
    if np.count_nonzero(keyed[1:] != keyed[:-1]) != np.count_nonzero(new):  # two that differ only in the lowest bits
        order = np.lexsort((index, hashes))
        ordered = hashes[order]
        new = ordered[1:] != ordered[:-1]
    return order, np.concatenate(([0], np.flatnonzero(new) + 1))


class Sorted:
    """The segments of one batch by connection: what can be done before it is known what came earlier.

    Each column stands in that order. ``order``: positions in ``columns.segments``; ``starts``: where each connection
    begins. ``of_side``: the packets of each side that count in full; ``raw_flags``: the flags of all as they came.
    """

    def __init__(self, columns: Columns) -> None:
        s: Segments = columns.segments
        self.columns = columns
        self.n = len(s)
        if not self.n:
            return
        hashes = mix(s.low, s.high)
        self.order, self.starts = _grouped(hashes, s.index)
        order = self.order
        self.hashes = hashes[order[self.starts]]
        self.side = s.side.take(order)
        self.seq = s.seq.take(order)
        self.ack = s.ack.take(order)
        self.flags = s.flags.take(order)
        self.window = s.window.take(order)
        self.length = s.length.take(order)
        self.ttl = s.ttl.take(order)
        self.ip_id = s.ip_id.take(order)
        self.index = s.index.take(order)
        self.time = columns.batch.time_ns.take(self.index)
        low = self.side == 0
        self.of_side = (low, ~low)
        self.raw_flags = self.flags
        self.odd = s.odd[order] if s.odd.any() else None
        if self.odd is not None:
            whole = (self.odd & STUMP) == 0
            self.of_side = (low & whole, ~low & whole)
            self.flags = np.where(whole, self.flags, 0)
        self.syn = (self.flags & SYN) != 0
        self.rst = (self.flags & RST) != 0
        self.opens = np.flatnonzero((self.raw_flags & (SYN | ACK)) == SYN)
        self.only_syn = self.opens if self.odd is None else np.flatnonzero((self.flags & (SYN | ACK)) == SYN)
        self.answers = np.flatnonzero((self.raw_flags & (SYN | ACK)) == SYN | ACK)
        self.only_syn_ack = (
            self.answers if self.odd is None else np.flatnonzero((self.flags & (SYN | ACK)) == SYN | ACK)
        )

    def track(
        self,
        tracker: Tracker,
        select: Callable[[Rows], Bools] | None = None,
        choose: Callable[[Rows], None] | None = None,
    ) -> Grouped | None:
        """Carry the connections on from where earlier batches left them; None when there is no segment.

        ``select`` says which new connections count; ``choose`` may set the rows' ``exhibit``.
        """
        if not self.n:
            return None
        self.tracker = tracker
        table = tracker.table
        table.room()
        places = table.find(self.hashes)
        rows = np.zeros(len(places), ROW)
        known = places >= 0
        store(rows, known, table.take(places[known]))
        places, rows = self._incarnations(places, rows)
        new = places < 0
        self._set_group()
        self.new = new
        self._begin(rows, new)
        if select is not None and new.any():
            rows["selected"][new] = select(pick(rows, new))
        self.rows = rows
        self._judge()
        self._count()
        self._open()
        self._reset()
        self._names()
        if choose is not None:
            choose(rows)
        table.put(places[~new], pick(rows, ~new))
        if new.any():
            places[new] = table.add(pick(rows, new), self.hashes[new])
        return Grouped(self.order, self.starts, self.group, places, rows, self.side, self.length, self.time, self.marks)

    def _set_group(self) -> None:
        sizes = np.diff(np.append(self.starts, self.n))
        self.group = np.repeat(np.arange(len(self.starts)), sizes)
        self.sided = self.group * 2 + self.side
        self.ends = np.append(self.starts[1:], self.n) - 1

    # Incarnations

    def _incarnations(self, places: Ints, rows: Rows) -> tuple[Ints, Rows]:
        """Split the connections in which a SYN begins another one (port reuse)."""
        self.reused = np.zeros(len(places), bool)
        at = self.opens
        if not len(at):
            return places, rows
        group = np.searchsorted(self.starts, at, "right") - 1
        side = self.side[at]
        based = rows["has_base"][group, side]
        first = self.starts[group]
        begun = self.seq[at] == self.seq[first]  # by a SYN of the same side and number, or by this one
        begun &= (side == self.side[first]) & ((self.raw_flags[first] & SYN) != 0)
        same = np.where(based, rows["base"][group, side] == self.seq[at], begun)
        if self.odd is not None:
            same &= (self.odd[at] == 0) & (self.odd[first] == 0)
        if len(self.answers):  # a SYN-ACK with another number moves the base
            same &= ~np.isin(group, np.searchsorted(self.starts, self._moving(rows), "right") - 1)
        same |= (at == first) & ~based  # what begins a connection cannot reuse it
        suspects = np.unique(group[~same])
        if not len(suspects):
            return places, rows
        splits = [position for each in suspects.tolist() for position in self._splits(each, rows[each])]
        cuts = np.array(splits, np.int64)
        at_start = np.isin(self.starts, cuts)  # nothing in this batch belongs to the old connection
        places[at_start], rows[at_start], self.reused[at_start] = -1, np.zeros(1, ROW), True
        cuts = np.setdiff1d(cuts, self.starts)
        if len(cuts):
            owner = np.searchsorted(self.starts, cuts, "right") - 1
            by_start = np.argsort(np.concatenate((self.starts, cuts)), kind="stable")
            self.starts = np.concatenate((self.starts, cuts))[by_start]
            self.hashes = np.concatenate((self.hashes, self.hashes[owner]))[by_start]
            self.reused = np.concatenate((self.reused, np.ones(len(cuts), bool)))[by_start]
            places = np.concatenate((places, np.full(len(cuts), -1)))[by_start]
            rows = pick(np.concatenate((rows, np.zeros(len(cuts), ROW))), by_start)
        return places, rows

    def _moving(self, rows: Rows) -> Ints:
        """The SYN-ACKs whose number is not their side's known base."""
        at = self.answers
        group = np.searchsorted(self.starts, at, "right") - 1
        side = self.side[at]
        moving = rows["has_base"][group, side] & (rows["base"][group, side] != self.seq[at])
        again = np.concatenate(([False], (group[1:] == group[:-1]) & (self.seq[at][1:] != self.seq[at][:-1])))
        moved: Ints = at[moving | again]
        return moved

    def _splits(self, group: int, row: np.void) -> list[int]:
        """Where new incarnations begin within one group, packet by packet."""
        end = int(self.starts[group + 1]) if group + 1 < len(self.starts) else self.n
        start = int(self.starts[group])
        base: list[int | None] = [int(row["base"][side]) if row["has_base"][side] else None for side in (0, 1)]
        splits = []
        odd = [0] * (end - start) if self.odd is None else self.odd[start:end].tolist()
        sides, flags = self.side[start:end].tolist(), self.raw_flags[start:end].tolist()
        seqs, acks = self.seq[start:end].tolist(), self.ack[start:end].tolist()
        for n, (side, flag, seq, ack) in enumerate(zip(sides, flags, seqs, acks, strict=True)):
            if flag & (SYN | ACK) == SYN and base[side] is not None and base[side] != seq:
                splits.append(start + n)
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

    # New rows, and what each side starts from

    def _begin(self, rows: Rows, new: Bools) -> None:
        count = len(self.starts)
        whole = np.arange(self.n) if self.odd is None else np.flatnonzero((self.odd & STUMP) == 0)
        self.first = _first_of(whole, self.sided, count * 2).reshape(-1, 2).T
        if not rows["has_base"].all():
            self._base(rows)
        at = self.answers  # the last of a side stays
        rows["base"][self.group[at], self.side[at]] = self.seq[at]
        if new.any():
            self._describe(rows, new)

    def _base(self, rows: Rows) -> None:
        """From a side's own first packet, or from the other side's first acknowledgement if that comes earlier."""
        count = len(self.starts)
        unset = ~rows["has_base"]
        if self.odd is None:
            own = self.first
        else:
            tight = np.flatnonzero((self.odd & LOOSE) == 0)
            own = _first_of(tight, self.sided, count * 2).reshape(-1, 2).T
        # Only what comes before the other side's own first packet can tell that side's base.
        limit = np.where(own < 0, self.n, own).T.ravel()
        early = np.flatnonzero(np.arange(self.n) < limit.take(self.sided ^ 1))
        early = early[(self.raw_flags[early] & ACK) != 0]
        if self.odd is not None:
            early = early[(self.odd[early] & LOOSE) == 0]
        told = _first_of(early, self.sided, count * 2).reshape(-1, 2).T
        for side in (0, 1):
            from_ack = unset[:, side] & (told[1 - side] >= 0)
            rows["base"][from_ack, side] = self.ack[told[1 - side][from_ack]] - np.uint32(1)
            from_own = unset[:, side] & (own[side] >= 0) & ~from_ack
            at = own[side][from_own]
            rows["base"][from_own, side] = self.seq[at] - ((self.raw_flags[at] & SYN) == 0).astype(np.uint32)
            rows["has_base"][:, side] |= from_ack | from_own

    def _describe(self, rows: Rows, new: Bools) -> None:
        """What a connection is, from its first packet. Numbers follow the order of first packets."""
        at = self.starts[new]
        segment = self.order[at]
        s, batch = self.columns.segments, self.columns.batch
        fresh = np.zeros(len(at), ROW)
        for name in ("base", "has_base"):
            fresh[name] = rows[name][new]
        fresh["low"], fresh["high"], fresh["version"] = s.low[segment], s.high[segment], s.version[segment]
        fresh["first_time"] = self.time[at]
        fresh["first_frame"] = batch.first_frame + self.index[at]
        fresh["first_side"] = self.side[at]
        fresh["number"][np.argsort(self.index[at])] = self.tracker.numbers + np.arange(len(at))
        self.tracker.numbers += len(at)
        fresh["syn_side"] = fresh["syn_ack_side"] = fresh["exhibit"] = -1
        fresh["syn_time"] = fresh["syn_ack_time"] = fresh["ack_time"] = NEVER
        fresh["ttl_min"] = 255
        fresh["selected"] = True
        six = np.flatnonzero(fresh["version"] == 6)
        if len(six):
            ip = s.ip[segment[six]]
            both = batch.data[ip[:, None] + np.arange(8, 40)].reshape(-1, 2, 16)
            flipped = fresh["first_side"][six] == 1  # the source is the high end
            both[flipped] = both[flipped][:, ::-1]
            fresh["addresses"][six] = both
            tcp = s.tcp[segment[six]]
            ports = batch.data[tcp[:, None] + np.arange(4)].reshape(-1, 2, 2)
            ports[flipped] = ports[flipped][:, ::-1]
            fresh["ports"][six] = ports[..., 0].astype(np.uint16) << 8 | ports[..., 1]
        store(rows, new, fresh)

    # The definitions

    def _judge(self) -> None:
        rows, group, n = self.rows, self.group, self.n
        plain = (self.flags & (SYN | FIN | RST)) == 0
        total = self.length + self.syn + (self.flags & FIN)
        reference = np.stack(
            [np.where(rows["has_next"][:, s], rows["next"][:, s], self.seq[self.first[s]]) for s in (0, 1)], axis=1
        )
        at = (self.seq - reference.ravel().take(self.sided)).view(np.int32).astype(np.int64)
        offset = group << _SPACE
        end = at + total
        reached, before = [], []
        for s in (0, 1):
            mine = self.of_side[s] & ~self.rst
            start = np.where(rows["has_next"][:, s], 0, _NONE) + offset[self.starts]
            value = (end - _NONE) * mine  # arithmetic, since numpy chooses slowly where the choice is irregular
            value += offset
            value += _NONE
            value[self.starts] = np.maximum(value[self.starts], start)
            np.maximum.accumulate(value, out=value)
            earlier = np.empty_like(value)
            earlier[1:] = value[:-1]
            earlier[self.starts] = start
            reached.append(value)
            before.append(earlier)
        difference = (before[1] - before[0]) * self.side
        own = before[0] + difference
        own -= offset
        other = before[1] - difference
        other -= offset
        known = own > _KNOWN
        previous, twice, unmarked = self._previous(total)
        raises = (end > own) & ~self.rst
        if self.odd is not None:
            raises &= (self.odd & STUMP) == 0
        raises = np.flatnonzero(raises)
        if len(unmarked):
            soon = self.time[unmarked] - self._advanced(raises, unmarked) < REORDERED_NS
            twice = np.concatenate((twice, unmarked[soon]))

        keep_alive = known & plain & (self.length <= 1) & (at == own - 1)
        old = np.flatnonzero(known & (total > 0) & ~self.rst & (at < own) & ~keep_alive)
        retransmission = np.zeros(n, bool)
        out_of_order = np.zeros(n, bool)
        if len(old):
            early = self.time[old] - self._advanced(raises, old) < REORDERED_NS
            early &= ~self.syn[old] & (at[old] + total[old] < own[old])
            out_of_order[old[early]] = True
            retransmission[old[~early]] = True
        lost = known & (at > own) & ((self.flags & (SYN | RST)) == 0)
        acks = (self.flags & (ACK | SYN | FIN | RST)) == ACK
        repeated = np.flatnonzero(acks & known & (self.length == 0) & (at == own) & self.has_previous)
        duplicate_ack = np.zeros(n, bool)
        duplicate_ack[repeated[self._same_answer(previous, repeated)]] = True
        zero = plain & (self.window == 0)
        acked = (self.ack - reference.ravel().take(self.sided ^ 1)).view(np.int32)
        unseen = ((self.flags & (ACK | RST)) == ACK) & (other > _KNOWN) & (acked > other)

        marks = np.zeros(n, np.uint8)
        for bit, mask in enumerate((retransmission, out_of_order, duplicate_ack, zero, keep_alive, lost, unseen)):
            marks |= mask.view(np.uint8) << bit
        if len(twice):
            marks[twice] = CAPTURED_TWICE
        if self.odd is not None:
            marks[(self.odd & STUMP) != 0] = 0
        self.marks = marks
        self.raises = raises
        far = (np.abs(at) > _FAR) & ~self.rst
        far |= (np.abs(acked.astype(np.int64)) > _FAR) & (other > _KNOWN) & ((self.flags & (ACK | RST)) == ACK)
        apart = np.unique(group[far]).tolist() if far.any() else ()
        without_id = frozenset(unmarked.tolist()) if len(apart) else frozenset()
        states = [self._one_by_one(each, total, previous, without_id) for each in apart]
        self._remember(reference, reached, offset)
        for each, (nexts, advanced) in zip(apart, states, strict=True):
            rows["next"][each], rows["advanced"][each] = nexts, advanced

    def _one_by_one(
        self, group: int, total: Ints, previous: Ints, unmarked: frozenset[int]
    ) -> tuple[list[int], list[int]]:
        """The same for one connection whose numbers leap so far that no common reference orders them (RFC 1982).

        Returns each side's ``next`` and when it was reached. ``unmarked``: see ``_previous``.
        """
        row = self.rows[group]
        start, end = int(self.starts[group]), int(self.ends[group]) + 1
        nexts: list[int | None] = [int(row["next"][s]) if row["has_next"][s] else None for s in (0, 1)]
        advanced = [int(row["advanced"][s]) for s in (0, 1)]
        for n in range(start, end):
            side, flags, length = int(self.side[n]), int(self.flags[n]), int(self.length[n])
            seq, time, size = int(self.seq[n]), int(self.time[n]), int(total[n])
            if n in unmarked:
                self.marks[n] = CAPTURED_TWICE if time - advanced[side] < REORDERED_NS else 0
            if (self.marks[n] & CAPTURED_TWICE) or not (self.of_side[0][n] or self.of_side[1][n]):
                continue
            marks = _ZERO_WINDOW if not self.window[n] and not flags & (SYN | FIN | RST) else 0
            own, other = nexts[side], nexts[1 - side]
            if own is not None:
                ahead = _serial(seq - own)
                if ahead == -1 and length <= 1 and not flags & (SYN | FIN | RST):
                    marks |= _KEEP_ALIVE
                elif ahead < 0 and size and not flags & RST:
                    inside = _serial(seq + size - own) < 0 and not flags & SYN
                    marks |= _OUT_OF_ORDER if inside and time - advanced[side] < REORDERED_NS else _RETRANSMISSION
                elif ahead > 0 and not flags & (SYN | RST):
                    marks |= _PREVIOUS_LOST
                elif ahead == 0 and flags & (ACK | SYN | FIN | RST) == ACK and not length and self.has_previous[n]:
                    marks |= _DUPLICATE_ACK * int(self._same_answer(previous, np.array([n]))[0])
            if flags & (ACK | RST) == ACK and other is not None and _serial(int(self.ack[n]) - other) > 0:
                marks |= _ACKED_UNSEEN
            self.marks[n] = marks
            if not flags & RST and (own is None or _serial(seq + size - own) > 0):
                nexts[side], advanced[side] = (seq + size) & 0xFFFF_FFFF, time
        return [number or 0 for number in nexts], advanced

    def _previous(self, total: Ints) -> tuple[Ints, Ints, Ints]:
        """Where each segment's side had its previous one (-1: in an earlier batch, or nowhere); those that equal it.

        Of these first the ones with the same IP identification, then those that have none and take sequence numbers.
        """
        position = np.arange(1, self.n + 1)
        self.latest, earlier = [], []
        for s in (0, 1):
            latest = position * self.of_side[s]
            np.maximum.accumulate(latest, out=latest)
            latest -= 1
            self.latest.append(latest)
            shifted = np.empty_like(latest)
            shifted[0] = -1
            shifted[1:] = latest[:-1]
            earlier.append(shifted)
        previous = earlier[0] + (earlier[1] - earlier[0]) * self.side
        inside = previous >= self.starts[self.group]
        outside = np.flatnonzero(~inside)
        previous[outside] = -1
        had = self.rows["has_last"].ravel()[self.sided[outside]]
        self.has_previous = inside
        self.has_previous[outside[had]] = True
        telling = (self.ip_id != 0) | ((total > 0) & ~self.rst)
        alike = np.flatnonzero((self.seq.take(previous) == self.seq) & telling & (previous >= 0))
        for column in (self.ip_id, self.ack, self.window, self.flags, self.length):
            alike = alike[column[previous[alike]] == column[alike]]
        outside = outside[had & telling[outside]]
        before = self.rows["signature"].reshape(-1, 2)[self.sided[outside]]
        again = outside[(before == self._signature(outside)).all(axis=1)]
        alike = np.concatenate((alike, again)) if len(again) else alike
        marked = self.ip_id[alike] != 0
        return previous, alike[marked], alike[~marked]

    def _signature(self, at: Ints) -> npt.NDArray[np.uint64]:
        """What two copies of one packet have in common."""
        signature = np.empty((len(at), 2), np.uint64)
        signature[:, 0] = self.seq[at].astype(np.uint64) << np.uint64(32) | self.ack[at]
        signature[:, 1] = (
            self.ip_id[at].astype(np.uint64) << np.uint64(48)
            | self.window[at].astype(np.uint64) << np.uint64(32)
            | self.flags[at].astype(np.uint64) << np.uint64(24)
            | np.minimum(self.length[at], (1 << 24) - 1).astype(np.uint64)
        )
        return signature

    def _same_answer(self, previous: Ints, at: Ints) -> Bools:
        """Whether acknowledgement and window equal those of that side's previous packet."""
        before = previous[at]
        same: Bools = (self.ack[before] == self.ack[at]) & (self.window[before] == self.window[at])
        outside = np.flatnonzero(before < 0)
        last = self.rows["signature"].reshape(-1, 2)[self.sided[at[outside]]]
        same[outside] = (last[:, 0] & np.uint64(0xFFFF_FFFF) == self.ack[at[outside]]) & (
            last[:, 1] >> np.uint64(32) & np.uint64(0xFFFF) == self.window[at[outside]]
        )
        return same

    def _advanced(self, raises: Ints, old: Ints) -> Ints:
        """When the ``next`` that each of ``old`` is behind was reached."""
        found = np.empty(len(old), np.int64)
        for s in (0, 1):
            mine = self.side[old] == s
            here = old[mine]
            raised = raises[self.side[raises] == s]
            slot = np.searchsorted(raised, here) - 1
            at = raised[slot] if len(raised) else np.full(len(here), -1)
            inside = (slot >= 0) & (at >= self.starts[self.group[here]])
            found[mine] = np.where(inside, self.time[at], self.rows["advanced"][self.group[here], s])
        return found

    def _remember(self, reference: npt.NDArray[np.uint32], reached: list[Ints], offset: Ints) -> None:
        """Carry the state on to the next batch."""
        rows, ends = self.rows, self.ends
        for s in (0, 1):
            value = reached[s][ends] - offset[ends]
            has = value > _KNOWN
            rows["next"][:, s] = np.where(has, reference[:, s] + value.astype(np.uint32), rows["next"][:, s])
            rows["has_next"][:, s] |= has
            last = self.latest[s][ends]
            there = last >= self.starts
            rows["signature"][there, s] = self._signature(last[there])
            rows["has_last"][there, s] = True
        raises = self.raises
        final = raises[np.append(np.diff(self.sided[raises]) != 0, True)] if len(raises) else raises
        # Sides alternate within a connection, so this takes too many; assignment in order leaves the last.
        rows["advanced"][self.group[final], self.side[final]] = self.time[final]

    # Counts

    def _count(self) -> None:
        rows, sided, count = self.rows, self.sided, len(self.starts)
        ends = self.ends
        times = self.columns.batch.time_ns
        ordered = bool((times[1:] >= times[:-1]).all())
        latest = self.time[ends] if ordered else np.maximum.reduceat(self.time, self.starts)
        rows["last_time"] = np.where(self.new, latest, np.maximum(rows["last_time"], latest))
        rows["last_frame"] = self.columns.batch.first_frame + self.index[ends]
        rows["packets"] += _tally(sided, count)
        of_both = np.add.reduceat(self.length, self.starts)
        of_high = np.add.reduceat(self.length * self.side, self.starts)
        rows["bytes"] += np.stack((of_both - of_high, of_high), axis=1).astype(np.uint64)
        for name, at in (
            ("syn", self.only_syn),
            ("syn_ack", self.only_syn_ack),
            ("fin", np.flatnonzero(self.flags & FIN)),
            ("rst", np.flatnonzero(self.rst)),
        ):
            rows[name] += _tally(sided[at], count)
        marked = np.flatnonzero(self.marks)
        marks = self.marks[marked]
        for bit, name in enumerate(MARKS):
            at = marked[(marks >> bit & 1) != 0]
            if len(at):
                rows[name] += _tally(sided[at], count)
        twice = marked[(marks & CAPTURED_TWICE) != 0]
        if len(twice):
            rows["captured_twice"] += np.bincount(self.group[twice], minlength=count).astype(np.uint32)
        self._complete()
        self._ttl_ranges()

    def _ttl_ranges(self) -> None:
        """The lowest and highest TTL of each side's packets that are no resets; they hardly ever move."""
        rows, wanted = self.rows, ~self.rst
        if self.odd is not None:
            wanted &= (self.odd & STUMP) == 0
        for s in (0, 1):
            at = self.first[s]
            untold = (at >= 0) & (rows["ttl_max"][:, s] == 0)
            untold &= wanted[at]
            rows["ttl_min"][untold, s] = rows["ttl_max"][untold, s] = self.ttl[at[untold]]
        for name, ufunc, outside in (("ttl_min", np.minimum, np.less), ("ttl_max", np.maximum, np.greater)):
            bounds = rows[name].ravel()
            at = np.flatnonzero(outside(self.ttl, bounds.take(self.sided)) & wanted)
            first = _first_of(at, self.sided, len(bounds))
            there = first >= 0
            bounds[there] = self.ttl[first[there]]
            at = at[outside(self.ttl[at], bounds[self.sided[at]])]
            ufunc.at(bounds, self.sided[at], self.ttl[at])
            rows[name] = bounds.reshape(-1, 2)

    def _complete(self) -> None:
        """Wireshark's completeness; the packet that begins a connection has a rule of its own."""
        rows, data = self.rows, self.length > 0
        bits = _COMPLETENESS.take(self.flags)
        bits[((bits & 4) != 0) & data] ^= 4 | 8
        at = self.starts[self.new]
        syn = (self.flags[at] & (SYN | ACK)) == SYN
        bits[at] = np.where(syn, 1 | data[at].view(np.uint8) << 3, 0)
        at = self.starts[self.reused]
        bits[at] = 1 | (self.rst[at].view(np.uint8) << 5)
        rows["completeness"] |= np.bitwise_or.reduceat(bits, self.starts)

    def _open(self) -> None:
        """Who opened, when, and what each side has sent so far."""
        rows, count = self.rows, len(self.starts)
        syn = _first_of(self.only_syn, self.group, count)
        here = (syn >= 0) & (rows["syn_side"] < 0)
        rows["syn_side"][here] = self.side[syn[here]]
        answer = _first_of(self.only_syn_ack, self.group, count)
        here = (answer >= 0) & (rows["syn_ack_side"] < 0)
        rows["syn_ack_side"][here] = self.side[answer[here]]
        sent = _SENT.take(self.flags) << (self.side << 2)
        if self.odd is not None:
            sent[(self.odd & STUMP) != 0] = 0
        rows["sent"] |= np.bitwise_or.reduceat(sent, self.starts)
        once = (self.marks & CAPTURED_TWICE) == 0
        plain = (self.flags & (ACK | SYN | RST)) == ACK
        for s in (0, 1):
            self._opening_times(s, plain & self.of_side[s], once)
        self._mss()

    def _opening_times(self, client: int, acks: Bools, once: Bools) -> None:
        """The times of the opening, if ``client`` is who opened."""
        rows, count = self.rows, len(self.starts)
        syns = self.only_syn[self.side[self.only_syn] == client]
        answers = self.only_syn_ack[self.side[self.only_syn_ack] != client]
        syn, answer = _first_of(syns, self.group, count), _first_of(answers, self.group, count)
        here = (syn >= 0) & (rows["ttl_syn"][:, client] == 0)
        rows["ttl_syn"][here, client] = self.ttl[syn[here]]
        unanswered = rows["syn_ack_time"][:, 1 - client] == NEVER
        limit = np.where(answer >= 0, answer, self.n)
        before = syns[unanswered[self.group[syns]] & once[syns]]
        before = before[before < limit[self.group[before]]]
        rows["syn_time"][self.group[before], client] = self.time[before]  # of several, the last stays
        here = (answer >= 0) & unanswered
        rows["syn_ack_time"][here, 1 - client] = self.time[answer[here]]
        rows["syn_ack_frame"][here, 1 - client] = self.columns.batch.first_frame + self.index[answer[here]]
        rows["ttl_syn_ack"][here, 1 - client] = self.ttl[answer[here]]
        waiting = (rows["syn_ack_time"][:, 1 - client] != NEVER) & (rows["ack_time"][:, client] == NEVER)
        if waiting.any():
            at = np.flatnonzero(acks & once & waiting[self.group])
            answered = np.where(here, answer, -1)  # in this batch; before it otherwise
            ack = _first_of(at[at > answered[self.group[at]]], self.group, count)
            here = ack >= 0
            rows["ack_time"][here, client] = self.time[ack[here]]

    def _mss(self) -> None:
        """The maximum segment size in the options of each side's first packet with SYN (RFC 9293 §3.7.1)."""
        data, s, count = self.columns.batch.data, self.columns.segments, len(self.starts)
        with_syn = np.flatnonzero(self.syn)
        sided = self.sided[with_syn]
        first = _first_of(with_syn, self.sided, count * 2)
        now = np.bincount(sided, minlength=count * 2)
        before = (self.rows["syn"] + self.rows["syn_ack"]).ravel()
        at = first[(first >= 0) & (before == now)]
        segment = self.order[at]
        start = s.tcp[segment]
        end = np.minimum(start + s.header[segment], s.end[segment])
        self.rows["mss"][self.group[at], self.side[at]] = _mss_option(data, start + 20, end)

    def _names(self) -> None:
        """The server's name in each connection's first ClientHello."""
        s, data = self.columns.segments, self.columns.batch.data
        payload, captured = s.payload, s.captured
        at = np.flatnonzero(captured >= _SHORTEST_HELLO)
        at = at[data[payload[at]] == 0x16]
        if not len(at):
            return
        place = np.empty(self.n, np.int64)
        place[self.order] = np.arange(self.n)
        group = self.group[place[at]]
        unnamed = self.rows["name"][group] == 0
        at, group = at[unnamed], group[unnamed]
        offsets, lengths = server_names(data, payload[at], payload[at] + captured[at])
        found = np.flatnonzero(lengths)
        for n, offset, length in zip(
            group[found].tolist(), offsets[found].tolist(), lengths[found].tolist(), strict=True
        ):
            self.rows["name"][n] = self.tracker.name(data[offset : offset + length].tobytes())

    def _reset(self) -> None:
        """What had been when the first reset of each connection came."""
        rows, count = self.rows, len(self.starts)
        at = np.flatnonzero(self.rst)
        if not len(at):
            return
        first = _first_of(at, self.group, count)
        begins = (first >= 0) & (rows["ttl_rst"][:, 0] | rows["ttl_rst"][:, 1] == 0)
        until = np.flatnonzero(begins[self.group])  # what came up to the first reset, of connections that have one now
        later = until[until > first[self.group[until]]]
        sent = np.bincount(self.sided[later], self.length[later], count * 2).reshape(-1, 2)
        up_to = np.minimum(rows["bytes"] - sent.astype(np.uint64), 2**32 - 1)
        fins_later = _tally(self.sided[later[(self.flags[later] & FIN) != 0]], count)
        closed = rows["fin"] > fins_later
        rows["rst_bytes"] = np.where(begins[:, None], up_to, rows["rst_bytes"])
        rows["rst_fins"] = np.where(begins, closed[:, 0] | closed[:, 1].astype(np.uint8) << 1, rows["rst_fins"])
        of_side = _first_of(at, self.sided, count * 2).reshape(-1, 2)
        there = (of_side >= 0) & (rows["ttl_rst"] == 0)
        rows["ttl_rst"][there] = self.ttl[of_side[there]]


def _serial(difference: int) -> int:
    """A difference of sequence numbers as signed 32 bits."""
    return (difference + 0x8000_0000) % 0x1_0000_0000 - 0x8000_0000


def _first_of(at: Ints, group: Ints, count: int) -> Ints:
    """The first of the ascending positions ``at`` in each group, -1 where it has none."""
    first = np.full(count, -1, np.int64)
    of = group[at]
    first[of[::-1]] = at[::-1]  # of several assignments the last stays, here the first position
    return first


def _tally(sided: Ints, count: int) -> npt.NDArray[np.uint32]:
    """How many of each connection and side."""
    return np.bincount(sided, minlength=count * 2).reshape(-1, 2).astype(np.uint32)


def _mss_option(data: Bytes, at: Ints, end: Ints) -> Ints:
    """The option's value among the options from ``at`` to ``end``, 0 where there is none."""
    found = np.zeros(len(at), np.int64)
    looking = np.arange(len(at))
    for _ in range(_MOST_OPTIONS):
        here = at < end
        looking, at, end = looking[here], at[here], end[here]
        if not len(looking):
            break
        kind, size = data[at], data[at + 1].astype(np.int64)
        whole = (at + size <= end) & (size >= 2)
        mss = (kind == 2) & (size == 4) & whole
        found[looking[mss]] = data[at[mss] + 2].astype(np.int64) << 8 | data[at[mss] + 3]
        go_on = (kind == 1) | ((kind != 0) & whole & ~mss)
        at = at + np.where(kind == 1, 1, size)
        looking, at, end = looking[go_on], at[go_on], end[go_on]
    return found
