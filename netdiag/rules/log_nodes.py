"""Known issues between the nodes of one integration runtime (net.tcp, port 8060 unless it was changed)."""

from __future__ import annotations

from netdiag.rules.log_issue import Advice, LogText, known_issue, node
from netdiag.rules.log_times import wait_words

REFUSED = (10061, 1225)
SILENT = (10060,)
UNKNOWN_NAME = (11001, 11004, 12007)


@known_issue("log.node-refused", "Log: another node refused the connection", folds=("log.node-service-unavailable",))
def node_refused(text: LogText) -> Advice | None:
    """A node could not connect to another one of the same integration runtime: the port refused (10061).

    Something answered, with a reset: the other machine, or a firewall in its name. So name and
    route are right, and nobody listens on that port, or may be reached there. The integration
    runtime shows the node as Inactive or Running (Limited), because nodes that cannot talk do not
    share work and credentials. Nodes listen on port 8060 (unless it was changed) only when "Remote
    access from intranet" is enabled, which it is not by default since version 3.3. How long the
    attempt took tells more: Windows tries again after each refusal, so that about 1 s or 2 s are
    real refusals.

    On the other node: look whether the service runs and whether remote access from the intranet is
    enabled, with the same port. If so, have the firewall between them, and Windows' own, allow it.
    netdiag node HOST:8060 finds out which of them it is.
    """
    if not text.is_node or not (text.code(*REFUSED) or text.says("actively refused it")):
        return None
    return Advice(
        summary=f"The node at {text.where} refused the connection of another node",
        blame="server",
        remedy=(
            "On that node, check that the service DIAHostService runs and that remote access from the intranet is "
            "enabled (dmgcmd.exe -EnableRemoteAccess 8060); then that no firewall refuses the port"
        ),
        details=wait_words(text),
        commands=node(text),
    )


@known_issue("log.node-name-unknown", "Log: the name of another node is not known")
def node_name_unknown(text: LogText) -> Advice | None:
    """A node could not connect to another one because it found no address for its name.

    Nodes call each other by their machine names. Between machines of different domains, or of none,
    DNS often does not know these, and the integration runtime shows a node as Inactive or Running
    (Limited). WCF writes "No DNS entries exist for host", with "No such host is known" (11001)
    inside.

    Put all nodes into one domain, or write the address and the name of each node into the hosts
    file of every other one. netdiag node HOST:8060 says what DNS and the hosts file answer.
    """
    if not text.is_node:
        return None
    if not (text.code(*UNKNOWN_NAME) or text.says("No DNS entries exist for host", "No such host is known")):
        return None
    place = text.place
    name = place.host if place else "another node"
    return Advice(
        summary=f"The name of the node {name} cannot be resolved by another node",
        blame="dns",
        remedy=(
            f"Put all nodes into one domain, or add the address of {name} to the hosts file of every other node "
            r"(C:\Windows\System32\drivers\etc\hosts)"
        ),
        commands=node(text),
    )


@known_issue("log.node-no-reply", "Log: another node does not answer", folds=("log.node-service-unavailable",))
def node_no_reply(text: LogText) -> Advice | None:
    """A node's connection to another one got no answer at all (10060), or took too long.

    Silence is not refusal: packets are dropped on the way, mostly by a firewall, or the machine is
    off. Windows gives up after about 21 s. Where the connection opened and only the answer to a
    request was late, the other node may be overloaded.

    Have the firewalls between the nodes allow TCP port 8060 (unless it was changed) both ways, and
    look whether the other machine is on. netdiag node HOST:8060 tells silence and refusal apart.
    """
    silent = text.code(*SILENT) or text.says("did not properly respond after a period of time")
    late = text.type("TimeoutException") or text.says("timeout was reached", "operation has timed out")
    if not text.is_node or not (silent or late) or text.code(*REFUSED):
        return None
    return Advice(
        summary=f"The node at {text.where} did not answer another node",
        blame="path-device" if silent else "unknown",
        remedy=(
            "Have the firewalls between the nodes (Windows' own too) allow that port both ways, and look whether the "
            "other machine is on and not overloaded"
        ),
        details=wait_words(text),
        commands=node(text),
    )


@known_issue("log.node-identity-mismatch", "Log: another node's certificate is for another name")
def node_identity(text: LogText) -> Advice | None:
    """A node presented a certificate for another name than the one by which it was called.

    WCF compares the name in the certificate with the one in the address, and refuses with "Identity
    check failed for the outgoing message". Of a certificate with several alternative names, an
    integration runtime uses only the last one.

    Give the nodes a certificate whose only, or last, alternative name is the one by which they call
    each other. netdiag node HOST:8060 shows the certificate; netdiag cert FILE explains one in a
    file.
    """
    if not text.says("Identity check failed for", "expected DNS identity of the remote endpoint"):
        return None
    return Advice(
        summary=f"The certificate of the node at {text.where} is for another name",
        blame="server",
        remedy="Give the nodes a certificate whose only, or last, alternative name is the one they call each other by",
        commands=node(text),
    )


@known_issue("log.node-security-mismatch", "Log: nodes disagree about encryption")
def node_security(text: LogText) -> Advice | None:
    """Two nodes could not agree on how the traffic between them is secured.

    One end asks for TLS (application/ssl-tls) or Windows security (application/negotiate), and the
    other one is set to another kind, or to none. So the nodes were set up differently, or one of
    them was not restarted after a change.

    Set the same encryption with the same certificate on all nodes, in Configuration Manager under
    Settings, and restart the service on each. netdiag node HOST:8060 shows what a node offers.
    """
    refused = text.says("requested upgrade is not supported", "faults/UpgradeInvalid")
    negotiated = text.is_node and text.type("SecurityNegotiationException") and not text.says("X.509 certificate")
    if not (refused or negotiated):
        return None
    return Advice(
        summary=f"The nodes do not agree on the security of their connection ({text.where})",
        blame="unknown",
        remedy="Set the same encryption, with the same certificate, on all nodes, and restart the service on each",
        commands=node(text),
    )


@known_issue("log.node-reset", "Log: a connection between nodes was cut")
def node_reset(text: LogText) -> Advice | None:
    """A connection between two nodes was open, and was then reset or closed (10054, 10053).

    The other node may have ended it: its service stopped, its limits were reached, or it did not
    accept the client. Or a firewall on the way cuts connections that it does not understand or that
    were idle.

    Look at the event log of the other node at that time. netdiag pcap on a capture from both ends
    says who sent the reset; netdiag node HOST:8060 tries it again.
    """
    cut = text.code(10054, 10053) or text.says("forcibly closed", "socket connection was aborted")
    if not text.is_node or not cut:
        return None
    return Advice(
        summary=f"The connection to the node at {text.where} was cut",
        blame="unknown",
        remedy="Look at the other node's event log at that time; capture on both nodes to see who sends the reset",
        commands=node(text),
    )


@known_issue("log.node-service-unavailable", "Log: another node's service does not answer")
def node_unavailable(text: LogText) -> Advice | None:
    """A node reached another one, or believes so, but not the service that it wanted there.

    WCF says that no endpoint was listening, that the service could not be started, or that it is
    too busy. The service there is starting, stopping, overloaded or of another version, or another
    program owns the port.

    Look whether the service runs on the other node and at its event log at that time; all nodes
    must have the same version. netdiag node HOST:8060 shows which fault it answers.
    """
    if not text.is_node:
        return None
    said = text.says(
        "no endpoint listening at",
        "could not be dispatched because the service at the endpoint address is unavailable",
        "faults/EndpointNotFound",
        "faults/ServiceActivationFailed",
        "faults/EndpointUnavailable",
    )
    if not said and not text.type("ServerTooBusyException", "ServiceActivationException", "EndpointNotFoundException"):
        return None
    if text.says("No DNS entries exist") or text.code(*UNKNOWN_NAME):
        return None
    return Advice(
        summary=f"The service of the node at {text.where} does not answer",
        blame="server",
        remedy=(
            "Check that the service runs on that node, in the same version as on the others; its event log says more"
        ),
        commands=node(text),
    )
