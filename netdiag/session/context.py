"""What every part of one run shares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from netdiag.model import RUNGS, Route, Rung, Target
from netdiag.pki.trust import TrustStore
from netdiag.probes.machine import Machine
from netdiag.probes.net import Deadline
from netdiag.session.log import Log
from netdiag.session.options import RUN_LIMIT_S, Options

#: The rungs that a scheme has.
_SCHEME_RUNGS: dict[str, tuple[Rung, ...]] = {
    "https": RUNGS,
    "http": ("machine", "dns", "tcp", "proxy", "https"),
    "tcp": ("machine", "dns", "tcp", "proxy"),
}


@dataclass(frozen=True, kw_only=True)
class Context:
    """One run against one target."""

    target: Target
    options: Options
    machine: Machine
    store: TrustStore
    public: TrustStore
    progress: Callable[[Target, Rung], None]
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
