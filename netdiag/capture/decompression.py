"""gzip, zstd, xz and lz4, recognised by magic number and decompressed as a stream.

Contract: content comes in chunks; where it is cut or corrupt, ``EndedError`` comes after what could be decompressed.
Some 20 MiB are made ahead of the reader; a zstd bomb may take 10 times as much.
"""

from __future__ import annotations

import lzma
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

import msgspec

#: Compressed bytes read at a time. Small, since each gzip member that ends copies what is left of them.
_INPUT = 131_072
#: Decompressed bytes asked for at a time: so many at most are lost to a byte that is corrupt.
_PIECE = 131_072
#: Decompressed bytes handed over at a time, and how many such chunks are made while the reader works on others.
_CHUNK = 1_048_576
_AHEAD = 20
#: A zstd block of 4 bytes may stand for 128 KiB, and its decompressor cannot be told to stop: it is fed by morsels.
_MORSEL = 2_048
#: What a decompressor may take for its window: xz -9 needs 65 MiB, zstd --ultra 128 MiB.
_MAX_WINDOW = 134_217_728


class EndedError(Exception):
    """A stream cannot be read on; the message says why."""


class _Decoder(Protocol):
    """What lzma's and lz4's decompressors have in common. One of them reads one xz stream, gzip member or frame."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes | None: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gzip:
    """One gzip member."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        self._failure: zlib.error | None = None

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail and not self._failure

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:  # noqa: ARG002 - it loses nothing: take more
        if self._failure:
            raise self._failure
        before = self._zlib.copy()
        data = self._zlib.unconsumed_tail + data
        try:
            return self._zlib.decompress(data, _CHUNK)
        except zlib.error as failure:
            self._failure = failure
            return _salvage(before, data)


def _salvage(decoder: zlib._Decompress, data: bytes) -> bytes:
    """What comes out before the byte that cannot be decompressed: zlib keeps nothing of a call that fails."""
    found = []
    try:
        for at in range(len(data)):
            found.append(decoder.decompress(data[at : at + 1]))  # noqa: PERF401 - kept when an exception ends it
    except zlib.error:
        pass
    return b"".join(found)


class _Zstd:
    """One zstd frame."""

    def __init__(self) -> None:
        import zstandard

        self._frame = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW).decompressobj()
        self._waiting = b""
        self._at = 0

    @property
    def eof(self) -> bool:
        return self._frame.eof

    @property
    def needs_input(self) -> bool:
        return self._at >= len(self._waiting)

    @property
    def unused_data(self) -> bytes:
        return self._frame.unused_data + self._waiting[self._at :]

    def decompress(self, data: bytes, max_length: int) -> bytes:  # noqa: ARG002 - the morsel is the bound
        if data:
            self._waiting, self._at = data, 0
        morsel = self._waiting[self._at : self._at + _MORSEL]
        self._at += len(morsel)
        return self._frame.decompress(morsel)


def _xz() -> _Decoder:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MAX_WINDOW)


def _lz4() -> _Decoder:
    import lz4.frame  # type: ignore[import-untyped]

    decoder: _Decoder = lz4.frame.LZ4FrameDecompressor()
    return decoder


class Compression(msgspec.Struct, frozen=True):
    """One way to compress: its magic number, and what reads one member of it."""

    name: str
    magic: bytes
    decoder: Callable[[], _Decoder]


_KNOWN = (
    Compression("gzip", b"\x1f\x8b", _Gzip),  # RFC 1952 §2.3.1
    Compression("zstd", b"\x28\xb5\x2f\xfd", _Zstd),  # RFC 8878 §3.1.1
    Compression("xz", b"\xfd7zXZ\x00", _xz),  # tukaani.org/xz/xz-file-format.txt
    Compression("lz4", b"\x04\x22\x4d\x18", _lz4),  # github.com/lz4/lz4, lz4_Frame_format.md
)


def recognised(head: bytes) -> Compression | None:
    """How a file that begins with ``head`` is compressed."""
    return next((known for known in _KNOWN if head.startswith(known.magic)), None)


def decompressed(read: Callable[[int], bytes], compression: Compression) -> Iterator[bytes]:
    """The content, in chunks of about a MiB; ``read`` gives the next so many compressed bytes, or none at the end."""
    return _joined(_members(read, compression))


def ahead(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same chunks, made in a thread while the reader works: decompression runs without the interpreter's lock."""
    from concurrent.futures import ThreadPoolExecutor  # loads much, and few captures are compressed

    pool = ThreadPoolExecutor(1, "netdiag-decompress")
    try:
        coming = deque(pool.submit(next, chunks, None) for _ in range(_AHEAD))
        while (chunk := coming.popleft().result()) is not None:
            coming.append(pool.submit(next, chunks, None))
            yield chunk
    finally:
        pool.shutdown(cancel_futures=True)


def _members(read: Callable[[int], bytes], compression: Compression) -> Iterator[bytes]:
    """The content of every member, one after the other. Zero bytes between and after them are padding."""
    decoder, name = compression.decoder(), compression.name
    data = b""
    begun = False
    while True:
        if decoder.needs_input and not data:
            data = read(_INPUT)
            if not data:
                if begun:
                    raise EndedError(f"the {name} data is cut")
                return
        if not begun:
            data = data.lstrip(b"\0")
            if not data:
                continue
            begun = True
        try:
            content = decoder.decompress(data, _PIECE)
        except Exception as error:  # noqa: BLE001 - four libraries, each with its own
            raise EndedError(f"the {name} data is corrupt ({error})") from None
        data = b""
        if content:
            yield content
        if decoder.eof:
            data = decoder.unused_data or b""
            decoder = compression.decoder()
            begun = False


def _joined(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same content in chunks of much the same size: threads that hand over less often wait less for each other."""
    held: list[bytes] = []
    size = 0
    try:
        for piece in pieces:
            for at in range(0, len(piece), _CHUNK):
                held.append(piece[at : at + _CHUNK])
                size += len(held[-1])
                if size >= _CHUNK:
                    yield b"".join(held)
                    held, size = [], 0
    except EndedError:
        yield b"".join(held)
        raise
    yield b"".join(held)
