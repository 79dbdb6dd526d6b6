"""Several capture files read as one: a ring of files that one capturing program wrote, or one file alone.

Contract: a ``packets.Reader`` over the files in the order of their first packets, with frames and interfaces counted on
from file to file; what each file says of itself adds up in ``info``. It can be told to end early, between two batches.
Raises ``UsageError`` for a file that cannot be opened: of one file when it is made, of several when each is due.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

import msgspec
import numpy as np

from netdiag.capture.packets import MAX_NOTES, Batch, FileInfo
from netdiag.capture.reader import Reader, open_capture

#: Called now and then: bytes read, bytes in all where that is known, packets.
Progress = Callable[[int, int | None, int], None]

#: A clock may be set back by as much between two files of one capture.
_OVERLAP_NS = 1_000_000_000


class Series:
    """The files at ``paths``, once. Close it afterwards."""

    def __init__(
        self, paths: Sequence[str], *, progress: Progress | None = None, cancel: threading.Event | None = None
    ) -> None:
        self._progress = progress
        self._cancel = cancel
        self._packets = 0
        #: Bytes of the files that have been read.
        self._done = 0
        self._paths = _in_order(paths)
        self._several = len(self._paths) > 1
        self._reader = self._open(self._paths[0])
        self.info = FileInfo(path=", ".join(self._paths), format="") if self._several else self._reader.info

    def __iter__(self) -> Iterator[Batch]:
        if not self._several:
            with self._reader:
                yield from self._until_cancelled(self._reader)
            return
        ended = 0
        for number, path in enumerate(self._paths):
            if number:
                self._reader = self._open(path)
            for batch in self._member(self._reader):
                if number and len(batch) and ended - int(batch.time_ns[0]) > _OVERLAP_NS:
                    words = "begins before the file before it ends: packets in both count as sent again"
                    self.info.remarks.append(f"{path} {words}")
                    ended = 0  # once is enough
                yield batch
                if len(batch):
                    ended = max(ended, int(batch.time_ns[-1]))
            if self._cancelled:
                return

    def close(self) -> None:
        """Close the file that is open."""
        self._reader.close()

    @property
    def _cancelled(self) -> bool:
        return self._cancel is not None and self._cancel.is_set()

    def _open(self, path: str) -> Reader:
        return open_capture(path, progress=self._note if self._progress else None, cancel=self._cancel)

    def _note(self, done: int, total: int | None) -> None:
        if self._progress:
            self._progress(self._done + done, None if self._several else total, self._packets)

    def _until_cancelled(self, reader: Reader) -> Iterator[Batch]:
        for batch in reader:
            self._packets += len(batch)
            yield batch
            if self._cancelled:
                break
        if self._cancelled:
            self.info.remarks.append(f"reading was ended after packet {self._packets:,}")

    def _member(self, reader: Reader) -> Iterator[Batch]:
        """The batches of one file of several."""
        frames, first = self._packets, len(self.info.interfaces)
        with reader:
            for batch in self._until_cancelled(reader):
                self.info.interfaces[first:] = reader.info.interfaces
                own = np.zeros(len(batch), np.uint16) if batch.interface is None else batch.interface
                yield msgspec.structs.replace(
                    batch, first_frame=batch.first_frame + frames, interface=own + np.uint16(first)
                )
        self._done += reader.info.bytes
        _add(self.info, reader.info, frames)


def _in_order(paths: Sequence[str]) -> tuple[str, ...]:
    """By the moment of the first packet; as given where a file can be read once only, or has no packet."""
    if len(paths) < 2 or "-" in paths:
        return tuple(paths)
    return tuple(sorted(paths, key=_first_moment))


def _first_moment(path: str) -> int:
    with open_capture(path) as reader:
        batch = next(iter(reader), None)
        return int(batch.time_ns[0]) if batch is not None and len(batch) else 0


def _add(whole: FileInfo, part: FileInfo, frames: int) -> None:
    """Add to ``whole`` what one more file says, whose frames follow ``frames`` others."""
    for name in ("format", "compression", "hardware", "os", "application"):
        said = getattr(part, name)
        known = getattr(whole, name)
        if said and said not in known.split(", "):
            setattr(whole, name, f"{known}, {said}" if known else said)
    whole.dropped += part.dropped
    whole.bytes += part.bytes
    whole.skipped += part.skipped
    whole.comments += [msgspec.structs.replace(c, frame=c.frame + frames if c.frame else 0) for c in part.comments]
    whole.drops += [msgspec.structs.replace(drop, frame=drop.frame + frames) for drop in part.drops]
    processes = len(whole.processes)
    whole.processes += part.processes
    whole.process_of_frame |= {frame + frames: index + processes for frame, index in part.process_of_frame.items()}
    whole.names |= part.names
    whole.tls_secrets += part.tls_secrets
    whole.remarks += part.remarks
    if part.damage and not whole.damage:
        reason = f"{part.path}: {part.damage.reason}"
        whole.damage = msgspec.structs.replace(
            part.damage, frame=part.damage.frame + frames if part.damage.frame else 0, reason=reason
        )
    for notes in (whole.comments, whole.drops, whole.tls_secrets, whole.remarks):
        del notes[MAX_NOTES:]
