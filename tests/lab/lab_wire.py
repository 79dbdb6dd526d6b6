"""A wire between two network interfaces: it delays frames, and loses, changes, wraps or adds what a recording asks for.

The kernels on both sides are real; what lies between them is this. Contract: a wire reads and writes only the sockets
it was given, and passes on everything that its ``act`` does not decide about.
"""

from __future__ import annotations

import heapq
import itertools
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

Side = Literal["client", "server"]

_SOL_PACKET, _PACKET_IGNORE_OUTGOING = 263, 23  # linux/if_packet.h
_ETH_P_ALL = 3


@dataclass(frozen=True)
class Frame:
    """An Ethernet frame on its way. ``toward``: the side where it leaves the wire, ``late_s`` later than others."""

    data: bytes
    toward: Side
    late_s: float = 0.0

    @property
    def tcp(self) -> Tcp | None:
        """Its TCP segment over IPv4, if it is one."""
        data = self.data
        if data[12:14] != b"\x08\x00" or data[23] != socket.IPPROTO_TCP:
            return None
        at = 14 + (data[14] & 15) * 4
        end = 14 + int.from_bytes(data[16:18], "big")
        source, destination, seq, ack, offset, flags = struct.unpack_from("!HHIIBB", data, at)
        return Tcp(source, destination, seq, ack, flags, data[at + (offset >> 4) * 4 : end])


@dataclass(frozen=True)
class Tcp:
    """What a device on the wire looks at."""

    source: int
    destination: int
    seq: int
    ack: int
    flags: int
    payload: bytes


#: What becomes of a frame: the frames that go on in its place. None: it passes.
Act = Callable[[Frame], Iterable[Frame] | None]


@dataclass(frozen=True)
class Tunnel:
    """How frames travel on the trunk inside the wire."""

    wrap: Callable[[Frame], bytes]
    unwrap: Callable[[bytes, Side], bytes]


class Wire(threading.Thread):
    """Runs from ``start`` to ``stop``. ``delay_s`` and ``act`` may change at any time.

    ``ends``: the socket at each side. ``trunk``: the two ends of a further link through which everything goes,
    wrapped; each is keyed by the side that it is nearer to.
    """

    def __init__(
        self,
        ends: dict[Side, socket.socket],
        trunk: dict[Side, socket.socket] | None = None,
        tunnel: Tunnel | None = None,
    ) -> None:
        super().__init__(daemon=True)
        self.delay_s = 0.010
        self.act: Act = lambda frame: None
        self._ends, self._trunk, self._tunnel = ends, trunk, tunnel
        self._waiting: list[tuple[float, int, Frame]] = []
        self._counter = itertools.count()
        self._stop_receiver, self._stop_sender = socket.socketpair()

    def stop(self) -> None:
        """End the thread; frames on their way are lost."""
        self._stop_sender.send(b".")
        self.join()
        for each in (*self._ends.values(), *(self._trunk or {}).values(), self._stop_receiver, self._stop_sender):
            each.close()

    def run(self) -> None:
        sources: dict[socket.socket, tuple[bool, Side]] = {
            **{end: (False, side) for side, end in self._ends.items()},
            **{end: (True, side) for side, end in (self._trunk or {}).items()},
        }
        while True:
            timeout = max(0.0, self._waiting[0][0] - time.monotonic()) if self._waiting else None
            ready, _, _ = select.select([*sources, self._stop_receiver], [], [], timeout)
            for source in ready:
                if source is self._stop_receiver:
                    return
                on_trunk, side = sources[source]
                data = source.recv(65536)
                if on_trunk and self._tunnel:
                    self._arrive(Frame(self._tunnel.unwrap(data, side), side))
                else:
                    self._enter(Frame(data, "server" if side == "client" else "client"))
            self._leave()

    def _enter(self, frame: Frame) -> None:
        """From an end: onto the trunk, if there is one."""
        if self._trunk and self._tunnel:
            self._send(self._trunk["server" if frame.toward == "client" else "client"], self._tunnel.wrap(frame))
        else:
            self._arrive(frame)

    def _arrive(self, frame: Frame) -> None:
        going = self.act(frame)
        for each in (frame,) if going is None else going:
            # What a device adds starts here; only what crosses the wire is delayed.
            due = time.monotonic() + each.late_s + (self.delay_s if each.toward == frame.toward else 0.0)
            heapq.heappush(self._waiting, (due, next(self._counter), each))

    def _leave(self) -> None:
        while self._waiting and self._waiting[0][0] <= time.monotonic():
            frame = heapq.heappop(self._waiting)[2]
            self._send(self._ends[frame.toward], frame.data)

    @staticmethod
    def _send(end: socket.socket, data: bytes) -> None:
        try:
            end.send(data)
        except OSError as error:
            raise RuntimeError(f"the wire cannot carry {len(data)} bytes: {error}") from None


def packet_socket(device: str) -> socket.socket:
    """Every frame that arrives at a device of the calling thread's namespace; what is sent leaves through it."""
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    opened.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    opened.bind((device, _ETH_P_ALL))
    return opened


# --- tunnels that this kernel may lack -------------------------------------------------------------------------------


def vlan(*tags: tuple[int, int]) -> Tunnel:
    """IEEE 802.1Q tags, outermost first: (EtherType, VLAN)."""
    shim = b"".join(struct.pack("!HH", kind, number) for kind, number in tags)

    def unwrap(data: bytes, side: Side) -> bytes:
        # The kernel takes the outer tag off what arrives, and may leave it where it did not recognise it.
        while data[12:14] in (b"\x81\x00", b"\x88\xa8"):
            data = data[:12] + data[16:]
        return data

    return Tunnel(lambda frame: frame.data[:12] + shim + frame.data[12:], unwrap)


def over_ip(protocol: int, shim: bytes = b"") -> Tunnel:
    """IPv4 packets inside IPv4 packets between 192.0.2.1 (client's side) and 192.0.2.2; other frames go as they are.

    ``protocol`` 4: IP in IP (RFC 2003); 47 with ``shim``: GRE (RFC 2784).
    """
    ends = {"client": bytes((192, 0, 2, 1)), "server": bytes((192, 0, 2, 2))}
    macs = {"client": bytes.fromhex("02005e000001"), "server": bytes.fromhex("02005e000002")}
    inner: dict[Side, bytes] = {}
    number = itertools.count(1)

    def wrap(frame: Frame) -> bytes:
        if frame.data[12:14] != b"\x08\x00":
            return frame.data
        inner[frame.toward] = frame.data[:14]
        near: Side = "client" if frame.toward == "server" else "server"
        packet = frame.data[14:]
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(shim) + len(packet), next(number), 0, 255, protocol, 0)
        head += ends[near] + ends[frame.toward]
        head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
        return macs[frame.toward] + macs[near] + b"\x08\x00" + head + shim + packet

    def unwrap(data: bytes, side: Side) -> bytes:
        if data[12:14] != b"\x08\x00" or data[23] != protocol:
            return data
        return inner[side] + data[34 + len(shim) :]

    return Tunnel(wrap, unwrap)


GRE = over_ip(47, struct.pack("!HH", 0, 0x0800))
IP_IN_IP = over_ip(4)


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def forged_reset(frame: Frame, *, toward: Side, ttl: int, ip_id: int, ack: bool = False) -> Frame:
    """A reset as a device beside the wire makes it up, to the sender or the receiver of ``frame``."""
    segment = frame.tcp
    if segment is None:
        raise ValueError("not a TCP segment")
    data = frame.data
    onward = toward == frame.toward
    ethernet = data[:12] if onward else data[6:12] + data[:6]
    source, destination = (data[26:30], data[30:34]) if onward else (data[30:34], data[26:30])
    ports = (segment.source, segment.destination) if onward else (segment.destination, segment.source)
    after = (segment.seq + len(segment.payload)) & 0xFFFFFFFF
    seq, acked = (after, segment.ack) if onward else (segment.ack, after)
    flags = 0x14 if ack else 0x04
    tcp = struct.pack("!HHIIBBHHH", *ports, seq, acked if ack else 0, 0x50, flags, 0, 0, 0)
    pseudo = source + destination + struct.pack("!HH", socket.IPPROTO_TCP, len(tcp))
    tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), ip_id, 0, ttl, socket.IPPROTO_TCP, 0)
    head += source + destination
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return Frame(ethernet + b"\x08\x00" + head + tcp, toward)
