"""Devices that are programs: beside a router they see packets and add some, inside it they decide about each one.

What a kernel's filter does not offer: a reaction to a name in a ClientHello, packets in another's name, delay. The
packets are those of ``lab_wire``: each is a ``Frame``. Contract: a device has the descriptors it was given, and nothing
else; ``stop`` ends its thread and closes them.
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import itertools
import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from tests.lab.lab_topology import Network
from tests.lab.lab_wire import Act, Frame, Side, checksum, forged_reset, packet_socket

_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000  # linux/if_tun.h
#: What a packet without an Ethernet header gets in front, to be a ``Frame``: no addresses, and the EtherType.
_NO_ADDRESSES = bytes(12)
_ETHER_TYPES = {4: b"\x08\x00", 6: b"\x86\xdd"}
_TABLE = 100


class Device(Protocol):
    """Something that runs until it is stopped."""

    def stop(self) -> None: ...


#: Puts a device to work in a router of a network.
Install = Callable[[Network], Device]


class _Loop(threading.Thread):
    """Reads one descriptor, and sends what is due."""

    def __init__(self, source: int) -> None:
        super().__init__(daemon=True)
        self._source = source
        self._waiting: list[tuple[float, int, Frame]] = []
        self._counter = itertools.count()
        self._stop_receiver, self._stop_sender = socket.socketpair()

    def stop(self) -> None:
        """End the thread; packets on their way are lost."""
        self._stop_sender.send(b".")
        self.join()
        self._stop_receiver.close()
        self._stop_sender.close()

    def run(self) -> None:
        stopping = self._stop_receiver.fileno()
        while True:
            timeout = max(0.0, self._waiting[0][0] - time.monotonic()) if self._waiting else None
            ready, _, _ = select.select([self._source, stopping], [], [], timeout)
            if stopping in ready:
                return
            if ready:
                self._arrived(os.read(self._source, 65536))
            while self._waiting and self._waiting[0][0] <= time.monotonic():
                self._send(heapq.heappop(self._waiting)[2])

    def _later(self, frame: Frame, delay_s: float) -> None:
        heapq.heappush(self._waiting, (time.monotonic() + delay_s, next(self._counter), frame))

    def _arrived(self, data: bytes) -> None:
        raise NotImplementedError

    def _send(self, frame: Frame) -> None:
        raise NotImplementedError


class _Beside(_Loop):
    """Sees what arrives from the client's side, and can only add to it: an out-of-band device.

    ``behind``: it sees what its router forwards, and nothing that ends there.
    """

    def __init__(self, end: socket.socket, react: Act, *, behind: bool) -> None:
        super().__init__(end.fileno())
        self._end, self._react, self._behind = end, react, behind

    def stop(self) -> None:
        super().stop()
        self._end.close()

    def _arrived(self, data: bytes) -> None:
        if self._behind and ttl_of(data[14:]) < 2:
            return
        for frame in self._react(Frame(data, "server")) or ():
            self._later(frame, frame.late_s)

    def _send(self, frame: Frame) -> None:
        self._end.send(frame.data)


class _Inside(_Loop):
    """Every packet that its router forwards passes through it, in a TUN device.

    The router's kernel routes such a packet twice, and takes one off its TTL each time; one is put back here, so that
    the router stays one hop.
    """

    def __init__(self, network: Network, router: int, client: tuple[str, ...], delay_s: float, act: Act) -> None:
        self._router, self._network = f"h{router}", network
        with network.entered(self._router):
            self._tun = os.open("/dev/net/tun", os.O_RDWR)
            fcntl.ioctl(self._tun, _TUNSETIFF, struct.pack("16sH", b"inspect", _IFF_TUN | _IFF_NO_PI))
        super().__init__(self._tun)
        self._client = {socket.inet_pton(socket.AF_INET6 if ":" in a else socket.AF_INET, a) for a in client}
        self._delay_s, self._act = delay_s, act
        self._neighbours = (router - 1, router + 1)
        network.ip(self._router, "link set inspect up")
        for family in (4, 6):
            network.ip(
                self._router, f"route add default dev inspect table {_TABLE}", *self._rules("add"), family=family
            )

    def stop(self) -> None:
        for family in (4, 6):
            self._network.ip(self._router, *self._rules("del"), family=family)
        super().stop()
        os.close(self._tun)

    def _rules(self, verb: str) -> list[str]:
        return [f"rule {verb} iif h{neighbour} lookup {_TABLE}" for neighbour in self._neighbours]

    def _arrived(self, data: bytes) -> None:
        version = data[0] >> 4
        destination = data[16:20] if version == 4 else data[24:40]
        toward: Side = "client" if destination in self._client else "server"
        frame = Frame(_NO_ADDRESSES + _ETHER_TYPES[version] + data, toward)
        going = self._act(frame)
        for each in (frame,) if going is None else going:
            # What the device adds starts here; only what crosses it is delayed.
            self._later(each, each.late_s + (self._delay_s if each.toward == toward else 0.0))

    def _send(self, frame: Frame) -> None:
        with contextlib.suppress(OSError):  # what the kernel will not route is lost
            os.write(self._tun, one_hop_more(frame.data[14:]))


def ttl_of(packet: bytes) -> int:
    """TTL or hop limit."""
    return packet[8 if packet[0] >> 4 == 4 else 7]


def one_hop_more(packet: bytes) -> bytes:
    """The packet with its TTL or hop limit one higher."""
    at = 8 if packet[0] >> 4 == 4 else 7
    changed = packet[:at] + bytes([min(packet[at] + 1, 255)]) + packet[at + 1 :]
    if at == 7:
        return changed
    size = (changed[0] & 15) * 4
    head = changed[:10] + b"\0\0" + changed[12:size]
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + changed[size:]


def beside(router: int, react: Act, *, behind: bool = True) -> Install:
    """An out-of-band device that watches a router's side towards the client.

    ``behind``: what it sees is what the router forwards; else what is on the wire in front of it.
    """

    def install(network: Network) -> Device:
        with network.entered(f"h{router}"):
            device = _Beside(packet_socket(f"h{router - 1}"), react, behind=behind)
        device.start()
        return device

    return install


def inside(router: int, client: tuple[str, ...], *, delay_s: float = 0.0, act: Act = lambda frame: None) -> Install:
    """A device in a router's way: it delays by ``delay_s`` in each direction, and does what ``act`` says."""

    def install(network: Network) -> Device:
        device = _Inside(network, router, client, delay_s, act)
        device.start()
        return device

    return install


class _Bystander(threading.Thread):
    """Another program on the client, with connections of its own to the same port, which it aborts one by one."""

    def __init__(self, network: Network, address: str, port: int) -> None:
        super().__init__(daemon=True)
        self._stopped = threading.Event()
        with network.entered("h0"):
            self._connections = [socket.create_connection((address, port), timeout=5) for _ in range(60)]

    def stop(self) -> None:
        """End the thread; what is left is closed."""
        self._stopped.set()
        self.join()
        for connection in self._connections:
            connection.close()

    def run(self) -> None:
        while self._connections and not self._stopped.wait(0.02):
            connection = self._connections.pop()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close() resets
            connection.close()


def bystander(address: str, port: int) -> Install:
    """A program on the client that has nothing to do with what is tested."""

    def install(network: Network) -> Device:
        program = _Bystander(network, address, port)
        program.start()
        return program

    return install


# --- what devices do ------------------------------------------------------------------------------------------------


def resets_name(name: str, *, ttl: int, ip_id: int = 0, ack: bool = False) -> Act:
    """Resets the client whose ClientHello has the name in it. From inside, the server does not get to see that."""

    def act(frame: Frame) -> Iterable[Frame] | None:
        segment = frame.tcp
        if segment is None or frame.toward != "server" or name.encode() not in segment.payload:
            return None
        return (forged_reset(frame, toward="client", ttl=ttl, ip_id=ip_id, ack=ack),)

    return act


def drops_name(name: str, *, holds: bool = True) -> Act:
    """Drops the ClientHello that has the name in it, and whatever the client sends after it.

    ``holds``: keeps the segments of a ClientHello until it is complete; else what comes before the name gets through.
    """
    blocked: set[int] = set()
    held: dict[int, list[Frame]] = {}

    def act(frame: Frame) -> Iterable[Frame] | None:
        segment = frame.tcp
        if segment is None or frame.toward != "server" or not segment.payload:
            return None
        if name.encode() in segment.payload:
            blocked.add(segment.source)
            held.pop(segment.source, None)
        if segment.source in blocked:
            return ()
        if segment.payload[:1] == _HANDSHAKE and holds and len(segment.payload) < _record_size(segment.payload):
            held.setdefault(segment.source, []).append(frame)
            return ()
        return (*held.pop(segment.source, []), frame)

    return act


#: The first byte of a record that holds a ClientHello (RFC 8446 §5.1).
_HANDSHAKE = b"\x16"


def _record_size(payload: bytes) -> int:
    return 5 + int.from_bytes(payload[3:5], "big")


def forges_icmp(source: str, kind: int, code: int, *, port: int, off_by: int = 0) -> Act:
    """Answers SYNs to a port with an ICMP error in the name of ``source``. ``off_by``: the quoted number is wrong."""

    def act(frame: Frame) -> Iterable[Frame] | None:
        segment = frame.tcp
        if segment is None or segment.destination != port or segment.flags != 0x02:
            return ()
        packet = frame.data[14:]
        head = (packet[0] & 15) * 4
        number = struct.pack("!I", (segment.seq + off_by) & 0xFFFFFFFF)
        quoted = packet[: head + 4] + number
        message = struct.pack("!BBHI", kind, code, 0, 0) + quoted
        message = message[:2] + struct.pack("!H", checksum(message)) + message[4:]
        outer = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(message), 1, 0, 64, socket.IPPROTO_ICMP, 0)
        outer += socket.inet_aton(source) + packet[12:16]
        outer = outer[:10] + struct.pack("!H", checksum(outer)) + outer[12:]
        return (Frame(frame.data[6:12] + frame.data[:6] + b"\x08\x00" + outer + message, "client"),)

    return act
