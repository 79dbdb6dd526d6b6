"""The handshakes that the rules about tls compare.

The one that counts is "main" on the effective route. The others are controls: each differs from it in one thing (the
name, the versions, the moment), so that what differs in the outcome has that one reason.
"""

from __future__ import annotations

from netdiag.model import HandshakePurpose, TlsObservation, authority
from netdiag.rules.seen import Seen

_CUT = frozenset({"reset", "eof", "timeout"})


def mains(seen: Seen) -> tuple[TlsObservation, ...]:
    """The handshakes that stand for the application."""
    return tuple(o for o in seen.effective(TlsObservation) if o.purpose == "main")


def mains_and_proxy(seen: Seen) -> tuple[TlsObservation, ...]:
    """With the handshake that an https:// proxy itself needs (purpose "proxy"), which has no controls."""
    return tuple(o for o in seen.effective(TlsObservation) if o.purpose in ("main", "proxy"))


def control(seen: Seen, main: TlsObservation, purpose: HandshakePurpose) -> TlsObservation | None:
    """The handshake with the same address by the same way for another purpose, if it came to a result.

    One that failed before its ClientHello (no connection, no tunnel) tells nothing about TLS.
    """
    for o in seen.of(TlsObservation, main.route):
        tried = o.outcome == "ok" or (o.failure is not None and o.failure.step == "handshake")
        if tried and (o.purpose, o.address, o.port) == (purpose, main.address, main.port):
            return o
    return None


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
    if o.bytes_received:
        when = f"after {o.bytes_received} bytes of the answer"
        return {"reset": f"reset {when}", "eof": f"closed {when}"}.get(kind, f"silence {when}")
    return {"reset": "reset right after the ClientHello", "eof": "closed right after the ClientHello"}.get(
        kind, f"no answer to the ClientHello within {o.took_s:.0f} s"
    )
