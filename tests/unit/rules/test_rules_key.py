"""Key rules: observations in, exactly these findings out, with commands that can be pasted."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from netdiag.model import CertificateSummary, ChainObservation, Finding, KeyObservation, Observation, Target
from netdiag.rules import Seen, findings

CSP, KSP = "Microsoft Enhanced RSA and AES Cryptographic Provider", "Microsoft Software Key Storage Provider"
BOTH = ("digitalSignature", "keyEncipherment")
IMPORT = f'certutil -importpfx -csp "{CSP}" node1.pfx AT_KEYEXCHANGE'
AGAIN = (
    "openssl pkcs12 -in node1.pfx -out node1-new.pem, then "
    f'openssl pkcs12 -export -in node1-new.pem -CSP "{CSP}" -keyex -out node1-new.pfx, and delete node1-new.pem'
)


def key(**changes: Any) -> KeyObservation:
    values: dict[str, Any] = {
        "id": "key.1",
        "source": "file",
        "path": "node1.pfx",
        "format": "pkcs12",
        "subject": "CN=node1.example,O=Contoso",
        "certificate": "ab" * 32,
        "present": True,
        "matches": True,
        "key": "RSA 2048",
        "key_usage": BOTH,
        "names": ("node1.example",),
    }
    return KeyObservation(**{**values, **changes})


def judge(*observations: Observation) -> list[Finding]:
    seen = Seen(Target(host="", port=0, scheme="file", path="node1.pfx"), "direct", observations)
    return [finding for finding in findings(seen) if finding.id.startswith("key.")]


ABSENT: dict[str, Any] = {"present": False, "matches": False, "key": ""}
MISSING = [("key.missing", "error", "this-machine")]
SPEC = [("key.not-for-exchange", "error", "this-machine")]
KSP_FOUND = [("key.provider-ksp", "error", "this-machine")]
STRANGE = [("key.mismatch", "error", "this-machine")]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"provider": CSP, "provider_kind": "csp", "key_spec": "exchange"}, []),
        ({"provider": "Some thing", "provider_kind": ""}, []),
        (ABSENT, MISSING),
        ({**ABSENT, "format": "pem"}, []),
        ({**ABSENT, "format": "der"}, []),
        ({**ABSENT, "format": "pkcs7"}, []),
        ({"matches": False}, STRANGE),
        ({"matches": False, "format": "pem"}, STRANGE),
        ({"matches": False, "key": ""}, []),
        ({"matches": False, "key_spec": "signature", "provider_kind": "ksp", "provider": KSP}, STRANGE),
        ({"key_spec": "signature"}, SPEC),
        ({"key_spec": "signature", "provider": CSP, "provider_kind": "csp"}, SPEC),
        ({"provider": KSP, "provider_kind": "ksp"}, KSP_FOUND),
        ({"provider": KSP, "provider_kind": "ksp", "key_spec": "signature"}, KSP_FOUND + SPEC),
        ({"key_usage": ()}, []),
        ({"key_usage": ("digitalSignature",)}, [("key.not-for-exchange", "warning", "certificate-authority")]),
        ({"key_usage": ("nonRepudiation",)}, [("key.not-for-exchange", "error", "certificate-authority")]),
        ({"key_usage": ("digitalSignature",), "key": "EC 256"}, []),
        ({"names": ()}, []),
        ({"names": ("node1.example", "node1")}, [("key.last-san-only", "warning", "this-machine")]),
        ({**ABSENT, "format": "pem", "names": ("a", "b", "c")}, []),
    ],
)
def test_findings(changes, expected):
    found = judge(key(**changes))
    assert [(finding.id, finding.severity.value, finding.blame) for finding in found] == expected
    assert all(finding.evidence == ("key.1",) for finding in found)


def test_words_and_commands():
    (ksp,) = judge(key(provider=KSP, provider_kind="ksp"))
    assert ksp.summary == (
        f"The private key in node1.pfx is for {KSP}, a key storage provider, which an integration runtime cannot use"
    )
    assert IMPORT in ksp.remedy
    assert AGAIN in ksp.remedy
    (spec,) = judge(key(key_spec="signature"))
    assert IMPORT in spec.remedy
    assert "AT_SIGNATURE" in spec.summary
    (last,) = judge(key(names=("a.example", "b.example", "node1.example")))
    assert "3 alternative names" in last.summary
    assert "only the last one, node1.example" in last.summary
    (stray,) = judge(key(matches=False, key="EC 256"))
    assert "The private key (EC 256) in node1.pfx is not the one of the certificate of node1.example" in stray.summary
    assert "openssl pkcs12 -in node1.pfx -nocerts -nodes | openssl pkey -pubout" in stray.remedy
    (pem,) = judge(key(matches=False, format="pem", path="both.pem"))
    assert "openssl x509 -in both.pem -noout -pubkey" in pem.remedy


def test_a_csp_takes_no_elliptic_key():
    (found,) = judge(key(provider=KSP, provider_kind="ksp", key="EC 256"))
    assert "certutil -importpfx" not in found.remedy
    assert "issued again for an RSA key" in found.remedy


def test_the_serial_number_comes_from_the_chain():
    element = CertificateSummary(
        subject="CN=node1.example",
        issuer="CN=R",
        serial="1a2b",
        not_before=0.0,
        not_after=1.0,
        sha256="ab" * 32,
        sha1="",
    )
    chain = ChainObservation(id="chain.1", host="", elements=(element,))
    (found,) = judge(key(**ABSENT), chain)
    assert "certutil -repairstore my 1a2b" in found.remedy
    assert "certutil -exportpfx my 1a2b node1.pfx" in found.remedy
    (unknown,) = judge(key(**ABSENT))
    assert "certutil -repairstore my SERIAL" in unknown.remedy


@pytest.mark.parametrize(
    ("path", "quoted", "new"),
    [
        ("node1.pfx", "node1.pfx", "node1-new.pfx"),
        ("/etc/ssl/node1.p12", "/etc/ssl/node1.p12", "/etc/ssl/node1-new.pfx"),
        ("my node.pfx", '"my node.pfx"', '"my node-new.pfx"'),
        ("C:\\certs\\a.pfx", '"C:\\certs\\a.pfx"', '"C:\\certs\\a-new.pfx"'),
        ("a&b.pfx", '"a&b.pfx"', '"a&b-new.pfx"'),
        ("$(reboot).pfx", "'$(reboot).pfx'", "'$(reboot)-new.pfx'"),
        ('a"b.pfx', "'a\"b.pfx'", "'a\"b-new.pfx'"),
        ("-x.pfx", "./-x.pfx", "./-x-new.pfx"),
        ("-", "FILE.pfx", "FILE-new.pfx"),
        ("dir.d/plain", "dir.d/plain", "dir.d/plain-new.pfx"),
    ],
)
def test_names_are_quoted(path, quoted, new):
    (found,) = judge(key(path=path, key_spec="signature"))
    assert f" {quoted} AT_KEYEXCHANGE" in found.remedy
    assert f"-in {quoted} -out " in found.remedy
    assert f"-keyex -out {new}, and delete " in found.remedy
    words = shlex.split(found.remedy.partition("file again: ")[2])
    assert words[3] == (path if not path.startswith("-") else "FILE.pfx" if path == "-" else f"./{path}")
