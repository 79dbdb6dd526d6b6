"""Rules about the proxy's answer to the request for a tunnel to the target."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from netdiag.model import Culprit, Failure, ProxyObservation, Severity
from netdiag.rules.proxy_bypass import or_bypass
from netdiag.rules.registry import Hit, rule
from netdiag.rules.seen import Seen

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


def _hit(seen: Seen, tunnel: ProxyObservation, summary: str, remedy: str) -> Hit:
    """A hit that whoever runs the proxy has to mend, with the way past it, where there is one, as another remedy."""
    return Hit(
        summary=summary,
        blame="proxy",
        remedy=remedy + or_bypass(seen),
        evidence=(tunnel,),
        culprit=Culprit(name=tunnel.proxy, address=tunnel.flow.server if tunnel.flow else ""),
    )


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
        yield _hit(
            seen,
            tunnel,
            f"{tunnel.proxy} is set as the proxy, but what listens there is no such proxy: {failure.detail}.",
            f"Correct the scheme, host and port of the proxy setting.{hint}",
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
        yield _hit(
            seen,
            tunnel,
            f"The proxy {tunnel.proxy} requires a login, {_tried(seen, tunnel, failure)}.{offers}",
            _login_remedy(seen, tunnel),
        )


def _tried(seen: Seen, tunnel: ProxyObservation, failure: Failure) -> str:
    if tunnel.tried:
        return f"and it refused the credentials sent with {tunnel.tried}"
    if tunnel.credentials:
        return f"and the credentials given could not be used: {failure.detail}"
    return "and the client sent no credentials" if seen.capture else "and there are no credentials for it"


def _login_remedy(seen: Seen, tunnel: ProxyObservation) -> str:
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
    where = "" if seen.capture else " (in netdiag: in the proxy's URL)"
    return f"Set a user name and password for the proxy where it is configured{where}."


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
        yield _hit(
            seen,
            tunnel,
            f"The proxy {tunnel.proxy} does not allow {seen.target.authority}: {_said(tunnel)}." + _excerpt(tunnel),
            f"Have the administrators of the proxy allow {seen.target.host}, port {seen.target.port}, for"
            f" {seen.client} or its account.",
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
        yield _hit(
            seen,
            tunnel,
            f"The proxy {tunnel.proxy} cannot reach {seen.target.authority}: {words} ({_said(tunnel)}).",
            f"Have the administrators of the proxy find out why it cannot reach {seen.target.host}, port"
            f" {seen.target.port}: its name servers, its firewall, its upstream proxy.",
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
        yield _hit(
            seen,
            tunnel,
            f"The proxy {tunnel.proxy} accepted the connection, but the request for a tunnel to"
            f" {seen.target.authority} failed: the proxy {words}."
            if failure.kind in _NO_ANSWER_WORDS
            else f"The request to the proxy {tunnel.proxy} for a tunnel to {seen.target.authority} {words}.",
            "Look for the request in the proxy's log. If it is there, the proxy cannot reach the target; if not,"
            " check scheme and port of the proxy setting.",
        )
