"""Connections that open, and handshakes that do not come to an end."""

from __future__ import annotations

from dataclasses import replace

from netdiag.world.authority import Handshake
from netdiag.world.scenes.scene import FRONTEND, FRONTEND_WEB, LEAF, OK, Expectation, Scene, served_by
from netdiag.world.setting import HelloFilter, Web

SCENES = (
    Scene(
        name="tls-1.0-only",
        story="The server speaks nothing newer than TLS 1.0.",
        setting=served_by(replace(FRONTEND_WEB, handshake=Handshake(newest="TLSv1"))),
        expect=Expectation(status="failed", finding="tls.version-unsupported", blame="server"),
    ),
    Scene(
        name="sni-filtered",
        story="A firewall resets handshakes that name this server, and lets all others through.",
        setting=served_by(HelloFilter(names=(FRONTEND,), behind=FRONTEND_WEB)),
        expect=Expectation(status="failed", finding="tls.sni-filtered", blame="path-device"),
    ),
    Scene(
        name="handshake-reset",
        story="Every connection is reset right after the ClientHello, whatever name it carries.",
        setting=served_by(HelloFilter(how="reset")),
        expect=Expectation(status="failed", finding="tls.interrupted", blame="unknown"),
    ),
    Scene(
        name="handshake-closed",
        story="Every connection is closed right after the ClientHello, without an alert.",
        setting=served_by(HelloFilter(how="close")),
        expect=Expectation(status="failed", finding="tls.interrupted", blame="unknown"),
    ),
    Scene(
        name="client-certificate",
        story="The server wants a certificate from the client.",
        setting=served_by(replace(FRONTEND_WEB, handshake=Handshake(client_certificate=True))),
        expect=Expectation(status="failed", finding="tls.client-certificate-required", blame="this-machine"),
    ),
    Scene(
        name="client-certificate-tls12",
        story="The same with TLS 1.2, which says so in the handshake already.",
        setting=served_by(replace(FRONTEND_WEB, handshake=Handshake(newest="TLSv1.2", client_certificate=True))),
        expect=Expectation(status="failed", finding="tls.client-certificate-required", blame="this-machine"),
    ),
    Scene(
        name="plain-http",
        story="Port 443 speaks HTTP without TLS.",
        setting=served_by(Web(answer=OK)),
        expect=Expectation(status="failed", finding="tls.handshake-failed", blame="server"),
    ),
    Scene(
        name="firewall-inspects",
        story="A firewall without any proxy setting opens TLS with an authority that this machine does not trust.",
        setting=served_by(replace(FRONTEND_WEB, leaf=replace(LEAF, issuer="inspection"))),
        expect=Expectation(status="failed", finding="tls.intercepted", blame="tls-interceptor"),
    ),
)
