"""What rules look at: the observations of one report, with the questions that rules ask of them.

Contract: pure and immutable. ``Seen`` never decides whether something is a fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar, cast

from netdiag.model import CaptureObservation, Observation, Route, Target

T = TypeVar("T")
O = TypeVar("O", bound=Observation)  # noqa: E741 - the conventional name for "an observation type"


class Seen:
    """The observations about ``target``; ``route`` is the way that an application on this machine would take.

    ``capture`` is set when the observations are what this capture shows of one target: they then stem from every
    client in it, and "the client" stands where a probe's words are "this machine".
    """

    def __init__(
        self,
        target: Target,
        route: Route,
        observations: Iterable[Observation],
        *,
        capture: CaptureObservation | None = None,
    ) -> None:
        self.target = target
        self.route: Route = route
        self.capture = capture
        self.observations = tuple(observations)
        self._by_id = {observation.id: observation for observation in self.observations}
        self._of: dict[tuple[type[Observation], Route | None], tuple[Observation, ...]] = {}
        self._derived: dict[Callable[[Seen], object], object] = {}

    @property
    def client(self) -> str:
        """Who opened the connections, in words: "this machine", or "the client 10.0.0.5" of a capture."""
        if self.capture is None:
            return "this machine"
        clients = {o.flow.client for o in self.observations if o.flow}
        return f"the client {clients.pop()}" if len(clients) == 1 else "the client"

    def get(self, identifier: str) -> Observation | None:
        """The observation with this id."""
        return self._by_id.get(identifier)

    def of(self, kind: type[O], route: Route | None = None) -> tuple[O, ...]:
        """Every observation of a type, in ladder order; with ``route``, only those made on that way."""
        known = self._of.get((kind, route))
        if known is None:
            known = tuple([o for o in self.observations if isinstance(o, kind) and route in (None, o.route)])
            self._of[kind, route] = known
        return known  # type: ignore[return-value]  # a dict cannot tell that key and value belong together

    def derived(self, make: Callable[[Seen], T]) -> T:
        """The value of a pure function of this object, computed once however many rules ask for it."""
        if make not in self._derived:
            self._derived[make] = make(self)
        return cast("T", self._derived[make])

    def effective(self, kind: type[O]) -> tuple[O, ...]:
        """Those made on the way that an application would take. Only they can show why it fails."""
        return self.of(kind, self.route)

    def other(self, kind: type[O]) -> tuple[O, ...]:
        """Those made on the way that an application would not take, for comparison."""
        return tuple(o for o in self.of(kind) if o.route != self.route)
