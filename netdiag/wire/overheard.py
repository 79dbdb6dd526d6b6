"""The client's half of HTTP/1.x and SOCKS5, which a probe writes and a capture overhears; and what both hide in heads.

Contract: no sockets, no clock. A parser returns a value and the bytes it took, or None while bytes are missing, or
raises ``NotHttpError`` or ``NotSocksError``. Credentials are never part of a value, except ``Request.secret``.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

import msgspec

from netdiag.wire.http import MAX_HEAD, MAX_LINE, NotHttpError, printable
from netdiag.wire.socks import NotSocksError

# Patterns, which re compiles when they are first needed, and keeps.
_REQUEST_LINE = rb"([A-Z][A-Z-]{1,31}) +(\S{1,8000}) +HTTP/1\.[01]"
_AUTHORIZATION = rb"(?im)^proxy-authorization[ \t]*:[ \t]*([^\s]+)(?:[ \t]+([^\r\n]*))?"
_HOST = rb"(?im)^host[ \t]*:[ \t]*([^\s]+)"
_LENGTH = rb"(?im)^content-length[ \t]*:[ \t]*(\d{1,18})[ \t]*\r?$"

#: Methods that begin a request (RFC 9110 §9, RFC 5789, and WebDAV's most usual).
METHODS = (b"GET ", b"POST ", b"PUT ", b"HEAD ", b"DELETE ", b"OPTIONS ", b"PATCH ", b"TRACE ", b"PROPFIND ", b"MERGE ")

#: Registered schemes in their usual spelling (IANA HTTP Authentication Scheme Registry).
_SPELLING = {
    name.lower(): name
    for name in ("Negotiate", "NTLM", "Digest", "Basic", "Bearer", "Kerberos", "OAuth", "Mutual", "HOBA")
}
#: A proxy offers a handful of schemes.
MAX_SCHEMES = 20
_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105 - RFC 9110 §5.6.2's token, no password
#: What stands between commas. A quote that nobody closes runs to the end: to look for its end again from each later
#: quote would take quadratic time.
_PART = r'(?s)(?:"(?:[^"\\]|\\.?)*(?:"|\Z)|[^,"])+'
_SCHEME = rf"(?s)\s*({_TOKEN})(?:\s+[^=\s].*|\s*)"


class Request(msgspec.Struct, frozen=True):
    """The head of a request.

    ``scheme`` and ``secret`` are those of Proxy-Authorization; the secret is to be erased from what the other side
    echoes.
    """

    method: str
    target: str
    host: str
    scheme: str
    secret: str
    #: Bytes of body that follow; a chunked body is not counted.
    length: int


def parse_request(data: bytes) -> tuple[Request, int] | None:
    """The head at the start of ``data`` and its length; None while it is incomplete. Raises ``NotHttpError``."""
    line_end = data.find(b"\n", 0, MAX_LINE)
    if line_end < 0:
        if len(data) >= MAX_LINE:
            raise NotHttpError(f"the request line is longer than {MAX_LINE} bytes")
        return None
    match = re.fullmatch(_REQUEST_LINE, data[:line_end].rstrip(b"\r"))
    if match is None:
        raise NotHttpError(f"not an HTTP request line: {printable(data[:line_end])}")
    ends = [at + len(mark) for mark in (b"\n\r\n", b"\n\n") if (at := data.find(mark, line_end, MAX_HEAD)) >= 0]
    if not ends:
        if len(data) > MAX_HEAD:
            raise NotHttpError(f"the head is longer than {MAX_HEAD} bytes")
        return None
    end = min(ends)
    head = data[line_end + 1 : end]
    authorization, host, length = (re.search(pattern, head) for pattern in (_AUTHORIZATION, _HOST, _LENGTH))
    scheme = _text(authorization[1]) if authorization else ""
    return Request(
        method=_text(match[1]),
        target=_text(match[2]),
        host=_text(host[1]) if host else "",
        scheme=_SPELLING.get(scheme.lower(), scheme),
        secret=_text(authorization[2] or b"").strip() if authorization else "",
        length=int(length[1]) if length else 0,
    ), end


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def split_authority(target: str) -> tuple[str, int]:
    """Host and port of ``host:port`` as CONNECT names them (RFC 9110 §9.3.6); port 0 where there is none."""
    host, colon, port = target.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) < 65536):
        host, port = target, "0"
    return host.removeprefix("[").removesuffix("]").lower(), int(port)


def challenge_schemes(values: Iterable[str]) -> tuple[str, ...]:
    """The authentication schemes in the values of Proxy-Authenticate fields, in order, each once.

    Commas separate both challenges and parameters (RFC 9110 §11.6.1): a part that is not ``name=value`` begins a new
    challenge.
    """
    found: dict[str, None] = {}
    for value in values:
        for part in re.findall(_PART, value):
            match = re.fullmatch(_SCHEME, part)
            if match and len(found) < MAX_SCHEMES:
                found[_SPELLING.get(match[1].lower(), match[1])] = None
    return tuple(found)


def parse_greeting(data: bytes) -> tuple[tuple[int, ...], int] | None:
    """The methods of a SOCKS5 client's first message (RFC 1928 §3), and the bytes taken."""
    if data and data[0] != 5:
        raise NotSocksError(f"not SOCKS5: it starts with {printable(data)}")
    if len(data) < 2 or len(data) < 2 + data[1]:
        return None
    if not data[1]:
        raise NotSocksError("a SOCKS5 greeting without a method")
    return tuple(data[2 : 2 + data[1]]), 2 + data[1]


def password_request_length(data: bytes) -> int | None:
    """The bytes that a user name and password take (RFC 1929 §2); what they are is nobody's business."""
    if data and data[0] != 1:
        raise NotSocksError(f"not a SOCKS5 login: it starts with byte {data[0]}")
    if len(data) < 2 or len(data) < 3 + data[1]:
        return None
    end = 3 + data[1] + data[2 + data[1]]
    return end if len(data) >= end else None


def parse_connect(data: bytes) -> tuple[tuple[str, int], int] | None:
    """Host and port that a SOCKS5 request asks for (RFC 1928 §4), and the bytes taken."""
    if data and data[0] != 5:
        raise NotSocksError(f"not a SOCKS5 request: {printable(data)}")
    if len(data) < 5:
        return None
    length = {1: 4, 3: 1 + data[4], 4: 16}.get(data[3])
    if length is None:
        raise NotSocksError(f"a SOCKS5 request with address type {data[3]}")
    end = 4 + length + 2
    if len(data) < end:
        return None
    raw = data[4 : 4 + length]
    host = raw[1:].decode("utf-8", "replace").lower() if data[3] == 3 else str(ipaddress.ip_address(raw))
    return (host, int.from_bytes(data[end - 2 : end], "big")), end
