"""The connection table: one row a connection, found by a hash of its ends, in bounded memory.

Contract: at most ``limit`` rows, and those of one batch, are in memory. When they are full the half that has been
silent longest goes to an unnamed temporary file, and comes back when one of its connections shows another packet.
``chunks`` gives every row.
What the columns mean stands in ``connections.py``; ``[..., 0]`` of a pair belongs to the low end, 1 to the high end.
"""

from __future__ import annotations

import itertools
import mmap
import weakref
from collections.abc import Iterator, Sequence
from typing import IO, Any, TypeVar

import numpy as np
import numpy.typing as npt

from netdiag.capture import memory
from netdiag.capture.packets import Ints
from netdiag.model import UsageError

U64 = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.void]
Scalar = TypeVar("Scalar", bound=np.generic)

#: Moments are ns since the Unix epoch; this one has not come.
NEVER = np.iinfo(np.int64).min

#: Bits of ``sent`` for the low end, 4 bits higher for the high end: anything, anything but resets, anything but resets
#: and SYNs, an acknowledgement without SYN and RST.
SENT, SENT_NO_RESET, SENT_TALK, SENT_ACK = 1, 2, 4, 8

#: What totals and services are made of stands in the first half: three cache lines of each row, in which whole captures
#: are summed up.
ROW = np.dtype(
    [
        ("low", "u8"),
        ("high", "u8"),
        ("syn_side", "i1"),  # who sent the first SYN; -1: nobody yet
        ("syn_ack_side", "i1"),
        ("first_side", "i1"),
        ("sent", "u1"),  # what kinds of packets each side sent: ``SENT``
        ("version", "u1"),
        ("selected", "?"),
        ("completeness", "u1"),
        ("rst_fins", "u1"),  # FINs when the first reset came: bit 1 low, bit 2 high
        ("ports", "u2", 2),  # IPv6
        ("mss", "u2", 2),
        # Counts
        ("bytes", "u8", 2),
        ("packets", "u4", 2),
        ("syn", "u4", 2),
        ("syn_ack", "u4", 2),
        ("fin", "u4", 2),
        ("rst", "u4", 2),
        ("retransmissions", "u4", 2),
        ("out_of_order", "u4", 2),
        ("duplicate_acks", "u4", 2),
        ("zero_windows", "u4", 2),
        ("keep_alives", "u4", 2),
        ("previous_lost", "u4", 2),
        ("acked_unseen", "u4", 2),
        ("captured_twice", "u4"),
        ("number", "u4"),
        ("name", "u4"),  # index into the names of servers; 0: none
        ("exhibit", "i4"),  # index into the exhibits; -1: none
        ("rst_bytes", "u4", 2),  # payload when the first reset came
        ("ttl_syn", "u1", 2),
        ("ttl_syn_ack", "u1", 2),
        ("ttl_rst", "u1", 2),
        ("ttl_min", "u1", 2),
        ("ttl_max", "u1", 2),
        ("has_next", "?", 2),
        ("has_base", "?", 2),
        ("has_last", "?", 2),
        # The opening
        ("syn_time", "i8", 2),  # of the last SYN before the other side's SYN-ACK
        ("syn_ack_time", "i8", 2),  # of the first
        ("syn_ack_frame", "i8", 2),
        ("ack_time", "i8", 2),  # of the first after the other side's SYN-ACK
        ("first_time", "i8"),
        ("last_time", "i8"),
        ("first_frame", "i8"),
        ("last_frame", "i8"),
        ("addresses", "u1", (2, 16)),  # IPv6; an IPv4 address is in the key
        # State of the definitions
        ("advanced", "i8", 2),  # when ``next`` was last raised
        ("signature", "u8", (2, 2)),  # of each side's last packet
        ("next", "u4", 2),
        ("base", "u4", 2),
    ],
    align=True,
)

#: Connections on disk that are still found again; beyond it the oldest would be taken for new ones.
MAX_REMEMBERED = 1 << 18

#: The share of places in the index beyond which it grows, and places in the first one: room for those in memory and
#: those on disk without growing beyond half a million.
_FULL, _PLACES = 0.7, 1 << 17

#: About how many new rows a batch brings, for which there is room beyond the limit.
_BATCH_ROWS = 16_384

#: The place of a row that there is not; places on disk begin below it.
_NOWHERE = -1

_DEAD = np.uint32(0xFFFF_FFFF)
_RAW = np.dtype(f"V{ROW.itemsize}")
#: Rows looked at together, one column after the other: of more, less stays in the processor's cache; fewer take more
#: calls. Their bytes are whole pages on every system.
_CHUNK = 8192


def pick(rows: Rows, which: npt.NDArray[np.generic]) -> Rows:
    """Copies of some rows, each in one piece: numpy copies structures field by field."""
    picked: Rows = rows.view(_RAW)[which].view(ROW)
    return picked


def _copy(rows: Rows, which: Ints, to: Rows) -> None:
    """Copy some rows to a place of their own."""
    np.take(rows.view(_RAW), which, out=to.view(_RAW), mode="clip")  # the other mode makes one more copy


def store(rows: Rows, which: npt.NDArray[np.generic], values: Rows) -> None:
    """Write rows over some others, each in one piece."""
    rows.view(_RAW)[which] = values.view(_RAW)


def together(parts: Sequence[Rows]) -> Rows:
    """The rows of all parts; numpy compares the fields of structures one by one before it joins them."""
    rows: Rows = np.concatenate([part.view(_RAW) for part in parts]).view(ROW)
    return rows


def by_run(rows: Rows, name: str) -> npt.NDArray[Any]:
    """A copy of a column's pairs, one after the other: that of run ``2 * row + side`` stands there.

    numpy itself is slow over an axis of two, here and in what follows.
    """
    pair = rows[name]
    flat = np.empty(2 * len(rows), pair.dtype)
    flat[0::2], flat[1::2] = pair[:, 0], pair[:, 1]
    return flat


def carry(rows: Rows, name: str, carried: np.ufunc, values: npt.NDArray[Any]) -> None:
    """Carry a column's pairs on: ``carried`` of what is there and of the value of each run."""
    pair = rows[name]
    values = values.astype(pair.dtype, copy=False)
    for side in (0, 1):
        carried(pair[:, side], values[side::2], out=pair[:, side])


def both(rows: Rows, name: str) -> npt.NDArray[np.int64]:
    """The sum of a column's pair."""
    pair = rows[name]
    total: npt.NDArray[np.int64] = pair[:, 0].astype(np.int64) + pair[:, 1]
    return total


class Index:
    """Numbers keys (u64, not 0) in the order in which they come: a hash table, on whole arrays at a time."""

    def __init__(self) -> None:
        self._given = 0
        self._clear(_PLACES)

    def __len__(self) -> int:
        """How many numbers were given."""
        return self._given

    def number(self, keys: U64) -> Ints:
        """The number of each key; a new one gets the next."""
        while self._given + len(keys) > len(self._keys) * _FULL:
            known, numbers = self.items()
            self._clear(len(self._keys) * 2)
            self._numbers[self._places(known)] = numbers
        places = self._places(keys)
        numbers = self._numbers.take(places).astype(np.int64)
        new = np.flatnonzero(numbers < 0)
        self._numbers[places.take(new)] = np.arange(self._given, self._given + len(new))
        self._given += len(new)
        numbers[new] = self._numbers.take(places.take(new))  # a key that is new twice has its last
        return numbers

    def items(self) -> tuple[U64, Ints]:
        """All keys, all numbers."""
        used = np.flatnonzero(self._keys)
        return self._keys.take(used), self._numbers.take(used).astype(np.int64)

    def renumber(self, keys: U64) -> Ints:
        """Forget all keys but these; their new numbers."""
        self._keys.fill(0)
        self._numbers.fill(-1)
        self._given = 0
        return self.number(keys)

    def _clear(self, capacity: int) -> None:
        self._keys = np.zeros(capacity, np.uint64)
        self._numbers = np.full(capacity, -1, np.int32)

    def _places(self, keys: U64) -> Ints:
        """Where each key stands, or from now on stands."""
        last = len(self._keys) - 1
        places = (keys & np.uint64(last)).view(np.int64)
        waiting, place = np.arange(len(keys)), places
        for step in itertools.count(1):
            free = np.flatnonzero(self._keys.take(place) == 0)
            self._keys[place.take(free)] = keys.take(free)  # of several that want one place, one gets it
            others = np.flatnonzero(self._keys.take(place) != keys)
            if not len(others):
                break
            # Triangular probing: other than linear, it does not let full places cluster, and takes few rounds.
            waiting, keys = waiting.take(others), keys.take(others)
            place = (place.take(others) + step) & last
            places[waiting] = place
        return places


class Table:
    """Rows by the number of their ends. A row's place is its position in memory; on disk, places are negative."""

    def __init__(self, limit: int) -> None:
        self._limit = max(limit, 2)
        self._rows: Rows = memory.zeros(self._limit + _BATCH_ROWS, ROW)
        #: Of each row: the number of its ends.
        self._ends = np.zeros(len(self._rows), np.int64)
        self._free: Ints = np.empty(0, np.int64)
        self._used = 0
        self._index = Index()
        #: Of each number: the place of the last row that has it, ``_NOWHERE`` without one.
        self._where = np.full(len(self._rows), _NOWHERE)
        #: Rows that ever went to disk, and how many of the first of them are no longer found.
        self._spilled = self._forgotten = 0
        #: Rows that came back, and are dead where they lie on disk.
        self._dead = 0
        self._disk: _Disk | None = None

    def number(self, hashes: U64) -> Ints:
        """The number of each connection's ends, until the next ``room``."""
        numbers = self._index.number(hashes)
        while len(self._index) > len(self._where):
            self._where = np.concatenate((self._where, np.full(len(self._where), _NOWHERE)))
        return numbers

    def find(self, ends: Ints) -> Ints:
        """Where the last row of each is, -1 for none. Rows on disk are brought back first."""
        places = self._where.take(ends)
        away = ends.take(np.flatnonzero(places < _NOWHERE))
        if len(away):
            away = np.unique(away)
            rows = self._bring_back(self._where.take(away))
            self.put(self.place(away), rows)
            places = self._where.take(ends)
        return places

    def take(self, places: Ints) -> Rows:
        """Copies of rows; of any row where the place is -1."""
        rows = np.empty(len(places), ROW)
        _copy(self._rows, places, rows)
        return rows

    def put(self, places: Ints, rows: Rows) -> None:
        """Write copies back."""
        store(self._rows, places, rows)

    def place(self, ends: Ints) -> Ints:
        """Places for new rows, which are found from now on; of several with the same ends, the last."""
        places = self._free[: len(ends)]
        self._free = self._free[len(places) :]
        more = len(ends) - len(places)
        if more:
            while self._used + more > len(self._rows):
                self._rows = _longer(self._rows)
                self._ends = _longer(self._ends)
            places = np.concatenate((places, np.arange(self._used, self._used + more)))
            self._used += more
        self._ends[places] = ends
        self._where[ends] = places
        return places

    def room(self) -> None:
        """See to it that a batch's new rows can be added: rows may move to disk now, and places change."""
        if self._used - len(self._free) >= self._limit:
            self._spill()

    def _in_memory(self) -> Ints:
        there = np.ones(self._used, bool)
        there[self._free] = False
        return np.flatnonzero(there)

    def _spill(self) -> None:
        """Write the half that has been silent longest to disk."""
        places = self._in_memory()
        times = self._rows["last_time"][places]
        half = len(places) // 2
        chosen = places[np.sort(np.argpartition(times, half)[:half])]
        if self._disk is None:
            self._disk = _Disk()
            weakref.finalize(self, self._disk.close)
        self._disk.append(self._rows, chosen)
        ends = self._ends.take(chosen)
        last = np.flatnonzero(self._where.take(ends) == chosen)  # an earlier incarnation is found by nobody
        self._where[ends.take(last)] = _NOWHERE - 1 - self._spilled - last
        self._spilled += half
        self._free = np.concatenate((self._free, chosen))
        self._forget()

    def _forget(self) -> None:
        """Let go of the rows that went to disk longest ago."""
        if self._spilled - self._forgotten <= MAX_REMEMBERED:
            return
        if np.count_nonzero(self._where < _NOWHERE) <= MAX_REMEMBERED:
            return
        self._forgotten = self._spilled - MAX_REMEMBERED // 2
        keys, ends = self._index.items()
        where = self._where.take(ends)
        kept = np.flatnonzero((where >= 0) | (where < _NOWHERE - self._forgotten))
        where, ends = where.take(kept), self._index.renumber(keys.take(kept))
        self._where.fill(_NOWHERE)
        self._where[ends] = where
        here = np.flatnonzero(where >= 0)
        self._ends.fill(0)  # an earlier incarnation may have any number, since it is found by none
        self._ends[where.take(here)] = ends.take(here)

    def _bring_back(self, names: Ints) -> Rows:
        assert self._disk is not None
        file = self._disk.file()
        self._dead += len(names)
        rows = np.empty(len(names), ROW)
        for n, name in enumerate(names.tolist()):
            file.seek((-2 - name) * ROW.itemsize)
            rows[n] = np.frombuffer(file.read(ROW.itemsize), ROW)[0]
            dead = rows[n : n + 1].copy()
            dead["number"] = _DEAD
            file.seek((-2 - name) * ROW.itemsize)
            file.write(dead.data)
        return rows

    def _on_disk(self) -> Iterator[Rows]:
        if self._disk is not None:
            descriptor = self._disk.file().fileno()
            for start in range(0, self._spilled, _CHUNK):
                size = min(_CHUNK, self._spilled - start) * ROW.itemsize
                mapped = mmap.mmap(descriptor, size, access=mmap.ACCESS_READ, offset=start * ROW.itemsize)
                yield np.frombuffer(mapped, ROW)

    def chunks(self) -> Iterator[Rows]:
        """Every row, some ten thousand at a time, in no particular order. They may be the table's own: only to read."""
        for rows in self._on_disk():
            yield pick(rows, rows["number"] != _DEAD) if self._dead else rows
        if not len(self._free):
            yield self._rows[: self._used]
            return
        places = self._in_memory()
        for start in range(0, len(places), _CHUNK):
            yield self.take(places[start : start + _CHUNK])

    def in_order(self) -> Iterator[Rows]:
        """Every row, some ten thousand at a time, in the order of their numbers."""
        spilled = [rows["number"].astype(np.int64) for rows in self._on_disk()]
        here = self._in_memory()
        numbers = np.concatenate([*spilled, self._rows["number"][here].astype(np.int64)])
        away = len(numbers) - len(here)
        order = np.argsort(numbers, kind="stable")
        order = order[numbers[order] != int(_DEAD)]
        for start in range(0, len(order), _CHUNK):
            wanted = order[start : start + _CHUNK]
            rows = np.empty(len(wanted), ROW)
            inside = wanted >= away
            rows[inside] = self.take(here[wanted[inside] - away])
            if not inside.all():
                assert self._disk is not None
                mapped = np.memmap(self._disk.file(), ROW, "r", shape=(away,))
                rows[~inside] = mapped[wanted[~inside]]
                del mapped
            yield rows


class _Disk:
    """An unnamed temporary file, to whose end rows are written while the caller goes on.

    Raises ``UsageError`` when there is no room for it, or once there was none.
    """

    def __init__(self) -> None:
        # Few captures need these, and they load much.
        import tempfile
        from concurrent.futures import Future, ThreadPoolExecutor

        self._folder = tempfile.gettempdir()
        self._file = tempfile.TemporaryFile(prefix="netdiag-")  # noqa: SIM115 - it lives as long as the table
        self._writer = ThreadPoolExecutor(1, "netdiag-spill")
        self._written: Future[int] | None = None
        self._copies = np.empty(0, ROW)

    def append(self, rows: Rows, which: Ints) -> None:
        """Write copies of some rows, before the file is next asked for."""
        self.file().seek(0, 2)
        if len(self._copies) < len(which):
            self._copies = np.empty(len(which), ROW)
        copies = self._copies[: len(which)]
        _copy(rows, which, copies)
        self._written = self._writer.submit(self._file.write, copies.data)

    def file(self) -> IO[bytes]:
        """The file, with everything in it."""
        try:
            if self._written is not None:
                self._written.result()
                self._file.flush()
        except OSError as error:
            raise UsageError(f"{self._folder}: no room for the connections of this capture: {error.strerror}") from None
        return self._file

    def close(self) -> None:
        """Give its room back."""
        self._writer.shutdown()
        self._file.close()


def _longer(array: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    longer = np.zeros(len(array) * 2, array.dtype)
    longer.view(f"V{array.itemsize}")[: len(array)] = array.view(f"V{array.itemsize}")
    return longer
