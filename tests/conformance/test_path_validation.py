"""Every planted fault of ``path_cases`` gets its verdict in both profiles, and the fault is named."""

from __future__ import annotations

import pytest

from netdiag.model import Severity
from netdiag.pki import path
from netdiag.pki.api import verify_certificate
from netdiag.pki.facts import Facts, signed_by
from netdiag.pki.verify import Verification
from tests.conformance.path_cases import CASES, Case

PROFILES = ("rfc5280", "webpki")
EACH = [pytest.param(case, id=f"{group}: {case.name}") for group, cases in CASES.items() for case in cases]


def verify(case: Case, profile: str) -> Verification:
    return verify_certificate(
        case.leaf.der,
        untrusted=[made.der for made in case.pool],
        trust=[made.der for made in case.roots],
        hostname=case.host,
        at=case.at,
        purpose=case.purpose,
        profile=profile,
        max_depth=case.max_depth,
        crls=case.crls,
    )


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("case", EACH)
def test_verdict(case: Case, profile: str) -> None:
    found = verify(case, profile)
    errors = [fault for fault in found.faults if fault.severity is Severity.ERROR]
    assert found.trusted is (profile in case.accepted), [(fault.kind, fault.detail) for fault in errors]
    if profile not in case.accepted and case.kind:
        assert case.kind in {fault.kind for fault in errors}


@pytest.mark.parametrize("case", CASES["graphs"], ids=lambda case: case.name)
def test_hostile_graphs_stay_within_the_budget(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[Facts] = []

    def counting(child: Facts, issuer: Facts) -> bool:
        checked.append(child)
        return signed_by(child, issuer)

    monkeypatch.setattr(path, "signed_by", counting)
    found = verify(case, "rfc5280")
    assert len(checked) <= path.MAX_SIGNATURE_CHECKS
    assert 0 < len(found.paths) <= 2 * path.MAX_PATHS
    assert len(found.rejected) <= path.MAX_REJECTED
    assert all(len(candidate.elements) <= path.MAX_DEPTH for candidate in found.paths)
