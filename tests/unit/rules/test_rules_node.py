"""net.tcp preambles -> exactly these findings."""

from __future__ import annotations

import pytest

from netdiag.model import (
    CaptureObservation,
    Failure,
    FailureKind,
    Finding,
    MatrixObservation,
    NodeObservation,
    Observation,
    Reach,
    Severity,
    Target,
    TlsObservation,
    TraceHop,
    TraceObservation,
    TraceReply,
)
from netdiag.rules import Seen, findings
from netdiag.rules.node import _FAULTS
from netdiag.wire.framing import FAULT_NAMESPACE

VIA = "net.tcp://node1:8060/ExternalService.svc/"
CAPTURE = CaptureObservation(id="capture-1", source="capture", path="a.pcap", format="pcap", connections=3)


def node(number: int = 0, fault: str = "EndpointNotFound", address: str = "10.0.0.7") -> NodeObservation:
    return NodeObservation(
        id=f"node-{number}",
        source="capture",
        outcome="failed",
        failure=Failure(kind="net-tcp-fault", step="preamble", detail=fault),
        address=address,
        port=8060,
        via=VIA,
        upgrade="application/ssl-tls",
        answer="fault",
        fault=FAULT_NAMESPACE + fault,
    )


def judge(*nodes: NodeObservation):
    seen = Seen(Target(host="", port=0, scheme="file", path="a.pcap"), "direct", (CAPTURE, *nodes))
    return findings(seen)


def test_a_fault_is_the_servers():
    (finding,) = judge(node())
    assert (finding.id, finding.severity, finding.blame) == ("node.fault", Severity.ERROR, "server")
    assert "10.0.0.7:8060 speaks net.tcp" in finding.summary
    assert f"answers {VIA} with the fault EndpointNotFound: nothing serves the path" in finding.summary
    assert "service runs there" in finding.remedy
    assert finding.evidence == ("node-0",)
    assert finding.culprit
    assert finding.culprit.address == "10.0.0.7"


def test_connections_that_fail_alike_are_one_finding():
    both = judge(node(0), node(1), node(2, "UpgradeInvalid"))
    assert [(f.id, f.blame, f.evidence) for f in both] == [
        ("node.fault", "server", ("node-0", "node-1")),
        ("node.fault", "unknown", ("node-2",)),
    ]
    assert "(2 connections)" in both[0].summary


@pytest.mark.parametrize("name", [*_FAULTS, "SomethingNew"])
def test_every_fault_is_explained(name):
    (finding,) = judge(node(fault=name))
    assert f"fault {name}: " in finding.summary
    assert finding.remedy.endswith(".")


def test_a_node_that_agrees_is_fine():
    good = NodeObservation(id="node-0", source="capture", address="10.0.0.7", port=8060, via=VIA, answer="upgrade")
    assert judge(good) == ()


# -- what a probe finds

NODE = Target(host="node-b", port=8060, scheme="net.tcp", path="/ExternalService.svc/")
TLS, NEGOTIATE = "application/ssl-tls", "application/negotiate"


def probed(upgrade: str = TLS, kind: FailureKind | None = None, **changes) -> NodeObservation:
    names = {TLS: "main", NEGOTIATE: "negotiate", "": "plain"}
    fields = {
        "id": f"node.direct.{names[upgrade]}",
        "address": "10.0.0.7",
        "port": 8060,
        "via": VIA,
        "upgrade": upgrade,
        "outcome": "failed" if kind else "ok",
        "failure": Failure(kind=kind, step="preamble") if kind else None,
        "answer": "" if kind else "upgrade" if upgrade else "acknowledged",
        "took_s": 8.0,
    }
    return NodeObservation(**{**fields, **changes})


def told(*observations: Observation, target: Target = NODE) -> tuple[Finding, ...]:
    return findings(Seen(target, "direct", observations))


def invalid(upgrade: str = TLS) -> NodeObservation:
    return probed(upgrade, "net-tcp-fault", answer="fault", fault=FAULT_NAMESPACE + "UpgradeInvalid")


@pytest.mark.parametrize("kind", ["eof", "reset", "timeout"])
def test_a_port_that_does_not_answer(kind):
    (finding,) = told(probed(kind=kind))
    assert (finding.id, finding.severity, finding.blame) == ("node.not-net-tcp", Severity.ERROR, "unknown")
    assert "DIAHostService" in finding.remedy


@pytest.mark.parametrize(
    ("banner", "what"),
    [
        ("HTTP/1.1 400 Bad Request", "answers with HTTP"),
        ("SSH-2.0-x", "answers with SSH"),
        ("\x15\x03\x03\x00\x02", "answers with TLS"),
        ("RFB 003.008", "answers with VNC"),
        ("hello", "answers with something else"),
    ],
)
def test_another_program(banner, what):
    (finding,) = told(probed(kind="not-net-tcp", not_net_tcp=banner))
    assert (finding.id, finding.blame) == ("node.not-net-tcp", "server")
    assert finding.summary == f"node-b:8060 does not speak net.tcp: it {what}"


def test_what_other_questions_were_answered_with():
    http = probed("", id="node.direct.http", asked="http", answer="other", not_net_tcp="HTTP/1.1 200 OK")
    bare = TlsObservation(id="tls.direct.bare", address="10.0.0.7", port=8060, purpose="bare", version="TLSv1.3")
    (finding,) = told(probed(kind="timeout"), http)
    assert finding.summary.endswith("it is a web server (HTTP)")
    assert finding.evidence == ("node.direct.main", "node.direct.http")
    (finding,) = told(probed(kind="not-net-tcp", not_net_tcp="HTTP/1.1 400 Bad Request"), http, bare)
    assert finding.summary.endswith("it speaks TLS at once, without net.tcp before it")
    (finding,) = told(probed(kind="eof"), probed(NEGOTIATE, "eof"), probed("", "eof"))
    assert finding.summary.endswith("accepts connections, and closes them")


def test_a_device_that_cuts_the_preamble():
    def hop(ttl: int, answer: str, address: str = "") -> TraceHop:
        return TraceHop(ttl=ttl, replies=(TraceReply(answer=answer, address=address),))

    place = {"address": "10.0.0.7", "port": 8060}
    syn = TraceObservation(
        id="trace.syn",
        answer="open",
        distance=4,
        hops=(hop(1, "hop", "10.1.0.1"), hop(2, "hop", "10.1.0.2"), hop(3, "hop", "10.1.0.3"), hop(4, "open")),
        **place,
    )
    data = TraceObservation(
        id="trace.data",
        mode="data",
        payload="net.tcp preamble",
        answer="closed",
        distance=3,
        hops=(hop(1, "hop"), hop(2, "hop"), hop(3, "closed")),
        **place,
    )
    (finding,) = told(probed(kind="eof"), syn, data)
    assert (finding.id, finding.blame) == ("node.not-net-tcp", "path-device")
    assert finding.culprit
    assert (finding.culprit.hop, finding.culprit.address) == (2, "10.1.0.2")
    assert "with TTL 3 the connection is closed" in finding.summary


def test_no_encryption_is_a_warning_and_explains_the_refusal():
    (finding,) = told(invalid(), invalid(NEGOTIATE), probed(""))
    assert (finding.id, finding.severity, finding.blame) == ("node.unencrypted", Severity.WARNING, "server")
    assert "(a request for TLS is refused: UpgradeInvalid)" in finding.summary
    assert finding.evidence == ("node.direct.plain", "node.direct.main")


def test_windows_security_is_worth_knowing():
    (finding,) = told(invalid(), probed(NEGOTIATE), invalid(""))
    assert (finding.id, finding.severity) == ("node.windows-security", Severity.INFO)


def test_no_upgrade_at_all_is_a_fault():
    (finding,) = told(invalid(), invalid(NEGOTIATE), invalid(""))
    assert (finding.id, finding.blame, finding.evidence) == ("node.fault", "unknown", ("node.direct.main",))


@pytest.mark.parametrize("kind", ["eof", "reset", "timeout", "not-net-tcp"])
def test_a_connection_that_ends_after_tls(kind):
    shaken = TlsObservation(id="tls.direct.main", address="10.0.0.7", port=8060, version="TLSv1.2")
    end = probed(kind=kind, id="node.direct.end", parent="tls.direct.main", asked="end")
    (finding,) = told(probed(), shaken, end)
    assert (finding.id, finding.blame, finding.evidence) == ("node.cut-off", "server", ("node.direct.end",))


def test_a_node_that_asks_for_a_certificate_and_hangs_up():
    shaken = TlsObservation(
        id="tls.direct.main", address="10.0.0.7", port=8060, version="TLSv1.2", client_certificate_requested=True
    )
    end = probed(kind="eof", id="node.direct.end", parent="tls.direct.main", asked="end")
    (finding,) = told(probed(), shaken, end)
    assert (finding.id, finding.severity) == ("tls.client-certificate-required", Severity.INFO)


def test_an_unencrypted_connection_in_a_capture():
    seen = NodeObservation(id="node-0", source="capture", address="10.0.0.7", port=8060, via=VIA, answer="acknowledged")
    (finding,) = judge(seen)
    assert (finding.id, finding.severity) == ("node.unencrypted", Severity.WARNING)


def test_who_does_not_reach_whom():
    reach = Reach(source="node-b", target="node-a", state="silent", summary="no answer", remedy="Ask.")
    back = Reach(source="node-a", target="node-b", state="reached")
    matrix = MatrixObservation(id="matrix", nodes=("node-a", "node-b"), reaches=(reach, back), reporters=("node-a",))
    (finding,) = told(matrix, target=Target(host="", port=0, scheme="file", path="node-a, node-b"))
    assert (finding.id, finding.severity, finding.blame) == ("node.not-reached", Severity.ERROR, "server")
    assert finding.summary == "node-b cannot reach node-a: nothing answers; the other direction works"
    assert finding.culprit
    assert finding.culprit.name == "node-a"
