"""Certificates that are not what they should be, and machines that think so without reason."""

from __future__ import annotations

from dataclasses import replace

from netdiag.world.authority import DAY_S, Leaf
from netdiag.world.names import Name
from netdiag.world.scenes.scene import FRONTEND_WEB, LEAF, NAME_SERVER, SITE, Expectation, Scene, served_by
from netdiag.world.setting import Setting

_INTERNAL = "files.contoso.com"
_INTERNAL_LEAF = Leaf(names=(_INTERNAL,), issuer="private")


def _presents(leaf: Leaf) -> Setting:
    return served_by(replace(FRONTEND_WEB, leaf=leaf))


def _internal(leaf: Leaf) -> Setting:
    """A server of the company itself."""
    return Setting(
        zones={NAME_SERVER: {_INTERNAL: Name(addresses=("203.0.113.20",))}},
        servers={"203.0.113.20:443": replace(FRONTEND_WEB, leaf=leaf)},
    )


SCENES = (
    Scene(
        name="expired",
        story="The server's certificate expired three days ago.",
        setting=_presents(replace(LEAF, starts_s=-90 * DAY_S, ends_s=-3 * DAY_S)),
        expect=Expectation(status="failed", finding="chain.expired", blame="server"),
    ),
    Scene(
        name="not-yet-valid",
        story="The server's certificate becomes valid in three days; this machine's clock is right.",
        setting=_presents(replace(LEAF, starts_s=3 * DAY_S)),
        expect=Expectation(status="failed", finding="chain.not-yet-valid", blame="server"),
    ),
    Scene(
        name="wrong-name",
        story="The server presents a certificate for another region's name.",
        setting=_presents(replace(LEAF, names=("ne.frontend.datamovement.azure.cn",))),
        expect=Expectation(status="failed", finding="tls.name-mismatch", blame="server"),
    ),
    Scene(
        name="missing-intermediate",
        story="The server presents its own certificate only, without the one that signed it.",
        setting=_presents(replace(LEAF, with_intermediate=False)),
        expect=Expectation(status="failed", finding="chain.incomplete", blame="server"),
    ),
    Scene(
        name="private-root",
        story="A server of the company has a certificate of its own authority, which this machine does not know.",
        setting=_internal(_INTERNAL_LEAF),
        target=_INTERNAL,
        expect=Expectation(status="failed", finding="chain.untrusted-root", blame="server"),
    ),
    Scene(
        name="root-missing",
        story="The chain ends in a public root that was removed from this machine's store.",
        setting=replace(SITE, trust=("private",)),
        expect=Expectation(status="failed", finding="chain.root-missing-locally", blame="this-machine"),
    ),
    Scene(
        name="clock-behind",
        story="This machine's clock is a day behind, so a certificate of this morning is not valid yet.",
        setting=replace(_presents(replace(LEAF, starts_s=-0.1 * DAY_S)), clock_offset_s=-DAY_S),
        expect=Expectation(status="failed", finding="chain.clock-skew", blame="this-machine"),
    ),
    Scene(
        name="clock-ahead",
        story="This machine's clock is 90 days ahead, so a good certificate looks expired.",
        setting=replace(SITE, clock_offset_s=90 * DAY_S),
        expect=Expectation(status="failed", finding="chain.clock-skew", blame="this-machine"),
    ),
    Scene(
        name="for-clients-only",
        story="The server presents a certificate that was issued for clients.",
        setting=_presents(replace(LEAF, flaw="for-clients")),
        expect=Expectation(status="failed", finding="chain.purpose-mismatch", blame="server"),
    ),
    Scene(
        name="tampered",
        story="The certificate of a server of the company was changed after it was signed.",
        setting=replace(_internal(replace(_INTERNAL_LEAF, flaw="tampered")), trust=("public", "private")),
        target=_INTERNAL,
        expect=Expectation(status="failed", finding="chain.bad-signature", blame="server"),
    ),
    Scene(
        name="issuer-is-no-authority",
        story="The authority that signed the certificate of a server of the company is none by its own certificate.",
        setting=replace(_internal(replace(_INTERNAL_LEAF, flaw="issuer-is-no-ca")), trust=("public", "private")),
        target=_INTERNAL,
        expect=Expectation(status="failed", finding="chain.not-a-ca", blame="server"),
    ),
)
