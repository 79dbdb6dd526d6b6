"""TCP connection attempts to several addresses at once, with what the kernel tells about each.

Contract: one thread, non-blocking sockets; each attempt ends in exactly one ``TcpObservation``; nothing is judged.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import struct
import sys
import threading
from collections.abc import Callable, Sequence

from netdiag.model import Failure, Flow, IcmpError, TcpInfo, TcpObservation
from netdiag.probes.failure import PROHIBITED_ICMP, before_sending, from_errno
from netdiag.probes.net import Address, Deadline, Net, SocketStream, Step, Stopwatch

Ended = Callable[[TcpObservation, SocketStream | None], None]

#: Silence shorter than this says nothing about an address: the Connection Attempt Delay of RFC 8305 §5.
SILENCE_S = 0.25
#: ... and an address as far away as one that answered after t may well take 2 t.
SILENCE_RATIO = 3.0

#: Linux: linux/in.h IP_RECVERR, linux/in6.h IPV6_RECVERR; the socket module names them only in later Pythons.
_RECVERR = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
_ORIGIN_ICMP = {2: 4, 3: 6}  # linux/errqueue.h SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6 -> IP version


class _Attempt:
    """One connection attempt under way."""

    def __init__(self, address: Address, step: Step) -> None:
        self.address = address
        self.step = step
        self.watch = Stopwatch()
        self.socket: socket.socket | None = None


class Race:
    """Connection attempts to several addresses, all started at once.

    ``run`` ends when every attempt has ended: connected, failed, or out of time. ``stop`` may be called from another
    thread: what is still open then ends as "timeout" when it was silent for long enough to mean something, else as
    "not-run".
    """

    def __init__(
        self, net: Net, attempts: Sequence[tuple[Address, Step]], *, deadline: Deadline, proxy: bool = False
    ) -> None:
        self._net = net
        self._deadline = deadline
        self._proxy = proxy
        self._first_s: float | None = None
        self._wake, self._waker = socket.socketpair()
        self._wake.setblocking(False)
        self._stopped = threading.Event()
        self._interrupted = False
        self._watch = Stopwatch()
        self._attempts = [_Attempt(address, step) for address, step in attempts]

    @property
    def patience_s(self) -> float:
        """Seconds from now until the silence of what is still open means something."""
        return max(0.0, self._telling_silence_s() - self._watch.took_s)

    def stop(self, *, interrupted: bool = False) -> None:
        """End ``run`` soon; when ``interrupted``, silence means nothing. May be called again and after the end."""
        self._interrupted = interrupted
        self._stopped.set()
        with contextlib.suppress(OSError):
            self._waker.send(b"x")

    def run(self, ended: Ended) -> None:
        """Report each attempt's end through ``ended``, from this thread. A connected stream belongs to the receiver."""
        with selectors.DefaultSelector() as selector, self._wake, self._waker:
            selector.register(self._wake, selectors.EVENT_READ)
            open_attempts = {attempt for attempt in self._attempts if self._start(attempt, selector, ended)}
            while open_attempts and not self._stopped.is_set() and self._deadline.remaining() > 0:
                for key, _ in selector.select(self._deadline.remaining()):
                    if isinstance(key.data, _Attempt):
                        selector.unregister(key.fileobj)
                        open_attempts.discard(key.data)
                        self._end(key.data, ended)
            for attempt in sorted(open_attempts, key=lambda a: a.watch.started):
                self._give_up(attempt, ended)

    def _start(self, attempt: _Attempt, selector: selectors.BaseSelector, ended: Ended) -> bool:
        try:
            attempt.socket = self._net.start_connect(attempt.address)
        except OSError as error:
            ended(self._observe(attempt, before_sending(error, "connect")), None)
            return False
        _ask_for_icmp(attempt.socket)
        if self._net.translated(attempt.address) is not None:
            selector.register(attempt.socket, selectors.EVENT_WRITE, attempt)
        return True

    def _end(self, attempt: _Attempt, ended: Ended) -> None:
        assert attempt.socket is not None
        number = attempt.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            icmp = _icmp_error(attempt.socket)
            failure = from_errno(number, "connect")
            if icmp and icmp.code in PROHIBITED_ICMP[icmp.version]:
                failure = Failure(kind="prohibited", step="connect", detail=failure.detail)
            ended(self._observe(attempt, failure, icmp), None)
            attempt.socket.close()
            return
        self._first_s = self._first_s or attempt.watch.took_s
        ended(self._observe(attempt, None), SocketStream(attempt.socket))

    def _give_up(self, attempt: _Attempt, ended: Ended) -> None:
        assert attempt.socket is not None
        detail = f"no answer in {attempt.watch.took_s:.1f} s"
        failure = Failure(kind="timeout", step="connect", detail=detail)
        observation = self._observe(attempt, failure)
        if self._stopped.is_set() and (self._interrupted or attempt.watch.took_s < self._telling_silence_s()):
            observation = self._observe(attempt, None, outcome_not_run=True)
        ended(observation, None)
        attempt.socket.close()

    def _telling_silence_s(self) -> float:
        return max(SILENCE_S, SILENCE_RATIO * (self._first_s or 0.0))

    def _observe(
        self,
        attempt: _Attempt,
        failure: Failure | None,
        icmp: IcmpError | None = None,
        *,
        outcome_not_run: bool = False,
    ) -> TcpObservation:
        sock = attempt.socket
        return TcpObservation(
            **attempt.step._asdict(),
            started=attempt.watch.started,
            took_s=attempt.watch.took_s,
            outcome="not-run" if outcome_not_run else "failed" if failure else "ok",
            failure=failure,
            flow=_flow(sock, attempt.address) if sock else None,
            address=attempt.address.host,
            port=attempt.address.port,
            peer="proxy" if self._proxy else "target",
            info=tcp_info(sock) if sock else None,
            icmp=icmp,
        )


def _flow(sock: socket.socket, address: Address) -> Flow | None:
    try:
        client = sock.getsockname()
    except OSError:
        return None
    if not client[1]:
        return None
    return Flow(client=client[0], client_port=client[1], server=address.host, server_port=address.port)


def tcp_info(sock: socket.socket) -> TcpInfo | None:
    """Round-trip time, retransmissions and segment size as Linux knows them; None where the kernel does not tell."""
    if not hasattr(socket, "TCP_INFO") or sys.platform != "linux":
        return None
    try:
        raw = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    except OSError:
        return None
    if len(raw) < 104:
        return None
    # linux/tcp.h struct tcp_info: tcpi_snd_mss at 16, tcpi_rtt (microseconds) at 68, tcpi_total_retrans at 100.
    mss, rtt_us, retransmits = (struct.unpack_from("=I", raw, offset)[0] for offset in (16, 68, 100))
    return TcpInfo(rtt_ms=rtt_us / 1000 or None, retransmits=retransmits, mss=mss or None)


def _ask_for_icmp(sock: socket.socket) -> None:
    """Have ICMP errors queued with their sender's address. Linux only; elsewhere errno alone has to do."""
    if sys.platform == "linux":
        level, option = _RECVERR[sock.family]
        with contextlib.suppress(OSError):
            sock.setsockopt(level, option, 1)


def _icmp_error(sock: socket.socket) -> IcmpError | None:
    """The ICMP error in the socket's error queue (linux/errqueue.h struct sock_extended_err and its offender)."""
    if sys.platform != "linux":
        return None
    try:
        _, control, _, _ = sock.recvmsg(512, 512, socket.MSG_ERRQUEUE)
    except OSError:
        return None
    wanted = set(_RECVERR.values())
    for level, kind, data in control:
        if (level, kind) not in wanted or len(data) < 16:
            continue
        _, origin, icmp_type, code = struct.unpack_from("=IBBB", data)
        version = _ORIGIN_ICMP.get(origin)
        offender = _offender(data[16:])
        if version and offender:
            return IcmpError(version=4 if version == 4 else 6, type=icmp_type, code=code, offender=offender)
    return None


def _offender(sockaddr: bytes) -> str:
    """The address in a struct sockaddr_in or sockaddr_in6; empty when there is none."""
    if len(sockaddr) < 8:
        return ""
    family = struct.unpack_from("=H", sockaddr)[0]
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, sockaddr[4:8])
    if family == socket.AF_INET6 and len(sockaddr) >= 24:
        return socket.inet_ntop(socket.AF_INET6, sockaddr[8:24])
    return ""
