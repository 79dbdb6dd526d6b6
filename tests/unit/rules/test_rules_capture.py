"""What of the traffic is not in the file, and the verdict over what is."""

import pytest

from netdiag.model import DnsObservation
from netdiag.rules import Seen, conclude_capture
from tests.service import FILE, attempt, capture, connection, judge, service, told
from tests.talk import Talk


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        (
            {"damage": "the file is cut in the middle of a packet", "damaged_frame": 32, "damaged_byte": 21_615},
            [("capture.truncated-file", "warning", "unknown")],
        ),
        (
            {"unknown_links": (("LINKTYPE_IEEE802_11 (105)", 12),)},
            [("capture.unknown-link-type", "warning", "unknown")],
        ),
        ({"snapped": 5}, [("capture.snapped-packets", "info", "unknown")]),
        ({"dropped": 9}, [("capture.packets-dropped", "info", "unknown")]),
        ({"dropped": 10}, [("capture.packets-dropped", "warning", "unknown")]),
        ({"acked_unseen": 10, "syn": 3, "syn_ack": 3}, [("capture.packets-dropped", "warning", "unknown")]),
        ({"acked_unseen": 10, "syn": 3}, [("capture.one-direction", "warning", "unknown")]),
        ({"acked_unseen": 10, "syn_ack": 3}, [("capture.one-direction", "warning", "unknown")]),
        ({"syn": 3}, []),  # unanswered, and nothing says that they were
        ({"drops": (("INET_PortUnreachable", 3),)}, [("capture.system-drops", "info", "this-machine")]),
        ({"drops": (("WFP inspection drop", 3),)}, [("capture.system-drops", "warning", "this-machine")]),
        ({"captured_twice": 9}, []),
        ({"captured_twice": 10}, [("capture.captured-twice", "info", "unknown")]),
    ],
)
def test_exactly(changes, expected):
    assert told(**changes) == expected


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"damage": "cut", "damaged_frame": 32, "damaged_byte": 21_615}, "after packet 32, at byte 21,615: cut"),
        ({"damage": "cut", "damaged_frame": 0, "damaged_byte": 24}, "before its first packet, at byte 24: cut"),
        ({"unknown_links": (("USB (220)", 12),)}, "12 of 1,000 packets of a.pcap are of a link layer"),
        ({"unknown_links": (("USB (220)", 1000),)}, "Every packet of a.pcap is of a link layer"),
        ({"acked_unseen": 10, "syn": 3}, "only what the clients sent: 3 SYNs, no SYN-ACK"),
        ({"acked_unseen": 10, "syn_ack": 3}, "only what the servers sent: 3 SYN-ACKs, no SYN"),
    ],
)
def test_words(changes, words):
    assert words in judge(**changes)[0].summary


def test_one_direction_makes_nobody_silent():
    talk = Talk().send(0, "client", "SYN").send(1000, "client", "SYN", seq=1_000)
    observations = (connection(talk, 0, "unanswered"), attempt(0, "timeout", retransmits=1), service(unanswered=1))
    assert [identifier for identifier, _, _ in told(*observations)] == ["tcp.no-reply"]
    found = told(*observations, syn=2, acked_unseen=4)
    assert [identifier for identifier, _, _ in found] == ["capture.one-direction"]


def lookup() -> DnsObservation:
    return DnsObservation(id="dns-0", asker="name-server", name="a.example", addresses=("192.0.2.1",))


def concluded(*observations, whole=True, **changes):
    seen = Seen(FILE, "direct", (capture(**changes), *observations))
    found = judge(*observations, **changes)
    return conclude_capture(seen, found, whole=whole)


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        (
            {"connections": 71_412, "outcomes": (("complete", "fin", 71_400), ("mid-stream", "none", 12))},
            "healthy",
            "71,412 connections, nothing wrong that matters: 71,400 opened, 12 were open before",
        ),
        ({"retransmissions": 1, "tcp_packets": 6}, "healthy", "matters: 1 packet sent again"),
        ({"retransmissions": 3, "tcp_packets": 2_000}, "healthy", "matters: 3 packets sent again (0.1 %)"),
        ({"retransmissions": 1, "tcp_packets": 90_000}, "healthy", "1 packet sent again (less than 0.1 %)"),
        ({"connections": 0, "packets": 0}, "inconclusive", "a.pcap: it holds no packet"),
        ({"connections": 0, "packets": 0, "damage": "cut"}, "inconclusive", "no packet that can be read (cut)"),
        (
            {"connections": 0, "tcp_packets": 0},
            "inconclusive",
            "1,000 packets, and no TCP connection and no DNS lookup",
        ),
        (
            {"connections": 0, "tcp_packets": 0, "unknown_links": (("USB (220)", 1000),)},
            "inconclusive",
            "does not read its link layer (USB (220))",
        ),
        ({"connections": 0}, "inconclusive", "1,000 TCP packets, and none of a connection that was asked for"),
        ({"damage": "cut", "damaged_frame": 3}, "impaired", "can be read no further"),
        ({"whole": False}, "inconclusive", "not judged to its end"),
    ],
)
def test_the_verdict(changes, status, words):
    verdict = concluded(**changes)
    assert verdict.status == status
    assert words in verdict.summary


def test_names_alone_can_be_judged():
    assert concluded(lookup(), connections=0, tcp_packets=0).summary.startswith("1 DNS lookup, nothing wrong")


def test_an_error_counts_even_when_the_judging_did_not_end():
    verdict = concluded(attempt(0, "refused"), service(refused=1), whole=False)
    assert (verdict.status, verdict.finding, verdict.blame) == ("failed", "tcp.refused", "server")
