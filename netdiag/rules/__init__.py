"""Observations -> findings. Pure: no I/O, no clock.

Importing this package fills the catalogue. Its order is the ladder's, causes before their symptoms: the root cause of
a report is the first error in this order.
"""

# ruff: noqa: F401, I001 - these modules are imported for their rules, in the catalogue's order
from netdiag.rules import dns_local, dns, dns_answers
from netdiag.rules import tcp_mtu, tcp_connections, tcp
from netdiag.rules import resets
from netdiag.rules import proxy_reach, proxy
from netdiag.rules import node
from netdiag.rules import tls_certificate, tls_causes, tls
from netdiag.rules import chain_clock, chain, chain_policy
from netdiag.rules import https
from netdiag.rules import capture
from netdiag.rules.registry import CATALOGUE, RENAMED, Hit, Rule, rule
from netdiag.rules.reset_entries import MAX_LISTED, reset_entries
from netdiag.rules.seen import Seen
from netdiag.rules.services import findings
from netdiag.rules.verdict import conclude, conclude_capture

__all__ = [
    "CATALOGUE",
    "MAX_LISTED",
    "RENAMED",
    "Hit",
    "Rule",
    "Seen",
    "conclude",
    "conclude_capture",
    "findings",
    "reset_entries",
    "rule",
]
