"""Work with an end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

import pytest

from netdiag.probes import threads
from netdiag.probes.net import Deadline
from netdiag.probes.threads import bounded, spawn

Mailbox = SimpleQueue[Callable[[], None]]


class Idle(list[Mailbox]):
    """The list of threads with nothing to do; tells when one has joined it, and forgets it if so ``taken``."""

    def __init__(self, *, taken: bool = False) -> None:
        super().__init__()
        self.joined: SimpleQueue[Mailbox] = SimpleQueue()
        self.taken = taken

    def append(self, waiting: Mailbox) -> None:
        if not self.taken:
            super().append(waiting)
        self.joined.put(waiting)


def test_the_result_comes_back() -> None:
    assert bounded(lambda: 5, Deadline(5)) == 5


@pytest.mark.parametrize("error", [ValueError("x"), TimeoutError("its own"), SystemExit(3)])
def test_what_the_work_raises_is_raised(error: BaseException) -> None:
    def work() -> None:
        raise error

    with pytest.raises(type(error), match=str(error)):
        bounded(work, Deadline(5))


def test_work_that_does_not_end_is_left_behind() -> None:
    release = threading.Event()
    with pytest.raises(TimeoutError, match="in time"):
        bounded(lambda: release.wait(10), Deadline(0.02))
    release.set()


def test_a_thread_takes_the_next_work(monkeypatch: pytest.MonkeyPatch) -> None:
    idle = Idle()
    monkeypatch.setattr(threads, "_idle", idle)
    first = spawn(threading.get_ident).result(5)
    idle.joined.get(timeout=5)
    assert spawn(threading.get_ident).result(5) == first


def test_work_never_waits_for_other_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_idle", Idle())
    release = threading.Event()
    hanging = spawn(lambda: release.wait(10))
    assert spawn(lambda: 5).result(5) == 5
    assert not hanging.done()
    release.set()


def test_a_thread_without_work_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    idle = Idle()
    monkeypatch.setattr(threads, "_idle", idle)
    monkeypatch.setattr(threads, "IDLE_S", 0)
    thread = spawn(threading.current_thread).result(5)
    thread.join(5)
    assert not thread.is_alive()
    assert idle == []


def test_work_given_to_a_thread_that_is_about_to_end_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    idle = Idle(taken=True)
    monkeypatch.setattr(threads, "_idle", idle)
    monkeypatch.setattr(threads, "IDLE_S", 0)
    first = spawn(threading.get_ident).result(5)
    waiting, told = idle.joined.get(timeout=5), SimpleQueue[int]()
    waiting.put(lambda: told.put(threading.get_ident()))
    assert told.get(timeout=5) == first
    idle.joined.get(timeout=5).put(lambda: None)  # it waits for work again
