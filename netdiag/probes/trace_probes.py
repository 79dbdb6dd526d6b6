"""The probes of a trace: how each mode sends one, and what its socket tells.

Contract: non-blocking sockets; nothing is judged. A packet whose TTL runs out is answered by the router where it did
(ICMP time exceeded, RFC 1812 §4.3.3.1, RFC 4443 §3.3). Linux hands that error to the socket, and while a connection is
being opened it tells the sender too (IP_RECVERR, ip(7)). Inside an established connection it tells the error alone.
"""

from __future__ import annotations

import errno
import ipaddress
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from netdiag.model import Failure, Flow, IcmpError, TraceAnswer, TraceMode, TraceReply
from netdiag.probes.failure import PROHIBITED_ICMP
from netdiag.probes.icmp import TELLS_SENDERS, Queued, ask_for_icmp, queued_icmp_error
from netdiag.probes.net import Address, Net, flow_to
from netdiag.probes.tcp import all_acknowledged, tcp_info
from netdiag.probes.threads import spawn

#: A port per TTL from here on, where nobody listens: traceroute's own range (traceroute(8)).
UDP_PORT = 33434
#: A connection stands for so long at least before data are sent.
_LEAST_STAND_S = 0.01
#: So many bytes of an answer are read at a time, and thrown away.
_CHUNK = 65536
#: Time exceeded in transit, by IP version: type and code (RFC 792, RFC 4443 §3.3).
TIME_EXCEEDED = {4: (11, 0), 6: (3, 0)}
#: Port unreachable, which is how a host refuses UDP (RFC 1122 §4.1.3.1, RFC 4443 §3.1).
_PORT_UNREACHABLE = {4: (3, 3), 6: (1, 4)}
_UNREACHABLE = {4: 3, 6: 1}
#: Host or address unreachable: no answer to ARP, or to a neighbour solicitation (RFC 1812 §5.2.7.1, RFC 4443 §3.1).
_HOST_UNREACHABLE = {4: (3, 1), 6: (1, 3)}


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

    def sends(self) -> None:
        """It is sent now."""
        self.sent, self.sent_at = time.monotonic(), time.time()

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
            probe.sends()

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
        probe.sends()
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
        probe.sends()
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
