"""The TLS prober against real servers on loopback (stdlib ssl in threads)."""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import ssl
import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from netdiag.model import TlsObservation
from netdiag.probes.net import Address, Deadline, Net, Step
from netdiag.probes.tls import MAX_HANDSHAKE_BYTES, TlsAlertError, TlsStream, handshake, system_handshake
from tests.certs import authority, make
from tests.listener import Listener

HOST = "server.test"
STEP = Step("tls.direct.main", "tcp.direct.127.0.0.1:443")
Handler = Callable[[socket.socket], None]


@dataclass(frozen=True)
class Pki:
    ca: Path
    chain: Path
    leaf_der: bytes
    ca_der: bytes


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """A root, and a leaf for HOST and 127.0.0.1 under it; the chain file also holds the leaf's key."""
    folder = tmp_path_factory.mktemp("pki")
    root = authority("netdiag test root", starts=-3650, ends=3650)
    leaf = make(HOST, root, hosts=[HOST], starts=-3650, ends=3650)
    ca, chain = folder / "ca.pem", folder / "chain.pem"
    ca.write_bytes(root.pem)
    chain.write_bytes(leaf.key_pem + leaf.pem + root.pem)
    return Pki(ca, chain, leaf.der, root.der)


def server_context(
    pki: Pki, lowest: str = "TLSv1_2", highest: str = "TLSv1_3", *, client: bool = False
) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TLS 1.0 and 1.1, which are the point
        context.minimum_version = ssl.TLSVersion[lowest]
        context.maximum_version = ssl.TLSVersion[highest]
    context.load_cert_chain(pki.chain)
    context.set_alpn_protocols(["http/1.1"])
    if client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(pki.ca)
    return context


def echo(context: ssl.SSLContext) -> Handler:
    """A TLS server that sends back what it gets."""

    def handle(sock: socket.socket) -> None:
        with context.wrap_socket(sock, server_side=True) as tls:
            while data := tls.recv(65536):
                tls.sendall(data)

    return handle


def until_closed(sock: socket.socket) -> None:
    while sock.recv(65536):
        pass


def says(data: bytes, *, wait: bool = True) -> Handler:
    """Not a TLS server: answers the first bytes (or nothing at all) with ``data`` and closes."""

    def handle(sock: socket.socket) -> None:
        if wait:
            sock.recv(65536)
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        until_closed(sock)

    return handle


def resets(after: bytes = b"") -> Handler:
    def handle(sock: socket.socket) -> None:
        sock.recv(65536)
        if after:
            sock.sendall(after)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return handle


@contextlib.contextmanager
def serving(handler: Handler) -> Iterator[Address]:
    """Serve on loopback until the block ends."""

    def handle(sock: socket.socket) -> None:
        sock.settimeout(10)
        handler(sock)

    with Listener(handle) as listener:
        yield listener.address


@contextlib.contextmanager
def shaken(
    address: Address, server_name: str = HOST, *, seconds: float = 5.0, purpose="main", offered=("TLSv1.2", "TLSv1.3")
) -> Iterator[tuple[TlsObservation, TlsStream | None]]:
    deadline = Deadline(seconds)
    stream = Net().connect(address, deadline)
    try:
        yield handshake(
            stream,
            address=address,
            server_name=server_name,
            purpose=purpose,
            offered=offered,
            deadline=deadline,
            step=STEP,
        )
    finally:
        stream.close()


def observe(handler: Handler, server_name: str = HOST, **options) -> TlsObservation:
    with serving(handler) as address, shaken(address, server_name, **options) as (observation, stream):
        assert (stream is None) == (observation.outcome == "failed") == (observation.failure is not None)
        if stream is not None:
            stream.close()
        return observation


@pytest.mark.parametrize(
    ("highest", "offered", "version"),
    [
        ("TLSv1_3", ("TLSv1.2", "TLSv1.3"), "TLSv1.3"),
        ("TLSv1_2", ("TLSv1.2", "TLSv1.3"), "TLSv1.2"),
        ("TLSv1_3", ("TLSv1.2", "TLSv1.2"), "TLSv1.2"),
    ],
)
def test_a_healthy_server(pki, highest, offered, version):
    with (
        serving(echo(server_context(pki, highest=highest))) as address,
        shaken(address, offered=offered) as (seen, tls),
    ):
        assert (seen.outcome, seen.failure, seen.version, seen.alpn) == ("ok", None, version, "http/1.1")
        assert seen.cipher
        assert seen.chain == (pki.leaf_der, pki.ca_der)
        assert (seen.server_name, seen.offered, seen.alert, seen.not_tls) == (HOST, offered, "", "")
        assert (seen.id, seen.parent, seen.port) == (*STEP[:2], address.port)
        assert seen.bytes_sent > 0
        assert seen.bytes_received > len(pki.leaf_der) + len(pki.ca_der)
        assert not seen.client_certificate_requested
        assert tls.flow == seen.flow
        assert seen.flow.server_port == address.port
        data = bytes(range(256)) * 1500  # several records each way, with session tickets in between
        tls.send(data, Deadline(5))
        back = b""
        while len(back) < len(data):
            back += tls.receive(Deadline(5), 5000)
        assert back == data
        tls.close()
        tls.close()


@pytest.mark.parametrize(("name", "sent"), [("", ""), ("127.0.0.1", ""), ("::1", ""), ("server.test.", HOST)])
def test_sni_is_a_name_or_nothing(pki, name, sent):
    names = []
    context = server_context(pki)
    context.sni_callback = lambda _sock, server_name, _context: names.append(server_name)
    assert observe(echo(context), name).server_name == sent
    assert names == [sent or None]


def test_a_server_with_tls_1_0_only(pki):
    context = server_context(pki, "TLSv1", "TLSv1")
    main = observe(echo(context))
    assert main.failure.kind == "tls-alert"
    assert "protocol_version" in main.failure.detail
    legacy = observe(echo(context), purpose="legacy-versions", offered=("TLSv1", "TLSv1.1"))
    assert (legacy.outcome, legacy.version) == ("ok", "TLSv1")


def test_a_server_that_selects_an_old_version_is_refused_by_us():
    """A ServerHello with TLS 1.0 (RFC 5246 appendix E.1) instead of an alert."""
    body = b"\x03\x01" + bytes(32) + b"\x00" + b"\xc0\x13" + b"\x00"
    message = b"\x02" + len(body).to_bytes(3, "big") + body
    seen = observe(says(b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message))
    assert seen.failure.kind == "tls-alert"
    assert "this side refused" in seen.failure.detail
    assert (seen.alert, seen.not_tls) == ("", "")


def test_a_server_that_wants_tls_1_3(pki):
    seen = observe(echo(server_context(pki, "TLSv1_3")), purpose="tls1.2-only", offered=("TLSv1.2", "TLSv1.2"))
    assert (seen.failure.kind, seen.alert) == ("tls-alert", "protocol_version")


def test_client_certificate_required_in_tls_1_2_keeps_the_chain(pki):
    seen = observe(echo(server_context(pki, highest="TLSv1_2", client=True)))
    assert (seen.failure.kind, seen.alert) == ("tls-alert", "handshake_failure")
    assert seen.client_certificate_requested
    assert seen.chain == (pki.leaf_der, pki.ca_der)


def test_client_certificate_required_in_tls_1_3_shows_at_the_first_read(pki):
    with serving(echo(server_context(pki, "TLSv1_3", client=True))) as address, shaken(address) as (seen, tls):
        assert (seen.outcome, seen.client_certificate_requested, seen.alert) == ("ok", True, "")
        with pytest.raises(TlsAlertError, match="certificate_required: a client certificate") as caught:
            tls.receive(Deadline(5))
        assert caught.value.alert == "certificate_required"
        tls.close()


def send_until_it_fails(tls: TlsStream) -> None:
    for _ in range(100):
        tls.send(bytes(65536), Deadline(5))


def test_an_alert_is_found_when_sending_fails_first(pki):
    """The peer sent its alert and closed; our next segments meet a reset, yet the alert is what matters."""
    closed = threading.Event()

    def handle(sock: socket.socket) -> None:
        try:
            echo(server_context(pki, "TLSv1_3", client=True))(sock)
        finally:
            sock.close()
            closed.set()

    with serving(handle) as address, shaken(address) as (_, tls):
        assert closed.wait(5)
        with pytest.raises(TlsAlertError) as caught:
            send_until_it_fails(tls)
        assert caught.value.alert == "certificate_required"
        tls.close()


def test_an_alert_because_of_the_name(pki):
    context = server_context(pki)
    context.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    seen = observe(echo(context))
    assert (seen.failure.kind, seen.alert) == ("tls-alert", "unrecognized_name")
    assert seen.failure.detail == "unrecognized_name: no server here has the name that was asked for"


SERVER_HELLO_BEGUN = b"\x16\x03\x03\x00\x7a\x02\x00\x00"


@pytest.mark.parametrize(
    ("handler", "kind", "received"),
    [
        (resets(), "reset", 0),
        (resets(SERVER_HELLO_BEGUN), "reset", len(SERVER_HELLO_BEGUN)),
        (says(b""), "eof", 0),
        (says(SERVER_HELLO_BEGUN), "eof", len(SERVER_HELLO_BEGUN)),
        (says(b"\x15\x03\x03\x00\x02\x01\x00"), "eof", 7),  # a warning close_notify
        (says(b"\x15\x03\x03\x00\x02\x02\x28"), "tls-alert", 7),
        (says(b"\x15\x03\x03\x00\x02\x02\xc8"), "tls-alert", 7),  # alert 200 is nobody's
        (says(b"\x16\x03\x03\x00\x04\x0b\x00\x00\x00"), "tls-malformed", 9),  # Certificate before ServerHello
        (says(b"\x16\x03\x03\xff\xff" + bytes(100)), "tls-malformed", 105),
    ],
)
def test_how_a_handshake_can_end(handler, kind, received):
    seen = observe(handler)
    assert (seen.outcome, seen.failure.kind, seen.failure.step) == ("failed", kind, "handshake")
    assert (seen.bytes_received, seen.not_tls) == (received, "")
    assert seen.bytes_sent > 0


def test_silence_ends_at_the_deadline():
    seen = observe(until_closed, seconds=0.1)
    assert (seen.failure.kind, seen.bytes_received) == ("timeout", 0)


@pytest.mark.parametrize(
    "banner",
    [
        b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n<html>plain HTTP</html>",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"220 mail.test ESMTP\r\n",
        b"no",
        b"\x00\xff" * 5000,
    ],
)
@pytest.mark.parametrize("wait", [True, False])
def test_another_protocol_on_the_port(banner, wait):
    seen = observe(says(banner, wait=wait))
    assert seen.failure.kind == "tls-malformed"
    assert seen.not_tls == banner[:200].decode("latin-1")


def test_an_endless_handshake_is_bounded():
    """HelloRequests, which a client ignores during a handshake (RFC 5246 §7.4.1.1), for as long as we listen."""
    seen = observe(says(b"\x16\x03\x03\x00\x04\x00\x00\x00\x00" * 100_000))
    assert seen.failure.kind == "tls-malformed"
    assert MAX_HANDSHAKE_BYTES < seen.bytes_received <= MAX_HANDSHAKE_BYTES + 65536
    assert str(seen.bytes_received) in seen.failure.detail


def test_a_server_without_secure_renegotiation_is_spoken_to():
    """A TLS 1.2 ServerHello without the RFC 5746 extension goes on to the next message."""
    hello = b"\x03\x03" + bytes(32) + b"\x00" + b"\xc0\x2f" + b"\x00"
    message = b"\x02" + len(hello).to_bytes(3, "big") + hello
    seen = observe(says(b"\x16\x03\x03" + len(message).to_bytes(2, "big") + message))
    assert seen.failure.kind == "eof"


def test_tls_in_tls(pki):
    """As with an HTTPS proxy: one TLS connection to it, and the target's inside."""
    outer_context, inner_context = server_context(pki), server_context(pki, highest="TLSv1_2")

    def handle(sock: socket.socket) -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        inner = inner_context.wrap_bio(incoming, outgoing, server_side=True)
        with outer_context.wrap_socket(sock, server_side=True) as outer:
            step = inner.do_handshake
            while True:
                with contextlib.suppress(ssl.SSLWantReadError):
                    step()
                    inner.write(b"hello from inside")
                    step = partial(inner.read, 100)
                if outgoing.pending:
                    outer.sendall(outgoing.read())
                if not (data := outer.recv(65536)):
                    return
                incoming.write(data)

    with serving(handle) as address, shaken(address) as (first, outer):
        seen, inner = handshake(
            outer,
            address=Address("198.51.100.1", 443),
            server_name=HOST,
            purpose="main",
            deadline=Deadline(5),
            step=STEP,
        )
        assert (first.version, seen.version) == ("TLSv1.3", "TLSv1.2")
        assert seen.flow == first.flow
        assert (seen.address, seen.port) == ("198.51.100.1", 443)
        assert inner.receive(Deadline(5)) == b"hello from inside"
        inner.close()


@pytest.mark.parametrize("goodbye", [True, False], ids=["close_notify", "plain close"])
def test_the_end_of_the_stream(pki, goodbye):
    context = server_context(pki)

    def handle(sock: socket.socket) -> None:
        tls = context.wrap_socket(sock, server_side=True)
        tls.sendall(b"last words")
        if goodbye:
            tls.unwrap()
        tls.close()

    with serving(handle) as address, shaken(address) as (_, tls):
        assert tls.receive(Deadline(5), 4) == b"last"
        assert tls.receive(Deadline(5)) == b" words"
        assert tls.receive(Deadline(5)) == b""
        tls.close()


def test_silence_while_reading(pki):
    with serving(echo(server_context(pki))) as address, shaken(address) as (_, tls):
        with pytest.raises(TimeoutError):
            tls.receive(Deadline(0.05))
        tls.close()


def test_handshakes_share_a_context_but_not_what_they_saw(pki):
    with (
        serving(echo(server_context(pki, highest="TLSv1_2", client=True))) as strict,
        serving(echo(server_context(pki, highest="TLSv1_2"))) as plain,
    ):
        seen: dict[int, TlsObservation] = {}

        def probe(i: int) -> None:
            with shaken(strict if i % 2 else plain) as (observation, tls):
                seen[i] = observation
                if tls:
                    tls.close()

        threads = [threading.Thread(target=probe, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert {i: (o.alert, o.client_certificate_requested) for i, o in seen.items()} == {
        i: ("handshake_failure", True) if i % 2 else ("", False) for i in range(8)
    }


class TestSystem:
    """The operating system's own verdict; on Linux truststore reads what OpenSSL is told to trust."""

    def judge(self, handler: Handler, name: str = HOST, seconds: float = 5.0) -> TlsObservation:
        with serving(handler) as address:
            deadline = Deadline(seconds)
            return system_handshake(
                Net().connect(address, deadline), address=address, server_name=name, deadline=deadline, step=STEP
            )

    @pytest.mark.skipif("sys.platform in ('win32', 'darwin')", reason="their trust stores cannot be set for a process")
    def test_trusted(self, pki, monkeypatch):
        monkeypatch.setenv("SSL_CERT_FILE", str(pki.ca))
        seen = self.judge(echo(server_context(pki)))
        assert (seen.outcome, seen.failure, seen.purpose, seen.version) == ("ok", None, "system", "TLSv1.3")

    def test_not_trusted(self, pki):
        seen = self.judge(echo(server_context(pki)))
        assert seen.failure.kind == "certificate"
        assert seen.failure.detail

    @pytest.mark.parametrize(
        ("handler", "kind"),
        [
            (resets(), "reset"),
            (says(b""), "eof"),
            (says(b"\x15\x03\x03\x00\x02\x02\x28"), "tls-alert"),
            (says(b"SSH-2.0-OpenSSH_9.2\r\n"), "tls-malformed"),
        ],
    )
    def test_no_verdict(self, handler, kind):
        assert self.judge(handler).failure.kind == kind

    def test_gone_before_it_began(self):
        """A reset that was already told of leaves a socket that the ssl module takes for one not yet connected."""
        deadline = Deadline(5)
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = Address(*server.getsockname())
            stream = Net().connect(address, deadline)
            accepted = server.accept()[0]
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            accepted.close()
            assert select.select([stream.socket], [], [], 5)[0]
            assert stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNRESET
            seen = system_handshake(stream, address=address, server_name=HOST, deadline=deadline, step=STEP)
        assert (seen.outcome, seen.failure.kind) == ("failed", "eof")

    def test_silence(self):
        assert self.judge(until_closed, seconds=0.1).failure.kind == "timeout"
