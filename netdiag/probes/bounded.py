"""Work that cannot be told to stop, made to end in time for its caller.

Contract: the work runs in a daemon thread, which is left behind when the deadline passes. That suits what waits inside
the operating system (getaddrinfo, Kerberos); it does not suit what holds the interpreter's lock.
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
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - raised again where the caller waits
            future.set_exception(error)

    threading.Thread(target=run, daemon=True, name="netdiag-bounded").start()
    try:
        return future.result(deadline.remaining())
    except TimeoutError as error:
        raise TimeoutError(str(error) or "no answer in time") from error
