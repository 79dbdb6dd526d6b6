"""Bytes -> certificates: PEM with noise around it, DER, several in one file, PKCS#7.

Contract: input is hostile. A block that is no certificate is skipped and counted, never raised. Nothing here opens a
socket or judges.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import re
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import pkcs7

#: What cryptography raises for certificates that it cannot read.
UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension)

#: Labels of RFC 7468 §5 and §8, and the old name that its §5.1 tells parsers to accept.
_BLOCK = re.compile(
    rb"-----BEGIN (CERTIFICATE|X509 CERTIFICATE|PKCS7)-----(.*?)-----END \1-----",
    re.DOTALL,
)
#: 06 09 2A 86 48 86 F7 0D 01 07 02: a PKCS#7 signedData, which is how Windows exports a chain (RFC 2315 §14).
_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")

_warnings_lock = threading.RLock()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence what cryptography warns about in other people's certificates (negative serials, odd country codes).

    The warning filters are global, so that threads take turns; keep the work inside short.
    """
    with _warnings_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@dataclass(frozen=True)
class Loaded:
    """What a file held: certificates in order, and how many blocks could not be read as one."""

    certificates: tuple[x509.Certificate, ...]
    skipped: int = 0


def load(data: bytes) -> Loaded:
    """Every certificate in ``data``: PEM anywhere in it, else DER certificates one after the other, else PKCS#7."""
    with quiet():
        if b"-----BEGIN " in data:
            return _load_pem(data)
        return _load_der(data)


def _load_pem(data: bytes) -> Loaded:
    if b"PKCS7-----" not in data:
        with contextlib.suppress(*UNREADABLE):  # the fast way; one bad block makes it fail as a whole
            return Loaded(tuple(x509.load_pem_x509_certificates(data)))
    found: list[x509.Certificate] = []
    skipped = 0
    for match in _BLOCK.finditer(data):
        try:
            der = base64.b64decode(b"".join(match[2].split()), validate=True)
        except binascii.Error:
            skipped += 1
            continue
        block = _load_der(der)
        found += block.certificates
        skipped += block.skipped
    return Loaded(tuple(found), skipped)


def _load_der(data: bytes) -> Loaded:
    if _SIGNED_DATA in data[:32]:
        try:
            return Loaded(tuple(pkcs7.load_der_pkcs7_certificates(data)))
        except UNREADABLE:
            return Loaded((), 1)
    found: list[x509.Certificate] = []
    skipped = 0
    while data:
        size = _sequence_size(data)
        if size is None:
            skipped += 1
            break
        try:
            found.append(x509.load_der_x509_certificate(data[:size]))
        except UNREADABLE:
            skipped += 1
        data = data[size:].lstrip(b"\0\r\n")
    return Loaded(tuple(found), skipped)


def _sequence_size(data: bytes) -> int | None:
    """The octets that the DER SEQUENCE at the start takes, header included (X.690 §8.1.3); None if there is none."""
    if len(data) < 2 or data[0] != 0x30:
        return None
    if data[1] < 0x80:
        size = 2 + data[1]
    else:
        count = data[1] & 0x7F
        if not 1 <= count <= 4:
            return None
        size = 2 + count + int.from_bytes(data[2 : 2 + count], "big")
    return size if size <= len(data) else None
