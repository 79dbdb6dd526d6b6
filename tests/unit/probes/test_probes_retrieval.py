"""The retriever as a whole: many URLs at once, bounds in number and time, URLs that lead nowhere, the cache."""

from __future__ import annotations

import socket
import threading

import pytest

from netdiag.model import Failure, UsageError
from netdiag.pki.path import Fetch
from netdiag.probes import retrieval
from netdiag.probes.machine import Machine
from netdiag.probes.net import Deadline, Net
from netdiag.probes.retrieval import Fetched, Retriever
from netdiag.probes.retrieval_cache import Cache
from netdiag.probes.retrieval_url import MAX_URL, parse_place
from tests.web import Asked, Web, answer, machine

CRL = b"\x30\x03\x02\x01\x07"


def failure(found: Fetched) -> tuple[str, str, str]:
    assert isinstance(found.answer, Failure)
    return found.answer.kind, found.answer.step, found.answer.detail


def alone() -> Machine:
    return Machine(net=Net(lookup=lambda name: pytest.fail(name)), environment={}, system_settings=False)


def test_all_are_retrieved_in_order_and_equal_ones_once():
    asked = [Fetch(f"http://a.test/{number % 20}", "aia") for number in range(30)]
    ended: list[int] = []
    with Web(lambda a: answer(a.line.split()[1].encode())) as web:
        retriever = Retriever(machine({"a.test:80": web}))
        found = retriever.retrieve(asked, Deadline(30), ended=lambda: ended.append(1))
    assert [f.fetch for f in found] == asked
    assert len(ended) == 20
    assert [f.answer for f in found] == [f"/{number % 20}".encode() for number in range(30)]
    assert len(web.log) == 20


def test_they_are_asked_at_the_same_time():
    together = threading.Barrier(retrieval.MAX_PARALLEL)

    def react(asked: Asked) -> bytes:
        together.wait(30)
        return answer(CRL)

    asked = [Fetch(f"http://a.test/{number}") for number in range(retrieval.MAX_PARALLEL)]
    with Web(react) as web:
        found = Retriever(machine({"a.test:80": web}), timeout_s=30).retrieve(asked, Deadline(30))
    assert all(f.answer == CRL for f in found)


def test_too_many_urls_are_not_all_asked():
    asked = [Fetch(f"file:///{number}") for number in range(retrieval.MAX_REQUESTS + 1)]
    *others, last = Retriever(alone()).retrieve(asked, Deadline(30))
    assert {failure(found)[1] for found in others} == {"scheme"}
    assert failure(last)[0] == "cancelled"


def test_what_has_not_begun_in_time_is_said():
    (found,) = Retriever(alone()).retrieve([Fetch("http://a.test/")], Deadline(0))
    assert failure(found) == ("cancelled", "fetch", "not asked: the time for all URLs was over")
    assert found.final_url == "http://a.test/"


def test_a_lookup_that_hangs_costs_no_more_than_the_timeout():
    release = threading.Event()

    def hang(name: str) -> tuple[str, ...]:
        release.wait(30)
        return ()

    there = Machine(net=Net(lookup=hang), environment={})
    (found,) = Retriever(there, timeout_s=0.1).retrieve([Fetch("http://a.test/")], Deadline(30))
    release.set()
    assert failure(found) == ("timeout", "lookup", "a.test: no answer in time")


def test_a_thread_that_never_ends_is_left_behind(monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(retrieval, "_GRACE_S", 0.05)
    monkeypatch.setattr(retrieval, "parse_place", lambda url: release.wait(30))
    (found,) = Retriever(alone()).retrieve([Fetch("http://a.test/")], Deadline(0.05))
    release.set()
    assert failure(found) == ("timeout", "fetch", "it did not end in time")


def test_a_bug_costs_one_url(monkeypatch):
    monkeypatch.setattr(retrieval, "parse_place", lambda url: {}[url])
    (found,) = Retriever(alone()).retrieve([Fetch("http://a.test/")], Deadline(30))
    assert failure(found) == ("internal", "url", "KeyError: 'http://a.test/'")


def test_a_proxy_that_is_none_is_refused_at_once():
    with pytest.raises(UsageError, match="proxy 'ftp://x'"):
        Retriever(alone(), proxy="ftp://x")


@pytest.mark.parametrize(
    ("url", "step", "words"),
    [
        ("file:///etc/passwd", "scheme", "file: URLs are not retrieved"),
        ("FTP://a.test/", "scheme", "ftp: URLs"),
        ("gopher://a.test/", "scheme", "gopher: URLs"),
        ("C:\\ca.crt", "scheme", "c: URLs"),
        ("/ca.crt", "url", "it is relative"),
        ("//a.test/ca.crt", "url", "it is relative"),
        ("\\\\server\\share", "url", "it is relative"),
        ("", "url", "it is relative"),
        ("http:", "url", "it names no host"),
        ("http:///x", "url", "it names no host"),
        ("http:a.test", "url", "it names no host"),
        ("ldap:///CN=CA,DC=test?cACertificate", "scheme", "only a machine of that domain can ask"),
        ("ldaps:///CN=CA", "scheme", "only a machine of that domain"),
        ("http://u:p@a.test/", "url", "it holds credentials"),
        ("http://u@a.test/", "url", "it holds credentials"),
        ("http://a.test/\r\nX: y", "url", "control characters"),
        ("ht\ttp://a.test/", "url", "control characters"),
        ("http://a.test/\x85", "url", "control characters"),
        ("http://a.test:0/", "url", "port 0"),
        ("http://a.test:65536/", "url", "ort out of range"),
        ("http://a.test:x/", "url", "ort could not be cast"),
        ("http://[::1/", "url", "not a usable URL"),
        ("http://[::g]/", "url", "not a usable URL"),
        ("http://1.2.3.4.5/", "url", "is not an IPv4 address"),
        ("http://a..test/", "url", "the label ''"),
        ("http://-a.test/", "url", "the label '-a'"),
        ("http://a%41.test/", "url", "the label"),
        ("http://" + "a" * 64 + ".test/", "url", "the label"),
        ("http://\ud800.test/", "url", "not a usable URL"),
        ("http://a.test/\ud800", "url", "not a usable URL"),
        ("http://a.test/" + "x" * MAX_URL, "url", "longer than 8000"),
    ],
)
def test_a_hostile_url_is_not_asked(url, step, words):
    (found,) = Retriever(alone()).retrieve([Fetch(url)], Deadline(30))
    assert failure(found)[:2] == ("unknown", step)
    assert words in failure(found)[2]
    assert (found.method, found.final_url) == ("", url)


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("HTTP://Bücher.Test", "http://xn--bcher-kva.test/"),
        (" http://a.test/ ", "http://a.test/"),
        ("http://a.test:80?x y", "http://a.test/?x%20y"),
        ("http://a.test.:8080/ä%20<>", "http://a.test:8080/%C3%A4%20%3C%3E"),
        ("http://[2001:DB8::0]:443/", "http://[2001:db8::]:443/"),
        ("https://[::1]:443/", "https://[::1]/"),
        ("http://10.0.0.1/", "http://10.0.0.1/"),
        ("ldap://a.test/cn=x?a?base?(b=c)", "ldap://a.test/cn=x?a?base?(b=c)"),
    ],
)
def test_a_url_is_normalised(url, same):
    assert parse_place(url).url == same


def test_an_address_needs_no_lookup():
    with Web(lambda _: answer(CRL)) as web:
        there = Machine(net=Net(lookup=lambda name: pytest.fail(name)), environment={})
        (found,) = Retriever(there).retrieve([Fetch(f"http://{web.address}/")], Deadline(30))
    assert found.answer == CRL
    assert web.log[0].fields["host"] == str(web.address)


def test_what_was_kept_is_not_asked_again(tmp_path):
    cache = Cache(tmp_path)
    cache.put("http://a.test/crl", CRL, 2_000.0)
    there = Machine(net=Net(lookup=_nowhere), environment={}, clock=lambda: 1_000.0)
    found, other, asked = Retriever(there, cache=cache).retrieve(
        [Fetch("http://a.test/crl", "cdp"), Fetch("http://a.test/b", "cdp"), Fetch("http://a.test/crl", "ocsp", b"x")],
        Deadline(30),
    )
    assert (found.answer, found.cached, found.received, found.method) == (CRL, True, 5, "")
    assert not other.cached
    assert (failure(asked)[0], asked.cached) == ("nxdomain", False)
    assert Retriever(there, cache=cache).cache is cache


def _nowhere(name: str) -> tuple[str, ...]:
    raise socket.gaierror(socket.EAI_NONAME, "unknown")
