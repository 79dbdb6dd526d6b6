"""Challenges and the answers to them, against the vectors of the RFCs."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netdiag.probes import proxy_auth
from netdiag.probes.net import Deadline
from netdiag.probes.proxy_auth import (
    BasicLogin,
    Challenge,
    DigestLogin,
    SecurityLogin,
    UnusableError,
    digest_response,
    login,
    parse_challenges,
)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], []),
        (["Negotiate", "NTLM"], [("Negotiate", "", {}), ("NTLM", "", {})]),
        (["negotiate, ntlm"], [("Negotiate", "", {}), ("NTLM", "", {})]),
        (['Basic realm="a, b"'], [("Basic", "", {"realm": "a, b"})]),
        (['BASIC REALM="a \\"b\\""'], [("Basic", "", {"realm": 'a "b"'})]),
        (["NTLM TlRMTVNTUAAC=="], [("NTLM", "TlRMTVNTUAAC==", {})]),
        (
            ['Digest realm="r", nonce=abc, qop="auth,auth-int", Basic realm=x, Negotiate'],
            [
                ("Digest", "", {"realm": "r", "nonce": "abc", "qop": "auth,auth-int"}),
                ("Basic", "", {"realm": "x"}),
                ("Negotiate", "", {}),
            ],
        ),
        (['Digest realm = "r" ,nonce= "n"'], [("Digest", "", {"realm": "r", "nonce": "n"})]),
        (['Unknown x="1"'], [("Unknown", "", {"x": "1"})]),
        (['Basic realm="open'], [("Basic", 'realm="open', {})]),
        (['realm="x"', ",,"], []),
    ],
)
def test_challenges(values: list[str], expected: list[tuple[str, str, dict[str, str]]]) -> None:
    assert list(parse_challenges(values)) == [Challenge(*parts) for parts in expected]


@given(st.lists(st.text(max_size=100), max_size=5))
def test_no_text_breaks_the_parser(values: list[str]) -> None:
    assert len(parse_challenges(values)) <= 20


RFC7616 = {
    "user": "Mufasa",
    "password": "Circle of Life",
    "realm": "http-auth@example.org",
    "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
    "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    "method": "GET",
    "uri": "/dir/index.html",
    "qop": "auth",
}
RFC2617 = {
    "user": "Mufasa",
    "password": "Circle Of Life",
    "realm": "testrealm@host.com",
    "nonce": "dcd98b7102dd2f0e8b11d0f600bfb0c093",
    "cnonce": "0a4f113b",
    "method": "GET",
    "uri": "/dir/index.html",
}


@pytest.mark.parametrize(
    ("values", "algorithm", "response"),
    [
        (RFC7616, "MD5", "8ca523f5e9506fed4657c9700eebdbec"),  # RFC 7616 §3.9.1
        (RFC7616, "SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        (RFC2617 | {"qop": "auth"}, "MD5", "6629fae49393a05397450978507c4ef1"),  # RFC 2617 §3.5
        (
            RFC2617 | {"qop": "", "password": "CircleOfLife"},
            "MD5",
            "1949323746fe6a43ef61f9606e7febea",
        ),  # RFC 2069, errata
    ],
)
def test_digest_vectors(values: dict[str, str], algorithm: str, response: str) -> None:
    assert digest_response(algorithm=algorithm, **values) == response


def digest(**parameters: str) -> Challenge:
    return Challenge("Digest", "", {"realm": "r", "nonce": "n", **parameters})


def test_digest_answers_the_first_challenge_that_it_can() -> None:
    session = DigestLogin(("u", "p"), "h:443")
    value = session.answer([digest(algorithm="SHA-512-256", qop="auth"), digest(algorithm="SHA-256", qop="auth")])
    assert value is not None
    assert "algorithm=SHA-256" in value
    assert 'uri="h:443"' in value
    assert session.spent
    assert session.answer([digest(qop="auth")]) is None


def test_digest_answers_a_stale_nonce_once_more() -> None:
    session = DigestLogin(("u", "p"), "h:443")
    assert session.answer([digest(qop="auth")])
    renewed = session.answer([digest(nonce="m", qop="auth", stale="TRUE")])
    assert renewed is not None
    assert 'nonce="m"' in renewed
    assert session.answer([digest(nonce="o", qop="auth", stale="true")]) is None


def test_digest_quotes_and_hashes_names() -> None:
    value = DigestLogin(('do"m\\u', "p"), "h:443").answer([digest(opaque="o")])
    assert value is not None
    assert 'username="do\\"m\\\\u"' in value
    assert 'opaque="o"' in value
    assert "qop" not in value
    hashed = DigestLogin(("u", "p"), "h:443").answer([digest(userhash="true", algorithm="SHA-256")])
    assert hashed is not None
    assert "userhash=true" in hashed
    assert 'username="u"' not in hashed


@pytest.mark.parametrize("parameters", [{"algorithm": "SHA-1"}, {"qop": "auth-int"}, {"nonce": ""}])
def test_digest_that_cannot_be_done(parameters: dict[str, str]) -> None:
    with pytest.raises(UnusableError):
        DigestLogin(("u", "p"), "h:443").answer([digest(**parameters)])


def test_basic_is_sent_once() -> None:
    session = BasicLogin(("Aladdin", "open sesame"))
    challenge = [Challenge("Basic", "", {"realm": "r"})]
    assert session.answer(challenge) == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="  # RFC 7617 §2
    assert session.answer(challenge) is None
    assert BasicLogin(("u", "p")).answer([digest()]) is None
    with pytest.raises(UnusableError, match="colon"):
        BasicLogin(("a:b", "p"))


@pytest.mark.parametrize("scheme", ["Digest", "Basic"])
def test_a_password_is_needed(scheme: str) -> None:
    with pytest.raises(UnusableError, match="no user name"):
        login(scheme, None, uri="h:443", proxy_host="p", deadline=Deadline(5))


def test_ntlm_begins_and_survives_a_foreign_token() -> None:
    session = SecurityLogin("NTLM", ("DOM\\u", "p"), "proxy.example", Deadline(5))
    first = session.answer([Challenge("NTLM", "", {})])
    assert first is not None
    assert base64.b64decode(first.removeprefix("NTLM ")).startswith(b"NTLMSSP\x00\x01")
    assert not session.spent
    with pytest.raises(UnusableError):
        session.answer([Challenge("NTLM", base64.b64encode(b"NTLMSSP\x00\x02\x00\x00\x00x").decode(), {})])
    with pytest.raises(UnusableError, match="base64"):
        session.answer([Challenge("NTLM", "*", {})])
    assert session.answer([Challenge("NTLM", "", {})]) is None


def test_ntlm_without_any_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spnego.client", lambda *_, **__: (_ for _ in ()).throw(ImportError("no gssapi")))
    with pytest.raises(UnusableError, match="not installed"):
        login("Negotiate", None, uri="h:443", proxy_host="p", deadline=Deadline(5))


def test_a_library_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    release = threading.Event()
    monkeypatch.setattr("spnego.client", lambda *_, **__: release.wait(10))
    with pytest.raises(UnusableError, match="in time"):
        login("Negotiate", None, uri="h:443", proxy_host="p", deadline=Deadline(0.05))
    release.set()


@pytest.mark.parametrize(
    ("value", "schemes"),
    [
        ('Basic realm="x, Digest nonce=n', ["Basic"]),  # the open quote takes the rest
        ('Basic realm="x\\', ["Basic"]),
        ('"' + '\\"' * 30_000, []),  # quadratic work would take a minute here
        ('Basic realm="a, \\"b", NTLM', ["Basic", "NTLM"]),
    ],
    ids=["open quote", "open escape", "many escaped quotes", "closed quote"],
)
def test_quotes_in_a_challenge(value: str, schemes: list[str]) -> None:
    assert [challenge.scheme for challenge in parse_challenges([value])] == schemes


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            (
                "SpnegoError (1): SpnegoError (7): Major (458752): No credentials were supplied, or the "
                "credentials were unavailable or inaccessible, Minor (2529639053): No Kerberos credentials available"
            ),
            "neither a password nor a Kerberos ticket is at hand",
        ),
        ("SpnegoError (1): the server's token is\n damaged", "the server's token is damaged"),
        ("", "ValueError"),
    ],
)
def test_the_librarys_paragraphs_become_a_reason(text: str, reason: str) -> None:
    assert proxy_auth._reason(ValueError(text)) == reason
