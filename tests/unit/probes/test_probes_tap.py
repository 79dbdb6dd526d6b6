"""The tap: what it keeps of what a packet socket hands over, and what it says where there is none."""

import errno
import socket
import struct
import sys
import types

import pytest

from netdiag.probes import packet_filter, tap, tap_elsewhere
from netdiag.probes.tap import BlindTap, Kept, PacketSocketTap, open_tap
from netdiag.wire.packets import ETHERNET, INBOUND, OUTBOUND, SLL2, Link, Packet
from tests import support
from tests.frames import SYN, Segment, Way, ethernet, ip, plain, tcp
from tests.taps import CLIENT, SERVER, packed

ARPHRD_ETHERNET, ARPHRD_LOOPBACK = 1, 772
HOST, OUTGOING = 0, 4


def segment(source: str = CLIENT, destination: str = SERVER) -> bytes:
    way = Way(packed(source), packed(destination), 50000, 443)
    return ip(way, 6, tcp(way, Segment(1, flags=SYN)))


class FakeSocket:
    """A packet socket with packets in it: (bytes, packet type, hardware type, interface, control messages)."""

    def __init__(self) -> None:
        self.waiting: list[object] = []
        self.programs: list[int] = []
        self.options: dict[tuple[int, int], object] = {}
        self.drops = 0
        self.refuse_programs_from = packet_filter.MAX_INSTRUCTIONS + 1
        self.closed = False

    def arrive(self, packet: bytes, kind=HOST, hardware=ARPHRD_ETHERNET, name="eth0", at_ns: int | None = 7) -> None:
        control = [(socket.SOL_SOCKET, 35, struct.pack("@ll", *divmod(at_ns, 10**9)))] if at_ns is not None else []
        self.waiting.append((packet, control, (name, 0x0800, kind, hardware, b"\2\0\0\0\0\1")))

    def setsockopt(self, level, option, value):
        if option == 26:
            length = struct.unpack("@HP", value)[0]
            if length >= self.refuse_programs_from:
                raise OSError(errno.ENOMEM, "no room")
            self.programs.append(length)
        self.options[level, option] = value

    def getsockopt(self, level, option, size):
        drops, self.drops = self.drops, 0
        return struct.pack("=II", 100, drops)

    def recvmsg_into(self, buffers, room, flags):
        if not self.waiting:
            raise BlockingIOError
        entry = self.waiting.pop(0)
        if isinstance(entry, OSError):
            raise entry
        packet, control, address = entry
        size = min(len(packet), len(buffers[0]))
        buffers[0][:size] = packet[:size]
        return len(packet), control, 0, address

    def close(self):
        self.closed = True


@pytest.fixture
def sock() -> FakeSocket:
    if sys.platform != "linux":
        support.missing("packet sockets are Linux's")
    return FakeSocket()


@pytest.fixture
def made(sock) -> PacketSocketTap:
    made = PacketSocketTap(sock)
    made.watch([SERVER])
    return made


def test_what_came_before_the_filter_is_not_kept(sock):
    sock.arrive(segment())
    assert PacketSocketTap(sock).packets().each == ()


def test_packets_keep_their_order_their_time_and_their_link(made, sock):
    sock.arrive(segment(), OUTGOING, at_ns=1_780_272_000_000_000_001)
    sock.arrive(segment(SERVER, CLIENT), name="wlan0", at_ns=1_780_272_000_000_000_002)
    first, second = made.packets().each
    assert (first.time_ns, first.direction, first.link) == (1_780_272_000_000_000_001, OUTBOUND, 0)
    assert (second.time_ns, second.direction, second.link) == (1_780_272_000_000_000_002, INBOUND, 1)
    assert made.packets().links == (Link(SLL2, "eth0"), Link(SLL2, "wlan0"))
    assert first.data[20:] == segment()
    assert first.data[:2] == b"\x08\0"
    assert first.length == len(segment()) + 20


def test_what_was_seen_stays(made, sock):
    sock.arrive(segment())
    before = made.packets()
    made.watch(["192.0.2.10"])
    sock.arrive(segment())
    assert made.packets().each[:1] == before.each
    made.close()
    assert len(made.packets().each) == 2
    assert sock.closed
    made.close()
    made.watch(["192.0.2.11"])


def test_loopback_shows_each_packet_once(made, sock):
    sock.arrive(segment(), OUTGOING, ARPHRD_LOOPBACK, "lo")
    sock.arrive(segment(), HOST, ARPHRD_LOOPBACK, "lo")
    [packet] = made.packets().each
    assert packet.direction == 0


def test_a_known_address_needs_no_new_filter(made, sock):
    before = list(sock.programs)
    made.watch([SERVER])
    assert sock.programs == before
    made.watch(["fe80::1%eth0"])
    assert len(sock.programs) == len(before) + 1
    made.watch(["fe80::1%eth1"])
    assert len(sock.programs) == len(before) + 1


def test_an_interface_that_vanishes_takes_no_other_with_it(made, sock):
    sock.arrive(segment(), name="")
    sock.waiting.append(OSError(errno.ENETDOWN, "down"))
    sock.arrive(segment())
    assert [packet.link for packet in made.packets().each] == [0, 1]


def test_a_packet_without_a_moment_has_that_of_reading(made, sock, monkeypatch):
    monkeypatch.setattr(tap.time, "time_ns", lambda: 42)
    sock.arrive(segment(), at_ns=None)
    assert made.packets().each[0].time_ns == 42


def test_drops_add_up(made, sock):
    sock.drops = 3
    assert made.packets().dropped == 3
    sock.drops = 2
    assert made.packets().dropped == 5


def test_room_is_limited(made, sock):
    made._kept = Kept(most=2)
    for _ in range(5):
        sock.arrive(segment())
    found = made.packets()
    assert (len(found.each), found.dropped) == (2, 3)
    assert made.limits == ("Only the first 2 packets were kept, for want of room.",)


def test_bytes_are_limited():
    kept = Kept(most_bytes=10)
    for size in (6, 6, 1):
        kept.add(Packet(bytes(size), size, 0, 0, 0))
    assert (len(kept.packets), kept.refused) == (1, 2)


def test_a_long_packet_is_cut_and_tells_its_length(made, sock):
    sock.arrive(segment() + bytes(70_000))
    [packet] = made.packets().each
    assert len(packet.data) == 20 + tap.SNAPLEN
    assert packet.length == 20 + len(segment()) + 70_000


@pytest.mark.parametrize("refuse", [True, False])
def test_addresses_without_room_in_a_program_are_told_apart_here(sock, refuse):
    made = PacketSocketTap(sock)
    many = [f"10.{n // 250}.{n % 250}.1" for n in range(50 if refuse else 1000)]
    sock.refuse_programs_from = 250 if refuse else packet_filter.MAX_INSTRUCTIONS + 1
    made.watch([SERVER, *many])
    assert sock.programs[-1] == len(packet_filter.program(None))
    sock.arrive(segment(CLIENT, "198.51.100.1"))
    sock.arrive(segment(SERVER, CLIENT))
    sock.arrive(segment(CLIENT, many[-1]))
    assert len(made.packets().each) == 2


def test_a_socket_without_filters_is_closed(sock):
    sock.refuse_programs_from = 0
    with pytest.raises(OSError, match="no room"):
        PacketSocketTap(sock)
    assert sock.closed


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(errno.EPERM, "Operation not permitted"), "CAP_NET_RAW"),
        (OSError(errno.EAFNOSUPPORT, "not supported"), "no packet sockets"),
        (OSError(errno.ENOBUFS, "No buffer space"), "No buffer space"),
    ],
)
def test_without_a_socket_the_tap_says_what_is_missing(monkeypatch, error, words):
    def refuse():
        raise error

    monkeypatch.setattr(tap, "packet_socket", refuse)
    monkeypatch.setattr(tap.sys, "platform", "linux")
    found = open_tap()
    assert isinstance(found, BlindTap)
    found.watch([SERVER])
    assert found.packets().each == ()
    found.close()
    [said] = found.limits
    assert words in said
    assert said.startswith("The packets were not seen, so the TTL")
    assert said.endswith(".")
    assert "\n" not in said


# -- scapy's live capture, on other systems


class FakeSniffer:
    """As scapy's AsyncSniffer; the last one made."""

    last: "FakeSniffer"
    fails: Exception | None = None

    def __init__(self, **options) -> None:
        self.options = options
        self.running = False
        self.exception = self.fails
        FakeSniffer.last = self

    def start(self):
        if not self.fails:
            self.running = True
            self.options["started_callback"]()

    def stop(self, *, join):
        assert not join
        self.running = False


class Ether:
    """A packet as scapy hands it over."""

    def __init__(self, data: bytes, interface: object = "en0") -> None:
        self.original, self.wirelen, self.time, self.sniffed_on = data, len(data) + 4, 1.5, interface


@pytest.fixture
def scapy(monkeypatch):
    conf = types.SimpleNamespace(l2types=types.SimpleNamespace(layer2num={Ether: ETHERNET}))
    for name, module in {
        "scapy": types.ModuleType("scapy"),
        "scapy.config": types.SimpleNamespace(conf=conf),
        "scapy.interfaces": types.SimpleNamespace(get_working_ifaces=lambda: ["en0", "lo0"]),
        "scapy.sendrecv": types.SimpleNamespace(AsyncSniffer=FakeSniffer),
    }.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(tap_elsewhere, "_privileged", lambda: True)
    monkeypatch.setattr(FakeSniffer, "fails", None)


@pytest.mark.usefixtures("scapy")
def test_scapy_keeps_what_concerns_the_probes():
    found = tap_elsewhere.open_elsewhere()
    assert (found.method, found.limits) == ("scapy", ())
    found.watch([SERVER])
    take = FakeSniffer.last.options["prn"]
    take(Ether(ethernet(plain(segment(SERVER, CLIENT)))))
    take(Ether(ethernet(plain(segment(CLIENT, "198.51.100.1")))))
    take(Ether(ethernet(plain(segment())), types.SimpleNamespace(description="Wi-Fi", name="{8A5}")))
    packets = found.packets()
    assert [(p.time_ns, p.link) for p in packets.each] == [(1_500_000_000, 0), (1_500_000_000, 1)]
    assert {p.length - len(p.data) for p in packets.each} == {4}
    assert packets.links == (Link(ETHERNET, "en0"), Link(ETHERNET, "Wi-Fi"))
    found.close()
    found.close()
    assert not FakeSniffer.last.running
    take(Ether(ethernet(plain(segment()))))
    assert len(found.packets().each) == 2


@pytest.mark.usefixtures("scapy")
def test_a_driver_that_is_missing_is_said(monkeypatch):
    monkeypatch.setattr(tap_elsewhere, "START_S", 0.0)
    monkeypatch.setattr(FakeSniffer, "fails", RuntimeError("winpcap is not\ninstalled"))
    [said] = tap_elsewhere.open_elsewhere().limits
    assert said.endswith("winpcap is not installed.")


def test_without_rights_scapy_is_not_imported(monkeypatch):
    monkeypatch.setattr(tap_elsewhere, "_privileged", lambda: False)
    monkeypatch.setitem(sys.modules, "scapy", None)
    assert isinstance(tap_elsewhere.open_elsewhere(), BlindTap)
