"""Names that do not resolve, or not to what they should."""

from __future__ import annotations

from dataclasses import replace

from netdiag.world.names import Name
from netdiag.world.scenes.scene import (
    FRONTEND,
    FRONTEND_AT,
    FRONTEND_WEB,
    NAME_SERVER,
    OTHER_NAME_SERVER,
    SITE,
    ZONE,
    Expectation,
    Scene,
    named,
)
from netdiag.world.setting import HOSTS

SCENES = (
    Scene(
        name="name-not-found",
        story="The name server says that the name does not exist.",
        setting=replace(SITE, zones={NAME_SERVER: {}}),
        expect=Expectation(status="failed", finding="dns.name-not-found", blame="dns"),
    ),
    Scene(
        name="name-without-address",
        story="The name exists, and has no address.",
        setting=replace(SITE, zones={NAME_SERVER: named(Name())}),
        expect=Expectation(status="failed", finding="dns.no-address", blame="dns"),
    ),
    Scene(
        name="dns-server-failure",
        story="The name server answers SERVFAIL: it cannot reach the servers of that domain.",
        setting=replace(SITE, zones={NAME_SERVER: named(Name(rcode="SERVFAIL"))}),
        expect=Expectation(status="failed", finding="dns.server-failure", blame="dns"),
    ),
    Scene(
        name="dns-refused",
        story="The name server answers REFUSED: it does not serve this machine.",
        setting=replace(SITE, zones={NAME_SERVER: named(Name(rcode="REFUSED"))}),
        expect=Expectation(status="failed", finding="dns.refused", blame="dns"),
    ),
    Scene(
        name="dns-silent",
        story="Neither of the two name servers answers.",
        setting=replace(
            SITE, zones={NAME_SERVER: named(Name(silent=True)), OTHER_NAME_SERVER: named(Name(silent=True))}
        ),
        expect=Expectation(status="failed", finding="dns.timeout", blame="dns"),
    ),
    Scene(
        name="resolvers-disagree",
        story="The second name server knows an old address that nobody else does.",
        setting=replace(SITE, zones={NAME_SERVER: ZONE, OTHER_NAME_SERVER: named(Name(addresses=("40.78.245.16",)))}),
        expect=Expectation(status="impaired", finding="dns.resolvers-disagree", blame="dns"),
    ),
    Scene(
        name="hosts-override",
        story="A forgotten line of the hosts file sends the name to an address where nothing answers.",
        setting=replace(SITE, hosts=f"{HOSTS}20.42.132.77 {FRONTEND}\n"),
        expect=Expectation(status="failed", finding="dns.hosts-override", blame="this-machine"),
    ),
    Scene(
        name="hosts-entry-works",
        story="A line of the hosts file gives another address than the name server; both answer.",
        setting=replace(
            SITE,
            hosts=f"{HOSTS}20.42.132.77 {FRONTEND}\n",
            servers={FRONTEND_AT: FRONTEND_WEB, "20.42.132.77:443": FRONTEND_WEB},
        ),
        expect=Expectation(status="impaired", finding="dns.hosts-override", blame="this-machine"),
    ),
    Scene(
        name="dns-sinkhole",
        story="A DNS filter answers with this machine's own address, where nothing listens.",
        setting=replace(
            SITE, zones={NAME_SERVER: named(Name(addresses=("127.0.0.1",)))}, servers={"127.0.0.1:443": "closed"}
        ),
        expect=Expectation(status="failed", finding="dns.private-address", blame="dns"),
    ),
    Scene(
        name="localhost-broken",
        story="The hosts file has lost its localhost lines, and no name server knows that name.",
        setting=replace(SITE, hosts="# 127.0.0.1 localhost\n# ::1 localhost\n"),
        expect=Expectation(status="impaired", finding="dns.localhost-broken", blame="this-machine"),
    ),
)
