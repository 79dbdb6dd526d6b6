"""Rules about getting to the proxy: the setting that names it, and the connection to it."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from netdiag.model import (
    Culprit,
    DnsObservation,
    Observation,
    ProxySelection,
    Severity,
    TcpObservation,
    authority,
)
from netdiag.rules.proxy_bypass import direct_works, or_bypass
from netdiag.rules.registry import Hit, rule
from netdiag.rules.seen import Seen

_TCP_SYMPTOMS = ("tcp.refused", "tcp.no-reply", "tcp.unreachable", "tcp.prohibited")
_DNS_SYMPTOMS = (
    "dns.name-not-found",
    "dns.server-failure",
    "dns.timeout",
    "dns.refused",
    "dns.no-address",
    "dns.resolvers-disagree",
)


@rule(
    "proxy.setting-invalid",
    "The proxy setting of this machine cannot be used",
    Severity.ERROR,
    folds=(*_TCP_SYMPTOMS, *_DNS_SYMPTOMS),
)
def setting_invalid(seen: Seen) -> Iterable[Hit]:
    """The setting that says which proxy to use is broken.

    The proxy's address in it is malformed, or the automatic configuration script (PAC) cannot be
    loaded, fails, or answers with something that names no proxy.

    Applications take this in different ways. Windows goes out directly when a PAC script cannot be
    had; curl and requests stop with an error when the variable is malformed. On a network that only
    lets the proxy out, going directly ends in a connection that is never answered, and nothing
    there mentions the proxy.

    Correct the setting that the finding names. For a script, open its URL in a browser on this
    machine: it has to return a text that defines FindProxyForURL.
    """
    for selection in seen.of(ProxySelection):
        if selection.failure is None:
            continue
        works = direct_works(seen)
        failed: tuple[Observation, ...] = ()
        if seen.route == "direct" and not works:
            failed = _all_failed(seen.effective(TcpObservation)) or _all_failed(_system_lookups(seen))
        script = selection.failure.kind == "pac-error"
        then = " The direct way works without it." if works else ""
        setting = f" ({selection.setting})" if selection.setting else ""
        yield Hit(
            summary=f"The proxy setting from {selection.because}{setting} cannot be used: {selection.failure.detail}."
            + then,
            blame="proxy",
            remedy=(
                "Make the PAC script load on this machine and name a proxy, or set the proxy itself in its place."
                if script
                else f"Correct {selection.because}; a proxy is written as http://HOST:PORT."
            ),
            evidence=(selection, *failed),
            # Windows and browsers fall back to the direct way without a script; a malformed address stops others.
            severity=Severity.WARNING if script and works else None,
            culprit=Culprit(name=selection.because),
        )


def _all_failed(observations: Iterable[Observation]) -> tuple[Observation, ...]:
    """The observations when all of them failed, else none."""
    every = tuple(observations)
    return every if every and all(o.outcome == "failed" for o in every) else ()


def _system_lookups(seen: Seen) -> tuple[DnsObservation, ...]:
    return tuple(o for o in seen.effective(DnsObservation) if o.asker == "system")


@rule(
    "proxy.unreachable",
    "The proxy cannot be reached",
    Severity.ERROR,
    folds=(*_TCP_SYMPTOMS, *_DNS_SYMPTOMS),
)
def unreachable(seen: Seen) -> Iterable[Hit]:
    """A proxy applies to the target, and no connection to that proxy came about.

    Its name has no address, or none of its addresses accepts a connection on its port.

    Nothing can be said about the target before the proxy answers: every connection that uses this
    proxy fails, to whatever host. The cause is the proxy's name or port in the setting, a proxy
    that is down, or a firewall between this machine and the proxy.

    Compare host and port with what the administrators of the proxy publish, and ask them whether it
    runs. Where the proxy was taken out of service, correct the setting: in the Integration Runtime
    Configuration Manager, in Windows' own proxy settings, or in the environment.
    """
    # With a PAC script that ends in DIRECT, applications go on directly: then it only costs them time.
    severity = Severity.WARNING if seen.route == "direct" else None
    dials = [o for o in seen.of(TcpObservation, "proxy") if o.peer == "proxy" and o.outcome != "not-run"]
    other = or_bypass(seen) if severity is None else " Until then connections go out directly, as the setting allows."
    if dials:
        if any(o.outcome == "ok" for o in dials):
            return
        names = _proxies(seen)
        which = dict.fromkeys(_words(o) for o in dials)
        yield Hit(
            summary=f"The proxy {names or _place(dials[0])} cannot be reached: {', '.join(which)}.",
            blame="this-machine" if _own_policy(dials) else "proxy",
            remedy=_dial_remedy(dials) + other,
            evidence=(*dials, *_unresolved(seen)),
            severity=severity,
            culprit=Culprit(name=names, address=dials[0].address),
        )
        return
    lookups = _unresolved(seen)
    system = [o for o in lookups if o.asker == "system"]
    if not system or any(o.outcome == "ok" and o.addresses for o in _proxy_names(seen)):
        return
    yield Hit(
        summary=f"The proxy {_proxies(seen)} cannot be reached: its name {system[0].name} does not resolve on this"
        f" machine ({system[0].failure.kind if system[0].failure else 'no address'}).",
        blame="proxy",
        remedy=_lookup_remedy(system[0]) + other,
        evidence=tuple(lookups),
        severity=severity,
        culprit=Culprit(name=_proxies(seen)),
    )


def _own_policy(dials: list[TcpObservation]) -> bool:
    return all(o.failure is not None and o.failure.kind == "local-policy" for o in dials)


def _dial_remedy(dials: list[TcpObservation]) -> str:
    if _own_policy(dials):
        return f"Let this machine's own firewall allow connections to {', '.join(map(_place, dials))}."
    return (
        "Check the proxy's host and port in the setting, that the proxy runs, and that the firewall between this"
        " machine and the proxy lets the connection through."
    )


def _lookup_remedy(lookup: DnsObservation) -> str:
    if lookup.failure is not None and lookup.failure.kind in ("timeout", "servfail"):
        return f"Make the name servers of this machine answer for {lookup.name}; none of them did."
    return f"Correct the proxy's name in the setting, or have {lookup.name} added to the DNS that this machine uses."


def _proxies(seen: Seen) -> str:
    """The proxies of the setting, in words."""
    return ", ".join(dict.fromkeys(url for selection in seen.of(ProxySelection) for url in selection.proxies))


def _proxy_names(seen: Seen) -> list[DnsObservation]:
    """Look-ups of the proxies' names; where no selection tells these, every look-up on that way but the target's."""
    hosts = {urlsplit(url).hostname for selection in seen.of(ProxySelection) for url in selection.proxies}
    lookups = seen.of(DnsObservation, "proxy")
    return [o for o in lookups if (o.name.lower() in hosts if hosts else o.name != seen.target.host)]


def _unresolved(seen: Seen) -> list[DnsObservation]:
    return [o for o in _proxy_names(seen) if o.outcome == "failed" or (o.asker == "system" and not o.addresses)]


_TCP_WORDS = {
    "refused": "refuses the connection",
    "timeout": "does not answer",
    "unreachable": "is reported unreachable by a router on the way",
    "prohibited": "is reported blocked by a filter on the way",
    "local-policy": "is blocked by a filter on this machine",
    "no-route": "has no route from this machine",
    "reset": "resets the connection",
}


def _words(tcp: TcpObservation) -> str:
    kind = tcp.failure.kind if tcp.failure else ""
    return f"{_place(tcp)} {_TCP_WORDS.get(kind, 'does not accept a connection')}"


def _place(tcp: TcpObservation) -> str:
    return authority(tcp.address, tcp.port)
