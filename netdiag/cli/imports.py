"""Libraries that every start loads, without the parts that the command never needs: some 13 ms of each start.

For processes of netdiag's own; a program that uses it as a library imports them as it likes.
"""

from __future__ import annotations

import os
import sys
from types import ModuleType


def load_msgspec() -> None:
    """Import msgspec as where typing_extensions is not installed: from Python 3.11 on it needs nothing of it."""
    absent = "typing_extensions" not in sys.modules
    if absent:
        sys.modules["typing_extensions"] = None  # type: ignore[assignment]  # "cannot be imported" (import system, 5.3.1)
    try:
        import msgspec  # noqa: F401 - only to have it loaded
    finally:
        if absent:
            del sys.modules["typing_extensions"]


def load_numpy() -> None:
    """Import numpy without threads, huge pages, and the documentation of its functions in C."""
    # numpy's linear algebra, which is not used, would start a thread on each processor that spins for a while.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Huge pages for every large array, however short it lives, cost more than they save; see netdiag.capture.memory.
    os.environ.setdefault("NUMPY_MADVISE_HUGEPAGE", "0")
    # A module that holds nothing else; numpy's own documentation replaces its like with a mock in this way.
    documentation = "numpy._core._add_newdocs"
    sys.modules.setdefault(documentation, ModuleType(documentation))
    import numpy  # noqa: F401 - as above
