"""Traces and a run's own capture -> their facts in words. Pure; judges nothing.

Contract: as facts.py: the strings hold untrusted text as it came.
"""

from __future__ import annotations

from netdiag.model import TraceHop, TraceMode, TraceObservation, WireObservation, authority
from netdiag.report.phrases import some
from netdiag.report.units import counted

_SENT: dict[TraceMode, str] = {"syn": "SYN", "data": "data", "udp": "UDP datagram"}


def sent(trace: TraceObservation) -> str:
    """What a trace sends, in a word."""
    return trace.payload or _SENT[trace.mode]


def title(trace: TraceObservation) -> str:
    """The same with what matters about it."""
    if trace.mode == "syn":
        return f"SYN to port {trace.port}"
    if trace.mode == "udp":
        return "UDP datagram"
    if trace.server_name:
        return f"{sent(trace)} for {trace.server_name}"
    size = "" if sent(trace).endswith(("byte", "bytes")) else f", {counted(trace.sent_bytes, 'byte')},"
    return f"{sent(trace)}{size} inside a connection"


def icmp(trace: TraceObservation) -> str:
    """The ICMP error that ended it; empty without one."""
    found = next((r.icmp for h in trace.hops for r in h.replies if r.icmp and r.answer == trace.answer), None)
    if found is None:
        return ""
    return f"ICMP{'v6' if found.version == 6 else ''} type {found.type} code {found.code} from {found.offender}"


_ENDS = {
    "open": "the port is open, {}",
    "refused": "refused, {}",
    "reset": "reset {}",
    "closed": "closed {}",
    "data": "answered, {}",
    "unreachable": "unreachable {}",
    "prohibited": "forbidden {}",
    "unsent": "the system would not send it",
}


def trace(o: TraceObservation) -> str:
    """One trace in a line: ``SYN to 192.0.2.10:443: the port is open, 22 hops away``."""
    what = f"{sent(o)} to {o.address if o.mode == 'udp' else authority(o.address, o.port)}"
    last = max((hop.ttl for hop in o.hops if hop.answer == "hop"), default=0)
    if o.answer in ("none", "hop"):
        said = f"no answer from beyond hop {last}" if last else "no answer at all"
    else:
        far = "at an unknown distance" if o.distance is None else f"{counted(o.distance, 'hop')} away"
        at_ttl = "" if o.distance is None else f"from TTL {o.distance} on"
        away = far if o.answer in ("open", "data") or (o.mode, o.answer) == ("udp", "refused") else at_ttl
        said = _ENDS[o.answer].format(away).rstrip(", ")
    error = icmp(o) if o.answer in ("unreachable", "prohibited") else ""
    detail = f": {o.failure.detail}" if o.answer == "unsent" and o.failure and o.failure.detail else ""
    return f"{what}: {said}{f' ({error})' if error else ''}{detail}"


def wire(o: WireObservation) -> str:
    """A run's own capture in a line."""
    if o.outcome == "not-run":
        return f"no capture of its own: {o.limits[0]}" if o.limits else "no capture of its own"
    parts = [counted(o.packets, "packet"), *([f"on {some(o.interfaces, 3)}"] if o.interfaces else [])]
    said = f"captured {' '.join(parts)}"
    if o.dropped:
        said += f", {o.dropped:,} lost by the system"
    return f"{said}, kept in {o.path}" if o.path else said


def details(o: TraceObservation | WireObservation) -> list[str]:
    """Hop by hop, and what could not be observed."""
    lines: list[str] = []
    if isinstance(o, TraceObservation):
        lines.append(f"{title(o)}, by {'ordinary sockets' if o.method == 'sockets' else 'packets made by hand'}")
        names = dict(o.names)
        lines += [f"hop {hop.ttl}: {_replies(hop, names)}" for hop in o.hops]
    elif o.method:
        lines.append(f"method: {o.method}")
    return [*lines, *o.limits]


def _replies(hop: TraceHop, names: dict[str, str]) -> str:
    """Every probe in the order sent, ``*`` for one without answer."""
    said = []
    for reply in hop.replies:
        name = names.get(reply.address, "")
        words = [
            "" if reply.answer == "hop" and reply.address else "*" if reply.answer == "none" else reply.answer,
            reply.address + (f" ({name})" if name else ""),
            "" if reply.rtt_ms is None else f"{reply.rtt_ms:.1f} ms",
            "" if reply.ttl is None else f"TTL {reply.ttl}",
        ]
        said.append(" ".join(word for word in words if word))
    return ", ".join(said) or "*"
