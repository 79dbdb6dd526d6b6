"""Rules about net.tcp (MC-NMF), by which the nodes of one integration runtime talk to each other."""

from __future__ import annotations

from collections.abc import Iterator

from netdiag.model import Blame, Culprit, NodeObservation, Severity
from netdiag.rules.captured import server_name
from netdiag.rules.registry import Hit, rule
from netdiag.rules.seen import Seen

#: Connections named as evidence of one fault.
_EVIDENCE = 8

_AWAY = "Start the service there, or wait until it has started; the event log of that machine says why it did not."
_APART = "Bring both ends to the same version and the same settings of the channel (security mode, encoding)."

#: Fault -> what it means, what to do, whether the two ends disagree rather than the server being at fault. The names
#: are MC-NMF §2.2.5's, the causes those for which .NET sends them (dotnet/wcf, FramingEncodingString.cs and its users).
_FAULTS: dict[str, tuple[str, str, bool]] = {
    "EndpointNotFound": (
        "nothing serves the path that was asked for",
        "Check that the service runs there, that both ends have the same version, and that path and port are its own.",
        False,
    ),
    "ServiceActivationFailed": ("the service could not be started", _AWAY, False),
    "EndpointUnavailable": ("the service is stopping or not ready", _AWAY, False),
    "EndpointPaused": ("the service is paused", "Resume the service there.", False),
    "ConnectionDispatchFailed": ("the connection could not be handed to the service", _AWAY, False),
    "EndpointAccessDenied": ("the service may not be used by this client", "Grant the client access there.", False),
    "ServerTooBusy": (
        "it has more connections than it takes",
        "Look at its load and at its limits of connections; then try again.",
        False,
    ),
    "UpgradeInvalid": (
        "it does not take the security that the client asks for (TLS, Windows, or none)",
        "Give both ends the same setting: encrypted by a certificate on all nodes, or on none.",
        True,
    ),
    "ContentTypeInvalid": ("it does not take the client's encoding of messages", _APART, True),
    "ContentTypeTooLong": ("the name of the client's encoding is too long for it", _APART, True),
    "UnsupportedMode": ("it does not take the client's mode of channel", _APART, True),
    "UnsupportedVersion": ("it does not take the client's version of the protocol", _APART, True),
    "InvalidRecordSequence": ("the client's records come in an order that it does not expect", _APART, True),
    "ViaTooLong": ("the address that the client asks for is too long for it", _APART, True),
    "MaxMessageSizeExceededFault": ("a message is larger than it takes", _APART, True),
}
_UNKNOWN = ("it is a fault that MC-NMF does not list", "Look at the event log of that machine.", False)


@rule(
    "node.fault",
    "The other node answers with a fault",
    Severity.ERROR,
    reference="MC-NMF §2.2.5",
)
def fault(seen: Seen) -> Iterator[Hit]:
    """The service at the other end speaks net.tcp, and answers the connection's first bytes with a fault.

    Nodes of one integration runtime talk to each other by net.tcp (port 8060 unless it was changed).
    A client first says where it wants to go and how messages are to be secured; the server agrees, or
    names a fault and closes. So name, port, route and firewall are all in order: what is wrong is the
    service, or what the two ends have been set to. EndpointNotFound means that no service serves that
    path: it is not running, still starting, of another version, or another program owns the port.
    UpgradeInvalid means that one end wants encryption and the other does not, or another kind of it.

    On the machine that answers, look whether the service runs, and at its event log at that time.
    Compare version and encryption setting of the nodes: they must be the same on all.
    """
    by_fault: dict[str, list[NodeObservation]] = {}
    for node in seen.effective(NodeObservation):
        if node.answer == "fault":
            by_fault.setdefault(_name(node.fault), []).append(node)
    for name, nodes in by_fault.items():
        meaning, remedy, mismatch = _FAULTS.get(name, _UNKNOWN)
        times = f" ({len(nodes):,} connections)" if len(nodes) > 1 else ""
        blame: Blame = "unknown" if mismatch else "server"
        yield Hit(
            summary=f"{server_name(seen)} speaks net.tcp and answers {nodes[0].via} with the fault {name}{times}: "
            f"{meaning}",
            blame=blame,
            remedy=remedy,
            evidence=tuple(nodes[:_EVIDENCE]),
            culprit=Culprit(address=nodes[0].address),
        )


def _name(uri: str) -> str:
    return uri.rpartition("/")[2] or uri
