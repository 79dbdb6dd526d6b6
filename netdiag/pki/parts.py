"""The parts of a file, taken one after the other, by what they are: certificates, CRLs, keys, containers of these.

Contract: pure but for the question for a password. Raises ``UsageError`` for a wrong password, and for a PKCS#12 file
that cannot be opened; a part that cannot be used is a line in ``problems``, and the others are taken.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from cryptography.exceptions import UnsupportedAlgorithm

from netdiag.model import UsageError
from netdiag.pki import armour, ber, refusals
from netdiag.pki.lazy import lazy
from netdiag.pki.private import HeldKey, held_key, held_pem_key

if TYPE_CHECKING:
    from netdiag.pki import pbe

#: PEM blocks, DER elements and certificates of one file. The WebPKI has some hundred roots, and some thousand
#: intermediates.
MAX_PARTS = 5_000

Format = Literal["pem", "der", "pkcs7", "pkcs12"]
Password = Callable[[], bytes | None]

#: Certificates by their label: what stands in them is one, readable or not. OpenSSL's own form has more behind it.
_CERTIFICATE_LABELS = ("CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE")
#: What OpenSSL writes beside a key, and nobody misses.
_IGNORED_LABELS = ("EC PARAMETERS", "DH PARAMETERS", "DSA PARAMETERS")
#: What may stand between parts of DER that somebody joined.
_SEPARATORS = re.compile(rb"[\0\r\n\t ]+")
_SIGNED_DATA = "1.2.840.113549.1.7.2"


class Parts:
    """What was found in a file so far: certificates and CRLs in order, each once, keys, and a line for each problem."""

    def __init__(self, name: str, password: Password | None) -> None:
        self._name = name
        self._ask = functools.cache(lambda: _as_text(password() if password else None))
        self.format: Format = "pem"
        self.certificates: dict[bytes, None] = {}
        self.crls: dict[bytes, None] = {}
        self.keys: list[HeldKey] = []
        self.problems: list[str] = []
        #: Keys that need a password, and where they are: nobody is asked for it while there is no certificate.
        self._sealed: list[tuple[bytes, str]] = []
        #: What other things are in the file, by ``ber.kind``; and what is wrong with the first damaged certificate.
        self._wrong: set[str] = set()
        self._damage = ""

    @lazy
    def _rounds(self) -> pbe.Rounds:
        """What the file may cost in all, however many keys and PKCS#12 structures are in it."""
        from netdiag.pki import pbe

        return pbe.Rounds()

    def open_keys(self) -> None:
        """Open the keys that need a password, now that there is a certificate to ask for it."""
        for key, where in self._sealed:
            if not self.certificates:
                self.keys.append(HeldKey())
            elif key.startswith(b"-----"):
                self._traditional_key(key, where)
            else:
                self._encrypted_key(key, where)
        self._sealed.clear()

    def refusal(self) -> str:
        """Why there is no certificate, where what is there instead tells."""
        wrong = set(self._wrong)
        if self.format == "pkcs12":
            wrong = {"pkcs12"}
        elif self.keys:
            wrong.add("private-key")
        if self.crls:
            wrong.add("crl")
        return self._damage or refusals.wrong_content(wrong)

    def pem(self, text: bytes) -> None:
        """Take every block of PEM."""
        for number, block in enumerate(armour.blocks(text), 1):
            if number > MAX_PARTS:
                self.problems.append(f"only the first {MAX_PARTS:,} blocks were read")
                break
            self._block(block, f"block {number} ({block.label})")

    def der(self, data: bytes) -> None:
        """Take elements of DER that follow each other."""
        at = 0
        for _ in range(MAX_PARTS):
            if separators := _SEPARATORS.match(data, at):
                at = separators.end()
            if at == len(data):
                return
            try:
                part = ber.element(data, at).encoding
            except ValueError as error:
                if at or ber.claimed_size(data):  # else it is something else that begins with this byte
                    self._damaged(f"the part at byte {at:,}" if at else "the file", str(error))
                return
            self._part(part, f"the part at byte {at:,}", certificate=False)
            at += len(part)
        self.problems.append(f"only the first {MAX_PARTS:,} parts were read")

    def _block(self, block: armour.Block, where: str) -> None:
        certificate = block.label in _CERTIFICATE_LABELS
        if block.label.startswith("PGP "):
            self._wrong.add("pgp")
        elif block.label.startswith("OPENSSH "):
            self._wrong.add("ssh")
        elif block.label in _IGNORED_LABELS:
            return
        elif block.body is None:
            self._damaged(where, "its END line is missing")
        elif b"Proc-Type:" in block.body:
            self._sealed.append((block.whole, where))
        elif (der := armour.decoded(block.body)) is None:
            self._damaged(where, "its base64 has a character missing or too many")
        else:
            try:
                part = ber.element(der).encoding
            except ValueError as error:
                self._damaged(where, str(error))
                return
            self._part(part if block.label == "TRUSTED CERTIFICATE" else der, where, certificate=certificate)

    def _damaged(self, where: str, why: str) -> None:
        line = f"{where} is damaged: {why}"
        self._damage = self._damage or f"{line}; copy or download the file again"
        self.problems.append(line)

    def _part(self, der: bytes, where: str, *, certificate: bool) -> None:
        """Take one structure. ``certificate``: its label says that it is one, whatever it looks like."""
        match ber.kind(der):
            case "certificate":
                self.certificates[der] = None
            case "crl":
                self.crls[der] = None
            case "cms":
                self._cms(der)
            case "pkcs12":
                self._pkcs12(der)
            case "pkcs8" | "traditional-key":
                self.keys.append(held_key(der))
            case "encrypted-pkcs8":
                self._sealed.append((der, where))
            case "":
                if certificate:
                    self.certificates[der] = None
                else:
                    self.problems.append(f"{where} is of a kind that netdiag does not know, and was skipped")
            case kind:
                self._wrong.add(kind)
                self.problems.append(f"{where} is {refusals.NAMES[kind]}, and was skipped")

    def _cms(self, der: bytes) -> None:
        """PKCS#7 signedData (RFC 5652 §5.1), which is how Windows exports a chain."""
        try:
            kind, wrapped = ber.element(der).children
            if kind.oid != _SIGNED_DATA:
                raise ValueError("not signed")
            for field_ in wrapped.only.children[3:]:
                taken = {0xA0: self.certificates, 0xA1: self.crls}.get(field_.tag)
                if taken is not None:
                    taken.update((entry.encoding, None) for entry in field_.children if entry.tag == ber.SEQUENCE)
        except ValueError:
            self.problems.append("a PKCS#7 part is encrypted or damaged, and was skipped")
        if self.certificates:
            self.format = "pkcs7"
        self._wrong.add("cms")

    def _pkcs12(self, der: bytes) -> None:
        from netdiag.pki import pkcs12  # few files are, and it brings ciphers

        found = pkcs12.read(der, self._name, self._ask, self._rounds)
        self.format = "pkcs12"
        self.certificates.update(dict.fromkeys(found.certificates))
        self.crls.update(dict.fromkeys(found.crls))
        self.keys += found.keys
        self.problems += found.problems

    def _encrypted_key(self, der: bytes, where: str) -> None:
        from netdiag.pki import pbe

        password = self._ask()
        if password is None:
            self._locked(where, "needs a password")
            return
        try:
            algorithm, sealed = ber.element(der).children
            self.keys.append(held_key(pbe.decrypt(algorithm, sealed.octets, password, self._rounds)))
        except pbe.WrongPasswordError:
            raise UsageError(f"{self._name}: the password for the private key in {where} is wrong") from None
        except pbe.UnsupportedCipherError as error:
            self._locked(where, f"is encrypted in a way that netdiag does not know ({error})")
        except pbe.TooManyRoundsError as error:
            self._locked(where, f"asks for {error} rounds of key derivation, more than netdiag does")
        except ValueError:
            self._locked(where, "is damaged")

    def _traditional_key(self, block: bytes, where: str) -> None:
        password = self._ask()
        try:
            self.keys.append(held_pem_key(block, password.encode() if password is not None else None))
        except TypeError:
            self._locked(where, "needs a password")
        except UnsupportedAlgorithm:
            self._locked(where, "is encrypted in a way that netdiag does not know")
        except ValueError:
            if password is None:
                self._locked(where, "is damaged")
                return
            raise UsageError(f"{self._name}: the password for the private key in {where} is wrong") from None

    def _locked(self, where: str, why: str) -> None:
        self.keys.append(HeldKey())
        self.problems.append(f"the private key in {where} {why}, and was not opened")


def _as_text(password: bytes | None) -> str | None:
    """A password as text: UTF-8, or else what old tools take for it."""
    if password is None:
        return None
    try:
        return password.decode()
    except UnicodeDecodeError:
        return password.decode("latin-1")
