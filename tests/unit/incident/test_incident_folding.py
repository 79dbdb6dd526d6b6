"""Findings of several reports: what is one, and what explains what."""

from __future__ import annotations

import msgspec
import pytest

from netdiag import merge_reports, read_log, rejudge
from netdiag.incident.about import SAME_CONNECTION_S, SAME_TROUBLE_S
from netdiag.incident.folding import _ACROSS, explains
from netdiag.model import (
    ChainObservation,
    Culprit,
    Failure,
    Finding,
    HttpsObservation,
    Report,
    Severity,
    Target,
    TcpObservation,
    TlsObservation,
)
from netdiag.rules import CATALOGUE
from tests.support import ROOT
from tests.unit.incident import cases


def with_finding(report: Report, *findings: Finding) -> Report:
    root = findings[0] if findings else None
    verdict = msgspec.structs.replace(report.verdict, status="failed", finding=root.id if root else None)
    return msgspec.structs.replace(report, findings=findings, verdict=verdict)


# --- one fault of several reports ------------------------------------------------------------------------------


def test_two_machines_with_one_fault_have_one_finding():
    incident = merge_reports([cases.on("tcp-drop", "node-a"), cases.on("tcp-drop", "node-b")])
    (finding,) = incident.findings
    assert (finding.id, [source.report for source in finding.sources]) == ("tcp.no-reply", ["node-a", "node-b"])
    assert finding.targets == ("wu2.frontend.clouddatahub.net:443",)
    assert finding.evidence == ()
    assert all(source.evidence for source in finding.sources)
    assert incident.verdict.finding == "tcp.no-reply"
    assert "node-a and node-b have tcp.no-reply." in incident.reasoning


def test_another_target_is_another_fault():
    incident = merge_reports([cases.golden("chain-expired"), cases.golden("tls-10-only"), cases.golden("tcp-drop")])
    assert sorted(cases.ids(incident)) == ["chain.expired", "tcp.no-reply", "tls.version-unsupported"]


@pytest.mark.parametrize(
    ("first", "second", "number"),
    [
        (None, None, 1),
        (Culprit(address="10.0.0.1", hop=2), Culprit(address="10.0.0.1", hop=5), 1),  # counted from elsewhere
        (Culprit(address="10.0.0.1"), None, 1),
        (Culprit(address="10.0.0.1"), Culprit(hop=4), 1),
        (Culprit(address="10.0.0.1"), Culprit(address="10.0.0.2"), 2),
        (Culprit(name="Zscaler"), Culprit(name="Netskope"), 2),
    ],
)
def test_the_culprit_tells_faults_apart(first, second, number):
    reports = [
        with_finding(cases.report(started=cases.AT + n), cases.finding("tls.intercepted", culprit=culprit))
        for n, culprit in enumerate((first, second))
    ]
    assert len(merge_reports(reports).findings) == number


def test_what_names_nobody_goes_with_neither_of_two():
    culprits = (Culprit(address="10.0.0.1"), Culprit(address="10.0.0.2"), None)
    reports = [
        with_finding(cases.report(started=cases.AT + n), cases.finding("tcp.no-reply", culprit=culprit))
        for n, culprit in enumerate(culprits)
    ]
    assert len(merge_reports(reports).findings) == 3


@pytest.mark.parametrize(("blame", "number"), [("path-device", 1), ("dns", 1), ("server", 2)])
def test_one_device_in_the_way_of_many_is_one_fault(blame, number):
    reports = [
        with_finding(
            cases.report(target=msgspec.structs.replace(cases.report().target, host=host)),
            cases.finding("tcp.no-reply", blame=blame, culprit=Culprit(address="10.0.0.1")),
        )
        for host in ("a.contoso.test", "b.contoso.test")
    ]
    findings = merge_reports(reports).findings
    assert len(findings) == number
    assert findings[0].targets[0] == "a.contoso.test:443"


def test_the_best_informed_report_speaks():
    knows = cases.finding("tcp.no-reply", summary="knows", culprit=Culprit(address="10.0.0.1", hop=3))
    reports = [
        with_finding(cases.report(started=cases.AT), cases.finding("tcp.no-reply", summary="guesses")),
        with_finding(cases.report(started=cases.AT + 1), knows),
    ]
    (finding,) = merge_reports(reports, labels=["first", "second"]).findings
    assert (finding.summary, finding.culprit) == ("knows", knows.culprit)
    assert [(source.report, source.summary) for source in finding.sources] == [
        ("second", "knows"),
        ("first", "guesses"),
    ]


# --- what explains what ----------------------------------------------------------------------------------------


def test_nothing_explains_itself_in_the_end():
    ids = [*CATALOGUE, "log.anything"]
    causes = {symptom: {cause for cause in ids if explains(cause, symptom)} for symptom in ids}
    done: set[str] = set()
    while ready := [one for one in ids if one not in done and causes[one] <= done]:
        done.update(ready)
    assert set(ids) - done == set()


def test_what_explains_across_reports_is_in_the_catalogue():
    named = {*_ACROSS, *(symptom for symptoms in _ACROSS.values() for symptom in symptoms)}
    assert named - set(CATALOGUE) == set()


def explained(*reports: Report) -> list[tuple[str, str]]:
    """(cause, symptom) of an incident."""
    return [(f.id, e.finding.id) for f in merge_reports(reports).findings for e in f.explains]


RESET = cases.on("tls-reset-after-hello", "node-a")
EXPLAINED = [("tcp.reset-by-path-device", "tcp.reset-origin-unknown")]


def test_a_capture_tells_who_reset_the_very_connection():
    incident = merge_reports([cases.capture(port=50_001), RESET])
    (finding,) = incident.findings
    assert incident.verdict.finding == finding.id == "tcp.reset-by-path-device"
    assert incident.verdict.blame == "path-device"
    (symptom,) = finding.explains
    assert symptom.finding == RESET.findings[0]
    assert symptom.because == (
        "The reason is tcp.reset-by-path-device of guide-reset-ttl-61.pcap, for both are about the connection from "
        "10.10.1.2:50001 to 20.42.1.1:443."
    )
    assert {"tcp.reset-origin-unknown", "tls.interrupted"} <= {*finding.folded}
    assert f"node-a saw tcp.reset-origin-unknown. {symptom.because}" in incident.reasoning


def test_a_capture_of_another_connection_to_the_same_name():
    incident = merge_reports([cases.capture(port=7, at=cases.AT + cases.HOUR), RESET])
    (symptom,) = incident.findings[0].explains
    assert "both are about wu2.frontend.clouddatahub.net:443." in symptom.because


@pytest.mark.parametrize(
    ("capture", "expected"),
    [
        (cases.capture(port=50_001, at=cases.AT - SAME_CONNECTION_S), EXPLAINED),
        (cases.capture(port=7, at=cases.AT - SAME_TROUBLE_S + 60), EXPLAINED),
        # Days before, or by another client: it need not be the same device.
        (cases.capture(port=50_001, at=cases.AT - SAME_TROUBLE_S - 60), []),
        (cases.capture(client="10.10.9.9", port=7), []),
    ],
)
def test_day_and_client_must_be_the_same(capture, expected):
    assert explained(capture, RESET) == expected


def test_another_server_is_not_explained():
    assert explained(cases.capture(), cases.on("tls-closed-after-hello", "node-a")) == []


def test_one_ladder_explains_only_what_another_could_not_tell():
    page = with_finding(cases.report(started=cases.AT), cases.finding("https.block-page"))
    intercepted = with_finding(cases.report(started=cases.AT + 1), cases.finding("tls.intercepted"))
    assert explained(page, intercepted) == []
    filtered = with_finding(cases.report(started=cases.AT), cases.finding("tls.sni-filtered"))
    cut = with_finding(cases.report(started=cases.AT + 1), cases.finding("tls.interrupted"))
    assert explained(filtered, cut) == [("tls.sni-filtered", "tls.interrupted")]


def test_a_proxy_explains_what_happens_at_the_proxy():
    proxied = cases.on("proxy-refused", "node-a")
    behind = with_finding(cases.on("tcp-drop", "node-a", command="trace"), cases.finding("tcp.refused"))
    assert explained(proxied, behind) == []
    dial = next(o for o in proxied.observations if isinstance(o, TcpObservation) and o.peer == "proxy")
    at_proxy = cases.finding("tcp.refused", evidence=(dial.id,))
    assert explained(proxied, with_finding(cases.made(proxied, command="trace"), at_proxy)) == [
        ("proxy.unreachable", "tcp.refused")
    ]


def test_a_report_does_not_explain_itself():
    both = with_finding(cases.report(), cases.finding("tcp.unreachable"), cases.finding("tcp.no-reply"))
    assert explained(both) == []
    assert len(merge_reports([both]).findings) == 2


def test_another_machine_does_not_explain():
    cause = with_finding(cases.made(cases.report(), on="node-a"), cases.finding("tcp.prohibited"))
    symptom = with_finding(cases.made(cases.report(), on="node-b"), cases.finding("tcp.no-reply"))
    assert explained(cause, symptom) == []
    same = cases.made(symptom, on="node-a")
    assert explained(cause, same) == [("tcp.prohibited", "tcp.no-reply")]


def test_a_remark_explains_only_the_very_connection():
    flow = next(o.flow for o in RESET.observations if isinstance(o, TlsObservation))
    evidence = tuple(o.id for o in RESET.observations if o.flow == flow)
    remark = cases.finding("tcp.reset-by-client", severity=Severity.INFO, evidence=evidence)
    whole = with_finding(cases.made(RESET, started=cases.AT + 1.0), remark)
    assert explained(whole, RESET) == [("tcp.reset-by-client", "tcp.reset-origin-unknown")]
    incident = merge_reports([whole, RESET])
    assert incident.findings[0].severity is Severity.ERROR  # what it explains is one
    assert explained(with_finding(whole, msgspec.structs.replace(remark, evidence=())), RESET) == []


def test_a_symptom_of_a_symptom_goes_to_the_cause():
    chain = [
        with_finding(cases.report(started=cases.AT), cases.finding("tls.sni-filtered")),
        with_finding(cases.report(started=cases.AT + 1, command="trace"), cases.finding("tcp.reset-by-path-device")),
        with_finding(cases.report(started=cases.AT + 2), cases.finding("tcp.reset-origin-unknown")),
    ]
    assert sorted(explained(*chain)) == [
        ("tls.sni-filtered", "tcp.reset-by-path-device"),
        ("tls.sni-filtered", "tcp.reset-origin-unknown"),
    ]


def leaf_of(report: Report) -> ChainObservation:
    return next(o for o in report.observations if isinstance(o, ChainObservation))


def of_same_certificate(cert: Report, endpoint: Report) -> Report:
    """A report on certificate files, as if they held the endpoint's certificate."""
    leaf = leaf_of(endpoint).elements[0]
    changed = tuple(
        msgspec.structs.replace(o, elements=(leaf, *o.elements[1:])) if isinstance(o, ChainObservation) else o
        for o in cert.observations
    )
    return rejudge(msgspec.structs.replace(cert, observations=changed))


def test_a_certificate_report_and_an_endpoint_with_one_fault():
    endpoint = cases.golden("chain-incomplete")
    cert = of_same_certificate(cases.golden("cert-aia-gone"), endpoint)
    incident = merge_reports([endpoint, cert])
    root = incident.findings[0]
    assert root.id == "chain.incomplete"
    assert {source.report for source in root.sources} == {"incomplete.contoso.test", "cert-aia-gone.pem"}
    assert root.targets == ("cert-aia-gone.pem", "incomplete.contoso.test:443")


def test_a_certificate_report_explains_the_chain_of_an_endpoint():
    endpoint = cases.golden("chain-private-root")
    revoked = of_same_certificate(cases.golden("cert-aia-gone"), endpoint)
    assert ("chain.incomplete", "chain.untrusted-root") in explained(endpoint, revoked)


def test_a_certificate_report_explains_a_handshake_that_fails():
    endpoint = cases.golden("chain-expired")
    handshake = msgspec.structs.replace(
        endpoint,
        findings=(cases.finding("tls.handshake-failed", evidence=(leaf_of(endpoint).parent or "",)),),
        observations=tuple(o for o in endpoint.observations if not isinstance(o, ChainObservation | HttpsObservation)),
    )
    cert = of_same_certificate(cases.golden("cert-revoked-by-crl"), endpoint)
    assert explained(handshake, cert) == [("chain.revoked", "tls.handshake-failed")]


def test_a_certificate_that_is_valid_elsewhere_is_not_at_fault_itself():
    endpoint = cases.golden("chain-private-root")
    cert = of_same_certificate(cases.golden("cert-healthy"), endpoint)
    incident = merge_reports([endpoint, cert])
    assert incident.verdict.finding == "chain.untrusted-root"
    assert (
        "cert-healthy.pem finds the same certificate valid, so the fault lies in what the server sends with it, or in "
        "the trust store."
    ) in incident.reasoning
    assert not any(
        "finds the same" in line for line in merge_reports([endpoint, cases.golden("cert-healthy")]).reasoning
    )


def test_a_log_is_explained_by_a_probe_of_the_same_place():
    complaint = with_finding(
        cases.report(command="log", started=cases.AT + cases.HOUR), cases.finding("log.node-refused")
    )
    probe = with_finding(cases.report(), cases.finding("tcp.refused", blame="server"))
    assert explained(complaint, probe) == [("tcp.refused", "log.node-refused")]
    elsewhere = cases.made(probe, target=msgspec.structs.replace(probe.target, host="b.contoso.test"))
    assert explained(complaint, elsewhere) == []


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("ir-node2.corp.example", 8060, [("tcp.refused", "log.node-refused")]),
        ("10.2.4.10", 8060, [("tcp.refused", "log.node-refused")]),
        ("ir-node2.corp.example", 443, []),
        ("ir-node3.corp.example", 8060, []),
    ],
)
def test_what_a_log_names_is_where_the_probe_has_to_have_been(host, port, expected):
    log = read_log([str(ROOT / "examples" / "integration-runtime.log")])
    target = Target(host=host, port=port, scheme="tcp")
    seen = TcpObservation(
        id="tcp.direct",
        address="10.2.4.10" if port == 8060 and host != "ir-node3.corp.example" else "10.2.4.11",
        port=port,
        started=log.observations[0].started,
        outcome="failed",
        failure=Failure(kind="refused", step="connect"),
    )
    refused = cases.finding("tcp.refused", blame="server", evidence=("tcp.direct",))
    probe = cases.report(target=target, started=log.observations[0].started, observations=(seen,))
    assert explained(log, with_finding(probe, refused)) == expected
