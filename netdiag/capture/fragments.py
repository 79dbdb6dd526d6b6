"""IP fragments -> whole datagrams (RFC 791 §3.2, RFC 8200 §4.5), one packet at a time: they are rare.

Contract: bounded by ``MAX_DATAGRAMS`` waiting datagrams (the oldest goes) of at most 65,535 bytes of payload. Where
fragments overlap, the bytes that came first stay, as Linux, and Wireshark, keep them.
"""

from __future__ import annotations

import struct

import msgspec

from netdiag.capture.packets import Bytes

#: Datagrams that wait for fragments at one time: 64 MiB at the very most, next to nothing in honest captures.
MAX_DATAGRAMS = 1024
_MAX_PAYLOAD = 65_535
#: Of one datagram; an Ethernet's worth is 45.
_MAX_PIECES = 2048


class _Waiting(msgspec.Struct):
    """The pieces of one datagram, in file order: offset and payload."""

    pieces: list[tuple[int, bytes]] = msgspec.field(default_factory=list)
    size: int = 0
    #: The payload's length, known from the last fragment.
    total: int | None = None


class Fragments:
    """Fragments by datagram. ``complete``: (index of the completing packet in its batch, header and payload)."""

    def __init__(self) -> None:
        self.complete: list[tuple[int, bytes]] = []
        self._waiting: dict[bytes, _Waiting] = {}

    def add4(self, data: Bytes, index: int, ip: int, payload: int, end: int) -> None:
        """An IPv4 fragment whose header begins at ``ip``."""
        header = data[ip:payload].tobytes()
        field_ = struct.unpack_from(">H", header, 6)[0]
        whole = struct.pack(">H", 0).join((header[:6], header[8:]))  # neither offset nor more fragments
        self._add(b"4" + header[4:6] + header[9:10] + header[12:20], index, whole, data[payload:end].tobytes(), field_)

    def add6(self, data: Bytes, index: int, ip: int, fragment: int, end: int) -> None:
        """An IPv6 fragment whose fragment header begins at ``fragment``."""
        header = data[ip : ip + 40].tobytes()
        following, _, field_, identification = struct.unpack_from(">BBHI", data[fragment : fragment + 8].tobytes())
        whole = header[:6] + bytes((following,)) + header[7:]
        key = b"6" + identification.to_bytes(4, "big") + header[8:40]
        # The field's unit is 8 bytes in its upper 13 bits; IPv4 has 13 lower bits and the flag above them.
        self._add(key, index, whole, data[fragment + 8 : end].tobytes(), (field_ >> 3) | (field_ & 1) << 13)

    def _add(self, key: bytes, index: int, header: bytes, payload: bytes, fragment: int) -> None:
        waiting = self._waiting.get(key)
        if waiting is None:
            if len(self._waiting) >= MAX_DATAGRAMS:
                del self._waiting[next(iter(self._waiting))]
            waiting = self._waiting[key] = _Waiting()
        offset, more = (fragment & 0x1FFF) * 8, bool(fragment & 0x2000)
        if offset + len(payload) > _MAX_PAYLOAD or len(waiting.pieces) >= _MAX_PIECES:
            return
        if not more and waiting.total is None:
            waiting.total = offset + len(payload)
        waiting.pieces.append((offset, payload))
        waiting.size += len(payload)
        whole = _joined(waiting)
        if whole is not None:
            del self._waiting[key]
            self.complete.append((index, _sized(header, len(whole)) + whole))


def _joined(waiting: _Waiting) -> bytes | None:
    """The payload, if it has no gap."""
    if waiting.total is None or waiting.size < waiting.total:
        return None
    joined = bytearray()
    for offset, payload in sorted(waiting.pieces, key=lambda piece: piece[0]):
        if offset <= len(joined):
            joined += payload[len(joined) - offset :]
    return bytes(joined[: waiting.total]) if len(joined) >= waiting.total else None


def _sized(header: bytes, payload: int) -> bytes:
    """The header with the whole datagram's length."""
    if header[0] >> 4 == 4:
        return header[:2] + struct.pack(">H", min(len(header) + payload, 65_535)) + header[4:]
    return header[:4] + struct.pack(">H", payload) + header[6:]
