"""The verification of TLS servers that certificates' URLs name, with a real handshake on loopback."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest

from netdiag.model import Failure
from netdiag.pki.path import Fetch
from netdiag.probes.net import Deadline
from netdiag.probes.retrieval import Retriever
from netdiag.probes.retrieval_tls import verifier
from tests.certs import AT, authority, make, store
from tests.listener import Listener
from tests.web import answer, machine, read_request

ROOT = authority("Test Root CA", ends=3000)
LEAF = make("crl.test", ROOT, hosts=["crl.test"])


@pytest.fixture
def context(tmp_path: Path) -> ssl.SSLContext:
    pem = tmp_path / "leaf.pem"
    pem.write_bytes(LEAF.pem + LEAF.key_pem)
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(pem)
    return found


@pytest.mark.parametrize(
    ("host", "roots", "detail"),
    [
        ("crl.test", (ROOT,), ""),
        ("crl.test", (), "the certificate of crl.test is not trusted: "),
        ("other.test", (ROOT,), "the certificate of other.test is not trusted: "),
    ],
)
def test_only_a_trusted_server_is_asked(context, host, roots, detail):
    asked = []

    def handle(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as secured:
            if request := read_request(secured):
                asked.append(request)
                secured.sendall(answer(b"crl"))

    secure = verifier(store(*roots), store(*roots), lambda: AT)
    with Listener(handle) as server:
        there = Retriever(machine({f"{host}:443": server}), secure=secure)
        (found,) = there.retrieve([Fetch(f"https://{host}/", "cdp")], Deadline(30))
    if not detail:
        assert found.answer == b"crl"
        return
    assert isinstance(found.answer, Failure)
    assert (found.answer.kind, found.answer.step) == ("certificate", "verify")
    assert found.answer.detail.startswith(detail)
    assert asked == []


def test_a_handshake_that_fails_is_told():
    with Listener(lambda sock: sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as server:
        secure = verifier(store(), store(), lambda: AT)
        there = Retriever(machine({"crl.test:443": server}), secure=secure)
        (found,) = there.retrieve([Fetch("https://crl.test/")], Deadline(30))
    assert isinstance(found.answer, Failure)
    assert found.answer.step == "handshake"
    assert found.answer.detail.startswith("TLS with crl.test: ")
