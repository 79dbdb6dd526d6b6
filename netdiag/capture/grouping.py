"""Equal numbers of long arrays together, several times as fast as ``numpy.unique``.

numpy sorts numbers of 16 bits by counting, and longer ones by comparing. So numbers of 64 bits are sorted by their
digits of 16, the lowest first, each pass keeping the order of the one before.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from netdiag.capture.columns import U64
from netdiag.capture.packets import Ints


class Groups(NamedTuple):
    """The different numbers.

    ``values``: ascending. ``first``: where each occurs first; ``counts``: how often.
    ``which``: of each number, where its value stands among them.
    """

    values: U64
    first: Ints
    which: Ints
    counts: Ints


def order(numbers: U64) -> Ints:
    """Where the numbers stand in ascending order, equals in theirs."""
    return np.lexsort([(numbers >> np.uint64(shift)).astype(np.uint16) for shift in (0, 16, 32, 48)])


def grouped(numbers: U64) -> Groups:
    """The numbers by value."""
    ascending = order(numbers)
    sorted_ = numbers.take(ascending)
    begins = np.ones(len(numbers), bool)
    np.not_equal(sorted_[1:], sorted_[:-1], out=begins[1:])
    starts = np.flatnonzero(begins)
    counts = np.diff(np.append(starts, len(numbers)))
    which = np.empty(len(numbers), np.int64)
    which[ascending] = np.repeat(np.arange(len(starts)), counts)
    return Groups(sorted_[starts], ascending[starts], which, counts)
