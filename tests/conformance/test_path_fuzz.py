"""Damaged certificates: nothing raises, and nothing with an altered byte is ever trusted. The seeds are fixed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest
from cryptography import x509

from netdiag.pki.api import verify_certificate
from netdiag.pki.verify import Verification
from tests.conformance.forge import (
    ECDSA_SHA256,
    HOST,
    NOW,
    Entry,
    Made,
    algorithm,
    authority,
    bit_string,
    constraints,
    dns,
    extension,
    leaf,
    revocation_list,
    root,
    sequence,
    sign,
    tlv,
)

PROFILES = ("rfc5280", "webpki", "windows", "clients")
#: Mutants of each kind; some thousand run in a few seconds.
MUTANTS = 250

ROOT = root()
SUB = authority("Intermediate", ROOT, constraints(dns("com"), dns("test")))
LEAF = leaf(SUB)
SUB_LIST = revocation_list(SUB)
FULL_LIST = revocation_list(
    ROOT,
    Entry(1),
    Entry(2, extensions=(extension(x509.CRLReason(x509.ReasonFlags.key_compromise)),)),
    extensions=[extension(x509.IssuingDistributionPoint(None, None, False, True, None, False, False), critical=True)],
)


def verify(
    certificate: bytes,
    pool: Sequence[bytes] = (SUB.der,),
    roots: Sequence[bytes] = (ROOT.der,),
    profile: str = "rfc5280",
    crls: Sequence[bytes] = (),
) -> Verification:
    return verify_certificate(
        certificate, untrusted=pool, trust=roots, hostname=HOST, at=NOW, profile=profile, crls=crls
    )


# --- Bytes -----------------------------------------------------------------------------------------------------------


def flip(der: bytes, chance: random.Random) -> bytes:
    """One bit the other way."""
    position = chance.randrange(len(der))
    return der[:position] + bytes([der[position] ^ 1 << chance.randrange(8)]) + der[position + 1 :]


def overwrite(der: bytes, chance: random.Random) -> bytes:
    """Some bytes replaced by others."""
    position, count = chance.randrange(len(der)), chance.randrange(1, 9)
    return der[:position] + chance.randbytes(count) + der[position + count :]


def truncate(der: bytes, chance: random.Random) -> bytes:
    return der[: chance.randrange(len(der))]


def lengthen(der: bytes, chance: random.Random) -> bytes:
    """Bytes after the end, or in the middle."""
    position = chance.choice((len(der), chance.randrange(len(der))))
    return der[:position] + chance.randbytes(chance.randrange(1, 9)) + der[position:]


def resize(der: bytes, chance: random.Random) -> bytes:
    """Another length in the header of some value."""
    start, _, _ = chance.choice(nodes(der))
    return (
        der[: start + 1]
        + bytes([chance.choice((0, 1, 0x7F, 0x80, 0x81, 0x84, 0xFF, chance.randrange(256)))])
        + der[start + 2 :]
    )


def nodes(der: bytes, start: int = 0, end: int | None = None) -> list[tuple[int, int, int]]:
    """Every value in ``der``, outer before inner: where it starts, where its content does, and where it ends."""
    found: list[tuple[int, int, int]] = []
    end = len(der) if end is None else end
    while start < end:
        content = start + 2
        size = der[start + 1]
        if size & 0x80:
            content += size & 0x7F
            size = int.from_bytes(der[start + 2 : content], "big")
        found.append((start, content, content + size))
        if der[start] & 0x20:
            found += nodes(der, content, content + size)
        start = content + size
    return found


BYTES = (flip, overwrite, truncate, lengthen, resize)


@pytest.mark.parametrize("mutate", BYTES, ids=lambda mutate: mutate.__name__)
def test_altered_certificates_are_not_trusted(mutate: Callable[[bytes, random.Random], bytes]) -> None:
    chance = random.Random(mutate.__name__)
    for index in range(MUTANTS):
        profile = PROFILES[index % len(PROFILES)]
        if (altered := mutate(LEAF.der, chance)) != LEAF.der:
            assert not verify(altered, profile=profile).trusted, altered.hex()
        if (altered := mutate(SUB.der, chance)) != SUB.der:
            assert not verify(LEAF.der, [altered], profile=profile).trusted, altered.hex()
        verify(LEAF.der, roots=[mutate(ROOT.der, chance)], profile=profile)


@pytest.mark.parametrize("mutate", BYTES, ids=lambda mutate: mutate.__name__)
def test_altered_revocation_lists_prove_nothing(mutate: Callable[[bytes, random.Random], bytes]) -> None:
    """Neither that a certificate is good, nor that it is revoked."""
    chance = random.Random(f"lists {mutate.__name__}")
    good = revocation_list(ROOT, Entry(1))
    assert verify(LEAF.der, crls=[good, SUB_LIST]).trusted
    for crl, others in ((good, [SUB_LIST]), (revocation_list(SUB, Entry(LEAF.serial)), [good, SUB_LIST])):
        for _ in range(MUTANTS // 2):
            if (altered := mutate(crl, chance)) != crl:
                assert verify(LEAF.der, crls=[altered, *others]).trusted is (len(others) == 2), altered.hex()


# --- Structure: signed again, as a hostile authority would -----------------------------------------------------------


def graft(der: bytes, chance: random.Random, spare: bytes) -> bytes:
    """One value of the certificate deleted, doubled, retagged, refilled, or replaced by one of another certificate."""
    found = nodes(der)
    start, content, end = chance.choice(found[1:])
    other_start, _, other_end = chance.choice(nodes(spare)[1:])
    return _fitted(
        der,
        found,
        start,
        end,
        chance.choice(
            (
                b"",
                der[start:end] * 2,
                bytes([chance.randrange(256)]) + der[start + 1 : end],
                tlv(der[start], chance.randbytes(chance.randrange(12))),
                tlv(der[start], der[content:end], chance.randbytes(3)),
                tlv(der[start], bytes(70_000)),
                spare[other_start:other_end],
            )
        ),
    )


def _fitted(der: bytes, found: list[tuple[int, int, int]], start: int, end: int, new: bytes) -> bytes:
    """``der`` with ``new`` in the place of a value, and the lengths of all that it stands in corrected."""
    for outer_start, content, outer_end in reversed(found):
        if outer_start < start and end <= outer_end and der[outer_start] & 0x20:
            new = tlv(der[outer_start], der[content:start], new, der[end:outer_end])
            start, end = outer_start, outer_end
    return new


def signed_again(to_be_signed: bytes, issuer: Made) -> bytes:
    proof = sign(issuer.key, to_be_signed, ECDSA_SHA256)
    return sequence(to_be_signed, algorithm(ECDSA_SHA256), bit_string(proof))


def to_be_signed(der: bytes) -> bytes:
    start, _, end = nodes(der)[1]
    return der[start:end]


def test_hostile_structures_do_not_raise() -> None:
    chance = random.Random("structures")
    for index in range(4 * MUTANTS):
        profile = PROFILES[index % len(PROFILES)]
        certificate = signed_again(graft(to_be_signed(LEAF.der), chance, SUB.der), SUB)
        verify(certificate, profile=profile)
        between = signed_again(graft(to_be_signed(SUB.der), chance, LEAF.der), ROOT)
        verify(LEAF.der, [between], profile=profile)
        listed = signed_again(graft(to_be_signed(FULL_LIST), chance, LEAF.der), ROOT)
        verify(LEAF.der, profile=profile, crls=[listed, SUB_LIST])
