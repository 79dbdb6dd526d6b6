"""The observations of one run, gathered from several threads."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from netdiag.model import RUNG_OF, AnyObservation, NotRun, Route, Rung

_ORDER: dict[type, int] = {kind: i for i, kind in enumerate(RUNG_OF)}

O = TypeVar("O", bound=AnyObservation)  # noqa: E741 - the conventional name for "an observation type"


class Log:
    """Takes observations until it is closed; what comes later, from a thread left behind, is not part of the report."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._observations: list[AnyObservation] = []
        self._ids: dict[str, int] = {}
        self._not_run: list[NotRun] = []
        self._errors: list[str] = []
        self._closed = False

    def add(self, observation: O) -> O:
        """Keep the observation and return it, with a number in its id where the id is taken: evidence names ids."""
        with self._lock:
            number = self._ids[observation.id] = self._ids.get(observation.id, 0) + 1
            if number > 1:
                observation = msgspec.structs.replace(observation, id=f"{observation.id}.{number}")
            if not self._closed:
                self._observations.append(observation)
        return observation

    def skip(self, rung: Rung, route: Route, reason: str) -> None:
        """Note that a rung was not tried."""
        with self._lock:
            if not self._closed and not any(n.rung == rung and n.route == route for n in self._not_run):
                self._not_run.append(NotRun(rung=rung, route=route, reason=reason))

    def error(self, text: str) -> None:
        """Note a bug in netdiag."""
        with self._lock:
            if not self._closed:
                self._errors.append(text)

    def close(self) -> tuple[tuple[AnyObservation, ...], tuple[NotRun, ...], tuple[str, ...]]:
        """Everything so far: observations in ladder order, the direct way first, then by start."""
        with self._lock:
            self._closed = True
            return in_order(self._observations), tuple(self._not_run), tuple(self._errors)


def in_order(observations: Iterable[AnyObservation]) -> tuple[AnyObservation, ...]:
    """Observations in ladder order, the direct way first, then by start."""
    return tuple(sorted(observations, key=lambda o: (_ORDER[type(o)], o.route, o.started, o.id)))
