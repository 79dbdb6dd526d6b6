"""Rules about the HTTP answer: block pages, redirects to elsewhere, errors, silence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from netdiag.model import Blame, ChainObservation, Culprit, Failure, HttpsObservation, Severity
from netdiag.rules.azure import answered_by_azure, known_service
from netdiag.rules.registry import Hit, rule
from netdiag.rules.seen import Seen

#: Product names as they stand in block and login pages, and what the product calls itself. Lower case.
_PRODUCTS: tuple[tuple[str, str], ...] = (
    ("fortiguard", "Fortinet FortiGuard"),
    ("fortigate", "Fortinet FortiGate"),
    ("zscaler", "Zscaler"),
    ("netskope", "Netskope"),
    ("palo alto networks", "Palo Alto Networks"),
    ("forcepoint", "Forcepoint"),
    ("websense", "Forcepoint Websense"),
    ("blue coat", "Symantec ProxySG"),
    ("proxysg", "Symantec ProxySG"),
    ("mcafee web gateway", "Skyhigh Web Gateway"),
    ("skyhigh", "Skyhigh Web Gateway"),
    ("cisco umbrella", "Cisco Umbrella"),
    ("opendns", "Cisco Umbrella"),
    ("ironport", "Cisco Secure Web Appliance"),
    ("check point", "Check Point"),
    ("sophos", "Sophos"),
    ("barracuda", "Barracuda"),
    ("sonicwall", "SonicWall"),
    ("watchguard", "WatchGuard"),
    ("smoothwall", "Smoothwall"),
    ("iboss", "iboss"),
    ("menlo security", "Menlo Security"),
    ("cloudflare gateway", "Cloudflare Gateway"),
    ("squidguard", "SquidGuard"),
    ("err_access_denied", "Squid"),
)
#: What a block page says in its own words.
_BLOCKED = re.compile(
    r"(?:web ?(?:page|site)|site|url|access|request|category|content)[^<.]{0,60}"
    r"(?:blocked|denied|restricted|not (?:allowed|permitted))"
    r"|blocked by|(?:violates|according to|against)[^<.]{0,40}polic|internet usage policy|acceptable use",
    re.IGNORECASE,
)
#: What a captive portal says. 511 says it by itself (RFC 6585 §6).
_PORTAL = re.compile(
    r"captive portal|log ?in to (?:the |this )?network|guest (?:wi-?fi|network)|network login", re.IGNORECASE
)
_TITLE = re.compile(r"<title[^>]*>([^<]{1,200})", re.IGNORECASE)


def _answered(seen: Seen) -> Iterator[HttpsObservation]:
    for observation in seen.effective(HttpsObservation):
        if observation.status is not None:
            yield observation


def _title(observation: HttpsObservation) -> str:
    match = _TITLE.search(observation.body)
    return " ".join(match[1].split())[:80] if match else ""


def _product(observation: HttpsObservation) -> str:
    text = observation.body.lower() + " ".join(f"{name}: {value}".lower() for name, value in observation.headers)
    return next((product for marker, product in _PRODUCTS if marker in text), "")


def _blocks(observation: HttpsObservation) -> bool:
    """Whether a filter answered: by its status, or by its wording and one sign more.

    A redirect to elsewhere under a certificate that is not the target's is a portal's or a filter's as well.
    """
    if observation.status in (451, 511):  # RFC 7725, RFC 6585 §6
        return True
    if not observation.verified and _other_host(observation):
        return True
    blocked, portal = _BLOCKED.search(observation.body), _PORTAL.search(observation.body)
    # Only without TLS can somebody else send the redirect; over verified TLS the target itself has sent it.
    led_away = portal and observation.url.startswith("http:") and _other_host(observation)
    signs = (_product(observation), observation.status in (403, 503), led_away)
    return bool(blocked or portal) and any(signs)


def _other_host(observation: HttpsObservation) -> str:
    """The host of the answer, or of the Location that was not followed, when it is not the one that was asked."""
    asked = urlsplit(observation.url).hostname or ""
    headers = {name.lower(): value for name, value in observation.headers}
    is_redirect = observation.status is not None and 300 <= observation.status < 400
    last = headers.get("location", "") if is_redirect else observation.final_url
    try:
        reached = urlsplit(last).hostname or ""
    except ValueError:
        return ""
    return reached if reached and reached != asked else ""


@rule(
    "https.block-page",
    "A filter answers in the target's place",
    Severity.ERROR,
    folds=(
        "https.redirected",
        "https.unexpected-status",
        "tls.intercepted",
        "chain.untrusted-root",
        "chain.incomplete",
        "chain.root-missing-locally",
        "tls.name-mismatch",
    ),
)
def block_page(seen: Seen) -> Iterator[Hit]:
    """The answer is a page of a web filter, a firewall or a captive portal, not of the target.

    Such devices answer themselves where a policy forbids the site (often with status 403, 200 or
    451), or where a user must first log in (status 511, RFC 6585 §6). An application sees a page
    that it cannot use.

    The page was recognised by its wording together with its product's name, its status or a redirect
    to elsewhere, or as a redirect under a certificate that is not the target's.

    What to do: ask whoever runs the filter to allow the target's name for this machine, and tell
    them the category or policy that the page names. At a captive portal, log in with a browser, or
    use a network without one.
    """
    for observation in _answered(seen):
        if not _blocks(observation):
            continue
        product, title = _product(observation), _title(observation)
        chain = next(iter(seen.effective(ChainObservation)), None)
        blame: Blame = "proxy" if seen.route == "proxy" else "path-device"
        if chain is not None and not chain.publicly_trusted and not chain.store_vouched:
            blame = "tls-interceptor"
        elsewhere = _other_host(observation)
        page = f" with the page “{title}”" if title else f" and redirects to {elsewhere}" if elsewhere else ""
        yield Hit(
            summary=f"{product or 'A web filter'} answers for {seen.target.host}{page} (HTTP {observation.status})",
            blame=blame,
            remedy=f"Ask whoever runs {product or 'the web filter'} to allow {seen.target.host} for this machine.",
            evidence=(observation, chain) if chain else (observation,),
            culprit=Culprit(name=product or elsewhere or title),
        )


@rule("https.redirected", "The answer sends the client elsewhere", Severity.WARNING)
def redirected(seen: Seen) -> Iterator[Hit]:
    """The answer redirects to another host than the one that was asked.

    A web site may do that on purpose. An endpoint that applications call does not: there a redirect
    to another host is usually a login page, a captive portal or a block page on a server of its
    own.

    What to do: open the address in a browser on this machine. If it is a login or block page, have
    the target exempted; if the service has moved, configure the new name.
    """
    for observation in _answered(seen):
        other = _other_host(observation)
        if other:
            yield Hit(
                summary=f"{seen.target.host} redirects to {other}",
                blame="unknown",
                remedy=f"Find out whose server {other} is: a login or block page must exempt {seen.target.host}; "
                "a service that moved must be configured with its new name.",
                evidence=(observation,),
                culprit=Culprit(name=other),
            )


@rule("https.unexpected-status", "The server answers with an error", Severity.ERROR)
def unexpected_status(seen: Seen) -> Iterator[Hit]:
    """The server was reached and answered, but with an error of its own.

    That is what the HTTP statuses 500 to 599 say (RFC 9110 §15.6); a number below 200 or above 599
    ends no request at all, and is an error just as well.

    Name, network, proxy and certificate are all fine: the trouble is at the service, or at a load
    balancer in front of it that finds no healthy server. Statuses 400 to 499 for a plain GET are
    usual for endpoints that serve an API, and are noted for information only: they prove that the
    endpoint can be reached.

    What to do: look at the service's health page, try again, and open a ticket with the time and
    the request id.
    """
    for observation in _answered(seen):
        status = observation.status or 0
        if 200 <= status < 400:
            continue
        serves = 400 <= status < 500
        azure = known_service(seen.target.host) is not None and answered_by_azure(observation.headers)
        meaning = ", which proves that it can be reached" if serves else ""
        if not 200 <= status < 600:  # RFC 9110 §15: five classes, and the first is never the last word
            meaning = ", which is no final answer in HTTP"
        yield Hit(
            summary=f"{seen.target.host} answers HTTP {status} {observation.reason}".rstrip() + meaning,
            blame="azure-service" if azure else "server",
            remedy="Nothing, if applications use another path; else check path and permissions."
            if serves
            else "Look at the service's health page and try again; open a ticket with the time of this report.",
            evidence=(observation,),
            severity=Severity.INFO if serves else Severity.ERROR,
        )


@rule("https.no-answer", "The connection is fine, but no usable HTTP answer comes", Severity.ERROR)
def no_answer(seen: Seen) -> Iterator[Hit]:
    """Connection and TLS came about and the request was sent, but no usable HTTP answer came back.

    Silence means a server that hangs or is overloaded; a reset or a closed connection after the
    request is a crash, or a device that looks into the traffic; an answer that is not HTTP means
    that another service listens there.

    What to do: look at the server's own log for the time of this report; when it knows of no
    request, a device on the path took it: ask the network team.
    """
    for observation in seen.effective(HttpsObservation):
        failure = observation.failure
        if failure is None or failure.kind in ("tls-alert", "certificate"):
            continue
        remedy = (
            "Look at the server's log for the time of this report; if it shows no request, "
            "ask the network team which device ends the connection."
        )
        if failure.step == "redirect":
            remedy = (
                "Find out why it redirects there: a portal or filter asks for a login so. If that place is meant, "
                "it has to be reachable from here too: run netdiag on it."
            )
        yield Hit(
            summary=f"{seen.target.authority} {_happened(observation, failure)}",
            blame="unknown" if failure.kind == "reset" or failure.step == "redirect" else "server",
            remedy=remedy,
            evidence=(observation,),
        )


def _happened(observation: HttpsObservation, failure: Failure) -> str:
    if failure.step == "redirect":
        return f"redirects to a place that cannot be used: {failure.detail}"
    if failure.kind == "too-many-redirects":
        return "redirects in a circle"
    if observation.status is not None:
        return f"answers HTTP {observation.status}, but the answer breaks off: {failure.detail}"
    return {
        "timeout": f"sends no HTTP answer within {observation.took_s:.1f} s",
        "reset": "resets the connection after the request",
        "eof": "closes the connection without an answer",
    }.get(failure.kind, "answers with something that is not usable HTTP")
