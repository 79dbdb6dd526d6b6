"""Networks where everything works, by one way or another."""

from __future__ import annotations

from dataclasses import replace

from netdiag.world.names import Name
from netdiag.world.scenes.scene import (
    FRONTEND_AT,
    FRONTEND_V4,
    FRONTEND_V6,
    FRONTEND_WEB,
    HEALTHY,
    HTTP_SYS,
    LEAF,
    NAME_SERVER,
    PROXY,
    PROXY_V4,
    SITE,
    Expectation,
    Scene,
    behind_proxy,
    named,
    served_by,
)
from netdiag.world.setting import Answer, Proxy, Setting

ACCOUNT = ("CONTOSO\\svc-runtime", "Spring-2026")

FACTORY = "contoso-df.westus2.datafactory.azure.net"
FACTORY_PRIVATE = "contoso-df.westus2.privatelink.datafactory.azure.net"

SCENES = (
    Scene(
        name="healthy",
        story="One name server, one address, no proxy: everything works.",
        setting=SITE,
        expect=HEALTHY,
    ),
    Scene(
        name="healthy-dual-stack",
        story="The front end has an IPv6 and an IPv4 address, and both answer.",
        setting=Setting(
            zones={NAME_SERVER: named(Name(addresses=(FRONTEND_V4, FRONTEND_V6)))},
            servers={FRONTEND_AT: FRONTEND_WEB, f"[{FRONTEND_V6}]:443": FRONTEND_WEB},
        ),
        expect=HEALTHY,
    ),
    Scene(
        name="healthy-truncated-answer",
        story="The name server's UDP answers are truncated; over TCP it tells everything.",
        setting=replace(SITE, zones={NAME_SERVER: named(Name(addresses=(FRONTEND_V4,), truncated=True))}),
        expect=HEALTHY,
    ),
    Scene(
        name="healthy-not-found",
        story="The front end answers 404 for a path without a service, which proves that it can be reached.",
        setting=served_by(
            replace(
                FRONTEND_WEB,
                answer=Answer(
                    status=404,
                    reason="Not Found",
                    headers=(("Content-Type", "text/html; charset=us-ascii"), HTTP_SYS),
                    body="<HTML><HEAD><TITLE>Not Found</TITLE></HEAD><BODY><h2>Not Found</h2><hr>"
                    "<p>HTTP Error 404. The requested resource is not found.</p></BODY></HTML>",
                ),
            )
        ),
        expect=Expectation(status="healthy", also=("https.unexpected-status",)),
    ),
    Scene(
        name="healthy-private-link",
        story="The factory's name leads to a private endpoint in the company's own network.",
        setting=Setting(
            zones={
                NAME_SERVER: {FACTORY: Name(alias=FACTORY_PRIVATE), FACTORY_PRIVATE: Name(addresses=("10.60.1.4",))}
            },
            servers={"10.60.1.4:443": replace(FRONTEND_WEB, leaf=replace(LEAF, names=(FACTORY,)))},
        ),
        target=FACTORY,
        expect=Expectation(status="healthy", also=("dns.private-address",)),
    ),
    Scene(
        name="healthy-proxy",
        story="The firewall drops the direct way; the proxy opens tunnels for everyone.",
        setting=behind_proxy(Proxy()),
        expect=HEALTHY,
    ),
    Scene(
        name="healthy-proxy-password",
        story="The proxy asks for a password, and netdiag was given the right one.",
        setting=behind_proxy(Proxy(account=ACCOUNT)),
        credentials=ACCOUNT,
        expect=HEALTHY,
    ),
    Scene(
        name="healthy-proxy-knows-names",
        story="Only the proxy can resolve names on the Internet, which is enough.",
        setting=replace(
            behind_proxy(Proxy()),
            zones={NAME_SERVER: {PROXY: Name(addresses=(PROXY_V4,))}},
        ),
        expect=HEALTHY,
    ),
    Scene(
        name="healthy-no-proxy-entry",
        story="The proxy is broken, but NO_PROXY exempts the target, and the direct way works.",
        setting=replace(
            behind_proxy("closed", direct=FRONTEND_WEB),
            environment={"HTTPS_PROXY": f"http://{PROXY}:3128", "NO_PROXY": ".clouddatahub.net"},
        ),
        expect=HEALTHY,
    ),
)
