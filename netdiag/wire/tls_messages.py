"""TLS handshake messages in clear text: the hellos, and certificates up to TLS 1.2.

Contract: pure, and never raises for bytes: a message that was cut short gives what came before its end. Counts
and sizes are bounded by the named limits; names are decoded as ASCII, anything else in them is replaced.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator

import msgspec

# Extensions (IANA TLS ExtensionType Values).
_SERVER_NAME, _GROUPS, _ALPN, _EARLY_DATA, _SUPPORTED_VERSIONS, _KEY_SHARE = 0, 10, 16, 42, 43, 51

TLS13 = 0x0304
VERSIONS: dict[int, str] = {0x0300: "SSLv3", 0x0301: "TLSv1", 0x0302: "TLSv1.1", 0x0303: "TLSv1.2", TLS13: "TLSv1.3"}

#: Numbers that mean nothing, sent so that servers learn to ignore the unknown (RFC 8701 §2).
_GREASE = frozenset(0x0A0A + 0x1010 * n for n in range(16))

#: The random of a ServerHello that is a HelloRetryRequest: SHA-256 of "HelloRetryRequest" (RFC 8446 §4.1.3).
_RETRY_RANDOM = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")

#: As many and as much as the probes keep of a presented chain.
MAX_CHAIN_CERTIFICATES = 20
MAX_CHAIN_BYTES = 256 * 1024
#: Entries of one list in a hello (ciphers, groups, extensions): a 16-bit length allows 32,767, real ones have 80.
MAX_LIST = 512


class _EndError(Exception):
    """The bytes end before the structure does."""


class _Cursor:
    """Reads big-endian numbers and vectors from a part of ``data``. ``cut``: the part lacks its end."""

    __slots__ = ("at", "cut", "data", "end")

    def __init__(self, data: bytes, at: int, length: int, limit: int) -> None:
        self.data, self.at, self.end = data, at, min(at + length, limit)
        self.cut = at + length > limit

    def take(self, size: int) -> bytes:
        """The next bytes. Raises ``_EndError``."""
        start = self.at
        if start + size > self.end:
            raise _EndError
        self.at = start + size
        return self.data[start : self.at]

    def number(self, size: int) -> int:
        """The next unsigned number of ``size`` bytes. Raises ``_EndError``."""
        start = self.at
        self.at = end = start + size
        if end > self.end:
            raise _EndError
        return int.from_bytes(self.data[start:end], "big")

    def part(self, length_size: int) -> _Cursor:
        """The next vector, as far as it is there (RFC 8446 §3.4). Raises ``_EndError`` when not even its length is."""
        length = self.number(length_size)
        inner = _Cursor(self.data, self.at, length, self.end)
        self.at = inner.end
        return inner

    def rest(self) -> bytes:
        """All that is left."""
        return self.data[self.at : self.end]

    @property
    def left(self) -> int:
        """How many bytes are left."""
        return self.end - self.at


class ClientHello(msgspec.Struct):
    """What a client offers (RFC 8446 §4.1.2). ``whole``: every field could be read."""

    legacy_version: int = 0
    session_id: bytes = b""
    ciphers: tuple[int, ...] = ()
    server_name: str = ""
    #: supported_versions without GREASE; empty when the extension is absent (TLS 1.2 and before).
    versions: tuple[int, ...] = ()
    alpn: tuple[str, ...] = ()
    #: supported_groups, and the groups that a key share came for with its length.
    groups: tuple[int, ...] = ()
    key_shares: tuple[tuple[int, int], ...] = ()
    early_data: bool = False
    #: Bytes of the whole message: one of more than about 1,400 does not fit one packet.
    size: int = 0
    whole: bool = False

    @property
    def offered(self) -> tuple[str, str]:
        """The lowest and the highest version. Without supported_versions the message names the highest alone."""
        known = self.versions or (self.legacy_version,)
        return version_name(min(known)), version_name(max(known))


class ServerHello(msgspec.Struct):
    """What a server chose (RFC 8446 §4.1.3). ``retry``: it is a HelloRetryRequest."""

    version: int = 0
    retry: bool = False
    session_id: bytes = b""
    cipher: int = 0
    alpn: str = ""
    group: int = 0
    whole: bool = False


def is_tls13(version: int) -> bool:
    """TLS 1.3 or one of its drafts (0x7f..)."""
    return version == TLS13 or version >> 8 == 0x7F


def version_name(version: int) -> str:
    """As OpenSSL names it, in hexadecimal when it is none that TLS has."""
    return VERSIONS.get(version, f"0x{version:04x}")


def _cursor(body: bytes) -> _Cursor:
    return _Cursor(body, 0, len(body), len(body))


def parse_client_hello(body: bytes) -> ClientHello:
    """The message after its four bytes of header, as far as it goes."""
    hello = ClientHello()
    cursor = _cursor(body)
    try:
        hello.legacy_version = cursor.number(2)
        cursor.take(32)
        hello.session_id = cursor.part(1).rest()
        hello.ciphers = _numbers(cursor.part(2))
        cursor.part(1)  # compression methods
        seen: set[int] = set()
        for kind, part in _extensions(cursor):
            if kind not in seen:  # a second one is against RFC 8446 §4.2
                seen.add(kind)
                with contextlib.suppress(_EndError):
                    _client_extension(hello, kind, part)
        hello.whole = True
    except _EndError:
        pass
    return hello


def _client_extension(hello: ClientHello, kind: int, part: _Cursor) -> None:
    if kind == _SERVER_NAME:
        names = part.part(2)
        if names.number(1) == 0:  # host_name, the only type there is (RFC 6066 §3)
            name = names.part(2)
            hello.server_name = "" if name.cut else host_name(name.rest())
    elif kind == _SUPPORTED_VERSIONS:
        hello.versions = _numbers(part.part(1))
    elif kind == _ALPN:
        hello.alpn = _protocols(part)
    elif kind == _GROUPS:
        hello.groups = _numbers(part.part(2))
    elif kind == _KEY_SHARE:
        hello.key_shares = _key_shares(part.part(2))
    elif kind == _EARLY_DATA:
        hello.early_data = True


def _key_shares(entries: _Cursor) -> tuple[tuple[int, int], ...]:
    shares: list[tuple[int, int]] = []
    while entries.left >= 4 and len(shares) < MAX_LIST:
        group, key = entries.number(2), entries.part(2)
        if group not in _GREASE:
            shares.append((group, key.left))
    return tuple(shares)


def parse_server_hello(body: bytes) -> ServerHello:
    """The message after its four bytes of header, as far as it goes."""
    hello = ServerHello()
    cursor = _cursor(body)
    try:
        hello.version = cursor.number(2)
        hello.retry = cursor.take(32) == _RETRY_RANDOM
        hello.session_id = cursor.part(1).rest()
        hello.cipher = cursor.number(2)
        cursor.take(1)  # compression method
        for kind, part in _extensions(cursor):
            with contextlib.suppress(_EndError):
                if kind == _SUPPORTED_VERSIONS:
                    hello.version = part.number(2)
                elif kind == _ALPN:
                    hello.alpn = next(iter(_protocols(part)), "")
                elif kind == _KEY_SHARE:
                    hello.group = part.number(2)
        hello.whole = True
    except _EndError:
        pass
    return hello


def parse_certificates(body: bytes) -> tuple[bytes, ...]:
    """The certificates in a Certificate message up to TLS 1.2 (RFC 5246 §7.4.2) that are whole, as DER."""
    chain: list[bytes] = []
    size = 0
    with contextlib.suppress(_EndError):
        entries = _cursor(body).part(3)
        while entries.left and len(chain) < MAX_CHAIN_CERTIFICATES:
            entry = entries.part(3)
            size += entry.left
            if entry.cut or not entry.left or size > MAX_CHAIN_BYTES:
                break
            chain.append(entry.rest())
    return tuple(chain)


def _extensions(cursor: _Cursor) -> Iterator[tuple[int, _Cursor]]:
    """The extensions of a hello, if any (RFC 5246 §7.4.1.2), the last perhaps cut short: then ``_EndError`` ends it."""
    if not cursor.left:
        return
    block = cursor.part(2)
    for _ in range(MAX_LIST):
        if not block.left and not block.cut:
            return
        kind = block.number(2)
        part = block.part(2)
        yield kind, part
        if part.cut:
            raise _EndError
    raise _EndError


def _numbers(cursor: _Cursor) -> tuple[int, ...]:
    """A list of 16-bit numbers without GREASE (RFC 8701)."""
    count = min(cursor.left // 2, MAX_LIST)
    numbers = struct.unpack_from(f"!{count}H", cursor.data, cursor.at)
    return tuple([number for number in numbers if number not in _GREASE])


def _protocols(part: _Cursor) -> tuple[str, ...]:
    """The protocol names of an ALPN extension (RFC 7301 §3.1)."""
    names: list[bytes] = []
    entries = part.part(2)
    while entries.left and len(names) < MAX_LIST:
        names.append(entries.part(1).rest())
    return tuple(
        name.decode("latin-1") for name in names if len(name) != 2 or int.from_bytes(name, "big") not in _GREASE
    )


def host_name(name: bytes) -> str:
    """The bytes of an SNI host name as text that compares: ASCII, in lower case."""
    return name.decode("ascii", "replace").lower()
