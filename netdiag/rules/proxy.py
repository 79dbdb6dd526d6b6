"""Rules about the proxy between this machine and the target."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from netdiag.model import (
    Culprit,
    DnsObservation,
    Failure,
    HttpsObservation,
    Observation,
    ProxyObservation,
    ProxySelection,
    Severity,
    TcpObservation,
    TlsObservation,
)
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
#: What the domain logon of Windows answers; a user name typed into a form is the exception with these.
_DOMAIN_SCHEMES = ("Negotiate", "NTLM", "Kerberos")
#: SOCKS5 replies (RFC 1928 §6): 2 is the proxy's own rule, the others tell of its onward connection.
_SOCKS_NOT_ALLOWED = 2


def _failed_tunnels(seen: Seen) -> Iterator[tuple[ProxyObservation, Failure]]:
    """The tunnels that failed, when none opened: with a list of proxies, one that works is enough."""
    tunnels = seen.effective(ProxyObservation)
    if any(tunnel.outcome == "ok" for tunnel in tunnels):
        return
    for tunnel in tunnels:
        if tunnel.failure is not None:
            yield tunnel, tunnel.failure


def _direct_works(seen: Seen) -> bool:
    """Whether the target answered on the direct way."""
    if fetches := seen.of(HttpsObservation, "direct"):
        return any(fetch.outcome == "ok" for fetch in fetches)
    return any(o.outcome == "ok" and o.purpose == "main" for o in seen.of(TlsObservation, "direct"))


def _or_bypass(seen: Seen) -> str:
    """The other way out, where it is one."""
    if not _direct_works(seen):
        return ""
    return (
        f" The direct way works: {seen.target.host} can instead be excluded from the proxy (the bypasslist in"
        " diahost.exe.config and diawp.exe.config, or NO_PROXY)."
    )


def _culprit(tunnel: ProxyObservation) -> Culprit:
    return Culprit(name=tunnel.proxy, address=tunnel.flow.server if tunnel.flow else "")


def _header(tunnel: ProxyObservation, name: str) -> str:
    return next((value for field, value in tunnel.headers if field.lower() == name), "")


def _said(tunnel: ProxyObservation) -> str:
    """The proxy's own words: status and reason, then what Squid adds in X-Squid-Error."""
    if tunnel.proxy.startswith("socks"):
        return f"reply {tunnel.status} ({tunnel.reason})"
    said = f"{tunnel.status} {tunnel.reason}".strip()
    squid = _header(tunnel, "x-squid-error").split()
    return f"{said}, {squid[0]}" if squid else said


#: What a reader of the page does not see: comments, style, script, tags. The page may end inside any of them.
_INVISIBLE = re.compile(
    r"<!--.*?(?:-->|\Z)|<(style|script)\b.*?(?:</\1\s*>|\Z)|<[^>]*(?:>|\Z)", re.DOTALL | re.IGNORECASE
)


def _excerpt(tunnel: ProxyObservation) -> str:
    """The first words of the proxy's page, without its markup."""
    words = " ".join(_INVISIBLE.sub(" ", tunnel.body).split())
    return f' Its page begins: "{words[:160]}".' if words else ""


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
        works = _direct_works(seen)
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


_TCP_WORDS = {
    "refused": "refuses the connection",
    "timeout": "does not answer",
    "unreachable": "is reported unreachable by a router on the way",
    "prohibited": "is reported blocked by a filter on the way",
    "local-policy": "is blocked by a filter on this machine",
    "no-route": "has no route from this machine",
    "reset": "resets the connection",
}


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
    other = _or_bypass(seen) if severity is None else " Until then connections go out directly, as the setting allows."
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


def _place(tcp: TcpObservation) -> str:
    return f"[{tcp.address}]:{tcp.port}" if ":" in tcp.address else f"{tcp.address}:{tcp.port}"


def _words(tcp: TcpObservation) -> str:
    kind = tcp.failure.kind if tcp.failure else ""
    return f"{_place(tcp)} {_TCP_WORDS.get(kind, 'does not accept a connection')}"


@rule("proxy.not-a-proxy", "The port set as the proxy is not a proxy", Severity.ERROR)
def not_a_proxy(seen: Seen) -> Iterable[Hit]:
    """What listens on the host and port that are set as the proxy speaks another protocol.

    Its answer to the request for a tunnel is not HTTP (or not SOCKS5), or it is the answer of a web
    server that does not know CONNECT: status 400, 404, 405 or 501 with nothing that marks a proxy
    (RFC 9110 §9.3.6).

    Every connection through this setting fails. Usual causes: the wrong port, the address of a web
    site or of the page that configures the proxy, an HTTPS proxy written as http:// or a SOCKS
    proxy written as an HTTP one.

    Correct scheme, host and port of the proxy setting.
    """
    for tunnel, failure in _failed_tunnels(seen):
        if failure.kind != "not-a-proxy":
            continue
        tls = "answers in TLS" in failure.detail and tunnel.proxy.startswith("http:")
        hint = f" Try https{tunnel.proxy[4:]} if this is an HTTPS proxy." if tls else ""
        yield Hit(
            summary=f"{tunnel.proxy} is set as the proxy, but what listens there is no such proxy: {failure.detail}.",
            blame="proxy",
            remedy=f"Correct the scheme, host and port of the proxy setting.{hint}{_or_bypass(seen)}",
            evidence=(tunnel,),
            culprit=_culprit(tunnel),
        )


@rule("proxy.authentication-required", "The proxy requires a login", Severity.ERROR)
def authentication_required(seen: Seen) -> Iterable[Hit]:
    r"""The proxy opens no tunnel before the client has proved who it is.

    It answered 407 (RFC 9110 §15.5.8), or as a SOCKS5 proxy accepted no login: either there were no
    credentials, or those that were sent were refused.

    A proxy that offers Negotiate or NTLM expects a Windows domain account. The integration
    runtime's service runs as NT SERVICE\DIAHostService, which such a proxy does not know; a user's
    browser on the same machine gets through all the same, because it is logged in as the user. For
    Basic and Digest a user name and password have to be set.

    Domain proxy: let the Integration Runtime Service log on with a domain account that may use the
    proxy, and set useDefaultCredentials="true" in diahost.exe.config and diawp.exe.config.
    Otherwise: enter the user name and password in the Integration Runtime Configuration Manager
    under Settings, Change, HTTP Proxy. Or have the administrators of the proxy let the target
    through without a login.
    """
    for tunnel, failure in _failed_tunnels(seen):
        if failure.kind != "proxy-authentication":
            continue
        offers = f" It offers {', '.join(tunnel.offered)}." if tunnel.offered else ""
        yield Hit(
            summary=f"The proxy {tunnel.proxy} requires a login, {_tried(tunnel, failure)}.{offers}",
            blame="proxy",
            remedy=_login_remedy(tunnel) + _or_bypass(seen),
            evidence=(tunnel,),
            culprit=_culprit(tunnel),
        )


def _tried(tunnel: ProxyObservation, failure: Failure) -> str:
    if tunnel.tried:
        return f"and it refused the credentials sent with {tunnel.tried}"
    if tunnel.credentials:
        return f"and the credentials given could not be used: {failure.detail}"
    return "and there are no credentials for it"


def _login_remedy(tunnel: ProxyObservation) -> str:
    domain = any(scheme in _DOMAIN_SCHEMES for scheme in tunnel.offered)
    if tunnel.tried and domain:
        return (
            "Check the account: its name with the domain (DOMAIN\\user), its password, whether it is locked, and"
            f" whether it may use the proxy; the proxy's log names the reason for {tunnel.tried}."
        )
    if tunnel.tried:
        return "Correct the user name and password set for the proxy, and check that this account may use it."
    if domain:
        return (
            "Run the Integration Runtime Service (DIAHostService) under a domain account that may use the proxy, or set"
            " a user name and password for the proxy in the Integration Runtime Configuration Manager."
        )
    return "Set a user name and password for the proxy where it is configured (in netdiag: in the proxy's URL)."


def _is_forbidden(tunnel: ProxyObservation) -> bool:
    """Whether a refusal is the proxy's own decision, rather than its trouble with the target."""
    status = tunnel.status or 0
    if tunnel.proxy.startswith("socks"):
        return status == _SOCKS_NOT_ALLOWED
    return status < 500 or status == 511  # RFC 6585 §6: 511 asks for a login to the network


@rule("proxy.forbidden", "The proxy forbids the connection", Severity.ERROR)
def forbidden(seen: Seen) -> Iterable[Hit]:
    """The proxy works, and its rules do not allow a tunnel to the target.

    It answered 403 or another status of its own to CONNECT, or SOCKS5 reply 2 (connection not
    allowed by ruleset, RFC 1928 §6).

    The target never heard of the attempt, so nothing on the target's side can help. Proxies decide
    by domain, by category, by port (many allow CONNECT to port 443 only) and by account.

    Have the administrators of the proxy allow the domain and port for this machine or account. The
    exact names are in the portal under the node's "View Service URLs"; a wildcard such as
    *.frontend.clouddatahub.net needs less upkeep.
    """
    for tunnel, failure in _failed_tunnels(seen):
        if failure.kind != "proxy-status" or not _is_forbidden(tunnel):
            continue
        yield Hit(
            summary=f"The proxy {tunnel.proxy} does not allow {seen.target.authority}: {_said(tunnel)}."
            + _excerpt(tunnel),
            blame="proxy",
            remedy=f"Have the administrators of the proxy allow {seen.target.host}, port {seen.target.port}, for this"
            f" machine or its account.{_or_bypass(seen)}",
            evidence=(tunnel,),
            culprit=_culprit(tunnel),
        )


_ONWARD_WORDS = {
    "ERR_DNS_FAIL": "the proxy cannot resolve the name",
    "ERR_CONNECT_FAIL": "the proxy cannot connect",
    "ERR_READ_TIMEOUT": "the target did not answer the proxy in time",
    "ERR_READ_ERROR": "the connection from the proxy to the target broke",
    "ERR_CANNOT_FORWARD": "the proxy knows no way onward",
    "ERR_SECURE_CONNECT_FAIL": "the proxy's own TLS handshake with the target failed",
    "502": "the proxy cannot connect",
    "503": "the proxy cannot connect, or is overloaded",
    "504": "the target did not answer the proxy in time, or its name did not resolve there",
    "socks 3": "the proxy has no route to the target's network",
    "socks 4": "the proxy cannot resolve the name or reach the host",
    "socks 5": "the target refuses the proxy's connection",
    "socks 6": "the proxy's packets did not reach the target",
}


@rule("proxy.cannot-reach-target", "The proxy cannot reach the target", Severity.ERROR)
def cannot_reach_target(seen: Seen) -> Iterable[Hit]:
    """The proxy accepted the request and then failed to connect to the target itself.

    It answered 502, 503, 504 or another status of 500 and above (RFC 9110 §15.6), or a SOCKS5 reply
    for a failed connection (RFC 1928 §6).

    It is the proxy, not this machine, that resolves the target's name and connects to it. Its name
    servers, its firewall or its upstream proxy stand between it and the target. Squid's X-Squid-
    Error header tells which: ERR_DNS_FAIL is the name, ERR_CONNECT_FAIL the connection.

    Give the administrators of the proxy the finding as it stands: they see the rest in the proxy's
    log. Check the target's name first when the proxy says that it cannot resolve it; names of
    private endpoints exist only in private DNS zones, which the proxy's name servers may not know.
    """
    for tunnel, failure in _failed_tunnels(seen):
        if failure.kind != "proxy-status" or _is_forbidden(tunnel):
            continue
        squid = _header(tunnel, "x-squid-error").split()
        key = f"socks {tunnel.status}" if tunnel.proxy.startswith("socks") else str(tunnel.status)
        words = _ONWARD_WORDS.get(squid[0] if squid else "") or _ONWARD_WORDS.get(key, "the proxy gives no reason")
        yield Hit(
            summary=f"The proxy {tunnel.proxy} cannot reach {seen.target.authority}: {words} ({_said(tunnel)}).",
            blame="proxy",
            remedy=f"Have the administrators of the proxy find out why it cannot reach {seen.target.host}, port"
            f" {seen.target.port}: its name servers, its firewall, its upstream proxy.{_or_bypass(seen)}",
            evidence=(tunnel,),
            culprit=_culprit(tunnel),
        )


_NO_ANSWER_WORDS = {
    "timeout": "did not answer in time",
    "eof": "closed the connection without an answer",
    "reset": "reset the connection",
}
_EXPLAINED = frozenset({"not-a-proxy", "proxy-authentication", "proxy-status"})


@rule("proxy.no-answer", "The proxy did not answer the request for a tunnel", Severity.ERROR)
def no_answer(seen: Seen) -> Iterable[Hit]:
    """The proxy accepted the connection and did not answer the request for a tunnel to the target.

    There was silence, a closed connection or a reset.

    Three things look like this. The proxy is still trying to connect to a target whose packets are
    dropped behind it. What listens there is no proxy of the kind that is set (a SOCKS server closes
    on CONNECT, a TLS port on plain text). Or a filter between this machine and the proxy cut the
    connection when it saw the target's name.

    Ask the administrators of the proxy whether its log shows the request. If it does, the fault
    lies behind the proxy; if it does not, check scheme and port of the setting, and what stands
    between this machine and the proxy.
    """
    for tunnel, failure in _failed_tunnels(seen):
        if failure.kind in _EXPLAINED:
            continue
        words = _NO_ANSWER_WORDS.get(failure.kind, f"failed: {failure.detail}")
        yield Hit(
            summary=f"The proxy {tunnel.proxy} accepted the connection, but the request for a tunnel to"
            f" {seen.target.authority} failed: the proxy {words}."
            if failure.kind in _NO_ANSWER_WORDS
            else f"The request to the proxy {tunnel.proxy} for a tunnel to {seen.target.authority} {words}.",
            blame="proxy",
            remedy="Look for the request in the proxy's log. If it is there, the proxy cannot reach the target; if not,"
            f" check scheme and port of the proxy setting.{_or_bypass(seen)}",
            evidence=(tunnel,),
            culprit=_culprit(tunnel),
        )
