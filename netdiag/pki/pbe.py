"""Password-based encryption as PKCS#12 and PKCS#8 use it: PBES2 (RFC 8018 §6.2) and PKCS#12's own (RFC 7292 §B, §C).

Contract: pure. Nothing keeps a password or a key. The number of rounds of key derivation is the file's to say, so it
is hostile: ``Rounds`` bounds them all together.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, CipherAlgorithm, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from netdiag.pki import ber, rc2

#: Rounds that one file may cost, together: some seconds. Windows and OpenSSL ask for 2,000 a key, Java for 10,000, NSS
#: for 100,000, OWASP for 1,300,000 at most; a file has three derivations or so.
MAX_ROUNDS = 8_000_000

#: What a block of RC2 costs in rounds: it is written in Python.
_RC2_ROUNDS = 100

_PBES2 = "1.2.840.113549.1.5.13"
_PBKDF2 = "1.2.840.113549.1.5.12"
#: RFC 8018 §B.1.2. Absent means the first.
_PRFS = {
    "1.2.840.113549.2.7": "sha1",
    "1.2.840.113549.2.8": "sha224",
    "1.2.840.113549.2.9": "sha256",
    "1.2.840.113549.2.10": "sha384",
    "1.2.840.113549.2.11": "sha512",
}
_DIGESTS = {
    "1.3.14.3.2.26": "sha1",
    "2.16.840.1.101.3.4.2.4": "sha224",
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}

Decrypt = Callable[[bytes, bytes, bytes], bytes]


class TooManyRoundsError(ValueError):
    """The file asks for more rounds of key derivation than ``MAX_ROUNDS``."""


class UnsupportedCipherError(ValueError):
    """A cipher or key derivation that is not known here; the message is its dotted identifier."""


class WrongPasswordError(ValueError):
    """What came out is not padded as it should be: the password is another one, or the file is damaged."""


@dataclass
class Rounds:
    """How many rounds of key derivation may still be spent."""

    left: int = MAX_ROUNDS

    def spend(self, rounds: int) -> None:
        """Take ``rounds``. Raises ``TooManyRoundsError``, and ``ValueError`` for none."""
        if rounds < 1:
            raise ValueError("a key derivation without rounds")
        if rounds > self.left:
            raise TooManyRoundsError(f"{rounds:,}")
        self.left -= rounds


def decrypt(algorithm: ber.Element, sealed: bytes, password: str | None, rounds: Rounds) -> bytes:
    """``sealed`` in clear; ``algorithm`` is the AlgorithmIdentifier that stands beside it.

    ``None`` is no password, which PKCS#12 tells from an empty one. Raises ``WrongPasswordError``,
    ``UnsupportedCipherError``, ``TooManyRoundsError``, and ``ValueError`` for parameters that make no sense.
    """
    identifier, *parameters = algorithm.children
    oid = identifier.oid
    if oid == _PBES2:
        key_derivation, cipher = parameters[0].children if parameters else ()
        clear = _pbes2(key_derivation, cipher, sealed, password, rounds)
    elif oid in _PKCS12_CIPHERS and parameters:
        key_size, decryption = _PKCS12_CIPHERS[oid]
        salt, count = parameters[0].children
        secret = _bmp(password)
        key = derive("sha1", 1, secret, salt.octets, count.integer, key_size, rounds)
        iv = derive("sha1", 2, secret, salt.octets, count.integer, 8, rounds)
        if decryption is rc2.decrypt_cbc:
            rounds.spend(_RC2_ROUNDS * (len(sealed) // 8 + 1))
        clear = decryption(key, iv, sealed)
    else:
        raise UnsupportedCipherError(oid)
    return _unpadded(clear)


def mac_holds(mac: ber.Element, content: bytes, password: str | None, rounds: Rounds) -> bool | None:
    """Whether a PKCS#12 file's MAC (RFC 7292 §4) is right for this password; None for a kind that is not known.

    Raises ``ValueError`` for a structure that makes no sense.
    """
    digest_info, salt, *count = mac.children
    algorithm, digest = digest_info.children
    name = _DIGESTS.get(algorithm.children[0].oid)
    if name is None:
        return None
    size = hashlib.new(name).digest_size
    times = count[0].integer if count else 1
    key = derive(name, 3, _bmp(password), salt.octets, times, size, rounds)
    return hmac.compare_digest(hmac.digest(key, content, name), digest.octets)


def derive(digest: str, purpose: int, secret: bytes, salt: bytes, count: int, size: int, rounds: Rounds) -> bytes:
    """Key material of ``size`` octets (RFC 7292 §B.2). ``purpose``: 1 a key, 2 a vector, 3 a MAC's key (§B.3)."""
    block = hashlib.new(digest).block_size
    mixed = _repeated(salt, block) + _repeated(secret, block)
    prefix = bytes([purpose]) * block
    out = b""
    while len(out) < size:
        rounds.spend(count)
        piece = hashlib.new(digest, prefix + mixed).digest()
        make = getattr(hashlib, digest)
        for _ in range(count - 1):
            piece = make(piece).digest()
        out += piece
        addend = int.from_bytes((piece * block)[:block], "big") + 1
        mixed = b"".join(
            ((int.from_bytes(mixed[i : i + block], "big") + addend) % (1 << 8 * block)).to_bytes(block, "big")
            for i in range(0, len(mixed), block)
        )
    return out[:size]


def _repeated(text: bytes, block: int) -> bytes:
    """``text`` again and again, to the next multiple of ``block``; nothing stays nothing."""
    size = -(-len(text) // block) * block
    return (text * (size // len(text) + 1))[:size] if text else b""


def _bmp(password: str | None) -> bytes:
    """A password as a BMPString with its terminator (RFC 7292 §B.1)."""
    return b"" if password is None else password.encode("utf-16-be", "surrogatepass") + b"\0\0"


def _pbes2(derivation: ber.Element, cipher: ber.Element, sealed: bytes, password: str | None, rounds: Rounds) -> bytes:
    identifier, parameters = derivation.children
    if identifier.oid != _PBKDF2:
        raise UnsupportedCipherError(identifier.oid)
    salt, count, *more = parameters.children
    # keyLength, an INTEGER, may stand before the PRF; the cipher says it too.
    prfs = [entry.children[0].oid for entry in more if entry.tag == ber.SEQUENCE]
    prf = _PRFS.get(prfs[0]) if prfs else "sha1"
    kind, iv = cipher.children
    if prf is None or kind.oid not in _CIPHERS:
        raise UnsupportedCipherError(prfs[0] if prf is None else kind.oid)
    size, decryption = _CIPHERS[kind.oid]
    # One pass for every block of key material, and two hashes a round.
    rounds.spend(count.integer * -(-size // hashlib.new(prf).digest_size))
    secret = (password or "").encode("utf-8", "surrogateescape")
    key = hashlib.pbkdf2_hmac(prf, secret, salt.octets, count.integer, size)
    return decryption(key, iv.octets, sealed)


def _cbc(cipher: Callable[[bytes], CipherAlgorithm]) -> Decrypt:
    def decryption(key: bytes, iv: bytes, sealed: bytes) -> bytes:
        algorithm = cipher(key)
        try:
            context = Cipher(algorithm, modes.CBC(iv)).decryptor()
        except UnsupportedAlgorithm:  # an OpenSSL that was built, or told, to be without it
            raise UnsupportedCipherError(algorithm.name) from None
        return context.update(sealed) + context.finalize()

    return decryption


def _triple_des(key: bytes) -> TripleDES:
    """Two keys of eight octets stand for three (RFC 7292 §C: pbeWithSHAAnd2-KeyTripleDES-CBC)."""
    return TripleDES(key if len(key) == 24 else key + key[:8])


#: By identifier: the octets of the key. NIST's AES in CBC mode; RFC 8018 §B.2.2.
_CIPHERS: dict[str, tuple[int, Decrypt]] = {
    "2.16.840.1.101.3.4.1.2": (16, _cbc(AES)),
    "2.16.840.1.101.3.4.1.22": (24, _cbc(AES)),
    "2.16.840.1.101.3.4.1.42": (32, _cbc(AES)),
    "1.2.840.113549.3.7": (24, _cbc(_triple_des)),
}
#: RFC 7292 §C: the octets of the key; a block has eight. RC4 is not among them: nobody's default.
_PKCS12_CIPHERS: dict[str, tuple[int, Decrypt]] = {
    "1.2.840.113549.1.12.1.3": (24, _cbc(_triple_des)),
    "1.2.840.113549.1.12.1.4": (16, _cbc(_triple_des)),
    "1.2.840.113549.1.12.1.5": (16, rc2.decrypt_cbc),
    "1.2.840.113549.1.12.1.6": (5, rc2.decrypt_cbc),
}


def _unpadded(clear: bytes) -> bytes:
    """Without the padding (RFC 8018 §6.1.1)."""
    count = clear[-1] if clear else 0
    if not 1 <= count <= 16 or clear[-count:] != bytes([count]) * count:
        raise WrongPasswordError("wrong password, or damaged")
    return clear[:-count]
