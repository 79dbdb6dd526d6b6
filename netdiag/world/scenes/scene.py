"""What a scene is, and the surroundings that most of them share.

Contract: scenes are values. Names and addresses look real, so that reports read like real ones; nothing here is sent
anywhere but to loopback.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from netdiag.model import Blame, Status
from netdiag.world.authority import Leaf
from netdiag.world.names import Name, Zone
from netdiag.world.setting import Answer, Nobody, Server, Setting, Web

# --- the front end ---------------------------------------------------------------------------------------------

FRONTEND = "wu2.frontend.clouddatahub.net"
FRONTEND_ALIAS = "wu2prod-frontend.westus2.cloudapp.azure.com"
FRONTEND_V4 = "20.42.132.5"
FRONTEND_V6 = "2603:1030:c06::5"
FRONTEND_AT = f"{FRONTEND_V4}:443"

#: Azure's front ends run on http.sys, which signs itself so.
HTTP_SYS = ("Server", "Microsoft-HTTPAPI/2.0")
OK = Answer(
    status=200, reason="OK", headers=(("Content-Type", "application/json"), HTTP_SYS), body='{"status":"Ready"}'
)
LEAF = Leaf(names=("*.frontend.clouddatahub.net",))
FRONTEND_WEB = Web(answer=OK, leaf=LEAF)


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """What netdiag must say. ``also`` are the findings besides the root cause, in any order."""

    status: Status
    finding: str | None = None
    blame: Blame | None = None
    also: tuple[str, ...] = ()

    @property
    def findings(self) -> frozenset[str]:
        """Every id that the report holds, and no other."""
        return frozenset((*self.also, self.finding) if self.finding else self.also)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One network, healthy or with one thing broken, and the verdict that is right for it."""

    name: str
    #: One line: what was done to this network.
    story: str
    setting: Setting
    expect: Expectation
    target: str = FRONTEND
    #: For the proxy.
    credentials: tuple[str, str] | None = None


HEALTHY = Expectation(status="healthy")

# --- the network around the machine ----------------------------------------------------------------------------

NAME_SERVER = "10.20.0.4"
OTHER_NAME_SERVER = "10.20.0.5"

PROXY = "proxy.contoso.com"
PROXY_V4 = "10.20.0.8"
PROXY_AT = f"{PROXY_V4}:3128"

ZONE: Zone = {
    FRONTEND: Name(alias=FRONTEND_ALIAS),
    FRONTEND_ALIAS: Name(addresses=(FRONTEND_V4,)),
    PROXY: Name(addresses=(PROXY_V4,)),
}


SITE = Setting(zones={NAME_SERVER: ZONE}, servers={FRONTEND_AT: FRONTEND_WEB})


def named(frontend: Name) -> Zone:
    """The usual names with another answer for the front end's."""
    return {**ZONE, FRONTEND: frontend}


def served_by(frontend: Server | Nobody) -> Setting:
    """A machine that goes out directly, with this where the front end should be."""
    return replace(SITE, servers={FRONTEND_AT: frontend})


def behind_proxy(proxy: Server | Nobody, *, direct: Server | Nobody = "dropped") -> Setting:
    """A company network whose way out is the proxy, as the environment says; the firewall drops the direct way.

    The proxy's own name server knows the front end, and the proxy reaches it under an address of its own.
    """
    outside = "20.42.132.6"
    return Setting(
        zones={NAME_SERVER: ZONE},
        servers={FRONTEND_AT: direct, f"{outside}:443": FRONTEND_WEB, PROXY_AT: proxy},
        proxy_zone={FRONTEND: Name(addresses=(outside,))},
        environment={"HTTPS_PROXY": f"http://{PROXY}:3128"},
    )
