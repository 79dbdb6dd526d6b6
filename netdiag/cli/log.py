"""``netdiag log``: event logs, log files and pasted error texts: known issues, who must do what, what to probe next."""

from __future__ import annotations

import argparse

from netdiag.cli import Parser, complain
from netdiag.cli.interrupt import interruptible
from netdiag.cli.options import add_network_options, add_report_options, credentials
from netdiag.cli.output import Output, choose_format, layout_for, rendered
from netdiag.cli.progress import manner, reading_progress, step_progress
from netdiag.cli.status import exit_status
from netdiag.model import Incident, Report, UsageError

_EPILOG = """\
FILE is a text or log file, an export of Event Viewer (.xml, .csv, text), a Windows event log (.evtx), or the JSON of an
activity's error, compressed by gzip or not, whatever its name; - is stdin, for text that is pasted. Several files make
one report."""


def add_parser(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Declare the arguments."""
    parser = subparsers.add_parser(
        "log",
        description=__doc__.partition(": ")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("targets", nargs="+", metavar="FILE", help="what to read")
    group = add_network_options(parser, "what to do then")
    group.add_argument("--run", action="store_true", help="run what the findings lead to; one incident of all")
    add_report_options(parser)


def run(args: argparse.Namespace) -> int:
    """Read, probe when asked to, report on all of it, and return the exit status."""
    from netdiag import merge_reports

    format_ = choose_format(args.format, args.output)
    if args.targets.count("-") > 1:
        raise UsageError("stdin (-) can be read only once")
    with Output(args.output, format_) as output:
        report, interrupted = _read(args)
        found: Report | Incident = report
        if args.run and not interrupted:
            more, interrupted = _probe(args, report)
            if more:
                found = merge_reports([report, *more])
            elif not interrupted and not args.quiet:
                complain("--run: no finding leads to a probe")
        output.write(rendered(found, format_, layout_for(output, args), args))
    if interrupted:
        complain("interrupted: the report is on what was known by then")
    return exit_status([found], args.fail_on, interrupted=interrupted)


def _read(args: argparse.Namespace) -> tuple[Report, bool]:
    """Read with a progress bar; whether Ctrl-C ended it early."""
    from netdiag import read_log

    with reading_progress(**manner(args), unit="lines") as progress, interruptible() as cancel:
        report = read_log(args.targets, progress=progress, cancel=cancel)
    return report, cancel.is_set()


def _probe(args: argparse.Namespace, report: Report) -> tuple[list[Report], bool]:
    """The reports of what the findings lead to; whether Ctrl-C ended it early."""
    from netdiag import Options, run_next

    options = Options(proxy=args.proxy, credentials=credentials(args.proxy_user), timeout_s=args.timeout)
    with step_progress(**manner(args)) as progress, interruptible() as cancel:
        reports = list(run_next(report, options=options, cancel=cancel, progress=progress))
    return reports, cancel.is_set()
