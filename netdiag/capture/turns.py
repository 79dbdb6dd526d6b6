"""Two threads that take turns: one makes an item and then uses it, while the other makes the next.

numpy lets go of the interpreter while it computes, so that two processors are busy; and what a thread has made is still
in the cache of its processor when it is used.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")

_END = object()


def in_turns(source: Iterable[T], use: Callable[[T], None], *, before: Callable[[], None]) -> None:
    """Call ``use`` with every item of ``source``, in their order and never with two at a time.

    Of two items one is made while the other is used. What either of them raises ends it and is raised here. Each
    thread calls ``before`` first.
    """
    _Turns(source, use, before).take()


class _Turns:
    def __init__(self, source: Iterable[T], use: Callable[[T], None], before: Callable[[], None]) -> None:
        self._before = before
        self._source = iter(source)
        self._use: Callable[[T], None] = use
        self._making, self._using = threading.Lock(), threading.Lock()
        #: No item is made any more; none is used any more, because using one failed.
        self._over = self._broken = False
        self._error: BaseException | None = None

    def take(self) -> None:
        """Take turns with a thread until the source has ended."""
        other = threading.Thread(target=self._work, name="netdiag-turns", daemon=True)
        other.start()
        self._work()
        other.join()
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        try:
            self._before()
            while self._turn():
                pass
        except BaseException as error:  # noqa: BLE001 - it is raised where the turns were begun
            self._error = self._error or error
            self._over = True

    def _turn(self) -> bool:
        """Make and use one item. False: there is none."""
        with self._making:
            item = _END if self._over else next(self._source, _END)
            if item is _END:
                self._over = True
                return False
            self._using.acquire()  # before the next is made: items are used in the order in which they were made
        try:
            if not self._broken:
                self._broken = True
                self._use(item)  # type: ignore[arg-type]
                self._broken = False
        finally:
            self._using.release()
        return True
