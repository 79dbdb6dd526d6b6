"""CRLs and issuers' certificates of earlier runs, on this machine's disk.

Contract: nothing here raises for the disk: what cannot be read is not there, what cannot be written is not kept. The
caller says how long something may be used; the key is the URL alone, so OCSP answers have no place here. Whoever uses
what was kept verifies its signature again, as if it had just come.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

#: The largest CRL that is retrieved at all.
MAX_ENTRY = 64 * 1024 * 1024
#: All files together: two such CRLs, or thousands of usual ones.
MAX_TOTAL = 128 * 1024 * 1024

#: The first line of a file: what it is, in which version, the moment until which it may be used, the content's digest.
_FIRST_LINE = re.compile(rb"netdiag-cache 1 ([0-9]{1,12}) ([0-9a-f]{64})\n")
_MAX_FIRST_LINE = 128
#: The names that this cache gives: a digest, and that of a file being written. Other files are not touched.
_OWN_NAME = re.compile(r"[0-9a-f]{64}|tmp-[A-Za-z0-9_]+\.part")


def default_folder(environment: Mapping[str, str] | None = None) -> Path | None:
    """The folder that this platform has for caches; None where there is none (no home, say).

    ``environment`` is that of the machine, by default this one's.
    """
    values = os.environ if environment is None else environment
    try:
        if sys.platform == "win32":
            local = values.get("LOCALAPPDATA", "")
            return Path(local) / "netdiag" / "cache" if local else None
        home = Path(values.get("HOME", "")) if environment is not None else Path.home()
    except RuntimeError:  # no HOME, and the user database does not know this user
        return None
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "netdiag" if home.is_absolute() else None
    xdg = Path(values.get("XDG_CACHE_HOME", ""))  # a relative one is to be ignored (XDG Base Directory Specification)
    if xdg.is_absolute():
        return xdg / "netdiag"
    return home / ".cache" / "netdiag" if home.is_absolute() else None


class Cache:
    """The cache in ``folder``, which is made when something is kept. ``Cache(None)`` keeps nothing."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def get(self, url: str, at: float) -> bytes | None:
        """What was kept for ``url`` and may still be used at ``at`` (seconds since the epoch)."""
        if self._folder is None:
            return None
        try:
            with (self._folder / _name(url)).open("rb") as file:
                content = file.read(MAX_ENTRY + _MAX_FIRST_LINE)
        except (OSError, ValueError):  # ValueError: a NUL in the path
            return None
        match = _FIRST_LINE.match(content)
        if match is None or at >= int(match[1]):
            return None
        data = content[match.end() :]
        return data if hashlib.sha256(data).hexdigest().encode() == match[2] else None

    def put(self, url: str, data: bytes, until: float) -> None:
        """Keep ``data`` for use before ``until`` (seconds since the epoch), and make room for it."""
        if self._folder is None or len(data) > MAX_ENTRY or not 0 <= until < 1e12:
            return
        line = f"netdiag-cache 1 {math.floor(until)} {hashlib.sha256(data).hexdigest()}\n"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._write(self._folder / _name(url), line.encode() + data)
            self._make_room()
        except (OSError, ValueError):
            pass

    def _write(self, path: Path, content: bytes) -> None:
        """Put the file there in one step, so that no reader sees half of it. mkstemp makes it private (mode 0600)."""
        handle, name = tempfile.mkstemp(prefix="tmp-", suffix=".part", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            temporary.replace(path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise

    def _make_room(self) -> None:
        """Remove the oldest files beyond the total."""
        assert self._folder is not None
        found = []
        for path in self._folder.iterdir():
            if _OWN_NAME.fullmatch(path.name):
                with contextlib.suppress(OSError):
                    status = path.stat()
                    found.append((status.st_mtime, status.st_size, path))
        total = 0
        for _, size, path in sorted(found, reverse=True):
            total += size
            if total > MAX_TOTAL:
                with contextlib.suppress(OSError):
                    path.unlink()


def _name(url: str) -> str:
    return hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()
