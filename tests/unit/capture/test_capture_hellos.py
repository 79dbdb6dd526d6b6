"""The vectorised search for server names against the parser that reads one hello: real, random, damaged."""

from __future__ import annotations

import random
import ssl

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netdiag.capture.hellos import server_names
from netdiag.capture.packets import SLACK
from netdiag.wire.tls_messages import host_name, parse_client_hello
from tests.dialogues import client_context


def found(payloads: list[bytes]) -> list[str]:
    data = np.frombuffer(b"".join(payloads) + bytes(SLACK), np.uint8)
    end = np.cumsum([len(payload) for payload in payloads], dtype=np.int64)
    start = end - np.array([len(payload) for payload in payloads], np.int64)
    offsets, lengths = server_names(data, start, end)
    assert all((offsets >= 0) & (offsets + lengths <= len(data)))
    return [host_name(data[o : o + n].tobytes()) for o, n in zip(offsets, lengths, strict=True)]


def expected(payload: bytes) -> str:
    """What the parser finds in the first record, as far as it was captured."""
    if len(payload) <= 43 or payload[:2] != b"\x16\x03" or payload[5] != 1:
        return ""
    record = payload[5 : 5 + int.from_bytes(payload[3:5], "big")]
    return parse_client_hello(record[4 : 4 + int.from_bytes(payload[6:9], "big")]).server_name


def real(name: str | None, *, alpn: bool = False, version: ssl.TLSVersion | None = None) -> bytes:
    context, out = client_context(), ssl.MemoryBIO()
    if alpn:
        context.set_alpn_protocols(["h2", "http/1.1"])
    if version:
        context.maximum_version = version
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name).do_handshake()
    return out.read()


REAL = [
    real("a.example"),
    real(None),
    real("x" * 60 + ".Example.org", alpn=True),
    real("b.example", version=ssl.TLSVersion.TLSv1_2),
    real("wu2.frontend.clouddatahub.net", alpn=True),
]


def made(chance: random.Random) -> bytes:
    """A hello of random shape: extensions in any order, sizes of any kind."""
    extensions = []
    for kind in chance.sample([0, 10, 11, 13, 16, 21, 23, 35, 43, 45, 51, 0x0A0A, 0xFF01], chance.randrange(14)):
        body = chance.randbytes(chance.randrange(40))
        if kind == 0 and chance.random() < 0.9:
            name = chance.choice([b"host.example", b"", b"H" * 200, b"\xff\x00"])
            entry = bytes([chance.choice([0, 0, 0, 1])]) + len(name).to_bytes(2, "big") + name
            body = len(entry).to_bytes(2, "big") + entry
        extensions.append(kind.to_bytes(2, "big") + len(body).to_bytes(2, "big") + body)
    block = b"".join(extensions)
    ciphers = chance.randbytes(2 * chance.randrange(20))
    body = b"\x03\x03" + bytes(32) + bytes([n := chance.choice([0, 32])]) + bytes(n)
    body += len(ciphers).to_bytes(2, "big") + ciphers + b"\x01\x00"
    if chance.random() < 0.95:
        body += len(block).to_bytes(2, "big") + block
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(message).to_bytes(2, "big") + message


def test_real_hellos():
    assert found(REAL) == ["a.example", "", "x" * 60 + ".example.org", "b.example", "wu2.frontend.clouddatahub.net"]


def test_cut_anywhere():
    for hello in REAL:
        payloads = [hello[:end] for end in range(len(hello))]
        assert found(payloads) == [expected(payload) for payload in payloads]


@given(st.integers(0, 2**32))
def test_random_and_damaged_hellos(seed):
    chance = random.Random(seed)
    payloads = []
    for _ in range(60):
        hello = bytearray(chance.choice([made(chance), chance.choice(REAL)]))
        for _ in range(chance.choice([0, 0, 1, 5])):
            hello[chance.randrange(3, len(hello))] = chance.randrange(256)
        payloads.append(bytes(hello[: chance.randrange(len(hello) + 1)] if chance.random() < 0.3 else hello))
    names = [expected(payload) for payload in payloads]
    assert found(payloads) == names
    assert seed or any(names)


@given(st.lists(st.binary(max_size=120), max_size=20))
def test_garbage(payloads):
    assert found(payloads) == [expected(payload) for payload in payloads]


def test_what_follows_a_payload_is_not_read():
    hello = REAL[0]
    assert found([hello[:130], hello[130:], hello]) == [expected(hello[:130]), "", "a.example"]


def test_nothing():
    assert found([]) == []
    nothing = np.zeros(0, np.int64)
    assert [len(column) for column in server_names(np.zeros(0, np.uint8), nothing, nothing)] == [0, 0]
