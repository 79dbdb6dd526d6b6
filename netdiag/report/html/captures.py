"""The capture files: what each is, what is in it, what is missing from it, and what its maker wrote into it.

Contract: as section.py. The words are capture_facts.py's.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from netdiag.model import CaptureObservation, Report
from netdiag.report import capture_facts, units
from netdiag.report.html import markup
from netdiag.report.html.section import Context, Section
from netdiag.report.worst import every


class File(msgspec.Struct, frozen=True, kw_only=True):
    """One file, ready for its template."""

    path: str
    facts: tuple[str, ...]
    losses: tuple[str, ...]
    comments: tuple[str, ...]
    remarks: tuple[str, ...]


def sections(report: Report, context: Context) -> Iterator[Section]:
    """Every file."""
    files = tuple(_file(o) for o in every(report, CaptureObservation))
    if files:
        title = "The capture" if len(files) == 1 else "The captures"
        body = markup.render("captures", files=files, level=context.level)
        yield Section(anchor=context.anchor("capture"), title=title, body=body)


def _file(o: CaptureObservation) -> File:
    count = units.counted(o.connections, "TCP connection")
    said = capture_facts.outcomes(o)
    return File(
        path=o.path,
        facts=(capture_facts.origin(o), capture_facts.span(o), f"{count}: {said}" if said else count),
        losses=capture_facts.losses(o),
        comments=o.comments,
        remarks=o.remarks,
    )
