"""Names that resolve to addresses which do not answer."""

from __future__ import annotations

from netdiag.world.names import Name
from netdiag.world.scenes.scene import (
    FRONTEND_AT,
    FRONTEND_V4,
    FRONTEND_V6,
    FRONTEND_WEB,
    NAME_SERVER,
    Expectation,
    Scene,
    named,
    served_by,
)
from netdiag.world.setting import Setting

SCENES = (
    Scene(
        name="port-refused",
        story="The front end's address refuses connections to port 443.",
        setting=served_by("closed"),
        expect=Expectation(status="failed", finding="tcp.refused", blame="server"),
    ),
    Scene(
        name="port-silent",
        story="A firewall drops everything on the way to port 443.",
        setting=served_by("dropped"),
        expect=Expectation(status="failed", finding="tcp.no-reply", blame="path-device"),
    ),
    Scene(
        name="ipv6-dead",
        story="The front end has an IPv6 address that does not answer, and an IPv4 address that does.",
        setting=Setting(
            zones={NAME_SERVER: named(Name(addresses=(FRONTEND_V4, FRONTEND_V6)))},
            servers={FRONTEND_AT: FRONTEND_WEB, f"[{FRONTEND_V6}]:443": "dropped"},
        ),
        expect=Expectation(status="impaired", finding="tcp.no-reply", blame="path-device"),
    ),
)
