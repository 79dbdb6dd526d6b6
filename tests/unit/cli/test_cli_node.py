"""``netdiag node`` against a real node on loopback, and with saved reports."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

import netdiag.session
from netdiag.cli import main
from netdiag.model import MachineInfo, Report
from netdiag.report import load_report, render
from tests import nodes
from tests.node_server import NodeServer
from tests.unit.session.test_session_matrix import tried


def run(capsys, *argv: str) -> tuple[int, str, str]:
    try:
        status = main(["node", *argv])
    except SystemExit as end:
        status = int(end.code or 0)
    out, err = capsys.readouterr()
    return status, out, err


@pytest.fixture
def asked(monkeypatch):
    """Stands for ``diagnose_nodes``: what it was asked, and a report for each."""
    calls = []

    def fake(targets, *, options, cancel, progress):
        calls.append((targets, options))
        for target in targets:
            progress(target, "node")
            yield tried("node-a", target.host, "refused" if target.host == "node-c" else "reached")

    monkeypatch.setattr(netdiag.session, "diagnose_nodes", fake)
    return calls


def test_the_options(capsys, asked):
    status, _, err = run(
        capsys, "node-b", "--no-fetch", "--no-cache", "--timeout=3", "--resolver=10.0.0.2", "--trust=root.pem",
        "--no-trace", "--no-capture", "--proxy=http://proxy:8080", "--quiet",
    )  # fmt: skip
    assert (status, err) == (0, "")
    ((targets, options),) = asked
    assert [(t.scheme, t.authority) for t in targets] == [("net.tcp", "node-b:8060")]
    assert (options.fetch, options.cache, options.until, options.timeout_s) == (False, False, "chain", 3.0)
    assert (options.resolvers, options.trust, options.trace, options.tap) == (
        ("10.0.0.2",),
        ("root.pem",),
        False,
        False,
    )
    assert options.proxy == "http://proxy:8080"


def test_by_default_everything_is_looked_at(capsys, asked):
    assert run(capsys, "node-b", "net.tcp://node-d:9000/ExternalService.svc/")[0] == 0
    ((targets, options),) = asked
    assert [t.authority for t in targets] == ["node-b:8060", "node-d:9000"]
    assert (options.fetch, options.cache, options.trace, options.trust) == (True, True, None, ("system",))


def test_a_report_for_each_node(capsys, asked):
    status, out, _ = run(capsys, "node-b", "node-c", "--format=json")
    reports = json.loads(out)
    assert [report["target"]["host"] for report in reports] == ["node-b", "node-c"]
    assert status == 1
    status, out, _ = run(capsys, "node-b", "--format=json")
    assert (status, json.loads(out)["target"]["host"]) == (0, "node-b")
    assert len(run(capsys, "node-b", "node-c", "--format=jsonl")[1].splitlines()) == 2
    text = run(capsys, "node-b", "node-c")[1]
    assert "2 targets: 1 failed, 1 healthy" in text


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        ((), "node needs a HOST or --from-json"),
        (("https://node-b",), "nodes talk net.tcp"),
        (("node-b:99999",), "not a number from 1 to 65535"),
        (("--from-json", "/nowhere.json"), "/nowhere.json: cannot be read"),
        (("--from-json", "-", "-"), "stdin (-) can be read only once"),
        (("node-b", "--timeout=0"), "not a number of seconds"),
    ],
)
def test_bad_input_is_one_line(capsys, asked, argv, why):
    status, out, err = run(capsys, *argv)
    assert (status, out) == (2, "")
    assert why in err
    assert len(err.splitlines()) == 1
    assert asked == []


def saved(folder: Path, name: str, *reports: Report) -> str:
    path = folder / name
    path.write_text(render(reports, "json"))
    return str(path)


def test_the_matrix(capsys, tmp_path, asked):
    one = saved(tmp_path, "a.json", tried("node-a", "node-b"))
    other = saved(tmp_path, "b.json", tried("node-b", "node-a", "silent"))
    status, out, _ = run(capsys, "node-a", "node-b", "--from-json", one, other)
    assert (status, asked) == (1, [])
    assert out.startswith("✗ node-b cannot reach node-a: nothing answers; the other direction works\n")
    status, out, _ = run(capsys, "--from-json", one, other, "--format=json", "--fail-on=never")
    assert (status, load_report(out).verdict.finding) == (0, "node.not-reached")
    target = tmp_path / "matrix.json"
    assert run(capsys, "--from-json", one, "--from-json", other, "--output", str(target))[0] == 1
    assert load_report(target.read_bytes()).command == "node"
    assert run(capsys, "--from-json", one)[0] == 3
    assert "there is no report from node-b" in " ".join(run(capsys, "--from-json", one, "--ticket")[1].split())


def test_a_file_that_is_none_does_not_stop_the_others(capsys, tmp_path):
    one = saved(tmp_path, "a.json", tried("node-a", "node-b"))
    status, out, err = run(capsys, "--from-json", one, str(tmp_path / "none.json"))
    assert status == 2
    assert "none.json: cannot be read" in err
    assert "NODE-A" in out


def test_a_name_for_a_file(capsys, tmp_path):
    nameless = msgspec.structs.replace(tried("node-a", "node-b", host=""), machine=None)
    one, other = saved(tmp_path, "a.json", nameless), saved(tmp_path, "b.json", tried("node-b", "node-a"))
    status, out, err = run(capsys, "--from-json", one, other)
    assert (status, out) == (2, "")
    assert "does not say which machine it is from: give NAME=" in err
    status, out, _ = run(capsys, "--from-json", f"node-a={one}", other)
    assert status == 0
    assert out.startswith("✓ All 2 nodes reach each other (2 directions)")
    assert "from \\ to node-a" in out


@pytest.mark.parametrize("format_", ["json", "jsonl", "utf-16"])
def test_each_form_of_a_file(capsys, tmp_path, format_):
    reports = [tried("node-a", "node-b"), tried("node-a", "node-c", "refused")]
    text = render(reports, "jsonl" if format_ == "jsonl" else "json")
    path = tmp_path / "a.json"
    path.write_bytes(text.encode("utf-16") if format_ == "utf-16" else text.encode())
    status, out, _ = run(capsys, "--from-json", str(path), "--format=json")
    assert (status, len(json.loads(out)["observations"][0]["reaches"])) == (1, 2)


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"", "it is empty"), (b"[]", "it holds no report"), (b"{", "not JSON"), (b'{"a": 1}', "not a netdiag report")],
)
def test_what_is_no_report(capsys, tmp_path, content, why):
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    status, out, err = run(capsys, "--from-json", str(path))
    assert (status, out, len(err.splitlines())) == (2, "", 1)
    assert why in err


def test_no_machine_is_named(capsys, asked):
    run(capsys, "node-b", "--no-machine")
    ((_, options),) = asked
    assert options.name_machine is False


@pytest.fixture
def named(monkeypatch):
    """A machine whose own name needs no name server."""
    monkeypatch.setattr("netdiag.probes.machine_info.machine_info", lambda: MachineInfo(name="localhost"))


@pytest.mark.usefixtures("named")
def test_for_real(capsys, tmp_path):
    with NodeServer("tls", nodes.context(tmp_path)) as server:
        status, out, err = run(
            capsys, f"127.0.0.1:{server.port}", "--no-fetch", "--no-capture", f"--trust={tmp_path / 'root.pem'}"
        )
    assert (status, err) == (1, "")  # the certificate is for a name, and perhaps over by now
    assert "node " in out
    assert "net.tcp, TLS agreed; inside it: accepted" in out
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.usefixtures("named")
def test_refused_for_real(capsys):
    status, out, _ = run(capsys, "127.0.0.1:1", "--no-capture", "--ticket")
    assert status == 1
    assert "127.0.0.1:1" in out
