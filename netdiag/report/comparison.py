"""Two captures of the same traffic -> text: clocks, distance, and the conversation in question packet by packet.

Contract: pure, like the other sections; nothing is judged. Frames stand in a column for each capture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netdiag.model import AlignedObservation, AlignedPacket, AlignmentObservation, Report
from netdiag.report import capture_facts
from netdiag.report.page import Page
from netdiag.report.styled import Text
from netdiag.report.units import counted

#: Packets of the table, without --verbose.
_ROWS = 24


def section(page: Page, report: Report) -> None:
    """What two captures say together; nothing for one."""
    alignment = alignment_of(report)
    if alignment is None:
        return
    page.heading(heading(alignment))
    for line in facts(alignment):
        page.paragraph(line, first="  ")
    tables(page, report)


def alignment_of(report: Report) -> AlignmentObservation | None:
    """How the two captures lie to each other; None for one."""
    return next((o for o in report.observations if isinstance(o, AlignmentObservation)), None)


def heading(alignment: AlignmentObservation) -> str:
    """Which two."""
    return f"Two captures: {name(alignment.path)} and {name(alignment.other)}"


def tables(page: Page, report: Report) -> None:
    """The conversation in question packet by packet, or those that were asked for."""
    compared = [o for o in report.observations if isinstance(o, AlignedObservation)]
    in_question = worst_first(report, compared)
    asked = [o for o in compared if o.connection is not None and o.connection in page.layout.conversations]
    for observation in asked or in_question[:1]:
        _table(page, observation)
    more = sum(o.only_here + o.only_there > 0 for o in in_question[1:]) if not asked else 0
    if more:
        page.paragraph(f"{counted(more, 'more conversation')} differ; --conversation N compares one.", first="  ")


def worst_first(report: Report, compared: Sequence[AlignedObservation]) -> list[AlignedObservation]:
    """Those that findings rest on, then those that differ most."""
    cited = {identifier: n for n, finding in enumerate(report.findings) for identifier in reversed(finding.evidence)}
    return sorted(compared, key=lambda o: (cited.get(o.id, len(cited)), -o.only_here - o.only_there))


def name(path: str) -> str:
    """A file without its folders."""
    return path.replace("\\", "/").rpartition("/")[2] or path


def facts(o: AlignmentObservation) -> Iterator[str]:
    """Clocks, distance, connections: a sentence each."""
    here, there = name(o.path), name(o.other)
    if o.offset_s is None:
        yield "No packet is in both, so that their clocks and places cannot be compared."
    else:
        yield _clocks(o, there)
    if o.nearer_client:
        nearer, farther = (here, there) if o.nearer_client == "this" else (there, here)
        routers = "no router" if not o.routers else counted(o.routers, "router")
        yield f"{nearer} was taken nearer to the client, {farther} nearer to the server; {routers} between."
    parts = [f"{counted(o.matched, 'conversation')} found in both"]
    parts += [f"{o.only_here:,} only in {here}"] if o.only_here else []
    parts += [f"{o.only_there:,} only in {there}"] if o.only_there else []
    parts += [f"{o.terminated:,} carried on by another connection, as a proxy does"] if o.terminated else []
    yield f"{', '.join(parts)}."
    if o.translated:
        yield f"Addresses are translated: {', '.join(f'{one} → {other}' for one, other in o.translated)}."


def _clocks(o: AlignmentObservation, there: str) -> str:
    assert o.offset_s is not None
    compared = counted(o.forth + o.back, "packet")
    if o.uncertainty_s is None:
        return f"The clock of {there} is {_short(o.offset_s)} or less, by {compared} of one direction only."
    words = f"The clock of {there} is {_short(o.offset_s)}, give or take {_unsigned(o.uncertainty_s)}, by {compared}"
    if o.drift_ppm:
        words += f", and drifts by {o.drift_ppm:+.1f} ppm"
    return f"{words}; from one place to the other takes {_unsigned(o.delay_s or 0.0)}."


def _short(seconds: float) -> str:
    return f"{_unsigned(seconds)} {'ahead' if seconds >= 0 else 'behind'}"


def _unsigned(seconds: float) -> str:
    """``13 µs``, ``10.3 ms``, ``2.501 s``."""
    value = abs(seconds)
    if value < 0.001:
        return f"{value * 1e6:.0f} µs"
    return f"{value * 1000:.1f} ms" if value < 1 else f"{value:,.3f} s"


def ends(o: AlignedObservation) -> str:
    """Client and server, and how the other capture knows them."""
    words = ""
    for flow in (o.flow, o.other_flow):
        if flow is not None:
            arrow = capture_facts.flow_ends(flow)
            words = f"{words}; there {arrow}" if words else arrow
    return words


def title(o: AlignedObservation) -> str:
    """``Conversation 7``, by its number in this capture, or in the other one."""
    return f"Conversation {o.connection}" if o.connection is not None else f"Conversation {o.other_connection} there"


def _table(page: Page, o: AlignedObservation) -> None:
    page.blank()
    page.paragraph((f"{title(o)}: ", "bold"), ends(o), first="  ")
    rows = o.packets if page.layout.verbose else few(o.packets)
    if not rows:
        return
    labels = [name(o.path), name(o.other)]
    if len(labels[0]) > _COLUMN or len(labels[1]) > _COLUMN:
        labels = ["here", "there"]
    width = max(*map(len, labels), *(len(f"{frame:,}") for p in rows for frame in (p.frame or 0, p.other_frame or 0)))
    page.line(page.text((f"  {labels[0]:>{width}}  {labels[1]:>{width}}    seconds  packet", "dim")))
    start = min(p.at for p in o.packets)
    for packet in rows:
        page.line(_row(page, packet, width, start))
        for words in packet.changes:
            page.paragraph(f"changed: {words}", first=" " * (2 * width + 18))
    left = o.omitted + len(o.packets) - len(rows)
    if left:
        page.paragraph(f"and {counted(left, 'more packet')}, in both alike where nothing is said", first="  ")


_COLUMN = 16


def few(packets: Sequence[AlignedPacket]) -> Sequence[AlignedPacket]:
    """Those that differ, and the first of the others."""
    told = [n for n, p in enumerate(packets) if p.missing or p.changes or "RST" in p.flags]
    rest = [n for n in range(len(packets)) if n not in set(told)]
    chosen = sorted([*told[:_ROWS], *rest[: max(_ROWS - len(told), 0)]])
    return [packets[n] for n in chosen]


def _row(page: Page, p: AlignedPacket, width: int, start: float) -> Text:
    frames = [f"{frame:,}" if frame is not None else "-" for frame in (p.frame, p.other_frame)]
    arrow = "→" if p.sender == "client" else "←"
    alone = only(p)
    style = "red" if p.missing else ""
    lead = page.text((f"  {frames[0]:>{width}}  {frames[1]:>{width}}  {p.at - start:9.6f}  ", "dim"))
    return lead + page.text((f"{arrow} {packet_words(p)}", style), (f"  {alone}" if alone else "", "bold"))


def packet_words(p: AlignedPacket) -> str:
    """``PSH,ACK len 517, TTL 64 and 62``."""
    ttls = [str(ttl) for ttl in (p.ttl, p.other_ttl) if ttl is not None]
    return f"{p.flags or 'no flags'}{f' len {p.length}' if p.length else ''}, TTL {' and '.join(ttls)}"


def only(p: AlignedPacket) -> str:
    """Which capture alone has it, and whether that means something; empty for a packet in both."""
    if p.frame is not None and p.other_frame is not None:
        return ""
    place = "here" if p.frame is not None else "there"
    return f"only {place}" if p.missing else f"{place}; the other capture does not tell"


def describe_alignment(o: AlignmentObservation) -> str:
    """In a line."""
    return f"{name(o.path)} and {name(o.other)}: {' '.join(facts(o))}"


def describe_aligned(o: AlignedObservation) -> str:
    """One connection in both captures, in a line."""
    parts = [f"{counted(o.both, 'packet')} in both"]
    parts += [f"{o.only_here:,} only in {name(o.path)}"] if o.only_here else []
    parts += [f"{o.only_there:,} only in {name(o.other)}"] if o.only_there else []
    parts += [f"{words} ({sender}, {count:,} times)" for sender, words, count in o.changes[:3]]
    number = title(o)
    return f"{number[0].lower()}{number[1:]}, {ends(o)}: {', '.join(parts)}"
