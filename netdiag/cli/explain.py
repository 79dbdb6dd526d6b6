"""``netdiag explain``: what a finding means and what to do; without an id, the catalogue; with words, a search."""

from __future__ import annotations

import argparse
import os
import sys
import textwrap
from collections.abc import Iterable

from netdiag.cli import Parser
from netdiag.cli.options import PLAIN_FORMATS, add_output_options
from netdiag.cli.output import Output, choose_format
from netdiag.model import UsageError
from netdiag.report.escape import to_ascii
from netdiag.rules import CATALOGUE, RENAMED
from netdiag.rules.registry import Rule

_MAX_WIDTH = 100


def add_parser(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Declare the arguments."""
    parser = subparsers.add_parser("explain", description=__doc__.partition(": ")[2], allow_abbrev=False)
    parser.add_argument("words", nargs="*", metavar="ID", help="a finding's id, or words to look for")
    add_output_options(parser)


def run(args: argparse.Namespace) -> int:
    """Print the explanation or the catalogue."""
    format_ = choose_format(args.format, args.output, PLAIN_FORMATS)
    args.words = [word.lower() for word in args.words]
    rules = _find(args.words)
    with Output(args.output, format_) as output:
        width = _width() if output.is_stdout else 80
        if format_ == "text":
            one = len(rules) == 1 and args.words
            shown = _explanation(rules[0], width) if one else _catalogue(rules, width)
            output.write(to_ascii(shown) if args.ascii else shown)
            return 0
        from netdiag.report import json

        entries = [_entry(rule) for rule in rules]
        if format_ == "jsonl":
            output.write("".join(map(json.dumps_line, entries)))
        else:
            output.write(json.dumps(entries[0] if len(args.words) == 1 and args.words[0] in _ids() else entries))
    return 0


def _ids() -> set[str]:
    return {*CATALOGUE, *RENAMED}


def _find(words: list[str]) -> list[Rule]:
    """The rule with that id, or those that hold all words: in id and title, else in the explanation."""
    if not words:
        return list(CATALOGUE.values())
    asked = " ".join(words).strip()
    renamed = RENAMED.get(asked, asked)
    if renamed in CATALOGUE:
        return [CATALOGUE[renamed]]
    needles = asked.casefold().split()
    for haystack in (_title, _everything):
        found = [rule for rule in CATALOGUE.values() if all(needle in haystack(rule) for needle in needles)]
        if found and needles and "." not in asked:
            return found
    import difflib

    close = difflib.get_close_matches(asked, CATALOGUE, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(close)}?" if close else "; netdiag explain alone lists them all"
    raise UsageError(f"no finding is called {asked!r}{hint}")


def _title(rule: Rule) -> str:
    return f"{rule.id} {rule.title}".casefold()


def _everything(rule: Rule) -> str:
    return f"{_title(rule)} {rule.explanation}".casefold()


def _entry(rule: Rule) -> dict[str, object]:
    return {
        "id": rule.id,
        "title": rule.title,
        "severity": rule.severity,
        "explanation": rule.explanation,
        "folds": rule.folds,
        "reference": rule.reference,
    }


def _catalogue(rules: Iterable[Rule], width: int) -> str:
    rules = tuple(rules)
    lines: list[str] = []
    stem = ""
    column = max((len(rule.id) for rule in rules), default=0)
    for rule in rules:
        first = rule.id.partition(".")[0]
        if first != stem:
            lines += ["", first] if stem else [first]
            stem = first
        lead = f"  {rule.severity:<8} {rule.id:<{column}} "
        lines += textwrap.wrap(rule.title, width, initial_indent=lead, subsequent_indent=" " * len(lead))
    lines += ["", "netdiag explain ID says what a finding means and what to do."]
    return "\n".join([*lines, ""])


def _explanation(rule: Rule, width: int) -> str:
    lines = textwrap.wrap(f"{rule.id} ({rule.severity}): {rule.title}", width, subsequent_indent="  ")
    lines.append("")
    for block in rule.explanation.split("\n\n"):
        lines += _reflowed(block, width)
        lines.append("")
    if rule.folds:
        folded = f"It explains, and so replaces: {', '.join(rule.folds)}"
        lines += [*textwrap.wrap(folded, width, subsequent_indent="  ", break_on_hyphens=False), ""]
    if rule.reference:
        lines += [f"See {rule.reference}", ""]
    return "\n".join(lines)


def _reflowed(block: str, width: int) -> list[str]:
    """A paragraph fitted to the width; a list or an indented block keeps its lines."""
    lines = block.splitlines()
    if any(line.startswith((" ", "-", "*")) for line in lines):
        return [part for line in lines for part in _wrapped_line(line, width)]
    return textwrap.wrap(" ".join(lines), width, break_on_hyphens=False, break_long_words=False)


def _wrapped_line(line: str, width: int) -> list[str]:
    indent = " " * (len(line) - len(line.lstrip(" -*")))
    return textwrap.wrap(line, width, subsequent_indent=indent, break_on_hyphens=False) or [""]


def _width() -> int:
    if sys.stdout.isatty():
        try:
            return min(os.get_terminal_size(sys.stdout.fileno()).columns or 80, _MAX_WIDTH)
        except (OSError, ValueError):
            pass
    return 80
