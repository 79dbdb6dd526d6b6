"""TLS read without keys: real handshakes whole, byte by byte and cut anywhere; garbage."""

from __future__ import annotations

import random
import ssl
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netdiag.wire import tls
from netdiag.wire.tls import Speech, listen
from netdiag.wire.tls_ciphers import CIPHERS, cipher_name
from netdiag.wire.tls_messages import ClientHello, parse_client_hello, version_name
from tests import certs
from tests.dialogues import client_context, server_context, shake


def side(flights, which):
    return b"".join(data for sender, data in flights if sender == which)


def whole_size(flights) -> int:
    return len(flights[0][1]) - 5


def contexts(tmp_path, version=None):
    client, (server, root) = client_context(), server_context(tmp_path)
    if version:
        client.maximum_version = version
    return client, server, root


def heard(flights) -> tuple[Speech, Speech]:
    server = listen(side(flights, "server"))
    return listen(side(flights, "client"), retried=server.retried), server


def test_tls13(tmp_path):
    client_context_, server_context_, _ = contexts(tmp_path)
    client_context_.minimum_version = ssl.TLSVersion.TLSv1_2  # what is the default differs between builds of Python
    client_context_.set_alpn_protocols(["h2", "http/1.1"])
    server_context_.set_alpn_protocols(["http/1.1"])
    client, server = heard(shake(client_context_, server_context_))
    hello = client.client_hello
    assert hello is not None
    assert hello.whole
    assert hello.server_name == certs.HOST
    assert hello.offered == ("TLSv1.2", "TLSv1.3")
    assert hello.alpn == ("h2", "http/1.1")
    assert 29 in hello.groups  # x25519
    assert hello.key_shares[0] == (29, 32)
    assert len(hello.session_id) == 32
    assert hello.size + 5 == client.hello_end
    chosen = server.server_hello
    assert chosen is not None
    assert (version_name(chosen.version), cipher_name(chosen.cipher)) == ("TLSv1.3", "TLS_AES_256_GCM_SHA384")
    assert chosen.alpn == ""  # in EncryptedExtensions
    assert server.chain == ()  # encrypted
    assert not server.error
    assert not client.error
    assert {record.type for record in server.protected} == {tls.APPLICATION_DATA}
    assert client.protected[0].length == 4 + 48 + 1 + 16  # Finished with SHA-384


def test_tls12(tmp_path):
    client_context_, server_context_, root = contexts(tmp_path, ssl.TLSVersion.TLSv1_2)
    client, server = heard(shake(client_context_, server_context_))
    assert client.client_hello
    assert client.client_hello.offered == ("TLSv1.2", "TLSv1.2")
    assert server.server_hello
    assert version_name(server.server_hello.version) == "TLSv1.2"
    assert len(server.chain) == 2
    assert server.chain[1] == root.der
    assert not server.certificate_requested
    assert client.finished
    assert server.finished
    assert any(record.type == tls.APPLICATION_DATA for record in server.protected)


def test_a_certificate_request(tmp_path):
    client_context_, server_context_, root = contexts(tmp_path, ssl.TLSVersion.TLSv1_2)
    server_context_.load_verify_locations(cadata=root.pem.decode())
    server_context_.verify_mode = ssl.CERT_REQUIRED
    client, server = heard(shake(client_context_, server_context_))
    assert server.certificate_requested
    assert server.fatal
    assert server.fatal.name == "handshake_failure"
    assert not client.alerts


def test_a_client_that_does_not_trust(tmp_path):
    _, server_context_, _ = contexts(tmp_path)
    strict = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    strict.maximum_version = ssl.TLSVersion.TLSv1_2
    client, server = heard(shake(strict, server_context_))
    assert client.fatal
    assert client.fatal.name == "unknown_ca"
    assert server.chain


def test_no_version_in_common(tmp_path):
    client_context_, server_context_, _ = contexts(tmp_path, ssl.TLSVersion.TLSv1_2)
    server_context_.minimum_version = ssl.TLSVersion.TLSv1_3
    client, server = heard(shake(client_context_, server_context_))
    assert server.fatal
    assert server.fatal.name == "protocol_version"
    assert server.server_hello is None
    assert client.client_hello


def test_a_hello_retry_request(tmp_path):
    client_context_, server_context_, _ = contexts(tmp_path)
    server_context_.set_ecdh_curve("secp521r1")  # no key share for it in the first hello
    client, server = heard(shake(client_context_, server_context_))
    assert server.retried
    assert server.server_hello
    assert not server.server_hello.retry
    assert server.server_hello.group == 25
    assert client.client_hello
    assert client.client_hello.key_shares[0][0] == 29  # the first hello's
    assert client.protected
    assert not client.error
    assert not server.error


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_cut_anywhere(tmp_path, version):
    client_context_, server_context_, _ = contexts(tmp_path, version)
    flights = shake(client_context_, server_context_)
    for which in ("client", "server"):
        data = side(flights, which)
        whole = listen(data)
        for end in range(min(len(data), 1500)):
            part = listen(data[:end])
            assert not part.error
            assert part.taken <= end
            assert part.chain == whole.chain[: len(part.chain)]
            assert part.protected == whole.protected[: len(part.protected)]
            if part.client_hello and part.client_hello.server_name:
                assert part.client_hello.server_name == certs.HOST
    assert listen(side(flights, "client")[:11]).client_hello == ClientHello(
        legacy_version=0x0303, size=whole_size(flights)
    )


def test_a_hello_over_many_records(tmp_path):
    client_context_, server_context_, _ = contexts(tmp_path)
    data = shake(client_context_, server_context_)[0][1]
    message = data[5:]
    pieces = b"".join(b"\x16\x03\x01" + struct.pack("!H", 1) + message[i : i + 1] for i in range(60))
    rest = message[60:]
    split = listen(pieces + b"\x16\x03\x01" + struct.pack("!H", len(rest)) + rest)
    assert split.client_hello == listen(data).client_hello


def test_what_is_not_tls():
    said = listen(b"HTTP/1.1 400 Bad Request\r\n\r\n" + b"x" * 1000)
    assert said.not_tls.startswith(b"HTTP/1.1 400")
    assert len(said.not_tls) == tls.MAX_BANNER
    assert said.error
    assert listen(b"").error == ""
    assert listen(b"\x16").error == ""
    assert listen(b"\x16\x03\x01\xff\xff").error == "a record of 65535 bytes, longer than TLS allows"
    assert listen(b"\x15\x03\x01\x00\x02\x02\x28garbage").error == "no TLS record after 7 bytes"


def test_lengths_that_contradict_each_other():
    body = b"\x03\x03" + bytes(32) + b"\x00" + b"\x00\x02\x13\x01" + b"\x01\x00" + b"\x00\x04\x00\x00\xff\xff"
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    said = listen(b"\x16\x03\x01" + struct.pack("!H", len(message)) + message)
    assert said.error == "a ClientHello whose lengths contradict each other"
    assert said.client_hello
    assert said.client_hello.ciphers == (0x1301,)


def test_old_alerts_and_warnings():
    said = listen(b"\x15\x03\x03\x00\x02\x01\x70" + b"\x15\x03\x03\x00\x02\x02\x28")
    assert [(alert.name, alert.fatal) for alert in said.alerts] == [
        ("unrecognized_name", False),
        ("handshake_failure", True),
    ]
    assert said.fatal
    assert said.fatal.end == 14
    assert listen(b"\x15\x03\x03\x00\x1a" + bytes(26)).alerts == []  # encrypted


def test_cipher_names_are_openssls():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    known = {cipher["id"] & 0xFFFF: cipher["name"] for cipher in context.get_ciphers()}
    shared = CIPHERS.keys() & known.keys()
    assert len(shared) > 25
    assert {number: CIPHERS[number] for number in shared} == {number: known[number] for number in shared}
    assert cipher_name(0xFEFE) == "0xFEFE"


@given(st.binary(max_size=400))
def test_garbage_is_survived(data):
    for retried in (False, True):
        said = listen(data, retried=retried)
        assert said.taken <= len(data)
    parse_client_hello(data)


@given(st.integers(0, 2**32), st.integers(1, 30))
def test_a_damaged_hello_is_survived(seed, count):
    data = bytearray(HELLO)
    chance = random.Random(seed)
    for _ in range(count):
        data[chance.randrange(len(data))] = chance.randrange(256)
    said = listen(bytes(data))
    assert said.taken <= len(data)


def _hello() -> bytes:
    out = ssl.MemoryBIO()
    engine = client_context().wrap_bio(ssl.MemoryBIO(), out, server_hostname="a.example")
    with pytest.raises(ssl.SSLWantReadError):
        engine.do_handshake()
    return out.read()


HELLO = _hello()


def test_bounds():
    many = b"".join(b"\x17\x03\x03\x00\x01x" for _ in range(1000))
    assert len(listen(many).protected) == tls.MAX_RECORDS
    huge = b"\x16\x03\x01\x00\x04\x0b\xff\xff\xff"
    assert "handshake message of 16777215 bytes" in listen(huge).error
