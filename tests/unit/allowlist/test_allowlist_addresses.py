"""Sets of addresses against Python's ``ipaddress``, by brute force over small universes, and notations."""

from __future__ import annotations

import ipaddress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netdiag.allowlist.addresses import (
    EVERYTHING,
    NOTHING,
    Addresses,
    difference,
    intersection,
    merged,
    parse_address,
    parse_destination,
    parse_prefix,
    parse_prefixes,
    parted,
    prefix_length,
    union,
)

#: Universes of 256 addresses, at the ends of the space and in the middle.
BASES = {4: (0, 0x0D428F00, 2**32 - 256), 6: (0, 0x20010DB8 << 96, 2**128 - 256)}
NETWORK = {4: ipaddress.IPv4Network, 6: ipaddress.IPv6Network}
ADDRESS = {4: ipaddress.IPv4Address, 6: ipaddress.IPv6Address}
BITS = {4: 32, 6: 128}

families = st.sampled_from([4, 6])


@st.composite
def universes(draw):
    family = draw(families)
    base = draw(st.sampled_from(BASES[family]))
    return family, base


@st.composite
def networks(draw, family, base):
    """A network in the universe: a length from 24 (or 120) on, and a place."""
    length = draw(st.integers(0, 8))
    first = base + draw(st.integers(0, 255)) & ~((1 << length) - 1)
    return NETWORK[family]((first, BITS[family] - length))


@st.composite
def two_sets(draw):
    family, base = draw(universes())
    some = st.lists(networks(family, base), max_size=12)
    return family, base, draw(some), draw(some)


def as_set(nets):
    return union(parse_prefix(str(net)) for net in nets)


def members(nets, base):
    return {n for net in nets for n in range(int(net.network_address), int(net.broadcast_address) + 1)} & set(
        range(base, base + 256)
    )


def held(addresses, family, base):
    return {n for n in range(base, base + 256) if (family, n) in addresses}


@given(two_sets())
def test_arithmetic_is_that_of_sets(case):
    family, base, ours, theirs = case
    a, b = as_set(ours), as_set(theirs)
    left, right = members(ours, base), members(theirs, base)
    assert held(a, family, base) == left
    assert held(a | b, family, base) == left | right
    assert held(a & b, family, base) == left & right
    assert held(a - b, family, base) == left - right
    assert bool(a) == bool(left)
    assert held(a, 10 - family, BASES[10 - family][1]) == set()


@given(two_sets())
def test_cover_is_what_collapse_addresses_gives(case):
    """The smallest list of prefixes, in order; of differences too, by way of single addresses."""
    family, base, ours, theirs = case
    assert list(as_set(ours).prefixes()) == [str(net) for net in ipaddress.collapse_addresses(ours)]
    left = members(ours, base) - members(theirs, base)
    expected = ipaddress.collapse_addresses(NETWORK[family]((n, BITS[family])) for n in left)
    assert list((as_set(ours) - as_set(theirs)).prefixes()) == [str(net) for net in expected]


@given(two_sets())
def test_equal_sets_are_equal_values(case):
    _, _, ours, theirs = case
    a, b = as_set(ours), as_set(theirs)
    assert (a | b) - (a - b) - (b - a) == a & b
    assert a | a == a
    assert as_set(reversed(ours)) == a
    assert as_set(parse_networks(a)) == a
    assert EVERYTHING - (EVERYTHING - a) == a


def parse_networks(addresses):
    return [ipaddress.ip_network(text) for text in addresses.prefixes()]


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)).map(sorted).map(tuple), max_size=10), st.data())
def test_intervals_stay_sorted_apart_and_complete(intervals, data):
    ours = merged(intervals)
    theirs = merged(data.draw(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 5)), max_size=8).map(
        lambda pairs: [(low, low + size) for low, size in pairs])))  # fmt: skip
    points = {n for low, high in intervals for n in range(low, high + 1)}
    others = {n for low, high in theirs for n in range(low, high + 1)}
    for found, expected in (
        (ours, points),
        (intersection(ours, theirs), points & others),
        (difference(ours, theirs), points - others),
    ):
        assert {n for low, high in found for n in range(low, high + 1)} == expected
        assert all(low <= high for low, high in found)
        assert all(high + 1 < low for (_, high), (low, _) in pairwise(found))


@given(two_sets())
def test_ranges_are_parted_by_what_they_share(case):
    family, _, ours, theirs = case
    ranges = [(int(net.network_address), int(net.broadcast_address)) for net in ours]
    sharing, apart = parted(ranges, as_set(theirs).of(family))
    assert sharing == [r for r, net in zip(ranges, ours, strict=True) if any(net.overlaps(other) for other in theirs)]
    assert sorted(sharing + apart) == sorted(ranges)


@given(st.ip_addresses())
def test_addresses_are_read_and_written_as_ipaddress_does(address):
    family, number = parse_address(str(address))
    assert (family, number) == (address.version, int(address))
    shown = next(Addresses(v4=((number, number),)).prefixes()) if family == 4 else next(
        Addresses(v6=((number, number),)).prefixes())  # fmt: skip
    assert shown == f"{address}/{BITS[family]}"


@given(st.ip_addresses(v=6))
def test_long_forms_of_ipv6(address):
    assert parse_address(address.exploded.upper()) == (6, int(address))
    low = int(address) & 0xFFFFFFFF
    dotted = f"{address.exploded[:30]}{ipaddress.IPv4Address(low)}"
    assert parse_address(dotted) == (6, int(address))


@given(st.text(alphabet="0123456789abcf:./-* x", max_size=24))
def test_what_is_read_as_a_prefix_is_one_for_ipaddress_too(text):
    found = parse_prefix(text)
    try:
        expected = ipaddress.ip_network(text, strict=False)
    except ValueError:
        expected = None
    if expected is not None and "%" not in text:
        assert found is not None
        assert list(found.prefixes()) == [str(expected)]
    elif found is not None:  # only wildcard masks go beyond what ipaddress takes
        assert "/" in text
        assert "." in text.partition("/")[2]


@given(st.lists(st.ip_addresses().map(str) | st.text(alphabet="0123456789./:", max_size=12), max_size=6), st.data())
def test_many_prefixes_are_read_as_each_of_them(texts, data):
    texts = [
        f"{text}{data.draw(st.sampled_from(['', '/', '/0', '/24', '/32', '/33', '/255.0.0.0']))}" for text in texts
    ]
    assert parse_prefixes(texts) == union(found for found in map(parse_prefix, texts) if found)


@pytest.mark.parametrize(
    ("text", "prefixes"),
    [
        ("13.66.143.128/28", ["13.66.143.128/28"]),
        ("13.66.143.131/28", ["13.66.143.128/28"]),
        ("13.66.143.128", ["13.66.143.128/32"]),
        ("13.66.143.128/255.255.255.240", ["13.66.143.128/28"]),
        ("13.66.143.128/0.0.0.15", ["13.66.143.128/28"]),
        ("10.0.0.0/0.0.0.0", ["0.0.0.0/0"]),
        ("10.0.0.1-10.0.0.6", ["10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/31", "10.0.0.6/32"]),
        ("10.0.0.0 - 10.0.0.255", ["10.0.0.0/24"]),
        ("10.0.0.0-255", ["10.0.0.0/24"]),
        ("20.42.132.*", ["20.42.132.0/24"]),
        ("20.42.*.*", ["20.42.0.0/16"]),
        ("2603:1030:C06:2::440/122", ["2603:1030:c06:2::440/122"]),
        ("[2603:1030::1]", ["2603:1030::1/128"]),
        ("[2603:1030::]/32", ["2603:1030::/32"]),
        ("2603::1-2603::2", ["2603::1/128", "2603::2/128"]),
        ("::/0", ["::/0"]),
    ],
)
def test_notations(text, prefixes):
    assert list(parse_destination(text).prefixes()) == prefixes


@pytest.mark.parametrize(
    "text",
    [
        "",
        "13.66.143",
        "13.66.143.256",
        "013.66.143.1",
        "13.66.143.128/33",
        "13.66.143.128/255.0.255.0",
        "13.66.143.128/",
        "10.0.0.9-10.0.0.1",
        "10.0.0.1-2603::1",
        "10.*.0.*",
        "*.*",
        "1:2:3:4:5:6:7",
        "1::2::3",
        "::1%eth0",
        "2603::1/129",
        "[2603::1]:443",
        "٣.66.143.1",
        "1" * 200,
        "host-1.example",
    ],
)
def test_what_is_no_address(text):
    assert parse_destination(text) is None


def test_masks():
    assert prefix_length("255.255.255.255", 4) == 32
    assert prefix_length("255.255.254.0", 4) == 23
    assert prefix_length("0.0.1.255", 4) == 23
    assert prefix_length("255.255.254.0", 6) is None
    assert prefix_length("129", 6) is None


def test_the_whole_space_and_nothing():
    assert list(EVERYTHING.prefixes()) == ["0.0.0.0/0", "::/0"]
    assert list(NOTHING.prefixes()) == []
    assert EVERYTHING - EVERYTHING == NOTHING
    assert (4, 0) in EVERYTHING
    assert (6, 2**128 - 1) in EVERYTHING
