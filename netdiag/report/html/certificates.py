"""The certificates: the chains as ladders, direct and through the proxy side by side, and the private keys.

Contract: as section.py. Chains that are the same to the last certificate are drawn once. Where the finding
"tls.intercepted" says that a chain was put in the place of the server's, each says which it is; where nobody has seen
the server's own, what is known of it stands there.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from netdiag.model import (
    CaptureObservation,
    ChainObservation,
    Finding,
    KeyObservation,
    Report,
    RetrievalObservation,
    Severity,
    TlsObservation,
)
from netdiag.report import certificate_facts as told
from netdiag.report import chain_facts
from netdiag.report.html import chain, markup
from netdiag.report.html.chain_values import View
from netdiag.report.html.section import Context, Section
from netdiag.report.ladder import Mark
from netdiag.report.phrases import common_name
from netdiag.report.sections import MARKS, ROUTES
from netdiag.report.units import counted

#: Chains that stand side by side, or one below the other, without a list before them.
_FEW = 3
#: Chains of a list that are open from the start, and that are drawn at all, the worst first. A file may hold a whole
#: store of roots, and a page of them all would be slow to open.
_OPEN = 3
_DRAWN = 60

#: What the mark of an element says, for those who do not see it.
_WORDS: dict[Mark, str] = {"ok": "no fault", "warning": "a warning", "failed": "an error", "not-run": "not known"}

_INTERCEPTED = "tls.intercepted"
_GENUINE = ("The server's own chain: this is what should arrive", True)


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """What should have come from a known service, where nobody has seen it: its name and its roots, with SHA-1."""

    host: str
    service: str
    roots: tuple[tuple[str, str], ...]


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One chain in the list. ``anchor`` is where it is drawn, empty for nowhere."""

    anchor: str
    mark: Mark
    name: str
    title: str
    tally: str
    faults: tuple[str, ...]
    lifetime: str
    issuer: str


class Drawing(msgspec.Struct, frozen=True, kw_only=True):
    """One chain, drawn for all observations of it. ``title`` tells the way, empty where there is one way only."""

    view: View
    title: str
    #: What an interception has to do with it, and whether that is good.
    remark: str
    good: bool
    open: bool


class _Group(msgspec.Struct, frozen=True):
    """Observations of one chain, with their places in the report; the first one is drawn."""

    members: tuple[tuple[int, ChainObservation], ...]

    @property
    def place(self) -> int:
        """The place of the first."""
        return self.members[0][0]

    @property
    def first(self) -> ChainObservation:
        """The one that is drawn."""
        return self.members[0][1]


class _Seen:
    """The observations of a report that this section is about.

    ``listed``: there are so many chains that a list comes before them, and they stand the worst first.
    """

    def __init__(self, report: Report, context: Context) -> None:
        self.report = report
        self.context = context
        self.groups: list[_Group] = []
        self.handshakes: dict[str, TlsObservation] = {}
        #: By their parents.
        self.retrievals: dict[str | None, list[tuple[int, RetrievalObservation]]] = {}
        self.keys: dict[str | None, list[tuple[int, KeyObservation]]] = {}
        self.of_capture = False
        same: dict[object, list[tuple[int, ChainObservation]]] = {}
        for n, o in enumerate(report.observations):
            if isinstance(o, ChainObservation):
                same.setdefault(_identity(n, o), []).append((n, o))
            elif isinstance(o, TlsObservation):
                self.handshakes[o.id] = o
            elif isinstance(o, RetrievalObservation):
                self.retrievals.setdefault(o.parent, []).append((n, o))
            elif isinstance(o, KeyObservation):
                self.keys.setdefault(o.parent, []).append((n, o))
            self.of_capture |= isinstance(o, CaptureObservation)
        self.groups = [_Group(tuple(members)) for members in same.values()]
        self.listed = len(self.groups) > (1 if report.target.scheme == "file" else _FEW)
        if self.listed:
            self.groups.sort(key=lambda group: chain_facts.worst(group.first.faults).rank)

    @property
    def keys_alone(self) -> list[tuple[int, KeyObservation]]:
        """The keys that belong to no chain here."""
        chains = {o.id for group in self.groups for _, o in group.members}
        return [entry for parent, entries in self.keys.items() if parent not in chains for entry in entries]

    def findings(self, evidence: str = "") -> dict[str, str]:
        """The findings' ids on the page by their ids; one that rests on ``evidence`` goes before one that does not."""
        found: dict[str, str] = {}
        rest: dict[str, str] = {}
        for n, finding in enumerate(self.report.findings):
            (found if evidence in finding.evidence else rest).setdefault(finding.id, self.context.finding(n))
        return rest | found

    def desk(self, group: _Group) -> chain.Desk:
        """What is needed to draw one chain."""
        observation = group.first
        tls = self.handshakes.get(observation.parent or "")
        vouched = any(
            o.purpose == "system" and o.outcome == "ok" and o.route == observation.route
            for o in self.handshakes.values()
        )
        return chain.Desk(
            report=self.report,
            context=self.context,
            chain=observation,
            place=group.place,
            sent=tls.chain if tls else None,
            vouched=vouched and not observation.faults,
            retrievals=tuple(self.retrievals.get(observation.id, ())),
            keys=tuple(self.keys.get(observation.id, ())),
            findings=self.findings(observation.id),
        )


def _identity(place: int, o: ChainObservation) -> object:
    """What chains share that are one; each certificate of a file has its own."""
    if o.source == "file":
        return place
    return o.host, tuple(element.sha256 for element in o.elements), o.faults, o.notes, o.stores


def sections(report: Report, context: Context) -> Iterator[Section]:
    """The chains and keys of a report, where it has any, and what was not done with certificate files."""
    seen = _Seen(report, context)
    drawings = [_drawing(seen, group, n) for n, group in enumerate(seen.groups[:_DRAWN])]
    keys = tuple(chain.keys(report, context, seen.keys_alone, seen.findings()))
    not_done = report.not_run if report.target.scheme == "file" and not seen.of_capture else ()
    if not (drawings or keys or not_done):
        return
    body = markup.render(
        "certificates",
        drawings=drawings,
        rows=[_row(seen, group, n) for n, group in enumerate(seen.groups)] if seen.listed else [],
        expected=_expected(seen),
        keys=keys,
        not_done=[entry.reason for entry in not_done],
        marks=MARKS,
        level=context.level,
        words=_WORDS,
        most_faults=chain.FAULTS,
    )
    title = "Certificate chain" if len(drawings) == 1 else "Certificates"
    yield Section(anchor=context.anchor("certificates"), title=title, body=body, needs=("certificates.css",))


def drawn(report: Report, context: Context) -> dict[str, str]:
    """Where handshakes, chains, URLs and keys stand in this section."""
    seen = _Seen(report, context)
    found: dict[str, str] = {}
    for group in seen.groups[:_DRAWN]:
        desk = seen.desk(group)
        for _, o in group.members:
            found |= {o.id: desk.anchor} | ({o.parent: desk.anchor} if o.parent else {})
        found |= {o.id: desk.url_anchor(n) for n, o in desk.retrievals if o.element < len(desk.chain.elements)}
    for entries in seen.keys.values():
        for n, key in entries:
            if chain_facts.key_mark(chain.about(report, key), key) is not None:
                found[key.id] = context.anchor(f"key{n}")
    return found


def _row(seen: _Seen, group: _Group, n: int) -> Row:
    o = group.first
    leaf = o.elements[0] if o.elements else None
    return Row(
        anchor=seen.desk(group).anchor if n < _DRAWN else "",
        mark=chain.mark(o),
        name=chain.name(o),
        title=_title(seen, group),
        tally=chain.tally(o),
        faults=tuple(dict.fromkeys(fault.finding for fault in o.faults if fault.severity is not Severity.INFO)),
        lifetime=told.lifetime(leaf, o.at or o.started) if leaf else "",
        issuer=common_name(leaf.issuer) if leaf else "",
    )


def _drawing(seen: _Seen, group: _Group, n: int) -> Drawing:
    remark, good = _remark(seen.report, group)
    return Drawing(
        view=chain.view(seen.desk(group)),
        title=_title(seen, group),
        remark=remark,
        good=good,
        open=n < _OPEN or not seen.listed,
    )


def _title(seen: _Seen, group: _Group) -> str:
    """Which way, or how often, a chain came; empty for the only one."""
    o = group.first
    if len(seen.groups) == len(group.members) == 1:
        return ""
    if o.source == "file":
        return o.id
    if o.source == "capture":
        return counted(len(group.members), "handshake")
    tls = seen.handshakes.get(o.parent or "")
    if tls is not None and tls.purpose == "proxy":
        return f"the proxy's own certificate ({o.host})"
    ways = [route for route in ROUTES if any(member.route == route for _, member in group.members)]
    used = " (in use)" if ways == [seen.report.route] else ""
    return f"{' and '.join(ROUTES[way] for way in ways)}{used}"


def _remark(report: Report, group: _Group) -> tuple[str, bool]:
    """What an interception has to do with a chain, and whether that is good; empty for nothing."""
    from netdiag.rules.tls_certificate import is_genuine

    ids = {o.id for _, o in group.members}
    for finding in _interceptions(report):
        if finding.evidence and finding.evidence[0] in ids:
            by = f" by {finding.culprit.name}" if finding.culprit and finding.culprit.name else ""
            return f"Replaced on the way{by}: this is not the server's own chain", False
        if ids & set(finding.evidence) and is_genuine(group.first):
            return _GENUINE
    return "", True


def _interceptions(report: Report) -> list[Finding]:
    return [finding for finding in report.findings if finding.id == _INTERCEPTED]


def _expected(seen: _Seen) -> Expected | None:
    """What should have come instead of a chain that was replaced, where the report has it not."""
    if not _interceptions(seen.report) or any(_remark(seen.report, group) == _GENUINE for group in seen.groups):
        return None
    from netdiag.rules.azure import known_service

    host = seen.report.target.host
    service = known_service(host)
    return Expected(host=host, service=service.name, roots=service.expected_roots) if service else None
