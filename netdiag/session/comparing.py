"""A second capture of the same traffic, taken elsewhere: read, and compared with the first. No network.

Contract: raises ``UsageError`` for a file that is no capture, or that cannot be opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from netdiag.capture.options import CaptureOptions

if TYPE_CHECKING:
    import threading

    from netdiag.capture.alignment import ReadAgain
    from netdiag.capture.engine import Analysis
    from netdiag.capture.series import Progress
    from netdiag.model import AnyObservation


def compared(
    analysis: Analysis,
    files: Sequence[str],
    options: CaptureOptions,
    other: str,
    *,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> tuple[AnyObservation, ...]:
    """The capture ``other``, and how it and ``analysis``, which was made of ``files``, relate."""
    from netdiag.capture.alignment import align

    # Hosts and ports may be translated on the way, and the clock may be another: all of it is read.
    everything = CaptureOptions(live_connections=options.live_connections)
    there = analyzed((other,), everything, progress, cancel)
    observations = align(
        analysis,
        there,
        here_again=_again(files, options, cancel),
        there_again=_again((other,), everything, cancel),
        asked=options.conversations,
    )
    return (msgspec.structs.replace(there.summary, id="capture-2"), *observations)


def analyzed(
    files: Sequence[str], options: CaptureOptions, progress: Progress | None, cancel: threading.Event | None
) -> Analysis:
    """What these files hold, read by this process."""
    from netdiag.capture.engine import analyze
    from netdiag.capture.series import Series

    reader = Series(tuple(files), progress=progress, cancel=cancel)
    try:
        return analyze(reader, options)
    finally:
        reader.close()


def _again(files: Sequence[str], options: CaptureOptions, cancel: threading.Event | None) -> ReadAgain | None:
    """Reads the files once more, for all packets of some connections; a stream cannot be."""
    if "-" in files:
        return None
    return lambda numbers: analyzed(files, msgspec.structs.replace(options, conversations=numbers), None, cancel)
