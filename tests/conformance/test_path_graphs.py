"""Random graphs of cross-certified authorities: a leaf is trusted exactly when a path of good edges leads to it.

What is wrong with the bad edges is their time, or their purpose.
"""

from __future__ import annotations

import itertools
import random

import pytest

from netdiag.pki.api import verify_certificate
from tests.conformance.forge import CLIENT_AUTH, HOST, NOW, YEAR, Made, authority, key, leaf, purposes

#: Authorities, the share of all edges that exist, and the share of those that are bad.
SHAPES = ((4, 0.5, 0.3), (8, 0.4, 0.5), (8, 0.7, 0.6), (14, 0.3, 0.6), (20, 0.5, 0.8), (30, 0.2, 0.7))
#: Graphs of each shape.
GRAPHS = 4
Edge = tuple[int, int]


def reachable(edges: set[Edge], start: int) -> set[int]:
    found, todo = {start}, [start]
    while todo:
        parent = todo.pop()
        new = {child for above, child in edges if above == parent} - found
        found |= new
        todo += new
    return found


def certify(parent: int, child: int, flaw: str = "") -> Made:
    """The authority ``parent`` certifies ``child``; each has one name and one key."""
    name, private = f"Node {parent}", key(f"node {parent}")
    above = authority(name, None, private=private)
    if parent == child:
        return above
    ends = NOW - YEAR if flaw == "expired" else NOW + YEAR
    more = (purposes(CLIENT_AUTH),) if flaw == "purpose" else ()
    return authority(f"Node {child}", above, *more, private=key(f"node {child}"), ends=ends)


@pytest.mark.parametrize("flaw", ["expired", "purpose"])
@pytest.mark.parametrize(("count", "share", "bad"), SHAPES)
def test_random_graphs(count: int, share: float, bad: float, flaw: str) -> None:
    chance = random.Random(f"{count} {share} {bad}")
    for _ in range(GRAPHS):
        edges = [edge for edge in itertools.permutations(range(count), 2) if edge[1] and chance.random() < share]
        good = {edge for edge in edges if chance.random() >= bad}
        pool = [certify(*edge, "" if edge in good else flaw) for edge in edges]
        chance.shuffle(pool)
        found = verify_certificate(
            leaf(certify(count - 1, count - 1)).der,
            untrusted=[made.der for made in pool],
            trust=[certify(0, 0).der],
            hostname=HOST,
            at=NOW,
            profile="rfc5280",
        )
        assert found.trusted is (count - 1 in reachable(good, 0)), (edges, good)
