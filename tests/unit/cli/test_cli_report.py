"""``netdiag report``: files in, one report or one incident out, and what is said of files that are neither."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest

from netdiag import cli, load_incident, load_report, merge_reports, render
from netdiag.cli import saved_files
from netdiag.model import Report, Verdict
from tests.unit.incident import cases

HEALTHY = cases.on("healthy-ipv4", "node-a")
BROKEN = cases.on("tls-intercepting-squid", "node-b", later_s=60.0)
WARNED = cases.on("tcp-refused-ipv6", "node-c", later_s=90.0)


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Exit status, stdout, stderr."""
    status = cli.main(["report", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A folder with good.json, bad.json and warned.json."""
    for name, report in (("good", HEALTHY), ("bad", BROKEN), ("warned", WARNED)):
        (tmp_path / f"{name}.json").write_text(render(report, "json"), encoding="utf-8")
    return tmp_path


def test_one_file_is_that_report_again(capsys, saved):
    assert run(capsys, saved / "bad.json") == (1, render(BROKEN), "")
    assert run(capsys, saved / "good.json") == (0, render(HEALTHY), "")
    status, out, _ = run(capsys, saved / "bad.json", "--format", "json")
    assert (status, load_report(out)) == (1, BROKEN)


def test_several_files_are_one_incident(capsys, saved):
    status, out, err = run(capsys, saved / "good.json", saved / "bad.json")
    assert (status, err) == (1, "")
    assert out.startswith("✗ node-b: The certificate of wu2.frontend.clouddatahub.net was replaced on the\n")
    status, out, _ = run(capsys, saved / "bad.json", saved / "good.json", "--format", "json")
    incident = load_incident(out)
    assert [one.label for one in incident.reports] == ["node-a", "node-b"]
    assert [one.file for one in incident.reports] == [str(saved / "good.json"), str(saved / "bad.json")]


@pytest.mark.parametrize("suffix", ["json", "jsonl", "txt"])
def test_output_by_suffix(capsys, saved, suffix):
    file = saved / f"incident.{suffix}"
    assert run(capsys, saved / "good.json", saved / "bad.json", "-o", file) == (1, "", "")
    written = file.read_text(encoding="utf-8")
    if suffix == "txt":
        assert written.startswith("✗ node-b")
    else:
        assert load_incident(written).verdict.finding == "tls.intercepted"


def test_an_incident_is_taken_apart_and_put_together_again(capsys, saved):
    base = saved / "base.json"
    base.write_text(render(cases.on("healthy-ipv4", "node-b"), "json"), encoding="utf-8")
    file = saved / "incident.json"
    run(capsys, saved / "bad.json", "--baseline", base, "-o", file)
    status, out, _ = run(capsys, file, "--format", "json")
    assert (status, load_incident(out)) == (1, load_incident(file.read_bytes()))
    assert load_incident(out).changes
    status, out, _ = run(capsys, file, saved / "good.json", "--format", "json")
    assert [one.label for one in load_incident(out).reports] == ["node-a", "node-b"]


def test_the_baseline_leads(capsys, saved):
    status, out, _ = run(capsys, saved / "bad.json", "--baseline", saved / "good.json")
    assert status == 1
    headings = [line for line in out.splitlines() if line and not line.startswith(" ")]
    assert headings[1].startswith("What changed for node-b since it worked (good, ")


def test_one_file_of_many_targets_is_a_table(capsys, saved):
    file = saved / "all.jsonl"
    file.write_text(render(HEALTHY, "jsonl") + render(WARNED, "jsonl"), encoding="utf-8")
    status, out, _ = run(capsys, file)
    assert status == 0
    assert "2 targets: 1 impaired, 1 healthy" in out
    status, out, _ = run(capsys, file, "--format", "json")
    assert len(json.loads(out)) == 2
    status, out, _ = run(capsys, file, "--incident", "--format", "json")
    assert len(load_incident(out).reports) == 2


def test_one_file_of_one_target_twice_is_an_incident(capsys, saved):
    file = saved / "all.json"
    file.write_text(render([HEALTHY, BROKEN], "json"), encoding="utf-8")
    assert "node-b: The certificate" in run(capsys, file)[1]


def test_names_for_reports(capsys, saved):
    _, out, _ = run(capsys, f"web={saved / 'good.json'}", f"db={saved / 'bad.json'}", "--format", "json")
    assert [one.label for one in load_incident(out).reports] == ["web", "db"]
    odd = saved / "x=y.json"
    odd.write_text(render(HEALTHY, "json"), encoding="utf-8")
    assert run(capsys, odd)[0] == 0


@pytest.mark.parametrize(
    ("files", "fail_on", "status"),
    [
        (("good", "warned"), "error", 0),
        (("good", "warned"), "warning", 1),
        (("good", "bad"), "error", 1),
        (("good", "bad"), "never", 0),
        (("bad",), "never", 0),
    ],
)
def test_exit_status(capsys, saved, files, fail_on, status):
    assert run(capsys, *(saved / f"{name}.json" for name in files), "--fail-on", fail_on)[0] == status


def test_inconclusive_is_its_own_status(capsys, saved):
    open_ = cases.report(verdict=Verdict(status="inconclusive", finding=None, blame=None, summary="not tested"))
    (saved / "open.json").write_text(render(open_, "json"), encoding="utf-8")
    assert run(capsys, saved / "open.json", saved / "good.json", "--as-saved")[0] == 3


def test_quiet_and_ticket(capsys, saved):
    _, out, _ = run(capsys, saved / "good.json", saved / "bad.json", "--quiet")
    assert out.startswith("✗ node-b")
    assert "Reports" not in out
    _, out, _ = run(capsys, saved / "good.json", saved / "bad.json", "--ticket")
    assert out.startswith("Subject: TLS to wu2.frontend.clouddatahub.net:443 is intercepted\n")


# --- judged again ----------------------------------------------------------------------------------------------


def misjudged() -> Report:
    verdict = Verdict(status="healthy", finding=None, blame=None, summary="all is well")
    return msgspec.structs.replace(BROKEN, verdict=verdict, findings=(cases.finding("dns.timeout"),))


def test_todays_rules_judge_and_the_change_is_said(capsys, saved):
    file = saved / "old.json"
    file.write_text(render(misjudged(), "json"), encoding="utf-8")
    status, out, err = run(capsys, file)
    assert (status, out) == (1, render(BROKEN))
    assert err == (
        f"netdiag: {file}: wu2.frontend.clouddatahub.net:443 is judged anew: failed, it was healthy "
        "(+tls.intercepted, -dns.timeout); --as-saved keeps the old judgement\n"
    )
    assert run(capsys, file, "--quiet")[2] == ""
    _, out, err = run(capsys, file, saved / "good.json", "--format", "json")
    was = next(one.rejudged for one in load_incident(out).reports if one.label == "node-b")
    assert was is not None
    assert (was.verdict.status, was.new, was.gone) == ("healthy", ("tls.intercepted",), ("dns.timeout",))


def test_as_saved(capsys, saved):
    file = saved / "old.json"
    file.write_text(render(misjudged(), "json"), encoding="utf-8")
    status, out, err = run(capsys, file, "--as-saved", "--format", "json")
    assert (status, load_report(out), err) == (1, misjudged(), "")


# --- bad input -------------------------------------------------------------------------------------------------


def test_a_damaged_line_costs_only_itself(capsys, saved):
    file = saved / "x.jsonl"
    file.write_text(render(HEALTHY, "jsonl") + "{damaged\n" + render(WARNED, "jsonl"), encoding="utf-8")
    status, out, err = run(capsys, file)
    assert status == 2
    assert "2 targets" in out
    assert err.startswith(f"netdiag: {file}:2: not JSON: ")
    assert err.endswith("; the rest is used\n")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"hello", "not JSON: JSON is malformed"),
        (b"{}", "not a netdiag report: "),
        (b'{"schema_version": 7}', "written by a newer netdiag (schema_version 7; this one reads 1)"),
        (b"[" * 9_999, "not JSON: "),
    ],
)
def test_no_report(capsys, saved, content, message):
    file = saved / "bad.bin"
    file.write_bytes(content)
    output = saved / "out.json"
    for arguments in ((file,), (saved / "good.json", file), (saved / "good.json", "--baseline", file, "-o", output)):
        status, out, err = run(capsys, *arguments)
        assert (status, out) == (2, "")
        assert err.startswith(f"netdiag: {file}: {message}")
        assert err.count("\n") == 1
    assert not output.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothere.json",), "nothere.json: cannot be read: No such file or directory"),
        ((".",), ".: cannot be read: "),
        (("-", "-"), "stdin (-) can be read only once"),
        (("-", "--baseline", "-"), "stdin (-) can be read only once"),
        (("x.json", "-o", "x.pdf"), "x.pdf: no format has the suffix .pdf"),
        (("a\0b",), "a\\x00b: cannot be read: embedded null byte"),
    ],
)
def test_what_cannot_be_read(capsys, arguments, message):
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"netdiag: {message}")
    assert err.count("\n") == 1


def test_a_file_without_end_is_no_report(capsys, saved, monkeypatch):
    monkeypatch.setattr(saved_files, "MAX_BYTES", 1_000_000)
    file = saved / "endless.json"
    file.write_bytes(b" " * 3_000_000)
    assert run(capsys, file) == (2, "", f"netdiag: {file}: more than 0 MB are no report\n")


def test_stdin(capsys, saved, monkeypatch):
    def pipe(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text.encode()), isatty=lambda: False))

    pipe(render(BROKEN, "json"))
    assert run(capsys, "-")[:2] == (1, render(BROKEN))
    pipe("nonsense")
    assert run(capsys, "-")[2] == "netdiag: stdin: not JSON: JSON is malformed: invalid character (byte 4)\n"
    monkeypatch.setattr(sys, "stdin", None)
    assert run(capsys, "-") == (2, "", "netdiag: stdin: there is no standard input\n")


def test_a_circle_of_parents_ends(capsys, saved):
    first, *rest = BROKEN.observations
    circle = msgspec.structs.replace(BROKEN, observations=(msgspec.structs.replace(first, parent=first.id), *rest))
    looped = tuple(msgspec.structs.replace(o, parent=o.id) for o in BROKEN.observations)
    for n, report in enumerate((circle, msgspec.structs.replace(BROKEN, observations=looped))):
        file = saved / f"circle{n}.json"
        file.write_text(render(report, "json"), encoding="utf-8")
        assert run(capsys, file)[0] in (0, 1)
        assert run(capsys, file, saved / "good.json")[0] in (0, 1)


def test_the_library_does_the_same(capsys, saved):
    _, out, _ = run(capsys, saved / "good.json", saved / "bad.json", "--format", "json")
    by_hand = merge_reports([HEALTHY, BROKEN])
    again = load_incident(out)
    assert (again.verdict, again.findings, again.comparisons) == (
        by_hand.verdict,
        by_hand.findings,
        by_hand.comparisons,
    )


def test_schema_incident(capsys):
    assert cli.main(["schema", "incident"]) == 0
    assert json.loads(capsys.readouterr().out)["$id"] == "urn:netdiag:incident:1"
