"""Two clocks compared by packets that both captures hold.

Contract: pure. Packets on their way from one place to the other are late by the way's delay, those that come back are
early by it: with both directions the delay cancels, if it is the same both ways. ``fit`` takes the median of each, so
that single packets which waited in a queue do no harm.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec

#: A drift is looked for when the packets span this long, and each direction has so many.
DRIFT_SPAN_S = 60.0
DRIFT_PAIRS = 30
#: A smaller drift than this is noise: even bad oscillators keep time to some 100 in a million.
_MAX_PPM = 2_000.0

#: (moment here, moment there) of one packet.
Moments = tuple[float, float]


class Clock(msgspec.Struct, frozen=True):
    """``offset_s``: the other clock minus this one, at ``origin`` on this one. ``None`` delay: one direction only."""

    origin: float
    offset_s: float
    delay_s: float | None
    drift: float = 0.0
    forth: int = 0
    back: int = 0

    @property
    def uncertainty_s(self) -> float | None:
        """By how much the offset can be wrong: by all of the delay, if it arises in one direction only."""
        return None if self.delay_s is None else abs(self.delay_s)

    def here(self, there: float) -> float:
        """A moment of the other clock on this one."""
        moment = there - self.offset_s
        return moment - self.drift * (moment - self.origin)

    def there(self, here: float) -> float:
        """The other way round."""
        return here + self.offset_s + self.drift * (here - self.origin)


def fit(forth: Sequence[Moments], back: Sequence[Moments]) -> Clock | None:
    """The clock that fits the packets which went from this place to the other (``forth``) and ``back``."""
    every = [*forth, *back]
    if not every:
        return None
    origin = statistics.median(here for here, _ in every)
    drift = _drift(forth, back)
    there, here = (_late(way, origin, drift) for way in (forth, back))
    if there is None or here is None:
        one = here if there is None else there
        return Clock(origin, one or 0.0, None, drift, len(forth), len(back))
    return Clock(origin, (there + here) / 2, (there - here) / 2, drift, len(forth), len(back))


def _late(way: Sequence[Moments], origin: float, drift: float) -> float | None:
    return statistics.median(there - here - drift * (here - origin) for here, there in way) if way else None


def _drift(forth: Sequence[Moments], back: Sequence[Moments]) -> float:
    """Seconds a second, from the first and the last third of each direction; 0 where they do not agree."""
    slopes = [slope for way in (forth, back) if (slope := _slope(way)) is not None]
    if len(slopes) < 2 or min(slopes) * max(slopes) <= 0 or abs(max(slopes, key=abs)) > _MAX_PPM / 1e6:
        return 0.0
    low, high = sorted(map(abs, slopes))
    return sum(slopes) / 2 if high < 2 * low else 0.0


def _slope(way: Sequence[Moments]) -> float | None:
    if len(way) < DRIFT_PAIRS:
        return None
    ordered = sorted(way)
    if ordered[-1][0] - ordered[0][0] < DRIFT_SPAN_S:
        return None
    third = len(ordered) // 3
    first, last = ordered[:third], ordered[-third:]
    (t0, d0), (t1, d1) = (
        (statistics.median(here for here, _ in part), statistics.median(there - here for here, there in part))
        for part in (first, last)
    )
    return (d1 - d0) / (t1 - t0) if t1 > t0 else None
