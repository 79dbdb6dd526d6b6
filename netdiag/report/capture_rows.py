"""What a report on a capture says of servers, conversations and resets, row by row; for any printer. Pure.

Contract: as facts.py: the strings hold untrusted text as it came.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import TYPE_CHECKING

from netdiag.model import (
    CaptureObservation,
    Connection,
    ConnectionObservation,
    Report,
    ResetEntry,
    ResetObservation,
    ServiceObservation,
)
from netdiag.report import capture_facts, units
from netdiag.report.worst import NOT_BLAMED, Worst, every

if TYPE_CHECKING:  # a report on a file has no ladder, and need not load it
    from netdiag.report.ladder import Mark

#: Titles of the columns.
SERVER_TITLES = ("total", "silent", "refused", "reset", "resent", "RTT")
CONVERSATION_TITLES = ("opening", "closing", "sent", "received", "resent")

#: For a capture in which nothing is wrong.
HINT = "--conversation N draws one of them."


def server_numbers(service: ServiceObservation) -> tuple[str, ...]:
    """How many there were, how many got no answer, were refused, reset, sent again; and the round trip."""
    silent = service.unanswered + service.unfinished
    opened = [f"{count:,}" for count in (service.connections, silent, service.refused)]
    if not service.address:  # of a sum no more is known
        return (*opened, "", "", "")
    resets = service.reset_early + service.reset_late
    rtt = "" if service.rtt_ms is None else units.milliseconds(service.rtt_ms / 1000)
    return (*opened, f"{resets:,}", f"{service.retransmissions:,}", rtt)


def how_many(shown: Sequence[object], held: Sequence[object], total: int) -> str:
    """How many of them stand here, and where the others are."""
    if len(shown) >= total:
        return ""
    more = "--top lists more" if len(shown) < len(held) else "--flows writes them all"
    return f": the worst {len(shown):,} of {total:,} ({more})"


def conversation_columns(c: Connection) -> tuple[str, ...]:
    """How it began and ended, what was sent each way, how much again."""
    again = c.retransmissions_client + c.retransmissions_server
    return c.opening, c.closing, units.size(c.bytes_client), units.size(c.bytes_server), f"{again:,}"


def remarks(c: Connection) -> list[str]:
    """What went wrong, and whose it was."""
    return [*capture_facts.trouble(c), *([f"owned by {c.process}"] if c.process else [])]


def not_here(number: int) -> str:
    """That there is nothing to draw."""
    return f"Conversation {number}: not in this capture, or not among what was asked for"


def title(c: Connection) -> str:
    """Which conversation it is."""
    return f"Conversation {c.number}: {capture_facts.ends(c)}{f' ({c.name})' if c.name else ''}"


def trouble(worst: Worst, observation: ConnectionObservation) -> str:
    """What went wrong, and the finding that rests on it."""
    words = ", ".join(capture_facts.trouble(observation.connection)) or "nothing unusual"
    identifier = worst.id_of(observation)
    return f"{words} ({identifier})" if identifier else words


def about(observation: ConnectionObservation) -> str:
    """When it began, whose it was, what was spoken."""
    c = observation.connection
    began = f"began {units.moment(c.started, 3)}" if c.started else ""
    facts = [began, f"owned by {c.process}" if c.process else "", observation.protocol, observation.exchange]
    return ", ".join(word for word in facts if word)


def without_packets(observation: ConnectionObservation) -> str:
    """Why there is no drawing."""
    return f"Its packets are not in the report; --conversation {observation.connection.number} keeps them."


def resets_title(report: Report) -> str:
    """How many there are, and how many are listed."""
    seen = sum(capture.rst for capture in every(report, CaptureObservation)[:1])
    listed = len({e.connection for e in report.resets}) or len(every(report, ResetObservation))
    if not seen and not listed:
        return "Resets: none"
    return f"Resets: {units.counted(seen, 'packet')}, {units.counted(listed, 'connection')} listed"


def more_resets(report: Report) -> str:
    """How many are not listed."""
    return f"and {units.counted(report.more_resets, 'more connection')} with a reset (--flows writes them all)"


def resets(report: Report, worst: Worst) -> Iterator[tuple[Mark, str, str, Sequence[str]]]:
    """Each side of each connection with a reset: mark, place, name and finding, what it tells; the worst first."""
    observed = worst.sorted(every(report, ResetObservation))
    if not report.resets:
        connections = {o.id: o.connection for o in every(report, ConnectionObservation)}
        for o in observed:
            c = connections.get(o.parent or "")
            place = f"conversation {c.number}, {capture_facts.ends(c)}" if c else capture_facts.place(o)
            yield worst.mark(o), place, _more(o.server_name, worst.id_of(o)), capture_facts.reset_lines(o)
        return
    symbols = {o.id: (worst.mark(o), worst.id_of(o), worst.finding(o)) for o in observed}
    unknown: tuple[Mark, str, int] = ("not-run", "", NOT_BLAMED)
    marked = [(*symbols.get(f"reset-{e.connection}-{e.claimed}", unknown), e) for e in report.resets]
    for mark, identifier, _, e in sorted(marked, key=itemgetter(2)):
        place = f"conversation {e.connection:,}, {capture_facts.flow_ends(e.flow)}"
        yield mark, place, _more(e.name, identifier), _entry_lines(e)


def _more(name: str, identifier: str) -> str:
    return f"{f' ({name})' if name else ''}{f'  {identifier}' if identifier else ''}"


def _entry_lines(e: ResetEntry) -> list[str]:
    first = "" if e.frame is None or e.at is None else f", the first in frame {e.frame:,} at {units.moment(e.at, 3)}"
    began = f" of a connection begun {units.moment(e.started, 3)}" if not first and e.started else ""
    count = units.counted(e.count, "reset")
    return [f"{count} with the {e.claimed}'s address{first}{began}. {e.conclusion}.", *e.arithmetic]
