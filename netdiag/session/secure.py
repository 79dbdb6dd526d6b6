"""The TLS and chain rungs of one way: handshake, controls, verification."""

from __future__ import annotations

import contextlib
import sys
from concurrent.futures import Future
from dataclasses import dataclass

import msgspec

from netdiag.model import ChainObservation, Route, TlsObservation
from netdiag.probes import chain as chain_probe
from netdiag.probes import tls
from netdiag.probes.net import Address, Deadline, SocketStream, Step, Stream
from netdiag.probes.threads import spawn
from netdiag.session.context import Context
from netdiag.session.handshakes import MODERN, Handshakes, Opener, Shaken
from netdiag.session.tracing import Tracing

#: For a thread that the scheduler has kept waiting.
CONTROL_GRACE_S = 0.05
#: Elsewhere the system's store is a file, and has been read whole.
SYSTEM_KNOWS_MORE = sys.platform in ("win32", "darwin")
#: Chain faults that an operating system may see otherwise: Windows fetches roots and intermediates on demand.
_ROOT_FAULTS = frozenset({"incomplete", "untrusted-root", "root-missing-locally"})


@dataclass(kw_only=True)
class Secured:
    """The connection to go on with, and the control that runs beside the rest of the way."""

    context: Context
    shaken: Shaken
    trusted: bool = False
    control: Future[TlsObservation] | None = None

    @property
    def stream(self) -> Stream | None:
        """The secured connection; None when no handshake succeeded."""
        return self.shaken.stream

    def finish(self) -> None:
        """Record the control. It began before the main handshake, so it has ended, or is not worth waiting for."""
        if self.control:
            with contextlib.suppress(TimeoutError):
                self.context.log.add(self.control.result(timeout=CONTROL_GRACE_S))
        self.control = None


def secure(
    context: Context,
    stream: Stream,
    address: Address,
    route: Route,
    parent: str | None,
    another: Opener,
    tracing: Tracing,
    small: Opener | None = None,
) -> Secured:
    """TLS to the target over ``stream``, and the verification of its chain.

    ``another`` opens more connections, ``small`` such as carry small segments only. ``tracing`` is told of a handshake
    that fails.
    """
    handshakes = Handshakes(context=context, address=address, route=route, parent=parent, name=context.target.host)
    control = handshakes.tls12(another)
    shaken = handshakes.over(stream)
    if shaken.stream is None:
        tracing.handshake(shaken.seen)
        secured = Secured(context=context, shaken=handshakes.compare(shaken, another, control, small))
    else:
        secured = Secured(context=context, shaken=shaken, control=control)
    seen = secured.shaken.seen
    if seen.chain and context.wants("chain"):
        chain = _verify(context, seen, context.target.host, f"chain.{route}")
        if isinstance(stream, SocketStream):
            chain = _second_opinion(context, seen, chain)
        secured.trusted = context.log.add(chain).outcome == "ok"
    return secured


def secure_proxy(context: Context, stream: Stream, address: Address, parent: str | None, host: str) -> Stream:
    """TLS to an https proxy, recorded and verified: credentials go only over a verified connection.

    Raises ``ConnectionError`` when there is no such connection.
    """
    handshakes = Handshakes(context=context, address=address, route="proxy", parent=parent, name=host)
    seen, secured = handshakes.over(stream, "proxy")
    if secured is None:
        raise ConnectionError("the TLS handshake with the proxy failed")
    chain = context.log.add(_verify(context, seen, host, "chain.proxy.proxy"))
    if chain.outcome != "ok":
        raise ConnectionError("the proxy's own certificate is not trusted")
    return secured


def verified_stream(context: Context, stream: Stream, address: Address, deadline: Deadline) -> Stream:
    """TLS over ``stream`` to a host that a redirect names. Raises ``ConnectionError`` unless its chain is trusted."""
    seen, secured = tls.handshake(
        stream,
        address=address,
        server_name=address.host,
        purpose="main",
        offered=MODERN,
        deadline=deadline,
        step=Step("redirect"),
    )
    if secured is None:
        raise ConnectionError(f"TLS to {address.host}: {seen.failure.detail if seen.failure else 'failed'}")
    chain = _verify(context, seen, address.host, "redirect")
    if chain.failure:
        raise ConnectionError(f"the certificate of {address.host} is not trusted: {chain.failure.detail}")
    return secured


def _verify(context: Context, seen: TlsObservation, host: str, identifier: str) -> ChainObservation:
    context.progress(context.target, "chain")
    machine, trust = context.machine, context.trust.result()
    step = Step(identifier, seen.id, seen.route)
    return chain_probe.verify(
        seen, host, trust.store, trust.public, machine.clock(), step, net=machine.net, deadline=context.wait()
    )


def _second_opinion(context: Context, seen: TlsObservation, chain: ChainObservation) -> ChainObservation:
    """The operating system's own verification, asked when its listed roots do not suffice: it may know more."""
    if not SYSTEM_KNOWS_MORE:
        return chain
    only_the_root = bool(chain.faults) and all(fault.kind in _ROOT_FAULTS for fault in chain.faults)
    if context.options.trust != ("system",) or not only_the_root:
        return chain
    address, wait = Address(seen.address, seen.port), context.wait()
    step = Step(f"tls.{seen.route}.system", seen.parent, seen.route)

    def ask() -> TlsObservation:
        stream = context.machine.net.connect(address, wait)
        return tls.system_handshake(stream, address=address, server_name=chain.host, deadline=wait, step=step)

    try:
        opinion = context.log.add(spawn(ask).result(timeout=wait.remaining()))
    except (OSError, EOFError):  # TimeoutError among them: Windows may fetch while it verifies
        return chain
    return msgspec.structs.replace(chain, faults=(), outcome="ok", failure=None) if opinion.outcome == "ok" else chain
