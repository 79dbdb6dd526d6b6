"""21 routers, and something wrong on the way: the right culprit wherever the evidence allows, and never a wrong one."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace

import lab_golden
import msgspec
import pytest

from netdiag.model import Report, TraceObservation
from tests import support
from tests.lab.lab_chain import (
    CLIENT,
    NAME,
    ROUTERS,
    SERVER,
    SERVER_V6,
    TOOLS,
    WITHOUT_RIGHTS,
    Chain,
    Setting,
    hop_address,
)
from tests.lab.lab_chain_expect import Scenario
from tests.lab.lab_chain_judging import Found, differences, found, mark
from tests.lab.lab_chain_scenarios import QUIET, SCENARIOS
from tests.lab.lab_chain_wire import received

#: One network wait of netdiag, in seconds: above every delay that a healthy scenario has.
TIMEOUT_S = 2
EVERY = [pytest.param(scenario, id=scenario.name) for scenario in SCENARIOS]


@pytest.fixture(scope="module")
def chain() -> Iterator[Chain]:
    """Client, routers and server; gone at the end, whatever happens."""
    support.require_root()
    support.require_tools(*TOOLS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", support.search_path())
        world = Chain()
        try:
            world.open()
            yield world
        finally:
            world.close()


@pytest.mark.parametrize("scenario", EVERY)
def test_wire(chain: Chain, scenario: Scenario) -> None:
    with chain.applied(scenario.setting):
        assert received(chain, scenario.target) == scenario.wire


#: Those whose observations are kept for the unit tests (--record): one of each kind.
RECORDED = (
    *("reset-hello-hop4-ttl-128-64", "reset-hello-hop21-ttl-64-64", "reset-syn-hop12-ttl-64-128"),
    *("reset-later-hop4-ttl-128-64", "reset-hello-hop4-ttl-128-64-ipv6", "sni-reset-hop4"),
    *("copied-ttl-hello-hop4", "copied-ttl-hello-hop21", "drop-port-hop4", "drop-port-server"),
    *("admin-prohibited-hop4", "server-aborts-at-once", "server-closed-port"),
    *("short-return-server-refuses", "short-way-reset-hop3", "mtu-from-server-hop5", "client-drops", "client-resets"),
)


@pytest.mark.parametrize("scenario", EVERY)
def test_scenario(chain: Chain, scenario: Scenario, recording: bool) -> None:
    with chain.applied(scenario.setting):
        done = chain.netdiag("endpoint", scenario.target, "--format=json", *options(chain))
    report = decoded(done)
    assert differences(scenario.allowed, found(report, done.returncode)) == [], explain(report)
    if recording and scenario.name in RECORDED:
        lab_golden.record_as_found(f"path-{scenario.name}", report, chain.folder)


def test_what_is_recorded_is_there() -> None:
    assert set(RECORDED) <= {scenario.name for scenario in SCENARIOS}


# --- a trace beside traceroute's ------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", [SERVER, SERVER_V6])
@pytest.mark.parametrize("quiet", [(), (1, 5, 6)], ids=["all-answer", "some-are-quiet"])
def test_trace_finds_what_traceroute_finds(chain: Chain, host: str, quiet: tuple[int, ...]) -> None:
    support.require_tools("traceroute")
    with chain.applied(Setting({f"h{hop}": QUIET for hop in quiet})):
        peer = chain.execute("traceroute", "-n", "-T", "-q", "1", "-w", "1", "-p", "443", host)
        report = traced(chain, host)
    found = [line.split()[1] for line in peer.stdout.splitlines()[1:]]
    trace = syn_trace(report)
    assert [hop.addresses[0] if hop.addresses else "*" for hop in trace.hops[:-1]] == found[:-1], peer.stdout
    assert (trace.answer, trace.distance, found[-1]) == ("open", ROUTERS + 1, host)
    assert [hop for hop, address in enumerate(found, 1) if address == "*"] == list(quiet)


def test_trace_names_routers(chain: Chain) -> None:
    names = dict(syn_trace(traced(chain, SERVER, numeric=False)).names)
    assert names == {hop_address(hop): f"router{hop}.isp.test" for hop in range(1, ROUTERS + 1)}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("reset-hello-hop4-ttl-128-64", ("--hello",)),
        ("sni-reset-hop12", ("--hello",)),
        ("sni-reset-hop12", ("--hello", "--sni=www.example.com")),
        ("drop-hello-hop4", ("--hello",)),
        ("reset-syn-hop4-ttl-128-64", ()),
        ("drop-port-hop4", ()),
        ("admin-prohibited-hop4", ()),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_trace_names_the_hop(chain: Chain, name: str, arguments: tuple[str, ...]) -> None:
    scenario = next(s for s in SCENARIOS if s.name == name)
    with chain.applied(scenario.setting):
        done = chain.netdiag("trace", scenario.target, "--format=json", f"--timeout={TIMEOUT_S}", *arguments)
    report = decoded(done)
    got = found(report, done.returncode)
    if "--sni=www.example.com" in arguments:  # the filter lets that one through
        assert (got.finding, done.returncode) == (None, 0), explain(report)
        return
    expected = scenario.allowed[0]
    assert (got.blame, got.hop, got.address, done.returncode) == (
        "path-device",
        expected.hops[0],
        expected.address,
        1,
    ), explain(report)


# --- what can go wrong on this machine ------------------------------------------------------------------------------

#: Traces need no rights, and they decide these.
TRACED = (
    *("reset-hello-hop4-ttl-128-64", "reset-syn-hop12-ttl-64-128", "reset-later-hop4-ttl-128-64", "sni-reset-hop4"),
    *("copied-ttl-hello-hop12", "drop-port-hop4", "drop-hello-hop12", "admin-prohibited-hop4"),
    *("short-way-reset-hop3", "client-prohibits", "healthy-64"),
)
#: Without packets to look at, these cannot be told, or not in full.
UNSEEN = (
    *("reset-hello-hop21-ttl-128-64", "reset-syn-hop21-ttl-64-64", "reset-at-once-hop7", "drop-port-server"),
    *(
        "server-aborts",
        "server-aborts-at-once",
        "server-filter-prohibits",
        "mtu-from-server-hop5",
        "mtu-to-server-hop5",
    ),
    *("client-drops", "client-resets", "server-closed-port", "quiet-everywhere-reset-hop4"),
)


@pytest.mark.parametrize("name", TRACED)
def test_without_rights(chain: Chain, name: str) -> None:
    scenario, report, got = without_rights(chain, name)
    assert differences(scenario.allowed, got) == [], explain(report)


@pytest.mark.parametrize("name", UNSEEN)
def test_without_rights_nobody_is_accused_wrongly(chain: Chain, name: str) -> None:
    scenario, report, got = without_rights(chain, name)
    assert mark(scenario.allowed, got) != "WRONG", explain(report)


def without_rights(chain: Chain, name: str) -> tuple[Scenario, Report, Found]:
    scenario = next(s for s in SCENARIOS if s.name == name)
    with chain.applied(scenario.setting):
        done = chain.netdiag("endpoint", scenario.target, "--format=json", *options(chain), prefix=WITHOUT_RIGHTS)
    report = decoded(done)
    assert done.stderr == ""
    return scenario, report, found(report, done.returncode)


def test_only_ipv6(chain: Chain) -> None:
    reset = next(s for s in SCENARIOS if s.name == "reset-hello-hop4-ttl-128-64-ipv6")
    alone = (("h0", f"addr del {CLIENT}/24 dev h1", f"addr add {CLIENT}/24 dev h1"),)
    with chain.applied(replace(reset.setting, commands=alone)):
        done = chain.netdiag("endpoint", f"[{SERVER_V6}]:443", "--format=json", *options(chain))
    chain.network.ip("h0", f"route replace default via {hop_address(1)}")  # it went with the address
    report = decoded(done)
    assert differences(reset.allowed, found(report, done.returncode)) == [], explain(report)


@pytest.mark.parametrize("command", ["endpoint", "trace"])
@pytest.mark.parametrize("target", [f"{SERVER}:443", f"{NAME}:443"])
def test_no_route(chain: Chain, command: str, target: str) -> None:
    gone = (("h0", "route del default", f"route add default via {hop_address(1)}"),)
    with chain.applied(Setting(commands=gone)):
        done = chain.netdiag(command, target, "--format=json", "--timeout=2")
    report = decoded(done)
    assert (report.verdict.finding, report.verdict.blame, done.returncode) == ("tcp.unreachable", "this-machine", 1)
    assert (report.internal_errors, done.stderr) == ((), "")


@pytest.mark.parametrize("command", ["endpoint", "trace"])
def test_the_interface_vanishes(command: str) -> None:
    """While packets are waited for: the run ends in time, and says something."""
    support.require_root()
    support.require_tools(*TOOLS)
    chain = Chain()
    try:
        chain.open()
        with chain.applied(Setting({"h2": "chain forward { type filter hook forward priority 0; drop; }"})):
            vanishing = threading.Timer(0.7, chain.network.ip, ("h0", "link del h1"))
            vanishing.start()
            done = chain.netdiag(command, f"{SERVER}:443", "--format=json", "--timeout=2", timeout_s=30)
            vanishing.join()
    finally:
        chain.close()
    report = decoded(done)
    assert report.verdict.finding in ("tcp.no-reply", "tcp.unreachable"), explain(report)
    assert (done.returncode, report.internal_errors, done.stderr) == (1, (), "")


@pytest.mark.parametrize("command", [("endpoint",), ("trace",), ("trace", "--hello")], ids=" ".join)
def test_never_hangs(chain: Chain, command: tuple[str, ...]) -> None:
    """No hop and no server ever answers. What hangs is ended, and fails the test."""
    silent = {f"h{hop}": QUIET for hop in range(1, ROUTERS + 1)}
    silent["h4"] += "chain forward { type filter hook forward priority 0; drop; }"
    with chain.applied(Setting(silent)):
        done = chain.netdiag(*command, f"{SERVER}:443", "--format=json", "--timeout=1", timeout_s=30)
    report = decoded(done)
    assert (report.verdict.finding, report.verdict.blame, done.returncode) == ("tcp.no-reply", "unknown", 1)


@pytest.mark.parametrize("command", ["endpoint", "trace"])
def test_a_neighbour_that_nobody_answers_for(chain: Chain, command: str) -> None:
    """Its SYN never leaves, for want of an answer to ARP: that is no filter of this machine's."""
    done = chain.netdiag(command, "10.77.0.99:443", "--format=json", "--timeout=1")
    report = decoded(done)
    # Whether the kernel has given the address up by then is a matter of seconds.
    assert report.verdict.finding == "tcp.no-reply", explain(report)
    assert report.verdict.blame in ("unknown", "local-network")
    assert "its own network" in report.verdict.summary


@pytest.mark.parametrize(
    ("argv", "status", "words"),
    [
        ((f"{SERVER}:0",), 2, "is not a number from 1 to 65535"),
        ((f"{SERVER}:99999",), 2, "is not a number from 1 to 65535"),
        (("",), 2, "names no host"),
        ((SERVER, "--max-ttl=0"), 2, "is not a number from 1 to 255"),
        (("fe80::1",), 1, ""),
        (("nothere.contoso.test",), 1, ""),
    ],
)
def test_bad_targets_of_trace(chain: Chain, argv: tuple[str, ...], status: int, words: str) -> None:
    done = chain.netdiag("trace", *argv, "--timeout=1", timeout_s=30)
    assert done.returncode == status, done.stdout
    assert words in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def traced(chain: Chain, host: str, *, numeric: bool = True) -> Report:
    target = f"[{host}]:443" if ":" in host else f"{host}:443"
    return decoded(chain.netdiag("trace", target, "--format=json", *(["--numeric"] if numeric else [])))


def syn_trace(report: Report) -> TraceObservation:
    return next(o for o in report.observations if isinstance(o, TraceObservation) and o.mode == "syn")


def test_names_are_unique() -> None:
    names = [scenario.name for scenario in SCENARIOS]
    assert len(set(names)) == len(names)


def test_nothing_is_left_behind(chain: Chain) -> None:
    another = Chain()
    try:
        another.open()
        assert another.network.tag in output_of("ip", "netns", "list")
    finally:
        another.close()
    assert another.network.tag not in output_of("ip", "netns", "list")
    assert chain.network.tag in output_of("ip", "netns", "list")
    assert not another.folder.exists()
    assert str(another.folder) not in output_of("ps", "-e", "-o", "args")


def output_of(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def options(chain: Chain) -> tuple[str, ...]:
    return (f"--trust={chain.trust}", f"--timeout={TIMEOUT_S}")


def decoded(done: subprocess.CompletedProcess[str]) -> Report:
    try:
        return msgspec.json.decode(done.stdout, type=Report)
    except msgspec.DecodeError as error:
        pytest.fail(f"exit status {done.returncode}, no report ({error}):\n{done.stderr}")


def explain(report: Report) -> str:
    lines = [report.verdict.summary]
    for finding in report.findings:
        lines.append(f"  {finding.severity} {finding.id} [{finding.blame}, {finding.culprit}] {finding.summary}")
        lines += [f"    {detail}" for detail in finding.details]
    lines += [f"  {o.id}: {o.outcome} {o.failure or ''}" for o in report.observations]
    return "\n".join([*lines, *report.internal_errors])
