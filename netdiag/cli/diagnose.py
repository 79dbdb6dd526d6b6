"""What ``endpoint`` and the commands of single rungs share: run the ladder against targets, report, judge the end."""

from __future__ import annotations

import argparse
import os
import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from netdiag.cli import complain
from netdiag.cli.interrupt import interruptible
from netdiag.cli.options import PLAIN_FORMATS, add_probe_options, add_report_options, credentials, values
from netdiag.cli.output import Output, choose_format, layout_for
from netdiag.cli.progress import Progress, manner, progress_for, working
from netdiag.cli.status import UNUSABLE, exit_status
from netdiag.cli.targets import Wanted, gather, listing
from netdiag.model import Report, Target, UsageError
from netdiag.report import FORMATS, Format, render
from netdiag.report.layout import Layout

if TYPE_CHECKING:
    from netdiag.session.options import Options, Until

_TARGETS = """\
TARGET is HOST, HOST:PORT, an address, [v6]:PORT or a URL; the port defaults to 443.
@FILE names a file with one target a line (# begins a comment), @- is stdin."""


def declare(parser: argparse.ArgumentParser, *, profiles: bool = False) -> None:
    """The arguments of a command that climbs the ladder."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _TARGETS
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="what to test, or @FILE")
    if profiles:
        group = parser.add_argument_group("profiles")
        group.add_argument(
            "--profile",
            action="append",
            default=[],
            metavar="NAME:REGION",
            help="every address that a service needs: adf:wu2, adf-gov:..., adf-china:..., FILE.toml:REGION",
        )
        group.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            dest="settings",
            help="a value that the profile leaves open, such as factory=NAME (may be repeated)",
        )
        group.add_argument("--list", action="store_true", help="print the targets, and test nothing")
    add_report_options(parser, ticket=True)
    add_probe_options(parser)


def run(args: argparse.Namespace, *, command: str, until: Until) -> int:
    """Test, report, and return the exit status."""
    profiles: list[str] = getattr(args, "profile", [])
    if not args.targets and not profiles:
        raise UsageError(f"{command} needs a TARGET{' or --profile' if hasattr(args, 'profile') else ''}")
    listing_only = getattr(args, "list", False)
    format_ = choose_format(args.format, args.output, FORMATS if not listing_only else (*PLAIN_FORMATS, "ticket"))
    wanted = gather(args.targets, profiles, values(getattr(args, "settings", [])), complain)
    if listing_only:
        return _list(args, wanted, format_)
    if not wanted.targets:
        if not wanted.problems:  # a profile of which every address lacks a value
            complain("there is nothing to test (--list shows what is left out)")
        return UNUSABLE
    if not args.quiet:
        _note_skipped(wanted)
    return _diagnose(args, wanted, format_, command=command, until=until)


def _list(args: argparse.Namespace, wanted: Wanted, format_: Format) -> int:
    with Output(args.output, format_) as output:
        if format_ in ("text", "ticket"):
            output.write(listing(wanted))
        else:
            from netdiag.report import json

            lines = [json.dumps_line(target) for target in wanted.targets]
            output.write("".join(lines) if format_ == "jsonl" else json.dumps(wanted.targets))
    return exit_status((), unusable=bool(wanted.problems))


def _note_skipped(wanted: Wanted) -> None:
    for profile in wanted.profiles:
        if profile.skipped:
            names = dict.fromkeys(name for skipped in profile.skipped for name in skipped.missing)
            complain(
                f"profile {profile.name}: {len(profile.skipped)} addresses are left out, for want of "
                f"--set {', '.join(names)} (--list shows them)"
            )


def _diagnose(args: argparse.Namespace, wanted: Wanted, format_: Format, *, command: str, until: Until) -> int:
    from netdiag.session import diagnose_endpoints

    options = probe_options(args, until=until)

    def find(cancel: threading.Event, progress: Progress) -> Iterator[Report]:
        return diagnose_endpoints(
            wanted.targets,
            options=options,
            command=command,
            cancel=cancel,
            progress=progress.reached,
            processes=os.cpu_count() or 1,
        )

    return carry_out(args, wanted, format_, find)


def probe_options(args: argparse.Namespace, **more: Any) -> Options:
    """What ``add_probe_options`` declared; ``more`` is the command's own."""
    from netdiag.session import Options

    return Options(
        proxy=args.proxy,
        credentials=credentials(args.proxy_user),
        trust=tuple(args.trust or ("system",)),
        resolvers=tuple(args.resolver),
        timeout_s=args.timeout,
        trace=args.trace,
        numeric=args.numeric,
        tap=args.tap,
        capture=args.capture,
        name_machine=args.name_machine,
        **more,
    )


def carry_out(
    args: argparse.Namespace,
    wanted: Wanted,
    format_: Format,
    find: Callable[[threading.Event, Progress], Iterator[Report]],
) -> int:
    """Write what ``find`` reports on the targets, as it comes, and return the exit status."""
    if format_ == "text" and len(wanted.targets) == 1:  # the printer is loaded while the network is waited for
        threading.Thread(target=lambda: import_module("netdiag.report.rungs"), daemon=True).start()
    with Output(args.output, format_) as output:
        progress = progress_for(len(wanted.targets), **manner(args))
        writer = _writer(format_, output, layout_for(output, args), wanted, progress)
        with progress, interruptible() as cancel:
            complete = _collect(find(cancel, progress), writer, progress, cancel)
        with working("writing the report", **manner(args)):
            rest = writer.rest()
        output.write(rest)
    interrupted = cancel.is_set()
    if interrupted:
        complain(f"interrupted: {complete} of {len(wanted.targets)} targets were tested to the end")
    return exit_status(writer.reports, args.fail_on, unusable=bool(wanted.problems), interrupted=interrupted)


def _collect(found: Iterator[Report], writer: Writer, progress: Progress, cancel: threading.Event) -> int:
    """Take the reports as they come; how many were complete. A second Ctrl-C ends it with those that are there."""
    complete = 0
    try:
        for report in found:
            complete += not cancel.is_set()
            progress.finished(report)
            writer.add(report)
    except KeyboardInterrupt:
        cancel.set()
    return complete


class Writer:
    """Writes everything at the end: one report as text or an object, several as an array in the order asked for."""

    def __init__(self, format_: Format, output: Output, layout: Layout, wanted: Wanted, progress: Progress) -> None:
        self.reports: list[Report] = []
        self._format = format_
        self._output = output
        self._layout = layout
        self._wanted = wanted
        self._progress = progress

    def add(self, report: Report) -> None:
        """A report is ready."""
        self.reports.append(report)

    def rest(self) -> str:
        """What is to be written when all reports are here."""
        if not self._wanted.several:
            return "".join(render(report, self._format, self._layout) for report in self.reports)
        order = {_key(target): n for n, target in enumerate(self._wanted.targets)}
        ordered = sorted(self.reports, key=lambda report: order.get(_key(report.target), len(order)))
        one = self._format in ("text", "ticket", "html", "markdown") and len(self._wanted.targets) == 1
        return render(ordered[0] if one and ordered else ordered, self._format, self._layout)


def _key(target: Target) -> tuple[str, str, int, str]:
    return target.scheme, target.host, target.port, target.path


class _Lines(Writer):
    """JSON Lines: each report at once."""

    def add(self, report: Report) -> None:
        self.reports.append(report)
        with self._progress.paused():
            self._output.write(render(report, "jsonl"))

    def rest(self) -> str:
        """Everything is written already."""
        return ""


class _Table(Writer):
    """Text for several: a line for each at once, in the end the count and the details."""

    def add(self, report: Report) -> None:
        from netdiag.report import text

        self.reports.append(report)
        column = text.column_width([target.authority for target in self._wanted.targets], self._layout)
        with self._progress.paused():
            self._output.write(text.compact(report, self._layout, column))

    def rest(self) -> str:
        from netdiag.report import text

        return text.tail(self.reports, self._layout)


def _writer(format_: Format, output: Output, layout: Layout, wanted: Wanted, progress: Progress) -> Writer:
    kind: type[Writer] = Writer
    if format_ == "jsonl":
        kind = _Lines
    elif format_ == "text" and len(wanted.targets) > 1:
        kind = _Table
    return kind(format_, output, layout, wanted, progress)
