"""Observations -> exact sets of tls.* findings."""

from __future__ import annotations

import msgspec
import pytest

from netdiag.model import (
    CertificateSummary,
    ChainFault,
    ChainObservation,
    Failure,
    HttpsObservation,
    Observation,
    Route,
    Target,
    TlsObservation,
)
from netdiag.rules import Seen, findings
from netdiag.rules.interceptors import vendor_of

HOST = "wu2.frontend.clouddatahub.net"
PRIVATE_HOST = "intranet.example.test"
ADDRESS = "20.42.132.1"


def tls(
    purpose="main",
    kind: str | None = None,
    *,
    alert: str = "",
    route: Route = "direct",
    name: str = HOST,
    received: int | None = None,
    version: str = "TLSv1.3",
    requested: bool = False,
    not_tls: str = "",
    detail: str = "",
    address: str = ADDRESS,
    step: str = "handshake",
) -> TlsObservation:
    """A handshake that completed, or failed with ``kind``."""
    ok = kind is None
    return TlsObservation(
        id=f"tls.{route}.{purpose}" + ("" if address == ADDRESS else f".{address}"),
        route=route,
        outcome="ok" if ok else "failed",
        failure=None if ok else Failure(kind=kind, step=step, detail=detail or alert),
        took_s=8.0,
        address=address,
        port=443,
        purpose=purpose,
        server_name={"other-name": "www.example.com", "no-name": ""}.get(purpose, name),
        version=version if ok else "",
        alert=alert,
        client_certificate_requested=requested,
        bytes_sent=1588,
        bytes_received=(3000 if ok else 7 if alert else len(not_tls)) if received is None else received,
        not_tls=not_tls,
    )


def element(subject: str, issuer: str, *, self_signed: bool = False, names: tuple[str, ...] = ()) -> CertificateSummary:
    return CertificateSummary(
        subject=subject,
        issuer=issuer,
        serial="01",
        not_before=0.0,
        not_after=4e9,
        sha256=f"{subject}|{issuer}",
        sha1="",
        names=names,
        self_signed=self_signed,
    )


def chain(
    *elements: CertificateSummary,
    faults: tuple[str, ...] = (),
    public: bool = False,
    vouched: bool = False,
    route: Route = "direct",
    host: str = HOST,
) -> ChainObservation:
    return ChainObservation(
        id=f"chain.{route}",
        parent=f"tls.{route}.main",
        route=route,
        host=host,
        elements=elements,
        faults=tuple(ChainFault(kind=kind, element=0, subject="", detail="") for kind in faults),
        publicly_trusted=public,
        store_vouched=vouched,
    )


LEAF = f"CN={HOST}"
AZURE_ISSUER = "CN=Microsoft Azure RSA TLS Issuing CA 03,O=Microsoft Corporation,C=US"
GENUINE = (
    element(LEAF, AZURE_ISSUER, names=(HOST,)),
    element(AZURE_ISSUER, "CN=DigiCert Global Root G2,O=DigiCert Inc"),
)
ZSCALER = element(LEAF, "CN=Zscaler Intermediate Root CA (zscaler.net),O=Zscaler Inc.", names=(HOST,))
CORPORATE = element(LEAF, "CN=Contoso Inspection CA,O=Contoso\\, Ltd.", names=(HOST,))
SELF_SIGNED = element(LEAF, LEAF, self_signed=True, names=(HOST,))
PRIVATE = element(f"CN={PRIVATE_HOST}", "CN=Contoso Issuing CA,O=Contoso", names=(PRIVATE_HOST,))
FORTIGATE_PAGE = element("CN=FGT60F0000000000,O=Fortinet", "CN=fortinet-subca2001,O=Fortinet")


def https(kind: str | None = None, *, status: int | None = None, body: str = "", reason: str = "") -> HttpsObservation:
    return HttpsObservation(
        id="https.direct",
        parent="tls.direct.main",
        outcome="failed" if kind else "ok",
        failure=Failure(kind=kind, step="fetch") if kind else None,
        url=f"https://{HOST}/",
        status=status,
        body=body,
        reason=reason,
    )


def judge(*observations: Observation, route: Route = "direct", host: str = HOST):
    """The tls.* findings, as id -> finding."""
    found = findings(Seen(Target(host=host), route, observations))
    tls_findings = [finding for finding in found if finding.id.startswith("tls.")]
    assert len({finding.id for finding in tls_findings}) == len(tls_findings)
    return {finding.id: finding for finding in tls_findings}


CUT_THREE = (tls(kind="reset"), tls("repeat", "reset"), tls("tls1.2-only", "reset"))

HANDSHAKES = {
    "healthy": ([tls(), tls("tls1.2-only", version="TLSv1.2")], set()),
    "healthy, TLS 1.3 only": ([tls(), tls("tls1.2-only", "tls-alert", alert="protocol_version")], set()),
    "healthy, certificate requested": ([tls(requested=True), https(status=200)], set()),
    "nothing came of it": ([tls(kind="cancelled")], set()),
    # sni-filtered
    "reset for one name only": ([*CUT_THREE, tls("other-name"), tls("no-name")], {"tls.sni-filtered"}),
    "reset, another name gets an alert": (
        [*CUT_THREE, tls("other-name", "tls-alert", alert="unrecognized_name"), tls("no-name", "reset")],
        {"tls.sni-filtered"},
    ),
    "silence for one name only": (
        [tls(kind="timeout"), tls("repeat", "timeout"), tls("no-name")],
        {"tls.sni-filtered"},
    ),
    "closed for one name, reset at the second try": (
        [tls(kind="eof"), tls("repeat", "reset"), tls("other-name")],
        {"tls.sni-filtered"},
    ),
    "cut whatever the name": ([*CUT_THREE, tls("other-name", "reset"), tls("no-name", "eof")], {"tls.interrupted"}),
    "cut in the middle of the answer, whatever the name": (
        [tls(kind="eof", received=4), tls("repeat", "eof", received=4), tls("other-name", "eof", received=4)],
        {"tls.interrupted"},
    ),
    "no answer to the name, the beginning of one to another": (
        [*CUT_THREE, tls("other-name", "eof", received=4)],
        {"tls.sni-filtered"},
    ),
    "cut for the name, but not with TLS 1.2": (
        [tls(kind="reset"), tls("repeat", "reset"), tls("tls1.2-only"), tls("other-name")],
        {"tls.interrupted"},
    ),
    "another name, but no second try": ([tls(kind="reset"), tls("other-name")], {"tls.interrupted"}),
    "another name at another address": ([*CUT_THREE, tls("other-name", address="20.42.132.2")], {"tls.interrupted"}),
    "another name by the other way": ([*CUT_THREE, tls("other-name", route="proxy")], {"tls.interrupted"}),
    "no name was sent anyway": (
        [tls(kind="reset", name=""), tls("repeat", "reset", name=""), tls("other-name")],
        {"tls.interrupted"},
    ),
    "other names get HTTP, not TLS": (
        [*CUT_THREE, tls("other-name", "tls-malformed", not_tls="HTTP/1.1 400")],
        {"tls.interrupted"},
    ),
    # version-unsupported
    "TLS 1.0 only, alert": (
        [tls(kind="tls-alert", alert="protocol_version"), tls("legacy-versions", version="TLSv1")],
        {"tls.version-unsupported"},
    ),
    "TLS 1.0 only, our alert": (
        [tls(kind="tls-alert"), tls("legacy-versions", version="TLSv1.1")],
        {"tls.version-unsupported"},
    ),
    "TLS 1.0 only, reset; other names do not matter": (
        [*CUT_THREE, tls("legacy-versions", version="TLSv1"), tls("other-name", "tls-alert", alert="protocol_version")],
        {"tls.version-unsupported"},
    ),
    "old versions fail too": (
        [
            tls(kind="tls-alert", alert="handshake_failure"),
            tls("legacy-versions", "tls-alert", alert="protocol_version"),
        ],
        {"tls.handshake-failed"},
    ),
    "what worked was no old version": (
        [tls(kind="tls-alert", alert="handshake_failure"), tls("legacy-versions", version="TLSv1.2")],
        {"tls.handshake-failed"},
    ),
    "old versions work, but TLS 1.2 does as well": (
        [tls(kind="tls-alert", alert="protocol_version"), tls("tls1.2-only"), tls("legacy-versions", version="TLSv1")],
        {"tls.handshake-failed"},
    ),
    # client-certificate-required
    "client certificate, TLS 1.2": (
        [tls(kind="tls-alert", alert="handshake_failure", requested=True)],
        {"tls.client-certificate-required"},
    ),
    "client certificate, then reset": ([tls(kind="reset", requested=True)], {"tls.client-certificate-required"}),
    "client certificate, then silence": ([tls(kind="timeout", requested=True)], {"tls.interrupted"}),
    "client certificate requested, another alert": (
        [tls(kind="tls-alert", alert="internal_error", requested=True)],
        {"tls.handshake-failed"},
    ),
    "client certificate, TLS 1.3": ([tls(requested=True), https("tls-alert")], {"tls.client-certificate-required"}),
    "client certificate, TLS 1.3, reset": ([tls(requested=True), https("reset")], {"tls.client-certificate-required"}),
    "requested in TLS 1.2, fetch reset": ([tls(requested=True, version="TLSv1.2"), https("reset")], set()),
    "not requested, alert at the fetch": ([tls(), https("tls-alert")], set()),
    "client certificate, nginx": (
        [tls(requested=True), https(status=400, body="<center>No required SSL certificate was sent</center>")],
        {"tls.client-certificate-required"},
    ),
    "client certificate, IIS": (
        [tls(), https(status=403, body="HTTP Error 403.7 - Forbidden")],
        {"tls.client-certificate-required"},
    ),
    "client certificate, 496": ([tls(), https(status=496)], {"tls.client-certificate-required"}),
    "plain 403": ([tls(requested=True), https(status=403, body="Forbidden")], set()),
    "a page about it that is no refusal": ([tls(), https(status=200, body="use a client certificate")], set()),
    # interrupted, handshake-failed
    "reset": ([tls(kind="reset")], {"tls.interrupted"}),
    "closed in the middle": ([tls(kind="eof", received=90)], {"tls.interrupted"}),
    "intermittent, so no filter": (
        [tls(kind="reset"), tls("repeat"), tls("other-name"), tls("legacy-versions", version="TLSv1")],
        {"tls.interrupted"},
    ),
    "alert": ([tls(kind="tls-alert", alert="internal_error")], {"tls.handshake-failed"}),
    "HTTP": ([tls(kind="tls-malformed", not_tls="HTTP/1.1 400 Bad Request")], {"tls.handshake-failed"}),
    "unreachable in the middle": ([tls(kind="unreachable")], {"tls.handshake-failed"}),
    "controls that got no connection": (
        [tls(kind="reset"), tls("repeat", "timeout", step="connect"), tls("no-name")],
        {"tls.interrupted"},
    ),
    "the other way fails": ([tls(), tls(kind="reset", route="proxy")], set()),
}


@pytest.mark.parametrize("case", HANDSHAKES)
def test_handshakes(case):
    observations, expected = HANDSHAKES[case]
    assert set(judge(*observations)) == expected


CHAINS = {
    "genuine": ([chain(*GENUINE, public=True)], "direct", HOST, None),
    "genuine, root missing here": (
        [chain(*GENUINE, public=True, faults=("root-missing-locally",))],
        "direct",
        HOST,
        None,
    ),
    "intermediate missing": ([chain(GENUINE[0], faults=("incomplete",))], "direct", HOST, None),
    "private server": ([chain(PRIVATE, host=PRIVATE_HOST)], "direct", PRIVATE_HOST, None),
    "private server, untrusted": (
        [chain(PRIVATE, host=PRIVATE_HOST, faults=("untrusted-root",))],
        "direct",
        PRIVATE_HOST,
        None,
    ),
    "a device's own page": (
        [chain(FORTIGATE_PAGE, host=PRIVATE_HOST, faults=("untrusted-root",))],
        "direct",
        PRIVATE_HOST,
        None,
    ),
    "the user vouches for the store": ([chain(CORPORATE, vouched=True)], "direct", HOST, None),
    "the other way is intercepted": (
        [chain(*GENUINE, public=True), chain(ZSCALER, route="proxy", faults=("untrusted-root",))],
        "direct",
        HOST,
        None,
    ),
    "replaced, trusted here": ([chain(CORPORATE)], "direct", HOST, "warning"),
    "replaced, not trusted": ([chain(CORPORATE, faults=("untrusted-root",))], "direct", HOST, "error"),
    "replaced, issuer not sent": ([chain(CORPORATE, faults=("incomplete",))], "direct", HOST, "error"),
    "replaced by a wrong name": ([chain(CORPORATE, faults=("name-mismatch",))], "direct", HOST, "error"),
    "self-signed for a public service": ([chain(SELF_SIGNED, faults=("untrusted-root",))], "direct", HOST, "error"),
    "vouched for, yet untrusted": (
        [chain(CORPORATE, vouched=True, faults=("untrusted-root",))],
        "direct",
        HOST,
        "error",
    ),
    "vendor, vouched for": ([chain(ZSCALER, vouched=True)], "direct", HOST, "warning"),
    "vendor, unknown host": (
        [chain(element(f"CN={PRIVATE_HOST}", "CN=FG100F-CA,O=Fortinet"), host=PRIVATE_HOST)],
        "direct",
        PRIVATE_HOST,
        "warning",
    ),
    "vendor's name above a public root": ([chain(ZSCALER, public=True)], "direct", HOST, None),
    "only through the proxy, unknown host": (
        [
            chain(element(f"CN={PRIVATE_HOST}", "CN=Contoso Inspection CA"), host=PRIVATE_HOST, route="proxy"),
            chain(PRIVATE, host=PRIVATE_HOST, public=True),
        ],
        "proxy",
        PRIVATE_HOST,
        "warning",
    ),
    "the same incomplete leaf both ways": (
        [
            chain(PRIVATE, host=PRIVATE_HOST, route="proxy", faults=("incomplete",)),
            chain(PRIVATE, host=PRIVATE_HOST, public=True),
        ],
        "proxy",
        PRIVATE_HOST,
        None,
    ),
}


@pytest.mark.parametrize("case", CHAINS)
def test_interception(case):
    observations, route, host, severity = CHAINS[case]
    found = judge(*observations, route=route, host=host)
    assert {identifier: finding.severity for identifier, finding in found.items()} == (
        {"tls.intercepted": severity} if severity else {}
    )
    if severity:
        assert found["tls.intercepted"].blame == "tls-interceptor"


def test_interception_explains_what_it_breaks():
    found = judge(chain(ZSCALER, faults=("name-mismatch", "untrusted-root")))
    assert set(found) == {"tls.intercepted"}
    assert "tls.name-mismatch" in found["tls.intercepted"].folded


def test_interception_says_which_way_has_which_issuer():
    finding = judge(
        chain(ZSCALER, route="proxy", faults=("untrusted-root",)), chain(*GENUINE, public=True), route="proxy"
    )["tls.intercepted"]
    assert finding.summary == (
        f"The certificate of {HOST} was replaced on the way: it was issued by "
        "'Zscaler Intermediate Root CA (zscaler.net)' (Zscaler) through the proxy, "
        "but by 'Microsoft Azure RSA TLS Issuing CA 03' directly"
    )
    assert finding.culprit.name == "Zscaler"
    assert finding.evidence == ("chain.proxy", "chain.direct")
    assert "the Zscaler device" in finding.remedy


def test_interception_by_the_same_device_both_ways():
    finding = judge(chain(CORPORATE, route="proxy"), chain(CORPORATE), route="proxy")["tls.intercepted"]
    assert "'Contoso Inspection CA' through the proxy and also directly" in finding.summary
    assert finding.culprit.name == "Contoso Inspection CA"


def test_a_block_page_certificate_still_names_the_vendor():
    finding = judge(chain(FORTIGATE_PAGE, faults=("untrusted-root", "name-mismatch")))["tls.intercepted"]
    assert finding.culprit.name == "Fortinet FortiGate"


def test_name_mismatch_lists_at_most_five_names():
    names = tuple(f"n{i}.example.test" for i in range(7))
    leaf = element("CN=n0.example.test", "CN=Contoso Issuing CA", names=names)
    found = judge(chain(leaf, host=PRIVATE_HOST, faults=("name-mismatch",)), host=PRIVATE_HOST)
    assert set(found) == {"tls.name-mismatch"}
    finding = found["tls.name-mismatch"]
    assert (finding.severity, finding.blame) == ("error", "server")
    assert "n4.example.test and 2 more, not for intranet.example.test" in finding.summary
    assert "n5.example.test" not in finding.summary


def test_name_mismatch_without_names_falls_back_on_the_subject():
    leaf = element("O=Contoso,CN=old\\, box", "CN=Contoso Issuing CA")
    found = judge(chain(leaf, host=PRIVATE_HOST, faults=("name-mismatch",)), host=PRIVATE_HOST)
    assert "is for old, box (it lists no names)" in found["tls.name-mismatch"].summary


def test_sni_filter_names_the_name_and_what_worked():
    finding = judge(*CUT_THREE, tls("other-name"), tls("no-name"))["tls.sni-filtered"]
    assert (finding.severity, finding.blame) == ("error", "path-device")
    assert repr(HOST) in finding.summary
    assert "'www.example.com' and no name" in finding.summary
    assert "reset right after the ClientHello" in finding.summary
    assert finding.folded == ("tls.interrupted",)


def test_sni_filter_behind_the_proxy_is_the_proxys():
    finding = judge(
        *(tls(purpose, "reset", route="proxy") for purpose in ("main", "repeat")),
        tls("other-name", route="proxy"),
        route="proxy",
    )["tls.sni-filtered"]
    assert finding.blame == "proxy"
    assert "proxy" in finding.remedy


@pytest.mark.parametrize(
    ("main", "words"),
    [
        (tls(kind="reset"), "reset right after the ClientHello"),
        (tls(kind="eof"), "closed right after the ClientHello"),
        (tls(kind="timeout"), "no answer to the ClientHello within 8 s"),
        (tls(kind="reset", received=90), "reset after 90 bytes of the answer"),
        (tls(kind="eof", received=90), "closed after 90 bytes of the answer"),
        (tls(kind="timeout", received=90), "silence after 90 bytes of the answer"),
    ],
)
def test_interrupted_says_how_and_when(main, words):
    finding = judge(main)["tls.interrupted"]
    assert words in finding.summary
    assert f"{HOST}:443 ({ADDRESS})" in finding.summary
    assert (finding.severity, finding.blame) == ("error", "unknown")
    assert ("MTU" in finding.remedy) == ("silence" in words)


def test_interrupted_learns_from_the_controls():
    assert judge(tls(kind="reset"), tls("repeat"))["tls.interrupted"].severity == "warning"
    finding = judge(tls(kind="reset"), tls("repeat", "reset"), tls("tls1.2-only"))["tls.interrupted"]
    assert "with TLS 1.2 alone it works" in finding.summary
    assert finding.evidence == ("tls.direct.main", "tls.direct.repeat", "tls.direct.tls1.2-only")


@pytest.mark.parametrize("kind", ["reset", "tls-alert"])
@pytest.mark.parametrize(
    ("route", "other", "blame"), [("proxy", "direct", "proxy"), ("direct", "proxy", "path-device")]
)
def test_the_other_way_tells_whose_fault_it_is(kind, route, other, blame):
    found = judge(tls(kind=kind, route=route), tls(route=other), route=route)
    assert [finding.blame for finding in found.values()] == [blame]


def test_version_unsupported_names_the_versions():
    finding = judge(tls(kind="tls-alert", alert="protocol_version"), tls("legacy-versions", version="TLSv1"))[
        "tls.version-unsupported"
    ]
    assert "speaks only TLS 1.0: it refuses TLS 1.2 to TLS 1.3 with protocol_version" in finding.summary
    assert (finding.severity, finding.blame) == ("error", "server")
    assert finding.folded == ("tls.handshake-failed",)


def test_client_certificate_folds_its_symptom():
    finding = judge(tls(kind="tls-alert", alert="handshake_failure", requested=True))["tls.client-certificate-required"]
    assert (finding.severity, finding.blame) == ("error", "this-machine")
    assert finding.folded == ("tls.handshake-failed",)


def test_client_certificate_explains_a_fetch_that_came_to_nothing():
    found = findings(Seen(Target(host=HOST), "direct", [tls(requested=True), https("tls-alert")]))
    assert [finding.id for finding in found] == ["tls.client-certificate-required"]
    assert found[0].evidence == ("tls.direct.main", "https.direct")


@pytest.mark.parametrize(
    ("banner", "protocol"),
    [
        ("HTTP/1.1 400 Bad Request\r\n", "HTTP"),
        ("<html><body>", "HTTP"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "SSH"),
        ("220 mail.example.test ESMTP\r\n", "SMTP"),
        ("220 (vsFTPd 3.0.5)\r\n", "FTP"),
        ("J\x00\x00\x00\x0a8.0.36\x00", "MySQL"),
        ("\x00\xff\x00", "something else"),
    ],
)
def test_what_the_port_speaks_instead(banner, protocol):
    finding = judge(tls(kind="tls-malformed", not_tls=banner))["tls.handshake-failed"]
    assert finding.summary == f"{HOST}:443 ({ADDRESS}) does not speak TLS: it answers with {protocol}"
    assert ("http://" in finding.remedy) == (protocol == "HTTP")
    assert finding.blame == "server"


@pytest.mark.parametrize(
    ("main", "identifier", "words"),
    [
        (tls("proxy", "reset", route="proxy", name="proxy.test"), "tls.interrupted", "reset right after"),
        (
            tls("proxy", "tls-malformed", route="proxy", name="proxy.test", not_tls="HTTP/1.1 400"),
            "tls.handshake-failed",
            "the proxy proxy.test:443 does not speak TLS: it answers with HTTP",
        ),
    ],
)
def test_a_proxy_that_is_reached_by_tls(main, identifier, words):
    found = judge(main, tls(), route="proxy")
    assert set(found) == {identifier}
    assert words in found[identifier].summary
    assert found[identifier].blame == "proxy"
    assert "http://" in found[identifier].remedy


def test_the_certificate_of_the_proxy_is_not_the_targets():
    leaf = element("CN=old.test", "CN=Contoso Issuing CA", names=("old.test",))
    mismatch = chain(leaf, host="proxy.test", route="proxy", faults=("name-mismatch",))
    finding = judge(mismatch, route="proxy")["tls.name-mismatch"]
    assert finding.blame == "proxy"
    assert finding.summary == "The certificate that the proxy proxy.test presents is for old.test, not for proxy.test"


def test_an_alert_is_named_with_its_meaning():
    main = tls(kind="tls-alert", alert="internal_error", detail="internal_error: an error of its own")
    finding = judge(main)["tls.handshake-failed"]
    assert "internal_error: an error of its own" in finding.summary
    assert "internal_error" in finding.remedy


@pytest.mark.parametrize(
    ("name", "vendor"),
    [
        ("CN=Zscaler Root CA", "Zscaler"),
        ("CN=FGT60E4Q16000000,O=Fortinet", "Fortinet FortiGate"),
        ("CN=Cisco Umbrella Root CA,O=Cisco", "Cisco Umbrella"),
        ("CN=ca,O=Cisco", "Cisco"),
        ("CN=caadmin.netskope.com", "Netskope"),
        ("CN=DO_NOT_TRUST_FiddlerRoot", "Fiddler"),
        ("CN=avast! Web/Mail Shield Root", "Avast"),
        ("CN=ESET SSL Filter CA", "ESET"),
        ("CN=mitmproxy,O=mitmproxy", "mitmproxy"),
        ("CN=SonicWALL Firewall DPI-SSL", "SonicWall"),
        ("CN=Gateway CA - Cloudflare Managed G1", "Cloudflare Gateway"),
        ("CN=DigiCert Global Root G2,O=DigiCert Inc", ""),
        ("CN=Microsoft Azure RSA TLS Issuing CA 03,O=Microsoft Corporation", ""),
        ("CN=Cloudflare Inc ECC CA-3,O=Cloudflare\\, Inc.", ""),
        ("CN=Reset Nortonville Root,O=Charles & Sons", ""),
    ],
)
def test_vendors(name, vendor):
    assert vendor_of(name) == vendor


def test_a_file_for_another_name_is_no_proxys():
    leaf = element("CN=a.test", "CN=R", names=("a.test",))
    of_file = msgspec.structs.replace(chain(leaf, host="another.test", faults=("name-mismatch",)), source="file")
    finding = judge(of_file)["tls.name-mismatch"]
    assert finding.blame == "server"
    assert finding.summary == "The certificate is for a.test, not for another.test"
