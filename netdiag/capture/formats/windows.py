"""What the readers of Windows' formats (Network Monitor, ETL) share.

Contract: nothing here raises for what a file holds. Offsets may lie anywhere, times anywhere, texts be anything; what
cannot be is left out or clamped. Memory: one window of the file, one batch of packets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Protocol

from netdiag.capture.packets import Batch, FileInfo, Interface, batch_of

#: Captured bytes, length on the wire, time in ns, interface, direction: what ``packets.batch_of`` takes.
Packet = tuple[bytes, int, int, int, int]

#: A batch ends at whichever comes first.
BATCH_PACKETS = 8_192
BATCH_BYTES = 8 * 1024 * 1024

#: What is kept of one text, in characters.
MAX_TEXT = 4_096

#: Interfaces told apart; further ones are counted as the last of the same link type (``Batch.interface`` is a u16).
MAX_INTERFACES = 1_000

#: Frames whose process is kept; the connections that begin later are without one.
MAX_OWNED = 200_000

#: FILETIME counts 100 ns since 1601-01-01 UTC; this is 1970-01-01.
EPOCH_FILETIME = 116_444_736_000_000_000
_MAX_NS = 2**63 - 1

LINKTYPE_ETHERNET, LINKTYPE_RAW, LINKTYPE_IEEE802_11 = 1, 101, 105


class RandomAccess(Protocol):
    """Content of known size, readable anywhere (``source.RandomAccess``)."""

    size: int

    def read_at(self, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset``; fewer where the content ends."""


class RandomSource(Protocol):
    """What these readers need of ``source.Source``."""

    def random_access(self) -> RandomAccess:
        """The whole content."""


class Window:
    """Reads anywhere in a file, cheaply where one read follows another."""

    #: Small, so that a table of scattered offsets costs little more than what it points to.
    SIZE = 128 * 1024

    def __init__(self, access: RandomAccess) -> None:
        self.size = access.size
        self._access = access
        self._start = 0
        self._held = b""

    def read(self, offset: int, length: int) -> bytes:
        """Up to ``length`` bytes from ``offset``; fewer at the end of the file, none beyond it."""
        if offset < 0 or offset >= self.size or length <= 0:
            return b""
        start = offset - self._start
        if start < 0 or start + length > len(self._held):
            self._held = self._access.read_at(offset, max(length, self.SIZE))
            self._start, start = offset, 0
        return self._held[start : start + length]


class Interfaces:
    """The interfaces of a file, numbered in ``info.interfaces`` as packets of them turn up."""

    def __init__(self, info: FileInfo) -> None:
        self._info = info
        self._numbers: dict[object, int] = {}
        self._last_of_type: dict[int, int] = {}

    def number(self, key: object, linktype: int, name: str = "", description: str = "") -> int:
        """The index of the interface known as ``key``, which is made at its first mention."""
        found = self._numbers.get((key, linktype))
        if found is not None:
            return found
        if len(self._info.interfaces) >= MAX_INTERFACES and linktype in self._last_of_type:
            return self._last_of_type[linktype]
        index = min(len(self._info.interfaces), 0xFFFF)
        self._info.interfaces.append(Interface(linktype, name, description))
        self._numbers[key, linktype] = self._last_of_type[linktype] = index
        return index


def batched(packets: Iterable[tuple[int, Packet]]) -> Iterator[Batch]:
    """Batches of numbered packets. A number that does not follow the one before begins a new batch."""
    held: list[Packet] = []
    first = size = 0
    for frame, packet in packets:
        if held and (frame != first + len(held) or len(held) == BATCH_PACKETS or size >= BATCH_BYTES):
            yield batch_of(held, first)
            held, size = [], 0
        if not held:
            first = frame
        held.append(packet)
        size += len(packet[0])
    if held:
        yield batch_of(held, first)


def note_process(info: FileInfo, frame: int, process: int) -> None:
    """Say which of ``info.processes`` owned ``frame``, while there is room."""
    if len(info.process_of_frame) < MAX_OWNED:
        info.process_of_frame[frame] = process


def clamp_ns(time_ns: int) -> int:
    """A moment that fits ``Batch.time_ns``; 0 for one before 1970 or after 2262."""
    return time_ns if 0 <= time_ns <= _MAX_NS else 0


def filetime_ns(filetime: int) -> int:
    """FILETIME as ns since the Unix epoch; 0 when it is none of our age."""
    return clamp_ns((filetime - EPOCH_FILETIME) * 100)


def utf16(data: bytes) -> str:
    """UTF-16LE up to its zero, if it has one; what is wrong in it is replaced."""
    return data[: 2 * MAX_TEXT].decode("utf-16-le", "replace").split("\0", 1)[0]


def utf16_at(data: bytes, offset: int) -> tuple[str, int]:
    """A zero-terminated UTF-16LE string and the offset behind it; ``ValueError`` when its zero is missing."""
    end = offset
    while (end := data.index(b"\0\0", end)) % 2 != offset % 2:
        end += 1
    return utf16(data[offset:end]), end + 2


def plain_text(data: bytes) -> str:
    """The words of a comment: RTF without its control words, UTF-16LE, or else 8-bit text."""
    if data.startswith(b"{\\rtf"):
        text = data[:MAX_TEXT].split(b"\0", 1)[0].decode("latin-1")
        text = re.sub(r"\{\\(?:fonttbl|colortbl|\*)[^{}]*(?:\{[^{}]*\}[^{}]*)*\}", "", text)
        text = re.sub(r"\\(?:par|line)\b ?", "\n", text)
        return re.sub(r"\\'[0-9a-f]{2}|\\[a-z]+-?\d* ?|[{}]", "", text).strip("\r\n\0 ")
    if b"\0" in data[1:-1:2]:
        return utf16(data).strip()
    return data[:MAX_TEXT].split(b"\0", 1)[0].decode("utf-8", "replace").strip()


def wire_length(data: bytes, linktype: int) -> int:
    """The length that a frame had before the capture cut it: what its IP header says, at least what is there.

    ETW events do not tell it. An IPv4 total length of 0 (segmentation left to the adapter) says nothing.
    """
    start = 14 if linktype == LINKTYPE_ETHERNET else 0 if linktype == LINKTYPE_RAW else None
    if start is None or len(data) < start + 20:
        return len(data)
    version = data[start] >> 4
    if start:
        version = {b"\x08\x00": 4, b"\x86\xdd": 6}.get(data[12:14], 0)
    length = 0
    if version == 4:
        length = start + int.from_bytes(data[start + 2 : start + 4], "big")
    elif version == 6:
        length = start + 40 + int.from_bytes(data[start + 4 : start + 6], "big")
    return max(length, len(data))
