"""A capture judged: its observations grouped by service, each service judged by every rule, like findings merged.

Contract: pure. ``findings`` is the one way from observations to findings; it judges a probe's observations as they are
(one target), and a capture's service by service. A service is a server's address and port. One that is known by several
names is judged by each, as the names are what TLS and proxies decide by.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

import msgspec

from netdiag.model import (
    CaptureObservation,
    ChainObservation,
    ConnectionObservation,
    Culprit,
    DnsObservation,
    Finding,
    LogFileObservation,
    NodeObservation,
    Observation,
    Opening,
    ProxyObservation,
    ResetObservation,
    Route,
    ServiceObservation,
    Severity,
    Target,
    TcpObservation,
    TlsObservation,
)
from netdiag.rules import registry
from netdiag.rules.addresses import parse_address
from netdiag.rules.alignment import refined
from netdiag.rules.captured import opened
from netdiag.rules.dns_noise import usual_in_vain
from netdiag.rules.lookups import canonical
from netdiag.rules.registry import CATALOGUE
from netdiag.rules.seen import Seen
from netdiag.rules.words import counted, few

Place = tuple[str, int]
Broken = Callable[[str, Exception], None]

#: Names by which one service is judged; a content network's address can have thousands.
MAX_NAMES = 20
#: Observations named as evidence of one merged finding, the worst service's first.
MAX_EVIDENCE = 32
#: Services named in a merged summary.
_NAMED = 3
#: The sum of the services that the report has no room for.
_OTHERS: Place = ("", 0)
#: Findings that tell how connections began, so that the services' counts know of all of them.
_OPENINGS: dict[str, tuple[Opening, str]] = {
    "tcp.refused": ("refused", "were refused"),
    "tcp.no-reply": ("unanswered", "were not answered"),
    "tcp.handshake-incomplete": ("unfinished", "were not completed"),
}
#: Findings about names that say nothing when it is usual that the name is looked up in vain.
_IN_VAIN = frozenset({"dns.name-not-found", "dns.no-address"})
#: How deep observations depend on each other: chain, handshake, tunnel, connection.
_MAX_DEPTH = 6


class Subject(msgspec.Struct, frozen=True):
    """What is judged as one: a service under one of its names, a name nobody connected to, or the file itself."""

    target: Target
    observations: tuple[Observation, ...]
    route: Route = "direct"
    #: Where it is; None for a name and for the file.
    place: Place | None = None

    @property
    def label(self) -> str:
        """What a reader calls it."""
        return self.target.authority if self.place or self.target.scheme == "file" else self.target.host


def findings(seen: Seen, broken: Broken | None = None) -> tuple[Finding, ...]:
    """Judge what was seen by every rule: symptoms folded into causes, the root cause first.

    Of a capture, the finding that concerns most connections comes first among those of one severity.
    ``broken`` is told of a rule that raised, as in ``registry.findings``.
    """
    captures = seen.of(CaptureObservation)
    if not captures:
        found = registry.findings(seen, broken)
        from netdiag.rules.log_issue import by_frequency  # no capture needs it

        return by_frequency(found, seen) if seen.of(LogFileObservation) else found
    told: set[str] = set()

    def once(identifier: str, error: Exception) -> None:
        if broken is None:
            raise error
        if identifier not in told:  # one bug, one line, whatever the number of services
            told.add(identifier)
            broken(identifier, error)

    known = {canonical(o.name) for o in seen.of(DnsObservation) if o.addresses}
    judged = [_Judged(subject, f) for subject in subjects(seen) for f in _of(subject, captures, known, once)]
    return _ordered(_with_others(_merged(judged, seen), seen), seen)


def _of(
    subject: Subject, captures: Sequence[CaptureObservation], known: Collection[str], broken: Broken
) -> Iterator[Finding]:
    of_file = subject.target.scheme == "file"
    capture = None if of_file else captures[0]
    seen = Seen(subject.target, subject.route, subject.observations, capture=capture)
    for judged in registry.findings(seen, broken):
        finding = refined(judged, seen)
        if finding.id in _IN_VAIN and usual_in_vain(canonical(subject.target.host), known):
            yield msgspec.structs.replace(finding, severity=Severity.INFO)
        else:
            yield finding


def subjects(seen: Seen) -> Iterator[Subject]:
    """The file, every service under each of its names, every name without a service; in the order of observations."""
    yield Subject(seen.target, seen.of(CaptureObservation))
    by_place: dict[Place, list[Observation]] = {}
    by_name: dict[str, list[Observation]] = {}
    for observation in seen.observations:
        place = place_of(observation, seen)
        if place == _OTHERS:
            continue
        if place is not None:
            by_place.setdefault(place, []).append(observation)
        elif isinstance(observation, DnsObservation) and _of_interest(observation):
            by_name.setdefault(canonical(observation.name), []).append(observation)
    asked: set[str] = set()
    for place, observations in by_place.items():
        for subject in _of_service(place, observations, by_name, seen):
            asked.add(canonical(subject.target.host))
            yield subject
    for name, lookups in by_name.items():
        if name not in asked:
            yield Subject(Target(host=name, port=0, scheme="tcp"), tuple(lookups))


def _of_interest(lookup: DnsObservation) -> bool:
    """Whether it is for addresses, or shows a name server in trouble; that a name has no other record is no fault."""
    trouble = lookup.failure is not None and lookup.failure.kind not in ("nxdomain", "no-answer")
    return trouble or lookup.qtype in ("A", "AAAA", "A+AAAA")


def place_of(observation: Observation, seen: Seen) -> Place | None:
    """The server's address and port that an observation is about; None for a lookup and for the file."""
    for one in _line(observation, seen):
        if isinstance(one, DnsObservation | CaptureObservation):
            return None
        if isinstance(one, ServiceObservation | TcpObservation | NodeObservation):
            return one.address, one.port
        if isinstance(one, ConnectionObservation):
            return one.connection.server, one.connection.server_port
        if one.flow:
            return one.flow.server, one.flow.server_port
        if isinstance(one, TlsObservation):
            return one.address, one.port
    return None


def _line(observation: Observation, seen: Seen) -> Iterator[Observation]:
    """The observation and those that it depends on; a saved report may hold a circle."""
    current: Observation | None = observation
    for _ in range(_MAX_DEPTH):
        if current is None:
            return
        yield current
        current = seen.get(current.parent) if current.parent else None


def _of_service(
    place: Place, observations: Sequence[Observation], by_name: dict[str, list[Observation]], seen: Seen
) -> Iterator[Subject]:
    """One service under each of its names: everything under the first, handshakes and tunnels under their own too."""
    asked_for = dict(_tunnels(observations, seen))
    plain: list[Observation] = []
    handshakes: list[Observation] = []
    tunnels: dict[str, list[Observation]] = {}
    names: dict[str, None] = {}
    for observation in observations:
        if observation.route == "proxy":
            tunnels.setdefault(asked_for.get(_root(observation, seen), ""), []).append(observation)
        elif isinstance(observation, TlsObservation | ChainObservation):
            handshakes.append(observation)
        else:
            plain.append(observation)
            names |= dict.fromkeys(observation.names if isinstance(observation, ServiceObservation) else ())
    names |= dict.fromkeys(_name_of(o) for o in handshakes)
    known = [name for name in names if name][:MAX_NAMES] or [place[0]]
    for number, name in enumerate(known):
        mine = [o for o in handshakes if isinstance(o, TlsObservation) or _belongs(o, name, first=number == 0)]
        if number:  # one without a name may have been meant for any: it counts once, for the first
            mine = [o for o in mine if not isinstance(o, TlsObservation) or o.server_name]
        lookups = by_name.get(canonical(name), [])
        target = Target(host=name, port=place[1], scheme="tcp")
        yield Subject(target, (*lookups, *(plain if not number else ()), *mine), "direct", place)
    for number, (whom, through) in enumerate(tunnels.items()):
        if number >= MAX_NAMES:
            break
        host, port = _host_and_port(whom)
        yield Subject(Target(host=host, port=port, scheme="tcp"), tuple(through), "proxy", place)


def _name_of(observation: Observation) -> str:
    return observation.server_name if isinstance(observation, TlsObservation) else ""


def _belongs(observation: Observation, name: str, *, first: bool) -> bool:
    """Whether a chain was verified for this name, or for none and this is the first."""
    host = observation.host if isinstance(observation, ChainObservation) else ""
    return canonical(host) == canonical(name) or (first and parse_address(host) is not None)


def _tunnels(observations: Iterable[Observation], seen: Seen) -> Iterator[tuple[str, str]]:
    """For each connection to a proxy, what the client asked it for."""
    for observation in observations:
        if isinstance(observation, ProxyObservation):
            connection = next((o for o in _line(observation, seen) if isinstance(o, ConnectionObservation)), None)
            name = connection.connection.name if connection else ""
            yield _root(observation, seen), name


def _root(observation: Observation, seen: Seen) -> str:
    """The id of what an observation in the end depends on: its connection, where that was kept."""
    return tuple(_line(observation, seen))[-1].id


def _host_and_port(name: str) -> tuple[str, int]:
    """``host:port`` taken apart; HTTPS's port where there is none."""
    host, colon, port = name.rpartition(":")
    if colon and port.isascii() and port.isdigit() and len(port) < 6 and "]" not in port:
        return host.strip("[]"), int(port)
    return name.strip("[]"), 443


class _Judged(msgspec.Struct, frozen=True):
    """One finding about one subject."""

    subject: Subject
    finding: Finding


def _merged(judged: Sequence[_Judged], seen: Seen) -> list[Finding]:
    """One finding for all that agree in id, severity, blame and culprit, about however many services."""
    groups: dict[tuple[object, ...], list[_Judged]] = {}
    for one in judged:
        finding = one.finding
        groups.setdefault((finding.id, finding.severity, finding.blame, _device(one)), []).append(one)
    return [_one_of(group, seen) for group in groups.values()]


def _device(judged: _Judged) -> Culprit | None:
    """The culprit, unless it is the service itself: many services that fail alike are one finding."""
    culprit = judged.finding.culprit
    own = culprit is not None and judged.subject.place is not None and culprit.address == judged.subject.place[0]
    return None if own else culprit


def _one_of(group: Sequence[_Judged], seen: Seen) -> Finding:
    """The finding about the service with most connections affected, which names the others."""
    weights = {id(one): connections_of(one.finding, seen) for one in group}
    ranked = sorted(group, key=lambda one: -weights[id(one)])
    first = ranked[0].finding
    evidence = dict.fromkeys(identifier for one in ranked for identifier in one.finding.evidence)
    labels = list(dict.fromkeys(one.subject.label for one in ranked))
    same = sum(one.subject is ranked[0].subject for one in ranked)
    summary = first.summary
    if same > 1:
        summary = f"{summary.rstrip('.')} ({same} times)"
    if len(labels) > 1:
        summary = f"{summary.rstrip('.')}; likewise {few(labels[1:], _NAMED)}"
    return msgspec.structs.replace(
        first,
        summary=summary,
        evidence=tuple(evidence)[:MAX_EVIDENCE],
        culprit=first.culprit if len(labels) == 1 else _device(ranked[0]),
        folded=tuple(sorted({identifier for one in ranked for identifier in one.finding.folded})),
    )


def _with_others(found: Iterable[Finding], seen: Seen) -> Iterator[Finding]:
    """With a word on the services that were not judged one by one, in the gravest finding of each kind."""
    others = next((o for o in seen.of(ServiceObservation) if place_of(o, seen) == _OTHERS), None)
    told: set[str] = set()
    for finding in sorted(found, key=lambda finding: finding.severity.rank):
        opening, words = _OPENINGS.get(finding.id, (None, ""))
        count = opened(others, opening) if others and opening and finding.id not in told else 0
        told.add(finding.id)
        if others and count:
            more = f"; {counted(count, 'more connection')} to other servers {words}"
            finding = msgspec.structs.replace(finding, summary=finding.summary.rstrip(".") + more)
        yield finding


def connections_of(finding: Finding, seen: Seen) -> int:
    """How many connections of the capture the evidence stands for; a connection and what is in it count once."""
    weights: dict[str, int] = {}
    alike = 0
    for identifier in finding.evidence:
        observation = seen.get(identifier)
        if observation is None or isinstance(observation, ServiceObservation | CaptureObservation):
            continue
        root = _root(observation, seen)
        stands_for = observation.connections if isinstance(observation, TcpObservation) else 1
        weights[root] = max(weights.get(root, 0), stands_for)
        alike = max(alike, observation.alike if isinstance(observation, ResetObservation) else 1)
    return max(sum(weights.values()), alike, _by_opening(finding, seen))


def _by_opening(finding: Finding, seen: Seen) -> int:
    if finding.id not in _OPENINGS:
        return 0
    opening, services = _OPENINGS[finding.id][0], seen.derived(_services)
    observations = (seen.get(identifier) for identifier in finding.evidence)
    places = {place_of(observation, seen) for observation in observations if observation}
    return sum(opened(services[place], opening) for place in places if place in services)


def _services(seen: Seen) -> dict[Place | None, ServiceObservation]:
    return {(o.address, o.port): o for o in seen.of(ServiceObservation)}


def _ordered(found: Iterable[Finding], seen: Seen) -> tuple[Finding, ...]:
    """By severity, then by connections affected, then in the catalogue's order."""
    order = {identifier: number for number, identifier in enumerate(CATALOGUE)}
    return tuple(sorted(found, key=lambda f: (f.severity.rank, -connections_of(f, seen), order[f.id])))
