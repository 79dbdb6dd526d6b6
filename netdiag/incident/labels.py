"""What each report of an incident is called: by its machine, its file, what it is about, or when it was made.

Contract: labels are unique, one line, at most ``MAX_LABEL`` characters, and the shortest that tell the reports apart.
They do not depend on the order in which the reports are given.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from netdiag.model import CaptureObservation, LabelledReport, Report

#: A column of a table has room for no more.
MAX_LABEL = 32


def in_order(reports: Sequence[LabelledReport]) -> list[LabelledReport]:
    """By when what they tell of was seen; the rest of the order has no meaning, and is always the same."""
    return sorted(reports, key=lambda one: (one.report.seen_at, _content(one.report), one.label, one.file))


def _content(report: Report) -> bytes:
    try:
        return msgspec.json.encode(report)
    except UnicodeEncodeError:  # lone surrogates, which names of files may hold
        return repr(report).encode("utf-8", "backslashreplace")


def labelled(reports: Sequence[LabelledReport], taken: Sequence[str] = ()) -> list[LabelledReport]:
    """The same reports, each with a label. One that has a label already keeps it, unless an earlier one has the same.

    ``taken`` are labels that others have.
    """
    used = {*taken}
    given: dict[int, str] = {}
    for n, one in enumerate(reports):
        if one.label:
            given[n] = _numbered(_short(one.label), used)
            used.add(given[n])
    rest = {n: list(dict.fromkeys(_candidates(one))) for n, one in enumerate(reports) if not one.label}
    plainest = {n: names[0] for n, names in rest.items()}
    while rest:
        first = Counter(names[0] for names in rest.values())
        clash = {n for n, names in rest.items() if first[names[0]] > 1 or names[0] in used}
        if not clash:
            break
        for n in clash:
            rest[n].pop(0)
            if not rest[n]:  # nothing tells it from another: a number does
                del rest[n]
                given[n] = _numbered(plainest[n], used)
                used.add(given[n])
    for n, names in rest.items():
        given[n] = names[0]
        used.add(given[n])
    return [msgspec.structs.replace(one, label=given[n]) for n, one in enumerate(reports)]


def as_baseline(one: LabelledReport) -> LabelledReport:
    """A report of a baseline is called by its file, or by what it is: its machine has other reports of that name."""
    return one if one.label else msgspec.structs.replace(one, label=_stem(one.file) or "baseline")


def _candidates(one: LabelledReport) -> Iterator[str]:
    """From the shortest name to the one that says most."""
    report = one.report
    machine = report.machine.name.partition(".")[0] if report.machine else ""
    about = _about(report)
    stem = _stem(one.file)
    who = machine or stem
    if report.target.scheme == "file":
        yield _short(about)
        who = stem
    names = [machine, stem, f"{machine} {about}" if machine else "", about, f"{who} {about}" if who else ""]
    yield from (_short(name) for name in names if name)
    yield _short(f"{who or about} {report.command}")
    day, _, time_of_day = _clock(report.seen_at).partition(" ")
    if time_of_day:
        yield _short(f"{who or about} {time_of_day}")
    yield _short(f"{who or about} {day} {time_of_day}")


def _about(report: Report) -> str:
    """The target in short: a capture's or a certificate's file without its folders, a host without the usual port."""
    target = report.target
    if target.scheme != "file":
        return target.host if target.port == 443 else target.authority
    capture = next((o.path for o in report.observations if isinstance(o, CaptureObservation)), "")
    return _base(target.path or capture) or report.command


def _base(path: str) -> str:
    return path.replace("\\", "/").rstrip("/").rpartition("/")[2]


def _stem(file: str) -> str:
    name = _base(file)
    return name.rpartition(".")[0] or name


def _clock(moment: float) -> str:
    try:
        return time.strftime("%m-%d %H:%M:%S", time.gmtime(moment))
    except (OverflowError, ValueError, OSError):
        return f"{moment:.0f}"


def _short(name: str) -> str:
    """One line, of which the beginning and the end are kept."""
    name = " ".join(name.split()) or "report"
    keep = (MAX_LABEL - 1) // 2
    return name if len(name) <= MAX_LABEL else f"{name[: MAX_LABEL - 1 - keep]}…{name[-keep:]}"


def _numbered(name: str, used: set[str]) -> str:
    """The name, with a number behind it where it is taken."""
    number, label = 1, name
    while label in used:
        number += 1
        label = f"{_shorter(name, number)} #{number}"
    return label


def _shorter(name: str, number: int) -> str:
    room = MAX_LABEL - len(f" #{number}")
    return name if len(name) <= room else f"{name[: room - 1]}…"
