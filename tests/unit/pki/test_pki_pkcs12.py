"""PKCS#12: what is in the bags and beside them, in every encryption that is in use, and hostile files."""

from __future__ import annotations

import contextlib
import time

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from netdiag.model import UsageError
from netdiag.pki import facts, pbe, rc2
from netdiag.pki.pkcs12 import MAX_BAGS, read
from netdiag.pki.private import held_key, provider_kind, public_half_of
from tests.certs import authority, make, rsa_key
from tests.pfx import (
    CSP,
    EXCHANGE,
    KSP,
    SIGNATURE,
    bag,
    cert_bag,
    integer,
    key_bag,
    notes,
    oid,
    old_windows_pfx,
    pfx,
    pkcs8,
    seq,
    tlv,
)

ROOT = authority("Root")
LEAF = make("node1.example", ROOT, private_key=rsa_key(2048), hosts=["node1.example"])
PBES = list(pkcs12.PBES)


def never():
    raise AssertionError("asked for a password")


def encrypted(password, algorithm=None, rounds=1000, mac=None, issued=LEAF, cas=(ROOT,)):
    if password is None:
        method = NoEncryption()
    else:
        builder = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(rounds)
        builder = builder.key_cert_algorithm(algorithm or pkcs12.PBES.PBESv2SHA256AndAES256CBC)
        method = builder.hmac_hash(mac or hashes.SHA256()).build(password.encode())
    return pkcs12.serialize_key_and_certificates(b"node", issued.key, issued.cert, [ca.cert for ca in cas], method)


@pytest.mark.parametrize(
    "mac", [hashes.SHA1(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()], ids=lambda h: h.name
)
@pytest.mark.parametrize("algorithm", PBES, ids=lambda algorithm: algorithm.name)
@pytest.mark.parametrize("password", ["secret", "pässwört €"])
def test_what_cryptography_writes(password, algorithm, mac):
    found = read(encrypted(password, algorithm, mac=mac), "a.pfx", lambda: password)
    assert found.certificates == [LEAF.der, ROOT.der]
    assert [(key.key, key.friendly_name) for key in found.keys] == [("RSA 2048", "node")]
    assert found.keys[0].public_key == public_half_of(facts.read(LEAF.der))
    assert found.problems == []


def test_without_encryption_nobody_is_asked():
    assert read(encrypted(None), "a.pfx", never).certificates == [LEAF.der, ROOT.der]


@pytest.mark.parametrize(
    ("provider", "kind"),
    [
        (CSP, "csp"),
        (KSP, "ksp"),
        ("Microsoft Base Cryptographic Provider v1.0", "csp"),
        ("Microsoft Enhanced Cryptographic Provider v1.0", "csp"),
        ("Microsoft Strong Cryptographic Provider", "csp"),
        ("Microsoft RSA SChannel Cryptographic Provider", "csp"),
        ("Microsoft Enhanced RSA and AES Cryptographic Provider (Prototype)", "csp"),
        ("Microsoft Base Smart Card Crypto Provider", "csp"),
        ("Microsoft Smart Card Key Storage Provider", "ksp"),
        ("Microsoft Platform Crypto Provider", "ksp"),
        ("Microsoft Passport Key Storage Provider", "ksp"),
        ("Luna Cryptographic Services for Microsoft Windows", "csp"),
        ("nCipher Security World Key Storage Provider", "ksp"),
        ("eToken KSP", "ksp"),
        ("Some thing", ""),
        ("", ""),
    ],
)
def test_kinds_of_providers(provider, kind):
    assert provider_kind(provider) == kind
    key = read(pfx(cert_bag(LEAF), key_bag(LEAF.key, notes(provider=provider))), "a.pfx", never).keys[0]
    assert (key.provider, key.provider_kind) == (provider, kind)


@pytest.mark.parametrize("build", [pfx, old_windows_pfx], ids=["DER", "BER"])
@pytest.mark.parametrize(
    ("bits", "spec"), [("", ""), (EXCHANGE, "exchange"), (SIGNATURE, "signature"), ("030205a0", "exchange")]
)
def test_attributes(build, bits, spec):
    beside = notes("tp-4711", b"\1\0\0\0", CSP, machine=True)
    data = build(key_bag(LEAF.key, beside, bits), cert_bag(LEAF, notes("Node 1", b"\1\0\0\0")), cert_bag(ROOT))
    found = read(data, "a.pfx", never)
    assert found.certificates == [LEAF.der, ROOT.der]
    (key,) = found.keys
    assert (key.provider, key.provider_kind, key.machine_keyset) == (CSP, "csp", True)
    assert (key.key_spec, key.local_key_id) == (spec, b"\1\0\0\0")
    assert key.friendly_name == "Node 1"  # the certificate's, which people see; the key's is its container


def test_the_name_of_a_key_alone_stays():
    assert read(pfx(key_bag(LEAF.key, notes("tp-4711"))), "a.pfx", never).keys[0].friendly_name == "tp-4711"


def test_other_bags():
    crl = seq(seq(), seq(), tlv(3, b"\0"))
    crl_bag = bag(4, seq(oid("1.2.840.113549.1.9.23.1"), tlv(0xA0, tlv(4, crl))))
    secret = bag(5, seq(oid("1.2.3.4"), tlv(0xA0, tlv(4, b"x"))))
    sdsi = bag(3, seq(oid("1.2.840.113549.1.9.22.2"), tlv(0xA0, tlv(4, b"x"))))
    nested = bag(6, seq(cert_bag(LEAF)))
    found = read(pfx(crl_bag, secret, sdsi, nested, cert_bag(b"\x30\x00")), "a.pfx", never)
    assert found.crls == [crl]
    assert found.certificates == [LEAF.der, b"\x30\x00"]  # to judge it is not this module's business
    assert found.problems == ["a secret was skipped", "a bag of the kind 1.2.840.113549.1.12.10.1.3 was skipped"]


def test_a_key_of_an_unknown_kind_is_there_all_the_same():
    private = dsa.generate_private_key(1024)
    found = read(pfx(cert_bag(LEAF), key_bag(private, notes(provider=KSP))), "a.pfx", never)  # type: ignore[arg-type]
    assert [(key.key, key.public_key, key.provider_kind) for key in found.keys] == [("", b"", "ksp")]
    assert found.problems == ["the private key is of a kind that netdiag does not know"]


def test_other_keys():
    private = ed25519.Ed25519PrivateKey.generate()
    der = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    assert held_key(der).key == "Ed25519"
    assert held_key(pkcs8(make("ec").key)).key == "EC 256"
    assert held_key(b"\x30\x00").key == ""
    assert "PRIVATE" not in repr(held_key(der))
    assert der.hex()[-20:] not in repr(held_key(der))


WRONG = "a.pfx: the password is wrong"
DAMAGED = "a.pfx: this PKCS#12 file is damaged: copy it or export it again"
NEEDED = "a.pfx: protected by a password: give it with --password-file FILE or --password"


@pytest.mark.parametrize(
    ("data", "password", "line"),
    [
        (encrypted("secret"), None, NEEDED),
        (encrypted("secret"), "", WRONG),
        (encrypted("secret"), "Secret", WRONG),
        (encrypted("secret", PBES[0]), "geheim", WRONG),
        (seq(integer(3), seq(oid("1.2.840.113549.1.7.1"))), None, DAMAGED),
        (pfx()[:-1], None, DAMAGED),
    ],
)
def test_refusals(data, password, line):
    with pytest.raises(UsageError) as caught:
        read(data, "a.pfx", lambda: password)
    assert str(caught.value) == line


def mac_data(rounds):
    digest = seq(seq(oid("1.3.14.3.2.26")), tlv(4, bytes(20)))
    return seq(digest, tlv(4, b"saltsalt"), integer(rounds))


def shrouded(algorithm):
    return bag(2, seq(algorithm, tlv(4, bytes(32))))


def pbes2(rounds, kdf="1.2.840.113549.1.5.12", cipher="2.16.840.1.101.3.4.1.42"):
    derivation = seq(oid(kdf), seq(tlv(4, b"saltsalt"), integer(rounds), integer(32), seq(oid("1.2.840.113549.2.9"))))
    return seq(oid("1.2.840.113549.1.5.13"), seq(derivation, seq(oid(cipher), tlv(4, bytes(16)))))


def pbes1(rounds, number=3):
    return seq(oid(f"1.2.840.113549.1.12.1.{number}"), seq(tlv(4, b"saltsalt"), integer(rounds)))


@pytest.mark.parametrize(
    "data",
    [
        pfx(cert_bag(LEAF), mac=mac_data(2**31 - 1)),
        pfx(cert_bag(LEAF), mac=mac_data(10**40)),
        pfx(cert_bag(LEAF), shrouded(pbes2(2**31 - 1))),
        pfx(cert_bag(LEAF), shrouded(pbes1(2**31 - 1))),
    ],
)
def test_too_many_rounds(data):
    before = time.monotonic()
    with pytest.raises(UsageError, match="rounds of key derivation, more than netdiag does for one file"):
        read(data, "a.pfx", lambda: "x")
    assert time.monotonic() - before < 5


@pytest.mark.parametrize("data", [pfx(mac=mac_data(0)), pfx(mac=mac_data(-5)), pfx(*[cert_bag(b"")] * (MAX_BAGS + 1))])
def test_nonsense(data):
    with pytest.raises(UsageError, match=r"^a\.pfx: "):
        read(data, "a.pfx", lambda: None)


def test_bags_in_bags_end():
    inner = cert_bag(LEAF)
    for _ in range(10):
        inner = bag(6, seq(inner))
    with pytest.raises(UsageError):
        read(pfx(inner), "a.pfx", lambda: None)


@pytest.mark.parametrize("algorithm", [pbes2(1, cipher="1.2.3.4"), pbes2(1, kdf="1.3.6.1.4.1.11591.4.11"), pbes1(1, 1)])
def test_an_unknown_encryption_of_the_key_leaves_the_certificates(algorithm):
    found = read(pfx(cert_bag(LEAF), shrouded(algorithm)), "a.pfx", never)
    assert found.certificates == [LEAF.der]
    assert [key.key for key in found.keys] == [""]
    assert "encrypted in a way that netdiag does not know" in found.problems[0]


def test_an_unknown_encryption_of_the_certificates():
    content = seq(oid("1.2.840.113549.1.7.1"), pbes1(1, 1), tlv(0x80, bytes(16)))
    encrypted_data = seq(oid("1.2.840.113549.1.7.6"), tlv(0xA0, seq(integer(0), content)))
    data = seq(integer(3), seq(oid("1.2.840.113549.1.7.1"), tlv(0xA0, tlv(4, seq(encrypted_data)))))
    with pytest.raises(UsageError, match=r"does not know \(1\.2\.840\.113549\.1\.12\.1\.1\): export it again"):
        read(data, "a.pfx", never)


def test_rc2():
    """RFC 2268 §5, the example with a key of eight octets and 64 effective bits."""
    key, clear, sealed = (bytes.fromhex(t) for t in ("ffffffffffffffff", "ffffffffffffffff", "278b27e42e2f0d49"))
    assert rc2.decrypt_cbc(key, bytes(8), sealed) == clear
    for wrong in ((b"", bytes(8), bytes(8)), (key, b"", bytes(8)), (key, bytes(8), bytes(7))):
        with pytest.raises(ValueError, match="RC2"):
            rc2.decrypt_cbc(*wrong)


def test_key_derivation():
    """The example for "smeg" that implementations have passed around since PKCS#12 v1.0."""
    secret = "smeg".encode("utf-16-be") + b"\0\0"
    key = pbe.derive("sha1", 1, secret, bytes.fromhex("0a58cf64530d823f"), 1, 24, pbe.Rounds())
    assert key.hex() == "8aaae6297b6cb04642ab5b077851284eb7128f1a2a7fbca3"
    iv = pbe.derive("sha1", 2, secret, bytes.fromhex("0a58cf64530d823f"), 1, 8, pbe.Rounds())
    assert iv.hex() == "79993dfe048d3b76"


ENCRYPTED = [encrypted("x", algorithm, rounds=2) for algorithm in PBES]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(ENCRYPTED), st.data())
def test_hostile_files(data, draw):
    """Only a refusal or contents come back, and no more rounds are spent than there are."""
    at = draw.draw(st.integers(0, len(data) - 1))
    hostile = data[:at] + draw.draw(st.binary(min_size=1, max_size=6)) + data[at + draw.draw(st.integers(0, 6)) :]
    rounds = pbe.Rounds(20_000)
    with contextlib.suppress(UsageError):
        assert len(read(hostile, "a.pfx", lambda: "x", rounds).keys) <= 1
    assert rounds.left >= 0


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 400))
def test_hostile_bags(noise, at):
    """What an attacker puts inside, who knows the password as well."""
    inside = bytearray(seq(key_bag(LEAF.key, notes("n", b"1", CSP, True), EXCHANGE), cert_bag(ROOT)))
    inside[at : at + len(noise)] = noise
    with contextlib.suppress(UsageError):
        read(pfx(bytes(inside)), "a.pfx", lambda: "x")


def test_rc2_is_paid_for():
    """It is slow here, so that a large file in RC2 must end early."""
    content = seq(oid("1.2.840.113549.1.7.1"), pbes1(1, 6), tlv(0x80, bytes(6_000_000)))
    encrypted_data = seq(oid("1.2.840.113549.1.7.6"), tlv(0xA0, seq(integer(0), content)))
    data = seq(integer(3), seq(oid("1.2.840.113549.1.7.1"), tlv(0xA0, tlv(4, seq(encrypted_data)))))
    before = time.monotonic()
    with pytest.raises(UsageError, match="rounds of key derivation"):
        read(data, "a.pfx", never)
    assert time.monotonic() - before < 2
