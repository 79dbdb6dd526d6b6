"""Rules about revocation and retrieval: who is to blame, and what has to be opened."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from netdiag.model import ElementRevocation, Failure, FailureKind, Observation, RetrievalObservation, Target
from netdiag.rules import Seen, conclude_certificates, findings
from tests.unit.rules.test_rules_chain import AT, chain, fault

CDP, OCSP, AIA = "http://crl.contoso.com/ca.crl", "http://ocsp.contoso.com:8080/", "http://pki.contoso.com/ca.crt"
TARGET = Target(host="", port=0, scheme="file", path="node.pfx")


def retrieval(url: str, kind: FailureKind | None = None, **changes: Any) -> RetrievalObservation:
    """One that failed in this way, or that was fine."""
    purpose = {CDP: "cdp", OCSP: "ocsp"}.get(url, "aia")
    values: dict[str, Any] = {
        "id": f"retrieval.{purpose}",
        "parent": "chain",
        "url": url,
        "purpose": purpose,
        "element": 0,
        "subject": "CN=wu2.frontend.clouddatahub.net,O=Test",
        "status": "failed" if kind else "verified",
        "detail": "no answer in 8 s" if kind else "",
        "outcome": "failed" if kind else "ok",
        "failure": Failure(kind=kind, step="connect", detail="no answer in 8 s") if kind else None,
    }
    return RetrievalObservation(**{**values, **changes})


def judge(*observations: Observation):
    return findings(Seen(TARGET, "direct", observations))


def file_chain(*faults):
    return chain(*faults, id="chain", parent=None, source="file", host="")


OFFLINE = file_chain(fault("revocation-offline", detail="its revocation services cannot be reached"))


@pytest.mark.parametrize(
    ("kind", "blame", "words"),
    [
        ("timeout", "path-device", "reach crl.contoso.com port 80, ocsp.contoso.com port 8080; for each"),
        ("no-route", "this-machine", "Allow this machine to reach crl.contoso.com port 80"),
        ("nxdomain", "dns", "resolvable"),
        ("proxy-authentication", "proxy", "ocsp.contoso.com port 8080 without a login"),
        ("proxy-status", "proxy", "Have the proxy http://proxy:3128 allow crl.contoso.com port 80"),
        ("web-page", "path-device", "exempted on the device that answers in its place"),
        ("web-page", "proxy", "in place of a page of its own"),
        ("refused", "certificate-authority", f"serve {CDP}, {OCSP} again"),
    ],
)
def test_offline_names_who_and_what(kind, blame, words):
    proxy = "http://proxy:3128" if blame == "proxy" else ""
    (found,) = judge(OFFLINE, retrieval(CDP, kind, proxy=proxy), retrieval(OCSP, kind, proxy=proxy))
    assert (found.id, found.severity, found.blame) == ("chain.revocation-offline", "error", blame)
    assert words in found.remedy
    assert "0x80092013" in found.summary
    assert found.evidence == ("chain", "retrieval.cdp", "retrieval.ocsp")


def test_a_proxy_that_does_not_get_there_may_not_be_at_fault():
    gateway = {"proxy": "http://proxy:3128", "http_status": 503}
    (found,) = judge(OFFLINE, retrieval(CDP, "proxy-status", **gateway), retrieval(OCSP, "proxy-status", **gateway))
    assert "why it does not get to crl.contoso.com port 80, ocsp.contoso.com port 8080" in found.remedy
    assert found.summary.endswith(f"(0x80092013): {CDP} and 1 more: no answer in 8 s")


def test_who_forbids_it_is_told():
    detail = "crl.contoso.com port 80: EHOSTUNREACH, reported by 10.0.0.1"
    (found,) = judge(OFFLINE, retrieval(CDP, "prohibited", detail=detail))
    assert found.summary.endswith(f"a filter on the way forbids it ({detail})")
    assert found.remedy == "Allow this machine to reach crl.contoso.com port 80."


def test_offline_without_retrieval_says_how_to_go_on():
    (found,) = judge(OFFLINE)
    assert "--crl" in found.remedy


def test_revoked():
    bad = fault("revoked", detail="it was revoked at 2026-05-01 (keyCompromise), says CRL 1a")
    (found,) = judge(file_chain(bad), retrieval(CDP, status="revoked"), retrieval(OCSP))
    assert (found.id, found.severity, found.blame) == ("chain.revoked", "error", "server")
    assert "keyCompromise" in found.summary
    assert found.evidence == ("chain", "retrieval.cdp")


def test_a_revoked_authority_is_its_own_business():
    (found,) = judge(file_chain(fault("revoked", 1)))
    assert found.blame == "certificate-authority"
    assert "issued again by another authority, since nothing below Microsoft TLS CA 01 counts" in found.remedy


def test_a_hold_may_end():
    state = ElementRevocation(element=0, subject="CN=a", state="revoked", reason="certificateHold")
    (found,) = judge(msgspec.structs.replace(file_chain(fault("revoked")), revocation=(state,)))
    assert found.remedy.startswith("Ask Microsoft TLS CA 01 why it is on hold")


def test_unknown_is_told_once():
    state = ElementRevocation(element=0, subject="CN=a", state="unknown", detail="CRL 4: the next one was due")
    bad = fault("revocation-unknown", detail="whether it is revoked is not known: CRL 4: the next one was due")
    (found,) = judge(msgspec.structs.replace(file_chain(bad), revocation=(state,)))
    assert found.summary.endswith("was revoked is not known: CRL 4: the next one was due")


def test_unknown_is_the_authoritys_to_mend():
    (found,) = judge(
        file_chain(fault("revocation-unknown", detail="CRL 1a: it expired")), retrieval(CDP, status="expired")
    )
    assert (found.id, found.severity, found.blame) == ("chain.revocation-unknown", "error", "certificate-authority")
    assert "Microsoft TLS CA 01" in found.remedy


@pytest.mark.parametrize(
    ("urls", "expected"),
    [
        ((retrieval(AIA, "timeout"),), ["chain.aia-unreachable"]),
        ((retrieval(AIA, "timeout"), retrieval("http://other.test/ca.crt")), []),
        ((retrieval(AIA, status="wrong-issuer"),), ["chain.aia-unreachable"]),
        ((retrieval("file:///ca.crt", status="unsupported"),), []),
        ((retrieval(AIA),), []),
        ((retrieval(AIA, "cancelled"),), []),
        ((retrieval(AIA, "timeout"), retrieval("http://other.test/ca.crt", element=1)), ["chain.aia-unreachable"]),
    ],
)
def test_one_good_address_for_an_issuer_is_enough(urls, expected):
    found = judge(file_chain(), *urls)
    assert [finding.id for finding in found] == expected
    assert [finding.severity for finding in found] == ["warning"] * len(expected)


def test_verdict():
    good = Seen(TARGET, "direct", (file_chain(),))
    assert conclude_certificates(good, ()).status == "healthy"
    assert "59 days left" in conclude_certificates(Seen(TARGET, "direct", (chain(at=AT + 86400),)), ()).summary
    assert conclude_certificates(good, (), whole=False).status == "inconclusive"
    assert conclude_certificates(Seen(TARGET, "direct", ()), ()).status == "inconclusive"
    verdict = conclude_certificates(good, judge(OFFLINE))
    assert (verdict.status, verdict.finding) == ("failed", "chain.revocation-offline")
    assert conclude_certificates(good, judge(file_chain(), retrieval(AIA, "timeout"))).status == "impaired"
