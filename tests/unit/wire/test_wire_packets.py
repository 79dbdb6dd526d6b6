"""The ends of single packets, whatever the link layer."""

import pytest

from netdiag.model import Flow
from netdiag.wire.packets import flow_of, sll2
from tests.frames import LINKS, Segment, Way, extended, fragments, ip, plain, tcp, udp
from tests.taps import packed

FOUR = Way(packed("10.0.0.5"), packed("192.0.2.9"), 50000, 443, options=b"\x94\x04\0\0")
SIX = Way(packed("2001:db8::5"), packed("2001:db8::9"), 50000, 443)
READ = sorted(set(LINKS) - {"snap", "cooked", "ppp", "ppp-bare"})


def expected(protocol: str, client: str, server: str) -> Flow:
    return Flow(protocol=protocol, client=client, client_port=50000, server=server, server_port=443)


PACKETS = {
    "tcp": (ip(FOUR, 6, tcp(FOUR, Segment(1))), expected("tcp", "10.0.0.5", "192.0.2.9")),
    "udp": (ip(FOUR, 17, udp(50000, 443, b"x")), expected("udp", "10.0.0.5", "192.0.2.9")),
    "tcp, 6": (ip(SIX, 6, tcp(SIX, Segment(1))), expected("tcp", "2001:db8::5", "2001:db8::9")),
    "extended": (
        extended(ip(SIX, 6, tcp(SIX, Segment(1))), [0, 43, 60]),
        expected("tcp", "2001:db8::5", "2001:db8::9"),
    ),
    "icmp": (ip(FOUR, 1, bytes(36)), None),
    "later fragment": (fragments(FOUR, 17, udp(50000, 443, bytes(64)), [32])[1], None),
    "arp": (b"\0\1\x08\0\6\4\0\1" + bytes(20), None),
}


@pytest.mark.parametrize("link", READ)
@pytest.mark.parametrize("name", PACKETS)
def test_the_ends(name, link):
    packet, flow = PACKETS[name]
    linktype, around, _ = LINKS[link]
    assert flow_of(around(plain(packet)), linktype) == flow


@pytest.mark.parametrize("name", PACKETS)
def test_any_end_of_a_packet_is_survived(name):
    packet, flow = PACKETS[name]
    for end in range(len(packet)):
        assert flow_of(packet[:end], 101) in (None, flow)


def test_endless_extensions_end():
    endless = ip(SIX, 60, b"\x3c\0" * 200)
    assert flow_of(endless, 101) is None


def test_other_links_are_not_read():
    assert flow_of(ip(FOUR, 6, tcp(FOUR, Segment(1))), 105) is None


def test_a_cooked_header():
    assert sll2(0x0800, 7, 1, 4, b"\1\2\3\4\5\6").hex() == "0800000000000007000104060102030405060000"
    assert sll2(0x86DD, 0, 32, 0, bytes(range(20)))[10:].hex() == "00080001020304050607"  # InfiniBand's are longer
