"""Several capture files read as one."""

import threading

import numpy as np
import pytest

from netdiag.capture.engine import analyze
from netdiag.capture.packets import Comment, Damage, Drop, FileInfo, Process
from netdiag.capture.series import Series, _add
from netdiag.model import UsageError
from tests.frames import ACK, PSH, SYN, Segment, Way, ethernet, ip, plain, tcp, write_pcap

START = 1_700_000_000_000_000_000
CLIENT, SERVER = bytes((10, 0, 0, 5)), bytes((192, 0, 2, 1))
THERE, BACK = Way(CLIENT, SERVER, 50_000, 443), Way(SERVER, CLIENT, 443, 50_000)


def frame(second, way, segment):
    data = ethernet(plain(ip(way, 6, tcp(way, segment))))
    return 0, START + int(second * 1e9), 1, data, len(data)


#: One connection, over two files.
FIRST = [
    frame(0, THERE, Segment(100, flags=SYN)),
    frame(0.02, BACK, Segment(900, 101, SYN | ACK)),
    frame(0.021, THERE, Segment(101, 901)),
]
SECOND = [
    frame(10, THERE, Segment(101, 901, PSH | ACK, payload=b"question")),
    frame(10.02, BACK, Segment(901, 109, PSH | ACK, payload=b"answer")),
]


@pytest.fixture
def ring(tmp_path):
    """The later file's name sorts first."""
    return [str(write_pcap(tmp_path / "a.pcap", SECOND)), str(write_pcap(tmp_path / "b.pcap", FIRST))]


def frames_of(series):
    return [batch.first_frame + n for batch in series for n in range(len(batch))]


def test_a_connection_goes_on_in_the_next_file(ring):
    analysis = analyze(Series(ring))
    (row,) = analysis.connections.rows()
    assert (row.opening, row.first_frame, row.last_frame) == ("complete", 1, 5)
    assert (row.bytes_client, row.bytes_server) == (8, 6)
    assert (analysis.summary.packets, analysis.summary.format) == (5, "pcap")
    assert analysis.summary.path == f"{ring[1]}, {ring[0]}"
    assert analysis.summary.bytes == sum(24 + sum(16 + len(f[3]) for f in each) for each in (FIRST, SECOND))
    assert analysis.summary.remarks == ()


def test_frames_count_on(ring):
    assert frames_of(Series(ring)) == [1, 2, 3, 4, 5]


def test_interfaces_count_on(ring):
    series = Series(ring)
    assert [np.unique(batch.interface).tolist() for batch in series] == [[0], [1]]
    assert [interface.linktype for interface in series.info.interfaces] == [1, 1]


def test_one_file_is_read_as_it_is(ring):
    series = Series(ring[:1])
    assert [batch.interface for batch in series] == [None]
    assert series.info.path == ring[0]


def test_files_of_the_same_time_are_remarked(tmp_path, ring):
    other = str(write_pcap(tmp_path / "c.pcap", [frame(5, THERE, Segment(101, 901))]))
    series = Series([*ring, other])
    assert frames_of(series) == [1, 2, 3, 4, 5, 6]
    assert series.info.remarks == []  # one after the other
    long = str(write_pcap(tmp_path / "d.pcap", [*FIRST, *SECOND]))
    series = Series([long, other])
    assert frames_of(series) == [1, 2, 3, 4, 5, 6]
    assert series.info.remarks == [
        f"{other} begins before the file before it ends: packets in both count as sent again"
    ]


def test_reading_ends_between_two_batches(ring):
    cancel = threading.Event()
    series = Series(ring, cancel=cancel)
    for _ in series:
        cancel.set()
    assert series.info.remarks == ["reading was ended after packet 3"]


def test_progress_adds_up(ring):
    told = []
    list(Series(ring, progress=lambda *numbers: told.append(numbers)))
    sizes = [24 + sum(16 + len(f[3]) for f in each) for each in (FIRST, SECOND)]
    assert told[-1] == (sum(sizes), None, 5)
    told.clear()
    list(Series(ring[:1], progress=lambda *numbers: told.append(numbers)))
    assert told[-1] == (sizes[1], sizes[1], 2)


def test_a_file_that_is_no_capture(tmp_path, ring):
    bad = tmp_path / "bad.txt"
    bad.write_text("text\n" * 99)
    with pytest.raises(UsageError, match=r"bad\.txt"):
        list(Series([*ring, str(bad)]))
    with pytest.raises(UsageError, match=r"missing\.pcap"):
        Series([str(tmp_path / "missing.pcap")])


def test_what_the_files_say_adds_up():
    whole = FileInfo(path="a, b", format="")
    one = FileInfo(path="a", format="pcapng", os="Windows", dropped=3, bytes=10, skipped=1)
    one.comments.append(Comment(0, "whole file"))
    one.names["192.0.2.1"] = ("a.example",)
    one.processes.append(Process(7, "a.exe"))
    two = FileInfo(path="b", format="pcapng", os="Linux", dropped=4, bytes=20, skipped=2)
    two.comments.append(Comment(2, "here"))
    two.drops.append(Drop(3, "WFP"))
    two.processes.append(Process(9, "b.exe"))
    two.process_of_frame[5] = 0
    two.damage = Damage(6, 99, "cut")
    _add(whole, one, 0)
    _add(whole, two, 100)
    assert (whole.format, whole.os, whole.dropped, whole.bytes, whole.skipped) == ("pcapng", "Windows, Linux", 7, 30, 3)
    assert whole.comments == [Comment(0, "whole file"), Comment(102, "here")]
    assert whole.drops == [Drop(103, "WFP")]
    assert whole.process_of_frame == {105: 1}
    assert whole.names == {"192.0.2.1": ("a.example",)}
    assert whole.damage == Damage(106, 99, "b: cut")
