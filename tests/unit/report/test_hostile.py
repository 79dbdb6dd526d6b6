"""Hostile strings in every place of every kind of report show as text, in every format, and do nothing else."""

from __future__ import annotations

import functools
import itertools
import json
import re
import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lxml import html
from msgspec import inspect
from rich.cells import cell_len

from netdiag.model import Incident, Report
from netdiag.report import json as report_json
from netdiag.report import markdown, render
from netdiag.report.layout import Layout
from tests.unit.report import filling
from tests.unit.report.test_report_markdown import ELEMENTS, RENDERER

_PAYLOADS = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "</style><img src=x onerror=alert(1)>",
    "<!--<script>",
    "-->",
    "]]>",
    "<![CDATA[x]]>",
    "</pre></code></td></table>",
    "<svg/onload=alert(1)>",
    "<a href=javascript:alert(1)>x</a>",
    '" onmouseover="alert(1)',
    "' onmouseover='alert(1)",
    "`onmouseover=alert(1)`",
    "javascript:alert(1)",
    "data:text/html;base64,PHNjcmlwdD4=",
    "#raw",
    "{{ 7*7 }}",
    "{% raw %}{{ config }}{% endraw %}",
    "${7*7}",
    "%(x)s {0} {x!r}",
    "&lt;script&gt; &#60;b&#62; &amp;amp;",
    "expression(alert(1))",
    "url(http://a.example/x.css)",
    "*{display:none}",
    "[red]markup[/red]",
    "[a](http://a.example) ![b](http://a.example/c.png)",
    "[a]: http://a.example",
    "www.a.example https://a.example a@b.example",
    "@someone #12 !34 GH-56 deadbeefcafe :smile: $x$",
    "a|b||c\\|d",
    "```\n<b>",
    "~~~",
    "`` ` ```",
    "# heading\n===\n---",
    "- [ ] item\n1. item\n> quote",
    "**bold** __bold__ ~~gone~~",
    "\x1b[31mred\x1b[0m",
    "\x1b]8;;http://a.example\x07link\x1b]8;;\x07",
    "\x9b31m \x90q\x9c",
    "\x00\x01\x08\x7f",
    "\r\rover\b\b",
    "line\nline\r\nline\u2028line\u2029line\x85line\x0b",
    "\u202egnp.exe\u202c \u2066x\u2069",
    "\u200b\u200c\u200d\ufeff\u2060\u00ad",
    "\ud800 \udfff \udc80",
    "e\u0301\u0301\u0301\u0301\u0301\u0301",
    "\uff1cscript\uff1e \ufe64b\ufe65",
    "\u212a \ufb01 \u0130 \u1e9e",
    "\U000e0041\U000e007f",
    "\ufffe\U0010ffff\ue000",
    "漢字かな交じり",
    "שלום مرحبا",
    "👩\u200d👩\u200d👧 🇩🇪",
    "../../etc/passwd\x00.pcap",
    "C:\\x\\y.pcap",
    'CN=<b>x</b>,O=\\"q\\"',
    'host" --flag $(reboot)',
    "",
    " ",
    "\t",
)
_WAYS: tuple[Callable[[str], str], ...] = (
    lambda text: text,
    lambda text: f"a{text}",
    lambda text: f"{text}a",
    lambda text: f" {text} ",
    lambda text: f"wu2.frontend.example {text} after",
    lambda text: f'"{text}"',
    lambda text: f"'>{text}",
    lambda text: f'">{text}<"',
    lambda text: f"CN={text},O=x",
    lambda text: f"http://{text}/",
    lambda text: text * 3,
    lambda text: text.upper(),
    lambda text: text[::-1],
    lambda text: f"\u202e{text}",
    lambda text: f"`{text}`",
    lambda text: f"1. {text}",
    lambda text: unicodedata.normalize("NFKC", text),
    lambda text: "".join(f"{character}\u200b" for character in text),
    lambda text: f"{text}\n{text}",
)
#: As long as a header, a name in a certificate or a page that a proxy answers with may be.
_LONG = tuple((f"{text} x"[:16] * 8192)[:65536] for text in ("<b>", "`", "|", "\x1b[1m", "漢", "a", "]]> ", "\u202e"))
STRINGS = tuple(dict.fromkeys(way(text) for text in _PAYLOADS for way in _WAYS)) + _LONG


@functools.cache
def reports(kind: str) -> tuple[Report, ...]:
    """As many as it takes for each string to have stood somewhere; in each kind at other places."""
    offset = filling.KINDS.index(kind) * len(STRINGS) // len(filling.KINDS)
    endless = itertools.cycle(STRINGS[offset:] + STRINGS[:offset])
    made: list[Report] = []
    seen: set[str] = set()
    while not seen.issuperset(STRINGS):
        made.append(filling.filled(kind, lambda: next(endless)))
        seen |= set(filling.strings(made[-1]))
    return tuple(made)


def harmless(kind: str) -> tuple[Report, ...]:
    """The same reports with harmless strings of the same shapes."""
    offset = filling.KINDS.index(kind) * len(STRINGS) // len(filling.KINDS)
    endless = itertools.cycle([alike(text) for text in STRINGS[offset:] + STRINGS[:offset]])
    return tuple(filling.filled(kind, lambda: next(endless)) for _ in reports(kind))


def alike(text: str) -> str:
    """A harmless string of the same length, with its blanks and line ends where they were."""
    return "".join(character if character in " \n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029" else "w" for character in text)


def test_there_are_more_than_a_thousand():
    assert len(STRINGS) > 1000


@pytest.mark.parametrize("kind", filling.KINDS)
@pytest.mark.parametrize("layout", [Layout(), Layout(verbose=True, unicode=False, width=60)], ids=["usual", "verbose"])
def test_text_has_no_control_character_and_keeps_its_width(kind, layout):
    made = reports(kind)
    shown = "".join(render(report, "text", layout) for report in made) + render(made, "text", layout)
    for line in shown.split("\n"):
        assert cell_len(line) <= layout.width
        assert not [c for c in line if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")]
    assert layout.unicode or shown.isascii()


@pytest.mark.parametrize("kind", filling.KINDS)
def test_a_note_for_a_mail_has_no_control_character(kind):
    for report in reports(kind):
        for line in render(report, "ticket").split("\n"):
            assert not [c for c in line if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")]


@pytest.mark.parametrize("kind", filling.KINDS)
@pytest.mark.parametrize("verbose", [False, True], ids=["usual", "verbose"])
def test_markdown_makes_none_but_its_own_elements(kind, verbose):
    made = reports(kind)
    for each in (*made, made):
        page = RENDERER.render(render(each, "markdown", Layout(verbose=verbose, resets=True)))
        tags = set(re.findall(r"<([a-zA-Z][\w-]*)((?:\s[^>]*)?)>", page))
        assert {name for name, _ in tags} <= ELEMENTS
        attributes = {attribute for _, attribute in tags}
        assert attributes <= {"", ' class="language-text"', ' style="text-align:right"'}
        assert not [c for c in page if unicodedata.category(c) in ("Cf", "Cs", "Co", "Cn", "Zl", "Zp")]


def test_an_incident_in_markdown_makes_none_but_its_own_elements():
    endless = itertools.cycle(STRINGS)
    found = filling.Filler(lambda: next(endless)).value(inspect.type_info(Incident))
    page = RENDERER.render(markdown.incident(found, Layout(verbose=True)))
    assert set(re.findall(r"<([a-zA-Z][\w-]*)", page)) <= ELEMENTS


class Document:
    """A page as a browser reads it."""

    def __init__(self, page: str) -> None:
        self._root = html.document_fromstring(page.encode("utf-8"), parser=html.HTMLParser(encoding="utf-8"))
        self.shape = {(e.tag, tuple(sorted(e.attrib))) for e in self._root.iter() if isinstance(e.tag, str)}
        self.comments = [e for e in self._root.iter() if not isinstance(e.tag, str)]
        scripts = self._root.xpath("//script | //style")
        self.data = next(e.text for e in scripts if e.get("id") == "data")
        self.scripts = [e.text for e in scripts if e.get("type") != "application/json"]
        self.policy = self._root.xpath("//meta[@http-equiv]/@content")

    def values(self, name: str) -> set[str]:
        """Of every attribute of that name."""
        return set(self._root.xpath(f"//@{name}"))


@pytest.mark.parametrize("kind", filling.KINDS)
def test_html_has_the_elements_attributes_and_scripts_of_a_harmless_report(kind):
    made = reports(kind)
    found = Document(render(made, "html"))
    plain = Document(render(harmless(kind), "html"))
    assert found.shape <= plain.shape
    assert found.comments == []
    assert found.scripts == plain.scripts
    assert found.policy == plain.policy
    assert not {name for _, names in found.shape for name in names if name.startswith("on") or name in ("src", "style")}
    for name, form in {"href": r"#[\w-]+|data:,", "id": r"[\w-]+", "class": r"[\w -]*"}.items():
        assert [value for value in found.values(name) if not re.fullmatch(form, value)] == []
    assert json.loads(found.data) == json.loads(report_json.encode_array(made))


@pytest.mark.parametrize("kind", filling.KINDS)
def test_json_gives_each_string_back(kind):
    for report in reports(kind):
        back = report_json.decode(render(report, "json"))
        assert list(filling.strings(back)) == [
            text.encode("utf-8", "backslashreplace").decode() for text in filling.strings(report)
        ]


@settings(max_examples=15)
@example("{target.__class__} {0}", "target")
@given(st.text(max_size=200), st.sampled_from(filling.KINDS))
def test_any_string_at_all(text, kind):
    report = filling.filled(kind, lambda: text)
    found = Document(render(report, "html"))
    assert found.comments == []
    assert json.loads(found.data) == json.loads(report_json.encode(report))
    page = RENDERER.render(render(report, "markdown"))
    assert set(re.findall(r"<([a-zA-Z][\w-]*)", page)) <= ELEMENTS
    for line in render(report, "text").split("\n"):
        assert cell_len(line) <= 80
        assert not [c for c in line if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")]
