"""``Report`` on a capture -> text: findings, the file, its servers and conversations, the worst one drawn.

Contract: pure. The printer judges nothing; what is worst follows from the findings (worst.py).
"""

from __future__ import annotations

from collections.abc import Sequence

from netdiag.model import (
    AlignedObservation,
    AlignmentObservation,
    CaptureObservation,
    ConnectionObservation,
    Report,
    ResetObservation,
    ServiceObservation,
    TcpObservation,
    authority,
)
from netdiag.report import capture_facts, comparison, plot, sections, units
from netdiag.report import capture_rows as rows
from netdiag.report.drawing import draw
from netdiag.report.page import Page
from netdiag.report.styled import Text
from netdiag.report.worst import Worst, drawn, every, in_turn

#: Pieces of evidence listed below a finding, and other observations listed at the end, without --verbose.
_EVIDENCE = 5
_OTHERS = 12
#: Comments in the file that are told without --verbose.
_COMMENTS = 5
#: Oddities of the file that are told without --verbose.
_REMARKS = 5


def body(page: Page, report: Report) -> None:
    """Everything below the verdict."""
    worst = Worst(report)
    conversations = worst.sorted(every(report, ConnectionObservation))
    sections.findings(page, report, None if page.layout.verbose else _EVIDENCE)
    for capture in every(report, CaptureObservation):
        _file(page, capture)
    comparison.section(page, report)
    _servers(page, worst, worst.sorted(every(report, ServiceObservation)))
    _conversations(page, worst, conversations, sum(o.connections for o in every(report, CaptureObservation)[:1]))
    _drawings(page, worst, conversations)
    if page.layout.resets:
        _resets(page, worst, report)
    kinds = (
        CaptureObservation,
        ServiceObservation,
        ConnectionObservation,
        ResetObservation,
        TcpObservation,
        AlignmentObservation,
        AlignedObservation,
    )
    sections.observed(page, report, {o.id for o in report.observations if isinstance(o, kinds)}, _OTHERS)
    if report.not_run:
        page.heading("Not done")
        for entry in report.not_run:
            page.paragraph(entry.reason, first="  ")
    sections.bugs(page, report)


def _file(page: Page, capture: CaptureObservation) -> None:
    page.heading(f"Capture {capture.path}")
    page.paragraph(capture_facts.origin(capture), first="  ")
    page.paragraph(capture_facts.span(capture), first="  ")
    page.paragraph(capture_facts.connections(capture), first="  ")
    symbol, style = sections.sign(page, sections.MARKS["warning"])
    for loss in capture_facts.losses(capture):
        page.block(page.text("  ", (symbol, style), " "), page.text(loss), "    ")
    comments = capture.comments[: None if page.layout.verbose else _COMMENTS]
    for comment in comments:
        page.paragraph(comment, first="  # ")
    if len(comments) < len(capture.comments):
        page.paragraph(
            f"and {units.counted(len(capture.comments) - len(comments), 'more comment')} (--verbose lists them)",
            first="    ",
        )
    for remark in capture.remarks[: None if page.layout.verbose else _REMARKS]:
        page.paragraph(remark, first="  i ")


def _servers(page: Page, worst: Worst, services: Sequence[ServiceObservation]) -> None:
    """A line for each server; one without an address stands for all that the report has no room for."""
    if not services:
        return
    named = [service for service in services if service.address]
    shown = [*named[: page.layout.top], *(service for service in services if not service.address)]
    left = len(services) - len(shown)
    page.heading(f"Servers{f': the worst {page.layout.top} of {len(named)} (--top lists more)' if left else ''}")
    titles = rows.SERVER_TITLES
    numbers = [rows.server_numbers(service) for service in shown]
    widths = [max(len(row[n]) for row in (titles, *numbers)) + 2 for n in range(len(titles))]
    room = page.width - 4 - sum(widths)
    page.line(page.text(("    " + " " * room + _columns(titles, widths), "dim")))
    for service, row in zip(shown, numbers, strict=True):
        symbol, style = sections.sign(page, sections.MARKS[worst.mark(service)])
        lead = page.text("  ", (symbol, style), " ")
        place = page.text(authority(service.address, service.port) if service.address else "all others")
        name = page.text(" ", ", ".join(service.names[:2])) if service.names else Text()
        if place.cells + name.cells > room:  # the numbers stand beside the name, or else alone
            page.line(lead + place)
            lead, place, name = Text.of("    "), Text(), page.crop(name, room)
        page.line(lead + (place + name).pad(room) + page.text(_columns(row, widths)))


def _columns(words: Sequence[str], widths: Sequence[int]) -> str:
    return "".join(f"{word:>{width}}" for word, width in zip(words, widths, strict=True))


def _conversations(page: Page, worst: Worst, conversations: Sequence[ConnectionObservation], total: int) -> None:
    if not conversations:
        return
    shown = in_turn(worst, conversations)[: page.layout.top]
    page.heading(f"Conversations{rows.how_many(shown, conversations, max(total, len(conversations)))}")
    number = max(len(f"{o.connection.number:,}") for o in shown)
    indent = " " * (6 + number)
    titles = rows.CONVERSATION_TITLES
    found = [rows.conversation_columns(o.connection) for o in shown]
    widths = [max(len(row[n]) for row in (titles, *found)) for n in range(len(titles))]
    page.line(page.text((f"    {'no':>{number}}  client → server, name", "dim")))
    page.line(page.text((indent + _conversation_row(titles, widths), "dim")))
    for observation, row in zip(shown, found, strict=True):
        c = observation.connection
        symbol, style = sections.sign(page, sections.MARKS[worst.mark(observation)])
        lead = page.text("  ", (symbol, style), f" {c.number:>{number},}  ")
        page.block(lead, page.text((capture_facts.ends(c), "bold"), f"  {c.name}" if c.name else ""), indent)
        lead = page.text(f"{indent}{_conversation_row(row, widths)}  ")
        what = page.text(", ".join(rows.remarks(c)))
        if not len(what) or page.width - lead.cells < what.cells:
            page.line(lead)
            lead = Text.of(indent)
        if len(what):
            page.block(lead, what, indent)


def _conversation_row(row: Sequence[str], widths: Sequence[int]) -> str:
    """The first two flush left, the numbers flush right."""
    words = [f"{word:<{width}}" for word, width in zip(row[:2], widths[:2], strict=True)]
    return "  ".join([*words, *(f"{word:>{width}}" for word, width in zip(row[2:], widths[2:], strict=True))])


def _drawings(page: Page, worst: Worst, conversations: Sequence[ConnectionObservation]) -> None:
    chosen = list(drawn(page.layout, worst, conversations))
    for number, observation, whole in chosen:
        if observation is None:
            page.heading(rows.not_here(number))
        else:
            _drawing(page, worst, observation, whole=whole)
    if conversations and not chosen:
        page.blank()
        page.paragraph(rows.HINT, first="  ")


def _drawing(page: Page, worst: Worst, observation: ConnectionObservation, *, whole: bool) -> None:
    page.heading(rows.title(observation.connection))
    page.paragraph(rows.trouble(worst, observation), first="  ")
    page.paragraph((rows.about(observation), "dim"), first="  ")
    if observation.segments:
        draw(page, observation, whole=whole)
        if whole:
            plot.draw(page, observation)
    else:
        page.paragraph(rows.without_packets(observation), first="  ")


def _resets(page: Page, worst: Worst, report: Report) -> None:
    page.heading(rows.resets_title(report))
    for mark, place, more, lines in rows.resets(report, worst):
        symbol, style = sections.sign(page, sections.MARKS[mark])
        page.block(page.text("  ", (symbol, style), " "), page.text((place, "bold"), more), "    ")
        for line in lines:
            page.paragraph(line, first="    ", rest="      ")
    if report.more_resets:
        page.paragraph(rows.more_resets(report), first="  ")
