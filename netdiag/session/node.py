"""The rungs of another node, over a connection that came about: net.tcp, TLS inside it, the certificate, its end.

Contract: what an integration runtime does comes first ("main"): a preamble that asks for TLS. Only where that is not
agreed to, other preambles and other protocols are tried, each on a connection of its own, to tell what is there
instead. No credentials are sent, neither a client certificate nor Windows'.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from netdiag.model import SMALL_SEGMENT, NodeObservation, Route, Rung, TlsObservation
from netdiag.probes import node as probe
from netdiag.probes import tls
from netdiag.probes.net import Address, SocketStream, Step, Stream
from netdiag.probes.node import NEGOTIATE_UPGRADE, TLS_UPGRADE
from netdiag.probes.threads import spawn
from netdiag.session.context import Context
from netdiag.session.handshakes import TLS12, Handshakes
from netdiag.session.tracing import Tracing

if TYPE_CHECKING:
    from netdiag.session.inspecting import Inspector

#: net.tcp uses no proxy.
_ROUTE: Route = "direct"
#: What is left of a run's time when retrieval ends, so that its outcome still gets into the report.
_GRACE_S = 1.0


class NodeStoppedError(Exception):
    """The node could be tested no further than ``rung``; the message says why, for the reader."""

    def __init__(self, rung: Rung, reason: str) -> None:
        super().__init__(reason)
        self.rung: Rung = rung


@dataclass(frozen=True, kw_only=True)
class Node:
    """The node at ``address``, as one run tests it. ``parent`` is the connection's observation."""

    context: Context
    address: Address
    parent: str
    tracing: Tracing
    #: Told of each rung that is reached, and of each connection that has to be closed in the end.
    enter: Callable[[Rung], None]
    keep: Callable[[Stream], Stream]

    @property
    def via(self) -> str:
        """The address that a client names, which is how this one was asked for."""
        target = self.context.target
        return f"net.tcp://{target.authority}{target.path}"

    def talk(self, stream: Stream) -> None:
        """Climb from net.tcp to the acknowledged end of the preamble. Raises ``NodeStoppedError``."""
        context = self.context
        self.enter("node")
        seen = context.log.add(self._preamble(stream, TLS_UPGRADE, "main"))
        if seen.outcome != "ok":
            stream.close()
            self.tracing.preamble(seen)
            self._compare(seen)
            return
        self.enter("tls")
        handshakes = Handshakes(
            context=context,
            address=self.address,
            route=_ROUTE,
            parent=seen.id,
            name="",  # .NET sends none here (WCF calls AuthenticateAsClient with an empty name)
            offered=TLS12,  # ... and no version above (dotnet/wcf, TransportDefaults.SslProtocols)
            alpn=False,
        )
        shaken = handshakes.over(stream)
        if shaken.stream is None:
            self.tracing.upgraded(shaken.seen, self._upgraded, tls.client_hello("", TLS12, alpn=False))
            shaken = handshakes.compare(shaken, self._upgraded, None, partial(self._upgraded, SMALL_SEGMENT))
        if shaken.stream is not None:  # before the certificate is verified, which may take longer than nodes wait
            secured = self.keep(shaken.stream)
            context.log.add(self._finish(secured, shaken.seen.id))
            secured.close()
        if shaken.seen.chain and context.wants("chain"):
            self.enter("chain")
            self._verify(shaken.seen)
        elif shaken.stream is None:
            raise NodeStoppedError("tls", "the TLS handshake failed")

    # -- net.tcp

    def _preamble(self, stream: Stream, upgrade: str, name: str) -> NodeObservation:
        return probe.preamble(
            stream,
            address=self.address,
            via=self.via,
            upgrade=upgrade,
            deadline=self.context.wait(),
            step=Step(f"node.direct.{name}", self.parent, _ROUTE),
        )

    def _finish(self, stream: Stream, parent: str) -> NodeObservation:
        return probe.finish(
            stream,
            address=self.address,
            via=self.via,
            upgrade=TLS_UPGRADE,
            deadline=self.context.wait(),
            step=Step("node.direct.end", parent, _ROUTE),
        )

    def _compare(self, main: NodeObservation) -> None:
        """Record what else the port answers to. Raises ``NodeStoppedError`` unless that is net.tcp without TLS."""
        if main.answer == "fault" and main.failure and main.failure.detail != "UpgradeInvalid":
            raise NodeStoppedError("node", f"the node answered with the fault {main.failure.detail}")
        running: list[Future[NodeObservation]] = []
        handshake: Future[TlsObservation] | None = None
        if not main.not_net_tcp:
            running = [
                spawn(partial(self._control, NEGOTIATE_UPGRADE, "negotiate")),
                spawn(partial(self._control, "", "plain")),
            ]
        if main.answer != "fault":
            running.append(spawn(self._http))
            bare = Handshakes(context=self.context, address=self.address, route=_ROUTE, parent=self.parent, name="")
            handshake = bare.bare(self._dial)
        seen = [self.context.log.add(future.result()) for future in running]
        if handshake:
            self.context.log.add(handshake.result())
        if not any(o.asked == "preamble" and o.outcome == "ok" for o in seen):
            raise NodeStoppedError("node", "no net.tcp connection came about")

    def _control(self, upgrade: str, name: str) -> NodeObservation:
        """A preamble on a connection of its own, which is closed at once."""
        step = Step(f"node.direct.{name}", self.parent, _ROUTE)
        try:
            stream = self._dial()
        except (OSError, EOFError) as error:
            return probe.unconnected(
                error, asked="preamble", address=self.address, step=step, via=self.via, upgrade=upgrade
            )
        seen = self._preamble(stream, upgrade, name)
        if seen.answer == "acknowledged":
            probe.leave(stream, self.context.wait())
        stream.close()
        return seen

    def _http(self) -> NodeObservation:
        step = Step("node.direct.http", self.parent, _ROUTE)
        try:
            stream = self._dial()
        except (OSError, EOFError) as error:
            return probe.unconnected(error, asked="http", address=self.address, step=step)
        host = self.context.target.authority
        seen = probe.http(stream, address=self.address, host=host, deadline=self.context.wait(), step=step)
        stream.close()
        return seen

    # -- connections

    def _dial(self, segment: int | None = None) -> SocketStream:
        """A further connection. Raises ``OSError``."""
        stream = self.context.machine.net.connect(self.address, self.context.wait(), segment)
        self.keep(stream)
        return stream

    def _upgraded(self, segment: int | None = None) -> SocketStream:
        """A further connection on which TLS may begin. Raises ``OSError`` or ``EOFError``."""
        stream = self._dial(segment)
        seen = self._preamble(stream, TLS_UPGRADE, "again")
        if seen.outcome == "ok":
            return stream
        stream.close()
        raise ConnectionError(f"net.tcp before it: {seen.failure.detail if seen.failure else 'no upgrade'}")

    # -- the certificate

    def _verify(self, seen: TlsObservation) -> None:
        """Verify as ``netdiag cert`` does: by the rules of Windows, with what the certificates name retrieved."""
        from netdiag.pki.judging import Question
        from netdiag.session.inspecting import observed_in_full, retrievals_of

        context, machine = self.context, self.context.machine
        store = context.trust.result().store
        leaf, *others = seen.chain
        question = Question(hostname=context.target.host, at=machine.clock(), profile="windows")
        inspector = self._inspector()
        found, fetched = inspector.verify(leaf, others, question)
        chain = msgspec.structs.replace(
            observed_in_full(found, question, store),
            id="chain.direct",
            parent=seen.id,
            started=seen.started + seen.took_s,
            flow=seen.flow,
        )
        context.log.add(chain)
        for error in inspector.errors:
            context.log.error(error)
        for retrieval in retrievals_of(chain, found, fetched):
            context.log.add(retrieval)

    def _inspector(self) -> Inspector:
        from netdiag.session.inspecting import Inspector

        context, options = self.context, self.context.options
        return Inspector(
            machine=context.machine,
            store=context.trust.result().store,
            fetch=options.fetch,
            cache=options.cache,
            proxy=options.proxy,
            credentials=options.credentials,
            timeout_s=options.timeout_s,
            deadline=context.deadline.within(max(0.0, context.deadline.remaining() - _GRACE_S)),
        )
