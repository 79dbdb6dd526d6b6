"""What a section of a page is, and which sections a report has.

Contract: a section that has nothing to say does not exist. The order is the reader's: what happened, where, between
whom, then the evidence. Modules are imported as a report needs them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module

import msgspec
from markupsafe import Markup

from netdiag.model import Report


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A heading and what stands below it. ``anchor`` is unique in one report.

    ``needs``: files of assets/ (styles, scripts) that a page has only for the sake of such sections.
    """

    anchor: str
    title: str
    body: Markup
    needs: tuple[str, ...] = ()


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What sections need to know of their page, so that several reports fit on one.

    ``prefix`` begins every id; ``level`` is that of headings within a section; ``conversations`` are the numbers of
    those that the user wants to see.
    """

    prefix: str = ""
    level: int = 3
    conversations: tuple[int, ...] = ()

    def anchor(self, name: str) -> str:
        """An id on the page."""
        return f"{self.prefix}{name}"

    def evidence(self, report: Report, identifier: str) -> str:
        """The id of an observation's entry; ids of observations hold any character, so their places are used."""
        places = {observation.id: n for n, observation in enumerate(report.observations)}
        place = places.get(identifier)
        return "" if place is None else self.entry(place)

    def entry(self, place: int) -> str:
        """The id of the entry of the observation at that place of the report."""
        return self.anchor(f"o{place}")

    def finding(self, place: int) -> str:
        """The id of the finding at that place of the report."""
        return self.anchor(f"f{place}")


Build = Callable[[Report, Context], Iterator[Section]]

#: The modules that build sections, in the order of the page; each has ``sections(report, context)``.
_BUILDERS = (
    "commands",
    "waterfall",
    "matrix",
    "pathway",
    "findings",
    "log",
    "firewalls",
    "alignment",
    "resets",
    "drawings",
    "conversations",
    "servers",
    "captures",
    "certificates",
    "evidence",
)

#: Those among them whose drawings show observations; each has ``drawn(report, context)``: their ids, and the ids on the
#: page where they stand.
_DRAWINGS = ("drawings", "alignment", "certificates")


def sections(report: Report, context: Context) -> tuple[Section, ...]:
    """All sections of one report."""
    found: list[Section] = []
    for name in _BUILDERS:
        build: Build = import_module(f"netdiag.report.html.{name}").sections
        found += build(report, context)
    return tuple(found)


def drawn(report: Report, context: Context) -> dict[str, str]:
    """Where observations stand in drawings: the ids on the page by the ids of observations."""
    found: dict[str, str] = {}
    for name in _DRAWINGS:
        found |= import_module(f"netdiag.report.html.{name}").drawn(report, context)
    return found
