"""What rules say about the nodes of an integration runtime: whether the target is one, and what is done there. Pure.

How remote access is switched on, and that it is off by default, stands in learn.microsoft.com/azure/data-factory,
"Create a self-hosted integration runtime"; that a node without DNS entry goes into the hosts file, in "Troubleshoot
self-hosted integration runtime".
"""

from __future__ import annotations

from netdiag.model import DnsObservation, NodeObservation, TlsObservation
from netdiag.rules.seen import Seen

TLS_UPGRADE = "application/ssl-tls"
NEGOTIATE_UPGRADE = "application/negotiate"
#: Ends of a connection whose client presented no certificate although it was asked for one.
_ENDS = frozenset({"eof", "reset", "tls-alert"})


def is_node(seen: Seen) -> bool:
    """Whether the target is another node, and was asked for as one."""
    return seen.target.scheme == "net.tcp"


def as_an_application(o: NodeObservation) -> bool:
    """Whether this is what an application sent; the other exchanges of a probe are there to compare."""
    return o.source == "capture" or (o.asked != "http" and o.upgrade == TLS_UPGRADE)


def asks_for_certificate(seen: Seen, end: NodeObservation) -> bool:
    """Whether the node ended the connection after TLS, in which it had asked for a client certificate."""
    shaken = seen.get(end.parent or "")
    asked = isinstance(shaken, TlsObservation) and shaken.client_certificate_requested
    return asked and end.asked == "end" and end.failure is not None and end.failure.kind in _ENDS


def have_it_listen(seen: Seen) -> str:
    """What makes a node accept connections of others."""
    host, port = seen.target.host, seen.target.port
    return (
        f"On {host}, check that the Integration Runtime service (DIAHostService) runs and that remote access from the "
        f'intranet is enabled for port {port}: it is off unless switched on (dmgcmd -EnableRemoteAccess "{port}").'
    )


def have_it_let_in(seen: Seen) -> str:
    """What lets connections of others reach a node."""
    return f"Windows Firewall on {seen.target.host} must let TCP port {seen.target.port} in, too."


def have_it_named(seen: Seen, name: str) -> str:
    """What makes a node's name known to the others."""
    path = next((o.server for o in seen.of(DnsObservation) if o.asker == "hosts-file" and o.server), "")
    file = f"hosts file ({path})" if path else "hosts file"
    return (
        f"Put all nodes into one domain, or add a line with the address and the name {name} to the {file} of each node."
    )
