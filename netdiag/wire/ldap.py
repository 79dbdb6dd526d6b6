"""LDAP answers (RFC 4511): bytes in, values out. Only what an anonymous search brings.

Contract: no sockets, no clock. Content is not copied until it is a value. What is no LDAP raises ``NotLdapError``;
every count is bounded by a named constant.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from netdiag.wire.http import printable

# Tags of protocolOp (RFC 4511 §4.2.2, §4.5.2, §4.12).
BIND_RESPONSE = 0x61
SEARCH_ENTRY = 0x64
SEARCH_DONE = 0x65
SEARCH_REFERENCE = 0x73
EXTENDED_RESPONSE = 0x78

_SEQUENCE, _SET, _INTEGER, _OCTETS, _ENUMERATED, _REFERRAL = 0x30, 0x31, 0x02, 0x04, 0x0A, 0xA3
#: Octets of a length (X.690 §8.1.3.5): four hold 4 GiB, and nobody takes that much.
_MAX_LENGTH_OCTETS = 4
#: Elements of one SEQUENCE or SET: an entry of a directory has some tens of attributes, a certificate some values.
MAX_ELEMENTS = 1000


class NotLdapError(ValueError):
    """The bytes are no LDAP message. The message says what came instead."""


class Message(NamedTuple):
    """An LDAPMessage (§4.1.1): its number, and the tag and content of its operation."""

    number: int
    operation: int
    content: memoryview


class Result(NamedTuple):
    """An LDAPResult (§4.1.9)."""

    code: int
    message: str
    referrals: tuple[str, ...]


class Element(NamedTuple):
    """A tag of one byte, and the content."""

    tag: int
    content: memoryview


def message_size(data: bytes | bytearray) -> int | None:
    """The bytes of the message at the start of ``data``; None while its header is incomplete."""
    if data and data[0] != _SEQUENCE:
        raise NotLdapError(f"not LDAP: it starts with {printable(bytes(data[:40]))}")
    header = _header(memoryview(data)[:6])
    return sum(header) if header else None


def parse_message(data: bytes) -> Message:
    """The message that ``data`` holds whole."""
    outer = list(elements(memoryview(data)))
    parts = list(elements(outer[0].content)) if len(outer) == 1 else []
    if len(parts) < 2 or parts[0].tag != _INTEGER:
        raise NotLdapError("a message without a number or an operation")
    return Message(int.from_bytes(parts[0].content[-8:], "big"), parts[1].tag, parts[1].content)


def parse_result(content: memoryview) -> Result:
    """The result in a bind response, or at the end of a search."""
    parts = list(elements(content))
    if [part.tag for part in parts[:3]] != [_ENUMERATED, _OCTETS, _OCTETS]:
        raise NotLdapError("a result that is none")
    referrals = [part for part in parts[3:] if part.tag == _REFERRAL]
    return Result(
        int.from_bytes(parts[0].content[-8:], "big"),
        _text(parts[2].content),
        tuple(_text(url.content) for part in referrals for url in elements(part.content)),
    )


def parse_entry(content: memoryview) -> tuple[tuple[str, tuple[bytes, ...]], ...]:
    """The attributes of a search result's entry: descriptions as sent ("cACertificate;binary"), and values."""
    parts = list(elements(content))
    if [part.tag for part in parts[:2]] != [_OCTETS, _SEQUENCE]:
        raise NotLdapError("an entry that is none")
    found = []
    for attribute in elements(parts[1].content):
        fields = list(elements(attribute.content))
        if [part.tag for part in fields[:2]] != [_OCTETS, _SET]:
            raise NotLdapError("an attribute that is none")
        found.append((_text(fields[0].content), tuple(bytes(value.content) for value in elements(fields[1].content))))
    return tuple(found)


def elements(data: memoryview) -> Iterator[Element]:
    """The elements in ``data``, one after the other (X.690 §8.1)."""
    for _ in range(MAX_ELEMENTS):
        if not data:
            return
        header = _header(data)
        if header is None or sum(header) > len(data):
            raise NotLdapError("an element that is longer than what holds it")
        start, length = header
        yield Element(data[0], data[start : start + length])
        data = data[start + length :]
    raise NotLdapError(f"more than {MAX_ELEMENTS} elements in one")


def _header(data: memoryview) -> tuple[int, int] | None:
    """The bytes of an element's header and of its content; None while the header is incomplete."""
    if len(data) < 2:
        return None
    if data[1] < 0x80:
        return 2, data[1]
    count = data[1] & 0x7F
    if not 1 <= count <= _MAX_LENGTH_OCTETS:  # indefinite lengths are forbidden in LDAP (RFC 4511 §5.1)
        raise NotLdapError("an element of indefinite or absurd length")
    return (2 + count, int.from_bytes(data[2 : 2 + count], "big")) if len(data) >= 2 + count else None


def _text(data: memoryview) -> str:
    return bytes(data[:1000]).decode("utf-8", "replace")
