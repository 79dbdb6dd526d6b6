"""What was asked of another node and what answered; which machine asked; who reaches whom: in words. Pure.

Contract: as facts.py: the strings hold untrusted text as it came.
"""

from __future__ import annotations

from netdiag.model import HostObservation, MatrixObservation, NodeObservation, ReachState
from netdiag.report.phrases import failure_words, some
from netdiag.report.units import milliseconds, moment

_UPGRADES = {
    "application/ssl-tls": "TLS",
    "application/negotiate": "Windows security",
    "": "no encryption",
}
#: How a direction is called in the matrix: short, for a column.
STATES: dict[ReachState, str] = {
    "reached": "reached",
    "name-unknown": "name unknown",
    "refused": "refused",
    "silent": "silent",
    "reset": "reset",
    "unreachable": "unreachable",
    "forbidden": "forbidden",
    "not-net-tcp": "not net.tcp",
    "fault": "fault",
    "tls": "TLS fails",
    "certificate": "certificate",
    "broken": "cut off",
    "untested": "not tested",
}


def node(observation: NodeObservation) -> str:
    """One exchange: how it was answered, what had been asked."""
    failed = failure_words(observation.failure, observation.took_s) if observation.failure else ""
    said = f'answered "{observation.not_net_tcp[:40]}"' if observation.not_net_tcp else ""
    if observation.asked == "http":
        return f"{failed or said or 'no answer seen'} (HTTP request)"
    secured = upgrade(observation)
    answer = {"upgrade": "agreed", "acknowledged": "accepted", "other": "another record"}.get(observation.answer, "")
    end = "end of the preamble inside " if observation.asked == "end" else ""
    return f"{failed or answer or 'no answer seen'}, {observation.via} ({end}{secured})"


def upgrade(observation: NodeObservation) -> str:
    """The security that was asked for, in words."""
    return _UPGRADES.get(observation.upgrade, observation.upgrade)


def host(observation: HostObservation) -> str:
    """This machine."""
    names = observation.full_name or observation.name
    return f"{names} ({some(observation.addresses, 4)})" if observation.addresses else names


def matrix(observation: MatrixObservation) -> str:
    """The counts."""
    good = sum(reach.state == "reached" for reach in observation.reaches)
    missing = len(observation.missing)
    known = f"{good} of {len(observation.reaches)} directions work"
    return f"{len(observation.nodes)} nodes, {known}" + (f", {missing} not tested" if missing else "")


def details(observation: NodeObservation | MatrixObservation) -> tuple[str, ...]:
    """What the line leaves out, one line each."""
    if isinstance(observation, NodeObservation):
        lines = [f"fault {observation.fault}"] if observation.fault else []
        lines += [f"first bytes {observation.not_net_tcp!r}"] if observation.not_net_tcp else []
        return (*lines, f"answered after {milliseconds(observation.took_s)}") if observation.answer else tuple(lines)
    return tuple(
        f"{reach.source} → {reach.target}: {STATES[reach.state]}, {moment(reach.at)}, {reach.file}: {reach.summary}"
        for reach in observation.reaches
    )
