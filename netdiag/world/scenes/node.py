"""Another node of the same integration runtime, seen from this one."""

from __future__ import annotations

from netdiag.world.authority import Leaf
from netdiag.world.names import Name
from netdiag.world.scenes.scene import NAME_SERVER, OK, Expectation, Scene
from netdiag.world.setting import Nobody, Node, Server, Setting, Web

_NODE = "node-b.contoso.com"
_TARGET = f"net.tcp://{_NODE}:8060/ExternalService.svc/"
_LEAF = Leaf(names=(_NODE,), issuer="private")


def _beside(node: Server | Nobody) -> Setting:
    """Two nodes of one domain, which trust its authority."""
    return Setting(
        zones={NAME_SERVER: {_NODE: Name(addresses=("10.20.0.32",))}},
        servers={"10.20.0.32:8060": node},
        trust=("public", "private"),
    )


SCENES = (
    Scene(
        name="node",
        story="The other node of an integration runtime answers, with a certificate of the company's authority.",
        setting=_beside(Node(leaf=_LEAF)),
        target=_TARGET,
        expect=Expectation(status="healthy"),
    ),
    Scene(
        name="node-unencrypted",
        story="The other node has no certificate, so that the two talk without encryption.",
        setting=_beside(Node()),
        target=_TARGET,
        expect=Expectation(status="impaired", finding="node.unencrypted", blame="server"),
    ),
    Scene(
        name="node-starting",
        story="On the other node, the service behind the port is still starting.",
        setting=_beside(Node(fault="ServiceActivationFailed")),
        target=_TARGET,
        expect=Expectation(status="failed", finding="node.fault", blame="server"),
    ),
    Scene(
        name="node-web-server",
        story="On the other node, a web server has taken the port of the integration runtime.",
        setting=_beside(Web(answer=OK)),
        target=_TARGET,
        expect=Expectation(status="failed", finding="node.not-net-tcp", blame="server"),
    ),
)
