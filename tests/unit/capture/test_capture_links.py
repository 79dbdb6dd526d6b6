"""Link layers, tunnels and lengths that generated traffic does not have, byte by byte."""

from __future__ import annotations

import struct

import pytest

from netdiag.capture.decoding import LINK_LAYERS
from tests.frames import ACK, SYN, Frame, Segment, Way, ethernet, ip, plain, tcp, udp
from tests.unit.capture.test_capture_engine import CLIENT, START_NS, differences, fast, fast_rows

SIX = Way(bytes(15) + b"\1", bytes(15) + b"\2", 50000, 443)
PACKET = ip(CLIENT, 6, tcp(CLIENT, Segment(1000, 0, SYN, payload=b"early")))


def frame(data: bytes, linktype: int = 1, *, length: int | None = None, at: int = START_NS, number: int = 1) -> Frame:
    return number, at, linktype, data, len(data) if length is None else length


def in_udp(source: int, destination: int, payload: bytes) -> bytes:
    return ethernet(plain(ip(CLIENT, 17, udp(source, destination, payload))))


def l2tp(flags: int, fields: int, ppp: bytes = b"\xff\x03\x00\x21") -> bytes:
    return struct.pack("!H", flags) + bytes(fields) + ppp + PACKET


INFINIBAND = bytes(40) + b"\x08\x00\x00\x00" + PACKET
JUNIPER = b"MGC\x80\x00\x03\x01\x01\x06" + ethernet(plain(PACKET))


@pytest.mark.parametrize(
    ("linktype", "data"),
    [
        pytest.param(242, INFINIBAND, id="infiniband"),
        pytest.param(178, JUNIPER, id="juniper"),
        pytest.param(178, b"MGC\x01" + ethernet(plain(PACKET)), id="juniper-bare"),
        pytest.param(1, bytes(12) + b"\x89\x03\x40\x20" + ethernet(plain(PACKET)), id="fabricpath"),
        pytest.param(1, in_udp(1701, 40000, l2tp(0x0002, 4)), id="l2tp"),
        pytest.param(1, in_udp(40000, 1701, l2tp(0x4802, 10, b"\x21")), id="l2tp-length-sequence"),
        pytest.param(
            1, in_udp(40000, 1701, b"\x02\x02" + bytes(4) + b"\x00\x03???\x00\x21" + PACKET), id="l2tp-offset"
        ),
    ],
)
def test_link_layers_and_tunnels(linktype: int, data: bytes) -> None:
    done = fast([frame(data, linktype)])
    (row,) = done.connections.rows()
    assert (row.client, row.client_port, row.server, row.server_port) == ("10.0.0.5", 50000, "192.0.2.80", 443)
    assert (row.syn, row.bytes_client) == (1, 5)
    assert done.summary.udp_packets == 0


@pytest.mark.parametrize("linktype", sorted(LINK_LAYERS))
def test_no_header_is_read_beyond_its_packet(linktype: int) -> None:
    """Packets of every length up to a header's, of bytes that promise more."""
    frames = [
        frame(bytes([value]) * size, linktype)
        for value in (0, 0x0F, 0x45, 0x4D, 0x60, 0x81, 0x88, 0xFF)
        for size in range(60)
    ]
    assert not fast_rows([(n, *each[1:]) for n, each in enumerate(frames, 1)])


@pytest.mark.parametrize("data", [b"MGC\x82" + bytes(60), b"XYZ\x00" + ethernet(plain(PACKET))])
def test_juniper_without_ethernet(data: bytes) -> None:
    assert not fast_rows([frame(data, 178)])


def test_l2tp_control_message_is_no_tunnel() -> None:
    done = fast([frame(in_udp(1701, 1701, l2tp(0xC802, 10)))])
    assert (len(done.connections), done.summary.udp_packets) == (0, 1)


@pytest.mark.parametrize("length", [0, 20, 2**32 - 1])
def test_wrong_length_on_the_wire(length: int) -> None:
    """What was captured was there, whatever the record tells (as for Wireshark)."""
    frames = [frame(ethernet(plain(PACKET)), length=length)]
    done = fast(frames)
    assert not differences(frames, done)
    assert [row.bytes_client for row in done.connections.rows()] == [5]


@pytest.mark.parametrize(("size", "rows"), [(70_000, 1), (65_536 - 28, 1), (65_535 - 28, 0)])
def test_jumbogram(size: int, rows: int) -> None:
    """RFC 2675 §3: the option counts, if it tells of more than 65,535 bytes."""
    segment = tcp(SIX, Segment(1, 1, ACK, payload=bytes(size)))
    options = struct.pack("!BBBBI", 6, 0, 0xC2, 4, len(segment) + 8)
    frames = [frame(ip(SIX, 0, options + segment, total=0), 101)]
    done = fast(frames)
    assert not differences(frames, done)
    assert [row.bytes_client + row.bytes_server for row in done.connections.rows()] == [size] * rows


def test_one_packet_is_one_segment() -> None:
    """A datagram between the ports of GTP-U and VXLAN that reads as both: only one of them counts."""
    inner = b"\x45\x00\x00\x3c\x00\x01\x00\x00\x40\x06\x00\x00" + b"\x08\x00\x45\x00" + b"\x00\x3c\x00\x02"
    segment = b"\x00\x00\x40\x06\x00\x00" + b"\x0a\x00\x00\x01" + b"\x0a\x00\x50\x02" + bytes(40)
    data = in_udp(2152, 4789, b"\x30\xff\x00\x3c\x00\x00\x00\x07" + inner + segment)
    done = fast([frame(data), frame(ethernet(plain(PACKET)), number=2)])
    assert [(row.packets_client + row.packets_server) for row in done.connections.rows()] == [1, 1]
    assert done.summary.tcp_packets == 2


def test_first_and_last_moment() -> None:
    """Times before 1970 count; a packet whose time the format does not tell (0) has none."""
    data = ethernet(plain(PACKET))
    for times, first, last in (((-5, -3), -5, -3), ((0, 7, 9), 7, 9), ((0, 0), 0, 0), ((-2, 0, 4), -2, 4)):
        frames = [frame(data, at=at * 10**9, number=n) for n, at in enumerate(times, 1)]
        for size in (1, 10):
            summary = fast(frames, size).summary
            assert (summary.first, summary.last) == (first, last)
