"""The one door to sockets: addresses, deadlines, byte streams.

Contract: every socket that netdiag opens is opened here. Each wait is bounded by a ``Deadline``. Trouble is raised as
``OSError``, ``TimeoutError`` or ``EOFError``; ``probes/failure.py`` turns it into a ``Failure``. Nothing here judges.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

from netdiag.model import Flow, Route, authority

#: linux/if_ether.h: packets of every protocol, those that this machine sends too.
_ETH_P_ALL = 3


class Address(NamedTuple):
    """An IPv4 or IPv6 address without brackets (a zone may follow: "fe80::1%eth0"), and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return authority(self.host, self.port)

    @property
    def family(self) -> socket.AddressFamily:
        """The socket family."""
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    @property
    def version(self) -> int:
        """Of IP: 4 or 6."""
        return 6 if ":" in self.host else 4


class Step(NamedTuple):
    """Where in the ladder a probe stands: what every observation repeats of it. ``Observation(**step._asdict())``."""

    id: str
    parent: str | None = None
    route: Route = "direct"


class Deadline:
    """A moment on the monotonic clock by which a wait must end; at once when ``cancel`` is set."""

    def __init__(self, seconds: float, cancel: threading.Event | None = None) -> None:
        self._end = time.monotonic() + seconds
        self._cancel = cancel

    def remaining(self) -> float:
        """Seconds left, never negative."""
        if self._cancel is not None and self._cancel.is_set():
            return 0.0
        return max(0.0, self._end - time.monotonic())

    def require(self) -> float:
        """Seconds left; ``TimeoutError`` when none are."""
        left = self.remaining()
        if left <= 0:
            raise TimeoutError("no answer in time")
        return left

    def within(self, seconds: float) -> Deadline:
        """The earlier of this deadline and ``seconds`` from now."""
        return Deadline(min(seconds, self.remaining()), self._cancel)


class Stopwatch:
    """Start time on the wall clock, elapsed time on the monotonic one."""

    def __init__(self) -> None:
        self.started = time.time()
        self._start = time.monotonic()

    @property
    def took_s(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._start


class Stream(Protocol):
    """A connected byte stream: a TCP socket, a tunnel through a proxy, or TLS over either of them."""

    @property
    def flow(self) -> Flow | None:
        """The five-tuple of the TCP connection below."""

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Send everything, or raise ``OSError``."""

    def receive(self, deadline: Deadline, limit: int = 65536) -> bytes:
        """At least one byte; ``b""`` when the peer closed its side. Raises ``OSError`` or ``TimeoutError``."""

    def close(self) -> None:
        """Close, quietly. May be called again."""


class SocketStream:
    """A ``Stream`` over a connected socket."""

    def __init__(self, sock: socket.socket, address: Address | None = None) -> None:
        """``address``: what it was connected to, which a socket that was reset meanwhile does not tell any more."""
        self.socket = sock
        self._flow = flow_of(sock) or (flow_to(sock, address) if address else None)

    @property
    def flow(self) -> Flow | None:
        """The five-tuple at the time of connecting."""
        return self._flow

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Send everything before the deadline."""
        self.socket.settimeout(deadline.require())
        self.socket.sendall(data)

    def receive(self, deadline: Deadline, limit: int = 65536) -> bytes:
        """The next bytes, at most ``limit``."""
        self.socket.settimeout(deadline.require())
        return self.socket.recv(limit)

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()


def flow_of(sock: socket.socket) -> Flow | None:
    """The five-tuple of a connected socket, None when it is not connected any more."""
    try:
        client, server = sock.getsockname(), sock.getpeername()
    except OSError:
        return None
    return Flow(client=client[0], client_port=client[1], server=server[0], server_port=server[1])


def flow_to(sock: socket.socket, address: Address, protocol: Literal["tcp", "udp"] = "tcp") -> Flow | None:
    """The five-tuple of a socket on its way to ``address``, connected or not; None before it has a port."""
    try:
        client = sock.getsockname()
    except OSError:
        return None
    if not client[1]:
        return None
    return Flow(
        protocol=protocol, client=client[0], client_port=client[1], server=address.host, server_port=address.port
    )


class Net:
    """Opens sockets. ``translate`` maps an address to the one really used: a world on loopback puts its NAT there.

    A translation to None is a black hole: the attempt gets no answer, as with a firewall that drops. ``opening`` is
    told each address before the first packet to it, from several threads.
    """

    def __init__(
        self,
        translate: Callable[[Address], Address | None] | None = None,
        lookup: Callable[[str], tuple[str, ...]] | None = None,
        opening: Callable[[Address], None] | None = None,
    ) -> None:
        #: Whether addresses are what they seem: in an embedded world there are no routers, and no packets to see.
        self.real = translate is None
        self._translate = translate or (lambda address: address)
        self._lookup = lookup or _getaddrinfo
        self._opening = opening or (lambda _address: None)

    def telling(self, opening: Callable[[Address], None]) -> Net:
        """The same network, where ``opening`` is told of addresses."""
        told = Net(self._translate, self._lookup, opening)
        told.real = self.real
        return told

    def lookup(self, name: str) -> tuple[str, ...]:
        """The addresses that an application gets for a name, in its order (getaddrinfo). Raises ``socket.gaierror``.

        Blocks for as long as the system's resolver does: call it from a thread that can be left behind.
        """
        return self._lookup(name)

    def translated(self, address: Address) -> Address | None:
        """The address that is really used for ``address``, None for a black hole."""
        return self._translate(address)

    def start_connect(self, address: Address, prepare: Callable[[socket.socket], None] | None = None) -> socket.socket:
        """A non-blocking TCP socket whose connection to ``address`` is under way. Raises ``OSError``.

        ``prepare`` sets options that must be there before the SYN is sent.
        """
        self._opening(address)
        actual = self._translate(address)
        sock = socket.socket((actual or address).family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if prepare is not None:
                prepare(sock)
            if actual is not None:
                _begin(sock, actual)
        except BaseException:
            sock.close()
            raise
        return sock

    def connect(self, address: Address, deadline: Deadline, segment: int | None = None) -> SocketStream:
        """A connected stream, whose segments are at most ``segment`` bytes. Raises ``OSError`` or ``TimeoutError``."""
        self._opening(address)
        actual = self._translate(address)
        if actual is None:
            time.sleep(deadline.remaining())
            raise TimeoutError("no answer in time")
        sock = socket.socket(actual.family, socket.SOCK_STREAM)
        try:
            if segment is not None:
                sock.setsockopt(
                    socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment
                )  # ours, and what the SYN allows the peer
            sock.settimeout(deadline.require())
            sock.connect(_sockaddr(actual))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except BaseException:
            sock.close()
            raise
        return SocketStream(sock, address)

    def udp(self, address: Address) -> socket.socket:
        """A UDP socket connected to ``address``, so that ICMP errors reach it. Raises ``OSError``."""
        self._opening(address)
        actual = self._translate(address)
        sock = socket.socket((actual or address).family, socket.SOCK_DGRAM)
        try:
            if actual is not None:
                sock.connect(_sockaddr(actual))
        except BaseException:
            sock.close()
            raise
        return sock


def reserved_port(kind: socket.SocketKind, source: Address) -> socket.socket:
    """A socket that owns a port of this machine at ``source`` and does nothing with it. Raises ``OSError``."""
    sock = socket.socket(source.family, kind)
    try:
        sock.bind(_sockaddr(source))
    except BaseException:
        sock.close()
        raise
    return sock


def raw_socket(version: int) -> socket.socket:
    """A socket that sends whole IP packets, which the kernel routes (raw(7), ipv6(7)).

    Raises ``OSError`` where there is no right to it (CAP_NET_RAW), or no such socket for both versions: Linux alone.
    """
    if sys.platform != "linux":
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    return socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)


def may_send_raw() -> bool:
    """Whether this process may use ``raw_socket``, which on Linux is the right to see packets as well."""
    try:
        raw_socket(4).close()
    except OSError:
        return False
    return True


def packet_socket() -> socket.socket:
    """A socket that gets the packets of every interface, from their network layer on, and does not block (packet(7)).

    Raises ``OSError`` where there is no right to it (CAP_NET_RAW), or no such socket: Linux alone has them.
    """
    if sys.platform != "linux":
        raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
    sock.setblocking(False)
    return sock


def _begin(sock: socket.socket, address: Address) -> None:
    with contextlib.suppress(BlockingIOError):  # under way
        sock.connect(_sockaddr(address))


def _sockaddr(address: Address) -> tuple[str, int] | tuple[str, int, int, int]:
    """The address with its zone resolved, as ``connect`` wants it."""
    if "%" not in address.host:
        return (address.host, address.port)
    try:
        info = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        raise OSError(errno.ENODEV, f"there is no interface {address.host.partition('%')[2]}") from None
    sockaddr = info[0][4]
    # Only IPv6 addresses have zones, and those have four parts (RFC 4007 §11); typeshed allows for IPv4 too.
    return (str(sockaddr[0]), int(sockaddr[1]), int(sockaddr[2]), int(sockaddr[3]))  # type: ignore[misc] # see above


def _getaddrinfo(name: str) -> tuple[str, ...]:
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
