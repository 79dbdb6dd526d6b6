"""Real kernels, real servers: break one thing, expect one verdict."""

from __future__ import annotations

import subprocess

import lab_golden
import msgspec
import pytest
from lab_scenarios import SCENARIOS, Expect, Scenario
from lab_world import Lab

from netdiag.model import Report
from tests import support

#: One network wait of netdiag, in seconds: above every delay that a healthy scenario has.
TIMEOUT_S = 2


def _case(scenario: Scenario) -> object:
    return pytest.param(scenario, id=scenario.name)


@pytest.mark.parametrize("scenario", [_case(scenario) for scenario in SCENARIOS])
def test_scenario(lab: Lab, scenario: Scenario, recording: bool) -> None:
    support.require_files(*scenario.needs)
    support.require_modules(*scenario.modules)
    done = lab.run(scenario.setting, argv(lab, scenario))
    report = decoded(done, lab)
    found = outcome(report, done.returncode)
    assert found == wanted(scenario.expect), explain(report)
    if scenario.expect.culprit:
        assert culprit(report) == scenario.expect.culprit, explain(report)
    for identifier, field, value in scenario.seen:
        assert facts(report, identifier, field) == [value], explain(report)
    if recording:
        lab_golden.record(scenario.name, report, scenario.expect, lab.folder)


def test_names_are_unique() -> None:
    names = [scenario.name for scenario in SCENARIOS]
    assert len(set(names)) == len(names)


def test_nothing_is_left_behind(lab: Lab) -> None:
    another = Lab()
    try:
        another.open()
        assert another.network.tag in output_of("ip", "netns", "list")
    finally:
        another.close()
    assert another.network.tag not in output_of("ip", "netns", "list")
    assert lab.network.tag in output_of("ip", "netns", "list")
    assert not another.folder.exists()
    assert str(another.folder) not in output_of("ps", "-e", "-o", "args")


def output_of(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def argv(lab: Lab, scenario: Scenario) -> list[str]:
    return [
        "endpoint",
        scenario.target,
        "--format=json",
        f"--trust={lab.file('root.pem')}",
        f"--timeout={TIMEOUT_S}",
        *(option.replace("{folder}", str(lab.folder)) for option in scenario.options),
    ]


def decoded(done: subprocess.CompletedProcess[bytes], lab: Lab) -> Report:
    try:
        return msgspec.json.decode(done.stdout, type=Report)
    except msgspec.DecodeError as error:
        words = done.stderr.decode(errors="replace")
        pytest.fail(f"exit status {done.returncode}, no report ({error}):\n{words}\n{lab.logs()}")


def outcome(report: Report, exit_status: int) -> dict[str, object]:
    return {
        "status": report.verdict.status,
        "finding": report.verdict.finding,
        "blame": report.verdict.blame,
        "ids": sorted(finding.id for finding in report.findings),
        "exit status": exit_status,
        "internal errors": report.internal_errors,
    }


def wanted(expect: Expect) -> dict[str, object]:
    return {
        "status": expect.status,
        "finding": expect.finding,
        "blame": expect.blame,
        "ids": sorted(expect.ids),
        "exit status": expect.exit_status,
        "internal errors": (),
    }


def facts(report: Report, identifier: str, field: str) -> list[object]:
    """One field of the observations with this id."""
    return [getattr(o, field) for o in report.observations if o.id == identifier]


def culprit(report: Report) -> str:
    """The address of the device that the root cause names."""
    named = report.findings[0].culprit
    return named.address if named else ""


def explain(report: Report) -> str:
    lines = [report.verdict.summary]
    lines += [f"  {f.severity} {f.id} [{f.blame}] {f.summary} <- {', '.join(f.evidence)}" for f in report.findings]
    lines += [f"  {o.id}: {o.outcome} {o.failure or ''}" for o in report.observations]
    return "\n".join([*lines, *report.internal_errors])
