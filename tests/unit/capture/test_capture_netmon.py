from __future__ import annotations

import datetime
import os
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netdiag.capture.formats import netmon
from netdiag.capture.formats.windows import RandomAccess
from netdiag.capture.packets import Batch, Comment, FileInfo, Process
from netdiag.capture.source import Source
from netdiag.model import UsageError
from tests import etl, support
from tests.netmon import START, Built, Frame, Owner, adapter_list, build, event_frame, filter_frame

START_NS = int(START.replace(tzinfo=datetime.UTC).timestamp() * 1000) * 1_000_000
VERSIONS = [(1, 1), (2, 0), (2, 1), (2, 2), (2, 3)]


def ethernet(number: int, size: int = 60) -> bytes:
    ip = struct.pack(
        ">BBHHHBBH4s4s", 0x45, 0, size - 14, number, 0, 64, 17, 0, bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
    )
    return (
        bytes(6) + bytes([2, 0, 0, 0, 0, 1]) + b"\x08\x00" + ip + struct.pack(">HHHH", 1000 + number, 53, size - 34, 0)
    ).ljust(size, b"\0")


class Memory:
    """A source that is all in memory."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def random_access(self) -> RandomAccess:
        return self

    def read_at(self, offset: int, length: int) -> bytes:
        assert offset >= 0
        assert length >= 0
        return self.data[offset : offset + length]


def read(data: bytes) -> tuple[FileInfo, list[Batch]]:
    info = FileInfo("x.cap", "")
    return info, list(netmon.batches(Memory(data), info))


def packets(found: list[Batch]) -> list[tuple[int, int, int, bytes]]:
    """(frame, time, length on the wire, bytes)."""
    return [
        (batch.first_frame + index, int(batch.time_ns[index]), int(batch.length[index]), batch.packet(index))
        for batch in found
        for index in range(len(batch))
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_each_version_gives_its_packets(version: tuple[int, int]) -> None:
    frames = [Frame(ethernet(number, 60 + number), at=number * 1.5, length=60 + 2 * number) for number in range(5)]
    info, found = read(build(frames, version).data)
    assert packets(found) == [
        (number + 1, START_NS + 1_500_000_000 * number, 60 + 2 * number, frames[number].data) for number in range(5)
    ]
    assert info.format == f"netmon {version[0]}.{version[1]}"
    assert [interface.linktype for interface in info.interfaces] == [1]
    assert info.damage is None
    assert any("local time" in remark for remark in info.remarks) == (version != (2, 3))


def test_bytes_worked_out_by_hand() -> None:
    """Version 2.2: a hole of 4 bytes, one record of 3 bytes, its trailer, the frame table."""
    header = bytes.fromhex(
        "474d4255 02 02 0100"  # GMBU, minor 2, major 2, network 1
        "d507 0c00 0600 1f00 1700 3b00 3b00 e703"  # 2005-12-31 (Saturday) 23:59:59.999
        "a1000000 04000000"  # frame table at 161 = 132 + 16 + 3 + 6 + 4, 4 bytes
    ).ljust(128, b"\0")
    record = bytes.fromhex(
        "deadbeef"  # the hole
        "40420f0000000000 05000000 03000000"  # 1,000,000 us later, 5 bytes on the wire, 3 of them here
        "aabbcc"
        "0900 ffffffff"  # raw IP, no process
        "00000000"  # another hole
        "84000000"  # the table: 132
    )
    info, found = read(header + record)
    # 2006-01-01 00:00:00.999 is 1136073600.999
    assert packets(found) == [(1, 1_136_073_600_999_000_000, 5, b"\xaa\xbb\xcc")]
    assert info.interfaces[0].linktype == 101
    assert info.damage is None


def test_order_is_the_tables_and_holes_are_passed_over() -> None:
    frames = [Frame(ethernet(number), at=number, hole=b"\xee" * (7 * number)) for number in range(4)]
    _info, found = read(build(frames, order=[2, 0, 3, 1]).data)
    assert [data for _frame, _at, _length, data in packets(found)] == [frames[index].data for index in (2, 0, 3, 1)]


@pytest.mark.parametrize("trailer", [b"", b"\x77"])
@pytest.mark.parametrize("version", VERSIONS[2:])
def test_trailers_of_no_or_one_byte_fall_back_to_the_header(trailer: bytes, version: tuple[int, int]) -> None:
    frames = [Frame(ethernet(number), at=number, trailer=trailer) for number in range(3)]
    info, found = read(build(frames, version, network=1).data)
    assert [(at, data) for _frame, at, _length, data in packets(found)] == [
        (START_NS + number * 10**9, frames[number].data) for number in range(3)
    ]
    assert info.interfaces[0].linktype == 1


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_a_frame_from_before_the_start(version: tuple[int, int]) -> None:
    _info, found = read(build([Frame(ethernet(0), at=-0.5), Frame(ethernet(1), at=0)], version).data)
    assert [at for _frame, at, _length, _data in packets(found)] == [START_NS - 500_000_000, START_NS]


def test_utc_of_the_trailer_goes_before_local_time() -> None:
    info, found = read(build([Frame(ethernet(0), at=1, utc_offset=-2)]).data)
    assert packets(found)[0][1] == START_NS + 10**9 - 7200 * 10**9
    assert info.remarks == []


@pytest.mark.parametrize(
    ("media", "linktype"),
    [(0, 1), (1, 1), (2, 6), (3, 10), (7, 101), (8, 101), (9, 101), (0x71, 113), (0xE071, 113), (0xE00C, 101),
     (0xE080, 105), (0xE000 + 276, 276)],
)  # fmt: skip
def test_media_become_link_types(media: int, linktype: int) -> None:
    info, found = read(build([Frame(ethernet(0), media=media)]).data)
    assert [interface.linktype for interface in info.interfaces] == [linktype]
    assert packets(found)[0][3] == ethernet(0)


def test_several_media_are_several_interfaces() -> None:
    info, found = read(build([Frame(ethernet(0)), Frame(ethernet(1)[14:], media=9), Frame(ethernet(2))]).data)
    assert [interface.linktype for interface in info.interfaces] == [1, 101]
    assert found[0].interface is not None
    assert found[0].interface.tolist() == [0, 1, 0]


def test_wireless_metadata_is_taken_off() -> None:
    frame = b"\x02\x20\x00" + bytes(29) + b"\x08\x01data"
    info, found = read(build([Frame(frame, media=6, length=100)]).data)
    assert info.interfaces[0].linktype == 105
    assert packets(found)[0][2:] == (68, b"\x08\x01data")


def test_atm_and_dial_up() -> None:
    ip = ethernet(0)[14:]
    llc = bytes(12) + b"\0\0\0\x21" + b"\xaa\xaa\x03\0\0\0\x08\0" + ip
    signalling = bytes(12) + b"\0\0\0\x05" + b"whatever"
    info, found = read(build([Frame(llc, media=4), Frame(ethernet(0), media=4), Frame(signalling, media=4)]).data)
    assert [data for *_rest, data in packets(found)] == [ip, ethernet(0), b"whatever"]
    assert [interface.linktype for interface in info.interfaces] == [101, 1, 100]


def test_unknown_media_are_counted_and_named() -> None:
    info, found = read(build([Frame(b"x" * 20, media=5), Frame(ethernet(0)), Frame(b"y", media=0xE083)]).data)
    assert [frame for frame, *_rest in packets(found)] == [2]
    assert info.skipped == 2
    assert sum("which netdiag does not read" in remark for remark in info.remarks) == 2


def test_comments_belong_to_frames() -> None:
    rtf = r"{\rtf1\ansi{\fonttbl{\f0 Tahoma;}}\f0\fs20 the reset\par}"
    frames = [Frame(ethernet(0)), Frame(ethernet(1), comment=("look", rtf)), Frame(ethernet(2), comment=("", "plain"))]
    info, _found = read(build(frames).data)
    assert info.comments == [Comment(2, "look: the reset"), Comment(3, "plain")]


def test_a_comment_about_no_frame_is_about_the_file() -> None:
    info, _found = read(build([Frame(ethernet(0), comment=("lost", ""))], comment_offsets={0: 5}).data)
    assert info.comments == [Comment(0, "lost")]


def test_programs_own_frames() -> None:
    owners = [
        Owner("C:\\diahost.exe", 4711, icon=b"icon"),
        Owner("C:\\ünïcode.exe", 4712, "2001:db8::1", 50001, "2001:db8::2", 1433),
    ]
    frames = [
        Frame(ethernet(0), process=1),
        Frame(ethernet(1)),
        Frame(ethernet(2), process=0),
        Frame(ethernet(3), process=2),
    ]
    info, _found = read(build(frames, owners=owners).data)
    assert info.processes == [
        Process(4711, "C:\\diahost.exe", "10.0.0.1", 50000, "10.0.0.2", 443),
        Process(4712, "C:\\ünïcode.exe", "2001:db8::1", 50001, "2001:db8::2", 1433),
    ]
    assert info.process_of_frame == {1: 1, 3: 0}


def test_frames_that_are_no_packets() -> None:
    """Adapters and filters have a number, reassembled copies have none: as in Wireshark."""
    frames = [
        Frame(adapter_list("NODE1", ("Ethernet0", "vmxnet3 adapter")), media=0xFFFB),
        Frame(ethernet(0), at=1),
        Frame(b"copy", media=0xFFFC),
        Frame(ethernet(1), at=2),
        Frame(filter_frame("Network Monitor", "tcp.port == 443"), media=0xFFFF),
        Frame(ethernet(2), at=3),
    ]
    info, found = read(build(frames).data)
    assert [(batch.first_frame, len(batch)) for batch in found] == [(2, 2), (5, 1)]
    assert info.skipped == 3
    assert info.application == "Network Monitor 3.4"
    assert info.comments == [
        Comment(0, "captured on NODE1, adapters: Ethernet0"),
        Comment(0, "filter: tcp.port == 443"),
    ]
    assert (info.interfaces[0].name, info.interfaces[0].description) == ("Ethernet0", "vmxnet3 adapter")


def test_packets_within_events() -> None:
    packet = etl.ndis(ethernet(0), pid=77, keyword=etl.ETHERNET | etl.BOTH | etl.SEND)
    whole = event_frame(packet.provider, 1001, packet.keyword, packet.user, pid=77, extended=b"stack")
    first = etl.ndis(ethernet(1)[:30], keyword=etl.ETHERNET | etl.FIRST | etl.RECEIVE)
    last = etl.ndis(ethernet(1)[30:], keyword=etl.ETHERNET | etl.LAST | etl.RECEIVE)
    frames = [
        Frame(whole, media=0xFFE0, at=1),
        Frame(event_frame(bytes(16), 1001, 0, b"other"), media=0xFFE0),
        Frame(event_frame(first.provider, 1001, first.keyword, first.user), media=0xFFE0),
        Frame(event_frame(last.provider, 1001, last.keyword, last.user), media=0xFFE0, at=2),
    ]
    info, found = read(build(frames).data)
    assert packets(found) == [(1, START_NS + 10**9, 60, ethernet(0)), (4, START_NS + 2 * 10**9, 60, ethernet(1))]
    assert [batch.direction.tolist() for batch in found if batch.direction is not None] == [[2], [1]]
    assert info.skipped == 2
    assert info.processes[info.process_of_frame[1]].pid == 77


# Damage


@pytest.mark.parametrize("version", VERSIONS)
def test_a_file_cut_before_its_table_is_read_as_it_lies(version: tuple[int, int]) -> None:
    frames = [Frame(ethernet(number), at=number) for number in range(4)]
    built = build(frames, version)
    for cut in (built.table, built.table + 6):
        info, found = read(built.data[:cut])
        assert [(at, data) for _frame, at, _length, data in packets(found)] == [
            (START_NS + number * 10**9, frames[number].data) for number in range(4)
        ]
        assert info.damage is not None
        assert (info.damage.frame, info.damage.byte) == (4, cut)
    info, found = read(built.data[: built.offsets[3] + 20])
    assert len(packets(found)) == 3
    assert info.damage is not None
    assert (info.damage.frame, info.damage.byte) == (3, built.offsets[3])


def patched(built: Built, at: int, value: bytes) -> bytes:
    return built.data[:at] + value + built.data[at + len(value) :]


def test_an_entry_beyond_the_file_is_passed_over() -> None:
    built = build([Frame(ethernet(number), at=number) for number in range(3)])
    info, found = read(patched(built, built.table + 4, b"\xff\xff\xff\x7f"))
    assert [data for *_rest, data in packets(found)] == [ethernet(0), ethernet(2)]
    assert info.damage is None
    assert any("beyond the end" in remark for remark in info.remarks)


def test_bad_entries_at_the_end_are_where_reading_ended() -> None:
    built = build([Frame(ethernet(number), at=number) for number in range(3)])
    info, found = read(patched(built, built.table + 8, b"\x10\0\0\0"))
    assert len(packets(found)) == 2
    assert info.damage is not None
    assert (info.damage.frame, info.damage.byte) == (2, 16)


def test_a_record_that_claims_too_much() -> None:
    built = build([Frame(ethernet(number), at=number) for number in range(3)])
    info, found = read(patched(built, built.offsets[1] + 12, b"\xff\xff\xff\x7f"))
    assert [data for *_rest, data in packets(found)] == [ethernet(0), ethernet(2)]
    assert any("claims 2147483647 bytes" in remark for remark in info.remarks)


def test_a_loop_in_the_table_ends() -> None:
    frames = [Frame(bytes(4000), at=number) for number in range(4)]
    info, found = read(build(frames, order=[0] * 50_000).data)
    # 216,140 bytes of file hold at most 53 records of 4,016 bytes.
    assert len(packets(found)) == 54
    assert info.damage is not None
    assert "overlap" in info.damage.reason


def test_counts_beyond_sense() -> None:
    built = build([Frame(ethernet(0), comment=("a", "b"))], owners=[Owner("x.exe", 1)])
    for at in (28, 44, 52):
        info, found = read(patched(built, at, b"\xff\xff\xff\xff"))
        assert packets(found)[0][3] == ethernet(0)
        assert len(info.processes) == 1
    info, found = read(patched(built, 48, b"\xff\xff\xff\x00"))
    assert info.processes == []


@pytest.mark.parametrize(
    "data", [b"GMBU", b"RTSS" + bytes(100), b"GMBU\x00\x07" + bytes(200), b"GMBU\x00\x00" + bytes(200)]
)
def test_no_header_or_no_known_version(data: bytes) -> None:
    assert netmon.matches(data)
    with pytest.raises(UsageError, match=r"^x\.cap: a Network Monitor capture"):
        read(data)


def test_no_date_is_no_time() -> None:
    built = build([Frame(ethernet(0), at=1)], (2, 0))
    info, found = read(patched(built, 10, b"\x63\0"))
    assert packets(found)[0][1] == 0
    assert any("no date" in remark for remark in info.remarks)


def test_an_empty_capture_and_one_that_was_not_ended() -> None:
    info, found = read(build([]).data)
    assert (found, info.damage, info.remarks) == ([], None, [])
    built = build([Frame(ethernet(0)), Frame(ethernet(1))])
    info, found = read(patched(built, 24, bytes(8))[: built.table])
    assert len(packets(found)) == 2
    assert any("no table of frames" in remark for remark in info.remarks)


def test_many_gaps_do_not_make_as_many_batches() -> None:
    frames = [Frame(ethernet(0)) if number % 2 else Frame(b"", media=0xFFFB) for number in range(6000)]
    info, found = read(build(frames).data)
    assert sum(map(len, found)) == 3000
    assert len(found) <= netmon.MAX_GAPS + 1
    assert any("not counted in frame numbers" in remark for remark in info.remarks)


def test_matches_nothing_else() -> None:
    assert not netmon.matches(b"")
    assert not netmon.matches(b"\xd4\xc3\xb2\xa1" + bytes(20))


_EXAMPLE = build(
    [
        Frame(adapter_list("NODE1", ("Ethernet0", "adapter")), media=0xFFFB),
        Frame(ethernet(0), process=0, comment=("title", "text")),
        Frame(b"\x02\x20\x00" + bytes(40), media=6),
        Frame(event_frame(etl.NDIS, 1001, etl.BOTH, etl.ndis(ethernet(1)).user), media=0xFFE0),
        Frame(ethernet(2)[14:], media=9, hole=b"hole"),
        Frame(filter_frame("Network Monitor", "tcp"), media=0xFFFF),
    ],
    owners=[Owner("C:\\x.exe", 7, icon=b"icon")],
).data


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(_EXAMPLE) - 1), st.binary(min_size=1, max_size=8)), max_size=6),
    st.integers(0, len(_EXAMPLE)),
    st.sampled_from([None, b"RTSS\x01\x01", b"GMBU\x00\x02", b"GMBU\x01\x02", b"GMBU\x02\x02"]),
)
def test_whatever_a_file_holds(changes: list[tuple[int, bytes]], cut: int, magic: bytes | None) -> None:
    data = bytearray(_EXAMPLE)
    if magic:
        data[: len(magic)] = magic
    for at, value in changes:
        data[at : at + len(value)] = value
    try:
        info, found = read(bytes(data[: cut or None]))
    except UsageError:
        return
    assert sum(len(data) for *_rest, data in packets(found)) <= len(data)
    assert len(info.remarks) < 200


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_whatever_lies_behind_a_good_header(rest: bytes) -> None:
    read(_EXAMPLE[:24] + rest.ljust(104, b"\0"))


# Wireshark reads the same


def tshark(path: Path, *fields: str) -> list[list[str]]:
    (program,) = support.require_tools("tshark")
    columns = [word for field in fields for word in ("-e", field)]
    done = subprocess.run(
        [program, "-r", path, "-T", "fields", *columns],
        capture_output=True, text=True, check=True, env={**os.environ, "TZ": "UTC"}, timeout=60,
    )  # fmt: skip
    return [line.split("\t") for line in done.stdout.splitlines()]


@pytest.mark.parametrize("version", VERSIONS)
def test_as_tshark(version: tuple[int, int], tmp_path: Path) -> None:
    """Number, moment, length, captured length and link type of each packet."""
    frames = [
        Frame(ethernet(number, 60 + number), at=number * 0.125 - (0.5 if version[0] == 2 else 0), length=80 + number,
              hole=b"\0" * (number % 3), comment=("c", "d") if number == 2 else None)
        for number in range(7)
    ]  # fmt: skip
    if version >= (2, 1):
        frames += [
            Frame(ethernet(7)[14:], media=9, at=5),
            Frame(b"copy", media=0xFFFC, at=5.5),
            Frame(filter_frame("Network Monitor", "tcp"), media=0xFFFF, at=6),
            Frame(b"\0" * 14 + b"\x08\0" + ethernet(8)[14:], media=0xE071, at=7),
        ]
    owners = [Owner("C:\\x.exe", 4)] if version >= (2, 2) else []
    order = list(range(len(frames)))
    order[2], order[4] = order[4], order[2]
    path = tmp_path / "x.cap"
    path.write_bytes(build(frames, version, owners=owners, order=order).data)
    info = FileInfo(str(path), "")
    with Source(str(path)) as source:
        assert netmon.matches(source.head)
        found = list(netmon.batches(source, info))
    ours = [
        [str(batch.first_frame + index), f"{int(batch.time_ns[index]) // 10**9}.{int(batch.time_ns[index]) % 10**9:09}",
         str(batch.length[index]), str(batch.caplen[index]), str(info.interfaces[int(number)].linktype)]
        for batch in found for index, number in enumerate(batch.interface if batch.interface is not None else ())
    ]  # fmt: skip
    rows = tshark(path, "frame.number", "frame.time_epoch", "frame.len", "frame.cap_len", "frame.protocols")
    linktypes = {"eth": "1", "raw": "101", "sll": "113"}
    first = [row[4].removeprefix("netmon_header:").split(":")[0] for row in rows]
    theirs = [[*row[:4], linktypes[name]] for row, name in zip(rows, first, strict=True) if name != "netmon_filter"]
    assert ours == theirs
