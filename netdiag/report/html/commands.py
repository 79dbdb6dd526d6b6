"""What to run next, as far as findings name a command.

Contract: as section.py. A command that is not safe to type is none (phrases.command_line).
"""

from __future__ import annotations

from collections.abc import Iterator

from netdiag.model import Report
from netdiag.report import log_facts
from netdiag.report.html import markup
from netdiag.report.html.section import Context, Section


def sections(report: Report, context: Context) -> Iterator[Section]:
    """The commands, the root cause's first."""
    if commands := log_facts.commands(report):
        body = markup.render("commands", commands=commands, prefix=context.prefix)
        yield Section(anchor=context.anchor("next"), title="Run next", body=body)
