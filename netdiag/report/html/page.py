"""The page around the sections: verdict, navigation, the note for the network team, the raw JSON.

Contract: as __init__.py. The page works without scripts; what needs them (sorting, zooming, copying) hides without.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from markupsafe import Markup

from netdiag.model import Incident, Report, Status
from netdiag.report import json, units, verdicts
from netdiag.report.html import markup, table
from netdiag.report.html.section import Context
from netdiag.report.html.table import Column
from netdiag.report.html.views import View, needs, view
from netdiag.report.layout import Layout

#: What every page has; sections name what else they need.
_ASSETS = ("page.css", "page.js")

#: Reports on one page that have all their sections, one of each root cause first; the others have their verdict. A
#: page of 200 targets is to open at once, and 200 that fail alike say the same.
_MOST_WHOLE = 20

_TONES: dict[Status, str] = {"healthy": "good", "impaired": "warn", "failed": "bad", "inconclusive": ""}

#: Conversations that the raw JSON repeats; more would be no use in a ticket, and double the page.
_MOST_ROWS = 1_000


def one(report: Report, layout: Layout) -> str:
    """The page of one report; of the layout it knows the conversations that are to be drawn."""
    seen = view(report, Context(conversations=layout.conversations))
    body = markup.render("report", view=seen)
    return frame(f"{seen.status_words}: {seen.title}", body, json.dumps_line(_lean(report)), needs([seen]))


def several(reports: Sequence[Report]) -> str:
    """One page of several reports: a table of them, then each on demand, the worst open."""
    ordered = sorted(enumerate(reports), key=lambda pair: verdicts.WORST_FIRST.index(pair[1].verdict.status))
    whole = _whole(ordered)
    views = [view(report, Context(prefix=f"r{n}-", level=5), whole=n in whole) for n, report in ordered]
    title = verdicts.tally(reports)
    body = markup.render(
        "several",
        title=title,
        views=views,
        causes=_causes(views),
        table=_targets(views),
        worst=verdicts.worst(reports),
    )
    needed = tuple(dict.fromkeys((*table.NEEDS, *needs(views))))
    return frame(title, body, json.dumps_line(list(map(_lean, reports))), needed)


def _targets(views: Sequence[View]) -> Markup:
    """Every target in a line, the worst first; each leads to its report."""
    tones = {seen.status_words: _TONES[seen.report.verdict.status] for seen in views}
    why = [seen.report.verdict.finding or seen.report.verdict.summary for seen in views]
    columns = [
        Column(title="Target", values=[seen.title for seen in views], searched=True),
        Column(title="Verdict", values=[seen.status_words for seen in views], tones=tones, choice=True),
        Column(title="Why", values=why, searched=True),
        Column(title="Took, ms", kind="number", values=[seen.report.took_s * 1000 for seen in views]),
    ]
    links = {n: f"#{seen.prefix}report" for n, seen in enumerate(views)}
    return table.render("targets", "All targets", columns, hint="part of a name, an id", links=links)


def incident(found: Incident) -> str:
    """The page of several reports that are one case."""
    from netdiag.report.html import case

    title = f"{found.verdict.status}: {units.counted(len(found.reports), 'report')}"
    reports, baseline = (
        tuple(msgspec.structs.replace(one, report=_lean(one.report)) for one in labelled)
        for labelled in (found.reports, found.baseline)
    )
    lean = msgspec.structs.replace(found, reports=reports, baseline=baseline)
    body, needed = case.body(found)
    return frame(title, body, json.dumps_line(lean), needed)


def _lean(report: Report) -> Report:
    """The report as the page's raw JSON has it: a long table of conversations stands in the page already."""
    if len(report.conversations) <= _MOST_ROWS:
        return report
    more = report.more_conversations + len(report.conversations)
    return msgspec.structs.replace(report, conversations=(), more_conversations=more)


def _whole(ordered: Sequence[tuple[int, Report]]) -> frozenset[int]:
    """The places of the reports that are shown in full: the first with each root cause, then the others."""
    met: set[object] = set()
    first: list[int] = []
    again: list[int] = []
    for n, report in ordered:
        (again if verdicts.cause(report) in met else first).append(n)
        met.add(verdicts.cause(report))
    return frozenset((first + again)[:_MOST_WHOLE])


def _causes(views: Sequence[View]) -> list[list[View]]:
    """The reports with something wrong, those with the same root cause together, the worst first."""
    groups: dict[object, list[View]] = {}
    for seen in views:
        if seen.root is not None:
            groups.setdefault(verdicts.cause(seen.report), []).append(seen)
    return list(groups.values())


def frame(title: str, body: Markup, raw: str, needed: Iterable[str] = ()) -> str:
    """A whole document around ``body``; ``raw`` is the JSON that it was made from, ``needed`` are files of assets/."""
    files = dict.fromkeys((*_ASSETS, *needed))
    style, script = (markup.assets(tuple(file for file in files if file.endswith(kind))) for kind in (".css", ".js"))
    page = markup.render(
        "page",
        title=title,
        body=body,
        style=Markup(style),  # noqa: S704 - files of this package
        script=Markup(script),  # noqa: S704
        style_digest=Markup(markup.digest(style)),  # noqa: S704 - base64
        script_digest=Markup(markup.digest(script)),  # noqa: S704
        raw=markup.data(raw),
    )
    return str(page)
