"""Files of saved reports on the command line: NAME=FILE, and what is in them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from netdiag.model import UsageError

#: The JSON of a capture's report can have a hundred megabytes; what is much larger is none.
MAX_BYTES = 512 * 1024 * 1024
#: Read in such pieces, so that a device without end is noticed before memory is.
_PIECE = 1024 * 1024


def label_and_file(argument: str) -> tuple[str, str]:
    """NAME=FILE taken apart; a file whose name has an equals sign is itself."""
    name, equals, file = argument.partition("=")
    if equals and name and file and not Path(argument).exists() and not any(c in name for c in "/\\"):
        return name, file
    return "", argument


def content(file: str) -> bytes:
    """The whole content of a file, "-" for standard input, bounded. Raises ``UsageError``."""
    shown = "stdin" if file == "-" else file
    try:
        if file != "-":
            with Path(file).open("rb") as source:
                return _bounded(source.read, shown)
        if sys.stdin is None:
            raise UsageError("stdin: there is no standard input")
        return _bounded(sys.stdin.buffer.read, shown)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"{shown}: cannot be read: {reason}") from None


def _bounded(read: Callable[[int], bytes], shown: str) -> bytes:
    pieces: list[bytes] = []
    total = 0
    while piece := read(_PIECE):
        total += len(piece)
        if total > MAX_BYTES:
            raise UsageError(f"{shown}: more than {MAX_BYTES // 1024 // 1024} MB are no report")
        pieces.append(piece)
    return b"".join(pieces)
