"""Text with styles: how wide it is on a terminal, where it may be broken, and its ANSI sequences. Pure.

Contract: a ``Text`` is immutable and holds escaped text only (report/escape.py): one line without control characters.
Nothing heavy is imported for a report in plain words: rich's tables are asked for the width of unusual characters only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise

import msgspec

#: Style -> parameters of SGR (ECMA-48 §8.3.117). "bold red" is both.
_SGR = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "magenta": "35", "cyan": "36"}

#: Characters that take one cell on every terminal: printable ASCII, and what reports themselves write.
_NARROW = frozenset(map(chr, (*range(0x20, 0x7F), *range(0x2800, 0x2900)))) | frozenset(
    "✓✗⚠–—−│┌├┤─┄█…→←↑×·•“”‘’§≥≤≈µ²äöüßéèà"
)

#: A word with the blanks around it.
_WORD = re.compile(r"\s*\S+\s*")


def cell_len(text: str) -> int:
    """How many columns ``text`` takes on a terminal."""
    if _NARROW.issuperset(text):
        return len(text)
    from rich.cells import cell_len as measured

    return measured(text)


class Text(msgspec.Struct, frozen=True, dict=True):
    """Pieces of text, each with a style ("" for none)."""

    runs: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, text: str, style: str = "") -> Text:
        """One piece."""
        return cls(((text, style),)) if text else cls()

    @cached_property
    def plain(self) -> str:
        """Without styles."""
        return "".join(text for text, _ in self.runs)

    @cached_property
    def cells(self) -> int:
        """Its width."""
        return cell_len(self.plain)

    def __len__(self) -> int:
        return len(self.plain)

    def __add__(self, other: Text) -> Text:
        return Text(self.runs + other.runs)

    def cut(self, start: int, end: int) -> Text:
        """The characters from ``start`` to before ``end``."""
        found: list[tuple[str, str]] = []
        at = 0
        for text, style in self.runs:
            piece = text[max(start - at, 0) : max(end - at, 0)]
            if piece:
                found.append((piece, style))
            at += len(text)
        return Text(tuple(found))

    def rstrip(self) -> Text:
        """Without blanks at the end."""
        return self.cut(0, len(self.plain.rstrip()))

    def lstrip(self) -> Text:
        """Without blanks at the beginning."""
        return self.cut(len(self) - len(self.plain.lstrip()), len(self))

    def pad(self, width: int) -> Text:
        """With blanks at the end, ``width`` cells wide at least."""
        return self + Text.of(" " * max(0, width - self.cells))

    def crop(self, width: int) -> Text:
        """As much of the beginning as fits in ``width`` cells."""
        return self if self.cells <= width else self.cut(0, _fitting(self.plain, max(width, 0)))

    def wrap(self, width: int) -> list[Text]:
        """In lines of at most ``width`` cells, broken between words; a longer word is broken too."""
        breaks = [0, *_breaks(self.plain, width), len(self)]
        return [self.cut(start, end).rstrip() for start, end in pairwise(breaks)]

    def ansi(self) -> str:
        """With ANSI sequences for the styles."""
        return "".join(_styled(text, style) for text, style in self.runs)


def _styled(text: str, style: str) -> str:
    if not style:
        return text
    return f"\x1b[{';'.join(_SGR[word] for word in style.split())}m{text}\x1b[0m"


def _fitting(text: str, width: int) -> int:
    """How many characters of ``text`` fit in ``width`` cells, marks that belong to the last one included."""
    if _NARROW.issuperset(text):
        return min(len(text), width)
    end = 0
    while end < len(text) and cell_len(text[: end + 1]) <= width:
        end += 1
    return end


def _breaks(text: str, width: int) -> Iterator[int]:
    """Where new lines begin."""
    used = 0
    for match in _WORD.finditer(text):
        start, word = match.start(), match[0]
        length = cell_len(word.rstrip())
        if used + length <= width:
            used += cell_len(word)
            continue
        if start:
            yield start
        while cell_len(word.rstrip()) > width:
            taken = max(_fitting(word, width), 1)
            start, word = start + taken, word[taken:]
            yield start
        used = cell_len(word)
