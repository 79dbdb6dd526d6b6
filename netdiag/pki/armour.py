"""PEM (RFC 7468): text -> the blocks of base64 in it, with noise around them, in time that grows with the text.

Contract: pure; never raises.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import NamedTuple

#: RFC 7468 §2.
_BOUNDARY = re.compile(rb"-----(BEGIN|END) ([A-Z0-9][A-Z0-9 ]{0,60})-----")


class Block(NamedTuple):
    """One block: its label, all of it, and what stands between its lines; ``body`` is None where the END is missing."""

    label: str
    whole: bytes
    body: bytes | None


def as_bytes(data: bytes) -> bytes:
    """Text of Windows (UTF-16 or UTF-8 with a byte order mark) as the ASCII that PEM is; all else as it is."""
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"), (b"\xef\xbb\xbf", "utf-8")):
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace").encode("ascii", "replace") or b" "
    return data


def bare_base64(text: bytes) -> bytes:
    """The DER in base64 without the lines around it, as portals hand it out; empty for anything else."""
    if not text[:64].lstrip().startswith(b"MI"):  # a SEQUENCE of more than 127 octets
        return b""
    return decoded(text) or b""


def decoded(body: bytes) -> bytes | None:
    """The bytes in a block of base64; None when it is none. JSON writes its line ends as two characters."""
    try:
        return base64.b64decode(b"".join(body.replace(b"\\r", b"").replace(b"\\n", b"").split()), validate=True)
    except binascii.Error:
        return None


def blocks(text: bytes) -> Iterator[Block]:
    """Every block, in order."""
    opened: re.Match[bytes] | None = None
    for boundary in _BOUNDARY.finditer(text):
        if opened:
            label = opened[2].decode()
            ended = boundary[1] == b"END" and boundary[2] == opened[2]
            whole = text[opened.start() : boundary.end()] if ended else b""
            yield Block(label, whole, text[opened.end() : boundary.start()] if ended else None)
        opened = boundary if boundary[1] == b"BEGIN" else None
    if opened:
        yield Block(opened[2].decode(), b"", None)
