"""The command line: argv -> session -> renderer -> exit status. One file a command.

Contract of a command's module: ``add_parser(subparsers)`` declares its arguments, ``run(args)`` returns the exit
status. A module is imported only when its command is the one that was typed, so that ``--version`` costs next to
nothing. Bad input is a ``UsageError``: one line on stderr, exit status 2, never a traceback.

Exit status, everywhere: 0 nothing at or above --fail-on; 1 findings; 2 usage, unreadable input, or netdiag itself
failed; 3 inconclusive. Of several, the first of 2, 1, 3, 0 that applies to any target.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import gc
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

from netdiag import __version__

#: Every command and its line in the help, in the order of the help.
COMMANDS: dict[str, str] = {
    "endpoint": "the whole ladder: DNS, TCP, proxy, TLS, chain, HTTPS, and a verdict",
    "dns": "the first rung: what the system and each name server answer",
    "tcp": "up to TCP: every address, directly and through the proxy",
    "tls": "up to TLS: versions, the presented chain, and whether it is trusted",
    "https": "up to HTTPS: the same ladder as endpoint",
    "trace": "TCP traceroute: names the hop that answers, resets or swallows",
    "node": "another integration-runtime node: name, port, net.tcp, TLS, its certificate; who reaches whom",
    "pcap": "captures: conversations, handshakes, losses, resets and who sent them",
    "cert": "certificate files: every path, every fault, every URL, and the private key",
    "allowlist": "firewall rules against the service's addresses: what to add, what is stale",
    "log": "event logs and error texts: known issues, who must do what, and what to probe next",
    "report": "saved reports: rendered again, or merged into one incident",
    "explain": "what a finding means and what to do; alone, the catalogue",
    "schema": "the JSON Schema of a report, or of an incident",
    "demo": "an embedded world on loopback, healthy and broken, diagnosed for real",
}


#: What writing to a device that is full, over quota or broken gives.
_CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT if hasattr(errno, "EDQUOT") else errno.ENOSPC, errno.EIO)


#: Thresholds of the garbage collector (Python's own: 700, 10, 10). What a command imports and finds out stays until it
#: ends, so that looking through it again and again frees next to nothing.
_COLLECTIONS = (300_000, 20, 100)


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the arguments, and end with status 2."""
        complain(message, prog=self.prog, hint=f"see {self.prog} --help")
        raise SystemExit(2)


class _Commands(argparse.HelpFormatter):
    """Help with the commands in one column: argparse itself forgets that they are indented once more."""

    def add_argument(self, action: argparse.Action) -> None:
        """Make room for the longest command."""
        super().add_argument(action)
        self._action_max_length = max(self._action_max_length, max(map(len, COMMANDS)) + 2 * self._indent_increment)


def complain(message: str, *, prog: str = "netdiag", hint: str = "") -> None:
    """One line on stderr, whatever ``message`` holds."""
    from netdiag.report.escape import escape, to_ascii

    line = f"{prog}: {escape(message)}{f' ({hint})' if hint else ''}\n"
    if sys.stderr is None:  # pythonw on Windows has none
        return
    try:
        sys.stderr.write(line)
    except UnicodeEncodeError:
        sys.stderr.write(to_ascii(line.rstrip("\n")) + "\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in ``argv`` (default: the process's own) and return the exit status."""
    if argv is None and not sys.warnoptions:  # libraries warn developers, not users; python -W shows it
        warnings.simplefilter("ignore")
    arguments = list(sys.argv[1:] if argv is None else argv)
    if sys.stdout is None:  # closed by the shell (>&-), or pythonw: the exit status and --output still count
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 - it stays until the end
    try:
        parser, chosen = _parser(arguments)
        args = _parse(parser, arguments)
        status = _load(chosen).run(args)
        sys.stdout.flush()
    except KeyboardInterrupt:
        complain("interrupted")
        return 3
    except Exception as error:  # noqa: BLE001 - here ends every error, and a bug must not look like a finding (1)
        return _failed(error)
    return int(status)


def command() -> NoReturn:
    """Be the console script ``netdiag``: run, write everything out, and end the process at once.

    Without the interpreter's own teardown: it takes as long as a name lookup, and a thread that still hangs in the
    system's resolver must not be torn down below its feet.
    """
    gc.set_threshold(*_COLLECTIONS)
    status = main()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or None
            stream.flush()
    os._exit(status)


def _parse(parser: Parser, arguments: Sequence[str]) -> argparse.Namespace:
    """Targets may stand on both sides of an option, which argparse itself does not take."""
    args, rest = parser.parse_known_args(arguments)
    if rest and hasattr(args, "targets") and not any(word.startswith("-") and word != "-" for word in rest):
        args.targets = [*args.targets, *rest]
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    return args


def _failed(error: Exception) -> int:
    """Report an error that ended the command; its exit status."""
    from netdiag.model import UsageError

    if isinstance(error, BrokenPipeError):  # the reader, "head" say, has had enough
        silence_stdout()
        return 0
    if isinstance(error, UsageError):
        complain(str(error))
        return 2
    if isinstance(error, OSError) and error.errno in _CANNOT_WRITE and error.filename is None:
        silence_stdout()
        complain(f"stdout: cannot be written: {error.strerror}")
        return 2
    import traceback

    traceback.print_exception(error)
    complain("the above is a bug in netdiag; the report was not finished")
    return 2


def silence_stdout() -> None:
    """Send what is still to be written to nowhere, so that the interpreter's last flush does not fail."""
    with contextlib.suppress(OSError, ValueError):  # not a real file, or closed already
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _parser(arguments: Sequence[str]) -> tuple[Parser, str]:
    """The parser, complete for the command that was typed, and that command."""
    parser = Parser(
        prog="netdiag",
        description="Why can this machine not reach that endpoint, who is to blame, and what must they change?",
        epilog="exit status: 0 healthy, 1 findings, 2 usage or internal error, 3 inconclusive",
        formatter_class=_Commands,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"netdiag {__version__}")
    subparsers = parser.add_subparsers(
        prog="netdiag", dest="command", metavar="COMMAND", required=True, parser_class=Parser
    )
    chosen = next((argument for argument in arguments if not argument.startswith("-")), "")
    for name, line in COMMANDS.items():
        subparsers.add_parser(name, help=line, add_help=False) if name != chosen else _load(name).add_parser(subparsers)
    return parser, chosen


def _load(name: str) -> Any:
    """The module of a command; it has ``add_parser`` and ``run``."""
    from importlib import import_module

    from netdiag.cli.imports import load_msgspec

    load_msgspec()
    return import_module(f"netdiag.cli.{name}")
