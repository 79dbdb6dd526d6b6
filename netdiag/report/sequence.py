"""One conversation as a sequence of lines: headings, packets with what is to be said of them, what is folded away.

Contract: pure, and knows no medium: ``drawing.py`` prints the lines as text, ``html/ladder.py`` lays them out. Sequence
numbers count from the sender's initial one, which is 0. A long conversation is folded: what is unremarkable in the
middle becomes one line that says how much it was.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

import msgspec

from netdiag.model import Connection, ConnectionObservation, Segment
from netdiag.report import capture_facts
from netdiag.report.units import counted, size

#: Packets of a drawing that is folded: with its notes it should still fit on one screen.
_FEW = 24
#: Packets that always stand at the beginning and at the end.
_FIRST, _LAST = 6, 3

Side = Literal["client", "server"]
OTHER: dict[Side, Side] = {"client": "server", "server": "client"}

_NOTES = {
    "retransmission": "sent again",
    "out-of-order": "out of order",
    "duplicate-ack": "duplicate ACK",
    "keep-alive": "keep-alive",
    "zero-window": "window closed: takes no more data for now",
    "previous-lost": "something before it is missing from the capture",
    "acked-unseen": "acknowledges data that is missing from the capture",
    "captured-twice": "captured twice",
}
#: Marks that are counted along.
_COUNTED = frozenset({"retransmission", "duplicate-ack", "keep-alive"})

#: How a packet stands out: a reset, something that did not go as it should, nothing.
Weight = Literal["reset", "odd", ""]


class Heading(msgspec.Struct, frozen=True, kw_only=True):
    """The phase that begins: "3-way opening", "data", "4-way closing", "reset"."""

    words: str


class Arrow(msgspec.Struct, frozen=True, kw_only=True):
    """One packet: what its headers say in a few words, and the notes on it."""

    segment: Segment
    #: "SYN,ACK", "seq 0", "ack 1", "win 65160".
    parts: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def label(self) -> str:
        """The parts in one line."""
        return " ".join(self.parts)

    @property
    def weight(self) -> Weight:
        """How it is marked."""
        if "RST" in self.segment.flags:
            return "reset"
        return "odd" if self.segment.marks else ""


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Packets that are folded away, in words; ``arrows`` are those that the report holds."""

    words: str
    arrows: tuple[Arrow, ...]


Line = Heading | Arrow | Gap


def lines(observation: ConnectionObservation, *, whole: bool) -> Iterator[Line]:
    """The lines: of all packets that the report holds (``whole``), or folded to about a screen."""
    segments = observation.segments
    shown = range(len(segments)) if whole else _remarkable(segments, _FEW)
    notes = _Notes(observation.connection)
    base = initial_numbers(segments)
    phase = ""
    folded: list[Arrow] = []
    for n, segment in enumerate(segments):
        arrow = Arrow(notes=tuple(notes.on(segment)), segment=segment, parts=tuple(_parts(segment, base)))
        if n not in shown:
            folded.append(arrow)
            continue
        yield from _gap(observation, folded, n)
        folded = []
        if phase != (phase := notes.phase) and phase:
            yield Heading(words=phase)
        yield arrow
    yield from _gap(observation, folded, len(segments))


def _remarkable(segments: Sequence[Segment], most: int) -> frozenset[int]:
    """Which packets to show: the first, the last, and those between that open, close, reset or bear a mark."""
    last = len(segments) - _LAST
    chosen = [
        n
        for n, segment in enumerate(segments)
        if n < _FIRST or n >= last or segment.marks or not {"SYN", "FIN", "RST"}.isdisjoint(segment.flags.split(","))
    ]
    if len(chosen) > most:
        end = most // 3
        chosen = chosen[: most - end] + chosen[-end:]
    # A single packet takes no more room than the line that would say that it was left out.
    single = {n + 1 for n, after in pairwise(chosen) if after == n + 2}
    return frozenset(chosen) | single


def _gap(observation: ConnectionObservation, folded: Sequence[Arrow], after: int) -> Iterator[Gap]:
    """What stood before the packet ``after`` and is not shown; the report may hold less than there was."""
    before = after - len(folded) - 1
    missing = observation.omitted if before < observation.omitted_after <= after else 0
    if missing:
        yield Gap(words=f"{counted(len(folded) + missing, 'packet')} left out", arrows=tuple(folded))
    elif folded:
        sides: Counter[str] = Counter()
        for arrow in folded:
            sides[arrow.segment.sender] += arrow.segment.length
        data = [f"{size(length)} from the {side}" for side, length in sorted(sides.items()) if length]
        yield Gap(words=", ".join([counted(len(folded), "packet"), *data]), arrows=tuple(folded))


class _Notes:
    """What there is to say about each packet, which depends on those before it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._counts: Counter[tuple[str, str]] = Counter()
        self._opened = connection.opening == "mid-stream"
        #: The heading under which the last packet belongs.
        self.phase = ""

    def on(self, segment: Segment) -> list[str]:
        """The notes below one packet."""
        flags = segment.flags.split(",")
        self._move(segment, flags)
        said = list(self._marks(segment, flags))
        if "RST" in flags:
            said += self._reset(segment)
        return said

    def _move(self, segment: Segment, flags: Sequence[str]) -> None:
        if "SYN" in flags:
            ways = "3-way opening" if self._connection.opening == "complete" else "opening"
            self.phase = "" if self._opened else ways
        elif "RST" in flags:
            self.phase = "reset"
        elif "FIN" in flags and self.phase != "reset":
            self.phase = "4-way closing" if self._connection.closing == "fin" else "closing"
        elif self._opened and self.phase.endswith("opening"):
            self.phase = "data"
        self._opened = self._opened or (segment.sender == "client" and "ACK" in flags)

    def _marks(self, segment: Segment, flags: Sequence[str]) -> Iterator[str]:
        for mark in segment.marks:
            if mark == "syn-retransmission" or (mark == "retransmission" and "SYN" in flags):
                kind = "SYN-ACK" if "ACK" in flags else "SYN"
                netmon = " (SynReTransmit)" if kind == "SYN" else ""  # Network Monitor's word for it
                yield f"{kind} retransmission #{self._count(segment, kind)}{netmon}"
            elif mark in _COUNTED:
                yield f"{_NOTES[mark]} (#{self._count(segment, mark)} of the {segment.sender})"
            else:
                yield _NOTES.get(mark, mark)

    def _count(self, segment: Segment, kind: str) -> int:
        self._counts[segment.sender, kind] += 1
        return self._counts[segment.sender, kind]

    def _reset(self, segment: Segment) -> Iterator[str]:
        """Where it came from by its TTL, and where the other packets of that address did."""
        c = self._connection
        opener = (c.ttl_syn, "its SYN") if segment.sender == "client" else (c.ttl_syn_ack, "its SYN-ACK")
        others = c.ttl_client if segment.sender == "client" else c.ttl_server
        usual, what = opener if opener[0] is not None else (others[0] if others else None, "its other packets")
        if usual == segment.ttl:
            yield f"TTL {segment.ttl}, as {what}: {capture_facts.hops(segment.ttl)}"
            return
        yield f"TTL {segment.ttl}: {capture_facts.hops(segment.ttl)}"
        if usual is not None:
            yield f"but {what} had TTL {usual}: {capture_facts.hops(usual)}"


def _parts(segment: Segment, base: dict[Side, int]) -> Iterator[str]:
    yield segment.flags or "no flags"
    yield f"seq {relative(segment.seq, base.get(segment.sender))}"
    if "ACK" in segment.flags.split(","):
        yield f"ack {relative(segment.ack, base.get(OTHER[segment.sender]))}"
    if segment.length:
        yield f"len {segment.length}"
    if "RST" not in segment.flags:
        yield f"win {segment.window}"


def initial_numbers(segments: Sequence[Segment]) -> dict[Side, int]:
    """The number that each side's data counts from: its SYN's, or one less than the first that is seen."""
    base: dict[Side, int] = {}
    for segment in segments:
        flags = segment.flags.split(",")
        base.setdefault(segment.sender, segment.seq if "SYN" in flags else segment.seq - 1)
        if "ACK" in flags:
            base.setdefault(OTHER[segment.sender], segment.ack - 1)
    return base


def relative(number: int, base: int | None) -> int:
    """The distance from ``base`` in serial arithmetic (RFC 1982), negative for what lies before it."""
    distance = (number - (base or 0)) & 0xFFFFFFFF
    return distance - (1 << 32) if distance >= 1 << 31 else distance


def unwrapped(number: int, near: int) -> int:
    """The number that has the same 32 bits and is nearest to another: sequence numbers begin anew every 4 GiB."""
    return number + (near - number + (1 << 31) >> 32 << 32)


def clock(segments: Sequence[Segment]) -> tuple[float, int]:
    """The moment that times count from, and the decimals that they take in seconds."""
    moments = [segment.at for segment in segments] or [0.0]
    return min(moments), 6 if max(moments) - min(moments) < 100 else 3
