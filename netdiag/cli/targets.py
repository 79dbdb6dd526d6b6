"""What stands for targets on the command line -> targets: names, ``@FILE`` (``@-`` is stdin), profiles.

Contract: one bad target does not stop the others. Every problem is handed to ``complain`` as one line and counted.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from netdiag.model import Target, UsageError

if TYPE_CHECKING:
    from netdiag.profile import Profile

#: Room for a hundred thousand names; more is a wrong file.
MAX_BYTES = 8_000_000

#: A comment begins a line or follows white space, so that a URL may hold a "#".
_COMMENT = re.compile(r"(?:^|\s)#.*")


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What to test. ``several`` says that the request was for more than one, whatever came of it."""

    targets: tuple[Target, ...]
    several: bool
    problems: int
    profiles: tuple[Profile, ...] = ()


def gather(
    texts: Sequence[str],
    profiles: Sequence[str],
    settings: dict[str, list[str]],
    complain: Callable[[str], None],
    parse: Callable[[str], Target] | None = None,
) -> Wanted:
    """Every target once, in the order given. ``parse`` makes one of a text; by default it is an endpoint's."""
    from netdiag.session import parse_target

    parse = parse or parse_target
    found: dict[Target, Target] = {}
    problems = 0
    expanded: list[Profile] = []

    def keep(target: Target) -> None:
        found.setdefault(msgspec.structs.replace(target, purpose=""), target)

    for text in texts:
        try:
            lines = list(_lines(text)) if text.startswith("@") else [("", text)]
        except UsageError as error:
            complain(str(error))
            problems += 1
            continue
        for where, line in lines:
            try:
                keep(parse(line))
            except UsageError as error:
                complain(f"{where}{error}")
                problems += 1
    for name in profiles:
        from netdiag.profile import expand_profile

        try:
            profile = expand_profile(name, settings)
        except UsageError as error:
            complain(str(error))
            problems += 1
            continue
        expanded.append(profile)
        for target in profile.targets:
            keep(target)
    several = len(texts) > 1 or bool(profiles) or any(text.startswith("@") for text in texts)
    return Wanted(targets=tuple(found.values()), several=several, problems=problems, profiles=tuple(expanded))


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """The targets in a file with the place of each, for messages."""
    name = text[1:]
    if not name:
        raise UsageError("@ names no file (@FILE, or @- for stdin)")
    shown = "stdin" if name == "-" else name
    try:
        data = _read(name)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise UsageError(f"{shown}: cannot be read: {reason}") from None
    if len(data) > MAX_BYTES:
        raise UsageError(f"{shown}: larger than {MAX_BYTES} bytes, so it is no list of targets")
    try:  # Notepad and PowerShell write UTF-16 with a byte order mark
        content = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{shown}: not a text file (UTF-8)") from None
    empty = True
    for number, line in enumerate(content.split("\n"), 1):
        target = _COMMENT.sub("", line).strip()
        if target:
            empty = False
            yield f"{shown}:{number}: ", target
    if empty:
        raise UsageError(f"{shown}: there is no target in it")


def _read(name: str) -> bytes:
    if name != "-":
        with Path(name).open("rb") as file:
            return file.read(MAX_BYTES + 1)
    if sys.stdin is None:
        raise ValueError("there is no standard input")
    return sys.stdin.buffer.read(MAX_BYTES + 1)


def listing(wanted: Wanted) -> str:
    """The targets as a file that ``@FILE`` reads, with what was left out as comments."""
    width = max((len(_written(target)) for target in wanted.targets), default=0)
    lines = [
        f"{_written(target):<{width}}  # {target.purpose}".rstrip(" #") if target.purpose else _written(target)
        for target in wanted.targets
    ]
    for profile in wanted.profiles:
        for skipped in profile.skipped:
            lines.append(f"# left out: {skipped.host}:{skipped.port}  {skipped.purpose}")
            lines.append(f"#   needs {' '.join(f'--set {name}=...' for name in skipped.missing)}")
    return "\n".join([*lines, ""])


def _written(target: Target) -> str:
    """The target as ``parse_target`` reads it back."""
    if target.scheme == "https" and target.path == "/":
        return target.authority
    return f"{target.scheme}://{target.authority}{'' if target.path == '/' else target.path}"
