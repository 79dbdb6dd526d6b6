"""HTTP/1.x heads and bodies: bytes in, values out.

Contract: no sockets, no clock. A parser returns a value, or None while bytes are missing, or raises ``NotHttpError``.
Every size is bounded by a named constant. Lines may end in CRLF or in LF alone (RFC 9112 §2.2 lets a recipient accept
both).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

import msgspec

#: Servers commonly stop at 8 to 64 KiB of head; a proxy's challenges (Kerberos tokens) stay far below.
MAX_HEAD = 65536
#: A status line longer than this is no status line (RFC 9112 §3 asks for 8000 octets of request line).
MAX_LINE = 8192
#: No real answer has more fields; what follows is dropped.
MAX_FIELDS = 200
#: Hexadecimal digits of a chunk size: 16 hold any 64-bit length.
MAX_CHUNK_DIGITS = 16
#: Interim answers (RFC 9110 §15.2) before the final one.
MAX_INTERIM = 5

_STATUS_LINE = re.compile(rb"HTTP/(\d\.\d)[ \t]+(\d{3})(?:[ \t]+(.*))?", re.DOTALL)
_FIELD_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")


class NotHttpError(ValueError):
    """The bytes are no HTTP/1.x answer, or break its framing. The message says what came instead."""


class ResponseHead(msgspec.Struct, frozen=True):
    """A status line and its fields, in the order received."""

    version: str
    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a field."""
        return tuple(value for field, value in self.headers if field.lower() == name.lower())

    def get(self, name: str) -> str:
        """The values of a field joined by commas (RFC 9110 §5.3), empty when it is absent."""
        return ", ".join(self.all(name))

    @property
    def persistent(self) -> bool:
        """Whether the sender keeps the connection open after this answer (RFC 9112 §9.3)."""
        options = {o.strip().lower() for o in f"{self.get('connection')},{self.get('proxy-connection')}".split(",")}
        return "close" not in options and (self.version != "1.0" or "keep-alive" in options)


def request_head(method: str, target: str, headers: Iterable[tuple[str, str]]) -> bytes:
    """A request's head. ``ValueError`` when a part holds a line break, which would smuggle in another field."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    if any(character in line for line in lines for character in "\r\n\0"):
        raise ValueError("a request line or field may not hold a line break")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def parse_head(data: bytes) -> tuple[ResponseHead, int] | None:
    """The head at the start of ``data`` and its length in bytes; None while it is incomplete.

    Raises ``NotHttpError`` as soon as the bytes cannot become an HTTP/1.x head.
    """
    if not b"HTTP/".startswith(data[:5]):
        raise NotHttpError(f"not HTTP: it starts with {printable(data)}")
    line_end = data.find(b"\n", 0, MAX_LINE)
    if line_end < 0:
        if len(data) >= MAX_LINE:
            raise NotHttpError(f"the status line is longer than {MAX_LINE} bytes")
        return None
    match = _STATUS_LINE.fullmatch(data[:line_end].rstrip(b"\r"))
    if match is None:
        raise NotHttpError(f"not an HTTP status line: {printable(data[:line_end])}")
    end = _head_end(data, line_end)
    if end is None or end > MAX_HEAD:
        if len(data) > MAX_HEAD:
            raise NotHttpError(f"the head is longer than {MAX_HEAD} bytes")
        return None
    version, status, reason = match.groups()
    head = ResponseHead(
        version=version.decode(),
        status=int(status),
        reason=(reason or b"").decode("utf-8", "replace").strip(),
        headers=_fields(data[line_end + 1 : end]),
    )
    return head, end


def parse_final_head(data: bytes) -> tuple[ResponseHead, int] | None:
    """The head of the first answer that is no interim one (RFC 9110 §15.2), and where it ends; as ``parse_head``."""
    start = 0
    for _ in range(MAX_INTERIM + 1):
        parsed = parse_head(data[start:])
        if parsed is None:
            return None
        head, length = parsed
        start += length
        if head.status >= 200:
            return head, start
    raise NotHttpError("an endless row of interim answers")


def _head_end(data: bytes, start: int) -> int | None:
    """The index after the first empty line, searched from the end of the status line."""
    ends = [at + len(mark) for mark in (b"\n\r\n", b"\n\n") if (at := data.find(mark, start)) >= 0]
    return min(ends, default=None)


def _fields(block: bytes) -> tuple[tuple[str, str], ...]:
    """The fields of a head. Folded lines are joined (RFC 9112 §5.2); a line that is no field is skipped."""
    fields: list[tuple[str, str]] = []
    for raw in block.split(b"\n"):
        line = raw.rstrip(b"\r")
        if line[:1] in (b" ", b"\t") and line.strip() and fields:
            name, value = fields[-1]
            fields[-1] = (name, f"{value} {_text(line)}".strip())
            continue
        name_bytes, colon, value_bytes = line.partition(b":")
        if colon and _FIELD_NAME.fullmatch(name_bytes.rstrip()) and len(fields) < MAX_FIELDS:
            fields.append((_text(name_bytes), _text(value_bytes)))
    return tuple(fields)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace").strip()


def printable(data: bytes, limit: int = 40) -> str:
    """The first bytes for a message: as text when they are text, in hexadecimal otherwise."""
    start = data[:limit]
    if start and all(32 <= byte < 127 for byte in start.rstrip(b"\r\n")):
        return repr(start.decode("ascii").rstrip("\r\n"))
    return f"bytes {start[:16].hex(' ')}" if start else "nothing"


Framing = Literal["none", "length", "chunked", "close"]


def framing(head: ResponseHead, method: str) -> tuple[Framing, int]:
    """How the body that follows ``head`` ends (RFC 9112 §6.3), and its length for "length".

    Raises ``NotHttpError`` for lengths that contradict each other or are no numbers.
    """
    if method == "HEAD" or head.status < 200 or head.status in (204, 304):
        return "none", 0
    if method == "CONNECT" and head.status < 300:
        return "none", 0  # "A client MUST ignore any Content-Length or Transfer-Encoding" (RFC 9110 §9.3.6)
    if encodings := head.get("transfer-encoding"):
        return ("chunked" if encodings.rpartition(",")[2].strip().lower() == "chunked" else "close"), 0
    lengths = {part.strip() for part in head.get("content-length").split(",")} - {""}
    if not lengths:
        return "close", 0
    length = lengths.pop()
    if lengths or not (length.isascii() and length.isdigit() and len(length) <= 18):
        raise NotHttpError("the Content-Length is not one number")
    return ("length", int(length)) if int(length) else ("none", 0)


class Body:
    """Takes a body as its bytes arrive and keeps the first ``keep`` of them.

    ``complete`` tells when the body has ended; ``size`` counts its bytes. Nothing else is stored, so a caller that
    stops feeding after a budget of its own has bounded both time and memory.
    """

    def __init__(self, head: ResponseHead, method: str, keep: int) -> None:
        self._framing, self._left = framing(head, method)
        self._keep = keep
        self._line = b""  # the part of a chunk's size line or trailer that has come
        self._state: Literal["size", "data", "data-end", "trailer"] = "size"
        self.complete = self._framing == "none"
        self._kept = bytearray()  # bytes would be copied whole for each part that arrives
        self.size = 0

    @property
    def kept(self) -> bytes:
        """The first ``keep`` bytes, as far as they have come."""
        return bytes(self._kept)

    @property
    def until_close(self) -> bool:
        """Only the closing of the connection ends this body."""
        return self._framing == "close"

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes; return those that no longer belong to this body. Raises ``NotHttpError``."""
        while data and not self.complete:
            if self._framing == "close":
                self._take(data)
                return b""
            take = self._counted if self._framing == "length" or self._state == "data" else self._chunk_line
            data = take(data)
        return data

    def end(self) -> bool:
        """The peer has closed: True when the body is whole."""
        if self._framing == "close":
            self.complete = True
        return self.complete

    def _take(self, data: bytes) -> None:
        self.size += len(data)
        if len(self._kept) < self._keep:
            self._kept += data[: self._keep - len(self._kept)]

    def _counted(self, data: bytes) -> bytes:
        part, rest = data[: self._left], data[self._left :]
        self._take(part)
        self._left -= len(part)
        if not self._left:
            self._state = "data-end"
            self.complete = self._framing == "length"
        return rest

    def _chunk_line(self, data: bytes) -> bytes:
        """One line of the chunked framing (RFC 9112 §7.1): a size, the end of a chunk's data, or a trailer field."""
        line, newline, rest = data.partition(b"\n")
        self._line += line
        if len(self._line) > MAX_LINE:
            raise NotHttpError(f"a chunk's line is longer than {MAX_LINE} bytes")
        if not newline:
            return b""
        line, self._line = self._line.rstrip(b"\r"), b""
        if self._state == "size":
            digits = line.partition(b";")[0].strip()
            if not re.fullmatch(rb"[0-9A-Fa-f]{1,%d}" % MAX_CHUNK_DIGITS, digits):
                raise NotHttpError(f"not a chunk size: {printable(line)}")
            self._left = int(digits, 16)
            self._state = "data" if self._left else "trailer"
        elif self._state == "data-end":
            if line:
                raise NotHttpError(f"a chunk is longer than its size: {printable(line)}")
            self._state = "size"
        elif not line:
            self.complete = True
        return rest


def body_text(head: ResponseHead, body: bytes, limit: int = 4096) -> str:
    """The start of a body, decoded with the charset that the Content-Type names, else as UTF-8."""
    match = re.search(r"charset\s*=\s*\"?([\w.:-]+)", head.get("content-type"), re.IGNORECASE)
    return decoded(body, match.group(1) if match else "utf-8")[:limit]


def decoded(body: bytes, charset: str) -> str:
    """The text of ``body``, whatever it holds and whatever ``charset`` is."""
    try:
        text = body.decode(charset, "replace")
    except (LookupError, ValueError):  # unknown, no text encoding, or one that cannot replace
        text = body.decode("utf-8", "replace")
    return text.encode("utf-8", "replace").decode("utf-8")  # UTF-7 and the like can hold lone surrogates
