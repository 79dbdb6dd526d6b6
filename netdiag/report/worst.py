"""Which connections and servers of a capture the findings rest on: what a reader wants to see first.

Contract: pure, and judges nothing: whatever the gravest finding rests on comes first, then what failed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, TypeVar

from netdiag.model import ConnectionObservation, Flow, Observation, Report, ServiceObservation, Severity
from netdiag.report.layout import Layout

if TYPE_CHECKING:  # a report on a file has no ladder, and need not load it
    from netdiag.report.ladder import Mark

_Kind = TypeVar("_Kind", bound=Observation)

#: Conversations of one finding that are shown before the next finding's.
_A_TURN = 3

#: What is neither a finding's evidence nor in one of the findings sorts behind all that is.
NOT_BLAMED = 1_000_000


def every(report: Report, kind: type[_Kind]) -> list[_Kind]:
    """The report's observations of one kind, in its order."""
    return [observation for observation in report.observations if isinstance(observation, kind)]


class Worst:
    """Which connections and servers the findings rest on."""

    def __init__(self, report: Report) -> None:
        by_id = {observation.id: observation for observation in report.observations}
        self._findings = report.findings
        self._ids: dict[str, int] = {}
        self._flows: dict[Flow, int] = {}
        self._servers: dict[tuple[str, int], int] = {}
        for n, finding in enumerate(report.findings):
            for identifier in finding.evidence:
                seen = by_id.get(identifier)
                while seen is not None and seen.id not in self._ids:
                    self._note(seen, n)
                    seen = by_id.get(seen.parent or "")

    def _note(self, seen: Observation, n: int) -> None:
        self._ids[seen.id] = n
        if seen.flow is not None:
            self._flows.setdefault(seen.flow, n)
            self._servers.setdefault((seen.flow.server, seen.flow.server_port), n)

    def finding(self, observation: Observation) -> int:
        """The place of the gravest finding that rests on it."""
        places = [self._ids.get(observation.id, NOT_BLAMED)]
        if observation.flow is not None:
            places.append(self._flows.get(observation.flow, NOT_BLAMED))
        if isinstance(observation, ServiceObservation):
            places.append(self._servers.get((observation.address, observation.port), NOT_BLAMED))
        return min(places)

    def id_of(self, observation: Observation) -> str:
        """That finding's id; empty without one."""
        place = self.finding(observation)
        return self._findings[place].id if place < len(self._findings) else ""

    def mark(self, observation: Observation) -> Mark:
        """Failed, doubtful, fine."""
        place = self.finding(observation)
        severity = self._findings[place].severity if place < len(self._findings) else None
        if severity is Severity.ERROR or observation.outcome == "failed":
            return "failed"
        return "warning" if severity is Severity.WARNING else "ok"

    def sorted(self, observations: Iterable[_Kind]) -> list[_Kind]:
        """The worst first; otherwise connections by number, and others in the report's order."""
        return sorted(observations, key=lambda o: (self.finding(o), o.outcome != "failed", _number(o)))


def _number(observation: Observation) -> int:
    return observation.connection.number if isinstance(observation, ConnectionObservation) else 0


def in_turn(worst: Worst, conversations: Sequence[ConnectionObservation]) -> list[ConnectionObservation]:
    """In their order, but no finding takes all the room: after a few of its conversations the next has its turn."""
    met: Counter[int] = Counter()
    rounds: list[int] = []
    for observation in conversations:
        place = worst.finding(observation)
        rounds.append(met[place] // _A_TURN if place < NOT_BLAMED else len(conversations))
        met[place] += 1
    return [o for _, o in sorted(zip(rounds, conversations, strict=True), key=itemgetter(0))]


def drawn(
    layout: Layout, worst: Worst, conversations: Sequence[ConnectionObservation]
) -> Iterator[tuple[int, ConnectionObservation | None, bool]]:
    """The conversations to draw: number, what is known of it, and whether it is drawn whole.

    Those that were asked for, of which the report may hold nothing; else the worst.
    """
    if layout.conversations:
        found = {o.connection.number: o for o in conversations}
        yield from ((number, found.get(number), True) for number in layout.conversations)
        return
    # A conversation that went well is worth drawing when there is nothing else to look at.
    first = next((o for o in conversations if o.segments), None)
    if first is not None and (len(conversations) == 1 or worst.mark(first) != "ok"):
        yield first.connection.number, first, layout.verbose
