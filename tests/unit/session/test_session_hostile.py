"""Hostile peers: whatever they send, a run ends in time with a report that is whole, harmless and sensible."""

import contextlib
import functools
import gzip
import json
import re
import socket
import ssl
import struct
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import jsonschema
import pytest
from cryptography.hazmat.primitives import serialization

import netdiag
from netdiag.model import HttpsObservation, ProxyObservation, Report, Target
from netdiag.probes.machine import Machine
from netdiag.probes.net import Address, Net
from netdiag.report.layout import Layout
from netdiag.session import Options, diagnose_endpoint
from tests import certs

HOST = certs.HOST
PROXY = "proxy.contoso.test"
PASSWORD = "s3cr3t-of-clerk"
ROOT = certs.authority("Hostile Test Root")
LEAF = certs.make(HOST, ROOT, hosts=[HOST])
#: One network wait of these runs, and what a run may take before it counts as hung.
WAIT_S, HANG_S = 0.4, 20.0
#: What no terminal should be sent: controls but the line feed, and marks that reorder or hide text.
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

#: What a server does with an accepted connection; whatever it returns is ignored.
Act = Callable[[socket.socket], object]


class Server:
    """Runs ``act`` for every connection, over TLS where there is a context. A peer that goes away ends it."""

    def __init__(self, act: Act, context: ssl.SSLContext | None = None) -> None:
        self._act, self._context = act, context
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=(self._listener.accept()[0],), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(HANG_S)
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.enter_context(connection)
            if self._context:
                connection = stack.enter_context(self._context.wrap_socket(connection, server_side=True))
            self._act(connection)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    key = LEAF.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = tmp_path_factory.mktemp("keys") / "leaf.pem"
    file.write_bytes(LEAF.pem + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


@pytest.fixture
def hosts(tmp_path: Path) -> Path:
    return tmp_path / "hosts"  # there is none


def answer(data: bytes, *more: bytes, forever: bytes = b"", read: bool = True) -> Act:
    """Read a request, send the parts, then ``forever`` until the peer goes away."""

    def act(connection: socket.socket) -> None:
        if read:
            connection.recv(65536)
        for part in (data, *more):
            connection.sendall(part)
        while forever:
            connection.sendall(forever)

    return act


def diagnose(
    hosts: Path,
    ports: dict[int, int],
    *,
    proxy: str = "none",
    lookup: Callable[[str], tuple[str, ...]] = lambda _: ("198.18.0.1",),
    name_servers: tuple[Address, ...] = (),
) -> Report:
    """The report of a machine for which port N of every address is port ``ports[N]`` here, and all others refuse."""

    def translate(address: Address) -> Address:
        return Address("127.0.0.1", ports.get(address.port, 1))

    machine = Machine(
        net=Net(translate, lambda name: ("127.0.0.1",) if name == "localhost" else lookup(name)),
        name_servers=name_servers,
        environment={},
        system_settings=False,
        hosts_file=hosts,
        clock=lambda: certs.AT,
        public_roots=certs.store(ROOT),
    )
    options = Options(proxy=proxy, trust=certs.store(ROOT), timeout_s=WAIT_S)
    return diagnose_endpoint(Target(host=HOST), options=options, machine=machine)


@functools.cache
def validator() -> jsonschema.Draft202012Validator:
    from netdiag.report.json import schema

    made = schema()
    return jsonschema.Draft202012Validator(json.loads(made) if isinstance(made, str) else made)


def check(report: Report) -> Report:
    """What holds for every report, whoever the peer was."""
    assert report.internal_errors == ()
    assert not any("a run ends after" in entry.reason for entry in report.not_run), "it hung"
    text = json.dumps(json.loads(netdiag.render(report, "json")))
    assert len(text) < 300_000
    validator().validate(json.loads(text))
    assert netdiag.load_report(text) == report
    shown = "".join(
        netdiag.render(report, "text", Layout(verbose=verbose, unicode=unicode))
        for verbose in (False, True)
        for unicode in (False, True)
    )
    assert not CONTROL.search(shown)
    assert PASSWORD not in text + shown
    return report


OK = b"HTTP/1.1 200 OK\r\n"
HTML = OK + b"Content-Type: text/html; charset="

#: What the server sends after the request -> the verdict's finding (None: healthy).
HTTP: dict[str, tuple[Act, str | None]] = {
    "endless header fields": (answer(OK, forever=b"X: y\r\n" * 500), "https.no-answer"),
    "an endless header line": (answer(OK + b"X: ", forever=b"y" * 65536), "https.no-answer"),
    "an endless status line": (answer(b"HTTP/1.1 200 ", forever=b"y" * 65536), "https.no-answer"),
    "endless interim answers": (answer(b"", forever=b"HTTP/1.1 100 Continue\r\n\r\n" * 50), "https.no-answer"),
    "an endless body": (answer(OK + b"\r\n", forever=b"y" * 65536), None),
    "a gzip bomb": (answer(OK + b"Content-Encoding: gzip\r\n\r\n", gzip.compress(bytes(50_000_000))), None),
    "no gzip": (answer(OK + b"Content-Encoding: gzip\r\n\r\nnone"), "https.no-answer"),
    "chunk: nonsense": (answer(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc"), "https.no-answer"),
    "chunk: negative": (answer(OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nabc"), "https.no-answer"),
    "chunk: endless size": (answer(OK + b"Transfer-Encoding: chunked\r\n\r\n", forever=b"1" * 9999), "https.no-answer"),
    "status: controls": (
        answer(b"HTTP/1.1 999 \x1b[31m\r\nX: \x1b]0;t\x07\xe2\x80\xae\r\n\r\n\x9b\x1b[2J"),
        "https.unexpected-status",
    ),
    "status: five digits": (answer(b"HTTP/1.1 99999 x\r\n\r\n"), "https.no-answer"),
    "charset: idna": (answer(HTML + b"idna\r\n\r\n\xff\xfe"), None),
    "charset: undefined": (answer(HTML + b"undefined\r\n\r\nabc"), None),
    "charset: with a NUL": (answer(HTML + b"a\x00b\r\n\r\nabc"), None),
    "charset: surrogates": (answer(HTML + b"unicode_escape\r\n\r\n\\ud800"), None),
    "date: beyond all": (answer(OK + b"Date: Fri, 31 Dec 99999 23:59:59 -9999\r\n\r\nx"), None),
}


@pytest.mark.parametrize("case", HTTP)
def test_a_hostile_web_server(case: str, context: ssl.SSLContext, hosts: Path) -> None:
    act, finding = HTTP[case]
    with Server(act, context) as server:
        report = check(diagnose(hosts, {443: server.port}))
    assert report.verdict.finding == finding


def redirect(place: bytes, *, forever: bytes = b"") -> Act:
    return answer(b"HTTP/1.1 302 Found\r\nLocation: " + place + b"\r\n\r\n", forever=forever)


@pytest.mark.parametrize(
    "place",
    [
        b"file:///etc/passwd",
        b"javascript:alert(1)",
        b"http://0.0.0.0:9/",
        b"https://other.example:9/",
        b"http://x:99999/",
        b"http://[::1",
        b"//" + b"h" * 60_000 + b"/",
        b"http://a%00b/",
        b"http://\xff\xfe/",
        b"http://\x1b[31m/",
        b"https://user\x00@x:9/",
    ],
    ids=lambda place: repr(place[:20]),
)
def test_a_redirect_to_where_nobody_can_go_is_named(place: bytes, context: ssl.SSLContext, hosts: Path) -> None:
    with Server(redirect(place), context) as server:
        report = check(diagnose(hosts, {443: server.port}))
    assert report.verdict.finding == "https.no-answer"
    assert "redirects to a place that cannot be used" in report.verdict.summary
    (seen,) = (o for o in report.observations if isinstance(o, HttpsObservation))
    assert seen.status == 302
    assert seen.failure
    assert seen.failure.step == "redirect"


def test_the_body_of_a_redirect_is_not_read(context: ssl.SSLContext, hosts: Path) -> None:
    with Server(redirect(b"/again", forever=b"y" * 65536), context) as server:
        tracemalloc.start()
        try:
            report = check(diagnose(hosts, {443: server.port}))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert "circle" in report.verdict.summary
    assert peak < 50_000_000


def test_a_body_that_stops_is_told_from_an_answer_that_never_came(context: ssl.SSLContext, hosts: Path) -> None:
    def act(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(OK + b"Content-Length: 9\r\n\r\nab")
        connection.recv(1)  # until the peer gives up

    with Server(act, context) as server:
        report = check(diagnose(hosts, {443: server.port}))
    assert report.verdict.finding == "https.no-answer"
    assert "answers HTTP 200, but the answer breaks off" in report.verdict.summary
    (seen,) = (o for o in report.observations if isinstance(o, HttpsObservation))
    assert seen.failure
    assert seen.failure.kind == "timeout"


def record(kind: int, data: bytes) -> bytes:
    return bytes([kind, 3, 3]) + struct.pack("!H", len(data)) + data


TLS: dict[str, tuple[Act, str]] = {
    "garbage for ever": (answer(b"", forever=b"\xff" * 65536), "tls.handshake-failed"),
    "a banner with controls": (answer(b"220 \x1b[31m\xe2\x80\xae ESMTP\r\n"), "tls.handshake-failed"),
    "an unassigned alert": (answer(record(21, b"\x02\xfe")), "tls.handshake-failed"),
    "empty records for ever": (answer(b"", forever=record(22, b"") * 100), "tls.handshake-failed"),
    "hello requests for ever": (answer(b"", forever=record(22, bytes(4)) * 100), "tls.handshake-failed"),
    "a ServerHello without end": (
        answer(record(22, b"\x02\xff\xff\xff"), forever=record(22, b"a" * 9999)),
        "tls.handshake-failed",
    ),
    # The same for every name: nobody filters names here.
    "the beginning of a record": (answer(b"\x16\x03\x03\x40"), "tls.interrupted"),
}


@pytest.mark.parametrize("case", TLS)
def test_a_hostile_tls_server(case: str, hosts: Path) -> None:
    act, finding = TLS[case]
    with Server(act) as server:
        report = check(diagnose(hosts, {443: server.port}))
    assert report.verdict.finding == finding


def test_bytes_that_drip_do_not_outlast_the_wait(hosts: Path) -> None:
    gone = threading.Event()

    def act(connection: socket.socket) -> None:
        connection.sendall(b"\x16")
        while not gone.wait(0.05):
            connection.sendall(b"\x03")

    with Server(act) as server:
        report = check(diagnose(hosts, {443: server.port}))
    gone.set()
    assert report.verdict.status == "failed"


def challenge(*values: bytes) -> bytes:
    fields = b"".join(b"Proxy-Authenticate: " + value + b"\r\n" for value in values)
    return b"HTTP/1.1 407 No\r\n" + fields + b"Content-Length: 0\r\n\r\n"


def each_time(reply: bytes | Callable[[bytes], bytes]) -> Act:
    def act(connection: socket.socket) -> None:
        while request := connection.recv(65536):
            connection.sendall(reply if isinstance(reply, bytes) else reply(request))

    return act


def _echo(request: bytes) -> bytes:
    """Refuses, and sends the login back wherever it fits, once there is one."""
    if b"Proxy-Authorization" not in request:
        return challenge(b'Basic realm="x"')
    secret = PASSWORD.encode()
    return b"HTTP/1.1 403 No " + secret + b"\r\nX: " + secret + b"\r\n" + secret + b": x\r\n\r\n" + secret + request


def _raw_echo(request: bytes) -> bytes:
    return PASSWORD.encode() if b"Proxy-Authorization" in request else challenge(b'Basic realm="x"')


PROXIES: dict[str, tuple[str, Act, str]] = {
    "407 for ever": ("http", each_time(challenge(b'Basic realm="x"')), "proxy.authentication-required"),
    "Digest without a nonce": ("http", each_time(challenge(b'Digest realm="x"')), "proxy.authentication-required"),
    "Digest, unknown algorithm": (
        "http",
        each_time(challenge(b'Digest nonce="n", algorithm=-sess')),
        "proxy.authentication-required",
    ),
    "Digest, stale for ever": (
        "http",
        each_time(challenge(b'Digest nonce="n", stale=true')),
        "proxy.authentication-required",
    ),
    "Digest, a large realm": (
        "http",
        each_time(challenge(b'Digest nonce="n", realm="' + b"\\\xff" * 9999 + b'"')),
        "proxy.authentication-required",
    ),
    "NTLM nonsense": ("http", each_time(challenge(b"NTLM TlRMTVNTUAACAAAA/////w==")), "proxy.authentication-required"),
    "quotes that nobody closes": (
        "http",
        each_time(challenge(b'"' + b'\\"' * 30_000)),
        "proxy.authentication-required",
    ),
    "the login sent back": ("http", each_time(_echo), "proxy.forbidden"),
    "the password and no HTTP": ("http", each_time(_raw_echo), "proxy.not-a-proxy"),
    "interim answers for ever": ("http", answer(b"", forever=b"HTTP/1.1 100 C\r\n\r\n"), "proxy.not-a-proxy"),
    "an endless head": ("http", answer(b"HTTP/1.1 200 OK\r\nX: ", forever=b"y" * 65536), "proxy.not-a-proxy"),
    "200, then garbage": ("http", answer(b"HTTP/1.1 200 OK\r\n\r\n\xff\x1b[31m"), "tls.handshake-failed"),
    "a page in surrogates": (
        "http",
        answer(b"HTTP/1.1 403 F\r\nContent-Type: text/html; charset=unicode_escape\r\n\r\n\\ud800"),
        "proxy.forbidden",
    ),
    "SOCKS garbage": ("socks5", each_time(b"\xff" * 100), "proxy.not-a-proxy"),
    "SOCKS, the password sent back": (
        "socks5",
        each_time(lambda got: b"\x05\x02" if got[:1] == b"\x05" else got[-len(PASSWORD) :]),
        "proxy.not-a-proxy",
    ),
}


@pytest.mark.parametrize("case", PROXIES)
def test_a_hostile_proxy(case: str, hosts: Path) -> None:
    scheme, act, finding = PROXIES[case]
    with Server(act) as server:
        url = f"{scheme}://clerk:{PASSWORD}@{PROXY}:3128"
        report = check(diagnose(hosts, {3128: server.port}, proxy=url))
    assert report.verdict.finding == finding
    assert any(isinstance(o, ProxyObservation) for o in report.observations)


def test_an_answer_with_thousands_of_addresses_costs_a_bounded_number_of_sockets(hosts: Path) -> None:
    def lookup(name: str) -> tuple[str, ...]:
        return tuple(f"198.18.{n // 250}.{n % 250}" for n in range(4000))

    report = check(diagnose(hosts, {}, lookup=lookup))
    assert report.verdict.finding == "tcp.refused"
    assert len([o for o in report.observations if o.id.startswith("tcp.")]) == 32


@pytest.fixture
def name_server() -> Iterator[Callable[[Callable[[bytes], bytes]], Address]]:
    sockets: list[socket.socket] = []

    def start(reply: Callable[[bytes], bytes]) -> Address:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", 0))
        sockets.append(udp)

        def serve() -> None:
            with contextlib.suppress(OSError):
                while sender := (received := udp.recvfrom(65535))[1]:  # none: it was shut down
                    udp.sendto(reply(received[0]), sender)

        threading.Thread(target=serve, daemon=True).start()
        return Address("192.0.2.53", udp.getsockname()[1])

    yield start
    for udp in sockets:
        with contextlib.suppress(OSError):
            udp.shutdown(socket.SHUT_RDWR)
        udp.close()


def reply(query: bytes, answers: bytes, count: int = 1) -> bytes:
    """The question, said to be answered; the EDNS record behind it is left out."""
    end = query.index(b"\0", 12) + 5
    return query[:2] + struct.pack("!HHHHH", 0x8180, 1, count, 0, 0) + query[12:end] + answers


def alias(owner: bytes, target: bytes) -> bytes:
    return owner + struct.pack("!HHIH", 5, 1, 60, len(target)) + target


NAME = b"\xc0\x0c"  # a pointer to the question's name
DNS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "a pointer to itself": (
        lambda q: reply(q, struct.pack("!H", 0xC000 | len(reply(q, b""))) + bytes(10)),
        "dns.server-failure",
    ),
    "no question, no answer": (lambda q: q[:5], "dns.server-failure"),
    "an alias for itself": (lambda q: reply(q, alias(NAME, NAME)), "dns.no-address"),
    "an alias with controls": (lambda q: reply(q, alias(NAME, b"\x07\x1b[31m\n\xff\x03a.b\0")), "dns.no-address"),
    "more records than it has": (lambda q: reply(q, b"", 65535), "dns.server-failure"),
}


@pytest.mark.parametrize("case", DNS)
def test_a_hostile_name_server(
    case: str, hosts: Path, name_server: Callable[[Callable[[bytes], bytes]], Address]
) -> None:
    say, finding = DNS[case]
    server = name_server(say)

    def lookup(name: str) -> tuple[str, ...]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    report = check(diagnose(hosts, {server.port: server.port}, lookup=lookup, name_servers=(server,)))
    assert report.verdict.finding == finding
