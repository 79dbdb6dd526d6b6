"""What is noted of each reset, and that nothing else is."""

import pytest

from netdiag.capture.exhibits import Exhibit
from netdiag.capture.resets import MAX_AFTER, MAX_IP_IDS, MAX_RESETS, resets, ttls_elsewhere, with_alike
from netdiag.model import ServiceObservation
from tests.talk import CLIENT, SERVER, START, Talk, guide


def test_the_guides_reset() -> None:
    [seen] = resets(guide().exhibit(name="x.example"), parent="connection-7")
    assert (seen.id, seen.parent, seen.source, seen.outcome) == ("reset-7-server", "connection-7", "capture", "ok")
    assert seen.flow is not None
    assert (seen.flow.client, seen.flow.server, seen.flow.server_port) == (CLIENT, SERVER, 443)
    assert seen.started == seen.resets[0].at == pytest.approx(START + 0.0425)
    assert (seen.claimed, seen.stage, seen.server_name) == ("server", "post_psh", "x.example")
    assert seen.resets[0].ttl == 61
    assert seen.opening is not None
    assert seen.before == seen.opening
    assert seen.opening.flags == "SYN,ACK"
    assert seen.answers is not None
    assert seen.answers == seen.provoked_by
    assert seen.answers.length == 517
    assert seen.ttls == ((107, 1),)
    assert (seen.next_seq, seen.acked) == (5001, 5001)
    assert (seen.rtt_ms, seen.bytes_client, seen.bytes_server) == (40.0, 517, 0)
    assert (seen.after, seen.fins, seen.after_fin, seen.ip_ids) == ((), (), False, (20001,))
    assert seen.syns == (START,)


def test_no_reset_no_observation() -> None:
    assert resets(Talk().answered().exhibit()) == ()
    assert resets(Exhibit(Talk().open().exhibit().connection)) == ()


@pytest.mark.parametrize(
    ("talk", "stage"),
    [
        (Talk().send(0, "client", "SYN").send(40, "server", "RST,ACK"), "post_syn"),
        (Talk().send(0, "client", "SYN").send(40, "server", "SYN,ACK").send(41, "client", "RST"), "post_syn"),
        (Talk().open().send(50, "server", "RST,ACK"), "post_ack"),
        (Talk().hello().send(50, "server", "RST,ACK"), "post_psh"),
        (Talk().hello().send(42, "client", "PSH,ACK", 900).send(50, "server", "RST,ACK"), "post_psh"),
        (Talk().answered().send(250, "server", "RST,ACK"), "later_in_flow"),
    ],
)
def test_stage(talk: Talk, stage: str) -> None:
    assert talk.facts().stage == stage


def test_a_connection_without_its_beginning_is_at_no_early_stage() -> None:
    talk = Talk().send(0, "client", "PSH,ACK", 10).send(40, "server", "RST")
    assert resets(talk.exhibit(opening="mid-stream"))[0].stage == "later_in_flow"


def test_both_sides_in_the_order_of_their_resets() -> None:
    talk = Talk().answered().send(210, "server", "RST").send(211, "client", "RST")
    assert [seen.claimed for seen in resets(talk.exhibit())] == ["server", "client"]
    assert resets(talk.exhibit())[1].rtt_ms == 0.1


def test_the_highest_number_across_the_wrap() -> None:
    talk = Talk()
    talk.next["server"] = 2**32 - 700
    talk.open().send(90, "server", "PSH,ACK", 1000).send(91, "client", "ACK", ack=301)
    seen = talk.send(92, "server", "PSH,ACK", 10, seq=2**32 - 699).send(95, "server", "RST", seq=301).facts()
    assert (seen.next_seq, seen.acked) == (301, 301)


def test_closing_is_noted() -> None:
    talk = Talk().answered().send(210, "server", "FIN,ACK").send(220, "client", "ACK").send(250, "server", "RST")
    assert (talk.facts().after_fin, talk.facts().fins) == (True, ("server",))
    other = Talk().answered().send(210, "client", "FIN,ACK").send(250, "server", "RST")
    assert (other.facts().after_fin, other.facts().fins) == (False, ("client",))


def test_copies_of_a_mirror_port_are_no_packets() -> None:
    talk = guide().send(42.6, "server", "RST", ttl=60, ip_id=0, marks=("captured-twice",))
    assert len(talk.facts().resets) == 1


def test_everything_is_bounded() -> None:
    talk = Talk().hello()
    for i in range(40):
        talk.send(90 + i, "server", "PSH,ACK", 10)
    for i in range(40):
        talk.send(200 + i, "server", "RST").send(200 + i, "server", "PSH,ACK", 10).send(200.5 + i, "client", "SYN")
    seen = talk.facts()
    assert (len(seen.resets), len(seen.after), len(seen.ip_ids)) == (MAX_RESETS, MAX_AFTER, MAX_IP_IDS)
    assert len(seen.syns) == 16


def test_packets_that_were_not_kept_still_count() -> None:
    """Bytes before a reset behind the gap are the connection's, less what came later; its extreme TTLs are known."""
    exhibit = Talk().answered().send(250, "server", "RST").send(251, "server", "PSH,ACK", 40).exhibit()
    whole = resets(exhibit)[0]
    assert (whole.bytes_client, whole.bytes_server) == (817, 2200)
    gap = Talk().answered().send(250, "server", "RST").send(251, "server", "PSH,ACK", 40)
    cut = gap.exhibit(bytes_client=90_000, bytes_server=1_000_040, ttl_server=(101, 107))
    cut.omitted, cut.omitted_after = 500, 4
    seen = resets(cut)[0]
    assert (seen.bytes_client, seen.bytes_server) == (90_000, 1_000_000)
    assert seen.ttls == ((101, 1), (107, 4))
    cut.omitted_after = len(cut.segments)  # the gap is behind the reset
    assert resets(cut)[0].bytes_server == 2200


def test_ttls_elsewhere_serve_only_an_address_that_showed_none() -> None:
    service = {"id": "s", "address": SERVER, "connections": 3}
    known = ttls_elsewhere(
        [
            ServiceObservation(**service, port=443, ttls_syn_ack=((107, 3),)),
            ServiceObservation(**service, port=80, ttls_syn_ack=((106, 1), (107, 2))),
            ServiceObservation(id="t", address="198.51.100.1", port=80, connections=1),
        ]
    )
    assert known == {SERVER: ((106, 1), (107, 5))}
    refused = Talk().send(0, "client", "SYN").send(3, "server", "RST,ACK", ttl=61)
    assert refused.facts(ttls_elsewhere=known).ttls_elsewhere == ((106, 1), (107, 5))
    assert guide().facts(ttls_elsewhere=known).ttls_elsewhere == ()


def test_alike() -> None:
    observations = [guide().facts(), guide().facts(), Talk().answered().send(250, "server", "RST").facts()]
    assert [o.alike for o in with_alike(observations)] == [2, 2, 1]


def test_a_name_counts_only_once_the_client_has_sent_it() -> None:
    assert resets(Talk().open().send(50, "server", "RST").exhibit(name="x.example"))[0].server_name == ""
    assert guide().facts(server_name="sni.example").server_name == "sni.example"
