"""Runs the probes in ladder order, then the rules. The only threads, processes and deadlines are here.

target.py      what the user typed -> Target
options.py     the user's choices
ladder.py      one run: this machine, the ways, the report
way.py         one way to the target, rung by rung
resolution.py  one name, asked everywhere at once
secure.py      TLS, its controls, the chain
node.py        another node instead: net.tcp, TLS inside it, the chain
matrix.py      who reaches whom, from what several nodes reported
recording.py   the packets of the run itself, captured
wire.py        what they show of probes that failed
judgement.py   rules, verdict, report
tracing.py     how far what failed got, hop by hop
route.py       the way to a port, hop by hop
fleet.py       many targets at once
helper.py      another process that takes a share of them
forked.py      a copy of this process, to be such a helper
apart.py       capture files, read by such a copy
captures.py    capture files instead of a live network
certificates.py  certificate files
inspecting.py    one certificate, and what it names
allowlists.py    firewall rules and service tags
logs.py          event logs and error texts, and the probes that they lead to
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netdiag.session.allowlists import AllowlistOptions, check_allowlist
    from netdiag.session.captures import CaptureAnalysis, analyze_capture, read_capture
    from netdiag.session.certificates import CertificateOptions, check_certificates
    from netdiag.session.fleet import diagnose_endpoint, diagnose_endpoints, diagnose_node, diagnose_nodes
    from netdiag.session.judgement import judge, rejudge
    from netdiag.session.logs import read_log, run_next
    from netdiag.session.matrix import node_matrix
    from netdiag.session.options import Options
    from netdiag.session.route import TraceOptions, trace_path
    from netdiag.session.target import parse_node, parse_server, parse_target

__all__ = [
    "AllowlistOptions",
    "CaptureAnalysis",
    "CertificateOptions",
    "Options",
    "TraceOptions",
    "analyze_capture",
    "check_allowlist",
    "check_certificates",
    "diagnose_endpoint",
    "diagnose_endpoints",
    "diagnose_node",
    "diagnose_nodes",
    "judge",
    "node_matrix",
    "parse_node",
    "parse_server",
    "parse_target",
    "read_capture",
    "read_log",
    "rejudge",
    "run_next",
    "trace_path",
]

#: Where each name lives. Reading a capture needs no probes, and probing no captures: each is imported when first used.
_HOME = {
    **dict.fromkeys(("AllowlistOptions", "check_allowlist"), "allowlists"),
    **dict.fromkeys(("CaptureAnalysis", "analyze_capture", "read_capture"), "captures"),
    **dict.fromkeys(("CertificateOptions", "check_certificates"), "certificates"),
    **dict.fromkeys(("diagnose_endpoint", "diagnose_endpoints", "diagnose_node", "diagnose_nodes"), "fleet"),
    **dict.fromkeys(("judge", "rejudge"), "judgement"),
    **dict.fromkeys(("read_log", "run_next"), "logs"),
    "node_matrix": "matrix",
    "Options": "options",
    **dict.fromkeys(("TraceOptions", "trace_path"), "route"),
    **dict.fromkeys(("parse_node", "parse_server", "parse_target"), "target"),
}

if not TYPE_CHECKING:  # a type checker that sees __getattr__ takes every name for one that exists

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module 'netdiag.session' has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"netdiag.session.{_HOME[name]}"), name)
        return value
