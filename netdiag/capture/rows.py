"""Rows of the connection table -> ``model.Connection``, totals and services.

Contract: pure functions of rows. Everything that says client or server is turned round here, once; in the table a
pair belongs to the low and the high end.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from netdiag.capture.packets import Ints
from netdiag.capture.table import NEVER, SENT, SENT_ACK, SENT_NO_RESET, SENT_TALK, Rows, both, pick
from netdiag.model import Closing, Connection, Opening

OPENINGS: tuple[Opening, ...] = ("complete", "unfinished", "unanswered", "refused", "mid-stream")
CLOSINGS: tuple[Closing, ...] = ("fin", "half-close", "reset", "none")

#: Counts that a row has for each side, and ``Connection`` as ``_client`` and ``_server``.
SIDED = (
    "packets",
    "bytes",
    "fin",
    "rst",
    "retransmissions",
    "out_of_order",
    "duplicate_acks",
    "zero_windows",
    "keep_alives",
    "previous_lost",
    "acked_unseen",
)

#: Column name -> one value a row, as ``Connection`` holds them.
Block = dict[str, Sequence[Any]]


def client_side(rows: Rows) -> Ints:
    """0 where the low end is the client, 1 where the high end is (see ``connections.py``)."""
    side = np.where(rows["syn_side"] >= 0, rows["syn_side"], 1 - rows["syn_ack_side"]).astype(np.int64)
    unknown = np.flatnonzero((rows["syn_side"] < 0) & (rows["syn_ack_side"] < 0))
    if len(unknown):
        rows = pick(rows, unknown)
        ports = rows_ports(rows)
        side[unknown] = np.where(ports[:, 0] == ports[:, 1], rows["first_side"], ports[:, 0] < ports[:, 1])
    return side


def rows_ports(rows: Rows) -> Ints:
    """The ports of the low and the high end."""
    four = np.stack((rows["low"], rows["high"]), axis=1) & np.uint64(0xFFFF)
    return np.where((rows["version"] == 4)[:, None], four.astype(np.int64), rows["ports"].astype(np.int64))


def of(rows: Rows, name: str, side: Ints) -> npt.NDArray[Any]:
    """One column of a pair: that of ``side``."""
    pair = rows[name]
    return np.where(side == 0, pair[:, 0], pair[:, 1])


def openings(rows: Rows, client: Ints) -> Ints:
    """Index into ``OPENINGS``."""
    server = 1 - client
    syn, syn_ack = of(rows, "syn", client) > 0, of(rows, "syn_ack", server) > 0
    by_client, by_server = rows["sent"] >> (client << 2), rows["sent"] >> (server << 2)
    silent = (by_client & SENT_TALK) == 0
    return np.select(
        [
            ~syn,
            syn_ack & ((by_client & SENT_ACK) != 0),
            syn_ack,
            silent & ((by_server & SENT) == 0),
            silent & ((by_server & SENT_NO_RESET) == 0),
        ],
        [4, 0, 1, 2, 3],
        4,
    )


def closings(rows: Rows) -> Ints:
    """Index into ``CLOSINGS``."""
    low, high = (rows["fin"][:, side] > 0 for side in (0, 1))
    reset = (both(rows, "rst") > 0) & (rows["rst_fins"] != 3)
    return np.select([reset, low & high, low | high], [2, 0, 1], 3)


def grade(rows: Rows) -> npt.NDArray[np.int8]:
    """How much went wrong: 0 for a connection that was not opened or was reset, 1 for losses and closed windows, 2."""
    opening = openings(rows, client_side(rows))
    failed = (opening != OPENINGS.index("complete")) & (opening != OPENINGS.index("mid-stream"))
    failed |= closings(rows) == CLOSINGS.index("reset")
    slow = (both(rows, "retransmissions") > 0) | (both(rows, "zero_windows") > 0)
    return np.select([failed, slow], [0, 1], 2).astype(np.int8)


def block(rows: Rows, names: Sequence[str]) -> Block:
    """The columns of ``Connection``, without ``icmp`` and ``process``; ``names``: of servers, by a row's ``name``."""
    client = client_side(rows)
    server = 1 - client
    ports = rows_ports(rows)
    at = np.arange(len(rows))
    low, high = addresses(rows, 0), addresses(rows, 1)
    first, second = client.tolist(), server.tolist()
    ends = list(zip(low, high, strict=True))
    columns: Block = {
        "number": rows["number"].tolist(),
        "client": [pair[side] for pair, side in zip(ends, first, strict=True)],
        "client_port": ports[at, client].tolist(),
        "server": [pair[side] for pair, side in zip(ends, second, strict=True)],
        "server_port": ports[at, server].tolist(),
        "name": [names[number] for number in rows["name"].tolist()],
        "started": (rows["first_time"] / 1e9).tolist(),
        "duration_s": (np.maximum(rows["last_time"] - rows["first_time"], 0) / 1e9).tolist(),
        "first_frame": rows["first_frame"].tolist(),
        "last_frame": rows["last_frame"].tolist(),
        "opening": [OPENINGS[n] for n in openings(rows, client).tolist()],
        "closing": [CLOSINGS[n] for n in closings(rows).tolist()],
        "completeness": rows["completeness"].tolist(),
        "syn_rtt_ms": _between(of(rows, "syn_time", client), of(rows, "syn_ack_time", server)),
        "ack_rtt_ms": _between(of(rows, "syn_ack_time", server), of(rows, "ack_time", client)),
    }
    for name in SIDED[:2]:
        columns |= _pair(rows, name, client)
    columns["syn"] = both(rows, "syn").tolist()
    columns["syn_ack"] = both(rows, "syn_ack").tolist()
    for name in SIDED[2:]:
        columns |= _pair(rows, name, client)
    columns["captured_twice"] = rows["captured_twice"].tolist()
    for name, side in (("mss_client", client), ("mss_server", server)):
        columns[name] = _or_none(of(rows, "mss", side))
    columns["ttl_syn"] = _or_none(of(rows, "ttl_syn", client))
    columns["ttl_syn_ack"] = _or_none(of(rows, "ttl_syn_ack", server))
    columns["ttl_rst_client"] = _or_none(of(rows, "ttl_rst", client))
    columns["ttl_rst_server"] = _or_none(of(rows, "ttl_rst", server))
    for name, side in (("ttl_client", client), ("ttl_server", server)):
        lowest, highest = of(rows, "ttl_min", side).tolist(), of(rows, "ttl_max", side).tolist()
        there = ((rows["sent"] >> (side << 2) & SENT_NO_RESET) != 0).tolist()
        columns[name] = [(a, b) if has else None for a, b, has in zip(lowest, highest, there, strict=True)]
    columns["icmp"] = columns["process"] = [""] * len(rows)
    return columns


def connections(rows: Rows, names: Sequence[str]) -> list[Connection]:
    """The rows, typed."""
    columns = block(rows, names)
    keys = tuple(columns)
    return [Connection(**dict(zip(keys, values, strict=True))) for values in zip(*columns.values(), strict=True)]


def addresses(rows: Rows, side: int) -> list[str]:
    """The addresses of the low (0) or high (1) ends, in presentation form."""
    words: dict[bytes, str] = {}
    result = []
    four = (rows["high" if side else "low"] >> np.uint64(16)).astype(">u4").tobytes()
    six = np.ascontiguousarray(rows["addresses"][:, side]).tobytes()
    for n, version in enumerate(rows["version"].tolist()):
        packed = four[n * 4 : n * 4 + 4] if version == 4 else six[n * 16 : n * 16 + 16]
        word = words.get(packed)
        if word is None:
            word = words[packed] = socket.inet_ntop(socket.AF_INET if version == 4 else socket.AF_INET6, packed)
        result.append(word)
    return result


def _pair(rows: Rows, name: str, client: Ints) -> Block:
    return {
        f"{name}_client": of(rows, name, client).tolist(),
        f"{name}_server": of(rows, name, 1 - client).tolist(),
    }


def _between(first: Ints, second: Ints) -> list[float | None]:
    known = (first != NEVER) & (second != NEVER)
    gaps = np.where(known, second - np.where(known, first, 0), 0) / 1e6
    return [gap if has else None for gap, has in zip(gaps.tolist(), known.tolist(), strict=True)]


def _or_none(values: Ints) -> list[int | None]:
    return [value or None for value in values.tolist()]
