"""The .NET Message Framing Protocol (MC-NMF), which net.tcp speaks: bytes <-> records.

Contract: no sockets, no clock. ``parse_record`` returns a record and the bytes it took, or None while bytes are
missing, or raises ``NotFramingError``. Lengths are 7-bit groups, least significant first, in at most five bytes
(MC-NMF §2.2.2). Texts are bounded by WCF's own limits (dotnet/wcf, FramingFormat.cs and FramingDecoders.cs).
"""

from __future__ import annotations

import enum
from collections.abc import Iterator

import msgspec

from netdiag.wire.http import printable


class RecordType(enum.IntEnum):
    """The records of MC-NMF §2.2.1."""

    VERSION = 0x00
    MODE = 0x01
    VIA = 0x02
    KNOWN_ENCODING = 0x03
    EXTENSIBLE_ENCODING = 0x04
    UNSIZED_ENVELOPE = 0x05
    SIZED_ENVELOPE = 0x06
    END = 0x07
    FAULT = 0x08
    UPGRADE_REQUEST = 0x09
    UPGRADE_RESPONSE = 0x0A
    PREAMBLE_ACK = 0x0B
    PREAMBLE_END = 0x0C


#: Longest text of the records that carry one, in bytes.
MAX_TEXT: dict[RecordType, int] = {
    RecordType.VIA: 2048,
    RecordType.EXTENSIBLE_ENCODING: 256,
    RecordType.FAULT: 256,
    RecordType.UPGRADE_REQUEST: 256,
}
#: A message's size is the peer's to choose; more than this is not kept in memory.
MAX_ENVELOPE = 16 * 1024 * 1024
#: Records of a preamble: there are seven of them.
MAX_RECORDS = 32

#: MC-NMF §2.2.3.2.
DUPLEX = 2
MODES: dict[int, str] = {1: "singleton-unsized", 2: "duplex", 3: "simplex", 4: "singleton-sized"}
#: MC-NMF §2.2.3.4.1. NetTcpBinding's default is 8.
BINARY_SESSION = 8
ENCODINGS: dict[int, str] = {
    0: "SOAP 1.1 UTF-8",
    1: "SOAP 1.1 UTF-16",
    2: "SOAP 1.1 UTF-16LE",
    3: "SOAP 1.2 UTF-8",
    4: "SOAP 1.2 UTF-16",
    5: "SOAP 1.2 UTF-16LE",
    6: "SOAP 1.2 MTOM",
    7: "SOAP 1.2 binary",
    8: "SOAP 1.2 binary session",
}
TLS_UPGRADE = "application/ssl-tls"
NEGOTIATE_UPGRADE = "application/negotiate"

#: Fault URIs begin with this (MC-NMF §2.2.5).
FAULT_NAMESPACE = "http://schemas.microsoft.com/ws/2006/05/framing/faults/"


class NotFramingError(ValueError):
    """The bytes are no record of MC-NMF. The message says what came instead."""


class Record(msgspec.Struct, frozen=True):
    """One record: ``text`` of Via, encoding, fault and upgrade; ``number`` of mode and encoding; ``version``."""

    type: RecordType
    text: str = ""
    number: int = 0
    version: tuple[int, int] = (1, 0)
    payload: bytes = b""

    @property
    def fault(self) -> str:
        """The name of a fault: "EndpointNotFound"; the whole URI when it is another's."""
        return self.text.removeprefix(FAULT_NAMESPACE)


def size(number: int) -> bytes:
    """A length as MC-NMF §2.2.2 writes it. ``ValueError`` for one that does not fit 32 bits."""
    if not 0 <= number < 1 << 32:
        raise ValueError("a size has 32 bits")
    groups = bytearray()
    while number > 0x7F:
        groups.append(number & 0x7F | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def record(kind: RecordType, text: str = "") -> bytes:
    """A record that carries a text, or nothing. ``ValueError`` when the text is longer than peers take."""
    if kind not in MAX_TEXT:
        return bytes([kind])
    data = text.encode()
    if not 1 <= len(data) <= MAX_TEXT[kind]:
        raise ValueError(f"a {kind.name} record has 1 to {MAX_TEXT[kind]} bytes of text")
    return bytes([kind]) + size(len(data)) + data


def preamble(via: str, *, mode: int = DUPLEX, encoding: int = BINARY_SESSION, upgrade: str = "") -> bytes:
    """What a client sends first (MC-NMF §2.2.6): version, mode, via, encoding; then an upgrade, or the end."""
    start = bytes([RecordType.VERSION, 1, 0, RecordType.MODE, mode])
    known = bytes([RecordType.KNOWN_ENCODING, encoding])
    last = record(RecordType.UPGRADE_REQUEST, upgrade) if upgrade else record(RecordType.PREAMBLE_END)
    return start + record(RecordType.VIA, via) + known + last


def parse_size(data: bytes, at: int = 0) -> tuple[int, int] | None:
    """The length at ``at`` and the index behind it."""
    number = 0
    for index in range(5):
        if at + index >= len(data):
            return None
        byte = data[at + index]
        number |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            if number >= 1 << 32:
                break
            return number, at + index + 1
    raise NotFramingError("a size that does not end within five bytes, or needs more than 32 bits")


def parse_record(data: bytes, at: int = 0) -> tuple[Record, int] | None:
    """The record at ``at`` and the index behind it.

    An envelope without a size holds chunks, which are for the caller to read: only its type byte is taken.
    """
    if at >= len(data):
        return None
    try:
        kind = RecordType(data[at])
    except ValueError:
        raise NotFramingError(f"not a net.tcp record: it starts with {printable(data[at:])}") from None
    if kind in MAX_TEXT or kind is RecordType.SIZED_ENVELOPE:
        return _sized(data, at, kind)
    length = {RecordType.VERSION: 2, RecordType.MODE: 1, RecordType.KNOWN_ENCODING: 1}.get(kind, 0)
    end = at + 1 + length
    if end > len(data):
        return None
    if kind is RecordType.VERSION:
        return Record(kind, version=(data[at + 1], data[at + 2])), end
    return Record(kind, number=data[at + 1] if length else 0), end


def _sized(data: bytes, at: int, kind: RecordType) -> tuple[Record, int] | None:
    limit = MAX_TEXT.get(kind, MAX_ENVELOPE)
    parsed = parse_size(data, at + 1)
    if parsed is None:
        return None
    length, start = parsed
    if not 1 <= length <= limit:
        raise NotFramingError(f"a {kind.name} record of {length} bytes, which may have 1 to {limit}")
    body = data[start : start + length]
    if len(body) < length:
        return None
    if kind is RecordType.SIZED_ENVELOPE:
        return Record(kind, payload=body), start + length
    try:
        return Record(kind, text=body.decode()), start + length
    except UnicodeDecodeError:
        raise NotFramingError(f"a {kind.name} record whose text is not UTF-8") from None


def parse_preamble(data: bytes) -> Iterator[tuple[Record, int]]:
    """The records at the start of one side's bytes, each with the index behind it, up to what ends or leaves framing.

    That is an upgrade, the end of a preamble, a fault, an envelope, or the end of the bytes. Raises
    ``NotFramingError``.
    """
    at = 0
    for _ in range(MAX_RECORDS):
        parsed = parse_record(data, at)
        if parsed is None:
            return
        yield parsed
        found, at = parsed
        if found.type not in _PREAMBLE:
            return


_PREAMBLE = frozenset(
    {
        RecordType.VERSION,
        RecordType.MODE,
        RecordType.VIA,
        RecordType.KNOWN_ENCODING,
        RecordType.EXTENSIBLE_ENCODING,
    }
)


def begins_framing(data: bytes) -> bool:
    """Whether a client's first bytes are those of MC-NMF: a version 1.x record, then a mode."""
    return data[:2] == b"\x00\x01" and data[3:4] == b"\x01" and data[4:5] in (b"\x01", b"\x02", b"\x03", b"\x04")
