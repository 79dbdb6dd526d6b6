"""Where a report goes: stdout or a file, in which format, how wide and with which characters.

Contract: a file is complete or untouched. That it can be written is found out before anything is probed.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self, TextIO

import msgspec

from netdiag.cli import silence_stdout
from netdiag.model import Incident, Report, UsageError
from netdiag.report import FORMATS, Format
from netdiag.report.layout import Layout

if TYPE_CHECKING:
    from netdiag.session.files import WholeFile

_SUFFIXES: dict[str, Format] = {
    ".txt": "text",
    ".log": "text",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".html": "html",
    ".htm": "html",
    ".md": "markdown",
    ".markdown": "markdown",
}

#: What files of each format end in.
SUFFIX: dict[Format, str] = {form: suffix for suffix, form in reversed(_SUFFIXES.items())} | {"ticket": ".txt"}

#: Longer lines are hard to read.
_MAX_WIDTH = 100


def choose_format(asked: str | None, output: str | None, known: Sequence[Format] = FORMATS) -> Format:
    """What --format says, else what the suffix of --output says, else text. Raises ``UsageError``."""
    suffix = Path(output).suffix.lower() if output and output != "-" else ""
    found = next((form for form in FORMATS if form == asked), None) or _SUFFIXES.get(suffix, "text")
    if asked and found not in known:
        raise UsageError(f"--format {asked}: here it is one of {', '.join(known)}")
    if asked is None and ((suffix and suffix not in _SUFFIXES) or found not in known):
        takes = ", ".join(end for end, form in _SUFFIXES.items() if form in known)
        raise UsageError(f"{output}: no format has the suffix {suffix} (say --format, or end in {takes})")
    return found


class Output:
    """A context in which ``write`` may be called any number of times. Leaving it by an exception leaves no file."""

    def __init__(self, path: str | None, format: Format) -> None:  # noqa: A002 - the option's name
        self._whole: WholeFile | None = None
        if path and path != "-":
            from netdiag.session.files import WholeFile

            self._whole = WholeFile(path)
        self._text = format in ("text", "ticket")
        self._file: IO[bytes] | None = None
        self._broken = False

    @property
    def is_stdout(self) -> bool:
        """Whether it goes to stdout."""
        return self._whole is None

    def __enter__(self) -> Self:
        if self._whole is not None:
            self._file = self._whole.__enter__()
        return self

    def write(self, text: str) -> None:
        """Write and, on stdout, show at once. A reader who has gone away is no error."""
        if self._whole is not None and self._file is not None:
            try:
                self._file.write(text.encode("utf-8", "backslashreplace"))
            except OSError as error:
                raise self._whole.unwritable(error) from None
        elif not self._broken:
            self._write_stdout(text)

    def _write_stdout(self, text: str) -> None:
        buffer = getattr(sys.stdout, "buffer", None)
        try:
            if self._text or buffer is None:
                encoding = sys.stdout.encoding or "utf-8"
                sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
            else:
                buffer.write(text.encode("utf-8"))  # JSON is UTF-8, whatever the console is (RFC 8259 §8.1)
            sys.stdout.flush()
        except BrokenPipeError:
            self._broken = True
            silence_stdout()
        except OSError as error:
            silence_stdout()
            raise UsageError(f"stdout: cannot be written: {error.strerror or error}") from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._whole is not None:
            self._whole.__exit__(kind, error, trace)


def layout_for(output: Output, args: argparse.Namespace) -> Layout:
    """How text is to look there: colours and the terminal's width on a terminal only."""
    plain = Layout(
        verbose=bool(getattr(args, "verbose", False)),
        quiet=bool(getattr(args, "quiet", False)),
        unicode=not args.ascii,
    )
    if not output.is_stdout:
        return plain
    terminal = sys.stdout.isatty()
    width = 80
    if terminal:
        with contextlib.suppress(OSError, ValueError):
            width = min(os.get_terminal_size(sys.stdout.fileno()).columns or 80, _MAX_WIDTH)
    color = terminal and not args.no_color and _colours_allowed()
    return msgspec.structs.replace(
        plain, width=width, color=color, unicode=plain.unicode and speaks_unicode(sys.stdout)
    )


def rendered(
    reports: Report | Incident | Sequence[Report], format_: Format, layout: Layout, args: argparse.Namespace
) -> str:
    """The reports in that format; a bar shows where that takes long."""
    from netdiag.cli.progress import manner, working
    from netdiag.report import render

    with working("writing the report", **manner(args)):
        return render(reports, format_, layout)


def speaks_unicode(stream: TextIO) -> bool:
    """Whether the stream's encoding holds the symbols that reports use."""
    try:
        "✓✗⚠–│─…→".encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _colours_allowed() -> bool:
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":  # no-color.org: any value that is not empty
        return False
    if sys.platform == "win32":
        from rich.console import detect_legacy_windows

        return not detect_legacy_windows()
    return True
