"""Traffic for tests of the capture engine: many connections, ordinary, odd and broken, as frames.

Contract: ``traffic(random)`` gives the frames of one capture of a single link type, in file order. All its choices come
from ``random``, so a seed (``seeded``) or hypothesis (``captures``, which shrinks them) decides everything. What it
makes: openings and ends of every kind, port reuse, floods, retransmissions, reordering, loss, copies, keep-alives, zero
windows, sequence numbers that wrap around, segments whose headers lie, fragments, TSO, tags, tunnels, extension
headers, cut packets, and packets that are not TCP.
"""

from __future__ import annotations

import random as random_module
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from hypothesis import strategies as st

from tests.frames import (
    ACK,
    FIN,
    LINKS,
    PSH,
    RST,
    SYN,
    URG,
    Frame,
    Layer,
    Segment,
    Way,
    extended,
    fragments,
    gre,
    icmp_error,
    ip,
    ip_in_ip,
    labelled,
    mss,
    plain,
    pppoe,
    tagged,
    tcp,
    udp,
    vxlan,
)

Random = random_module.Random

START_NS = 1_700_000_000_000_000_000
#: Steps of time, ns: within one burst, around the 3 ms of "out of order", a round trip, a retransmission.
STEPS_NS = (0, 10_000, 2_999_999, 3_000_000, 20_000_000, 200_000_000)

_OPTIONS = (
    b"",
    mss(1460),
    mss(1200) + b"\x04\x02\x08\x0a" + bytes(8),
    b"\x01\x01" + mss(536),
    b"\x02\x03\x01",
    b"\x03\x00",
)


@dataclass(frozen=True)
class _Sent:
    """One segment on its way: when, from whom, in which wrapping."""

    time_ns: int
    way: Way
    segment: Segment
    wrapping: str


@dataclass
class _End:
    """One end of a connection: what it sends next, and with which IP header."""

    way: Way
    next: int
    window: int = 65535
    mistaken: bool = False


class Talk:
    """One connection's packets, in the order sent. ``a`` opens it (usually)."""

    def __init__(self, random: Random, ways: tuple[Way, Way], wrapping: str, start_ns: int) -> None:
        self.random = random
        self.ends = [_End(way, _isn(random)) for way in ways]
        self.wrapping = wrapping
        self.time_ns = start_ns
        self.sent: list[_Sent] = []

    def send(self, end: int, flags: int, payload: int = 0, **changes: object) -> Segment:
        """Send a segment of ``end`` that continues its stream, except for ``changes`` in its header."""
        own, other = self.ends[end], self.ends[1 - end]
        segment = Segment(
            seq=own.next % 2**32,
            ack=other.next % 2**32 if flags & ACK else 0,
            flags=flags,
            window=own.window,
            payload=bytes(payload),
            options=self.random.choice(_OPTIONS) if flags & SYN else b"",
        )
        segment = replace(segment, **changes)  # type: ignore[arg-type]
        if not changes:
            own.next += payload + bool(flags & SYN) + bool(flags & FIN)
        self.put(end, segment)
        return segment

    def put(self, end: int, segment: Segment) -> None:
        """Put a segment on the wire as it is."""
        own = self.ends[end]
        if len(own.way.source) == 4 and own.way.ip_id:
            own.way = replace(own.way, ip_id=own.way.ip_id % 65535 + 1)
        self.sent.append(_Sent(self.time_ns, own.way, segment, self.wrapping))
        self.time_ns += self.random.choice(STEPS_NS)

    # Openings

    def open(self) -> None:
        """Begin, in one of the ways that connections begin."""
        kinds: dict[str, Callable[[], object]] = {
            "three-way": self._three_way,
            "again": self._three_way,
            "repeated": self._repeated,
            "unanswered": lambda: self._repeat_syn(self.random.randint(0, 4)),
            "refused": self._refused,
            "mid-stream": lambda: None,
            "simultaneous": self._simultaneous,
            "another ISN": self._another_isn,
            "server first": lambda: (self.send(1, SYN | ACK), self.send(0, ACK)),
            "fast open": lambda: (self.send(0, SYN, 20), self.send(1, SYN | ACK), self.send(0, ACK)),
        }
        kinds[self.random.choice(sorted(kinds))]()

    def _three_way(self) -> None:
        self.send(0, SYN)
        self.send(1, SYN | ACK)
        self.send(0, ACK)

    def _repeat_syn(self, times: int) -> None:
        syn = self.send(0, SYN)
        for _ in range(times):
            self.put(0, syn)

    def _repeated(self) -> None:
        self._repeat_syn(self.random.randint(1, 3))
        answer = self.send(1, SYN | ACK)
        self.put(1, answer)
        self.send(0, ACK)

    def _refused(self) -> None:
        """As Windows goes on asking after a reset."""
        for _ in range(self.random.randint(1, 3)):
            self.send(0, SYN, seq=self.ends[0].next % 2**32)
            self.send(1, RST | ACK, seq=0, ack=(self.ends[0].next + 1) % 2**32, window=0)

    def _simultaneous(self) -> None:
        syns = [self.send(end, SYN) for end in (0, 1)]
        for end in (0, 1):
            self.send(end, SYN | ACK, seq=syns[end].seq)

    def _another_isn(self) -> None:
        """A path device answers first, then the server, with an initial sequence number of its own."""
        self.send(0, SYN)
        self.send(1, SYN | ACK, seq=_isn(self.random))
        self.send(1, SYN | ACK)
        self.send(0, ACK)

    # In between

    def go_on(self) -> None:
        """One step of an open connection."""
        random = self.random
        end = random.randint(0, 1)
        own = self.ends[end]
        match random.choice(("data", "data", "data", "ack", "again", "keep-alive", "window", "odd", "jump", "burst")):
            case "data":
                self.send(end, random.choice((ACK, PSH | ACK, URG | ACK)), random.choice((1, 2, 100, 536, 1460)))
            case "ack":
                for _ in range(random.randint(1, 4)):
                    self.send(end, ACK)
            case "again":
                self._again(end)
            case "keep-alive":
                self.send(end, ACK, random.randint(0, 1), seq=(own.next - 1) % 2**32)
                self.send(1 - end, ACK)
            case "window":
                own.window = random.choice((0, 0, 1, 512, 65535))
                self.send(end, ACK)
            case "odd":
                self._odd(end)
            case "jump":  # packets that the capture lost
                own.next += random.choice((1, 1460, 100_000, 2**31 - 1, 2**31))
            case "burst":
                for _ in range(random.randint(2, 5)):
                    self.send(end, ACK, 200)
                self.send(1 - end, ACK)

    def _again(self, end: int) -> None:
        """Send something old again, whole or in part, in another packet."""
        old = [sent.segment for sent in self.sent if sent.way.source_port == self.ends[end].way.source_port]
        if not old:
            return
        segment = self.random.choice(old)
        if len(segment.payload) > 2 and self.random.random() < 0.5:
            cut = self.random.randint(1, len(segment.payload) - 1)
            segment = replace(segment, seq=segment.seq + cut, payload=segment.payload[cut:] + bytes(cut * 2))
        self.put(end, segment)

    def _odd(self, end: int) -> None:
        """A segment that no well-behaved host sends."""
        random = self.random
        own, other = self.ends[end], self.ends[1 - end]
        segment = Segment(
            seq=(own.next + random.choice((-1, 0, 1, 5000, -5000, random.getrandbits(32)))) % 2**32,
            ack=(other.next + random.choice((-1, 0, 1, 5000, -5000, random.getrandbits(32)))) % 2**32,
            flags=random.randint(0, 255),
            window=random.choice((0, 1024)),
            payload=bytes(random.randint(0, 3)),
            options=random.choice(_OPTIONS),
            header=random.choice((None, None, None, 0, 16, 20, 24, 60)),
        )
        self.put(end, segment)

    # Ends

    def close(self) -> None:
        """End, in one of the ways that connections end."""
        random = self.random
        end = random.randint(0, 1)
        match random.choice(("fin", "fin", "half-close", "reset", "abort", "none", "fin-reset", "late")):
            case "fin":
                self.send(end, FIN | ACK)
                self.send(1 - end, FIN | ACK)
                self.send(end, ACK)
            case "half-close":
                self.send(end, FIN | ACK, random.choice((0, 50)))
                self.send(1 - end, ACK)
                self.send(1 - end, ACK, 300)
            case "reset":
                for _ in range(random.randint(1, 3)):
                    self.send(end, RST, seq=self.ends[end].next + random.choice((0, 1, 1460)), window=0)
            case "abort":
                self.send(end, RST | ACK)
            case "fin-reset":
                self.send(end, FIN | ACK)
                self.send(1 - end, random.choice((RST, RST | ACK)))
            case "late":  # FIN alone, and more data after a reset
                self.send(end, random.choice((FIN, FIN | ACK)))
                self.send(end, RST)
                self.send(1 - end, ACK, 10)

    def reuse(self) -> None:
        """The same ends once more: usually another connection."""
        own, other = self.ends
        own.next = self.random.choice((_isn(self.random), own.next + 1000, self.sent[0].segment.seq))
        other.next = _isn(self.random)
        self.open()


def _isn(random: Random) -> int:
    """An initial sequence number, often just before the wrap-around, or half the circle away from it."""
    return random.choice((random.getrandbits(32), 2**32 - random.randint(0, 3000), 2**31 - random.randint(0, 3000), 0))


def _way(random: Random, version: int) -> tuple[Way, Way]:
    """Both directions of a connection; few addresses and ports, so that connections meet again."""
    client, server = random.randint(1, 3), random.randint(1, 2)
    before = bytes([10, 0, 0]) if version == 4 else b"\x20\x01\x0d\xb8" + bytes(11)
    a, b = before + bytes([client]), before + bytes([random.choice((server, 100 + server))])
    ports = random.choice((1024, 40000, 40001, 443)), random.choice((443, 80))
    ident = random.choice((0, 1, 65535, 7000))
    forth = Way(a, b, *ports, ttl=random.choice((64, 63, 128)), ip_id=ident)
    back = Way(b, a, ports[1], ports[0], ttl=random.choice((64, 240, 107)), ip_id=random.choice((0, ident)))
    return forth, back


#: Name -> what is put around an IP packet, inside the link layer. Those after "-" need an Ethernet type.
WRAPPINGS: dict[str, Callable[[Layer], Layer]] = {
    "": lambda layer: layer,
    "gre": gre,
    "gre-all": lambda layer: gre(layer, 0xB000),
    "ip-in-ip": ip_in_ip,
    "vxlan": vxlan,
    "vxlan-tag": lambda layer: vxlan(tagged(layer, 9)),
    "-vlan": lambda layer: tagged(layer, 12),
    "-qinq": lambda layer: tagged(tagged(layer, 12), 34, 0x88A8),
    "-three": lambda layer: tagged(tagged(tagged(layer, 1), 2), 3, 0x9100),
    "-mpls": labelled,
    "-pppoe": pppoe,
}


def _packets(random: Random, sent: _Sent) -> list[bytes]:
    """The IP packet of one segment, or its fragments; now and then with something in its header that is unusual."""
    way, body = sent.way, tcp(sent.way, sent.segment)
    match random.choice((*("",) * 12, "fragments", "fragments", "tso", "options", "long", "short")):
        case "fragments" if len(body) > 24:
            cuts = [8 * random.randint(1, len(body) // 8) for _ in range(random.randint(1, 3))]
            parts = fragments(way, 6, body, cuts)
            if random.random() > 0.5:
                random.shuffle(parts)
            if random.random() > 0.7:
                parts.insert(random.randint(0, len(parts)), random.choice(parts))
            if random.random() > 0.8:
                parts.pop(random.randint(0, len(parts) - 1))
            return parts
        case "tso":
            return [ip(way, 6, body, total=0)]
        case "options" if len(way.source) == 4:
            return [
                ip(
                    replace(way, options=random.choice((b"\x01", b"\x94\x04\0\0", b"\x07\x27\x04" + bytes(36)))),
                    6,
                    body,
                )
            ]
        case "options":
            headers = [random.choice((0, 60, 43, 51)) for _ in range(random.randint(1, 3))]
            return [extended(ip(way, 6, body), headers)]
        case "long":
            return [ip(way, 6, body, total=len(body) + 400)]
        case "short":
            return [ip(way, 6, body, total=random.randint(0, len(body) + 20))]
    return [ip(way, 6, body)]


def _noise(random: Random, sent: _Sent) -> bytes:
    """An IP packet that is not TCP, or not quite; an ICMP error quotes what was just sent."""
    way = sent.way
    fourth = replace(way, source=bytes([192, 0, 2, 7]), destination=bytes([10, 0, 0, 1]))
    segment = tcp(way, Segment(seq=random.getrandbits(32), flags=SYN))
    choices = (
        ip(fourth, 17, udp(53, 40000, bytes(20))),
        ip(fourth, 1, icmp_error(ip(way, 6, tcp(way, sent.segment))[: random.choice((28, 48, 60))])),
        ip(fourth, 50, bytes(40)),
        ip(fourth, 6, segment[: random.randint(0, 20)]),
        ip(fourth, 6, segment[: random.randint(8, 20)], random.choice((0, 8)), True),
        b"\x45" + random.randbytes(random.randint(0, 60)),
        b"\x60" + random.randbytes(random.randint(0, 80)),
    )
    return random.choice(choices)


def _disturb(random: Random, sent: list[_Sent]) -> list[_Sent]:
    """Let the capture lose, copy and reorder some."""
    result: list[_Sent] = []
    for packet in sent:
        chance = random.random()
        if chance > 0.96:
            continue
        result.append(packet)
        if chance > 0.92:
            result.append(replace(packet, time_ns=packet.time_ns + random.choice((0, 1000, 5_000_000))))
    for _ in range(len(result) // 10):
        at = random.randint(0, len(result) - 1)
        to = min(at + random.randint(1, 3), len(result) - 1)
        result.insert(to, result.pop(at))
    return result


def _flood(random: Random) -> Iterator[_Sent]:
    """SYNs from everywhere to one server."""
    for number in range(random.randint(1, 60)):
        source = bytes([172, 16, random.randint(0, 255), random.randint(1, 254)])
        way = Way(source, bytes([10, 0, 0, 100]), random.randint(1025, 65535), 80, ttl=random.randint(30, 255))
        yield _Sent(START_NS + number * 1000, way, Segment(seq=random.getrandbits(32), flags=SYN), "")


def _streams(random: Random, wrappings: list[str], connections: int) -> list[list[_Sent]]:
    streams = []
    for _ in range(random.randint(1, connections)):
        version = random.choice((4, 4, 6))
        start = START_NS + random.randint(0, 10) * 100_000_000
        talk = Talk(random, _way(random, version), random.choice(wrappings), start)
        talk.open()
        for _ in range(random.randint(0, 12)):
            talk.go_on()
        talk.close()
        while random.random() > 0.6 and talk.sent:
            talk.reuse()
            for _ in range(random.randint(0, 4)):
                talk.go_on()
            talk.close()
        streams.append(_disturb(random, talk.sent))
    if random.random() > 0.8:
        streams.append(list(_flood(random)))
    return streams


def _interleaved(random: Random, streams: list[list[_Sent]]) -> Iterator[_Sent]:
    """All streams in one: mostly by time, at times as it comes."""
    if random.random() < 0.7:
        yield from sorted((sent for stream in streams for sent in stream), key=lambda sent: sent.time_ns)
        return
    waiting = [list(reversed(stream)) for stream in streams if stream]
    while waiting:
        stream = random.choice(waiting)
        yield stream.pop()
        waiting = [stream for stream in waiting if stream]


def traffic(random: Random, connections: int = 16) -> list[Frame]:
    """The frames of one capture of at most so many connections, port reuse not counted."""
    linktype, link, any_type = LINKS[random.choice(sorted(LINKS))]
    usual = [name for name in WRAPPINGS if any_type or not name.startswith("-")]
    wrappings = random.choice(([""], ["", random.choice(usual)], usual))
    snaplen = random.choice((262_144,) * 4 + (54, 68, 96, 128))
    frames: list[Frame] = []

    def record(packet: bytes, wrapping: str, time_ns: int) -> None:
        layer = WRAPPINGS[wrapping](plain(packet))
        whole = link(layer)
        if linktype == 1 and random.random() < 0.9:
            whole += bytes(max(60 - len(whole), 0))
        captured = whole[:snaplen]
        if random.random() > 0.98:
            captured = captured[: random.randint(0, len(captured))]
        frames.append((len(frames) + 1, time_ns, linktype, captured, len(whole)))

    for sent in _interleaved(random, _streams(random, wrappings, connections)):
        for packet in _packets(random, sent):
            record(packet, sent.wrapping, sent.time_ns)
        if random.random() > 0.95:
            record(_noise(random, sent), sent.wrapping, sent.time_ns)
    return frames


def seeded(seed: int, connections: int = 16) -> list[Frame]:
    """The capture of one seed, always the same."""
    return traffic(Random(seed), connections)


def captures(connections: int = 5) -> st.SearchStrategy[list[Frame]]:
    """Captures that hypothesis chooses, and makes simpler when a test fails."""
    return st.randoms(use_true_random=False).map(lambda random: traffic(random, connections))
