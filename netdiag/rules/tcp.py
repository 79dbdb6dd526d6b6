"""Rules about TCP connections: who refused, who forbade, who stayed silent."""

from __future__ import annotations

from collections.abc import Iterator

from netdiag.model import Culprit, FailureKind, Opening, Severity, TcpObservation, WireObservation, authority
from netdiag.rules.captured import (
    began_near_the_end,
    one_direction,
    share,
    succeeded,
    syn_series,
    without_packets,
)
from netdiag.rules.initial_ttl import ordinal
from netdiag.rules.loss import captured_retransmissions
from netdiag.rules.node_words import have_it_let_in, have_it_listen, is_node
from netdiag.rules.registry import Hit, rule
from netdiag.rules.reset_trace import doubtful_refusal, refusal
from netdiag.rules.seen import Seen
from netdiag.rules.traces import Turn, leaves, named, no_neighbour, turn
from netdiag.rules.words import few

#: A connection that needed the kernel's first retransmission took at least its initial RTO (RFC 6298 §2: 1 s).
_INITIAL_RTO_S = 1.0


class _Attempts:
    """The attempts on the way an application takes, to the target or to the proxy in front of it."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        every = [o for o in seen.effective(TcpObservation) if o.outcome != "not-run"]
        # A family that this machine has no route for is not a fault while another family was tried (RFC 6724 §5 sorts
        # such addresses last); applications skip it at once.
        routed = [o for o in every if not _kind(o, "no-route")]
        self.tried = routed or every
        self.connected = [o for o in self.tried if o.outcome == "ok"]
        self.severity = Severity.WARNING if self.connected or succeeded(seen) else Severity.ERROR
        self.whom = "the proxy" if any(o.peer == "proxy" for o in self.tried) else seen.target.host

    def failed(self, *kinds: FailureKind) -> tuple[TcpObservation, ...]:
        """The attempts that ended in one of these ways."""
        return tuple(o for o in self.tried if _kind(o, *kinds))

    def kept_back(self, found: tuple[TcpObservation, ...]) -> tuple[TcpObservation, ...]:
        """Those of which no packet has left this machine, by the capture that it made of itself."""
        unseen = {flow for wire in self._seen.of(WireObservation) for flow in wire.unseen}
        return tuple(o for o in found if o.flow in unseen)

    def although(self, found: tuple[TcpObservation, ...]) -> str:
        """What worked all the same; in a capture, how many of the connections ``found`` stands for."""
        if self._seen.capture:
            return f", {share(self._seen, sum(o.connections for o in found) + self._like(found))}"
        return f", while {_named(self.connected)} answered" if self.connected else ""

    def _like(self, found: tuple[TcpObservation, ...]) -> int:
        """Connections of a capture whose packets were not kept; counted where all that were kept ended as ``found``."""
        opening: Opening = "refused" if _refused(found[0]) else "unanswered"
        alike = sum(o.connections for o in self.tried if o.failure and _refused(o) == _refused(found[0]))
        counted = sum(o.connections for o in found)
        return without_packets(self._seen, opening, alike) if alike == counted else 0


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def _kind(observation: TcpObservation, *kinds: FailureKind) -> bool:
    return observation.failure is not None and observation.failure.kind in kinds


def _named(observations: tuple[TcpObservation, ...] | list[TcpObservation]) -> str:
    return few(list(dict.fromkeys(authority(o.address, o.port) for o in observations)))


def _places(observations: tuple[TcpObservation, ...]) -> int:
    return len({(o.address, o.port) for o in observations})


def _refused(observation: TcpObservation) -> bool:
    return _kind(observation, "refused", "reset")


def _own(observation: TcpObservation) -> bool:
    """The ICMP error came from the machine that wanted to connect."""
    return bool(observation.icmp and observation.flow and observation.icmp.offender == observation.flow.client)


@rule("tcp.prohibited", "A filter forbids the connection", Severity.ERROR)
def prohibited(seen: Seen) -> Iterator[Hit]:
    """A device on the way answered "administratively prohibited", or this machine itself refused to send.

    A router or firewall that rejects politely sends the ICMP error "communication administratively
    prohibited" (RFC 1812 §5.2.7.1 code 13; RFC 4443 §3.1 code 1 for IPv6), and that message carries
    the address of the device that sent it. It is a rule made on purpose, not an outage: no retry
    will help. When the sender is this machine, or the operating system answers "permission denied"
    before a packet leaves, a local firewall, an endpoint-protection agent or a security policy
    forbids it.

    What to do: take the device's address to whoever runs it and ask for an outbound rule for the
    target's name (or addresses) and port. On this machine, look at the outbound firewall rules.
    """
    attempts = seen.derived(_Attempts)
    local = tuple(o for o in attempts.failed("prohibited", "local-policy") if _kind(o, "local-policy") or _own(o))
    remote = tuple(o for o in attempts.failed("prohibited") if o not in local)
    if remote:
        device = remote[0].icmp.offender if remote[0].icmp else ""
        culprit = named(seen, remote[0].address, remote[0].port, device)
        at = f", the {ordinal(culprit.hop)} hop," if culprit.hop else ""
        who = f"The device {device}{at}" if device else "A device on the way"
        itself = device == remote[0].address
        yield Hit(
            summary=f"{'The server itself' if itself else who} forbids connections to {_named(remote)} (ICMP "
            "administratively prohibited)" + attempts.although(remote),
            blame="server" if itself else "path-device",
            remedy=f"Ask the network team that runs {device or 'the firewall'} to allow TCP port {remote[0].port} "
            f"from {seen.client} to {attempts.whom}.",
            evidence=remote,
            severity=attempts.severity,
            culprit=culprit,
        )
    if local:
        yield Hit(
            summary=f"{_capital(seen.client)} itself forbids connections to {_named(local)}" + attempts.although(local),
            blame="this-machine",
            remedy=f"Allow outbound TCP port {local[0].port} in the firewall or endpoint protection of {seen.client}.",
            evidence=local,
            severity=attempts.severity,
        )


@rule("tcp.refused", "The port refuses connections", Severity.ERROR)
def refused(seen: Seen) -> Iterator[Hit]:
    """The connection attempt was answered with a reset: the address is alive, but refuses this port.

    A host sends a reset when no program listens on the port (RFC 9293 §3.10.7.1); Windows reports
    it as error 10061, "actively refused". A firewall that rejects with a reset looks the same from
    here.

    What to do: check on the server that the service runs and listens on this port and address. If
    it does, a firewall in between sends the reset: ask the network team. Check also that name and
    port are the ones you meant.

    Between nodes of an integration runtime ("Could not connect to net.tcp://... TCP error code 10061"),
    the usual reason is that remote access from the intranet was never enabled on the other node: it
    is off by default. Enable it in its Configuration Manager (Settings), or with dmgcmd
    -EnableRemoteAccess "8060" and, for encryption, the thumbprint of its certificate.
    """
    attempts = seen.derived(_Attempts)
    # A probe that meets ECONNRESET was connected, if only for a moment.
    every = attempts.failed("refused", "reset") if seen.capture else attempts.failed("refused")
    here = attempts.kept_back(every)
    if here:
        yield Hit(
            summary=f"{_capital(seen.client)} itself refuses connections to {_named(here)}: no packet of the attempt "
            "has left it" + attempts.although(here),
            blame="this-machine",
            remedy=f"Allow outbound TCP port {here[0].port} in the firewall or endpoint protection of {seen.client}, "
            "or end the local program that takes these connections over.",
            evidence=(*here, *seen.of(WireObservation)),
            severity=attempts.severity,
        )
    found = tuple(o for o in every if o not in here)
    if found:
        judged, doubt = refusal(seen, found[0]), doubtful_refusal(seen, found[0])
        told = judged.origin == "server" if judged else not doubt
        yield Hit(
            summary=f"{_named(found)} {'refuses' if _places(found) == 1 else 'refuse'} connections (reset)"
            + (f"; {doubt}" if doubt and not told else "")
            + attempts.although(found),
            blame="server" if told else "unknown",
            remedy=_have_it_listen(seen, found[0]),
            evidence=found,
            severity=attempts.severity,
            culprit=Culprit(address=found[0].address) if told else None,
            details=judged.details if judged else (),
        )


@rule("tcp.no-reply", "Nothing answers the connection attempt", Severity.ERROR)
def no_reply(seen: Seen) -> Iterator[Hit]:
    """No packet came back at all: neither an acceptance nor a refusal.

    Silence is what a firewall that drops packets looks like; a host that is switched off, or a
    return path that is broken, looks the same. A live host without the service would have refused.
    Applications wait long here (21 s on Windows, over two minutes on Linux) before they report
    error 10060 or ETIMEDOUT.

    When another address of the same name answered, the silent one still costs applications that try
    addresses one after the other that wait: a dead IPv6 path is the usual case.

    What to do: ask the network team to allow the target's address and port outbound, and to look
    for dropped SYN packets from this machine in the firewall's log. For a dead IPv6 path, repair it
    or stop publishing IPv6 addresses.
    """
    attempts = seen.derived(_Attempts)
    every = tuple(o for o in attempts.failed("timeout") if not began_near_the_end(seen, o))
    here = attempts.kept_back(every)
    if here:
        yield _kept_back(seen, here, attempts)
    found = tuple(o for o in every if o not in here)
    if found and not one_direction(seen):
        waited = max(o.took_s for o in found)
        resent = max((o.info.retransmits or 0 for o in found if o.info), default=0)
        syns = (syn_series(seen) if seen.capture else "") or (f", {resent + 1} SYNs unanswered" if resent else "")
        path = _last_answers(seen, found)
        yield Hit(
            summary=f"{_named(found)} {'does' if _places(found) == 1 else 'do'} not answer at all "
            f"(waited {waited:.1f} s{syns}){_how_far(path)}" + attempts.although(found),
            blame="unknown" if path and path.actor != "device" else "path-device",
            remedy=_have_it_allowed(seen, found, path)
            if not attempts.connected
            else f"Have the path to {_named(found)} repaired, or its address removed from DNS: applications that try "
            "it first wait for it each time.",
            evidence=(*found, *(path.evidence if path else ())),
            severity=attempts.severity,
            culprit=path.culprit if path and path.actor == "device" else None,
        )


def _have_it_listen(seen: Seen, refused: TcpObservation) -> str:
    else_ask = "if it does, ask the network team which firewall rejects the connection."
    if is_node(seen):
        return f"{have_it_listen(seen)} Else {else_ask.removeprefix('if it does, ')}"
    return f"Check that the service listens on port {refused.port} of {refused.address}; {else_ask}"


def _kept_back(seen: Seen, found: tuple[TcpObservation, ...], attempts: _Attempts) -> Hit:
    """No SYN has left this machine: where other packets to that host did, a filter; else it may lack a neighbour."""
    if any(no_neighbour(seen, o.address, o.port) for o in found):
        return _unreachable(seen, found, attempts, own=True)
    others_leave = any(leaves(seen, o.address, o.port) for o in found)
    allow = f"Allow outbound TCP port {found[0].port} in the firewall or endpoint protection of {seen.client}"
    who = f"{_capital(seen.client)} itself drops its packets to {_named(found)}: no SYN has left it"
    if not others_leave:
        who = (
            f"No packet to {_named(found)} has left {seen.client}: nobody on its own network answers for that address "
        )
        who += f"or for the gateway (ARP, neighbour discovery), or a filter of {seen.client} drops them"
        allow = f"Check that {found[0].address}, or the gateway on the way to it, is up and in the same network; if it "
        allow += f"is, allow outbound TCP port {found[0].port} in the firewall of {seen.client}"
    return Hit(
        summary=who + attempts.although(found),
        blame="this-machine" if others_leave else "unknown",
        remedy=f"{allow}.",
        evidence=(*found, *seen.of(WireObservation)),
        severity=attempts.severity,
    )


def _last_answers(seen: Seen, silent: tuple[TcpObservation, ...]) -> Turn | None:
    """How far the SYNs to one of the silent addresses get, if a trace tells."""
    turns = (turn(seen, o.address, o.port, "syn") for o in silent)
    return next((found for found in turns if found and found.answer == "none"), None)


def _how_far(path: Turn | None) -> str:
    if path is None:
        return ""
    if not path.hop:
        return "; not even the first router answers a SYN whose TTL ends there"
    words = f"; the last hop that answers is the {ordinal(path.hop)}, {path.address or 'of unknown address'}"
    return f"{words}, while {path.how_far}" if path.how_far else words


def _have_it_allowed(seen: Seen, silent: tuple[TcpObservation, ...], path: Turn | None) -> str:
    asked = f"allow TCP port {silent[0].port} from {seen.client} to {_named(silent)}"
    let_in = f" {have_it_let_in(seen)}" if is_node(seen) else ""
    if path is None or not path.hop:
        return (
            f"Ask the network team to {asked}, and to look for dropped packets there; a silent drop is a firewall's."
            f"{let_in}"
        )
    if path.actor == "at-server":
        return (
            f"Ask who runs {silent[0].address}, and who runs {path.place} right in front of it, whose firewall drops "
            f"the SYNs, and to {asked}.{let_in}"
        )
    return (
        f"Ask who runs {path.place} whether that device, or the next one behind it, drops the SYNs, and to {asked}; a "
        f"silent drop is a firewall's.{let_in}"
    )


@rule("tcp.unreachable", "There is no way to the address", Severity.ERROR)
def unreachable(seen: Seen) -> Iterator[Hit]:
    """The network said that it has no way to this address, or this machine's own routing table has none.

    A router answers "host unreachable" or "network unreachable" (RFC 792, RFC 4443 §3.1) and signs
    with its address. When the address is in this machine's own network, the machine itself says so
    after nobody answered its ARP or neighbour discovery: the host is down, or in another VLAN.
    Without any route, no packet leaves: a missing default gateway or a VPN that is not connected.

    A router that answers "time exceeded in transit" has thrown the packet away because it had crossed
    as many routers as its TTL allows. No path is that long: routers send it in a circle, each taking
    the other for the way to the target. (A traceroute in a capture causes the same answer on purpose.)

    What to do: give the router's address to the network team. Without a route, check gateway, VPN
    and interface here.
    """
    attempts = seen.derived(_Attempts)
    without_route = attempts.failed("no-route")
    if without_route:
        yield Hit(
            summary=f"{_capital(seen.client)} has no route to {_named(without_route)}",
            blame="this-machine",
            remedy="Check this machine's network interface, default gateway and VPN.",
            evidence=without_route,
            severity=attempts.severity,
        )
    looping = tuple(o for o in attempts.failed("unreachable") if _died(o) and not _own(o))
    if looping:
        yield _circling(looping, attempts)
    for own in (True, False):
        found = tuple(o for o in attempts.failed("unreachable") if _own(o) is own and o not in looping)
        if found:
            yield _unreachable(seen, found, attempts, own=own)


#: Time exceeded in transit, by version: type and code (RFC 792, RFC 4443 §3.3).
_TIME_EXCEEDED = {4: (11, 0), 6: (3, 0)}


def _died(observation: TcpObservation) -> bool:
    """Its packets crossed as many routers as their TTL allows."""
    icmp = observation.icmp
    return icmp is not None and (icmp.type, icmp.code) == _TIME_EXCEEDED[icmp.version]


def _circling(found: tuple[TcpObservation, ...], attempts: _Attempts) -> Hit:
    router = found[0].icmp.offender if found[0].icmp else ""
    return Hit(
        summary=f"Packets to {_named(found)} never arrive: they circle among routers until their TTL is used up, or "
        f"have too far to travel; {router} threw them away (time exceeded)" + attempts.although(found),
        blame="path-device",
        remedy=f"Ask the network team to look for a routing loop on the way to {found[0].address}: {router} and its "
        "neighbours send the packets to each other (traceroute shows the same routers again and again).",
        evidence=found,
        severity=attempts.severity,
        culprit=Culprit(address=router),
    )


def _unreachable(seen: Seen, found: tuple[TcpObservation, ...], attempts: _Attempts, *, own: bool) -> Hit:
    address = found[0].address
    router = found[0].icmp.offender if found[0].icmp and not own else ""
    if own:
        who = f"{_capital(seen.client)} got no answer on its own network for"
        remedy = f"Check that {address}, or the gateway on the way to it, is up and in the same network segment as "
        remedy += f"{seen.client}."
    else:
        who = f"The router {router} has no way to" if router else "The network has no way to"
        remedy = f"Ask the network team for the route to {address}" + (f" on the router {router}." if router else ".")
    return Hit(
        summary=f"{who} {_named(found)} (unreachable)" + attempts.although(found),
        blame="local-network" if own else "path-device",
        remedy=remedy,
        evidence=found,
        severity=attempts.severity,
        culprit=named(seen, address, found[0].port, router) if router else None,
    )


@rule("tcp.retransmissions", "Packets were lost", Severity.WARNING)
def retransmissions(seen: Seen) -> Iterator[Hit]:
    """Packets had to be sent again: the first of a connection, or many of those in a capture.

    A probe sees it when the connection came about only after its SYN had been repeated, which takes
    the kernel a second (RFC 6298 §2). A single lost packet is nothing; when it happens at every run,
    the path loses packets, or a device delays the first packet of a connection.

    In a capture, netdiag compares what was sent again with everything sent, and speaks up from 2 %
    on (and two packets): at a round trip of 50 ms, TCP then carries no more than about 2 Mbit/s,
    whatever the line could do (Mathis and others, 1997), and each loss costs an answer at least one
    round trip. SYN and FIN count too. The side that sends again is the side whose packets, or whose
    acknowledgements, get lost on their way.

    What to do: run netdiag again, or capture longer. If it stays, ask the network team to look for
    loss between this machine and the target; captures at both ends show on which section it is.
    """
    if seen.capture:
        yield from captured_retransmissions(seen)
        return
    lossy = tuple(
        o
        for o in seen.derived(_Attempts).connected
        if o.info and (o.info.retransmits or 0) > 0 and o.took_s >= _INITIAL_RTO_S
    )
    if lossy:
        yield Hit(
            summary=f"The connection to {_named(lossy)} needed {lossy[0].took_s:.1f} s, because packets were lost "
            f"({lossy[0].info.retransmits if lossy[0].info else 0} sent again)",
            blame="unknown",
            remedy="Run the check again; if it stays, ask the network team to look for packet loss on the path.",
            evidence=lossy,
        )
