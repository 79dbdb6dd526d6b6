"""Connections of a capture that are never completed, and receivers that do not read."""

import pytest

from netdiag.model import Connection, ConnectionObservation
from tests.service import END, SERVER, attempt, connection, judge, service, told
from tests.talk import CLIENT, START, Talk


def half_open() -> Talk:
    return Talk().send(0, "client", "SYN").send(40, "server", "SYN,ACK")


def again(talk: Talk, at_ms: float, side: str, flags: str) -> Talk:
    """The side's first packet once more."""
    first = next(s for s in talk.segments if s.sender == side)
    kept = talk.next[side]
    talk.send(at_ms, side, flags, seq=first.seq)  # type: ignore[arg-type]
    talk.next[side] = kept
    return talk


def lost(number: int = 0) -> ConnectionObservation:
    """The client goes on repeating its SYN, although the SYN-ACK is there."""
    talk = again(again(half_open(), 1000, "client", "SYN"), 1040, "server", "SYN,ACK")
    return connection(talk, number, "unfinished")


def vanished(number: int = 0, client: str = CLIENT) -> ConnectionObservation:
    talk = again(again(half_open(), 1040, "server", "SYN,ACK"), 3040, "server", "SYN,ACK")
    return connection(talk, number, "unfinished", client=client)


INCOMPLETE = ("tcp.handshake-incomplete", "error", "path-device")


@pytest.mark.parametrize(
    ("observations", "words"),
    [
        ((lost(), service(unfinished=1)), ["never reaches the client", "the only connection", "after 1.0 s"]),
        ((vanished(), service(unfinished=1)), ["the client's ACK never comes", "after 1.0, 3.0 s"]),
    ],
)
def test_an_opening_that_nobody_completes(observations, words):
    assert told(*observations) == [INCOMPLETE]
    (finding,) = judge(*observations)
    assert [word for word in words if word not in finding.summary] == []


def test_it_is_a_warning_where_others_are_completed():
    good = connection(Talk().answered(), 1)
    found = told(lost(), good, service(connections=2, complete=1, unfinished=1))
    assert found == [("tcp.handshake-incomplete", "warning", "path-device")]


def test_the_attempt_is_no_silence():
    """One fault, one finding: the server did answer."""
    assert told(lost(), attempt(kind="timeout", took_s=5.0), service(unfinished=1)) == [INCOMPLETE]


def test_connections_without_packets_count_too():
    (finding,) = judge(lost(), service(connections=500, unfinished=500))
    assert "all 500 connections" in finding.summary


def test_a_client_that_resets_only_tried():
    talk = half_open().send(40.1, "client", "RST")
    found = judge(connection(talk, 0, "unfinished", rst_client=1), service(unfinished=1))
    assert [(f.id, str(f.severity)) for f in found if f.id == "tcp.handshake-incomplete"] == [
        ("tcp.handshake-incomplete", "info")
    ]


def test_the_capture_may_end_before_the_ack():
    fresh = connection(half_open(), 0, "unfinished")
    assert told(fresh, service(unfinished=1), last=START + 0.1) == []
    assert told(fresh, service(unfinished=1), last=END) == [INCOMPLETE]


def test_many_clients_look_like_a_flood():
    flood = [vanished(n, client=f"198.51.100.{n}") for n in range(60)]
    (finding,) = judge(*flood, service(connections=60, unfinished=60))
    assert finding.blame == "unknown"
    assert "60 clients" in finding.summary
    assert "flood" in finding.summary


def stalled(seconds: float | None, side: str = "server", **changes: object) -> ConnectionObservation:
    """``side`` closes its window at 200 ms, and opens it ``seconds`` later; None: never, the last packet is at 9 s."""
    other = "client" if side == "server" else "server"
    talk = Talk().answered().send(200, side, "ACK", window=0)  # type: ignore[arg-type]
    if seconds is not None:
        talk.send(200 + seconds * 1000, side, "ACK", window=1024)  # type: ignore[arg-type]
    talk.send(9000, other, "ACK")  # type: ignore[arg-type]
    return connection(talk, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("made", "expected", "words"),
    [
        (stalled(2.0), ("tcp.zero-window", "warning", "server"), "closed for 2.0 s ("),
        (stalled(2.0, "client"), ("tcp.zero-window", "warning", "this-machine"), f"The client {CLIENT} does not read"),
        (stalled(None), ("tcp.zero-window", "warning", "server"), "closed for 8.8 s, and never opens it again"),
        (stalled(2.0, process="ssms.exe"), ("tcp.zero-window", "warning", "server"), "program ssms.exe"),
    ],
)
def test_a_receiver_that_does_not_read(made, expected, words):
    observations = (made, service(complete=1))
    assert told(*observations) == [expected]
    assert words in judge(*observations)[0].summary


def test_a_window_that_closes_for_a_moment_is_ordinary():
    assert told(stalled(0.9), service(complete=1)) == []


def test_a_reset_with_window_0_is_no_closed_window():
    talk = Talk().answered().send(200, "server", "RST,ACK", window=0).send(9000, "client", "ACK")
    found = told(connection(talk), service(complete=1))
    assert [identifier for identifier, _, _ in found if identifier == "tcp.zero-window"] == []


def test_the_longest_wait_of_all_is_named():
    (finding,) = judge(stalled(1.5), stalled(4.0, number=1), service(connections=3, complete=3))
    assert "closed for 4.0 s" in finding.summary
    assert "2 of 3 connections" in finding.summary
    assert "conversation 1" in finding.summary
    assert finding.culprit is not None
    assert finding.culprit.address == SERVER


def test_a_row_without_packets_tells_nothing():
    row = connection(Talk().answered()).connection
    assert isinstance(row, Connection)
    bare = ConnectionObservation(id="connection-0", source="capture", connection=row)
    assert told(bare, service(complete=1, zero_windows_server=9)) == []
