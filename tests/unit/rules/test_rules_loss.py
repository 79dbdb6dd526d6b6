"""Lost packets of a capture: what counts, and what is sent again for another reason."""

import pytest

from tests.service import attempt, connection, judge, service, told
from tests.talk import Talk

LOSSY = [("tcp.retransmissions", "warning", "unknown")]


def download(lost: int = 0, *, acked: bool = True) -> Talk:
    """Twenty segments of the server; the first ``lost`` of them once more, and the client's ACK for all."""
    talk = Talk().hello()
    start = talk.next["server"]
    for number in range(20):
        talk.send(90 + number, "server", "ACK", 1448)
    end = talk.next["server"]
    for number in range(lost):
        talk.send(300 + number, "server", "ACK", 1448, seq=start + number * 1448)
        talk.next["server"] = end
    return talk.send(400, "client", "ACK", ack=end if acked else start)


def counts(again: int, packets: int = 50, **changes: object) -> object:
    return service(**{"complete": 1, "packets": packets, "retransmissions": again, "rtt_ms": 40.0, **changes})


@pytest.mark.parametrize(
    ("again", "packets", "expected"),
    [(0, 50, []), (1, 50, []), (2, 50, LOSSY), (2, 101, []), (1999, 100_000, []), (2000, 100_000, LOSSY)],
)
def test_from_two_percent_on(again, packets, expected):
    assert told(counts(again, packets)) == expected


def test_the_words():
    (finding,) = judge(connection(download(2)), counts(2))
    assert "2 of 50 (4.0 %) were sent again, nearly all by the server; a round trip takes 40 ms" in finding.summary


@pytest.mark.parametrize(
    ("syn_ms", "ack_ms", "words"),
    [
        (0.03, 20.6, "a round trip takes 21 ms"),  # captured at the server
        (20.0, 0.03, "a round trip takes 20 ms"),  # at the client
        (12.0, 8.0, "a round trip takes 20 ms"),  # in between
        (0.03, 0.1, "a round trip takes less than 1 ms"),
    ],
)
def test_the_round_trip_is_the_whole_one_wherever_it_was_captured(syn_ms, ack_ms, words):
    made = connection(download(2), syn_rtt_ms=syn_ms, ack_rtt_ms=ack_ms)
    (finding,) = judge(made, counts(2, rtt_ms=syn_ms))
    assert words in finding.summary


def test_both_directions_are_not_one():
    talk = download(1).send(500, "client", "PSH,ACK", 100)
    talk.send(800, "client", "PSH,ACK", 100, seq=talk.next["client"] - 100).send(840, "server", "ACK")
    (finding,) = judge(connection(talk), counts(2))
    assert "nearly all" not in finding.summary


@pytest.mark.parametrize(
    ("made", "row"),
    [
        (download(3, acked=False), {}),  # never acknowledged: something stops them
        (download(3), {"icmp": "fragmentation needed, from 192.0.2.1"}),  # path MTU discovery at work
        (download(3), {"captured_twice": 9}),  # copies of packets without identification
    ],
)
def test_what_is_sent_again_for_another_reason(made, row):
    found = told(connection(made, 0, "complete", **row), counts(3))
    assert [identifier for identifier, _, _ in found if identifier == "tcp.retransmissions"] == []


def test_the_same_packet_at_two_places_is_no_repeat():
    talk = download()
    for segment in [s for s in talk.segments if s.length][:5]:
        kept = talk.next[segment.sender]
        talk.send(500, segment.sender, segment.flags, segment.length, seq=segment.seq, ack=segment.ack)
        talk.segments[-1] = type(segment)(**{f: getattr(segment, f) for f in segment.__struct_fields__})
        talk.next[segment.sender] = kept
    found = told(connection(talk), counts(5))
    assert found == [("capture.captured-twice", "info", "unknown")]


def opened_late(number: int, after_ms: float) -> tuple[object, ...]:
    """The first SYN is lost."""
    talk = Talk().send(0, "client", "SYN").send(after_ms, "client", "SYN", seq=1_000)
    talk.next["client"] = 1_001
    talk.send(after_ms + 40, "server", "SYN,ACK").send(after_ms + 41, "client", "ACK")
    talk.send(after_ms + 50, "client", "PSH,ACK", 100).send(after_ms + 90, "server", "PSH,ACK", 900)
    took_s = (after_ms + 40) / 1000
    return connection(talk, number), attempt(number, retransmits=1, took_s=took_s)


def test_lost_syns_make_connections_late():
    observations = [o for number in range(3) for o in opened_late(number, 1000)]
    (finding,) = judge(*observations, counts(3, connections=3, complete=3))
    assert "3 connections began up to 1.0 s late for a lost SYN" in finding.summary


def test_a_syn_that_crosses_another_is_not_lost():
    """Both ends connect to each other at once: the SYN-ACK bears the SYN's number."""
    observations = [o for number in range(3) for o in opened_late(number, 200)]
    assert told(*observations, counts(3, connections=3, complete=3)) == []


def test_silence_is_no_loss():
    talk = Talk().send(0, "client", "SYN").send(1000, "client", "SYN", seq=1_000).send(3000, "client", "SYN", seq=1_000)
    silent = connection(talk, 0, "unanswered")
    good = connection(download(), 1)
    found = told(silent, attempt(0, "timeout", retransmits=2), good, attempt(1), counts(2, connections=2, unanswered=1))
    assert found == [("tcp.no-reply", "warning", "path-device")]
