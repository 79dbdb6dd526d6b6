"""tshark as a second opinion on every connection: of the captures in ``captures/`` and of generated traffic.

Compared, connection by connection: number, ends, packets, SYN, SYN-ACK, FIN, resets, completeness. Retransmissions are
defined otherwise here than in Wireshark (``netdiag/capture/connections.py``): these must equal the slow engine's, and
Wireshark's own figures are told beside them. Not compared is what the definitions except: headers that ICMP errors
quote, which take stream numbers and add to the completeness of the connection that they quote.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from netdiag.capture import engine
from netdiag.capture.options import CaptureOptions
from netdiag.capture.reader import open_capture
from netdiag.model import Connection
from tests import slow_engine
from tests.frames import ACK, FIN, RST, SYN, Frame, write_pcap
from tests.support import ROOT, require_tools
from tests.traffic import seeded

#: What tshark reads by itself; of formats it does not know (ETL, xz) there is no second opinion.
_SUFFIXES = (".pcap", ".pcapng", ".cap", ".pcap.gz", ".pcapng.gz", ".pcap.zst", ".pcapng.zst", ".pcap.lz4")
CAPTURES = sorted(path for path in (ROOT / "captures").rglob("*") if path.name.endswith(_SUFFIXES))

_ANALYSIS = ("retransmission", "fast_retransmission", "spurious_retransmission", "out_of_order", "duplicate_ack")
_FIELDS = (
    *("frame.number", "frame.protocols", "tcp.stream", "tcp.flags", "tcp.completeness"),
    *("ip.src", "ipv6.src", "tcp.srcport", "ip.dst", "ipv6.dst", "tcp.dstport"),
    *(f"tcp.analysis.{name}" for name in _ANALYSIS),
)


@dataclass
class Stream:
    """One tcp.stream of tshark, without what ICMP errors quote of it."""

    number: int
    ends: set[tuple[str, int]] = field(default_factory=set)
    packets: int = 0
    syn: int = 0
    syn_ack: int = 0
    fin: int = 0
    rst: int = 0
    completeness: int | None = None
    analysis: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_ANALYSIS, 0))

    def add(self, flags: int | None) -> None:
        """Count one packet; flags are None where tshark shows none."""
        self.packets += 1
        if flags is not None:
            self.syn += flags & (SYN | ACK) == SYN
            self.syn_ack += flags & (SYN | ACK) == SYN | ACK
            self.fin += bool(flags & FIN)
            self.rst += bool(flags & RST)


def ask_tshark(path: Path, home: Path) -> tuple[list[Stream], set[int]]:
    """Its streams in order of number, and the numbers of those that ICMP errors quote.

    Two passes: then a stream's first line shows the completeness that its last packet left.
    """
    (tshark,) = require_tools("tshark")
    command: list[str | Path] = [tshark, "-n", "-2", "-r", path, "-Y", "tcp", "-T", "fields", "-E", "aggregator=;"]
    command += [word for name in _FIELDS for word in ("-e", name)]
    environment = os.environ | {"WIRESHARK_CONFIG_DIR": str(home), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=300)
    streams: dict[int, Stream] = {}
    quoted: set[int] = set()
    for line in done.stdout.splitlines():
        row = dict(zip(_FIELDS, line.split("\t"), strict=False))
        numbers = [int(number) for number in row["tcp.stream"].split(";") if number]
        if "icmp" in row["frame.protocols"]:
            quoted |= set(numbers)
            continue
        if not numbers:
            continue  # the header was cut before the window
        (number,) = numbers
        stream = streams.setdefault(number, Stream(number))
        stream.add(int(row["tcp.flags"], 16) if row["tcp.flags"] else None)
        stream.ends |= set(_ends(row))
        if stream.completeness is None:
            stream.completeness = int(row["tcp.completeness"])
        for name in _ANALYSIS:
            stream.analysis[name] += bool(row.get(f"tcp.analysis.{name}"))
    return [streams[number] for number in sorted(streams)], quoted


def _ends(row: dict[str, str]) -> Iterator[tuple[str, int]]:
    """Source and destination of a line, where they are not in doubt: without tunnels and source routes."""
    for side in ("src", "dst"):
        addresses = [text for text in (row[f"ip.{side}"], row[f"ipv6.{side}"]) if text]
        if len(addresses) == 1 and ";" not in addresses[0]:
            yield addresses[0], int(row[f"tcp.{side}port"])


def frames_of(path: Path) -> Iterator[Frame]:
    """The packets of a file, one by one, for the slow engine."""
    with open_capture(str(path)) as reader:
        for batch in reader:
            for at in range(len(batch)):
                interface = 0 if batch.interface is None else int(batch.interface[at])
                linktype = reader.info.interfaces[interface].linktype
                yield batch.first_frame + at, int(batch.time_ns[at]), linktype, batch.packet(at), int(batch.length[at])


def compare(path: Path, home: Path) -> None:
    """Fail with every difference."""
    streams, quoted = ask_tshark(path, home)
    with open_capture(str(path)) as reader:
        rows = list(engine.analyze(reader, CaptureOptions()).connections.rows())
    assert [row.number for row in rows] == list(range(len(rows)))
    assert len(rows) == len(streams)
    skipped = quoted - {stream.number for stream in streams}
    if not skipped:
        assert [stream.number for stream in streams] == [row.number for row in rows]
    faults = [
        f"{row.number}: {name} {ours}, tshark {theirs}"
        for row, stream in zip(rows, streams, strict=True)
        for name, ours, theirs in _pairs(row, stream, stream.number in quoted)
        if ours != theirs
    ]
    assert not faults, "\n".join(faults)
    truth, _ = slow_engine.analyze(frames_of(path))
    for row, right, stream in zip(rows, truth, streams, strict=True):
        ours, defined = _repeated(row), _repeated(right)
        assert ours == defined, f"{row.number}: {ours}, by definition {defined}; tshark has {stream.analysis}"


def _pairs(row: Connection, stream: Stream, quoted: bool) -> Iterator[tuple[str, object, object]]:
    """What must be equal, ours and tshark's."""
    yield "packets", row.packets_client + row.packets_server, stream.packets
    yield "syn", row.syn, stream.syn
    yield "syn_ack", row.syn_ack, stream.syn_ack
    yield "fin", row.fin_client + row.fin_server, stream.fin
    yield "rst", row.rst_client + row.rst_server, stream.rst
    theirs = stream.completeness or 0
    yield "completeness", row.completeness, theirs & row.completeness if quoted else theirs
    if stream.ends:
        yield "ends", {(row.client, row.client_port), (row.server, row.server_port)}, stream.ends


def _repeated(row: Connection) -> dict[str, int]:
    names = ("retransmissions", "out_of_order", "duplicate_acks")
    return {f"{name}_{side}": getattr(row, f"{name}_{side}") for name in names for side in ("client", "server")}


def test_there_are_captures() -> None:
    assert len(CAPTURES) >= 25


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.name)
def test_recorded(path: Path, tmp_path: Path) -> None:
    compare(path, tmp_path)


@pytest.mark.parametrize("seed", range(12))
def test_generated(seed: int, tmp_path: Path) -> None:
    compare(write_pcap(tmp_path / f"seed-{seed}.pcap", seeded(seed, 20)), tmp_path)
