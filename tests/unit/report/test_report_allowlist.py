"""The text report on firewall rules, and the note to their owner: as they stand in golden_allowlists/."""

from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from rich.cells import cell_len

from netdiag import AllowlistOptions, check_allowlist, parse_target, render
from netdiag.model import AllowlistObservation, PrefixList, TagCoverage, UnreadRule
from netdiag.report import facts
from netdiag.report.layout import Layout
from tests.service_tags import RULES, TAGS, nsg, nsg_rule, write_tags
from tests.unit.report.handmade import AT
from tests.unit.report.test_report_text import _strangers

GOLDEN = Path(__file__).parent / "golden_allowlists"
HOST = "wu2.frontend.clouddatahub.net"
DENY = nsg_rule("DenyInternet", 300, "Deny", "Internet", protocol="*", destinationPortRange="*")
OLD = {**TAGS, "DataFactory.WestUS2": (*TAGS["DataFactory.WestUS2"][1:], "51.104.9.32/28")}

RULE_FILES = {
    "firewall.txt": RULES,
    "names.txt": "*.clouddatahub.net\n",
    "nsg.json": json.dumps(nsg("nsg-ir", [nsg_rule("Adf", 200, "Allow", "DataFactory.WestUS"), DENY])),
    "late.json": json.dumps(nsg("nsg-ir", [nsg_rule("Adf", 400, "Allow", "DataFactory.WestUS2"), DENY])),
    "save.txt": "*filter\n:FORWARD DROP [0:0]\n-A FORWARD -s 10.0.0.0/8 -d 20.42.132.0/23 -j ACCEPT\n"
    "-A FORWARD -d 13.66.143.128/28 -m set --match-set adf dst -j ACCEPT\nCOMMIT\n",
}
CASES = {
    "list": (("firewall.txt",), {}, Layout()),
    "list-narrow-ascii": (("firewall.txt",), {}, Layout(width=50, unicode=False)),
    "list-verbose": (("firewall.txt",), {}, Layout(verbose=True)),
    "list-quiet": (("firewall.txt",), {}, Layout(quiet=True)),
    "names": (("names.txt",), {}, Layout()),
    "group": (("nsg.json",), {}, Layout()),
    "late-rule": (("late.json",), {}, Layout()),
    "conditions": (("save.txt",), {}, Layout()),
    "two-firewalls": (("names.txt", "nsg.json"), {}, Layout()),
    "addresses": (("firewall.txt",), {"more": ("20.42.132.9", "20.42.133.9", "8.8.8.8")}, Layout()),
    "needed": ((), {}, Layout()),
    "two-weeks": ((), {"previous": True}, Layout()),
    "two-weeks-rules": (("firewall.txt",), {"previous": True}, Layout()),
}


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    folder = tmp_path_factory.mktemp("allowlists")
    before = Path.cwd()
    os.chdir(folder)
    write_tags(Path("tags.json"))
    write_tags(Path("old.json"), OLD, change=363)
    for name, text in RULE_FILES.items():
        Path(name).write_text(text)
    made = {}
    for name, (rules, asked, _) in CASES.items():
        hosts = tuple(map(parse_target, (HOST, *asked.get("more", ()))))
        options = AllowlistOptions(endpoints=hosts, previous="old.json" if asked.get("previous") else "")
        report = check_allowlist("tags.json", rules, options)
        made[name] = msgspec.structs.replace(report, started=AT, took_s=0.1)
    os.chdir(before)
    return made


def compared(name, shown):
    file = GOLDEN / f"{name}.txt"
    if os.environ.get("NETDIAG_WRITE_GOLDEN") == "1":
        file.parent.mkdir(exist_ok=True)
        file.write_text(shown, encoding="utf-8")
    assert shown == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CASES)
def test_a_report_on_rules_reads_as_in_the_golden_file(reports, name):
    """NETDIAG_WRITE_GOLDEN=1 writes the files anew; look at the difference before you commit it."""
    layout = CASES[name][2]
    shown = render(reports[name], "text", layout)
    compared(name, shown)
    lines = shown.splitlines()
    assert max(map(cell_len, lines)) <= layout.width
    assert [line for line in lines if line != line.rstrip()] == []
    assert layout.unicode or shown.isascii()


@pytest.mark.parametrize("name", ["list", "group", "two-weeks-rules", "needed"])
def test_a_note_to_the_owner_reads_as_in_the_golden_file(reports, name):
    shown = render(reports[name], "ticket")
    compared(f"ticket-{name}", shown)
    assert shown.isascii()
    assert max(map(len, shown.splitlines())) <= 72


def test_every_golden_file_has_its_case():
    assert {file.stem.removeprefix("ticket-") for file in GOLDEN.iterdir()} == set(CASES)


@settings(max_examples=40, deadline=None)
@given(_strangers())
def test_what_strangers_write_breaks_no_report(reports, stranger):
    report = reports["list"]
    hostile = AllowlistObservation(
        id="allowlist",
        parent="service-tags",
        path=stranger,
        kind="list",
        what=stranger,
        coverage=(
            TagCoverage(
                tag=stranger,
                port=1,
                by="partly",
                missing=PrefixList(total=9, prefixes=(stranger,)),
                shadowed=PrefixList(total=1, prefixes=(stranger,)),
                shadowed_by=stranger,
                kept_back_by=stranger,
                unnamed=(stranger,),
                other_tags=(stranger,),
            ),
        ),
        unread=(UnreadRule(place=stranger, text=stranger, why=stranger),),
        unread_total=1,
        assumed=(stranger,),
        assumed_total=1,
        remarks=(stranger,),
    )
    changed = msgspec.structs.replace(report, observations=(report.observations[0], hostile))
    for line in render(changed, "text").split("\n"):
        assert cell_len(line) <= 80
        assert not [c for c in line if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]


@pytest.mark.parametrize("name", CASES)
def test_every_format_holds_what_is_missing(reports, name):
    report = reports[name]
    missing = [p for o in report.observations[1:] for c in getattr(o, "coverage", ()) for p in c.missing.prefixes]
    for shown in (render(report, "markdown"), render(report, "html"), render(report, "json")):
        assert report.verdict.status in ("healthy", "inconclusive") or report.verdict.finding in shown
        assert [prefix for prefix in missing if prefix not in shown] == []


def test_observations_in_a_line(reports):
    tags, firewall = reports["list"].observations
    assert facts.describe(tags) == "tags.json, Public, change 364; needed: DataFactory.WestUS2"
    assert facts.describe(firewall) == (
        "firewall.txt, a list of what is allowed, 7 rules: DataFactory.WestUS2 allowed in part"
    )
