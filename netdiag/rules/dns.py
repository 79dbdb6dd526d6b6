"""Rules about names: what the application gets for a name decides, what the name servers say explains it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netdiag.model import ChainObservation, Culprit, DnsObservation, Observation, Severity, TcpObservation
from netdiag.rules.addresses import comparable, is_here, is_private, meet, near, parse_address
from netdiag.rules.dns_words import but, culprit, join, kind, names, reason, says, server_blame
from netdiag.rules.lookups import Cause, Lookups, Server, canonical, lookups
from netdiag.rules.registry import Hit, rule
from netdiag.rules.seen import Seen

#: A system lookup that netdiag stopped waiting for is slow, not just unlucky, from here on.
SLOW_S = 1.0


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
        problem = f"resolves to {join(foreign)}, which is not this machine" if foreign else "does not resolve"
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
    access control troubleshoot guide"), so there the difference is expected.

    Remove the line from the hosts file, or correct its address, unless it is there on purpose.
    """
    for name in lookups(seen):
        if name.hosts is None or not name.hosts_addresses:
            continue
        path, given = name.hosts.server or "the hosts file", join(name.hosts_addresses)
        told = next((s for s in (*name.configured, *name.added) if s.addresses), None)
        differs = told is not None and not set(name.hosts_addresses) <= set(told.addresses)
        used = name.system is None or not name.system.addresses or meet(name.system.addresses, name.hosts_addresses)
        private_link = _private_link(name) and all(is_private(address) for address in name.hosts_addresses)
        wrong = differs and not private_link
        severity = Severity.WARNING if wrong and used else Severity.INFO
        misleads = wrong or any(is_here(address) for address in name.hosts_addresses)
        evidence: tuple[Observation, ...] = (name.hosts,)
        if used and misleads and (_all_fail(seen, name.hosts_addresses) or _is_another_server(seen)):
            severity = Severity.ERROR
            # Only now is the failed connection a symptom: it rests on the system's lookup, and folds through it.
            evidence = (name.hosts, *name.evidence, *_answers(told))
        contrast = f", but name server {told.server} answers {join(told.addresses)}" if told and differs else ""
        effect = "" if used else "; the system does not use it"
        yield Hit(
            summary=f"{path} gives {given} for {name.name}{contrast}{effect}",
            blame="this-machine",
            remedy=f"Remove the line for {name.name} from {path}, or correct its address, unless it is there on "
            "purpose.",
            evidence=evidence,
            severity=severity,
            culprit=Culprit(name=path),
        )


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
    """
    for name in _broken(seen, "name-not-found"):
        servers = name.because("name-not-found")
        knows = _knowing(name)
        because = f"name server {names(servers)} answers NXDOMAIN" if servers else "the system finds no such name"
        summary = f"{name.name} does not exist here: {because}{but(knows)}"
        zone = _private_link(name)
        if zone:
            remedy = f"Create the A record of the private endpoint in the private DNS zone {zone}, or unlink that zone."
        elif knows and not servers:
            remedy = f"Find out why the system does not take the answer of {knows.server}: the name service switch, a "
            remedy += "policy for this domain, a VPN client or a cached failure; flush the DNS cache."
        elif knows:
            remedy = f"Have the administrator of name server {names(servers)} forward this name to a server that "
            remedy += f"knows it, as {knows.server} does."
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
        end = next((alias for server in servers for alias in reversed(_aliases(server))), "")
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
        "until then use another name server here.",
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
        "Have the administrator of name server {servers} allow this machine to ask it, or configure a name server "
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
        "Check that name server {servers} is up and that firewalls pass UDP and TCP port 53 to it, or remove it from "
        "this machine's settings.",
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
                f"{names(name.configured)} answers {join(name.addresses)}",
                blame="this-machine",
                remedy="Find out whom the system asks first: the name service switch, a VPN client, a local cache, or "
                "a name server that is not in its list.",
                evidence=name.evidence,
                severity=Severity.WARNING,
            )


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
        expected = (
            bool(_private_link(name)) and all(map(is_private, addresses)) and not any(o.configured for o in others)
        )
        yield Hit(
            summary=f"{who} gives {join(addresses)} ({kind(addresses)}) for {name.name}, but {answers}",
            blame="dns",
            remedy="Decide which answer is right for this machine, and have the administrators of the name servers "
            "forward the name, or link the private DNS zone, so that all of them give it.",
            severity=Severity.INFO if expected else None,
            evidence=(*observations, *(answer for server in others for answer in server.answers)),
            culprit=culprit(others),
        )


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
        elif private or _private_link(name):
            yield _private(name, private)


def _sinkhole(seen: Seen, name: Lookups, here: tuple[str, ...]) -> Hit:
    servers = tuple(server for server in name.configured if meet(server.addresses, here))
    by = f"by name server {names(servers)}" if servers else "here"
    return Hit(
        summary=f"{name.name} is answered {by} with {join(here)}, an address of this machine itself: a filter or "
        "block list has taken the name out",
        blame="dns",
        remedy=f"Have the administrator of {names(servers) or 'the DNS filter'} allow {name.name}.",
        evidence=_source(name),
        severity=Severity.ERROR if _all_fail(seen, name.addresses) else Severity.WARNING,
        culprit=culprit(servers),
    )


def _private(name: Lookups, private: tuple[str, ...]) -> Hit:
    zone = _private_link(name)
    if zone and private:
        summary = f"{name.name} is reached through Azure Private Link: zone {zone} gives {join(private)}"
        remedy = "None, if this machine is meant to use the private endpoint; it needs a way into that virtual network."
    elif zone:
        summary = f"{name.name} has a private endpoint (alias in {zone}), but is answered with the public "
        summary += join(name.addresses)
        remedy = f"If public network access is disabled, link the private DNS zone {zone} to the network whose name "
        remedy += "server this machine asks, or put the private address into the hosts file."
    else:
        summary = f"{name.name} has the private address {join(private)}"
        remedy = "None, if this is an internal server or a private endpoint; otherwise ask the administrator of the "
        remedy += "name servers who answers for this name."
    return Hit(summary=summary, blame="dns", remedy=remedy, evidence=_source(name))


# --- what the rules about failing names and servers share


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


def _server_trouble(seen: Seen, cause: Cause, verb: str, remedy: str) -> Iterator[Hit]:
    """The name cannot be resolved because of ``cause`` (error), or a server shows it while others help (warning)."""
    for name in lookups(seen):
        servers = name.because(cause)
        if name.works is False and name.cause == cause:
            yield _unresolved(name, servers, cause, remedy)
        elif name.works and servers:
            reasons = "; ".join(reason(server) for server in servers[:4])
            needless = bool(name.hosts_addresses)  # the hosts file answered: this name never went to a server
            yield Hit(
                summary=f"Configured name server {names(servers)} {verb} for {name.name} ({reasons}); {name.name} "
                f"still resolves to {join(name.addresses)}"
                + ("" if needless else ", but each lookup that goes there first is late"),
                blame=server_blame(servers),
                remedy=_remedy(remedy, servers),
                evidence=tuple(a for server in servers for a in server.answers if a.outcome == "failed"),
                severity=Severity.INFO if needless else Severity.WARNING,
                culprit=culprit(servers),
            )


def _unresolved(name: Lookups, servers: tuple[Server, ...], cause: Cause, remedy: str) -> Hit:
    helpful = next((server for server in name.configured if server.addresses), None)
    troubled = [server for server in name.configured if server.cause]
    reasons = "; ".join(f"name server {server.server}: {reason(server)}" for server in troubled[:4])
    told = name.system.failure.detail if name.system and name.system.failure else ""
    if helpful:
        summary = f"The system cannot resolve {name.name} ({told}), although name server {helpful.server} answers "
        summary += join(helpful.addresses) + (f" ({reasons})" if reasons else "")
    else:
        summary = f"{name.name} cannot be resolved: {reasons or told or cause}"
    if helpful and not servers:
        remedy = "Find out whom the system asks instead: the name service switch, a VPN client, a local cache or "
        remedy += f"firewall; {helpful.server} itself answers."
    return Hit(
        summary=summary + but(next((server for server in name.added if server.addresses), None)),
        blame="this-machine" if helpful and not servers else name.blame,
        remedy=_remedy(remedy, servers),
        evidence=(*name.evidence, *_answers(helpful)),
        culprit=culprit(servers),
    )


def _remedy(template: str, servers: tuple[Server, ...]) -> str:
    if servers and server_blame(servers) == "this-machine":
        return (
            "Check this machine's network: the interface and its cable or WLAN, the default gateway, the VPN, and "
            f"the local firewall's rules for port 53 to {names(servers)}."
        )
    return template.format(servers=names(servers) or "of this machine")


# --- comparing answers


def _base(name: Lookups) -> tuple[str, tuple[str, ...], tuple[Observation, ...]] | None:
    """Whose answer the others are compared with: the application's, or the first server's when a file gave that."""
    if name.works is not True:
        return None
    from_file = bool(name.hosts_addresses) and meet(name.addresses, name.hosts_addresses)
    if name.system and name.system.outcome == "ok" and not from_file:
        return "The system", name.addresses, (name.system,)
    first = next((server for server in name.configured if server.addresses), None)
    return (f"Name server {first.server}", first.addresses, _answers(first)) if first else None


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
    aliases = {alias for other in known for alias in _aliases(other)}
    if aliases & set(_aliases(server)):
        return False
    return not near(addresses, server.addresses)


def _aliases(server: Server) -> tuple[str, ...]:
    return tuple(dict.fromkeys(canonical(record.value) for record in server.records if record.type == "CNAME"))


def _private_link(name: Lookups) -> str:
    """The private DNS zone that the aliases of a name pass through; empty for none."""
    for server in name.servers:
        for alias in _aliases(server):
            labels = alias.split(".")
            if "privatelink" in labels:
                return ".".join(labels[labels.index("privatelink") :])
    return ""


def _all_fail(seen: Seen, addresses: Sequence[str]) -> bool:
    """Whether connections to the addresses were tried on the effective route, and none succeeded."""
    tried = [tcp for tcp in seen.effective(TcpObservation) if tcp.outcome != "not-run"]
    mine = [tcp for tcp in tried if tcp.address in addresses]
    return bool(mine) and all(tcp.outcome == "failed" for tcp in tried)


def _is_another_server(seen: Seen) -> bool:
    """Whether what answered shows a certificate for another name."""
    return any(fault.kind == "name-mismatch" for chain in seen.effective(ChainObservation) for fault in chain.faults)


def _knowing(name: Lookups) -> Server | None:
    """A name server that has addresses although the application gets none: a configured one before an added one."""
    return next((server for server in (*name.configured, *name.added) if server.addresses), None)


def _answers(server: Server | None) -> tuple[DnsObservation, ...]:
    return server.answers if server else ()


def _source(name: Lookups) -> tuple[DnsObservation, ...]:
    """The observations that give the addresses in use."""
    if name.system and name.system.addresses:
        return (name.system, *(o for server in name.configured for o in server.answers if o.records))
    return tuple(o for server in name.configured for o in server.answers if o.addresses)
