"""Connections as CSV, JSON Lines and Parquet: every row, every field, read back by somebody else's reader."""

from __future__ import annotations

import builtins
import csv
import io
import json

import msgspec
import pytest

from netdiag.capture import export
from netdiag.capture.export import flow_format, write_flows
from netdiag.model import Connection, UsageError
from tests.support import require_modules
from tests.unit.report import captured

FIELDS = [field.name for field in msgspec.structs.fields(Connection)]


class Rows:
    """Connections by row, as a caller may have them."""

    def __init__(self, *rows):
        self._rows = rows

    def rows(self):
        return iter(self._rows)


class Columns(Rows):
    """The same, by column, two rows at a time."""

    def rows(self):
        raise AssertionError("columns are faster")

    def columns(self):
        for start in range(0, len(self._rows), 2):
            rows = self._rows[start : start + 2]
            yield {name: [getattr(row, name) for row in rows] for name in FIELDS}


def some(count=3, **changes):
    made = captured.connection(
        0, "2001:db8::1", 443, name="a.example", syn_rtt_ms=23.5, ttl_client=(64, 64), opening="unfinished", **changes
    )
    rows = [msgspec.structs.replace(made, number=number, bytes_client=2**40 + number) for number in range(count)]
    return [*rows, captured.connection(count, "192.0.2.1", 80, ttl_syn=None, mss_client=None)]


def written(connections, form):
    file = io.BytesIO()
    count = write_flows(connections, file, form)
    assert not file.closed
    return count, file.getvalue()


@pytest.fixture(params=[Rows, Columns])
def kind(request):
    return request.param


def test_csv(kind):
    rows = some()
    count, data = written(kind(*rows), "csv")
    assert count == 4
    assert data.count(b"\n") == 5
    assert b"\r" not in data
    read = list(csv.DictReader(io.StringIO(data.decode())))
    assert [int(row["number"]) for row in read] == [0, 1, 2, 3]
    first, last = read[0], read[-1]
    assert (first["server"], first["opening"], first["bytes_client"]) == ("2001:db8::1", "unfinished", str(2**40))
    assert float(first["started"]) == rows[0].started
    assert (first["ttl_client_min"], first["ttl_client_max"], last["ttl_client_min"]) == ("64", "64", "")
    assert (first["syn_rtt_ms"], last["syn_rtt_ms"], last["mss_client"]) == ("23.5", "", "")


def test_the_columns_are_the_fields_in_their_order():
    header = written(Rows(), "csv")[1].decode().rstrip("\n").split(",")
    flat = [name.removesuffix("_min") for name in header if not name.endswith("_max")]
    assert flat == FIELDS
    assert [name for name in header if name not in FIELDS] == [
        "ttl_client_min",
        "ttl_client_max",
        "ttl_server_min",
        "ttl_server_max",
    ]


def test_every_pair_is_taken_apart():
    """A field that is added to ``Connection`` as a tuple must be flattened too."""
    tuples = [field.name for field in msgspec.structs.fields(Connection) if "tuple" in str(field.type)]
    assert tuples == list(export._PAIRS)
    texts = [field.name for field in msgspec.structs.fields(Connection) if field.type in ("str", str)]
    assert texts == list(export._TEXTS)


def test_jsonl_is_the_model(kind):
    rows = some()
    count, data = written(kind(*rows), "jsonl")
    assert count == 4
    assert msgspec.json.Decoder(Connection).decode_lines(data) == rows
    assert json.loads(data.splitlines()[0])["ttl_client"] == [64, 64]


def test_parquet(kind):
    require_modules("pyarrow")
    import pyarrow.parquet

    rows = some()
    count, data = written(kind(*rows), "parquet")
    assert count == 4
    read = pyarrow.parquet.read_table(io.BytesIO(data)).to_pylist()
    header = written(Rows(), "csv")[1].decode().rstrip("\n").split(",")
    assert list(read[0]) == header
    for row, connection in zip(read, rows, strict=True):
        low, high = connection.ttl_client or (None, None)
        assert (row["ttl_client_min"], row["ttl_client_max"]) == (low, high)
        for name in FIELDS:
            if name not in export._PAIRS:
                assert row[name] == getattr(connection, name), name


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_no_connections(form, kind):
    if form == "parquet":
        require_modules("pyarrow")
    assert written(kind(), form)[0] == 0


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_more_than_a_block(form, monkeypatch):
    if form == "parquet":
        require_modules("pyarrow")
    monkeypatch.setattr(export, "_BLOCK", 3)
    assert written(Rows(*some(7)), form)[0] == 8


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_what_strangers_wrote(form, kind):
    if form == "parquet":
        require_modules("pyarrow")
    texts = ["=cmd|'/c calc'!A0", "+1", "@x", 'a,b"c\nd\r', "\x1b[31m", "\udc80lone", "漢字", ""]
    rows = [captured.connection(n, "192.0.2.1", 80, name=text, process=text) for n, text in enumerate(texts)]
    data = written(kind(*rows), form)[1]
    shown = [text.encode("utf-8", "backslashreplace").decode() for text in texts]
    if form == "csv":
        names = [row["name"] for row in csv.DictReader(io.StringIO(data.decode(), newline=""))]
        assert names == ["'" + text if text[:1] in ("=", "+", "@") and text else text for text in shown]
    elif form == "jsonl":
        assert [json.loads(line)["name"] for line in data.split(b"\n") if line] == shown
    else:
        import pyarrow.parquet

        assert pyarrow.parquet.read_table(io.BytesIO(data)).column("name").to_pylist() == shown


@pytest.mark.parametrize(
    ("path", "form"), [("a.csv", "csv"), ("x/B.CSV", "csv"), ("a.b.jsonl", "jsonl"), ("a.Parquet", "parquet")]
)
def test_the_suffix_decides(path, form):
    if form == "parquet":
        require_modules("pyarrow")
    assert flow_format(path) == form


@pytest.mark.parametrize("path", ["a.xlsx", "csv", "a", ".csv", "a.csv.gz", ""])
def test_an_unknown_suffix(path):
    with pytest.raises(UsageError, match=r"ends in \.csv, \.jsonl, \.parquet$"):
        flow_format(path)


def test_parquet_without_pyarrow(monkeypatch):
    real = builtins.__import__

    def hidden(name, *args, **kwargs):
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", hidden)
    with pytest.raises(UsageError, match=r"netdiag-toolkit\[parquet\]"):
        flow_format("a.parquet")


def test_progress_is_told_how_many_are_written():
    told: list[int] = []
    made = Rows(*[captured.connection(0, "192.0.2.1", 443)] * 70_000)
    assert write_flows(made, io.BytesIO(), "csv", progress=told.append) == 70_000
    assert told == [32_768, 65_536, 70_000]
