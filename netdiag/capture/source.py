"""A capture's bytes: from a file or standard input, decompressed, in order or at random.

Contract: opening raises ``UsageError`` for what cannot be opened. Reading never raises: where the file cannot be read
on, or compressed data are cut or corrupt, it ends, and ``damage`` says why. Everything streams. While nothing comes
through a pipe, ``cancel`` ends the waiting as the end of the file would (not on Windows, which waits on).
"""

from __future__ import annotations

import io
import os
import select
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO

from netdiag.capture.decompression import EndedError, ahead, decompressed, recognised
from netdiag.model import UsageError

#: How much of the (decompressed) file is there for recognising its format.
HEAD = 65_536

#: gzip inside zstd is odd, and deeper nesting is somebody's joke.
_MAX_LAYERS = 3
#: Bytes copied at a time.
_CHUNK = 1_048_576
#: Network Monitor files, which are read at random, end at 4 GiB.
_MAX_SPOOL = 4_294_967_296


#: How often a wait for a silent pipe looks whether it is still wanted.
_PATIENCE_S = 0.1


class _File:
    """The file itself; ``cancel`` is given for what may be silent, and ``cancelled`` once it ended the reading."""

    def __init__(self, file: io.FileIO, cancel: threading.Event | None = None) -> None:
        self.file = file
        self.cancelled = False
        self._cancel = cancel
        self.size = os.fstat(file.fileno()).st_size
        self.consumed = 0
        self.damage = ""

    def read(self, most: int) -> bytes:
        """The next bytes; none at the end."""
        buffer = bytearray(most)
        return bytes(buffer[: self.readinto(memoryview(buffer))])

    def readinto(self, view: memoryview) -> int:
        """Fill ``view`` as far as one call does; 0 at the end."""
        if self._cancel is not None and not self._has_more(self._cancel):
            self.cancelled = True
            return 0
        try:
            count = self.file.readinto(view) or 0
        except OSError as error:
            self.damage = f"the file cannot be read on ({error.strerror})"
            return 0
        self.consumed += count
        return count

    def _has_more(self, cancel: threading.Event) -> bool:
        """Wait until reading does not block; False when ``cancel`` comes first. Signals do not end a read (PEP 475)."""
        if sys.platform == "win32":  # there select is for sockets
            return True
        while not cancel.is_set():
            try:
                if select.select([self.file], [], [], _PATIENCE_S)[0]:
                    return True
            except (OSError, ValueError):  # nothing to wait for, or a number that select does not take
                return True
        return False

    def close(self) -> None:
        """Close the file."""
        self.file.close()


class _Chunks:
    """A stream of chunks, read by any number of bytes."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.chunks = chunks
        self.damage = ""
        self._chunk = memoryview(b"")

    def _next(self) -> bool:
        try:
            self._chunk = memoryview(next(self.chunks))
        except StopIteration:
            return False
        except EndedError as reason:
            self.damage = str(reason)
            return False
        return True

    def read(self, most: int) -> bytes:
        """The next bytes; none at the end."""
        while not self._chunk:
            if not self._next():
                return b""
        found = bytes(self._chunk[:most])
        self._chunk = self._chunk[most:]
        return found

    def readinto(self, view: memoryview) -> int:
        """Fill ``view`` as far as the chunk reaches; 0 at the end."""
        while not self._chunk:
            if not self._next():
                return 0
        count = min(len(view), len(self._chunk))
        view[:count] = self._chunk[:count]
        self._chunk = self._chunk[count:]
        return count

    def close(self) -> None:
        """Stop whatever makes the chunks."""
        close = getattr(self.chunks, "close", None)
        if close:
            close()


class Source:
    """One open file, decompressed. ``compression``: "gzip", "zstd", "xz", "lz4"; nested "gzip in zstd"; or empty.

    ``total``: size of the file itself; None where it has none (a pipe). Use it as a context manager.
    """

    def __init__(self, path: str, *, cancel: threading.Event | None = None) -> None:
        self.path = path
        file = _open(path)
        status = os.fstat(file.fileno())
        self._regular = stat.S_ISREG(status.st_mode)
        self.total = status.st_size if self._regular else None
        self._file = _File(file, None if self._regular else cancel)
        self._layers: list[_File | _Chunks] = [self._file]
        self._head = b""
        self._copy: IO[bytes] | None = None
        names: list[str] = []
        self._peek(HEAD)
        while len(names) < _MAX_LAYERS and (found := recognised(self._head)):
            names.insert(0, found.name)
            below, self._head = _Rest(self._head, self._layers[-1]), b""
            self._layers.append(_Chunks(decompressed(below.read, found)))
            self._peek(HEAD)
        self.compression = " in ".join(names)
        top = self._layers[-1]
        # A pipe might keep the thread waiting when the reader has long had enough.
        if isinstance(top, _Chunks) and self._regular:
            top.chunks = ahead(top.chunks)

    def _peek(self, most: int) -> None:
        while len(self._head) < most and (more := self._layers[-1].read(most - len(self._head))):
            self._head += more

    @property
    def head(self) -> bytes:
        """The first ``HEAD`` bytes, or fewer where the file is shorter. Asked for before the first read."""
        return self._head

    @property
    def consumed(self) -> int:
        """How many bytes of the file itself have been read, for showing progress."""
        return self._file.consumed

    @property
    def cancelled(self) -> bool:
        """Whether reading ended because it was no longer wanted: nothing is wrong with what is missing."""
        return self._file.cancelled

    @property
    def damage(self) -> str:
        """Why reading ended before the end of the data; empty while nothing is wrong."""
        return next((layer.damage for layer in self._layers if layer.damage), "")

    def readinto(self, view: memoryview) -> int:
        """Fill ``view``; fewer bytes than that only at the end."""
        count = min(len(self._head), len(view))
        view[:count] = self._head[:count]
        self._head = self._head[count:]
        top = self._layers[-1]
        while count < len(view) and (more := top.readinto(view[count:])):
            count += more
        return count

    def skip(self, count: int) -> int:
        """Read ``count`` bytes and forget them; how many there were."""
        scrap = memoryview(bytearray(min(count, _CHUNK)))
        left = count
        while left and (got := self.readinto(scrap[:left])):
            left -= got
        return count - left

    def random_access(self) -> RandomAccess:
        """The whole content, readable anywhere. To be asked for before the first read; then read only through it.

        What is compressed or comes through a pipe is copied to a temporary file without a name first.
        """
        if len(self._layers) == 1 and self._regular and self.path != "-":
            return RandomAccess(self._file, self._file.file, self.total or 0)
        return self._spool()

    def _spool(self) -> RandomAccess:
        import tempfile  # loads much, and few captures need it

        view = memoryview(bytearray(_CHUNK))
        size = 0
        spool: IO[bytes] = io.BytesIO()
        try:
            spool = self._copy = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the rest
            while got := self.readinto(view):
                if size + got > _MAX_SPOOL:
                    self._file.damage = f"more than {_MAX_SPOOL >> 30} GiB cannot be read of a format like this"
                    break
                spool.write(view[:got])
                size += got
            spool.flush()
        except OSError as error:
            self._file.damage = f"no room for a temporary copy ({error.strerror})"
        return RandomAccess(self._file, spool, size)

    def close(self) -> None:
        """Close the file, and stop decompressing."""
        for layer in reversed(self._layers):
            layer.close()
        if self._copy:
            self._copy.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class _Rest:
    """What was read of a layer in order to recognise it, and then the rest of it."""

    def __init__(self, head: bytes, layer: _File | _Chunks) -> None:
        self._head = head
        self._layer = layer

    def read(self, most: int) -> bytes:
        """The next bytes; none at the end."""
        if self._head:
            found, self._head = self._head[:most], self._head[most:]
            return found
        return self._layer.read(most)


class RandomAccess:
    """Content of ``size`` bytes, readable anywhere."""

    def __init__(self, owner: _File, file: IO[bytes] | io.FileIO, size: int) -> None:
        self._owner = owner
        self._file = file
        self.size = size

    def read_at(self, offset: int, length: int) -> bytes:
        """``length`` bytes from ``offset``; fewer only where the content ends, or cannot be read."""
        if offset < 0 or length <= 0 or offset >= self.size:
            return b""
        pieces = []
        left = min(length, self.size - offset)
        try:
            self._file.seek(offset)
            while left and (piece := self._file.read(left)):
                pieces.append(piece)
                left -= len(piece)
        except OSError as error:
            self._owner.damage = f"the file cannot be read on ({error.strerror})"
        self._owner.consumed = max(self._owner.consumed, min(offset + length, self._owner.size))
        return b"".join(pieces)


def _open(path: str) -> io.FileIO:
    """The file, unbuffered; ``-`` is standard input."""
    try:
        if path == "-":
            if sys.stdin is None or sys.stdin.isatty():
                raise UsageError("-: standard input is not a capture")
            return io.FileIO(sys.stdin.fileno(), closefd=False)
        return io.FileIO(path)
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise UsageError(f"{path}: is a folder, not a capture") from None
    except PermissionError:  # Windows answers so for a folder too
        if Path(path).is_dir():
            raise UsageError(f"{path}: is a folder, not a capture") from None
        raise UsageError(f"{path}: no permission to read it") from None
    except (OSError, ValueError) as error:  # a name with a zero byte is a ValueError
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"{path!r}: cannot be opened ({reason})") from None
