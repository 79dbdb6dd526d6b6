"""How far a run has come, on stderr, while that is a terminal: a bar with the rate and the time left, or a spinner.

Contract: nothing is shown on what is no terminal, and nothing with --quiet. What is shown is gone when the work is
done, whichever way it ended, and while something else is written to the same terminal (``paused``). What ends within
``PATIENCE_S`` shows nothing, but for runs against the network, of which one never knows how long they take.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Self, TypedDict

from netdiag.model import Report, Rung, Target
from netdiag.report.escape import escape, to_ascii

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import ProgressColumn

#: Nobody wonders sooner what takes so long.
PATIENCE_S = 1.0

#: How far back a rate looks.
_MEMORY_S = 600.0
#: Cells of a bar that has words beside it.
_WIDTH = 16

_DOING: dict[Rung, str] = {
    "machine": "looking at this machine",
    "dns": "looking the name up",
    "tcp": "connecting",
    "proxy": "asking the proxy",
    "node": "talking net.tcp",
    "tls": "shaking hands (TLS)",
    "chain": "verifying the certificates",
    "https": "fetching",
}


class Manner(TypedDict):
    """Whether and how progress is to be shown."""

    quiet: bool
    color: bool


def manner(args: argparse.Namespace) -> Manner:
    """What the command's options say of it."""
    color = not args.no_color and not os.environ.get("NO_COLOR")
    return {"quiet": bool(getattr(args, "quiet", False)), "color": color}


def _watched(quiet: bool) -> bool:
    """Whether anybody looks."""
    return not quiet and sys.stderr is not None and sys.stderr.isatty()


def _bar(*columns: ProgressColumn, color: bool) -> RichProgress:
    """A live line on stderr that leaves no trace."""
    from rich.console import Console
    from rich.progress import Progress as RichProgress

    console = Console(stderr=True, no_color=not color, highlight=False, emoji=False)
    # Steps may take seconds each: a rate over rich's half minute would be one of two or three of them.
    return RichProgress(
        *columns, console=console, transient=True, redirect_stdout=False, speed_estimate_period=_MEMORY_S
    )


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

    def advanced(self, words: str) -> None:
        """One of several things is done."""

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """While something else is written to the same terminal."""
        yield


class TerminalProgress(Progress):
    """A live line on stderr that leaves no trace."""

    def __init__(self, total: int, *, color: bool, unicode: bool) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._unicode = unicode
        self._total = total
        self._not_healthy = 0
        self._lock = threading.Lock()
        words = TextColumn("{task.description}", markup=False)
        spinner = SpinnerColumn("dots" if unicode else "line")
        rate = TextColumn("{task.fields[rate]}", markup=False)
        self._bar: RichProgress = (
            _bar(spinner, words, TimeElapsedColumn(), color=color)
            if total == 1
            else _bar(words, BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn(), color=color)
        )
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
            words = f"{self._not_healthy} not healthy" if self._not_healthy else "all healthy so far"
        self.advanced(words)

    def advanced(self, words: str) -> None:
        """Move the bar on."""
        with self._lock:
            speed = self._bar.tasks[0].speed
            self._bar.update(self._task, advance=1, rate=f"{speed:.1f}/s" if speed else "")
            if self._total > 1:
                self._describe(words)

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

    if not _watched(quiet):
        return Progress()
    return TerminalProgress(total, color=color, unicode=speaks_unicode(sys.stderr))


class ReadingProgress:
    """Called while a file is read: ``progress(bytes read, bytes in all or None, packets or lines)``. Shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __call__(self, done: int, total: int | None, packets: int) -> None:
        """So far."""


class TerminalReadingProgress(ReadingProgress):
    """A bar on stderr with the rate and the time left, for what takes longer than ``PATIENCE_S``."""

    def __init__(self, *, color: bool, unit: str = "packets") -> None:
        self._color = color
        self._unit = unit
        self._started = time.monotonic()
        self._before = 0
        self._bar: RichProgress | None = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def __call__(self, done: int, total: int | None, packets: int) -> None:
        """Show it, once somebody may wonder. What is read again, or beside it, begins anew."""
        if done < self._before:
            self.__exit__(None, None, None)
            self._started = time.monotonic()
        self._before = done
        took = time.monotonic() - self._started
        if took < PATIENCE_S:
            return
        if self._bar is None:
            self._bar = _reading_bar(self._color, sized=total is not None)
        rate = f"{packets / max(took, 0.001):,.0f} {self._unit}/s, {done / 1e6 / max(took, 0.001):,.0f} MB/s"
        said = "judging them" if total is not None and done >= total else rate
        self._bar.update(self._bar.task_ids[0], completed=done, total=total, rate=f"{packets:,} {self._unit}, {said}")


def _reading_bar(color: bool, *, sized: bool) -> RichProgress:
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    rate = TextColumn("{task.fields[rate]}", markup=False)
    bar = BarColumn(bar_width=_WIDTH)
    columns = (bar, TaskProgressColumn(), rate, TimeRemainingColumn()) if sized else (bar, rate, TimeElapsedColumn())
    progress = _bar(*columns, color=color)
    progress.add_task("reading", total=None, rate="")
    progress.start()
    return progress


def reading_progress(*, quiet: bool, color: bool, unit: str = "packets") -> ReadingProgress:
    """The right kind for stderr as it is."""
    if not _watched(quiet):
        return ReadingProgress()
    return TerminalReadingProgress(color=color, unit=unit)


class StepProgress:
    """Called with each step: ``progress(what is done, how many are done, of how many)``. Shows nothing.

    Of 0 means that nobody knows how many there will be.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def __call__(self, words: str, done: int, total: int) -> None:
        """So far."""


class TerminalStepProgress(StepProgress):
    """A bar on stderr, ``PATIENCE_S`` after the first step: the second may be long in coming."""

    def __init__(self, *, color: bool, unicode: bool) -> None:
        self._color = color
        self._unicode = unicode
        self._lock = threading.Lock()
        self._so_far = ("", 0, 0)
        self._timer: threading.Timer | None = None
        self._bar: RichProgress | None = None
        self._over = False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._over = True
            if self._timer is not None:
                self._timer.cancel()
            self._timer = None
            if self._bar is not None:
                self._bar.stop()

    def __call__(self, words: str, done: int, total: int) -> None:
        """Show it, once somebody may wonder."""
        with self._lock:
            if self._over:  # a thread that was left behind
                return
            self._so_far = (words, done, total)
            if self._bar is not None:
                self._update()
            elif self._timer is None:
                self._timer = threading.Timer(PATIENCE_S, self._show)
                self._timer.daemon = True
                self._timer.start()

    def _show(self) -> None:
        with self._lock:
            if self._timer is not None:  # else it is over
                self._bar = _step_bar(self._color)
                self._update()

    def _update(self) -> None:
        assert self._bar is not None
        words, done, total = self._so_far
        said = escape(words, 60)
        said = said if self._unicode else to_ascii(said)
        speed = self._bar.tasks[0].speed
        told = f"{done:,}/{total:,}" + (f", {_rate(speed)}" if speed else "") if total else ""
        self._bar.update(self._bar.task_ids[0], description=said, completed=done, total=total or None, told=told)


def _rate(speed: float) -> str:
    """``12/s``, or ``4 s each`` for what takes long."""
    if speed >= 1:
        return f"{speed:,.0f}/s" if speed >= 10 else f"{speed:.1f}/s"
    return f"{1 / speed:.0f} s each"


def _step_bar(color: bool) -> RichProgress:
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    words = TextColumn("{task.description}", markup=False)
    told = TextColumn("{task.fields[told]}", markup=False)
    bar = _bar(words, BarColumn(bar_width=_WIDTH), told, TimeElapsedColumn(), TimeRemainingColumn(), color=color)
    bar.add_task("", total=None, told="")
    bar.start()
    return bar


@contextlib.contextmanager
def working(words: str, *, quiet: bool, color: bool) -> Iterator[None]:
    """While something is done of which only the end is known."""
    with step_progress(quiet=quiet, color=color) as progress:
        progress(words, 0, 0)
        yield


def step_progress(*, quiet: bool, color: bool) -> StepProgress:
    """The right kind for stderr as it is."""
    from netdiag.cli.output import speaks_unicode

    if not _watched(quiet):
        return StepProgress()
    return TerminalStepProgress(color=color, unicode=speaks_unicode(sys.stderr))
