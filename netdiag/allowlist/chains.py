"""Chains of rules that jump into each other, as iptables and nftables have them -> one list of which the first decides.

Contract: pure. A jump is replaced by the rules of its target, as far as they can be met there; a return takes what it
fits out of the rest of its chain. The number of steps is bounded, and so is the depth, whatever the file says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from netdiag.allowlist.addresses import EVERYTHING, Addresses, Intervals
from netdiag.allowlist.entries import ALL_PORTS, Action, Entry, Unread, has_port
from netdiag.model import UsageError

Verdict = Literal["accept", "drop", "return", "jump", "goto"]

#: The kernel lets chains nest 16 deep (NFT_JUMP_STACK_SIZE).
MAX_DEPTH = 16
#: Rules looked at for one question, those of a chain as often as it is jumped into.
MAX_STEPS = 300_000

_ACTIONS: dict[Verdict, Action] = {"accept": "allow", "drop": "deny"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """One rule of a chain; it fits when all of it does. ``only``: conditions that netdiag cannot test."""

    place: str
    verdict: Verdict
    target: str = ""
    to: Addresses = EVERYTHING
    ports: Intervals = ALL_PORTS
    only: tuple[str, ...] = ()


@dataclass(kw_only=True)
class Chain:
    """A chain by its name. ``policy`` is that of a base chain: what becomes of the rest.

    ``unread``: its rules that were not understood. They matter only where the chain does.
    """

    name: str
    policy: Action | None = None
    rules: list[Link] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)

    @property
    def filters(self) -> bool:
        """Whether it might keep anything back."""
        return self.policy == "deny" or any(rule.verdict not in ("accept", "return") for rule in self.rules)


def reached(chains: Mapping[str, Chain], start: Chain) -> Iterator[Chain]:
    """The chain and all that can be jumped into from it, each once."""
    waiting, seen = [start], {start.name}
    while waiting:
        chain = waiting.pop()
        yield chain
        for rule in chain.rules:
            if rule.target in chains and rule.target not in seen:
                seen.add(rule.target)
                waiting.append(chains[rule.target])


@dataclass
class _Walk:
    chains: Mapping[str, Chain]
    port: int
    what: str
    entries: list[Entry] = field(default_factory=list)
    steps: int = 0

    def through(self, chain: Chain, within: Addresses, only: tuple[str, ...], depth: int) -> None:
        if depth > MAX_DEPTH:
            raise UsageError(f"{self.what}: chains jump into each other more than {MAX_DEPTH} deep at {chain.name!r}")
        for rule in chain.rules:
            self.steps += 1
            if self.steps > MAX_STEPS:
                raise UsageError(f"{self.what}: more than {MAX_STEPS:,} rules to follow")
            if not has_port(rule.ports, self.port):
                continue
            met = rule.to if within is EVERYTHING else rule.to & within
            if not met:
                continue
            conditions = (*only, *rule.only)
            if rule.verdict in _ACTIONS:
                action = _ACTIONS[rule.verdict]
                self.entries.append(Entry(place=rule.place, action=action, to=met, only=conditions))
                continue
            target = self.chains.get(rule.target)
            if rule.verdict in ("jump", "goto") and target is not None:
                self.through(target, met, conditions, depth + 1)
            if rule.verdict in ("return", "goto") and not conditions:
                within = within - met


def flattened(
    chains: Mapping[str, Chain], start: Chain, port: int, what: str, within: Addresses = EVERYTHING
) -> list[Entry]:
    """The rules that a connection to ``port`` meets from ``start`` on, and in the end the policy.

    Raises ``UsageError`` for chains without an end; ``what`` stands in it for the file.
    """
    walk = _Walk(chains, port, what)
    walk.through(start, within, (), 0)
    policy = Entry(place=f"the policy of chain {start.name}", action=start.policy or "allow", to=within)
    return [*walk.entries, policy]
