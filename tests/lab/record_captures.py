"""Record captures/: ``python -m tests.lab.record_captures [NAME...]``; without names, everything.

``--expect`` records nothing, and writes what is expected of the captures that are there.

Needs root, the tools of ``lab_capture_world.TOOLS``, tshark, editcap and dumpcap, squid and named, gzip, zstd, xz and
lz4. Beside each capture it writes what is expected of it: the verdict from the tables in ``lab_recordings_*``, the
counts from tshark, so that neither is netdiag's own word.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # where pytest puts it, for the modules that name their neighbours so

from tests.lab import lab_recordings_files, lab_recordings_services, lab_recordings_tcp  # noqa: E402
from tests.lab.lab_capture_world import World  # noqa: E402
from tests.lab.lab_recording import Derived, Expect, Recording, Shot  # noqa: E402

CAPTURES = HERE.parent.parent / "captures"
TABLES = (lab_recordings_tcp.TABLE, lab_recordings_services.TABLE, lab_recordings_files.TABLE)
RECORDINGS: tuple[Recording, ...] = tuple(recording for table in TABLES for recording in table.recordings)
DERIVED = lab_recordings_files.DERIVED
TOOLS = tuple("tshark editcap dumpcap squid named gzip zstd xz lz4 openssl".split())


def record(recording: Recording, folder: Path) -> None:
    """Make the captures of one recording."""
    world = World(recording.topology, tunnel=recording.tunnel, offload=recording.offload)
    try:
        world.open()
        with ExitStack() as stack:
            for shot in recording.shots:
                stack.enter_context(world.capture(path_of(shot, folder), *shot.at, *shot.options, tool=shot.tool))
            recording.act(world)
        root = world.folder / "root.pem"
        if root.exists():
            (folder / "lab-root.pem").write_bytes(root.read_bytes())
    finally:
        world.close()


def derive(derived: Derived, folder: Path) -> None:
    """Make a file of another."""
    source, file = folder / f"{derived.source}.pcap", path_of(derived, folder)
    if derived.convert:
        file.write_bytes(derived.convert(source.read_bytes()))
        return
    command = [word.format(source=source, file=file) for word in derived.command]
    done = subprocess.run(command, capture_output=True, check=True)
    if "{file}" not in derived.command:
        file.write_bytes(done.stdout)


def path_of(item: Shot | Derived, folder: Path) -> Path:
    return folder / f"{item.name}.{item.suffix}"


def write_expectation(item: Shot | Derived, made: str, folder: Path) -> None:
    """The .json beside a capture."""
    file = path_of(item, folder)
    wanted: dict[str, object] = {"file": file.name, "made": made, "asks": item.asks, **verdict_of(item.expect)}
    if isinstance(item, Shot) and item.other:
        wanted |= {"other": item.other, "other_says": item.says}
    unpacked = folder / f"{item.source}.pcap" if isinstance(item, Derived) and item.counts_of_source else file
    (folder / f"{item.name}.json").write_text(
        json.dumps(wanted | counts(unpacked), indent=1, ensure_ascii=False) + "\n"
    )


def verdict_of(expect: Expect) -> dict[str, object]:
    """As the report has it; ``options`` are what the command needs besides the file."""
    verdict = {"status": expect.status, "finding": expect.finding, "blame": expect.blame}
    return {"options": list(expect.options), "verdict": verdict, "findings": sorted(expect.ids)}


def counts(file: Path) -> dict[str, int]:
    """What tshark counts: connections (tcp.stream), and packets with these flags, of the innermost TCP header.

    A TCP header that an ICMP error quotes is no packet. A file that ends early is counted up to its end.
    """
    fields = [word for name in ("tcp.stream", "tcp.flags") for word in ("-e", name)]
    command = ["tshark", "-r", str(file), "-n", "-Y", "tcp && !icmp && !icmpv6", "-T", "fields", *fields]
    done = subprocess.run([*command, "-E", "occurrence=l"], capture_output=True, text=True, check=False)
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    found: Counter[str] = Counter()
    for _, flags in rows:
        bits = int(flags, 16)
        found["syn"] += bits & 0x12 == 0x02
        found["syn_ack"] += bits & 0x12 == 0x12
        found["fin"] += bits & 0x01
        found["rst"] += bool(bits & 0x04)
    kinds = ("syn", "syn_ack", "fin", "rst")
    return {"connections": len({stream for stream, _ in rows}), **{kind: found[kind] for kind in kinds}}


def write_readme(folder: Path) -> None:
    """How each capture was made, from the tables."""
    lines = [
        "# Captures",
        "",
        "Recorded on real kernels in network namespaces by `python -m tests.lab.record_captures`. Beside each stands",
        "a .json: what an administrator would ask, the verdict and the exact findings that `netdiag pcap` must give,",
        "and the counts that tshark gives. Nothing here came from anybody's network. `lab-root.pem` is the lab's root.",
        "",
        "All machines are Linux; the server starts its packets with TTL 128, as Windows does, all others with 64.",
        "Between firewall and server lies a wire with a delay of 10 ms each way.",
        "",
        "| capture | how it was made | captured at |",
        "| --- | --- | --- |",
    ]
    for recording in RECORDINGS:
        for shot in recording.shots:
            where = f"{shot.at[0]}, {'all devices' if shot.at[1] == 'any' else 'towards ' + shot.at[1]}"
            lines.append(f"| {path_of(shot, folder).name} | {recording.made} | {where} |")
    lines += [f"| {path_of(derived, folder).name} | {derived.made} | |" for derived in DERIVED]
    (folder / "README.md").write_text("\n".join(lines) + "\n")


def main(names: list[str], folder: Path = CAPTURES) -> int:
    """Record what is named; a message for each that failed."""
    folder.mkdir(exist_ok=True)
    expect_only = names == ["--expect"]
    names = [] if expect_only else names
    known = {shot.name for recording in RECORDINGS for shot in recording.shots} | {item.name for item in DERIVED}
    if unknown := set(names) - known:
        print(f"no such capture: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    if expect_only:
        for shot, made in [(shot, r.made) for r in RECORDINGS for shot in r.shots]:
            write_expectation(shot, made, folder)
        for item in DERIVED:
            write_expectation(item, item.made, folder)
        write_readme(folder)
        return 0
    recordings = [r for r in RECORDINGS if not names or any(shot.name in names for shot in r.shots)]
    with ThreadPoolExecutor(3) as pool:  # they wait most of the time
        failures = [f for f in pool.map(lambda recording: _tried(recording, folder), recordings) if f]
    for item in DERIVED:
        if not names or item.name in names or item.source in names:
            derive(item, folder)
            write_expectation(item, item.made, folder)
    write_readme(folder)
    print(*failures, sep="\n", file=sys.stderr)
    return 1 if failures else 0


def _tried(recording: Recording, folder: Path) -> str:
    try:
        record(recording, folder)
        for shot in recording.shots:
            write_expectation(shot, recording.made, folder)
    except (OSError, RuntimeError, AssertionError, subprocess.SubprocessError) as error:  # the others go on
        return f"{recording.shots[0].name}: {type(error).__name__}: {error}"
    return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
