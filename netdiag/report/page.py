"""A page of text: paragraphs, cropped lines and rows of cells, none wider than the layout says.

Contract: every string goes through ``escape`` before rich sees it, and rich gets ``Text`` only, so neither control
characters nor rich's markup in a name or a banner can reach the terminal.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from netdiag.report.escape import LIMIT, escape, to_ascii
from netdiag.report.layout import Layout

#: Text, or text with a rich style.
Part = str | tuple[str, str]

#: Below this the side-by-side ladder would be a column of single letters.
MIN_WIDTH = 40


class Page:
    """Collects lines; ``finish`` returns them, each ended by a newline."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.width = max(layout.width, MIN_WIDTH)
        self._console = Console(
            file=io.StringIO(),
            width=self.width,
            force_terminal=layout.color,
            color_system="standard" if layout.color else None,
            no_color=not layout.color,
            legacy_windows=False,
            highlight=False,
            markup=False,
            emoji=False,
        )
        self._lines: list[Text] = []

    def text(self, *parts: Part, limit: int = LIMIT) -> Text:
        """The parts as one escaped ``Text``."""
        joined = Text()
        for part in parts:
            content, style = part if isinstance(part, tuple) else (part, "")
            safe = escape(content, limit)
            joined.append(safe if self.layout.unicode else to_ascii(safe), style or None)
        return joined

    def wrap(self, text: Text, width: int) -> list[Text]:
        """``text`` in lines of at most ``width`` cells; a longer word is broken."""
        return list(text.wrap(self._console, max(width, 8), overflow="fold")) or [Text()]

    def hang(self, lead: Text, body: Text, width: int, indent: int) -> list[Text]:
        """``lead`` and ``body`` in lines of ``width`` cells, all but the first indented by ``indent``."""
        room = width - lead.cell_len
        head = self.wrap(body, room)[0] if cell_len(body.plain.partition(" ")[0]) <= room else Text()
        lines = [lead + head]
        rest = body[len(head) :]
        start = len(rest.plain) - len(rest.plain.lstrip(" "))
        if start < len(rest):
            lines += [Text(" " * indent) + line for line in self.wrap(rest[start:], width - indent)]
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
        hang = " " * lead.cell_len if rest is None else rest
        self.block(lead, self.text(*parts, limit=limit), hang)

    def block(self, lead: Text, body: Text, hang: str) -> None:
        """Like ``paragraph``, with a lead that has styles of its own."""
        width = self.width - max(lead.cell_len, len(hang))
        for n, line in enumerate(self.wrap(body, width)):
            line.rstrip()
            self._lines.append((lead if n == 0 else Text(hang)) + line)

    def cropped(self, *parts: Part) -> None:
        """One line; what does not fit is replaced by an ellipsis."""
        self.line(self.text(*parts))

    def line(self, text: Text) -> None:
        """Like ``cropped``, for text made already."""
        self._lines.append(self.crop(text, self.width))

    def crop(self, text: Text, width: int) -> Text:
        """``text`` in at most ``width`` cells, with an ellipsis where something is missing."""
        text = text.copy()
        if text.cell_len > width:
            dots = "…" if self.layout.unicode else "..."
            text.truncate(width - len(dots), overflow="crop")
            text.append(dots)
        return text

    def cells(self, lead: Text, columns: Sequence[Sequence[Text]], widths: Sequence[int], separator: str) -> None:
        """Columns of wrapped lines side by side."""
        between = self.text((separator, "dim"))
        for n in range(max(len(column) for column in columns)):
            line = lead.copy() if n == 0 else Text(" " * lead.cell_len)
            for i, (column, width) in enumerate(zip(columns, widths, strict=True)):
                cell = column[n].copy() if n < len(column) else Text()
                cell.pad_right(max(0, width - cell.cell_len))
                line.append_text(between if i else Text())
                line.append_text(cell)
            line.rstrip()
            self._lines.append(line)

    def finish(self) -> str:
        """The page, with ANSI colours where the layout wants them."""
        for line in self._lines:
            self._console.print(line, soft_wrap=True)
        file = self._console.file
        assert isinstance(file, io.StringIO)
        return file.getvalue()
