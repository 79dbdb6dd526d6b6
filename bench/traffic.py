"""Generated captures that look like an office's traffic: TLS, HTTP, DNS, idle scanners, losses, resets.

``write(path, packets)`` makes about that many packets, cut to 96 bytes as ``tcpdump -s 96`` does, 16 a connection, one
in eight over IPv6, at 20,000 packets a second, in order of time. Deterministic. ``faulty=False`` leaves out all faults.

    python -m bench.traffic [--faultless | --flood] COUNT FILE

writes COUNT packets (of a flood: connections) to FILE, or to stdout for ``-``, and tells stderr how many connections.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import BinaryIO

import numpy as np

SNAPLEN = 96
_RATE = 20_000.0
_CHUNK = 500_000
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16

#: A packet of a kind of connection: seconds since the one before, from the client, flags, payload; or, with
#: ``repeat``, the same bytes as ``repeat`` packets before from the same side.
Step = tuple[float, bool, int, int, int]
#: Columns of packets, by name.
Rows = dict[str, np.ndarray]


def _opening(rtt: float) -> list[Step]:
    return [(0.0, True, SYN, 0, 0), (rtt, False, SYN | ACK, 0, 0), (0.0001, True, ACK, 0, 0)]


def _closing(rtt: float) -> list[Step]:
    return [
        (0.01, True, FIN | ACK, 0, 0),
        (rtt, False, ACK, 0, 0),
        (0.0002, False, FIN | ACK, 0, 0),
        (0.0001, True, ACK, 0, 0),
    ]


def _download(rtt: float, segments: int, *, lost: int = -1) -> list[Step]:
    steps: list[Step] = [(0.001, True, PSH | ACK, 517, 0), (rtt, False, ACK, 0, 0)]
    for n in range(segments):
        steps.append((0.0004, False, ACK, 1448, 0))
        if n == lost:
            steps.append((0.25, False, ACK, 1448, 1))
        if n % 2:
            steps.append((0.00005, True, ACK, 0, 0))
    return steps


def _kinds(faulty: bool) -> list[tuple[float, list[Step]]]:
    """Share of the connections, and their packets."""
    good = [
        (0.60, [*_opening(0.02), *_download(0.02, 3), *_closing(0.02)]),
        (0.20, [*_opening(0.08), *_download(0.08, 6), *_closing(0.08)]),
        (0.05, [*_opening(0.03), *_download(0.03, 40), *_closing(0.03)]),
        (0.05, [*_opening(0.01), (0.01, True, PSH | ACK, 300, 0), (0.02, False, PSH | ACK, 900, 0), *_closing(0.01)]),
    ]
    bad = [
        (0.04, [*_opening(0.02), *_download(0.02, 8, lost=4), *_closing(0.02)]),
        (0.02, [*_opening(0.02), (0.001, True, PSH | ACK, 517, 0), (0.004, False, RST, 0, 0)]),
        (0.02, [(0.0, True, SYN, 0, 0), (0.0005, False, RST | ACK, 0, 0)]),
        (0.02, [(0.0, True, SYN, 0, 0), (1.0, True, SYN, 0, 1), (2.0, True, SYN, 0, 1), (4.0, True, SYN, 0, 1)]),
    ]
    return good + bad if faulty else good


def _columns(steps: list[Step]) -> Rows:
    """One connection's packets with relative sequence and acknowledgement numbers."""
    sent, last = {True: 0, False: 0}, {True: 0, False: 0}
    at, rows = 0.0, []
    for wait, client, flags, payload, repeat in steps:
        at += wait
        seq = last[client] if repeat else sent[client]
        last[client] = seq
        sent[client] = max(sent[client], seq + payload + bool(flags & SYN) + bool(flags & FIN))
        rows.append((at, client, flags, payload, seq, sent[not client] if flags & ACK else 0))
    names = ("at", "client", "flags", "payload", "seq", "ack")
    return {name: np.array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


_RECORD = np.dtype([("s", "<u4"), ("us", "<u4"), ("caplen", "<u4"), ("length", "<u4")])
_ETHERNET = np.dtype([("macs", "u1", 12), ("type", ">u2")])
_IP4 = np.dtype(
    [("v", "u1"), ("tos", "u1"), ("len", ">u2"), ("id", ">u2"), ("frag", ">u2"), ("ttl", "u1"), ("proto", "u1"),
     ("sum", ">u2"), ("src", ">u4"), ("dst", ">u4")]
)  # fmt: skip
_IP6 = np.dtype([("v", ">u4"), ("len", ">u2"), ("next", "u1"), ("hops", "u1"), ("src", ">u4", 4), ("dst", ">u4", 4)])
_TCP = np.dtype(
    [("sport", ">u2"), ("dport", ">u2"), ("seq", ">u4"), ("ack", ">u4"), ("off", "u1"), ("flags", "u1"),
     ("win", ">u2"), ("sum", ">u2"), ("urg", ">u2"), ("options", "u1", 12)]
)  # fmt: skip
#: no-op, no-op, timestamps: what every segment of Linux carries.
_OPTIONS = np.array([1, 1, 8, 10, 0, 1, 2, 3, 0, 0, 0, 7], np.uint8)


def _chunk(packets: int, start: float, first: int, faulty: bool, rng: np.random.Generator) -> tuple[Rows, int]:
    """About that many packets, of connections ``first``..., in no order; and how many connections."""
    kinds = _kinds(faulty)
    shares = np.array([share for share, _ in kinds])
    per = sum(share * len(steps) for share, steps in kinds) / shares.sum()
    count = max(int(packets / per), len(kinds))
    numbers = np.array_split(rng.permutation(count), np.cumsum(shares / shares.sum() * count).astype(int)[:-1])
    begins = start + np.sort(rng.random(count)) * (packets / _RATE)
    isn = rng.integers(0, 2**32, (2, count), dtype=np.uint32)
    parts = []
    for (_, steps), which in zip(kinds, numbers, strict=True):
        template = _columns(steps)
        n, k = len(which), len(steps)
        part = {name: np.tile(column, n) for name, column in template.items()}
        part["number"] = np.repeat(which, k)
        # A round trip is longer for one than for another; a system's timer for an unanswered SYN is not.
        slower = np.ones(n) if all(client for _, client, *_ in steps) else rng.uniform(0.7, 1.5, n)
        part["at"] = part["at"] * np.repeat(slower, k) + np.repeat(begins[which], k)
        parts.append(part)
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    client = joined["client"].astype(bool)
    own = np.where(client, isn[0][joined["number"]], isn[1][joined["number"]])
    other = np.where(client, isn[1][joined["number"]], isn[0][joined["number"]])
    joined["seq"] = (own + joined["seq"]).astype(np.uint32)
    joined["ack"] = np.where(joined["flags"] & ACK, other + joined["ack"], 0).astype(np.uint32)
    joined["number"] = joined["number"] + first
    return joined, count


def _in_order(rows: Rows) -> Rows:
    order = np.argsort(rows["at"], kind="stable")
    return {name: column[order] for name, column in rows.items()}


def _mixed(number: np.ndarray, step: int) -> np.ndarray:
    """Numbers that look random: with an odd ``step``, as many different ones as came in (all of it is invertible)."""
    x = number.astype(np.uint32) * np.uint32(step)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846CA68B)
    return x ^ x >> np.uint32(16)


def _ends(number: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Client, its port, server, its port: 2,048 clients and 4,096 servers, and no two connections have all the same.

    Numbers that count up would please some hash tables and collide in others (one that adds addresses and ports).
    """
    one, other = _mixed(number, 1), _mixed(number, 2_654_435_769)
    client_port, client, half = one & 0x7FFF, one >> 15 & 0x7FF, one >> 26
    server = half << 6 | other & 0x3F
    server_port = np.array([443, 443, 443, 80, 8443, 1433])[(other >> 6) % 6]
    return (
        0x0A000000 + _mixed(client, 3) % 256 * 65_536 + client + 10,
        32_768 + client_port,
        0xC6120000 + _mixed(server, 5) % 16 * 4096 + server,
        server_port,
    )


def _bytes(rows: Rows) -> bytes:
    """The records of a pcap file."""
    number, client = rows["number"].astype(np.int64), rows["client"].astype(bool)
    n = len(number)
    six = number % 8 == 0
    syn = (rows["flags"] & SYN) != 0
    header = np.where(six, 14 + 40 + 32, 14 + 20 + 32)
    length = header + rows["payload"].astype(np.int64)
    caplen = np.minimum(length, SNAPLEN)
    offset = 24 + np.cumsum(caplen + 16) - (caplen + 16) - 24
    out = np.resize(np.random.default_rng(7).integers(0, 256, 65_536, dtype=np.uint8), int((caplen + 16).sum()) + 256)

    def put(where: np.ndarray, values: np.ndarray) -> None:
        size = values.dtype.itemsize
        window = np.ndarray((len(out) - size + 1,), np.dtype(f"V{size}"), out, strides=(1,))
        window[where] = values.view(f"V{size}")

    record = np.zeros(n, _RECORD)
    record["s"], record["us"] = rows["at"].astype(np.int64), (rows["at"] % 1 * 1e6).astype(np.int64)
    record["caplen"], record["length"] = caplen, length
    put(offset, record)
    ether = np.zeros(n, _ETHERNET)
    ether["type"] = np.where(six, 0x86DD, 0x0800)
    put(offset + 16, ether)
    a, client_port, b, server_port = _ends(number)
    ttl = np.where(client, 64, np.where(rows["flags"] & RST, 61, 52))
    v4 = ~six
    ip = np.zeros(int(v4.sum()), _IP4)
    ip["v"], ip["ttl"], ip["proto"], ip["frag"] = 0x45, ttl[v4], 6, 0x4000
    ip["len"], ip["id"] = (length - 14)[v4], np.arange(n)[v4]
    ip["src"], ip["dst"] = np.where(client, a, b)[v4], np.where(client, b, a)[v4]
    put((offset + 30)[v4], ip)
    ip6 = np.zeros(int(six.sum()), _IP6)
    ip6["v"], ip6["next"], ip6["hops"], ip6["len"] = 0x60000000, 6, ttl[six], (length - 54)[six]
    for name, end in (("src", client), ("dst", ~client)):
        ip6[name][:, 0], ip6[name][:, 3] = 0x20010DB8, np.where(end, a, b)[six]
    put((offset + 30)[six], ip6)
    tcp = np.zeros(n, _TCP)
    tcp["sport"] = np.where(client, client_port, server_port)
    tcp["dport"] = np.where(client, server_port, client_port)
    tcp["seq"], tcp["ack"], tcp["flags"], tcp["off"] = rows["seq"], rows["ack"], rows["flags"], 0x80
    tcp["win"] = np.where(syn, 64_240, 501)
    tcp["options"] = _OPTIONS
    put(offset + 30 + np.where(six, 40, 20), tcp)
    return out[:-256].tobytes()


def stream(out: BinaryIO, packets: int, *, faulty: bool = True) -> int:
    """Write a pcap of about that many packets; how many connections it has."""
    rng = np.random.default_rng(2026)
    out.write(np.array([0xA1B2C3D4, 0x00040002, 0, 0, SNAPLEN, 1], "<u4").tobytes())
    connections, at = 0, 1.79e9
    begun: Rows = {}
    for done in range(0, packets, _CHUNK):
        size = min(_CHUNK, packets - done)
        rows, count = _chunk(size, at, connections, faulty, rng)
        connections += count
        at += size / _RATE
        # What lasts longer goes among the packets of the next connections.
        rows = {name: np.concatenate([begun[name], column]) for name, column in rows.items()} if begun else rows
        rows = _in_order(rows)
        now = len(rows["at"]) if done + size == packets else int(np.searchsorted(rows["at"], at))
        begun = {name: column[now:] for name, column in rows.items()}
        out.write(_bytes({name: column[:now] for name, column in rows.items()}))
    return connections


def write(path: Path, packets: int, *, faulty: bool = True) -> int:
    """Write such a file; how many connections it has."""
    with path.open("wb") as out:
        return stream(out, packets, faulty=faulty)


def flood(out: BinaryIO, connections: int) -> None:
    """A SYN flood: one SYN a connection, 100,000 a second, and nothing else."""
    out.write(np.array([0xA1B2C3D4, 0x00040002, 0, 0, SNAPLEN, 1], "<u4").tobytes())
    for first in range(0, connections, _CHUNK):
        n = min(_CHUNK, connections - first)
        number = np.arange(first, first + n)
        rows = {
            "at": 1.79e9 + number / 1e5,
            "client": np.ones(n, bool),
            "flags": np.full(n, SYN),
            "payload": np.zeros(n, np.int64),
            "seq": (number * 2654435761 % 2**32).astype(np.uint32),
            "ack": np.zeros(n, np.uint32),
            "number": number,
        }
        out.write(_bytes(rows))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.traffic", allow_abbrev=False)
    parser.add_argument("--faultless", action="store_true")
    parser.add_argument("--flood", action="store_true")
    parser.add_argument("count", type=int)
    parser.add_argument("file")
    args = parser.parse_args()
    with open(sys.stdout.fileno() if args.file == "-" else args.file, "wb") as out:  # noqa: PTH123 - a descriptor too
        if args.flood:
            flood(out, args.count)
        connections = args.count if args.flood else stream(out, args.count, faulty=not args.faultless)
    print(connections, file=sys.stderr)


if __name__ == "__main__":
    main()
