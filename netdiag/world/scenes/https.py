"""Servers that answer, and not with what was asked for."""

from __future__ import annotations

from dataclasses import replace

from netdiag.world.authority import Leaf
from netdiag.world.names import Name
from netdiag.world.scenes.scene import (
    FRONTEND_AT,
    FRONTEND_WEB,
    NAME_SERVER,
    OK,
    ZONE,
    Expectation,
    Scene,
    served_by,
)
from netdiag.world.setting import Answer, Setting, Web

_HTML = ("Content-Type", "text/html; charset=utf-8")

_PORTAL = "portal.hotel-bellevue.example"
_PORTAL_V4 = "192.0.2.80"
_TO_PORTAL = Answer(status=302, reason="Found", headers=(("Location", f"https://{_PORTAL}/login"),))

SCENES = (
    Scene(
        name="block-page",
        story="A web filter answers in the server's place with its block page.",
        setting=served_by(
            replace(
                FRONTEND_WEB,
                answer=Answer(
                    status=403,
                    reason="Forbidden",
                    headers=(("Server", "FortiGate"), _HTML),
                    body="<html><head><title>Web Page Blocked</title></head><body><h1>FortiGuard Intrusion Prevention"
                    " - Access Blocked</h1><p>Web Page Blocked. You have tried to access a web page that is in"
                    " violation of your Internet usage policy. Category: Unrated</p></body></html>",
                ),
            )
        ),
        expect=Expectation(status="failed", finding="https.block-page", blame="path-device"),
    ),
    Scene(
        name="captive-portal",
        story="A guest network answers for everyone with its own certificate, and redirects to its sign-in page.",
        setting=served_by(Web(leaf=Leaf(names=(_PORTAL,)), answer=_TO_PORTAL)),
        expect=Expectation(status="failed", finding="https.block-page", blame="path-device"),
    ),
    Scene(
        name="redirected",
        story="The front end redirects to a sign-in page on another server.",
        setting=Setting(
            zones={NAME_SERVER: {**ZONE, _PORTAL: Name(addresses=(_PORTAL_V4,))}},
            servers={
                FRONTEND_AT: replace(FRONTEND_WEB, answer=_TO_PORTAL),
                f"{_PORTAL_V4}:443": Web(
                    leaf=Leaf(names=(_PORTAL,)),
                    answer=Answer(
                        status=200,
                        reason="OK",
                        headers=(_HTML,),
                        body="<html><head><title>Sign in</title></head><body>Sign in to go on.</body></html>",
                    ),
                ),
            },
        ),
        expect=Expectation(status="impaired", finding="https.redirected", blame="unknown"),
    ),
    Scene(
        name="service-unavailable",
        story="The front end answers 503: it is overloaded or in maintenance.",
        setting=served_by(replace(FRONTEND_WEB, answer=replace(OK, status=503, reason="Service Unavailable", body=""))),
        expect=Expectation(status="failed", finding="https.unexpected-status", blame="azure-service"),
    ),
    Scene(
        name="server-hangs",
        story="The front end takes the request and never answers.",
        setting=served_by(replace(FRONTEND_WEB, answer=None)),
        expect=Expectation(status="failed", finding="https.no-answer", blame="server"),
    ),
)
