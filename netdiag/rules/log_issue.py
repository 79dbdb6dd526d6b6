"""``@known_issue``: what a log's text must say to be one of the known issues, and what is to be said about it.

Contract: as registry.py: id, title, severity, explanation and detection stand in one place. A known issue is a rule
on ``LogObservation``: its function is asked about one error's text, and answers with ``Advice`` or None. Texts are
compared without blanks and in lower case, so that it does not matter where they were wrapped; what codes and names of
types tell holds in every language. Pure.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable, Collection, Iterator, Sequence

import msgspec

from netdiag.model import Blame, Culprit, Finding, LogFileObservation, LogObservation, LogPlace, Severity, authority
from netdiag.rules.registry import Hit, rule
from netdiag.rules.seen import Seen
from netdiag.rules.words import counted, few, upper, utc

GUIDE = "https://learn.microsoft.com/azure/data-factory/self-hosted-integration-runtime-troubleshoot-guide"

#: Findings of one known issue: one for each thing that is said of it (another host, another assembly).
MAX_HITS = 8
#: Errors named as evidence of one finding.
MAX_EVIDENCE = 16

_QUOTES = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"'})
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_TYPE = re.compile(r"\b([A-Z]\w{0,80}Exception)\b")


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be said about an error that is a known issue. ``commands`` are netdiag's, as arguments."""

    summary: str
    blame: Blame
    remedy: str
    details: tuple[str, ...] = ()
    commands: tuple[tuple[str, ...], ...] = ()
    culprit: Culprit | None = None


class LogText:
    """One error, with the questions that known issues ask of it."""

    def __init__(self, seen: LogObservation) -> None:
        self.seen = seen
        self.solid = solid(seen.text)
        values = {code.value for code in seen.codes}
        #: An HRESULT that wraps a Win32 number is that number too.
        self.codes = frozenset(values | {value & 0xFFFF for value in values if value >> 16 == 0x8007})
        spelled = "".join(seen.text.split())
        self.types = frozenset(
            {exception.type.rpartition(".")[2] for exception in seen.exceptions if exception.type}
            | {match[1] for match in _TYPE.finditer(seen.text)}
            | {match[1] for match in _TYPE.finditer(spelled)}
        )

    def says(self, *phrases: str) -> bool:
        """Whether any of these phrases is in it, however it is wrapped."""
        return any(_phrase(phrase) in self.solid for phrase in phrases)

    def matches(self, pattern: str) -> bool:
        """Whether the text without blanks, in lower case, matches."""
        return re.search(pattern, self.solid) is not None

    def code(self, *numbers: int) -> bool:
        """Whether any of these numbers stands in it."""
        return not self.codes.isdisjoint(numbers)

    def type(self, *names: str) -> bool:
        """Whether an exception of any of these types is in it."""
        return not self.types.isdisjoint(names)

    @property
    def is_node(self) -> bool:
        """Whether it is about net.tcp, by which the nodes of one integration runtime talk."""
        return "net.tcp://" in self.solid or "nodnsentriesexistforhost" in self.solid

    @property
    def is_of_runtime(self) -> bool:
        """Whether the integration runtime wrote it, or it names it."""
        return self.says("DIAHost", "DataManagementGateway", "Integration Runtime", "Microsoft.DataTransfer") or (
            "integrationruntime" in solid(self.seen.provider) or "diahost" in solid(self.seen.provider)
        )

    @property
    def place(self) -> LogPlace | None:
        """What it wanted to connect to; a net.tcp address first."""
        places = [place for place in self.seen.places if is_host(place.host)]
        return next((place for place in places if place.scheme == "net.tcp"), places[0] if places else None)

    @property
    def where(self) -> str:
        """The same in words."""
        place = self.place
        if place is None:
            return "another machine"
        name = authority(place.host, place.port) if place.port else place.host
        return f"{name} ({place.address})" if place.address and place.address != place.host else name


@functools.lru_cache(maxsize=1024)
def _phrase(text: str) -> str:
    return solid(text)


def solid(text: str) -> str:
    """Without blanks, in lower case, with plain quotation marks."""
    return "".join(text.translate(_QUOTES).casefold().split())


def is_host(name: str) -> bool:
    """Whether it may stand in a command: an address, or a name that DNS could hold. A saved report may say anything."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        labels = name.rstrip(".").split(".")
        numeric = all(label.isdigit() for label in labels)
        return len(name) <= 253 and not numeric and all(_LABEL.fullmatch(label) for label in labels)
    return True


def endpoint(text: LogText, *, port: int = 443) -> tuple[tuple[str, ...], ...]:
    """``netdiag endpoint`` for what the text wanted to connect to; nothing where that is not known."""
    place = text.place
    if place is None:
        return ()
    number = place.port or port
    target = authority(place.host, number)
    spoken = place.scheme in ("", "http", "https") and number in (80, 443)
    return (("netdiag", "endpoint", target if spoken or place.scheme == "https" else f"tcp://{target}"),)


def node(text: LogText) -> tuple[tuple[str, ...], ...]:
    """``netdiag node`` for the node that the text wanted to connect to."""
    place = text.place
    return (("netdiag", "node", authority(place.host, place.port or 8060)),) if place else ()


Match = Callable[[LogText], Advice | None]

#: Every known issue, by its id.
ISSUES: dict[str, Match] = {}


def known_issue(
    id: str,  # noqa: A002 - as in ``rule``
    title: str,
    severity: Severity = Severity.ERROR,
    *,
    folds: tuple[str, ...] = (),
    explains: tuple[str, ...] = (),
    reference: str = GUIDE,
) -> Callable[[Match], Match]:
    """Register a known issue. ``folds`` are others that the same error's text shows, and that this one explains.

    ``explains`` are those that other errors of the same log show as its consequence.
    """

    def register(match: Match) -> Match:
        @functools.wraps(match)
        def check(seen: Seen) -> Iterator[Hit]:
            yield from _hits(seen, match, explains)

        ISSUES[id] = match
        # ``wraps`` gives the rule the docstring and the module of the function; its type is the wrapper's.
        rule(id, title, severity, folds=(*folds, *explains), reference=reference)(check)
        return match

    return register


def texts(seen: Seen) -> tuple[LogText, ...]:
    """Every error of the log."""
    return tuple(LogText(observation) for observation in seen.of(LogObservation))


def recognise(seen: LogObservation) -> tuple[str, ...]:
    """The ids of the known issues that one error shows."""
    text = LogText(seen)
    return tuple(identifier for identifier, match in ISSUES.items() if match(text) is not None)


def _hits(seen: Seen, match: Match, explains: Collection[str]) -> Iterator[Hit]:
    """One hit for each thing that is said, the most frequent first; the last tells how many there are no room for."""
    said: dict[str, tuple[Advice, list[LogObservation]]] = {}
    for text in seen.derived(texts):
        advice = match(text)
        if advice is not None:
            said.setdefault(advice.summary, (advice, []))[1].append(text.seen)
    if not said:
        return
    consequences = [
        text.seen for text in seen.derived(texts) if any(ISSUES[identifier](text) for identifier in explains)
    ]
    groups = sorted(said.values(), key=lambda group: -sum(o.count for o in group[1]))
    for n, (advice, observations) in enumerate(groups[:MAX_HITS]):
        evidence = [*observations, *consequences]
        rest = len(groups) - MAX_HITS if n == MAX_HITS - 1 else 0
        more = (f"{rest} more like this, in other words or about other places",) if rest > 0 else ()
        yield Hit(
            summary=advice.summary,
            blame=advice.blame,
            remedy=advice.remedy,
            evidence=tuple(dict.fromkeys(evidence))[:MAX_EVIDENCE],
            details=(upper(frequency(observations, utc_times=_is_utc(seen))), *advice.details, *more),
            commands=advice.commands,
            culprit=advice.culprit,
        )


def by_frequency(found: Sequence[Finding], seen: Seen) -> tuple[Finding, ...]:
    """Of one severity, what occurred most often first; the catalogue's order decides between equals."""

    def count(finding: Finding) -> int:
        observations = map(seen.get, finding.evidence)
        return sum(o.count for o in observations if isinstance(o, LogObservation))

    return tuple(sorted(found, key=lambda finding: (finding.severity.rank, -count(finding))))


def _is_utc(seen: Seen) -> bool:
    return any(summary.utc for summary in seen.of(LogFileObservation))


def frequency(observations: Collection[LogObservation], *, utc_times: bool) -> str:
    """How often and when: ``12 times, 2024-05-21 10:00:00 to 2024-05-21 11:30:00, on node1``."""
    count = sum(o.count for o in observations)
    parts = ["once" if count == 1 else counted(count, "time")]
    began = min((o.started for o in observations if o.started), default=0.0)
    ended = max((o.last for o in observations if o.last), default=0.0)
    if began:
        first, last = moment(began, utc_times=utc_times), moment(ended, utc_times=utc_times)
        parts.append(first if first == last else f"{first} to {last}")
    nodes = tuple(dict.fromkeys(name for o in observations for name in o.nodes))
    if nodes:
        parts.append(f"on {few(nodes)}")
    activities = tuple(dict.fromkeys(identifier for o in observations for identifier in o.activity_ids))
    if activities:
        parts.append(f"activity {few(activities, 2)}")
    return ", ".join(parts)


def moment(at: float, *, utc_times: bool) -> str:
    """A log's time: without a zone where the log tells none."""
    told = utc(at)
    return told if utc_times else told.removesuffix(" UTC")
