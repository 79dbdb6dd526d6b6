"""Traceroute to a port: probes with growing TTL, and what answers each. No rights are needed where the kernel helps.

Contract: one thread, non-blocking sockets, at most ``window`` probes under way; one ``TraceObservation``; nothing is
judged. Each probe is a connection (a socket, for UDP) of its own: a segment that died is sent again with whatever TTL
its socket has by then, so that two TTLs on one connection could not be told apart.

A packet whose TTL runs out is answered by the router where it did (ICMP time exceeded, RFC 1812 §4.3.3.1, RFC 4443
§3.3). Linux hands that error to the socket, and while a connection is being opened it tells the sender too
(IP_RECVERR, ip(7)). Inside an established connection it tells the error alone.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import math
import selectors
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

import msgspec

from netdiag.model import (
    Failure,
    FailureKind,
    Flow,
    IcmpError,
    TraceAnswer,
    TraceHop,
    TraceMode,
    TraceObservation,
    TraceReply,
)
from netdiag.probes.failure import PROHIBITED_ICMP, before_sending
from netdiag.probes.icmp import TELLS_SENDERS, Queued, ask_for_icmp, queued_icmp_error
from netdiag.probes.net import Address, Deadline, Net, Step, Stopwatch, flow_to, may_send_raw
from netdiag.probes.tcp import all_acknowledged, tcp_info
from netdiag.probes.threads import spawn

if TYPE_CHECKING:
    from netdiag.probes.trace_raw import Ears

#: Longer paths are loops (traceroute's own limit, and more than p0f's MAX_DIST leaves over).
MAX_TTL = 30
#: A port per TTL from here on, where nobody listens: traceroute's own range (traceroute(8)).
UDP_PORT = 33434

#: A hop is as near as one behind it, so one that takes ten times as long will not answer (traceroute(8), -w).
_PATIENCE_RATIO = 10.0
#: ... but routers answer when they have nothing better to do.
_LEAST_PATIENCE_S = 0.3
#: How often a wait looks whether it is still wanted.
_TICK_S = 0.1
#: A connection stands for so long at least before data are sent.
_LEAST_STAND_S = 0.01
#: So many bytes of an answer are read at a time, and thrown away.
_CHUNK = 65536
#: A TTL that gets anywhere.
_FAR = 255

#: Time exceeded in transit, by IP version: type and code (RFC 792, RFC 4443 §3.3).
TIME_EXCEEDED = {4: (11, 0), 6: (3, 0)}
#: Port unreachable, which is how a host refuses UDP (RFC 1122 §4.1.3.1, RFC 4443 §3.1).
_PORT_UNREACHABLE = {4: (3, 3), 6: (1, 4)}
_UNREACHABLE = {4: 3, 6: 1}
#: Host or address unreachable: no answer to ARP, or to a neighbour solicitation (RFC 1812 §5.2.7.1, RFC 4443 §3.1).
_HOST_UNREACHABLE = {4: (3, 1), 6: (1, 3)}

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


@dataclass(eq=False)
class Probe:
    """One probe under way. ``sent`` is on the monotonic clock, ``sent_at`` on the wall's; of data, when these were."""

    ttl: int
    sock: socket.socket | None = None
    sent: float = 0.0
    sent_at: float = 0.0
    flow: Flow | None = None
    #: Inside a connection: it is open, and the data were sent.
    opened: bool = False
    reply: TraceReply | None = None
    #: Inside a connection that is open: when the data are to be sent.
    due: float | None = None
    #: What the socket told, which packets may yet explain, and until when they are waited for.
    told: TraceReply | None = None
    until: float | None = None
    #: Why nothing could be sent.
    failure: Failure | None = None

    def answered(self, answer: TraceAnswer, *, heard: bool = True) -> TraceReply:
        """The reply that came just now; the ICMP error that is queued on the socket, if there is one, says more."""
        queued = queued_icmp_error(self.sock) if self.sock else None
        icmp = queued.error if queued else None
        if icmp and self.flow:
            answer = meaning(icmp, self.flow.server)
            if same_host(icmp.offender, self.flow.client) and not same_host(icmp.offender, self.flow.server):
                answer, self.failure = "unsent", _own_error(icmp)
        return TraceReply(
            answer=answer,
            address=icmp.offender if icmp else "",
            rtt_ms=self._rtt_ms(queued) if heard else None,
            icmp=icmp,
            flow=self.flow,
        )

    def _rtt_ms(self, queued: Queued | None) -> float:
        """By the kernel's clock where it tells: this program may have been busy with another probe meanwhile."""
        took_s = time.monotonic() - self.sent
        if queued and queued.at is not None and 0 <= queued.at - self.sent_at <= took_s:
            took_s = queued.at - self.sent_at
        elif self.sock and not self.opened and (info := tcp_info(self.sock)) and info.rtt_ms:
            took_s = min(took_s, info.rtt_ms / 1000)
        return round(took_s * 1000, 3)


def meaning(icmp: IcmpError, host: str) -> TraceAnswer:
    """What an ICMP error says. "Port unreachable" is a refusal when the host says so itself, and not a router."""
    told = (icmp.type, icmp.code)
    if told == TIME_EXCEEDED[icmp.version]:
        return "hop"
    if told == _PORT_UNREACHABLE[icmp.version] and same_host(icmp.offender, host):
        return "refused"
    if icmp.type == _UNREACHABLE[icmp.version] and icmp.code in PROHIBITED_ICMP[icmp.version]:
        return "prohibited"
    return "unreachable"


def _own_error(icmp: IcmpError) -> Failure:
    """Why this machine itself says that a packet cannot go out: the next hop does not answer, or a filter is set."""
    if (icmp.type, icmp.code) == _HOST_UNREACHABLE[icmp.version]:
        return Failure(kind="unreachable", step="send", detail="nobody on the local network answers for the next hop")
    return Failure(kind="local-policy", step="send", detail="a packet filter of this machine rejects it")


def same_host(one: str, other: str) -> bool:
    """Whether two addresses are the same, however they are written, and whatever interface one of them names."""
    try:
        return len({ipaddress.ip_address(text.partition("%")[0]) for text in (one, other)}) == 1
    except ValueError:
        return False


class Kind(Protocol):
    """How one mode sends a probe, and understands what its socket tells."""

    mode: TraceMode
    #: What is sent inside a connection, in words, and how many bytes.
    words: str
    size: int

    def start(self, net: Net, address: Address, probe: Probe) -> int:
        """Open ``probe.sock`` and send; the selector's events to wait for, if any. Raises ``OSError``."""

    def event(self, probe: Probe) -> TraceReply | int:
        """What happened: a reply, or the events to wait for next."""


class Syn:
    """The port's own SYN."""

    mode: TraceMode = "syn"
    words = ""
    size = 0

    def start(self, net: Net, address: Address, probe: Probe) -> int:
        """Begin a connection whose SYN lives for ``probe.ttl`` hops."""

        def prepare(sock: socket.socket) -> None:
            ask_for_icmp(sock)
            set_ttl(sock, probe.ttl)

        probe.sock = net.start_connect(address, prepare)
        probe.flow = flow_to(probe.sock, address)
        return selectors.EVENT_WRITE

    def event(self, probe: Probe) -> TraceReply | int:
        """Connected, refused, or an ICMP error."""
        assert probe.sock is not None
        number = probe.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not number or number in _RESET_OPEN:
            return probe.answered("open")
        return probe.answered(_end(number))


class Data:
    """Bytes inside a connection that is opened with the usual TTL: what reacts to content shows itself."""

    mode: TraceMode = "data"

    def __init__(self, payload: bytes, words: str) -> None:
        self._payload = payload
        self.words = words
        self.size = len(payload)

    def start(self, net: Net, address: Address, probe: Probe) -> int:
        """Begin the connection."""
        probe.sock = net.start_connect(address)
        probe.flow = flow_to(probe.sock, address)
        return selectors.EVENT_WRITE

    def event(self, probe: Probe) -> TraceReply | int:
        """Send once the connection is open, then listen."""
        assert probe.sock is not None
        number = probe.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if not probe.opened:
            return self._still_opening(probe, probe.sock, number)
        # Time exceeded and every other ICMP error look alike here; ``Trace`` knows which TTLs cannot have died.
        if number:
            return probe.answered("hop" if number in _DIED else _end(number))
        try:
            if not probe.sock.recv(_CHUNK):
                return probe.answered("closed")
        except BlockingIOError:
            return selectors.EVENT_READ
        except OSError as error:
            return probe.answered("hop" if error.errno in _DIED else _ENDS.get(error.errno or 0, "reset"))
        # A server that speaks first (SMTP, SSH) has not seen what was sent by then.
        return probe.answered("data") if all_acknowledged(probe.sock) else selectors.EVENT_READ

    def _still_opening(self, probe: Probe, sock: socket.socket, number: int) -> TraceReply | int:
        """Send once the connection has stood for a round trip: what ends it before does not react to the data."""
        now, due = time.monotonic(), probe.due
        if due is None:
            if number:
                return probe.answered("unsent")
            probe.due = now + max(_LEAST_STAND_S, now - probe.sent)
            return selectors.EVENT_READ
        ended = "reset" if number else "closed"
        try:
            if sock.recv(_CHUNK):  # a server that speaks first
                return selectors.EVENT_READ
        except BlockingIOError:
            return selectors.EVENT_READ if now < due else self._send(probe, sock)
        except OSError:
            ended = "reset"
        probe.failure = Failure(kind="unknown", step="send", detail=f"{ended} before anything was sent")
        return probe.answered("unsent")

    def _send(self, probe: Probe, sock: socket.socket) -> TraceReply | int:
        probe.opened, probe.due = True, None
        ask_for_icmp(sock)
        set_ttl(sock, probe.ttl)
        probe.sent, probe.sent_at = time.monotonic(), time.time()
        try:
            sock.send(self._payload)
        except OSError as error:
            return probe.answered(_ENDS.get(error.errno or 0, "unsent"))
        return selectors.EVENT_READ

    def close(self) -> None:
        """Give up what was prepared and not needed."""


#: Opens a connection that is ready for data; the socket and the bytes to send. Raises ``OSError`` or ``EOFError``.
Opener = Callable[[], tuple[socket.socket, bytes]]


class Prepared(Data):
    """Data in connections that somebody else opens, such as a request inside TLS: each has bytes of its own."""

    def __init__(self, opener: Opener, words: str, *, ahead: int) -> None:
        """``ahead``: how many connections are opened at a time."""
        super().__init__(b"", words)
        self._opener = opener
        self._opening = deque(spawn(opener) for _ in range(ahead))

    def start(self, net: Net, address: Address, probe: Probe) -> int:  # noqa: ARG002 - the opener knows them
        """Take a connection that is ready, and send."""
        self._opening.append(spawn(self._opener))
        try:
            sock, self._payload = self._opening.popleft().result()
        except EOFError as error:
            raise ConnectionResetError(str(error)) from None
        self.size = len(self._payload)
        sock.setblocking(False)
        probe.sock, probe.flow = sock, flow_to(sock, address)
        reply = self._send(probe, sock)
        return reply if isinstance(reply, int) else selectors.EVENT_WRITE

    def close(self) -> None:
        """Give up the connections that nobody needed."""
        for opening in self._opening:
            opening.add_done_callback(_abandon)


def _abandon(opened: Future[tuple[socket.socket, bytes]]) -> None:
    if not opened.exception():
        opened.result()[0].close()


class Udp:
    """A datagram to a port where nobody listens: the host itself answers it, whatever its TCP ports do."""

    mode: TraceMode = "udp"
    words = ""
    size = 0

    def start(self, net: Net, address: Address, probe: Probe) -> int:
        """Send one datagram."""
        to = Address(address.host, UDP_PORT + probe.ttl)
        probe.sock = net.udp(to)
        probe.sock.setblocking(False)
        ask_for_icmp(probe.sock)
        set_ttl(probe.sock, probe.ttl)
        probe.flow = flow_to(probe.sock, to, "udp")
        probe.sock.send(b"netdiag trace")
        return selectors.EVENT_READ

    def event(self, probe: Probe) -> TraceReply | int:
        """An ICMP error, or, against expectation, an answer."""
        assert probe.sock is not None
        reply = probe.answered("none")
        if reply.answer != "none":
            return reply
        try:
            probe.sock.recv(1)
        except BlockingIOError:
            return selectors.EVENT_READ
        except OSError as error:  # a system that tells of the error and not of its sender
            answer = _end(error.errno or 0)
            return probe.answered("refused" if answer == "reset" else answer)  # Winsock says reset for refused
        return probe.answered("data")


#: A connection that was open, and reset before anybody looked: a SYN that is refused is ECONNREFUSED.
_RESET_OPEN = frozenset({errno.ECONNRESET, 10054})
#: What an error of a socket means for a probe, where no ICMP error explains it. Winsock has some codes of its own.
_ENDS: dict[int, TraceAnswer] = {
    errno.ECONNREFUSED: "refused",
    errno.ECONNRESET: "reset",
    errno.ECONNABORTED: "reset",
    errno.EPIPE: "reset",
    errno.ETIMEDOUT: "none",
    errno.EPERM: "unsent",
    errno.EACCES: "unsent",
    10013: "unsent",  # WSAEACCES
}
#: How systems tell of a TTL that ran out (WSAENETRESET: recvfrom, "the time to live has expired"), among other things.
_DIED = frozenset({errno.EHOSTUNREACH, errno.ENETRESET})


def _end(number: int) -> TraceAnswer:
    """What an error means. A system that does not show the ICMP error may mean a TTL that ran out."""
    if number in _DIED and not TELLS_SENDERS:
        return "hop"
    return _ENDS.get(number, "unreachable")


def set_ttl(sock: socket.socket, ttl: int) -> None:
    """The TTL, or IPv6 hop limit, of what is sent from now on (ip(7), ipv6(7))."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)


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
        probe = Probe(ttl, sent=time.monotonic(), sent_at=time.time())
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
