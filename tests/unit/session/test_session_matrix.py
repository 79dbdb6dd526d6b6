"""Who reaches whom: reports of several nodes -> the matrix, its verdict, and what each file may be."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest

from netdiag.model import (
    DnsObservation,
    Failure,
    FailureKind,
    Flow,
    HostObservation,
    LabelledReport,
    MachineInfo,
    MatrixObservation,
    NodeObservation,
    Observation,
    ReachState,
    Report,
    Target,
    TcpObservation,
    UsageError,
)
from netdiag.report.node_facts import STATES
from netdiag.rules.node_matrix import _SAYS
from netdiag.session import node_matrix, parse_node, rejudge
from netdiag.session.judgement import judge
from netdiag.session.matrix import _state

ADDRESSES = {"node-a": "10.0.0.1", "node-b": "10.0.0.2", "node-c": "10.0.0.3", "node-d": "10.0.0.4"}
#: What became of the connection -> what the matrix calls it.
KINDS: dict[str, FailureKind] = {"refused": "refused", "silent": "timeout", "unreachable": "unreachable"}


def tried(source: str, target: str, what: str = "reached", **changes: Any) -> Report:
    """What ``source`` found when it tried ``target``."""
    changes = {"host": source.upper(), "full": "", "started": 1_780_000_000.0, "address": "", **changes}
    host, address = target, changes["address"] or ADDRESSES.get(target.partition(".")[0], target)
    me = ADDRESSES.get(source.partition(".")[0], "10.9.9.9")
    observations: list[Observation] = []
    if changes["host"]:
        own = () if changes.get("addresses") is None else changes["addresses"]
        observations.append(
            HostObservation(id="machine.host", name=changes["host"], full_name=changes["full"], addresses=own)
        )
    unknown = Failure(kind="nxdomain", step="lookup") if what == "name-unknown" else None
    observations.append(
        DnsObservation(
            id="dns.system",
            asker="system",
            name=host,
            addresses=() if unknown else (address,),
            outcome="failed" if unknown else "ok",
            failure=unknown,
        )
    )
    if not unknown:
        failure = Failure(kind=KINDS[what], step="connect") if what in KINDS else None
        flow = Flow(client=me, client_port=50000, server=address, server_port=8060)
        observations.append(
            TcpObservation(
                id="tcp",
                parent="dns.system",
                address=address,
                port=8060,
                flow=flow,
                outcome="failed" if failure else "ok",
                failure=failure,
            )
        )
    if what in ("reached", "fault", "plain"):
        fault = Failure(kind="net-tcp-fault", step="preamble", detail="ServerTooBusy") if what == "fault" else None
        observations.append(
            NodeObservation(
                id="node.direct.main",
                parent="tcp",
                address=address,
                port=8060,
                via=f"net.tcp://{host}:8060/ExternalService.svc/",
                upgrade="" if what == "plain" else "application/ssl-tls",
                answer="fault" if fault else "acknowledged" if what == "plain" else "upgrade",
                fault="x/ServerTooBusy" if fault else "",
                outcome="failed" if fault else "ok",
                failure=fault,
            )
        )
    return judge(
        parse_node(host),
        command="node",
        route="direct",
        last_rung="chain",
        started=changes["started"],
        took_s=0.1,
        observations=tuple(observations),  # type: ignore[arg-type] # each is one of a report's
    )


def of(*reports: Report, name: str = "", file: str = "x.json") -> list[LabelledReport]:
    return [LabelledReport(label=name, file=file, report=report) for report in reports]


def made(*files: list[LabelledReport], nodes: tuple[str, ...] = ()) -> tuple[Report, MatrixObservation]:
    report = node_matrix([one for file in files for one in file], [parse_node(node) for node in nodes])
    (matrix,) = report.observations
    assert isinstance(matrix, MatrixObservation)
    return report, matrix


def states(matrix: MatrixObservation) -> dict[tuple[str, str], str]:
    return {(reach.source, reach.target): reach.state for reach in matrix.reaches}


def test_all_reach_each_other():
    report, matrix = made(
        of(tried("node-a", "node-b"), tried("node-a", "node-c")),
        of(tried("node-b", "node-a"), tried("node-b", "node-c")),
        of(tried("node-c", "node-a"), tried("node-c", "node-b")),
        nodes=("node-a", "node-b", "node-c"),
    )
    assert (report.verdict.status, report.verdict.finding) == ("healthy", None)
    assert report.verdict.summary == "All 3 nodes reach each other (6 directions)"
    assert (matrix.nodes, matrix.reporters, matrix.missing) == (("node-a", "node-b", "node-c"),) * 2 + ((),)
    assert (report.command, report.target) == (
        "node",
        Target(host="", port=0, scheme="file", path="node-a, node-b, node-c"),
    )
    assert rejudge(msgspec.json.decode(msgspec.json.encode(report), type=Report)) == report


@pytest.mark.parametrize("what", ["refused", "silent", "unreachable", "name-unknown", "fault"])
def test_one_direction(what):
    report, matrix = made(of(tried("node-b", "node-a", what)), of(tried("node-a", "node-b")))
    assert states(matrix) == {("NODE-B", "NODE-A"): what, ("NODE-A", "NODE-B"): "reached"}
    assert (report.verdict.status, report.verdict.finding) == ("failed", "node.not-reached")
    assert report.verdict.summary.startswith("NODE-B cannot reach NODE-A: ")
    assert report.verdict.summary.endswith("; the other direction works")
    culprit = report.findings[0].culprit
    assert culprit
    assert culprit.name == ("NODE-B" if what == "name-unknown" else "NODE-A")
    if what == "silent":
        assert report.findings[0].remedy.startswith("Have the firewall of NODE-A let the port in from NODE-B")
    else:
        assert report.findings[0].remedy.startswith("As tested on NODE-B: ")


def test_neither_direction():
    report, _ = made(of(tried("node-b", "node-a", "silent")), of(tried("node-a", "node-b", "silent")))
    (finding,) = report.findings
    assert "nor the other way round: nothing answers" in finding.summary
    assert (finding.blame, finding.remedy) == (
        "path-device",
        "Have the firewall between NODE-B and NODE-A allow the port in both directions.",
    )


def test_nobody_reaches_one():
    report, _ = made(
        of(tried("node-a", "node-b"), tried("node-a", "node-c", "refused")),
        of(tried("node-b", "node-a"), tried("node-b", "node-c", "refused")),
        of(tried("node-c", "node-a"), tried("node-c", "node-b")),
    )
    (finding,) = report.findings
    assert finding.summary == "No node reaches NODE-C: the port refuses (tried from NODE-A, NODE-B)"
    assert finding.blame == "server"


def test_one_reaches_nobody():
    report, _ = made(
        of(tried("node-a", "node-b", "silent"), tried("node-a", "node-c", "silent")),
        of(tried("node-b", "node-a"), tried("node-b", "node-c")),
        of(tried("node-c", "node-a"), tried("node-c", "node-b")),
    )
    (finding,) = report.findings
    assert finding.summary.startswith("NODE-A reaches no other node: nothing answers; from NODE-B to NODE-C it works")
    assert "outbound rules of the firewall on NODE-A" in finding.remedy


def test_directions_that_are_missing():
    report, matrix = made(of(tried("node-a", "node-b")), nodes=("node-a", "node-b", "node-c"))
    assert matrix.missing == (
        ("node-a", "node-c"),
        ("node-b", "node-a"),
        ("node-b", "node-c"),
        ("node-c", "node-a"),
        ("node-c", "node-b"),
    )
    assert report.verdict.status == "inconclusive"
    assert [entry.reason for entry in report.not_run] == [
        "there is no report from node-b",
        "there is no report from node-c",
        "node-a did not test node-c",
    ]


def test_only_what_was_asked_for():
    _, matrix = made(
        of(tried("node-a", "node-b"), tried("node-a", "node-c", "refused")),
        of(tried("node-b", "node-a")),
        nodes=("node-b", "node-a"),
    )
    assert (matrix.nodes, states(matrix)) == (
        ("node-b", "node-a"),
        {("node-b", "node-a"): "reached", ("node-a", "node-b"): "reached"},
    )


def test_the_newest_counts_and_in_one_file_the_worst():
    older, newer = (
        of(tried("node-a", "node-b", "refused", started=1000.0)),
        of(tried("node-a", "node-b", started=2000.0)),
    )
    for files in ((older, newer), (newer, older)):
        assert states(made(*files)[1]) == {("NODE-A", "node-b"): "reached"}
    twice = of(tried("node-a", "node-b"), tried("node-a", "node-b.contoso.test", "name-unknown"))
    assert states(made(twice)[1]) == {("NODE-A", "node-b"): "name-unknown"}


@pytest.mark.parametrize(
    ("reporter", "asked"),
    [
        ({"host": "NODE-B"}, "node-b"),
        ({"host": "NODE-B"}, "node-b.contoso.test"),
        ({"host": "node-b", "full": "node-b.contoso.test"}, "node-b"),
        ({"host": "node-b", "full": "node-b.contoso.test"}, "node-b.contoso.test"),
        ({"host": "vm17"}, "10.0.0.2"),  # by the address that its connections come from
        ({"host": "vm17"}, "node-b"),  # which the name leads to
        ({"host": "vm17", "addresses": ("172.17.0.1", "10.0.0.2")}, "10.0.0.2"),
    ],
)
def test_a_node_by_its_names_and_addresses(reporter, asked):
    _, matrix = made(of(tried("node-b", "node-a", **reporter)), of(tried("node-a", asked)))
    assert len(matrix.nodes) == 2
    assert matrix.missing == ()


def test_nodes_that_only_look_alike():
    one = {"host": "node", "full": "node.a.test", "addresses": ("172.17.0.1",), "address": "10.0.0.8"}
    other = {"host": "node", "full": "node.b.test", "addresses": ("172.17.0.1",), "address": "10.0.0.9"}
    _, matrix = made(of(tried("x", "node.b.test", **one)), of(tried("y", "node.a.test", **other)))
    assert (matrix.nodes, matrix.missing) == (("node", "node.b.test"), ())


def test_a_name_that_leads_astray_is_told_by_what_became_of_it():
    report = tried("node-a", "node-b", "refused")
    (finding,) = report.findings
    led = msgspec.structs.replace(finding, id="dns.hosts-override", folded=("tcp.refused",))
    verdict = msgspec.structs.replace(report.verdict, finding="dns.hosts-override")
    assert _state(msgspec.structs.replace(report, findings=(led,), verdict=verdict)) == "refused"


def test_a_name_that_the_user_gave():
    nameless = tried("node-a", "node-b", host="")
    with pytest.raises(UsageError, match=r"x\.json: it does not say which machine it is from: give NAME=x\.json"):
        made(of(nameless))
    assert made(of(nameless, name="node-a"), of(tried("node-b", "node-a")))[1].missing == ()
    told = msgspec.structs.replace(nameless, machine=MachineInfo(name="NODE-A"))
    assert made(of(told), of(tried("node-b", "node-a")))[1].missing == ()


def test_reports_alone():
    report = node_matrix([tried("node-a", "node-b"), tried("node-b", "node-a")])
    assert report.verdict.summary == "All 2 nodes reach each other (2 directions)"


def test_reports_of_something_else():
    report = tried("node-a", "node-b")
    with pytest.raises(UsageError, match="a report of netdiag endpoint, not of"):
        made(of(msgspec.structs.replace(report, command="endpoint")))
    with pytest.raises(UsageError, match="not of a test with netdiag node"):
        made(of(made(of(report))[0]))


def test_too_many_nodes():
    with pytest.raises(UsageError, match="66 nodes are more than the 64"):
        made(of(*(tried("node-a", f"n{number}", address=f"10.1.0.{number}") for number in range(65))))


def test_every_state_has_a_word():
    assert set(STATES) == set(get_args(ReachState))
    assert set(_SAYS) == set(STATES) - {"reached", "untested"}
