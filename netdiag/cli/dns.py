"""``netdiag dns``: what the system and each name server answer."""

from __future__ import annotations

import argparse

from netdiag.cli import Parser, diagnose


def add_parser(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Declare the arguments."""
    parser = subparsers.add_parser("dns", description=__doc__.partition(": ")[2], allow_abbrev=False)
    diagnose.declare(parser)


def run(args: argparse.Namespace) -> int:
    """Diagnose; the exit status."""
    return diagnose.run(args, command="dns", until="dns")
