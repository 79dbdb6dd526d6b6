"""Markdown: as it stands in golden_markdown/, and as a real CommonMark renderer reads it."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from netdiag.model import Incident, NotRun
from netdiag.report import markdown, render
from netdiag.report.escape import escape
from netdiag.report.layout import Layout
from netdiag.report.markdown import inline
from tests.unit.report import captured, certified, filling, handmade, traced

GOLDEN = Path(__file__).parent / "golden_markdown"

CASES = {
    "healthy": (handmade.healthy(), Layout()),
    "proxy-forbidden": (handmade.proxy_forbidden(), Layout()),
    "reset-at-hop-4": (traced.reset_at_hop_4(), Layout()),
    "reset-at-hop-4-verbose": (traced.reset_at_hop_4(), Layout(verbose=True)),
    "silent-drop-ascii": (traced.silent_drop(), Layout(unicode=False)),
    "inconclusive": (handmade.inconclusive(), Layout()),
    "quiet": (handmade.proxy_forbidden(), Layout(quiet=True)),
    "capture": (captured.faulty(), Layout()),
    "capture-resets": (captured.faulty(), Layout(resets=True, conversations=(3, 99))),
    "certificates": (certified.offline(), Layout()),
    "certificates-verbose": (certified.untrusted(), Layout(verbose=True)),
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

#: What GitHub and GitLab read: HTML, tables, struck text, and links made of bare addresses.
RENDERER = MarkdownIt("commonmark", {"html": True, "linkify": True}).enable(["table", "strikethrough", "linkify"])
#: The elements that reports in Markdown are made of.
ELEMENTS = {"h2", "h3", "h4", "p", "ul", "li", "strong", "code", "pre", "table", "thead", "tbody", "tr", "th", "td"}


@pytest.mark.parametrize("name", CASES)
def test_a_report_reads_as_in_the_golden_file(name):
    """NETDIAG_WRITE_GOLDEN=1 writes the files anew; look at the difference before you commit it."""
    reports, layout = CASES[name]
    shown = render(reports, "markdown", layout)
    file = GOLDEN / f"{name}.md"
    if os.environ.get("NETDIAG_WRITE_GOLDEN") == "1":
        file.write_text(shown, encoding="utf-8")
    assert shown == file.read_text(encoding="utf-8")


def test_every_golden_file_has_its_case():
    assert {file.stem for file in GOLDEN.iterdir()} == set(CASES)


def elements(markdown: str) -> set[str]:
    """The names of all elements that a renderer makes of it."""
    return set(re.findall(r"<([a-zA-Z][\w-]*)", RENDERER.render(markdown)))


def words(markdown: str) -> str:
    """The text that a reader sees, blanks apart."""
    said = []
    for block in RENDERER.parse(markdown):
        said += [part.content for part in block.children] if block.children is not None else [block.content]
    return "".join("".join(said).split())


@pytest.mark.parametrize("name", CASES)
def test_nothing_but_its_own_elements_comes_of_it(name):
    assert elements(render(*_args(name))) <= ELEMENTS


@pytest.mark.parametrize("name", CASES)
def test_tables_have_as_many_cells_in_each_row(name):
    tables = [block for block in render(*_args(name)).split("\n\n") if block.startswith("|")]
    for table in tables:
        rows = table.splitlines()
        assert RENDERER.render(table).count("<tr>") == len(rows) - 1
        assert {row.count("|") for row in rows} == {rows[0].count("|")}


def _args(name):
    reports, layout = CASES[name]
    return reports, "markdown", layout


NASTY = (
    "<script>alert(1)</script> <img src=x onerror=alert(1)> &lt;b&gt; &#x41; [a](http://b) ![a](b) [a]: http://b "
    "<http://a.example> https://a.example www.a.example a@b.example @someone #12 !12 $12 ~label %mile &epic GH-12 "
    "owner/repo#1 deadbeef1 :smile: *a* **b** _c_ __d__ ~~e~~ `f` ``g`` ``` h ``` ~~~ i | j || k \\| l a|b `|` "
    "# heading ## ## === --- *** ___ - + * 1. 2) > quote [x] [ ] [^1] \\ \\* \\< $x$ {{ x }} {% x %} mailto:a@b "
    "//a.example ]( <!-- --> <![CDATA[ ]]> <?php ?> </p> \t \n \r\n \x1b[31m \u202e \u200b \ud800 ＜script＞ a\u0301"
).split(" ")


@settings(max_examples=300)
@given(st.lists(st.one_of(st.sampled_from(NASTY), st.text(max_size=12)), max_size=8).map(" ".join))
def test_running_text_shows_as_it_is_and_makes_no_element(text):
    for made in (inline.inline(text), inline.code(text)):
        for place in (made, f"- {made}", f"### {made}", f"| a |\n| --- |\n| {made} |", f"**To do:** {made}"):
            own = {"p", "ul", "li", "h3", "table", "thead", "tbody", "tr", "th", "td", "strong", "code"}
            assert elements(place) <= own
        assert words(made) == "".join(escape(text).split())


def test_no_pair_of_markup_makes_an_element():
    for first, second in itertools.product(NASTY, ("", *NASTY[::3])):
        made = inline.inline(text := f"{first} {second}")
        assert elements(made) <= {"p", "code"}, text
        assert words(made) == "".join(escape(text).split()), text


def test_the_renderer_would_make_elements_of_them():
    """Else these tests would prove nothing."""
    found = set().union(*(elements(f"{text} a\n\n{text}\n") for text in (*NASTY, "- a", "1. a", "# a", "> a")))
    assert {"script", "img", "a", "em", "strong", "code", "h1", "blockquote", "hr", "ul", "ol"} <= found


@given(st.text(alphabet="`~|-<&#\\ a\n", max_size=60))
def test_a_block_cannot_be_left(text):
    made = inline.fenced("\n".join(escape(line) for line in text.split("\n")))
    assert RENDERER.render(made).count("<pre>") == 1
    tokens = RENDERER.parse(made)
    assert [token.type for token in tokens] == ["fence"]
    assert tokens[0].content.rstrip() == "\n".join(escape(line) for line in text.split("\n")).rstrip()


def test_words_stay_words_and_what_is_none_becomes_code():
    said = "TTL 61 = 64 − 3 → sent from hop 4 (10.77.3.2); it's <1 ms, 85% of 1,234 at 15:06:40, re-sent twice."
    assert inline.inline(said) == said.replace("10.77.3.2", "`10.77.3.2`")
    assert inline.inline("1. first") == "`1`. first"
    assert inline.inline("- first - second") == "`-` first - second"
    assert inline.inline("a|b") == "`a`&#124;`b`"
    assert inline.inline("1234567 cafebabe1 ABC-12") == "`1234567` `cafebabe1` `ABC-12`"


def test_ascii_has_nothing_else():
    assert render(*_args("silent-drop-ascii")).isascii()


def test_lists_are_bounded_and_say_what_they_leave_out():
    finding = traced.reset_at_hop_4().findings[0]
    long = msgspec.structs.replace(
        finding,
        details=tuple(f"sign {n}" for n in range(50)),
        evidence=tuple(f"made.up.{n}" for n in range(100)),
    )
    made = msgspec.structs.replace(
        handmade.healthy(),
        findings=(long,),
        observations=tuple(msgspec.structs.replace(handmade.tcp(), id=f"tcp.direct.{n}") for n in range(60)),
    )
    shown = render(made, "markdown")
    assert "and 30 more signs (`--verbose` lists them)" in shown
    assert "and 52 more (`--verbose` lists them)" in shown
    assert "and 20 more observations (`--verbose` lists them)" in shown
    verbose = render(made, "markdown", Layout(verbose=True))
    assert "sign 49" in verbose
    assert "`made.up.99`" in verbose
    assert "`tcp.direct.59`" in verbose


def test_what_was_not_tested_and_what_failed_in_netdiag_is_told():
    made = msgspec.structs.replace(
        handmade.healthy(),
        not_run=(NotRun(rung="https", reason="the run was interrupted"),),
        internal_errors=("Traceback:\n  KeyError: '```'",),
    )
    shown = render(made, "markdown")
    assert "- https (direct): the run was interrupted" in shown
    assert "````text\nTraceback:\n  KeyError: '```'\n````" in shown


def test_several_with_the_same_cause_have_one_section_and_verbose_shows_each():
    reports = [handmade.dns_failure(f"{letter}.example") for letter in "abc"]
    shown = render(reports, "markdown")
    assert "The same for 2 other targets: `b.example:443` `c.example:443`" in shown
    assert shown.count("### Findings") == 1
    assert render(reports, "markdown", Layout(verbose=True)).count("### Findings") == 3


def test_an_incident_tells_all_that_it_holds():
    count = itertools.count()
    found = filling.Filler(lambda: f"word{next(count)}").value(msgspec.inspect.type_info(Incident))
    found = msgspec.structs.replace(
        found,
        verdict=msgspec.structs.replace(found.verdict, finding=found.findings[0].id, status="failed"),
    )
    shown = words(markdown.incident(found, Layout(verbose=True)))
    told = [found.verdict.summary, *found.reasoning, *found.remarks]
    for finding in found.findings:
        told += [finding.id, finding.summary, finding.remedy, *finding.targets, *finding.details, finding.reference]
        told += [source.report for source in finding.sources]
        told += [identifier for source in finding.sources for identifier in source.evidence]
        told += [one.finding.id + "of" + one.report + one.because for one in finding.explains]
    for comparison in found.comparisons:
        told += [comparison.target, *comparison.reports, *comparison.conclusions]
    for change in found.changes:
        told += [*change.conclusions, *(finding.id for finding in change.new), *change.vanished]
    told += [one.label for one in (*found.reports, *found.baseline)]
    assert [text for text in told if text not in shown] == []
    assert elements(render(found, "markdown")) <= ELEMENTS
    assert words(markdown.incident(found, Layout(quiet=True))).endswith(found.findings[0].remedy)
