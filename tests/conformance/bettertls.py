"""Chains in the shapes of Netflix's BetterTLS: name constraints in all combinations, and graphs with one bad edge.

The shapes and the verdicts are derived from its rules (github.com/Netflix/bettertls); the chains are made here.
"""

from __future__ import annotations

import datetime
import ipaddress
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.conformance.forge import (
    ECDSA_SHA1,
    NOW,
    SERVER_AUTH,
    YEAR,
    Extension,
    Made,
    alternative,
    basic,
    constraints,
    key,
    make,
    name,
    purposes,
    raw_alternative,
    tlv,
    usage,
)

VALID_DNS, INVALID_DNS = "test.localhost", "bad.example.com"
VALID_IP, INVALID_IP = "127.0.0.1", "1.1.1.1"
_SERIAL = (NameOID.SERIAL_NUMBER, "1")


@dataclass(frozen=True)
class Asked:
    """A question: the certificates, the host, and whether the answer is yes."""

    label: str
    accepted: bool
    leaf: Made
    pool: Sequence[Made]
    root: Made
    host: str


def ca(subject: str, issuer: Made | None, *extensions: Extension, **parts: object) -> Made:
    """An authority without alternative names, which may only sign certificates."""
    return make(name(subject, _SERIAL), issuer, basic(True), usage("key_cert_sign"), *extensions, **parts)  # type: ignore[arg-type]


# --- Name constraints --------------------------------------------------------------------------------------------

NONE, VALID, INVALID = STATES = ("none", "valid", "invalid")


@dataclass(frozen=True)
class Combination:
    """What a leaf is called, and what the authority above it permits and excludes; each of the three ``STATES``.

    ``dns`` and ``ip`` are the alternative names. A "valid" subtree has the valid name of its type in it, and an
    "invalid" one the invalid name.
    """

    client: str
    common_name_type: str
    common_name: str
    dns: str
    ip: str
    dns_permitted: str
    ip_permitted: str
    dns_excluded: str
    ip_excluded: str

    @property
    def accepted(self) -> bool:
        """The client's name must be among the alternative names, and each of those within its type's constraints."""
        asked = self.dns if self.client == "DNS" else self.ip
        return asked == VALID and all(
            present == NONE or (permitted in (NONE, present) and excluded != present)
            for present, permitted, excluded in (
                (self.dns, self.dns_permitted, self.dns_excluded),
                (self.ip, self.ip_permitted, self.ip_excluded),
            )
        )


def combinations() -> Iterator[Combination]:
    """All 8,748, in the order of BetterTLS."""
    for client, kind in itertools.product(("DNS", "IP"), repeat=2):
        for states in itertools.product(STATES, repeat=7):
            yield Combination(client, kind, *states)


class NameConstraints:
    """The chains above the leaves: one authority for each set of constraints, below one root."""

    def __init__(self) -> None:
        self.root = ca("Trust root", None)
        self.local_root = ca("Local root", self.root)
        self._authorities: dict[tuple[str, ...], Made] = {}

    def _authority(self, *subtrees: str) -> Made:
        if subtrees not in self._authorities:
            dns_permitted, ip_permitted, dns_excluded, ip_excluded = subtrees
            permitted = [*_dns_tree(dns_permitted, "localhost", "example.com"), *_ip_tree(ip_permitted)]
            excluded = [*_dns_tree(dns_excluded, "localhost", INVALID_DNS), *_ip_tree(ip_excluded)]
            given = [constraints(permitted or None, excluded or None)] if permitted or excluded else []
            self._authorities[subtrees] = ca(f"Local authority {len(self._authorities)}", self.local_root, *given)
        return self._authorities[subtrees]

    def ask(self, entry: Combination) -> Asked:
        names: list[x509.GeneralName] = []
        if entry.dns != NONE:
            names.append(x509.DNSName(VALID_DNS if entry.dns == VALID else INVALID_DNS))
        if entry.ip != NONE:
            names.append(x509.IPAddress(ipaddress.ip_address(VALID_IP if entry.ip == VALID else INVALID_IP)))
        given = (alternative(names),) if names else ()
        valid, invalid = (VALID_DNS, INVALID_DNS) if entry.common_name_type == "DNS" else (VALID_IP, INVALID_IP)
        title = {NONE: "", VALID: valid, INVALID: invalid}[entry.common_name]
        above = self._authority(entry.dns_permitted, entry.ip_permitted, entry.dns_excluded, entry.ip_excluded)
        label = " ".join(vars(entry).values())
        return self._asked(label, entry.accepted, above, given, title, VALID_DNS if entry.client == "DNS" else VALID_IP)

    def smuggled(self) -> Iterator[Asked]:
        """The valid name in a place where it is none: in every tag of GeneralName, and beside or inside another.

        The names in the right place are invalid, and excluded or not; nothing here may be accepted.
        """
        for client, valid in (("DNS", VALID_DNS), ("IP", VALID_IP)):
            packed = ipaddress.ip_address(valid).packed if client == "IP" else b""
            contents = [
                *(prefix + valid.encode() for prefix in (b"", b"http://", b"https://", b"spiffe://", b"unspec://")),
                *((packed,) if packed else ()),
                *(
                    INVALID_DNS.encode() + between + valid.encode()
                    for between in (b", ", b",", b";", b":", b", DNS:", b"\x00", b" ")
                ),
            ]
            for tag, content, excluded in itertools.product(range(16), contents, (NONE, VALID, INVALID)):
                if (client, tag, content) in (("DNS", 2, valid.encode()), ("IP", 7, packed)):
                    continue  # the right place
                names = raw_alternative(
                    tlv(0x82, INVALID_DNS.encode()),
                    tlv(0x87, ipaddress.ip_address(INVALID_IP).packed),
                    tlv(0x80 | tag, content),
                )
                above = self._authority(NONE, NONE, excluded, excluded)
                yield self._asked(f"{client} {tag} {content!r} {excluded}", False, above, (names,), "", valid)

    def _asked(
        self, label: str, accepted: bool, above: Made, given: Sequence[Extension], title: str, host: str
    ) -> Asked:
        subject = name(title, _SERIAL)
        made = make(
            subject, above, basic(False), usage("digital_signature"), purposes(SERVER_AUTH), *given, private=key("leaf")
        )
        return Asked(label, accepted, made, (self.local_root, above), self.root, host)


def _dns_tree(state: str, valid: str, invalid: str) -> list[x509.GeneralName]:
    return [] if state == NONE else [x509.DNSName(valid if state == VALID else invalid)]


def _ip_tree(state: str) -> list[x509.GeneralName]:
    network = "127.0.0.0/24" if state == VALID else "1.1.1.0/24"
    return [] if state == NONE else [x509.IPAddress(ipaddress.ip_network(network))]


# --- Path building ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Graph:
    """Authorities and who certified whom; a path leads from ``anchor`` to the leaf ``target``."""

    edges: tuple[tuple[str, str], ...]
    anchor: str
    target: str


def _edges(text: str) -> tuple[tuple[str, str], ...]:
    return tuple((parent, child) for parent, child in (edge.split(">") for edge in text.split()))


LINEAR = Graph(_edges("TA>ICA ICA>EE"), "TA", "EE")
LINEAR_TRUSTED = Graph(LINEAR.edges, "ICA", "EE")
TWO_ROOTS = "TA1>ICA TA2>ICA ICA>EE"
TWO_ROOTS_1, TWO_ROOTS_2 = Graph(_edges(TWO_ROOTS), "TA1", "EE"), Graph(_edges(TWO_ROOTS), "TA2", "EE")
#: RFC 4158 §2.3, figure 7.
FIGURE_SEVEN = Graph(_edges("TA>A TA>B TA>C A>B C>A B>C A>EE B>EE"), "TA", "EE")
#: RFC 4158 §2.4: three authorities cross-certified with a bridge, each with its own hierarchy below.
_BRIDGE = _edges(
    "X>Bridge Y>Bridge Z>Bridge Bridge>X Bridge>Y Bridge>Z X>H X>L H>I H>J L>M L>N M>N N>EE Y>A Y>C A>B A>C C>A C>B B>D"
    " Z>P P>Q"
)
BRIDGE_TO_D, BRIDGE_TO_EE = Graph(_BRIDGE, "Z", "D"), Graph(_BRIDGE, "Z", "EE")

EMAIL = purposes(ExtendedKeyUsageOID.EMAIL_PROTECTION)
_FAULTS = ("expired", "name constraints", "for mail", "no basic constraints", "no authority", "SHA-1")

#: A graph, the edges that are bad, and whether a path remains.
GRAPHS: tuple[tuple[str, Graph, str, bool], ...] = (
    ("linear", LINEAR, "", True),
    ("two roots, first trusted", TWO_ROOTS_1, "", True),
    ("two roots, second trusted", TWO_ROOTS_2, "", True),
    ("linear, bad", LINEAR, "TA>ICA", False),
    ("linear, bad above the anchor", LINEAR_TRUSTED, "TA>ICA", True),
    ("two roots, the other's bad, first trusted", TWO_ROOTS_1, "TA2>ICA", True),
    ("two roots, the other's bad, second trusted", TWO_ROOTS_2, "TA1>ICA", True),
    ("two roots, its own bad, first trusted", TWO_ROOTS_1, "TA1>ICA", False),
    ("two roots, its own bad, second trusted", TWO_ROOTS_2, "TA2>ICA", False),
    ("figure seven", FIGURE_SEVEN, "", True),
    ("figure seven, the way over A remains", FIGURE_SEVEN, "TA>C TA>B A>B", True),
    ("figure seven, the way over C remains", FIGURE_SEVEN, "TA>A TA>B C>B", True),
    ("figure seven, nothing remains", FIGURE_SEVEN, "TA>A TA>B TA>C", False),
    ("bridge to D", BRIDGE_TO_D, "", True),
    ("bridge to EE", BRIDGE_TO_EE, "", True),
    ("bridge, the way in is bad", BRIDGE_TO_EE, "X>Bridge", True),
    ("bridge, the way out is bad", BRIDGE_TO_EE, "Bridge>X", False),
    ("bridge, the anchor's way is bad", BRIDGE_TO_EE, "Z>Bridge", False),
    ("bridge, the short way is bad", BRIDGE_TO_D, "A>B", True),
    ("bridge, both ways are bad", BRIDGE_TO_D, "A>B C>B", False),
    ("bridge, the last but one", BRIDGE_TO_EE, "L>N", True),
)


def path_building() -> Iterator[Asked]:
    """Each graph, and each with its bad edges bad in every way."""
    for label, graph, bad, accepted in GRAPHS:
        for fault in _FAULTS if bad else ("",):
            yield _asked(f"{label} {fault}".strip(), graph, frozenset(_edges(bad)), fault, accepted)


def _asked(label: str, graph: Graph, bad: frozenset[tuple[str, str]], fault: str, accepted: bool) -> Asked:
    roots = {entry: ca(entry, None, private=key(entry)) for pair in graph.edges for entry in pair}
    parents = {parent for parent, _ in graph.edges}
    made = [
        _edge(roots[parent], child, fault if (parent, child) in bad else "", leaf=child not in parents)
        for parent, child in graph.edges
    ]
    targets = [m for m, (_, child) in zip(made, graph.edges, strict=True) if child == graph.target]
    pool = [entry for entry in made if entry is not targets[0]]
    return Asked(label, accepted, targets[0], pool, roots[graph.anchor], "localhost")


def _edge(parent: Made, child: str, fault: str, *, leaf: bool) -> Made:
    if leaf:
        return make(
            name(child),
            parent,
            usage("digital_signature"),
            purposes(SERVER_AUTH),
            alternative([x509.DNSName("localhost")]),
            private=key(child),
        )
    private = key(child)
    match fault:
        case "expired":
            return ca(child, parent, private=private, ends=NOW - datetime.timedelta(days=1), starts=NOW - YEAR)
        case "name constraints":
            return ca(child, parent, constraints([x509.DNSName(INVALID_DNS)]), private=private)
        case "for mail":
            return ca(child, parent, EMAIL, private=private)
        case "no basic constraints":
            return ca(child, parent, private=private, without=[x509.BasicConstraints])
        case "no authority":
            return ca(child, parent, basic(False), private=private)
        case "SHA-1":
            return ca(child, parent, private=private, signed_with=ECDSA_SHA1)
    return ca(child, parent, private=private)
