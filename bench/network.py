"""What a diagnosis takes beside what the network makes it wait for."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import world
from bench.run import NETDIAG, Usage, timed, watched
from bench.servers import Settings
from bench.table import Row

#: The best of these counts: against a fixed delay, a neighbour on the machine can only add.
RUNS = 3
#: Each server's delay on the critical path: long beside the start of a Python process, short beside our patience.
DELAY_S = 1.0
CRITICAL_PATH_LIMIT = 1.2
#: Many targets: how many, the delay of each answer, how many times the time of one they may take together.
TARGETS = 200
MANY_DELAY_S = 0.1
MANY_LIMIT = 3.0


@dataclass(frozen=True)
class Case:
    """One variant of the critical path, in the namespace."""

    what: str
    addresses: tuple[str, ...] = (world.SERVER,)
    name_servers: tuple[str, ...] = (world.NAME_SERVER,)


CASES = (
    Case("one endpoint"),
    Case("... with a dead IPv6 address", addresses=(world.SERVER, world.DEAD_IPV6)),
    Case("... second name server silent", name_servers=(world.NAME_SERVER, world.SILENT_NAME_SERVER)),
    Case("... first name server silent", name_servers=(world.SILENT_NAME_SERVER, world.NAME_SERVER)),
)


def rows() -> Iterator[Row]:
    """The critical path in every variant, then many targets; without a namespace, the first of them on loopback."""
    with tempfile.TemporaryDirectory(prefix="netdiag-bench-") as name:
        folder = Path(name)
        root, certificate = world.make_authority(folder)
        if not world.inside():
            yield _on_loopback(folder, root, certificate)
            return
        world.set_up_namespace()
        for case in CASES:
            yield _critical_path(case, folder, root, certificate)
        yield from _many(folder, root, certificate)


def _critical_path(case: Case, folder: Path, root: Path, certificate: Path) -> Row:
    """The answers of DNS, TLS and HTTP must follow each other: three delays."""
    world.use_name_servers(folder, *case.name_servers)
    settings = _in_namespace(DELAY_S, certificate, case.addresses)
    with world.servers(folder, settings):
        took = _best([NETDIAG, "endpoint", f"one.{world.ZONE}:443", "--trust", str(root), "--format", "json"])
    return Row(what=case.what, measured=took, peer=3 * DELAY_S, peer_is="DNS, TLS, HTTP", limit=CRITICAL_PATH_LIMIT)


def _on_loopback(folder: Path, root: Path, certificate: Path) -> Row:
    port = world.free_port()
    settings = Settings(delay_s=DELAY_S, certificate=str(certificate), listen="127.0.0.1", port=port)
    with world.servers(folder, settings):
        took = _best([NETDIAG, "endpoint", f"localhost:{port}", "--trust", str(root), "--format", "json"])
    return Row(what="one endpoint", measured=took, peer=2 * DELAY_S, peer_is="TLS, HTTP", limit=CRITICAL_PATH_LIMIT)


def _many(folder: Path, root: Path, certificate: Path) -> Iterator[Row]:
    world.use_name_servers(folder, world.NAME_SERVER)
    with world.servers(folder, _in_namespace(MANY_DELAY_S, certificate, (world.SERVER,))):
        one, many = (_endpoints(count, folder, root) for count in (1, TARGETS))
    what = f"{TARGETS} targets"
    yield Row(what=what, measured=many.seconds, peer=one.seconds, peer_is="one target", limit=MANY_LIMIT)
    yield Row(what=f"{what}: peak memory", measured=many.peak_mb, peer=one.peak_mb, peer_is="one target", unit="MB")
    yield Row(what=f"{what}: open files", measured=many.files, peer=max(one.files, 1), peer_is="one target", unit="")


def _endpoints(count: int, folder: Path, root: Path) -> Usage:
    targets = folder / "targets.txt"
    targets.write_text("".join(f"t{number}.{world.ZONE}:443\n" for number in range(count)))
    command = [NETDIAG, "endpoint", f"@{targets}", "--trust", str(root), "--format", "jsonl", "--quiet"]
    return min((_worked(watched(command), count) for _ in range(RUNS)), key=lambda run: run.seconds)


def _in_namespace(delay_s: float, certificate: Path, addresses: tuple[str, ...]) -> Settings:
    return Settings(
        delay_s=delay_s,
        certificate=str(certificate),
        listen=world.SERVER,
        port=443,
        zone=world.ZONE,
        addresses=addresses,
        dns_servers=(world.NAME_SERVER,),
    )


def _best(command: list[str]) -> float:
    return min(_worked(timed(command), 1).seconds for _ in range(RUNS))


def _worked(run: Usage, count: int) -> Usage:
    """A fast wrong answer is no measurement: every target must be usable (warnings are allowed)."""
    try:
        reports = [json.loads(line) for line in run.output.splitlines()] if count > 1 else [json.loads(run.output)]
        states = {report["verdict"]["status"] for report in reports}
    except (ValueError, KeyError, TypeError):
        raise SystemExit(f"netdiag endpoint printed no reports (exit status {run.status}):\n{run.errors}") from None
    if len(reports) != count or not states <= {"healthy", "impaired"}:
        bad = next((r["verdict"] for r in reports if r["verdict"]["status"] not in ("healthy", "impaired")), None)
        raise SystemExit(f"netdiag endpoint reported {len(reports)} of {count} targets, one of them: {bad}")
    return run
