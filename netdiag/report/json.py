"""``Report`` and ``Incident`` <-> JSON, and the JSON Schemas of them. Pure.

Contract: what is encoded and decoded again is equal. Decoding ignores unknown members (an older netdiag reads a newer
minor report), and refuses a newer ``schema_version``. A report is never taken for an incident, nor the reverse.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from netdiag.model import SCHEMA_VERSION, Incident, Report, UsageError

#: The dialect that msgspec writes, and the name that other schemas may refer to.
DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCHEMA_ID = f"urn:netdiag:report:{SCHEMA_VERSION}"
INCIDENT_SCHEMA_ID = f"urn:netdiag:incident:{SCHEMA_VERSION}"

T = TypeVar("T")


class _Head(msgspec.Struct, frozen=True):
    schema_version: int
    #: "incident"; a report has none.
    kind: str = ""


def dumps(value: object) -> str:
    """Any value of the model (or built of plain types) as indented JSON with a final newline."""
    return msgspec.json.format(_encoded(value), indent=2).decode() + "\n"


def dumps_line(value: object) -> str:
    """Any value of the model as one line of JSON Lines."""
    return _encoded(value).decode() + "\n"


def _encoded(value: object) -> bytes:
    """JSON has no lone surrogates, which Python puts for bytes of argv, names of files and variables (PEP 383)."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_without_surrogates(msgspec.to_builtins(value)))


def _without_surrogates(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, list | tuple):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value


def encode(report: Report | Incident) -> str:
    """One report, or an incident, as an indented object."""
    return dumps(report)


def encode_array(reports: Iterable[Report]) -> str:
    """Several reports as an array, in the order given."""
    return dumps(list(reports))


def encode_line(report: Report | Incident) -> str:
    """One report, or an incident, as one line of JSON Lines."""
    return dumps_line(report)


def decode(data: bytes | str, *, name: str = "report") -> Report:
    """The report in ``data``; ``name`` stands for it in messages.

    Raises ``UsageError`` when it is no JSON, no report (an incident, say), or written by a newer netdiag.
    """
    if _head(data, name).kind:
        raise UsageError(f"{name}: this is an incident, not a single report (netdiag report reads both)")
    return _decoded(data, name, Report)


def decode_incident(data: bytes | str, *, name: str = "incident") -> Incident:
    """The incident in ``data``; ``name`` stands for it in messages.

    Raises ``UsageError`` when it is no JSON, no incident (a report, say), or written by a newer netdiag.
    """
    if _head(data, name).kind != "incident":
        raise UsageError(f"{name}: this is a single report, not an incident (netdiag report makes one of it)")
    return _decoded(data, name, Incident)


def decode_either(data: bytes | str, *, name: str = "report") -> Report | Incident:
    """The report or the incident in ``data``. Raises ``UsageError`` as the others do."""
    return _decoded(data, name, Incident) if _head(data, name).kind == "incident" else decode(data, name=name)


def _head(data: bytes | str, name: str) -> _Head:
    head = _decoded(data, name, _Head)
    if head.schema_version > SCHEMA_VERSION:
        version = f"schema_version {head.schema_version}; this one reads {SCHEMA_VERSION}"
        raise UsageError(f"{name}: written by a newer netdiag ({version})")
    return head


def _decoded(data: bytes | str, name: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        what = "incident" if kind is Incident else "report"
        raise UsageError(f"{name}: not a netdiag {what}: {error}") from None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise UsageError(f"{name}: not JSON: {error}") from None


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one report, of plain lists and dicts."""
    return _schema(
        Report,
        SCHEMA_ID,
        "netdiag report",
        "What one run of netdiag found out about one target. Durations are in seconds (_s) or milliseconds (_ms), "
        "moments in seconds since the Unix epoch, certificates in DER as base64.",
    )


def incident_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one incident, of plain lists and dicts."""
    return _schema(
        Incident,
        INCIDENT_SCHEMA_ID,
        "netdiag incident",
        "What several reports say together: one root cause, what they show differently, what changed since a "
        "baseline. The reports themselves are in it, as the schema of reports has them.",
    )


def _schema(kind: type, identifier: str, title: str, description: str) -> dict[str, Any]:
    body = _without_indents(msgspec.json.decode(msgspec.json.encode(msgspec.json.schema(kind))))
    return {"$schema": DIALECT, "$id": identifier, "title": title, "description": description, **body}


def _without_indents(body: Any) -> Any:
    """Descriptions are docstrings, which msgspec takes as the source has them, and from 0.23 on without indents."""
    if isinstance(body, list):
        return [_without_indents(item) for item in body]
    if isinstance(body, dict):
        clean = {name: _without_indents(item) for name, item in body.items()}
        if isinstance(clean.get("description"), str):
            clean["description"] = inspect.cleandoc(clean["description"])
        return clean
    return body
