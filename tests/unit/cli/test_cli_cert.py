"""``netdiag cert`` against a session that is made up: arguments, passwords, outputs, progress, Ctrl-C, errors."""

from __future__ import annotations

import getpass
import io
import json
import signal
import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest

import netdiag
from netdiag.cli import main, progress
from netdiag.cli.interrupt import asking
from netdiag.model import UsageError
from netdiag.report import render
from netdiag.report.layout import Layout
from tests.unit.cli.test_cli import Terminal, run
from tests.unit.report import certified


class FakeCheck:
    """Stands for ``check_certificates``: one report, and what it was asked."""

    def __init__(self):
        self.report = certified.healthy()
        self.calls = []
        self.during = lambda options, progress, cancel: None

    def __call__(self, files, options, *, progress, cancel):
        self.calls.append((list(files), options))
        assert isinstance(cancel, threading.Event)
        self.during(options, progress, cancel)
        return self.report

    @property
    def options(self):
        return self.calls[-1][1]


@pytest.fixture
def check(monkeypatch):
    fake = FakeCheck()
    monkeypatch.setattr(netdiag, "check_certificates", fake, raising=False)
    for name in ("NO_COLOR", "NETDIAG_PROXY_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    return fake


def test_one_file(check, capsys):
    assert run(capsys, "cert", "a.cer") == (0, render(certified.healthy()), "")
    assert check.calls[0][0] == ["a.cer"]
    options = check.options
    assert (options.hostname, options.purpose, options.profile, options.at) == (None, None, "windows", None)
    assert (options.trust, options.untrusted, options.crls, options.ocsp) == (("system",), (), (), ())
    assert (options.fetch, options.cache, options.nonce) == (True, True, False)
    assert (options.proxy, options.credentials, options.timeout_s) == ("system", None, 8.0)


def test_several_files_are_one_report(check, capsys):
    status, out, _ = run(capsys, "cert", "a.cer", "--no-fetch", "-", "--format", "json", "c.p7b")
    assert (status, json.loads(out)["command"]) == (0, "cert")
    assert check.calls[0][0] == ["a.cer", "-", "c.p7b"]


def test_options_reach_the_session(check, capsys):
    given = (
        "--hostname [2001:DB8::0:1] --purpose client --profile webpki --at 2026-11-28T17:00+01:00 --no-fetch "
        "--no-cache --nonce --untrusted u1 --untrusted u2 --trust certifi --trust r.pem --crl c1 --crl c2 --ocsp o "
        "--timeout 3 --proxy none --proxy-user u:p"
    )
    run(capsys, "cert", "a.cer", *given.split())
    options = check.options
    assert (options.hostname, options.purpose, options.profile) == ("2001:db8::1", "client", "webpki")
    assert (options.at, options.untrusted, options.trust) == (1795881600.0, ("u1", "u2"), ("certifi", "r.pem"))
    assert (options.crls, options.ocsp) == (("c1", "c2"), ("o",))
    assert (options.fetch, options.cache, options.nonce) == (False, False, True)
    assert (options.timeout_s, options.proxy) == (3.0, "none")
    assert options.credentials is None  # nobody is asked for what is not needed


def test_the_proxy_login_is_handed_on(check, capsys):
    run(capsys, "cert", "a.cer", "--proxy-user", "alice:secret")
    assert check.options.credentials == ("alice", "secret")


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-11-28", 1795824000.0),
        ("20261128", 1795824000.0),
        ("2026-11-28T17:00", 1795885200.0),
        ("2026-11-28 17:00:30Z", 1795885230.0),
        ("1795885230", 1795885230.0),
        ("1795885230.5", 1795885230.5),
        ("0", 0.0),
    ],
)
def test_times(text, at, check, capsys):
    run(capsys, "cert", "a.cer", "--at", text)
    assert check.options.at == at


def test_names_are_written_as_certificates_have_them(check, capsys):
    run(capsys, "cert", "a.cer", "--hostname", "Bücher.Example.")
    assert check.options.hostname == "xn--bcher-kva.example"


@pytest.mark.parametrize(
    ("report", "argv", "status"),
    [
        (certified.healthy, (), 0),
        (certified.offline, (), 1),
        (certified.offline, ("--fail-on", "never"), 0),
    ],
)
def test_exit_status(report, argv, status, check, capsys):
    check.report = report()
    assert run(capsys, "cert", "a.cer", *argv)[0] == status


def test_layout_reaches_the_printer(check, capsys):
    check.report = certified.offline()
    assert run(capsys, "cert", "a.cer", "--verbose")[1] == render(certified.offline(), "text", Layout(verbose=True))
    assert run(capsys, "cert", "a.cer", "--quiet")[1] == render(certified.offline(), "text", Layout(quiet=True))


# -- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ((), "netdiag cert: the following arguments are required: FILE"),
        (("-", "-"), "netdiag: stdin (-) can be read only once"),
        (("-", "--untrusted", "-"), "netdiag: stdin (-) can be read only once"),
        (("-", "--crl", "-"), "netdiag: stdin (-) can be read only once"),
        (("-", "--password-file", "-"), "netdiag: stdin (-) can be read only once"),
        (
            ("a", "--hostname", "https://a/"),
            "netdiag cert: argument --hostname: 'https://a/' is neither an address nor",
        ),
        (("a", "--hostname", ""), "netdiag cert: argument --hostname: '' is neither"),
        (("a", "--at", "tomorrow"), "netdiag cert: argument --at: 'tomorrow' is no time (2026-11-28, "),
        (("a", "--at", "2026-13-01"), "netdiag cert: argument --at: '2026-13-01' is no time"),
        (("a", "--at", "1949-12-31"), "netdiag cert: argument --at: '1949-12-31': no certificate is of that time"),
        (("a", "--at", "999999999999"), "netdiag cert: argument --at: '999999999999': no certificate is of"),
        (("a", "--purpose", "mail"), "netdiag cert: argument --purpose: invalid choice: 'mail'"),
        (("a", "--profile", "clients"), "netdiag cert: argument --profile: invalid choice: 'clients'"),
        (("a", "--timeout", "0"), "netdiag cert: argument --timeout: '0' is not a number of seconds"),
        (("a", "--password", "x", "--password-file", "y"), "netdiag cert: argument --password-file: not allowed with"),
        (("a", "--password-file", "/nowhere"), "netdiag: /nowhere: cannot be read: No such file"),
        (("a", "--proxy-user", ":x"), "netdiag: --proxy-user names no user"),
        (("a", "--output", "r.pdf"), "netdiag: r.pdf: no format has the suffix .pdf"),
        (("a", "--bogus"), "netdiag: unrecognized arguments: --bogus"),
    ],
)
def test_bad_input_gets_one_line_before_anything_is_read(argv, message, check, capsys):
    status, out, err = run(capsys, "cert", *argv)
    assert (status, out, check.calls) == (2, "", [])
    assert err.startswith(message)
    assert err.count("\n") == 1


def test_a_file_that_is_no_certificate_gets_one_line(check, capsys):
    def unusable(options, progress, cancel):
        raise UsageError("page.cer: it is an HTML page")

    check.during = unusable
    assert run(capsys, "cert", "page.cer") == (2, "", "netdiag: page.cer: it is an HTML page\n")


# -- passwords --------------------------------------------------------------------------------------------------------


def told(check, capsys, *argv):
    """What the session is told when it asks for the password of a file."""
    answers = []
    check.during = lambda options, progress, cancel: answers.append(options.password("a.pfx"))
    status, _, err = run(capsys, "cert", "a.pfx", *argv)
    return answers[0] if answers else (status, err)


def test_a_password_from_the_command_line(check, capsys):
    assert told(check, capsys, "--password", "geheim ü") == "geheim ü".encode()
    assert told(check, capsys, "--password", "") == b""


@pytest.mark.parametrize(
    ("content", "password"),
    [
        (b"secret\n", b"secret"),
        (b" with blanks \r\nand more\n", b" with blanks "),
        (b"", b""),
        (b"\xef\xbb\xbfs\xc3\xbc\xc3\x9f", "süß".encode()),
        ("süß\r\n".encode("utf-16"), "süß".encode()),
        (b"x\n\xff\xff", b"x"),
    ],
)
def test_a_password_from_a_file(content, password, check, capsys, tmp_path):
    file = tmp_path / "password"
    file.write_bytes(content)
    assert told(check, capsys, "--password-file", str(file)) == password


@pytest.mark.parametrize("content", [b"\xff\xfa", b"x" * 5000])
def test_a_file_that_holds_no_password(content, check, capsys, tmp_path):
    file = tmp_path / "password"
    file.write_bytes(content)
    status, err = told(check, capsys, "--password-file", str(file))
    assert (status, err.count("\n"), "its first line is no password" in err) == (2, 1, True)


def test_a_password_from_stdin(check, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"secret\n"), isatty=lambda: False))
    assert told(check, capsys, "--password-file", "-") == b"secret"


def test_a_password_is_asked_for_on_a_terminal(check, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Terminal())
    asked = []
    monkeypatch.setattr(getpass, "getpass", lambda prompt: asked.append(prompt) or "secret")
    assert told(check, capsys) == b"secret"
    assert asked == ["Password of a.pfx: "]


def test_without_a_terminal_nobody_is_asked(check, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert told(check, capsys) == (2, "netdiag: a.pfx: it needs a password: --password, or --password-file\n")


def test_no_password_is_given(check, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Terminal())

    def closed(prompt):
        raise EOFError

    monkeypatch.setattr(getpass, "getpass", closed)
    assert told(check, capsys) == (2, "netdiag: a.pfx: no password was given\n")


def test_ctrl_c_ends_the_question(check, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(getpass, "getpass", lambda prompt: signal.raise_signal(signal.SIGINT))
    assert told(check, capsys) == (3, "netdiag: interrupted\n")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_threads_may_ask_too():
    seen = []
    thread = threading.Thread(target=lambda: seen.extend("x" for _ in [asking().__enter__()]))
    thread.start()
    thread.join()
    assert seen == ["x"]


# -- progress, interruption -------------------------------------------------------------------------------------------


def test_ctrl_c_ends_with_what_is_known(check, capsys):
    check.report = certified.healthy()
    check.during = lambda options, progress, cancel: signal.raise_signal(signal.SIGINT)
    status, out, err = run(capsys, "cert", "a.cer")
    assert (status, out) == (3, render(certified.healthy()))
    assert err == "netdiag: interrupted: the report is on what was known by then\n"


def test_ctrl_c_before_anything_is_known(check, capsys):
    def during(options, progress, cancel):
        signal.raise_signal(signal.SIGINT)
        raise UsageError("a.cer: nothing was read")

    check.during = during
    assert run(capsys, "cert", "a.cer") == (3, "", "netdiag: interrupted\n")


@pytest.mark.parametrize("argv", [(), ("--quiet",)])
def test_progress_is_silent_where_nobody_looks(argv, check, capsys, monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE_S", 0.0)
    if argv:
        monkeypatch.setattr(sys, "stderr", Terminal())
    check.during = lambda options, progress, cancel: progress("fetching", 1, 9)
    run(capsys, "cert", "a.cer", *argv)
    assert not isinstance(sys.stderr, Terminal) or sys.stderr.shown() == ""


def test_progress_shows_even_when_the_second_step_does_not_come(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "PATIENCE_S", 0.0)
    shown = threading.Event()
    made = progress._step_bar
    monkeypatch.setattr(progress, "_step_bar", lambda color: (made(color), shown.set())[0])
    with progress.step_progress(quiet=False, color=False) as steps:
        steps("fetching \x1b[31m", 3, 9)
        assert shown.wait(10)
        steps("fetching", 4, 9)
    assert "4/9" in terminal.shown()
    assert "\x1b[31m" not in terminal.shown()


def test_what_was_quick_shows_nothing(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress.step_progress(quiet=False, color=False) as steps:
        steps("fetching", 1, 2)
    assert terminal.shown() == ""
    assert steps._timer is None


def test_help_names_the_default_profile(capsys):
    with pytest.raises(SystemExit):
        main(["cert", "--help"])
    assert "default: windows" in capsys.readouterr().out


def test_parsing_loads_nothing_heavy():
    script = (
        "import sys, netdiag.cli.cert\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules} & "
        "{'rich', 'requests', 'numpy', 'cryptography', 'OpenSSL', 'dns', 'ssl', 'asyncio', 'http', 'getpass'}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
