"""Retrieval over HTTP from servers on loopback, each of which misbehaves in its own way."""

from __future__ import annotations

import base64
import contextlib
import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from netdiag.model import Failure
from netdiag.pki.path import Fetch
from netdiag.probes import retrieval, retrieval_http, tls
from netdiag.probes.failure import FailedError
from netdiag.probes.machine import Machine
from netdiag.probes.net import Address, Deadline, Net, Step, Stream
from netdiag.probes.retrieval import Fetched, Retriever
from tests.certs import make
from tests.listener import Listener
from tests.web import Asked, Web, answer, machine, read_request

CRL = b"\x30\x03\x02\x01\x07"
GOOD = b"\x30\x03\x0a\x01\x00"  # an OCSPResponse: successful
MALFORMED = b"\x30\x03\x0a\x01\x01"  # ... malformedRequest
URL = "http://crl.test/a.crl"


def one(there: Machine, fetch: Fetch | str, seconds: float = 10, **options: object) -> Fetched:
    asked = Fetch(fetch, "cdp") if isinstance(fetch, str) else fetch
    (found,) = Retriever(there, **options).retrieve([asked], Deadline(seconds))  # type: ignore[arg-type]
    assert found.fetch == asked
    return found


def served(react: Callable[[Asked], bytes] | bytes, fetch: Fetch | str = URL) -> tuple[Fetched, list[Asked]]:
    with Web(react if callable(react) else lambda _: react) as web:
        return one(machine({"crl.test:80": web}), fetch), web.log


def failure(found: Fetched) -> tuple[str, str, str]:
    assert isinstance(found.answer, Failure)
    return found.answer.kind, found.answer.step, found.answer.detail


def test_a_crl_is_retrieved():
    found, (asked,) = served(answer(CRL), "http://CRL.test:80/My CA.crl?x=1#part")
    assert (found.answer, found.received, found.http_status, found.method) == (CRL, 5, 200, "GET")
    assert (found.proxy, found.cached, found.final_url) == ("", False, "http://crl.test/My%20CA.crl?x=1")
    assert found.started > 1e9
    assert asked.line == "GET /My%20CA.crl?x=1 HTTP/1.1"
    assert asked.fields == {
        "host": "crl.test",
        "user-agent": "netdiag",
        "accept": "*/*",
        "accept-encoding": "identity",
        "connection": "close",
    }


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.0 200 OK\n\n" + CRL,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n"
        + CRL[:2]
        + b"\r\n3;x=y\r\n"
        + CRL[2:]
        + b"\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + answer(CRL),
        answer(CRL, "203 Non-Authoritative Information"),
        answer(gzip.compress(CRL, mtime=0), "200 OK", "Content-Encoding: gzip"),
        answer(CRL) + b"more than was announced",
    ],
)
def test_every_framing_is_understood(sent):
    assert served(sent)[0].answer == CRL


@pytest.mark.parametrize(
    ("sent", "kind", "words"),
    [
        (answer(b"gone", "404 Not Found"), "unknown", "HTTP status 404 Not Found"),
        (answer(b"<html><title>Oops\n here</title>", "500 Broken"), "unknown", "500 Broken, a page 'Oops here'"),
        (answer(b"", "302 Found"), "unknown", "HTTP status 302 Found"),
        (answer(b""), "http-malformed", "nothing in it"),
        (answer(b"", "204 No Content"), "unknown", "HTTP status 204"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", "eof", "in the middle of the answer, after 5 bytes"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", "eof", "in the middle"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "http-malformed", "not a chunk size"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\n", "http-malformed", "not one number"),
        (b"HTTP/1.1 200 OK\r\n", "eof", "before an answer came"),
        (b"", "eof", "before an answer came"),
        (b"SSH-2.0-x\r\n", "http-malformed", "not HTTP"),
        (
            answer(b"\xef\xbb\xbf\n<!DOCTYPE html><title>Log in</title>"),
            "web-page",
            "in place of a CRL: 'Log in'",
        ),
        (answer(CRL, "200 OK", "Content-Encoding: br"), "http-malformed", "content coding 'br'"),
        (answer(CRL, "200 OK", "Content-Encoding: gzip"), "http-malformed", "is no gzip"),
        (answer(gzip.compress(CRL, mtime=0)[:-9], "200 OK", "Content-Encoding: gzip"), "http-malformed", "cut short"),
    ],
)
def test_what_is_no_answer_is_a_failure(sent, kind, words):
    found, _ = served(sent)
    assert failure(found)[:2] == (kind, "fetch")
    assert words in failure(found)[2]


def test_an_answer_that_says_it_is_too_large_is_not_read():
    found, _ = served(b"HTTP/1.1 200 OK\r\nContent-Length: 2147483648\r\n\r\n", Fetch(URL))
    assert failure(found) == (
        "http-malformed",
        "fetch",
        "the answer is said to have 2147483648 bytes: no more than 256 KiB are taken",
    )


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"])
def test_an_endless_answer_is_cut(head):
    def handle(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(head)
        while True:
            sock.sendall(b"8000\r\n" + b"x" * 0x8000 + b"\r\n")

    with Listener(handle) as server:
        found = one(machine({"crl.test:80": server}), Fetch(URL, "aia"))
    assert failure(found)[2] == "the answer was cut off: no more than 256 KiB are taken"
    assert 256 * 1024 < found.received < 512 * 1024


def test_a_small_answer_that_expands_is_cut():
    found, _ = served(answer(gzip.compress(b"x" * 10**6), "200 OK", "Content-Encoding: gzip"), Fetch(URL, "aia"))
    assert failure(found)[2] == "the answer expands beyond 256 KiB"


def test_all_answers_together_are_bounded(monkeypatch):
    monkeypatch.setattr(retrieval, "MAX_TOTAL", 1 << 20)
    with Web(lambda _: answer(b"\x30" * 700_000)) as web:
        there = Retriever(machine({"crl.test:80": web}))
        first = there.retrieve([Fetch(f"{URL}1", "cdp")], Deadline(10))
        second = there.retrieve([Fetch(f"{URL}2", "cdp")], Deadline(10))
    assert isinstance(first[0].answer, bytes)
    assert failure(second[0]) == ("cancelled", "fetch", "more than 1 MiB came from all URLs together")


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"", "no answer in time"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "did not end in time: 3 bytes came"),
    ],
)
def test_a_server_that_falls_silent_costs_no_more_than_the_timeout(sent, words):
    release = threading.Event()

    def handle(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(sent)
        release.wait(30)

    with Listener(handle) as server:
        found = one(machine({"crl.test:80": server}), URL, timeout_s=0.2)
        release.set()
    assert failure(found)[:2] == ("timeout", "fetch")
    assert words in failure(found)[2]


def test_names_and_ports_that_lead_nowhere():
    with Listener(lambda sock: None) as gone:
        there = machine({"closed.test:80": gone, "hole.test:80": None})
    found = Retriever(there, timeout_s=0.2).retrieve(
        [Fetch(f"http://{host}.test/") for host in ("closed", "hole", "other")], Deadline(10)
    )
    assert [failure(f)[:2] for f in found] == [("refused", "connect"), ("timeout", "connect"), ("nxdomain", "lookup")]
    assert failure(found[0])[2].startswith("closed.test port 80: ")
    assert failure(found[2])[2].startswith("other.test: ")


def test_every_address_of_a_name_is_tried():
    with Listener(lambda sock: None) as gone, Web(lambda _: answer(CRL)) as web:
        gone.close()
        there = {"192.0.2.1": gone.address, "192.0.2.2": web.address}
        net = Net(lambda a: there[a.host], lambda name: tuple(there))
        assert one(Machine(net=net, environment={}), URL).answer == CRL


# -- redirects


def test_redirects_are_followed():
    def react(asked: Asked) -> bytes:
        to = {"/a.crl": "b.crl", "/b.crl": "//Other.test:80/c.crl#x", "/c.crl": ""}[asked.line.split()[1]]
        return answer(b"", "302 Found", f"Location: {to}") if to else answer(CRL)

    with Web(react) as web:
        found = one(machine({"crl.test:80": web, "other.test:80": web}), URL)
    assert (found.answer, found.final_url, found.http_status) == (CRL, "http://other.test/c.crl", 200)
    assert [asked.fields["host"] for asked in web.log] == ["crl.test", "crl.test", "other.test"]


@pytest.mark.parametrize(
    ("location", "kind", "words"),
    [
        ("file:///etc/passwd", "unknown", "redirected to 'file:///etc/passwd': file: URLs are not retrieved"),
        ("ldap://crl.test/cn=x", "unknown", "ldap: is not followed"),
        ("javascript:alert(1)", "unknown", "javascript: URLs are not retrieved"),
        ("http://user:pw@crl.test/", "unknown", "it holds credentials"),
        ("http://[::1/", "unknown", "redirected to 'http://[::1/'"),
        ("a.crl", "too-many-redirects", f"in a circle: {URL} -> {URL}"),
    ],
)
def test_a_redirect_that_is_not_followed(location, kind, words):
    found, log = served(answer(b"", "301 Moved", f"Location: {location}"))
    assert failure(found)[:2] == (kind, "redirect")
    assert words in failure(found)[2]
    assert len(log) == 1


def test_redirects_in_a_wider_circle_and_without_end():
    numbers = iter(range(100))

    def react(asked: Asked) -> bytes:
        path = asked.line.split()[1]
        to = {"/1": "/2", "/2": "/1"}.get(path) or f"/{10 + next(numbers)}"
        return answer(b"", "307 Temporary", f"Location: {to}")

    found, _ = served(react, "http://crl.test/1")
    assert failure(found)[2].endswith("http://crl.test/1 -> http://crl.test/2 -> http://crl.test/1")
    found, log = served(react, "http://crl.test/x")
    assert failure(found) == ("too-many-redirects", "redirect", "more than 5 redirects")
    assert len(log) == 1 + retrieval_http.MAX_REDIRECTS


# -- OCSP

REQUEST = b"\x30\x03\xfb\xff\xfe"
OCSP = Fetch("http://crl.test/ocsp/", "ocsp", REQUEST)


def test_a_short_ocsp_request_is_sent_by_get():
    found, (asked,) = served(answer(GOOD), OCSP)
    assert (found.answer, found.method, found.http_status) == (GOOD, "GET", 200)
    assert asked.line == "GET /ocsp/MAP7%2F%2F4%3D HTTP/1.1"
    assert found.final_url == "http://crl.test/ocsp/MAP7%2F%2F4%3D"


@pytest.mark.parametrize("fetch", [OCSP, Fetch("http://crl.test", "ocsp", REQUEST)])
@pytest.mark.parametrize(
    "refusal",
    [
        answer(b"", "405 Method Not Allowed"),
        answer(b"", "500 No"),
        answer(b"odd"),
        answer(MALFORMED),
        b"SMTP",
        answer(b"<html>"),
    ],
)
def test_post_is_used_when_get_does_not_do(refusal, fetch):
    found, log = served(lambda asked: refusal if asked.line.startswith("GET") else answer(GOOD), fetch)
    assert (found.answer, found.method) == (GOOD, "POST")
    assert log[1].body == REQUEST
    assert (log[1].fields["content-type"], log[1].fields["content-length"]) == ("application/ocsp-request", "5")


@pytest.mark.parametrize(
    "fetch", [Fetch("http://crl.test/", "ocsp", b"\x30" * 200), Fetch("http://crl.test/?q", "ocsp", b"0")]
)
def test_a_long_ocsp_request_or_one_behind_a_query_is_posted(fetch):
    found, (asked,) = served(answer(GOOD), fetch)
    assert (found.answer, found.method, asked.body) == (GOOD, "POST", fetch.body)


def test_the_limit_of_get_is_that_of_the_whole_url():
    start = len("http://crl.test/")
    longest = Fetch("http://crl.test/", "ocsp", b"\0" * ((255 - start) // 4 * 3))  # four characters for three bytes
    assert served(answer(GOOD), longest)[0].method == "GET"
    assert served(answer(GOOD), Fetch(longest.url, "ocsp", longest.body + b"\0\0\0"))[0].method == "POST"


def test_both_methods_refused_are_both_told():
    found, _ = served(lambda asked: answer(b"", "403 No" if asked.line.startswith("GET") else "415 Never"), OCSP)
    assert failure(found) == ("unknown", "fetch", "HTTP status 415 Never; GET: HTTP status 403 No")
    assert (found.method, found.http_status) == ("POST", 415)


def test_the_responders_own_error_is_better_than_none():
    found, _ = served(lambda a: answer(MALFORMED) if a.line.startswith("GET") else answer(b"", "405 No"), OCSP)
    assert (found.answer, found.method, found.http_status) == (MALFORMED, "GET", 200)


def test_a_server_that_is_not_there_is_not_asked_twice():
    found, log = served(b"", OCSP)
    assert (failure(found)[0], found.method, len(log)) == ("eof", "GET", 1)


# -- HTTPS


@contextlib.contextmanager
def tls_server(folder: Path) -> Iterator[Listener]:
    import ssl

    leaf = make("crl.test", hosts=["crl.test"])
    pem = folder / "leaf.pem"
    pem.write_bytes(leaf.pem + leaf.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)

    def handle(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as secured:
            if read_request(secured):
                secured.sendall(answer(CRL))

    with Listener(handle) as server:
        yield server


def handshake_only(stream: Stream, address: Address, deadline: Deadline) -> Stream:
    _, secured = tls.handshake(
        stream, address=address, server_name=address.host, purpose="main", deadline=deadline, step=Step("x")
    )
    assert secured
    return secured


def refusing(stream: Stream, address: Address, deadline: Deadline) -> Stream:
    raise FailedError("certificate", "verify", f"the certificate of {address.host} is not trusted")


def test_https_needs_a_verified_server(tmp_path):
    with tls_server(tmp_path) as server:
        there = machine({"crl.test:443": server})
        good = one(there, "https://crl.test/a", secure=handshake_only)
        bad = one(there, "https://crl.test/a", secure=refusing)
        unable = one(there, "https://crl.test/a")
    assert (good.answer, good.final_url) == (CRL, "https://crl.test/a")
    assert failure(bad) == ("certificate", "verify", "the certificate of crl.test is not trusted")
    assert failure(unable)[1:] == ("handshake", "crl.test: there is no trust store here to verify it with")


# -- proxies

BASIC = "Basic " + base64.b64encode(b"alice:hunter2-s3cret").decode()
REFUSAL = answer(b"<title>Denied</title>", "403 Forbidden", "X-Squid-Error: ERR_ACCESS_DENIED 0")


def test_http_goes_through_the_proxy_in_absolute_form():
    with Web(lambda _: answer(CRL, "200 OK", "Via: 1.1 proxy")) as proxy:
        there = machine({"proxy.test:3128": proxy}, http_proxy="http://proxy.test:3128", no_proxy="direct.test")
        found = one(there, URL)
        past = one(there, "http://direct.test/")
    assert (found.answer, found.proxy) == (CRL, "http://proxy.test:3128")
    assert proxy.lines == [f"GET {URL} HTTP/1.1"]
    assert proxy.log[0].fields["host"] == "crl.test"
    assert (failure(past)[0], past.proxy) == ("nxdomain", "")


def test_an_ocsp_request_is_posted_through_the_proxy_after_a_login():
    def react(asked: Asked) -> bytes:
        if asked.fields.get("proxy-authorization") != BASIC:
            return answer(b"log in", "407 Who", 'Proxy-Authenticate: Basic realm="x"')
        return answer(GOOD) if asked.line.startswith("POST") else answer(b"", "405 No", "Via: 1.1 proxy")

    with Web(react) as proxy:
        there = machine({"proxy.test:3128": proxy})
        found = one(there, OCSP, proxy="proxy.test:3128", credentials=("alice", "hunter2-s3cret"))
    assert (found.answer, found.method, found.proxy) == (GOOD, "POST", "http://proxy.test:3128")
    assert [asked.line.split()[0] for asked in proxy.log] == ["GET", "GET", "POST", "POST"]
    assert proxy.log[3].body == REQUEST
    assert "hunter2" not in repr(found)


def test_a_digest_login_covers_the_method_and_the_url():
    from netdiag.probes.proxy_auth import digest_response, parse_challenges

    def react(asked: Asked) -> bytes:
        given = asked.fields.get("proxy-authorization")
        if given is None:
            return answer(b"", "407 Who", 'Proxy-Authenticate: Digest realm="x", nonce="n", qop="auth"')
        (challenge,) = parse_challenges([given])
        said = challenge.parameters
        wanted = digest_response(
            algorithm="MD5", user="u", password="pw", realm="x", nonce="n", method="GET", uri=URL, qop="auth",
            cnonce=said["cnonce"],
        )  # fmt: skip
        return answer(CRL) if (said["response"], said["uri"]) == (wanted, URL) else answer(b"", "407 Wrong")

    with Web(react) as proxy:
        found = one(machine({"proxy.test:1": proxy}), URL, proxy="u:pw@proxy.test:1")
    assert (found.answer, len(proxy.log)) == (CRL, 2)


def test_a_login_that_fails_names_the_proxy_and_its_schemes():
    with Web(
        lambda _: answer(b"", "407 Who", "Proxy-Authenticate: Bearer", 'Proxy-Authenticate: Basic realm="x"')
    ) as proxy:
        found = one(machine({"proxy.test:3128": proxy}), URL, proxy="proxy.test:3128")
    kind, step, detail = failure(found)
    assert (kind, step, found.http_status) == ("proxy-authentication", "fetch", 407)
    assert detail.startswith("proxy http://proxy.test:3128: the proxy answered 407 Who")
    assert detail.endswith("it offers Bearer, Basic")


@pytest.mark.parametrize(
    ("sent", "kind", "words"),
    [
        (REFUSAL, "proxy-status", "itself answered: HTTP status 403 Forbidden, a page 'Denied' (X-Squid-Error: ERR_"),
        (answer(b"", "502 Bad", "Proxy-Status: p; error=dns_error"), "proxy-status", "(Proxy-Status: p; error=dns"),
        (answer(b"<html><title>Blocked</title>", "200 OK", "Server: Zscaler/6.1"), "proxy-status", "in place of a CRL"),
        (answer(b"", "502 Bad", "Proxy-Status: p; error=x; received-status=502"), "unknown", "through the proxy"),
        (
            answer(b"", "403 Forbidden", "Via: 1.1 p"),
            "unknown",
            "403 Forbidden, through the proxy http://proxy.test:3128",
        ),
        (answer(b"<html>"), "web-page", "which does not say whether the answer is its own"),
        (b"SSH-2.0-x\r\n", "not-a-proxy", "proxy http://proxy.test:3128: not HTTP"),
        (b"", "eof", "the proxy closed the connection without an answer"),
    ],
)
def test_the_proxys_own_answer_is_told_apart(sent, kind, words):
    def handle(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(sent)

    with Listener(handle) as proxy:
        found = one(machine({"proxy.test:3128": proxy}), URL, proxy="proxy.test:3128")
    assert failure(found)[:2] == (kind, "fetch")
    assert words in failure(found)[2]
    assert found.proxy == "http://proxy.test:3128"


def test_a_proxy_that_refuses_is_not_asked_again_by_post():
    with Web(lambda _: REFUSAL) as proxy:
        found = one(machine({"proxy.test:3128": proxy}), OCSP, proxy="proxy.test:3128")
    assert (failure(found)[0], found.method, len(proxy.log)) == ("proxy-status", "GET", 1)


def test_https_goes_through_a_tunnel():
    with Web(lambda _: answer(b"", "403 Forbidden", "Via: 1.1 p")) as proxy:
        there = machine({"proxy.test:3128": proxy}, https_proxy="proxy.test:3128")
        found = one(there, "https://crl.test/", secure=handshake_only)
    assert proxy.lines == ["CONNECT crl.test:443 HTTP/1.1"]
    assert failure(found) == (
        "proxy-status",
        "CONNECT",
        "proxy http://proxy.test:3128: the proxy answered 403 Forbidden",
    )
    assert (found.http_status, found.proxy) == (403, "http://proxy.test:3128")


def test_a_socks_proxy_carries_plain_http():
    def handle(sock: socket.socket) -> None:
        assert sock.recv(3) == b"\x05\x01\x00"
        sock.sendall(b"\x05\x00")
        assert sock.recv(100) == b"\x05\x01\x00\x03\x08crl.test\x00\x50"
        sock.sendall(b"\x05\x00\x00\x01\0\0\0\0\0\0")
        asked = read_request(sock)
        assert asked
        assert asked.line == "GET /a.crl HTTP/1.1"
        sock.sendall(answer(CRL))

    with Listener(handle) as proxy:
        found = one(machine({"proxy.test:1080": proxy}), URL, proxy="socks5://proxy.test")
    assert (found.answer, found.proxy) == (CRL, "socks5://proxy.test:1080")


def test_an_https_proxy_must_be_verified_before_it_learns_anything():
    with Listener(lambda sock: None) as proxy:
        there = machine({"proxy.test:443": proxy})
        found = one(there, URL, proxy="https://u:secret-word@proxy.test", secure=refusing)
    assert failure(found)[:2] == ("certificate", "verify")
    assert failure(found)[2].startswith("proxy https://proxy.test:443: ")
    assert "secret-word" not in repr(found)


def test_a_proxy_that_cannot_be_reached_is_named():
    with Listener(lambda sock: None) as gone:
        there = machine({"proxy.test:3128": gone}, http_proxy="proxy.test:3128")
    found = one(there, URL)
    assert failure(found)[:2] == ("refused", "connect")
    assert failure(found)[2].startswith("proxy http://proxy.test:3128: proxy.test port 3128: ")
    assert found.proxy == "http://proxy.test:3128"


def test_the_next_proxy_or_the_direct_way_is_tried(tmp_path):
    script = tmp_path / "proxy.pac"
    script.write_text('function FindProxyForURL(u, h) { return "PROXY a.test:1; PROXY b.test:2; DIRECT"; }')
    with Listener(lambda sock: None) as gone, Web(lambda _: answer(CRL)) as web:
        gone.close()
        second = one(machine({"a.test:1": gone, "b.test:2": web}), URL, proxy=f"pac:{script}")
        direct = one(machine({"a.test:1": gone, "b.test:2": gone, "crl.test:80": web}), URL, proxy=f"pac:{script}")
    assert (second.answer, second.proxy) == (CRL, "http://b.test:2")
    assert (direct.answer, direct.proxy) == (CRL, "")


def test_a_proxy_setting_that_cannot_be_used_is_told():
    found = one(machine({}, http_proxy="ftp://x"), URL)
    assert failure(found)[:2] == ("proxy-setting", "select")
    assert "http_proxy" in failure(found)[2]
