"""TLS records as they can be read without keys: what one side of a connection said in clear text.

Contract: pure, and never raises for bytes. ``listen`` reads a side's stream as far as it goes; one that ends in the
middle gives what came before its end. Whatever is encrypted is counted, not read. Sizes are bounded by named limits.
"""

from __future__ import annotations

import msgspec

from netdiag.wire.alert import alert_name
from netdiag.wire.tls_messages import (
    ClientHello,
    ServerHello,
    parse_certificates,
    parse_client_hello,
    parse_server_hello,
)

# Content types (RFC 8446 §5.1; 24 is heartbeat, RFC 6520).
CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA, HEARTBEAT = 20, 21, 22, 23, 24
# Handshake types (RFC 8446 §4; 13 also RFC 5246 §7.4.4).
CLIENT_HELLO, SERVER_HELLO, CERTIFICATE, CERTIFICATE_REQUEST = 1, 2, 11, 13

#: The longest record that any version allows: 2^14 + 2048 (RFC 5246 §6.2.3).
MAX_RECORD = 16384 + 2048
#: Records of one side that are looked at: a handshake has at most some ten, and bulk data follows.
MAX_RECORDS = 64
#: OpenSSL takes 100 KiB of certificates; the largest message that anybody means is far below this.
MAX_MESSAGE = 256 * 1024
#: Enough of a banner to recognise who is speaking.
MAX_BANNER = 200


class Record(msgspec.Struct, frozen=True):
    """One record: content type, bytes of its fragment, and where it ends in the stream."""

    type: int
    length: int
    end: int


class Alert(msgspec.Struct, frozen=True):
    """An alert in clear text, and where it ends in the stream."""

    name: str
    fatal: bool
    end: int


class Speech(msgspec.Struct):
    """What one side said. Offsets count from the beginning of the bytes that were given."""

    client_hello: ClientHello | None = None
    server_hello: ServerHello | None = None
    #: A HelloRetryRequest came before the ServerHello.
    retried: bool = False
    #: Where the first ClientHello or the (last) ServerHello ends.
    hello_end: int = 0
    chain: tuple[bytes, ...] = ()
    certificate_requested: bool = False
    alerts: list[Alert] = msgspec.field(default_factory=list)
    #: Records after ChangeCipherSpec (up to TLS 1.2) and application data, alerts among them; at most ``MAX_RECORDS``.
    protected: list[Record] = msgspec.field(default_factory=list)
    change_cipher_spec: bool = False
    #: The first bytes, when they cannot begin a TLS record.
    not_tls: bytes = b""
    #: What breaks TLS's own rules, in words; empty for nothing.
    error: str = ""
    #: Bytes understood.
    taken: int = 0

    @property
    def fatal(self) -> Alert | None:
        """The first fatal alert in clear text."""
        return next((alert for alert in self.alerts if alert.fatal), None)

    @property
    def finished(self) -> Record | None:
        """Up to TLS 1.2: the Finished message, the first handshake record after ChangeCipherSpec."""
        return next((record for record in self.protected if record.type == HANDSHAKE), None)


def begins_tls(data: bytes) -> bool:
    """Whether the bytes, as far as they go, may begin a TLS record: type, then version 3.x (RFC 8446 §5.1)."""
    return CHANGE_CIPHER_SPEC <= data[0] <= HEARTBEAT and data[1:2] in (b"", b"\x03") if data else True


def listen(data: bytes, *, retried: bool = False) -> Speech:
    """What one side said, from its first record on.

    ``retried``: the other side sent a HelloRetryRequest, so a second ClientHello may follow a ChangeCipherSpec, which
    is a dummy in TLS 1.3 (RFC 8446 appendix D.4).
    """
    said = Speech()
    messages = _Messages(said)
    at = 0
    for _ in range(MAX_RECORDS):
        if at == len(data):
            break
        if not begins_tls(data[at : at + 2]):
            if at == 0:
                said.not_tls = data[:MAX_BANNER]
            said.error = "the bytes are no TLS record" if at == 0 else f"no TLS record after {at} bytes"
            break
        if at + 5 > len(data):
            break
        length = int.from_bytes(data[at + 3 : at + 5], "big")
        if length > MAX_RECORD:
            said.error = f"a record of {length} bytes, longer than TLS allows"
            break
        end = at + 5 + length
        _take_record(said, messages, Record(data[at], length, end), data, retried)
        if said.error or end > len(data):
            break
        at = said.taken = end
    messages.end()
    return said


def _take_record(said: Speech, messages: _Messages, record: Record, data: bytes, retried: bool) -> None:
    if record.type == APPLICATION_DATA:
        said.protected.append(record)
        return
    fragment = data[record.end - record.length : record.end]
    hello = said.server_hello
    expecting_hello = retried or (said.retried and (hello is None or hello.retry))
    if record.type == CHANGE_CIPHER_SPEC:
        said.change_cipher_spec = True
    elif record.type == ALERT and record.length == 2:  # an encrypted one is longer (RFC 5246 §6.2.3)
        if len(fragment) == 2:
            said.alerts.append(Alert(alert_name(fragment[1]), fragment[0] == 2, record.end))
    elif record.type == HANDSHAKE and (not said.change_cipher_spec or expecting_hello):
        messages.feed(fragment, record.end)
    else:
        said.protected.append(record)


class _Messages:
    """Puts handshake messages together, which may share records and span them (RFC 8446 §5.1)."""

    def __init__(self, said: Speech) -> None:
        self._said = said
        self._buffer = bytearray()

    def feed(self, fragment: bytes, end: int) -> None:
        """Take the next fragment; ``end`` is where its record ends."""
        buffer = self._buffer
        buffer += fragment
        while len(buffer) >= 4:
            length = int.from_bytes(buffer[1:4], "big")
            if length > MAX_MESSAGE:
                self._said.error = f"a handshake message of {length} bytes"
                return
            if len(buffer) < 4 + length:
                return
            self._message(buffer[0], bytes(buffer[4 : 4 + length]), end, length)
            del buffer[: 4 + length]

    def end(self) -> None:
        """No more comes: a message that lacks its end still tells something."""
        buffer = self._buffer
        if len(buffer) >= 4 and not self._said.error:
            length = int.from_bytes(buffer[1:4], "big")
            self._message(buffer[0], bytes(buffer[4:]), 0, length)

    def _message(self, kind: int, body: bytes, end: int, length: int) -> None:
        said = self._said
        if kind == CLIENT_HELLO and said.client_hello is None:
            said.client_hello, said.hello_end = parse_client_hello(body), end
            said.client_hello.size = 4 + length
            if len(body) == length and not said.client_hello.whole:
                said.error = "a ClientHello whose lengths contradict each other"
        elif kind == SERVER_HELLO and (said.server_hello is None or said.server_hello.retry):
            said.server_hello, said.hello_end = parse_server_hello(body), end
            said.retried |= said.server_hello.retry
            if len(body) == length and not said.server_hello.whole:
                said.error = "a ServerHello whose lengths contradict each other"
        elif kind == CERTIFICATE and not said.chain:
            said.chain = parse_certificates(body)
        elif kind == CERTIFICATE_REQUEST:
            said.certificate_requested = True
