"""The URLs of one element of a chain, a line each: what it is for, what became of it, how long it took, how much came.

Contract: as certificate.py. A URL that is fine is cropped to its line; one that is not stands there whole, since
somebody will have to open it, and so does every URL with ``verbose``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from netdiag.model import RetrievalObservation, UrlPurpose
from netdiag.report import certificate_facts as told
from netdiag.report import chain_facts, sections, units
from netdiag.report.escape import LIMIT
from netdiag.report.page import Page
from netdiag.report.styled import Text

if TYPE_CHECKING:  # a report on a file has no ladder, and need not load it
    from netdiag.report.ladder import Mark

#: URLs of one element without --verbose; a hostile certificate may name hundreds.
_URLS = 8
#: With less room beside it, the beginning of a URL tells nothing.
_TELLING = 24
#: A reason of two lines and more is told once for URLs in a row.
_LONG_REASON = 120
#: Longer URLs are of no use to anybody; with ``verbose`` they may be.
_LONGEST = 4 * LIMIT


def urls(page: Page, stem: str, retrievals: Sequence[RetrievalObservation], excused: Collection[UrlPurpose]) -> None:
    """``stem`` stands before each line; ``excused`` are purposes for which another URL was enough."""
    shown = retrievals if page.layout.verbose else chain_facts.chosen_urls(retrievals, _URLS)
    width = max((len(told.STATUS[o.status]) for o in shown), default=0)
    before = ""
    for observation in shown:
        why = told.reason(observation)
        repeated = why == before and len(why) > _LONG_REASON and not page.layout.verbose
        said = "the same" if repeated else why
        _row(page, stem, observation, chain_facts.url_mark(observation, excused), width, said)
        before = why
    if len(shown) < len(retrievals):
        listed = {id(observation) for observation in shown}
        left = Counter(told.STATUS[o.status] for o in retrievals if id(o) not in listed)
        words = ", ".join(f"{count} {word}" for word, count in left.most_common())
        page.paragraph(f"and {units.counted(left.total(), 'more URL')}: {words} (--verbose)", first=stem, rest=stem)


def _row(page: Page, stem: str, o: RetrievalObservation, mark: Mark, width: int, why: str) -> None:
    """``why`` it is not fine; empty where it is."""
    symbol, style = sections.sign(page, sections.MARKS[mark])
    took = "cached" if o.cached else units.milliseconds(o.took_s) if o.took_s else ""
    came = units.size(o.bytes) if o.bytes else ""
    word = f"{told.PURPOSES[o.purpose]:<5} {told.STATUS[o.status]:<{width}}"
    lead = page.text(stem, (symbol, style), f" {word}", (f" {took:>7} {came:>7}  ", "dim"))
    url = page.text(o.url, limit=_LONGEST)
    hang = f"{stem}        "
    room = page.width - lead.cells
    if url.cells <= room or (room >= _TELLING and o.status == "verified" and not page.layout.verbose):
        page.line(lead + url)
    else:
        page.line(lead)
        page.block(Text.of(hang), url, hang)
    if why:
        page.paragraph(why, first=hang, rest=hang)
    if page.layout.verbose and (more := told.retrieval_details(o)):
        page.paragraph((more, "dim"), first=hang, rest=hang)
