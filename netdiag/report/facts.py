"""One observation -> its concrete facts in words: an address, a status, a time. Pure; judges nothing.

Contract: the strings hold untrusted text as it came. Whoever prints them escapes them for the medium.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from importlib import import_module
from typing import Any

from netdiag.model import (
    AlignedObservation,
    AlignmentObservation,
    AllowlistObservation,
    CaptureObservation,
    ChainObservation,
    ConnectionObservation,
    DnsObservation,
    HostObservation,
    HttpsObservation,
    KeyObservation,
    LogFileObservation,
    LogObservation,
    MatrixObservation,
    NodeObservation,
    Observation,
    ProxyObservation,
    ProxySelection,
    ResetObservation,
    RetrievalObservation,
    ServiceObservation,
    ServiceTagsObservation,
    TcpObservation,
    TlsObservation,
    TraceObservation,
    WireObservation,
)
from netdiag.report import certificate_facts
from netdiag.report.phrases import common_name, failure_words, some, validity
from netdiag.report.units import day, milliseconds


def describe(observation: Observation, host: str = "") -> str:
    """The facts of one observation, one line. ``host``, which the reader knows already, is left out of it."""
    if isinstance(observation, WireObservation):
        return _describe(observation)
    if observation.outcome == "not-run":
        return "not waited for" if isinstance(observation, DnsObservation) else "not run"
    if isinstance(observation, DnsObservation):
        return _describe_dns(observation, host)
    return _describe(observation)


def _failed(observation: Observation) -> str:
    return failure_words(observation.failure, observation.took_s) if observation.failure else ""


@singledispatch
def _describe(observation: Observation) -> str:
    return _failed(observation) or observation.outcome


def _describe_dns(observation: DnsObservation, host: str) -> str:
    answer = _failed(observation) or some(observation.addresses, 4) or _empty(observation)
    aliases = [record.value for record in observation.records if record.type == "CNAME"]
    asked = "" if observation.name == host else observation.name
    asked += f" {observation.qtype}" if observation.asker == "name-server" else ""
    parts = [f"{asked.strip()}: {answer}" if asked else answer]
    if aliases:
        parts.append(f"alias of {aliases[-1]}")
    if observation.asker == "name-server" and not observation.configured:
        parts.append("asked because of --resolver")
    if observation.truncated:
        parts.append("truncated, asked again over TCP")
    if observation.attempts > 1:
        parts.append(f"asked {observation.attempts} times")
    return ", ".join(parts)


def _empty(observation: DnsObservation) -> str:
    if observation.asker == "hosts-file":
        return "no entry"
    return f"{observation.rcode or 'NOERROR'}, no address"


def _by(module: str, name: str) -> Callable[[Any], str]:
    """A function of a module of this package that is loaded when it is needed: a ladder needs nothing of captures."""

    def described(observation: Any) -> str:
        words: str = getattr(import_module(f"netdiag.report.{module}"), name)(observation)
        return words

    return described


_describe.register(CaptureObservation, _by("capture_facts", "capture"))
_describe.register(ServiceObservation, _by("capture_facts", "service"))
_describe.register(ConnectionObservation, _by("capture_facts", "connection"))
_describe.register(ResetObservation, _by("capture_facts", "reset"))
_describe.register(RetrievalObservation, certificate_facts.retrieval)
_describe.register(KeyObservation, certificate_facts.key)
_describe.register(TraceObservation, _by("trace_facts", "trace"))
_describe.register(WireObservation, _by("trace_facts", "wire"))
_describe.register(LogObservation, _by("log_facts", "error"))
_describe.register(LogFileObservation, _by("log_facts", "summary"))
_describe.register(AlignmentObservation, _by("comparison", "describe_alignment"))
_describe.register(AlignedObservation, _by("comparison", "describe_aligned"))
_describe.register(ServiceTagsObservation, _by("allowlist", "describe_tags"))
_describe.register(AllowlistObservation, _by("allowlist", "describe_firewall"))


@_describe.register
def _(observation: TcpObservation) -> str:
    parts = [_failed(observation) or f"connected in {milliseconds(observation.took_s)}"]
    captured = observation.source == "capture"
    if captured and observation.connections > 1:
        parts.append(f"{observation.connections:,} connections alike")
    if observation.icmp:
        icmp = observation.icmp
        parts.append(f"ICMPv{icmp.version} type {icmp.type} code {icmp.code} from {icmp.offender}")
    if observation.info:
        info = observation.info
        if info.rtt_ms is not None and observation.outcome == "ok":
            parts.append(f"{'round trip' if captured else 'kernel round trip'} {info.rtt_ms:.1f} ms")
        if info.retransmits:
            what = "segment" if observation.outcome == "ok" else "SYN"
            parts.append(f"{info.retransmits} {what}{'s' if info.retransmits > 1 else ''} sent again")
    return ", ".join(parts)


@_describe.register
def _(observation: ProxySelection) -> str:
    if observation.failure:
        return _failed(observation)
    chosen = f"proxy {some(observation.proxies)}" if observation.proxies else "no proxy"
    because = f" ({observation.because})" if observation.because else ""
    known = observation.setting in (observation.because, *observation.proxies)
    setting = "" if known or not observation.setting else f": {observation.setting}"
    return f"{chosen}{because}{setting}"


@_describe.register
def _(observation: ProxyObservation) -> str:
    status = "" if observation.status is None else f"{observation.status} {observation.reason}".strip()
    failed = _failed(observation)
    if observation.failure and observation.failure.kind == "proxy-status" and status:
        parts = [f"{observation.proxy} answers {status}"]
    elif failed:
        parts = [observation.proxy, status, failed]
    else:
        parts = [f"tunnel open ({status})" if status else "tunnel open", observation.proxy]
    if observation.offered and failed:
        parts.append(f"offers {', '.join(observation.offered)}")
    if observation.tried:
        parts.append(f"logged in by {observation.tried}" if not failed else f"tried {observation.tried}")
    return ", ".join(part for part in parts if part)


_describe.register(NodeObservation, _by("node_facts", "node"))
_describe.register(HostObservation, _by("node_facts", "host"))
_describe.register(MatrixObservation, _by("node_facts", "matrix"))


@_describe.register
def _(observation: TlsObservation) -> str:
    name = f"SNI {observation.server_name}" if observation.server_name else "no SNI"
    low, high = observation.offered
    asked = f"{name}, offered {low} to {high}" if low != high else f"{name}, offered {low}"
    if observation.failure is None:
        parts = [f"{observation.version} {observation.cipher}"]
        parts += [f"ALPN {observation.alpn}"] if observation.alpn else []
        parts += [f"{len(observation.chain)} certificates"] if observation.chain else []
    else:
        parts = [_failed(observation)]
        parts.append(f"{observation.bytes_sent} bytes sent, {observation.bytes_received} received")
    if observation.alert and observation.alert not in " ".join(parts):
        parts.append(f"alert {observation.alert}")
    if observation.client_certificate_requested:
        parts.append("asks for a client certificate")
    if observation.not_tls:
        parts.append(f'answered "{observation.not_tls[:40]}"')
    return f"{', '.join(part for part in parts if part)} ({asked})"


@_describe.register
def _(observation: ChainObservation) -> str:
    if observation.source == "file":
        return certificate_facts.chain(observation)
    parts = [f"{fault.kind} at {common_name(fault.subject)}: {fault.detail}" for fault in observation.faults]
    if not parts:
        parts = [_failed(observation) or "verified"]
    if observation.elements:
        leaf, top = observation.elements[0], observation.elements[-1]
        parts.append(f"{common_name(leaf.subject)} issued by {common_name(leaf.issuer)}")
        if len(observation.elements) > 1:
            parts.append(f"top {common_name(top.subject)}")
        parts.append(validity(leaf, observation.at or observation.started))
    parts += [f"{label}: {value}" for label, value in certificate_facts.roots(observation)]
    return "; ".join(parts)


@_describe.register
def _(observation: HttpsObservation) -> str:
    parts: list[str] = []
    if observation.status is not None:
        parts.append(f"{observation.status} {observation.reason}".strip())
    parts += [_failed(observation)] if observation.failure else []
    if observation.first_byte_s is not None:
        parts.append(f"first byte after {milliseconds(observation.first_byte_s)}")
    server = header(observation.headers, "server")
    parts += [f"server {server}"] if server else []
    if observation.redirects:
        parts.append(f"{len(observation.redirects)} redirects")
    if observation.clock_offset_s is not None and abs(observation.clock_offset_s) >= 1:
        parts.append(f"its clock differs by {observation.clock_offset_s:+.0f} s")
    if not observation.verified:
        parts.append("fetched without trust, nothing secret sent")
    parts.append(observation.final_url or observation.url)
    return ", ".join(parts)


def header(headers: tuple[tuple[str, str], ...], name: str) -> str:
    """The first header field of that name, any case; empty without one."""
    return next((value for field, value in headers if field.casefold() == name), "")


def details(observation: Observation) -> tuple[str, ...]:
    """What ``describe`` leaves out, one line each: records, certificates, header fields, the start of the page."""
    lines: list[str] = []
    if observation.flow:
        flow = observation.flow
        lines.append(f"{flow.client} port {flow.client_port} → {flow.server} port {flow.server_port}")
    if isinstance(observation, CaptureObservation | ConnectionObservation | ResetObservation):
        from netdiag.report import capture_facts

        lines += capture_facts.details(observation)
    elif isinstance(observation, TraceObservation | WireObservation):
        from netdiag.report import trace_facts

        lines += trace_facts.details(observation)
    elif isinstance(observation, ServiceTagsObservation | AllowlistObservation):
        from netdiag.report import allowlist

        lines += allowlist.details(observation)
    elif isinstance(observation, LogObservation | LogFileObservation):
        from netdiag.report import log_facts

        if isinstance(observation, LogObservation):
            lines += log_facts.details(observation)
        else:
            lines += log_facts.summary_details(observation)
    elif isinstance(observation, NodeObservation | MatrixObservation):
        from netdiag.report import node_facts

        lines += node_facts.details(observation)
    elif isinstance(observation, DnsObservation):
        lines += [f"{r.name} {r.ttl} {r.type} {r.value}" for r in observation.records]
    elif isinstance(observation, ChainObservation):
        for n, element in enumerate(observation.elements):
            lines.append(f"{n}: {element.subject}")
            lines.append(f"   issued by {element.issuer}")
            lines.append(
                f"   {day(element.not_before)} to {day(element.not_after)}, {element.key}, SHA-1 {element.sha1}"
            )
            lines += [f"   names {', '.join(element.names)}"] if element.names else []
        lines += [f"trust store: {store}" for store in observation.stores]
    elif isinstance(observation, HttpsObservation | ProxyObservation):
        if isinstance(observation, HttpsObservation):
            lines += [f"{hop.status} {hop.url} → {hop.location}" for hop in observation.redirects]
        lines += [f"{name}: {value}" for name, value in observation.headers]
        lines += [f"body: {observation.body}"] if observation.body else []
    return tuple(lines)
