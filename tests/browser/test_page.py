"""Every report of the lab and of the embedded world as a page in a real browser: nothing fails, everything works."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from netdiag.model import Report, TraceObservation
from netdiag.report import render
from netdiag.world.play import play
from netdiag.world.scenes import SCENES
from tests.support import ROOT

RECORDINGS = {
    path.stem: msgspec.json.decode(path.read_bytes(), type=Report)
    for path in sorted((ROOT / "tests" / "unit" / "golden").glob("*.json"))
    if not path.name.endswith(".expect.json")
}
#: What the recordings are about; every second kind is looked at in the dark.
KINDS = sorted({name.partition("-")[0] for name in RECORDINGS})
#: As many as one page shows in full.
_AT_ONCE = 10
DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
TRACED = "path-sni-reset-hop4"


def fits(page) -> bool:
    """Nothing makes the page wider than the window."""
    return page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.mark.parametrize("kind", KINDS)
def test_each_recording_of_the_lab(kind, open_page, serious):
    reports = [report for name, report in RECORDINGS.items() if name.startswith(f"{kind}-")]
    page = None
    for report in reports:
        page = open_page(render(report, "html"), instead_of=page)
        assert page.locator("h1").inner_text() != ""
        assert page.locator(".finding").count() >= len(report.findings)
        if report.target.scheme != "file":
            assert page.locator("svg.strip rect.probe").count() > 0
        if any(isinstance(o, TraceObservation) and o.outcome != "not-run" for o in report.observations):
            assert page.locator(".path svg.lanes circle").count() > 0
    whole(open_page, serious, reports, "dark" if KINDS.index(kind) % 2 else "light")


def test_each_scene_of_the_demo(open_page, serious):
    with ThreadPoolExecutor(12) as pool:
        reports = list(pool.map(play, SCENES))
    page = None
    for scene, report in zip(SCENES, reports, strict=True):
        page = open_page(render(report, "html"), instead_of=page)
        assert page.locator("main .verdict .pill").first.inner_text(), scene.name
    whole(open_page, serious, reports, "dark")
    page = open_page(render(reports, "html"))
    assert page.locator("details.report").count() == len(SCENES)


def whole(open_page, serious, reports, scheme):
    """Reports with everything unfolded, several on a page to save time: accessible, and no wider than a telephone.

    The colours of the first ones are those of all.
    """
    page = None
    for start in range(0, len(reports), _AT_ONCE):
        page = open_page(render(reports[start : start + _AT_ONCE], "html"), instead_of=page, color_scheme=scheme)
        page.set_viewport_size(DESK)
        page.get_by_role("button", name="Open all").click()
        assert serious(page, contrast=start == 0) == []
        page.set_viewport_size(PHONE)
        assert fits(page)


def test_the_theme_can_be_switched(open_page):
    page = open_page(render(RECORDINGS[TRACED], "html"), color_scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    switch = page.get_by_role("button", name="Dark")
    assert switch.get_attribute("aria-pressed") == "false"
    switch.click()
    assert switch.get_attribute("aria-pressed") == "true"
    assert page.evaluate(ground) != light
    switch.click()
    assert page.evaluate(ground) == light
    dark = open_page(render(RECORDINGS[TRACED], "html"), color_scheme="dark")
    assert dark.evaluate(ground) not in (light, "rgba(0, 0, 0, 0)")


def test_keyboard_alone_gets_everywhere(open_page):
    page = open_page(render(RECORDINGS[TRACED], "html"))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    seen = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.outerHTML.slice(0, 40)"))
        if page.evaluate("document.activeElement.closest('details.ticket') !== null"):
            page.keyboard.press("Enter")
            break
    assert page.locator("details.ticket").get_attribute("open") is not None
    assert "connection" in page.locator("#ticket").inner_text()
    assert len(seen) >= 1


def test_evidence_is_unfolded_and_shown_when_it_is_followed(open_page):
    page = open_page(render([RECORDINGS["healthy-ipv4"], RECORDINGS["proxy-forbidden"]], "html"))
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = false; })")
    link = page.locator(".evidence-list a").first
    target = link.get_attribute("href").removeprefix("#")
    page.evaluate(f"location.hash = '{target}'")
    page.wait_for_function(f"document.getElementById('{target}').closest('details.report').open")
    assert page.locator(f"[id='{target}']").is_visible()


def test_print_has_everything_and_no_buttons(open_page):
    page = open_page(render(RECORDINGS[TRACED], "html"), color_scheme="dark")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not(.raw):not([open])").count() == 0
    assert not page.locator(".tools").first.is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details.ticket[open]").count() == 0
    assert page.pdf()[:5] == b"%PDF-"


def test_the_raw_json_and_the_note_can_be_taken(open_page):
    report = RECORDINGS["proxy-forbidden"]
    page = open_page(render(report, "html"), permissions=["clipboard-read", "clipboard-write"])
    page.locator("summary", has_text="Raw JSON").click()
    page.wait_for_function("document.getElementById('raw-text').textContent.startsWith('{')")
    assert msgspec.json.decode(page.locator("#raw-text").inner_text(), type=Report) == report
    page.get_by_role("button", name="Copy the JSON").click()
    page.get_by_role("button", name="Copied").or_(page.get_by_role("button", name="Selected: press Ctrl-C")).wait_for()
    with page.expect_download() as saving:
        page.get_by_role("button", name="Save it").click()
    assert json.loads(saving.value.path().read_bytes())["command"] == report.command


def test_without_scripts_all_words_are_there(open_page):
    report = RECORDINGS[TRACED]
    page = open_page(render(report, "html"), java_script_enabled=False)
    said = page.locator("main").inner_text()
    assert report.findings[0].summary in said
    assert not page.locator(".tools").first.is_visible()
    assert page.locator(".path .blamed").is_visible()
