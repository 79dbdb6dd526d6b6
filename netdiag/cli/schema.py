"""``netdiag schema``: the JSON Schema (draft 2020-12) of one report, or of an incident."""

from __future__ import annotations

import argparse

from netdiag.cli import Parser
from netdiag.cli.options import add_output_options
from netdiag.cli.output import Output


def add_parser(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Declare the arguments."""
    parser = subparsers.add_parser("schema", description=__doc__.partition(": ")[2], allow_abbrev=False)
    parser.add_argument("what", nargs="?", choices=("report", "incident"), default="report", help="default: report")
    add_output_options(parser, formats=("json",))


def run(args: argparse.Namespace) -> int:
    """Print it."""
    from netdiag.report import json

    with Output(args.output, "json") as output:
        output.write(json.dumps(json.incident_schema() if args.what == "incident" else json.schema()))
    return 0
