"""What descriptions are made of: why something failed, who is to blame, a name without its ornaments. Pure.

Contract: as facts.py: the strings hold untrusted text as it came.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from netdiag.model import Blame, CertificateSummary, Culprit, Failure, Finding, IncidentFinding, name_part
from netdiag.report.units import day

_WORDS: dict[str, str] = {
    "timeout": "no answer",
    "refused": "refused",
    "reset": "connection reset",
    "eof": "connection closed by the other side",
    "unreachable": "unreachable",
    "prohibited": "forbidden by a filter on the way",
    "local-policy": "forbidden by this machine",
    "no-route": "this machine has no route or address of that family",
    "nxdomain": "no such name",
    "servfail": "the name server failed (SERVFAIL)",
    "dns-refused": "the name server refused the question (REFUSED)",
    "no-answer": "no address",
    "lame": "the name server is not responsible and does not ask others",
    "dns-malformed": "malformed DNS answer",
    "proxy-status": "the proxy said no",
    "not-a-proxy": "this is not a proxy",
    "proxy-authentication": "the proxy wants a login",
    "pac-error": "the PAC script failed",
    "net-tcp-fault": "net.tcp fault",
    "not-net-tcp": "the answer is not net.tcp",
    "tls-alert": "TLS alert",
    "tls-malformed": "the answer is not TLS",
    "certificate": "certificate not accepted",
    "http-malformed": "malformed HTTP answer",
    "web-page": "a web page came",
    "too-many-redirects": "too many redirects",
    "cancelled": "cancelled",
    "internal": "netdiag failed",
    "unknown": "failed",
}

BLAME: dict[Blame, str] = {
    "this-machine": "this machine",
    "dns": "DNS",
    "local-network": "the local network",
    "path-device": "a device on the path",
    "proxy": "the proxy",
    "tls-interceptor": "a device that intercepts TLS",
    "server": "the server",
    "certificate-authority": "the certificate authority",
    "azure-service": "the Azure service",
    "unknown": "not known",
}

#: ECONNREFUSED, NXDOMAIN: the kind says it in words.
_BARE_CODE = re.compile(r"[A-Z_]+")

#: Shorter than this nobody waited: the system gave up by itself, and its own words say more than the time.
_A_WAIT_S = 0.05


def failure_words(failure: Failure, took_s: float = 0.0) -> str:
    """What went wrong, with the duration of a wait that was in vain, and the system's own words."""
    words = _WORDS.get(failure.kind, failure.kind)
    if failure.kind == "timeout" and took_s >= _A_WAIT_S:
        return f"no answer to {failure.step} in {took_s:.1f} s" if failure.step else f"no answer in {took_s:.1f} s"
    bare = _BARE_CODE.fullmatch(failure.detail) and failure.kind != "unknown"
    if failure.detail and not bare and failure.detail.casefold() not in words.casefold():
        words = f"{words}: {failure.detail}"
    return words


def blamed(finding: Finding) -> str:
    """Who is to blame, as far as it is known. In an incident "this machine" is that of a report."""
    who = BLAME[finding.blame]
    if isinstance(finding, IncidentFinding) and finding.blame == "this-machine":
        who = f"the machine of {some(tuple(source.report for source in finding.sources), 3)}"
    return f"{who}{culprit(finding.culprit)}"


def culprit(found: Culprit | None) -> str:
    """`` (NAME, ADDRESS, hop 4)``, as far as it is known; empty for nothing."""
    if found is None:
        return ""
    hop = f"hop {found.hop}" if found.hop is not None else ""
    address = "" if found.address in found.name else found.address
    parts = [part for part in (found.name, address, hop) if part]
    return f" ({', '.join(parts)})" if parts else ""


#: What every shell takes as it stands, and what it takes in quotation marks.
_SAFE_WORD = re.compile(r"[A-Za-z0-9_./:+@=,-]+")
_QUOTABLE_WORD = re.compile(r"[A-Za-z0-9_./:+@=,\[\] -]+")


def command_line(arguments: Sequence[str]) -> str:
    """A command to be typed into cmd, PowerShell or a Unix shell; empty when a word is not safe in all of them."""
    if not all(_QUOTABLE_WORD.fullmatch(word) for word in arguments):
        return ""
    return " ".join(word if _SAFE_WORD.fullmatch(word) else f'"{word}"' for word in arguments)


def common_name(name: str) -> str:
    """The common name of a distinguished name, or all of it where it has none."""
    return name_part(name, "CN") or name


def validity(leaf: CertificateSummary, at: float) -> str:
    """``83 days left``, or since when it is over, or when it begins."""
    if at < leaf.not_before:
        return f"valid only from {day(leaf.not_before)}"
    days = int((leaf.not_after - at) // 86400)
    return f"{days} days left" if days >= 0 else f"expired on {day(leaf.not_after)}"


def some(items: tuple[str, ...], most: int = 2) -> str:
    """The first few, and how many more."""
    shown = ", ".join(items[:most])
    return f"{shown} and {len(items) - most} more" if len(items) > most else shown
