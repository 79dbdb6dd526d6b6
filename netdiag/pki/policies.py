"""Certificate policies along one path: RFC 5280 §6.1, with the graph of RFC 9618 in place of the exponential tree.

Contract: pure. Of the graph only the last level is remembered, and for each of its nodes from which policies of the
trust anchor's domain it descends: that is all that §6.1.5 (g) asks of its parents.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from cryptography import x509

from netdiag.pki.facts import Facts

ANY = "2.5.29.32.0"
#: Policies of one certificate, and nodes of one level; real certificates have up to a dozen. RFC 9618 §1 tells of
#: certificates made to exhaust verifiers.
MAX_POLICIES = 256


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What the user wants of policies, by the names of §6.1.1 (c) and (e) to (g). The default is what clients do."""

    user_initial_policy_set: frozenset[str] = frozenset({ANY})
    initial_explicit_policy: bool = False
    initial_policy_mapping_inhibit: bool = False
    initial_any_policy_inhibit: bool = False


#: No wishes.
ANYTHING = Inputs()


@dataclass(frozen=True)
class _Node:
    """The policies expected below, and the policies of the anchor's domain that it descends from (§6.1.2 (a))."""

    expected: frozenset[str]
    origins: frozenset[str]


#: A level of the graph: each valid policy and its node.
Level = dict[str, _Node]
_START = _Node(frozenset({ANY}), frozenset())


@dataclass
class _State:
    """The variables of §6.1.2; a count of certificates that may still follow, and no limit for None."""

    level: Level | None = field(default_factory=lambda: {ANY: _START})
    explicit: int | None = None
    mapping: int | None = None
    any_policy: int | None = None


def policy_problems(elements: Sequence[Facts], inputs: Inputs) -> Iterator[tuple[int, str]]:
    """What is wrong with the policies of a path: the element (0 is the leaf) and a sentence.

    ``elements`` are those that §6.1 processes: leaf first, without the trust anchor.
    """
    state = _State(
        explicit=0 if inputs.initial_explicit_policy else None,
        mapping=0 if inputs.initial_policy_mapping_inhibit else None,
        any_policy=0 if inputs.initial_any_policy_inhibit else None,
    )
    for index in range(len(elements) - 1, -1, -1):
        element = elements[index]
        _descend(state, element, final=not index)
        if state.explicit == 0 and state.level is None:
            yield index, "an explicit policy is required here, and none is valid along the path"
            return
        if index:
            yield from ((index, problem) for problem in _map(state, element))
            _count(state, element)
            _constrain(state, element)
    if state.explicit:
        state.explicit -= 1
    constraints = elements[0].extension(x509.PolicyConstraints) if elements else None
    if constraints is not None and constraints.require_explicit_policy == 0:
        state.explicit = 0
    if state.explicit == 0 and not _acceptable(state.level, inputs.user_initial_policy_set):
        wanted = (
            "" if ANY in inputs.user_initial_policy_set else f" ({', '.join(sorted(inputs.user_initial_policy_set))})"
        )
        yield 0, f"an explicit policy is required{wanted}, and none is valid along the path"


def _acceptable(level: Level | None, wanted: frozenset[str]) -> bool:
    """§6.1.5 (g): whether the graph is not empty once it is intersected with the user's policies."""
    if level is None:
        return False
    return ANY in wanted or ANY in level or any(node.origins & wanted for node in level.values())


def _descend(state: _State, element: Facts, *, final: bool) -> None:
    """§6.1.3 (d) to (e): the next level of the graph."""
    policies = element.extension(x509.CertificatePolicies)
    above = state.level
    if policies is None or above is None:
        state.level = None
        return
    named = [entry.policy_identifier.dotted_string for entry in list(policies)[:MAX_POLICIES]]
    origins: dict[str, set[str]] = {}
    for policy, node in above.items():
        for expected in node.expected:
            origins.setdefault(expected, set()).update(node.origins if policy != ANY else {expected} - {ANY})
    level: Level = {}
    for policy in named:
        if policy in origins and policy != ANY:
            level[policy] = _Node(frozenset({policy}), frozenset(origins[policy]))
        elif ANY in origins and policy != ANY:
            level[policy] = _Node(frozenset({policy}), frozenset({policy}))
    if ANY in named and (state.any_policy != 0 or (not final and element.self_issued)):
        for policy in list(origins)[:MAX_POLICIES]:
            level.setdefault(policy, _Node(frozenset({policy}), frozenset(origins[policy])))
    state.level = level or None


def _map(state: _State, element: Facts) -> Iterator[str]:
    """§6.1.4 (a) and (b)."""
    mappings = element.policy_mappings[:MAX_POLICIES]
    if len(element.policy_mappings) > MAX_POLICIES:
        yield f"it maps more than {MAX_POLICIES} policies"
    if any(ANY in pair for pair in mappings):
        yield "its policy mappings map anyPolicy, which RFC 5280 §4.2.1.5 forbids"
    if state.level is None:
        return
    wanted: dict[str, set[str]] = {}
    for issuer_policy, subject_policy in mappings:
        wanted.setdefault(issuer_policy, set()).add(subject_policy)
    for policy, expected in wanted.items():
        if state.mapping == 0:
            state.level.pop(policy, None)
        elif policy in state.level or ANY in state.level:
            known = state.level.get(policy)
            state.level[policy] = _Node(frozenset(expected), known.origins if known else frozenset({policy}))
    state.level = state.level or None


def _count(state: _State, element: Facts) -> None:
    """§6.1.4 (h): self-issued certificates do not count."""
    if element.self_issued:
        return
    state.explicit = _less(state.explicit)
    state.mapping = _less(state.mapping)
    state.any_policy = _less(state.any_policy)


def _constrain(state: _State, element: Facts) -> None:
    """§6.1.4 (i) and (j)."""
    constraints = element.extension(x509.PolicyConstraints)
    if constraints is not None:
        state.explicit = _lower(state.explicit, constraints.require_explicit_policy)
        state.mapping = _lower(state.mapping, constraints.inhibit_policy_mapping)
    inhibit = element.extension(x509.InhibitAnyPolicy)
    state.any_policy = _lower(state.any_policy, inhibit.skip_certs if inhibit else None)


def _less(count: int | None) -> int | None:
    return count - 1 if count else count


def _lower(one: int | None, other: int | None) -> int | None:
    given = [count for count in (one, other) if count is not None]
    return min(given) if given else None
