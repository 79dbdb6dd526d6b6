"""``Report`` on a capture -> text: findings, the file, its servers and conversations, the worst one drawn.

Contract: pure. What is worst follows from the findings: whatever the gravest rests on comes first, then what failed.
The printer itself judges nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import TYPE_CHECKING

from netdiag.model import (
    AlignedObservation,
    AlignmentObservation,
    CaptureObservation,
    Connection,
    ConnectionObservation,
    Report,
    ResetObservation,
    ServiceObservation,
    TcpObservation,
    authority,
)
from netdiag.report import capture_facts, comparison, sections, units
from netdiag.report.drawing import draw
from netdiag.report.page import Page
from netdiag.report.styled import Text
from netdiag.report.worst import NOT_BLAMED, Worst, every, in_turn

if TYPE_CHECKING:  # a report on a file has no ladder, and need not load it
    from netdiag.report.ladder import Mark

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
    count = units.counted(capture.connections, "TCP connection")
    said = capture_facts.outcomes(capture)
    page.paragraph(f"{count}: {said}" if said else count, first="  ")
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
    titles = ("total", "silent", "refused", "reset", "resent", "RTT")
    numbers = [_server_numbers(service) for service in shown]
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


def _server_numbers(service: ServiceObservation) -> tuple[str, ...]:
    silent = service.unanswered + service.unfinished
    opened = [f"{count:,}" for count in (service.connections, silent, service.refused)]
    if not service.address:  # of a sum no more is known
        return (*opened, "", "", "")
    resets = service.reset_early + service.reset_late
    rtt = "" if service.rtt_ms is None else units.milliseconds(service.rtt_ms / 1000)
    return (*opened, f"{resets:,}", f"{service.retransmissions:,}", rtt)


def _columns(words: Sequence[str], widths: Sequence[int]) -> str:
    return "".join(f"{word:>{width}}" for word, width in zip(words, widths, strict=True))


def _of(shown: Sequence[object], held: Sequence[object], total: int) -> str:
    """How many of them stand here, and where the others are."""
    if len(shown) >= total:
        return ""
    more = "--top lists more" if len(shown) < len(held) else "--flows writes them all"
    return f": the worst {len(shown):,} of {total:,} ({more})"


def _conversations(page: Page, worst: Worst, conversations: Sequence[ConnectionObservation], total: int) -> None:
    if not conversations:
        return
    shown = in_turn(worst, conversations)[: page.layout.top]
    page.heading(f"Conversations{_of(shown, conversations, max(total, len(conversations)))}")
    number = max(len(f"{o.connection.number:,}") for o in shown)
    indent = " " * (6 + number)
    titles = ("opening", "closing", "sent", "received", "resent")
    rows = [_conversation_columns(o.connection) for o in shown]
    widths = [max(len(row[n]) for row in (titles, *rows)) for n in range(len(titles))]
    page.line(page.text((f"    {'no':>{number}}  client → server, name", "dim")))
    page.line(page.text((indent + _conversation_row(titles, widths), "dim")))
    for observation, row in zip(shown, rows, strict=True):
        c = observation.connection
        symbol, style = sections.sign(page, sections.MARKS[worst.mark(observation)])
        lead = page.text("  ", (symbol, style), f" {c.number:>{number},}  ")
        page.block(lead, page.text((capture_facts.ends(c), "bold"), f"  {c.name}" if c.name else ""), indent)
        lead = page.text(f"{indent}{_conversation_row(row, widths)}  ")
        what = page.text(", ".join([*capture_facts.trouble(c), *([f"owned by {c.process}"] if c.process else [])]))
        if not len(what) or page.width - lead.cells < what.cells:
            page.line(lead)
            lead = Text.of(indent)
        if len(what):
            page.block(lead, what, indent)


def _conversation_columns(c: Connection) -> tuple[str, ...]:
    again = c.retransmissions_client + c.retransmissions_server
    return c.opening, c.closing, units.size(c.bytes_client), units.size(c.bytes_server), f"{again:,}"


def _conversation_row(row: Sequence[str], widths: Sequence[int]) -> str:
    """The first two flush left, the numbers flush right."""
    words = [f"{word:<{width}}" for word, width in zip(row[:2], widths[:2], strict=True)]
    return "  ".join([*words, *(f"{word:>{width}}" for word, width in zip(row[2:], widths[2:], strict=True))])


def _drawings(page: Page, worst: Worst, conversations: Sequence[ConnectionObservation]) -> None:
    asked = page.layout.conversations
    if asked:
        found = {o.connection.number: o for o in conversations}
        for number in asked:
            if number not in found:
                page.heading(f"Conversation {number}: not in this capture, or not among what was asked for")
            else:
                _drawing(page, worst, found[number], whole=True)
        return
    # A conversation that went well is worth drawing when there is nothing else to look at.
    first = next((o for o in conversations if o.segments), None)
    if first is not None and (len(conversations) == 1 or worst.mark(first) != "ok"):
        _drawing(page, worst, first, whole=page.layout.verbose)
    elif conversations:
        page.blank()
        page.paragraph("--conversation N draws one of them.", first="  ")


def _drawing(page: Page, worst: Worst, observation: ConnectionObservation, *, whole: bool) -> None:
    c = observation.connection
    name = f" ({c.name})" if c.name else ""
    page.heading(f"Conversation {c.number}: {capture_facts.ends(c)}{name}")
    words = [*capture_facts.trouble(c)] or ["nothing unusual"]
    identifier = worst.id_of(observation)
    page.paragraph(", ".join(words), f" ({identifier})" if identifier else "", first="  ")
    began = f"began {units.moment(c.started, 3)}" if c.started else ""
    facts = [began, f"owned by {c.process}" if c.process else "", observation.protocol, observation.exchange]
    page.paragraph((", ".join(word for word in facts if word), "dim"), first="  ")
    if observation.segments:
        draw(page, observation, whole=whole)
    else:
        page.paragraph(f"Its packets are not in the report; --conversation {c.number} keeps them.", first="  ")


def _resets(page: Page, worst: Worst, report: Report) -> None:
    if report.resets:
        _every_reset(page, worst, report)
        return
    resets = worst.sorted(every(report, ResetObservation))
    seen = sum(capture.rst for capture in every(report, CaptureObservation)[:1])
    listed = f"{units.counted(seen, 'packet')}, {units.counted(len(resets), 'connection')} listed"
    page.heading(f"Resets: {listed if seen or resets else 'none'}")
    connections = {o.id: o.connection for o in every(report, ConnectionObservation)}
    for observation in resets:
        c = connections.get(observation.parent or "")
        symbol, style = sections.sign(page, sections.MARKS[worst.mark(observation)])
        where = f"conversation {c.number}, {capture_facts.ends(c)}" if c else capture_facts.place(observation)
        identifier = worst.id_of(observation)
        lead = page.text("  ", (symbol, style), " ")
        name = f" ({observation.server_name})" if observation.server_name else ""
        page.block(lead, page.text((where, "bold"), name, f"  {identifier}" if identifier else ""), "    ")
        for line in capture_facts.reset_lines(observation):
            page.paragraph(line, first="    ", rest="      ")


def _every_reset(page: Page, worst: Worst, report: Report) -> None:
    """Each side of each connection with a reset; those that findings rest on first."""
    seen = sum(capture.rst for capture in every(report, CaptureObservation)[:1])
    connections = len({entry.connection for entry in report.resets})
    page.heading(f"Resets: {units.counted(seen, 'packet')}, {units.counted(connections, 'connection')} listed")
    symbols = {o.id: (worst.mark(o), worst.id_of(o), worst.finding(o)) for o in every(report, ResetObservation)}
    unknown: tuple[Mark, str, int] = ("not-run", "", NOT_BLAMED)
    marked = [(*symbols.get(f"reset-{e.connection}-{e.claimed}", unknown), e) for e in report.resets]
    for mark, identifier, _, e in sorted(marked, key=itemgetter(2)):
        symbol, style = sections.sign(page, sections.MARKS[mark])
        where = f"conversation {e.connection:,}, {capture_facts.flow_ends(e.flow)}"
        more = f"{f' ({e.name})' if e.name else ''}{f'  {identifier}' if identifier else ''}"
        page.block(page.text("  ", (symbol, style), " "), page.text((where, "bold"), more), "    ")
        first = (
            "" if e.frame is None or e.at is None else f", the first in frame {e.frame:,} at {units.moment(e.at, 3)}"
        )
        began = f" of a connection begun {units.moment(e.started, 3)}" if not first and e.started else ""
        page.paragraph(
            f"{units.counted(e.count, 'reset')} with the {e.claimed}'s address{first}{began}. {e.conclusion}.",
            first="    ",
            rest="      ",
        )
        for line in e.arithmetic:
            page.paragraph(line, first="    ", rest="      ")
    if report.more_resets:
        page.paragraph(
            f"and {units.counted(report.more_resets, 'more connection')} with a reset (--flows writes them all)",
            first="  ",
        )
