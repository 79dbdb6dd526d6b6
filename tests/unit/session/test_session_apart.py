"""Captures that a copy of this process reads: the same report, whatever becomes of the memory that both share.

A test process has threads, so the copies are made by programs that the tests start.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.frames import write_pcap
from tests.support import PACKAGE
from tests.traffic import seeded

CAPTURES = PACKAGE.parent / "captures"
LIMIT_S = 120

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are copied on Linux only")

#: Small files are worth a copy, batches small, and what lay in a slot is gone once it is released.
BEGIN = """
import io, json, os, signal, sys, threading, time
from netdiag.cli.imports import load_numpy
load_numpy()  # without the threads of its linear algebra
import msgspec
import netdiag
from netdiag.capture.formats import records
from netdiag.model import UsageError
from netdiag.report import render
from netdiag.session import apart

apart.WORTHWHILE = 0
records.BUFFER = apart._BUFFER = 400_000  # here and there, for what is told of packets depends on where batches end
begun = []
begin, release = apart.begin, apart.Apart._release

def begin_and_tell(*arguments, **options):
    packets = begin(*arguments, **options)
    begun.append(packets)
    return packets

def release_and_spoil(self, slot):
    at = apart._BEGIN + slot * apart._SLOT
    self._shared[at : at + apart._SLOT] = bytes((0xA5,)) * apart._SLOT
    release(self, slot)

apart.begin, apart.Apart._release = begin_and_tell, release_and_spoil

def told(path, options=None, **more):
    while len(os.listdir("/proc/self/task")) > 1:  # threads of the last time, on their way out
        time.sleep(0.001)
    analysis = netdiag.analyze_capture(path, options, **more)
    flows = io.BytesIO()
    netdiag.write_flows(analysis.connections, flows, "csv")
    report = msgspec.structs.replace(analysis.report, started=0.0, took_s=0.0)
    return render(report, "json"), flows.getvalue()
"""


def run(program: str, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """What a program says that has captures read apart."""
    command = [sys.executable, "-c", BEGIN + program, *map(str, arguments)]
    return subprocess.run(  # type: ignore[call-overload,no-any-return] # the options are of one test
        command, cwd=PACKAGE.parent, capture_output=True, text=True, timeout=LIMIT_S, **options
    )


@pytest.fixture(scope="module")
def long(tmp_path_factory) -> Path:
    """A capture of several batches, with all kinds of traffic."""
    return write_pcap(tmp_path_factory.mktemp("apart") / "long.pcap", seeded(20, connections=2500))


#: The copy comes first: this process has imported little then, as when the command begins.
SAME = """
slot, *paths = sys.argv[1:]
apart._SLOT = int(slot)
read = 0
for path in paths:
    try:
        there, here = told(path, fork=True), told(path)
    except UsageError:  # nothing can be read
        continue
    read += 1
    if here != there:
        print("differs", path)
print(read, sum(packets is not None for packets in begun))
"""


@pytest.mark.parametrize("slot", [4 << 20, 4096], ids=["slots", "arrays without room in a slot"])
def test_the_report_is_the_same(slot, long):
    paths = [p for p in sorted(CAPTURES.iterdir()) if p.suffix not in (".json", ".md", ".pem")]
    done = run(SAME, slot, long, *paths)
    read, copies = map(int, done.stdout.split())
    assert read == copies > 90
    assert done.stderr == ""


def test_options_apply_there_too(long):
    program = """
from netdiag import CaptureOptions
for options in (CaptureOptions(ports=(443,)), CaptureOptions(since_ns=0, until_ns=2_000_000_000, relative=True)):
    print(told(sys.argv[1], options) == told(sys.argv[1], options, fork=True))
print(told([sys.argv[1], sys.argv[2]]) == told([sys.argv[1], sys.argv[2]], fork=True), begun.count(None))
"""
    done = run(program, long, CAPTURES / "loss.pcap")
    assert done.stdout.split() == ["True", "True", "True", "0"], done.stderr


def test_progress_and_an_early_end(long):
    program = """
cancel, seen = threading.Event(), []
def progress(*how_far):
    seen.append(how_far)
    cancel.set()
report = netdiag.analyze_capture(sys.argv[1], progress=progress, cancel=cancel, fork=True).report
summary = report.observations[0]
print(json.dumps({"seen": seen, "packets": summary.packets, "remarks": summary.remarks, "damage": summary.damage}))
"""
    said = json.loads(run(program, long).stdout)
    size = long.stat().st_size
    assert 0 < said["seen"][0][0] < size
    assert said["seen"][0][1] == size
    assert 0 < said["packets"] < len(seeded(20, connections=2500))
    assert said["remarks"] == [f"reading was ended after packet {said['packets']:,}"]
    assert said["damage"] == ""


def test_what_is_no_capture_is_said_as_ever(tmp_path):
    text = tmp_path / "notes.pcap"
    text.write_bytes(random.Random(1).randbytes(500_000))
    program = """
for fork in (True, False):  # a thread of the second would keep this process from being copied
    try:
        netdiag.analyze_capture(sys.argv[1], fork=fork)
    except UsageError as error:
        print(error)
print(begun.count(None))
"""
    first, second, copies = run(program, text).stdout.splitlines()
    assert first == second
    assert str(text) in first
    assert copies == "0"


@pytest.mark.parametrize(
    "name",
    ["missing.pcap", "a folder", "a pipe", "-", "zero\0byte"],
    ids=["missing", "folder", "pipe", "stdin", "zero"],
)
def test_nothing_is_copied_for_what_is_no_file(name, tmp_path):
    path = tmp_path / name if name != "-" else Path("-")
    if name == "a folder":
        path.mkdir()
    if name == "a pipe":
        os.mkfifo(path)
    program = "print(apart.begin((json.loads(sys.argv[1]),), netdiag.CaptureOptions()))"
    assert run(program, json.dumps(str(path))).stdout == "None\n"


def test_nothing_is_copied_for_little(tmp_path):
    program = """
apart.WORTHWHILE = os.stat(sys.argv[1]).st_size + 1
print(apart.begin((sys.argv[1],), netdiag.CaptureOptions()))
"""
    assert run(program, CAPTURES / "loss.pcap").stdout == "None\n"


@pytest.mark.parametrize("lack", ["os.cpu_count = lambda: 1", "apart._SLOT = 1 << 60"], ids=["processors", "memory"])
def test_nothing_is_copied_without(lack):
    program = f"{lack}\nprint(apart.begin((sys.argv[1],), netdiag.CaptureOptions()))"
    assert run(program, CAPTURES / "loss.pcap").stdout == "None\n"


def test_nothing_is_copied_beside_another_thread():
    program = """
stop = threading.Event()
other = threading.Thread(target=stop.wait)
other.start()
print(len(netdiag.analyze_capture(sys.argv[1], fork=True).connections), begun)
stop.set()
"""
    assert run(program, CAPTURES / "loss.pcap").stdout == "1 [None]\n"


ENDED = """
from netdiag.capture import engine
count = engine.Keeper.add
def kill(self, *arguments):
    os.kill(begun[0]._copy._pid, signal.SIGKILL)
    return count(self, *arguments)
engine.Keeper.add = kill
from netdiag.cli import main
status = main(["pcap", sys.argv[1]])
print(status, os.path.exists(f"/proc/{begun[0]._copy._pid}"))
"""


def test_a_copy_that_is_ended_from_outside_is_one_line(long):
    done = run(ENDED, long)
    assert done.stdout == "2 False\n"
    assert done.stderr == "netdiag: the process that reads the packets was ended from outside\n"


def test_a_bug_in_the_copy_is_shown_as_one_here(long):
    program = """
from netdiag.capture import reading
class Broken(reading.Decoder):
    def columns(self, batch):
        raise ZeroDivisionError("a bug")
reading.Decoder = Broken
from netdiag.cli import main
print(main(["pcap", sys.argv[1]]), os.path.exists(f"/proc/{begun[0]._copy._pid}"))
"""
    done = run(program, long)
    assert done.stdout == "2 False\n"
    assert "ZeroDivisionError: a bug" in done.stderr
    assert done.stderr.splitlines()[-1] == "netdiag: the above is a bug in netdiag; the report was not finished"


def test_an_error_here_ends_the_copy(long):
    program = """
from netdiag.capture import engine
def fail(*_):
    raise UsageError("no room")
engine.Keeper.add = fail
try:
    netdiag.analyze_capture(sys.argv[1], fork=True)
except UsageError as error:
    print(error, os.path.exists(f"/proc/{begun[0]._copy._pid}"))
"""
    assert run(program, long).stdout == "no room False\n"


def test_a_copy_whose_parent_is_gone_ends(long, tmp_path):
    program = """
from netdiag.capture import engine
def vanish(*_):
    print(begun[0]._copy._pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
engine.Keeper.add = vanish
netdiag.analyze_capture(sys.argv[1], fork=True)
"""
    done = run(program, long)  # returns when nobody holds the other end of its pipes any more
    assert done.returncode == -9
    pid = int(done.stdout)
    gone = "import os, sys, time\nwhile os.path.exists(f'/proc/{sys.argv[1]}'):\n    time.sleep(0.01)"
    subprocess.run([sys.executable, "-c", gone, str(pid)], timeout=LIMIT_S, check=True)
