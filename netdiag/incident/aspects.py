"""What one report shows, aspect by aspect: the proxy, the addresses, the certificate's issuer, ... Pure.

Contract: an aspect's value is a few words that compare as text: equal words mean the same thing was seen. None means
that the report does not show the aspect. Values hold untrusted text as it came; ``short`` bounds them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TypeVar

import msgspec

from netdiag.model import (
    CaptureObservation,
    CertificateSummary,
    ChainObservation,
    DnsObservation,
    Failure,
    HttpsObservation,
    NodeObservation,
    Observation,
    ProxyObservation,
    ProxySelection,
    Report,
    RetrievalObservation,
    Rung,
    ServiceObservation,
    TcpObservation,
    TlsObservation,
    TraceObservation,
    authority,
    name_part,
)
from netdiag.rules.addresses import near
from netdiag.rules.certificates import short_name, span, utc
from netdiag.rules.words import few

#: A cell of a table, or a clause of a sentence; what is longer is no longer compared by eye.
MAX_VALUE = 400
#: Addresses, servers or services named in one value.
_NAMED = 8
#: A clock that is off by less does no harm (RFC 4120 §3.1.3 allows 5 minutes; certificates are valid for days).
_CLOCK_S = 60.0

O = TypeVar("O", bound=Observation)  # noqa: E741 - the conventional name for "an observation type"
Read = Callable[[Report], str | None]
Measure = Callable[[Report], float | None]


class Aspect(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to compare. ``one`` and ``many`` are clauses about a report, or several, that show a value.

    A clause may depend on the value: ``clauses`` has others for values that begin with a word.
    """

    rung: Rung
    what: str
    one: str
    many: str
    read: Read
    clauses: tuple[tuple[str, str, str], ...] = ()
    #: It means the same for every target: which proxy, which trust store.
    of_machine: bool = False
    #: Whether two values that differ mean the same, as two answers of one operator's rotation do.
    alike: Callable[[str, str], bool] = operator.eq
    #: Aspects that it follows from: where one of them differs, it is not worth a sentence of its own.
    follows: tuple[str, ...] = ()


class Timing(msgspec.Struct, frozen=True, kw_only=True):
    """One time to compare, which counts only where it differs grossly: by ``factor`` and by ``least_s``."""

    rung: Rung
    what: str
    read: Measure
    factor: float
    least_s: float


def short(value: str) -> str:
    """A bounded value on one line."""
    line = " ".join(value.split())
    return line if len(line) <= MAX_VALUE else f"{line[: MAX_VALUE - 1]}…"


def _failed(failure: Failure) -> str:
    return failure.kind.replace("-", " ")


def _effective(report: Report, kind: type[O]) -> list[O]:
    """Those made on the way that an application takes."""
    return [o for o in report.observations if isinstance(o, kind) and o.route == report.route]


def _proxy(report: Report) -> str | None:
    chosen = next((o for o in report.observations if isinstance(o, ProxySelection)), None)
    if chosen is None:
        return None
    because = f" ({chosen.because})" if chosen.because else ""
    if chosen.failure is not None:
        return f"unusable setting{because}"
    fallback = ", else directly" if chosen.falls_back else ""
    return f"{few(chosen.proxies)}{fallback}{because}" if chosen.proxies else f"none{because}"


def _hosts_file(report: Report) -> str | None:
    found = [o for o in report.observations if isinstance(o, DnsObservation) and o.asker == "hosts-file"]
    addresses = sorted({address for o in found for address in o.addresses})
    return few(addresses, _NAMED) or "no entry" if found else None


def _name_servers(report: Report) -> str | None:
    asked = (o for o in report.observations if isinstance(o, DnsObservation) and o.asker == "name-server")
    servers = sorted({o.server for o in asked if o.configured})
    return few(servers, _NAMED) or None


def _addresses(report: Report) -> str | None:
    lookups = [o for o in report.observations if isinstance(o, DnsObservation) and o.name == report.target.host]
    mine = [o for o in lookups if o.asker == "system" and o.outcome != "not-run"]
    if not mine:
        return None
    addresses = sorted({address for o in mine for address in o.addresses})
    why = next((_failed(o.failure) for o in mine if o.failure), "no address")
    return few(addresses, _NAMED) or f"none: {why}"


def _near(one: str, other: str) -> bool:
    return near(one.split(", "), other.split(", "))


def _connection(report: Report) -> str | None:
    attempts = [o for o in _effective(report, TcpObservation) if o.source == "probe" and o.outcome != "not-run"]
    bad = sorted({_failed(o.failure) for o in attempts if o.failure})
    good = any(o.outcome == "ok" for o in attempts)
    if not attempts:
        return None
    if good:
        return f"connected; another address fails: {', '.join(bad)}" if bad else "connected"
    return f"fails: {', '.join(bad)}"


def _path(report: Report) -> str | None:
    traces = [o for o in _effective(report, TraceObservation) if o.outcome != "not-run" and o.mode == "syn"]
    if not traces:
        return None
    trace = traces[0]
    hops = [" or ".join(sorted(hop.addresses)) or "?" for hop in trace.hops]
    reached = trace.answer in ("open", "refused", "data")
    while hops and hops[-1] == "?":
        hops.pop()
    end = trace.address if reached else f"no further ({trace.answer})"
    return " → ".join([*hops, end])


def _tunnel(report: Report) -> str | None:
    tunnels = [o for o in report.observations if isinstance(o, ProxyObservation) and o.outcome != "not-run"]
    if not tunnels:
        return None
    last = tunnels[-1]
    if last.failure is None:
        return "open"
    status = f"{last.status} {last.reason}".strip() if last.status is not None else _failed(last.failure)
    return f"no: {status}{f', offers {few(last.offered)}' if last.offered else ''}"


def _main(report: Report) -> TlsObservation | None:
    shakes = [o for o in _effective(report, TlsObservation) if o.purpose in ("main", "system")]
    return next((o for o in shakes if o.outcome != "not-run"), None)


def _tls(report: Report) -> str | None:
    main = _main(report)
    if main is None:
        return None
    if main.failure is not None:
        return f"no handshake: {f'alert {main.alert}' if main.alert else _failed(main.failure)}"
    return main.version or None


def _cipher(report: Report) -> str | None:
    main = _main(report)
    return main.cipher or None if main is not None and main.failure is None else None


def _chain(report: Report) -> ChainObservation | None:
    if report.command == "pcap":
        return None
    return next((o for o in _effective(report, ChainObservation) if o.elements), None)


def _issuer(report: Report) -> str | None:
    chain = _chain(report)
    if chain is None:
        return None
    issuer = chain.elements[0].issuer
    organization = name_part(issuer, "O")
    name = short_name(issuer)
    return f"{name} ({organization})" if organization and organization != name else name


def _top(report: Report) -> str | None:
    chain = _chain(report)
    return short_name(chain.elements[-1].subject) if chain is not None and len(chain.elements) > 1 else None


def _leaf(report: Report) -> str | None:
    chain = _chain(report)
    return _certificate(chain.elements[0]) if chain is not None else None


def _certificate(leaf: CertificateSummary) -> str:
    return f"{short_name(leaf.subject)}, valid until {utc(leaf.not_after)}, SHA-1 {leaf.sha1[:12]}…"


def _trust(report: Report) -> str | None:
    chain = _chain(report)
    if chain is None:
        return None
    kinds = dict.fromkeys(fault.kind for fault in chain.faults if fault.severity != "info")
    return f"no: {', '.join(kinds)}" if kinds else "trusted"


def _store(report: Report) -> str | None:
    chain = _chain(report)
    if chain is None or not chain.stores:
        return None
    return f"{few(chain.stores)}, {'with' if chain.has_digicert_g2 else 'without'} DigiCert Global Root G2"


def _retrievals(report: Report) -> str | None:
    found = [o for o in report.observations if isinstance(o, RetrievalObservation)]
    bad = sorted({f"{o.url} {o.status}" for o in found if o.status != "verified"})
    return (few(bad, _NAMED) or "all verified") if found else None


def _fetch(report: Report) -> HttpsObservation | None:
    return next((o for o in _effective(report, HttpsObservation) if o.outcome != "not-run"), None)


def _status(report: Report) -> str | None:
    fetch = _fetch(report)
    if fetch is None:
        return None
    if fetch.status is not None:
        return f"{fetch.status} {fetch.reason}".strip()
    return f"none: {_failed(fetch.failure)}" if fetch.failure else None


def _header(report: Report) -> str | None:
    fetch = _fetch(report)
    if fetch is None or fetch.status is None:
        return None
    return next((value for name, value in fetch.headers if name.casefold() == "server" and value), None)


def _final(report: Report) -> str | None:
    fetch = _fetch(report)
    return fetch.final_url or fetch.url if fetch is not None and fetch.status is not None else None


def _clock(report: Report) -> str | None:
    offset = next(
        (o.clock_offset_s for o in _effective(report, HttpsObservation) if o.clock_offset_s is not None), None
    )
    if offset is None:
        return None
    return "right" if abs(offset) < _CLOCK_S else f"{span(abs(offset))} {'slow' if offset > 0 else 'fast'}"


def _node(report: Report) -> str | None:
    node = next((o for o in report.observations if isinstance(o, NodeObservation) and o.outcome != "not-run"), None)
    if node is None or report.command == "pcap":
        return None
    return f"fails: {_failed(node.failure)}" if node.failure is not None else node.answer or None


def _services(report: Report) -> str | None:
    if report.command != "pcap":
        return None
    bad = []
    for o in report.observations:
        if isinstance(o, ServiceObservation) and o.address:
            counts = {
                "unanswered": o.unanswered,
                "refused": o.refused,
                "unfinished": o.unfinished,
                "reset early": o.reset_early,
            }
            worst = [name for name, count in counts.items() if count]
            if worst:
                bad.append(f"{authority(o.names[0] if o.names else o.address, o.port)} {' and '.join(worst)}")
    return few(sorted(bad), _NAMED) or "none"


def _round_trip(report: Report) -> float | None:
    found = [
        o.info.rtt_ms / 1000
        for o in _effective(report, TcpObservation)
        if o.info is not None and o.info.rtt_ms is not None and o.outcome == "ok"
    ]
    return min(found, default=None)


def _lookup_time(report: Report) -> float | None:
    found = [o.took_s for o in report.observations if isinstance(o, DnsObservation) and o.asker == "system"]
    return max(found, default=None)


def _connect_time(report: Report) -> float | None:
    found = [o.took_s for o in _effective(report, TcpObservation) if o.outcome == "ok" and o.source == "probe"]
    return min(found, default=None)


def _handshake_time(report: Report) -> float | None:
    main = _main(report)
    return main.took_s if main is not None and main.failure is None else None


def _first_byte(report: Report) -> float | None:
    fetch = _fetch(report)
    return fetch.first_byte_s if fetch is not None else None


def _lost(report: Report) -> float | None:
    """The share of packets sent again; not a time, and compared like one."""
    capture = next((o for o in report.observations if isinstance(o, CaptureObservation)), None)
    return capture.retransmissions / capture.tcp_packets if capture is not None and capture.tcp_packets else None


#: In the ladder's order, causes before their consequences.
ASPECTS: tuple[Aspect, ...] = (
    Aspect(
        rung="machine",
        what="proxy",
        one="goes through the proxy {}",
        many="go through the proxy {}",
        read=_proxy,
        clauses=(
            ("none", "connects without a proxy{}", "connect without a proxy{}"),
            (
                "unusable setting",
                "has a proxy setting that cannot be used{}",
                "have a proxy setting that cannot be used{}",
            ),
        ),
        of_machine=True,
    ),
    Aspect(
        rung="machine",
        what="clock",
        one="has a clock that is {}",
        many="have clocks that are {}",
        read=_clock,
        of_machine=True,
    ),
    Aspect(
        rung="machine",
        what="hosts file",
        one="has {} for the name in the hosts file",
        many="have {} for the name in the hosts file",
        read=_hosts_file,
    ),
    Aspect(
        rung="dns",
        what="name servers",
        one="asks the name servers {}",
        many="ask the name servers {}",
        read=_name_servers,
        of_machine=True,
    ),
    Aspect(
        rung="dns",
        what="addresses",
        one="resolves the name to {}",
        many="resolve the name to {}",
        read=_addresses,
        alike=_near,
        clauses=(("none", "gets no address for the name{}", "get no address for the name{}"),),
    ),
    Aspect(
        rung="tcp",
        what="connection",
        one="has the connection {}",
        many="have the connection {}",
        read=_connection,
        follows=("proxy",),
        clauses=(
            ("connected", "connects{}", "connect{}"),
            ("fails", "cannot connect{}", "cannot connect{}"),
        ),
    ),
    Aspect(
        rung="tcp",
        what="path",
        one="takes the way {}",
        many="take the way {}",
        read=_path,
        follows=("proxy", "addresses"),
    ),
    Aspect(
        rung="tcp",
        what="services in trouble",
        one="shows trouble with {}",
        many="show trouble with {}",
        read=_services,
        clauses=(("none", "shows no service in trouble{}", "show no service in trouble{}"),),
    ),
    Aspect(
        rung="proxy",
        what="tunnel",
        one="gets the tunnel {}",
        many="get the tunnel {}",
        read=_tunnel,
        follows=("proxy",),
        clauses=(
            ("open", "gets a tunnel through the proxy{}", "get a tunnel through the proxy{}"),
            ("no", "gets no tunnel through the proxy{}", "get no tunnel through the proxy{}"),
        ),
    ),
    Aspect(
        rung="tls",
        what="TLS version",
        one="speaks {}",
        many="speak {}",
        read=_tls,
        clauses=(("no handshake", "cannot complete the TLS handshake{}", "cannot complete the TLS handshake{}"),),
    ),
    Aspect(
        rung="tls",
        what="cipher",
        one="agrees on {}",
        many="agree on {}",
        read=_cipher,
        follows=("TLS version", "issuer of the chain"),
    ),
    Aspect(rung="tls", what="net.tcp answer", one="gets the answer {}", many="get the answer {}", read=_node),
    Aspect(
        rung="chain",
        what="issuer of the chain",
        one="sees a chain that is issued by {}",
        many="see a chain that is issued by {}",
        read=_issuer,
    ),
    Aspect(
        rung="chain",
        what="top of the chain",
        one="sees a chain that ends at {}",
        many="see a chain that ends at {}",
        read=_top,
        follows=("issuer of the chain",),
    ),
    Aspect(
        rung="chain",
        what="certificate",
        one="sees the certificate of {}",
        many="see the certificate of {}",
        read=_leaf,
        follows=("issuer of the chain",),
    ),
    Aspect(
        rung="chain",
        what="trust store",
        one="trusts what is in {}",
        many="trust what is in {}",
        read=_store,
        of_machine=True,
    ),
    Aspect(
        rung="chain",
        what="trust in the chain",
        one="judges the chain {}",
        many="judge the chain {}",
        read=_trust,
        clauses=(
            ("trusted", "trusts the chain{}", "trust the chain{}"),
            ("no", "does not trust the chain{}", "do not trust the chain{}"),
        ),
    ),
    Aspect(
        rung="chain",
        what="revocation services",
        one="finds {}",
        many="find {}",
        read=_retrievals,
        clauses=(
            ("all verified", "finds every URL of the chain verified{}", "find every URL of the chain verified{}"),
        ),
    ),
    Aspect(
        rung="https",
        what="HTTP status",
        one="gets the answer {}",
        many="get the answer {}",
        read=_status,
        clauses=(("none", "gets no HTTP answer{}", "get no HTTP answer{}"),),
    ),
    Aspect(
        rung="https",
        what="final URL",
        one="ends up at {}",
        many="end up at {}",
        read=_final,
        follows=("HTTP status",),
    ),
    Aspect(
        rung="https",
        what="Server header",
        one="is answered by {}",
        many="are answered by {}",
        read=_header,
        follows=("HTTP status", "final URL"),
    ),
)

#: Four times the round trip, and a twentieth of a second: another continent, or a tunnel on the way. Of waits that
#: include the server's work, five times and a third of a second.
TIMINGS: tuple[Timing, ...] = (
    Timing(rung="dns", what="time of the lookup", read=_lookup_time, factor=5.0, least_s=0.3),
    Timing(rung="tcp", what="round trip", read=_round_trip, factor=4.0, least_s=0.05),
    Timing(rung="tcp", what="time to connect", read=_connect_time, factor=5.0, least_s=0.3),
    Timing(rung="tls", what="time of the handshake", read=_handshake_time, factor=5.0, least_s=0.3),
    Timing(rung="https", what="time to the first byte", read=_first_byte, factor=5.0, least_s=0.3),
)
#: A share of packets: three times as many, and one in a hundred.
LOSS = Timing(rung="tcp", what="packets sent again", read=_lost, factor=3.0, least_s=0.01)
