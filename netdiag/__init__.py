"""netdiag: why can this machine not reach that endpoint, who is to blame, and what must they change?

model.py    the types: Target, Observation, Finding, Verdict, Report
probes/     network I/O in, observations out; never judges
wire/       bytes <-> values, shared by probes and captures
pki/        X.509 without a network
allowlist/  firewall rules and service tags -> observations
capture/    capture files -> observations
irlog/      event logs and pasted error text -> observations
rules/      observations -> findings; pure
incident/   several reports -> one incident; pure
session/    runs probes in ladder order, or reads captures and certificates; then the rules
report/     Report or Incident -> text, HTML, Markdown, JSON, a note for the network team
cli/        the command, written on this public API
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from netdiag.capture.export import flow_format, write_flows
    from netdiag.capture.options import CaptureOptions
    from netdiag.incident import merge_reports
    from netdiag.model import Finding, Incident, LabelledReport, Report, Severity, Target, UsageError, Verdict
    from netdiag.pki.api import verify_certificate
    from netdiag.pki.path import Fetch
    from netdiag.pki.verify import Verification
    from netdiag.report import load_incident, load_report, render
    from netdiag.session import (
        AllowlistOptions,
        CaptureAnalysis,
        CertificateOptions,
        Options,
        TraceOptions,
        analyze_capture,
        check_allowlist,
        check_certificates,
        diagnose_endpoint,
        diagnose_endpoints,
        diagnose_node,
        diagnose_nodes,
        node_matrix,
        parse_node,
        parse_target,
        read_capture,
        read_log,
        rejudge,
        run_next,
        trace_path,
    )

__all__ = [
    "AllowlistOptions",
    "CaptureAnalysis",
    "CaptureOptions",
    "CertificateOptions",
    "Fetch",
    "Finding",
    "Incident",
    "LabelledReport",
    "Options",
    "Report",
    "Severity",
    "Target",
    "TraceOptions",
    "UsageError",
    "Verdict",
    "Verification",
    "__version__",
    "analyze_capture",
    "check_allowlist",
    "check_certificates",
    "diagnose_endpoint",
    "diagnose_endpoints",
    "diagnose_node",
    "diagnose_nodes",
    "flow_format",
    "load_incident",
    "load_report",
    "merge_reports",
    "node_matrix",
    "parse_node",
    "parse_target",
    "read_capture",
    "read_log",
    "rejudge",
    "render",
    "run_next",
    "trace_path",
    "verify_certificate",
    "write_flows",
]

#: Where each public name lives. They are imported when first used: ``netdiag --version`` needs none of them.
_HOME = {
    **dict.fromkeys(("flow_format", "write_flows"), "netdiag.capture.export"),
    "CaptureOptions": "netdiag.capture.options",
    "merge_reports": "netdiag.incident",
    **dict.fromkeys(("Finding", "Incident", "LabelledReport", "Report", "Severity"), "netdiag.model"),
    **dict.fromkeys(("Target", "UsageError", "Verdict"), "netdiag.model"),
    "verify_certificate": "netdiag.pki.api",
    "Fetch": "netdiag.pki.path",
    "Verification": "netdiag.pki.verify",
    **dict.fromkeys(("load_incident", "load_report", "render"), "netdiag.report"),
    **dict.fromkeys(("AllowlistOptions", "check_allowlist"), "netdiag.session"),
    **dict.fromkeys(("CertificateOptions", "check_certificates"), "netdiag.session"),
    **dict.fromkeys(("CaptureAnalysis", "analyze_capture", "read_capture"), "netdiag.session"),
    **dict.fromkeys(
        ("Options", "diagnose_endpoint", "diagnose_endpoints", "parse_target", "rejudge"), "netdiag.session"
    ),
    **dict.fromkeys(("TraceOptions", "trace_path"), "netdiag.session"),
    **dict.fromkeys(("read_log", "run_next"), "netdiag.session"),
    **dict.fromkeys(("diagnose_node", "diagnose_nodes", "node_matrix", "parse_node"), "netdiag.session"),
}

if not TYPE_CHECKING:  # a type checker that sees __getattr__ takes every name for one that exists

    def __getattr__(name: str) -> Any:
        if name not in _HOME:
            raise AttributeError(f"module 'netdiag' has no attribute {name!r}")
        return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
