"""What every part of one run shares."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from netdiag.model import RUNGS, DnsObservation, Route, Rung, Target
from netdiag.probes.machine import Machine
from netdiag.probes.net import Address, Deadline
from netdiag.session.log import Log
from netdiag.session.options import RUN_LIMIT_S, Options
from netdiag.session.recording import Recording

MAX_TRACED = 8

#: The rungs that a scheme has.
_SCHEME_RUNGS: dict[str, tuple[Rung, ...]] = {
    "https": ("machine", "dns", "tcp", "proxy", "tls", "chain", "https"),
    "http": ("machine", "dns", "tcp", "proxy", "https"),
    "tcp": ("machine", "dns", "tcp", "proxy"),
    "net.tcp": ("machine", "dns", "tcp", "node", "tls", "chain"),
}


if TYPE_CHECKING:  # large, and not needed before a chain is verified
    from netdiag.pki.trust import TrustStore

#: Name servers, each with whether applications on this machine ask it too.
Servers = tuple[tuple[Address, bool], ...]


class Trust(NamedTuple):
    """The store in use, and the roots of the public WebPKI."""

    store: TrustStore
    public: TrustStore


@dataclass(frozen=True, kw_only=True)
class Context:
    """One run against one target."""

    target: Target
    options: Options
    machine: Machine
    #: Loaded beside the first network wait.
    trust: Future[Trust]
    #: Found out beside the system's own lookup.
    servers: Future[Servers]
    #: The system's answer for "localhost": one machine has one, whatever the number of targets.
    localhost: Future[DnsObservation]
    progress: Callable[[Target, Rung], None]
    #: Set once a network wait has begun: from then on there is time to spare for what is needed later.
    waiting: threading.Event
    #: How many more paths may be traced, all targets of the command together: each takes dozens of sockets, and many
    #: targets that fail most often fail for the same reason.
    traces: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(MAX_TRACED))
    #: The capture of the run's own packets.
    recording: Recording
    log: Log = field(default_factory=Log)
    deadline: Deadline = field(default_factory=lambda: Deadline(RUN_LIMIT_S))

    def wait(self) -> Deadline:
        """The deadline of one network wait that begins now."""
        return self.deadline.within(self.options.timeout_s)

    def wants(self, rung: Rung) -> bool:
        """Whether the run is to climb this rung."""
        in_reach = RUNGS.index(rung) <= RUNGS.index(self.options.until)
        return in_reach and rung in _SCHEME_RUNGS[self.target.scheme]

    @property
    def last_rung(self) -> Rung:
        """The last rung that the run is to climb."""
        return [rung for rung in RUNGS if self.wants(rung) and rung != "proxy"][-1]

    def skip_after(self, rung: Rung, route: Route, reason: str) -> None:
        """Note that what depends on ``rung`` was not tried."""
        for later in RUNGS[RUNGS.index(rung) + 1 :]:
            if self.wants(later) and (later != "proxy" or route == "proxy"):
                self.log.skip(later, route, reason)
