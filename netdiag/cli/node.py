"""``netdiag node``: another node of an integration runtime: its name, port, net.tcp, TLS and certificate."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from netdiag.cli import Parser, complain, diagnose
from netdiag.cli.options import add_probe_options, add_report_options
from netdiag.cli.output import Output, choose_format, layout_for, rendered
from netdiag.cli.saved_files import content, label_and_file
from netdiag.cli.status import UNUSABLE, exit_status
from netdiag.cli.targets import gather
from netdiag.model import LabelledReport, Report, Target, UsageError
from netdiag.report import Format

if TYPE_CHECKING:
    from netdiag.cli.progress import Progress

_EPILOG = """\
HOST is a name as the nodes call each other, or an address, with :PORT (default: 8060), or net.tcp://HOST:PORT/PATH.
@FILE names a file with one a line (# begins a comment), @- is stdin. net.tcp uses no proxy; --proxy is for what the
node's certificate names. No credentials are sent.

Who reaches whom: run "netdiag node HOST... -o NAME.json" on each node against the others, bring the files together, and
give them to --from-json. Nothing is tested then; HOSTs are the nodes that the matrix is about (default: all in it)."""


def add_parser(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Declare the arguments."""
    parser = subparsers.add_parser(
        "node",
        description=__doc__.partition(": ")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("targets", nargs="*", metavar="HOST", help="the other node, or several, or @FILE")
    group = parser.add_argument_group("several nodes")
    group.add_argument(
        "--from-json",
        nargs="+",
        action="extend",
        default=[],
        metavar="[NAME=]FILE",
        help="who reaches whom, by the JSON that netdiag node wrote on each (NAME: where it was, if it does not tell)",
    )
    group = parser.add_argument_group("certificate")
    group.add_argument("--no-fetch", action="store_true", help="retrieve nothing that the certificate names")
    group.add_argument("--no-cache", action="store_true", help="neither use nor keep what earlier runs fetched")
    add_report_options(parser, ticket=True)
    add_probe_options(parser)


def run(args: argparse.Namespace) -> int:
    """Test, or put reports together; the exit status."""
    from netdiag import parse_node

    if not args.targets and not args.from_json:
        raise UsageError("node needs a HOST or --from-json")
    format_ = choose_format(args.format, args.output)
    wanted = gather(args.targets, (), {}, complain, parse_node)
    if args.targets and not wanted.targets:
        return UNUSABLE
    if args.from_json:
        return _matrix(args, wanted.targets, format_, unusable=bool(wanted.problems))
    options = diagnose.probe_options(args, until="chain", fetch=not args.no_fetch, cache=not args.no_cache)

    def find(cancel: threading.Event, progress: Progress) -> Iterator[Report]:
        from netdiag import diagnose_nodes

        return diagnose_nodes(wanted.targets, options=options, cancel=cancel, progress=progress.reached)

    return diagnose.carry_out(args, wanted, format_, find)


def _matrix(args: argparse.Namespace, nodes: tuple[Target, ...], format_: Format, *, unusable: bool) -> int:
    from netdiag import node_matrix

    if args.from_json.count("-") > 1:
        raise UsageError("stdin (-) can be read only once")
    reports: list[LabelledReport] = []
    for source in args.from_json:
        try:
            reports += _saved(source)
        except UsageError as error:
            complain(str(error))
            unusable = True
    if not reports:
        return UNUSABLE
    with Output(args.output, format_) as output:
        report = node_matrix(reports, nodes)
        output.write(rendered(report, format_, layout_for(output, args), args))
    return exit_status([report], args.fail_on, unusable=unusable)


def _saved(source: str) -> list[LabelledReport]:
    """The reports in [NAME=]FILE, called by that name. Raises ``UsageError``, also for what is damaged."""
    import msgspec

    from netdiag.report.saved import read_saved

    label, file = label_and_file(source)
    saved = read_saved(content(file), name="stdin" if file == "-" else file)
    if saved.problems:
        raise UsageError(saved.problems[0])
    return [msgspec.structs.replace(one, label=label) for one in saved.reports]
