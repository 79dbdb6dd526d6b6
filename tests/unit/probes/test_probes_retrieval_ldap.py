"""Retrieval from a directory on loopback that speaks LDAP by hand, well and badly."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import pytest

from netdiag.model import Failure
from netdiag.pki.load import load
from netdiag.pki.path import Fetch
from netdiag.probes import retrieval, retrieval_ldap
from netdiag.probes.net import Address, Deadline, Stream
from netdiag.probes.retrieval import Fetched, Retriever
from netdiag.probes.retrieval_url import parse_place
from netdiag.wire import ldap
from tests.certs import authority
from tests.listener import Listener
from tests.web import machine

CRL = b"\x30\x03\x02\x01\x07"
URL = "ldap://dir.test/CN=Lab%20CA,DC=test?certificateRevocationList;binary?base?objectClass=cRLDistributionPoint"


def tlv(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    if len(content) < 0x80:
        return bytes([tag, len(content)]) + content
    size = len(content).to_bytes(4, "big")
    return bytes([tag, 0x84]) + size + content


def text(value: str) -> bytes:
    return tlv(0x04, value.encode())


def message(number: int, operation: bytes) -> bytes:
    return tlv(0x30, tlv(0x02, bytes([number])), operation)


def result(tag: int, code: int = 0, said: str = "", *referrals: str) -> bytes:
    more = [tlv(0xA3, *map(text, referrals))] if referrals else []
    return tlv(tag, tlv(0x0A, bytes([code])), text(""), text(said), *more)


def entry(**attributes: list[bytes]) -> bytes:
    rows = [
        tlv(0x30, text(name.replace("__", ";")), tlv(0x31, *(tlv(4, v) for v in vs))) for name, vs in attributes.items()
    ]
    return message(2, tlv(0x64, text("CN=x"), tlv(0x30, *rows)))


BOUND = message(1, result(0x61))
DONE = message(2, result(0x65))


class Directory(Listener):
    """Sends ``bound`` after the bind and ``found`` after the search, and notes what it was asked."""

    def __init__(self, found: bytes, bound: bytes = BOUND) -> None:
        self.log: list[ldap.Message] = []

        def take(sock: socket.socket) -> bool:
            data = b""
            while (size := ldap.message_size(data)) is None or len(data) < size:
                more = sock.recv(65536)
                if not more:
                    return False
                data += more
            self.log.append(ldap.parse_message(data))
            return True

        def handle(sock: socket.socket) -> None:
            for reply in (bound, found):
                if not (reply and take(sock)):
                    break
                sock.sendall(reply)
            sock.shutdown(socket.SHUT_WR)

        super().__init__(handle)


def one(found: bytes | Callable[[socket.socket], None], fetch: Fetch | str = URL, **options: object) -> Fetched:
    asked = Fetch(fetch, "cdp") if isinstance(fetch, str) else fetch
    environment = options.pop("environment", {})
    with Directory(found) if isinstance(found, bytes) else Listener(found) as server:
        there = machine({"dir.test:389": server, "dir.test:636": server}, **environment)  # type: ignore[arg-type]
        (fetched,) = Retriever(there, **options).retrieve([asked], Deadline(20))  # type: ignore[arg-type]
    return fetched


def failure(found: Fetched) -> tuple[str, str, str]:
    assert isinstance(found.answer, Failure)
    return found.answer.kind, found.answer.step, found.answer.detail


def test_a_crl_is_found():
    with Directory(entry(certificateRevocationList__binary=[CRL]) + DONE) as server:
        (found,) = Retriever(machine({"dir.test:389": server})).retrieve([Fetch(URL, "cdp")], Deadline(20))
    assert (found.answer, found.method, found.proxy, found.http_status) == (CRL, "LDAP", "", None)
    assert found.received > len(CRL)
    bind, search = server.log
    assert (bind.operation, bytes(bind.content)) == (
        0x60,
        b"\x02\x01\x03\x04\x00\x80\x00",
    )  # version 3, anonymous, simple
    base, scope, aliases, size, seconds, types, wanted, attributes = (
        bytes(e.content) for e in ldap.elements(search.content)
    )
    assert (search.number, search.operation, base, scope, aliases, types) == (
        2,
        0x63,
        b"CN=Lab CA,DC=test",
        b"\0",
        b"\0",
        b"\0",
    )
    assert (size, seconds) == (bytes([retrieval_ldap.MAX_ENTRIES]), b"\x08")
    assert wanted == text("objectClass") + text("cRLDistributionPoint")  # equalityMatch
    assert attributes == text("certificateRevocationList;binary")


def test_messages_may_come_in_pieces():
    def handle(sock: socket.socket) -> None:
        sock.recv(65536)
        for byte in BOUND:
            sock.sendall(bytes([byte]))
        sock.recv(65536)
        for byte in entry(certificateRevocationList=[CRL]) + DONE:
            sock.sendall(bytes([byte]))

    assert one(handle).answer == CRL


def test_several_certificates_become_pem():
    first, second = authority("One"), authority("Two")
    found = one(entry(cACertificate__binary=[first.der, second.der]) + DONE, Fetch("ldap://dir.test/CN=x", "aia"))
    assert isinstance(found.answer, bytes)
    assert load(found.answer).certificates == (first.cert, second.cert)


def test_several_crls_become_pem():
    found = one(entry(certificateRevocationList=[CRL, CRL]) + DONE)
    assert found.answer == b"-----BEGIN X509 CRL-----\nMAMCAQc=\n-----END X509 CRL-----\n" * 2


def test_cross_certificate_pairs_are_opened():
    ours, theirs = b"\x30\x01a", b"\x30\x01b"
    pair = tlv(0x30, tlv(0xA0, ours), tlv(0xA1, theirs))
    url = "ldap://dir.test/CN=x?cACertificate;binary,crossCertificatePair;binary"
    assert one(entry(crossCertificatePair__binary=[tlv(0x30, tlv(0xA0, ours))]) + DONE, Fetch(url)).answer == ours
    both = one(entry(cACertificate=[b"\x30\x01c"], crossCertificatePair=[pair]) + DONE, Fetch(url)).answer
    assert isinstance(both, bytes)
    assert both.count(b"BEGIN CERTIFICATE") == 3


@pytest.mark.parametrize(
    ("purpose", "attribute"),
    [("aia", "cACertificate"), ("cdp", "certificateRevocationList"), ("delta", "deltaRevocationList")],
)
def test_the_attribute_is_that_of_the_purpose_when_none_is_named(purpose, attribute):
    attributes = {
        name: [name.encode()] for name in ("cACertificate", "certificateRevocationList", "deltaRevocationList")
    }
    found = one(entry(**attributes) + DONE, Fetch("ldap://dir.test/CN=x", purpose))
    assert found.answer == attribute.encode()


@pytest.mark.parametrize(
    ("url", "search"),
    [
        ("ldap://h/", retrieval_ldap.Search("", ("cACertificate;binary",), "BASE", "(objectClass=*)")),
        ("ldap://h/CN=a%2Cb?x,%20y?SUB?(a=b%3F)", retrieval_ldap.Search("CN=a,b", ("x", "y"), "SUBTREE", "(a=b?)")),
        ("ldap://h/CN=é???a=b?x,y", retrieval_ldap.Search("CN=é", ("cACertificate;binary",), "BASE", "(a=b)")),
        ("ldap://h/?*?one", retrieval_ldap.Search("", ("*",), "LEVEL", "(objectClass=*)")),
    ],
)
def test_a_url_is_a_search(url, search):
    assert retrieval_ldap.parse_search(parse_place(url), "aia") == search


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ("CN=x??all", "the scope is 'all'"),
        ("CN=x????!bindname=cn=admin", "critical extension"),
        ("CN=x???(a=b", "cannot be encoded"),
        ("CN=x???" + "(!" * 3000, "cannot be encoded"),
        ("CN=x???" + "(!" * 1500 + "(a=b)" + ")" * 1500, "cannot be encoded"),
    ],
)
def test_a_url_that_asks_for_the_impossible_is_not_asked(rest, words):
    (found,) = Retriever(machine({})).retrieve([Fetch(f"ldap://dir.test/{rest}")], Deadline(20))
    assert failure(found)[:2] == ("unknown", "url")
    assert words in failure(found)[2]


@pytest.mark.parametrize(
    ("found", "step", "words"),
    [
        (DONE, "search", "the directory has no certificateRevocationList;binary there"),
        (entry(cn=[b"x"]) + DONE, "search", "the directory has no certificateRevocationList;binary there"),
        (message(2, result(0x65, 32, "gone\n away")), "search", "LDAP result 32 (noSuchObject): gone away"),
        (message(2, result(0x65, 10, "", "ldap://b.test/")), "search", "referred to ldap://b.test/; referrals are not"),
        (message(2, tlv(0x73, text("ldap://b.test/"))) + DONE, "search", "refers to other servers; referrals are not"),
        (message(2, result(0x65, 50)), "bind", "LDAP result 50 (insufficientAccessRights)"),
        (message(2, result(0x65, 200)), "search", "LDAP result 200 (unassigned)"),
        (b"HTTP/1.1 400 Bad", "search", "not LDAP: it starts with 'HTTP/1.1 400 Bad'"),
        (b"\x30\x80\0\0\0\0", "search", "indefinite or absurd length"),
        (b"\x30\x85\1\1\1\1\1\1", "search", "indefinite or absurd length"),
        (b"\x30\x03\x02\x09\x01", "search", "longer than what holds it"),
        (b"\x30\x00", "search", "without a number or an operation"),
        (message(2, tlv(0x65, text("x"))), "search", "a result that is none"),
        (message(2, tlv(0x64, text("x"))), "search", "an entry that is none"),
        (message(2, tlv(0x64, text("x"), tlv(0x30, tlv(0x30, text("cn"))))), "search", "an attribute that is none"),
        (message(2, tlv(0x64, text("x"), tlv(0x30, b"\x04\x00" * 2000))), "search", "an attribute that is none"),
        (entry(cn=[b""] * 2000) + DONE, "search", "more than 1000 elements"),
        (entry(cn=[b"x"]) * 101, "search", "more than 100 messages"),
        (b"\x30\x84\x10\0\0\0", "search", "more than 65536 KiB"),
    ],
)
def test_what_is_no_answer_is_a_failure(found, step, words):
    fetched = one(found)
    assert failure(fetched)[:2] == ("unknown", step)
    assert words in failure(fetched)[2]
    assert fetched.method == "LDAP"


@pytest.mark.parametrize(
    ("bound", "words"),
    [
        (
            message(1, result(0x61, 48, "anonymous bind disallowed")),
            "LDAP result 48 (inappropriateAuthentication): anon",
        ),
        (message(0, tlv(0x78, tlv(0x0A, b"\x34"), text(""), text("going down"))), "ended the connection: going down"),
        (b"", "the connection ended before the answer did"),
    ],
)
def test_a_bind_that_fails_is_told(bound, words):
    with Directory(b"", bound) as server:
        (found,) = Retriever(machine({"dir.test:389": server})).retrieve([Fetch(URL, "cdp")], Deadline(20))
    assert failure(found)[1] == "bind"
    assert words in failure(found)[2]


def test_many_small_answers_are_bounded_together(monkeypatch):
    monkeypatch.setattr(retrieval, "MAX_BYTES", {"cdp": 1000})
    monkeypatch.setattr(retrieval_ldap, "MAX_OVERHEAD", 0)
    fetched = one(entry(certificateRevocationList=[b"x" * 400]) * 5 + DONE)
    assert "the answer has more than" in failure(fetched)[2]


def test_an_endless_message_is_cut():
    def handle(sock: socket.socket) -> None:
        sock.recv(65536)
        sock.sendall(BOUND)
        sock.recv(65536)
        sock.sendall(b"\x30\x83\x05\0\0")
        while True:
            sock.sendall(b"x" * 65536)

    fetched = one(handle, Fetch(URL, "aia"))
    assert failure(fetched)[2] == "the answer has more than 256 KiB"


def test_a_directory_that_falls_silent_costs_no_more_than_the_timeout():
    release = threading.Event()

    def handle(sock: socket.socket) -> None:
        sock.recv(65536)
        release.wait(30)

    with Listener(handle) as server:
        there = Retriever(machine({"dir.test:389": server}), timeout_s=0.2)
        (found,) = there.retrieve([Fetch(URL, "cdp")], Deadline(20))
        release.set()
    assert failure(found) == ("timeout", "bind", "no answer in time")


def test_ldaps_needs_a_verified_server():
    seen: list[Address] = []

    def secure(stream: Stream, address: Address, deadline: Deadline) -> Stream:
        seen.append(address)
        return stream

    url = URL.replace("ldap:", "ldaps:")
    assert one(entry(certificateRevocationList=[CRL]) + DONE, url, secure=secure).answer == CRL
    assert seen == [Address("dir.test", 636)]
    assert failure(one(DONE, url))[1] == "handshake"


def test_ldap_goes_past_the_proxy_and_says_so():
    proxy = {"http_proxy": "http://u:secret-word@proxy.test:3128"}
    found = one(DONE, environment=proxy)
    assert failure(found)[2].endswith(" there; LDAP does not go through the proxy http://proxy.test:3128")
    assert found.proxy == ""
    assert one(entry(certificateRevocationList=[CRL]) + DONE, environment=proxy).answer == CRL
    unusable = one(DONE, environment={"http_proxy": "ftp://x"})
    assert failure(unusable)[2].endswith(" there")
