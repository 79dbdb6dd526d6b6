"""``netdiag pcap`` against an analysis that is made up: arguments, outputs, progress, Ctrl-C, errors."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

import netdiag
from netdiag.cli import main, progress
from netdiag.model import UsageError
from netdiag.report import render
from netdiag.report.layout import Layout
from tests.support import ROOT
from tests.unit.cli.test_cli import Terminal, run
from tests.unit.report import captured


class Rows(list):
    """Connections, as the engine gives them."""

    def rows(self):
        return iter(self)


class FakeAnalysis:
    """Stands for ``analyze_capture``: one report, and what it was asked."""

    def __init__(self):
        self.report = captured.faulty()
        self.calls = []
        self.during = lambda progress, cancel: None
        self.rows = Rows(captured.connection(n, "192.0.2.1", 443) for n in range(3))

    def __call__(self, paths, options, *, progress, cancel, **more):
        self.calls.append((list(paths), options, more))
        assert isinstance(cancel, threading.Event)
        self.during(progress, cancel)
        return SimpleNamespace(report=self.report, connections=self.rows)

    @property
    def options(self):
        return self.calls[-1][1]


@pytest.fixture
def analysis(monkeypatch):
    fake = FakeAnalysis()
    monkeypatch.setattr(netdiag, "analyze_capture", fake, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    return fake


def test_one_file(analysis, capsys):
    assert run(capsys, "pcap", "a.pcap") == (1, render(captured.faulty()), "")
    assert analysis.calls == [(["a.pcap"], netdiag.CaptureOptions(), {"fork": True})]


def test_a_ticket(analysis, capsys):
    assert run(capsys, "pcap", "a.pcap", "--ticket") == (1, render(captured.faulty(), "ticket"), "")


def test_several_files_are_one_report(analysis, capsys):
    status, out, _ = run(capsys, "pcap", "a.pcap", "--format", "json", "-", "c.etl")
    assert (status, json.loads(out)["command"]) == (1, "pcap")
    assert analysis.calls[0][0] == ["a.pcap", "-", "c.etl"]


def test_options_reach_the_engine(analysis, capsys):
    given = (
        "--host 10.0.0.1 --host [2001:DB8::0:1] --host fe80::1%eth0 --host WWW.Example. --host bücher.example "
        "--port 443 --port 1 --conversation 3 --conversation 0 --conversation 3"
    )
    run(capsys, "pcap", "a.pcap", *given.split(), "--time", "+3.5..+10")
    options = analysis.options
    assert options.hosts == ("10.0.0.1", "2001:db8::1", "fe80::1", "www.example", "xn--bcher-kva.example")
    assert (options.ports, options.conversations) == ((443, 1), (3, 0))
    assert (options.since_ns, options.until_ns) == (3_500_000_000, 10_000_000_000)
    assert (options.relative, options.of_day) == (True, False)


@pytest.mark.parametrize(
    ("time", "relative", "of_day"),
    [("2025-06-15..", False, False), ("15:00..16:00", False, True), ("..+3", True, False)],
)
def test_the_kinds_of_times(time, relative, of_day, analysis, capsys):
    run(capsys, "pcap", "a.pcap", "--time", time)
    assert (analysis.options.relative, analysis.options.of_day) == (relative, of_day)


def test_the_other_capture_is_handed_on(analysis, capsys):
    run(capsys, "pcap", "node.pcapng", "--other", "firewall.pcapng")
    assert analysis.calls[0][2] == {"other": "firewall.pcapng", "fork": True}


def test_the_trust_stores_are_handed_on(analysis, capsys):
    run(capsys, "pcap", "a.pcap", "--trust", "ca.pem", "--trust", "system")
    assert analysis.calls[0][2] == {"trust": ("ca.pem", "system"), "fork": True}


def test_what_is_about_printing_reaches_the_printer(analysis, capsys):
    _, out, _ = run(capsys, "pcap", "a.pcap", "--top", "1", "--resets", "--conversation", "1")
    assert out == render(captured.faulty(), "text", Layout(top=1, resets=True, conversations=(1,)))


@pytest.mark.parametrize(
    ("argv", "listed"),
    [
        ((), 0),
        (("--format", "json"), 0),
        (("--format", "json", "--table", "7"), 7),
        (("--format", "html"), 100_000),
        (("--format", "html", "--table", "0"), 0),
    ],
)
def test_a_table_of_all_connections_is_made_where_it_is_shown_or_asked_for(argv, listed, analysis, capsys):
    run(capsys, "pcap", "a.pcap", *argv)
    assert analysis.options.listed == listed


@pytest.mark.parametrize(
    ("report", "argv", "status"),
    [
        (captured.fine, (), 0),
        (captured.faulty, (), 1),
        (captured.faulty, ("--fail-on", "never"), 0),
        (captured.damaged, (), 0),
        (captured.damaged, ("--fail-on", "warning"), 1),
    ],
)
def test_exit_status(report, argv, status, analysis, capsys):
    analysis.report = report()
    assert run(capsys, "pcap", "a.pcap", *argv)[0] == status


# -- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ((), "netdiag pcap: the following arguments are required: FILE"),
        (("-", "-"), "netdiag: stdin (-) can be read only once"),
        (("-", "--other", "-"), "netdiag: stdin (-) can be read only once"),
        (("a", "--host", "a b"), "netdiag pcap: argument --host: 'a b' is neither an address nor a name"),
        (("a", "--host", "1.2.3.4.5"), "netdiag pcap: argument --host: '1.2.3.4.5' is neither an address nor a name"),
        (("a", "--host", "999.1.1.1"), "netdiag pcap: argument --host: '999.1.1.1' is neither"),
        (("a", "--host", "10.0.0.0/8"), "netdiag pcap: argument --host: '10.0.0.0/8' is neither"),
        (("a", "--host", ""), "netdiag pcap: argument --host: '' is neither"),
        (("a", "--host", "x\x1b\n"), "netdiag pcap: argument --host: 'x\\x1b\\n' is neither"),
        (("a", "--port", "0"), "netdiag pcap: argument --port: '0' is not a number from 1 to 65535"),
        (("a", "--port", "https"), "netdiag pcap: argument --port: 'https' is not a number"),
        (("a", "--port", "65536"), "netdiag pcap: argument --port: '65536' is not a number"),
        (("a", "--conversation", "-1"), "netdiag pcap: argument --conversation: '-1' is not a number"),
        (("a", "--conversation", "x"), "netdiag pcap: argument --conversation: 'x' is not a number"),
        (("a", "--top", "0"), "netdiag pcap: argument --top: '0' is not a number from 1 to 1000"),
        (("a", "--table", "100001"), "netdiag pcap: argument --table: '100001' is not a number from 0 to 100000"),
        (("a", "--table", "5"), "netdiag: --table: a text report has no table of all connections (html and json have)"),
        (("a", "--time", "soon"), "netdiag: --time 'soon': it is not FROM..TO"),
        (("a", "--flows", "x.xlsx"), "netdiag: x.xlsx: connections are written to a file whose name ends in .csv, "),
        (("a", "--flows", "/nowhere/x.csv"), "netdiag: /nowhere/x.csv: cannot be written: No such file"),
        (("a", "--output", "r.pdf"), "netdiag: r.pdf: no format has the suffix .pdf"),
        (("a", "--bogus"), "netdiag: unrecognized arguments: --bogus"),
    ],
)
def test_bad_input_gets_one_line_before_anything_is_read(argv, message, analysis, capsys):
    status, out, err = run(capsys, "pcap", *argv)
    assert (status, out, analysis.calls) == (2, "", [])
    assert err.startswith(message)
    assert err.count("\n") == 1


def test_what_cannot_be_read_is_one_line_and_leaves_old_files_alone(analysis, capsys, tmp_path):
    def refuse(progress, cancel):
        raise UsageError("a.pcap: not a capture")

    analysis.during = refuse
    flows, report = tmp_path / "f.csv", tmp_path / "r.txt"
    flows.write_text("old")
    assert run(capsys, "pcap", "a.pcap", "--flows", str(flows), "-o", str(report)) == (
        2,
        "",
        "netdiag: a.pcap: not a capture\n",
    )
    assert flows.read_text() == "old"
    assert list(tmp_path.iterdir()) == [flows]


# -- flows ------------------------------------------------------------------------------------------------------------


def test_every_connection_is_written(analysis, capsys, tmp_path):
    file = tmp_path / "f.csv"
    assert run(capsys, "pcap", "a.pcap", "--flows", str(file)) == (1, render(captured.faulty()), "")
    assert len(file.read_text().splitlines()) == 4
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line_and_the_report_is_there(analysis, capsys, tmp_path):
    link = tmp_path / "f.jsonl"
    link.symlink_to("/dev/full")
    analysis.rows *= 1000
    # The name asked for has a suffix; what it leads to is the device.
    status, out, err = run(capsys, "pcap", "a.pcap", "--flows", str(link))
    assert (status, out) == (2, render(captured.faulty()))
    assert err == f"netdiag: {link}: cannot be written: No space left on device\n"


def test_an_error_while_writing_is_one_line(analysis, capsys, tmp_path, monkeypatch):
    def broken(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(netdiag, "write_flows", broken, raising=False)
    status, _, err = run(capsys, "pcap", "a.pcap", "--flows", str(tmp_path / "f.csv"))
    assert (status, err) == (2, f"netdiag: {tmp_path / 'f.csv'}: cannot be written: Input/output error\n")
    assert list(tmp_path.iterdir()) == []


# -- Ctrl-C and progress ----------------------------------------------------------------------------------------------


def test_an_interrupt_asks_the_engine_to_end_and_what_was_read_is_reported(analysis, capsys):
    def interrupted(progress, cancel):
        signal.raise_signal(signal.SIGINT)
        assert cancel.wait(5)

    analysis.during = interrupted
    analysis.report = captured.fine()
    before = signal.getsignal(signal.SIGINT)
    assert run(capsys, "pcap", "a.pcap") == (
        3,
        render(captured.fine()),
        "netdiag: interrupted: the report is on what had been read\n",
    )
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.skipif(sys.platform == "win32", reason="waits in select, which is for sockets on Windows")
@pytest.mark.parametrize(
    ("kept", "status", "said"), [(None, 1, "are reset right"), (-20, 1, "are reset right"), (0, 3, "")]
)
def test_an_interrupt_ends_the_wait_for_a_silent_pipe(kept, status, said):
    data = (ROOT / "captures" / "guide-reset-ttl-61.pcap").read_bytes()[:kept]
    run = subprocess.Popen(
        [sys.executable, "-u", "-m", "netdiag", "pcap", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert run.stdin
        run.stdin.write(data)
        run.stdin.flush()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not _handles_interrupts(run.pid):
            time.sleep(0.05)
        time.sleep(1)
        run.send_signal(signal.SIGINT)
        run.wait(30)  # nobody closed its stdin
        out, err = run.communicate()
    finally:
        run.kill()
    assert run.returncode == status
    assert said in " ".join(out.decode().split())
    assert "truncated-file" not in out.decode()
    assert err.decode().startswith("netdiag: interrupted")


def _handles_interrupts(pid: int) -> bool:
    """Whether the process waits in the handler's reach: Linux tells which signals it catches."""
    try:
        words = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True
    caught = int(words.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> (signal.SIGTERM - 1) & 1)  # Python itself catches SIGINT only


def read_much(progress, cancel):
    for done in range(0, 100, 10):
        progress(done * 10**6, 10**8, done * 1000)


def read_a_pipe(progress, cancel):
    for done in range(0, 100, 10):
        progress(done * 10**6, None, done * 1000)


@pytest.mark.parametrize("reading", [read_much, read_a_pipe])
def test_progress_is_on_a_terminal_only_and_never_on_stdout(reading, analysis, capsys, monkeypatch):
    analysis.during = reading
    monkeypatch.setattr(progress, "PATIENCE_S", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    assert run(capsys, "pcap", "a.pcap")[1:] == (render(captured.faulty()), "")
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    assert main(["pcap", "a.pcap"]) == 1
    assert capsys.readouterr().out == render(captured.faulty())
    assert "packets" in screen.shown()
    assert "MB/s" in screen.shown()


def test_what_is_quick_or_quiet_has_no_progress(analysis, capsys, monkeypatch):
    analysis.during = read_much
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    main(["pcap", "a.pcap"])
    monkeypatch.setattr(progress, "PATIENCE_S", 0.0)
    main(["pcap", "a.pcap", "--quiet"])
    assert screen.shown() == ""


def test_without_a_terminal_rich_is_not_imported():
    script = (
        "import sys, netdiag\nfrom tests.unit.cli.test_pcap import FakeAnalysis\n"
        "from netdiag.cli import main, progress\n"
        "before = set(sys.modules)\nnetdiag.analyze_capture = FakeAnalysis()\n"
        "for name in [name for name in sys.modules if name.partition('.')[0] == 'rich']:\n    del sys.modules[name]\n"
        "main(['pcap', 'a.pcap'])\n"
        "print([name for name in sys.modules if name.partition('.')[0] == 'rich'], file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
