"""Capture files -> one report: read, observe, verify certificates, judge. No network.

Contract: raises ``UsageError`` for a file that is no capture, or that cannot be opened; what else is wrong with it
stands in the report. A bug in one step costs what that step would have found, and is an internal error of the report.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, TypeVar

import msgspec

from netdiag.capture.options import CaptureOptions
from netdiag.model import (
    AnyObservation,
    CaptureObservation,
    ChainObservation,
    Connection,
    ConnectionObservation,
    DnsObservation,
    Finding,
    ResetObservation,
    ServiceObservation,
    Target,
    TlsObservation,
    UsageError,
)
from netdiag.session.comparing import analyzed, compared
from netdiag.session.judgement import describe, judge_capture

if TYPE_CHECKING:
    from netdiag.capture.columns import Columns
    from netdiag.capture.engine import Analysis, Connections
    from netdiag.capture.reading import Packets
    from netdiag.capture.series import Progress
    from netdiag.model import ConversationRow, Report, ResetEntry

T = TypeVar("T")

#: Services of which a report tells at least, those with most trouble first; the others are summed up.
MAX_SERVICES = 50
#: Connections that the report holds with their packets: those that findings rest on first.
MAX_DRAWN = 60
_DNS_PORT = 53
#: Names of one service that its requests tell.
MAX_NAMES = 8
#: Different chains of certificates that are verified.
MAX_CHAINS = 100


class CaptureAnalysis(msgspec.Struct, frozen=True, kw_only=True):
    """The report, and everything that it was made from."""

    report: Report
    #: Every connection: ``len()``, ``rows()`` (typed rows in order), ``table()`` (a structured numpy array).
    connections: Connections
    #: Every service, also those that the report sums up.
    services: tuple[ServiceObservation, ...]


def read_capture(path: str) -> Iterator[Columns]:
    """The packets of a capture, some 10,000 at a time, as numpy columns: of all packets, and of the TCP segments.

    "-" is standard input. Raises ``UsageError`` for a file that is no capture.
    """
    from netdiag.capture.decoding import Decoder
    from netdiag.capture.series import Series

    series = Series((path,))

    def columns() -> Iterator[Columns]:
        decoder = Decoder(series.info.interfaces)
        try:
            for batch in series:
                yield decoder.columns(batch)
        finally:
            series.close()

    return columns()


def analyze_capture(
    paths: str | Sequence[str],
    options: CaptureOptions | None = None,
    *,
    other: str | None = None,
    trust: Sequence[str] = ("system", "certifi"),
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
    fork: bool = False,
) -> CaptureAnalysis:
    """Diagnose a capture; several files are read as one, in the order of their first packets.

    ``other`` is a capture of the same traffic, taken at another place, to compare it with. ``trust`` are the roots that
    captured certificates are verified with. ``progress`` is told bytes read, bytes in all (or None) and packets. When
    ``cancel`` is set, the report is on what has been read. ``fork``: large files are read by a copy of this process
    where there can be one (Linux, no other thread), which is faster; for programs that survive it, see fork(2).
    """
    files = (paths,) if isinstance(paths, str) else tuple(paths)
    if not files:
        raise UsageError("no capture file given")
    started, clock = time.time(), time.perf_counter()

    def read(chosen: CaptureOptions) -> Analysis:
        if fork:
            from netdiag.session import apart

            packets = apart.begin(files, chosen, progress=progress, cancel=cancel)
            if packets:
                with packets:
                    return _analyzed_apart(packets, chosen)
        threading.Thread(target=_preload, name="netdiag-preload", daemon=True).start()
        return analyzed(files, chosen, progress, cancel)

    options = _with_addresses(options or CaptureOptions(), files, read)
    analysis = read(options)
    steps = _Steps()
    seen = steps.overhear(analysis)
    services = tuple(sorted(_with_names(analysis.services(), seen), key=_trouble))
    observations = tuple(o for o in steps.observe(analysis, services, seen, tuple(trust)) if _asked_for(o, options))
    if other is not None:
        observations += steps.compare(
            lambda: compared(analysis, files, options, other, progress=progress, cancel=cancel)
        )
    listed, more = steps.list_resets(analysis, observations) if options.resets else ((), 0)
    conversations, others = steps.list_conversations(analysis, options.listed) if options.listed else ((), 0)
    report = judge_capture(
        Target(host="", port=0, scheme="file", path=analysis.summary.path),
        started=started,
        observations=observations,
        internal_errors=tuple(steps.errors),
        interrupted=cancel is not None and cancel.is_set(),
    )
    kept = _kept(report.observations, report.findings, options)
    report = msgspec.structs.replace(
        report,
        observations=kept,
        resets=listed,
        more_resets=more,
        conversations=conversations,
        more_conversations=others,
        took_s=time.perf_counter() - clock,
    )
    return CaptureAnalysis(report=report, connections=analysis.connections, services=services)


def _analyzed_apart(packets: Packets, options: CaptureOptions) -> Analysis:
    from netdiag.capture import memory
    from netdiag.capture.engine import analyze_packets

    _preload()
    memory.keep()
    return analyze_packets(packets, options)


def _with_addresses(
    options: CaptureOptions, files: Sequence[str], read: Callable[[CaptureOptions], Analysis]
) -> CaptureOptions:
    """The options with the addresses that the capture gives the names in them, for which it is read beforehand."""
    wanted = {host for host in options.hosts if ":" not in host and not host.replace(".", "").isdigit()}
    if not wanted:
        return options
    if "-" in files:
        raise UsageError("a name to filter by is looked up in the capture first: stdin (-) can be read only once")
    analysis = read(msgspec.structs.replace(options, hosts=(), ports=(), conversations=()))
    found = {address: None for name, address in _names(analysis) if name in wanted}
    if not found:
        raise UsageError(f"{', '.join(files)}: nothing in it tells an address of {', '.join(sorted(wanted))}")
    return msgspec.structs.replace(options, hosts=(*options.hosts, *found))


def _names(analysis: Analysis) -> Iterator[tuple[str, str]]:
    """Names and addresses: what clients asked for, what name servers answered, what the file says."""
    for block in analysis.connections.columns():
        yield from zip(block["name"], block["server"], strict=True)
    for o in _overheard(analysis, analysis.summary):
        if isinstance(o, DnsObservation):
            yield from ((o.name.lower().removesuffix("."), address) for address in o.addresses)
        elif isinstance(o, ConnectionObservation):
            yield o.connection.name, o.connection.server
    yield from ((name.lower(), address) for address, names in analysis.info.names.items() for name in names)


def _asked_for(observation: AnyObservation, options: CaptureOptions) -> bool:
    """Whether a lookup is about what the user chose; connections have been chosen by the engine."""
    if not isinstance(observation, DnsObservation):
        return True
    if options.ports and _DNS_PORT not in options.ports:
        return False
    flow = observation.flow
    ends = {flow.client, flow.server} if flow else set()
    about = {observation.name.lower().removesuffix("."), *observation.addresses} | ends
    return not options.hosts or not about.isdisjoint(options.hosts)


def _preload() -> None:
    """Import, while the packets are being read, what will be needed then."""
    for module in ("netdiag.capture.observe", "netdiag.capture.resets", "netdiag.rules.capture_files"):
        import_module(module)


class _Steps(msgspec.Struct):
    """From the engine's output to observations; what broke on the way."""

    errors: list[str] = msgspec.field(default_factory=list)

    def overhear(self, analysis: Analysis) -> tuple[AnyObservation, ...]:
        """The observations of connections whose packets were kept, and of lookups."""
        return self._try(lambda: _overheard(analysis, analysis.summary))

    def observe(
        self,
        analysis: Analysis,
        services: Sequence[ServiceObservation],
        seen: tuple[AnyObservation, ...],
        trust: tuple[str, ...],
    ) -> tuple[AnyObservation, ...]:
        """All observations: the file, its services, ``seen``, resets, chains."""
        summary = analysis.summary
        resets = self._try(lambda: _resets(analysis, services, seen))
        chains = self._try(lambda: _chains(seen, trust))
        return (summary, *_services(services, seen, summary), *seen, *resets, *chains)

    def compare(self, comparison: Callable[[], Iterable[AnyObservation]]) -> tuple[AnyObservation, ...]:
        """The observations of a second capture, if there is one."""
        return self._try(comparison)

    def list_resets(
        self, analysis: Analysis, observations: Iterable[AnyObservation]
    ) -> tuple[tuple[ResetEntry, ...], int]:
        """Every reset, and how many connections with one are too many to list."""
        from netdiag.rules.reset_entries import MAX_LISTED, reset_entries

        more: list[int] = []

        def entries() -> Iterator[ResetEntry]:
            rows, left = analysis.connections.resets(MAX_LISTED)
            more.append(left)
            return reset_entries(rows, (o for o in observations if isinstance(o, ResetObservation)))

        return self._try(entries), sum(more)

    def list_conversations(self, analysis: Analysis, most: int) -> tuple[tuple[ConversationRow, ...], int]:
        """The connections in short, and how many more there are."""
        more: list[int] = []

        def rows() -> Iterable[ConversationRow]:
            listed, left = analysis.connections.listed(most)
            more.append(left)
            return listed

        return self._try(rows), sum(more)

    def _try(self, step: Callable[[], Iterable[T]]) -> tuple[T, ...]:
        try:
            return tuple(step())
        except UsageError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug must cost one step, not the report (DESIGN, Errors)
            self.errors.append(describe(error))
            return ()


def _overheard(analysis: Analysis, summary: CaptureObservation) -> tuple[AnyObservation, ...]:
    from netdiag.capture.observe import observe

    seen = observe(analysis.capture, ended=summary.last, names=analysis.names())
    analysis.connections.names |= {
        o.connection.number: o.connection.name for o in seen if isinstance(o, ConnectionObservation)
    }
    return seen


def _with_names(services: Iterable[ServiceObservation], seen: Iterable[AnyObservation]) -> Iterator[ServiceObservation]:
    """The services; one that nothing else names, by what clients asked it for. A tunnel's name is not its proxy's."""
    asked_for: dict[tuple[str, int], dict[str, None]] = {}
    for o in seen:
        if isinstance(o, ConnectionObservation) and o.protocol not in ("http-connect", "socks5") and o.connection.name:
            asked_for.setdefault((o.connection.server, o.connection.server_port), {})[o.connection.name] = None
    for service in services:
        names = tuple(asked_for.get((service.address, service.port), ()))[:MAX_NAMES]
        yield msgspec.structs.replace(service, names=names) if names and not service.names else service


def _resets(
    analysis: Analysis, services: Sequence[ServiceObservation], seen: Sequence[AnyObservation]
) -> tuple[ResetObservation, ...]:
    """The resets of every connection whose packets were kept."""
    from netdiag.capture.resets import resets, ttls_elsewhere, with_alike

    elsewhere = ttls_elsewhere(services)
    asked_for = {o.flow: o.server_name for o in seen if isinstance(o, TlsObservation)}
    connections = {o.connection.number: o for o in seen if isinstance(o, ConnectionObservation)}
    found: list[ResetObservation] = []
    for exhibit in analysis.capture.exhibits:
        connection = connections.get(exhibit.connection.number)
        found += resets(
            exhibit,
            parent=connection.id if connection else None,
            server_name=asked_for.get(connection.flow, connection.connection.name) if connection else None,
            ttls_elsewhere=elsewhere,
        )
    return with_alike(found)


def _trouble(service: ServiceObservation) -> tuple[float, ...]:
    """Sorts those with most failed connections first, then those that lose most, then the largest."""
    failed = service.refused + service.unanswered + service.unfinished + service.reset_early + service.reset_late
    slow = service.zero_windows_client + service.zero_windows_server + service.retransmissions
    return (-failed, -slow, -service.connections)


def _services(
    services: Sequence[ServiceObservation], seen: Sequence[AnyObservation], summary: CaptureObservation
) -> tuple[ServiceObservation, ...]:
    """Those with packets that were kept, and the worst; the sum of all others."""
    rows = [o.connection for o in seen if isinstance(o, ConnectionObservation)]
    shown = {(row.server, row.server_port) for row in rows}
    worst = {(s.address, s.port) for s in services[: max(0, MAX_SERVICES - len(shown))]}
    chosen = tuple(s for s in services if (s.address, s.port) in shown | worst)
    known = {(s.address, s.port) for s in chosen}
    others = _others(chosen, [row for row in rows if (row.server, row.server_port) not in known], summary)
    return (*chosen, others) if others.connections else chosen


def _others(
    chosen: Sequence[ServiceObservation], rows: Sequence[Connection], summary: CaptureObservation
) -> ServiceObservation:
    """What remains of the capture's connections when those of the chosen services, and ``rows``, are taken away."""
    began = dict.fromkeys(("complete", "unfinished", "unanswered", "refused", "mid-stream"), 0)
    for opening, _, count in summary.outcomes:
        began[opening] += count
    for row in rows:
        began[row.opening] -= 1
    left = {
        name.replace("-", "_"): max(0, count - sum(getattr(s, name.replace("-", "_")) for s in chosen))
        for name, count in began.items()
    }
    return ServiceObservation(
        id="service-others", source="capture", address="", port=0, connections=sum(left.values()), **left
    )


def _chains(seen: Sequence[AnyObservation], trust: tuple[str, ...]) -> Iterator[ChainObservation]:
    """The chains that servers presented in clear text, each verified for the moment of its handshake."""
    handshakes = [o for o in seen if isinstance(o, TlsObservation) and o.chain]
    if not handshakes:
        return
    from netdiag.pki.trust import load_trust, public_roots
    from netdiag.probes import chain
    from netdiag.probes.net import Step

    store, public = load_trust(trust), public_roots()
    verified: dict[tuple[str, tuple[bytes, ...]], ChainObservation] = {}
    for number, tls in enumerate(handshakes):
        host = tls.server_name or (tls.address if tls.route == "proxy" else "")
        known = verified.get((host, tls.chain))
        if known is None:
            if len(verified) >= MAX_CHAINS:
                continue
            known = chain.verify(tls, host or tls.address, store, public, tls.started, Step(""))
            verified[host, tls.chain] = known = known if host else _for_any_name(known)
        yield msgspec.structs.replace(
            known,
            id=f"chain-{number}",
            parent=tls.id,
            source="capture",
            route=tls.route,
            started=tls.started + tls.took_s,
            took_s=0.0,
            flow=tls.flow,
        )


def _for_any_name(chain: ChainObservation) -> ChainObservation:
    """Nobody knows which name the client meant: no name is wrong then."""
    faults = tuple(fault for fault in chain.faults if fault.kind != "name-mismatch")
    if faults == chain.faults:
        return chain
    ok = not faults
    return msgspec.structs.replace(
        chain, faults=faults, outcome="ok" if ok else chain.outcome, failure=None if ok else chain.failure
    )


def _kept(
    observations: Sequence[AnyObservation], findings: Sequence[Finding], options: CaptureOptions
) -> tuple[AnyObservation, ...]:
    """The observations as the report holds them: of most connections without their packets.

    With packets: those that were asked for, those that findings rest on, worst first, then the first others.
    """
    order = [f"connection-{number}" for number in options.conversations]
    evidence = [identifier for finding in findings for identifier in finding.evidence]
    parents = {o.id: o.parent for o in observations}
    order += [identifier for each in evidence for identifier in (each, parents.get(each) or "")]
    order += [o.id for o in observations if isinstance(o, ConnectionObservation)]
    connections = {o.id for o in observations if isinstance(o, ConnectionObservation)}
    drawn = set(list(dict.fromkeys(identifier for identifier in order if identifier in connections))[:MAX_DRAWN])
    return tuple(
        msgspec.structs.replace(o, segments=(), omitted=0, omitted_after=0)
        if isinstance(o, ConnectionObservation) and o.id not in drawn
        else o
        for o in observations
    )
