"""The scenarios of ``netdiag node``: another node at one address, and what is wrong with it or on the way. Data only.

Nodes listen at ``NODE`` in the server's network, one behaviour a port (tests/node_server.py). Names come from DNS
(node-b.contoso.test) or, where a scenario says so, from the hosts file.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Literal

from lab_scenarios import Expect, failed, healthy, impaired
from lab_services import CERTIFICATES, NODE
from lab_sites import FRONTEND
from lab_topology import FIREWALL
from lab_world import HOSTS, Setting

#: The faults of MC-NMF §2.2.5 that a node answers a preamble with; whether the two ends disagree or it is its own.
FAULTS = {
    **dict.fromkeys(
        (
            *("ConnectionDispatchFailed", "EndpointAccessDenied", "EndpointNotFound", "EndpointPaused"),
            *("EndpointUnavailable", "ServerTooBusy", "ServiceActivationFailed"),
        ),
        "server",
    ),
    **dict.fromkeys(
        (
            *("ContentTypeInvalid", "ContentTypeTooLong", "InvalidRecordSequence", "MaxMessageSizeExceededFault"),
            *("UnsupportedMode", "UnsupportedVersion", "UpgradeInvalid", "ViaTooLong"),
        ),
        "unknown",
    ),
}
NAME = "node-b.contoso.test"
LONG_AGO = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
#: Certificates that nodes present, by name: who issued them, for whom, where they can be checked.
Certificate = Literal["good", "short", "two-names", "last-name", "expired", "private", "unchecked", "revoked"]


@dataclass(frozen=True)
class NodeScenario:
    """One line of the table. ``mode`` is the node's, None for what is there already; ``says``: in verdict or remedy."""

    name: str
    expect: Expect
    mode: str | None = "tls"
    certificate: Certificate = "good"
    target: str = NAME
    port: int | None = None
    setting: Setting = field(default_factory=Setting)
    options: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    recorded: bool = True


_TO = f"ip daddr {NODE} tcp"
_SHORT_NAME = Setting(hosts=f"{HOSTS}{NODE} node-b\n")

_NODES = (
    NodeScenario("node-healthy", healthy(), says=("speaks net.tcp with TLS", "trusted and not revoked")),
    NodeScenario(
        "node-by-hosts-file", healthy("dns.hosts-override"), target="node-b", certificate="short", setting=_SHORT_NAME
    ),
    NodeScenario(
        "node-short-name-unknown",
        failed("dns.name-not-found", "dns"),
        target="node-b",
        says=("node-b does not exist", "Put all nodes into one domain, or add a line"),
    ),
    NodeScenario("node-name-unknown", failed("dns.name-not-found", "dns"), target="node-x.contoso.test"),
    NodeScenario(
        "node-refused",
        failed("tcp.refused", "server"),
        mode=None,
        port=8060,
        says=("remote access from the intranet", "dmgcmd"),
    ),
    NodeScenario(
        "node-silent",
        failed("tcp.no-reply", "unknown"),
        setting=Setting(forward=f"{_TO} dport 8000-9000 drop"),
        says=("Windows Firewall on node-b.contoso.test",),
    ),
    NodeScenario(
        "node-prohibited",
        failed("tcp.prohibited", "path-device", culprit=FIREWALL),
        setting=Setting(forward=f"{_TO} dport 8000-9000 reject with icmpx type admin-prohibited"),
    ),
    NodeScenario(
        "node-preamble-reset",
        failed("tcp.reset-origin-unknown", "unknown"),
        setting=Setting(
            forward=f"{_TO} dport 8000-9000 ct state established tcp flags & psh == psh reject with tcp reset"
        ),
    ),
    NodeScenario(
        "node-preamble-dropped",
        failed("node.not-net-tcp", "unknown"),
        setting=Setting(forward=f"{_TO} dport 8000-9000 ct state established tcp flags & psh == psh drop"),
        says=("accepts connections, and says nothing",),
    ),
    NodeScenario(
        "node-windows-security", healthy("node.windows-security"), "negotiate", says=("Windows authentication",)
    ),
    NodeScenario("node-unencrypted", impaired("node.unencrypted", "server"), "plain"),
    NodeScenario("node-client-certificate", healthy("tls.client-certificate-required"), "mutual"),
)

_WRONG_SERVICE = (
    NodeScenario(
        "node-is-nginx",
        failed("node.not-net-tcp", "server"),
        mode=None,
        target="certs.contoso.test",
        port=80,
        says=("HTTP",),
    ),
    NodeScenario(
        "node-is-nginx-with-tls",
        failed("node.not-net-tcp", "server"),
        mode=None,
        target=FRONTEND,
        port=443,
        says=("TLS at once",),
    ),
    NodeScenario("node-is-ssh", failed("node.not-net-tcp", "server"), "says:SSH-2.0-OpenSSH_9.6\r\n", says=("SSH",)),
    NodeScenario("node-closes", failed("node.not-net-tcp", "unknown"), "close", says=("and closes them",)),
    NodeScenario("node-resets", failed("tcp.reset-by-server", "server"), "reset"),
    NodeScenario("node-mute", failed("node.not-net-tcp", "unknown"), "silent", says=("and says nothing",)),
    NodeScenario("node-closes-after-tls", failed("node.cut-off", "server"), "end-close", says=("it closes it",)),
    NodeScenario("node-closes-in-tls", failed("tls.interrupted", "unknown"), "tls-close", says=("ClientHello",)),
    NodeScenario("node-fault-inside-tls", failed("node.fault", "server"), "inside:ServerTooBusy", says=("inside TLS",)),
)

_FAULTS = tuple(
    NodeScenario(
        f"node-fault-{name.lower()}",
        failed("node.fault", blame),
        f"fault:{name}",
        says=(f"the fault {name}: ",),
        recorded=name in ("EndpointNotFound", "UpgradeInvalid"),
    )
    for name, blame in FAULTS.items()
)

_CERTIFICATES = (
    NodeScenario("node-expired", failed("chain.expired", "server"), certificate="expired"),
    NodeScenario(
        "node-private-root",
        failed("chain.untrusted-root", "server"),
        certificate="private",
        says=("trusted roots of the local computer on every node",),
    ),
    NodeScenario(
        "node-two-names",
        impaired("key.last-san-only", "server"),
        certificate="two-names",
        says=("uses only the last one, node-b:",),
    ),
    NodeScenario("node-last-name", healthy("key.last-san-only"), certificate="last-name"),
    NodeScenario(
        "node-another-name",
        failed("tls.name-mismatch", "server", "dns.hosts-override"),
        target="node-c",
        setting=Setting(hosts=f"{HOSTS}{NODE} node-c\n"),
    ),
    NodeScenario("node-revoked", failed("chain.revoked", "server"), certificate="revoked", says=("keyCompromise",)),
    NodeScenario(
        "node-revocation-offline",
        failed("chain.revocation-offline", "path-device", "chain.aia-unreachable"),
        setting=Setting(forward=f"ip daddr {CERTIFICATES} drop"),
        options=("--timeout=1",),
        says=("certs.contoso.test port 80",),
    ),
    NodeScenario("node-not-fetched", healthy(), certificate="unchecked", options=("--no-fetch",), recorded=False),
)

NODE_SCENARIOS: tuple[NodeScenario, ...] = (*_NODES, *_WRONG_SERVICE, *_FAULTS, *_CERTIFICATES)
