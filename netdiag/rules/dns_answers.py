"""Rules about names that have an address: whether the name servers agree on it, and what kind of address it is."""

from __future__ import annotations

from collections.abc import Iterator

from netdiag.model import DnsObservation, Observation, Severity, TcpObservation
from netdiag.rules.addresses import comparable, is_here, is_private, meet, near
from netdiag.rules.dns_words import culprit, kind, names, says
from netdiag.rules.lookups import Lookups, Server, all_fail, canonical, lookups
from netdiag.rules.node_words import is_node
from netdiag.rules.registry import Hit, rule
from netdiag.rules.seen import Seen
from netdiag.rules.words import few


@rule("dns.resolvers-disagree", "Name servers disagree", Severity.WARNING)
def resolvers_disagree(seen: Seen) -> Iterator[Hit]:
    """Name servers answer with different addresses for one name, or one knows it and another does not.

    Which place a program reaches then depends on whom it asks. The usual reason is a name that exists
    inside and outside (split horizon): a private endpoint's private DNS zone that is linked to one
    network only, a VPN's name server, or a filter that answers with an address of its own. Different
    addresses of one operator are no disagreement: answers that share an address, an alias or a near
    network pass as rotation. Behind a private endpoint, a name server that was added from outside is
    expected to give the public address.

    Decide which answer is right for this machine. For a private endpoint, link its private DNS zone to
    the network whose name server gives the public address, or forward the zone to Azure's resolver
    (168.63.129.16).
    """
    for name in lookups(seen):
        base = _base(name)
        if base is None:
            continue
        who, addresses, observations = base
        others = [server for server in name.servers if _disagrees(name, addresses, server)]
        if not others:
            continue
        answers = "; ".join(f"name server {server.server} {says(server)}" for server in others[:4])
        # A private endpoint has a public address for the rest of the world: a server out there is right to give it.
        expected = bool(name.private_link) and all(map(is_private, addresses)) and not any(o.configured for o in others)
        yield Hit(
            summary=f"{who} gives {few(addresses)} ({kind(addresses)}) for {name.name}, but {answers}",
            blame="dns",
            remedy=f"Decide which answer is right for {seen.client}, and have the administrators of the name servers "
            "forward the name, or link the private DNS zone, so that all of them give it.",
            severity=Severity.INFO if expected else None,
            evidence=(*observations, *(answer for server in others for answer in server.answers)),
            culprit=culprit(others),
        )


def _base(name: Lookups) -> tuple[str, tuple[str, ...], tuple[Observation, ...]] | None:
    """Whose answer the others are compared with: the application's, or the first server's when a file gave that."""
    if name.works is not True:
        return None
    from_file = bool(name.hosts_addresses) and meet(name.addresses, name.hosts_addresses)
    if name.system and name.system.outcome == "ok" and not from_file:
        return "The system", name.addresses, (name.system,)
    first = next((server for server in name.configured if server.addresses), None)
    return (f"Name server {first.server}", first.addresses, first.answers) if first else None


def _disagrees(name: Lookups, addresses: tuple[str, ...], server: Server) -> bool:
    """Whether a server's answer is another place than ``addresses``; trouble of the server is not an answer."""
    if not server.addresses:
        # A short name was completed with a search domain, and .local is multicast DNS (RFC 6762): servers know neither.
        short = "." not in name.name or name.name.endswith(".local")
        return server.cause in ("name-not-found", "no-address") and not short
    if not comparable(addresses, server.addresses):
        return False
    if any(map(is_private, addresses)) != any(map(is_private, server.addresses)):
        return not meet(addresses, server.addresses)
    if any(map(is_here, addresses)) != any(map(is_here, server.addresses)):
        return True
    known = [other for other in name.servers if other is not server and meet(other.addresses, addresses)]
    aliases = {alias for other in known for alias in other.aliases}
    if aliases & set(server.aliases):
        return False
    return not near(addresses, server.addresses)


@rule(
    "dns.private-address",
    "Name has a private or local address",
    Severity.INFO,
    # Of consequence only where the hit is an error, a sinkholed name: an info explains no error away.
    folds=("tcp.refused", "tcp.no-reply", "tcp.unreachable", "tcp.prohibited"),
)
def private_address(seen: Seen) -> Iterator[Hit]:
    """The name leads to an address that is not on the Internet, or it passes through Azure Private Link.

    A private address (RFC 1918, RFC 4193 and others) is right for a private endpoint or an internal
    server, and wrong for a public service. An alias in a privatelink zone shows that the service has a
    private endpoint: inside the linked network it ends in a private address, elsewhere in a public one.
    With public network access disabled the public one is of no use: the service then reports an invalid
    authentication key, or asks for an approved private endpoint. A loopback or unspecified address
    (127.0.0.1, 0.0.0.0) means that a filter or a DNS block list took the name out: a warning, and an
    error when nothing there accepts the connection.

    Private address: make sure that this machine has a way into that network (VPN, ExpressRoute,
    peering). Public address of a private endpoint: link the private DNS zone to this machine's network.
    Blocked name: have the administrator of the filter allow it.
    """
    for name in lookups(seen):
        host = canonical(seen.target.host)
        if name.name != host or host.endswith(".localhost") or not name.addresses:
            continue
        if name.hosts_addresses and meet(name.addresses, name.hosts_addresses):
            continue  # dns.hosts-override tells it
        here = tuple(filter(is_here, name.addresses))
        private = tuple(filter(is_private, name.addresses))
        if here:
            yield _sinkhole(seen, name, here)
        elif name.private_link or (private and not seen.capture and not is_node(seen)):
            # Of all the names in a capture, those of internal servers are nobody's concern; nodes are such.
            yield _private(seen, name, private)


def _sinkhole(seen: Seen, name: Lookups, here: tuple[str, ...]) -> Hit:
    servers = tuple(server for server in name.configured if meet(server.addresses, here))
    by = f"by name server {names(servers)}" if servers else "here"
    return Hit(
        summary=f"{name.name} is answered {by} with {few(here)}, an address of {seen.client} itself: a filter or "
        "block list has taken the name out",
        blame="dns",
        remedy=f"Have the administrator of {names(servers) or 'the DNS filter'} allow {name.name}.",
        evidence=(*_source(name), *_attempts(seen, name)),
        severity=Severity.ERROR if all_fail(seen, name.addresses) else Severity.WARNING,
        culprit=culprit(servers),
    )


def _attempts(seen: Seen, name: Lookups) -> tuple[TcpObservation, ...]:
    """The attempts that a capture shows: nothing ties them to the lookup, as a probe's are."""
    return tuple(o for o in seen.of(TcpObservation) if seen.capture and o.address in name.addresses)


def _private(seen: Seen, name: Lookups, private: tuple[str, ...]) -> Hit:
    zone = name.private_link
    if zone and private:
        summary = f"{name.name} is reached through Azure Private Link: zone {zone} gives {few(private)}"
        remedy = f"None, if {seen.client} is meant to use the private endpoint; it needs a way into that virtual "
        remedy += "network."
    elif zone:
        summary = f"{name.name} has a private endpoint (alias in {zone}), but is answered with the public "
        summary += few(name.addresses)
        remedy = f"If public network access is disabled, link the private DNS zone {zone} to the network whose name "
        remedy += f"server {seen.client} asks, or put the private address into the hosts file."
    else:
        summary = f"{name.name} has the private address {few(private)}"
        remedy = "None, if this is an internal server or a private endpoint; otherwise ask the administrator of the "
        remedy += "name servers who answers for this name."
    return Hit(summary=summary, blame="dns", remedy=remedy, evidence=_source(name))


def _source(name: Lookups) -> tuple[DnsObservation, ...]:
    """The observations that give the addresses in use."""
    if name.system and name.system.addresses:
        return (name.system, *(o for server in name.configured for o in server.answers if o.records))
    return tuple(o for server in name.configured for o in server.answers if o.addresses)
