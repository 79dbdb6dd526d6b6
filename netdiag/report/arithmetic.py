"""The arithmetic of TTLs, written out: ``RST TTL 61 = 64 − 3 → sent from hop 4 (10.77.3.2)``.

Contract: as facts.py: pure, judges nothing, and the strings hold untrusted text as it came. Three routers took one off
each, so the fourth hop sent it: traceroute counts the sender, the TTL only those between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from netdiag.model import Report, ResetObservation, TraceAnswer, TraceReply
from netdiag.report import capture_facts
from netdiag.report.hops import Path

#: The address at a distance, where it is known.
Where = Callable[[int], str]

_PACKETS: dict[TraceAnswer, str] = {
    "open": "SYN-ACK",
    "data": "answer",
    "reset": "RST",
    "refused": "RST",
    "closed": "FIN",
    "unreachable": "ICMP error",
    "prohibited": "ICMP error",
}


def lines(report: Report, path: Path) -> tuple[str, ...]:
    """What the packets from this path's peer tell by their TTLs: those captured, else those that the traces saw."""
    found = [
        reset_line(o, path.at)
        for o in report.observations
        if isinstance(o, ResetObservation) and o.flow is not None and o.flow.server == path.address
    ]
    return tuple(dict.fromkeys(line for line in found or [_traced(path)] if line))


def reset_line(o: ResetObservation, where: Where) -> str:
    """One reset beside what else came from the server; empty for a reset of the client's own."""
    if o.claimed != "server" or not o.resets or o.flow is None:
        return ""
    line = f"RST {_sum(o.resets[0].ttl, o.flow.server, where, 'sent from ')}"
    if o.opening is not None:
        return f"{line}; the server's SYN-ACK {_sum(o.opening.ttl, o.flow.server)}"
    own, packets = (o.ttls, "other packets") if o.ttls else (o.ttls_elsewhere, "SYN-ACKs in other connections")
    if own:
        return f"{line}; the server's {packets} {_sum(max(own, key=lambda pair: pair[1])[0], o.flow.server)}"
    return line


def _traced(path: Path) -> str:
    """The same from the answers to the probes of the traces."""
    odd = ["reset", "refused", "closed", "prohibited", "unreachable"]
    foreign = next(iter(_answers(path, *odd)), None)
    own = next(iter(_answers(path, "open", "data")), None)
    parts = []
    if foreign is not None and foreign.ttl is not None:
        parts.append(f"{_PACKETS[foreign.answer]} {_sum(foreign.ttl, path.address, path.at, 'sent from ')}")
    if own is not None and own.ttl is not None:
        parts.append(f"{path.whom}'s {_PACKETS[own.answer]} {_sum(own.ttl, path.address)}")
    said = "; ".join(parts)
    return said[:1].upper() + said[1:]


def _answers(path: Path, *kinds: str) -> Iterator[TraceReply]:
    for end in path.ends:
        if end.trace.mode != "udp":
            for hop in end.trace.hops:
                yield from (r for r in hop.replies if r.ttl is not None and r.answer in kinds)


def _sum(ttl: int, address: str, where: Where | None = None, verb: str = "") -> str:
    """``TTL 61 = 64 − 3 → sent from hop 4 (10.77.3.2)``."""
    initial, routers = capture_facts.crossed(ttl)
    word = "hop limit" if ":" in address else "TTL"
    known = where(routers + 1) if where else ""
    said = f"{word} {ttl} = {initial} − {routers} → {verb}hop {routers + 1}{f' ({known})' if known else ''}"
    if not routers and verb:
        said += ", or from this machine"
    other = capture_facts.other_start(ttl)
    return said if other is None else f"{said}, or {other} − {other - ttl} → hop {other - ttl + 1}"
