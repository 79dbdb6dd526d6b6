"""``verify_certificate`` as other programs call it: every form of input, every fault at once, no exception."""

from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from hypothesis import given
from hypothesis import strategies as st

import netdiag
from netdiag.model import Failure, Severity
from netdiag.pki.api import verify_certificate
from netdiag.pki.trust import TrustStore
from tests.certs import AT, CLIENT_AUTH, HOST, NOW, authority, key, make, rsa_key

ROOT = authority("Test Root CA", ends=3000)
SUB = authority("Test Issuing CA 1", ROOT)
LEAF = make(HOST, SUB, hosts=[HOST])


def check(leaf=LEAF.der, **changes):
    return verify_certificate(
        leaf, **{"untrusted": [SUB.der], "trust": [ROOT.der], "hostname": HOST, "at": AT, **changes}
    )


def test_it_is_public():
    assert netdiag.verify_certificate is verify_certificate
    assert check().trusted


@pytest.mark.parametrize("form", ["der", "pem", "text", "object"])
@pytest.mark.parametrize(
    "moment", [AT, NOW, NOW.replace(tzinfo=None), NOW.astimezone(datetime.timezone(datetime.timedelta(hours=9)))]
)
def test_every_form_of_certificate_and_time(form, moment):
    shape = {
        "der": lambda c: c.der,
        "pem": lambda c: c.pem,
        "text": lambda c: c.pem.decode(),
        "object": lambda c: c.cert,
    }[form]
    found = check(shape(LEAF), untrusted=[shape(SUB)], trust=[shape(ROOT)], at=moment)
    assert found.trusted
    assert [path.trusted for path in found.paths] == [True]
    assert found.paths[0].sources == ("given", "given", "store")


def test_a_bundle_is_a_leaf_with_its_intermediates():
    assert check(LEAF.pem + SUB.pem, untrusted=()).trusted
    assert check(untrusted=[b"noise\n" + SUB.pem + ROOT.pem]).trusted


def test_a_store_may_be_kept():
    store = TrustStore.of([ROOT.der])
    assert check(trust=store).trusted
    assert not check(trust=TrustStore.of([b"", SUB.der[:-1]])).trusted


def test_an_anchor_need_not_be_self_signed():
    found = check(trust=[SUB.der], untrusted=())
    assert found.trusted
    assert len(found.elements) == 2


def test_a_trusted_leaf_is_its_own_anchor():
    assert check(trust=[LEAF.der], untrusted=()).trusted


@pytest.mark.parametrize(
    "leaf", [b"", b"\x30\x00", b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----", b"<html>"]
)
def test_what_is_no_certificate_is_a_fault(leaf):
    found = check(leaf)
    assert not found.trusted
    assert [(fault.kind, fault.hresult) for fault in found.faults] == [("malformed", "0x800B0108")]
    assert found.paths == ()


def test_unreadable_helpers_are_passed_over():
    assert check(untrusted=[b"noise", SUB.der], trust=[b"", ROOT.der]).trusted


@given(st.binary(max_size=300), st.lists(st.binary(max_size=60), max_size=3))
def test_noise_never_raises(leaf, others):
    assert not verify_certificate(
        leaf, untrusted=others, trust=others, crls=others, ocsp_responses=others, at=AT
    ).trusted


@pytest.mark.parametrize(
    "wrong",
    [
        {"crls": [3]},
        {"at": float("inf")},
        {"profile": "strict"},
        {"purpose": "mail"},
        {"trust": [1.5]},
        {"untrusted": [7]},
        {"leaf": None},
    ],
)
def test_a_wrong_argument_is_the_callers_mistake(wrong):
    with pytest.raises((ValueError, TypeError)):
        check(**wrong)


def test_every_fault_is_told_with_its_certificate_its_flag_and_its_number():
    """Five planted: an expired leaf for another name and purpose, below a weak authority that may not sign."""
    old = authority("Test Weak CA", ROOT, private_key=rsa_key(1024), cert_sign=False)
    bad = make("other.test", old, hosts=["other.test"], ends=-1, purposes=(CLIENT_AUTH,))
    found = check(bad.der, untrusted=[old.der], profile="clients")
    told = {
        (f.finding, f.element, f.status_flag, f.status, f.hresult) for f in found.faults if f.severity is Severity.ERROR
    }
    assert told == {
        ("tls.name-mismatch", 0, "", 0, "0x800B010F"),
        ("chain.expired", 0, "NotTimeValid", 0x1, "0x800B0101"),
        ("chain.purpose-mismatch", 0, "NotValidForUsage", 0x10, "0x800B0110"),
        ("chain.weak-key", 1, "HasWeakSignature", 0x100000, "0x80096004"),
        ("chain.key-usage", 1, "NotValidForUsage", 0x10, "0x800B0110"),
    }
    by_element = {fault.element: (fault.subject, fault.certificate) for fault in found.faults}
    assert by_element == {
        index: (element.subject, element.sha256) for index, element in enumerate(found.elements) if index in by_element
    }


def test_a_broken_extension_hides_nothing_else():
    garbled = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.31"), b"\x30\x01")
    bad = make("other.test", SUB, hosts=["other.test"], ends=-1, extra=[(garbled, False)])
    found = check(bad.der)
    assert {fault.kind for fault in found.serious} == {"name-mismatch", "expired"}
    assert any("cRLDistributionPoints" in fault.detail for fault in found.notes)
    assert found.elements[0].names == ("other.test",)


def test_the_depth_counts_intermediates_that_are_not_self_issued():
    top = authority("Test Policy CA", ROOT)
    again = authority("Test Policy CA", top, private_key=key(-77))
    low = authority("Test Issuing CA 2", again)
    leaf = make(HOST, low, hosts=[HOST])
    many = {"untrusted": [low.der, again.der, top.der]}
    assert check(leaf.der, max_depth=2, **many).trusted
    found = check(leaf.der, max_depth=1, **many)
    assert [fault.kind for fault in found.serious] == ["path-length-exceeded"]


def test_retrieval_is_asked_for_everything_that_is_named():
    url = "http://ca.test/sub.crt"
    leaf = make(HOST, SUB, hosts=[HOST], aia=[url])
    asked = []

    def fetch(request):
        asked.append(request)
        return (
            pkcs7.serialize_certificates([SUB.cert], Encoding.DER)
            if request.url == url
            else Failure(kind="refused", step="connect")
        )

    found = check(leaf.der, untrusted=(), fetch=fetch)
    assert found.trusted
    assert found.paths[0].sources == ("given", url, "store")
    assert [(r.fetch.url, r.status, r.element) for r in found.retrievals] == [(url, "verified", 0)]
    assert [(state.state, state.element) for state in found.revocation] == [("no-service", 0), ("no-service", 1)]
    assert [request.url for request in asked] == [url]


def test_the_choice_is_explained():
    other = authority("Other Root", ends=3000)
    cross = authority("Test Issuing CA 1", other, ends=-1)
    found = check(untrusted=[cross.der, SUB.der], trust=[ROOT.der, other.der])
    assert found.trusted
    assert found.chosen == "of 2 paths the only one without an error"
    assert [path.trusted for path in found.paths] == [True, False]
