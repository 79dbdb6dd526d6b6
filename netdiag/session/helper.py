"""Another process that takes a share of many targets: Python code runs on one core at a time, and most have more.

Contract: a helper is a copy of this process where that can be made, else this interpreter once more, which gets its
share, credentials among it, on stdin. It writes each report to stdout as soon as it is ready, and ends with its stdin,
so that it never outlives its parent. What it does not report, because it could not be started, was killed, or met
Ctrl-C before it could ignore it, is left to the parent.

    python -m netdiag.session.helper
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import BinaryIO, NoReturn

from netdiag.model import Report, Target
from netdiag.probes.threads import spawn
from netdiag.session.forked import Forked, fork
from netdiag.session.options import Options

#: -P: what lies in the current directory must not be taken for our modules.
COMMAND = (sys.executable, "-P", "-m", "netdiag.session.helper")
_CANCEL = b"c"

#: Targets, options, command, and how many targets may be under way at once.
Share = tuple[tuple[Target, ...], Options, str, int]


class Helper:
    """The parent's end. ``finished`` gets each report, ``left`` the targets without one, from a thread.

    It begins to work at once, and is listened to from ``listen`` on: a thread would stand in the way of the next copy.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        options: Options,
        command: str,
        *,
        at_once: int,
        finished: Callable[[Report], None],
        left: Callable[[Sequence[Target]], None],
    ) -> None:
        self._left = list(targets)
        self._finished = finished
        self._leave = left
        self._cancelled = False
        share: Share = (tuple(targets), options, command, at_once)
        self._process: Forked | subprocess.Popen[bytes] | None = fork(partial(_help, share))
        if self._process is None:
            with contextlib.suppress(OSError, TypeError):  # an embedded Python may not know its executable: None
                self._process = subprocess.Popen(  # noqa: S603 - fixed arguments
                    COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
                )
            self._tell(pickle.dumps(share))

    def listen(self) -> None:
        """Begin to hand on what it reports."""
        spawn(self._listen)

    def cancel(self) -> None:
        """Have it end soon: its reports then hold what was seen so far."""
        if not self._cancelled:
            self._cancelled = True
            self._tell(_CANCEL)

    def stop(self) -> None:
        """End it at once. Nobody waits for its reports."""
        if self._process:
            self._process.kill()

    def _tell(self, data: bytes) -> None:
        if self._process and self._process.stdin:
            with contextlib.suppress(OSError, ValueError):  # it has ended, and the pipe may be closed already
                self._process.stdin.write(data)
                self._process.stdin.flush()

    def _listen(self) -> None:
        if self._process:
            with contextlib.suppress(Exception), self._process:  # a program that is not ours writes anything
                self._receive(self._process)
        self._leave(self._left)

    def _receive(self, process: Forked | subprocess.Popen[bytes]) -> None:
        """Hand on reports until there is no other. Raises whatever reading nonsense raises."""
        assert process.stdout
        try:
            while True:
                report: Report = pickle.load(process.stdout)  # noqa: S301 - written by our own process
                self._left.remove(report.target)
                self._finished(report)
        finally:
            process.kill()  # after its last report it has nothing to do


def main() -> NoReturn:
    """Be a helper."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it too, and says what is to be done
    status = 1
    try:
        # What is read from "/dev/stdin", or printed by a library, must not get into the conversation.
        told = os.fdopen(os.dup(0), "rb")
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        out, sys.stdout = sys.stdout.buffer, sys.stderr
        _help(pickle.load(told), told, out)  # noqa: S301 - written by our own process
        status = 0
    finally:
        os._exit(status)  # a thread still listens to the parent, others may hang in the system's resolver


def _help(share: Share, told: BinaryIO, out: BinaryIO) -> None:
    targets, options, command, at_once = share
    cancel = threading.Event()

    def obey() -> None:
        if told.read(1) == _CANCEL:
            cancel.set()
            told.read(1)
        os._exit(1)  # the parent is gone

    spawn(obey)
    from netdiag.session.fleet import diagnose_endpoints

    for report in diagnose_endpoints(targets, options=options, command=command, cancel=cancel, at_once=at_once):
        pickle.dump(report, out)
        out.flush()


if __name__ == "__main__":
    main()
