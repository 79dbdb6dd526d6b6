"""``netdiag allowlist``: do a firewall's rules let through every address of the service, and will they next week?"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from netdiag.cli import Parser, complain
from netdiag.cli.interrupt import interruptible
from netdiag.cli.options import add_no_machine, add_report_options, add_timeout, values
from netdiag.cli.output import Output, choose_format, layout_for
from netdiag.cli.progress import step_progress
from netdiag.cli.status import exit_status
from netdiag.model import AllowlistObservation, PrefixList, Report, ServiceTagsObservation, Target, UsageError
from netdiag.report import Format, render

if TYPE_CHECKING:
    from netdiag import AllowlistOptions

_EPILOG = """\
TAGS is the file that Microsoft publishes each week (www.microsoft.com/download/details.aspx?id=56519; 57063 for US
Government, 57062 for China), or what az network list-service-tags prints.
RULES is what the firewall lets out: a list of addresses and names, CSV, NSG JSON, iptables-save, iptables -L -n, nft
list ruleset, or netsh advfirewall firewall show rule name=all; the content decides, not the name; - is stdin. Each
file is a firewall of its own that traffic has to pass.
ENDPOINT is a name of the service (wu2.frontend.clouddatahub.net), HOST:PORT, or @FILE; it tells tag and region."""


def add_parser(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Declare the arguments."""
    parser = subparsers.add_parser(
        "allowlist",
        description="Do the firewall's rules let through every address of the service? What to add, what is stale.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("targets", nargs="*", metavar="ENDPOINT", help="what must be reachable")
    group = parser.add_argument_group("files")
    group.add_argument("--tags", required=True, metavar="TAGS", help="this week's service tags")
    group.add_argument("--previous", default="", metavar="TAGS", help="an earlier file: what came and went since?")
    group.add_argument(
        "--rules", action="append", default=[], metavar="RULES", help="a firewall's rules (may be repeated)"
    )
    group.add_argument(
        "--list", action="store_true", help="print prefixes only: what the rules miss, without rules all that is needed"
    )
    _add_needs(parser)
    _add_rules(parser)
    group = parser.add_argument_group("lookups")
    group.add_argument(
        "--resolve",
        action=argparse.BooleanOptionalAction,
        help="look the endpoints up, and see whether their addresses get through (default: when there are any)",
    )
    add_timeout(group)
    add_no_machine(group)
    add_report_options(parser, ticket=True)


def _add_needs(parser: Parser) -> None:
    group = parser.add_argument_group("what is needed, besides endpoints")
    group.add_argument("--region", default="", metavar="REGION", help="of the data factory: westus2, or wu2")
    group.add_argument(
        "--tag", action="append", default=[], metavar="TAG", help="this service tag (may be repeated)", dest="names"
    )
    group.add_argument("--ssis", action="store_true", help="an Azure-SSIS integration runtime: DataFactoryManagement")
    group.add_argument(
        "--profile", action="append", default=[], metavar="NAME:REGION", help="its endpoints, as for netdiag endpoint"
    )
    group.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="settings", help="a value that it leaves open"
    )
    group.add_argument("--port", type=_port, default=443, metavar="PORT", help="for --region and --tag (default: 443)")


def _add_rules(parser: Parser) -> None:
    group = parser.add_argument_group("how the rules are read")
    family = group.add_mutually_exclusive_group()
    family.add_argument("-4", action="store_const", const=(4,), dest="families", help="compare IPv4 only")
    family.add_argument("-6", action="store_const", const=(6,), dest="families", help="compare IPv6 only")
    group.add_argument(
        "--source", default="", metavar="ADDRESS", help="of the machine that connects: decides rules for some only"
    )
    group.add_argument("--chain", default="", metavar="NAME", help="judge this chain of iptables or nftables")
    group.add_argument(
        "--default", choices=("allow", "deny"), help="what becomes of connections that no rule fits, if no policy tells"
    )


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 65535):
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a number from 1 to 65535")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Compare, report, and return the exit status."""
    format_ = choose_format(args.format, args.output)
    if [args.tags, args.previous, *args.rules].count("-") + args.targets.count("@-") > 1:
        raise UsageError("stdin (-) can be read only once")
    endpoints = _endpoints(args)
    options = _options(args, endpoints)
    with Output(args.output, format_) as output:
        report, interrupted = _check(args, options)
        if args.list and not report.internal_errors:
            output.write(_listing(report, format_))
        else:
            output.write(render(report, format_, layout_for(output, args)))
    if interrupted:
        complain("interrupted: the report is on what was known by then")
    return exit_status([report], args.fail_on, interrupted=interrupted)


def _endpoints(args: argparse.Namespace) -> tuple[Target, ...]:
    """The targets on the command line and of profiles. Raises ``UsageError`` for the first that is none."""
    if not args.targets and not args.profile:
        return ()
    from netdiag.cli.targets import gather

    def refuse(problem: str) -> None:
        raise UsageError(problem)

    wanted = gather(args.targets, args.profile, values(args.settings), refuse)
    for profile in wanted.profiles:
        if profile.skipped and not args.quiet:
            names = dict.fromkeys(name for skipped in profile.skipped for name in skipped.missing)
            left_out = f"{len(profile.skipped)} addresses are left out, for want of --set {', '.join(names)}"
            complain(f"profile {profile.name}: {left_out}")
    return wanted.targets


def _options(args: argparse.Namespace, endpoints: tuple[Target, ...]) -> AllowlistOptions:
    from netdiag import AllowlistOptions

    return AllowlistOptions(
        endpoints=endpoints,
        tags=tuple(args.names),
        region=args.region,
        ssis=args.ssis,
        previous=args.previous,
        port=args.port,
        source=args.source,
        chain=args.chain,
        default=args.default,
        families=args.families or (),
        resolve=bool(endpoints) and bool(args.rules) if args.resolve is None else args.resolve,
        timeout_s=args.timeout,
        name_machine=args.name_machine,
    )


def _check(args: argparse.Namespace, options: AllowlistOptions) -> tuple[Report, bool]:
    """Compare with a progress bar; whether Ctrl-C ended it early."""
    from netdiag import check_allowlist

    color = not args.no_color and not os.environ.get("NO_COLOR")
    with step_progress(quiet=args.quiet, color=color) as progress, interruptible() as cancel:
        report = check_allowlist(args.tags, args.rules, options, progress=progress, cancel=cancel)
    return report, cancel.is_set()


def _listing(report: Report, format_: Format) -> str:
    """The prefixes, one a line, as files that firewalls read; a comment for each tag where there are several."""
    lists = list(_lists(report))
    for title, prefixes in lists:
        if prefixes.total > len(prefixes.prefixes):
            complain(f"{title}: only the first {len(prefixes.prefixes):,} of {prefixes.total:,} prefixes are listed")
    if format_ in ("json", "jsonl"):
        from netdiag.report import json

        found = list(dict.fromkeys(prefix for _, prefixes in lists for prefix in prefixes.prefixes))
        return "".join(map(json.dumps_line, found)) if format_ == "jsonl" else json.dumps(found)
    lines: list[str] = []
    for title, prefixes in lists:
        if len(lists) > 1 and prefixes.prefixes:
            lines.append(f"# {title}")
        lines += prefixes.prefixes
    return "".join(f"{line}\n" for line in lines)


def _lists(report: Report) -> Iterator[tuple[str, PrefixList]]:
    """What each firewall misses; without one, what is needed."""
    firewalls = [each for each in report.observations if isinstance(each, AllowlistObservation)]
    for firewall in firewalls:
        for coverage in firewall.coverage:
            if coverage.tag:
                yield f"{coverage.tag}, port {coverage.port}, missing in {firewall.path}", coverage.missing
    for tags in report.observations:
        if isinstance(tags, ServiceTagsObservation) and not firewalls:
            yield from ((f"{need.tag}, port {need.port}", need.prefixes) for need in tags.needs if need.tag)
