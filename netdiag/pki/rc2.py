"""RC2 in CBC mode (RFC 2268), decryption only: how Windows, Java and OpenSSL before 3.0 hide the certificates of a PFX.

Contract: pure. OpenSSL keeps its RC2 for keys of 128 bits, and these files have 40. It protects nothing, and nothing
here relies on it.
"""

from __future__ import annotations

import struct

#: PITABLE (RFC 2268 §2).
_PI = bytes.fromhex(
    "d978f9c419ddb5ed28e9fd794aa0d89dc67e37832b76538e624c6488448bfba2"
    "179a59f587b34f1361456d8d09817d32bd8f40eb86b77b0bf09521225c6b4e82"
    "54d66593ce60b21c7356c014a78cf1dc1275ca1f3bbee4d1423dd430a33cb626"
    "6fbf0eda4669075727f21d9bbc944303f811c7f690ef3ee706c3d52fc8661ed7"
    "08e8eade8052eef784aa72ac354d6a2a961ad2715a1549744b9fd05e0418a4ec"
    "c2e0416e0f51cbcc2491af50a1f47039997c3a8523b8b47afc02365b25559731"
    "2d5dfa98e38a92ae05df2910676cbac9d300e6cfe19ea82c6316013f58e289a9"
    "0d38341bab33ffb0bb480c5fb9b1cd2ec5f3db47e5a59c770aa62068fe7fc1ad"
)
#: By how much MIX rotates each word (§3.1), and the rounds after which, going backwards, MASH is undone (§4).
_ROTATIONS = (1, 2, 3, 5)
_MASHED = (11, 5)


def decrypt_cbc(key: bytes, iv: bytes, sealed: bytes) -> bytes:
    """``sealed`` in clear, padding included; the effective key length is the key's own.

    Raises ``ValueError`` for a key, an initialisation vector or a length that RC2 does not have.
    """
    if not 1 <= len(key) <= 128 or len(iv) != 8 or len(sealed) % 8:
        raise ValueError("not a key, vector or length of RC2")
    words = _expanded(key)
    out = bytearray()
    before = iv
    for at in range(0, len(sealed), 8):
        block = sealed[at : at + 8]
        clear = int.from_bytes(_block(words, block), "big") ^ int.from_bytes(before, "big")
        out += clear.to_bytes(8, "big")
        before = block
    return bytes(out)


def _expanded(key: bytes) -> tuple[int, ...]:
    """The 64 words of the key (§2), with as many effective bits as it has."""
    size = len(key)
    octets = bytearray(key) + bytearray(128 - size)
    for i in range(size, 128):
        octets[i] = _PI[(octets[i - 1] + octets[i - size]) & 0xFF]
    octets[128 - size] = _PI[octets[128 - size]]
    for i in range(127 - size, -1, -1):
        octets[i] = _PI[octets[i + 1] ^ octets[i + size]]
    return struct.unpack("<64H", octets)


def _block(words: tuple[int, ...], block: bytes) -> bytes:
    """One block, by the inverse rounds (§3): reverse MIX sixteen times, reverse MASH twice between."""
    r = list(struct.unpack("<4H", block))
    for mixing in range(15, -1, -1):
        for i in (3, 2, 1, 0):
            turn = _ROTATIONS[i]
            mixed = (r[i] >> turn | r[i] << (16 - turn)) & 0xFFFF
            chosen = (r[i - 1] & r[i - 2]) + (~r[i - 1] & r[i - 3])
            r[i] = (mixed - words[4 * mixing + i] - chosen) & 0xFFFF
        if mixing in _MASHED:
            for i in (3, 2, 1, 0):
                r[i] = (r[i] - words[r[i - 1] & 63]) & 0xFFFF
    return struct.pack("<4H", *r)
