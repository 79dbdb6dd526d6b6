"""Each sign, each benign case, and what they come to together."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netdiag.model import ResetObservation, Segment
from netdiag.rules.reset_evidence import CERTAIN, Attribution, attribute, here, vantage
from netdiag.rules.reset_sign import Sign
from tests.talk import Side, Talk, guide


def judge(talk: Talk, **arguments: Any) -> Attribution:
    return attribute(talk.facts(**arguments))


def signs(talk: Talk, **arguments: Any) -> dict[str, Sign]:
    """Those that point to somebody."""
    return {s.name: s for s in judge(talk, **arguments).signs if s.points_to != "nobody"}


def test_the_guides_reset() -> None:
    found = judge(guide())
    assert (found.origin, found.hop, found.adverb) == ("path-device", 4, "almost certainly")
    assert found.arithmetic == (
        (
            "Reset: TTL 61 = 64 - 3: 3 routers between, sent by the 4th hop from the client; "
            "64 is the initial TTL of Linux, macOS, BSD and the firewalls built on them"
        ),
        (
            "The server's SYN-ACK: TTL 107 = 128 - 21: 21 routers between, so the server is the 22nd hop; "
            "128 is the initial TTL of Windows"
        ),
    )
    assert (found.signature, found.stage) == (
        "⟨PSH+ACK → RST⟩",
        "right after the client's first data, before any answer",
    )
    assert found.details[:3] == (found.conclusion, *found.arithmetic)
    assert "Signature ⟨PSH+ACK → RST⟩: right after the client's first data, before any answer" in found.details


def answered(at: float, flags: str = "RST,ACK", **changes: Any) -> Talk:
    return Talk().answered().send(at, "server", flags, **changes)


@pytest.mark.parametrize(
    ("talk", "name", "points_to"),
    [
        # TTL
        (answered(240), "ttl", "server"),
        (answered(240, ttl=61), "ttl", "path-device"),
        (answered(240, ttl=104), "ttl", "path-device"),
        (answered(240, ttl=105), "ttl", None),
        (answered(240, ttl=43), "ttl", "path-device"),  # another kind of system at the same distance
        (answered(240, ttl=90), "ttl", "path-device"),  # further away than the server
        (Talk(server_ttl=64).answered().send(240, "server", "RST,ACK"), "sent-here", "server"),
        (Talk().answered().send(240, "client", "RST,ACK"), "sent-here", "client"),
        (Talk(client_ttl=120).answered().send(240, "client", "RST,ACK"), "ttl", "client"),
        # IP identification
        (answered(240), "ip-id-goes-on", "server"),
        (answered(240, ip_id=51_000), "ip-id-off", "path-device"),
        (answered(240, ip_id=20_003), "ip-id-off", "path-device"),  # behind the counter
        (answered(240, ip_id=22_000), "ip-id-off", None),  # a busy host may have come so far
        (answered(240, ip_id=0), "ip-id-off", "path-device"),  # Windows counts on
        (Talk(server_ttl=50).answered().send(240, "server", "RST", ip_id=0), "ip-id-off", None),  # Linux does not
        (answered(240, ip_id=104), "ip-id-copied", "path-device"),
        (answered(240, df=False), "df", "path-device"),
        (answered(240), "df", None),
        # timestamps
        (answered(240, ts_val=9, ts_ecr=1), "timestamps", "path-device"),  # not negotiated
        (answered(240), "timestamps", None),
        # DATA_SEQ_RST and numbers ahead
        (answered(240, seq=5001), "DATA_SEQ_RST", "path-device"),
        (answered(240, "RST", seq=5001), "DATA_SEQ_RST", None),  # RFC 9293: the number of the packet it answers
        (answered(240), "DATA_SEQ_RST", None),
        (answered(240, seq=7201 + 1460), "sequence-ahead", "path-device"),
        (answered(240, seq=7201 + 10), "sequence-ahead", "path-device"),
        (answered(240, seq=7202), "sequence-ahead", None),  # a FIN that the capture lost
        (answered(240, seq=2**31 + 5), "sequence-ahead", "path-device"),
        (answered(240, ack=99_999), "ack-ahead", "path-device"),
        (answered(240), "ack-ahead", None),
        # RST_SEQ_CHANGE, RST_ACK_CHANGE
        (answered(240).send(241, "server", "RST,ACK", seq=8661), "RST_SEQ_CHANGE", "path-device"),
        (answered(240).send(3241, "server", "RST,ACK", seq=8661), "RST_SEQ_CHANGE", None),  # not one act
        (answered(240).send(241, "server", "RST,ACK"), "RST_SEQ_CHANGE", None),
        (answered(240).send(241, "server", "RST,ACK", ack=900), "RST_ACK_CHANGE", "path-device"),
        (answered(240).send(241, "server", "RST,ACK"), "RST_ACK_CHANGE", None),
        (answered(240).send(241, "server", "RST,ACK", ttl=61), "resets-differ", "path-device"),
        (answered(240).send(241, "server", "RST,ACK", ttl=106), "resets-differ", None),
        (answered(240).send(240, "server", "RST,ACK").send(241, "server", "RST,ACK"), "volley", "path-device"),
        (answered(240).send(250, "server", "RST,ACK").send(290, "server", "RST,ACK"), "volley", None),
        # RST_SEQ_DATA
        (answered(240).send(260, "server", "PSH,ACK", 900), "RST_SEQ_DATA", "path-device"),
        (answered(240).send(260, "server", "FIN,ACK"), "RST_SEQ_DATA", "path-device"),
        (answered(240, seq=8101).send(241, "server", "PSH,ACK", 900), "RST_SEQ_DATA", None),  # overtaken
        (answered(240).send(260, "server", "ACK"), "RST_SEQ_DATA", None),
        (answered(240).send(260, "server", "ACK"), "acknowledges-on", "path-device"),
        # time of arrival
        (answered(205), "too-early", "path-device"),
        (answered(219), "too-early", "path-device"),
        (answered(221), "too-early", None),
        (answered(241), "in-time", "server"),
        (answered(900), "in-time", None),
        (Talk(rtt_ms=2).answered().send(200.1, "server", "RST,ACK"), "too-early", None),  # too near to tell
        (Talk(rtt_ms=2).answered().send(200.1, "client", "RST,ACK"), "too-early", None),
    ],
)  # fmt: skip
def test_sign(talk: Talk, name: str, points_to: str | None) -> None:
    found = signs(talk)
    assert (found[name].points_to if name in found else None) == points_to
    assert all(0.5 < sign.weight < 1 and sign.words for sign in found.values())


def test_a_timestamp_of_the_senders_own_clock() -> None:
    talk = Talk().hello().send(90, "server", "PSH,ACK", 10, ts_val=1000, ts_ecr=5)
    assert signs(talk.send(240, "server", "RST,ACK", ts_val=1150, ts_ecr=6))["timestamps"].points_to == "server"
    talk = Talk().hello().send(90, "server", "PSH,ACK", 10, ts_val=1000, ts_ecr=5)
    assert signs(talk.send(240, "server", "RST,ACK", ts_val=3, ts_ecr=6))["timestamps"].points_to == "path-device"
    talk = Talk().hello().send(90, "server", "PSH,ACK", 10, ts_val=1000, ts_ecr=5)
    assert "timestamps" not in signs(talk.send(240, "server", "RST,ACK"))


def test_an_acknowledgement_that_comes_too_early_is_worse_than_a_reset_that_does() -> None:
    assert signs(answered(205))["too-early"].weight > signs(answered(205, "RST"))["too-early"].weight


def refusal(client_ttl: int = 128, ttl: int = 61, **changes: Any) -> Talk:
    return Talk(client_ttl=client_ttl).send(0, "client", "SYN").send(40, "server", "RST,ACK", ttl=ttl, seq=0, **changes)


@pytest.mark.parametrize(
    ("talk", "elsewhere", "origin"),
    [
        (refusal(), ((107, 5),), "path-device"),
        (refusal(ttl=107), ((107, 5),), "server"),
        (refusal(ttl=106), ((107, 5),), "unknown"),
        (refusal(), (), "unknown"),
        # an accepted SYN, which the injected reset overtook
        (refusal().send(45, "server", "SYN,ACK"), (), "path-device"),
        # Windows repeats its SYN after a reset, and then the port is open
        (refusal(ttl=107).send(540, "client", "SYN").send(580, "server", "SYN,ACK"), (), "server"),
        # no router in between, yet a public address
        (refusal(ttl=64), (), "path-device"),
        (refusal(ttl=64, client_ttl=126), (), "unknown"),
    ],
)
def test_refused_opening(talk: Talk, elsewhere: tuple[tuple[int, int], ...], origin: str) -> None:
    assert judge(talk, server="8.8.8.8", ttls_elsewhere={"8.8.8.8": elsewhere}).origin == origin


def test_a_server_on_ones_own_network_may_be_as_near_as_it_likes() -> None:
    assert judge(refusal(ttl=64), server="10.0.0.9").origin == "unknown"


def test_syn_rst() -> None:
    talk = Talk(client_ttl=120).send(0, "client", "SYN").send(1, "client", "RST")
    assert signs(talk)["SYN_RST"].points_to == "path-device"
    talk = Talk(client_ttl=120).send(0, "client", "SYN").send(40, "server", "SYN,ACK").send(41, "client", "RST")
    assert "SYN_RST" not in signs(talk)


@pytest.mark.parametrize(
    ("talk", "origin"),
    [
        (guide(), "path-device"),
        (answered(241), "server"),
        (answered(241, ttl=105, ip_id=22_000), "unknown"),
        (Talk().answered().send(240, "client", "RST,ACK"), "client"),
        # a server's capture: the client's reset was made by a device three routers away
        (Talk(client_ttl=107, server_ttl=64).answered().send(240, "client", "RST", ttl=61, ip_id=0), "path-device"),
        # one sign for each
        (Talk().hello().send(90, "server", "RST", ip_id=0, df=False), "unknown"),
        # nothing to compare
        (Talk().send(0, "client", "PSH,ACK", 5).send(40, "server", "RST"), "unknown"),
        # equal TTLs, but nobody answers in a fifth of the round trip, acknowledges what cannot have arrived, goes on
        (answered(205, seq=5001).send(240, "server", "PSH,ACK", 50), "path-device"),
        # further away than the SYN-ACK: the server behind a SYN proxy
        (answered(900, ttl=95, ip_id=22_000), "unknown"),
    ],
)
def test_origin(talk: Talk, origin: str) -> None:
    found = judge(talk)
    assert found.origin == origin
    assert bool(found.adverb) == (origin != "unknown")
    assert (found.hop is not None) == (origin == "path-device")


def test_a_name_just_asked_for_makes_equal_ttls_undecided() -> None:
    talk = Talk().hello().send(81, "server", "RST", ip_id=20_010)
    assert judge(talk, server_name="").origin == "server"
    assert judge(talk, server_name="x.example").origin == "unknown"


def test_ttls_that_vary_anyway_say_less() -> None:
    steady, varied = answered(300, ttl=95, ip_id=22_000), Talk().hello()
    varied.send(90, "server", "PSH,ACK", 1400, ttl=99).send(300, "server", "RST,ACK", ttl=95, ip_id=22_000)
    assert signs(varied)["ttl"].weight < signs(steady)["ttl"].weight


@pytest.mark.parametrize(
    ("talk", "words"),
    [
        (answered(210, ttl=107), "load balancer, NAT or proxy"),
        (answered(210, ttl=106), "several paths"),
        (answered(210, ttl=95), "SYN proxy"),
        (answered(210), "data unread"),
        (answered(210, "RST"), "no longer knew the connection"),
        (answered(90_210), "nothing was sent for 90 s"),
        (Talk().answered().send(210, "server", "FIN,ACK").send(250, "server", "RST"), "had closed already"),
        (Talk().answered().send(210, "server", "FIN,ACK").send(250, "client", "RST"), "ends its half"),
        (Talk().open().send(42, "client", "RST,ACK"), "port test"),
    ],
)
def test_benign(talk: Talk, words: str) -> None:
    found = judge(talk).benign
    assert any(words in explanation for explanation in found)
    assert any(words in line for line in judge(talk).details)


@pytest.mark.parametrize(
    ("client_ttl", "server_ttl", "expected", "said"),
    [
        (128, 107, "client", "the client"),
        (107, 64, "server", "the server"),
        (64, 64, "both", "the capture point"),
        (120, 60, "between", "the capture point"),  # at a firewall
    ],
)
def test_vantage(client_ttl: int, server_ttl: int, expected: str, said: str) -> None:
    sides: tuple[Side, ...] = ("server", "client")
    for side in sides:
        talk = Talk(client_ttl, server_ttl).answered().send(240, side, "RST")
        assert (vantage(talk.facts()), here(talk.facts())) == (expected, said)


def test_ipv6_speaks_of_hop_limits() -> None:
    talk = Talk(v6=True).hello().send(42, "server", "RST,ACK", ttl=61)
    found = judge(talk)
    assert (found.origin, found.hop) == ("path-device", 4)
    assert "hop limit 61 = 64 - 3" in found.arithmetic[0]
    assert not any(name.startswith("ip-id") for name in signs(talk))


@pytest.mark.parametrize(
    ("talk", "signature"),
    [
        (refusal(), "⟨SYN → RST+ACK⟩"),
        (refusal().send(4, "server", "RST"), "⟨SYN → RST; RST+ACK⟩"),
        (Talk().open().send(42, "server", "RST").send(42, "server", "RST"), "⟨SYN; ACK → RST; RST⟩"),
        (Talk().open().send(42, "server", "RST,ACK"), "⟨SYN; ACK → RST+ACK⟩"),
        (guide(), "⟨PSH+ACK → RST⟩"),
        (guide().send(43, "server", "RST"), "⟨PSH+ACK → RST = RST⟩"),
        (guide().send(43, "server", "RST", seq=9000), "⟨PSH+ACK → RST ≠ RST⟩"),
        (guide().send(43, "server", "RST", seq=0), "⟨PSH+ACK → RST; RST₀⟩"),
        (guide().send(43, "server", "RST,ACK"), "⟨PSH+ACK → RST; RST+ACK⟩"),
        (Talk().hello().send(43, "server", "RST,ACK").send(43, "server", "RST,ACK"), "⟨PSH+ACK → RST+ACK; RST+ACK⟩"),
        (answered(240), "⟨PSH+ACK; Data → RST+ACK⟩"),
        (answered(240, "RST"), "⟨PSH+ACK; Data → RST⟩"),
    ],
)
def test_signature(talk: Talk, signature: str) -> None:
    assert judge(talk).signature == signature


# Whatever a capture, or a saved report that somebody wrote by hand, may hold.

numbers, ttl_values = st.integers(0, 2**32 - 1), st.integers(0, 255)


def segments(ttls: st.SearchStrategy[int]) -> st.SearchStrategy[Segment]:
    return st.builds(
        Segment,
        frame=st.just(1),
        at=st.floats(0, 1e4),
        sender=st.sampled_from(["client", "server"]),
        flags=st.sampled_from(["SYN", "SYN,ACK", "ACK", "PSH,ACK", "FIN,ACK", "RST", "RST,ACK", ""]),
        seq=numbers,
        ack=numbers,
        length=st.integers(0, 65_535),
        window=st.just(0),
        ttl=ttls,
        ip_id=st.none() | st.integers(0, 65_535),
        df=st.booleans(),
        ts_val=st.none() | numbers,
    )


def observations(values: st.SearchStrategy[int] = ttl_values, fewest: int = 0) -> st.SearchStrategy[ResetObservation]:
    packet = segments(values)
    pairs = st.lists(st.tuples(values, st.just(1)), min_size=fewest, max_size=3).map(tuple)
    return st.builds(
        ResetObservation,
        id=st.just("r"),
        claimed=st.sampled_from(["client", "server"]),
        resets=st.lists(packet, min_size=1, max_size=3).map(tuple),
        opening=st.none() | packet,
        before=st.none() | packet,
        after=st.lists(packet, max_size=2).map(tuple),
        answers=st.none() | packet,
        provoked_by=st.none() | packet,
        ttls=pairs,
        ttls_elsewhere=pairs,
        next_seq=st.none() | numbers,
        acked=st.none() | numbers,
        rtt_ms=st.none() | st.floats(0, 1e4),
        after_fin=st.booleans(),
        fins=st.sampled_from([(), ("client",), ("server",), ("server", "client")]),
        ip_ids=st.lists(st.integers(0, 65_535), max_size=4).map(tuple),
        syns=st.lists(st.floats(0, 1e4), max_size=2).map(tuple),
        stage=st.sampled_from(["post_syn", "post_ack", "post_psh", "later_in_flow"]),
        server_name=st.sampled_from(["", "x.example"]),
        bytes_client=st.integers(0, 9),
        bytes_server=st.integers(0, 9),
    )


#: Facts in which every packet has one TTL.
level = st.integers(1, 255).flatmap(lambda ttl: observations(st.just(ttl), fewest=1))


@settings(max_examples=100, deadline=None)
@given(observations())
def test_any_facts_get_an_answer_that_is_never_certain(facts: ResetObservation) -> None:
    found = attribute(facts)
    assert 0.5 <= found.confidence <= 0.95
    assert found.origin in ("unknown", "path-device", facts.claimed)
    assert found.signature
    assert all(found.details)
    assert {sign.points_to for sign in found.signs} <= {"nobody", "path-device", facts.claimed}
    for sign in found.signs:
        if sign.name in ("ttl", "sent-here") and sign.points_to == facts.claimed:
            assert facts.resets[0].ttl in {ttl for ttl, _ in facts.ttls or facts.ttls_elsewhere}


@settings(max_examples=100, deadline=None)
@given(level)
def test_equal_ttls_never_make_a_device_certain(facts: ResetObservation) -> None:
    found = attribute(facts)
    assert found.origin != "path-device" or (found.confidence < CERTAIN and found.adverb != "almost certainly")
