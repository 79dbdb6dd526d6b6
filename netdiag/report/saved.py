"""Saved JSON -> the reports in it: one object, an array, JSON Lines, or files put one behind the other. Pure.

Contract: every report that can be read is; what is damaged is said, with its line or its place in the array. Of an
incident, its reports are taken. Text may have a byte order mark and be UTF-16: PowerShell redirects so.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator

import msgspec

from netdiag.model import Incident, LabelledReport, UsageError
from netdiag.report import json

#: Damaged parts of one input that are named: a file that is none of ours is damaged in every line.
_MAX_PROBLEMS = 5


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """What one input held. ``problems`` are lines for the user, one for each part that cannot be read."""

    reports: tuple[LabelledReport, ...]
    #: The baselines of the incidents among them.
    baseline: tuple[LabelledReport, ...] = ()
    #: At least one of them was an incident.
    incident: bool = False
    problems: tuple[str, ...] = ()


def read_saved(data: bytes, *, name: str) -> Saved:
    """Every report in ``data``; ``name`` stands for it in messages, and is the ``file`` of each report.

    Raises ``UsageError`` where there is no report at all that can be read.
    """
    data = _utf8(data, name).strip()
    if not data:
        raise UsageError(f"{name}: it is empty")
    reports: list[LabelledReport] = []
    incidents: list[Incident] = []
    problems: list[str] = []
    for place, part in _parts(data, name):
        try:
            found = json.decode_either(part, name=f"{name}{place}")
            if isinstance(found, Incident):
                incidents.append(found)
                reports += found.reports
            else:
                reports.append(LabelledReport(label="", file=name, report=found))
        except UsageError as error:
            problems.append(str(error))
    if not reports:
        raise UsageError(problems[0] if problems else f"{name}: it holds no report")
    if len(problems) > _MAX_PROBLEMS:
        more = len(problems) - _MAX_PROBLEMS
        problems = [*problems[:_MAX_PROBLEMS], f"{name}: and {more:,} more parts that cannot be read"]
    return Saved(
        reports=tuple(reports),
        baseline=tuple(one for found in incidents for one in found.baseline),
        incident=bool(incidents),
        problems=tuple(problems),
    )


def _utf8(data: bytes, name: str) -> bytes:
    for mark, encoding in ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        if data.startswith(mark):
            try:
                return data.decode(encoding).encode("utf-8")
            except UnicodeError:
                raise UsageError(f"{name}: not JSON: damaged UTF-16") from None
    return data.removeprefix(codecs.BOM_UTF8)


def _parts(data: bytes, name: str) -> Iterator[tuple[str, bytes]]:
    """Each value, with its place: ":7" for a line, " (the 2nd of the array)"."""
    if data[:1] == b"[":
        try:
            elements = msgspec.json.decode(data, type=list[msgspec.Raw])
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise UsageError(f"{name}: not JSON: {error}") from None
        yield from ((f"[{n}]", bytes(element)) for n, element in enumerate(elements))
        return
    if _is_value(data):
        yield "", data
        return
    lines = [(n, line.strip()) for n, line in enumerate(data.split(b"\n"), 1)]
    # A line that is an object of its own shows JSON Lines; one object that is cut off, or indented ones, have none.
    if len(lines) > 1 and any(line.startswith(b"{") and len(line) > 2 and _is_value(line) for _, line in lines):
        yield from ((f":{n}", line) for n, line in lines if line)
    else:
        yield from _concatenated(data)


def _is_value(data: bytes) -> bool:
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return True


def _concatenated(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Indented objects one behind the other, as ``cat`` makes them: each ends with a brace that begins a line."""
    parts = data.replace(b"\r\n", b"\n").split(b"\n}\n")
    for n, part in enumerate(parts, 1):
        last = n == len(parts)
        yield ("" if len(parts) == 1 else f" (part {n})"), part if last else part + b"\n}"
