"""``netdiag endpoint``: the whole ladder and a verdict: DNS, TCP, proxy, TLS, chain, HTTPS."""

from __future__ import annotations

import argparse

from netdiag.cli import Parser, diagnose


def add_parser(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Declare the arguments."""
    parser = subparsers.add_parser("endpoint", description=__doc__.partition(": ")[2], allow_abbrev=False)
    diagnose.declare(parser, profiles=True)


def run(args: argparse.Namespace) -> int:
    """Diagnose; the exit status."""
    return diagnose.run(args, command="endpoint", until="https")
