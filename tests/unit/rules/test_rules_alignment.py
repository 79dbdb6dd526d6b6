"""What two captures of one connection add to findings, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from netdiag.model import AlignedObservation, AlignedPacket, Losses, ResetObservation
from netdiag.rules import Seen
from netdiag.rules.alignment import PROVEN, aligned_with, between, name_of, near, placed
from netdiag.rules.reset_evidence import attribute
from tests.service import FILE, attempt, connection, flow, judge, service, told
from tests.talk import Talk, guide


def aligned(*packets: AlignedPacket, number: int = 0, **changes: Any) -> AlignedObservation:
    fields: dict[str, Any] = {
        "id": f"aligned-{number}",
        "parent": f"connection-{number}",
        "source": "capture",
        "flow": flow(number),
        "connection": number,
        "path": "/tmp/node.pcap",
        "other": "C:\\firewall.pcap",
        "nearer_client": "this",
        "routers": 3,
        "packets": packets,
    }
    return AlignedObservation(**{**fields, **changes})


def packet(flags: str, sender: str = "client", **changes: Any) -> AlignedPacket:
    return AlignedPacket(**{"sender": sender, "flags": flags, "seq": 1, "length": 0, "at": 0.0, **changes})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"changes": (("client", "mss 1460 → mss 1300", 1),)}, [("capture.packets-changed", "info", "path-device")]),
        ({"shift_server": 9}, [("capture.packets-changed", "info", "path-device")]),
        ({"changes": (("server", "payload", 2),)}, [("capture.packets-changed", "warning", "path-device")]),
    ],
)
def test_changed_packets(changes: dict[str, Any], expected: list[tuple[str, str, str]]) -> None:
    assert told(connection(Talk().answered()), service(complete=1), aligned(**changes)) == expected


def test_names_and_places() -> None:
    one = aligned()
    assert (name_of(one, "this"), name_of(one, "other")) == ("node.pcap", "firewall.pcap")
    assert (near(one, "client"), near(one, "server")) == ("this", "other")
    assert between(one) == "between node.pcap and firewall.pcap"
    assert between(aligned(nearer_client="other")) == "between firewall.pcap and node.pcap"
    assert near(aligned(nearer_client=""), "client") is None


SILENT = (Talk().send(0, "client", "SYN").send(1000, "client", "SYN", seq=1_000), attempt(0, "timeout", retransmits=1))


def opening(*packets: AlignedPacket, **changes: Any) -> str:
    talk, tried = SILENT
    observations = (connection(talk, 0, "unanswered"), tried, service(unanswered=1), aligned(*packets, **changes))
    (found,) = judge(*observations)
    assert found.id == "tcp.no-reply"
    return found.summary.partition("In both captures: ")[2]


@pytest.mark.parametrize(
    ("packets", "words"),
    [
        ((packet("SYN", frame=1, missing=True),), "the SYNs are in node.pcap (frame 1) and never in firewall.pcap"),
        ((packet("SYN", frame=1),), ""),  # the other had ended
        ((packet("SYN", frame=1, other_frame=4),), "the SYNs pass firewall.pcap (frame 4), and no answer comes back"),
        (
            (packet("SYN", frame=1, other_frame=4), packet("SYN,ACK", "server", other_frame=5, missing=True)),
            "the SYN-ACK is in firewall.pcap (frame 5) and never in node.pcap",
        ),
    ],
)
def test_how_far_an_opening_comes(packets: tuple[AlignedPacket, ...], words: str) -> None:
    assert opening(*packets).startswith(words)
    assert bool(opening(*packets)) is bool(words)


def test_nothing_is_said_where_the_sides_are_not_known() -> None:
    assert opening(packet("SYN", frame=1, missing=True), nearer_client="") == ""


def reset_in(aligned_: AlignedObservation) -> tuple[ResetObservation, Seen]:
    reset = guide().facts(parent="connection-0")
    return reset, Seen(FILE, "direct", (reset, aligned_))


def rst(frame: int, **changes: Any) -> AlignedPacket:
    return packet("RST", "server", frame=frame, **changes)


def test_both_captures_outweigh_the_ttl() -> None:
    frame = guide().facts().resets[0].frame
    reset, seen = reset_in(aligned(rst(frame, missing=True)))
    found = placed(seen, reset, attribute(reset))
    assert (found.origin, found.confidence, found.hop) == ("path-device", PROVEN, 4)
    assert found.details[0].startswith("It is in node.pcap")
    assert "the last packet" not in " ".join(found.details).lower()


@pytest.mark.parametrize("changes", [{"nearer_client": ""}, {"packets": ()}])
def test_without_proof_the_single_capture_counts(changes: dict[str, Any]) -> None:
    frame = guide().facts().resets[0].frame
    reset, seen = reset_in(aligned(**{"packets": (rst(frame, missing=True),), **changes}))
    assert placed(seen, reset, attribute(reset)) == attribute(reset)


def test_a_reset_that_the_other_capture_cannot_tell_of() -> None:
    reset, seen = reset_in(aligned(rst(guide().facts().resets[0].frame)))
    assert placed(seen, reset, attribute(reset)) == attribute(reset)


def test_an_older_last_packet_is_told() -> None:
    reset, seen = reset_in(aligned(rst(guide().facts().resets[0].frame, missing=True, after_end=True)))
    assert any("is older than the reset" in line for line in placed(seen, reset, attribute(reset)).details)


def test_a_circle_of_parents_ends() -> None:
    one, other = (attempt(n, parent=f"tcp-{1 - n}") for n in (0, 1))
    assert aligned_with(Seen(FILE, "direct", (one, other)), one) is None


@pytest.mark.parametrize(
    ("losses", "words"),
    [
        (Losses(packets=9, between=3), "3 of the server's 9 packets with data are in firewall.pcap and never in node"),
        (Losses(packets=9, before=3), "is lost before it reaches firewall.pcap"),
        (Losses(packets=9, after=3), "lost beyond node.pcap, on its way to the client"),
        (Losses(packets=9), ""),
    ],
)
def test_where_loss_is(losses: Losses, words: str) -> None:
    observed = service(complete=1, retransmissions=9, packets=100)
    found = judge(connection(Talk().answered(), retransmissions_server=9), observed, aligned(lost_server=losses))
    (loss,) = (f for f in found if f.id == "tcp.retransmissions")
    assert words in loss.summary
    assert ("In both captures" in loss.summary) is bool(words)
