"""What changed since it worked."""

from __future__ import annotations

import msgspec
import pytest

from netdiag import merge_reports
from netdiag.model import Changes, Incident, Report, Target, UsageError
from tests.unit.incident import cases

GOOD = cases.on("healthy-ipv4", "node-b")
BAD = cases.on("tls-intercepting-squid", "node-b", later_s=cases.DAY)


def change(incident: Incident) -> Changes:
    (found,) = incident.changes
    return found


def about(report: Report, host: str, port: int = 443) -> Report:
    return msgspec.structs.replace(report, target=Target(host=host, port=port))


def test_what_changed_leads_to_the_reason():
    incident = merge_reports([BAD], baseline=GOOD)
    found = change(incident)
    assert (found.report, found.baseline, found.matched) == ("node-b", "baseline", "target")
    assert found.conclusions == (
        "proxy: was none (no setting); is http://10.10.5.2:3133 (--proxy).",
        (
            "issuer of the chain: was Contoso Lab Issuing CA (Contoso Trust Services); is Zscaler Intermediate Root CA "
            "(zscloud.net) (Zscaler Inc.)."
        ),
        "trust in the chain: was trusted; is no: untrusted-root.",
        "New since then: tls.intercepted.",
    )
    assert [finding.id for finding in found.new] == ["tls.intercepted"]
    assert all(difference.telling for difference in found.differences)
    assert [seen.report for seen in found.differences[0].values] == [found.baseline, found.report]
    assert incident.verdict.finding == "tls.intercepted"
    assert "Since baseline, node-b: " + found.conclusions[0] in incident.reasoning


def test_findings_of_the_baseline_are_not_the_incidents():
    was = cases.on("chain-expired", "node-b")
    incident = merge_reports([cases.made(was, later_s=60.0, findings=())], baseline=was)
    assert incident.findings == ()
    assert change(incident).vanished == ("chain.expired",)
    assert "Gone since then: chain.expired." in change(incident).conclusions
    assert any("was not made when all was well" in remark for remark in incident.remarks)


def test_nothing_changed():
    incident = merge_reports([cases.made(GOOD, later_s=60.0)], baseline=[GOOD])
    assert change(incident).differences == ()
    assert change(incident).conclusions == ("Nothing that matters changed since baseline was made.",)


@pytest.mark.parametrize(
    ("there", "matched"),
    [(("target", "host", "command"), "target"), (("command", "host"), "host"), (("command",), "command")],
)
def test_the_best_match_counts(there, matched):
    candidates = {
        "target": about(GOOD, "WU2.frontend.clouddatahub.net"),
        "host": about(GOOD, "wu2.frontend.clouddatahub.net", 8443),
        "command": about(GOOD, "other.contoso.test"),
    }
    incident = merge_reports([BAD], baseline=[candidates[name] for name in there], labels=["now"])
    assert change(incident).matched == matched
    chosen = next(one for one in incident.baseline if one.label == change(incident).baseline)
    assert chosen.report == candidates[matched]


def test_of_equal_matches_the_same_machine_then_the_latest():
    elsewhere = cases.made(GOOD, on="node-z", later_s=30.0)
    later = cases.made(GOOD, later_s=10.0)
    incident = merge_reports([BAD], baseline=[GOOD, elsewhere, later])
    chosen = next(one for one in incident.baseline if one.label == change(incident).baseline)
    assert chosen.report == later


def test_another_target_is_compared_in_what_does_not_depend_on_it():
    incident = merge_reports([BAD], baseline=about(GOOD, "other.contoso.test"))
    assert {difference.what for difference in change(incident).differences} == {"proxy"}
    assert any("is about another target" in remark for remark in incident.remarks)


@pytest.mark.parametrize("baseline", [cases.capture(), cases.golden("cert-healthy")])
def test_no_match(baseline):
    incident = merge_reports([BAD], baseline=baseline)
    assert incident.changes == ()
    assert "No report of the baseline belongs to node-b." in incident.remarks


def test_captures_are_compared_with_captures():
    incident = merge_reports([cases.capture()], baseline=cases.capture("tls13-healthy.pcap"))
    found = change(incident)
    assert found.matched == "command"
    assert "services in trouble" in {difference.what for difference in found.differences}
    assert [finding.id for finding in found.new] == ["tcp.reset-by-path-device"]


def test_certificates_are_compared_with_certificates():
    incident = merge_reports([cases.golden("cert-revoked-by-crl")], baseline=cases.golden("cert-healthy"))
    assert {"certificate", "revocation services"} & {difference.what for difference in change(incident).differences}
    assert [finding.id for finding in change(incident).new] == ["chain.revoked"]


def test_a_baseline_from_later():
    incident = merge_reports([GOOD], baseline=BAD)
    assert any("was made after the reports" in remark for remark in incident.remarks)


@pytest.mark.parametrize(
    ("reports", "arguments", "message"),
    [
        ([], {}, "an incident needs at least one report"),
        ([GOOD], {"labels": ["a", "b"]}, "2 labels for 1 reports"),
        ([GOOD] * 2001, {}, "2,001 reports are more than an incident holds"),
    ],
)
def test_what_cannot_be_merged(reports, arguments, message):
    with pytest.raises(UsageError, match=message):
        merge_reports(reports, **arguments)
