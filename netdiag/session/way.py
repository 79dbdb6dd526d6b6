"""One way to the target, rung by rung: straight, or through a proxy.

Contract: ``walk`` runs in a thread of its own and sets ``done`` at its end, whatever happens. A rung that fails stops
what depends on it, and the log says so. ``cut`` ends a way that nobody waits for any more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from netdiag.model import SMALL_SEGMENT, ProxyObservation, Route, Rung, TcpObservation
from netdiag.probes.net import Address, Step, Stream
from netdiag.probes.proxy_selection import ProxyServer
from netdiag.probes.threads import bounded
from netdiag.session.context import Context
from netdiag.session.judgement import describe
from netdiag.session.reach import Reach, UnreachableError
from netdiag.session.target import is_address
from netdiag.session.tracing import Tracing

if TYPE_CHECKING:
    from netdiag.session.secure import Secured

# secure, the proxy probe and the https probe bring large libraries along. Each is imported by the rung that needs it:
# preload.py has begun to load it by then, beside the first network wait.


class _Stopped(Exception):  # noqa: N818 - control flow inside this file, not an error
    """This way ends here; the log says why."""


class Way:
    """One route of one run: straight, or through the first of ``proxies`` that can be reached.

    ``effective``: it is the way that an application takes. That the other one is closed is no wonder, and not traced.
    """

    def __init__(self, context: Context, proxies: tuple[ProxyServer, ...] = (), *, effective: bool = True) -> None:
        self.route: Route = "proxy" if proxies else "direct"
        self.done = threading.Event()
        self._ended = False  # unlike ``done``, which a cancelled run sets as well
        #: The way reached the last rung that was asked for.
        self.arrived = False
        self.rung: Rung = "dns"
        self._context = context
        self._proxies = proxies
        self._proxy: ProxyServer | None = None  # the one that was reached
        self._reaches: list[Reach] = []
        self._streams: list[Stream] = []
        self._closed = False
        self._address = Address("", 0)  # the one that answered
        self._secured: Secured | None = None
        self._tracing = Tracing(context, self.route, wanted=effective)

    def walk(self) -> None:
        """Climb from names to HTTP."""
        try:
            self._climb()
            self.arrived = True
        except _Stopped:
            pass
        except Exception as error:  # noqa: BLE001 - a bug must cost one way, not the report (DESIGN, Errors)
            self._context.log.error(describe(error))
        finally:
            self._ended = True
            self.done.set()

    def cut(self, reason: str, *, interrupted: bool = False) -> None:
        """Collect what is still open; ``reason`` says why a way that has not ended is not waited for.

        When the user has ``interrupted`` the run, the silence up to then proves nothing.
        """
        if not self._ended:
            if self.rung not in ("dns", "tcp"):  # what these have begun is collected below
                self._context.log.skip(self.rung, self.route, reason)
            self._context.skip_after(self.rung, self.route, reason)
        for reach in tuple(self._reaches):
            reach.finish(interrupted=interrupted)
        if self._secured:
            self._secured.finish()
        self._tracing.finish(interrupted=interrupted)

    def close(self) -> None:
        """Close every connection. What a thread still does with one is lost, so the log must be closed before."""
        self._closed = True
        for stream in tuple(self._streams):
            stream.close()

    def _climb(self) -> None:
        context = self._context
        reached = self._reach()
        if reached is None:
            return
        stream, tcp = reached
        parent = tcp.id
        if self._proxy:
            stream, parent = self._tunnel(stream, tcp.id)
        if context.target.scheme == "net.tcp":
            self._talk(stream, parent)
        elif context.wants("tls"):
            from netdiag.session.secure import secure

            self._enter("tls")
            address = Address(context.target.host, context.target.port) if self._proxy else self._address
            small = None if self._proxy else self._small_stream
            self._secured = secure(
                context, stream, address, self.route, parent, self._another_stream, self._tracing, small
            )
            if self._secured.stream is None:
                raise self._stopped("tls", "the TLS handshake failed")
            stream = self._keep(self._secured.stream)
            parent = self._secured.shaken.seen.id
        if context.wants("https"):
            self._enter("https")
            self._fetch(stream, parent)

    def _talk(self, stream: Stream, parent: str) -> None:
        """The rungs of another node."""
        if not self._context.wants("node"):
            return
        from netdiag.session.node import Node, NodeStoppedError

        node = Node(
            context=self._context,
            address=self._address,
            parent=parent,
            tracing=self._tracing,
            enter=self._enter,
            keep=self._keep,
        )
        try:
            node.talk(stream)
        except NodeStoppedError as error:
            raise self._stopped(error.rung, str(error)) from None

    # -- connections

    def _reach(self) -> tuple[Stream, TcpObservation] | None:
        """A connection to the target, or to the first proxy that can be reached; None when only names were wanted."""
        target = self._context.target
        candidates: list[tuple[str, int, ProxyServer | None]]
        candidates = [(proxy.host, proxy.port, proxy) for proxy in self._proxies]
        candidates = candidates or [(target.host, target.port, None)]
        for last, (host, port, proxy) in enumerate(candidates, 1 - len(candidates)):
            self._enter("dns")
            reach = Reach(self._context, host, port, self.route, self._tracing)
            self._reaches.append(reach)
            try:
                addresses, origin = reach.resolve()
                if not self._context.wants("tcp"):
                    return None
                self._enter("tcp")
                stream, seen = reach.connect(addresses, origin)
            except UnreachableError as error:
                if last == 0:
                    raise self._stopped(error.rung, str(error)) from None
                continue
            self._proxy = proxy
            self._address = Address(seen.address, seen.port)
            return self._keep(stream), seen
        raise AssertionError("there is always a candidate")

    def _dial(self) -> Stream:
        """A new connection to the address that answered: the target, or the proxy (inside TLS for an https proxy)."""
        stream = self._keep(self._context.machine.net.connect(self._address, self._context.wait()))
        return self._to_proxy(stream) if self._proxy and self._proxy.scheme == "https" else stream

    # -- the proxy

    def _to_proxy(self, stream: Stream, parent: str | None = None) -> Stream:
        from netdiag.session.secure import secure_proxy

        assert self._proxy
        return self._keep(secure_proxy(self._context, stream, self._address, parent, self._proxy.host))

    def _tunnel(self, stream: Stream, parent: str) -> tuple[Stream, str]:
        assert self._proxy
        self._enter("proxy")
        if self._proxy.scheme == "https":
            try:
                stream = self._to_proxy(stream, parent)
            except ConnectionError as error:
                raise self._stopped("proxy", str(error)) from None
        first = [stream]
        observation, tunnelled = self._open_tunnel(lambda: first.pop() if first else self._dial(), parent)
        self._context.log.add(observation)
        if tunnelled is None:
            raise self._stopped("proxy", "the proxy opened no tunnel")
        return tunnelled, observation.id

    def _open_tunnel(self, dial: Callable[[], Stream], parent: str | None) -> tuple[ProxyObservation, Stream | None]:
        from netdiag.probes.proxy import tunnel

        assert self._proxy
        target = self._context.target
        step = Step("proxy.tunnel", parent, self.route)
        return tunnel(dial, self._proxy, target.host, target.port, self._context.wait(), step)

    def _another_stream(self) -> Stream:
        """A further connection to the target, for a control. Raises ``OSError``."""
        if self._proxy is None:
            return self._dial()
        observation, stream = self._open_tunnel(self._dial, None)
        if stream is None:
            detail = observation.failure.detail if observation.failure else ""
            raise ConnectionError(f"the proxy opened no second tunnel: {detail}")
        return stream

    def _small_stream(self) -> Stream:
        """A connection to the target whose segments are small in both directions. Raises ``OSError``."""
        return self._keep(self._context.machine.net.connect(self._address, self._context.wait(), SMALL_SEGMENT))

    # -- HTTP

    def _fetch(self, stream: Stream, parent: str) -> None:
        from netdiag.probes.https import fetch

        context, target = self._context, self._context.target
        first = [stream]
        trusted = self._secured is None or self._secured.trusted

        def opener(scheme: str, host: str, port: int) -> Stream:
            return first.pop() if first else self._open_redirected(scheme, host, port)

        default_port = {"https": 443, "http": 80}.get(target.scheme)
        authority = target.authority.rpartition(":")[0] if target.port == default_port else target.authority
        observation = fetch(
            f"{target.scheme}://{authority}{target.path}",
            opener,
            deadline=context.wait(),
            step=Step(f"https.{self.route}", parent, self.route),
            clock=context.machine.clock,
            verified=trusted,
        )
        context.log.add(observation)
        self._tracing.fetch(observation, self._address)

    def _open_redirected(self, scheme: str, host: str, port: int) -> Stream:
        """A connection for a redirect to another place, on this way. Raises ``OSError``."""
        from netdiag.probes.proxy import tunnel
        from netdiag.session.secure import verified_stream

        context = self._context
        wait = context.wait()
        if self._proxy:
            observation, stream = tunnel(self._dial, self._proxy, host, port, wait, Step("redirect"))
            if stream is None:
                raise ConnectionError(observation.failure.detail if observation.failure else "the proxy refused")
        else:
            lookup = context.machine.net.lookup
            addresses = (host,) if is_address(host) else bounded(lambda: lookup(host), wait)
            stream = context.machine.net.connect(Address(addresses[0], port), wait)
        self._keep(stream)
        return self._keep(verified_stream(context, stream, Address(host, port), wait)) if scheme == "https" else stream

    # -- bookkeeping

    def _keep(self, stream: Stream) -> Stream:
        """Have the stream closed with this way, at once if that is over: a control may still be dialling then."""
        self._streams.append(stream)
        if self._closed:
            stream.close()
        return stream

    def _enter(self, rung: Rung) -> None:
        self.rung = rung
        self._context.progress(self._context.target, rung)

    def _stopped(self, rung: Rung, reason: str) -> _Stopped:
        self._context.skip_after(rung, self.route, reason)
        return _Stopped(reason)
