"""A file, or standard input -> its bytes in pieces; which encoding its text has.

Contract: raises ``UsageError`` for what cannot be opened, or is no log at all. Bytes that are no valid UTF-8 are read
as Windows-1252, one by one, so that a log of mixed origin loses nothing.
"""

from __future__ import annotations

import codecs
import contextlib
import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from netdiag.irlog.entry import Progress, Tally
from netdiag.model import UsageError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer as Buffer

#: What is read at once; fits a processor's cache.
PIECE = 1 << 18
#: What the kind of file is recognised by.
HEAD = 1 << 16

EVTX_MAGIC = b"ElfFile\x00"
_GZIP_MAGIC = b"\x1f\x8b"
#: Files that are something else, by their first bytes, and who reads them.
_OTHERS: tuple[tuple[bytes, str], ...] = (
    *((magic, "a capture: netdiag pcap reads it") for magic in (b"\xd4\xc3\xb2\xa1", b"\xa1\xb2\xc3\xd4", b"GMBU")),
    (b"\n\r\r\n", "a capture: netdiag pcap reads it"),
    (b"-----BEGIN ", "a certificate or a key: netdiag cert reads it"),
    (b"PK\x03\x04", "an archive: unpack it, and give the files in it"),
    (b"MSCF", "an archive: unpack it, and give the files in it"),
    (b"\xd0\xcf\x11\xe0", "an Office document or an installation package, not a log"),
    (b"MZ", "a program, not a log"),
    (b"%PDF", "a PDF document, not a log"),
)
#: So many zero bytes of every two are UTF-16; so many control characters are no text.
_ZEROES, _CONTROLS = 0.3, 0.1
_TEXT_CONTROLS = frozenset(b"\t\n\r\f\v\x1b\x00\x08\x1a")

FALLBACK = "netdiag-windows-1252"


def _as_windows_1252(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error(FALLBACK, _as_windows_1252)


@dataclass(kw_only=True)
class Source:
    """One input that is being read. ``total`` is its size in bytes where that is known beforehand."""

    name: str
    head: bytes
    file: IO[bytes]
    tally: Tally
    total: int | None = None
    done: int = 0
    progress: Progress | None = None
    cancelled: Callable[[], bool] = field(default=lambda: False)

    @property
    def is_evtx(self) -> bool:
        """Whether it is a Windows event log."""
        return self.head.startswith(EVTX_MAGIC)

    def pieces(self) -> Iterator[bytes]:
        """Everything, in order. Ends early when that is asked for, or when nothing more can be read."""
        piece = self.head
        while piece and not self.cancelled():
            self.done += len(piece)
            self.tell()
            yield piece
            try:
                piece = self.file.read(PIECE)
            except (OSError, EOFError, zlib.error) as error:
                reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
                self.tally.damaged(f"{self.name}: it could not be read to its end: {reason}")
                return

    def buffered(self, limit: int) -> bool:
        """Whether everything is in ``head``, after reading up to ``limit`` bytes of it."""
        parts, size = [self.head], len(self.head)
        while size <= limit:
            part = self.file.read(PIECE)
            if not part:
                break
            parts.append(part)
            size += len(part)
        self.head = b"".join(parts)
        return size <= limit

    def tell(self) -> None:
        """Say how far it is."""
        if self.progress is not None:
            self.progress(self.done, self.total, self.tally.entries)

    def utf8(self) -> Iterator[bytes]:
        """Everything as UTF-8 without a mark at its beginning, as far as it is text at all."""
        encoding, mark = encoding_of(self.head)
        pieces = self.pieces()
        if encoding == "utf-8":
            first = next(pieces, b"")
            yield first[mark:]
            yield from pieces
            return
        decoder = codecs.getincrementaldecoder(encoding)("replace")
        for number, piece in enumerate(pieces):
            yield decoder.decode(piece[mark:] if number == 0 else piece).encode("utf-8", "replace")
        yield decoder.decode(b"", final=True).encode("utf-8", "replace")

    def text(self) -> Iterator[str]:
        """Everything as text."""
        decoder = codecs.getincrementaldecoder("utf-8")(FALLBACK)
        for piece in self.utf8():
            yield decoder.decode(piece)
        yield decoder.decode(b"", final=True)


def decoded(data: bytes) -> str:
    """UTF-8, and Windows-1252 where it is none."""
    return data.decode("utf-8", FALLBACK)


def encoding_of(head: bytes) -> tuple[str, int]:
    """The encoding of what begins like that, and the length of its mark."""
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if head.startswith(mark):
            return encoding, len(mark)
    sample = head[:4096]
    half = max(len(sample) // 2, 1)
    if sample[1::2].count(0) > _ZEROES * half and sample[::2].count(0) < _ZEROES * half / 2:
        return "utf-16-le", 0
    if sample[::2].count(0) > _ZEROES * half and sample[1::2].count(0) < _ZEROES * half / 2:
        return "utf-16-be", 0
    return "utf-8", 0


@contextlib.contextmanager
def open_source(name: str, tally: Tally) -> Iterator[Source]:
    """The file ``name``, "-" for standard input, while it is read. Raises ``UsageError``."""
    shown = "standard input" if name == "-" else name
    with contextlib.ExitStack() as stack:
        try:
            file, total = _opened(name, stack)
            head = _read_head(file)
            if head.startswith(_GZIP_MAGIC):
                packed = stack.enter_context(io.BufferedReader(_Rejoined(head, file)))
                file, total = io.BufferedReader(stack.enter_context(gzip.GzipFile(fileobj=packed, mode="rb"))), None
                head = _read_head(file)
        except (OSError, ValueError, EOFError, zlib.error) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise UsageError(f"{shown}: cannot be read: {reason}") from None
        _refuse(shown, head)
        yield Source(name=shown, head=head, file=file, tally=tally, total=total)


def _opened(name: str, stack: contextlib.ExitStack) -> tuple[IO[bytes], int | None]:
    """The file, and its size where it has one."""
    if name == "-":
        if sys.stdin is None:
            raise ValueError("there is no standard input")
        return sys.stdin.buffer, None
    path = Path(name)
    if path.is_dir():
        raise ValueError("it is a folder")
    file = stack.enter_context(path.open("rb"))
    return file, path.stat().st_size if path.is_file() else None


def _read_head(file: IO[bytes]) -> bytes:
    """A pipe gives what it has: asked again until there is enough, or no more."""
    parts: list[bytes] = []
    size = 0
    while size < HEAD:
        part = file.read(HEAD - size)
        if not part:
            break
        parts.append(part)
        size += len(part)
    return b"".join(parts)


class _Rejoined(io.RawIOBase):
    """A file whose beginning was read already."""

    def __init__(self, head: bytes, file: IO[bytes]) -> None:
        self._head = head
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)
        data = self._head[: len(view)] or self._file.read(len(view))
        self._head = self._head[len(data) :]
        view[: len(data)] = data
        return len(data)


def _refuse(shown: str, head: bytes) -> None:
    """Raise ``UsageError`` for what is no log."""
    if not head.strip(b"\xef\xbb\xbf\xff\xfe \t\r\n\x00"):
        raise UsageError(f"{shown}: it is empty")
    for magic, what in _OTHERS:
        if head.startswith(magic):
            raise UsageError(f"{shown}: this is {what}")
    if head.startswith(EVTX_MAGIC) or encoding_of(head)[0] != "utf-8":
        return
    sample = head[:4096]
    controls = sum(byte < 0x20 and byte not in _TEXT_CONTROLS for byte in sample) + max(sample.count(0) - 8, 0)
    if controls > _CONTROLS * len(sample):
        raise UsageError(f"{shown}: neither text nor a Windows event log")
