"""The table of connections against plain dictionaries."""

from __future__ import annotations

import numpy as np
import pytest

from netdiag.capture import table as subject
from netdiag.capture.table import ROW, Index, Table


def keys(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.uint64)


class TestIndex:
    def test_numbers_in_order(self):
        index = Index()
        assert index.number(keys(7, 5)).tolist() == [0, 1]
        assert index.number(keys(5, 9, 7)).tolist() == [1, 2, 0]
        assert index.number(keys(9)).tolist() == [2]

    def test_none(self):
        assert Index().number(keys()).tolist() == []

    def test_new_twice(self):
        """Equal keys have one number, though some number may be nobody's then."""
        first, second, third = Index().number(keys(3, 3, 4)).tolist()
        assert first == second != third

    def test_one_place_for_all(self):
        """Keys that agree in all bits that a place is chosen by."""
        index = Index()
        crowd = (np.arange(1, 2000, dtype=np.uint64) << np.uint64(32)) | np.uint64(5)
        numbers = index.number(crowd)
        assert sorted(numbers.tolist()) == list(range(len(crowd)))
        assert (index.number(crowd[::-1]) == numbers[::-1]).all()

    def test_grows(self, monkeypatch):
        monkeypatch.setattr(subject, "_PLACES", 16)
        index, model = Index(), {}
        random = np.random.default_rng(1)
        for _ in range(60):
            some = np.unique(random.integers(1, 5000, 90).astype(np.uint64))
            numbers = index.number(some)
            for key, number in zip(some.tolist(), numbers.tolist(), strict=True):
                assert model.setdefault(key, number) == number
        assert sorted(model.values()) == list(range(len(index)))
        known, numbers = index.items()
        assert dict(zip(known.tolist(), numbers.tolist(), strict=True)) == model

    def test_renumber(self):
        index = Index()
        index.number(keys(*range(1, 100)))
        kept = index.renumber(keys(50, 60))
        assert kept.tolist() == [0, 1]
        assert (index.number(keys(50, 60)) == kept).all()
        assert index.number(keys(7)).tolist() == [2]


@pytest.mark.parametrize("remembered", [1 << 18, 40], ids=["all remembered", "some forgotten"])
@pytest.mark.parametrize("limit", [2, 50, 1000])
def test_table(limit, remembered, monkeypatch):
    """Batches of known, new and superseding connections. A forgotten one is a new one when it is seen again."""
    monkeypatch.setattr(subject, "MAX_REMEMBERED", remembered)
    monkeypatch.setattr(subject, "_BATCH_ROWS", 8)
    monkeypatch.setattr(subject, "_PLACES", 32)
    random = np.random.default_rng(limit)
    table = Table(limit)
    known: dict[int, int] = {}  # hash -> number of its last connection
    packets: dict[int, int] = {}  # number -> packets
    forgotten = 0
    for now in range(1, 200):
        hashes = np.unique(random.integers(max(1, now * 5 - 200), now * 5 + 40, 30).astype(np.uint64))
        table.room()
        ends = table.number(hashes)
        places = table.find(ends)
        rows = table.take(places)
        forgotten += sum(key in known for key in hashes[places < 0].tolist())
        places[random.random(len(places)) < 0.1] = -1  # reused ports
        new = np.flatnonzero(places < 0)
        for n, key in enumerate(hashes.tolist()):
            if places[n] >= 0:
                assert rows["number"][n] == known[key]
                assert rows["packets"][n, 0] == packets[known[key]]
            else:
                rows[n] = np.zeros((), ROW)
                known[key] = rows["number"][n] = len(packets)
                packets[len(packets)] = 0
            packets[known[key]] += 1
        rows["packets"][:, 0] += 1
        rows["last_time"] = now
        places[new] = table.place(ends[new])
        table.put(places, rows)
    for order in (table.chunks(), table.in_order()):
        found = np.concatenate(list(order))
        assert dict(zip(found["number"].tolist(), found["packets"][:, 0].tolist(), strict=True)) == packets
    assert found["number"].tolist() == list(range(len(packets)))
    assert (forgotten > 0) == (remembered == 40 and limit < 1000)
    if forgotten:
        assert len(table._where) < 10 * (limit + remembered)


def test_absent():
    table = Table(10)
    ends = table.number(keys(1, 2))
    assert table.find(ends).tolist() == [-1, -1]
    table.put(table.place(ends[1:]), np.ones(1, ROW))
    assert table.find(ends).tolist() == [-1, 0]
