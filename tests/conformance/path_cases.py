"""Planted faults: one chain for each rule of RFC 5280 and of the CA/Browser Forum's baseline requirements (BR).

Most ideas are those of C2SP/x509-limbo and of the attacks that it collects; the chains are made here. ``CASES`` is the
table.
"""

from __future__ import annotations

import datetime
import functools
import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, mldsa, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from netdiag.model import ChainPurpose, FaultKind
from tests.conformance.forge import (
    CLIENT_AUTH,
    ECDSA_SHA1,
    HOST,
    NOW,
    RSA_SHA256,
    SERVER_AUTH,
    YEAR,
    Entry,
    Extension,
    Made,
    algorithm,
    alternative,
    authority,
    basic,
    bit_string,
    constraints,
    dns,
    extension,
    integer,
    key,
    key_identifier,
    leaf,
    make,
    name,
    oid,
    public_info,
    purposes,
    raw_alternative,
    raw_constraints,
    revocation_list,
    root,
    rsa_key,
    sequence,
    tlv,
    usage,
)

#: The profiles that accept a path.
Accepted = frozenset[str]
BOTH: Accepted = frozenset({"rfc5280", "webpki"})
RFC5280: Accepted = frozenset({"rfc5280"})
WEBPKI: Accepted = frozenset({"webpki"})
NEITHER: Accepted = frozenset()

ROOT = root()
SUB = authority("Intermediate", ROOT)
LEAF = leaf(SUB)
OTHER_ROOT = root(subject="Other root")


@dataclass(frozen=True)
class Case:
    """A question to a verifier, and the profiles in which the answer is yes.

    ``kind`` is a fault that each profile that refuses must name, where one matters.
    """

    name: str
    accepted: Accepted
    leaf: Made
    pool: Sequence[Made] = ()
    roots: Sequence[Made] = (ROOT,)
    kind: FaultKind | None = None
    host: str | None = HOST
    at: datetime.datetime = NOW
    purpose: ChainPurpose = "server"
    max_depth: int | None = None
    crls: Sequence[bytes] = ()


def on_leaf(
    label: str,
    accepted: Accepted,
    *extensions: Extension,
    kind: FaultKind | None = None,
    below: Made = ROOT,
    host: str | None = HOST,
    at: datetime.datetime = NOW,
    purpose: ChainPurpose = "server",
    **parts: Any,
) -> Case:
    """Something special in the leaf, which a root signed."""
    return Case(label, accepted, leaf(below, *extensions, **parts), (), (below,), kind, host, at, purpose)


def on_authority(
    label: str,
    accepted: Accepted,
    *extensions: Extension,
    kind: FaultKind | None = None,
    at: datetime.datetime = NOW,
    **parts: Any,
) -> Case:
    """Something special in the only intermediate."""
    made = authority("Planted", ROOT, *extensions, **parts)
    return Case(label, accepted, leaf(made), (made,), kind=kind, at=at)


def on_root(
    label: str,
    accepted: Accepted,
    *extensions: Extension,
    kind: FaultKind | None = None,
    at: datetime.datetime = NOW,
    **parts: Any,
) -> Case:
    """Something special in the root."""
    made = root(*extensions, **parts)
    return Case(label, accepted, leaf(made), (), (made,), kind, at=at)


BASIC, USAGE, NAMES = x509.BasicConstraints, x509.KeyUsage, x509.SubjectAlternativeName
AKI, SKI, EKU = x509.AuthorityKeyIdentifier, x509.SubjectKeyIdentifier, x509.ExtendedKeyUsage


def addresses(*texts: str) -> list[x509.GeneralName]:
    return [x509.IPAddress(ipaddress.ip_address(text)) for text in texts]


def networks(*texts: str) -> list[x509.GeneralName]:
    return [x509.IPAddress(ipaddress.ip_network(text)) for text in texts]


def directory(common_name: str) -> x509.DirectoryName:
    return x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))


def mailboxes(*texts: str) -> list[x509.GeneralName]:
    return [x509.RFC822Name._init_without_validation(text) for text in texts]


def uris(*texts: str) -> list[x509.GeneralName]:
    return [x509.UniformResourceIdentifier(text) for text in texts]


def raw_dns(value: bytes) -> bytes:
    """A dNSName of any bytes."""
    return tlv(0x82, value)


def raw_address(value: bytes) -> bytes:
    """An iPAddress of any size."""
    return tlv(0x87, value)


def access(location: x509.GeneralName, *, critical: bool = False) -> Extension:
    """Authority information access with one location of the issuer's certificate."""
    entry = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, location)
    return extension(x509.AuthorityInformationAccess([entry]), critical=critical)


def unknown(*, critical: bool) -> Extension:
    """An extension that nobody knows."""
    return Extension("2.999.1", b"\x05\x00", critical)


# --- Path length (RFC 5280 §4.2.1.9) --------------------------------------------------------------------------------

ROOM_0 = authority("Room for 0", ROOT, path_length=0)
ROOM_1 = authority("Room for 1", ROOT, path_length=1)
ROOM_2 = authority("Room for 2", ROOT, path_length=2)
ROOM_0_BELOW_0 = authority("Below 0", ROOM_0, path_length=0)
ROOM_0_BELOW_1 = authority("Below 1", ROOM_1, path_length=0)
TOO_LONG = authority("Below below 1", ROOM_0_BELOW_1, path_length=0)
GROWN = authority("Grown", ROOM_1, path_length=2)
#: The same authority once more: self-issued, with a key of its own.
ROOM_1_AGAIN = authority("Room for 1", ROOM_1, path_length=1, private=key("second key"))
BELOW_AGAIN = authority("Below again", ROOM_1_AGAIN, path_length=0)
TWO_BELOW_AGAIN = authority("Two below again", BELOW_AGAIN)
ANCHOR_WITHOUT_ROOM = root(basic(True, 0), subject="Root without room")
BELOW_ANCHOR = authority("Below an anchor without room", ANCHOR_WITHOUT_ROOM)
SUB_AGAIN = authority("Intermediate", SUB, private=key("second intermediate"))
SECOND = authority("Second intermediate", SUB)
LONG = functools.reduce(lambda made, index: [*made, authority(f"Long {index}", made[-1])], range(1, 8), [SUB])
LONGEST = functools.reduce(lambda made, index: [*made, authority(f"Long {index}", made[-1])], range(1, 15), [SUB])

PATH_LENGTH = [
    Case("room for none, none follows", BOTH, leaf(ROOM_0), [ROOM_0]),
    Case("room for one, none follows", BOTH, leaf(ROOM_1), [ROOM_1]),
    Case("room for two, none follows", BOTH, leaf(ROOM_2), [ROOM_2]),
    # "the last certificate in the certification path is not an intermediate certificate"; BR §7.1.2.7.8 wants no CA.
    Case(
        "an authority in the leaf's place does not count",
        RFC5280,
        authority("Leaf and authority", ROOM_0, path_length=0),
        [ROOM_0],
    ),
    Case("no room, one follows", NEITHER, leaf(ROOM_0_BELOW_0), [ROOM_0, ROOM_0_BELOW_0], kind="path-length-exceeded"),
    Case("more room below is of no use, and no fault", BOTH, leaf(GROWN), [ROOM_1, GROWN]),
    Case(
        "room for one, two follow",
        NEITHER,
        leaf(TOO_LONG),
        [ROOM_1, ROOM_0_BELOW_1, TOO_LONG],
        kind="path-length-exceeded",
    ),
    Case("a self-issued authority does not count", BOTH, leaf(BELOW_AGAIN), [ROOM_1, ROOM_1_AGAIN, BELOW_AGAIN]),
    Case(
        "a self-issued authority gives no room",
        NEITHER,
        leaf(TWO_BELOW_AGAIN),
        [ROOM_1, ROOM_1_AGAIN, BELOW_AGAIN, TWO_BELOW_AGAIN],
        kind="path-length-exceeded",
    ),
    Case(
        "the anchor's limit counts",
        NEITHER,
        leaf(BELOW_ANCHOR),
        [BELOW_ANCHOR],
        [ANCHOR_WITHOUT_ROOM],
        kind="path-length-exceeded",
    ),
    Case("depth 0, no intermediate", BOTH, leaf(ROOT), max_depth=0),
    Case("depth 0, one intermediate", NEITHER, LEAF, [SUB], max_depth=0, kind="path-length-exceeded"),
    Case("depth 1, one intermediate", BOTH, LEAF, [SUB], max_depth=1),
    Case("depth 1, two intermediates", NEITHER, leaf(SECOND), [SUB, SECOND], max_depth=1, kind="path-length-exceeded"),
    Case("depth 1, one intermediate twice", BOTH, leaf(SUB_AGAIN), [SUB, SUB_AGAIN], max_depth=1),
    Case("depth 255", BOTH, LEAF, [SUB], max_depth=255),
    Case("eight intermediates", BOTH, leaf(LONG[-1]), LONG),
    Case("fifteen intermediates", BOTH, leaf(LONGEST[-1]), LONGEST),
]

# --- Hostile and unlucky graphs (RFC 4158) --------------------------------------------------------------------------

#: An expired cross-certificate of a root that is trusted itself.
CROSSED = authority("Root", OTHER_ROOT, private=ROOT.key, starts=NOW - 30 * YEAR, ends=NOW - 20 * YEAR)
CYCLE_A = authority("Cycle A", None, issuer_name=name("Cycle B"), signer=key("cycle b"), private=key("cycle a"))
CYCLE_B = authority("Cycle B", CYCLE_A, private=key("cycle b"))
LOGICAL_A = authority("Logical", None, private=key("logical a"), signer=key("logical b"), without=[USAGE])
LOGICAL_B = authority("Logical", None, private=key("logical b"), signer=key("logical a"), without=[USAGE])


def line(count: int, subject: str, *, one_key: bool, start: Made = ROOT) -> list[Made]:
    """Authorities of one name, or of names that start with it ("{}"), each signed by the one before it."""
    made = [start]
    for index in range(count):
        private = key("line" if one_key else f"line {index}")
        made.append(authority(subject.format(index), made[-1], without=[NAMES], private=private))
    return made[1:]


def mesh(count: int) -> list[Made]:
    """Authorities of one name, each with a key of its own, certified by every one of the ten before it."""
    first = line(1, "Mesh", one_key=False)
    made, last = list(first), list(first)
    while len(made) < count:
        private = key(f"mesh {len(made)}")
        new = [authority("Mesh", above, private=private, without=[NAMES]) for above in last[-10:]]
        made += new
        last.append(new[0])
    return made


LINE_100 = line(100, "Line {}", one_key=False)
SAME_NAME_100 = line(100, "Same name", one_key=False)
SAME_NAME_AND_KEY_100 = line(100, "Same name", one_key=True)
NOWHERE_100 = line(100, "Nowhere", one_key=True, start=OTHER_ROOT)
TWINS_300 = [authority("Twin", ROOT, private=key(f"twin {index}"), without=[NAMES]) for index in range(300)]
STRANGERS_300 = [authority("Stranger", OTHER_ROOT, private=key(f"stranger {n}"), without=[NAMES]) for n in range(300)]
CLIQUE = [
    authority(
        f"Clique {child}",
        None,
        issuer_name=name(f"Clique {parent}"),
        signer=key(f"clique {parent}"),
        private=key(f"clique {child}"),
        authority_key_id=None,
        without=[NAMES, AKI, SKI],
    )
    for parent in range(18)
    for child in range(18)
    if parent != child
]
MESH_300 = mesh(300)
NAMESAKES = [authority("Namesake", None, private=key(f"namesake {index}"), without=[NAMES]) for index in range(18)]
NAMESAKE_CLIQUE = [
    authority("Namesake", parent, private=child.key, without=[NAMES])
    for parent in NAMESAKES
    for child in NAMESAKES
    if parent is not child
]


def many(pattern: str, count: int) -> list[x509.GeneralName]:
    return [x509.DNSName(pattern.format(index)) for index in range(count)]


def flooded(label: str, permitted: list[x509.GeneralName], excluded: list[x509.GeneralName], made: Any) -> Case:
    """Quadratic work for whoever compares all names with all constraints."""
    given = root(constraints(permitted, excluded), without=[NAMES])
    return Case(label, NEITHER, made(given), (), (given,), "name-constraint", "t0.test")


def many_mails(count: int) -> bytes:
    mails = [(NameOID.EMAIL_ADDRESS, f"t{index}@test") for index in range(count)]
    return name("t0.test", *mails)


GRAPHS = [
    Case("expired cross-certificate of a trusted root", BOTH, leaf(ROOT), [CROSSED], [ROOT, OTHER_ROOT]),
    Case("cycle of two authorities", NEITHER, leaf(CYCLE_A), [CYCLE_A, CYCLE_B]),
    Case("cycle of two authorities, depth 255", NEITHER, leaf(CYCLE_A), [CYCLE_A, CYCLE_B], max_depth=255),
    Case("cycle of one authority's two certificates", NEITHER, leaf(LOGICAL_A), [LOGICAL_A, LOGICAL_B]),
    Case("a line of 100", NEITHER, leaf(LINE_100[-1]), LINE_100),
    Case("a line of 100 with one name", NEITHER, leaf(SAME_NAME_100[-1]), SAME_NAME_100),
    # All of them are one authority, which the root certified: the path has one intermediate.
    Case("a line of 100 with one name and key", BOTH, leaf(SAME_NAME_AND_KEY_100[-1]), SAME_NAME_AND_KEY_100),
    Case("a line of 100 with one name and key, to nowhere", NEITHER, leaf(NOWHERE_100[-1]), NOWHERE_100),
    Case("300 of one name, and the issuer among them", BOTH, leaf(TWINS_300[-1]), TWINS_300),
    Case("300 of one name, none trusted", NEITHER, leaf(STRANGERS_300[-1]), STRANGERS_300),
    Case("300 of one name, certified many times", BOTH, leaf(MESH_300[-1]), MESH_300),
    Case("everybody certified everybody, without a root", NEITHER, leaf(CLIQUE[0]), CLIQUE),
    Case("everybody of one name certified everybody", NEITHER, leaf(NAMESAKES[0]), NAMESAKE_CLIQUE),
    Case(
        "everybody of one name certified everybody, and a root one of them",
        BOTH,
        leaf(NAMESAKES[0]),
        [*NAMESAKE_CLIQUE, authority("Namesake", ROOT, private=NAMESAKES[-1].key, without=[NAMES])],
    ),
    flooded(
        "names and constraints by the hundred, one malformed",
        [*many("t{}.test", 513), *dns(".test")],
        many("x{}.test", 513),
        lambda given: leaf(given, alternative([*many("t{}.test", 513), *dns(".test")], critical=True), subject=name()),
    ),
    flooded(
        "names and constraints by the thousand",
        many("t{}.test", 2048),
        many("x{}.test", 2048),
        lambda given: leaf(given, alternative(many("t{}.test", 2048), critical=True), subject=name()),
    ),
    flooded(
        "mailboxes in the subject by the hundred",
        mailboxes(*(f"t{index}@test" for index in range(513))),
        mailboxes(*(f"x{index}@test" for index in range(513))),
        lambda given: leaf(given, alternative(dns("t0.test")), subject=many_mails(513)),
    ),
    flooded(
        "mailboxes in the subject by the thousand, no alternative name",
        [*mailboxes(*(f"t{index}@test" for index in range(1025))), *dns("t0.test")],
        mailboxes(*(f"x{index}@test" for index in range(1025))),
        lambda given: leaf(given, subject=many_mails(1025), without=[NAMES]),
    ),
]

# --- Vulnerabilities of others --------------------------------------------------------------------------------------

#: CVE-2024-0567: A, B and C have a root each, and each is certified by another's root.
KNOT = {entry: authority(f"Knot {entry}", None, without=[NAMES], private=key(f"knot {entry}")) for entry in "ABC"}
CROSSINGS = [
    authority(f"Knot {child}", KNOT[parent], without=[NAMES], private=KNOT[child].key)
    for child, parent in ("AB", "AC", "BA", "BC", "CA", "CB")
]
KNOT_SUB = authority("Knot A 1", KNOT["A"], without=[NAMES])
KNOT_HOST = "knot.example.com"
WILD = alternative(dns("*.example.com"))

VULNERABILITIES = [
    Case(
        "cross-certified roots (CVE-2024-0567)",
        BOTH,
        leaf(KNOT_SUB, alternative(dns(KNOT_HOST), critical=True), subject=name()),
        [KNOT_SUB, *CROSSINGS, *KNOT.values()],
        [KNOT["A"]],
        host=KNOT_HOST,
    ),
    *(
        Case(label, NEITHER, leaf(made, WILD), [made], kind="name-constraint", host=host)
        for label, host, made in (
            (
                "wildcard that reaches an excluded name (CVE-2025-61727)",
                "bar.example.com",
                authority("Excludes bar", ROOT, constraints(dns("example.com"), dns("bar.example.com"))),
            ),
            (
                "wildcard that reaches beyond the permitted name",
                "foo.example.com",
                authority("Permits foo", ROOT, constraints(dns("foo.example.com")), without=[NAMES]),
            ),
        )
    ),
    Case(
        "an issuer whose RSA key is empty",
        NEITHER,
        leaf(
            hollow := authority(
                "Hollow",
                root(),
                private=key("hollow"),
                info=sequence(algorithm("1.2.840.113549.1.1.1"), b"\x03\x01\x00"),
            ),
            signature=b"\x30\x00",
            signed_with=RSA_SHA256,
        ),
        [hollow],
    ),
    *(
        on_leaf(f"a signature of {label}", NEITHER, signature=value, kind="bad-signature")
        for label, value in (
            ("no bytes", b""),
            ("the numbers 0 and 0 (CVE-2022-21449)", sequence(integer(0), integer(0))),
            ("an empty sequence", b"\x30\x00"),
        )
    ),
    on_leaf("another key's signature", NEITHER, signer=key("impostor"), kind="bad-signature"),
]

# --- RFC 5280 -------------------------------------------------------------------------------------------------------

NOT_A_CA = authority("Not a CA", ROOT, basic(False))
NO_BASIC = authority("No basic constraints", ROOT, without=[BASIC])
CA_LEAF = authority("A CA", ROOT, alternative(dns("ca.example.com")))
ISSUED_ELSEWHERE = authority("Anchor", OTHER_ROOT, basic(True, 0))
WITHOUT_AKI = authority("Anchor", OTHER_ROOT, basic(True, 0), without=[AKI])
UNKNOWN_ROOT = root(unknown(critical=True), subject="Unrelated root")
UNKNOWN_SUB = authority("Unrelated intermediate", ROOT, unknown(critical=True))
#: An algorithm identifier that is not the one of the signature.
WRONG_ALGORITHM = algorithm("1.2.840.10045.4.3.3")

GENERAL = [
    Case("good", BOTH, LEAF, [SUB]),
    Case("good, below the root", BOTH, leaf(ROOT)),
    Case("good, the pool holds the root too", BOTH, LEAF, [ROOT, SUB]),
    on_leaf("no issuer", NEITHER, issuer_name=name(), kind="malformed"),
    on_root("a root without a name", NEITHER, subject=name(), kind="malformed"),
    on_leaf("unknown critical extension in the leaf", NEITHER, unknown(critical=True), kind="malformed"),
    on_authority("unknown critical extension in the authority", NEITHER, unknown(critical=True), kind="malformed"),
    on_root("unknown critical extension in the root", NEITHER, unknown(critical=True), kind="malformed"),
    on_leaf("unknown extension in the leaf", BOTH, unknown(critical=False)),
    on_authority("unknown extension in the authority", BOTH, unknown(critical=False)),
    on_root("unknown extension in the root", BOTH, unknown(critical=False)),
    Case("unknown critical extension in an unrelated root", BOTH, LEAF, [SUB], [UNKNOWN_ROOT, ROOT]),
    Case("unknown critical extension in an unrelated authority", BOTH, LEAF, [UNKNOWN_SUB, SUB]),
    Case("a root that is not trusted", NEITHER, LEAF, [SUB, ROOT], [OTHER_ROOT], kind="untrusted-root"),
    Case("no trust anchor at all", NEITHER, LEAF, [SUB, ROOT], []),
    Case("intermediate missing", NEITHER, LEAF, []),
    Case("an authority that is none", NEITHER, leaf(NOT_A_CA), [NOT_A_CA], kind="not-a-ca"),
    Case("an authority without basic constraints", NEITHER, leaf(NO_BASIC), [NO_BASIC], kind="not-a-ca"),
    Case("an authority without basic constraints, not given", NEITHER, leaf(NO_BASIC), []),
    on_root("a root without basic constraints", NEITHER, without=[BASIC], kind="not-a-ca"),
    on_root("a root whose basic constraints are not critical", NEITHER, basic(True, critical=False), kind="malformed"),
    # RFC 5280 §4.2.1.9 wants them critical, and NIST's PKITS 4.6.4 wants the path accepted; BR §7.1.2.10 does not.
    on_authority(
        "an authority whose basic constraints are not critical", RFC5280, basic(True, critical=False), kind="malformed"
    ),
    on_root("a root that may not sign certificates", NEITHER, usage("crl_sign"), kind="key-usage"),
    on_authority("an authority that may not sign certificates", NEITHER, usage("crl_sign"), kind="key-usage"),
    on_authority("an authority that may do nothing", NEITHER, basic(True, 0), usage(), kind="key-usage"),
    on_authority("an authority without key usage", BOTH, without=[USAGE]),
    on_root("a root without key usage", BOTH, without=[USAGE]),
    on_leaf(
        "a leaf that may sign certificates, and is no authority",
        NEITHER,
        basic(False),
        usage("digital_signature", "key_cert_sign"),
        kind="key-usage",
    ),
    on_leaf("issuer's address", BOTH, access(x509.DNSName("ca.example.com"))),
    on_leaf("issuer's address, critical", NEITHER, access(x509.DNSName("ca.example.com"), critical=True)),
    on_leaf("two alternative names extensions", NEITHER, again=[alternative(dns(HOST))], kind="malformed"),
    on_authority("two basic constraints extensions", NEITHER, again=[basic(True)], kind="malformed"),
    on_leaf("no key usage", BOTH, without=[USAGE]),
    on_leaf("basic constraints that say no", BOTH, basic(False)),
    on_leaf("two signature algorithms", NEITHER, outer=WRONG_ALGORITHM, kind="malformed"),
    on_leaf("two signature algorithms, the other way round", NEITHER, inner=WRONG_ALGORITHM, kind="malformed"),
    on_root("two signature algorithms in the root", NEITHER, outer=WRONG_ALGORITHM, kind="malformed"),
    Case("an authority as leaf", RFC5280, CA_LEAF, host="ca.example.com"),
    Case("an authority as leaf, with another name", NEITHER, CA_LEAF, host="www.example.com", kind="name-mismatch"),
    Case("the intermediate is the anchor", BOTH, LEAF, [ROOT], [SUB]),
    Case("the intermediate is an anchor too", BOTH, LEAF, [SUB], [SUB, ROOT]),
    Case(
        "names are compared without regard to case and spaces", BOTH, leaf(SUB, issuer_name=name("INTERMEDIATE")), [SUB]
    ),
    on_leaf("version 1", RFC5280, version=1, bare=True, host=None, kind="malformed"),
    on_leaf("version 1, with extensions", NEITHER, version=1, kind="malformed"),
    on_leaf("version 2, with extensions", NEITHER, version=2, kind="malformed"),
    on_authority("version 1 in the authority", NEITHER, version=1, bare=True, kind="not-a-ca"),
    on_authority("version 1 in the authority, with extensions", NEITHER, version=1, kind="malformed"),
    # §6.1.1 (d): an anchor is a name and a key; how one comes to trust it is not its certificate's business.
    on_root("version 1 in the root", RFC5280, version=1, bare=True, kind="malformed"),
    on_authority(
        "65 extensions, the first of them odd",
        NEITHER,
        Extension("1.3.6.1.5.5.7.1.1", b"malformed"),
        *(Extension(f"2.999.{index}", b"\x05\x00") for index in range(100, 164)),
        constraints(dns("elsewhere.test")),
    ),
    on_leaf("SHA-1 with ECDSA", NEITHER, signed_with=ECDSA_SHA1, kind="weak-signature"),
    on_authority("SHA-1 with ECDSA in the authority", NEITHER, signed_with=ECDSA_SHA1, kind="weak-signature"),
    on_root("SHA-1 with ECDSA in the root, on which nothing depends", BOTH, signed_with=ECDSA_SHA1),
    on_root(
        "a root whose own signature is wrong, on which nothing depends",
        BOTH,
        signer=key("somebody"),
        private=key("root with an identifier"),
        authority_key_id=key_identifier(public_info(key("root with an identifier"))),
    ),
]

KEY_IDENTIFIERS = [
    on_root(
        "root: critical authority key identifier",
        NEITHER,
        extension(AKI(b"0123456789", None, None), critical=True),
        kind="malformed",
    ),
    on_leaf("leaf: critical authority key identifier", NEITHER, extension(AKI(ROOT.key_id, None, None), critical=True)),
    on_leaf("leaf: no authority key identifier", NEITHER, without=[AKI], kind="malformed"),
    on_authority("authority: no authority key identifier", NEITHER, without=[AKI], kind="malformed"),
    on_root("self-signed root: no authority key identifier", BOTH),
    Case(
        "anchor that another signed, with an authority key identifier",
        BOTH,
        leaf(ISSUED_ELSEWHERE),
        (),
        [ISSUED_ELSEWHERE],
    ),
    Case("anchor that another signed, without one", NEITHER, leaf(WITHOUT_AKI), (), [WITHOUT_AKI], kind="malformed"),
    on_root(
        "root: critical subject key identifier", NEITHER, extension(SKI(b"0123456789"), critical=True), kind="malformed"
    ),
    on_root("root: no subject key identifier", NEITHER, without=[SKI], kind="malformed"),
    on_authority("authority: no subject key identifier", NEITHER, without=[SKI], kind="malformed"),
    on_leaf("leaf: no subject key identifier", BOTH, without=[SKI]),
    on_leaf("leaf: another key's authority key identifier, and a good signature", BOTH, authority_key_id=b"0123456789"),
]

NEGATIVE = make("Gov", None, alternative(dns("gov.us")), serial=-0x6ABBD2CD4E7A6E5B)

SERIALS = [
    on_leaf("22 octets", NEITHER, serial=1 << 170, kind="malformed"),
    on_leaf("20 octets and the sign's", BOTH, serial=(1 << 160) - 1),
    on_leaf("20 octets", BOTH, serial=(1 << 159) - 1),
    on_leaf("zero", NEITHER, serial=0, kind="malformed"),
    on_leaf("negative", NEITHER, serial=-1, kind="malformed"),
    Case("negative, and the leaf is its own anchor", NEITHER, NEGATIVE, (), [NEGATIVE], host="gov.us"),
    # Roots of public programs have it; an anchor is used as it stands.
    on_root("zero in the root", BOTH, serial=0),
]

ALTERNATIVE_NAMES = [
    on_leaf("not DER", NEITHER, Extension("2.5.29.17", b"example.com"), kind="malformed"),
    on_leaf("empty", NEITHER, Extension("2.5.29.17", b"\x30\x00"), host=None, kind="malformed"),
    on_leaf(
        "not DER, in an authority",
        NEITHER,
        Extension("2.5.29.17", b"example.com"),
        below=root(Extension("2.5.29.17", b"example.com")),
    ),
    on_leaf("not critical without a subject", NEITHER, subject=name(), kind="malformed"),
    on_leaf("critical without a subject", BOTH, alternative(dns(HOST), critical=True), subject=name()),
    on_leaf(
        "underscore",
        NEITHER,
        alternative(dns("under_score.example.com")),
        host="under_score.example.com",
        kind="malformed",
    ),
    on_leaf(
        "underscore beside a good one", NEITHER, alternative(dns(HOST, "under_score.example.com")), kind="malformed"
    ),
    on_leaf("address as a DNS name", NEITHER, alternative(dns("127.0.0.1")), host="127.0.0.1", kind="malformed"),
    on_leaf("IPv6 address as a DNS name", NEITHER, alternative(dns("::1")), host="::1", kind="malformed"),
    on_leaf("leading dot", NEITHER, alternative(dns(".example.com")), kind="malformed"),
    on_leaf("empty label", NEITHER, alternative(dns(HOST, "foo..example.com")), kind="malformed"),
    on_leaf("empty name", NEITHER, raw_alternative(raw_dns(b"example.com"), raw_dns(b"")), kind="malformed"),
    on_leaf(
        "a name with a NUL byte", NEITHER, raw_alternative(raw_dns(b"example.com\x00.evil.test")), kind="malformed"
    ),
    on_leaf(
        "a name in UTF-8",
        NEITHER,
        raw_alternative(raw_dns("😜.example.com".encode())),
        host="xn--628h.example.com",
        kind="malformed",
    ),
    on_leaf(
        "an address of five octets",
        NEITHER,
        raw_alternative(raw_dns(b"example.com"), raw_address(b"\x7f\0\0\0\1")),
        kind="malformed",
    ),
    on_leaf(
        "a tag that no name has",
        NEITHER,
        raw_alternative(raw_dns(b"example.com"), tlv(0x89, b"example.com")),
        kind="malformed",
    ),
    on_leaf(
        "a primitive directory name",
        NEITHER,
        raw_alternative(raw_dns(b"example.com"), tlv(0x84, b"example.com")),
        kind="malformed",
    ),
]

ANY_PURPOSE = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
FOR_MAIL = purposes(ExtendedKeyUsageOID.EMAIL_PROTECTION)

PURPOSES = [
    on_leaf("leaf for clients", NEITHER, purposes(CLIENT_AUTH), kind="purpose-mismatch"),
    on_leaf("leaf for both", BOTH, purposes(CLIENT_AUTH, SERVER_AUTH)),
    on_leaf("leaf without", RFC5280, without=[EKU], kind="purpose-mismatch"),
    on_leaf("leaf with none", NEITHER, Extension("2.5.29.37", b"\x30\x00")),
    on_leaf("leaf for any purpose", RFC5280, purposes(ANY_PURPOSE), kind="purpose-mismatch"),
    on_leaf("leaf for servers and any purpose", RFC5280, purposes(SERVER_AUTH, ANY_PURPOSE), kind="purpose-mismatch"),
    on_leaf("leaf, critical", RFC5280, purposes(SERVER_AUTH, critical=True), kind="purpose-mismatch"),
    on_leaf("leaf for servers and mail", RFC5280, purposes(SERVER_AUTH, ExtendedKeyUsageOID.EMAIL_PROTECTION)),
    on_authority("authority for servers", BOTH, purposes(SERVER_AUTH)),
    on_authority("authority for mail", NEITHER, FOR_MAIL, kind="purpose-mismatch"),
    on_authority("authority for any purpose", BOTH, purposes(ANY_PURPOSE)),
    on_root("root for servers", RFC5280, purposes(SERVER_AUTH), kind="purpose-mismatch"),
    on_root("root for mail", NEITHER, FOR_MAIL, kind="purpose-mismatch"),
]

POLICY_CONSTRAINTS = x509.PolicyConstraints(require_explicit_policy=3, inhibit_policy_mapping=None)
POLICY = extension(x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("2.999.2"), None)]))
POLICY_CA = authority("With a policy", ROOT, POLICY, extension(x509.PolicyConstraints(0, None), critical=True))


def mapped(levels: int, width: int, *leaf_policies: int) -> Case:
    """Authorities that assert some policies and map each to all of them (CVE-2023-0464): a tree of them has
    ``width ** levels`` leaves, and a graph ``width`` nodes a level (RFC 9618 §1).
    """
    numbers = [oid(f"2.999.3.{number}") for number in range(width)]
    given = [x509.PolicyInformation(x509.ObjectIdentifier(f"2.999.3.{number}"), None) for number in range(width)]
    planted = (
        extension(x509.CertificatePolicies(given)),
        Extension(
            "2.5.29.33", sequence(*(sequence(one, other) for one in numbers for other in numbers)), critical=True
        ),
        extension(x509.PolicyConstraints(0, None), critical=True),
    )
    chain = [ROOT]
    for level in range(levels):
        chain.append(authority(f"Mapped {level} {width}", chain[-1], *planted))
    own = [extension(x509.CertificatePolicies([given[number] for number in leaf_policies]))] if leaf_policies else []
    accepted = BOTH if leaf_policies else WEBPKI
    label = f"{width} policies mapped to each other {levels} times{'' if leaf_policies else ', none in the leaf'}"
    return Case(label, accepted, leaf(chain[-1], *own), chain[1:], kind="policy")


POLICIES = [
    mapped(15, 2, 1),
    mapped(15, 2),
    mapped(15, 14, 3, 7),
    mapped(15, 14),
    on_authority("policy constraints that are not critical", NEITHER, extension(POLICY_CONSTRAINTS), kind="policy"),
    on_authority("policy constraints", BOTH, extension(POLICY_CONSTRAINTS, critical=True)),
    # Those of RFC 3280 were not critical, and NIST's PKITS wants them accepted where policies are asserted.
    on_authority("policy constraints that are not critical, and policies", BOTH, extension(POLICY_CONSTRAINTS), POLICY),
    Case("a policy is demanded and there", BOTH, leaf(POLICY_CA, POLICY), [POLICY_CA]),
    Case("a policy is demanded and missing", WEBPKI, leaf(POLICY_CA), [POLICY_CA], kind="policy"),
]

VALIDITY = [
    on_root("root expired", NEITHER, ends=NOW - YEAR, kind="expired"),
    on_authority("authority expired", NEITHER, ends=NOW - YEAR, kind="expired"),
    on_leaf("leaf expired", NEITHER, ends=NOW - YEAR, kind="expired"),
    on_root("root not yet valid", NEITHER, starts=NOW + YEAR, kind="not-yet-valid"),
    on_authority("authority not yet valid", NEITHER, starts=NOW + YEAR, kind="not-yet-valid"),
    on_leaf("leaf not yet valid", NEITHER, starts=NOW + YEAR, kind="not-yet-valid"),
    on_leaf("first second", BOTH, starts=NOW),
    on_leaf("last second", BOTH, ends=NOW),
    on_leaf("a second early", NEITHER, starts=NOW + datetime.timedelta(seconds=1), kind="not-yet-valid"),
    on_leaf("a second late", NEITHER, ends=NOW - datetime.timedelta(seconds=1), kind="expired"),
    on_leaf(
        "a millisecond early", NEITHER, starts=NOW, at=NOW - datetime.timedelta(milliseconds=1), kind="not-yet-valid"
    ),
    on_leaf("a few milliseconds into the last second", BOTH, ends=NOW, at=NOW + datetime.timedelta(milliseconds=5)),
    on_leaf("ends before it starts", NEITHER, starts=NOW + YEAR, ends=NOW - YEAR),
]

# --- Name constraints (RFC 5280 §4.2.1.10) ---------------------------------------------------------------------------


def constrained(
    label: str,
    accepted: Accepted,
    given: Extension,
    *names: x509.GeneralName,
    host: str | None = HOST,
    subject: str | bytes = HOST,
    purpose: ChainPurpose = "server",
    kind: FaultKind | None = "name-constraint",
    in_authority: bool = False,
) -> Case:
    """Constraints in the root or in an authority below it, and a leaf with these names."""
    top = ROOT if in_authority else root(given, without=[NAMES])
    above = authority("Constrains", ROOT, given, without=[NAMES]) if in_authority else top
    wanted = purposes(CLIENT_AUTH if purpose == "client" else SERVER_AUTH)
    made = leaf(above, alternative(names or dns(HOST)), wanted, subject=subject)
    return Case(label, accepted, made, [above] if in_authority else [], [top], kind, host, purpose=purpose)


def for_mail(constrained: Callable[..., Case], label: str, accepted: Accepted, base: str, mailbox: str) -> Case:
    """A base that permits mailboxes, and the client's certificate of one."""
    given = constraints(mailboxes(base))
    return constrained(label, accepted, given, *mailboxes(mailbox), host=mailbox, purpose="client")


def two_authorities(
    label: str, accepted: Accepted, upper: Extension, lower: Extension, *names: x509.GeneralName
) -> Case:
    """Constraints in an authority and in the one below it."""
    first = authority("Upper", ROOT, upper, without=[NAMES])
    second = authority("Lower", first, lower, without=[NAMES])
    return Case(label, accepted, leaf(second, alternative(names)), [first, second], kind="name-constraint")


NET, NET6 = networks("192.0.2.0/24"), networks("::1/128")
DIRECTORY_ROOT = root(constraints([directory("foo")]), subject="foo", without=[NAMES])
SELF_ISSUED = authority("foo", DIRECTORY_ROOT, alternative([directory("bar")]), private=key("foo again"))
NC_ROOT = root(constraints(dns("example.com")), without=[NAMES])
OWN_NAME_ROOT = root(constraints(dns("example.com")), subject="Own", without=[NAMES])
NC_SUB = authority("Constrains", ROOT, constraints(dns("example.com")), without=[NAMES])
NAMED_ELSEWHERE = alternative(dns("elsewhere.test"))
#: One authority, certified with and without constraints by roots of one name, and by one root.
TWIN_ROOT = root(private=key("twin root"))
LOGICAL = key("logical authority")
FREE = authority("Two ways", ROOT, private=LOGICAL, without=[NAMES])
BOUND = authority("Two ways", ROOT, constraints(None, dns(HOST)), private=LOGICAL, without=[NAMES])
BOUND_ELSEWHERE = authority("Two ways", TWIN_ROOT, constraints(None, dns(HOST)), private=LOGICAL, without=[NAMES])
OTHER_NAME = x509.OtherName(x509.ObjectIdentifier("2.999.3"), b"\x0c\x03foo")
STAR = "*@example.com"


def planted(constrained: Callable[..., Case]) -> list[Case]:
    """The same constraints and names, wherever ``constrained`` puts them."""
    return [
        constrained(
            "DNS, not permitted", NEITHER, constraints(dns(HOST)), *dns("not-example.com"), host="not-example.com"
        ),
        constrained("DNS, excluded", NEITHER, constraints(None, dns(HOST))),
        constrained("DNS, permitted", BOTH, constraints(dns(HOST))),
        constrained("DNS, permitted, in capitals", BOTH, constraints(dns("EXAMPLE.com"))),
        constrained("DNS, permitted, not critical", WEBPKI, constraints(dns(HOST), critical=False)),
        constrained("DNS, not permitted, not critical", NEITHER, constraints(dns("test"), critical=False)),
        constrained(
            "DNS, a name below", BOTH, constraints(dns(HOST)), *dns("foo.bar.example.com"), host="foo.bar.example.com"
        ),
        constrained(
            "DNS, one of two excluded", NEITHER, constraints(None, dns("excluded.test")), *dns(HOST, "a.excluded.test")
        ),
        constrained("IPv4, not permitted", NEITHER, constraints(NET), *addresses("192.0.3.1"), host="192.0.3.1"),
        constrained("IPv4, excluded", NEITHER, constraints(None, NET), *addresses("192.0.2.1"), host="192.0.2.1"),
        constrained("IPv6, excluded", NEITHER, constraints(None, NET6), *addresses("::1"), host="::1"),
        constrained("IPv4, permitted", BOTH, constraints(NET), *addresses("192.0.2.1"), host="192.0.2.1"),
        constrained("IPv6, permitted", BOTH, constraints(NET6), *addresses("::1"), host="::1"),
        constrained("IPv4, only IPv6 permitted", NEITHER, constraints(NET6), *addresses("192.0.2.1"), host="192.0.2.1"),
        constrained(
            "directory, not permitted",
            NEITHER,
            constraints([directory("foo")]),
            *dns(HOST),
            directory("bar"),
            subject="foo",
        ),
        constrained(
            "directory, excluded",
            NEITHER,
            constraints(None, [directory("foo")]),
            *dns(HOST),
            directory("foo"),
            subject="bar",
        ),
        constrained(
            "directory, permitted", BOTH, constraints([directory("foo")]), directory("foo"), subject="foo", host=None
        ),
        constrained(
            "directory, subject not permitted",
            NEITHER,
            constraints([directory("foo")]),
            *dns(HOST),
            directory("foo"),
            subject="bar",
        ),
        constrained(
            "directory, subject excluded", NEITHER, constraints(None, [directory("foo")]), *dns(HOST), subject="foo"
        ),
        constrained("permitted and excluded", NEITHER, constraints(dns(HOST), dns(HOST))),
        constrained("another type permitted", BOTH, constraints(NET)),
        constrained("another type excluded", BOTH, constraints(None, NET)),
        constrained(
            "a wildcard as base",
            NEITHER,
            raw_constraints([raw_dns(b"*.example.com")]),
            *dns("foo.example.com"),
            host="foo.example.com",
            kind=None,
        ),
        constrained(
            "a leading dot in a DNS base",
            NEITHER,
            constraints(dns(".example.com")),
            *dns("foo.example.com"),
            host="foo.example.com",
        ),
        constrained(
            "IPv4 base without a mask",
            NEITHER,
            raw_constraints([raw_address(bytes([127, 0, 0, 1]))]),
            *addresses("127.0.0.1"),
            host="127.0.0.1",
            kind=None,
        ),
        constrained(
            "IPv6 base without a mask",
            NEITHER,
            raw_constraints([raw_address(bytes(15) + b"\x01")]),
            *addresses("::1"),
            host="::1",
            kind=None,
        ),
        constrained(
            "IPv4 base with a mask of gaps",
            NEITHER,
            raw_constraints([raw_address(bytes([127, 0, 0, 1, 255, 0, 255, 0]))]),
            *addresses("127.0.0.1"),
            host="127.0.0.1",
            kind=None,
        ),
        constrained(
            "base of a mailbox with two at signs",
            NEITHER,
            constraints(mailboxes("invalid@invalid@example.com")),
            *mailboxes("foo@example.com"),
            host="foo@example.com",
            purpose="client",
        ),
        constrained(
            "malformed DNS name, permitted",
            NEITHER,
            constraints(dns(HOST)),
            *dns("foo.example.com", ".example.com"),
            host="foo.example.com",
            kind="malformed",
        ),
        constrained(
            "malformed mailbox, permitted",
            NEITHER,
            constraints(mailboxes(HOST)),
            *mailboxes("invalid@address@example.com"),
            host="invalid@address@example.com",
            purpose="client",
            kind=None,
        ),
        for_mail(constrained, "mailbox, exact", BOTH, "foo@example.com", "foo@example.com"),
        for_mail(constrained, "mailbox, another", NEITHER, "foo@example.com", "bar@example.com"),
        for_mail(constrained, "mailbox, local part in capitals", NEITHER, "foo@example.com", "FOO@example.com"),
        for_mail(constrained, "mailbox, host in capitals", BOTH, "foo@example.com", "foo@EXAMPLE.com"),
        for_mail(constrained, "mailbox, host", BOTH, "example.com", "foo@example.com"),
        for_mail(constrained, "mailbox, host above", NEITHER, "example.com", "foo@sub.example.com"),
        for_mail(constrained, "mailbox, domain", BOTH, ".example.com", "foo@sub.example.com"),
        for_mail(constrained, "mailbox, domain itself", NEITHER, ".example.com", "foo@example.com"),
        for_mail(constrained, "mailbox, a star is a star", BOTH, STAR, STAR),
        for_mail(constrained, "mailbox, a star is nobody else", NEITHER, STAR, "foo@example.com"),
        for_mail(constrained, "mailbox, a star is no host", NEITHER, "*@*.example.com", "foo@sub.example.com"),
        for_mail(constrained, "mailbox, two stars", BOTH, "**@example.com", "**@example.com"),
        for_mail(constrained, "mailbox, two stars are not one", NEITHER, "**@example.com", STAR),
        for_mail(constrained, "mailbox, a star in the middle", BOTH, "f*o@example.com", "f*o@example.com"),
        constrained(
            "mailbox in the subject",
            NEITHER,
            constraints(mailboxes("example.com")),
            subject=name(HOST, (NameOID.EMAIL_ADDRESS, "foo@other.test")),
        ),
        constrained(
            "URI, host", BOTH, constraints(uris("example.com")), *dns(HOST), *uris("https://example.com:443/x")
        ),
        constrained(
            "URI, host above", NEITHER, constraints(uris("example.com")), *dns(HOST), *uris("https://sub.example.com/")
        ),
        constrained(
            "URI, domain", BOTH, constraints(uris(".example.com")), *dns(HOST), *uris("https://a.b.example.com/")
        ),
        constrained(
            "URI, domain itself", NEITHER, constraints(uris(".example.com")), *dns(HOST), *uris("https://example.com/")
        ),
        constrained("URI without a host", NEITHER, constraints(uris("example.com")), *dns(HOST), *uris("urn:x:y")),
        constrained(
            "URI with an address", NEITHER, constraints(uris("example.com")), *dns(HOST), *uris("https://192.0.2.1/")
        ),
        constrained("other name, excluded", NEITHER, constraints(None, [OTHER_NAME]), *dns(HOST), OTHER_NAME),
        constrained("other name excluded, none there", BOTH, constraints(None, [OTHER_NAME])),
        constrained(
            "wildcard inside what is permitted",
            BOTH,
            constraints(dns(HOST)),
            *dns("*.example.com"),
            host="foo.example.com",
        ),
        constrained(
            "wildcard that reaches an excluded name",
            NEITHER,
            constraints(None, dns("not-allowed.example.com")),
            *dns("*.example.com"),
            host="foo.example.com",
        ),
        constrained(
            "wildcard above an excluded name two labels down",
            BOTH,
            constraints(None, dns("a.b.example.com")),
            *dns("*.example.com"),
            host="foo.example.com",
        ),
        constrained(
            "wildcard below what is excluded",
            NEITHER,
            constraints(None, dns(HOST)),
            *dns("*.example.com"),
            host="foo.example.com",
        ),
        constrained("empty list of permitted", NEITHER, raw_constraints([], [raw_dns(b"excluded.test")]), kind=None),
        constrained("empty list of excluded", NEITHER, raw_constraints([raw_dns(b"example.com")], []), kind=None),
        constrained("no constraint at all", NEITHER, raw_constraints(), kind=None),
        constrained("both lists empty", NEITHER, raw_constraints([], []), kind=None),
        constrained("the empty DNS base permits all", BOTH, constraints(dns(""))),
        constrained("the empty DNS base excludes all", NEITHER, constraints(None, dns(""))),
        constrained(
            "suffix, not on the border of a label",
            NEITHER,
            constraints(dns(HOST)),
            *dns("badexample.com"),
            host="badexample.com",
        ),
        constrained(
            "a title in the common name is no DNS name",
            BOTH,
            constraints(None, dns("title.test")),
            subject="title.test",
        ),
    ]


NAME_CONSTRAINTS = [
    *planted(constrained),
    Case(
        "self-issued authority is exempt",
        BOTH,
        leaf(SELF_ISSUED, subject="foo", private=key("leaf of foo")),
        [SELF_ISSUED],
        [DIRECTORY_ROOT],
    ),
    Case(
        "self-issued leaf is not",
        NEITHER,
        leaf(OWN_NAME_ROOT, alternative(dns("elsewhere.test")), subject="Own", private=key("own leaf")),
        (),
        [OWN_NAME_ROOT],
        "name-constraint",
        "elsewhere.test",
    ),
    on_leaf("constraints in a leaf", NEITHER, constraints(dns(HOST)), kind="name-constraint"),
    on_leaf(
        "constraints in a leaf, not critical", NEITHER, constraints(dns(HOST), critical=False), kind="name-constraint"
    ),
    Case(
        "the authority's own name, forbidden by an authority",
        NEITHER,
        leaf(own := authority("Own name", NC_SUB, NAMED_ELSEWHERE)),
        [own, NC_SUB],
        kind="name-constraint",
    ),
    Case(
        "the authority's own name, forbidden by the root",
        NEITHER,
        leaf(own := authority("Own name", NC_ROOT, NAMED_ELSEWHERE)),
        [own],
        [NC_ROOT],
        "name-constraint",
    ),
    two_authorities(
        "the lower authority narrows", NEITHER, constraints(dns(HOST)), constraints(dns("foo.example.com")), *dns(HOST)
    ),
    two_authorities(
        "the lower authority cannot widen",
        NEITHER,
        constraints(dns("foo.example.com")),
        constraints(dns(HOST)),
        *dns(HOST),
    ),
    two_authorities(
        "the lower authority narrows, and the leaf is inside",
        BOTH,
        constraints(dns("com")),
        constraints(dns(HOST)),
        *dns(HOST),
    ),
    Case(
        "malformed address, permitted",
        NEITHER,
        leaf(
            net_root := root(constraints(NET), without=[NAMES]),
            raw_alternative(raw_dns(b"example.com"), raw_address(bytes([192, 0, 2, 1, 255, 255, 255, 0]))),
        ),
        (),
        [net_root],
        "malformed",
    ),
    Case(
        "mailbox in the subject, no alternative names",
        NEITHER,
        leaf(
            mail_root := root(constraints(mailboxes("example.com")), without=[NAMES]),
            subject=name(HOST, (NameOID.EMAIL_ADDRESS, "foo@other.test")),
            without=[NAMES],
        ),
        (),
        [mail_root],
        "name-constraint",
        None,
    ),
    Case(
        "two ways to an authority, one constrained, two roots",
        BOTH,
        leaf(FREE),
        [BOUND_ELSEWHERE, FREE],
        [TWIN_ROOT, ROOT],
    ),
    Case("two ways to an authority, one constrained, one root", BOTH, leaf(FREE), [BOUND, FREE]),
    Case("only the constrained way to an authority", NEITHER, leaf(FREE), [BOUND], kind="name-constraint"),
]

# --- Revocation lists (RFC 5280 §5 and §6.3) -------------------------------------------------------------------------

OTHER = Entry(999_999)
ONLY_SIGNS = root(usage("key_cert_sign"))
NO_USAGE = root(without=[USAGE])
REASON = extension(x509.CRLReason(x509.ReasonFlags.key_compromise))


def listed(
    label: str,
    accepted: Accepted,
    *entries: Entry | None,
    below: Made = ROOT,
    more: Sequence[bytes] = (),
    kind: FaultKind | None = None,
    at: datetime.datetime = NOW,
    **parts: Any,
) -> Case:
    """A leaf below a root, and the root's list. None stands for the leaf's entry."""
    made = leaf(below)
    crl = revocation_list(below, *(entry or Entry(made.serial) for entry in entries), **parts)
    return Case(label, accepted, made, (), [below, OTHER_ROOT], kind, at=at, crls=[crl, *more])


def scoped(
    label: str,
    accepted: Accepted,
    point: str | x509.GeneralName | None,
    url: str = "",
    *,
    relative: x509.RelativeDistinguishedName | None = None,
    users: bool = False,
    authorities: bool = False,
    attributes: bool = False,
    indirect: bool = False,
    reasons: frozenset[x509.ReasonFlags] | None = None,
    critical: bool = True,
) -> Case:
    """The scope of a root's list (§5.2.5), and the distribution point that the leaf names (§4.2.1.13)."""
    names = uris(point) if isinstance(point, str) else [point] if point else None
    scope = x509.IssuingDistributionPoint(names, relative, users, authorities, reasons, indirect, attributes)
    pointing = [x509.DistributionPoint(uris(url), None, None, None)]
    made = leaf(ROOT, *([extension(x509.CRLDistributionPoints(pointing))] if url else []))
    crl = revocation_list(ROOT, extensions=[extension(scope, critical=critical)])
    return Case(label, accepted, made, kind="revocation-unknown", crls=[crl])


HERE, ELSEWHERE = "http://crl.test/here.crl", "http://crl.test/elsewhere.crl"
REVOKED_LEAF = leaf(SUB)
ROOT_LIST, SUB_LIST = revocation_list(ROOT), revocation_list(SUB)

REVOCATION = [
    listed("revoked", NEITHER, OTHER, None, kind="revoked"),
    listed("not listed", BOTH, OTHER),
    Case(
        "listed by another authority",
        BOTH,
        REVOKED_LEAF,
        [SUB],
        [ROOT, OTHER_ROOT],
        crls=[ROOT_LIST, SUB_LIST, revocation_list(OTHER_ROOT, Entry(REVOKED_LEAF.serial))],
    ),
    Case("no list of the issuer", NEITHER, LEAF, [SUB], crls=[ROOT_LIST], kind="revocation-unknown"),
    Case("no list of the root", NEITHER, LEAF, [SUB], crls=[SUB_LIST], kind="revocation-unknown"),
    Case(
        "the authority is revoked",
        NEITHER,
        LEAF,
        [SUB],
        crls=[SUB_LIST, revocation_list(ROOT, Entry(SUB.serial))],
        kind="revoked",
    ),
    Case("all lists, none has them", BOTH, LEAF, [SUB], crls=[SUB_LIST, ROOT_LIST]),
    listed("no number", NEITHER, OTHER, without=[x509.CRLNumber]),
    listed("critical number", NEITHER, OTHER, extensions=[extension(x509.CRLNumber(1), critical=True)]),
    listed("a root that may not sign lists", NEITHER, OTHER, below=ONLY_SIGNS),
    listed("a root without key usage", BOTH, OTHER, below=NO_USAGE),
    listed("signed with another key", NEITHER, signer=key("impostor")),
    listed("empty", BOTH),
    listed("10,000 entries", BOTH, *(Entry(10**9 + index) for index in range(10_000))),
    listed("unknown critical extension", NEITHER, extensions=[unknown(critical=True)]),
    listed("unknown extension", BOTH, extensions=[unknown(critical=False)]),
    listed("one serial number twice", NEITHER, OTHER, OTHER),
    listed("entry with an unknown critical extension", NEITHER, Entry(999_999, extensions=(unknown(critical=True),))),
    listed(
        "revoked, with an unknown extension",
        NEITHER,
        None,
        Entry(999_998, extensions=(unknown(critical=False),)),
        kind="revoked",
    ),
    listed("not valid yet", NEITHER, issued=NOW + YEAR, expires=NOW + 2 * YEAR),
    listed("out of date", NEITHER, expires=NOW - datetime.timedelta(seconds=1)),
    listed("no next update", NEITHER, expires=None),
    listed("revoked in the future", NEITHER, Entry(999_999), None, kind="revoked"),
    listed("out of date, and a good one", BOTH, OTHER, expires=NOW - YEAR / 2, more=[revocation_list(ROOT)]),
    listed("noise, and a good one", BOTH, OTHER, more=[b"\x30\x03\x02\x01\x01", b""]),
    listed("version 1", NEITHER, version=1, without=[x509.CRLNumber, AKI]),
    scoped("scope: the leaf's distribution point", BOTH, HERE, HERE),
    scoped("scope: another distribution point", NEITHER, HERE, ELSEWHERE),
    scoped("scope: a distribution point, and the leaf names none", NEITHER, HERE),
    scoped("scope: end entities", BOTH, None, users=True),
    scoped("scope: authorities", NEITHER, None, authorities=True),
    scoped("scope: attribute certificates", NEITHER, None, attributes=True),
    scoped("scope: some reasons", NEITHER, None, reasons=frozenset({x509.ReasonFlags.key_compromise})),
    scoped("scope: end entities, as the leaf's distribution point says", BOTH, HERE, HERE, users=True),
    Case(
        "scope: end entities, and the authority's status is asked for",
        NEITHER,
        LEAF,
        [SUB],
        kind="revocation-unknown",
        crls=[
            SUB_LIST,
            revocation_list(
                ROOT,
                extensions=[
                    extension(x509.IssuingDistributionPoint(None, None, True, False, None, False, False), critical=True)
                ],
            ),
        ],
    ),
]

# --- ML-DSA (RFC 9881) -----------------------------------------------------------------------------------------------

LATTICES = {
    44: mldsa.MLDSA44PrivateKey.generate(),
    65: mldsa.MLDSA65PrivateKey.generate(),
    87: mldsa.MLDSA87PrivateKey.generate(),
}
LATTICE_ROOTS = {size: root(private=private) for size, private in LATTICES.items()}
IMPOSTOR = mldsa.MLDSA44PrivateKey.generate()


def lattice(label: str, accepted: Accepted, *extensions: Extension, size: int = 44, **parts: Any) -> Case:
    return on_leaf(label, accepted, *extensions, below=LATTICE_ROOTS[size], private=LATTICES[size], **parts)


POST_QUANTUM = [
    *(lattice(f"ML-DSA-{size}", BOTH, size=size) for size in LATTICES),
    lattice("another key's signature", NEITHER, signer=IMPOSTOR, kind="bad-signature"),
    *(
        lattice(f"key usage {title}", NEITHER, usage("digital_signature", use), kind="key-usage")
        for title, use in (
            ("keyEncipherment", "key_encipherment"),
            ("dataEncipherment", "data_encipherment"),
            ("keyAgreement", "key_agreement"),
        )
    ),
]

# --- Baseline requirements of public authorities ---------------------------------------------------------------------

#: A group of FIPS 186: L = 3072, N = 256.
DSA_GROUP = dsa.DSAParameterNumbers(
    p=int(
        "AA1CE464975D7B8944D54E308693062BF6BB37B9FE01A64CF5A19AFC8D728BD3DEE46125A1553E8CF63D6F9B401D443F"
        "7AFB26BA13D68693E4C0A4657BD92755C930B9D57A28E6891AFD59FE3E625DD4D81772C2840DCD1BD754B966F85786B3"
        "98320A9C499F44671EFB0F4E085FE48576D99AFB71F817238ABA78C2446B7F8E29A53EFDD64E5B8474D9D4AE351A1D56"
        "42D2FA16F1C50C82D05533C1D4688F72086AA61BEE5C7051751D95199209C0CE1162D8BE5675B0141AB32F1B6E442ED5"
        "919F532CED5910DE070A176F07EC9D003333EEDC80DC69409B450806FF284BBA7C6758EC539A60D1B76740CEB3EC6E8A"
        "437F83B524049A7304CBFC3DF94117C647DDE5E54931557FFD63ED2652F0A908A37D691A2BF098E7004BF6B29FF11056"
        "32937FEA88D376FC8D68A6B098126276A5392B1CAD2E01C8BF5B7657D5D43B55EF9408F77C29DA36964DFE98D7F83767"
        "B3B3657C810BC3D3D1A272632641563121493E580FD7F7F7A6680E10A211DD312183C0E126DBA9CAC6D0136CCD87D5D5",
        16,
    ),
    q=0xDAF208E44513ADF949BDB17C10E49CD785E1B7774DEA210F954596E30FDF6845,
    g=int(
        "34207EED2BE12D67B527D5FCEC07FB3A3FED78DC07AB53419D7E1CA29BAFB59E87BFF3599D2CDAA4FACF47A5D386804D"
        "A7CA9DADE6FF851B2441538FFF080195FFE141A318C3DADCC6C600CACDA0134392511E0CA36B3574712E84935CEE3BE8"
        "EB190CBD9377B76EC98D457677BF0B2CFEE04123228D98DFB5F7D1B23A8A5620E19DADECC16CDAF89B44BE0D74D0AA39"
        "E1A59A23CEC87E73A3355C5AEAA4E20ED80F219B1C2B6E7A1FABDCF156362EAB07F7AA7F528B610273495010F0DE1878"
        "187F02B88EFB21651118B6AABB040F0D85315748A76E01D4E945B53F81B3B1F3C1FCD9EADEED564CE6F97629896A3812"
        "B0285050AA0A524C9D671D8908322561D26F3F6FD11F60071C53626AB2A2BB70133CDA3166BFB54C8A42B23DC7F9D003"
        "4F30E4DC42FCA4D3FC885A3D7F050257E6877CF4597B1796E780F5A28400C35C1B35F2595957A0BFC6CB9F82AF62FD73"
        "90F49A407C4167F93D969864193519B5964E887426FD5E70FBF4296E0F28E0DC752E0E9E0D598C7354C9781D152C68F6",
        16,
    ),
)
DSA_KEY = DSA_GROUP.parameters().generate_private_key()


def explicit_curve(private: ec.EllipticCurvePrivateKey) -> bytes:
    """A P-256 key with all numbers of its curve in place of the curve's name (RFC 3279 §2.3.5)."""
    prime = (1 << 256) - (1 << 224) + (1 << 192) + (1 << 96) - 1
    b = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    base = (
        "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
        "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
    )
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    curve = sequence(
        integer(1),
        sequence(oid("1.2.840.10045.1.1"), integer(prime)),
        sequence(tlv(0x04, (prime - 3).to_bytes(32, "big")), tlv(0x04, b.to_bytes(32, "big"))),
        tlv(0x04, bytes.fromhex(base)),
        integer(order),
        integer(1),
    )
    point = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return sequence(sequence(oid("1.2.840.10045.2.1"), curve), bit_string(point))


def modulus(bits: int) -> bytes:
    """An RSA key of this size, which nobody has the private half of."""
    number = rsa.RSAPublicNumbers(65537, (1 << bits) - 1 - (1 << bits // 2))
    return number.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


#: A point of P-192: its base point (SEC 2 §2.2.2 of version 1).
P192 = sequence(
    sequence(oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.1")),
    bit_string(
        bytes.fromhex(
            "04188da80eb03090f67cbf20eb43a18800f4ff0afd82ff101207192b95ffc8da78631011ed6b24cdd573f977a11e794811"
        )
    ),
)
RSA_USAGE = Extension("2.5.29.15", b"\x03\x02\x07\x00", critical=True)


def titled(label: str, title: str, *names: x509.GeneralName, host: str = HOST) -> Case:
    """A common name that is no alternative name (BR §7.1.4.3)."""
    return on_leaf(label, RFC5280, alternative(names), subject=title, host=host, kind="malformed")


SEVEN = "2001:db8::8a2e:370:7334"

COMMON_NAMES = [
    titled("IPv4 in hexadecimal", "0xC0A80101", *addresses("192.168.1.1"), host="192.168.1.1"),
    titled("IPv4 with leading zeros", "192.168.001.001", *addresses("192.168.1.1"), host="192.168.1.1"),
    titled("IPv6 in capitals", SEVEN.upper(), *addresses(SEVEN), host=SEVEN),
    titled("IPv6 in full", "2001:0db8:0000:0000:0000:8a2e:0370:7334", *addresses(SEVEN), host=SEVEN),
    titled(
        "IPv6 otherwise than RFC 5952",
        "2001:db8:0:0:1:0:0:1",
        *addresses("2001:db8::1:0:0:1"),
        host="2001:db8::1:0:0:1",
    ),
    titled("another A-label", "xn--nxasmq6b.com", *dns("xn--n3h.com"), host="xn--n3h.com"),
    titled("a U-label", "test-測試.com", *dns("xn--test--gb5fp81k.com"), host="xn--test--gb5fp81k.com"),
    titled("a name that is not there", "notinsan.example.com", *dns(HOST)),
    titled("in capitals", "Example.COM", *dns(HOST)),
    titled("in small letters, and the alternative name in capitals", "example.com", *dns("Example.COM")),
    on_leaf("one of the names", BOTH, alternative(dns("www.example.com", HOST))),
    on_leaf(
        "an address of the names", BOTH, alternative(addresses("192.0.2.1")), subject="192.0.2.1", host="192.0.2.1"
    ),
    on_leaf("a title", BOTH, subject="Web server 7"),
    on_leaf("none", BOTH, subject=name("", (NameOID.ORGANIZATION_NAME, "Contoso"))),
]


def asked(label: str, accepted: Accepted, pattern: str, host: str) -> Case:
    """One alternative name, the host that is asked for, and a common name that has to do with neither."""
    return on_leaf(label, accepted, alternative(dns(pattern)), host=host)


HOST_NAMES = [
    asked("exact", BOTH, "example.com", "example.com"),
    on_leaf("exact, in capitals", BOTH, alternative(dns("WWW.example.com")), host="www.example.COM"),
    asked("localhost", BOTH, "localhost", "localhost"),
    on_leaf("loopback address", BOTH, alternative(addresses("127.0.0.1")), host="127.0.0.1"),
    asked("another domain", NEITHER, "example.com", "example.org"),
    asked("another host", NEITHER, "abc.example.com", "def.example.com"),
    asked("the domain of a host", NEITHER, "abc.example.com", "example.com"),
    asked("a host of a domain", NEITHER, "example.com", "abc.example.com"),
    asked("wildcard for a top-level domain", NEITHER, "*.com", "example.com"),
    asked("wildcard for a public suffix", RFC5280, "*.co.uk", "example.co.uk"),
    asked("wildcard for a private suffix", RFC5280, "*.s3.amazonaws.com", "example.s3.amazonaws.com"),
    asked("wildcard", BOTH, "*.example.com", "foo.example.com"),
    asked("wildcard, and its own domain", NEITHER, "*.example.com", "example.com"),
    asked("wildcard inside a label", NEITHER, "ba*.example.com", "baz.example.com"),
    asked("wildcard in the second label", NEITHER, "foo.*.example.com", "foo.bar.example.com"),
    asked("wildcard for two labels", NEITHER, "*.example.com", "foo.bar.example.com"),
    asked("wildcard inside an A-label", NEITHER, "xn--*-1b3c148a.example.com", "xn--bliss-1b3c148a.example.com"),
    asked("nothing but a wildcard", NEITHER, "*", "example.com"),
    asked("nothing but a wildcard, for one label", NEITHER, "*", "localhost"),
    asked("two wildcards", NEITHER, "*.*.example.com", "a.b.example.com"),
    on_leaf("only the common name", NEITHER, without=[NAMES], kind="name-mismatch"),
    on_leaf("no alternative names, and none asked for", RFC5280, without=[NAMES], host=None),
    on_leaf(
        "critical alternative names beside a subject",
        RFC5280,
        alternative(dns(HOST), critical=True),
        subject="something-else",
        kind="malformed",
    ),
]

ROOT_AKI = {
    "without a key identifier": AKI(None, [directory("Root")], 1),
    "with an issuer besides": AKI(b"@", [directory("Root")], 1),
    "of another key": AKI(b"01234567890123456789", None, None),
}

BASELINE = [
    on_leaf("explicit curve in the leaf", NEITHER, private=key("explicit"), info=explicit_curve(key("explicit"))),
    on_root("explicit curve in the root", NEITHER, private=key("explicit"), info=explicit_curve(key("explicit"))),
    on_leaf("malformed issuer's address", RFC5280, Extension("1.3.6.1.5.5.7.1.1", b"malformed"), kind="malformed"),
    on_leaf("issuer's address, empty", RFC5280, Extension("1.3.6.1.5.5.7.1.1", b"\x30\x00"), kind="malformed"),
    on_leaf("P-192 in the leaf", RFC5280, info=P192, kind="weak-key"),
    on_root("P-192 in the root", RFC5280, private=ec.generate_private_key(ec.SECP192R1()), kind="weak-key"),
    on_leaf("DSA in the leaf", RFC5280, private=DSA_KEY, kind="weak-key"),
    on_root("DSA in the root", RFC5280, private=DSA_KEY, kind="weak-key"),
    on_leaf("RSA of 1024 bits in the leaf", RFC5280, info=modulus(1024), kind="weak-key"),
    on_root("RSA of 1024 bits in the root", RFC5280, private=rsa_key(1024), kind="weak-key"),
    on_leaf("RSA of 2052 bits in the leaf", RFC5280, info=modulus(2052), kind="weak-key"),
    on_root("RSA of 2052 bits in the root", RFC5280, private=rsa_key(2052), kind="weak-key"),
    on_leaf("RSA of 2048 bits in the leaf", BOTH, info=modulus(2048)),
    on_root("RSA of 2048 bits in the root", BOTH, private=rsa_key(2048)),
    on_leaf("version 1", NEITHER, version=1, bare=True),
    on_leaf("the leaf is an authority", RFC5280, basic(True)),
    on_leaf("RSA leaf that may do nothing", NEITHER, RSA_USAGE, info=modulus(2048), kind="key-usage"),
    *(
        on_root(f"root's authority key identifier {label}", RFC5280, extension(value), kind="malformed")
        for label, value in ROOT_AKI.items()
    ),
    on_root("root's authority key identifier is empty", RFC5280, extension(AKI(None, None, None)), kind="malformed"),
    on_root(
        "root's authority key identifier is its own",
        BOTH,
        authority_key_id=key_identifier(public_info(key("own"))),
        private=key("own"),
    ),
]

CASES: dict[str, list[Case]] = {
    "path length": PATH_LENGTH,
    "graphs": GRAPHS,
    "vulnerabilities": VULNERABILITIES,
    "general": GENERAL,
    "key identifiers": KEY_IDENTIFIERS,
    "serial numbers": SERIALS,
    "alternative names": ALTERNATIVE_NAMES,
    "purposes": PURPOSES,
    "policies": POLICIES,
    "validity": VALIDITY,
    "name constraints": NAME_CONSTRAINTS,
    "name constraints of an authority": planted(functools.partial(constrained, in_authority=True)),
    "revocation": REVOCATION,
    "ML-DSA": POST_QUANTUM,
    "baseline": BASELINE,
    "common names": COMMON_NAMES,
    "host names": HOST_NAMES,
}
