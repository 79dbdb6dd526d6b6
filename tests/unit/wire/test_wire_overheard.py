"""The client's half of HTTP and SOCKS5, and ICMP's words."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netdiag.probes import failure
from netdiag.probes.proxy_auth import parse_challenges
from netdiag.wire import icmp, overheard, socks
from netdiag.wire.http import NotHttpError

CONNECT = (
    b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\nProxy-Authorization: basic dXNlcjpwYXNz\r\n"
    b"Content-Length: 0\r\n\r\n"
)


def test_a_request():
    parsed = overheard.parse_request(CONNECT + b"\x16\x03\x01")
    assert parsed == (
        overheard.Request("CONNECT", "a.example:443", "a.example:443", "Basic", "dXNlcjpwYXNz", 0),
        len(CONNECT),
    )
    for end in range(len(CONNECT)):
        assert overheard.parse_request(CONNECT[:end]) is None


@pytest.mark.parametrize("data", [b"SSH-2.0-x\r\n", b"GET /\r\n", b"GET / HTTP/2.0\r\n", b"x" * 9000])
def test_what_is_no_request(data):
    with pytest.raises(NotHttpError):
        overheard.parse_request(data)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("A.example:443", ("a.example", 443)),
        ("[2001:db8::1]:8443", ("2001:db8::1", 8443)),
        ("a.example", ("a.example", 0)),
        ("a.example:x", ("a.example:x", 0)),
        ("a.example:70000", ("a.example:70000", 0)),
    ],
)
def test_authorities(target, expected):
    assert overheard.split_authority(target) == expected


CHALLENGES = [
    ["Negotiate", "NTLM", 'Basic realm="x, y"'],
    ['Digest realm="a", nonce="b", qop="auth", Basic realm="c"'],
    ["NTLM TlRMTVNTUAACAAAA==", 'basic realm = "a"'],
    ['Basic realm="never closed'],
    ["", ",,", "=x", "a=b"],
]


@pytest.mark.parametrize("values", CHALLENGES)
def test_schemes_are_those_that_the_probes_read(values):
    expected = tuple(dict.fromkeys(challenge.scheme for challenge in parse_challenges(values)))
    assert overheard.challenge_schemes(values) == expected


def test_socks():
    assert overheard.parse_greeting(socks.greeting(0, 2)) == ((0, 2), 4)
    assert overheard.parse_greeting(b"\x05") is None
    secret = socks.password_request("user", "pass")
    assert overheard.password_request_length(secret + b"more") == len(secret)
    assert overheard.password_request_length(secret[:-1]) is None
    for host in ("a.example", "192.0.2.1", "2001:db8::1"):
        request = socks.connect_request(host, 443)
        assert overheard.parse_connect(request) == ((host, 443), len(request))
        assert all(overheard.parse_connect(request[:end]) is None for end in range(len(request)))


@pytest.mark.parametrize(
    ("parse", "data"),
    [
        (overheard.parse_greeting, b"GET"),
        (overheard.parse_greeting, b"\x05\x00"),
        (overheard.parse_connect, b"\x05\x01\x00\x09\x00"),
        (overheard.parse_connect, b"\x04\x01"),
        (overheard.password_request_length, b"\x05\x01"),
    ],
)
def test_what_is_no_socks(parse, data):
    with pytest.raises(socks.NotSocksError):
        parse(data)


@given(st.binary(max_size=200))
def test_garbage_is_survived(data):
    for parse in (overheard.parse_request, overheard.parse_greeting, overheard.parse_connect):
        with contextlib.suppress(NotHttpError, socks.NotSocksError):
            parse(data)
    overheard.challenge_schemes([data.decode("latin-1")])
    overheard.split_authority(data.decode("latin-1"))


def test_icmp():
    assert icmp.words(4, 3, 13) == "communication administratively prohibited"
    assert icmp.words(6, 1, 4) == "port unreachable"
    assert icmp.words(4, 11, 0) == "time exceeded in transit"
    assert icmp.words(6, 2, 0) == "packet too big"
    assert icmp.words(4, 3, 99) == "unreachable (code 99)"
    assert icmp.words(4, 5, 0) == "ICMP type 5 code 0"
    assert icmp.words(6, 137, 0) == "ICMPv6 type 137 code 0"


def test_icmp_kinds_agree_with_the_probes():
    for version, codes in failure.PROHIBITED_ICMP.items():
        kind = icmp.UNREACHABLE[version]
        assert {c for c in range(20) if icmp.failure_kind(version, kind, c) == "prohibited"} == codes
    assert icmp.failure_kind(4, 3, 3) == icmp.failure_kind(6, 1, 4) == "refused"
    assert icmp.failure_kind(4, 3, 1) == icmp.failure_kind(6, 1, 3) == icmp.failure_kind(4, 11, 0) == "unreachable"
    assert icmp.failure_kind(4, 3, 4) is None
    assert icmp.failure_kind(6, 2, 0) is None
