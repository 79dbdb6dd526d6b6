"""Retrieval from real servers: nginx, openssl ocsp and slapd, straight and through squid."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from lab_certificate_servers import (
    AIA,
    CA_DN,
    CDP,
    FRESHEST,
    HELPERS,
    OCSP_URL,
    REFERRAL_DN,
    SEVERAL_DN,
    SUFFIX,
    TOOLS,
    CertificateServers,
    http,
    ldap,
)
from lab_services import CERTIFICATES, PASSWORD, PROXY, USER
from lab_topology import FIREWALL
from lab_world import Lab, Setting

from tests import support

OPEN, BASIC = f"http://{PROXY}:3128", f"http://{PROXY}:3129"


@pytest.fixture(scope="module")
def servers(lab: Lab) -> Iterator[CertificateServers]:
    support.require_tools(*TOOLS)
    support.require_files(*HELPERS)
    with CertificateServers(lab) as found:
        yield found


@pytest.fixture
def ask(lab: Lab, servers: CertificateServers):
    def run(*requests: tuple[str, str, bytes], setting: Setting = Setting(), **options: Any) -> list[dict[str, Any]]:  # noqa: B008 - frozen
        asked = [(url, purpose, base64.b64encode(body).decode()) for url, purpose, body in requests]
        done = lab.execute(
            setting,
            [sys.executable, "-m", "tests.lab.lab_retrieve"],
            json.dumps({"requests": asked, **options}).encode(),
        )
        assert done.returncode == 0, f"{done.stderr.decode()}\n{lab.logs()}"
        rows = json.loads(done.stdout)
        for row in rows:
            if "answer" in row:
                row["answer"] = base64.b64decode(row["answer"])
        return rows

    return run


def told(row: dict[str, Any]) -> str:
    assert "answer" not in row, row
    return f"{row['kind']} {row['step']}: {row['detail']}"


def test_every_url_of_a_certificate(ask, servers):
    files = servers.files
    rows = ask(
        *((url, "aia", b"") for url in AIA),
        *((url, "cdp", b"") for url in CDP),
        *((url, "delta", b"") for url in FRESHEST),
    )
    assert [row.get("detail", "") for row in rows] == [""] * 6
    assert [row["method"] for row in rows] == ["GET", "LDAP"] * 3
    assert rows[0]["answer"] == rows[1]["answer"] == files["issuing.crt"]
    base, delta = (x509.load_der_x509_crl(row["answer"]) for row in (rows[2], rows[4]))
    assert rows[2]["answer"] == rows[3]["answer"]
    assert rows[4]["answer"] == rows[5]["answer"]
    assert base.get_revoked_certificate_by_serial_number(servers.revoked.certificate.serial_number)
    assert delta.get_revoked_certificate_by_serial_number(servers.revoked_lately.certificate.serial_number)


@pytest.mark.parametrize(("algorithm", "method"), [(hashes.SHA1(), "GET"), (hashes.SHA512(), "POST")])
def test_the_responder_answers_both_methods(ask, servers, algorithm, method):
    good = servers.issue(f"good-{method.lower()}.contoso.test")
    issuer = servers.issuing.certificate
    asked = [
        ocsp.OCSPRequestBuilder().add_certificate(identity.certificate, issuer, algorithm).build()
        for identity in (good, servers.revoked, servers.revoked_lately)
    ]
    rows = ask(*((OCSP_URL, "ocsp", one.public_bytes(Encoding.DER)) for one in asked))
    assert [row.get("detail", "") for row in rows] == [""] * 3
    assert [(row["method"], row["http_status"]) for row in rows] == [(method, 200)] * 3
    answers = [ocsp.load_der_ocsp_response(row["answer"]) for row in rows]
    states = [answer.certificate_status.name for answer in answers]
    assert states == ["GOOD", "REVOKED", "REVOKED"]


def test_a_directory_with_several_values_and_one_that_refers(ask, servers):
    several, referred, gone, without = ask(
        (ldap(SEVERAL_DN, "cACertificate"), "aia", b""),
        (ldap(REFERRAL_DN, "cACertificate"), "aia", b""),
        (ldap(f"cn=Gone,{SUFFIX}", "cACertificate"), "aia", b""),
        (ldap(SEVERAL_DN, "certificateRevocationList"), "cdp", b""),
    )
    found = set(x509.load_pem_x509_certificates(several["answer"]))
    assert found == {servers.issuing.certificate, servers.root.certificate}
    assert "LDAP result 10 (referral): referred to ldap://elsewhere.contoso.test/" in told(referred)
    assert told(gone) == "unknown search: LDAP result 32 (noSuchObject)"
    assert told(without) == "unknown search: the directory has no certificateRevocationList;binary there"


def test_ldaps_is_verified(ask, servers, lab):
    url = ldap(CA_DN, "cACertificate", "ldaps")
    (good,) = ask((url, "aia", b""), trust=str(lab.file("root.pem")))
    (bad,) = ask((url, "aia", b""), trust=str(lab.file("interceptor.pem")))
    assert good["answer"] == servers.files["issuing.crt"]
    assert told(bad).startswith("certificate verify: the certificate of ldap.contoso.test is not trusted")


def test_what_misbehaves_is_bounded_and_told(ask):
    names = ("gone", "broken", "moved", "loop", "to-file", "page", "huge", "slow")
    gone, broken, moved, loop, to_file, page, huge, slow = ask(
        *((http(name), "cdp", b"") for name in names), timeout_s=2.0
    )
    assert told(gone) == "unknown fetch: HTTP status 404 Not Found, a page '404 Not Found'"
    assert "503 Service Temporarily Unavailable" in told(broken)
    assert (moved["final_url"], moved["http_status"]) == (http("issuing.crl"), 200)
    assert moved["answer"]
    assert told(loop).startswith("too-many-redirects redirect: redirects in a circle: ")
    assert "redirected to 'file:///etc/passwd'" in told(to_file)
    assert told(page) == "web-page fetch: a web page in place of a CRL: 'Welcome'"
    assert "said to have 2147483648 bytes" in told(huge)
    assert told(slow).startswith("timeout fetch: the answer did not end in time: ")


def test_through_an_open_proxy(ask, servers):
    one = ocsp.OCSPRequestBuilder().add_certificate(
        servers.revoked.certificate, servers.issuing.certificate, hashes.SHA512()
    )
    crl, answer, direct = ask(
        (CDP[0], "cdp", b""),
        (OCSP_URL, "ocsp", one.build().public_bytes(Encoding.DER)),
        (CDP[1], "cdp", b""),
        proxy=OPEN,
    )
    assert (crl["proxy"], crl["http_status"]) == (OPEN, 200)
    assert crl["answer"] == direct["answer"]
    assert (answer["proxy"], answer["method"]) == (OPEN, "POST")
    assert ocsp.load_der_ocsp_response(answer["answer"]).certificate_status.name == "REVOKED"
    assert (direct["proxy"], direct["method"]) == ("", "LDAP")


def test_a_proxy_that_refuses_or_cannot_get_there_says_so_itself(ask):
    blocked, dead, gone, unknown = ask(
        ("http://blocked.contoso.test/issuing.crl", "cdp", b""),
        ("http://20.42.1.99/issuing.crl", "cdp", b""),  # nobody has this address
        (http("gone"), "cdp", b""),
        ("http://nobody.contoso.test/issuing.crl", "cdp", b""),
        proxy=OPEN,
    )
    assert told(blocked).startswith(f"proxy-status fetch: proxy {OPEN} itself answered: HTTP status 403 Forbidden")
    assert "(X-Squid-Error: ERR_ACCESS_DENIED 0)" in told(blocked)
    assert told(dead).startswith(f"proxy-status fetch: proxy {OPEN} itself answered: HTTP status 503")
    assert told(unknown).startswith(f"proxy-status fetch: proxy {OPEN} itself answered: HTTP status 50")
    assert told(gone).startswith("unknown fetch: HTTP status 404 Not Found")
    assert f"through the proxy {OPEN}" in told(gone)


def test_a_proxy_that_wants_a_login(ask):
    (good,) = ask((CDP[0], "cdp", b""), proxy=BASIC, credentials=(USER, PASSWORD))
    (none,) = ask((CDP[0], "cdp", b""), proxy=BASIC)
    (wrong,) = ask((CDP[0], "cdp", b""), proxy=BASIC, credentials=(USER, "wrong-password"))
    assert (good["proxy"], good["http_status"]) == (BASIC, 200)
    assert good["answer"]
    assert (none["http_status"], wrong["http_status"]) == (407, 407)
    assert told(none).startswith(f"proxy-authentication fetch: proxy {BASIC}: the proxy answered 407")
    assert told(none).endswith("; it offers Basic")
    assert told(wrong).startswith("proxy-authentication fetch: ")
    assert "wrong-password" not in json.dumps([none, wrong])


def test_a_firewall_that_drops_or_refuses(ask):
    to = f"ip daddr {CERTIFICATES} tcp dport"
    rules = f"{to} 80 drop\n{to} 389 reject with icmpx admin-prohibited"
    dropped, refused = ask((CDP[0], "cdp", b""), (CDP[1], "cdp", b""), setting=Setting(forward=rules), timeout_s=1.0)
    assert told(dropped).startswith("timeout connect: certs.contoso.test port 80: ")
    assert told(refused).startswith("prohibited connect: ldap.contoso.test port 389: ")
    assert told(refused).partition(";")[0].endswith(f", reported by {FIREWALL}")
