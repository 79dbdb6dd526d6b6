"""What tests share: saying what they need from the machine.

A missing need skips the test with its reason; with ``NETDIAG_REQUIRE_ALL=1`` (continuous integration) it fails it.
Every function here may be called in a test, in a fixture, or at the top of a test module.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "netdiag"

#: Where servers live; a user's PATH on Debian has no sbin.
_SERVER_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def missing(reason: str) -> NoReturn:
    """Skip the test because of ``reason``, or fail it where everything is required."""
    if os.environ.get("NETDIAG_REQUIRE_ALL") == "1":
        pytest.fail(f"NETDIAG_REQUIRE_ALL=1, and {reason}", pytrace=False)
    pytest.skip(reason, allow_module_level=True)


def search_path() -> str:
    """PATH and the folders for servers."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), *_SERVER_FOLDERS])


def find_tool(name: str) -> Path | None:
    """The program ``name`` on PATH or in a folder for servers."""
    found = shutil.which(name, path=search_path())
    return Path(found) if found else None


def require_tools(*names: str) -> tuple[Path, ...]:
    """The programs, in the order of ``names``; skip or fail when one is missing."""
    found = {name: find_tool(name) for name in names}
    absent = [name for name, path in found.items() if path is None]
    if absent:
        missing(f"not installed: {', '.join(absent)}")
    return tuple(path for path in found.values() if path is not None)


def require_files(*paths: str | Path) -> tuple[Path, ...]:
    """The files (a helper program outside PATH, say); skip or fail when one does not exist."""
    absent = [str(path) for path in paths if not Path(path).exists()]
    if absent:
        missing(f"not there: {', '.join(absent)}")
    return tuple(Path(path) for path in paths)


def require_modules(*names: str) -> None:
    """Skip or fail unless each Python module can be imported."""
    absent = [name for name in names if importlib.util.find_spec(name) is None]
    if absent:
        missing(f"Python modules not installed: {', '.join(absent)}")


def require_root() -> None:
    """Skip or fail unless this is Linux and we are root."""
    if sys.platform != "linux":
        missing(f"needs Linux, this is {sys.platform}")
    if os.geteuid() != 0:
        missing("needs root")
