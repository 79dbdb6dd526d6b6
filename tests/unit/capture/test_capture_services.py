"""Servers summed up from rows of the connection table."""

from __future__ import annotations

import numpy as np

from netdiag.capture import services
from netdiag.capture.table import ROW


def rows(key: int, rtts_ms: list[int]):
    """Connections to one server, each answered after its time."""
    found = np.zeros(len(rtts_ms), ROW)
    found["high"], found["version"], found["selected"] = key, 4, True
    found["syn_side"], found["syn_ack_side"] = 0, 1
    found["syn"][:, 0] = found["syn_ack"][:, 1] = 1
    found["syn_ack_time"][:, 1] = np.array(rtts_ms) * 1_000_000
    return found


def test_a_busy_server_leaves_room_for_the_times_of_others(monkeypatch):
    monkeypatch.setattr(services, "_MAX_TIMED", 6)
    one, other = (10 << 24 | 1) << 16 | 443, (10 << 24 | 2) << 16 | 80
    summed = services.Services(np.array([other, one], np.uint64))
    for chunk in (rows(one, [9, 2, 1]), rows(one, [500] * 50), rows(other, [7, 4])):
        summed.add(chunk)
    told = summed.observations([""])
    assert [(o.address, o.port, o.connections, o.rtt_ms) for o in told] == [
        ("10.0.0.2", 80, 2, 5.5),
        ("10.0.0.1", 443, 53, 2.0),  # of its first three connections
    ]
