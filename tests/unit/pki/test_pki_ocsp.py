"""One fault in each response; what ``judge_response`` makes of it (RFC 6960 §3.2)."""

from __future__ import annotations

import base64
import urllib.parse

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from netdiag.pki import structure
from netdiag.pki.answers import ALL_REASONS, Answer
from netdiag.pki.facts import Unreadable
from netdiag.pki.ocsp import OcspResponse, get_url, judge_response, ocsp_request, read_response
from netdiag.pki.ocsp_facts import MAX_RESPONSE_BYTES, MAX_SINGLES
from tests.certs import AT, DAY, NOW, SERVER_AUTH, authority, key, make
from tests.revocations import (
    BY_KEY,
    DER,
    GOOD,
    REVOKED,
    UNKNOWN,
    Known,
    facts,
    responder,
    response,
    response_der,
    response_of,
    together,
    with_single_extension,
)

ROOT = authority("Root")
OTHER = authority("Other CA")
LEAF = make("leaf", ROOT)
ANOTHER = make("another", ROOT)
RESPONDER = responder(ROOT)
NOTHING = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
ARCHIVE = structure.Extension(
    oid=x509.ObjectIdentifier("1.3.6.1.5.5.7.48.1.6"), critical=False, value=b"\x18\x0f20200101000000Z"
)
STRANGE = structure.Extension(oid=x509.ObjectIdentifier("1.2.3.4"), critical=True, value=b"\x05\x00")


def judged(found: OcspResponse, subject=LEAF, issuer=ROOT, known=(), at=AT, nonce=None) -> Answer:
    return judge_response(found, facts(subject), facts(issuer), Known(known), at, nonce=nonce)


@pytest.mark.parametrize("digest", [hashes.SHA1(), hashes.SHA256(), hashes.SHA384()], ids=lambda digest: digest.name)
@pytest.mark.parametrize("encoding", [BY_KEY, ocsp.OCSPResponderEncoding.NAME], ids=["by key", "by name"])
@pytest.mark.parametrize("signer", [None, RESPONDER], ids=["issuer", "delegate"])
def test_good(digest, encoding, signer) -> None:
    found = judged(response(LEAF, ROOT, digest=digest, encoding=encoding, signer=signer))
    assert (found.status, found.state, found.source, found.detail) == ("verified", "good", "OCSP", "")
    assert (found.this_update, found.next_update) == ((NOW - DAY).timestamp(), (NOW + 7 * DAY).timestamp())
    assert found.covers == ALL_REASONS


def test_revoked() -> None:
    found = judged(response(LEAF, ROOT, REVOKED, reason="superseded"))
    assert (found.status, found.state, found.reason) == ("revoked", "revoked", "superseded")
    assert found.revoked_at == (NOW - 2 * DAY).timestamp()
    assert judged(response(LEAF, ROOT, REVOKED, reason=None)).reason == "unspecified"


def test_unknown() -> None:
    found = judged(response(LEAF, ROOT, UNKNOWN))
    assert (found.status, found.state) == ("unknown", None)


REFUSED = {
    "another certificate": ("wrong-scope", lambda: response(ANOTHER, ROOT)),
    "another issuer": ("wrong-issuer", lambda: response(LEAF, OTHER, signer=ROOT)),
    "another key": ("bad-signature", lambda: response(LEAF, ROOT, key=key(7))),
    "another name": ("wrong-issuer", lambda: response(LEAF, ROOT, named=OTHER)),
    "another key identifier": ("wrong-issuer", lambda: response(LEAF, ROOT, named=OTHER, encoding=BY_KEY)),
    "future": ("not-yet-valid", lambda: response(LEAF, ROOT, starts=0.01)),
    "past": ("expired", lambda: response(LEAF, ROOT, ends=-0.01)),
    "old, and for ever": ("expired", lambda: response(LEAF, ROOT, starts=-1.1, ends=None)),
    "unknown critical": ("unusable", lambda: response(LEAF, ROOT, extra=[(NOTHING, True)])),
    "unknown critical in a single": (
        "unusable",
        lambda: response_of(with_single_extension(response_der(LEAF, ROOT), STRANGE, ROOT.key)),
    ),
    "delegate not included": ("wrong-issuer", lambda: response(LEAF, ROOT, signer=RESPONDER, certificates=())),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_refused(fault: str) -> None:
    status, made = REFUSED[fault]
    found = judged(made())
    assert (found.status, found.state) == (status, None)
    assert found.detail
    assert not found.covers


DELEGATES = {
    "another issuer's": (responder(OTHER), "was not issued by that issuer"),
    "the name, and another key": (responder(ROOT, signer=key(7)), "was not issued by that issuer"),
    "no purpose": (responder(ROOT, purposes=[SERVER_AUTH]), "OCSPSigning"),
    "any purpose": (responder(ROOT, purposes=[ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), "OCSPSigning"),
    "not for signing": (responder(ROOT, cert_sign=True, server_usage=False), "digitalSignature"),
    "expired": (responder(ROOT, ends=-1), "valid from"),
    "not yet valid": (responder(ROOT, starts=1), "valid from"),
    "unknown critical": (responder(ROOT, extra=[(NOTHING, True)]), "1.2.3.4"),
}


@pytest.mark.parametrize("fault", DELEGATES)
def test_delegates_that_may_not_sign(fault: str) -> None:
    signer, words = DELEGATES[fault]
    found = judged(response(LEAF, ROOT, REVOKED, signer=signer))
    assert (found.status, found.state) == ("wrong-issuer", None)
    assert words in found.detail


def test_the_validity_of_a_delegate_is_included() -> None:
    for times in ({"starts": 0}, {"ends": 0}):
        assert judged(response(LEAF, ROOT, signer=responder(ROOT, **times))).state == "good"


def test_a_delegate_below_an_intermediate_is_not_direct() -> None:
    middle = authority("Middle", ROOT)
    signer = responder(middle)
    assert judged(response(LEAF, ROOT, signer=signer, certificates=[signer, middle])).status == "wrong-issuer"


def test_a_delegate_that_is_known_need_not_be_included() -> None:
    found = response(LEAF, ROOT, signer=RESPONDER, certificates=())
    assert judged(found, known=[RESPONDER]).state == "good"


def test_without_nocheck_the_delegate_may_be_revoked() -> None:
    found = judged(response(LEAF, ROOT, signer=responder(ROOT, nocheck=False)))
    assert found.state == "good"
    assert "id-pkix-ocsp-nocheck" in found.detail


def test_nonce() -> None:
    assert judged(response(LEAF, ROOT, nonce=b"mine"), nonce=b"mine").detail == ""
    other = judged(response(LEAF, ROOT, nonce=b"other"), nonce=b"mine")
    assert (other.status, other.state) == ("unusable", None)
    none = judged(response(LEAF, ROOT), nonce=b"mine")
    assert none.state == "good"
    assert "no nonce" in none.detail
    assert judged(response(LEAF, ROOT, nonce=b"other")).state == "good"


def test_times_at_the_edge() -> None:
    assert judged(response(LEAF, ROOT, ends=0)).state == "good"
    assert judged(response(LEAF, ROOT, starts=250 / 86400)).state == "good"  # a clock that is a little ahead
    assert judged(response(LEAF, ROOT, starts=-0.9, ends=None)).state == "good"


def test_archive_cutoff() -> None:
    found = judged(response_of(with_single_extension(response_der(LEAF, ROOT), ARCHIVE, ROOT.key)))
    assert found.state == "good"
    assert "2020-01-01" in found.detail


def test_an_unknown_extension_that_is_not_critical_is_ignored() -> None:
    plain = structure.Extension(oid=STRANGE.oid, critical=False, value=STRANGE.value)
    assert judged(response_of(with_single_extension(response_der(LEAF, ROOT), plain, ROOT.key))).state == "good"
    assert judged(response(LEAF, ROOT, extra=[(NOTHING, False)])).state == "good"


def test_several_certificates() -> None:
    both = [response_der(ANOTHER, ROOT, REVOKED), response_der(LEAF, ROOT)]
    found = response_of(together(*both, key=ROOT.key))
    assert len(found.singles) == 2
    assert judged(found).state == "good"
    assert judged(found, ANOTHER).state == "revoked"


def test_several_answers_to_one_certificate() -> None:
    stale, fresh = response_der(LEAF, ROOT, REVOKED, ends=-0.5), response_der(LEAF, ROOT)
    assert judged(response_of(together(stale, fresh, key=ROOT.key))).state == "good"
    old, new = response_der(LEAF, ROOT, UNKNOWN, starts=-2), response_der(LEAF, ROOT, starts=-0.5)
    assert judged(response_of(together(old, new, key=ROOT.key))).state == "good"
    revoked, good = response_der(LEAF, ROOT, REVOKED, starts=-3), response_der(LEAF, ROOT)
    assert judged(response_of(together(good, revoked, key=ROOT.key))).state == "revoked"


@pytest.mark.parametrize("status", [s for s in ocsp.OCSPResponseStatus if s.name != "SUCCESSFUL"])
def test_errors(status: ocsp.OCSPResponseStatus) -> None:
    found = judged(response_of(ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(DER)))
    assert (found.status, found.state) == ("refused", None)
    assert found.detail.lower().endswith(status.name.lower().replace("_", ""))


def test_many_singles_are_bounded() -> None:
    found = response_of(together(*[response_der(ANOTHER, ROOT)] * (MAX_SINGLES + 5), key=ROOT.key))
    assert len(found.singles) == MAX_SINGLES


def test_request() -> None:
    parsed = ocsp.load_der_ocsp_request(ocsp_request(facts(LEAF), facts(ROOT), b"n" * 32))
    expected = ocsp.OCSPRequestBuilder().add_certificate(LEAF.cert, ROOT.cert, hashes.SHA1()).build()
    assert (parsed.serial_number, parsed.hash_algorithm.name) == (LEAF.cert.serial_number, "sha1")
    assert (parsed.issuer_name_hash, parsed.issuer_key_hash) == (expected.issuer_name_hash, expected.issuer_key_hash)
    assert parsed.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == b"n" * 32
    assert ocsp_request(facts(LEAF), facts(ROOT)) == expected.public_bytes(DER)


def test_get() -> None:
    request = ocsp_request(facts(LEAF), facts(ROOT))
    for url in ("http://ocsp.test", "http://ocsp.test/"):
        whole = get_url(url, request)
        assert whole
        assert whole.startswith("http://ocsp.test/M")
        assert base64.b64decode(urllib.parse.unquote(whole.removeprefix("http://ocsp.test/"))) == request
    room = "http://ocsp.test/" + "a" * (255 - len(get_url("http://ocsp.test/", request) or "") - 1)
    assert len(get_url(room, request) or "") == 255
    assert get_url(room + "a", request) is None
    assert get_url("http://ocsp.test/?who", request) is None
    assert get_url("ldap://ocsp.test/", request) is None


@pytest.mark.parametrize(
    "data", [b"", b"<html>", b"\x30\x03\x0a\x01\x00", b"\x30\x03\x0a\x01\x09", bytes(MAX_RESPONSE_BYTES + 1)]
)
def test_unreadable(data: bytes) -> None:
    assert isinstance(read_response(data), Unreadable)


SAMPLE = response_der(LEAF, ROOT, GOOD, signer=RESPONDER, nonce=b"n" * 8)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damage_raises_nothing(data: st.DataObject) -> None:
    damaged = bytearray(SAMPLE)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        del damaged[data.draw(st.integers(0, len(damaged))) :]
    found = read_response(bytes(damaged))
    if isinstance(found, OcspResponse):
        judged(found, nonce=b"n" * 8)
