"""What each way of not connecting is called, and who is to blame."""

import msgspec
import pytest

from netdiag.model import Failure, FailureKind, Flow, IcmpError, Observation, Target, TcpInfo, TcpObservation
from netdiag.rules import Seen, findings

V4, V6 = "192.0.2.7", "2001:db8::7"


def attempt(
    kind: FailureKind | None, address: str = V4, offender: str = "", took_s: float = 0.1, retransmits: int = 0
) -> TcpObservation:
    return TcpObservation(
        id=f"tcp.direct.{address}",
        address=address,
        port=443,
        took_s=took_s,
        outcome="failed" if kind else "ok",
        failure=Failure(kind=kind, step="connect") if kind else None,
        flow=Flow(client="192.0.2.2", client_port=50000, server=address, server_port=443),
        info=TcpInfo(retransmits=retransmits),
        icmp=IcmpError(version=4, type=3, code=13, offender=offender) if offender else None,
    )


def judged(*observations: Observation) -> list[tuple[str, str, str]]:
    seen = Seen(Target(host="a.example"), "direct", observations)
    return [(f.id, str(f.severity), f.blame) for f in findings(seen)]


def test_packets_that_circle():
    looping = msgspec.structs.replace(
        attempt("unreachable"), icmp=IcmpError(version=4, type=11, code=0, offender="198.51.100.1")
    )
    (finding,) = findings(Seen(Target(host="a.example"), "direct", (looping,)))
    assert (finding.id, finding.blame) == ("tcp.unreachable", "path-device")
    assert "never arrive: they circle among routers" in finding.summary
    assert "198.51.100.1 threw them away (time exceeded)" in finding.summary
    assert "routing loop on the way to 192.0.2.7" in finding.remedy
    assert finding.culprit
    assert finding.culprit.address == "198.51.100.1"


@pytest.mark.parametrize(
    ("observations", "expected"),
    [
        ([attempt(None)], []),
        ([attempt("refused")], [("tcp.refused", "error", "server")]),
        ([attempt("timeout", took_s=8)], [("tcp.no-reply", "error", "path-device")]),
        ([attempt("prohibited", offender="198.51.100.1")], [("tcp.prohibited", "error", "path-device")]),
        ([attempt("prohibited", offender="192.0.2.2")], [("tcp.prohibited", "error", "this-machine")]),
        ([attempt("local-policy")], [("tcp.prohibited", "error", "this-machine")]),
        ([attempt("unreachable", offender="198.51.100.1")], [("tcp.unreachable", "error", "path-device")]),
        ([attempt("unreachable", offender="192.0.2.2")], [("tcp.unreachable", "error", "local-network")]),
        ([attempt("no-route")], [("tcp.unreachable", "error", "this-machine")]),
        # another address answered: it works, but something is wrong
        ([attempt("timeout", V6), attempt(None)], [("tcp.no-reply", "warning", "path-device")]),
        ([attempt("refused", V6), attempt(None)], [("tcp.refused", "warning", "server")]),
        # a machine without IPv6 is no fault, whether IPv4 works or not
        ([attempt("no-route", V6), attempt(None)], []),
        ([attempt("no-route", V6), attempt("refused")], [("tcp.refused", "error", "server")]),
        # several faults: the most telling first
        (
            [attempt("timeout", V6, took_s=8), attempt("prohibited", offender="198.51.100.1")],
            [("tcp.prohibited", "error", "path-device"), ("tcp.no-reply", "error", "path-device")],
        ),
        ([attempt(None, took_s=1.02, retransmits=1)], [("tcp.retransmissions", "warning", "unknown")]),
        ([attempt(None, took_s=1.02)], []),
    ],
)
def test_exactly(observations: list[Observation], expected: list[tuple[str, str, str]]) -> None:
    assert judged(*observations) == expected


def test_not_waited_for_is_no_fault() -> None:
    cut = TcpObservation(id="tcp.v6", address=V6, port=443, outcome="not-run")
    assert judged(cut, attempt(None)) == []


def test_the_device_is_named() -> None:
    seen = Seen(Target(host="a.example"), "direct", [attempt("prohibited", offender="198.51.100.1")])
    [finding] = findings(seen)
    assert finding.culprit is not None
    assert finding.culprit.address == "198.51.100.1"
    assert "198.51.100.1" in finding.summary
    assert "198.51.100.1" in finding.remedy


@pytest.mark.parametrize(
    ("kind", "one", "two"),
    [("refused", "refuses connections", "refuse connections"), ("timeout", "does not answer", "do not answer")],
)
def test_several_addresses_are_several(kind: FailureKind, one: str, two: str) -> None:
    attempts = [attempt(kind), attempt(kind, V6)]
    summaries = [findings(Seen(Target(host="a.example"), "direct", attempts[:n]))[0].summary for n in (1, 2)]
    assert one in summaries[0]
    assert two in summaries[1]


def test_the_other_way_is_not_judged() -> None:
    seen = Seen(Target(host="a.example"), "proxy", [attempt("timeout", took_s=8)])
    assert findings(seen) == ()
