"""What a finding of one report is about, so that findings of different reports can be brought together. Pure.

Contract: ``About`` holds only what the evidence says. Whether two findings are about the same thing is ``ties``'
answer; whether the one causes the other is not asked here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Literal

import msgspec

from netdiag.model import (
    AnyObservation,
    ChainObservation,
    ConnectionObservation,
    DnsObservation,
    Finding,
    Flow,
    HttpsObservation,
    KeyObservation,
    LogObservation,
    NodeObservation,
    Observation,
    ProxyObservation,
    Report,
    ResetObservation,
    ServiceObservation,
    TcpObservation,
    TlsObservation,
    TraceObservation,
    authority,
)
from netdiag.rules.lookups import canonical

#: How deep observations depend on each other: chain, handshake, tunnel, connection. A saved report may hold a circle.
_MAX_DEPTH = 6
#: A port of a client is used again after minutes at the earliest (RFC 9293 §3.4.1: TIME-WAIT takes 2 to 4 minutes);
#: clocks of two machines differ by seconds.
SAME_CONNECTION_S = 120.0
#: A network is changed from one day to the next: what is further apart need not have the same cause. Logs in local time
#: are off by up to 14 hours.
SAME_TROUBLE_S = 86_400.0

Strength = Literal["connection", "certificate", "name", "server"]
#: The firmest first.
STRENGTHS: tuple[Strength, ...] = ("connection", "certificate", "name", "server")


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What the evidence of one finding names. ``first`` and ``last`` are seconds since the epoch."""

    flows: frozenset[Flow] = frozenset()
    #: Addresses of clients, as flows name them; the machine that made the report.
    clients: frozenset[str] = frozenset()
    machine: str = ""
    #: Servers: address and port.
    places: frozenset[tuple[str, int]] = frozenset()
    #: Names and ports; port 0 is a name that was only looked up.
    names: frozenset[tuple[str, int]] = frozenset()
    #: SHA-256 of the leaf certificates.
    certificates: frozenset[str] = frozenset()
    first: float
    last: float

    @property
    def keys(self) -> Iterator[object]:
        """Everything that it is about; two findings of one kind that share one of them say the same."""
        yield from self.flows
        yield from (("name", *name) for name in self.names)
        yield from (("place", *place) for place in self.places)
        yield from (("certificate", sha256) for sha256 in self.certificates)

    @property
    def loose_keys(self) -> Iterator[object]:
        """The same, with names whatever the port: without a common one there is no tie."""
        yield from (("name", key[1]) if isinstance(key, tuple) and key[0] == "name" else key for key in self.keys)


class Tie(msgspec.Struct, frozen=True, kw_only=True):
    """By what two findings belong together. ``words`` name it: "the connection from ... to ..."."""

    strength: Strength
    words: str

    @property
    def rank(self) -> int:
        """0 for the firmest."""
        return STRENGTHS.index(self.strength)


def about(finding: Finding, report: Report) -> About:
    """What ``finding`` of ``report`` is about."""
    known = {observation.id: observation for observation in report.observations}
    evidence = [known[identifier] for identifier in finding.evidence if identifier in known]
    target = report.target
    live = target.scheme != "file"
    names = {(canonical(target.host), target.port)} if live and target.host else set()
    flows: set[Flow] = set()
    clients: set[str] = set()
    places: set[tuple[str, int]] = set()
    certificates: set[str] = set()
    moments: list[float] = []
    for observation in evidence:
        flow = _flow(observation, known)
        if flow is not None:
            clients.add(flow.client)
            # Questions about many names go to a name server from one port.
            flows |= set() if isinstance(observation, DnsObservation) else {flow}
        places |= set(_places(observation, flow))
        names |= {(canonical(name), port) for name, port in _names(observation, flow) if name}
        certificates |= set(_certificates(observation))
        moments += _moments(observation)
    return About(
        flows=frozenset(flows),
        clients=frozenset(clients),
        machine=canonical(report.machine.name) if report.machine else "",
        places=frozenset(places),
        names=frozenset(names),
        certificates=frozenset(certificates),
        first=min(moments, default=report.seen_at),
        last=max(moments, default=report.seen_at + max(report.took_s, 0.0)),
    )


def ties(one: About, other: About) -> Iterator[Tie]:
    """What both are about, the firmest first. Names and servers count on the same day and for the same client only."""
    apart = max(one.first, other.first) - min(one.last, other.last)
    if apart <= SAME_CONNECTION_S and (flow := _least(one.flows & other.flows)) is not None:
        client, server = authority(flow.client, flow.client_port), authority(flow.server, flow.server_port)
        yield Tie(strength="connection", words=f"the connection from {client} to {server}")
    if same := sorted(one.certificates & other.certificates):
        yield Tie(strength="certificate", words=f"the certificate with SHA-256 {same[0][:16]}…")
    if apart > SAME_TROUBLE_S or not _same_client(one, other):
        return
    if names := sorted(_same_names(one, other)):
        yield Tie(strength="name", words=authority(*names[0]) if names[0][1] else names[0][0])
    if places := sorted(one.places & other.places):
        yield Tie(strength="server", words=authority(*places[0]))


def _least(flows: frozenset[Flow]) -> Flow | None:
    return min(flows, key=lambda flow: (flow.client, flow.client_port, flow.server, flow.server_port), default=None)


def _same_names(one: About, other: About) -> Iterator[tuple[str, int]]:
    ports: dict[str, set[int]] = {}
    for name, port in other.names:
        ports.setdefault(name, set()).add(port)
    for name, port in one.names:
        found = ports.get(name, set())
        if port in found or (found and (not port or 0 in found)):
            yield name, port


def _same_client(one: About, other: About) -> bool:
    """Whether both may have been seen from one machine. Addresses of different families say nothing."""
    if one.machine and other.machine:
        return one.machine == other.machine
    for four in (True, False):
        mine = {address for address in one.clients if (":" not in address) is four}
        theirs = {address for address in other.clients if (":" not in address) is four}
        if mine and theirs:
            return bool(mine & theirs)
    return True


def _flow(observation: AnyObservation, known: dict[str, AnyObservation]) -> Flow | None:
    current: AnyObservation | None = observation
    for _ in range(_MAX_DEPTH):
        if current is None or (isinstance(current, DnsObservation) and current is not observation):
            return None
        if current.flow is not None:
            return current.flow
        current = known.get(current.parent or "")
    return None


#: What goes through a tunnel: its flow leads to the proxy, and it is about the target behind.
_BEHIND = (TlsObservation, ChainObservation, HttpsObservation)


def _places(observation: Observation, flow: Flow | None) -> Iterator[tuple[str, int]]:
    if isinstance(observation, DnsObservation) or (observation.route == "proxy" and isinstance(observation, _BEHIND)):
        return
    kinds = (TcpObservation, TlsObservation, TraceObservation, NodeObservation, ServiceObservation)
    if isinstance(observation, kinds) and observation.address:
        yield observation.address, observation.port
    if isinstance(observation, LogObservation):
        yield from ((place.address, place.port) for place in observation.places if place.address and place.port)
    if flow is not None:
        yield flow.server, flow.server_port


def _names(observation: Observation, flow: Flow | None) -> Iterator[tuple[str, int]]:
    port = flow.server_port if flow is not None else 443
    if isinstance(observation, DnsObservation):
        yield observation.name, 0
    elif isinstance(observation, TlsObservation):
        # A control handshake with another name is about the name that it is compared with.
        if observation.purpose != "other-name" and observation.server_name:
            yield observation.server_name, observation.port if observation.route == "direct" else 443
    elif isinstance(observation, ServiceObservation):
        yield from ((name, observation.port) for name in observation.names)
    elif isinstance(observation, ResetObservation):
        yield observation.server_name, port
    elif isinstance(observation, ConnectionObservation):
        yield _split(observation.connection.name, observation.connection.server_port)
    elif isinstance(observation, ChainObservation):
        yield observation.host, port if observation.route == "direct" else 443
    elif isinstance(observation, ProxyObservation):
        return
    elif isinstance(observation, LogObservation):
        yield from ((place.host, place.port or 0) for place in observation.places)


def _split(name: str, port: int) -> tuple[str, int]:
    """A name that CONNECT asked for has its port with it."""
    host, colon, number = name.rpartition(":")
    if colon and host and number.isascii() and number.isdigit() and len(number) < 6:
        return host.strip("[]"), int(number)
    return name, port


def _certificates(observation: Observation) -> Iterator[str]:
    if isinstance(observation, ChainObservation) and observation.elements:
        yield observation.elements[0].sha256.lower()
    elif isinstance(observation, TlsObservation) and observation.chain and observation.purpose != "other-name":
        yield hashlib.sha256(observation.chain[0]).hexdigest()
    elif isinstance(observation, KeyObservation) and observation.certificate:
        yield observation.certificate.lower()


def _moments(observation: Observation) -> list[float]:
    if isinstance(observation, ConnectionObservation):
        connection = observation.connection
        return [connection.started, connection.started + connection.duration_s]
    if observation.started <= 0:
        return []
    return [observation.started, observation.started + max(observation.took_s, 0.0)]
