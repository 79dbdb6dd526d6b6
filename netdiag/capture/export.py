"""Every connection of a capture -> CSV, JSON Lines or Parquet: what ``--flows`` writes.

Contract: the columns are the fields of ``model.Connection`` in their order. A pair (the lowest and highest TTL) becomes
two columns, ``_min`` and ``_max``, except in JSON Lines, whose rows are ``Connection`` as JSON. What is not known is
an empty cell, null. Rows are written a block at a time, so that memory does not grow with their number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from operator import attrgetter
from pathlib import PurePath
from types import ModuleType
from typing import IO, Any, Literal, Protocol, get_args

import msgspec

from netdiag.model import Connection, UsageError

FlowFormat = Literal["csv", "jsonl", "parquet"]
FLOW_FORMATS: tuple[FlowFormat, ...] = get_args(FlowFormat)

#: Rows in memory at a time; also the rows of a Parquet row group.
_BLOCK = 32_768

#: The fields in order.
_FIELDS = tuple(field.name for field in msgspec.structs.fields(Connection))
_PAIRS = ("ttl_client", "ttl_server")
_TEXTS = ("client", "server", "name", "icmp", "process")

#: A spreadsheet takes a cell that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_SPECIAL = re.compile('[,"\r\n]')

#: Column name -> as many values as the block has rows, as ``Connection`` holds them.
Block = Mapping[str, Sequence[Any]]


class Connections(Protocol):
    """Where the rows come from. What has ``columns() -> Iterator[Block]`` too is asked for that: it is faster."""

    def rows(self) -> Iterator[Connection]:
        """Every connection, in the order of their numbers."""


def flow_format(path: str) -> FlowFormat:
    """What the suffix of a file's name asks for. Raises ``UsageError``, also when that needs what is not installed."""
    suffix = PurePath(path).suffix.lower().removeprefix(".")
    for known in FLOW_FORMATS:
        if suffix == known:
            if known == "parquet":
                _pyarrow()
            return known
    known_suffixes = ", ".join(f".{known}" for known in FLOW_FORMATS)
    raise UsageError(f"{path}: connections are written to a file whose name ends in {known_suffixes}")


def write_flows(
    connections: Connections, file: IO[bytes], form: FlowFormat, *, progress: Callable[[int], None] | None = None
) -> int:
    """Write every row; how many there were. ``file`` is left open. ``progress`` is told how many are written."""
    columns: Callable[[], Iterator[Block]] | None = getattr(connections, "columns", None)
    blocks = columns() if columns is not None else _blocks(connections.rows())
    if progress is not None:
        blocks = _counted(blocks, progress)
    return _WRITERS[form](map(_encodable, blocks), file)


def _counted(blocks: Iterator[Block], progress: Callable[[int], None]) -> Iterator[Block]:
    done = 0
    for block in blocks:
        yield block
        done += len(block["number"])  # whoever asks for the next has written this one
        progress(done)


def _blocks(rows: Iterator[Connection]) -> Iterator[Block]:
    values = attrgetter(*_FIELDS)
    while block := list(islice(rows, _BLOCK)):
        yield dict(zip(_FIELDS, zip(*map(values, block), strict=True), strict=True))


def _encodable(block: Block) -> Block:
    """The block without the lone surrogates that undecodable bytes become (PEP 383): no format has them."""
    try:
        for name in _TEXTS:
            "".join(set(block[name])).encode()
    except UnicodeEncodeError:
        safe = {name: [text.encode("utf-8", "backslashreplace").decode() for text in block[name]] for name in _TEXTS}
        return {**block, **safe}
    return block


def _flat(block: Block) -> dict[str, Sequence[Any]]:
    """The block with its pairs taken apart."""
    found: dict[str, Sequence[Any]] = {}
    for name in _FIELDS:
        if name in _PAIRS:
            found[f"{name}_min"] = [None if pair is None else pair[0] for pair in block[name]]
            found[f"{name}_max"] = [None if pair is None else pair[1] for pair in block[name]]
        else:
            found[name] = block[name]
    return found


_COLUMNS = tuple(_flat(dict.fromkeys(_FIELDS, ())))


def _cells(column: Sequence[Any], show: Callable[[Any], str]) -> Iterator[str]:
    """Each value as ``show`` writes it. Most columns hold few different ones, each of which is written once."""
    distinct = set(column)
    if len(distinct) * 4 > len(column):
        return map(show, column)
    shown = {value: show(value) for value in distinct}
    return map(shown.__getitem__, column)


def _write_csv(blocks: Iterator[Block], file: IO[bytes]) -> int:
    file.write(f"{','.join(_COLUMNS)}\n".encode())
    count = 0
    for block in blocks:
        columns = _flat(block)
        cells = [_cells(column, _quoted if name in _TEXTS else _plain) for name, column in columns.items()]
        file.writelines(f"{','.join(row)}\n".encode() for row in zip(*cells, strict=True))
        count += len(block["number"])
    return count


def _plain(value: object) -> str:
    return "" if value is None else str(value)


def _quoted(text: str) -> str:
    """A stranger's text as a cell (RFC 4180 §2) that no spreadsheet runs."""
    if text.startswith(_FORMULA):
        text = f"'{text}"
    if _SPECIAL.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text


def _write_jsonl(blocks: Iterator[Block], file: IO[bytes]) -> int:
    encode = msgspec.json.Encoder().encode
    members: dict[str, Callable[[Any], str]] = {
        name: lambda value, name=name: f'"{name}":{encode(value).decode()}'  # type: ignore[misc]
        for name in _FIELDS
    }
    count = 0
    for block in blocks:
        cells = [_cells(block[name], show) for name, show in members.items()]
        file.writelines(f"{{{','.join(row)}}}\n".encode() for row in zip(*cells, strict=True))
        count += len(block["number"])
    return count


def _pyarrow() -> tuple[ModuleType, ModuleType]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UsageError("Parquet needs pyarrow: pip install 'netdiag-toolkit[parquet]'") from None
    return pyarrow, pyarrow.parquet


def _write_parquet(blocks: Iterator[Block], file: IO[bytes]) -> int:
    arrow, parquet = _pyarrow()
    schema = arrow.schema([(name, _arrow_type(arrow, name)) for name in _COLUMNS])
    count = 0
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for block in blocks:
            writer.write_table(arrow.table(_flat(block), schema=schema), row_group_size=_BLOCK)
            count += len(block["number"])
    return count


def _arrow_type(arrow: ModuleType, name: str) -> Any:
    if name in _TEXTS:
        return arrow.string()
    if name in ("opening", "closing"):
        return arrow.dictionary(arrow.int8(), arrow.string())
    return arrow.float64() if name == "started" or name.endswith(("_s", "_ms")) else arrow.int64()


_WRITERS: dict[FlowFormat, Callable[[Iterator[Block], IO[bytes]], int]] = {
    "csv": _write_csv,
    "jsonl": _write_jsonl,
    "parquet": _write_parquet,
}
