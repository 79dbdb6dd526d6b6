"""A page of text: paragraphs, cropped lines and rows of cells, none wider than the layout says.

Contract: every string goes through ``escape`` before it becomes ``Text``, so no control character in a name or a
banner can reach the terminal; the only ones there are the styles of netdiag itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from netdiag.report.escape import LIMIT, escape, to_ascii
from netdiag.report.layout import Layout
from netdiag.report.styled import Text, cell_len

#: Text, or text with a style.
Part = str | tuple[str, str]

#: Below this the side-by-side ladder would be a column of single letters.
MIN_WIDTH = 40


class Page:
    """Collects lines; ``finish`` returns them, each ended by a newline."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.width = max(layout.width, MIN_WIDTH)
        self._lines: list[Text] = []

    def text(self, *parts: Part, limit: int = LIMIT) -> Text:
        """The parts as one escaped ``Text``."""
        joined = Text()
        for part in parts:
            content, style = part if isinstance(part, tuple) else (part, "")
            safe = escape(content, limit)
            joined += Text.of(safe if self.layout.unicode else to_ascii(safe), style)
        return joined

    def wrap(self, text: Text, width: int) -> list[Text]:
        """``text`` in lines of at most ``width`` cells; a longer word is broken."""
        return text.wrap(max(width, 8))

    def hang(self, lead: Text, body: Text, width: int, indent: int) -> list[Text]:
        """``lead`` and ``body`` in lines of ``width`` cells, all but the first indented by ``indent``."""
        room = width - lead.cells
        head = self.wrap(body, room)[0] if cell_len(body.plain.partition(" ")[0]) <= room else Text()
        rest = body.cut(len(head), len(body)).lstrip()
        lines = [lead + head]
        if len(rest):
            lines += [Text.of(" " * indent) + line for line in self.wrap(rest, width - indent)]
        return lines

    def blank(self) -> None:
        """An empty line, unless the page begins here or one is there already."""
        if self._lines and self._lines[-1].plain:
            self._lines.append(Text())

    def heading(self, title: str) -> None:
        """A section's title, with space above."""
        self.blank()
        self.paragraph((title, "bold"))

    def paragraph(self, *parts: Part, first: str = "", rest: str | None = None, limit: int = LIMIT) -> None:
        """Wrapped text; ``first`` stands before the first line, ``rest`` (or as many blanks) before the others."""
        lead = self.text(first)
        hang = " " * lead.cells if rest is None else rest
        self.block(lead, self.text(*parts, limit=limit), hang)

    def block(self, lead: Text, body: Text, hang: str) -> None:
        """Like ``paragraph``, with a lead that has styles of its own."""
        width = self.width - max(lead.cells, len(hang))
        for n, line in enumerate(self.wrap(body, width)):
            self._lines.append((lead if n == 0 else Text.of(hang)) + line)

    def cropped(self, *parts: Part) -> None:
        """One line; what does not fit is replaced by an ellipsis."""
        self.line(self.text(*parts))

    def line(self, text: Text) -> None:
        """Like ``cropped``, for text made already."""
        self._lines.append(self.crop(text, self.width).rstrip())

    def crop(self, text: Text, width: int) -> Text:
        """``text`` in at most ``width`` cells, with an ellipsis where something is missing."""
        if text.cells <= width:
            return text
        dots = "…" if self.layout.unicode else "..."
        return text.crop(width - len(dots)) + Text.of(dots)

    def cells(self, lead: Text, columns: Sequence[Sequence[Text]], widths: Sequence[int], separator: str) -> None:
        """Columns of wrapped lines side by side."""
        between = self.text((separator, "dim"))
        for n in range(max(len(column) for column in columns)):
            line = lead if n == 0 else Text.of(" " * lead.cells)
            for i, (column, width) in enumerate(zip(columns, widths, strict=True)):
                cell = column[n] if n < len(column) else Text()
                line += (between if i else Text()) + cell.pad(width)
            self._lines.append(line.rstrip())

    def finish(self) -> str:
        """The page, with ANSI colours where the layout wants them."""
        return "".join(f"{line.ansi() if self.layout.color else line.plain}\n" for line in self._lines)
