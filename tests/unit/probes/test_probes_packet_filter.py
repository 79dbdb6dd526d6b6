"""The tap's filter, run by the kernel itself: any datagram socket takes one."""

import array
import contextlib
import socket
import struct
import sys

import pytest

from netdiag.probes.packet_filter import EVERYTHING, JA, MAX_INSTRUCTIONS, NOTHING, RET, Program, program
from tests import support
from tests.frames import SYN, Segment, Way, extended, fragments, icmp_error, ip, tcp, udp
from tests.taps import packed

HERE, THERE, ELSEWHERE = "10.0.0.5", "192.0.2.9", "198.51.100.7"
HERE_6, THERE_6, ELSEWHERE_6 = "2001:db8::5", "2001:db8:1::9", "2001:db8:1::8"
SYN_SENT = Segment(1, flags=SYN)


def way(source: str, destination: str, source_port: int = 50000, port: int = 443, options: bytes = b"") -> Way:
    return Way(packed(source), packed(destination), source_port, port, options=options)


def tcp_packet(*ends, **more) -> bytes:
    there = way(*ends, **more)
    return ip(there, 6, tcp(there, SYN_SENT))


def udp_packet(source: str, destination: str, ports: tuple[int, int], options: bytes = b"") -> bytes:
    return ip(way(source, destination, options=options), 17, udp(*ports, b"x" * 12))


def icmp4(kind: int) -> bytes:
    return ip(way("10.0.0.1", HERE), 1, icmp_error(tcp_packet(HERE, THERE)[:28], kind))


def icmp6(kind: int) -> bytes:
    return ip(way("2001:db8::1", HERE_6), 58, icmp_error(tcp_packet(HERE_6, THERE_6)[:60], kind))


def passes(filter_: Program, packet: bytes) -> bool:
    if sys.platform != "linux":
        support.missing("the filter is Linux's")
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with left, right:
        code = array.array("B", b"".join(struct.pack("=HBBI", *one) for one in filter_))
        right.setsockopt(socket.SOL_SOCKET, 26, struct.pack("@HP", len(filter_), code.buffer_info()[0]))
        right.setblocking(False)
        left.send(packet)
        with contextlib.suppress(BlockingIOError):
            return right.recv(65536) == packet
        return False


FIRST, LATER = fragments(way(HERE, THERE), 17, udp(53, 50000, b"x" * 64), [32])
FIRST_6, LATER_6 = fragments(way(HERE_6, THERE_6), 6, tcp(way(HERE_6, THERE_6), Segment(1, payload=b"x" * 64)), [32])

PACKETS = {
    "to it": (tcp_packet(HERE, THERE), True),
    "from it": (tcp_packet(THERE, HERE), True),
    "with options": (tcp_packet(HERE, THERE, options=b"\x94\x04\0\0"), True),
    "elsewhere": (tcp_packet(HERE, ELSEWHERE), False),
    "dns": (udp_packet(HERE, THERE, (50000, 53)), True),
    "dns answer": (udp_packet(THERE, HERE, (53, 50000)), True),
    "dns with options": (udp_packet(THERE, HERE, (53, 50000), b"\x94\x04\0\0"), True),
    "dns elsewhere": (udp_packet(HERE, ELSEWHERE, (50000, 53)), False),
    "other udp": (udp_packet(HERE, THERE, (50000, 443)), False),
    "first fragment": (FIRST, True),
    "later fragment": (LATER, True),
    "unreachable": (icmp4(3), True),
    "time exceeded": (icmp4(11), True),
    "parameter problem": (icmp4(12), True),
    "ping": (icmp4(8), False),
    "to it, 6": (tcp_packet(HERE_6, THERE_6), True),
    "from it, 6": (tcp_packet(THERE_6, HERE_6), True),
    "elsewhere, 6": (tcp_packet(HERE_6, ELSEWHERE_6), False),
    "extended, 6": (extended(tcp_packet(HERE_6, THERE_6), [0, 60]), True),
    "extended elsewhere, 6": (extended(tcp_packet(HERE_6, ELSEWHERE_6), [43]), False),
    "fragment, 6": (FIRST_6, True),
    "later fragment, 6": (LATER_6, True),
    "dns, 6": (udp_packet(HERE_6, THERE_6, (50000, 53)), True),
    "dns answer, 6": (udp_packet(THERE_6, HERE_6, (53, 50000)), True),
    "other udp, 6": (udp_packet(HERE_6, THERE_6, (50000, 443)), False),
    "too big, 6": (icmp6(2), True),
    "neighbour solicitation": (icmp6(135), False),
    "router advertisement": (icmp6(134), False),
    "sctp, 6": (ip(way(HERE_6, THERE_6), 132, b"x" * 20), False),
    "arp": (b"\0\1\x08\0\6\4\0\1" + bytes(20), False),
    "empty": (b"\x45", False),
}


@pytest.mark.parametrize("name", PACKETS)
def test_passes_what_concerns_the_probes(name):
    packet, expected = PACKETS[name]
    assert passes(program([THERE, THERE_6]), packet) is expected


@pytest.mark.parametrize("name", PACKETS)
def test_a_long_program_decides_alike(name):
    """Jumps farther than a byte can say."""
    many = [f"203.0.113.{n}" for n in range(200)] + [f"2001:db8:2::{n:x}" for n in range(1, 60)]
    packet, expected = PACKETS[name]
    assert passes(program([*many, THERE, THERE_6]), packet) is expected


@pytest.mark.parametrize("name", PACKETS)
def test_nothing_passes_without_addresses_but_errors(name):
    packet, expected = PACKETS[name]
    errors = name in ("unreachable", "time exceeded", "parameter problem", "too big, 6")
    assert passes(program([]), packet) is errors
    assert passes(NOTHING, packet) is False
    assert not expected or passes(program(None), packet)


def test_programs_end_and_jump_forward_within_themselves():
    for addresses in ([], [THERE], [THERE_6], None, [f"10.1.{n // 250}.{n % 250}" for n in range(600)]):
        found = program(addresses)
        assert found[-1].code == RET
        assert len(found) <= MAX_INSTRUCTIONS
        for at, one in enumerate(found):
            reach = one.k if one.code == JA else max(one.yes, one.no)
            assert at + 1 + reach < len(found) or one.code == RET
            assert max(one.yes, one.no) < 256
        assert {one.k for one in found if one.code == RET} == {0, EVERYTHING}
