"""Rules about TCP connections: who refused, who forbade, who stayed silent."""

from __future__ import annotations

from collections.abc import Iterator

from netdiag.model import Culprit, FailureKind, Severity, TcpObservation, authority
from netdiag.rules.registry import Hit, rule
from netdiag.rules.seen import Seen
from netdiag.rules.words import few

#: A connection that needed the kernel's first retransmission took at least its initial RTO (RFC 6298 §2: 1 s).
_INITIAL_RTO_S = 1.0


class _Attempts:
    """The attempts on the way an application takes, to the target or to the proxy in front of it."""

    def __init__(self, seen: Seen) -> None:
        every = [o for o in seen.effective(TcpObservation) if o.outcome != "not-run"]
        # A family that this machine has no route for is not a fault while another family was tried (RFC 6724 §5 sorts
        # such addresses last); applications skip it at once.
        routed = [o for o in every if not _kind(o, "no-route")]
        self.tried = routed or every
        self.connected = [o for o in self.tried if o.outcome == "ok"]
        self.severity = Severity.WARNING if self.connected else Severity.ERROR
        self.whom = "the proxy" if any(o.peer == "proxy" for o in self.tried) else seen.target.host

    def failed(self, *kinds: FailureKind) -> tuple[TcpObservation, ...]:
        """The attempts that ended in one of these ways."""
        return tuple(o for o in self.tried if _kind(o, *kinds))

    def although(self) -> str:
        """What worked all the same."""
        return f", while {_named(self.connected)} answered" if self.connected else ""


def _kind(observation: TcpObservation, *kinds: FailureKind) -> bool:
    return observation.failure is not None and observation.failure.kind in kinds


def _named(observations: tuple[TcpObservation, ...] | list[TcpObservation]) -> str:
    return few([authority(o.address, o.port) for o in observations])


def _own(observation: TcpObservation) -> bool:
    """The ICMP error came from this machine itself."""
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
    attempts = _Attempts(seen)
    local = tuple(o for o in attempts.failed("prohibited", "local-policy") if _kind(o, "local-policy") or _own(o))
    remote = tuple(o for o in attempts.failed("prohibited") if o not in local)
    if remote:
        device = remote[0].icmp.offender if remote[0].icmp else ""
        who = f"The device {device}" if device else "A device on the way"
        yield Hit(
            summary=f"{who} forbids connections to {_named(remote)} (ICMP administratively prohibited)"
            + attempts.although(),
            blame="path-device",
            remedy=f"Ask the network team that runs {device or 'the firewall'} to allow TCP port {remote[0].port} "
            f"from this machine to {attempts.whom}.",
            evidence=remote,
            severity=attempts.severity,
            culprit=Culprit(address=device),
        )
    if local:
        yield Hit(
            summary=f"This machine itself forbids connections to {_named(local)}" + attempts.although(),
            blame="this-machine",
            remedy=f"Allow outbound TCP port {local[0].port} in this machine's firewall or endpoint protection.",
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
    """
    attempts = _Attempts(seen)
    found = attempts.failed("refused", "reset")
    if found:
        yield Hit(
            summary=f"{_named(found)} {'refuses' if len(found) == 1 else 'refuse'} connections (reset)"
            + attempts.although(),
            blame="server",
            remedy=f"Check that the service listens on port {found[0].port} of {found[0].address}; if it does, "
            "ask the network team which firewall rejects the connection.",
            evidence=found,
            severity=attempts.severity,
            culprit=Culprit(address=found[0].address),
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
    attempts = _Attempts(seen)
    found = attempts.failed("timeout")
    if found:
        waited = max(o.took_s for o in found)
        resent = max((o.info.retransmits or 0 for o in found if o.info), default=0)
        syns = f", {resent + 1} SYNs unanswered" if resent else ""
        yield Hit(
            summary=f"{_named(found)} {'does' if len(found) == 1 else 'do'} not answer at all "
            f"(waited {waited:.1f} s{syns})" + attempts.although(),
            blame="path-device",
            remedy=f"Ask the network team to allow TCP port {found[0].port} from this machine to "
            f"{_named(found)}, and to look for dropped packets there; a silent drop is a firewall's."
            if not attempts.connected
            else f"Have the path to {_named(found)} repaired, or its address removed from DNS: applications that try "
            "it first wait for it each time.",
            evidence=found,
            severity=attempts.severity,
        )


@rule("tcp.unreachable", "There is no way to the address", Severity.ERROR)
def unreachable(seen: Seen) -> Iterator[Hit]:
    """The network said that it has no way to this address, or this machine's own routing table has none.

    A router answers "host unreachable" or "network unreachable" (RFC 792, RFC 4443 §3.1) and signs
    with its address. When the address is in this machine's own network, the machine itself says so
    after nobody answered its ARP or neighbour discovery: the host is down, or in another VLAN.
    Without any route, no packet leaves: a missing default gateway or a VPN that is not connected.

    What to do: give the router's address to the network team. Without a route, check gateway, VPN
    and interface here.
    """
    attempts = _Attempts(seen)
    without_route = attempts.failed("no-route")
    if without_route:
        yield Hit(
            summary=f"This machine has no route to {_named(without_route)}",
            blame="this-machine",
            remedy="Check this machine's network interface, default gateway and VPN.",
            evidence=without_route,
            severity=attempts.severity,
        )
    for own in (True, False):
        found = tuple(o for o in attempts.failed("unreachable") if _own(o) is own)
        if found:
            yield _unreachable(found, attempts, own=own)


def _unreachable(found: tuple[TcpObservation, ...], attempts: _Attempts, *, own: bool) -> Hit:
    address = found[0].address
    router = found[0].icmp.offender if found[0].icmp and not own else ""
    if own:
        who = "This machine got no answer on its own network for"
        remedy = f"Check that {address} is up and in the same network segment as this machine."
    else:
        who = f"The router {router} has no way to" if router else "The network has no way to"
        remedy = f"Ask the network team for the route to {address}" + (f" on the router {router}." if router else ".")
    return Hit(
        summary=f"{who} {_named(found)} (unreachable)" + attempts.although(),
        blame="local-network" if own else "path-device",
        remedy=remedy,
        evidence=found,
        severity=attempts.severity,
        culprit=Culprit(address=router) if router else None,
    )


@rule("tcp.retransmissions", "Packets were lost while connecting", Severity.WARNING)
def retransmissions(seen: Seen) -> Iterator[Hit]:
    """The connection came about, but only after its first packet had been sent again.

    The kernel counts what it had to repeat, and repeats a SYN after a second (RFC 6298 §2). A
    single lost packet is nothing; when it happens at every run, the path loses packets, or a device
    delays the first packet of a connection.

    What to do: run netdiag again. If it stays, ask the network team to look for loss between this
    machine and the target.
    """
    lossy = tuple(
        o for o in _Attempts(seen).connected if o.info and (o.info.retransmits or 0) > 0 and o.took_s >= _INITIAL_RTO_S
    )
    if lossy:
        yield Hit(
            summary=f"The connection to {_named(lossy)} needed {lossy[0].took_s:.1f} s, because packets were lost "
            f"({lossy[0].info.retransmits if lossy[0].info else 0} sent again)",
            blame="unknown",
            remedy="Run the check again; if it stays, ask the network team to look for packet loss on the path.",
            evidence=lossy,
        )
