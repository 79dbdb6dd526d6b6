"""Records that begin with their own length, one after the other: a buffer of them, and where each one starts.

Contract: ``starts`` follows the lengths exactly, whatever they are; that they make sense is the caller's to check.

Following lengths is a chain, each step waits for the one before, and Python takes long for a step. So the buffer is
cut into lanes, whose first record is guessed from what headers look like, and numpy takes one step in all lanes at a
time. A guess is never believed: a lane counts only if the lane before it arrives at its first record; otherwise it is
walked again step by step. On captures of small packets that is ten times as fast as one walk.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Iterable, Iterator

import msgspec
import numpy as np

from netdiag.capture import memory
from netdiag.capture.packets import BATCH_PACKETS, BATCHES_AHEAD, SLACK, Batch, Bools, Bytes, Ints
from netdiag.capture.source import Source

#: Bytes read at a time. More leave the processor's cache and take memory; of fewer, numpy's calls are so short that two
#: threads hand the interpreter to each other most of the time.
BUFFER = 6_291_456

#: Buffers that are filled in turn.
BUFFERS = 1 + BATCHES_AHEAD

#: Records walked one by one, to learn how many there may be.
_FIRST = 64
#: Fewer records than this are not worth lanes.
_FEW = 1_024
#: Records of a lane, as far as can be told, and steps between two looks at which lanes have arrived. Each lane costs a
#: guess; of fewer lanes, numpy's calls are so short that two threads hand the interpreter to each other all the time.
_LANE, _STEPS = 40, 64
#: Fewer lanes than this are finished one by one.
_FEW_LANES = 24

#: Bytes searched at a time for the start of a record, and how many times before a search is given up.
_WINDOW, _LOOKS = 256, 64


class Buffer:
    """A part of a source: ``data[:filled]``, at ``offset`` in the (decompressed) file, and ``SLACK`` bytes more."""

    def __init__(self, source: Source) -> None:
        self._pool = [memory.zeros(BUFFER + SLACK, np.uint8) for _ in range(BUFFERS)]
        self._turn = 0
        self._take(self._pool[0])
        self.filled = 0
        self.offset = 0
        self._source = source
        self._kept = b""

    def _take(self, memory: Bytes) -> None:
        self.data = memory
        self.bytes = memoryview(memory)  # type: ignore[arg-type]  # numpy declares its buffer from Python 3.12 on

    def fill(self) -> bool:
        """Read on, after what ``cut`` kept. False: the source has ended."""
        self._turn = (self._turn + 1) % len(self._pool)
        self._take(self._pool[self._turn])
        kept = len(self._kept)
        self.bytes[:kept] = self._kept
        self.filled = kept + self._source.readinto(self.bytes[kept:BUFFER])
        return self.filled == BUFFER

    def cut(self, end: int) -> None:
        """Let ``SLACK`` zero bytes follow the data up to ``end``; the next ``fill`` begins with what was there."""
        self._kept = bytes(self.bytes[end : self.filled])
        self.bytes[end : end + SLACK] = bytes(SLACK)
        self.offset += end

    def skip(self, count: int) -> bool:
        """Let ``fill`` begin ``count`` bytes further on. False: the source ends before."""
        beyond = count - len(self._kept)
        self._kept = self._kept[count:]
        self.offset += count
        return beyond <= 0 or self._source.skip(beyond) == beyond


def pieces(batch: Batch, breaks: Iterable[tuple[int, int]] = ()) -> Iterator[Batch]:
    """``batch`` in parts of at most ``BATCH_PACKETS``; none of an empty one.

    ``breaks``: (index of a packet, its frame number), where the numbers do not go on from the packet before.
    """
    edges = [(0, batch.first_frame), *breaks, (len(batch), 0)]
    for (begin, frame), (end, _) in itertools.pairwise(edges):
        for at in range(begin, end, BATCH_PACKETS):
            part = slice(at, min(at + BATCH_PACKETS, end))
            yield Batch(
                data=batch.data,
                start=batch.start[part],
                caplen=batch.caplen[part],
                length=batch.length[part],
                time_ns=batch.time_ns[part],
                first_frame=frame + at - begin,
                interface=None if batch.interface is None else batch.interface[part],
                direction=None if batch.direction is None else batch.direction[part],
            )


class Shape(msgspec.Struct, frozen=True):
    """How long a record is: what the 32-bit number ``at`` bytes into it says, and ``more``, rounded up to ``align``.

    ``order`` is "<" or ">". A record shorter than ``least`` ends the chain.
    """

    at: int
    order: str
    more: int = 0
    align: int = 1
    least: int = 1


#: Takes positions and returns, for each, the first one from there on and before its end where a record seems to start,
#: or -1.
Guess = Callable[[Ints, Ints], Ints]


def starts(buffer: Buffer, shape: Shape, guess: Guess) -> Ints:
    """Where the records in ``buffer`` start. The first is at 0; the last may be incomplete."""
    first, at = _walk(buffer, shape, 0, buffer.filled, _FIRST)
    if at >= buffer.filled:
        return first
    expected = (buffer.filled - at) * len(first) // at
    if expected < _FEW:
        rest, _ = _walk(buffer, shape, at, buffer.filled)
        return np.concatenate((first, rest))
    step = (buffer.filled - at) // -(-expected // _LANE)
    places = np.arange(at + step, buffer.filled, step)
    guesses = guess(places, np.minimum(places + step, buffer.filled))
    begin = np.concatenate(([at], guesses[guesses >= 0]))
    found = np.concatenate((first, *_walk_lanes(buffer, shape, begin)))
    if shape.least > 1:  # which lanes do not look at
        short = np.diff(found) < shape.least
        if short.any():
            found = found[: int(short.argmax()) + 1]
    return found


def search(buffer: Buffer, at: Ints, end: Ints, pattern: bytes, starts_there: Callable[[Ints], Bools]) -> Ints:
    """For each of ``at``, where before ``end`` the first ``pattern`` stands that ``starts_there`` confirms, or -1."""
    windows = np.ndarray((buffer.filled + 1,), f"V{_WINDOW}", buffer.bytes, 0, (1,))
    span = _WINDOW - len(pattern) + 1
    found = np.full(len(at), -1)
    live = np.arange(len(at))
    for _ in range(_LOOKS):
        before = at < end[live]
        live, at = live[before], at[before]
        if not len(live):
            break
        window = windows[at].view(np.uint8).reshape(-1, _WINDOW)
        same = window[:, :span] == pattern[0]
        for n, byte in enumerate(pattern[1:], 1):
            same &= window[:, n : n + span] == byte
        offset = same.argmax(axis=1)
        hit = same[np.arange(len(at)), offset]
        at = at + np.where(hit, offset, span)
        right = hit & (at < end[live])
        right[right] = starts_there(at[right])
        found[live[right]] = at[right]
        live, at = live[~right], (at + hit)[~right]
    return found


def _walk_lanes(buffer: Buffer, shape: Shape, begin: Ints) -> list[Ints]:
    """The starts from ``begin[0]`` on, in pieces; ``begin``: the guesses, ascending, the first of them a fact."""
    end = np.append(begin[1:], buffer.filled)
    lengths = np.ndarray((buffer.filled + 1,), shape.order + "u4", buffer.bytes, shape.at, (1,))
    more, mask = shape.more + shape.align - 1, -shape.align
    arrival = begin.copy()
    live = np.arange(len(begin))
    found = []
    while len(live) >= _FEW_LANES:
        table = np.empty((_STEPS + 1, len(live)), np.int64)
        table[0] = arrival[live]
        for here, position in itertools.pairwise(table):
            np.add(here, lengths[here], out=position)
            position += more
            if shape.align > 1:
                position &= mask
            np.minimum(position, buffer.filled, out=position)
        inside = table < end[live]
        count = inside.sum(axis=0)
        arrival[live] = table[np.minimum(count, _STEPS), np.arange(len(live))]
        found.append(table[:-1].T.ravel().take(np.flatnonzero(inside[:-1].T)))
        live = live[(count > _STEPS) & (table[-1] > table[-2])]
    # Ascending but for a few turns: the sort that merges what is in order takes an eighth of the other's time.
    known = np.sort(np.concatenate(found), kind="stable") if found else begin[:0]
    if (arrival[:-1] == begin[1:]).all() and arrival[-1] >= end[-1]:
        return [known]
    first = np.searchsorted(known, begin)
    last = np.searchsorted(known, np.minimum(arrival, end))
    pieces = []
    at = int(begin[0])
    for lane in range(len(begin)):
        if at == begin[lane]:
            pieces.append(known[first[lane] : last[lane]])
            at = int(arrival[lane])
        if at < end[lane]:
            piece, at = _walk(buffer, shape, at, int(end[lane]))
            pieces.append(piece)
    return pieces


def _walk(buffer: Buffer, shape: Shape, at: int, end: int, most: int = BUFFER) -> tuple[Ints, int]:
    """The starts from ``at`` on and before ``end``, no more than ``most``; and where the next record starts."""
    unpack = struct.Struct(f"{shape.order}{shape.at}xI").unpack_from
    data = buffer.bytes
    more, mask, least = shape.more + shape.align - 1, -shape.align, shape.least
    found: list[int] = []
    while at < end and len(found) < most:
        found.append(at)
        (length,) = unpack(data, at)
        length = (length + more) & mask
        if length < least:
            at = buffer.filled
            break
        at += length
    return np.array(found, np.int64), at
