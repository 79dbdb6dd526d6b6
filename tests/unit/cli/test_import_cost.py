"""What a command imports. Times depend on the machine; names do not."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"rich", "requests", "numpy", "scapy", "cryptography", "OpenSSL", "dns", "ssl", "asyncio", "http"}


def imported(*argv):
    """The modules that ``netdiag ARGV`` imports, the interpreter's own start included."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "netdiag", *argv], capture_output=True, text=True, check=True
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip() for line in lines}


def ours(modules):
    return {name for name in modules if name.partition(".")[0] == "netdiag"}


def test_version_needs_argparse_only():
    modules = imported("--version")
    assert ours(modules) == {"netdiag", "netdiag.cli"}
    assert {name.partition(".")[0] for name in modules} & (HEAVY | {"msgspec", "dataclasses", "inspect"}) == set()


def test_explain_needs_model_and_rules_only():
    modules = imported("explain", "tls.intercepted")
    units = {name.split(".")[1] for name in ours(modules) if "." in name}
    assert units == {"cli", "model", "rules", "report"}
    assert {name.partition(".")[0] for name in modules} & HEAVY == set()


@pytest.mark.parametrize("command", ["endpoint", "dns", "schema"])
def test_help_probes_nothing_and_needs_no_terminal_library(command):
    modules = imported(command, "--help")
    assert "netdiag.session" not in modules
    assert {name.partition(".")[0] for name in modules} & HEAVY == set()
