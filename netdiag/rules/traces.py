"""What the traces of one run tell: at which hop the fate of a packet changes, and how far away the server is.

Contract: pure. Routers look at the TTL before they filter, so a device that acts on a packet does so on those that get
past it: it is the last hop where probes ended, or stands unseen (a bridge has no TTL of its own) right behind it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Literal

import msgspec

from netdiag.model import Culprit, TraceAnswer, TraceMode, TraceObservation
from netdiag.rules.initial_ttl import ordinal
from netdiag.rules.seen import Seen

#: Who acts: somebody nearer than the server; the server or its last router, which a trace cannot tell apart; this
#: machine or its first router, since nothing even ended on the way; or it is not known how far away the server is.
Actor = Literal["device", "at-server", "here", "unknown"]


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """Where on the way the answer changes from "its TTL ended here" to something else."""

    trace: TraceObservation
    #: The last TTL whose probe ended on the way, that router and its name; 0 and empty where none did.
    hop: int
    address: str
    name: str
    #: What became of the probes that got further.
    answer: TraceAnswer
    #: How many hops away the server is, and the trace that shows it.
    distance: int | None
    shown_by: TraceObservation | None

    @property
    def arrived(self) -> int:
        """The TTL from which on things are different."""
        return self.hop + 1

    @property
    def actor(self) -> Actor:
        """Who can have brought about the change."""
        if not self.hop and (_private(self.trace.address) is False if self.distance is None else self.distance > 1):
            return "here"
        if self.distance is not None:
            return "device" if self.arrived < self.distance else "at-server"
        return "device" if self.server_is_further else "unknown"

    @property
    def by_icmp(self) -> bool:
        """An ICMP error brought it about, which has its sender's own address."""
        return bool(self.trace.hops) and any(reply.icmp for reply in self.trace.hops[-1].replies)

    @property
    def server_is_further(self) -> bool:
        """A public server does not stand right behind a router with a private address."""
        return _private(self.address) is True and _private(self.trace.address) is False

    @property
    def culprit(self) -> Culprit | None:
        """The last hop that can be named."""
        return Culprit(address=self.address, hop=self.hop, name=self.name) if self.hop else None

    @property
    def place(self) -> str:
        """``the 4th hop (10.77.3.2)``."""
        return f"the {ordinal(self.hop)} hop{f' ({self.address})' if self.address else ''}"

    @property
    def last_seen(self) -> str:
        """What came of the probes with the TTL of that hop, as a clause: a router can keep silent about ended TTLs."""
        told = any(hop.ttl == self.hop and hop.answer == "hop" for hop in self.trace.hops)
        return f"with TTL {self.hop} it ended at {self.place}" if told else f"with TTL {self.hop} nothing came back"

    @property
    def evidence(self) -> tuple[TraceObservation, ...]:
        """The traces that this rests on."""
        shown_by = () if self.shown_by in (None, self.trace) else (self.shown_by,)
        return (self.trace, *(o for o in shown_by if o is not None))

    @property
    def how_far(self) -> str:
        """What shows where the server is, as a clause; empty where nothing does."""
        if self.distance is None or self.shown_by is None:
            return ""
        what = "its port opens" if self.shown_by.mode == "syn" else "it answers UDP"
        return f"the server is the {ordinal(self.distance)} hop, where {what}"


def turn(seen: Seen, address: str, port: int, mode: TraceMode) -> Turn | None:
    """Where the trace of that mode turns; None where there is no such trace, or packets do not even leave."""
    trace = next(_traces(seen, address, port, mode), None)
    if trace is None or trace.answer == "unsent":
        return None
    hops = [hop.ttl for hop in trace.hops if hop.answer == "hop"]
    last = max(hops, default=0)
    if trace.distance is not None and trace.answer not in ("none", "hop"):
        last = trace.distance - 1  # a hop that keeps silent about ended TTLs lets packets with larger ones pass
    shown_by = next((o for o in _traces(seen, address, port) if _reached_host(o)), None)
    where = router(seen, address, port, last)
    return Turn(
        trace=trace,
        hop=last,
        address=where,
        name=_name(seen, where),
        answer=trace.answer,
        distance=shown_by.distance if shown_by else None,
        shown_by=shown_by,
    )


def router(seen: Seen, address: str, port: int, hop: int) -> str:
    """The address of a hop on the way; empty where it is not known, or where there are several."""
    for trace in _traces(seen, address, port):
        for found in trace.hops:
            if found.ttl == hop and len(found.addresses) == 1:
                return found.addresses[0]
    return ""


def hop_of(seen: Seen, address: str, port: int, device: str) -> int | None:
    """At which hop on the way a device answered; None where it did not."""
    ttls = (hop.ttl for trace in _traces(seen, address, port) for hop in trace.hops if device in hop.addresses)
    return next(ttls, None)


def named(seen: Seen, address: str, port: int, device: str) -> Culprit:
    """A device whose address is known, with its hop and its name where the traces know them."""
    return Culprit(address=device, hop=hop_of(seen, address, port, device), name=_name(seen, device))


def leaves(seen: Seen, address: str, port: int) -> bool:
    """Whether any probe to that host got an answer from the network, so that packets to it do leave this machine."""
    hops = (hop for trace in _traces(seen, address, port) for hop in trace.hops)
    return any(hop.answer not in ("none", "unsent") for hop in hops)


def no_neighbour(seen: Seen, address: str, port: int) -> bool:
    """Whether this machine said of a probe that nobody on its own network answers for the next hop (ARP)."""
    kinds = (t.failure.kind for t in _traces(seen, address, port) if t.answer == "unsent" and t.failure)
    return "unreachable" in kinds


def host_ttl(seen: Seen, address: str) -> int | None:
    """The TTL with which the host's own answers to UDP arrived, where packets could be seen."""
    udp = (trace for trace in seen.effective(TraceObservation) if trace.mode == "udp" and trace.address == address)
    replies = (reply for trace in udp if trace.hops for reply in trace.hops[-1].replies)
    return next((r.ttl for r in replies if r.answer == "refused" and r.ttl and r.address in ("", address)), None)


def _traces(seen: Seen, address: str, port: int, mode: TraceMode | None = None) -> Iterator[TraceObservation]:
    for trace in seen.effective(TraceObservation):
        if (trace.address, trace.port) == (address, port) and mode in (None, trace.mode) and trace.hops:
            yield trace


def _reached_host(trace: TraceObservation) -> bool:
    """The host itself answered: it accepted the SYN, or said that nobody listens on the UDP port."""
    return trace.answer == ("open" if trace.mode == "syn" else "refused") and trace.mode != "data"


def _name(seen: Seen, address: str) -> str:
    names = (name for trace in seen.of(TraceObservation) for known, name in trace.names if known == address)
    return next(names, "")


def _private(address: str) -> bool | None:
    try:
        return not ipaddress.ip_address(address.partition("%")[0]).is_global
    except ValueError:
        return None
