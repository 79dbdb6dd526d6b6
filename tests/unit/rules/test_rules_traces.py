"""What traces prove: at which hop a reset, a silence or a prohibition begins, and when that cannot be told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from netdiag.model import (
    Failure,
    FailureKind,
    Finding,
    Flow,
    HttpsObservation,
    IcmpError,
    Observation,
    ResetObservation,
    Target,
    TcpObservation,
    TlsObservation,
    TraceAnswer,
    TraceHop,
    TraceObservation,
    TraceReply,
    WireObservation,
)
from netdiag.rules import Seen, findings
from netdiag.rules.reset_trace import traced
from netdiag.rules.traces import turn
from tests.talk import Talk

CLIENT, SERVER, PUBLIC = "10.77.0.1", "10.77.21.2", "20.42.1.1"
FLOW = Flow(client=CLIENT, client_port=50_007, server=SERVER, server_port=443)
DISTANCE = 22


def router(ttl: int) -> str:
    return f"10.77.{ttl - 1}.2"


def trace(
    mode: Any, answer: TraceAnswer, passed: int, *, silent: Sequence[int] = (), address: str = SERVER, **changes: Any
) -> TraceObservation:
    """Probes with TTL up to ``passed`` ended on the way, and the next got ``answer``."""
    hops = [
        TraceHop(
            ttl=ttl,
            replies=(
                TraceReply(answer="none") if ttl in silent else TraceReply(answer="hop", address=router(ttl), rtt_ms=1),
            ),
        )
        for ttl in range(1, passed + 1)
    ]
    last = [passed + 1] if answer != "none" else range(passed + 1, 17)
    hops += [TraceHop(ttl=ttl, replies=(TraceReply(answer=answer),)) for ttl in last]
    values: dict[str, Any] = {"payload": "ClientHello" if mode == "data" else "", **changes}
    return TraceObservation(
        id=f"trace.direct.{address}:443.{mode}",
        address=address,
        port=443,
        mode=mode,
        hops=tuple(hops),
        answer=answer,
        distance=None if answer == "none" else passed + 1,
        **values,
    )


OPEN = trace("syn", "open", DISTANCE - 1)
UDP = trace("udp", "refused", DISTANCE - 1)


def connected() -> TcpObservation:
    return TcpObservation(id="tcp.direct", address=SERVER, port=443, flow=FLOW)


def attempt(kind: FailureKind, address: str = SERVER, **changes: Any) -> TcpObservation:
    flow = msgspec.structs.replace(FLOW, server=address)
    failure = Failure(kind=kind, step="connect")
    return TcpObservation(
        id="tcp.direct", address=address, port=443, flow=flow, outcome="failed", failure=failure, took_s=8, **changes
    )


def shaken(kind: FailureKind, purpose: Any = "main", name: str = "app.contoso.test") -> TlsObservation:
    return TlsObservation(
        id=f"tls.direct.{purpose}",
        address=SERVER,
        port=443,
        flow=FLOW,
        server_name=name,
        purpose=purpose,
        bytes_sent=500,
        outcome="failed",
        failure=Failure(kind=kind, step="handshake"),
    )


def judged(*observations: Observation, host: str = "app.contoso.test") -> tuple[Finding, ...]:
    return findings(Seen(Target(host=host), "direct", observations))


def root(*observations: Observation) -> tuple[str, str, int | None, str]:
    finding = judged(*observations)[0]
    culprit = finding.culprit
    return finding.id, finding.blame, culprit.hop if culprit else None, culprit.address if culprit else ""


DEVICE = ("tcp.reset-by-path-device", "path-device")


@pytest.mark.parametrize("hop", [1, 2, 4, 12, 20])
@pytest.mark.parametrize("seen", [shaken("reset"), HttpsObservation(id="h", url="", failure=shaken("reset").failure)])
def test_reset_inside_a_connection_without_its_packets(hop, seen):
    found = root(connected(), OPEN, trace("data", "reset", hop), msgspec.structs.replace(seen, outcome="failed"))
    assert found == (*DEVICE, hop, router(hop))


@pytest.mark.parametrize("hop", [1, 2, 4, 12, 20])
def test_reset_of_the_syn_while_udp_shows_how_far_the_host_is(hop):
    assert root(attempt("refused"), trace("syn", "refused", hop), UDP) == (*DEVICE, hop, router(hop))


@pytest.mark.parametrize("kind", ["reset", "eof", "timeout"])
def test_the_server_or_its_last_router_is_not_accused(kind):
    answer: TraceAnswer = {"reset": "reset", "eof": "closed", "timeout": "none"}[kind]
    found = root(connected(), OPEN, trace("data", answer, DISTANCE - 1), shaken(kind))
    assert found == ("tls.interrupted", "unknown", None, "")


@pytest.mark.parametrize(("passed", "udp"), [(DISTANCE - 1, UDP), (4, trace("udp", "none", 4))])
def test_without_packets_a_refusal_may_be_the_last_routers(passed, udp):
    observations = (attempt("refused"), trace("syn", "refused", passed), udp)
    assert root(*observations) == ("tcp.refused", "unknown", None, "")
    assert f"the server itself, or the {passed}" in judged(*observations)[0].summary


def test_a_refusal_is_the_hosts_where_no_router_lies_between_or_nothing_was_traced():
    near = (trace("syn", "refused", 0), trace("udp", "refused", 0))
    assert root(attempt("refused"), *near) == ("tcp.refused", "server", None, SERVER)
    assert root(attempt("refused")) == ("tcp.refused", "server", None, SERVER)


def test_a_refusal_before_the_first_router_is_no_servers():
    observations = (attempt("refused"), trace("syn", "refused", 0), UDP)
    assert root(*observations) == ("tcp.refused", "unknown", None, "")
    assert "from this machine itself or from its first router" in judged(*observations)[0].summary


def test_an_attempt_that_was_connected_for_a_moment_is_no_refusal():
    assert root(attempt("reset"), OPEN) == ("tcp.reset-origin-unknown", "unknown", None, "")


def test_a_public_server_does_not_stand_behind_a_private_router():
    there = {"address": PUBLIC}
    found = root(attempt("refused", PUBLIC), trace("syn", "refused", 4, **there), trace("udp", "none", 4, **there))
    assert found == (*DEVICE, 4, router(4))


@pytest.mark.parametrize(
    ("udp", "expected"),
    [
        (UDP, ("tcp.no-reply", "path-device", 7, router(7))),
        (trace("udp", "none", 7), ("tcp.no-reply", "unknown", None, "")),
        (trace("udp", "refused", 7), ("tcp.no-reply", "unknown", None, "")),
    ],
)
def test_silence_names_the_last_hop_that_answers(udp, expected):
    observations = (attempt("timeout"), trace("syn", "none", 7), udp)
    assert root(*observations) == expected
    assert f"the last hop that answers is the 7th, {router(7)}" in judged(*observations)[0].summary
    assert f"the 7th hop ({router(7)})" in judged(*observations)[0].remedy


@pytest.mark.parametrize(
    ("udp", "blame"),
    [(UDP, "this-machine"), (trace("udp", "none", 1), "this-machine"), (trace("udp", "none", 0), "unknown")],
)
def test_packets_that_never_left_are_a_filters_only_where_others_leave(udp, blame):
    """A neighbour or gateway that nobody answers for keeps packets back as well (ARP)."""
    wire = WireObservation(id="wire", source="capture", unseen=(FLOW,))
    assert root(attempt("timeout"), trace("syn", "none", 0), udp, wire)[:2] == ("tcp.no-reply", blame)
    assert root(attempt("timeout"), wire)[:2] == ("tcp.no-reply", "unknown")


def test_a_neighbour_that_nobody_answers_for_is_the_local_networks():
    nobody = Failure(kind="unreachable", step="send", detail="nobody on the local network answers for the next hop")
    unsent = trace("udp", "unsent", 0, outcome="failed", failure=nobody)
    wire = WireObservation(id="wire", source="capture", unseen=(FLOW,))
    observations = (attempt("timeout"), trace("syn", "none", 0), unsent, wire)
    assert root(*observations)[:2] == ("tcp.no-reply", "local-network")
    assert "got no answer on its own network" in judged(*observations)[0].summary


def test_a_trace_speaks_of_its_own_address_only():
    elsewhere = attempt("refused", "192.0.2.1")
    assert "tcp.reset-by-path-device" not in [f.id for f in judged(elsewhere, trace("syn", "refused", 4), UDP)]


def test_silence_from_the_first_hop_on():
    [finding] = judged(attempt("timeout"), trace("syn", "none", 0))
    assert "not even the first router answers" in finding.summary
    assert finding.culprit is None


def test_hops_that_never_answer_do_not_move_the_place():
    """Where ended TTLs are not told of, what got further still shows which hops let packets pass."""
    found = root(connected(), OPEN, trace("data", "reset", 4, silent=(3, 4)), shaken("reset"))
    assert found == (*DEVICE, 4, router(4))


def test_a_prohibition_has_a_hop():
    error = IcmpError(version=4, type=3, code=13, offender=router(12))
    observations = (attempt("prohibited", icmp=error), trace("syn", "prohibited", 12))
    assert root(*observations) == ("tcp.prohibited", "path-device", 12, router(12))
    assert "the 12th hop, forbids" in judged(*observations)[0].summary


def test_a_prohibition_by_somebody_who_is_not_on_the_path_has_none():
    error = IcmpError(version=4, type=3, code=13, offender="192.0.2.66")
    found = root(attempt("prohibited", icmp=error), trace("syn", "prohibited", 12))
    assert found == ("tcp.prohibited", "path-device", None, "192.0.2.66")


def test_a_filter_by_name_is_placed():
    answered = msgspec.structs.replace(shaken("reset", "no-name", ""), outcome="ok", failure=None)
    observations = (
        connected(),
        OPEN,
        trace("data", "reset", 4),
        shaken("reset"),
        shaken("reset", "repeat"),
        answered,
    )
    assert root(*observations) == ("tls.sni-filtered", "path-device", 4, router(4))
    assert any(router(4) in words for words in judged(*observations)[0].details)


@pytest.mark.parametrize(("kind", "answer"), [("timeout", "none"), ("eof", "closed")])
def test_a_clienthello_that_is_swallowed_or_closed_on_the_way(kind, answer):
    found = root(connected(), OPEN, trace("data", answer, 4), shaken(kind))
    assert found == ("tls.interrupted", "path-device", 4, router(4))


def test_another_end_than_the_handshake_met_says_nothing_of_it():
    found = root(connected(), OPEN, trace("data", "data", 21), shaken("reset"))
    assert found == ("tls.interrupted", "unknown", None, "")


def test_a_trace_may_stand_for_itself():
    lonely = trace("data", "reset", 4, payload="18 bytes")
    assert root(connected(), OPEN, lonely) == (*DEVICE, 4, router(4))
    assert judged(connected(), OPEN, trace("data", "reset", DISTANCE - 1)) == ()


def test_several_routers_at_a_hop_are_no_address():
    two = TraceHop(ttl=4, replies=tuple(TraceReply(answer="hop", address=a) for a in ("10.0.0.1", "10.0.0.2")))
    hops = tuple(two if hop.ttl == 4 else hop for hop in OPEN.hops)
    forked = msgspec.structs.replace(OPEN, hops=hops)
    cut = msgspec.structs.replace(trace("data", "reset", 4, silent=(4,)))
    assert root(connected(), forked, cut, shaken("reset")) == (*DEVICE, 4, "")


# -- with the reset's own packet


def captured(ttl: int, server_ttl: int, flags: str = "RST", **changes: Any) -> ResetObservation:
    talk = Talk(client_ttl=64, server_ttl=server_ttl).hello()
    talk.send(80, "server", flags, ttl=ttl, seq=talk.next["server"], ip_id=0)
    facts = talk.facts(server=SERVER)
    return msgspec.structs.replace(facts, flow=FLOW, server_name="app.contoso.test", **changes)


def weighed(reset: ResetObservation, *traces: Observation) -> tuple[str, int | None, str, float]:
    judged = traced(Seen(Target(host="app.contoso.test"), "direct", (reset, *traces)), reset)
    return judged.origin, judged.hop, judged.address, judged.confidence


HONEST = captured(61, 107)
AT_FOUR = (OPEN, trace("data", "reset", 4))
AT_SERVER = (OPEN, trace("data", "reset", DISTANCE - 1))


def test_ttl_and_trace_agree():
    assert weighed(HONEST, *AT_FOUR) == ("path-device", 4, router(4), 0.95)


def test_without_a_trace_inside_the_path_gives_the_hop_its_address():
    assert weighed(HONEST, OPEN)[:3] == ("path-device", 4, router(4))


def test_a_copied_ttl_lowers_the_confidence_and_does_not_hide_the_device():
    origin, hop, address, confidence = weighed(captured(107, 107), *AT_FOUR)
    assert (origin, hop, address) == ("path-device", 4, router(4))
    assert confidence < weighed(HONEST, *AT_FOUR)[3]
    assert weighed(captured(107, 107))[0] != "path-device"


def test_a_ttl_that_leads_elsewhere_is_said_and_not_believed():
    reset = captured(55, 107)
    assert weighed(reset, *AT_FOUR)[1:3] == (4, router(4))
    judged = traced(Seen(Target(host="x"), "direct", (reset, *AT_FOUR)), reset)
    assert any("alone the sender would be the 10th hop" in words for words in judged.also)


@pytest.mark.parametrize(("ttl", "server_ttl"), [(43, 43), (107, 107), (234, 234)])
def test_the_servers_own_reset(ttl, server_ttl):
    """A host that gives a connection up says so with an ACK; a filter in front of it, with the same TTL, does not."""
    assert weighed(captured(ttl, server_ttl, "RST,ACK"), *AT_SERVER)[0] == "server"
    assert weighed(captured(ttl, server_ttl, "RST"), *AT_SERVER)[0] == "unknown"


@pytest.mark.parametrize(("ttl", "server_ttl", "expected"), [(44, 43, "unknown"), (44, 107, "path-device")])
def test_the_last_router_against_the_server(ttl, server_ttl, expected):
    assert weighed(captured(ttl, server_ttl), *AT_SERVER)[0] == expected


def test_another_name_that_is_answered_speaks_for_a_filter():
    def by_other_name(*more: Observation) -> list[str]:
        seen = Seen(Target(host="x"), "direct", (HONEST, *more))
        return [sign.points_to for sign in traced(seen, HONEST).signs if sign.name == "other-name"]

    other = msgspec.structs.replace(shaken("reset", "other-name", "www.example.com"), outcome="ok", failure=None)
    assert by_other_name(other) == ["path-device"]
    assert by_other_name(shaken("reset", "other-name", "www.example.com")) == []
    assert by_other_name(msgspec.structs.replace(other, address="192.0.2.1")) == []
    assert by_other_name(msgspec.structs.replace(other, purpose="main")) == []


def refusal(ttl: int) -> ResetObservation:
    talk = Talk(client_ttl=64).send(0, "client", "SYN")
    talk.send(40, "server", "RST,ACK", ttl=ttl, ip_id=0)
    return msgspec.structs.replace(talk.facts(server=SERVER), flow=FLOW)


@pytest.mark.parametrize("udp", [UDP, trace("udp", "none", DISTANCE - 1)])
@pytest.mark.parametrize(
    ("ttl", "blame"),
    [(43, "server"), (107, "server"), (44, "unknown"), (41, "unknown")],
)
def test_who_refuses_at_the_hosts_distance(ttl, blame, udp):
    found = root(attempt("refused"), trace("syn", "refused", DISTANCE - 1), udp, refusal(ttl))
    assert found[1] == blame


def test_a_turn_needs_a_trace_that_left_this_machine():
    unsent = trace("syn", "unsent", 0)
    seen = Seen(Target(host="x"), "direct", (unsent,))
    assert turn(seen, SERVER, 443, "syn") is None
    assert turn(seen, SERVER, 443, "data") is None
