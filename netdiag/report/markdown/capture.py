"""What a report on a capture has besides: the file, its servers and conversations, the worst one drawn, the resets.

Contract: as body.py. What is worst, and the words, are those of text reports (worst.py, capture_rows.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

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
from netdiag.report import capture_facts, comparison, plot, sections
from netdiag.report import capture_rows as rows
from netdiag.report.drawing import draw
from netdiag.report.markdown import body
from netdiag.report.markdown.document import Document
from netdiag.report.worst import Worst, drawn, every, in_turn

#: Comments and oddities of the file that are told without --verbose.
_REMARKS = 5
#: Resets that are listed without --verbose.
_RESETS = 40

#: What has a place of its own above the list of everything else.
_TOLD = (
    CaptureObservation,
    ServiceObservation,
    ConnectionObservation,
    ResetObservation,
    TcpObservation,
    AlignmentObservation,
    AlignedObservation,
)


def rest(document: Document, report: Report) -> None:
    """Everything below the verdict."""
    worst = Worst(report)
    conversations = worst.sorted(every(report, ConnectionObservation))
    captures = every(report, CaptureObservation)
    body.findings(document, report)
    for capture in captures:
        _file(document, capture)
    _comparison(document, report)
    _servers(document, worst, worst.sorted(every(report, ServiceObservation)))
    _conversations(document, worst, conversations, captures[0].connections)
    _drawings(document, worst, conversations)
    if document.layout.resets or report.resets:
        _resets(document, worst, report)
    body.observed(document, report, {o.id for o in report.observations if isinstance(o, _TOLD)})
    body.not_done(document, report)
    body.bugs(document, report)


def _file(document: Document, capture: CaptureObservation) -> None:
    document.heading(3, "Capture", document.code(capture.path))
    most = None if document.layout.verbose else _REMARKS
    warning = document.sign(sections.MARKS["warning"])
    document.items(
        [
            capture_facts.origin(capture),
            capture_facts.span(capture),
            capture_facts.connections(capture),
            *(document.text(warning, loss) for loss in capture_facts.losses(capture)),
            *(document.text("Comment:", comment) for comment in capture.comments[:most]),
            *capture.remarks[:most],
        ]
    )
    if most is not None:
        document.more(len(capture.comments) - most, "comment", "--verbose lists them")
        document.more(len(capture.remarks) - most, "remark", "--verbose lists them")


def _comparison(document: Document, report: Report) -> None:
    """What two captures say together; nothing for one."""
    alignment = comparison.alignment_of(report)
    if alignment is not None:
        document.heading(3, comparison.heading(alignment))
        document.items(list(comparison.facts(alignment)))
        document.drawing(partial(comparison.tables, report=report))


def _servers(document: Document, worst: Worst, services: Sequence[ServiceObservation]) -> None:
    """One without an address stands for all that the report has no room for."""
    top = document.layout.top
    named = [service for service in services if service.address]
    shown = [*named[:top], *(service for service in services if not service.address)]
    if not shown:
        return
    document.heading(3, f"Servers{rows.how_many(named[:top], named, len(named))}")
    table = [
        (
            document.sign(sections.MARKS[worst.mark(service)]),
            document.code(authority(service.address, service.port)) if service.address else "all others",
            document.text(*map(document.code, service.names[:2])),
            *rows.server_numbers(service),
        )
        for service in shown
    ]
    document.table(("", "Server", "Name", *rows.SERVER_TITLES), table, numbers=range(3, 9))


def _conversations(
    document: Document, worst: Worst, conversations: Sequence[ConnectionObservation], total: int
) -> None:
    if not conversations:
        return
    shown = in_turn(worst, conversations)[: document.layout.top]
    document.heading(3, f"Conversations{rows.how_many(shown, conversations, max(total, len(conversations)))}")
    table = [
        (
            document.sign(sections.MARKS[worst.mark(o)]),
            f"{o.connection.number:,}",
            document.code(capture_facts.ends(o.connection)),
            document.code(o.connection.name),
            *rows.conversation_columns(o.connection),
            ", ".join(rows.remarks(o.connection)),
        )
        for o in shown
    ]
    titles = ("", "no", "client → server", "name", *rows.CONVERSATION_TITLES, "what happened")
    document.table(titles, table, numbers=(1, 6, 7, 8))


def _drawings(document: Document, worst: Worst, conversations: Sequence[ConnectionObservation]) -> None:
    for number, observation, whole in drawn(document.layout, worst, conversations):
        if observation is None:
            document.heading(3, rows.not_here(number))
            continue
        document.heading(3, rows.title(observation.connection))
        document.paragraph(rows.trouble(worst, observation))
        document.paragraph(rows.about(observation))
        if observation.segments:
            document.drawing(partial(draw, observation=observation, whole=whole))
            if whole:
                document.drawing(partial(plot.draw, observation=observation))
        else:
            document.paragraph(rows.without_packets(observation))


def _resets(document: Document, worst: Worst, report: Report) -> None:
    document.heading(3, rows.resets_title(report))
    found = list(rows.resets(report, worst))
    most = len(found) if document.layout.verbose else _RESETS
    document.items(
        [
            (document.text(document.sign(sections.MARKS[mark]), f"{place}{more}"), lines)
            for mark, place, more, lines in found[:most]
        ]
    )
    document.more(len(found) - most, "reset connection", "--verbose lists them")
    if report.more_resets:
        document.paragraph(rows.more_resets(report))
