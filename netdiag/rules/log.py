"""Errors of a log that are no known issue."""

from __future__ import annotations

from collections.abc import Iterator

from netdiag.model import LogCode, LogFileObservation, LogObservation, Severity
from netdiag.rules.log_issue import MAX_EVIDENCE, frequency, recognise
from netdiag.rules.registry import Hit, rule
from netdiag.rules.seen import Seen
from netdiag.rules.words import counted

#: Errors that are told in the finding itself; the report lists all.
_TOLD = 6
_LENGTH = 200


@rule("log.unknown-error", "Log: errors that are no known issue", Severity.WARNING)
def unknown(seen: Seen) -> Iterator[Hit]:
    """The log holds errors that netdiag does not know as issues of the integration runtime.

    They may matter or not. Each is listed with how often it occurred, and the numbers in it are
    decoded: numbers of Windows Sockets, HRESULTs, and those of .NET, the installer, WinHTTP, TLS
    and certificates. The innermost exception is usually the cause; the others only tell where it
    came up.

    Look at what began at the time when things stopped working, and at the innermost exception of
    it. Search for its type and number. The service's support asks for the activity id and the
    report id.
    """
    errors = [o for o in seen.of(LogObservation) if not recognise(o)]
    more = [summary for summary in seen.of(LogFileObservation) if summary.more_count]
    if not errors and not more:
        return
    errors.sort(key=lambda o: -o.count)
    count = sum(o.count for o in errors) + sum(summary.more_count for summary in more)
    different = len(errors) + sum(summary.more_errors for summary in more)
    kinds = counted(different, "error" if different == count else "different error")
    kinds += "" if different == count else f", {count:,} in all,"
    zone = any(summary.utc for summary in seen.of(LogFileObservation))
    told = tuple(f"{said(o)} ({frequency((o,), utc_times=zone)})" for o in errors[:_TOLD])
    rest = different - len(told)
    others = (f"{rest:,} more, which the list of errors holds",) if rest > 0 else ()
    yield Hit(
        summary=f"{kinds} in the log that {'is' if different == 1 else 'are'} no known issue",
        blame="unknown",
        remedy="Look at those that began when things stopped working, at the innermost exception first",
        evidence=tuple(errors[:MAX_EVIDENCE]),
        details=(*told, *others),
    )


def said(observation: LogObservation) -> str:
    """What an error says in a line: the innermost exception, else its text; and its numbers, decoded."""
    inner = next((e for e in reversed(observation.exceptions) if e.type or e.message), None)
    words = observation.text
    if inner is not None:
        words = f"{inner.type.rpartition('.')[2]}: {inner.message}" if inner.type else inner.message
    codes = [code_words(code) for code in observation.codes if code.name or code.meaning]
    shortened = words if len(words) <= _LENGTH else f"{words[:_LENGTH]}..."
    return shortened.strip() + (f" [{'; '.join(codes[:3])}]" if codes else "")


def code_words(code: LogCode) -> str:
    """``0x8009030D SEC_E_UNKNOWN_CREDENTIALS: the account may not ...``."""
    number = code.hexadecimal if code.value > 0xFFFF else str(code.value)
    return f"{number} {code.name}: {code.meaning}" if code.name else f"{number}: {code.meaning}"
