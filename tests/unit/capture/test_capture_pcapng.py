"""pcapng: blocks, sections, interfaces, options; damaged, and however the buffer cuts it."""

import ipaddress
import struct
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netdiag.capture.formats import pcapng, records
from netdiag.capture.packets import MAX_NOTES, MAX_PACKET, Comment, Drop, Interface, Process
from netdiag.capture.reader import open_capture
from netdiag.model import UsageError
from tests.pcaps import (
    DSB,
    EPB,
    IDB,
    ISB,
    NRB,
    SHB,
    START,
    block,
    epb,
    idb,
    listed,
    option,
    pb,
    shb,
    slow_pcapng,
    spb,
)
from tests.support import require_tools

NOW = START * 10**9
DATA = bytes(range(61))
BEGIN = shb() + idb()


@pytest.fixture
def read(tmp_path):
    """Reads a file with this content."""
    path = tmp_path / "a.pcapng"

    def read(data):
        path.write_bytes(data)
        with open_capture(str(path)) as reader:
            return listed(reader), reader.info

    return read


@pytest.mark.parametrize("order", ["<", ">"])
def test_every_kind_of_packet_block(read, order):
    packets, info = read(
        shb(order=order)
        + idb(order=order, snaplen=50)
        + idb(order=order, linktype=113)
        + epb(DATA, order=order, interface=1, length=1_000)
        + pb(DATA[:60], order=order, interface=1, ticks=START * 10**6 + 7, drops=3)
        + spb(DATA[:50], order=order, length=900)
        + spb(DATA[:40], order=order)
        + epb(b"", order=order)
    )
    assert [(p.frame, p.time_ns, p.data, p.length, p.interface) for p in packets] == [
        (1, NOW, DATA, 1_000, 1),
        (2, NOW + 7_000, DATA[:60], 60, 1),
        (3, 0, DATA[:50], 900, 0),
        (4, 0, DATA[:40], 40, 0),
        (5, NOW, b"", 0, 0),
    ]
    assert (info.format, info.damage, info.dropped, info.remarks) == ("pcapng", None, 3, [])
    assert info.interfaces == [Interface(1, snaplen=50), Interface(113)]


def test_sections_of_either_byte_order_have_their_own_interfaces(read):
    sections = [
        shb(order=order) + idb(order=order, linktype=linktype) * 2 + epb(DATA, order=order, interface=1)
        for order, linktype in (("<", 1), (">", 101), (">", 113), ("<", 228))
    ]
    packets, info = read(b"".join(sections))
    assert [(p.frame, p.interface) for p in packets] == [(1, 1), (2, 3), (3, 5), (4, 7)]
    assert [interface.linktype for interface in info.interfaces] == [1, 1, 101, 101, 113, 113, 228, 228]
    assert info.damage is None


def test_an_interface_of_the_section_before_is_unknown(read):
    packets, info = read(BEGIN + epb(DATA) + shb() + epb(DATA))
    assert len(packets) == 1
    assert "interface 0; the section describes 0" in info.damage.reason


def test_an_interface_is_known_only_after_its_description(read):
    packets, info = read(BEGIN + epb(DATA) + epb(DATA, interface=1) + idb() + epb(DATA, interface=1))
    assert len(packets) == 1
    assert info.damage.byte == len(BEGIN + epb(DATA))


@pytest.mark.parametrize(
    ("resolution", "ticks", "time_ns"),
    [
        (6, 1_234_567, 1_234_567_000),
        (0, 12, 12 * 10**9),
        (3, 1_234, 1_234_000_000),
        (9, 1_234_567_891, 1_234_567_891),
        (12, 1_234_567_891_234, 1_234_567_891),
        (19, 12_345_678_912_345_678_912, 1_234_567_891),
        (40, 2**63, 0),
        (127, 2**63, 0),
        (0x80, 12, 12 * 10**9),
        (0x80 | 10, 1_024 * 7 + 512, 7_500_000_000),
        (0x80 | 30, 7 << 30 | 1 << 29, 7_500_000_000),
        (0x80 | 32, 7 << 32 | 1 << 31, 7_500_000_000),
        (0x80 | 60, 7 << 60 | 1 << 59, 7_500_000_000),
        (0x80 | 63, 1 << 62, 500_000_000),
        (0x80 | 64, 1 << 63, 500_000_000),
        (0x80 | 127, 2**64 - 1, 0),
        (0, 2**64 - 1, (2**63 - 1) // 10**9 * 10**9),
    ],
)
def test_resolutions(read, resolution, ticks, time_ns):
    alone = shb() + idb(option(9, bytes([resolution]))) + epb(DATA, ticks=ticks)
    assert [p.time_ns for p in read(alone)[0]] == [time_ns]
    others = idb() + epb(DATA, interface=1) + epb(DATA, ticks=ticks) + epb(DATA, interface=1)
    assert [p.time_ns for p in read(alone + others)[0]] == [time_ns, NOW, time_ns, NOW]


@pytest.mark.parametrize(("offset", "expected"), [(5, 5), (-5, -5), (2**62, 0), (-(2**62), 0)])
def test_offsets_of_the_clock(read, offset, expected):
    begin = shb() + idb(option(14, struct.pack("<q", offset))) + idb() + epb(DATA) + epb(DATA, interface=1)
    packets, info = read(begin)
    assert [p.time_ns for p in packets] == [NOW + expected * 10**9, NOW]
    assert len(info.remarks) == (expected == 0)


def test_what_the_file_says_of_itself(read):
    def named(order):
        return (
            option(1, b"a section", order=order)
            + option(2, b"x86", order=order)
            + option(3, "Linux \xe9".encode(), order=order)
            + option(4, b"dumpcap\0", order=order)
            + option(0, b"", order=order)
            + option(1, b"after the end", order=order)
        )

    interface = (
        option(2, b"eth0", order=">") + option(3, b"to the lab", order=">") + option(1, b"an interface", order=">")
    )
    packets, info = read(shb(named(">"), order=">") + idb(interface, order=">") + shb(named("<")))
    assert packets == []
    assert (info.hardware, info.os, info.application) == ("x86", "Linux \xe9", "dumpcap")
    assert info.interfaces == [Interface(1, "eth0", "to the lab")]
    assert info.comments == [Comment(0, "a section"), Comment(0, "an interface"), Comment(0, "a section")]


@pytest.mark.parametrize("order", ["<", ">"])
def test_options_of_packets(read, order):
    def flags(value):
        return option(2, struct.pack(order + "I", value), order=order)

    def verdict(kind, value):
        return option(7, struct.pack(order + "BQ", kind, value), order=order)

    packets, info = read(
        shb(order=order)
        + idb(order=order)
        + epb(DATA, flags(1), order=order)
        + epb(DATA, order=order)
        + epb(DATA, option(1, b"one", order=order) + flags(0xFFFF0002) + option(1, b"two", order=order), order=order)
        + epb(DATA, flags(3) + option(0, b"", order=order) + option(1, b"after the end", order=order), order=order)
        + epb(DATA, option(4, struct.pack(order + "Q", 5), order=order) + verdict(1, 2), order=order)
        + epb(DATA, verdict(2, 1) + verdict(2, 2) + option(0x8001, b"????", order=order), order=order)
        + pb(DATA, flags(2), order=order)
        + epb(DATA, option(8, struct.pack(order + "II", 77, 1), order=order), order=order)
        + epb(DATA, option(1, b"PID=78 TID=9", order=order), order=order)
        + epb(DATA, option(1, b"PID=78 is mine", order=order), order=order)
    )
    assert [p.direction for p in packets] == [1, 0, 2, 0, 0, 0, 2, 0, 0, 0]
    assert info.comments == [Comment(3, "one"), Comment(3, "two"), Comment(10, "PID=78 is mine")]
    assert info.dropped == 5
    assert info.drops == [
        Drop(5, "dropped by traffic control (TC_ACT_SHOT)"),
        Drop(6, "dropped by an eBPF program (XDP_DROP)"),
    ]
    assert info.processes == [Process(77, ""), Process(78, "")]
    assert info.process_of_frame == {8: 0, 9: 1}
    assert info.remarks == []


@pytest.mark.parametrize(
    ("options", "remarks"),
    [
        (option(1, b"abcd", length=500), 1),
        (option(2, b"abcd", length=65_535), 1),
        (option(2, b"abc"), 0),
        (option(4, b"abcd"), 0),
        (option(7, b""), 0),
        (option(8, b"abcd"), 0),
        (option(1, b""), 0),
        (option(3, b"") * 1_000, 0),
        (b"\xff" * 400, 1),
    ],
)
def test_bad_options_are_left_out(read, options, remarks):
    packets, info = read(BEGIN + epb(DATA, options) + epb(DATA) + block(ISB, bytes(12) + options) + shb(options))
    assert [(p.data, p.direction) for p in packets] == [(DATA, 0), (DATA, 0)]
    assert (info.comments, info.damage, len(info.remarks)) == ([], None, remarks)


def test_names_statistics_and_secrets(read):
    four, six = ipaddress.ip_address("10.0.0.1").packed, ipaddress.ip_address("2001:db8::1").packed
    names = (
        option(1, four + b"one.example\0uno.example\0")
        + option(2, six + b"six.example\0")
        + option(1, four + b"one.example\0first.example\0")
        + option(9, b"other")
        + option(1, b"10")
        + option(0, b"")
    )
    log = b"CLIENT_RANDOM 00 11\r\nCLIENT_RANDOM 22 33\n\n"
    lost = option(4, struct.pack("<Q", 9)) + option(5, struct.pack("<Q", 2)) + option(7, struct.pack("<Q", 3))
    packets, info = read(
        BEGIN
        + block(NRB, names + option(1, b"names of ours"))
        + block(DSB, struct.pack("<II", 0x544C534B, len(log)) + log)
        + block(DSB, struct.pack("<II", 0x57474B4C, len(log)) + log)
        + epb(DATA)
        + block(ISB, struct.pack("<III", 0, 0, 0) + option(5, struct.pack("<Q", 1)))
        + block(ISB, struct.pack("<III", 0, 0, 0) + lost + option(1, b"the end"))
        + block(ISB, struct.pack("<III", 7, 0, 0) + lost)
    )
    assert len(packets) == 1
    assert info.names == {
        "10.0.0.1": ("one.example", "uno.example", "first.example"),
        "2001:db8::1": ("six.example",),
    }
    assert info.tls_secrets == ["CLIENT_RANDOM 00 11", "CLIENT_RANDOM 22 33"]
    assert info.dropped == 5
    assert info.comments == [Comment(0, "names of ours"), Comment(0, "the end")]


@pytest.mark.parametrize("kind", [NRB, ISB, DSB])
@pytest.mark.parametrize("body", [b"", b"\1", b"\1\0\xff\xff", b"\xff" * 40, struct.pack("<HH", 1, 4) + bytes(4)])
def test_bad_notes_are_left_out(read, kind, body):
    packets, info = read(BEGIN + block(kind, body) + epb(DATA))
    assert (len(packets), info.damage, info.names, info.tls_secrets) == (1, None, {}, [])


def test_notes_are_bounded(read):
    packets, info = read(BEGIN + epb(DATA, option(1, b"a comment") + option(8, b"12345678")) * (MAX_NOTES + 10))
    assert len(packets) == MAX_NOTES + 10
    assert len(info.comments) == len(info.process_of_frame) == MAX_NOTES
    assert len(read(BEGIN + epb(DATA, option(1, b"c" * 60_000)))[1].comments[0].text) == 4_096


@pytest.mark.parametrize("kind", [0xBAD, 0x40000BAD, 9, 0x204])
def test_blocks_that_wireshark_numbers(read, kind):
    other = block(kind, struct.pack("<I", 32_473) + b"words")
    packets, info = read(BEGIN + other + epb(DATA) * 2 + other * 3 + epb(DATA) + other)
    assert [p.frame for p in packets] == [2, 3, 7]
    assert (info.skipped, info.damage) == (5, None)


def test_gaps_in_the_numbers_are_bounded(read, monkeypatch):
    monkeypatch.setattr(pcapng, "MAX_GAPS", 3)
    packets, info = read(BEGIN + (block(0xBAD, bytes(4)) + epb(DATA)) * 5)
    assert [p.frame for p in packets] == [2, 4, 6, 7, 8]
    assert len(info.remarks) == 1


@pytest.mark.parametrize("kind", [7, 0x80000001, 0x12345678])
@pytest.mark.parametrize("size", [0, 5, 9_000_000, 30_000_000])
def test_unknown_blocks_are_skipped(read, kind, size):
    unknown = block(kind, bytes(size))
    packets, info = read(BEGIN + epb(DATA) + unknown + epb(DATA) * 2)
    assert [p.frame for p in packets] == [1, 2, 3]
    assert (info.damage, info.bytes) == (None, len(BEGIN) + len(unknown) + 3 * len(epb(DATA)))


def test_padding_that_lengths_forget(read):
    body = struct.pack("<5I", 0, 0, 1, 57, 57) + bytes(57)
    packets, info = read(BEGIN + block(EPB, body, total=32 + 57) + block(7, bytes(8), total=18, trailer=20) + epb(DATA))
    assert [(len(p.data)) for p in packets] == [57, 61]
    assert info.damage is None


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        (epb(DATA, trailer=7), "two lengths differ: 96 and 7"),
        (block(7, bytes(8), trailer=0), "two lengths differ: 20 and 0"),
        (epb(DATA, interface=3), "interface 3; the section describes 1"),
        (epb(DATA, caplen=600), "600 captured bytes does not fit"),
        (epb(DATA, caplen=65), "65 captured bytes does not fit"),
        (epb(DATA, caplen=2**32 - 1), "4294967295 captured bytes does not fit"),
        (epb(bytes(MAX_PACKET + 4)), "262148 captured bytes does not fit"),
        (spb(DATA, length=65), "65 captured bytes does not fit"),
        (struct.pack("<III", EPB, 8, 8), "claims 8 bytes"),
        (struct.pack("<III", ISB, 0, 0), "claims 0 bytes"),
        (struct.pack("<III", EPB, 28, 0) + bytes(12) + struct.pack("<I", 28), "does not fit"),
        (struct.pack("<III", EPB, 2**31, 0), "claims 2147483648 bytes; no packet"),
        (struct.pack("<III", 7, 2**31, 0), "cut in the middle of a block"),
        (epb(DATA)[:-1], "cut in the middle of a block"),
        (epb(DATA)[:11], "cut in the middle of a block"),
        (b"\0", "cut in the middle of a block"),
        (b"\xff" * 50, "cut in the middle of a block"),
        (shb(magic=0x1A2B3C4E), "magic"),
        (shb(version=(2, 0)), "version 2.0"),
        (block(SHB, struct.pack("<I", 0x1A2B3C4D)), "section header is too short"),
        (block(IDB, bytes(4)), "interface description is too short"),
        (shb() + spb(DATA), "interface 0; the section describes 0"),
    ],
)
def test_damage_ends_reading(read, rest, words):
    good = BEGIN + epb(DATA) * 3
    packets, info = read(good + rest + (b"" if words.startswith("cut") else epb(DATA)))
    if len(rest) > len(shb()) and rest.startswith(shb()):
        good += shb()
    assert [p.frame for p in packets] == [1, 2, 3]
    assert (info.damage.frame, info.damage.byte) == (3, len(good))
    assert words in info.damage.reason


def test_too_many_turns(read):
    turn = shb(order=">") + idb(order=">") + epb(DATA, order=">") + BEGIN + epb(DATA)
    packets, info = read(turn * 40)
    assert (len(packets), info.damage) == (80, None)
    packets, info = read(turn * 60)
    assert len(packets) == info.damage.frame == 101
    assert "byte order" in info.damage.reason


def test_blocks_without_packets_are_bounded(read, monkeypatch):
    monkeypatch.setattr("netdiag.capture.formats.pcapng_blocks._MAX_BLOCKS", 5)
    comment = block(ISB, bytes(12) + option(1, b"words"))
    packets, info = read(BEGIN + epb(DATA) + comment * 6 + epb(DATA))
    assert (len(packets), len(info.comments), len(info.remarks), info.damage) == (2, 5, 1, None)
    packets, info = read((BEGIN + epb(DATA)) * 6)
    assert (len(packets), info.damage.reason) == (5, "more than 5 sections")


def test_interfaces_are_bounded(read, monkeypatch):
    monkeypatch.setattr("netdiag.capture.formats.pcapng_blocks._MAX_INTERFACES", 5)
    packets, info = read(BEGIN + epb(DATA) + idb() * 4 + epb(DATA, interface=4) + idb() + epb(DATA))
    assert (len(packets), info.damage.frame) == (2, 2)
    assert "more than 5 interfaces" in info.damage.reason


@pytest.mark.parametrize("size", [4, 11, 12, 27])
def test_a_header_that_is_cut(read, size):
    with pytest.raises(UsageError, match=r"a\.pcapng: .*within its header$"):
        read(shb()[:size])


def test_an_empty_capture(read):
    packets, info = read(shb())
    assert (packets, info.damage, info.interfaces) == ([], None, [])


def many(sizes, order="<"):
    return b"".join(
        epb(bytes([size & 0xFF]) * size, order=order, ticks=START * 10**6 + number, length=size + 7)
        for number, size in enumerate(sizes)
    )


@pytest.mark.parametrize("buffer", [2_048, 10_008, 8_388_608])
@pytest.mark.parametrize("order", ["<", ">"])
def test_however_the_buffer_cuts_it(read, monkeypatch, buffer, order):
    monkeypatch.setattr(records, "BUFFER", buffer)
    monkeypatch.setattr(pcapng, "BUFFER", buffer)
    data = shb(order=order) + idb(order=order)
    data += (many([60, 66, 1_514, 96, 96, 0, 1_000] * 1_000, order) + block(7, bytes(5_000), order=order)) * 3
    packets, info = read(data)
    assert packets == slow_pcapng(data)[0]
    assert len(packets) == 21_000
    assert (info.damage, info.bytes) == (None, len(data))


@settings(deadline=None, max_examples=400)
@given(st.data())
def test_damaged_files_end_where_the_slow_reader_ends(tmp_path_factory, data):
    blocks = {
        order: [
            shb(order=order),
            idb(order=order),
            idb(order=order, snaplen=40),
            epb(DATA, order=order),
            epb(DATA, order=order, interface=1),
            epb(b"", option(1, b"words", order=order), order=order),
            pb(DATA, order=order),
            spb(DATA[:40], order=order),
            block(0xBAD, bytes(8), order=order),
            block(7, bytes(10), order=order),
            block(NRB, bytes(8), order=order),
        ]
        for order in "<>"
    }
    content = bytearray()
    for order in data.draw(st.lists(st.sampled_from("<>"), min_size=1, max_size=3)):
        content += b"".join(blocks[order][:2])
        content += b"".join(data.draw(st.lists(st.sampled_from(blocks[order]), max_size=15)))
    for at, value in data.draw(st.lists(st.tuples(st.integers(28, 3_000), st.integers(0, 255)), max_size=4)):
        if at < len(content):
            content[at] = value
    del content[28 + data.draw(st.integers(0, 5_000)) :]
    path = tmp_path_factory.getbasetemp() / "damaged.pcapng"
    path.write_bytes(content)
    with open_capture(str(path)) as reader:
        packets = listed(reader)
    slow, end = slow_pcapng(bytes(content))
    assert [(p.frame, p.data, p.length, p.interface) for p in packets] == [
        (p.frame, p.data, p.length, p.interface) for p in slow
    ]
    assert (reader.info.damage and reader.info.damage.byte) == end


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=400))
def test_noise_never_raises(tmp_path_factory, rest):
    path = tmp_path_factory.getbasetemp() / "noise.pcapng"
    path.write_bytes(BEGIN + rest)
    with open_capture(str(path)) as reader:
        packets = listed(reader)
    assert sum(len(packet.data) for packet in packets) <= len(rest)


@pytest.mark.parametrize(
    "content",
    [
        BEGIN + many([60, 1_514, 96] * 20),
        BEGIN + many([60, 1_514, 96] * 20)[:-7],
        shb(order=">") + idb(option(9, b"\x09", order=">"), order=">") + epb(DATA, order=">", ticks=NOW + 123_456_789),
        shb() + idb(option(9, b"\x8a")) + epb(DATA, ticks=START * 1_024 + 333),
        shb() + idb(option(14, struct.pack("<q", 100))) + epb(DATA),
        BEGIN + epb(DATA) + shb(order=">") + idb(order=">") + epb(DATA, order=">") + BEGIN + epb(DATA),
        BEGIN + epb(DATA) + epb(DATA, interface=1) + epb(DATA),
        BEGIN + epb(DATA) + epb(DATA, trailer=7) + epb(DATA),
        BEGIN + epb(DATA) + block(7, bytes(9)) + pb(DATA) + epb(DATA, length=10),
        shb() + idb(snaplen=40) + epb(DATA) + spb(DATA[:40], length=61) + epb(DATA),
        BEGIN + epb(DATA) + block(0xBAD, struct.pack("<I", 32_473) + b"abcd") + epb(DATA),
        BEGIN + epb(DATA) + shb(version=(2, 0)) + idb() + epb(DATA),
        shb(version=(1, 2)) + idb() + epb(DATA),
        BEGIN + epb(DATA) + epb(bytes(MAX_PACKET)) + epb(bytes(MAX_PACKET + 1)) + epb(DATA),
    ],
)
def test_wireshark_reads_the_same(tmp_path, content):
    (tshark,) = require_tools("tshark")
    path = tmp_path / "a.pcapng"
    path.write_bytes(content)
    fields = ("frame.number", "frame.time_epoch", "frame.cap_len", "frame.len", "frame.protocols")
    run = subprocess.run(
        [tshark, "-n", "-r", path, "-T", "fields", *(part for field in fields for part in ("-e", field))],
        capture_output=True,
        text=True,
    )
    theirs = [line.split("\t")[:4] for line in run.stdout.splitlines() if line.split("\t")[4].startswith("eth")]
    with open_capture(str(path)) as reader:
        found = [
            [
                str(p.frame),
                f"{p.time_ns // 10**9}.{p.time_ns % 10**9:09}" if p.time_ns else "",
                f"{len(p.data)}",
                f"{p.length}",
            ]
            for p in listed(reader)
        ]
    assert found
    assert found == theirs
