"""How a system repeats its SYN: which kind gives up that way.

Contract: pure. Names families only as far as the times decide; several fit where the series was cut short by the
application or by the capture. A capture that lost a SYN shows two waits as one, and one that began later lacks the
first waits; both is allowed for.

Sources: Linux ip-sysctl (tcp_syn_retries, tcp_syn_linear_timeouts since 6.5); RFC 6298 §2 and, for 3 s, RFC 1122
§4.2.3.1; Microsoft KB 2786464 (InitialRto, MaxSynRetransmissions) and KB 175523 (SYN repeated after a reset).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import msgspec

from netdiag.rules.initial_ttl import counted, initial_ttl

#: Timers fire late, seldom early: the part and the seconds by which a wait may differ.
TOLERANCE = 0.12
TOLERANCE_S = 0.08
#: SYNs that a capture may have lost within one series.
MAX_LOST = 2


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """One way of repeating a SYN: ``waits`` between the SYNs, all of them, in seconds."""

    name: str
    waits: tuple[float, ...]
    gives_up_s: float | None
    #: TTLs that these systems start with.
    initials: tuple[int, ...]
    #: It answers resets, and not silence.
    after_reset: bool = False


FAMILIES: tuple[Family, ...] = (
    Family(name="Windows with the older setting (InitialRto 3 s, 2 retransmissions)", waits=(3, 6), gives_up_s=21,
           initials=(128,)),
    Family(name="Windows (InitialRto 1 s, 4 retransmissions)", waits=(1, 2, 4, 8), gives_up_s=21, initials=(128,)),
    Family(name="Linux before 6.5", waits=(1, 2, 4, 8, 16, 32), gives_up_s=127, initials=(64,)),
    Family(name="Linux since 6.5", waits=(1, 1, 1, 1, 1, 2, 4, 8, 16, 32), gives_up_s=131, initials=(64,)),
    Family(name="macOS", waits=(1, 1, 1, 1, 1, 2, 4, 8, 16, 32), gives_up_s=75, initials=(64,)),
    Family(name="Linux before 3.1", waits=(3, 6, 12, 24, 48), gives_up_s=189, initials=(64, 255)),
    Family(name="Windows after a reset", waits=(0.5, 0.5, 0.5, 0.5), gives_up_s=None, initials=(128,),
           after_reset=True),
)  # fmt: skip


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """A series of SYNs and who repeats them so."""

    #: Seconds between them.
    waits: tuple[float, ...]
    #: The families that fit, best first; empty if none does.
    families: tuple[Family, ...]
    #: SYNs that the capture must have lost for the first family to fit.
    lost: int = 0
    #: Its first SYNs were sent before the capture began.
    late: bool = False

    @property
    def words(self) -> str:
        """The waits, who repeats a SYN so, and when that system gives up."""
        if not self.waits:
            return "One SYN, not repeated"
        shown = ", ".join(f"{wait:.1f} s" for wait in self.waits[:10])
        said = f"SYN sent again after {shown} ({len(self.waits)} x SynReTransmit)"
        if not self.families:
            return f"{said}, as no usual system does: probably an application that tries again"
        names = " or ".join(family.name for family in self.families)
        ends = sorted({family.gives_up_s for family in self.families if family.gives_up_s})
        end = f", which gives up after {' or '.join(f'{end:.0f}' for end in ends)} s" if ends else ""
        lost = f" ({counted(self.lost, 'SYN')} missing from the capture)" if self.lost else ""
        lost = " (others before the capture began)" if self.late else lost
        return f"{said}{lost}, as {names} does{end}"


def classify(
    moments: Sequence[float], *, ttl: int | None = None, reset: bool = False, began: float | None = None
) -> Series:
    """Who sends SYNs at these moments (seconds, in order).

    ``ttl`` is that of a SYN, where it narrows the choice down; ``reset`` says that resets answered them. ``began``:
    when the capture did.
    """
    waits = tuple(max(0.0, later - earlier) for earlier, later in pairwise(moments))
    if not waits:
        return Series(waits=(), families=())
    usual = [f for f in FAMILIES if f.after_reset == reset and (ttl is None or initial_ttl(ttl) in f.initials)]
    for lost in range(MAX_LOST + 1):
        if fitting := [f for f in usual if _missing(waits, f.waits, lost) == lost]:
            whole = [f for f in fitting if len(f.waits) == len(waits) + lost]
            return Series(waits=waits, families=tuple(_ordered(fitting, whole)), lost=lost)
        late = [f for f in usual if began is not None and _late(waits, f.waits, moments[0] - began)]
        if late:
            return Series(waits=waits, families=tuple(late), late=True)
    return Series(waits=waits, families=())


def _ordered(fitting: Sequence[Family], whole: Sequence[Family]) -> list[Family]:
    """A family that repeats no more often than was seen fits better than one that was cut short."""
    return [*whole, *(f for f in fitting if f not in whole)]


def _late(waits: Sequence[float], expected: Sequence[float], since: float) -> bool:
    """Whether ``waits`` come later in ``expected``, the SYN before them having been sent before the capture began.

    ``since``: seconds from then to the first of them.
    """
    return any(
        before + _tolerance(before) >= since and _missing(waits, expected[n:], 0) == 0
        for n, before in enumerate(expected, 1)
    )


def _tolerance(wait: float) -> float:
    return TOLERANCE_S + TOLERANCE * wait


def _missing(waits: Sequence[float], expected: Sequence[float], most: int) -> int | None:
    """How many SYNs must be missing for ``waits`` to be the beginning of ``expected``; None if they are not."""
    missing, position = 0, 0
    for wait in waits:
        taken = 0.0
        for end in range(position + 1, min(len(expected), position + 1 + most - missing) + 1):
            taken = sum(expected[position:end])
            if abs(wait - taken) <= _tolerance(taken):
                missing += end - position - 1
                position = end
                break
        else:
            return None
    return missing
