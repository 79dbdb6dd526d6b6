"""TLS handshakes over any ``Stream``, made without judging the certificate.

Contract: ``handshake`` turns network trouble into a ``Failure`` and never closes the stream below. The engine works
on memory (SSL.Connection without a socket), so TLS inside TLS needs nothing special. What the peer may send is bounded.

The handshake that stands for the application ("main") keeps OpenSSL's security level 1: 80 bits, RSA and DH from 1024
bits, no TLS 1.0 or 1.1. That is closest to what Windows' SChannel, which .NET and so the integration runtime use,
accepts by default; level 2 would call servers broken that the runtime talks to. A control differs from "main" in one
thing only, or it proves nothing: so the others have level 1 too, except "legacy-versions", which only level 0 allows.
"""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from OpenSSL import SSL, crypto

from netdiag.model import Failure, Flow, HandshakePurpose, TlsObservation
from netdiag.probes.failure import from_exception
from netdiag.probes.net import Address, Deadline, SocketStream, Step, Stopwatch, Stream
from netdiag.wire.alert import TlsAlertError, TlsMalformedError, alert_meaning, alert_name

T = TypeVar("T")

__all__ = ["TlsAlertError", "TlsMalformedError", "TlsStream", "handshake", "system_handshake"]

#: A real first flight is 3-8 KiB; OpenSSL itself takes 100 KiB of certificates. More than this is no handshake.
MAX_HANDSHAKE_BYTES = 512 * 1024
#: Real chains have at most 5 certificates of 1-2 KiB (RFC 8446 §4.4.2 sets no limit).
MAX_CHAIN_CERTIFICATES = 20
MAX_CHAIN_BYTES = 256 * 1024
#: Enough of a banner to recognise who is speaking.
MAX_BANNER = 200
#: close_notify is a courtesy (RFC 8446 §6.1): nobody waits for it longer than this.
CLOSE_S = 0.2

_STEP = "handshake"
_GONE = "the peer closed the connection during the handshake"
_VERSIONS: Final = {
    "TLSv1": SSL.TLS1_VERSION,
    "TLSv1.1": SSL.TLS1_1_VERSION,
    "TLSv1.2": SSL.TLS1_2_VERSION,
    "TLSv1.3": SSL.TLS1_3_VERSION,
}
#: Content types of a TLS record (RFC 8446 §5.1; 24 is heartbeat, RFC 6520).
_RECORD_TYPES = frozenset(range(20, 25))
#: Alerts that this side sends because it does not accept what the peer chose. Any other means that bytes were wrong.
_REFUSALS = frozenset({"protocol_version", "handshake_failure", "insufficient_security"})
#: AlertLevel (RFC 5246 §7.2); TLS 1.3 keeps the byte.
_FATAL = 2


#: Bytes that are taken from an engine at once.
_PIECE = 65536
#: Held by whoever works with an engine, which never waits for the network. pyOpenSSL lets go of the interpreter at each
#: of the hundred calls that make a handshake; with many handshakes at once, every call would end in a switch to another
#: thread and later back, which takes longer than the call itself.
_ENGINE = threading.Lock()


@dataclass
class _Notes:
    """What the info callback saw on one connection."""

    alert: str = ""
    fatal: bool = False
    sent_alert: str = ""
    certificate_requested: bool = False


def _on_info(conn: SSL.Connection, where: int, value: int) -> None:
    notes = conn.get_app_data()
    if not isinstance(notes, _Notes):
        return
    if where & SSL.SSL_CB_ALERT:
        name = alert_name(value & 0xFF)
        if not where & SSL.SSL_CB_READ:
            notes.sent_alert = name
        elif not notes.fatal:
            notes.alert, notes.fatal = name, value >> 8 == _FATAL
    elif where & SSL.SSL_CB_LOOP and b"read server certificate request" in conn.get_state_string():
        notes.certificate_requested = True


@functools.lru_cache(maxsize=16)
def _context(lowest: str, highest: str, level: int, alpn: bool) -> SSL.Context:
    """A client context, shared by every handshake with the same offer: never to be changed once it is in use."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_verify(SSL.VERIFY_NONE)
    context.set_min_proto_version(_VERSIONS[lowest])
    context.set_max_proto_version(_VERSIONS[highest])
    context.set_cipher_list(f"DEFAULT:@SECLEVEL={level}".encode())
    if alpn:
        context.set_alpn_protos([b"http/1.1"])
    context.set_options(SSL.OP_LEGACY_SERVER_CONNECT)  # servers without RFC 5746: SChannel connects, so must we
    context.set_info_callback(_on_info)
    return context


class _Pipe:
    """Moves bytes between one TLS engine and the stream below it."""

    def __init__(self, stream: Stream, context: SSL.Context, sni: str) -> None:
        self.stream = stream
        self.notes = _Notes()
        with _ENGINE:
            self.conn = _client(context, sni)
            self.conn.set_app_data(self.notes)
        #: Received, and not yet read by the engine; written by it, and not yet sent.
        self.unread = self.unsent = b""
        self.sent = 0
        self.received = 0
        self.head = b""

    def run(self, work: Callable[[], T]) -> T | None:
        """What ``work`` with the engine returns, None when the peer has to speak first. Raises ``SSL.Error``.

        The engine reads what was received before, and whatever it has to say is there for ``flush`` afterwards.
        """
        with _ENGINE:
            try:
                if self.unread:
                    self.conn.bio_write(self.unread)
                    self.unread = b""
                return work()
            except SSL.WantReadError:
                return None
            finally:
                with contextlib.suppress(SSL.WantReadError):  # it has nothing to say
                    while len(piece := self.conn.bio_read(_PIECE)) == _PIECE:
                        self.unsent += piece
                    self.unsent += piece

    def flush(self, deadline: Deadline) -> None:
        """Send what the engine has written."""
        data, self.unsent = self.unsent, b""
        if data:
            self.stream.send(data, deadline)
            self.sent += len(data)

    def fill(self, deadline: Deadline) -> bool:
        """Receive the next bytes for the engine; False when the peer has closed."""
        data = self.stream.receive(deadline)
        if len(self.head) < MAX_BANNER:
            self.head += data[: MAX_BANNER - len(self.head)]
        self.received += len(data)
        self.unread += data
        return bool(data)

    def last_words(self, deadline: Deadline) -> None:
        """Read what the peer sent before it closed: sending fails first, but its alert can still be there."""
        soon = deadline.within(CLOSE_S)
        with contextlib.suppress(SSL.Error, OSError, EOFError):
            while self.fill(soon):
                while self.run(lambda: self.conn.recv(_PIECE)):
                    pass

    @property
    def not_tls(self) -> str:
        """The first bytes received when they cannot begin a TLS record (RFC 8446 §5.1: type, then version 3.x)."""
        if not self.head or (self.head[0] in _RECORD_TYPES and self.head[1:2] in (b"", b"\x03")):
            return ""
        return self.head.decode("latin-1")

    def shake(self) -> bool:
        """Take the handshake as far as it goes; True when it is done."""
        self.conn.do_handshake()
        return True

    def agreed(self) -> tuple[str, str, str]:
        """Version, cipher suite and ALPN protocol of a completed handshake."""
        conn = self.conn
        alpn = conn.get_alpn_proto_negotiated().decode("latin-1")
        return conn.get_protocol_version_name(), conn.get_cipher_name() or "", alpn

    def chain(self) -> tuple[bytes, ...]:
        """The certificates that came, leaf first, as far as they are within bounds."""
        kept: list[bytes] = []
        for certificate in (self.conn.get_peer_cert_chain() or [])[:MAX_CHAIN_CERTIFICATES]:
            der = crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)
            if sum(map(len, kept)) + len(der) > MAX_CHAIN_BYTES:
                break
            kept.append(der)
        return tuple(kept)


class TlsStream:
    """A ``Stream`` of application data over an established TLS connection."""

    def __init__(self, pipe: _Pipe) -> None:
        self._pipe = pipe
        self._closed = False

    @property
    def flow(self) -> Flow | None:
        """The five-tuple of the TCP connection below."""
        return self._pipe.stream.flow

    def send(self, data: bytes, deadline: Deadline) -> None:
        """Send everything.

        Raises ``OSError``; ``TlsAlertError`` when the peer had ended the connection with an alert by then.
        """
        pipe, rest = self._pipe, memoryview(data)
        while rest:
            piece = rest[:_PIECE].tobytes()
            try:
                taken = pipe.run(partial(pipe.conn.send, piece))
            except SSL.Error as error:
                raise self._broken(error) from error
            if taken is not None:
                rest = rest[taken:]
            elif not pipe.fill(deadline):  # renegotiation: the peer has to speak first
                raise ConnectionResetError("the peer closed the connection")
            try:
                pipe.flush(deadline)
            except OSError:
                pipe.last_words(deadline)
                if pipe.notes.fatal:
                    raise TlsAlertError(pipe.notes.alert) from None
                raise

    def sealed(self, data: bytes) -> bytes:
        """The TLS records that ``send`` would send for ``data``, which are the caller's to send. Raises ``OSError``."""
        pipe = self._pipe
        try:
            pipe.run(partial(pipe.conn.send, data))
        except SSL.Error as error:
            raise self._broken(error) from error
        records, pipe.unsent = pipe.unsent, b""
        return records

    def receive(self, deadline: Deadline, limit: int = 65536) -> bytes:
        """The next bytes; ``b""`` when the peer closed its side, with or without close_notify.

        Raises ``TlsAlertError`` for an alert: with TLS 1.3 a missing client certificate shows here, not in the
        handshake (RFC 8446 §4.4.2.4), since the client is done before the server has seen its answer.
        """
        pipe = self._pipe
        while True:
            try:
                data = pipe.run(lambda: pipe.conn.recv(limit))
            except SSL.ZeroReturnError:
                return b""
            except SSL.Error as error:
                raise self._broken(error) from error
            if data is not None:
                return data
            pipe.flush(deadline)
            if not pipe.fill(deadline):
                return b""

    def close(self) -> None:
        """Send close_notify if that is possible at once, and close the stream below."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(SSL.Error):
            self._pipe.run(self._pipe.conn.shutdown)
        with contextlib.suppress(SSL.Error, OSError, EOFError):
            self._pipe.flush(Deadline(CLOSE_S))
        self._pipe.stream.close()

    def _broken(self, error: SSL.Error) -> ConnectionError:
        notes = self._pipe.notes
        return TlsAlertError(notes.alert) if notes.fatal else TlsMalformedError(_reason(error))


def handshake(
    stream: Stream,
    *,
    address: Address,
    server_name: str,
    purpose: HandshakePurpose,
    offered: tuple[str, str] = ("TLSv1.2", "TLSv1.3"),
    alpn: bool = True,
    deadline: Deadline,
    step: Step,
) -> tuple[TlsObservation, TlsStream | None]:
    """One handshake with ``address`` over ``stream``; the TLS stream when it completed.

    ``server_name`` is sent as SNI unless it is empty or an IP literal (RFC 6066 §3 forbids those). ``offered`` is the
    lowest and the highest version, ``alpn`` whether HTTP/1.1 is named. Certificates are kept even when the handshake
    fails after they came.
    """
    watch = Stopwatch()
    sni = _sni(server_name)
    flow = stream.flow
    pipe = _Pipe(stream, _context(*offered, 0 if purpose == "legacy-versions" else 1, alpn), sni)
    failure = _shake(pipe, deadline)
    done, took_s = failure is None, watch.took_s
    with _ENGINE:
        version, cipher, protocol = pipe.agreed() if done else ("", "", "")
        chain = pipe.chain()
    observation = TlsObservation(
        **step._asdict(),
        started=watch.started,
        took_s=took_s,
        outcome="ok" if done else "failed",
        failure=failure,
        flow=flow,
        address=address.host,
        port=address.port,
        purpose=purpose,
        server_name=sni,
        offered=offered,
        version=version,
        cipher=cipher,
        alpn=protocol,
        chain=chain,
        alert=pipe.notes.alert,
        client_certificate_requested=pipe.notes.certificate_requested,
        bytes_sent=pipe.sent,
        bytes_received=pipe.received,
        not_tls=pipe.not_tls,
    )
    return observation, TlsStream(pipe) if done else None


def client_hello(server_name: str, offered: tuple[str, str] = ("TLSv1.2", "TLSv1.3"), *, alpn: bool = True) -> bytes:
    """The ClientHello that ``handshake`` would send first, as TLS records (RFC 8446 §4.1.2)."""
    with _ENGINE:
        conn = _client(_context(*offered, 1, alpn), _sni(server_name))
        with contextlib.suppress(SSL.WantReadError):
            conn.do_handshake()
        return conn.bio_read(_PIECE)


def _client(context: SSL.Context, sni: str) -> SSL.Connection:
    """An engine that is about to greet a server."""
    conn = SSL.Connection(context, None)
    conn.set_connect_state()
    if sni:
        conn.set_tlsext_host_name(sni.encode("ascii"))
    return conn


def _sni(name: str) -> str:
    """The name as SNI carries it: no trailing dot, nothing for an address."""
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(name)
        return ""
    return name.rstrip(".")


def _shake(pipe: _Pipe, deadline: Deadline) -> Failure | None:
    """Drive the engine until the handshake is done or cannot be."""
    while True:
        try:
            done = pipe.run(pipe.shake)
        except SSL.Error as error:
            with contextlib.suppress(OSError, EOFError):  # our own alert
                pipe.flush(deadline)
            return _refused(pipe, error)
        try:
            pipe.flush(deadline)
        except (OSError, EOFError) as error:
            pipe.last_words(deadline)
            return _cut(pipe, error)
        if done:
            return None
        try:
            if not pipe.fill(deadline):
                return _cut(pipe, EOFError("the peer closed the connection during the handshake"))
        except (OSError, EOFError) as error:
            return _cut(pipe, error)
        if pipe.received > MAX_HANDSHAKE_BYTES:
            return _malformed(f"the handshake had not ended after {pipe.received} bytes")


def _cut(pipe: _Pipe, error: OSError | EOFError) -> Failure:
    """The connection below ended; an alert or a banner that came before tells more than how it ended."""
    if pipe.notes.fatal:
        return _alerted(pipe.notes.alert)
    if pipe.not_tls:
        return _malformed(f"the answer is not TLS: {pipe.not_tls!r}")
    return from_exception(error, _STEP)


def _refused(pipe: _Pipe, error: SSL.Error) -> Failure:
    """The engine gave up: the peer's alert, a choice of the peer that this side does not accept, or nonsense."""
    notes = pipe.notes
    if notes.fatal:
        return _alerted(notes.alert)
    if pipe.not_tls:
        return _malformed(f"the answer is not TLS: {pipe.not_tls!r}")
    if isinstance(error, (SSL.ZeroReturnError, SSL.SysCallError)):
        return Failure(kind="eof", step=_STEP, detail="the peer ended the TLS connection during the handshake")
    if notes.sent_alert in _REFUSALS:
        detail = f"this side refused the server's choice with {notes.sent_alert} ({_reason(error)})"
        return Failure(kind="tls-alert", step=_STEP, detail=detail)
    return _malformed(_reason(error))


def _alerted(name: str) -> Failure:
    meaning = alert_meaning(name)
    return Failure(kind="tls-alert", step=_STEP, detail=f"{name}: {meaning}" if meaning else name)


def _malformed(detail: str) -> Failure:
    return Failure(kind="tls-malformed", step=_STEP, detail=detail)


def _reason(error: SSL.Error) -> str:
    """OpenSSL's own words: pyOpenSSL raises with a list of (library, function, reason)."""
    queue = error.args[0] if error.args else ()
    reasons = [str(entry[2]) for entry in queue if isinstance(entry, tuple) and len(entry) == 3]
    return "; ".join(reasons) or str(error) or type(error).__name__


def system_handshake(
    stream: SocketStream, *, address: Address, server_name: str, deadline: Deadline, step: Step
) -> TlsObservation:
    """The operating system's own verdict on the server's certificate (purpose "system"), over a plain connection.

    Uses up the stream: its socket is closed on return. Windows may fetch missing certificates while it verifies, which
    ``deadline`` cannot bound: call this from a thread that can be left behind.
    """
    import truststore  # loads Windows' and macOS' security libraries, which few runs need

    watch = Stopwatch()
    flow = stream.flow
    failure: Failure | None = None
    version = cipher = ""
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        stream.socket.settimeout(deadline.require())
        with context.wrap_socket(stream.socket, server_hostname=server_name.rstrip(".") or address.host) as sock:
            version = sock.version() or ""
            cipher = (sock.cipher() or ("",))[0]
        if not version:  # where the connection was gone before it began, no handshake is made and none complains
            failure = Failure(kind="eof", step=_STEP, detail=_GONE)
    except (OSError, ValueError) as error:  # ValueError: a name that the platform cannot match
        failure = _system_failure(error)
    finally:
        stream.close()
    return TlsObservation(
        **step._asdict(),
        started=watch.started,
        took_s=watch.took_s,
        outcome="failed" if failure else "ok",
        failure=failure,
        flow=flow,
        address=address.host,
        port=address.port,
        purpose="system",
        server_name=_sni(server_name),
        version=version,
        cipher=cipher,
    )


def _system_failure(error: OSError | ValueError) -> Failure:
    """ssl.SSLError is an OSError whose errno is OpenSSL's, not the system's: it needs its own reading."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Failure(kind="certificate", step=_STEP, detail=getattr(error, "verify_message", "") or str(error))
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):  # the latter until Python 3.11.3 (gh-95494)
        return Failure(kind="eof", step=_STEP, detail=_GONE)
    if isinstance(error, ssl.SSLError):
        reason = error.reason or str(error)
        return Failure(kind="tls-alert" if "ALERT" in reason else "tls-malformed", step=_STEP, detail=reason)
    return from_exception(error, _STEP)
