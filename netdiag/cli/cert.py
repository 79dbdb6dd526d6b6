"""``netdiag cert``: what ``certutil -verify -urlfetch`` does: every path, every fault, every URL; and private keys."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from netdiag.cli import Parser, complain
from netdiag.cli.interrupt import asking, interruptible
from netdiag.cli.options import add_network_options, add_report_options, credentials, host_or_address
from netdiag.cli.output import Output, choose_format, layout_for, rendered
from netdiag.cli.progress import manner, step_progress
from netdiag.cli.status import exit_status
from netdiag.cli.times import parse_moment
from netdiag.model import Report, UsageError
from netdiag.report.escape import escape

if TYPE_CHECKING:
    from netdiag import CertificateOptions

_EPILOG = """\
FILE is PEM, DER, PKCS#7 (.p7b) or PKCS#12 (.pfx, .p12), whatever its name; - is stdin. Which certificate is the leaf,
an intermediate or a root is found out. TIME is 2026-11-28, 2026-11-28T17:00 (UTC unless it says otherwise), or seconds
since 1970."""

#: No password is longer; a longer line is from a wrong file.
_MAX_PASSWORD = 4096


def add_parser(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Declare the arguments."""
    parser = subparsers.add_parser(
        "cert",
        description="Every path of a certificate, every fault, every URL that it names; and its private key.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("targets", nargs="+", metavar="FILE", help="what to verify; one report on all of them")
    _add_question(parser)
    group = parser.add_argument_group("PKCS#12 files")
    either = group.add_mutually_exclusive_group()
    either.add_argument("--password", metavar="TEXT", help="without either of these, it is asked for")
    either.add_argument("--password-file", metavar="FILE", help="its first line is the password")
    network = add_network_options(parser, "retrieval")
    network.add_argument("--no-fetch", action="store_true", help="send nothing; revocation by --crl and --ocsp only")
    network.add_argument("--no-cache", action="store_true", help="neither use nor keep what earlier runs fetched")
    network.add_argument("--nonce", action="store_true", help="OCSP with a nonce: no answer made beforehand counts")
    add_report_options(parser)


def _add_question(parser: Parser) -> None:
    """What is asked of the certificates, and with what beside them."""
    group = parser.add_argument_group("the question")
    group.add_argument("--hostname", type=host_or_address, metavar="NAME", help="this name or address must be in it")
    group.add_argument(
        "--purpose",
        choices=("server", "client", "any"),
        help="what it is for (default: server; any for an authority's)",
    )
    group.add_argument("--at", type=parse_moment, metavar="TIME", help="judge as of then, not of now")
    group.add_argument(
        "--profile",
        choices=("windows", "rfc5280", "webpki"),
        default="windows",
        help="whose rules make an error (default: windows); what only others refuse is a remark",
    )
    files = {
        "--trust": ("STORE", "certifi, system, or a FILE or DIR of roots, instead of the system's"),
        "--untrusted": ("FILE", "certificates that may help to build a path"),
        "--crl": ("FILE", "a certificate revocation list"),
        "--ocsp": ("FILE", "an OCSP response"),
    }
    for option, (name, words) in files.items():
        group.add_argument(option, action="append", default=[], metavar=name, help=f"{words} (may be repeated)")


def run(args: argparse.Namespace) -> int:
    """Verify, report, and return the exit status."""
    format_ = choose_format(args.format, args.output)
    read = [*args.targets, *args.untrusted, *args.crl, *args.ocsp, args.password_file]
    if read.count("-") > 1:
        raise UsageError("stdin (-) can be read only once")
    options = _options(args)
    with Output(args.output, format_) as output:
        report, interrupted = _check(args, options)
        output.write(rendered(report, format_, layout_for(output, args), args))
    if interrupted:
        complain("interrupted: the report is on what was known by then")
    return exit_status([report], args.fail_on, interrupted=interrupted)


def _check(args: argparse.Namespace, options: CertificateOptions) -> tuple[Report, bool]:
    """Verify with a progress bar; whether Ctrl-C ended it early."""
    from netdiag import check_certificates

    with step_progress(**manner(args)) as progress, interruptible() as cancel:
        try:
            report = check_certificates(args.targets, options, progress=progress, cancel=cancel)
        except UsageError:
            if cancel.is_set():  # before there was anything to report on
                raise KeyboardInterrupt from None
            raise
    return report, cancel.is_set()


def _options(args: argparse.Namespace) -> CertificateOptions:
    from netdiag import CertificateOptions

    fetch = not args.no_fetch
    return CertificateOptions(
        hostname=args.hostname,
        purpose=args.purpose,
        profile=args.profile,
        at=args.at,
        untrusted=tuple(args.untrusted),
        trust=tuple(args.trust or ("system",)),
        crls=tuple(args.crl),
        ocsp=tuple(args.ocsp),
        password=_password(args.password, args.password_file),
        fetch=fetch,
        cache=not args.no_cache,
        nonce=args.nonce,
        proxy=args.proxy,
        credentials=credentials(args.proxy_user) if fetch else None,
        timeout_s=args.timeout,
        name_machine=args.name_machine,
    )


def _password(text: str | None, file: str | None) -> Callable[[str], bytes | None]:
    """Who is asked for the password of a file, by its name, when that needs one."""
    if file is not None:
        text = _first_line(file)
    return _ask if text is None else lambda _: text.encode("utf-8", "surrogateescape")


def _ask(name: str) -> bytes:
    """Ask on a terminal. Raises ``UsageError`` where there is none."""
    name = "stdin" if name == "-" else name
    if not (sys.stdin and sys.stdin.isatty()):
        raise UsageError(f"{name}: it needs a password: --password, or --password-file")
    import getpass

    try:
        with asking():
            return getpass.getpass(f"Password of {escape(name, 60)}: ").encode("utf-8", "surrogateescape")
    except EOFError:
        raise UsageError(f"{name}: no password was given") from None


def _first_line(name: str) -> str:
    """The first line of a password file, without its end."""
    shown = "stdin" if name == "-" else name
    try:
        data = _read(name)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"{shown}: cannot be read: {reason}") from None
    try:  # Notepad and PowerShell write UTF-16 with a byte order mark
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            text = data.decode("utf-16", "replace")
        else:
            text = data.partition(b"\n")[0].decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{shown}: its first line is no password (not UTF-8)") from None
    line = text.partition("\n")[0].removesuffix("\r")
    if len(line) > _MAX_PASSWORD:
        raise UsageError(f"{shown}: its first line is no password (longer than {_MAX_PASSWORD} characters)")
    return line


def _read(name: str) -> bytes:
    if name != "-":
        with Path(name).open("rb") as file:
            return file.read(4 * _MAX_PASSWORD)
    if sys.stdin is None:
        raise ValueError("there is no standard input")
    return sys.stdin.buffer.read(4 * _MAX_PASSWORD)
