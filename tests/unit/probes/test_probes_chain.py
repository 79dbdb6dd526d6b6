"""The chain probe: what it observes, and what it fetches over a real loopback socket."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from netdiag.model import TlsObservation
from netdiag.probes import chain
from netdiag.probes.net import Deadline, Net, Step
from tests.certs import AT, HOST, Issued, authority, make, rsa_key, store
from tests.listener import Listener

ROOT = authority("Test Root CA", ends=3000)
SUB = authority("Test Issuing CA 1", ROOT)
URL = "http://ca.test/sub.crt"
LEAF = make(HOST, SUB, hosts=[HOST], aia=[URL])
WEAK_ROOT = authority("Weak Root", private_key=rsa_key(1024), ends=3000)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
STEP = Step("chain.direct", "tls.direct.main")


def observed(*issued: Issued) -> TlsObservation:
    return TlsObservation(id="tls.direct.main", address="192.0.2.1", port=443, chain=tuple(i.der for i in issued))


def verify(*issued: Issued, roots=(ROOT,), public=(ROOT,), step=STEP, net=None):
    return chain.verify(observed(*issued), HOST, store(*roots), store(*public), AT, step, net=net)


@contextlib.contextmanager
def server(answer: bytes) -> Iterator[tuple[Net, list[bytes]]]:
    """A server on loopback that gives this answer; ca.test leads there."""
    requests: list[bytes] = []

    def handle(sock: socket.socket) -> None:
        requests.append(sock.recv(65536))
        sock.sendall(answer)

    with Listener(handle) as listener:
        here = listener.address
        yield Net(lambda a: here if a.port == 80 else a, lambda name: ("192.0.2.80",)), requests


def test_a_good_chain_is_observed():
    found = verify(LEAF, SUB)
    assert (found.outcome, found.failure, found.faults) == ("ok", None, ())
    assert (found.id, found.parent, found.host, found.at) == ("chain.direct", "tls.direct.main", HOST, AT)
    assert (found.stores, found.store_size, found.store_vouched) == (("test",), 1, False)
    assert found.publicly_trusted
    assert not found.has_digicert_g2
    assert len(found.elements) == 3


def test_a_refused_chain_is_a_failure():
    found = verify(LEAF, SUB, roots=(), public=())
    assert (found.outcome, found.failure.kind, found.failure.step) == ("failed", "certificate", "verify")
    assert "not in the trust store" in found.failure.detail


def test_a_small_key_of_a_trusted_root_refuses_nothing():
    leaf = make(HOST, WEAK_ROOT, hosts=[HOST])
    found = verify(leaf, roots=(WEAK_ROOT,))
    assert ([f.kind for f in found.faults], found.outcome) == (["weak-key"], "ok")
    assert verify(leaf, WEAK_ROOT, roots=()).outcome == "failed"


def test_no_certificate_is_a_failure():
    assert verify().failure.kind == "certificate"


@pytest.mark.parametrize(
    "answer",
    [
        HEAD % len(SUB.der) + SUB.der,
        b"HTTP/1.0 200 OK\r\n\r\n" + SUB.pem,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(SUB.der) + SUB.der + b"\r\n0\r\n\r\n",
    ],
)
def test_a_missing_intermediate_is_fetched(answer):
    with server(answer) as (net, requests):
        found = verify(LEAF, net=net)
    assert [f.kind for f in found.faults] == ["incomplete"]
    assert found.elements[1].subject == "CN=Test Issuing CA 1,O=Contoso"
    assert URL in found.faults[0].detail
    assert found.publicly_trusted
    assert requests[0].startswith(b"GET /sub.crt HTTP/1.1\r\nHost: ca.test\r\n")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "HTTP status 404"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.9/\r\n\r\n", "HTTP status 302"),
        (b"SSH-2.0-x\r\n", "not HTTP"),
        (HEAD % 5000 + b"short", "the connection ended"),
        (b"HTTP/1.1 200", "the connection ended"),
        (b"", "the connection ended"),
        (HEAD % 5 + b"<html", "holds no certificate"),
        (HEAD % 10**9 + b"x" * (chain.MAX_FETCH_BYTES + 1), "more than 256 KiB"),
    ],
)
def test_a_fetch_that_fails_is_told(answer, words):
    with server(answer) as (net, _):
        found = verify(LEAF, net=net)
    assert [f.kind for f in found.faults] == ["incomplete"]
    assert words in found.faults[0].detail
    assert len(found.elements) == 1


@pytest.mark.parametrize("url", ["http://", "http:///x", "http://[::1", "http://a.test:x/", "http://a.test/\r\nX: y"])
def test_a_hostile_url_is_not_asked(url):
    leaf = make(HOST, SUB, hosts=[HOST], aia=[url])
    found = verify(leaf, net=Net(lookup=lambda name: pytest.fail(name)))
    assert "not a usable URL" in found.faults[0].detail


def test_a_name_that_hangs_costs_no_more_than_the_deadline():
    release = threading.Event()

    def hang(name: str) -> tuple[str, ...]:
        release.wait(30)
        return ()

    net = Net(lookup=hang)
    found = chain.verify(observed(LEAF), HOST, store(ROOT), store(ROOT), AT, STEP, net=net, deadline=Deadline(0.05))
    release.set()
    assert "no answer in time" in found.faults[0].detail


def test_nothing_is_fetched_behind_a_proxy_or_without_need():
    net = Net(lookup=lambda name: pytest.fail(name))
    assert verify(LEAF, step=Step("chain.proxy", None, "proxy"), net=net).faults[0].kind == "incomplete"
    assert verify(LEAF, SUB, net=net).outcome == "ok"
    assert verify(LEAF, SUB, roots=(), net=net).faults[0].kind == "root-missing-locally"
