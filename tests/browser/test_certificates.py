"""Certificate chains in the browser: sound for everybody, on a phone, by keyboard, without scripts, in print."""

from __future__ import annotations

import ssl
from itertools import pairwise

import msgspec
import pytest

from netdiag.model import Report
from netdiag.report import render
from tests.support import ROOT
from tests.unit.report import certified

GOLDEN = ROOT / "tests" / "unit" / "golden"
PHONE = {"width": 390, "height": 844}
#: The shapes that there are: a file with all kinds of faults, two chains side by side, a ghost, a gap, LDAP, a PFX.
RECORDED = (
    "cert-expired-misnamed-revoked",
    "cert-http-dead-ldap-alive",
    "cert-pfx-with-anothers-key",
    "chain-incomplete",
    "tls-intercepting-squid",
    "tls-replaced-chain",
)


def recorded(name):
    return msgspec.json.decode((GOLDEN / f"{name}.json").read_bytes(), type=Report)


def many():
    """Several certificates in one file."""
    bad = msgspec.structs.replace(certified.untrusted().observations[0], id="chain.8")
    fine = tuple(certified.chain(id=f"chain.{n}") for n in range(1, 8))
    return msgspec.structs.replace(certified.untrusted(), observations=(*fine, bad))


REPORTS = {
    **{name: recorded(name) for name in RECORDED},
    "offline": certified.offline(),
    "untrusted": certified.untrusted(),
    "unreadable": certified.unreadable(),
    "hostile": certified.hostile("<b>\u202e" + "W" * 300),
    "many": many(),
}


@pytest.mark.parametrize(
    ("name", "scheme"),
    [*((name, "light") for name in REPORTS), ("cert-expired-misnamed-revoked", "dark"), ("tls-replaced-chain", "dark")],
)
def test_axe_finds_nothing_serious(open_page, serious, name, scheme):
    page = open_page(render(REPORTS[name], "html"), color_scheme=scheme)
    page.locator("[data-open-all]").click()
    assert serious(page) == []


@pytest.mark.parametrize("name", REPORTS)
def test_a_phone_need_not_scroll_sideways(open_page, name):
    page = open_page(render(REPORTS[name], "html"), viewport=PHONE)
    page.locator("[data-open-all]").click()
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_the_keyboard_opens_the_details_and_copies_the_certificate(open_page):
    report = REPORTS["tls-intercepting-squid"]
    page = open_page(render(report, "html"), permissions=["clipboard-read", "clipboard-write"])
    details = page.locator(".particulars").first
    assert not details.locator("dl").is_visible()
    details.locator("summary").focus()
    page.keyboard.press("Enter")
    assert details.locator("dl").is_visible()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Copy the certificate (PEM)"
    page.keyboard.press("Enter")
    details.get_by_text("Copied").or_(details.get_by_text("Selected")).wait_for()
    sent = next(o for o in report.observations if o.id == "tls.direct.main").chain[0]
    assert ssl.PEM_cert_to_DER_cert(details.locator("pre").inner_text()) == sent


def test_a_link_leads_into_a_folded_chain(open_page):
    page = open_page(render(REPORTS["many"], "html"))
    folded = page.locator("details.chain-of").last
    assert not folded.locator(".chain").first.is_visible()
    page.locator("table.chains a").last.click()
    assert folded.locator(".chain").first.is_visible()


def test_evidence_and_drawing_lead_to_each_other(open_page):
    page = open_page(render(certified.offline(), "html"))
    page.locator("#evidence a.drawn").nth(1).click()
    assert page.locator("li.url:target").count() == 1
    page.locator("li.url:target a").first.click()
    assert page.locator("#evidence li:target").count() == 1


def test_drawings_stand_where_they_should(open_page):
    """One line leads from the leaf's sign to the root's, and each bar is as wide as its card."""
    page = open_page(render(REPORTS["cert-http-dead-ldap-alive"], "html"))
    stems = page.locator(".chain > li > .stem")
    boxes = [stems.nth(n).bounding_box() for n in range(stems.count())]
    assert len(boxes) == 3
    assert len({box["x"] for box in boxes}) == 1
    for above, below in pairwise(boxes):
        assert above["y"] + above["height"] >= below["y"] - 0.5
    left = page.locator(".period .left").first.bounding_box()
    span = page.locator(".period .span").first.bounding_box()
    assert span["x"] < left["x"]
    assert left["x"] + left["width"] == pytest.approx(span["x"] + span["width"], abs=1)


@pytest.mark.parametrize("scripts", [True, False])
def test_print_shows_everything(open_page, scripts):
    page = open_page(render(certified.offline(), "html"), java_script_enabled=scripts, color_scheme="dark")
    page.emulate_media(media="print")
    for folded in (".particulars dl", ".certutil pre", ".faults .quiet"):
        for n in range(page.locator(folded).count()):
            assert page.locator(folded).nth(n).bounding_box()["height"] > 0
    assert not page.locator("#raw").is_visible()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_without_scripts_the_details_open_and_nothing_promises_more(open_page):
    page = open_page(render(REPORTS["tls-intercepting-squid"], "html"), java_script_enabled=False)
    page.locator(".particulars summary").first.click()
    assert page.locator(".particulars pre").first.is_visible()
    assert page.locator("button:visible").count() == 0


def test_the_usual_page_is_small():
    sizes = {name: len(render(report, "html").encode()) for name, report in REPORTS.items()}
    assert max(sizes.values()) < 1_500_000
