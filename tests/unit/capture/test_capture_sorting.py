"""The order of a batch's segments: by connection, side and packet, whatever their hashes have in common."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from netdiag.capture.columns import Segments
from netdiag.capture.sorting import _arrange, _order

#: Alike in the upper half of their bits, in the lower half, in neither.
HASHES = [7 << 40 | 1, 7 << 40 | 2, 9 << 40 | 1, 9 << 40, 1, 2, (1 << 64) - 1]


@given(st.lists(st.sampled_from(HASHES), min_size=1, max_size=60), st.randoms())
def test_segments_of_a_connection_stand_together_in_the_order_of_packets(segments, random):
    """Also where they came in another order, as those with tags or fragments do."""
    s = Segments.empty(len(segments))
    index = list(range(len(segments)))
    if random.random() < 0.5:
        random.shuffle(index)
    s.index[:] = index
    identity = np.array(segments, np.uint64)

    order, ordered_identity = (column.tolist() for column in _order(identity, s))

    assert ordered_identity == [segments[at] for at in order]
    assert sorted(order) == list(range(len(segments)))
    ordered = [(int(identity[at]), int(s.index[at])) for at in order]
    groups = list(dict.fromkeys(connection for connection, _ in ordered))
    assert ordered == sorted(ordered, key=lambda entry: (groups.index(entry[0]), *entry[1:]))


@given(st.lists(st.lists(st.integers(0, 1), max_size=12), max_size=8))
def test_each_side_of_a_connection_has_a_run(connections):
    """The sides of each connection's segments, in file order; one may have none, as where all of it is left out."""
    sides = [side for connection in connections for side in connection]
    edges = np.cumsum([0, *map(len, connections)])

    bounds, filed, before = _arrange(edges, np.array(sides, np.uint8))

    segments = [(number, side) for number, connection in enumerate(connections) for side in connection]
    runs = [[at for at, (n, side) in enumerate(segments) if 2 * n + side == run] for run in range(2 * len(connections))]
    assert np.diff(bounds).tolist() == list(map(len, runs))
    by_run = [at for run in runs for at in run]
    assert [by_run[place] for place in filed.tolist()] == list(range(len(segments)))
    assert before.tolist() == [
        sum(other < at for other in runs[2 * segments[at][0] + 1 - segments[at][1]]) for at in by_run
    ]
