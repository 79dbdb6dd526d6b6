"""The hosts file: which addresses it gives for a name.

Contract: reads one file, never raises for what is in it or for not being able to read it, never judges. The file is
read as its users do (hosts(5), and the comment in Windows' own file): an address, then names, "#" starts a comment.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterator
from pathlib import Path

from netdiag.model import DnsObservation, Failure
from netdiag.probes import failure
from netdiag.probes.machine import Machine
from netdiag.probes.names import MAX_ADDRESSES
from netdiag.probes.net import Step, Stopwatch

#: A file of this size holds some 30 000 entries; beyond it lie block lists, and reading on would cost a visible wait.
MAX_BYTES = 1 << 20
_BOM = b"\xef\xbb\xbf"


def hosts_entries(machine: Machine, name: str, step: Step) -> DnsObservation:
    """What the hosts file says about ``name``: its addresses in the file's order, none when it says nothing.

    A file that does not exist holds no entries. One that cannot be read, or whose first ``MAX_BYTES`` do not have the
    name and that goes on after them, is a failure: then nobody knows what it says.
    """
    watch = Stopwatch()
    failed: Failure | None = None
    addresses: tuple[str, ...] = ()
    try:
        told = machine.hosts_file.stat()
        hosts, whole = _read(machine.hosts_file, told.st_mtime_ns, told.st_size)
        addresses = hosts.get(_canonical(name.encode("utf-8", errors="replace")), ())
        if not whole and not addresses:
            failed = Failure(kind="unknown", step="read", detail=f"only the first {MAX_BYTES} bytes were read")
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL in it
        failed = failure.from_exception(error, "read")
    return DnsObservation(
        **step._asdict(),
        started=watch.started,
        took_s=watch.took_s,
        outcome="failed" if failed else "ok",
        failure=failed,
        asker="hosts-file",
        server=str(machine.hosts_file),
        name=name,
        addresses=addresses,
    )


@functools.lru_cache(maxsize=1)
def _read(path: Path, _modified_ns: int, _size: int) -> tuple[dict[bytes, tuple[str, ...]], bool]:
    """Every name in the file with its addresses, and whether that is all of it. Raises ``OSError``, ``ValueError``.

    Read once for many targets; when it was modified and its size are there to read a changed file again.
    """
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    return addresses_by_name(data[:MAX_BYTES]), len(data) <= MAX_BYTES


def addresses_by_name(data: bytes) -> dict[bytes, tuple[str, ...]]:
    """Every address that a hosts file gives for a name, each once, in the file's order. Never raises."""
    found: dict[bytes, dict[str, None]] = {}
    for address, names in _entries(data):
        for name in names:
            found.setdefault(name, {})[address] = None
    return {name: tuple(addresses)[:MAX_ADDRESSES] for name, addresses in found.items()}


def _entries(data: bytes) -> Iterator[tuple[str, frozenset[bytes]]]:
    """(address, its names in lower case), line by line; lines that are no entry are passed over."""
    for line in data.removeprefix(_BOM).split(b"\n"):
        fields = line.partition(b"#")[0].split()
        if len(fields) < 2:
            continue
        try:
            address = ipaddress.ip_address(fields[0].decode("ascii"))
        except ValueError:  # UnicodeDecodeError is one
            continue
        yield str(address), frozenset(_canonical(field) for field in fields[1:])


def _canonical(name: bytes) -> bytes:
    """Names compare without case and without the root's dot (RFC 4343 §3, RFC 1034 §3.1)."""
    return name.lower().removesuffix(b".")
