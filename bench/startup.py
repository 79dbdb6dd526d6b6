"""What ``netdiag --version`` and ``netdiag explain`` cost beside a Python that does nothing."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator

from bench.run import NETDIAG, timed
from bench.table import Row

#: Pairs per command: enough for a median that a busy machine does not move.
RUNS = 21
LIMIT = 8.0


def rows() -> Iterator[Row]:
    """One row a command; runs of the command and of its peer take turns, so that both see the same machine."""
    for arguments in (("--version",), ("explain",)):
        ours, bare = [], []
        for _ in range(RUNS):
            bare.append(timed([sys.executable, "-c", "pass"]).seconds)
            ours.append(timed([NETDIAG, *arguments]))
        if failed := [run for run in ours if run.status != 0]:
            raise SystemExit(f"netdiag {' '.join(arguments)} failed:\n{failed[0].errors}")
        yield Row(
            what=f"netdiag {' '.join(arguments)}",
            measured=1000 * statistics.median(run.seconds for run in ours),
            peer=1000 * statistics.median(bare),
            peer_is="python -c pass",
            unit="ms",
            limit=LIMIT,
        )
