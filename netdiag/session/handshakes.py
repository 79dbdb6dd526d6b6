"""The handshakes of one way: the one an application makes, and the controls that it is compared with."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from netdiag.model import HandshakePurpose, Route, TlsObservation
from netdiag.probes import tls
from netdiag.probes.failure import from_exception
from netdiag.probes.net import Address, Step, Stopwatch, Stream
from netdiag.probes.threads import spawn
from netdiag.session.context import Context

#: Sent as SNI to learn whether a device reacts to the real name (RFC 2606 reserves it: no list blocks or allows it).
OTHER_NAME = "www.example.com"

Versions = tuple[str, str]
MODERN: Versions = ("TLSv1.2", "TLSv1.3")
TLS12: Versions = ("TLSv1.2", "TLSv1.2")
_LEGACY: Versions = ("TLSv1", "TLSv1.1")

#: Opens a further connection to the same peer. Raises ``OSError`` or ``EOFError``.
Opener = Callable[[], Stream]


class Shaken(NamedTuple):
    """A handshake, and the connection that it secured."""

    seen: TlsObservation
    stream: Stream | None


@dataclass(frozen=True, kw_only=True)
class Handshakes:
    """Makes handshakes with one peer, under ``name``; without one, no other names are tried for comparison."""

    context: Context
    address: Address
    route: Route
    parent: str | None
    name: str
    #: What the application offers, and whether it names HTTP.
    offered: Versions = MODERN
    alpn: bool = True

    def over(self, stream: Stream, purpose: HandshakePurpose = "main") -> Shaken:
        """The handshake that an application makes, recorded."""
        shaken = self._shake(stream, purpose, self.name, self.offered)
        return Shaken(self.context.log.add(shaken.seen), shaken.stream)

    def tls12(self, another: Opener) -> Future[TlsObservation]:
        """Begin a handshake that offers TLS 1.2 alone: whether the server takes it, and whether the path does."""
        return spawn(partial(self._control, another, "tls1.2-only", self.name, TLS12))

    def bare(self, another: Opener) -> Future[TlsObservation]:
        """Begin a handshake for the purpose "bare": whether this is TLS, where something else was expected."""
        return spawn(partial(self._control, another, "bare", self.name, MODERN))

    def compare(
        self, main: Shaken, another: Opener, tls12: Future[TlsObservation] | None, small: Opener | None = None
    ) -> Shaken:
        """Record the controls that tell why ``main`` failed, and return what the way can go on with.

        ``tls12`` is the control with that version, unless the application offers it alone. ``small`` opens connections
        that carry small segments only, where that is possible: silence can mean that the path loses large ones.

        That is ``main``, unless it was cut off and the very same handshake, or the smaller one of TLS 1.2, works: then
        applications get through at times, and what comes after is worth looking at.
        """
        wanted: list[tuple[HandshakePurpose, str, Versions]] = [("legacy-versions", self.name, _LEGACY)]
        cut = main.seen.failure is not None and main.seen.failure.kind in ("reset", "eof", "timeout")
        if cut:
            wanted.append(("repeat", self.name, self.offered))
        if cut and self.name:
            wanted += [("other-name", OTHER_NAME, self.offered), ("no-name", "", self.offered)]
        running = [spawn(partial(self._control, another, *one)) for one in wanted]
        if small and main.seen.failure and main.seen.failure.kind == "timeout":
            running.append(spawn(partial(self._control, small, "small-segments", self.name, self.offered)))
        running += [tls12] if tls12 else []
        controls = {seen.purpose: seen for seen in (future.result() for future in running)}
        for seen in controls.values():
            self.context.log.add(seen)
        if cut and controls["repeat"].outcome == "ok":
            return self._again(another, controls["repeat"], self.offered) or main
        if cut and tls12 and controls["tls1.2-only"].outcome == "ok":
            return self._again(another, controls["tls1.2-only"], TLS12) or main
        return main

    def _again(self, another: Opener, seen: TlsObservation, versions: Versions) -> Shaken | None:
        """The handshake of a control once more, to go on with; None when it does not work this time."""
        with contextlib.suppress(OSError, EOFError):
            stream = self._shake(another(), seen.purpose, self.name, versions).stream
            if stream:
                return Shaken(seen, stream)
        return None

    def _control(self, another: Opener, purpose: HandshakePurpose, name: str, offered: Versions) -> TlsObservation:
        """A handshake on a connection of its own, which is closed at once: a server may serve one after the other."""
        watch = Stopwatch()
        try:
            stream = another()
        except (OSError, EOFError) as error:
            return TlsObservation(
                **self._step(purpose)._asdict(),
                started=watch.started,
                took_s=watch.took_s,
                outcome="failed",
                failure=from_exception(error, "connect"),
                address=self.address.host,
                port=self.address.port,
                purpose=purpose,
                server_name=name,
                offered=offered,
            )
        shaken = self._shake(stream, purpose, name, offered)
        (shaken.stream or stream).close()
        return shaken.seen

    def _shake(self, stream: Stream, purpose: HandshakePurpose, name: str, offered: Versions) -> Shaken:
        seen, secured = tls.handshake(
            stream,
            address=self.address,
            server_name=name,
            purpose=purpose,
            offered=offered,
            alpn=self.alpn,
            deadline=self.context.wait(),
            step=self._step(purpose),
        )
        return Shaken(seen, secured)

    def _step(self, purpose: HandshakePurpose) -> Step:
        return Step(f"tls.{self.route}.{purpose}", self.parent, self.route)
