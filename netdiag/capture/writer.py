"""Packets of a live capture -> a pcapng file (draft-ietf-opsawg-pcapng), with comments on single packets.

Contract: packets in the order given, so that frame N is the N-th; numbers little-endian, times in nanoseconds.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import IO

from netdiag.wire.packets import Link, Packet

_SHB, _IDB, _ISB, _EPB = 0x0A0D0D0A, 1, 5, 6
_MAGIC = 0x1A2B3C4D

_COMMENT = 1
_OS, _APPLICATION = 3, 4
_IF_NAME, _IF_TSRESOL = 2, 9
_EPB_FLAGS = 2
_ISB_IFDROP = 5
#: 10 to the power of -9: nanoseconds.
_NANOSECONDS = b"\x09"
#: The longest value that an option has room for, to the last whole word.
_MAX_VALUE = 0xFFFC


def write_pcapng(
    file: IO[bytes],
    packets: Iterable[Packet],
    links: Sequence[Link],
    *,
    comments: Mapping[int, Sequence[str]] | None = None,
    os: str = "",
    application: str = "",
    dropped: int = 0,
) -> None:
    """Write a whole file. ``comments`` by frame number, counted from 1. ``dropped`` stands with the first interface.

    Raises ``OSError`` where ``file`` cannot be written to.
    """
    comments = comments or {}
    texts = [_text(code, text) for code, text in ((_OS, os), (_APPLICATION, application)) if text]
    file.write(_block(_SHB, struct.pack("<IHHq", _MAGIC, 1, 0, -1), texts))
    for link in links:
        options = [_text(_IF_NAME, link.name)] if link.name else []
        file.write(
            _block(_IDB, struct.pack("<HHI", link.linktype, 0, 0), [*options, _option(_IF_TSRESOL, _NANOSECONDS)])
        )
    last = 0
    for frame, packet in enumerate(packets, 1):
        last = max(last, packet.time_ns)
        file.write(_packet(packet, comments.get(frame, ())))
    if links:
        statistics = struct.pack("<III", 0, *_moment(last))
        file.write(_block(_ISB, statistics, [_option(_ISB_IFDROP, struct.pack("<Q", dropped))]))


def _packet(packet: Packet, comments: Sequence[str]) -> bytes:
    head = struct.pack("<IIIII", packet.link, *_moment(packet.time_ns), len(packet.data), packet.length)
    options = [_text(_COMMENT, comment) for comment in comments]
    if packet.direction:
        options.append(_option(_EPB_FLAGS, struct.pack("<I", packet.direction)))
    return _block(_EPB, head + _padded(packet.data), options)


def _moment(time_ns: int) -> tuple[int, int]:
    """The upper and the lower half: each is little-endian by itself."""
    return time_ns >> 32 & 0xFFFFFFFF, time_ns & 0xFFFFFFFF


def _text(code: int, text: str) -> bytes:
    value = text.encode("utf-8", "replace")
    return _option(code, value[:_MAX_VALUE].decode("utf-8", "ignore").encode())


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _block(kind: int, body: bytes, options: Sequence[bytes]) -> bytes:
    """A block; opt_endofopt ends its options."""
    body += b"".join((*options, bytes(4))) if options else b""
    length = len(body) + 12
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)
