"""What rules make of a run's own packets: one finding, of this machine's words, and none of what harmed nobody."""

import msgspec
import pytest

from netdiag.model import Failure, Finding, HttpsObservation, Observation, ProxyObservation, Target, WireObservation
from netdiag.report import render
from netdiag.rules import Seen, findings
from netdiag.session.judgement import judge
from netdiag.session.wire import evidence
from tests.frames import ACK, RST, SYN, Segment
from tests.taps import RESET, SERVER, START, TIMEOUT, Wire, flow, resetting, tcp_probe, tls_probe

TARGET = Target(host="db.contoso.test")
REFUSED = Failure(kind="refused", step="connect")
ALERT = Failure(kind="tls-alert", step="handshake", detail="handshake_failure")
EOF_ = Failure(kind="eof", step="handshake")


def judged(wire: Wire, *observations: Observation, route: str = "direct") -> tuple[Finding, ...]:
    own = WireObservation(id="wire", source="capture")
    every = evidence(wire.packets, own, [msgspec.structs.replace(o, route=route) for o in observations])
    return findings(Seen(TARGET, route, every))


def ids(found: tuple[Finding, ...]) -> list[tuple[str, str]]:
    return [(finding.id, finding.blame) for finding in found]


def controls(wire: Wire, ports: range, *, ttl: int = 61) -> list[Observation]:
    """Handshakes for comparison, one with another name, all reset."""
    made = []
    for port in ports:
        wire.open(port)
        wire.ask(port)
        wire.reset(port, ttl=ttl)
        name = "www.example.com" if port == ports[0] else "db.contoso.test"
        purpose = "other-name" if port == ports[0] else "legacy-versions"
        made.append(tls_probe(port, name=name, purpose=purpose))
    return made


def test_who_reset_is_one_finding_with_its_frame():
    wire = resetting()
    found = judged(wire, tcp_probe(50001), tls_probe(50001), *controls(wire, range(50002, 50005)))
    assert ids(found) == [("tcp.reset-by-path-device", "path-device")]
    [finding] = found
    assert finding.folded == ("tls.interrupted",)
    assert finding.culprit is not None
    assert finding.culprit.hop == 4
    assert "the 4th hop from this machine" in finding.summary
    assert "www.example.com" not in finding.summary + finding.remedy
    assert finding.evidence[:3] == ("wire.reset-0-server", "wire.connection-0", "tls.direct.50001")
    assert "client" not in finding.remedy


def test_the_report_shows_the_frame():
    wire = resetting()
    own = WireObservation(id="wire", source="capture")
    report = judge(
        TARGET,
        command="endpoint",
        route="direct",
        last_rung="https",
        started=START,
        took_s=1.0,
        observations=evidence(wire.packets, own, [tcp_probe(50001), tls_probe(50001)]),
    )
    assert report.internal_errors == ()
    assert "frame 5" in render(report, "text")


def test_the_servers_own_reset_explains_the_handshake():
    wire = Wire()
    wire.open(50001, ttl=61)
    wire.ask(50001)
    wire.tcp(50001, Segment(501, 109, RST | ACK, 0), sent=False, ttl=61)
    assert ids(judged(wire, tcp_probe(50001), tls_probe(50001, name=""))) == [("tcp.reset-by-server", "server")]


@pytest.mark.parametrize("failure", [ALERT, EOF_, TIMEOUT], ids=lambda failure: failure.kind)
def test_a_reset_after_another_end_is_no_reason(failure):
    found = judged(resetting(), tcp_probe(50001), tls_probe(50001, failure))
    assert not [finding for finding in found if finding.id.startswith("tcp.")]


def test_handshakes_for_comparison_alone_are_no_fault():
    wire = Wire()
    wire.open(50001)
    found = judged(wire, tcp_probe(50001), tls_probe(50001, None), *controls(wire, range(50002, 50004)))
    assert found == ()


def test_what_this_machine_resets_itself_is_its_own_patience():
    wire = Wire()
    wire.tcp(50001, Segment(100, flags=SYN), sent=True)
    wire.tcp(50001, Segment(500, 101, SYN | ACK), sent=False, at=3.0)
    wire.tcp(50001, Segment(101, 0, RST, 0), sent=True, at=3.001)
    assert ids(judged(wire, tcp_probe(50001, TIMEOUT))) == [("tcp.no-reply", "path-device")]


def test_a_refusal_is_a_refusal():
    wire = Wire()
    wire.tcp(50001, Segment(100, flags=SYN), sent=True)
    wire.tcp(50001, Segment(0, 101, RST | ACK, 0), sent=False, ttl=61)
    assert ids(judged(wire, tcp_probe(50001, REFUSED))) == [("tcp.refused", "server")]


def test_another_sender_than_the_server_refuses():
    wire = Wire()
    wire.open(50002, ttl=107)
    wire.tcp(50001, Segment(100, flags=SYN), sent=True)
    wire.tcp(50001, Segment(0, 101, RST | ACK, 0), sent=False, ttl=61)
    found = judged(wire, tcp_probe(50002), tcp_probe(50001, REFUSED))
    assert ids(found) == [("tcp.reset-by-path-device", "path-device")]
    assert found[0].folded == ("tcp.refused",)


@pytest.mark.parametrize(("ttl", "expected"), [(107, "proxy.no-answer"), (61, "tcp.reset-by-path-device")])
def test_a_proxys_own_reset_tells_nothing_of_the_reason(ttl, expected):
    wire = Wire()
    wire.open(50001, ttl=107)
    wire.ask(50001, b"CONNECT db.contoso.test:443 HTTP/1.1\r\n\r\n")
    wire.reset(50001, ttl=ttl)
    tunnel = ProxyObservation(
        id="proxy.tunnel",
        proxy="http://proxy.contoso.test:8080",
        outcome="failed",
        failure=RESET,
        flow=flow(50001),
        started=START,
        took_s=1.0,
    )
    found = judged(wire, tcp_probe(50001, peer="proxy"), tunnel, route="proxy")
    assert [finding.id for finding in found] == [expected]
    assert ttl == 107 or f"the proxy {SERVER}:443" in found[0].summary


def test_a_certificate_that_is_asked_for_explains_the_reset():
    wire = Wire()
    wire.open(50001, ttl=61)
    wire.ask(50001)
    wire.tcp(50001, Segment(501, 111, payload=b"\x17\x03\x03data"), sent=False, ttl=61)
    wire.reset(50001, ttl=61, seq=509)
    tls = tls_probe(50001, None, client_certificate_requested=True, version="TLSv1.3")
    fetch = HttpsObservation(
        id="https.direct",
        parent=tls.id,
        url="https://db.contoso.test/",
        outcome="failed",
        failure=Failure(kind="reset", step="fetch"),
        flow=flow(50001),
        started=START,
        took_s=1.0,
    )
    found = judged(wire, tcp_probe(50001), tls, fetch)
    assert ids(found) == [("tls.client-certificate-required", "this-machine")]


def test_an_answer_that_arrives_and_is_not_taken_is_this_machines_doing():
    wire = Wire()
    for at in (0.0, 1.0, 3.0):
        wire.tcp(50001, Segment(100, flags=SYN), sent=True, at=at)
        wire.tcp(50001, Segment(500, 101, SYN | ACK), sent=False, at=at + 0.01)
    found = judged(wire, tcp_probe(50001, TIMEOUT, took_s=8.0))
    assert ids(found) == [("tcp.handshake-incomplete", "this-machine")]
    assert found[0].folded == ("tcp.no-reply",)
    assert "arrives here" in found[0].summary
    assert "rp_filter" in found[0].remedy
    assert "(1 connection)" in found[0].summary


HELLO = b"\x16\x03\x01" + bytes(1400)
REST = bytes(100)


@pytest.mark.parametrize(
    ("acked", "blame", "words"),
    [
        (101 + 1403 + 100, "server", "acknowledged the ClientHello"),
        (101 + 1403, "path-device", "a part of the ClientHello was sent 4 times and never acknowledged"),
        (101, "path-device", "the ClientHello was sent 4 times and never acknowledged"),
    ],
)
def test_a_hello_in_two_segments_has_arrived_when_both_have(acked, blame, words):
    wire = Wire()
    wire.open(50001)
    for _ in range(4):
        wire.tcp(50001, Segment(101, 501, payload=HELLO), sent=True)
        wire.tcp(50001, Segment(101 + 1403, 501, payload=REST), sent=True)
    wire.tcp(50001, Segment(501, acked, ACK), sent=False)
    probe = tls_probe(50001, Failure(kind="timeout", step="handshake"), bytes_sent=1503)
    found = [finding for finding in judged(wire, tcp_probe(50001), probe) if finding.id == "tls.interrupted"]
    if acked == 101:  # large packets alone are missing: that is the sharper finding
        assert not found or words in found[0].summary
        return
    assert [(finding.blame, words in finding.summary) for finding in found] == [(blame, True)]


def test_the_other_way_is_not_judged():
    wire = resetting()
    own = WireObservation(id="wire", source="capture")
    direct = evidence(wire.packets, own, [tcp_probe(50001), tls_probe(50001)])
    assert findings(Seen(TARGET, "proxy", direct)) == ()
