"""Distinguished names: when two are one (RFC 5280 §7.1), and how they are written (RFC 4514).

Contract: pure, cached by content; never raises for hostile input.
"""

from __future__ import annotations

import functools
import unicodedata

from cryptography import x509
from cryptography.x509.name import _ASN1Type

#: One entry a relative distinguished name, most significant first. Two names are one exactly when these are equal, and
#: one stands below another exactly when it begins with the other's entries (RFC 5280 §4.2.1.10).
NameKey = tuple[str, ...]

#: Types of which two values may be one (RFC 5280 §7.1); an OCTET STRING with the letters of a name is not that name.
_TEXTS = frozenset(kind for kind in _ASN1Type if kind.name.endswith("String")) - {
    _ASN1Type.BitString,
    _ASN1Type.OctetString,
}
#: Values that cannot be read keep their bytes apart from each other.
_UNREADABLE = "\x00unreadable\x00"


def name_key(name: x509.Name) -> NameKey:
    """The key under which ``name`` equals every other spelling of itself."""
    return tuple("+".join(sorted(_attribute(entry) for entry in rdn)) for rdn in name.rdns)


@functools.lru_cache(maxsize=4096)
def _folded(value: str) -> str:
    """A value without what RFC 4518 takes for insignificant: case, composition, repeated and outer spaces."""
    if not value.isascii():
        value = unicodedata.normalize("NFKC", value)
    return " ".join(value.casefold().split())


def _attribute(entry: x509.NameAttribute[str | bytes]) -> str:
    value = entry.value
    raw = value if isinstance(value, bytes) else value.encode()
    text = _folded(value) if isinstance(value, str) and entry._type in _TEXTS else f"#{entry._type.value}#{raw.hex()}"
    # A separator inside a value must not make two attributes of one.
    return f"{entry.oid.dotted_string}={text.encode('unicode_escape').decode().replace('+', chr(92) + '+')}"


def unreadable_key(der: bytes) -> NameKey:
    """A key for a name that cannot be decoded: it equals only itself."""
    return (_UNREADABLE + der.hex(),)
