"""The raw method, with a network of scapy packets in place of the wire: what answers a probe, and what must not."""

import socket
import struct
import threading
from collections.abc import Callable, Iterable

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import ICMPv6DestUnreach, ICMPv6TimeExceeded, IPv6
from scapy.packet import Packet, Raw

from netdiag.model import TraceObservation
from netdiag.probes import trace, trace_probes, trace_raw
from netdiag.probes.net import Address, Deadline, Net, Step
from netdiag.probes.trace import Limits
from netdiag.probes.trace_raw import Ears, UnavailableError

HOST = {4: "198.51.100.9", 6: "2001:db8:9::9"}
HERE = {4: "127.0.0.1", 6: "::1"}
ROUTERS = {4: ("10.0.0.1", "10.0.0.2"), 6: ("fd00::1", "fd00::2")}
PORT = 443

Network = Callable[[Packet], Iterable[Packet]]


class Wire:
    """Takes what is sent, and has the network's answers heard at once."""

    def __init__(self, ears: Ears, network: Network) -> None:
        self._ears, self._network = ears, network
        self.sent: list[Packet] = []

    def send(self, packet: Packet) -> None:
        self.sent.append(packet)
        self._ears._take(arrived(packet, 100.0))
        for answer in self._network(packet):
            self._ears._take(arrived(answer, 100.0123))

    def close(self) -> None:
        pass


def arrived(packet: Packet, moment: float) -> Packet:
    """As it is read from an interface."""
    read = (IPv6 if IPv6 in packet[:1] or packet.version == 6 else IP)(bytes(packet))
    read.time = moment
    return read


def run(
    network: Network, kind: trace_probes.Kind | None = None, version: int = 4, **limits: object
) -> TraceObservation:
    with Ears(HERE[version], HOST[version]) as ears:
        ears._sender = Wire(ears, network)
        return trace.trace(
            Net(),
            Address(HOST[version], PORT),
            kind or trace_probes.Syn(),
            Step("trace"),
            deadline=Deadline(20),
            limits=Limits(**{"max_ttl": 4, "wait_s": 0.1, **limits}),
            ears=ears,
        )


def hops(seen: TraceObservation) -> list[tuple[str, str, int | None]]:
    return [(reply.answer, reply.address, reply.ttl) for hop in seen.hops for reply in hop.replies]


def died(probe: Packet, quote: Packet | bytes | None = None) -> Packet:
    """The time exceeded of the router that a probe gets to."""
    quote = probe if quote is None else quote
    cut = Raw(bytes(quote)[: 28 if probe.version == 4 else 1000])
    if probe.version == 4:
        return IP(src=ROUTERS[4][probe.ttl - 1], dst=probe.src, ttl=65 - probe.ttl) / ICMP(type=11) / cut
    return IPv6(src=ROUTERS[6][probe.hlim - 1], dst=probe.src, hlim=65 - probe.hlim) / ICMPv6TimeExceeded() / cut


def dies(probe: Packet) -> bool:
    return (probe.ttl if probe.version == 4 else probe.hlim) <= 2


def answer(probe: Packet, flags: str, ack: int | None = None, seq: int = 900) -> Packet:
    """A segment of the server's that acknowledges the SYN."""
    syn = probe[TCP]
    ack = (syn.seq + 1) % 2**32 if ack is None else ack % 2**32
    ip = IP(src=probe.dst, dst=probe.src, ttl=62) if probe.version == 4 else IPv6(src=probe.dst, dst=probe.src, hlim=62)
    return ip / TCP(sport=syn.dport, dport=syn.sport, seq=seq, ack=ack, flags=flags)


def refuse_datagram(probe: Packet) -> Packet:
    if probe.version == 4:
        return IP(src=probe.dst, dst=probe.src, ttl=62) / ICMP(type=3, code=3) / Raw(bytes(probe)[:28])
    return IPv6(src=probe.dst, dst=probe.src, hlim=62) / ICMPv6DestUnreach(code=4) / Raw(bytes(probe))


def path(version: int) -> list[tuple[str, str, int]]:
    return [("hop", address, 64 - n) for n, address in enumerate(ROUTERS[version])]


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(("flags", "end"), [("SA", "open"), ("RA", "refused")])
def test_a_syn(version: int, flags: str, end: str) -> None:
    seen = run(lambda p: [died(p)] if dies(p) else [answer(p, flags)], version=version)
    assert hops(seen) == [*path(version), (end, "", 62)]
    assert (seen.method, seen.mode, seen.answer, seen.distance, seen.limits) == ("raw", "syn", end, 3, ())
    assert [reply.rtt_ms for hop in seen.hops for reply in hop.replies] == [12.3] * 3
    flow = seen.hops[0].replies[0].flow
    assert flow is not None
    assert (flow.client, flow.server, flow.server_port) == (HERE[version], HOST[version], PORT)


@pytest.mark.parametrize("version", [4, 6])
def test_datagrams(version: int) -> None:
    seen = run(lambda p: [died(p)] if dies(p) else [refuse_datagram(p)], trace_probes.Udp(), version)
    assert hops(seen) == [*path(version), ("refused", HOST[version], 62)]
    assert (seen.mode, seen.answer, seen.outcome) == ("udp", "refused", "ok")


def test_prohibited_by_a_router() -> None:
    def network(probe: Packet) -> list[Packet]:
        if dies(probe):
            return [died(probe)]
        return [IP(src="10.0.0.2", dst=probe.src, ttl=63) / ICMP(type=3, code=13) / Raw(bytes(probe)[:28])]

    assert hops(run(network))[-1] == ("prohibited", "10.0.0.2", 63)


def changed(probe: Packet, **fields: object) -> Packet:
    """A copy of a probe that somebody made who did not see it."""
    copy = probe.copy()
    del copy.chksum
    for name, value in fields.items():
        setattr(copy if name in ("src", "dst", "id") else copy[1], name, value)
    return copy


@pytest.mark.parametrize(
    ("lie", "counted"),
    [
        (lambda p: died(p, changed(p, sport=p.sport ^ 1)), True),
        (lambda p: died(p, changed(p, dport=8443)), True),
        (lambda p: died(p, changed(p, seq=p.seq ^ 1)), True),
        (lambda p: died(p, changed(p, seq=(p.seq + 1) % 2**32)), True),
        (lambda p: died(p, changed(p, src="10.9.9.9")), False),  # about somebody else's packet
        (lambda p: died(p, changed(p, dst="10.9.9.9")), False),
        (lambda p: died(p, bytes(p)[:27]), False),
        (lambda p: answer(p, "SA", ack=p.seq), True),
        (lambda p: answer(p, "SA", ack=p.seq + 2), True),
        (lambda p: answer(p, "RA", ack=p.seq), True),
        (lambda p: answer(p, "R"), True),  # acknowledges nothing
        (lambda p: answer(p, "A", ack=p.seq + 77), False),  # a challenge (RFC 5961 §4), not an end
        (lambda p: changed(answer(p, "RA"), src="10.9.9.9"), False),
        (lambda p: changed(answer(p, "RA"), dport=p.sport ^ 1), False),
    ],
)
@pytest.mark.parametrize("late", [False, True], ids=["before-the-answer", "instead"])
def test_a_forged_answer_to_a_syn(lie: Callable[[Packet], Packet], counted: bool, late: bool) -> None:
    def network(probe: Packet) -> list[Packet]:
        truth = [] if late else [died(probe)] if dies(probe) else [answer(probe, "SA")]
        return [lie(probe) if probe.ttl <= 2 else answer(probe, "R"), *truth]

    seen = run(network)
    assert [answer for answer, _, _ in hops(seen)] == (["none"] * 4 if late else ["hop", "hop", "open"])
    (limit,) = seen.limits  # those to the third and fourth probe count in any case
    assert ("4 packets" in limit) == counted


@pytest.mark.parametrize(
    "lie",
    [
        lambda p: died(p, changed(p, sport=p.sport ^ 1)),
        lambda p: died(p, changed(p, dport=33999)),
        lambda p: died(p, changed(p, id=p.id ^ 1)),
    ],
    ids=["source-port", "port", "identification"],
)
def test_a_forged_answer_to_a_datagram(lie: Callable[[Packet], Packet]) -> None:
    seen = run(lambda p: [lie(p)] if dies(p) else [refuse_datagram(p)], trace_probes.Udp())
    assert hops(seen) == [("none", "", None)] * 2 + [("refused", HOST[4], 62)]
    assert seen.limits == ("2 packets were ignored, forged or astray: they answer nothing that was sent",)


def test_an_ipv6_datagram_is_known_by_its_checksum() -> None:
    def network(probe: Packet) -> list[Packet]:
        if not dies(probe):
            return [refuse_datagram(probe)]
        lie = IPv6(bytes(probe))
        lie[UDP].chksum ^= 1
        return [died(probe, lie)]

    assert [answer for answer, _, _ in hops(run(network, trace_probes.Udp(), 6))] == ["none", "none", "refused"]


def test_every_probe_has_a_port_and_a_number_of_its_own() -> None:
    probes = []
    run(lambda p: probes.append(p) or [], queries=3)
    assert len(probes) == 12
    assert len({p.sport for p in probes}) == len({p.seq for p in probes}) == 12
    assert sorted(p.ttl for p in probes) == sorted([1, 2, 3, 4] * 3)
    assert all(p.id for p in probes)


def test_silence_ends_at_the_deadline() -> None:
    seen = run(lambda p: [])
    assert (hops(seen), seen.answer) == ([("none", "", None)] * 4, "none")


def test_a_flood_is_bounded() -> None:
    with Ears(HERE[4], HOST[4]) as ears:
        noise = arrived(IP(src=HOST[4], dst=HERE[4]) / TCP(), 1.0)
        for _ in range(trace_raw._MAX_WAITING + 10):
            ears._take(noise)
        assert len(list(ears.heard())) == trace_raw._MAX_WAITING
        for port in range(trace_raw._MAX_FLOWS + 10):
            ears._take(arrived(IP(src=HERE[4], dst=HOST[4]) / TCP(sport=port), 1.0))
        assert list(ears.heard()) == []
        assert len(ears._conversations) == trace_raw._MAX_FLOWS


def test_what_could_not_be_sent() -> None:
    def network(probe: Packet) -> list[Packet]:
        raise PermissionError(1, "Operation not permitted")

    seen = run(network)
    assert (seen.answer, seen.failure and seen.failure.kind) == ("unsent", "local-policy")


def test_scapys_own_trouble_is_trouble_in_sending() -> None:
    def network(probe: Packet) -> list[Packet]:
        raise RuntimeError("no such\ninterface")

    seen = run(network)
    assert seen.failure is not None
    assert (seen.answer, seen.failure.detail) == ("unsent", "no such interface")


# -- inside a connection ----------------------------------------------------------------------------------------------


def overheard(tail: Callable[[Packet, Packet], Iterable[Packet]], *, closes: bool = False) -> TraceObservation:
    """A connection on loopback that is overheard as if it went to a port three hops away, with other numbers.

    ``tail`` makes what follows the data: it is given the data and the SYN-ACK. ``closes``: the socket itself is told.
    """
    with socket.create_server(("127.0.0.1", 0)) as server, Ears("127.0.0.1", "127.0.0.1") as ears:
        port = server.getsockname()[1]

        def serve() -> None:
            connection, (_, client) = server.accept()
            connection.recv(100)
            ends = {"src": "127.0.0.1", "dst": "127.0.0.1"}
            syn = IP(**ends) / TCP(sport=client, dport=port, seq=100, flags="S")
            syn_ack = IP(**ends, ttl=61) / TCP(sport=port, dport=client, seq=500, ack=101, flags="SA")
            data = IP(**ends, ttl=1) / TCP(sport=client, dport=port, seq=101, ack=501, flags="PA") / Raw(b"hello")
            for packet in (syn, syn_ack, data, data, *tail(data, syn_ack)):
                ears._take(arrived(packet, 1.0))
            if closes:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                ended.wait(10)
            connection.close()

        ended = threading.Event()
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            return trace.trace(
                Net(),
                Address("127.0.0.1", port),
                trace_probes.Data(b"hello", "5 bytes"),
                Step("trace"),
                deadline=Deadline(10),
                limits=Limits(max_ttl=1, wait_s=0.5),
                ears=ears,
            )
        finally:
            ended.set()
            thread.join()


def from_server(data: Packet, flags: str, seq: int = 501, ack: int = 106, load: bytes = b"") -> Packet:
    ip = IP(src=data.dst, dst=data.src, ttl=62)
    return ip / TCP(sport=data.dport, dport=data.sport, seq=seq, ack=ack, flags=flags) / Raw(load)


@pytest.mark.parametrize(
    ("tail", "end"),
    [
        (lambda data, _: [from_server(data, "RA")], ("reset", "", 62)),
        (lambda data, _: [from_server(data, "R", ack=0)], ("reset", "", 62)),
        (lambda data, _: [from_server(data, "RA", seq=502), from_server(data, "R", seq=500)], ("none", "", None)),
        (lambda data, _: [from_server(data, "PA", load=b"hi")], ("data", "", 62)),
        (lambda data, _: [from_server(data, "PA", ack=101, load=b"220 hi")], ("none", "", None)),  # has not seen it
        (
            lambda data, _: [from_server(data, "PA", ack=101, load=b"220"), from_server(data, "RA", seq=504)],
            ("reset", "", 62),
        ),
        (lambda data, _: [from_server(data, "FA")], ("closed", "", 62)),
        (lambda data, _: [from_server(data, "A")], ("none", "", None)),
        (lambda data, syn_ack: [syn_ack], ("none", "", None)),
    ],
)
def test_data(tail: Callable[[Packet, Packet], Iterable[Packet]], end: tuple[str, str, int | None]) -> None:
    assert hops(overheard(tail)) == [end]


@pytest.mark.parametrize(
    ("seq", "end"),
    [(101, "hop"), (105, "hop"), (106, "none"), (100, "none")],
    ids=["first-byte", "cut-on-its-way", "beyond", "the-syn"],
)
def test_which_bytes_an_error_is_about(seq: int, end: str) -> None:
    def tail(data: Packet, _: Packet) -> list[Packet]:
        return [IP(src="10.0.0.1", dst=data.src) / ICMP(type=11) / Raw(bytes(changed(data, seq=seq))[:28])]

    assert [answer for answer, _, _ in hops(overheard(tail))] == [end]


def test_what_the_socket_alone_tells_counts_too() -> None:
    assert hops(overheard(lambda _data, _syn_ack: [], closes=True)) == [("reset", "", None)]


def test_what_the_socket_tells_is_explained_by_packets() -> None:
    assert hops(overheard(lambda data, _: [from_server(data, "RA")], closes=True)) == [("reset", "", 62)]


# -- rights -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "words"),
    [("linux", "root's rights (CAP_NET_RAW)"), ("win32", "an administrator's rights"), ("darwin", "/dev/bpf*")],
)
def test_no_rights(platform: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_raw, "_privileged", lambda: False)
    monkeypatch.setattr(trace_raw.sys, "platform", platform)
    with pytest.raises(UnavailableError, match=r"^raw packets take ") as error:
        trace_raw.listen(Net(), Address("127.0.0.1", 1))
    assert words in str(error.value)


def test_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Ears) -> None:
        raise ImportError("libpcap is not\navailable.")

    monkeypatch.setattr(trace_raw, "_privileged", lambda: True)
    monkeypatch.setattr(Ears, "open", refuse)
    with pytest.raises(UnavailableError, match=r"^raw packets take .*: libpcap is not available\.$"):
        trace_raw.listen(Net(), Address("127.0.0.1", 1))


def test_closing_twice_and_before_opening() -> None:
    ears = Ears("127.0.0.1", "127.0.0.1")
    ears.close()
    ears.close()
    assert not ears.broken
