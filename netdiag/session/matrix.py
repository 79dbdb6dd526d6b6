"""Who reaches whom: the reports that ``netdiag node`` wrote on several nodes, put together.

Contract: pure. Reports are judged by today's rules, and each gives one direction. A node is known by its names and
addresses: those of the machine that a report was made on, and those that others asked for.
"""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

from netdiag.model import (
    DnsObservation,
    HostObservation,
    LabelledReport,
    MatrixObservation,
    Reach,
    ReachState,
    Report,
    Target,
    TcpObservation,
    UsageError,
)
from netdiag.session.judgement import judge_matrix, rejudge
from netdiag.session.target import is_address

#: An integration runtime has four nodes. More is a mistake, or several runtimes at once, and the matrix grows squared.
MAX_NODES = 64
#: Reports on one direction that began within this time are of one run, which tried a node by several names.
_SAME_RUN_S = 120.0
#: Characters of a machine's name (RFC 1035 §2.3.4).
_MAX_NAME = 253

#: What the root cause says of the direction, by its id or its stem.
_STATES: dict[str, ReachState] = {
    "dns": "name-unknown",
    "tcp.refused": "refused",
    "tcp.no-reply": "silent",
    "tcp.unreachable": "unreachable",
    "tcp.prohibited": "forbidden",
    "tcp": "reset",
    "node.not-net-tcp": "not-net-tcp",
    "node.fault": "fault",
    "node": "broken",
    "tls.name-mismatch": "certificate",
    "chain": "certificate",
    "key": "certificate",
    "tls": "tls",
}


def node_matrix(reports: Sequence[LabelledReport | Report], nodes: Sequence[Target] = ()) -> Report:
    """The report on who reaches whom.

    A ``LabelledReport`` that has a label was made on the node of that name; others say where they were made. ``nodes``
    are those that the matrix is about, in this order; without, all that occur. Raises ``UsageError`` for what is no
    report of ``netdiag node``, one that does not say where it was made, and for more nodes than ``MAX_NODES``.
    """
    started = time.time()
    known = _Nodes()
    for target in nodes:
        known.asked_for(target)
    taken = [one if isinstance(one, LabelledReport) else LabelledReport(label="", report=one) for one in reports]
    sources = [known.reporter(_checked(one)) for one in taken]
    found = [_reach(one, source, known) for one, source in zip(taken, sources, strict=True)]
    reaches: dict[tuple[str, str], Reach] = {}
    for reach in sorted(found, key=lambda reach: reach.at):
        pair = reach.source, reach.target
        kept = reaches.get(pair)
        if kept is None or kept.state == "reached" or reach.at - kept.at > _SAME_RUN_S:  # of one run, the worse counts
            reaches[pair] = reach
    names = known.names(wanted=len(nodes))
    if len(names) > MAX_NODES:
        raise UsageError(f"{len(names)} nodes are more than the {MAX_NODES} that one matrix is made of")
    matrix = MatrixObservation(
        id="matrix",
        source="file",
        started=min((reach.at for reach in reaches.values()), default=started),
        nodes=names,
        reaches=tuple(
            reaches[one, other] for one in names for other in names if one != other and (one, other) in reaches
        ),
        reporters=tuple(name for name in names if name in sources),
    )
    return judge_matrix(matrix, started=started)


def _checked(one: LabelledReport) -> LabelledReport:
    """The same. Raises ``UsageError`` unless it can be a part of the matrix."""
    report, file = one.report, one.file or "a report"
    if report.command != "node" or report.target.scheme != "net.tcp":
        raise UsageError(f"{file}: a report of netdiag {report.command}, not of a test with netdiag node")
    if not one.label and _host(report) is None:
        raise UsageError(f"{file}: it does not say which machine it is from: give NAME={file}")
    return one


def _host(report: Report) -> HostObservation | None:
    """The machine that a report was made on, as it calls itself."""
    hosts = [o for o in report.observations if isinstance(o, HostObservation) and o.name]
    if not hosts and report.machine and report.machine.name:
        hosts = [HostObservation(id="machine.host", name=report.machine.name)]
    return hosts[0] if hosts else None


def _reach(one: LabelledReport, source: str, known: _Nodes) -> Reach:
    report = rejudge(one.report)
    verdict = report.verdict
    root = next((finding for finding in report.findings if finding.id == verdict.finding), None)
    return Reach(
        source=source,
        target=known.target(report),
        state=_state(report),
        finding=verdict.finding or "",
        blame=verdict.blame or "",
        summary=verdict.summary,
        remedy=root.remedy if root else "",
        at=report.started,
        file=PurePath(one.file).name,
    )


def _state(report: Report) -> ReachState:
    """What the root cause says of the direction; of a name that leads astray, what became of the connection."""
    status, cause = report.verdict.status, report.verdict.finding or ""
    if status == "inconclusive":
        return "untested"
    if status != "failed":
        return "reached"
    folded = next((finding.folded for finding in report.findings if finding.id == cause), ())
    if cause.startswith("dns.") and (led := next((each for each in folded if each.startswith("tcp.")), "")):
        cause = led
    return _STATES.get(cause) or _STATES.get(cause.partition(".")[0], "broken")


@dataclass
class _Node:
    """One node under everything it is known by. ``shown`` is what the matrix calls it."""

    shown: str
    names: set[str] = field(default_factory=set)
    addresses: set[str] = field(default_factory=set)
    #: Names itself, by the report of its own.
    reports: bool = False

    def named(self, name: str) -> bool:
        """Whether the name is one of its own; a short one fits a full one whose first label it is."""
        return any(name == own or _short(name, own) or _short(own, name) for own in self.names)


def _own_names(host: HostObservation) -> list[str]:
    """The full name; the short one besides only where it is another, since two domains may have it."""
    full, short = _canonical(host.full_name), _canonical(host.name)
    return [full] if full and (full == short or _short(short, full)) else [name for name in (full, short) if name]


def _short(short: str, full: str) -> bool:
    return "." not in short and full.partition(".")[0] == short


class _Nodes:
    """The nodes in the order that they are met: those asked for, the reporters, then those they tested."""

    def __init__(self) -> None:
        self._nodes: list[_Node] = []

    def names(self, *, wanted: int) -> tuple[str, ...]:
        """What the matrix calls them: the first ``wanted`` where some were asked for, else all."""
        return tuple(node.shown for node in self._nodes[: wanted or None])

    def asked_for(self, target: Target) -> str:
        """A node that the matrix is to be about."""
        return self._find_or_add(target.host, ()).shown

    def reporter(self, one: LabelledReport) -> str:
        """The node that a report was made on."""
        host = _host(one.report)
        names = [_canonical(one.label)] if one.label else _own_names(host) if host else []
        addresses = set(host.addresses) if host else set()
        addresses |= {o.flow.client for o in one.report.observations if o.flow and _usable(o.flow.client)}
        node = next((n for name in names for n in self._nodes if n.named(name)), None)
        node = node or next((n for n in self._nodes if n.addresses & addresses and not n.reports), None)
        if node is None:
            shown = (one.label,) if one.label else (host.name, host.full_name) if host else ()
            node = self._add(*shown, one.file)
        node.reports = True
        node.names.update(names)
        node.addresses |= addresses
        return node.shown

    def target(self, report: Report) -> str:
        """The node that a report is about."""
        lookups = (o for o in report.observations if isinstance(o, DnsObservation) and o.name == report.target.host)
        found = [address for o in lookups for address in o.addresses]
        found += [o.address for o in report.observations if isinstance(o, TcpObservation)]
        return self._find_or_add(report.target.host, found).shown

    def _find_or_add(self, host: str, addresses: Iterable[str]) -> _Node:
        host = _canonical(host)
        own = {host} if is_address(host) else set()
        reached = own | {address for address in addresses if _usable(address)}
        node = None if own else next((n for n in self._nodes if n.named(host)), None)
        if node is None:
            # By address only where that is one node's alone: container hosts have some that are all the same.
            having = [n for n in self._nodes if n.addresses & reached]
            node = having[0] if len(having) == 1 else None
        if node is None:
            node = self._add(host)
        if not own:
            node.names.add(host)
        if own or not node.reports:  # a reporter knows its own
            node.addresses |= reached
        return node

    def _add(self, *candidates: str) -> _Node:
        """A further node, called by the first of these that no other is called by."""
        used = {node.shown for node in self._nodes}
        numbered = f"{candidates[0]} ({len(used) + 1})"
        node = _Node(next((name for name in candidates if name and name not in used), numbered))
        self._nodes.append(node)
        return node


def _canonical(name: str) -> str:
    return name[:_MAX_NAME].lower().rstrip(".")


def _usable(address: str) -> bool:
    """Whether an address tells machines apart."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return not (parsed.is_loopback or parsed.is_unspecified or parsed.is_link_local)
