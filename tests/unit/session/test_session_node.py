"""``diagnose_node`` against a node of the tests' own that behaves, and one that misbehaves in each way it can."""

from __future__ import annotations

import msgspec
import pytest

from netdiag.model import (
    ChainObservation,
    HostObservation,
    NodeObservation,
    ProxySelection,
    Report,
    RetrievalObservation,
    TlsObservation,
    UsageError,
)
from netdiag.rules.node import _FAULTS
from netdiag.session import Options, diagnose_endpoint, diagnose_nodes, parse_node, rejudge
from tests import certs, nodes
from tests.node_server import NodeServer


def ids(report: Report) -> list[str]:
    return [finding.id for finding in report.findings]


def verdict(report: Report) -> tuple[str, str | None, str | None]:
    assert report.internal_errors == ()
    return report.verdict.status, report.verdict.finding, report.verdict.blame


def of(report: Report, identifier: str):
    (found,) = [o for o in report.observations if o.id == identifier]
    return found


def test_a_good_node(tmp_path):
    with NodeServer("tls", nodes.context(tmp_path)) as server:
        report = nodes.diagnose(server.port)
    assert verdict(report) == ("healthy", None, None)
    assert ids(report) == []
    assert report.verdict.summary == "node-b:8060 speaks net.tcp with TLS, and its certificate is trusted"
    assert (report.command, report.target.scheme, report.not_run) == ("node", "net.tcp", ())
    assert [o.id for o in report.observations if isinstance(o, NodeObservation | TlsObservation)] == [
        "node.direct.main",
        "node.direct.end",
        "tls.direct.main",
    ]
    chain = of(report, "chain.direct")
    assert (chain.host, chain.profile, chain.parent, chain.source) == (
        nodes.HOST,
        "windows",
        "tls.direct.main",
        "probe",
    )
    assert of(report, "node.direct.end").parent == "tls.direct.main"
    assert of(report, "tls.direct.main").parent == "node.direct.main"
    assert of(report, "node.direct.main").parent == f"tcp.direct.{nodes.AT}:8060"
    (seen,) = server.seen
    assert seen.via == "net.tcp://node-b:8060/ExternalService.svc/"
    assert (seen.sni, seen.alpn, seen.left, server.complaints) == (None, None, True, [])


def test_a_saved_report_is_judged_alike(tmp_path):
    with NodeServer("plain") as server:
        report = nodes.diagnose(server.port)
    saved = msgspec.json.decode(msgspec.json.encode(report), type=Report)
    assert rejudge(saved) == report


def test_the_address_as_it_was_asked_for(tmp_path):
    with NodeServer("tls", nodes.context(tmp_path)) as server:
        nodes.diagnose(server.port, "net.tcp://NODE-B:9000/ExternalService.svc/WorkerManager")
    assert server.seen[0].via == "net.tcp://node-b:9000/ExternalService.svc/WorkerManager"


def test_this_machine_is_named_and_no_proxy_is_used(tmp_path):
    with NodeServer("tls", nodes.context(tmp_path)) as server:
        report = nodes.diagnose(
            server.port,
            environment={"HTTPS_PROXY": "http://proxy.contoso.com:8080"},
            names={nodes.HOST: nodes.AT, "NODE-A": "10.1.2.2"},
        )
    assert verdict(report) == ("healthy", None, None)
    selection = of(report, "machine.proxy")
    assert isinstance(selection, ProxySelection)
    assert (selection.proxies, selection.because) == ((), "net.tcp uses none")
    assert selection.setting == "HTTPS_PROXY names http://proxy.contoso.com:8080"
    host = of(report, "machine.host")
    assert isinstance(host, HostObservation)
    assert (host.name, host.addresses) == ("NODE-A", ("10.1.2.2",))


def test_this_machine_is_not_named_when_it_is_not_to_be(tmp_path):
    with NodeServer("tls", nodes.context(tmp_path)) as server:
        report = nodes.diagnose(server.port, name_machine=False)
    assert "NODE-A" not in msgspec.json.encode(report).decode()
    assert not any(isinstance(o, HostObservation) for o in report.observations)


@pytest.mark.parametrize(
    ("mode", "wanted", "others", "summary"),
    [
        ("negotiate", ("healthy", None, None), ["node.windows-security"], "secured by Windows authentication"),
        (
            "plain",
            ("impaired", "node.unencrypted", "server"),
            [],
            "without encryption (a request for TLS is refused: U",
        ),
        ("ignores", ("impaired", "node.unencrypted", "server"), [], "(a request for TLS is ignored)"),
        ("silent", ("failed", "node.not-net-tcp", "unknown"), [], "accepts connections, and says nothing"),
        ("close", ("failed", "node.not-net-tcp", "unknown"), [], "accepts connections, and closes them"),
        ("reset", ("failed", "node.not-net-tcp", "unknown"), [], "accepts connections, and resets them"),
        ("says:HTTP/1.1 400 Bad Request\r\n\r\n", ("failed", "node.not-net-tcp", "server"), [], "answers with HTTP"),
        ("says:SSH-2.0-OpenSSH_9.6\r\n", ("failed", "node.not-net-tcp", "server"), [], "answers with SSH"),
        ("says:hello\n", ("failed", "node.not-net-tcp", "server"), [], "answers with something else"),
        ("waits", ("failed", "node.not-net-tcp", "server"), [], "is a web server (HTTP)"),
        ("echo", ("failed", "node.not-net-tcp", "server"), [], "as an echo service does"),
        ("tls-silent", ("failed", "tls.interrupted", "unknown"), [], "no answer to the ClientHello"),
        ("tls-close", ("failed", "tls.interrupted", "unknown"), [], "closed right after the ClientHello"),
        ("tls-reset", ("failed", "tls.interrupted", "unknown"), [], "reset right after the ClientHello"),
        ("end-silent", ("failed", "node.cut-off", "server"), [], "it says nothing"),
        ("end-close", ("failed", "node.cut-off", "server"), [], "it closes it"),
        ("end-reset", ("failed", "node.cut-off", "server"), [], "it resets it"),
        ("inside:ServerTooBusy", ("failed", "node.fault", "server"), [], "inside TLS, with the fault ServerTooBusy"),
    ],
)
def test_each_misbehaviour(tmp_path, mode, wanted, others, summary):
    waits = mode in ("ignores", "silent", "waits", "tls-silent", "end-silent")
    with NodeServer(mode, nodes.context(tmp_path)) as server:
        report = nodes.diagnose(server.port, timeout_s=0.5 if waits else 5)
    assert verdict(report) == wanted
    assert ids(report) == [*([wanted[1]] if wanted[1] else []), *others]
    assert summary in report.verdict.summary
    assert server.complaints == []


@pytest.mark.parametrize("name", _FAULTS)
def test_each_fault(name):
    with NodeServer(f"fault:{name}") as server:
        report = nodes.diagnose(server.port)
    assert (report.verdict.status, ids(report)) == ("failed", ["node.fault"])
    assert f"the fault {name}: " in report.verdict.summary
    # Without the fault that speaks of the upgrade, no other upgrade is tried.
    assert len(server.seen) == (3 if name == "UpgradeInvalid" else 1)
    assert {(entry.rung, entry.route) for entry in report.not_run} == {("tls", "direct"), ("chain", "direct")}


def test_a_plain_tls_server(tmp_path):
    """The preamble is no TLS, so that it closes or alerts; a handshake at once succeeds."""
    with NodeServer("tls", nodes.context(tmp_path)) as server:
        server._talk = lambda connection: server.context.wrap_socket(connection, server_side=True).close()  # type: ignore[method-assign, union-attr]
        report = nodes.diagnose(server.port)
    assert verdict(report) == ("failed", "node.not-net-tcp", "server")
    assert "speaks TLS at once, without net.tcp before it" in report.verdict.summary
    assert of(report, "tls.direct.bare").outcome == "ok"


def test_a_node_that_wants_a_client_certificate_is_no_fault(tmp_path):
    with NodeServer("mutual", nodes.context(tmp_path, client=True)) as server:
        report = nodes.diagnose(server.port)
    assert verdict(report) == ("healthy", None, None)
    assert ids(report) == ["tls.client-certificate-required"]
    assert "fellow nodes have" in report.findings[0].summary
    assert of(report, "chain.direct").outcome == "ok"


@pytest.mark.parametrize(
    ("leaf", "wanted", "others"),
    [
        (certs.make(nodes.HOST, nodes.ROOT, hosts=[nodes.HOST], ends=-1), ("failed", "chain.expired", "server"), []),
        (
            certs.make("node-x", nodes.ROOT, hosts=["node-x"]),
            ("failed", "tls.name-mismatch", "server"),
            [],
        ),
        (
            certs.make(nodes.HOST, certs.authority("Other Root"), hosts=[nodes.HOST]),
            ("failed", "chain.untrusted-root", "server"),
            [],
        ),
        (
            certs.make(nodes.HOST, nodes.ROOT, hosts=[nodes.HOST, "alias"]),
            ("impaired", "key.last-san-only", "server"),
            [],
        ),
        (
            certs.make(nodes.HOST, nodes.ROOT, hosts=["alias", nodes.HOST]),
            ("healthy", None, None),
            ["key.last-san-only"],
        ),
    ],
    ids=["expired", "another name", "private root", "last name is another", "last name is this"],
)
def test_the_certificate(tmp_path, leaf, wanted, others):
    with NodeServer("tls", nodes.context(tmp_path, leaf)) as server:
        report = nodes.diagnose(server.port)
    assert verdict(report) == wanted
    assert ids(report) == [*([wanted[1]] if wanted[1] else []), *others]
    assert server.seen[0].left  # that is the client's to judge, and after the exchange


def test_what_the_certificate_names_is_retrieved(tmp_path):
    """The CRL's host leads to the node itself here, which is no web server."""
    point = certs.x509.CRLDistributionPoints(
        [
            certs.x509.DistributionPoint(
                [certs.x509.UniformResourceIdentifier("http://crl.contoso.test/node.crl")], None, None, None
            )
        ]
    )
    leaf = certs.make(nodes.HOST, nodes.ROOT, hosts=[nodes.HOST], extra=[(point, False)])
    with NodeServer("tls", nodes.context(tmp_path, leaf)) as server:
        fetched = nodes.diagnose(server.port, fetch=True)
        left = nodes.diagnose(server.port, fetch=False)
    assert verdict(fetched)[:2] == ("failed", "chain.revocation-offline")
    (url,) = [o for o in fetched.observations if isinstance(o, RetrievalObservation)]
    assert (url.url, url.purpose, url.parent, url.outcome) == (
        "http://crl.contoso.test/node.crl",
        "cdp",
        "chain.direct",
        "failed",
    )
    assert verdict(left) == ("healthy", None, None)
    (chain,) = [o for o in left.observations if isinstance(o, ChainObservation)]
    assert chain.revocation == ()


def test_a_name_that_nobody_knows():
    report = nodes.diagnose(1, names={})
    assert verdict(report)[:2] == ("failed", "dns.name-not-found")
    assert report.findings[0].remedy.startswith("Put all nodes into one domain, or add a line with the address and")


def test_a_port_that_refuses():
    report = nodes.diagnose(1)
    assert verdict(report)[:2] == ("failed", "tcp.refused")
    assert "remote access from the intranet is enabled for port 8060" in report.findings[0].remedy


def test_a_port_that_is_silent():
    report = nodes.diagnose(None, timeout_s=0.5)
    assert verdict(report)[:2] == ("failed", "tcp.no-reply")
    assert report.findings[0].remedy.endswith("Windows Firewall on node-b must let TCP port 8060 in, too.")


def test_several_and_by_endpoint(tmp_path):
    with NodeServer("tls", nodes.context(tmp_path)) as server:
        machine = nodes.machine(server.port)
        options = Options(trust=nodes.STORE, fetch=False, tap=False)
        reports = list(diagnose_nodes(["node-b", parse_node("node-b:9000")], options=options, machine=machine))
        same = diagnose_endpoint("net.tcp://node-b", options=options, machine=machine)
    assert sorted(report.target.authority for report in reports) == ["node-b:8060", "node-b:9000"]
    assert {report.command for report in reports} == {"node"}
    assert (same.target.authority, same.verdict.status, same.command) == ("node-b:8060", "healthy", "endpoint")


def test_only_as_far_as_wanted():
    with NodeServer("silent") as server:
        report = nodes.diagnose(server.port, until="tcp")
    assert verdict(report) == ("healthy", None, None)
    assert server.seen == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("https://node-b", "nodes talk net.tcp"),
        ("net.tcp://", "names no host"),
        ("net.tcp://user@node-b:8060/", "holds credentials"),
        ("net.tcp://node-b:8060/" + "x" * 2048, "2048 bytes"),
        ("node-b:0", "not a number from 1"),
    ],
)
def test_what_is_no_node(text, why):
    with pytest.raises(UsageError, match=why):
        parse_node(text)


@pytest.mark.parametrize(
    ("text", "authority", "path"),
    [
        ("node-b", "node-b:8060", "/ExternalService.svc/"),
        ("NODE-B.contoso.com:9000", "node-b.contoso.com:9000", "/ExternalService.svc/"),
        ("2001:db8::7", "[2001:db8::7]:8060", "/ExternalService.svc/"),
        (
            "net.tcp://10.2.4.10:8060/ExternalService.svc/WorkerManager",
            "10.2.4.10:8060",
            "/ExternalService.svc/WorkerManager",
        ),
        ("NET.TCP://node-b/", "node-b:8060", "/ExternalService.svc/"),
    ],
)
def test_what_is_a_node(text, authority, path):
    node = parse_node(text)
    assert (node.scheme, node.authority, node.path) == ("net.tcp", authority, path)
