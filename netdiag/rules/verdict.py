"""Findings -> the one verdict. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from netdiag.model import (
    AllowedBy,
    AllowlistObservation,
    CaptureObservation,
    ChainObservation,
    DnsObservation,
    Finding,
    LogFileObservation,
    NotRun,
    ServiceTagsObservation,
    Severity,
    Status,
    Target,
    Verdict,
)
from netdiag.rules.certificates import short_name
from netdiag.rules.seen import Seen
from netdiag.rules.words import counted, few

#: Of fewer packets a share says nothing.
_MANY = 1_000


def conclude(
    target: Target,
    findings: Sequence[Finding],
    *,
    tested: bool,
    healthy_summary: str = "",
    not_run: Sequence[NotRun] = (),
) -> Verdict:
    """The verdict over findings that are already ordered, root cause first.

    ``tested`` is False when the last rung that was asked for gave no answer, good or bad; without an error to explain
    it, the verdict is then inconclusive.
    """
    worst = findings[0] if findings else None
    if worst is not None and worst.severity is Severity.ERROR:
        return _caused("failed", worst)
    if not tested:
        why = not_run[0].reason if not_run else "the test did not reach its end"
        return Verdict(
            status="inconclusive", finding=None, blame=None, summary=f"{target.authority} could not be tested: {why}"
        )
    if worst is not None and worst.severity is Severity.WARNING:
        return _caused("impaired", worst)
    return Verdict(
        status="healthy", finding=None, blame=None, summary=healthy_summary or f"{target.authority} can be used"
    )


def conclude_capture(seen: Seen, findings: Sequence[Finding], *, whole: bool = True) -> Verdict:
    """The verdict over a capture. ``whole`` is False when its judging was not completed (a bug, an interruption)."""
    worst = findings[0] if findings else None
    if worst is not None and worst.severity is Severity.ERROR:
        return _caused("failed", worst)
    capture, lookups = seen.of(CaptureObservation)[0], len(seen.of(DnsObservation))
    why = "it was not judged to its end" if not whole else _nothing_to_judge(capture, lookups)
    if why:
        return Verdict(status="inconclusive", finding=None, blame=None, summary=f"{capture.path}: {why}")
    if worst is not None and worst.severity is Severity.WARNING:
        return _caused("impaired", worst)
    return Verdict(status="healthy", finding=None, blame=None, summary=_all_well(capture, lookups))


def conclude_certificates(
    seen: Seen, findings: Sequence[Finding], *, whole: bool = True, not_run: Sequence[NotRun] = ()
) -> Verdict:
    """The verdict over certificate files. ``whole`` is False when their judging was not completed."""
    worst = findings[0] if findings else None
    chains = seen.of(ChainObservation)
    if worst is not None and worst.severity is Severity.ERROR:
        return _caused("failed", worst)
    if not whole or not chains:
        summary = (
            f"{seen.target.authority}: {'it was not judged to its end' if chains else 'no certificate was judged'}"
        )
        return Verdict(status="inconclusive", finding=None, blame=None, summary=summary)
    if worst is not None and worst.severity is Severity.WARNING:
        return _caused("impaired", worst)
    return Verdict(
        status="healthy",
        finding=None,
        blame=None,
        summary="; ".join([_all_valid(chains), *(entry.reason for entry in not_run)]),
    )


def conclude_allowlist(seen: Seen, findings: Sequence[Finding], *, whole: bool = True) -> Verdict:
    """The verdict over firewall rules. ``whole`` is False when they were not compared to the end."""
    worst = findings[0] if findings else None
    if worst is not None and worst.severity is Severity.ERROR:
        return _caused("failed", worst)
    firewalls = seen.of(AllowlistObservation)
    compared = [each for firewall in firewalls for each in firewall.coverage if each.by != "not-known"]
    told = [each for firewall in firewalls for each in firewall.addresses]
    if whole and worst is not None and worst.severity is Severity.WARNING:
        return _caused("impaired", worst)
    if not whole or (firewalls and not compared and not told):
        why = "nothing is known that the rules could be compared with" if whole else "it was not compared to the end"
        summary = f"{seen.target.authority}: {why}"
        return Verdict(status="inconclusive", finding=None, blame=None, summary=summary)
    summary = _all_allowed(seen, firewalls) if firewalls else _needed(seen)
    return Verdict(status="healthy", finding=None, blame=None, summary=summary)


#: How rules that let everything through do so, and what that means when Microsoft adds addresses.
_ALLOWED_BY: dict[AllowedBy, str] = {
    "open": "nothing holds it back, so new addresses change nothing",
    "names": "by name, so new addresses change nothing",
    "tags": "by service tag, so new addresses change nothing",
    "addresses": "by addresses that are written down, so each new one must be added",
}


def _all_allowed(seen: Seen, firewalls: Sequence[AllowlistObservation]) -> str:
    """What is let through, and how."""
    ways = dict.fromkeys(each.by for firewall in firewalls for each in firewall.coverage if each.by in _ALLOWED_BY)
    what = dict.fromkeys(each.tag for firewall in firewalls for each in firewall.coverage if each.tag)
    needed = few(list(what)) or "every address that was asked about"
    how = f": {'; '.join(_ALLOWED_BY[way] for way in ways)}" if ways else ""
    return f"{seen.target.authority} lets {needed} through{how}"


def _needed(seen: Seen) -> str:
    """Without rules: what a firewall must let through."""
    needs = [need for tags in seen.of(ServiceTagsObservation) for need in tags.needs if need.tag]
    told = [f"{need.tag} on port {need.port}: {counted(need.prefixes.total, 'prefix', 'prefixes')}" for need in needs]
    return f"What a firewall must let through: {few(told)}" if told else "No service tag is known for what was asked"


def conclude_log(seen: Seen, findings: Sequence[Finding], *, whole: bool = True) -> Verdict:
    """The verdict over logs. ``whole`` is False when they were not read or judged to their end."""
    worst = findings[0] if findings else None
    if worst is not None and worst.severity is Severity.ERROR:
        return _caused("failed", worst)
    logs = seen.of(LogFileObservation)
    entries = sum(log.entries for log in logs)
    what = "entry" if entries == 1 else "entries"
    if logs and all(form == "text" for log in logs for form in log.formats):
        what = "line" if entries == 1 else "lines"
    read = f"{entries:,} {what}"
    if not whole or not entries:
        summary = f"{seen.target.authority}: {f'only {read} were read' if entries else 'there is no entry in it'}"
        return Verdict(status="inconclusive", finding=None, blame=None, summary=summary)
    if worst is not None and worst.severity is Severity.WARNING:
        return _caused("impaired", worst)
    return Verdict(status="healthy", finding=None, blame=None, summary=f"{seen.target.authority}: no error in {read}")


def _all_valid(chains: Sequence[ChainObservation]) -> str:
    """What is valid, until when, and how that is known."""
    if len(chains) > 1:
        return f"{len(chains)} certificates, all of them valid and trusted"
    chain = chains[0]
    leaf, root = chain.elements[0], chain.elements[-1]
    days = max(0, int((leaf.not_after - chain.at) // 86400))
    states = {state.state for state in chain.revocation}
    revoked = ", not revoked" if states == {"good"} else ""
    whom = f" for {chain.host}" if chain.host else ""
    trusted = f"trusted by {short_name(root.subject)}" if len(chain.elements) > 1 else "a trusted root itself"
    return (
        f"The certificate of {short_name(leaf.subject)} is valid{whom}, {trusted}{revoked}, {counted(days, 'day')} left"
    )


def _nothing_to_judge(capture: CaptureObservation, lookups: int) -> str:
    """Why nothing can be said, empty when something can."""
    if capture.connections or lookups:
        return ""
    if not capture.packets:
        return "it holds no packet" + (f" that can be read ({capture.damage})" if capture.damage else "")
    unknown = sum(count for _, count in capture.unknown_links)
    if unknown >= capture.packets:
        return f"netdiag does not read its link layer ({', '.join(name for name, _ in capture.unknown_links[:3])})"
    if capture.tcp_packets:
        return f"{counted(capture.tcp_packets, 'TCP packet')}, and none of a connection that was asked for"
    return f"{counted(capture.packets, 'packet')}, and no TCP connection and no DNS lookup to judge among them"


def _all_well(capture: CaptureObservation, lookups: int) -> str:
    """What is in the capture, in one sentence."""
    what = counted(capture.connections, "connection") if capture.connections else counted(lookups, "DNS lookup")
    opened = sum(count for opening, _, count in capture.outcomes if opening == "complete")
    before = sum(count for opening, _, count in capture.outcomes if opening == "mid-stream")
    told = [f"{opened:,} opened"] if opened else []
    told += [f"{before:,} were open before"] if before else []
    if capture.connections and capture.retransmissions:
        told.append(f"{counted(capture.retransmissions, 'packet')} sent again{_of_many(capture)}")
    details = f": {', '.join(told)}" if told else ""
    return f"{what}, nothing wrong that matters{details}"


def _of_many(capture: CaptureObservation) -> str:
    """The share of packets sent again, where it tells more than their number."""
    share = 100 * capture.retransmissions / max(capture.tcp_packets, 1)
    if capture.tcp_packets < _MANY:
        return ""
    return f" ({share:.1f} %)" if share >= 0.05 else " (less than 0.1 %)"


def _caused(status: Status, cause: Finding) -> Verdict:
    return Verdict(status=status, finding=cause.id, blame=cause.blame, summary=cause.summary)
