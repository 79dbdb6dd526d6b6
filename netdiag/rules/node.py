"""Rules about net.tcp (MC-NMF), by which the nodes of one integration runtime talk to each other."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from netdiag.model import Blame, Culprit, NodeObservation, Severity, TlsObservation
from netdiag.rules.captured import server_name
from netdiag.rules.node_words import NEGOTIATE_UPGRADE, as_an_application, asks_for_certificate
from netdiag.rules.protocols import speaks
from netdiag.rules.registry import Hit, rule
from netdiag.rules.seen import Seen
from netdiag.rules.tls_handshakes import TRACED, where_cut
from netdiag.rules.traces import Turn, turn

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
    "node.not-net-tcp",
    "The port does not speak net.tcp",
    Severity.ERROR,
    reference="MC-NMF §2.2.3",
)
def not_net_tcp(seen: Seen) -> Iterator[Hit]:
    """Something accepts connections on the port of the node, and does not answer as the runtime would.

    Nodes of one integration runtime talk to each other by net.tcp (port 8060 unless it was changed). A
    client's first bytes say so, and the runtime answers at once. Here another answer came, or none.
    netdiag then tries the same port with other preambles, with TLS and with HTTP, and says what it
    found: a web server, a TLS server, SSH or another program owns the port; or it accepts connections
    and closes, resets or ignores them. The latter is what a service that hangs or is being stopped
    does, one that filters addresses, and a firewall that accepts connections in the server's place
    and then cuts those that it does not recognise.

    On the other node, find the program that owns the port (netstat -abno, in an elevated prompt), and
    move it, or give the runtime another port: the same on all nodes, with dmgcmd -EnableRemoteAccess.
    If the port is the runtime's own, look at its service and at the firewalls in between.
    """
    for node in _applications(seen):
        if node.asked != "preamble" or node.outcome == "ok" or node.answer == "fault" or node.failure is None:
            continue
        if node.failure.kind not in ("not-net-tcp", "eof", "reset", "timeout") or _agreed_otherwise(seen):
            continue
        other = _other(seen, node)
        found = None if other.what else _cut_on_the_way(seen, node)
        name, port = server_name(seen), node.port
        blame: Blame
        if other.what:
            summary, blame = f"{name} does not speak net.tcp: it {other.what}", "server"
            remedy = (
                f"Find the program that owns port {port} of {seen.target.host} (netstat -abno there), and move it, or "
                "give the integration runtime another port, the same on all nodes (dmgcmd -EnableRemoteAccess)."
            )
        elif found is not None:
            summary, blame = f"{name} accepts connections, and {_how(node)}; {where_cut(found)}", "path-device"
            remedy = f"Ask who runs {found.place} which rule cuts net.tcp connections to port {port}."
        else:
            summary, blame = f"{name} accepts connections, and {_how(node)}", "unknown"
            remedy = (
                f"On {seen.target.host}, find the program that owns port {port} (netstat -abno). If it is the "
                "integration runtime, restart its service (DIAHostService); if that does not help, look for a firewall "
                "that accepts connections in its place."
            )
        yield Hit(
            summary=summary,
            blame=blame,
            remedy=remedy,
            evidence=(node, *other.evidence, *(found.evidence if found else ())),
            culprit=found.culprit if found else Culprit(address=node.address),
        )
        return  # one port: of a capture, the first of many connections


@rule(
    "node.cut-off",
    "The node ends the connection after TLS",
    Severity.ERROR,
    reference="MC-NMF §2.2.3",
)
def cut_off(seen: Seen) -> Iterator[Hit]:
    """The node agreed to TLS and completed the handshake, and then did not accept the connection.

    Inside TLS the client ends its preamble, and the node acknowledges it. Here the node closed or reset
    the connection instead, was silent, or sent something else. The network is fine, and so are name,
    port and TLS. A service that is being stopped does this, one that has reached its limit of
    connections, and one that refuses clients whose certificate or account it does not accept.

    Look into the event log of the other node (Applications and Services Logs, Integration Runtime) at
    that moment. Compare the certificate and the version of the nodes: they must be the same on all.
    """
    for node in seen.effective(NodeObservation):
        if node.asked != "end" or node.failure is None or node.answer == "fault" or asks_for_certificate(seen, node):
            continue
        yield Hit(
            summary=f"{server_name(seen)} completes the TLS handshake and then does not accept the connection: it "
            f"{_how(node)}",
            blame="server",
            remedy=f"Look into the event log of {seen.target.host} (Integration Runtime) at that moment, and compare "
            "certificate and version of the nodes.",
            evidence=(node,),
            culprit=Culprit(address=node.address),
        )


@rule(
    "node.unencrypted",
    "The nodes talk without encryption",
    Severity.WARNING,
    reference="MC-NMF §2.2.3.4",
)
def unencrypted(seen: Seen) -> Iterator[Hit]:
    """The node accepts net.tcp connections without any security.

    A client asks for an upgrade of the connection, to TLS or to Windows security, before the first
    message. This node accepts a connection without one, so that what the nodes tell each other,
    credentials of data stores among it, crosses the network in clear text. An integration runtime
    does that when remote access was enabled without a certificate. It works; whoever can capture the
    traffic between the nodes can read it.

    Install a certificate with its private key on every node, one that all of them trust, and choose it
    in Configuration Manager (Settings, remote access from intranet, with TLS/SSL certificate), or name
    its thumbprint: dmgcmd -EnableRemoteAccess "8060" "THUMBPRINT".
    """
    found = [o for o in seen.effective(NodeObservation) if _is_plain(o)]
    if not found:
        return
    asked = next((o for o in _applications(seen) if o.failure and o not in found), None)
    refused = f" (a request for TLS {_refusal(asked)})" if asked else ""
    yield Hit(
        summary=f"{server_name(seen)} speaks net.tcp and accepts connections without encryption{refused}",
        blame="server",
        remedy=f"Enable remote access with a TLS/SSL certificate on all nodes (Configuration Manager, Settings; or "
        f'dmgcmd -EnableRemoteAccess "{found[0].port}" "THUMBPRINT").',
        evidence=(*found[:_EVIDENCE], *([asked] if asked else [])),
        culprit=Culprit(address=found[0].address),
    )


@rule(
    "node.windows-security",
    "The node secures its connections with Windows authentication",
    Severity.INFO,
    reference="MC-NMF §2.2.3.5",
)
def windows_security(seen: Seen) -> Iterator[Hit]:
    """The node does not take TLS, and takes the upgrade to Windows security (application/negotiate).

    Client and server then prove to each other who they are by Kerberos or NTLM, and encrypt what they
    send by the keys of that. No certificate is needed, but accounts that both machines know: the
    domain's, as a rule. netdiag sends no credentials, so it ends there: name, port and service are
    fine, and whether the accounts are accepted was not tested.

    Nothing has to be done. If the nodes do not come together all the same, look for failed logons in
    the security log of the other node, at the clocks (Kerberos allows five minutes), and at the
    accounts that the services run under.
    """
    found = [o for o in seen.effective(NodeObservation) if _is_negotiated(o)]
    if found and not any(map(_is_plain, seen.effective(NodeObservation))):
        yield Hit(
            summary=f"{server_name(seen)} speaks net.tcp and secures it with Windows authentication, which netdiag "
            "does not take part in",
            blame="unknown",
            remedy="None, unless the nodes do not come together: then look for failed logons on the other node.",
            evidence=tuple(found[:_EVIDENCE]),
        )


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
    for node in _applications(seen):
        if node.answer == "fault" and not (_name(node.fault) == "UpgradeInvalid" and _agreed_otherwise(seen)):
            by_fault.setdefault(_name(node.fault), []).append(node)
    for name, nodes in by_fault.items():
        meaning, remedy, mismatch = _FAULTS.get(name, _UNKNOWN)
        times = f" ({len(nodes):,} connections)" if len(nodes) > 1 else ""
        blame: Blame = "unknown" if mismatch else "server"
        within = ", inside TLS," if nodes[0].asked == "end" else ""
        yield Hit(
            summary=f"{server_name(seen)} speaks net.tcp and answers {nodes[0].via}{within} with the fault {name}"
            f"{times}: {meaning}",
            blame=blame,
            remedy=remedy,
            evidence=tuple(nodes[:_EVIDENCE]),
            culprit=Culprit(address=nodes[0].address),
        )


def _name(uri: str) -> str:
    return uri.rpartition("/")[2] or uri


# -- what was asked, and what else answers


def _applications(seen: Seen) -> tuple[NodeObservation, ...]:
    """The exchanges that an application made, or would make."""
    return tuple(o for o in seen.effective(NodeObservation) if as_an_application(o))


def _is_plain(o: NodeObservation) -> bool:
    return o.asked == "preamble" and not o.upgrade and o.answer == "acknowledged"


def _is_negotiated(o: NodeObservation) -> bool:
    return o.asked == "preamble" and o.upgrade == NEGOTIATE_UPGRADE and o.answer == "upgrade"


def _agreed_otherwise(seen: Seen) -> bool:
    """Whether a probe found that the node takes net.tcp connections, if not with TLS: that is told instead."""
    probed = (o for o in seen.effective(NodeObservation) if o.source == "probe")
    return any(_is_plain(o) or _is_negotiated(o) for o in probed)


class _Other(msgspec.Struct, frozen=True):
    """What owns the port instead, as a clause; empty where nothing tells."""

    what: str = ""
    evidence: tuple[NodeObservation | TlsObservation, ...] = ()


def _other(seen: Seen, node: NodeObservation) -> _Other:
    told = speaks(node.not_net_tcp)
    probed = [o for o in seen.effective(NodeObservation) if o.source == "probe"]
    shakes = [o for o in seen.effective(TlsObservation) if o.purpose == "bare" and (o.outcome == "ok" or o.alert)]
    if shakes:  # web servers answer what is no TLS on their TLS port in clear text
        return _Other("speaks TLS at once, without net.tcp before it", tuple(shakes))
    if told:
        return _Other(f"answers with {told}")
    for web in (o for o in probed if o.asked == "http" and speaks(o.not_net_tcp) == "HTTP"):
        return _Other("is a web server (HTTP)", (web,))
    if node.answer == "other":
        return _Other("answers with a net.tcp record that only a client sends, as an echo service does")
    return _Other("answers with something else") if node.not_net_tcp else _Other()


def _how(node: NodeObservation) -> str:
    """How an exchange failed, as a clause."""
    kind = node.failure.kind if node.failure else ""
    return {
        "eof": "closes them" if node.asked == "preamble" else "closes it",
        "reset": "resets them" if node.asked == "preamble" else "resets it",
        "timeout": f"says nothing ({node.took_s:.0f} s)",
        "not-net-tcp": "sends something else",
    }.get(kind, node.failure.detail if node.failure else "")


def _refusal(node: NodeObservation) -> str:
    """What became of the request for TLS."""
    if node.answer == "fault":
        return f"is refused: {_name(node.fault)}"
    return {"eof": "ends the connection", "reset": "resets the connection", "timeout": "is ignored"}.get(
        node.failure.kind if node.failure else "", "is not understood"
    )


def _cut_on_the_way(seen: Seen, node: NodeObservation) -> Turn | None:
    """Where the trace of the preamble turns into what the exchange met, if that is before the server."""
    found = turn(seen, node.address, node.port, "data") if node.failure else None
    if found is None or node.failure is None or found.answer != TRACED.get(node.failure.kind):
        return None
    return found if found.actor == "device" else None
