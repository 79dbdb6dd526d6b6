"""Logs -> one report; and the probes that its findings lead to.

Contract: ``read_log`` touches no network. It raises ``UsageError`` for a file that cannot be opened or is no log; what
else is wrong with it stands in the report.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePath

from netdiag.irlog.entry import Progress
from netdiag.irlog.reader import read
from netdiag.model import AnyObservation, Report, Target, UsageError
from netdiag.session.judgement import describe, judge_log
from netdiag.session.options import Options

#: Probes of one run: a person waits for them, a minute each at worst.
MAX_RUNS = 8
#: "netdiag", a command, a target.
_WORDS = 3


def read_log(
    files: str | Sequence[str], *, progress: Progress | None = None, cancel: threading.Event | None = None
) -> Report:
    """The report on log files, pasted error texts and event logs ("-" is standard input), all together.

    ``progress`` is told bytes read, bytes in all (or None), and entries. When ``cancel`` is set, the report is on what
    was read until then.
    """
    from netdiag.rules.log_files import recognise

    names = [files] if isinstance(files, str) else list(files)
    if not names:
        raise UsageError("no log file given")
    started, clock = time.time(), time.monotonic()
    cancel = cancel or threading.Event()
    observations: tuple[AnyObservation, ...] = ()
    failed: list[str] = []
    try:
        summary, errors = read(names, known=recognise, progress=progress, cancelled=cancel.is_set)
        observations = (summary, *errors)
    except UsageError:
        raise
    except Exception as error:  # noqa: BLE001 - a bug must not look like the log's fault (DESIGN, Errors)
        failed.append(describe(error))
    return judge_log(
        _target(names),
        started=started,
        took_s=time.monotonic() - clock,
        observations=observations,
        internal_errors=tuple(failed),
        interrupted=cancel.is_set(),
    )


def _target(files: Sequence[str]) -> Target:
    names = ["standard input" if name == "-" else PurePath(name).name for name in files]
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return Target(host="", port=0, scheme="file", path=f"{names[0]}{more}")


def next_commands(report: Report) -> tuple[tuple[str, ...], ...]:
    """The commands that the findings lead to, each once, the root cause's first."""
    return tuple(dict.fromkeys(command for finding in report.findings for command in finding.commands))


def run_next(
    report: Report,
    *,
    options: Options | None = None,
    cancel: threading.Event | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Iterator[Report]:
    """Run what the findings of a log lead to, and give a report of each, as it comes.

    ``progress`` is told what is run, how many are done, and of how many.
    """
    commands = [c for c in next_commands(report) if len(c) == _WORDS and c[1] in _RUNNERS][:MAX_RUNS]
    for number, command in enumerate(commands):
        if cancel is not None and cancel.is_set():
            return
        if progress is not None:
            progress(" ".join(command), number, len(commands))
        yield _RUNNERS[command[1]](command[2], options or Options(), cancel)


def _endpoint(target: str, options: Options, cancel: threading.Event | None) -> Report:
    from netdiag.session.fleet import diagnose_endpoint

    return diagnose_endpoint(target, options=options, cancel=cancel)


def _dns(target: str, options: Options, cancel: threading.Event | None) -> Report:
    from dataclasses import replace

    from netdiag.session.fleet import diagnose_endpoint

    return diagnose_endpoint(target, options=replace(options, until="dns"), command="dns", cancel=cancel)


def _node(target: str, options: Options, cancel: threading.Event | None) -> Report:
    from netdiag.session.fleet import diagnose_node

    return diagnose_node(target, options=options, cancel=cancel)


_RUNNERS: dict[str, Callable[[str, Options, threading.Event | None], Report]] = {
    "endpoint": _endpoint,
    "dns": _dns,
    "node": _node,
}
