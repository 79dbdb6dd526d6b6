"""pcap in every variant, however damaged, and however the buffer cuts it."""

import struct
import subprocess

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netdiag.capture.formats import records
from netdiag.capture.packets import MAX_PACKET, Interface
from netdiag.capture.reader import open_capture
from netdiag.model import UsageError
from tests.pcaps import START, Packet, listed, pcap_header, record, slow_pcap
from tests.support import require_tools

FRAMES = [bytes(range(60)), b"", b"\x02" * 1_514, b"\x03" * 61]


@pytest.fixture
def read(tmp_path):
    """Reads a file with this content."""
    path = tmp_path / "a.pcap"

    def read(data):
        path.write_bytes(data)
        with open_capture(str(path)) as reader:
            return listed(reader), reader.info

    return read


def numbered(unit=1_000, swapped=False):
    return [Packet(n + 1, (START + n) * 10**9 + n * unit, data, len(data) + n) for n, data in enumerate(FRAMES)]


def body(order="<", **choices):
    return b"".join(
        record(data, order=order, at=(START + n, n), length=len(data) + n, **choices) for n, data in enumerate(FRAMES)
    )


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "unit"), [(0xA1B2C3D4, 1_000), (0xA1B23C4D, 1)])
def test_byte_orders_and_resolutions(read, order, magic, unit):
    packets, info = read(pcap_header(order, magic, snaplen=96, network=113) + body(order))
    assert packets == numbered(unit)
    assert (info.format, info.interfaces, info.damage, info.compression) == (
        "pcap",
        [Interface(113, snaplen=96)],
        None,
        "",
    )
    assert info.bytes == len(pcap_header() + body())


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("magic", "rest"),
    [
        (0xA1B2CD34, struct.pack("<IHBB", 2, 0x0800, 4, 0)),  # Kuznetzov's second patch
        (0xA1B2CD34, struct.pack("<IHB5s", 2, 0x0800, 0, b"\xaa" * 5)),  # SuSE 6.3
        (0xA1B2C3D4, struct.pack("<IHBB", 2, 0x0800, 4, 0)),  # Red Hat 6.1
        (0xA1B2C3D4, struct.pack("<I", 0x9FBFB601)),  # Nokia
    ],
)
def test_longer_record_headers(read, order, magic, rest):
    if order == ">":
        rest = rest[3::-1] + (rest[5:3:-1] + rest[6:] if len(rest) > 4 else b"")
    packets, info = read(pcap_header(order, magic) + body(order, rest=rest))
    assert packets == numbered()
    assert info.damage is None


@pytest.mark.parametrize(("magic", "unit"), [(0x1C0001AC, 1), (0x1C0001AB, 1_000)])
@pytest.mark.parametrize("order", ["<", ">"])
def test_ixia(read, order, magic, unit):
    packets, _ = read(pcap_header(order, magic, rest=b"size") + body(order))
    assert packets == numbered(unit)


@pytest.mark.parametrize(("version", "swapped"), [((2, 2), True), ((2, 3), False), ((2, 3), True), ((543, 0), True)])
def test_lengths_that_changed_places(read, version, swapped):
    packets, _ = read(pcap_header(version=version) + body(swapped=swapped))
    assert packets == numbered()


@pytest.mark.parametrize(("network", "linktype"), [(6, 1), (9, 6), (15, 10), (24, 0)])
def test_aix(read, network, linktype):
    packets, info = read(pcap_header(version=(2, 2), network=network) + body(swapped=True))
    assert packets == numbered(unit=1)
    assert info.interfaces == [Interface(linktype, snaplen=65_535)]


@pytest.mark.parametrize(
    ("network", "linktype"),
    [(0x54000001, 1), (0x00000071, 113), (0x00010001, 0x00010001), (0xF4000065, 101)],
)
def test_check_sequences_are_no_part_of_the_link_type(read, network, linktype):
    _, info = read(pcap_header(network=network))
    assert [interface.linktype for interface in info.interfaces] == [linktype]


def test_an_empty_capture(read):
    packets, info = read(pcap_header())
    assert (packets, info.damage, info.bytes) == ([], None, 24)


@pytest.mark.parametrize("snaplen", [0, 1, 2**32 - 1])
def test_the_header_s_snaplen_is_not_believed(read, snaplen):
    assert read(pcap_header(snaplen=snaplen) + body())[0] == numbered()


def test_odd_lengths_and_times_are_tolerated(read):
    odd = record(b"\x05" * 40, at=(2**32 - 1, 2**32 - 1), length=20) + record(b"", at=(0, 0), length=2**32 - 1)
    packets, info = read(pcap_header() + odd)
    assert [(p.length, p.time_ns) for p in packets] == [
        (20, (2**32 - 1) * (10**9 + 1_000)),
        (2**32 - 1, 0),
    ]
    assert info.damage is None


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        (record(b"", caplen=MAX_PACKET + 1), "claims 262145 captured bytes"),
        (record(b"", caplen=2**32 - 1), "claims 4294967295 captured bytes"),
        (record(b"\0" * 50, caplen=MAX_PACKET), "cut in the middle of a packet"),
        (record(b"\0" * 50)[:-1], "cut in the middle of a packet"),
        (record(b"\0" * 50)[:16], "cut in the middle of a packet"),
        (record(b"\0" * 50)[:15], "cut in the middle of a record's header"),
        (b"\0", "cut in the middle of a record's header"),
    ],
)
def test_damage_ends_reading(read, rest, words):
    good = pcap_header() + body()
    packets, info = read(good + rest)
    assert packets == numbered()
    assert (info.damage.frame, info.damage.byte) == (len(FRAMES), len(good))
    assert words in info.damage.reason


def test_damage_in_the_middle(read):
    good = pcap_header() + body()
    packets, info = read(good + record(b"", caplen=2**31) + body())
    assert packets == numbered()
    assert info.damage.byte == len(good)


def test_the_longest_packet(read):
    packets, info = read(pcap_header() + record(b"\x07" * MAX_PACKET))
    assert [len(p.data) for p in packets] == [MAX_PACKET]
    assert info.damage is None


@pytest.mark.parametrize("size", [4, 10, 23])
def test_a_header_that_is_cut(read, size):
    with pytest.raises(UsageError, match=r"a\.pcap: .*within its header$"):
        read(pcap_header()[:size])


@pytest.mark.parametrize("magic", [0x1C0001AC, 0xA1B2C3D4])
def test_versions_before_2(read, magic):
    with pytest.raises(UsageError, match=r"a\.pcap: .*version 1\.9"):
        read(pcap_header(magic=magic, version=(1, 9), rest=b"size") + body())


def many(sizes, seed=1):
    return b"".join(
        record(bytes([size & 0xFF]) * size, at=(START + number // 50, number * seed % 10**6), length=size + 7)
        for number, size in enumerate(sizes)
    )


@pytest.mark.parametrize("buffer", [2_048, 10_007, 8_388_608])
def test_however_the_buffer_cuts_it(read, monkeypatch, buffer):
    monkeypatch.setattr(records, "BUFFER", buffer)
    data = pcap_header() + many([60, 66, 1_514, 96, 96, 0, 1_000] * 3_000)
    packets, info = read(data)
    assert packets == slow_pcap(data)[0]
    assert len(packets) == 21_000
    assert info.bytes == len(data)


def test_batches_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "BATCH_PACKETS", 100)
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap_header() + many([0] * 1_050))
    with open_capture(str(path)) as reader:
        found = [(batch.first_frame, len(batch)) for batch in reader]
    assert found == [(1 + 100 * n, 100) for n in range(10)] + [(1_001, 50)]


def lanes(monkeypatch, data, shape, guess):
    """What ``starts`` finds with lanes, even in little data."""
    monkeypatch.setattr(records, "_FIRST", 2)
    monkeypatch.setattr(records, "_FEW", 4)
    monkeypatch.setattr(records, "_FEW_LANES", 2)
    monkeypatch.setattr(records, "_STEPS", 3)
    buffer = records.Buffer(None)
    buffer.filled = len(data)
    buffer.bytes[: len(data)] = data
    return records.starts(buffer, shape, guess).tolist()


def chain(data, shape):
    """The same, by the definition."""
    found = []
    at = 0
    while at < len(data):
        found.append(at)
        (length,) = struct.unpack_from(shape.order + "I", data + bytes(64), at + shape.at)
        length = -(-(length + shape.more) // shape.align) * shape.align
        if length < shape.least:
            break
        at += length
    return found


SHAPES = [records.Shape(8, "<", 16), records.Shape(4, ">", align=4, least=12), records.Shape(0, "<", align=4, least=4)]


@pytest.fixture(scope="module")
def patch():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(records, "BUFFER", 16_384)
        yield patch


@settings(deadline=None, max_examples=300)
@given(
    shape=st.sampled_from(SHAPES),
    lengths=st.lists(st.sampled_from([0, 4, 12, 16, 40, 41, 100, 700, 5_000]), min_size=1, max_size=300),
    guesses=st.lists(st.integers(0, 60), min_size=1, max_size=10),
)
def test_lanes_find_what_one_walk_finds(patch, shape, lengths, guesses):
    """Whatever is guessed: where records start, near it, or nowhere."""
    data = b""
    for length in lengths:
        field = struct.pack(shape.order + "I", length)
        size = -(-(length + shape.more) // shape.align) * shape.align
        data += (bytes(shape.at) + field).ljust(size, b"\x10")
    data = data[:16_384]
    truth = chain(data, shape)
    calls = iter(range(10**9))

    def guess_one(at, end):
        off = guesses[next(calls) % len(guesses)]
        right = next((start for start in truth if start >= at), -1)
        found = right if off < 40 else -1 if off == 40 else at + off
        return found if found < end else -1

    def guess(places, end):
        return np.array(list(map(guess_one, places.tolist(), end.tolist())), np.int64)

    assert lanes(patch, data, shape, guess) == truth


def test_damage_in_the_third_record_can_make_it_nokia(read):
    """As in Wireshark ("Nokia tcpdump - pcap"): with headers of 20 bytes nothing is wrong until the file ends."""
    content = bytearray(pcap_header() + b"".join(record(b"\xee" * size, at=(START, 5)) for size in (1, 96, 0)))
    content[164] = 1  # the third record's captured length
    packets, _ = read(bytes(content))
    assert [packet.data for packet in packets[:2]] == [bytes(content[44:45]), bytes(content[65:161])]


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_damaged_files_end_where_the_slow_reader_ends(tmp_path_factory, patch, data):
    order = data.draw(st.sampled_from("<>"))
    sizes = data.draw(st.lists(st.sampled_from([0, 1, 40, 60, 66, 96, 1_000]), max_size=60))
    content = bytearray(
        pcap_header(order, data.draw(st.sampled_from([0xA1B2C3D4, 0xA1B23C4D])))
        + b"".join(record(b"\xee" * size, order=order, at=(START, 5)) for size in sizes)
    )
    decisive = max(120, 24 + sum(16 + size for size in sizes[:3]))
    for at, value in data.draw(st.lists(st.tuples(st.integers(24, 30_000), st.integers(0, 255)), max_size=4)):
        if decisive <= at < len(content):  # the first records decide upon the variant
            content[at] = value
    del content[24 + data.draw(st.integers(0, 60_000)) :]
    path = tmp_path_factory.getbasetemp() / "damaged.pcap"
    path.write_bytes(content)
    with open_capture(str(path)) as reader:
        packets = listed(reader)
    slow, end = slow_pcap(bytes(content))
    if any(packet.length < len(packet.data) for packet in slow[:3]):
        return  # Wireshark too takes such a file for one of the variants
    assert packets == slow
    assert (reader.info.damage and reader.info.damage.byte) == end
    assert (reader.info.damage and reader.info.damage.frame) == (end and len(slow))


@settings(deadline=None, max_examples=200)
@given(
    start=st.sampled_from([pcap_header(), pcap_header(magic=0xA1B2CD34), pcap_header(magic=0x1C0001AC, rest=b"size")]),
    rest=st.binary(max_size=400),
)
def test_noise_never_raises(tmp_path_factory, start, rest):
    path = tmp_path_factory.getbasetemp() / "noise.pcap"
    path.write_bytes(start + rest)
    with open_capture(str(path)) as reader:
        packets = listed(reader)
    assert sum(len(packet.data) for packet in packets) <= len(rest)


def tshark(path):
    (program,) = require_tools("tshark")
    fields = ("frame.number", "frame.time_epoch", "frame.cap_len", "frame.len")
    run = subprocess.run(
        [program, "-n", "-r", path, "-T", "fields", *(part for field in fields for part in ("-e", field))],
        capture_output=True,
        text=True,
    )
    found = []
    for line in run.stdout.splitlines():
        frame, time, caplen, length = line.split("\t")
        whole, _, fraction = time.partition(".")
        time_ns = int(whole or 0) * 10**9 + int(fraction.ljust(9, "0") or 0)
        found.append((int(frame), time_ns, int(caplen), int(length)))
    return found


def ours(path):
    with open_capture(str(path)) as reader:
        return [(p.frame, p.time_ns, len(p.data), p.length) for p in listed(reader)]


@pytest.mark.parametrize("kind", ["pcap", "nsecpcap", "modpcap", "nokiapcap", "rh6_1pcap", "suse6_3pcap", "pcapng"])
def test_editcap_s_files(tmp_path, kind):
    (editcap,) = require_tools("editcap")
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap_header(snaplen=65_535) + many([60, 66, 1_514, 96, 96, 54, 1_000] * 40))
    converted = tmp_path / f"b.{kind}"
    subprocess.run([editcap, "-F", kind, path, converted], check=True, capture_output=True)
    found = ours(converted)
    assert len(found) == 280
    assert found == tshark(converted) == ours(path)


@pytest.mark.parametrize(
    "content",
    [
        pcap_header() + many([60, 1_514, 96] * 20)[:-7],
        pcap_header(version=(2, 3)) + body(swapped=True),
        pcap_header(version=(2, 2)) + body(swapped=True),
        pcap_header(">", 0xA1B23C4D) + body(">"),
        pcap_header(magic=0x1C0001AB, rest=b"size") + body(),
        pcap_header(snaplen=10) + body(),
        pcap_header() + body() + record(b"", caplen=MAX_PACKET + 1) + body(),
        pcap_header() + record(b"\x01" * 60, length=30) + body(),
    ],
)
def test_wireshark_reads_the_same(tmp_path, content):
    path = tmp_path / "a.pcap"
    path.write_bytes(content)
    assert ours(path) == tshark(path)
    assert ours(path)
