"""What a command imports. Times depend on the machine; names do not."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support import ROOT

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


@pytest.mark.parametrize(
    ("capture", "loaded", "left_out"),
    [
        ("loss.pcap", {"tcp", "resets", "capture"}, {"dns", "proxy", "node", "tls", "chain", "https", "key", "log"}),
        ("tls12-expired.pcap", {"tcp", "tls", "tls_certificate", "chain"}, {"proxy", "node", "key", "log", "https"}),
    ],
)
def test_a_capture_loads_the_rules_about_what_it_shows(capture, loaded, left_out):
    program = f"""
import sys
from netdiag.cli import main
main(["pcap", {str(ROOT / "captures" / capture)!r}, "--output", {os.devnull!r}, "--format", "json"])
print(*sys.modules)
"""
    rules = {name.removeprefix("netdiag.rules.") for name in in_a_process(program)}
    assert loaded - rules == set()
    assert left_out & rules == set()


def in_a_process(program):
    """What the program prints on stdout, in an interpreter that has loaded nothing yet."""
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()


def test_what_is_left_out_of_libraries_can_be_imported_afterwards(tmp_path):
    (tmp_path / "typing_extensions.py").write_text("")
    program = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from netdiag.cli.imports import load_msgspec, load_numpy
load_msgspec(), load_numpy()
import msgspec, numpy
print(msgspec.json.decode(b"[1]", type=list[int])[0] + int(numpy.arange(3).sum()))
print("typing_extensions" in sys.modules)
import typing_extensions
print(typing_extensions.__name__)
"""
    assert in_a_process(program) == ["4", "False", "typing_extensions"]


def test_typing_extensions_that_somebody_has_loaded_stays(tmp_path):
    (tmp_path / "typing_extensions.py").write_text("")
    program = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import typing_extensions
from netdiag.cli.imports import load_msgspec
load_msgspec()
print(sys.modules["typing_extensions"] is typing_extensions)
"""
    assert in_a_process(program) == ["True"]


def test_numpy_without_documentation_has_everything_else():
    names = "print(*sorted(dir(numpy)), *sorted(dir(numpy.ndarray)), *sorted(dir(numpy.lib)))"
    loaded = in_a_process(f"from netdiag.cli.imports import load_numpy; load_numpy(); import numpy; {names}")
    assert loaded == in_a_process(f"import numpy; {names}")
