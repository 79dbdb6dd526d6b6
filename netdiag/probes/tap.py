"""A tap on this machine's packets: those of the probes, while they run.

Contract: ``open_tap`` never raises for trouble: a tap that cannot see anything says so in ``limits``. A tap has no
thread on Linux: the kernel keeps packets until somebody asks, and each new connection of a probe asks. Only packets
from and to watched addresses are kept (``packet_filter.py``), and of these no more than the named limits allow.
"""

from __future__ import annotations

import array
import errno
import os
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from netdiag.model import Flow
from netdiag.probes import packet_filter
from netdiag.probes.net import packet_socket
from netdiag.wire.packets import INBOUND, OUTBOUND, SLL2, Link, Packet, flow_of, sll2

Method = Literal["", "af-packet", "scapy"]

#: The largest packet of IPv4 (RFC 791 §3.1), and of IPv6 without jumbograms: segmentation offload makes such.
SNAPLEN = 65_535
#: A run sends and receives some hundred packets; other programs may talk to the same servers meanwhile.
MAX_PACKETS = 50_000
MAX_BYTES = 32 * 1024 * 1024
#: What the kernel keeps until somebody asks; it counts some 800 bytes for the smallest packet.
BUFFER = 8 * 1024 * 1024

#: linux/socket.h, asm-generic/socket.h, linux/if_packet.h: numbers that Python's socket module does not name.
_SO_RCVBUFFORCE, _SO_ATTACH_FILTER, _SO_TIMESTAMPNS = 33, 26, 35
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_PACKET_OUTGOING = 4
#: linux/if_arp.h ARPHRD_LOOPBACK. Each packet shows there twice, as it leaves and as it arrives.
_LOOPBACK = 772
#: struct sock_filter, struct sock_fprog, struct tpacket_stats, struct timespec.
_INSTRUCTION, _PROGRAM = struct.Struct("=HBBI"), struct.Struct("@HP")
_STATISTICS, _TIMESPEC = struct.Struct("=II"), struct.Struct("@ll")

_UNSEEN = "The packets were not seen, so the TTL, IP identification, flags and options of the answers are not known"


@dataclass(frozen=True)
class Packets:
    """What a tap saw up to a moment: packet number N, counted from 1, is the N-th to arrive."""

    each: tuple[Packet, ...]
    #: What ``Packet.link`` points to.
    links: tuple[Link, ...]
    #: Packets that are missing: the system could not hand them over, or there was no room for them.
    dropped: int = 0

    def flows(self) -> Iterator[Flow | None]:
        """The ends of each packet, its sender as the client; None for what is neither TCP nor UDP."""
        return (flow_of(packet.data, self.links[packet.link].linktype) for packet in self.each)


class Tap(Protocol):
    """Packets of this machine, from the moment that it is opened."""

    method: Method

    @property
    def limits(self) -> tuple[str, ...]:
        """What it cannot see, and what would be needed for it, a sentence each."""

    def watch(self, addresses: Iterable[str]) -> None:
        """Keep the packets from and to these addresses too, from now on."""

    def packets(self) -> Packets:
        """Everything so far; what was there before is there again, with the same numbers."""

    def close(self) -> None:
        """See no more packets; those seen stay."""


class BlindTap:
    """Sees nothing. ``reason`` says why: what is missing, without a full stop."""

    method: Method = ""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.limits: tuple[str, ...] = (f"{_UNSEEN}: {reason}.",)

    def watch(self, addresses: Iterable[str]) -> None:
        """Nothing to do."""

    def packets(self) -> Packets:
        """None."""
        return Packets((), ())

    def close(self) -> None:
        """Nothing to do."""


class Kept:
    """Packets in memory, within limits, and the links that they came from."""

    def __init__(self, most: int = MAX_PACKETS, most_bytes: int = MAX_BYTES) -> None:
        self.links: list[Link] = []
        self.packets: list[Packet] = []
        self.refused = 0
        self.most = most
        self._room = most_bytes
        self._index: dict[Link, int] = {}

    def link(self, link: Link) -> int:
        """The index of a link."""
        if link not in self._index:
            self._index[link] = len(self.links)
            self.links.append(link)
        return self._index[link]

    def add(self, packet: Packet) -> None:
        """Keep a packet, if there is room."""
        self._room -= len(packet.data)
        if self._room < 0 or len(self.packets) >= self.most:
            self._room = -1  # what comes later is not kept either: a gap would be harder to read than an end
            self.refused += 1
        else:
            self.packets.append(packet)

    def whole(self, lost: int = 0) -> Packets:
        """Everything so far. ``lost``: how many the system could not hand over."""
        return Packets(tuple(self.packets), tuple(self.links), lost + self.refused)

    @property
    def limits(self) -> tuple[str, ...]:
        """That there was no room for everything, if so."""
        full = f"Only the first {len(self.packets):,} packets were kept, for want of room."
        return (full,) if self.refused else ()


class PacketSocketTap:
    """A tap by a Linux packet socket over all interfaces. Raises ``OSError`` where that is not permitted."""

    method: Method = "af-packet"

    def __init__(self, sock: socket.socket | None = None) -> None:
        self._socket = sock or packet_socket()
        self._lock = threading.Lock()
        self._kept = Kept()
        self._watched: set[str] = set()
        self._exact = True
        self._lost = 0
        self._closed = False
        self._interfaces: dict[str, int] = {}
        self._buffer = bytearray(SNAPLEN)
        try:
            self._attach(packet_filter.NOTHING)
            self._enlarge()
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            self._read(self._discard)  # what came before the filter
            self._attach(packet_filter.program(()))
        except BaseException:
            self._socket.close()
            raise

    @property
    def limits(self) -> tuple[str, ...]:
        """What was not kept."""
        return self._kept.limits

    def watch(self, addresses: Iterable[str]) -> None:
        """Keep the packets from and to these addresses too, from now on."""
        wanted = {address.partition("%")[0] for address in addresses}
        with self._lock:
            if self._closed:
                return
            self._drain()
            if not wanted <= self._watched:
                self._watched |= wanted
                self._filter()

    def packets(self) -> Packets:
        """Everything so far."""
        with self._lock:
            if not self._closed:
                self._drain()
            return self._kept.whole(self._lost)

    def close(self) -> None:
        """Close the socket; what is in it stays."""
        with self._lock:
            if not self._closed:
                self._drain()
                self._closed = True
                self._socket.close()

    def _filter(self) -> None:
        """Have the kernel choose by address, or, where so many have no room in a program, choose here."""
        program = packet_filter.program(self._watched)
        if self._exact and len(program) <= packet_filter.MAX_INSTRUCTIONS:
            try:
                self._attach(program)
            except OSError:  # ENOMEM: net.core.optmem_max is smaller
                self._exact = False
        else:
            self._exact = False
        if not self._exact:
            self._attach(packet_filter.program(None))

    def _attach(self, program: packet_filter.Program) -> None:
        code = array.array("B", b"".join(_INSTRUCTION.pack(*instruction) for instruction in program))
        value = _PROGRAM.pack(len(program), code.buffer_info()[0])
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, value)

    def _enlarge(self) -> None:
        for option in (_SO_RCVBUFFORCE, socket.SO_RCVBUF):  # the first needs CAP_NET_ADMIN
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, option, BUFFER)
            except OSError:
                continue
            return

    def _drain(self) -> None:
        self._read(self._keep)
        statistics = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size)
        self._lost += _STATISTICS.unpack(statistics)[1]  # the kernel counts from the last time that it was asked

    def _read(self, take: Callable[[int, int, tuple[str, int, int, int, bytes]], None]) -> None:
        """Hand on what is there: its length, its time, its address. More than ever fits in is not read at once."""
        if sys.platform != "linux":  # for type checkers: there is no such socket
            return
        room = socket.CMSG_SPACE(_TIMESPEC.size)
        flags = socket.MSG_DONTWAIT | socket.MSG_TRUNC
        for _ in range(MAX_PACKETS):
            try:
                length, control, _, address = self._socket.recvmsg_into([self._buffer], room, flags)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.ENETDOWN:  # an interface has gone; the others have not
                    continue
                raise
            take(length, _moment(control), address)

    def _discard(self, length: int, moment: int, address: tuple[str, int, int, int, bytes]) -> None:
        pass

    def _keep(self, length: int, moment: int, address: tuple[str, int, int, int, bytes]) -> None:
        name, protocol, kind, hardware, sender = address
        outgoing, loopback = kind == _PACKET_OUTGOING, hardware == _LOOPBACK
        if outgoing and loopback:
            return
        header = sll2(protocol, self._interface(name), hardware, kind, sender)
        data = header + self._buffer[:length]
        if not self._exact and not wanted(data, SLL2, self._watched):
            return
        direction = 0 if loopback else OUTBOUND if outgoing else INBOUND
        link = self._kept.link(Link(SLL2, name))
        self._kept.add(Packet(data, len(header) + length, moment, link, direction))

    def _interface(self, name: str) -> int:
        """The index of an interface; 0 for one that has gone."""
        if name not in self._interfaces:
            try:
                self._interfaces[name] = socket.if_nametoindex(name)
            except OSError:
                self._interfaces[name] = 0
        return self._interfaces[name]


def wanted(data: bytes, linktype: int, watched: set[str]) -> bool:
    """Whether a packet that the coarse filter let through is from or to a watched address, or tells no ports."""
    flow = flow_of(data, linktype)
    return flow is None or flow.client in watched or flow.server in watched


def _moment(control: list[tuple[int, int, bytes]]) -> int:
    """When the kernel saw the packet, in ns since the Unix epoch."""
    for level, kind, data in control:
        if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS and len(data) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(data)
            return int(seconds) * 1_000_000_000 + int(nanoseconds)
    return time.time_ns()


def open_tap() -> Tap:
    """A tap on this machine, as good as this process may have one."""
    if sys.platform == "linux":
        try:
            return PacketSocketTap()
        except OSError as error:
            return BlindTap(_refused(error))
    from netdiag.probes.tap_elsewhere import open_elsewhere  # pragma: no cover - not on Linux

    return open_elsewhere()


def _refused(error: OSError) -> str:
    """Why Linux gave no packet socket, and what would be needed."""
    if isinstance(error, PermissionError):
        return (
            "that takes the right to open packet sockets (run as root, or give the Python interpreter CAP_NET_RAW: "
            "setcap cap_net_raw+ep FILE; a container gets it with --cap-add NET_RAW)"
        )
    if error.errno == errno.EAFNOSUPPORT:
        return "this kernel has no packet sockets (AF_PACKET)"
    return f"the system gives no packet socket ({error.strerror or os.strerror(error.errno or 0)})"
