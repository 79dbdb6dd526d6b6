"""Where arrays lie, so that the kernel has few pages to hand out and to clear."""

from __future__ import annotations

import contextlib
import mmap
import sys
from typing import TypeVar

import numpy as np
import numpy.typing as npt

S = TypeVar("S", bound=np.generic)


def zeros(count: int, kind: np.dtype[S] | type[S]) -> npt.NDArray[S]:
    """An array of several MiB that stays for long: in huge pages, of which the system clears one faster than 512 small.

    The system gives memory only where something is written.
    """
    dtype: np.dtype[S] = np.dtype(kind)
    if sys.platform != "linux":
        return np.zeros(count, dtype)
    memory = mmap.mmap(-1, count * dtype.itemsize, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    with contextlib.suppress(OSError):  # a kernel without them
        memory.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(memory, dtype)


def keep() -> None:
    """Let the C library keep what this thread has freed for the next arrays, which are as large.

    glibc gives large blocks back at once, and the kernel clears every page again when it hands them out. It stops that
    for blocks no larger than one that it has seen come and go, up to 32 MiB (mallopt(3), M_MMAP_THRESHOLD). Elsewhere
    this does nothing: the block is not even touched.
    """
    np.empty((32 << 20) - (64 << 10), np.uint8)
