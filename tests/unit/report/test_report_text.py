"""The text report: as it stands in golden/, never wider than it may be, never with a stranger's control characters."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from netdiag.model import Flow, NotRun, TlsObservation
from netdiag.report import render, text
from netdiag.report.layout import Layout
from tests.unit.report import handmade

GOLDEN = Path(__file__).parent / "golden"

CASES = {
    "healthy": (handmade.healthy(), Layout()),
    "impaired": (handmade.impaired(), Layout()),
    "dns-failure": (handmade.dns_failure(), Layout()),
    "proxy-forbidden": (handmade.proxy_forbidden(), Layout()),
    "intercepted": (handmade.intercepted(), Layout()),
    "intercepted-narrow-ascii": (handmade.intercepted(), Layout(width=60, unicode=False)),
    "intercepted-verbose": (handmade.intercepted(), Layout(width=100, verbose=True)),
    "inconclusive": (handmade.inconclusive(), Layout()),
    "quiet": (handmade.proxy_forbidden(), Layout(quiet=True)),
    "several": (
        (
            handmade.healthy(),
            handmade.dns_failure("a.example"),
            handmade.impaired(),
            handmade.dns_failure("b.example"),
            handmade.inconclusive("c.example"),
        ),
        Layout(),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_report_reads_as_in_the_golden_file(name):
    """NETDIAG_WRITE_GOLDEN=1 writes the files anew; look at the difference before you commit it."""
    reports, layout = CASES[name]
    shown = render(reports, "text", layout)
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("NETDIAG_WRITE_GOLDEN") == "1":
        file.write_text(shown, encoding="utf-8")
    assert shown == file.read_text(encoding="utf-8")


def test_every_golden_file_has_its_case():
    assert {file.stem for file in GOLDEN.iterdir()} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_no_line_is_wider_than_the_layout(name):
    reports, layout = CASES[name]
    assert max(map(cell_len, render(reports, "text", layout).splitlines())) <= layout.width


@pytest.mark.parametrize("name", CASES)
def test_no_line_ends_in_blanks(name):
    assert [line for line in render(*_args(name)).splitlines() if line != line.rstrip()] == []


def _args(name):
    reports, layout = CASES[name]
    return reports, "text", layout


def _strangers():
    nasty = st.sampled_from(
        ["\x1b[31m", "\u202e", "\n", "\r\n", "[bold red]", "\x9b", "漢字", "e\u0301\u0302\u0303", "\u2028"]
    )
    return st.lists(st.one_of(nasty, st.text(max_size=40), st.just("x" * 120)), max_size=12).map("".join)


@settings(max_examples=60, deadline=None)
@given(_strangers(), st.sampled_from([40, 64, 80, 100]), st.booleans(), st.booleans())
def test_what_strangers_write_breaks_neither_width_nor_terminal(stranger, width, verbose, unicode):
    report = handmade.hostile(stranger)
    layout = Layout(width=width, verbose=verbose, unicode=unicode)
    for shown in (render(report, "text", layout), render([report, report], "text", layout)):
        for line in shown.split("\n"):
            assert cell_len(line) <= width
            assert not [c for c in line if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
        if not unicode:
            assert shown.isascii()


def test_rich_markup_in_a_name_is_text():
    report = handmade.hostile("[red]evil[/red]")
    assert "[red]evil[/red]" in render(report)
    assert "\x1b[31m" not in render(report, "text", Layout(color=True)).partition("evil")[0].rpartition("[red]")[2]


def test_colour_is_there_only_when_the_layout_wants_it():
    assert "\x1b[" not in render(handmade.intercepted())
    coloured = render(handmade.intercepted(), "text", Layout(color=True))
    assert "\x1b[" in coloured


def test_colour_changes_no_word():
    import re

    coloured = render(handmade.intercepted(), "text", Layout(color=True))
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == render(handmade.intercepted())


def test_the_first_two_lines_say_what_is_wrong_and_what_to_do():
    first, second, *_ = render(handmade.dns_failure("a.example")).splitlines()
    assert first == "✗ No name server knows a.example: 10.0.0.2:53 says NXDOMAIN."
    assert second.startswith("  To blame: DNS. To do: Correct the name")


def test_a_summary_that_does_not_name_the_target_gets_its_name():
    made = handmade.dns_failure("a.example")
    verdict = msgspec.structs.replace(made.verdict, summary="The name server fails.")
    assert render(msgspec.structs.replace(made, verdict=verdict)).startswith("✗ a.example:443: The name server fails.")


def test_the_purpose_of_a_target_is_told():
    made = handmade.healthy()
    shown = render(msgspec.structs.replace(made, target=handmade.target(purpose="interactive authoring")))
    assert "  Needed for: interactive authoring\n" in shown


def test_a_rung_that_was_begun_and_not_finished_is_told():
    made = msgspec.structs.replace(
        handmade.healthy(), not_run=(NotRun(rung="https", reason="the run was interrupted"),)
    )
    assert "Not tested to the end\n  https (direct): the run was interrupted\n" in render(made)


def test_a_bug_in_netdiag_is_shown_line_by_line():
    made = msgspec.structs.replace(handmade.healthy(), internal_errors=("Traceback:\n  KeyError: 'x'",))
    assert "this is a bug to report\n  Traceback:\n    KeyError: 'x'\n" in render(made)


def test_verbose_shows_what_compact_leaves_out():
    made = handmade.healthy()
    flow = Flow(client="10.0.0.7", client_port=50000, server=handmade.ADDRESS, server_port=443)
    observations = tuple(
        msgspec.structs.replace(o, flow=flow) if isinstance(o, TlsObservation) else o for o in made.observations
    )
    made = msgspec.structs.replace(made, observations=observations)
    verbose = render(made, "text", Layout(verbose=True))
    for fact in (
        "10.0.0.7 port 50000 → 192.0.2.10 port 443",
        "CNAME wu2-frontend.trafficmanager.net",
        "names wu2.frontend.clouddatahub.net, *.frontend.clouddatahub.net",
        "trust store: system /etc/ssl/certs/ca-certificates.crt",
        "Server: Microsoft-HTTPAPI/2.0",
    ):
        assert fact in verbose
        assert fact not in render(made)


def test_several_with_the_same_cause_have_one_report_and_verbose_shows_each():
    reports = [handmade.dns_failure(f"{letter}.example") for letter in "abc"]
    shown = text.several(reports, Layout())
    assert "The same for 2 more: b.example:443, c.example:443" in shown
    assert shown.count("Findings") == 1
    assert text.several(reports, Layout(verbose=True)).count("Findings") == 3


def test_healthy_targets_among_several_have_only_their_line():
    shown = text.several([handmade.healthy("a.example"), handmade.healthy("b.example")], Layout())
    assert shown.splitlines() == [
        "✓ a.example:443   213 ms  healthy",
        "✓ b.example:443   213 ms  healthy",
        "",
        "✓ 2 targets: 2 healthy",
    ]
