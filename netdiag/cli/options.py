"""Options that several commands share, and what the strings in them mean."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import math
import os
import re
import sys

from netdiag.model import UsageError
from netdiag.report import Format

PASSWORD_VARIABLE = "NETDIAG_PROXY_PASSWORD"  # noqa: S105 - the variable's name

#: RFC 1035 §2.3.4.
_MAX_NAME = 253

#: The longest wait that makes sense: a whole run ends within a minute.
_MAX_TIMEOUT_S = 60.0


#: What everything that is no report comes in; and reports.
PLAIN_FORMATS: tuple[Format, ...] = ("text", "json", "jsonl")
REPORT_FORMATS: tuple[Format, ...] = (*PLAIN_FORMATS, "html", "markdown")


def add_output_options(
    parser: argparse.ArgumentParser,
    formats: tuple[str, ...] = ("text", "json", "jsonl", "html", "markdown"),
    *,
    ticket: bool = False,
) -> None:
    """--format, --output, --no-color, --ascii; and --ticket, which is a format too."""
    group = parser.add_argument_group("output")
    form = group.add_mutually_exclusive_group()
    form.add_argument("--format", choices=formats, help="default: by the suffix of --output, else text")
    if ticket:
        form.add_argument(
            "--ticket",
            dest="format",
            action="store_const",
            const="ticket",
            help="instead of the report, a note for the network team, to be pasted into a mail",
        )
    group.add_argument("-o", "--output", metavar="FILE", help="write here, in one piece at the end; - is stdout")
    add_console_options(group)


def add_console_options(group: argparse._ActionsContainer) -> None:
    """--no-color and --ascii: what a console can show."""
    group.add_argument("--no-color", action="store_true", help="no colours (the variable NO_COLOR says the same)")
    group.add_argument("--ascii", action="store_true", help="text in plain ASCII, drawings too")


def add_report_options(parser: argparse.ArgumentParser, *, ticket: bool = False) -> None:
    """What every command that reports on a target takes."""
    add_output_options(parser, REPORT_FORMATS, ticket=ticket)
    group = parser.add_argument_group("report")
    group.add_argument(
        "--fail-on",
        choices=("error", "warning", "never"),
        default="error",
        help="the least severity that makes the exit status 1 (default: error)",
    )
    group.add_argument("--quiet", action="store_true", help="no progress and notes; of a text report the verdict only")
    group.add_argument("--verbose", action="store_true", help="all evidence in full: records, certificates, headers")


def add_timeout(group: argparse._ArgumentGroup) -> None:
    """--timeout."""
    group.add_argument(
        "--timeout", type=_timeout, default=8.0, metavar="SECONDS", help="bound of each network wait (default: 8)"
    )


def add_no_machine(group: argparse._ArgumentGroup) -> None:
    """--no-machine."""
    group.add_argument(
        "--no-machine",
        action="store_false",
        dest="name_machine",
        help="leave this machine's name, system and time zone out of the report",
    )


def add_network_options(parser: argparse.ArgumentParser, title: str) -> argparse._ArgumentGroup:
    """How to reach anything; the group, for more of the kind."""
    group = parser.add_argument_group(title)
    add_timeout(group)
    add_no_machine(group)
    group.add_argument(
        "--proxy",
        default="system",
        metavar="PROXY",
        help="URL, HOST:PORT, pac:FILE-or-URL, none, or system (default: what an application here would use)",
    )
    group.add_argument(
        "--proxy-user",
        metavar="USER[:PASSWORD]",
        help=f"log in at the proxy; the password may come from {PASSWORD_VARIABLE}, or is asked for",
    )
    return group


def add_probe_options(parser: argparse.ArgumentParser) -> None:
    """How to look."""
    group = add_network_options(parser, "probing")
    group.add_argument(
        "--resolver",
        action="append",
        default=[],
        metavar="IP[:PORT]",
        help="ask this name server too, and compare (may be repeated)",
    )
    group.add_argument(
        "--trust",
        action="append",
        metavar="STORE",
        help="certifi, system, or a FILE or DIR of certificates, instead of the system's (may be repeated)",
    )
    group.add_argument(
        "--trace",
        action=argparse.BooleanOptionalAction,
        help="trace the path (default: where something on it may be to blame for a failure)",
    )
    group.add_argument("-n", "--numeric", action="store_true", help="do not look the names of routers up")
    capture = group.add_mutually_exclusive_group()
    capture.add_argument(
        "--capture",
        default="",
        metavar="FILE.pcapng",
        help="keep the packets of these probes, with a comment on each (takes root, or CAP_NET_RAW)",
    )
    capture.add_argument(
        "--no-capture",
        action="store_false",
        dest="tap",
        help="do not look at packets, even with the right to (default: what they tell of a failure)",
    )


def _timeout(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= _MAX_TIMEOUT_S:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is not a number of seconds up to {_MAX_TIMEOUT_S:.0f}")
    return seconds


def credentials(text: str | None) -> tuple[str, str] | None:
    """User and password for the proxy. Asks on a terminal; raises ``UsageError`` where there is none to ask on."""
    if text is None:
        return None
    user, colon, password = text.partition(":")
    if not user:
        raise UsageError("--proxy-user names no user")
    if colon:
        return user, password
    stored = os.environ.get(PASSWORD_VARIABLE)
    if stored is not None:
        return user, stored
    if not (sys.stdin and sys.stdin.isatty()):
        raise UsageError(f"--proxy-user {user}: no password: set {PASSWORD_VARIABLE}, or write USER:PASSWORD")
    import getpass

    try:
        return user, getpass.getpass(f"Password of {user} for the proxy: ")
    except EOFError:
        raise UsageError(f"--proxy-user {user}: no password was given") from None


def host_or_address(text: str) -> str:
    """An address as it is written canonically, or a name in lower case and A-labels, for argparse."""
    bare = text.strip().removeprefix("[").removesuffix("]").partition("%")[0]  # a zone is not on the wire
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        pass
    name = text.strip().rstrip(".").lower()
    if not name.isascii():
        with contextlib.suppress(UnicodeError):
            name = name.encode("idna").decode("ascii")
    if not re.fullmatch(r"(?=.*[a-z])[a-z0-9_-]+(\.[a-z0-9_-]+)*", name) or len(name) > _MAX_NAME:
        raise argparse.ArgumentTypeError(f"{text[:60]!r} is neither an address nor a name")
    return name


def values(settings: list[str]) -> dict[str, list[str]]:
    """``--set NAME=VALUE``, repeated, as a mapping. Raises ``UsageError``."""
    found: dict[str, list[str]] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not (name and equals and value):
            raise UsageError(f"--set {setting!r} is not NAME=VALUE")
        found.setdefault(name, []).append(value)
    return found
