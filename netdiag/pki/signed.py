"""What CRLs and OCSP responses have in common: a body, an algorithm, a signature (RFC 5280 §5.1, RFC 6960 §4.2.1).

Contract: pure. ``read_signed``, ``element`` and ``children`` raise ``ValueError`` for anything but DER with definite
lengths; ``Signed`` raises nothing. Nothing is copied before it is asked for: CRLs have tens of megabytes.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from netdiag.pki import structure
from netdiag.pki.facts import Facts
from netdiag.pki.load import UNREADABLE, quiet
from netdiag.pki.signatures import Parameters, signature_holds

#: Elements of one SEQUENCE that ``children`` lists; TBSCertList has seven fields, and CRLs about four extensions.
MAX_CHILDREN = 64

SEQUENCE = 0x30
BIT_STRING = 0x03

#: TBSCertList (RFC 5280 §5.1) around an algorithm: version 2, no issuer, thisUpdate 2000-01-01 00:00 UTC.
_VERSION_2 = bytes.fromhex("020101")
_NO_NAME = bytes.fromhex("3000")
_MILLENNIUM = b"\x17\x0d000101000000Z"
_NO_SIGNATURE = bytes.fromhex("030100")
_ED25519 = bytes.fromhex("300506032b6570")


class Element(NamedTuple):
    """One DER element: where it starts, where its content starts, where it ends."""

    tag: int
    start: int
    content: int
    end: int


def element(der: bytes, start: int, limit: int) -> Element:
    """The element at ``start``, which must end by ``limit`` (X.690 §8.1). Raises ``ValueError``."""
    if start + 2 > limit:
        raise ValueError("it ends too early")
    size, content = der[start + 1], start + 2
    if size >= 0x80:
        octets = size & 0x7F
        if not 1 <= octets <= 4:
            raise ValueError("a length is indefinite or too large")
        size = int.from_bytes(der[content : content + octets], "big")
        content += octets
    if content + size > limit:
        raise ValueError("it ends too early")
    return Element(der[start], start, content, content + size)


def children(der: bytes, parent: Element) -> list[Element]:
    """The elements inside ``parent``, in order. Raises ``ValueError``, also for more than ``MAX_CHILDREN``."""
    found: list[Element] = []
    start = parent.content
    while start < parent.end:
        if len(found) >= MAX_CHILDREN:
            raise ValueError(f"more than {MAX_CHILDREN} elements where a few belong")
        found.append(element(der, start, parent.end))
        start = found[-1].end
    return found


@dataclass(frozen=True, eq=False)
class Signed:
    """A body and a signature over it. ``algorithm`` is the AlgorithmIdentifier beside the signature, as DER."""

    der: bytes = field(repr=False)
    body: Element
    algorithm: bytes
    #: None where it claims unused bits, which no algorithm makes.
    signature: bytes | None = field(repr=False)
    #: What follows the signature: the certificates of an OCSP response.
    rest: tuple[Element, ...]
    #: SubjectPublicKeyInfo -> whether that key made the signature. Signers are few: whoever asks bounds them.
    _verdicts: dict[bytes, bool] = field(default_factory=dict, repr=False)

    def made_by(self, signer: Facts) -> bool:
        """Whether ``signer``'s key made the signature. An algorithm that cannot be checked counts as no."""
        verdict = self._verdicts.get(signer.public_key)
        if verdict is None:
            verdict = self._verdicts[signer.public_key] = self._holds(signer)
        return verdict

    def _holds(self, signer: Facts) -> bool:
        scheme = scheme_of(self.algorithm)
        if signer.key is None or self.signature is None or scheme is None:
            return False
        body = self.der[self.body.start : self.body.end]
        with quiet():
            return signature_holds(signer.key, self.signature, body, *scheme)


def read_signed(der: bytes, start: int = 0, end: int | None = None) -> Signed:
    """The parts of a signed structure. Raises ``ValueError``."""
    limit = len(der) if end is None else end
    whole = element(der, start, limit)
    if whole.tag != SEQUENCE or whole.end != limit:
        raise ValueError("it is no single SEQUENCE")
    parts = children(der, whole)
    if len(parts) < 3 or [part.tag for part in parts[:3]] != [SEQUENCE, SEQUENCE, BIT_STRING]:
        raise ValueError("it is no body with an algorithm and a signature")
    body, algorithm, bits, *rest = parts
    octets = der[bits.content : bits.end]
    return Signed(
        der=der,
        body=body,
        algorithm=der[algorithm.start : algorithm.end],
        signature=octets[1:] if octets[:1] == b"\0" else None,
        rest=tuple(rest),
    )


@functools.lru_cache(maxsize=256)
def scheme_of(algorithm: bytes) -> tuple[hashes.HashAlgorithm | None, Parameters] | None:
    """Hash and parameters of an AlgorithmIdentifier; None for one that is unknown. The hash is None for Ed25519.

    cryptography reads both for certificates and CRLs, and not for OCSP responses; so a CRL is made around it.
    """
    body = structure.sequence(_VERSION_2 + algorithm + _NO_NAME + _MILLENNIUM)
    try:
        with quiet():
            crl = x509.load_der_x509_crl(structure.sequence(body + algorithm + _NO_SIGNATURE))
            return crl.signature_hash_algorithm, crl.signature_algorithm_parameters
    except UNREADABLE:
        return None


def crl_extension(extension: bytes) -> x509.ExtensionType:
    """The value of one extension of a CRL, read alone. Raises one of ``UNREADABLE`` or ``UnsupportedGeneralNameType``.

    cryptography reads all extensions of a CRL or none; so a CRL is made around this one.
    """
    listed = structure.sequence(extension)
    explicit = b"\xa0" + structure.sequence(listed)[1:]
    body = structure.sequence(_VERSION_2 + _ED25519 + _NO_NAME + _MILLENNIUM + explicit)
    (alone,) = x509.load_der_x509_crl(structure.sequence(body + _ED25519 + _NO_SIGNATURE)).extensions
    value: x509.ExtensionType = alone.value
    return value
