"""``netdiag node`` against nodes and other programs behind a firewall: break one thing, expect one verdict."""

from __future__ import annotations

import datetime
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import lab_golden
import lab_pki
import pytest
from cryptography.x509 import ReasonFlags
from lab_certificate_servers import HELPERS, TOOLS, CertificateServers, http, urls
from lab_node_scenarios import LONG_AGO, NAME, NODE_SCENARIOS, Certificate, NodeScenario
from lab_pki import Identity
from lab_services import NODE
from lab_topology import run
from lab_world import HOSTS, ROOT, Lab, Setting
from test_lab import culprit, decoded, explain, outcome, wanted

from netdiag.model import MatrixObservation, NodeObservation, Report
from tests import support

#: One network wait of netdiag, in seconds: above every delay that a healthy scenario has.
TIMEOUT_S = 2
#: The first node's port; each behaviour with each certificate has one of its own.
FIRST_PORT = 8100
CLIENT = "10.10.1.2"
#: Serial numbers come from names and dates: what is revoked must not have that of a good certificate.
_OTHER_END = datetime.datetime(2048, 1, 1, tzinfo=datetime.UTC)


class Nodes:
    """The nodes of the lab: started when a scenario first wants one, gone with the lab."""

    def __init__(self, lab: Lab, servers: CertificateServers, folder: Path) -> None:
        self.folder = folder
        self._lab = lab
        self._ports: dict[tuple[str, Certificate], int] = {}
        folder.mkdir()
        (folder / "root.pem").write_bytes(servers.root.pem)
        for name, leaf in _leaves(servers).items():
            lab_pki.write(folder, name, leaf, *([servers.issuing] if name != "private" else []))

    def port(self, mode: str, certificate: Certificate) -> int:
        """Where the node that behaves so listens."""
        key = (mode, certificate)
        if key not in self._ports:
            self._ports[key] = FIRST_PORT + len(self._ports)
            self.start("server", NODE, self._ports[key], mode, certificate)
        return self._ports[key]

    def start(self, namespace: str, address: str, port: int, mode: str, certificate: Certificate) -> None:
        """Start one anywhere."""
        files = [str(self.folder / f"{certificate}.{suffix}") for suffix in ("pem", "key")]
        files += [str(self.folder / "root.pem")] if mode == "mutual" else []
        program = str(ROOT / "tests" / "node_server.py")
        self._lab.start(namespace, [sys.executable, program, address, str(port), mode, *files])
        self._lab.ready(namespace, [(address, port)], "listens")


def _leaves(servers: CertificateServers) -> dict[Certificate, Identity]:
    checked = urls(aia=(http("issuing.crt"),), cdp=(http("issuing.crl"),))
    private = lab_pki.authority("Contoso Private Root", "Contoso Ltd")

    def leaf(*names: str, **options: object) -> Identity:
        return lab_pki.leaf(names, servers.issuing, urls=checked, **options)  # type: ignore[arg-type] # as it has them

    return {
        "good": leaf(NAME),
        "short": leaf("node-b"),
        "two-names": leaf(NAME, "node-b"),
        "last-name": leaf("node-b", NAME),
        "expired": leaf(NAME, end=LONG_AGO),
        "private": lab_pki.leaf((NAME,), private, urls=()),
        "unchecked": lab_pki.leaf((NAME,), servers.issuing, urls=()),
        "revoked": servers.issue(
            NAME,
            cdp=(http("issuing.crl"),),
            ocsp=(),
            freshest=(),
            end=_OTHER_END,
            listed={"issuing.crl": ReasonFlags.key_compromise},
        ),
    }


@pytest.fixture(scope="module")
def nodes(lab: Lab) -> Iterator[Nodes]:
    support.require_tools(*TOOLS)
    support.require_files(*HELPERS)
    servers = CertificateServers(lab)
    made = Nodes(lab, servers, lab.file("nodes"))
    address = f"{NODE}/24"
    run(lab.network.inside("server", ["ip", "addr", "add", address, "dev", "firewall"]))
    try:
        with servers:
            yield made
    finally:
        run(lab.network.inside("server", ["ip", "addr", "del", address, "dev", "firewall"]))


@pytest.mark.parametrize("scenario", [pytest.param(entry, id=entry.name) for entry in NODE_SCENARIOS])
def test_scenario(lab: Lab, nodes: Nodes, scenario: NodeScenario, recording: bool) -> None:
    port = scenario.port or nodes.port(scenario.mode or "", scenario.certificate)
    argv = [f"{scenario.target}:{port}", f"--timeout={TIMEOUT_S}", *scenario.options]
    done = lab.run(scenario.setting, command(nodes, *argv))
    report = decoded(done, lab)
    assert outcome(report, done.returncode) == wanted(scenario.expect), explain(report)
    if scenario.expect.culprit:
        assert culprit(report) == scenario.expect.culprit, explain(report)
    told = f"{report.verdict.summary} {report.findings[0].remedy if report.findings else ''}"
    assert [text for text in scenario.says if text not in told] == [], explain(report)
    if recording and scenario.recorded:
        lab_golden.record(scenario.name, report, scenario.expect, lab.folder)


def command(nodes: Nodes, *argv: str) -> list[str]:
    return ["node", *argv, "--format=json", "--no-cache", f"--trust={nodes.folder / 'root.pem'}"]


def test_names_are_unique() -> None:
    names = [scenario.name for scenario in NODE_SCENARIOS]
    assert len(set(names)) == len(names)


def test_who_reaches_whom(lab: Lab, nodes: Nodes, tmp_path: Path) -> None:
    """Two nodes, each run for real; the firewall between them lets one open connections, and not the other."""
    nodes.start("client", CLIENT, 8060, "tls", "good")
    port = nodes.port("tls", "short")
    forward = f"ip daddr {CLIENT} tcp dport 8060 ct state new drop"
    setting = Setting(hosts=f"{HOSTS}{NODE} node-b\n{CLIENT} node-a\n", forward=forward)
    files = {name: tmp_path / f"{name}.json" for name in ("node-a", "node-b")}
    there = command(nodes, f"node-b:{port}", "--timeout=2")
    files["node-a"].write_bytes(lab.run(setting, there).stdout)

    back = [sys.executable, "-m", "netdiag", *command(nodes, "node-a:8060", "--timeout=2")]
    done = lab.execute(setting, back, namespace="server")
    files["node-b"].write_bytes(done.stdout)

    matrix = [sys.executable, "-m", "netdiag", "node", "node-a", "node-b", "--format=json", "--from-json"]
    found = subprocess.run(
        [*matrix, *(f"{name}={path}" for name, path in files.items())], capture_output=True, check=False, cwd=ROOT
    )
    report = decoded(found, lab)
    assert (report.verdict.status, report.verdict.finding, found.returncode) == ("failed", "node.not-reached", 1)
    (seen,) = report.observations
    assert isinstance(seen, MatrixObservation)
    assert {(reach.source, reach.target): reach.state for reach in seen.reaches} == {
        ("node-a", "node-b"): "reached",
        ("node-b", "node-a"): "silent",
    }


#: A service and a client of Mono's WCF, the only implementation of net.tcp that Debian has: it knows no upgrade, and is
#: silent to those who ask for one.
_MONO = """
using System; using System.ServiceModel;
[ServiceContract] public interface IEcho { [OperationContract] string Echo(string text); }
public class Service : IEcho { public string Echo(string text) { return text; } }
public class Program {
  public static void Main(string[] arguments) {
    var host = new ServiceHost(typeof(Service), new Uri("net.tcp://" + arguments[0] + "/"));
    host.AddServiceEndpoint(typeof(IEcho), new NetTcpBinding(SecurityMode.None), "ExternalService.svc");
    host.Open(); Console.WriteLine("ready"); System.Threading.Thread.Sleep(-1);
  }
}
"""


def test_a_node_of_another_make(lab: Lab, nodes: Nodes, tmp_path: Path) -> None:
    support.require_tools("mono", "mcs")
    (tmp_path / "node.cs").write_text(_MONO)
    run(["mcs", "-r:System.ServiceModel", f"-out:{tmp_path / 'node.exe'}", str(tmp_path / "node.cs")])
    lab.file("hosts.mono").write_text(f"{HOSTS}{NODE} node-b\n")  # Mono asks for the name of its own address
    argv = ["mono", str(tmp_path / "node.exe"), f"{NODE}:8070"]
    lab.start("server", lab.mounted({"hosts": "hosts.mono"}, argv), HOME=str(tmp_path))
    lab.ready("server", [(NODE, 8070)], "listens")
    done = lab.run(Setting(), command(nodes, f"{NAME}:8070", "--timeout=4"))
    report: Report = decoded(done, lab)
    assert (report.verdict.status, report.verdict.finding) == ("impaired", "node.unencrypted"), explain(report)
    by_id = {o.id: o for o in report.observations if isinstance(o, NodeObservation)}
    assert by_id["node.direct.plain"].answer == "acknowledged"
    assert json.loads(done.stdout)["verdict"]["blame"] == "server"
