"""The truth about the connections of a capture: the definitions of netdiag/capture/connections.py, word by word.

Contract: ``analyze`` takes frames in file order and gives the same rows as the fast engine, except ``name``, ``icmp``
and ``process``, which it leaves empty. It knows no numpy, no batches and no limits: one packet at a time, everything in
dictionaries. What it decodes and what it does not stands in ``tests/slow_decode.py``.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from netdiag.model import Closing, Connection, Opening
from tests.slow_decode import Decoder, Tcp

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
OUT_OF_ORDER_NS = 3_000_000

#: (number from 1, time in ns since the epoch, LINKTYPE, captured bytes, length on the wire).
Frame = tuple[int, int, int, bytes, int]

MARKS = (
    "retransmissions",
    "out_of_order",
    "duplicate_acks",
    "zero_windows",
    "keep_alives",
    "previous_lost",
    "acked_unseen",
)


@dataclass
class Totals:
    """Sums over a capture."""

    packets: int = 0
    tcp_packets: int = 0
    udp_packets: int = 0
    icmp_packets: int = 0
    connections: int = 0
    syn: int = 0
    syn_ack: int = 0
    fin: int = 0
    rst: int = 0
    captured_twice: int = 0
    marks: dict[str, int] = field(default_factory=lambda: dict.fromkeys(MARKS, 0))


@dataclass(frozen=True)
class _Seen:
    """One packet of a connection."""

    frame: int
    time_ns: int
    tcp: Tcp
    side: int


@dataclass
class _Side:
    """What one end has shown. Side 0 is the one that sent the connection's first packet."""

    address: bytes
    port: int
    base: int | None = None
    #: ``next`` of the definitions, and when a packet brought it there.
    next: int | None = None
    next_time: int = 0
    previous: Tcp | None = None
    packets: int = 0
    bytes: int = 0
    fin: int = 0
    rst: int = 0
    marks: dict[str, int] = field(default_factory=lambda: dict.fromkeys(MARKS, 0))


@dataclass
class _Conversation:
    """One connection while it is read. ``frames``: all its packets; ``seen``: those whose header is no nonsense."""

    number: int
    sides: list[_Side]
    #: It began with a SYN on ends that had been seen before.
    reused: bool
    frames: list[tuple[int, int]] = field(default_factory=list)
    seen: list[_Seen] = field(default_factory=list)
    twice: set[int] = field(default_factory=set)
    completeness: int = 0

    def __post_init__(self) -> None:
        self.completeness = int(self.reused)


def analyze(frames: Iterable[Frame]) -> tuple[list[Connection], Totals]:
    """Every connection in order of number, and the totals."""
    engine = SlowEngine()
    for frame in frames:
        engine.add(frame)
    return engine.result()


class SlowEngine:
    """Takes frames one by one. ``numbers`` and ``marks`` tell of each TCP frame, for comparing frame by frame."""

    def __init__(self) -> None:
        self.decoder = Decoder()
        self.totals = Totals()
        self.conversations: list[_Conversation] = []
        #: Frame -> connection number, and frame -> marks.
        self.numbers: dict[int, int] = {}
        self.marks: dict[int, tuple[str, ...]] = {}
        self._latest: dict[frozenset[tuple[bytes, int]], _Conversation] = {}

    def add(self, frame: Frame) -> None:
        """Count one frame."""
        number, time_ns, linktype, data, length = frame
        self.totals.packets += 1
        tcp = self.decoder.decode(linktype, data, length)
        self.totals.udp_packets, self.totals.icmp_packets = self.decoder.udp, self.decoder.icmp
        if tcp is None:
            return
        self.totals.tcp_packets += 1
        conversation, side = self._find(tcp)
        self.numbers[number] = conversation.number
        conversation.frames.append((number, time_ns))
        conversation.sides[side].packets += 1
        _learn_bases(conversation, side, tcp)
        if tcp.header >= 20:
            self._count(conversation, _Seen(number, time_ns, tcp, side))

    def result(self) -> tuple[list[Connection], Totals]:
        """The rows, and the totals over them."""
        rows = [_row(conversation) for conversation in self.conversations]
        totals = self.totals
        totals.connections = len(rows)
        for row in rows:
            totals.syn += row.syn
            totals.syn_ack += row.syn_ack
            totals.fin += row.fin_client + row.fin_server
            totals.rst += row.rst_client + row.rst_server
            totals.captured_twice += row.captured_twice
            for mark in MARKS:
                totals.marks[mark] += getattr(row, f"{mark}_client") + getattr(row, f"{mark}_server")
        return rows, totals

    def _find(self, tcp: Tcp) -> tuple[_Conversation, int]:
        """The connection of a packet, a new one where there is none or a SYN begins another; and the sender's side."""
        source, destination = (tcp.source, tcp.source_port), (tcp.destination, tcp.destination_port)
        ends = frozenset((source, destination))
        conversation = self._latest.get(ends)
        if conversation is not None:
            side = 0 if (conversation.sides[0].address, conversation.sides[0].port) == source else 1
            base = conversation.sides[side].base
            if tcp.flags & (SYN | ACK) != SYN or base is None or base == tcp.seq:
                return conversation, side
        reused = conversation is not None
        conversation = _Conversation(len(self.conversations), [_Side(*source), _Side(*destination)], reused)
        self.conversations.append(conversation)
        self._latest[ends] = conversation
        return conversation, 0

    def _count(self, conversation: _Conversation, seen: _Seen) -> None:
        tcp, side = seen.tcp, conversation.sides[seen.side]
        conversation.completeness = _completeness(conversation, tcp)
        conversation.seen.append(seen)
        side.bytes += tcp.length
        side.fin += bool(tcp.flags & FIN)
        side.rst += bool(tcp.flags & RST)
        if _captured_twice(side, seen):
            conversation.twice.add(seen.frame)
            self.marks[seen.frame] = ("captured-twice",)
            return
        marks = tuple(_judge(seen, side, conversation.sides[1 - seen.side]))
        for mark in marks:
            side.marks[mark] += 1
        if marks:
            self.marks[seen.frame] = marks
        side.previous = tcp
        if not tcp.flags & RST:
            end = (tcp.seq + _length(tcp)) % 2**32
            if side.next is None or _beyond(end, side.next) > 0:
                side.next, side.next_time = end, seen.time_ns


def _beyond(first: int, second: int) -> int:
    """How far ``first`` is beyond ``second``: their difference as signed 32 bits (RFC 1982)."""
    return (first - second + 2**31) % 2**32 - 2**31


def _length(tcp: Tcp) -> int:
    return tcp.length + bool(tcp.flags & SYN) + bool(tcp.flags & FIN)


def _learn_bases(conversation: _Conversation, side: int, tcp: Tcp) -> None:
    own, other = conversation.sides[side], conversation.sides[1 - side]
    if tcp.flags & (SYN | ACK) == SYN | ACK and own.base is not None:
        own.base = tcp.seq
    if not tcp.sized:
        return
    if own.base is None:
        own.base = tcp.seq if tcp.flags & SYN else (tcp.seq - 1) % 2**32
    if other.base is None and tcp.flags & ACK:
        other.base = (tcp.ack - 1) % 2**32


def _completeness(conversation: _Conversation, tcp: Tcp) -> int:
    """Wireshark's tcp.completeness after this packet."""
    flags, first = tcp.flags, len(conversation.frames) == 1
    if first and not conversation.reused:
        return (1 | 8 * (tcp.length > 0)) if flags & (SYN | ACK) == SYN else 0
    value = conversation.completeness
    if flags & (SYN | ACK) == SYN | ACK:
        value |= 2
    if flags & (SYN | ACK) == ACK:
        value |= 8 if tcp.length else 4
    if flags & (FIN | ACK) == FIN | ACK:
        value |= 16
    if flags & RST:
        value |= 32
    return value


def _captured_twice(side: _Side, seen: _Seen) -> bool:
    previous, tcp = side.previous, seen.tcp

    def mark(packet: Tcp) -> tuple[object, ...]:
        return packet.seq, packet.ack, packet.flags, packet.length, packet.window, packet.ip_id

    if previous is None or mark(previous) != mark(tcp):
        return False
    without_id = _length(tcp) > 0 and not tcp.flags & RST and seen.time_ns - side.next_time < OUT_OF_ORDER_NS
    return bool(tcp.ip_id) or without_id


def _judge(seen: _Seen, side: _Side, other: _Side) -> Iterator[str]:
    """The marks of one packet, by what its connection showed before it."""
    tcp, length = seen.tcp, _length(seen.tcp)
    syn, fin, rst, ack = (bool(tcp.flags & flag) for flag in (SYN, FIN, RST, ACK))
    if side.next is not None:
        ahead = _beyond(tcp.seq, side.next)
        if ahead == -1 and tcp.length <= 1 and not (syn or fin or rst):
            yield "keep_alives"
        elif ahead < 0 and length and not rst:
            inside = _beyond(tcp.seq + length, side.next) < 0
            early = inside and not syn and seen.time_ns - side.next_time < OUT_OF_ORDER_NS
            yield "out_of_order" if early else "retransmissions"
        elif ahead > 0 and not (syn or rst):
            yield "previous_lost"
        elif ahead == 0 and ack and not (syn or fin or rst or tcp.length) and _same_answer(side.previous, tcp):
            yield "duplicate_acks"
    if tcp.window == 0 and not (syn or fin or rst):
        yield "zero_windows"
    if ack and not rst and other.next is not None and _beyond(tcp.ack, other.next) > 0:
        yield "acked_unseen"


def _same_answer(previous: Tcp | None, tcp: Tcp) -> bool:
    return previous is not None and (previous.ack, previous.window) == (tcp.ack, tcp.window)


def _client(conversation: _Conversation) -> int:
    """Which side is the client."""
    for wanted, is_sender in ((SYN, True), (SYN | ACK, False)):
        for seen in conversation.seen:
            if seen.tcp.flags & (SYN | ACK) == wanted:
                return seen.side if is_sender else 1 - seen.side
    first, second = conversation.sides
    return 1 if second.port > first.port else 0


def _opening(client: list[Tcp], server: list[Tcp]) -> Opening:
    syn = any(tcp.flags & (SYN | ACK) == SYN for tcp in client)
    syn_ack = any(tcp.flags & (SYN | ACK) == SYN | ACK for tcp in server)
    if not syn:
        return "mid-stream"
    if syn_ack:
        return "complete" if any(tcp.flags & (SYN | ACK | RST) == ACK for tcp in client) else "unfinished"
    if all(tcp.flags & RST or tcp.flags & (SYN | ACK) == SYN for tcp in client):
        if not server:
            return "unanswered"
        if all(tcp.flags & RST for tcp in server):
            return "refused"
    return "mid-stream"


def _closing(seen: list[_Seen]) -> Closing:
    closed: set[int] = set()
    for packet in seen:
        if packet.tcp.flags & FIN:
            closed.add(packet.side)
        if packet.tcp.flags & RST and len(closed) < 2:
            return "reset"
    return {0: "none", 1: "half-close"}.get(len(closed), "fin")  # type: ignore[return-value]


def _handshake_ms(seen: list[_Seen], client: int) -> tuple[float | None, float | None]:
    """From the client's last SYN before the first SYN-ACK to that, and from that to the client's ACK."""
    syn: int | None = None
    syn_ack: int | None = None
    syn_rtt: float | None = None
    for packet in seen:
        flags = packet.tcp.flags
        if syn_ack is None and packet.side == client and flags & (SYN | ACK) == SYN:
            syn = packet.time_ns
        elif syn_ack is None and packet.side != client and flags & (SYN | ACK) == SYN | ACK:
            syn_ack = packet.time_ns
            syn_rtt = None if syn is None else (syn_ack - syn) / 1e6
        elif syn_ack is not None and packet.side == client and flags & (SYN | ACK | RST) == ACK:
            return syn_rtt, (packet.time_ns - syn_ack) / 1e6
    return syn_rtt, None


def _mss(packets: list[Tcp]) -> int | None:
    """The MSS option of the first packet with SYN; 0 is none."""
    options = next((tcp.options for tcp in packets if tcp.flags & SYN), b"")
    at = 0
    while at < len(options) and options[at] != 0:
        if options[at] == 1:
            at += 1
            continue
        size = options[at + 1] if at + 1 < len(options) else 0
        if size < 2 or at + size > len(options):
            return None
        if options[at] == 2 and size == 4:
            return int.from_bytes(options[at + 2 : at + 4], "big") or None
        at += size
    return None


def _text(address: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)


def _row(conversation: _Conversation) -> Connection:
    at = _client(conversation)
    client, server = conversation.sides[at], conversation.sides[1 - at]
    seen = conversation.seen
    of_client = [packet.tcp for packet in seen if packet.side == at]
    of_server = [packet.tcp for packet in seen if packet.side != at]
    every = of_client + of_server
    syn_rtt_ms, ack_rtt_ms = _handshake_ms([packet for packet in seen if packet.frame not in conversation.twice], at)
    times = [time_ns for _, time_ns in conversation.frames]
    row = Connection(
        number=conversation.number,
        client=_text(client.address),
        client_port=client.port,
        server=_text(server.address),
        server_port=server.port,
        started=times[0] / 1e9,
        duration_s=(max(times) - times[0]) / 1e9,
        first_frame=conversation.frames[0][0],
        last_frame=conversation.frames[-1][0],
        opening=_opening(of_client, of_server),
        closing=_closing(seen),
        completeness=conversation.completeness,
        syn_rtt_ms=syn_rtt_ms,
        ack_rtt_ms=ack_rtt_ms,
        packets_client=client.packets,
        packets_server=server.packets,
        bytes_client=client.bytes,
        bytes_server=server.bytes,
        syn=sum(tcp.flags & (SYN | ACK) == SYN for tcp in every),
        syn_ack=sum(tcp.flags & (SYN | ACK) == SYN | ACK for tcp in every),
        fin_client=client.fin,
        fin_server=server.fin,
        rst_client=client.rst,
        rst_server=server.rst,
        captured_twice=len(conversation.twice),
        mss_client=_mss(of_client),
        mss_server=_mss(of_server),
        ttl_syn=next((tcp.ttl for tcp in of_client if tcp.flags & (SYN | ACK) == SYN), None),
        ttl_syn_ack=next((tcp.ttl for tcp in of_server if tcp.flags & (SYN | ACK) == SYN | ACK), None),
        ttl_rst_client=next((tcp.ttl for tcp in of_client if tcp.flags & RST), None),
        ttl_rst_server=next((tcp.ttl for tcp in of_server if tcp.flags & RST), None),
        ttl_client=_range([tcp.ttl for tcp in of_client if not tcp.flags & RST]),
        ttl_server=_range([tcp.ttl for tcp in of_server if not tcp.flags & RST]),
    )
    marks = {f"{mark}_client": client.marks[mark] for mark in MARKS}
    marks |= {f"{mark}_server": server.marks[mark] for mark in MARKS}
    return msgspec.structs.replace(row, **marks)


def _range(values: list[int]) -> tuple[int, int] | None:
    return (min(values), max(values)) if values else None
