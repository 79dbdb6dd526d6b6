"""Files that a run writes, complete or not at all: beside their place, and moved there at the end."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import IO

from netdiag.model import UsageError


class WholeFile:
    """A context that gives a binary file to write. It takes its place at the end; an exception leaves none.

    Entering raises ``UsageError`` when the file cannot be written, and so does leaving; ``name`` stands in messages.
    """

    def __init__(self, path: str) -> None:
        self.name = path
        self._path = Path(path).resolve()
        self._file: IO[bytes] | None = None
        self._temporary: Path | None = None

    def __enter__(self) -> IO[bytes]:
        try:
            self._file = self._open(self._path)
        except (OSError, ValueError) as error:
            raise UsageError(f"{self.name}: cannot be written: {reason(error)}") from None
        return self._file

    def _open(self, path: Path) -> IO[bytes]:
        if path.is_dir():
            raise ValueError("it is a folder")
        if path.exists() and not os.access(path, os.W_OK):  # Windows would refuse to replace it, but only at the end
            raise ValueError("it is read-only")
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):  # a device or a pipe keeps its place
            return path.open("wb")
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        file = self._temporary.open("xb")
        if path.exists():
            with contextlib.suppress(OSError):
                self._temporary.chmod(stat.S_IMODE(path.stat().st_mode))
        return file

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._file is not None
        try:
            self._file.close()
            if kind is None and self._temporary is not None:
                self._temporary.replace(self._path)
        except OSError as problem:
            if kind is None:
                raise self.unwritable(problem) from None
        finally:
            if self._temporary is not None:
                self._temporary.unlink(missing_ok=True)

    def discard(self) -> None:
        """Leave the place as it was."""
        abandoned = InterruptedError()
        self.__exit__(type(abandoned), abandoned, None)

    def unwritable(self, error: OSError) -> UsageError:
        """What to raise for an error while writing."""
        return UsageError(f"{self.name}: cannot be written: {reason(error)}")


def reason(error: Exception) -> str:
    """What is wrong, in the system's words where it has some."""
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)
