"""The rule about who reaches whom: pairs of nodes that do not come together, and whose side to look at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netdiag.model import Blame, Culprit, MatrixObservation, Reach, ReachState, Severity
from netdiag.rules.registry import Hit, rule
from netdiag.rules.seen import Seen
from netdiag.rules.words import few

#: A state as a clause about the node that was tried: "node-b refuses the connection".
_SAYS: dict[ReachState, str] = {
    "name-unknown": "its name is not known there",
    "refused": "the port refuses",
    "silent": "nothing answers",
    "reset": "connections are reset",
    "unreachable": "there is no way to it",
    "forbidden": "a filter forbids it",
    "not-net-tcp": "the port does not speak net.tcp",
    "fault": "it answers with a fault",
    "tls": "TLS fails",
    "certificate": "its certificate is not accepted",
    "broken": "the connection is cut after TLS",
}
#: States that are the same for every client, so that the node that was tried is to blame.
_ITS_OWN: frozenset[ReachState] = frozenset({"refused", "not-net-tcp", "fault", "tls", "certificate", "broken"})
#: Pairs told of in one sentence.
_LISTED = 6


@rule("node.not-reached", "A node does not reach another one", Severity.ERROR)
def not_reached(seen: Seen) -> Iterator[Hit]:
    """By the reports of the nodes, some of them cannot connect to others.

    The nodes of one integration runtime connect to each other in both directions. When one direction
    fails the runtime shows "Running (Limited)", a node as inactive, or credentials that are not in
    sync. netdiag puts the reports of the nodes together (netdiag node --from-json). What they have in
    common tells where to look. Nobody reaches a node: its own service, firewall, name or certificate.
    A node reaches nobody, and others do: its own name service, firewall or trust store. One direction
    of a pair fails, and the other works: the network between the two is there, and what is set up on
    one side only decides, most often the inbound rule of the firewall on the node that is not reached.

    Look at the node that the finding names first. The report that was made on the node that cannot
    connect has the evidence: netdiag node, run there, prints it.
    """
    for matrix in seen.of(MatrixObservation):
        failed = [r for r in matrix.reaches if r.state in _SAYS]
        rest = list(failed)
        for node in matrix.nodes:
            hit, told = _nobody_reaches(matrix, node, rest)
            if hit is None:
                hit, told = _reaches_nobody(matrix, node, rest)
            if hit is not None:
                yield hit
                rest = [r for r in rest if r not in told]
        while rest:
            first, back = rest[0], matrix.reach(rest[0].target, rest[0].source)
            told = [r for r in (first, back) if r in rest and r is not None]
            rest = [r for r in rest if r not in told]
            yield _pair(matrix, first, back)


def _nobody_reaches(matrix: MatrixObservation, node: str, rest: Sequence[Reach]) -> tuple[Hit | None, list[Reach]]:
    """Every node that tried it, two at least, met the same."""
    tried = [r for r in matrix.reaches if r.target == node and r.state != "untested"]
    alike = len(tried) > 1 and all(r in rest for r in tried) and len({r.state for r in tried}) == 1
    if not alike:
        return None, []
    first = tried[0]
    blame: Blame = "dns" if first.state == "name-unknown" else "server"
    where = few([r.source for r in tried], _LISTED)
    summary = f"No node reaches {node}: {_SAYS[first.state]} (tried from {where})"
    return _hit(matrix, summary, blame, node, _remedy(first)), tried


def _reaches_nobody(matrix: MatrixObservation, node: str, rest: Sequence[Reach]) -> tuple[Hit | None, list[Reach]]:
    """It met the same everywhere, two nodes at least, and another node reaches one of these."""
    tried = [r for r in matrix.reaches if r.source == node and r.state != "untested"]
    alike = len(tried) > 1 and all(r in rest for r in tried) and len({r.state for r in tried}) == 1
    targets = {r.target for r in tried}
    others = [r for r in matrix.reaches if r.target in targets and r.source != node and r.state == "reached"]
    if not alike or not others:
        return None, []
    first = tried[0]
    summary = f"{node} reaches no other node: {_SAYS[first.state].replace('its name is', 'their names are')}"
    summary = summary.replace("its certificate is", "their certificates are")
    summary += f"; from {others[0].source} to {others[0].target} it works"
    blame: Blame = "dns" if first.state == "name-unknown" else "unknown"
    remedy = {
        "name-unknown": _remedy(first),
        "certificate": f"Compare the trusted roots of the local computer on {node} with those of {others[0].source}; "
        f"on {node}: {_lower(first.remedy)}",
    }.get(first.state, f"Look at the outbound rules of the firewall on {node}, and at the network that it is in.")
    return _hit(matrix, summary, blame, node, remedy), tried


def _pair(matrix: MatrixObservation, first: Reach, back: Reach | None) -> Hit:
    source, target = first.source, first.target
    summary = f"{source} cannot reach {target}: {_SAYS[first.state]}"
    remedy, blame = _remedy(first), _blame(first)
    culprit = source if first.state == "name-unknown" else target
    if back is None or back.state == "untested":
        summary += "; the other direction was not tested"
    elif back.state == "reached":
        summary += "; the other direction works"
        if first.state == "silent":
            remedy = (
                f"Have the firewall of {target} let the port in from {source} (Windows Firewall there, inbound rules), "
                f"and any firewall between them that lets only {target} open connections."
            )
            blame = "server"
    else:
        same = " too" if back.state == first.state else ""
        summary += f"; nor the other way round: {_SAYS[back.state]}{same}"
        if first.state == back.state == "silent":
            remedy = f"Have the firewall between {source} and {target} allow the port in both directions."
            blame, culprit = "path-device", ""
    return _hit(matrix, summary, blame, culprit, remedy)


def _blame(reach: Reach) -> Blame:
    if reach.state in _ITS_OWN:
        return "server"
    if reach.state == "name-unknown":
        return "dns"
    return "path-device" if reach.state in ("forbidden", "reset") else "unknown"


def _remedy(reach: Reach) -> str:
    """What the report of that node says, with the node that has to read it so."""
    return f"As tested on {reach.source}: {reach.remedy}" if reach.remedy else f"Run netdiag node on {reach.source}."


def _lower(words: str) -> str:
    return words[:1].lower() + words[1:]


def _hit(matrix: MatrixObservation, summary: str, blame: Blame, culprit: str, remedy: str) -> Hit:
    return Hit(
        summary=summary,
        blame=blame,
        remedy=remedy,
        evidence=(matrix,),
        culprit=Culprit(name=culprit) if culprit else None,
    )
