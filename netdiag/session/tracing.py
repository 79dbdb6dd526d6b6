"""The traces of one way: how far a failed attempt got, and what ended it. Made beside the rest of the run.

Contract: a trace is begun at most once for each address and question. ``finish`` waits for what was begun, within the
run's deadline, and records it; whatever is not there by then is said to be missing. Only the real network is traced,
and nothing on this machine, which no router lies before.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from netdiag.model import (
    FailureKind,
    HttpsObservation,
    NodeObservation,
    Route,
    TcpObservation,
    TlsObservation,
    TraceMode,
    TraceObservation,
)
from netdiag.probes.net import Address, SocketStream, Step
from netdiag.probes.threads import spawn
from netdiag.session.context import MAX_TRACED, Context

if TYPE_CHECKING:  # most runs trace nothing
    from netdiag.probes import trace_probes

#: Ends of an attempt that something on the way can have brought about.
_TRACEABLE: frozenset[FailureKind] = frozenset({"timeout", "refused", "reset", "eof", "unreachable", "prohibited"})
#: How long a trace waits for one answer: the kernel sends an unanswered SYN again after 1 s (RFC 6298 §2).
_WAIT_S = 1.3
#: So many hops in a row without an answer, behind which there is nothing: a port that does not answer at all.
_SILENT_HOPS = 10
#: Reverse lookups are for the reader's comfort.
_NAMES_S = 0.5
#: Connections at a time that carry data: a server may count them as an attack.
_CONTENT_WINDOW = 8


class Tracing:
    """Begins traces when something has failed, or always, or never, as ``options.trace`` says."""

    def __init__(self, context: Context, route: Route, *, wanted: bool = True) -> None:
        self._context = context
        self._route: Route = route
        self._wanted = wanted
        self._paths: dict[Address, Future[tuple[TraceObservation, ...]]] = {}
        self._contents: dict[Address, Future[tuple[TraceObservation, ...]]] = {}

    def _possible(self, address: Address) -> bool:
        """Whether there is anything to trace, and the user wants it."""
        wanted = self._wanted and self._context.options.trace is not False
        return wanted and self._context.machine.net.real and not _local(address.host)

    def connected(self, seen: TcpObservation) -> None:
        """Trace a connection that came about, if the user wants to see the path anyway."""
        if self._context.options.trace:
            self.path(Address(seen.address, seen.port), seen.id)

    def attempt(self, seen: TcpObservation) -> None:
        """Trace a connection attempt that failed in a way that the path may explain."""
        if seen.failure and seen.failure.kind in _TRACEABLE:
            self.path(Address(seen.address, seen.port), seen.id)

    def handshake(self, seen: TlsObservation) -> None:
        """Trace a ClientHello after a handshake that was cut off."""
        if seen.failure and seen.failure.kind in _TRACEABLE and seen.route == "direct":
            name = seen.server_name
            self._content(Address(seen.address, seen.port), seen.parent, partial(_hello, name), name)

    def preamble(self, seen: NodeObservation) -> None:
        """Trace a net.tcp preamble that was cut off."""
        if seen.failure and seen.failure.kind in _TRACEABLE:
            from netdiag.probes.node import opening

            data = opening(seen.via, seen.upgrade)
            self._content(Address(seen.address, seen.port), seen.parent, partial(_plain, data, "net.tcp preamble"))

    def upgraded(self, seen: TlsObservation, opener: Callable[[], SocketStream], hello: bytes) -> None:
        """Trace a ClientHello inside net.tcp; ``opener`` gives connections on which TLS may begin."""
        from netdiag.probes import trace_probes

        if not (seen.failure and seen.failure.kind in _TRACEABLE):
            return
        self._content(
            Address(seen.address, seen.port),
            seen.parent,
            lambda: trace_probes.Prepared(lambda: (opener().socket, hello), "ClientHello", ahead=_CONTENT_WINDOW),
        )

    def fetch(self, seen: HttpsObservation, address: Address) -> None:
        """Trace an HTTP request after a fetch that was cut off, on a connection of this run's own."""
        from netdiag.probes import trace_probes

        target = self._context.target
        if not (seen.failure and seen.failure.kind in _TRACEABLE and seen.route == "direct" and not seen.redirects):
            return
        request = f"GET {target.path} HTTP/1.1\r\nHost: {target.authority}\r\nConnection: close\r\n\r\n".encode()
        if target.scheme == "http":
            self._content(address, seen.parent, lambda: trace_probes.Data(request, "HTTP request"))
            return

        def opener() -> tuple[socket.socket, bytes]:
            from netdiag.probes import tls

            wait = self._context.wait()
            stream = self._context.machine.net.connect(address, wait)
            # With TLS 1.3 session tickets would arrive later, and be taken for an answer (RFC 8446 §4.6.1).
            shaken, secured = tls.handshake(
                stream,
                address=address,
                server_name=target.host,
                purpose="tls1.2-only",
                offered=("TLSv1.2", "TLSv1.2"),
                deadline=wait,
                step=Step("trace"),
            )
            if secured is None:
                stream.close()
                raise ConnectionError(shaken.failure.detail if shaken.failure else "no TLS")
            return stream.socket, secured.sealed(request)

        self._content(
            address, seen.parent, lambda: trace_probes.Prepared(opener, "HTTP request in TLS", ahead=_CONTENT_WINDOW)
        )

    def path(self, address: Address, parent: str | None) -> None:
        """How far SYNs get, and, where the port does not open, how far away the host is."""
        families = [known.family for known in self._paths]
        if address.family in families or not self._possible(address):  # one of each tells enough
            return
        if self._context.traces.acquire(blocking=False):
            self._paths[address] = spawn(partial(self._trace_path, address, parent))
        else:
            self._context.log.add(
                TraceObservation(
                    **self._step(address, "syn", parent)._asdict(),
                    outcome="not-run",
                    address=address.host,
                    port=address.port,
                    limits=(f"{MAX_TRACED} paths of other targets were traced, and no more are in one run",),
                )
            )

    def _content(
        self, address: Address, parent: str | None, kind: Callable[[], trace_probes.Data], name: str = ""
    ) -> None:
        """How far data get inside a connection, and what they provoke. ``name``: the server's in them."""
        if address in self._contents or not self._possible(address):
            return
        self.path(address, parent)
        if address in self._paths:
            self._contents[address] = spawn(partial(self._trace_content, address, parent, kind, name))

    def finish(self, *, interrupted: bool = False) -> None:
        """Record what was found out. ``interrupted``: without waiting for anything."""
        for future in (*self._paths.values(), *self._contents.values()):
            if interrupted and not future.done():
                continue
            try:
                found = future.result(self._context.deadline.remaining())
            except TimeoutError:
                self._context.log.skip("tcp", self._route, "the run ended before the trace did")
                continue
            for observation in found:
                self._context.log.add(observation)
        self._paths, self._contents = {}, {}

    def _trace_path(self, address: Address, parent: str | None) -> tuple[TraceObservation, ...]:
        from netdiag.probes import trace_probes

        syn = self._trace(trace_probes.Syn(), address, parent)
        if syn.answer == "open" or syn.answer == "unsent":
            return self._named(syn)
        return self._named(syn, self._trace(trace_probes.Udp(), address, parent))

    def _trace_content(
        self, address: Address, parent: str | None, make: Callable[[], trace_probes.Data], name: str
    ) -> tuple[TraceObservation, ...]:
        distance = next((o.distance for o in self._paths[address].result() if o.answer == "open"), None)
        kind = make()
        try:
            return (self._trace(kind, address, parent, distance=distance, server_name=name),)
        finally:
            kind.close()

    def _trace(
        self,
        kind: trace_probes.Kind,
        address: Address,
        parent: str | None,
        *,
        distance: int | None = None,
        server_name: str = "",
    ) -> TraceObservation:
        from netdiag.probes import trace

        seen = trace.trace(
            self._context.machine.net,
            address,
            kind,
            self._step(address, kind.mode, parent),
            deadline=self._context.deadline,
            limits=trace.Limits(
                max_ttl=distance or trace.MAX_TTL,
                window=_CONTENT_WINDOW if kind.mode == "data" else trace.Limits.window,
                wait_s=min(_WAIT_S, self._context.options.timeout_s),
                silent_hops=_SILENT_HOPS,
            ),
            distance=distance,
            server_name=server_name,
            proxy=self._route == "proxy",
        )
        # What is not to be seen without rights, the run says of its own capture already.
        return msgspec.structs.replace(seen, limits=tuple(limit for limit in seen.limits if limit != trace.NO_TTLS))

    def _step(self, address: Address, mode: TraceMode, parent: str | None) -> Step:
        return Step(f"trace.{self._route}.{address}.{mode}", parent, self._route)

    def _named(self, *traces: TraceObservation) -> tuple[TraceObservation, ...]:
        if self._context.options.numeric:
            return traces
        from netdiag.probes.reverse import names_of

        addresses = dict.fromkeys(address for o in traces for hop in o.hops for address in hop.addresses)
        names = names_of(tuple(addresses), self._context.deadline.within(_NAMES_S))
        return (msgspec.structs.replace(traces[0], names=names), *traces[1:])


def _hello(name: str) -> trace_probes.Data:
    from netdiag.probes import tls, trace_probes

    return trace_probes.Data(tls.client_hello(name), "ClientHello")


def _plain(data: bytes, words: str) -> trace_probes.Data:
    from netdiag.probes import trace_probes

    return trace_probes.Data(data, words)


def _local(host: str) -> bool:
    address = ipaddress.ip_address(host.partition("%")[0])
    return address.is_loopback or address.is_link_local or address.is_multicast
