"""Firewall rules beside what is needed: the text report's own sections, with every prefix, to be copied.

Contract: as section.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from netdiag.model import Report, ServiceTagsObservation
from netdiag.report import allowlist
from netdiag.report.html import markup
from netdiag.report.html.section import Context, Section


def sections(report: Report, context: Context) -> Iterator[Section]:
    """Each firewall, and the file of tags."""
    if any(isinstance(observation, ServiceTagsObservation) for observation in report.observations):
        body = markup.render("plain", text=markup.written(lambda page: allowlist.particulars(page, report)))
        yield Section(anchor=context.anchor("firewalls"), title="Firewalls and service tags", body=body)
