"""Work with an end."""

from __future__ import annotations

import threading

import pytest

from netdiag.probes.net import Deadline
from netdiag.probes.threads import bounded


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
