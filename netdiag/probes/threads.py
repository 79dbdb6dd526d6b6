"""Threads that may be left behind: a resolver or a login that hangs must keep neither a caller nor the program waiting.

Contract: daemon threads. That suits what waits inside the operating system (getaddrinfo, Kerberos); it does not suit
what holds the interpreter's lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from netdiag.probes.net import Deadline

T = TypeVar("T")


def bounded(work: Callable[[], T], deadline: Deadline) -> T:
    """What ``work`` returns or raises; ``TimeoutError`` when it has done neither by the deadline."""
    try:
        return spawn(work).result(deadline.remaining())
    except TimeoutError as error:
        raise TimeoutError(str(error) or "no answer in time") from error


def spawn(work: Callable[[], T]) -> Future[T]:
    """Run ``work`` in a daemon thread. Its result or exception is in the future."""
    future: Future[T] = Future()
    spawn_into(work, future)
    return future


def spawn_into(work: Callable[[], T], future: Future[T]) -> None:
    """Run ``work`` in a daemon thread for a future that is there already."""
    threading.Thread(target=lambda: carry_out(work, future), daemon=True).start()


def carry_out(work: Callable[[], T], future: Future[T]) -> None:
    """Run ``work`` here, and put its result or exception into the future."""
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001 - it is handed on whole, to whoever waits for the future
        future.set_exception(error)
