"""The SOCKS5 codec against the layouts of RFC 1928 and RFC 1929."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netdiag.wire import socks


def test_messages() -> None:
    assert socks.greeting(0, 2) == b"\x05\x02\x00\x02"
    assert socks.password_request("us", "pwd") == b"\x01\x02us\x03pwd"
    assert socks.connect_request("a.example", 443) == b"\x05\x01\x00\x03\x09a.example\x01\xbb"
    assert socks.connect_request("192.0.2.1", 80) == b"\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x50"
    assert socks.connect_request("2001:db8::1", 80) == (
        b"\x05\x01\x00\x04" + ipaddress.ip_address("2001:db8::1").packed + b"\x00\x50"
    )


@pytest.mark.parametrize(("user", "password"), [("", "x"), ("u" * 256, "x"), ("u", "é" * 128)])
def test_what_does_not_fit_a_password_request(user: str, password: str) -> None:
    with pytest.raises(ValueError, match="255"):
        socks.password_request(user, password)


@pytest.mark.parametrize("host", ["", "a" * 256])
def test_what_does_not_fit_a_request(host: str) -> None:
    with pytest.raises(ValueError, match="255"):
        socks.connect_request(host, 1)


@pytest.mark.parametrize(
    ("data", "expected"), [(b"", None), (b"\x05", None), (b"\x05\x02", (2, 2)), (b"\x05\xff....", (255, 2))]
)
def test_choice(data: bytes, expected: tuple[int, int] | None) -> None:
    assert socks.parse_choice(data) == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b"", None), (b"\x01", None), (b"\x01\x00", (True, 2)), (b"\x01\x01x", (False, 2)), (b"\x05\x00", (True, 2))],
)
def test_password_reply(data: bytes, expected: tuple[bool, int] | None) -> None:
    assert socks.parse_password_reply(data) == expected


@pytest.mark.parametrize("parse", [socks.parse_choice, socks.parse_password_reply, socks.parse_reply])
@pytest.mark.parametrize("data", [b"HTTP/1.1 400 Bad Request\r\n", b"\x15\x03\x01", b"\x00\x5b\x00\x00\x00"])
def test_what_is_not_socks5(parse: Callable[[bytes], object], data: bytes) -> None:
    with pytest.raises(socks.NotSocksError):
        parse(data)


def test_an_unknown_address_type() -> None:
    with pytest.raises(socks.NotSocksError, match="address type 9"):
        socks.parse_reply(b"\x05\x00\x00\x09\x00")


_ADDRESSES = st.one_of(
    st.ip_addresses(v=4).map(lambda a: (1, a.packed, str(a))),
    st.ip_addresses(v=6).map(lambda a: (4, a.packed, str(a))),
    st.from_regex(r"[a-z.]{0,40}", fullmatch=True).map(lambda n: (3, bytes([len(n)]) + n.encode(), n)),
)


@given(code=st.integers(0, 255), address=_ADDRESSES, port=st.integers(0, 65535), trailing=st.binary(max_size=20))
def test_replies_whole_by_byte_and_with_trailing_bytes(
    code: int, address: tuple[int, bytes, str], port: int, trailing: bytes
) -> None:
    kind, packed, text = address
    data = bytes([5, code, 0, kind]) + packed + port.to_bytes(2, "big")
    assert all(socks.parse_reply(data[:end]) is None for end in range(len(data)))
    assert socks.parse_reply(data + trailing) == (socks.Reply(code, text, port), len(data))


@pytest.mark.parametrize(("code", "name"), [(0, "succeeded"), (5, "connection refused"), (99, "unassigned reply 99")])
def test_reply_names(code: int, name: str) -> None:
    assert socks.Reply(code, "", 0).name == name


def test_a_refusal_cut_short() -> None:
    assert socks.refusal(b"\x05\x02") == socks.Reply(2, "", 0)
    assert socks.refusal(b"\x05\x00\x00") is None
    assert socks.refusal(b"\x05") is None
    assert socks.refusal(b"HT") is None
