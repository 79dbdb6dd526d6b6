"""One scene, diagnosed by the public API, and compared with what it should say."""

from __future__ import annotations

from netdiag.model import Report
from netdiag.session import Options, diagnose_endpoint
from netdiag.world.scenes import Scene
from netdiag.world.world import World

#: For each network wait. Loopback answers in milliseconds, so a second of silence is silence.
TIMEOUT_S = 2.0


def play(scene: Scene) -> Report:
    """Build a world for the scene, diagnose the scene's target there, and take the world down again."""
    with World() as world:
        options = Options(trust=world.trust(scene.setting), timeout_s=TIMEOUT_S, credentials=scene.credentials)
        command = "node" if scene.target.startswith("net.tcp:") else "endpoint"
        return diagnose_endpoint(scene.target, options=options, machine=world.machine(scene.setting), command=command)


def differences(scene: Scene, report: Report) -> tuple[str, ...]:
    """What the report says otherwise than expected, one sentence each; empty when it is right."""
    expect, verdict = scene.expect, report.verdict
    found = frozenset(finding.id for finding in report.findings)
    pairs = (
        ("status", expect.status, verdict.status),
        ("root cause", expect.finding, verdict.finding),
        ("blame", expect.blame, verdict.blame),
    )
    said = [
        f"{what}: expected {wanted or 'none'}, found {got or 'none'}" for what, wanted, got in pairs if wanted != got
    ]
    if missing := sorted(expect.findings - found):
        said.append("missing: " + ", ".join(missing))
    if unexpected := sorted(found - expect.findings):
        said.append("not expected: " + ", ".join(unexpected))
    said += [f"internal error: {error}" for error in report.internal_errors]
    return tuple(said)
