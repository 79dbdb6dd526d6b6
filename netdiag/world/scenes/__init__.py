"""The scenes: small broken networks with the verdict that is right for each. They are also golden test cases."""

from netdiag.world.scenes import chain, dns, healthy, https, node, proxy, tcp, tls
from netdiag.world.scenes.scene import Expectation, Scene

#: In the ladder's order.
SCENES: tuple[Scene, ...] = (
    *healthy.SCENES,
    *dns.SCENES,
    *tcp.SCENES,
    *proxy.SCENES,
    *node.SCENES,
    *tls.SCENES,
    *chain.SCENES,
    *https.SCENES,
)

__all__ = ["SCENES", "Expectation", "Scene"]
