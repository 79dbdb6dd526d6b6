"""Copies of this process: what they keep, when they end, and where none is made.

A test process has threads, so the copies are made by programs that the tests start.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import BinaryIO

import pytest

from netdiag.session import forked
from tests.listener import Listener
from tests.support import PACKAGE

LIMIT_S = 60

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are copied on Linux only")


def run(program: str, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """What a program says that makes copies."""
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(  # type: ignore[call-overload,no-any-return] # the options are of one test
        command, cwd=PACKAGE.parent, capture_output=True, text=True, timeout=LIMIT_S, **options
    )


KEPT = """
import json, os, signal, sys, tempfile
from netdiag.session import forked

mine = tempfile.TemporaryFile()
signal.signal(signal.SIGTERM, lambda *_: None)
signal.signal(signal.SIGUSR1, signal.SIG_IGN)
sys.stdout.write("once ")  # and not flushed yet

def work(told, out):
    print("a library's own words", flush=True)
    os.write(2, b"more words")
    kept = [int(name) for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")]
    out.write(json.dumps({
        "told": told.readline().decode(),
        "files": sorted({*kept} - {told.fileno(), out.fileno()}),
        "stdin": os.read(0, 9).decode(),
        "signals": [signal.getsignal(number).name for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)],
        "blocked": list(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    }).encode())
    out.flush()

copy = forked.fork(work)
with copy:
    copy.stdin.write(b"a word\\n")
    copy.stdin.flush()
    print(copy.stdout.read().decode())
"""


@pytest.mark.parametrize("closed", [(), (0,), (0, 2)])
def test_a_copy_keeps_no_file_and_no_handler(closed: tuple[int, ...]) -> None:
    done = run(f"import os\nfor n in {closed}: os.close(n)\n{KEPT}", input="not for the copy")
    assert done.stderr == ""
    once, _, found = done.stdout.partition(" ")
    assert once == "once"
    assert json.loads(found) == {
        "told": "a word\n",
        "files": [0, 1, 2],
        "stdin": "",
        "signals": ["SIG_IGN", "SIG_DFL", "SIG_IGN"],
        "blocked": [],
    }


def test_a_copy_that_breaks_down_ends() -> None:
    done = run(
        "from netdiag.session import forked\n"
        "with forked.fork(lambda told, out: 1 / 0) as copy: print(copy.stdout.read())\n"
        "copy.kill()"
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "b''\n", "")


SHARED = """
import os, sys
from netdiag.session import Options, diagnose_endpoints, fleet, helper

def start(*_, **__):
    raise AssertionError("no new interpreter is needed")

helper.subprocess.Popen = start
fleet.MIN_SHARE = 2
here = []
options = Options(proxy="none", until="dns")
targets = [f"192.0.2.{number}" for number in range(8)]
found = diagnose_endpoints(targets, options=options, processes=4, progress=lambda target, _: here.append(target.host))
print(*sorted(report.target.host for report in found))
print(*sorted(here))
"""


def test_many_targets_are_divided_among_copies() -> None:
    done = run(SHARED)
    assert done.stderr == ""
    assert [sorted({*line.split()}) for line in done.stdout.splitlines()] == [
        [f"192.0.2.{number}" for number in range(8)],
        ["192.0.2.0", "192.0.2.4"],
    ]


ABANDONED = """
import sys
from netdiag.model import Target
from netdiag.session import Options, helper

options = Options(proxy="none", until="tls", timeout_s=60)
share = [Target(host="127.0.0.1", port=int(sys.argv[1]))]
made = [helper.Helper(share, options, "endpoint", at_once=1, finished=print, left=print) for _ in range(2)]
sys.stdin.read()
"""


def test_copies_end_with_their_parent() -> None:
    """Both, although the second was made when the pipes to the first were open."""
    come, gone = threading.Semaphore(0), threading.Semaphore(0)

    def serve(sock: object) -> None:
        come.release()
        while sock.recv(4096):  # type: ignore[attr-defined] # a socket
            pass
        gone.release()

    with Listener(serve) as listener:
        command = [sys.executable, "-c", ABANDONED, str(listener.address.port)]
        with subprocess.Popen(command, cwd=PACKAGE.parent, stdin=subprocess.PIPE) as parent:
            for _ in range(2):
                assert come.acquire(timeout=LIMIT_S)
            parent.send_signal(signal.SIGKILL)
        for _ in range(2):
            assert gone.acquire(timeout=LIMIT_S / 2)


def work(_told: BinaryIO, _out: BinaryIO) -> None:
    raise AssertionError("no copy is made")


def test_no_copy_beside_a_thread() -> None:
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    try:
        assert not forked.possible()
        assert forked.fork(work) is None
    finally:
        ended.set()
        thread.join()


def test_a_system_without_room_for_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError

    monkeypatch.setattr(forked, "possible", lambda: True)
    monkeypatch.setattr(os, "fork", refuse)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ()), len(list(Path("/proc/self/fd").iterdir()))
    assert forked.fork(work) is None
    assert (signal.pthread_sigmask(signal.SIG_BLOCK, ()), len(list(Path("/proc/self/fd").iterdir()))) == before
