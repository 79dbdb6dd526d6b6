"""``Report`` <-> JSON, and the JSON Schema of it. Pure.

Contract: a report that is encoded and decoded again is equal. Decoding ignores unknown members (an older netdiag reads
a newer minor report), and refuses a newer ``schema_version``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from netdiag.model import SCHEMA_VERSION, Report, UsageError

#: The dialect that msgspec writes, and the name that other schemas may refer to.
DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCHEMA_ID = f"urn:netdiag:report:{SCHEMA_VERSION}"


class _Version(msgspec.Struct, frozen=True):
    schema_version: int


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


def encode(report: Report) -> str:
    """One report as an indented object."""
    return dumps(report)


def encode_array(reports: Iterable[Report]) -> str:
    """Several reports as an array, in the order given."""
    return dumps(list(reports))


def encode_line(report: Report) -> str:
    """One report as one line of JSON Lines."""
    return dumps_line(report)


def decode(data: bytes | str, *, name: str = "report") -> Report:
    """The report in ``data``; ``name`` stands for it in messages.

    Raises ``UsageError`` when it is no JSON, no report, or written by a newer netdiag.
    """
    try:
        version = msgspec.json.decode(data, type=_Version).schema_version
        if version > SCHEMA_VERSION:
            raise UsageError(
                f"{name}: written by a newer netdiag (schema_version {version}; this one reads {SCHEMA_VERSION})"
            )
        return msgspec.json.decode(data, type=Report)
    except msgspec.ValidationError as error:
        raise UsageError(f"{name}: not a netdiag report: {error}") from None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise UsageError(f"{name}: not JSON: {error}") from None


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one report, of plain lists and dicts."""
    body = msgspec.json.decode(msgspec.json.encode(msgspec.json.schema(Report)))
    return {
        "$schema": DIALECT,
        "$id": SCHEMA_ID,
        "title": "netdiag report",
        "description": "What one run of netdiag found out about one target. Durations are in seconds (_s) or "
        "milliseconds (_ms), moments in seconds since the Unix epoch, certificates in DER as base64.",
        **body,
    }
