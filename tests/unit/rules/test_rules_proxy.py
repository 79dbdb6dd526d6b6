"""Observations -> exactly these findings."""

from __future__ import annotations

from typing import Any

import pytest

import netdiag.rules
from netdiag.model import (
    DnsObservation,
    Failure,
    FailureKind,
    Finding,
    HttpsObservation,
    Observation,
    ProxyObservation,
    ProxySelection,
    Route,
    Severity,
    Target,
    TcpObservation,
    TlsObservation,
)
from netdiag.rules import CATALOGUE, Seen, findings
from netdiag.rules.registry import Hit

TARGET = Target(host="wu2.frontend.example")
PROXY = "http://proxy.corp:8080"
SELECTION = ProxySelection(id="proxy.selection", route="proxy", proxies=(PROXY,), because="HTTPS_PROXY", setting=PROXY)


def judge(*observations: Observation, route: Route = "proxy") -> tuple[Finding, ...]:
    """The findings of the proxy rules; those of other rungs are theirs to test."""
    seen = Seen(TARGET, route, observations)
    return tuple(finding for finding in findings(seen) if finding.id.startswith("proxy."))


def one(*observations: Observation, route: Route = "proxy") -> Finding:
    found = judge(*observations, route=route)
    assert len(found) == 1
    return found[0]


def failed(kind: FailureKind, detail: str = "") -> dict[str, Any]:
    return {"outcome": "failed", "failure": Failure(kind=kind, step="s", detail=detail)}


def tcp(address: str, kind: FailureKind | None = None, **more: Any) -> TcpObservation:
    fields = {"id": f"tcp.{address}", "parent": "dns.proxy", "route": "proxy", "peer": "proxy", "port": 8080} | more
    return TcpObservation(address=address, **fields, **(failed(kind) if kind else {}))


def dns(kind: str = "", addresses: tuple[str, ...] = (), **more: Any) -> DnsObservation:
    fields = {"id": "dns.proxy", "route": "proxy", "asker": "system", "name": "proxy.corp"} | more
    return DnsObservation(addresses=addresses, **fields, **(failed(kind) if kind else {}))


def tunnel(kind: str = "", detail: str = "", **more: Any) -> ProxyObservation:
    fields = {"id": "proxy.1", "parent": "tcp.10.0.0.1", "route": "proxy", "proxy": PROXY} | more
    return ProxyObservation(**fields, **(failed(kind, detail) if kind else {}))


SOCKS = {"proxy": "socks5://proxy.corp:1080"}
DIRECT = TlsObservation(id="tls.direct.main", route="direct", address="192.0.2.1", port=443)
REACHED = (SELECTION, dns(addresses=("10.0.0.1",)), tcp("10.0.0.1"))
BROKEN_PAC = ProxySelection(id="s", because="PAC http://wpad/p", **failed("pac-error", "the server answered 404"))
MALFORMED = ProxySelection(id="s", because="HTTPS_PROXY", setting="p:x", **failed("proxy-setting", "port 'x'"))


@pytest.mark.parametrize(
    ("observations", "expected"),
    [
        ((), []),
        (REACHED, []),
        ((*REACHED, tunnel()), []),
        ((SELECTION, tcp("10.0.0.1", "refused")), ["proxy.unreachable"]),
        ((SELECTION, tcp("10.0.0.1", "timeout"), tcp("10.0.0.2", "refused")), ["proxy.unreachable"]),
        ((SELECTION, tcp("10.0.0.1", "timeout"), tcp("10.0.0.2")), []),
        ((SELECTION, tcp("10.0.0.1", "timeout", peer="target")), []),
        ((SELECTION, tcp("10.0.0.1", outcome="not-run")), []),
        ((SELECTION, dns("nxdomain")), ["proxy.unreachable"]),
        ((SELECTION, dns()), ["proxy.unreachable"]),
        ((SELECTION, dns("nxdomain", name="other.example")), []),
        ((SELECTION, dns("timeout", asker="name-server", id="dns.ns"), dns(addresses=("10.0.0.1",))), []),
        ((dns("nxdomain"),), ["proxy.unreachable"]),
        ((*REACHED, tunnel("not-a-proxy", "the port answers in TLS")), ["proxy.not-a-proxy"]),
        ((*REACHED, tunnel("proxy-authentication", status=407)), ["proxy.authentication-required"]),
        ((*REACHED, tunnel("proxy-status", status=403)), ["proxy.forbidden"]),
        ((*REACHED, tunnel("proxy-status", status=302)), ["proxy.forbidden"]),
        ((*REACHED, tunnel("proxy-status", status=511)), ["proxy.forbidden"]),
        ((*REACHED, tunnel("proxy-status", status=500)), ["proxy.cannot-reach-target"]),
        ((*REACHED, tunnel("proxy-status", status=502)), ["proxy.cannot-reach-target"]),
        ((*REACHED, tunnel("proxy-status", status=503)), ["proxy.cannot-reach-target"]),
        ((*REACHED, tunnel("proxy-status", status=504)), ["proxy.cannot-reach-target"]),
        ((*REACHED, tunnel("proxy-status", status=2, **SOCKS)), ["proxy.forbidden"]),
        *[
            ((*REACHED, tunnel("proxy-status", status=code, **SOCKS)), ["proxy.cannot-reach-target"])
            for code in (1, 3, 4, 5, 6, 7, 8)
        ],
        ((*REACHED, tunnel("timeout")), ["proxy.no-answer"]),
        ((*REACHED, tunnel("eof")), ["proxy.no-answer"]),
        ((*REACHED, tunnel("reset")), ["proxy.no-answer"]),
        ((*REACHED, tunnel("unknown", "certificate verify failed")), ["proxy.no-answer"]),
        ((*REACHED, tunnel("proxy-status", status=403), tunnel(id="proxy.2")), []),
        ((BROKEN_PAC,), ["proxy.setting-invalid"]),
        ((MALFORMED,), ["proxy.setting-invalid"]),
    ],
)
def test_findings(observations: tuple[Observation, ...], expected: list[str]) -> None:
    found = judge(*observations)
    assert [finding.id for finding in found] == expected
    for finding in found:
        assert finding.severity is Severity.ERROR
        assert finding.blame == "proxy"
        assert finding.evidence
        assert finding.culprit is not None
        assert finding.summary.endswith((".", '"'))


@pytest.mark.parametrize("kind", ["proxy-status", "proxy-authentication", "eof", "not-a-proxy"])
def test_only_the_way_that_applications_take_counts(kind: str) -> None:
    assert judge(*REACHED, tunnel(kind, status=403), tcp("10.0.0.9", "refused"), route="direct") == ()


def _all_evidence(*observations: Observation) -> Hit:
    return Hit(summary="s", blame="unknown", remedy="r", evidence=observations)


def test_symptoms_fold_into_an_unreachable_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    import msgspec

    def symptom(identifier: str, kind: type[Observation]) -> None:
        entry = CATALOGUE[identifier]

        def bad(seen: Seen) -> list[Hit]:
            return [_all_evidence(o) for o in seen.of(kind) if o.failure]

        monkeypatch.setitem(CATALOGUE, identifier, msgspec.structs.replace(entry, check=bad))

    for identifier, kind in (("tcp.refused", TcpObservation), ("dns.name-not-found", DnsObservation)):
        symptom(identifier, kind)
    refused = findings(Seen(TARGET, "proxy", (SELECTION, dns(addresses=("10.0.0.1",)), tcp("10.0.0.1", "refused"))))
    assert [(finding.id, finding.folded) for finding in refused] == [("proxy.unreachable", ("tcp.refused",))]
    unknown = findings(Seen(TARGET, "proxy", (SELECTION, dns("nxdomain"))))
    assert [(finding.id, finding.folded) for finding in unknown] == [("proxy.unreachable", ("dns.name-not-found",))]


def test_every_tcp_and_dns_error_folds() -> None:
    assert {"tcp.refused", "tcp.no-reply", "tcp.unreachable", "tcp.prohibited"} <= set(
        CATALOGUE["proxy.unreachable"].folds
    )
    errors = {
        entry.id for entry in CATALOGUE.values() if entry.id.startswith("dns.") and entry.severity is Severity.ERROR
    } - {"dns.localhost-broken", "dns.hosts-override"}
    assert errors <= set(CATALOGUE["proxy.unreachable"].folds)


@pytest.mark.parametrize(
    "broken",
    [
        tunnel("proxy-status", status=403),
        tunnel("proxy-status", status=503),
        tunnel("proxy-authentication", status=407),
        tunnel("not-a-proxy"),
        tunnel("eof"),
        tcp("10.0.0.1", "refused"),
        dns("nxdomain"),
    ],
)
def test_the_direct_way_is_named_when_it_works(broken: Observation) -> None:
    through = one(SELECTION, broken, DIRECT)
    assert "bypasslist" in through.remedy
    assert TARGET.host in through.remedy
    assert "bypasslist" not in one(SELECTION, broken).remedy
    refused = HttpsObservation(id="https.direct", route="direct", url="https://x/", **failed("eof"))
    assert "bypasslist" not in one(SELECTION, broken, DIRECT, refused).remedy


@pytest.mark.parametrize(
    ("fields", "summary", "remedy"),
    [
        ({"offered": ("Negotiate", "NTLM")}, "no credentials for it. It offers Negotiate, NTLM.", "domain account"),
        ({"offered": ("Basic",)}, "no credentials for it. It offers Basic.", "Set a user name"),
        (
            {"offered": ("NTLM",), "tried": "NTLM", "credentials": True},
            "refused the credentials sent with NTLM",
            "DOMAIN",
        ),
        ({"offered": ("Basic",), "tried": "Basic", "credentials": True}, "refused the credentials", "Correct the user"),
        ({"offered": ("Digest",), "credentials": True}, "could not be used: why not", "Set a user name"),
    ],
)
def test_a_login_in_words(fields: dict[str, Any], summary: str, remedy: str) -> None:
    finding = one(*REACHED, tunnel("proxy-authentication", "why not", status=407, **fields))
    assert summary in finding.summary
    assert PROXY in finding.summary
    assert remedy in finding.remedy


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        (
            {"status": 503, "headers": (("X-Squid-Error", "ERR_DNS_FAIL 0"),)},
            "cannot resolve the name (503, ERR_DNS_FAIL)",
        ),
        ({"status": 503, "reason": "No"}, "cannot connect, or is overloaded (503 No)"),
        ({"status": 505}, "gives no reason (505)"),
        ({"status": 5, "reason": "connection refused", **SOCKS}, "refuses the proxy's connection (reply 5 (conn"),
    ],
)
def test_the_proxy_s_own_reason(fields: dict[str, Any], says: str) -> None:
    finding = one(*REACHED, tunnel("proxy-status", **fields))
    assert says in finding.summary
    assert TARGET.authority in finding.summary


def test_the_proxy_s_page_is_quoted_as_text() -> None:
    page = (
        "<html><!-- a > b --><style type='text/css'>p { x }</STYLE><b>Blocked:</b>\n category <i>cloud</i>"
        " &amp; more</html><script>x"
    )
    finding = one(
        *REACHED, tunnel("proxy-status", status=403, reason="Forbidden", body=page, headers=(("X-Squid-Error", "E 0"),))
    )
    assert '"Blocked: category cloud &amp; more"' in finding.summary
    assert "403 Forbidden, E." in finding.summary


def test_a_tls_port_set_as_http() -> None:
    finding = one(*REACHED, tunnel("not-a-proxy", "the port answers in TLS"))
    assert "https://proxy.corp:8080" in finding.remedy


def test_a_broken_script_is_a_warning_while_the_direct_way_works() -> None:
    assert one(BROKEN_PAC, DIRECT, route="direct").severity is Severity.WARNING
    assert one(MALFORMED, DIRECT, route="direct").severity is Severity.ERROR


def test_a_broken_script_explains_that_the_direct_way_fails() -> None:
    first = tcp("192.0.2.1", "timeout", route="direct", peer="target", parent=None)
    second = tcp("192.0.2.2", route="direct", peer="target", parent=None)
    assert one(BROKEN_PAC, first, route="direct").evidence == ("s", "tcp.192.0.2.1")
    assert one(BROKEN_PAC, first, second, route="direct").evidence == ("s",)


@pytest.mark.parametrize(
    ("observation", "remedy"),
    [
        (tcp("10.0.0.1", "local-policy"), "this machine's own firewall"),
        (tcp("10.0.0.1", "timeout"), "that the proxy runs"),
        (dns("nxdomain"), "Correct the proxy's name"),
        (dns("timeout"), "Make the name servers"),
        (dns(), "Correct the proxy's name"),
    ],
)
def test_the_remedy_fits_the_failure(observation: Observation, remedy: str) -> None:
    assert remedy in one(SELECTION, observation).remedy


def test_the_rules_are_in_the_order_of_the_ladder() -> None:
    ids = [identifier for identifier in netdiag.rules.CATALOGUE if identifier.startswith("proxy.")]
    assert ids == [
        "proxy.setting-invalid",
        "proxy.unreachable",
        "proxy.not-a-proxy",
        "proxy.authentication-required",
        "proxy.forbidden",
        "proxy.cannot-reach-target",
        "proxy.no-answer",
    ]


@pytest.mark.parametrize("identifier", [identifier for identifier in CATALOGUE if identifier.startswith("proxy.")])
def test_explanations_fit_the_page(identifier: str) -> None:
    lines = CATALOGUE[identifier].explanation.splitlines()
    assert max(map(len, lines)) <= 100
    assert len([line for line in lines if not line]) >= 3
