"""Grouping by sorting digits finds what numpy's own does."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from netdiag.capture.grouping import grouped, order

#: Numbers that differ in one digit of 16 bits only, and others.
NUMBERS = st.lists(
    st.sampled_from([0, 1, 1 << 16, 1 << 32, 1 << 48, 1 << 63, (1 << 64) - 1]) | st.integers(0, 2**64 - 1)
)


@given(NUMBERS)
def test_equal_numbers_come_together(numbers):
    array = np.array(numbers, np.uint64)

    groups = grouped(array)

    values, first, which, counts = np.unique(array, return_index=True, return_inverse=True, return_counts=True)
    assert [column.tolist() for column in groups] == [c.tolist() for c in (values, first, which, counts)]
    assert order(array).tolist() == np.argsort(array, kind="stable").tolist()
