"""Chain rules: observations in, exactly these findings out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from netdiag.model import (
    CertificateSummary,
    ChainFault,
    ChainObservation,
    FaultKind,
    Finding,
    HttpsObservation,
    Observation,
    Route,
    Target,
    TlsObservation,
)
from netdiag.rules import Seen, findings
from netdiag.rules.azure import DIGICERT_GLOBAL_ROOT_G2
from netdiag.rules.certificates import short_name

AT = 1_780_315_200.0  # 2026-06-01 12:00 UTC
DAY = 86400.0
HOST = "wu2.frontend.clouddatahub.net"
NAMES = (HOST, "Microsoft TLS CA 01", "DigiCert Global Root G2")


def element(index: int, **changes: Any) -> CertificateSummary:
    issuer = NAMES[min(index + 1, 2)]
    values: dict[str, Any] = {
        "subject": f"CN={NAMES[index]},O=Test",
        "issuer": f"CN={issuer},O=Test",
        "serial": "1",
        "not_before": AT - 30 * DAY,
        "not_after": AT + 60 * DAY,
        "sha256": f"{index}" * 64,
        "sha1": DIGICERT_GLOBAL_ROOT_G2[1] if index == 2 else f"{index}" * 40,
        "is_ca": index > 0,
        "self_signed": index == 2,
    }
    return CertificateSummary(**{**values, **changes})


def fault(kind: FaultKind, index: int = 0, detail: str = "because") -> ChainFault:
    return ChainFault(kind=kind, element=index, subject=f"CN={NAMES[index]},O=Test", detail=detail)


def chain(*faults: ChainFault, elements: Sequence[CertificateSummary] | None = None, **changes: Any) -> Observation:
    values: dict[str, Any] = {
        "id": "chain.direct",
        "parent": "tls.direct.main",
        "host": HOST,
        "at": AT,
        "elements": tuple(elements if elements is not None else (element(0), element(1), element(2))),
        "faults": faults,
        "stores": ("system /etc/ssl/certs/ca-certificates.crt",),
        "publicly_trusted": True,
        "has_digicert_g2": True,
        "outcome": "failed" if faults else "ok",
    }
    return ChainObservation(**{**values, **changes})


def https(offset: float | None, **changes: Any) -> Observation:
    values: dict[str, Any] = {
        "id": "https.direct",
        "parent": "tls.direct.main",
        "url": f"https://{HOST}/",
        "status": 404,
        "clock_offset_s": offset,
    }
    return HttpsObservation(**{**values, **changes})


def judge(*observations: Observation, route: Route = "direct") -> list[Finding]:
    tls = TlsObservation(id="tls.direct.main", address="192.0.2.1", port=443, server_name=HOST, version="TLSv1.3")
    seen = Seen(Target(host=HOST), route, (tls, *observations))
    return [finding for finding in findings(seen) if finding.id.startswith("chain.")]


PAST = element(0, not_after=AT - 12 * DAY)
FUTURE = element(0, not_before=AT + 1 * DAY)
WHOLE = (element(1), element(2))

CASES = [
    ((chain(),), []),
    ((chain(), https(0.4)), []),
    ((chain(), https(None)), []),
    ((chain(), https(299.0)), []),
    ((chain(), https(-301.0)), [("chain.clock-skew", "warning", "this-machine")]),
    ((chain(), https(-400.0, headers=(("Age", "390"),))), []),
    (
        (chain(fault("expired"), elements=(PAST, *WHOLE)), https(0.0)),
        [("chain.expired", "error", "server")],
    ),
    ((chain(fault("expired"), elements=(PAST, *WHOLE)),), [("chain.expired", "error", "server")]),
    (
        (chain(fault("expired"), elements=(PAST, *WHOLE)), https(-13 * DAY, verified=False)),
        [("chain.clock-skew", "error", "this-machine")],
    ),
    (
        (chain(fault("expired"), elements=(PAST, *WHOLE)), https(-1 * DAY)),
        [("chain.expired", "error", "server"), ("chain.clock-skew", "warning", "this-machine")],
    ),
    (
        (chain(fault("not-yet-valid"), elements=(FUTURE, *WHOLE)), https(2 * DAY)),
        [("chain.clock-skew", "error", "this-machine")],
    ),
    ((chain(fault("not-yet-valid"), elements=(FUTURE, *WHOLE)),), [("chain.not-yet-valid", "error", "server")]),
    (
        (chain(fault("expired"), fault("expired", 1), elements=(PAST, element(1, not_after=AT - DAY), element(2))),),
        [("chain.expired", "error", "server")],
    ),
    ((chain(fault("name-mismatch")),), []),
    ((chain(fault("root-missing-locally", 2)),), [("chain.root-missing-locally", "error", "this-machine")]),
    ((chain(fault("untrusted-root", 2)),), [("chain.untrusted-root", "error", "server")]),
    ((chain(fault("incomplete"), elements=(element(0),)),), [("chain.incomplete", "error", "server")]),
    ((chain(fault("bad-signature")),), [("chain.bad-signature", "error", "server")]),
    ((chain(fault("not-a-ca", 1)),), [("chain.not-a-ca", "error", "server")]),
    ((chain(fault("path-length-exceeded", 1)),), [("chain.path-length-exceeded", "error", "server")]),
    ((chain(fault("key-usage", 1)),), [("chain.key-usage", "error", "server")]),
    ((chain(fault("purpose-mismatch")),), [("chain.purpose-mismatch", "error", "server")]),
    ((chain(fault("name-constraint")),), [("chain.name-constraint", "error", "server")]),
    ((chain(fault("weak-key")),), [("chain.weak-key", "error", "server")]),
    ((chain(fault("weak-key", 2)),), [("chain.weak-key", "warning", "server")]),
    (
        (chain(fault("weak-key", 2), fault("untrusted-root", 2)),),
        [("chain.untrusted-root", "error", "server"), ("chain.weak-key", "error", "server")],
    ),
    ((chain(fault("weak-signature")),), [("chain.weak-signature", "error", "server")]),
    ((chain(fault("policy", 1)),), [("chain.policy", "error", "server")]),
    ((chain(fault("revoked")),), [("chain.revoked", "error", "server")]),
    ((chain(fault("revocation-unknown")),), [("chain.revocation-unknown", "error", "certificate-authority")]),
    ((chain(fault("malformed"), elements=()),), [("chain.malformed", "error", "server")]),
    ((chain(fault("expired"), elements=()),), [("chain.expired", "error", "server")]),
    ((chain(fault("untrusted-root", 2), route="proxy"),), []),
]


@pytest.mark.parametrize(("observations", "expected"), CASES)
def test_findings(observations, expected):
    assert [(f.id, str(f.severity), f.blame) for f in judge(*observations)] == expected


def test_every_fault_kind_has_a_rule():
    own = {"name-mismatch"}  # tls.name-mismatch
    kinds = set(FaultKind.__args__) - own
    found = {f.id.removeprefix("chain.") for kind in kinds for f in judge(chain(fault(kind)))}
    assert found == kinds


@pytest.mark.parametrize(
    ("observations", "summary", "remedy"),
    [
        (
            (chain(fault("expired"), elements=(PAST, *WHOLE)),),
            f"The certificate of {HOST} has expired: {HOST} expired on 2026-05-20 12:00 UTC, 12 days ago",
            "Renew",
        ),
        (
            (chain(fault("expired", 1), elements=(element(0), element(1, not_after=AT - 3700), element(2))),),
            "Microsoft TLS CA 01 expired on 2026-06-01 10:58 UTC, 1 h 1 min ago",
            "Replace Microsoft TLS CA 01",
        ),
        (
            (chain(fault("not-yet-valid"), elements=(FUTURE, *WHOLE)),),
            "holds only from 2026-06-02 12:00 UTC, in 1 day",
            "Check this machine's clock",
        ),
        (
            (chain(fault("expired"), elements=(PAST, *WHOLE)), https(-13 * DAY)),
            (
                f"This machine's clock is 13 days ahead of that of {HOST}: {HOST} counts as expired here, "
                "and holds at the server's time, 2026-05-19 12:00 UTC"
            ),
            "w32tm",
        ),
        ((chain(), https(360.0)), f"clock is 6 min behind that of {HOST}", "NTP"),
        (
            (chain(fault("root-missing-locally", 2)),),
            "The public root DigiCert Global Root G2",
            "from http://cacerts.digicert.com/DigiCertGlobalRootG2.crt",
        ),
        (
            (chain(fault("root-missing-locally", 2), store_vouched=True),),
            "is missing in the trust store",
            "the files named with --trust",
        ),
        (
            (chain(fault("untrusted-root", 1), elements=(element(0), element(1))),),
            f"The certificate of {HOST} comes from DigiCert Global Root G2",
            "import it",
        ),
        (
            (chain(fault("untrusted-root"), elements=(element(0, self_signed=True),)),),
            "is self-signed",
            "public authority",
        ),
        (
            (chain(fault("incomplete"), elements=(element(0, aia=("http://ca.test/1.crt",)), *WHOLE)),),
            (
                "does not send the intermediate certificate Microsoft TLS CA 01; it is available at "
                "http://ca.test/1.crt, where Windows fetches it, and OpenSSL and Java do not"
            ),
            "Install Microsoft TLS CA 01 on the server",
        ),
        (
            (chain(fault("incomplete"), elements=(element(0, aia=("http://ca.test/1.crt",)),)),),
            "the certificate says that it is at http://ca.test/1.crt",
            "Install",
        ),
    ],
)
def test_words(observations, summary, remedy):
    (found,) = judge(*observations)
    assert summary in found.summary
    assert remedy in found.remedy


def test_a_file_lacks_an_intermediate():
    bad = fault("incomplete", detail="its issuer is not given; http://ca.test/1.crt did not give it (404)")
    (found,) = judge(chain(bad, source="file", host="", elements=(element(0, aia=("http://ca.test/1.crt",)),)))
    assert found.summary == f"The intermediate certificate Microsoft TLS CA 01 is missing: {bad.detail}"
    assert "--untrusted" in found.remedy


def test_clock_skew_folds_what_it_explains():
    (found,) = judge(chain(fault("expired"), elements=(PAST, *WHOLE)), https(-13 * DAY))
    assert found.folded == ("chain.expired",)
    assert found.evidence == ("chain.direct", "https.direct")


def test_a_proxys_own_certificate_is_the_proxys_fault():
    own = chain(
        fault("expired"), elements=(PAST, *WHOLE), route="proxy", host="proxy.contoso.com", id="chain.proxy.proxy"
    )
    (found,) = judge(own, route="proxy")
    assert found.blame == "proxy"
    assert "the proxy proxy.contoso.com" in found.summary


def test_other_route_tells_the_time_too():
    observations = (chain(fault("expired"), elements=(PAST, *WHOLE)), https(-13 * DAY, route="proxy"))
    assert [f.id for f in judge(*observations)] == ["chain.clock-skew"]


@pytest.mark.parametrize("seconds", [253402300799.0, 1e20, -1e20])
def test_absurd_times_are_still_words(seconds):
    if seconds < 0:
        (found,) = judge(chain(fault("expired"), elements=(element(0, not_after=seconds), *WHOLE)))
    else:
        (found,) = judge(chain(fault("not-yet-valid"), elements=(element(0, not_before=seconds), *WHOLE)))
    assert found.summary


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("CN=Root,O=Contoso", "Root"),
        ("O=Contoso,CN=Root", "Root"),
        ("CN=Contoso\\, Ltd Root,O=Contoso", "Contoso, Ltd Root"),
        ("OU=a+CN=Root,O=x", "Root"),
        ("O=x\\,CN=fake", "O=x\\,CN=fake"),
        ("", "a certificate without a name"),
    ],
)
def test_short_names(name, short):
    assert short_name(name) == short
