"""How far a run has come, on stderr, while it is a terminal: a spinner with the rung, or a bar for several targets."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self

from netdiag.model import Report, Rung, Target
from netdiag.report.escape import escape, to_ascii

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

_DOING: dict[Rung, str] = {
    "machine": "looking at this machine",
    "dns": "looking the name up",
    "tcp": "connecting",
    "proxy": "asking the proxy",
    "tls": "shaking hands (TLS)",
    "chain": "verifying the certificates",
    "https": "fetching",
}


class Progress:
    """Shows nothing: what a pipe, a file or --quiet gets."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def reached(self, target: Target, rung: Rung) -> None:
        """A target has reached a rung. Called from several threads."""

    def finished(self, report: Report) -> None:
        """A target is done."""

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """While something else is written to the same terminal."""
        yield


class TerminalProgress(Progress):
    """A live line on stderr that leaves no trace."""

    def __init__(self, total: int, *, color: bool, unicode: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._unicode = unicode
        self._total = total
        self._not_healthy = 0
        self._lock = threading.Lock()
        console = Console(stderr=True, no_color=not color, highlight=False, emoji=False)
        words = TextColumn("{task.description}", markup=False)
        spinner = SpinnerColumn("dots" if unicode else "line")
        rate = TextColumn("{task.fields[rate]}", markup=False)
        columns = (
            (spinner, words) if total == 1 else (words, BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn())
        )
        self._bar: RichProgress = RichProgress(*columns, console=console, transient=True, redirect_stdout=False)
        self._task = self._bar.add_task("starting", total=total, rate="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def reached(self, target: Target, rung: Rung) -> None:
        """Show the rung of the only target."""
        if self._total == 1:
            self._describe(f"{escape(target.authority, 60)}: {_DOING[rung]}")

    def finished(self, report: Report) -> None:
        """Move the bar on."""
        with self._lock:
            self._not_healthy += report.verdict.status != "healthy"
            task = self._bar.tasks[0]
            speed = f"{task.speed:.1f}/s" if task.speed else ""
            self._bar.update(self._task, advance=1, rate=speed)
            if self._total > 1:
                self._describe(f"{self._not_healthy} not healthy" if self._not_healthy else "all healthy so far")

    def _describe(self, words: str) -> None:
        self._bar.update(self._task, description=words if self._unicode else to_ascii(words))

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Take the bar off the screen for a moment."""
        self._bar.stop()
        try:
            yield
        finally:
            self._bar.start()


def progress_for(total: int, *, quiet: bool, color: bool) -> Progress:
    """The right kind for stderr as it is."""
    from netdiag.cli.output import speaks_unicode

    if quiet or sys.stderr is None or not sys.stderr.isatty():
        return Progress()
    return TerminalProgress(total, color=color, unicode=speaks_unicode(sys.stderr))
