"""What a trace adds to the question who sent a reset: packets with short lives find the place that they do not pass.

Contract: pure. What a trace shows outweighs TTL arithmetic, since it does not depend on values that a device can copy,
nor on the way back.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from netdiag.model import (
    HttpsObservation,
    Observation,
    ResetObservation,
    TcpObservation,
    TlsObservation,
    TraceObservation,
    WireObservation,
)
from netdiag.rules.captured import flags
from netdiag.rules.initial_ttl import PATH_CHANGE, hop_number, ordinal, routers_crossed
from netdiag.rules.registry import Hit
from netdiag.rules.reset_evidence import Attribution, attribute
from netdiag.rules.reset_sign import Sign, nearest_ttl, ttl_word
from netdiag.rules.seen import Seen
from netdiag.rules.traces import Turn, host_ttl, router, turn
from netdiag.rules.words import utc


def traced(seen: Seen, o: ResetObservation) -> Attribution:
    """Weigh a reset together with the traces of its address and port; without any, by its own signs alone."""
    found = _turn(seen, o)
    judged = attribute(o, signs=_weighed(seen, o, found))
    if judged.origin != "path-device" or o.flow is None:
        return judged
    if found is None or found.actor != "device":
        hop = judged.hop or 0
        return msgspec.structs.replace(judged, address=router(seen, o.flow.server, o.flow.server_port, hop))
    return msgspec.structs.replace(
        judged,
        hop=found.hop,
        address=found.address,
        name=found.name,
        proof=next(sign.words for sign in judged.signs if sign.name == "trace"),
        also=tuple(_also(o, found)),
    )


def _weighed(seen: Seen, o: ResetObservation, found: Turn | None) -> tuple[Sign, ...]:
    signs = tuple(_signs(o, found, host_ttl(seen, found.trace.address))) if found else ()
    return (*signs, *_other_names(seen, o))


def _other_names(seen: Seen, o: ResetObservation) -> Iterator[Sign]:
    """The same address with another name, or none: servers answer names that are not theirs, filters cut some names.

    Benign: a front end that resets connections for names that it does not know.
    """
    if seen.capture or o.flow is None or not o.server_name or o.stage != "post_psh" or o.claimed != "server":
        return
    same = [t for t in seen.effective(TlsObservation) if t.address == o.flow.server and t.outcome == "ok"]
    answered = [t.server_name for t in same if t.purpose in ("other-name", "no-name")]
    if answered:
        asked = " and ".join(f"the name {name}" if name else "no name" for name in answered)
        words = f"with {asked} the same address completes the handshake"
        yield Sign(name="other-name", points_to="path-device", weight=0.65, words=words)


def refusal(seen: Seen, attempt: TcpObservation) -> Attribution | None:
    """Who refused an attempt of this machine, where its packets were seen and its path was traced."""
    if attempt.source != "probe" or attempt.flow is None:
        return None
    resets = (o for o in seen.of(ResetObservation) if o.flow == attempt.flow and o.claimed == "server" and o.resets)
    return next((traced(seen, o) for o in resets if _turn(seen, o)), None)


def _turn(seen: Seen, o: ResetObservation) -> Turn | None:
    """The trace of what provoked the reset, if it provoked one again."""
    if o.flow is None or o.claimed != "server" or seen.capture:
        return None
    found = turn(seen, o.flow.server, o.flow.server_port, "syn" if o.stage == "post_syn" else "data")
    return found if found and found.answer in ("reset", "refused") else None


def _signs(o: ResetObservation, found: Turn, host_ttl: int | None) -> Iterator[Sign]:
    what = f"same {found.trace.payload or 'data'}" if found.trace.mode == "data" else "SYN"
    if found.actor in ("device", "here"):
        yield Sign(name="trace", points_to="path-device", weight=0.97, words=_trace_words(found))
        return
    off = _off(o, found)
    words = f"the {what} provokes the reset only with TTL {found.arrived}"
    if found.actor == "at-server":
        words += f", and {found.how_far}"
        if _bare(o):
            words += "; but it has no ACK, as filters answer, and the server had just accepted the connection"
            yield Sign(name="trace", points_to="nobody", words=words)
        elif off == 0 or o.resets[0].ttl in (nearest_ttl(o), host_ttl):
            yield Sign(name="trace", points_to="server", weight=0.75, words=words)
        elif abs(off) > PATH_CHANGE:
            yield Sign(name="trace", points_to="nobody", words=f"{words}: it, or the router in front of it")
        else:
            words += f", but its {ttl_word(o)} puts the sender at the {ordinal(hop_number(o.resets[0].ttl))}"
            yield Sign(name="trace", points_to="nobody", words=words)
        return
    where = f"its {ttl_word(o)} puts the sender at the {ordinal(hop_number(o.resets[0].ttl))} hop"
    if off == 0:
        yield Sign(name="trace", points_to="server", weight=0.75, words=f"{words}, and {where} as well")
    else:
        yield Sign(name="trace", points_to="nobody", words=f"{words}, while {where}")


def by_trace_alone(seen: Seen) -> Iterator[Hit]:
    """Resets of connections whose packets were not to be seen, where a trace shows that the server is further away."""
    captured = {o.flow for o in seen.of(ResetObservation)}
    captured |= {flow for wire in seen.of(WireObservation) for flow in wire.unseen}  # no packet has left this machine
    told: set[str] = set()
    for o, found in _traced_failures(seen):
        shown = found.answer in ("reset", "refused") and found.actor == "device"
        if shown and o.flow not in captured and found.trace.id not in told:
            told.add(found.trace.id)
            yield _traced_hit(seen, o, found)


def _traced_failures(seen: Seen) -> Iterator[tuple[Observation, Turn]]:
    """What a reset ended, with the trace of what provoked it; a trace inside a connection may stand for itself."""
    traces = [o for o in seen.effective(TraceObservation) if o.mode != "udp"]
    for trace in traces:
        found = turn(seen, trace.address, trace.port, trace.mode)
        if found is None:
            continue
        ended = [o for o in _ended(seen, trace) if o.failure and o.failure.kind in _RESETS]
        if ended:
            yield ended[0], found
        elif trace.mode == "data" and not _ended(seen, trace):
            yield trace, found


def _ended(seen: Seen, trace: TraceObservation) -> list[Observation]:
    """What an application met at the same place: attempts for a SYN, else handshakes and fetches, failed or not."""
    here = (trace.address, trace.port)
    if trace.mode == "syn":
        return [o for o in seen.effective(TcpObservation) if (o.address, o.port) == here]
    shaken = [o for o in seen.effective(TlsObservation) if (o.address, o.port) == here]
    return [*shaken, *seen.effective(HttpsObservation)]


_RESETS = ("reset", "refused")


def doubtful_refusal(seen: Seen, attempt: TcpObservation) -> str:
    """Who may have refused, as a clause, where a trace tells that it need not be the host; empty where none does."""
    found = turn(seen, attempt.address, attempt.port, "syn")
    if found is None or found.answer != "refused" or found.by_icmp:
        return ""
    if found.actor == "here":
        return "the refusal comes from this machine itself or from its first router, as no router passes the SYN on"
    return f"the server itself, or {found.place} in front of it" if found.hop else ""


def _traced_hit(seen: Seen, o: Observation, found: Turn) -> Hit:
    name, trace = found.trace.server_name, found.trace
    what = f"the {trace.payload}" if trace.payload else "data"
    when = f"right after {what}" if trace.mode == "data" else "instead of an answer to the SYN"
    named = f", which named {name}" if name else ""
    moment = utc(o.started + o.took_s)
    return Hit(
        summary=f"Connections to {seen.target.authority} are reset {when}{named}. The reset bears the server's "
        f"address, but a device on the path sent it: {_trace_words(found)}",
        blame="path-device",
        remedy=f"Check {found.place} towards {trace.address}: find in its log, at {moment}, the rule that resets "
        f"connections to port {trace.port}{f' that name {name}' if name else ''}, and have it allowed.",
        evidence=tuple(dict.fromkeys((o, *found.evidence))),
        culprit=found.culprit,
        details=(_limit(found), "The reset itself was not seen, so there is no TTL to compare"),
    )


def _trace_words(found: Turn) -> str:
    what = f"same {found.trace.payload or 'data'}" if found.trace.mode == "data" else "SYN"
    far = found.how_far or "the server is further away: its address is public, and that hop's is private"
    if not found.hop:
        return f"the {what} provokes the reset even with a TTL that no router lets pass, and {far}"
    return f"the {what} provokes the reset from TTL {found.arrived} on; {found.last_seen}, and {far}"


def _limit(found: Turn) -> str:
    return (
        f"{found.place[:1].upper()}{found.place[1:]} is the last where the packet's TTL can end; a device without "
        "addresses (a bridge, a transparent firewall) would stand between it and the next hop"
    )


def _bare(o: ResetObservation) -> bool:
    """Whether it lacks the ACK of a host that gives up a connection that it knows (RFC 9293 §3.10.4: abort).

    Without it a host answers what it does not know (§3.10.7.1), and a filter what it rejects (Linux nf_reject_ipv4.c).
    """
    reset, early = o.resets[0], o.stage in ("post_ack", "post_psh")
    known = early and o.opening is not None and not o.fins
    return known and "ACK" not in flags(reset) and o.answers is not None and reset.seq == o.answers.ack


def _off(o: ResetObservation, found: Turn) -> int:
    """How many routers more the reset has crossed than a packet from where the probes arrive would."""
    return routers_crossed(o.resets[0].ttl) - found.hop


def _also(o: ResetObservation, found: Turn) -> Iterator[str]:
    yield _limit(found)
    by_ttl = hop_number(o.resets[0].ttl)
    if by_ttl != found.hop:
        yield (
            f"By its {ttl_word(o)} alone the sender would be the {ordinal(by_ttl)} hop: the way back is another, or "
            f"the {ttl_word(o)} is not an honest one"
        )
