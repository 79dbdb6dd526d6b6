"""``Report`` -> a note for the network team, to be pasted into a mail: who, when, where, what to look for, what to do.

Contract: pure. At most 72 columns, no colours, typographic signs as ASCII. A healthy report is one line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from netdiag.model import Finding, Incident, ProxySelection, Report, authority
from netdiag.report import sections, ticket_facts, units
from netdiag.report.escape import escape, plain
from netdiag.report.layout import Layout
from netdiag.report.page import Page
from netdiag.report.ticket_words import Facts, fill, words_for

#: What mail programs and RFC 5322 §2.1.1 take without breaking lines, with room for quoting.
_WIDTH = 72
#: Lines of one kind that a reader still reads.
_LINES = 6
_DETAILS = 12
#: Prefixes that are still copied from a mail; a longer list is better attached.
_PREFIXES = 60

#: A command that a shell takes as it stands.
_SAFE = re.compile(r"[A-Za-z0-9._:/\[\]][A-Za-z0-9._:/\[\]-]*")


def ticket(report: Report) -> str:
    """The note on one report's root cause."""
    note = _Note()
    root = next((finding for finding in report.findings if finding.id == report.verdict.finding), None)
    if root is None:
        note.line(_nothing(report))
    else:
        _write(note, report, root)
    return note.finish()


def of_incident(incident: Incident) -> str:
    """The note on the root cause, by the report that knows most of it, and what the others add."""
    note = _Note()
    root = incident.findings[0] if incident.verdict.finding is not None else None
    if root is None:
        status = "nothing for the network team to do" if incident.verdict.status == "healthy" else "no cause was found"
        note.line(f"netdiag: {incident.verdict.summary}: {status} ({units.moment(incident.started)}).")
        return note.finish()
    by_label = {one.label: one.report for one in incident.reports}
    best = root.sources[0]
    finding = Finding(**{field: getattr(root, field) for field in Finding.__struct_fields__})
    finding = msgspec.structs.replace(finding, evidence=best.evidence)
    also = [f"{source.report}: {source.summary}" for source in root.sources[1:]]
    also += [f"{one.report}: {one.finding.id}, {one.finding.summary}" for one in root.explains]
    whose = f'"This machine" is {best.report}' if len(incident.reports) > 1 else ""
    others = [msgspec.structs.replace(other, evidence=()) for other in incident.findings[1:]]
    report = msgspec.structs.replace(by_label[best.report], findings=(finding, *others))
    _write(note, report, finding, [whose, *incident.reasoning], also)
    return note.finish()


def several(reports: Sequence[Report]) -> str:
    """A note for each report, with a line between them."""
    return f"\n{'-' * _WIDTH}\n\n".join(ticket(report) for report in reports)


class _Note:
    """Lines of plain text."""

    def __init__(self) -> None:
        self._page = Page(Layout(width=_WIDTH))

    def line(self, text: str, first: str = "", rest: str | None = None) -> None:
        """A paragraph."""
        self._page.paragraph(plain(escape(text, sections.DETAIL_LIMIT)), first=first, rest=rest, limit=10_000)

    def subject(self, text: str) -> None:
        """One line, whatever its length."""
        whole = self._page.text(f"Subject: {plain(escape(text))}")
        self._page.line(whole if whole.cells <= _WIDTH else whole.crop(_WIDTH - 3) + self._page.text("..."))

    def section(self, title: str, lines: Sequence[str], most: int = _LINES) -> None:
        """A title and its lines; nothing without lines."""
        found = list(dict.fromkeys(line for line in lines if line))
        if found:
            self._page.blank()
            self.line(f"{title}:")
            for line in found[:most]:
                self.line(line, first="  ", rest="    ")
            if len(found) > most:
                self.line(f"and {len(found) - most:,} more", first="  ")

    def made(self, text: str) -> None:
        """The last line."""
        self._page.blank()
        self.line(text, first="Made by ", rest="")

    def finish(self) -> str:
        """The text."""
        return self._page.finish()


def _nothing(report: Report) -> str:
    said = report.verdict.summary
    named = said if report.target.host in said else f"{report.target.authority}: {said}"
    what = {
        "healthy": "nothing for the network team to do",
        "inconclusive": "not tested to the end, so there is nothing to ask for yet",
    }.get(report.verdict.status, "no cause was found")
    return f"netdiag: {named}: {what} ({units.moment(report.started)})."


def _write(note: _Note, report: Report, root: Finding, together: Sequence[str] = (), also: Sequence[str] = ()) -> None:
    """``together`` and ``also`` come from other reports of an incident."""
    case = ticket_facts.Case(report, root)
    filled = case.filled()
    words = words_for(root.id)
    note.subject(fill(words.subject, filled))
    note.section("What fails", [root.summary])
    note.section("Seen by others too", also)
    note.section("What the reports say together", together, most=_DETAILS)
    note.section("Who talks to whom", case.parties())
    note.section("When (UTC)", case.moments(), most=_LINES + 2)
    note.section("Where", case.where(), most=_LINES + 2)
    note.section("Reasons, and how sure it is", [_sentence(detail) for detail in root.details], most=_DETAILS)
    note.section("What else it could be", [_sentence(fill(words.otherwise, filled))])
    look_for = fill(words.look_for, filled)
    note.section("What to look for", [_sentence(look_for[:1].upper() + look_for[1:])])
    note.section("What to do", [root.remedy])
    if report.command == "allowlist":
        from netdiag.report.allowlist import to_allow

        note.section("What to allow", to_allow(report), most=_PREFIXES)
    note.section("How to verify afterwards", list(_verify(report, filled)))
    others = [f for f in report.findings if f is not root and f.severity != "info"]
    note.section("Found as well", [f"{f.id}: {f.summary}" for f in others], most=3)
    note.made(f"netdiag {report.tool.version}, {units.moment(report.started)}. Finding: {root.id} ({root.severity}).")


def _sentence(text: str) -> str:
    return text if not text or text.endswith((".", "?", "!")) else f"{text}."


def _verify(report: Report, filled: Facts) -> Iterator[str]:
    """The command, on the machine that had the trouble."""
    if report.command == "allowlist":
        yield "Have the changed rules compared again; netdiag allowlist then ends with exit status 0"
        return
    target = report.target
    where = f"on {filled.client}"
    place, command = target.authority, report.command
    if command == "node" and target.scheme == "file":
        yield "Run netdiag node on each node again, and netdiag node --from-json on what it wrote"
        return
    if target.scheme == "file":
        place, command = filled.target, "endpoint"
    elif command in ("endpoint", "https") and (target.scheme == "http" or target.path != "/"):
        place = f"{target.scheme}://{authority(target.host, target.port)}{target.path}"
    if not _SAFE.fullmatch(place):
        yield f"Run netdiag again {where}, with the same target"
        return
    asked = next((o for o in report.observations if isinstance(o, ProxySelection) and o.because == "--proxy"), None)
    proxy = asked.proxies[0] if asked is not None and asked.proxies and _SAFE.fullmatch(asked.proxies[0]) else ""
    yield f"Run {where}; exit status 0 says that it works:"
    yield f"  netdiag {command} {place}{f' --proxy {proxy}' if proxy else ''}"
