"""The handshakes that the rules about tls compare.

The one that counts is "main" on the effective route. The others are controls: each differs from it in one thing (the
name, the versions, the moment), so that what differs in the outcome has that one reason. A capture has no controls, but
often other handshakes with the same server that can take their place.
"""

from __future__ import annotations

from netdiag.model import ChainObservation, FailureKind, HandshakePurpose, TlsObservation, TraceAnswer, authority
from netdiag.rules.node_words import is_node
from netdiag.rules.seen import Seen
from netdiag.rules.traces import Turn, turn

_CUT = frozenset({"reset", "eof", "timeout"})
#: Alerts with which servers end a handshake that lacks a client certificate: handshake_failure up to TLS 1.2 and
#: certificate_required in 1.3 by the book (RFC 5246 §7.4.6, RFC 8446 §4.4.2.4), the others in practice.
_NO_CERTIFICATE = frozenset(
    {
        "handshake_failure",
        "certificate_required",
        "bad_certificate",
        "certificate_unknown",
        "access_denied",
        "no_certificate",
    }
)


def mains(seen: Seen) -> tuple[TlsObservation, ...]:
    """The handshakes that stand for the application; in a capture, those that ask for the target's name, or none."""
    every = tuple(o for o in seen.effective(TlsObservation) if o.purpose == "main")
    return tuple(o for o in every if o.server_name in ("", seen.target.host)) if seen.capture else every


def mains_and_proxy(seen: Seen) -> tuple[TlsObservation, ...]:
    """With the handshake that an https:// proxy itself needs (purpose "proxy"), which has no controls."""
    if seen.capture:
        return mains(seen)
    return tuple(o for o in seen.effective(TlsObservation) if o.purpose in ("main", "proxy"))


def control(seen: Seen, main: TlsObservation, purpose: HandshakePurpose) -> TlsObservation | None:
    """The handshake with the same address by the same way for another purpose, if it came to a result.

    One that failed before its ClientHello (no connection, no tunnel) tells nothing about TLS.
    """
    if seen.capture:
        return _captured_control(seen, main, purpose)
    for o in seen.of(TlsObservation, main.route):
        tried = o.outcome == "ok" or (o.failure is not None and o.failure.step == "handshake")
        if tried and (o.purpose, o.address, o.port) == (purpose, main.address, main.port):
            return o
    return None


def _captured_control(seen: Seen, main: TlsObservation, purpose: HandshakePurpose) -> TlsObservation | None:
    """Another handshake with the same address in the capture that serves the purpose, one that succeeded before others.

    As "repeat" counts only one with the same versions, as "tls1.2-only" and "legacy-versions" one that offers less.
    """
    found = [
        o
        for o in seen.of(TlsObservation, main.route)
        if o is not main and (o.address, o.port) == (main.address, main.port) and _serves(main, o, purpose)
    ]
    return next((o for o in found if o.outcome == "ok"), found[0] if found else None)


def _serves(main: TlsObservation, other: TlsObservation, purpose: HandshakePurpose) -> bool:
    same_name = other.server_name == main.server_name
    if purpose == "repeat":
        return same_name and other.offered == main.offered
    if purpose == "other-name":
        return bool(other.server_name) and not same_name
    if purpose == "no-name":
        return not other.server_name and not same_name
    highest = {"tls1.2-only": ("TLSv1.2",), "legacy-versions": ("TLSv1", "TLSv1.1")}.get(purpose, ())
    return same_name and other.offered[1] in highest and main.offered[1] not in highest


def explained(seen: Seen, main: TlsObservation) -> bool:
    """Whether the handshake ended for a reason that is told elsewhere.

    The client of a capture ended it over the certificate (rules about chain); or a node wants one of the client, which
    is no fault.
    """
    if is_node(seen) and wants_certificate(main):
        return True
    if main.ended_by != "client":
        return False
    return any(c.parent == main.id and c.outcome == "failed" for c in seen.of(ChainObservation))


def wants_certificate(main: TlsObservation) -> bool:
    """Whether the handshake failed because the server insists on a client certificate."""
    if main.failure is None:
        return False
    if main.failure.kind == "tls-alert" and main.alert == "certificate_required":
        return True
    if not main.client_certificate_requested:
        return False
    return main.alert in _NO_CERTIFICATE if main.failure.kind == "tls-alert" else main.failure.kind in ("reset", "eof")


def ok(o: TlsObservation | None) -> bool:
    """It was made and completed."""
    return o is not None and o.outcome == "ok"


def cut(o: TlsObservation | None) -> bool:
    """It was made, and the connection ended or fell silent."""
    return o is not None and o.failure is not None and o.failure.kind in _CUT


def present(*observations: TlsObservation | None) -> tuple[TlsObservation, ...]:
    """Those that were made."""
    return tuple(o for o in observations if o is not None)


def place(seen: Seen, o: TlsObservation) -> str:
    """The target as the reader knows it, with the address when that says more, and the way; or the proxy."""
    if o.purpose == "proxy":
        return f"the proxy {authority(o.server_name or o.address, o.port)}"
    shown = seen.target.authority
    if o.address != seen.target.host:
        shown += f" ({o.address})"
    return f"{shown} through the proxy" if o.route == "proxy" else shown


def how_cut(o: TlsObservation) -> str:
    """How a handshake was cut, and when, as a phrase."""
    kind = o.failure.kind if o.failure else ""
    by = f" by the {o.ended_by}" if o.ended_by and kind == "eof" else ""
    if o.bytes_received:
        when = f"after {o.bytes_received} bytes of the answer"
        return {"reset": f"reset {when}", "eof": f"closed{by} {when}"}.get(kind, f"silence {when}")
    return {"reset": "reset right after the ClientHello", "eof": f"closed{by} right after the ClientHello"}.get(
        kind, f"no answer to the ClientHello within {o.took_s:.0f} s"
    )


def cut_on_the_way(seen: Seen, o: TlsObservation) -> Turn | None:
    """Where the trace of the ClientHello turns into what the handshake met, if that is before the server."""
    if o.route != "direct" or o.purpose != "main" or o.failure is None:
        return None
    found = turn(seen, o.address, o.port, "data")
    same = found is not None and found.answer == TRACED.get(o.failure.kind)
    return found if same and found and found.actor == "device" else None


#: What a trace meets where an exchange ends so.
TRACED: dict[FailureKind, TraceAnswer] = {"reset": "reset", "eof": "closed", "timeout": "none"}


def where_cut(found: Turn) -> str:
    """Where it is cut, as a clause."""
    ends = {"reset": "the reset comes", "closed": "the connection is closed"}.get(found.answer, "nothing comes back")
    far = f", while {found.how_far}" if found.how_far else ""
    return f"sent again {found.last_seen}, with TTL {found.arrived} {ends}{far}"
