"""Bytes -> ``Crl``: what judging needs to know of one certificate revocation list (RFC 5280 §5), read once.

Contract: never raises for hostile input: ``read_crl`` returns ``Unreadable`` with the reason. Extensions are read one
by one, so that a broken one hides only itself. Entries are looked up, not listed: lists of a million are in use.
Results are cached by content.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from netdiag.pki import structure
from netdiag.pki.distinguished import NameKey, name_key, unreadable_key
from netdiag.pki.facts import Extension, Unreadable
from netdiag.pki.lazy import lazy
from netdiag.pki.load import UNREADABLE, quiet
from netdiag.pki.signed import SEQUENCE, Element, Signed, children, crl_extension, read_signed
from netdiag.pki.summary import clipped, crl_urls, decoder_words

#: The largest lists of public authorities have had some 50 MiB.
MAX_CRL_BYTES = 64 * 1024 * 1024
#: Larger lists are few, and few of them are kept.
SMALL_CRL_BYTES = 1024 * 1024
#: Entries that are looked at one by one, which takes 10 µs each: for indirect lists, where an entry's issuer depends on
#: those before it, and to find an unknown critical extension or a serial number that occurs twice.
MAX_LISTED_ENTRIES = 50_000
#: A CRL number has at most 20 octets (RFC 5280 §5.2.3).
MAX_LABEL = 60
#: Answers of ``Crl.entry`` kept for one list.
MAX_FOUND = 4096

#: Extensions of a list that are processed here, by dotted OID; any other critical one is unknown (RFC 5280 §5.2).
PROCESSED = frozenset(
    {
        "2.5.29.18",  # issuerAltName
        "2.5.29.20",  # cRLNumber
        "2.5.29.27",  # deltaCRLIndicator
        "2.5.29.28",  # issuingDistributionPoint
        "2.5.29.35",  # authorityKeyIdentifier
        "2.5.29.46",  # freshestCRL
        "1.3.6.1.5.5.7.1.1",  # authorityInfoAccess
    }
)
#: The same for entries (RFC 5280 §5.3).
PROCESSED_IN_ENTRIES = frozenset(
    {
        "2.5.29.21",  # reasonCode
        "2.5.29.24",  # invalidityDate
        "2.5.29.29",  # certificateIssuer
    }
)
#: What no list can be used without understanding: its scope, and whether it is a delta.
_DECISIVE = ("2.5.29.27", "2.5.29.28")

#: BOOLEAN TRUE and an OCTET STRING, as in a critical extension; not behind the OBJECT IDENTIFIER of one of those.
_UNKNOWN_CRITICAL = re.compile(rb"(?<!\x06\x03\x55\x1d[\x15\x18\x1d])\x01\x01\xff\x04")
#: The OBJECT IDENTIFIER of certificateIssuer, which makes the entries after it another issuer's (RFC 5280 §5.3.3).
_CERTIFICATE_ISSUER = bytes.fromhex("0603551d1d")

_PEM = re.compile(rb"-----BEGIN X509 CRL-----(.*?)-----END X509 CRL-----", re.DOTALL)
_INTEGER, _OBJECT_IDENTIFIER, _EXTENSIONS = 0x02, 0x06, 0xA0

E = TypeVar("E", bound=x509.ExtensionType)


@dataclass(frozen=True)
class Entry:
    """One revoked certificate. ``removed``: a delta says that it is revoked no longer (removeFromCRL)."""

    reason: str
    revoked_at: float | None
    removed: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Crl:
    """One certificate revocation list. Equal to another exactly when their SHA-256 is.

    Times are seconds since the epoch. ``base_number`` is set for a delta: the number of the list that it goes on from.
    ``unusable`` says why it tells nothing about any certificate; empty for a list that can be used.
    """

    crl: x509.CertificateRevocationList
    der: bytes = field(repr=False)
    sha256: str
    version: int
    issuer: NameKey
    this_update: float
    next_update: float | None
    extensions: Mapping[str, Extension] = field(repr=False)
    signed: Signed = field(repr=False)
    #: Where the entries are in ``der``.
    entries: Element | None
    #: All entries, where their issuers may differ; None where all are this list's own.
    by_issuer: Mapping[tuple[NameKey, int], Entry] | None = field(repr=False)
    unusable: str
    _found: dict[tuple[NameKey, int], Entry | None] = field(default_factory=dict, repr=False)

    def __hash__(self) -> int:
        return hash(self.sha256)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Crl) and other.sha256 == self.sha256

    def extension(self, kind: type[E]) -> E | None:
        """The value of an extension; None when it is absent or cannot be read."""
        found = self.extensions.get(kind.oid.dotted_string)
        return found.value if found and isinstance(found.value, kind) else None

    @lazy
    def number(self) -> int | None:
        """The CRL number (RFC 5280 §5.2.3)."""
        found = self.extension(x509.CRLNumber)
        return found.crl_number if found else None

    @lazy
    def base_number(self) -> int | None:
        """BaseCRLNumber of a delta (RFC 5280 §5.2.4); None for a complete list."""
        found = self.extension(x509.DeltaCRLIndicator)
        return found.crl_number if found else None

    @lazy
    def scope(self) -> x509.IssuingDistributionPoint | None:
        """The issuing distribution point (RFC 5280 §5.2.5)."""
        return self.extension(x509.IssuingDistributionPoint)

    @lazy
    def authority_key_id(self) -> bytes | None:
        """The key identifier of the signer (RFC 5280 §5.2.1)."""
        found = self.extension(x509.AuthorityKeyIdentifier)
        return found.key_identifier if found else None

    @lazy
    def freshest_urls(self) -> tuple[str, ...]:
        """The URLs of delta lists to this one (RFC 5280 §5.2.6)."""
        return crl_urls(self.extension(x509.FreshestCRL))

    @lazy
    def issuer_text(self) -> str:
        """The issuer for a reader."""
        with quiet():
            try:
                return clipped(self.crl.issuer.rfc4514_string())
            except UNREADABLE:
                return "an unreadable name"

    @property
    def label(self) -> str:
        """Its kind and its number in hexadecimal: "CRL 1a2b", "delta CRL 1a2c"."""
        kind = "CRL" if self.base_number is None else "delta CRL"
        return kind if self.number is None else f"{kind} {self.number:x}"[:MAX_LABEL]

    @lazy
    def irregular(self) -> str:
        """What RFC 5280 demands and this list does not do, though it can be understood; empty for nothing."""
        number = self.extensions.get("2.5.29.20")
        if self.version != 2:
            return f"it is of version {self.version}, not 2 (RFC 5280 §5.1.2.1)"
        if number is None or number.error:
            return "it has no CRL number (RFC 5280 §5.2.3)"
        if number.critical:
            return "its CRL number is marked critical (RFC 5280 §5.2.3)"
        if self.next_update is None:
            return "it does not say when the next one comes (nextUpdate, RFC 5280 §5.1.2.5)"
        return "it lists a serial number twice" if self._repeats else ""

    def entry(self, issuer: NameKey, serial: int) -> Entry | None:
        """What it lists of the certificate with this issuer and serial number; None when it does not list it."""
        key = (issuer, serial)
        if key not in self._found:
            if len(self._found) >= MAX_FOUND:
                self._found.clear()
            self._found[key] = self._look_up(issuer, serial)
        return self._found[key]

    def _look_up(self, issuer: NameKey, serial: int) -> Entry | None:
        if self.by_issuer is not None:
            return self.by_issuer.get((issuer, serial))
        if issuer != self.issuer or self.entries is None or not _has(self.der, self.entries, _integer(serial)):
            return None
        with quiet():
            if serial >= 0:
                found = self.crl.get_revoked_certificate_by_serial_number(serial)
            else:
                found = next((entry for entry in self.crl if entry.serial_number == serial), None)
            return _entry(found) if found else None

    @lazy
    def _repeats(self) -> bool:
        """A serial number occurs twice; lists that are too long for looking are taken to be in order."""
        if len(self.crl) > MAX_LISTED_ENTRIES:
            return False
        with quiet():
            distinct = len(self.by_issuer or {entry.serial_number for entry in self.crl})
        return distinct < len(self.crl)


def read_crl(data: bytes | x509.CertificateRevocationList) -> Crl | Unreadable:
    """The list in ``data``: DER, or the first one in PEM."""
    if isinstance(data, x509.CertificateRevocationList):
        data = data.public_bytes(serialization.Encoding.DER)
    return _read(data) if len(data) <= SMALL_CRL_BYTES else _read_large(data)


def _read_unseen(data: bytes) -> Crl | Unreadable:
    if len(data) > MAX_CRL_BYTES:
        return Unreadable(f"larger than {MAX_CRL_BYTES // 2**20} MiB")
    try:
        found = _PEM.search(data)
        der = base64.b64decode(b"".join(found[1].split()), validate=True) if found else data
        with quiet():
            return _crl(der)
    except (*UNREADABLE, binascii.Error) as error:
        return Unreadable(f"not a readable CRL: {decoder_words(error)}")


_read = functools.lru_cache(maxsize=256)(_read_unseen)
_read_large = functools.lru_cache(maxsize=4)(_read_unseen)


def _crl(der: bytes) -> Crl:
    crl = x509.load_der_x509_crl(der)
    signed = read_signed(der)
    fields = children(der, signed.body)
    version = 1
    if fields[0].tag == _INTEGER:  # DER leaves nothing else: cryptography has checked it (TBSCertList, RFC 5280 §5.1)
        version = 2
        fields = fields[1:]
    algorithm, issuer, _this_update, *optional = fields
    extensions, repeated = _extensions(der, next((part for part in optional if part.tag == _EXTENSIONS), None))
    entries = next((part for part in optional if part.tag == SEQUENCE), None)
    if der[algorithm.start : algorithm.end] != signed.algorithm:
        raise ValueError("it names two different signature algorithms (RFC 5280 §5.1.1.2)")
    try:
        name = name_key(crl.issuer)
    except UNREADABLE:
        name = unreadable_key(der[issuer.content : issuer.end])
    by_issuer, fault = _listed(crl, name, der, entries)
    following = crl.next_update_utc
    return Crl(
        crl=crl,
        der=der,
        sha256=hashlib.sha256(der).hexdigest(),
        version=version,
        issuer=name,
        this_update=crl.last_update_utc.timestamp(),
        next_update=following.timestamp() if following else None,
        extensions=extensions,
        signed=signed,
        entries=entries,
        by_issuer=by_issuer,
        unusable=_fault(extensions, repeated, version) or fault,
    )


def _extensions(der: bytes, explicit: Element | None) -> tuple[dict[str, Extension], bool]:
    """The extensions by dotted identifier, and whether one occurs twice."""
    found: dict[str, Extension] = {}
    if explicit is None:
        return found, False
    (listed,) = children(der, explicit)
    parts = children(der, listed)
    for part in parts:
        raw = der[part.start : part.end]
        head = structure.decode(structure.Extension, raw)
        oid = head.oid.dotted_string
        try:
            found[oid] = Extension(oid, head.critical, crl_extension(raw))
        except (*UNREADABLE, x509.UnsupportedGeneralNameType) as error:
            found[oid] = Extension(oid, head.critical, None, decoder_words(error) or type(error).__name__)
    return found, len(found) < len(parts)


def _fault(extensions: Mapping[str, Extension], repeated: bool, version: int) -> str:
    """What makes the list as a whole unusable; empty for nothing."""
    if extensions and version < 2:
        return "it is of version 1 and has extensions (RFC 5280 §5.1.2.1)"
    if repeated:
        return "an extension occurs twice"
    for oid, extension in extensions.items():
        if extension.critical and oid not in PROCESSED:
            return f"its critical extension {oid} is unknown (RFC 5280 §5.2)"
        if extension.error and (extension.critical or oid in _DECISIVE):
            return f"its extension {oid} cannot be read: {extension.error}"
    return ""


def _listed(
    crl: x509.CertificateRevocationList, own: NameKey, der: bytes, entries: Element | None
) -> tuple[Mapping[tuple[NameKey, int], Entry] | None, str]:
    """The entries by the issuer that counts for each (RFC 5280 §5.3.3), and what makes the list unusable in them.

    None where all of them are the issuer's ``own``, and none can have a critical extension that is unknown: even one of
    another certificate counts (RFC 5280 §5.3).
    """
    if entries is None or not (_suspicious(der, entries) or _has(der, entries, _CERTIFICATE_ISSUER)):
        return None, ""
    if len(crl) > MAX_LISTED_ENTRIES:
        return None, f"it has critical extensions in some of more than {MAX_LISTED_ENTRIES} entries"
    found: dict[tuple[NameKey, int], Entry] = {}
    issuer = own
    for entry in crl:
        try:
            extensions = tuple(entry.extensions)
        except (*UNREADABLE, x509.UnsupportedGeneralNameType):
            return None, f"its entry for the serial number {entry.serial_number:x} cannot be read"
        for extension in extensions:
            if extension.critical and extension.oid.dotted_string not in PROCESSED_IN_ENTRIES:
                return (
                    None,
                    f"the critical extension {extension.oid.dotted_string} of an entry is unknown (RFC 5280 §5.3)",
                )
            if isinstance(extension.value, x509.CertificateIssuer):
                issuer = next(directory_names(extension.value), issuer)
        found.setdefault((issuer, entry.serial_number), _entry(entry))
    return found, ""


def _has(der: bytes, entries: Element, octets: bytes) -> bool:
    return der.find(octets, entries.content, entries.end) >= 0


def _suspicious(der: bytes, entries: Element) -> bool:
    """Whether there seems to be an unknown critical extension: the octets of one, behind an OBJECT IDENTIFIER."""
    return any(
        any(der[end - size - 2] == _OBJECT_IDENTIFIER and der[end - size - 1] == size for size in range(1, 0x80))
        for end in (match.start() for match in _UNKNOWN_CRITICAL.finditer(der, entries.content, entries.end))
    )


def _entry(found: x509.RevokedCertificate) -> Entry:
    reason = x509.ReasonFlags.unspecified  # what an absent reason means (RFC 5280 §5.3.1)
    try:
        for extension in found.extensions:
            if isinstance(extension.value, x509.CRLReason):
                reason = extension.value.reason
    except (*UNREADABLE, x509.UnsupportedGeneralNameType):
        pass  # revoked it is, whatever stands there
    removed = reason is x509.ReasonFlags.remove_from_crl
    return Entry(reason.value, found.revocation_date_utc.timestamp(), removed)


def directory_names(names: x509.CertificateIssuer | list[x509.GeneralName] | None) -> Iterator[NameKey]:
    """The distinguished names among general names."""
    return (name_key(name.value) for name in names or () if isinstance(name, x509.DirectoryName))


def _integer(value: int) -> bytes:
    """How an INTEGER stands in DER (X.690 §8.3); of one that is too long for a short length, its octets alone."""
    octets = value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)
    return bytes([_INTEGER, len(octets)]) + octets if len(octets) < 0x80 else octets
