"""The ways to the servers that certificates name: which proxy applies, and connections, straight or through it.

Contract: trouble is raised, as ``FailedError``, ``OSError`` or ``EOFError``. Credentials go to the proxy alone, and to
one that is spoken to in TLS only when it was verified. Every connection is in the ``Trail``, which closes them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from netdiag.model import Failure, Target, TcpObservation
from netdiag.probes.failure import FailedError, from_exception
from netdiag.probes.machine import Machine
from netdiag.probes.names import MAX_ADDRESSES
from netdiag.probes.net import Address, Deadline, Net, SocketStream, Step, Stream
from netdiag.probes.proxy import tunnel
from netdiag.probes.proxy_attempt import Dial
from netdiag.probes.proxy_selection import ProxyServer, parse_proxy, select
from netdiag.probes.retrieval_url import Place
from netdiag.probes.tcp import Race
from netdiag.probes.threads import bounded

#: Makes a verified TLS connection over a stream to the host of the address, or raises ``FailedError``, ``OSError`` or
#: ``EOFError``.
Secure = Callable[[Stream, Address, Deadline], Stream]

_STEP = Step("retrieval")


class Budget:
    """Bytes that may still come, shared by all retrievals of one run."""

    def __init__(self, size: int) -> None:
        self._left, self._size = size, size
        self._lock = threading.Lock()

    def take(self, count: int) -> None:
        """Count bytes that came. Raises ``FailedError`` when they were too many altogether."""
        with self._lock:
            self._left -= count
            if self._left < 0:
                raise FailedError("cancelled", "fetch", f"more than {self._size >> 20} MiB came from all URLs together")


@dataclass(kw_only=True)
class Trail:
    """What is known of one retrieval while it is under way; the fields of ``Fetched`` come from here."""

    #: The URL that was asked last.
    url: str
    #: Bytes that the answer may have.
    limit: int
    deadline: Deadline
    budget: Budget
    step: str = "url"
    method: Literal["", "GET", "POST", "LDAP"] = ""
    proxy: str = ""
    http_status: int | None = None
    #: Bytes of the last answer's body.
    received: int = 0
    streams: list[Stream] = field(default_factory=list)

    def keep(self, stream: Stream) -> Stream:
        """Have the stream closed in the end."""
        self.streams.append(stream)
        return stream

    def receive(self, stream: Stream) -> bytes:
        """The next bytes; ``b""`` at the end."""
        try:
            return stream.receive(self.deadline)
        except TimeoutError:
            raise TimeoutError("no answer in time") from None

    def hang_up(self) -> None:
        """Close every connection, TLS before what lies below it."""
        while self.streams:
            self.streams.pop().close()


class Ways:
    """How this machine gets to servers. Raises ``UsageError`` for a ``proxy`` setting that names none."""

    def __init__(
        self, machine: Machine, *, proxy: str, credentials: tuple[str, str] | None, secure: Secure | None
    ) -> None:
        self._machine, self._proxy, self._credentials, self._secure = machine, proxy, credentials, secure
        self._selected: dict[Target, tuple[ProxyServer | None, ...]] = {}
        if proxy not in ("system", "none") and not proxy.startswith("pac:"):
            parse_proxy(proxy)

    def candidates(self, place: Place, deadline: Deadline) -> tuple[ProxyServer | None, ...]:
        """The proxies to try for a place, in order; None stands for the direct way."""
        scheme: Literal["https", "http"] = "https" if place.scheme == "https" else "http"
        target = Target(host=place.host, port=place.port, scheme=scheme, path=place.path)
        known = self._selected.get(target)
        if known is not None:
            return known
        selection, servers = select(
            self._machine, target, self._proxy, _STEP, deadline=deadline, credentials=self._credentials
        )
        if selection.failure:
            detail = f"{selection.because}: {selection.failure.detail}"
            raise FailedError(selection.failure.kind, selection.failure.step, detail)
        found = (*servers, None) if selection.falls_back or not servers else servers
        self._selected[target] = found
        return found

    def reach(self, place: Place, trail: Trail) -> tuple[ProxyServer | None, Dial]:
        """Connect to the first of the proxies that can be reached, or to the place itself where none applies.

        The dial gives that connection first, then new ones.
        """
        trail.step = "select"
        candidates = self.candidates(place, trail.deadline)
        for left in range(len(candidates), 0, -1):
            proxy = candidates[-left]
            share = trail.deadline.within(trail.deadline.remaining() / left)
            try:
                stream = self._dial(place, proxy, trail, share)
            except (FailedError, OSError, EOFError):
                if left == 1:
                    raise
                continue
            return proxy, self._dialling(stream, place, proxy, trail)
        raise AssertionError("there is always a candidate")

    def tunnelled(self, place: Place, proxy: ProxyServer, dial: Dial, trail: Trail) -> Stream:
        """A connection to the place through the proxy, by CONNECT or SOCKS5."""
        observation, stream = tunnel(dial, proxy, place.host, place.port, trail.deadline, _STEP)
        if stream is not None:
            return trail.keep(stream)
        if proxy.scheme != "socks5":
            trail.http_status = observation.status
        assert observation.failure
        raise refused(proxy, observation.failure, observation.offered)

    def connect(self, host: str, port: int, trail: Trail, deadline: Deadline) -> Stream:
        """The first TCP connection to one of the host's addresses."""
        net = self._machine.net
        trail.step = "lookup"
        try:
            numeric = ":" in host or host.replace(".", "").isdigit()
            addresses = (host,) if numeric else bounded(lambda: net.lookup(host), deadline)
        except OSError as error:
            failure = from_exception(error, trail.step)
            raise FailedError(failure.kind, failure.step, f"{host}: {failure.detail}") from None
        if not addresses:
            raise FailedError("no-answer", trail.step, f"{host}: the system gave no address")
        trail.step = "connect"
        return trail.keep(_first(net, host, [Address(address, port) for address in addresses], deadline))

    def secured(self, stream: Stream, host: str, port: int, trail: Trail) -> Stream:
        """Verified TLS over ``stream``."""
        trail.step = "handshake"
        if self._secure is None:
            raise FailedError("unknown", trail.step, f"{host}: there is no trust store here to verify it with")
        return trail.keep(self._secure(stream, Address(host, port), trail.deadline))

    def _dialling(self, stream: Stream, place: Place, proxy: ProxyServer | None, trail: Trail) -> Dial:
        first = [stream]
        return lambda: first.pop() if first else self._dial(place, proxy, trail, trail.deadline)

    def _dial(self, place: Place, proxy: ProxyServer | None, trail: Trail, deadline: Deadline) -> Stream:
        if proxy is None:
            trail.proxy = ""
            return self.connect(place.host, place.port, trail, deadline)
        trail.proxy = proxy.url
        try:
            stream = self.connect(proxy.host, proxy.port, trail, deadline)
            return self.secured(stream, proxy.host, proxy.port, trail) if proxy.scheme == "https" else stream
        except (FailedError, OSError, EOFError) as error:
            raise refused(proxy, from_exception(error, trail.step)) from None


def refused(proxy: ProxyServer, failure: Failure, offered: Sequence[str] = ()) -> FailedError:
    """A failure at the proxy, which it names, with the schemes of authentication that the proxy offered."""
    offer = f"; it offers {', '.join(offered)}" if offered else ""
    return FailedError(failure.kind, failure.step, f"proxy {proxy.url}: {failure.detail}{offer}")


def _first(net: Net, host: str, addresses: Sequence[Address], deadline: Deadline) -> Stream:
    """The first connection that comes about; otherwise the most telling failure."""
    streams: list[SocketStream] = []
    failures: list[Failure] = []

    def ended(seen: TcpObservation, stream: SocketStream | None) -> None:
        if stream is None:
            failures.extend([_told(seen, seen.failure)] if seen.failure else [])
        elif streams:
            stream.close()
        else:
            streams.append(stream)
            race.stop()

    race = Race(net, [(address, _STEP) for address in addresses[:MAX_ADDRESSES]], deadline=deadline)
    race.run(ended)
    if streams:
        return streams[0]
    failure = min(failures, key=lambda f: f.kind == "no-route")  # a machine without IPv6 says so for each such address
    raise FailedError(failure.kind, failure.step, f"{host} port {addresses[0].port}: {failure.detail}")


def _told(seen: TcpObservation, failure: Failure) -> Failure:
    """The failure of an attempt, with the device that reported it by ICMP."""
    if seen.icmp is None:
        return failure
    return Failure(kind=failure.kind, step=failure.step, detail=f"{failure.detail}, reported by {seen.icmp.offender}")
