"""How a text report is laid out. A plain value, so that nothing has to import a terminal library to say it."""

from __future__ import annotations

import msgspec


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """The default is what a pipe or a file gets: 80 columns, no colour, UTF-8.

    ``verbose`` shows every observation in full; ``quiet`` shows the verdict only. The rest is about captures.
    """

    width: int = 80
    color: bool = False
    unicode: bool = True
    verbose: bool = False
    quiet: bool = False
    #: How many servers and conversations are listed.
    top: int = 10
    #: The conversations to draw, by number; without any, the worst.
    conversations: tuple[int, ...] = ()
    #: List every reset.
    resets: bool = False
