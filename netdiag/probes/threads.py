"""Threads that may be left behind: a resolver or a login that hangs must keep neither a caller nor the program waiting.

Contract: daemon threads. That suits what waits inside the operating system (getaddrinfo, Kerberos); it does not suit
what holds the interpreter's lock. A thread whose work is done takes the next: many targets need thousands, and to start
one costs several times what it costs to wake one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import TypeVar

from netdiag.probes.net import Deadline

T = TypeVar("T")

#: How long a thread waits for more work, in seconds: between the rungs of a run there are waits of some seconds.
IDLE_S = 5.0

_Job = Callable[[], None]
#: Where the threads that have nothing to do wait for work, the last to begin waiting at the end.
_idle: list[SimpleQueue[_Job]] = []
if hasattr(os, "register_at_fork"):  # a forked process has none of its parent's threads
    os.register_at_fork(after_in_child=_idle.clear)


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

    def job() -> None:
        carry_out(work, future)

    try:
        _idle.pop().put(job)
    except IndexError:
        threading.Thread(target=_serve, args=(job,), daemon=True).start()


def _serve(job: _Job) -> None:
    """Do one job after the other; return when none comes for a while."""
    waiting: SimpleQueue[_Job] = SimpleQueue()
    while True:
        job()
        del job  # and all that it holds
        _idle.append(waiting)
        try:
            job = waiting.get(timeout=IDLE_S)
        except Empty:
            try:
                _idle.remove(waiting)
            except ValueError:  # taken just now: the job is about to come
                job = waiting.get()
            else:
                return


def carry_out(work: Callable[[], T], future: Future[T]) -> None:
    """Run ``work`` here, and put its result or exception into the future."""
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001 - it is handed on whole, to whoever waits for the future
        future.set_exception(error)
