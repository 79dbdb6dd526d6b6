"""One fault in each list; what ``judge_crl`` makes of it (RFC 5280 §6.3.3)."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from netdiag.pki.answers import ALL_REASONS, Answer
from netdiag.pki.crl import MAX_SIGNERS, judge_crl, read_crl
from netdiag.pki.crl_facts import MAX_CRL_BYTES, MAX_LISTED_ENTRIES, Crl
from netdiag.pki.facts import Unreadable
from tests.certs import AT, DAY, NOW, authority, key, make, name, rsa_key
from tests.revocations import (
    Known,
    crl,
    crl_der,
    crl_of,
    crl_without,
    entry,
    facts,
    issuing_point,
    point,
    points,
    reasons,
    uri,
)

ROOT = authority("Root")
TWIN = authority("Root", private_key=key(1))
OTHER = authority("Other CA", ROOT)
MIDDLE = authority("Middle", ROOT)
LEAF = make("leaf", ROOT)
URL, OTHER_URL = "http://crl.test/a.crl", "http://crl.test/b.crl"
WITH_POINT = make("leaf", ROOT, extra=points(point(full_name=[uri(URL)])))
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")


def judged(listed: Crl, subject=LEAF, issuer=ROOT, known=(), vouched=True, at=AT, **options) -> Answer:
    return judge_crl(listed, facts(subject), facts(issuer), Known(known, vouched), at, **options)


def test_good() -> None:
    found = judged(crl(ROOT, [12345]))
    assert (found.status, found.state, found.source, found.detail) == ("verified", "good", "CRL a", "")
    assert (found.this_update, found.next_update) == ((NOW - DAY).timestamp(), (NOW + 7 * DAY).timestamp())
    assert found.covers == ALL_REASONS


@pytest.mark.parametrize("reason", ["keyCompromise", "certificateHold", "cessationOfOperation", "aACompromise"])
def test_revoked(reason: str) -> None:
    found = judged(crl(ROOT, [1, entry(LEAF, reason), 2]))
    assert (found.status, found.state, found.reason) == ("revoked", "revoked", reason)
    assert found.revoked_at == (NOW - 2 * DAY).timestamp()
    assert "2026-05-30 12:00 UTC" in found.detail
    assert found.covers == frozenset()


def test_no_reason_is_unspecified() -> None:
    assert judged(crl(ROOT, [entry(LEAF, None)])).reason == "unspecified"


REFUSED = {
    "another issuer": ("wrong-issuer", lambda: crl(OTHER, [LEAF])),
    "another key": ("bad-signature", lambda: crl(ROOT, [LEAF], signer=key(7))),
    "future": ("not-yet-valid", lambda: crl(ROOT, [LEAF], starts=0.01)),
    "past": ("expired", lambda: crl(ROOT, [LEAF], ends=-0.01)),
    "unknown critical": ("unusable", lambda: crl(ROOT, [LEAF], extra=[(UNKNOWN, True)])),
    "unknown critical in an entry": ("unusable", lambda: crl(ROOT, [LEAF, entry(5, extra=[(UNKNOWN, True)])])),
    "authorities only": ("wrong-scope", lambda: crl(ROOT, [LEAF], scope={"only_contains_ca_certs": True})),
    "attribute certificates": ("wrong-scope", lambda: crl(ROOT, scope={"only_contains_attribute_certs": True})),
    "another point": ("wrong-scope", lambda: crl(ROOT, [LEAF], scope={"full_name": [uri(URL)]})),
    "version 1 with extensions": ("unusable", lambda: crl_of(crl_without(crl_der(ROOT), ROOT.key, tags=[0x02]))),
    "delta alone": ("verified", lambda: crl(ROOT, base=9)),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_refused(fault: str) -> None:
    status, made = REFUSED[fault]
    found = judged(made())
    assert (found.status, found.state) == (status, None)
    assert found.detail
    assert not found.covers


@pytest.mark.parametrize("at", [(NOW - DAY).timestamp(), (NOW + 7 * DAY).timestamp()])
def test_its_times_are_included(at: float) -> None:
    assert judged(crl(ROOT), at=at).state == "good"


def test_unknown_extensions_that_are_not_critical_are_ignored() -> None:
    listed = crl(ROOT, [entry(5, extra=[(UNKNOWN, False)])], extra=[(UNKNOWN, False)])
    assert judged(listed).state == "good"


IRREGULAR = {
    "no number": lambda: crl_der(ROOT, number=None),
    "critical number": lambda: crl_der(ROOT, number=None, extra=[(x509.CRLNumber(1), True)]),
    "version 1": lambda: crl_without(crl_der(ROOT, [1]), ROOT.key, tags=[0x02, 0xA0]),
    "no nextUpdate": lambda: crl_without(crl_der(ROOT), ROOT.key, last=0x17),
    "a serial number twice": lambda: crl_der(ROOT, [1, 2, 1]),
}


@pytest.mark.parametrize("fault", IRREGULAR)
def test_irregular_lists_prove_nothing_good_when_strict(fault: str) -> None:
    listed = crl_of(IRREGULAR[fault]())
    strict, lenient = judged(listed), judged(listed, strict=False)
    assert (strict.status, strict.state) == ("unusable", None)
    assert (lenient.status, lenient.state, lenient.detail) == ("verified", "good", strict.detail)


def test_irregular_lists_prove_revocations() -> None:
    assert judged(crl(ROOT, [LEAF], number=None)).state == "revoked"


def test_signer_without_crl_sign() -> None:
    plain = authority("Plain", cert_sign=False)  # its key usage has contentCommitment only
    found = judged(crl(plain), make("leaf", plain), plain)
    assert (found.status, found.detail) == (
        "wrong-issuer",
        "the key usage of its signer lacks cRLSign (RFC 5280 §6.3.3 (f))",
    )


def test_another_key_of_the_issuer() -> None:
    listed = crl(TWIN, [LEAF])
    assert judged(listed).status == "bad-signature"
    assert judged(listed, known=[TWIN]).state == "revoked"
    assert judged(listed, known=[TWIN], vouched=False).status == "wrong-issuer"


def test_the_key_identifier_says_whom_to_try_first() -> None:
    twins = [authority("Root", private_key=key(100 + number)) for number in range(MAX_SIGNERS)]
    assert judged(crl(TWIN), known=[*twins, TWIN]).state == "good"
    assert judged(crl(TWIN, key_id=False), known=[*twins, TWIN]).status == "bad-signature"


def test_the_scope_of_ends_and_authorities() -> None:
    users, authorities = ({"only_contains_user_certs": True}, {"only_contains_ca_certs": True})
    assert judged(crl(ROOT, scope=users)).state == "good"
    assert judged(crl(ROOT, scope=users), MIDDLE).status == "wrong-scope"
    assert judged(crl(ROOT, scope=authorities), MIDDLE).state == "good"


def test_distribution_points() -> None:
    assert judged(crl(ROOT, scope={"full_name": [uri(URL)]}), WITH_POINT).state == "good"
    assert judged(crl(ROOT, scope={"full_name": [uri(OTHER_URL), uri(URL)]}), WITH_POINT).state == "good"
    assert judged(crl(ROOT, scope={"full_name": [uri(OTHER_URL)]}), WITH_POINT).status == "wrong-scope"
    assert judged(crl(ROOT), WITH_POINT).state == "good"
    own = {"full_name": [x509.DirectoryName(ROOT.cert.subject)]}
    assert judged(crl(ROOT, scope=own)).state == "good"  # the point that every certificate has


def test_names_below_the_issuer() -> None:
    unit = x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "CRL1")
    relative = x509.RelativeDistinguishedName([unit])
    full = x509.DirectoryName(x509.Name([*ROOT.cert.subject.rdns, relative]))
    below = [{"relative_name": relative}, {"full_name": [full]}]
    for named in below:
        subject = make("leaf", ROOT, extra=points(point(**named)))
        for scope in below:
            assert judged(crl(ROOT, scope=scope), subject).state == "good"
        another = x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "CRL2")])
        assert judged(crl(ROOT, scope={"relative_name": another}), subject).status == "wrong-scope"


def test_some_reasons() -> None:
    few = reasons("keyCompromise", "cACompromise")
    found = judged(crl(ROOT, scope={"only_some_reasons": few}))
    assert (found.status, found.state, found.covers) == ("verified", None, few)
    assert "keyCompromise, cACompromise" in found.detail
    subject = make("leaf", ROOT, extra=points(point(full_name=[uri(URL)], reasons=reasons("keyCompromise"))))
    scoped = judged(crl(ROOT, scope={"full_name": [uri(URL)], "only_some_reasons": few}), subject)
    assert scoped.covers == reasons("keyCompromise")
    assert judged(crl(ROOT, [LEAF], scope={"only_some_reasons": few})).state == "revoked"
    rest = {"full_name": [uri(URL)], "only_some_reasons": reasons("superseded")}
    assert judged(crl(ROOT, scope=rest), subject).status == "wrong-scope"


class TestIndirect:
    """Lists of an authority that did not issue the certificate."""

    SUBJECT = make("leaf", ROOT, extra=points(point(crl_issuer=[x509.DirectoryName(OTHER.cert.subject)])))
    SCOPE = MappingProxyType({"indirect_crl": True})

    def of(self, issuer: x509.Name, serial: int, reason: str = "keyCompromise"):
        return entry(serial, reason, [(x509.CertificateIssuer([x509.DirectoryName(issuer)]), True)])

    def test_good(self) -> None:
        listed = crl(OTHER, [self.SUBJECT], scope=self.SCOPE)  # the same serial number of its own
        assert judged(listed, self.SUBJECT, known=[OTHER]).state == "good"

    def test_revoked(self) -> None:
        serial = self.SUBJECT.cert.serial_number
        listed = crl(OTHER, [3, self.of(ROOT.cert.subject, serial, "superseded")], scope=self.SCOPE)
        assert judged(listed, self.SUBJECT, known=[OTHER]).reason == "superseded"

    def test_the_issuer_of_an_entry_stays(self) -> None:
        entries = [3, self.of(ROOT.cert.subject, 4), self.SUBJECT, self.of(MIDDLE.cert.subject, 5), 6]
        listed = crl(OTHER, entries, scope=self.SCOPE)
        assert judged(listed, self.SUBJECT, known=[OTHER]).state == "revoked"
        entries = [self.of(ROOT.cert.subject, 4), self.of(MIDDLE.cert.subject, 5), self.SUBJECT]
        assert judged(crl(OTHER, entries, scope=self.SCOPE), self.SUBJECT, known=[OTHER]).state == "good"

    def test_not_marked(self) -> None:
        assert judged(crl(OTHER), self.SUBJECT, known=[OTHER]).status == "wrong-scope"

    def test_the_certificate_names_nobody(self) -> None:
        assert judged(crl(OTHER, [LEAF], scope=self.SCOPE), known=[OTHER]).status == "wrong-issuer"

    def test_signer(self) -> None:
        listed = crl(OTHER, scope=self.SCOPE)
        assert judged(listed, self.SUBJECT).status == "wrong-issuer"
        assert judged(listed, self.SUBJECT, known=[OTHER], vouched=False).status == "wrong-issuer"

    def test_an_indirect_list_of_the_issuer(self) -> None:
        listed = crl(ROOT, [self.of(OTHER.cert.subject, LEAF.cert.serial_number)], scope=self.SCOPE)
        assert judged(listed).state == "good"

    def test_too_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("netdiag.pki.crl_facts.MAX_LISTED_ENTRIES", 2)
        listed = crl(OTHER, [1, 2, self.of(ROOT.cert.subject, 4)], number=77, scope=self.SCOPE)
        assert judged(listed, self.SUBJECT, known=[OTHER]).status == "unusable"


class TestDelta:
    """A base of number 10, and a newer list of what changed."""

    HELD = crl(ROOT, [entry(LEAF, "certificateHold")])

    def test_revoked(self) -> None:
        found = judged(crl(ROOT), deltas=[crl(ROOT, [LEAF], number=12, base=10, ends=2)])
        assert (found.state, found.source) == ("revoked", "CRL a and delta CRL c")
        assert found.next_update == (NOW + 2 * DAY).timestamp()

    def test_removed(self) -> None:
        removed = [entry(LEAF, "removeFromCRL")]
        assert judged(self.HELD).state == "revoked"
        assert judged(self.HELD, deltas=[crl(ROOT, removed, number=12, base=10)]).state == "good"

    def test_the_newest(self) -> None:
        deltas = [crl(ROOT, [LEAF], number=12, base=9), crl(ROOT, [entry(LEAF, "removeFromCRL")], number=13, base=9)]
        assert judged(self.HELD, deltas=deltas).source == "CRL a and delta CRL d"
        assert judged(self.HELD, deltas=deltas[::-1]).source == "CRL a and delta CRL d"

    def test_issued_together_with_its_base(self) -> None:
        """They share a number then (RFC 5280 §5.2.3)."""
        assert judged(crl(ROOT), deltas=[crl(ROOT, number=10, base=9)]).source == "CRL a and delta CRL a"

    @pytest.mark.parametrize(
        "options",
        [
            {"base": 11},
            {"number": 9, "base": 8},
            {"ends": -0.5},
            {"starts": 0.5},
            {"signer": key(7)},
            {"key_id": False},
            {"scope": {"only_contains_user_certs": True}},
            {"extra": [(UNKNOWN, True)]},
            {"number": None},
        ],
        ids=" ".join,
    )
    def test_one_that_does_not_fit(self, options) -> None:
        delta = crl(ROOT, [LEAF], **{"number": 12, "base": 10, **options})
        found = judged(crl(ROOT), deltas=[delta])
        assert (found.state, found.source) == ("good", "CRL a")
        assert "does not count" in found.detail

    def test_another_authoritys_is_not_worth_a_word(self) -> None:
        found = judged(crl(ROOT), deltas=[crl(ROOT, [LEAF], number=12, base=10, issuer_name=name("Elsewhere"))])
        assert (found.state, found.source, found.detail) == ("good", "CRL a", "")


def test_serial_numbers() -> None:
    """Long, and with an upper octet that looks like a sign: they compare as integers."""
    for serial in (0x80, 0xFF, 2**158 - 1, 0x7F):
        subject = _with_serial(serial)
        assert judged(crl(ROOT, [serial]), subject).state == "revoked"
        assert judged(crl(ROOT, [serial + 1, serial + 256]), subject).state == "good"


def test_negative_serial_numbers() -> None:
    """-1 is FF in DER, and 255 is 00 FF."""
    der = crl_der(ROOT, [0x56, 0x55]).replace(b"\x02\x01\x55", b"\x02\x01\xff")
    listed = crl_of(crl_without(der, ROOT.key))
    assert listed.entry(listed.issuer, -1) is not None
    assert listed.entry(listed.issuer, 255) is None
    assert listed.entry(listed.issuer, -2) is None


def _with_serial(serial: int):
    builder = x509.CertificateBuilder(
        ROOT.cert.subject, name("serial"), LEAF.key.public_key(), serial, NOW - DAY, NOW + DAY
    )
    return type(LEAF)(builder.sign(ROOT.key, hashes.SHA256()), LEAF.key)


@pytest.mark.parametrize("padded", [None, padding.PSS(padding.MGF1(hashes.SHA256()), 32)], ids=["PKCS1", "PSS"])
def test_rsa(padded: padding.PSS | None) -> None:
    root = authority("RSA root", private_key=rsa_key(2048))
    builder = x509.CertificateRevocationListBuilder(root.cert.subject, NOW - DAY, NOW + DAY)
    listed = builder.add_extension(x509.CRLNumber(1), False).sign(root.key, hashes.SHA256(), rsa_padding=padded)
    assert judged(crl_of(listed), make("leaf", root), root).state == "good"


def test_facts() -> None:
    urls = x509.FreshestCRL([point(full_name=[uri(URL)])])
    listed = crl(ROOT, number=0x1A2C, base=0x1A2B, extra=[(urls, False)], scope={"only_contains_user_certs": True})
    assert (listed.label, listed.number, listed.base_number) == ("delta CRL 1a2c", 0x1A2C, 0x1A2B)
    assert listed.freshest_urls == (URL,)
    assert listed.scope == issuing_point(only_contains_user_certs=True)
    assert listed.authority_key_id == facts(ROOT).subject_key_id
    assert listed.issuer == facts(ROOT).subject


def test_pem_and_objects_are_the_same_list() -> None:
    der = crl_der(ROOT)
    parsed = x509.load_der_x509_crl(der)
    text = b"noise\n" + parsed.public_bytes(Encoding.PEM) + b"noise"
    assert read_crl(der) == read_crl(parsed) == read_crl(text)
    assert read_crl(der) is read_crl(bytes(der))


def test_a_broken_extension_hides_only_itself() -> None:
    broken = x509.UnrecognizedExtension(x509.AuthorityKeyIdentifier.oid, b"\x30\x05")
    listed = crl(ROOT, [LEAF], key_id=False, extra=[(broken, False)])
    assert listed.authority_key_id is None
    assert judged(listed).state == "revoked"
    broken = x509.UnrecognizedExtension(x509.IssuingDistributionPoint.oid, b"\x30\x05")
    assert judged(crl(ROOT, [LEAF], extra=[(broken, False)])).status == "unusable"


@pytest.mark.parametrize(
    "data", [b"", b"0", b"<html>", b"\x30\x80", b"-----BEGIN X509 CRL-----\n!\n-----END X509 CRL-----"]
)
def test_unreadable(data: bytes) -> None:
    assert isinstance(read_crl(data), Unreadable)


def test_two_algorithms() -> None:
    """The signed identifier says ecdsa-with-SHA384, the other one with SHA-256, which it is."""
    sha256, sha384 = bytes.fromhex("2a8648ce3d040302"), bytes.fromhex("2a8648ce3d040303")
    found = read_crl(crl_without(crl_der(ROOT).replace(sha256, sha384, 1), ROOT.key))
    assert isinstance(found, Unreadable)
    assert "signature algorithms" in found.reason


def test_too_large() -> None:
    found = read_crl(bytes(MAX_CRL_BYTES + 1))
    assert isinstance(found, Unreadable)
    assert "64 MiB" in found.reason


SAMPLE = crl_der(ROOT, [LEAF, TestIndirect().of(ROOT.cert.subject, 4)], base=2, scope={"full_name": [uri(URL)]})


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damage_raises_nothing(data: st.DataObject) -> None:
    damaged = bytearray(SAMPLE)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del damaged[data.draw(st.integers(0, len(damaged))) :]
    found = read_crl(bytes(damaged))
    if isinstance(found, Crl):
        answer = judged(found, strict=False, deltas=[found])
        assert answer.state is None or bytes(damaged) == SAMPLE


def test_long_lists_are_not_listed() -> None:
    """A certificate that is not listed is found to be none without going through the entries."""

    class Long:
        issuer = ROOT.cert.subject

        def __len__(self) -> int:
            return MAX_LISTED_ENTRIES + 1

    assert judged(replace(crl(ROOT, [1, 2, 3]), crl=Long())).state == "good"
