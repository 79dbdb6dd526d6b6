"""The servers of the embedded world do what their scenes rely on."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import pytest

from netdiag.probes.machine import Machine
from netdiag.probes.net import Address, Deadline
from netdiag.world import World, names
from netdiag.world.authority import Handshake, Leaf
from netdiag.world.names import Name, Zone
from netdiag.world.setting import Answer, Banner, HelloFilter, Proxy, Setting, Web

HOST = "service.contoso.com"
OK = Answer(status=200, reason="OK", headers=(("Server", "world"),), body="hello")
LEAF = Leaf(names=(HOST,))
WEB = Web(answer=OK, leaf=LEAF)
FORBIDDEN = Answer(status=403, reason="Forbidden")

ZONE: Zone = {
    HOST: Name(addresses=("20.0.0.1", "2603::1")),
    "alias.contoso.com": Name(alias=HOST),
    "loop.contoso.com": Name(alias="loop.contoso.com"),
    "empty.contoso.com": Name(),
    "failing.contoso.com": Name(rcode="SERVFAIL"),
    "refused.contoso.com": Name(rcode="REFUSED"),
    "long.contoso.com": Name(addresses=("20.0.0.2",), truncated=True),
    "silent.contoso.com": Name(silent=True),
    "far.contoso.com": Name(addresses=("20.0.9.9",)),
}
SETTING = Setting(
    zones={"10.0.0.53": ZONE},
    servers={
        "20.0.0.1:443": WEB,
        "[2603::1]:443": "closed",
        "20.0.0.2:443": "dropped",
        "20.0.0.3:443": replace(WEB, handshake=Handshake(newest="TLSv1")),
        "20.0.0.4:443": replace(WEB, handshake=Handshake(newest="TLSv1.2", client_certificate=True)),
        "20.0.0.5:443": HelloFilter(names=("forbidden.contoso.com",), behind=WEB),
        "20.0.0.6:443": HelloFilter(how="close"),
        "20.0.0.7:443": Web(answer=OK),
        "20.0.0.8:22": Banner(text="SSH-2.0-x\r\n"),
        "10.0.0.8:3128": Proxy(),
        "10.0.0.8:3129": Proxy(account=("user", "secret")),
        "10.0.0.8:3130": Proxy(answer=FORBIDDEN),
        "10.0.0.8:3131": Proxy(inspects="inspection"),
    },
)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World() as world:
        yield world


@pytest.fixture(scope="module")
def machine(world: World) -> Machine:
    return world.machine(SETTING)


def connect(machine: Machine, host: str, port: int = 443) -> socket.socket:
    return machine.net.connect(Address(host, port), Deadline(5)).socket


def client(world: World) -> ssl.SSLContext:
    """Trusts the world's public root, and nothing else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # Debian's Python leaves that to OpenSSL's configuration
    context.load_verify_locations(cadata=ssl.DER_cert_to_PEM_cert(der(world)))
    return context


def der(world: World) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    return world.authority.root("public").public_bytes(Encoding.DER)


def get(sock: socket.socket) -> bytes:
    sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    received = b""
    while piece := sock.recv(65536):
        received += piece
    return received


# --- names


@pytest.mark.parametrize(
    ("name", "kind", "rcode", "answers"),
    [
        (HOST, "A", "NOERROR", ["20.0.0.1"]),
        (HOST, "AAAA", "NOERROR", ["2603::1"]),
        (HOST.upper(), "A", "NOERROR", ["20.0.0.1"]),
        ("alias.contoso.com", "A", "NOERROR", [f"{HOST}.", "20.0.0.1"]),
        ("empty.contoso.com", "A", "NOERROR", []),
        ("nowhere.contoso.com", "A", "NXDOMAIN", []),
        ("failing.contoso.com", "A", "SERVFAIL", []),
        ("refused.contoso.com", "AAAA", "REFUSED", []),
    ],
)
def test_name_server_answers(name: str, kind: str, rcode: str, answers: list[str]) -> None:
    wire = names.answer(ZONE, dns.message.make_query(name, kind).to_wire(), udp=True)
    assert wire
    reply = dns.message.from_wire(wire)
    assert dns.rcode.to_text(reply.rcode()) == rcode
    assert [record.to_text() for rrset in reply.answer for record in rrset] == answers


def test_truncated_name_is_whole_over_tcp() -> None:
    question = dns.message.make_query("long.contoso.com", "A").to_wire()
    over_udp, over_tcp = (names.answer(ZONE, question, udp=udp) for udp in (True, False))
    assert over_udp
    assert over_tcp
    assert dns.message.from_wire(over_udp).flags & dns.flags.TC
    assert not dns.message.from_wire(over_udp).answer
    assert dns.message.from_wire(over_tcp).answer


def test_a_circle_of_aliases_ends() -> None:
    wire = names.answer(ZONE, dns.message.make_query("loop.contoso.com", "A").to_wire(), udp=True)
    assert wire
    assert dns.message.from_wire(wire).answer


@pytest.mark.parametrize("question", [b"", b"\0" * 12, b"nonsense"])
def test_name_server_ignores_what_is_no_question(question: bytes) -> None:
    assert names.answer(ZONE, question, udp=True) is None


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        (HOST, ("20.0.0.1", "2603::1")),
        ("alias.contoso.com", ("20.0.0.1", "2603::1")),
        ("long.contoso.com", ("20.0.0.2",)),
        ("localhost", ("127.0.0.1", "::1")),
        ("20.0.0.77", ("20.0.0.77",)),
    ],
)
def test_resolver_finds(machine: Machine, name: str, addresses: tuple[str, ...]) -> None:
    assert machine.net.lookup(name) == addresses


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("nowhere.contoso.com", socket.EAI_NONAME),
        ("empty.contoso.com", getattr(socket, "EAI_NODATA", socket.EAI_NONAME)),
        ("failing.contoso.com", socket.EAI_AGAIN),
        ("refused.contoso.com", socket.EAI_AGAIN),
        ("silent.contoso.com", socket.EAI_AGAIN),
    ],
)
def test_resolver_fails_like_getaddrinfo(machine: Machine, name: str, number: int) -> None:
    with pytest.raises(socket.gaierror) as caught:
        machine.net.lookup(name)
    assert caught.value.errno == number


def test_hosts_file_comes_first_and_is_written(world: World) -> None:
    machine = world.machine(replace(SETTING, hosts=f"10.9.9.9 {HOST} # old\n"))
    assert machine.net.lookup(HOST) == ("10.9.9.9",)
    assert machine.hosts_file.read_text(encoding="utf-8") == f"10.9.9.9 {HOST} # old\n"


# --- addresses


def test_closed_port_refuses(machine: Machine) -> None:
    with pytest.raises(ConnectionRefusedError):
        connect(machine, "2603::1")


@pytest.mark.parametrize("host", ["20.0.0.2", "20.0.77.77"])
def test_dropped_and_unknown_addresses_are_black_holes(machine: Machine, host: str) -> None:
    assert machine.net.translated(Address(host, 443)) is None


# --- TLS


def test_web_presents_a_chain_that_the_public_root_signed(world: World, machine: Machine) -> None:
    with client(world).wrap_socket(connect(machine, "20.0.0.1"), server_hostname=HOST) as sock:
        received = get(sock)
    assert received.startswith(b"HTTP/1.1 200 OK\r\nServer: world\r\nDate: ")
    assert received.endswith(b"\r\n\r\nhello")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"ends_s": -60.0}, "expired"),
        ({"starts_s": 3600.0}, "not yet valid"),
        ({"names": ("other.contoso.com",)}, "Hostname mismatch"),
        ({"with_intermediate": False}, "unable to get local issuer"),
        ({"issuer": "private"}, "local issuer|self.signed"),
    ],
)
def test_certificates_are_wrong_where_they_should_be(world: World, changes: dict[str, Any], error: str) -> None:
    leaf = Leaf(**{"names": (HOST,), **changes})
    machine = world.machine(replace(SETTING, servers={"20.0.0.1:443": Web(answer=OK, leaf=leaf)}))
    with connect(machine, "20.0.0.1") as sock, pytest.raises(ssl.SSLCertVerificationError, match=error):
        client(world).wrap_socket(sock, server_hostname=HOST)


def test_old_server_refuses_new_versions(world: World, machine: Machine) -> None:
    with connect(machine, "20.0.0.3") as sock, pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"):
        client(world).wrap_socket(sock, server_hostname=HOST)


def test_client_certificate_is_required(world: World, machine: Machine) -> None:
    with connect(machine, "20.0.0.4") as sock, pytest.raises(ssl.SSLError, match=r"(?i)handshake.failure"):
        client(world).wrap_socket(sock, server_hostname=HOST)


def test_filter_resets_the_forbidden_name_only(world: World, machine: Machine) -> None:
    context = client(world)
    with context.wrap_socket(connect(machine, "20.0.0.5"), server_hostname=HOST) as sock:
        assert get(sock).endswith(b"hello")
    with connect(machine, "20.0.0.5") as plain, pytest.raises(ConnectionResetError):
        context.wrap_socket(plain, server_hostname="forbidden.contoso.com")


def test_filter_can_close_instead(world: World, machine: Machine) -> None:
    closed = (ssl.SSLEOFError, ssl.SSLZeroReturnError)  # the latter until Python 3.11.3 (gh-95494)
    with connect(machine, "20.0.0.6") as sock, pytest.raises(closed):
        client(world).wrap_socket(sock, server_hostname=HOST)


def test_plain_server_answers_a_client_hello_in_http(machine: Machine) -> None:
    with connect(machine, "20.0.0.7") as sock:
        sock.sendall(bytes.fromhex("16030100050100000100"))
        assert sock.recv(65536).startswith(b"HTTP/1.1 400 ")


def test_banner_speaks_first(machine: Machine) -> None:
    with connect(machine, "20.0.0.8", 22) as sock:
        assert sock.recv(100) == b"SSH-2.0-x\r\n"


# --- proxies


def ask(machine: Machine, port: int, target: str, *headers: str) -> tuple[socket.socket, bytes]:
    sock = connect(machine, "10.0.0.8", port)
    lines = (f"CONNECT {target} HTTP/1.1", f"Host: {target}", *headers)
    sock.sendall("\r\n".join((*lines, "", "")).encode())
    received = b""
    while b"\r\n\r\n" not in received and (piece := sock.recv(65536)):
        received += piece
    return sock, received


@pytest.mark.parametrize(
    ("port", "target", "headers", "answer"),
    [
        (3128, f"{HOST}:443", (), b"HTTP/1.1 200 "),
        (3128, "20.0.0.1:443", (), b"HTTP/1.1 200 "),
        (3128, "alias.contoso.com:443", (), b"HTTP/1.1 200 "),
        (3128, "nowhere.contoso.com:443", (), b"HTTP/1.1 503 "),
        (3128, "far.contoso.com:443", (), b"HTTP/1.1 503 "),
        (3128, f"{HOST}:http", (), b"HTTP/1.1 405 "),
        (3129, f"{HOST}:443", (), b"HTTP/1.1 407 "),
        (3129, f"{HOST}:443", ("Proxy-Authorization: Basic dXNlcjp3cm9uZw==",), b"HTTP/1.1 407 "),
        (3129, f"{HOST}:443", ("Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=",), b"HTTP/1.1 200 "),
        (3130, f"{HOST}:443", (), b"HTTP/1.1 403 "),
        (3131, f"{HOST}:443", (), b"HTTP/1.1 200 "),
    ],
)
def test_proxy_answers(machine: Machine, port: int, target: str, headers: tuple[str, ...], answer: bytes) -> None:
    sock, received = ask(machine, port, target, *headers)
    sock.close()
    assert received.startswith(answer)


def test_tunnel_leads_to_the_target(world: World, machine: Machine) -> None:
    sock, _ = ask(machine, 3128, f"{HOST}:443")
    with client(world).wrap_socket(sock, server_hostname=HOST) as secure:
        assert get(secure).endswith(b"hello")


def test_inspecting_proxy_presents_its_own_certificate(world: World, machine: Machine) -> None:
    sock, _ = ask(machine, 3131, f"{HOST}:443")
    with sock, pytest.raises(ssl.SSLCertVerificationError):
        client(world).wrap_socket(sock, server_hostname=HOST)


# --- the end


def ended(sock: socket.socket) -> bool:
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:  # nobody had accepted it yet
        return True


def test_closing_ends_every_thread_and_open_connection() -> None:
    before = set(threading.enumerate())
    world = World()
    machine = world.machine(SETTING)
    with connect(machine, "20.0.0.1") as idle, connect(machine, "20.0.0.7") as other:
        world.close()
        assert ended(idle)
        assert ended(other)
    assert set(threading.enumerate()) <= before


def test_a_bug_in_a_server_is_not_hidden() -> None:
    world = World()
    broken = replace(WEB, answer=replace(OK, headers=(("Snowman", "☃"),)))  # not Latin-1, which headers have to be
    machine = world.machine(replace(SETTING, servers={"20.0.0.7:80": replace(broken, leaf=None)}))
    with connect(machine, "20.0.0.7", 80) as sock:
        assert get(sock) == b""
    with pytest.raises(RuntimeError, match="UnicodeEncodeError"):
        world.close()
