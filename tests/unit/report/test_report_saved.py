"""Saved JSON read back: every shape that a user may have, and what is damaged said by its place."""

from __future__ import annotations

import contextlib
import json as stdlib_json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netdiag import load_incident, load_report, merge_reports, render
from netdiag.model import UsageError
from netdiag.report import json
from netdiag.report.saved import read_saved
from tests.unit.report import handmade

HEALTHY, FORBIDDEN = handmade.healthy(), handmade.proxy_forbidden()
INCIDENT = merge_reports([HEALTHY, FORBIDDEN], labels=["a", "b"], baseline=handmade.impaired())
ONE, LINE = render(HEALTHY, "json"), render(HEALTHY, "jsonl")
OTHER = render(FORBIDDEN, "jsonl")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ONE, [HEALTHY]),
        (LINE, [HEALTHY]),
        (LINE + OTHER, [HEALTHY, FORBIDDEN]),
        ((LINE + "\n\n" + OTHER).replace("\n", "\r\n"), [HEALTHY, FORBIDDEN]),
        (render([HEALTHY, FORBIDDEN], "json"), [HEALTHY, FORBIDDEN]),
        (render([HEALTHY], "json"), [HEALTHY]),
        (ONE + render(FORBIDDEN, "json"), [HEALTHY, FORBIDDEN]),  # cat a.json b.json
        ((ONE + render(FORBIDDEN, "json")).replace("\n", "\r\n"), [HEALTHY, FORBIDDEN]),
        (f"  \n{ONE}\n", [HEALTHY]),
        (render(INCIDENT, "json"), [one.report for one in INCIDENT.reports]),
        (render(INCIDENT, "jsonl") + LINE, [*(one.report for one in INCIDENT.reports), HEALTHY]),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_every_shape(text, expected, encoding):
    saved = read_saved(text.encode(encoding), name="x.json")
    assert [one.report for one in saved.reports] == expected
    assert saved.problems == ()


def test_an_incident_keeps_its_labels_and_its_baseline():
    saved = read_saved(render(INCIDENT, "json").encode(), name="x.json")
    assert saved.reports == INCIDENT.reports
    assert saved.baseline == INCIDENT.baseline
    assert saved.incident
    assert not read_saved(LINE.encode(), name="x.json").incident


def test_a_report_is_of_its_file():
    (one,) = read_saved(LINE.encode(), name="x.json").reports
    assert (one.label, one.file) == ("", "x.json")


@pytest.mark.parametrize(
    ("text", "number", "problems"),
    [
        (LINE + "{broken\n" + OTHER, 2, ["x:2: not JSON: "]),
        (LINE + OTHER[:-20], 1, ["x:2: not JSON: Input data was truncated"]),  # the disk was full
        (LINE + '{"schema_version": 1}\n', 1, ["x:2: not a netdiag report: "]),
        (LINE + '{"schema_version": 99}\n', 1, ["x:2: written by a newer netdiag"]),
        (f"[{LINE}, 7, {OTHER}]", 2, ["x[1]: not a netdiag report: Expected `object`, got `int`"]),
        (ONE + render(FORBIDDEN, "json")[:-40], 1, ["x (part 2): not JSON: "]),
        (LINE + "no\n" * 9, 1, [*(f"x:{n}: not JSON" for n in range(2, 7)), "x: and 4 more parts that cannot be read"]),
    ],
)
def test_what_can_be_read_is(text, number, problems):
    saved = read_saved(text.encode(), name="x")
    assert len(saved.reports) == number
    assert len(saved.problems) == len(problems)
    assert all(said.startswith(expected) for said, expected in zip(saved.problems, problems, strict=True))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "x: it is empty"),
        (b" \n ", "x: it is empty"),
        (b"hello", "x: not JSON: JSON is malformed: invalid character (byte 0)"),
        (b"[]", "x: it holds no report"),
        (b"[", "x: not JSON: Input data was truncated"),
        (b"{}", "x: not a netdiag report: Object missing required field `schema_version`"),
        (ONE.encode()[:500], "x: not JSON: Input data was truncated"),
        (LINE.encode()[:500], "x: not JSON: Input data was truncated"),
        (b"[" * 100_000, "x: not JSON: "),
        (b'{"schema_version": 99}', "x: written by a newer netdiag (schema_version 99; this one reads 1)"),
        (b"\xff\xfe\x00\xd8", "x: not JSON: damaged UTF-16"),
        (b'{"schema_version": 1, "tool": "\xff"}', "x: not "),
        (b'{"schema_version": 1, "kind": "incident"}', "x: not a netdiag incident: Object missing required field"),
    ],
)
def test_no_report_at_all(data, message):
    with pytest.raises(UsageError) as raised:
        read_saved(data, name="x")
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


@settings(max_examples=300)
@given(st.binary(max_size=300) | st.text(alphabet='{}[]",:\n 0123abct\ufeff').map(str.encode))
def test_any_bytes(data):
    try:
        saved = read_saved(data, name="x")
    except UsageError:
        return
    assert saved.reports


@settings(max_examples=60)
@given(st.integers(0, len(LINE) - 2), st.integers(0, 255))
def test_a_damaged_report_is_read_or_refused(place, value):
    data = bytearray(LINE.encode())
    data[place] = value
    with contextlib.suppress(UsageError):
        assert len(read_saved(bytes(data), name="x").reports) == 1


def test_a_report_is_no_incident_and_the_reverse():
    with pytest.raises(UsageError, match="x: this is an incident, not a single report"):
        load_report(render(INCIDENT, "json"), name="x")
    with pytest.raises(UsageError, match="x: this is a single report, not an incident"):
        load_incident(ONE, name="x")
    assert load_report(ONE) == HEALTHY
    assert load_incident(render(INCIDENT, "json")) == INCIDENT


def test_the_schema_of_incidents_names_itself():
    schema = json.incident_schema()
    assert schema["$id"] == "urn:netdiag:incident:1"
    assert stdlib_json.loads(render(INCIDENT, "json"))["kind"] == "incident"
