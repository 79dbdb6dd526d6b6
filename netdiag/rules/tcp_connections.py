"""Rules about the connections of a capture: openings that nobody completes, receivers that do not read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from netdiag.model import Blame, Connection, ConnectionObservation, Culprit, Severity, TcpObservation
from netdiag.rules.captured import (
    acks,
    connections,
    flags,
    moments,
    near_the_end,
    place,
    server_name,
    share,
    succeeded,
    syns,
    without_packets,
)
from netdiag.rules.registry import Hit, rule
from netdiag.rules.seen import Seen

Side = Literal["client", "server"]
SIDES: tuple[Side, Side] = ("client", "server")

#: Connections named as evidence.
_EVIDENCE = 8
#: Distinct clients that never complete an opening: from here on a flood of SYNs with forged addresses is likely.
_FLOOD = 50

#: How an opening stays incomplete. "lost": the client goes on repeating its SYN. "vanished": it is never heard again.
#: "cancelled": it answers the SYN-ACK with a reset.
_Kind = Literal["lost", "vanished", "cancelled"]


@rule(
    "tcp.handshake-incomplete",
    "The opening of the connection is never completed",
    Severity.ERROR,
    folds=("tcp.no-reply",),
    reference="RFC 9293 §3.5",
)
def handshake_incomplete(seen: Seen) -> Iterator[Hit]:
    """The server answered the SYN with a SYN-ACK, and the third packet, the client's ACK, never came.

    Both ends were willing, so it is no closed port and no missing service. Three things look so. When
    the client goes on repeating its SYN, the SYN-ACK that the capture shows never reached it: it is
    dropped between the place of the capture and the client, as by a firewall that has not seen the SYN
    because the two directions take different paths. When the server repeats its SYN-ACK and the client
    is not heard again, either the same has happened, or the client's ACK is lost on its way to the
    place of the capture, or there is no such client: a flood of SYNs with forged addresses. When the
    client answers with a reset, it did not mean to connect: a port scan ("half-open", nmap -sS), or a
    program that gave up in the meantime. Where netdiag captured its own packets, the SYN-ACK has
    arrived: this machine drops it, by its firewall or its filter of return paths (rp_filter, RFC 3704).

    Capture at the client at the same time. If the SYN-ACK arrives there, look for what drops its ACK;
    if not, for what drops the SYN-ACK: a stateful firewall on one of two paths is the usual case.
    """
    by_kind: dict[_Kind, list[ConnectionObservation]] = {}
    for connection in connections(seen):
        kind = _incomplete(seen, connection)
        if kind:
            by_kind.setdefault(kind, []).append(connection)
    for kind, group in by_kind.items():
        unseen = without_packets(seen, "unfinished") if len(by_kind) == 1 else 0
        yield _incomplete_hit(seen, kind, group, len(group) + unseen)


def _incomplete(seen: Seen, observation: ConnectionObservation) -> _Kind | None:
    """How this opening stays incomplete; None when it does not, or when the capture ends too soon to tell."""
    if observation.connection.opening != "unfinished":
        return None
    answers = [s for s in observation.segments if s.sender == "server" and flags(s) >= {"SYN", "ACK"}]
    if observation.connection.rst_client:
        return "cancelled" if seen.capture else None  # netdiag's own: the answer came too late
    if answers and any(s.frame > answers[0].frame for s in syns(observation)):
        return "lost"
    if len(answers) < 2 and near_the_end(seen, observation.connection.started + observation.connection.duration_s):
        return None
    return "vanished"


def _incomplete_hit(seen: Seen, kind: _Kind, group: Sequence[ConnectionObservation], affected: int) -> Hit:
    whom, how_many = server_name(seen), share(seen, affected)
    evidence = (*group[:_EVIDENCE], *(o for o in seen.of(TcpObservation) if o.outcome == "failed"))
    if seen.capture is None:
        answered = {c.flow for c in group}
        return Hit(
            summary=f"{whom} answers with a SYN-ACK that arrives here, and this machine does not take it ({how_many})",
            blame="this-machine",
            remedy="Look at this machine's own firewall or endpoint protection, and at its filter of return paths "
            f"(rp_filter), for what drops packets from {group[0].connection.server} port {seen.target.port}.",
            evidence=(*group[:_EVIDENCE], *(o for o in seen.effective(TcpObservation) if o.flow in answered)),
            severity=Severity.WARNING if any(o.outcome == "ok" for o in seen.effective(TcpObservation)) else None,
        )
    if kind == "cancelled":
        return Hit(
            summary=f"The client answers the SYN-ACK of {whom} with a reset: a half-open port scan, or a program that "
            f"gave up ({how_many})",
            blame="this-machine",
            remedy=f"Find out which program on {seen.client} tries port {seen.target.port}; a scanner does this on "
            "purpose.",
            evidence=evidence,
            severity=Severity.INFO,
        )
    repeated = [s for s in group[0].segments if flags(s) >= {"SYN", "ACK"}]
    series = f"; SYN-ACK repeated after {moments(repeated)}" if len(repeated) > 1 else ""
    clients = len({c.connection.client for c in group})
    if kind == "lost":
        summary = f"{whom} answers with a SYN-ACK that never reaches the client, which repeats its SYN"
        remedy = "Look between the place of this capture and the client for what drops the SYN-ACK: a firewall that "
        remedy += "has not seen the SYN, because the two directions take different paths, or a filter for answers."
    elif clients >= _FLOOD:
        summary = (
            f"{clients} clients begin a connection to {whom} and never complete it, which is what a flood of SYNs "
        )
        summary += "with forged addresses looks like"
        remedy = f"If these clients are not yours, have SYN cookies enabled on {seen.target.host} and the flood "
        remedy += "filtered upstream; if they are, look for what drops the SYN-ACK on its way to them."
    else:
        summary = f"{whom} answers with a SYN-ACK, and the client's ACK never comes"
        remedy = "Capture at the client: if the SYN-ACK arrives there, its ACK is dropped on the way to the server; if "
        remedy += "not, the SYN-ACK is, as by a firewall that has not seen the SYN."
    return Hit(
        summary=f"{summary} ({how_many}{series})",
        blame="unknown" if clients >= _FLOOD else "path-device",
        remedy=remedy,
        evidence=evidence,
        severity=Severity.WARNING if succeeded(seen) else None,
    )


#: A closed window is ordinary flow control while it lasts less than the first probe of it waits, a retransmission
#: timeout (RFC 9293 §3.8.6.1), which is a second at the least by RFC 6298 §2.4.
STALL_S = 1.0


class _Stall(msgspec.Struct, frozen=True):
    """The longest time that one side of one connection kept its window closed."""

    observation: ConnectionObservation
    side: Side
    seconds: float
    reopened: bool


@rule(
    "tcp.zero-window",
    "A receiver does not read what arrives",
    Severity.WARNING,
    reference="RFC 9293 §3.8.6.1",
)
def zero_window(seen: Seen) -> Iterator[Hit]:
    """The receive buffer of one side is full (window 0), and the other has to wait for a second or more.

    TCP delivers into a buffer; the window tells the sender what still fits. It closes when the
    application behind it does not read as fast as data arrives. The network has done its work: every
    byte is there, acknowledged, waiting. So neither a faster line nor a firewall rule helps. A window
    that closes for a moment is ordinary and is not reported.

    Look at the application on the side that the finding names: is it busy with something else (a slow
    disk or database, one thread for everything, garbage collection, a debugger), does it wait for the
    other side while the other waits for it, or is its machine short of processor time or memory? Where
    the window never opens again, the application hangs.
    """
    for side in SIDES:
        stalls = [stall for c in connections(seen) if (stall := _longest_stall(c, side)) and stall.seconds >= STALL_S]
        if stalls:
            yield _stalled(seen, sorted(stalls, key=lambda stall: -stall.seconds))


def _longest_stall(observation: ConnectionObservation, side: Side) -> _Stall | None:
    end = observation.connection.started + observation.connection.duration_s
    longest: _Stall | None = None
    closed: float | None = None
    for segment in observation.segments:
        if segment.sender != side or flags(segment) & {"RST", "SYN"} or not acks(segment):
            continue
        if segment.window == 0:
            closed = segment.at if closed is None else closed
        elif closed is not None:
            longest = _longer(longest, _Stall(observation, side, segment.at - closed, reopened=True))
            closed = None
    if closed is not None:
        longest = _longer(longest, _Stall(observation, side, end - closed, reopened=False))
    return longest


def _longer(one: _Stall | None, other: _Stall) -> _Stall:
    return other if one is None or other.seconds > one.seconds else one


def _stalled(seen: Seen, stalls: Sequence[_Stall]) -> Hit:
    worst = stalls[0]
    connection = worst.observation.connection
    client = f"The client {connection.client}" if seen.capture else "This machine"
    who = f"The server {server_name(seen)}" if worst.side == "server" else client
    program = _program(connection)
    times = "" if worst.reopened else ", and never opens it again"
    blame: Blame = "server" if worst.side == "server" else "this-machine"
    where = seen.target.host if worst.side == "server" else connection.client
    return Hit(
        summary=f"{who} does not read: it keeps its receive window closed for {worst.seconds:.1f} s{times} "
        f"({share(seen, len(stalls))}; at worst {place(connection)}{program})",
        blame=blame,
        remedy=f"Look at the application on {where} that owns the connection: what keeps it from reading? The network "
        "delivered everything.",
        evidence=tuple(stall.observation for stall in stalls[:_EVIDENCE]),
        culprit=Culprit(address=connection.server if worst.side == "server" else connection.client),
    )


def _program(connection: Connection) -> str:
    return f", program {connection.process}" if connection.process else ""
