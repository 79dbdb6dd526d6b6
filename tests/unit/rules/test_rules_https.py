"""What an HTTP answer proves, and what it does not."""

import pytest

from netdiag.model import Failure, FailureKind, HttpsObservation, Route, Target
from netdiag.rules import Seen, findings

HOST = "a.example"
FORTINET = "<html><head><title>Web Page Blocked</title></head><body>FortiGuard Intrusion Prevention. Access blocked."
PORTAL = "<title>Guest Wi-Fi: log in to this network</title>"
ELSEWHERE = "https://login.portal.example/x"
SQUID = "<title>ERROR: The requested URL could not be retrieved</title><p>Access Denied. Access to this URL is blocked"


def answer(
    status: int | None = 200,
    body: str = "",
    headers: dict[str, str] | None = None,
    final: str = f"https://{HOST}/",
    failure: FailureKind | None = None,
    step: str = "fetch",
    url: str = f"https://{HOST}/",
    verified: bool = True,
) -> HttpsObservation:
    return HttpsObservation(
        id="https.direct",
        url=url,
        final_url=final,
        verified=verified,
        status=status,
        body=body,
        headers=tuple((headers or {}).items()),
        outcome="failed" if failure else "ok",
        failure=Failure(kind=failure, step=step, detail="why") if failure else None,
    )


def judged(observation: HttpsObservation, route: Route = "direct") -> list[tuple[str, str, str]]:
    return [(f.id, str(f.severity), f.blame) for f in findings(Seen(Target(host=HOST), route, [observation]))]


@pytest.mark.parametrize(
    ("observation", "expected"),
    [
        (answer(), []),
        (answer(404), [("https.unexpected-status", "info", "server")]),
        (answer(401), [("https.unexpected-status", "info", "server")]),
        (answer(500), [("https.unexpected-status", "error", "server")]),
        (answer(503), [("https.unexpected-status", "error", "server")]),
        (answer(103), [("https.unexpected-status", "error", "server")]),
        (answer(999), [("https.unexpected-status", "error", "server")]),
        (answer(403, FORTINET), [("https.block-page", "error", "path-device")]),
        (answer(200, FORTINET), [("https.block-page", "error", "path-device")]),
        (answer(403, SQUID), [("https.block-page", "error", "path-device")]),
        (answer(511), [("https.block-page", "error", "path-device")]),
        (answer(451), [("https.block-page", "error", "path-device")]),
        # one sign alone is not enough: a page about blocking, a 403 of the server's own, a product's own site
        (answer(200, "<p>How to get a web page blocked by your filter</p>"), []),
        (answer(403, "<h1>Forbidden</h1>"), [("https.unexpected-status", "info", "server")]),
        (answer(200, "Welcome to Zscaler support"), []),
        (answer(200, final="https://login.portal.example/x"), [("https.redirected", "warning", "unknown")]),
        (answer(302, headers={"Location": "https://elsewhere.example/"}), [("https.redirected", "warning", "unknown")]),
        (answer(302, headers={"Location": "/login"}), []),
        # a login page is a captive portal's when somebody else than the target can have sent the redirect
        (answer(200, PORTAL, url=f"http://{HOST}/", final=ELSEWHERE), [("https.block-page", "error", "path-device")]),
        (answer(200, PORTAL, final=ELSEWHERE), [("https.redirected", "warning", "unknown")]),
        (answer(302, headers={"Location": ELSEWHERE}, verified=False), [("https.block-page", "error", "path-device")]),
        (answer(302, headers={"Location": "https://[bad"}), []),
        (answer(None, failure="timeout"), [("https.no-answer", "error", "server")]),
        (answer(None, failure="eof"), [("https.no-answer", "error", "server")]),
        (answer(None, failure="reset"), [("https.no-answer", "error", "unknown")]),
        (answer(None, failure="http-malformed"), [("https.no-answer", "error", "server")]),
        (answer(302, failure="too-many-redirects"), [("https.no-answer", "error", "server")]),
    ],
)
def test_exactly(observation: HttpsObservation, expected: list[tuple[str, str, str]]) -> None:
    assert judged(observation) == expected


def test_the_page_and_the_product_are_named() -> None:
    [finding] = findings(Seen(Target(host=HOST), "direct", [answer(403, FORTINET)]))
    assert "Fortinet" in finding.summary
    assert "Web Page Blocked" in finding.summary
    assert HOST in finding.remedy


def test_the_other_way_is_not_judged() -> None:
    assert judged(answer(503), route="proxy") == []


@pytest.mark.parametrize(
    ("observation", "said", "blame"),
    [
        (answer(None, failure="timeout"), "sends no HTTP answer", "server"),
        (answer(None, failure="http-malformed"), "not usable HTTP", "server"),
        (answer(200, failure="timeout"), "answers HTTP 200, but the answer breaks off: why", "server"),
        (answer(302, failure="refused", step="redirect"), "redirects to a place that cannot be used: why", "unknown"),
        (answer(302, failure="too-many-redirects"), "redirects in a circle", "server"),
    ],
)
def test_what_went_wrong_with_the_answer_is_said(observation: HttpsObservation, said: str, blame: str) -> None:
    [finding] = findings(Seen(Target(host=HOST), "direct", [observation]))
    assert (finding.id, finding.blame) == ("https.no-answer", blame)
    assert said in finding.summary


@pytest.mark.parametrize(
    ("host", "headers", "blame"),
    [
        ("wu2.frontend.clouddatahub.net", {"Server": "Microsoft-HTTPAPI/2.0"}, "azure-service"),
        ("wu2.frontend.clouddatahub.net", {"x-ms-request-id": "1"}, "azure-service"),
        ("wu2.frontend.clouddatahub.net", {"Server": "nginx"}, "server"),
        (HOST, {"Server": "Microsoft-HTTPAPI/2.0"}, "server"),
    ],
)
def test_azures_own_answer_is_recognised(host: str, headers: dict[str, str], blame: str) -> None:
    [finding] = findings(Seen(Target(host=host), "direct", [answer(503, headers=headers)]))
    assert finding.blame == blame
