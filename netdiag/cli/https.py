"""``netdiag https``: the fetch as an application makes it, and every rung below it."""

from __future__ import annotations

import argparse

from netdiag.cli import Parser, diagnose


def add_parser(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Declare the arguments."""
    parser = subparsers.add_parser("https", description=__doc__.partition(": ")[2], allow_abbrev=False)
    diagnose.declare(parser)


def run(args: argparse.Namespace) -> int:
    """Diagnose; the exit status."""
    return diagnose.run(args, command="https", until="https")
