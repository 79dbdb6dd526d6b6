"""One name, asked everywhere at once: the system as an application would, and each name server."""

from __future__ import annotations

import math
import queue
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

import msgspec

from netdiag.model import DnsObservation, Failure, Route
from netdiag.probes import names
from netdiag.probes.net import Step, Stopwatch
from netdiag.probes.threads import spawn
from netdiag.session.context import Context

#: How long the system's own answer is preferred to a name server's that came earlier: both usually take the same time.
SYSTEM_GRACE_S = 0.05
#: A name server that must ask others itself can take this long (RFC 8767 §5 has clients wait 1.8 s for it).
SERVER_SILENCE_S = 1.8
#: When the system's own lookup hangs as well, two questions in a row have got no answer.
SHARED_SILENCE_S = 0.25
#: How much later than the quickest another name server may answer when the answer is no.
SILENCE_RATIO = 3.0
#: ... and when the answer is yes: the way goes on meanwhile, so this rarely costs anything.
FAIR_CHANCE_S = 0.15
FAIR_CHANCE_RATIO = 1.5

SYSTEM = "system"


class Resolution:
    """The lookups of one name. ``addresses`` ends as soon as the way can go on; ``finish`` collects what was left."""

    def __init__(self, context: Context, host: str, route: Route) -> None:
        self._context = context
        self._host = host
        self._route = route
        self._watch = Stopwatch()
        self._answers: queue.SimpleQueue[tuple[str, Future[tuple[DnsObservation, ...]]]] = queue.SimpleQueue()
        self._pending: dict[str, bool] = {}  # who was asked -> whether applications here ask it too
        self._first_s = 0.0  # when the first answer came, whoever gave it
        self._system_s = 0.0  # what the system's took
        prefix = "dns" if route == "direct" else f"dns.proxy.{host}"
        self._prefix = prefix
        machine = context.machine
        step = Step(f"{prefix}.{SYSTEM}", route=route)
        self._ask(SYSTEM, True, lambda: (names.lookup(machine, host, step),))
        # Loaded here, while the system's own lookup waits: the servers are asked when this is done, and not before.
        from netdiag.probes import dns

        for server, configured in context.servers.result():
            asked = Step(f"{prefix}.{server}", route=route)
            self._ask(
                str(server),
                configured,
                partial(dns.ask, machine, server, host, context.wait(), asked, configured=configured),
            )
        self._asked = Stopwatch()
        context.waiting.set()

    def addresses(self) -> tuple[tuple[str, ...], str | None]:
        """The addresses to connect to, and the observation they come from; empty when there are none.

        The system's answer counts. Only while it hangs does the answer of a configured name server stand in for it.
        """
        deadline = self._context.wait()
        fallback: tuple[tuple[str, ...], str] | None = None
        system_failed = False
        limit = deadline.remaining()
        start = time.monotonic()
        while self._pending and time.monotonic() - start < limit:
            got = self._next(limit - (time.monotonic() - start))
            if got is None:
                break
            who, observations = got
            found = tuple(dict.fromkeys(address for o in observations for address in o.addresses))
            if who == SYSTEM:
                if found:
                    return found, observations[0].id
                system_failed = True
                fallback = None
            elif found and self._pending.get(SYSTEM) and fallback is None:
                fallback = (found, next(o.id for o in observations if o.addresses))
                limit = min(limit, time.monotonic() - start + SYSTEM_GRACE_S)
            if system_failed and who != SYSTEM:  # one server has told why; the others get a fair chance to
                limit = min(limit, max(SHARED_SILENCE_S, SILENCE_RATIO * (time.monotonic() - start)))
        return fallback or ((), None)

    @property
    def unanswered(self) -> bool:
        """The system's own answer has not come."""
        return SYSTEM in self._pending

    def finish(self, *, interrupted: bool = False) -> None:
        """Record what has come in the meantime, and what has not. Waits only to tell silence from haste.

        ``interrupted``, it waits for nothing, and silence means nothing.
        """
        fair_chance = max(FAIR_CHANCE_S, FAIR_CHANCE_RATIO * self._first_s)
        patience = SHARED_SILENCE_S if self._pending.get(SYSTEM) else fair_chance
        patience = 0.0 if interrupted else patience
        while self._pending and self._next(patience - self._asked.took_s):
            pass
        telling_s = SHARED_SILENCE_S if self._system_waits else SERVER_SILENCE_S
        telling_s = math.inf if interrupted else telling_s
        for who, configured in tuple(self._pending.items()):
            self._context.log.add(self._given_up(who, configured, telling_s))
        self._pending = {}

    @property
    def _system_waits(self) -> bool:
        """The system's own lookup hangs, or came late although somebody had an answer: it has met a silent server."""
        slow_s = max(SHARED_SILENCE_S, SILENCE_RATIO * self._first_s)
        return SYSTEM in self._pending or self._system_s >= slow_s

    def _ask(self, who: str, configured: bool, work: Callable[[], tuple[DnsObservation, ...]]) -> None:
        self._pending[who] = configured
        future: Future[tuple[DnsObservation, ...]] = spawn(work)
        future.add_done_callback(lambda done: self._answers.put((who, done)))

    def _next(self, wait_s: float) -> tuple[str, tuple[DnsObservation, ...]] | None:
        """The next answer, recorded; None when none comes in time (with no time: when none is there)."""
        try:
            who, future = self._answers.get(timeout=max(wait_s, 0.0))
        except queue.Empty:
            return None
        if self._pending.pop(who, None) is None:  # ``finish`` has closed the books meanwhile
            return who, ()
        self._first_s = self._first_s or self._watch.took_s
        observations = future.result()
        if who == SYSTEM:
            self._system_s = observations[0].took_s
        return who, tuple(self._context.log.add(observation) for observation in observations)

    def _given_up(self, who: str, configured: bool, telling_s: float) -> DnsObservation:
        """The end of a lookup without an answer: silence after ``telling_s`` seconds, nothing before."""
        waited = self._watch.took_s
        step = Step(f"{self._prefix}.{who}", route=self._route)
        observation = DnsObservation(
            **step._asdict(),
            started=self._watch.started,
            took_s=waited,
            outcome="not-run",
            asker="system" if who == SYSTEM else "name-server",
            server="" if who == SYSTEM else who,
            configured=configured,
            name=self._host,
        )
        if waited < telling_s:
            return observation
        failure = Failure(kind="timeout", step="query", detail=f"not answered in {waited:.1f} s")
        return msgspec.structs.replace(observation, outcome="failed", failure=failure)
