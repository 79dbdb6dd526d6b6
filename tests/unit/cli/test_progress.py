"""Bars on a pseudo-terminal: rate and time left are shown, text is whole, and nothing is left behind."""

from __future__ import annotations

import os
import re
import sys
import threading
from types import SimpleNamespace

import pytest

from netdiag.cli import demo, progress
from tests.unit.cli.test_cli import run
from tests.unit.report import handmade

pty = pytest.importorskip("pty", reason="needs pseudo-terminals")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs pseudo-terminals")

_SEQUENCE = re.compile(r"\x1b\[(?P<numbers>[0-9;?]*)(?P<final>[A-Za-z])")


class Screen:
    """A pseudo-terminal, and what a person sees on it in the end."""

    def __init__(self) -> None:
        self._master, slave = pty.openpty()
        self.stream = open(slave, "w", encoding="utf-8", buffering=1)  # noqa: PTH123, SIM115 - closed by ``shown``
        self._read = b""
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self._thread.start()

    def _drain(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # Linux: the other end is closed
                return
            if not data:
                return
            self._read += data

    def shown(self) -> str:
        """Everything that was ever written to it."""
        self.stream.close()
        self._thread.join(10)
        os.close(self._master)
        return self._read.decode()

    @staticmethod
    def left(shown: str) -> list[str]:
        """The lines that are there in the end."""
        lines, row, column, at = [""], 0, 0, 0
        while at < len(shown):
            if match := _SEQUENCE.match(shown, at):
                at = match.end()
                count = int(match["numbers"] or 1) if match["numbers"].isdigit() or not match["numbers"] else 1
                if match["final"] == "A":
                    row = max(row - count, 0)
                elif match["final"] == "K":
                    lines[row] = "" if match["numbers"] == "2" else lines[row][:column]
                else:
                    assert match["final"] in "mhl", match[0]
                continue
            character, at = shown[at], at + 1
            if character == "\r":
                column = 0
            elif character == "\n":
                row, column = row + 1, 0
                lines += [""] * (row + 1 - len(lines))
            else:
                lines[row] = f"{lines[row][:column]:<{column}}{character}{lines[row][column + 1 :]}"
                column += 1
        while lines and not lines[-1].strip():
            lines.pop()
        return [line.rstrip() for line in lines]


@pytest.fixture
def watch(monkeypatch):
    """Puts a terminal in the place of stderr: in the test itself, since pytest has put its own there by then."""

    def put() -> Screen:
        found = Screen()
        monkeypatch.setattr(sys, "stderr", found.stream)
        return found

    monkeypatch.setattr(progress, "PATIENCE_S", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return put


SHOW = {"quiet": False, "color": False}


def test_many_targets_have_a_bar_with_rate_and_time_left_and_whole_lines(watch):
    screen = watch()
    names = [f"{letter}.example" for letter in "abcd"]
    with progress.progress_for(len(names), **SHOW) as shown:
        for name in names:
            shown.finished(handmade.dns_failure(name))
            with shown.paused():
                screen.stream.write(f"{name}: a line of the report\n")
    written = screen.shown()
    assert "4 not healthy" in written
    assert re.search(r"4/4 +[0-9.]+/s +0:00:00", written)
    assert Screen.left(written) == [f"{name}: a line of the report" for name in names]


def test_one_target_has_its_rung_and_the_time_it_takes(watch):
    screen = watch()
    with progress.progress_for(1, **SHOW) as shown:
        shown.reached(handmade.target(host="a.example"), "dns")
    written = screen.shown()
    assert "a.example:443: looking the name up 0:00:00" in written
    assert Screen.left(written) == []


def test_steps_have_a_bar_with_rate_and_time_left(watch):
    screen = watch()
    with progress.step_progress(**SHOW) as shown:
        shown("fetching", 0, 40)
        _wait_for(lambda: shown._bar is not None)
        for done in range(10, 41, 10):
            shown("fetching", done, 40)
    written = screen.shown()
    assert re.search(r"fetching .* 40/40, [0-9,.]+/s 0:00:00 0:00:00", written)
    assert Screen.left(written) == []


def test_a_thread_that_was_left_behind_shows_nothing_more(watch):
    screen = watch()
    with progress.step_progress(**SHOW) as shown:
        pass
    shown("fetching", 1, 2)
    assert shown._timer is None
    assert screen.shown() == ""


def test_work_of_unknown_length_has_a_bar_without_numbers(watch):
    screen = watch()
    with progress.working("writing the report", **SHOW):
        _wait_for(lambda: any(thread.name.startswith("Thread") and thread.daemon for thread in threading.enumerate()))
    assert Screen.left(screen.shown()) == []


def test_an_error_leaves_no_bar(watch):
    screen = watch()

    def broken() -> None:
        with progress.step_progress(**SHOW) as shown:
            shown("fetching", 1, 2)
            _wait_for(lambda: shown._bar is not None)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken()
    written = screen.shown()
    assert "fetching" in written
    assert Screen.left(written) == []


def test_reading_has_rate_and_time_left_and_says_when_it_judges(watch):
    screen = watch()
    with progress.reading_progress(**SHOW) as shown:
        for part in range(1, 5):
            shown(part * 1_000_000, 4_000_000, part * 1_000)
    written = screen.shown()
    assert re.search(r"4,000 packets, judging them", written)
    assert Screen.left(written) == []


def test_what_is_read_beside_it_begins_anew(watch, monkeypatch):
    screen = watch()
    clock = iter(range(100))
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: float(next(clock))))
    with progress.TerminalReadingProgress(color=False) as shown:
        shown(1_000_000, None, 1_000)
        shown(2_000_000, None, 2_000)
        shown(500_000, None, 300)
        assert shown._bar is not None
        assert "300 packets, 300 packets/s" in shown._bar.tasks[0].fields["rate"]
    assert Screen.left(screen.shown()) == []


def test_the_demo_has_a_bar_and_whole_lines(watch, monkeypatch):
    screen = watch()
    from netdiag.world.scenes import SCENES

    monkeypatch.setattr(demo, "_played", lambda scenes: ((scene, handmade.healthy(), ()) for scene in list(scenes)[:3]))
    monkeypatch.setattr(sys, "stdout", screen.stream)
    assert demo.run(_arguments("demo")) == 0
    written = screen.shown()
    assert re.search(rf"scenes .* 3/{len(SCENES)} +[0-9.]+/s +[0-9:]+", _SEQUENCE.sub("", written))
    left = Screen.left(written)
    assert [line.split()[1] for line in left[1:4]] == [scene.name for scene in SCENES[:3]]
    assert left[4:] == [f"{len(SCENES)} of {len(SCENES)} scenes as expected"]


def _arguments(*argv):
    from netdiag import cli

    parser, _ = cli._parser(argv)
    return parser.parse_args(argv)


@pytest.mark.parametrize("quiet", [False, True])
def test_nothing_is_shown_without_a_terminal_or_with_quiet(quiet, monkeypatch, capsys):
    monkeypatch.setattr(progress, "PATIENCE_S", 0.0)
    screen = Screen()
    if quiet:  # else stderr is what pytest reads
        monkeypatch.setattr(sys, "stderr", screen.stream)
    manner = {"quiet": quiet, "color": True}
    with (
        progress.progress_for(9, **manner) as many,
        progress.reading_progress(**manner) as reading,
        progress.step_progress(**manner) as steps,
        progress.working("writing the report", **manner),
    ):
        many.finished(handmade.healthy())
        many.advanced("scenes")
        reading(1, 2, 3)
        steps("fetching", 1, 2)
    assert screen.shown() == ""
    assert capsys.readouterr().err == ""


def test_ascii_prints_nothing_else(capsys):
    _, out, _ = run(capsys, "explain", "tls.sni-filtered", "--ascii")
    assert out.isascii()
    assert "section 3" in out
    _, out, _ = run(capsys, "demo", "--list", "--ascii")
    assert out.isascii()


def _wait_for(condition) -> None:
    """Until another thread has got there."""
    reached = threading.Event()
    for _ in range(1000):
        if condition():
            return
        reached.wait(0.01)
    raise AssertionError("it did not come")
