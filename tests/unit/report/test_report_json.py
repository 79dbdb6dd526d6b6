"""Reports as JSON: valid by the published schema, read back equal, and refused with one line when they are none."""

from __future__ import annotations

import json as stdlib_json

import msgspec
import pytest
from jsonschema import Draft202012Validator, ValidationError

from netdiag.model import SCHEMA_VERSION, UsageError
from netdiag.report import json, render
from tests.unit.report import captured, handmade

REPORTS = {
    "healthy": handmade.healthy(),
    "impaired": handmade.impaired(),
    "dns-failure": handmade.dns_failure(),
    "proxy-forbidden": handmade.proxy_forbidden(),
    "intercepted": handmade.intercepted(),
    "inconclusive": handmade.inconclusive(),
    "hostile": handmade.hostile("\x1b\u202e\n漢"),
    "conversations": msgspec.structs.replace(captured.faulty(), conversations=captured.rows(), more_conversations=68),
}


@pytest.fixture(scope="module")
def validator():
    Draft202012Validator.check_schema(json.schema())
    return Draft202012Validator(json.schema())


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_is_valid_by_the_schema(name, validator):
    validator.validate(stdlib_json.loads(json.encode(REPORTS[name])))


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": {"status": "broken", "finding": None, "blame": None, "summary": ""}},
        {"observations": [{"type": "smell", "id": "x"}]},
        {"started": "yesterday"},
        {"target": {"port": 443}},
    ],
)
def test_the_schema_refuses_what_is_no_report(change, validator):
    broken = {**stdlib_json.loads(json.encode(REPORTS["healthy"])), **change}
    with pytest.raises(ValidationError):
        validator.validate(broken)


def test_the_schema_names_itself():
    schema = json.schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:netdiag:report:{SCHEMA_VERSION}"


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_survives_the_round_trip(name):
    assert json.decode(json.encode(REPORTS[name])) == REPORTS[name]
    assert json.decode(json.encode_line(REPORTS[name]).encode()) == REPORTS[name]


def test_shapes():
    one, two = REPORTS["healthy"], REPORTS["impaired"]
    assert isinstance(stdlib_json.loads(render(one, "json")), dict)
    assert [r["verdict"]["status"] for r in stdlib_json.loads(render([one, two], "json"))] == ["healthy", "impaired"]
    assert stdlib_json.loads(render([], "json")) == []
    assert [json.decode(line) for line in render([one, two], "jsonl").splitlines()] == [one, two]


def test_an_unknown_format_is_a_usage_error():
    with pytest.raises(UsageError, match="format 'docx' is none of text, json, jsonl"):
        render(REPORTS["healthy"], "docx")


def test_members_that_a_later_release_adds_are_ignored():
    added = {**stdlib_json.loads(json.encode(REPORTS["healthy"])), "mood": "good"}
    assert json.decode(stdlib_json.dumps(added)) == REPORTS["healthy"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "old.json: not JSON: Input data was truncated"),
        (b"{", "old.json: not JSON: Input data was truncated"),
        (b"\xff\xfe", "old.json: not JSON: "),
        (b"[" * 100_000, "old.json: not "),
        (b"[]", "old.json: not a netdiag report: Expected `object`, got `array`"),
        (b"{}", "old.json: not a netdiag report: Object missing required field `schema_version`"),
        (b'{"schema_version": 1}', "old.json: not a netdiag report: Object missing required field `tool`"),
        (
            b'{"schema_version": 99, "news": {}}',
            f"old.json: written by a newer netdiag (schema_version 99; this one reads {SCHEMA_VERSION})",
        ),
    ],
)
def test_what_is_no_report_is_refused_with_one_line(data, message):
    with pytest.raises(UsageError) as caught:
        json.decode(data, name="old.json")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_name_that_is_no_unicode_is_written_with_escapes():
    # A file name or variable with bytes that are no UTF-8 reaches Python as lone surrogates (PEP 383).
    report = msgspec.structs.replace(handmade.healthy(), command="endpoint \udcff")
    assert '"command": "endpoint \\\\udcff"' in render(report, "json")
    assert stdlib_json.loads(render(report, "jsonl"))["command"] == "endpoint \\udcff"
