"""Templates, and how values get into them.

Contract: whatever a template prints passes ``shown``, then Jinja2's own escaping: control characters, bidirectional
overrides and zero-width characters become visible escapes, long strings are cut and say so, and ``<``, ``&`` and quotes
are text. Only ``Markup``, which templates and this package make, goes through as it is.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from netdiag.report import units
from netdiag.report.escape import LIMIT, escape
from netdiag.report.layout import Layout
from netdiag.report.page import Page

#: A header line or a page's beginning is not worth more than this; the raw JSON holds all of it.
_LONGEST = 4 * LIMIT
#: Of text that was laid out for a terminal.
_COLUMNS = 100


def shown(value: object) -> object:
    """A value as templates print it: strings made harmless, ``None`` empty."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, str):
        return escape(value, _LONGEST)
    return "" if value is None else value


def render(template: str, **values: Any) -> Markup:
    """The template of that name ("waterfall" for templates/waterfall.html), filled in."""
    return Markup(_environment().get_template(f"{template}.html").render(values))  # noqa: S704 - escaped by Jinja2


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("netdiag.report.html"),
        autoescape=True,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters.update(
        milliseconds=units.milliseconds, moment=units.moment, day=units.day, size=units.size, duration=units.duration
    )
    environment.globals["preformatted"] = preformatted
    environment.filters["percent"] = percent
    environment.filters["grouped"] = lambda number: f"{number:,}"
    return environment


def preformatted(text: str | Sequence[str]) -> Markup:
    """Lines of text for ``<pre>``, or a text of several lines."""
    lines = text.splitlines() if isinstance(text, str) else text
    return Markup("\n").join(escape(line, _LONGEST) for line in lines)


def written(draw: Callable[[Page], None]) -> Markup:
    """What ``draw`` writes to a page of text in full, for ``<pre>``."""
    page = Page(Layout(width=_COLUMNS, verbose=True))
    draw(page)
    return preformatted(page.finish())


def percent(share: float) -> str:
    """``12.345%``: a place in a drawing that stretches with the page."""
    return f"{100 * min(max(share, 0.0), 1.0):.3f}%"


@cache
def asset(name: str) -> str:
    """A file of assets/."""
    return resources.files("netdiag.report.html").joinpath("assets", name).read_text(encoding="utf-8")


@cache
def assets(names: Sequence[str]) -> str:
    """Several files of assets/, one after the other."""
    return "\n".join(asset(name) for name in names)


def digest(text: str) -> str:
    """The source expression that allows an inline script or style with exactly this content (CSP Level 3 §2.3.1)."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def data(value: str) -> Markup:
    """JSON text for a data block. ``<`` is escaped, so that ``</script>`` cannot end it (HTML §4.12.1.3)."""
    return Markup(value.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))  # noqa: S704


def compact(value: object) -> str:
    """Plain values as JSON without blanks."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
