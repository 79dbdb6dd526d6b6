"""PFX files that ``openssl pkcs12`` writes, and the commands of the key findings, run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from netdiag.model import KeyObservation, Target, UsageError
from netdiag.pki import facts
from netdiag.pki.intake import read_intake
from netdiag.pki.keys import key_observation
from netdiag.rules import Seen, findings
from tests.certs import authority, make, rsa_key
from tests.pfx import CSP, KSP
from tests.support import require_tools

ROOT = authority("Root")
LEAF = make("node1.example", ROOT, private_key=rsa_key(2048), hosts=["node1.example"])
EC = make("node2.example", ROOT, hosts=["node2.example"])

#: The defaults of OpenSSL 3, those before it (RC2-40 and 3DES), and each cipher that it offers for them.
CIPHERS: dict[str, tuple[str, ...]] = {
    "default": (),
    "legacy": ("-legacy",),
    "3DES": ("-certpbe", "PBE-SHA1-3DES", "-keypbe", "PBE-SHA1-3DES", "-macalg", "sha1"),
    "2DES": ("-legacy", "-certpbe", "PBE-SHA1-2DES", "-keypbe", "PBE-SHA1-2DES"),
    "RC2-128": ("-legacy", "-certpbe", "PBE-SHA1-RC2-128", "-keypbe", "PBE-SHA1-RC2-40"),
    "AES-128": ("-certpbe", "AES-128-CBC", "-keypbe", "AES-192-CBC", "-macalg", "sha512", "-iter", "10000"),
    "PBES2-3DES": ("-certpbe", "DES-EDE3-CBC", "-keypbe", "DES-EDE3-CBC", "-nomaciter"),
    "no MAC": ("-nomac",),
    "certificates in clear": ("-certpbe", "NONE"),
}
PASSWORDS = ("secret", "", "pässwört €")


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the leaf's certificate and key, and the root."""
    folder = tmp_path_factory.mktemp("pair")
    for name, data in (("leaf.pem", LEAF.pem), ("key.pem", LEAF.key_pem), ("root.pem", ROOT.pem)):
        (folder / name).write_bytes(data)
    return folder


def export(folder: Path, password: str, *options: str) -> bytes:
    require_tools("openssl")
    command = ["openssl", "pkcs12", "-export", "-in", "leaf.pem", "-inkey", "key.pem", "-certfile", "root.pem"]
    (folder / "password").write_text(password + "\n", encoding="utf-8")
    command += ["-out", "a.pfx", "-passout", "file:password", *options]
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}  # OpenSSL takes a password for UTF-8 then
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env=environment)
    return (folder / "a.pfx").read_bytes()


def run(command: str, folder: Path) -> str:
    return subprocess.run(command, shell=True, cwd=folder, check=True, capture_output=True, text=True).stdout


def observe(data: bytes, password: str) -> KeyObservation:
    intake = read_intake(data, "a.pfx", lambda: password.encode())
    assert intake.certificates == (LEAF.der, ROOT.der)
    assert intake.problems == ()
    leaf = facts.read(LEAF.der)
    assert isinstance(leaf, facts.Facts)
    found = key_observation(intake, leaf, id="key.1", path="a.pfx")
    assert found is not None
    return found


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("cipher", CIPHERS)
def test_what_openssl_writes(pair: Path, cipher: str, password: str) -> None:
    options = (*CIPHERS[cipher], "-CSP", KSP, "-keysig", "-LMK", "-name", "Nöde 1")
    data = export(pair, password, *options)
    found = observe(data, password)
    assert (found.present, found.matches, found.key) == (True, True, "RSA 2048")
    assert (found.provider, found.provider_kind, found.machine_keyset) == (KSP, "ksp", True)
    assert (found.key_spec, found.friendly_name) == ("signature", "Nöde 1")
    if password:
        with pytest.raises(UsageError, match=r"^a\.pfx: the password is wrong"):
            read_intake(data, "a.pfx", lambda: b"another")
        with pytest.raises(UsageError, match=r"^a\.pfx: protected by a password"):
            read_intake(data, "a.pfx")


@pytest.mark.parametrize(("option", "spec"), [((), ""), (("-keyex",), "exchange"), (("-keysig",), "signature")])
def test_key_spec(pair: Path, option: tuple[str, ...], spec: str) -> None:
    found = observe(export(pair, "x", "-CSP", CSP, *option), "x")
    assert (found.key_spec, found.provider_kind, found.machine_keyset) == (spec, "csp", False)


def test_the_command_of_the_remedy_repairs_the_file(pair: Path) -> None:
    """The one for Unix shells; each openssl that asks for a password is given it."""
    export(pair, "x", "-CSP", KSP, "-keysig")
    before = observe((pair / "a.pfx").read_bytes(), "x")
    seen = Seen(Target(host="", port=0, scheme="file", path="a.pfx"), "direct", (before,))
    found = findings(seen)
    assert [finding.id for finding in found] == ["key.provider-ksp", *["key.not-for-exchange"] * 2]
    for finding in found[:2]:
        said = re.search("write the file again: (.*), then (.*), and delete a-new.pem$", finding.remedy)
        assert said
        for command in said.groups():
            run(command.replace(" -in ", " -passin pass:x -passout pass:x -in "), pair)
        after = observe((pair / "a-new.pfx").read_bytes(), "x")
        assert (after.provider, after.key_spec, after.matches) == (CSP, "exchange", True)


def test_the_commands_that_compare_a_pair(pair: Path) -> None:
    export(pair, "x")
    path = pair / "a.pfx"
    stray = KeyObservation(id="k", path=str(path), format="pkcs12", present=True, key="RSA 2048")
    (finding,) = findings(Seen(Target(host="", port=0, scheme="file", path=str(path)), "direct", (stray,)))
    said = re.match("Compare what these print: (.*); and for each key that may be meant: (.*)[.] Then", finding.remedy)
    assert said
    printed = [run(command.replace(" -in ", " -passin pass:x -in "), pair) for command in said.groups()]
    assert printed[0] == printed[1]
    assert "BEGIN PUBLIC KEY" in printed[0]
