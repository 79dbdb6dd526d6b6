"""Carries the rows of connections on by one batch: counts, kinds of packets, the opening's times, the first reset.

What is counted when stands in ``connections.py``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from netdiag.capture.columns import ACK, FIN, RST, SYN
from netdiag.capture.judging import CAPTURED_TWICE, MARKS, Marks, judge
from netdiag.capture.packets import Bools, Ints
from netdiag.capture.sorting import Sorted
from netdiag.capture.table import NEVER, SENT, SENT_ACK, SENT_NO_RESET, SENT_TALK, Rows, both, by_run, carry
from netdiag.capture.tcp_options import maximum_segment_sizes

#: What a segment adds to its row's ``completeness`` (lower byte) and ``sent``, by its flags, and 256 for payload.
_ADDS = np.zeros(512, np.uint16)
for _flags in range(256):
    _completeness = (
        {SYN | ACK: 2, ACK: 4}.get(_flags & (SYN | ACK), 0)
        | (16 if _flags & (FIN | ACK) == FIN | ACK else 0)
        | (32 if _flags & RST else 0)
    )
    _sent = (
        SENT
        | (0 if _flags & RST else SENT_NO_RESET)
        | (0 if _flags & RST or _flags & (SYN | ACK) == SYN else SENT_TALK)
        | (SENT_ACK if _flags & (ACK | SYN | RST) == ACK else 0)
    )
    _ADDS[_flags] = _sent << 8 | _completeness
    _ADDS[256 + _flags] = _sent << 8 | (_completeness ^ 12 if _completeness & 4 else _completeness)


def count(rows: Rows, batch: Sorted, new: Bools) -> Marks:
    """Judge the segments, and count them; the marks of ``batch.all``. ``new``: the connections that begin here."""
    return _Counting(rows, batch, new).marks()


class _Counting:
    """Carries rows on by the segments of one batch that count in full."""

    def __init__(self, rows: Rows, batch: Sorted, new: Bools) -> None:
        self.rows, self.batch, self.new = rows, batch, new
        self.s = batch.whole
        self.first_frame = batch.beside.first_frame

    def marks(self) -> Marks:
        """Do it; the marks of all segments."""
        self._count_packets()
        if not len(self.s):
            return np.zeros(self.batch.n, np.uint8)
        self.marked = judge(self.s, self.rows)
        self._count()
        self._tell_kinds()
        self._ttl_ranges()
        self._open()
        self._mss()
        self._reset()
        if self.batch.is_whole is None:
            return self.marked
        marks = np.zeros(self.batch.n, np.uint8)
        marks[self.batch.is_whole] = self.marked
        return marks

    def _tally(self, name: str, at: Ints) -> None:
        """Count the segments ``at`` for their connections and sides."""
        if len(at):
            s = self.s
            carry(self.rows, name, np.add, np.bincount(s.run[at], minlength=len(s.bounds) - 1))

    def _count_packets(self) -> None:
        rows, s = self.rows, self.batch.all
        carry(rows, "packets", np.add, np.diff(s.bounds))
        latest = np.full(len(s.bounds) - 1, NEVER)
        latest[s.held] = s.time[s.lasts] if self.batch.beside.in_order else np.maximum.reduceat(s.time, s.starts)
        latest = np.maximum(latest[0::2], latest[1::2])
        rows["last_time"] = np.where(self.new, latest, np.maximum(rows["last_time"], latest))
        last = np.zeros(len(s.bounds) - 1, np.int64)
        last[s.held] = s.index[s.lasts]
        rows["last_frame"] = self.first_frame + np.maximum(last[0::2], last[1::2])
        rows["completeness"] |= self.batch.reused  # whatever else its SYN is

    def _count(self) -> None:
        rows, s = self.rows, self.s
        carried = np.zeros(len(s.bounds) - 1, np.int64)
        carried[s.held] = np.add.reduceat(s.length, s.starts)
        carry(rows, "bytes", np.add, carried)
        begun = np.flatnonzero((s.first_syn >= 0) | (s.first_syn_ack >= 0))
        connection, side = begun >> 1, begun & 1
        #: Runs with the first packets with SYN of their side.
        self.begun = begun.compress((rows["syn"][connection, side] == 0) & (rows["syn_ack"][connection, side] == 0))
        self._tally("syn", s.syns)
        self._tally("syn_ack", s.syn_acks)
        self._tally("fin", s.fins)
        self._tally("rst", s.resets)
        marked = np.flatnonzero(self.marked)
        marks = self.marked[marked]
        for bit, name in enumerate(MARKS):
            self._tally(name, marked.compress(marks >> bit & 1))
        twice = marked.compress(marks & CAPTURED_TWICE)
        if len(twice):
            rows["captured_twice"] += np.bincount(s.run[twice] >> 1, minlength=len(rows)).astype(np.uint32)

    def _tell_kinds(self) -> None:
        """What kinds of packets came: Wireshark's completeness, and ``sent``."""
        rows, s = self.rows, self.s
        payload = s.length > 0
        adds = _ADDS.take(s.flags + (payload.view(np.uint8) * np.uint16(256)))
        self._first_adds(adds, payload)
        kinds = np.zeros(len(s.bounds) - 1, np.uint16)
        kinds[s.held] = np.bitwise_or.reduceat(adds, s.starts)
        low, high = kinds[0::2], kinds[1::2]
        rows["completeness"] |= (low | high).astype(np.uint8)
        rows["sent"] |= (low >> 8 | (high >> 8) << 4).astype(np.uint8)

    def _first_adds(self, adds: npt.NDArray[np.uint16], payload: Bools) -> None:
        """The packet that begins a connection has a rule of its own."""
        batch, s = self.batch, self.s
        first = s.by_connection(s.begins())
        begins = self.new & (first >= 0) & (s.index[first] == batch.all.index[batch.first])
        at = first[begins]
        syn = (s.flags[at] & (SYN | ACK)) == SYN
        own = np.where(syn, 1 | payload[at].view(np.uint8) << 3, 0)
        own = np.where(batch.reused[begins], 1 | (s.flags[at] & RST) << 3, own)
        adds[at] = adds[at] & 0xFF00 | own

    def _ttl_ranges(self) -> None:
        """The lowest and highest TTL of each side's packets that are no resets."""
        rows, s = self.rows, self.s
        for name, ufunc, nothing in (("ttl_min", np.minimum, 255), ("ttl_max", np.maximum, 0)):
            ttl = s.ttl
            if len(s.resets):
                ttl = ttl.copy()
                ttl[s.resets] = nothing
            found = np.full(len(s.bounds) - 1, nothing, np.uint8)
            found[s.held] = ufunc.reduceat(ttl, s.starts)
            carry(rows, name, ufunc, found)

    def _open(self) -> None:
        """Who opened, and when."""
        rows, s = self.rows, self.s
        for name, first in (("syn_side", s.first_syn), ("syn_ack_side", s.first_syn_ack)):
            opened = s.by_connection(first)
            here = (opened >= 0) & (rows[name] < 0)
            rows[name][here] = s.run[opened[here]] & 1
        for name, first in (("ttl_syn", s.first_syn), ("ttl_syn_ack", s.first_syn_ack)):
            run = np.flatnonzero((first >= 0) & (by_run(rows, name) == 0))
            rows[name][run >> 1, run & 1] = s.ttl[first[run]]
        self._opening_times()

    def _opening_times(self) -> None:
        """A run may be the client's, ``run ^ 1`` is then its server's."""
        rows, s, answer = self.rows, self.s, self.s.first_syn_ack
        unanswered = by_run(rows, "syn_ack_time") == NEVER
        syns = s.syns[(self.marked[s.syns] & CAPTURED_TWICE) == 0]
        run = s.run[syns]
        theirs = answer[run ^ 1]
        waits = unanswered[run ^ 1] & ((theirs < 0) | (s.index[syns] < s.index[theirs]))
        run = run.compress(waits)
        rows["syn_time"][run >> 1, run & 1] = s.time[syns.compress(waits)]  # of several, the last stays
        run = np.flatnonzero((answer >= 0) & unanswered)
        at = answer[run]
        rows["syn_ack_time"][run >> 1, run & 1] = s.time[at]
        rows["syn_ack_frame"][run >> 1, run & 1] = self.first_frame + s.index[at]
        answered, waiting = by_run(rows, "syn_ack_time") != NEVER, by_run(rows, "ack_time") == NEVER
        waiting[0::2] &= answered[1::2]
        waiting[1::2] &= answered[0::2]
        run = np.flatnonzero(waiting)
        if len(run):
            since = s.bounds[run].copy()
            now = (answer[run ^ 1] >= 0) & unanswered[run ^ 1]  # in this batch; before it otherwise
            since[now] = s.since(answer[run[now] ^ 1])
            acks = np.flatnonzero(((s.flags & (ACK | SYN | RST)) == ACK) & (self.marked < CAPTURED_TWICE))
            ack = s.first_since(acks, run, since)
            run, ack = run.compress(ack >= 0), ack.compress(ack >= 0)
            rows["ack_time"][run >> 1, run & 1] = s.time[ack]

    def _mss(self) -> None:
        """The maximum segment size that each side's first packet with SYN tells."""
        rows, s, run = self.rows, self.s, self.begun
        if not len(run):
            return
        syn, syn_ack = s.first_syn[run], s.first_syn_ack[run]
        first = np.where((syn_ack < 0) | ((syn >= 0) & (syn < syn_ack)), syn, syn_ack)
        tcp, header, end = (s.of_few(name, first) for name in ("tcp", "header", "end"))
        sizes = maximum_segment_sizes(self.batch.beside.data, tcp + 20, np.minimum(tcp + header, end))
        rows["mss"][run >> 1, run & 1] = sizes

    def _reset(self) -> None:
        """What had been when the first reset of each connection came."""
        rows, s = self.rows, self.s
        if not len(s.resets):
            return
        of_side = s.first(s.resets)
        first = s.by_connection(of_side)
        begins = np.flatnonzero((first >= 0) & (both(rows, "ttl_rst") == 0))
        sent = np.concatenate(([0], np.cumsum(s.length)))
        closed = np.zeros(len(begins), np.uint8)
        for side in (0, 1):
            run = begins * 2 + side
            at, end = first[begins], s.bounds[run + 1]
            later = np.where(s.run[at] == run, at + 1, s.since(at))
            up_to = rows["bytes"][begins, side] - (sent[end] - sent[later]).astype(np.uint64)
            rows["rst_bytes"][begins, side] = np.minimum(up_to, 2**32 - 1)
            fins_later = np.searchsorted(s.fins, end) - np.searchsorted(s.fins, later)
            closed |= (rows["fin"][begins, side] > fins_later).view(np.uint8) << side
        rows["rst_fins"][begins] = closed
        run = np.flatnonzero((of_side >= 0) & (by_run(rows, "ttl_rst") == 0))
        rows["ttl_rst"][run >> 1, run & 1] = s.ttl[of_side[run]]
