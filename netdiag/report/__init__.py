"""A ``Report`` or an ``Incident`` -> text, HTML, Markdown, JSON, or a note for the network team. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from netdiag.model import Incident, Report, UsageError
from netdiag.report.layout import Layout

Format = Literal["text", "json", "jsonl", "html", "markdown", "ticket"]
FORMATS: tuple[Format, ...] = get_args(Format)


def render(
    reports: Report | Incident | Sequence[Report],
    format: Format = "text",  # noqa: A002 - the option's name
    layout: Layout | None = None,
) -> str:
    """One report, several, or an incident, in one of ``FORMATS``; ends with a newline.

    A single ``Report`` or ``Incident`` gives an object, a sequence an array, whatever its length; the ticket of an
    incident is on its root cause. ``layout`` matters to text and Markdown, and the conversations in it to HTML. Raises
    ``UsageError`` for a format that is none of these.
    """
    if isinstance(reports, Incident):
        return _render_incident(reports, format, layout or Layout())
    if format == "text":
        from netdiag.report import text

        layout = layout or Layout()
        return text.one(reports, layout) if isinstance(reports, Report) else text.several(reports, layout)
    if format == "markdown":
        from netdiag.report import markdown

        layout = layout or Layout()
        return markdown.one(reports, layout) if isinstance(reports, Report) else markdown.several(reports, layout)
    if format == "html":
        from netdiag.report import html

        return html.one(reports, layout or Layout()) if isinstance(reports, Report) else html.several(reports)
    if format == "ticket":
        from netdiag.report import ticket

        return ticket.ticket(reports) if isinstance(reports, Report) else ticket.several(reports)
    from netdiag.report import json

    if format == "json":
        return json.encode(reports) if isinstance(reports, Report) else json.encode_array(reports)
    if format == "jsonl":
        return "".join(json.encode_line(report) for report in ([reports] if isinstance(reports, Report) else reports))
    raise UsageError(f"format {format!r} is none of {', '.join(FORMATS)}")


def _render_incident(found: Incident, format_: Format, layout: Layout) -> str:
    if format_ == "text":
        from netdiag.report import incident

        return incident.text(found, layout)
    if format_ == "markdown":
        from netdiag.report import markdown

        return markdown.incident(found, layout)
    if format_ == "html":
        from netdiag.report import html

        return html.incident(found)
    if format_ == "ticket":
        from netdiag.report import ticket

        return ticket.of_incident(found)
    from netdiag.report import json

    if format_ in ("json", "jsonl"):
        return json.encode(found) if format_ == "json" else json.encode_line(found)
    raise UsageError(f"format {format_!r} is none of {', '.join(FORMATS)}")


def load_report(data: bytes | str, *, name: str = "report") -> Report:
    """The report that ``render`` wrote as "json"; ``name`` stands for it in messages.

    Raises ``UsageError`` when it is no JSON, no report (an incident, say), or written by a newer netdiag.
    """
    from netdiag.report import json

    return json.decode(data, name=name)


def load_incident(data: bytes | str, *, name: str = "incident") -> Incident:
    """The incident that ``render`` wrote as "json"; ``name`` stands for it in messages.

    Raises ``UsageError`` when it is no JSON, no incident (a report, say), or written by a newer netdiag.
    """
    from netdiag.report import json

    return json.decode_incident(data, name=name)
