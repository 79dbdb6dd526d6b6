"""Observations -> findings. Pure: no I/O, no clock. Importing this package fills the catalogue, in ladder order."""

from netdiag.rules import dns, tcp, proxy, tls, chain, https  # noqa: F401, I001 - the order is the ladder's
from netdiag.rules.registry import CATALOGUE, RENAMED, Hit, Rule, findings, rule
from netdiag.rules.seen import Seen
from netdiag.rules.verdict import conclude

__all__ = ["CATALOGUE", "RENAMED", "Hit", "Rule", "Seen", "conclude", "findings", "rule"]
