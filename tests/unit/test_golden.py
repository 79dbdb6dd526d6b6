"""Replays the lab: recorded observations, judged by today's rules, must give what the lab expected live."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from netdiag.model import Report
from netdiag.rules import Seen, findings

GOLDEN = Path(__file__).parent / "golden"
CASES = tuple(sorted(path for path in GOLDEN.glob("*.json") if not path.name.endswith(".expect.json")))
#: More than the lab ever recorded at once would be a recording gone wrong.
MAX_BYTES = 64 * 1024


def test_there_are_recordings() -> None:
    assert len(CASES) >= 32
    assert {f"{case.stem}.expect.json" for case in CASES} == {path.name for path in GOLDEN.glob("*.expect.json")}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_replay(case: Path) -> None:
    report = msgspec.json.decode(case.read_bytes(), type=Report)
    expect = json.loads(case.with_name(f"{case.stem}.expect.json").read_text())
    judged = findings(Seen(report.target, report.route, report.observations))
    assert sorted(finding.id for finding in judged) == expect["ids"]
    errors = [finding for finding in judged if finding.severity == "error"]
    warnings = [finding for finding in judged if finding.severity == "warning"]
    root = next(iter(errors + warnings), None)
    status = "failed" if errors else "impaired" if warnings else "healthy"
    assert (status, root.id if root else None, root.blame if root else None) == (
        expect["status"],
        expect["finding"],
        expect["blame"],
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_recording_is_small(case: Path) -> None:
    assert case.stat().st_size < MAX_BYTES
