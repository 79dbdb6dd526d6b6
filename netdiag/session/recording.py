"""A run's own capture: the tap that is opened before the first packet, and the file that keeps what it saw.

Contract: where there is no right to capture, the run goes on without. Whoever asked for a file is refused at once then,
and where it cannot be written: ``UsageError``, before anything is probed.
"""

from __future__ import annotations

import dataclasses
import platform
import threading
import time
from typing import IO

from netdiag import __version__
from netdiag.model import AnyObservation, UsageError, WireObservation
from netdiag.probes import names
from netdiag.probes.machine import Machine
from netdiag.probes.tap import BlindTap, Tap, open_tap
from netdiag.probes.threads import spawn
from netdiag.session.files import WholeFile
from netdiag.session.log import in_order
from netdiag.session.options import Options

#: More targets than these share so much time and memory that a tap is made only for a file that was asked for.
MAX_TAPPED = 16


class Recording:
    """What several runs capture together; without a tap, nothing. ``close`` it when the last has ended.

    Raises ``UsageError`` where the file cannot be written.
    """

    def __init__(self, tap: Tap | None = None, whole: WholeFile | None = None) -> None:
        self._tap = tap
        self._whole = whole
        self._file: IO[bytes] | None = whole.__enter__() if whole else None
        self._started = time.time()
        self._lock = threading.Lock()
        self._seen: list[AnyObservation] = []

    def watched(self, machine: Machine) -> Machine:
        """The machine, whose sockets now tell the tap which addresses to watch."""
        tap = self._tap
        if tap is None or isinstance(tap, BlindTap):
            return machine
        tap.watch(server.host for server in names.name_servers(machine))
        return dataclasses.replace(machine, net=machine.net.telling(lambda address: tap.watch((address.host,))))

    def add(self, observations: tuple[AnyObservation, ...], started: float) -> tuple[AnyObservation, ...]:
        """What one run saw, and what its packets show of it besides, in ladder order. ``started``: the run's start."""
        tap = self._tap
        if tap is None:
            return observations
        if self._whole:
            with self._lock:
                self._seen += observations
        packets = tap.packets()
        wire = WireObservation(
            id="wire",
            source="capture",
            started=started,
            took_s=time.time() - started,
            outcome="not-run" if isinstance(tap, BlindTap) else "ok",
            path=self._whole.name if self._whole else "",
            method=tap.method,
            packets=len(packets.each),
            dropped=packets.dropped,
            interfaces=tuple(dict.fromkeys(link.name for link in packets.links)),
            limits=tap.limits,
        )
        if wire.outcome == "not-run":
            return in_order((wire, *observations))
        from netdiag.session.wire import evidence

        return in_order(evidence(packets, wire, observations))

    def close(self) -> None:
        """End the capture, and put the file, if there is to be one, in its place. Raises ``UsageError``."""
        if self._tap is None:
            return
        if self._whole is None or self._file is None:
            spawn(self._tap.close)  # the kernel takes some 10 ms to let go of a packet socket
            return
        try:
            self._write(self._file)
        except OSError as error:
            self.discard()
            raise self._whole.unwritable(error) from None
        except BaseException:
            self.discard()
            raise
        self._file = None
        self._whole.__exit__(None, None, None)

    def discard(self) -> None:
        """End the capture, and write no file."""
        if self._whole and self._file:
            self._file = None
            self._whole.discard()
        if self._tap:
            self._tap.close()

    def _write(self, file: IO[bytes]) -> None:
        assert self._tap
        from netdiag.capture.writer import write_pcapng
        from netdiag.session.wire import comments

        self._tap.close()
        packets = self._tap.packets()
        write_pcapng(
            file,
            packets.each,
            packets.links,
            comments=comments(packets, self._seen),
            os=platform.platform(),
            application=f"netdiag {__version__}",
            dropped=packets.dropped,
        )


def start_recording(options: Options, machine: Machine, targets: int) -> Recording:
    """The capture of a run against so many targets, as far as one is wanted and makes sense.

    Raises ``UsageError`` where a file was asked for that there will not be.
    """
    if not machine.net.real or not (options.capture or (options.tap and targets <= MAX_TAPPED)):
        return Recording()
    if options.capture == "-":
        raise UsageError("--capture -: packets are written to a file, not to standard output")
    tap = open_tap()
    if options.capture and isinstance(tap, BlindTap):
        raise UsageError(f"{options.capture}: nothing can be captured: {tap.reason}")
    try:
        return Recording(tap, WholeFile(options.capture) if options.capture else None)
    except UsageError:
        tap.close()
        raise
