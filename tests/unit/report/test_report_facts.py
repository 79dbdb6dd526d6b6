"""Facts: one observation in words."""

from __future__ import annotations

import pytest

from netdiag.model import (
    DnsObservation,
    Failure,
    IcmpError,
    ProxyObservation,
    ProxySelection,
    TcpInfo,
    TcpObservation,
    TlsObservation,
)
from netdiag.report import facts, phrases
from tests.unit.report import handmade


@pytest.mark.parametrize(
    ("failure", "took_s", "words"),
    [
        (Failure(kind="timeout", step="connect", detail="no answer in time"), 8.0, "no answer to connect in 8.0 s"),
        (Failure(kind="timeout", step="lookup", detail="Temporary failure"), 0.0, "no answer: Temporary failure"),
        (Failure(kind="refused", step="connect", detail="ECONNREFUSED"), 0.1, "refused"),
        (Failure(kind="unknown", step="connect", detail="EWEIRD"), 0.1, "failed: EWEIRD"),
        (Failure(kind="reset", step="handshake", detail="Connection reset"), 0.1, "connection reset"),
        (Failure(kind="reset", step="handshake", detail="by peer"), 0.1, "connection reset: by peer"),
    ],
)
def test_failure_words(failure, took_s, words):
    assert phrases.failure_words(failure, took_s) == words


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("CN=Contoso CA,O=Contoso", "Contoso CA"),
        ("O=Contoso, CN=Contoso CA", "Contoso CA"),
        (r"O=x,CN=Contoso\, Inc. CA,C=US", "Contoso, Inc. CA"),
        ("O=Contoso", "O=Contoso"),
        ("", ""),
    ],
)
def test_common_name(name, shown):
    assert phrases.common_name(name) == shown


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        (handmade.AT, "83 days left"),
        (handmade.AT + 83.6 * handmade.DAY, "expired on 2025-09-07"),
        (handmade.AT - 101 * handmade.DAY, "valid only from 2025-03-07"),
    ],
)
def test_validity(at, shown):
    assert phrases.validity(handmade.LEAF, at) == shown


def failed(kind, step="x", detail=""):
    return {"outcome": "failed", "failure": Failure(kind=kind, step=step, detail=detail)}


@pytest.mark.parametrize(
    ("observation", "shown"),
    [
        (
            TcpObservation(
                id="x", address="a", port=1, took_s=8.0, info=TcpInfo(retransmits=3), **failed("timeout", "connect")
            ),
            "no answer to connect in 8.0 s, 3 SYNs sent again",
        ),
        (
            TcpObservation(
                id="x",
                address="a",
                port=1,
                icmp=IcmpError(version=4, type=3, code=13, offender="10.0.0.1"),
                **failed("prohibited"),
            ),
            "forbidden by a filter on the way, ICMPv4 type 3 code 13 from 10.0.0.1",
        ),
        (
            DnsObservation(
                id="x", asker="name-server", name="b", qtype="A", truncated=True, attempts=2, addresses=("c",)
            ),
            "b A: c, truncated, asked again over TCP, asked 2 times",
        ),
        (
            DnsObservation(id="x", asker="name-server", name="a", qtype="A", configured=False, rcode="NOERROR"),
            "A: NOERROR, no address, asked because of --resolver",
        ),
        (DnsObservation(id="x", asker="system", name="a", outcome="not-run"), "not waited for"),
        (DnsObservation(id="x", asker="hosts-file", name="a"), "no entry"),
        (ProxySelection(id="x", because="NO_PROXY", setting=".corp"), "no proxy (NO_PROXY): .corp"),
        (
            ProxySelection(id="x", proxies=("http://p:1",), because="--proxy", setting="http://p:1"),
            "proxy http://p:1 (--proxy)",
        ),
        (
            ProxyObservation(
                id="x",
                proxy="http://p:1",
                status=407,
                reason="Authentication Required",
                offered=("Basic", "NTLM"),
                tried="Basic",
                **failed("proxy-authentication"),
            ),
            "http://p:1, 407 Authentication Required, the proxy wants a login, offers Basic, NTLM, tried Basic",
        ),
        (
            ProxyObservation(id="x", proxy="http://p:1", status=503, reason="Oops", **failed("proxy-status")),
            "http://p:1 answers 503 Oops",
        ),
        (
            TlsObservation(
                id="x",
                address="a",
                port=1,
                bytes_sent=517,
                not_tls="HTTP/1.1 400",
                offered=("TLSv1.2", "TLSv1.2"),
                **failed("tls-malformed"),
            ),
            'the answer is not TLS, 517 bytes sent, 0 received, answered "HTTP/1.1 400" (no SNI, offered TLSv1.2)',
        ),
    ],
)
def test_describe(observation, shown):
    assert facts.describe(observation, "a") == shown
