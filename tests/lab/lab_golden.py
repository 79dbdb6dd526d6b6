"""Recording: a lab report without what differs from run to run, beside what was expected of it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec
from lab_scenarios import Expect

from netdiag.model import (
    RUNG_OF,
    RUNGS,
    AnyObservation,
    ChainObservation,
    ConnectionObservation,
    Flow,
    HostObservation,
    HttpsObservation,
    Report,
    ResetObservation,
    RetrievalObservation,
    Segment,
    TcpObservation,
    TlsObservation,
    TraceHop,
    TraceObservation,
    WireObservation,
)
from netdiag.session import rejudge

GOLDEN = Path(__file__).parent.parent / "unit" / "golden"

_DATE = "Mon, 01 Jun 2026 00:00:00 GMT"
#: What servers put into their texts that differs from run to run: dates (RFC 9110 §5.6.7) and nonces.
_CHANGING = (
    (r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", _DATE),
    (r'nonce=\\"[^"\\]*', r'nonce=\\"0'),
)

#: 2026-06-01T00:00:00Z: every recorded time is this one, every difference of times a rounded one.
NOON = 1780272000.0


def record(name: str, report: Report, expect: Expect, folder: Path) -> None:
    """Write NAME.json and NAME.expect.json. ``folder`` is the lab's, whose name changes from run to run."""
    wanted = {
        "status": expect.status,
        "finding": expect.finding,
        "blame": expect.blame,
        "ids": sorted(expect.ids),
    }
    _write(name, report, wanted, folder)


def record_as_found(name: str, report: Report, folder: Path) -> None:
    """The same for a report that was found right by other means than a list of ids."""
    wanted = {
        "status": report.verdict.status,
        "finding": report.verdict.finding,
        "blame": report.verdict.blame,
        "ids": sorted(finding.id for finding in report.findings),
    }
    _write(name, report, wanted, folder)


def _write(name: str, report: Report, wanted: Mapping[str, object], folder: Path) -> None:
    GOLDEN.mkdir(parents=True, exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(normalised(report)), indent=1).decode()
    for pattern, replacement in ((re.escape(str(folder)), "/lab"), *_CHANGING):
        text = re.sub(pattern, replacement, text)
    (GOLDEN / f"{name}.json").write_text(text + "\n")
    (GOLDEN / f"{name}.expect.json").write_text(json.dumps(wanted, indent=1) + "\n")


def normalised(report: Report) -> Report:
    """The report with fixed times and ports, of no machine, judged as it then stands.

    Observations stay in ladder order; inside a rung the order in which threads happened to start them is replaced by
    that of their ids.
    """
    rungs = {rung: i for i, rung in enumerate(RUNGS)}
    ordered = sorted(report.observations, key=lambda o: (rungs[RUNG_OF[type(o)]], o.route, o.id))
    ports = {flow: 50000 + n for n, flow in enumerate(dict.fromkeys(o.flow for o in ordered if o.flow))}
    observations = tuple(_observation(o, ports, report.started) for o in ordered)
    return rejudge(
        msgspec.structs.replace(
            report,
            started=NOON,
            took_s=_coarse(report.took_s),
            observations=observations,
            not_run=tuple(sorted(report.not_run, key=lambda n: (rungs[n.rung], n.route))),
            machine=None,
        )
    )


def _coarse(seconds: float) -> float:
    """Whole seconds, and nothing below half of one: a busy machine's milliseconds are not worth a difference."""
    return float(round(seconds)) if seconds >= 0.5 else 0.0


def _round(count: int) -> int:
    """To hundreds, but none stays none: signatures differ in length by a few bytes."""
    return max(100, round(count, -2)) if count else 0


def _hours(seconds: float) -> float:
    """To the hour, without a negative zero."""
    return round(seconds / 3600) * 3600 + 0.0


def _moment(seconds: float | None, now: float) -> float | None:
    """What was made for the run, as far from ``NOON`` as it was from the run; what has a date of its own keeps it."""
    recent = seconds is not None and abs(seconds - now) < 30 * 86400
    return NOON + _hours(seconds - now) if seconds is not None and recent else seconds


def _port(flow: Flow | None, ports: Mapping[Flow, int]) -> Flow | None:
    """Each connection has a port of its own: by that its packets belong to it."""
    return msgspec.structs.replace(flow, client_port=ports[flow]) if flow in ports else flow


def _segment(segment: Segment, began: float) -> Segment:
    return msgspec.structs.replace(segment, at=NOON + round(segment.at - began, 6))


def _segments(value: object, began: float) -> object:
    """What a reset's facts hold: packets, one or several, and moments."""
    if isinstance(value, Segment):
        return _segment(value, began)
    if isinstance(value, tuple) and value and isinstance(value[0], Segment):
        return tuple(_segment(segment, began) for segment in value)
    return value


def _hop(hop: TraceHop) -> TraceHop:
    """Its replies without ports, and with one round trip for all: neither is the same in two runs."""
    return msgspec.structs.replace(
        hop,
        replies=tuple(
            msgspec.structs.replace(reply, flow=None, rtt_ms=None if reply.rtt_ms is None else 1.0)
            for reply in hop.replies
        ),
    )


def _observation(observation: AnyObservation, ports: Mapping[Flow, int], began: float) -> AnyObservation:
    flow = _port(observation.flow, ports)
    changed = msgspec.structs.replace(observation, started=NOON, took_s=_coarse(observation.took_s), flow=flow)
    if isinstance(changed, TcpObservation) and changed.info:
        info = msgspec.structs.replace(changed.info, rtt_ms=1.0 if changed.info.rtt_ms is not None else None)
        return msgspec.structs.replace(changed, info=info)
    if isinstance(changed, HostObservation):
        return msgspec.structs.replace(changed, name="NODE-A", full_name="", addresses=())
    if isinstance(changed, WireObservation):
        unseen = tuple(_port(each, ports) for each in changed.unseen)
        return msgspec.structs.replace(changed, packets=_round(changed.packets), unseen=unseen)
    if isinstance(changed, TraceObservation):
        return msgspec.structs.replace(changed, hops=tuple(_hop(hop) for hop in changed.hops))
    if isinstance(changed, ConnectionObservation):
        row = msgspec.structs.replace(
            changed.connection, started=NOON, client_port=flow.client_port if flow else changed.connection.client_port
        )
        segments = tuple(_segment(segment, began) for segment in changed.segments)
        return msgspec.structs.replace(changed, connection=row, segments=segments)
    if isinstance(changed, ResetObservation):
        facts = {name: _segments(getattr(changed, name), began) for name in changed.__struct_fields__}
        return ResetObservation(**{**facts, "syns": tuple(NOON + round(at - began, 6) for at in changed.syns)})
    if isinstance(changed, TlsObservation):
        return msgspec.structs.replace(
            changed, bytes_sent=_round(changed.bytes_sent), bytes_received=_round(changed.bytes_received)
        )
    if isinstance(changed, ChainObservation):
        revocation = tuple(
            msgspec.structs.replace(state, next_update=_moment(state.next_update, changed.at))
            for state in changed.revocation
        )
        return msgspec.structs.replace(changed, at=NOON, revocation=revocation)
    if isinstance(changed, RetrievalObservation):
        return msgspec.structs.replace(
            changed,
            bytes=_round(changed.bytes),
            this_update=_moment(changed.this_update, observation.started),
            next_update=_moment(changed.next_update, observation.started),
        )
    if isinstance(changed, HttpsObservation):
        return msgspec.structs.replace(
            changed,
            headers=tuple((k, _DATE if k.lower() == "date" else v) for k, v in changed.headers),
            first_byte_s=None if changed.first_byte_s is None else _coarse(changed.first_byte_s),
            clock_offset_s=None if changed.clock_offset_s is None else _hours(changed.clock_offset_s),
        )
    return changed
