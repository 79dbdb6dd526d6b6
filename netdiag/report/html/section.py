"""What a section of a page is, and which sections a report has.

Contract: a section that has nothing to say does not exist. The order is the reader's: what happened, where, between
whom, then the evidence. Modules are imported as a report needs them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module

from markupsafe import Markup

from netdiag.model import Report


@dataclass(frozen=True, kw_only=True)
class Section:
    """A heading and what stands below it. ``anchor`` is unique in one report."""

    anchor: str
    title: str
    body: Markup


@dataclass(frozen=True, kw_only=True)
class Context:
    """What sections need to know of their page, so that several reports fit on one.

    ``prefix`` begins every id; ``level`` is that of headings within a section.
    """

    prefix: str = ""
    level: int = 3

    def anchor(self, name: str) -> str:
        """An id on the page."""
        return f"{self.prefix}{name}"

    def evidence(self, report: Report, identifier: str) -> str:
        """The id of an observation's entry; ids of observations hold any character, so their places are used."""
        places = {observation.id: n for n, observation in enumerate(report.observations)}
        place = places.get(identifier)
        return "" if place is None else self.anchor(f"o{place}")


Build = Callable[[Report, Context], Iterator[Section]]

#: The modules that build sections, in the order of the page; each has ``sections(report, context)``.
_BUILDERS = ("waterfall", "pathway", "findings", "evidence")


def sections(report: Report, context: Context) -> tuple[Section, ...]:
    """All sections of one report."""
    found: list[Section] = []
    for name in _BUILDERS:
        build: Build = import_module(f"netdiag.report.html.{name}").sections
        found += build(report, context)
    return tuple(found)
