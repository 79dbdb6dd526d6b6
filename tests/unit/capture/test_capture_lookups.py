"""DNS overheard: questions and answers joined, retries, silence, ICMP; the names of addresses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netdiag.capture import lookups as module
from netdiag.capture.exhibits import DnsSeen, IcmpSeen
from netdiag.capture.lookups import dns_observations, lookups
from netdiag.capture.names import Names
from netdiag.model import DnsObservation
from tests.certs import HOST
from tests.dialogues import CLIENT, RESOLVER, SERVER, START, answer, ask


def seen(*messages: DnsSeen, ended: float = 100.0, icmp=(), wanted=()) -> list[DnsObservation]:
    return list(dns_observations(lookups(messages, icmp), START + ended, wanted))


def only(*messages: DnsSeen, **options) -> DnsObservation:
    observations = seen(*messages, **options)
    assert len(observations) == 1
    return observations[0]


def kind(observation: DnsObservation) -> str:
    return observation.failure.kind if observation.failure else ""


def test_an_answer():
    question = ask()
    observation = only(question, answer(question, SERVER))
    assert (observation.id, observation.source, observation.asker) == ("dns-0", "capture", "name-server")
    assert (observation.server, observation.name, observation.qtype) == (f"{RESOLVER}:53", HOST, "A")
    assert (observation.outcome, observation.rcode, observation.addresses) == ("ok", "NOERROR", (SERVER,))
    assert observation.records[0].value == SERVER
    assert round(observation.took_s, 3) == 0.02
    assert (observation.transport, observation.truncated, observation.attempts) == ("udp", False, 1)
    assert observation.flow
    assert (observation.flow.protocol, observation.flow.client_port) == ("udp", 40_000)


@pytest.mark.parametrize(
    ("rcode", "expected"),
    [("NXDOMAIN", "nxdomain"), ("SERVFAIL", "servfail"), ("REFUSED", "dns-refused"), ("NOERROR", "no-answer")],
)
def test_failures(rcode, expected):
    question = ask()
    observation = only(question, answer(question, rcode=rcode))
    assert (kind(observation), observation.rcode) == (expected, rcode)


def test_silence_and_retries():
    first, second, third = ask(), ask(1), ask(3, number=9, port=40_001)
    observation = only(first, second, third)
    assert (kind(observation), observation.attempts) == ("timeout", 3)
    assert round(observation.took_s) == 6
    late = only(first, second, third, answer(third, SERVER, after=0.5))
    assert (late.outcome, late.attempts) == ("ok", 3)
    assert round(late.took_s, 1) == 3.5
    early = only(first, second, third, answer(first, SERVER, after=3.2))
    assert early.outcome == "ok"


def test_a_question_at_the_end_of_the_capture():
    assert seen(ask(), ended=1.0) == []
    assert kind(only(ask(), ended=10.0)) == "timeout"


@pytest.mark.parametrize(
    "change",
    [
        {"number": 8},
        {"port": 40_001},
        {"name": "other.example"},
        {"qtype": "AAAA"},
        {"server": "10.0.0.54"},
        {"tcp": True},
    ],
)
def test_an_answer_to_another_question_is_none(change):
    observations = seen(ask(), answer(ask(**change), *([] if "qtype" in change else [SERVER])))
    assert [kind(observation) for observation in observations] == ["timeout"]


def test_servers_and_types_are_apart():
    questions = [ask(), ask(qtype="AAAA", number=8), ask(server="10.0.0.54", number=9)]
    observations = seen(*questions, answer(questions[0], SERVER), answer(questions[1], "2001:db8::1"))
    assert [(o.server, o.qtype, o.outcome) for o in observations] == [
        (f"{RESOLVER}:53", "A", "ok"),
        (f"{RESOLVER}:53", "AAAA", "ok"),
        ("10.0.0.54:53", "A", "failed"),
    ]
    assert [o.id for o in observations] == ["dns-0", "dns-1", "dns-2"]


def test_truncated_then_tcp():
    first = ask()
    again = ask(0.1, tcp=True, port=50_001, number=12)
    observation = only(first, answer(first, truncated=True), again, answer(again, SERVER))
    assert (observation.outcome, observation.transport, observation.truncated) == ("ok", "tcp", True)
    assert observation.attempts == 2
    alone = only(first, answer(first, truncated=True))
    assert (kind(alone), alone.failure.detail) == ("timeout", "the answer was truncated, and none came over TCP")
    enough = only(first, answer(first, SERVER, truncated=True))
    assert (enough.outcome, enough.addresses) == ("ok", (SERVER,))


def test_a_snapped_answer_proves_nothing():
    question = ask()
    assert seen(question, answer(question, SERVER, cut=60)) == []
    assert kind(only(question, answer(question, rcode="NXDOMAIN", cut=60))) == "nxdomain"


def icmp(question: DnsSeen, *, code: int = 3, port: int | None = None) -> IcmpSeen:
    return IcmpSeen(
        frame=9,
        at=question.at + 0.01,
        version=4,
        type=3,
        code=code,
        source=question.destination,
        destination=question.source,
        ttl=64,
        mtu=0,
        quoted_protocol=17,
        quoted_source=question.source,
        quoted_source_port=port or question.source_port,
        quoted_destination=question.destination,
        quoted_destination_port=53,
        quoted_ttl=1,
    )


def test_icmp():
    question = ask()
    observation = only(question, icmp=[icmp(question)])
    assert (kind(observation), observation.failure.detail) == ("refused", f"port unreachable, says {RESOLVER}")
    assert round(observation.took_s, 3) == 0.01
    assert kind(only(question, icmp=[icmp(question, code=13)])) == "prohibited"
    assert kind(only(question, icmp=[icmp(question, code=4)])) == "timeout"
    assert kind(only(question, icmp=[icmp(question, port=1)])) == "timeout"


def test_alike_lookups_are_one_and_the_number_is_bounded(monkeypatch):
    same = [ask(n, number=n) for n in range(20)]
    assert len(seen(*(m for q in same for m in (q, answer(q, SERVER))))) == 1
    monkeypatch.setattr(module, "MAX_LOOKUPS", 3)
    good = [ask(n, number=n, name=f"good{n}.example") for n in range(5)]
    bad = [ask(10 + n, number=n, name=f"bad{n}.example") for n in range(2)]
    messages = [m for q in good for m in (q, answer(q, f"192.0.2.{q.payload[1]}"))]
    messages += [m for q in bad for m in (q, answer(q, rcode="NXDOMAIN"))]
    names = [o.name for o in seen(*messages, wanted=["192.0.2.4"])]
    assert names == ["good4.example", "bad0.example", "bad1.example"]


def test_names():
    first, other, later = ask(name="a.example"), ask(1, name="B.example"), ask(50, name="c.example")
    messages = [m for q in (first, other, later) for m in (q, answer(q, SERVER))]
    names = Names(lookups(messages), {SERVER: ("file.example",), "192.0.2.99": ("printer",)})
    assert names.of(SERVER) == ("a.example", "b.example", "c.example", "file.example")
    assert names.at(CLIENT, SERVER, START + 0.5) == "a.example"
    assert names.at(CLIENT, SERVER, START + 2) == "b.example"
    assert names.at(CLIENT, SERVER, START + 90) == "c.example"
    assert names.at(CLIENT, SERVER, START - 5) == "a.example"  # asked before the capture began, most likely
    assert names.at("10.0.0.6", SERVER, START + 90) == "a.example"
    assert names.at(CLIENT, "192.0.2.99", START) == "printer"
    assert names.at(CLIENT, "192.0.2.98", START) == ""


@given(st.lists(st.tuples(st.binary(max_size=60), st.booleans(), st.booleans()), max_size=20))
def test_garbage_is_survived(messages):
    question = ask()
    packets = [question]
    for data, whole, back in messages:
        payload = question.payload[:12] + data if whole else data
        if back:
            packets.append(
                DnsSeen(
                    1, START, RESOLVER, 53, CLIENT, 40_000, bytes([payload[0] | 0x80 if payload else 0]) + payload[1:]
                )
            )
        else:
            packets.append(DnsSeen(1, START, CLIENT, 40_000, RESOLVER, 53, payload))
    seen(*packets)
