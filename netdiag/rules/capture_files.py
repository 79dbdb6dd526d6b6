"""The rules that captures are judged by, without loading those about what no capture shows, or this one does not."""

from __future__ import annotations

from collections.abc import Callable

from netdiag.model import Finding
from netdiag.rules import services
from netdiag.rules.registry import MODULES, SUBJECTS, load
from netdiag.rules.seen import Seen

__all__ = ["findings"]

#: About the machine's own settings, and what several nodes report.
_ELSEWHERE = {"dns_local", "node_matrix"}
#: Those whose stem, the beginning of the name, has no subject of its own.
_ALWAYS = tuple(name for name in MODULES if name.partition("_")[0] not in SUBJECTS)

load(_ALWAYS)


def findings(seen: Seen, broken: Callable[[str, Exception], None] | None = None) -> tuple[Finding, ...]:
    """As ``services.findings``."""
    here = {stem for stem, kinds in SUBJECTS.items() if any(map(seen.of, kinds))}
    if here:
        load(name for name in MODULES if name.partition("_")[0] in here and name not in _ELSEWHERE)
    return services.findings(seen, broken)
