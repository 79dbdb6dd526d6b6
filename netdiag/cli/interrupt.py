"""Ctrl-C, and the request to terminate: the first asks the work to end, so that what was found is still reported."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def interruptible() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C, or request to terminate, sets; the second does what it usually does."""
    cancel = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in signals}

    def first(_number: int, _frame: FrameType | None) -> None:
        for each in replaced:  # before the event's lock is taken: a second signal in there would wait for it for ever
            signal.signal(each, before[each])
        cancel.set()

    # None: somebody else's handler, not set from Python. Ignored: nohup, or a shell's job in the background.
    replaced = [number for number in signals if before[number] not in (None, signal.SIG_IGN)]
    if threading.current_thread() is not threading.main_thread():
        yield cancel
        return
    for number in replaced:
        signal.signal(number, first)
    try:
        yield cancel
    finally:
        for number in replaced:
            signal.signal(number, before[number])


@contextlib.contextmanager
def asking() -> Iterator[None]:
    """While a person is asked for something, Ctrl-C ends the command: the question would wait for ever otherwise."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)
