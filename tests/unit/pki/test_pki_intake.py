"""What a file is, by its content: everything that holds certificates, and everything that people take for one."""

from __future__ import annotations

import base64
import io
import json
import os
import sys
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, NoEncryption, pkcs7, pkcs12
from hypothesis import given, settings
from hypothesis import strategies as st

from netdiag.model import UsageError
from netdiag.pki import armour, ber, intake
from netdiag.pki.intake import MAX_FILE_BYTES, Intake, read_file, read_intake, roles
from netdiag.pki.parts import MAX_PARTS
from tests.certs import NOW, Issued, authority, key, make, name, rsa_key
from tests.pfx import cert_bag, indefinite, integer, key_bag, oid, pfx, seq, tlv

PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
ROOT = authority("Root")
SUB = authority("Sub", ROOT)
LEAF = make("node1.example", SUB, private_key=rsa_key(2048), hosts=["node1.example"])
EC = make("node2.example", SUB, hosts=["node2.example"])
CRL = (
    x509.CertificateRevocationListBuilder()
    .issuer_name(ROOT.cert.subject)
    .last_update(NOW)
    .next_update(NOW)
    .sign(ROOT.key, hashes.SHA256())
)
CSR = x509.CertificateSigningRequestBuilder().subject_name(name("x")).sign(key(1), hashes.SHA256())
UNREADABLE = seq(seq(integer(1), seq(), seq(), seq(), seq(), seq()), seq(oid("1.2.3")), tlv(3, b"\0"))


def armoured(der: bytes, label: str = "CERTIFICATE") -> bytes:
    lines = base64.encodebytes(der).decode()
    return f"-----BEGIN {label}-----\n{lines}-----END {label}-----\n".encode()


def key_pem(issued: Issued, form: str = "PKCS8", password: bytes | None = None, encoding: serialization.Encoding = PEM):
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    return issued.key.private_bytes(encoding, getattr(serialization.PrivateFormat, form), encryption)


def chain_p7b(encoding):
    return pkcs7.serialize_certificates([LEAF.cert, SUB.cert], encoding)


def old_p7b() -> bytes:
    signed = indefinite(
        0x30,
        integer(1),
        tlv(0x31),
        seq(oid("1.2.840.113549.1.7.1")),
        indefinite(0xA0, LEAF.der, SUB.der),
        indefinite(0xA1, CRL.public_bytes(DER)),
        tlv(0x31),
    )
    return indefinite(0x30, oid("1.2.840.113549.1.7.2"), indefinite(0xA0, signed))


TRUSTED = armoured(LEAF.der + seq(seq(oid("1.3.6.1.5.5.7.3.1"))), "TRUSTED CERTIFICATE")
BOTH = [LEAF.der, SUB.der]
SIZE = len(LEAF.der) - 4


@pytest.mark.parametrize(
    ("data", "form", "certificates"),
    [
        (LEAF.pem, "pem", [LEAF.der]),
        (LEAF.pem + SUB.pem, "pem", BOTH),
        (LEAF.pem + SUB.pem + LEAF.pem, "pem", BOTH),
        (b"Bag Attributes\n    friendlyName: x\n" + LEAF.pem + b"noise\xff\n" + SUB.pem, "pem", BOTH),
        (LEAF.pem.replace(b"\n", b"\r\n"), "pem", [LEAF.der]),
        (LEAF.pem.replace(b"\n", b"\\n"), "pem", [LEAF.der]),
        (armoured(LEAF.der, "X509 CERTIFICATE"), "pem", [LEAF.der]),
        (TRUSTED, "pem", [LEAF.der]),
        (b"\xef\xbb\xbf" + LEAF.pem, "pem", [LEAF.der]),
        (b"\xff\xfe" + LEAF.pem.decode().encode("utf-16-le"), "pem", [LEAF.der]),
        (b"\xfe\xff" + LEAF.pem.decode().encode("utf-16-be"), "pem", [LEAF.der]),
        (base64.b64encode(LEAF.der), "pem", [LEAF.der]),
        (b"\n" + base64.encodebytes(LEAF.der), "pem", [LEAF.der]),
        (LEAF.der, "der", [LEAF.der]),
        (LEAF.der + SUB.der, "der", BOTH),
        (LEAF.der + b"\r\n" + SUB.der + b"\0\0", "der", BOTH),
        (UNREADABLE, "der", [UNREADABLE]),
        (armoured(UNREADABLE) + SUB.pem, "pem", [UNREADABLE, SUB.der]),
        (armoured(seq(integer(5))) + SUB.pem, "pem", [seq(integer(5)), SUB.der]),
        (chain_p7b(DER), "pkcs7", BOTH),
        (chain_p7b(PEM), "pkcs7", BOTH),
        (armoured(chain_p7b(DER)), "pkcs7", BOTH),
        (old_p7b(), "pkcs7", BOTH),
        (pfx(cert_bag(LEAF), cert_bag(SUB), key_bag(LEAF.key)), "pkcs12", BOTH),
        (armoured(pfx(cert_bag(LEAF))), "pkcs12", [LEAF.der]),
    ],
)
def test_certificates(data, form, certificates):
    found = read_intake(data, "a.cer")
    assert (found.format, sorted(found.certificates)) == (form, sorted(certificates))
    if form != "pkcs7" or data == old_p7b():  # a SET OF has the order of its bytes
        assert list(found.certificates) == certificates
    assert found.problems == ()
    assert found.name == "a.cer"


def test_crls_among_certificates():
    der = CRL.public_bytes(DER)
    assert read_intake(LEAF.pem + CRL.public_bytes(PEM), "a").crls == (der,)
    assert read_intake(LEAF.der + der, "a").crls == (der,)
    assert read_intake(old_p7b(), "a").crls == (der,)


@pytest.mark.parametrize(
    "data",
    [
        key_pem(LEAF) + LEAF.pem,
        LEAF.pem + key_pem(LEAF, "TraditionalOpenSSL"),
        LEAF.der + key_pem(LEAF, encoding=DER),
        LEAF.pem + key_pem(LEAF, password=b"secret"),
        LEAF.pem + key_pem(LEAF, "TraditionalOpenSSL", b"secret"),
        pfx(cert_bag(LEAF), key_bag(LEAF.key)),
    ],
)
def test_keys_beside_certificates(data):
    asked = []

    def password():
        asked.append(1)
        return b"secret"

    found = read_intake(data, "a.pem", password)
    assert [key.key for key in found.keys] == ["RSA 2048"]
    spki = LEAF.key.public_key().public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert found.keys[0].public_key == ber.element(spki).content
    assert len(asked) <= 1
    assert "secret" not in repr(found)


def test_an_elliptic_key_with_its_parameters():
    data = armoured(oid("1.2.840.10045.3.1.7"), "EC PARAMETERS") + key_pem(EC, "TraditionalOpenSSL") + EC.pem
    found = read_intake(data, "a.pem")
    assert [key.key for key in found.keys] == ["EC 256"]
    assert found.problems == ()


@pytest.mark.parametrize("form", ["PKCS8", "TraditionalOpenSSL"])
def test_a_locked_key_does_not_hide_the_certificate(form):
    found = read_intake(LEAF.pem + key_pem(LEAF, form, b"secret"), "a.pem", lambda: None)
    assert found.certificates == (LEAF.der,)
    assert [key.key for key in found.keys] == [""]
    assert len(found.problems) == 1
    assert found.problems[0].startswith("the private key in block 2 (")
    assert found.problems[0].endswith(" needs a password, and was not opened")
    with pytest.raises(UsageError, match=r"^a\.pem: the password for the private key in block 2 \(.*\) is wrong$"):
        read_intake(LEAF.pem + key_pem(LEAF, form, b"secret"), "a.pem", lambda: b"geheim")


def test_two_locked_keys_are_asked_about_once():
    asked = []
    data = LEAF.pem + key_pem(LEAF, password=b"x") + key_pem(EC, password=b"x")
    found = read_intake(data, "a.pem", lambda: asked.append(1) or b"x")
    assert [key.key for key in found.keys] == ["RSA 2048", "EC 256"]
    assert asked == [1]


def test_broken_parts_do_not_hide_the_others():
    broken = LEAF.pem.replace(b"\nMII", b"\nM!I", 1)
    cut = LEAF.pem[:300] + b"\n"
    found = read_intake(broken + cut + armoured(LEAF.der[:-5]) + CSR.public_bytes(PEM) + SUB.pem + LEAF.pem[:200], "a")
    assert found.certificates == (SUB.der,)
    assert found.problems == (
        "block 1 (CERTIFICATE) is damaged: its base64 has a character missing or too many",
        "block 2 (CERTIFICATE) is damaged: its END line is missing",
        f"block 3 (CERTIFICATE) is damaged: it ends too early: {SIZE} bytes should follow, and {SIZE - 5} do",
        "block 4 (CERTIFICATE REQUEST) is a signing request, and was skipped",
        "block 6 (CERTIFICATE) is damaged: its END line is missing",
    )


def test_many_problems_are_counted():
    found = read_intake(LEAF.pem + armoured(b"\0") * 30, "a")
    assert len(found.problems) == intake.MAX_PROBLEMS + 1
    assert found.problems[-1] == "and 10 more like these"


def ssh(form):
    return key(3).private_bytes(PEM, serialization.PrivateFormat.OpenSSH, NoEncryption())


def public_pem(issued):
    return issued.key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


PAGE = b"<!DOCTYPE html>\n<html><head><title>Access\n Denied \x1b[31m</title></head></html>"
IN_PLACE = (
    "a proxy's block page or a login page that was saved in its place; open it in a browser, and fetch the certificate "
    "again"
)
REQUEST = "a certificate signing request, not a certificate: ask your authority for the certificate it issued for it"
ALONE = "a private key without its certificate: give the certificate's file, and keep this one secret"
AGAIN = "; copy or download the file again"
NO_END = f"block 1 (CERTIFICATE) is damaged: its END line is missing{AGAIN}"
PGP = "a PGP key or message, which TLS does not use: give an X.509 certificate"
SSH = "an SSH key, which TLS does not use: give an X.509 certificate"
TEXT = "this is text without a certificate, which would begin with -----BEGIN CERTIFICATE-----"
UNKNOWN = "this is no certificate in any form that netdiag knows (PEM, DER, PKCS#7, PKCS#12)"
JAVA = (
    "this is a Java keystore (JKS), which only Java reads: convert it with keytool -importkeystore -srckeystore "
    '"my.cer" -srcstoretype JKS -destkeystore "my.p12" -deststoretype PKCS12'
)
ENVELOPED = seq(oid("1.2.840.113549.1.7.3"), tlv(0xA0, seq(integer(0))))

BAD = {
    "empty": (b"", "the file is empty"),
    "blank": (b"\r\n \n", "this file is blank"),
    "HTML": (PAGE, f'this is an HTML page ("Access Denied [31m"), not a certificate: {IN_PLACE}'),
    "HTML without title": (b"  <HTML>x", f"this is an HTML page, not a certificate: {IN_PLACE}"),
    "XHTML": (b'<?xml version="1.0"?>\n<html/>', f"this is an HTML page, not a certificate: {IN_PLACE}"),
    "XML": (b"<?xml version='1.0'?><Error/>", "this is XML, not a certificate"),
    "JSON": (
        json.dumps({"x5c": ["MII"]}).encode(),
        "this is JSON, not a certificate: take the certificate out of it, as PEM",
    ),
    "text": (b"see the mail of yesterday\n", TEXT),
    "text that begins as DER does": (b"0 hello\n", TEXT),
    "UTF-16 text": (b"\xff\xfe" + "hello".encode("utf-16-le"), TEXT),
    "byte order mark alone": (b"\xef\xbb\xbf", "this file is blank"),
    "binary": (b"\x7fELF\x02\x01\x01", UNKNOWN),
    "binary that begins as DER does": (b"0\xff\0\1" * 50, UNKNOWN),
    "DER of something else": (seq(integer(1), tlv(4, b"x"), seq()), UNKNOWN),
    "truncated DER": (
        LEAF.der[:100],
        f"the file is damaged: it ends too early: {SIZE} bytes should follow, and 96 do{AGAIN}",
    ),
    "truncated PEM": (LEAF.pem[:200], NO_END),
    "broken PEM": (
        LEAF.pem.replace(b"MII", b"MI", 1),
        f"block 1 (CERTIFICATE) is damaged: its base64 has a character missing or too many{AGAIN}",
    ),
    "CSR": (CSR.public_bytes(PEM), f"this is {REQUEST}"),
    "CSR in DER": (CSR.public_bytes(DER), f"this is {REQUEST}"),
    "CSR with its key": (key_pem(EC) + CSR.public_bytes(PEM), f"this is {REQUEST}"),
    "CSR of Windows": (CSR.public_bytes(PEM).replace(b" CERT", b" NEW CERT"), f"this is {REQUEST}"),
    "key": (key_pem(EC), f"this is {ALONE}"),
    "RSA key": (key_pem(LEAF, "TraditionalOpenSSL"), f"this is {ALONE}"),
    "key in DER": (key_pem(EC, encoding=DER), f"this is {ALONE}"),
    "encrypted key": (key_pem(LEAF, password=b"x"), f"this is {ALONE}"),
    "key and half a certificate": (key_pem(EC) + LEAF.pem[:200], NO_END.replace("block 1", "block 2")),
    "public key": (public_pem(EC), "this is a public key, not a certificate: give the certificate that it stands in"),
    "RSA public key": (
        LEAF.key.public_key().public_bytes(DER, serialization.PublicFormat.PKCS1),
        "this is a public key, not a certificate: give the certificate that it stands in",
    ),
    "PGP": (
        armoured(b"\x99\x01", "PGP PUBLIC KEY BLOCK"),
        f"this is {PGP}",
    ),
    "PGP in binary": (
        b"\x98\x33\x04" + bytes(50),
        f"this is {PGP}",
    ),
    "SSH key": (ssh(0), f"this is {SSH}"),
    "SSH public key": (b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA me@here\n", f"this is {SSH}"),
    "PuTTY key": (b"PuTTY-User-Key-File-3: ssh-rsa\n", f"this is {SSH}"),
    "CRL": (
        CRL.public_bytes(PEM),
        "this is a revocation list (CRL), not a certificate: give it with --crl, beside the certificate",
    ),
    "OCSP": (
        seq(tlv(0x0A, b"\6")),
        "this is an OCSP response, not a certificate: give it with --ocsp, beside the certificate",
    ),
    "enveloped PKCS#7": (
        ENVELOPED,
        "this is a PKCS#7 message without certificates: export the certificate again, with its chain (.p7b)",
    ),
    "PFX with a key alone": (
        pfx(key_bag(EC.key)),
        "this is a PKCS#12 file without a certificate: export it again, with the certificate and its chain",
    ),
    "JKS": (b"\xfe\xed\xfe\xed\0\0\0\2", JAVA),
    "JCEKS": (b"\xce\xce\xce\xce\0\0\0\2", JAVA.replace("JKS", "JCEKS")),
    "ZIP": (b"PK\x03\x04", "this is a ZIP archive: unpack it, and give the certificate in it"),
    "SST": (
        b"\0\0\0\0CERT\0\0\0\0",
        "this is a serialized store of Windows (.sst): export the certificate from it as .cer or .p7b",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case):
    data, line = BAD[case]
    with pytest.raises(UsageError) as caught:
        read_intake(data, "my.cer", lambda: pytest.fail("asked for a password"))
    assert str(caught.value) == f"my.cer: {line}"
    assert str(caught.value).isprintable()


def test_an_old_key_with_an_unknown_cipher():
    sealed = armoured(b"x", "RSA PRIVATE KEY").replace(b"\n", b"\nProc-Type: 4,ENCRYPTED\nDEK-Info: X-CBC,00\n\n", 1)
    found = read_intake(LEAF.pem + sealed, "a")
    assert found.certificates == (LEAF.der,)
    assert [held.key for held in found.keys] == [""]
    assert len(found.problems) == 1


def test_a_name_cannot_break_the_line():
    with pytest.raises(UsageError) as caught:
        read_intake(b"", "a\n\x1b[31m" + "x" * 500)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250


def test_passwords_of_a_pfx():
    data = pkcs12.serialize_key_and_certificates(None, LEAF.key, LEAF.cert, None, BestAvailableEncryption("é".encode()))
    for right in ("é".encode(), "é".encode("latin-1")):
        assert read_intake(data, "a.pfx", lambda given=right: given).certificates == (LEAF.der,)
    with pytest.raises(UsageError, match=r"^a\.pfx: the password is wrong$"):
        read_intake(data, "a.pfx", lambda: b"e")
    for none in (None, lambda: None):
        with pytest.raises(
            UsageError, match=r"^a\.pfx: protected by a password: give it with --password-file FILE or "
        ):
            read_intake(data, "a.pfx", none)


@pytest.mark.parametrize(
    ("given", "leaves", "intermediates", "roots"),
    [
        ([LEAF, SUB, ROOT], [LEAF], [SUB], [ROOT]),
        ([ROOT, SUB, LEAF], [LEAF], [SUB], [ROOT]),
        ([EC, LEAF, SUB], [EC, LEAF], [SUB], []),
        ([LEAF, ROOT], [LEAF], [], [ROOT]),
        ([ROOT], [ROOT], [], []),
        ([ROOT, SUB], [SUB], [], [ROOT]),
        ([SUB], [SUB], [], []),
        ([], [], [], []),
    ],
)
def test_roles(given, leaves, intermediates, roots):
    found = roles([issued.der for issued in given])
    expected = [[issued.der for issued in part] for part in (leaves, intermediates, roots)]
    assert [list(found.leaves), list(found.intermediates), list(found.roots)] == expected


def test_the_leaf_with_the_key_comes_first():
    held = read_intake(LEAF.pem + key_pem(LEAF), "a").keys
    assert roles([EC.der, LEAF.der], held).leaves == (LEAF.der, EC.der)


def test_what_cannot_be_read_is_the_leaf_where_it_comes_first():
    assert roles([UNREADABLE, SUB.der, LEAF.der]).leaves == (UNREADABLE, LEAF.der)
    assert roles([UNREADABLE]).leaves == (UNREADABLE,)
    assert roles([LEAF.der, UNREADABLE]).leaves == (LEAF.der,)
    assert roles([LEAF.der, UNREADABLE]).intermediates == (UNREADABLE,)


def test_authorities_that_issued_each_other():
    other = authority("Other", SUB, private_key=key(9))
    ring = make("Sub", other, ca=True, private_key=SUB.key)
    assert roles([ring.der, other.der]).leaves == (ring.der,)


def test_files(tmp_path):
    path = tmp_path / "leaf.cer"
    path.write_bytes(LEAF.der)
    assert read_file(str(path)) == LEAF.der
    assert read_file("-", io.BytesIO(b"abc")) == b"abc"


def test_no_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UsageError, match="there is no standard input to read"):
        read_file("-")


def test_a_large_file_is_refused_by_its_size(tmp_path):
    path = tmp_path / "large.cer"
    with path.open("wb") as stream:
        stream.truncate(200 * 2**20)
    before = time.monotonic()
    with pytest.raises(UsageError) as caught:
        read_file(str(path))
    assert str(caught.value) == f"{path}: larger than 32 MiB (200 MiB), which no certificate file is"
    assert time.monotonic() - before < 0.5
    for read in (
        lambda: read_file("-", io.BytesIO(bytes(MAX_FILE_BYTES + 1))),
        lambda: read_intake(bytes(MAX_FILE_BYTES + 1), "-"),
    ):
        with pytest.raises(UsageError, match=r"^-: larger than 32 MiB, which no certificate file is$"):
            read()


def test_what_is_no_file(tmp_path):
    expected = {
        tmp_path: "a directory: name the certificate file in it",
        tmp_path / "absent.cer": "No such file or directory",
    }
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        expected[tmp_path / "pipe"] = "a pipe or a device, not a file: pipe its content to netdiag, and name it -"
    for path, line in expected.items():
        with pytest.raises(UsageError) as caught:
            read_file(str(path))
        assert str(caught.value) == f"{path}: {line}"
    with pytest.raises(UsageError, match="null"):
        read_file("a\0b")


STARTS = [
    b"",
    LEAF.pem,
    LEAF.der,
    LEAF.der[:60],
    chain_p7b(DER),
    old_p7b(),
    pfx(cert_bag(EC), key_bag(EC.key)),
    PAGE,
    key_pem(EC),
]


def taken(data: bytes) -> Intake | str:
    """What is in the bytes, or the line that refuses them."""
    try:
        return read_intake(data, "a", lambda: b"x")
    except UsageError as error:
        return str(error)


@settings(max_examples=300, deadline=2000)
@given(st.sampled_from(STARTS), st.binary(max_size=200), st.data())
def test_hostile_bytes(start, noise, data):
    at = data.draw(st.integers(0, len(start)))
    hostile = start[:at] + noise + start[at + data.draw(st.integers(0, 40)) :]
    found = taken(hostile)
    if isinstance(found, str):
        assert found.isprintable()
        assert found.startswith("a: ")
    else:
        assert found.certificates
        assert set(roles(found.certificates, found.keys).leaves) <= set(found.certificates)


@pytest.mark.parametrize(
    "data",
    [
        b"-----BEGIN CERTIFICATE-----\n" * 300_000,
        b"-----BEGIN " * 700_000,
        b"0\x80" * 4_000_000,
        b"0\x80" + b"\5\0" * 4_000_000,
        seq(*[b"\5\0"] * 1_000_000),
        b"MII" + b"A" * 8_000_000,
        LEAF.der * 20_000,
        LEAF.pem * 8_000,
        b"<" * 8_000_000,
        seq(oid("1.2.840.113549.1.7.2"), tlv(0xA0, seq(integer(1), tlv(0x31), seq(), tlv(0xA0, seq() * 2_000_000)))),
    ],
    ids=range(10),
)
def test_time_is_bounded(data):
    before = time.monotonic()
    assert len(str(taken(data))) < 10_000
    assert time.monotonic() - before < 8


def test_a_hostile_key_takes_no_time():
    """DSA's public half is an exponentiation with numbers of the file's choice."""
    p = (1 << 120_000) - 1
    der = seq(
        integer(0), seq(oid("1.2.840.10040.4.1"), seq(integer(p), integer(3), integer(p - 2))), tlv(4, integer(p - 5))
    )
    large = seq(*map(integer, (0, p, 65537, p - 2, 3, 5, 7, 9, 11)))
    before = time.monotonic()
    for data in (LEAF.der + der, LEAF.der + large, LEAF.pem + armoured(large, "RSA PRIVATE KEY")):
        assert len(read_intake(data, "a").keys) == 1
    assert time.monotonic() - before < 2


def test_certificates_are_counted():
    many = (seq(integer(1000 + number)) for number in range(MAX_PARTS + 1))
    signed = seq(integer(1), tlv(0x31), seq(oid("1.2.840.113549.1.7.1")), tlv(0xA0, *many), tlv(0x31))
    found = read_intake(seq(oid("1.2.840.113549.1.7.2"), tlv(0xA0, signed)), "a")
    assert len(found.certificates) == MAX_PARTS
    assert found.problems == ("only the first 5,000 certificates were read",)


def test_boundaries_that_do_not_match():
    text = b"-----BEGIN A-----\nx\n-----END B-----\n-----END A-----\n-----BEGIN C-----\ny\n-----END C-----"
    assert [(block.label, block.body) for block in armour.blocks(text)] == [("A", None), ("C", b"\ny\n")]


@pytest.mark.parametrize(
    "data", [b"", b"\x30", b"\x30\x05", b"\x04\x80", b"\x3f\x01\x00", b"\x30\x89" + bytes(9), b"\x30\x80\x04\x01x"]
)
def test_no_ber(data):
    with pytest.raises(ValueError, match=r"."):
        ber.element(data)


def test_values_of_ber():
    assert ber.element(integer(-1)).integer == -1
    assert ber.element(oid("2.999.3")).oid == "2.999.3"
    assert ber.element(oid("1.3.6.1.4.1.311.17.2")).oid == "1.3.6.1.4.1.311.17.2"
    assert ber.element(indefinite(0x24, tlv(4, b"a"), indefinite(0x24, tlv(4, b"b")))).octets == b"ab"
    deep = tlv(4, b"x")
    for _ in range(20):
        deep = tlv(0x24, deep)
    for wrong in (
        lambda: ber.element(deep).octets,
        lambda: ber.element(integer(1)).oid,
        lambda: ber.element(b"\4\0").integer,
    ):
        with pytest.raises(ValueError, match="not an"):
            wrong()
