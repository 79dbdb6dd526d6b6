"""A copy of this process, made by fork(2): what a new interpreter would have to import is there already.

Contract: made only where the calling thread is alone, threads of C libraries counted, since a lock that another thread
holds would be held for ever in the copy. Beside its memory the copy keeps nothing of its parent's, as if it were a new
program: no signal handler, no open file, no standard stream. Linux only: macOS' own libraries do not survive a fork.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import BinaryIO, NoReturn, Self

#: What the copy does: it is told by the first, and answers through the second.
Work = Callable[[BinaryIO, BinaryIO], None]


class Forked:
    """The parent's end, like ``subprocess.Popen``. Leaving it as a context ends the copy."""

    def __init__(self, pid: int, stdin: BinaryIO, stdout: BinaryIO) -> None:
        self.stdin = stdin
        self.stdout = stdout
        self._pid = pid
        self._ended = False
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        with contextlib.suppress(OSError):  # what was not written yet has no reader
            self.stdin.close()
        self.stdout.close()

    def kill(self) -> None:
        """End it at once. May be called again."""
        if sys.platform == "win32":
            return
        with self._lock:  # once it is waited for, its number may be another process's
            if not self._ended:
                self._ended = True
                os.kill(self._pid, signal.SIGKILL)
                with contextlib.suppress(ChildProcessError):  # the program has its children waited for by the system
                    os.waitpid(self._pid, 0)


def possible() -> bool:
    """Whether this process can be copied: the system is Linux, and this process has one thread."""
    try:
        return sys.platform == "linux" and len(os.listdir("/proc/self/task")) == 1  # noqa: PTH208 - no use for Paths
    except OSError:  # no /proc
        return False


def fork(work: Work) -> Forked | None:
    """A copy of this process that does ``work`` and ends; None where there can be none."""
    if sys.platform != "linux" or not possible():
        return None
    told, tell = os.pipe()
    hear, say = os.pipe()
    # Else a handler that raises could do so here and in the copy, which would go on as if it were its parent.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            _be_copy(work, told, say, before)
    except OSError:  # no more processes, or no more memory
        os.close(tell)
        os.close(hear)
        return None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(told)
        os.close(say)
    return Forked(pid, os.fdopen(tell, "wb"), os.fdopen(hear, "rb"))


def _be_copy(work: Work, told: int, say: int, mask: Iterable[int]) -> NoReturn:
    """Drop what is the parent's, work, and end: what the parent goes on to do is not for its copy."""
    status = 1
    try:
        if sys.platform == "linux":
            _forget_signals(mask)
            work(*_forget_files(told, say))
            status = 0
    finally:
        os._exit(status)


def _forget_signals(mask: Iterable[int]) -> None:
    """What has a handler gets the system's, as in a new program; Ctrl-C is for the parent to act upon."""
    if sys.platform == "linux":
        for number in signal.valid_signals():
            if callable(signal.getsignal(number)):
                signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _forget_files(*pipes: int) -> tuple[BinaryIO, BinaryIO]:
    """Keep nothing open but the pipes; the standard streams lead nowhere."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    while nowhere < 3:  # a shell can close standard streams (<&-): then a pipe may stand where one belongs
        nowhere = os.dup(nowhere)
    kept = [os.dup(pipe) for pipe in pipes]
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - as above
        if int(name) > 2 and int(name) not in kept:
            with contextlib.suppress(OSError):  # the one that the list was read from
                os.close(int(name))
    gc.freeze()  # else a file of the parent's that is collected here would close what has its number by then
    told, say = kept
    return os.fdopen(told, "rb"), os.fdopen(say, "wb")
