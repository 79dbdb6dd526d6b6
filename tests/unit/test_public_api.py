"""The public API: what it names, that it is there, and what a type checker makes of it."""

from __future__ import annotations

import re
import subprocess
import sys
from types import ModuleType

import pytest

import netdiag
from tests.support import ROOT, require_modules

#: A program of somebody else. Each line that is wrong says which of mypy's errors it must cause.
SAMPLE = """
import netdiag
from netdiag import Finding, Options, Report, Severity, Target, UsageError, Verdict

def blamed(host: str) -> list[str]:
    try:
        target: Target = netdiag.parse_target(host)
    except UsageError as error:
        return [str(error)]
    report: Report = netdiag.diagnose_endpoint(target, options=Options(timeout_s=2.0, until="tls"))
    verdict: Verdict = netdiag.rejudge(report).verdict
    errors: list[Finding] = [finding for finding in report.findings if finding.severity is Severity.ERROR]
    return [verdict.summary, netdiag.render(report, "json"), *(finding.blame for finding in errors)]

hosts: list[str] = [report.target.host for report in netdiag.diagnose_endpoints(["a.example", "b.example"])]
analysis: netdiag.CaptureAnalysis = netdiag.analyze_capture("a.pcap", netdiag.CaptureOptions(ports=(443,)))
slow: list[float] = [row.duration_s for row in analysis.connections.rows() if row.opening == "complete"]
packets: int = sum(len(columns.segments) for columns in netdiag.read_capture("a.pcap"))
netdiag.diagnose(hosts[0])  # attr-defined
netdiag.diagnose_endpoint(443)  # arg-type
netdiag.Options(timeout_s="soon")  # arg-type
netdiag.render(hosts)  # arg-type
netdiag.analyze_capture(7)  # arg-type
"""


@pytest.mark.parametrize("name", netdiag.__all__)
def test_each_name_is_there(name: str) -> None:
    value = getattr(netdiag, name)
    assert not isinstance(value, ModuleType)
    assert name in dir(netdiag)


def test_every_lazy_name_is_public() -> None:
    assert sorted({*netdiag._HOME, "__version__"}) == sorted(netdiag.__all__)


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="module 'netdiag' has no attribute 'diagnose'"):
        _ = netdiag.diagnose
    assert "diagnose" not in dir(netdiag)


def test_star_import() -> None:
    names: dict[str, object] = {}
    exec("from netdiag import *", names)
    assert set(netdiag.__all__) <= set(names)


def test_a_type_checker_knows_it() -> None:
    require_modules("mypy")
    options = ["--config-file=", "--strict", "--follow-imports=silent", f"--cache-dir={ROOT / '.mypy_cache' / 'api'}"]
    command = [sys.executable, "-m", "mypy", *options, "-c", SAMPLE]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    wanted = [
        (number, code) for number, line in enumerate(SAMPLE.split("\n"), 1) for code in re.findall("  # (.*)", line)
    ]
    found = re.findall(r"^<string>:(\d+): error: .*\[([\w-]+)\]$", run.stdout, re.MULTILINE)
    assert [(int(number), code) for number, code in found] == wanted, run.stdout + run.stderr
