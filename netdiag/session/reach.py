"""The way to one peer, the target or a proxy: its name, its addresses, the first connection that comes about."""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future

from netdiag.model import Route, Rung, TcpObservation
from netdiag.probes.names import MAX_ADDRESSES
from netdiag.probes.net import Address, SocketStream, Step
from netdiag.probes.tcp import Race
from netdiag.probes.threads import carry_out, spawn_into
from netdiag.session.context import Context
from netdiag.session.options import RUN_LIMIT_S
from netdiag.session.resolution import Resolution
from netdiag.session.target import is_address
from netdiag.session.tracing import Tracing


class UnreachableError(Exception):
    """No connection came about. ``rung`` is where it ended; the message says why, for the reader."""

    def __init__(self, rung: Rung, reason: str) -> None:
        super().__init__(reason)
        self.rung: Rung = rung


class Reach:
    """Resolves and connects once. ``finish`` collects what was still open when the first address had answered."""

    def __init__(self, context: Context, host: str, port: int, route: Route, tracing: Tracing) -> None:
        self._context = context
        self._tracing = tracing
        self._host = host
        self._port = port
        self._route: Route = route
        self._resolution: Resolution | None = None
        self._race: Race | None = None
        self._racing: Future[None] | None = None
        #: What each attempt came to; None when the race is over.
        self._ends: queue.SimpleQueue[tuple[TcpObservation, SocketStream | None] | None] = queue.SimpleQueue()

    def resolve(self) -> tuple[tuple[str, ...], str | None]:
        """The host's addresses, and the observation they come from. Raises ``UnreachableError``."""
        if is_address(self._host):
            return (self._host,), None
        self._resolution = Resolution(self._context, self._host, self._route)
        addresses, origin = self._resolution.addresses()
        if not addresses and self._resolution.unanswered:
            raise UnreachableError("dns", f"the system did not look {self._host} up in time")
        if not addresses:
            raise UnreachableError("dns", f"no address is known for {self._host}")
        return addresses[:MAX_ADDRESSES], origin

    def connect(self, addresses: tuple[str, ...], origin: str | None) -> tuple[SocketStream, TcpObservation]:
        """The first connection to one of the addresses. Raises ``UnreachableError``."""
        context = self._context
        attempts = [
            (address, Step(f"tcp.{self._route}.{address}", origin, self._route)) for address in self._at(addresses)
        ]
        race = Race(
            context.machine.net,
            attempts,
            deadline=context.wait(),
            proxy=self._route == "proxy",
            alarm=self._tracing.path,
        )

        def ended(observation: TcpObservation, stream: SocketStream | None) -> None:
            self._ends.put((context.log.add(observation), stream))

        context.waiting.set()
        self._race, self._racing = race, Future()
        self._racing.add_done_callback(lambda _: self._ends.put(None))
        if len(attempts) == 1:  # nobody to race with, and so no need for a thread
            carry_out(lambda: race.run(ended), self._racing)
        else:
            spawn_into(lambda: race.run(ended), self._racing)
        while (end := self._ends.get()) is not None:
            observation, stream = end
            if stream:
                self._tracing.connected(observation)
                return stream, observation
            self._tracing.attempt(observation)
        self._racing.result()  # a bug in the race surfaces here
        raise UnreachableError("tcp", f"no address of {self._host} could be connected to")

    def finish(self, *, interrupted: bool = False) -> None:
        """Close the books: an attempt without an end counts as silent, or, ``interrupted``, as not waited for."""
        if self._resolution:
            self._resolution.finish(interrupted=interrupted)
        if self._race and self._racing:
            if not self._racing.done() and not interrupted:
                threading.Event().wait(min(self._race.patience_s, self._context.deadline.remaining()))
            self._race.stop(interrupted=interrupted)
            self._racing.result(timeout=RUN_LIMIT_S)
        while not self._ends.empty():
            end = self._ends.get()
            if end and end[1]:
                end[1].close()

    def _at(self, addresses: tuple[str, ...]) -> tuple[Address, ...]:
        return tuple(Address(address, self._port) for address in addresses)
