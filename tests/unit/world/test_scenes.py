"""Every scene of the embedded world, diagnosed for real: verdict and findings exactly as the scene says."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import msgspec
import pytest

from netdiag.model import Report
from netdiag.world.play import differences, play
from netdiag.world.scenes import SCENES, Expectation, Scene

each_scene = pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)


@pytest.fixture(scope="module")
def reports(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Report]]]:
    """The reports of the selected scenes, several under way at once."""
    selected = {
        item.callspec.params["scene"].name: item.callspec.params["scene"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is request.module and "reports" in item.fixturenames
    }
    interval = sys.getswitchinterval()
    sys.setswitchinterval(0.0005)  # else a name server may wait a second for its turn among all the threads of 8 scenes
    try:
        with ThreadPoolExecutor(8) as pool:
            yield {name: pool.submit(play, scene) for name, scene in selected.items()}
    finally:
        sys.setswitchinterval(interval)


@each_scene
def test_scene_is_judged_as_it_should_be(scene: Scene, reports: dict[str, Future[Report]]) -> None:
    report = reports[scene.name].result()
    found = Expectation(
        status=report.verdict.status,
        finding=report.verdict.finding,
        blame=report.verdict.blame,
        also=tuple(sorted({f.id for f in report.findings} - {report.verdict.finding or ""})),
    )
    assert found == scene.expect
    assert report.internal_errors == ()
    assert differences(scene, report) == ()


@each_scene
def test_report_survives_json(scene: Scene, reports: dict[str, Future[Report]]) -> None:
    report = reports[scene.name].result()
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report


def test_names_and_stories_tell_scenes_apart() -> None:
    assert len({scene.name for scene in SCENES}) == len(SCENES) >= 20
    assert len({scene.story for scene in SCENES}) == len(SCENES)
    assert {scene.expect.status for scene in SCENES} >= {"healthy", "impaired", "failed"}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"status": "impaired"}, "status: expected impaired, found healthy"),
        ({"finding": "tcp.refused"}, "missing: tcp.refused"),
        ({"blame": "dns"}, "blame: expected dns, found none"),
        ({"also": ("tcp.no-reply",)}, "missing: tcp.no-reply"),
    ],
)
def test_every_difference_is_said(changed: dict[str, object], said: str) -> None:
    healthy = next(scene for scene in SCENES if scene.name == "healthy")
    report = play(healthy)
    fields = {name: getattr(healthy.expect, name) for name in ("status", "finding", "blame", "also")}
    wrong = Scene(
        name="wrong",
        story="Expects what is not so.",
        setting=healthy.setting,
        expect=Expectation(**{**fields, **changed}),
    )
    assert said in differences(wrong, report)


def test_an_unexpected_finding_is_a_difference() -> None:
    not_found = next(scene for scene in SCENES if scene.name == "healthy-not-found")
    report = play(not_found)
    wrong = Scene(name="wrong", story="Expects less.", setting=not_found.setting, expect=Expectation(status="healthy"))
    assert differences(wrong, report) == ("not expected: https.unexpected-status",)
