"""What a capture shows of one service, by hand, for the tests of the rules: its connections and its counts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from netdiag.model import (
    CaptureObservation,
    ConnectionObservation,
    Failure,
    FailureKind,
    Finding,
    Flow,
    IcmpError,
    Observation,
    Opening,
    ServiceObservation,
    Target,
    TcpInfo,
    TcpObservation,
)
from netdiag.rules import Seen, findings
from tests.talk import CLIENT, SERVER, START, Talk

FILE = Target(host="", port=0, scheme="file", path="a.pcap")
#: Long after every packet of a ``Talk``.
END = START + 3600.0


def capture(**changes: Any) -> CaptureObservation:
    fields: dict[str, Any] = {"format": "pcap", "path": "a.pcap", "packets": 1000, "tcp_packets": 1000, "last": END}
    return CaptureObservation(**{"id": "capture-1", "source": "capture", "connections": 1, **fields, **changes})


def service(**changes: Any) -> ServiceObservation:
    fields: dict[str, Any] = {"address": SERVER, "port": 443, "connections": 1}
    return ServiceObservation(
        **{"id": f"service-{changes.get('address', SERVER)}", "source": "capture", **fields, **changes}
    )


def flow(number: int, server: str = SERVER, port: int = 443, client: str = CLIENT) -> Flow:
    return Flow(client=client, client_port=50_000 + number, server=server, server_port=port)


def connection(talk: Talk, number: int = 0, opening: Opening = "complete", **changes: Any) -> ConnectionObservation:
    """The connection with the packets of ``talk``; what repeats a packet of the same side is marked so."""
    fields: dict[str, Any] = {"server": SERVER, "server_port": 443, "client": CLIENT, "closing": "none", **changes}
    row = talk.exhibit(number, opening, **fields).connection
    segments = tuple(_marked(talk))
    again = [s.sender for s in segments if "retransmission" in s.marks]
    counted = {f"retransmissions_{side}": again.count(side) for side in ("client", "server")}
    row = msgspec.structs.replace(row, **{**counted, **changes})
    return ConnectionObservation(
        id=f"connection-{number}",
        source="capture",
        started=row.started,
        took_s=row.duration_s,
        flow=flow(number, row.server, row.server_port, row.client),
        connection=row,
        segments=segments,
    )


def _marked(talk: Talk) -> Iterable[Any]:
    reached = {"client": -1, "server": -1}
    for segment in talk.segments:
        size = segment.length + ("SYN" in segment.flags) + ("FIN" in segment.flags)
        old = size and segment.seq < reached[segment.sender] and "RST" not in segment.flags
        reached[segment.sender] = max(reached[segment.sender], segment.seq + size)
        yield msgspec.structs.replace(segment, marks=(*segment.marks, "retransmission")) if old else segment


def attempt(
    number: int = 0, kind: FailureKind | None = None, *, server: str = SERVER, port: int = 443, **changes: Any
) -> TcpObservation:
    """The attempt of a connection. ``retransmits`` and ``offender`` (of an ICMP error) among ``changes``."""
    retransmits, offender = changes.pop("retransmits", 0), changes.pop("offender", "")
    values: dict[str, Any] = {
        "id": f"tcp-{number}",
        "parent": f"connection-{number}",
        "source": "capture",
        "started": START,
        "took_s": 0.04,
        "outcome": "failed" if kind else "ok",
        "failure": Failure(kind=kind, step="connect") if kind else None,
        "flow": flow(number, server, port),
        "address": server,
        "port": port,
        "info": TcpInfo(retransmits=retransmits),
        "icmp": IcmpError(version=4, type=3, code=13, offender=offender) if offender else None,
    }
    return TcpObservation(**{**values, **changes})


def judge(*observations: Observation, **changes: Any) -> tuple[Finding, ...]:
    """The findings about a capture that holds these observations."""
    return findings(Seen(FILE, "direct", (capture(**changes), *observations)))


def told(*observations: Observation, **changes: Any) -> list[tuple[str, str, str]]:
    """Id, severity and blame of each finding."""
    return [(finding.id, str(finding.severity), finding.blame) for finding in judge(*observations, **changes)]
