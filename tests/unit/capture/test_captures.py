"""Every capture in captures/ gets exactly the verdict, the findings and the counts that stand beside it.

The expectations were written by hand, the counts by tshark: nothing in them is netdiag's own word.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest

from netdiag.cli import main
from tests.support import ROOT

CAPTURES = ROOT / "captures"
CASES = tuple(sorted(CAPTURES.glob("*.json")))
#: What is in the folder besides captures and what is expected of them.
OTHERS = {"README.md", "lab-root.pem"}
MAX_BYTES = 2_000_000
#: ``FILE`` of a command line that names the lab's root.
FOLDER = "{captures}"

EXIT = {"healthy": 0, "impaired": 0, "failed": 1, "inconclusive": 3}


@functools.cache
def wanted(case: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(case.read_text())
    return found


def report_on(case: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    want = wanted(case)
    options = [option.replace(FOLDER, str(CAPTURES)) for option in want["options"]]
    status = main(["pcap", str(CAPTURES / want["file"]), "--format", "json", *options])
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return status, report


def named(case: Path) -> str:
    return case.stem


@pytest.mark.parametrize("case", CASES, ids=named)
def test_verdict_and_findings(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, report = report_on(case, capsys)
    want = wanted(case)
    verdict = {key: report["verdict"][key] for key in ("status", "finding", "blame")}
    found = {
        "verdict": verdict,
        "findings": sorted(finding["id"] for finding in report["findings"]),
        "exit status": status,
        "internal errors": report.get("internal_errors", []),
    }
    assert found == {
        "verdict": want["verdict"],
        "findings": want["findings"],
        "exit status": EXIT[want["verdict"]["status"]],
        "internal errors": [],
    }, "\n".join(f"{finding['id']} [{finding['blame']}] {finding['summary']}" for finding in report["findings"])


@pytest.mark.parametrize("case", CASES, ids=named)
def test_counts_are_tsharks(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, report = report_on(case, capsys)
    (capture,) = [o for o in report["observations"] if o["type"] == "capture"]
    kinds = ("connections", "syn", "syn_ack", "fin", "rst")
    assert {kind: capture.get(kind, 0) for kind in kinds} == {kind: wanted(case)[kind] for kind in kinds}


def test_every_capture_has_its_expectation_and_is_described() -> None:
    described = (CAPTURES / "README.md").read_text()
    files = {wanted(case)["file"] for case in CASES}
    assert len(files) >= 25
    assert files | {case.name for case in CASES} | OTHERS == {path.name for path in CAPTURES.iterdir()}
    assert [name for name in sorted(files) if f"| {name} |" not in described] == []


def test_pairs_name_each_other() -> None:
    pairs = {case.stem: wanted(case)["other"] for case in CASES if "other" in wanted(case)}
    assert pairs
    assert all(pairs[other] == one for one, other in pairs.items())


def test_all_together_are_small() -> None:
    assert sum(path.stat().st_size for path in CAPTURES.iterdir()) < MAX_BYTES
