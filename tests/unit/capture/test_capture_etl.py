"""Event traces. No other program here reads them: the builder, and bytes worked out by hand, stand for one."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netdiag.capture.formats import etl
from netdiag.capture.formats.pktmon import drop_reason
from netdiag.capture.formats.trace_events import MAX_PENDING
from netdiag.capture.formats.windows import RandomAccess
from netdiag.capture.packets import Batch, Damage, Drop, FileInfo, Interface
from netdiag.model import UsageError
from tests.etl import (
    BOTH,
    CYCLES,
    ETHERNET,
    FIRST,
    FREQUENCY,
    LAST,
    NDIS,
    QPC,
    RECEIVE,
    SEND,
    START_NS,
    START_TICKS,
    SYSTEM_TIME,
    WIFI,
    WWAN,
    Event,
    buffer,
    build,
    component,
    header_record,
    ndis,
    pktmon,
    record,
    remote_access,
    system_record,
    vm_switch,
)  # fmt: skip

IP = bytes.fromhex("4500002c000100004006 0000 0a000001 0a000002") + bytes(24)
FRAME = bytes(12) + b"\x08\x00" + IP


def frame(number: int) -> bytes:
    return FRAME[:-2] + number.to_bytes(2, "big")


class Memory:
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
    assert etl.matches(data[:4096])
    info = FileInfo("x.etl", "")
    return info, list(etl.batches(Memory(data), info))


def packets(found: list[Batch]) -> list[bytes]:
    assert [batch.first_frame for batch in found] == [1 + sum(map(len, found[:index])) for index in range(len(found))]
    return [batch.packet(index) for batch in found for index in range(len(batch))]


def column(found: list[Batch], name: str) -> list[int]:
    return [int(value) for batch in found for value in getattr(batch, name)]


def test_bytes_worked_out_by_hand() -> None:
    """A 32-bit header, a trace of one buffer of 1,024 bytes and another, one packet: nothing of the builder."""
    head = bytes.fromhex(
        "00040000 98010000 98010000 00000000"  # size 1,024, data up to 0x198 = 408
        "0000000000000000 0000000000000000 0000000000000000"
        "0000 0100 00000000 98010000 0000 0400"  # processor 0, logger 1, state, offset, flags 0, type 4: header
        "00000000000000000000000000000000"
    )
    assert len(head) == 72
    trace = bytes.fromhex(
        "0200 01 c0 5001 00 00"  # version 2, system record of 32 bits, 0x150 = 336 bytes long, type 0 of group 0
        "11000000 22000000 00e40b5402000000 00000000 00000000"  # thread, process, 10,000,000,000 ticks, times
        "00040000 06010105 b11d0000 02000000"  # buffer size, 6.1, build 7601, 2 processors
        "0000000000000000 5a620200 fa000000 02000000 02000000 01000000 04000000 05000000 d0070000"  # 5 events lost
        "00000000 00000000"  # names: pointers of 4 bytes
    )
    trace += bytes(176)
    trace += bytes.fromhex(
        "0000000000000000 40420f0000000000"  # boot time, 1,000,000 ticks a second
        "00f8acb4d9aad901"  # 2023-06-29 22:33:20 UTC
        "01000000 03000000"  # performance counter, 3 buffers lost
        "6100 0000 6200 0000"  # "a", "b"
    )
    trace += bytes(336 - len(trace))
    event = bytes.fromhex(
        "7a00 12 c0 4000 0000 33000000 44000000"  # 122 bytes, an event of 32 bits, thread 0x33, process 0x44
        "20020d5402000000"  # 10,000,073,248 ticks: 73,248 us later
        "6e00d62e 2947 0946 b423 3ee7bcd678ef"  # NDIS-PacketCapture
        "e903 00 10 04 00 0000 010000c001000000"  # 1001; Ethernet, first, last, sent
        "0000000000000000 00000000000000000000000000000000"
        "0c000000 0c000000 1e000000"  # interfaces 12 and 12, 30 bytes
        "ffffffffffff 020000000001 0806 0001080006040001020000000001 0a00"
    )
    assert len(event) == 0x7A
    second = bytes.fromhex(
        "00040000 c8000000 c8000000 00000000 0000000000000000 0100000000000000 0000000000000000"
        "0000 0100 00000000 c8000000 0000 0000 00000000000000000000000000000000"
    )
    data = (head + trace).ljust(1024, b"\xff") + (second + event + bytes(6)).ljust(1024, b"\xff")
    info, found = read(data)
    assert packets(found) == [event[92:]]
    # 1,688,078,000 s after 1970, in units of 100 ns after 1601: 133,325,516,000,000,000 = 0x01D9AAD9B4ACF800.
    assert column(found, "time_ns") == [1_688_078_000 * 10**9 + 73_248_000]
    assert column(found, "direction") == [2]
    assert info.os == "Windows 6.1 build 7601"
    assert info.dropped == 8
    assert info.interfaces == [Interface(1, "interface 12")]
    assert [process.pid for process in info.processes] == [0x44]
    assert info.process_of_frame == {1: 0}
    assert info.damage is None


@pytest.mark.parametrize("clock", [QPC, SYSTEM_TIME, CYCLES])
@pytest.mark.parametrize("pointer", [4, 8])
def test_each_clock_and_word_size(clock: int, pointer: int) -> None:
    data = build([ndis(FRAME, at=number * 0.123) for number in range(40)], clock=clock, pointer=pointer)
    info, found = read(data)
    assert column(found, "time_ns") == [START_NS + number * 123_000_000 for number in range(40)]
    assert info.format == "etl"
    assert info.os == "Windows 10.0 build 19041"
    assert info.bytes == len(data)
    assert info.application == "netsh trace"
    assert info.remarks == []


def test_an_unknown_clock_is_said() -> None:
    info, found = read(build([ndis(FRAME)], frequency=0))
    assert len(packets(found)) == 1
    assert any("no known clock" in remark for remark in info.remarks)


def test_processors_are_merged_by_time() -> None:
    chance = random.Random(7)
    events = [ndis(frame(number), at=number / 1000, processor=chance.randrange(5)) for number in range(400)]
    _info, found = read(build(events))
    assert packets(found) == [frame(number) for number in range(400)]


def test_a_circular_file_that_has_wrapped() -> None:
    """The newest buffers lie before the oldest."""
    pieces = [
        buffer(b"".join(record(ndis(frame(10 * part + number), at=part + number / 100)) for number in range(10)))
        for part in range(6)
    ]
    data = buffer(header_record(), kind=4) + b"".join(pieces[3:] + pieces[:3])
    _info, found = read(data)
    assert packets(found) == [frame(number) for number in range(60)]


def test_only_the_low_byte_is_the_processor_without_its_flag() -> None:
    first = buffer(record(ndis(frame(2), at=2)), processor=0x0300 | 1, flags=0)
    second = buffer(record(ndis(frame(1), at=1)), processor=0x0400 | 1, flags=0)
    _info, found = read(buffer(header_record(), kind=4) + first + second)
    assert packets(found) == [frame(1), frame(2)]


def test_other_records_are_passed_over() -> None:
    message = bytes([24, 0, 0x00, 0x90]) + bytes(20)
    full = (48).to_bytes(2, "little") + bytes([0x14, 0xC0]) + bytes(44)
    records = b"".join(
        [
            system_record(),
            system_record(marker=4),
            system_record(marker=0x11),
            message,
            full,
            record(Event(bytes(16), 1001, b"another provider")),
            record(Event(NDIS, 1002, bytes(12))),
            record(ndis(FRAME, at=1, kind=0x12)),
            record(ndis(FRAME, at=2, extended=(b"12345", b"1234567890"))),
        ]
    )
    info, found = read(buffer(header_record(), kind=4) + buffer(records))
    assert packets(found) == [FRAME, FRAME]
    assert info.remarks == []


def test_what_windows_lost() -> None:
    info, _found = read(build([ndis(FRAME)], events_lost=17, buffers_lost=2))
    assert info.dropped == 19
    assert info.remarks == ["Windows lost 17 events and 2 buffers of events"]


# NDIS


@pytest.mark.parametrize(
    ("keyword", "data", "linktype", "direction"),
    [
        (ETHERNET | BOTH | SEND, FRAME, 1, 2),
        (ETHERNET | BOTH | RECEIVE, FRAME, 1, 1),
        (ETHERNET | BOTH, FRAME, 1, 0),
        (WWAN | BOTH | RECEIVE, IP, 101, 1),
        (WIFI | BOTH | RECEIVE, b"\x08\x01" + FRAME, 105, 1),
    ],
)
def test_media_and_direction(keyword: int, data: bytes, linktype: int, direction: int) -> None:
    info, found = read(build([ndis(data, keyword=keyword)]))
    assert info.interfaces[0].linktype == linktype
    assert column(found, "direction") == [direction]
    assert packets(found) == [data]


def test_wireless_frames_are_decrypted_whatever_their_flag_says() -> None:
    _info, found = read(build([ndis(b"\x08\x41abc", keyword=WIFI | BOTH)]))
    assert packets(found) == [b"\x08\x01abc"]


def test_interfaces_are_told_apart() -> None:
    over = Event(NDIS, 1001, bytes([3, 0, 0, 0, 9, 0, 0, 0, 4, 0, 0, 0]) + b"abcd", 2, BOTH)
    info, found = read(build([ndis(FRAME, interface=3), ndis(FRAME, at=1, interface=4), over]))
    assert info.interfaces == [
        Interface(1, "interface 3"), Interface(1, "interface 4"), Interface(1, "interface 9", "over interface 3"),
    ]  # fmt: skip
    assert column(found, "interface") == [0, 1, 2]


def test_a_packet_in_several_events_of_its_thread() -> None:
    events = [
        ndis(b"aa", at=0, keyword=FIRST, tid=1),
        ndis(b"xx", at=1, keyword=FIRST, tid=2),
        ndis(b"bb", at=2, keyword=0, tid=1),
        ndis(b"yy", at=3, keyword=LAST, tid=2),
        ndis(b"cc", at=4, keyword=LAST | SEND, tid=1),
    ]
    info, found = read(build(events))
    assert packets(found) == [b"xxyy", b"aabbcc"]
    assert column(found, "time_ns") == [START_NS + 3 * 10**9, START_NS + 4 * 10**9]
    assert info.remarks == []


def test_parts_without_their_whole() -> None:
    events = [
        ndis(b"no beginning", at=0, keyword=LAST),
        ndis(b"begun", at=1, keyword=FIRST),
        ndis(b"begun again", at=2, keyword=FIRST),
        ndis(b" and ended", at=3, keyword=LAST),
        ndis(b"no end", at=4, keyword=FIRST),
    ]
    info, found = read(build(events))
    assert packets(found) == [b"begun again and ended"]
    assert info.remarks == ["3 packets lack their beginning or their end and were left out"]


def test_parts_that_never_end_stay_bounded() -> None:
    part = bytes(60_000)
    events = [ndis(part, at=number / 1000, keyword=FIRST, tid=number) for number in range(200)]
    info, found = read(build([*events, ndis(b"end", at=1, keyword=LAST, tid=199)], size=65536))
    assert packets(found) == [part + b"end"]
    assert 200 * len(part) > MAX_PENDING
    assert info.remarks == ["199 packets lack their beginning or their end and were left out"]
    endless = [ndis(part, at=number / 1000, keyword=0 if number else FIRST) for number in range(20)]
    info, found = read(build(endless, size=65536))
    assert found == []
    assert "1 packet events are malformed and were left out" in info.remarks


def test_a_cut_packet_has_the_length_that_its_ip_header_tells() -> None:
    longer = bytes(12) + b"\x08\x00" + b"\x45\x00\x05\xdc" + bytes(30)
    six = bytes(12) + b"\x86\xdd" + b"\x60\x00\x00\x00\x04\x00" + bytes(34)
    unknown = bytes(12) + b"\x08\x06" + bytes(30)
    offloaded = bytes(12) + b"\x08\x00" + b"\x45\x00\x00\x00" + bytes(5000)
    frames = [longer, six, unknown, offloaded]
    _info, found = read(build([ndis(data, at=number) for number, data in enumerate(frames)], size=8192))
    assert column(found, "length") == [1514, 14 + 40 + 1024, len(unknown), len(offloaded)]
    assert packets(found) == frames
    _info, found = read(build([ndis(longer[14:], keyword=WWAN | BOTH)]))
    assert column(found, "length") == [1500]


@pytest.mark.parametrize("destinations", [0, 1, 3])
def test_a_virtual_switch(destinations: int) -> None:
    info, found = read(build([vm_switch(FRAME, destinations=destinations)]))
    assert packets(found) == [FRAME]
    assert info.interfaces == [Interface(1, "vm-nic", "over interface 9")]


def test_remote_access() -> None:
    info, found = read(build([remote_access(FRAME), remote_access(FRAME, at=1, sent=False)]))
    assert column(found, "direction") == [2, 1]
    assert info.interfaces == [Interface(1, "remote access", "somebody")]


def test_processes_of_sent_packets_only() -> None:
    sent, received = ETHERNET | BOTH | SEND, ETHERNET | BOTH | RECEIVE
    events = [
        ndis(FRAME, at=0, keyword=sent, pid=100),
        ndis(FRAME, at=1, keyword=received, pid=200),
        ndis(FRAME, at=2, keyword=sent, pid=0),
        ndis(FRAME, at=3, keyword=sent, pid=100),
    ]
    info, _found = read(build(events))
    assert [(process.pid, process.path) for process in info.processes] == [(100, "")]
    assert info.process_of_frame == {1: 0, 4: 0}


# PktMon


def test_each_packet_counts_once() -> None:
    """One packet seen at three components, and dropped at the last; another of the same group; a third."""
    events = [
        component(5, "vmxnet3", "Ethernet adapter"),
        pktmon(FRAME, at=1, group=77, appearance=1, component=5, tag=3),
        pktmon(FRAME, at=1.1, group=77, appearance=2, component=6, tag=3),
        pktmon(IP, at=1.2, group=77, appearance=3, component=7, tag=3, kind=3),
        pktmon(IP, at=1.3, group=77, appearance=4, component=8, kind=3, drop=1204),
        pktmon(IP, at=1.4, group=77, appearance=4, component=8, kind=3, drop=1204),
        pktmon(frame(2), at=1.5, group=77, number=2),
        pktmon(frame(3), at=1.6, group=78, tag=4),
    ]
    info, found = read(build(events))
    assert packets(found) == [FRAME, frame(2), frame(3)]
    assert column(found, "direction") == [1, 1, 2]
    assert info.drops == [Drop(1, "INET_EndpointNotFound", "component 8, 0xE0004500")]
    assert info.interfaces == [Interface(1, "vmxnet3")]
    assert info.remarks == [
        "2 further appearances of packets (pktmon shows each at every component) were left out",
    ]
    assert info.application == "pktmon"


def test_a_dropped_packet_that_was_not_seen_before_is_a_packet() -> None:
    events = [
        pktmon(IP, at=0, group=5, kind=3, component=9, drop=909, location=0xE0004102),
        pktmon(IP, at=1, group=5, kind=3, component=9),
        component(9, "TCPIP", "TCP/IP stack", at=2),
        pktmon(IP, at=3, group=0, kind=3, component=9, drop=4242, location=7),
        pktmon(IP, at=4, group=0, kind=3, component=9, drop=0, location=0),
    ]
    info, found = read(build(events))
    assert packets(found) == [IP, IP, IP]
    assert info.drops == [
        Drop(1, "NL_InspectionDrop", "component 9, 0xE0004102"),
        Drop(2, "reason 4242", "TCPIP, 0x00000007"),
        Drop(3, "Unknown", "TCPIP, 0x00000000"),
    ]
    assert info.interfaces == [Interface(101, "TCPIP", "TCP/IP stack")]


def test_packet_types() -> None:
    kinds = {1: (FRAME, 1), 2: (b"\x08\x01abc", 105), 3: (IP, 101)}
    events = [pktmon(kinds[kind][0], at=kind, group=kind, kind=kind) for kind in kinds]
    events += [pktmon(b"GET /", at=4, group=4, kind=4), pktmon(b"", at=5, group=5, kind=0)]
    info, found = read(build(events))
    assert packets(found) == [data for data, _linktype in kinds.values()]
    assert [interface.linktype for interface in info.interfaces] == [1, 105, 101]
    assert info.skipped == 2


def test_a_packet_that_pktmon_cut() -> None:
    _info, found = read(build([pktmon(FRAME, length=1514)]))
    assert column(found, "length") == [1514]
    assert column(found, "caplen") == [len(FRAME)]


@pytest.mark.parametrize(("tag", "direction"), [(0, 0), (1, 1), (2, 2), (3, 1), (4, 2), (5, 0), (6, 0), (99, 0)])
def test_direction_tags(tag: int, direction: int) -> None:
    _info, found = read(build([pktmon(FRAME, tag=tag)]))
    assert column(found, "direction") == [direction]


def test_reasons_are_those_of_the_windows_that_captured() -> None:
    assert drop_reason(1204) == "INET_EndpointNotFound"
    assert drop_reason(38) == "LowPower"
    assert drop_reason(223) == "CoalescingError"
    assert drop_reason(224) == "reason 224"
    assert drop_reason(225) == "VlanSpoofing"
    assert drop_reason(1002) == "NL_SwUsoFailure"
    assert drop_reason(1232) == "INET_AcceptRedirection"
    assert drop_reason(1327) == "SlbMux_UnableToHandleRedirect"
    assert drop_reason(1418) == "Ipsec_Unsuccessful"
    assert drop_reason(1507) == "NetCx_BufferBounceFailureAndPacketIgnore"
    assert drop_reason(3001) == "reason 3001"
    assert (drop_reason(201), drop_reason(201, build=17763)) == ("Pause", "MicroportError")
    assert (drop_reason(3), drop_reason(3, build=17763)) == ("Resources", "Resources")
    info, _found = read(build([pktmon(FRAME, drop=201)], build=17763))
    assert info.drops[0].reason == "MicroportError"


# Damage


def test_no_packet_at_all() -> None:
    info, found = read(build([Event(bytes(16), 1, b"")]))
    assert found == []
    assert info.damage is None
    assert any("no packet" in remark for remark in info.remarks)


def test_compressed_buffers_are_named() -> None:
    data = build([ndis(FRAME)])
    info, found = read(data + buffer(b"\x01" * 500, flags=0x60) + buffer(b"\x02" * 500, flags=0x60))
    assert packets(found) == [FRAME]
    assert info.damage is not None
    assert (info.damage.frame, info.damage.byte) == (1, len(data))
    assert "2 or more buffers are compressed" in info.damage.reason


def test_a_cut_trace() -> None:
    """Records of 152 bytes: 26 in the first buffer, which begins at 4,096."""
    data = build([ndis(frame(number), at=number) for number in range(60)])
    info, found = read(data[: 4096 * 2 + 72 + 152 * 3 + 50])
    assert packets(found) == [frame(number) for number in range(29)]
    assert info.damage == Damage(29, 4096 * 2 + 72 + 152 * 3 + 50, "the file ends within a buffer")
    info, found = read(data[: 4096 + 40])
    assert packets(found) == []
    assert info.damage == Damage(0, 4096, "the file ends within a buffer's header")
    info, found = read(data[: 4096 * 2])
    assert packets(found) == [frame(number) for number in range(26)]
    assert info.damage is None


def test_a_buffer_that_claims_too_much() -> None:
    data = build([ndis(FRAME)])
    for size in (0, 71, 1023, 2**31):
        info, found = read(data + size.to_bytes(4, "little") + b"\x01" * 4092)
        assert packets(found) == [FRAME]
        assert info.damage is not None
        assert info.damage.byte == len(data)
        assert info.damage.reason == f"a buffer claims to be {size} bytes long"


def test_reserved_space_is_no_damage() -> None:
    info, found = read(build([ndis(FRAME)]) + bytes(8192))
    assert packets(found) == [FRAME]
    assert info.damage is None


@pytest.mark.parametrize(
    "bad",
    [
        b"\x04\0\x13\xc0" + bytes(4),
        b"\x00\x10\x13\xc0" + bytes(4),
        b"\x20\0\x13\x00" + bytes(28),
        b"\x00\0\x13\xc0" + bytes(80),
    ],
)
def test_a_record_that_cannot_be(bad: bytes) -> None:
    data = buffer(header_record(), kind=4) + buffer(record(ndis(frame(1), at=1)) + bad + record(ndis(frame(9), at=2)))
    data += buffer(record(ndis(frame(2), at=3)))
    info, found = read(data)
    assert packets(found) == [frame(1), frame(2)]
    assert info.damage is None
    assert len(info.remarks) == 1
    assert "1 buffers hold a record that cannot be" in info.remarks[0]


def test_events_that_break_their_promise() -> None:
    events = [
        Event(NDIS, 1001, b"short", 0, BOTH),
        Event(NDIS, 1001, bytes(8) + b"\xff\xff\xff\xff", 1, BOTH),
        Event(NDIS, 1003, bytes(12) + b"a\0b\0", 2, BOTH),
        Event(NDIS, 1003, bytes(12) + bytes(6) + b"\xff\xff\xff\xff", 3, BOTH),
        ndis(FRAME, at=4),
    ]
    broken = pktmon(FRAME, at=5)
    broken.user = broken.user[:-1]
    info, found = read(build([*events, broken]))
    assert packets(found) == [FRAME]
    assert info.remarks == ["5 packet events are malformed and were left out"]


def test_times_beyond_all_clocks() -> None:
    late = ndis(FRAME)
    data = bytearray(build([late], frequency=1))
    at = 4096 + 72 + 16
    data[at : at + 8] = b"\xff" * 8
    _info, found = read(bytes(data))
    assert column(found, "time_ns") == [0]


@pytest.mark.parametrize("cut", [96, 200, 300])
def test_a_header_cut_short(cut: int) -> None:
    with pytest.raises(UsageError, match=r"^x\.etl: an event trace that ends within its header$"):
        read(build([])[:cut])


def test_matches_nothing_else() -> None:
    good = build([])
    assert etl.matches(good[:96])
    for at in (0, 4, 0x36, 72 + 2, 72 + 3, 72 + 6, 72 + 7):
        assert not etl.matches(good[:at] + b"\x77\x77\x77\x77" + good[at + 4 :])
    assert not etl.matches(b"")
    assert not etl.matches(bytes(4096))
    assert not etl.matches(b"\x0a\x0d\x0d\x0a" + bytes(4096))
    assert not etl.matches(b"GMBU" + bytes(4096))


def test_many_processors_share_streams() -> None:
    events = [ndis(frame(number % 9), at=number, processor=number * 13) for number in range(1000)]
    _info, found = read(build(events, size=1024))
    assert sorted(packets(found)) == sorted(frame(number % 9) for number in range(1000))
    assert START_TICKS + 999 * FREQUENCY < 2**63


_EXAMPLE = build(
    [
        component(5, "vmxnet3", "Ethernet adapter"),
        ndis(FRAME, at=1, keyword=FIRST),
        ndis(FRAME, at=2, keyword=LAST | SEND, pid=9, extended=(b"123",)),
        vm_switch(FRAME, at=3, destinations=2, processor=1),
        remote_access(FRAME, at=4),
        pktmon(FRAME, at=5, group=2, processor=1),
        pktmon(FRAME, at=6, group=2, drop=1204),
    ],
    size=1024,
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(_EXAMPLE) - 1), st.binary(min_size=1, max_size=8)), max_size=6),
    st.integers(0, len(_EXAMPLE)),
)
def test_whatever_a_trace_holds(changes: list[tuple[int, bytes]], cut: int) -> None:
    data = bytearray(_EXAMPLE)
    for at, value in changes:
        data[at : at + len(value)] = value
    info = FileInfo("x.etl", "")
    try:
        found = list(etl.batches(Memory(bytes(data[: cut or None])), info))
    except UsageError:
        return
    assert sum(map(len, packets(found))) <= len(data)
    assert len(info.remarks) < 20
    assert all(1 <= drop.frame <= len(packets(found)) for drop in info.drops)
    assert all(index < len(info.interfaces) for index in column(found, "interface"))
