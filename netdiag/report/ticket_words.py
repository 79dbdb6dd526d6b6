"""What a note says by the kind of fault: its subject, what to look for, what else it could be. Pure.

Contract: the templates are netdiag's own words; what is filled in is untrusted, and escaped by whoever prints it.
"""

from __future__ import annotations

from typing import NamedTuple


class Words(NamedTuple):
    """Templates over the fields of ``Facts``."""

    subject: str
    look_for: str = ""
    otherwise: str = ""


class Facts(NamedTuple):
    """What fills them in."""

    #: What was to be reached, as "HOST:443", and its name.
    target: str
    name: str
    port: int
    #: "10.77.0.2", or "this machine"; "192.0.2.10", or the name.
    client: str
    server: str
    #: "hop 4 (10.77.3.2)", or what else is known of who did it.
    device: str
    #: The same without its name.
    brief: str
    #: "TLS" or "TCP"; " that names HOST" where it came after the name was seen.
    protocol: str
    naming: str
    #: The proxy in the way, as "proxy.corp:8080".
    proxy: str


_RESETS = (
    "a rule, a URL or SNI filter, or an intrusion prevention profile that resets {protocol} to port {port}{naming}"
)

_WORDS: dict[str, Words] = {
    "tcp.reset-by-path-device": Words(
        "{brief} resets {protocol} to {name}",
        "on {device}: " + _RESETS,
        "A device without an address of its own (a bridge) may stand right behind that hop; and a TTL can be copied.",
    ),
    "tcp.reset-by-server": Words(
        "{server} resets {protocol} to {name}",
        "in the log of {server} and of a load balancer in front of it: why it closes these connections. A firewall is "
        "concerned only if it answers in the server's place at the same distance (SYN proxy, load balancer)",
        "A device directly in front of the server cannot be told from it by TTL.",
    ),
    "tcp.reset-by-client": Words(
        "{client} itself ends connections to {name}",
        "in the log of the application on {client}: why it gave up",
        "Many programs close with a reset on purpose.",
    ),
    "tcp.reset-origin-unknown": Words(
        "{protocol} to {name} is reset, unclear by whom",
        "on each firewall and proxy between {client} and {server}: " + _RESETS + "; an idle timeout that resets",
        "The server, or what stands in front of it, may have sent it.",
    ),
    "tcp.no-reply": Words(
        "no answer from {name}, TCP {port}",
        "on {device}: a drop without log, or a default deny, for TCP {port} from {client} to {server}",
        "The server's own firewall, a host that is switched off, and a broken way back look the same.",
    ),
    "tcp.prohibited": Words(
        "{brief} forbids TCP {port} to {name}",
        "on {device}: a reject rule (ICMP administratively prohibited) for TCP {port} from {client} to {server}",
        "Nothing: the refusal is made on purpose. Only its sender's address could be another of the same device.",
    ),
    "tcp.unreachable": Words(
        "no route to {target}",
        "on {device}: the route to {server}, and the way on to the next router",
        "The host may be switched off: the last router then says the same.",
    ),
    "tcp.refused": Words(
        "{target} refuses TCP connections",
        "on the server: whether a program listens on port {port}; on the firewalls between: a rule that rejects TCP "
        "{port} from {client} with a reset",
        "A host without that service and a firewall that rejects with a reset look the same.",
    ),
    "tcp.handshake-incomplete": Words(
        "TCP handshakes with {target} do not complete",
        "an asymmetric route, or a firewall that saw one direction only and drops what fits no session of it: SYN from "
        "{client}, SYN-ACK from {server}",
        "The capture may not hold one direction.",
    ),
    "tcp.retransmissions": Words(
        "packets are lost on the way to {target}",
        "interface errors, full queues and rate limits on the path between {client} and {server}",
        "Loss may be on the server's side, or in the capture.",
    ),
    "tcp.zero-window": Words("a receiver of {target} does not keep up", "", "This is a program's affair, no filter's."),
    "tcp.mtu-black-hole": Words(
        "large packets to {target} vanish (MTU)",
        "a tunnel or VPN with a smaller MTU, and a rule that drops ICMP fragmentation needed (type 3 code 4; ICMPv6 "
        "packet too big, type 2)",
        "Heavy loss looks similar.",
    ),
    "tls.sni-filtered": Words(
        "TLS that names {name} is cut off",
        "on {device}: a URL or SNI filter, or an application rule, that ends {protocol} to port {port}{naming}",
        "The server may itself turn that name away.",
    ),
    "tls.interrupted": Words(
        "TLS to {target} is cut off",
        "on {device}: a rule, a URL or SNI filter, or TLS inspection that ends {protocol} to port {port}{naming}",
        "The server may itself end the connection.",
    ),
    "tls.handshake-failed": Words(
        "TLS handshake with {target} fails",
        "TLS inspection, or a device that answers in the server's place on port {port}",
        "The server's own settings may refuse it: its log says why.",
    ),
    "tls.version-unsupported": Words(
        "TLS versions do not fit at {target}",
        "TLS inspection that lets through only old or only new versions",
        "The server's own settings.",
    ),
    "tls.intercepted": Words(
        "TLS to {target} is intercepted",
        "the policy of the TLS inspection: {name} has to be exempted from decryption",
        "The server may really have a certificate of that issuer, for example in a private cloud.",
    ),
    "tls.client-certificate-required": Words(
        "{target} wants a client certificate", "TLS inspection, which cannot pass it on"
    ),
    "proxy.unreachable": Words(
        "the proxy {proxy} cannot be reached from {client}",
        "a rule between {client} and the proxy that drops or rejects TCP to {proxy}",
        "The proxy may be down, or the setting may name a wrong one.",
    ),
    "proxy.forbidden": Words(
        "the proxy forbids CONNECT to {target}",
        "on {proxy}: the access rule that refuses CONNECT {target}",
    ),
    "proxy.authentication-required": Words(
        "the proxy wants a login for {target}",
        "on {proxy}: the access rule that asks for a login; a service needs an account, or {target} an exemption",
    ),
    "proxy.cannot-reach-target": Words(
        "the proxy cannot reach {target}",
        "on the firewall behind the proxy {proxy}: a rule that drops or rejects TCP to {target}; on the proxy: its "
        "name servers",
        "The target may be down.",
    ),
    "proxy.no-answer": Words(
        "the proxy does not answer CONNECT to {target}",
        "on {proxy}: what became of CONNECT {target} at that time; behind it: a silent drop of TCP to {target}",
    ),
    "proxy.not-a-proxy": Words("{proxy} is no proxy", "which machine the proxy's address belongs to, and its port"),
    "proxy.setting-invalid": Words("the proxy setting for {target} is invalid", "", "No filter is concerned."),
    "dns.name-not-found": Words(
        "DNS does not know {name}",
        "on the name servers: a missing record or conditional forwarder for {name}; a DNS filter or response policy "
        "zone that hides it",
        "The name may be misspelt.",
    ),
    "dns.no-address": Words("DNS has no address for {name}", "on the name servers: the A and AAAA records of {name}"),
    "dns.timeout": Words(
        "DNS does not answer for {name}",
        "a drop of UDP and TCP port 53 from {client} to its name servers",
        "The name servers, or those that they forward to, may be down.",
    ),
    "dns.refused": Words(
        "DNS refuses {client} the name {name}",
        "on the name servers: whether the service runs, the list of clients that may ask, a view or policy that "
        "refuses {name}",
    ),
    "dns.server-failure": Words(
        "DNS fails for {name}",
        "on the name servers: the forwarders for {name}, and DNSSEC validation; behind them: a drop of port 53",
    ),
    "dns.resolvers-disagree": Words(
        "name servers disagree about {name}",
        "which of the name servers has the private zone of {name}, and which forwards",
    ),
    "dns.private-address": Words(
        "{name} has an internal address",
        "the private DNS zone of {name}, and the route to its address; a DNS filter that takes the name out",
        "It is right where a private endpoint is meant.",
    ),
    "allowlist.not-covered": Words("firewall rules miss addresses that a service needs"),
    "allowlist.tag-mismatch": Words("firewall rules allow another service tag than is needed"),
    "allowlist.shadowed": Words("a firewall rule denies what a later one allows"),
    "allowlist.name-not-allowed": Words("firewall rules miss a name that a service needs"),
    "allowlist.address-blocked": Words("firewall rules block the present address of a service"),
    "allowlist.not-understood": Words("firewall rules to look at"),
    "allowlist.outdated-tags": Words("the list of the service's addresses is old", "", "No device is concerned yet."),
    "dns.hosts-override": Words("a hosts file overrides {name}", "", "No device of the network is concerned."),
    "dns.localhost-broken": Words(
        "localhost does not resolve on {client}", "", "No device of the network is concerned."
    ),
}


def words_for(identifier: str) -> Words:
    """The templates of a finding."""
    braced = identifier.replace("{", "{{").replace("}", "}}")  # a saved report may hold any
    return _WORDS.get(identifier, Words("{target}: " + braced))


def fill(template: str, facts: Facts) -> str:
    """The template with the facts in it."""
    return template.format_map(facts._asdict())
