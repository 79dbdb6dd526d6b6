"""Opens a capture of whatever format, recognised by its content and not by its name.

Contract: ``UsageError``, one line that names the file, when nothing can be read; otherwise a ``Reader``, whose batches
end where the file cannot be read on, and whose ``info.damage`` says where and why.
"""

from __future__ import annotations

import codecs
import itertools
import threading
from collections.abc import Callable, Iterator
from types import TracebackType

import msgspec

from netdiag.capture.formats import pcap
from netdiag.capture.packets import Batch, Damage, FileInfo
from netdiag.capture.source import Source
from netdiag.model import UsageError

#: Called now and then with the bytes read of the file, and its size where it has one.
Progress = Callable[[int, int | None], None]

#: What else people take for a capture, by its first bytes. Captures of other tools say how to convert them.
_CONVERT = "convert it with editcap"
_LOOKS_LIKE = {
    b"PK\x03\x04": "a ZIP archive: unpack it first",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive: unpack it first",
    b"Rar!": "a RAR archive: unpack it first",
    b"MSCF": "a Windows cabinet: unpack it first",
    b"BZh": "compressed with bzip2: unpack it first",
    b"\x02\x21\x4c\x18": "compressed with an old lz4: unpack it first",
    b"snoop\0": f"a snoop capture: {_CONVERT}",
    b"TRSNIFF data    \x1a": f"a Sniffer capture: {_CONVERT}",
    b"XCP\0": f"a NetXRay or Sniffer capture: {_CONVERT}",
    b"5VIEW": f"a 5View capture: {_CONVERT}",
    b"iptrace 1.0": f"an AIX iptrace capture: {_CONVERT}",
    b"iptrace 2.0": f"an AIX iptrace capture: {_CONVERT}",
    b"\x7fELF": "a program",
    b"MZ": "a program",
    b"ElfFile\0": "a Windows event log",
    b"SQLite format 3\0": "an SQLite database",
    b"%PDF": "a PDF document",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"-----BEGIN ": "PEM text, such as a certificate",
    b"{\\rtf": "a text document",
}
#: An ERF record's types end at 27; bit 7 says that more headers follow (Endace ERF types reference).
_ERF_TYPES = 27


class Reader:
    """One open capture: its batches, once, and what the file says of itself, complete when they have ended."""

    def __init__(self, source: Source, progress: Progress | None) -> None:
        self.info = FileInfo(path=source.path, format="", compression=source.compression)
        self._source = source
        self._progress = progress
        batches = _batches(source, self.info)
        # What a file's header has wrong is found, and raised, when the first batch is read.
        first = next(batches, None)
        self._batches = itertools.chain(() if first is None else (first,), batches)

    def __iter__(self) -> Iterator[Batch]:
        frame = 0
        for batch in self._batches:
            frame = batch.first_frame + len(batch) - 1
            self._forgive()
            yield batch
            if self._progress:
                self._progress(self._source.consumed, self._source.total)
        if reason := self._source.damage:
            damage = self.info.damage or Damage(frame, self.info.bytes, "")
            self.info.damage = msgspec.structs.replace(damage, reason=reason)
        self._forgive()

    def _forgive(self) -> None:
        """A packet cut off because reading was to end is no damage."""
        if self._source.cancelled:
            self.info.damage = None

    def close(self) -> None:
        """Close the file."""
        self._source.close()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def open_capture(path: str, *, progress: Progress | None = None, cancel: threading.Event | None = None) -> Reader:
    """Open the capture at ``path``, ``-`` for standard input. Use it as a context manager.

    ``cancel`` ends a wait for more of a pipe; of files, whoever asks for batches stops asking.
    """
    source = Source(path, cancel=cancel)
    try:
        return Reader(source, progress)
    except BaseException:
        source.close()
        raise


def _batches(source: Source, info: FileInfo) -> Iterator[Batch]:
    head = source.head
    if pcap.matches(head):
        return pcap.batches(source, info)
    # The others are not small: each is imported when it may be one.
    from netdiag.capture.formats import pcapng

    if pcapng.matches(head):
        return pcapng.batches(source, info)
    from netdiag.capture.formats import etl, netmon

    if netmon.matches(head):
        return netmon.batches(source, info)
    if etl.matches(head):
        return etl.batches(source, info)
    raise UsageError(f"{source.path}: {_what(head, source)}")


def _what(head: bytes, source: Source) -> str:
    """Why this is no capture, as far as its beginning shows."""
    inside = f" inside {source.compression}" if source.compression else ""
    if not head:
        return f"nothing{inside} can be read: {source.damage}" if source.damage else f"is empty{inside}"
    kind = next((kind for magic, kind in _LOOKS_LIKE.items() if head.startswith(magic)), "")
    if not kind and not head.strip(b"\0"):
        kind = "zeros"
    if not kind and _is_text(head):
        kind = "text"
    if not kind and _is_erf(head):
        kind = f"an ERF capture: {_CONVERT}"
    looks = f"; it looks like {kind}" if kind else ""
    return f"is not a capture of a known format{inside}{looks}"


def _is_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):  # UTF-16, as Windows writes it
        return True
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head[:1_024])  # the last character may be cut
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character.isspace() for character in text)


def _is_erf(head: bytes) -> bool:
    """Two ERF records, one after the other: time of 8 bytes, type, flags, and the record's length at 10."""
    size = int.from_bytes(head[10:12], "big")
    following = head[size : size + 16]
    return (
        len(following) == 16
        and size >= 16
        and all(1 <= kind & 0x7F <= _ERF_TYPES for kind in (head[8], following[8]))
        and abs(int.from_bytes(head[4:8], "little") - int.from_bytes(following[4:8], "little")) < 86_400
    )
