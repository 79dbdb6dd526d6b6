"""``netdiag demo``: every scene of the embedded world, diagnosed for real and compared with the right verdict.

Contract: exit status 0 when netdiag said what it should in every scene, 1 when not. stdout has a line for each scene,
or the report of the one that was named; progress goes to stderr, and only to a terminal.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import textwrap
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from netdiag.cli import Parser
from netdiag.cli.options import REPORT_FORMATS, add_console_options
from netdiag.cli.output import SUFFIX, Output, layout_for, rendered, speaks_unicode
from netdiag.cli.progress import manner, progress_for
from netdiag.model import Report, UsageError
from netdiag.report import Format
from netdiag.report.escape import escape, to_ascii

if TYPE_CHECKING:  # the world and rich are loaded by ``run`` only: other commands should not pay for them
    from netdiag.world.scenes import Expectation, Scene

#: Scenes under way at once. Most of a scene is waiting, the rest is cryptography.
AT_ONCE = 8

#: The widest names and ids, so that a line stays within 80 columns.
_NAME_WIDTH = 25
_STATUS_WIDTH = 8
_FINDING_WIDTH = 31


def add_parser(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Add the command and its options."""
    parser = subparsers.add_parser(
        "demo",
        description="Diagnose small networks, healthy and broken, that netdiag builds on loopback: a DNS server, a"
        " certificate authority, front ends, proxies. Needs neither the Internet nor special rights. Prints each"
        " scene with the expected and the found verdict; exits with 1 if one differs.",
        allow_abbrev=False,
    )
    parser.add_argument("scene", nargs="?", metavar="SCENE", help="run this scene only, and print its whole report")
    parser.add_argument("--list", action="store_true", help="list the scenes and what is broken in each")
    parser.add_argument("--format", choices=REPORT_FORMATS, help="format of the report (default: text)")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="also write each scene's report to DIR, as SCENE.json unless --format says otherwise",
    )
    add_console_options(parser)


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit status. Raises ``UsageError``."""
    from netdiag.world.scenes import SCENES

    if args.list:
        _list(SCENES, args)
        return 0
    scenes = [scene for scene in SCENES if args.scene in (None, scene.name)]
    if not scenes:
        raise UsageError(f"{args.scene!r} is no scene; netdiag demo --list lists them")
    form: Format = args.format or "text"
    whole = args.scene is not None or form != "text"
    lines = sys.stderr if whole else sys.stdout
    wrong = 0
    reports: list[Report] = []
    if args.output:
        _make_folder(args.output)
    if not whole:
        _write_lines(
            [f"  {'scene':<{_NAME_WIDTH}} {'expected':<{_STATUS_WIDTH + 1 + _FINDING_WIDTH}}  found"], lines, args
        )
    with progress_for(len(scenes), **manner(args)) as progress, contextlib.closing(_played(scenes)) as played:
        for scene, report, said in played:
            reports.append(report)
            wrong += bool(said)
            if args.output:
                _write(args.output, scene.name, report, args.format or "json")
            progress.advanced("scenes")
            if said or not whole:
                with progress.paused():
                    _write_lines(_lines(scene, report, said), lines, args)
    if whole:
        _print_reports(reports, args, form)
    else:
        right = len(scenes) - wrong
        print(f"{right} of {len(scenes)} scenes as expected" + (f", {wrong} not" if wrong else ""))  # noqa: T201 - the result
    return 1 if wrong else 0


def _played(scenes: Iterable[Scene]) -> Generator[tuple[Scene, Report, tuple[str, ...]], None, None]:
    """Each scene with its report and what is wrong with that; in the order given, several at once."""
    from netdiag.world.play import differences, play

    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="scene") as pool:
        running = [(scene, pool.submit(play, scene)) for scene in scenes]
        try:
            for scene, future in running:
                report = future.result()
                yield scene, report, differences(scene, report)
        finally:
            pool.shutdown(cancel_futures=True)


def _lines(scene: Scene, report: Report, said: tuple[str, ...]) -> list[str]:
    """One line when the verdict is right; the differences below it when not."""
    head = f"{'✗' if said else '✓'} {_row(scene.name, scene.expect)}"
    if not said:
        return [f"{head}  the same"]
    verdict = report.verdict
    return [head.rstrip(), *(f"    {escape(line)}" for line in (*said, verdict.summary))]


def _row(name: str, expect: Expectation) -> str:
    finding = expect.finding or "-"
    return f"{name:<{_NAME_WIDTH}} {expect.status:<{_STATUS_WIDTH}} {finding:<{_FINDING_WIDTH}}"


def _list(scenes: Iterable[Scene], args: argparse.Namespace) -> None:
    for scene in scenes:
        text = textwrap.fill(scene.story, 80, initial_indent="    ", subsequent_indent="    ")
        _write_lines([_row(scene.name, scene.expect).rstrip(), text], sys.stdout, args)


def _print_reports(reports: list[Report], args: argparse.Namespace, form: Format) -> None:
    with Output(None, form) as output:
        output.write(rendered(reports[0] if args.scene else reports, form, layout_for(output, args), args))


def _write_lines(text: list[str], out: TextIO, args: argparse.Namespace) -> None:
    plain = args.ascii or not speaks_unicode(out)
    for line in text:
        print(to_ascii(line.translate(_PLAIN)) if plain else line, file=out, flush=True)


#: Marks where the output cannot carry them.
_PLAIN = str.maketrans("✓✗", "+x")


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write reports to {path}: {error.strerror or error}") from None


def _write(folder: Path, name: str, report: Report, form: Format) -> None:
    from netdiag.report import render

    path = folder / f"{name}{SUFFIX[form]}"
    try:
        path.write_text(render(report, form), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from None
