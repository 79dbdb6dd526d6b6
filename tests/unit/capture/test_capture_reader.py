"""Recognising a capture by its content, and saying what it is instead when it is none."""

import gzip
import struct
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netdiag.capture.packets import Damage
from netdiag.capture.reader import open_capture
from netdiag.model import UsageError
from tests.pcaps import epb, idb, listed, pcap_header, record, shb

DATA = bytes(range(60))
PCAP = pcap_header() + record(DATA) * 3
PCAPNG = shb() + idb() + epb(DATA) * 3


@pytest.fixture
def stored(tmp_path):
    """Writes a file with this content; its path."""
    path = tmp_path / "stored"

    def stored(data):
        path.write_bytes(data)
        return str(path)

    return stored


@pytest.mark.parametrize(("data", "name"), [(PCAP, "pcap"), (PCAPNG, "pcapng")])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_formats(stored, data, name, pack):
    path = stored(pack(data))
    with open_capture(path) as reader:
        assert reader.info.format == name
        assert reader.info.path == path
        assert [packet.data for packet in listed(reader)] == [DATA] * 3
        assert list(reader) == []
        assert reader.info.compression == ("" if pack is bytes else "gzip")
        assert reader.info.bytes == len(data)
        assert reader.info.damage is None


def test_progress(stored):
    seen = []
    path = stored(PCAP)
    with open_capture(path, progress=lambda *read: seen.append(read)) as reader:
        listed(reader)
    assert seen == [(len(PCAP), len(PCAP))]


def test_damaged_compression_is_the_damage(stored):
    packed = gzip.compress(PCAP + record(DATA) * 50_000)
    with open_capture(stored(packed[:-9])) as reader:
        packets = listed(reader)
    assert reader.info.damage.reason == "the gzip data is cut"
    assert reader.info.damage.frame == len(packets) > 40_000
    wrong = bytearray(gzip.compress(PCAP))
    wrong[-8] ^= 1
    with open_capture(stored(wrong)) as reader:
        assert len(listed(reader)) == 3
    assert (reader.info.damage.frame, reader.info.damage.byte) == (3, len(PCAP))


def test_damage_stays_where_the_file_is_damaged(stored):
    with open_capture(stored(gzip.compress(PCAP[:-1]))) as reader:
        listed(reader)
    assert reader.info.damage == Damage(2, len(PCAP) - 76, "the file is cut in the middle of a packet")


@pytest.mark.parametrize("data", [PCAP, gzip.compress(PCAPNG, mtime=0)])
def test_standard_input(data):
    script = """if True:
        from netdiag.capture.reader import open_capture
        seen = []
        with open_capture("-", progress=lambda *read: seen.append(read)) as reader:
            print(sum(map(len, reader)), reader.info.path, seen)
    """
    run = subprocess.run([sys.executable, "-c", script], input=data, capture_output=True, check=True)
    assert run.stdout.decode().strip() == f"3 - [({len(data)}, None)]"


ERF = struct.pack("<QBBHHH", 1_700_000_000 << 32, 2, 4, 0x2000, 0, 0)[:10] + struct.pack(">HHH", 32, 0, 16) + bytes(16)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "is empty"),
        (gzip.compress(b"", mtime=0), "is empty inside gzip"),
        (gzip.compress(DATA, mtime=0)[:10], "nothing inside gzip can be read: the gzip data is cut"),
        (b"no capture,\r\n\tbut this \xe2\x80\x94", "is not a capture of a known format; it looks like text"),
        ("UTF-16".encode("utf-16"), "is not a capture of a known format; it looks like text"),
        (b"x" * 1_023 + "\u2014".encode(), "is not a capture of a known format; it looks like text"),
        (gzip.compress(b"text", mtime=0), "is not a capture of a known format inside gzip; it looks like text"),
        (b"PK\x03\x04\x14\0", "is not a capture of a known format; it looks like a ZIP archive: unpack it first"),
        (b"\x7fELF\x02\x01", "is not a capture of a known format; it looks like a program"),
        (b"-----BEGIN CERT", "is not a capture of a known format; it looks like PEM text, such as a certificate"),
        (b"ElfFile\0\0\0", "is not a capture of a known format; it looks like a Windows event log"),
        (
            b"snoop\0\0\0\0\0\0\2",
            "is not a capture of a known format; it looks like a snoop capture: convert it with editcap",
        ),
        (ERF * 2, "is not a capture of a known format; it looks like an ERF capture: convert it with editcap"),
        (bytes(5_000), "is not a capture of a known format; it looks like zeros"),
        (b"\x00\x91\xfe\x80" * 9, "is not a capture of a known format"),
        (pcap_header()[:10], "a pcap file that ends within its header"),
        (shb()[:20], "a pcapng file that ends within its header"),
        (shb(magic=0x1A2B3C4E), "is not a capture of a known format"),
    ],
)
def test_what_is_no_capture(stored, data, complaint):
    path = stored(data)
    with pytest.raises(UsageError) as error:
        open_capture(path)
    assert str(error.value) == f"{path}: {complaint}"


def test_what_is_not_there(tmp_path):
    with pytest.raises(UsageError, match=r"none: no such file$"):
        open_capture(str(tmp_path / "none"))


@settings(deadline=None, max_examples=300)
@given(
    start=st.sampled_from([b"", b"RTSS", b"GMBU\0\x02\x01\0", PCAP[:4], PCAPNG[:12], b"\x1f\x8b", b"\xfd7zXZ\0"]),
    rest=st.binary(max_size=300),
)
def test_noise_is_a_usage_error_or_an_end(tmp_path_factory, start, rest):
    path = tmp_path_factory.getbasetemp() / "noise"
    path.write_bytes(start + rest)
    complaint = f"{path}: one line"
    try:
        with open_capture(str(path)) as reader:
            listed(reader)
    except UsageError as error:
        complaint = str(error)
    assert complaint.startswith(f"{path}: ")
    assert len(complaint.splitlines()) == 1
