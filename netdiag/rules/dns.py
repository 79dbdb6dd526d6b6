"""Rules about names that get no address, or only late, and the name servers whose fault that is.

What the application gets for a name decides, what the name servers say explains it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netdiag.model import DnsObservation, Severity
from netdiag.rules.dns_words import but, culprit, names, reason, server_blame
from netdiag.rules.lookups import Cause, Lookups, Server, lookups
from netdiag.rules.node_words import have_it_named, is_node
from netdiag.rules.registry import Hit, rule
from netdiag.rules.seen import Seen
from netdiag.rules.words import few

#: A system lookup that netdiag stopped waiting for is slow, not just unlucky, from here on.
SLOW_S = 1.0


@rule("dns.name-not-found", "Name does not exist", Severity.ERROR)
def name_not_found(seen: Seen) -> Iterator[Hit]:
    """The name servers that this machine asks say that the name does not exist (NXDOMAIN, RFC 2308).

    No program on this machine can connect to it. Either the name is mistyped or was deleted, or these
    name servers know only a part of the world: an internal server without forwarding, or a private DNS
    zone (privatelink...) that is linked to the network and has no record for this name.

    Compare the name with the one the service shows (integration runtime: Nodes tab, "View Service
    URLs"). Ask another name server with --resolver: when that one knows the name, the administrator of
    the configured name servers has to forward it. For a private endpoint, create its A record in the
    private DNS zone.

    Nodes of one integration runtime call each other by their machine names, and a node that cannot
    resolve another's writes "No DNS entries exist for host ...". Put all nodes into one domain, whose
    name servers know them, or add a line for each node to the hosts file of every other.
    """
    for name in _broken(seen, "name-not-found"):
        servers = name.because("name-not-found")
        knows = _knowing(name)
        because = f"name server {names(servers)} answers NXDOMAIN" if servers else "the system finds no such name"
        here = "" if seen.capture else " here"
        summary = f"{name.name} does not exist{here}: {because}{but(knows)}"
        zone = name.private_link
        if zone:
            remedy = f"Create the A record of the private endpoint in the private DNS zone {zone}, or unlink that zone."
        elif knows and not servers:
            remedy = f"Find out why the system does not take the answer of {knows.server}: the name service switch, a "
            remedy += "policy for this domain, a VPN client or a cached failure; flush the DNS cache."
        elif knows:
            remedy = f"Have the administrator of name server {names(servers)} forward this name to a server that "
            remedy += f"knows it, as {knows.server} does."
        elif is_node(seen):
            remedy = have_it_named(seen, name.name)
        elif "." not in name.name:
            remedy = f"Use the full name, with its domain, instead of {name.name}."
        else:
            remedy = "Check the spelling; if it is right, have the administrator of the name servers make it known "
            remedy += "there (forwarding, or the missing record)."
        yield _error(name, servers, summary, remedy, knows)


@rule("dns.no-address", "Name has no address", Severity.ERROR)
def no_address(seen: Seen) -> Iterator[Hit]:
    """The name exists, but it has no address, neither IPv4 nor IPv6 (RFC 2308 section 2.2).

    No program can connect to it. The usual reasons are an alias (CNAME) that leads to a name without
    records, a name that is only a domain, or a filter that empties the answers for names that it
    blocks.

    Follow the aliases in the evidence to their end. The owner of the last name has to add an A or AAAA
    record.
    """
    for name in _broken(seen, "no-address"):
        servers = name.because("no-address")
        knows = _knowing(name)
        by = f" on name server {names(servers)}" if servers else ""
        end = next((alias for server in servers for alias in reversed(server.aliases)), "")
        through = f"; its alias leads to {end}" if end else ""
        summary = f"{name.name} exists{by} but has no IPv4 or IPv6 address{through}{but(knows)}"
        remedy = f"Have the owner of {end or name.name} add an A or AAAA record, or correct the name."
        if knows:
            remedy = f"Have the administrator of the configured name servers find out why {knows.server} has addresses "
            remedy += "for this name and they have none (a zone of their own, or a filter)."
        yield _error(name, servers, summary, remedy, knows)


@rule("dns.server-failure", "Name server fails", Severity.ERROR)
def server_failure(seen: Seen) -> Iterator[Hit]:
    """A configured name server cannot answer the question.

    It answers SERVFAIL, or something that is no DNS message, or that it neither knows the zone nor
    looks names up for others (a "lame" server). SERVFAIL means that the server could not get the answer
    itself: its forwarder does not reply, or DNSSEC validation failed. It is an error when the name
    cannot be resolved for this reason, a warning when another server still answers: then each lookup
    that meets this server is late.

    The administrator of the name server looks at its forwarders, at its way to the Internet and at
    DNSSEC. Until then, configure another name server on this machine.
    """
    yield from _server_trouble(
        seen,
        "server-failure",
        "fails",
        "Have the administrator of name server {servers} check its forwarders, its way to the Internet and DNSSEC; "
        "until then use another name server{here}.",
    )


@rule("dns.refused", "Name server refuses to answer", Severity.ERROR)
def refused(seen: Seen) -> Iterator[Hit]:
    """A configured name server refuses to answer this machine.

    It answers REFUSED (RFC 1035 section 4.1.1), or nothing listens on its port. REFUSED is policy: the
    server does not serve clients from this network. A closed port means that the address is not a name
    server, or that its service is stopped. It is an error when the name cannot be resolved for this
    reason, a warning when another server still answers.

    The administrator of the name server allows this network to ask it (and starts its service), or this
    machine is given name servers that serve it (DHCP, or the adapter's settings).
    """
    yield from _server_trouble(
        seen,
        "refused",
        "refuses",
        "Have the administrator of name server {servers} allow {client} to ask it, or configure a name server "
        "that serves this network.",
    )


@rule("dns.timeout", "Name server does not answer", Severity.ERROR)
def timeout(seen: Seen) -> Iterator[Hit]:
    """A configured name server gives no answer, or cannot be reached.

    Its machine is down, or a firewall between drops port 53 (UDP, or TCP for long answers). It is an
    error when the name cannot be resolved for this reason. It is a warning when another server still
    answers: every lookup that goes to the silent server first waits, 5 seconds on Linux
    (resolv.conf(5)) and 1 second and more on Windows, and programs seem to hang.

    Let the firewall pass UDP and TCP port 53 to the name server, or remove it from this machine's
    settings (DHCP, or the adapter's settings).
    """
    yield from _server_trouble(
        seen,
        "timeout",
        "does not answer",
        "Check that firewalls pass UDP and TCP port 53 to name server {servers} and that it is up, or remove it from "
        "{client}'s settings.",
    )
    for name in lookups(seen):
        system = name.system
        if (
            system
            and name.gave_up
            and system.took_s >= SLOW_S
            and name.works
            and not any(server.cause for server in name.configured)
        ):
            yield Hit(
                summary=f"The system had no address for {name.name} after {system.took_s:.1f} s, although name server "
                f"{names(name.configured)} answers {few(name.addresses)}",
                blame="this-machine",
                remedy="Find out whom the system asks first: the name service switch, a VPN client, a local cache, or "
                "a name server that is not in its list.",
                evidence=name.evidence,
                severity=Severity.WARNING,
            )


def _broken(seen: Seen, cause: Cause) -> Iterator[Lookups]:
    return (name for name in lookups(seen) if name.works is False and name.cause == cause)


def _error(name: Lookups, servers: Sequence[Server], summary: str, remedy: str, knows: Server | None) -> Hit:
    return Hit(
        summary=summary,
        blame="this-machine" if not servers and knows and knows.configured else name.blame,
        remedy=remedy,
        evidence=(*name.evidence, *_answers(knows)),
        culprit=culprit(servers),
    )


def _knowing(name: Lookups) -> Server | None:
    """A name server that has addresses although the application gets none: a configured one before an added one."""
    return next((server for server in (*name.configured, *name.added) if server.addresses), None)


def _server_trouble(seen: Seen, cause: Cause, verb: str, remedy: str) -> Iterator[Hit]:
    """The name cannot be resolved because of ``cause`` (error), or a server shows it while others help (warning)."""
    for name in lookups(seen):
        servers = name.because(cause)
        if name.works is False and name.cause == cause:
            yield _unresolved(seen, name, servers, cause, remedy)
        elif name.works and servers:
            reasons = "; ".join(reason(server) for server in servers[:4])
            needless = bool(name.hosts_addresses)  # the hosts file answered: this name never went to a server
            yield Hit(
                summary=f"Configured name server {names(servers)} {verb} for {name.name} ({reasons}); {name.name} "
                f"still resolves to {few(name.addresses)}"
                + ("" if needless else ", but each lookup that goes there first is late"),
                blame=server_blame(servers),
                remedy=_remedy(seen, remedy, servers),
                evidence=tuple(a for server in servers for a in server.answers if a.outcome == "failed"),
                severity=Severity.INFO if needless else Severity.WARNING,
                culprit=culprit(servers),
            )


def _unresolved(seen: Seen, name: Lookups, servers: tuple[Server, ...], cause: Cause, remedy: str) -> Hit:
    helpful = next((server for server in name.configured if server.addresses), None)
    troubled = [server for server in name.configured if server.cause]
    reasons = "; ".join(f"name server {server.server}: {reason(server)}" for server in troubled[:4])
    told = name.system.failure.detail if name.system and name.system.failure else ""
    if helpful:
        summary = f"The system cannot resolve {name.name} ({told}), although name server {helpful.server} answers "
        summary += few(helpful.addresses) + (f" ({reasons})" if reasons else "")
    else:
        summary = f"{name.name} cannot be resolved: {reasons or told or cause}"
    if helpful and not servers:
        remedy = "Find out whom the system asks instead: the name service switch, a VPN client, a local cache or "
        remedy += f"firewall; {helpful.server} itself answers."
    return Hit(
        summary=summary + but(next((server for server in name.added if server.addresses), None)),
        blame="this-machine" if helpful and not servers else name.blame,
        remedy=_remedy(seen, remedy, servers),
        evidence=(*name.evidence, *_answers(helpful)),
        culprit=culprit(servers),
    )


def _remedy(seen: Seen, template: str, servers: tuple[Server, ...]) -> str:
    if servers and server_blame(servers) == "this-machine":
        return (
            f"Check {seen.client}'s network: the interface and its cable or WLAN, the default gateway, the VPN, and "
            f"the local firewall's rules for port 53 to {names(servers)}."
        )
    here = "" if seen.capture else " here"
    return template.format(servers=names(servers) or f"of {seen.client}", client=seen.client, here=here)


def _answers(server: Server | None) -> tuple[DnsObservation, ...]:
    return server.answers if server else ()
