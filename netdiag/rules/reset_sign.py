"""One sign that a reset bears of its sender, and what to compare its TTL with.

Contract: pure. A sign points to the claimed sender or to a device on the path; ``weight`` is how probable that would be
if nothing else were known, from 0.5, which says nothing.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from netdiag.model import ResetObservation

PointsTo = Literal["server", "client", "path-device", "nobody"]


class Sign(msgspec.Struct, frozen=True, kw_only=True):
    """One sign. ``words`` is a sentence without its full stop."""

    name: str
    points_to: PointsTo
    weight: float = 0.5
    words: str


def own_ttls(observation: ResetObservation) -> tuple[tuple[int, int], ...]:
    """What to compare the reset's TTL with: other packets of that address, here or else in other connections."""
    return observation.ttls or observation.ttls_elsewhere


def nearest_ttl(observation: ResetObservation) -> int | None:
    """The TTL of the claimed sender that comes closest to the reset's."""
    ttl = observation.resets[0].ttl
    return min((value for value, _ in own_ttls(observation)), key=lambda value: abs(value - ttl), default=None)


def ttl_word(observation: ResetObservation) -> str:
    """IPv6 calls it hop limit (RFC 8200 §3)."""
    return "hop limit" if observation.resets[0].ip_id is None else "TTL"
