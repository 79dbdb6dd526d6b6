"""``netdiag trace``: the way to one port, hop by hop, and how the port itself answers.

Contract: as ``diagnose_endpoint``: trouble on the network is in the report, never raised; bounded by the run's limit.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Literal

import msgspec

from netdiag.model import Report, Target, TcpObservation, TraceHop, TraceObservation, UsageError
from netdiag.probes import names, trace, trace_probes
from netdiag.probes.icmp import TELLS_SENDERS
from netdiag.probes.machine import Machine
from netdiag.probes.net import Address, Deadline, SocketStream, Step
from netdiag.probes.reverse import names_of
from netdiag.probes.tcp import Race
from netdiag.probes.threads import bounded, spawn
from netdiag.session.judgement import describe, judge
from netdiag.session.log import Log
from netdiag.session.options import DEFAULT_TIMEOUT_S, RUN_LIMIT_S, Options
from netdiag.session.recording import start_recording
from netdiag.session.target import is_address, parse_target

if TYPE_CHECKING:
    from netdiag.probes.trace_raw import Ears

#: Reverse lookups are for the reader's comfort.
_NAMES_S = 2.0
#: A near network has answered everything by then; what is loaded before would only delay the trace.
_BUSY_S = 0.02
#: The attempt itself goes first: the probes that get farther than the server fill its queue (listen(2)).
_HEAD_START_S = 0.005
#: How often a wait looks whether it is still wanted.
_TICK_S = 0.1
#: The largest TTL there is, and how many probes of one TTL still make sense.
MAX_TTL = 255
MAX_QUERIES = 10

#: How to trace: with ordinary sockets, with packets made by hand, or whichever tells more here.
Method = Literal["auto", "sockets", "raw"]


@dataclass(frozen=True, kw_only=True)
class TraceOptions:
    """How to trace: the same choices as the command line's, with its defaults."""

    #: Send a real ClientHello inside an established connection; with this name, or the target's.
    hello: bool = False
    server_name: str = ""
    #: Send these bytes inside an established connection.
    payload: bytes = b""
    #: Only this IP version: 4 or 6.
    version: int | None = None
    queries: int = 1
    max_ttl: int = trace.MAX_TTL
    numeric: bool = False
    method: Method = "auto"
    timeout_s: float = DEFAULT_TIMEOUT_S
    #: Say in the report which machine this is: name, system, time zone.
    name_machine: bool = True


def trace_path(
    target: Target | str,
    *,
    options: TraceOptions | None = None,
    machine: Machine | None = None,
    cancel: threading.Event | None = None,
    reached: Callable[[TraceHop], None] | None = None,
) -> Report:
    """Trace the way to a port. ``reached`` is told of each hop of the SYN's trace as soon as it is known, in order.

    Raises ``UsageError`` for a target or an option that cannot be understood.
    """
    target = parse_target(target) if isinstance(target, str) else target
    run = _Run(target, options or TraceOptions(), machine or Machine(), cancel or threading.Event(), reached)
    return run.report()


class _Run:
    def __init__(
        self,
        target: Target,
        options: TraceOptions,
        machine: Machine,
        cancel: threading.Event,
        reached: Callable[[TraceHop], None] | None,
    ) -> None:
        self._target = target
        self._options = options
        self._machine = machine
        self._race: Race | None = None
        self._cancel = cancel
        self._deadline = Deadline(RUN_LIMIT_S, cancel)
        self._recording = start_recording(Options(), machine, 1)
        self._reached = reached
        self._log = Log()
        self._ears: Ears | None = None
        self._lacking = ""

    def report(self) -> Report:
        """Everything about the way."""
        started, start = time.time(), time.monotonic()
        self._machine = self._recording.watched(self._machine)
        try:
            address, origin = self._address()
            if address is not None:
                self._listen(address)
                self._trace(address, origin)
        except UsageError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug goes into the report (DESIGN, Errors)
            self._log.error(describe(error))
        finally:
            if self._ears:
                self._ears.close()
            self._recording.close()
        if self._cancel.is_set():
            self._log.skip("tcp", "direct", "the run was interrupted")
        observations, not_run, errors = self._log.close()
        if any(isinstance(o, TraceObservation) and o.outcome == "failed" for o in observations):
            observations = self._recording.add(observations, started)
        return judge(
            self._target,
            command="trace",
            route="direct",
            last_rung="tcp",
            started=started,
            took_s=time.monotonic() - start,
            observations=observations,
            not_run=not_run,
            internal_errors=errors,
            machine=self._machine.described() if self._options.name_machine else None,
        )

    def _address(self) -> tuple[Address | None, str | None]:
        """Where an application would connect to, and the lookup that tells."""
        host, port = self._target.host, self._target.port
        if is_address(host):
            address = Address(host, port)
            if self._options.version not in (None, address.version):
                raise UsageError(f"{host} is not an IPv{self._options.version} address")
            return address, None
        step = Step("dns.direct.system")
        try:
            answer = bounded(
                lambda: names.lookup(self._machine, host, step), self._deadline.within(self._options.timeout_s)
            )
        except TimeoutError:
            self._log.skip("tcp", "direct", f"the system did not look {host} up in time")
            return None, None
        self._log.add(answer)
        addresses = [Address(address, port) for address in answer.addresses]
        wanted = [address for address in addresses if self._options.version in (None, address.version)]
        if addresses and not wanted:
            raise UsageError(f"{host} has no IPv{self._options.version} address")
        if not wanted:
            self._log.skip("tcp", "direct", f"no address is known for {host}")
        return (wanted[0] if wanted else None), answer.id

    def _listen(self, address: Address) -> None:
        """Take the raw method where it is wanted, or where it tells more and there is a right to it."""
        method = self._options.method
        if method == "sockets" or (method == "auto" and TELLS_SENDERS) or not self._machine.net.real:
            return
        from netdiag.probes import trace_raw

        try:
            self._ears = trace_raw.listen(self._machine.net, address)
        except trace_raw.UnavailableError as error:
            if method == "raw":
                raise UsageError(f"--method raw: {error}") from None
            self._lacking = str(error)
        except OSError:  # there is no way there, and the trace will say so
            return

    def _trace(self, address: Address, origin: str | None) -> None:
        attempt = Step(f"tcp.direct.{address}", origin)
        connecting = spawn(lambda: self._connect(address, attempt))
        wait((connecting,), _HEAD_START_S)
        meanwhile = threading.Timer(_BUSY_S, import_module, ("netdiag.rules.catalogue",))
        meanwhile.daemon = True
        meanwhile.start()
        syn = self._probe(trace_probes.Syn(), address, attempt.id, reached=self._reached)
        naming = spawn(lambda: self._names(syn))
        traces = [syn]
        if syn.answer not in ("open", "unsent"):
            traces.append(self._probe(trace_probes.Udp(), address, attempt.id))
        distance = next((o.distance for o in traces if o.answer == "open"), None)
        for kind, name in self._contents() if distance else ():
            traces.append(self._probe(kind, address, attempt.id, distance=distance, server_name=name))
        traces[0] = msgspec.structs.replace(syn, names=naming.result())
        connected = self._log.add(self._ended(connecting))
        if connected.failure and connected.failure.kind in ("unknown", "cancelled"):
            self._log.skip("tcp", "direct", connected.failure.detail)
        if self._options.hello and distance:
            self._shake(address, attempt.id)
        for observation in traces:
            self._log.add(observation)

    def _shake(self, address: Address, parent: str) -> None:
        """The handshake that the ClientHello begins, for what it comes to."""
        from netdiag.probes import tls
        from netdiag.probes.failure import from_exception

        deadline = self._deadline.within(self._options.timeout_s)
        step = Step("tls.direct.main", parent)
        try:
            stream = self._machine.net.connect(address, deadline)
        except OSError as error:
            self._log.skip("tls", "direct", from_exception(error, "connect").detail)
            return
        seen, _ = tls.handshake(
            stream, address=address, server_name=self._name, purpose="main", deadline=deadline, step=step
        )
        self._log.add(seen)
        stream.close()

    @property
    def _name(self) -> str:
        """The server's name in a ClientHello."""
        return self._options.server_name or ("" if is_address(self._target.host) else self._target.host)

    def _contents(self) -> list[tuple[trace_probes.Data, str]]:
        """What is to be sent inside a connection, with the server's name in it."""
        found: list[tuple[trace_probes.Data, str]] = []
        if self._options.hello:
            from netdiag.probes import tls

            found.append((trace_probes.Data(tls.client_hello(self._name), "ClientHello"), self._name))
        if self._options.payload:
            size = len(self._options.payload)
            found.append((trace_probes.Data(self._options.payload, f"{size:,} byte{'s' if size > 1 else ''}"), ""))
        return found

    def _probe(
        self,
        kind: trace_probes.Kind,
        address: Address,
        parent: str,
        *,
        distance: int | None = None,
        server_name: str = "",
        reached: Callable[[TraceHop], None] | None = None,
    ) -> TraceObservation:
        seen = trace.trace(
            self._machine.net,
            address,
            kind,
            Step(f"trace.direct.{address}.{kind.mode}", parent),
            deadline=self._deadline,
            limits=trace.Limits(
                max_ttl=distance or self._options.max_ttl,
                queries=self._options.queries,
                wait_s=min(trace.Limits.wait_s, self._options.timeout_s),
            ),
            distance=distance,
            server_name=server_name,
            reached=reached,
            ears=self._ears,
        )
        return msgspec.structs.replace(seen, limits=(*seen.limits, self._lacking)) if self._lacking else seen

    def _connect(self, address: Address, step: Step) -> TcpObservation:
        """The attempt that an application makes, for what it comes to."""
        ends: list[tuple[TcpObservation, SocketStream | None]] = []
        deadline = self._deadline.within(self._options.timeout_s)
        self._race = Race(self._machine.net, [(address, step)], deadline=deadline)
        self._race.run(lambda *end: ends.append(end))
        observation, stream = ends[0]
        if stream:
            stream.close()
        return observation

    def _ended(self, connecting: Future[TcpObservation]) -> TcpObservation:
        """How the attempt ended; an interruption ends it."""
        while True:
            try:
                return connecting.result(_TICK_S)
            except TimeoutError:
                if self._cancel.is_set() and self._race:
                    self._race.stop(interrupted=True)

    def _names(self, syn: TraceObservation) -> tuple[tuple[str, str], ...]:
        if self._options.numeric:
            return ()
        addresses = dict.fromkeys(address for hop in syn.hops for address in hop.addresses)
        return names_of(tuple(addresses), self._deadline.within(min(_NAMES_S, self._options.timeout_s)))
