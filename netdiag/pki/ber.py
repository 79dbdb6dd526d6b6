"""BER (X.690 §8) as far as the containers of certificates need it: PKCS#7, PKCS#8 and PKCS#12.

Contract: pure. Raises ``ValueError`` for bytes that are no BER, and beyond its bounds. Old exporters (Windows, Java,
NSS) write indefinite lengths and strings in pieces, which decoders of DER refuse; certificates inside are DER all the
same, and are handed on as the bytes that they are.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

SEQUENCE, SET = 0x30, 0x31
_CONSTRUCTED = 0x20

#: Elements looked at in one container. A PKCS#7 file with every root of the WebPKI has a few hundred.
MAX_ELEMENTS = 65_536
#: Strings in pieces of pieces; real ones have one level.
MAX_DEPTH = 8

#: Elements of one level that an outline tells; a certificate has ten at most.
_OUTLINED = 16
#: What an outline calls the tags that tell the kinds of files apart; every other tag is "x".
_LETTERS = {
    0x02: "I",
    0x03: "B",
    0x04: "O",
    0x24: "O",
    0x06: "D",
    0x0A: "E",
    0x17: "T",
    0x18: "T",
    0x30: "S",
    0xA0: "0",
    0xA1: "1",
}


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its first octet, its content, and all of it as it stands in the file."""

    tag: int
    content: bytes = field(repr=False)
    encoding: bytes = field(repr=False)

    @property
    def children(self) -> tuple[Element, ...]:
        """The elements inside. Raises ``ValueError`` when it is primitive, or they are no BER."""
        if not self.tag & _CONSTRUCTED:
            raise ValueError(f"the element {self.tag:#04x} has nothing inside")
        return tuple(elements(self.content))

    @property
    def only(self) -> Element:
        """The one element inside."""
        (found,) = self.children
        return found

    @property
    def integer(self) -> int:
        """The value of an INTEGER (§8.3)."""
        if self.tag != 0x02 or not self.content:
            raise ValueError("not an integer")
        return int.from_bytes(self.content, "big", signed=True)

    @property
    def oid(self) -> str:
        """The dotted form of an OBJECT IDENTIFIER (§8.19)."""
        if self.tag != 0x06 or not self.content or len(self.content) > 64 or self.content[-1] & 0x80:
            raise ValueError("not an object identifier")
        arcs: list[int] = []
        arc = 0
        for octet in self.content:
            arc = arc << 7 | octet & 0x7F
            if not octet & 0x80:
                arcs.append(arc)
                arc = 0
        first = min(arcs[0] // 40, 2)
        return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))

    @property
    def octets(self) -> bytes:
        """The value of an OCTET STRING, or of one tagged [0] IMPLICIT, in one piece or in several (§8.7)."""
        return b"".join(_pieces(self, MAX_DEPTH))


def _pieces(string: Element, depth: int) -> Iterator[bytes]:
    if string.tag not in (0x04, 0x24, 0x80, 0xA0) or not depth:
        raise ValueError("not an octet string")
    if not string.tag & _CONSTRUCTED:
        yield string.content
        return
    for piece in string.children:
        yield from _pieces(piece, depth - 1)


def element(data: bytes, at: int = 0) -> Element:
    """The element that begins at ``at``; what follows it is not looked at. Raises ``ValueError``."""
    return _element(data, at)[0]


def elements(data: bytes) -> Iterator[Element]:
    """The elements that follow each other in ``data``. Raises ``ValueError``, after those that can be read."""
    at = 0
    for _ in range(MAX_ELEMENTS):
        if at >= len(data):
            return
        found, at = _element(data, at)
        yield found
    raise ValueError(f"more than {MAX_ELEMENTS} elements")


def outline(data: bytes) -> str:
    """The tags inside the first element and one level deeper: ``S(S(0ISSSSS0)S(DI)B)`` is a certificate.

    Empty for bytes that are no SEQUENCE; no more than ``_OUTLINED`` of each level.
    """
    try:
        root = element(data)
        if root.tag != SEQUENCE:
            return ""
        inside = itertools.islice(elements(root.content), _OUTLINED)
        return f"S({''.join(_letter(child) + _inside(child) for child in inside)})"
    except ValueError:
        return ""


def _letter(found: Element) -> str:
    return _LETTERS.get(found.tag, "x")


def _inside(child: Element) -> str:
    if child.tag != SEQUENCE:
        return ""
    return f"({''.join(map(_letter, itertools.islice(elements(child.content), _OUTLINED)))})"


def claimed_size(data: bytes) -> int | None:
    """The octets that the first element says it takes; None where it does not say, or is no element."""
    try:
        _, start, length = _header(data, 0)
    except ValueError:
        return None
    return None if length is None else start + length


def _element(data: bytes, at: int) -> tuple[Element, int]:
    tag, start, length = _header(data, at)
    if length is None:
        stop = _end_of_contents(data, start)
        return Element(tag, data[start:stop], data[at : stop + 2]), stop + 2
    stop = start + length
    if stop > len(data):
        raise ValueError(f"it ends too early: {length:,} bytes should follow, and {len(data) - start:,} do")
    return Element(tag, data[start:stop], data[at:stop]), stop


def _header(data: bytes, at: int) -> tuple[int, int, int | None]:
    """The tag, where the content begins, and its length (§8.1.3); None for the indefinite form."""
    if at + 2 > len(data):
        raise ValueError("it ends too early")
    tag, first = data[at], data[at + 1]
    if tag & 0x1F == 0x1F:
        raise ValueError("a tag of several octets, which no certificate has")
    if first < 0x80:
        return tag, at + 2, first
    if first == 0x80:
        if not tag & _CONSTRUCTED:
            raise ValueError("a primitive element without a length")
        return tag, at + 2, None
    start = at + 2 + (first & 0x7F)
    if first & 0x7F > 8 or start > len(data):
        raise ValueError("a length that cannot be meant")
    return tag, start, int.from_bytes(data[at + 2 : start], "big")


def _end_of_contents(data: bytes, at: int) -> int:
    """Where the two zero octets stand that end an element of indefinite length (§8.1.5)."""
    depth = 1
    for _ in range(MAX_ELEMENTS):
        if data[at : at + 2] == b"\0\0":
            depth -= 1
            if not depth:
                return at
            at += 2
            continue
        _, start, length = _header(data, at)
        depth += length is None
        at = start + (length or 0)
    raise ValueError(f"more than {MAX_ELEMENTS} elements")


#: What the outline of a file's first element says that it is. The order counts.
_KINDS = (
    ("certificate", r"S\(S\(0?ISSSSS.*\)S\(D.?\)B\)"),  # RFC 5280 §4.1
    ("csr", r"S\(S\(ISS0?\)S\(D.?\)B\)"),  # RFC 2986 §4.2
    ("crl", r"S\(S\(I?SSTT?.*\)S\(D.?\)B\)"),  # RFC 5280 §5.1
    ("public-key", r"S\(S\(D.?\)B\)|S\(II\)"),  # SubjectPublicKeyInfo; RFC 8017 §A.1.1
    ("pkcs8", r"S\(IS\(D.?\)O.*\)"),  # RFC 5958 §2
    ("encrypted-pkcs8", r"S\(S\(DS\)O\)"),  # RFC 5958 §3
    ("pkcs12", r"S\(IS\(D0\)(S\(.*\))?\)"),  # RFC 7292 §4
    ("traditional-key", r"S\(I{9}(S\(.*\))?\)|S\(IO0?1?\)|S\(I{6}\)"),  # RFC 8017 §A.1.2; RFC 5915 §3; DSA
    ("cms", r"S\(D0?\)"),  # RFC 5652 §3
    ("ocsp", r"S\(E0?\)"),  # RFC 6960 §4.2.1
    ("certificate", r"S\(S\(.*\)S\(.*\)B\)"),  # something signed, which a reader will complain about
)


def kind(data: bytes) -> str:
    """What the first element of ``data`` is by its outline ("certificate", "csr", ...); empty for anything else."""
    shape = outline(data)
    return next((name for name, pattern in _KINDS if re.fullmatch(pattern, shape)), "")
