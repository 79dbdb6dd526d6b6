"""The lab's chain of 21 routers: who is blamed in each scenario, and a trace beside traceroute's. Linux only."""

from __future__ import annotations

import json
import queue
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import msgspec

from bench.table import Row, aligned
from netdiag.model import Report
from tests.lab.lab_chain import CLIENT, CLIENT_V6, SERVER, SERVER_V6, WITHOUT_RIGHTS, Chain, Setting
from tests.lab.lab_chain_expect import Scenario
from tests.lab.lab_chain_judging import Found, Mark, found, mark
from tests.lab.lab_chain_scenarios import SCENARIOS
from tests.lab.lab_device import inside

#: The best of these counts: a neighbour on the machine can only add.
RUNS = 5
#: Against ``traceroute -T -q 1`` on a path with the delays of a real one. Without any, traceroute ends before an
#: interpreter has started, and the ratio of the processes says nothing about tracing; that of the tracing alone does.
TRACE_LIMIT = 1.5
#: The delays of a path to another country, at four of its routers: seconds, one way.
_DELAYS = {2: 0.004, 6: 0.008, 11: 0.020, 17: 0.008}
TIMEOUT_S = 2
_CHAINS = 2
#: Made once: two threads that make one at the same time may crash msgspec.
_REPORT = msgspec.json.Decoder(Report)


@dataclass(frozen=True)
class _Path:
    what: str
    host: str
    setting: Setting
    names: str = "numeric"
    limit: float | None = None


_FAR = Setting(devices=tuple(inside(router, (CLIENT, CLIENT_V6), delay_s=delay) for router, delay in _DELAYS.items()))
_PATHS = (
    _Path("trace of 22 hops, no delay", SERVER, Setting()),
    _Path("trace of 22 hops, 80 ms", SERVER, _FAR, limit=TRACE_LIMIT),
    _Path("... IPv6", SERVER_V6, _FAR, limit=TRACE_LIMIT),
    _Path("... with names", SERVER, _FAR, "names", limit=TRACE_LIMIT),
)


def rows() -> Iterator[Row | str]:
    """The traces, then the table of scenarios and its sums."""
    chain = Chain()
    try:
        chain.open()
        for path in _PATHS:
            yield from _traces(chain, path)
    finally:
        chain.close()
    yield from _scenarios()


def _traces(chain: Chain, path: _Path) -> Iterator[Row]:
    with chain.applied(path.setting):
        done = chain.execute(sys.executable, "-m", "bench.traces", path.host, "443", str(RUNS), path.names)
    if done.returncode:
        raise SystemExit(f"{path.what}: {done.stderr or done.stdout}")
    pairs: list[list[dict[str, Any]]] = json.loads(done.stdout)
    ours, theirs = (min(pair[side]["seconds"] for pair in pairs) for side in (0, 1))
    yield Row(what=path.what, measured=ours, peer=theirs, peer_is="traceroute -T -q 1", limit=path.limit)
    alone = min(pair[0]["alone"] for pair in pairs)
    yield Row(
        what="... the tracing alone", measured=alone, peer=theirs, peer_is="traceroute -T -q 1", limit=TRACE_LIMIT
    )
    different = sum(pair[0]["addresses"] != pair[1]["addresses"] for pair in pairs)
    yield Row(
        what="... runs with other addresses", measured=different, peer=len(pairs), peer_is="runs", unit="", limit=0
    )


def _scenarios() -> Iterator[Row | str]:
    free: queue.SimpleQueue[Chain] = queue.SimpleQueue()
    chains = [Chain() for _ in range(_CHAINS)]
    try:
        for chain in chains:
            chain.open()
            free.put(chain)
        with ThreadPoolExecutor(_CHAINS) as pool:
            results = list(pool.map(lambda scenario: _diagnosed(free, scenario), SCENARIOS))
    finally:
        for chain in chains:
            chain.close()
    yield _table(results)
    for what, marks in (("", [r.mark for r in results]), (" without rights", [r.blind for r in results])):
        yield _count(f"scenarios{what} with a wrong accusation", marks, "WRONG", limit=0)
        yield _count(f"scenarios{what} that say less than could be told", marks, "missed", limit=None if what else 0)


def _count(what: str, marks: list[Mark], counted: Mark, limit: float | None) -> Row:
    return Row(what=what, measured=marks.count(counted), peer=len(marks), peer_is="scenarios", unit="", limit=limit)


@dataclass(frozen=True)
class _Result:
    """What was found, how right that is, and how right it is where packets may not be seen."""

    found: Found
    mark: Mark
    blind: Mark


def _diagnosed(free: queue.SimpleQueue[Chain], scenario: Scenario) -> _Result:
    chain = free.get()
    try:
        with chain.applied(scenario.setting):
            seeing, blind = (_report(chain, scenario, prefix) for prefix in ((), WITHOUT_RIGHTS))
    finally:
        free.put(chain)
    return _Result(seeing, mark(scenario.allowed, seeing), mark(scenario.allowed, blind))


def _report(chain: Chain, scenario: Scenario, prefix: tuple[str, ...]) -> Found:
    options = ("--format=json", f"--trust={chain.trust}", f"--timeout={TIMEOUT_S}")
    done = chain.netdiag("endpoint", scenario.target, *options, prefix=prefix)
    try:
        report = _REPORT.decode(done.stdout)
    except msgspec.DecodeError:
        raise SystemExit(f"{scenario.name}: exit status {done.returncode}, no report\n{done.stderr}") from None
    return found(report, done.returncode)


def _table(results: list[_Result]) -> str:
    cells = [("scenario", "what is wrong", "to blame, as found", "finding", "how sure", "", "without rights")]
    cells += [
        (
            scenario.name,
            scenario.culprit,
            result.found.culprit,
            result.found.finding or "-",
            result.found.confidence or "-",
            result.mark,
            result.blind,
        )
        for scenario, result in zip(SCENARIOS, results, strict=True)
    ]
    return "\n".join(["", *aligned(cells), ""])
