"""Marks each segment against what its connection showed before it: the terms of ``connections.py``, on whole runs.

Nearly every segment begins where the one before it in its run has ended. A run of nothing else is *straight*: what its
side's ``next`` was before each segment stands in the segment itself. Only for the other runs it is worked out, as a
running maximum. Rows carry the state from batch to batch.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from netdiag.capture.columns import ACK, FIN, RST, SYN, U32
from netdiag.capture.packets import Bools, Ints
from netdiag.capture.sorting import Runs
from netdiag.capture.table import Rows, by_run

#: Sooner than this after the newest data, an old segment was overtaken on the way, not sent again. Wireshark's limit.
REORDERED_NS = 3_000_000

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
    np.uint8(1 << bit) for bit in range(len(MARKS))
)
CAPTURED_TWICE = 1 << len(MARKS)

#: Room between the running values of neighbouring runs, and "nothing yet" below every value of its own.
_SPACE = 34
_NONE = -(1 << 33)
_KNOWN = -(1 << 32)
#: Numbers further apart than this have no order that holds for all of a run (RFC 1982 §3.2).
_FAR = 1 << 30

Marks = npt.NDArray[np.uint8]


def judge(segments: Runs, rows: Rows) -> Marks:
    """The marks of each segment; the rows' state (``next``, ``advanced``, ``signature``) is carried on."""
    judging = _Judging(segments, rows)
    judging.mark_unexpected()
    judging.mark_duplicate_acks()
    judging.mark_zero_windows()
    judging.mark_acked_unseen()
    judging.mark_captured_twice()
    judging.judge_leaping()
    judging.remember()
    return judging.marks


class _Judging:
    """The segments and rows of one batch.

    ``total``: what each takes of the sequence numbers. ``after``: its side's ``next`` after it, where that is ``known``
    (None: everywhere). ``on_time``: it begins at its side's known ``next``. ``raises``: the segments that raise it;
    ``raised``: how many of them there are up to each segment.
    """

    def __init__(self, s: Runs, rows: Rows) -> None:
        self.s, self.rows = s, rows
        self.marks = np.zeros(len(s), np.uint8)
        self.had = by_run(rows, "has_next")[s.held]
        self.total: U32 = s.length.astype(np.uint32)
        self.total += (s.flags & FIN) + (s.flags >> 1 & 1)
        self.after: U32 = s.seq + self.total
        self.known: Bools | None = None
        self.on_time = np.empty(len(s), bool)
        np.equal(s.seq[1:], self.after[:-1], out=self.on_time[1:])
        nexts: U32 = np.where(self.had, by_run(rows, "next")[s.held], s.seq[s.starts])
        self.on_time[s.starts] = s.seq[s.starts] == nexts
        bent = np.flatnonzero(~self.on_time)
        self.on_time[s.starts] &= self.had
        raised = self.total > 0
        raised[s.starts] |= ~self.had
        self.bent: _Bent | None = None
        if len(bent) or len(s.resets):
            self.bent = _Bent(s, np.concatenate((bent, s.resets)), self.had, nexts, self.total)
            at = self.bent.at
            self.after[at] = self.bent.after
            self.known = np.ones(len(s), bool)
            self.known[at] = self.bent.known
            self.on_time[at] = self.bent.ahead == 0
            raised[at] = self.bent.raised
        self.raises, self.raised = np.flatnonzero(raised), np.cumsum(raised, dtype=np.int32)
        self.same_answer = self._same_answer()

    def _same_answer(self) -> Bools:
        """Whether acknowledgement and window equal those of that side's previous packet, wherever that was."""
        s = self.s
        same = np.empty(len(s), bool)
        same[1:] = (s.ack[1:] == s.ack[:-1]) & (s.window[1:] == s.window[:-1])
        same[s.starts] = False
        begun = np.flatnonzero(by_run(self.rows, "has_last")[s.held])
        starts, last = s.starts[begun], self._last(s.held[begun])
        same[starts] = last[:, 0] & np.uint64(0xFFFF_FFFF) == s.ack[starts]
        same[starts] &= last[:, 1] >> np.uint64(32) & np.uint64(0xFFFF) == s.window[starts]
        return same

    def _last(self, run: Ints) -> npt.NDArray[np.uint64]:
        """The signatures of the last packets of earlier batches."""
        signatures: npt.NDArray[np.uint64] = self.rows["signature"][run >> 1, run & 1]
        return signatures

    def _advanced(self, at: Ints) -> Ints:
        """When the ``next`` that each of ``at`` is behind was reached."""
        return self._last_raise(at - 1, self.s.run[at])

    def _last_raise(self, at: Ints, run: Ints) -> Ints:
        """When ``next`` was raised last in ``run``, up to ``at``; what the row knows where that was before it."""
        before = by_run(self.rows, "advanced")[run]
        if not len(self.raises):
            return before
        count = self.raised[at]
        place = self.raises[count - 1]
        there = (at >= self.s.bounds[run]) & (count > 0) & (place >= self.s.bounds[run])
        return np.where(there, self.s.time[place], before)

    # The marks

    def mark_unexpected(self) -> None:
        """Segments that begin elsewhere than where their side's next was expected."""
        if self.bent is None:
            return
        s = self.s
        unexpected = np.flatnonzero(self.bent.unexpected)
        at, ahead = self.bent.at[unexpected], self.bent.ahead[unexpected]
        flags, total = s.flags[at], self.total[at].astype(np.int64)
        keep_alive = (flags & (SYN | FIN | RST) == 0) & (s.length[at] <= 1) & (ahead == -1)
        old = (ahead < 0) & (total > 0) & (flags & RST == 0) & ~keep_alive
        early = old & (flags & SYN == 0) & (ahead + total < 0)
        early[early] = s.time[at[early]] - self._advanced(at[early]) < REORDERED_NS
        lost = (ahead > 0) & (flags & (SYN | RST) == 0)
        self.marks[at] = (
            keep_alive * _KEEP_ALIVE | (old & ~early) * _RETRANSMISSION | early * _OUT_OF_ORDER | lost * _PREVIOUS_LOST
        )

    def mark_duplicate_acks(self) -> None:
        """ACKs without payload that say the same again."""
        at = np.flatnonzero(self.same_answer & self.on_time & (self.total == 0))
        at = at.compress(self.s.flags[at] & (ACK | RST) == ACK)
        self.marks[at] |= _DUPLICATE_ACK

    def mark_zero_windows(self) -> None:
        """Windows that are closed."""
        at = np.flatnonzero(self.s.window == 0)
        self.marks[at.compress(self.s.flags[at] & (SYN | FIN | RST) == 0)] |= _ZERO_WINDOW

    def mark_acked_unseen(self) -> None:
        """ACKs of what the other side had not sent before, as far as the capture shows.

        An ACK that repeats what its side's packet before it acknowledged need not be asked about again, unless that
        one was about something unseen or far away: what the other side has reached only grows.
        """
        s = self.s
        acks = (s.flags & (ACK | RST)) == ACK
        changed = np.empty(len(s), bool)
        changed[1:] = (s.ack[1:] != s.ack[:-1]) | ~acks[:-1]
        changed[s.starts] = True
        at = np.flatnonzero(changed & acks)
        unseen, unsure = self._unseen(at)
        if unsure.any():
            again = np.flatnonzero(acks & ~changed)
            again = again[unsure[np.searchsorted(at, again) - 1]]
            self.marks[again[self._unseen(again)[0]]] |= _ACKED_UNSEEN
        self.marks[at.compress(unseen)] |= _ACKED_UNSEEN

    def _unseen(self, at: Ints) -> tuple[Bools, Bools]:
        """Which acknowledge what was unseen; and of which that may change without a change of their number."""
        s, rows = self.s, self.rows
        other = s.run[at] ^ 1
        begin = s.bounds[other]
        place = begin + s.before[at] - 1
        inside = place >= begin
        reached = self.after[place]
        known = np.ones(len(at), bool) if self.known is None else self.known[place]
        if not inside.all():
            outside = np.flatnonzero(~inside)
            reached[outside] = by_run(rows, "next")[other[outside]]
            known[outside] = by_run(rows, "has_next")[other[outside]]
        gap = (s.ack[at] - reached).view(np.int32)
        unseen = known & (gap > 0)
        return unseen, unseen | np.where(known, gap < -_FAR, s.bounds[other + 1] > begin)

    def mark_captured_twice(self) -> None:
        """Copies of their side's previous packet; nothing else is told of them."""
        s = self.s
        at = np.flatnonzero(self.same_answer[1:] & (s.seq[1:] == s.seq[:-1])) + 1
        for column in (s.run, s.ip_id, s.flags, s.length):
            at = at.compress(column[at - 1] == column[at])
        again = np.flatnonzero(self.same_answer[s.starts])
        starts = s.starts[again]
        same = self._last(s.held[again]) == _signature(s, starts)
        at = np.concatenate((at, starts.compress(same[:, 0] & same[:, 1])))
        marked = s.ip_id[at] != 0
        self.unmarked = at.compress(~marked & (self.total[at] > 0) & (s.flags[at] & RST == 0))
        soon = s.time[self.unmarked] - self._advanced(self.unmarked) < REORDERED_NS
        self.marks[at.compress(marked)] = self.marks[self.unmarked.compress(soon)] = CAPTURED_TWICE

    # Numbers without a common order

    def judge_leaping(self) -> None:
        """Judge again, packet by packet, the connections whose numbers leap so far that no reference orders them."""
        self.leaping: dict[int, tuple[list[int], list[int]]] = {}
        if self.bent is None or not len(self.bent.far):
            return
        unmarked = frozenset(self.unmarked.tolist())
        for connection in sorted(set((self.s.run[self.bent.far] >> 1).tolist())):
            self.leaping[connection] = self._one_by_one(connection, unmarked)

    def _one_by_one(self, connection: int, unmarked: frozenset[int]) -> tuple[list[int], list[int]]:
        """Returns each side's ``next`` and when it was reached. ``unmarked``: see ``mark_captured_twice``."""
        s, row = self.s, self.rows[connection]
        nexts: list[int | None] = [int(row["next"][side]) if row["has_next"][side] else None for side in (0, 1)]
        advanced = [int(row["advanced"][side]) for side in (0, 1)]
        for n in s.in_file_order(connection).tolist():
            side, flags, length = int(s.run[n]) & 1, int(s.flags[n]), int(s.length[n])
            seq, time, size = int(s.seq[n]), int(s.time[n]), int(self.total[n])
            if n in unmarked:
                self.marks[n] = CAPTURED_TWICE if time - advanced[side] < REORDERED_NS else 0
            if self.marks[n] & CAPTURED_TWICE:
                continue
            plain = not flags & (SYN | FIN | RST)
            marks = _ZERO_WINDOW if not s.window[n] and plain else np.uint8(0)
            own, other = nexts[side], nexts[1 - side]
            if own is not None:
                ahead = _serial(seq - own)
                if ahead == -1 and length <= 1 and plain:
                    marks |= _KEEP_ALIVE
                elif ahead < 0 and size and not flags & RST:
                    inside = _serial(seq + size - own) < 0 and not flags & SYN
                    marks |= _OUT_OF_ORDER if inside and time - advanced[side] < REORDERED_NS else _RETRANSMISSION
                elif ahead > 0 and not flags & (SYN | RST):
                    marks |= _PREVIOUS_LOST
                elif ahead == 0 and flags & (ACK | RST) == ACK and not size and self.same_answer[n]:
                    marks |= _DUPLICATE_ACK
            if flags & (ACK | RST) == ACK and other is not None and _serial(int(s.ack[n]) - other) > 0:
                marks |= _ACKED_UNSEEN
            self.marks[n] = marks
            if not flags & RST and (own is None or _serial(seq + size - own) > 0):
                nexts[side], advanced[side] = (seq + size) & 0xFFFF_FFFF, time
        return [number or 0 for number in nexts], advanced

    # The next batch

    def remember(self) -> None:
        """Carry the state on."""
        s, rows = self.s, self.rows
        connection, side = s.held >> 1, s.held & 1
        rows["advanced"][connection, side] = self._last_raise(s.lasts, s.held)
        has = np.ones(len(s.held), bool) if self.known is None else self.known[s.lasts]
        rows["next"][connection.compress(has), side.compress(has)] = self.after[s.lasts.compress(has)]
        rows["has_next"][connection, side] |= has
        rows["signature"][connection, side] = _signature(s, s.lasts)
        rows["has_last"][connection, side] = True
        for leaping, (nexts, advanced) in self.leaping.items():
            rows["next"][leaping], rows["advanced"][leaping] = nexts, advanced


class _Bent:
    """The runs that are not straight: those with one of the segments ``told``.

    ``at``: their segments. Of each, as in ``_Judging``: ``after``, ``known``, ``raised``. ``ahead``: how far beyond its
    side's ``next`` it begins; ``unexpected``: where that is known, and not 0. ``far``: those of ``at`` whose numbers
    have no order with the run's others.

    Values of a run are numbers above its ``reference``, plus its number among these runs times 2 ** ``_SPACE``.
    """

    def __init__(self, s: Runs, told: Ints, had: Bools, nexts: U32, total: U32) -> None:
        bent = np.zeros(len(s.bounds) - 1, bool)
        bent[s.run[told]] = True
        self.at: Ints = np.flatnonzero(bent[s.run])
        which = np.flatnonzero(bent[s.held])
        had, reference, sizes = had[which], nexts[which], s.sizes[which]
        starts = np.cumsum(sizes) - sizes
        reset = s.flags[self.at] & RST != 0
        above: Ints = (s.seq[self.at] - np.repeat(reference, sizes)).view(np.int32).astype(np.int64)
        offset = np.repeat(np.arange(len(which)) << _SPACE, sizes)
        begin = offset + above
        floor = (np.arange(len(which)) << _SPACE) + np.where(had, 0, _NONE)
        reached = begin + total[self.at]
        reached[reset] = offset[reset] + _NONE
        reached[starts] = np.maximum(reached[starts], floor)
        np.maximum.accumulate(reached, out=reached)
        own = np.empty_like(reached)
        own[1:] = reached[:-1]
        own[starts] = floor
        self.ahead: Ints = begin - own
        self.raised: Bools = reached > own
        self.unexpected: Bools = (self.ahead != 0) & (own > offset + _KNOWN)
        value = reached - offset
        self.known: Bools = value > _KNOWN
        self.after: U32 = np.repeat(reference, sizes) + value.astype(np.uint32)
        self.far: Ints = self.at.compress((np.abs(above) > _FAR) & ~reset)


def _signature(s: Runs, at: Ints) -> npt.NDArray[np.uint64]:
    """What two copies of one packet have in common."""
    signature = np.empty((len(at), 2), np.uint64)
    signature[:, 0] = s.seq[at].astype(np.uint64) << np.uint64(32) | s.ack[at]
    signature[:, 1] = (
        s.ip_id[at].astype(np.uint64) << np.uint64(48)
        | s.window[at].astype(np.uint64) << np.uint64(32)
        | s.flags[at].astype(np.uint64) << np.uint64(24)
        | np.minimum(s.length[at], (1 << 24) - 1).astype(np.uint64)
    )
    return signature


def _serial(difference: int) -> int:
    """A difference of sequence numbers as signed 32 bits."""
    return (difference + 0x8000_0000) % 0x1_0000_0000 - 0x8000_0000
