"""What the rules about chain share: the faults of one kind, and the hit that says who has to mend them."""

from __future__ import annotations

from collections.abc import Iterator

from netdiag.model import Blame, ChainFault, ChainObservation, Culprit, FaultKind, Severity
from netdiag.rules.registry import Hit
from netdiag.rules.seen import Seen


def faulty(seen: Seen, kind: FaultKind) -> Iterator[tuple[ChainObservation, tuple[ChainFault, ...]]]:
    """Each chain on the effective route with a fault of this kind, and those faults."""
    for chain in seen.effective(ChainObservation):
        faults = tuple(fault for fault in chain.faults if fault.kind == kind)
        if faults:
            yield chain, faults


def server_hit(
    seen: Seen,
    chain: ChainObservation,
    summary: str,
    remedy: str,
    *,
    severity: Severity | None = None,
    culprit: Culprit | None = None,
) -> Hit:
    """A hit that the owner of the server, or of the proxy with a certificate of its own, has to mend."""
    blame: Blame = "proxy" if _is_proxy(seen, chain) else "server"
    return Hit(summary=summary, blame=blame, remedy=remedy, evidence=(chain,), severity=severity, culprit=culprit)


def owner(seen: Seen, chain: ChainObservation) -> str:
    """Who presents the chain, in words."""
    return f"the proxy {chain.host}" if _is_proxy(seen, chain) else chain.host


def _is_proxy(seen: Seen, chain: ChainObservation) -> bool:
    return seen.route == "proxy" and chain.host.lower() != seen.target.host.lower()
