"""``netdiag report``: saved reports, judged again by today's rules; several are one incident."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from netdiag.cli import Parser, complain
from netdiag.cli.options import add_report_options
from netdiag.cli.output import Output, choose_format, layout_for, rendered
from netdiag.cli.progress import Manner, manner, step_progress
from netdiag.cli.saved_files import content, label_and_file
from netdiag.cli.status import exit_status
from netdiag.model import Incident, LabelledReport, UsageError

if TYPE_CHECKING:
    from netdiag.report.saved import Saved

_EPILOG = """\
FILE is what --format json or jsonl wrote: one report, several, or an incident; - is stdin. One file is rendered again,
several become one incident: findings merged, one root cause, the machines compared. NAME=FILE calls a report NAME."""


def add_parser(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Declare the arguments."""
    parser = subparsers.add_parser(
        "report",
        description="Saved reports: render them again, or make one incident of several.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("targets", nargs="+", metavar="FILE", help="saved reports, in JSON or JSON Lines")
    group = parser.add_argument_group("merging")
    group.add_argument(
        "--baseline",
        action="append",
        default=[],
        metavar="GOOD.json",
        help="a report from when it worked: say what changed since (may be repeated)",
    )
    group.add_argument("--incident", action="store_true", help="make an incident of one file too")
    group.add_argument(
        "--as-saved", action="store_true", help="keep the judgement of then (default: judge again by today's rules)"
    )
    add_report_options(parser, ticket=True)


def run(args: argparse.Namespace) -> int:
    """Read, judge, merge, report, and return the exit status."""
    format_ = choose_format(args.format, args.output)
    if [*args.targets, *args.baseline].count("-") > 1:
        raise UsageError("stdin (-) can be read only once")
    with Output(args.output, format_) as output:
        layout = layout_for(output, args)
        reading = _Reading(as_saved=args.as_saved, manner=manner(args))
        reports = reading.read(args.targets)
        earlier = reading.baseline
        baseline = [*reading.read(args.baseline), *earlier]
        reading.complain()
        if args.incident or args.baseline or reading.incident or len(args.targets) > 1 or _is_case(reports):
            incident = _merged(reports, baseline)
            output.write(rendered(incident, format_, layout, args))
            return exit_status([incident], args.fail_on, unusable=bool(reading.problems))
        if not args.quiet:
            _note_changes(reports)
        found = [one.report for one in reports]
        output.write(rendered(found[0] if len(found) == 1 else found, format_, layout, args))
    return exit_status(found, args.fail_on, unusable=bool(reading.problems))


def _is_case(reports: Sequence[LabelledReport]) -> bool:
    """Whether one file holds what belongs together, and not merely the many targets of one run."""
    targets = [one.report.target for one in reports]
    return len({one.report.command for one in reports}) > 1 or len(set(targets)) < len(targets)


def _merged(reports: Sequence[LabelledReport], baseline: Sequence[LabelledReport]) -> Incident:
    from netdiag import merge_reports

    return merge_reports(reports, baseline=baseline)


def _note_changes(reports: Sequence[LabelledReport]) -> None:
    """One line for each report that is judged otherwise than it was."""
    for one in reports:
        was = one.rejudged
        if was is not None:
            ids = [f"+{identifier}" for identifier in was.new] + [f"-{identifier}" for identifier in was.gone]
            found = f" ({', '.join(ids)})" if ids else ""
            what = one.report.verdict.status
            then = f"it was {was.verdict.status}" if was.verdict.status != what else "the verdict is the same kind"
            complain(
                f"{one.file}: {one.report.target.authority} is judged anew: {what}, {then}{found}; "
                "--as-saved keeps the old judgement"
            )


class _Reading:
    """Reads files one after the other.

    ``problems`` tell of parts that could not be read, ``incident`` that an incident was among them, and ``baseline``
    holds what that was compared with.
    """

    def __init__(self, *, as_saved: bool, manner: Manner) -> None:
        self.problems: list[str] = []
        self.incident = False
        self.baseline: list[LabelledReport] = []
        self._as_saved = as_saved
        self._manner = manner

    def read(self, files: Sequence[str]) -> list[LabelledReport]:
        """The reports in ``files``, judged by today's rules. Raises ``UsageError`` for a file without any."""
        found: list[LabelledReport] = []
        with step_progress(**self._manner) as progress:
            for n, argument in enumerate(files):
                progress(f"reading {Path(argument).name}", n, len(files))
                found += self._of(argument)
            judged: list[LabelledReport] = []
            for n, one in enumerate(found):
                progress("judging", n, len(found))
                judged.append(one if self._as_saved else _judged(one))
        return judged

    def complain(self) -> None:
        """Say what could not be read."""
        for problem in self.problems:
            complain(f"{problem}; the rest is used")

    def _of(self, argument: str) -> Sequence[LabelledReport]:
        from netdiag.report.saved import read_saved

        label, file = label_and_file(argument)
        saved: Saved = read_saved(content(file), name="stdin" if file == "-" else file)
        self.problems += saved.problems
        self.incident |= saved.incident
        self.baseline += saved.baseline
        return [_named(one, label) for one in saved.reports] if label else saved.reports


def _named(one: LabelledReport, label: str) -> LabelledReport:
    import msgspec

    return msgspec.structs.replace(one, label=label)


def _judged(one: LabelledReport) -> LabelledReport:
    """Judged by today's rules, with what that changed."""
    import msgspec

    from netdiag import rejudge
    from netdiag.model import Rejudgement

    old = one.report
    new = rejudge(old)
    before, after = {f.id for f in old.findings}, {f.id for f in new.findings}
    said, says = old.verdict, new.verdict
    changed = before != after or (said.status, said.finding, said.blame) != (says.status, says.finding, says.blame)
    rejudged = Rejudgement(verdict=said, new=tuple(sorted(after - before)), gone=tuple(sorted(before - after)))
    return msgspec.structs.replace(one, report=new, rejudged=rejudged if changed else None)
