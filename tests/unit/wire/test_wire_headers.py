"""Packets built by scapy, read back; what is cut off or damaged is None, never an exception."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoRequest,
    ICMPv6TimeExceeded,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
)
from scapy.packet import Raw

from netdiag.wire import headers
from netdiag.wire.headers import Error, Segment

V4 = {"src": "192.0.2.1", "dst": "198.51.100.9"}
V6 = {"src": "2001:db8::1", "dst": "2001:db8:9::9"}
SYN = TCP(sport=40000, dport=443, seq=0xFFFFFFFE, ack=7, flags="S")


def test_a_tcp_segment():
    data = bytes(IP(**V4, ttl=61, id=9) / TCP(sport=443, dport=40000, seq=5, ack=6, flags="PA") / Raw(b"abc"))
    assert headers.read(data + b"padding of a short frame") == Segment(
        version=4,
        source="192.0.2.1",
        target="198.51.100.9",
        ttl=61,
        protocol=headers.TCP,
        source_port=443,
        target_port=40000,
        number=5,
        ack=6,
        flags=0x18,
        size=3,
        data=3,
    )


def test_syn_and_fin_take_up_a_number_each():
    assert [headers.read(bytes(IP(**V4) / TCP(flags=flags))).size for flags in ("S", "FA", "R", "A")] == [1, 1, 0, 0]


def test_what_identifies_a_datagram():
    four = headers.read(bytes(IP(**V4, id=4711) / UDP(sport=1, dport=2) / Raw(b"xyz")))
    six = headers.read(bytes(IPv6(**V6) / UDP(sport=1, dport=2, chksum=0xBEEF) / Raw(b"xyz")))
    assert (four.number, four.data, four.size) == (4711, 3, 0)
    assert (six.number, six.data, six.size) == (0xBEEF, 3, 0)


@pytest.mark.parametrize("quoted", [8, 12, 13, 14, 20, 40])
def test_an_icmp_error_and_its_quote_of_any_length(quoted):
    quote = bytes(IP(**V4, ttl=1) / SYN / Raw(b"x" * 20))[: 20 + quoted]
    error = headers.read(bytes(IP(src="10.0.0.1", dst="192.0.2.1", ttl=64) / ICMP(type=11) / Raw(quote)))
    assert isinstance(error, Error)
    assert (error.offender, error.ttl, error.type, error.code) == ("10.0.0.1", 64, 11, 0)
    about = error.about
    assert (about.source, about.target, about.protocol) == ("192.0.2.1", "198.51.100.9", headers.TCP)
    assert (about.source_port, about.target_port, about.number) == (40000, 443, 0xFFFFFFFE)


def test_a_quote_that_ends_before_the_sequence_number_is_worth_nothing():
    quote = bytes(IP(**V4) / SYN)[:27]
    assert headers.read(bytes(IP(**V4) / ICMP(type=11) / Raw(quote))) is None


def test_a_quote_with_ip_options():
    quote = bytes(IP(**V4, options=b"\x94\x04\x00\x00") / SYN)[: 24 + 8]  # router alert
    assert headers.read(bytes(IP(**V4) / ICMP(type=3, code=13) / Raw(quote))).about.number == 0xFFFFFFFE


@pytest.mark.parametrize(
    "extensions",
    [IPv6ExtHdrDestOpt(), IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt(), IPv6ExtHdrFragment(offset=0, m=1)],
    ids=["destination", "two", "first-fragment"],
)
def test_an_ipv6_quote_with_extension_headers(extensions):
    quote = IPv6(**V6, hlim=1) / extensions / SYN
    outer = IPv6(src="fd00::1", dst=V6["src"], hlim=63) / IPv6ExtHdrHopByHop()
    error = headers.read(bytes(outer / ICMPv6TimeExceeded() / quote))
    assert (error.offender, error.ttl, error.type, error.code) == ("fd00::1", 63, 3, 0)
    assert (error.about.source_port, error.about.target_port, error.about.number) == (40000, 443, 0xFFFFFFFE)


@pytest.mark.parametrize(
    "packet",
    [
        IP(**V4) / ICMP(type=8),
        IP(**V4) / ICMP(type=5) / IP(**V4) / SYN,
        IP(**V4, frag=7) / UDP(),
        IPv6(**V6) / IPv6ExtHdrFragment(offset=7) / SYN,
        IPv6(**V6) / ICMPv6EchoRequest(),
        IPv6(**V6) / ICMPv6DestUnreach() / IPv6(**V6) / ICMPv6EchoRequest(),
        IPv6(**V6) / ICMPv6DestUnreach() / Raw(bytes(IP(**V4) / SYN)),
        IP(**V4, proto=47) / Raw(b"x" * 20),
    ],
    ids=lambda packet: packet.summary(),
)
def test_what_is_of_no_use(packet):
    assert headers.read(bytes(packet)) is None


@pytest.mark.parametrize(
    "packet",
    [
        IP(**V4) / ICMP(type=11) / IP(**V4) / SYN,
        IPv6(**V6) / IPv6ExtHdrHopByHop() / ICMPv6TimeExceeded() / IPv6(**V6) / IPv6ExtHdrDestOpt() / SYN,
    ],
    ids=["ipv4", "ipv6"],
)
def test_cut_anywhere(packet):
    whole = bytes(packet)
    found = [headers.read(whole[:length]) for length in range(len(whole) + 1)]
    assert found[0] is None
    assert isinstance(found[-1], Error)
    enough = next(length for length, value in enumerate(found) if value)
    assert enough == len(whole) - 12  # the first 8 of the quoted 20 bytes
    assert all(value and value.about.number == 0xFFFFFFFE for value in found[enough:])


@given(st.binary(max_size=120))
def test_nonsense(data):
    headers.read(data)


@given(st.binary(max_size=120), st.sampled_from([b"\x45", b"\x60", b"\x4f"]))
def test_nonsense_that_begins_well(data, start):
    headers.read(start + data)


def test_endless_extension_headers():
    assert headers.read(bytes([0x60, 0, 0, 0, 0xFF, 0xFF, 0, 64]) + bytes(32) + bytes(8) * 2000) is None
