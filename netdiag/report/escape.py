r"""Untrusted text -> text that is safe to show. Everything from the network, from files and from argv passes here.

Contract: the result is one line, holds no control, format, bidirectional-override, surrogate or unassigned character,
and is at most a little longer than ``limit``. Such characters become visible escapes (``\x1b``, ``\u202e``).
Pure; imports nothing heavy, since error messages use it too.
"""

from __future__ import annotations

import unicodedata

#: A long summary with a long name in it stays whole; a page of garbage does not.
LIMIT = 600

#: Cc control, Cf format (bidi overrides, zero-width, tags), Cs surrogate, Co private use, Cn unassigned, Zl/Zp breaks.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

#: Scripts in use need two marks on one letter; longer piles paint over the lines above and below.
_MAX_MARKS = 2

_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}

_ASCII = str.maketrans(
    {
        "—": "-",
        "–": "-",
        "−": "-",
        "…": "...",
        "“": '"',
        "”": '"',
        "‘": "'",
        "’": "'",
        "→": "->",
        "⟨": "<",
        "⟩": ">",
        "←": "<-",
        "×": "x",
        "≥": ">=",
        "≤": "<=",
        "·": ".",
        "§": "section ",
        "\u00a0": " ",
    }
)


def escape(text: str, limit: int = LIMIT) -> str:
    """``text`` as one harmless line; what exceeds ``limit`` characters is cut, and its length told."""
    cut = len(text) - limit
    if cut > 0:
        text = text[:limit]
    if not text.isascii() or not text.isprintable():
        text = _visible(text)
    return f"{text}…(+{cut} characters)" if cut > 0 else text


def to_ascii(text: str) -> str:
    """Escaped text for a console without UTF-8: typographic signs become plain ones, the rest visible escapes."""
    return text.translate(_ASCII).encode("ascii", "backslashreplace").decode("ascii")


def plain(text: str) -> str:
    """Typographic signs become plain ones, as mails and keyboards have them; letters stay."""
    return text.translate(_ASCII)


def _visible(text: str) -> str:
    out: list[str] = []
    marks = 0
    for character in text:
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if character == "\u00a0":
            out.append(" ")
        elif category in _HIDDEN or marks > _MAX_MARKS:
            out.append(_NAMED.get(character) or _code(ord(character)))
        else:
            out.append(character)
    return "".join(out)


def _code(point: int) -> str:
    if point <= 0xFF:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"
