"""Bytes -> certificates: PEM with noise around it, DER, several in one file, PKCS#7.

Contract: input is hostile. A block that is no certificate is skipped and counted, never raised. Nothing here opens a
socket or judges.
"""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from netdiag.pki import armour

#: What cryptography raises for certificates that it cannot read.
UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension)

#: Labels of RFC 7468 §5 and §8, and the old name that its §5.1 tells parsers to accept.
_LABELS = ("CERTIFICATE", "X509 CERTIFICATE", "PKCS7")
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


def blocks(data: bytes) -> tuple[bytes, ...]:
    """The DER of every certificate block in PEM text, readable or not; what is no base64 becomes nothing, ``b""``."""
    found = [block for block in armour.blocks(data) if block.label in _LABELS and block.label != "PKCS7"]
    return tuple((armour.decoded(block.body) if block.body is not None else None) or b"" for block in found)


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
    for block in armour.blocks(data):
        if block.label not in _LABELS:
            continue
        der = armour.decoded(block.body) if block.body is not None else None
        if der is None:
            skipped += 1
            continue
        loaded = _load_der(der)
        found += loaded.certificates
        skipped += loaded.skipped
    return Loaded(tuple(found), skipped)


def _load_der(data: bytes) -> Loaded:
    if _SIGNED_DATA in data[:32]:
        from cryptography.hazmat.primitives.serialization import pkcs7  # rarely needed, and slow to load

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
