"""Reports on logs as text."""

from __future__ import annotations

import msgspec
import pytest

from netdiag.model import (
    Finding,
    LogCode,
    LogException,
    LogFileObservation,
    LogObservation,
    LogPlace,
    Report,
    Severity,
    Target,
    Tool,
    Verdict,
)
from netdiag.report import facts, render
from netdiag.report.layout import Layout
from netdiag.report.phrases import command_line

CODE = LogCode(value=10061, hexadecimal="0x274D", name="WSAECONNREFUSED", meaning="refused", source="winsock2.h")
ERROR = LogObservation(
    id="log.1",
    parent="log",
    source="log",
    started=1716285600.0,
    last=1716289200.0,
    count=12,
    spans=((1716285600.0, 11), (1716289200.0, 1)),
    level="error",
    provider="Integration Runtime",
    event_id=26,
    path="C:\\logs\\ir.evtx",
    line=7,
    text="Could not connect",
    exceptions=(
        LogException(type="A.OuterException", message="out"),
        LogException(type="B.InnerException", message="in"),
    ),
    codes=(CODE,),
    places=(LogPlace(host="n2", port=8060, scheme="net.tcp", address="10.2.4.10"),),
    waited_s=0.9940994,
)
FILE = LogFileObservation(
    id="log", source="log", paths=("ir.evtx",), formats=("evtx",), bytes=70_000, entries=900, utc=True,
    started=1716280000.0, last=1716290000.0, errors=12, nodes=("n1",), report_ids=("r-1",), more_errors=2, more_count=5,
)  # fmt: skip
FINDING = Finding(
    id="log.node-refused",
    severity=Severity.ERROR,
    summary="The node at n2:8060 refused",
    blame="server",
    remedy="Look there",
    evidence=("log.1",),
    commands=(
        ("netdiag", "node", "n2:8060"),
        ("netdiag", "endpoint", "[::1]:443"),
        ("netdiag", "endpoint", "$(reboot)"),
    ),
)
REPORT = Report(
    tool=Tool(version="1"),
    command="log",
    target=Target(host="", port=0, scheme="file", path="ir.evtx"),
    started=0.0,
    took_s=0.0,
    verdict=Verdict(status="failed", finding=FINDING.id, blame="server", summary=FINDING.summary),
    findings=(FINDING,),
    observations=(FILE, ERROR),
)


def test_everything_stands_in_its_place():
    text = render(REPORT)
    assert text.splitlines()[:6] == [
        "✗ The node at n2:8060 refused",
        "  To blame: the server. To do: Look there",
        "",
        "Run next (netdiag log --run does it)",
        "  netdiag node n2:8060",
        '  netdiag endpoint "[::1]:443"',
    ]
    for line in (
        "    log.1  12 times: ir.evtx:7 InnerException: in",
        "The log: Windows event log, 70 kB, 900 entries",
        "  from 2024-05-21 08:26:40 UTC to 2024-05-21 11:13:20 UTC",
        "  nodes: n1",
        "  report ids: r-1",
        "  2024-05-21 10:00:00     12x █          ▁ InnerException: in",
        "  and 2 different errors that there was no room for, 5 in all",
        "  The bars show 2024-05-21 10:00:00 to 2024-05-21 11:00:00 UTC.",
        "  0x274D = 10061 WSAECONNREFUSED: refused",
    ):
        assert line in text.splitlines()
    assert "reboot" not in text


def test_verbose_tells_each_exception_and_the_sources():
    text = render(REPORT, layout=Layout(verbose=True))
    for words in (
        "error, Integration Runtime, event 26",
        "A.OuterException: out",
        "caused by B.InnerException: in",
        "[winsock2.h]",
        "connects to net.tcp://n2:8060 (10.2.4.10)",
        "the attempt lasted 0.994 s",
    ):
        assert words in text


def test_plain_characters_where_the_console_has_no_others():
    assert render(REPORT, layout=Layout(unicode=False)).isascii()


def test_it_survives_json():
    assert msgspec.json.decode(msgspec.json.encode(REPORT), type=Report) == REPORT


def test_describe():
    assert facts.describe(FILE, "") == "Windows event log, 70 kB, 900 entries"
    assert facts.describe(ERROR, "") == "12 times: ir.evtx:7 InnerException: in"


@pytest.mark.parametrize("word", ["$(x)", "`x`", "a;b", 'a"b', "a'b", "a|b", "a&b", "%PATH%", "a\nb", "!x", "é"])
def test_words_that_a_shell_would_run_are_in_no_command(word):
    assert command_line(["netdiag", "dns", word]) == ""


def test_as_markdown():
    text = render(REPORT, "markdown")
    assert "netdiag node n2:8060" in text
    assert "reboot" not in text
    assert "2024-05-21 10:00:00" in text
    assert "WSAECONNREFUSED" in text
