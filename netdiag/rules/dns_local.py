"""Rules about names that this machine settles by itself: localhost, and the entries of the hosts file."""

from __future__ import annotations

from collections.abc import Iterator

from netdiag.model import ChainObservation, Culprit, DnsObservation, Observation, Severity
from netdiag.rules.addresses import is_here, is_private, meet, parse_address
from netdiag.rules.lookups import all_fail, canonical, lookups
from netdiag.rules.node_words import is_node
from netdiag.rules.registry import Hit, rule
from netdiag.rules.seen import Seen
from netdiag.rules.words import few


@rule("dns.localhost-broken", "localhost does not resolve to this machine", Severity.WARNING)
def localhost_broken(seen: Seen) -> Iterator[Hit]:
    """The name "localhost" does not resolve on this machine, or it leads to another machine.

    It must always give a loopback address, 127.0.0.1 or ::1 (RFC 6761 section 6.3). Programs of one
    machine talk to each other under that name: the self-hosted integration runtime cannot register, and
    its configuration manager cannot reach its own service, when the lookup fails or leads elsewhere.

    Put the line "127.0.0.1 localhost" back into the hosts file, remove every other line that names
    localhost, and flush the DNS cache (Windows: ipconfig /flushdns).
    """
    path = next((o.server for o in seen.of(DnsObservation) if o.asker == "hosts-file" and o.server), "the hosts file")
    is_target = canonical(seen.target.host) == "localhost" and seen.route == "direct"
    for observation in seen.of(DnsObservation):
        if canonical(observation.name) != "localhost" or observation.asker != "system":
            continue
        foreign = tuple(a for a in observation.addresses if not _is_loopback(a))
        if observation.outcome == "not-run" or (observation.outcome == "ok" and not foreign):
            continue
        problem = f"resolves to {few(foreign)}, which is not this machine" if foreign else "does not resolve"
        yield Hit(
            summary=f"localhost {problem}: programs on this machine, the integration runtime among them, cannot reach "
            "each other under that name",
            blame="this-machine",
            remedy=f'Put the line "127.0.0.1 localhost" into {path}, remove other lines for localhost there, and flush '
            "the DNS cache.",
            evidence=(observation,),
            severity=Severity.ERROR if is_target else None,
        )
        return


def _is_loopback(address: str) -> bool:
    parsed = parse_address(address)
    return parsed is not None and parsed.is_loopback


@rule(
    "dns.hosts-override",
    "The hosts file decides for the name",
    Severity.WARNING,
    folds=(
        "tcp.refused",
        "tcp.no-reply",
        "tcp.unreachable",
        "tcp.prohibited",
        "tls.name-mismatch",
    ),
)
def hosts_override(seen: Seen) -> Iterator[Hit]:
    """The hosts file of this machine has an entry for the name, and it comes before every name server.

    The address in it stays as it is when the service moves. An entry left over from a test or a
    migration sends this machine, and no other, to the wrong place. It is an error when it differs and
    no connection succeeds there or a server with a certificate for another name answers, a warning when
    the name servers give another address, and worth knowing in any case. For a private endpoint, a
    hosts entry with the private address is a way that Microsoft documents (Data Factory: "security and
    access control troubleshoot guide"), so there the difference is expected. Nodes of an integration
    runtime that share no domain find each other by such entries, too.

    Remove the line from the hosts file, or correct its address, unless it is there on purpose.
    """
    for name in lookups(seen):
        if name.hosts is None or not name.hosts_addresses:
            continue
        path, given = name.hosts.server or "the hosts file", few(name.hosts_addresses)
        told = next((s for s in (*name.configured, *name.added) if s.addresses), None)
        differs = told is not None and not set(name.hosts_addresses) <= set(told.addresses)
        used = name.system is None or not name.system.addresses or meet(name.system.addresses, name.hosts_addresses)
        private_link = name.private_link and all(is_private(address) for address in name.hosts_addresses)
        wrong = differs and not private_link
        severity = Severity.WARNING if wrong and used else Severity.INFO
        misleads = wrong or any(is_here(address) for address in name.hosts_addresses)
        evidence: tuple[Observation, ...] = (name.hosts,)
        if used and misleads and (all_fail(seen, name.hosts_addresses) or _is_another_server(seen)):
            severity = Severity.ERROR
            # Only now is the failed connection a symptom: it rests on the system's lookup, and folds through it.
            evidence = (name.hosts, *name.evidence, *(told.answers if told else ()))
        contrast = f", but name server {told.server} answers {few(told.addresses)}" if told and differs else ""
        effect = "" if used else "; the system does not use it"
        yield Hit(
            summary=f"{path} gives {given} for {name.name}{contrast}{effect}",
            blame="this-machine",
            remedy=_keep_or_remove(seen, name.name, path, wanted=severity is Severity.INFO),
            evidence=evidence,
            severity=severity,
            culprit=Culprit(name=path),
        )


def _keep_or_remove(seen: Seen, name: str, path: str, *, wanted: bool) -> str:
    if is_node(seen) and wanted:
        return f"None, if it is {name}'s address: this is how nodes without a common domain find each other."
    return f"Remove the line for {name} from {path}, or correct its address, unless it is there on purpose."


def _is_another_server(seen: Seen) -> bool:
    """Whether what answered shows a certificate for another name."""
    return any(fault.kind == "name-mismatch" for chain in seen.effective(ChainObservation) for fault in chain.faults)
