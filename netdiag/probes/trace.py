"""Traceroute to a port: probes with growing TTL, and what answers each. No rights are needed where the kernel helps.

Contract: one thread, non-blocking sockets, at most ``window`` probes under way; one ``TraceObservation``; nothing is
judged. Each probe is a connection (a socket, for UDP) of its own: a segment that died is sent again with whatever TTL
its socket has by then, so that two TTLs on one connection could not be told apart.
"""

from __future__ import annotations

import contextlib
import math
import selectors
import socket
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

import msgspec

from netdiag.model import (
    Failure,
    FailureKind,
    TraceAnswer,
    TraceHop,
    TraceMode,
    TraceObservation,
    TraceReply,
)
from netdiag.probes.failure import before_sending
from netdiag.probes.icmp import TELLS_SENDERS
from netdiag.probes.net import Address, Deadline, Net, Step, Stopwatch, may_send_raw
from netdiag.probes.trace_probes import Kind, Probe, set_ttl

if TYPE_CHECKING:
    from netdiag.probes.trace_raw import Ears

#: Longer paths are loops (traceroute's own limit, and more than p0f's MAX_DIST leaves over).
MAX_TTL = 30

#: A hop is as near as one behind it, so one that takes ten times as long will not answer (traceroute(8), -w).
_PATIENCE_RATIO = 10.0
#: ... but routers answer when they have nothing better to do.
_LEAST_PATIENCE_S = 0.3
#: How often a wait looks whether it is still wanted.
_TICK_S = 0.1
#: A TTL that gets anywhere.
_FAR = 255

#: What ends a trace well, by mode.
_GOOD: dict[TraceMode, frozenset[TraceAnswer]] = {
    "syn": frozenset({"open"}),
    "data": frozenset({"data"}),
    "udp": frozenset({"refused", "data"}),
}
_FAILURES: dict[TraceAnswer, tuple[FailureKind, str]] = {
    "none": ("timeout", "nothing answers from there on"),
    "hop": ("unreachable", "the packets do not arrive within the TTLs tried"),
    "open": ("unknown", "the port accepts"),
    "data": ("unknown", "an answer came"),
    "refused": ("refused", "connection refused"),
    "reset": ("reset", "connection reset"),
    "closed": ("eof", "the connection was closed without an answer"),
    "unreachable": ("unreachable", "ICMP destination unreachable"),
    "prohibited": ("prohibited", "ICMP administratively prohibited"),
    "unsent": ("unknown", "nothing could be sent"),
}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How a trace is bounded."""

    max_ttl: int = MAX_TTL
    #: Probes for each TTL; several may find several paths.
    queries: int = 1
    #: Probes under way at a time (traceroute(8), -N).
    window: int = 16
    #: How long an answer is waited for, in seconds.
    wait_s: float = 1.5
    #: So many TTLs in a row without an answer end the trace.
    silent_hops: int = MAX_TTL


@dataclass
class Trace:
    """One trace. ``run`` blocks until the target has answered, or nothing more is to be expected."""

    method: ClassVar[Literal["sockets", "raw"]] = "sockets"

    net: Net
    address: Address
    kind: Kind
    deadline: Deadline
    limits: Limits = field(default_factory=Limits)
    #: How far away the target is known to be: inside a connection, nothing that gets so far has died on the way.
    distance: int | None = None
    #: Told of each TTL whose probes have all ended, in order.
    reached: Callable[[TraceHop], None] = lambda _hop: None

    def __post_init__(self) -> None:
        self._probes: list[list[Probe]] = [[] for _ in range(self.limits.max_ttl + 1)]  # by TTL
        self._open: set[Probe] = set()
        self._launched = 0  # the largest TTL
        self._told = 0
        self._end = self.limits.max_ttl + 1  # the smallest TTL that did not end on the way
        self._next = 0
        self._answered = 0  # the largest TTL that was answered
        self._fastest = [math.inf] * (self.limits.max_ttl + 2)  # by TTL: what it took to get so far, or farther

    def run(self) -> tuple[TraceHop, ...]:
        """What answered at each TTL, up to the first that did not end on the way, or to the largest tried."""
        with selectors.DefaultSelector() as selector:
            self._begin(selector)
            try:
                while self._more(selector):
                    for key, _ in selector.select(self._patience()):
                        self._ready(selector, key)
                    for probe in self._due():
                        self._happened(selector, probe)
                    self._give_up(selector)
                    self._tell()
            finally:
                for probe in tuple(self._open):
                    self._close(selector, probe)
        return tuple(self._hop(ttl) for ttl in range(1, min(self._end, self._launched) + 1))

    def _due(self) -> list[Probe]:
        """Those whose data are to be sent now."""
        now = time.monotonic()
        return [probe for probe in self._open if probe.due is not None and probe.due <= now]

    def _begin(self, selector: selectors.BaseSelector) -> None:
        """Have the selector watch what is not a probe's socket."""

    def _ready(self, selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
        if key.data in self._open:  # not ended by what was ready before it
            self._happened(selector, key.data)

    def _more(self, selector: selectors.BaseSelector) -> bool:
        """Send as many as the window allows; whether there is anything to wait for."""
        last = min(self._end, self.limits.max_ttl) if not self._silent() else 0
        while len(self._open) < self.limits.window and self.deadline.remaining() > 0:
            ttl = self._next // self.limits.queries + 1
            if ttl > last:
                break
            self._next += 1
            self._launch(selector, ttl)
            last = min(last, self._end)
        return any(probe.ttl <= self._end for probe in self._open) and self.deadline.remaining() > 0

    def _silent(self) -> bool:
        """Whether enough TTLs beyond the last that was answered were given up."""
        beyond = self._probes[self._answered + 1 : self._launched + 1]
        return sum(any(probe.reply for probe in probes) for probes in beyond) >= self.limits.silent_hops

    def _launch(self, selector: selectors.BaseSelector, ttl: int) -> None:
        probe = Probe(ttl)
        probe.sends()
        self._probes[ttl].append(probe)
        self._launched = ttl
        try:
            events = self.kind.start(self.net, self.address, probe)
        except OSError as error:
            probe.failure = before_sending(error, "send")
            refused = isinstance(error, ConnectionRefusedError)  # some systems do not even wait to say so on loopback
            self._ended(probe, probe.answered("refused" if refused else "unsent", heard=refused))
            self._close(selector, probe)
            return
        assert probe.sock is not None
        self._open.add(probe)
        if events:
            selector.register(probe.sock, events, probe)

    def _happened(self, selector: selectors.BaseSelector, probe: Probe) -> None:
        outcome = self.kind.event(probe)
        assert probe.sock is not None
        if isinstance(outcome, int):
            selector.modify(probe.sock, outcome, probe)
            return
        if outcome.answer == "hop" and not outcome.icmp and self.distance is not None and probe.ttl >= self.distance:
            outcome = TraceReply(answer="unreachable", rtt_ms=outcome.rtt_ms, flow=outcome.flow)
        self._told_by_socket(selector, probe, outcome)

    def _told_by_socket(self, selector: selectors.BaseSelector, probe: Probe, reply: TraceReply) -> None:
        """That ends the probe where sockets are all there is."""
        self._close(selector, probe)
        self._ended(probe, reply)

    def _ended(self, probe: Probe, reply: TraceReply) -> None:
        probe.reply = reply
        if reply.answer != "none":
            self._answered = max(self._answered, probe.ttl)
        if reply.answer not in ("hop", "none"):
            self._end = min(self._end, probe.ttl)
        for ttl in range(probe.ttl, 0, -1):
            if reply.rtt_ms is None or self._fastest[ttl] <= reply.rtt_ms:
                break
            self._fastest[ttl] = reply.rtt_ms

    def _close(self, selector: selectors.BaseSelector, probe: Probe) -> None:
        """Leave no connection half open at the server: whatever TTL it had, its end gets there, as a reset."""
        self._open.discard(probe)
        if probe.sock is None:
            return
        with contextlib.suppress(KeyError, ValueError):  # it is not watched
            selector.unregister(probe.sock)
        if probe.opened:
            with contextlib.suppress(OSError):
                set_ttl(probe.sock, _FAR)
                probe.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        probe.sock.close()

    def _expiry(self, probe: Probe) -> float:
        """When an answer to the probe is not to be expected any more."""
        if probe.until is not None:
            return probe.until
        patience = max(_LEAST_PATIENCE_S, _PATIENCE_RATIO * self._fastest[probe.ttl] / 1000)
        if self.kind.mode == "data" and not probe.opened:  # a SYN that was lost is sent again after 1 s
            patience = math.inf
        return probe.sent + min(self.limits.wait_s, patience)

    def _patience(self) -> float:
        waiting = [probe.due or self._expiry(probe) for probe in self._open if probe.ttl <= self._end]
        until = min(waiting, default=0.0) - time.monotonic()
        return max(0.0, min(until, self.deadline.remaining(), _TICK_S))

    def _give_up(self, selector: selectors.BaseSelector) -> None:
        now = time.monotonic()
        for probe in [p for p in self._open if self._expiry(p) <= now]:
            reply = probe.told or probe.answered("none", heard=False)
            self._close(selector, probe)
            self._ended(probe, reply)

    def _tell(self) -> None:
        """Tell of the TTLs that are complete, in order."""
        while self._told < min(self._end, self._launched):
            probes = self._probes[self._told + 1]
            if len(probes) < self.limits.queries or any(probe.reply is None for probe in probes):
                return
            self._told += 1
            self.reached(self._hop(self._told))

    def _hop(self, ttl: int) -> TraceHop:
        replies = (probe.reply or TraceReply(answer="none", flow=probe.flow) for probe in self._probes[ttl])
        return TraceHop(ttl=ttl, replies=tuple(replies))

    @property
    def unsent(self) -> Failure | None:
        """Why nothing could be sent, if that is what ended the trace."""
        return next((probe.failure for probes in self._probes for probe in probes if probe.failure), None)

    @property
    def blind_to(self) -> tuple[str, ...]:
        """What could not be observed, a sentence each."""
        if not TELLS_SENDERS:
            return (_SILENT_SYSTEM,)
        return () if may_send_raw() else (NO_TTLS,)


#: struct linger: on, for 0 seconds, so that closing sends a reset (socket(7)). Winsock has two shorts, others two ints.
_ABORT = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


def trace(
    net: Net,
    address: Address,
    kind: Kind,
    step: Step,
    *,
    deadline: Deadline,
    limits: Limits | None = None,
    distance: int | None = None,
    server_name: str = "",
    proxy: bool = False,
    reached: Callable[[TraceHop], None] | None = None,
    ears: Ears | None = None,
) -> TraceObservation:
    """Trace the way to ``address``: with ordinary sockets, or the raw method with ``ears`` that overhear packets.

    Never raises for trouble on the network.
    """
    watch = Stopwatch()
    make = ears.trace if ears else Trace
    run = make(net, address, kind, deadline, limits or Limits(), distance, reached or (lambda _hop: None))
    hops = run.run()
    return conclude(
        TraceObservation(
            **step._asdict(),
            started=watch.started,
            took_s=watch.took_s,
            address=address.host,
            port=address.port,
            peer="proxy" if proxy else "target",
            mode=kind.mode,
            method=run.method,
            payload=kind.words,
            server_name=server_name,
            sent_bytes=kind.size,
            hops=hops,
            limits=run.blind_to,
        ),
        run.unsent,
    )


_SILENT_SYSTEM = "this system does not tell which router an ICMP error came from"
NO_TTLS = "the TTLs of resets and SYN-ACKs were not seen: root (CAP_NET_RAW) adds them, and a check of the hop by them"


def conclude(seen: TraceObservation, unsent: Failure | None = None) -> TraceObservation:
    """The observation with what its hops amount to: the answer, the distance, the failure."""
    last = seen.hops[-1] if seen.hops else TraceHop(ttl=0, replies=())
    arrived = last.answer not in ("hop", "none")
    failure: Failure | None = None
    if last.answer not in _GOOD[seen.mode]:
        kind, detail = _FAILURES[last.answer]
        failure = unsent if unsent and last.answer == "unsent" else Failure(kind=kind, step="trace", detail=detail)
    return msgspec.structs.replace(
        seen,
        answer=last.answer,
        distance=last.ttl if arrived else None,
        outcome="failed" if failure else "ok",
        failure=failure,
    )
