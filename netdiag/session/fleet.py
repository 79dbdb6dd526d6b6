"""Many targets at once, with a bound on how many."""

from __future__ import annotations

import contextlib
import queue
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING

from netdiag.model import DnsObservation, Report, Rung, Target, UsageError
from netdiag.probes import names
from netdiag.probes.machine import Machine
from netdiag.probes.net import Address, Step
from netdiag.probes.proxy_selection import parse_proxy
from netdiag.probes.threads import carry_out, spawn, spawn_into
from netdiag.session import forked
from netdiag.session.context import MAX_TRACED, Context, Servers, Trust
from netdiag.session.ladder import Run
from netdiag.session.options import MAX_TIMEOUT_S, Options
from netdiag.session.preload import load, preload
from netdiag.session.recording import start_recording
from netdiag.session.target import parse_node, parse_server, parse_target

if TYPE_CHECKING:
    from netdiag.session.helper import Helper

#: Targets under way at once. Each holds a handful of sockets and threads, so this bounds both.
MAX_AT_ONCE = 160
#: Files that one target holds at most, by the bench, and those that are open besides.
_FILES_EACH, _FILES_BESIDES = 3, 32
#: Fewer targets than these take less time than another process needs to start.
MIN_SHARE = 50
#: Each holds its own copy of the libraries, the trust stores and the reports: some 80 MB.
MAX_PROCESSES = 4
#: How often the waiting thread looks whether the user has had enough, in seconds.
_TICK_S = 0.1

#: Large libraries and the trust stores are loaded beside the first network wait, which begins within this time.
_FIRST_WAIT_S = 0.5

Progress = Callable[[Target, Rung], None]


def diagnose_endpoint(
    target: Target | str,
    *,
    options: Options | None = None,
    machine: Machine | None = None,
    command: str = "endpoint",
    cancel: threading.Event | None = None,
    progress: Progress | None = None,
) -> Report:
    """Find out why ``target`` cannot be reached, or that it can.

    Trouble on the network is in the report, never raised. Raises ``UsageError`` for a target or an option that cannot
    be understood. A run ends within a minute; ``cancel``, once set, ends it early with what was seen so far.
    """
    with contextlib.closing(
        diagnose_endpoints(
            [target], options=options, machine=machine, command=command, cancel=cancel, progress=progress
        )
    ) as reports:
        for report in reports:
            return report
    raise RuntimeError("a run ended without a report")


def diagnose_endpoints(
    targets: Sequence[Target | str],
    *,
    options: Options | None = None,
    machine: Machine | None = None,
    command: str = "endpoint",
    cancel: threading.Event | None = None,
    progress: Progress | None = None,
    processes: int = 1,
    at_once: int | None = None,
) -> Generator[Report, None, None]:
    """The reports of several targets, each as soon as it is ready.

    ``progress`` is called with a target and the rung that it has reached, from several threads. Many targets are
    divided among up to ``processes`` processes, this one included; ``progress`` hears of its share alone. A ``machine``
    or a store of the caller's own cannot be handed to others, nor can a capture: then there is one process. However
    many there are, ``at_once`` targets (default: ``MAX_AT_ONCE``) are under way at a time.
    """
    options = options or Options()
    if machine or options.capture or not isinstance(options.trust, tuple):
        processes = 1
    machine = machine or Machine()
    if not 0 < options.timeout_s <= MAX_TIMEOUT_S:
        raise UsageError(f"a timeout of {options.timeout_s} s is not above 0 and at most {MAX_TIMEOUT_S:.0f}")
    added = tuple(parse_server(text) for text in options.resolvers)
    if options.proxy.startswith("pac:"):
        from netdiag.probes import pac

        pac.check(options.proxy.removeprefix("pac:"))
    elif options.proxy not in ("system", "none"):
        parse_proxy(options.proxy)
    parsed = [parse_target(target) if isinstance(target, str) else target for target in targets]
    recording = start_recording(options, machine, len(parsed))
    machine = recording.watched(machine)
    localhost: Future[DnsObservation] = Future()
    servers: Future[Servers] = Future()
    trust: Future[Trust] = Future()
    waiting = threading.Event()
    traces = threading.Semaphore(MAX_TRACED)
    cancel = cancel or threading.Event()

    def start(target: Target) -> Run:
        context = Context(
            target=target,
            options=options,
            machine=machine,
            trust=trust,
            servers=servers,
            localhost=localhost,
            waiting=waiting,
            traces=traces,
            recording=recording,
            progress=progress or (lambda _target, _rung: None),
        )
        return Run(context, command)

    shares = max(1, min(processes, MAX_PROCESSES, len(parsed) // MIN_SHARE))
    fleet = _Fleet(len(parsed), start, cancel, max(1, (at_once or _affordable()) // shares))
    try:
        if shares > 1:
            if forked.possible():  # what is there before this process is copied need not be loaded in each
                load(options.until)
                _load_trust(options, machine)
            fleet.share([parsed[share::shares] for share in range(1, shares)], options, command)
        spawn_into(lambda: names.lookup(machine, "localhost", Step("dns.localhost")), localhost)
        spawn_into(lambda: _servers(machine, added), servers)
        fleet.add(parsed[::shares])
        waiting.wait(_FIRST_WAIT_S)
        preload(options.until)
        carry_out(lambda: _load_trust(options, machine), trust)
        trust.result()  # raises ``UsageError``
        yield from fleet.reports()
    except UsageError:
        recording.discard()
        raise
    finally:
        fleet.stop()
        recording.close()


def diagnose_node(
    target: Target | str,
    *,
    options: Options | None = None,
    machine: Machine | None = None,
    cancel: threading.Event | None = None,
    progress: Progress | None = None,
) -> Report:
    """Find out why another node of an integration runtime cannot be reached, or that it can.

    As ``diagnose_endpoint``; a string is HOST, HOST:PORT (8060 unless said) or net.tcp://HOST:PORT/PATH.
    """
    node = parse_node(target) if isinstance(target, str) else target
    return diagnose_endpoint(
        node, options=_of_nodes(options), machine=machine, command="node", cancel=cancel, progress=progress
    )


def diagnose_nodes(
    targets: Sequence[Target | str],
    *,
    options: Options | None = None,
    machine: Machine | None = None,
    cancel: threading.Event | None = None,
    progress: Progress | None = None,
) -> Generator[Report, None, None]:
    """The reports of several nodes, each as soon as it is ready. As ``diagnose_endpoints`` and ``diagnose_node``."""
    nodes = [parse_node(target) if isinstance(target, str) else target for target in targets]
    return diagnose_endpoints(
        nodes, options=_of_nodes(options), machine=machine, command="node", cancel=cancel, progress=progress
    )


def _of_nodes(options: Options | None) -> Options:
    """The last rung that a node has: what belongs to further ones need not be loaded."""
    options = options or Options()
    return replace(options, until="chain") if options.until == "https" else options


def _affordable() -> int:
    """As many targets as this process may have files open for: macOS allows 256 unless told otherwise."""
    if sys.platform == "win32":
        return MAX_AT_ONCE
    try:
        import resource
    except ImportError:
        return MAX_AT_ONCE
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MAX_AT_ONCE if soft < 0 else max(1, min(MAX_AT_ONCE, (soft - _FILES_BESIDES) // _FILES_EACH))


def _load_trust(options: Options, machine: Machine) -> Trust:
    """The stores. Raises ``UsageError`` for a file or folder that the user named and that holds no certificate."""
    from netdiag.pki.trust import load_trust, public_roots

    store = load_trust(options.trust) if isinstance(options.trust, tuple) else options.trust
    return Trust(store, machine.public_roots or public_roots())


def _servers(machine: Machine, added: Sequence[Address]) -> Servers:
    configured = names.name_servers(machine)
    return tuple((server, True) for server in configured) + tuple((s, False) for s in added if s not in configured)


class _Fleet:
    """Runs under way, at most ``at_once`` at a time, and the helpers that have as many each."""

    def __init__(self, count: int, start: Callable[[Target], Run], cancel: threading.Event, at_once: int) -> None:
        self._start = start
        self._cancel = cancel
        self._at_once = at_once
        self._count = count
        self._waiting: queue.SimpleQueue[Target] = queue.SimpleQueue()
        self._finished: queue.SimpleQueue[Report] = queue.SimpleQueue()
        self._running: set[Run] = set()
        self._stopped = False
        self._workers: list[Future[None]] = []
        self._helpers: list[Helper] = []

    def add(self, targets: Sequence[Target]) -> None:
        """Diagnose these here."""
        for target in targets:
            self._waiting.put(target)
        self._workers += [spawn(self._work) for _ in range(min(self._at_once, len(targets)))]

    def share(self, shares: Sequence[Sequence[Target]], options: Options, command: str) -> None:
        """Have each of these diagnosed by another process, as far as it does. Comes before the first thread."""
        from netdiag.session.helper import Helper

        for targets in shares:
            self._helpers.append(
                Helper(targets, options, command, at_once=self._at_once, finished=self._finished.put, left=self.add)
            )
        for helper in self._helpers:  # in a thread, beside which no further process could be copied
            helper.listen()

    def reports(self) -> Iterator[Report]:
        """Each report as soon as it is ready."""
        for _ in range(self._count):
            while (report := _get(self._finished)) is None:
                for worker in self._workers:
                    if worker.done():
                        worker.result()  # a bug in a worker surfaces here instead of hanging the caller
                if self._cancel.is_set():
                    self._cancel_runs()
            yield report

    def stop(self) -> None:
        """Begin nothing more and end what is under way; nobody waits for its reports."""
        self._stopped = True
        self._cancel_runs()
        for helper in self._helpers:
            helper.stop()

    def _work(self) -> None:
        while not self._stopped:
            try:
                run = self._start(self._waiting.get_nowait())
            except queue.Empty:
                return
            self._running.add(run)
            if self._cancel.is_set() or self._stopped:
                run.cancel()
            self._finished.put(run.report())
            self._running.discard(run)

    def _cancel_runs(self) -> None:
        for run in tuple(self._running):
            run.cancel()
        for helper in self._helpers:
            helper.cancel()


def _get(finished: queue.SimpleQueue[Report]) -> Report | None:
    try:
        return finished.get(timeout=_TICK_S)
    except queue.Empty:
        return None
