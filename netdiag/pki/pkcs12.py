"""PKCS#12 (RFC 7292): the certificates, CRLs and keys of a PFX file, with what Windows notes beside them.

Contract: pure. cryptography shows neither the attributes of a bag nor those of a key, and derives keys for as many
rounds as the file asks; so the file is read here, within bounds, and in BER, which old Windows exports are. Bad input
is a ``UsageError`` with one line. No password and no private key is kept.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from netdiag.model import UsageError
from netdiag.pki import ber, pbe
from netdiag.pki.private import HeldKey, held_key, provider_kind
from netdiag.pki.summary import clipped

#: What PFX files hold is some kilobytes; the largest chains with CRLs stay below this.
MAX_PFX_BYTES = 8 * 1024 * 1024
#: Bags of one file: keys, certificates and their chains.
MAX_BAGS = 1000
#: SafeContents inside SafeContents (RFC 7292 §4.2.6), which nobody writes.
MAX_NESTING = 4

_DATA, _SIGNED, _ENCRYPTED = (f"1.2.840.113549.1.7.{n}" for n in (1, 2, 6))
_KEY_BAG, _SHROUDED_KEY_BAG, _CERT_BAG, _CRL_BAG, _SECRET_BAG, _SAFE_CONTENTS = (
    f"1.2.840.113549.1.12.10.1.{n}" for n in (1, 2, 3, 4, 5, 6)
)
_X509_CERTIFICATE = "1.2.840.113549.1.9.22.1"
_X509_CRL = "1.2.840.113549.1.9.23.1"
_FRIENDLY_NAME = "1.2.840.113549.1.9.20"
_LOCAL_KEY_ID = "1.2.840.113549.1.9.21"
_PROVIDER_NAME = "1.3.6.1.4.1.311.17.1"  # szOID_PKCS_12_KEY_PROVIDER_NAME_ATTR
_MACHINE_KEYSET = "1.3.6.1.4.1.311.17.2"  # szOID_LOCAL_MACHINE_KEYSET: an empty set, which is the whole statement

Ask = Callable[[], str | None]


@dataclass
class Contents:
    """What a PFX file holds, in its order. ``problems`` has a line for each bag that was skipped."""

    certificates: list[bytes] = field(default_factory=list)
    crls: list[bytes] = field(default_factory=list)
    keys: list[HeldKey] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Attributes:
    friendly_name: str = ""
    local_key_id: bytes = b""
    provider: str = ""
    machine_keyset: bool = False


def read(data: bytes, name: str, ask: Ask, rounds: pbe.Rounds | None = None) -> Contents:
    """Open the file; ``ask`` is called for the password once it is clear that there is one.

    Raises ``UsageError`` for a wrong or missing password, damage, and a file that asks for too much.
    """
    if len(data) > MAX_PFX_BYTES:
        raise UsageError(f"{name}: larger than any PKCS#12 file should be ({MAX_PFX_BYTES // 2**20} MiB)")
    try:
        return _open(data, name, ask, rounds or pbe.Rounds())
    except pbe.TooManyRoundsError as error:
        raise UsageError(
            f"{name}: asks for {error} rounds of key derivation, more than netdiag does for one file "
            f"({pbe.MAX_ROUNDS:,} in all); export it again with fewer"
        ) from None
    except pbe.UnsupportedCipherError as error:
        raise UsageError(
            f"{name}: encrypted in a way that netdiag does not know ({error}): export it again with AES-256, as "
            "OpenSSL 3 and Windows Server 2019 do"
        ) from None
    except ValueError:
        raise UsageError(f"{name}: this PKCS#12 file is damaged: copy it or export it again") from None


def _open(data: bytes, name: str, ask: Ask, rounds: pbe.Rounds) -> Contents:
    _, safe, *mac = ber.element(data).children
    content = _content(safe)
    for password in (None, ""):
        found = _try(content, mac, password, rounds)
        if found is not None:
            return found
    password = ask()
    if password is None:
        raise UsageError(f"{name}: protected by a password: give it with --password-file FILE or --password")
    found = _try(content, mac, password, rounds)
    if found is None:
        raise UsageError(f"{name}: the password is wrong" + ("" if mac else ", or the file is damaged"))
    return found


def _try(content: bytes, mac: list[ber.Element], password: str | None, rounds: pbe.Rounds) -> Contents | None:
    """What the file holds, if this is its password.

    Raises ``ValueError`` for damage: where a MAC vouches for the content, nothing else can be wrong.
    """
    vouched = pbe.mac_holds(mac[0], content, password, rounds) if mac else None
    if vouched is False:
        return None
    reading = _Reading(password, rounds)
    try:
        for info in ber.element(content).children:
            reading.safe(info)
    except (pbe.TooManyRoundsError, pbe.UnsupportedCipherError):
        raise
    except ValueError:
        if vouched:
            raise
        return None
    return reading.contents if vouched or not reading.locked else None


def _content(info: ber.Element) -> bytes:
    """The octets inside a ContentInfo of data, or of data that somebody signed (RFC 7292 §4)."""
    kind, *content = info.children
    if kind.oid == _SIGNED and content:
        _, _, info, *_ = content[0].only.children
        kind, *content = info.children
    if kind.oid != _DATA or not content:
        raise ValueError("it holds neither data nor signed data")
    return content[0].only.octets


class _Reading:
    """The bags of one file, opened with one password. ``locked``: a key bag has another one."""

    def __init__(self, password: str | None, rounds: pbe.Rounds) -> None:
        self.password = password
        self.rounds = rounds
        self.locked = False
        self.bags = 0
        self._contents = Contents()
        self._friendly_names: dict[bytes, str] = {}

    @property
    def contents(self) -> Contents:
        """Everything read so far, each key with the name of its certificate."""
        self._contents.keys = [
            dataclasses.replace(key, friendly_name=self._friendly_names.get(key.local_key_id) or key.friendly_name)
            for key in self._contents.keys
        ]
        return self._contents

    def safe(self, info: ber.Element) -> None:
        """Read one ContentInfo of the AuthenticatedSafe (RFC 7292 §4.1)."""
        kind, *content = info.children
        if kind.oid == _DATA:
            self._bags(_content(info), MAX_NESTING)
        elif kind.oid == _ENCRYPTED and content:
            _, encrypted, *_ = content[0].only.children
            _, algorithm, sealed = encrypted.children
            self._bags(pbe.decrypt(algorithm, sealed.octets, self.password, self.rounds), MAX_NESTING)
        else:  # enveloped for somebody's public key
            self._contents.problems.append(f"a part of the kind {kind.oid} was skipped")

    def _bags(self, der: bytes, depth: int) -> None:
        for bag in ber.element(der).children:
            self.bags += 1
            if self.bags > MAX_BAGS or not depth:
                raise ValueError(f"more than {MAX_BAGS} bags, or bags in bags")
            kind, wrapped, *attributes = bag.children
            self._bag(kind.oid, wrapped.only, _attributes(attributes), depth)

    def _bag(self, kind: str, value: ber.Element, notes: _Attributes, depth: int) -> None:
        contents = self._contents
        if kind == _CERT_BAG:
            form, wrapped = value.children
            if form.oid == _X509_CERTIFICATE:
                contents.certificates.append(wrapped.only.octets)
                if notes.local_key_id and notes.friendly_name:
                    self._friendly_names[notes.local_key_id] = notes.friendly_name
                return
        elif kind == _CRL_BAG:
            form, wrapped = value.children
            if form.oid == _X509_CRL:
                contents.crls.append(wrapped.only.octets)
                return
        elif kind in (_KEY_BAG, _SHROUDED_KEY_BAG):
            contents.keys.append(self._key(kind, value, notes))
            return
        elif kind == _SAFE_CONTENTS:
            self._bags(value.encoding, depth - 1)
            return
        what = "a secret" if kind == _SECRET_BAG else f"a bag of the kind {kind}"
        contents.problems.append(f"{what} was skipped")

    def _key(self, kind: str, value: ber.Element, notes: _Attributes) -> HeldKey:
        key = HeldKey()
        try:
            der = value.encoding
            if kind == _SHROUDED_KEY_BAG:
                algorithm, sealed = value.children
                der = pbe.decrypt(algorithm, sealed.octets, self.password, self.rounds)
                if ber.kind(der) != "pkcs8":  # the padding was right by chance
                    raise pbe.WrongPasswordError
            key = held_key(der)
            if not key.key:
                self._contents.problems.append("the private key is of a kind that netdiag does not know")
        except pbe.WrongPasswordError:
            self.locked = True
            self._contents.problems.append("the private key has another password than the file, and was not opened")
        except pbe.UnsupportedCipherError as error:
            self._contents.problems.append(
                f"the private key is encrypted in a way that netdiag does not know ({error})"
            )
        return dataclasses.replace(
            key,
            provider=notes.provider,
            provider_kind=provider_kind(notes.provider),
            machine_keyset=notes.machine_keyset,
            friendly_name=notes.friendly_name,
            local_key_id=notes.local_key_id,
        )


def _attributes(found: list[ber.Element]) -> _Attributes:
    """The attributes of a bag that are known here."""
    values: dict[str, tuple[ber.Element, ...]] = {}
    for attribute in found[0].children if found else ():
        kind, entries = attribute.children
        values.setdefault(kind.oid, entries.children)
    local_key_id = values.get(_LOCAL_KEY_ID, ())
    return _Attributes(
        friendly_name=next(_texts(values.get(_FRIENDLY_NAME, ())), ""),
        local_key_id=local_key_id[0].content[:64] if local_key_id else b"",
        provider=next(_texts(values.get(_PROVIDER_NAME, ())), ""),
        machine_keyset=_MACHINE_KEYSET in values,
    )


def _texts(values: tuple[ber.Element, ...]) -> Iterator[str]:
    """Strings as BMPString (0x1E), which the standard wants, or in UTF-8, which some write."""
    for value in values:
        yield clipped(value.content.decode("utf-16-be" if value.tag == 0x1E else "utf-8", "replace")).rstrip("\0")
