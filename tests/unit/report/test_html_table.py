"""The table of an HTML report: how its columns are packed, and what stands in it without scripts."""

from __future__ import annotations

import json
import re

import msgspec
import pytest

from netdiag.report import render
from netdiag.report.html import table
from netdiag.report.html.table import Column
from tests.unit.report import captured


def data(html: str, name: str = "t-data") -> dict:
    block = re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', html, re.DOTALL)
    assert block
    return json.loads(block[1])


def cells(html: str) -> list[list[str]]:
    body = re.search(r"<tbody>(.*?)</tbody>", html, re.DOTALL)
    assert body
    return [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", body[1])]


def test_texts_stand_once_in_the_order_they_sort_by():
    values = ["10.0.0.10", "10.0.0.9", "::1", "10.0.0.10", "proxy"]
    found = data(table.render("t", "T", [Column(title="A", values=values, order=table.by_address)]))
    (column,) = found["columns"]
    assert column["words"] == ["10.0.0.9", "10.0.0.10", "::1", "proxy"]
    assert [column["words"][place] for place in column["at"]] == values


def test_numbers_are_in_units_of_their_last_decimal():
    columns = [
        Column(title="N", kind="number", digits=3, values=[1.2345, None, 1234.5]),
        Column(title="Port", kind="number", plain=True, values=[49733, 443, None]),
    ]
    html = table.render("t", "T", columns)
    assert [column["at"] for column in data(html)["columns"]] == [[1234, None, 1234500], [49733, 443, None]]
    assert cells(html) == [["1.234", "49733"], ["", "443"], ["1,234.500", ""]]


def test_moments_tell_the_day_only_where_there_are_several():
    day = 1_750_000_000.25
    one = table.render("t", "T", [Column(title="M", kind="moment", values=[day, 0.0, day + 1])])
    two = table.render("t", "T", [Column(title="M", kind="moment", values=[day, day + 86_400])])
    assert cells(one) == [["15:06:40.250"], [""], ["15:06:41.250"]]
    assert cells(two) == [["2025-06-15 15:06:40.250"], ["2025-06-16 15:06:40.250"]]
    assert data(one)["columns"][0]["at"] == [0, None, 1000]


@pytest.mark.parametrize("value", [float("inf"), 1e300, -1e300, 1e18])
def test_numbers_that_are_none_do_not_end_the_report(value):
    columns = [
        Column(title="N", kind="number", digits=3, values=[value]),
        Column(title="M", kind="moment", values=[value]),
        Column(title="T", values=["x"]),
    ]
    assert cells(table.render("t", "T", columns))[0][-1] == "x"


def test_columns_without_a_value_are_left_out():
    html = table.render("t", "T", [Column(title="A", values=["x"]), Column(title="B", values=[""])])
    assert "B</th>" not in html
    assert len(data(html)["columns"]) == 1


def test_only_the_first_rows_stand_there_without_scripts():
    html = table.render("t", "T", [Column(title="N", kind="number", values=list(range(250)))], hint="h")
    assert len(cells(html)) == table.STATIC
    assert data(html)["rows"] == 250
    assert "The first 100 of 250" in html
    assert "data-filter" in html
    assert "data-filter" not in table.render("t", "T", [Column(title="N", kind="number", values=[1])], hint="h")


def test_what_strangers_wrote_ends_neither_block_nor_cell():
    evil = "</script><img src=x onerror=alert(1)>\u202e\x1b[31m"
    html = table.render("t", "T", [Column(title="A", values=[evil, "b"])])
    assert html.count("</script>") == 1
    assert "<img" not in html
    assert "\u202e" not in html
    assert data(html)["columns"][0]["words"][0].startswith("</script><img")


def test_a_report_lists_the_rows_that_it_has():
    report = msgspec.structs.replace(captured.faulty(), conversations=captured.rows(), more_conversations=68)
    html = render(report, "html")
    found = data(html, "conversations-data")
    assert found["rows"] == 3
    assert found["columns"][0]["at"] == [2, 0, 1]
    outcomes = found["columns"][1]
    assert [outcomes["words"][n] for n in outcomes["at"]] == ["✗ reset", "✗ never answered", "✓ closed by both sides"]
    assert found["links"] == {"0": "#conversation-2", "1": "#conversation-0"}
    assert "68 more are not listed here" in html
    assert "Conversations: 71 connections" in html
    assert len(data(html, "data")["conversations"]) == 3


def test_the_raw_json_repeats_no_long_table():
    many = tuple(captured.row(n) for n in range(1001))
    report = msgspec.structs.replace(captured.faulty(), conversations=many, more_conversations=68)
    raw = data(render(report, "html"), "data")
    assert (raw["conversations"], raw["more_conversations"]) == ([], 1069)


def test_a_report_without_rows_lists_what_it_holds():
    found = data(render(captured.faulty(), "html"), "conversations-data")
    assert found["columns"][0]["at"] == [2, 0, 1]
