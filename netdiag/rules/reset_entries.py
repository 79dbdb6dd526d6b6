"""Every reset of a capture, judged one by one: the list that ``pcap --resets`` prints.

Contract: pure. Where packets were kept all signs are weighed; of other connections only TTLs are known.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from netdiag.model import Connection, Flow, ResetEntry, ResetObservation, Segment
from netdiag.rules import reset_headers
from netdiag.rules.reset_evidence import attribute

#: Connections listed; JSON takes some 700 bytes for each.
MAX_LISTED = 1_000

Side = Literal["client", "server"]
_SIDES: tuple[Side, ...] = ("client", "server")


def reset_entries(connections: Iterable[Connection], kept: Iterable[ResetObservation]) -> Iterator[ResetEntry]:
    """An entry for each side that sent resets, in the order of connections; ``kept``: what is known of some."""
    known = {(o.flow, o.parent, o.claimed): o for o in kept if o.flow is not None and o.resets}
    for connection in connections:
        for side in _SIDES:
            count = connection.rst_client if side == "client" else connection.rst_server
            if count:
                yield _entry(connection, side, count, known)


def _entry(
    connection: Connection, side: Side, count: int, known: Mapping[tuple[Flow, str | None, Side], ResetObservation]
) -> ResetEntry:
    flow = Flow(
        client=connection.client,
        client_port=connection.client_port,
        server=connection.server,
        server_port=connection.server_port,
    )
    seen = known.get((flow, f"connection-{connection.number}", side))
    observation = seen or _from_row(connection, side, flow)
    first = observation.resets[0]
    judged = attribute(observation) if seen else attribute(observation, reset_headers.BY_TTL)
    return ResetEntry(
        connection=connection.number,
        started=connection.started,
        flow=flow,
        name=connection.name,
        claimed=side,
        count=count,
        frame=first.frame if seen else None,
        at=first.at if seen else None,
        ttl=first.ttl,
        origin=judged.origin,
        confidence=judged.confidence,
        conclusion=judged.conclusion,
        arithmetic=judged.arithmetic,
    )


def _from_row(connection: Connection, side: Side, flow: Flow) -> ResetObservation:
    """What the row of a connection knows: the TTL of its first reset, and of the same side's other packets."""
    if side == "client":
        reset, opening, ttls = connection.ttl_rst_client, connection.ttl_syn, connection.ttl_client
    else:
        reset, opening, ttls = connection.ttl_rst_server, connection.ttl_syn_ack, connection.ttl_server
    others = dict.fromkeys(ttl for ttl in (opening, *(ttls or ())) if ttl is not None)
    return ResetObservation(
        id=f"reset-{connection.number}-{side}",
        source="capture",
        flow=flow,
        claimed=side,
        resets=(_segment(connection, side, "RST", reset or 0),),
        opening=None if opening is None else _segment(connection, side, "SYN", opening),
        ttls=tuple((ttl, 1) for ttl in others),
    )


def _segment(connection: Connection, side: Side, flags: str, ttl: int) -> Segment:
    """A packet of which the row keeps the TTL alone."""
    return Segment(
        frame=0,
        at=connection.started,
        sender=side,
        flags=flags,
        seq=0,
        ack=0,
        length=0,
        window=0,
        ttl=ttl,
        ip_id=None if ":" in connection.client else 0,
    )
