"""Other processes that take a share: whatever becomes of them, each target gets its report once."""

from __future__ import annotations

import pickle
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue

import pytest

from netdiag.model import Report, Target
from netdiag.probes.machine import Machine
from netdiag.session import Options, diagnose_endpoints, fleet, forked, helper
from tests.listener import Listener

TARGETS = tuple(Target(host=f"192.0.2.{number}", port=443) for number in range(1, 7))
#: Needs no network: the first rung knows that an address needs no lookup.
OPTIONS = Options(proxy="none", until="dns")
LIMIT_S = 60

#: What stands for a helper: it has read its share, and may report on ``targets``.
STAND_IN = """
import pickle, sys
from netdiag.session.fleet import diagnose_endpoints
read, out = sys.stdin.buffer, sys.stdout.buffer
targets, options, command, at_once = pickle.load(read)
def report(some):
    for found in diagnose_endpoints(some, options=options, command=command):
        pickle.dump(found, out)
        out.flush()
"""


@pytest.fixture(autouse=True)
def no_copies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies have their own tests: the process that runs these has threads most of the time, and then has none."""
    monkeypatch.setattr(forked, "possible", lambda: False)


@dataclass
class Parent:
    """Collects what a helper does."""

    reports: list[Report] = field(default_factory=list)
    left: SimpleQueue[Sequence[Target]] = field(default_factory=SimpleQueue)

    def start(self, options: Options = OPTIONS) -> helper.Helper:
        put, leave = self.reports.append, self.left.put
        started = helper.Helper(TARGETS, options, "endpoint", at_once=3, finished=put, left=leave)
        started.listen()
        return started


def stand_in(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setattr(helper, "COMMAND", (sys.executable, "-c", STAND_IN + what))


def test_a_helper_reports_its_share_and_ends() -> None:
    parent = Parent()
    started = parent.start()
    assert list(parent.left.get(timeout=LIMIT_S)) == []
    assert {report.target for report in parent.reports} == set(TARGETS)
    assert {(report.command, report.verdict.status) for report in parent.reports} == {("endpoint", "healthy")}
    started.cancel()  # too late, and no harm
    started.stop()


@pytest.mark.parametrize(
    "command",
    [
        ("/nonexistent/python",),
        (None,),
        (sys.executable, "-c", "print('no report')"),
        (sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"),
    ],
)
def test_what_cannot_be_a_helper_leaves_everything(monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]) -> None:
    monkeypatch.setattr(helper, "COMMAND", command)
    parent = Parent()
    parent.start()
    assert tuple(parent.left.get(timeout=LIMIT_S)) == TARGETS
    assert parent.reports == []


def test_a_helper_does_not_take_the_conversation_for_a_file() -> None:
    parent = Parent()
    parent.start(Options(proxy="none", until="dns", trust=("/dev/stdin",)))
    assert tuple(parent.left.get(timeout=LIMIT_S)) == TARGETS


def test_a_helper_that_breaks_down_leaves_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, "report(targets[:2]); out.write(b'half a rep'); out.flush(); read.read()")
    parent = Parent()
    parent.start()
    assert tuple(parent.left.get(timeout=LIMIT_S)) == TARGETS[2:]
    assert {report.target for report in parent.reports} == set(TARGETS[:2])


def test_a_helper_is_told_of_the_cancellation_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, "assert read.read(1) == b'c'; report(targets[:1])")
    parent = Parent()
    started = parent.start()
    started.cancel()
    started.cancel()
    assert tuple(parent.left.get(timeout=LIMIT_S)) == TARGETS[1:]


def test_a_helper_can_be_ended_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, "read.read()")
    parent = Parent()
    parent.start().stop()
    assert tuple(parent.left.get(timeout=LIMIT_S)) == TARGETS


def silent() -> Listener:
    def say_nothing(sock: socket.socket) -> None:
        while sock.recv(4096):
            pass

    return Listener(say_nothing)


def share(port: int) -> bytes:
    targets = (Target(host="127.0.0.1", port=port),)
    return pickle.dumps((targets, Options(proxy="none", until="tls", timeout_s=LIMIT_S), "endpoint", 1))


def test_a_helper_ends_with_its_parent() -> None:
    with (
        silent() as listener,
        subprocess.Popen(helper.COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process,
    ):
        assert process.stdin
        process.stdin.write(share(listener.address.port))
        process.stdin.close()
        assert process.wait(LIMIT_S / 2) == 1


def test_a_cancelled_helper_reports_what_it_saw() -> None:
    with (
        silent() as listener,
        subprocess.Popen(helper.COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process,
    ):
        assert process.stdin
        assert process.stdout
        process.stdin.write(share(listener.address.port) + b"c")
        process.stdin.flush()
        report = pickle.load(process.stdout)
        assert process.wait(LIMIT_S / 2) == 0
        assert report.verdict.status == "inconclusive"
        assert any("interrupted" in entry.reason for entry in report.not_run)


def test_many_targets_are_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "MIN_SHARE", 2)
    here = set[Target]()
    found = list(
        diagnose_endpoints(TARGETS, options=OPTIONS, processes=2, progress=lambda target, _rung: here.add(target))
    )
    assert sorted(report.target.host for report in found) == sorted(target.host for target in TARGETS)
    assert here == set(TARGETS[::2])


def test_without_helpers_all_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "MIN_SHARE", 1)
    monkeypatch.setattr(helper, "COMMAND", ("/nonexistent/python",))
    found = diagnose_endpoints(TARGETS, options=OPTIONS, processes=3, at_once=3)
    assert sorted(report.target.host for report in found) == sorted(target.host for target in TARGETS)


@pytest.mark.parametrize(
    ("count", "processes", "expected"),
    [(1, 8, 0), (99, 8, 0), (100, 1, 0), (100, 2, 1), (100, 8, 1), (200, 8, 3), (1000, 64, 3)],
)
def test_how_many_helpers(monkeypatch: pytest.MonkeyPatch, count: int, processes: int, expected: int) -> None:
    shares = started_by(monkeypatch, count, processes, OPTIONS)
    assert len(shares) == expected
    assert all(at_once == fleet.MAX_AT_ONCE // (expected + 1) for _, at_once in shares)
    assert all(len(targets) >= fleet.MIN_SHARE for targets, _ in shares)


def test_a_machine_or_a_store_of_ones_own_cannot_be_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    assert started_by(monkeypatch, 200, 4, OPTIONS, Machine()) == []


def started_by(
    monkeypatch: pytest.MonkeyPatch, count: int, processes: int, options: Options, machine: Machine | None = None
) -> list[tuple[Sequence[Target], int]]:
    """The shares that helpers were started with: targets, and how many at once. Nobody diagnoses anything."""
    shares: list[tuple[Sequence[Target], int]] = []
    cancel = threading.Event()
    cancel.set()

    class Noted(helper.Helper):
        def __init__(self, targets: Sequence[Target], *_: object, at_once: int, **more: object) -> None:
            shares.append((targets, at_once))
            self.left_to = lambda: more["left"](targets)  # type: ignore[operator] # the fleet's own method

        def listen(self) -> None:
            self.left_to()

        def cancel(self) -> None: ...

        def stop(self) -> None: ...

    monkeypatch.setattr(helper, "Helper", Noted)
    targets = [f"192.0.2.{number % 256}:{number + 1}" for number in range(count)]
    found = list(diagnose_endpoints(targets, options=options, machine=machine, cancel=cancel, processes=processes))
    assert len(found) == count
    return shares
