"""What of each side's data one capture holds, and what of it was acknowledged there.

Contract: pure; built once for a connection in n log n, asked in log n.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from netdiag.model import Segment


class Arrivals:
    """The data in one capture of a connection. Numbers count from half the space before the first of its sender."""

    def __init__(self, segments: Sequence[Segment]) -> None:
        self._first: dict[str, int] = {}
        self._runs: dict[str, list[tuple[int, int]]] = {"client": [], "server": []}
        self._acked = {"client": -1, "server": -1}
        for s in segments:
            self._first.setdefault(s.sender, s.seq)
        spans = [(s.sender, self._count(s.sender, s.seq), s.length) for s in segments if s.length]
        for sender, start, length in sorted(spans):
            runs = self._runs[sender]
            if runs and start <= runs[-1][1]:
                runs[-1] = (runs[-1][0], max(runs[-1][1], start + length))
            else:
                runs.append((start, start + length))
        for s in segments:
            flags = s.flags.split(",")
            if "ACK" in flags and "RST" not in flags:
                other = "server" if s.sender == "client" else "client"
                self._acked[other] = max(self._acked[other], self._count(other, s.ack))

    def _count(self, sender: str, number: int) -> int:
        """A sequence number in a count that does not wrap (RFC 1982)."""
        return (number - self._first.get(sender, 0) + 2**31) % 2**32

    def lost(self, segment: Segment, shift: int) -> bool:
        """Whether the capture itself lost this data: it lacks all of it, and holds its acknowledgement."""
        sender = segment.sender
        if not segment.length or sender not in self._first:
            return False
        start = self._count(sender, segment.seq + shift)
        at = bisect_right(self._runs[sender], (start, 2**33)) - 1
        holds = at >= 0 and self._runs[sender][at][1] > start
        return not holds and self._acked[sender] > start
