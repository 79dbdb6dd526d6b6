"""Packets in memory, as a reader: what a run captured of itself, whether a file keeps it or not.

Contract: as ``packets.Reader``. Frame numbers are those of the file that ``capture.writer`` makes of the same packets.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netdiag.capture.packets import BATCH_PACKETS, Batch, FileInfo, Interface, batch_of
from netdiag.wire.packets import Link, Packet


class Live:
    """The packets, from the first on. ``dropped``: how many are missing among them."""

    def __init__(self, packets: Sequence[Packet], links: Sequence[Link], *, dropped: int = 0) -> None:
        self.info = FileInfo(
            path="",
            format="live",
            interfaces=[Interface(link.linktype, link.name) for link in links],
            dropped=dropped,
        )
        self._packets = packets

    def __iter__(self) -> Iterator[Batch]:
        for start in range(0, len(self._packets), BATCH_PACKETS):
            part = self._packets[start : start + BATCH_PACKETS]
            self.info.bytes += sum(len(packet.data) for packet in part)
            yield batch_of(part, start + 1)
