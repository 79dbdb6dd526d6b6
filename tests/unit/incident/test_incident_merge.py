"""Any reports: the order does not matter, nothing is lost, and once merged they stay so."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netdiag import load_incident, merge_reports, render
from netdiag.model import Incident, LabelledReport, MachineInfo, Report, Severity
from tests.unit.incident import cases

MACHINES = ("", "node-a", "node-b")
CAPTURES = tuple(cases.capture(port=port, at=cases.AT + port) for port in (50_001, 7))


@st.composite
def reports(draw: st.DrawFn) -> Report:
    """A recording or a capture, on some machine, at some time."""
    later = draw(st.sampled_from((0.0, 1.0, cases.HOUR, 3 * cases.DAY)))
    if draw(st.integers(0, 5)) == 0:
        return draw(st.sampled_from(CAPTURES))
    name = draw(st.sampled_from(cases.NAMES))
    return cases.made(cases.golden(name), on=draw(st.sampled_from(MACHINES)), later_s=later)


some = st.lists(reports(), min_size=1, max_size=7)
seeds = st.integers(0, 1000)


def without_counts(incident: Incident) -> Incident:
    """How often a report was given is told, and not what is asked here."""
    remarks = tuple(remark for remark in incident.remarks if "more than once" not in remark)
    return msgspec.structs.replace(incident, remarks=remarks)


@settings(max_examples=60, deadline=None)
@given(some, some, seeds)
def test_the_order_does_not_matter(given_reports, baseline, seed):
    order = random.Random(seed)
    shuffled, other = [*given_reports], [*baseline]
    order.shuffle(shuffled)
    order.shuffle(other)
    assert merge_reports(given_reports, baseline=baseline) == merge_reports(shuffled, baseline=other)


@settings(max_examples=60, deadline=None)
@given(some)
def test_no_finding_is_lost_and_none_invented(given_reports):
    incident = merge_reports(given_reports)
    held = {(one.label, finding.id, finding.summary) for one in incident.reports for finding in one.report.findings}
    assert cases.told(incident) == held
    named = [(s.report, f.id) for f in incident.findings for s in f.sources]
    named += [(e.report, e.finding.id) for f in incident.findings for e in f.explains]
    assert sorted(named) == sorted(
        (one.label, finding.id) for one in incident.reports for finding in one.report.findings
    )
    kept = [one.report for one in incident.reports]
    assert all(report in kept for report in given_reports)
    for one in incident.reports:
        for finding in one.report.findings:
            homes = [f for f in incident.findings if one.label in {s.report for s in f.sources} and f.id == finding.id]
            homes += [f for f in incident.findings if any(e.finding == finding for e in f.explains)]
            assert any({*finding.folded} <= {*home.folded, home.id} for home in homes)


@settings(max_examples=60, deadline=None)
@given(some, some)
def test_merging_again_changes_nothing(given_reports, baseline):
    incident = without_counts(merge_reports(given_reports, baseline=baseline))
    assert merge_reports(incident.reports, baseline=incident.baseline) == incident
    again = merge_reports([*given_reports, *given_reports], baseline=[*baseline, *baseline])
    assert without_counts(again) == incident


@settings(max_examples=40, deadline=None)
@given(some, some)
def test_it_survives_the_round_trip(given_reports, baseline):
    incident = merge_reports(given_reports, baseline=baseline)
    assert load_incident(render(incident, "json")) == incident
    assert load_incident(render(incident, "jsonl")) == incident


@settings(max_examples=60, deadline=None)
@given(some)
def test_the_verdict_is_of_the_first_finding(given_reports):
    incident = merge_reports(given_reports)
    verdict = incident.verdict
    statuses = {one.report.verdict.status for one in incident.reports}
    assert (verdict.status == "failed") == ("failed" in statuses)
    assert (verdict.finding is None) == (verdict.status in ("healthy", "inconclusive"))
    if verdict.finding is not None:
        assert verdict.finding == incident.findings[0].id
        assert verdict.blame == incident.findings[0].blame
    ranks = [finding.severity.rank for finding in incident.findings]
    assert ranks == sorted(ranks)
    for finding in incident.findings:
        below = [source.severity for source in finding.sources] + [e.finding.severity for e in finding.explains]
        assert finding.severity.rank == min(severity.rank for severity in below)


def test_a_cause_of_many_comes_before_others():
    proxied = [cases.on("proxy-refused", "node-a", later_s=n) for n in (0.0, 1.0, 2.0)]
    incident = merge_reports([*proxied, cases.golden("dns-nxdomain")])
    assert cases.ids(incident) == ["proxy.unreachable", "dns.name-not-found"]
    assert len(incident.findings[0].sources) == 3


def test_what_was_asked_for_comes_before_what_a_capture_holds_besides():
    beside = cases.capture("tls12-expired.pcap")
    incident = merge_reports([beside, cases.golden("tls-10-only")])
    assert incident.verdict.finding == "tls.version-unsupported"
    assert merge_reports([beside]).verdict.finding == beside.verdict.finding


def test_healthy_together():
    incident = merge_reports([cases.on("healthy-ipv4", "a"), cases.on("healthy-ipv6", "b")])
    assert (incident.verdict.status, incident.verdict.summary) == ("healthy", "2 reports, and all of them healthy")
    assert incident.findings == ()


def test_inconclusive_only_without_an_error():
    open_ = cases.report(
        verdict=msgspec.structs.replace(cases.report().verdict, status="inconclusive", summary="not tested")
    )
    incident = merge_reports([open_, cases.golden("healthy-ipv4")])
    assert (incident.verdict.status, incident.verdict.summary) == ("inconclusive", "a.contoso.test: not tested")
    assert merge_reports([open_, cases.golden("tcp-drop")]).verdict.status == "failed"


def test_reports_far_apart_are_remarked_on():
    near = merge_reports([cases.on("tcp-drop", "a"), cases.on("healthy-ipv4", "b", later_s=cases.HOUR)])
    assert near.remarks == ()
    far = merge_reports([cases.on("tcp-drop", "a"), cases.on("healthy-ipv4", "b", later_s=5 * cases.HOUR)])
    (remark,) = far.remarks
    assert remark.startswith("The reports tell of moments up to 5 h 0 min apart (a the first, b the last): ")


def test_a_capture_is_of_the_time_of_its_packets():
    incident = merge_reports([cases.capture(at=cases.AT - 10 * cases.DAY), cases.golden("tcp-drop")])
    assert incident.started == pytest.approx(cases.AT - 10 * cases.DAY)
    assert incident.reports[0].label == "guide-reset-ttl-61.pcap"


def test_labels_and_files_are_kept():
    one = LabelledReport(label="here", file="x.json", report=cases.golden("tcp-drop"))
    incident = merge_reports([one, cases.golden("healthy-ipv4")], labels=["there", "yonder"])
    assert {(r.label, r.file) for r in incident.reports} == {("there", "x.json"), ("yonder", "")}


def test_two_thousand_reports_are_merged():
    many = [
        msgspec.structs.replace(
            cases.report(started=cases.AT + n, machine=MachineInfo(name=f"n{n}")),
            findings=(cases.finding("tcp.no-reply", severity=Severity.ERROR),),
            verdict=msgspec.structs.replace(cases.report().verdict, status="failed", finding="tcp.no-reply"),
        )
        for n in range(2000)
    ]
    incident = merge_reports(many)
    assert len(incident.findings) == 1
    assert len(incident.findings[0].sources) == 2000
