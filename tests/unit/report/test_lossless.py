"""No printer loses a finding: what the JSON holds stands in every other format, or is counted there."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import html

from netdiag import analyze_capture
from netdiag.model import (
    RUNGS,
    Blame,
    CaptureObservation,
    ChainObservation,
    Culprit,
    Finding,
    KeyObservation,
    NotRun,
    Report,
    RetrievalObservation,
    Severity,
)
from netdiag.report import phrases, render
from netdiag.report.escape import LIMIT, escape, plain
from netdiag.report.layout import Layout
from netdiag.report.sections import DETAIL_LIMIT
from tests.support import ROOT
from tests.unit.report import captured, certified, handmade, test_report_markdown, traced

GOLDEN = {
    path.stem: msgspec.json.decode(path.read_bytes(), type=Report)
    for path in sorted((ROOT / "tests" / "unit" / "golden").glob("*.json"))
    if not path.name.endswith(".expect.json")
}
#: One of each kind of trouble; reading all of them would take long, and show no more.
CAPTURES = sorted(
    path.with_suffix(".pcap").name
    for path in (ROOT / "captures").glob("*.json")
    if path.with_suffix(".pcap").exists() and path.stem.startswith(("dns", "guide", "loss", "mtu", "tls", "proxy"))
)
MADE = {
    "impaired": handmade.impaired(),
    "intercepted": handmade.intercepted(),
    "inconclusive": handmade.inconclusive(),
    "faulty capture": captured.faulty(),
    "damaged capture": captured.damaged(),
    "offline": certified.offline(),
    "untrusted": certified.untrusted(),
    "unreadable": certified.unreadable(),
    "reset": traced.reset_at_hop_4(),
    "through a proxy": traced.through_a_proxy(),
}


def bare(text: str) -> str:
    """Without blanks and line ends, which differ, and the line that leads down a chain."""
    return "".join(text.replace("│", "").split())


def shown(report: Report, form: str) -> str:
    """What a reader sees of it, without blanks."""
    layout = Layout(verbose=form.endswith("verbose"), width=60)  # too narrow for two ladders side by side
    if form == "html":
        page = html.document_fromstring(render(report, "html").encode(), parser=html.HTMLParser(encoding="utf-8"))
        for element in page.xpath("//script | //style | //title"):
            element.drop_tree()
        return bare(page.text_content())
    if form.startswith("markdown"):
        return test_report_markdown.words(render(report, "markdown", layout))
    return bare(render(report, "ticket" if form == "ticket" else "text", layout))


def missing(report: Report, form: str) -> list[str]:
    """What does not stand there, and should."""
    found = shown(report, form)
    return [f"{what}: {value}" for what, value in expected(report, form) if bare(value) not in found]


def expected(report: Report, form: str) -> Iterator[tuple[str, str]]:
    """What has to stand there."""
    whole = form in ("text verbose", "markdown verbose", "html")
    for finding in report.findings:
        yield from _of(finding, form, whole=whole)
    for entry in report.not_run:
        yield "not run", escape(entry.reason, LIMIT)
    for error in report.internal_errors:
        yield from (("error", escape(line, LIMIT)) for line in error.splitlines())
    if whole:
        for observation in report.observations:
            yield "observation", observation.id


def _of(finding: Finding, form: str, *, whole: bool) -> Iterator[tuple[str, str]]:
    yield "id", finding.id
    yield "severity", f"{finding.severity}"
    yield "summary", escape(finding.summary, LIMIT)
    yield "remedy", escape(finding.remedy, DETAIL_LIMIT)
    yield "blame", f"{phrases.BLAME[finding.blame]}{phrases.culprit(finding.culprit)}"
    yield from (("folded", identifier) for identifier in finding.folded)
    details = len(finding.details) if whole else {"text": 4}.get(form, 20)
    yield from (("detail", escape(detail, LIMIT)) for detail in finding.details[:details])
    if len(finding.details) > details:
        yield "more details", f"and {len(finding.details) - details} more sign"
    ids = len(finding.evidence) if whole else {"text": 4}.get(form, 48)
    yield from (("evidence", identifier) for identifier in finding.evidence[:ids])
    if len(finding.evidence) > (8 if form == "text" else ids):
        yield "more evidence", "more (--verbose lists them)"


FORMS = ("text", "text verbose", "markdown", "markdown verbose", "html")


def _certificates(report: Report) -> bool:
    """Verbose text draws all chains, URLs and keys of certificate files, and need not list them once more."""
    return report.target.scheme == "file" and not any(isinstance(o, CaptureObservation) for o in report.observations)


def _unlisted(report: Report, lost: list[str]) -> list[str]:
    drawn = (ChainObservation, RetrievalObservation, KeyObservation)
    ids = {f"observation: {o.id}" for o in report.observations if isinstance(o, drawn)}
    return [what for what in lost if what not in ids]


def check(report: Report) -> None:
    for form in FORMS:
        lost = missing(report, form)
        if form == "text verbose" and _certificates(report):
            lost = _unlisted(report, lost)
            words = [o.url for o in report.observations if isinstance(o, RetrievalObservation)]
            lost += [url for url in words if bare(url) not in shown(report, form)]
        assert lost == [], form
    check_ticket(report)


def check_ticket(report: Report) -> None:
    """The note for the network team is about the root cause alone."""
    root = next((finding for finding in report.findings if finding.id == report.verdict.finding), None)
    if root is None:
        return
    found = shown(report, "ticket")
    for value in (root.id, root.severity, root.summary, root.remedy, *root.details[:12]):
        assert bare(plain(escape(value, DETAIL_LIMIT))) in found
    if len(root.details) > 12:
        assert bare(f"and {len(root.details) - 12} more") in found


@pytest.mark.parametrize("name", GOLDEN)
def test_no_recording_loses_anything(name):
    check(GOLDEN[name])


@pytest.mark.parametrize("name", MADE)
def test_no_other_report_loses_anything(name):
    check(MADE[name])


@pytest.mark.parametrize("name", CAPTURES)
def test_no_capture_loses_anything(name):
    check(analyze_capture(str(ROOT / "captures" / name)).report)


_words = st.text(alphabet="abc <&|`*_é→", min_size=1, max_size=60).filter(str.strip)


@st.composite
def _finding(draw: st.DrawFn, n: int) -> Finding:
    culprit = st.builds(
        Culprit, address=st.sampled_from(["", "192.0.2.1"]), hop=st.sampled_from([None, 4]), name=_words
    )
    return Finding(
        id=f"tcp.made-up-{n}",
        severity=draw(st.sampled_from(Severity)),
        summary=f"summary {n} {draw(_words)}",
        blame=draw(st.sampled_from(msgspec.inspect.type_info(Blame).values)),
        remedy=f"remedy {n} {draw(_words)}",
        culprit=draw(st.none() | culprit),
        details=tuple(f"detail {n}.{m} {draw(_words)}" for m in range(draw(st.integers(0, 30)))),
        folded=tuple(f"tcp.folded-{n}-{m}" for m in range(draw(st.integers(0, 2)))),
        evidence=tuple(f"made.up.{n}.{m}" for m in range(draw(st.integers(0, 60)))),
    )


@st.composite
def _report(draw: st.DrawFn) -> Report:
    base = draw(st.sampled_from([*MADE.values()]))
    findings = tuple(draw(_finding(n)) for n in range(draw(st.integers(0, 4))))
    findings = tuple(sorted(findings, key=lambda finding: finding.severity.rank))
    root = draw(st.sampled_from([None, *findings]))
    verdict = msgspec.structs.replace(
        base.verdict, finding=root.id if root else None, blame=root.blame if root else None
    )
    if root is not None and draw(st.booleans()):
        verdict = msgspec.structs.replace(verdict, summary=root.summary)
    routes = st.sampled_from(["direct", "proxy"])
    not_run = st.builds(NotRun, rung=st.sampled_from(RUNGS), route=routes, reason=_words.map("because {}".format))
    errors = st.lists(_words.map("error {}".format), max_size=2).map(tuple)
    return msgspec.structs.replace(
        base,
        verdict=verdict,
        findings=findings,
        not_run=tuple(draw(st.lists(not_run, max_size=4))),
        internal_errors=draw(errors),
    )


@settings(max_examples=60)
@given(_report())
def test_no_generated_report_loses_anything(report):
    check(report)


def test_a_lost_finding_would_be_missed():
    """Else these tests would prove nothing."""
    report = handmade.intercepted()
    for form in FORMS:
        other = msgspec.structs.replace(report, findings=(msgspec.structs.replace(report.findings[0], id="tls.other"),))
        found = shown(report, form)
        assert [what for what, value in expected(other, form) if bare(value) not in found] == ["id"]


def test_severities_stand_beside_their_ids():
    for form in FORMS:
        found = shown(MADE["faulty capture"], form)
        assert re.search(r"tcp\.no-reply\(?warning|warningtcp\.no-reply", found), form
