"""Resets of captured connections: the facts for the question who sent them. Nothing is judged here.

Contract: one observation for each connection and each address that a reset of it carries, harmless endings too. It
rests on the packets that the engine kept of the connection; copies that the capture holds twice are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from netdiag.capture.exhibits import Exhibit
from netdiag.model import Connection, Flow, ResetObservation, Segment, ServiceObservation

MAX_RESETS = 16
MAX_AFTER = 4
MAX_IP_IDS = 8
MAX_SYNS = 16

Side = Literal["client", "server"]
Ttls = tuple[tuple[int, int], ...]


def resets(
    exhibit: Exhibit,
    *,
    parent: str | None = None,
    server_name: str | None = None,
    ttls_elsewhere: Mapping[str, Ttls] | None = None,
) -> tuple[ResetObservation, ...]:
    """What the resets of one connection look like, in the order in which they came.

    ``parent`` is the id of the connection's observation. ``server_name`` is the name that the client asked for; without
    it, the connection's own is taken. ``ttls_elsewhere`` is the value of that name below, for the whole capture.
    """
    indexes = [i for i, segment in enumerate(exhibit.segments) if "captured-twice" not in segment.marks]
    packets = [exhibit.segments[i] for i in indexes]
    #: How many of ``packets`` come before those that the engine left out.
    head = sum(i < exhibit.omitted_after for i in indexes) if exhibit.omitted else len(packets)
    found = []
    sides: tuple[Side, ...] = ("client", "server")
    for side in sides:
        first = next((i for i, p in enumerate(packets) if p.sender == side and _has(p, "RST")), None)
        if first is not None:
            found.append((first, _observe(exhibit.connection, packets, first, head, ttls_elsewhere or {})))
    name = exhibit.connection.name if server_name is None else server_name
    return tuple(
        msgspec.structs.replace(
            observation,
            parent=parent,
            server_name=name if observation.bytes_client else "",
        )
        for _, observation in sorted(found, key=lambda entry: entry[0])
    )


def ttls_elsewhere(services: Iterable[ServiceObservation]) -> dict[str, Ttls]:
    """By server address: the TTLs of all SYN-ACKs that the capture has from it, and how often."""
    counts: dict[str, Counter[int]] = {}
    for service in services:
        counter = counts.setdefault(service.address, Counter())
        for ttl, times in service.ttls_syn_ack:
            counter[ttl] += times
    return {address: tuple(sorted(counter.items())) for address, counter in counts.items() if counter}


def with_alike(observations: Sequence[ResetObservation]) -> tuple[ResetObservation, ...]:
    """The same observations, each told how many connections to its server ended as its own did."""
    counts = Counter(_likeness(observation) for observation in observations)
    return tuple(msgspec.structs.replace(o, alike=counts[_likeness(o)]) for o in observations)


def _likeness(observation: ResetObservation) -> tuple[object, ...]:
    server = (observation.flow.server, observation.flow.server_port) if observation.flow else None
    return server, observation.claimed, observation.stage, observation.resets[0].ttl


def _observe(
    connection: Connection, packets: Sequence[Segment], first: int, head: int, elsewhere: Mapping[str, Ttls]
) -> ResetObservation:
    """The facts about the resets of the side that sent ``packets[first]``, which is its first reset.

    ``head`` packets stand before a gap of packets that were not kept.
    """
    reset = packets[first]
    side = reset.sender
    earlier = packets[:first]
    own = [p for p in earlier if p.sender == side and not _has(p, "RST")]
    others = [p for p in earlier if p.sender != side and not _has(p, "RST")]
    later = [p for p in packets[first:] if p.sender == side and not _has(p, "RST")]
    sent = _sent_before(connection, packets, first, head)
    ttls = _ttls(connection, side, [*own, *later])
    return ResetObservation(
        id=f"reset-{connection.number}-{side}",
        source="capture",
        started=reset.at,
        flow=Flow(
            client=connection.client,
            client_port=connection.client_port,
            server=connection.server,
            server_port=connection.server_port,
        ),
        claimed=side,
        resets=tuple(p for p in packets[first:] if p.sender == side and _has(p, "RST"))[:MAX_RESETS],
        opening=next((p for p in own if _has(p, "SYN")), None),
        before=own[-1] if own else None,
        after=tuple(later[:MAX_AFTER]),
        answers=others[-1] if others else None,
        provoked_by=next((p for p in reversed(others) if p.length), None),
        ttls=ttls,
        ttls_elsewhere=elsewhere.get(connection.server, ()) if side == "server" and not ttls else (),
        next_seq=_highest((p.seq + _occupies(p)) for p in own),
        acked=_highest(p.ack for p in others if _has(p, "ACK")),
        rtt_ms=connection.syn_rtt_ms if side == "server" else connection.ack_rtt_ms,
        after_fin=any(_has(p, "FIN") for p in own),
        fins=tuple(dict.fromkeys(p.sender for p in earlier if _has(p, "FIN"))),
        ip_ids=tuple(p.ip_id for p in own[-MAX_IP_IDS:] if p.ip_id is not None),
        syns=tuple(p.at for p in packets if p.sender == "client" and _has(p, "SYN") and not _has(p, "ACK"))[:MAX_SYNS],
        stage=_stage(connection, earlier, sent),
        bytes_client=sent["client"],
        bytes_server=sent["server"],
    )


def _has(segment: Segment, flag: str) -> bool:
    return flag in segment.flags.split(",")


def _occupies(segment: Segment) -> int:
    """How much sequence space it takes: SYN and FIN count as one each (RFC 9293 §3.4)."""
    return segment.length + _has(segment, "SYN") + _has(segment, "FIN")


def _highest(numbers: Iterable[int]) -> int | None:
    """The highest sequence number, in serial arithmetic (RFC 1982)."""
    highest: int | None = None
    for number in numbers:
        if highest is None or 0 < (number - highest) & 0xFFFFFFFF < 0x80000000:
            highest = number & 0xFFFFFFFF
    return highest


def _sent_before(connection: Connection, packets: Sequence[Segment], first: int, head: int) -> dict[Side, int]:
    """Payload of each side before ``packets[first]``, those packets counted too that were not kept."""
    total: dict[Side, int] = {"client": connection.bytes_client, "server": connection.bytes_server}
    if first < head or head == len(packets):
        return {side: sum(p.length for p in packets[:first] if p.sender == side) for side in total}
    return {
        side: max(0, count - sum(p.length for p in packets[first:] if p.sender == side))
        for side, count in total.items()
    }


def _ttls(connection: Connection, side: Side, packets: Iterable[Segment]) -> Ttls:
    """Those seen, and the extremes of the packets that were not kept."""
    counts = Counter(p.ttl for p in packets)
    extremes = connection.ttl_server if side == "server" else connection.ttl_client
    for ttl in extremes or ():
        counts[ttl] = counts[ttl] or 1
    return tuple(sorted(counts.items()))


def _stage(
    connection: Connection, earlier: Sequence[Segment], sent: Mapping[Side, int]
) -> Literal["post_syn", "post_ack", "post_psh", "later_in_flow"]:
    if sent["server"] or connection.opening == "mid-stream":
        return "later_in_flow"
    if sent["client"]:
        return "post_psh"
    answered = any(p.sender == "server" and _has(p, "SYN") for p in earlier)
    confirmed = any(p.sender == "client" and not _has(p, "SYN") and not _has(p, "RST") for p in earlier)
    return "post_ack" if answered and confirmed else "post_syn"
