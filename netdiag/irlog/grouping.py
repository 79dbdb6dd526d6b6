"""Entries -> the different errors among them, each with its facts, how often and when it occurred.

Contract: bounded, whatever comes: so many errors of each known issue, so many others; the rest is counted with its
codes. Two entries are the same error when they differ in nothing but times, identifiers and counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from netdiag.irlog import facts, layers
from netdiag.irlog.codes import codes_in
from netdiag.irlog.entry import MAX_ENTRY, Entry
from netdiag.irlog.facts import Wording
from netdiag.model import LogCode, LogObservation

#: Which known issues an observation shows; the rules know.
Known = Callable[[LogObservation], tuple[str, ...]]

#: Different errors that are kept: of each known issue, and of all others.
MAX_OF_ISSUE = 24
MAX_OTHERS = 200
#: Characters of a text that are kept: its beginning and its end, where the innermost exception is.
MAX_HEAD, MAX_TAIL = 6_000, 2_000
#: Spans of time that are told apart; when there are more, they become longer.
MAX_SPANS = 168
_LONGER = 24
_HOUR_S = 3600.0
#: Identifiers and nodes that are kept: of one error, and of all.
MAX_IDS = 8
MAX_ALL_IDS = 100
#: Spellings of errors that are remembered, so that a repetition costs little.
_MAX_SPELLINGS = 8_000
_SPELLING = 2_000

_GUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
#: A date with a time, a time, or a number. All begin alike, which the engine finds fast.
_NUMBER = re.compile(r"\d(?:\d{3}-\d\d-\d\d[T ][\d:.]+Z?|\d?:\d\d:\d\d(?:\.\d+)?|\d*)")
#: What belongs to the number beside it: a name, an address, a code in brackets.
_ATTACHED = frozenset("._(:[)]x")
#: Ends of words before a number that is an error's.
_ANNOUNCING = ("ode ", "ror ", "tus ", "ler ", "ned ", "lue ", "RC: ", "ode: ", "ror: ")
#: A number so long is an identifier.
_LONG = 6
_NUMBERS = re.compile(r"\d+")

#: Words by which an entry without a level is taken for an error; and what they are part of where nothing is wrong.
_WORDS = re.compile(
    r"(?<![\w./-])(?:errors?|failed|failures?|fatal|exception|cannot|could ?n[o']t|unable|denied|refused|timed out|"
    r"forcibly|fehler|fehlgeschlagen|erreur|échec|errore|erro|falló|fout)(?![\w/-]|\.\w)|エラー|例外|错误|錯誤|오류|ошибк",
    re.IGNORECASE,
)
_HARMLESS = re.compile(
    r"\b(?:no|0|zero|without(?: any)?|any|keine?|aucune?|sin|ignor\w+|on|if|retry-on-|-)[ "
    r"-]?(?:errors?|failures?|exceptions?|failed|fehler)\b"
    r"|\b(?:errors?|failed|failures?|exceptions?|fehler)\b\W{0,3}(?:[:=]|count\W{1,3}|rate\W{1,3}|is|was)\W{0,2}(?:0\b|none\b|false\b|null\b)"
    r"|\berror[ -]?(?:handl|report|log|page|level|rate|code[s]?\W{0,3}0\b|checking|correction|mode)\w*",
    re.IGNORECASE,
)


@dataclass(slots=True)
class _Group:
    """One error, and the entries that are it."""

    first: LogObservation
    count: int = 0
    began: float | None = None
    ended: float | None = None
    span_s: float = _HOUR_S
    spans: dict[float, int] = field(default_factory=dict)
    nodes: dict[str, None] = field(default_factory=dict)
    activities: dict[str, None] = field(default_factory=dict)

    def add(self, entry: Entry, activities: tuple[str, ...]) -> None:
        self.count += 1
        if entry.node and len(self.nodes) < MAX_IDS:
            self.nodes[entry.node] = None
        for identifier in activities[: MAX_IDS - len(self.activities)]:
            self.activities[identifier] = None
        if entry.time is None:
            return
        self.began = entry.time if self.began is None else min(self.began, entry.time)
        self.ended = entry.time if self.ended is None else max(self.ended, entry.time)
        start = entry.time // self.span_s * self.span_s
        self.spans[start] = self.spans.get(start, 0) + 1
        while len(self.spans) > MAX_SPANS:
            self.span_s *= _LONGER
            spans, self.spans = self.spans, {}
            for at, count in spans.items():
                start = at // self.span_s * self.span_s
                self.spans[start] = self.spans.get(start, 0) + count

    def observation(self, number: int) -> LogObservation:
        return msgspec.structs.replace(
            self.first,
            id=f"log.{number}",
            count=self.count,
            started=self.began or 0.0,
            last=self.ended or 0.0,
            spans=tuple(sorted(self.spans.items())),
            span_s=self.span_s,
            nodes=tuple(self.nodes),
            activity_ids=tuple(self.activities),
        )


@dataclass
class Gatherer:
    """Takes entries; ``observations`` is what they were."""

    known: Known
    errors: int = 0
    warnings: int = 0
    suspicious: int = 0
    more_errors: int = 0
    more_count: int = 0
    more_codes: dict[int, LogCode] = field(default_factory=dict)
    nodes: dict[str, None] = field(default_factory=dict)
    activities: dict[str, None] = field(default_factory=dict)
    more_activities: int = 0
    reports: dict[str, None] = field(default_factory=dict)
    _groups: dict[object, _Group] = field(default_factory=dict)
    #: A spelling's group; None for one that is no error, or that there was no room for ("" then counts it).
    _spellings: dict[str, _Group | None] = field(default_factory=dict)
    _full: set[str] = field(default_factory=set)
    _issues: dict[str, int] = field(default_factory=dict)
    _others: int = 0

    def add(self, entry: Entry, path: str) -> None:
        """One entry in which there may be an error."""
        self.errors += entry.level in ("critical", "error")
        self.warnings += entry.level == "warning"
        activities = self._activities(entry)
        self._identifiers(entry, activities)
        spelling = f"{entry.level} {entry.event_id} {_spelling(entry.text[:_SPELLING])}{len(entry.text) // 512}"
        if spelling not in self._spellings:
            if len(self._spellings) >= _MAX_SPELLINGS:
                self._spellings.clear()
                self._full.clear()
            self._spellings[spelling] = self._judged(entry, path, spelling)
        group = self._spellings[spelling]
        if group is not None:
            self.suspicious += 1
            group.add(entry, activities)
        elif spelling in self._full:
            self.suspicious += 1
            self.more_count += 1

    def _judged(self, entry: Entry, path: str, spelling: str) -> _Group | None:
        """The group that an entry of a new spelling belongs to."""
        first = observation_of(entry, path)
        issues = self.known(first)
        if not issues and not looks_wrong(first):
            return None
        key = (
            *(tuple(exception.type for exception in first.exceptions), tuple(code.value for code in first.codes)),
            *(first.statuses, first.places, first.assembly, first.certificate, first.provider, first.event_id),
            _NUMBERS.sub("#", _spelling(first.text[:300])),
        )
        group = self._groups.get(key)
        if group is None:
            if not self._has_room(issues):
                self._full.add(spelling)
                self.more_errors += 1
                for code in first.codes:
                    if len(self.more_codes) < MAX_IDS * 4:
                        self.more_codes[code.value] = code
                return None
            group = self._groups[key] = _Group(first)
        return group

    def _has_room(self, issues: tuple[str, ...]) -> bool:
        if not issues:
            self._others += 1
            return self._others <= MAX_OTHERS
        for issue in issues:
            self._issues[issue] = self._issues.get(issue, 0) + 1
        return any(self._issues[issue] <= MAX_OF_ISSUE for issue in issues)

    def _identifiers(self, entry: Entry, activities: tuple[str, ...]) -> None:
        if entry.node and len(self.nodes) < MAX_ALL_IDS:
            self.nodes[entry.node] = None
        for identifier in activities:
            if identifier in self.activities:
                continue
            if len(self.activities) < MAX_ALL_IDS:
                self.activities[identifier] = None
            else:
                self.more_activities += 1
        if "eport" in entry.text:
            for identifier in facts.report_ids(Wording(entry.text[:MAX_HEAD])):
                if len(self.reports) < MAX_ALL_IDS:
                    self.reports[identifier] = None

    def _activities(self, entry: Entry) -> tuple[str, ...]:
        own = (entry.activity_id.lower(),) if entry.activity_id else ()
        if "ctivity" not in entry.text and "orrelation" not in entry.text:
            return own
        return tuple(dict.fromkeys((*own, *facts.activity_ids(Wording(entry.text[:MAX_HEAD])))))

    def observations(self) -> tuple[LogObservation, ...]:
        """Every error, the earliest first."""
        groups = sorted(self._groups.values(), key=lambda group: group.began or 0.0)  # stable: else as they came
        return tuple(group.observation(number) for number, group in enumerate(groups, 1))


def observation_of(entry: Entry, path: str) -> LogObservation:
    """What one entry says, with everything that its text tells."""
    whole = layers.without_secrets(entry.text[:MAX_ENTRY])
    text = kept(whole)
    words = Wording(text)
    return LogObservation(
        id="log.0",
        parent="log",
        source="log",
        level=entry.level,
        provider=entry.provider[:200],
        event_id=entry.event_id,
        path=path,
        line=entry.number,
        text=text,
        exceptions=layers.exceptions(whole),
        codes=codes_in(words.plain) or codes_in(words.solid),
        statuses=facts.statuses(words),
        places=facts.places(words),
        assembly=facts.assembly(words),
        certificate=facts.certificate(words),
        waited_s=facts.waited_s(words),
    )


def kept(text: str) -> str:
    """A text without escapes and stacks, on one line, its middle cut out where it is long."""
    text = " ".join(layers.without_frames(layers.unpacked(text)).split())
    if len(text) <= MAX_HEAD + MAX_TAIL:
        return text
    return f"{text[:MAX_HEAD]} … {text[-MAX_TAIL:]}"


def _spelling(text: str) -> str:
    """A text without what differs from one occurrence of an error to the next: times, identifiers, counts."""
    if text.count("-") > 3:  # those of one identifier
        text = _GUID.sub("#", text)
    return _NUMBER.sub(_masked, text)


def _masked(match: re.Match[str]) -> str:
    number, text, start, end = match[0], match.string, match.start(), match.end()
    if len(number) >= _LONG:
        return "#"
    before, after = text[start - 1 : start], text[end : end + 1]
    kept_by = before.isalpha() or before in _ATTACHED or after.isalpha() or after in _ATTACHED
    return (
        number
        if (kept_by and before and text[start - 5 : start] != "line ")
        or text[max(start - 5, 0) : start].endswith(_ANNOUNCING)
        else "#"
    )


def looks_wrong(seen: LogObservation) -> bool:
    """Whether an entry is an error, as far as its level, types, codes and words tell."""
    if seen.level in ("critical", "error"):
        return True
    if any(exception.type for exception in seen.exceptions):
        return True
    if seen.level in ("information", "verbose"):
        return False
    if any(code.name and code.value for code in seen.codes):
        return True
    return _WORDS.search(_HARMLESS.sub("", seen.text)) is not None
