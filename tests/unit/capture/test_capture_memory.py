"""Memory for arrays that stay: the same on every system."""

from __future__ import annotations

import mmap

import numpy as np
import pytest

from netdiag.capture import memory

KIND = np.dtype([("key", "u8"), ("pair", "u4", 2)])


@pytest.mark.parametrize("kind", [np.uint8, KIND])
def test_there_are_zeros_that_can_be_written(kind):
    array = memory.zeros(1000, kind)
    assert array.dtype == np.dtype(kind)
    assert array.tobytes() == bytes(1000 * array.itemsize)
    array[-1] = np.ones(1, kind)[0]
    assert array[-1] == np.ones(1, kind)[0]


def test_a_system_without_such_pages_gives_others(monkeypatch):
    class Refused(mmap.mmap):
        def madvise(self, *_):
            raise OSError(22, "Invalid argument")

    monkeypatch.setattr(mmap, "mmap", Refused)
    assert memory.zeros(10, np.int64).tolist() == [0] * 10
