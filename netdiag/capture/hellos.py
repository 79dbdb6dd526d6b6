"""The server names in many ClientHellos at once, for every connection of a capture.

Contract: vectorised over payloads that lie in one buffer; finds exactly what ``wire.tls`` finds in the first TLS record
of each, as far as that was captured and among its first ``MAX_EXTENSIONS``. No byte outside a payload decides anything.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from netdiag.capture.packets import Bytes, Ints

Bools = npt.NDArray[np.bool_]

#: Extensions that are looked at. OpenSSL and SChannel send about 12, browsers 18 in random order, with GREASE.
MAX_EXTENSIONS = 40

_RECORD, _HANDSHAKE = 5, 4  # lengths of the two headers
_SESSION_ID = _RECORD + _HANDSHAKE + 2 + 32


def server_names(data: Bytes, start: Ints, end: Ints) -> tuple[Ints, Ints]:
    """Offsets and lengths of the SNI host names (RFC 6066 §3) in the payloads ``data[start:end]``; length 0 for none.

    ``data`` is contiguous and goes on for at least 4 bytes after the last payload, as that of a ``Batch`` does. Each
    step moves a cursor in all hellos at once (RFC 8446 §4.1.2) and drops those that have ended.
    """
    offsets, lengths = np.zeros(len(start), np.int64), np.zeros(len(start), np.int64)
    rows = np.flatnonzero(end - start > _SESSION_ID)
    if not len(rows):
        return offsets, lengths
    word = _Words(data)
    first, second = word.at(start[rows]), word.at(start[rows] + 5)
    # Type 22 and version 3.x of the record, type 1 of the message.
    hello = (first >> 16 == 0x1603) & (second >> 24 == 1)
    rows, first, second = rows[hello], first[hello], second[hello]
    # The hello ends with its payload, its record or itself.
    at, stop = start[rows], end[rows]
    record = (first & 0xFF) << 8 | word.at(at + 4) >> 24
    stop = np.minimum(stop, at + _RECORD + np.minimum(record, _HANDSHAKE + (second & 0xFFFFFF)))
    at = at + _SESSION_ID
    for width in (1, 2, 1):  # session id, cipher suites, compression methods
        rows, at, stop = _keep(at + width <= stop, rows, at, stop)
        at = at + width + (word.at(at) >> 32 - 8 * width)
    rows, at, stop = _keep(at + 2 <= stop, rows, at, stop)
    stop = np.minimum(stop, at + 2 + (word.at(at) >> 16))
    at = at + 2
    for _ in range(MAX_EXTENSIONS):
        rows, at, stop = _keep(at + 4 <= stop, rows, at, stop)
        if not len(rows):
            break
        head = word.at(at)
        body, at = at + 4, at + 4 + (head & 0xFFFF)
        found = head >> 16 == 0
        if found.any():
            offsets[rows[found]], lengths[rows[found]] = _name(word, body[found], np.minimum(stop, at)[found])
            rows, at, stop = _keep(~found, rows, at, stop)
    return offsets, lengths


def _name(word: _Words, at: Ints, stop: Ints) -> tuple[Ints, Ints]:
    """The name in server_name extensions at ``at``: a list's length, name type 0, the name's length, the name."""
    head = word.at(at)
    stop = np.minimum(stop, at + 2 + (head >> 16))
    length = (head & 0xFF) << 8 | word.at(at + 4) >> 24
    whole = (head >> 8 & 0xFF == 0) & (at + 5 + length <= stop)
    return np.where(whole, at + 5, 0), np.where(whole, length, 0)


def _keep(mask: Bools, *columns: Ints) -> tuple[Ints, ...]:
    return columns if mask.all() else tuple(column[mask] for column in columns)


class _Words:
    """The 32-bit big-endian numbers at any offset of a buffer; anything for those that do not lie in it whole."""

    def __init__(self, data: Bytes) -> None:
        self._last = len(data) - 4
        self._view = np.ndarray((self._last + 1,), np.dtype(">u4"), data, strides=(1,))

    def at(self, offsets: Ints) -> Ints:
        """One number for each offset."""
        return self._view[np.minimum(offsets, self._last)].astype(np.int64)
