"""Rules about tls: the two symptoms, a handshake cut off and one that fails."""

from __future__ import annotations

from collections.abc import Iterator

from netdiag.model import Blame, Culprit, Severity, TlsObservation, TraceObservation, authority
from netdiag.rules.captured import acks, after, connections
from netdiag.rules.protocols import speaks
from netdiag.rules.registry import Hit, rule
from netdiag.rules.seen import Seen
from netdiag.rules.tls_handshakes import (
    control,
    cut,
    cut_on_the_way,
    explained,
    how_cut,
    mains_and_proxy,
    ok,
    place,
    present,
    where_cut,
)

#: A ClientHello that is sent so often without an acknowledgement is not lost by chance.
_COPIES = 3
#: Failures that are netdiag's own business, not the peer's.
_OURS = frozenset({"cancelled", "internal"})


@rule(
    "tls.interrupted",
    "The TLS handshake is cut off",
    Severity.ERROR,
    reference="RFC 8446 §6.2",
)
def interrupted(seen: Seen) -> Iterator[Hit]:
    """The TCP connection came up, and during the TLS handshake it was reset, closed, or fell silent.

    A TLS server that refuses says so with an alert (RFC 8446 §6.2). A connection that ends without one
    was cut by something that does not speak TLS with us: a firewall that knows the protocol or a
    blocked address, a load balancer without a server behind it, or a service that crashes. The moment
    tells more. Right after the ClientHello: a filter read it, or the port belongs to another service.
    Silence after the first bytes of the answer: large packets are lost on the way (MTU). When TLS 1.2
    alone works: the ClientHello with TLS 1.3 is longer than one packet, and something on the way
    cannot deal with that or with the version.

    If a second try succeeds the finding is a warning: look for overload, or for one broken server
    among several behind the address. Else compare a capture here with one at the firewall or at the
    server: whoever sends the reset, or is the last to see the packet, is the one.
    """
    for main in mains_and_proxy(seen):
        if not cut(main) or explained(seen, main):
            continue
        repeat, tls12 = control(seen, main, "repeat"), control(seen, main, "tls1.2-only")
        summary = f"The TLS handshake with {place(seen, main)} is cut off: {how_cut(main)}"
        blame = _culpable(seen, main, "unknown")
        culprit: Culprit | None = None
        traces: tuple[TraceObservation, ...] = ()
        remedy = (
            f"Ask who runs the firewall on the path, and who runs {seen.target.host}, what ends the connection; "
            "captures on both sides of the firewall show which of them it is."
        )
        if main.ended_by == "client" and main.failure and main.failure.kind == "eof":
            blame = "this-machine"
            remedy = f"Look into the log of the application on {seen.client}: it closes the connection by itself."
        elif ok(repeat):
            summary += _intermittent(seen)
            remedy = f"Look for overload or one broken server among those behind {main.address}; test again later."
        elif ok(tls12):
            summary += "; with TLS 1.2 alone it works"
            remedy = (
                "Update the firewall or load balancer that mishandles a TLS 1.3 ClientHello (longer than one packet); "
                "until then, limit the application to TLS 1.2."
            )
        elif main.purpose == "proxy":
            remedy = "Ask who runs the proxy why it cuts TLS connections to itself, or use its http:// port."
        elif blame == "proxy":
            summary += "; directly it works"
            remedy = f"Ask who runs the proxy why it cuts connections to {seen.target.authority}."
        elif blame == "path-device":
            summary += "; through the proxy it works"
        elif (found := cut_on_the_way(seen, main)) is not None:
            blame, culprit, traces = "path-device", found.culprit, found.evidence
            summary += f"; {where_cut(found)}"
            remedy = f"Ask who runs {found.place} which rule ends connections to port {main.port}" + (
                f" that name {main.server_name}." if main.server_name else "."
            )
        elif (unheard := _unheard(seen, main)) is not None:
            blame, words, remedy = unheard
            summary += words
        elif main.bytes_received and main.failure and main.failure.kind == "timeout":
            remedy = "Check the MTU on the path: large packets from the server do not arrive. " + remedy
        yield Hit(
            summary=summary,
            blame=blame,
            remedy=remedy,
            evidence=(*present(main, repeat, tls12), *traces),
            severity=Severity.WARNING if ok(repeat) else None,
            culprit=culprit,
        )


def _unheard(seen: Seen, main: TlsObservation) -> tuple[Blame, str, str] | None:
    """Of a silence in a capture: whether the ClientHello arrived. Blame, words and remedy; None where nothing tells."""
    if main.bytes_received or not main.failure or main.failure.kind != "timeout":
        return None
    connection = next((c for c in connections(seen) if c.flow == main.flow), None)
    data = [s for s in connection.segments if s.sender == "client" and s.length] if connection else []
    if not connection or not data:
        return None
    end = max((s.seq + s.length for s in data), key=lambda seq: after(seq, data[0].seq))
    answers = [s.ack for s in connection.segments if s.sender == "server" and acks(s)]
    if any(after(ack, end) >= 0 for ack in answers):
        words = "; its TCP has acknowledged the ClientHello, so it arrived"
        return "server", words, f"Find out why the program behind {place(seen, main)} does not answer: it has the data."
    missing = next((s.seq for s in data if all(after(ack, s.seq) <= 0 for ack in answers)), data[0].seq)
    copies = sum(s.seq == missing for s in data)
    if copies < _COPIES:
        return None
    part = "the ClientHello" if missing == data[0].seq else "a part of the ClientHello"
    words = f"; {part} was sent {copies} times and never acknowledged"
    remedy = (
        f"Ask who runs the firewall on the path why it passes the opening to port {main.port} and drops what follows."
    )
    return "path-device", words, remedy


def _intermittent(seen: Seen) -> str:
    if seen.capture:
        return "; another handshake with the same name succeeded, so it is intermittent"
    return "; a second try succeeded, so it is intermittent"


def _culpable(seen: Seen, main: TlsObservation, default: Blame) -> Blame:
    """Whoever stands only on this way is to blame when the server completes a handshake the other way."""
    if main.purpose == "proxy":
        return "proxy"
    if not _other_way_works(seen):
        return default
    return "proxy" if main.route == "proxy" else "path-device"


def _other_way_works(seen: Seen) -> bool:
    return any(o.purpose == "main" and ok(o) for o in seen.other(TlsObservation))


@rule(
    "tls.handshake-failed",
    "The TLS handshake fails",
    Severity.ERROR,
    reference="RFC 8446 §6",
)
def handshake_failed(seen: Seen) -> Iterator[Hit]:
    """The server answered, and no TLS connection came of it: it sent an alert, or no TLS at all.

    An alert is the server's own statement (RFC 8446 §6). handshake_failure: no cipher, key exchange or
    certificate type in common; unrecognized_name: it does not serve this name (RFC 6066 §3);
    internal_error: it is broken or badly set up; access_denied: it does not want this client. An
    answer that is not TLS means that another service owns the port, or that a device answers in the
    server's place, as a captive portal or a block page does.

    Read the alert's name in the summary and look into the server's log at that time: servers write
    down why they refuse. For an answer in another protocol check the port, and whether the address
    belongs to the service at all.
    """
    for main in mains_and_proxy(seen):
        if main.failure is None or cut(main) or main.failure.kind in _OURS or explained(seen, main):
            continue
        repeat, tls12 = control(seen, main, "repeat"), control(seen, main, "tls1.2-only")
        summary, remedy = _refusal(seen, main)
        if ok(repeat):
            summary += _intermittent(seen)
        elif ok(tls12):
            summary += "; with TLS 1.2 alone it works"
        elif main.purpose == "main" and _other_way_works(seen):
            summary += "; directly it works" if main.route == "proxy" else "; through the proxy it works"
        yield Hit(
            summary=summary,
            blame=_culpable(seen, main, "unknown" if main.ended_by == "client" else "server"),
            remedy=remedy,
            evidence=present(main, repeat, tls12),
            severity=Severity.WARNING if ok(repeat) else None,
        )


#: Alerts of a client that does not accept the certificate (RFC 8446 §6.2), and what each says.
_DISTRUST = {
    "unknown_ca": "it does not trust the authority that issued it",
    "certificate_expired": "it has expired, by the client's clock",
    "certificate_revoked": "it was revoked",
    "bad_certificate": "it is broken, or for another name",
    "unsupported_certificate": "it is of a kind that the client does not take",
    "certificate_unknown": "for a reason of the client's own, such as another name",
    "encrypted": "most likely; TLS 1.3 hides which alert it was",
}


def _client_refusal(seen: Seen, main: TlsObservation) -> tuple[str, str]:
    """Summary and remedy for a handshake that the client of a capture ended with an alert."""
    whom, said = place(seen, main), _DISTRUST.get(main.sent_alert)
    log = f"Look into the log of the application on {seen.client}"
    if said is None:
        return f"The client ends the TLS handshake with {whom}: {main.sent_alert}", f"{log} for the reason."
    remedy = f"{log}, and run netdiag endpoint {seen.target.authority} there: it verifies the certificate and names "
    remedy += "the fault."
    return f"The client does not accept the certificate of {whom}: {said} ({main.sent_alert} alert)", remedy


def _refusal(seen: Seen, main: TlsObservation) -> tuple[str, str]:
    """Summary and remedy for a handshake that was answered and failed."""
    if main.sent_alert and main.ended_by == "client":
        return _client_refusal(seen, main)
    whom = place(seen, main)
    host = whom if main.purpose == "proxy" else seen.target.host
    detail = main.failure.detail or main.failure.kind if main.failure else ""
    if main.not_tls:
        protocol = speaks(main.not_tls)
        remedy = f"Check that {main.port} is the service's TLS port" + (
            ", or use http:// for it." if protocol == "HTTP" else "."
        )
        if main.purpose == "proxy":
            proxy = authority(main.server_name or main.address, main.port)
            remedy = f"Write the proxy as http://{proxy} in the proxy setting."
        return f"{whom} does not speak TLS: it answers with {protocol or 'something else'}", remedy
    if main.alert:
        return (
            f"{whom} refuses the TLS handshake: {detail}",
            f"Look into the TLS log of {host} for {main.alert}, and correct what it refuses.",
        )
    return f"The TLS handshake with {whom} fails: {detail}", f"Look into the TLS log and settings of {host}."
