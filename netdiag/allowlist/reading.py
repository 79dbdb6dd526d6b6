"""Files -> text. Contract: bounded; what cannot be used is a ``UsageError`` of one line that names the file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import BinaryIO

from netdiag.model import UsageError

#: The service tags of the public cloud are 4 MB; the rules of a large firewall are less.
MAX_BYTES = 32 * 1024 * 1024
#: A firewall with more rules than this is a wrong file.
MAX_LINES = 400_000

_COMPRESSED = (b"\x1f\x8b", b"PK\x03\x04", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ", b"BZh")


def shown(path: str) -> str:
    """What a file is called in messages."""
    return "stdin" if path == "-" else path


def read_text(path: str) -> str:
    """The text of a file, or of stdin for "-". A pipe will do: shells make one of ``<(iptables-save)``."""
    name = shown(path)
    try:
        if path == "-":
            data = _stdin().read(MAX_BYTES + 1)
        else:
            with Path(path).open("rb") as file:
                data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > MAX_BYTES:
        raise UsageError(f"{name}: larger than {MAX_BYTES // 2**20} MiB, so it holds neither rules nor service tags")
    if not data.strip():
        raise UsageError(f"{name}: it is empty")
    if data.startswith(_COMPRESSED):
        raise UsageError(f"{name}: it is compressed: unpack it first")
    text = _decoded(data)
    if text is None:
        raise UsageError(f"{name}: not a text file")
    if text.count("\n") > MAX_LINES:
        raise UsageError(f"{name}: more than {MAX_LINES:,} lines, so it holds no firewall's rules")
    return text


def _stdin() -> BinaryIO:
    if sys.stdin is None:  # closed by who started the command, or there is no console
        raise ValueError("there is no standard input")
    return sys.stdin.buffer


def _decoded(data: bytes) -> str | None:
    """Notepad and PowerShell write UTF-16; netsh writes the console's code page, of which ASCII matters."""
    try:
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return data.decode("utf-16")
        return None if b"\0" in data else data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None if data[:2] in (b"\xff\xfe", b"\xfe\xff") else data.decode("latin-1")
