"""Each way to break a chain gives exactly its faults; cryptography's own verifier agrees on yes and no."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from hypothesis import given
from hypothesis import strategies as st

from netdiag.model import Failure
from netdiag.pki.judging import Question
from netdiag.pki.path import drive
from netdiag.pki.trust import TrustStore
from netdiag.pki.verify import Verification, verify_chain, verifying
from tests.certs import AT, CLIENT_AUTH, HOST, NOW, SERVER_AUTH, Issued, authority, key, make, rsa_key, store

ROOT = authority("Test Root CA", ends=3000)
SUB = authority("Test Issuing CA 1", ROOT)
LEAF = make(HOST, SUB, hosts=[HOST, "*.servicebus.windows.net"], addresses=["10.1.2.3", "2001:db8::1"])
PRIVATE = authority("Contoso Corporate Root", ends=3000)
PRIVATE_SUB = authority("Contoso Issuing CA", PRIVATE)


@dataclass(frozen=True)
class Case:
    """A presented chain, and the (kind, element) pairs expected of it. The store and the public list hold ROOT."""

    name: str
    chain: tuple[Issued, ...]
    expected: tuple[tuple[str, int], ...] = ()
    roots: tuple[Issued, ...] = (ROOT,)
    public: tuple[Issued, ...] = (ROOT,)
    publicly_trusted: bool = True
    host: str = HOST
    at: float = AT
    #: None where cryptography is stricter or laxer by its own policy, and not comparable.
    oracle: bool | None = True


def leaf(issuer: Issued = SUB, **options: Any) -> Issued:
    return make(HOST, issuer, **{"hosts": [HOST], **options})


def permitted(*bases: str) -> x509.NameConstraints:
    return x509.NameConstraints([x509.DNSName(base) for base in bases], None)


def excluded(*bases: str) -> x509.NameConstraints:
    return x509.NameConstraints(None, [x509.DNSName(base) for base in bases])


def networks(base: str) -> x509.NameConstraints:
    return x509.NameConstraints([x509.IPAddress(ipaddress.ip_network(base))], None)


CROSS_OLD_ROOT = authority("Old Root", starts=-900, ends=-1)
CROSS_EXPIRED = authority("Test Issuing CA 1", CROSS_OLD_ROOT, starts=-900, ends=-1)
RENEWED_ROOT = authority("Test Root CA", ends=4000)  # the same name and key, another certificate
SHORT = authority("Test CA without room", ROOT, path_length=0)
BELOW_SHORT = authority("Test CA below", SHORT)
NOT_CA = make("Test Server posing", SUB)
CLIENT_CA = authority("Test Client CA", ROOT, purposes=(CLIENT_AUTH,))
NO_SIGN_CA = authority("Test CA without keyCertSign", ROOT, cert_sign=False)
PERMIT_CA = authority("Test CA permitted", ROOT, constraints=permitted("clouddatahub.net"))
PERMIT_OTHER_CA = authority("Test CA other", ROOT, constraints=permitted("contoso.com"))
EXCLUDE_CA = authority("Test CA excluded", ROOT, constraints=excluded("frontend.clouddatahub.net"))
NETWORK_CA = authority("Test CA network", ROOT, constraints=networks("10.0.0.0/8"))
DIRECTORY_CA = authority(
    "Test CA directory",
    ROOT,
    constraints=x509.NameConstraints(
        [x509.DirectoryName(x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Fabrikam")]))], None
    ),
)
WEAK_ROOT = authority("Test Weak Root", private_key=rsa_key(1024), ends=3000)
SELF = make("appliance.local", hosts=[HOST])
RSA_ROOT = authority("Test RSA Root", private_key=rsa_key(2048), ends=3000)
SHA1_ROOT = authority("Test SHA-1 Root", private_key=rsa_key(2048), ends=3000, hash_algorithm=hashes.SHA1())
AMBIGUOUS = authority("Test Issuing CA 1", ROOT, private_key=key(-5))  # the name of SUB, another key

CASES = (
    Case("good", (LEAF, SUB)),
    Case("good, root sent too", (LEAF, SUB, ROOT)),
    Case("wrong order", (LEAF, ROOT, SUB)),
    Case("superfluous", (LEAF, PRIVATE_SUB, SUB, PRIVATE)),
    Case("repeated", (LEAF, LEAF, SUB, SUB)),
    Case("same name, other key beside it", (LEAF, AMBIGUOUS, SUB)),
    Case("renewed root of the same key sent", (LEAF, SUB, RENEWED_ROOT), oracle=True),
    Case("wildcard", (LEAF, SUB), host="a.servicebus.windows.net"),
    Case("address", (LEAF, SUB), host="10.1.2.3"),
    Case("IPv6 address written long", (LEAF, SUB), host="2001:DB8:0::1"),
    Case("wrong name", (LEAF, SUB), (("name-mismatch", 0),), host="example.com", oracle=False),
    Case(
        "wildcard of two labels", (LEAF, SUB), (("name-mismatch", 0),), host="a.b.servicebus.windows.net", oracle=False
    ),
    Case("wrong address", (LEAF, SUB), (("name-mismatch", 0),), host="10.1.2.4", oracle=False),
    Case("common name only", (make(HOST, SUB), SUB), (("name-mismatch", 0),), oracle=False),
    Case("expired leaf", (leaf(ends=-1), SUB), (("expired", 0),), oracle=False),
    Case("future leaf", (leaf(starts=1), SUB), (("not-yet-valid", 0),), oracle=False),
    Case(
        "expired intermediate",
        (make(HOST, authority("Test CA past", ROOT, ends=-2), hosts=[HOST]), authority("Test CA past", ROOT, ends=-2)),
        (("expired", 1),),
        oracle=False,
    ),
    Case("everything expired", (LEAF, SUB), (("expired", 0), ("expired", 1)), at=AT + 100 * 86400, oracle=False),
    Case("expired cross-sign beside a good one", (LEAF, CROSS_EXPIRED, SUB), roots=(ROOT, CROSS_OLD_ROOT)),
    Case("expired cross-sign first", (LEAF, CROSS_EXPIRED, CROSS_OLD_ROOT, SUB)),
    Case("leaf only", (LEAF,), (("incomplete", 0),), publicly_trusted=False, oracle=False),
    Case("wrong intermediate", (LEAF, PRIVATE_SUB), (("incomplete", 0),), publicly_trusted=False, oracle=False),
    Case(
        "leaf only, issuer says that it is a root",
        (leaf(PRIVATE),),
        (("untrusted-root", 0),),
        publicly_trusted=False,
        oracle=False,
    ),
    Case(
        "private authority without its root",
        (leaf(PRIVATE_SUB), PRIVATE_SUB),
        (("untrusted-root", 1),),
        publicly_trusted=False,
        oracle=False,
    ),
    Case(
        "private authority with its root",
        (leaf(PRIVATE_SUB), PRIVATE_SUB, PRIVATE),
        (("untrusted-root", 2),),
        publicly_trusted=False,
        oracle=False,
    ),
    Case(
        "private authority that is trusted", (leaf(PRIVATE_SUB), PRIVATE_SUB), roots=(PRIVATE,), publicly_trusted=False
    ),
    Case("self-signed", (SELF,), (("untrusted-root", 0),), publicly_trusted=False, oracle=False),
    Case("self-signed and trusted", (SELF,), roots=(SELF,), publicly_trusted=False, oracle=None),
    Case("root missing here", (LEAF, SUB), (("root-missing-locally", 2),), roots=(PRIVATE,), oracle=False),
    Case("root missing here, sent", (LEAF, SUB, ROOT), (("root-missing-locally", 2),), roots=(PRIVATE,), oracle=False),
    Case(
        "root missing here, renewed one sent",
        (LEAF, SUB, RENEWED_ROOT),
        (("root-missing-locally", 2),),
        roots=(PRIVATE,),
        oracle=False,
    ),
    Case("empty store", (LEAF, SUB), (("root-missing-locally", 2),), roots=(), oracle=False),
    Case("altered leaf", (leaf(signer=key(-1)), SUB), (("bad-signature", 0),), publicly_trusted=False, oracle=False),
    Case(
        "intermediate with a borrowed name",
        (leaf(SUB), authority("Test Issuing CA 1", ROOT, signer=key(-2))),
        (("bad-signature", 1),),
        publicly_trusted=False,
        oracle=False,
    ),
    Case(
        "root with a borrowed name",
        (leaf(SUB), SUB, authority("Test Root CA", private_key=key(-3))),
        publicly_trusted=True,
    ),
    Case(
        "leaf as an authority",
        (leaf(NOT_CA), NOT_CA, SUB),
        (("not-a-ca", 1), ("key-usage", 1)),
        publicly_trusted=False,
        oracle=False,
    ),
    Case(
        "authority without basic constraints",
        (leaf(nb := authority("Test CA bare", ROOT, ca=None, cert_sign=True)), nb),
        (("not-a-ca", 1),),
        publicly_trusted=False,
        oracle=False,
    ),
    Case(
        "path length",
        (leaf(BELOW_SHORT), BELOW_SHORT, SHORT),
        (("path-length-exceeded", 2),),
        publicly_trusted=False,
        oracle=False,
    ),
    Case("path length respected", (leaf(SHORT), SHORT)),
    Case(
        "authority that may not sign",
        (leaf(NO_SIGN_CA), NO_SIGN_CA),
        (("key-usage", 1),),
        publicly_trusted=False,
        oracle=False,
    ),
    Case("leaf that may do nothing", (leaf(server_usage=False), SUB), (("key-usage", 0),), oracle=None),
    Case("leaf for clients", (leaf(purposes=(CLIENT_AUTH,)), SUB), (("purpose-mismatch", 0),), oracle=False),
    Case("leaf for both", (leaf(purposes=(CLIENT_AUTH, SERVER_AUTH)), SUB)),
    Case("authority for clients", (leaf(CLIENT_CA), CLIENT_CA), (("purpose-mismatch", 1),), oracle=False),
    Case("constraint respected", (leaf(PERMIT_CA), PERMIT_CA)),
    Case(
        "constraint on another domain",
        (leaf(PERMIT_OTHER_CA), PERMIT_OTHER_CA),
        (("name-constraint", 0),),
        publicly_trusted=False,
        oracle=False,
    ),
    Case(
        "excluded domain",
        (leaf(EXCLUDE_CA), EXCLUDE_CA),
        (("name-constraint", 0),),
        publicly_trusted=False,
        oracle=False,
    ),
    Case("network respected", (leaf(NETWORK_CA, addresses=["10.9.9.9"]), NETWORK_CA)),
    Case(
        "outside the network",
        (leaf(NETWORK_CA, addresses=["192.0.2.1"]), NETWORK_CA),
        (("name-constraint", 0),),
        publicly_trusted=False,
        oracle=False,
    ),
    Case(
        "directory name outside",
        (leaf(DIRECTORY_CA), DIRECTORY_CA),
        (("name-constraint", 0),),
        publicly_trusted=False,
        oracle=None,
    ),
    Case("weak leaf", (leaf(private_key=rsa_key(1024)), SUB), (("weak-key", 0),), oracle=None),
    Case("strong RSA leaf", (leaf(private_key=rsa_key(2048)), SUB)),
    Case(
        "weak root",
        (leaf(WEAK_ROOT),),
        (("weak-key", 1),),
        roots=(WEAK_ROOT,),
        public=(WEAK_ROOT,),
        oracle=None,
    ),
    Case(
        "SHA-1 leaf",
        (leaf(RSA_ROOT, hash_algorithm=hashes.SHA1()),),
        (("weak-signature", 0),),
        roots=(RSA_ROOT,),
        public=(RSA_ROOT,),
        oracle=False,
    ),
    Case(
        "MD5 leaf",
        (leaf(RSA_ROOT, hash_algorithm=hashes.MD5()),),
        (("weak-signature", 0),),
        roots=(RSA_ROOT,),
        public=(RSA_ROOT,),
        oracle=False,
    ),
    Case(
        "SHA-1 leaf, altered",
        (leaf(RSA_ROOT, signer=rsa_key(2050), hash_algorithm=hashes.SHA1()),),
        (("bad-signature", 0), ("weak-signature", 0)),
        roots=(RSA_ROOT,),
        public=(RSA_ROOT,),
        publicly_trusted=False,
        oracle=False,
    ),
    Case("SHA-1 root", (leaf(SHA1_ROOT),), roots=(SHA1_ROOT,), public=(SHA1_ROOT,), oracle=None),
    Case(
        "unknown critical extension",
        (leaf(extra=[(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)]), SUB),
        (("malformed", 0),),
        oracle=False,
    ),
    Case(
        "everything at once",
        (leaf(ends=-1, purposes=(CLIENT_AUTH,), private_key=rsa_key(1024)), SUB),
        (("name-mismatch", 0), ("expired", 0), ("weak-key", 0), ("purpose-mismatch", 0)),
        host="example.com",
        oracle=False,
    ),
)


def run(case: Case, fetch: Callable[[str], bytes | Failure] | None = None) -> Verification:
    chain = [issued.der for issued in case.chain]
    return verify_chain(chain, case.host, store(*case.roots), public=store(*case.public), at=case.at, fetch=fetch)


def kinds(found: Verification) -> list[tuple[str, int]]:
    return [(fault.kind, fault.element) for fault in found.serious]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_faults_are_exactly_those_expected(case: Case) -> None:
    found = run(case)
    assert kinds(found) == list(case.expected)
    assert found.publicly_trusted is case.publicly_trusted


@pytest.mark.parametrize("case", [c for c in CASES if c.oracle is not None and c.roots], ids=lambda case: case.name)
def test_cryptography_agrees(case: Case) -> None:
    try:
        subject: x509.IPAddress | x509.DNSName = x509.IPAddress(ipaddress.ip_address(case.host))
    except ValueError:
        subject = x509.DNSName(case.host)
    moment = NOW.fromtimestamp(case.at, NOW.tzinfo)
    builder = PolicyBuilder().store(Store([root.cert for root in case.roots])).time(moment)
    verifier = builder.build_server_verifier(subject)
    try:
        verifier.verify(case.chain[0].cert, [issued.cert for issued in case.chain[1:]])
        accepted = True
    except VerificationError:
        accepted = False
    assert accepted is case.oracle
    assert accepted is not bool(case.expected)


def test_elements_are_the_chosen_path_with_its_anchor() -> None:
    found = run(Case("", (LEAF, ROOT, PRIVATE, SUB)))
    assert [element.subject for element in found.elements] == [
        entry.cert.subject.rfc4514_string() for entry in (LEAF, SUB, ROOT)
    ]
    assert found.anchor == "store"


def test_missing_public_root_completes_the_elements() -> None:
    found = run(Case("", (LEAF, SUB), roots=()))
    assert found.elements[-1].subject == "CN=Test Root CA,O=Contoso"
    assert found.anchor == "public"
    assert found.faults[0].status_flag == "PartialChain"


def test_summary_tells_what_a_reader_needs() -> None:
    summary = run(Case("", (LEAF, SUB))).elements[0]
    assert summary.names == (HOST, "*.servicebus.windows.net", "10.1.2.3", "2001:db8::1")
    assert (summary.key, summary.signature_algorithm) == ("EC 256", "ecdsa-with-SHA256")
    assert summary.not_before == AT - 30 * 86400
    assert not summary.is_ca
    assert not summary.self_signed


CA_URL, SUB_URL = "http://ca.test/root.crt", "http://ca.test/sub.crt"


@pytest.mark.parametrize(
    ("case", "answers", "fetched"),
    [
        (Case("good", (leaf(aia=[SUB_URL]), SUB)), {}, 0),
        (Case("found", (leaf(aia=[SUB_URL]),), (("incomplete", 0),)), {SUB_URL: SUB.der}, 1),
        (Case("found as PEM", (leaf(aia=[SUB_URL]),), (("incomplete", 0),)), {SUB_URL: SUB.pem}, 1),
        (
            Case(
                "found, root missing",
                (leaf(aia=[SUB_URL]),),
                (("incomplete", 0), ("root-missing-locally", 2)),
                roots=(),
            ),
            {SUB_URL: SUB.der},
            1,
        ),
        (
            Case("not found", (leaf(aia=[SUB_URL]),), (("incomplete", 0),), publicly_trusted=False),
            {},
            0,
        ),
        (
            Case("something else there", (leaf(aia=[SUB_URL]),), (("incomplete", 0),), publicly_trusted=False),
            {SUB_URL: PRIVATE_SUB.der},
            0,
        ),
        (
            Case("no certificate there", (leaf(aia=[SUB_URL]),), (("incomplete", 0),), publicly_trusted=False),
            {SUB_URL: b"<html>"},
            0,
        ),
        (
            Case(
                "self-signed issuer", (leaf(PRIVATE, aia=[CA_URL]),), (("untrusted-root", 1),), publicly_trusted=False
            ),
            {CA_URL: PRIVATE.der},
            1,
        ),
        (
            Case(
                "no HTTPS, which would need another chain",
                (leaf(aia=["file:///x", "https://ca.test"]),),
                (("incomplete", 0),),
                publicly_trusted=False,
            ),
            {"https://ca.test": SUB.der, "file:///x": SUB.der},
            0,
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Case) else "",
)
def test_missing_issuers_are_fetched(case: Case, answers: dict[str, bytes], fetched: int) -> None:
    found = run(case, lambda url: answers.get(url) or Failure(kind="timeout", step="fetch"))
    assert kinds(found) == list(case.expected)
    assert found.publicly_trusted is case.publicly_trusted
    sources = found.paths[0].sources
    assert sum(source in answers for source in sources) == fetched


def test_incomplete_names_the_url() -> None:
    found = run(Case("", (leaf(aia=[SUB_URL]),)), lambda _: SUB.der)
    assert found.faults[0].detail.endswith(f"which is available at {SUB_URL}")
    failed = run(Case("", (leaf(aia=[SUB_URL]),)), lambda _: Failure(kind="timeout", step="fetch", detail="too slow"))
    assert failed.faults[0].detail.endswith(f"{SUB_URL} did not give it (too slow)")


def test_unreadable_certificates_are_faults() -> None:
    good = store(ROOT)
    for chain, element in (([b"\x30\x03\x02\x01"], 0), ([b""], 0), ([LEAF.der, SUB.der, b"noise"], 2), ([], 0)):
        found = verify_chain(chain, HOST, good, public=good, at=AT)
        assert kinds(found) == [("malformed", element)]


def test_leaf_is_the_first_certificate_even_when_another_would_do() -> None:
    assert kinds(run(Case("", (SUB, LEAF)))) == [("name-mismatch", 0), ("key-usage", 0)]


@given(st.integers(0, len(LEAF.der) - 1), st.integers(1, 255))
def test_one_altered_byte_is_never_accepted(position: int, change: int) -> None:
    altered = bytearray(LEAF.der)
    altered[position] ^= change
    good = store(ROOT)
    found = verify_chain([bytes(altered), SUB.der], HOST, good, public=good, at=AT)
    assert found.faults


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_noise_never_raises(chain: list[bytes]) -> None:
    empty = TrustStore(names=(), roots=())
    assert verify_chain(chain, HOST, empty, public=empty, at=AT).faults


def test_hostile_names_are_bounded() -> None:
    many = make(HOST, SUB, hosts=[f"h{i}.test" for i in range(2000)])
    found = run(Case("", (many, SUB)))
    assert kinds(found) == [("name-mismatch", 0)]
    assert len(found.elements[0].names) < 300
    assert len(found.faults[0].detail) < 500


def test_revocation_is_not_checked_where_the_run_ended_before():
    points = x509.DistributionPoint([x509.UniformResourceIdentifier("http://a.test/a.crl")], None, None, None)
    root = authority("Root")
    leaf = make("leaf.example", root, extra=[(x509.CRLDistributionPoints([points]), False)])
    found = drive(verifying(leaf.der, [], store(root), Question(hostname=None, at=AT), public=store(), every_url=True))
    assert [state.state for state in found.revocation] == ["not-checked"]
    assert found.trusted
