"""The order of a batch's segments: by connection, side and packet, whatever their hashes have in common."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from netdiag.capture.columns import Segments
from netdiag.capture.sorting import _order

#: Alike in the upper half of their bits, in the lower half, in neither.
HASHES = [7 << 40 | 1, 7 << 40 | 2, 9 << 40 | 1, 9 << 40, 1, 2, (1 << 64) - 1]


@given(st.lists(st.tuples(st.sampled_from(HASHES), st.integers(0, 1)), min_size=1, max_size=60), st.randoms())
def test_segments_of_a_connection_stand_together_in_the_order_of_packets(segments, random):
    """Also where they came in another order, as those with tags or fragments do."""
    s = Segments.empty(len(segments))
    index = list(range(len(segments)))
    if random.random() < 0.5:
        random.shuffle(index)
    s.index[:] = index
    s.side[:] = [side for _, side in segments]
    identity = np.array([number for number, _ in segments], np.uint64)

    order = _order(identity, s).tolist()

    assert sorted(order) == list(range(len(segments)))
    ordered = [(int(identity[at]), int(s.side[at]), int(s.index[at])) for at in order]
    groups = list(dict.fromkeys(connection for connection, _, _ in ordered))
    assert ordered == sorted(ordered, key=lambda entry: (groups.index(entry[0]), *entry[1:]))
