"""``netdiag pcap``: conversations, handshakes, losses, resets and who sent them, read from capture files."""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any

import msgspec

from netdiag.cli import Parser, complain
from netdiag.cli.imports import load_numpy
from netdiag.cli.interrupt import interruptible
from netdiag.cli.options import add_report_options, host_or_address
from netdiag.cli.output import Output, choose_format, layout_for, rendered
from netdiag.cli.progress import manner, reading_progress, step_progress
from netdiag.cli.status import exit_status
from netdiag.model import UsageError
from netdiag.report import Format

if TYPE_CHECKING:
    from netdiag import CaptureAnalysis, CaptureOptions
    from netdiag.session.files import WholeFile

_EPILOG = """\
FILE is a pcap, pcapng, Network Monitor (.cap) or Windows trace (.etl) file, compressed or not; - is stdin.
FROM and TO are ISO times (UTC), times of the capture's day (15:06:40), or +SECONDS after the first packet."""

_MOST_LISTED = 1000
#: A browser sorts as many at once; a report of them takes some 10 MB.
_MOST_ROWS = 100_000


def add_parser(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Declare the arguments."""
    parser = subparsers.add_parser(
        "pcap",
        description=__doc__.partition(": ")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("targets", nargs="+", metavar="FILE", help="what to read; one report on all of them")
    group = parser.add_argument_group("what to look at")
    group.add_argument(
        "--host",
        type=host_or_address,
        action="append",
        default=[],
        metavar="HOST",
        help="this address or name, at either end",
    )
    group.add_argument("--port", type=_number(1, 65535), action="append", default=[], metavar="N", help="this port")
    group.add_argument("--time", metavar="FROM..TO", help="only what was captured then; either end may be left out")
    group.add_argument(
        "--conversation",
        type=_number(0, 2**32 - 1),
        action="append",
        default=[],
        metavar="N",
        help="draw this conversation, packet by packet (--host, --port, --conversation may be repeated)",
    )
    group.add_argument("--resets", action="store_true", help="list every reset, and how far away it came from")
    group.add_argument(
        "--top",
        type=_number(1, _MOST_LISTED),
        default=10,
        metavar="N",
        help="how many servers and conversations to list (default: 10)",
    )
    group.add_argument(
        "--table",
        type=_number(0, _MOST_ROWS),
        metavar="N",
        help="a table of up to N connections in an HTML or JSON report, those with a fault first "
        f"(default: {_MOST_ROWS:,} in HTML, none in JSON)",
    )
    group.add_argument("--other", metavar="FILE", help="a capture of the same traffic taken elsewhere, to compare")
    group.add_argument("--flows", metavar="FILE", help="write every connection to a .csv, .jsonl or .parquet file")
    group.add_argument(
        "--trust",
        action="append",
        metavar="STORE",
        help="verify captured certificates with certifi, system, or a FILE or DIR, instead of certifi and system",
    )
    add_report_options(parser, ticket=True)


def run(args: argparse.Namespace) -> int:
    """Read, report, and return the exit status."""
    format_ = choose_format(args.format, args.output)
    form = flows = None
    if args.flows:
        from netdiag import flow_format
        from netdiag.session.files import WholeFile

        form, flows = flow_format(args.flows), WholeFile(args.flows)
    options = _options(args, format_)
    files = [*args.targets, *([args.other] if args.other else [])]
    if files.count("-") > 1:
        raise UsageError("stdin (-) can be read only once")
    with Output(args.output, format_) as output, flows or contextlib.nullcontext() as rows:
        layout = msgspec.structs.replace(
            layout_for(output, args), top=args.top, resets=args.resets, conversations=tuple(args.conversation)
        )
        analysis, interrupted = _analyze(args, options)
        output.write(rendered(analysis.report, format_, layout, args))
        if flows is not None and rows is not None and form is not None:
            _write_flows(args, analysis, flows, rows, form)
    if interrupted:
        complain("interrupted: the report is on what had been read")
    return exit_status([analysis.report], args.fail_on, interrupted=interrupted)


def _analyze(args: argparse.Namespace, options: CaptureOptions) -> tuple[CaptureAnalysis, bool]:
    """Read with a progress bar; whether Ctrl-C ended it early."""
    load_numpy()
    # Three threads share the interpreter: whoever has packets must not wait 5 ms each time for one that imports.
    sys.setswitchinterval(0.0005)
    from netdiag import analyze_capture

    more: dict[str, Any] = {"other": args.other} if args.other else {}
    more |= {"trust": tuple(args.trust)} if args.trust else {}
    with reading_progress(**manner(args)) as progress, interruptible() as cancel:
        try:
            analysis = analyze_capture(args.targets, options, progress=progress, cancel=cancel, fork=True, **more)
        except UsageError:
            if cancel.is_set():  # so little had come that it is no capture yet
                raise KeyboardInterrupt from None
            raise
    return analysis, cancel.is_set()


def _write_flows(
    args: argparse.Namespace, analysis: CaptureAnalysis, whole: WholeFile, file: IO[bytes], form: Any
) -> None:
    from netdiag import write_flows

    total = len(analysis.connections)
    try:
        with step_progress(**manner(args)) as progress:
            progress("writing connections", 0, total)
            write_flows(
                analysis.connections, file, form, progress=lambda done: progress("writing connections", done, total)
            )
    except OSError as error:
        raise whole.unwritable(error) from None


def _options(args: argparse.Namespace, format_: Format) -> CaptureOptions:
    from netdiag import CaptureOptions

    if args.table is not None and format_ not in ("html", "json", "jsonl"):
        raise UsageError(f"--table: a {format_} report has no table of all connections (html and json have)")
    rows = args.table if args.table is not None else _MOST_ROWS if format_ == "html" else 0
    options = CaptureOptions(
        hosts=tuple(args.host),
        ports=tuple(args.port),
        conversations=tuple(dict.fromkeys(args.conversation)),
        resets=args.resets,
        listed=rows,
    )
    if args.time is None:
        return options
    from netdiag.cli.times import parse_range

    asked = parse_range(args.time)
    return msgspec.structs.replace(
        options,
        since_ns=asked.since,
        until_ns=asked.until,
        relative=asked.kind == "relative",
        of_day=asked.kind == "of-day",
    )


def _number(low: int, high: int) -> Callable[[str], int]:
    """A number within limits, for argparse."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,10}", text) or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a number from {low} to {high}")
        return int(text)

    return parse
