"""The JSON of reports is stable: the published schemas are today's, and today's only add to those of each release.

``schemas/report-VERSION.json`` is the schema that a release had, and never changes. When a version is released, its
``schema/*.json`` are copied there.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from netdiag.incident import merge_reports
from netdiag.model import SCHEMA_VERSION
from netdiag.report import json as report_json
from netdiag.report import load_report, render
from tests.conformance.schema_changes import breaking
from tests.support import PACKAGE

ROOT = PACKAGE.parent
PUBLISHED = ROOT / "schema"
RELEASED = tuple(sorted((Path(__file__).parent / "schemas").glob("*.json")))
TODAY = {"report": report_json.schema, "incident": report_json.incident_schema}
#: Commands that a release did not have: their reports may hold values that its schema does not know.
NEWER = {"report-0.1.0": {"node"}}
GOLDEN = tuple(
    path
    for path in sorted((ROOT / "tests" / "unit" / "golden").glob("*.json"))
    if not path.name.endswith(".expect.json")
)


@pytest.mark.parametrize("kind", TODAY)
def test_the_published_schema_is_todays(kind):
    published = PUBLISHED / f"{kind}-{SCHEMA_VERSION}.json"
    assert published.read_text(encoding="utf-8") == report_json.dumps(TODAY[kind]()), "make schema writes it"


def test_there_is_a_release_to_compare_with():
    assert [path.name for path in RELEASED if path.name.startswith("report-")]


@pytest.mark.parametrize("released", RELEASED, ids=lambda path: path.stem)
def test_todays_schema_only_adds_to_a_release(released):
    kind = released.name.partition("-")[0]
    assert breaking(json.loads(released.read_text(encoding="utf-8")), TODAY[kind]()) == []


@pytest.fixture(scope="module")
def validators() -> dict[str, Draft202012Validator]:
    found = {kind: Draft202012Validator(schema()) for kind, schema in TODAY.items()}
    return found | {path.stem: Draft202012Validator(json.loads(path.read_text(encoding="utf-8"))) for path in RELEASED}


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case.stem)
def test_recordings_are_valid_by_every_schema(case, validators):
    """As they were saved, by today's; as today's netdiag writes them, by each release's that had the command."""
    saved = json.loads(case.read_bytes())
    report = load_report(case.read_bytes())
    written = json.loads(render(report, "json"))
    validators["report"].validate(saved)
    for released in RELEASED:
        if released.name.startswith("report-") and report.command not in NEWER.get(released.stem, ()):
            validators[released.stem].validate(written)


@pytest.mark.parametrize("kind", sorted({case.name.partition("-")[0] for case in GOLDEN}))
def test_an_incident_of_recordings_is_valid(kind, validators):
    reports = [load_report(case.read_bytes()) for case in GOLDEN if case.name.startswith(f"{kind}-")]
    incident = merge_reports(reports[:6], baseline=reports[6:9])
    validators["incident"].validate(json.loads(render(incident, "json")))


# --- the comparison itself -------------------------------------------------------------------------------------

SMALL: dict[str, Any] = {
    "$ref": "#/$defs/Thing",
    "$defs": {
        "Thing": {
            "title": "Thing",
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "size": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
                "colour": {"enum": ["green", "red"], "default": "red"},
                "pair": {
                    "type": "array",
                    "minItems": 2,
                    "maxItems": 2,
                    "prefixItems": [{"type": "string"}, {"type": "number"}],
                    "items": False,
                },
                "data": {"type": "string", "contentEncoding": "base64", "default": ""},
                "parts": {
                    "type": "array",
                    "items": {
                        "anyOf": [{"$ref": "#/$defs/Wheel"}, {"$ref": "#/$defs/Door"}],
                        "discriminator": {
                            "propertyName": "type",
                            "mapping": {"wheel": "#/$defs/Wheel", "door": "#/$defs/Door"},
                        },
                    },
                    "default": [],
                },
                "inner": {"anyOf": [{"$ref": "#/$defs/Thing"}, {"type": "null"}], "default": None},
            },
            "required": ["name", "pair"],
        },
        "Wheel": {
            "type": "object",
            "properties": {"type": {"enum": ["wheel"]}, "spokes": {"type": "integer", "minimum": 0}},
            "required": ["type", "spokes"],
        },
        "Door": {
            "type": "object",
            "properties": {"type": {"enum": ["door"]}, "locked": {"type": "boolean", "default": False}},
            "required": ["type"],
        },
    },
}

Change = Callable[[dict[str, Any]], Any]


def changed(change: Change) -> dict[str, Any]:
    schema = copy.deepcopy(SMALL)
    change(schema["$defs"])
    return schema


def properties(defs: dict[str, Any], name: str = "Thing") -> dict[str, Any]:
    return defs[name]["properties"]


def rename_wheel(defs: dict[str, Any]) -> None:
    defs["Rad"] = defs.pop("Wheel")
    items = properties(defs)["parts"]["items"]
    items["anyOf"][0]["$ref"] = items["discriminator"]["mapping"]["wheel"] = "#/$defs/Rad"


def add_variant(defs: dict[str, Any]) -> None:
    defs["Seat"] = {"type": "object", "properties": {"type": {"enum": ["seat"]}}, "required": ["type"]}
    items = properties(defs)["parts"]["items"]
    items["anyOf"].append({"$ref": "#/$defs/Seat"})
    items["discriminator"]["mapping"]["seat"] = "#/$defs/Seat"


def remove_variant(defs: dict[str, Any]) -> None:
    items = properties(defs)["parts"]["items"]
    items["anyOf"].pop()
    items["discriminator"]["mapping"].pop("door")


ADDITIONS: dict[str, Change] = {
    "nothing": lambda defs: None,
    "a member": lambda defs: properties(defs).update(weight={"type": "number", "default": 0}),
    "a member with a type of its own": lambda defs: properties(defs, "Wheel").update(
        hub={"anyOf": [{"$ref": "#/$defs/Door"}, {"type": "null"}], "default": None}
    ),
    "an enumerated value": lambda defs: properties(defs)["colour"].update(enum=["blue", "green", "red"]),
    "a variant": add_variant,
    "another name for a definition": rename_wheel,
    "another description": lambda defs: defs["Thing"].update(description="New words", title="Object"),
    "members in another order": lambda defs: defs["Thing"].update(
        properties=dict(reversed(properties(defs).items())), required=["pair", "name"]
    ),
    "a wider bound": lambda defs: properties(defs, "Wheel")["spokes"].pop("minimum"),
}

BREAKS: dict[str, tuple[Change, str]] = {
    "a member is removed": (lambda defs: properties(defs).pop("size"), ".size: is gone"),
    "a member of a variant is removed": (
        lambda defs: properties(defs, "Door").pop("locked"),
        ".parts[].locked: is gone",
    ),
    "a member is renamed": (
        lambda defs: properties(defs).update(colours=properties(defs).pop("colour")),
        ".colour: is gone",
    ),
    "a new member is required": (
        lambda defs: (properties(defs).update(weight={"type": "number"}), defs["Thing"]["required"].append("weight")),
        ".weight: is required, was not",
    ),
    "an old member is required": (lambda defs: defs["Thing"]["required"].append("size"), ".size: is required, was not"),
    "a member is no longer required": (
        lambda defs: defs["Thing"]["required"].remove("name"),
        ".name: is no longer required",
    ),
    "a type is changed": (lambda defs: properties(defs)["name"].update(type="integer"), ".name: string is gone"),
    "null is refused": (
        lambda defs: properties(defs).update(size={"type": "integer", "default": None}),
        ".size: null is gone",
    ),
    "null may come": (
        lambda defs: properties(defs).update(name={"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ".name: may be null, which it could not",
    ),
    "a type is widened": (
        lambda defs: properties(defs, "Wheel").update(spokes={"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        ".parts[].spokes: may be string, which it could not",
    ),
    "an integer becomes a number": (
        lambda defs: properties(defs, "Wheel").update(spokes={"type": "number", "minimum": 0}),
        ".parts[].spokes: integer is gone",
    ),
    "an enumerated value is removed": (
        lambda defs: properties(defs)["colour"].update(enum=["red"]),
        ".colour: the value 'green' is gone",
    ),
    "a free value is enumerated": (
        lambda defs: properties(defs)["name"].update(enum=["a", "b"]),
        ".name: only [\"'a'\", \"'b'\"] are allowed, anything was",
    ),
    "an enumeration is lifted": (
        lambda defs: properties(defs).update(colour={"type": "string", "default": "red"}),
        ".colour: any value may come, only [\"'green'\", \"'red'\"] could",
    ),
    "a variant is removed": (remove_variant, ".parts[]: variant type=door is gone"),
    "a tag is changed": (
        lambda defs: properties(defs, "Door")["type"].update(enum=["gate"]),
        ".parts[]: variant type=door is gone",
    ),
    "an object becomes nothing": (
        lambda defs: properties(defs).update(inner={"type": "null", "default": None}),
        ".inner: object is gone",
    ),
    "an array becomes longer": (
        lambda defs: properties(defs)["pair"].update(
            minItems=3, maxItems=3, prefixItems=[{"type": "string"}, {"type": "number"}, {"type": "number"}]
        ),
        ".pair: has 3 fixed places, had 2",
    ),
    "a place of an array changes its type": (
        lambda defs: properties(defs)["pair"]["prefixItems"].reverse(),
        ".pair[0]: string is gone",
    ),
    "items are something else": (
        lambda defs: properties(defs)["parts"].update(items={"type": "string"}),
        ".parts[]: may be string, which it could not",
    ),
    "an encoding is changed": (
        lambda defs: properties(defs)["data"].update(contentEncoding="base16"),
        ".data: contentEncoding is base16, was base64",
    ),
    "a default is changed": (
        lambda defs: properties(defs)["colour"].update(default="green"),
        ".colour: missing means 'green', meant 'red'",
    ),
    "a bound is tightened": (
        lambda defs: properties(defs, "Wheel")["spokes"].update(minimum=1),
        ".parts[].spokes: minimum is 1, was 0",
    ),
    "a bound is new": (
        lambda defs: properties(defs)["name"].update(maxLength=10),
        ".name: maxLength is 10, was none",
    ),
    "a pattern is new": (lambda defs: properties(defs)["name"].update(pattern="^a"), ".name: pattern is ^a, was None"),
    "further members are refused": (
        lambda defs: defs["Wheel"].update(additionalProperties=False),
        ".parts[]: further members are refused, were not",
    ),
}


@pytest.mark.parametrize("name", ADDITIONS)
def test_an_addition_breaks_nothing(name):
    assert breaking(SMALL, changed(ADDITIONS[name])) == []


@pytest.mark.parametrize("name", BREAKS)
def test_a_breaking_change_is_seen(name):
    change, expected = BREAKS[name]
    assert expected in breaking(SMALL, changed(change))


def test_a_word_that_is_not_understood_is_not_overlooked():
    with pytest.raises(AssertionError, match="'not'"):
        breaking(SMALL, changed(lambda defs: properties(defs)["name"].update({"not": {}})))


def test_every_member_of_the_real_schema_is_looked_at():
    """Without any one of its members, the schema of reports is another, wherever that member stands."""
    schema = report_json.schema()
    for name, definition in schema["$defs"].items():
        members = definition.get("properties", {})  # an enumeration has none
        tag = "type" if name.endswith(("Observation", "Selection")) else ""  # without it, a union is none
        for member in members.keys() - {tag}:
            rest = {other: value for other, value in members.items() if other != member}
            required = [other for other in definition.get("required", []) if other != member]
            less = {**definition, "properties": rest, "required": required}
            found = breaking(schema, {**schema, "$defs": {**schema["$defs"], name: less}})
            assert any(re.search(rf"\.{member}: is gone$", line) for line in found), (name, member)
