"""The rows of the ladder: which mark, which time, which fact."""

from __future__ import annotations

import msgspec
import pytest

from netdiag.model import (
    ChainFault,
    DnsObservation,
    Failure,
    Finding,
    NotRun,
    Severity,
    TcpObservation,
    TlsObservation,
    Verdict,
)
from netdiag.report.ladder import ladder, rung_of
from tests.unit.report import handmade

HEALTHY = Verdict(status="healthy", finding=None, blame=None, summary="fine")


def rows(*observations, **changes):
    made = ladder(handmade.report(HEALTHY, observations, **changes))
    return {(row.rung, row.route): row for row in made.rows}


def dns(identifier, addresses=(), *, asker="name-server", failure=None, **changes):
    outcome = "failed" if failure else "ok"
    return DnsObservation(
        id=identifier,
        asker=asker,
        server="" if asker == "system" else identifier,
        name=handmade.HOST,
        addresses=tuple(addresses),
        outcome=outcome,
        failure=Failure(kind=failure, step="query") if failure else None,
        took_s=0.01,
        **changes,
    )


@pytest.mark.parametrize(
    ("observations", "mark", "fact"),
    [
        ([dns("system", ["192.0.2.1"], asker="system")], "ok", "192.0.2.1"),
        (
            [dns("system", ["192.0.2.1"], asker="system"), dns("A", ["192.0.2.1"]), dns("B", ["192.0.2.9"])],
            "ok",
            "192.0.2.1; A says the same; B says 192.0.2.9",
        ),
        (
            [dns("system", ["192.0.2.1"], asker="system"), dns("A", failure="servfail")],
            "ok",
            "192.0.2.1; A: the name server failed (SERVFAIL)",
        ),
        ([dns("system", failure="nxdomain", asker="system"), dns("A", ["192.0.2.1"])], "failed", None),
        ([dns("A", ["192.0.2.1"])], "ok", "A says 192.0.2.1"),
        (
            [dns("system", [f"192.0.2.{n}" for n in range(5)], asker="system")],
            "ok",
            "192.0.2.0, 192.0.2.1 and 3 more",
        ),
    ],
)
def test_dns(observations, mark, fact):
    row = rows(*observations)["dns", "direct"]
    assert row.mark == mark
    assert fact is None or row.fact == fact


def test_a_lookup_that_nobody_waited_for_has_no_row():
    assert rows(dns("system", asker="system").__class__(id="s", asker="system", name="x", outcome="not-run")) == {}


def test_one_dead_address_of_two_leaves_the_rung_standing():
    dead = handmade.tcp(
        id="dead", address="2001:db8::1", outcome="failed", failure=Failure(kind="refused", step="connect")
    )
    row = rows(handmade.tcp(), dead)["tcp", "direct"]
    assert (row.mark, row.took_s) == ("ok", 0.0312)
    assert row.fact.endswith("[2001:db8::1]:443: refused, kernel round trip 30.1 ms") is False
    assert "[2001:db8::1]:443: refused" in row.fact


def test_all_dead_addresses_fail_the_rung_and_the_longest_wait_is_its_time():
    failure = Failure(kind="timeout", step="connect")
    attempts = [
        TcpObservation(id=str(n), address="192.0.2.1", port=443, outcome="failed", failure=failure, took_s=n)
        for n in (1.0, 8.0)
    ]
    row = rows(*attempts)["tcp", "direct"]
    assert (row.mark, row.took_s) == ("failed", 8.0)


@pytest.mark.parametrize(
    ("control", "words"),
    [
        ({"purpose": "tls1.2-only", "version": "TLSv1.2"}, "; TLSv1.2 taken too"),
        (
            {
                "purpose": "tls1.2-only",
                "outcome": "failed",
                "failure": Failure(kind="tls-alert", step="handshake"),
                "version": "",
            },
            "; TLSv1.2 not taken",
        ),
        (
            {
                "purpose": "tls1.2-only",
                "outcome": "failed",
                "failure": Failure(kind="timeout", step="handshake"),
                "version": "",
            },
            "",
        ),
        ({"purpose": "legacy-versions", "version": "TLSv1"}, "; TLSv1 taken"),
        ({"purpose": "other-name"}, ""),
    ],
)
def test_tls_controls_add_to_the_fact(control, words):
    row = rows(handmade.tls(), handmade.tls(id="control", **control))["tls", "direct"]
    assert row.fact == f"TLSv1.3 TLS_AES_256_GCM_SHA384 ALPN h2{words}"
    assert row.mark == "ok"


def test_a_chain_with_a_fault_is_marked_even_on_the_way_that_no_rule_judges():
    fault = ChainFault(kind="expired", element=0, subject="CN=x", detail="expired yesterday")
    made = rows(handmade.chain(faults=(fault,)), route="proxy")
    assert made["chain", "direct"].mark == "failed"
    assert made["chain", "direct"].fact.startswith("expired: x, issuer Microsoft TLS G2")


def finding(identifier, severity, *evidence, folded=()):
    return Finding(
        id=identifier,
        severity=severity,
        summary="s",
        blame="server",
        remedy="r",
        evidence=evidence,
        folded=folded,
    )


@pytest.mark.parametrize(
    ("found", "route", "marks"),
    [
        ([finding("chain.weak-signature", Severity.WARNING, "chain.direct")], "direct", ("ok", "warning")),
        ([finding("chain.expired", Severity.ERROR, "chain.direct")], "direct", ("ok", "failed")),
        ([finding("chain.expired", Severity.ERROR, "chain.direct")], "proxy", ("ok", "ok")),
        ([finding("tls.intercepted", Severity.ERROR, "chain.direct")], "direct", ("failed", "ok")),
        (
            [finding("tls.intercepted", Severity.ERROR, "chain.direct", folded=("chain.untrusted-root",))],
            "direct",
            ("failed", "failed"),
        ),
        ([finding("tls.name-mismatch", Severity.INFO, "chain.direct")], "direct", ("ok", "ok")),
    ],
)
def test_findings_mark_the_rung_of_their_stem_on_the_way_in_use(found, route, marks):
    made = rows(handmade.tls(), handmade.chain(), findings=tuple(found), route=route)
    assert (made["tls", "direct"].mark, made["chain", "direct"].mark) == marks


def test_what_was_not_run_says_why():
    row = rows(not_run=(NotRun(rung="tls", route="proxy", reason="no tunnel"),))["tls", "proxy"]
    assert (row.mark, row.took_s, row.fact) == ("not-run", None, "not tested: no tunnel")


def test_a_reason_is_given_once_for_each_way():
    reasons = [("tcp", "direct", "a"), ("tls", "direct", "a"), ("tls", "proxy", "a"), ("chain", "direct", "b")]
    made = rows(not_run=tuple(NotRun(rung=rung, route=route, reason=reason) for rung, route, reason in reasons))
    assert {key: row.fact for key, row in made.items()} == {
        ("tcp", "direct"): "not tested: a",
        ("tls", "direct"): "not tested",
        ("tls", "proxy"): "not tested: a",
        ("chain", "direct"): "not tested: b",
    }


def test_a_rung_that_was_cut_off_is_no_failure():
    cut = handmade.tcp(outcome="failed", failure=Failure(kind="timeout", step="connect"), took_s=0.3, info=None)
    not_run = (NotRun(rung="tcp", reason="not waited for"), NotRun(rung="tls", reason="not waited for"))
    made = rows(cut, not_run=not_run)
    assert made["tcp", "direct"].mark == "not-run"
    assert made["tcp", "direct"].fact == "192.0.2.10:443: no answer to connect in 0.3 s; not waited for"
    assert made["tls", "direct"].fact == "not tested"


def test_two_ways_when_a_proxy_applies():
    made = ladder(handmade.intercepted())
    assert (made.routes, made.used) == (("direct", "proxy"), "proxy")
    assert [row.rung for row in made.rows if row.route == "proxy"] == ["tcp", "proxy", "tls", "chain", "https"]
    assert ladder(handmade.healthy()).routes == ("direct",)


@pytest.mark.parametrize(
    ("observation", "host", "rung"),
    [
        (dns("x", asker="system"), handmade.HOST, "dns"),
        (DnsObservation(id="h", asker="hosts-file", name="x"), "x", "machine"),
        (DnsObservation(id="l", asker="system", name="localhost"), "x", "machine"),
        (DnsObservation(id="l", asker="system", name="localhost"), "localhost", "dns"),
        (TlsObservation(id="t", address="x", port=1, purpose="proxy"), "x", "proxy"),
        (TlsObservation(id="t", address="x", port=1), "x", "tls"),
    ],
)
def test_where_an_observation_stands(observation, host, rung):
    assert rung_of(observation, host) == rung


def test_an_error_on_the_other_way_is_seen_by_its_outcome():
    made = handmade.proxy_forbidden()
    found = ladder(made)
    assert found.row("tcp", "direct").mark == "failed"
    assert found.row("tcp", "proxy").mark == "ok"
    assert found.row("proxy", "proxy").mark == "failed"
    assert found.row("proxy", "direct") is None
    assert msgspec.to_builtins(made)  # the report itself is untouched data
