"""The HTML report on a capture in a browser: how soon its table of 100,000 conversations can be used, sorted, filtered.

Each figure is the median of several openings of the page in Debian's chromium, a fresh context each. Times are the
page's own (performance.now): until the first frame is drawn after the table is ready; and of one click or key, with the
layout of what it changes. Of sorting and filtering the slowest counts.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.run import NETDIAG, environment
from bench.table import Row
from bench.traffic import write

#: Packets that make some 100,600 and some 10 connections, and how many of them a page lists.
MANY, FEW = 1_650_000, 160
LISTED = 100_000
ROUNDS = 5
LOAD_S, SORT_S, FILTER_S = 2.0, 0.3, 0.3
PAGE_MB = 1.5
#: A server's address, a port, a part of an address that most rows have, nothing that any row has.
FILTERS = ("198.18.1.1", "443", "10.", "no such thing")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

_USABLE = """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done([
  performance.now() / 1000, performance.getEntriesByName("table-ready").length]))))"""
_SORT = """() => [...document.querySelectorAll("#conversations th button")].map((button) => {
  const began = performance.now();
  button.click();
  document.body.getBoundingClientRect();
  return (performance.now() - began) / 1000;
})"""
_FILTER = """(word) => {
  const input = document.querySelector("#conversations [data-filter]");
  const began = performance.now();
  input.value = word;
  input.dispatchEvent(new Event("input"));
  document.body.getBoundingClientRect();
  return (performance.now() - began) / 1000;
}"""


def rows() -> Iterator[Row | str]:
    """The page of many conversations, and the size of one of few."""
    chromium = shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        yield "Left out: reports in a browser (Playwright is not installed)."
        return
    if chromium is None:
        yield "Left out: reports in a browser (chromium is not installed)."
        return
    with tempfile.TemporaryDirectory(prefix="netdiag-bench-") as name:
        many, few = _page(Path(name) / "many", MANY), _page(Path(name) / "few", FEW)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
            found = [_measured(browser, many) for _ in range(ROUNDS)]
            browser.close()
        load, sort, filtered = (statistics.median(column) for column in zip(*found, strict=True))
        yield _allowed(f"page of {LISTED:,} conversations: ready", load, LOAD_S, "s")
        yield _allowed("... sorted by the slowest column", sort, SORT_S, "s")
        yield _allowed("... filtered", filtered, FILTER_S, "s")
        yield _allowed("page of 10 conversations: size", few.stat().st_size / 1e6, PAGE_MB, "MB")
        yield f"The page of {LISTED:,} conversations has {many.stat().st_size / 1e6:.1f} MB."


def _page(path: Path, packets: int) -> Path:
    capture, page = path.with_suffix(".pcap"), path.with_suffix(".html")
    write(capture, packets)
    command = [NETDIAG, "pcap", str(capture), "--fail-on", "never", "--output", str(page), "--quiet"]
    subprocess.run(command, env=environment(), check=True)
    capture.unlink()
    return page


def _measured(browser: Any, page: Path) -> tuple[float, float, float]:
    """Seconds until it can be used, for the slowest sorting and the slowest filtering."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.goto(page.as_uri())
    usable, tables = tab.evaluate(_USABLE)
    listed = tab.locator("#conversations [data-status]").inner_text()
    if not tables or f"of {LISTED:,}" not in listed:
        raise SystemExit(f"the page does not list {LISTED:,} conversations: {listed}")
    sort = max(tab.evaluate(_SORT))
    filtered = max(tab.evaluate(_FILTER, word) for word in FILTERS)
    context.close()
    return usable, sort, filtered


def _allowed(what: str, measured: float, allowed: float, unit: str) -> Row:
    return Row(what=what, measured=measured, peer=allowed, peer_is="allowed", unit=unit, limit=1.0)
