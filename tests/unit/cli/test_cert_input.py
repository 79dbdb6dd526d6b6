"""What people give ``netdiag cert`` by mistake, through the whole command: one line, and exit status 2."""

from __future__ import annotations

import io
import os
import sys
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, pkcs12

from tests.certs import authority, key, make, name
from tests.unit.cli.test_cli import run

ROOT = authority("Root")
LEAF = make("leaf.example", ROOT, hosts=["leaf.example"])
REQUEST = x509.CertificateSigningRequestBuilder().subject_name(name("a")).sign(key(1), hashes.SHA256())
PFX = pkcs12.serialize_key_and_certificates(None, LEAF.key, LEAF.cert, None, BestAvailableEncryption(b"right"))

FILES = {
    "empty": (b"", "the file is empty"),
    "HTML": (b"<!DOCTYPE html><title>Log in</title>", 'this is an HTML page ("Log in"), not a certificate'),
    "truncated DER": (LEAF.der[:200], "the file is damaged: it ends too early"),
    "truncated PEM": (LEAF.pem[:300], "block 1 (CERTIFICATE) is damaged: its END line is missing"),
    "a request": (REQUEST.public_bytes(Encoding.PEM), "this is a certificate signing request"),
    "a key": (LEAF.key_pem, "this is a private key without its certificate"),
    "a Java keystore": (b"\xfe\xed\xfe\xed\0\0\0\2\0\0\0\0", "this is a Java keystore (JKS)"),
    "without the password": (PFX, "it needs a password"),
}


def one_line(capsys, *argv):
    status, out, err = run(capsys, "cert", "--no-fetch", *argv)
    assert (status, out, err.count("\n")) == (2, "", 1)
    return err


@pytest.fixture(autouse=True)
def _no_terminal(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO())


@pytest.mark.parametrize("option", [(), ("--untrusted",)])
@pytest.mark.parametrize("kind", FILES)
def test_a_wrong_file(kind, option, tmp_path, capsys):
    content, words = FILES[kind]
    (tmp_path / "good.pem").write_bytes(LEAF.pem)
    wrong = tmp_path / "wrong.cer"
    wrong.write_bytes(content)
    given = (str(tmp_path / "good.pem"), *option, str(wrong)) if option else (str(wrong),)
    assert one_line(capsys, *given).startswith(f"netdiag: {wrong}: {words}")


def test_a_wrong_password(tmp_path, capsys):
    path = tmp_path / "a.pfx"
    path.write_bytes(PFX)
    assert one_line(capsys, str(path), "--password", "wrong") == f"netdiag: {path}: the password is wrong\n"


def test_200_megabytes(tmp_path, capsys):
    path = tmp_path / "large.cer"
    with path.open("wb") as file:
        file.truncate(200 * 2**20)
    assert "larger than 32 MiB (200 MiB)" in one_line(capsys, str(path))


def test_what_is_no_file(tmp_path, capsys):
    assert "a directory" in one_line(capsys, str(tmp_path))
    assert "No such file" in one_line(capsys, str(tmp_path / "absent"))
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        assert "a pipe or a device" in one_line(capsys, str(tmp_path / "pipe"))


@pytest.mark.parametrize(
    ("stdin", "words"),
    [
        (SimpleNamespace(buffer=io.BytesIO(), isatty=lambda: False), "standard input: the file is empty"),
        (None, "there is no standard input to read"),
    ],
)
def test_nothing_on_standard_input(stdin, words, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", stdin)
    assert one_line(capsys, "-") == f"netdiag: {words}\n"
