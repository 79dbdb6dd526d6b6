"""Observations -> findings. Pure: no I/O, no clock.

catalogue.py      every rule, in the ladder's order
capture_files.py  those that captures are judged by
files.py          those that certificate files are judged by
log_files.py      those that logs are judged by
topics.py         what ``explain`` knows beside findings; the guide's headings
registry.py       ``@rule``, and how rules are asked
verdict.py        findings -> the verdict
others            the rules themselves, by stem
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netdiag.rules.catalogue import CATALOGUE, findings
    from netdiag.rules.registry import RENAMED, Hit, Rule, rule
    from netdiag.rules.seen import Seen
    from netdiag.rules.verdict import (
        conclude,
        conclude_allowlist,
        conclude_capture,
        conclude_certificates,
        conclude_log,
    )

__all__ = [
    "CATALOGUE",
    "RENAMED",
    "Hit",
    "Rule",
    "Seen",
    "conclude",
    "conclude_allowlist",
    "conclude_capture",
    "conclude_certificates",
    "conclude_log",
    "findings",
    "rule",
]

#: Where each name lives. The rules are some forty modules: who needs few of them loads no more.
_HOME = {
    **dict.fromkeys(("CATALOGUE", "findings"), "catalogue"),
    **dict.fromkeys(("RENAMED", "Hit", "Rule", "rule"), "registry"),
    "Seen": "seen",
    **dict.fromkeys(
        ("conclude", "conclude_allowlist", "conclude_capture", "conclude_certificates", "conclude_log"), "verdict"
    ),
}

if not TYPE_CHECKING:  # a type checker that sees __getattr__ takes every name for one that exists

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module 'netdiag.rules' has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"netdiag.rules.{_HOME[name]}"), name)
        return value
