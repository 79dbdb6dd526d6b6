"""A ``Report`` -> text, HTML, Markdown, JSON, or a note for the network team. Pure: nothing here probes or judges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from netdiag.model import Report, UsageError
from netdiag.report.layout import Layout

Format = Literal["text", "json", "jsonl", "html", "markdown", "ticket"]
FORMATS: tuple[Format, ...] = get_args(Format)


def render(reports: Report | Sequence[Report], format: Format = "text", layout: Layout | None = None) -> str:  # noqa: A002 - the option's name
    """One report, or several, as "text", "json", "jsonl", "html", "markdown" or "ticket"; ends with a newline.

    A single ``Report`` gives an object, a sequence an array, whatever its length. ``layout`` matters to text only.
    Raises ``UsageError`` for a format that is none of these.
    """
    if format == "text":
        from netdiag.report import text

        layout = layout or Layout()
        return text.one(reports, layout) if isinstance(reports, Report) else text.several(reports, layout)
    if format == "html":
        from netdiag.report import html

        return html.one(reports) if isinstance(reports, Report) else html.several(reports)
    if format == "ticket":
        from netdiag.report import ticket

        return ticket.ticket(reports) if isinstance(reports, Report) else ticket.several(reports)
    from netdiag.report import json

    if format == "json":
        return json.encode(reports) if isinstance(reports, Report) else json.encode_array(reports)
    if format == "jsonl":
        return "".join(json.encode_line(report) for report in ([reports] if isinstance(reports, Report) else reports))
    raise UsageError(f"format {format!r} is none of {', '.join(FORMATS)}")


def load_report(data: bytes | str, *, name: str = "report") -> Report:
    """The report that ``render`` wrote as "json"; ``name`` stands for it in messages.

    Raises ``UsageError`` when it is no JSON, no report, or written by a newer netdiag.
    """
    from netdiag.report import json

    return json.decode(data, name=name)
