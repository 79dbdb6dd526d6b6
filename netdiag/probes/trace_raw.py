"""The raw method of a trace: packets made and overheard with scapy. It takes rights, and Npcap on Windows.

Contract: as ``trace.py``, whose choice of TTLs, patience and ends it shares. SYNs and datagrams are made by hand, from
a port that this machine keeps free for them; nothing connects from it, so the kernel itself resets what a SYN opens at
the server. Data go through ordinary sockets, and the answers to them are overheard. One thread reads packets, of which
a limited number waits; ``Ears.close`` ends it.

An answer counts only if it shows that its sender saw the probe: an ICMP error quotes addresses, ports and sequence
number (for UDP the identification, or the IPv6 checksum) of a packet that was sent with that TTL; a SYN-ACK or a reset
acknowledges our SYN (RFC 9293 §3.10.7.3); a reset inside a connection has the very next sequence number (RFC 5961
§3.2).
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import selectors
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from netdiag.model import Flow, IcmpError, TraceAnswer, TraceMode, TraceReply
from netdiag.probes import trace_probes
from netdiag.probes.net import Address, Deadline, Net, may_send_raw, raw_socket, reserved_port
from netdiag.probes.trace import Trace
from netdiag.probes.trace_probes import Kind, Probe, meaning, same_host
from netdiag.wire import headers
from netdiag.wire.headers import Error, Segment

if TYPE_CHECKING:
    from scapy.packet import Packet as ScapyPacket

#: Packets that may wait until somebody looks at them; a trace causes some hundred.
_MAX_WAITING = 16_384
#: ... and how much of each is kept: two IPv6 headers with extensions, and what follows them.
_MAX_BYTES = 512
#: Connections to the target, this program's and others', of which it is remembered what was sent.
_MAX_FLOWS = 4_096
#: ... and the last so many segments of each.
_MAX_SEGMENTS = 16
#: How long a packet may be on its way from the system to us after a socket has told what it did.
_GRACE_S = 0.25
#: How long the reading thread may take to end; it waits for nothing but packets.
_END_S = 1.0

_UDP_PAYLOAD = 12

_NO_RIGHT = {
    "linux": "raw packets take root's rights (CAP_NET_RAW)",
    "win32": "raw packets take an administrator's rights",
}
_NO_RIGHT_ELSEWHERE = "raw packets take the right to /dev/bpf* (run with sudo)"
_DRIVER = "Npcap (npcap.com)" if sys.platform == "win32" else "libpcap"


class UnavailableError(Exception):
    """The raw method cannot be used here; the text says in one line what it lacks."""


class Key(NamedTuple):
    """Whose packet it is: the target's port too, since UDP probes go to several."""

    protocol: int
    port: int
    target_port: int


class Sent(NamedTuple):
    """One packet that was sent to the target. ``moment`` is on the wall clock, as those of packets are."""

    ttl: int
    number: int
    size: int
    data: int
    moment: float
    #: It was seen on its way out, and not just handed over to be sent.
    seen: bool

    def covers(self, number: int) -> bool:
        """Whether the sequence number lies in it. Large segments are cut up on their way out."""
        return (number - self.number) % 2**32 < max(1, self.size)


@dataclass
class Conversation:
    """What is known of one connection, or pair of UDP ports."""

    sent: deque[Sent] = field(default_factory=lambda: deque(maxlen=_MAX_SEGMENTS))
    #: The next sequence number that the target may use.
    expected: int | None = None

    def send(self, packet: Sent) -> None:
        """Note what is sent, with the time at which it was first seen, if it is."""
        for index, known in enumerate(self.sent):
            if (known.number, known.ttl, known.size) == (packet.number, packet.ttl, packet.size):
                if not known.seen:
                    self.sent[index] = packet
                return
        self.sent.append(packet)

    def receive(self, segment: Segment) -> None:
        """Note what the target sends."""
        after = (segment.number + segment.size) % 2**32
        if segment.flags & headers.SYN or segment.number == self.expected:
            self.expected = after


class Heard(NamedTuple):
    """A packet that came, and the conversation that it belongs to."""

    key: Key
    moment: float
    packet: Segment | Error


class Ears:
    """Hears what goes to and comes from one address, and ICMP errors. Opened by ``listen``."""

    def __init__(self, source: str, target: str) -> None:
        self._source, self._target = source, target.partition("%")[0]
        self._zone = target.partition("%")[2]
        self._waiting: deque[tuple[float, bytes]] = deque(maxlen=_MAX_WAITING)
        self._conversations: dict[Key, Conversation] = {}
        self._closed = False
        self._sniffer: Any = None
        self._sockets: list[Any] = []
        self._sender: Any = None
        self.ignored = 0
        self.wake, self._waker = socket.socketpair()
        self.wake.setblocking(False)
        self._waker.setblocking(False)

    @property
    def source(self) -> Address:
        """Where this machine sends from, with any port."""
        return Address(f"{self._source}%{self._zone}" if self._zone else self._source, 0)

    @property
    def broken(self) -> bool:
        """Whether nothing is heard any more: the interface went down, or away."""
        return self._sniffer is not None and not self._sniffer.thread.is_alive()

    def trace(self, *plan: Any) -> Trace:
        """A trace that these ears listen to, of what ``Trace`` takes."""
        return RawTrace(self, *plan)

    def open(self) -> None:
        """Begin to listen, and make ready to send. Raises ``OSError``, and whatever else scapy does."""
        sniffer = _scapy_sniffer()
        self._sender = _sender(self._target)
        interface = _interface(self._source, self._target)
        wanted = f"icmp or icmp6 or ((tcp or udp) and host {self._target})"
        self._sockets = [interface.l2listen()(iface=interface, filter=wanted, promisc=False)]
        started = threading.Event()
        self._sniffer = sniffer(opened_socket=self._sockets, store=False, prn=self._take, started_callback=started.set)
        self._sniffer.start()
        if not started.wait(_END_S):
            raise self._sniffer.exception or TimeoutError("the packet reader did not start")

    def close(self) -> None:
        """End the thread, and close everything. May be called again."""
        if self._closed:
            return
        self._closed = True
        if self._sniffer is not None:
            with contextlib.suppress(Exception):  # scapy raises what ended its thread, or that it has ended
                self._sniffer.stop(join=False)
            self._sniffer.thread.join(_END_S)
        for closing in (*self._sockets, self._sender, self.wake, self._waker):
            with contextlib.suppress(Exception):  # an interface that has gone cannot be left in order
                closing.close()

    def __enter__(self) -> Ears:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self, packet: ScapyPacket) -> None:
        """In scapy's thread: keep the IP packet's headers."""
        from scapy.layers.inet import IP
        from scapy.layers.inet6 import IPv6

        ip = packet.getlayer(IP) or packet.getlayer(IPv6)
        if ip is not None and not self._closed:
            self._waiting.append((float(packet.time), bytes(ip.original[:_MAX_BYTES])))
            with contextlib.suppress(OSError):  # it is awake
                self._waker.send(b"x")

    def send(self, packet: ScapyPacket) -> None:
        """Send an IP packet made by hand, and remember it. Raises ``OSError``."""
        data = bytes(packet)
        made = headers.read(data)
        if isinstance(made, Segment):
            self._remember(made, time.time(), seen=False)
        if isinstance(self._sender, socket.socket):
            scope = socket.if_nametoindex(self._zone) if self._zone else 0
            to = (self._target, 0, 0, scope) if packet.version == 6 else (self._target, 0)
            self._sender.sendto(data, to)
            return
        try:
            self._sender.send(packet)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - scapy has kinds of trouble of its own
            raise OSError(0, _one_line(error)) from None

    def heard(self) -> Iterator[Heard]:
        """The packets that came since, from the target or about one sent to it."""
        with contextlib.suppress(OSError):
            while self.wake.recv(4096):
                pass
        while self._waiting:
            moment, data = self._waiting.popleft()
            packet = headers.read(data)
            if isinstance(packet, Error):
                yield from self._about(moment, packet)
            elif packet and self._of_ours(packet):
                self._remember(packet, moment, seen=True)
            elif packet and same_host(packet.source, self._target) and same_host(packet.target, self._source):
                yield Heard(Key(packet.protocol, packet.target_port, packet.source_port), moment, packet)

    def conversation(self, key: Key) -> Conversation | None:
        """What is known of it."""
        return self._conversations.get(key)

    def _about(self, moment: float, error: Error) -> Iterator[Heard]:
        about = error.about
        if not self._of_ours(about):
            return
        key = Key(about.protocol, about.source_port, about.target_port)
        known = self._conversations.get(key)
        if known and any(sent.covers(about.number) for sent in known.sent):
            yield Heard(key, moment, error)
        else:
            self.ignored += 1

    def _of_ours(self, packet: Segment) -> bool:
        """Whether it goes from here to the target. To oneself, it may be either: ports tell which."""
        ours = same_host(packet.source, self._source) and same_host(packet.target, self._target)
        if not ours or not same_host(self._source, self._target):
            return ours
        return Key(packet.protocol, packet.target_port, packet.source_port) not in self._conversations

    def _remember(self, packet: Segment, moment: float, *, seen: bool) -> None:
        key = Key(packet.protocol, packet.source_port, packet.target_port)
        if key not in self._conversations and len(self._conversations) >= _MAX_FLOWS:
            del self._conversations[next(iter(self._conversations))]
        sent = Sent(packet.ttl, packet.number, packet.size, packet.data, moment, seen)
        self._conversations.setdefault(key, Conversation()).send(sent)


def listen(net: Net, address: Address) -> Ears:
    """Ears for a trace to ``address``. Raises ``UnavailableError``; ``OSError`` where there is no way there."""
    if not _privileged():
        raise UnavailableError(_NO_RIGHT.get(sys.platform, _NO_RIGHT_ELSEWHERE))
    with net.udp(Address(address.host, trace_probes.UDP_PORT)) as probe:
        source = str(probe.getsockname()[0]).partition("%")[0]
    ears = Ears(source, address.host)
    try:
        ears.open()
    except Exception as error:  # noqa: BLE001 - scapy raises anything where a driver is missing or refuses
        ears.close()
        raise UnavailableError(f"raw packets take {_DRIVER}, which does not work here: {_one_line(error)}") from None
    return ears


def _privileged() -> bool:
    """Whether this process may make and see packets, as far as that is known without trying."""
    if sys.platform == "linux":
        return may_send_raw()
    if sys.platform == "win32":
        import ctypes

        return bool(ctypes.windll.shell32.IsUserAnAdmin())
    return os.geteuid() == 0 or os.access("/dev/bpf0", os.R_OK | os.W_OK)


def _scapy_sniffer() -> Any:
    """The packet reader of scapy, silenced: what matters is in the report."""
    logging.getLogger("scapy").setLevel(logging.CRITICAL)
    from scapy.layers import inet, inet6  # noqa: F401 - what scapy shall understand
    from scapy.sendrecv import AsyncSniffer

    return AsyncSniffer


def _sender(target: str) -> Any:
    """What sends packets: on Linux the kernel, which knows routes and neighbours; elsewhere scapy finds these out."""
    if sys.platform == "linux":
        return raw_socket(6 if ":" in target else 4)
    from scapy.config import conf

    if sys.platform == "win32" and not conf.use_pcap:
        raise OSError("it is not installed")
    return (conf.L3socket6 if ":" in target else conf.L3socket)(promisc=False)


def _interface(source: str, target: str) -> Any:
    """The interface that has the address which the system sends from."""
    from scapy.config import conf
    from scapy.interfaces import get_working_ifaces, resolve_iface

    if same_host(source, target):
        return resolve_iface(conf.loopback_name)
    version = 6 if ":" in source else 4
    for interface in get_working_ifaces():
        if any(same_host(str(address), source) for address in interface.ips[version]):
            return interface
    return resolve_iface((conf.route6 if version == 6 else conf.route).route(target)[0])


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


class RawSyn:
    """The port's own SYN, made by hand."""

    mode: TraceMode = "syn"
    words = ""
    size = 0

    def __init__(self, ears: Ears) -> None:
        self._ears = ears

    def start(self, net: Net, address: Address, probe: Probe) -> int:  # noqa: ARG002 - the ears know the way
        """Send it from a port that is kept free."""
        from scapy.layers.inet import TCP

        probe.sock = reserved_port(socket.SOCK_STREAM, self._ears.source)
        port = int(probe.sock.getsockname()[1])
        segment = TCP(
            sport=port,
            dport=address.port,
            seq=secrets.randbits(32),
            flags="S",
            window=64240,
            options=[("MSS", 1460 if address.version == 4 else 1440), ("SAckOK", b""), ("NOP", None), ("WScale", 7)],
        )
        _send(self._ears, probe, segment, Flow(**_ends(self._ears, address, port)))
        return 0

    def event(self, probe: Probe) -> TraceReply | int:
        """The socket only keeps the port; it has nothing to tell."""
        raise NotImplementedError


class RawUdp:
    """A datagram to a port where nobody listens, made by hand."""

    mode: TraceMode = "udp"
    words = ""
    size = 0

    def __init__(self, ears: Ears) -> None:
        self._ears = ears

    def start(self, net: Net, address: Address, probe: Probe) -> int:  # noqa: ARG002 - the ears know the way
        """Send it. What is in it is random, so that its checksum, too, is known to the path alone."""
        from scapy.layers.inet import UDP
        from scapy.packet import Raw

        to = Address(address.host, trace_probes.UDP_PORT + probe.ttl)
        probe.sock = reserved_port(socket.SOCK_DGRAM, self._ears.source)
        port = int(probe.sock.getsockname()[1])
        datagram = UDP(sport=port, dport=to.port) / Raw(secrets.token_bytes(_UDP_PAYLOAD))
        _send(self._ears, probe, datagram, Flow(protocol="udp", **_ends(self._ears, to, port)))
        return 0

    event = RawSyn.event


def _ends(ears: Ears, to: Address, port: int) -> dict[str, Any]:
    return {"client": ears.source.host, "client_port": port, "server": to.host, "server_port": to.port}


def _send(ears: Ears, probe: Probe, payload: ScapyPacket, flow: Flow) -> None:
    from scapy.layers.inet import IP
    from scapy.layers.inet6 import IPv6
    from scapy.packet import Packet

    probe.flow = flow
    packet: Packet
    source, target = flow.client.partition("%")[0], flow.server.partition("%")[0]
    if ":" in target:
        packet = IPv6(src=source, dst=target, hlim=probe.ttl) / payload
    else:  # an identification of 0 would be replaced by the kernel (raw(7))
        packet = IP(src=source, dst=target, ttl=probe.ttl, id=1 + secrets.randbelow(0xFFFF), flags="DF") / payload
    probe.sent = time.monotonic()
    ears.send(packet)


class RawTrace(Trace):
    """A trace whose answers are overheard. What a socket tells counts when no packet explains it soon after."""

    method = "raw"

    def __init__(self, ears: Ears, net: Net, address: Address, kind: Kind, deadline: Deadline, *plan: Any) -> None:
        made: dict[TraceMode, Kind] = {"syn": RawSyn(ears), "udp": RawUdp(ears)}
        super().__init__(net, address, made.get(kind.mode, kind), deadline, *plan)
        self._ears = ears
        self._ignored = ears.ignored
        self._by_key: dict[Key, Probe] = {}

    @property
    def blind_to(self) -> tuple[str, ...]:
        """What was ignored, and whether packets stopped coming."""
        ignored = self._ears.ignored - self._ignored
        said = []
        if ignored:
            few = "1 packet was" if ignored == 1 else f"{ignored:,} packets were"
            said.append(f"{few} ignored, forged or astray: they answer nothing that was sent")
        if self._ears.broken:
            said.append("packets could not be seen to the end: the interface went down, or away")
        return tuple(said)

    def _begin(self, selector: selectors.BaseSelector) -> None:
        selector.register(self._ears.wake, selectors.EVENT_READ, None)

    def _launch(self, selector: selectors.BaseSelector, ttl: int) -> None:
        super()._launch(selector, ttl)
        probe = self._probes[ttl][-1]
        if probe.flow:
            protocol = headers.UDP if probe.flow.protocol == "udp" else headers.TCP
            self._by_key[Key(protocol, probe.flow.client_port, probe.flow.server_port)] = probe

    def _ready(self, selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
        if key.data is not None:
            super()._ready(selector, key)
            return
        for heard in self._ears.heard():
            probe = self._by_key.get(heard.key)
            known = self._ears.conversation(heard.key)
            if known is None:
                continue
            reply = self._reply(heard, probe, known) if probe and not probe.reply else None
            if isinstance(heard.packet, Segment):
                known.receive(heard.packet)
            if probe and reply:
                self._close(selector, probe)
                self._ended(probe, reply)

    def _told_by_socket(self, selector: selectors.BaseSelector, probe: Probe, reply: TraceReply) -> None:
        selector.unregister(probe.sock)  # type: ignore[arg-type] # a socket that has told something is there
        probe.told, probe.until = reply, time.monotonic() + _GRACE_S

    def _reply(self, heard: Heard, probe: Probe, known: Conversation) -> TraceReply | None:
        """What a packet says about a probe, if it answers it."""
        probed = [sent for sent in known.sent if sent.ttl == probe.ttl and (sent.data or self.kind.mode == "syn")]
        if not probed:
            return None
        if isinstance(heard.packet, Error):
            number = heard.packet.about.number
            answered = next((sent for sent in probed if sent.covers(number)), None)
            if answered is None:
                return None
            icmp = IcmpError(
                version=heard.packet.version,
                type=heard.packet.type,
                code=heard.packet.code,
                offender=heard.packet.offender,
            )
            return self._made(heard, probe, answered, meaning(icmp, self.address.host), icmp)
        answer = self._answer(heard.packet, probed[0], known)
        return self._made(heard, probe, probed[0], answer) if answer else None

    def _made(
        self, heard: Heard, probe: Probe, sent: Sent, answer: TraceAnswer, icmp: IcmpError | None = None
    ) -> TraceReply:
        return TraceReply(
            answer=answer,
            address=icmp.offender if icmp else "",
            rtt_ms=round(max(0.0, heard.moment - sent.moment) * 1000, 3),
            icmp=icmp,
            ttl=heard.packet.ttl,
            flow=probe.flow,
        )

    def _answer(self, segment: Segment, sent: Sent, known: Conversation) -> TraceAnswer | None:
        """What the target's own packet, or one in its name, says."""
        if segment.protocol == headers.UDP:
            return "data"
        if self.kind.mode == "syn":
            return self._opening(segment, sent)
        if segment.flags & headers.RST:
            if known.expected in (None, segment.number):
                return "reset"
            self._ears.ignored += 1
            return None
        # Whoever speaks before acknowledging what was sent has not seen it.
        if segment.number != known.expected or (segment.ack - sent.number - 1) % 2**32 >= 2**31:
            return None
        return "data" if segment.data else "closed" if segment.flags & headers.FIN else None

    def _opening(self, segment: Segment, sent: Sent) -> TraceAnswer | None:
        telling = segment.flags & (headers.SYN | headers.RST)
        if not telling or not segment.flags & headers.ACK or segment.ack != (sent.number + 1) % 2**32:
            self._ears.ignored += bool(telling)
            return None
        return "refused" if segment.flags & headers.RST else "open"
