"""From a reader's packets to batches that are sorted by connection: all that needs no knowledge of earlier batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from netdiag.capture import memory
from netdiag.capture.columns import Beside
from netdiag.capture.decoding import Decoder
from netdiag.capture.options import CaptureOptions
from netdiag.capture.packets import FileInfo, Reader
from netdiag.capture.selection import Selection
from netdiag.capture.sorting import Sorted
from netdiag.capture.turns import in_turns


class Packets(Protocol):
    """The packets of a capture that were asked for. ``info`` is complete when ``each`` returns."""

    @property
    def info(self) -> FileInfo:
        """What the file says of itself."""

    def each(self, use: Callable[[Sorted], None]) -> None:
        """Call ``use`` with every batch, in order, one at a time. Its arrays may be written over when it returns."""


class InTurns:
    """The packets of a reader, read by two threads of this process, each of which also counts what it has read."""

    def __init__(self, reader: Reader, options: CaptureOptions) -> None:
        self._reader = reader
        self._options = options

    @property
    def info(self) -> FileInfo:
        """What the file says of itself."""
        return self._reader.info

    def each(self, use: Callable[[Sorted], None]) -> None:
        """Call ``use`` with every batch, in order, one at a time."""
        in_turns(batches(self._reader, self._options), use, before=memory.keep)


def batches(reader: Reader, options: CaptureOptions) -> Iterator[Sorted]:
    """The packets in the time asked for, decoded and sorted."""
    decoder, selection = Decoder(reader.info.interfaces), Selection(options)
    for batch in reader:
        for part in selection.in_time(batch):
            columns = decoder.columns(part)
            segments = columns.segments
            yield Sorted(Beside.of(columns), segments, part.time_ns.take(segments.index))
