"""HTTP heads and bodies: every input whole, byte by byte, and with bytes behind it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netdiag.wire.http import (
    MAX_HEAD,
    MAX_LINE,
    Body,
    NotHttpError,
    ResponseHead,
    body_text,
    decoded,
    framing,
    parse_final_head,
    parse_head,
    request_head,
)

HEAD = b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: NTLM\r\nproxy-authenticate: Basic\r\n\r\n"


def head(*headers: tuple[str, str], status: int = 200, version: str = "1.1") -> ResponseHead:
    return ResponseHead(version, status, "", headers)


def test_a_head_has_its_parts_in_order() -> None:
    parsed = parse_head(HEAD + b"body")
    assert parsed is not None
    found, length = parsed
    assert length == len(HEAD)
    assert (found.version, found.status, found.reason) == ("1.1", 407, "Proxy Authentication Required")
    assert found.all("Proxy-Authenticate") == ("NTLM", "Basic")
    assert found.get("proxy-authenticate") == "NTLM, Basic"


@pytest.mark.parametrize(
    ("data", "status", "reason", "headers"),
    [
        (b"HTTP/1.0 200\n\n", 200, "", ()),
        (b"HTTP/1.0 200 \r\n\r\n", 200, "", ()),
        (b"HTTP/1.1 403 For bidden\nA:b\nC: d \n\n", 403, "For bidden", (("A", "b"), ("C", "d"))),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n  c\r\n\r\n", 200, "OK", (("A", "b c"),)),
        (b"HTTP/1.1 200 OK\r\nno field\r\nb\xc3\xa9: x\r\nA: \xff\r\n\r\n", 200, "OK", (("A", "\ufffd"),)),
    ],
)
def test_tolerated_heads(data: bytes, status: int, reason: str, headers: tuple[tuple[str, str], ...]) -> None:
    for tail in (b"", b"\r\n\r\n", b"HTTP/1.1 200 OK\n\n"):
        parsed = parse_head(data + tail)
        assert parsed is not None
        assert parsed[1] == len(data)
        assert (parsed[0].status, parsed[0].reason, parsed[0].headers) == (status, reason, headers)
    assert all(parse_head(data[:end]) is None for end in range(len(data)))


@pytest.mark.parametrize(
    "data",
    [
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"SSH-2.0-OpenSSH",
        b"220 mail ready\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 twohundred\r\n",
        b"\r\nHTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 " + b"x" * MAX_LINE,
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * (MAX_HEAD // 6 + 1),
    ],
)
def test_what_is_not_http(data: bytes) -> None:
    with pytest.raises(NotHttpError):
        parse_head(data)


def test_not_http_is_known_at_the_first_byte_that_differs() -> None:
    with pytest.raises(NotHttpError, match="bytes 15"):
        parse_head(b"\x15")


@pytest.mark.parametrize(
    ("headers", "version", "persistent"),
    [
        ((), "1.1", True),
        ((), "1.0", False),
        ((("Connection", "close"),), "1.1", False),
        ((("Proxy-Connection", "Keep-Alive"),), "1.0", True),
        ((("Proxy-Connection", "close"),), "1.1", False),
    ],
)
def test_persistence(headers: tuple[tuple[str, str], ...], version: str, persistent: bool) -> None:
    assert head(*headers, version=version).persistent is persistent


@pytest.mark.parametrize(
    ("status", "method", "headers", "expected"),
    [
        (200, "CONNECT", (("Content-Length", "5"),), ("none", 0)),
        (403, "CONNECT", (("Content-Length", "5"),), ("length", 5)),
        (403, "CONNECT", (("Content-Length", "0"),), ("none", 0)),
        (403, "CONNECT", (), ("close", 0)),
        (200, "HEAD", (("Content-Length", "5"),), ("none", 0)),
        (204, "GET", (), ("none", 0)),
        (200, "GET", (("Transfer-Encoding", "gzip, Chunked"), ("Content-Length", "5")), ("chunked", 0)),
        (200, "GET", (("Transfer-Encoding", "gzip"),), ("close", 0)),
        (200, "GET", (("Content-Length", "5, 5"),), ("length", 5)),
    ],
)
def test_framing(status: int, method: str, headers: tuple[tuple[str, str], ...], expected: tuple[str, int]) -> None:
    assert framing(head(*headers, status=status), method) == expected


@pytest.mark.parametrize("value", ["5, 6", "-1", "0x5", "five", "9" * 30])
def test_a_length_that_is_no_number(value: str) -> None:
    with pytest.raises(NotHttpError):
        framing(head(("Content-Length", value)), "GET")


def chunked(content: bytes, size: int) -> bytes:
    parts = [content[i : i + size] for i in range(0, len(content), size)]
    return b"".join(b"%x;x=y\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\nTrailer: t\r\n\r\n"


@given(
    content=st.binary(max_size=200),
    size=st.integers(1, 50),
    step=st.integers(1, 300),
    trailing=st.binary(max_size=20),
    keep=st.integers(0, 300),
    by_chunks=st.booleans(),
)
def test_bodies_however_they_arrive(
    content: bytes, size: int, step: int, trailing: bytes, keep: int, by_chunks: bool
) -> None:
    if by_chunks:
        body, wire = Body(head(("Transfer-Encoding", "chunked")), "GET", keep), chunked(content, size)
    else:
        body, wire = Body(head(("Content-Length", str(len(content)))), "GET", keep), content
    sent, rest = wire + trailing, b""
    for start in range(0, len(sent), step):
        rest += body.feed(sent[start : start + step])
    assert body.complete
    assert (body.kept, body.size, rest) == (content[:keep], len(content), trailing)


@given(st.binary(max_size=100), st.integers(1, 100))
def test_a_body_until_the_close(content: bytes, step: int) -> None:
    body = Body(head(), "GET", 1000)
    assert body.until_close
    for start in range(0, len(content), step):
        assert body.feed(content[start : start + step]) == b""
    assert not body.complete
    assert body.end()
    assert body.kept == content


def test_a_body_cut_short_is_not_whole() -> None:
    body = Body(head(("Content-Length", "5")), "GET", 10)
    body.feed(b"abc")
    assert not body.end()


@pytest.mark.parametrize(
    "data", [b"xyz\r\n", b"\r\n", b"5\r\nabcdefg\r\n", b"1" * 17 + b"\r\n", b"1;" + b"x" * MAX_LINE]
)
def test_broken_chunks(data: bytes) -> None:
    with pytest.raises(NotHttpError):
        Body(head(("Transfer-Encoding", "chunked")), "GET", 10).feed(data)


_VALUE = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)


@given(
    reason=_VALUE,
    fields=st.lists(st.tuples(st.from_regex(r"[A-Za-z-]{1,10}", fullmatch=True), _VALUE), max_size=5),
    newline=st.sampled_from([b"\r\n", b"\n"]),
    trailing=st.binary(max_size=20),
)
def test_heads_whole_by_byte_and_with_trailing_bytes(
    reason: str, fields: list[tuple[str, str]], newline: bytes, trailing: bytes
) -> None:
    lines = [f"HTTP/1.1 299 {reason}", *(f"{name}: {value}" for name, value in fields)]
    data = newline.join(line.encode() for line in lines) + newline * 2
    assert all(parse_head(data[:end]) is None for end in range(len(data)))
    parsed = parse_head(data + trailing)
    assert parsed == parse_head(data)
    assert parsed is not None
    assert parsed[0] == ResponseHead("1.1", 299, reason, tuple(fields))
    assert parsed[1] == len(data)


@given(st.binary(max_size=300))
def test_no_bytes_break_the_parser(data: bytes) -> None:
    for start in (data, b"HTTP/1.1 200 OK\r\n" + data):
        try:
            parsed = parse_head(start)
        except NotHttpError:
            continue
        assert parsed is None or 0 < parsed[1] <= len(start)


def test_request_head() -> None:
    assert request_head("CONNECT", "h:443", [("Host", "h:443")]) == b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n"
    with pytest.raises(ValueError, match="line break"):
        request_head("CONNECT", "h:443", [("Host", "h\r\nX: y")])


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("text/html; charset=iso-8859-1", b"caf\xe9", "café"),
        ('text/html; charset="utf-8"', "café".encode(), "café"),
        ("text/html", b"caf\xe9", "caf\ufffd"),
        ("text/html; charset=nonsense", b"x", "x"),
        ("text/html; charset=base64", b"x", "x"),
    ],
)
def test_body_text(content_type: str, body: bytes, text: str) -> None:
    assert body_text(head(("Content-Type", content_type)), body) == text
    assert body_text(head(("Content-Type", content_type)), body * 9, 3) == (text * 9)[:3]


@pytest.mark.parametrize(
    ("body", "charset", "text"),
    [
        (b"caf\xe9", "latin-1", "café"),
        (b"a\xffb", "utf-8", "a\ufffdb"),
        (b"abc", "no-such-charset", "abc"),
        (b"abc", "hex", "abc"),
        (b"a\xff", "idna", "a\ufffd"),
        (b"abc", "undefined", "abc"),
        (b"abc", "a\0b", "abc"),
        (rb"\ud800x", "unicode_escape", "?x"),
        (b"+2AA-x", "utf-7", "?x"),
    ],
)
def test_a_body_is_text_whatever_its_charset(body: bytes, charset: str, text: str) -> None:
    assert decoded(body, charset) == text


def test_interim_answers_are_passed_over() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n"
    parsed = parse_final_head(interim * 2 + HEAD + b"body")
    assert parsed is not None
    assert (parsed[0].status, parsed[1]) == (407, len(interim) * 2 + len(HEAD))
    assert parse_final_head(interim) is None
    with pytest.raises(NotHttpError, match="interim"):
        parse_final_head(interim * 6)
