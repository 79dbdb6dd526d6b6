"""The words that firewalls use for the same few things: any, allow, outbound, TCP, ports, destinations.

Contract: pure. None for a word that is not known, so that a reader can say so; nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from netdiag.allowlist.addresses import (
    EVERYTHING,
    EVERYTHING_V4,
    EVERYTHING_V6,
    NOTHING,
    Addresses,
    Intervals,
    merged,
    parse_destination,
    parse_prefix,
    union,
)
from netdiag.allowlist.entries import ALL_PORTS, Action, is_name
from netdiag.allowlist.tags import TagFile


def word_set(text: str) -> frozenset[str]:
    """The words in a text."""
    return frozenset(text.split())


#: Anything at all. netsh has its word in the system's language.
ANY = word_set(
    "any * all anywhere every everywhere - 0 any-address all-addresses beliebig alle tous toutes "
    "cualquiera todos qualsiasi tutti qualquer"
)
_ANY = {
    **dict.fromkeys(ANY - {"0", "-"}, EVERYTHING),
    **dict.fromkeys(("any4", "any-ipv4", "any_ipv4", "all_ipv4", "anyipv4"), EVERYTHING_V4),
    **dict.fromkeys(("any6", "any-ipv6", "any_ipv6", "all_ipv6", "anyipv6"), EVERYTHING_V6),
}
_ACTIONS: dict[str, Action] = {
    **dict.fromkeys(
        word_set(
            "allow allowed accept accepted permit permitted pass yes true 1 zulassen autoriser permitir consenti "
            "bypass trust"
        ),
        "allow",
    ),
    **dict.fromkeys(
        word_set(
            "deny denied block blocked drop dropped reject rejected discard no false 0 blockieren blocken bloquer "
            "bloquear blocca"
        ),
        "deny",
    ),
}
_OUT = word_set(
    "out outbound egress outgoing output o 2 ausgehend ausg. sortant sortante salida saliente uscita "
    "in-uscita saída lan-to-wan trust-to-untrust internal-to-external"
)
_IN = word_set("in inbound ingress incoming input i 1 eingehend eing. entrant entrante entrada ingresso")
_YES = word_set("yes true 1 enabled enable on active ja oui sí si sim y aktiviert")
_NO = word_set("no false 0 2 disabled disable off inactive nein non não n deaktiviert")

_TCP = word_set("tcp 6 tcp/udp tcp-udp tcpudp tcp+udp tcp&udp any all * ip  0 256")
#: Protocols that are not TCP, and so say nothing about it.
_OTHER = word_set(
    "udp icmp icmpv4 icmpv6 ipv6-icmp icmp6 esp ah gre igmp sctp udplite dccp ospf vrrp pim l2tp ipip "
    "hopopt ipv6-route ipv6-frag ipv6-nonxt ipv6-opts igrp pgm ospfigp 1 2 17 41 43 44 47 50 51 58 59 60 "
    "89 112 113 115 132 136"
)
#: Names that listings give ports (IANA's service names).
PORT_NAMES = {
    "http": 80,
    "www": 80,
    "https": 443,
    "ssl": 443,
    "domain": 53,
    "dns": 53,
    "ssh": 22,
    "smtp": 25,
    "ftp": 21,
}
PORT_NAMES |= {"ntp": 123, "ldap": 389, "ldaps": 636, "ms-sql-s": 1433, "mssql": 1433, "imaps": 993, "pop3s": 995}
PORT_NAMES |= {"telnet": 23, "imap": 143, "imap2": 143, "pop3": 110, "kerberos": 88, "microsoft-ds": 445, "amqps": 5671}
PORT_NAMES |= {"http-alt": 8080, "webcache": 8080, "amqp": 5672, "ms-wbt-server": 3389, "rdp": 3389}

_PORTS = re.compile(r"(\d{1,5})(?:\s*[-:–]\s*(\d{1,5}))?")
#: What Azure's tags Internet and VirtualNetwork stand for, as far as that is known without the network itself: the
#: private ranges (RFC 1918, RFC 6598, RFC 4193), and the address of the platform's own services.
VIRTUAL_NETWORK = union(
    found
    for found in map(
        parse_prefix, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "168.63.129.16", "fc00::/7")
    )
    if found
)
INTERNET = EVERYTHING - VIRTUAL_NETWORK
_AZURE = {"internet": ("Internet", INTERNET), "virtualnetwork": ("VirtualNetwork", VIRTUAL_NETWORK)}
_AZURE["azureloadbalancer"] = ("AzureLoadBalancer", parse_prefix("168.63.129.16") or NOTHING)

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://([^/?#]+)(?:[/?#].*)?")


def action(text: str) -> Action | None:
    """What a word says is done."""
    return _ACTIONS.get(text.strip().lower())


def outbound(text: str) -> bool | None:
    """Whether a word means the way out. A word for both does."""
    plain = re.sub(r"\s+", "-", text.strip().lower())
    if plain in _OUT or plain in ("both", "any", "all", "*", "bidirectional", ""):
        return True
    return False if plain in _IN else None


def enabled(text: str) -> bool | None:
    """Whether a rule is switched on."""
    plain = text.strip().lower()
    return True if plain in _YES or not plain else (False if plain in _NO else None)


def tcp(text: str) -> bool | None:
    """Whether a protocol (several, with commas) includes TCP."""
    words = [word.strip() for word in re.split(r"[,;]", text.lower())]
    if any(word in _TCP for word in words):
        return True
    return False if all(word in _OTHER for word in words) else None


def ports(texts: Iterable[str]) -> Intervals | None:
    """A set of TCP ports: "443", "80-90", "tcp/443", "https", "any"; None when one of them says nothing known.

    What is for UDP only is left out; nothing but such gives an empty set.
    """
    found: list[tuple[int, int]] = []
    for text in texts:
        word = text.strip().lower()
        if word in ANY:
            return ALL_PORTS
        parts = [part for part in re.split(r"[/_]|(?<=tcp)[-:]|(?<=udp)[-:]", word) if part]
        protocols = [part for part in parts if part in _TCP or part in _OTHER] if len(parts) > 1 else []
        rest = [part for part in parts if part not in protocols]
        if protocols and not any(part in _TCP for part in protocols):
            continue
        if len(rest) != 1:
            return None
        match = _PORTS.fullmatch(rest[0])
        if match:
            low, high = int(match[1]), int(match[2] or match[1])
            if not low <= high <= 65535:
                return None
            found.append((low, high))
        elif rest[0] in PORT_NAMES:
            found.append((PORT_NAMES[rest[0]],) * 2)
        elif rest[0] in ("tcp", "any", "all") and protocols != rest:
            return ALL_PORTS
        else:
            return None
    return merged(found)


@dataclass(frozen=True, kw_only=True, slots=True)
class Destination:
    """What one word for a destination means: addresses, as a tag or not, or a name; and a port that goes with it."""

    to: Addresses = NOTHING
    name: str = ""
    tag: str = ""
    ports: Intervals | None = None


def destination(text: str, tags: TagFile | None = None) -> Destination | None:
    """Addresses in any notation, "any", the name of a service tag in ``tags``, a name, a URL; with a port or not."""
    word = text.strip().strip("\"'")
    found = parse_destination(word)
    if found is not None:
        return Destination(to=found)
    lower = word.lower()
    if lower in _ANY:
        return Destination(to=_ANY[lower])
    if lower in _AZURE:
        name, addresses = _AZURE[lower]
        return Destination(to=addresses, tag=name)
    tag = tags.get(lower) if tags else None
    if tag is not None:
        return Destination(to=tag.addresses(), tag=tag.name)
    if url := _SCHEME.fullmatch(lower):
        lower = url[1]
    base, colon, port = lower.rpartition(":")
    wanted = ports([port]) if colon and port and "-" not in port else None
    if wanted:
        found = parse_destination(base)
        if found is not None and (base.startswith("[") or ":" not in base):
            return Destination(to=found, ports=wanted)
        lower = base
    elif url and (found := parse_destination(lower)) is not None:
        return Destination(to=found)
    lower = lower.rstrip(".")
    return Destination(name=lower, ports=wanted or None) if is_name(lower) else None
