"""The fast engine against the slow one over generated traffic; both against cases whose numbers are written out."""

from __future__ import annotations

import errno
import io
import os
import ssl
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netdiag.capture import columns, engine
from netdiag.capture.options import CaptureOptions
from netdiag.capture.packets import Batch, FileInfo, Interface, batch_of
from netdiag.model import Connection, UsageError
from tests import slow_engine
from tests.dialogues import client_context
from tests.frames import ACK, FIN, PSH, RST, SYN, Frame, Segment, Way, ethernet, fragments, ip, mss, plain, tcp
from tests.traffic import captures, seeded

#: What only the analysis around the engine knows.
_ELSEWHERE = {"name", "icmp", "process"}

START_NS = 1_700_000_000_000_000_000
MS = 1_000_000


class Frames:
    """A reader of frames in memory, ``size`` packets a batch."""

    def __init__(self, frames: Sequence[Frame], size: int) -> None:
        self.frames, self.size = frames, size
        self.info = FileInfo("generated.pcap", "pcap", interfaces=[Interface(frames[0][2] if frames else 1)])

    def __iter__(self) -> Iterator[Batch]:
        for at in range(0, len(self.frames), self.size):
            part = self.frames[at : at + self.size]
            yield batch_of([(data, length, time_ns, 0, 0) for _, time_ns, _, data, length in part], part[0][0])


def fast(frames: Sequence[Frame], size: int = 131_072, live: int = 160_000) -> engine.Analysis:
    return engine.analyze(Frames(frames, size), CaptureOptions(live_connections=live))


def fast_rows(frames: Sequence[Frame]) -> list[Connection]:
    return list(fast(frames).connections.rows())


def slow_rows(frames: Sequence[Frame]) -> list[Connection]:
    return slow_engine.analyze(frames)[0]


def facts(row: Connection) -> dict[str, Any]:
    """A row's counts and words, its times to the microsecond."""
    values = {name: value for name, value in msgspec.structs.asdict(row).items() if name not in _ELSEWHERE}
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in values.items()}


def differences(frames: Sequence[Frame], done: engine.Analysis) -> list[str]:
    """What the two engines do not agree about, in words; empty when they agree."""
    rows, totals = slow_engine.analyze(frames)
    result = [] if len(done.connections) == len(rows) else [f"{len(done.connections)} connections, not {len(rows)}"]
    for ours, truth in zip(done.connections.rows(), rows, strict=False):
        mine, right = facts(ours), facts(truth)
        result += [
            f"{truth.number}: {name} {mine[name]}, not {right[name]}" for name in right if mine[name] != right[name]
        ]
    names = ("packets", "tcp_packets", "udp_packets", "icmp_packets", "syn", "syn_ack", "fin", "rst", "captured_twice")
    right = {name: getattr(totals, name) for name in names} | {"connections": len(rows)} | totals.marks
    result += [f"{n} {getattr(done.summary, n)}, not {v}" for n, v in right.items() if getattr(done.summary, n) != v]
    return result


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize(
    ("size", "live"), [(131_072, 160_000), (7, 160_000), (50, 4)], ids=("whole", "tiny", "spilled")
)
def test_seeded_traffic(seed: int, size: int, live: int) -> None:
    frames = seeded(seed)
    assert not differences(frames, fast(frames, size, live))


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(captures(), st.sampled_from((131_072, 64, 5, 1)), st.sampled_from((160_000, 8, 1)))
def test_any_traffic(frames: list[Frame], size: int, live: int) -> None:
    assert not differences(frames, fast(frames, size, live))


def test_many_connections_spilled() -> None:
    """Captures one after the other, so that connections come back from the disk and ports are reused."""
    parts = [
        frames for frames in (seeded(seed, 40) for seed in (*range(40), *range(10))) if frames and frames[0][2] == 1
    ]
    frames = [(number, *frame[1:]) for number, frame in enumerate((f for part in parts for f in part), 1)]
    assert len(slow_rows(frames)) > 200
    assert not differences(frames, fast(frames, 200, 10))


def test_a_temporary_folder_without_room_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, _data: object) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_options: Full())
    monkeypatch.setattr(tempfile, "tempdir", "/folder")
    frames = [(number, *frame[1:]) for number, frame in enumerate((f for n in range(9) for f in seeded(n, 40)), 1)]
    with pytest.raises(UsageError) as told:
        fast(frames, 20, 2)
    assert str(told.value) == f"/folder: no room for the connections of this capture: {os.strerror(errno.ENOSPC)}"


@pytest.mark.parametrize("live", [160_000, 4])
@pytest.mark.parametrize("most", [0, 1, 7, 50, 100_000])
def test_connections_in_short_are_those_with_a_fault_then_the_first(live: int, most: int) -> None:
    parts = [frames for frames in (seeded(seed, 40) for seed in range(40)) if frames and frames[0][2] == 1]
    frames = [(number, *frame[1:]) for number, frame in enumerate((f for part in parts for f in part), 1)]
    connections = fast(frames, 200, live).connections

    def grade(row: Connection) -> int:
        if row.opening in ("unanswered", "refused", "unfinished") or row.closing == "reset":
            return 0
        slow = row.retransmissions_client + row.retransmissions_server + row.zero_windows_client
        return 1 if slow + row.zero_windows_server else 2

    rows = sorted(connections.rows(), key=lambda row: (grade(row), row.number))
    assert len({grade(row) for row in rows}) == 3
    short, more = connections.listed(most)
    assert more == len(rows) - len(short) == max(len(rows) - most, 0)
    for ours, row in zip(short, rows, strict=False):
        told = msgspec.structs.asdict(ours)
        assert told.pop("retransmissions") == row.retransmissions_client + row.retransmissions_server
        assert told.pop("rtt_ms") == row.syn_rtt_ms
        assert told == {name: getattr(row, name) for name in told}


def test_what_is_kept_does_not_depend_on_the_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hash has another key in every run, so that no file can be made to collide; reports are equal all the same."""
    parts = [frames for frames in (seeded(seed, 40) for seed in range(20)) if frames and frames[0][2] == 1]
    frames = [(number, *frame[1:]) for number, frame in enumerate((f for part in parts for f in part), 1)]
    kept = set()
    for key in (1, 3, 5, 7):
        monkeypatch.setattr(columns, "_SEED", key)
        kept.add(tuple(exhibit.connection.number for exhibit in fast(frames, 300).capture.exhibits))
    assert len(kept) == 1


# Cases by hand

CLIENT = Way(bytes([10, 0, 0, 5]), bytes([192, 0, 2, 80]), 50000, 443, ttl=64, ip_id=0)
SERVER = Way(CLIENT.destination, CLIENT.source, 443, 50000, ttl=57, ip_id=0)


def capture(*packets: tuple[float, Way, Segment]) -> list[Frame]:
    """Ethernet frames of (ms since the start, way, segment)."""
    frames: list[Frame] = []
    for number, (ms, way, segment) in enumerate(packets, 1):
        data = ethernet(plain(ip(way, 6, tcp(way, segment))), pad=True)
        frames.append((number, START_NS + round(ms * MS), 1, data, len(data)))
    return frames


def handshake(seq: int = 1000, ack: int = 5000) -> tuple[tuple[float, Way, Segment], ...]:
    """SYN at 0 ms, SYN-ACK at 20 ms, ACK at 20.5 ms."""
    return (
        (0, CLIENT, Segment(seq, 0, SYN, options=mss(1460))),
        (20, SERVER, Segment(ack, seq + 1, SYN | ACK, options=mss(1400))),
        (20.5, CLIENT, Segment(seq + 1, ack + 1)),
    )


def data(size: int) -> bytes:
    return bytes(size)


CASES: dict[str, tuple[list[Frame], list[dict[str, Any]]]] = {
    "open, request, answer, close": (
        capture(
            *handshake(),
            (21, CLIENT, Segment(1001, 5001, PSH | ACK, payload=data(100))),
            (41, SERVER, Segment(5001, 1101, ACK, payload=data(1400))),
            (42, CLIENT, Segment(1101, 6401)),
            (50, CLIENT, Segment(1101, 6401, FIN | ACK)),
            (70, SERVER, Segment(6401, 1102, FIN | ACK)),
            (71, CLIENT, Segment(1102, 6402)),
        ),
        [
            {
                "number": 0,
                "client": "10.0.0.5",
                "client_port": 50000,
                "server": "192.0.2.80",
                "server_port": 443,
                "opening": "complete",
                "closing": "fin",
                "completeness": 31,
                "started": 1_700_000_000.0,
                "duration_s": 0.071,
                "first_frame": 1,
                "last_frame": 9,
                "syn_rtt_ms": 20.0,
                "ack_rtt_ms": 0.5,
                "packets_client": 6,
                "packets_server": 3,
                "bytes_client": 100,
                "bytes_server": 1400,
                "syn": 1,
                "syn_ack": 1,
                "fin_client": 1,
                "fin_server": 1,
                "retransmissions_client": 0,
                "duplicate_acks_client": 0,
                "mss_client": 1460,
                "mss_server": 1400,
                "ttl_syn": 64,
                "ttl_syn_ack": 57,
                "ttl_rst_server": None,
                "ttl_server": (57, 57),
            }
        ],
    ),
    "SYNs without an answer": (
        capture(*((ms, CLIENT, Segment(7, 0, SYN)) for ms in (0, 1000, 3000, 7000))),
        [{"opening": "unanswered", "closing": "none", "completeness": 1, "syn": 4, "retransmissions_client": 3}],
    ),
    "refused again and again, as Windows asks": (
        capture(
            *(
                packet
                for ms in (0, 500, 1000)
                for packet in (
                    (ms, CLIENT, Segment(7, 0, SYN)),
                    (ms + 1, replace(SERVER, ttl=61), Segment(0, 8, RST | ACK, window=0)),
                )
            )
        ),
        [
            {
                "opening": "refused",
                "closing": "reset",
                "completeness": 1 | 4 | 32,
                "syn": 3,
                "rst_server": 3,
                "retransmissions_client": 2,
                "ttl_rst_server": 61,
                "ttl_server": None,
                "zero_windows_server": 0,
            }
        ],
    ),
    "the same ends again": (
        capture(*handshake(), (30, CLIENT, Segment(1001, 5001, RST)), *handshake(seq=77)),
        [{"closing": "reset", "rst_client": 1, "packets_client": 3}, {"number": 1, "opening": "complete", "syn": 1}],
    ),
    "begun before the capture": (
        capture((0, SERVER, Segment(1, 9, ACK, payload=data(10))), (5, CLIENT, Segment(9, 11, FIN | ACK))),
        [{"client": "10.0.0.5", "opening": "mid-stream", "closing": "half-close", "completeness": 4 | 16}],
    ),
    "sent again, in part, after 200 ms; overtaken, after 1 ms": (
        capture(
            *handshake(),
            (30, CLIENT, Segment(1001, 5001, payload=data(500))),
            (30, CLIENT, Segment(1501, 5001, payload=data(500))),
            (230, CLIENT, Segment(1401, 5001, payload=data(500))),
            (300, CLIENT, Segment(2501, 5001, payload=data(500))),
            (301, CLIENT, Segment(2001, 5001, payload=data(400))),
        ),
        [{"retransmissions_client": 1, "out_of_order_client": 1, "previous_lost_client": 1, "bytes_client": 2400}],
    ),
    "across the wrap-around": (
        capture(
            (0, CLIENT, Segment(2**32 - 10, 1, payload=data(20))),
            (1, CLIENT, Segment(10, 1, payload=data(20))),
            (500, CLIENT, Segment(2**32 - 10, 1, payload=data(20))),
            (501, SERVER, Segment(1, 31)),
        ),
        [{"retransmissions_client": 1, "previous_lost_client": 0, "acked_unseen_server": 1}],
    ),
    "keep-alives, window probes, duplicate ACKs": (
        capture(
            *handshake(),
            (100, CLIENT, Segment(1000, 5001)),
            (101, SERVER, Segment(5001, 1001)),  # says no more than the SYN-ACK did
            (200, CLIENT, Segment(1000, 5001, payload=data(1))),
            (201, SERVER, Segment(5001, 1001)),
            (202, SERVER, Segment(5001, 1001)),
            (203, SERVER, Segment(5001, 1001, window=0)),
            (204, SERVER, Segment(5001, 1001, window=0)),
        ),
        [{"keep_alives_client": 2, "duplicate_acks_server": 4, "zero_windows_server": 2, "retransmissions_client": 0}],
    ),
    "a mirror port that shows everything twice": (
        capture(
            *(
                (ms, replace(way, ip_id=number), segment)
                for number, (ms, way, segment) in enumerate(handshake(), 1)
                for ms in (ms, ms + 0.01)
            )
        ),
        [{"captured_twice": 3, "syn": 2, "packets_client": 4, "retransmissions_client": 0, "syn_rtt_ms": 20.0}],
    ),
    "a mirror port shows packets without identification twice": (
        capture(
            *((at, way, segment) for ms, way, segment in handshake() for at in (ms, ms + 2.9)),
            (40, SERVER, Segment(5001, 1001, PSH | ACK, payload=data(100))),
            (42.9, SERVER, Segment(5001, 1001, PSH | ACK, payload=data(100))),
            (43.1, SERVER, Segment(5001, 1001, PSH | ACK, payload=data(100))),
            (44, SERVER, Segment(5001, 1001, PSH | ACK, window=9, payload=data(100))),
        ),
        [
            {
                "captured_twice": 3,
                "syn": 2,
                "syn_ack": 2,
                "syn_rtt_ms": 20.0,
                "retransmissions_client": 0,
                "duplicate_acks_client": 1,  # pure ACKs repeat by themselves
                "retransmissions_server": 2,
            }
        ],
    ),
    "copies without identification, over IPv6": (
        capture(
            (0, Way(bytes(15) + b"\1", bytes(15) + b"\2", 50000, 443), Segment(1000, 0, SYN)),
            (1, Way(bytes(15) + b"\1", bytes(15) + b"\2", 50000, 443), Segment(1000, 0, SYN)),
            (9, Way(bytes(15) + b"\1", bytes(15) + b"\2", 50000, 443), Segment(1000, 0, SYN)),
        ),
        [{"captured_twice": 1, "retransmissions_client": 1}],
    ),
    "copies without identification where numbers leap": (
        capture(
            (0, CLIENT, Segment(1000, 0, PSH | ACK, payload=data(9))),
            (1, CLIENT, Segment(1000, 0, PSH | ACK, payload=data(9))),
            (2, CLIENT, Segment(3_000_000_000, 0, PSH | ACK, payload=data(9))),
            (3, CLIENT, Segment(2_000_000_000, 0, PSH | ACK, window=0, payload=data(9))),
            (9, CLIENT, Segment(2_000_000_000, 0, PSH | ACK, window=0, payload=data(9))),
        ),
        [{"captured_twice": 1, "zero_windows_client": 2}],
    ),
    "a mid-path device answers before the server": (
        capture(
            (0, CLIENT, Segment(1000, 0, SYN)),
            (1, SERVER, Segment(99, 1001, SYN | ACK)),
            (20, SERVER, Segment(5000, 1001, SYN | ACK)),
            (30, SERVER, Segment(5000, 0, SYN)),
        ),
        [{"syn": 2, "syn_ack": 2, "packets_server": 3, "completeness": 3}],
    ),
    "a header that says it is shorter than a header": (
        capture((0, CLIENT, Segment(1, 0, SYN, header=16)), (1, CLIENT, Segment(2, 0, SYN))),
        [{"syn": 0, "packets_client": 1, "completeness": 0}, {"syn": 1, "completeness": 1}],
    ),
    "a port reused by a header that says it is shorter than a header": (
        capture((0, CLIENT, Segment(1, 0, SYN)), (1, CLIENT, Segment(2, 0, SYN, header=16))),
        [{"syn": 1, "completeness": 1}, {"syn": 0, "packets_client": 1, "completeness": 1}],
    ),
    "a SYN-ACK of the client moves its base": (
        capture(
            (0, CLIENT, Segment(1000, 0, SYN)),
            (1, SERVER, Segment(5000, 1001, SYN | ACK)),
            (2, CLIENT, Segment(2000, 5001, SYN | ACK)),
            (3, CLIENT, Segment(1000, 0, SYN)),
        ),
        [{"syn": 1, "syn_ack": 2, "completeness": 3}, {"syn": 1, "completeness": 1}],
    ),
    "a SYN-ACK of the client, unanswered, moves its base": (
        capture(
            (0, CLIENT, Segment(1000, 0, SYN)),
            (2, CLIENT, Segment(2000, 5001, SYN | ACK)),
            (3, CLIENT, Segment(1000, 0, SYN)),
        ),
        [{"syn": 1, "syn_ack": 1, "completeness": 3}, {"syn": 1, "completeness": 1}],
    ),
}


@pytest.mark.parametrize("run", [slow_rows, fast_rows], ids=("slow", "fast"))
@pytest.mark.parametrize("case", CASES)
def test_case(case: str, run: Callable[[Sequence[Frame]], list[Connection]]) -> None:
    frames, expected = CASES[case]
    rows = [facts(row) for row in run(frames)]
    assert [{name: row[name] for name in part} for row, part in zip(rows, expected, strict=True)] == expected


@pytest.mark.parametrize("case", CASES)
def test_the_engines_agree_however_the_packets_come(case: str) -> None:
    frames = CASES[case][0]
    for size in (1, 2, 3):
        assert not differences(frames, fast(frames, size))


@pytest.mark.parametrize("run", [slow_rows, fast_rows], ids=("slow", "fast"))
def test_a_segment_in_fragments_counts_where_it_is_complete(run: Callable[[Sequence[Frame]], list[Connection]]) -> None:
    parts = fragments(CLIENT, 6, tcp(CLIENT, Segment(1, 2, PSH | ACK, payload=data(100))), [40, 80])
    shown = [ethernet(plain(part)) for part in (parts[2], parts[0], parts[1])]
    frames: list[Frame] = [(n, START_NS + n * MS, 1, frame, len(frame)) for n, frame in enumerate(shown, 1)]
    (row,) = run(frames)
    assert (row.packets_client, row.bytes_client, row.first_frame, row.last_frame) == (1, 100, 3, 3)


@pytest.mark.parametrize("size", [1, 2, 3, 10])
def test_a_connection_has_the_name_of_its_first_hello_however_the_packets_come(size: int) -> None:
    """A second one comes where a server asks for other key shares (RFC 8446 §4.1.2), or names another server."""
    first, second = hello("first.example"), hello("second.example")
    frames = capture(
        (0, CLIENT, Segment(1000, 5001, PSH | ACK, payload=first)),
        (1, SERVER, Segment(5001, 1000 + len(first), PSH | ACK, payload=data(90))),
        (2, CLIENT, Segment(1000 + len(first), 5091, PSH | ACK, payload=second)),
    )
    (row,) = fast(frames, size).connections.rows()
    assert row.name == "first.example"


def hello(name: str) -> bytes:
    out = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        client_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname=name).do_handshake()
    return out.read()
