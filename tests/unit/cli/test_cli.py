"""The command line against a session that is made up: arguments, exit statuses, outputs, errors."""

from __future__ import annotations

import errno
import io
import json
import os
import signal
import stat
import sys
import threading
from pathlib import Path

import pytest

import netdiag.session
from netdiag.cli import COMMANDS, interrupt, main
from netdiag.cli.status import exit_status
from netdiag.model import UsageError
from netdiag.report import render
from tests.unit.report import handmade


class FakeSession:
    """Stands for ``diagnose_endpoints``: a report for each target by its host, and what it was asked."""

    def __init__(self):
        self.reports = {}
        self.calls = []
        self.before = {}

    def __call__(self, targets, *, options, command, cancel, progress, processes):
        assert processes >= 1
        self.calls.append((targets, options, command))
        for target in targets:
            progress(target, "dns")
            self.before.get(target.host, lambda: None)()
            made = self.reports.get(target.host, handmade.healthy)
            yield made(target.host) if callable(made) else made

    @property
    def options(self):
        return self.calls[-1][1]

    @property
    def authorities(self):
        return [target.authority for target in self.calls[-1][0]]


@pytest.fixture
def session(monkeypatch):
    fake = FakeSession()
    monkeypatch.setattr(netdiag.session, "diagnose_endpoints", fake)
    for name in ("NO_COLOR", "NETDIAG_PROXY_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    return fake


def run(capsys, *argv):
    try:
        status = main(argv)
    except SystemExit as end:
        status = end.code
    out, err = capsys.readouterr()
    return status, out, err


def test_one_target(session, capsys):
    status, out, err = run(capsys, "endpoint", "a.example")
    assert (status, err) == (0, "")
    assert out == render(handmade.healthy("a.example"))
    assert session.calls[0][2] == "endpoint"


@pytest.mark.parametrize(
    ("command", "until"), [("endpoint", "https"), ("dns", "dns"), ("tcp", "tcp"), ("tls", "chain"), ("https", "https")]
)
def test_a_command_for_each_rung(command, until, session, capsys):
    assert run(capsys, command, "a.example")[0] == 0
    assert (session.options.until, session.calls[0][2]) == (until, command)


def test_defaults(session, capsys):
    run(capsys, "endpoint", "a.example")
    options = session.options
    assert (options.proxy, options.credentials, options.resolvers) == ("system", None, ())
    assert (options.trust, options.timeout_s) == (("system",), 8.0)


def test_options_reach_the_session(session, capsys):
    given = "--proxy p:8080 --proxy-user u:p:w --resolver 10.0.0.1 --resolver [::1]:54 --trust certifi --trust x.pem"
    run(capsys, "endpoint", "a.example", *given.split(), "--timeout", "2.5")
    options = session.options
    assert (options.proxy, options.credentials, options.resolvers) == ("p:8080", ("u", "p:w"), ("10.0.0.1", "[::1]:54"))
    assert (options.trust, options.timeout_s) == (("certifi", "x.pem"), 2.5)


def test_the_password_comes_from_the_environment(session, capsys, monkeypatch):
    monkeypatch.setenv("NETDIAG_PROXY_PASSWORD", "s3cret")
    run(capsys, "endpoint", "a.example", "--proxy-user", "DOMAIN\\u")
    assert session.options.credentials == ("DOMAIN\\u", "s3cret")


def test_the_password_is_asked_for_on_a_terminal(session, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda prompt: f"answer to {prompt}")
    run(capsys, "endpoint", "a.example", "--proxy-user", "u")
    assert session.options.credentials == ("u", "answer to Password of u for the proxy: ")


# -- exit status ------------------------------------------------------------------------------------------------------

OK, IMPAIRED, FAILED, UNKNOWN = handmade.healthy(), handmade.impaired(), handmade.dns_failure(), handmade.inconclusive()


@pytest.mark.parametrize(
    ("reports", "fail_on", "status"),
    [
        ([OK], "error", 0),
        ([IMPAIRED], "error", 0),
        ([FAILED], "error", 1),
        ([UNKNOWN], "error", 3),
        ([IMPAIRED], "warning", 1),
        ([FAILED], "warning", 1),
        ([FAILED], "never", 0),
        ([IMPAIRED], "never", 0),
        ([UNKNOWN], "never", 3),
        ([OK, FAILED, UNKNOWN], "error", 1),
        ([OK, UNKNOWN], "error", 3),
        ([OK, OK], "warning", 0),
        ([], "error", 0),
    ],
)
def test_exit_status(reports, fail_on, status):
    assert exit_status(reports, fail_on) == status


@pytest.mark.parametrize(
    ("reports", "flags", "status"),
    [
        ([OK], {"unusable": True}, 2),
        ([FAILED], {"unusable": True}, 2),
        ([OK], {"interrupted": True}, 3),
        ([FAILED], {"interrupted": True}, 1),
    ],
)
def test_exit_status_of_a_run_with_problems(reports, flags, status):
    assert exit_status(reports, **flags) == status


def test_a_bug_in_netdiag_is_status_2_even_when_all_else_is_fine():
    import msgspec

    assert exit_status([msgspec.structs.replace(OK, internal_errors=("KeyError: 'x'",))]) == 2


@pytest.mark.parametrize(
    ("report", "argv", "status"),
    [
        (handmade.healthy, (), 0),
        (handmade.dns_failure, (), 1),
        (handmade.dns_failure, ("--fail-on", "never"), 0),
        (handmade.impaired(), ("--fail-on", "warning"), 1),
        (handmade.inconclusive, (), 3),
    ],
)
def test_the_exit_status_of_the_command(report, argv, status, session, capsys):
    session.reports["a.example"] = report
    assert run(capsys, "endpoint", "a.example", *argv)[0] == status


# -- several ----------------------------------------------------------------------------------------------------------


def test_several_as_text(session, capsys):
    session.reports["b.example"] = handmade.dns_failure
    status, out, err = run(capsys, "endpoint", "a.example", "b.example", "c.example")
    assert (status, err) == (1, "")
    reports = [handmade.healthy("a.example"), handmade.dns_failure("b.example"), handmade.healthy("c.example")]
    assert out == render(reports)


def test_a_bad_target_has_its_line_and_the_others_still_run(session, capsys):
    status, out, err = run(capsys, "endpoint", "a.example", "b.example:99999", "c d", "--format", "json")
    assert status == 2
    assert [report["target"]["host"] for report in json.loads(out)] == ["a.example"]
    assert [line.partition(" is not a target")[0] for line in err.splitlines()] == [
        "netdiag: 'b.example:99999'",
        "netdiag: 'c d'",
    ]


def test_the_array_is_in_the_order_asked_for_and_has_each_target_once(session, capsys, monkeypatch):
    def backwards(targets, **_):
        yield from (handmade.healthy(target.host) for target in reversed(targets))

    monkeypatch.setattr(netdiag.session, "diagnose_endpoints", backwards)
    _, out, _ = run(capsys, "endpoint", "c.example", "a.example", "C.example:443", "b.example", "--format", "json")
    assert [report["target"]["host"] for report in json.loads(out)] == ["c.example", "a.example", "b.example"]


def test_one_plain_target_is_an_object_and_a_list_of_one_an_array(session, capsys, tmp_path):
    (tmp_path / "one.txt").write_text("a.example\n")
    assert isinstance(json.loads(run(capsys, "endpoint", "a.example", "--format", "json")[1]), dict)
    assert len(json.loads(run(capsys, "endpoint", f"@{tmp_path / 'one.txt'}", "--format", "json")[1])) == 1


def test_json_lines_are_written_as_they_come(session, capsys):
    seen = []
    session.before["b.example"] = lambda: seen.append(sys.stdout.getvalue())
    _, out, _ = run(capsys, "endpoint", "a.example", "b.example", "--format", "jsonl")
    assert len(out.splitlines()) == 2
    assert seen == [out.splitlines(keepends=True)[0]]


# -- targets from files and profiles ----------------------------------------------------------------------------------


def test_targets_from_a_file(session, capsys, tmp_path):
    file = tmp_path / "targets.txt"
    file.write_bytes(
        b"\xef\xbb\xbf# all of them\r\n\r\na.example   # first\r\n  https://b.example/x#y\r\nc.example:8443"
    )
    assert run(capsys, "endpoint", f"@{file}")[0] == 0
    assert session.authorities == ["a.example:443", "b.example:443", "c.example:8443"]


def test_a_file_that_notepad_wrote(session, capsys, tmp_path):
    file = tmp_path / "targets.txt"
    file.write_bytes("a.example\r\nb.example\r\n".encode("utf-16"))
    run(capsys, "endpoint", f"@{file}")
    assert session.authorities == ["a.example:443", "b.example:443"]


def test_targets_from_stdin(session, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a.example\nb.example\n")))
    assert run(capsys, "endpoint", "@-")[0] == 0
    assert session.authorities == ["a.example:443", "b.example:443"]


def test_a_bad_line_in_a_file_is_named_with_its_place(session, capsys, tmp_path):
    file = tmp_path / "targets.txt"
    file.write_text("a.example\nb.example:0\n")
    status, _, err = run(capsys, "endpoint", f"@{file}")
    assert (status, session.authorities) == (2, ["a.example:443"])
    assert err.startswith(f"netdiag: {file}:2: 'b.example:0' is not a target")


def test_a_profile(session, capsys):
    status, out, err = run(capsys, "endpoint", "--profile", "adf:wu2", "--set", "namespace=x", "--format", "json")
    assert status == 0
    assert session.authorities[:2] == ["wu2.frontend.clouddatahub.net:443", "x.servicebus.windows.net:443"]
    assert "4 addresses are left out, for want of --set factory, location, vault, storage, sql_server" in err
    assert len(err.splitlines()) == 1
    assert len(json.loads(out)) == 4


def test_a_profile_can_be_listed_and_read_back(session, capsys, tmp_path):
    status, out, err = run(capsys, "endpoint", "--profile", "adf:wu2", "--set", "sql_server=s", "--list")
    assert (status, err, session.calls) == (0, "", [])
    assert "# left out: {namespace}.servicebus.windows.net:443  interactive authoring" in out
    assert "#   needs --set factory=... --set location=..." in out
    (tmp_path / "list.txt").write_text(out)
    run(capsys, "endpoint", f"@{tmp_path / 'list.txt'}")
    assert "s.database.windows.net:1433" in session.authorities
    assert [target.scheme for target in session.calls[0][0] if target.port == 1433] == ["tcp"]


def test_a_listing_as_json(session, capsys):
    _, out, _ = run(capsys, "endpoint", "--profile", "adf:wu2", "--list", "--format", "json")
    assert json.loads(out)[0]["host"] == "wu2.frontend.clouddatahub.net"
    _, lines, _ = run(capsys, "endpoint", "--profile", "adf:wu2", "--list", "--format", "jsonl")
    assert [json.loads(line) for line in lines.splitlines()] == json.loads(out)


# -- errors: one line on stderr, status 2, no traceback ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ((), "netdiag: the following arguments are required: COMMAND (see netdiag --help)"),
        (("bogus",), "netdiag: argument COMMAND: invalid choice: 'bogus'"),
        (("endpoint",), "netdiag: endpoint needs a TARGET or --profile"),
        (("dns",), "netdiag: dns needs a TARGET"),
        (("endpoint", "x", "--bogus"), "netdiag: unrecognized arguments: --bogus (see netdiag --help)"),
        (("endpoint", "x", "--\x1b[31m\nx"), "netdiag: unrecognized arguments: --\\x1b[31m\\nx"),
        (("endpoint", "x", "--timeout", "soon"), "netdiag endpoint: argument --timeout: 'soon' is not a number"),
        (("endpoint", "x", "--timeout", "0"), "netdiag endpoint: argument --timeout: '0' is not a number"),
        (("endpoint", "x", "--timeout", "nan"), "netdiag endpoint: argument --timeout: 'nan' is not a number"),
        (("endpoint", "x", "--timeout", "1e9"), "netdiag endpoint: argument --timeout: '1e9' is not a number"),
        (("endpoint", "x", "--fail-on", "info"), "netdiag endpoint: argument --fail-on: invalid choice: 'info'"),
        (("endpoint", "x", "--format", "pdf"), "netdiag endpoint: argument --format: invalid choice: 'pdf'"),
        (("endpoint", "x", "--time", "3"), "netdiag: unrecognized arguments: --time 3"),
        (("endpoint", "x", "--output", "r.pdf"), "netdiag: r.pdf: no format has the suffix .pdf"),
        (("endpoint", "x", "--output", "/nowhere/r.txt"), "netdiag: /nowhere/r.txt: cannot be written: No such file"),
        (("endpoint", "x", "--output", "."), "netdiag: .: cannot be written: it is a folder"),
        (("endpoint", "x:0"), "netdiag: 'x:0' is not a target"),
        (("endpoint", "x\n\x1b[2J"), "netdiag: 'x\\n\\x1b[2J' is not a target"),
        (("endpoint", ""), "netdiag: '' is not a target"),
        (("endpoint", "@"), "netdiag: @ names no file"),
        (("endpoint", "@/nowhere/t.txt"), "netdiag: /nowhere/t.txt: cannot be read: No such file"),
        (("endpoint", "@."), "netdiag: .: cannot be read: Is a directory"),
        (("endpoint", "--profile", "adf"), "netdiag: profile 'adf' is not PROFILE:REGION"),
        (("endpoint", "--profile", "nope:wu2"), "netdiag: profile 'nope' is unknown"),
        (("endpoint", "--profile", "adf:wu2", "--set", "x"), "netdiag: --set 'x' is not NAME=VALUE"),
        (("endpoint", "--profile", "adf:wu2", "--set", "x=y"), "netdiag: profile adf: no value is called 'x'"),
        (("endpoint", "x", "--proxy-user", "u"), "netdiag: --proxy-user u: no password: set NETDIAG_PROXY_PASSWORD"),
        (("endpoint", "x", "--proxy-user", ":p"), "netdiag: --proxy-user names no user"),
        (("explain", "tls.intercepte"), "netdiag: no finding is called 'tls.intercepte'; did you mean tls.intercepted"),
        (("explain", "zzzzqqqq"), "netdiag: no finding is called 'zzzzqqqq'; netdiag explain alone lists them all"),
        (("schema", "--output", "/nowhere/s.json"), "netdiag: /nowhere/s.json: cannot be written: No such file"),
    ],
)
def test_bad_input_gets_one_line(argv, message, session, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    status, out, err = run(capsys, *argv)
    assert (status, out, session.calls) == (2, "", [])
    assert err.startswith(message)
    assert err.count("\n") == 1


def test_a_file_that_is_no_list_of_targets(session, capsys, tmp_path):
    file = tmp_path / "image.png"
    file.write_bytes(b"\x89PNG\xff\xfe")
    status, out, err = run(capsys, "endpoint", f"@{file}")
    assert (status, out, err) == (2, "", f"netdiag: {file}: not a text file (UTF-8)\n")


def test_a_file_without_targets(session, capsys, tmp_path):
    (tmp_path / "empty.txt").write_text("# nothing\n")
    status, out, err = run(capsys, "endpoint", f"@{tmp_path / 'empty.txt'}")
    assert (status, out, err) == (2, "", f"netdiag: {tmp_path / 'empty.txt'}: there is no target in it\n")


def test_a_usage_error_from_the_session_is_one_line(session, capsys):
    def refuse():
        raise UsageError("ca.pem: holds no certificate")

    session.before["a.example"] = refuse
    assert run(capsys, "endpoint", "a.example") == (2, "", "netdiag: ca.pem: holds no certificate\n")


def test_a_bug_is_status_2_and_says_so(session, capsys):
    session.before["a.example"] = lambda: [][0]
    status, out, err = run(capsys, "endpoint", "a.example")
    assert (status, out) == (2, "")
    assert "IndexError" in err
    assert err.endswith("netdiag: the above is a bug in netdiag; the report was not finished\n")


# -- where the report goes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"), [("r.txt", "text"), ("r", "text"), ("r.JSON", "json"), ("r.ndjson", "jsonl")]
)
def test_the_suffix_picks_the_format(name, kind, session, capsys, tmp_path):
    file = tmp_path / name
    assert run(capsys, "endpoint", "a.example", "--output", str(file)) == (0, "", "")
    assert file.read_text(encoding="utf-8") == render(handmade.healthy("a.example"), kind)
    assert list(tmp_path.iterdir()) == [file]


def test_the_format_asked_for_goes_before_the_suffix(session, capsys, tmp_path):
    file = tmp_path / "r.html"
    run(capsys, "endpoint", "a.example", "--output", str(file), "--format", "json")
    assert json.loads(file.read_text())["command"] == "endpoint"


def test_a_ticket_instead_of_the_report(session, capsys, tmp_path):
    session.reports["a.example"] = handmade.dns_failure
    made = handmade.dns_failure("a.example")
    assert run(capsys, "endpoint", "a.example", "--ticket")[:2] == (1, render(made, "ticket"))
    file = tmp_path / "note.md"  # whatever its name
    assert run(capsys, "tls", "a.example", "--ticket", "--output", str(file))[:2] == (1, "")
    assert file.read_text(encoding="utf-8") == render(made, "ticket")


def test_a_ticket_for_each_of_several_targets(session, capsys):
    session.reports["a.example"] = handmade.dns_failure
    made = [handmade.dns_failure("a.example"), handmade.healthy("b.example")]
    assert run(capsys, "tcp", "a.example", "b.example", "--ticket")[:2] == (1, render(made, "ticket"))


def test_a_ticket_is_a_format(session, capsys):
    status, out, err = run(capsys, "https", "a.example", "--ticket", "--format", "json")
    assert (status, out) == (2, "")
    assert "not allowed with argument --ticket" in err
    status, out, _ = run(capsys, "endpoint", "--profile", "adf:wu2", "--list", "--ticket")
    assert out == run(capsys, "endpoint", "--profile", "adf:wu2", "--list")[1]


def test_an_aborted_run_leaves_the_old_file_alone(session, capsys, tmp_path):
    file = tmp_path / "r.jsonl"
    file.write_text("old")
    session.before["b.example"] = lambda: [][0]
    assert run(capsys, "endpoint", "a.example", "b.example", "--output", str(file))[0] == 2
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.skipif(sys.platform == "win32", reason="permission bits and links are POSIX's here")
def test_a_replaced_file_keeps_its_mode_and_a_link_its_place(session, capsys, tmp_path):
    file, link = tmp_path / "r.txt", tmp_path / "link.txt"
    file.write_text("old")
    file.chmod(0o640)
    link.symlink_to(file)
    run(capsys, "endpoint", "a.example", "--output", str(link))
    assert link.is_symlink()
    assert file.read_text(encoding="utf-8").startswith("✓ a.example:443")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_read_only_file_is_refused_before_anything_is_probed(session, capsys, tmp_path, monkeypatch):
    file = tmp_path / "report.txt"
    file.write_text("kept")
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)  # root may write everywhere
    status, _, err = run(capsys, "endpoint", "a.example", "--output", str(file))
    assert (status, err) == (2, f"netdiag: {file}: cannot be written: it is read-only\n")
    assert (file.read_text(), session.calls) == ("kept", [])


def test_a_full_device_is_one_line(session, capsys):
    status, out, err = run(capsys, "endpoint", "a.example", "--output", "/dev/full", "--format", "text")
    assert (status, out, err) == (2, "", "netdiag: /dev/full: cannot be written: No space left on device\n")


def test_quiet_is_the_verdict_only(session, capsys):
    session.reports["a.example"] = handmade.dns_failure
    out = run(capsys, "endpoint", "a.example", "--quiet")[1]
    assert out.splitlines() == render(handmade.dns_failure("a.example")).splitlines()[:3]


class Terminal(io.TextIOWrapper):
    """A text stream on a terminal that is none."""

    def __init__(self, encoding="utf-8"):
        super().__init__(io.BytesIO(), encoding=encoding, write_through=True)

    def isatty(self):
        return True

    def shown(self):
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)


@pytest.mark.parametrize(
    ("argv", "environment", "coloured"),
    [
        ((), {}, True),
        (("--no-color",), {}, False),
        ((), {"NO_COLOR": "1"}, False),
        ((), {"NO_COLOR": ""}, True),
        ((), {"TERM": "dumb"}, False),
    ],
)
def test_colours_on_a_terminal_only(argv, environment, coloured, session, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    assert main(["endpoint", "a.example", *argv]) == 0
    assert ("\x1b[" in screen.shown()) is coloured


def test_a_console_without_utf8_gets_ascii(session, monkeypatch):
    console = io.TextIOWrapper(io.BytesIO(), encoding="cp1252", write_through=True)
    monkeypatch.setattr(sys, "stdout", console)
    assert main(["endpoint", "a.example"]) == 0
    assert console.buffer.getvalue().startswith(b"+ a.example:443")


def test_a_reader_who_goes_away_is_no_error(session):
    reading, writing = os.pipe()
    os.close(reading)
    script = "import sys; from tests.unit.cli.test_cli import main_with_reports as m; sys.exit(m())"
    import subprocess

    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run([sys.executable, "-c", script], stdout=pipe, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "")


def main_with_reports():
    """``netdiag endpoint a b`` where b fails; for a process of its own."""
    fake = FakeSession()
    fake.reports["b.example"] = handmade.dns_failure
    netdiag.session.diagnose_endpoints = fake
    return main(["endpoint", "a.example", "b.example"])


def test_without_a_stdout_the_exit_status_and_the_file_still_count(session, capsys, tmp_path, monkeypatch):
    session.reports["a.example"] = handmade.dns_failure
    monkeypatch.setattr(sys, "stdout", None)  # >&-, or pythonw
    try:
        assert main(["endpoint", "a.example"]) == 1
        assert main(["explain", "tcp.refused"]) == 0
    finally:
        sys.stdout.close()
    assert capsys.readouterr().err == ""


def test_a_full_disk_behind_print_is_one_line(capsys, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("builtins.print", full)
    assert run(capsys, "demo", "--list") == (2, "", "netdiag: stdout: cannot be written: No space left on device\n")


# -- Ctrl-C -----------------------------------------------------------------------------------------------------------


def test_the_first_interrupt_asks_the_session_to_end_and_the_report_is_written(session, capsys, monkeypatch):
    def interrupted(targets, *, cancel, **_):
        yield handmade.healthy("a.example")
        signal.raise_signal(signal.SIGINT)
        assert cancel.wait(5)
        yield handmade.inconclusive("b.example")

    monkeypatch.setattr(netdiag.session, "diagnose_endpoints", interrupted)
    before = signal.getsignal(signal.SIGINT)
    status, out, err = run(capsys, "endpoint", "a.example", "b.example", "--format", "json")
    assert (status, err) == (3, "netdiag: interrupted: 1 of 2 targets were tested to the end\n")
    assert [report["verdict"]["status"] for report in json.loads(out)] == ["healthy", "inconclusive"]
    assert signal.getsignal(signal.SIGINT) is before


def test_the_second_interrupt_ends_at_once_with_what_is_there(session, capsys):
    def twice():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    session.reports["a.example"] = handmade.dns_failure
    session.before["b.example"] = twice
    status, out, err = run(capsys, "endpoint", "a.example", "b.example", "--format", "json")
    assert (status, err) == (1, "netdiag: interrupted: 1 of 2 targets were tested to the end\n")
    assert [report["target"]["host"] for report in json.loads(out)] == ["a.example"]


def test_a_request_to_terminate_is_an_interrupt_too(session, capsys, tmp_path):
    session.before["b.example"] = lambda: signal.raise_signal(signal.SIGTERM)
    file = tmp_path / "report.json"
    status, _, err = run(capsys, "endpoint", "a.example", "b.example", "--output", str(file))
    assert (status, err) == (3, "netdiag: interrupted: 1 of 2 targets were tested to the end\n")
    assert [report["target"]["host"] for report in json.loads(file.read_text())] == ["a.example", "b.example"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.json"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_second_interrupt_while_the_first_is_taken_does_not_hang(monkeypatch):
    # The event's lock is held while it is set: our handler must not run, and wait for that lock, in there.
    class Setting(threading.Event):
        def set(self):
            assert signal.getsignal(signal.SIGINT) is before
            super().set()

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(interrupt.threading, "Event", Setting)
    with interrupt.interruptible() as cancel:
        signal.raise_signal(signal.SIGINT)
    assert cancel.is_set()


def test_an_ignored_interrupt_stays_ignored(session, capsys):
    # nohup and a shell's background jobs ask for that.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        session.before["b.example"] = lambda: signal.raise_signal(signal.SIGINT)
        status, _, err = run(capsys, "endpoint", "a.example", "b.example")
    finally:
        signal.signal(signal.SIGINT, before)
    assert (status, err) == (0, "")


def test_an_interrupt_before_anything_began_is_one_line(capsys, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("netdiag.cli._parser", interrupted)
    assert run(capsys, "endpoint", "a.example") == (3, "", "netdiag: interrupted\n")


# -- progress ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("targets", [("a.example",), ("a.example", "b.example")])
def test_progress_is_on_a_terminal_only_and_never_on_stdout(targets, session, capsys, monkeypatch):
    status, plain, err = run(capsys, "endpoint", *targets)
    assert err == ""
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    assert main(["endpoint", *targets]) == status
    assert capsys.readouterr().out == plain
    assert screen.shown() != ""


def test_quiet_has_no_progress(session, capsys, monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    main(["endpoint", "a.example", "--quiet"])
    assert screen.shown() == ""


# -- help -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command, capsys):
    status, out, err = run(capsys, command, "--help")
    assert (status, err) == (0, "")
    assert out.startswith(f"usage: netdiag {command}")


def test_the_help_names_every_command(capsys):
    status, out, _ = run(capsys, "--help")
    assert status == 0
    assert all(f"\n    {command} " in out for command in COMMANDS)


def test_the_schema_is_the_published_one(capsys):
    from netdiag.report import json as report_json

    status, out, _ = run(capsys, "schema")
    assert (status, json.loads(out)) == (0, report_json.schema())
