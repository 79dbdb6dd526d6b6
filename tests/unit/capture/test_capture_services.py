"""Servers summed up from rows of the connection table."""

from __future__ import annotations

import numpy as np

from netdiag.capture import services
from netdiag.capture.rows import client_side, closings, openings
from netdiag.capture.table import ROW


def rows(key: int, rtts_ms: list[int]):
    """Connections to one server, each answered after its time."""
    found = np.zeros(len(rtts_ms), ROW)
    found["high"], found["version"], found["selected"] = key, 4, True
    found["syn_side"], found["syn_ack_side"] = 0, 1
    found["syn"][:, 0] = found["syn_ack"][:, 1] = 1
    found["syn_ack_time"][:, 1] = np.array(rtts_ms) * 1_000_000
    return found


def summed(keys: list[int], *chunks):
    """What is told of the servers ``keys`` after both passes over the chunks."""
    census = services.Census()
    for chunk in chunks:
        client = client_side(chunk)
        census.add(chunk, client, openings(chunk, client), closings(chunk))
    servers = services.Services(np.array(keys, np.uint64))
    for chunk, digests in zip(chunks, census.digests, strict=True):
        servers.add(chunk, digests)
    return servers.observations([""])


def test_servers_with_one_digest_are_told_apart():
    """And no connections at all are no trouble: a selection may leave none of a chunk."""
    one = 10 << 40 | 443
    others = np.arange(one + (1 << 16), one + (1 << 36), 1 << 16, dtype=np.uint64)
    alike = others[services._digests(others) == services._digests(np.array([one], np.uint64))]
    assert len(alike) > 3
    chunks = [rows(key, [1, 2]) for key in (one, *alike[:3].tolist(), one)]
    told = summed([one], rows(one, []), *chunks, rows(one, []))
    assert [(o.address, o.port, o.connections) for o in told] == [("10.0.0.0", 443, 4)]


def test_a_busy_server_leaves_room_for_the_times_of_others(monkeypatch):
    monkeypatch.setattr(services, "_MAX_TIMED", 6)
    one, other = (10 << 24 | 1) << 16 | 443, (10 << 24 | 2) << 16 | 80
    told = summed([other, one], rows(one, [9, 2, 1]), rows(one, [500] * 50), rows(other, [7, 4]))
    assert [(o.address, o.port, o.connections, o.rtt_ms) for o in told] == [
        ("10.0.0.2", 80, 2, 5.5),
        ("10.0.0.1", 443, 53, 2.0),  # of its first three connections
    ]
