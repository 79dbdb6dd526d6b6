"""Sets of addresses: sorted intervals of integers for each family, with exact arithmetic.

Contract: pure and immutable. An interval is (first, last), both in it. The intervals of a set are disjoint, sorted, and
do not touch, so that equal sets are equal values and ``prefixes`` is the smallest list that covers exactly the set.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

Interval = tuple[int, int]
Intervals = tuple[Interval, ...]
Family = Literal[4, 6]
#: An address with its family; integers of the two families overlap.
Address = tuple[Family, int]

FAMILIES: tuple[Family, ...] = (4, 6)
BITS: dict[Family, int] = {4: 32, 6: 128}
_ALL_V4 = ((0, 2**32 - 1),)
_ALL_V6 = ((0, 2**128 - 1),)

#: Every way to write a byte: a table is several times quicker than to look at each digit, and lets nothing else pass.
_NUMBERS = {str(number): number for number in range(256)}
#: The length of an IPv4 prefix as it is written -> the bits beyond it.
_SPANS = {str(length): (1 << (32 - length)) - 1 for length in range(33)}
_HEX = re.compile(r"[0-9A-Fa-f]{1,4}")
#: One address can be written in 45 characters (RFC 4291 §2.2), two of them and a hyphen in a hundred.
_MAX_TEXT = 120


def merged(intervals: Iterable[Interval]) -> Intervals:
    """Any intervals as a set: sorted, with those that overlap or touch joined."""
    out: list[Interval] = []
    first = last = -2
    for low, high in sorted(intervals):
        if low <= last + 1 and last >= 0:
            if high > last:
                last = high
            continue
        if last >= 0:
            out.append((first, last))
        first, last = low, high
    if last >= 0:
        out.append((first, last))
    return tuple(out)


def intersection(ours: Intervals, theirs: Intervals) -> Intervals:
    """What is in both. The time grows with the shorter one, and with the logarithm of the other."""
    if len(ours) > len(theirs):
        ours, theirs = theirs, ours
    return tuple(
        (max(low, first), min(high, last)) for low, high in ours for first, last in _meeting(theirs, low, high)
    )


def difference(ours: Intervals, theirs: Intervals) -> Intervals:
    """What is in the first and not in the second."""
    out: list[Interval] = []
    for low, high in ours:
        start = low
        for first, last in _meeting(theirs, low, high):
            if first > start:
                out.append((start, first - 1))
            start = last + 1
        if start <= high:
            out.append((start, high))
    return tuple(out)


def parted(ours: Iterable[Interval], theirs: Intervals) -> tuple[list[Interval], list[Interval]]:
    """Of any intervals, those that share something with a set, and those that share nothing with it."""
    sharing: list[Interval] = []
    apart: list[Interval] = []
    for interval in ours:
        (sharing if any(True for _ in _meeting(theirs, *interval)) else apart).append(interval)
    return sharing, apart


def _meeting(intervals: Intervals, low: int, high: int) -> Iterator[Interval]:
    """Those that share something with ``low`` to ``high``."""
    n = bisect_right(intervals, (low,)) - 1
    if n < 0 or intervals[n][1] < low:
        n += 1
    while n < len(intervals) and intervals[n][0] <= high:
        yield intervals[n]
        n += 1


@dataclass(frozen=True, slots=True)
class Addresses:
    """A set of addresses of both families."""

    v4: Intervals = ()
    v6: Intervals = ()

    def __bool__(self) -> bool:
        return bool(self.v4 or self.v6)

    def __or__(self, other: Addresses) -> Addresses:
        return union((self, other))

    def __and__(self, other: Addresses) -> Addresses:
        return Addresses(intersection(self.v4, other.v4), intersection(self.v6, other.v6))

    def __sub__(self, other: Addresses) -> Addresses:
        return Addresses(difference(self.v4, other.v4), difference(self.v6, other.v6))

    def __contains__(self, address: Address) -> bool:
        family, number = address
        return any(True for _ in _meeting(self.of(family), number, number))

    def of(self, family: Family) -> Intervals:
        """The intervals of one family."""
        return self.v4 if family == 4 else self.v6

    def only(self, family: Family) -> Addresses:
        """The part that is of one family."""
        return Addresses(v4=self.v4) if family == 4 else Addresses(v6=self.v6)

    def prefixes(self) -> Iterator[str]:
        """The smallest list of prefixes that covers exactly this set, in order, IPv4 first."""
        for low, high in self.v4:
            for first, length in _cover(low, high, 32):
                yield f"{_v4_text(first)}/{length}"
        for low, high in self.v6:
            for first, length in _cover(low, high, 128):
                yield f"{_v6_text(first)}/{length}"


EVERYTHING = Addresses(_ALL_V4, _ALL_V6)
EVERYTHING_V4 = Addresses(v4=_ALL_V4)
EVERYTHING_V6 = Addresses(v6=_ALL_V6)
NOTHING = Addresses()


def everything(family: Family) -> Addresses:
    """All addresses of one family."""
    return EVERYTHING_V4 if family == 4 else EVERYTHING_V6


def union(sets: Iterable[Addresses]) -> Addresses:
    """All of them together, joined once: adding them one by one would take quadratic time."""
    v4: list[Interval] = []
    v6: list[Interval] = []
    for each in sets:
        v4 += each.v4
        v6 += each.v6
    return Addresses(merged(v4), merged(v6))


def _cover(low: int, high: int, bits: int) -> Iterator[tuple[int, int]]:
    """The prefixes that make up an interval: (first address, length). Each is as short as place and end allow."""
    while low <= high:
        aligned = (low & -low).bit_length() - 1 if low else bits
        size = min(aligned, (high - low + 1).bit_length() - 1)
        yield low, bits - size
        low += 1 << size


def address_text(family: Family, number: int) -> str:
    """As it is usually written (for IPv6, RFC 5952)."""
    return _v4_text(number) if family == 4 else _v6_text(number)


def _v4_text(number: int) -> str:
    return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def _v6_text(number: int) -> str:
    groups = [number >> shift & 0xFFFF for shift in range(112, -1, -16)]
    best, length = -1, 1  # a single group of zeros is not shortened (RFC 5952 §4.2.2)
    start = 0
    while start < 8:
        end = start
        while end < 8 and not groups[end]:
            end += 1
        if end - start > length:
            best, length = start, end - start
        start = max(end, start + 1)
    words = [f"{group:x}" for group in groups]
    if best < 0:
        return ":".join(words)
    return f"{':'.join(words[:best])}::{':'.join(words[best + length :])}"


def parse_address(text: str) -> Address | None:
    """One address, without brackets, zone or port; None for anything else."""
    if ":" in text:
        number = _v6_number(text)
        return None if number is None else (6, number)
    number = _v4_number(text)
    return None if number is None else (4, number)


def _v4_number(text: str) -> int | None:
    """Four decimal numbers. A leading zero would mean octal to some, so it means nothing here (RFC 6943 §3.1.1)."""
    try:
        a, b, c, d = text.split(".")
        return _NUMBERS[a] << 24 | _NUMBERS[b] << 16 | _NUMBERS[c] << 8 | _NUMBERS[d]
    except (KeyError, ValueError):
        return None


def _v6_number(text: str) -> int | None:
    """The forms of RFC 4291 §2.2."""
    if "." in text:  # the last 32 bits as an IPv4 address
        head, _, tail = text.rpartition(":")
        low = _v4_number(tail)
        if low is None:
            return None
        text = f"{head}:{low >> 16:x}:{low & 0xFFFF:x}"
    left, gap, right = text.partition("::")
    if "::" in right or (gap and right.startswith(":")):
        return None
    before = left.split(":") if left else []
    after = right.split(":") if right else []
    missing = 8 - len(before) - len(after)
    if (missing < 1 if gap else missing != 0) or not all(map(_HEX.fullmatch, before + after)):
        return None
    number = 0
    for group in (*before, *("0",) * missing, *after):
        number = number << 16 | int(group, 16)
    return number


def parse_prefix(text: str) -> Addresses | None:
    """``a``, ``a/len``, ``a/mask``; bits beyond the prefix are ignored, as firewalls do. None for anything else."""
    base, slash, length = text.partition("/")
    address = parse_address(base)
    if address is None:
        return None
    family, number = address
    size = prefix_length(length, family) if slash else BITS[family]
    if size is None:
        return None
    span = (1 << (BITS[family] - size)) - 1
    first = number & ~span
    return _interval(family, first, first | span)


def parse_prefixes(texts: Iterable[str]) -> Addresses:
    """All of many prefixes together, without what is none: as ``parse_prefix``, some times quicker for IPv4."""
    v4: list[Interval] = []
    others: list[Addresses] = []
    for text in texts:
        base, _, length = text.partition("/")
        try:
            span = _SPANS[length]
            a, b, c, d = base.split(".")
            number = _NUMBERS[a] << 24 | _NUMBERS[b] << 16 | _NUMBERS[c] << 8 | _NUMBERS[d]
        except (KeyError, ValueError):
            found = parse_prefix(text)
            if found is not None:
                others.append(found)
        else:
            first = number & ~span
            v4.append((first, first | span))
    return union((Addresses(v4=merged(v4)), *others))


def prefix_length(text: str, family: Family) -> int | None:
    """A length in digits, a netmask, or a wildcard mask as routers write it; None for what is none of them.

    0.0.0.0 and 255.255.255.255 are both; they are taken for netmasks.
    """
    length = _NUMBERS.get(text)
    if length is not None:
        return length if length <= BITS[family] else None
    mask = _v4_number(text) if family == 4 else None
    if mask is None:
        return None
    inverse = mask ^ 0xFFFFFFFF
    if inverse & (inverse + 1) == 0:  # ones, then zeros
        return 32 - inverse.bit_length()
    return 32 - mask.bit_length() if mask & (mask + 1) == 0 else None


def parse_destination(text: str) -> Addresses | None:
    """Any notation that firewalls have for addresses; None for anything else.

    Besides prefixes: ranges (``a-b``, ``10.0.0.1-20``), trailing stars (``13.66.143.*``), brackets around IPv6.
    """
    text = text.strip()
    if len(text) > _MAX_TEXT:
        return None
    found = parse_prefix(text)
    if found is not None:
        return found
    if text.startswith("[") and "]" in text:
        inner, _, rest = text[1:].partition("]")
        return parse_prefix(inner + rest) if not rest or rest.startswith("/") else None
    if "-" in text:
        return _range(text)
    return _starred(text) if text.endswith(".*") else None


def _range(text: str) -> Addresses | None:
    low, _, high = (part.strip() for part in text.partition("-"))
    first, last = parse_address(low), parse_address(high)
    if first is not None and last is None and high.isdigit() and high.isascii() and len(high) <= 3 and "." in low:
        last = parse_address(f"{low.rpartition('.')[0]}.{high}")
    if first is None or last is None or first[0] != last[0] or first[1] > last[1]:
        return None
    return _interval(first[0], first[1], last[1])


def _starred(text: str) -> Addresses | None:
    parts = text.split(".")
    fixed = parts[: parts.index("*")]
    if len(parts) != 4 or any(part != "*" for part in parts[len(fixed) :]):
        return None
    return parse_prefix(f"{'.'.join((*fixed, *('0',) * (4 - len(fixed))))}/{8 * len(fixed)}")


def _interval(family: Family, first: int, last: int) -> Addresses:
    return Addresses(v4=((first, last),)) if family == 4 else Addresses(v6=((first, last),))
