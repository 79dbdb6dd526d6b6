"""A value that is made once, and never behind a lock."""

from __future__ import annotations

import threading

from netdiag.pki.lazy import lazy
from netdiag.probes.threads import spawn


def test_a_value_is_made_once_for_each_instance():
    made = []

    class Thing:
        @lazy
        def value(self) -> int:
            """A number."""
            made.append(self)
            return len(made)

    one, other = Thing(), Thing()
    assert (one.value, one.value, other.value, one.value) == (1, 1, 2, 1)
    assert Thing.value.__doc__ == "A number."


def test_two_threads_may_make_values_that_need_each_other():
    """Each is in the middle of its value when the other begins; a lock would hold one of them back for ever."""
    both = threading.Barrier(2)

    class Thing:
        @lazy
        def value(self) -> int:
            return both.wait(timeout=30)

    futures = [spawn(lambda thing=thing: thing.value) for thing in (Thing(), Thing())]
    assert sorted(future.result(timeout=60) for future in futures) == [0, 1]
