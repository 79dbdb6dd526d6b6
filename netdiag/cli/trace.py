"""``netdiag trace``: a TCP traceroute to a port: names the hop that answers, resets or swallows."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from netdiag.cli import Parser, complain
from netdiag.cli.interrupt import interruptible
from netdiag.cli.options import add_no_machine, add_report_options, add_timeout, host_or_address
from netdiag.cli.output import Output, choose_format, layout_for, rendered
from netdiag.cli.status import exit_status
from netdiag.model import Report, TraceHop, UsageError

if TYPE_CHECKING:
    from rich.text import Text

    from netdiag import TraceOptions

_EPILOG = """\
TARGET is HOST, HOST:PORT, an address, [v6]:PORT or a URL; the port defaults to 443. No rights are needed on Linux.
The SYN itself is traced. What lets connections open and cuts them later is found with --hello or --send."""

#: Often enough to seem live.
_DRAWN_PER_SECOND = 8
#: A first flight of any protocol is smaller.
_MAX_PAYLOAD = 65_536


def add_parser(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Declare the arguments."""
    parser = subparsers.add_parser(
        "trace",
        description="A TCP traceroute to a port: names the hop that answers, resets or swallows.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("target", metavar="TARGET", help="the port to trace the way to")
    group = parser.add_argument_group("inside an established connection")
    group.add_argument("--hello", action="store_true", help="send a real TLS ClientHello with growing TTL as well")
    group.add_argument("--sni", type=host_or_address, metavar="NAME", help="... with this server name")
    group.add_argument("--send", metavar="FILE", help="send these bytes with growing TTL as well; - is stdin")
    group = parser.add_argument_group("tracing")
    version = group.add_mutually_exclusive_group()
    version.add_argument("-4", action="store_const", const=4, dest="version", help="only over IPv4")
    version.add_argument("-6", action="store_const", const=6, dest="version", help="only over IPv6")
    group.add_argument("-n", "--numeric", action="store_true", help="do not look the names of routers up")
    group.add_argument(
        "-q", "--queries", type=_number(1, 10), default=1, metavar="N", help="probes for each TTL; more find more paths"
    )
    group.add_argument(
        "-m", "--max-ttl", type=_number(1, 255), default=30, metavar="N", help="go no further (default: 30)"
    )
    group.add_argument(
        "--method",
        choices=("auto", "sockets", "raw"),
        default="auto",
        help="ordinary sockets, or packets made and seen by scapy, which takes rights; auto: sockets where they tell"
        " whose an ICMP error is (Linux), else raw if there is a right to it",
    )
    add_timeout(group)
    add_no_machine(group)
    add_report_options(parser, ticket=True)


def _number(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text[:9]) <= most):
            raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a number from {least} to {most}")
        return int(text)

    return parse


def run(args: argparse.Namespace) -> int:
    """Trace, report, and return the exit status."""
    format_ = choose_format(args.format, args.output)
    if args.sni and not args.hello:
        raise UsageError("--sni names the server in a ClientHello: say --hello too")
    options = _options(args)
    with Output(args.output, format_) as output:
        layout = layout_for(output, args)
        with _live(args) as reached, interruptible() as cancel:
            report = _trace(args.target, options, cancel, reached)
        output.write(rendered(report, format_, layout, args))
    if cancel.is_set():
        complain("interrupted: the report is on what was known by then")
    return exit_status([report], args.fail_on, interrupted=cancel.is_set())


def _trace(
    target: str, options: TraceOptions, cancel: threading.Event, reached: Callable[[TraceHop], None] | None
) -> Report:
    from netdiag import trace_path

    return trace_path(target, options=options, cancel=cancel, reached=reached)


def _options(args: argparse.Namespace) -> TraceOptions:
    from netdiag import TraceOptions

    return TraceOptions(
        hello=args.hello,
        server_name=args.sni or "",
        payload=_payload(args.send) if args.send else b"",
        version=args.version,
        queries=args.queries,
        max_ttl=args.max_ttl,
        numeric=args.numeric,
        method=args.method,
        timeout_s=args.timeout,
        name_machine=args.name_machine,
    )


def _payload(path: str) -> bytes:
    try:
        if path == "-":
            data = sys.stdin.buffer.read(_MAX_PAYLOAD + 1)
        else:
            with Path(path).open("rb") as file:
                data = file.read(_MAX_PAYLOAD + 1)
    except (OSError, ValueError, AttributeError) as error:  # no standard input at all is an AttributeError
        raise UsageError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if not data:
        raise UsageError(f"{path}: it is empty, so there is nothing to send")
    if len(data) > _MAX_PAYLOAD:
        raise UsageError(f"{path}: more than {_MAX_PAYLOAD:,} bytes are not sent")
    return data


@contextlib.contextmanager
def _live(args: argparse.Namespace) -> Iterator[Callable[[TraceHop], None] | None]:
    """Shows hops as they answer, on stderr while that is a terminal; they are gone when the report comes."""
    if args.quiet or sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True, no_color=args.no_color or bool(os.environ.get("NO_COLOR")), highlight=False)
    hops = _Hops()
    # Drawn by a thread of its own, and not for each hop: drawing would delay the next, and so its time.
    with Live(hops, console=console, transient=True, refresh_per_second=_DRAWN_PER_SECOND):
        yield hops.lines.append


class _Hops:
    """The hops so far, as rich draws them."""

    def __init__(self) -> None:
        self.lines: list[TraceHop] = []

    def __rich__(self) -> Text:
        from rich.text import Text

        return Text("\n".join(_line(hop) for hop in tuple(self.lines)))


def _line(hop: TraceHop) -> str:
    times = [f"{reply.rtt_ms:.1f} ms" for reply in hop.replies if reply.rtt_ms is not None]
    said = ", ".join(hop.addresses) or ("*" if hop.answer == "none" else hop.answer)
    return f"{hop.ttl:>3}  {said}  {'  '.join(times)}"
