"""Rules about tls: causes first, then the two symptoms (interrupted, handshake-failed).

Those that judge the certificate are in ``rules/tls_certificate.py``.

The handshake that counts is "main" on the effective route. The others are controls: each differs from it in one thing
(the name, the versions, the moment), so that what differs in the outcome has that one reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from netdiag.model import (
    Blame,
    HandshakePurpose,
    HttpsObservation,
    Severity,
    TlsObservation,
)
from netdiag.rules import tls_certificate  # noqa: F401 - its rules come first: what is wrong with whose certificate
from netdiag.rules.registry import Hit, rule
from netdiag.rules.seen import Seen

_CUT = frozenset({"reset", "eof", "timeout"})
#: Failures that are netdiag's own business, not the peer's.
_OURS = frozenset({"cancelled", "internal"})
_OLD_VERSIONS = frozenset({"SSLv3", "TLSv1", "TLSv1.1"})


def _mains(seen: Seen) -> tuple[TlsObservation, ...]:
    return tuple(o for o in seen.effective(TlsObservation) if o.purpose == "main")


def _mains_and_proxy(seen: Seen) -> tuple[TlsObservation, ...]:
    """With the handshake that an https:// proxy itself needs (purpose "proxy"), which has no controls."""
    return tuple(o for o in seen.effective(TlsObservation) if o.purpose in ("main", "proxy"))


def _control(seen: Seen, main: TlsObservation, purpose: HandshakePurpose) -> TlsObservation | None:
    """The handshake with the same address by the same way for another purpose, if it came to a result.

    One that failed before its ClientHello (no connection, no tunnel) tells nothing about TLS.
    """
    for o in seen.of(TlsObservation, main.route):
        tried = o.outcome == "ok" or (o.failure is not None and o.failure.step == "handshake")
        if tried and (o.purpose, o.address, o.port) == (purpose, main.address, main.port):
            return o
    return None


def _ok(o: TlsObservation | None) -> bool:
    return o is not None and o.outcome == "ok"


def _cut(o: TlsObservation | None) -> bool:
    return o is not None and o.failure is not None and o.failure.kind in _CUT


def _answered(o: TlsObservation | None) -> bool:
    """Something that speaks TLS answered: with a handshake, an alert, or the beginning of one."""
    return o is not None and (_ok(o) or bool(o.alert) or (o.bytes_received > 0 and not o.not_tls))


def _present(*observations: TlsObservation | None) -> tuple[TlsObservation, ...]:
    return tuple(o for o in observations if o is not None)


def _place(seen: Seen, o: TlsObservation) -> str:
    """The target as the reader knows it, with the address when that says more, and the way; or the proxy."""
    if o.purpose == "proxy":
        return f"the proxy {o.server_name or o.address}:{o.port}"
    place = seen.target.authority
    if o.address != seen.target.host:
        place += f" ({o.address})"
    return f"{place} through the proxy" if o.route == "proxy" else place


def _other_way_works(seen: Seen) -> bool:
    return any(o.purpose == "main" and _ok(o) for o in seen.other(TlsObservation))


@rule(
    "tls.sni-filtered",
    "The connection is cut because of the name in it",
    Severity.ERROR,
    folds=("tls.interrupted",),
    reference="RFC 6066 §3",
)
def sni_filtered(seen: Seen) -> Iterator[Hit]:
    """The TLS handshake is cut whenever it names this host, and answered when it does not.

    A ClientHello carries the server's name in clear text (server name indication, RFC 6066 §3).
    netdiag asked the same address several times: with the real name every attempt was reset, closed
    or left without an answer; with another name, or with none, TLS answered. So address, port and
    TLS itself are fine, and what decides is the name. That is how URL filters in firewalls work:
    the TCP connection is let through, because the name is not known before the ClientHello, which is
    why a port test succeeds. A server can be set up to do the same, but servers answer an unknown
    name with the alert unrecognized_name or a default certificate; cutting is the habit of filters.

    Have the name allowed in the URL or application filter of the firewall (or of the proxy). Rules
    by address and port are not enough. If the filter's log does not show the name, capture on both
    sides of the firewall: the reset that the server never sent is the filter's.
    """
    for main in _mains(seen):
        repeat, tls12 = _control(seen, main, "repeat"), _control(seen, main, "tls1.2-only")
        named = _present(main, repeat, tls12)
        unnamed = _present(_control(seen, main, "other-name"), _control(seen, main, "no-name"))
        answers = [o for o in unnamed if _answered(o)]
        if repeat is None or not main.server_name or not all(_cut(o) for o in named) or not answers:
            continue
        if _ok(_control(seen, main, "legacy-versions")):
            continue  # that one named the host too: the versions decide, not the name
        asked = " and ".join(repr(o.server_name) if o.server_name else "no name" for o in answers)
        via_proxy = main.route == "proxy"
        yield Hit(
            summary=f"Something cuts every TLS connection to {_place(seen, main)} that names {main.server_name!r} "
            f"({_how(main)}); with {asked} the same address answers",
            blame="proxy" if via_proxy else "path-device",
            remedy=f"Allow the name {main.server_name} in the URL filter of the "
            f"{'proxy (or of a firewall behind it)' if via_proxy else 'firewall on the path'}; "
            "a rule for the address and port is not enough.",
            evidence=(*named, *answers),
        )


#: Alerts with which servers end a handshake that lacks a client certificate: handshake_failure up to TLS 1.2 and
#: certificate_required in 1.3 by the book (RFC 5246 §7.4.6, RFC 8446 §4.4.2.4), the others in practice.
_NO_CERTIFICATE = frozenset(
    {
        "handshake_failure",
        "certificate_required",
        "bad_certificate",
        "certificate_unknown",
        "access_denied",
        "no_certificate",
    }
)
#: Pages of nginx ("No required SSL certificate was sent") and IIS (403.7, "... client certificate ...").
_CERTIFICATE_PAGE = re.compile(r"no required ssl certificate was sent|client certificate|403\.7\b", re.IGNORECASE)


def _wants_certificate(main: TlsObservation) -> bool:
    if main.failure is None:
        return False
    if main.failure.kind == "tls-alert" and main.alert == "certificate_required":
        return True
    if not main.client_certificate_requested:
        return False
    return main.alert in _NO_CERTIFICATE if main.failure.kind == "tls-alert" else main.failure.kind in ("reset", "eof")


def _fetch_wants_certificate(seen: Seen, fetch: HttpsObservation) -> bool:
    tls = seen.get(fetch.parent or "")
    requested = isinstance(tls, TlsObservation) and tls.client_certificate_requested
    if fetch.failure is not None:  # TLS 1.3: the refusal comes after the handshake, and a reset can swallow the alert
        late = isinstance(tls, TlsObservation) and tls.version == "TLSv1.3"
        return requested and (fetch.failure.kind == "tls-alert" or (late and fetch.failure.kind in ("reset", "eof")))
    return fetch.status == 496 or (
        fetch.status in (400, 403) and bool(_CERTIFICATE_PAGE.search(f"{fetch.reason} {fetch.body}"))
    )


@rule(
    "tls.client-certificate-required",
    "The server requires a client certificate",
    Severity.ERROR,
    folds=("tls.interrupted", "tls.handshake-failed", "https.unexpected-status", "https.no-answer"),
    reference="RFC 8446 §4.3.2",
)
def client_certificate_required(seen: Seen) -> Iterator[Hit]:
    """The server asks this machine for a certificate of its own, and refuses to go on without one.

    In TLS a server may send a CertificateRequest (RFC 8446 §4.3.2, RFC 5246 §7.4.4). A client without
    a certificate answers with an empty list, and it is the server's choice to go on or to end the
    connection: with the alert handshake_failure up to TLS 1.2, with certificate_required after the
    handshake in TLS 1.3 (§4.4.2.4), or with an HTTP page (nginx: 400, IIS: 403.7). netdiag presents
    none. A mere request, which many servers make and do not insist on, is not reported.

    The network is fine. If the application is meant to authenticate itself by certificate, ask the
    operator of the server which authority must have issued it and configure certificate and private
    key in the application. Azure Data Factory's own endpoints ask for none: there, this means that
    something else answers.
    """
    for main in _mains(seen):
        if _wants_certificate(main):
            how = f"with {main.alert}" if main.alert else "without an alert"
            yield _certificate_hit(f"{_place(seen, main)} ends the TLS handshake {how}", (main,))
    for fetch in seen.effective(HttpsObservation):
        if _fetch_wants_certificate(seen, fetch):
            tls = seen.get(fetch.parent or "")
            evidence = (tls, fetch) if isinstance(tls, TlsObservation) else (fetch,)
            how = f"answers {fetch.status}" if fetch.status else "ends the connection after the handshake"
            yield _certificate_hit(f"{seen.target.authority} {how}", evidence)


def _certificate_hit(what: str, evidence: tuple[TlsObservation | HttpsObservation, ...]) -> Hit:
    return Hit(
        summary=f"{what}, because it requires a client certificate and this machine presents none",
        blame="this-machine",
        remedy="Configure the application with the client certificate and private key that the server's operator "
        "accepts; ask the operator for one if there is none.",
        evidence=evidence,
    )


@rule(
    "tls.version-unsupported",
    "The server has no TLS version in common with this machine",
    Severity.ERROR,
    folds=("tls.interrupted", "tls.handshake-failed"),
    reference="RFC 8996",
)
def version_unsupported(seen: Seen) -> Iterator[Hit]:
    """The server refuses TLS 1.2 and 1.3, and completes a handshake with an older version.

    Client and server must share a protocol version (RFC 8446 §4.1.2 and appendix D). netdiag offered
    1.2 and 1.3, as current systems do, and was refused: by the alert protocol_version as the RFC
    wants it, or by a closed or reset connection, as older Windows servers do. Then it offered only
    TLS 1.0 and 1.1, to the same address with the same name, and that worked. These two versions are
    deprecated (RFC 8996) and disabled in current Windows, .NET and OpenSSL; the integration runtime
    uses TLS 1.2.

    Enable TLS 1.2 on the server (on Windows Server: the SChannel registry keys, and an operating
    system that has them), or update the device that ends TLS in front of it. Do not enable TLS 1.0
    on this machine to get by.
    """
    for main in _mains(seen):
        legacy = _control(seen, main, "legacy-versions")
        repeat, tls12 = _control(seen, main, "repeat"), _control(seen, main, "tls1.2-only")
        if main.failure is None or legacy is None or not _ok(legacy) or _ok(repeat) or _ok(tls12):
            continue
        if legacy.version not in _OLD_VERSIONS:
            continue
        refused = f"with {main.alert}" if main.alert else f"({main.failure.kind})"
        yield Hit(
            summary=f"{_place(seen, main)} speaks only {_version(legacy.version)}: it refuses "
            f"{_version(main.offered[0])} to {_version(main.offered[1])} {refused}",
            blame="server",
            remedy=f"Enable TLS 1.2 on {seen.target.host}, or on the device that ends TLS in front of it.",
            evidence=_present(main, repeat, tls12, legacy),
        )


def _version(name: str) -> str:
    """As people say it: TLS 1.0 for TLSv1."""
    number = name.removeprefix("TLSv")
    return f"TLS {number if '.' in number else number + '.0'}" if number != name else name


def _how(o: TlsObservation) -> str:
    """How a handshake was cut, and when, as a phrase."""
    kind = o.failure.kind if o.failure else ""
    if o.bytes_received:
        when = f"after {o.bytes_received} bytes of the answer"
        return {"reset": f"reset {when}", "eof": f"closed {when}"}.get(kind, f"silence {when}")
    return {"reset": "reset right after the ClientHello", "eof": "closed right after the ClientHello"}.get(
        kind, f"no answer to the ClientHello within {o.took_s:.0f} s"
    )


def _culpable(seen: Seen, main: TlsObservation, default: Blame) -> Blame:
    """Whoever stands only on this way is to blame when the server completes a handshake the other way."""
    if main.purpose == "proxy":
        return "proxy"
    if not _other_way_works(seen):
        return default
    return "proxy" if main.route == "proxy" else "path-device"


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
    for main in _mains_and_proxy(seen):
        if not _cut(main):
            continue
        repeat, tls12 = _control(seen, main, "repeat"), _control(seen, main, "tls1.2-only")
        summary = f"The TLS handshake with {_place(seen, main)} is cut off: {_how(main)}"
        blame = _culpable(seen, main, "unknown")
        remedy = (
            f"Ask who runs the firewall on the path, and who runs {seen.target.host}, what ends the connection; "
            "captures on both sides of the firewall show which of them it is."
        )
        if _ok(repeat):
            summary += "; a second try succeeded, so it is intermittent"
            remedy = f"Look for overload or one broken server among those behind {main.address}; test again later."
        elif _ok(tls12):
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
        elif main.bytes_received and main.failure and main.failure.kind == "timeout":
            remedy = "Check the MTU on the path: large packets from the server do not arrive. " + remedy
        yield Hit(
            summary=summary,
            blame=blame,
            remedy=remedy,
            evidence=_present(main, repeat, tls12),
            severity=Severity.WARNING if _ok(repeat) else None,
        )


#: What a port speaks that does not speak TLS, by its first bytes.
_PROTOCOLS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("HTTP", re.compile(r"HTTP/\d|<(?:!doctype|html|\?xml)", re.IGNORECASE)),
    ("SSH", re.compile(r"SSH-\d")),
    ("SMTP", re.compile(r"220[ -].*(?:SMTP|mail)", re.IGNORECASE)),
    ("FTP", re.compile(r"220[ -]")),
    ("POP3", re.compile(r"\+OK\b")),
    ("IMAP", re.compile(r"\* OK\b")),
    ("VNC", re.compile(r"RFB \d")),
    ("MySQL", re.compile(r".\x00\x00\x00\x0a[\d.]", re.DOTALL)),
    ("RDP", re.compile(r"\x03\x00\x00")),
    ("SMB", re.compile(r".{0,4}[\xff\xfe]SMB", re.DOTALL)),
)


def _speaks(banner: str) -> str:
    return next((name for name, pattern in _PROTOCOLS if pattern.match(banner)), "")


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
    for main in _mains_and_proxy(seen):
        if main.failure is None or _cut(main) or main.failure.kind in _OURS:
            continue
        repeat, tls12 = _control(seen, main, "repeat"), _control(seen, main, "tls1.2-only")
        summary, remedy = _refusal(seen, main)
        if _ok(repeat):
            summary += "; a second try succeeded, so it is intermittent"
        elif _ok(tls12):
            summary += "; with TLS 1.2 alone it works"
        elif main.purpose == "main" and _other_way_works(seen):
            summary += "; directly it works" if main.route == "proxy" else "; through the proxy it works"
        yield Hit(
            summary=summary,
            blame=_culpable(seen, main, "server"),
            remedy=remedy,
            evidence=_present(main, repeat, tls12),
            severity=Severity.WARNING if _ok(repeat) else None,
        )


def _refusal(seen: Seen, main: TlsObservation) -> tuple[str, str]:
    """Summary and remedy for a handshake that was answered and failed."""
    place = _place(seen, main)
    host = place if main.purpose == "proxy" else seen.target.host
    detail = main.failure.detail or main.failure.kind if main.failure else ""
    if main.not_tls:
        protocol = _speaks(main.not_tls)
        remedy = f"Check that {main.port} is the service's TLS port" + (
            ", or use http:// for it." if protocol == "HTTP" else "."
        )
        if main.purpose == "proxy":
            remedy = f"Write the proxy as http://{main.server_name or main.address}:{main.port} in the proxy setting."
        return f"{place} does not speak TLS: it answers with {protocol or 'something else'}", remedy
    if main.alert:
        return (
            f"{place} refuses the TLS handshake: {detail}",
            f"Look into the TLS log of {host} for {main.alert}, and correct what it refuses.",
        )
    return f"The TLS handshake with {place} fails: {detail}", f"Look into the TLS log and settings of {host}."
