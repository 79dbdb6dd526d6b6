"""The way to a server, drawn: a line down for each trace, through the hops that let it pass, to where it ended.

Contract: as sections.py. What stands where is in hops.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netdiag.model import Report, TraceMode, authority
from netdiag.report import arithmetic, sections, trace_facts
from netdiag.report.hops import End, Path, Row, paths
from netdiag.report.page import Page
from netdiag.report.styled import Text

#: So many hops with nothing to say become one line.
_RUN = 4

#: What the device at a hop does to what ended there.
_DOES = {
    "none": "swallows",
    "reset": "resets",
    "refused": "refuses",
    "closed": "closes the connection after",
    "prohibited": "forbids",
    "unreachable": "has no way for",
}
_GOOD: dict[TraceMode, str] = {
    "syn": "answered with a SYN-ACK, the port is open",
    "data": "answered",
    "udp": "answered (port unreachable) by the host itself",
}


def section(page: Page, report: Report) -> None:
    """Each path that was traced, with its arithmetic."""
    for path in paths(report):
        page.heading(f"Path to {authority(path.address, path.port)}")
        draw(page, report, path)


def draw(page: Page, report: Report, path: Path) -> None:
    """One path, and its arithmetic."""
    _Drawing(page, path, folded=not page.layout.verbose and report.command != "trace").draw()
    for line in arithmetic.lines(report, path):
        _sentence(page, line)


def _sentence(page: Page, line: str) -> None:
    """Two clauses side by side where there is room, else one below the other."""
    clauses = [line] if len(line) + 2 <= page.width else line.replace("; ", ";\n").split("\n")
    for n, clause in enumerate(clauses):
        page.paragraph(clause, first="    " if n else "  ", rest="      ")


class _Drawing:
    """The lines of one path: sign, hop, a line for each trace, and what stands there."""

    def __init__(self, page: Page, path: Path, *, folded: bool) -> None:
        self._page = page
        self._path = path
        self._ends = path.ends
        last = max((row.ttl or 0 for row in path.rows), default=0)
        self._runs = runs(path, folded=folded)
        self._number = max(len(span(path.rows[start], path.rows[stop - 1])) for start, stop in self._runs)
        self._number = max(self._number, len(str(last)))
        self._bar, self._top = ("│", "┌") if page.layout.unicode else ("|", ".")

    def draw(self) -> None:
        """The traces' titles, then row by row."""
        for n, end in enumerate(self._ends):
            bars = f"{self._bar} " * n + f"{self._top} "
            self._block(
                self._lead(None, "") + Text.of(bars), self._page.text((trace_facts.title(end.trace), "dim")), bars
            )
        for start, stop in self._runs:
            if stop - start > 1:
                self._run(self._path.rows[start:stop], start)
            else:
                self._row(start)

    def _run(self, rows: Sequence[Row], start: int) -> None:
        words = run_words(rows)
        lead = self._lead(None, span(rows[0], rows[-1]))
        self._block(lead + self._bars(start), self._page.text((words, "dim")), self._plain_bars(start))

    def _row(self, n: int) -> None:
        row = self._path.rows[n]
        ended = [end for end in self._ends if end.row == n]
        worst = next((end for end in ended if not end.good), next(iter(ended), None))
        lead = self._lead(worst, span(row, row)) + self._bars(n)
        blamed = any(end.finding for end in ended)
        for who, rest, time in places(self._path, n):
            style = "bold red" if blamed and who else "bold" if row.peer else ""
            body = self._page.text((who, style), rest, (f"  {time}" if time else "", "dim"))
            self._block(lead, body, self._plain_bars(n, after=True))
            lead = self._lead(None, "") + Text.of(self._plain_bars(n, after=True))
        for end in ended:
            said = self._page.text((note(end, n, self._path), "" if end.good else mark(end)[2]))
            self._block(lead, said, self._plain_bars(n, after=True))

    def _lead(self, end: End | None, number: str) -> Text:
        sign = sections.sign(self._page, mark(end)) if end else (" ", "")
        return self._page.text("  ", sign, f" {number:>{self._number}}  ")

    def _bars(self, n: int) -> Text:
        """The traces' lines beside row ``n``: still going down, ending here, or ended above."""
        found = Text()
        for end in self._ends:
            symbol = self._bar if n < end.row else " "
            style = ""
            if n == end.row:
                symbol, style = sections.sign(self._page, mark(end))
            found += Text.of(symbol, style) + Text.of(" ")
        return found + Text.of(" ")

    def _plain_bars(self, n: int, *, after: bool = False) -> str:
        """The same for the lines that follow within a row."""
        going = n + 1 if after else n
        return "".join(f"{self._bar if going <= end.row else ' '} " for end in self._ends) + " "

    def _block(self, lead: Text, body: Text, bars: str) -> None:
        indent = " " * self._lead(None, "").cells
        self._page.block(lead, body, indent + bars)


def places(path: Path, n: int) -> Iterator[tuple[str, str, str]]:
    """Who stands at row ``n``, one entry an address: the address, what is known of it, the round trip."""
    row = path.rows[n]
    if n == 0:
        yield "", f"{path.client}, this machine" if path.client else "this machine", ""
        return
    if not row.addresses:
        yield "", "a router whose address is not known" if row.answered else "*", ""
    ends = {end.row for end in path.ends}
    for address, rtt_ms in row.addresses:
        name = path.names.get(address, "")
        whom = f", {path.whom}" if row.peer else ""
        missed = ": not reached" if row.peer and n not in ends else ""
        named = f" ({name})" if name else ""
        yield address, f"{named}{whom}{missed}", "" if rtt_ms is None else f"{rtt_ms:.1f} ms"


def runs(path: Path, *, folded: bool) -> tuple[tuple[int, int], ...]:
    """Where each line's rows begin and end: runs with nothing to say in one, those that never answered too."""
    rows = path.rows
    peer = len(rows) - 1
    ends = {end.row for end in path.ends}
    told = {0, 1, peer, *(n + step for n in ends for step in (-1, 0, 1))}
    silent = peer if rows[peer].ttl is not None else max(_known(rows), *(ends - {peer}), 0) + 1
    found = []
    start = 0
    while start < len(rows):
        stop = start + 1
        while stop < len(rows) and start not in told and stop not in told and (folded or start >= silent):
            stop += 1
        if start >= silent and start < peer:
            stop = peer
        elif stop - start < _RUN:
            stop = start + 1
        found.append((start, stop))
        start = stop
    return tuple(found)


def _known(rows: Sequence[Row]) -> int:
    """The index of the last router that answered."""
    return max((n for n, row in enumerate(rows) if not row.peer and (row.answered or row.addresses)), default=0)


def run_words(rows: Sequence[Row]) -> str:
    """Several hops with nothing to say."""
    silent = sum(not row.answered for row in rows)
    if silent == len(rows):
        return "no answer"
    return f"{len(rows)} routers" + (f", {silent} of them silent" if silent else "")


def span(first: Row, last: Row) -> str:
    """``5``, ``5-9``, ``?`` where the distance is not known."""
    if first.ttl is None:
        return "?"
    return str(first.ttl) if first is last else f"{first.ttl}-{last.ttl}"


def mark(end: End) -> tuple[str, str, str]:
    """That nothing answers a UDP datagram is usual."""
    usual = end.trace.mode == "udp" and not end.good
    return sections.MARKS["ok" if end.good else "not-run" if usual else "failed"]


def note(end: End, n: int, path: Path) -> str:
    """What became of a trace, at the row where it ended."""
    trace, sent = end.trace, trace_facts.sent(end.trace)
    at_peer = n == len(path.rows) - 1
    icmp = f", {trace_facts.icmp(trace)}" if trace.answer in ("prohibited", "unreachable") else ""
    if end.good:
        return f"{sent}: {_GOOD[trace.mode]}"
    if end.finding is not None and trace.answer in _DOES:
        return f"{_DOES[trace.answer]} the {sent}{icmp} ({end.finding.id})"
    if trace.answer == "none":
        return f"{sent}: {'no answer at all' if n == 0 else 'nothing answers from beyond this hop'}"
    if trace.answer == "hop":
        return f"{sent}: still on its way with the largest TTL tried"
    if trace.answer == "unsent":
        detail = trace.failure.detail if trace.failure else ""
        return f"{sent}: the system would not send it{f' ({detail})' if detail else ''}"
    words = {"reset": "reset", "refused": "refused", "closed": "closed", "prohibited": "forbidden"}
    said = words.get(trace.answer, trace.answer)
    if at_peer:
        by = f", by {path.whom} or right before it" if trace.answer in ("reset", "closed") else ""
        return f"{sent}: {said}{by}{icmp}"
    if icmp:
        return f"{sent}: {said}{icmp}"
    return f"{sent}: {said}; it passed this hop, so this one or the next did it"
