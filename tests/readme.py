"""README.md: its examples, run for real. ``python -m tests.readme`` (``make readme``) writes their outputs into it.

An example is a fenced block below a mark, ``<!-- output: NAME -->``. Nothing leaves this machine: an example is a scene
of the embedded world, reads ``captures/`` or ``examples/``, or runs in a network namespace without any interface, with
a name server of its own choosing. Examples run in a folder of their own, beside links to these two.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
_BLOCK = re.compile(r"(?P<mark><!-- output: (?P<name>[\w-]+) -->\n)```\w*\n(?P<text>.*?)```\n", re.DOTALL)
#: What a machine without a network has: no interface is up, and a name server is set all the same.
_OFFLINE = """
ip link set lo up && mount --bind "$0/hosts" /etc/hosts && mount --bind "$0/resolv.conf" /etc/resolv.conf && exec "$@"
"""


@dataclass(frozen=True)
class Example:
    """``command`` as it is shown. ``until``: a line that begins so is left out, with all that follow, but the last.

    ``before`` is run first, and not shown.
    """

    command: str
    until: str = ""
    offline: bool = False
    #: Whether the order of the lines is chance.
    unordered: bool = False
    before: str = ""


_TABLE = "jq -r '[.target.host, .verdict.status, .verdict.finding, .verdict.blame] | @tsv'"
_BRIEF = "jq '{verdict, finding: (.findings[0] | {id, severity, blame, remedy, evidence})}'"
_NAT = "captures/nat-reset"
_CUT = "cut -d, -f2-5,11-12,14,18-19 flows.csv"
_QUESTION = "--trust examples/contoso-root.pem --at 2026-12-01"
_SAVED = (
    "netdiag demo healthy --format json > node-a.json; "
    "netdiag demo proxy-inspects-untrusted --format json > node-b.json; "
)
EXAMPLES = {
    "first": Example("netdiag demo sni-filtered", until="Findings"),
    "demo": Example("netdiag demo", until="✓ healthy-truncated-answer"),
    "scene": Example("netdiag demo healthy"),
    "intercepted": Example("netdiag demo proxy-inspects-untrusted", until="Other evidence"),
    "offline": Example("netdiag endpoint wu2.frontend.clouddatahub.net", offline=True),
    "one-rung": Example("netdiag dns wu2.frontend.clouddatahub.net --quiet", offline=True),
    "explain": Example("netdiag explain tls.sni-filtered"),
    "catalogue": Example("netdiag explain", until="proxy"),
    "profile": Example("netdiag endpoint --profile adf:wu2 --set namespace=contoso-relay --list"),
    "many": Example(
        f"netdiag endpoint --profile adf:wu2 --quiet --format jsonl | {_TABLE}", offline=True, unordered=True
    ),
    "json": Example(f"netdiag demo port-refused --format json | {_BRIEF}"),
    "reset": Example("netdiag pcap captures/guide-reset-ttl-61.pcap"),
    "silent": Example("netdiag pcap captures/guide-telnet-888-windows.pcap --quiet"),
    "compared": Example(f"netdiag pcap {_NAT}-client-side.pcap --other {_NAT}-firewall-side.pcap --quiet"),
    "flows": Example(f"netdiag pcap captures/port-reuse.pcap --quiet --flows flows.csv && {_CUT}"),
    "over-time": Example("netdiag pcap captures/loss.pcap --conversation 0 | sed -n '/^  Bytes of/,/data,/p'"),
    "certificate": Example(f"netdiag cert examples/sql01.pem {_QUESTION} --no-fetch"),
    "incident": Example("netdiag report node-a.json node-b.json", before=_SAVED),
    "allowlist": Example(
        "netdiag allowlist --tags examples/service-tags.json --rules examples/firewall.txt --region westus2"
    ),
    "log": Example("netdiag log examples/integration-runtime.log"),
    "node": Example("netdiag demo node-web-server", until="Other evidence"),
    "matrix": Example("netdiag node --from-json examples/nodes/*.jsonl"),
    "bad-input": Example("netdiag endpoint wu2.frontend.clouddatahub.net:70000"),
}


def documented() -> dict[str, str]:
    """The text of each block in README.md."""
    return {match["name"]: match["text"] for match in _BLOCK.finditer(README.read_text(encoding="utf-8"))}


def printed(example: Example) -> str:
    """The command, run now, and what it prints to a terminal of 80 columns."""
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "HOME": tempfile.gettempdir(),
        "LANG": "C.UTF-8",
        "COLUMNS": "80",
        "NO_COLOR": "1",
        "PYTHONPATH": str(ROOT),
    }
    before = example.before.replace("netdiag", f"{sys.executable} -m netdiag")
    command = before + example.command.replace("netdiag", f"{sys.executable} -m netdiag", 1)
    with tempfile.TemporaryDirectory(prefix="netdiag-readme-") as folder:
        argv = ["sh", "-c", command]
        for name in ("captures", "examples"):
            Path(folder, name).symlink_to(ROOT / name)
        if example.offline:
            Path(folder, "hosts").write_text("127.0.0.1 localhost\n::1 localhost\n")
            Path(folder, "resolv.conf").write_text("nameserver 10.20.0.4\n")
            argv = ["unshare", "-rnm", "sh", "-c", _OFFLINE, folder, *argv]
        done = subprocess.run(
            argv,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=60,
            env=environment,
            cwd=folder,
        )
    text = done.stdout.replace(str(ROOT), "…").replace(tempfile.gettempdir(), "…")
    return f"$ {example.command}\n{_cut(text, example.until)}"


def _cut(text: str, until: str) -> str:
    lines = [line.rstrip() for line in text.splitlines()]
    start = next((n for n, line in enumerate(lines) if until and line.startswith(until)), None)
    if start is not None:
        lines = [*lines[:start], "...", lines[-1]]
    return "\n".join(lines) + "\n"


def words(text: str, *, verdict_only: bool = False) -> list[str]:
    """What must not drift, whatever the times and the line breaks: the words, sorted. Numbers differ anyway."""
    if verdict_only:
        text = text.partition("\n\n")[0]
    return sorted(re.findall(r"[^\W\d_]+", text))


def main() -> None:
    """Write every example's output into README.md."""

    def filled(match: re.Match[str]) -> str:
        return f"{match['mark']}```console\n{printed(EXAMPLES[match['name']])}```\n"

    README.write_text(_BLOCK.sub(filled, README.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
