"""Certificates in every wrapping, with noise."""

import time

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7
from hypothesis import given
from hypothesis import strategies as st

from netdiag.pki.load import load
from tests.certs import authority

ONE, TWO = authority("One"), authority("Two")
BAD_PEM = b"-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n"
NO_BASE64 = b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n"
KEY = ONE.key_pem


def bundle(encoding):
    return pkcs7.serialize_certificates([ONE.cert, TWO.cert], encoding)


@pytest.mark.parametrize(
    ("data", "subjects", "skipped"),
    [
        (ONE.pem, ["One"], 0),
        (ONE.pem + TWO.pem, ["One", "Two"], 0),
        (ONE.pem.replace(b"\n", b"\r\n"), ["One"], 0),
        (b"# a comment\nBag attributes\n" + ONE.pem + b"noise\xff\n" + TWO.pem, ["One", "Two"], 0),
        (KEY + ONE.pem, ["One"], 0),
        (ONE.pem.replace(b" CERT", b" X509 CERT"), ["One"], 0),
        (ONE.pem + BAD_PEM + TWO.pem, ["One", "Two"], 1),
        (ONE.pem + NO_BASE64 + TWO.pem, ["One", "Two"], 1),
        (ONE.der, ["One"], 0),
        (ONE.der + TWO.der, ["One", "Two"], 0),
        (ONE.der + b"\n", ["One"], 0),
        (ONE.der + b"rest", ["One"], 1),
        (ONE.der[:-1], [], 1),
        (bundle(serialization.Encoding.DER), ["One", "Two"], 0),
        (bundle(serialization.Encoding.PEM), ["One", "Two"], 0),
        (KEY, [], 0),
        (b"", [], 0),
        (b"<html>", [], 1),
        (b"0\x84\xff\xff\xff\xff", [], 1),
    ],
)
def test_every_wrapping(data, subjects, skipped):
    loaded = load(data)
    assert sorted(c.subject.rfc4514_string() for c in loaded.certificates) == [f"CN={s},O=Contoso" for s in subjects]
    assert loaded.skipped == skipped


@given(st.binary(max_size=400), st.sampled_from([b"", b"-----BEGIN CERTIFICATE-----", ONE.pem, ONE.der[:40]]))
def test_noise_never_raises(noise, start):
    assert len(load(start + noise).certificates) <= 1


def test_time_grows_with_the_data():
    """What an authority's server answers may be any bytes; a search for each END from each BEGIN would take hours."""
    before = time.monotonic()
    assert load(b"-----BEGIN CERTIFICATE-----\n" * 200_000).certificates == ()
    assert time.monotonic() - before < 5
