"""Pairs of traces, netdiag's and traceroute's, as one process inside the lab's client: ``python -m bench.traces``.

Each process is timed whole. Prints one line of JSON, a list of pairs.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict, dataclass

from bench.run import Usage, timed

#: A line of traceroute: the hop, then its name and address, its address alone, or a star.
_LINE = re.compile(r"^\s*(\d+)\s+(?:\S+ \((?P<named>[^)]+)\)|(?P<plain>\S+))", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Trace:
    """One trace: how long the process took, and the address of each hop from the first on, empty where none answered.

    ``alone`` is what the tracing took, without starting an interpreter and printing a report, where that is known.
    """

    seconds: float
    addresses: tuple[str, ...]
    alone: float | None = None


def traceroute(host: str, port: str, *, numeric: bool) -> Trace:
    command = ["traceroute", *(["-n"] if numeric else []), "-T", "-q", "1", "-p", port, host]
    run = _worked(timed(command), command)
    found = (match["named"] or match["plain"] for match in _LINE.finditer(run.output))
    return Trace(seconds=run.seconds, addresses=tuple("" if each == "*" else each for each in found))


def netdiag(host: str, port: str, *, numeric: bool) -> Trace:
    target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    command = [sys.executable, "-m", "netdiag", "trace", target, *(["--numeric"] if numeric else []), "--format=json"]
    run = _worked(timed(command), command)
    trace = next(o for o in json.loads(run.output)["observations"] if o["type"] == "trace" and o["mode"] == "syn")
    addresses = tuple(_address(hop, trace["address"]) for hop in trace["hops"])
    return Trace(seconds=run.seconds, addresses=addresses, alone=trace["took_s"])


def _address(hop: dict[str, list[dict[str, str]]], target: str) -> str:
    """A router's, or the target's own where it accepted."""
    reply = hop["replies"][0]
    return target if reply["answer"] == "open" else reply.get("address", "")


def _worked(run: Usage, command: list[str]) -> Usage:
    if run.status != 0:
        raise SystemExit(f"{' '.join(command)}: exit status {run.status}\n{run.output}{run.errors}")
    return run


def main(host: str, port: str, runs: str, names: str) -> None:
    numeric = names == "numeric"
    # In turn, so that whatever else the machine does disturbs both.
    pairs = [(netdiag(host, port, numeric=numeric), traceroute(host, port, numeric=numeric)) for _ in range(int(runs))]
    print(json.dumps([[asdict(trace) for trace in pair] for pair in pairs]))


if __name__ == "__main__":
    main(*sys.argv[1:])
