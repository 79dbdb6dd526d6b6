"""Incidents as text and as a note: what a reader is told, in which order, within the width."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from netdiag import merge_reports, render
from netdiag.model import Incident, LabelledReport, Rejudgement, Report, UsageError
from netdiag.report.escape import escape
from netdiag.report.layout import Layout
from netdiag.report.styled import cell_len
from tests.unit.incident import cases
from tests.unit.report import handmade

NODES = merge_reports([cases.on("healthy-ipv4", "node-a"), cases.on("tls-intercepting-squid", "node-b", later_s=60.0)])
CHANGED = merge_reports(
    [cases.on("tls-intercepting-squid", "node-b", later_s=cases.DAY)], baseline=cases.on("healthy-ipv4", "node-b")
)
CAPTURED = merge_reports([cases.capture(), cases.on("tls-reset-after-hello", "node-a")])
HEALTHY = merge_reports([cases.on("healthy-ipv4", "a"), cases.on("healthy-ipv4", "b", later_s=1.0)])
MANY = merge_reports([cases.made(cases.golden(name), later_s=n) for n, name in enumerate(cases.NAMES)])
GOLDEN = Path(__file__).parent / "golden_incidents"
INCIDENTS = {"nodes": NODES, "changed": CHANGED, "captured": CAPTURED, "healthy": HEALTHY, "many": MANY}


def words(text: str) -> str:
    """The text without its line breaks."""
    return " ".join(text.split())


@pytest.mark.parametrize("name", INCIDENTS)
@pytest.mark.parametrize("layout", [Layout(), Layout(verbose=True), Layout(width=50), Layout(unicode=False, width=132)])
def test_no_line_is_too_wide(name, layout):
    for line in render(INCIDENTS[name], "text", layout).splitlines():
        assert cell_len(line) <= layout.width, line
        assert layout.unicode or line.isascii(), line


@pytest.mark.parametrize("name", ["nodes", "changed", "captured"])
def test_it_reads_as_in_the_golden_file(name):
    """NETDIAG_WRITE_GOLDEN=1 writes the files anew; look at the difference before you commit it."""
    shown = render(INCIDENTS[name])
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("NETDIAG_WRITE_GOLDEN") == "1":
        file.write_text(shown, encoding="utf-8")
    assert shown == file.read_text(encoding="utf-8")


def test_the_order_is_from_the_answer_to_the_evidence():
    headings = [line for line in render(CHANGED).splitlines() if line and not line.startswith(" ")]
    assert headings[1:] == [
        "What changed for node-b since it worked (baseline, 2026-06-01 00:00:00 UTC)",
        "Reports",
        "Findings",
        "node-b beside baseline, when it worked",
        "netdiag explain tls.intercepted says more.",
        "netdiag 0.1.0, 1 report from 2026-06-02 00:00:00 UTC on",
    ]


def test_what_changed_without_a_finding_comes_last():
    incident = merge_reports(
        [cases.on("healthy-squid", "node-b", later_s=60.0)], baseline=cases.on("healthy-ipv4", "node-b")
    )
    text = render(incident)
    assert text.index("Reports") < text.index("node-b beside baseline, when it worked")
    assert "proxy: was none (no setting); is http://10.10.5.2:3128" in words(text)


@pytest.mark.parametrize("name", INCIDENTS)
def test_no_finding_is_lost(name):
    incident = INCIDENTS[name]
    text = words(render(incident, "text", Layout(verbose=True, width=200)))
    for finding in incident.findings:
        assert finding.id in text
        assert all(f"{source.report} has it" in text for source in finding.sources)
        for symptom in finding.explains:
            assert f"{symptom.report} saw {symptom.finding.id}" in text
    brief = words(render(incident, "text", Layout(width=200)))
    assert all(finding.id in brief for finding in incident.findings)


def test_many_findings_and_reports_are_counted():
    text = words(render(MANY))
    assert f"and {len(MANY.reports) - 24} more (--verbose lists them)" in text
    assert f"and {len(MANY.findings) - 13} more: " in text


def test_quiet_is_the_verdict_only():
    text = render(NODES, "text", Layout(quiet=True))
    assert text.startswith("✗ node-b: The certificate of wu2.frontend.clouddatahub.net was replaced")
    assert "To do: Exempt" in words(text)
    assert "Reports" not in text


def test_this_machine_is_named():
    incident = merge_reports([cases.on("dns-localhost-broken", "node-a"), cases.on("healthy-ipv4", "node-b")])
    assert incident.verdict.blame == "this-machine"
    assert "To blame: the machine of node-a. To do:" in words(render(incident))


def test_a_changed_judgement_is_said():
    one = NODES.reports[0]
    was = Rejudgement(verdict=cases.golden("tcp-drop").verdict, new=("a.b",))
    incident = merge_reports([msgspec.structs.replace(one, rejudged=was)])
    assert "judged anew: it was tcp.no-reply when it was made" in render(incident)


def test_verbose_has_whole_reports_and_machines():
    text = render(NODES, "text", Layout(verbose=True))
    assert "on node-a, Debian GNU/Linux 12 (bookworm), UTC+01:00" in words(text)
    assert text.count("DigiCert Global Root G2 in the trust store") >= 4


def test_many_nodes_are_a_list():
    reports = [cases.on("healthy-ipv4", f"n{n}") for n in range(5)]
    incident = merge_reports([*reports, cases.on("tls-intercepting-squid", "sick")])
    assert "    n0, n1, n2, n3, n4: none (no setting)\n    sick: http://10.10.5.2:3133 (--proxy)\n" in render(incident)


def test_remarks_are_shown():
    incident = merge_reports([cases.on("healthy-ipv4", "a"), cases.on("tcp-drop", "b", later_s=9 * cases.HOUR)])
    assert "i The reports tell of moments up to 9 h 0 min apart" in words(render(incident))


def test_healthy():
    text = render(HEALTHY)
    assert text.startswith("✓ 2 reports, and all of them healthy\n  Nobody is to blame, and there is nothing to do.\n")
    assert "It works for a and b. They show no difference." in words(text)


def test_inconclusive():
    open_ = cases.report(
        verdict=msgspec.structs.replace(cases.report().verdict, status="inconclusive", summary="not tested")
    )
    assert render(merge_reports([open_])).startswith("? a.contoso.test: not tested\n  Nothing was proved either way;")


@pytest.mark.parametrize("hostile", ["\x1b[2Jx", "\u202eevil", "a\nb\rc\t", "x" * 65_536, "漢" * 500, "<script>'\""])
def test_hostile_strings(hostile):
    bad = handmade.hostile(hostile)
    one = LabelledReport(label=hostile, file=hostile, report=bad)
    other = msgspec.structs.replace(handmade.hostile(hostile), started=bad.started + 1.0)
    incident = merge_reports([one, other], baseline=handmade.healthy())
    for layout in (Layout(), Layout(verbose=True), Layout(unicode=False)):
        text = render(incident, "text", layout)
        assert all(line == escape(line, 10_000) for line in text.splitlines())
        assert all(cell_len(line) <= layout.width for line in text.splitlines())
    assert all(line == escape(line, 10_000) for line in render(incident, "ticket").splitlines())


# --- the note --------------------------------------------------------------------------------------------------


def test_the_note_is_on_the_root_cause_and_tells_what_others_saw():
    note = words(render(CAPTURED, "ticket"))
    assert note.startswith("Subject: hop 4 resets TLS to wu2.frontend.clouddatahub.net")
    assert "Seen by others too: node-a: tcp.reset-origin-unknown, Connections to" in note
    assert "The reason is tcp.reset-by-path-device of guide-reset-ttl-61.pcap" in note
    assert "RST TTL 61" in note


def test_the_note_of_several_nodes_says_which_this_machine_is():
    note = words(render(NODES, "ticket"))
    assert '"This machine" is node-b' in note
    assert "Only node-b goes through the proxy http://10.10.5.2:3133" in note


def test_the_note_without_a_cause():
    assert words(render(HEALTHY, "ticket")) == (
        "netdiag: 2 reports, and all of them healthy: nothing for the network team to do (2026-06-01 00:00:00 UTC)."
    )


def test_an_unknown_format():
    with pytest.raises(UsageError, match="format 'sound' is none of"):
        render(NODES, "sound")


def test_the_types_are_kept_apart():
    assert isinstance(NODES, Incident)
    assert not isinstance(NODES, Report)
