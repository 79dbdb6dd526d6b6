"""HTML reports in Debian's chromium, through Playwright.

``open_page(html)`` opens a page; when the test ends, a console error, an uncaught exception or a request for anything
beyond the page itself fails it. ``serious(page)`` lists what axe-core finds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests import support

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

#: Chromium asks for nothing by itself then.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
#: What a page may load: itself, and what it made.
_ITS_OWN = ("file:", "data:", "blob:")


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One browser for all tests here. Not for the session: Playwright's event loop would still run in later tests."""
    support.require_modules("playwright", "axe_playwright_python")
    (chromium,) = support.require_tools("chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=str(chromium), args=list(ARGUMENTS))
        yield launched
        launched.close()


@pytest.fixture
def open_page(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """``open_page(html, **context)``: the page in a context of its own (viewport, color_scheme, java_script_enabled).

    Each page is a file, as a user opens it. ``instead_of`` takes the place of another page, which is quicker.
    """
    contexts: list[Any] = []
    faults: list[str] = []
    numbers = count()

    def opened(html: str, instead_of: Page | None = None, **context: Any) -> Page:
        if instead_of is not None:
            return show(instead_of, html)
        options = {"viewport": {"width": 1280, "height": 900}} | context
        made = browser.new_context(**options)
        contexts.append(made)
        page = made.new_page()
        page.on("console", lambda said: faults.append(f"console: {said.text}") if said.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(f"exception: {error}"))
        page.on(
            "request", lambda asked: None if asked.url.startswith(_ITS_OWN) else faults.append(f"request: {asked.url}")
        )
        return show(page, html)

    def show(page: Page, html: str) -> Page:
        file = tmp_path / f"page-{next(numbers)}.html"
        file.write_text(html, encoding="utf-8")
        page.goto(file.as_uri())
        return page

    yield opened
    for made in contexts:
        made.close()
    assert faults == []


@pytest.fixture
def serious() -> Callable[..., list[str]]:
    """``serious(page)``: the serious and critical violations that axe-core finds, a line each.

    ``contrast=False`` leaves out the contrast of colours, which takes two thirds of the time: for pages whose colours
    another test looks at.
    """
    from axe_playwright_python.sync_playwright import Axe

    def found(page: Page, *, contrast: bool = True) -> list[str]:
        options = {"resultTypes": ["violations"], "rules": {"color-contrast": {"enabled": contrast}}}
        return [
            f"{violation['id']}: {[node['target'] for node in violation['nodes']][:3]}"
            for violation in Axe().run(page, options=options).response["violations"]
            if violation["impact"] in ("serious", "critical")
        ]

    return found
