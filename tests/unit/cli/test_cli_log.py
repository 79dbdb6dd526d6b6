"""``netdiag log``: what it prints, its exit status, what it runs next."""

from __future__ import annotations

import io
import json
import re
import sys
from types import SimpleNamespace

import pytest

import netdiag
from netdiag.cli import main
from netdiag.model import Target, Tool, Verdict
from tests.unit.rules.log_texts import CASES

BY_ID = {case.id: case.text for case in reversed(CASES)}  # the first of each
REFUSED = f"2024-05-21 10:00:00 ERROR {BY_ID['log.node-name-unknown']}\n"


@pytest.fixture
def log(tmp_path, capsys):
    def run(content: str | bytes, *options: str) -> SimpleNamespace:
        file = tmp_path / "ir.log"
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        status = main(["log", str(file), *options])
        out, err = capsys.readouterr()
        return SimpleNamespace(status=status, out=out, err=err)

    return run


def test_the_first_screen_says_what_who_and_what_next(log):
    ran = log(BY_ID["log.node-refused"])
    first = ran.out.splitlines()[:12]
    assert (ran.status, ran.err) == (1, "")
    assert first[0].startswith("✗ The node at ")
    assert "To blame: the server. To do: On that node, check" in "\n".join(first)
    assert "  netdiag node " in "\n".join(first)
    assert "It took 0.99 s" in ran.out


def test_nothing_wrong(log):
    ran = log("2024-05-21 10:00:00 INFO all is well\n")
    assert (ran.status, ran.out.splitlines()[0]) == (0, "✓ ir.log: no error in 1 line")


def test_unknown_errors_are_told_with_their_numbers(log):
    ran = log("2024-05-21 10:00:00 ERROR Contoso.Thing failed with 0x80131509\n" * 3)
    assert ran.status == 0
    assert ran.out.startswith("⚠ 1 different error, 3 in all, in the log that is no known issue")
    assert "0x80131509 = -2146233079 COR_E_INVALIDOPERATION" in ran.out
    assert log("2024-05-21 10:00:00 ERROR x\n", "--fail-on", "warning").status == 1


def test_no_line_is_wider_than_80_columns(log):
    ran = log("\n\n".join(case.text for case in CASES))
    assert [line for line in ran.out.splitlines() if len(line) > 80] == []
    ran = log("\n\n".join(case.text for case in CASES), "--verbose")
    assert [line for line in ran.out.splitlines() if len(line) > 80] == []


def test_json_holds_everything(log):
    report = json.loads(log(REFUSED, "--format", "json").out)
    assert (report["command"], report["target"]["scheme"]) == ("log", "file")
    assert report["findings"][0]["commands"] == [["netdiag", "node", "xxxxxx:8060"]]
    assert [o["type"] for o in report["observations"]] == ["log-file", "log"]


def test_a_saved_report_is_judged_again(log):
    report = netdiag.load_report(log(REFUSED, "--format", "json").out)
    assert netdiag.rejudge(report) == report


def test_standard_input(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(BY_ID["log.java-runtime-missing"].encode())))
    assert main(["log", "-", "--quiet"]) == 1
    assert capsys.readouterr().out.startswith("✗ No usable Java runtime was found")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "ir.log: it is empty"),
        (b"\xd4\xc3\xb2\xa1" + bytes(20), "ir.log: this is a capture: netdiag pcap reads it"),
        (b"ElfFile\x00" + bytes(50), "ir.log: a Windows event log that cannot be read"),
    ],
)
def test_bad_input_is_one_line(log, content, complaint):
    ran = log(content)
    assert (ran.status, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert complaint in ran.err


def test_a_file_that_is_not_there(capsys, tmp_path):
    assert main(["log", str(tmp_path / "none.log")]) == 2
    assert "none.log: cannot be read: No such file" in capsys.readouterr().err
    assert main(["log", "-", "-"]) == 2


def test_hostile_text_never_reaches_the_terminal(log):
    ran = log(
        "2024-05-21 10:00:00 ERROR it failed \x1b[31m\u202e https://$(reboot)/ net.tcp://`x`:8060/\n", "--verbose"
    )
    assert "\x1b" not in ran.out
    assert "\u202e" not in ran.out
    assert re.findall(r"^  netdiag .*", ran.out, re.MULTILINE) == []


def test_run_probes_what_the_findings_lead_to(log, monkeypatch):
    """In place of the network: each probe says that all is well."""
    asked = []

    def probe(target, *, options, command="endpoint", **_):
        found = target if isinstance(target, Target) else Target(host=target)
        asked.append((found.authority if command == "node" else target, options.until, options.timeout_s))
        verdict = Verdict(status="healthy", finding=None, blame=None, summary=f"{found.authority} can be used")
        return netdiag.Report(
            tool=Tool(version="1"), command=command, target=found, started=0.0, took_s=0.0, verdict=verdict
        )

    monkeypatch.setattr("netdiag.session.fleet.diagnose_endpoint", probe)
    text = f"{BY_ID['log.node-refused']}\n\n{BY_ID['log.name-not-resolved']}\n\n{BY_ID['log.localhost-lookup-failed']}"
    ran = log(text, "--run", "--timeout", "3", "--format", "json")
    incident = json.loads(ran.out)
    assert ran.status == 1
    assert incident["kind"] == "incident"
    assert sorted(one["report"]["command"] for one in incident["reports"]) == ["dns", "dns", "log", "node"]
    assert asked == [
        ("localhost", "dns", 3.0),
        ("xxxxxxx.bwld.com:8060", "chain", 3.0),
        ("wu2.frontend.clouddatahub.net", "dns", 3.0),
    ]
    shown = log(text, "--run").out
    assert shown.startswith("✗ This machine cannot resolve localhost")
    assert "To blame: the machine of ir.log." in shown
    assert shown.count("healthy") == 3


def test_run_probes_for_real(log):
    """The port that nobody listens on is this machine's own."""
    text = (
        "System.Net.WebException: Unable to connect ---> System.Net.Sockets.SocketException: No connection could be "
        "made because the target machine actively refused it 127.0.0.1:1"
    )
    incident = json.loads(log(text, "--run", "--proxy", "none", "--format", "json", "--timeout", "2").out)
    assert incident["verdict"]["finding"] == "tcp.refused"
    assert [one["finding"]["id"] for one in incident["findings"][0]["explains"]] == ["log.connection-refused"]
