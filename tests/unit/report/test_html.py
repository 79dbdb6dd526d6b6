"""The HTML page as a document: what may run in it, where its links lead, what its drawings say."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import netdiag
from netdiag.model import (
    Changes,
    Comparison,
    Difference,
    ExplainedFinding,
    FindingSource,
    Incident,
    IncidentFinding,
    LabelledReport,
    NotRun,
    Report,
    SeenBy,
)
from netdiag.report import html, render, timeline
from netdiag.report.html import markup, page, pathway, waterfall
from netdiag.report.html.section import Context
from tests.support import ROOT

GOLDEN = {
    path.stem: msgspec.json.decode(path.read_bytes(), type=Report)
    for path in sorted((ROOT / "tests" / "unit" / "golden").glob("*.json"))
    if not path.name.endswith(".expect.json")
}
#: Elements that have no end tag (HTML §13.1.2).
VOID = {"meta", "link", "br", "input", "hr", "img", "col", "wbr"}


class Document(HTMLParser):
    """The elements of a page, with their attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs)
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open:
            self.texts.setdefault(self._open[-1], []).append(data)

    def attributes(self, name: str) -> list[str]:
        return [attributes[name] or "" for _, attributes in self.elements if name in attributes]

    @property
    def text(self) -> str:
        return " ".join("".join(part) for tag, part in self.texts.items() if tag not in ("script", "style"))


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_each_recording_makes_a_sound_document(name):
    found = Document(render(GOLDEN[name], "html"))
    identifiers = found.attributes("id")
    assert len(identifiers) == len(set(identifiers))
    links = [link for link in found.attributes("href") if link != "data:,"]
    assert [link for link in links if not link.startswith("#") or link[1:] not in identifiers] == []
    for name in ("aria-labelledby", "data-copy", "data-save"):
        assert set(found.attributes(name)) <= set(identifiers)


def test_no_attribute_runs_or_fetches_anything():
    found = Document(render(list(GOLDEN.values())[:40], "html"))
    names = {name for _, attributes in found.elements for name in attributes}
    assert [name for name in names if name.startswith("on") or name in ("style", "src", "srcset", "action")] == []
    assert {tag for tag, _ in found.elements} & {"iframe", "object", "embed", "form", "base", "img"} == set()


def test_the_policy_allows_this_script_and_this_style_only():
    found = Document(render(GOLDEN["path-sni-reset-hop4"], "html"))
    policy = next(a["content"] for tag, a in found.elements if tag == "meta" and "http-equiv" in a)
    scripts = [a for tag, a in found.elements if tag == "script"]
    assert [a.get("type") for a in scripts] == ["application/json", None]
    parts = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert parts["default-src"] == "'none'"
    for name, tag in (("script-src", "script"), ("style-src", "style")):
        texts = found.texts[tag]
        inline = texts[-1]
        assert parts[name] == f"'sha256-{base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()}'"


def test_the_raw_json_is_the_report():
    report = GOLDEN["proxy-forbidden"]
    found = Document(render(report, "html"))
    assert msgspec.json.decode(found.texts["script"][0], type=Report) == report
    several = Document(render([report, report], "html"))
    assert msgspec.json.decode(several.texts["script"][-2], type=tuple[Report, ...]) == (report, report)


@given(st.text())
def test_data_blocks_cannot_be_left(text):
    block = str(markup.data(json.dumps({"a": text})))
    assert "<" not in block
    assert json.loads(block) == {"a": text}


def test_the_explanation_of_the_finding_is_there():
    found = Document(render(GOLDEN["path-sni-reset-hop4"], "html"))
    assert "What this means" in found.text
    unknown = msgspec.structs.replace(
        GOLDEN["path-sni-reset-hop4"],
        findings=tuple(
            msgspec.structs.replace(f, id="tls.of-a-later-release") for f in GOLDEN["path-sni-reset-hop4"].findings
        ),
    )
    assert "tls.of-a-later-release" in Document(render(unknown, "html")).text


@given(st.floats(0.001, 1e6), st.integers(1, 10))
def test_axis_steps_are_round_and_few(span, most):
    step = timeline.round_step(span, most)
    assert re.fullmatch(r"[125]e[+-]\d\d", f"{step:.0e}")
    assert span / step <= most * (1 + 1e-9)
    assert span / (step / 2.5) > most or span / (step / 2) > most


def test_bars_stand_where_the_probes_were():
    report = GOLDEN["proxy-forbidden"]
    observations = tuple(
        msgspec.structs.replace(o, started=1000.0 + n / 10, took_s=0.1) for n, o in enumerate(report.observations)
    )
    report = msgspec.structs.replace(report, observations=observations)
    scale = timeline.scale(report.observations)
    assert scale.start == 1000.0
    assert scale.span == pytest.approx(len(observations) / 10)
    bars = [
        bar
        for route in ("direct", "proxy")
        for rung in ("machine", "dns", "tcp", "proxy", "tls", "chain", "https")
        for bar in waterfall._bars(report, Context(), rung, route, scale)
    ]
    assert sorted(round(bar.start * len(observations)) for bar in bars) == list(range(len(observations)))
    assert {round(bar.width * len(observations), 6) for bar in bars} == {1.0}


def test_the_path_marks_the_device_that_reset():
    from netdiag.report.hops import paths

    report = GOLDEN["path-sni-reset-hop4"]
    drawing = pathway._drawing(report, paths(report)[0])
    assert [row.number for row in drawing.rows] == ["0", "1", "2", "3", "4", "5", "6-20", "21", "22"]
    blamed = next(row for row in drawing.rows if row.blamed)
    assert blamed.number == "4"
    assert [lane.symbol for lane in blamed.lanes] == ["line", "failed"]
    assert [lane.symbol for lane in drawing.rows[-1].lanes] == ["ok", ""]
    assert [lane.symbol for lane in drawing.rows[0].lanes] == ["start", "start"]
    assert "RST TTL 61 = 64 − 3" in drawing.arithmetic[0]


def test_of_many_reports_each_cause_is_told_in_full_once(monkeypatch):
    reports = [GOLDEN["healthy-ipv4"], *[GOLDEN["dns-nxdomain"]] * 30, GOLDEN["tcp-closed-port"]]
    monkeypatch.setattr(page, "_MOST_WHOLE", 3)
    found = Document(render(reports, "html"))
    assert found.text.count("Step by step") == 3
    assert "32 targets: 31 failed, 1 healthy" in found.text
    assert len([a for tag, a in found.elements if tag == "details" and a.get("class") == "report"]) == 32
    opened = [a["id"] for tag, a in found.elements if tag == "details" and a.get("class") == "report" and "open" in a]
    assert opened == ["r1-report"]


def test_an_incident_leads_into_its_reports():
    sick, well = GOLDEN["tls-intercepting-squid"], GOLDEN["healthy-squid"]
    finding = sick.findings[0]
    source = FindingSource(
        report="node-b", severity=finding.severity, summary=finding.summary, evidence=finding.evidence
    )
    merged = IncidentFinding(
        **{name: getattr(finding, name) for name in ("id", "severity", "summary", "blame", "remedy")},
        targets=("app:443",),
        sources=(source,),
        explains=(ExplainedFinding(report="node-a", finding=finding, because="Both are about one connection."),),
    )
    difference = Difference(
        rung="chain",
        what="issuer of the chain",
        values=(SeenBy(report="node-a", value="Contoso"), SeenBy(report="node-b", value="<b>Zscaler")),
        sentence="...",
        telling=True,
    )
    compared = Comparison(
        target="app:443",
        reports=("node-a", "node-b"),
        working=("node-a",),
        failing=("node-b",),
        differences=(difference,),
        conclusions=("Only node-b sees another issuer.",),
    )
    changed = Changes(
        target="app:443",
        report="node-b",
        baseline="good",
        new=(finding,),
        vanished=("dns.timeout",),
        conclusions=("!",),
    )
    incident = Incident(
        tool=sick.tool,
        started=sick.started,
        verdict=sick.verdict,
        reasoning=("node-a works.",),
        findings=(merged,),
        reports=(LabelledReport(label="node-a", report=well), LabelledReport(label="node-b", report=sick)),
        comparisons=(compared,),
        baseline=(LabelledReport(label="good", report=well),),
        changes=(changed,),
        remarks=("Made far apart.",),
    )
    found = Document(html.incident(incident))
    identifiers = found.attributes("id")
    assert len(identifiers) == len(set(identifiers))
    links = [link for link in found.attributes("href") if link != "data:,"]
    assert [link for link in links if link[1:] not in identifiers] == []
    places = [n for n, o in enumerate(sick.observations) if o.id in finding.evidence]
    assert {f"#r1-o{n}" for n in places} <= set(links)
    for said in ("node-a works.", "Made far apart.", "Only node-b sees another issuer.", "<b>Zscaler", "dns.timeout"):
        assert said in found.text
    assert msgspec.json.decode(found.texts["script"][0], type=Incident) == incident


def test_a_log_shows_when_each_error_occurred_and_what_to_run():
    report = netdiag.read_log([str(ROOT / "examples" / "integration-runtime.log")])
    found = Document(render(report, "html"))
    assert "netdiag node ir-node2.corp.example:8060" in found.text
    assert "WSAECONNREFUSED" in found.text
    bars = [a for tag, a in found.elements if tag == "rect" and a.get("class") == "probe failed"]
    assert len(bars) == 3  # three errors, each within one forty-eighth of the time
    assert len({a["x"] for a in bars}) == 3


def test_a_reason_without_any_row_is_told():
    left_out = NotRun(rung="machine", route="proxy", reason="interrupted before it began")
    report = msgspec.structs.replace(GOLDEN["healthy-ipv4"], observations=(), findings=(), not_run=(left_out,))
    found = Document(render(report, "html"))
    assert "interrupted before it began" in found.text
    assert "waterfall" not in [a.get("class") for _, a in found.elements]
