"""Ten thousand prefixes: a whole ``netdiag allowlist`` beside Python's own ``ipaddress`` doing the least of that work.

The peer reads the same files, parses the same prefixes and collapses them (``ipaddress.collapse_addresses``): those
that are needed, those of the rules, those of all tags. It finds out neither what is missing nor what is stale, nor
which rule decides. The rules hold every prefix but some, in another order, and as many others; the file of tags is as
large as Microsoft's for the public cloud.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.run import NETDIAG, timed
from bench.table import Row

#: Prefixes that are needed, and rules; prefixes of other services in the file.
NEEDED, OTHERS = 10_000, 60_000
MISSING = 100
RUNS = 11
#: "Well under a second", as a whole process.
LIMIT_MS = 1000.0

PEER = """
import ipaddress, json, sys
values = json.load(open(sys.argv[1]))["values"]
needed = values[0]["properties"]["addressPrefixes"]
tagged = {text for value in values for text in value["properties"]["addressPrefixes"]}
for texts in (needed, open(sys.argv[2]).read().split(), tagged):
    nets = [ipaddress.ip_network(text) for text in texts]
    for version in (4, 6):
        print(sum(1 for _ in ipaddress.collapse_addresses(net for net in nets if net.version == version)))
"""


def rows() -> Iterator[Row]:
    """The whole command, and the same against a second."""
    with tempfile.TemporaryDirectory(prefix="netdiag-bench-") as folder:
        tags, rules = _files(Path(folder))
        command = [NETDIAG, "allowlist", "--tags", tags, "--rules", rules, "--tag", "DataFactory"]
        ours, peer = [], []
        for _ in range(RUNS):
            peer.append(timed([sys.executable, "-c", PEER, tags, rules]))
            ours.append(timed(command))
    if failed := [run for run in (*ours, *peer) if run.status not in (0, 1) or run.errors]:
        raise SystemExit(f"the comparison failed:\n{failed[0].output[:500]}{failed[0].errors}")
    if f"misses {MISSING} prefixes" not in " ".join(ours[0].output.split()):
        raise SystemExit(f"the comparison gave something else:\n{ours[0].output[:500]}")
    measured = 1000 * statistics.median(run.seconds for run in ours)
    what = f"netdiag allowlist, {NEEDED:,} prefixes against {NEEDED:,} rules"
    yield Row(
        what=what,
        measured=measured,
        peer=1000 * statistics.median(run.seconds for run in peer),
        peer_is="ipaddress.collapse_addresses",
        unit="ms",
        limit=1.0,
    )
    yield Row(what=f"{what}, whole process", measured=measured, peer=LIMIT_MS, peer_is="a second", unit="ms", limit=1.0)


def _files(folder: Path) -> tuple[str, str]:
    chance = random.Random(27)
    needed = [f"{20 + n % 8}.{n >> 8 & 255}.{n & 255}.0/25" for n in range(0, 2 * NEEDED * 4 // 5, 2)]
    needed += [f"2603:{n >> 8:x}:{n & 255:x}::/64" for n in range(0, 2 * NEEDED // 5, 2)]
    others = [f"{52 + n % 8}.{n >> 8 & 255}.{n & 255}.{n % 2 * 128}/26" for n in range(OTHERS)]
    values = [{"name": "DataFactory", "properties": {"region": "", "addressPrefixes": needed}}]
    values += [
        {"name": f"Other{n}", "properties": {"region": "", "addressPrefixes": others[n::100] + others[n::50]}}
        for n in range(100)
    ]
    tags = folder / "tags.json"
    tags.write_text(json.dumps({"changeNumber": 1, "cloud": "Public", "values": values}))
    rules = needed[MISSING:]
    chance.shuffle(rules)
    file = folder / "rules.txt"
    file.write_text("\n".join((*rules, *others[:MISSING])))
    return str(tags), str(file)
