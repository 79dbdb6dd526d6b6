"""``netdiag tcp``: every address: connected, refused, silent, unreachable, forbidden."""

from __future__ import annotations

import argparse

from netdiag.cli import Parser, diagnose


def add_parser(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Declare the arguments."""
    parser = subparsers.add_parser("tcp", description=__doc__.partition(": ")[2], allow_abbrev=False)
    diagnose.declare(parser)


def run(args: argparse.Namespace) -> int:
    """Diagnose; the exit status."""
    return diagnose.run(args, command="tcp", until="tcp")
