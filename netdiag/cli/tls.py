"""``netdiag tls``: TLS handshakes, the presented chain, and whether it is trusted."""

from __future__ import annotations

import argparse

from netdiag.cli import Parser, diagnose


def add_parser(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Declare the arguments."""
    parser = subparsers.add_parser("tls", description=__doc__.partition(": ")[2], allow_abbrev=False)
    diagnose.declare(parser)


def run(args: argparse.Namespace) -> int:
    """Diagnose; the exit status."""
    return diagnose.run(args, command="tls", until="chain")
