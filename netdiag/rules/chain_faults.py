"""What the rules about chain share: the faults of one kind, and the hit that says who has to mend them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netdiag.model import (
    Blame,
    ChainFault,
    ChainObservation,
    Culprit,
    FaultKind,
    Observation,
    Severity,
    TlsObservation,
)
from netdiag.rules.certificates import short_name
from netdiag.rules.registry import Hit
from netdiag.rules.seen import Seen


def faulty(seen: Seen, kind: FaultKind) -> Iterator[tuple[ChainObservation, tuple[ChainFault, ...]]]:
    """Each chain on the effective route with a fault of this kind, and those faults; errors, where there are any."""
    for chain in seen.effective(ChainObservation):
        faults = [fault for fault in chain.faults if fault.kind == kind]
        worst = min((fault.severity for fault in faults), key=lambda severity: severity.rank, default=None)
        if worst is not None:
            yield chain, tuple(fault for fault in faults if fault.severity is worst)


def server_hit(
    seen: Seen,
    chain: ChainObservation,
    faults: Sequence[ChainFault],
    summary: str,
    remedy: str,
    *,
    severity: Severity | None = None,
    blame: Blame | None = None,
    culprit: Culprit | None = None,
    more: Sequence[Observation] = (),
) -> Hit:
    """A hit that the owner of the server, or of the proxy with a certificate of its own, has to mend.

    What a captured client accepted is no error: it went on, and other clients may not. ``more`` is further evidence.
    """
    blame = blame or ("proxy" if _is_proxy(seen, chain) else "server")
    tls = captured_handshake(seen, chain)
    if severity is None:
        severity = Severity.WARNING if accepted(seen, chain) else faults[0].severity
    summary += how_it_went_on(seen, chain)
    evidence = (chain, *more) if tls is None else (chain, tls, *more)
    return Hit(summary=summary, blame=blame, remedy=remedy, evidence=evidence, severity=severity, culprit=culprit)


def how_it_went_on(seen: Seen, chain: ChainObservation) -> str:
    """What the client of a capture did with the chain, as a clause; empty where that is not known."""
    tls = captured_handshake(seen, chain)
    if accepted(seen, chain):
        return "; the client went on all the same"
    if tls is None or tls.failure is None:
        return ""
    return f"; the handshake ended there ({tls.failure.detail or tls.failure.kind})"


def captured_handshake(seen: Seen, chain: ChainObservation) -> TlsObservation | None:
    """The handshake of a capture that brought the chain: its end tells whether the client accepted it."""
    tls = seen.get(chain.parent) if seen.capture and chain.parent else None
    return tls if isinstance(tls, TlsObservation) else None


def accepted(seen: Seen, chain: ChainObservation) -> bool:
    """Whether the client of a capture went on with this chain: it is then no reason for a failure."""
    tls = captured_handshake(seen, chain)
    return tls is not None and tls.outcome == "ok"


def owner(seen: Seen, chain: ChainObservation) -> str:
    """Who presents the chain, in words; for a certificate in a file, whose it is."""
    return f"the proxy {chain.host}" if _is_proxy(seen, chain) else bearer(chain)


def bearer(chain: ChainObservation) -> str:
    """The host that the chain is for, else the name of its first certificate."""
    return chain.host or (short_name(chain.elements[0].subject) if chain.elements else "the file")


def _is_proxy(seen: Seen, chain: ChainObservation) -> bool:
    return seen.route == "proxy" and chain.host.lower() != seen.target.host.lower()
