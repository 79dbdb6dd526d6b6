"""The rules that captures are judged by, without loading those about what no capture shows."""

from __future__ import annotations

from netdiag.rules.registry import MODULES, load
from netdiag.rules.services import findings

__all__ = ["findings"]

#: About the machine's own settings, its keys, its logs, its firewall rules, and what several nodes report.
_ELSEWHERE = {
    *("dns_local", "node_matrix", "key", "allowlist"),
    *("log_setup", "log_certificates", "log_nodes", "log_network", "log"),
}

load(module for module in MODULES if module not in _ELSEWHERE)
