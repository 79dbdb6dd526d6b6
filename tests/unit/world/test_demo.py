"""``netdiag demo``: what it prints, writes and returns."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from netdiag.cli import main
from netdiag.world import scenes
from netdiag.world.scenes import SCENES, Expectation, Scene

#: Two scenes that take milliseconds.
FEW = tuple(scene for scene in SCENES if scene.name in ("healthy", "name-not-found"))


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scenes, "SCENES", FEW)


def wrong() -> Scene:
    return replace(FEW[1], expect=Expectation(status="failed", finding="tcp.refused", blame="server"))


@pytest.mark.usefixtures("few")
def test_a_line_for_each_scene_and_a_count(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert [line.split()[1:] for line in lines[1:3]] == [
        ["healthy", "healthy", "-", "the", "same"],
        ["name-not-found", "failed", "dns.name-not-found", "the", "same"],
    ]
    assert lines[3] == "2 of 2 scenes as expected"
    assert err == ""


def test_a_difference_is_explained_and_changes_the_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(scenes, "SCENES", (FEW[0], wrong()))
    assert main(["demo"]) == 1
    out = capsys.readouterr().out
    assert "    root cause: expected tcp.refused, found dns.name-not-found\n" in out
    assert "    blame: expected server, found dns\n" in out
    assert out.endswith("1 of 2 scenes as expected, 1 not\n")


def test_one_scene_gives_its_whole_report(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "name-not-found"]) == 0
    out, err = capsys.readouterr()
    assert "dns.name-not-found" in out
    assert "To do:" in out
    assert max(map(len, out.splitlines())) <= 80
    assert err == ""


def test_one_scene_that_differs_says_so_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(scenes, "SCENES", (wrong(),))
    assert main(["demo", "name-not-found", "--format", "json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["verdict"]["finding"] == "dns.name-not-found"
    assert "expected tcp.refused" in err


@pytest.mark.usefixtures("few")
def test_json_without_a_scene_is_an_array(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--format", "json"]) == 0
    assert [report["verdict"]["status"] for report in json.loads(capsys.readouterr().out)] == ["healthy", "failed"]


@pytest.mark.usefixtures("few")
def test_reports_are_written_to_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--output", str(tmp_path / "new" / "folder")]) == 0
    written = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in tmp_path.rglob("*.json")}
    assert set(written) == {"healthy.json", "name-not-found.json"}
    assert written["healthy.json"]["verdict"]["status"] == "healthy"
    assert capsys.readouterr().out.endswith("2 of 2 scenes as expected\n")


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert main(["demo", "--output", str(file)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert str(file) in err


def test_an_unknown_scene_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "no-such-scene"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "netdiag: 'no-such-scene' is no scene; netdiag demo --list lists them\n"


def test_the_list_names_every_scene_within_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if not line.startswith(" ")] == [scene.name for scene in SCENES]
    assert max(map(len, lines)) <= 80
