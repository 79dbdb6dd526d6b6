"""The scenarios: break one thing, expect one verdict. Data only.

Each says what it changes (``Setting``), what is asked for (``target``, ``options``), and exactly what must come out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lab_services import (
    CERTGEN,
    DNS_CLOSED,
    DNS_DEAD,
    DNS_GOOD,
    DNS_GOOD_V6,
    DNS_OTHER,
    PASSWORD,
    PROXY,
    PROXY_NAME,
    SOCKS,
    SOCKS_PASSWORD,
    USER,
)
from lab_sites import BY_NAME, FRONTEND
from lab_topology import FIREWALL, FIREWALL_V6
from lab_world import HOSTS, SNI_FILTER_PORT, Setting


@dataclass(frozen=True)
class Expect:
    """``ids``: every finding's id, no more and no fewer. ``culprit``: the address that the root cause must name."""

    status: str
    finding: str | None = None
    blame: str | None = None
    ids: frozenset[str] = frozenset()
    exit_status: int = 0
    culprit: str = ""


@dataclass(frozen=True)
class Scenario:
    """One line of the table. ``{folder}`` in an option is the lab's folder."""

    name: str
    target: str
    expect: Expect
    setting: Setting = field(default_factory=Setting)
    options: tuple[str, ...] = ()
    #: What it needs besides the lab: files, and Python modules.
    needs: tuple[Path, ...] = ()
    modules: tuple[str, ...] = ()
    #: Facts that the verdict does not show: (observation id, field, value).
    seen: tuple[tuple[str, str, object], ...] = ()


def healthy(*infos: str) -> Expect:
    """Nothing wrong; ``infos`` are findings that change nothing."""
    return Expect("healthy", ids=frozenset(infos))


def impaired(finding: str, blame: str, *others: str, culprit: str = "") -> Expect:
    """It works, with warnings."""
    return Expect("impaired", finding, blame, frozenset((finding, *others)), 0, culprit)


def failed(finding: str, blame: str, *others: str, culprit: str = "") -> Expect:
    """It cannot be used."""
    return Expect("failed", finding, blame, frozenset((finding, *others)), 1, culprit)


def via(port: int, user: str = "", *, host: str = PROXY, scheme: str = "http") -> tuple[str, ...]:
    """Through the proxy at ``port``; ``user`` is "name:password"."""
    return ("--proxy", f"{scheme}://{user + '@' if user else ''}{host}:{port}")


def _to(name: str) -> str:
    """An nftables match for connections from the client's side to a site's IPv4 address."""
    return f"ip daddr {BY_NAME[name].address} tcp dport 443"


_DUAL, _SIX = BY_NAME["dual.contoso.test"], BY_NAME["six.contoso.test"]
_GOOD_USER, _WRONG_USER = f"{USER}:{PASSWORD}", f"{USER}:wrong"
_RESET_HELLO = "ct state established tcp flags & psh == psh reject with tcp reset"

_HEALTHY = (
    Scenario("healthy-ipv4", FRONTEND, healthy()),
    Scenario("healthy-ipv6", _SIX.name, healthy()),
    Scenario("healthy-both-families", _DUAL.name, healthy()),
    Scenario("healthy-dns-over-ipv6", FRONTEND, healthy(), Setting(resolvers=(DNS_GOOD_V6,))),
    Scenario("healthy-tls13-only", "tls13.contoso.test", healthy()),
    Scenario("healthy-slow", "slow.contoso.test", healthy()),
    Scenario("healthy-squid", FRONTEND, healthy(), options=via(3128)),
    Scenario(
        "healthy-squid-by-environment",
        FRONTEND,
        healthy(),
        Setting(environment={"HTTPS_PROXY": f"http://{PROXY}:3128"}),
    ),
    Scenario("healthy-without-ipv6", _DUAL.name, healthy(), Setting(ipv6=False)),
    Scenario(
        "healthy-no-proxy-by-environment",
        FRONTEND,
        healthy(),
        Setting(environment={"HTTPS_PROXY": f"http://{PROXY}:3199", "NO_PROXY": ".clouddatahub.net"}),
    ),
    Scenario("healthy-squid-by-pac", FRONTEND, healthy(), options=("--proxy", "pac:{folder}/proxy.pac")),
    Scenario(
        "healthy-squid-over-tls",
        FRONTEND,
        healthy(),
        options=("--proxy", f"https://{PROXY_NAME}:3134"),
        needs=(CERTGEN,),
    ),
    Scenario(
        "healthy-only-through-squid",
        FRONTEND,
        healthy(),
        Setting(forward="ip saddr 10.10.1.2 tcp dport 443 drop"),
        via(3128),
    ),
)

_DNS = (
    Scenario("dns-nxdomain", "nothere.contoso.test", failed("dns.name-not-found", "dns")),
    Scenario("dns-servfail", "www.servfail.test", failed("dns.server-failure", "dns")),
    Scenario("dns-refused", "www.refused.test", failed("dns.refused", "dns")),
    Scenario("dns-empty", "empty.contoso.test", failed("dns.no-address", "dns")),
    Scenario(
        "dns-silent", FRONTEND, failed("dns.timeout", "dns"), Setting(forward="udp dport 53 drop; tcp dport 53 drop")
    ),
    Scenario("dns-port-closed", FRONTEND, failed("dns.refused", "dns"), Setting(resolvers=(DNS_CLOSED,))),
    Scenario(
        "dns-first-silent-second-fine",
        FRONTEND,
        impaired("dns.timeout", "dns"),
        Setting(resolvers=(DNS_OTHER, DNS_GOOD), forward=f"ip daddr {DNS_OTHER} drop"),
    ),
    Scenario(
        "dns-dead-server-first", FRONTEND, impaired("dns.timeout", "dns"), Setting(resolvers=(DNS_DEAD, DNS_GOOD))
    ),
    Scenario(
        "dns-servers-disagree",
        FRONTEND,
        impaired("dns.resolvers-disagree", "dns"),
        Setting(resolvers=(DNS_GOOD, DNS_OTHER)),
    ),
    Scenario(
        "dns-wrong-server",
        FRONTEND,
        impaired("dns.resolvers-disagree", "dns"),
        Setting(resolvers=(DNS_OTHER,)),
        ("--resolver", DNS_GOOD),
    ),
    Scenario(
        "dns-truncated",
        "long.contoso.test",
        healthy(),
        seen=((f"dns.{DNS_GOOD}:53.A", "truncated", True), (f"dns.{DNS_GOOD}:53.A", "transport", "tcp")),
    ),
    Scenario(
        "dns-truncated-and-tcp-blocked",
        "long.contoso.test",
        failed("dns.timeout", "dns"),
        Setting(forward="tcp dport 53 drop"),
    ),
    Scenario("dns-sinkhole", "sinkhole.contoso.test", failed("dns.private-address", "dns")),
    Scenario(
        "dns-hosts-override",
        FRONTEND,
        impaired("dns.hosts-override", "this-machine"),
        Setting(hosts=f"{HOSTS}{BY_NAME['portal.contoso.test'].address} {FRONTEND}\n"),
    ),
    Scenario(
        "dns-hosts-override-dead",
        FRONTEND,
        failed("dns.hosts-override", "this-machine"),
        Setting(hosts=f"{HOSTS}{BY_NAME['closed.contoso.test'].address} {FRONTEND}\n"),
    ),
    Scenario(
        "dns-localhost-broken", FRONTEND, impaired("dns.localhost-broken", "this-machine"), Setting(hosts="# empty\n")
    ),
)

_TCP = (
    # The firewall is the router in front of the server: whether that or the server drops, nothing here can tell.
    Scenario("tcp-drop", FRONTEND, failed("tcp.no-reply", "unknown"), Setting(forward=f"{_to(FRONTEND)} drop")),
    Scenario(
        "tcp-reject-with-reset",
        FRONTEND,
        failed("tcp.refused", "unknown"),  # for the same reason
        Setting(forward=f"{_to(FRONTEND)} reject with tcp reset"),
    ),
    Scenario("tcp-closed-port", "closed.contoso.test", failed("tcp.refused", "server")),
    Scenario(
        "tcp-prohibited",
        FRONTEND,
        failed("tcp.prohibited", "path-device", culprit=FIREWALL),
        Setting(forward=f"{_to(FRONTEND)} reject with icmpx type admin-prohibited"),
    ),
    Scenario(
        "tcp-prohibited-ipv6",
        _SIX.name,
        failed("tcp.prohibited", "path-device", culprit=FIREWALL_V6),
        Setting(forward=f"ip6 daddr {_SIX.address6} tcp dport 443 reject with icmpx type admin-prohibited"),
    ),
    Scenario(
        "tcp-unreachable",
        FRONTEND,
        failed("tcp.unreachable", "path-device", culprit=FIREWALL),
        Setting(forward=f"{_to(FRONTEND)} reject with icmpx type host-unreachable"),
    ),
    Scenario(
        "tcp-local-firewall",
        FRONTEND,
        failed("tcp.prohibited", "this-machine"),
        Setting(client=f"{_to(FRONTEND)} reject with icmpx type admin-prohibited"),
    ),
    Scenario(
        "tcp-local-route-prohibited",
        FRONTEND,
        failed("tcp.prohibited", "this-machine"),
        Setting(routes=(f"prohibit {BY_NAME[FRONTEND].address}",)),
    ),
    Scenario(
        "tcp-every-other-syn-lost",
        FRONTEND,
        impaired("tcp.retransmissions", "unknown"),
        # Not those of a trace, whose TTLs are small: they would shift the count.
        Setting(forward=f"{_to(FRONTEND)} ip ttl > 40 tcp flags & (syn | ack) == syn numgen inc mod 2 0 drop"),
    ),
    Scenario(
        "tcp-dead-ipv6",
        _DUAL.name,
        impaired("tcp.no-reply", "path-device"),
        Setting(forward=f"ip6 daddr {_DUAL.address6} drop"),
    ),
    Scenario(
        "tcp-refused-ipv6",
        _DUAL.name,
        impaired("tcp.refused", "server"),
        Setting(forward=f"ip6 daddr {_DUAL.address6} tcp dport 443 reject with tcp reset"),
    ),
)

_TLS = (
    Scenario(
        "tls-reset-after-hello",
        FRONTEND,
        failed("tcp.reset-origin-unknown", "unknown"),
        Setting(forward=f"{_to(FRONTEND)} {_RESET_HELLO}"),
    ),
    Scenario(
        "tls-sni-filtered",
        FRONTEND,
        failed("tls.sni-filtered", "path-device"),
        Setting(redirect=f"{_to(FRONTEND)} redirect to :{SNI_FILTER_PORT}"),
    ),
    Scenario(
        "tls-sni-filter-passes-others",
        _DUAL.name,
        healthy(),
        Setting(redirect=f"{_to(_DUAL.name)} redirect to :{SNI_FILTER_PORT}"),
    ),
    Scenario(
        "tls-drop-after-hello",
        FRONTEND,
        failed("tls.interrupted", "path-device"),
        Setting(forward=f"{_to(FRONTEND)} ct state established tcp flags & psh == psh drop"),
    ),
    Scenario("tls-closed-after-hello", "hangup.contoso.test", failed("tls.interrupted", "unknown")),
    Scenario("tls-silent-after-hello", "mute.contoso.test", failed("tls.interrupted", "server")),
    Scenario("tls-10-only", "tls10.contoso.test", failed("tls.version-unsupported", "server")),
    Scenario("tls-plain-http", "http-on-443.contoso.test", failed("tls.handshake-failed", "server")),
    Scenario(
        "tls-client-certificate", "mutual.contoso.test", failed("tls.client-certificate-required", "this-machine")
    ),
    Scenario(
        "tls-client-certificate-nginx",
        "optional-mutual.contoso.test",
        failed("tls.client-certificate-required", "this-machine"),
    ),
    Scenario(
        "tls-replaced-chain",
        FRONTEND,
        failed("tls.intercepted", "tls-interceptor"),
        Setting(
            redirect=f"{_to(FRONTEND)} dnat ip to {BY_NAME['interceptor.contoso.test'].address}:443",
        ),
    ),
    Scenario(
        "tls-intercepting-squid",
        FRONTEND,
        failed("tls.intercepted", "tls-interceptor"),
        options=via(3133),
        needs=(CERTGEN,),
        seen=(("chain.direct", "outcome", "ok"), ("chain.proxy", "outcome", "failed")),
    ),
    Scenario(
        "tls-intercepting-squid-trusted",
        FRONTEND,
        impaired("tls.intercepted", "tls-interceptor"),
        options=(*via(3133), "--trust={folder}/interceptor.pem"),
        needs=(CERTGEN,),
    ),
)

_CHAIN = (
    Scenario("chain-expired", "expired.contoso.test", failed("chain.expired", "server")),
    Scenario("chain-not-yet-valid", "notyet.contoso.test", failed("chain.not-yet-valid", "server")),
    Scenario("chain-wrong-name", "wrongname.contoso.test", failed("tls.name-mismatch", "server")),
    Scenario("chain-incomplete", "incomplete.contoso.test", failed("chain.incomplete", "server")),
    Scenario("chain-private-root", "private.contoso.test", failed("chain.untrusted-root", "server")),
    Scenario(
        "chain-clock-ahead",
        _DUAL.name,
        impaired("chain.clock-skew", "this-machine"),
        Setting(clock="+1d"),
    ),
    Scenario(
        "chain-clock-ahead-expires",
        "short.contoso.test",
        failed("chain.clock-skew", "this-machine"),
        Setting(clock="+1d"),
    ),
)

_PROXY = (
    Scenario(
        "proxy-basic-without-credentials",
        FRONTEND,
        failed("proxy.authentication-required", "proxy"),
        options=via(3129),
    ),
    Scenario(
        "proxy-basic-wrong-credentials",
        FRONTEND,
        failed("proxy.authentication-required", "proxy"),
        options=via(3129, _WRONG_USER),
    ),
    Scenario("proxy-basic-right-credentials", FRONTEND, healthy(), options=via(3129, _GOOD_USER)),
    Scenario(
        "proxy-digest-without-credentials",
        FRONTEND,
        failed("proxy.authentication-required", "proxy"),
        options=via(3130),
    ),
    Scenario(
        "proxy-digest-wrong-credentials",
        FRONTEND,
        failed("proxy.authentication-required", "proxy"),
        options=via(3130, _WRONG_USER),
    ),
    Scenario("proxy-digest-right-credentials", FRONTEND, healthy(), options=via(3130, _GOOD_USER)),
    Scenario(
        "proxy-ntlm-without-credentials",
        FRONTEND,
        failed("proxy.authentication-required", "proxy"),
        options=via(3131),
    ),
    Scenario("proxy-ntlm-right-credentials", FRONTEND, healthy(), options=via(3131, _GOOD_USER)),
    Scenario(
        "proxy-negotiate-without-ticket",
        FRONTEND,
        failed("proxy.authentication-required", "proxy"),
        options=via(3132, host=PROXY_NAME),
    ),
    Scenario(
        "proxy-negotiate-with-ticket",
        FRONTEND,
        healthy(),
        Setting(ticket=True),
        via(3132, host=PROXY_NAME),
        modules=("gssapi", "krb5"),
    ),
    Scenario("proxy-forbidden", "blocked.contoso.test", failed("proxy.forbidden", "proxy"), options=via(3128)),
    Scenario(
        "proxy-cannot-resolve", "nothere.contoso.test", failed("proxy.cannot-reach-target", "proxy"), options=via(3128)
    ),
    Scenario(
        "proxy-cannot-connect", "closed.contoso.test", failed("proxy.cannot-reach-target", "proxy"), options=via(3128)
    ),
    Scenario(
        "proxy-connect-times-out",
        FRONTEND,
        failed("proxy.cannot-reach-target", "proxy"),
        Setting(forward=f"ip saddr {PROXY} tcp dport 443 drop"),
        (*via(3128), "--timeout=5"),  # squid counts its second of connect_timeout generously
    ),
    Scenario("proxy-not-a-proxy", FRONTEND, failed("proxy.not-a-proxy", "proxy"), options=via(3140)),
    Scenario(
        "proxy-tls-port-as-plain",
        FRONTEND,
        failed("proxy.no-answer", "proxy"),
        options=via(3134, host=PROXY_NAME),
        needs=(CERTGEN,),
    ),
    Scenario(
        "proxy-plain-port-as-tls",
        FRONTEND,
        failed("tls.handshake-failed", "proxy"),
        options=("--proxy", f"https://{PROXY}:3128"),
    ),
    Scenario(
        "proxy-certificate-for-another-name",
        FRONTEND,
        failed("tls.name-mismatch", "proxy"),
        options=("--proxy", f"https://{PROXY}:3134"),
        needs=(CERTGEN,),
    ),
    Scenario(
        "proxy-name-not-found",
        FRONTEND,
        failed("proxy.unreachable", "proxy"),
        options=via(3128, host="noproxy.contoso.test"),
    ),
    Scenario("proxy-refused", FRONTEND, failed("proxy.unreachable", "proxy"), options=via(3199)),
    Scenario(
        "proxy-silent",
        FRONTEND,
        failed("proxy.unreachable", "proxy"),
        Setting(forward=f"ip daddr {PROXY} drop"),
        via(3128),
    ),
)

_SOCKS = (
    Scenario("socks-healthy", FRONTEND, healthy(), options=via(SOCKS, scheme="socks5")),
    Scenario(
        "socks-is-the-only-way",
        FRONTEND,
        healthy(),
        Setting(forward="ip saddr 10.10.1.2 tcp dport 443 drop"),
        via(SOCKS, scheme="socks5"),
    ),
    Scenario("socks-right-credentials", FRONTEND, healthy(), options=via(SOCKS_PASSWORD, _GOOD_USER, scheme="socks5")),
    Scenario(
        "socks-wrong-credentials",
        FRONTEND,
        failed("proxy.authentication-required", "proxy"),
        options=via(SOCKS_PASSWORD, _WRONG_USER, scheme="socks5"),
    ),
    Scenario(
        "socks-without-credentials",
        FRONTEND,
        failed("proxy.authentication-required", "proxy"),
        options=via(SOCKS_PASSWORD, scheme="socks5"),
    ),
    Scenario(
        "socks-target-refuses",
        "closed.contoso.test",
        failed("proxy.cannot-reach-target", "proxy"),
        options=via(SOCKS, scheme="socks5"),
    ),
    Scenario(
        "socks-cannot-resolve",
        "nothere.contoso.test",
        failed("proxy.cannot-reach-target", "proxy"),
        options=via(SOCKS, scheme="socks5"),
    ),
    Scenario("socks-port-as-http-proxy", FRONTEND, failed("proxy.not-a-proxy", "proxy"), options=via(SOCKS)),
    Scenario(  # squid reads the greeting as the beginning of a request, and waits for the rest of it
        "socks-to-http-proxy",
        FRONTEND,
        failed("proxy.no-answer", "proxy"),
        options=via(3128, scheme="socks5"),
    ),
)

_HTTPS = (
    Scenario("https-503", "busy.contoso.test", failed("https.unexpected-status", "server")),
    Scenario("https-block-page", "blocked.contoso.test", failed("https.block-page", "path-device")),
    Scenario("https-redirected", "moved.contoso.test", impaired("https.redirected", "unknown")),
    Scenario(
        "https-captive-redirect",
        FRONTEND,
        failed("https.block-page", "path-device"),
        Setting(redirect=f"{_to(FRONTEND)} dnat ip to {BY_NAME['wifi.contoso.test'].address}:443"),
    ),
    Scenario(
        "http-captive-redirect",
        f"http://{FRONTEND}/",
        failed("https.block-page", "path-device"),
        Setting(
            redirect=f"ip daddr {BY_NAME[FRONTEND].address} tcp dport 80 dnat ip to "
            f"{BY_NAME['wifi.contoso.test'].address}:80"
        ),
    ),
    Scenario("https-no-answer", "stuck.contoso.test", failed("https.no-answer", "server")),
    Scenario("https-redirect-loop", "loop.contoso.test", failed("https.no-answer", "server")),
    Scenario(
        "https-captive-portal",
        FRONTEND,
        failed("tls.name-mismatch", "server"),
        Setting(redirect=f"{_to(FRONTEND)} dnat ip to {BY_NAME['wrongname.contoso.test'].address}:443"),
    ),
)

SCENARIOS: tuple[Scenario, ...] = (*_HEALTHY, *_DNS, *_TCP, *_TLS, *_CHAIN, *_PROXY, *_SOCKS, *_HTTPS)
