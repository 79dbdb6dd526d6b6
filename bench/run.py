"""Run a command and say how long it took and how much it held."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

NETDIAG = str(Path(sys.executable).with_name("netdiag"))

#: A run that takes longer than this has hung.
LIMIT_S = 120.0


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What one command took, with the processes that it started itself where /proc tells of them.

    ``files`` is the most descriptors that they were seen to hold together, 0 without /proc.
    """

    seconds: float
    status: int
    peak_mb: float = 0.0
    files: int = 0
    output: str = ""
    errors: str = ""


def environment() -> dict[str, str]:
    """Ours without proxies, the bench decides which way connections take; and with bytecode kept, as users have it."""
    left_out = "PYTHONDONTWRITEBYTECODE"
    return {
        name: value for name, value in os.environ.items() if name != left_out and not name.lower().endswith("_proxy")
    }


def timed(command: Sequence[str]) -> Usage:
    """Only the time: nothing watches the process."""
    start = time.perf_counter()
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=LIMIT_S)
    seconds = time.perf_counter() - start
    return Usage(seconds=seconds, status=done.returncode, output=done.stdout, errors=done.stderr)


def measured(
    command: Sequence[str], *, stdin: IO[bytes] | None = None, limit_s: float = LIMIT_S, family: bool = False
) -> Usage:
    """Time and peak memory of a process that nothing watches, its output thrown away; killed after ``limit_s`` (POSIX).

    The kernel counts a child's peak from what its parent held when it was started, so callers stay small themselves.
    ``family``: with the memory of the processes that it starts, what they share counted once (Linux). They are looked
    at twenty times a second then.
    """
    peaks, ended = [0.0], threading.Event()

    def look(pid: int) -> None:
        while not ended.wait(0.05):
            peaks.append(sum(map(_proportional_mb, _family(pid))))

    with tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, env=environment(), stdin=stdin or subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors
        )
        patience = threading.Timer(limit_s, process.kill)
        patience.start()
        watcher = threading.Thread(target=look, args=(process.pid,))
        if family:
            watcher.start()
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        ended.set()
        if family:
            watcher.join()
        process.returncode = os.waitstatus_to_exitcode(status)
        patience.cancel()
        errors.seek(0)
        peak = max(_mib(used.ru_maxrss), *peaks)
        return Usage(seconds=seconds, status=process.returncode, peak_mb=peak, errors=errors.read())


def watched(command: Sequence[str]) -> Usage:
    """Time, peak memory and the number of open files, looked at twenty times a second (POSIX)."""
    files, peaks, ended = [0], dict[int, float](), threading.Event()

    def look(pid: int, start: float) -> None:
        while not ended.wait(0.05):
            family = _family(pid)
            files.append(sum(map(_open_files, family)))
            peaks.update((member, _peak_mb(member)) for member in family)
            if time.perf_counter() - start > LIMIT_S:
                process.kill()

    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        process = subprocess.Popen(command, env=environment(), stdout=output, stderr=errors)
        watcher = threading.Thread(target=look, args=(process.pid, start))
        watcher.start()
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        ended.set()
        watcher.join()
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        return Usage(
            seconds=seconds,
            status=process.returncode,
            peak_mb=max(_mib(used.ru_maxrss), sum(peaks.values())),
            files=max(files),
            output=output.read(),
            errors=errors.read(),
        )


def _mib(peak: int) -> float:
    """Linux counts in KiB, macOS in bytes (getrusage(2) of each)."""
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def _family(pid: int) -> tuple[int, ...]:
    """The process and those that its first thread started."""
    try:
        return (pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    except OSError:
        return (pid,)


def _peak_mb(pid: int) -> float:
    """What a process has held at most, up to now."""
    return _told_mb(pid, "status", "VmHWM:")


def _proportional_mb(pid: int) -> float:
    """What a process holds, with its part of what it shares."""
    return _told_mb(pid, "smaps_rollup", "Pss:")


def _told_mb(pid: int, file: str, name: str) -> float:
    """An amount of KiB that /proc tells of a process (proc(5)); 0 without it."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) / 1024
    return 0.0


def _open_files(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208 - counted often, so without Path objects
    except OSError:
        return 0
