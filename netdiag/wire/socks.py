"""SOCKS5 (RFC 1928) and its user name/password method (RFC 1929): bytes in, values out.

Contract: no sockets, no clock. A parser returns a value and the bytes it took, or None while bytes are missing, or
raises ``NotSocksError``. The name of the target travels as a name, so that the proxy resolves it.
"""

from __future__ import annotations

import ipaddress
import struct

import msgspec

from netdiag.wire.http import printable

NO_AUTHENTICATION = 0x00
GSSAPI = 0x01
USERNAME_PASSWORD = 0x02
NO_ACCEPTABLE_METHODS = 0xFF

#: RFC 1928 §3.
METHODS: dict[int, str] = {
    NO_AUTHENTICATION: "no authentication",
    GSSAPI: "GSSAPI",
    USERNAME_PASSWORD: "username/password",
    NO_ACCEPTABLE_METHODS: "no acceptable methods",
}

#: RFC 1928 §6.
REPLIES: dict[int, str] = {
    0: "succeeded",
    1: "general SOCKS server failure",
    2: "connection not allowed by ruleset",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "TTL expired",
    7: "command not supported",
    8: "address type not supported",
}


class NotSocksError(ValueError):
    """The bytes are no SOCKS5 answer. The message says what came instead."""


class Reply(msgspec.Struct, frozen=True):
    """The answer to a request; ``host`` and ``port`` are the proxy's own end of the onward connection."""

    code: int
    host: str
    port: int

    @property
    def name(self) -> str:
        """The code in words."""
        return REPLIES.get(self.code, f"unassigned reply {self.code}")


def greeting(*methods: int) -> bytes:
    """The client's first message: the methods it can do (RFC 1928 §3)."""
    return bytes([5, len(methods), *methods])


def parse_choice(data: bytes) -> tuple[int, int] | None:
    """The method that the proxy chose, and the bytes taken."""
    if data and data[0] != 5:
        raise NotSocksError(f"not SOCKS5: it starts with {printable(data)}")
    return (data[1], 2) if len(data) >= 2 else None


def password_request(user: str, password: str) -> bytes:
    """The user name and password (RFC 1929 §2). ``ValueError`` when one does not fit into its 255 bytes."""
    name, secret = user.encode(), password.encode()
    if not 1 <= len(name) <= 255 or len(secret) > 255:
        raise ValueError("a SOCKS5 user name has 1 to 255 bytes, a password at most 255")
    return bytes([1, len(name)]) + name + bytes([len(secret)]) + secret


def parse_password_reply(data: bytes) -> tuple[bool, int] | None:
    """Whether the proxy accepted the password, and the bytes taken. RFC 1929 §2: any status but 0 is a failure."""
    if data and data[0] not in (1, 5):  # 5 is wrong, and seen in the wild
        raise NotSocksError(f"not an answer to a SOCKS5 password: {printable(data)}")
    return (data[1] == 0, 2) if len(data) >= 2 else None


def connect_request(host: str, port: int) -> bytes:
    """CONNECT to an address or to a name (RFC 1928 §4). ``ValueError`` for a name of more than 255 bytes."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.encode()
        if not 1 <= len(name) <= 255:
            raise ValueError("a SOCKS5 target name has 1 to 255 bytes") from None
        destination = bytes([3, len(name)]) + name
    else:
        destination = bytes([1 if address.version == 4 else 4]) + address.packed
    return b"\x05\x01\x00" + destination + struct.pack("!H", port)


def parse_reply(data: bytes) -> tuple[Reply, int] | None:
    """The reply to a request and the bytes taken (RFC 1928 §6)."""
    if data and data[0] != 5:
        raise NotSocksError(f"not a SOCKS5 reply: {printable(data)}")
    if len(data) < 5:
        # Some proxies end after the code of a refusal; the caller sees the close and may use ``refusal``.
        return None
    size = {1: 4, 3: 1 + data[4], 4: 16}.get(data[3])
    if size is None:
        raise NotSocksError(f"a SOCKS5 reply with address type {data[3]}")
    end = 4 + size + 2
    if len(data) < end:
        return None
    raw = data[4 : 4 + size]
    host = raw[1:].decode("utf-8", "replace") if data[3] == 3 else str(ipaddress.ip_address(raw))
    return Reply(data[1], host, int.from_bytes(data[end - 2 : end], "big")), end


def refusal(data: bytes) -> Reply | None:
    """The refusal in a reply that the proxy cut short by closing, None when it holds no code but success."""
    return Reply(data[1], "", 0) if len(data) >= 2 and data[0] == 5 and data[1] else None
