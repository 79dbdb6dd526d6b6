"""The packets of one connection in two captures: which is which.

Contract: linear, or n log n, in the packets kept. Packets are the same when sender, sequence number (shifted by what a
firewall adds to all of them), length and kind agree; copies of one segment are told apart by IP identification and
timestamps where the path leaves these alone, and by time otherwise. Data that one capture holds in other pieces than
the other (segmentation offload) is in both.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping, Sequence

import msgspec

from netdiag.capture.clocks import Clock, Moments
from netdiag.capture.exhibits import Exhibit
from netdiag.model import Segment

#: Copies of one segment that nothing but time tells apart are the same within this, and the delay.
_CLOSE_S = 0.1
#: An IP identification, a timestamp is left alone by the path if it is the same in this share of the packets.
_KEPT = 0.8
#: Data shorter than this is too often alike to tell how numbers are shifted.
_MIN_DATA = 8

_KIND = frozenset(("SYN", "FIN", "RST"))


class Pair(msgspec.Struct):
    """One packet: what this capture has of it, and the other. ``pieces``: cut otherwise there."""

    here: Segment | None
    there: Segment | None
    payload_differs: bool = False
    pieces: bool = False


class Side(msgspec.Struct):
    """One capture's packets of a connection, copies left out."""

    segments: list[Segment]
    payloads: list[bytes]

    @classmethod
    def of(cls, exhibit: Exhibit) -> Side:
        """Without what the capture holds twice."""
        side, seen = cls([], []), set()
        for segment, payload in zip(exhibit.segments, exhibit.payloads, strict=True):
            s = segment
            same = (s.sender, s.flags, s.seq, s.ack, s.length, s.ip_id, s.ts_val, s.ts_ecr)
            if "captured-twice" in s.marks or (s.ip_id and same in seen):
                continue
            seen.add(same)
            side.segments.append(s)
            side.payloads.append(payload)
        return side


class Pairing(msgspec.Struct):
    """Two captures' packets of one connection, in the making: ``sure`` pairs first, all of them with a clock."""

    here: Side
    there: Side
    #: By sender: what the other capture adds to its sequence numbers.
    shift: dict[str, int] = msgspec.field(default_factory=dict)
    #: By sender: the first sequence number that this capture holds, as the other would show it.
    first: dict[str, int] = msgspec.field(default_factory=dict)
    same_ids: bool = False
    same_stamps: bool = False
    sure: list[tuple[int, int]] = msgspec.field(default_factory=list)

    @property
    def is_same(self) -> bool:
        """Whether packets bear marks of the same sender: not only the same data, which a proxy passes on too."""
        if not self.sure or any(self.shift.values()):
            return self.same_ids or self.same_stamps
        segments = self.here.segments, self.there.segments
        alike = any(segments[0][i].window == segments[1][j].window for i, j in self.sure)
        return self.same_ids or self.same_stamps or alike or len(self.sure) > 1

    def moments(self, sender: str) -> Iterator[Moments]:
        """When one side's packets were seen here and there."""
        for i, j in self.sure:
            if self.here.segments[i].sender == sender:
                yield self.here.segments[i].at, self.there.segments[j].at


def begin(here: Exhibit, there: Exhibit) -> Pairing:
    """Find the shifts, and the packets that only one packet can be."""
    pairing = Pairing(Side.of(here), Side.of(there))
    pairing.shift = {side: _shift(pairing, side) for side in ("client", "server")}
    for segment in pairing.here.segments:
        pairing.first.setdefault(segment.sender, segment.seq + pairing.shift[segment.sender])
    ours, theirs = _groups(pairing)
    pairing.sure = [pair for key, mine in ours.items() for pair in _one_each(pairing, mine, theirs.get(key, []))]
    segments = [(pairing.here.segments[i], pairing.there.segments[j]) for i, j in pairing.sure]
    pairing.same_ids = _kept([(a.ip_id, b.ip_id) for a, b in segments if a.ip_id or b.ip_id])
    pairing.same_stamps = _kept([(a.ts_val, b.ts_val) for a, b in segments if a.ts_val or b.ts_val])
    if pairing.same_ids:  # one copy each, and not the same one
        pairing.sure = [
            (i, j) for i, j in pairing.sure if pairing.here.segments[i].ip_id == pairing.there.segments[j].ip_id
        ]
    return pairing


def _one_each(pairing: Pairing, mine: list[int], others: list[int]) -> list[tuple[int, int]]:
    """Of the copies of one segment those that can be one only: there are no others, or they bear the same marks."""
    if len(mine) == len(others) == 1:
        return [(mine[0], others[0])]
    sides: list[dict[Hashable, int | None]] = []
    for side, indexes in ((pairing.here, mine), (pairing.there, others)):
        marked: dict[Hashable, int | None] = {}
        for n in indexes:
            s = side.segments[n]
            if s.ip_id or s.ts_val is not None:
                mark = (s.ip_id, s.ts_val, s.ts_ecr)
                marked[mark] = None if mark in marked else n
        sides.append(marked)
    return [(i, j) for mark, i in sides[0].items() if i is not None and (j := sides[1].get(mark)) is not None]


def finish(pairing: Pairing, clock: Clock | None) -> list[Pair]:
    """Every packet of both captures, in the order of time on this capture's clock."""
    ours, theirs = _groups(pairing)
    pairs: list[Pair] = []
    here_left: list[int] = []
    there_left: list[int] = []
    for key, mine in ours.items():
        others = theirs.pop(key, [])
        joined = _join(pairing, mine, others, clock)
        taken_here, taken_there = {i for i, _ in joined}, {j for _, j in joined}
        pairs += [_pair(pairing, i, j) for i, j in joined]
        here_left += [i for i in mine if i not in taken_here]
        there_left += [j for j in others if j not in taken_there]
    there_left += [j for left in theirs.values() for j in left]
    pairs += _pieces(pairing, here_left, there_left)
    return sorted(pairs, key=lambda pair: moment(pair, clock))


def moment(pair: Pair, clock: Clock | None) -> float:
    """When, on this capture's clock."""
    if pair.here is not None:
        return pair.here.at
    assert pair.there is not None
    return clock.here(pair.there.at) if clock else pair.there.at


def _pair(pairing: Pairing, i: int, j: int) -> Pair:
    a, b = pairing.here.payloads[i], pairing.there.payloads[j]
    common = min(len(a), len(b))
    return Pair(pairing.here.segments[i], pairing.there.segments[j], a[:common] != b[:common])


def _kept(values: Sequence[tuple[int | None, int | None]]) -> bool:
    return bool(values) and sum(a == b for a, b in values) >= _KEPT * len(values)


def _shift(pairing: Pairing, side: str) -> int:
    """What is added to the sequence numbers of one side, by its SYN or else by most of its data."""
    sides = (pairing.here, pairing.there)
    syns = [next((s.seq for s in p.segments if s.sender == side and "SYN" in s.flags), None) for p in sides]
    if syns[0] is not None and syns[1] is not None:
        return (syns[1] - syns[0]) % 2**32
    numbers = [{(s.seq, s.length) for s in p.segments if s.sender == side and s.length} for p in sides]
    if numbers[0] & numbers[1]:
        return 0
    found: list[dict[Hashable, int]] = []
    for each in sides:
        by_data: dict[Hashable, int] = {}
        for segment, payload in zip(each.segments, each.payloads, strict=True):
            if segment.sender == side and len(payload) >= _MIN_DATA:
                by_data.setdefault(hashlib.sha256(payload).digest(), segment.seq)
        found.append(by_data)
    votes = Counter((found[1][data] - seq) % 2**32 for data, seq in found[0].items() if data in found[1])
    return votes.most_common(1)[0][0] if votes else 0


def _groups(pairing: Pairing) -> tuple[dict[Hashable, list[int]], dict[Hashable, list[int]]]:
    """The indexes of both captures' packets by what makes them the same segment."""
    result = []
    for side, shift in ((pairing.here, pairing.shift), (pairing.there, {"client": 0, "server": 0})):
        groups: dict[Hashable, list[int]] = {}
        for n, s in enumerate(side.segments):
            flags = frozenset(s.flags.split(","))
            acks = "ACK" in flags and not s.length
            other = "server" if s.sender == "client" else "client"
            ack = (s.ack + shift[other]) % 2**32 if acks else None
            key = (s.sender, (s.seq + shift[s.sender]) % 2**32, ack, s.length, flags & _KIND)
            groups.setdefault(key, []).append(n)
        result.append(groups)
    return result[0], result[1]


def _join(pairing: Pairing, mine: list[int], others: list[int], clock: Clock | None) -> list[tuple[int, int]]:
    """The pairs among the copies of one segment."""
    if not others:
        return []
    exact: list[tuple[int, int]] = []

    def mark(s: Segment) -> Hashable:
        return (s.ip_id if pairing.same_ids else None, (s.ts_val, s.ts_ecr) if pairing.same_stamps else None)

    by_mark: dict[Hashable, tuple[list[int], list[int]]] = {}
    for i in mine:
        by_mark.setdefault(mark(pairing.here.segments[i]), ([], []))[0].append(i)
    for j in others:
        by_mark.setdefault(mark(pairing.there.segments[j]), ([], []))[1].append(j)
    for left, right in by_mark.values():
        exact += _by_time(pairing, left, right, clock)
    return exact


def _by_time(pairing: Pairing, mine: list[int], others: list[int], clock: Clock | None) -> list[tuple[int, int]]:
    """Copies that look alike, in the order of time."""
    if clock is None or len(mine) == len(others):
        return list(zip(mine, others, strict=False))
    close = _CLOSE_S + abs(clock.delay_s or 0.0)
    joined, at = [], 0
    for i in mine:
        seen = pairing.here.segments[i].at
        while at < len(others) and clock.here(pairing.there.segments[others[at]].at) < seen - close:
            at += 1
        if at < len(others) and clock.here(pairing.there.segments[others[at]].at) <= seen + close:
            joined.append((i, others[at]))
            at += 1
    return joined


def _pieces(pairing: Pairing, here_left: list[int], there_left: list[int]) -> list[Pair]:
    """What is left: data in other pieces counts as seen in both, the rest as seen in one."""
    ours = [_span(pairing, pairing.here.segments[i], pairing.shift) for i in here_left]
    theirs = [_span(pairing, pairing.there.segments[j], {}) for j in there_left]
    covers_here, covers_there = _merged(ours), _merged(theirs)
    pairs = []
    for span in ours:
        piece = _covering(covers_there, span)
        pairs.append(Pair(span.segment, piece, pieces=piece is not None))
    pairs += [Pair(None, span.segment) for span in theirs if _covering(covers_here, span) is None]
    return pairs


class _Span(msgspec.Struct, frozen=True):
    """Data of one side: from the number ``start`` to before ``end``, in a count that does not wrap."""

    start: int
    end: int
    segment: Segment


def _span(pairing: Pairing, segment: Segment, shift: Mapping[str, int]) -> _Span:
    """Counted from half the number space before the first packet that this capture has of the sender."""
    sender = segment.sender
    first = pairing.first.get(sender, segment.seq)
    start = (segment.seq + shift.get(sender, 0) - first + 2**31) % 2**32
    return _Span(start, start + segment.length, segment)


def _merged(spans: Sequence[_Span]) -> dict[str, list[_Span]]:
    """By sender, in order: data without a gap as one, with its first packet."""
    runs: dict[str, list[_Span]] = {"client": [], "server": []}
    for span in sorted(spans, key=lambda span: span.start):
        run = runs[span.segment.sender]
        if span.segment.length and run and span.start <= run[-1].end:
            run[-1] = _Span(run[-1].start, max(run[-1].end, span.end), run[-1].segment)
        elif span.segment.length:
            run.append(span)
    return runs


def _covering(runs: dict[str, list[_Span]], span: _Span) -> Segment | None:
    """The first packet of a run that holds all of some data."""
    run = runs[span.segment.sender]
    at = bisect_right(run, span.start, key=lambda one: one.start) - 1
    return run[at].segment if at >= 0 and span.segment.length and span.end <= run[at].end else None
