"""What a log says, in words: an error in a line, its details, all that was read. Pure; judges nothing.

Contract: as facts.py: the strings hold untrusted text as it came.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netdiag.model import LogCode, LogFileObservation, LogObservation, LogPlace, Report, authority
from netdiag.report.phrases import command_line, some
from netdiag.report.units import counted, moment, size

_FORMS = {
    "text": "text",
    "event-xml": "Event Viewer XML",
    "csv": "CSV",
    "evtx": "Windows event log",
    "json": "JSON",
}
#: Characters of an error's own words in one line.
_WORDS = 160


def commands(report: Report) -> tuple[str, ...]:
    """What to run next, the root cause's first, as far as it is safe to type."""
    told = dict.fromkeys(command_line(command) for finding in report.findings for command in finding.commands)
    return tuple(command for command in told if command)


def most_frequent(errors: Sequence[LogObservation], most: int | None) -> list[LogObservation]:
    """So many that occurred most often, in the order of time."""
    if most is None or len(errors) <= most:
        return list(errors)
    kept = {o.id for o in sorted(errors, key=lambda o: -o.count)[:most]}
    return [o for o in errors if o.id in kept]


def codes(report: Report) -> list[LogCode]:
    """Every number once."""
    found: dict[int, LogCode] = {}
    for observation in report.observations:
        if isinstance(observation, LogObservation):
            found |= {code.value: code for code in observation.codes}
    for observation in report.observations:
        if isinstance(observation, LogFileObservation):
            found |= {code.value: code for code in observation.more_codes}
    return list(found.values())


def when(at: float, *, utc: bool) -> str:
    """A log's time; without a zone where the log tells none."""
    return moment(at) if utc else moment(at).removesuffix(" UTC")


def error(observation: LogObservation) -> str:
    """``12 times: EndpointNotFoundException: Could not connect ... (10061)``, and where it stands."""
    times = f"{counted(observation.count, 'time')}: " if observation.count > 1 else ""
    return f"{times}{place_in_log(observation)}{words(observation)}"


def place_in_log(observation: LogObservation) -> str:
    """``ir.log:120 ``: the file and the line, or record."""
    name = observation.path.replace("\\", "/").rpartition("/")[2]
    return f"{name}:{observation.line} " if observation.line else ""


def words(observation: LogObservation) -> str:
    """The innermost exception that says something, else the text."""
    told = next((e for e in reversed(observation.exceptions) if e.message), None)
    said = observation.text
    if told is not None:
        said = f"{told.type.rpartition('.')[2]}: {told.message}" if told.type else told.message
    return said if len(said) <= _WORDS else f"{said[: _WORDS - 1].rstrip()}…"


def histogram(observation: LogObservation, begin: float, end: float, columns: int) -> list[int]:
    """How often it occurred in each of ``columns`` equal parts of the time from ``begin`` to ``end``."""
    counts = [0] * columns
    if end > begin > 0:
        for start, count in observation.spans:
            at = int((max(start, observation.started) - begin) / (end - begin) * columns)
            counts[min(max(at, 0), columns - 1)] += count
    return counts


def details(observation: LogObservation) -> Iterator[str]:
    """Everything that is known of an error, a line each."""
    origin = [observation.level, observation.provider]
    origin += [f"event {observation.event_id}"] if observation.event_id is not None else []
    if any(origin):
        yield ", ".join(part for part in origin if part)
    for n, layer in enumerate(observation.exceptions):
        by = f" (from {layer.source})" if layer.source else ""
        yield f"{'caused by ' if n else ''}{layer.type or 'message'}: {layer.message}{by}"
    if not observation.exceptions:
        yield observation.text
    for code in observation.codes:
        yield f"{number(code)}{f' [{code.source}]' if code.source else ''}"
    if observation.statuses:
        yield f"HTTP status {', '.join(map(str, observation.statuses))}"
    for place in observation.places:
        yield f"connects to {place_words(place)}"
    if observation.assembly:
        version = f", version {observation.assembly.version}" if observation.assembly.version else ""
        yield f"assembly {observation.assembly.name}{version}"
    if observation.certificate:
        yield f"certificate {observation.certificate}"
    if observation.waited_s is not None:
        yield f"the attempt lasted {observation.waited_s:.3f} s"
    if observation.activity_ids:
        yield f"activity {', '.join(observation.activity_ids)}"


def place_words(place: LogPlace) -> str:
    """``net.tcp://node2:8060 (10.0.0.5)``."""
    name = authority(place.host, place.port) if place.port else place.host
    scheme = f"{place.scheme}://" if place.scheme else ""
    return f"{scheme}{name}{f' ({place.address})' if place.address else ''}"


def number(code: LogCode) -> str:
    """A code in both notations, its name and its meaning: ``0x274D = 10061 WSAECONNREFUSED: refused ...``."""
    signed = code.value - (1 << 32) if code.value >= 1 << 31 else code.value
    name = f" {code.name}" if code.name else ""
    return f"{code.hexadecimal} = {signed}{name}{f': {code.meaning}' if code.meaning else ''}"


def summary(observation: LogFileObservation) -> str:
    """``2 files, 34 MB, 120,000 lines``."""
    what = ("line", "lines") if set(observation.formats) == {"text"} else ("entry", "entries")
    files = f"{len(observation.paths)} files, " if len(observation.paths) > 1 else ""
    forms = some(tuple(dict.fromkeys(_FORMS.get(form, form) for form in observation.formats)), 3)
    return f"{files}{forms}, {size(observation.bytes)}, {counted(observation.entries, *what)}"


def summary_details(observation: LogFileObservation) -> Iterator[str]:
    """What was read, a line each."""
    if observation.started:
        zone = "" if observation.utc else " (the clock of the machine that wrote it)"
        first, last = (when(at, utc=observation.utc) for at in (observation.started, observation.last))
        yield f"from {first} to {last}{zone}"
    if observation.errors or observation.warnings or observation.suspicious:
        yield (
            f"level error {observation.errors:,}, level warning {observation.warnings:,}; "
            f"{counted(observation.suspicious, 'entry looks', 'entries look')} like an error"
        )
    if observation.nodes:
        yield f"nodes: {some(observation.nodes, 8)}"
    if observation.report_ids:
        yield f"report ids: {some(observation.report_ids, 8)}"
    if observation.activity_ids:
        more = f" and {observation.more_activity_ids:,} more" if observation.more_activity_ids else ""
        yield f"activity ids: {some(observation.activity_ids, 4)}{more}"
    yield from observation.damage
