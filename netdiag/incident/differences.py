"""What several reports show differently, as values and as sentences. Pure.

Contract: what is the same in all reports that show it is no difference, nor is what only one of them shows. Times count
only where they differ grossly.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from netdiag.incident.aspects import ASPECTS, LOSS, TIMINGS, Aspect, Timing, short
from netdiag.model import RUNGS, Difference, LabelledReport, Route, SeenBy

#: Labels named in a sentence; of larger groups the first, and how many more.
_NAMED = 4
#: Different values told in one sentence.
_VALUES = 3

_ASPECTS = {aspect.what: aspect for aspect in ASPECTS}


def differences(
    reports: Sequence[LabelledReport],
    working: Collection[str] = (),
    failing: Collection[str] = (),
    *,
    of_machine: bool = False,
) -> tuple[Difference, ...]:
    """What ``reports`` show differently: what divides ``working`` from ``failing`` first, then by the ladder.

    ``of_machine``: only what means the same for every target.
    """
    found = [
        difference
        for aspect in ASPECTS
        if (aspect.of_machine or not of_machine)
        and (difference := _of_aspect(aspect, reports, working, failing)) is not None
    ]
    if not of_machine:
        found += [d for timing in (*TIMINGS, LOSS) if (d := _of_timing(timing, reports)) is not None]
    return tuple(sorted(found, key=lambda d: (not d.telling, RUNGS.index(d.rung))))  # stable


def worth_telling(found: Sequence[Difference]) -> Iterator[Difference]:
    """Those that do not merely follow from another one among them."""
    told = {difference.what for difference in found}
    for difference in found:
        aspect = _ASPECTS.get(difference.what)
        if aspect is None or not told.intersection(aspect.follows):
            yield difference


def _of_aspect(
    aspect: Aspect, reports: Sequence[LabelledReport], working: Collection[str], failing: Collection[str]
) -> Difference | None:
    seen = {one.label: short(value) for one in reports if (value := aspect.read(one.report)) is not None}
    if len(set(seen.values())) < 2:
        return None
    good = {value for label, value in seen.items() if label in working}
    bad = {value for label, value in seen.items() if label in failing}
    return Difference(
        rung=aspect.rung,
        route=_route(reports),
        what=aspect.what,
        values=tuple(SeenBy(report=label, value=value) for label, value in seen.items()),
        sentence=_sentence(aspect, seen, failing),
        telling=bool(good) and any(not any(aspect.alike(value, other) for other in good) for value in bad),
    )


def _route(reports: Sequence[LabelledReport]) -> Route:
    routes = {one.report.route for one in reports}
    return "proxy" if routes == {"proxy"} else "direct"


def _sentence(aspect: Aspect, seen: dict[str, str], failing: Collection[str]) -> str:
    """``Only node-b goes through the proxy X; node-a and node-c connect without a proxy.``"""
    groups: dict[str, list[str]] = {}
    for label, value in seen.items():
        groups.setdefault(value, []).append(label)
    ranked = sorted(groups.items(), key=lambda item: (not set(item[1]) <= {*failing}, len(item[1])))  # stable
    first, *rest = ranked
    alone = len(ranked) == 2 and (len(seen) > 2 or set(first[1]) <= {*failing}) and len(first[1]) <= len(rest[0][1])
    clauses = [f"{'only ' if alone else ''}{_clause(aspect, *first)}"]
    clauses += [_clause(aspect, *item) for item in rest[: _VALUES - 1]]
    more = len(ranked) - len(clauses)
    clauses += (
        [f"and there are {more} more variants"] if more > 1 else ["and there is one more variant"] if more else []
    )
    words = "; ".join(clauses)
    return f"{words[:1].upper()}{words[1:]}." if alone else f"{words}."


def _clause(aspect: Aspect, value: str, labels: Sequence[str]) -> str:
    single = len(labels) == 1
    for beginning, one, many in aspect.clauses:
        if value == beginning or value.startswith((f"{beginning} ", f"{beginning}:", f"{beginning};")):
            rest = value.removeprefix(beginning)
            rest = f" ({rest.lstrip(':; ')})" if rest[:1] in (":", ";") else rest
            return f"{names(labels)} {(one if single else many).replace('{}', rest)}"
    return f"{names(labels)} {(aspect.one if single else aspect.many).replace('{}', value)}"


def names(labels: Sequence[str]) -> str:
    """``node-a, node-b and node-c``."""
    if len(labels) == 1:
        return labels[0]
    if len(labels) > _NAMED:
        return f"{', '.join(labels[: _NAMED - 1])} and {len(labels) - _NAMED + 1} others"
    return f"{', '.join(labels[:-1])} and {labels[-1]}"


def _of_timing(timing: Timing, reports: Sequence[LabelledReport]) -> Difference | None:
    seen = {one.label: value for one in reports if (value := timing.read(one.report)) is not None}
    if len(seen) < 2:
        return None
    least, most = min(seen, key=lambda label: seen[label]), max(seen, key=lambda label: seen[label])
    if seen[most] - seen[least] < timing.least_s or seen[most] < timing.factor * seen[least]:
        return None
    words = _share if timing is LOSS else _duration
    return Difference(
        rung=timing.rung,
        route=_route(reports),
        what=timing.what,
        values=tuple(SeenBy(report=label, value=words(value)) for label, value in seen.items()),
        sentence=f"{timing.what}: {words(seen[most])} for {most}, {words(seen[least])} for {least}.",
    )


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _share(part: float) -> str:
    return f"{100 * part:.1f} %"
