"""Who decides: the first rule that fits, against a simulation address by address; names; chains that jump."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netdiag.allowlist.addresses import EVERYTHING, EVERYTHING_V4, Addresses, merged
from netdiag.allowlist.chains import MAX_DEPTH, Chain, Link, flattened, reached
from netdiag.allowlist.entries import Entry, closing, decide, is_name, name_decided, name_fits
from netdiag.model import UsageError

#: A universe of 64 addresses.
SIZE = 64
sets = st.lists(st.tuples(st.integers(0, SIZE - 1), st.integers(0, 15)), max_size=3).map(
    lambda pairs: Addresses(v4=merged((low, min(low + more, SIZE - 1)) for low, more in pairs))
)


def entry(to, action="allow", **changes):
    return Entry(place=changes.pop("place", "line 1"), action=action, to=to, **changes)


def held(addresses):
    return {n for n in range(SIZE) if (4, n) in addresses}


@given(st.lists(st.tuples(sets, st.sampled_from(["allow", "deny"]), st.booleans()), max_size=12))
def test_the_first_that_fits_decides(rules):
    layer = tuple(
        entry(to, action, place=str(n), only=("on Sundays",) if limited else ())
        for n, (to, action, limited) in enumerate(rules)
    )
    expected = {}
    for each in layer:
        if each.action == "deny" and each.only:
            continue  # a condition that cannot be tested
        for n in held(each.to):
            expected.setdefault(n, each.place)
    found = decide(layer)
    assert {n: each.place for each, part in found.by for n in held(part)} == expected
    assert held(found.of("allow")) == {n for n, place in expected.items() if layer[int(place)].action == "allow"}


def test_the_families_are_apart():
    v4, v6 = Addresses(v4=((5, 9),)), Addresses(v6=((5, 9),))
    found = decide((entry(v4, "deny"), entry(EVERYTHING)))
    assert found.of("deny") == v4
    assert v6 - found.of("allow") == Addresses()


def test_the_rest_is_denied_in_the_families_that_are_spoken_of():
    six = Addresses(v6=((5, 9),))
    assert closing([entry(six)], "end")[-1].to == Addresses(v6=EVERYTHING.v6)
    assert closing([entry(Addresses(), names=("a.example",))], "end")[-1].to == EVERYTHING_V4
    assert closing([entry(EVERYTHING)], "end")[-1].to == EVERYTHING_V4


@pytest.mark.parametrize(
    ("pattern", "host", "fits"),
    [
        ("wu2.frontend.clouddatahub.net", "wu2.frontend.clouddatahub.net", True),
        ("*.frontend.clouddatahub.net", "wu2.frontend.clouddatahub.net", True),
        ("*.clouddatahub.net", "wu2.frontend.clouddatahub.net", True),
        ("*.clouddatahub.net", "clouddatahub.net", False),
        (".clouddatahub.net", "clouddatahub.net", True),
        (".clouddatahub.net", "wu2.frontend.clouddatahub.net", True),
        (".clouddatahub.net", "evilclouddatahub.net", False),
        ("*.clouddatahub.net", "evilclouddatahub.net", False),
        ("wu*.frontend.*.net", "wu2.frontend.clouddatahub.net", True),
        ("wu*.frontend.*.net", "eu.frontend.clouddatahub.net", False),
        ("a*a", "a", False),
        ("*.b.*.b", "a.b.b", False),
        ("frontend.clouddatahub.net", "wu2.frontend.clouddatahub.net", False),
    ],
)
def test_patterns_of_names(pattern, host, fits):
    assert name_fits(pattern, host) is fits


@given(st.text("ab.*", min_size=1, max_size=8), st.text("ab.", min_size=1, max_size=10))
def test_stars_are_those_of_fnmatch(pattern, host):
    import fnmatch

    if not pattern.startswith("."):
        assert name_fits(pattern, host) is fnmatch.fnmatchcase(host, pattern)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*.servicebus.windows.net", True),
        ("login.microsoftonline.com", True),
        (".core.windows.net", True),
        ("*.core.*.net", True),
        ("localhost", False),
        ("10.0.0.1", False),
        ("10.0.0.0/8", False),
        ("a..b.example", False),
        ("deny", False),
        ("*", False),
        ("x" * 300 + ".example", False),
    ],
)
def test_what_is_a_name(text, expected):
    assert is_name(text) is expected


def test_a_name_is_decided_by_the_first_rule_unless_all_addresses_were_decided_before():
    name = entry(Addresses(), names=("*.example",), place="name")
    assert name_decided((name, entry(EVERYTHING, "deny")), "a.example").place == "name"
    assert name_decided((entry(EVERYTHING, "deny"), name), "a.example") is None
    refused = entry(Addresses(), "deny", names=("a.example",), place="refused")
    assert name_decided((refused, name), "a.example").place == "refused"
    assert name_decided((refused, name), "b.example").place == "name"
    assert name_decided((name,), "a.other") is None


links = st.builds(
    lambda to, verdict, target, wide: Link(
        place="x", verdict=verdict, target=target, to=to, ports=((0, 65535),) if wide else ((80, 80),)
    ),
    sets,
    st.sampled_from(["accept", "drop", "return", "jump", "goto"]),
    st.sampled_from(["b", "c"]),
    st.booleans(),
)


def simulated(chains, name, n, port=443):
    """What becomes of one packet: True, False, or None when it falls out of the chain."""
    for rule in chains[name].rules:
        if (4, n) not in rule.to or not any(low <= port <= high for low, high in rule.ports):
            continue
        if rule.verdict == "accept":
            return True
        if rule.verdict == "drop":
            return False
        if rule.verdict == "return":
            return None
        inner = simulated(chains, rule.target, n, port)
        if inner is not None:
            return inner
        if rule.verdict == "goto":
            return None
    return None


@given(st.lists(links, max_size=6), st.lists(links, max_size=5), st.lists(links, max_size=4), st.booleans())
def test_chains_do_what_a_packet_meets(first, second, third, allow):
    """a jumps into b and c, b into c, c nowhere: the kernel takes no circles."""
    plain = [rule for rule in third if rule.verdict not in ("jump", "goto")]
    lower = [rule for rule in second if rule.target == "c"]
    chains = {
        "a": Chain(name="a", policy="allow" if allow else "deny", rules=first),
        "b": Chain(name="b", rules=lower),
        "c": Chain(name="c", rules=plain),
    }
    found = decide(tuple(flattened(chains, chains["a"], 443, "test")))
    for n in range(SIZE):
        result = simulated(chains, "a", n)
        assert ((4, n) in found.of("allow")) is (allow if result is None else result)


def test_circles_and_floods_end(monkeypatch):
    monkeypatch.setattr("netdiag.allowlist.chains.MAX_STEPS", 10_000)
    loop = {"a": Chain(name="a", rules=[Link(place="x", verdict="jump", target="a")])}
    with pytest.raises(UsageError, match=f"more than {MAX_DEPTH} deep"):
        flattened(loop, loop["a"], 443, "file")
    names = [f"c{n}" for n in range(MAX_DEPTH)]
    flood = {
        name: Chain(name=name, rules=[Link(place="x", verdict="jump", target=after)] * 6)
        for name, after in zip(names, [*names[1:], names[-1]], strict=True)
    }
    flood[names[-1]].rules = [Link(place="x", verdict="drop")] * 6
    with pytest.raises(UsageError, match="rules to follow"):
        flattened(flood, flood["c0"], 443, "file")
    assert [chain.name for chain in reached(loop, loop["a"])] == ["a"]
    assert {chain.name for chain in reached(flood, flood["c0"])} == set(names)


def test_conditions_are_handed_down():
    chains = {
        "a": Chain(name="a", policy="deny", rules=[Link(place="1", verdict="jump", target="b", only=("from here",))]),
        "b": Chain(name="b", rules=[Link(place="2", verdict="drop"), Link(place="3", verdict="accept")]),
    }
    found = flattened(chains, chains["a"], 443, "file")
    assert [(each.place, each.action, each.only) for each in found] == [
        ("2", "deny", ("from here",)),
        ("3", "allow", ("from here",)),
        ("the policy of chain a", "deny", ()),
    ]
    assert decide(tuple(found)).of("allow") == EVERYTHING
