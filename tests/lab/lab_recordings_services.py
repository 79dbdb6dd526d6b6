"""Recordings of what runs over TCP and UDP: names, TLS, proxies, net.tcp."""

from __future__ import annotations

import contextlib
import os
import pwd
import socket
import ssl
import time
from collections.abc import Callable
from functools import partial

from tests.lab.lab_capture_world import DNS, PROXY, SERVER, SERVER_V6, World, client_hello
from tests.lab.lab_recording import Shot, Table, failed, healthy, impaired

TABLE = Table()
add = TABLE.add

FRONTEND = "wu2.frontend.clouddatahub.net"
PORTAL = "portal.contoso.test"
#: The lab's root certificate stands beside the captures: with it, its servers' chains are good.
TRUST = ("--trust", "{captures}/lab-root.pem")

Handler = Callable[[socket.socket], None]


# --- names -----------------------------------------------------------------------------------------------------------


def _named(world: World) -> None:
    import lab_services

    for name, text in lab_services.zones().items():
        (world.folder / name).write_text(text)
    conf = world.folder / "named.conf"
    conf.write_text(lab_services.named_conf(world.folder, "good", DNS))
    world.start("dns", "named", "-g", "-n", "1", "-c", str(conf))
    _wait_for(world, DNS, 53)


def _wait_for(world: World, address: str, port: int) -> None:
    """Until a server program accepts; asked from the firewall, so that the client's captures stay clean."""
    end = time.monotonic() + 10
    while True:
        try:
            world.connect(address, port, namespace="firewall").close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def _ask(world: World, name: str, *, tries: int = 1) -> list[str]:
    """A and AAAA queries from one port, as resolvers send them; the addresses that come back."""
    import dns.message
    import dns.rdatatype

    asker = world.socket("client", socket.SOCK_DGRAM)
    asker.settimeout(1)
    asker.connect((DNS, 53))
    queries = [dns.message.make_query(name, kind) for kind in ("A", "AAAA")]
    answers: list[str] = []
    for _ in range(tries):
        for query in queries:
            asker.send(query.to_wire())
        with contextlib.suppress(TimeoutError):
            for _ in queries:
                answer = dns.message.from_wire(asker.recv(4096))
                answers += [str(item) for rrset in answer.answer for item in rrset]
            break
    asker.close()
    return answers


def _ask_only(name: str, world: World) -> None:
    _named(world)
    assert not _ask(world, name)


add(
    Shot("dns-nxdomain", failed("dns.name-not-found", "dns"), "'The remote name could not be resolved': whose fault?"),
    made="A and AAAA queries for a name that does not exist; named answers NXDOMAIN.",
)(partial(_ask_only, "nothere.contoso.test"))

add(
    Shot("dns-servfail", failed("dns.server-failure", "dns"), "'The remote name could not be resolved': whose fault?"),
    made="Queries for a name in a zone that named is configured for and cannot load: SERVFAIL.",
)(partial(_ask_only, "www.servfail.test"))

add(
    Shot("dns-refused", failed("dns.refused", "dns"), "'The remote name could not be resolved': whose fault?"),
    made="Queries for a name that this client may not ask for: REFUSED.",
)(partial(_ask_only, "www.refused.test"))

add(
    Shot("dns-empty", failed("dns.no-address", "dns"), "The name exists; why does it not resolve?"),
    made="Queries for a name that has neither an A nor an AAAA record.",
)(partial(_ask_only, "empty.contoso.test"))


@add(
    Shot("dns-silent", failed("dns.timeout", "dns"), "Names take long and then fail: who does not answer?"),
    made="The firewall drops queries; the client asks three times.",
)
def _dns_silent(world: World) -> None:
    world.nft("firewall", "udp dport 53 drop")
    _ask(world, FRONTEND, tries=3)


# --- TLS -------------------------------------------------------------------------------------------------------------


def _serving(
    world: World, certificate: str, *, lowest: int = 0, highest: int = 0, ciphers: str = "", mutual: bool = False
) -> Handler:
    """A TLS server that answers one request: one of the lab's certificates by its name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(world.folder / f"{certificate}.pem", world.folder / f"{certificate}.key")
    if ciphers:
        context.set_ciphers(ciphers)
    if mutual:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(world.folder / "root.pem")
    context.minimum_version = ssl.TLSVersion(lowest or ssl.TLSVersion.TLSv1_2)
    context.maximum_version = ssl.TLSVersion(highest or ssl.TLSVersion.TLSv1_3)

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(ssl.SSLError), context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(65536)
            secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
            secured.unwrap()

    return serve


def _trusting(world: World, *, root: str = "root", lowest: int = 0, highest: int = 0) -> ssl.SSLContext:
    """A client; ``root`` "": it verifies nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if root:
        context.load_verify_locations(world.folder / f"{root}.pem")
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion(lowest or ssl.TLSVersion.TLSv1_2)
    context.maximum_version = ssl.TLSVersion(highest or ssl.TLSVersion.TLSv1_3)
    return context


def _talk(context: ssl.SSLContext, connection: socket.socket, name: str | None) -> None:
    """Handshake, one request, one answer, an orderly end."""
    with context.wrap_socket(connection, server_hostname=name) as secured:
        secured.sendall(b"GET / HTTP/1.1\r\nHost: data\r\n\r\n")
        while secured.recv(65536):
            pass
        with contextlib.suppress(OSError):
            secured.unwrap()


_12 = ssl.TLSVersion.TLSv1_2
_13 = ssl.TLSVersion.TLSv1_3


@add(
    Shot("tls13-healthy", healthy(), "What does a good connection to the service look like, name lookup included?"),
    made="The client resolves the frontend's name with named, connects and talks TLS 1.3.",
)
def _tls13(world: World) -> None:
    _named(world)
    world.certificates()
    world.listen(443, _serving(world, "good"))
    address = _ask(world, FRONTEND)[0]
    _talk(_trusting(world), world.connect(address, 443), FRONTEND)


def _tls12_with(certificate: str, name: str, root: str, world: World) -> None:
    """``root`` "": the client takes whatever comes; otherwise it verifies, and ends what it does not like."""
    world.certificates()
    world.listen(443, _serving(world, certificate, highest=_12))
    with contextlib.suppress(ssl.SSLCertVerificationError):
        _talk(_trusting(world, root=root), world.connect(SERVER, 443), name)


add(
    Shot("tls12-healthy", healthy(options=TRUST), "Is the server's certificate right?"),
    made="TLS 1.2 with the lab's own authority, whose root is captures/lab-root.pem.",
)(partial(_tls12_with, "good", FRONTEND, "root"))

add(
    Shot("tls12-expired", failed("chain.expired", "server", options=TRUST), "What does the client dislike?"),
    made="TLS 1.2 with a certificate that expired in 2024; the client ends the handshake with an alert.",
)(partial(_tls12_with, "expired", "expired.contoso.test", "root"))

add(
    Shot(
        "tls12-expired-accepted",
        impaired("chain.expired", "server", options=TRUST),
        "One program connects, all others complain: is the server's certificate right?",
    ),
    made="The same; the client does not look at the certificate and goes on.",
)(partial(_tls12_with, "expired", "expired.contoso.test", ""))

add(
    Shot("tls12-wrong-name", failed("tls.name-mismatch", "server", options=TRUST), "What does the client dislike?"),
    made="TLS 1.2 with a certificate for another name; the client ends the handshake with an alert.",
)(partial(_tls12_with, "wrongname", "wrongname.contoso.test", "root"))

add(
    Shot(
        "tls12-incomplete",
        failed("chain.incomplete", "server", options=TRUST),
        "Browsers connect, the runtime does not.",
    ),
    made="TLS 1.2 with a certificate whose intermediate the server does not send; the client ends the handshake with "
    "the alert unknown_ca.",
)(partial(_tls12_with, "incomplete", "incomplete.contoso.test", "root"))


@add(
    Shot(
        "tls12-private-root",
        failed("chain.untrusted-root", "server"),
        "'The remote certificate is invalid': what did the client dislike?",
    ),
    made="TLS 1.2 with a certificate of a private authority that the client does not know: it ends the handshake with "
    "the alert unknown_ca.",
)
def _private_root(world: World) -> None:
    world.certificates()
    world.listen(443, _serving(world, "private", highest=_12))
    with contextlib.suppress(ssl.SSLCertVerificationError):
        _talk(_trusting(world), world.connect(SERVER, 443), "private.contoso.test")


@add(
    Shot(
        "tls-handshake-failure", failed("tls.handshake-failed", "server"), "The handshake fails: who refuses, and why?"
    ),
    made="The client offers only the cipher suites of TLS 1.2 with AES-128, the server takes only ChaCha20: it sends "
    "the alert handshake_failure.",
)
def _no_cipher(world: World) -> None:
    world.certificates()
    world.listen(443, _serving(world, "good", highest=_12, ciphers="ECDHE-ECDSA-CHACHA20-POLY1305"))
    context = _trusting(world, highest=_12)
    context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    with contextlib.suppress(ssl.SSLError):
        _talk(context, world.connect(SERVER, 443), FRONTEND)


@add(
    Shot("tls-protocol-version", failed("tls.version-unsupported", "server"), "The handshake fails: who is too old?"),
    made="The client offers TLS 1.3 alone, the server speaks at most TLS 1.2: it sends the alert protocol_version.",
)
def _version(world: World) -> None:
    world.certificates()
    world.listen(443, _serving(world, "good", highest=_12))
    with contextlib.suppress(ssl.SSLError):
        _talk(_trusting(world, lowest=_13), world.connect(SERVER, 443), FRONTEND)


def _filter_of(name: str) -> str:
    """An nftables rule that resets a ClientHello with this name, at the offset where Python's ssl puts it."""
    offset, wanted = client_hello(name).index(name.encode()), name.encode()[:16]
    match = f"@ih,{offset * 8},{len(wanted) * 8} 0x{wanted.hex()}"
    return f"tcp dport 443 tcp flags & psh == psh {match} reject with tcp reset"


@add(
    Shot(
        "sni-filtered",
        failed("tls.sni-filtered", "path-device"),
        "A port test to 443 succeeds, the browser opens other sites on that server, and the runtime cannot connect.",
        other="sni-filtered-beyond",
        says="the ClientHello with the filtered name is in the client's capture only, and so is the reset",
    ),
    Shot(
        "sni-filtered-beyond",
        healthy(),
        "The same, captured outside the firewall.",
        at=("firewall", "wire"),
        other="sni-filtered",
    ),
    made="The firewall resets a ClientHello that names the frontend (nftables, compared at the name's offset): twice; "
    "one that names the portal, at the same address, passes.",
)
def _sni(world: World) -> None:
    world.certificates()
    world.listen(443, _serving(world, "good"))
    world.nft("firewall", _filter_of(FRONTEND))
    for name in (FRONTEND, PORTAL, FRONTEND):
        with contextlib.suppress(ConnectionResetError):
            _talk(_trusting(world), world.connect(SERVER, 443), name)
            assert name == PORTAL


@add(
    Shot("tls-silence", failed("tls.interrupted", "path-device"), "Port 443 is open, and nothing comes back: why?"),
    made="The firewall lets the three-way opening pass and drops every segment with data to port 443; the client "
    "gives up after 4 s.",
)
def _silence(world: World) -> None:
    world.certificates()
    world.listen(443, _serving(world, "good"))
    world.nft("firewall", "tcp dport 443 tcp flags & psh == psh drop")
    connection = world.connect(SERVER, 443)
    connection.settimeout(4)
    with contextlib.suppress(TimeoutError):
        _talk(_trusting(world), connection, FRONTEND)


@add(
    Shot("tls-closed-after-hello", failed("tls.interrupted", "unknown"), "Port 443 is open, and TLS fails: why?"),
    made="The server reads the ClientHello and closes the connection in good order, without an alert.",
)
def _closed(world: World) -> None:
    world.listen(443, lambda connection: (connection.recv(65536), None)[1])
    with contextlib.suppress(ssl.SSLError):
        _talk(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), world.connect(SERVER, 443), FRONTEND)


@add(
    Shot(
        "tls-to-a-web-server", failed("tls.handshake-failed", "server"), "'The handshake failed': what answers there?"
    ),
    made="The server answers a ClientHello with an HTTP error, as a web server without TLS does.",
)
def _plain(world: World) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\nServer: nginx\r\nConnection: close\r\n\r\n")

    world.listen(443, serve)
    with contextlib.suppress(ssl.SSLError):
        _talk(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), world.connect(SERVER, 443), FRONTEND)


@add(
    Shot(
        "tls12-client-certificate",
        failed("tls.client-certificate-required", "this-machine", options=TRUST),
        "The handshake fails: what does the server want?",
    ),
    made="The server asks for a client certificate and insists; the client has none (TLS 1.2).",
)
def _mutual(world: World) -> None:
    world.certificates()
    world.listen(443, _serving(world, "good", highest=_12, mutual=True))
    with contextlib.suppress(ssl.SSLError):
        _talk(_trusting(world), world.connect(SERVER, 443), FRONTEND)


@add(
    Shot("ipv6-healthy", healthy(), "Does IPv6 work?"),
    made="TLS 1.3 over IPv6.",
)
def _v6(world: World) -> None:
    world.certificates()
    world.listen(443, _serving(world, "good"), v6=True)
    _talk(_trusting(world), world.connect(SERVER_V6, 443), FRONTEND)


# --- proxies ---------------------------------------------------------------------------------------------------------


def _squid(world: World, name: str) -> int:
    """One of the lab's squids; its port."""
    import lab_services
    from lab_topology import run
    from lab_world import HOSTS

    squid = {each.name: each for each in lab_services.squids(world.folder)}[name]
    digest = run(["openssl", "passwd", "-apr1", lab_services.PASSWORD]).strip()
    (world.folder / "basic.passwd").write_text(f"{lab_services.USER}:{digest}\n")
    (world.folder / "hosts.squid").write_text(HOSTS)
    log, user = world.folder / f"squid-{name}.log", pwd.getpwnam("proxy")
    log.touch()
    os.chown(log, user.pw_uid, user.pw_gid)
    conf = world.folder / "squid.conf"
    conf.write_text(lab_services.squid_conf(squid, world.folder))
    world.start("proxy", "squid", "-N", "-n", world.network.tag, "-f", str(conf))
    _wait_for(world, PROXY, squid.port)
    return squid.port


def _connect_through(world: World, port: int, name: str) -> tuple[socket.socket, bytes]:
    """Ask the proxy for a tunnel to a name; the connection, and the proxy's status line."""
    connection = world.connect(PROXY, port)
    connection.sendall(
        f"CONNECT {name}:443 HTTP/1.1\r\nHost: {name}:443\r\nProxy-Connection: Keep-Alive\r\n\r\n".encode()
    )
    return connection, connection.recv(65536).split(b"\r\n")[0]


@add(
    Shot("proxy-connect-healthy", healthy(options=TRUST), "Does the way through the proxy work?"),
    made="CONNECT through squid, 200, and TLS 1.2 in the tunnel.",
)
def _tunnelled(world: World) -> None:
    world.certificates()
    _named(world)
    world.listen(443, _serving(world, "good", highest=_12))
    port = _squid(world, "open")
    connection, status = _connect_through(world, port, FRONTEND)
    assert b" 200 " in status
    _talk(_trusting(world), connection, FRONTEND)


def _refused_by_proxy(squid: str, name: str, wanted: bytes, world: World) -> None:
    _named(world)
    port = _squid(world, squid)
    connection, status = _connect_through(world, port, name)
    assert wanted in status, status
    connection.close()


add(
    Shot("proxy-connect-403", failed("proxy.forbidden", "proxy"), "The proxy lets browsers out, but not the runtime."),
    made="CONNECT through squid to a name that it forbids: 403.",
)(partial(_refused_by_proxy, "open", "blocked.contoso.test", b" 403 "))

add(
    Shot(
        "proxy-connect-407",
        failed("proxy.authentication-required", "proxy"),
        "The proxy lets browsers out, but not the runtime.",
    ),
    made="CONNECT without credentials through squid with Basic authentication: 407.",
)(partial(_refused_by_proxy, "basic", FRONTEND, b" 407 "))

add(
    Shot(
        "proxy-connect-503",
        failed("proxy.cannot-reach-target", "proxy"),
        "Is it the proxy, or what lies behind it?",
    ),
    made="CONNECT through squid to a name whose address refuses connections: 503.",
)(partial(_refused_by_proxy, "open", "closed.contoso.test", b" 503 "))


# --- net.tcp ---------------------------------------------------------------------------------------------------------

_UPGRADED, _FAULT = b"\x0a", b"\x08"


def _preamble(host: str) -> bytes:
    """Version, mode, via, encoding, and the request for TLS (MC-NMF §2.2.3)."""
    via, upgrade = f"net.tcp://{host}:8060/ExternalService.svc/".encode(), b"application/ssl-tls"
    return b"\x00\x01\x00\x01\x02\x02" + bytes([len(via)]) + via + b"\x03\x08\x09" + bytes([len(upgrade)]) + upgrade


@add(
    Shot("net-tcp-healthy", healthy(options=TRUST), "Do the two nodes talk to each other?"),
    made="The preamble of a net.tcp client, the answer 0x0A, and TLS 1.2 without a server name, as WCF does.",
)
def _net_tcp(world: World) -> None:
    world.certificates()
    secure = _serving(world, "good", highest=_12)

    def serve(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(_UPGRADED)
        secure(connection)

    world.listen(8060, serve)
    connection = world.connect(SERVER, 8060)
    connection.sendall(_preamble(PORTAL))
    assert connection.recv(1) == _UPGRADED
    _talk(_trusting(world, root="", highest=_12), connection, None)


@add(
    Shot("net-tcp-fault", failed("node.fault", "server"), "The node's port is open; why do they not talk?"),
    made="The preamble of a net.tcp client; the server answers with the fault EndpointNotFound.",
)
def _net_tcp_fault(world: World) -> None:
    fault = b"http://schemas.microsoft.com/ws/2006/05/framing/faults/EndpointNotFound"

    def serve(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(_FAULT + bytes([len(fault)]) + fault)

    world.listen(8060, serve)
    connection = world.connect(SERVER, 8060)
    connection.sendall(_preamble(PORTAL))
    connection.recv(1000)
    connection.close()
    time.sleep(0.1)
