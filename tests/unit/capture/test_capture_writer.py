"""pcapng files as netdiag writes them, read by netdiag's own reader; and the same packets without a file."""

import io

import pytest

from netdiag.capture.engine import analyze
from netdiag.capture.formats.live import Live
from netdiag.capture.packets import Comment
from netdiag.capture.reader import open_capture
from netdiag.capture.writer import write_pcapng
from netdiag.wire.packets import ETHERNET, SLL2, Link, Packet
from tests.taps import START, Wire


def conversation() -> Wire:
    wire = Wire(dropped=3)
    wire.open(50001)
    wire.ask(50001)
    wire.reset(50001)
    wire.died(50001)
    return wire


def written(tmp_path, packets, links, **more) -> str:
    path = tmp_path / "own.pcapng"
    with path.open("wb") as file:
        write_pcapng(file, packets, links, **more)
    return str(path)


def test_everything_comes_back(tmp_path):
    wire = conversation()
    comments = {1: ("netdiag: a", "netdiag: ü"), 5: ("netdiag: b",)}
    path = written(tmp_path, wire.each, wire.links, comments=comments, os="OS 1", application="netdiag 1", dropped=3)
    with open_capture(path) as reader:
        [batch] = list(reader)
        info = reader.info
    assert [batch.packet(n) for n in range(len(batch))] == [packet.data for packet in wire.each]
    assert batch.time_ns.tolist() == [packet.time_ns for packet in wire.each]
    assert batch.length.tolist() == [packet.length for packet in wire.each]
    assert batch.direction.tolist() == [packet.direction for packet in wire.each]
    assert [(i.linktype, i.name) for i in info.interfaces] == [(SLL2, "eth0")]
    assert (info.os, info.application, info.dropped, info.damage, info.remarks) == ("OS 1", "netdiag 1", 3, None, [])
    assert info.comments == [Comment(1, "netdiag: a"), Comment(1, "netdiag: ü"), Comment(5, "netdiag: b")]


@pytest.mark.parametrize("size", range(8))
def test_any_length_is_padded(tmp_path, size):
    packets = [Packet(bytes(range(size)), size + 100, 5, 1, 0), Packet(b"abc", 3, 2**63, 0, 0)]
    path = written(tmp_path, packets, [Link(ETHERNET, ""), Link(101, "i" * (size + 1))], comments={1: ("c" * size,)})
    with open_capture(path) as reader:
        [batch] = list(reader)
    assert [batch.packet(n) for n in range(2)] == [packets[0].data, b"abc"]
    assert batch.length.tolist() == [size + 100, 3]
    assert batch.interface.tolist() == [1, 0]
    assert reader.info.damage is None


def test_nothing_is_a_file_too(tmp_path):
    with open_capture(written(tmp_path, [], [])) as reader:
        assert list(reader) == []
        assert (reader.info.format, reader.info.damage) == ("pcapng", None)


def test_a_comment_that_no_option_can_hold_is_cut_between_characters():
    file = io.BytesIO()
    write_pcapng(file, [Packet(b"", 0, 0, 0, 0)], [Link(101, "")], comments={1: ("ü" * 40_000,)})
    assert b"\xc3\xbc" in file.getvalue()
    assert len(file.getvalue()) < 0x10200


def test_an_analysis_needs_no_file(tmp_path):
    wire = conversation()
    with open_capture(written(tmp_path, wire.each, wire.links, dropped=3)) as reader:
        of_file = analyze(reader)
    live = Live(wire.each, wire.links, dropped=3)
    of_memory = analyze(live)
    assert list(of_memory.connections.rows()) == list(of_file.connections.rows())
    assert [e.segments for e in of_memory.capture.exhibits] == [e.segments for e in of_file.capture.exhibits]
    assert of_memory.capture.icmp == of_file.capture.icmp
    assert [s.frame for s in of_memory.capture.exhibits[0].segments] == [1, 2, 3, 4, 5]
    assert of_memory.summary.dropped == of_file.summary.dropped == 3
    assert of_memory.summary.first == START
    assert live.info.bytes == sum(len(packet.data) for packet in wire.each)


def test_no_packets_are_an_analysis_too():
    assert analyze(Live((), ())).summary.packets == 0
