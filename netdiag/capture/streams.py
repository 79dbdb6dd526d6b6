"""An exhibit's payload put back in order: the bytes that each side sent, and when they had arrived.

Contract: pure. A stream is what came without a gap from its beginning on; nothing is added once it has ``MAX_STREAM``
bytes. Of bytes that were sent twice the first count. Sequence numbers wrap (RFC 1982). Resets carry no data, whatever
is in them.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right

import msgspec

from netdiag.capture.exhibits import Exhibit
from netdiag.model import Segment

#: Handshakes and heads are far below it: five certificates of 2 KiB, a head of 8 KiB with the page behind it.
MAX_STREAM = 64 * 1024

_WRAP = 1 << 32
_HALF = 1 << 31


class Stream(msgspec.Struct):
    """What one side sent. ``wire``: how far its data reached, whether it was captured or not."""

    data: bytes = b""
    wire: int = 0
    #: ``data[:ends[i]]`` had arrived at ``times[i]``; both ascend.
    ends: list[int] = msgspec.field(default_factory=list)
    times: list[float] = msgspec.field(default_factory=list)

    @property
    def cut(self) -> bool:
        """Something is missing: data lies behind a gap, or was not captured, or not kept."""
        return self.wire > len(self.data)

    def at(self, offset: int) -> float:
        """When the first ``offset`` bytes had arrived; when the last that are known did, for more than there are."""
        index = bisect_left(self.ends, offset)
        return self.times[min(index, len(self.times) - 1)] if self.times else 0.0

    def by(self, moment: float) -> int:
        """How many bytes had arrived by then."""
        index = bisect_right(self.times, moment)
        return self.ends[index - 1] if index else 0


class _Assembly:
    """One stream in the making."""

    __slots__ = ("base", "have", "pieces", "stream", "waiting")

    def __init__(self, base: int) -> None:
        self.base = base
        self.pieces: list[bytes] = []
        self.have = 0
        self.waiting: list[tuple[int, int, bytes, float]] = []
        self.stream = Stream()

    def add(self, segment: Segment, payload: bytes) -> None:
        """Take one segment's payload, as far as it was captured."""
        offset = (segment.seq - self.base) % _WRAP
        if offset >= _HALF:  # from before the beginning
            offset -= _WRAP
        if segment.flags.startswith("SYN"):
            offset += 1  # the SYN takes a number of its own; data may follow in it (RFC 7413)
        stream = self.stream
        stream.wire = max(stream.wire, offset + segment.length)
        if offset > self.have:
            heapq.heappush(self.waiting, (offset, segment.frame, payload, segment.at))
            return
        self._append(offset, payload, segment.at)
        while self.waiting and self.waiting[0][0] <= self.have:
            offset, _, payload, at = heapq.heappop(self.waiting)
            self._append(offset, payload, max(at, segment.at))

    def _append(self, offset: int, payload: bytes, at: float) -> None:
        known = self.have - offset
        if known >= len(payload) or self.have >= MAX_STREAM:
            return
        self.pieces.append(payload[known:] if known else payload)
        self.have = offset + len(payload)
        self.stream.ends.append(self.have)
        self.stream.times.append(at)

    def finish(self) -> Stream:
        """What came of it."""
        self.stream.data = b"".join(self.pieces)
        return self.stream


def streams(exhibit: Exhibit) -> tuple[Stream, Stream]:
    """What the client and what the server sent."""
    client_base, server_base = _bases(exhibit.segments)
    client, server = _Assembly(client_base), _Assembly(server_base)
    for segment, payload in zip(exhibit.segments, exhibit.payloads, strict=True):
        if segment.length and "RST" not in segment.flags:
            (client if segment.sender == "client" else server).add(segment, payload)
    return client.finish(), server.finish()


def _bases(segments: list[Segment]) -> tuple[int, int]:
    """The sequence numbers of the first bytes: behind the SYN; else from what the first packets show."""
    bases: dict[str, int] = {}
    for segment in segments:
        if segment.flags.startswith("SYN"):
            bases.setdefault(segment.sender, segment.seq + 1)
    for segment in segments:
        if len(bases) == 2:
            break
        bases.setdefault(segment.sender, segment.seq)
        if "ACK" in segment.flags:
            bases.setdefault("server" if segment.sender == "client" else "client", segment.ack)
    return bases.get("client", 0), bases.get("server", 0)
