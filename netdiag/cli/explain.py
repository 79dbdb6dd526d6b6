"""``netdiag explain``: what a finding means and what to do; without an id, the catalogue; with words, a search.

Beside findings there are topics (rules/topics.py), and each heading of the troubleshooting guide leads to one of them.
"""

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
from netdiag.rules.topics import HEADINGS, TOPICS, Topic

_MAX_WIDTH = 100


def add_parser(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Declare the arguments."""
    description = __doc__.splitlines()[0].partition(": ")[2]
    parser = subparsers.add_parser("explain", description=description, allow_abbrev=False)
    parser.add_argument("words", nargs="*", metavar="ID", help="a finding's id, a heading of the guide, or words")
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
    return {*CATALOGUE, *RENAMED, *TOPICS}


def _find(words: list[str]) -> list[Rule | Topic]:
    """The entry with that id or heading, or those that hold all words: in id, title and heading, else anywhere."""
    everything: dict[str, Rule | Topic] = {**CATALOGUE, **TOPICS}
    if not words:
        return list(everything.values())
    asked = " ".join(words).strip()
    known = RENAMED.get(asked, asked)
    known = _headings().get(_bare(known), known)
    if known in everything:
        return [everything[known]]
    needles = asked.casefold().split()
    for haystack in (_title, _everything):
        found = [entry for entry in everything.values() if all(needle in haystack(entry) for needle in needles)]
        if found and needles and "." not in asked:
            return found
    import difflib

    close = difflib.get_close_matches(asked, everything, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(close)}?" if close else "; netdiag explain alone lists them all"
    raise UsageError(f"no finding is called {asked!r}{hint}")


def _bare(heading: str) -> str:
    """A heading without what gets lost on a command line: case, quotation marks, a full stop."""
    return " ".join(heading.casefold().translate(str.maketrans("", "", "'\"’‘“”.?")).split())


def _headings() -> dict[str, str]:
    return {_bare(heading): identifier for heading, identifier in HEADINGS.items()}


def _title(entry: Rule | Topic) -> str:
    headings = " ".join(heading for heading, identifier in HEADINGS.items() if identifier == entry.id)
    words = f" {entry.words}" if isinstance(entry, Topic) else ""
    return f"{entry.id} {entry.title} {headings}{words}".casefold()


def _everything(entry: Rule | Topic) -> str:
    return f"{_title(entry)} {entry.explanation}".casefold()


def _entry(rule: Rule | Topic) -> dict[str, object]:
    if isinstance(rule, Topic):
        return {
            "id": rule.id,
            "title": rule.title,
            "explanation": rule.explanation,
            "reference": rule.reference,
        }
    return {
        "id": rule.id,
        "title": rule.title,
        "severity": rule.severity,
        "explanation": rule.explanation,
        "folds": rule.folds,
        "reference": rule.reference,
    }


def _catalogue(entries: Iterable[Rule | Topic], width: int) -> str:
    entries = tuple(entries)
    rules = [entry for entry in entries if isinstance(entry, Rule)]
    topics = [entry for entry in entries if isinstance(entry, Topic)]
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
    if topics:
        lines += ["", "topics"] if lines else ["topics"]
        column = max(len(topic.id) for topic in topics)
        for topic in topics:
            lead = f"  {topic.id:<{column}} "
            lines += textwrap.wrap(topic.title, width, initial_indent=lead, subsequent_indent=" " * len(lead))
    lines += ["", "netdiag explain ID says what a finding means and what to do."]
    return "\n".join([*lines, ""])


def _explanation(rule: Rule | Topic, width: int) -> str:
    kind = f" ({rule.severity})" if isinstance(rule, Rule) else ""
    lines = textwrap.wrap(f"{rule.id}{kind}: {rule.title}", width, subsequent_indent="  ")
    lines.append("")
    for block in rule.explanation.split("\n\n"):
        lines += _reflowed(block, width)
        lines.append("")
    if isinstance(rule, Rule) and rule.folds:
        folded = f"It explains, and so replaces: {', '.join(rule.folds)}"
        lines += [*textwrap.wrap(folded, width, subsequent_indent="  ", break_on_hyphens=False), ""]
    if rule.reference:
        reference = f"See {rule.reference}"
        lines += textwrap.wrap(reference, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        lines.append("")
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
