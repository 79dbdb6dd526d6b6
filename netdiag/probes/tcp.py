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
from collections.abc import Callable, Iterable, Sequence

from netdiag.model import Failure, IcmpError, TcpInfo, TcpObservation
from netdiag.probes.failure import PROHIBITED_ICMP, before_sending, from_errno
from netdiag.probes.icmp import ask_for_icmp, queued_icmp_error
from netdiag.probes.net import Address, Deadline, Net, SocketStream, Step, Stopwatch, flow_to

Ended = Callable[[TcpObservation, SocketStream | None], None]
#: Told of an attempt that has been silent for ``ALARM_S``, and of its observation's id to be.
Alarm = Callable[[Address, str], None]

#: Silence shorter than this says nothing about an address: the Connection Attempt Delay of RFC 8305 §5.
SILENCE_S = 0.25
#: ... and an address as far away as one that answered after t may well take 2 t.
SILENCE_RATIO = 3.0
#: Connections take less: about an attempt that has been silent for so long something may be found out meanwhile.
ALARM_S = 1.0


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
        self,
        net: Net,
        attempts: Sequence[tuple[Address, Step]],
        *,
        deadline: Deadline,
        proxy: bool = False,
        alarm: Alarm | None = None,
    ) -> None:
        self._net = net
        self._deadline = deadline
        self._proxy = proxy
        self._alarm = alarm
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
                for key, _ in selector.select(self._patience()):
                    if isinstance(key.data, _Attempt):
                        selector.unregister(key.fileobj)
                        open_attempts.discard(key.data)
                        self._end(key.data, ended)
                self._watch_silence(open_attempts)
            for attempt in sorted(open_attempts, key=lambda a: a.watch.started):
                self._give_up(attempt, ended)

    def _patience(self) -> float:
        """How long to wait for an event."""
        left = self._deadline.remaining()
        return min(left, max(0.0, ALARM_S - self._watch.took_s)) if self._alarm else left

    def _watch_silence(self, silent: Iterable[_Attempt]) -> None:
        """Raise the alarm, once, if nothing has connected by then."""
        if self._alarm and self._watch.took_s >= ALARM_S:
            alarm, self._alarm = self._alarm, None
            for attempt in silent if self._first_s is None else ():
                alarm(attempt.address, attempt.step.id)

    def _start(self, attempt: _Attempt, selector: selectors.BaseSelector, ended: Ended) -> bool:
        try:
            attempt.socket = self._net.start_connect(attempt.address)
        except OSError as error:
            ended(self._observe(attempt, before_sending(error, "connect")), None)
            return False
        ask_for_icmp(attempt.socket)
        if self._net.translated(attempt.address) is not None:
            selector.register(attempt.socket, selectors.EVENT_WRITE, attempt)
        return True

    def _end(self, attempt: _Attempt, ended: Ended) -> None:
        assert attempt.socket is not None
        number = attempt.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            queued = queued_icmp_error(attempt.socket)
            icmp = queued.error if queued else None
            failure = from_errno(number, "connect")
            if icmp and icmp.code in PROHIBITED_ICMP[icmp.version]:
                failure = Failure(kind="prohibited", step="connect", detail=failure.detail)
            ended(self._observe(attempt, failure, icmp), None)
            attempt.socket.close()
            return
        self._first_s = self._first_s or attempt.watch.took_s
        ended(self._observe(attempt, None), SocketStream(attempt.socket, attempt.address))

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
            flow=flow_to(sock, attempt.address) if sock else None,
            address=attempt.address.host,
            port=attempt.address.port,
            peer="proxy" if self._proxy else "target",
            info=tcp_info(sock) if sock else None,
            icmp=icmp,
        )


def tcp_info(sock: socket.socket) -> TcpInfo | None:
    """Round-trip time, retransmissions and segment size as Linux knows them; None where the kernel does not tell."""
    raw = _raw_info(sock)
    if raw is None:
        return None
    # linux/tcp.h struct tcp_info: tcpi_snd_mss at 16, tcpi_rtt (microseconds) at 68, tcpi_total_retrans at 100.
    mss, rtt_us, retransmits = (struct.unpack_from("=I", raw, offset)[0] for offset in (16, 68, 100))
    return TcpInfo(rtt_ms=rtt_us / 1000 or None, retransmits=retransmits, mss=mss or None)


def all_acknowledged(sock: socket.socket) -> bool:
    """Whether the peer has acknowledged everything that was sent to it; True where the kernel does not tell."""
    raw = _raw_info(sock)
    # linux/tcp.h struct tcp_info: tcpi_unacked, in packets, at 24.
    return raw is None or struct.unpack_from("=I", raw, 24)[0] == 0


def _raw_info(sock: socket.socket) -> bytes | None:
    """The first 104 bytes of linux/tcp.h struct tcp_info; None where there are none."""
    if sys.platform != "linux":
        return None
    try:
        raw = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    except OSError:
        return None
    return raw if len(raw) == 104 else None
