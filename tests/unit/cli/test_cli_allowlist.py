"""``netdiag allowlist``: arguments, stdin, what is listed, exit statuses, errors in one line."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pytest

import netdiag
from netdiag.cli import main
from tests.service_tags import RULES, WEST_US_2, write_tags

HOST = "wu2.frontend.clouddatahub.net"


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_tags(tmp_path / "tags.json")
    (tmp_path / "rules.txt").write_text(RULES)
    (tmp_path / "names.txt").write_text("*.clouddatahub.net\n")
    return tmp_path


def run(capsys, *argv, stdin=None, monkeypatch=None):
    argv = [word for words in argv for word in (words.split(" ") if words.startswith("--") else [words])]
    if stdin is not None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
    try:
        status = main(["allowlist", *argv])
    except SystemExit as end:
        status = end.code
    out, err = capsys.readouterr()
    return status, out, err


def test_missing_addresses_are_findings(files, capsys):
    status, out, err = run(capsys, "--tags", "tags.json", "--rules", "rules.txt", HOST, "--no-resolve")
    assert (status, err) == (1, "")
    assert out.startswith("✗ rules.txt misses 2 prefixes of DataFactory.WestUS2 on port 443")
    assert (
        run(capsys, "--tags", "tags.json", "--rules", "rules.txt", HOST, "--no-resolve", "--fail-on", "never")[0] == 0
    )


def test_names_are_fine(files, capsys):
    status, out, _ = run(capsys, "--tags", "tags.json", "--rules", "names.txt", HOST, "--no-resolve", "--quiet")
    assert (status, out.count("\n")) == (0, 3)


def test_what_is_needed_can_be_pasted(files, capsys):
    assert run(capsys, "--tags", "tags.json", "--region", "wu2", "--list") == (
        0,
        "".join(f"{p}\n" for p in WEST_US_2),
        "",
    )
    _, out, _ = run(capsys, "--tags tags.json --tag Sql --tag ServiceBus --list")
    assert out.startswith("# Sql, port 443\n13.66.136.0/26\n40.78.240.0/26\n# ServiceBus, port 443\n")
    _, out, _ = run(capsys, "--tags tags.json --region wu2 --list --format json")
    assert json.loads(out) == list(WEST_US_2)


def test_what_is_missing_can_be_pasted(files, capsys):
    status, out, _ = run(capsys, "--tags", "tags.json", "--rules", "rules.txt", "--region", "wu2", "--list")
    assert (status, out) == (1, "20.42.133.0/24\n20.51.13.0/26\n")
    status, out, _ = run(capsys, "--tags", "tags.json", "--rules", "names.txt", "--region", "wu2", "--list")
    assert (status, out) == (0, "")
    _, out, _ = run(capsys, "--tags tags.json --rules rules.txt --region wu2 --list --format jsonl")
    assert out == '"20.42.133.0/24"\n"20.51.13.0/26"\n'


def test_the_list_that_is_printed_is_read_back_as_complete(files, capsys):
    _, missing, _ = run(capsys, "--tags", "tags.json", "--rules", "rules.txt", "--region", "wu2", "--list")
    (files / "rules.txt").write_text(f"{RULES}{missing}")
    assert run(capsys, "--tags", "tags.json", "--rules", "rules.txt", "--region", "wu2", "--fail-on", "warning")[0] == 0


def test_stdin(files, capsys, monkeypatch):
    given = {"stdin": "*.clouddatahub.net\n", "monkeypatch": monkeypatch}
    status, out, _ = run(capsys, "--tags", "tags.json", "--rules", "-", HOST, "--no-resolve", **given)
    assert (status, out.startswith("✓ stdin lets DataFactory.WestUS2 through")) == (0, True)
    given["stdin"] = (files / "tags.json").read_text()
    assert run(capsys, "--tags", "-", "--rules", "names.txt", HOST, "--no-resolve", **given)[0] == 0


def test_what_is_looked_up(files, capsys, monkeypatch):
    calls = []
    monkeypatch.setattr(
        netdiag, "check_allowlist", lambda tags, rules, options, **more: calls.append(options) or 1 / 0, raising=False
    )
    for more in ([HOST], [HOST, "--no-resolve"], [], ["--resolve", HOST]):
        run(capsys, "--tags", "tags.json", "--rules", "rules.txt", *more)
    run(capsys, "--tags", "tags.json", HOST)
    assert [options.resolve for options in calls] == [True, False, False, True, False]


def test_options_reach_the_session(files, capsys, monkeypatch):
    calls = []
    monkeypatch.setattr(netdiag, "check_allowlist", lambda *given, **more: calls.append(given) or 1 / 0, raising=False)
    arguments = (
        "--tags tags.json --rules rules.txt --rules names.txt --previous old.json --region wu2 --tag Sql --ssis"
        " --port 1433 -6 --source 10.0.0.9 --chain OUT --default deny --timeout 2"
        f" --profile adf:wu2 --set factory=f --set location=w {HOST}"
    )
    run(capsys, *arguments.split())
    ((tags, rules, options),) = calls
    assert (tags, rules, options.previous) == ("tags.json", ["rules.txt", "names.txt"], "old.json")
    assert (options.region, options.tags, options.ssis, options.port) == ("wu2", ("Sql",), True, 1433)
    assert (options.families, options.source, options.chain, options.default) == ((6,), "10.0.0.9", "OUT", "deny")
    assert (options.timeout_s, options.resolve) == (2.0, True)
    hosts = [target.host for target in options.endpoints]
    assert hosts[0] == HOST
    assert "f.w.datafactory.azure.net" in hosts


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        ([], "the following arguments are required: --tags"),
        (["--tags", "none.json"], "none.json: cannot be read: No such file or directory"),
        (["--tags", "rules.txt"], "rules.txt: no service-tag file: not JSON"),
        (["--tags", "tags.json", "--rules", "tags.json"], "tags.json: JSON without firewall rules"),
        (["--tags", "tags.json", "--rules", "none"], "none: cannot be read"),
        (["--tags", "-", "--rules", "-"], "stdin (-) can be read only once"),
        (["--tags", "tags.json", "--rules", "-", "@-"], "stdin (-) can be read only once"),
        (["--tags", "tags.json", "--region", "mars"], "no tag DataFactory for the region 'mars'"),
        (["--tags", "tags.json", "--tag", "Mars"], "no service tag 'Mars'"),
        (["--tags", "tags.json", "--port", "0"], "'0' is not a number from 1 to 65535"),
        (["--tags", "tags.json", "--port", "443x"], "'443x' is not a number"),
        (["--tags", "tags.json", "-4", "-6"], "not allowed with argument"),
        (["--tags", "tags.json", "--profile", "x"], "profile 'x' is not PROFILE:REGION"),
        (["--tags", "tags.json", "a b"], "'a b' is not a target"),
        (["--tags", "tags.json", "--source", "here", "--rules", "rules.txt"], "'here' is no address"),
        (["--tags", "tags.json", "-o", "x.docx"], "no format has the suffix .docx"),
    ],
)
def test_bad_input_is_one_line(files, capsys, argv, complaint):
    status, out, err = run(capsys, *argv)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert complaint in err


def test_a_report_in_a_file(files, capsys):
    status, out, _ = run(capsys, "--tags", "tags.json", "--rules", "rules.txt", "--region", "wu2", "-o", "report.json")
    assert (status, out) == (1, "")
    report = netdiag.load_report((files / "report.json").read_bytes())
    assert (report.command, report.verdict.finding) == ("allowlist", "allowlist.not-covered")


def test_a_pipe_of_the_shell(files):
    """``--rules <(iptables-save)``: a pipe and no file."""
    command = f"{sys.executable} -m netdiag allowlist --tags tags.json --rules /dev/stdin --region wu2 --list"
    if sys.platform != "linux":
        pytest.skip("/dev/stdin is Linux's")
    done = subprocess.run(command.split(), input=RULES, capture_output=True, text=True, check=False, cwd=files)
    assert (done.returncode, done.stdout) == (1, "20.42.133.0/24\n20.51.13.0/26\n")


def test_without_lookups_no_network_code_is_loaded(files):
    command = [sys.executable, "-X", "importtime", "-m", "netdiag", "allowlist", "--tags", "tags.json"]
    done = subprocess.run([*command, "--rules", "rules.txt"], capture_output=True, text=True, check=False, cwd=files)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "netdiag.allowlist.coverage" in loaded
    assert {name for name in loaded if name.startswith("netdiag.probes.")} <= {"netdiag.probes.machine_info"}
    assert [name for name in loaded if name.startswith(("netdiag.pki", "cryptography", "rich", "socket"))] == []
