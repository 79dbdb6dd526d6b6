"""From a file's key and its certificate to one observation, which holds no secret."""

from __future__ import annotations

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption

from netdiag.model import KeyObservation
from netdiag.pki import facts, summary
from netdiag.pki.intake import read_intake
from netdiag.pki.keys import key_observation
from tests.certs import authority, make, rsa_key
from tests.pfx import CSP, EXCHANGE, KSP, SIGNATURE, cert_bag, key_bag, notes, pfx

ROOT = authority("Root")
LEAF = make(
    "node1.example",
    ROOT,
    private_key=rsa_key(2048),
    hosts=["node1.example", "node1"],
    addresses=["192.0.2.1"],
)
OTHER = make("node2.example", ROOT, hosts=["node2.example"])


def observed(data, issued=LEAF, password=None):
    intake = read_intake(data, "a.pfx", lambda: password)
    leaf = facts.read(issued.der)
    assert isinstance(leaf, facts.Facts)
    return key_observation(intake, leaf, id="key.1", path="a.pfx")


def test_everything_that_a_pfx_says():
    beside = notes("tp-1", b"\1", KSP, machine=True)
    assert observed(
        pfx(key_bag(LEAF.key, beside, SIGNATURE), cert_bag(LEAF, notes("Node 1", b"\1")))
    ) == KeyObservation(
        id="key.1",
        source="file",
        path="a.pfx",
        format="pkcs12",
        subject="CN=node1.example,O=Contoso",
        certificate=facts.read(LEAF.der).sha256,
        present=True,
        matches=True,
        key="RSA 2048",
        provider=KSP,
        provider_kind="ksp",
        machine_keyset=True,
        key_spec="signature",
        friendly_name="Node 1",
        key_usage=("digitalSignature",),
        names=("node1.example", "node1", "192.0.2.1"),
    )


def test_without_a_key():
    for data, form in ((LEAF.pem, "pem"), (LEAF.der, "der"), (pfx(cert_bag(LEAF)), "pkcs12")):
        found = observed(data)
        assert (found.format, found.present, found.matches, found.key) == (form, False, False, "")
        assert found.names[-1] == "192.0.2.1"


def test_a_key_of_another_certificate():
    found = observed(pfx(cert_bag(LEAF), key_bag(OTHER.key, notes(provider=CSP), EXCHANGE)))
    assert (found.present, found.matches, found.key) == (True, False, "EC 256")
    assert (found.provider_kind, found.key_spec) == ("csp", "exchange")


def test_one_key_for_two_certificates():
    data = LEAF.pem + LEAF.key_pem + OTHER.pem
    assert observed(data).matches
    assert observed(data, OTHER) is None
    assert observed(data + OTHER.key_pem, OTHER).matches


def test_only_the_key_of_its_authority():
    found = observed(pfx(cert_bag(LEAF), cert_bag(ROOT), key_bag(ROOT.key)))
    assert (found.present, found.matches, found.key) == (False, False, "")
    assert observed(LEAF.pem + ROOT.pem + ROOT.key_pem + OTHER.pem + OTHER.key_pem) is None
    assert observed(LEAF.pem + LEAF.key_pem + ROOT.pem + ROOT.key_pem).matches


def test_a_key_that_cannot_be_opened():
    locked = LEAF.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    found = observed(LEAF.pem + locked)
    assert (found.present, found.matches, found.key) == (True, False, "")
    opened = observed(LEAF.pem + locked, password=b"secret")
    assert opened.matches
    assert b"secret" not in msgspec.json.encode(opened)


def test_the_last_name_stays_the_last():
    names = [f"n{i}.example" for i in range(summary.MAX_NAMES + 50)]
    found = observed(make("many", ROOT, hosts=names).pem, make("many", ROOT, hosts=names)).names
    assert len(found) == summary.MAX_NAMES
    assert found[-1] == names[-1]


def test_key_usage():
    leaf = make("rsa", ROOT, private_key=rsa_key(2048), server_usage=False)
    assert observed(leaf.pem, leaf).key_usage == ("nonRepudiation",)
