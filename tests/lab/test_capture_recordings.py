"""The captures that matter most, recorded anew: today's kernels must show what the recorded ones show."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netdiag.cli import main
from tests import support
from tests.lab import record_captures
from tests.lab.lab_capture_world import TOOLS
from tests.lab.lab_recording import Recording

#: By the name of the first capture of each; none of them needs options.
LIVE = (
    "guide-telnet-53",
    "guide-reset-ttl-61",
    "reset-by-server-unread-data",
    "reset-both-ways",
    "refused-by-firewall",
    "prohibited-icmp",
    "mtu-black-hole",
    "nat-reset-client-side",
    "tunnel-gre",
    "sni-filtered",
)


def _case(recording: Recording) -> object:
    return pytest.param(recording, id=recording.shots[0].name)


RECORDINGS = [recording for recording in record_captures.RECORDINGS if recording.shots[0].name in LIVE]


@pytest.mark.parametrize("recording", [_case(recording) for recording in RECORDINGS])
def test_live(
    recording: Recording, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    support.require_root()
    monkeypatch.setenv("PATH", support.search_path())
    support.require_tools(*TOOLS)
    record_captures.record(recording, tmp_path)
    for shot in recording.shots:
        main(["pcap", str(record_captures.path_of(shot, tmp_path)), "--format", "json"])
        report = json.loads(capsys.readouterr().out)
        expect = shot.expect
        found = (*(report["verdict"][key] for key in ("status", "finding", "blame")), _ids(report))
        assert found == (expect.status, expect.finding, expect.blame, sorted(expect.ids)), shot.name


def _ids(report: dict[str, list[dict[str, str]]]) -> list[str]:
    return sorted(finding["id"] for finding in report["findings"])


def test_names_are_unique() -> None:
    names = [shot.name for recording in record_captures.RECORDINGS for shot in recording.shots]
    names += [derived.name for derived in record_captures.DERIVED]
    assert len(set(names)) == len(names)
    assert set(LIVE) <= set(names)


def test_the_tables_are_what_was_recorded() -> None:
    """Whoever changes an expectation in a table writes it beside the capture too."""
    for item in (*(shot for r in record_captures.RECORDINGS for shot in r.shots), *record_captures.DERIVED):
        written = json.loads((record_captures.CAPTURES / f"{item.name}.json").read_text())
        assert {key: written[key] for key in ("options", "verdict", "findings")} == record_captures.verdict_of(
            item.expect
        )
