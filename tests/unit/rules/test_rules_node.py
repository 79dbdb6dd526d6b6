"""net.tcp preambles -> exactly these findings."""

from __future__ import annotations

import pytest

from netdiag.model import CaptureObservation, Failure, NodeObservation, Severity, Target
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
