"""The rules that logs are judged by, without loading any other."""

from __future__ import annotations

from collections.abc import Callable

from netdiag.model import Finding
from netdiag.rules import registry
from netdiag.rules.log_issue import by_frequency, recognise
from netdiag.rules.seen import Seen

__all__ = ["findings", "recognise"]

registry.load(("log_setup", "log_certificates", "log_nodes", "log_network", "log"))


def findings(seen: Seen, broken: Callable[[str, Exception], None] | None = None) -> tuple[Finding, ...]:
    """As ``registry.findings``; of one severity, what occurred most often first."""
    return by_frequency(registry.findings(seen, broken), seen)
