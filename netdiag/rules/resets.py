"""Rules about resets: who sent them, and whether they did any harm.

One finding stands for all resets of a service that are alike: the same sender, the same moment, the same distance.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from netdiag.model import Culprit, ResetObservation, Severity, TcpObservation, authority
from netdiag.rules.captured import server_name, share
from netdiag.rules.initial_ttl import (
    counted,
    hop_number,
    is_undecremented,
    ordinal,
    routers_crossed,
    sum_of,
)
from netdiag.rules.registry import Hit, rule
from netdiag.rules.reset_cases import Case, cases
from netdiag.rules.reset_evidence import IDLE_S, here, reference, silence_s, vantage
from netdiag.rules.reset_sign import ttl_word
from netdiag.rules.reset_trace import by_trace_alone
from netdiag.rules.seen import Seen
from netdiag.rules.words import utc

#: What a reset explains, when it ended the same connection.
_SYMPTOMS = ("tls.interrupted", "proxy.no-answer", "https.no-answer", "node.not-net-tcp", "node.cut-off")


@rule(
    "tcp.reset-by-path-device",
    "A device on the path resets the connection in the other side's name",
    Severity.ERROR,
    folds=("tcp.refused", *_SYMPTOMS),
    reference="RFC 9293 §3.5.2",
)
def by_path_device(seen: Seen) -> Iterator[Hit]:
    """The reset carries the address of the server (or client), but it bears the signs of another sender.

    A reset ends a TCP connection at once, and anybody on the path can send one in another's name:
    firewalls, intrusion prevention systems, URL filters and load balancers do. Windows reports it
    as "An existing connection was forcibly closed by the remote host", and the remote host is
    innocent.

    Each router takes one off a packet's TTL (time to live; IPv6: hop limit), and systems start with
    one of four values. So the TTL tells how far its sender is, and what kind of system it may be:

        32   Windows 95, 98 and NT 3.51
        64   Linux since 2.6 (also 4.10), Android, macOS, iOS, BSD,
             firewalls built on them; what RFC 1700 recommends
        128  Windows since NT 4.0: XP, 10, Server 2008, Server 2019
        255  Linux 2.4, Solaris, many routers and network devices

    These come from RFC 1700, "IP Time to Live (TTL) and Hop Limit Basics" (packetpushers.net), the
    fingerprints of p0f, SWITCH's "Default TTL Values in TCP/IP" and Linux' ip-sysctl
    (ip_default_ttl).

    A reset with TTL 61 = 64 - 3 crossed three routers: its sender is the fourth hop. If the
    server's SYN-ACK arrived with TTL 107 = 128 - 21, the server is behind 21 routers, and did not
    send it. netdiag weighs more signs: IP identification, timestamps, sequence numbers, whether the
    reset came sooner than the server could have answered, whether the server went on sending. None
    is proof: devices can copy a TTL, and paths change by a hop or two, so among TTLs that started
    with the same value only a difference of three or more counts.

    What to do: look up that hop (tracert, or netdiag trace), and in that device's log at the time
    of the reset find the rule, which is often for the server's name in the TLS ClientHello. Where
    no log is at hand, capture on both sides of the device: the reset is seen on one side only.
    """
    for case in cases(seen, "path-device"):
        first, judged = case.first, case.judged
        sides = "server" if first.claimed == "server" else "client"
        yield Hit(
            summary=f"{_what(seen, case)}. {_forged(case)}: {_why(case)}",
            blame="path-device",
            remedy=f"Check {_device(case)} towards the {sides} ({_address(first)}): find in its log, "
            f"at {_moment(first)}, the rule that resets {_traffic(case)}, and have it allowed." + _next_step(case),
            evidence=case.evidence,
            severity=case.severity,
            culprit=Culprit(address=judged.address, hop=judged.hop, name=judged.where or judged.name),
            details=judged.details,
        )
    yield from by_trace_alone(seen)


@rule(
    "tcp.reset-by-server",
    "The server resets the connection",
    Severity.ERROR,
    folds=_SYMPTOMS,
    reference="RFC 9293 §3.5.2",
)
def by_server(seen: Seen) -> Iterator[Hit]:
    """The reset has the marks of the server's own packets, and came when a server would have answered.

    A server resets a connection when its program crashes or is stopped, when it closes with data
    unread (RFC 2525 §2.17), when its limit of connections is reached, when it no longer knows the
    connection after a restart or an idle timeout, or because it is told to refuse this client. It
    is an error while an exchange is under way, and a warning in a connection that had fallen
    silent. A refused opening is tcp.refused; resets after both sides had closed are usual, and not
    reported.

    What stands directly in front of the server cannot be told from it: a load balancer, NAT or
    reverse proxy at the server's address answers with the same TTL.

    What to do: look into the log of the server, and of the load balancer in front of it, at the
    time of the reset. If neither knows of it, capture at the server: a reset that it did not send
    shows there as one that arrives, or not at all.
    """
    for case in cases(seen, "server"):
        first, judged = case.first, case.judged
        yield Hit(
            summary=f"{_what(seen, case)}. It was {judged.adverb} the server itself, or what stands directly in "
            f"front of it: {_why(case)}",
            blame="server",
            remedy=f"Look into the log of {case.name or _address(first)}, and of any load balancer in front of "
            f"it, at {_moment(first)}." + _idle_advice(first),
            evidence=case.evidence,
            severity=case.severity,
            culprit=Culprit(address=_address(first)),
            details=judged.details,
        )


@rule(
    "tcp.reset-by-client",
    "The client resets the connection",
    Severity.INFO,
    folds=_SYMPTOMS,
    reference="RFC 9293 §3.5.2",
)
def by_client(seen: Seen) -> Iterator[Hit]:
    """The client ended the connection with a reset, and its own packets have the same marks.

    Many programs close so on purpose: browsers and .NET abort a connection that they no longer
    need, port tests and health probes do without the four-way closing, and a program that ends
    leaves its connections to be reset. After the server's answer that is harmless, and only noted.
    It is a warning when the client had asked and gave up before any answer came: a timeout of the
    application, or a user who cancelled. It is an error when it ended a TLS handshake: then the
    client did not like what it saw, most often the certificate.

    What to do: look into the application's own log at that time. Where it gave up waiting, the
    question is why the server did not answer.
    """
    for case in cases(seen, "client"):
        first, judged = case.first, case.judged
        waited = f", after {silence_s(first):.1f} s without an answer" if first.stage == "post_psh" else ""
        yield Hit(
            summary=f"{_what(seen, case)}{waited}. It was {judged.adverb} the client itself: {_why(case)}",
            blame="unknown" if vantage(first) == "server" else "this-machine",
            remedy=f"Look into the log of the application on {first.flow.client if first.flow else 'the client'} at "
            f"{_moment(first)}: it ended the connection.",
            evidence=case.evidence,
            severity=case.severity,
            details=judged.details,
        )


@rule(
    "tcp.reset-origin-unknown",
    "The connection is reset, and the evidence does not say by whom",
    Severity.ERROR,
    folds=_SYMPTOMS,
    reference="RFC 9293 §3.5.2",
)
def origin_unknown(seen: Seen) -> Iterator[Hit]:
    """A reset ended the connection, and its signs are too weak, or contradict each other.

    The address in a reset proves nothing. netdiag compares its TTL, IP identification, timestamps,
    numbers and time of arrival with the other packets of that address. Here they do not decide:
    there is nothing to compare, or the TTL is off by a hop or two as when the path changes, or one
    sign speaks for the server and another for a device. Saying more would be a guess.

    What to do: capture on both sides of the firewall at the same time, or at the client and at the
    server, and give both files to netdiag pcap FILE --other FILE: the side that the reset appears
    on first is the sender's. Longer captures, which hold the opening of the connection, help too.
    """
    for case in cases(seen, "unknown"):
        first = case.first
        yield Hit(
            summary=f"{_what(seen, case)}. The evidence does not tell who sent it: {_why(case)}",
            blame="unknown",
            remedy="Capture at both ends, or on both sides of the firewall, at the same time, and run netdiag pcap on "
            f"both files; ask who runs {case.name or _address(first)} and who runs the firewall for their logs "
            f"at {_moment(first)}." + _idle_advice(first),
            evidence=case.evidence,
            severity=case.severity,
            details=case.judged.details,
        )
    yield from _reset_at_once(seen)


def _reset_at_once(seen: Seen) -> Iterator[Hit]:
    """Probes that were connected for a moment, and whose packets were not to be seen."""
    captured = {o.flow for o in seen.of(ResetObservation)}
    for attempt in seen.effective(TcpObservation):
        at_once = attempt.source == "probe" and attempt.failure is not None and attempt.failure.kind == "reset"
        if at_once and attempt.flow not in captured:
            yield Hit(
                summary=f"Connections to {authority(attempt.address, attempt.port)} are reset as soon as they are "
                "open, before any data; by whom, only packets would tell",
                blame="unknown",
                remedy=f"Run this again with the right to see packets (root); ask who runs {attempt.address}, and who "
                f"runs the firewall, for their logs at {utc(attempt.started + attempt.took_s)}.",
                evidence=(attempt,),
            )


_WHEN: dict[Literal["post_syn", "post_ack", "post_psh", "later_in_flow"], str] = {
    "post_syn": "instead of an answer to the SYN",
    "post_ack": "once they are open, before any data",
    "post_psh": "right after the client's first data",
    "later_in_flow": "after data had come from the server",
}


def _what(seen: Seen, case: Case) -> str:
    """Which connections are reset when."""
    o = case.first
    when = case.judged.stage if o.stage == "later_in_flow" and not o.bytes_server else _WHEN[o.stage]
    named = f", which named {case.name}" if o.stage == "post_psh" and case.name else ""
    if silence_s(o) >= IDLE_S:
        named += f", after {silence_s(o):.0f} s of silence"
    affected = f" ({share(seen, case.connections)})" if seen.capture else ""
    return f"Connections to {_whom(seen, o)} are reset {when}{named}{affected}"


def _whom(seen: Seen, o: ResetObservation) -> str:
    """The server as a reader knows it; of a probe through a proxy, that: it is what the connection goes to."""
    if seen.capture is None and seen.route == "proxy" and o.flow:
        return f"the proxy {authority(o.flow.server, o.flow.server_port)}"
    return server_name(seen)


def _arithmetic(o: ResetObservation) -> str:
    """The sum in one clause, for the summary; the whole of it stands in the details."""
    word, ttl, own = ttl_word(o), o.resets[0].ttl, reference(o)
    if own is not None and own.ttl == ttl:
        away = "no router" if is_undecremented(ttl) else counted(routers_crossed(ttl), "router")
        return f"its {word} {sum_of(ttl)} ({away} away) is that of the {o.claimed}'s {own.packets}"
    said = f"its {word} {sum_of(ttl)} puts the sender at the {ordinal(hop_number(ttl))} hop from {here(o)}"
    if is_undecremented(ttl):
        said += ", or at that place itself"
    if own is None:
        return f"{said}, and there is no other packet of that address to compare"
    away = counted(routers_crossed(own.ttl), "router")
    return f"{said}, while the {o.claimed}'s {own.packets} came with {word} {sum_of(own.ttl)} ({away} away)"


def _forged(case: Case) -> str:
    """That somebody else sent it, shorter where it is proven."""
    side = case.first.claimed
    if case.judged.where:
        return f"The {side} did not send the reset"
    return f"The reset bears the {side}'s address, but {case.judged.adverb} a device on the path sent it"


def _why(case: Case) -> str:
    """What two captures prove, where there are two; otherwise what TTLs say."""
    if not case.judged.proof:
        return _arithmetic(case.first)
    if case.judged.where:
        return case.judged.proof
    return f"{_arithmetic(case.first)}; {case.judged.proof}"


def _device(case: Case) -> str:
    hop, where = case.judged.hop, case.judged.where
    if hop is None:
        return f"what stands {where}"
    address = f" ({case.judged.address})" if case.judged.address else ""
    return f"the {ordinal(hop)} hop from {here(case.first)}{address}" + (f", {where}," if where else "")


def _next_step(case: Case) -> str:
    if case.judged.where:
        return ""
    return " Without the log, capture on both sides of that device: the reset is seen on one side only."


def _address(o: ResetObservation) -> str:
    if o.flow is None:
        return "the server"
    return o.flow.server if o.claimed == "server" else o.flow.client


def _traffic(case: Case) -> str:
    flow = case.first.flow
    port = f"connections to port {flow.server_port}" if flow else "these connections"
    return f"{port} that name {case.name}" if case.name else port


def _moment(o: ResetObservation) -> str:
    return utc(o.resets[0].at)


def _idle_advice(o: ResetObservation) -> str:
    if silence_s(o) < IDLE_S:
        return ""
    return f" Nothing had been sent for {silence_s(o):.0f} s: let the application send TCP keep-alives more often."
