"""HTML reports on captures, as a reader uses them: tables, drawings, plots; mouse, keyboard, phone, print."""

from __future__ import annotations

import msgspec
import pytest

from netdiag import analyze_capture
from netdiag.report import render
from netdiag.report.layout import Layout
from tests.support import ROOT
from tests.unit.report import captured

FILES = ROOT / "captures"


def page_of(*names: str, **options) -> str:
    return render(analyze_capture([str(FILES / name) for name in names], **options).report, "html")


@pytest.fixture(scope="module")
def loss() -> str:
    return page_of("loss.pcap")


@pytest.fixture(scope="module")
def two() -> str:
    return page_of("nat-reset-client-side.pcap", other=str(FILES / "nat-reset-firewall-side.pcap"))


def rows(count: int):
    """Connections of 50 clients to ports 1000, 1001, ..., each slower than the one before; every 10th is reset."""
    made = []
    for n in range(count):
        reset = {"closing": "reset", "rst_server": 1} if n % 10 == 0 else {}
        made.append(
            captured.row(
                n,
                client=f"10.0.0.{n % 50}",
                server_port=1000 + n,
                bytes_server=n * 1000,
                duration_s=n / 8,
                rtt_ms=None if n % 7 == 0 else float(n),
                name=f"host-{n % 3}.contoso.test",
                **reset,
            )
        )
    return tuple(made)


@pytest.fixture(scope="module")
def many() -> str:
    report = msgspec.structs.replace(captured.faulty(), conversations=rows(1234))
    return render(report, "html")


def column(page, title: str) -> list[str]:
    titles = page.locator("#conversations th").all_inner_texts()
    place = [text.strip() for text in titles].index(title)
    return page.locator(f"#conversations tbody td:nth-child({place + 1})").all_inner_texts()


def head(page, title: str):
    return page.locator("#conversations").get_by_role("columnheader", name=title, exact=True)


def status(page) -> str:
    return page.locator("#conversations [data-status]").inner_text()


# -- the page ---------------------------------------------------------------------------------------------------------

PAGES = {
    "faulty": render(captured.faulty(resets=captured.entries(), more_resets=41), "html"),
    "damaged": render(captured.damaged(), "html"),
    "asked": render(captured.faulty(), "html", Layout(conversations=(1,))),
    "several": render((captured.faulty(), captured.fine()), "html"),
    "hostile": render(captured.hostile("<script>alert(1)</script>\u202e\x1b" + "x" * 70_000), "html"),
}


@pytest.mark.parametrize("name", [*PAGES, "loss", "two", "many"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_is_wrong_for_a_screen_reader(name, scheme, open_page, serious, request):
    page = open_page(PAGES.get(name) or request.getfixturevalue(name), color_scheme=scheme)
    page.get_by_role("button", name="Open all").click()
    assert serious(page) == []


@pytest.mark.parametrize("name", [*PAGES, "loss", "two", "many"])
def test_a_phone_does_not_scroll_sideways(name, open_page, request):
    page = open_page(PAGES.get(name) or request.getfixturevalue(name), viewport={"width": 390, "height": 844})
    page.get_by_role("button", name="Open all").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_without_scripts_everything_is_there(many, loss, open_page):
    page = open_page(many, java_script_enabled=False)
    assert page.locator("#conversations tbody tr").count() == 100
    assert page.get_by_text("The first 100 of 1,234").is_visible()
    assert page.locator("#conversations input").is_hidden()
    assert page.locator("#conversations th button").count() == 0
    page = open_page(loss, java_script_enabled=False)
    assert page.locator(".curves a").count() > 30
    assert page.locator(".xs text").first.is_visible()
    assert page.locator("[data-zoom=in]").is_hidden()


# -- tables -----------------------------------------------------------------------------------------------------------


def test_numbers_sort_from_the_largest_then_the_smallest_then_as_before(many, open_page):
    page = open_page(many)
    before = column(page, "No.")
    head(page, "Bytes received").get_by_role("button").click()
    assert column(page, "Bytes received")[:2] == ["1,233,000", "1,232,000"]
    assert head(page, "Bytes received").get_attribute("aria-sort") == "descending"
    head(page, "Bytes received").get_by_role("button").press("Enter")
    assert column(page, "Bytes received")[:2] == ["0", "1,000"]
    assert head(page, "Bytes received").get_attribute("aria-sort") == "ascending"
    head(page, "Bytes received").get_by_role("button").press("Space")
    assert column(page, "No.") == before
    assert page.locator("[aria-sort]").count() == 0


def test_addresses_sort_by_their_numbers(many, open_page):
    page = open_page(many)
    head(page, "Client").get_by_role("button").click()
    assert column(page, "Client")[0] == "10.0.0.0"
    page.get_by_role("button", name="Last page").first.click()
    assert column(page, "Client")[-1] == "10.0.0.49"


@pytest.mark.parametrize("times", [1, 2])
def test_what_is_not_known_comes_last_either_way(times, many, open_page):
    page = open_page(many)
    for _ in range(times):
        head(page, "RTT, ms").get_by_role("button").click()
    assert "" not in column(page, "RTT, ms")
    page.locator("#conversations [data-go=last]").click()
    assert set(column(page, "RTT, ms")) == {""}


def test_every_column_sorts(many, open_page):
    page = open_page(many)
    heads = page.locator("#conversations th")
    for n in range(heads.count()):
        heads.nth(n).get_by_role("button").click()
        assert heads.nth(n).get_attribute("aria-sort") in ("ascending", "descending")
        assert page.locator("#conversations tbody tr").count() == 25


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("10.0.0.4", 25),  # a whole address: not 10.0.0.40 to 49
        ("10.0.0.4 1054", 1),
        ("10.0.0.4:1054", 1),
        ("1054", 1),
        ("10.0.0.4 1055", 0),
        ("HOST-1", 411),
        ("8.8", 1234),
        ("8.8.8.8:53", 0),
        ("[8.8.8.8]:1054", 1),
        ("nothing", 0),
    ],
)
def test_the_filter_takes_addresses_names_and_ports(words, found, many, open_page):
    page = open_page(many)
    page.locator("#conversations [data-filter]").fill(words)
    count = page.locator("#conversations tbody tr").count()
    assert count == min(found, 25)
    if found == 0:
        assert status(page) == "none, filtered from 1,234"
    elif found < 1234:
        assert status(page) == f"1–{count} of {found:,}, filtered from 1,234"


def test_filter_choice_and_order_go_together(many, open_page):
    page = open_page(many)
    head(page, "Bytes received").get_by_role("button").click()
    page.locator("#conversations [data-filter]").fill("host-0")
    page.locator("#conversations [data-choice]").select_option(label="✗ reset")
    assert status(page) == "1–25 of 42, filtered from 1,234"
    assert set(column(page, "Outcome")) == {"✗ reset"}
    assert column(page, "No.")[:3] == ["1230", "1200", "1170"]


def test_pages_lead_through_all_rows(many, open_page):
    page = open_page(many)
    assert status(page) == "1–25 of 1,234"
    assert page.locator("#conversations [data-go=previous]").is_disabled()
    page.locator("#conversations [data-go=next]").click()
    assert status(page) == "26–50 of 1,234"
    page.locator("#conversations [data-size]").select_option("100")
    assert status(page) == "1–100 of 1,234"
    page.locator("#conversations [data-go=last]").press("Enter")
    assert status(page) == "1,201–1,234 of 1,234"
    assert page.evaluate("document.activeElement.dataset.go") == "first"  # the last was disabled under the keyboard


def test_scripts_write_what_stands_there_without_them(many, open_page):
    """The same 25 rows, cell by cell: numbers, moments, words are put into words twice, in Python and in JavaScript."""
    cells = "() => [...document.querySelectorAll('#conversations tbody tr')].slice(0, 25).map((row) => row.innerHTML)"
    written = open_page(many).evaluate(cells)
    assert written == open_page(many, java_script_enabled=False).evaluate(cells)


def test_a_number_leads_to_its_drawing(open_page):
    page = open_page(render(captured.faulty(), "html"))
    page.locator("#conversations tbody a").nth(1).click()
    assert page.locator("#conversation-0").get_attribute("open") is not None
    assert page.evaluate("location.hash") == "#conversation-0"


# -- drawings ---------------------------------------------------------------------------------------------------------


def test_evidence_leads_to_a_frame_even_where_it_is_folded(loss, open_page):
    page = open_page(loss)
    assert page.locator("#p10").is_hidden()
    page.evaluate("location.hash = 'p10'")
    page.locator("#p10").wait_for(state="visible")


def test_the_first_drawing_is_open_with_arrows_notes_and_phases(loss, open_page):
    page = open_page(loss)
    drawing = page.locator("details.conversation").first
    assert drawing.get_attribute("open") is not None
    assert drawing.locator(".phase").all_inner_texts() == ["3-way opening", "data", "4-way closing"]
    assert drawing.get_by_text("sent again (#1 of the server)").is_visible()
    arrow = drawing.locator(".packet .arrow").first.bounding_box()
    assert arrow["width"] > 300


def test_two_captures_show_where_the_reset_was_made(two, open_page):
    page = open_page(two)
    row = page.locator("#alignment tr.missing").filter(has_text="RST")
    assert row.inner_text().endswith("only in nat-reset-client-side.pcap")
    assert row.locator("circle").count() == 1


# -- plots ------------------------------------------------------------------------------------------------------------


#: Of each sign in view: how far, in pixels, it stands from where the lines are at its coordinates.
_OFF_BY = """() => {
  const curves = document.querySelector(".curves");
  const field = document.querySelector(".field").getBoundingClientRect();
  const signs = [...document.querySelectorAll(".plot:first-of-type .signs > svg")];
  return signs.filter((sign) => sign.style.display !== "none").map((sign) => {
    const there = new DOMPoint(Number(sign.dataset.x), Number(sign.dataset.y)).matrixTransform(curves.getScreenCTM());
    const share = (name) => parseFloat(sign.getAttribute(name)) / 100;
    return [there.x - field.left - share("x") * field.width, there.y - field.top - share("y") * field.height];
  });
}"""


def view(page) -> list[float]:
    return [float(number) for number in page.locator(".curves").first.get_attribute("viewBox").split()]


def labels(page) -> list[str]:
    return page.locator(".xs").first.locator("text").all_text_contents()


def test_the_keyboard_zooms_and_moves(loss, open_page):
    page = open_page(loss)
    area = page.locator(".plot-area").first
    whole, ticks = view(page), labels(page)
    area.press("+")
    area.press("+")
    closer = view(page)
    assert closer[2] == pytest.approx(whole[2] / 2.25)
    assert labels(page) != ticks
    area.press("ArrowLeft")
    assert view(page)[0] == pytest.approx(closer[0] - closer[2] / 4)
    area.press("ArrowUp")
    assert view(page)[1] == pytest.approx(closer[1] - closer[3] / 4)
    area.press("-")
    area.press("0")
    assert view(page) == whole
    assert labels(page) == ticks


def test_buttons_zoom_and_are_off_where_there_is_no_more(loss, open_page):
    page = open_page(loss)
    plot = page.locator(".plot").first
    whole = view(page)
    assert plot.get_by_role("button", name="Zoom out").is_disabled()
    plot.get_by_role("button", name="Zoom in").click()
    assert view(page)[2] < whole[2]
    plot.get_by_role("button", name="Later").click()
    plot.get_by_role("button", name="Whole").click()
    assert view(page) == whole


def test_it_ends_where_browsers_would_no_longer_be_exact(loss, open_page):
    page = open_page(loss)
    whole = view(page)
    for _ in range(40):
        page.locator(".plot-area").first.press("+")
    assert view(page)[2] == pytest.approx(whole[2] / 4000)
    assert len(labels(page)) >= 1


def test_a_drag_chooses_a_part_and_a_double_click_the_whole(loss, open_page):
    page = open_page(loss)
    whole = view(page)
    field = page.locator(".field").first
    field.scroll_into_view_if_needed()
    box = field.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] - 20, steps=3)
    assert page.locator(".drag").is_visible()
    page.mouse.up()
    x, _, width, _ = view(page)
    assert (x / whole[2], width / whole[2]) == (pytest.approx(0.25, abs=0.01), pytest.approx(0.5, abs=0.01))
    assert page.locator(".drag").count() == 0
    field.dblclick()
    assert view(page) == whole


def test_the_wheel_zooms_around_the_pointer_once_the_plot_was_chosen(loss, open_page):
    page = open_page(loss)
    whole = view(page)
    field = page.locator(".field").first
    field.scroll_into_view_if_needed()
    box = field.bounding_box()
    page.mouse.move(box["x"] + box["width"] - 1, box["y"] + box["height"] / 2)
    page.locator(".plot-area").first.focus()
    page.mouse.wheel(0, -100)
    page.wait_for_function("(w) => document.querySelector('.curves').viewBox.baseVal.width < w", arg=whole[2] - 1)
    x, _, width, _ = view(page)
    assert x + width == pytest.approx(whole[2], rel=0.01)


def test_the_pointer_tells_the_packet_and_a_click_leads_to_it(loss, open_page):
    page = open_page(loss)
    stroke = page.locator(".curves a").nth(-1)
    frame = stroke.get_attribute("href").removeprefix("#p")
    page.locator(".field").first.scroll_into_view_if_needed()
    box = stroke.locator("path").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert page.locator("[data-readout]").first.inner_text().startswith(f"Frame {frame}, ")
    page.mouse.down()
    page.mouse.up()
    assert page.evaluate("location.hash") == f"#p{frame}"


def test_signs_keep_their_place_on_the_lines(loss, open_page):
    """Signs and lines are drawn in two ways; at any zoom a sign stands where its packet is."""
    page = open_page(loss)
    for key in ("0", "+", "+", "ArrowRight"):
        page.locator(".plot-area").first.press(key)
        for x, y in page.evaluate(_OFF_BY):
            assert abs(x) < 3
            assert abs(y) < 3


def test_print_shows_the_whole_and_everything_unfolded(loss, open_page):
    page = open_page(loss)
    whole = view(page)
    page.locator(".plot-area").first.press("+")
    closer = view(page)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert view(page) == whole
    assert page.locator("#p10").is_visible()
    assert page.locator("[data-zoom=in]").first.is_hidden()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert view(page) == closer
