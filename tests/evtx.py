"""Windows event logs made by hand: one chunk, each record with its binary XML spelled out, without templates.

The layout is that of [MS-EVEN6] and of the public descriptions of the format: a file header, a chunk header, records.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_CHUNK = 65_536
_CHUNK_HEADER = 512
_NAMESPACE = "http://schemas.microsoft.com/win/2004/08/events/event"


@dataclass(frozen=True, kw_only=True)
class Event:
    """What one event says. ``at`` is seconds since the epoch."""

    data: tuple[str, ...]
    at: float = 1_716_285_600.0
    provider: str = "Integration Runtime"
    event_id: int = 1
    level: int = 2
    computer: str = "node1.contoso.com"


@dataclass(frozen=True)
class Element:
    name: str
    attributes: tuple[tuple[str, str], ...] = ()
    children: tuple[Element | str, ...] = ()


def event_log(events: Sequence[Event]) -> bytes:
    """A file with these events."""
    chunk = bytearray(_CHUNK_HEADER)
    last = _CHUNK_HEADER
    for number, event in enumerate(events, 1):
        last = len(chunk)
        xml = _Binary(len(chunk) + 24).document(_tree(event, number))
        size = 24 + len(xml) + 4
        padding = -size % 8
        size += padding
        filetime = round((event.at + 11_644_473_600) * 10_000_000)
        record = struct.pack("<4sIQQ", b"\x2a\x2a\x00\x00", size, number, filetime) + xml + bytes(padding)
        chunk += record + struct.pack("<I", size)
        assert len(chunk) < _CHUNK
    free = len(chunk)
    header = struct.pack(
        "<8sQQQQIIII", b"ElfChnk\x00", 1, len(events), 1, len(events), 128, last, free,
        zlib.crc32(bytes(chunk[_CHUNK_HEADER:free])),
    )  # fmt: skip
    chunk[: len(header)] = header
    chunk[124:128] = struct.pack("<I", zlib.crc32(bytes(chunk[:120]) + bytes(chunk[128:512])))
    chunk += bytes(_CHUNK - len(chunk))
    file = bytearray(4096)
    struct.pack_into("<8sQQQIHHHH", file, 0, b"ElfFile\x00", 0, 0, len(events) + 1, 128, 1, 3, 4096, 1)
    struct.pack_into("<I", file, 124, zlib.crc32(bytes(file[:120])))
    return bytes(file + chunk)


def event_xml(events: Iterable[Event], *, root: bool = True, message: bool = False) -> str:
    """The same as Event Viewer's "Save as XML"; ``message`` with the text as it shows it."""
    written = "".join(_written(_tree(event, number, message=message)) for number, event in enumerate(events, 1))
    return f'<?xml version="1.0" encoding="utf-8" standalone="yes"?>\n<Events>{written}</Events>' if root else written


def _tree(event: Event, number: int, *, message: bool = False) -> Element:
    from datetime import UTC, datetime

    time = datetime.fromtimestamp(event.at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")
    system = (
        Element("Provider", (("Name", event.provider),)),
        Element("EventID", (), (str(event.event_id),)),
        Element("Level", (), (str(event.level),)),
        Element("TimeCreated", (("SystemTime", time),)),
        Element("EventRecordID", (), (str(number),)),
        Element("Channel", (), ("Integration Runtime",)),
        Element("Computer", (), (event.computer,)),
    )
    parts = [Element("System", (), system)]
    parts += [Element("EventData", (), tuple(Element("Data", (), (text,)) for text in event.data))]
    if message:
        shown = Element("Message", (), (" ".join(event.data),))
        parts += [Element("RenderingInfo", (("Culture", "en-US"),), (shown,))]
    return Element("Event", (("xmlns", _NAMESPACE),), tuple(parts))


def _written(element: Element | str) -> str:
    from xml.sax.saxutils import escape, quoteattr

    if isinstance(element, str):
        return escape(element)
    attributes = "".join(f" {name}={quoteattr(value)}" for name, value in element.attributes)
    return f"<{element.name}{attributes}>{''.join(map(_written, element.children))}</{element.name}>"


class _Binary:
    """Binary XML: tokens, each name written where it is first used. Offsets count from the chunk's beginning."""

    def __init__(self, start: int) -> None:
        self._out = bytearray()
        self._start = start

    def document(self, root: Element) -> bytes:
        self._out += b"\x0f\x01\x01\x00"
        self._element(root)
        self._out += b"\x00"
        return bytes(self._out)

    def _here(self) -> int:
        return self._start + len(self._out)

    def _name(self, name: str) -> None:
        """Where the name is (right behind, always anew): next, hash, characters, text, zero."""
        self._out += struct.pack("<I", self._here() + 4)
        value = 0
        for unit in name:
            value = (value * 65_599 + ord(unit)) & 0xFFFFFFFF
        self._out += struct.pack("<IHH", 0, value & 0xFFFF, len(name)) + name.encode("utf-16-le") + b"\x00\x00"

    def _text(self, text: str) -> None:
        units = text.encode("utf-16-le")
        self._out += b"\x05\x01" + struct.pack("<H", len(units) // 2) + units

    def _element(self, element: Element) -> None:
        flagged = bool(element.attributes)
        self._out += b"\x41" if flagged else b"\x01"  # an element outside a template has no dependency
        at_size = len(self._out)
        self._out += bytes(4)
        self._name(element.name)
        if flagged:
            at_attributes = len(self._out)
            self._out += bytes(4)
            for n, (name, value) in enumerate(element.attributes):
                self._out += b"\x46" if n + 1 < len(element.attributes) else b"\x06"
                self._name(name)
                self._text(value)
            struct.pack_into("<I", self._out, at_attributes, len(self._out) - at_attributes - 4)
        if element.children:
            self._out += b"\x02"
            for child in element.children:
                if isinstance(child, str):
                    self._text(child)
                else:
                    self._element(child)
            self._out += b"\x04"
        else:
            self._out += b"\x03"
        struct.pack_into("<I", self._out, at_size, len(self._out) - at_size - 4)
