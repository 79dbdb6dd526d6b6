"""Untrusted text -> Markdown that every renderer shows as that text: no link, no mention, no element, no emphasis.

Contract: the result is one line, holds outside code spans no character that Markdown, a table of GFM, or HTML gives a
meaning to, and can stand anywhere: in a paragraph, a list, a heading, a cell. ``escape`` made it harmless for the
reader before. Words of letters and digits stay as they are; every other word (a host name, an address, an id, markup)
becomes a code span, inside which nothing is interpreted (CommonMark §6.1), not even the links, mentions, issue numbers
and emoji that GitHub, GitLab and chat programs look for in plain text. Backslashes would stop Markdown, and not those.
"""

from __future__ import annotations

import re

from netdiag.report.escape import LIMIT, escape, to_ascii

#: Letters and digits of any script, with single hyphens, slashes or apostrophes between them.
_LETTERS = re.compile(r"[^\W_]+(?:[-/'’][^\W_]+)*")
#: ``1,234``, ``3.2``, ``+0.5``, ``<1``, ``85%``, ``0.1.0``, ``15:06:40``; an address has more points, and is none.
_NUMBER = re.compile(r"[<+−-]?\d{1,6}(?:,\d{3})*(?:\.\d+){0,2}%?|\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?")
#: What a code host may take for a commit (7 hexadecimal digits and more) or a ticket's key (``ABC-123``).
_REFERENCE = re.compile(r"(?=\D*\d)[0-9A-Fa-f]{7,}|[^\W_]+-\d+", re.ASCII)
#: Punctuation around a word, outside its code span.
_AROUND = re.compile(r"(?P<before>[(\"'“‘„§]*)(?P<core>.*?)(?P<after>[)\"'”’.,;:?!…]*)", re.DOTALL)
#: Signs between words. At the beginning of a line some of the ASCII ones would make a list or a heading.
_SIGNS = frozenset("→←–—−…·•×≥≤")
_SIGNS_INSIDE = frozenset("=+-/%")
#: What makes a numbered list at the beginning of a line (CommonMark §5.2).
_NUMBERED = re.compile(r"\d{1,9}[.)]")
_RUN = re.compile(r"`+")
_WORD = re.compile(r"(\s+)")


def inline(text: str, *, limit: int = LIMIT, unicode: bool = True) -> str:
    """``text`` in running text. What exceeds ``limit`` characters is cut, and its length told."""
    pieces: list[str] = []
    for n, word in enumerate(_WORD.split(_safe(text, limit, unicode).strip())):
        pieces.append(word if n % 2 or not word else _word(word, first=n == 0))
    return "".join(pieces)


def code(text: str, *, limit: int = LIMIT, unicode: bool = True) -> str:
    """``text`` in a code span, whatever it holds; empty for blanks only."""
    return _code(_safe(text, limit, unicode))


def fenced(text: str) -> str:
    """Lines that are escaped already in a block that shows them as they are (CommonMark §4.5)."""
    longest = max(map(len, _RUN.findall(text)), default=0)
    fence = "`" * max(longest + 1, 3)
    return f"{fence}text\n{text.rstrip()}\n{fence}"


def _safe(text: str, limit: int, unicode: bool) -> str:
    safe = escape(text, limit)
    return safe if unicode else to_ascii(safe)


def _word(word: str, *, first: bool) -> str:
    if word in _SIGNS or (word in _SIGNS_INSIDE and not first):
        return word
    match = _AROUND.fullmatch(word)
    assert match is not None  # it matches anything
    before, core, after = match.group("before", "core", "after")
    if first and _NUMBERED.fullmatch(word):
        return _code(core) + after
    return f"{before}{core if _plain(core) else _code(core)}{after}"


def _plain(core: str) -> bool:
    if not core or _NUMBER.fullmatch(core):
        return True
    return bool(_LETTERS.fullmatch(core)) and not _REFERENCE.fullmatch(core)


def _code(text: str) -> str:
    """A code span; a bar stands between two of them, since in a table it ends the cell even in there (GFM §4.10)."""
    return "&#124;".join(map(_span, text.split("|")))


def _span(text: str) -> str:
    if not text.strip():
        return ""
    runs = {len(run) for run in _RUN.findall(text)}
    fence = "`" * next(n for n in range(1, len(runs) + 2) if n not in runs)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"
