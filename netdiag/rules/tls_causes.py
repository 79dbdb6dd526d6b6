"""Rules about why a server or a filter refuses a TLS handshake; where one fits, it folds the symptom of ``tls.py``."""

from __future__ import annotations

import re
from collections.abc import Iterator

from netdiag.model import Culprit, HttpsObservation, NodeObservation, Severity, TlsObservation, TraceObservation
from netdiag.rules.initial_ttl import ordinal
from netdiag.rules.node_words import asks_for_certificate, is_node
from netdiag.rules.registry import Hit, rule
from netdiag.rules.reset_cases import cases
from netdiag.rules.seen import Seen
from netdiag.rules.tls_handshakes import (
    control,
    cut,
    cut_on_the_way,
    how_cut,
    mains,
    ok,
    place,
    present,
    wants_certificate,
    where_cut,
)
from netdiag.rules.words import upper

_OLD_VERSIONS = frozenset({"SSLv3", "TLSv1", "TLSv1.1"})


@rule(
    "tls.sni-filtered",
    "The connection is cut because of the name in it",
    Severity.ERROR,
    folds=("tls.interrupted", "tcp.reset-by-path-device", "tcp.reset-origin-unknown", "tcp.reset-by-server"),
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
    for main in mains(seen):
        repeat, tls12 = control(seen, main, "repeat"), control(seen, main, "tls1.2-only")
        named = present(main, repeat, tls12)
        unnamed = present(control(seen, main, "other-name"), control(seen, main, "no-name"))
        silent = not any(o.bytes_received for o in named)
        answers = [o for o in unnamed if _answered(o, begun_is_enough=silent)]
        if repeat is None or not main.server_name or not all(cut(o) for o in named) or not answers:
            continue
        if ok(control(seen, main, "legacy-versions")):
            continue  # that one named the host too: the versions decide, not the name
        if seen.capture and main is not mains(seen)[0]:
            continue  # one finding for all the handshakes that a capture shows
        asked = " and ".join(repr(o.server_name) if o.server_name else "no name" for o in answers)
        via_proxy = main.route == "proxy"
        culprit = None if via_proxy else _who_cuts(seen, main)
        yield Hit(
            summary=f"Something cuts every TLS connection to {place(seen, main)} that names {main.server_name!r} "
            f"({how_cut(main)}); with {asked} the same address answers",
            blame="proxy" if via_proxy else "path-device",
            remedy=f"Allow the name {main.server_name} in the URL filter of "
            f"{'the proxy (or of a firewall behind it)' if via_proxy else _filter(culprit)}; "
            "a rule for the address and port is not enough.",
            evidence=(*named, *(mains(seen) if seen.capture else ()), *answers, *_traces(seen, main)),
            culprit=culprit,
            details=_where(seen, main),
        )


def _filter(culprit: Culprit | None) -> str:
    """The device to look at, as far as it is known."""
    if culprit is None or culprit.hop is None:
        return "the firewall on the path"
    return f"the {ordinal(culprit.hop)} hop{f' ({culprit.address})' if culprit.address else ''}"


def _who_cuts(seen: Seen, main: TlsObservation) -> Culprit | None:
    """The hop that the resets come from, or where the trace of the ClientHello ends."""
    case = next(cases(seen, "path-device"), None)
    if case and case.judged.hop:
        return Culprit(address=case.judged.address, hop=case.judged.hop, name=case.judged.name)
    found = cut_on_the_way(seen, main)
    return found.culprit if found else None


def _where(seen: Seen, main: TlsObservation) -> tuple[str, ...]:
    """What is known of the place where the connection is cut, a sentence each."""
    case = next(cases(seen, "path-device"), None)
    if case:
        return case.judged.details
    found = cut_on_the_way(seen, main)
    return (upper(where_cut(found)),) if found else ()


def _traces(seen: Seen, main: TlsObservation) -> tuple[TraceObservation, ...]:
    found = cut_on_the_way(seen, main)
    return found.evidence if found else ()


def _answered(o: TlsObservation, *, begun_is_enough: bool) -> bool:
    """Something that speaks TLS answered: with a handshake, an alert, or (if that is enough) the beginning of one."""
    return ok(o) or bool(o.alert) or (begun_is_enough and o.bytes_received > 0 and not o.not_tls)


#: Pages of nginx ("No required SSL certificate was sent") and IIS (403.7, "... client certificate ...").
_CERTIFICATE_PAGE = re.compile(r"no required ssl certificate was sent|client certificate|403\.7\b", re.IGNORECASE)


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
    folds=(
        *("tls.interrupted", "tls.handshake-failed", "https.unexpected-status", "https.no-answer"),
        *("tcp.reset-by-server", "tcp.reset-origin-unknown"),
    ),
    reference="RFC 8446 §4.3.2",
)
def client_certificate_required(seen: Seen) -> Iterator[Hit]:
    """The server asks this machine for a certificate of its own, and refuses to go on without one.

    In TLS a server may send a CertificateRequest (RFC 8446 §4.3.2, RFC 5246 §7.4.4). A client without
    a certificate answers with an empty list, and it is the server's choice to go on or to end the
    connection: with the alert handshake_failure up to TLS 1.2, with certificate_required after the
    handshake in TLS 1.3 (§4.4.2.4), or with an HTTP page (nginx: 400, IIS: 403.7). netdiag presents
    none. A mere request, which many servers make and do not insist on, is not reported.

    Another node of an integration runtime (netdiag node) that insists is no fault: the nodes present
    certificates of their own to each other, and netdiag has none to present. All that can be tested
    without one was then tested.

    The network is fine. If the application is meant to authenticate itself by certificate, ask the
    operator of the server which authority must have issued it and configure certificate and private
    key in the application. Azure Data Factory's own endpoints ask for none: there, this means that
    something else answers.
    """
    for main in mains(seen):
        if wants_certificate(main) and is_node(seen):
            yield _node_hit(seen, (main,))
        elif wants_certificate(main):
            how = f"with {main.alert}" if main.alert else "without an alert"
            yield _certificate_hit(seen, f"{place(seen, main)} ends the TLS handshake {how}", (main,))
    for end in seen.effective(NodeObservation):
        if asks_for_certificate(seen, end):
            yield _node_hit(seen, (end,))
    for fetch in seen.effective(HttpsObservation):
        if _fetch_wants_certificate(seen, fetch):
            tls = seen.get(fetch.parent or "")
            evidence = (tls, fetch) if isinstance(tls, TlsObservation) else (fetch,)
            how = f"answers {fetch.status}" if fetch.status else "ends the connection after the handshake"
            yield _certificate_hit(seen, f"{seen.target.authority} {how}", evidence)


def _node_hit(seen: Seen, evidence: tuple[TlsObservation | NodeObservation, ...]) -> Hit:
    return Hit(
        summary=f"{seen.target.authority} insists on a client certificate, which its fellow nodes have, and netdiag "
        "sends none: what comes after TLS was not tested",
        blame="unknown",
        remedy="None; that all nodes have the certificate with its private key shows in the runtime's own log.",
        evidence=evidence,
        severity=Severity.INFO,
    )


def _certificate_hit(seen: Seen, what: str, evidence: tuple[TlsObservation | HttpsObservation, ...]) -> Hit:
    return Hit(
        summary=f"{what}, because it requires a client certificate and {seen.client} presents none",
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
    for main in mains(seen):
        if seen.capture and main.alert == "protocol_version":
            yield _refused_versions(seen, main)
            continue
        legacy = control(seen, main, "legacy-versions")
        repeat, tls12 = control(seen, main, "repeat"), control(seen, main, "tls1.2-only")
        if main.failure is None or legacy is None or not ok(legacy) or ok(repeat) or ok(tls12):
            continue
        if legacy.version not in _OLD_VERSIONS:
            continue
        refused = f"with {main.alert}" if main.alert else f"({main.failure.kind})"
        yield Hit(
            summary=f"{place(seen, main)} speaks only {_version(legacy.version)}: it refuses {_offered(main)} "
            f"{refused}",
            blame="server",
            remedy=f"Enable TLS 1.2 on {seen.target.host}, or on the device that ends TLS in front of it.",
            evidence=present(main, repeat, tls12, legacy),
        )


def _refused_versions(seen: Seen, main: TlsObservation) -> Hit:
    """The alert alone tells that nothing fits, and not what would."""
    old = main.offered[1] in _OLD_VERSIONS
    return Hit(
        summary=f"{place(seen, main)} refuses {_offered(main)}, all that {seen.client} offers, with protocol_version",
        blame="this-machine" if old else "server",
        remedy=f"Enable TLS 1.2 on {seen.client}, for the application that connects."
        if old
        else f"Enable TLS 1.2 on {seen.target.host}, or on the device that ends TLS in front of it.",
        evidence=(main,),
    )


def _offered(main: TlsObservation) -> str:
    lowest, highest = map(_version, main.offered)
    return lowest if lowest == highest else f"{lowest} to {highest}"


def _version(name: str) -> str:
    """As people say it: TLS 1.0 for TLSv1."""
    number = name.removeprefix("TLSv")
    return f"TLS {number if '.' in number else number + '.0'}" if number != name else name
