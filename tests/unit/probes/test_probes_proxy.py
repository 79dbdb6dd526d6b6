"""Tunnels through real proxies on loopback, written here so that each can misbehave in its own way."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from netdiag.model import ProxyObservation
from netdiag.probes.net import Deadline, Net, Step, Stream
from netdiag.probes.proxy import tunnel
from netdiag.probes.proxy_http import MAX_DISCARD, MAX_EXCERPT
from netdiag.probes.proxy_selection import ProxyServer, parse_proxy
from tests.listener import Listener

Handler = Callable[["Peer"], None]
USER, PASSWORD = "alice", "hunter2-s3cret"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


class Peer:
    """The proxy's end of one connection."""

    def __init__(self, sock: socket.socket, log: list[str]) -> None:
        self.sock, self.log, self.buffer = sock, log, b""

    def request(self) -> dict[str, str] | None:
        """The fields of the next request, its first line under ""; None when the client is gone."""
        while b"\r\n\r\n" not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                return None
            self.buffer += data
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        self.log.append(fields.get("proxy-authorization", ""))
        return {"": lines[0], **fields}

    def take(self, count: int) -> bytes:
        while len(self.buffer) < count:
            data = self.sock.recv(65536)
            if not data:
                raise ConnectionError
            self.buffer += data
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def answer(self, status: str, *fields: str, body: bytes = b"") -> None:
        lines = [f"HTTP/1.1 {status}", *fields, f"Content-Length: {len(body)}", "", ""]
        self.send("\r\n".join(lines).encode() + body)

    def echo(self) -> None:
        if self.buffer:
            self.send(self.buffer)
        while data := self.sock.recv(65536):
            self.send(data)


class Server(Listener):
    """A proxy: what it does is written for a ``Peer``."""

    def __init__(self, handler: Handler) -> None:
        self.log: list[str] = []

        def handle(sock: socket.socket) -> None:
            with contextlib.suppress(OSError):
                handler(Peer(sock, self.log))
            sock.shutdown(socket.SHUT_RDWR)  # even with bytes unread, the client sees an orderly end

        super().__init__(handle)


Start = Callable[[Handler], Server]


@pytest.fixture
def start() -> Iterator[Start]:
    servers: list[Server] = []

    def run(handler: Handler) -> Server:
        servers.append(Server(handler))
        return servers[-1]

    yield run
    for server in servers:
        server.close()


def through(
    server: Server,
    *,
    scheme: str = "http",
    credentials: bool = False,
    target: str = "target.example",
    seconds: float = 10,
) -> tuple[ProxyObservation, Stream | None]:
    userinfo = f"{USER}:{PASSWORD}@" if credentials else ""
    proxy = parse_proxy(f"{scheme}://{userinfo}127.0.0.1:{server.address.port}")
    return open_tunnel(server, proxy, target, seconds)


def open_tunnel(
    server: Server, proxy: ProxyServer, target: str = "target.example", seconds: float = 10
) -> tuple[ProxyObservation, Stream | None]:
    deadline = Deadline(seconds)
    observation, stream = tunnel(
        lambda: Net().connect(server.address, deadline), proxy, target, 443, deadline, Step("proxy.1", "tcp.1", "proxy")
    )
    assert (observation.id, observation.parent, observation.route) == ("proxy.1", "tcp.1", "proxy")
    assert observation.proxy == proxy.url
    assert (observation.outcome == "ok") == (stream is not None) == (observation.failure is None)
    for written in (msgspec.json.encode(observation).decode(), repr(observation)):
        assert PASSWORD not in written
        assert BASIC.removeprefix("Basic ") not in written
    return observation, stream


def works(stream: Stream | None, expected: bytes = b"ping") -> None:
    assert stream is not None
    stream.send(b"ping", Deadline(5))
    received = b""
    while len(received) < len(expected) and (data := stream.receive(Deadline(5))):
        received += data
    assert received == expected
    stream.close()


def failure(observation: ProxyObservation) -> str:
    assert observation.failure is not None
    return observation.failure.kind


def test_an_open_proxy(start: Start) -> None:
    seen: list[dict[str, str] | None] = []

    def handler(peer: Peer) -> None:
        seen.append(peer.request())
        peer.send(b"HTTP/1.1 200 Connection established\r\nContent-Length: 5\r\n\r\n")
        peer.echo()

    server = start(handler)
    observation, stream = through(server, credentials=True)
    works(stream)
    assert (observation.status, observation.reason) == (200, "Connection established")
    assert (observation.offered, observation.tried, observation.credentials) == ((), "", False)
    assert observation.flow is not None
    assert observation.flow.server_port == server.address.port
    assert seen[0] is not None
    assert seen[0][""] == "CONNECT target.example:443 HTTP/1.1"
    assert seen[0]["host"] == "target.example:443"
    assert server.log == [""]


def test_an_ipv6_target_is_written_in_brackets(start: Start) -> None:
    lines: list[str] = []

    def handler(peer: Peer) -> None:
        lines.append((peer.request() or {})[""])
        peer.answer("200 OK")

    _, stream = through(start(handler), target="2001:db8::1")
    assert lines == ["CONNECT [2001:db8::1]:443 HTTP/1.1"]
    assert stream is not None
    stream.close()


def test_bytes_behind_the_answer_are_kept(start: Start) -> None:
    def handler(peer: Peer) -> None:
        peer.request()
        peer.send(b"HTTP/1.1 100 Continue\n\nHTTP/1.0 200 OK\n\nhello")
        peer.echo()

    _, stream = through(start(handler))
    assert stream is not None
    assert stream.receive(Deadline(5), 2) == b"he"
    works(stream, b"lloping")


def basic_proxy(peer: Peer) -> None:
    while request := peer.request():
        if request.get("proxy-authorization") == BASIC:
            peer.answer("200 OK")
            return peer.echo()
        peer.answer("407 Auth", 'Proxy-Authenticate: Basic realm="corp"', body=b"<p>log in</p>" * 100)
    return None


def test_basic_is_sent_only_after_the_proxy_asked(start: Start) -> None:
    server = start(basic_proxy)
    observation, stream = through(server, credentials=True)
    works(stream)
    assert server.log == ["", BASIC]
    assert server.connections == 1
    assert (observation.offered, observation.tried, observation.credentials) == (("Basic",), "Basic", True)
    assert observation.status == 200


def test_no_credentials(start: Start) -> None:
    server = start(basic_proxy)
    observation, _ = through(server)
    assert failure(observation) == "proxy-authentication"
    assert (observation.offered, observation.tried, observation.credentials) == (("Basic",), "", False)
    assert (observation.status, observation.reason) == (407, "Auth")
    assert observation.body.startswith("<p>log in</p>")
    assert server.log == [""]


def test_wrong_credentials_are_tried_once(start: Start) -> None:
    server = start(basic_proxy)
    proxy = parse_proxy(f"http://{USER}:wrong-{PASSWORD}@127.0.0.1:{server.address.port}")
    observation, _ = open_tunnel(server, proxy)
    assert failure(observation) == "proxy-authentication"
    assert (observation.tried, observation.credentials, observation.status) == ("Basic", True, 407)
    assert len(server.log) == 2


def lets_in(peer: Peer) -> bool:
    """Read one request. When it carries the login, open the tunnel and serve it to its end."""
    request = peer.request()
    if not request or request.get("proxy-authorization") != BASIC:
        return False
    peer.answer("200 OK")
    peer.echo()
    return True


@pytest.mark.parametrize("close", [("Connection: close",), ("Proxy-Connection: close",), ()])
def test_a_proxy_that_closes_after_the_challenge(start: Start, close: tuple[str, ...]) -> None:
    def handler(peer: Peer) -> None:
        if not lets_in(peer):
            peer.answer("407 Auth", "Proxy-Authenticate: Basic", *close)

    server = start(handler)
    _, stream = through(server, credentials=True)
    works(stream)
    assert server.connections == 2
    assert server.log == ["", BASIC]


def test_a_page_without_end_is_not_read_to_the_end(start: Start) -> None:
    sent = [0]

    def handler(peer: Peer) -> None:
        if not lets_in(peer):
            peer.send(b"HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic\r\nTransfer-Encoding: chunked\r\n\r\n")
            while True:
                peer.send(b"2000\r\n" + b"x" * 0x2000 + b"\r\n")
                sent[0] += 0x2000

    server = start(handler)
    observation, stream = through(server, credentials=True)
    works(stream)
    assert observation.tried == "Basic"
    refused, _ = through(server)
    assert len(refused.body) == MAX_EXCERPT
    assert sent[0] < 2 * MAX_DISCARD + (32 << 20)  # the rest is what the kernels' buffers hold


def digest_proxy(algorithm: str, qop: str, stale_once: bool = False) -> Handler:
    nonces = iter(["n1", "n2"] if stale_once else ["n1"] * 9)
    current = {"nonce": next(nonces)}

    def expected(value: str) -> bool:
        got = {name: text.strip('"') for name, text in re.findall(r'(\w+)=("[^"]*"|[^,\s]+)', value)}
        name = "sha256" if algorithm.startswith("SHA-256") else "md5"

        def h(text: str) -> str:
            return hashlib.new(name, text.encode()).hexdigest()

        a1 = h(f"{USER}:corp:{PASSWORD}")
        if algorithm.endswith("-sess"):
            a1 = h(f"{a1}:{got['nonce']}:{got['cnonce']}")
        middle = f"{got['nc']}:{got['cnonce']}:{got['qop']}:" if qop else ""
        response = h(f"{a1}:{got['nonce']}:{middle}{h('CONNECT:target.example:443')}")
        assert got["uri"] == "target.example:443"
        assert got["username"] == USER
        return got["response"] == response and got["nonce"] == current["nonce"]

    def handler(peer: Peer) -> None:
        while request := peer.request():
            value, stale = request.get("proxy-authorization", ""), ""
            if value and stale_once and current["nonce"] == "n1":
                current["nonce"], stale = next(nonces), ", stale=true"
            elif value and expected(value):
                peer.answer("200 OK")
                return peer.echo()
            challenge = f'Digest realm="corp", nonce="{current["nonce"]}", algorithm={algorithm}{stale}'
            if qop:
                challenge += f', qop="{qop}"'
            peer.answer("407 Auth", f"Proxy-Authenticate: {challenge}")
        return None

    return handler


@pytest.mark.parametrize("qop", ["auth", "auth,auth-int", ""])
@pytest.mark.parametrize("algorithm", ["MD5", "MD5-sess", "SHA-256", "SHA-256-sess"])
def test_digest(start: Start, algorithm: str, qop: str) -> None:
    observation, stream = through(start(digest_proxy(algorithm, qop)), credentials=True)
    works(stream)
    assert (observation.offered, observation.tried) == (("Digest",), "Digest")


def test_digest_with_a_stale_nonce(start: Start) -> None:
    server = start(digest_proxy("MD5", "auth", stale_once=True))
    works(through(server, credentials=True)[1])
    assert len(server.log) == 3


def security_proxy(scheme: str, *, close_in_the_middle: bool = False, also: tuple[str, ...] = ()) -> Handler:
    """A proxy whose login is pyspnego's own server side."""
    offers = tuple(f"Proxy-Authenticate: {name}" for name in (scheme, *also))

    def handler(peer: Peer) -> None:
        import spnego

        context = None
        while request := peer.request():
            name, _, token = request.get("proxy-authorization", "").partition(" ")
            if name == "Basic":
                peer.answer("200 OK")
                return peer.echo()
            if name != scheme:
                peer.answer("407 Auth", *offers, body=b"page")
                continue
            context = context or spnego.server(protocol=scheme.lower())
            try:
                reply = context.step(base64.b64decode(token))
            except spnego.exceptions.SpnegoError:
                peer.answer("407 Auth", *offers)
                context = None
                continue
            if context.complete:
                peer.answer("200 OK")
                return peer.echo()
            peer.answer("407 Auth", f"Proxy-Authenticate: {scheme} {base64.b64encode(reply or b'').decode()}")
            if close_in_the_middle:
                return None
        return None

    return handler


@pytest.fixture
def accounts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "accounts"
    path.write_text(f"CORP:{USER}:{PASSWORD}\n")
    monkeypatch.setenv("NTLM_USER_FILE", str(path))


def domain_account(server: Server, password: str = PASSWORD) -> ProxyServer:
    return ProxyServer(
        scheme="http", host="127.0.0.1", port=server.address.port, user=f"CORP\\{USER}", password=password
    )


@pytest.mark.usefixtures("accounts")
@pytest.mark.parametrize("scheme", ["NTLM", "Negotiate"])
def test_ntlm_and_negotiate(start: Start, scheme: str) -> None:
    server = start(security_proxy(scheme, also=("Basic",)))
    observation, stream = open_tunnel(server, domain_account(server))
    works(stream)
    assert (observation.offered, observation.tried, observation.status) == ((scheme, "Basic"), scheme, 200)
    assert server.connections == 1
    assert not any(value.startswith("Basic") for value in server.log)


@pytest.mark.usefixtures("accounts")
def test_a_wrong_domain_password_is_not_offered_to_a_weaker_scheme(start: Start) -> None:
    server = start(security_proxy("NTLM", also=("Basic",)))
    observation, _ = open_tunnel(server, domain_account(server, "wrong"))
    assert failure(observation) == "proxy-authentication"
    assert (observation.tried, observation.credentials) == ("NTLM", True)
    assert [value.partition(" ")[0] for value in server.log] == ["", "NTLM", "NTLM"]


@pytest.mark.usefixtures("accounts")
def test_a_proxy_that_closes_in_the_middle_of_a_login(start: Start) -> None:
    server = start(security_proxy("NTLM", close_in_the_middle=True))
    observation, _ = open_tunnel(server, domain_account(server))
    assert observation.failure is not None
    assert observation.failure.kind == "proxy-authentication"
    assert "in the middle of NTLM" in observation.failure.detail
    assert (observation.tried, observation.status) == ("NTLM", 407)


def test_the_next_scheme_when_the_strongest_cannot_be_used(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise OSError("no GSSAPI library")

    monkeypatch.setattr("spnego.client", missing)
    server = start(security_proxy("Negotiate", also=("Basic",)))
    observation, stream = through(server, credentials=True)
    works(stream)
    assert observation.tried == "Basic"
    refused, _ = through(server)
    assert (refused.tried, refused.credentials) == ("", False)
    assert refused.failure is not None
    assert "Negotiate could not be tried: no GSSAPI library" in refused.failure.detail


def test_another_scheme_begins_on_a_new_connection(start: Start) -> None:
    def handler(peer: Peer) -> None:
        spoiled = False
        while request := peer.request():
            value = request.get("proxy-authorization", "")
            if value == BASIC and not spoiled:
                peer.answer("200 OK")
                return peer.echo()
            spoiled = spoiled or value.startswith("Negotiate")
            peer.answer("407 Auth", "Proxy-Authenticate: Negotiate", "Proxy-Authenticate: Basic")
        return None

    server = start(handler)
    observation, stream = through(server, credentials=True)
    works(stream)
    assert observation.tried == "Basic"
    assert [value.partition(" ")[0] for value in server.log] == ["", "Negotiate", "Basic"]


def test_secrets_that_a_proxy_echoes_are_removed(start: Start) -> None:
    def handler(peer: Peer) -> None:
        while request := peer.request():
            value = request.get("proxy-authorization", "")
            page = f"{value} {base64.b64decode(value.partition(' ')[2]).decode()}".encode()
            peer.answer("407 Auth " + value, "Proxy-Authenticate: Basic", f"X-Echo: {value}", body=page)

    observation, _ = through(start(handler), credentials=True)  # through() looks for the secrets
    assert dict(observation.headers)["X-Echo"] == "Basic ***"
    assert "***" in observation.body


@pytest.mark.parametrize(
    ("status", "fields", "kind"),
    [
        ("403 Forbidden", (), "proxy-status"),
        ("502 Bad Gateway", (), "proxy-status"),
        ("503 Service Unavailable", ("X-Squid-Error: ERR_DNS_FAIL 0",), "proxy-status"),
        ("504 Gateway Timeout", (), "proxy-status"),
        ("302 Found", ("Location: http://login.example/",), "proxy-status"),
        ("400 Bad Request", (), "not-a-proxy"),
        ("404 Not Found", (), "not-a-proxy"),
        ("405 Method Not Allowed", ("Allow: GET",), "not-a-proxy"),
        ("501 Unsupported method", (), "not-a-proxy"),
        ("400 Bad Request", ("X-Squid-Error: ERR_INVALID_URL 0",), "proxy-status"),
        ("407 Auth", (), "proxy-authentication"),
    ],
)
def test_refusals(start: Start, status: str, fields: tuple[str, ...], kind: str) -> None:
    def handler(peer: Peer) -> None:
        peer.request()
        peer.answer(status, "Content-Type: text/html; charset=iso-8859-1", *fields, body=b"<h1>caf\xe9</h1>")

    observation, _ = through(start(handler))
    assert failure(observation) == kind
    code, _, reason = status.partition(" ")
    assert (observation.status, observation.reason, observation.body) == (int(code), reason, "<h1>café</h1>")
    assert all(tuple(field.split(": ", 1)) in observation.headers for field in fields)


@pytest.mark.parametrize(
    ("greeting", "says"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "SSH-2.0"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "in TLS"),
        (b"\x00\xff\xfe", "bytes 00 ff fe"),
        (b"HTTP/1.1 xyz\r\n\r\n", "status line"),
    ],
)
def test_what_is_no_proxy(start: Start, greeting: bytes, says: str) -> None:
    def handler(peer: Peer) -> None:
        peer.request()
        peer.send(greeting)

    observation, _ = through(start(handler))
    assert failure(observation) == "not-a-proxy"
    assert observation.failure is not None
    assert says in observation.failure.detail


@pytest.mark.parametrize(("sent", "kind"), [(b"", "eof"), (b"HTTP/1.1 20", "eof")])
def test_a_closed_connection(start: Start, sent: bytes, kind: str) -> None:
    def handler(peer: Peer) -> None:
        peer.request()
        peer.send(sent)

    assert failure(through(start(handler))[0]) == kind


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_silence(start: Start, scheme: str) -> None:
    observation, _ = through(start(silent), scheme=scheme, seconds=0.2)
    assert failure(observation) == "timeout"


def silent(peer: Peer) -> None:
    while peer.sock.recv(65536):
        pass


def test_a_dial_that_fails() -> None:
    def dial() -> Stream:
        raise ConnectionRefusedError(111, "refused")

    observation, stream = tunnel(dial, parse_proxy("p:1"), "h", 443, Deadline(5), Step("proxy"))
    assert stream is None
    assert failure(observation) == "refused"


def test_a_target_that_would_smuggle_a_field_in(start: Start) -> None:
    observation, _ = through(start(basic_proxy), target="h\r\nX: y")
    assert failure(observation) == "unknown"


def socks_proxy(
    method: int, *, reply: bytes = b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00", log: list[bytes] | None = None
) -> Handler:
    def handler(peer: Peer) -> None:
        count = peer.take(2)[1]
        methods = peer.take(count)
        peer.send(bytes([5, method if method in methods else 255]))
        if method not in methods:
            return
        if method == 2:
            name = peer.take(peer.take(2)[1])
            password = peer.take(peer.take(1)[0])
            accepted = (name, password) == (USER.encode(), PASSWORD.encode())
            peer.send(b"\x01\x00" if accepted else b"\x01\x01")
            if not accepted:
                return
        peer.take(3)
        kind = peer.take(1)[0]
        size = {1: 4, 4: 16}.get(kind) or peer.take(1)[0]
        address = peer.take(size + 2)
        if log is not None:
            log.append(bytes([kind]) + address)
        peer.send(reply)
        if reply[1] == 0:
            peer.echo()

    return handler


def test_socks_resolves_the_name_at_the_proxy(start: Start) -> None:
    log: list[bytes] = []
    observation, stream = through(start(socks_proxy(0, log=log)), scheme="socks5")
    works(stream)
    assert log == [b"\x03target.example\x01\xbb"]
    assert (observation.status, observation.offered, observation.tried) == (0, (), "")


def test_socks_with_bytes_behind_the_reply(start: Start) -> None:
    reply = b"\x05\x00\x00\x03\x01p\x00\x00hello"
    works(through(start(socks_proxy(0, reply=reply)), scheme="socks5")[1], b"helloping")


@pytest.mark.parametrize("target", ["192.0.2.1", "2001:db8::1"])
def test_socks_with_an_address(start: Start, target: str) -> None:
    log: list[bytes] = []
    works(through(start(socks_proxy(0, log=log)), scheme="socks5", target=target)[1])
    assert log[0][0] == (4 if ":" in target else 1)


def test_socks_with_a_password(start: Start) -> None:
    server = start(socks_proxy(2))
    observation, stream = through(server, scheme="socks5", credentials=True)
    works(stream)
    assert (observation.offered, observation.tried) == (("username/password",), "username/password")
    assert observation.credentials
    refused, _ = through(server, scheme="socks5")
    assert failure(refused) == "proxy-authentication"
    assert (refused.tried, refused.credentials) == ("", False)
    wrong = parse_proxy(f"socks5://{USER}:wrong@127.0.0.1:{server.address.port}")
    rejected, _ = open_tunnel(server, wrong)
    assert failure(rejected) == "proxy-authentication"
    assert (rejected.tried, rejected.credentials) == ("username/password", True)


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5, 6, 7, 8, 200])
@pytest.mark.parametrize("rest", [b"\x00\x01\x00\x00\x00\x00\x00\x00", b""])
def test_socks_refusals(start: Start, code: int, rest: bytes) -> None:
    observation, _ = through(start(socks_proxy(0, reply=bytes([5, code]) + rest)), scheme="socks5")
    assert failure(observation) == "proxy-status"
    assert observation.status == code
    assert observation.reason


def test_an_http_proxy_set_as_socks(start: Start) -> None:
    def handler(peer: Peer) -> None:
        peer.take(1)
        peer.answer("400 Bad Request")

    observation, _ = through(start(handler), scheme="socks5")
    assert failure(observation) == "not-a-proxy"


def test_a_socks_proxy_that_chooses_what_was_not_offered(start: Start) -> None:
    def handler(peer: Peer) -> None:
        peer.take(3)
        peer.send(b"\x05\x02")
        silent(peer)

    observation, _ = through(start(handler), scheme="socks5")
    assert failure(observation) == "not-a-proxy"
