"""``netdiag pcap``, whole process and full report, beside other tools that read captures; and the memory it takes.

Netdiag and its peer take turns on the same generated file, and the medians are compared: ten times as fast as a peer
is a ratio of at most 0.1. Before a file is measured, its report is checked against what the generator made. Captures
are made by a process of their own, because the peak memory of a child counts from that of its parent (bench.run).
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.run import NETDIAG, Usage, environment, measured
from bench.table import Row

#: A tool that takes longer is stopped, and its time told as "more than".
PATIENCE_S = 600.0
STREAM_PATIENCE_S = 1800.0
#: Two captures, or two forms of one, in turns.
ROUNDS = 7
FAULTLESS_LIMIT = 1.2
FORM_LIMIT = 1.3
MEMORY_MIB, FLOOD_MEMORY_MIB = 200, 600


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Packets of each capture, and of the flood, where each is a connection."""

    small: int = 1_000_000
    large: int = 10_000_000
    stream: int = 100_000_000
    flood: int = 4_000_000
    full: bool = True

    @classmethod
    def scaled(cls, scale: float) -> Sizes:
        small, large, stream, flood = (int(n * scale) for n in (cls.small, cls.large, cls.stream, cls.flood))
        return cls(small=small, large=large, stream=stream, flood=flood, full=scale == 1)


@dataclass(frozen=True)
class Peer:
    """A tool that reads a capture, the file its last argument. Rounds and limit (None: only tell) for two captures."""

    command: tuple[str, ...]
    small: tuple[int, float | None]
    large: tuple[int, float | None]

    @property
    def tool(self) -> str:
        return self.command[0]


CAPINFOS = Peer(("capinfos",), (9, 1.5), (5, 1.5))
PEERS = (
    CAPINFOS,
    # -n: without it, every address is looked up. It lists all connections; -q, the least that it can do, lists none.
    Peer(("tcptrace", "-n"), (9, 1 / 2), (3, 1 / 4)),
    Peer(("tcptrace", "-n", "-q"), (9, None), (1, None)),
    Peer(("tshark", "-q", "-z", "conv,tcp", "-r"), (3, 1 / 10), (3, 1 / 20)),
)


@dataclass(frozen=True)
class Capture:
    """A generated file: the packets asked for, and the connections it has."""

    path: Path
    packets: int
    connections: int


def rows(sizes: Sizes, *, stream: bool) -> Iterator[Row | str]:
    """The small capture in every form, then the large ones; and a line for whatever is left out."""
    if not sizes.full:
        yield "The limits on captures are meant for --scale 1."
    tools = [*(peer.tool for peer in PEERS), "gzip", "editcap"]
    if absent := [tool for tool in tools if not shutil.which(tool)]:
        yield f"Left out: the comparison with {', '.join(absent)} (not installed)."
    peers = [peer for peer in PEERS if peer.tool not in absent]
    with tempfile.TemporaryDirectory(prefix="netdiag-bench-") as name:
        folder = Path(name)
        yield from _small(folder, sizes.small, peers, absent)
        yield from _large(folder, sizes.large, peers)
        flood = _make(folder / "flood.pcap", sizes.flood, "--flood")
        yield _memory(f"{_count(sizes.flood)} SYNs of a flood", _checked(flood), FLOOD_MEMORY_MIB)
        flood.path.unlink()
        if stream:
            yield from _stream(folder, sizes.stream)
        else:
            yield f"Left out: {_count(sizes.stream)} packets through stdin (--stream)."


def _small(folder: Path, packets: int, peers: Sequence[Peer], absent: Sequence[str]) -> Iterator[Row | str]:
    what = f"{_count(packets)} packets"
    capture = _make(folder / "small.pcap", packets)
    _checked(capture)
    for peer in peers:
        yield from _against(peer, what, capture.path, *peer.small)
    faultless = _make(folder / "faultless.pcap", packets, "--faultless")
    _checked(faultless)
    without, with_ = _turns([_netdiag(faultless.path), _netdiag(capture.path)], ROUNDS)
    yield Row(
        what=f"{what} without a fault", measured=without, peer=with_, peer_is="with faults", limit=FAULTLESS_LIMIT
    )
    if "gzip" not in absent:
        yield _gzip(what, capture)
    if "editcap" not in absent:
        yield _pcapng(what, capture)


def _gzip(what: str, capture: Capture) -> Row:
    """The compressed file beside ``gzip -dc`` of it and, after that, the plain file."""
    packed = capture.path.with_suffix(".pcap.gz")
    with packed.open("wb") as out:
        subprocess.run(["gzip", "-c", str(capture.path)], stdout=out, check=True)
    ours, plain, unpacking = _turns([_netdiag(packed), _netdiag(capture.path), ["gzip", "-dc", str(packed)]], ROUNDS)
    peer_is = f"gzip -dc {unpacking:.2g} + the pcap"
    return Row(what=f"{what}, gzip", measured=ours, peer=plain + unpacking, peer_is=peer_is, limit=FORM_LIMIT)


def _pcapng(what: str, capture: Capture) -> Row:
    """The same packets as pcapng beside the pcap, whose time is taken as many times as the pcapng is larger."""
    other = capture.path.with_suffix(".pcapng")
    subprocess.run(["editcap", "-F", "pcapng", str(capture.path), str(other)], check=True, capture_output=True)
    _checked(Capture(other, capture.packets, capture.connections))
    larger = other.stat().st_size / capture.path.stat().st_size
    ours, plain = _turns([_netdiag(other), _netdiag(capture.path)], ROUNDS)
    peer_is = f"the pcap x {larger:.2f} for the size"
    return Row(what=f"{what}, pcapng", measured=ours, peer=plain * larger, peer_is=peer_is, limit=FORM_LIMIT)


def _large(folder: Path, packets: int, peers: Sequence[Peer]) -> Iterator[Row | str]:
    what = f"{_count(packets)} packets"
    capture = _make(folder / "large.pcap", packets)
    yield _memory(what, _checked(capture), MEMORY_MIB)
    for peer in peers:
        yield from _against(peer, what, capture.path, *peer.large)
    capture.path.unlink()


def _stream(folder: Path, packets: int) -> Iterator[Row | str]:
    """Packets generated while netdiag reads them, which no disk has to hold."""
    report = folder / "stream.json"
    command = _generator(packets, "-")
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as generator:
        assert generator.stdout is not None
        with generator.stdout as stdin:  # closed after netdiag has ended, so that the generator does too
            run = measured(_to_json("-", report), stdin=stdin, limit_s=STREAM_PATIENCE_S, family=True)
        _, made = generator.communicate()
    _check(report, run, packets, int(made) if generator.returncode == 0 else -1)
    what = f"{_count(packets)} packets through stdin"
    yield _memory(what, run, MEMORY_MIB)
    yield f"{what} took {run.seconds:.0f} s, with their making."


def _against(peer: Peer, what: str, path: Path, rounds: int, limit: float | None) -> Iterator[Row | str]:
    """Netdiag and the peer in turns. A peer that fails does not end the bench: one may need 6 GiB."""
    ours: list[float] = []
    theirs: list[float] = []
    stopped = False
    for _ in range(rounds):
        ours.append(_run(_netdiag(path)).seconds)
        run = measured([*peer.command, str(path)], limit_s=PATIENCE_S)
        stopped = run.seconds >= PATIENCE_S
        if run.status != 0 and not stopped:
            yield f"Left out: {what} against {peer.tool}, exit status {run.status}: {run.errors.strip()[-200:]}"
            return
        theirs.append(run.seconds)
        if stopped:
            break
    yield Row(
        what=what,
        measured=statistics.median(ours),
        peer=statistics.median(theirs),
        peer_is=" ".join(peer.command).removesuffix(" -r") + (", stopped: more than this" if stopped else ""),
        limit=limit,
    )


def _turns(commands: Sequence[Sequence[str]], rounds: int) -> list[float]:
    """The median time of each command, run in turns."""
    times = [[_run(command).seconds for command in commands] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*times, strict=True)]


def _run(command: Sequence[str]) -> Usage:
    run = measured(command, limit_s=PATIENCE_S)
    if run.status != 0:
        raise SystemExit(f"{' '.join(command)}: exit status {run.status}:\n{run.errors}")
    return run


def _netdiag(path: Path) -> list[str]:
    """What a user runs; findings do not make the exit status 1."""
    return [NETDIAG, "pcap", str(path), "--fail-on", "never"]


def _to_json(file: str, report: Path) -> list[str]:
    return [NETDIAG, "pcap", file, "--fail-on", "never", "--format", "json", "--output", str(report)]


def _checked(capture: Capture) -> Usage:
    """What a report takes; it must tell what the generator made."""
    report = capture.path.with_suffix(".json")
    run = measured(_to_json(str(capture.path), report), limit_s=PATIENCE_S, family=True)
    _check(report, run, capture.packets, capture.connections)
    return run


def _check(report: Path, run: Usage, packets: int, connections: int) -> None:
    """A fast wrong answer is no measurement. The generator makes whole connections, so packets are right to 2 %."""
    if run.status != 0:
        raise SystemExit(f"netdiag pcap: exit status {run.status} after {run.seconds:.0f} s:\n{run.errors}")
    told = json.loads(report.read_text())
    seen = next(one for one in told["observations"] if one["type"] == "capture")
    if seen["connections"] != connections or abs(seen["packets"] - packets) > packets / 50 or seen["damage"]:
        raise SystemExit(f"netdiag pcap misread {packets} packets of {connections} connections: {seen}")
    if told["internal_errors"]:
        raise SystemExit(f"netdiag pcap: {told['internal_errors']}")


def _memory(what: str, run: Usage, allowed: int) -> Row:
    return Row(
        what=f"{what}: peak memory", measured=run.peak_mb, peer=allowed, peer_is="allowed", unit="MiB", limit=1.0
    )


def _make(path: Path, packets: int, *options: str) -> Capture:
    made = subprocess.run(
        _generator(packets, str(path), *options), env=environment(), capture_output=True, text=True, check=True
    )
    return Capture(path, packets, int(made.stderr))


def _generator(packets: int, file: str, *options: str) -> list[str]:
    return [sys.executable, "-m", "bench.traffic", *options, str(packets), file]


def _count(number: int) -> str:
    return f"{number / 1e6:g} M"
