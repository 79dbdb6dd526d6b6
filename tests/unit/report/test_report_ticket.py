"""The note for the network team: as it stands in golden_tickets/, 72 columns at most, for every finding."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from rich.cells import cell_len

from netdiag.model import NotRun, ProxySelection, Report, Verdict
from netdiag.report import render, ticket_words
from netdiag.rules import Seen, findings
from tests.support import ROOT
from tests.unit.report import captured, handmade, traced
from tests.unit.report.test_report_text import _strangers

GOLDEN = Path(__file__).parent / "golden_tickets"
RECORDED = sorted(f for f in (ROOT / "tests/unit/golden").glob("*.json") if not f.name.endswith(".expect.json"))

CASES = {
    "reset-at-hop-4": traced.reset_at_hop_4(),
    "reset-without-rights": traced.reset_without_rights(),
    "silent-drop": traced.silent_drop(),
    "prohibited": traced.prohibited(),
    "server-resets": traced.server_resets(),
    "ipv6": traced.ipv6(),
    "healthy": traced.healthy(),
    "inconclusive": handmade.inconclusive(),
    "dns-failure": handmade.dns_failure(),
    "proxy-forbidden": handmade.proxy_forbidden(),
    "intercepted": handmade.intercepted(),
    "capture": captured.faulty(),
    "several": [handmade.dns_failure("a.example"), handmade.healthy("b.example")],
}


@pytest.mark.parametrize("name", CASES)
def test_a_note_reads_as_in_the_golden_file(name):
    """NETDIAG_WRITE_GOLDEN=1 writes the files anew; look at the difference before you commit it."""
    shown = render(CASES[name], "ticket")
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("NETDIAG_WRITE_GOLDEN") == "1":
        file.parent.mkdir(exist_ok=True)
        file.write_text(shown, encoding="utf-8")
    assert shown == file.read_text(encoding="utf-8")


def test_every_golden_file_has_its_case():
    assert {file.stem for file in GOLDEN.iterdir()} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_a_note_can_be_pasted_into_a_mail(name):
    shown = render(CASES[name], "ticket")
    assert shown.isascii()
    assert max(map(len, shown.splitlines())) <= 72
    assert [line for line in shown.splitlines() if line != line.rstrip()] == []


@settings(max_examples=40, deadline=None)
@given(_strangers())
def test_what_strangers_write_breaks_no_mail(stranger):
    for report in (traced.hostile(stranger), handmade.hostile(stranger)):
        for line in render(report, "ticket").split("\n"):
            assert cell_len(line) <= 72
            assert not [c for c in line if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]


def test_letters_stay_and_typographic_signs_go():
    shown = render(handmade.hostile("Köln — “漢字”"), "ticket")
    assert 'Köln - "漢字"' in shown


def recorded(file: Path) -> Report:
    """A run of the lab, judged by today's rules."""
    report = msgspec.json.decode(file.read_bytes(), type=Report)
    found = tuple(findings(Seen(report.target, report.route, report.observations)))
    root = min(found, key=lambda f: f.severity.rank, default=None)
    verdict = Verdict(status="failed", finding=root.id if root else None, blame=None, summary="")
    return msgspec.structs.replace(report, findings=found, verdict=verdict)


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_every_recorded_run_has_a_note(file):
    report = recorded(file)
    shown = render(report, "ticket")
    assert max(map(cell_len, shown.splitlines())) <= 72
    assert "{" not in shown.partition("What fails")[0]
    if report.verdict.finding is not None:
        for title in ("Subject: ", "What fails:", "When (UTC):", "What to do:", "How to verify afterwards:"):
            assert title in shown
        assert "\nMade by netdiag " in shown


def test_every_finding_about_the_way_has_words_of_its_own():
    ids = (ROOT / "tests/unit/rule_ids.lock").read_text().split()
    mine = {i for i in ids if i.partition(".")[0] in ("dns", "tcp", "proxy", "tls")}
    assert mine - set(ticket_words._WORDS) == {"tls.name-mismatch"}  # the certificate's affair
    assert set(ticket_words._WORDS) - set(ids) == set()


@pytest.mark.parametrize("identifier", [*ticket_words._WORDS, "chain.expired"])
def test_templates_can_be_filled(identifier):
    filled = ticket_words.Facts(*(f"<{field}>" for field in ticket_words.Facts._fields))
    for template in ticket_words.words_for(identifier):
        said = ticket_words.fill(template, filled)
        assert "{" not in said


def test_a_subject_is_one_line():
    made = handmade.dns_failure("a" * 60 + ".example")
    first, second, *_ = render(made, "ticket").splitlines()
    assert (len(first), first[-3:], second) == (72, "...", "")


@pytest.mark.parametrize(
    ("changes", "command"),
    [
        ({}, "netdiag endpoint wu2.frontend.clouddatahub.net:443"),
        ({"command": "tls"}, "netdiag tls wu2.frontend.clouddatahub.net:443"),
        ({"target": handmade.target(host="2001:db8::1", port=8060)}, "netdiag endpoint [2001:db8::1]:8060"),
        ({"target": handmade.target(host="a.example", path="/x")}, "netdiag endpoint https://a.example:443/x"),
        ({"target": handmade.target(host="$(reboot)")}, None),
        ({"target": handmade.target(host="-o")}, None),
    ],
)
def test_the_command_to_verify_with(changes, command):
    shown = render(msgspec.structs.replace(traced.silent_drop(), **changes), "ticket")
    if command is None:
        assert "netdiag endpoint" not in shown
        assert "Run netdiag again on 10.77.0.2, with the same target" in shown
    else:
        assert f"\n    {command}\n" in shown


def test_a_proxy_of_the_command_line_belongs_to_the_command():
    made = handmade.proxy_forbidden()
    chosen = ProxySelection(id="proxy.selection", proxies=("http://p:8080",), because="--proxy")
    made = msgspec.structs.replace(made, observations=(chosen, *made.observations[1:]))
    assert "--proxy http://p:8080" in " ".join(render(made, "ticket").split())


def test_without_a_culprit_the_traces_tell_where_to_look():
    made = traced.silent_drop()
    made = msgspec.structs.replace(made, findings=(msgspec.structs.replace(made.findings[0], culprit=None),))
    said = " ".join(render(made, "ticket").split())
    assert "On hop 3 (10.77.2.2) or the next one: a drop without log" in said


def test_what_was_not_tested_asks_for_nothing():
    made = msgspec.structs.replace(handmade.inconclusive("a.example"), not_run=(NotRun(rung="dns", reason="x"),))
    assert "Subject" not in render(made, "ticket")
