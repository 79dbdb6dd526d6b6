"""The catalogue of rules: ``@rule`` puts a finding's id, severity, explanation and detection in one place.

Contract: a bad, duplicate or undocumented id fails at import. A rule is a pure function from ``Seen`` to ``Hit``
values; the registry turns a hit into a ``Finding`` by adding what the rule declares, and folds symptoms into causes.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module

import msgspec

from netdiag.model import (
    AllowlistObservation,
    Blame,
    ChainObservation,
    Culprit,
    DnsObservation,
    Finding,
    HttpsObservation,
    KeyObservation,
    LogFileObservation,
    NodeObservation,
    Observation,
    ProxyObservation,
    ProxySelection,
    ServiceTagsObservation,
    Severity,
    TlsObservation,
)
from netdiag.rules.seen import Seen

_ID = re.compile(r"[a-z]+\.[a-z0-9]+(?:-[a-z0-9]+)*")

#: Ids that had another name in an earlier release, so that ``explain`` still answers: old -> new.
RENAMED: dict[str, str] = {}


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """One detection by a rule. ``severity`` overrides the declared one, for a fault that does not stop the user."""

    summary: str
    blame: Blame
    remedy: str
    evidence: tuple[Observation, ...]
    severity: Severity | None = None
    culprit: Culprit | None = None
    details: tuple[str, ...] = ()
    commands: tuple[tuple[str, ...], ...] = ()


Check = Callable[[Seen], Iterable[Hit]]

#: Observations that depend on one another, with room: lookup, connection, tunnel, handshake, chain, retrieval. A saved
#: report may hold a circle.
_MAX_DEPTH = 16


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the catalogue."""

    id: str
    title: str
    severity: Severity
    folds: tuple[str, ...]
    reference: str
    check: Check

    @property
    def explanation(self) -> str:
        """The rule's docstring: what it means, why it matters, what to do."""
        return inspect.getdoc(self.check) or ""


CATALOGUE: dict[str, Rule] = {}


def rule(
    id: str,  # noqa: A002 - the word that users and the design use
    title: str,
    severity: Severity,
    *,
    folds: tuple[str, ...] = (),
    reference: str = "",
) -> Callable[[Check], Check]:
    """Register the decorated function as the rule that produces findings with ``id``.

    ``folds`` names the findings that are only symptoms of this one when they rest on the same evidence.
    Raises ``ValueError`` at import for an id that is malformed, already taken, or has no explanation.
    """

    def register(check: Check) -> Check:
        if not _ID.fullmatch(id):
            raise ValueError(f"rule id {id!r} is not of the form stem.kebab-slug")
        if id in CATALOGUE or id in RENAMED:
            raise ValueError(f"rule id {id!r} is already taken")
        if not check.__doc__:
            raise ValueError(f"rule {id!r} has no docstring, which is its explanation")
        CATALOGUE[id] = Rule(
            id=id,
            title=title,
            severity=severity,
            folds=folds,
            reference=reference,
            check=check,
        )
        return check

    return register


#: The modules that rules stand in. The catalogue's order is the ladder's, causes before their symptoms: the root cause
#: of a report is the first error in this order.
MODULES = (
    *("dns_local", "dns", "dns_answers"),
    *("tcp_mtu", "tcp_connections", "tcp"),
    "resets",
    *("proxy_reach", "proxy"),
    *("node", "node_matrix"),
    *("tls_certificate", "tls_causes", "tls"),
    *("chain_clock", "chain", "chain_policy", "chain_revocation"),
    "key",
    "https",
    *("log_setup", "log_certificates", "log_nodes", "log_network", "log"),
    "capture",
    "allowlist",
)


def load(modules: Iterable[str]) -> None:
    """Import these modules of rules, and put the catalogue in its order, whatever was imported before."""
    for name in modules:
        import_module(f"netdiag.rules.{name}")
    place = {f"netdiag.rules.{name}": number for number, name in enumerate(MODULES)}
    entries = sorted(CATALOGUE.values(), key=lambda entry: place.get(entry.check.__module__, len(place)))  # stable
    CATALOGUE.clear()
    CATALOGUE.update((entry.id, entry) for entry in entries)


#: What the rules of a stem judge; where nothing of it was seen, they need not be asked, nor the modules loaded, whose
#: names begin with the stem. Others are always asked.
SUBJECTS: dict[str, tuple[type[Observation], ...]] = {
    "dns": (DnsObservation,),
    "proxy": (ProxySelection, ProxyObservation),
    "node": (NodeObservation,),
    "tls": (TlsObservation, ChainObservation, HttpsObservation),
    "chain": (ChainObservation, HttpsObservation),
    "key": (KeyObservation,),
    "https": (HttpsObservation,),
    "allowlist": (AllowlistObservation,),
    "log": (LogFileObservation,),
}


def findings(seen: Seen, broken: Callable[[str, Exception], None] | None = None) -> tuple[Finding, ...]:
    """Judge what was seen by every rule: findings with symptoms folded into causes, the root cause first.

    The order is severity, then the catalogue's (which follows the ladder), then the order of detection. ``broken`` is
    told of a rule (its id) that raised, which is a bug, and the other rules go on; without it the exception is raised.
    """
    found: list[Finding] = []
    for entry in _rules_for(seen):
        try:
            found += [_finding(entry, hit) for hit in entry.check(seen)]
        except Exception as error:
            if broken is None:
                raise
            broken(entry.id, error)
    kept = _fold(found, seen)
    kept.sort(key=lambda finding: finding.severity.rank)  # stable: the catalogue's order stays within a severity
    return tuple(kept)


def _rules_for(seen: Seen) -> Iterable[Rule]:
    """Every rule; of a capture's many services, without those that have nothing to judge.

    Firewall rules are judged by those of their own stem: the lookups beside them are of many names, for comparison.
    """
    if seen.of(ServiceTagsObservation):
        return [entry for entry in CATALOGUE.values() if entry.id.startswith("allowlist.")]
    if seen.capture is None:
        return CATALOGUE.values()
    return [CATALOGUE[identifier] for identifier in _judging(frozenset(map(type, seen.observations)))]


@functools.cache
def _judging(seen: frozenset[type[Observation]]) -> tuple[str, ...]:
    """The ids of the rules that have something to judge in such observations: few kinds for all services."""
    needless = tuple(f"{stem}." for stem, kinds in SUBJECTS.items() if not any(issubclass(o, kinds) for o in seen))
    return tuple(identifier for identifier in CATALOGUE if not identifier.startswith(needless))


def _finding(entry: Rule, hit: Hit) -> Finding:
    return Finding(
        id=entry.id,
        severity=hit.severity or entry.severity,
        summary=hit.summary,
        blame=hit.blame,
        remedy=hit.remedy,
        evidence=tuple(observation.id for observation in hit.evidence),
        culprit=hit.culprit,
        reference=entry.reference,
        details=hit.details,
        commands=hit.commands,
    )


def _fold(found: list[Finding], seen: Seen) -> list[Finding]:
    """Drop every finding that another one explains, and note its id on that cause.

    A cause explains a symptom that it names in ``folds`` and whose evidence it shares, or whose evidence depends on
    its own.
    """
    folded_by: dict[int, int] = {}
    for i, symptom in enumerate(found):
        for j, cause in enumerate(found):
            if _explains(cause, symptom, seen) and _root(j, folded_by) != i:
                folded_by[i] = j
                break
    kept: list[Finding] = []
    for j, cause in enumerate(found):
        if j not in folded_by:
            ids = sorted({found[i].id for i in folded_by if _root(i, folded_by) == j})
            kept.append(msgspec.structs.replace(cause, folded=tuple(ids)) if ids else cause)
    return kept


def _root(i: int, folded_by: dict[int, int]) -> int:
    """The finding that in the end explains ``i``. There are no circles: ``_fold`` lets none arise."""
    while i in folded_by:
        i = folded_by[i]
    return i


def _explains(cause: Finding, symptom: Finding, seen: Seen) -> bool:
    """A lesser finding never explains a graver one away."""
    declared = symptom.id in CATALOGUE[cause.id].folds
    return declared and cause.severity.rank <= symptom.severity.rank and _rests_on(symptom, cause, seen)


def _rests_on(symptom: Finding, cause: Finding, seen: Seen) -> bool:
    causes = set(cause.evidence)
    return any(identifier in causes for evidence in symptom.evidence for identifier in _line(evidence, seen))


def _line(identifier: str, seen: Seen) -> Iterator[str]:
    """The id itself and its ancestors."""
    current: str | None = identifier
    for _ in range(_MAX_DEPTH):
        if current is None:
            return
        yield current
        observation = seen.get(current)
        current = observation.parent if observation else None
