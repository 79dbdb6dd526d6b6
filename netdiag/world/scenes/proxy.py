"""Proxies that do not let the connection through, or look into it."""

from __future__ import annotations

from dataclasses import replace

from netdiag.world.scenes.healthy import ACCOUNT
from netdiag.world.scenes.scene import (
    FRONTEND,
    FRONTEND_ALIAS,
    NAME_SERVER,
    PROXY,
    ZONE,
    Expectation,
    Scene,
    behind_proxy,
)
from netdiag.world.setting import Answer, Banner, Proxy

_HTML = ("Content-Type", "text/html")

SCENES = (
    Scene(
        name="proxy-wants-ticket",
        story="The proxy asks for NTLM or Negotiate, and netdiag has no credentials.",
        setting=behind_proxy(
            Proxy(
                answer=Answer(
                    status=407,
                    reason="Proxy Authentication Required",
                    headers=(("Proxy-Authenticate", "Negotiate"), ("Proxy-Authenticate", "NTLM")),
                )
            )
        ),
        expect=Expectation(status="failed", finding="proxy.authentication-required", blame="proxy"),
    ),
    Scene(
        name="proxy-wrong-password",
        story="The proxy asks for Basic, and does not take the password that netdiag has.",
        setting=behind_proxy(Proxy(account=ACCOUNT)),
        credentials=(ACCOUNT[0], "Winter-2025"),
        expect=Expectation(status="failed", finding="proxy.authentication-required", blame="proxy"),
    ),
    Scene(
        name="proxy-forbids",
        story="The proxy's rules do not allow the target: 403.",
        setting=behind_proxy(
            Proxy(
                answer=Answer(
                    status=403,
                    reason="Forbidden",
                    headers=(("Server", "squid/6.10"), ("X-Squid-Error", "ERR_ACCESS_DENIED 0"), _HTML),
                    body="<html><head><title>ERROR: Access Denied</title></head>"
                    "<body><p>Access control configuration prevents your request.</p></body></html>",
                )
            )
        ),
        expect=Expectation(status="failed", finding="proxy.forbidden", blame="proxy"),
    ),
    Scene(
        name="proxy-cannot-reach-target",
        story="The proxy itself gets no answer from the target: 502.",
        setting=behind_proxy(Proxy(answer=Answer(status=502, reason="Bad Gateway", headers=(_HTML,)))),
        expect=Expectation(status="failed", finding="proxy.cannot-reach-target", blame="proxy"),
    ),
    Scene(
        name="proxy-cannot-resolve",
        story="The proxy's own name server does not know the target: 503.",
        setting=replace(behind_proxy(Proxy()), proxy_zone={}),
        expect=Expectation(status="failed", finding="proxy.cannot-reach-target", blame="proxy"),
    ),
    Scene(
        name="proxy-is-none",
        story="The proxy's port belongs to an SSH server.",
        setting=behind_proxy(Banner(text="SSH-2.0-OpenSSH_9.6\r\n")),
        expect=Expectation(status="failed", finding="proxy.not-a-proxy", blame="proxy"),
    ),
    Scene(
        name="proxy-hangs-up",
        story="What listens on the proxy's port closes the connection without a word, as a SOCKS proxy would.",
        setting=behind_proxy(Banner(text="")),
        expect=Expectation(status="failed", finding="proxy.no-answer", blame="proxy"),
    ),
    Scene(
        name="proxy-name-unknown",
        story="The proxy's name does not resolve.",
        setting=replace(behind_proxy(Proxy()), zones={NAME_SERVER: {FRONTEND: ZONE[FRONTEND_ALIAS]}}),
        expect=Expectation(status="failed", finding="proxy.unreachable", blame="proxy"),
    ),
    Scene(
        name="proxy-setting-invalid",
        story="HTTPS_PROXY holds a port that is none; the firewall drops the direct way.",
        setting=replace(behind_proxy(Proxy()), environment={"HTTPS_PROXY": f"http://{PROXY}:31280000"}),
        expect=Expectation(status="failed", finding="proxy.setting-invalid", blame="proxy"),
    ),
    Scene(
        name="proxy-refused",
        story="Nothing listens on the proxy's port.",
        setting=behind_proxy("closed"),
        expect=Expectation(status="failed", finding="proxy.unreachable", blame="proxy"),
    ),
    Scene(
        name="proxy-silent",
        story="The proxy's address does not answer.",
        setting=behind_proxy("dropped"),
        expect=Expectation(status="failed", finding="proxy.unreachable", blame="proxy"),
    ),
    Scene(
        name="proxy-inspects-untrusted",
        story="The proxy opens TLS with its own authority, which this machine does not trust.",
        setting=behind_proxy(Proxy(inspects="inspection")),
        expect=Expectation(status="failed", finding="tls.intercepted", blame="tls-interceptor"),
    ),
    Scene(
        name="proxy-inspects-trusted",
        story="The proxy opens TLS with its own authority, and this machine's store holds it.",
        setting=replace(behind_proxy(Proxy(inspects="inspection")), trust=("public", "inspection")),
        expect=Expectation(status="impaired", finding="tls.intercepted", blame="tls-interceptor"),
    ),
)
