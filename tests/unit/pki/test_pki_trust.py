"""Trust stores from files, directories, certifi and the system."""

import os
import ssl
import subprocess

import pytest

from netdiag.model import UsageError
from netdiag.pki import trust
from netdiag.pki.distinguished import name_key
from netdiag.pki.trust import TrustStore, load_trust, public_roots
from netdiag.pki.verify import DIGICERT_G2_SHA256
from tests.certs import authority

ONE, TWO = authority("One"), authority("Two")


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    trust._system_store.cache_clear()
    yield
    trust._system_store.cache_clear()


def test_a_file_is_vouched_for(tmp_path):
    path = tmp_path / "roots.pem"
    path.write_bytes(b"# ours\n" + ONE.pem + TWO.pem + ONE.pem)
    store = load_trust([str(path)])
    assert (store.roots, store.vouched, store.names) == ((ONE.cert, TWO.cert), True, (str(path),))


def test_a_directory_is_read_whole(tmp_path):
    (tmp_path / "one.crt").write_bytes(ONE.der)
    (tmp_path / "two.txt").write_bytes(TWO.pem)
    (tmp_path / "README").write_text("not a certificate")
    (tmp_path / "sub").mkdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "fifo")
    assert set(load_trust([str(tmp_path)]).roots) == {ONE.cert, TWO.cert}


def test_specs_add_up(tmp_path):
    one, two = tmp_path / "1.pem", tmp_path / "2.pem"
    one.write_bytes(ONE.pem)
    two.write_bytes(TWO.pem + ONE.pem)
    both = load_trust([str(one), str(two)])
    assert (both.roots, both.vouched) == ((ONE.cert, TWO.cert), True)
    mixed = load_trust(["certifi", str(one)])
    assert not mixed.vouched
    assert len(mixed.roots) == len(public_roots().roots) + 1


def test_a_changed_file_is_read_again(tmp_path):
    path = tmp_path / "roots.pem"
    path.write_bytes(ONE.pem)
    os.utime(path, ns=(1, 1))
    first = load_trust([str(path)])
    assert load_trust([str(path)]) is first
    path.write_bytes(TWO.pem)
    os.utime(path, ns=(2, 2))
    assert load_trust([str(path)]).roots == (TWO.cert,)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "holds no certificate"), (b"hello", "holds no certificate"), (ONE.der[:50], "holds no certificate")],
    ids=("empty", "text", "cut-short"),  # the certificate is another one in each process
)
def test_a_file_without_a_certificate_is_the_users_mistake(tmp_path, content, words):
    path = tmp_path / "roots.pem"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=f"roots.pem: {words}"):
        load_trust([str(path)])


def test_other_mistakes_name_the_input(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="nowhere: No such file"):
        load_trust([str(tmp_path / "nowhere")])
    with pytest.raises(UsageError, match="no file in this directory"):
        load_trust([str(tmp_path)])
    with pytest.raises(UsageError, match="no trust store given"):
        load_trust([])
    big = tmp_path / "big.pem"
    big.write_bytes(ONE.pem)
    monkeypatch.setattr(trust, "MAX_FILE_BYTES", 10)
    with pytest.raises(UsageError, match=r"big\.pem: larger than"):
        load_trust([str(big)])


def test_a_file_without_permission_is_named(tmp_path, monkeypatch):
    path = tmp_path / "secret.pem"
    path.write_bytes(ONE.pem)

    def refuse(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(trust, "_file", refuse)  # root may read everything
    with pytest.raises(UsageError, match=r"secret\.pem: Permission denied"):
        load_trust([str(path)])


def test_openssl_variables_replace_the_defaults(tmp_path, monkeypatch):
    file, folder = tmp_path / "file.pem", tmp_path / "dir"
    file.write_bytes(ONE.pem)
    folder.mkdir()
    (folder / "0a1b2c3d.0").write_bytes(TWO.pem)
    (folder / "other.pem").write_bytes(authority("Three").pem)  # OpenSSL reads hashed names only
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    monkeypatch.setenv("SSL_CERT_DIR", str(folder))
    store = load_trust(["system"])
    assert store.roots == (ONE.cert, TWO.cert)
    assert store.names == (f"system {file}", f"system {folder}")
    assert not store.vouched


def _paths(cafile, capath):
    return ssl.DefaultVerifyPaths(None, None, "SSL_CERT_FILE", cafile, "SSL_CERT_DIR", capath)


@pytest.mark.skipif(os.name == "nt", reason="Windows has a store of its own")
def test_a_python_built_for_another_system_finds_the_bundle(tmp_path, monkeypatch):
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(ONE.pem)
    monkeypatch.setattr(trust.sys, "platform", "linux")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: _paths("/nowhere/cert.pem", "/nowhere/certs"))
    monkeypatch.setattr(trust, "BUNDLES", (str(tmp_path / "missing"), str(bundle), str(bundle)))
    assert load_trust(["system"]).names == (f"system {bundle}",)


def test_a_system_without_roots_is_no_mistake_of_the_user(monkeypatch):
    monkeypatch.setattr(trust.sys, "platform", "linux")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: _paths("/nowhere/cert.pem", "/nowhere/certs"))
    monkeypatch.setattr(trust, "BUNDLES", ())
    store = load_trust(["system"])
    assert (store.roots, store.names) == ((), ("system (no certificates found)",))


def test_windows_roots_leave_out_other_purposes(monkeypatch):
    entries = [
        (ONE.der, "x509_asn", True),
        (TWO.der, "x509_asn", {"1.3.6.1.5.5.7.3.4"}),
        (authority("Three").der, "x509_asn", {"1.3.6.1.5.5.7.3.1"}),
        (b"?", "pkcs_7_asn", True),
    ]
    monkeypatch.setattr(trust.sys, "platform", "win32")
    monkeypatch.setattr(ssl, "enum_certificates", lambda store: entries, raising=False)
    subjects = [root.subject.rfc4514_string() for root in load_trust(["system"]).roots]
    assert subjects == ["CN=One,O=Contoso", "CN=Three,O=Contoso"]


def test_macos_without_its_tool_has_an_empty_store(monkeypatch):
    monkeypatch.setattr(trust.sys, "platform", "darwin")

    def missing(*_, **__):
        raise FileNotFoundError("security")

    monkeypatch.setattr(subprocess, "run", missing)
    assert load_trust(["system"]).roots == ()


def test_roots_are_found_by_name_and_fingerprint():
    store = TrustStore(names=("test",), roots=(ONE.cert,))
    again = authority("One", ends=99)
    assert store.by_subject(name_key(ONE.cert.subject)) == (ONE.cert,)
    assert store.by_subject(()) == ()
    assert ONE.cert in store
    assert again.cert not in store
    assert "One" not in store


def test_the_public_list_is_read_once_and_holds_the_services_root():
    assert public_roots() is public_roots()
    assert public_roots().has_sha256(DIGICERT_G2_SHA256)
    assert not public_roots().vouched
    assert load_trust(["certifi"]) is public_roots()
