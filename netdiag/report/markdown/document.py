"""A Markdown document: blocks with a blank line between them.

Contract: what comes in as ``str`` is untrusted and passes ``inline``, ``code`` or ``fenced``; what they give is
``Marked`` and is taken as it is. Only CommonMark and the tables of GFM are written, and no HTML: chat programs show
that as text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from netdiag.report.escape import LIMIT
from netdiag.report.layout import Layout
from netdiag.report.markdown import inline
from netdiag.report.page import Page
from netdiag.report.units import counted

#: Drawings are as wide as a terminal.
_WIDTH = 80


#: An item of a list; or one with a list below it.
Item = str | tuple[str, Sequence[str]]


class Marked(str):
    """Markdown, as opposed to the words of a report."""

    __slots__ = ()


class Document:
    """Collects blocks; ``finish`` returns them."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._blocks: list[str] = []

    def text(self, *parts: str, limit: int = LIMIT) -> Marked:
        """The parts as running text."""
        unicode = self.layout.unicode
        found = (p if isinstance(p, Marked) else inline.inline(p, limit=limit, unicode=unicode) for p in parts)
        return Marked(" ".join(filter(None, found)))

    def code(self, text: str, limit: int = LIMIT) -> Marked:
        """An id."""
        return Marked(inline.code(text, limit=limit, unicode=self.layout.unicode))

    def strong(self, label: str) -> Marked:
        """A label of netdiag's own: never what a stranger wrote."""
        return Marked(f"**{label}**")

    def sign(self, mark: tuple[str, str, str]) -> Marked:
        """The symbol of a mark."""
        symbol, plain, _ = mark
        return Marked(symbol) if self.layout.unicode else self.code(plain)

    def heading(self, level: int, *parts: str) -> None:
        """A title."""
        self._blocks.append(f"{'#' * level} {self.text(*parts)}")

    def paragraph(self, *parts: str, limit: int = LIMIT) -> None:
        """Running text; nothing for empty text."""
        if text := self.text(*parts, limit=limit):
            self._blocks.append(text)

    def items(self, lines: Sequence[Item], limit: int = LIMIT) -> None:
        """A list."""
        found: list[str] = []
        for line in lines:
            head, below = (line, ()) if isinstance(line, str) else line
            found.append(f"- {self.text(head, limit=limit)}")
            found += [f"  - {self.text(each, limit=limit)}" for each in below]
        if found:
            self._blocks.append("\n".join(found))

    def table(self, titles: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()) -> None:
        """A table of GFM; the columns ``numbers`` are flush right."""
        if not rows:
            return
        rules = ["---:" if n in numbers else "---" for n in range(len(titles))]
        lines = [titles, [Marked(rule) for rule in rules], *rows]
        self._blocks.append("\n".join(f"| {' | '.join(map(self.text, line))} |" for line in lines))

    def more(self, left: int, one: str, where: str = "the JSON holds them") -> None:
        """What a list has no room for; nothing for nothing."""
        if left > 0:
            self.paragraph(f"and {counted(left, f'more {one}')} ({where})")

    def drawing(self, draw: Callable[[Page], None]) -> None:
        """What ``draw`` writes to a page of text, as it stands there; nothing for an empty one."""
        page = Page(msgspec.structs.replace(self.layout, width=_WIDTH, color=False))
        draw(page)
        if text := page.finish().strip("\n"):
            self._blocks.append(inline.fenced(text))

    def finish(self) -> str:
        """The document."""
        return "\n\n".join(self._blocks) + "\n"
