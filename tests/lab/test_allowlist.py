"""nftables' rules as netdiag reads them, against the kernel that carries them out.

Random rulesets are loaded into a namespace without a network, listed by nft again, and every address of a small
universe is connected to: what the kernel rejects is refused at once, what it lets out waits for an answer in vain.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys

import pytest

from netdiag.allowlist.addresses import parse_address
from tests.rulesets import allowed, read
from tests.support import require_root, require_tools

RULESETS = 40
#: 198.51.100.0/26 (RFC 5737), routed into a dummy interface.
NET, SIZE = "198.51.100.", 64

SCRIPT = """
import errno, json, select, socket, subprocess, sys

for command in ("link set lo up", "link add v0 type veth peer name v1", "link set v1 up", "link set v0 up",
                "addr add 192.0.2.1/24 dev v0", "route add default dev v0"):
    subprocess.run(["ip", *command.split()], check=True)
results = []
for ruleset in json.load(sys.stdin):
    subprocess.run(["nft", "flush", "ruleset"], check=True)
    subprocess.run(["nft", "-f", "-"], input=ruleset, text=True, check=True)
    listed = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
    tried = [socket.socket() for _ in range(64)]
    for number, each in enumerate(tried):
        each.setblocking(False)
        each.connect_ex((f"198.51.100.{number}", 443))
    ended = select.select([], tried, [], 0.05)[1]  # a reset comes before connect() has returned
    refused = {each for each in ended if each.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED}
    results.append((listed, [each not in refused for each in tried]))
    for each in tried:
        each.close()
print(json.dumps(results))
"""


def ruleset(chance: random.Random) -> str:
    """A base chain and two that it may jump into; a set; ports and families that do not matter beside those that do."""

    def prefix() -> str:
        length = chance.randint(0, 5)
        return f"{NET}{chance.randrange(SIZE) >> length << length}/{32 - length}"

    def to() -> str:
        several = ", ".join({f"{NET}{n}" for n in chance.sample(range(SIZE), 3)})
        return chance.choice(
            [f"ip daddr {prefix()}", f"ip daddr != {prefix()}", f"ip daddr {{ {several} }}", "ip daddr @s"]
        )

    def rule(targets: tuple[str, ...]) -> str:
        port = chance.choice(["", "", "tcp dport 443", "tcp dport { 80, 443 }", "tcp dport != 443", "tcp dport 1-1023"])
        state = chance.choice(["", "", "ct state new", "ct state established,related", "counter"])
        verdict = chance.choice(["accept", "accept", "reject with tcp reset", "return", *targets])
        tcp = "meta l4proto tcp" if verdict.startswith("reject") else ""
        return " ".join(part for part in (to(), port, state, tcp, verdict) if part)

    def chain(name: str, head: str, count: int, targets: tuple[str, ...]) -> str:
        rules = "\n".join(rule(targets) for _ in range(count))
        return f"chain {name} {{\n{head}\n{rules}\n}}\n"

    last = chance.choice(["", "meta l4proto tcp reject with tcp reset"])
    members = ", ".join(f"{NET}{16 * n}/29" for n in range(4))
    base = "type filter hook output priority 0; policy accept;\nip daddr 192.0.2.1 accept"  # the resets themselves
    main = chain("out", base, 6, ("jump b", "goto b", "jump c"))
    return (
        f"table inet t {{\nset s {{\ntype ipv4_addr\nflags interval\nelements = {{ {members} }}\n}}\n"
        f"{chain('c', '', 3, ())}{chain('b', '', 4, ('jump c', 'goto c'))}{main[:-2]}{last}\n}}\n}}\n"
    )


def test_the_kernel_does_what_was_read(tmp_path):
    require_root()
    require_tools("unshare", "nft", "ip")
    chance = random.Random(443)
    rulesets = [ruleset(chance) for _ in range(RULESETS)]
    command = ["unshare", "-n", sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, input=json.dumps(rulesets), capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(done.stderr)
    decided = set()
    for given, (listed, outcomes) in zip(rulesets, json.loads(done.stdout), strict=True):
        firewall = read(tmp_path, listed, chain="out")
        assert firewall.unread == ()
        out = allowed(firewall)
        assert [parse_address(f"{NET}{number}") in out for number in range(SIZE)] == outcomes, f"{given}\n{listed}"
        decided |= set(outcomes)
    assert decided == {True, False}
