"""The same target from several machines: what they show differently, and what follows."""

from __future__ import annotations

import msgspec
import pytest

from netdiag import merge_reports
from netdiag.incident.aspects import ASPECTS, MAX_VALUE
from netdiag.incident.comparing import comparisons
from netdiag.model import (
    Comparison,
    DnsObservation,
    HttpsObservation,
    LabelledReport,
    Report,
    TcpInfo,
    TcpObservation,
)
from tests.unit.incident import cases


def compared(**reports: Report) -> Comparison:
    (found,) = comparisons([LabelledReport(label=label, report=report) for label, report in reports.items()])
    return found


def different(comparison: Comparison) -> dict[str, tuple[str, ...]]:
    return {difference.what: tuple(seen.value for seen in difference.values) for difference in comparison.differences}


HEALTHY = cases.golden("healthy-ipv4")
THROUGH_PROXY = cases.golden("tls-intercepting-squid")


def test_only_the_sick_one_goes_through_a_proxy_that_intercepts():
    found = compared(node_a=HEALTHY, node_b=THROUGH_PROXY)
    assert (found.working, found.failing) == (("node_a",), ("node_b",))
    assert found.conclusions[:3] == (
        "It works for node_a; it fails for node_b (tls.intercepted).",
        (
            "Only node_b goes through the proxy http://10.10.5.2:3133 (--proxy); "
            "node_a connects without a proxy (no setting)."
        ),
        (
            "Only node_b sees a chain that is issued by Zscaler Intermediate Root CA (zscloud.net) (Zscaler Inc.); "
            "node_a sees a chain that is issued by Contoso Lab Issuing CA (Contoso Trust Services)."
        ),
    )
    assert different(found) == {
        "proxy": ("none (no setting)", "http://10.10.5.2:3133 (--proxy)"),
        "issuer of the chain": (
            "Contoso Lab Issuing CA (Contoso Trust Services)",
            "Zscaler Intermediate Root CA (zscloud.net) (Zscaler Inc.)",
        ),
        "top of the chain": ("Contoso Lab Root", "Zscaler Intermediate Root CA (zscloud.net)"),
        "certificate": (
            "wu2.frontend.clouddatahub.net, valid until 2049-01-01 00:00 UTC, SHA-1 bfe89133f6d7…",
            "wu2.frontend.clouddatahub.net, valid until 2049-01-01 00:00 UTC, SHA-1 f17673cc4f5f…",
        ),
        "trust in the chain": ("trusted", "no: untrusted-root"),
    }
    assert all(difference.telling for difference in found.differences)


def test_what_is_the_same_is_not_listed():
    found = compared(node_a=HEALTHY, node_b=cases.made(HEALTHY, later_s=60.0))
    assert found.differences == ()
    assert found.conclusions == ("It works for node_a and node_b.", "They show no difference.")


def test_the_majority_is_told_together():
    found = compared(a=HEALTHY, b=HEALTHY, c=HEALTHY, d=THROUGH_PROXY)
    assert found.conclusions[1].endswith("a, b and c connect without a proxy (no setting).")
    many = compared(**{f"n{n}": HEALTHY for n in range(9)}, sick=THROUGH_PROXY)
    assert many.conclusions[1].endswith("n0, n1, n2 and 6 others connect without a proxy (no setting).")


def test_each_way_to_fail_has_its_reason():
    found = compared(good=HEALTHY, drops=cases.golden("tcp-drop"), intercepts=THROUGH_PROXY)
    assert found.conclusions[0] == (
        "It works for good; it fails for drops (tcp.no-reply), for intercepts (tls.intercepted)."
    )
    assert "Only intercepts goes through the proxy" in " ".join(found.conclusions)
    assert different(found)["connection"] == ("connected", "fails: timeout", "connected")


@pytest.mark.parametrize(("machines", "beyond"), [(("a", "b"), True), (("a", "a"), False), (("", ""), False)])
def test_all_that_fail_alike(machines, beyond):
    reports = {f"r{n}": cases.on("tcp-drop", machine) for n, machine in enumerate(machines)}
    ending = ": it is not the matter of one machine." if beyond else "."
    assert compared(**reports).conclusions[0] == f"r0 and r1 fail alike (tcp.no-reply){ending}"


def test_all_that_fail_differently():
    found = compared(a=cases.golden("tcp-drop"), b=THROUGH_PROXY)
    assert found.conclusions[0] == "a and b fail differently: it fails for a (tcp.no-reply), for b (tls.intercepted)."
    assert not any(difference.telling for difference in found.differences)


def test_nothing_tells_why_one_fails():
    sick = msgspec.structs.replace(
        HEALTHY, verdict=msgspec.structs.replace(HEALTHY.verdict, status="failed", finding="https.no-answer")
    )
    found = compared(a=HEALTHY, b=sick)
    assert found.conclusions == (
        "It works for a; it fails for b (https.no-answer).",
        "Nothing else that they show tells those that work from those that do not.",
    )


def test_one_that_could_not_be_tested():
    open_ = msgspec.structs.replace(
        HEALTHY, verdict=msgspec.structs.replace(HEALTHY.verdict, status="inconclusive", finding=None)
    )
    found = compared(a=HEALTHY, b=open_)
    assert found.conclusions[0] == "It works for a; it could not be tested for b."
    assert (found.working, found.failing, found.reports) == (("a",), (), ("a", "b"))


def resolved(report: Report, *addresses: str) -> Report:
    return msgspec.structs.replace(
        report,
        observations=tuple(
            msgspec.structs.replace(o, addresses=addresses)
            if isinstance(o, DnsObservation) and o.asker == "system" and o.name == report.target.host
            else o
            for o in report.observations
        ),
    )


@pytest.mark.parametrize(
    ("address", "telling"),
    [("20.42.1.9", False), ("10.1.2.3", True)],  # one operator's rotation; a private address for a public name
)
def test_addresses(address, telling):
    sick = resolved(cases.golden("tcp-drop"), address)
    (found,) = [d for d in compared(a=HEALTHY, b=sick).differences if d.what == "addresses"]
    assert found.telling is telling
    assert found.sentence == f"Only b resolves the name to {address}; a resolves the name to 20.42.1.1."


@pytest.mark.parametrize(
    ("milliseconds", "differs"),
    [
        (4.0, False),
        (50.0, False),
        (51.1, True),
    ],  # at 1.0 ms for the other: the factor, and the difference, must be gross
)
def test_round_trips_count_only_where_they_differ_grossly(milliseconds, differs):
    slow = msgspec.structs.replace(
        HEALTHY,
        observations=tuple(
            msgspec.structs.replace(o, info=TcpInfo(rtt_ms=milliseconds)) if isinstance(o, TcpObservation) else o
            for o in HEALTHY.observations
        ),
    )
    found = [d for d in compared(a=HEALTHY, b=slow).differences if d.what == "round trip"]
    assert [d.sentence for d in found] == ([f"round trip: {milliseconds:.0f} ms for b, 1 ms for a."] if differs else [])


def fetched(report: Report, **changes: object) -> Report:
    return msgspec.structs.replace(
        report,
        observations=tuple(
            msgspec.structs.replace(o, **changes) if isinstance(o, HttpsObservation) else o for o in report.observations
        ),
    )


@pytest.mark.parametrize(
    ("changes", "what", "sentence"),
    [
        ({"status": 503, "reason": "Busy"}, "HTTP status", "a gets the answer 200 OK; b gets the answer 503 Busy."),
        ({"clock_offset_s": 300.0}, "clock", "a has a clock that is right; b has a clock that is 5 min slow."),
        ({"clock_offset_s": 30.0}, "clock", None),
        (
            {"final_url": "https://portal.contoso.test/"},
            "final URL",
            "a ends up at https://wu2.frontend.clouddatahub.net/; b ends up at https://portal.contoso.test/.",
        ),
    ],
)
def test_answers(changes, what, sentence):
    found = [
        d.sentence
        for d in compared(
            a=fetched(HEALTHY, clock_offset_s=0.0), b=fetched(HEALTHY, **{"clock_offset_s": 0.0, **changes})
        ).differences
        if d.what == what
    ]
    assert found == ([sentence] if sentence else [])


def test_a_value_is_bounded():
    hostile = fetched(HEALTHY, reason="x" * 10_000)
    (found,) = compared(a=HEALTHY, b=hostile).differences
    assert max(len(seen.value) for seen in found.values) == MAX_VALUE


def test_one_report_of_a_target_is_not_compared():
    reports = [cases.golden("chain-expired"), cases.golden("tcp-drop"), cases.capture(), cases.capture(port=9)]
    assert merge_reports(reports).comparisons == ()


def test_names_of_targets_compare_without_case():
    shouted = msgspec.structs.replace(
        HEALTHY, target=msgspec.structs.replace(HEALTHY.target, host="WU2.frontend.clouddatahub.NET.")
    )
    assert compared(a=HEALTHY, b=shouted).target == "wu2.frontend.clouddatahub.net:443"


def test_a_server_that_serves_another_machine_is_not_to_blame():
    """At the same time, at the same address: something tells clients apart."""
    for name in ("tcp-drop", "tls-reset-after-hello"):
        sick = cases.on(name, "node-b")
        incident = merge_reports([cases.on("healthy-ipv4", "node-a"), sick])
        root = incident.findings[0]
        assert incident.verdict.blame == root.blame == "path-device"
        if sick.findings[0].blame in ("server", "unknown"):
            assert "20.42.1.1:443 serves node-a at the same time" in root.details[0]
            assert root.remedy.startswith("Compare the rules for node-b and for node-a")
            assert root.sources[0].summary == sick.findings[0].summary


def test_a_server_that_served_another_machine_hours_ago_may_be_down():
    sick = cases.on("tcp-reject-with-reset", "node-b", later_s=2 * cases.HOUR)
    blamed = sick.findings[0].blame
    incident = merge_reports([cases.on("healthy-ipv4", "node-a"), sick])
    assert incident.verdict.blame == blamed


@pytest.mark.parametrize("name", cases.NAMES)
def test_every_aspect_reads_every_recording(name):
    for aspect in ASPECTS:
        value = aspect.read(cases.golden(name))
        assert value is None or value.strip(), aspect.what
