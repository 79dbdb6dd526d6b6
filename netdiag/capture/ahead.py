"""Reading ahead: an iteration that goes on in a thread of its own while its results are worked on.

numpy lets go of the interpreter while it computes, so that two processors are busy.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


class _Failed:
    def __init__(self, error: BaseException) -> None:
        self.error = error


_END = object()


class Ahead(Iterator[T]):
    """The items of ``source``, one of them made ahead; making the first begins at once.

    At any time one item is in the hands of the caller, and one is being made or waits. ``close`` ends the thread; what
    the source raises is raised here, at its place.
    """

    def __init__(self, source: Iterable[T]) -> None:
        self._waiting: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._taken = threading.Semaphore(0)
        self._closed = False
        self._thread = threading.Thread(target=self._work, args=(source,), name="netdiag-read-ahead", daemon=True)
        self._thread.start()

    def _work(self, source: Iterable[T]) -> None:
        try:
            for item in source:
                self._waiting.put(item)
                self._taken.acquire()
                if self._closed:
                    return
            self._waiting.put(_END)
        except BaseException as error:  # noqa: BLE001 - it is raised where the items are used
            self._waiting.put(_Failed(error))

    def __next__(self) -> T:
        if self._closed:
            raise StopIteration
        item = self._waiting.get()
        self._taken.release()
        if item is _END:
            self.close()
            raise StopIteration
        if isinstance(item, _Failed):
            self.close()
            raise item.error
        return item  # type: ignore[return-value]

    def close(self) -> None:
        """Let the thread end, after the item that it is making."""
        self._closed = True
        self._taken.release()
