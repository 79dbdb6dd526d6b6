"""A file -> what is in it: certificates, CRLs and keys, recognised by content and not by name.

Contract: reads the named file, nothing else. Certificates are handed on as DER, also those that nobody can parse: to
judge them is the verifier's business. A part that cannot be used is a line in ``problems``; a file without any
certificate is a ``UsageError`` of one line that names it, says what it is, and what to do. No password is kept.
"""

from __future__ import annotations

import stat
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from netdiag.model import UsageError
from netdiag.pki import armour, ber, facts, refusals
from netdiag.pki.distinguished import NameKey
from netdiag.pki.parts import MAX_PARTS, Format, Parts, Password
from netdiag.pki.private import HeldKey, public_half_of

#: The largest bundle in use is below 1 MiB, the largest CRLs are some tens of it.
MAX_FILE_BYTES = 32 * 1024 * 1024
#: Lines about parts that were skipped.
MAX_PROBLEMS = 20


@dataclass(frozen=True, kw_only=True)
class Intake:
    """What a file holds, in its order, each thing once."""

    name: str
    format: Format
    certificates: tuple[bytes, ...] = field(repr=False)
    crls: tuple[bytes, ...] = field(default=(), repr=False)
    keys: tuple[HeldKey, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Roles:
    """The certificates of a file by what they are for: every leaf, the main one first, what is above, and roots."""

    leaves: tuple[bytes, ...] = field(repr=False)
    intermediates: tuple[bytes, ...] = field(default=(), repr=False)
    roots: tuple[bytes, ...] = field(default=(), repr=False)


def read_file(path: str, stdin: BinaryIO | None = None) -> bytes:
    """The bytes of a file, or of ``stdin`` (by default, the process's own) for "-".

    Raises ``UsageError`` for what is no file, or too large.
    """
    name = refusals.shown(path)
    if path == "-":
        if stdin is None and sys.stdin is None:  # closed by who started the command, or there is no console
            raise UsageError("there is no standard input to read")
        return _bounded((stdin or sys.stdin.buffer).read(MAX_FILE_BYTES + 1), "-")
    try:
        found = Path(path)
        status = found.stat()
        if stat.S_ISDIR(status.st_mode):
            raise UsageError(f"{name}: a directory: name the certificate file in it")
        if not stat.S_ISREG(status.st_mode):  # reading might wait for ever
            raise UsageError(f"{name}: a pipe or a device, not a file: pipe its content to netdiag, and name it -")
        if status.st_size > MAX_FILE_BYTES:
            raise UsageError(f"{name}: {_too_large(status.st_size)}")
        with found.open("rb") as stream:
            return _bounded(stream.read(MAX_FILE_BYTES + 1), name)
    except (OSError, ValueError) as error:
        raise UsageError(f"{name}: {getattr(error, 'strerror', None) or error}") from None


def read_intake(data: bytes, name: str, password: Password | None = None) -> Intake:
    """What ``data`` holds; ``name`` is its file's. ``password`` is called at most once, and only if there is need.

    Raises ``UsageError`` with one line when there is no certificate in it, or a password is missing or wrong.
    """
    line = refusals.shown(name)
    if not data:
        raise UsageError(f"{line}: the file is empty")
    _bounded(data, line)
    parts = Parts(line, password)
    text = armour.as_bytes(data)
    if b"-----BEGIN " in text:
        parts.pem(text)
    elif text[0] == ber.SEQUENCE and not refusals.is_text(text):
        parts.format = "der"
        parts.der(text)
    elif bare := armour.bare_base64(text):
        parts.der(bare)
    parts.open_keys()
    if not parts.certificates:
        raise UsageError(f"{line}: {parts.refusal() or refusals.unrecognised(text, line)}")
    return Intake(
        name=line,
        format=parts.format,
        certificates=tuple(parts.certificates)[:MAX_PARTS],
        crls=tuple(parts.crls)[:MAX_PARTS],
        keys=tuple(parts.keys),
        problems=_problems(parts),
    )


def roles(certificates: Sequence[bytes], keys: Sequence[HeldKey] = ()) -> Roles:
    """Tell leaves, intermediates and roots apart, by who names whom as issuer.

    A leaf issued nothing else here, and is no authority; without any, authorities that issued nothing here are leaves.
    The one that a key belongs to comes first, else the first of the file. What cannot be read is a leaf where the file
    begins with it, for it is then what was asked about.
    """
    if not certificates:
        return Roles(leaves=())
    known = {der: facts.read(der) for der in certificates}
    readable = [found for found in known.values() if isinstance(found, facts.Facts)]
    issuers = _issuers(readable)
    ends = [found for found in readable if not _issued(found, issuers)]
    leaves = [found.der for found in ends if not found.is_ca] or [found.der for found in ends]
    if not leaves or isinstance(known[certificates[0]], facts.Unreadable):
        leaves.insert(0, certificates[0])
    held = {key.public_key for key in keys if key.public_key}
    with_key = {found.der for found in readable if held and public_half_of(found) in held}
    leaves.sort(key=lambda der: der not in with_key)
    others = known.keys() - leaves
    roots = {found.der for found in readable if found.der in others and found.self_signed}
    return Roles(
        leaves=tuple(leaves),
        intermediates=tuple(der for der in known if der in others and der not in roots),
        roots=tuple(der for der in known if der in roots),
    )


def _problems(parts: Parts) -> tuple[str, ...]:
    lines = list(parts.problems)
    if len(parts.certificates) > MAX_PARTS:
        lines.append(f"only the first {MAX_PARTS:,} certificates were read")
    more = len(lines) - MAX_PROBLEMS
    return (*lines[:MAX_PROBLEMS], *([f"and {more:,} more like these"] if more > 0 else []))


def _issuers(certificates: Sequence[facts.Facts]) -> dict[NameKey, set[bytes | None]]:
    """The names that somebody here was issued by, with the key identifiers that go with each."""
    found: dict[NameKey, set[bytes | None]] = {}
    for certificate in certificates:
        if not certificate.self_issued:
            found.setdefault(certificate.issuer, set()).add(certificate.authority_key_id)
    return found


def _issued(certificate: facts.Facts, issuers: dict[NameKey, set[bytes | None]]) -> bool:
    """Whether something here names this certificate as its issuer, and no key identifier says otherwise."""
    identifiers = issuers.get(certificate.subject, set())
    own = certificate.subject_key_id
    return bool(identifiers) and (own is None or None in identifiers or own in identifiers)


def _bounded(data: bytes, name: str) -> bytes:
    if len(data) > MAX_FILE_BYTES:
        raise UsageError(f"{name}: {_too_large()}")
    return data


def _too_large(size: int = 0) -> str:
    actual = f" ({size // 2**20:,} MiB)" if size else ""
    return f"larger than {MAX_FILE_BYTES // 2**20} MiB{actual}, which no certificate file is"
