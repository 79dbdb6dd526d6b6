"""The packets of capture files, read and sorted by a copy of this process while this one counts them.

Two threads hand the interpreter to each other hundreds of times a batch, and a processor that was put to sleep takes
long to wake. Two processes share nothing but memory, and meet once a batch.

Contract: as ``capture.reading.Packets``. A batch lies in a slot of memory that both share, for as long as it is used.
"""

from __future__ import annotations

import mmap
import os
import pickle
import stat
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Self

from netdiag.model import UsageError
from netdiag.session import forked

if TYPE_CHECKING:
    from netdiag.capture.options import CaptureOptions
    from netdiag.capture.packets import FileInfo
    from netdiag.capture.series import Progress
    from netdiag.capture.sorting import Sorted

#: Bytes of files from which on a copy gains more than it costs: some 50,000 packets.
WORTHWHILE = 4 << 20

#: Batches that wait or are in use, and the memory for each. What has no room goes through the pipe.
_SLOTS, _SLOT = 2, 12 << 20
#: Bytes read at a time: nobody waits for the interpreter, so that batches may be small enough for a processor's cache.
_BUFFER = 3 << 20
#: Where slots begin. The first byte says that reading is to end.
_BEGIN = mmap.PAGESIZE
#: Arrays begin at multiples of a cache line.
_LINE = 64


def begin(
    paths: Sequence[str],
    options: CaptureOptions,
    *,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> Apart | None:
    """Begin to read files; None where this process must do so itself.

    That is where it cannot be copied, and for what is small or comes through a pipe.
    """
    if not forked.possible() or os.cpu_count() == 1 or not _worthwhile(paths):
        return None
    import netdiag.capture.columns  # noqa: F401 - draws the key of hashes, which must be the same in both processes

    try:
        shared = mmap.mmap(-1, _BEGIN + _SLOTS * _SLOT)
    except OSError:  # a limit on memory
        return None
    copy = forked.fork(lambda told, say: _Copy(shared, told, say).work(paths, options))
    return Apart(copy, shared, progress, cancel) if copy else None


def _worthwhile(paths: Sequence[str]) -> bool:
    try:
        files = [Path(path).stat() for path in paths]
    except (OSError, ValueError):  # who opens it says what is wrong
        return False
    return all(stat.S_ISREG(file.st_mode) for file in files) and sum(file.st_size for file in files) >= WORTHWHILE


class Apart:
    """This process's end. Leaving it as a context ends the copy."""

    def __init__(
        self, copy: forked.Forked, shared: mmap.mmap, progress: Progress | None, cancel: threading.Event | None
    ) -> None:
        self._copy = copy
        self._shared = shared
        self._progress = progress
        self._cancel = cancel
        self._info: FileInfo | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._copy.__exit__(kind, error, trace)

    @property
    def info(self) -> FileInfo:
        """What the files say of themselves."""
        assert self._info is not None, "the packets come first"
        return self._info

    def each(self, use: Callable[[Sorted], None]) -> None:
        """Call ``use`` with every batch, in order, one at a time.

        Raises ``UsageError`` as readers do, and when the copy was ended from outside.
        """
        for slot, batch in self._batches():
            use(batch)
            self._release(slot)

    def _batches(self) -> Iterator[tuple[int, Sorted]]:
        view = memoryview(self._shared)
        while True:
            try:
                kind, *said = pickle.load(self._copy.stdout)  # noqa: S301 - said by a copy of this process
            except (EOFError, pickle.UnpicklingError):
                raise UsageError("the process that reads the packets was ended from outside") from None
            if kind == "end":
                (self._info,) = said
                return
            if kind == "usage":
                raise UsageError(*said)
            if kind == "bug":
                raise RuntimeError(f"in the process that reads the packets:\n{said[0]}")
            slot, places, batch, noted = said
            yield slot, pickle.loads(batch, buffers=[view[begin:end] for begin, end in places])  # noqa: S301 - as above
            if self._progress and noted:
                self._progress(*noted)
            if self._cancel and self._cancel.is_set():
                self._shared[0] = 1

    def _release(self, slot: int) -> None:
        """Let the copy lay another batch there."""
        try:
            self._copy.stdin.write(bytes((slot,)))
            self._copy.stdin.flush()
        except BrokenPipeError:  # it has said everything and ended
            pass


class _Told(threading.Event):
    """Set when the first byte of what both processes share is."""

    def __init__(self, view: memoryview) -> None:
        super().__init__()
        self._view = view

    def is_set(self) -> bool:
        """Whether reading is to end."""
        return self._view[0] != 0


class _Copy:
    """The copy's end."""

    def __init__(self, shared: mmap.mmap, told: BinaryIO, say: BinaryIO) -> None:
        self._view = memoryview(shared)
        self._told = told
        self._say = say
        self._free = list(range(_SLOTS))
        self._noted: tuple[int, int | None, int] | None = None

    def work(self, paths: Sequence[str], options: CaptureOptions) -> None:
        """Read to the end, and tell how it went."""
        try:
            from netdiag.capture import memory
            from netdiag.capture.formats import records
            from netdiag.capture.reading import batches
            from netdiag.capture.series import Series

            records.BUFFER, records.BUFFERS = _BUFFER, 1  # a batch is copied before the next is asked for
            memory.keep()
            reader = Series(tuple(paths), progress=self._note, cancel=_Told(self._view))
            for batch in batches(reader, options):
                self._send(batch)
            self._tell("end", reader.info)
        except UsageError as error:
            self._tell("usage", str(error))
        except BrokenPipeError:  # nobody waits any more
            pass
        except Exception:  # noqa: BLE001 - the other process raises it
            self._tell("bug", traceback.format_exc())

    def _note(self, done: int, total: int | None, packets: int) -> None:
        self._noted = (done, total, packets)

    def _tell(self, *said: object) -> None:
        pickle.dump(said, self._say, protocol=5)
        self._say.flush()

    def _send(self, batch: Sorted) -> None:
        slot = self._slot()
        at = _BEGIN + slot * _SLOT
        end = at + _SLOT
        places: list[tuple[int, int]] = []

        def lay(array: pickle.PickleBuffer) -> bool:
            """Lay an array into the slot; True: it goes with the message."""
            nonlocal at
            raw = array.raw()
            if at + raw.nbytes > end:
                return True
            self._view[at : at + raw.nbytes] = raw
            places.append((at, at + raw.nbytes))
            at += -(-raw.nbytes // _LINE) * _LINE
            return False

        message = pickle.dumps(batch, protocol=5, buffer_callback=lay)
        self._tell("batch", slot, places, message, self._noted)

    def _slot(self) -> int:
        """One that is free."""
        if not self._free:
            released = self._told.read(1)
            if not released:
                raise BrokenPipeError
            self._free += released
        return self._free.pop()
