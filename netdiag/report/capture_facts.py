"""The observations of captures -> their facts in words. Pure; judges nothing.

Contract: as facts.py: the strings hold untrusted text as it came. TTL arithmetic is written out the way an
administrator does it on paper: 64 − 61 = 3 routers crossed, so the sender is the 4th hop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from netdiag.model import (
    CaptureObservation,
    Closing,
    Connection,
    ConnectionObservation,
    Flow,
    Observation,
    Opening,
    ResetObservation,
    Segment,
    ServiceObservation,
    authority,
)
from netdiag.report.units import counted, duration, milliseconds, moment, ordinal, size

#: The TTLs that systems send with: the smallest that is not below a packet's is where it started (p0f, guess_dist).
_INITIAL_TTLS = (32, 64, 128, 255)
#: Paths are shorter than this (p0f, MAX_DIST), so a TTL of 30 may have started at 64 too.
_LONGEST_PATH = 35

#: What became of connections, in the order of a report.
_OUTCOMES = (
    "closed by both sides",
    "closed by one side only",
    "reset",
    "without an end in the capture",
    "refused",
    "never answered",
    "answered but never opened",
)


def outcome(opening: Opening, closing: Closing) -> str:
    """One of the words for what became of a connection."""
    if opening == "unanswered":
        return "never answered"
    if opening == "refused":
        return "refused"
    if closing == "reset":
        return "reset"
    if opening == "unfinished":
        return "answered but never opened"
    if closing == "none":
        return "without an end in the capture"
    return "closed by both sides" if closing == "fin" else "closed by one side only"


def outcomes(observation: CaptureObservation) -> str:
    """``71 closed by both sides, 3 never answered``."""
    counts: Counter[str] = Counter()
    for opening, closing, count in observation.outcomes:
        counts[outcome(opening, closing)] += count
    return ", ".join(f"{counts[words]:,} {words}" for words in _OUTCOMES if counts[words])


def losses(observation: CaptureObservation) -> tuple[str, ...]:
    """What is missing from a capture, each in a few words."""
    found: list[str] = []
    if observation.damage:
        where = f"packet {observation.damaged_frame or 0:,}, byte {observation.damaged_byte or 0:,}"
        found.append(f"read up to {where}: {observation.damage}")
    if observation.dropped:
        found.append(f"{counted(observation.dropped, 'packet')} lost by the capturing system")
    if observation.snapped:
        found.append(f"{counted(observation.snapped, 'packet')} cut short by the snap length")
    if observation.previous_lost:
        found.append(f"{counted(observation.previous_lost, 'gap')} in the sequence numbers")
    if observation.acked_unseen:
        found.append(f"{counted(observation.acked_unseen, 'acknowledgement')} of data that was not captured")
    if observation.captured_twice:
        found.append(f"{counted(observation.captured_twice, 'packet')} captured twice")
    found += [f"{counted(count, 'packet')} of {kind}, not read" for kind, count in observation.unknown_links]
    found += [f"{counted(count, 'packet')} dropped: {reason}" for reason, count in observation.drops]
    return tuple(found)


def origin(observation: CaptureObservation) -> str:
    """Format, size, and where it was captured."""
    form = f"{observation.format} in {observation.compression}" if observation.compression else observation.format
    interfaces = [name for name in observation.interfaces if name]
    parts = [f"{form}, {size(observation.bytes)}", *interfaces[:3]]
    if len(interfaces) > 3:
        parts.append(f"{len(interfaces) - 3} more interfaces")
    return ", ".join([*parts, *(word for word in (observation.os, observation.application) if word)])


def span(observation: CaptureObservation) -> str:
    """How many packets, when, how long."""
    count = counted(observation.packets, "packet")
    if not observation.packets:
        return count
    if not observation.first:  # a format without times
        return f"{count}, without times"
    return f"{count} in {duration(observation.last - observation.first)}, from {moment(observation.first, 3)}"


def connections(observation: CaptureObservation) -> str:
    """How many TCP connections, and what became of them."""
    count = counted(observation.connections, "TCP connection")
    said = outcomes(observation)
    return f"{count}: {said}" if said else count


def capture(observation: CaptureObservation) -> str:
    """One capture file in a line."""
    count = counted(observation.connections, "TCP connection")
    return f"{observation.path}: {observation.format}, {span(observation)}, {count}"


def capture_details(observation: CaptureObservation) -> list[str]:
    """The counts, and what the file says of itself."""
    o = observation
    lines = [
        origin(o),
        *losses(o),
        f"{o.tcp_packets:,} TCP, {o.udp_packets:,} UDP, {o.icmp_packets:,} ICMP packets",
        f"{o.syn:,} SYN, {o.syn_ack:,} SYN-ACK, {o.fin:,} FIN, {o.rst:,} RST",
        f"{o.retransmissions:,} sent again, {o.out_of_order:,} out of order, {o.duplicate_acks:,} duplicate ACKs",
        f"{o.zero_windows:,} zero windows, {o.keep_alives:,} keep-alives",
    ]
    lines += [f"{count:,} {opening}, {closing}" for opening, closing, count in o.outcomes]
    lines += [f"remark: {remark}" for remark in o.remarks]
    lines += [f"comment: {comment}" for comment in o.comments]
    return lines


def service(observation: ServiceObservation) -> str:
    """One server's port in a line."""
    o = observation
    names = f" ({', '.join(o.names[:2])})" if o.names else ""
    place = authority(o.address, o.port) if o.address else "all other servers"
    parts = [counted(o.connections, "connection")]
    counts = (
        (o.complete, "opened"),
        (o.unanswered, "never answered"),
        (o.unfinished, "answered but never opened"),
        (o.refused, "refused"),
        (o.mid_stream, "open before the capture began"),
        (o.reset_early, "reset before the server had sent data"),
        (o.reset_late, "reset later"),
    )
    parts += [f"{count:,} {words}" for count, words in counts if count]
    if o.retransmissions:
        parts.append(f"{counted(o.retransmissions, 'segment')} sent again")
    if o.rtt_ms is not None:
        parts.append(f"round trip {milliseconds(o.rtt_ms / 1000)}")
    return f"{place}{names}: {', '.join(parts)}"


def ends(connection: Connection, arrow: str = " → ") -> str:
    """Client and server."""
    client = authority(connection.client, connection.client_port)
    return f"{client}{arrow}{authority(connection.server, connection.server_port)}"


def flow_ends(flow: Flow) -> str:
    """The same of a flow."""
    return f"{authority(flow.client, flow.client_port)} → {authority(flow.server, flow.server_port)}"


def place(observation: Observation) -> str:
    """Client and server of what was seen, its id where it has none."""
    return observation.id if observation.flow is None else flow_ends(observation.flow)


def connection(observation: ConnectionObservation) -> str:
    """One connection in a line."""
    c = observation.connection
    name = f" ({c.name})" if c.name else ""
    sent = f"{size(c.bytes_client)} sent, {size(c.bytes_server)} received in {duration(c.duration_s)}"
    program = [f"owned by {c.process}"] if c.process else []
    return f"conversation {c.number}, {ends(c)}{name}: {', '.join([*trouble(c), sent, *program])}"


def trouble(c: Connection) -> list[str]:
    """What did not go as it should, each in a few words; nothing for a connection that went well."""
    found: list[str] = []
    if c.opening == "unanswered":
        after = f" in {duration(c.duration_s)}" if c.syn > 1 else ""
        found.append(f"no answer to {counted(c.syn, 'SYN')}{after}")
    elif c.opening == "refused":
        found.append(f"refused with a reset{_ttl(c.ttl_rst_server)}")
    elif c.opening == "unfinished":
        found.append("SYN-ACK without the client's ACK")
    if c.closing == "reset" and c.opening != "refused":
        found += [
            f"reset with the {side}'s address{_ttl(ttl)}"
            for side, count, ttl in (
                ("server", c.rst_server, c.ttl_rst_server),
                ("client", c.rst_client, c.ttl_rst_client),
            )
            if count
        ]
    elif c.closing == "half-close":
        found.append(f"only the {'client' if c.fin_client else 'server'} closed")
    if c.icmp:
        found.append(f"ICMP: {c.icmp}")
    again = c.retransmissions_client + c.retransmissions_server
    if again and c.opening != "unanswered":
        found.append(f"{again:,} sent again")
    for side, count in (("client", c.zero_windows_client), ("server", c.zero_windows_server)):
        if count:
            found.append(f"{side}'s window closed {counted(count, 'time')}")
    missing = c.previous_lost_client + c.previous_lost_server + c.acked_unseen_client + c.acked_unseen_server
    if missing:
        found.append("packets missing from the capture")
    return found


def _ttl(ttl: int | None) -> str:
    return "" if ttl is None else f" (TTL {ttl})"


def connection_details(observation: ConnectionObservation) -> list[str]:
    """Round trips, TTLs, counts each way."""
    c = observation.connection
    lines = [f"{c.opening} opening, {c.closing} closing, frames {c.first_frame:,} to {c.last_frame:,}"]
    if c.syn_rtt_ms is not None:
        ack = "" if c.ack_rtt_ms is None else f", {c.ack_rtt_ms:.3f} ms on to its ACK"
        lines.append(f"{c.syn_rtt_ms:.3f} ms from SYN to SYN-ACK{ack}")
    ways = (
        ("client", c.packets_client, c.bytes_client, c.retransmissions_client, c.duplicate_acks_client),
        ("server", c.packets_server, c.bytes_server, c.retransmissions_server, c.duplicate_acks_server),
    )
    lines += [
        f"{side}: {counted(packets, 'packet')}, {length:,} bytes, {again:,} sent again, {acks:,} duplicate ACKs"
        for side, packets, length, again, acks in ways
    ]
    lines += [f"program: {c.process}"] if c.process else []
    lines += [f"in clear text: {observation.exchange}"] if observation.exchange else []
    return lines


def crossed(ttl: int) -> tuple[int, int]:
    """What a packet with this TTL started with, and how many routers took one off."""
    initial = next((start for start in _INITIAL_TTLS if ttl <= start), _INITIAL_TTLS[-1])
    return initial, max(initial - ttl, 0)


def other_start(ttl: int) -> int | None:
    """Another value that it may have started with."""
    return 64 if ttl <= 32 and 64 - ttl <= _LONGEST_PATH else None


def hops(ttl: int) -> str:
    """``64 − 61 = 3 routers, the 4th hop``: how far a packet with this TTL came."""
    initial, routers = crossed(ttl)
    if not routers:
        return "no router crossed: sent here, or next to here"
    words = f"{initial} − {ttl} = {counted(routers, 'router')}, the {ordinal(routers + 1)} hop"
    other = other_start(ttl)
    if other is not None:
        words += f"; or {other} − {ttl} = {other - ttl} routers"
    return words


def reset(observation: ResetObservation) -> str:
    """The reset of one connection in a line."""
    o = observation
    first = o.resets[0] if o.resets else None
    parts = [f"{first.flags} in frame {first.frame:,}, TTL {first.ttl} ({hops(first.ttl)})"] if first else []
    parts += [f"{len(o.resets)} resets"] if len(o.resets) > 1 else []
    parts += list(reference_ttls(o))[:1]
    parts.append(stage(o))
    if o.alike > 1:
        parts.append(f"{counted(o.alike, 'connection')} ended so")
    where = "in the other capture, " if o.id.startswith("other-") else ""
    return f"{where}reset with the {o.claimed}'s address: {', '.join(parts)}"


def reference_ttls(observation: ResetObservation) -> Iterator[str]:
    """The TTLs of what else came from the reset's address, to compare its own with."""
    for ttls, where in (
        (observation.ttls, "its other packets"),
        (observation.ttls_elsewhere, "its SYN-ACKs elsewhere"),
    ):
        for ttl, count in sorted(ttls, key=lambda pair: -pair[1])[:2]:
            yield f"TTL {ttl} ({hops(ttl)}) in {count:,} of {where}"


def reset_lines(observation: ResetObservation) -> list[str]:
    """The reset of one connection and what it is compared with, a sentence each."""
    o = observation
    first = o.resets[0] if o.resets else None
    lines = []
    if first is not None:
        more = f" and {len(o.resets) - 1} more" if len(o.resets) > 1 else ""
        lines.append(f"{first.flags} in frame {first.frame:,}{more}, with the {o.claimed}'s address, {stage(o)}")
        lines.append(f"its TTL {first.ttl}: {hops(first.ttl)}")
    lines += list(reference_ttls(o)) or ["no other packet of that address to compare it with"]
    if o.alike > 1:
        lines.append(f"{counted(o.alike, 'connection')} to that server ended so")
    return lines


_STAGES = {
    "post_syn": "after the SYN, before the connection was open",
    "post_ack": "after the opening, before any data",
    "post_psh": "after the client's first data",
    "later_in_flow": "later in the connection",
}


def stage(observation: ResetObservation) -> str:
    """How far the connection had come."""
    if observation.after_fin:
        return "after a FIN"
    return _STAGES.get(observation.stage, observation.stage)


def reset_details(observation: ResetObservation) -> list[str]:
    """Everything there is to compare, a line each."""
    o = observation
    lines = [f"reset: {_segment(segment)}" for segment in o.resets]
    lines += list(reference_ttls(o))
    named = (
        ("opening", o.opening),
        ("last before", o.before),
        ("answers", o.answers),
        ("provoked by", o.provoked_by),
        *(("still sent after", segment) for segment in o.after),
    )
    lines += [f"{words}: {_segment(segment)}" for words, segment in named if segment is not None]
    if o.next_seq is not None:
        lines.append(f"the address would have sent sequence number {o.next_seq} next")
    if o.acked is not None:
        lines.append(f"the other side had acknowledged up to {o.acked}")
    if o.rtt_ms is not None:
        lines.append(f"round trip {o.rtt_ms:.3f} ms")
    if o.fins:
        lines.append(f"FIN before it: {' and '.join(o.fins)}")
    if o.ip_ids:
        lines.append(f"IP identification before it: {', '.join(map(str, o.ip_ids))}")
    if len(o.syns) > 1:
        lines.append(f"SYNs at {', '.join(f'+{at - o.syns[0]:.3f}' for at in o.syns)} s")
    lines.append(f"before it the client had sent {size(o.bytes_client)}, the server {size(o.bytes_server)}")
    return lines


def _segment(segment: Segment) -> str:
    ident = "" if segment.ip_id is None else f" id {segment.ip_id}{' DF' if segment.df else ''}"
    ack = f" ack {segment.ack}" if segment.ack or "ACK" in segment.flags else ""
    options = f" [{segment.options}]" if segment.options else ""
    return (
        f"frame {segment.frame:,} {segment.flags} seq {segment.seq}{ack} len {segment.length} "
        f"win {segment.window} TTL {segment.ttl}{ident}{options}"
    )


def details(observation: CaptureObservation | ConnectionObservation | ResetObservation) -> list[str]:
    """What the line on an observation leaves out."""
    if isinstance(observation, CaptureObservation):
        return capture_details(observation)
    return (
        connection_details(observation)
        if isinstance(observation, ConnectionObservation)
        else reset_details(observation)
    )
