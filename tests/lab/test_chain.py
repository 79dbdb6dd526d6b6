"""21 routers, and something wrong on the way: the right culprit wherever the evidence allows, and never a wrong one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import msgspec
import pytest

from netdiag.model import Report
from tests import support
from tests.lab.lab_chain import TOOLS, Chain
from tests.lab.lab_chain_judging import differences, found
from tests.lab.lab_chain_scenarios import SCENARIOS, Scenario
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


@pytest.mark.parametrize("scenario", EVERY)
def test_scenario(chain: Chain, scenario: Scenario) -> None:
    with chain.applied(scenario.setting):
        done = chain.netdiag("endpoint", scenario.target, "--format=json", *options(chain))
    report = decoded(done)
    assert differences(scenario.allowed, found(report, done.returncode)) == [], explain(report)


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
