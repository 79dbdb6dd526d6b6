"""Which packets and connections a user asked for.

Contract: packets outside the time asked for are as if they were not in the file, except that their numbers stay; hosts
and ports select connections. A host that is no address is a name, which ``keeper`` and the session resolve.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

import numpy as np

from netdiag.capture.options import CaptureOptions
from netdiag.capture.packets import Batch, Bools
from netdiag.capture.rows import rows_ports
from netdiag.capture.table import Rows


class Selection:
    """The filters of ``CaptureOptions``."""

    def __init__(self, options: CaptureOptions) -> None:
        self._options = options
        self._window: tuple[int | None, int | None] | None = None
        self._four: list[int] = []
        self._six: list[bytes] = []
        for host in options.hosts:
            try:
                address = ipaddress.ip_address(host)
            except ValueError:
                continue
            if address.version == 4:
                self._four.append(int(address))
            else:
                self._six.append(address.packed)

    def in_time(self, batch: Batch) -> Iterator[Batch]:
        """The parts of a batch that lie in the time asked for."""
        if self._options.since_ns is None and self._options.until_ns is None:
            yield batch
            return
        if not len(batch):
            return
        if self._window is None:
            self._window = self._options.window(int(batch.time_ns[0]))
        since, until = self._window
        inside = np.ones(len(batch), bool)
        if since is not None:
            inside &= batch.time_ns >= since
        if until is not None:
            inside &= batch.time_ns <= until
        edges = np.flatnonzero(np.diff(np.concatenate(([0], inside.view(np.int8), [0]))))
        for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            yield _part(batch, start, end)

    @property
    def of_connections(self) -> bool:
        """Whether not every connection is asked for."""
        return bool(self._options.ports or self._options.hosts)

    def rows(self, rows: Rows) -> Bools:
        """Which new connections are asked for."""
        chosen = np.ones(len(rows), bool)
        if self._options.ports:
            chosen &= np.isin(rows_ports(rows), self._options.ports).any(axis=1)
        if self._options.hosts:
            chosen &= self._hosts(rows)
        return chosen

    def _hosts(self, rows: Rows) -> Bools:
        four = np.stack((rows["low"], rows["high"]), axis=1) >> np.uint64(16)
        chosen = (np.isin(four, np.array(self._four, np.uint64)) & (rows["version"] == 4)[:, None]).any(axis=1)
        for packed in self._six:
            same = (rows["addresses"] == np.frombuffer(packed, np.uint8)).all(axis=2).any(axis=1)
            chosen |= same & (rows["version"] == 6)
        result: Bools = chosen
        return result


def _part(batch: Batch, start: int, end: int) -> Batch:
    span = slice(start, end)
    return Batch(
        data=batch.data,
        start=batch.start[span],
        caplen=batch.caplen[span],
        length=batch.length[span],
        time_ns=batch.time_ns[span],
        first_frame=batch.first_frame + start,
        interface=None if batch.interface is None else batch.interface[span],
        direction=None if batch.direction is None else batch.direction[span],
    )
